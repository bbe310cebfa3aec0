"""Things that die, freeze, stall or come in crowds; and what may not be harmed by them."""

import hashlib
import signal
import socket
import statistics
import threading
import time

import pytest

from lib.content import digest
from lib.ports import free_port
from lib.raw import Conn
from lib.wait import stays, wait_until

MIB = 1024 * 1024
OFFLINE = "ERR_SALLYPORT_3200"


def busy(scene, up, tunnel, target="/"):
    """A response that is under way: head and some bytes have arrived."""
    visitor = scene.https(tunnel)
    visitor.send(visitor.request_bytes("GET", target))
    conn = up.accept()
    conn.read_request()
    conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nstart")
    visitor.read_until(b"start")
    return visitor, conn


# ---- deaths ----


def test_kill_9_of_the_client(scene):
    """Endpoint gone, visitors told, nothing left (the counters are checked after every test)."""
    up = scene.scripted()
    tunnel = scene.tunnel(up, name="dead")
    visitor, conn = busy(scene, up, tunnel)
    waiting = scene.https(tunnel)
    waiting.send(waiting.request_bytes("GET", "/waiting"))
    up.accept().read_request()
    tunnel.kill()
    assert waiting.read_response().error_code == "ERR_SALLYPORT_3210"
    visitor.read_all()
    conn.wait_eof()
    wait_until(lambda: scene.get("dead.example.test").error_code == OFFLINE, "endpoint offline")
    waiting.close()
    scene.gateway.wait_idle()


def test_kill_9_of_the_client_in_an_upload(scene):
    """The same while a body streams up."""
    up = scene.scripted()
    tunnel = scene.tunnel(up)
    visitor = scene.https(tunnel)
    visitor.send(visitor.request_bytes("POST", "/", [("Content-Length", str(100 * MIB))]))
    visitor.send(b"x" * 100000)
    up.accept().read_head()
    tunnel.kill()
    data = visitor.read_all()
    assert data == b"" or data.startswith(b"HTTP/1.1 502 ")


def test_death_of_the_upstream(scene):
    """The upstream dies with everything under way; the tunnel goes on when it is back."""
    up = scene.scripted(port=free_port())
    tunnel = scene.tunnel(up)
    visitor, _ = busy(scene, up, tunnel)
    up.close()
    visitor.read_all()
    assert scene.get(tunnel).error_code == "ERR_SALLYPORT_8012"
    scene.app(port=up.port)
    assert scene.get(tunnel).status == 200


def test_reset_of_the_visitor_in_a_crowd(scene):
    """Fifty visitors reset in mid-body: no stream left, the tunnel goes on."""
    tunnel = scene.tunnel(scene.app())
    for _ in range(50):
        visitor = scene.https(tunnel)
        visitor.send(visitor.request_bytes("GET", f"/bytes/{8 * MIB}"))
        visitor.read_exactly(100)
        visitor.reset()
    scene.gateway.wait_gauge("sallyport_exchanges", 0)
    assert scene.get(tunnel).status == 200


def test_refused_targets_in_a_crowd(scene):
    """Two hundred requests to an upstream that refuses: each 8012, the client loses no descriptor."""
    tunnel = scene.tunnel(free_port())
    visitors = [scene.https(tunnel) for _ in range(40)]
    for _ in range(5):
        for visitor in visitors:
            visitor.send(visitor.request_bytes("GET", "/"))
        for visitor in visitors:
            assert visitor.read_response().error_code == "ERR_SALLYPORT_8012"
    assert tunnel.running


def test_session_end_in_a_crowd(scene):
    """A client with fifty requests under way is killed: all are answered or broken off."""
    up = scene.scripted()
    tunnel = scene.tunnel(up)
    visitors = []
    for _ in range(50):
        visitor = scene.https(tunnel)
        visitor.send(visitor.request_bytes("GET", "/"))
        visitors.append(visitor)
    for _ in visitors:
        up.accept().read_request()
    tunnel.kill()
    assert {v.read_response().error_code for v in visitors} == {"ERR_SALLYPORT_3210"}


