"""WebSocket frames (RFC 6455) made by hand, right ones and wrong ones, and an echo that is strict."""

import random
import struct

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
RSV1, RSV2, RSV3 = 0x40, 0x20, 0x10

_masks = random.Random(6455)


def header(opcode, length, fin=True, rsv=0, mask=None):
    first = (0x80 if fin else 0) | rsv | opcode
    bit = 0x80 if mask is not None else 0
    if length < 126:
        head = struct.pack("!BB", first, bit | length)
    elif length < 65536:
        head = struct.pack("!BBH", first, bit | 126, length)
    else:
        head = struct.pack("!BBQ", first, bit | 127, length)
    return head + (mask or b"")


def masked(data, mask):
    """`data` XOR the repeated mask; as one large number, since Python has no faster way."""
    n = len(data)
    key = (mask * (n // 4 + 1))[:n]
    return (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(n, "big")


def frame(opcode, payload=b"", fin=True, rsv=0):
    """As a server sends it."""
    return header(opcode, len(payload), fin, rsv) + payload


def client_frame(opcode, payload=b"", fin=True, rsv=0):
    """As a client sends it: masked, each time by another mask."""
    mask = _masks.randbytes(4)
    return header(opcode, len(payload), fin, rsv, mask) + masked(payload, mask)


def close_payload(code, reason=b""):
    return struct.pack("!H", code) + reason


class Frame:
    def __init__(self, opcode, payload, fin, rsv):
        self.opcode = opcode
        self.payload = payload
        self.fin = fin
        self.rsv = rsv

    def __eq__(self, other):
        return vars(self) == vars(other)

    def __repr__(self):
        return f"<{'' if self.fin else 'part of '}{self.opcode:x}/{self.rsv:x} {self.payload[:40]!r}>"


def read_frame(exchange, log, seconds=10):
    """The next frame that arrives at this end of a tunnel; its bytes are appended to `log`."""
    def take(n):
        data = exchange.read(n, seconds)
        log.extend(data)
        return data

    first, second = take(2)
    length = second & 0x7f
    if length > 125:
        length = int.from_bytes(take(2 if length == 126 else 8), "big")
    mask = take(4) if second & 0x80 else None
    payload = take(length)
    return Frame(first & 0x0f, masked(payload, mask) if mask else payload, bool(first & 0x80),
                 first & 0x70)


class ProtocolFailure(Exception):
    def __init__(self, code):
        super().__init__(code)
        self.code = code


def valid_close_code(code):
    return 1000 <= code <= 1014 and code not in (1004, 1005, 1006) or 3000 <= code <= 4999


class Echo:
    """
    A server at its end of a tunnel: messages go back whole, pings get their pong, and what RFC 6455
    forbids ends with close code 1002 or 1007. .received and .sent keep every byte.
    """

    def __init__(self, exchange, rsv=0):
        self.exchange = exchange
        self.rsv = rsv  # bits that were negotiated
        self.received = bytearray()
        self.sent = bytearray()
        self.message = None

    def run(self):
        """Until a close was sent."""
        try:
            while self._answer(read_frame(self.exchange, self.received)):
                pass
        except ProtocolFailure as failure:
            self._send(CLOSE, close_payload(failure.code))
        self.exchange.end()

    def _send(self, opcode, payload, rsv=0):
        data = frame(opcode, payload, rsv=rsv)
        self.sent += data
        self.exchange.send(data)

    def _answer(self, f):
        """False after a close."""
        if f.rsv & ~self.rsv or f.opcode not in (CONT, TEXT, BINARY, CLOSE, PING, PONG):
            raise ProtocolFailure(1002)
        if f.opcode >= CLOSE:
            return self._answer_control(f)
        if (f.opcode == CONT) != (self.message is not None):
            raise ProtocolFailure(1002)
        if self.message is None:
            self.message = Frame(f.opcode, b"", False, f.rsv)
        self.message.payload += f.payload
        if f.fin:
            self._echo(self.message)
            self.message = None
        return True

    def _echo(self, message):
        if message.opcode == TEXT and not message.rsv:
            self._check_text(message.payload)
        self._send(message.opcode, message.payload, message.rsv)

    @staticmethod
    def _check_text(payload):
        try:
            payload.decode()
        except UnicodeDecodeError:
            raise ProtocolFailure(1007) from None

    def _answer_control(self, f):
        if len(f.payload) > 125 or not f.fin:
            raise ProtocolFailure(1002)
        if f.opcode == PING:
            self._send(PONG, f.payload)
        if f.opcode != CLOSE:
            return True
        if len(f.payload) == 1:
            raise ProtocolFailure(1002)
        if f.payload:
            if not valid_close_code(struct.unpack("!H", f.payload[:2])[0]):
                raise ProtocolFailure(1002)
            self._check_text(f.payload[2:])
        self._send(CLOSE, f.payload)
        return False
