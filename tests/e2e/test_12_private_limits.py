"""Private access: who may reach what, and clients that ask for too much."""

import pytest

from lib.echo import Echo
from lib.ports import free_port
from lib.private import (PROHIBITED, answers, connect, internal, local_forward, name, visitor)
from lib.ssh_raw import (CHANNEL_CLOSE, CHANNEL_DATA, CHANNEL_EOF, CHANNEL_OPEN,
                         OPEN_CONFIRMATION, OPEN_FAILURE, WINDOW, Channel, Ended, RawSsh, message)
from lib.wait import Deadline, wait_until

LIMIT = 8
#: A key that may connect to nothing has command_wait_ms to be told so.
SETTINGS = {"limits": {"command_wait_ms": 60000, "hold_ms": 500}}
MB = 1024 * 1024


@pytest.fixture
def echo(scene):
    return scene.keep(Echo())


# ---- who may reach what ----

#: None of them is internal, whatever listens there.
OUTSIDE = [
    ("127.0.0.1", 22), ("::1", 22), ("localhost", 22), ("localhost.localdomain", 80),
    ("0.0.0.0", 22), ("169.254.169.254", 80), ("10.0.0.1", 80), ("fd00::1", 80),
    ("example.com", 443), ("example.test", 443), ("internal", 80), (".internal", 80),
    ("db.internal.example.com", 80), ("db-internal", 80), ("127.0.0.1.", 22), ("2130706433", 22),
    ("0x7f.1", 22), ("", 80), ("*", 80), ("/var/run/docker.sock", 0), ("a" * 300, 80),
    ("metadata.google.internal.example.org", 80), ("x\0.internal", 80), ("x y.internal", 80),
    ("127.0.0.1/.internal", 80), ("\u00e4.internal", 80),
]


def test_nothing_outside_is_reached(scene, echo):
    """The gateway is nobody's proxy: every other name and address is prohibited alike."""
    host = name(scene)
    internal(scene, host, 7, echo)
    user = visitor(scene)
    for address, port in OUTSIDE:
        assert user.refusal(address, port) == PROHIBITED, address
    assert user.refusal("127.0.0.1", echo.port) == PROHIBITED
    assert user.refusal("localhost", scene.gateway.admin_port) == PROHIBITED
    assert answers(user.open(host, 7))


def test_names_of_others_are_as_unknown_as_any(scene, echo):
    """Same reason and text for another account's name, an unknown one and a wrong port; and no
    public name is a way in."""
    host, wild = name(scene), name(scene)
    internal(scene, host, 7, echo)
    internal(scene, f"*.{wild}", 7, echo)
    public = scene.tunnel(scene.app())
    attempts = [(host, 7), (host.upper(), 7), (host + ".", 7), (f"x.{wild}", 7), (f"*.{wild}", 7),
                (host, 8), (host, 0), (host, 65535), (host, 65536 + 7), ("nobody.internal", 7),
                (f"x.{host}", 7), (f"alice/{host}", 7), (public.host, 443)]
    bob = visitor(scene, "bob")
    assert {bob.refusal(*attempt) for attempt in attempts} == {PROHIBITED}
    mine = visitor(scene)
    assert answers(mine.open(host, 7)) and answers(mine.open(f"x.{wild}", 7))
    assert mine.refusal(host, 8) == PROHIBITED


def test_refusals_are_the_same_to_the_last_byte(scene, echo):
    """Of another's name, an unknown one, what is no name, and what the key may not reach."""
    scene.start_gateway(SETTINGS, authorized=[
        scene.keys.alice.line('account="alice"'), scene.keys.bob.line('account="bob"'),
        scene.keys.alice2.line('account="alice",bind="*"')])
    host = name(scene)
    internal(scene, host, 7, echo)
    seen = set()
    for key, to in (("bob", host), ("bob", "nobody.internal"), ("bob", "127.0.0.1"),
                    ("alice", "nobody.internal"), ("alice2", host)):
        ssh = raw(scene, key)
        channel, ask = open_direct(ssh, to, 7)
        ssh.send(ask)
        m = ssh.wait(OPEN_FAILURE, OPEN_CONFIRMATION)
        assert (m.kind, m.number()) == (OPEN_FAILURE, channel.mine)
        seen.add(m.payload[m.at:])
    assert len(seen) == 1


def test_same_name_in_two_accounts(scene):
    """Each user reaches the one of its own account."""
    host = name(scene)
    for key in ("alice", "bob"):
        upstream = scene.scripted()
        internal(scene, host, 7, upstream, key=key)
        channel = visitor(scene, key).open(host, 7)
        peer = upstream.accept()
        peer.send(key.encode())
        assert channel.recv(100) == key.encode()


def test_other_keys_of_the_account_reach_it(scene, echo):
    """What counts is the account, not the key or session that offers the endpoint."""
    host = name(scene)
    internal(scene, host, 7, echo)
    assert answers(visitor(scene, "alice2").open(host, 7))


