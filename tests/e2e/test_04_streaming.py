"""Bodies as streams: flushed at once, back-pressure both ways, WebSocket and other upgrades."""

import hashlib
import select
import socket
import ssl
import threading

import pytest

from lib.content import digest, pieces
from lib.wait import Deadline, stays, wait_until

MIB = 1024 * 1024
SETTINGS = {"limits": {"stall_timeout_ms": 60000}}


# ---- flushed at once ----


def test_server_sent_events(scene):
    """Each event arrives before the next one is made."""
    up = scene.scripted()
    visitor = scene.https(scene.tunnel(up))
    visitor.send(visitor.request_bytes("GET", "/", [("Accept", "text/event-stream")]))
    conn = up.accept()
    conn.read_request()
    conn.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
              b"\r\n")
    assert visitor.read_head().header("content-type") == "text/event-stream"
    for i in range(20):
        event = f"id: {i}\ndata: tick {i}\n\n".encode()
        conn.send(event)
        visitor.read_until(event)


def test_chunked_events(scene):
    """The same with chunks, one byte each."""
    up = scene.scripted()
    visitor = scene.https(scene.tunnel(up))
    visitor.send(visitor.request_bytes("GET", "/"))
    conn = up.accept()
    conn.read_request()
    conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    visitor.read_until(b"\r\n\r\n")
    for letter in b"streaming":
        conn.send(b"1\r\n%c\r\n" % letter)
        visitor.read_until(bytes([letter]))
    conn.send(b"0\r\n\r\n")
    visitor.read_until(b"0\r\n\r\n")


def test_head_is_flushed_before_the_body(scene):
    """A response head is passed on though no byte of the body has come."""
    up = scene.scripted()
    visitor = scene.https(scene.tunnel(up))
    visitor.send(visitor.request_bytes("GET", "/"))
    conn = up.accept()
    conn.read_request()
    conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
    assert visitor.read_head().status == 200
    conn.send(b"hello")
    assert visitor.read_exactly(5) == b"hello"


@pytest.mark.parametrize("chunked", [True, False])
def test_request_body_is_flushed(scene, chunked):
    """Each piece of a request body reaches the upstream before the next one is sent."""
    up = scene.scripted()
    visitor = scene.https(scene.tunnel(up))
    framing = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", "50")
    visitor.send(visitor.request_bytes("POST", "/", [framing]))
    conn = up.accept()
    conn.read_head()
    for i in range(10):
        piece = b"piece" if i < 9 else b"last!"
        visitor.send(b"5\r\n" + piece + b"\r\n" if chunked else piece)
        conn.read_until(piece)
    if chunked:
        visitor.send(b"0\r\n\r\n")
        conn.read_until(b"0\r\n\r\n")
    conn.respond()
    assert visitor.read_response("POST").status == 200


def test_both_directions_at_once(scene):
    """A mirror: the response streams back while the request still streams in, 16 MiB."""
    visitor = scene.https(scene.tunnel(scene.app()), seconds=60)
    size = 16 * MIB
    received = hashlib.sha256()
    visitor.send(visitor.request_bytes("POST", "/mirror", [("Content-Length", str(size))]))
    send_and_receive(visitor, pieces(size))
    visitor.read_response("POST", sink=received.update)
    assert received.hexdigest() == digest(size)


def send_and_receive(conn, source):
    """Sends all of source; what comes meanwhile goes to the buffer of conn. In turns on one
    non-blocking socket, as TLS sockets of Python are not for two threads."""
    busy = (ssl.SSLWantReadError, ssl.SSLWantWriteError)
    deadline = Deadline(60)
    conn.sock.setblocking(False)
    for piece in source:
        while piece:
            moved = False
            try:
                piece = piece[conn.sock.send(piece):]
                moved = True
            except busy:
                pass
            try:
                conn.buffer += conn.sock.recv(65536)
                moved = True
            except busy:
                pass
            if not moved:
                select.select([conn.sock], [conn.sock], [], deadline.left())


# ---- size and memory ----


@pytest.mark.parametrize("kind", ["bytes", "chunked", "until-close"])
def test_large_download(scene, kind):
    """64 MiB down, exact, while the gateway's memory grows by less than 16 MiB."""
    transfer(scene, kind, 64 * MIB)


@pytest.mark.parametrize("kind", ["upload", "upload-chunked"])
def test_large_upload(scene, kind):
    """64 MiB up, exact, in the same memory."""
    transfer(scene, kind, 64 * MIB)


