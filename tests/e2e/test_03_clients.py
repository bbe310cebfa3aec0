"""Every SSH client that people have: OpenSSH, dropbear, PuTTY, paramiko, asyncssh, ssh2 of npm."""

import hashlib
import re

import pytest

from lib import clients
from lib.content import digest
from lib.ports import free_port
from lib.tunnel import host_of
from lib.wait import wait_until

BIG = 8 * 1024 * 1024


@pytest.fixture(params=clients.NAMES)
def start(request, scene, node):
    """start(name, server, ...): a tunnel by the client under test."""
    client = clients.all_clients(node)[request.param]

    def run(name, target, key="alice", command="http", port=443):
        session = client.start(scene.gateway, getattr(scene.keys, key), f"{name}.example.test",
                               port, getattr(target, "port", target), command)
        session.client = request.param
        return scene.keep(session, "stop")

    return run


def online(scene, session, name):
    assert host_of(session.url) == f"{name}.example.test", session.describe()
    return session.url


@pytest.mark.parametrize("key", ["alice", "ecdsa", "rsa"])
def test_login_forward_request(scene, start, key):
    """Login with each key type, a forward, a request through it; stdout is the URL alone."""
    name = scene.name()
    session = start(name, scene.app(), key)
    online(scene, session, name)
    response = scene.get(f"{name}.example.test")
    assert (response.status, response.body) == (200, b"hello from app\n")
    assert len(session.out) == 1


def test_refused_key(scene, start):
    """A stranger's key: the client gives up."""
    try:
        session = start("x", 9, "stranger")
        assert session.exit_status() != 0
        assert session.out == []
    except Exception as e:
        assert "auth" in str(e).lower() or "permission" in str(e).lower(), e


def test_refused_command_has_an_exit_status(scene, start):
    """A wrong flag: exit status 1 and the reason on stderr."""
    session = start(scene.name(), 9, command="http --nope")
    assert session.exit_status() in (1, 255), session.describe()
    wait_until(lambda: re.search(r"ERR_SALLYPORT_1110\b", "\n".join(session.err)),
               session.describe)
    assert session.out == []


def test_refused_endpoint_has_an_exit_status(scene, start):
    """A name of another account: exit status not 0, reason on stderr."""
    scene.tunnel(scene.app(), name="owned", key="bob")
    session = start("owned", 9)
    assert session.exit_status() not in (0, None), session.describe()
    wait_until(lambda: re.search(r"ERR_SALLYPORT_320\b", "\n".join(session.err)), session.describe)
    assert session.out == []


def test_help_ends_with_zero(scene, start):
    """http --help exits 0."""
    session = start(scene.name(), 9, command="http --help")
    assert session.exit_status() == 0, session.describe()


def test_big_bodies(scene, start):
    """8 MiB down and up, compared by SHA-256."""
    name = scene.name()
    online(scene, start(name, scene.app()), name)
    down = hashlib.sha256()
    with scene.https(f"{name}.example.test") as conn:
        assert conn.get(f"/bytes/{BIG}", sink=down.update, seconds=60).status == 200
        assert down.hexdigest() == digest(BIG)
        assert conn.upload("/upload", BIG).text == f"{BIG} {digest(BIG)}"


def test_connections_at_once(scene, start):
    """Sixteen requests at the same time, each with its own answer."""
    name = scene.name()
    up = scene.scripted()
    online(scene, start(name, up), name)
    visitors = []
    for i in range(16):
        visitor = scene.https(f"{name}.example.test")
        visitor.send(visitor.request_bytes("GET", f"/{i}"))
        visitors.append(visitor)
    conns = {}
    for _ in visitors:
        conn = up.accept()
        conns[conn.read_request().target] = conn
    for i in reversed(range(16)):
        conns[f"/{i}"].respond(f"answer {i}".encode())
    assert [v.read_response().text for v in visitors] == [f"answer {i}" for i in range(16)]


def test_refused_upstream(scene, start):
    """Nothing listens at the client's side: 502 with E8012, or E3004 where the client confirms the
    channel before it connects."""
    name = scene.name()
    session = start(name, free_port())
    online(scene, session, name)
    response = scene.get(f"{name}.example.test")
    assert response.status == 502
    early = session.client in ("plink", "paramiko")
    assert response.error_code == f"ERR_SALLYPORT_{3004 if early else 8012}", response


def test_upstream_that_closes_ends_the_body(scene, start):
    """A response that ends with the connection arrives whole through every client."""
    name = scene.name()
    online(scene, start(name, scene.app()), name)
    with scene.https(f"{name}.example.test") as conn:
        response = conn.get("/until-close/300000")
    assert len(response.body) == 300000


def test_abandoned_requests(scene, start):
    """Visitors that leave in mid-body leave no channel behind, and the tunnel goes on."""
    name = scene.name()
    online(scene, start(name, scene.app()), name)
    for _ in range(5):
        conn = scene.https(f"{name}.example.test")
        conn.send(conn.request_bytes("GET", f"/bytes/{BIG}"))
        conn.read_exactly(1000)
        conn.close()
    wait_until(lambda: scene.gateway.metrics()["sallyport_exchanges"] == 0, "exchanges end")
    assert scene.get(f"{name}.example.test").status == 200


# ---- rekeys ----


@pytest.mark.parametrize("limits,option", [
    ({}, "RekeyLimit=1M"), ({"rekey_bytes": 1048576}, None),
    ({"rekey_bytes": 1048576}, "RekeyLimit=1M"),
], ids=["client", "gateway", "both"])
def test_rekeys_lose_nothing(scene, limits, option):
    """32 MiB each way with a rekey every MiB, asked for by one side or both."""
    scene.start_gateway({"limits": limits} if limits else None)
    size = 32 * 1024 * 1024
    tunnel = scene.tunnel(scene.app(), options=[option] if option else ())
    down = hashlib.sha256()
    with scene.https(tunnel) as conn:
        conn.get(f"/bytes/{size}", sink=down.update, seconds=60)
        assert down.hexdigest() == digest(size)
        assert conn.upload("/upload", size).text == f"{size} {digest(size)}"


def test_asyncssh_rekeys(scene):
    """The same with a client of another make."""
    session = scene.keep(clients.Asyncssh(rekey_bytes=1048576).start(
        scene.gateway, scene.keys.alice, "rk.example.test", 443, scene.app().port, "http"), "stop")
    assert session.url
    with scene.https("rk.example.test") as conn:
        assert conn.upload("/upload", BIG).text == f"{BIG} {digest(BIG)}"


# ---- what only some clients do ----


def test_asyncssh_signal_and_break(scene):
    """Signal and break requests on the session channel do no harm."""
    session = scene.keep(clients.Asyncssh().start(
        scene.gateway, scene.keys.alice, "sig.example.test", 443, scene.app().port, "http"), "stop")
    assert session.url
    session.loop.call_soon_threadsafe(session.process.send_signal, "USR1")
    session.loop.call_soon_threadsafe(session.process.channel.send_break, 100)
    session.loop.call_soon_threadsafe(session.process.change_terminal_size, 80, 24)
    assert scene.get("sig.example.test").status == 200


def test_many_session_channels_are_bounded(scene):
    """A client that opens session channels without end is refused at some point, and lives."""
    session = scene.keep(clients.Paramiko().start(
        scene.gateway, scene.keys.alice, "chan.example.test", 443, scene.app().port, "http"),
        "stop")
    assert session.url
    opened = []
    with pytest.raises(Exception, match="(?i)channel|refused|prohibited|denied|EOF|closed"):
        for _ in range(100):
            opened.append(session.transport.open_session(timeout=10))
    assert len(opened) < 64
