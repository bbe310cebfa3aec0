"""SSH clients that err, cheat or vanish. Each is a raw one that sends exactly what the test says."""

import itertools
import os
import random
import re
import socket
from pathlib import Path

import pytest

from lib import ssh_raw
from lib.content import content
from lib.ports import free_port
from lib.ssh_peers import grown, neighbour, raw, served, visit, wait_calm, works  # noqa: F401
from lib.ssh_raw import (CHANNEL_CLOSE, CHANNEL_DATA, CHANNEL_EOF, CHANNEL_FAILURE, CHANNEL_OPEN,
                         CHANNEL_REQUEST, CHANNEL_SUCCESS, EXTENDED_DATA, GLOBAL_REQUEST,
                         OPEN_CONFIRMATION, OPEN_FAILURE, REQUEST_FAILURE, REQUEST_SUCCESS,
                         USERAUTH_REQUEST, USERAUTH_SUCCESS, WINDOW_ADJUST, Ended, message, string,
                         u32)
from lib.wait import wait_until
from test_06_robustness import assert_fast

MIB = 1024 * 1024
#: One worker: whatever a bad client does, its neighbours sit on the same thread.
SETTINGS = {"workers": 1}


def flood(ssh, batch, limit):
    """Sends batch() until the gateway takes no more or ends it; returns how many bytes went."""
    sent = 0
    ssh.seconds = 1.5
    try:
        while sent < limit:
            data = batch()
            ssh.send_bytes(data)
            sent += len(data)
    except (Ended, TimeoutError):
        pass
    ssh.seconds = 10
    return sent


def repeat(make, count):
    """One batch of packets, packed anew each time."""
    return lambda: b"".join(make() for _ in range(count))


# ---- before the login ----


def unknown_type(ssh, _):
    """A probe for a key type that nobody knows."""
    ssh.ask_service()
    ssh.say(USERAUTH_REQUEST, "v2", "ssh-connection", "publickey", False, "ssh-nonsense",
            string("ssh-nonsense") + string(b"x" * 32))


def signed_unknown_type(ssh, key):
    ssh.ask_service()
    ssh.send(ssh.login_request(key, b"ssh-nonsense"))


def bad_signature(ssh, key):
    ssh.ask_service()
    ssh.send(ssh.login_request(key, spoil=True))


def cut_request(ssh, key):
    """A login request that ends in the middle of its signature."""
    ssh.ask_service()
    ssh.send(ssh.login_request(key)[:-20])


def no_signature(ssh, key):
    """Asks to be logged in by a key without proving that it has it."""
    ssh.ask_service()
    ssh.send(ssh.login_request(key)[:-83 - 4])


def channel_first(ssh, _):
    """Uses the connection protocol before the login."""
    ssh.say(GLOBAL_REQUEST, "tcpip-forward", True, "early.example.test", 80)
    ssh.say(CHANNEL_OPEN, "session", 0, 1000000, 32768)


def success_from_the_client(ssh, _):
    """Sends the server's own messages, which once logged clients in (CVE-2018-10933)."""
    ssh.say(USERAUTH_SUCCESS)
    ssh.say(CHANNEL_OPEN, "session", 0, 1000000, 32768)


def silent(ssh, _):
    """Nothing after the key exchange."""


def big_packet(ssh, _):
    """A packet that claims 256 KiB, behind the keys."""
    ssh.send_bytes(u32(256 * 1024) + os.urandom(256 * 1024))


def endless_packet(ssh, _):
    """A packet that claims 4 GiB."""
    ssh.send_bytes(u32(0xffffffff) + os.urandom(100000))


STRANGERS = [unknown_type, signed_unknown_type, bad_signature, cut_request, no_signature,
             channel_first, success_from_the_client, silent, big_packet, endless_packet]