def transfer(scene, kind, size, seconds=120):
    """One large body; returns nothing but fails when a byte differs or memory grows."""
    scene.start_gateway()
    tunnel = scene.tunnel(scene.app())
    visitor = scene.https(tunnel, seconds=seconds)
    visitor.get("/bytes/1000000")
    visitor.upload("/upload", 1000000)
    before = scene.gateway.rss()
    if kind.startswith("upload"):
        answer = visitor.upload("/upload", size, chunked=kind.endswith("chunked"), seconds=seconds)
        assert answer.text == f"{size} {digest(size)}"
    else:
        received = hashlib.sha256()
        visitor.get(f"/{kind}/{size}", sink=received.update, seconds=seconds)
        assert received.hexdigest() == digest(size)
    scene.gateway.assert_growth(before)


# ---- back-pressure ----


def blocked_sender(send):
    """Sends 64 KiB pieces in a thread until told to stop; .sent says how much was taken."""

    class Sender(threading.Thread):
        sent = 0
        done = False

        def run(self):
            for piece in pieces(256 * MIB):
                try:
                    send(piece)
                except OSError:
                    return
                self.sent += len(piece)
            self.done = True

    sender = Sender(daemon=True)
    sender.start()
    return sender


def wait_blocked(sender):
    """Waits until nothing more is taken; returns how much was."""
    last = [-1, 0]

    def still():
        if sender.sent != last[0]:
            last[:] = [sender.sent, 0]
        last[1] += 1
        return last[1] > 50 and sender.sent > 0

    wait_until(still, "the sender is blocked", 30)
    return sender.sent


def test_visitor_that_does_not_read(scene):
    """The upstream is slowed down: a bounded number of bytes is taken, and none is lost."""
    up = scene.scripted()
    tunnel = scene.tunnel(up)
    visitor = scene.https(tunnel, receive_buffer=65536, seconds=60)
    visitor.send(visitor.request_bytes("GET", "/"))
    conn = up.accept()
    conn.read_request()
    before = scene.gateway.rss()
    conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (256 * MIB))
    sender = blocked_sender(lambda piece: conn.send(piece, 120))
    taken = wait_blocked(sender)
    assert taken < 24 * MIB, f"{taken / MIB:.1f} MiB were taken"
    scene.gateway.assert_growth(before)
    received = hashlib.sha256()
    visitor.read_response("GET", 120, received.update)
    assert received.hexdigest() == digest(256 * MIB)


def test_upstream_that_does_not_read(scene):
    """The visitor is slowed down: a bounded number of bytes is taken."""
    up = scene.scripted()
    tunnel = scene.tunnel(up)
    visitor = scene.https(tunnel, seconds=120)
    before = scene.gateway.rss()
    visitor.send(visitor.request_bytes("POST", "/", [("Content-Length", str(256 * MIB))]))
    sender = blocked_sender(visitor.send)
    conn = up.accept()
    taken = wait_blocked(sender)
    assert taken < 24 * MIB, f"{taken / MIB:.1f} MiB were taken"
    scene.gateway.assert_growth(before)
    received = hashlib.sha256()
    conn.keep = False
    conn.read_body(conn.read_head(), received.update, 120)
    assert received.hexdigest() == digest(256 * MIB)
    conn.respond(b"got it")
    assert visitor.read_response("POST").body == b"got it"


# ---- ends in the middle ----


def has_ended(conn):
    """Sends a byte; true once the peer has closed."""
    try:
        conn.send(b"x")
        return not conn.fill(Deadline(0.05))
    except TimeoutError:
        return False
    except OSError:
        return True


@pytest.mark.parametrize("how", ["reset", "close"])
def test_visitor_leaves_in_the_middle(scene, how):
    """The upstream's connection ends after the visitor's: at once after a reset, with the next
    bytes after an orderly close (which may be a half-close)."""
    up = scene.scripted()
    visitor = scene.https(scene.tunnel(up))
    visitor.send(visitor.request_bytes("GET", "/"))
    conn = up.accept()
    conn.read_request()
    conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
    visitor.read_until(b"abc")
    getattr(visitor, how)()

    if how == "reset":
        conn.wait_eof()
    else:
        wait_until(lambda: has_ended(conn), "the upstream's connection ends")


def test_visitor_leaves_before_the_answer(scene):
    """A visitor that gives up waiting ends the upstream's connection too."""
    up = scene.scripted()
    visitor = scene.https(scene.tunnel(up))
    visitor.send(visitor.request_bytes("GET", "/"))
    conn = up.accept()
    conn.read_request()
    visitor.reset()
    conn.wait_eof()


