"""A visitor that sends exact bytes and reads HTTP/1.1 strictly, over TCP or TLS."""

import re
import socket
import ssl
import struct

from lib.content import pieces
from lib.wait import Deadline

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")


class ProtocolError(AssertionError):
    """The peer sent what HTTP/1.1 does not allow."""


class Response:
    def __init__(self, status, reason, headers, raw_head):
        self.status = status
        self.reason = reason
        self.headers = headers
        self.raw_head = raw_head
        self.body = b""
        self.trailers = []
        self.interim = []

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]

    def header(self, name):
        """The value of a field that may stand once only; None if it is not there."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} stands {len(values)} times"
        return values[0] if values else None

    @property
    def error_code(self):
        return self.header("sallyport-error-code")

    @property
    def text(self):
        return self.body.decode()

    def __repr__(self):
        return f"<{self.status} {self.reason} {self.headers} {self.body[:300]!r}>"


def parse_headers(lines):
    headers = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not TOKEN.match(name):
            raise ProtocolError(f"bad header line {line!r}")
        if re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", value):
            raise ProtocolError(f"control character in {line!r}")
        headers.append((name.decode(), value.strip(b" \t").decode("latin-1")))
    return headers


def parse_response_head(raw):
    lines = raw[:-4].split(b"\r\n")
    match = re.match(rb"HTTP/1\.1 (\d{3}) ([\t -~\x80-\xff]*)\Z", lines[0])
    if not match:
        raise ProtocolError(f"bad status line {lines[0]!r}")
    return Response(int(match[1]), match[2].decode("latin-1"), parse_headers(lines[1:]), raw)


def tls_context(versions=None, cafile=None, alpn=("http/1.1",)):
    """Without `cafile` nothing is verified. `versions` is (lowest, highest)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if cafile:
        context.load_verify_locations(cafile)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if versions:
        if versions[0] < ssl.TLSVersion.TLSv1_2:
            context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version, context.maximum_version = versions
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


