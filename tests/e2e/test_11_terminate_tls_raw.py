"""terminate-tls on tls and tcp endpoints, and the flags that stand for it."""

import hashlib
import re
import socket
import ssl

import pytest

from lib.content import content
from lib.pki import Authority, alert_of, ask, client_context, connect, http_get
from lib.policy import rule, stdin_of, text_of
from lib.ports import TCP_PORTS
from lib.wait import wait_until

HOST = "tcp.example.test"
SETTINGS = {"tcp": {"host": HOST, **TCP_PORTS}}
V12 = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2)
V13 = (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3)
MB = 1024 * 1024


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    class Pki:
        directory = tmp_path_factory.mktemp("pki")
        ca = Authority(directory)
        other = Authority(directory, "Other CA")
        alice = ca.issue("alice")
        stranger = other.issue("mallory")

    return Pki


def terminate(**config):
    return rule("on_tcp_connect", ("terminate-tls", config))


class Raw:
    """A tls or tcp tunnel to an app, with a policy or with flags."""

    def __init__(self, scene, kind, flags="", policy=None, text=None, host=None):
        self.scene = scene
        self.app = scene.app()
        if policy is not None:
            flags, text = f"{flags} --traffic-policy-file -", text_of(policy)
        host = host or f"{scene.name()}.example.test"
        remote = f"{host}:443" if kind == "tls" else "0"
        self.tunnel = scene.ssh(f"{remote}:127.0.0.1:{self.app.port}",
                                command=f"{kind} {flags}".strip(),
                                **({"stdin": stdin_of(text)} if text is not None else {}))
        line = self.tunnel.wait_out(1)[0]
        found = re.fullmatch(r"(tls|tcp)://([^:]+)(?::(\d+))?", line)
        assert found, line
        self.host = found[2]
        self.port = int(found[3]) if kind == "tcp" else scene.gateway.https_port

    def get(self, pair=None, versions=None, target="/hello"):
        return http_get(self.port, self.host, target, client_context(pair, versions))


@pytest.fixture(params=["tls", "tcp"])
def kind(request):
    return request.param


# ---- policies ----

def test_plain_bytes_reach_the_upstream(scene, kind):
    raw = Raw(scene, kind, policy=terminate())
    for versions in (V12, V13):
        assert b"200 OK" in raw.get(versions=versions)


def test_nothing_is_agreed_on_by_alpn(scene, kind):
    raw = Raw(scene, kind, policy=terminate())
    with connect(raw.port, raw.host, client_context(alpn=["h2", "http/1.1"])) as tls:
        assert tls.selected_alpn_protocol() is None


def test_large_bodies_pass_both_ways(scene, kind):
    raw = Raw(scene, kind, policy=terminate())
    body = content(3 * MB)
    with connect(raw.port, raw.host) as tls:
        sent = ask(tls, b"POST /upload HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n"
                   % len(body) + body)
        got = ask(tls, b"GET /bytes/%d HTTP/1.1\r\nhost: a\r\n\r\n" % len(body))
    assert sent.endswith(hashlib.sha256(body).hexdigest().encode())
    assert got.partition(b"\r\n\r\n")[2] == body


def test_the_end_of_the_upstream_is_that_of_tls(scene, kind):
    """close_notify comes behind the last byte, so nobody can cut an answer short unnoticed."""
    raw = Raw(scene, kind, policy=terminate())
    with connect(raw.port, raw.host) as tls:
        tls.sendall(b"GET /until-close/100000 HTTP/1.1\r\nhost: a\r\n\r\n")
        answer = b""
        while data := tls.recv(65536):  # raises without close_notify
            answer += data
    assert answer.endswith(content(100000))


def set_log_level(scene, level, logs):
    """Reloads, and waits until requests are logged or not."""
    scene.gateway.configure(log={"level": level})
    scene.gateway.reload()

    def is_done():
        mark = scene.gateway.mark()
        scene.http("x.example.test").get("/some")
        return bool(scene.gateway.entries(mark, "http_request_complete")) == logs

    wait_until(is_done, f"log level {level}")


