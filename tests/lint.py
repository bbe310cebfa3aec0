"""
The rules of the project that no compiler checks. `lint.py [NAME...]` runs all checks, or those named;
each finding is a line FILE:LINE: text. Exit status 1 if there was any.

LINT_CFLAGS: how the files are compiled.
"""

import os
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("base", "tunnel", "policy", "sshd", "gateway")
CFLAGS = shlex.split(os.environ.get("LINT_CFLAGS", "-std=c17 -D_GNU_SOURCE -I."))

#: What a folder may include of the project. A file name in place of a folder allows that alone.
ALLOWED = {
    "base": {"base"},
    "tunnel": {"base", "tunnel"},
    "policy": {"base", "policy"},
    "sshd": {"base", "tunnel", "policy/policy.h", "sshd"},
    "gateway": {"base", "tunnel", "policy", "gateway"},
    "gateway/main.c": {"base", "tunnel", "policy", "sshd", "gateway"},
}

#: Who may use a library; each has one room. The first pattern that fits a header decides.
LIBRARIES = [
    (r"ev\.h", r"base/worker\.c|(sshd|gateway)/.*"),
    (r"libssh/.*", r"sshd/.*"),
    (r"openssl/(ssl|tls1)\.h", r"gateway/tls\w*\.[ch]"),
    (r"openssl/.*", r"(tunnel|policy)/.*|gateway/(websocket|(tls|local_ca)\w*)\.[ch]"),
    (r"nghttp2/.*", r"gateway/\w*http2\w*\.[ch]"),
    (r"http_parser\.h", r"gateway/http1\w*\.[ch]"),
    (r"libconfig\.h", r"gateway/config\w*\.[ch]"),
    (r"systemd/.*", r"gateway/(main|lifecycle)\.c"),
    (r"(idn2|libpsl)\.h", r"tunnel/host\.c"),
    (r"jansson\.h", r"(policy|sshd|gateway|tunnel/api)/.*"),
    (r"re2/.*", r"policy/regex\.cc"),
    (r"libfyaml\.h", r"policy/doc\w*\.[ch]"),
    (r"curl/.*", r"gateway/fetch\w*\.[ch]"),
    (r"cjose/.*", r"policy/(jw|key)\w*\.[ch]"),
    (r"(zlib|zstd)\.h|brotli/.*", r"policy/coding\.c|policy/cel/fn_hash\.c"),
    (r"xxhash\.h", r"policy/(cel/)?\w+\.c"),
    (r"maxminddb\.h", r"policy/geo\.c"),
    (r"crypt\.h", r"policy/password\.c"),
    (r"sqlite3\.h", r"tunnel/store/store_sqlite\w*\.[ch]"),
    (r"uthash\.h|utlist\.h", r".*"),
    (r"(sys/(socket|un|epoll|uio)|netdb|netinet/.*|arpa/.*|poll)\.h",
     r"base/(addr|log|peek)\.[ch]|(sshd|gateway)/.*"),
]

BANNED = {
    "strcpy": "str and buf",
    "strcat": "buf",
    "sprintf": "buf_add_fmt or snprintf",
    "vsprintf": "buf_add_vfmt",
    "strncpy": "str and buf",
    "strncat": "buf",
    "strtok": "str_next",
    "strtok_r": "str_next",
    "gets": "read",
    "atoi": "str_to_u64",
    "atol": "str_to_u64",
    "atoll": "str_to_u64",
    "strtol": "str_to_u64",
    "strtoul": "str_to_u64",
    "strtoll": "str_to_u64",
    "strtoull": "str_to_u64",
    "sscanf": "str_to_u64 and str_next",
    "alloca": "arena_alloc or mem_alloc",
}
BANNED_OUTSIDE_MEM = {
    "malloc": "mem_alloc",
    "calloc": "mem_zalloc_array",
    "realloc": "mem_realloc",
    "strdup": "mem_strdup",
    "strndup": "mem_strndup",
    "asprintf": "buf_add_fmt",
    "vasprintf": "buf_add_vfmt",
}

findings = []


def found(path, line, text):
    findings.append(f"{path}:{line}: {text}")


def files(pattern, folders=FOLDERS):
    return sorted(p.relative_to(ROOT) for folder in folders for p in (ROOT / folder).rglob(pattern))


def read(path):
    return (ROOT / path).read_text()


