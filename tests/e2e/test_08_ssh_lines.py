"""Slow, stopped and spoiled SSH connections, rekeys under load, and last words."""

import hashlib
import re
import signal
import threading
import time

import pytest

from lib.content import content, digest
from lib.ssh_peers import grown, neighbour, raw, served, visit, wait_calm, works  # noqa: F401
from lib.ssh_raw import CHANNEL_DATA, WINDOW_ADJUST
from lib.ssh_relay import TO_CLIENT, TO_GATEWAY, Relay
from lib.wait import TIME_SCALE, wait_until
from test_06_robustness import assert_fast, hold

MIB = 1024 * 1024
#: One worker: whatever a bad client does, its neighbours sit on the same thread. A client that a test has
#: stopped is not to be taken for dead.
SETTINGS = {"workers": 1, "limits": {"keepalive_interval_ms": 600000}}


# ---- rekeys and spoiled lines ----


CIPHERS = ["chacha20-poly1305@openssh.com", "aes128-gcm@openssh.com", "aes256-ctr"]


@pytest.mark.parametrize("cipher", CIPHERS)
def test_rekeys_of_both_sides_with_each_cipher(scene, cipher):
    """20 MB down and up at the same time, with a rekey every MB asked for by both."""
    scene.start_gateway({**SETTINGS, "limits": {"rekey_bytes": 1000000}})
    size = 20 * 1000 * 1000
    tunnel = scene.plain(scene.app(), options=(f"Ciphers={cipher}", "RekeyLimit=1M"))
    uploads = []
    upload = threading.Thread(daemon=True, target=lambda: uploads.append(
        scene.http(tunnel, seconds=60).upload("/upload", size).text))
    upload.start()
    down = hashlib.sha256()
    scene.http(tunnel, seconds=60).get(f"/bytes/{size}", sink=down.update)
    upload.join(60 * TIME_SCALE)
    assert down.hexdigest() == digest(size)
    assert uploads == [f"{size} {digest(size)}"]


@pytest.mark.parametrize("direction", [TO_GATEWAY, TO_CLIENT], ids=["to-gateway", "to-client"])
@pytest.mark.parametrize("cipher", CIPHERS)
def test_flipped_bit(scene, cipher, direction):
    """One bit of a transfer changes on the way: the session ends, no changed byte gets through,
    and the gateway is idle afterwards."""
    good = neighbour(scene)
    relay = scene.keep(Relay(scene.gateway))
    app = scene.app()
    tunnel = scene.plain(app, gateway=relay.gateway, options=(f"Ciphers={cipher}",))
    relay.spoil(direction, 2000003)
    size = 8 * MIB
    received, visitor = bytearray(), scene.http(tunnel)
    try:
        if direction == TO_GATEWAY:
            visitor.get(f"/bytes/{size}", sink=received.extend)
            pytest.fail("the whole body came")
        else:
            assert visitor.upload("/upload", size).status == 502
    except (AssertionError, OSError) as e:
        assert "ended" not in str(e)
    assert relay.spoiled[direction]
    assert bytes(received) == content(size)[:len(received)]
    assert tunnel.wait_exit() == 255
    scene.gateway.wait_gauge("sallyport_ssh_sessions", 1)
    wait_calm(scene.gateway)
    assert works(scene, good)


# ---- stopped and slow clients ----


@pytest.mark.parametrize("way", ["download", "upload"])
def test_stopped_client_on_a_worker_of_its_neighbour(scene, way):
    """SIGSTOP in mid-transfer with one worker: others answer quickly, it resumes intact."""
    app, size = scene.app(), 32 * MIB
    go = hold(app, f"/bytes/{size}" if way == "download" else "/upload")
    bad, good = scene.plain(app), scene.tunnel(scene.app(), key="bob")
    visitor = scene.http(bad, seconds=60)
    results = []

    def transfer():
        h = hashlib.sha256()
        if way == "download":
            visitor.get(f"/bytes/{size}", sink=h.update, seconds=60)
            results.append(h.hexdigest())
        else:
            results.append(visitor.upload("/upload", size).text.split(" ")[1])

    thread = threading.Thread(target=transfer, daemon=True)
    thread.start()
    wait_until(lambda: scene.gateway.metrics()["sallyport_exchanges"] == 1, "the transfer runs")
    go.set()
    bad.signal(signal.SIGSTOP)
    assert_fast(scene, good)
    bad.signal(signal.SIGCONT)
    thread.join(60 * TIME_SCALE)
    assert results == [digest(size)]


@pytest.mark.parametrize("seconds", [3, pytest.param(30, marks=pytest.mark.soak)])
def test_slow_visitor(scene, seconds):
    """A visitor that reads 8 KB now and then: memory bounded, bytes exact."""
    scene.start_gateway(SETTINGS)
    tunnel = scene.plain(scene.app())
    visitor = scene.http(tunnel, receive_buffer=16384, seconds=60)
    size = 32 * MIB
    visitor.send(visitor.request_bytes("GET", f"/bytes/{size}"))
    visitor.read_until(b"\r\n\r\n")
    before, h, left = scene.gateway.rss(), hashlib.sha256(), size
    end = time.monotonic() + seconds
    while left and time.monotonic() < end:
        data = visitor.take(len(visitor.buffer)) or visitor.sock.recv(8192)
        h.update(data)
        left -= len(data)
        time.sleep(0.005)
        assert grown(scene.gateway, before) < 16 * MIB
    visitor.read_counted(left, h.update, 60)
    assert h.hexdigest() == digest(size)


