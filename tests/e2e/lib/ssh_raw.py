"""
A small SSH-2 client that does only what it is told, for what no real client sends. It speaks
curve25519-sha256 and aes128-gcm, logs in with an Ed25519 key, does not mind windows, and answers
keepalives only, while it waits for something. The host key is not verified.
"""

import hashlib
import os
import socket
import struct

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import (Encoding, PublicFormat,
                                                          load_ssh_private_key)

from lib.wait import Deadline

DISCONNECT, IGNORE, UNIMPLEMENTED, DEBUG = 1, 2, 3, 4
SERVICE_REQUEST, SERVICE_ACCEPT = 5, 6
KEXINIT, NEWKEYS, ECDH_INIT, ECDH_REPLY = 20, 21, 30, 31
USERAUTH_REQUEST, USERAUTH_FAILURE, USERAUTH_SUCCESS, USERAUTH_BANNER = 50, 51, 52, 53
GLOBAL_REQUEST, REQUEST_SUCCESS, REQUEST_FAILURE = 80, 81, 82
CHANNEL_OPEN, OPEN_CONFIRMATION, OPEN_FAILURE, WINDOW_ADJUST = 90, 91, 92, 93
CHANNEL_DATA, EXTENDED_DATA, CHANNEL_EOF, CHANNEL_CLOSE = 94, 95, 96, 97
CHANNEL_REQUEST, CHANNEL_SUCCESS, CHANNEL_FAILURE = 98, 99, 100

VERSION = b"SSH-2.0-rawtest"
USER = b"v2"
WINDOW = 1 << 21
PACKET = 32768
#: How much is sent in one write.
BATCH_BYTES = 256 * 1024


class Ended(Exception):
    """The gateway ended the connection; the text is that of its disconnect message, if any."""


def u32(number):
    return struct.pack(">I", number)


def string(data):
    data = data.encode() if isinstance(data, str) else data
    return u32(len(data)) + data


def message(kind, *parts):
    """A payload: numbers become uint32, booleans a byte, texts and bytes a string."""
    out = [bytes([kind])]
    for part in parts:
        if isinstance(part, bool):
            out.append(bytes([part]))
        elif isinstance(part, int):
            out.append(u32(part))
        else:
            out.append(string(part))
    return b"".join(out)


def mpint(data):
    data = data.lstrip(b"\0")
    return string(b"\0" + data if data and data[0] & 0x80 else data)


class Message:
    """A payload that came; number(), text() and flag() read on from where the last one ended."""

    def __init__(self, payload):
        self.kind = payload[0]
        self.payload = payload
        self.at = 1

    def number(self):
        self.at += 4
        return struct.unpack_from(">I", self.payload, self.at - 4)[0]

    def text(self):
        n = self.number()
        self.at += n
        return self.payload[self.at - n:self.at]

    def flag(self):
        self.at += 1
        return self.payload[self.at - 1] != 0

    def __repr__(self):
        return f"<{self.kind} {self.payload[1:60]!r}>"


class Direction:
    """Keys of one direction (RFC 5647, as OpenSSH's aes128-gcm)."""

    def __init__(self, key, iv):
        self.gcm = AESGCM(key)
        self.fixed = iv[:4]
        self.counter = int.from_bytes(iv[4:], "big")

    def nonce(self):
        nonce = self.fixed + self.counter.to_bytes(8, "big")
        self.counter = (self.counter + 1) & (2**64 - 1)
        return nonce