# ---- freezes and stalls ----


def latencies(scene, tunnel, count=100):
    """Milliseconds of `count` small requests on one connection."""
    visitor = scene.https(tunnel)
    visitor.get("/hello")
    times = []
    for _ in range(count):
        start = time.monotonic()
        assert visitor.get("/hello").status == 200
        times.append((time.monotonic() - start) * 1000)
    visitor.close()
    return times


def assert_fast(scene, tunnel):
    """Requests of another tunnel are answered as if nothing was wrong."""
    times = latencies(scene, tunnel)
    assert statistics.median(times) < 50, times
    assert max(times) < 2000, times


def test_stalled_visitor_slows_nobody(scene):
    """A visitor that stops reading a large answer: other tunnels and other visitors do not feel
    it."""
    app = scene.app()
    bad, good = scene.tunnel(app), scene.tunnel(scene.app(), key="bob")
    stalled = [scene.https(bad, receive_buffer=4096) for _ in range(3)]
    for visitor in stalled:
        visitor.send(visitor.request_bytes("GET", f"/bytes/{64 * MIB}"))
    for visitor in stalled:
        visitor.read_exactly(100)
    assert_fast(scene, good)
    assert_fast(scene, bad)


def test_stalled_upstream_slows_nobody(scene):
    """An upstream that stops reading an upload: the same."""
    up = scene.scripted()
    bad, good = scene.tunnel(up), scene.tunnel(scene.app(), key="bob")
    visitor = scene.https(bad, seconds=2)
    visitor.send(visitor.request_bytes("POST", "/", [("Content-Length", str(64 * MIB))]))
    with pytest.raises(TimeoutError):
        for _ in range(64):
            visitor.send(b"x" * MIB)
    assert_fast(scene, good)


def test_stopped_client_slows_nobody(scene):
    """SIGSTOP of a client in the middle of bulk: others answer at once; it resumes intact."""
    bad, good = scene.tunnel(scene.app()), scene.tunnel(scene.app(), key="bob")
    visitor = scene.https(bad, seconds=60)
    size = 64 * MIB
    visitor.send(visitor.request_bytes("GET", f"/bytes/{size}"))
    visitor.read_until(b"\r\n\r\n")
    bad.signal(signal.SIGSTOP)
    assert_fast(scene, good)
    bad.signal(signal.SIGCONT)
    h = hashlib.sha256()
    visitor.read_counted(size, h.update, 60)
    assert h.hexdigest() == digest(size)


def test_stopped_client_in_an_upload(scene):
    """The same while bulk goes to the client."""
    bad, good = scene.tunnel(scene.app()), scene.tunnel(scene.app(), key="bob")
    visitor = scene.https(bad, seconds=60)
    size = 32 * MIB
    results = []
    thread = threading.Thread(target=lambda: results.append(
        visitor.upload("/upload", size).text), daemon=True)
    thread.start()
    wait_until(lambda: scene.gateway.metrics()["sallyport_exchanges"] == 1, "the upload runs")
    bad.signal(signal.SIGSTOP)
    assert_fast(scene, good)
    bad.signal(signal.SIGCONT)
    thread.join(60)
    assert results == [f"{size} {digest(size)}"]


# ---- timeouts ----


def test_slow_loris(scene):
    """request_head_timeout_ms counts from the first byte to the end of the head: 408 or close."""
    scene.start_gateway({"limits": {"request_head_timeout_ms": 700}})
    up = scene.scripted()
    visitor = scene.http(scene.plain(up))
    visitor.send(b"GET / HTTP/1.1\r\n")
    start = time.monotonic()
    try:
        while time.monotonic() - start < 10:
            visitor.send(b"X: y\r\n")
            visitor.sock.settimeout(0.1)
            try:
                data = visitor.sock.recv(65536)
                break
            except TimeoutError:
                continue
        else:
            pytest.fail("a dribbled head is never ended")
    except OSError:
        data = b""
    assert data == b"" or data.startswith(b"HTTP/1.1 408 ")
    up.assert_untouched()


