"""How upstreams are talked to: TLS, HTTP/2, and the PROXY protocol."""

import hashlib
import json
import socket
import ssl
import struct
import subprocess
import threading

import pytest

from lib.content import digest
from lib.gateway import DOMAIN
from lib.policy import stdin_of
from lib.ports import free_port
from lib.upstream import Scripted
from lib.wait import wait_until

MIB = 1024 * 1024


class Authority:
    """Certificates for a name, with the authority that signed them."""

    def __init__(self, directory):
        self.directory = directory
        self._run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                  "-nodes", "-keyout", self.path("ca.key"), "-out", self.path("ca.pem"), "-days",
                  "30", "-subj", "/CN=Test CA")
        self.ca = self.path("ca.pem")

    def path(self, name):
        return str(self.directory / name)

    def leaf(self, name, alt):
        """(certificate, key) with this subjectAltName."""
        cert, key = self.path(f"{name}.pem"), self.path(f"{name}.key")
        self._run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                  "-keyout", key, "-out", self.path("req.pem"), "-subj", f"/CN={name}", "-addext",
                  f"subjectAltName={alt}")
        self._run("x509", "-req", "-in", self.path("req.pem"), "-CA", self.ca, "-CAkey",
                  self.path("ca.key"), "-days", "30", "-copy_extensions", "copy", "-out", cert)
        return cert, key

    @staticmethod
    def _run(*args):
        subprocess.run(["openssl", *args], check=True, stdin=subprocess.DEVNULL,
                       capture_output=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def leaf(authority):
    return authority.leaf("up", "DNS:up.test,DNS:localhost,IP:127.0.0.1,IP:::1")


@pytest.fixture
def serve(scene, node, leaf):
    """Starts an upstream of this kind; see node/upstream.js."""
    def start(kind):
        args = () if kind == "h2c" else leaf
        server = scene.keep(node.start("upstream.js", kind, *args), "stop")
        server.port = int(server.wait_out()[0])
        return server
    return start


FLAGS = {
    "h2c": "--upstream-protocol http2",
    "h2": "https://up.test:8443 --upstream-protocol http2",
    "https": "https://up.test:8443",
}
VERSIONS = {"h2c": "2.0", "h2": "2.0", "https": "1.1"}


@pytest.fixture
def tunnel(scene, serve):
    """A tunnel to an upstream of this kind."""
    return lambda kind, flags="", **kw: scene.tunnel(serve(kind), flags=f"{FLAGS[kind]} {flags}",
                                                     **kw)


def echo(scene, tunnel, target="/echo", **kw):
    with scene.https(tunnel) as conn:
        return echo_on(conn, target, **kw)


def echo_on(conn, target="/echo", headers=(), method="GET", body=None):
    response = conn.request(method, target, list(headers), body)
    assert response.status == 200, response
    return json.loads(response.text)


# ---- the same over every protocol ----

KINDS = list(FLAGS)


@pytest.mark.parametrize("kind", KINDS)
def test_request_reaches_the_upstream(scene, tunnel, kind):
    t = tunnel(kind)
    seen = echo(scene, t, headers=[("X-Test", "a"), ("Connection", "x-hop"), ("X-Hop", "b")])
    assert seen["version"] == VERSIONS[kind]
    headers = seen["headers"]
    assert headers["x-test"] == "a" and "x-hop" not in headers
    assert headers["x-forwarded-for"] == "127.0.0.1"
    if kind != "https":
        assert headers[":authority"].split(":")[0] == t.host and headers["te"] == "trailers"
        assert headers[":scheme"] == ("https" if kind == "h2" else "http")
    if kind != "h2c":
        assert seen["sni"] == "up.test"
        assert seen["alpn"] in ({"h2": "h2", "https": "http/1.1"}[kind], None)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chunked", [False, True])
def test_large_upload_is_byte_exact(scene, tunnel, kind, chunked):
    with scene.https(tunnel(kind)) as conn:
        response = conn.upload("/echo", 20 * MIB, chunked=chunked)
    seen = json.loads(response.text)
    assert seen["length"] == 20 * MIB and seen["sha256"] == digest(20 * MIB)
    assert seen["headers"].get("content-length") == (None if chunked else str(20 * MIB))


@pytest.mark.parametrize("kind", KINDS)
def test_large_response_is_byte_exact(scene, tunnel, kind):
    count, total = 0, hashlib.sha256()

    def sink(data):
        nonlocal count
        count += len(data)
        total.update(data)

    with scene.https(tunnel(kind)) as conn:
        assert conn.request("GET", f"/bytes/{30 * MIB}", sink=sink, seconds=60).status == 200
    assert count == 30 * MIB and total.hexdigest() == hashlib.sha256(bytes(30 * MIB)).hexdigest()


@pytest.mark.parametrize("kind", KINDS)
def test_both_directions_at_once_and_trailers(scene, tunnel, kind):
    with scene.https(tunnel(kind)) as conn:
        conn.send(conn.request_bytes("POST", "/mirror", [("Transfer-Encoding", "chunked")]))
        conn.send(b"5\r\nhello\r\n")
        response = conn.read_head()
        assert response.status == 200
        assert conn.read_chunk() == b"hello"
        conn.send(b"5\r\nworld\r\n0\r\nX-Sum: 42\r\n\r\n")
        body = bytearray()
        conn.read_chunked(response, body.extend, 10)
        assert body == b"world" and ("x-sum", "42") in [(n.lower(), v)
                                                        for n, v in response.trailers]


@pytest.mark.parametrize("kind", KINDS)
def test_trailers_of_a_response(scene, tunnel, kind):
    response = scene.get(tunnel(kind), "/trailers")
    assert response.body == b"message"
    names = {n.lower(): v for n, v in response.trailers}
    assert names == {"grpc-status": "0", "grpc-message": "fine"}


@pytest.mark.parametrize("kind", KINDS)
def test_head_and_empty_bodies(scene, tunnel, kind):
    with scene.https(tunnel(kind)) as conn:
        head = conn.request("HEAD", "/echo")
        assert head.status == 200 and head.body == b""
        empty = conn.request("GET", "/bytes/0")
        assert empty.status == 200 and empty.body == b""
        seen = echo_on(conn, method="POST", body=b"")
        assert seen["length"] == 0
        conn.send(conn.request_bytes("POST", "/echo", [("Transfer-Encoding", "chunked")]) +
                  b"0\r\n\r\n")
        assert json.loads(conn.read_response().text)["length"] == 0


@pytest.mark.parametrize("kind", ["h2c", "h2"])
def test_early_response(scene, tunnel, kind):
    with scene.https(tunnel(kind)) as conn:
        conn.send(conn.request_bytes("POST", "/early", [("Content-Length", str(10 * MIB))]))
        conn.send(bytes(65536))
        response = conn.read_response()
        assert response.status == 413 and response.body == b"too much"


# ---- TLS ----


def test_tls_plain_upstream_is_explained(scene):
    up = scene.scripted()
    t = scene.tunnel(up, flags="https://up.test:8443")
    with scene.https(t) as conn:
        conn.send(conn.request_bytes("GET", "/"))
        up.accept().send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        response = conn.read_response()
    assert (response.status, response.error_code) == (502, "ERR_SALLYPORT_3002"), response
    assert "version" not in response.text.lower().replace("sallyport", "")
    t.wait_err("TLS failed: .*(wrong version|packet length|record)")
    scene.gateway.wait_log(lambda e: e["event"] == "upstream.tls_failed", what="the failure")


def verified(scene, server, authority, hint="https://up.test:8443", cas=True, flags=""):
    stdin = stdin_of(open(authority.ca, encoding="ascii").read()) if cas else subprocess.DEVNULL
    what = "--upstream-tls-verify-cas -" if cas else "--upstream-tls-verify"
    return scene.tunnel(server, flags=f"{hint} {what} {flags}", stdin=stdin)


@pytest.mark.parametrize("kind", ["https", "h2"])
@pytest.mark.parametrize("hint", ["https://up.test:8443", "https://127.0.0.1:1", "https://[::1]:1"])
def test_tls_verify_takes_the_right_certificate(scene, serve, authority, kind, hint):
    t = verified(scene, serve(kind), authority, hint,
                 flags="--upstream-protocol http2" if kind == "h2" else "")
    seen = echo(scene, t)
    assert seen["version"] == VERSIONS[kind]
    assert seen["sni"] == ("up.test" if "up.test" in hint else None) or seen["sni"] is False


@pytest.mark.parametrize("kind", ["https", "h2"])
def test_tls_verify_refuses_others(scene, serve, authority, kind):
    protocol = "--upstream-protocol http2" if kind == "h2" else ""
    server = serve(kind)
    for t, reason in [
            (verified(scene, server, authority, "https://other.test", flags=protocol), "mismatch"),
            (verified(scene, server, authority, "https://127.0.0.2", flags=protocol), "mismatch"),
            (verified(scene, server, authority, cas=False, flags=protocol),
             "unable to get local issuer"),
    ]:
        response = scene.get(t)
        assert (response.status, response.error_code) == (502, "ERR_SALLYPORT_3002"), response
        assert "could not be verified" in response.text and reason not in response.text
        t.wait_err(reason)


def test_problems_of_one_upstream_do_not_silence_those_of_another(scene, serve, authority):
    server = serve("https")
    noisy = verified(scene, server, authority, "https://other.test")
    for _ in range(12):
        assert scene.get(noisy).status == 502
    quiet = verified(scene, server, authority, cas=False)
    assert scene.get(quiet).status == 502
    quiet.wait_err("unable to get local issuer")


def test_tls_is_not_verified_by_default(scene, node, authority):
    cert, key = authority.leaf("stranger", "DNS:stranger.test")
    server = scene.keep(node.start("upstream.js", "https", cert, key), "stop")
    server.port = int(server.wait_out()[0])
    assert echo(scene, scene.tunnel(server, flags="https://up.test"))["version"] == "1.1"


@pytest.mark.parametrize("text, message", [
    ("", "no certificate in it"), ("hello", "no certificate in it"),
    ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "cannot be read"),
])
def test_bad_authorities_open_nothing(scene, text, message):
    ssh = scene.ssh("bad-ca.example.test:443:127.0.0.1:9",
                    command="http https://up.test --upstream-tls-verify-cas -",
                    stdin=stdin_of(text))
    assert ssh.wait_exit() not in (0, None)
    err = "\n".join(ssh.err)
    assert message in err and "ERR_SALLYPORT_1920" in err and ssh.out == [], ssh.describe()


