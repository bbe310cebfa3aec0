"""Tunnels with a traffic policy, and visitors that see what it does."""

import json
import re
import subprocess
import tempfile
import textwrap

from lib.gateway import BINARY, DOMAIN


class Guarded:
    """
    An app behind a tunnel that has a policy document: YAML text, or a value that becomes JSON. It
    is sent to ssh's standard input, as a user would do it.
    """

    def __init__(self, scene, document, upstream=None, name=None, flags="", port=443, host=None,
                 **kw):
        self.scene = scene
        self.app = upstream or scene.app()
        self.host = host or f"{name or scene.name()}.{DOMAIN}"
        self.tunnel = scene.ssh(
            f"{self.host}:{port}:127.0.0.1:{self.app.port}",
            command=f"http --traffic-policy-file - {flags}".strip(),
            stdin=stdin_of(text_of(document)), **kw)
        self.plain = port == 80
        self.url = self.tunnel.urls(1)[0]

    def conn(self, **kw):
        return self.scene.http(self.host, **kw) if self.plain else self.scene.https(self.host, **kw)

    def request(self, target="/echo", headers=(), method="GET", body=None, **kw):
        """One request on a connection of its own."""
        with self.conn() as conn:
            return conn.request(method, target, list(headers), body, **kw)

    def echo(self, target="/echo", **kw):
        """The request as the upstream saw it."""
        response = self.request(target, **kw)
        assert response.status == 200, response
        return Seen(json.loads(response.text))


class Seen:
    """A request as /echo tells it."""

    def __init__(self, echo):
        self.method = echo["method"]
        self.target = echo["target"]
        self.headers = echo["headers"]
        self.length = echo["length"]
        self.sha256 = echo["sha256"]

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]

    def header(self, name):
        values = self.all(name)
        assert len(values) <= 1, values
        return values[0] if values else None


def text_of(document):
    return textwrap.dedent(document) if isinstance(document, str) else json.dumps(document)


def stdin_of(text):
    """A file that ssh reads the text from."""
    file = tempfile.TemporaryFile()
    file.write(text.encode())
    file.seek(0)
    return file


def rule(phase, *actions, expressions=None):
    """A document with one rule; an action is its type, or (type, config)."""
    made = [{"type": a} if isinstance(a, str) else {"type": a[0], "config": a[1]} for a in actions]
    return {phase: [{**({"expressions": expressions} if expressions else {}), "actions": made}]}


def on_request(*actions, expressions=None):
    return rule("on_http_request", *actions, expressions=expressions)


def on_response(*actions, expressions=None):
    return rule("on_http_response", *actions, expressions=expressions)


def merge(*documents):
    """The rules of several documents, one after the other."""
    out = {}
    for document in documents:
        for phase, rules in document.items():
            out.setdefault(phase, []).extend(rules)
    return out


def answer_with(expression, phase="on_http_request"):
    """A document part that answers with the value of an expression."""
    return rule(phase, ("custom-response", {"body": "${" + expression + "}"}))


def result_of(action, phase="on_http_request"):
    """A document part that answers with the result variables of an action, as JSON."""
    return answer_with(f"json.encode(actions.ngrok.{action})", phase)


def problems(document):
    """The numbers of the errors that `sallyport policy check` finds, in order."""
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        file.write(text_of(document))
        file.flush()
        done = subprocess.run([BINARY, "policy", "check", file.name], capture_output=True,
                              text=True, check=False)
    text = done.stdout + done.stderr
    found = [int(n) for n in re.findall(r"error\[ERR_SALLYPORT_(\d+)\]", text)]
    assert (done.returncode != 0) == bool(found), text
    return found


def event_of(guarded, path):
    """The access log's entry for the request to this path of the tunnel."""

    def is_it(entry):
        url = entry["http"]["request"]["url"]
        return url["host"].split(":")[0] == guarded.host and url["path"] == path

    return guarded.scene.gateway.wait_log(
        lambda e: e["event"] == "http_request_complete" and is_it(e), what=f"event of {path}")


def logs_of(guarded, path):
    """What the log action left in that entry: each one's metadata, else the whole of it."""
    logs = event_of(guarded, path)["traffic_policy"]["logs"]
    logs = json.loads(logs) if isinstance(logs, str) else logs
    return [entry.get("metadata", entry) for entry in logs]
