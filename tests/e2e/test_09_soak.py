"""What takes longer than a minute; `make soak` runs it. Short forms are in the other files."""

import hashlib
import random
import threading
import time

import pytest

from lib import clients
from lib.api import Api, new_token
from lib.content import digest, pieces
from lib.raw import Conn
from test_04_streaming import transfer
from test_06_robustness import crowd, many_tunnels
from test_12_cloud_forward import SETTINGS as CROSSING
from test_12_cloud_forward import crossing_under_restarts, crossing_with_gaps

pytestmark = pytest.mark.soak
MIB = 1024 * 1024
GIB = 1024 * MIB


@pytest.mark.parametrize("kind", ["bytes", "chunked", "upload", "upload-chunked"])
def test_10_gib(scene, kind):
    """10 GiB through one tunnel, exact, while memory grows by less than 16 MiB."""
    transfer(scene, kind, 10 * GIB, seconds=1200)


def test_1000_requests_at_once_through_one_tunnel(scene):
    """All are at the upstream at the same time."""
    scene.start_gateway({"limits": {"max_channels": 1000}})
    crowd(scene, 1000)


def test_1000_tunnels(scene):
    """A thousand ssh clients on one gateway, each answers."""
    gateway = scene.start_gateway({"limits": {"max_unauthenticated": 256}})
    tunnels = many_tunnels(scene, 1000)
    assert all(t.running for t in tunnels)
    print(f"resident: {gateway.rss() / MIB:.0f} MiB")


@pytest.mark.parametrize("name", ["openssh", "paramiko", "ssh2"])
def test_random_transfers_with_rekeys(scene, node, name):
    """A minute of random sizes both ways, aborts among them, with rekeys every 5 MB at our side.
    (asyncssh 2.10 is not among the clients: it sends data in the middle of a key exchange.)"""
    scene.start_gateway({"limits": {"rekey_bytes": 5 * MIB}})
    client = clients.all_clients(node)[name]
    scene.keep(client.start(scene.gateway, scene.keys.alice, "soak.example.test", 443,
                            scene.app().port, "http"), "stop").url
    end = time.monotonic() + 60
    counts, problems = [0], []

    def worker(number):
        dice = random.Random(number)
        try:
            while time.monotonic() < end:
                one_transfer(scene, dice)
                counts[0] += 1
        except Exception as e:
            problems.append(e)

    threads = [threading.Thread(target=worker, args=(n,)) for n in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(180)
    assert not problems, problems
    assert counts[0] > 100


def one_transfer(scene, dice):
    """A few requests of random kind and size on one connection."""
    with Conn(scene.gateway.https_port, "soak.example.test", tls=True, seconds=60) as conn:
        for _ in range(dice.randint(1, 4)):
            size = int(2 ** dice.uniform(0, 22))
            kind = dice.choice(["bytes", "chunked", "upload", "upload-chunked", "abort", "cut"])
            if kind in ("bytes", "chunked"):
                h = hashlib.sha256()
                conn.get(f"/{kind}/{size}", sink=h.update)
                assert h.hexdigest() == digest(size)
            elif kind.startswith("upload"):
                answer = conn.upload("/upload", size, chunked=kind.endswith("chunked"))
                assert answer.text == f"{size} {digest(size)}"
            elif kind == "abort":
                conn.send(conn.request_bytes("GET", f"/bytes/{8 * MIB}"))
                conn.read_exactly(100)
                return
            else:
                conn.send(conn.request_bytes("POST", "/upload",
                                             [("Content-Length", str(size + 1))]))
                for piece in pieces(size):
                    conn.send(piece)
                conn.reset()
                return


def test_slow_reader_for_30_seconds(scene):
    """A visitor that reads 8 KB every 5 ms for half a minute: memory bounded, bytes exact."""
    gateway = scene.start_gateway()
    tunnel = scene.tunnel(scene.app())
    visitor = scene.https(tunnel, receive_buffer=16384, seconds=120)
    size = 64 * MIB
    visitor.send(visitor.request_bytes("GET", f"/bytes/{size}"))
    visitor.read_until(b"\r\n\r\n")
    before, h, left = gateway.rss(), hashlib.sha256(), size
    end = time.monotonic() + 30
    while left and time.monotonic() < end:
        data = visitor.take(len(visitor.buffer)) or visitor.sock.recv(8192)
        h.update(data)
        left -= len(data)
        time.sleep(0.005)
        gateway.assert_growth(before)
    visitor.read_counted(left, h.update, 120)
    assert h.hexdigest() == digest(size)


def test_names_come_and_go(scene):
    """A thousand short sessions of several keys: nothing is left and memory stays."""
    gateway = scene.start_gateway()
    app = scene.app()

    def round_trip(key):
        ssh = scene.ssh(f"443:127.0.0.1:{app.port}", key=key)
        assert ssh.url
        ssh.kill()

    for _ in range(50):
        round_trip("alice")
    gateway.wait_idle()
    before = gateway.rss()
    for i in range(1000):
        round_trip(("alice", "alice2", "bob", "carol")[i % 4])
    gateway.wait_idle()
    gateway.assert_growth(before)


@pytest.mark.parametrize("cross, total", [(crossing_under_restarts, 100_000),
                                          (crossing_with_gaps, 20_000)])
def test_crossing_of_20_sessions(scene, cross, total):
    """A cloud endpoint routes to 20 sessions by path, header and chance; they restart all the while."""
    gateway = scene.start_gateway(CROSSING)
    api = scene.keep(Api(gateway, new_token(gateway, "--account", "alice")))
    cross(scene, api, 2000, 1, 60)
    before = gateway.rss()
    _, restarts = cross(scene, api, total, 0, 1200)
    assert restarts > 20
    print(f"resident: {before / MIB:.0f} MiB, then {gateway.rss() / MIB:.0f} MiB")
    gateway.assert_growth(before, 64 * MIB)
