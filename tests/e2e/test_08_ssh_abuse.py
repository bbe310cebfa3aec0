"""SSH clients that look for a gap: between two polls, behind an end, below a limit."""

import ssl
import time

import pytest

from lib import ssh_raw
from lib.gateway import request_path
from lib.raw import ProtocolError, tls_context
from lib.ssh_peers import Frozen, grown, neighbour, raw, served, visit, works  # noqa: F401
from lib.ssh_raw import (CHANNEL_CLOSE, CHANNEL_DATA, CHANNEL_EOF, CHANNEL_REQUEST,
                         EXTENDED_DATA, WINDOW, WINDOW_ADJUST, Ended, message)
from lib.wait import TIME_SCALE, wait_until

MIB = 1024 * 1024
#: One worker: whatever a bad client does, its neighbours sit on the same thread.
SETTINGS = {"workers": 1}
#: What a settling reads at most before it acts; the rest of a batch comes by its own polls.
PUMP_BYTES = 16 * 4096
#: Turns of the gateway after which a visitor that does not read has taken all that it takes.
QUIET_TURNS = 100


def fill(ssh, channel, head, window=WINDOW):
    """Sends head, and then as many bytes as the window allows until it opens no more, so that the
    gateway holds most of a window of them; returns how many."""
    channel.data(head)
    window -= len(head)
    sent = quiet = 0
    while quiet < QUIET_TURNS:
        channel.data(bytes(window))
        sent += window
        ssh.passed.clear()
        ssh.ping()
        window = sum(m.number() for m in ssh.passed
                     if m.kind == WINDOW_ADJUST and m.number() == channel.mine)
        quiet = 0 if window else quiet + 1
    return sent


# ---- between two polls ----


def test_closed_twice_while_the_gateway_closes(scene, raw):
    """Several CLOSE messages are read by the very calls that close the channel. Where they must
    stand for that is tried out: behind what the pump reads."""
    good = neighbour(scene)
    assert works(scene, good)
    before = scene.gateway.metrics()["sallyport_ssh_channels"]
    for filler in range(PUMP_BYTES - 2048, PUMP_BYTES + 16 * 1024, 1024):
        ssh = raw()
        console = ssh.session()
        exec_line = console.message(CHANNEL_REQUEST, "exec", True, "version")
        batch = ssh.pack(exec_line)
        while len(batch) < filler:
            batch += ssh.pack(message(ssh_raw.IGNORE, bytes(min(filler - len(batch), 900))))
        batch += b"".join(ssh.pack(console.message(CHANNEL_CLOSE)) for _ in range(8))
        with Frozen(scene.gateway):
            ssh.send_bytes(batch)
        ssh.ping()
        ssh.close()
    assert works(scene, good)
    scene.gateway.wait_gauge("sallyport_ssh_channels", before)


def test_channels_that_are_closed_with_their_confirmation(scene, served):
    """A client that accepts before it knows whether its service is there closes at once when it is
    not: the gateway closes, too, and has room for others."""
    scene.start_gateway({"limits": {"max_channels": 4}})
    ssh = served()
    for _ in range(10):
        visitor = visit(scene, ssh)
        channel = ssh.offered()
        with Frozen(scene.gateway):
            ssh.send(channel.confirmation(), channel.message(CHANNEL_CLOSE))
        channel.wait(CHANNEL_CLOSE)
        assert visitor.read_response().status == 502
    scene.gateway.wait_gauge("sallyport_ssh_channels", 1)