def code_lines(path):
    """The lines of a C file without comments and without what stands in quotes."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match[0])

    text = re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', blank,
                  read(path), flags=re.S)
    return enumerate(text.splitlines(), 1)


def run(argv):
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)


# ---- checks ----

def check_format():
    """clang-format would change nothing."""
    for path in [p for ext in ("*.c", "*.h") for p in files(ext, (*FOLDERS, "tests"))]:
        result = run(["clang-format", "--dry-run", "-Werror", str(path)])
        if result.returncode != 0:
            line = re.search(r":(\d+):\d+: error", result.stderr)
            found(path, line[1] if line else 1, "not laid out by .clang-format; run: make format")


def check_banned():
    """Functions that have a safer counterpart here."""
    for path in [p for ext in ("*.c", "*.h") for p in files(ext)]:
        names = dict(BANNED)
        if str(path) not in ("base/mem.c", "base/mem.h"):
            names |= BANNED_OUTSIDE_MEM
        call = re.compile(r"(?<![\w.>])(" + "|".join(names) + r")\s*\(")
        for number, line in code_lines(path):
            for match in call.finditer(line):
                found(path, number, f"{match[1]} is banned; use {names[match[1]]}")


def check_includes():
    """Layers: a file includes its own folder and lower ones; each library has its room."""
    for path in [p for ext in ("*.c", "*.h", "*.def") for p in files(ext)]:
        allowed = ALLOWED.get(str(path), ALLOWED[path.parts[0]])
        for number, line in enumerate(read(path).splitlines(), 1):
            own = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            library = re.match(r"\s*#\s*include\s+<([^>]+)>", line)
            if own:
                target = own[1]
                if not (ROOT / target).exists():
                    found(path, number, f'"{target}" is not relative to the repository')
                elif target.split("/")[0] not in allowed and target not in allowed:
                    found(path, number, f"{path.parts[0]} must not include {target}")
            if library:
                room = next((r for h, r in LIBRARIES if re.fullmatch(h, library[1])), None)
                if room and not re.fullmatch(room, str(path)):
                    found(path, number, f"<{library[1]}> has its room elsewhere ({room})")


def check_headers():
    """Each header compiles alone, and twice."""
    def compile_alone(path):
        text = f'#include "{path}"\n#include "{path}"\n'
        result = subprocess.run(["gcc", *CFLAGS, "-fsyntax-only", "-x", "c", "-"], cwd=ROOT,
                                input=text, capture_output=True, text=True, check=False)
        return path, result

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, result in pool.map(compile_alone, files("*.h")):
            if result.returncode != 0:
                found(path, 1, "does not compile alone: " + result.stderr.splitlines()[0])


def is_list_macro(path, line):
    """utlist's macros trust that the element is in the list, which the analyzer cannot know."""
    return re.search(r"\b(DL|CDL|LL)_[A-Z]+\(", read(path).splitlines()[line - 1])


def check_tidy():
    """clang-tidy, by .clang-tidy."""
    def tidy(path):
        return path, run(["clang-tidy", "--quiet", str(path), "--", *CFLAGS])

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, result in pool.map(tidy, files("*.c")):
            for line in result.stdout.splitlines():
                match = re.match(r"(?:.*?/)?((?:%s)/\S+?):(\d+):\d+: (?:error|warning): (.*)"
                                 % "|".join(FOLDERS), line.removeprefix(str(ROOT) + "/"))
                if match and not is_list_macro(match[1], int(match[2])):
                    found(match[1], match[2], match[3])
            if result.returncode != 0 and not result.stdout:
                found(path, 1, "clang-tidy failed: " + (result.stderr + result.stdout).strip()[-400:])


def limits():
    """The rows of gateway/config.def and what it includes: (name, unit, min, max, default, text)."""
    row = r'^LIMIT\((\w+),\s*"([^"]*)",\s*(\d+),\s*(\d+),\s*(\d+),\s*"([^"]*)"\)'
    text = read("gateway/config.def") + read("policy/limits.def")
    return [m.groups() for m in re.finditer(row, text, re.M)]


def limit_line(name, unit, low, high, preset, text):
    """How a limit stands in etc/sallyport.cfg."""
    return f"    # {text}\n    # {low} to {high} {unit}\n    # {name} = {preset};\n"


def limit_man(name, unit, low, high, preset, text):
    """How a limit stands in etc/sallyport.cfg.5."""
    text = text[0].upper() + text[1:]
    return f".TP\n.BR {name} \" = {preset}\"\n{text}.\nFrom {low} to {high} {unit}.\n"


def check_documents():
    """Every key is in etc/sallyport.cfg and in its man page, limits with default and bounds."""
    sample, manual = read("etc/sallyport.cfg"), read("etc/sallyport.cfg.5")
    for limit in limits():
        if limit_line(*limit) not in sample:
            found("etc/sallyport.cfg", 1, "lacks, word for word:\n" + limit_line(*limit))
        if limit_man(*limit) not in manual:
            found("etc/sallyport.cfg.5", 1, "lacks, word for word:\n" + limit_man(*limit))
    for name in re.findall(r'\{ \.name = "(\w+)"', read("gateway/config.c")):
        for path, text in (("etc/sallyport.cfg", sample), ("etc/sallyport.cfg.5", manual)):
            if not re.search(rf"\b{name}\b", text):
                found(path, 1, f"does not explain the key {name}")


CHECKS = {name.removeprefix("check_"): check for name, check in list(globals().items())
          if name.startswith("check_")}


def main():
    names = sys.argv[1:] or list(CHECKS)
    unknown = [n for n in names if n not in CHECKS]
    if unknown:
        print(f"unknown check {unknown[0]}; there are: {' '.join(CHECKS)}", file=sys.stderr)
        return 2
    for name in names:
        before = len(findings)
        CHECKS[name]()
        print(f"lint {name}: {len(findings) - before} findings")
        for line in dict.fromkeys(findings[before:]):
            print(line)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