class RawSsh:
    """One connection; `receive_buffer` bounds what the kernel takes for a test that never reads."""

    def __init__(self, gateway, receive_buffer=None, seconds=10, exchange=True):
        self.seconds = seconds
        self.sock = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(Deadline(seconds).left())
        self.sock.connect((gateway.address, gateway.ssh_port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.writing = self.reading = None
        self.session_id = None
        self.channels = 0
        #: Messages that were passed over by wait().
        self.passed = []
        if exchange:
            self.exchange_keys()

    def close(self):
        self.sock.close()

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    # ---- bytes and packets ----

    def send_bytes(self, data, piece=None):
        """All of it, or Ended."""
        self.sock.settimeout(Deadline(self.seconds).left())
        try:
            for start in range(0, len(data), piece or len(data) or 1):
                self.sock.sendall(data[start:start + (piece or len(data))])
        except (ConnectionResetError, BrokenPipeError) as e:
            raise Ended(str(e)) from None

    def pack(self, payload):
        """The packet of one message, to be sent after all that were packed before."""
        block = 16 if self.writing else 8
        head = 1 if self.writing else 5
        padding = block - (head + len(payload)) % block
        padding += block if padding < 4 else 0
        body = bytes([padding]) + payload + os.urandom(padding)
        length = u32(len(body))
        if not self.writing:
            return length + body
        return length + self.writing.gcm.encrypt(self.writing.nonce(), body, length)

    def send(self, *payloads):
        """These messages, in as few writes as possible."""
        batch = bytearray()
        for payload in payloads:
            batch += self.pack(payload)
            if len(batch) > BATCH_BYTES:
                self.send_bytes(batch)
                batch.clear()
        self.send_bytes(batch)

    def say(self, kind, *parts):
        self.send(message(kind, *parts))

    def fill(self, n, deadline):
        while len(self.buffer) < n:
            self.sock.settimeout(deadline.left())
            try:
                data = self.sock.recv(256 * 1024)
            except ConnectionResetError:
                data = b""
            if not data:
                raise Ended("")
            self.buffer += data

    def read(self, deadline=None):
        """The next message, whatever it is."""
        deadline = deadline or Deadline(self.seconds)
        self.fill(4, deadline)
        length = bytes(self.buffer[:4])
        n = struct.unpack(">I", length)[0]
        tag = 16 if self.reading else 0
        self.fill(4 + n + tag, deadline)
        body = bytes(self.buffer[4:4 + n + tag])
        del self.buffer[:4 + n + tag]
        if self.reading:
            body = self.reading.gcm.decrypt(self.reading.nonce(), body, length)
        return Message(body[1:len(body) - body[0]])

    def wait(self, *kinds, seconds=None):
        """The next message of one of these kinds; others go to .passed. Ended with the text of a
        disconnect message."""
        deadline = Deadline(seconds or self.seconds)
        while True:
            m = self.read(deadline)
            if m.kind in kinds:
                return m
            if m.kind == DISCONNECT:
                m.number()
                raise Ended(m.text().decode())
            if m.kind == GLOBAL_REQUEST and m.text() == b"keepalive@openssh.com" and m.flag():
                self.say(REQUEST_FAILURE)
            self.passed.append(m)

    def wait_end(self, seconds=None):
        """The gateway ends the connection; returns its last words."""
        try:
            while True:
                self.wait(DISCONNECT + 1000, seconds=seconds)
        except Ended as e:
            return str(e)

    # ---- key exchange and login ----

    def exchange_keys(self, piece=None):
        """From the version line to the first encrypted packet; `piece` bytes in each write."""
        self.send_bytes(VERSION + b"\r\n", piece)
        while b"\n" not in self.buffer:
            self.fill(len(self.buffer) + 1, Deadline(self.seconds))
        line, _, rest = bytes(self.buffer).partition(b"\n")
        self.buffer[:] = rest
        ours = kexinit()
        self.send_bytes(self.pack(ours), piece)
        theirs = self.wait(KEXINIT).payload
        secret = X25519PrivateKey.generate()
        public = secret.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.send_bytes(self.pack(message(ECDH_INIT, public)), piece)
        reply = self.wait(ECDH_REPLY)
        host_key, peer = reply.text(), reply.text()
        shared = mpint(secret.exchange(X25519PublicKey.from_public_bytes(peer)))
        digest = hashlib.sha256(b"".join(map(string, (
            VERSION, line.rstrip(b"\r"), ours, theirs, host_key, public, peer))) + shared).digest()
        self.session_id = digest

        def derive(letter, n):
            return hashlib.sha256(shared + digest + letter + digest).digest()[:n]

        self.send_bytes(self.pack(bytes([NEWKEYS])), piece)
        self.writing = Direction(derive(b"C", 16), derive(b"A", 12))
        self.wait(NEWKEYS)
        self.reading = Direction(derive(b"D", 16), derive(b"B", 12))

    def ask_service(self):
        self.say(SERVICE_REQUEST, "ssh-userauth")
        self.wait(SERVICE_ACCEPT)

    def login_request(self, key, kind=b"ssh-ed25519", spoil=False):
        """The request that logs in; `spoil` makes its signature wrong."""
        secret = load_ssh_private_key(key.path.read_bytes(), None)
        public = secret.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        request = message(USERAUTH_REQUEST, USER, "ssh-connection", "publickey", True, kind,
                          string(kind) + string(public))
        signature = bytearray(secret.sign(string(self.session_id) + request))
        signature[5] ^= spoil
        return request + string(string(kind) + string(bytes(signature)))

    def login(self, key):
        self.ask_service()
        self.send(self.login_request(key))
        assert self.wait(USERAUTH_SUCCESS, USERAUTH_FAILURE).kind == USERAUTH_SUCCESS
        return self

    def ping(self, seconds=None):
        """Returns once the gateway has seen all that was sent."""
        self.say(GLOBAL_REQUEST, "keepalive@openssh.com", True)
        self.wait(REQUEST_SUCCESS, REQUEST_FAILURE, seconds=seconds)

    # ---- channels ----

    def session(self, window=WINDOW, packet=PACKET):
        """Opens a session channel."""
        channel = Channel(self, self.channels)
        self.channels += 1
        self.say(CHANNEL_OPEN, "session", channel.mine, window, packet)
        channel.confirmed(self.wait(OPEN_CONFIRMATION, OPEN_FAILURE))
        return channel

    def serve(self, host, port=80, command="http"):
        """Makes an endpoint and waits for its URL; returns the session channel."""
        self.say(GLOBAL_REQUEST, "tcpip-forward", True, host, port)
        assert self.wait(REQUEST_SUCCESS, REQUEST_FAILURE).kind == REQUEST_SUCCESS
        channel = self.session()
        assert channel.request("exec", string(command)) == CHANNEL_SUCCESS
        data = self.wait(CHANNEL_DATA)
        assert data.number() == channel.mine and host.encode() in data.text()
        return channel

    def offered(self, seconds=None):
        """A channel that the gateway wants to open, not answered yet."""
        m = self.wait(CHANNEL_OPEN, seconds=seconds)
        assert m.text() == b"forwarded-tcpip", m
        channel = Channel(self, self.channels)
        self.channels += 1
        channel.theirs = m.number()
        return channel

    def accept(self, window=WINDOW, packet=PACKET):
        """The same, answered at once."""
        channel = self.offered()
        self.send(channel.confirmation(window, packet))
        return channel


class Channel:
    """Numbers of one channel, and its messages."""

    def __init__(self, ssh, mine):
        self.ssh = ssh
        self.mine = mine
        self.theirs = None

    def confirmed(self, m):
        assert m.kind == OPEN_CONFIRMATION and m.number() == self.mine, m
        self.theirs = m.number()

    def message(self, kind, *parts):
        return message(kind, self.theirs, *parts)

    def say(self, kind, *parts):
        self.ssh.send(self.message(kind, *parts))

    def confirmation(self, window=WINDOW, packet=PACKET):
        return self.message(OPEN_CONFIRMATION, self.mine, window, packet)

    def refusal(self, code=2, text="connect failed"):
        return self.message(OPEN_FAILURE, code, text, "")

    def request(self, name, rest=b""):
        """A channel request that wants a reply; returns the kind of the reply."""
        self.ssh.send(self.message(CHANNEL_REQUEST, name, True) + rest)
        m = self.ssh.wait(CHANNEL_SUCCESS, CHANNEL_FAILURE)
        assert m.number() == self.mine
        return m.kind

    def wait(self, *kinds, seconds=None):
        """The next message of one of these kinds for this channel."""
        while True:
            m = self.ssh.wait(*kinds, seconds=seconds)
            if m.number() == self.mine:
                return m

    def read_until(self, end):
        data = b""
        while end not in data:
            data += self.wait(CHANNEL_DATA).text()
        return data

    def data(self, data):
        """Sends it without minding the window."""
        self.ssh.send(*(self.message(CHANNEL_DATA, bytes(data[i:i + PACKET]))
                        for i in range(0, len(data), PACKET)))

    def respond(self, body):
        """An HTTP response."""
        self.data(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)


def kexinit():
    names = [b"curve25519-sha256", b"ssh-ed25519", *[b"aes128-gcm@openssh.com"] * 2,
             *[b"hmac-sha2-256"] * 2, *[b"none"] * 2, b"", b""]
    return bytes([KEXINIT]) + os.urandom(16) + b"".join(map(string, names)) + bytes(5)
