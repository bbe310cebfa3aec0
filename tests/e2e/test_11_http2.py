"""HTTP/2 of visitors: every kind of message, many streams, back-pressure, WebSocket, the ends."""

import base64
import functools
import hashlib
import json
import signal
import subprocess
import time

import pytest
from h2.exceptions import StreamClosedError

from lib.content import content, digest
from lib.h2 import H2Conn, StreamWasReset

MIB = 1024 * 1024
SETTINGS = {"limits": {"stall_timeout_ms": 60000}}

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, CANCEL, CALM = 0, 1, 2, 8, 11
#: How long the gateway waits for the end of a request that was answered early.
LINGER_SECONDS = 2


@pytest.fixture
def h2(scene):
    """h2(tunnel) is a connection to it by TLS; h2(tunnel, tls=False) one with prior knowledge."""

    def connect(tunnel, tls=True, **kw):
        host = getattr(tunnel, "host", tunnel)
        port = scene.gateway.https_port if tls else scene.gateway.http_port
        return scene.keep(H2Conn(port, host, tls, **kw))

    return connect


def curl(scene, url, *args, option="--http2"):
    status, out, err = scene.curl(url, option, "-k", *args)
    assert status == 0, err
    return out


# ---- messages, by real clients ----


def test_curl_over_tls_and_with_prior_knowledge(scene):
    app = scene.app()
    secure, plain = scene.tunnel(app), scene.plain(app)
    version = ["-w", "%{http_version}"]
    out = curl(scene, f"https://{secure.host}:{scene.gateway.https_port}/hello", *version)
    assert out == b"hello from app\n2"
    out = curl(scene, f"http://{plain.host}:{scene.gateway.http_port}/hello", *version,
               option="--http2-prior-knowledge")
    assert out == b"hello from app\n2"
    # An Upgrade to h2c is none: it is served as HTTP/1.1.
    out = curl(scene, f"http://{plain.host}:{scene.gateway.http_port}/hello", *version)
    assert out == b"hello from app\n1.1"