def test_slow_client(scene, served):
    """A client that opens its window 8 KB at a time while 32 MB wait: memory bounded, exact."""
    scene.start_gateway(SETTINGS)
    ssh = served()
    size = 4 * MIB
    before = scene.gateway.rss()
    visitor = scene.http(ssh.host, seconds=60)
    thread = threading.Thread(target=lambda: visitor.upload("/", size), daemon=True)
    thread.start()
    channel = ssh.accept(window=8192)
    h, left = hashlib.sha256(), size
    head, _, rest = channel.read_until(b"\r\n\r\n").partition(b"\r\n\r\n")
    assert head
    h.update(rest)
    left -= len(rest)
    while left:
        channel.say(WINDOW_ADJUST, 8192)
        data = channel.wait(CHANNEL_DATA).text()
        h.update(data)
        left -= len(data)
        assert grown(scene.gateway, before) < 16 * MIB
    assert h.hexdigest() == digest(size)
    channel.respond(b"")
    thread.join(30)


@pytest.mark.parametrize("count", [3, pytest.param(10, marks=pytest.mark.soak)])
def test_keepalives_of_the_client(scene, count):
    """ServerAliveInterval=1: each request is answered, and an idle tunnel stays."""
    tunnel = scene.tunnel(scene.app(), options=("ServerAliveInterval=1", "ServerAliveCountMax=9"),
                          args=("-vvv",))

    def answers():
        return sum("receive packet: type 81" in line for line in tunnel.err)

    wait_until(lambda: answers() >= 1 + count, tunnel.describe, 30)  # the first is for the forward
    assert works(scene, tunnel)


def test_keepalives_of_the_gateway(scene, served):
    """A client that never answers them is dead after its time; one that answers lives."""
    scene.start_gateway({**SETTINGS, "limits": {"keepalive_interval_ms": 400,
                                                "keepalive_count": 7}})
    good, bad = neighbour(scene), served()
    visitor = visit(scene, bad)
    bad.accept()
    assert visitor.read_response().error_code == "ERR_SALLYPORT_3210"
    scene.gateway.wait_gauge("sallyport_ssh_sessions", 1)
    assert works(scene, good)


# ---- last words ----


def revoke(scene):
    scene.gateway.authorize(scene.keys.bob.line())
    scene.gateway.reload()


def stop(scene):
    scene.gateway.process.signal(signal.SIGTERM)


@pytest.mark.parametrize("end,words", [(revoke, r"ERR_SALLYPORT_300\b"), (stop, r"(?i)shut")])
@pytest.mark.parametrize("state", ["idle", "bulk"])
def test_reason_is_shown(scene, end, words, state):
    """A session that is ended by the gateway is told why, also in the middle of bulk output."""
    scene.start_gateway({**SETTINGS, "limits": {"drain_ms": 300}},
                        authorized=[scene.keys.alice.line()])
    tunnel = scene.plain(scene.app())
    if state == "bulk":
        visitor = scene.http(tunnel, seconds=30)
        thread = threading.Thread(target=send_until_closed, args=(visitor,), daemon=True)
        thread.start()
        scene.gateway.wait_gauge("sallyport_exchanges", 1)
    end(scene)
    assert tunnel.wait_exit() == 255
    assert re.search(words, "\n".join(tunnel.err)), tunnel.describe()
    if end is stop:
        assert scene.gateway.process.wait_exit() == 0


def send_until_closed(visitor):
    try:
        visitor.send(visitor.request_bytes("POST", "/upload", [("Content-Length", str(MIB**2))]))
        while True:
            visitor.send(bytes(MIB))
    except OSError:
        pass


# ---- a long line ----


def asked_through_a_relay(scene, size):
    """
    A visitor's request for `size` bytes has reached the app, which answers when `go` is set. On its way
    each side said one thing, and the other said the next only then: the gateway asked for a channel, the
    client confirmed it, the gateway sent the request. What it says now does not reach the client. Returns
    (relay, visitor, go).
    """
    app, path = scene.app(), f"/bytes/{size}"
    go = hold(app, path)
    relay = scene.keep(Relay(scene.gateway))
    tunnel = scene.plain(app, gateway=relay.gateway)
    relay.hold(TO_CLIENT)
    visitor = scene.http(tunnel, seconds=60)
    visitor.send(visitor.request_bytes("GET", path))
    wait_until(lambda: relay.held(TO_CLIENT), "the opening of a channel")
    relay.hold(TO_GATEWAY)
    relay.release(TO_CLIENT)
    wait_until(lambda: relay.held(TO_GATEWAY), "its confirmation")
    relay.hold(TO_CLIENT)
    relay.release(TO_GATEWAY)
    wait_until(lambda: relay.held(TO_CLIENT), "the request")
    relay.hold(TO_GATEWAY)
    relay.release(TO_CLIENT)
    app.wait_seen(path)
    relay.hold(TO_CLIENT)
    relay.release(TO_GATEWAY)
    return relay, visitor, go


def test_answer_takes_two_round_trips(scene):
    """With the opening of its channel, a 100 KB answer costs two round trips on a long line."""
    _, visitor, go = asked_through_a_relay(scene, 100000)
    go.set()
    assert len(visitor.read_response().body) == 100000


def test_round_trip_carries_two_megabytes(scene):
    """So much of an answer is under way before the client hears anything of it: 20 MB/s with a line of
    100 ms."""
    size = 30 * 1000 * 1000
    relay, visitor, go = asked_through_a_relay(scene, size)
    before = relay.passed[TO_GATEWAY]
    go.set()
    wait_until(lambda: relay.passed[TO_GATEWAY] >= before + 2000000, "2 MB of the answer")
    relay.release(TO_CLIENT)
    h = hashlib.sha256()
    visitor.read_response(sink=h.update)
    assert h.hexdigest() == digest(size)