def test_strangers_are_gone_after_the_grace(scene, raw):
    """All kinds of failed logins at once: each is dropped in time, others are served meanwhile."""
    gateway = scene.start_gateway({**SETTINGS, "limits": {"login_grace_ms": 1500}})
    good = neighbour(scene)
    before = gateway.descriptors()
    strangers = []
    for behave in STRANGERS:
        ssh = raw(None)
        strangers.append((behave.__name__, ssh))
        try:
            behave(ssh, scene.keys.alice)
        except Ended:
            pass
    assert_fast(scene, good)
    for name, ssh in strangers:
        ssh.wait_end(seconds=6)
        assert not [m for m in ssh.passed if m.kind in (USERAUTH_SUCCESS, OPEN_CONFIRMATION,
                                                        REQUEST_SUCCESS)], name
        ssh.close()
    gateway.wait_gauge("sallyport_ssh_connections", 1)
    wait_until(lambda: gateway.descriptors() <= before, "descriptors closed")
    assert works(scene, good)


FIRST_PACKETS = {
    "256 KiB": u32(256 * 1024) + b"\x04\x14" + bytes(256 * 1024 - 2),
    "4 GiB": u32(0xffffffff) + b"\x04\x14" + bytes(300000),
    "nothing": u32(0) + bytes(1000),
    "all padding": u32(12) + b"\xff\x14" + bytes(10),
    "cut lists": u32(28) + b"\x04\x14" + bytes(16) + u32(1000) + bytes(6),
    "login at once": ssh_raw.string(b"\x04\x32" + string("v2") + bytes(16)),
}


@pytest.mark.parametrize("data", FIRST_PACKETS.values(), ids=FIRST_PACKETS)
def test_bad_first_packet(scene, raw, data):
    """What is no key exchange ends the connection long before the grace."""
    ssh = raw(None, exchange=False)
    try:
        ssh.send_bytes(ssh_raw.VERSION + b"\r\n" + data)
    except Ended:
        pass
    try:
        while ssh.sock.recv(65536):
            pass
    except ConnectionResetError:
        pass
    scene.gateway.wait_gauge("sallyport_ssh_connections", 0)


def test_key_exchange_one_byte_at_a_time(scene, raw):
    """Each byte in a segment of its own: the login works."""
    ssh = raw(None, exchange=False)
    ssh.exchange_keys(piece=1)
    ssh.login(scene.keys.alice)


def test_messages_before_the_login_are_counted(scene, raw):
    """50 messages are taken, hundreds end the connection at once."""
    few, many = raw(None), raw(None)
    few.send(*[message(ssh_raw.IGNORE, "x")] * 50)
    few.login(scene.keys.alice)
    try:
        many.send(*[message(ssh_raw.IGNORE, "x")] * 300)
    except Ended:
        pass
    many.wait_end()
    scene.gateway.wait_gauge("sallyport_ssh_connections", 1)


def test_login_after_the_login(scene, served):
    """Another login request on a session that is logged in is not granted."""
    ssh = served()
    ssh.send(ssh.login_request(scene.keys.bob))
    try:
        ssh.ping()
    except Ended:
        pass
    assert not [m for m in ssh.passed[1:] if m.kind == USERAUTH_SUCCESS]


# ---- windows ----


