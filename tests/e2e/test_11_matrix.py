"""
Every protocol of a visitor with every protocol of an upstream: what HTTP can say passes unchanged,
whatever fails on one side is told to the other, and nothing is left behind. Both ends are scripted, so
that each case is written once; test_11_clients.py is about programs that people use.
"""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from types import NoneType

import pytest

from lib.content import content, digest, pieces
from lib.exchange import Broken
from lib.wait import wait_until

MIB = 1024 * 1024
BIG = 24 * MIB
LAST = b"and the last bytes"
TE = ("te", "trailers")


# ---- whole messages ----


def test_get(way):
    """Method, target, fields and body pass unchanged; the upstream learns how the visitor came."""
    x, u = way.open(target="/a%20b?c=d&e", headers=[("x-one", "1"), ("x-two", "a, b")])
    assert u.head.header("x-one") == "1"
    assert u.head.header("x-two") == "a, b"
    assert u.head.header("x-forwarded-proto") == "https"
    assert u.head.header("x-forwarded-host").split(":")[0] == way.host
    assert u.read_rest() == b""
    u.answer(b"hello", 203, [("x-answer", "yes"), ("set-cookie", "a=1"), ("set-cookie", "b=2")])
    head = x.wait_head()
    assert (head.status, head.header("x-answer")) == (203, "yes")
    assert head.all("set-cookie") == ["a=1", "b=2"]
    assert head.header("content-length") == "5"
    assert x.read_rest() == b"hello"


def test_authority(way):
    """The host that the visitor named is the one that the upstream sees."""
    _, u = way.open()
    named = u.head.header("host") or getattr(u, "authority", None)
    assert named == f"{way.host}:{way.gateway.https_port}"
    u.answer()


@pytest.mark.parametrize("status", [204, 304, 404, 500])
def test_status_without_body(way, status):
    """Responses that have no body, and errors that are the upstream's own."""
    x, u = way.open()
    u.respond(status, end=True)
    head = x.wait_head()
    assert (head.status, head.header("sallyport-error-code")) == (status, None)
    assert x.read_rest() == b""


def test_head(way):
    """HEAD: the fields of a body that does not come."""
    x, u = way.open("HEAD")
    u.respond(200, [("content-length", "12345")])
    u.end()
    assert x.wait_head().header("content-length") == "12345"
    assert x.read_rest() == b""


def test_interim_responses(way):
    """103 passes in front of the final response."""
    x, u = way.open()
    u.respond(103, [("link", "</a.css>; rel=preload")])
    u.answer(b"final")
    assert x.wait_head().status == 200
    assert [(h.status, h.header("link")) for h in x.interim] == [(103, "</a.css>; rel=preload")]
    assert x.read_rest() == b"final"


def test_large_headers(way):
    """12 KiB of fields in each direction."""
    fields = [(f"x-field-{i}", f"{i:03}" + "v" * 509) for i in range(24)]
    x, u = way.open(headers=fields)
    assert [(n, v) for n, v in u.head.headers if n.startswith("x-field-")] == fields
    u.answer(b"", headers=fields)
    assert [(n, v) for n, v in x.wait_head().headers if n.startswith("x-field-")] == fields
    x.read_rest()


@pytest.mark.parametrize("framing", ["length", "unknown"])
def test_large_bodies_both_ways_at_once(way, framing):
    """24 MiB up and other 24 MiB down at the same time, exact on both ends. The response ends last,
    since its end is that of the exchange."""
    def length(size):
        return [("content-length", str(size))] if framing == "length" else []

    x, u = way.open("POST", "/big", length(BIG), end=False)
    u.respond(200, length(BIG + len(LAST)))
    assert x.wait_head().status == 200
    with ThreadPoolExecutor() as pool:
        up = pool.submit(receive, u)
        down = pool.submit(receive, x)
        sent = pool.submit(send_all, u, 1)
        send_all(x)
        x.end()
        assert up.result(60) == digest(BIG)
        sent.result(60)
        u.send(LAST)
        u.end()
        assert down.result(60) == hashlib.sha256(content(BIG, 1) + LAST).hexdigest()


def send_all(end, seed=0):
    for piece in pieces(BIG, seed):
        end.send(piece)


def receive(end):
    """The SHA-256 of what arrives."""
    h = hashlib.sha256()
    end.read_rest(60, h.update)
    return h.hexdigest()


