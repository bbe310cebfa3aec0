"""
Conformance of the document loader: every policy of a directory loads, or is refused with the errors that
its shape calls for (spec traffic-policy 1.10) and no others.

There are no expectation files. What a document calls for is worked out here, from the document as
another YAML library reads it and from the rules of the specification: actions that this gateway does
not have, shapes that its section 1.10 lists, and values that no reader could fill in, such as "$YOUR_IP/32"
where an address must stand. A rule names the codes of which at least one has to be reported.

policies.py PROGRAM DIRECTORY: prints what fails and ends with the line "N passed, N failed"; exit
status 1 if anything failed. PROGRAM is sallyport.
"""

import ipaddress
import json
import re
import subprocess
import sys
from pathlib import Path

import yaml

PHASES = ("on_tcp_connect", "on_http_request", "on_http_response", "on_event_stream_message")
OLD_PHASES = ("inbound", "outbound")

#: Actions of the language that are refused because this gateway does not have them.
ABSENT_ACTIONS = {
    "ai-gateway", "oauth", "openid-connect", "oidc", "owasp-crs-request", "owasp-crs-response",
    "saml",
}

#: Names and spellings that no expression may have (1.10); methods of other languages among them.
ODD_EXPRESSIONS = [
    r"\.(includes|starts_with|ends_with)\(",
    r"(?<!secrets)\.get\(",
    r"\.sort\(\s*\w+\s*,",
    r";",
    r"\bvar\s+\w+\s*=",
    r"\bfor\s+\w+\s+in\b",
    r"\breq\.path\b",
    r"(?<![\w.])(request|identity)\.",
    r"\bconn\.ts\.end\b",
    r"(?<![\w.])\.ngrok\b",
]

#: Operators between types that do not go together, of names whose type is declared.
TYPE_ERRORS = [
    r"(?<![\w.])res\.status_code\s*(<|<=|>|>=|==|!=)\s*['\"]",
    r"(?<![\w.])re[qs]\.headers\[[^\]]*\]\.(contains|startsWith|endsWith|matches)\(",
]

#: Fields that must be a URL, where a placeholder is a legitimate problem. None of them has to be.
URL_CODES = {"2203", "2204", "2226", "2228", "7173"}


class Calls:
    """What a document calls for: sets of codes of which one each must be reported, and codes that may be."""

    def __init__(self):
        self.required = []
        self.allowed = set()

    def need(self, why, *codes):
        self.required.append((why, set(codes)))


def without_strings(expression):
    """The expression with the content of its string literals taken out."""
    return re.sub(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"", "''", expression)


def is_odd(expression):
    bare = without_strings(expression)
    if any(re.search(p, bare) for p in ODD_EXPRESSIONS):
        return True
    return any(re.search(p, expression) for p in TYPE_ERRORS)


def check_expression(calls, expression):
    if isinstance(expression, (dict, list)) or expression is None:
        calls.need("an expression that is no string", "2200")
    elif "${" in str(expression):
        calls.need("${} in an expression", "2200")
    elif is_odd(str(expression)):
        calls.need("an expression with a name or type that does not exist", "2200")


def interpolations(text):
    """The expressions of a text's ${}; None stands for one whose parentheses do not balance."""
    out = []
    at = text.find("${")
    while at != -1:
        if at > 0 and text[at - 1] == "$":
            at = text.find("${", at + 2)
            continue
        end = closing(text, at + 2)
        out.append(None if end is None else text[at + 2:end])
        at = text.find("${", at + 2 if end is None else end)
    return out


def closing(text, at):
    """The index of the '}' that ends an expression, or None."""
    pairs = {"(": ")", "[": "]", "{": "}"}
    stack = []
    while at < len(text):
        c = text[at]
        if c in "'\"":
            literal = re.compile(r"%s(?:\\.|[^%s\\])*%s" % (c, c, c), re.S).match(text, at)
            if literal is None:
                return None
            at = literal.end()
            continue
        if c == "}" and not stack:
            return at
        if c in pairs:
            stack.append(pairs[c])
        elif c in pairs.values() and (not stack or stack.pop() != c):
            return None
        at += 1
    return None


def check_template(calls, text, code):
    for expression in interpolations(text):
        if expression is None:
            calls.need("${} that does not balance", code)
        elif is_odd(expression) or "\\" in without_strings(expression):
            calls.need("${} with a name, type or character that does not exist", code)


def strings(value):
    if isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, str):
        yield value


def is_cidr(text):
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def check_restrict_ips(calls, config):
    for name in ("allow", "deny"):
        for entry in config.get(name) or []:
            if "${" not in str(entry) and not is_cidr(str(entry)):
                calls.need("an address that is none", "2217")


def check_set_vars(calls, config):
    known = config.get("vars")
    if "vars" not in config:
        calls.need("set-vars without vars", "2203", "2234", "2252")
    elif not isinstance(known, list) or any(
            not isinstance(v, dict) or len(v) != 1 for v in known):
        calls.need("vars that are no list of one-entry mappings", "2252")