def test_silent_visitor(scene):
    """A connection that never sends a byte, and a kept-alive one, end after keepalive_timeout_ms."""
    scene.start_gateway({"limits": {"keepalive_timeout_ms": 600, "request_head_timeout_ms": 600}})
    tunnel = scene.tunnel(scene.app())
    silent, used = scene.https(tunnel), scene.https(tunnel)
    plain = scene.http(tunnel)
    assert used.get("/hello").status == 200
    for conn in (silent, used, plain):
        data = conn.read_all()
        assert data == b"" or data.startswith(b"HTTP/1.1 408 ")


def test_client_hello_timeout(scene):
    """client_hello_timeout_ms: a visitor that connects and says nothing, or not enough, is closed."""
    gateway = scene.start_gateway({"limits": {"client_hello_timeout_ms": 500}})
    for first in (b"", b"\x16\x03\x01\x02\x00\x01"):
        with Conn(gateway.https_port, "x.example.test") as conn:
            conn.send(first)
            conn.read_all()


def test_body_stall_of_the_visitor(scene):
    """stall_timeout_ms: a request body that stands still ends the exchange."""
    scene.start_gateway({"limits": {"stall_timeout_ms": 600}})
    up = scene.scripted()
    visitor = scene.https(scene.tunnel(up))
    visitor.send(visitor.request_bytes("POST", "/", [("Content-Length", "100")]) + b"x")
    conn = up.accept()
    conn.read_head()
    data = visitor.read_all()
    assert data == b"" or data[:12] in (b"HTTP/1.1 408", b"HTTP/1.1 504"), data
    conn.wait_eof()


def test_body_stall_of_the_upstream(scene):
    """The same for a response body."""
    scene.start_gateway({"limits": {"stall_timeout_ms": 600}})
    up = scene.scripted()
    visitor, conn = busy(scene, up, scene.tunnel(up))
    assert visitor.read_all() == b""
    conn.wait_eof()


def test_slow_but_moving_body_lives(scene):
    """A body that moves a little now and then is not stalled."""
    scene.start_gateway({"limits": {"stall_timeout_ms": 1000}})
    up = scene.scripted()
    visitor, conn = busy(scene, up, scene.tunnel(up))
    for i in range(12):
        stays(lambda: not visitor.eof, "still open", 0.25)
        conn.send(b"%02d" % i)
        visitor.read_until(b"%02d" % i)


def test_stalled_reader_is_dropped(scene):
    """A visitor that stops reading for stall_timeout_ms is dropped; the upstream is freed."""
    scene.start_gateway({"limits": {"stall_timeout_ms": 600}})
    tunnel = scene.tunnel(scene.app())
    visitor = scene.https(tunnel, receive_buffer=4096)
    visitor.send(visitor.request_bytes("GET", f"/bytes/{64 * MIB}"))
    scene.gateway.wait_gauge("sallyport_exchanges", 1)
    scene.gateway.wait_gauge("sallyport_exchanges", 0)


# ---- crowds ----


def test_300_requests_at_once_through_one_tunnel(scene):
    """Each gets its own answer."""
    crowd(scene, 300)


def crowd(scene, count):
    """`count` requests are at the upstream at the same time, answered in reverse order."""
    up = scene.scripted()
    tunnel = scene.tunnel(up)
    visitors = [scene.https(tunnel, seconds=60) for _ in range(count)]
    for i, visitor in enumerate(visitors):
        visitor.send(visitor.request_bytes("GET", f"/{i}"))
    conns = {}
    for _ in visitors:
        conn = up.accept(30)
        conns[conn.read_request().target] = conn
    assert len(conns) == count
    for i in reversed(range(count)):
        conns[f"/{i}"].respond(f"answer {i}".encode() * 100)
    for i, visitor in enumerate(visitors):
        assert visitor.read_response().text == f"answer {i}" * 100


def test_100_tunnels_at_once(scene):
    """Each answers with its own upstream."""
    many_tunnels(scene, 100)