def test_visitor_leaves_while_sending(scene):
    """A request body that breaks off is not taken for a whole one."""
    up = scene.scripted()
    visitor = scene.https(scene.tunnel(up))
    visitor.send(visitor.request_bytes("POST", "/", [("Transfer-Encoding", "chunked")]) +
                 b"3\r\nabc\r\n")
    conn = up.accept()
    conn.read_until(b"abc")
    visitor.close()
    rest = conn.read_all()
    assert b"0\r\n\r\n" not in rest


@pytest.mark.parametrize("framing", ["Content-Length: 100", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("how", ["close", "reset"])
def test_upstream_leaves_in_the_middle(scene, framing, how):
    """A response that breaks off cannot be taken for a whole one."""
    up = scene.scripted()
    visitor = scene.https(scene.tunnel(up))
    visitor.send(visitor.request_bytes("GET", "/"))
    conn = up.accept()
    conn.read_request()
    piece = b"abc" if "Length" in framing else b"3\r\nabc\r\n"
    conn.send(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode() + piece)
    visitor.read_until(b"abc")
    getattr(conn, how)()
    rest = visitor.read_all()
    assert b"0\r\n\r\n" not in rest


# ---- upgrades ----


WEBSOCKET = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
             ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]


def test_websocket_of_node(scene, node):
    """The ws package on both ends: text, binary, 1 MiB, ping, close code; wss and ws."""
    server = scene.keep(node.start("ws_server.js"), "stop")
    port = int(server.wait_out()[0])
    https = scene.tunnel(port, name="ws")
    scene.plain(port, name="ws")
    for url, real in (("wss://ws.example.test", scene.gateway.https_port),
                      ("ws://ws.example.test", scene.gateway.http_port)):
        client = scene.keep(node.start("ws_client.js", url, real), "stop")
        assert client.wait_exit(20) == 0, client.describe() + server.describe()
        assert client.out[-1] == "ok", client.describe()
    assert https.running


def upgraded(scene, flags="", tail=b"", early=b"", limits=None):
    """A raw upgrade on a plain endpoint; returns (visitor, upstream conn). `limits` are in force when the
    upstream agrees."""
    up = scene.scripted()
    visitor = scene.http(scene.plain(up, flags=flags))
    visitor.send(visitor.request_bytes("GET", "/chat", WEBSOCKET) + early)
    conn = up.accept()
    seen = conn.read_head()
    assert seen.header("upgrade") == "websocket"
    assert seen.header("connection").lower() == "upgrade"
    assert seen.header("sec-websocket-key") == "dGhlIHNhbXBsZSBub25jZQ=="
    if limits:
        scene.gateway.change(limits=limits)
    conn.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
              b"Sec-WebSocket-Accept: x\r\n\r\n" + tail)
    response = visitor.read_head()
    assert response.status == 101
    assert response.header("upgrade") == "websocket"
    assert response.header("connection").lower() == "upgrade"
    assert response.header("sec-websocket-accept") == "x"
    return visitor, conn


def test_upgrade_copies_bytes_both_ways(scene):
    """After 101 anything goes, in both directions."""
    visitor, conn = upgraded(scene)
    for i in range(10):
        visitor.send(b"to upstream %d\r\n\r\n" % i)
        assert conn.read_until(b"\r\n\r\n") == b"to upstream %d\r\n\r\n" % i
        conn.send(b"\x00\xffto visitor %d" % i)
        visitor.read_until(b"\x00\xffto visitor %d" % i)


def test_upgrade_bytes_behind_the_head(scene):
    """Bytes that come in one packet with the 101 are the upgraded protocol's."""
    visitor, conn = upgraded(scene, tail=b"first frame")
    assert visitor.read_exactly(11) == b"first frame"
    visitor.send(b"x")
    assert conn.read_exactly(1) == b"x"


def test_upgrade_half_close_of_the_visitor(scene):
    """The visitor ends its direction: the upstream sees it and may still send."""
    visitor, conn = upgraded(scene)
    visitor.send(b"last words")
    visitor.end()
    assert conn.read_all() == b"last words"
    conn.send(b"the answer comes later")
    conn.close()
    assert visitor.read_all() == b"the answer comes later"


def test_upgrade_half_close_of_the_upstream(scene):
    """The upstream ends its direction: the visitor sees it and may still send."""
    visitor, conn = upgraded(scene)
    conn.send(b"last words")
    conn.end()
    assert visitor.read_all() == b"last words"
    visitor.send(b"and mine")
    visitor.end()
    assert conn.read_all() == b"and mine"