def test_large_bodies_both_ways(scene, tmp_path):
    size = 20 * MIB
    file = tmp_path / "body"
    file.write_bytes(content(size))
    tunnel = scene.tunnel(scene.app())
    base = f"https://{tunnel.host}:{scene.gateway.https_port}"
    assert curl(scene, f"{base}/upload", "-T", file) == f"{size} {digest(size)}".encode()
    curl(scene, f"{base}/bytes/{size}", "-o", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == file.read_bytes()
    curl(scene, f"{base}/chunked/{size}", "-o", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == file.read_bytes()


def test_node_fetches_and_uploads(scene, node):
    tunnel = scene.tunnel(scene.app())
    process = node.start("h2_client.js", f"https://{tunnel.host}:{scene.gateway.https_port}",
                         scene.gateway.https_port)
    assert process.wait_exit(120) == 0, process.describe()
    assert process.out[-1] == "ok", process.describe()


def test_h2load_gets_every_answer(scene):
    tunnel = scene.tunnel(scene.app())
    port = scene.gateway.https_port
    done = subprocess.run(
        ["h2load", "-n", "2000", "-c", "8", "-m", "16", "--connect-to", f"127.0.0.1:{port}",
         f"https://{tunnel.host}:{port}/hello"], capture_output=True, text=True, check=True)
    assert "2000 succeeded, 0 failed, 0 errored" in done.stdout, done.stdout


def test_many_requests_at_once_are_not_held_back(scene, h2):
    """What the gateway gathers for the SSH connection leaves at the end of a loop turn. Forgotten
    there, the kernel would let it go after 200 ms, each time."""
    conn = h2(scene.tunnel(scene.app()))
    took = []
    for _ in range(15):
        begin = time.monotonic()
        for stream in [conn.request() for _ in range(16)]:
            assert conn.finish(stream).status == 200
        took.append(time.monotonic() - begin)
    assert min(took) < 0.19, took


def test_what_the_upstream_sees(scene, h2):
    """Cookies are one field, te is none, Host is the authority."""
    app = scene.app()
    conn = h2(scene.tunnel(app))
    mark = scene.gateway.mark()
    response = conn.get("/echo?a=b", headers=[("cookie", "a=1"), ("te", "trailers"),
                                             ("cookie", "b=2"), ("x-odd", "ü")])
    echo = json.loads(bytes(response.body))
    headers = echo["headers"]
    assert ["cookie", "a=1; b=2"] in headers
    assert ["host", conn.host] in headers
    assert not [n for n, _ in headers if n in ("te", "connection", "transfer-encoding")]
    assert (echo["method"], echo["target"]) == ("GET", "/echo?a=b")
    entry = scene.gateway.wait_exchange("/echo", mark)
    assert entry["http"]["request"]["version"] == "HTTP/2.0"


def test_trailers_both_ways(scene, h2):
    up = scene.scripted()
    conn = h2(scene.tunnel(up))
    stream = conn.request("/", "POST", end=False)
    conn.send(stream, b"hello")
    conn.send_trailers(stream, [("x-sum", "5"), ("authorization", "x")])
    upstream = up.accept()
    request = upstream.read_request()
    assert request.body == b"hello"
    assert request.trailers == [("x-sum", "5")]
    upstream.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"
                  b"Grpc-Status: 0\r\n\r\n")
    response = conn.finish(stream)
    assert response.body == b"ok"
    assert response.trailers == [("grpc-status", "0")]


def test_interim_heads(scene, h2):
    up = scene.scripted()
    conn = h2(scene.tunnel(up))
    stream = conn.request("/", "POST", [("expect", "100-continue")], end=False)
    upstream = up.accept()
    assert upstream.read_head().header("expect") == "100-continue"
    upstream.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
    conn.read_until(lambda: len(conn.responses[stream].interim) == 2, "interim heads")
    conn.send(stream, b"x", end=True)
    upstream.read_until(b"0\r\n\r\n")
    upstream.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert conn.finish(stream).status == 204


def test_server_sent_events_come_one_by_one(scene, h2):
    up = scene.scripted()
    conn = h2(scene.tunnel(up))
    stream = conn.request("/")
    upstream = up.accept()
    upstream.read_request()
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
    conn.read_head(stream)
    for i in range(20):
        event = f"data: {i}\n\n".encode()
        upstream.send(event)
        conn.read_until(lambda: conn.responses[stream].body.endswith(event), "an event")
    upstream.sock.close()
    assert conn.finish(stream).ended


@pytest.mark.parametrize("headers, status", [
    ([(":method", "CONNECT"), (":authority", "HOST")], 405),
    ([(":method", "CONNECT"), (":protocol", "masque"), (":scheme", "https"), (":path", "/"),
      (":authority", "HOST")], 501),
    ([(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "HOST"),
      ("host", "other.example.test")], 400),
    ([(":method", "GET"), (":scheme", "https"), (":path", "/a#b"), (":authority", "HOST")], 400),
    ([(":method", "GET"), (":scheme", "ftp"), (":path", "/"), (":authority", "HOST")], 400),
    ([(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "u@HOST")], 400),
    ([(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "HOST"),
      *[(f"x-{i}", "") for i in range(1001)]], 431),
])
def test_refused_heads_leave_the_connection(scene, h2, headers, status):
    conn = h2(scene.tunnel(scene.app()))
    stream = conn.request()
    other = conn.h2.get_next_available_stream_id()
    conn.responses[other] = type(conn.responses[stream])()
    conn.h2.send_headers(other, [(n, v.replace("HOST", conn.host)) for n, v in headers],
                         end_stream=True)
    conn.flush()
    response = conn.finish(other)
    assert response.status == status
    assert response.header("sallyport-error-code") == "ERR_SALLYPORT_3007"
    assert conn.finish(stream).status == 200
    assert conn.get().status == 200


def test_421_for_a_name_that_the_certificate_does_not_cover(scene, h2):
    app = scene.app()
    one, two = scene.tunnel(app), scene.tunnel(app)
    conn = h2(one)
    assert conn.get(authority=two.host).status == 421
    assert conn.get().status == 200


def test_large_heads(scene, h2):
    up = scene.scripted()
    conn = h2(scene.tunnel(up))
    # Huffman codes of long values take this client's encoder seconds.
    conn.h2.encoder.encode = functools.partial(conn.h2.encoder.encode, huffman=False)
    big = [(f"x-{i}", "v" * 30000) for i in range(10)]
    stream = conn.request("/", headers=big)
    upstream = up.accept()
    assert upstream.read_request().header("x-9") == "v" * 30000
    head = "".join(f"x-{i}: {'X' * 30000}\r\n" for i in range(1, 9))
    upstream.send(f"HTTP/1.1 200 OK\r\n{head}Content-Length: 0\r\n\r\n".encode())
    conn.h2.decoder.max_header_list_size = MIB
    assert conn.finish(stream).header("x-8") == "X" * 30000
    assert conn.get(headers=[(f"y-{i}", "v" * 60000) for i in range(20)]).status == 431


# ---- streams beside streams ----


def test_streams_of_many_endpoints_sessions_and_workers(scene, h2):
    """One connection with prior knowledge asks for endpoints of two sessions, all at once."""
    tunnels = [scene.plain(scene.app(name=f"app{i}"), key=key)
               for i, key in enumerate(("alice", "bob", "alice", "bob"))]
    conn = h2(tunnels[0], tls=False)
    streams = [(i % 4, conn.request(f"/bytes/{1000 * i}" if i % 3 else "/hello",
                                    authority=tunnels[i % 4].host)) for i in range(100)]
    for n, (i, stream) in enumerate(streams):
        response = conn.finish(stream)
        assert response.status == 200
        expected = content(1000 * n) if n % 3 else f"hello from app{i}\n".encode()
        assert bytes(response.body) == expected


def test_a_stream_that_is_not_read_holds_up_no_other(scene, h2):
    conn = h2(scene.tunnel(scene.app()), reads=False)
    before = scene.gateway.rss()
    slow = conn.request(f"/bytes/{20 * MIB}")
    conn.read_until(lambda: len(conn.responses[slow].body) == 65535, "a full window")
    conn.h2.increment_flow_control_window(MIB)
    conn.flush()
    for _ in range(5):
        assert conn.get().body == b"hello from app\n"
    assert len(conn.responses[slow].body) == 65535
    scene.gateway.assert_growth(before)
    conn.reads = True
    conn.h2.increment_flow_control_window(40 * MIB, slow)
    conn.h2.increment_flow_control_window(40 * MIB)
    conn.flush()
    assert bytes(conn.finish(slow, 60).body) == content(20 * MIB)


def test_a_slow_upstream_blocks_its_stream_only(scene, h2):
    """The window of a stream is given back as its upstream reads."""
    up = scene.scripted()
    conn = h2(scene.tunnel(up))
    quick = scene.tunnel(scene.app())
    stream = conn.request("/", "POST", end=False)
    upstream = up.accept()
    upstream.read_head()
    sent = 0
    while room := min(conn.h2.local_flow_control_window(stream), 16384):
        conn.h2.send_data(stream, bytes(room))
        conn.flush()
        sent += room
        if sent > 64 * MIB:
            pytest.fail("the window never closes")
        conn.sock.settimeout(0.2)
        while conn.h2.local_flow_control_window(stream) == 0:
            try:
                conn.read(0.5)
            except TimeoutError:
                break
    assert scene.get(quick).status == 200
    got = bytearray()
    conn.h2.end_stream(stream)
    conn.flush()
    while size := int(upstream.read_until(b"\r\n", 30), 16):
        got += upstream.read_exactly(size + 2, 30)[:-2]
    assert bytes(got) == bytes(sent)
    upstream.read_until(b"\r\n")
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert conn.finish(stream).body == b"ok"


# ---- WebSocket (RFC 8441) ----


def test_websocket(scene, h2):
    up = scene.scripted()
    conn = h2(scene.tunnel(up))
    conn.read_until(lambda: conn.h2.remote_settings.enable_connect_protocol == 1, "the settings")
    stream = conn.websocket("/chat")
    upstream = up.accept()
    head = upstream.read_head()
    assert (head.method, head.target) == ("GET", "/chat")
    assert head.header("upgrade") == "websocket"
    key = head.header("sec-websocket-key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
    conn.send(stream, b"early")
    upstream.send(f"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket"
                  f"\r\nSec-WebSocket-Accept: {accept}\r\n\r\nfirst".encode())
    response = conn.read_head(stream)
    assert response.status == 200
    assert response.header("sec-websocket-accept") is None
    assert upstream.read_exactly(5) == b"early"
    body = content(MIB)
    conn.send(stream, body)
    assert upstream.read_exactly(MIB) == body
    upstream.send(body)
    conn.read_until(lambda: len(response.body) == MIB + 5, "the echo")
    assert bytes(response.body) == b"first" + body
    conn.send(stream, b"", end=True)
    assert upstream.read_all() == b""
    upstream.sock.close()
    assert conn.finish(stream).ended


@pytest.mark.parametrize("accept", ["", "Sec-WebSocket-Accept: AAAA\r\n"])
def test_websocket_that_the_upstream_does_not_mean(scene, h2, accept):
    up = scene.scripted()
    conn = h2(scene.tunnel(up))
    stream = conn.websocket()
    upstream = up.accept()
    upstream.read_head()
    upstream.send(f"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{accept}\r\n"
                  .encode())
    assert conn.finish(stream).reset == INTERNAL_ERROR


def test_websocket_that_is_refused(scene, h2):
    tunnel = scene.tunnel(scene.app())
    conn = h2(tunnel)
    response = conn.finish(conn.websocket("/status/403"))
    assert response.status == 403
    assert conn.get().status == 200


def test_websocket_of_real_ends(scene, node):
    server = scene.keep(node.start("ws_server.js"), "stop")
    tunnel = scene.tunnel(int(server.wait_out()[0]))
    client = node.start("h2_ws_client.js", tunnel.host, scene.gateway.https_port)
    assert client.wait_exit(120) == 0, client.describe()
    assert client.out[-1] == "ok", client.describe()


# ---- ends ----


def refused_upload(scene, h2):
    """A connection and stream that were answered in the middle of a request body, and when that was
    at the earliest."""
    up = scene.scripted()
    conn = h2(scene.tunnel(up))
    stream = conn.request("/", "POST", end=False)
    conn.send(stream, b"some")
    upstream = up.accept()
    upstream.read_head()
    begin = time.monotonic()
    upstream.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nno!")
    response = conn.responses[stream]
    conn.read_until(lambda: response.ended, "the response")
    return up, conn, stream, response, begin


def is_patience_over(response, begin):
    """A visitor that is slow is told to stop, without an error."""
    return response.reset == NO_ERROR and time.monotonic() - begin > LINGER_SECONDS


def test_early_response_lets_the_visitor_finish(scene, h2):
    """Curl 7.88, for one, loses a response when its upload is reset right behind it."""
    up, conn, stream, response, begin = refused_upload(scene, h2)
    if response.reset is None:
        conn.send(stream, b"x" * 100000, end=True)
    second = conn.request("/")
    upstream = up.accept()
    upstream.read_head()
    upstream.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert conn.finish(second).status == 204
    assert (response.status, bytes(response.body)) == (413, b"no!")
    assert response.reset is None or is_patience_over(response, begin)


def test_early_response_to_an_endless_upload(scene, h2):
    """It is taken for a while, and then the visitor is told to stop."""
    _, conn, stream, response, begin = refused_upload(scene, h2)
    sent = 0
    with pytest.raises((StreamWasReset, StreamClosedError)):
        while sent < 71 * MIB:
            conn.send(stream, bytes(MIB))
            sent += MIB
    assert response.reset == NO_ERROR
    assert sent >= 7 * MIB or is_patience_over(response, begin)


def test_early_response_to_a_visitor_who_waits(scene, h2):
    """The visitor is told to stop, without an error."""
    _, conn, _, response, _ = refused_upload(scene, h2)
    conn.read_until(lambda: response.reset is not None, "the reset")
    assert (response.status, bytes(response.body), response.reset) == (413, b"no!", NO_ERROR)


def test_visitor_resets(scene, h2):
    """In the request, before the response, in it: the upstream's connection goes, no other stream."""
    up = scene.scripted()
    tunnel = scene.tunnel(up)
    conn = h2(tunnel)
    mark = scene.gateway.mark()
    for when in ("request", "wait", "response"):
        stream = conn.request("/" + when, "POST", end=when != "request")
        upstream = up.accept()
        upstream.read_head()
        if when == "response":
            upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
            conn.read_until(lambda: conn.responses[stream].body, "the body")
        conn.reset(stream)
        upstream.read_all()
        assert scene.gateway.wait_exchange("/" + when, mark)
    stream = conn.request("/last")
    upstream = up.accept()
    upstream.read_head()
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert conn.finish(stream).body == b"ok"


def test_upstream_breaks(scene, h2):
    """Before the head: an error page. Behind it: what came, then a reset."""
    up = scene.scripted()
    conn = h2(scene.tunnel(up))
    stream = conn.request("/", "POST", end=False)
    up.accept().sock.close()
    assert conn.finish(stream).status == 502
    stream = conn.request("/")
    upstream = up.accept()
    upstream.read_head()
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
    upstream.sock.close()
    response = conn.finish(stream)
    assert (response.status, bytes(response.body), response.reset) == (200, b"abc", INTERNAL_ERROR)


def test_policy_that_closes_resets_the_connection(scene, h2, tmp_path):
    policy = tmp_path / "policy.yml"
    policy.write_text("on_http_request:\n"
                      "  - expressions: [\"req.url.path == '/bad' && req.version == 'HTTP/2.0'\"]\n"
                      "    actions: [{type: close-connection}]\n")
    tunnel = scene.ssh("t-close.example.test:80:127.0.0.1:%d" % scene.app().port,
                       command="http --traffic-policy-file -", stdin=policy.open())
    conn = h2(tunnel.url.split("/")[2].split(":")[0], tls=False)
    assert conn.get().status == 200
    conn.request("/bad")
    assert conn.read_end() is None
    assert conn.was_reset


def test_visitor_leaves_with_much_under_way(scene, h2):
    conn = h2(scene.tunnel(scene.app()), reads=False)
    for _ in range(50):
        conn.request(f"/bytes/{MIB}")
    conn.close()
    scene.gateway.wait_gauge("sallyport_exchanges", 0)


def test_drain(scene, h2):
    """Two GOAWAYs; what is under way is finished, and then the connection ends."""
    gateway = scene.start_gateway(SETTINGS)
    up = scene.scripted()
    conn = h2(scene.tunnel(up))
    stream = conn.request("/")
    upstream = up.accept()
    upstream.read_head()
    gateway.process.signal(signal.SIGTERM)
    conn.read_until(lambda: len(conn.goaway) == 2, "two GOAWAYs")
    assert conn.goaway == [(NO_ERROR, 2**31 - 1), (NO_ERROR, stream)]
    upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert conn.finish(stream).body == b"ok"
    conn.read_end()
    assert gateway.process.wait_exit(20) == 0


def test_idle_connection_is_told_to_go(scene, h2):
    scene.start_gateway({"limits": {"keepalive_timeout_ms": 3000}})
    conn = h2(scene.tunnel(scene.app()))
    assert conn.get().status == 200
    assert conn.read_end() == NO_ERROR


def test_http1_is_spoken_when_it_is_asked_for(scene):
    with scene.https(scene.tunnel(scene.app())) as conn:
        assert conn.get("/hello").status == 200
