"""
The ways a request can go: HTTP/1.1 or HTTP/2 from the visitor, and each protocol that an upstream may
speak. A Stage has one tunnel for each kind of upstream, which all tests of a module share; a Way is one
combination for one test.
"""

import queue
import ssl
import subprocess
import threading

from lib.gateway import DOMAIN
from lib.http1_exchange import Http1Visitor, serve_http1
from lib.http2_exchange import Http2Peer, Http2Visitor
from lib.scene import Scene
from lib.upstream import Server
from lib.wait import Deadline, wait_until
from lib.wire import Wire

#: What the visitor speaks; it is always TLS.
DOWNSTREAMS = {"h1": Http1Visitor, "h2": Http2Visitor}


class Kind:
    """A kind of upstream: its ALPN name, whether by TLS, and what the command has to say."""

    def __init__(self, alpn, tls, command):
        self.alpn = alpn
        self.tls = tls
        self.command = command


UPSTREAMS = {
    "h1": Kind("http/1.1", False, ""),
    "h2c": Kind("h2", False, "--upstream-protocol http2"),
    "https-h1": Kind("http/1.1", True, "https://localhost:{port}"),
    "https-h2": Kind("h2", True, "https://localhost:{port} --upstream-protocol http2"),
}

WAYS = [(down, up) for down in DOWNSTREAMS for up in UPSTREAMS]


class Served(Server):
    """The test plays the upstream: x = served.accept(), an Exchange, whatever connection it is on."""

    def __init__(self, kind, certificate):
        self.kind = kind
        self.context = certificate.server_context(kind.alpn) if kind.tls else None
        self.waiting = queue.Queue()
        self.problems = []
        self.peers = []
        super().__init__()

    def keeps_bytes(self):
        return False

    def on_conn(self, conn):
        threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        try:
            conn.sock = Wire(conn.sock, self.context, server_side=True)
        except OSError as e:
            self.problems.append(f"no TLS: {e}")
            return
        if self.context and conn.sock.alpn != self.kind.alpn:
            self.problems.append(f"ALPN gave {conn.sock.alpn}, not {self.kind.alpn}")
            conn.sock.close()
        elif self.kind.alpn == "h2":
            self.peers.append(Http2Peer(conn.sock, False, self.waiting.put))
        else:
            serve_http1(conn, self.waiting.put)

    def accept(self, seconds=10):
        try:
            return self.waiting.get(timeout=Deadline(seconds).left())
        except queue.Empty:
            raise AssertionError(f"no request reached the upstream; {self.problems}") from None

    def assert_untouched(self):
        assert self.waiting.empty(), self.waiting.get()

    def drop(self):
        """Closes all connections and forgets them; the server goes on."""
        for conn in self.connections:
            conn.sock.close()
        self.connections.clear()
        self.peers.clear()
        self.problems.clear()
        self.waiting = queue.Queue()


class Certificate:
    """A self-signed one for localhost."""

    def __init__(self, directory):
        self.file, self.key = directory / "localhost.crt", directory / "localhost.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "3", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost", "-keyout", self.key, "-out",
                        self.file], check=True, capture_output=True)

    def server_context(self, alpn):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file, self.key)
        context.set_alpn_protocols([alpn])
        return context


class Stage:
    """Tunnels for a module. They outlive a gateway that crashed: the next test gets new ones."""

    #: Streams that may wait for the next request of an upstream which keeps its connections.
    MAX_IDLE = 32 * len(UPSTREAMS)
    RESTING = ("sallyport_connections", "sallyport_exchanges")

    def __init__(self, keys, directory, gateway, node):
        self.scene = Scene(keys, directory, gateway)
        self.certificate = Certificate(directory)
        self.node = node
        self.served = {}
        self.ports = {}
        self.tunnels = {}

    @property
    def gateway(self):
        return self.scene.gateway

    def upstream(self, up):
        """The scripted server of that kind."""
        if up not in self.served:
            self.served[up] = self.scene.keep(Served(UPSTREAMS[up], self.certificate))
        return self.served[up]

    def node_port(self, up):
        """The port of node/way_server.js of that kind."""
        if up not in self.ports:
            kind = UPSTREAMS[up]
            server = self.scene.keep(self.node.start(
                "way_server.js", kind.alpn, *([self.certificate.file, self.certificate.key]
                                              if kind.tls else [])), "stop")
            self.ports[up] = int(server.wait_out()[0])
        return self.ports[up]

    def host(self, up, port):
        """The name of the endpoint whose upstream listens on `port` and is of the kind `up`."""
        gateway = self.gateway
        tunnel = self.tunnels.get(port)
        if tunnel is None or not tunnel.running or tunnel.served_by != gateway.pid:
            tunnel = self.scene.tunnel(port, flags=UPSTREAMS[up].command.format(port=port))
            tunnel.served_by = gateway.pid
            self.tunnels[port] = tunnel
        assert tunnel.host.endswith(DOMAIN)
        return tunnel.host

    def wait_rest(self, idle_streams=0):
        """Nothing is left of any exchange; only the tunnels are there, each with a channel for its
        command, and up to `idle_streams` that the upstreams keep open."""
        def left():
            metrics = self.gateway.metrics()
            rest = {name: metrics[name] for name in self.RESTING if metrics[name]}
            for name, most in (("sallyport_streams", 0), ("sallyport_relays", 0),
                               ("sallyport_ssh_channels", metrics["sallyport_ssh_sessions"])):
                if metrics[name] > most + idle_streams:
                    rest[name] = metrics[name]
            return rest

        wait_until(lambda: not left(), lambda: f"a gateway at rest; left: {left()}")

    def close(self):
        self.scene.close()


class Way:
    """One combination: `down` of DOWNSTREAMS, `up` of UPSTREAMS, and a scripted upstream."""

    def __init__(self, stage, down, up):
        self.stage = stage
        self.down = down
        self.up = up
        self.upstream = stage.upstream(up)
        self.visitors = []

    @property
    def gateway(self):
        return self.stage.gateway

    @property
    def host(self):
        return self.stage.host(self.up, self.upstream.port)

    def visit(self):
        """A new connection of a visitor."""
        visitor = DOWNSTREAMS[self.down](self.gateway, self.host)
        self.visitors.append(visitor)
        return visitor

    def open(self, method="GET", target="/", headers=(), end=True, visitor=None):
        """A request that has reached the upstream; returns both ends of its exchange."""
        x = (visitor or self.visit()).open(method, target, headers, end)
        u = self.upstream.accept()
        assert (u.head.method, u.head.target) == (method, target)
        return x, u

    def tunnel(self, target="/chat", headers=(), visitor=None):
        """An established WebSocket; returns both ends."""
        x = (visitor or self.visit()).websocket(target, headers)
        u = self.upstream.accept()
        assert u.wants_websocket and u.head.target == target, u.head
        u.accept_websocket()
        assert x.is_tunnel, x.head
        return x, u

    def assert_serves(self, visitor=None):
        """An ordinary request works."""
        x, u = self.open(target="/after", visitor=visitor)
        u.answer(b"still here")
        assert (x.wait_head().status, x.read_rest()) == (200, b"still here")

    def close(self):
        for visitor in self.visitors:
            visitor.close()
        self.upstream.drop()
        self.stage.gateway.check()
        self.stage.wait_rest()
