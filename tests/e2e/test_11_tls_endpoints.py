"""TLS endpoints: routed by SNI on the HTTPS port, passed through unread; beside https endpoints."""

import hashlib
import json
import os
import re
import ssl
import subprocess

import pytest

from lib import client_hello
from lib.policy import Guarded, on_request, rule, stdin_of, text_of
from lib.ports import free_port
from lib.proxy_protocol import BALANCER, BALANCERS, v2
from lib.raw import Conn, tls_context
from lib.tls_upstream import Certificates, TlsUpstream
from lib.wait import wait_until

SETTINGS = {"proxy_protocol": BALANCERS,
            "limits": {"client_hello_timeout_ms": 1500, "tls_handshake_timeout_ms": 2000}}

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
KB = 1024


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("pki"))


def expose(scene, upstream, host=None, flags="", policy=None, **kw):
    """A tls tunnel that is online; .host is its name."""
    host = host or f"{scene.name()}.example.test"
    if policy is not None:
        flags += " --traffic-policy-file -"
        kw["stdin"] = stdin_of(text_of(policy))
    tunnel = scene.ssh(f"{host}:443:127.0.0.1:{upstream.port}", command=f"tls {flags}".strip(),
                       **kw)
    line = tunnel.wait_out(1)[0]
    assert re.fullmatch(rf"tls://{re.escape(host)}(:\d+)?", line), line
    tunnel.host = host
    return tunnel


def server(scene, certificates, host, **kw):
    return scene.keep(TlsUpstream(certificates.issue(host), **kw))


def visit(scene, certificates, host, context=None, **kw):
    """A connection that trusts the upstream's authority and nobody else."""
    context = context or tls_context(cafile=certificates.ca[0], alpn=())
    return scene.https(host, context=context, **kw)


def greeting(conn):
    return json.loads(conn.read_until(b"\n"))


def s_client(scene, host, *args, text=b"bye\n"):
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{scene.gateway.https_port}",
         "-servername", host, "-ign_eof", *map(str, args)],
        input=text, capture_output=True, timeout=20, check=False)
    return done.returncode, done.stdout.decode(errors="replace") + done.stderr.decode()


# ---- unread ----

@pytest.mark.parametrize("version", [V12, V13], ids=["1.2", "1.3"])
def test_upstream_certificate_reaches_the_visitor(scene, certificates, version):
    """Verified against the upstream's authority; bytes go both ways; the gateway shakes no hands."""
    host = f"{scene.name()}.example.test"
    expose(scene, server(scene, certificates, host), host)
    before = scene.gateway.metrics()["sallyport_tls_handshakes_total"]
    mark = scene.gateway.mark()
    context = tls_context((version, version), certificates.ca[0], alpn=())
    conn = visit(scene, certificates, host, context)
    assert greeting(conn)["version"] == {V12: "TLSv1.2", V13: "TLSv1.3"}[version]
    data = os.urandom(512 * KB)
    for at in range(0, len(data), 64 * KB):
        conn.send(data[at:at + 64 * KB])
        assert conn.read_exactly(64 * KB) == data[at:at + 64 * KB]
    conn.close()
    assert scene.gateway.metrics()["sallyport_tls_handshakes_total"] == before
    entry = scene.gateway.wait_log(lambda e: e["event"] == "tcp_connection_closed", mark)
    assert entry["conn"]["server_name"] == host
    assert entry["ja4_fingerprint"].startswith("t1")
    assert "tls" not in entry, "nothing was negotiated here"
    assert entry["conn"]["bytes_in"] > len(data) < entry["conn"]["bytes_out"]


def test_openssl_verifies_the_upstream(scene, certificates):
    host = f"{scene.name()}.example.test"
    expose(scene, server(scene, certificates, host), host)
    status, text = s_client(scene, host, "-CAfile", certificates.ca[0], "-verify_return_error",
                            "-verify_hostname", host)
    assert status == 0, text
    assert "Verify return code: 0 (ok)" in text or "Verification: OK" in text, text


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_session_resumption(scene, certificates, version, tmp_path):
    """A ticket of the upstream works, whichever worker carries the second connection."""
    host = f"{scene.name()}.example.test"
    expose(scene, server(scene, certificates, host), host)
    ticket = tmp_path / "ticket"
    status, text = s_client(scene, host, version, "-sess_out", ticket)
    assert status == 0 and ticket.exists(), text
    assert '"reused": false' in text
    for _ in range(4):
        status, text = s_client(scene, host, version, "-sess_in", ticket)
        assert status == 0, text
        assert '"reused": true' in text and "Reused, " in text


