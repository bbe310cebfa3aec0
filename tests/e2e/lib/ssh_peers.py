"""What the tests of odd SSH clients share."""

import os
import time
from pathlib import Path

import pytest

from lib.gateway import BINARY
from lib.ssh_raw import RawSsh
from lib.wait import wait_until

SANITIZED = b"__asan_init" in BINARY.read_bytes()


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
    """Bytes that the gateway takes more than `before`; 0 under AddressSanitizer, which keeps freed
    memory."""
    return 0 if SANITIZED else gateway.rss() - before