def test_log_that_begins_behind_the_handshake_tells_the_end(scene, kind):
    """The end is told when the session of TLS has gone; it can name only what did not go with it."""
    gateway = scene.start_gateway(SETTINGS)
    raw = Raw(scene, kind, policy=terminate())
    set_log_level(scene, "error", False)
    mark = gateway.mark()
    with connect(raw.port, raw.host) as tls:
        assert b"200 OK" in ask(tls, b"GET /hello HTTP/1.1\r\nhost: a\r\n\r\n")
        set_log_level(scene, "info", True)
    entry = gateway.wait_log(lambda e: e["event"] == "tcp_connection_closed", mark, "the end")
    assert entry["conn"].get("server_name", "") in ((raw.host,) if kind == "tls" else (raw.host, ""))


def test_version_limits(scene, kind):
    raw = Raw(scene, kind, policy=terminate(min_version="1.3"))
    assert b"200 OK" in raw.get(versions=V13)
    assert alert_of(lambda: raw.get(versions=V12)) == "protocol version"


@pytest.mark.parametrize("versions", [V12, V13])
def test_mutual_tls(scene, pki, kind, versions):
    raw = Raw(scene, kind, policy=terminate(mutual_tls_certificate_authorities=[pki.ca.pem]))
    assert alert_of(lambda: raw.get(pki.stranger, versions)) == "bad certificate"
    assert alert_of(lambda: raw.get(None, versions)) == (
        "certificate required" if versions == V13 else "handshake failure")
    assert raw.app.connections == []
    assert b"200 OK" in raw.get(pki.alice, versions)


def test_rules_behind_it_know_who_came(scene, pki, kind):
    raw = Raw(scene, kind, policy={"on_tcp_connect": [
        {"actions": [{"type": "terminate-tls", "config": {
            "mutual_tls_certificate_authorities": [pki.ca.pem, pki.other.pem]}},
            {"type": "log", "config": {"metadata": {"who": "${conn.tls.client.subject}"}}}]},
        {"expressions": ["conn.tls.client.subject.common_name == 'mallory'"],
         "actions": [{"type": "deny"}]}]})
    mark = scene.gateway.mark()
    assert b"200 OK" in raw.get(pki.alice)
    event = scene.gateway.wait_log(lambda e: e["event"] == "tcp_connection_closed", mark)
    assert "CN=alice" in event["traffic_policy"]["logs"]
    assert event["tls"]["client_cert"]["subject"]["cn"] == "alice"
    with pytest.raises((ConnectionError, ssl.SSLError)):
        answer = raw.get(pki.stranger)
        assert answer == b"", answer
        raise ConnectionResetError
    assert len(raw.app.connections) == 1


def test_tcp_clients_need_no_name(scene):
    """A port is that of one endpoint, so the name of the endpoint stands for a missing one."""
    raw = Raw(scene, "tcp", policy=terminate())
    with connect(raw.port, None) as tls:
        assert b"200 OK" in ask(
            tls, b"GET /hello HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")


def test_own_certificate(scene, pki, kind):
    host = f"{scene.name()}.example.test"
    server = pki.other.issue("own", dns=[host, HOST])
    raw = Raw(scene, kind, host=host, policy=terminate(server_certificate=server.pem,
                                                       server_private_key=server.key_pem))
    context = ssl.create_default_context(cadata=pki.other.pem)
    assert b"200 OK" in http_get(raw.port, raw.host, context=context)


def test_visitors_that_say_nothing_are_dropped(scene):
    gateway = scene.start_gateway({**SETTINGS, "limits": {"tls_handshake_timeout_ms": 500}})
    raw = Raw(scene, "tcp", policy=terminate())
    with socket.create_connection(("127.0.0.1", raw.port), 5) as visitor:
        visitor.settimeout(5)
        assert visitor.recv(1) == b""
    assert gateway.process.running


# ---- flags ----

def test_terminate_at_edge(scene):
    assert b"200 OK" in Raw(scene, "tls", "--terminate-at edge").get()


