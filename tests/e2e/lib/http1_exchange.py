"""Exchanges by HTTP/1.1, for a visitor and for an upstream."""

import base64
import hashlib
import socket
import threading

from lib.exchange import Broken, Exchange, Head
from lib.raw import Conn, ProtocolError, tls_context
from lib.upstream import split_field
from lib.wait import Deadline
from lib.wire import WireContext

WEBSOCKET = [("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13")]
WEBSOCKET_KEY = "dGhlIHNhbXBsZSBub25jZQ=="


def websocket_accept(key):
    """RFC 6455 section 4.2.2."""
    return base64.b64encode(hashlib.sha1(
        (key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()


class Http1Exchange(Exchange):
    """On `conn`, a lib.raw.Conn or a lib.upstream.UpstreamConn."""

    def __init__(self, conn):
        super().__init__()
        self.conn = conn
        self.tunnel = False
        self.chunked = False  # how this side's body goes out
        self.pieces = None
        self.whole = False
        self.ended = threading.Event()

    def _until_broken(self, read, *args):
        """read(*args); that data ended is what Broken means here."""
        try:
            return read(*args)
        except TimeoutError:
            raise
        except (OSError, EOFError, ProtocolError) as e:
            if isinstance(e, ProtocolError) and not self.conn.eof:
                raise
            raise Broken(str(e)) from None

    def fill(self, deadline):
        if self.whole:
            return False
        self.deadline = deadline
        self.pieces = self.pieces or self._pieces()
        piece = self._until_broken(next, self.pieces, None)
        if piece is None:
            self.whole = True
            return False
        self.data += piece
        return True

    def _pieces(self):
        conn, coding = self.conn, self.head.header("transfer-encoding")
        length = self.head.header("content-length")
        assert not (coding and length), self.head
        if self.tunnel:
            yield from self._until_eof()
        elif coding:
            assert coding == "chunked", self.head
            while size := int(conn.read_until(b"\r\n", self.deadline.left()), 16):
                yield from self._counted(size)
                assert conn.read_exactly(2, self.deadline.left()) == b"\r\n"
            while (line := conn.read_until(b"\r\n", self.deadline.left())) != b"\r\n":
                name, value = split_field(line[:-2])
                self.trailers.append((name.lower(), value))
        elif length or not self.head.status:
            yield from self._counted(int(length or 0))
        else:
            assert self.head.header("connection") == "close", self.head
            yield from self._until_eof()

    def _until_eof(self):
        conn = self.conn
        while conn.buffer or conn.fill(self.deadline):
            yield conn.take(len(conn.buffer))
        if conn.was_reset:
            raise EOFError("reset")

    def _counted(self, left):
        conn = self.conn
        while left:
            if not conn.buffer and not conn.fill(self.deadline):
                raise EOFError(f"{left} bytes missing")
            data = conn.take(min(left, len(conn.buffer)))
            left -= len(data)
            yield data

    def wait_broken(self, seconds=10):
        deadline = Deadline(seconds)
        try:
            while self.fill(deadline):
                pass
        except Broken:
            return
        assert not self.head.status, "the response is whole"
        while self.conn.fill(deadline):
            pass

    def send(self, data, seconds=30):
        if not data:
            return
        data = bytes(data)
        if self.chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self.conn.sock.settimeout(Deadline(seconds).left())
        self.conn.sock.sendall(data)

    def end(self, trailers=()):
        if self.tunnel:
            self.conn.sock.shutdown(socket.SHUT_WR)
        elif self.chunked:
            fields = "".join(f"{n}: {v}\r\n" for n, v in trailers)
            self.conn.sock.sendall(f"0\r\n{fields}\r\n".encode())
        self.ended.set()

    def reset(self):
        self.cut()

    def cut(self):
        self.conn.reset()
        self.ended.set()


class Http1Visitor:
    """One connection, whose exchanges follow each other."""

    def __init__(self, gateway, host, alpn=("http/1.1",)):
        self.conn = Conn(gateway.https_port, host, tls=True,
                         context=WireContext(tls_context(alpn=alpn)))

    def open(self, method="GET", target="/", headers=(), end=True):
        """Sends a request's head; the body is chunked unless `headers` have its length."""
        x = _VisitorExchange(self.conn, method)
        x.chunked = not end and "content-length" not in {n for n, _ in headers}
        framing = [("transfer-encoding", "chunked")] if x.chunked else []
        self.conn.send(self.conn.request_bytes(method, target, [*headers, *framing]))
        return x

    def websocket(self, target="/", headers=()):
        """Asks for an upgrade; `wait_head()` tells whether it is granted."""
        return self.open("GET", target,
                         [*WEBSOCKET, ("sec-websocket-key", WEBSOCKET_KEY), *headers])

    def close(self):
        self.conn.close()


class _VisitorExchange(Http1Exchange):
    def __init__(self, conn, method):
        super().__init__(conn)
        self.method = method
        self.interim = []

    def wait_head(self, seconds=10):
        while self.head is None:
            raw = self._until_broken(self.conn.read_head, seconds)
            head = Head(raw.headers, raw.status)
            if raw.status < 200 and raw.status != 101:
                self.interim.append(head)
                continue
            self.head = head
            self.tunnel = raw.status == 101
            self.whole = self.method == "HEAD" or raw.status in (204, 304)
        if self.tunnel:
            assert self.head.header("sec-websocket-accept") == websocket_accept(WEBSOCKET_KEY)
        return self.head

    @property
    def is_tunnel(self):
        return self.wait_head().status == 101


class Http1Served(Http1Exchange):
    """A request that reached the upstream by HTTP/1.1."""

    def __init__(self, conn, request):
        super().__init__(conn)
        self.head = Head(request.headers, None, request.method, request.target)
        self.key = self.head.header("sec-websocket-key")
        self.whole = not (self.head.header("content-length") or
                          self.head.header("transfer-encoding"))

    @property
    def wants_websocket(self):
        return (self.head.method == "GET" and self.head.header("upgrade") == "websocket"
                and self.head.header("connection").lower() == "upgrade" and self.key is not None
                and self.head.header("sec-websocket-version") == "13")

    def wait_head(self, seconds=10):
        return self.head

    def respond(self, status=200, headers=(), end=False):
        names = {n for n, _ in headers}
        headers = list(headers)
        self.chunked = not end and "content-length" not in names and status >= 200
        if self.chunked:
            headers.append(("transfer-encoding", "chunked"))
        elif end and status >= 200 and status != 204:
            headers.append(("content-length", "0"))
        self._send_head(status, headers)
        if end:
            self.end()

    def accept_websocket(self, headers=()):
        self._send_head(101, [*WEBSOCKET[:2],
                              ("sec-websocket-accept", websocket_accept(self.key)), *headers])
        self.tunnel = True
        self.whole = False

    def _send_head(self, status, headers):
        fields = "".join(f"{n}: {v}\r\n" for n, v in headers)
        self.conn.send(f"HTTP/1.1 {status} X\r\n{fields}\r\n".encode())


def serve_http1(conn, on_exchange):
    """Hands each request on `conn` to on_exchange(), the next when the one before is over."""
    try:
        while True:
            x = Http1Served(conn, conn.read_head(3600))
            on_exchange(x)
            x.ended.wait()
            if x.tunnel or not x.whole:
                return
    except (OSError, EOFError):
        pass
