"""
WebSocket through every way: what the cases of the Autobahn suite are about, as frames made by hand. The
gateway is a pipe after the handshake, so each byte must arrive as it was sent, the wrong ones too.
"""

import asyncio
import hashlib
import random
import threading
import zlib

import pytest
import websockets

from lib import websocket as ws
from lib.content import content, digest, pieces
from lib.raw import tls_context
from lib.ways import UPSTREAMS
from lib.websocket import BINARY, CLOSE, CONT, PING, PONG, RSV1, TEXT, client_frame, frame

MIB = 1024 * 1024
SIZES = (0, 1, 125, 126, 127, 128, 65535, 65536)
SENTENCE = "κόσμε – Здравствуй, 世界 🌍".encode()
BAD_TEXT = (b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited", b"\xff", b"\xc0\xaf",
            b"\xf4\x90\x80\x80", b"\xe4\xb8")


def closed(code=1000, reason=b""):
    return CLOSE, ws.close_payload(code, reason)


def case(*sent, gets, close=True):
    """Frames that the visitor sends, arguments of client_frame(), and (opcode, payload) that it gets.
    With `close` a good close follows."""
    sent = [f if isinstance(f, bytes) else client_frame(*f) for f in sent]
    gets = list(gets)
    if close:
        sent.append(client_frame(*closed()))
        gets.append(closed())
    return sent, gets


def echoed(*messages):
    return case(*messages, gets=messages)


def failed(*sent, before=(), code=1002):
    """What the server ends with a code, after it answered `before`."""
    return case(*sent, gets=[*before, closed(code)], close=False)


def cuts(data, size):
    return [data[i:i + size] for i in range(0, len(data), size)]


def fragments(opcode, parts, between=()):
    """A message in parts, with these frames between every two of them."""
    out = []
    for i, part in enumerate(parts):
        out += between if i else ()
        out.append((opcode if i == 0 else CONT, part, i == len(parts) - 1))
    return out


#: Numbers in the names are Autobahn's chapters.
CASES = {
    "1-framing": [echoed((opcode, b"*" * size)) for opcode in (TEXT, BINARY) for size in SIZES] +
                 [echoed(*[(BINARY, content(size)) for size in SIZES])],
    "2-pings": [case((PING, payload), gets=[(PONG, payload)])
                for payload in (b"", b"Hello", b"\x00\xff\xfe\xfd", b"\xfe" * 125)] +
               [case((PONG, b"unasked"), (PING, b"p"), gets=[(PONG, b"p")]),
                case(*[(PING, b"%d" % i) for i in range(10)],
                     gets=[(PONG, b"%d" % i) for i in range(10)]),
                failed((PING, b"\xfe" * 126))],
    "3-reserved-bits": [failed((TEXT, b"first"), (TEXT, b"second", True, rsv),
                               before=[(TEXT, b"first")]) for rsv in range(0x10, 0x80, 0x10)] +
                       [failed((opcode, b"", True, 0x20)) for opcode in (PING, CLOSE, BINARY)],
    "4-opcodes": [failed((TEXT, b"first"), (opcode, payload), before=[(TEXT, b"first")])
                  for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15) for payload in (b"", b"x")],
    "5-fragmentation": [
        case(*fragments(TEXT, [b"fragment1", b"fragment2"]), gets=[(TEXT, b"fragment1fragment2")]),
        case(*fragments(TEXT, [b"a", b"b", b"c"], [(PING, b"now")]),
             gets=[(PONG, b"now"), (PONG, b"now"), (TEXT, b"abc")]),
        case(*fragments(BINARY, [b"", b"", b"x", b""]), gets=[(BINARY, b"x")]),
        case(*fragments(BINARY, cuts(content(20000), 97)), gets=[(BINARY, content(20000))]),
        failed(*fragments(PING, [b"a", b"b"])),
        failed((CONT, b"no start", True)),
        failed((CONT, b"no start", False), (TEXT, b"x")),
        failed((TEXT, b"a", False), (TEXT, b"b", True)),
    ],
    "6-utf8": [echoed((TEXT, SENTENCE))] +
              [case(*fragments(TEXT, cuts(SENTENCE, size)), gets=[(TEXT, SENTENCE)])
               for size in (1, 2, 3)] +
              [failed((TEXT, bad), code=1007) for bad in BAD_TEXT] +
              [failed(*fragments(TEXT, [b"ok", bad]), code=1007) for bad in BAD_TEXT] +
              [echoed((BINARY, bad)) for bad in BAD_TEXT],
    "7-close": [case((CLOSE, payload), gets=[(CLOSE, payload)], close=False) for payload in (
                   b"", *[ws.close_payload(c) for c in (
                       1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)],
                   ws.close_payload(1000, b"*" * 123), ws.close_payload(1000, SENTENCE))] +
               [failed((CLOSE, payload)) for payload in (
                   b"\x03", b"*" * 126, *[ws.close_payload(c) for c in (
                       0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535)])] +
               [failed((CLOSE, ws.close_payload(1000, BAD_TEXT[0])), code=1007),
                case((CLOSE, b""), (TEXT, b"too late"), gets=[(CLOSE, b"")], close=False)],
}