def test_upgrade_large_both_ways(scene):
    """16 MiB in each direction at the same time."""
    visitor, conn = upgraded(scene)
    size = 16 * MIB
    writers = [threading.Thread(target=lambda: [visitor.sock.sendall(p) for p in pieces(size)]),
               threading.Thread(target=lambda: [conn.sock.sendall(p) for p in pieces(size, 1)])]
    for side in (visitor, conn):
        side.sock.settimeout(60)
    hashes = [hashlib.sha256(), hashlib.sha256()]

    def drain(sock, h):
        left = size
        while left:
            data = sock.recv(min(left, 262144))
            assert data
            h.update(data)
            left -= len(data)

    readers = [threading.Thread(target=drain, args=(conn.sock, hashes[0])),
               threading.Thread(target=drain, args=(visitor.sock, hashes[1]))]
    for t in writers + readers:
        t.start()
    for t in writers + readers:
        t.join(60)
    assert [h.hexdigest() for h in hashes] == [digest(size), digest(size, 1)]


def test_upgrade_refused_by_the_upstream(scene):
    """No 101: an ordinary response, and the connection goes on."""
    visitor = scene.http(scene.plain(scene.app()))
    assert visitor.get("/hello", WEBSOCKET).body == b"hello from app\n"
    assert visitor.get("/hello").body == b"hello from app\n"


def test_upgrade_is_not_cut_when_idle(scene):
    """stall_timeout_ms does not apply to an upgraded connection; by default nothing does."""
    scene.start_gateway()
    visitor, conn = upgraded(scene, limits={"stall_timeout_ms": 500, "keepalive_timeout_ms": 500})
    stays(lambda: scene.gateway.metrics()["sallyport_exchanges"] == 1, "the upgrade lives", 2)
    visitor.send(b"ping")
    assert conn.read_exactly(4) == b"ping"


def test_upgrade_idle_timeout(scene):
    """upgrade_idle_timeout_ms, when it is set, closes a silent one."""
    scene.start_gateway({"limits": {"upgrade_idle_timeout_ms": 500}})
    visitor, conn = upgraded(scene)
    visitor.wait_closed()
    conn.wait_eof()


def test_unasked_101_is_refused(scene):
    """101 without an Upgrade in the request is not HTTP."""
    up = scene.scripted()
    visitor = scene.http(scene.plain(up))
    visitor.send(visitor.request_bytes("GET", "/"))
    conn = up.accept()
    assert conn.read_head().header("upgrade") is None
    conn.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
    response = visitor.read_response()
    assert (response.status, response.error_code) == (502, "ERR_SALLYPORT_3004")


def test_h2c_upgrade_is_ignored(scene):
    """Upgrade: h2c is served as HTTP/1.1."""
    up = scene.scripted()
    visitor = scene.http(scene.plain(up))
    visitor.send(visitor.request_bytes("GET", "/", [
        ("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"),
        ("HTTP2-Settings", "AAMAAABkAAQAAP__")]))
    conn = up.accept()
    seen = conn.read_request()
    assert seen.header("http2-settings") is None
    assert seen.header("upgrade") in (None, "")
    conn.respond(b"plain")
    assert visitor.read_response().body == b"plain"


def test_visitor_leaves_an_upgrade(scene):
    """A reset of the visitor ends the upstream's connection."""
    visitor, conn = upgraded(scene)
    visitor.reset()
    conn.wait_eof()


def test_upstream_leaves_an_upgrade(scene):
    """A reset of the upstream ends the visitor's connection."""
    visitor, conn = upgraded(scene)
    conn.reset()
    visitor.read_all()


def test_websocket_with_basic_auth(scene):
    """An upgrade passes the policy first: 401, or through with credentials."""
    up = scene.scripted()
    tunnel = scene.plain(up, flags="--basic-auth u:password1")
    assert scene.http(tunnel).get("/chat", WEBSOCKET).status == 401
    up.assert_untouched()
    visitor = scene.http(tunnel)
    visitor.send(visitor.request_bytes(
        "GET", "/chat", [*WEBSOCKET, ("Authorization", "Basic dTpwYXNzd29yZDE=")]))
    conn = up.accept()
    conn.read_head()
    conn.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
              b"\r\n")
    assert visitor.read_head().status == 101


def test_tls_visitor_half_closes_an_upgrade(scene):
    """close_notify of the visitor after an upgrade: the rest from the upstream still arrives."""
    up = scene.scripted()
    visitor = scene.https(scene.tunnel(up))
    visitor.send(visitor.request_bytes("GET", "/chat", WEBSOCKET))
    conn = up.accept()
    conn.read_head()
    conn.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
              b"\r\n")
    visitor.read_until(b"\r\n\r\n")
    visitor.send(b"bye")
    assert conn.read_exactly(3) == b"bye"
    conn.send(b"rest")
    assert visitor.read_exactly(4) == b"rest"
    visitor.sock.shutdown(socket.SHUT_WR)
    conn.wait_eof()
