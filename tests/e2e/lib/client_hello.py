"""ClientHellos as bytes: caught from Python's ssl, made larger, cut into records, fingerprinted."""

import hashlib
import ssl
import struct

from lib.raw import tls_context

RECORD_MAX = 16384


def capture(host, context=None):
    """The first flight of a client, and the objects to go on with: (bytes, ssl object, in, out)."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = (context or tls_context()).wrap_bio(incoming, outgoing, server_hostname=host)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read(), tls, incoming, outgoing


def message(hello):
    """The handshake message out of the records."""
    out = b""
    while hello:
        length = struct.unpack(">H", hello[3:5])[0]
        out, hello = out + hello[5:5 + length], hello[5 + length:]
    return out


def records(handshake, piece=RECORD_MAX):
    """A handshake message in records of at most `piece` bytes."""
    return b"".join(b"\x16\x03\x01" + struct.pack(">H", len(part)) + part for part in
                    (handshake[i:i + piece] for i in range(0, len(handshake), piece)))


def extensions_at(handshake):
    """Where the length of the extensions stands in a message."""
    at = 4 + 2 + 32
    at += 1 + handshake[at]
    at += 2 + struct.unpack(">H", handshake[at:at + 2])[0]
    return at + 1 + handshake[at]


def padded(handshake, size):
    """The message with a padding extension, so that it has `size` bytes behind its head."""
    at = extensions_at(handshake)
    extensions = handshake[at + 2:]
    padding = size - (len(handshake) - 4) - 4
    extensions += struct.pack(">HH", 21, padding) + bytes(padding)
    body = handshake[4:at] + struct.pack(">H", len(extensions)) + extensions
    assert len(body) == size
    return b"\x01" + struct.pack(">I", len(body))[1:] + body


def _numbers(data):
    found = struct.unpack(f">{len(data) // 2}H", data)
    return [n for n in found if n & 0x0f0f != 0x0a0a or n >> 8 != n & 0xff]


def _hash(text):
    return hashlib.sha256(text.encode()).hexdigest()[:12] if text else "0" * 12


def ja4(hello):
    """JA4 of a TLS 1.2 or 1.3 client, written down a second time to check the gateway's."""
    body = message(hello)[4:]
    at = 34
    at += 1 + body[at]
    ciphers_n = struct.unpack(">H", body[at:at + 2])[0]
    ciphers = _numbers(body[at + 2:at + 2 + ciphers_n])
    at += 2 + ciphers_n
    at += 1 + body[at] + 2
    extensions = []
    while at < len(body):
        kind, length = struct.unpack(">HH", body[at:at + 4])
        extensions.append((kind, body[at + 4:at + 4 + length]))
        at += 4 + length
    content = dict(extensions)
    kinds = _numbers(b"".join(struct.pack(">H", kind) for kind, _ in extensions))
    version = max(_numbers(content[43][1:])) if 43 in content else 0x0303
    alpn = content[16][3:3 + content[16][2]].decode() if 16 in content else "00"
    algorithms = _numbers(content[13][2:]) if 13 in content else []

    def text(numbers):
        return ",".join(f"{n:04x}" for n in numbers)

    tail = text(sorted(k for k in kinds if k not in (0, 16)))
    if algorithms:
        tail += "_" + text(algorithms)
    return (f"t{ {0x0304: '13', 0x0303: '12'}[version] }{'d' if 0 in content else 'i'}"
            f"{len(ciphers):02}{len(kinds):02}{alpn[0]}{alpn[-1]}"
            f"_{_hash(text(sorted(ciphers)))}_{_hash(tail)}")