def run_case(ends, sent, gets, chop):
    """Sends a case's frames, whole or byte by byte; compares every byte at both ends."""
    x, u = ends
    echo = ws.Echo(u)
    server = threading.Thread(target=echo.run, daemon=True)
    server.start()
    data = b"".join(sent)
    for piece in cuts(data, 1) if chop else sent:
        x.send(piece)
    got = bytearray()
    frames = [ws.read_frame(x, got) for _ in gets]
    assert [(f.opcode, f.payload) for f in frames] == gets
    assert all(f.fin and not f.rsv for f in frames)
    server.join(60)
    x.end()
    got += x.read_rest()
    assert got == echo.sent
    assert echo.received + u.read_rest() == data


@pytest.mark.parametrize("chop", [False, True], ids=["whole", "chopped"])
@pytest.mark.parametrize("chapter", CASES)
def test_frames(way, chapter, chop):
    """All cases of a chapter, over one HTTP/2 connection or one HTTP/1.1 connection each."""
    shared = way.visit()
    for number, (sent, gets) in enumerate(CASES[chapter], 1):
        if chop and sum(map(len, sent)) > 1000:
            continue
        try:
            run_case(way.tunnel(visitor=shared if way.down == "h2" else None), sent, gets, chop)
        except Exception as e:
            raise AssertionError(f"case {number} of {chapter}: {type(e).__name__} {e}") from e


def test_frames_behind_the_handshake(way):
    """Frames in one packet with the server's handshake."""
    x = way.visit().websocket()
    u = way.upstream.accept()
    u.accept_websocket()
    u.send(frame(TEXT, b"welcome"))
    x.wait_head()
    assert ws.read_frame(x, bytearray()).payload == b"welcome"
    x.send(client_frame(TEXT, b"thanks"))
    assert ws.read_frame(u, bytearray()).payload == b"thanks"


# ---- limits ----


def test_message_of_64_mib(way):
    """One message of one frame there, and back at the same time."""
    size = 64 * MIB
    x, u = way.tunnel()
    head = ws.header(BINARY, size, mask=b"\0\0\0\0")
    sender = threading.Thread(target=lambda: [x.send(p) for p in (head, *pieces(size))],
                              daemon=True)
    sender.start()
    back = ws.header(BINARY, size)

    def echo():
        assert u.read(len(head)) == head
        u.send(back)
        copy_exactly(u, size, u.send)

    server = threading.Thread(target=echo, daemon=True)
    server.start()
    assert x.read(len(back)) == back
    h = hashlib.sha256()
    copy_exactly(x, size, h.update)
    assert h.hexdigest() == digest(size)


def copy_exactly(end, size, sink):
    while size:
        piece = end.read(min(size, 65536), 60)
        sink(piece)
        size -= len(piece)