def test_trailers_both_ways(way):
    """Trailers of the request and of the response, each behind its body."""
    x, u = way.open("POST", "/trailers", [TE, ("trailer", "x-sum")], end=False)
    x.send(b"question")
    x.end([("x-sum", "up 1")])
    assert u.read_rest() == b"question"
    assert u.trailers == [("x-sum", "up 1")]
    u.respond(200, [("trailer", "x-sum, x-more")])
    u.send(b"answer")
    u.end([("x-sum", "down 2"), ("x-more", "3")])
    x.wait_head()
    assert x.read_rest() == b"answer"
    assert x.trailers == [("x-sum", "down 2"), ("x-more", "3")]


def test_trailers_without_a_body(way):
    """An empty response body with trailers, as gRPC has for errors."""
    x, u = way.open("POST", headers=[TE], end=False)
    x.end()
    assert u.read_rest() == b""
    u.respond(200)
    u.end([("grpc-status", "5")])
    x.wait_head()
    assert (x.read_rest(), x.trailers) == (b"", [("grpc-status", "5")])


# ---- streams ----


def test_server_sent_events(way):
    """Each event arrives before the next one is made."""
    x, u = way.open(headers=[("accept", "text/event-stream")])
    u.respond(200, [("content-type", "text/event-stream"), ("cache-control", "no-cache")])
    assert x.wait_head().header("content-type") == "text/event-stream"
    for i in range(50):
        event = f"id: {i}\ndata: tick {i}\n\n".encode()
        u.send(event)
        assert x.read_until(b"\n\n") == event
    u.end()
    assert x.read_rest() == b""


def test_request_body_is_flushed(way):
    """Each piece of a request body reaches the upstream before the next one is sent, and answers
    to it come back meanwhile."""
    x, u = way.open("POST", end=False)
    u.respond(200)
    assert x.wait_head().status == 200
    for i in range(20):
        x.send(b"ping %02d" % i)
        assert u.read(7) == b"ping %02d" % i
        u.send(b"pong %02d" % i)
        assert x.read(7) == b"pong %02d" % i
    x.end()
    assert u.read_rest() == b""
    u.end()
    assert x.read_rest() == b""


def test_early_response(way):
    """A whole response before the request body has ended arrives whole, and the visitor may stop."""
    x, u = way.open("POST", "/upload", [("content-length", str(BIG))], end=False)
    x.send(b"a" * 1000)
    assert u.read(1000) == b"a" * 1000
    u.answer(b"too large", 413)
    assert x.wait_head().status == 413
    assert x.read_rest() == b"too large"
    way.assert_serves(way.visit())


def test_early_response_while_sending(way):
    """The same while the visitor goes on sending without looking."""
    x, u = way.open("POST", "/upload", end=False)
    x.send(b"a" * 1000)
    u.read(1000)
    u.answer(b"too large", 413)

    with ThreadPoolExecutor() as pool:
        sending = pool.submit(send_all, x)
        assert x.wait_head().status == 413
        assert x.read_rest() == b"too large"
        x.reset()
        assert isinstance(sending.exception(30), (OSError, Broken, NoneType))
    way.assert_serves(way.visit())


# ---- WebSocket ----


def test_websocket(way):
    """After the handshake bytes pass both ways as they are, and either side may end first."""
    for first in (0, 1):
        ends = way.tunnel(headers=[("sec-websocket-protocol", "chat"), ("origin", "https://a.b")])
        x, u = ends
        assert u.head.header("sec-websocket-protocol") == "chat"
        assert u.head.header("origin") == "https://a.b"
        for i in range(20):
            x.send(b"\x82\x05to %02d" % i)
            assert u.read(7) == b"\x82\x05to %02d" % i
            u.send(b"\x00\xff\r\nfrom %02d" % i)
            assert x.read(11) == b"\x00\xff\r\nfrom %02d" % i
        ends[first].end()
        assert ends[1 - first].read_rest() == b""
        ends[1 - first].send(b"last words")
        ends[1 - first].end()
        assert ends[first].read_rest() == b"last words"


def test_websocket_refused(way):
    """An upstream that does not want to: its answer reaches the visitor."""
    x = way.visit().websocket("/chat")
    u = way.upstream.accept()
    assert u.wants_websocket
    u.answer(b"no", 403)
    assert (x.wait_head().status, x.read_rest()) == (403, b"no")


# ---- ends in the middle ----


def head_sent(way, visitor):
    """The head of a POST is there, its body has not begun."""
    return way.open("POST", end=False, visitor=visitor)


def in_request_body(way, visitor):
    x, u = way.open("POST", end=False, visitor=visitor)
    x.send(b"a" * 5000)
    u.read(5000)
    return x, u


def awaiting_response(way, visitor):
    x, u = way.open("POST", end=False, visitor=visitor)
    x.send(b"question")
    x.end()
    u.read_rest()
    return x, u


def in_response_body(way, visitor):
    x, u = way.open(visitor=visitor)
    u.respond(200)
    u.send(b"b" * 5000)
    x.wait_head()
    x.read(5000)
    return x, u


