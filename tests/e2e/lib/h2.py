"""A visitor that speaks HTTP/2 by the package h2, and frames that it would never send, by hyperframe."""

import socket
import ssl

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

from lib.raw import tls_context
from lib.wait import Deadline


# The package takes nothing behind a GOAWAY, though streams that are under way go on.
_OPEN = h2.connection.ConnectionState.CLIENT_OPEN
h2.connection.H2ConnectionStateMachine._transitions[
    (_OPEN, h2.connection.ConnectionInputs.RECV_GOAWAY)] = (None, _OPEN)


class StreamWasReset(Exception):
    """The peer wants no more of what is sent."""


class H2Response:
    """What came on one stream so far."""

    def __init__(self):
        self.status = None
        self.headers = []
        self.body = bytearray()
        self.trailers = []
        self.interim = []
        self.ended = False
        self.reset = None

    def header(self, name):
        return dict(self.headers).get(name)

    def __repr__(self):
        return f"<{self.status} {self.headers} {bytes(self.body[:200])!r} reset={self.reset}>"


class H2Conn:
    """
    One connection. With `reads` False nothing that comes is acknowledged by windows. Streams are
    numbers; `conn.responses[stream]` is what came on it.
    """

    def __init__(self, port, host, tls=True, reads=True, settings=None):
        self.host = host if tls else f"{host}"
        self.scheme = "https" if tls else "http"
        self.reads = reads
        self.responses = {}
        self.goaway = []
        self.pings = 0
        self.eof = False
        self.was_reset = False
        sock = socket.create_connection(("127.0.0.1", port), 10)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            sock = tls_context(alpn=("h2",)).wrap_socket(sock, server_hostname=host)
            assert sock.selected_alpn_protocol() == "h2"
        self.sock = sock
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(
            client_side=True, header_encoding="utf-8", validate_outbound_headers=False,
            normalize_outbound_headers=False))
        if settings:
            self.h2.local_settings = h2.settings.Settings(client=True, initial_values=settings)
        self.h2.initiate_connection()
        self.flush()

    # ---- sending ----

    def flush(self):
        self.send_raw(self.h2.data_to_send())

    def send_raw(self, data):
        self.sock.settimeout(Deadline(20).left())
        self.sock.sendall(data)

    def request(self, path="/hello", method="GET", headers=(), end=True, authority=None):
        """Sends a request head; returns its stream."""
        stream = self.h2.get_next_available_stream_id()
        self.responses[stream] = H2Response()
        self.h2.send_headers(stream, [
            (":method", method), (":scheme", self.scheme), (":path", path),
            (":authority", authority or self.host), *headers], end_stream=end)
        self.flush()
        return stream

    def websocket(self, path="/", protocol="websocket"):
        stream = self.h2.get_next_available_stream_id()
        self.responses[stream] = H2Response()
        self.h2.send_headers(stream, [
            (":method", "CONNECT"), (":protocol", protocol), (":scheme", self.scheme),
            (":path", path), (":authority", self.host), ("sec-websocket-version", "13")])
        self.flush()
        return stream

    def send(self, stream, data, end=False):
        """Sends as the windows allow, reading meanwhile."""
        data = memoryview(bytes(data))
        while data:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size,
                       len(data))
            if room == 0:
                self.read()
                if self.responses[stream].reset is not None:
                    raise StreamWasReset(self.responses[stream])
                continue
            self.h2.send_data(stream, bytes(data[:room]))
            data = data[room:]
            self.flush()
        if end:
            self.h2.end_stream(stream)
            self.flush()

    def send_trailers(self, stream, headers):
        self.h2.send_headers(stream, headers, end_stream=True)
        self.flush()

    def reset(self, stream, code=8):
        self.h2.reset_stream(stream, code)
        self.flush()

    # ---- reading ----

    def read(self, seconds=10):
        """Takes what comes next; False at the end."""
        self.sock.settimeout(Deadline(seconds).left())
        try:
            data = self.sock.recv(65536)
        except (ConnectionResetError, ssl.SSLError):
            self.was_reset = True
            data = b""
        if not data:
            self.eof = True
            return False
        for event in self.h2.receive_data(data):
            self._on_event(event)
        try:
            self.flush()
        except OSError:
            pass  # the end of what comes tells
        return True

    def _on_event(self, event):
        response = self.responses.get(getattr(event, "stream_id", None))
        if isinstance(event, h2.events.ConnectionTerminated):
            self.goaway.append((event.error_code, event.last_stream_id))
        elif isinstance(event, h2.events.PingAckReceived):
            self.pings += 1
        elif response is None:
            return
        elif isinstance(event, h2.events.InformationalResponseReceived):
            response.interim.append(event.headers)
        elif isinstance(event, h2.events.ResponseReceived):
            response.headers = event.headers
            response.status = int(response.header(":status"))
        elif isinstance(event, h2.events.DataReceived):
            response.body += event.data
            if self.reads and event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.TrailersReceived):
            response.trailers = event.headers
        elif isinstance(event, h2.events.StreamEnded):
            response.ended = True
        elif isinstance(event, h2.events.StreamReset):
            response.reset = int(event.error_code)

    def read_until(self, condition, what, seconds=10):
        deadline = Deadline(seconds)
        while not condition():
            assert self.read(deadline.left()), f"the end came before {what}: {self.responses}"

    def read_head(self, stream, seconds=10):
        response = self.responses[stream]
        self.read_until(lambda: response.status or response.reset is not None, "the head", seconds)
        return response

    def finish(self, stream, seconds=20):
        """Reads until the response has ended or was reset."""
        response = self.responses[stream]
        self.read_until(lambda: response.ended or response.reset is not None, "the response",
                        seconds)
        return response

    def get(self, path="/hello", **kw):
        return self.finish(self.request(path, **kw))

    def read_end(self, seconds=20):
        """Reads until the connection ends; returns the code of the last GOAWAY, or None."""
        deadline = Deadline(seconds)
        while self.read(deadline.left()):
            pass
        return self.goaway[-1][0] if self.goaway else None

    def close(self):
        self.sock.close()
