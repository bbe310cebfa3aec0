"""Limits of the SSH front, each at N and N + 1."""

import re
import socket
import time

import pytest

from lib.wait import wait_until


def banner(gateway, seconds=10):
    """A raw connection to the SSH port that has read the version line, and that line."""
    s = socket.create_connection(("127.0.0.1", gateway.ssh_port), seconds)
    line = b""
    try:
        while not line.endswith(b"\n"):
            piece = s.recv(1)
            if not piece:
                break
            line += piece
    except ConnectionResetError:
        pass
    return s, line


def wait_closed(s, seconds=10):
    """The gateway ends the connection."""
    s.settimeout(seconds)
    try:
        while s.recv(65536):
            pass
    except ConnectionResetError:
        pass
    s.close()


def test_sessions_per_key(scene):
    """max_sessions_per_key: N live, the next is refused with E108; another key is not affected."""
    app = scene.app()
    scene.start_gateway({"limits": {"max_sessions_per_key": 2}})
    tunnels = [scene.tunnel(app) for _ in range(2)]
    third = scene.ssh(f"third.example.test:443:127.0.0.1:{app.port}")
    assert third.wait_exit() not in (0, None)
    assert re.search(r"ERR_SALLYPORT_108\b", "\n".join(third.err)), third.describe()
    assert scene.get(scene.tunnel(app, key="bob")).status == 200
    tunnels[0].stop()
    wait_until(lambda: scene.ssh(command="version").wait_exit() == 0, "room after one left")


def test_sessions_per_address(scene):
    """max_sessions_per_address: N live, the next is refused, whatever its key."""
    app = scene.app()
    scene.start_gateway({"limits": {"max_sessions_per_address": 2}})
    scene.tunnel(app)
    scene.tunnel(app, key="bob")
    third = scene.ssh(f"third.example.test:443:127.0.0.1:{app.port}", key="carol")
    assert third.wait_exit() not in (0, None)
    assert re.search(r"ERR_SALLYPORT_108\b|Connection (closed|reset)", "\n".join(third.err))


def test_forwards_per_session(scene):
    """max_forwards: the next is refused with E324, the others are online."""
    app = scene.app()
    scene.start_gateway({"limits": {"max_forwards": 3}})
    ssh = scene.ssh(*[f"f{i}.example.test:443:127.0.0.1:{app.port}" for i in range(4)])
    ssh.urls(3)
    ssh.wait_err(r"ERR_SALLYPORT_(324|1105)\b|forwarding failed")
    assert [scene.get(f"f{i}.example.test").status for i in range(4)] == [200, 200, 200, 404]


def test_channels_per_session(scene):
    """max_channels: N upstream connections at once, the next visitor gets 503 E3210."""
    up = scene.scripted()
    scene.start_gateway({"limits": {"max_channels": 4}, "workers": 1})
    tunnel = scene.tunnel(up)
    visitors = []
    for _ in range(4):
        visitor = scene.https(tunnel)
        visitor.send(visitor.request_bytes("GET", "/"))
        visitors.append((visitor, up.accept()))
    response = scene.get(tunnel, "/")
    assert response.status == 503
    assert response.error_code == "ERR_SALLYPORT_3210"
    for visitor, conn in visitors:
        conn.read_request()
        conn.respond(b"ok")
        assert visitor.read_response().status == 200


def test_unauthenticated_connections(scene):
    """max_unauthenticated: silent connections fill it, the next is closed; then there is room."""
    gateway = scene.start_gateway({"workers": 1, "limits": {"max_unauthenticated": 3}})
    silent = [banner(gateway) for _ in range(3)]
    assert all(line.startswith(b"SSH-2.0-") for _, line in silent)
    extra, line = banner(gateway)
    assert not line.startswith(b"SSH-2.0-")
    extra.close()
    for s, _ in silent:
        s.close()
    wait_until(lambda: scene.ssh(command="version").wait_exit() == 0, "room again")


def test_logged_in_sessions_do_not_count_as_unauthenticated(scene):
    """After the login a session no longer counts against max_unauthenticated."""
    app = scene.app()
    scene.start_gateway({"workers": 1, "limits": {"max_unauthenticated": 1}})
    tunnels = [scene.tunnel(app) for _ in range(3)]
    assert [scene.get(t).status for t in tunnels] == [200] * 3


def test_login_grace(scene):
    """login_grace_ms: a client that says nothing, or dribbles, is dropped in time."""
    gateway = scene.start_gateway({"limits": {"login_grace_ms": 1000}})
    silent, _ = banner(gateway)
    slow, _ = banner(gateway)
    start = time.monotonic()
    try:
        while True:
            slow.sendall(b"S")
            slow.settimeout(0.05)
            try:
                if not slow.recv(65536):
                    break
            except TimeoutError:
                assert time.monotonic() - start < 15, "still open"
    except OSError:
        pass
    slow.close()
    wait_closed(silent)


def test_authentication_tries(scene):
    """max_auth_tries: the client is told that it offered too many keys."""
    scene.start_gateway({"limits": {"max_auth_tries": 3}})
    wrong = [scene.keys.get(f"wrong{i}") for i in range(5)]
    ssh = scene.ssh(command="version", key=None,
                    options=[f"IdentityFile={k.path}" for k in [*wrong, scene.keys.alice]])
    assert ssh.wait_exit() == 255
    assert re.search(r"ERR_SALLYPORT_1101\b|[Tt]oo many", "\n".join(ssh.err)), ssh.describe()
    few = scene.ssh(command="version", key=None,
                    options=[f"IdentityFile={k.path}" for k in [*wrong[:2], scene.keys.alice]])
    assert few.wait_exit() == 0, few.describe()


GARBAGE = [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x00" * 300000, b"SSH-1.5-old\r\n",
           b"SSH-2.0-" + b"x" * 100000 + b"\r\n", b"SSH-2.0-x\r\n" + b"\xff" * 300000,
           b"SSH-2.0-x\r\n\x00\x00\x00\x0c\x0a\x14" + b"\x00" * 100]


@pytest.mark.parametrize("data", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_on_the_ssh_port(scene, data):
    """Anything that is not SSH ends quickly and leaves nothing behind."""
    gateway = scene.start_gateway({"limits": {"login_grace_ms": 2000}})
    s, _ = banner(gateway)
    try:
        s.sendall(data)
    except OSError:
        pass
    wait_closed(s)


def test_port_scan(scene):
    """Two hundred connections that close at once."""
    for _ in range(200):
        socket.create_connection(("127.0.0.1", scene.gateway.ssh_port)).close()
    assert scene.ssh(command="version").wait_exit() == 0


def test_aborted_logins(scene):
    """Clients that vanish in the middle of the key exchange or of the login leave nothing."""
    for _ in range(10):
        ssh = scene.ssh(command="version")
        while ssh.running and not ssh.out:
            if time.monotonic() % 0.02 < 0.01:
                break
        ssh.kill()
    assert scene.ssh(command="version").wait_exit() == 0