@pytest.mark.parametrize("flags, number", [
    ("--upstream-protocol h3", 15003), ("--app-protocol x", 15003),
    ("--upstream-proxy-protocol 3", 1123), ("--proxy-proto x", 1123),
    ("--upstream-tls-verify", 1109), ("http://localhost --verify-upstream-tls", 1109),
    ("https:// --upstream-tls-verify-cas ca.pem", 1109), ("https:// --upstream-ca-path ca_1", 1109),
    ("https:// --upstream-tls-verify-cas - --traffic-policy-file -", 1109),
])
def test_wrong_flags_are_explained(scene, flags, number):
    ssh = scene.ssh("wrong.example.test:443:127.0.0.1:9", command=f"http {flags}")
    assert ssh.wait_exit() not in (0, None)
    assert f"ERR_SALLYPORT_{number}" in "\n".join(ssh.err) and ssh.out == [], ssh.describe()


class TlsScripted(Scripted):
    """A Scripted that speaks TLS."""

    def __init__(self, leaf):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*leaf)
        super().__init__()

    def on_conn(self, conn):
        try:
            conn.sock = self.context.wrap_socket(conn.sock, server_side=True,
                                                 suppress_ragged_eofs=True)
        except OSError:
            return
        self.waiting.put(conn)


@pytest.mark.parametrize("clean", [True, False])
def test_tls_cut_is_no_end(scene, leaf, clean):
    """A body that ends with the connection is complete with close_notify only."""
    up = scene.keep(TlsScripted(leaf))
    t = scene.tunnel(up, flags="https://up.test")
    with scene.https(t) as conn:
        conn.send(conn.request_bytes("GET", "/"))
        peer = up.accept()
        peer.read_head()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        response = conn.read_head()
        assert response.status == 200
        assert conn.read_chunk() == b"all of it"
        if clean:
            peer.sock = peer.sock.unwrap()
        peer.close()
        if clean:
            assert conn.read_chunk() == b""
        else:
            with pytest.raises((EOFError, AssertionError, OSError)):
                conn.read_chunk()