RULES = [
    ('', True, True),
    ('connect="*"', True, True),
    ('connect="*.priv.internal"', True, True),
    ('connect="a.priv.internal"', True, False),
    ('connect="a.priv.internal:7"', True, False),
    ('connect="a.priv.internal:8"', False, False),
    ('connect="b.priv.internal",connect="A.priv.internal"', True, True),
    ('connect="priv.internal"', False, False),
    ('connect="*.internal"', True, True),
    ('connect="b.priv.internal:7",connect="a.priv.internal:8"', False, True),
    ('bind="*"', False, False),
    ('bind="a.priv.internal"', False, False),
    ('bind="x.example.test",connect="b.priv.internal"', False, True),
]


@pytest.mark.parametrize("options,a,b", RULES, ids=[r[0] or "none" for r in RULES])
def test_rules_of_keys(scene, echo, options, a, b):
    """connect= beside bind=; whatever is refused is refused like what does not exist."""
    keys = scene.keys
    restricted = ",".join(x for x in ('account="alice"', options) if x)
    scene.start_gateway(SETTINGS, authorized=[keys.alice.line('account="alice"'),
                                              keys.alice2.line(restricted)])
    for host in ("a.priv.internal", "b.priv.internal"):
        internal(scene, host, 7, echo)
    user = visitor(scene, "alice2")
    for host, may in (("a.priv.internal", a), ("b.priv.internal", b)):
        expected = None if may else PROHIBITED
        assert user.refusal(host, 7) == expected, host


def test_rule_for_connecting_only_publishes_nothing(scene):
    """A key for users of a service cannot take names."""
    gateway = scene.start_gateway(SETTINGS, authorized=[
        scene.keys.alice.line('account="alice",connect="*"')])
    ssh = scene.ssh("x.example.test:443:127.0.0.1:9", command="http")
    assert ssh.wait_exit() == 1
    assert any("ERR_SALLYPORT_316" in line for line in ssh.err), ssh.describe()
    assert gateway.process.running


def test_refusals_are_told_on_the_terminal_and_in_the_log(scene, echo):
    """libssh can tell the client no reason; a command's stderr and the log have it."""
    mark, local = scene.gateway.mark(), free_port()
    ssh = internal(scene, name(scene), 7, echo, args=("-L", f"{local}:nobody.internal:7"))
    ssh.port = local
    connect(scene, ssh).wait_closed()
    ssh.wait_err(r"ERR_SALLYPORT_3200: .*nobody\.internal:7")
    line = scene.gateway.wait_log(lambda e: e["event"] == "ssh.direct_refused", mark)
    assert (line["account"], line["host"], line["port"]) == ("alice", "nobody.internal", 7)


# ---- many, slow, hostile ----


def test_200_channels_at_once(scene, echo):
    """All open at the same time, each exact."""
    host = name(scene)
    internal(scene, host, 7, echo)
    ssh = local_forward(scene, host, 7)
    conns = [connect(scene, ssh, seconds=30) for _ in range(200)]
    for i, conn in enumerate(conns):
        conn.send(b"%06d" % i * 100)
    for i, conn in enumerate(conns):
        assert conn.read_exactly(600) == b"%06d" % i * 100


def test_limit_of_channels(scene, echo):
    """max_direct_channels: N are open, N+1 is refused with a text; one that ends makes room."""
    scene.start_gateway({"limits": {"max_direct_channels": LIMIT}})
    host = name(scene)
    internal(scene, host, 7, echo)
    mark, user = scene.gateway.mark(), visitor(scene)
    channels = [user.open(host, 7) for _ in range(LIMIT)]
    assert user.refusal(host, 7) == PROHIBITED
    line = scene.gateway.wait_log(lambda e: e["event"] == "ssh.direct_refused", mark)
    assert "ERR_SALLYPORT_1133" in line["reason"] and f"at most {LIMIT} " in line["reason"]
    assert all(answers(c) for c in channels)
    channels.pop().close()
    wait_until(lambda: user.refusal(host, 7) is None, "room for another")


def test_no_channels_allowed(scene, echo):
    """max_direct_channels = 0 turns it off."""
    scene.start_gateway({"limits": {"max_direct_channels": 0}})
    host = name(scene)
    internal(scene, host, 7, echo)
    assert visitor(scene).refusal(host, 7) == PROHIBITED


def open_direct(ssh, host, port, window=WINDOW, packet=32768):
    """The message that asks for a channel, and the channel."""
    ssh.channels += 1
    channel = Channel(ssh, ssh.channels - 1)
    return channel, message(CHANNEL_OPEN, "direct-tcpip", channel.mine, window, packet, host, port,
                            "127.0.0.1", 1)


def opened(ssh, host, port):
    channel, ask = open_direct(ssh, host, port)
    ssh.send(ask)
    channel.confirmed(ssh.wait(OPEN_CONFIRMATION, OPEN_FAILURE))
    return channel


def raw(scene, key="alice"):
    ssh = scene.keep(RawSsh(scene.gateway))
    ssh.login(getattr(scene.keys, key))
    return ssh