def test_client_that_ignores_the_window(scene, served):
    """Data beyond the window while the visitor does not read: dropped, memory bounded."""
    scene.start_gateway(SETTINGS)
    good, bad = neighbour(scene), served()
    before = scene.gateway.rss()
    visitor = visit(scene, bad, receive_buffer=4096)
    channel = bad.accept()
    channel.data(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
    flood(bad, lambda: bad.pack(channel.message(CHANNEL_DATA, bytes(32768))), 128 * MIB)
    assert grown(scene.gateway, before) < 24 * MIB
    ended = scene.gateway.wait_log(lambda e: e["event"] == "ssh.closed", what="end of the session")
    assert ended["reason"] == "limit", ended
    assert works(scene, good)
    visitor.read_all()


def test_client_that_fills_a_closed_channel(scene, served):
    """The gateway closed the channel and the client goes on sending on it: dropped once all closed
    channels of the session hold 128 MiB."""
    scene.start_gateway(SETTINGS)
    good, bad = neighbour(scene), served()
    before = scene.gateway.rss()
    visitor = visit(scene, bad)
    channel = bad.accept()
    visitor.reset()
    channel.wait(CHANNEL_CLOSE)
    flood(bad, lambda: bad.pack(channel.message(CHANNEL_DATA, bytes(32768))), 256 * MIB)
    assert grown(scene.gateway, before) < 160 * MIB
    ended = scene.gateway.wait_log(lambda e: e["event"] == "ssh.closed", what="end of the session")
    assert ended["reason"] == "limit", ended
    assert works(scene, good)


def test_client_that_types_without_end(scene, served):
    """Bulk data on the session channel and on its stderr: memory bounded, all goes on."""
    good, ssh = neighbour(scene), served()
    before = scene.gateway.rss()
    for kind in ((CHANNEL_DATA,), (EXTENDED_DATA, 1)):
        ssh.send(*[ssh.console.message(*kind, bytes(32768))] * 300)
    assert works(scene, good)
    visitor = visit(scene, ssh)
    ssh.accept().respond(b"still here")
    assert visitor.read_response().body == b"still here"
    assert grown(scene.gateway, before) < 24 * MIB


def test_many_full_channels_of_one_session(scene, served):
    """A client that fills its windows on many channels whose visitors do not read: what the session
    holds is bounded, the fullest channels are closed."""
    scene.start_gateway(SETTINGS)
    good, bad = neighbour(scene), served()
    before = scene.gateway.rss()
    count = 60
    for _ in range(count):
        visit(scene, bad, receive_buffer=4096)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"
    channels = {}
    for _ in range(count):
        channel = bad.accept(window=0)
        channels[channel.mine] = channel
        channel.data(head)
    early = [m for m in bad.passed if m.kind == WINDOW_ADJUST]  # they came between the opens
    while True:
        m = early.pop() if early else bad.wait(WINDOW_ADJUST, CHANNEL_CLOSE)
        channel = channels[m.number()]
        if m.kind == CHANNEL_CLOSE:
            break
        channel.data(bytes(m.number()))
        assert grown(scene.gateway, before) < 160 * MIB
    assert works(scene, good)
    bad.ping()


def test_window_adjust_overflow(scene, served):
    """Windows beyond 2^32: bytes go on to arrive exactly, or the session is dropped."""
    ssh = served()
    size = 300000
    visitor = scene.http(ssh.host)
    visitor.send(visitor.request_bytes("POST", "/", body=content(size)))
    channel = ssh.accept(window=0xffffffff)
    channel.say(WINDOW_ADJUST, 0xffffffff)
    channel.say(WINDOW_ADJUST, 0xffffff00)
    data = b""
    try:
        while len(data) < size:
            data += channel.wait(CHANNEL_DATA).text()
    except Ended:
        return
    assert data.endswith(content(size))
    channel.respond(b"got it")
    assert visitor.read_response("POST").body == b"got it"


@pytest.mark.parametrize("window", [1, 3000, 32758])
def test_small_windows_are_kept(scene, served, window):
    """The gateway never sends more than the client allows, and resumes with each adjustment."""
    ssh = served()
    size = 50 * window
    visitor = scene.http(ssh.host)
    visitor.send(visitor.request_bytes("POST", "/", body=content(size)))
    channel = ssh.accept(window=window)
    data, allowed = b"", window
    while not data.endswith(content(size)[-40:]) or len(data) < size:
        piece = channel.wait(CHANNEL_DATA).text()
        data += piece
        allowed -= len(piece)
        assert allowed >= 0
        if allowed == 0:
            channel.say(WINDOW_ADJUST, window)
            allowed = window
    assert data.endswith(content(size))
    channel.respond(b"")
    assert visitor.read_response("POST").status == 200


# ---- packet sizes ----


@pytest.mark.parametrize("packet", [0, 10, 64, 1023])
@pytest.mark.parametrize("kind", ["upstream", "session"])
def test_tiny_packets_are_refused(scene, served, packet, kind):
    """A client that takes packets of a few bytes only is dropped at once, not served for a minute.
    With 0 bytes libssh ignores the message, and the channel never opens."""
    if not packet:
        scene.start_gateway({**SETTINGS, "limits": {"channel_open_timeout_ms": 300}})
    good, bad = neighbour(scene), served()
    if kind == "upstream":
        visitor = visit(scene, bad)
        bad.accept(packet=packet)
        assert visitor.read_response().status == (502 if packet else 504)
    else:
        bad.say(CHANNEL_OPEN, "session", 7, 1000000, packet)
    if packet:
        assert re.search(rf"packets of {packet} bytes", bad.wait_end())
    else:
        bad.ping()
    assert_fast(scene, good)
    wait_calm(scene.gateway)


def test_packets_of_1024_bytes(scene, served):
    """The smallest size that is served: no packet is larger, all bytes arrive."""
    ssh = served()
    size = 200000
    visitor = scene.http(ssh.host)
    visitor.send(visitor.request_bytes("POST", "/", body=content(size)))
    channel = ssh.accept(packet=1024)
    data = b""
    while not data.endswith(content(size)):
        piece = channel.wait(CHANNEL_DATA).text()
        assert len(piece) <= 1024
        data += piece
    channel.respond(b"")
    assert visitor.read_response("POST").status == 200


# ---- clients that do not answer or do not read ----


def test_close_is_never_answered(scene, served):
    """Channels that the client never closes count against max_channels; the gateway says so."""
    scene.start_gateway({**SETTINGS, "limits": {"max_channels": 8}})
    good, bad = neighbour(scene), served()
    kept = []
    for _ in range(8):
        visitor = visit(scene, bad)
        kept.append(bad.accept())
        visitor.reset()
        kept[-1].wait(CHANNEL_CLOSE)
    refused = visit(scene, bad).read_response()
    assert (refused.status, refused.error_code) == (503, "ERR_SALLYPORT_3210")
    assert scene.gateway.metrics()["sallyport_ssh_channels"] <= 10
    assert works(scene, good)
    before = scene.gateway.metrics()["sallyport_ssh_channels"]
    kept[0].say(CHANNEL_CLOSE)
    scene.gateway.wait_gauge("sallyport_ssh_channels", before - 1)
    visitor = visit(scene, bad)
    bad.accept().respond(b"room again")
    assert visitor.read_response().body == b"room again"


def test_session_channels_are_never_closed(scene, raw):
    """Commands whose channels the client keeps open without end are refused at some point."""
    ssh = raw()
    opened = 0
    with pytest.raises((AssertionError, Ended)):
        while opened < 1500:
            assert ssh.session().request("exec", string("version")) == CHANNEL_SUCCESS
            ssh.wait(CHANNEL_CLOSE)
            opened += 1
    assert opened < 1500, "bounded"


@pytest.mark.parametrize("kind", ["global", "channel", "open", "forward"])
def test_requests_without_reading_the_answers(scene, served, kind):
    """Requests at line rate and nothing read: the gateway stops reading; all answers are there
    when the client reads at last."""
    # Who reads nothing answers nothing either, so it would count as dead.
    scene.start_gateway({**SETTINGS, "limits": {"keepalive_interval_ms": 600000}})
    good, bad = neighbour(scene), served(receive_buffer=4096)
    before = scene.gateway.rss()
    request = {
        "global": message(GLOBAL_REQUEST, "keepalive@openssh.com", True),
        "channel": bad.console.message(CHANNEL_REQUEST, "keepalive@openssh.com", True),
        "open": message(CHANNEL_OPEN, "nonsense", 0, 1000, 32768),
        "forward": message(GLOBAL_REQUEST, "cancel-tcpip-forward", True, "nonsense", 1),
    }[kind]
    sent = flood(bad, repeat(lambda: bad.pack(request), 1000), 24 * MIB)
    assert grown(scene.gateway, before) < 16 * MIB, sent
    assert works(scene, good)
    wait_calm(scene.gateway)
    bad.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    for _ in range(1000):
        m = bad.wait(REQUEST_SUCCESS, REQUEST_FAILURE, CHANNEL_FAILURE, CHANNEL_SUCCESS,
                     OPEN_FAILURE)
        assert m.kind == {"global": REQUEST_SUCCESS, "channel": CHANNEL_FAILURE,
                          "open": OPEN_FAILURE, "forward": REQUEST_FAILURE}[kind]


# ---- nonsense after the login ----


def unknown_channel(_):
    """Every message of the channel protocol for a channel that is not there."""
    return [message(kind, 77777, *rest) for kind, rest in (
        (WINDOW_ADJUST, (1000,)), (CHANNEL_DATA, ("x" * 1000,)), (EXTENDED_DATA, (1, "x")),
        (CHANNEL_EOF, ()), (CHANNEL_REQUEST, ("exec", True, "x")), (CHANNEL_SUCCESS, ()),
        (CHANNEL_FAILURE, ()), (OPEN_FAILURE, (1, "", "")), (OPEN_CONFIRMATION, (0, 1000, 1000)),
        (CHANNEL_CLOSE, ()))]


NONSENSE = {
    "unknown channel": unknown_channel,
    "confirmed twice": lambda c: [c.confirmation()] * 2,
    "confirmed, then refused": lambda c: [c.confirmation(), c.refusal()],
    "refused, then confirmed": lambda c: [c.refusal(), c.confirmation()],
    "refused twice": lambda c: [c.refusal()] * 2,
    "data before the confirmation": lambda c: [c.message(CHANNEL_DATA, "x"), c.confirmation()],
    "close before the confirmation": lambda c: [c.message(CHANNEL_CLOSE), c.confirmation()],
    "close in place of an answer": lambda c: [c.message(CHANNEL_CLOSE)],
    "closed twice": lambda c: [c.confirmation(), *[c.message(CHANNEL_CLOSE)] * 2],
    "eof twice": lambda c: [c.confirmation(), *[c.message(CHANNEL_EOF)] * 2],
    "data after eof": lambda c: [c.confirmation(), c.message(CHANNEL_EOF),
                                 c.message(CHANNEL_DATA, "x" * 100)],
    "data after close": lambda c: [c.confirmation(), c.message(CHANNEL_CLOSE),
                                   c.message(CHANNEL_DATA, "x" * 100)],
    "empty data": lambda c: [c.confirmation(), *[c.message(CHANNEL_DATA, "")] * 5000,
                             *[c.message(EXTENDED_DATA, 1, "")] * 1000],
    "stderr and unknown extended data": lambda c: [
        c.confirmation(), c.message(EXTENDED_DATA, 1, "x" * 1000),
        c.message(EXTENDED_DATA, 99, "x" * 1000)],
    "window adjusted by 0 and after close": lambda c: [
        c.confirmation(window=0), *[c.message(WINDOW_ADJUST, 0)] * 1000,
        c.message(CHANNEL_CLOSE), c.message(WINDOW_ADJUST, 1000000)],
    "requests on an upstream channel": lambda c: [
        c.confirmation(), *[c.message(CHANNEL_REQUEST, name, True, "x")
                            for name in ("exec", "shell", "pty-req", "subsystem", "env", "signal",
                                         "exit-status", "exit-signal", "window-change")]],
    "debug, ignore, unimplemented": lambda c: [
        message(ssh_raw.DEBUG, True, "x", ""), message(ssh_raw.IGNORE, "x" * 30000),
        message(ssh_raw.UNIMPLEMENTED, 5), c.confirmation()],
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_on_channels(scene, served, name):
    """Messages out of order: the session goes on or is dropped, nobody else notices."""
    good, ssh = neighbour(scene), served()
    visitor = visit(scene, ssh)
    channel = ssh.offered()
    try:
        ssh.send(*NONSENSE[name](channel))
        ssh.ping()
        ssh.close()
    except Ended:
        pass
    scene.gateway.wait_gauge("sallyport_exchanges", 0)
    visitor.close()
    assert works(scene, good)


def test_empty_data_between_the_pieces(scene, served):
    """Packets of 0 and 1 bytes: the visitor gets exactly the bytes."""
    ssh = served()
    visitor = visit(scene, ssh)
    channel = ssh.accept()
    body = content(5000)
    ssh.send(channel.message(CHANNEL_DATA, b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"),
             *itertools.chain.from_iterable(
                 (channel.message(CHANNEL_DATA, b""), channel.message(CHANNEL_DATA, body[i:i + 1]))
                 for i in range(len(body))))
    assert visitor.read_response().body == body


KINDS = [*range(1, 8), 20, 21, 30, 31, *range(50, 54), 60, 61, *range(80, 83), *range(90, 101),
         192, 255]
TAILS = [b"", bytes(4), b"\xff" * 40, string("session") + b"\xff" * 8,
         u32(0) + string("exec") + b"\x01" + u32(0xfffffff0)]


def test_malformed_messages(scene, raw):
    """Every kind of message with a body that is cut or makes no sense, on a session of its own."""
    good = neighbour(scene)
    for kind in KINDS:
        for tail in TAILS:
            ssh = raw()
            try:
                ssh.session()
                ssh.send(bytes([kind]) + tail)
                if kind not in (20, 21, 30, 31):
                    ssh.ping()
            except Ended:
                pass
            ssh.close()
    assert works(scene, good)


def test_reset_in_mid_batch(scene, served):
    """The client resets while requests, opens and data of both sides are under way."""
    good = neighbour(scene)
    for cut in range(1, 16):
        dice = random.Random(cut)
        ssh = served()
        visitors = [visit(scene, ssh) for _ in range(8)]
        channels = [ssh.offered() for _ in visitors]
        answers = [c.refusal() if dice.random() < 0.2 else c.confirmation() for c in channels]
        messages = [c.message(CHANNEL_DATA, bytes(dice.randrange(20000))) for c in channels]
        messages += [c.message(dice.choice([CHANNEL_EOF, CHANNEL_CLOSE])) for c in channels]
        messages += [message(GLOBAL_REQUEST, "tcpip-forward", True, f"n{cut}.example.test", 80),
                     ssh.console.message(CHANNEL_CLOSE)]
        dice.shuffle(messages)
        batch = b"".join(map(ssh.pack, answers + messages))
        try:
            ssh.send_bytes(batch[:len(batch) * cut // 15])
        except Ended:
            pass
        if cut % 2:
            ssh.reset()
        else:
            ssh.close()
        scene.gateway.wait_gauge("sallyport_exchanges", 0)
        for visitor in visitors:
            visitor.close()
    assert works(scene, good)


# ---- opening channels ----


def test_answers_to_many_opens_in_one_batch(scene, served):
    """200 channels are asked for, then accepted and refused in one write: each visitor gets its
    own outcome."""
    ssh = served()
    visitors = [visit(scene, ssh, f"/{i}", seconds=30) for i in range(200)]
    channels = [ssh.offered() for _ in visitors]
    accepted, batch = [], []
    for i, channel in enumerate(channels):
        if i % 3:
            batch.append(channel.refusal())
        else:
            batch.append(channel.confirmation())
            accepted.append(channel)
    random.Random(1).shuffle(batch)
    ssh.send(*batch)
    by_number = {c.mine: c for c in accepted}
    requests = {c.mine: b"" for c in accepted}
    while not all(r.endswith(b"\r\n\r\n") for r in requests.values()):
        m = ssh.wait(CHANNEL_DATA)
        requests[m.number()] += m.text()
    for number, request in requests.items():
        by_number[number].respond(request.split(b" ")[1])
    outcomes = [v.read_response() for v in visitors]
    good = [i for i, r in enumerate(outcomes) if r.status == 200]
    assert len(good) == len(accepted)
    assert all(outcomes[i].text == f"/{i}" for i in good)
    assert {r.error_code for r in outcomes if r.status != 200} == {"ERR_SALLYPORT_8012"}


REFUSALS = {1: 502, 2: 502, 3: 502, 4: 503}


@pytest.mark.parametrize("code", [*REFUSALS, 0, 99])
def test_reasons_of_refusals(scene, served, code):
    """Each reason code of RFC 4254 section 5.1, and unknown ones, answer the visitor at once."""
    ssh = served()
    for _ in range(3):
        visitor = visit(scene, ssh)
        ssh.send(ssh.offered().refusal(code, "nobody home"))
        assert visitor.read_response().status == REFUSALS.get(code, 502)


def test_visitor_leaves_while_the_channel_opens(scene, served):
    """The client confirms a channel whose visitor is gone: it is closed at once; a refusal then
    is no problem either."""
    ssh = served()
    for answer in ("confirmation", "refusal", "confirmation"):
        visitor = visit(scene, ssh)
        channel = ssh.offered()
        visitor.reset()
        scene.gateway.wait_gauge("sallyport_connections", 0)
        ssh.send(getattr(channel, answer)())
        if answer == "confirmation":
            channel.wait(CHANNEL_CLOSE)
            channel.say(CHANNEL_CLOSE)
        scene.gateway.wait_gauge("sallyport_ssh_channels", 1)


def test_open_that_is_never_answered(scene, served):
    """channel_open_timeout_ms: the visitor gets 504; a late confirmation is closed."""
    scene.start_gateway({**SETTINGS, "limits": {"channel_open_timeout_ms": 300}})
    ssh = served()
    visitor = visit(scene, ssh)
    channel = ssh.offered()
    assert visitor.read_response().status == 504
    ssh.send(channel.confirmation())
    channel.wait(CHANNEL_CLOSE)


def test_slow_target_leaks_no_descriptor_of_the_client(scene):
    """Visitors leave while OpenSSH connects to a target that is slow to accept: in the end the
    client has as many descriptors as at its start."""
    with socket.socket() as target:
        target.bind(("127.0.0.1", 0))
        target.listen(0)
        port = target.getsockname()[1]
        tunnel = scene.plain(port)
        fds = Path(f"/proc/{tunnel.pid}/fd")
        start = len(list(fds.iterdir()))
        fillers = [socket.socket() for _ in range(2)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        visitors = [visit(scene, tunnel) for _ in range(20)]
        wait_until(lambda: len(list(fds.iterdir())) >= start + 20, "connects under way")
        for visitor in visitors:
            visitor.reset()
        scene.gateway.wait_gauge("sallyport_connections", 0)
    for filler in fillers:
        filler.close()
    wait_until(lambda: len(list(fds.iterdir())) <= start,
               lambda: f"{start} descriptors; {len(list(fds.iterdir()))} are open")
    scene.gateway.wait_gauge("sallyport_ssh_channels", 1)


def test_500_refused_targets_at_once(scene):
    """Nothing listens: all visitors are answered, the client lives and has no descriptor left."""
    scene.start_gateway(SETTINGS)
    tunnel = scene.plain(free_port())
    fds = Path(f"/proc/{tunnel.pid}/fd")
    start = len(list(fds.iterdir()))
    visitors = [scene.http(tunnel, seconds=30) for _ in range(500)]
    for visitor in visitors:
        visitor.send(visitor.request_bytes("GET", "/"))
    codes = [v.read_response().error_code for v in visitors]
    assert set(codes) <= {"ERR_SALLYPORT_8012", "ERR_SALLYPORT_3210"}
    assert codes.count("ERR_SALLYPORT_8012") >= 256
    assert scene.http(tunnel).get("/").error_code == "ERR_SALLYPORT_8012"
    assert tunnel.running and len(list(fds.iterdir())) <= start


# ---- requests on the session channel ----


#: RFC 4254 lets these be sent without asking for a reply only; SILENT marks them.
SILENT = 0
PTY = string("xterm") + u32(80) + u32(24) + u32(0) + u32(0) + string(b"\0")
REQUESTS = [
    ("window-change before a pty", "window-change", bytes(16), SILENT),
    ("env", "env", string("LD_PRELOAD") + string("/x"), CHANNEL_FAILURE),
    ("pty", "pty-req", PTY, CHANNEL_SUCCESS),
    ("pty again", "pty-req", PTY, None),
    ("window-change", "window-change", u32(100) + u32(50) + bytes(8), SILENT),
    ("huge window-change", "window-change", b"\xff" * 16, SILENT),
    ("agent", "auth-agent-req@openssh.com", b"", CHANNEL_FAILURE),
    ("x11", "x11-req", b"\0" + string("MIT-MAGIC-COOKIE-1") + string("00") + u32(0),
     CHANNEL_FAILURE),
    ("subsystem", "subsystem", string("sftp"), CHANNEL_FAILURE),
    ("break", "break", u32(100), None),
    ("xon-xoff", "xon-xoff", b"\1", CHANNEL_FAILURE),
    ("exit-status", "exit-status", u32(1), SILENT),
    ("unknown", "nonsense@example.test", b"x" * 1000, CHANNEL_FAILURE),
    ("signal", "signal", string("USR1"), SILENT),
    ("keepalive", "keepalive@openssh.com", b"", CHANNEL_FAILURE),
]


def test_requests_on_a_session_channel(scene, raw):
    """Each is answered once and in order, before the command and while it runs."""
    ssh = raw()
    name = f"{scene.name()}.example.test"
    ssh.say(GLOBAL_REQUEST, "tcpip-forward", True, name, 80)
    ssh.wait(REQUEST_SUCCESS)
    channel = ssh.session()
    for _ in range(2):
        for what, request, rest, expected in REQUESTS:
            if expected is SILENT:
                channel.ssh.send(channel.message(CHANNEL_REQUEST, request, False) + rest)
            else:
                assert expected in (channel.request(request, rest), None), what
        channel.request("exec", string("http"))
    assert channel.request("exec", string("version")) == CHANNEL_FAILURE
    assert channel.request("shell") == CHANNEL_FAILURE
    if not [m for m in ssh.passed if m.kind == CHANNEL_DATA]:
        ssh.wait(CHANNEL_DATA)  # the URL
    ssh.host = name
    visitor = visit(scene, ssh)
    ssh.accept().respond(b"served")
    assert visitor.read_response().body == b"served"
    channel.say(CHANNEL_REQUEST, "signal", False, "TERM")
    channel.wait(CHANNEL_CLOSE)


def test_other_channel_types_are_refused(scene, served):
    """direct-tcpip, streamlocal, x11, agent, tun and unknown channels: refused, nothing is
    connected."""
    up = scene.scripted()
    ssh = served()
    tail = string("127.0.0.1") + u32(up.port) + string("127.0.0.1") + u32(1)
    for kind in ("direct-tcpip", "forwarded-tcpip", "direct-streamlocal@openssh.com", "x11",
                 "auth-agent@openssh.com", "tun@openssh.com", "nonsense", ""):
        ssh.send(message(CHANNEL_OPEN, kind, 50, 1000000, 32768) + tail)
        m = ssh.wait(OPEN_CONFIRMATION, OPEN_FAILURE)
        assert (m.kind, m.number()) == (OPEN_FAILURE, 50), kind
    for kind in ("streamlocal-forward@openssh.com", "hostkeys-prove-00@openssh.com",
                 "no-more-sessions@openssh.com", "nonsense", ""):
        ssh.send(message(GLOBAL_REQUEST, kind, True) + tail)
        assert ssh.wait(REQUEST_SUCCESS, REQUEST_FAILURE).kind == REQUEST_FAILURE, kind
    assert up.connections == []
    assert scene.gateway.metrics()["sallyport_ssh_channels"] == 1


def test_type_ahead(scene, raw):
    """Data, exec, more data and EOF in one write: the command runs, the data does no harm."""
    ssh = raw()
    channel = ssh.session()
    ssh.send(channel.message(CHANNEL_DATA, "typed " * 1000),
             channel.message(CHANNEL_REQUEST, "exec", True, "version"),
             channel.message(CHANNEL_DATA, "ahead\x03\x04" * 1000),
             channel.message(CHANNEL_EOF))
    channel.wait(CHANNEL_SUCCESS)
    assert re.search(rb"\d+\.\d+\.\d+", channel.wait(CHANNEL_DATA).text())
    channel.wait(CHANNEL_CLOSE)


def test_type_ahead_of_openssh(scene):
    """Bytes on stdin before the command is known."""
    read, write = os.pipe()
    os.write(write, b"typed ahead\n" * 1000)
    os.close(write)
    ssh = scene.ssh(command="version", stdin=read)
    os.close(read)
    assert ssh.wait_exit() == 0, ssh.describe()


def test_socks_and_jumps_are_refused(scene):
    """-D and -J: nothing is reached through the gateway, the tunnel itself goes on."""
    up, port = scene.scripted(), free_port()
    tunnel = scene.tunnel(scene.app(), args=("-D", f"127.0.0.1:{port}"))
    with socket.create_connection(("127.0.0.1", port), 10) as s:
        s.sendall(b"\x05\x01\x00" + b"\x05\x01\x00\x01\x7f\x00\x00\x01"
                  + up.port.to_bytes(2, "big"))
        data = b""
        try:
            while piece := s.recv(100):
                data += piece
        except ConnectionResetError:
            pass
    assert not data.startswith(b"\x05\x00\x05\x00"), data
    assert up.connections == []
    assert works(scene, tunnel)
    remote = scene.ssh("1080", command="http")
    assert remote.wait_exit() != 0, remote.describe()