@pytest.mark.parametrize("tail", ["", "eof", "close"])
def test_whole_answer_in_one_batch_with_the_confirmation(scene, served, tail):
    """The client confirms a channel, and its service has answered and closed already."""
    ssh = served()
    visitor = visit(scene, ssh)
    channel = ssh.offered()
    batch = [channel.confirmation(),
             channel.message(CHANNEL_DATA, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nquick")]
    if tail:
        batch.append(channel.message(CHANNEL_EOF))
    if tail == "close":
        batch.append(channel.message(CHANNEL_CLOSE))
    with Frozen(scene.gateway):
        ssh.send(*batch)
    assert visitor.read_response().body == b"quick"


# ---- behind an end ----


def test_data_after_the_end_of_data(scene, served):
    """A tunnelled upstream ends and sends on: the visitor sees the end, and nothing behind it."""
    ssh = served()
    visitor = scene.http(ssh.host)
    visitor.send(visitor.request_bytes("GET", "/", [("Connection", "upgrade"),
                                                    ("Upgrade", "test")]))
    channel = ssh.accept()
    channel.data(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: test\r\n\r\n"
                 b"first")
    assert visitor.read_response().status == 101
    assert visitor.read_exactly(5) == b"first"
    channel.say(CHANNEL_EOF)
    assert visitor.read_all() == b""
    channel.data(b"second" * 1000)
    ssh.ping()
    visitor.send(b"still goes up")
    channel.read_until(b"goes up")
    channel.data(bytes(3 * MIB))
    ssh.ping()
    visitor.close()
    channel.wait(CHANNEL_CLOSE)


FRAMINGS = {
    "until the end": b"HTTP/1.1 200 OK\r\n\r\n",
    "tunnel": b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: test\r\n\r\n",
}


@pytest.mark.parametrize("framing", FRAMINGS)
def test_end_of_the_session_is_no_end_of_a_response(scene, raw, framing):
    """The client sends a response to its end, closes the channel and leaves, while the visitor is
    slow: it gets all bytes, or learns that some are missing."""
    ssh = raw()
    host = f"{scene.name()}.example.test"
    ssh.serve(host, 443)
    context = tls_context()
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF  # without close_notify it is no end
    visitor = scene.https(host, receive_buffer=4096, context=context)
    headers = [("Connection", "upgrade"), ("Upgrade", "test")] if framing == "tunnel" else []
    visitor.send(visitor.request_bytes("GET", "/", headers))
    channel = ssh.accept()
    channel.wait(CHANNEL_DATA)  # behind the adjustment of the window
    size = fill(ssh, channel, FRAMINGS[framing])
    channel.say(CHANNEL_EOF)
    channel.say(CHANNEL_CLOSE)
    ssh.ping()
    ssh.close()
    scene.gateway.wait_gauge("sallyport_ssh_connections", 0)
    got = bytearray()
    try:
        if visitor.read_response(sink=got.extend).status == 101:
            got += visitor.read_all()
    except (ProtocolError, ssl.SSLError):
        return  # the visitor knows that something is missing
    assert len(got) == size, f"{len(got)} of {size} bytes, and then a clean end"


# ---- below a limit ----


def test_closed_channels_are_counted_with_both_streams(scene, served):
    """Bytes on a closed channel count, also when others come on its stderr."""
    scene.start_gateway(SETTINGS)
    good, bad = neighbour(scene), served()
    before = scene.gateway.rss()
    try:
        for _ in range(3):
            visitor = visit(scene, bad)
            channel = bad.accept()
            visitor.reset()
            channel.wait(CHANNEL_CLOSE)
            for _ in range(100 * MIB // 32768):
                bad.send_bytes(bad.pack(channel.message(CHANNEL_DATA, bytes(32768))))
            channel.say(EXTENDED_DATA, 1, "x")
            bad.ping()
            assert grown(scene.gateway, before) < 160 * MIB
    except Ended:
        pass
    ended = scene.gateway.wait_log(lambda e: e["event"] == "ssh.closed", what="end of the session")
    assert ended["reason"] == "limit", ended
    assert works(scene, good)


def test_full_channels_that_are_closed_count_too(scene, served):
    """Responses that are complete at the gateway, for visitors that do not read, have no right to
    stay before others: at the limit the channel that holds most goes."""
    gateway = scene.start_gateway({**SETTINGS, "limits": {"channel_window": 8 * MIB}})
    good, bad = neighbour(scene), served()
    before = gateway.rss()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"

    def cut():
        return [request_path(e) for e in gateway.entries(0, "http_request_complete")]

    for i in range(8):  # 6 to 8 MiB each stay at the gateway
        visit(scene, bad, f"/{i}", receive_buffer=4096)
        channel = bad.accept()
        channel.wait(CHANNEL_DATA)  # behind the adjustment of the window
        fill(bad, channel, head, 8 * MIB)
        channel.say(CHANNEL_EOF)
        channel.say(CHANNEL_CLOSE)
    bad.ping()
    assert cut() == []
    for i in range(12):
        visit(scene, bad, f"/new{i}", receive_buffer=4096)
        channel = bad.accept()
        channel.wait(CHANNEL_DATA)
        channel.data(head + bytes(6 * MIB))
        bad.ping()
        if cut():
            break
    wait_until(cut, "a channel that is cut off")
    assert not [path for path in cut() if "new" in path], cut()
    assert grown(gateway, before) < 120 * MIB
    assert works(scene, good)


def test_refused_logins_hold_few_descriptors(scene, raw):
    """Strangers that are turned down and do not hang up count as connections without a login, until
    their sockets are closed."""
    gateway = scene.start_gateway({**SETTINGS, "limits": {"max_unauthenticated": 20}})
    good = neighbour(scene)
    before = gateway.descriptors()
    for _ in range(60):
        try:
            stranger = raw(None)
            stranger.send(*[message(ssh_raw.IGNORE, "x")] * 100)
        except (Ended, ConnectionError):
            pass
        assert gateway.descriptors() <= before + 25
    assert works(scene, good)


# ---- time ----


def test_stopped_gateway_drops_nobody(scene):
    """The gateway sleeps longer than a client may be silent, as on a machine that was suspended:
    all its clients live, so none is dropped."""
    gateway = scene.start_gateway({"limits": {"keepalive_interval_ms": 600, "keepalive_count": 4}})
    tunnels = [scene.tunnel(scene.app()) for _ in range(3)]
    mark = gateway.mark()
    for _ in range(2):
        with Frozen(gateway):
            time.sleep(3)
        time.sleep(0.3)
    assert gateway.entries(mark, "ssh.closed") == []
    assert all(works(scene, t) for t in tunnels)


def test_idle_terminal_keeps_no_session(scene, served):
    """The command ends while another session channel waits for one that never comes: the session
    ends, too."""
    scene.start_gateway({"limits": {"command_wait_ms": round(2500 * TIME_SCALE)}})
    ssh = served()
    ssh.session()
    time.sleep(2.7 * TIME_SCALE)  # the time for a command is over; one runs
    ssh.console.say(CHANNEL_REQUEST, "signal", False, "TERM")
    ssh.console.wait(CHANNEL_CLOSE)
    ssh.wait_end(seconds=20)