def test_tls_handshake_takes_only_so_long(scene):
    scene.start_gateway({"limits": {"upstream_tls_timeout_ms": 300}})
    up = scene.scripted()
    t = scene.tunnel(up, flags="https://up.test")
    response = scene.get(t)
    assert (response.status, response.error_code) == (504, "ERR_SALLYPORT_3005"), response


# ---- HTTP/2 ----


def test_http2_many_requests_share_one_connection(scene, tunnel):
    t = tunnel("h2c")
    assert echo(scene, t)["sessions"] == 1
    conns = [scene.https(t) for _ in range(30)]
    for conn in conns:
        conn.send(conn.request_bytes("GET", "/hold"))
    wait_until(lambda: scene.gateway.gauges()["sallyport_exchanges"] == 30, "30 exchanges")
    assert scene.gateway.gauges()["sallyport_streams"] <= 2  # one of each worker
    with scene.https(t) as conn:
        assert conn.get("/release").body == b"done"
    for conn in conns:
        assert conn.read_response().body == b"released"
    assert echo(scene, t)["sessions"] <= 2


def test_http2_slow_visitor_holds_up_nobody(scene, tunnel):
    scene.start_gateway({"workers": 1})
    t = tunnel("h2c")
    slow = scene.https(t)
    slow.send(slow.request_bytes("GET", f"/bytes/{50 * MIB}"))
    assert slow.read_head().status == 200
    with scene.https(t) as conn:
        for _ in range(20):
            assert echo_on(conn)["sessions"] == 1
        assert len(conn.get(f"/bytes/{4 * MIB}", seconds=30).body) == 4 * MIB
    left = 50 * MIB
    while left:
        piece = slow.read_chunk(30)
        assert piece
        left -= len(piece)


