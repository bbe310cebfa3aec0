"""
One request and its response as either side sees it, whatever HTTP version carries it, so that a test is
written once for all of them. http1_exchange.py and http2_exchange.py implement it.
"""

from lib.wait import Deadline


class Broken(Exception):
    """What arrives broke off and will never be whole."""


class Head:
    """A request's (method, target) or a response's (status) head; names are in lower case."""

    def __init__(self, headers, status=None, method=None, target=None):
        self.headers = [(n.lower(), v) for n, v in headers]
        self.status = status
        self.method = method
        self.target = target

    def all(self, name):
        return [v for n, v in self.headers if n == name]

    def header(self, name):
        """The value of a field that may stand once only; None if it is not there."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} stands {len(values)} times"
        return values[0] if values else None

    def __repr__(self):
        return f"<{self.status or self.method} {self.target or ''} {self.headers}>"


class Exchange:
    """
    Arriving: .head once wait_head() returned, then the body by read...(), then .trailers. After
    read_rest() it is whole. Sending: send(), end(trailers); reset() breaks both directions off.
    A subclass gives these and fill(), which adds to .data or returns False at the proper end, and
    raises Broken when there will be none.
    """

    def __init__(self):
        self.head = None
        self.data = bytearray()
        self.trailers = []

    # ---- what arrives ----

    def wait_head(self, seconds=10):
        raise NotImplementedError

    def fill(self, deadline):
        raise NotImplementedError

    def take(self, n):
        data = bytes(self.data[:n])
        del self.data[:n]
        return data

    def read(self, n, seconds=10):
        """Exactly `n` bytes of the body."""
        deadline = Deadline(seconds)
        while len(self.data) < n:
            assert self.fill(deadline), f"the end after {len(self.data)} of {n} bytes"
        return self.take(n)

    def read_until(self, end, seconds=10):
        """Bytes up to and with `end`."""
        deadline = Deadline(seconds)
        while (at := self.data.find(end)) == -1:
            assert self.fill(deadline), f"the end before {end!r}: {bytes(self.data[:200])!r}"
        return self.take(at + len(end))

    def read_rest(self, seconds=10, sink=None):
        """The body up to its proper end; sink(bytes) takes it instead."""
        deadline = Deadline(seconds)
        rest = bytearray()
        sink = sink or rest.extend
        while self.data or self.fill(deadline):
            sink(self.take(len(self.data)))
        return bytes(rest)

    def wait_broken(self, seconds=10):
        """The rest of what should arrive never will, and this side was told."""
        raise NotImplementedError

    def wait_gone(self, seconds=10):
        """The peer has ended a tunnel, in whatever way."""
        try:
            self.read_rest(seconds)
        except Broken:
            pass

    def wait_failed(self, seconds=10):
        """A visitor's exchange fails: by an error of the gateway while it can be said, else it breaks."""
        try:
            head = self.wait_head(seconds)
            self.read_rest(seconds)
        except Broken:
            return
        assert head.status >= 500 and head.header("sallyport-error-code"), f"{head} is whole"

    # ---- what is sent ----

    def respond(self, status=200, headers=(), end=False):
        """An upstream's response head."""
        raise NotImplementedError

    def send(self, data, seconds=30):
        raise NotImplementedError

    def end(self, trailers=()):
        raise NotImplementedError

    def reset(self):
        """Breaks this exchange off, and with HTTP/1.1 its connection."""
        raise NotImplementedError

    def cut(self):
        """Resets the TCP connection that carries it."""
        raise NotImplementedError

    def answer(self, body=b"", status=200, headers=()):
        """A whole response."""
        self.respond(status, [*headers, ("content-length", str(len(body)))])
        self.send(body)
        self.end()
