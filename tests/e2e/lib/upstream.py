"""
Upstreams: what the SSH clients connect to.
Scripted gives a test exact control over every byte; App is an ordinary HTTP server for the rest.
"""

import hashlib
import json
import queue
import re
import socket
import struct
import threading

from lib.content import pieces
from lib.wait import Deadline, wait_until


class UpstreamConn:
    """One accepted connection; .received keeps all bytes that ever came."""

    def __init__(self, sock, number, keep=True):
        self.sock = sock
        self.number = number
        self.received = bytearray()
        self.buffer = bytearray()
        self.keep = keep
        self.eof = False
        self.was_reset = False
        self.requests = 0
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def fill(self, deadline):
        if self.eof:
            return False
        self.sock.settimeout(deadline.left())
        try:
            data = self.sock.recv(256 * 1024)
        except ConnectionResetError:
            data = b""
            self.was_reset = True
        if not data:
            self.eof = True
            return False
        if self.keep:
            self.received += data
        self.buffer += data
        return True

    def take(self, n):
        data = bytes(self.buffer[:n])
        del self.buffer[:n]
        return data

    def read_until(self, end, seconds=10):
        deadline = Deadline(seconds)
        while (at := self.buffer.find(end)) == -1:
            if not self.fill(deadline):
                raise EOFError(bytes(self.buffer[:500]))
        return self.take(at + len(end))

    def read_exactly(self, n, seconds=10):
        deadline = Deadline(seconds)
        while len(self.buffer) < n:
            if not self.fill(deadline):
                raise EOFError(bytes(self.buffer[:500]))
        return self.take(n)

    def read_all(self, seconds=10):
        deadline = Deadline(seconds)
        while self.fill(deadline):
            pass
        return self.take(len(self.buffer))

    def read_head(self, seconds=10):
        return UpstreamRequest(self.read_until(b"\r\n\r\n", seconds))

    def read_request(self, seconds=10, sink=None):
        """Head and body of one request; sink(bytes) takes the body instead of .body."""
        request = self.read_head(seconds)
        collected = bytearray()
        self.read_body(request, sink or collected.extend, seconds)
        request.body = bytes(collected)
        self.requests += 1
        return request

    def read_body(self, request, sink, seconds=10):
        if request.header("transfer-encoding"):
            while size := int(self.read_until(b"\r\n", seconds), 16):
                self.read_counted(size, sink, seconds)
                assert self.read_exactly(2, seconds) == b"\r\n"
            while (line := self.read_until(b"\r\n", seconds)) != b"\r\n":
                request.trailers.append(split_field(line[:-2]))
        else:
            self.read_counted(int(request.header("content-length") or 0), sink, seconds)

    def read_counted(self, left, sink, seconds):
        while left:
            if not self.buffer and not self.fill(Deadline(seconds)):
                raise EOFError(f"{left} bytes of the body missing")
            data = self.take(min(left, len(self.buffer)))
            left -= len(data)
            sink(data)

    def send(self, data, seconds=30):
        self.sock.settimeout(Deadline(seconds).left())
        self.sock.sendall(data)

    def respond(self, body=b"", status="200 OK", headers=()):
        lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}"]
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body)

    def end(self):
        self.sock.shutdown(socket.SHUT_WR)

    def close(self):
        self.sock.close()

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def wait_eof(self, seconds=10):
        """The gateway ended or dropped the connection."""
        self.read_all(seconds)


def split_field(line):
    name, _, value = line.decode("latin-1").partition(":")
    return name, value.strip()


class UpstreamRequest:
    def __init__(self, raw_head):
        self.raw_head = raw_head
        lines = raw_head[:-4].split(b"\r\n")
        self.method, self.target, self.version = lines[0].decode("latin-1").split(" ", 2)
        self.headers = [split_field(line) for line in lines[1:]]
        self.body = b""
        self.trailers = []

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]

    def header(self, name):
        values = self.all(name)
        assert len(values) <= 1, f"{name} stands {len(values)} times in {self.raw_head!r}"
        return values[0] if values else None


class Server:
    """Accepts on a port of loopback (0: a free one) and hands each connection to on_conn()."""

    def __init__(self, port=0):
        self.listener = socket.create_server(("127.0.0.1", port), backlog=1024)
        self.port = self.listener.getsockname()[1]
        self.connections = []
        self.closing = False
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            conn = UpstreamConn(sock, len(self.connections) + 1, self.keeps_bytes())
            self.connections.append(conn)
            self.on_conn(conn)

    def keeps_bytes(self):
        return True

    def on_conn(self, conn):
        raise NotImplementedError

    def stop_listening(self):
        """New connections are refused from now on."""
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.thread.join(5)

    def close(self):
        self.closing = True
        self.stop_listening()
        for conn in self.connections:
            try:
                conn.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            conn.sock.close()


