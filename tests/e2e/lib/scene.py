"""Everything one test sets up, taken down in the right order at its end."""

import itertools
import subprocess

from lib.gateway import DOMAIN, Gateway
from lib.raw import Conn
from lib.tunnel import Tunnel, host_of
from lib.upstream import App, Scripted

_names = itertools.count(1)


class Scene:
    def __init__(self, keys, directory, module_gateway):
        self.keys = keys
        self.directory = directory
        self._module_gateway = module_gateway
        self._gateway = None
        self.gateways = []
        self.closers = []
        self.last = []

    # ---- the gateway ----

    @property
    def gateway(self):
        """The test's own if it started one, else that of its module."""
        if self._gateway is None:
            self._gateway = self._module_gateway()
        return self._gateway

    def start_gateway(self, settings=None, **kw):
        directory = self.directory / f"gateway{len(self.gateways) + 1}"
        directory.mkdir()
        gateway = Gateway(directory, self.keys, settings, **kw)
        self.gateways.append(gateway)
        self._gateway = gateway
        return gateway.start()

    # ---- agents ----

    def ssh(self, *remotes, command="http", key="alice", gateway=None, **kw):
        """ssh with these -R values; nothing is waited for."""
        key = getattr(self.keys, key) if isinstance(key, str) else key
        return self.keep(Tunnel(gateway or self.gateway, remotes, command, key, **kw), "stop")

    def tunnel(self, upstream, name=None, flags="", port=443, **kw):
        """A tunnel that is online: host NAME.example.test, or one of its own."""
        return self.tunnel_to(f"{name or self.name()}.{DOMAIN}", upstream, flags, port, **kw)

    def tunnel_to(self, host, upstream, flags="", port=443, **kw):
        """The same with the whole host name; `upstream` is a server or a port."""
        target = upstream if isinstance(upstream, int) else upstream.port
        tunnel = self.ssh(f"{host}:{port}:127.0.0.1:{target}", command=f"http {flags}".strip(),
                          **kw)
        tunnel.host = host_of(tunnel.url)
        return tunnel

    def plain(self, upstream, **kw):
        """A tunnel with an http endpoint, for what is easier without TLS."""
        return self.tunnel(upstream, port=80, **kw)

    @staticmethod
    def name():
        return f"t{next(_names)}"

    # ---- upstreams ----

    def app(self, **kw):
        return self.keep(App(**kw))

    def scripted(self, **kw):
        return self.keep(Scripted(**kw))

    # ---- visitors ----

    def https(self, host, **kw):
        host = getattr(host, "host", host)
        return self.keep(Conn(self.gateway.https_port, host, tls=True, **kw))

    def http(self, host, **kw):
        host = getattr(host, "host", host)
        return self.keep(Conn(self.gateway.http_port, host, **kw))

    def get(self, tunnel, target="/hello", headers=(), **kw):
        """One HTTPS request on a connection of its own."""
        with self.https(tunnel) as conn:
            return conn.get(target, headers, **kw)

    def curl(self, url, *args, seconds=60):
        """curl with the URL's host sent to the gateway; returns (exit status, stdout, stderr)."""
        host = host_of(url)
        done = subprocess.run(
            ["curl", "-sS", "--max-time", str(seconds), "--noproxy", "*",
             "--connect-to", f"{host}::127.0.0.1:", "-q", *map(str, args), url],
            stdin=subprocess.DEVNULL, capture_output=True, check=False)
        return done.returncode, done.stdout, done.stderr.decode()

    # ---- the end ----

    def keep(self, thing, close="close"):
        """Calls thing.close() at the end; returns the thing."""
        self.closers.append(getattr(thing, close))
        return thing

    def keep_to_the_end(self, thing):
        """Calls thing.close() when the gateway has been checked."""
        self.last.append(thing.close)
        return thing

    def close(self):
        """Visitors, agents and upstreams go; then the gateway must be idle and well."""
        problems = []

        def attempt(step):
            try:
                step()
            except Exception as e:
                problems.append(e)

        for close in reversed(self.closers):
            attempt(close)
        for gateway in self.gateways or ([self._gateway] if self._gateway else []):
            attempt(lambda: self._check(gateway))
        for close in reversed(self.last):
            attempt(close)
        if len(problems) > 1:
            raise AssertionError("\n\n".join(f"{type(p).__name__}: {p}" for p in problems))
        if problems:
            raise problems[0]

    def _check(self, gateway):
        """Idle and without complaint; one of the test's own also ends well."""
        try:
            gateway.check()
            if gateway.process and gateway.process.running:
                gateway.wait_idle()
                if gateway in self.gateways:
                    assert gateway.terminate() == 0, gateway.process.describe()
            gateway.check()
        finally:
            if gateway in self.gateways and gateway.process:
                gateway.process.stop()
