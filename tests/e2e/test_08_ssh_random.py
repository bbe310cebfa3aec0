"""
A client that sends messages at random, all of them well formed and about channels that exist, while
visitors come and go. The gateway is often stopped while a batch is sent, so that it finds all of it
at once and reads some by its own calls. Nothing may crash, and nothing may be left.
"""

import os
import random
import socket
import struct
import time

import pytest

from lib.echo import Echo
from lib.private import internal
from lib.ssh_peers import Frozen, neighbour, works
from lib.ssh_raw import (CHANNEL_CLOSE, CHANNEL_DATA, CHANNEL_EOF, CHANNEL_OPEN, CHANNEL_REQUEST,
                         EXTENDED_DATA, GLOBAL_REQUEST, IGNORE, OPEN_CONFIRMATION, WINDOW,
                         WINDOW_ADJUST, Channel, Ended, RawSsh, message, string, u32)

#: Another one tries other messages; a failure names the one it had.
SEED = int(os.environ.get("SALLYPORT_SEED", "1"))

#: What the client is dealt with by; its neighbours outlive a pause of 3 s.
LIMITS = {
    "command_wait_ms": 300,
    "channel_open_timeout_ms": 200,
    "keepalive_interval_ms": 500,
    "keepalive_count": 6,
    "max_channels": 40,
}

REQUESTS = [
    ("exec", string("version")), ("exec", string("http")), ("exec", string("http --log=stdout")),
    ("exec", string("help")), ("exec", string("nonsense")), ("shell", b""),
    ("pty-req", string("xterm") + u32(80) + u32(24) + u32(0) + u32(0) + string(b"\0")),
    ("signal", string("TERM")), ("subsystem", string("sftp")), ("env", string("A") + string("b")),
    ("nonsense", b""), ("window-change", bytes(16)),
]

RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n0123456789"

#: What may be said about a channel; each takes the dice and the channel.
ABOUT_A_CHANNEL = [
    lambda d, c: [c.confirmation(d.choice([0, 1, 1000, WINDOW]), d.choice([500, 1024, 32768]))],
    lambda d, c: [c.confirmation()],
    lambda d, c: [c.refusal(d.randrange(6), "x" * d.randrange(20))],
    lambda d, c: [c.message(CHANNEL_DATA, bytes(d.choice([0, 1, 100, 4000, 32768])))],
    lambda d, c: [c.message(CHANNEL_DATA, bytes(32768))] * d.randrange(20),
    lambda d, c: [c.message(CHANNEL_DATA, RESPONSE % d.choice([0, 10, 100000]))],
    lambda d, c: [c.message(EXTENDED_DATA, d.randrange(3), bytes(d.choice([0, 1, 4000])))],
    lambda d, c: [c.message(CHANNEL_EOF)],
    lambda d, c: [c.message(CHANNEL_CLOSE)] * d.choice([1, 1, 1, 4]),
    lambda d, c: [c.message(WINDOW_ADJUST, d.choice([0, 1, 100000, 0xffffffff]))],
    lambda d, c: [channel_request(d, c)],
    lambda d, c: [channel_request(d, c)],
]


def channel_request(dice, channel):
    name, rest = dice.choice(REQUESTS)
    return channel.message(CHANNEL_REQUEST, name, dice.random() < 0.7) + rest


#: What channels are asked for; the first two are online.
REACHED = [("echo.internal", 7), ("web.internal", 80), ("nobody.internal", 7), ("127.0.0.1", 22)]


