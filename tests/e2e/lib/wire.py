"""
A duplex byte pipe over TCP or TLS. Unlike Python's own TLS sockets it may be read by one thread while
another writes. It has the calls of a socket that lib.raw.Conn and lib.upstream.UpstreamConn use.
"""

import socket
import ssl
import struct
import sys
import threading

SIZE = 256 * 1024


class Wire:
    """Over `sock`, which it owns; with `context` the TLS handshake is done when this returns."""

    def __init__(self, sock, context=None, server_side=False, name=None):
        self.sock = sock
        self.tls = None
        self.ready = bytearray()  # decrypted, not read yet
        self.engine = threading.Lock()  # an OpenSSL object is for one thread at a time
        self.order = threading.Lock()  # records leave in the order in which they were made
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context:
            self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side, name)
            self._handshake()

    @property
    def alpn(self):
        return self.tls.selected_alpn_protocol() if self.tls else None

    def _handshake(self):
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._flush()
                self._receive()
        self._flush()

    def _receive(self):
        """More from TCP; a cut is an error, since TLS has an end of its own."""
        data = self.sock.recv(SIZE)
        if not data:
            raise ConnectionResetError("TCP ended inside TLS")
        with self.engine:
            self.incoming.write(data)

    def _flush(self):
        with self.order:
            with self.engine:
                data = self.outgoing.read()
            self.sock.sendall(data)

    # ---- as a socket ----

    def recv(self, size=SIZE):
        """What has come; empty at the end of data."""
        if not self.tls:
            return self.sock.recv(size)
        while True:
            with self.engine:
                ended = self._decrypt(size)
                if self.ready or ended:
                    data = bytes(self.ready[:size])
                    del self.ready[:size]
                    return data
                pending = self.outgoing.pending
            if pending:
                self._flush()
            self._receive()

    def _decrypt(self, size):
        """`size` bytes and some to .ready, or all there are; true at the end of data."""
        try:
            while len(self.ready) < size:
                data = self.tls.read(SIZE)
                if not data:
                    return True
                self.ready += data
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            return True
        except ssl.SSLError as e:
            raise ConnectionResetError(str(e)) from None
        return False

    def sendall(self, data):
        if not self.tls:
            self.sock.sendall(data)
            return
        with self.order:
            with self.engine:
                view = memoryview(data)
                while view:
                    view = view[self.tls.write(view):]
                records = self.outgoing.read()
            self.sock.sendall(records)

    def settimeout(self, seconds):
        self.sock.settimeout(seconds)

    def getsockname(self):
        return self.sock.getsockname()

    def setsockopt(self, *option):
        self.sock.setsockopt(*option)

    def shutdown(self, how):
        """Half-close: TLS says so before TCP does."""
        if self.tls and how == socket.SHUT_WR:
            with self.engine:
                self._decrypt(sys.maxsize)  # unwrap() takes data for an error
                try:
                    self.tls.unwrap()
                except ssl.SSLError:  # the peer's own end has not come yet
                    pass
            self._flush()
        self.sock.shutdown(how)

    def close(self):
        """Closes at once, also under a thread that reads."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()

    def reset(self):
        """Ends TCP by a reset."""
        self.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class WireContext:
    """An ssl.SSLContext whose wrap_socket() makes Wires."""

    def __init__(self, context):
        self.context = context

    def wrap_socket(self, sock, server_hostname=None, session=None):
        assert session is None
        return Wire(sock, self.context, name=server_hostname)