def check_rate_limit(calls, config):
    rate = re.fullmatch(r"(\d+)(ms|s|m|h)", str(config.get("rate", "60s")))
    seconds = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
    if rate and int(rate[1]) * seconds[rate[2]] < 60:
        calls.need("a rate below 60s", "2215")
    for key in config.get("bucket_key") or []:
        check_expression(calls, key)


def check_urls(calls, config):
    """A placeholder in a URL may be a problem of that URL."""
    if any(re.search(r"[<>{}]|\$\w", text) for text in strings(config)):
        calls.allowed |= URL_CODES


def check_certificates(calls, config):
    """Published examples have "... certificate ..." where the base64 belongs."""
    for text in strings(config):
        body = re.search(r"-----BEGIN [^-]*-----(.*?)-----END ", text, re.DOTALL)
        if body and re.search(r"[^A-Za-z0-9+/=\s]", body[1]):
            calls.need("PEM text without base64 in it", "1920", "2228")


CONFIGS = {
    "restrict-ips": check_restrict_ips,
    "set-vars": check_set_vars,
    "rate-limit": check_rate_limit,
    "jwt-validation": check_urls,
    "forward-internal": check_urls,
    "http-request": check_urls,
    "terminate-tls": check_certificates,
}


def check_action(calls, action):
    if not isinstance(action, dict):
        calls.need("an action that is no mapping", "2236")
        return
    kind = action.get("type")
    config = action.get("config") or {}
    if "actions" in action:
        calls.need("a rule inside of actions", "2206", "2236")
    elif kind in ABSENT_ACTIONS:
        calls.need("an action that this gateway does not have", "2201")
    elif not isinstance(config, dict):
        calls.need("a config that is no mapping", "2203")
    else:
        code = "2213" if kind == "add-headers" else "2224"
        for text in strings(config):
            check_template(calls, text, code)
        CONFIGS.get(kind, lambda *_: None)(calls, config)


def check_rule(calls, rule):
    if not isinstance(rule, dict):
        calls.need("a rule that is no mapping", "2236")
        return
    actions = rule.get("actions")
    if not actions:
        calls.need("a rule without actions", "2206", "2236")
    elif not isinstance(actions, list):
        calls.need("actions that are no list", "2206", "2236")
    else:
        for action in actions:
            check_action(calls, action)
    unknown = set(rule) - {"name", "expressions", "actions"}
    if unknown - {"type", "config"} or (actions and unknown):
        calls.need("an unknown key of a rule", "2236")
    for expression in rule.get("expressions") or []:
        check_expression(calls, expression)


def what_it_calls_for(document):
    calls = Calls()
    if not isinstance(document, dict):
        calls.need("no mapping of phases", "2206", "2236")
        return calls
    if set(document) - set(PHASES) - set(OLD_PHASES):
        calls.need("an unknown key", "2236")
    if set(document) & set(PHASES) and set(document) & set(OLD_PHASES):
        calls.need("old and new names of phases", "2236")
    if not any(document.values()):
        calls.need("no action at all", "2206")
    for phase in PHASES + OLD_PHASES:
        rules = document.get(phase)
        if rules and not isinstance(rules, list):
            calls.need("a phase that is no list of rules", "2206", "2236")
            continue
        for rule in rules or []:
            check_rule(calls, rule)
    return calls


def read(path):
    """The document, or None when it is not even YAML."""
    text = path.read_text(encoding="utf-8")
    try:
        # BaseLoader: every scalar as its text, as the policy loader takes them.
        return json.loads(text) if path.suffix == ".json" else yaml.load(text, yaml.BaseLoader)
    except (ValueError, yaml.YAMLError):
        return None


def reported(program, paths):
    """For each file its problems: (code, line)."""
    out = subprocess.run([program, "policy", "check", *map(str, paths)], stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, timeout=600, check=False).stdout.decode()
    problems = {str(p): [] for p in paths}
    for line in out.splitlines():
        found = re.match(r"(.*?):(?:\d+:\d+:)? error(?:\[ERR_SALLYPORT_(\d+)\])?: ", line)
        if found and found[1] in problems:
            problems[found[1]].append((found[2] or "0", line))
    return problems


def judge(path, problems):
    """Why the file fails, or None."""
    document = read(path)
    codes = {code for code, _ in problems}
    if document is None:
        return None if codes == {"2236"} else "no YAML, yet not refused with 2236"
    calls = what_it_calls_for(document)
    for why, wanted in calls.required:
        if not codes & wanted:
            return f"{why}: expected {' or '.join(sorted(wanted))}, got {sorted(codes) or 'no error'}"
    expected = set().union(calls.allowed, *(wanted for _, wanted in calls.required))
    for code, line in problems:
        if code not in expected:
            return f"nothing in it calls for {line}"
    return None


def main():
    program, directory = sys.argv[1:]
    paths = sorted(p for p in Path(directory).iterdir() if p.suffix in (".yml", ".yaml", ".json"))
    problems = reported(program, paths) if paths else {}
    failed = 0
    for path in paths:
        why = judge(path, problems[str(path)])
        if why is not None:
            failed += 1
            print(f"{path.name}: {why}")
    print(f"{len(paths) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