def in_both_bodies(way, visitor):
    x, u = way.open("POST", end=False, visitor=visitor)
    u.respond(200)
    x.wait_head()
    x.send(b"a" * 5000)
    u.send(b"b" * 5000)
    u.read(5000)
    x.read(5000)
    return x, u


def in_a_tunnel(way, visitor):
    x, u = way.tunnel(visitor=visitor)
    x.send(b"to")
    u.read(2)
    u.send(b"from")
    x.read(4)
    return x, u


STATES = [head_sent, in_request_body, awaiting_response, in_response_body, in_both_bodies,
          in_a_tunnel]


def learns(end, state, side):
    """The exchange's end at `side` is told that the other end has gone."""
    if state is in_a_tunnel:
        end.wait_gone()
    elif side == "upstream":
        end.wait_broken()
    else:
        end.wait_failed()


@pytest.mark.parametrize("state", STATES, ids=lambda s: s.__name__)
@pytest.mark.parametrize("how", ["reset", "cut"])
def test_visitor_breaks_off(way, state, how):
    """A stream that is reset, or a connection: the upstream learns of it and all is cleaned up."""
    x, u = state(way, way.visit())
    getattr(x, how)()
    learns(u, state, "upstream")
    way.assert_serves()


@pytest.mark.parametrize("state", STATES, ids=lambda s: s.__name__)
@pytest.mark.parametrize("how", ["reset", "cut"])
def test_upstream_breaks_off(way, state, how):
    """The same from the other end: the visitor gets an error while it can be said, else a break."""
    x, u = state(way, way.visit())
    getattr(u, how)()
    learns(x, state, "visitor")
    way.assert_serves()


@pytest.mark.parametrize("state", STATES, ids=lambda s: s.__name__)
@pytest.mark.parametrize("who", ["visitor", "upstream"])
def test_neighbours_do_not_notice(way, state, who):
    """Of two exchanges one is reset; the other goes on, on the same connection if HTTP/2 has one."""
    together = way.down == "h2"
    visitor = way.visit()
    x, u = in_both_bodies(way, visitor)
    near, far = state(way, visitor if together else way.visit())
    if who == "visitor":
        near.reset()
        learns(far, state, "upstream")
    else:
        far.reset()
        learns(near, state, "visitor")
    x.send(b"more")
    assert u.read(4) == b"more"
    u.send(b"and more")
    assert x.read(8) == b"and more"
    x.end()
    assert u.read_rest() == b""
    u.end([("x-sum", "1")])
    assert (x.read_rest(), x.trailers) == (b"", [("x-sum", "1")])


def test_agent_goes_in_the_middle(way):
    """The SSH session is gone: every exchange through it fails, on both sides."""
    visitor = way.visit()
    ends = [in_response_body(way, visitor)]
    if way.down == "h2":
        ends.append(in_request_body(way, visitor))
    way.stage.tunnels[way.upstream.port].kill()
    for x, u in ends:
        x.wait_gone()
        u.wait_broken()
    wait_until(lambda: way.gateway.metrics()["sallyport_exchanges"] == 0, "exchanges end")


# ---- many at once ----


def test_many_exchanges_of_one_connection(way):
    """Thirty exchanges, answered in reverse; an HTTP/2 visitor has them all on one connection."""
    shared = way.visit()
    visitors = [shared if way.down == "h2" else way.visit() for _ in range(30)]
    ends = [way.open(target=f"/{i}", visitor=visitor) for i, visitor in enumerate(visitors)]
    for i, (_, u) in reversed(list(enumerate(ends))):
        u.answer(f"answer {i}".encode())
    for i, (x, _) in enumerate(ends):
        assert (x.wait_head().status, x.read_rest()) == (200, f"answer {i}".encode())
    if way.up in ("h2c", "https-h2") and way.down == "h2":
        assert len(way.upstream.connections) == 1


def test_exchanges_in_turn_share_a_connection(way):
    """One connection on either side carries what comes in turn."""
    visitor = way.visit()
    for _ in range(10):
        way.assert_serves(visitor)
    assert len(way.upstream.connections) == 1


def test_slow_exchange_holds_nobody_up(way):
    """An exchange that nobody reads fills its own windows only."""
    visitor = way.visit()
    x, u = way.open(visitor=visitor)
    u.respond(200)
    with ThreadPoolExecutor() as pool:
        sending = pool.submit(send_all, u)
        x.wait_head()
        for _ in range(5):
            way.assert_serves(visitor if way.down == "h2" else way.visit())
        received = pool.submit(receive, x)
        sending.result(60)
        u.end()
        assert received.result(60) == digest(BIG)
