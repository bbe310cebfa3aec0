"""Exchanges by HTTP/2 with python3-h2, for a visitor and for an upstream."""

import socket
import threading

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import H2Error
from h2 import events
from h2.settings import SettingCodes, Settings

from lib.exchange import Broken, Exchange, Head
from lib.raw import tls_context
from lib.wait import Deadline
from lib.wire import Wire

WINDOW = 1024 * 1024


class Http2Exchange(Exchange):
    """One HTTP/2 stream."""

    def __init__(self, peer, number):
        super().__init__()
        self.peer = peer
        self.number = number
        self.ended = False
        self.broken = None
        self.interim = []

    def wait_head(self, seconds=10):
        self.peer.wait(lambda: self.head or self.ended or self.broken, "a response head", seconds)
        if not self.head:
            raise Broken(self.broken or "a stream without a head")
        return self.head

    def fill(self, deadline):
        had = len(self.data)
        self.peer.wait(lambda: len(self.data) > had or self.ended or self.broken, "body",
                       deadline.left())
        if len(self.data) > had:
            return True
        if self.broken and not self.ended:
            raise Broken(self.broken)
        return False

    def take(self, n):
        """Only what was taken gives the peer room for more."""
        data = super().take(n)
        if data:
            with self.peer.using() as h2:
                h2.acknowledge_received_data(len(data), self.number)
        return data

    def wait_broken(self, seconds=10):
        self.peer.wait(lambda: self.broken or self.ended and self.head.status, "a reset", seconds)
        assert self.broken and not (self.ended and self.head.status), "the response is whole"

    def send(self, data, seconds=30):
        view = memoryview(data)
        while view:
            with self.peer.changed:
                self.peer.wait(lambda: self.broken or self.peer.room(self.number),
                               "room in the flow-control window", seconds)
                if self.broken:
                    raise Broken(self.broken)
                n = min(len(view), self.peer.room(self.number))
                self.peer.h2.send_data(self.number, view[:n].tobytes())
                self.peer.changed.notify_all()
            view = view[n:]

    def end(self, trailers=()):
        with self.peer.using() as h2:
            if trailers:
                h2.send_headers(self.number, list(trailers), end_stream=True)
            else:
                h2.end_stream(self.number)

    def respond(self, status=200, headers=(), end=False):
        with self.peer.using() as h2:
            h2.send_headers(self.number, [(":status", str(status)), *headers], end_stream=end)

    @property
    def wants_websocket(self):
        return (self.head.method == "CONNECT" and self.protocol == "websocket"
                and self.head.header("sec-websocket-version") == "13"
                and self.head.header("upgrade") is None)

    def accept_websocket(self, headers=()):
        self.respond(200, headers)

    @property
    def is_tunnel(self):
        return self.wait_head().status == 200

    def reset(self, code=ErrorCodes.CANCEL):
        with self.peer.using() as h2:
            if not self.broken:
                h2.reset_stream(self.number, code)
                self.broken = "reset by this side"

    def cut(self):
        self.peer.reset()


