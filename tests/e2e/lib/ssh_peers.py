"""What the tests of odd SSH clients share."""

import os
import signal
import time
from pathlib import Path

import pytest

from lib.gateway import CHECKED
from lib.ssh_raw import RawSsh
from lib.wait import wait_until


@pytest.fixture
def raw(scene):
    """A raw client, logged in if it has a key."""

    def connect(key="alice", **kw):
        ssh = scene.keep(RawSsh(scene.gateway, **kw))
        return ssh.login(getattr(scene.keys, key)) if key else ssh

    return connect


@pytest.fixture
def served(scene, raw):
    """A raw client with an http endpoint at .host; its session channel is .console."""

    def serve(**kw):
        ssh = raw(**kw)
        ssh.host = f"{scene.name()}.example.test"
        ssh.console = ssh.serve(ssh.host)
        return ssh

    return serve


def visit(scene, ssh, target="/", **kw):
    """A visitor that has sent its request."""
    visitor = scene.http(ssh.host, **kw)
    visitor.send(visitor.request_bytes("GET", target))
    return visitor


def neighbour(scene):
    """A tunnel of an ordinary client that must not be disturbed."""
    return scene.tunnel(scene.app(), key="bob")


def works(scene, tunnel):
    return scene.get(tunnel).status == 200


def cpu_seconds(gateway):
    fields = Path(f"/proc/{gateway.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_calm(gateway):
    """The gateway uses hardly any CPU."""

    def calm():
        before = cpu_seconds(gateway)
        time.sleep(0.3)
        return cpu_seconds(gateway) - before <= 0.03

    wait_until(calm, "a gateway that does nothing")


def grown(gateway, before):
    """Bytes that the gateway takes more than `before`; 0 under AddressSanitizer and valgrind, which
    keep freed memory."""
    return 0 if CHECKED else gateway.rss() - before


class Frozen:
    """The gateway does not run in between, so that it finds all that was sent in one piece."""

    def __init__(self, gateway):
        self.pid = gateway.pid

    def __enter__(self):
        os.kill(self.pid, signal.SIGSTOP)

    def __exit__(self, *exc):
        os.kill(self.pid, signal.SIGCONT)