class Scripted(Server):
    """The test plays the upstream: conn = up.accept(), conn.read_request(), conn.send(...)."""

    def __init__(self, port=0):
        self.waiting = queue.Queue()
        super().__init__(port)

    def on_conn(self, conn):
        self.waiting.put(conn)

    def accept(self, seconds=10):
        try:
            return self.waiting.get(timeout=Deadline(seconds).left())
        except queue.Empty:
            raise AssertionError("no connection reached the upstream") from None

    @property
    def received(self):
        """All bytes of all connections."""
        return b"".join(bytes(c.received) for c in self.connections)

    def assert_untouched(self):
        """Nothing was ever forwarded."""
        for conn in self.connections:
            conn.sock.settimeout(0.05)
            try:
                conn.received += conn.sock.recv(65536)
            except OSError:
                pass
        assert self.received == b"", self.received


class App(Server):
    """
    An HTTP/1.1 server with keep-alive:
      /hello              a small answer          /bytes/N      N bytes, content-length
      /chunked/N          N bytes, chunked        /until-close/N  N bytes, then the end
      /echo               what arrived, as JSON   /upload       length and SHA-256 of the body
      /mirror             the body back as it comes, chunked
      /status/N           that status, no body    /host         the Host that arrived
    Further paths by route(path, handler(conn, request)); a handler reads the body itself.
    """

    def __init__(self, port=0, name="app"):
        self.name = name
        self.routes = {}
        self.seen = []
        super().__init__(port)

    def keeps_bytes(self):
        return False

    def route(self, path, handler):
        self.routes[path] = handler

    def on_conn(self, conn):
        threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        try:
            while self._answer(conn):
                pass
        except (OSError, EOFError, TimeoutError):
            pass
        finally:
            conn.sock.close()

    def _answer(self, conn):
        request = conn.read_head(3600)
        conn.requests += 1
        path = request.target.partition("?")[0]
        self.seen.append(request)
        if path in self.routes:
            return self.routes[path](conn, request) is not False
        word, _, rest = path[1:].partition("/")
        handler = getattr(self, "do_" + word.replace("-", "_"), None)
        if handler is None:
            conn.read_body(request, lambda data: None, 60)
            conn.respond(b"no such page\n", "404 Not Found")
            return True
        return handler(conn, request, rest) is not False

    def wait_seen(self, target, seconds=10):
        return wait_until(lambda: next((r for r in self.seen if r.target == target), None),
                          f"request for {target} at the upstream", seconds)

    @staticmethod
    def skip(conn, request):
        conn.read_body(request, lambda data: None, 60)

    def do_hello(self, conn, request, _):
        self.skip(conn, request)
        conn.respond(f"hello from {self.name}\n".encode(), headers=["Content-Type: text/plain"])

    def do_host(self, conn, request, _):
        self.skip(conn, request)
        conn.respond((request.header("host") or "").encode())

    def do_status(self, conn, request, rest):
        self.skip(conn, request)
        status = int(rest)
        if status in (204, 304):
            conn.send(f"HTTP/1.1 {status} X\r\nX-Test: yes\r\n\r\n".encode())
        else:
            conn.respond(b"", f"{status} X")

    def do_echo(self, conn, request, _):
        h = hashlib.sha256()
        length = 0

        def take(data):
            nonlocal length
            h.update(data)
            length += len(data)

        conn.read_body(request, take, 60)
        body = json.dumps({
            "method": request.method, "target": request.target, "version": request.version,
            "headers": request.headers, "trailers": request.trailers, "length": length,
            "sha256": h.hexdigest(), "connection": conn.number, "request": conn.requests,
        }).encode()
        conn.respond(body, headers=["Content-Type: application/json"])

    def do_bytes(self, conn, request, rest):
        self.skip(conn, request)
        size = int(rest)
        conn.send(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
        if request.method == "HEAD":
            return
        for piece in pieces(size):
            conn.send(piece, 600)

    def do_chunked(self, conn, request, rest):
        self.skip(conn, request)
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in pieces(int(rest)):
            conn.send(b"%x\r\n" % len(piece) + bytes(piece) + b"\r\n", 600)
        conn.send(b"0\r\n\r\n")

    def do_until_close(self, conn, request, rest):
        self.skip(conn, request)
        conn.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        for piece in pieces(int(rest)):
            conn.send(piece, 600)
        return False

    def do_upload(self, conn, request, _):
        h = hashlib.sha256()
        length = 0

        def take(data):
            nonlocal length
            h.update(data)
            length += len(data)

        if re.fullmatch("100-continue", request.header("expect") or ""):
            conn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        conn.read_body(request, take, 600)
        conn.respond(f"{length} {h.hexdigest()}".encode())

    def do_mirror(self, conn, request, _):
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        conn.read_body(request, lambda data: conn.send(b"%x\r\n" % len(data) + data + b"\r\n", 600),
                       600)
        conn.send(b"0\r\n\r\n")