def test_client_certificate_reaches_the_upstream(scene, certificates):
    """Mutual TLS is between visitor and upstream alone; without a certificate the upstream refuses."""
    host = f"{scene.name()}.example.test"
    expose(scene, server(scene, certificates, host, client_ca=certificates.ca[0]), host)
    context = tls_context(cafile=certificates.ca[0], alpn=())
    context.load_cert_chain(*certificates.issue("visitor"))
    assert greeting(visit(scene, certificates, host, context))["client"] == "visitor"
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"):
        conn = visit(scene, certificates, host)
        conn.sock.settimeout(10)
        conn.sock.recv(1)


def test_every_byte_arrives_as_it_was_sent(scene):
    """What the upstream gets is the ClientHello and what follows it, byte for byte."""
    up = scene.scripted()
    tunnel = expose(scene, up)
    hello = client_hello.capture(tunnel.host)[0]
    data = hello + os.urandom(200 * KB)
    with Conn(scene.gateway.https_port, tunnel.host) as conn:
        conn.send(data)
        upstream = up.accept()
        assert hashlib.sha256(upstream.read_exactly(len(data))).digest() == \
            hashlib.sha256(data).digest()


# ---- shapes of a ClientHello ----

def pass_hello(scene, tunnel, up, pieces):
    """The pieces, sent one by one, arrive; and an answer comes back."""
    with Conn(scene.gateway.https_port, tunnel.host) as conn:
        for piece in pieces:
            conn.send(piece)
        upstream = up.accept()
        data = b"".join(pieces)
        assert upstream.read_exactly(len(data)) == data
        upstream.send(b"answer")
        assert conn.read_exactly(6) == b"answer"


def test_hello_one_byte_at_a_time(scene):
    up = scene.scripted()
    tunnel = expose(scene, up)
    hello = client_hello.capture(tunnel.host)[0]
    pass_hello(scene, tunnel, up, [bytes([b]) for b in hello])


@pytest.mark.parametrize("piece", [1, 3, 100])
def test_hello_in_many_records(scene, piece):
    up = scene.scripted()
    tunnel = expose(scene, up)
    message = client_hello.message(client_hello.capture(tunnel.host)[0])
    pass_hello(scene, tunnel, up, [client_hello.records(message, piece)])


@pytest.mark.parametrize("piece", [16384, 1000])
def test_hello_of_64_kilobytes(scene, piece):
    """The largest that is taken, sent in portions."""
    up = scene.scripted()
    tunnel = expose(scene, up)
    message = client_hello.message(client_hello.capture(tunnel.host)[0])
    raw = client_hello.records(client_hello.padded(message, 64 * KB), piece)
    pass_hello(scene, tunnel, up, [raw[i:i + 5000] for i in range(0, len(raw), 5000)])


def test_hello_of_64_kilobytes_and_one_byte_is_closed(scene):
    up = scene.scripted()
    tunnel = expose(scene, up)
    message = client_hello.message(client_hello.capture(tunnel.host)[0])
    conn = Conn(scene.gateway.https_port, tunnel.host)
    try:
        conn.send(client_hello.records(client_hello.padded(message, 64 * KB + 1)))
        conn.wait_closed()
    except (BrokenPipeError, ConnectionResetError):
        pass
    conn.close()
    assert not up.connections


def test_name_in_any_case(scene, certificates):
    """SNI is folded before it is looked up."""
    host = f"{scene.name()}.example.test"
    expose(scene, server(scene, certificates, host), host)
    context = tls_context(alpn=())
    conn = scene.https(host, context=context, sni=host.upper())
    assert greeting(conn)["client"] is None