def test_http2_hints_are_passed_on(scene, tunnel):
    response = scene.get(tunnel("h2c"), "/hints")
    assert [i.status for i in response.interim] == [103] and response.body == b"hello"


def test_http2_reset_before_the_head_is_502(scene, tunnel):
    response = scene.get(tunnel("h2c"), "/reset/head")
    assert (response.status, response.error_code) == (502, "ERR_SALLYPORT_3004"), response


def test_http2_reset_in_the_body_cuts_the_response(scene, tunnel):
    with scene.https(tunnel("h2c")) as conn:
        conn.send(conn.request_bytes("GET", "/reset/body"))
        assert conn.read_head().status == 200
        with pytest.raises((EOFError, AssertionError, OSError)):
            while conn.read_chunk():
                pass
            raise AssertionError("the response seems complete")


def test_http2_refused_stream_is_tried_again(scene, tunnel):
    t = tunnel("h2c")
    with scene.https(t) as conn:
        assert echo_on(conn, "/refuse-once", method="POST", body=b"")["method"] == "POST"


def test_http2_goaway_loses_no_request(scene, tunnel):
    t = tunnel("h2c")
    problems = []

    def visit(number):
        try:
            with scene.https(t) as conn:
                for i in range(40):
                    echo_on(conn, "/goaway" if (i + number) % 10 == 0 else "/echo")
        except Exception as e:
            problems.append(e)

    threads = [threading.Thread(target=visit, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not problems, problems[0]


def test_http2_upstream_that_speaks_http1_is_502(scene):
    up = scene.scripted()
    t = scene.tunnel(up, flags="--upstream-protocol http2")
    with scene.https(t) as conn:
        conn.send(conn.request_bytes("GET", "/"))
        up.accept().send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        response = conn.read_response()
    assert (response.status, response.error_code) == (502, "ERR_SALLYPORT_3004"), response
    assert "does not speak it" in response.text


def test_http2_falls_back_when_alpn_says_so(scene, serve):
    t = scene.tunnel(serve("https"), flags="https://up.test --upstream-protocol http2")
    with scene.https(t) as conn:
        for _ in range(3):
            assert echo_on(conn)["version"] == "1.1"
        assert echo_on(conn, method="POST", body=b"abc")["length"] == 3


def test_http2_refused_upstream_is_502(scene):
    t = scene.tunnel(free_port(), flags="--upstream-protocol http2")
    response = scene.get(t)
    assert (response.status, response.error_code) == (502, "ERR_SALLYPORT_8012"), response


def test_http2_websocket_goes_by_extended_connect(scene, tunnel):
    t = tunnel("h2c")
    key = "dGhlIHNhbXBsZSBub25jZQ=="
    with scene.https(t) as conn:
        conn.send(conn.request_bytes("GET", "/chat", [
            ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", key)]))
        head = conn.read_head()
        assert head.status == 101 and head.header("x-protocol") == "websocket", head
        assert head.header("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        data = bytes(range(256)) * 200
        for _ in range(10):
            conn.send(data)
            assert conn.read_exactly(len(data), 20) == data


def test_http2_connections_end_when_idle_and_with_their_endpoint(scene, tunnel):
    scene.start_gateway({"limits": {"upstream_idle_ms": 300}})
    t = tunnel("h2c")
    echo(scene, t)
    scene.gateway.wait_gauge("sallyport_streams", 0)
    scene.start_gateway()
    t = tunnel("h2c")
    echo(scene, t)
    assert scene.gateway.gauges()["sallyport_streams"] == 1
    t.stop()
    scene.gateway.wait_gauge("sallyport_streams", 0)


# ---- the PROXY protocol ----


def read_v1(conn):
    line = conn.read_until(b"\r\n").decode()
    word, family, source, destination, source_port, port = line.split()
    assert word == "PROXY"
    return family, source, int(source_port), destination, int(port)


def read_v2(conn):
    head = conn.read_exactly(16)
    assert head[:13] == b"\r\n\r\n\0\r\nQUIT\n\x21", head
    rest = conn.read_exactly(struct.unpack("!H", head[14:16])[0])
    assert head[13] == 0x11 and len(rest) == 12
    source, destination, source_port, port = struct.unpack("!4s4sHH", rest)
    return "TCP4", socket.inet_ntoa(source), source_port, socket.inet_ntoa(destination), port


@pytest.mark.parametrize("flag, read", [
    ("--upstream-proxy-protocol 1", read_v1), ("--upstream-proxy-protocol 2", read_v2),
    ("--proxy-proto 1", read_v1),
])
def test_proxy_header_names_the_visitor(scene, flag, read):
    up = scene.scripted()
    t = scene.tunnel(up, flags=flag)
    for _ in range(2):  # one connection for each request: the header speaks for one visitor
        with scene.https(t) as conn:
            conn.send(conn.request_bytes("GET", "/"))
            peer = up.accept()
            assert read(peer) == ("TCP4", "127.0.0.1", conn.sock.getsockname()[1], "127.0.0.1",
                                  scene.gateway.https_port)
            peer.read_head()
            peer.respond(b"seen")
            assert conn.read_response().body == b"seen"
            peer.wait_eof()


def test_proxy_header_comes_before_tls(scene, leaf):
    up = scene.scripted()
    t = scene.tunnel(up, flags="https://up.test --upstream-proxy-protocol 2")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*leaf)
    with scene.https(t) as conn:
        conn.send(conn.request_bytes("GET", "/"))
        peer = up.accept()
        header = peer.sock.recv(28, socket.MSG_WAITALL)
        assert header[:13] == b"\r\n\r\n\0\r\nQUIT\n\x21"
        peer.sock = context.wrap_socket(peer.sock, server_side=True)
        peer.read_head()
        peer.respond(b"seen")
        assert conn.read_response().body == b"seen"


def test_proxy_header_and_http2(scene):
    up = scene.scripted()
    t = scene.tunnel(up, flags="--upstream-protocol http2 --upstream-proxy-protocol 1")
    with scene.https(t) as conn:
        conn.send(conn.request_bytes("GET", "/"))
        peer = up.accept()
        assert read_v1(peer)[0] == "TCP4"
        assert peer.read_exactly(24) == b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def test_hint_decides_the_rewritten_host(scene, serve):
    t = scene.tunnel(serve("https"), flags="https://up.test:443 --host-header rewrite")
    assert echo(scene, t)["headers"]["host"] == "up.test"
    assert t.host.endswith(DOMAIN)
