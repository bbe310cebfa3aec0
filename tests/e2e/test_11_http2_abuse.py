"""Visitors that abuse HTTP/2: the connection ends with the right error, memory stays bounded, and
other connections do not notice."""

import struct

import h2.connection
import hpack
import pytest

from lib.h2 import H2Conn
from lib.wait import wait_until

MIB = 1024 * 1024
NO_ERROR, PROTOCOL_ERROR, CANCEL, CALM = 0, 1, 8, 11
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS_FRAME, PING, WINDOW_UPDATE, CONTINUATION = (
    0, 1, 2, 3, 4, 6, 8, 9)
END_STREAM, END_HEADERS = 1, 4

SETTINGS = {"limits": {
    "http2_resets_burst": 100, "http2_resets_per_second": 1,
    "http2_frames_burst": 1000, "http2_frames_per_second": 10,
    "http2_continuations_max": 64, "http2_acks_max": 500, "request_head_max_bytes": 65536,
}}


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(
        ">I", stream) + payload


@pytest.fixture
def impatient(scene):
    """A gateway of the test's own that does not wait for long."""
    scene.start_gateway({"limits": {**SETTINGS["limits"], "request_head_timeout_ms": 3000,
                                    "stall_timeout_ms": 3000}})


@pytest.fixture
def visit(scene):
    """visit() is a connection to a tunnel of its own; beside it stays another one that must work."""
    tunnel = scene.tunnel(scene.app())
    neighbour = scene.keep(H2Conn(scene.gateway.https_port, tunnel.host))
    assert neighbour.get().status == 200
    before = scene.gateway.rss()
    yield lambda **kw: scene.keep(H2Conn(scene.gateway.https_port, tunnel.host, **kw))
    assert neighbour.get().status == 200
    scene.gateway.assert_growth(before)


def head(conn, method="GET", path="/hello", extra=()):
    return hpack.Encoder().encode([(":method", method), (":scheme", "https"), (":path", path),
                                   (":authority", conn.host), *extra])


def send_all(conn, data):
    """Sends as long as the gateway takes it."""
    try:
        conn.send_raw(data)
    except OSError:
        pass


def metric(scene, name):
    return scene.gateway.metrics()[f"sallyport_http2_{name}_total"]


def expect_calm(scene, conn, name, before):
    assert conn.read_end() == CALM
    wait_until(lambda: metric(scene, name) == before + 1, "the counter")


# ---- floods ----


def test_rapid_reset(scene, visit):
    before = metric(scene, "reset_floods")
    conn = visit()
    block = head(conn)
    send_all(conn, b"".join(frame(HEADERS, END_STREAM | END_HEADERS, i, block)
                            + frame(RST_STREAM, 0, i, b"\0\0\0\x08") for i in range(1, 1001, 2)))
    expect_calm(scene, conn, "reset_floods", before)


def test_resets_that_the_gateway_is_made_to_send(scene, visit):
    """A WINDOW_UPDATE of 0 makes the gateway reset the stream: it counts as well."""
    before = metric(scene, "reset_floods")
    conn = visit()
    block = head(conn, "POST", "/upload")
    send_all(conn, b"".join(frame(HEADERS, END_HEADERS, i, block)
                            + frame(WINDOW_UPDATE, 0, i, b"\0\0\0\0") for i in range(1, 1001, 2)))
    assert conn.read_end() in (CALM, PROTOCOL_ERROR)
    assert metric(scene, "reset_floods") <= before + 1


@pytest.mark.parametrize("one", [
    frame(SETTINGS_FRAME, 0, 0),
    frame(PING, 0, 0, bytes(8)),
    frame(PRIORITY, 0, 5, b"\0\0\0\0\x10"),
    frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\x01"),
    frame(0xf0, 0, 0, b"unknown"),
], ids=["settings", "ping", "priority", "window_update", "unknown"])
def test_frames_that_carry_nothing(scene, visit, one):
    floods = metric(scene, "frame_floods") + metric(scene, "ack_floods")
    conn = visit()
    send_all(conn, one * 20000)
    assert conn.read_end() == CALM
    wait_until(lambda: metric(scene, "frame_floods") + metric(scene, "ack_floods") == floods + 1,
               "the counter")