BAD = {
    "nothing": b"",
    "half": None,
    "garbage": b"\x17" * 300,
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "empty_record": b"\x16\x03\x01\x00\x00",
    "endless_records": b"\x16\x03\x01\x00\x01\x01" * 20000,
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("end", [True, False], ids=["then closes", "then waits"])
def test_bad_hello_reaches_nobody(scene, name, end):
    """Closed, by an alert where TLS has one, and when its time is over at the latest."""
    up = scene.scripted()
    tunnel = expose(scene, up)
    data = BAD[name]
    if data is None:
        hello = client_hello.capture(tunnel.host)[0]
        data = hello[:len(hello) // 2]
    with Conn(scene.gateway.https_port, tunnel.host) as conn:
        try:
            conn.send(data)
            if end:
                conn.end()
        except OSError:
            pass
        answer = conn.read_all(5)
        assert answer == b"" or answer[0] == 0x15, answer[:50]
    assert not up.connections


def test_slow_hello_is_closed_in_time(scene):
    """A byte now and then does not stretch the limit."""
    tunnel = expose(scene, scene.scripted())
    hello = client_hello.capture(tunnel.host)[0]
    with Conn(scene.gateway.https_port, tunnel.host) as conn:
        conn.sock.settimeout(0.1)
        closed = False
        for byte in hello[:100]:
            try:
                conn.sock.sendall(bytes([byte]))
                closed = conn.sock.recv(1) == b""
            except TimeoutError:
                continue
            except OSError:
                closed = True
            if closed:
                break
        assert closed


def test_half_hellos_hold_no_memory(scene, certificates):
    """Their bytes wait in the kernel; other visitors do not notice."""
    host = f"{scene.name()}.example.test"
    scene.start_gateway({"limits": {"client_hello_timeout_ms": 60000}})
    expose(scene, server(scene, certificates, host), host)
    message = client_hello.message(client_hello.capture(host)[0])
    half = client_hello.records(client_hello.padded(message, 60000))[:-100]
    before = scene.gateway.rss()
    conns = [Conn(scene.gateway.https_port, host) for _ in range(300)]
    for conn in conns:
        conn.sock.settimeout(10)
        conn.sock.sendall(half[:30000])
    scene.gateway.wait_gauge("sallyport_connections", 300)
    scene.gateway.assert_growth(before, 8 * 1024 * KB)
    assert greeting(visit(scene, certificates, host))["version"]
    for conn in conns:
        conn.close()


# ---- both directions ----

@pytest.mark.parametrize("first", ["visitor", "upstream"])
def test_half_close(scene, first):
    """Each side may end first and still gets the rest."""
    up = scene.scripted()
    tunnel = expose(scene, up)
    hello = client_hello.capture(tunnel.host)[0]
    with Conn(scene.gateway.https_port, tunnel.host) as conn:
        conn.send(hello)
        upstream = up.accept()
        upstream.read_exactly(len(hello))
        if first == "visitor":
            conn.send(b"last words")
            conn.end()
            assert upstream.read_exactly(10) == b"last words"
            upstream.wait_eof()
            upstream.send(b"the rest")
            upstream.close()
            assert conn.read_all() == b"the rest"
        else:
            upstream.send(b"last words")
            upstream.end()
            assert conn.read_all() == b"last words"
            conn.send(b"the rest")
            conn.end()
            assert upstream.read_exactly(8) == b"the rest"
            upstream.wait_eof()


def test_idle_connections_end(scene):
    """connection_idle_timeout_ms."""
    scene.start_gateway({"limits": {"connection_idle_timeout_ms": 700}})
    up = scene.scripted()
    tunnel = expose(scene, up)
    with Conn(scene.gateway.https_port, tunnel.host) as conn:
        conn.send(client_hello.capture(tunnel.host)[0])
        up.accept()
        conn.wait_closed(5)


# ---- names ----

def alert_of(scene, host):
    with pytest.raises(ssl.SSLError) as failed:
        scene.https(host)
    return failed.value.reason


def test_offline_name_gets_an_alert(scene, certificates):
    """A name that no certificate is for: unrecognized_name before and after it was online."""
    host = f"db.{scene.name()}.example.test"
    assert alert_of(scene, host) == "TLSV1_UNRECOGNIZED_NAME"
    tunnel = expose(scene, server(scene, certificates, host), host)
    assert greeting(visit(scene, certificates, host))["version"]
    tunnel.stop()
    wait_until(lambda: scene.gateway.metrics()["sallyport_endpoints"] == 0, "it is offline")
    assert alert_of(scene, host) == "TLSV1_UNRECOGNIZED_NAME"


def test_no_name_gets_an_alert(scene, certificates):
    host = f"{scene.name()}.example.test"
    expose(scene, server(scene, certificates, host), host)
    with pytest.raises(ssl.SSLError):
        scene.https(host, sni="")


def test_wildcards_and_https_side_by_side(scene, certificates):
    """Of https and tls endpoints on one port, the more specific name gets the connection."""
    base = f"{scene.name()}.example.test"
    wild = server(scene, certificates, f"*.{base}")
    exact = server(scene, certificates, f"db.{base}")
    expose(scene, wild, f"*.{base}")
    expose(scene, exact, f"db.{base}")
    scene.tunnel_to(f"web.{base}", scene.app())
    scene.tunnel_to(f"*.in.{base}", scene.app())

    def subject(host):
        context = tls_context(cafile=certificates.ca[0], alpn=())
        context.check_hostname = False
        with scene.https(host, context=context) as conn:
            return dict(part[0] for part in conn.sock.getpeercert()["subject"])["commonName"]

    assert subject(f"any.{base}") == f"*.{base}"
    assert subject(f"a.b.{base}") == f"*.{base}"
    assert subject(f"db.{base}") == f"db.{base}"
    assert scene.https(f"web.{base}").get("/hello").status == 200
    assert scene.https(f"x.in.{base}").get("/hello").status == 200


def test_https_and_tls_cannot_share_a_name(scene, certificates):
    """One name is one endpoint on the port."""
    host = f"{scene.name()}.example.test"
    expose(scene, server(scene, certificates, host), host)
    second = scene.ssh(f"{host}:443:127.0.0.1:1", command="http", key="bob")
    second.wait_err(r"ERR_SALLYPORT_\d+")
    assert second.wait_exit() == 1


# ---- policies ----

def test_policy_by_name_and_fingerprint(scene, certificates):
    """on_tcp_connect of a wildcard: conn.tls.sni and conn.tls.ja4_fingerprint are known."""
    base = f"{scene.name()}.example.test"
    allowed = tls_context((V13, V13), certificates.ca[0], alpn=())
    fingerprint = client_hello.ja4(client_hello.capture(f"ok.{base}", allowed)[0])
    document = {"on_tcp_connect": [
        {"actions": [{"type": "log", "config": {"metadata": {
            "sni": "${conn.tls.sni}", "ja4": "${conn.tls.ja4_fingerprint}",
            "version": "<${conn.tls.version}${conn.tls.cipher_suite}>",
            "ip": "${conn.client_ip}"}}}]},
        {"expressions": [f"conn.tls.sni == 'no.{base}' || "
                         f"conn.tls.ja4_fingerprint != '{fingerprint}'"],
         "actions": [{"type": "deny"}]},
    ]}
    expose(scene, server(scene, certificates, f"*.{base}"), f"*.{base}", policy=document)
    mark = scene.gateway.mark()
    with visit(scene, certificates, f"ok.{base}", allowed, source=BALANCER, first=v2()) as conn:
        assert greeting(conn)["version"] == "TLSv1.3"
    entry = scene.gateway.wait_log(lambda e: e["event"] == "tcp_connection_closed", mark)
    assert entry["ja4_fingerprint"] == fingerprint
    assert entry["conn"]["client_ip"] == "192.0.2.7"
    logs = entry["traffic_policy"]["logs"]
    logs = json.loads(logs) if isinstance(logs, str) else logs
    assert logs[0]["metadata"] == {"sni": f"ok.{base}", "ja4": fingerprint, "version": "<>",
                                   "ip": "192.0.2.7"}
    others = [(f"no.{base}", allowed),
              (f"ok.{base}", tls_context((V12, V12), certificates.ca[0], alpn=()))]
    for host, context in others:
        with pytest.raises((ssl.SSLError, OSError)):
            visit(scene, certificates, host, context)


def test_fingerprint_on_https(scene):
    """The same variable after the handshake, in every phase, and in the access log."""
    guarded = Guarded(scene, on_request(
        ("custom-response", {"body": "${conn.tls.ja4_fingerprint} ${conn.tls.sni}"})))
    for context in (tls_context(), tls_context((V12, V12), alpn=()),
                    tls_context((V13, V13), alpn=("http/1.1", "x"))):
        expected = client_hello.ja4(client_hello.capture(guarded.host, context)[0])
        mark = scene.gateway.mark()
        with scene.https(guarded.host, context=context) as conn:
            assert conn.get("/f").text == f"{expected} {guarded.host}"
        assert scene.gateway.wait_exchange("/f", mark)["ja4_fingerprint"] == expected


def test_no_fingerprint_without_tls(scene):
    guarded = Guarded(scene, on_request(
        ("custom-response", {"body": "<${conn.tls.ja4_fingerprint}>"})), port=80)
    mark = scene.gateway.mark()
    assert guarded.request("/f").text == "<>"
    assert "ja4_fingerprint" not in scene.gateway.wait_exchange("/f", mark)


def test_denied_visitor_reaches_nobody(scene):
    """restrict-ips on a tls endpoint."""
    up = scene.scripted()
    tunnel = expose(scene, up, policy=rule("on_tcp_connect",
                                           ("restrict-ips", {"allow": ["192.0.2.0/24"]})))
    hello = client_hello.capture(tunnel.host)[0]
    with Conn(scene.gateway.https_port, tunnel.host, first=hello) as conn:
        conn.wait_closed()
    assert not up.connections
    with Conn(scene.gateway.https_port, tunnel.host, source=BALANCER, first=v2() + hello) as conn:
        assert up.accept().read_exactly(len(hello)) == hello


def test_agent_that_leaves_ends_its_connections(scene, certificates):
    host = f"{scene.name()}.example.test"
    tunnel = expose(scene, server(scene, certificates, host), host)
    conn = visit(scene, certificates, host)
    greeting(conn)
    tunnel.stop()
    conn.read_all()


def test_unreachable_upstream_just_closes(scene):
    """There is nobody to tell: the connection is closed."""
    tunnel = expose(scene, type("Nobody", (), {"port": free_port()}))
    with Conn(scene.gateway.https_port, tunnel.host,
              first=client_hello.capture(tunnel.host)[0]) as conn:
        conn.wait_closed()