class Client:
    """One session, from its login to its sudden end."""

    def __init__(self, gateway, dice, name):
        self.gateway = gateway
        self.dice = dice
        self.name = name
        self.ssh = RawSsh(gateway, seconds=3)
        self.channels = []
        #: Channels that the gateway has not confirmed, by number.
        self.asked = {}
        self.visitors = []

    def start(self, key):
        self.ssh.login(key)
        console = self.ssh.session()
        self.channels.append(console)
        self.ssh.say(GLOBAL_REQUEST, "tcpip-forward", True, self.name, 80)
        if self.dice.random() < 0.8:
            console.request("exec", string("http"))

    def read(self):
        """Takes what has come, without waiting, and notes the channels it tells of."""
        try:
            self.ssh.sock.settimeout(0.001)
            while data := self.ssh.sock.recv(1 << 20):
                self.ssh.buffer += data
            raise Ended("")
        except TimeoutError:
            pass
        while len(self.ssh.buffer) >= 4:
            n, = struct.unpack_from(">I", self.ssh.buffer)
            if len(self.ssh.buffer) < 4 + n + 16:
                break
            self.note(self.ssh.read())

    def note(self, m):
        if m.kind == CHANNEL_OPEN:
            m.text()
            channel = self.new_channel()
            channel.theirs = m.number()
            self.channels.append(channel)
        elif m.kind == OPEN_CONFIRMATION:
            channel = self.asked.pop(m.number(), None)
            if channel:
                channel.theirs = m.number()
                self.channels.append(channel)

    def new_channel(self):
        self.ssh.channels += 1
        return Channel(self.ssh, self.ssh.channels - 1)

    def batch(self):
        out = []
        for _ in range(self.dice.randint(1, 30)):
            out += self.messages()
        return out

    def messages(self):
        dice = self.dice
        kind = dice.random()
        if kind < 0.75:
            return dice.choice(ABOUT_A_CHANNEL)(dice, dice.choice(self.channels[-12:]))
        if kind < 0.80:
            channel = self.new_channel()
            self.asked[channel.mine] = channel
            window = dice.choice([0, 10, WINDOW])
            if dice.random() < 0.3:
                return [message(CHANNEL_OPEN, "session", channel.mine, window, 32768)]
            return [message(CHANNEL_OPEN, "direct-tcpip", channel.mine, window, 32768,
                            *dice.choice(REACHED), "127.0.0.1", 1)]
        if kind < 0.87:
            host = dice.choice([self.name, "x" + self.name, "", "bad..name"])
            return [message(GLOBAL_REQUEST, "tcpip-forward", True, host,
                            dice.choice([0, 80, 443, 99, 70000]))]
        if kind < 0.92:
            host = dice.choice([self.name, "x" + self.name, ""])
            return [message(GLOBAL_REQUEST, "cancel-tcpip-forward", True, host,
                            dice.choice([80, 443, 444, 99]))]
        if kind < 0.95:
            return [message(IGNORE, bytes(dice.randrange(2000)))] * dice.randint(1, 40)
        return [message(GLOBAL_REQUEST, "keepalive@openssh.com", True)]

    def visitors_come(self):
        for _ in range(self.dice.randrange(5)):
            visitor = socket.create_connection((self.gateway.address, self.gateway.http_port))
            self.visitors.append(visitor)
            upgrade = self.dice.random() < 0.3
            visitor.sendall(f"GET / HTTP/1.1\r\nHost: {self.name}:{self.gateway.http_port}\r\n"
                            f"{'Connection: upgrade' + chr(13) + chr(10) if upgrade else ''}"
                            "Upgrade: test\r\n\r\n".encode())

    def visitors_leave(self):
        for visitor in self.visitors[:]:
            chance = self.dice.random()
            if chance < 0.7:
                continue
            if chance < 0.8:
                visitor.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            visitor.close()
            self.visitors.remove(visitor)

    def turn(self):
        self.visitors_come()
        if self.dice.random() < 0.5:
            time.sleep(0.005)
        self.read()
        batch = self.batch()
        if self.dice.random() < 0.6:
            with Frozen(self.gateway):
                self.ssh.send(*batch)
                self.visitors_leave()
        else:
            self.ssh.send(*batch)
            self.visitors_leave()
        self.read()

    def run(self, key):
        try:
            self.start(key)
            for _ in range(self.dice.randint(2, 12)):
                self.turn()
            if self.dice.random() < 0.5:
                self.ssh.ping()
        except (Ended, OSError, AssertionError):
            pass  # it was dropped, or an answer was another one: both are fine
        finally:
            self.ssh.reset() if self.dice.random() < 0.5 else self.ssh.close()
            for visitor in self.visitors:
                visitor.close()


@pytest.mark.parametrize("window", [65536, 2097152])
@pytest.mark.parametrize("seconds", [5, pytest.param(300, marks=pytest.mark.soak)])
def test_messages_at_random(scene, window, seconds):
    """The gateway lives through it, and another session does not notice."""
    gateway = scene.start_gateway({"limits": {"channel_window": window}})
    good = neighbour(scene)
    internal(scene, "echo.internal", 7, scene.keep(Echo()))
    internal(scene, "web.internal", 80, scene.app(), "http")
    gateway.change(limits=LIMITS)
    end = time.monotonic() + seconds
    rounds = 0
    while time.monotonic() < end:
        dice = random.Random(SEED * 1000000 + rounds)
        Client(gateway, dice, f"r{rounds % 7}.example.test").run(scene.keys.alice)
        assert gateway.process.running, f"seed {SEED}, round {rounds}: {gateway.process.describe()}"
        rounds += 1
    gateway.change(limits={"channel_open_timeout_ms": 10000})
    assert works(scene, good)