def test_flood_of_opens(scene, echo):
    """Thousands asked for in one go: as many as the limit says, the rest refused; others live on."""
    scene.start_gateway({"limits": {"max_direct_channels": LIMIT}})
    host = name(scene)
    internal(scene, host, 7, echo)
    other = visitor(scene).open(host, 7)
    before, ssh = scene.gateway.rss(), raw(scene)
    for _ in range(10):
        ssh.send(*(open_direct(ssh, host, 7)[1] for _ in range(500)))
    kinds = [ssh.wait(OPEN_CONFIRMATION, OPEN_FAILURE, seconds=30).kind for _ in range(5000)]
    assert kinds.count(OPEN_CONFIRMATION) == LIMIT
    assert answers(other)
    scene.gateway.assert_growth(before)


@pytest.mark.parametrize("behaviour", ["close", "data-and-close", "eof", "never-answers-close"])
def test_channels_that_are_left_at_once(scene, echo, behaviour):
    """Opened and left in one go; the gateway keeps nothing of it."""
    host = name(scene)
    internal(scene, host, 7, echo)
    for _ in range(4):
        ssh = raw(scene)
        first = opened(ssh, host, 7)
        batch = []
        for i in range(100):
            channel, ask = open_direct(ssh, host, 7)
            channel.theirs = first.theirs + 1 + i  # libssh counts up
            batch.append(ask)
            if behaviour == "data-and-close":
                batch.append(channel.message(CHANNEL_DATA, b"x" * 1000))
            if behaviour == "eof":
                batch.append(channel.message(CHANNEL_EOF))
            elif behaviour != "never-answers-close":
                batch.append(channel.message(CHANNEL_CLOSE))
        ssh.send(*batch)
        ssh.ping()
        ssh.reset()
    scene.gateway.wait_gauge("sallyport_streams", 0)
    assert answers(visitor(scene).open(host, 7))


@pytest.mark.parametrize("packet", [10, 64])
def test_tiny_packets(scene, echo, packet):
    """A client that takes packets of a few bytes loses its session, not the gateway's time."""
    host = name(scene)
    internal(scene, host, 7, echo)
    ssh = raw(scene)
    ssh.send(open_direct(ssh, host, 7, packet=packet)[1])
    ssh.wait_end(seconds=10)
    assert answers(visitor(scene).open(host, 7))


def test_packets_of_no_byte(scene, echo):
    """libssh does not even answer; the session goes on."""
    host = name(scene)
    internal(scene, host, 7, echo)
    ssh = raw(scene)
    ssh.send(open_direct(ssh, host, 7, packet=0)[1])
    ssh.ping()
    opened(ssh, host, 7)


def test_other_channel_types_are_refused(scene):
    """A direct channel to a path, X11, and what nobody knows."""
    ssh = raw(scene)
    for kind in ("direct-streamlocal@openssh.com", "x11", "forwarded-tcpip", "tun@openssh.com"):
        ssh.say(CHANNEL_OPEN, kind, 7, WINDOW, 32768, "/var/run/docker.sock", 0, "", 0)
        assert ssh.wait(OPEN_FAILURE, OPEN_CONFIRMATION).kind == OPEN_FAILURE, kind
    ssh.ping()


def test_client_that_ignores_the_window(scene):
    """Bytes far beyond it cost the session; memory stays bounded."""
    host, upstream = name(scene), scene.scripted()
    internal(scene, host, 7, upstream)
    before, ssh = scene.gateway.rss(), raw(scene)
    channel = opened(ssh, host, 7)
    upstream.accept()
    deadline = Deadline(60)
    with pytest.raises((Ended, OSError)):
        while not deadline.passed:  # libssh drops them, and the keepalives stay unanswered
            ssh.send(*[channel.message(CHANNEL_DATA, bytes(32768))] * 8)
    scene.gateway.assert_growth(before, 64 * MB)


def test_slow_reader_on_the_user_side(scene):
    """An upstream that sends for ever to a user that reads nothing: bounded memory."""
    host, upstream = name(scene), scene.scripted()
    internal(scene, host, 7, upstream)
    conn = connect(scene, local_forward(scene, host, 7), receive_buffer=16384)
    before = scene.gateway.rss()
    flood(scene, upstream.accept().sock, before)
    conn.close()


def test_slow_reader_on_the_upstream_side(scene):
    """A user that sends for ever to an upstream that reads nothing: bounded memory."""
    host, upstream = name(scene), scene.scripted()
    internal(scene, host, 7, upstream)
    conn = connect(scene, local_forward(scene, host, 7))
    peer = upstream.accept()
    before = scene.gateway.rss()
    flood(scene, conn.sock, before)
    peer.close()


def flood(scene, sock, before, most=64 * MB):
    """Sends until nothing is taken any more."""
    sock.settimeout(1.5)
    sent = 0
    try:
        while sent < most:
            sent += sock.send(bytes(65536))
    except (TimeoutError, OSError):
        pass
    assert sent < most, "there is no back-pressure"
    scene.gateway.assert_growth(before)