class Conn:
    """One connection to the gateway; `host` is what its requests name."""

    def __init__(self, port, host, tls=False, context=None, sni=None, session=None,
                 address="127.0.0.1", seconds=10, receive_buffer=None, source=None, first=b""):
        """`source` is an address to come from; `first` is sent before TLS begins."""
        self.buffer = bytearray()
        self.eof = False
        self.was_reset = False
        self.tls = tls
        self.authority = f"{host}:{port}"
        self.seconds = seconds
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(Deadline(seconds).left())
        try:
            if source:
                sock.bind((source, 0))
            sock.connect((address, port))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.sendall(first)
            if tls:
                sock = (context or tls_context()).wrap_socket(
                    sock, server_hostname=host if sni is None else sni or None, session=session)
        except BaseException:
            sock.close()
            raise
        self.sock = sock
        self.local_port = sock.getsockname()[1]

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    # ---- bytes ----

    def send(self, data):
        self.sock.settimeout(Deadline(self.seconds).left())
        self.sock.sendall(data)

    def end(self):
        """Half-close (TCP only)."""
        self.sock.shutdown(socket.SHUT_WR)

    def close(self):
        self.sock.close()

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def fill(self, deadline):
        """Reads something into the buffer; False at the end of data."""
        if self.eof:
            return False
        self.sock.settimeout(deadline.left())
        try:
            data = self.sock.recv(256 * 1024)
        except (ConnectionResetError, ssl.SSLEOFError):
            data = b""
            self.was_reset = True
        if not data:
            self.eof = True
            return False
        self.buffer += data
        return True

    def read_until(self, end, seconds=None):
        """Bytes up to and with `end`."""
        deadline = Deadline(seconds or self.seconds)
        start = 0
        while (at := self.buffer.find(end, start)) == -1:
            start = max(0, len(self.buffer) - len(end))
            if not self.fill(deadline):
                raise ProtocolError(f"end of data before {end!r}: {bytes(self.buffer[:500])!r}")
        return self.take(at + len(end))

    def read_exactly(self, n, seconds=None):
        deadline = Deadline(seconds or self.seconds)
        while len(self.buffer) < n:
            if not self.fill(deadline):
                raise ProtocolError(f"{len(self.buffer)} of {n} bytes, then the end")
        return self.take(n)

    def read_all(self, seconds=None):
        """Everything until the peer closes."""
        deadline = Deadline(seconds or self.seconds)
        while self.fill(deadline):
            pass
        return self.take(len(self.buffer))

    def wait_closed(self, seconds=None):
        rest = self.read_all(seconds)
        assert rest == b"", f"unexpected bytes {rest[:300]!r}"

    def take(self, n):
        data = bytes(self.buffer[:n])
        del self.buffer[:n]
        return data

    # ---- HTTP ----

    def request_bytes(self, method, target, headers=(), body=None):
        names = {n.lower() for n, _ in headers}
        lines = [f"{method} {target} HTTP/1.1"]
        if "host" not in names:
            lines.append(f"Host: {self.authority}")
        lines += [f"{n}: {v}" for n, v in headers]
        if body is not None and not names & {"content-length", "transfer-encoding"}:
            lines.append(f"Content-Length: {len(body)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (body or b"")

    def request(self, method, target="/", headers=(), body=None, seconds=None, sink=None):
        """Sends a request and reads its response, also when that ends the sending early."""
        try:
            self.send(self.request_bytes(method, target, headers, body))
        except OSError:
            if body is None:
                raise
        return self.read_response(method, seconds, sink)

    def get(self, target="/", headers=(), **kw):
        return self.request("GET", target, headers, **kw)

    def upload(self, target, size, seed=0, chunked=False, method="POST", seconds=60):
        """Sends a large body without holding it and reads the response."""
        framing = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(size))
        self.send(self.request_bytes(method, target, [framing]))
        self.sock.settimeout(Deadline(seconds).left())
        for piece in pieces(size, seed):
            if chunked:
                self.sock.sendall(b"%x\r\n" % len(piece))
            self.sock.sendall(piece)
            if chunked:
                self.sock.sendall(b"\r\n")
        if chunked:
            self.sock.sendall(b"0\r\n\r\n")
        return self.read_response(method, seconds)

    def read_head(self, seconds=None):
        return parse_response_head(self.read_until(b"\r\n\r\n", seconds))

    def read_response(self, method="GET", seconds=None, sink=None):
        """The final response; interim ones are in .interim. sink(bytes) takes the body instead."""
        seconds = seconds or self.seconds
        interim = []
        response = self.read_head(seconds)
        while response.status < 200 and response.status != 101:
            interim.append(response)
            response = self.read_head(seconds)
        response.interim = interim
        collected = bytearray()
        self.read_body(response, method, sink or collected.extend, seconds)
        response.body = bytes(collected)
        return response

    def read_body(self, response, method, sink, seconds):
        lengths = response.all("content-length")
        codings = response.all("transfer-encoding")
        if lengths and codings:
            raise ProtocolError("content-length and transfer-encoding")
        if method == "HEAD" or response.status in (101, 204, 304):
            if response.status in (101, 204) and (lengths or codings):
                raise ProtocolError("framing on a response that has no body")
            return
        if codings:
            if codings != ["chunked"]:
                raise ProtocolError(f"transfer-encoding {codings}")
            self.read_chunked(response, sink, seconds)
        elif lengths:
            if len(lengths) != 1 or not re.fullmatch(r"\d+", lengths[0]):
                raise ProtocolError(f"content-length {lengths}")
            self.read_counted(int(lengths[0]), sink, seconds)
        else:
            if response.header("connection") != "close":
                raise ProtocolError("a body until the end without connection: close")
            deadline = Deadline(seconds)
            while True:
                if self.buffer:
                    sink(self.take(len(self.buffer)))
                if not self.fill(deadline):
                    return

    def read_counted(self, left, sink, seconds):
        deadline = Deadline(seconds)
        while left:
            if not self.buffer and not self.fill(deadline):
                raise ProtocolError(f"end of data, {left} bytes of the body missing")
            data = self.take(min(left, len(self.buffer)))
            left -= len(data)
            sink(data)

    def read_chunk(self, seconds=None):
        """The next chunk of a chunked body; empty at its end (which has no trailers)."""
        size = int(self.read_until(b"\r\n", seconds), 16)
        data = self.read_exactly(size, seconds)
        assert self.read_exactly(2, seconds) == b"\r\n"
        return data

    def read_chunked(self, response, sink, seconds):
        while True:
            line = self.read_until(b"\r\n", seconds)
            if not re.fullmatch(rb"[0-9a-fA-F]{1,16}\r\n", line):
                raise ProtocolError(f"bad chunk line {line!r}")
            size = int(line, 16)
            if size == 0:
                break
            self.read_counted(size, sink, seconds)
            if self.read_exactly(2, seconds) != b"\r\n":
                raise ProtocolError("a chunk without its end")
        lines = []
        while (line := self.read_until(b"\r\n", seconds)) != b"\r\n":
            lines.append(line[:-2])
        response.trailers = parse_headers(lines)
