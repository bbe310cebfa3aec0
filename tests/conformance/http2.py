"""
HTTP/2 of visitors by h2spec, whose sections generic, http2 and hpack run against both listeners of a
gateway that serves an app over real ssh: http2.py PROGRAM DIRECTORY, where DIRECTORY is where h2spec
is or will be built, by Go. Without Go it says so and nothing counts.

The name of the endpoint must resolve for h2spec, so it runs with an /etc/hosts of its own.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
H2SPEC = "github.com/summerwind/h2spec/cmd/h2spec@latest"
SECTIONS = ("generic", "http2", "hpack")
#: A port that speaks HTTP/1.1 too answers a first line that is no preface as a bad request of that.
LEFT_OUT = {"h2c": {"Sends invalid connection preface"}}
BUILD_SECONDS = 900
SECTION_SECONDS = 600


def build(directory):
    """Returns the program, or None where it cannot be built."""
    program = directory / "h2spec"
    if program.exists():
        return program
    if shutil.which("go") is None:
        print("http2: skipped, since there is no go to build h2spec with")
        return None
    directory.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "GOBIN": str(directory.resolve()), "GOFLAGS": "-mod=mod"}
    made = subprocess.run(["go", "install", H2SPEC], env=env, check=False, timeout=BUILD_SECONDS,
                          stdout=sys.stderr)
    if made.returncode != 0:
        print("http2: skipped, since go could not build h2spec; its message is above")
        return None
    return program


def with_hosts(argv, hosts):
    """`argv` where the file `hosts` stands in place of /etc/hosts."""
    return ["unshare", "--map-root-user", "--mount", "sh", "-c",
            'mount --bind "$0" /etc/hosts && exec "$@"', str(hosts), *map(str, argv)]


def run_section(argv, hosts, label, left_out):
    """Returns (passed, failed) and prints what failed."""
    report = hosts.with_suffix(".xml")
    report.unlink(missing_ok=True)
    done = subprocess.run(with_hosts([*argv, "-j", report], hosts), capture_output=True, text=True,
                          timeout=SECTION_SECONDS, check=False)
    if not report.exists():
        print(f"{label}: h2spec ended with status {done.returncode}: {done.stdout}{done.stderr}")
        return 0, 1
    cases = [case for case in ElementTree.parse(report).getroot().iter("testcase")
             if case.get("classname") not in left_out]
    bad = [case for case in cases if case.find("failure") is not None
           or case.find("error") is not None]
    for case in bad:
        problem = case.find("failure") if case.find("failure") is not None else case.find("error")
        print(f"{label} {case.get('package')}: {case.get('classname')}\n  {problem.text}")
    if not cases:
        print(f"{label}: h2spec ran nothing: {done.stdout}{done.stderr}")
    return len(cases) - len(bad), len(bad) or int(not cases)


def run_all(h2spec, scene, directory):
    app = scene.app()
    total = [0, 0]
    for name, tunnel in (("h2c", scene.plain(app)), ("tls", scene.tunnel(app))):
        port = scene.gateway.https_port if name == "tls" else scene.gateway.http_port
        hosts = directory / f"hosts-{name}"
        hosts.write_text(f"{scene.gateway.address} {tunnel.host}\n")
        options = ["-h", tunnel.host, "-p", port, "-P", "/upload", "--strict"]
        if name == "tls":
            options += ["-t", "-k"]
        for section in SECTIONS:
            passed, failed = run_section([h2spec, section, *options], hosts, f"{name} {section}",
                                         LEFT_OUT.get(name, set()))
            total = [total[0] + passed, total[1] + failed]
    return total


def main():
    program, directory = sys.argv[1], Path(sys.argv[2])
    h2spec = build(directory)
    if h2spec is None:
        print("0 passed, 0 failed")
        return 0
    os.environ["SALLYPORT_BIN"] = str(Path(program).resolve())
    sys.path.insert(0, str(ROOT / "tests/e2e"))
    from lib.keys import Keys
    from lib.scene import Scene

    with tempfile.TemporaryDirectory(prefix="sallyport-h2spec.") as name:
        temporary = Path(name)
        (temporary / "keys").mkdir()
        scene = Scene(Keys(temporary / "keys"), temporary, None)
        try:
            scene.start_gateway()
            passed, failed = run_all(h2spec, scene, temporary)
        finally:
            scene.close()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