def test_empty_data(scene, visit):
    before = metric(scene, "frame_floods")
    conn = visit()
    send_all(conn, frame(HEADERS, END_HEADERS, 1, head(conn, "POST", "/upload"))
             + frame(DATA, 0, 1) * 20000)
    expect_calm(scene, conn, "frame_floods", before)


def test_pings_that_nobody_reads_the_answers_of(scene, visit):
    conn = visit(reads=False)
    try:
        for _ in range(200):
            conn.send_raw(frame(PING, 0, 0, bytes(8)) * 1000)
    except OSError:
        pass
    conn.read_end()


def test_continuations(scene, visit):
    before = metric(scene, "continuation_floods")
    conn = visit()
    send_all(conn, frame(HEADERS, 0, 1, head(conn)) + frame(CONTINUATION, 0, 1) * 500)
    expect_calm(scene, conn, "continuation_floods", before)


# ---- heads ----


def test_hpack_bomb(scene, visit):
    """A field of 4000 bytes in the table, and then thousands of references to it of one byte."""
    before = metric(scene, "head_bombs")
    conn = visit()
    bomb = b"\x40\x01a\x7f" + bytes([0xa1, 0x1e]) + b"v" * 4000
    send_all(conn, frame(HEADERS, END_STREAM | END_HEADERS, 1, head(conn) + bomb + b"\xbe" * 12000))
    expect_calm(scene, conn, "head_bombs", before)


def test_too_large_a_head_is_answered(visit):
    conn = visit()
    response = conn.get(headers=[(f"x-{i}", "v" * 10000) for i in range(8)])
    assert response.status == 431
    assert conn.get().status == 200


def test_header_block_that_never_ends(scene, impatient, visit):
    before = metric(scene, "slow_heads")
    conn = visit()
    assert conn.get().status == 200
    send_all(conn, frame(HEADERS, END_STREAM, 3, head(conn)))
    expect_calm(scene, conn, "slow_heads", before)


def test_preface_and_then_nothing(scene, impatient, visit, monkeypatch):
    before = metric(scene, "slow_heads")
    monkeypatch.setattr(h2.connection.H2Connection, "initiate_connection",
                        lambda self: self._data_to_send.extend(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
    conn = visit()
    monkeypatch.undo()
    data = b""
    conn.sock.settimeout(20)
    while piece := conn.sock.recv(65536):
        data += piece
    assert data.endswith(struct.pack(">I", CALM))
    wait_until(lambda: metric(scene, "slow_heads") == before + 1, "the counter")


# ---- those who do not read ----


def test_window_that_never_opens(scene, impatient, visit):
    """A response that is whole, and held for a visitor who does not take it, is dropped."""
    before = metric(scene, "stalls")
    conn = visit(settings={4: 0})
    stream = conn.request("/bytes/50000")
    assert conn.finish(stream).reset == CANCEL
    wait_until(lambda: metric(scene, "stalls") == before + 1, "the counter")
    assert conn.read_head(conn.request("/hello")).status == 200


def test_body_that_stands_still(impatient, visit):
    conn = visit()
    stream = conn.request("/upload", "POST", end=False)
    conn.send(stream, b"some")
    assert conn.finish(stream).status == 408
    assert conn.get().status == 200


def test_socket_that_is_not_read(scene, impatient, visit):
    """Windows are open, but nobody reads the socket: the connection ends."""
    before = metric(scene, "stalls")
    conn = visit(settings={4: 2**31 - 1})
    conn.h2.increment_flow_control_window(2**31 - 1 - 65535)
    conn.flush()
    for _ in range(20):
        conn.request(f"/bytes/{5 * MIB}")
    wait_until(lambda: metric(scene, "stalls") > before
               or scene.gateway.metrics()["sallyport_exchanges"] == 0, "the stall", 30)
    wait_until(lambda: scene.gateway.metrics()["sallyport_connections"] == 1, "the end", 30)