def test_crt_and_key(scene, pki):
    host = f"{scene.name()}.example.test"
    server = pki.other.issue("own", dns=[host])
    raw = Raw(scene, "tls", "--crt - --key -", text=server.pem + server.key_pem, host=host)
    context = ssl.create_default_context(cadata=pki.other.pem)
    assert b"200 OK" in http_get(raw.port, raw.host, context=context)


def test_mutual_tls_cas_of_tls(scene, pki):
    raw = Raw(scene, "tls", "--mutual-tls-cas -", text=pki.ca.pem)
    assert b"200 OK" in raw.get(pki.alice)
    assert alert_of(lambda: raw.get(pki.stranger)) == "bad certificate"


def test_mutual_tls_cas_of_http(scene, pki):
    app = scene.app()
    host = f"{scene.name()}.example.test"
    tunnel = scene.ssh(f"{host}:443:127.0.0.1:{app.port}", stdin=stdin_of(pki.ca.pem),
                       command="http --mutual-tls-cas - --traffic-policy '{on_http_request: "
                               "[{expressions: [\"conn.tls.client.subject.common_name != "
                               "'alice'\"], actions: [{type: deny}]}]}'")
    tunnel.urls(1)
    port = scene.gateway.https_port
    assert b"200 OK" in http_get(port, host, context=client_context(pki.alice))
    assert b"403" in http_get(port, host, context=client_context(pki.ca.issue("bob")))
    assert alert_of(lambda: http_get(port, host, context=client_context(pki.stranger))) == \
        "bad certificate"


@pytest.mark.parametrize("command, text, code, message", [
    ("tls --crt - --key -", "x", 14001, "holds no certificate in PEM form"),
    ("tls --crt - --key -", "", 1920, "standard input is empty"),
    ("tls --mutual-tls-cas -", "x", 14002, "holds no certificate in PEM form"),
    ("tls --mutual-tls-cas -", "leaf", 1696, "is not that of an authority"),
    ("tls --crt -", None, None, "--crt and --key go together"),
    ("tls --crt cert.pem --key key.pem", None, 1109, "is a file on your machine"),
    ("tls --crt cert_123 --key -", None, 1109, "stores no certificates of users"),
    ("tls --mutual-tls-cas ca_1,ca_2", None, 1109, "stores no authorities"),
    ("tls --mutual-tls-cas - --crt - --key -", None, 1109, "one thing only"),
    ("tls --mutual-tls-cas - --traffic-policy-file -", None, 1109, "one thing only"),
    ("tls --mutual-tls-cas - --terminate-at upstream", None, 1694, "--terminate-at edge"),
    ("tls --terminate-at agent", None, 1109, "ssh cannot end TLS"),
    ("tls --terminate-at nowhere", None, None, "give edge or upstream"),
    ("http --terminate-at edge", None, 1109, "does not go with the command http"),
    ("tcp --mutual-tls-cas -", None, 1109, "does not go with the command tcp"),
])
def test_flags_that_cannot_be(scene, pki, command, text, code, message):
    sent = pki.alice.pem if text == "leaf" else text
    remote = "0" if command.startswith("tcp") else f"{scene.name()}.example.test:443"
    tunnel = scene.ssh(f"{remote}:127.0.0.1:1", command=command,
                       **({"stdin": stdin_of(sent)} if sent is not None else {}))
    assert tunnel.wait_exit() == 1
    shown = "\n".join(tunnel.err)
    assert message in shown, shown
    if code:
        assert f"ERR_SALLYPORT_{code}" in shown, shown
    assert tunnel.out == []


def test_flags_run_in_front_of_the_policy(scene, pki):
    """The policy's own terminate-tls comes second, and is skipped."""
    app = scene.app()
    host = f"{scene.name()}.example.test"
    scene.ssh(f"{host}:443:127.0.0.1:{app.port}", stdin=stdin_of(pki.ca.pem),
              command="tls --mutual-tls-cas - --traffic-policy '{on_tcp_connect: [{actions: "
                      "[{type: terminate-tls}]}]}'").wait_out(1)
    port = scene.gateway.https_port
    assert alert_of(lambda: http_get(port, host)) == "certificate required"
    assert b"200 OK" in http_get(port, host, context=client_context(pki.alice))