def test_many_small_messages_both_ways(way):
    """Two thousand messages each way at once, with sizes that fit nothing."""
    x, u = way.tunnel()
    rng = random.Random(11)
    there = [client_frame(BINARY, content(rng.randrange(300), i)) for i in range(2000)]
    back = [frame(TEXT, b"%d" % i * rng.randrange(40)) for i in range(2000)]

    def send(end, frames):
        for f in frames:
            end.send(f)
        end.end()

    senders = [threading.Thread(target=send, args=args, daemon=True)
               for args in ((x, there), (u, back))]
    for sender in senders:
        sender.start()
    arrived = {}
    reader = threading.Thread(target=lambda: arrived.update(up=u.read_rest(60)), daemon=True)
    reader.start()
    assert x.read_rest(60) == b"".join(back)
    reader.join(60)
    assert arrived["up"] == b"".join(there)


# ---- extensions ----


def test_permessage_deflate(way):
    """The offer and the answer pass, and so do frames that only both ends can read."""
    offer = "permessage-deflate; client_max_window_bits, x-webkit-deflate-frame"
    agreed = "permessage-deflate; server_no_context_takeover"
    x = way.visit().websocket("/chat", [("sec-websocket-extensions", offer)])
    u = way.upstream.accept()
    assert u.head.header("sec-websocket-extensions") == offer
    u.accept_websocket([("sec-websocket-extensions", agreed)])
    assert x.wait_head().header("sec-websocket-extensions") == agreed
    packer = zlib.compressobj(wbits=-15)
    payloads = []
    for text in (b"Hello", b"Hello again " * 1000, b""):
        packed = packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH)
        payloads.append(packed[:-4] or b"\0")  # RFC 7692 section 7.2.1
    sent = [(TEXT, p, True, RSV1) for p in payloads]
    echo = ws.Echo(u, RSV1)
    server = threading.Thread(target=echo.run, daemon=True)
    server.start()
    data = b"".join(client_frame(*f) for f in sent) + client_frame(*closed())
    x.send(data)
    got = bytearray()
    for opcode, payload, fin, rsv in sent:
        assert ws.read_frame(x, got) == ws.Frame(opcode, payload, fin, rsv)
    assert ws.read_frame(x, got).opcode == CLOSE
    server.join(60)
    assert (echo.received, got) == (data, echo.sent)


# ---- ends ----


@pytest.mark.parametrize("who", ["visitor", "upstream"])
@pytest.mark.parametrize("how", ["reset", "cut"])
def test_abort_in_a_frame(way, who, how):
    """One end breaks off in the middle of a frame: the other gets what was sent, then the end."""
    x, u = way.tunnel()
    near, far = (x, u) if who == "visitor" else (u, x)
    near.send(ws.header(BINARY, 1000) + b"begun")
    assert far.read(9) == ws.header(BINARY, 1000) + b"begun"
    getattr(near, how)()
    far.wait_gone()


def test_end_without_close_frame(way):
    """A visitor that only ends its direction still gets what is on its way."""
    x, u = way.tunnel()
    x.send(client_frame(TEXT, b"last"))
    x.end()
    assert ws.read_frame(u, bytearray()).payload == b"last"
    assert u.read_rest() == b""
    for piece in pieces(MIB):
        u.send(piece)
    u.end()
    assert x.read_rest() == content(MIB)


# ---- programs that people use ----


@pytest.mark.parametrize("up", UPSTREAMS)
def test_python_client_and_node_server(stage, up):
    """python3-websockets against the ws package of Node, which compresses over HTTP/1.1 only."""
    port = stage.node_port(up)
    host = stage.host(up, port)

    async def talk():
        async with websockets.connect(
                f"wss://{host}:{stage.gateway.https_port}/chat", host="127.0.0.1",
                port=stage.gateway.https_port, ssl=tls_context(), server_hostname=host,
                max_size=None) as client:
            compressed = ["permessage-deflate"] if UPSTREAMS[up].alpn == "http/1.1" else []
            assert [e.name for e in client.extensions] == compressed
            for message in ("hello", SENTENCE.decode(), content(300), content(2 * MIB), ""):
                await client.send(message)
                assert await client.recv() == message
            await client.send(iter(["in ", "three ", "parts"]))
            assert await client.recv() == "in three parts"
            await (await client.ping(b"still there"))
            await client.close(4001, "enough")
            assert client.close_code == 4001

    asyncio.run(asyncio.wait_for(talk(), 60))
    stage.wait_rest(stage.MAX_IDLE)
