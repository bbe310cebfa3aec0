"""
Every protocol of a visitor with every protocol of an upstream, through two internal endpoints in a
row: bodies, trailers, streams and WebSockets pass as they do without.
"""

import hashlib
import threading

import pytest

from lib.content import content, digest, pieces
from lib.internal import InsideStage
from lib.websocket import BINARY, CLOSE, Echo, client_frame, close_payload, read_frame

MIB = 1024 * 1024
SETTINGS = {"workers": 3}


@pytest.fixture(scope="module")
def stage(gateway, keys, node, tmp_path_factory):
    stage = InsideStage(keys, tmp_path_factory.mktemp("stage"), gateway.revive, node)
    yield stage
    stage.close()


def test_get(way):
    x, u = way.open(target="/a%20b?c=d&e", headers=[("x-one", "1")])
    assert u.head.header("x-one") == "1"
    assert u.head.header("x-forwarded-for") == "127.0.0.1"
    assert u.head.header("x-forwarded-host").split(":")[0] == way.host
    u.answer(b"hello", 203, [("x-answer", "yes")])
    head = x.wait_head()
    assert (head.status, head.header("x-answer"), x.read_rest()) == (203, "yes", b"hello")


def test_bodies_both_ways_at_once(way):
    """Large ones, with back-pressure on both sides."""
    size = 12 * MIB
    x, u = way.open("POST", end=False)
    u.respond(200)

    def upload():
        for piece in pieces(size, 1):
            x.send(bytes(piece))
        x.end()

    def echo():
        left = size
        while left:
            data = u.read(min(left, 65536), 60)
            left -= len(data)
            u.send(data)
        u.end()

    threads = [threading.Thread(target=t, daemon=True) for t in (upload, echo)]
    for t in threads:
        t.start()
    assert x.wait_head().status == 200
    assert hashlib.sha256(x.read_rest(60)).hexdigest() == digest(size, 1)
    for t in threads:
        t.join(10)


def test_trailers(way):
    """gRPC needs them."""
    x, u = way.open("POST", headers=[("te", "trailers")], end=False)
    x.send(b"body")
    x.end([("x-check", "1")])
    assert u.read_rest() == b"body" and u.trailers == [("x-check", "1")]
    u.respond(200, [("trailer", "grpc-status")])
    u.send(b"answer")
    u.end([("grpc-status", "0")])
    assert x.wait_head().status == 200
    assert x.read_rest() == b"answer" and x.trailers == [("grpc-status", "0")]


def test_event_stream(way):
    """Each message leaves at once."""
    x, u = way.open()
    u.respond(200, [("content-type", "text/event-stream")])
    x.wait_head()
    for i in range(3):
        message = b"data: %d\n\n" % i
        u.send(message)
        assert x.read(len(message)) == message
    u.end()
    assert x.read_rest() == b""


def test_websocket(way):
    x, u = way.tunnel()
    server = threading.Thread(target=Echo(u).run, daemon=True)
    server.start()
    log = bytearray()
    for size in (0, 125, 126, 60000):
        x.send(client_frame(BINARY, content(size)))
        assert read_frame(x, log).payload == content(size)
    x.send(client_frame(CLOSE, close_payload(1000)))
    assert read_frame(x, log).opcode == CLOSE
    server.join(10)


def test_visitor_goes_away(way):
    x, u = way.open("POST", end=False)
    x.send(b"some")
    x.reset()
    u.wait_broken()


def test_upstream_goes_away(way):
    """Before the head an error, behind it a cut response."""
    x, u = way.open("POST")
    u.reset()
    assert x.wait_head().status == 502
    x.read_rest()
    x, u = way.open()
    u.respond(200, [("content-length", "10")])
    u.send(b"half")
    x.wait_head()
    u.reset()
    x.wait_broken()
    way.assert_serves()