def many_tunnels(scene, count, batch=20):
    """`count` ssh clients, each with an endpoint of its own."""
    app = scene.app()
    tunnels = []
    for first in range(0, count, batch):
        started = [scene.ssh(f"n{i}.example.test:443:127.0.0.1:{app.port}")
                   for i in range(first, min(count, first + batch))]
        for tunnel in started:
            tunnel.urls(seconds=60)
        tunnels += started
    assert scene.gateway.metrics()["sallyport_endpoints"] == count
    for i in range(count):
        assert scene.get(f"n{i}.example.test", "/host").text.startswith(f"n{i}.")
    return tunnels


def test_mixed_load_loses_nothing(scene):
    """Small requests, large bodies both ways and aborts at the same time, on two tunnels."""
    tunnels = [scene.tunnel(scene.app()), scene.tunnel(scene.app(), key="bob")]
    problems = []

    def worker(number):
        try:
            for i in range(6):
                with Conn(scene.gateway.https_port, tunnels[(number + i) % 2].host, tls=True,
                          seconds=60) as conn:
                    kind = (number + i) % 4
                    if kind == 0:
                        for _ in range(20):
                            assert conn.get("/hello").status == 200
                    elif kind == 1:
                        h = hashlib.sha256()
                        conn.get(f"/chunked/{2 * MIB}", sink=h.update)
                        assert h.hexdigest() == digest(2 * MIB)
                    elif kind == 2:
                        answer = conn.upload("/upload", 2 * MIB, chunked=True)
                        assert answer.text == f"{2 * MIB} {digest(2 * MIB)}"
                    else:
                        conn.send(conn.request_bytes("GET", f"/bytes/{4 * MIB}"))
                        conn.read_exactly(1000)
        except Exception as e:
            problems.append(e)

    threads = [threading.Thread(target=worker, args=(n,)) for n in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(120)
    assert not problems, problems


def test_descriptors_return(scene):
    """After a crowd has left, the gateway has as many descriptors as before."""
    gateway = scene.start_gateway()
    tunnel = scene.tunnel(scene.app())
    assert scene.get(tunnel).status == 200
    tunnel.stop()
    gateway.wait_idle()
    before = gateway.descriptors()
    for _ in range(3):
        tunnel = scene.tunnel(scene.app())
        visitors = [scene.https(tunnel) for _ in range(30)]
        for visitor in visitors:
            assert visitor.get("/hello").status == 200
        tunnel.kill()
    for close in reversed(scene.closers):
        close()
    gateway.wait_idle()
    wait_until(lambda: gateway.descriptors() <= before,
               lambda: f"{before} descriptors; {gateway.descriptors()} are open")


@pytest.mark.parametrize("workers", [1, 4])
def test_number_of_workers(scene, workers):
    """With one worker and with four, visitors land on all of them and reach the one session."""
    scene.start_gateway({"workers": workers})
    tunnel = scene.tunnel(scene.app())
    visitors = [scene.https(tunnel) for _ in range(16)]
    for _ in range(3):
        for visitor in visitors:
            assert visitor.get("/hello").body == b"hello from app\n"
    size = 4 * MIB
    assert visitors[0].upload("/upload", size).text == f"{size} {digest(size)}"
    assert len(visitors[1].get(f"/bytes/{size}").body) == size


def test_connection_limit(scene):
    """max_connections per worker: the next one is closed at once; then there is room again."""
    gateway = scene.start_gateway({"workers": 1, "limits": {"max_connections": 5}})
    conns = [scene.http("x.example.test") for _ in range(5)]
    gateway.wait_gauge("sallyport_connections", 5)
    extra = socket.create_connection(("127.0.0.1", gateway.http_port), 10)
    extra.settimeout(10)
    try:
        assert extra.recv(10) == b""
    except ConnectionResetError:
        pass
    extra.close()
    conns[0].close()
    gateway.wait_gauge("sallyport_connections", 4)
    assert scene.http("x.example.test").get("/").status == 404