class Http2Peer:
    """
    One side of an HTTP/2 connection over `wire`. One thread reads, another writes what python3-h2
    made, so neither waits for the test or for the other. on_exchange: takes the requests of a server.
    """

    def __init__(self, wire, client, on_exchange=None):
        self.wire = wire
        self.on_exchange = on_exchange
        self.changed = threading.Condition(threading.RLock())  # guards all below
        self.streams = {}
        self.lost = None
        self.goaway = None
        self.h2 = H2Connection(H2Configuration(client_side=client, header_encoding="utf-8"))
        values = {SettingCodes.INITIAL_WINDOW_SIZE: WINDOW}
        values |= {SettingCodes.ENABLE_PUSH: 0} if client else {
            SettingCodes.ENABLE_CONNECT_PROTOCOL: 1, SettingCodes.MAX_CONCURRENT_STREAMS: 100}
        self.h2.local_settings = Settings(client, values)
        self.h2.initiate_connection()
        self.h2.increment_flow_control_window(WINDOW)
        self.threads = [threading.Thread(target=job, daemon=True)
                        for job in (self._write, self._read)]
        for thread in self.threads:
            thread.start()

    # ---- for exchanges ----

    def wait(self, test, what, seconds):
        """Waits under the lock until test() is true."""
        with self.changed:
            if not self.changed.wait_for(test, Deadline(seconds).left()):
                raise TimeoutError(f"no {what} within {seconds} s; streams {self.streams}")

    def using(self):
        """`with peer.using() as h2`: what is made with it is sent."""
        return _Using(self)

    def room(self, number):
        return min(self.h2.local_flow_control_window(number), self.h2.max_outbound_frame_size)

    # ---- the threads ----

    def _read(self):
        why = "the connection ended"
        try:
            while data := self.wire.recv():
                with self.changed:
                    for event in self.h2.receive_data(data):
                        self._on_event(event)
                    self.changed.notify_all()
        except (OSError, H2Error) as e:
            why = f"{type(e).__name__} {e}"
        with self.changed:
            self.lost = why
            for x in self.streams.values():
                x.broken = x.broken or why
            self.changed.notify_all()

    def _write(self):
        try:
            while True:
                with self.changed:
                    while not (data := self.h2.data_to_send()):
                        if self.lost:
                            return
                        self.changed.wait()
                self.wire.sendall(data)
        except OSError:
            pass

    def _on_event(self, event):
        x = self.streams.get(getattr(event, "stream_id", None))
        if isinstance(event, events.RequestReceived):
            self._on_request(event)
        elif isinstance(event, events.ConnectionTerminated):
            self.goaway = event
        elif x is None:
            pass
        elif isinstance(event, events.ResponseReceived):
            x.head = Head(_plain(event.headers), int(dict(event.headers)[":status"]))
        elif isinstance(event, events.InformationalResponseReceived):
            x.interim.append(Head(_plain(event.headers), int(dict(event.headers)[":status"])))
        elif isinstance(event, events.DataReceived):
            x.data += event.data
            padding = event.flow_controlled_length - len(event.data)
            if padding:
                self.h2.acknowledge_received_data(padding, event.stream_id)
        elif isinstance(event, events.TrailersReceived):
            x.trailers = list(event.headers)
        elif isinstance(event, events.StreamEnded):
            x.ended = True
        elif isinstance(event, events.StreamReset):
            x.broken = x.broken or f"reset: {event.error_code!r}"

    def _on_request(self, event):
        fields = dict(event.headers)
        x = Http2Exchange(self, event.stream_id)
        x.head = Head(_plain(event.headers), None, fields[":method"], fields.get(":path"))
        x.protocol = fields.get(":protocol")
        x.authority = fields.get(":authority")
        self.streams[event.stream_id] = x
        self.on_exchange(x)

    # ---- the end ----

    def close(self):
        try:
            with self.using() as h2:
                h2.close_connection()
            self.wire.settimeout(5)
            self.wire.sendall(self.h2.data_to_send())
        except (OSError, H2Error):
            pass
        self.wire.close()

    def reset(self):
        """Ends TCP by a reset. A reader inside recv() would hold the socket open, so it is woken."""
        with self.changed:
            self.lost = "reset by this side"
            self.changed.notify_all()
        self.wire.shutdown(socket.SHUT_RD)
        for thread in self.threads:
            thread.join(10)
        self.wire.reset()


class _Using:
    def __init__(self, peer):
        self.peer = peer

    def __enter__(self):
        self.peer.changed.acquire()
        return self.peer.h2

    def __exit__(self, *exc):
        self.peer.changed.notify_all()
        self.peer.changed.release()


def _plain(headers):
    return [(n, v) for n, v in headers if not n.startswith(":")]


class Http2Visitor(Http2Peer):
    """One connection to the gateway, by ALPN."""

    def __init__(self, gateway, host):
        sock = socket.create_connection((gateway.address, gateway.https_port), 10)
        wire = Wire(sock, tls_context(alpn=("h2", "http/1.1")), name=host)
        if wire.alpn != "h2":
            wire.close()
            raise AssertionError(f"ALPN gave {wire.alpn}, not h2")
        wire.settimeout(None)
        self.authority = f"{host}:{gateway.https_port}"
        super().__init__(wire, True)

    def open(self, method="GET", target="/", headers=(), end=True, protocol=None):
        """Sends a request's head."""
        with self.using() as h2:
            assert not self.lost, self.lost
            number = h2.get_next_available_stream_id()
            x = self.streams[number] = Http2Exchange(self, number)
            pseudo = [(":method", method), (":scheme", "https"), (":authority", self.authority),
                      (":path", target)] + ([(":protocol", protocol)] if protocol else [])
            h2.send_headers(number, [*pseudo, *headers], end_stream=end)
        return x

    def websocket(self, target="/", headers=()):
        """Extended CONNECT (RFC 8441), once the gateway says that it may be used."""
        self.wait(lambda: self.h2.remote_settings.enable_connect_protocol,
                  "SETTINGS_ENABLE_CONNECT_PROTOCOL", 10)
        return self.open("CONNECT", target, [("sec-websocket-version", "13"), *headers],
                         end=False, protocol="websocket")
