"""forward-internal that fails: fallbacks, what cannot go elsewhere, chains and circles."""

import pytest

from lib.content import digest
from lib.internal import Inside, add, echo_of, entrance, forward, mark, refused
from lib.load import Load
from lib.policy import Guarded, event_of, merge, on_request
from lib.ports import free_port

SETTINGS = {"workers": 3, "limits": {"hold_ms": 1000}}
MIB = 1024 * 1024


@pytest.fixture
def inside(scene):
    return lambda name, *args, **kw: Inside(scene, name, *args, **kw)


@pytest.fixture
def front(scene):
    return lambda *parts, **kw: entrance(scene, *parts, **kw)


# ---- when it fails ----


FALLBACKS = """
    on_http_request:
      - actions:
          - {type: forward-internal, config: {url: "https://missing.internal", on_error: continue}}
          - {type: forward-internal, config: {url: "https://closed.internal", on_error: continue}}
          - {type: forward-internal, config: {url: "https://backup.internal", on_error: continue}}
          - type: custom-response
            config:
              status_code: 503
              body: "${actions.ngrok.forward_internal.url}
                ${actions.ngrok.forward_internal.error.code}"
    """


def test_fallback_list(scene, front, inside):
    """No such endpoint, an upstream that refuses, one that serves; then none does."""
    g = Guarded(scene, FALLBACKS)
    inside("closed", upstream=free_port())
    response = g.request("/hello")
    assert (response.status, response.text) == (503, "https://backup.internal:443 ERR_NGROK_3200")
    backup = inside("backup")
    assert g.request("/hello").text == "hello from backup\n"
    backup.app.close()
    backup.stop()
    assert g.request("/hello").text == "https://backup.internal:443 ERR_NGROK_3200"


@pytest.mark.parametrize("method, target, body",
                         [("GET", "/hello", None), ("POST", "/mirror", b"body" * 500)])
def test_killed_member_of_an_internal_pool(scene, front, inside, method, target, body):
    """kill -9 of one ssh under load: what it had goes to the other member if that may be repeated."""
    members = [inside("pooled", upstream=scene.app(name=key), flags="--pooling-enabled", key=key)
               for key in ("alice", "alice2")]
    g = front(forward("pooled"))
    with Load(scene, g.host, method=method, body=body, target=target) as load:
        load.wait_more(200)
        assert all(member.app.seen for member in members)
        members[0].tunnel.kill()
        load.wait_more(300)
    # An answer that had begun may be cut; of POSTs those in flight on the dead member fail.
    assert len(load.failed) <= len(load.threads), load.failed
    assert {status for status, _ in load.failed} <= ({None} if method == "GET" else {None, 502})


def test_own_upstream_is_the_last_resort(front, inside):
    inside("closed", upstream=free_port())
    g = front(forward("missing", on_error="continue"), forward("closed", on_error="continue"))
    assert g.request("/hello").text == "hello from app\n"


def test_failed_forward_ends_with_its_error(front, inside):
    inside("closed", upstream=free_port())
    refused(front(forward("closed")).request("/hello"), 502, 8012)
    refused(front(forward("missing")).request("/hello"), 404, 3200)


def test_failed_endpoint_leaves_no_trace_in_the_request(front, inside):
    """Its policy changed headers, host, path and body before its upstream refused."""
    inside("closed", merge(
        on_request(("add-headers", {"headers": {"x-closed": "1", "host": "closed.example"}}),
                   ("remove-headers", {"headers": ["x-keep"]}),
                   ("url-rewrite", {"from": "/echo", "to": "/gone"}),
                   ("request-body-find-replace",
                    {"replacements": [{"from": "body", "to": "XX"}]}))),
        upstream=free_port())
    inside("backup")
    g = front(add("on_http_request", x_front="1"), forward("closed", on_error="continue"),
              forward("backup"))
    response = g.request("/echo", [("X-Keep", "1")], "POST", b"the body")
    seen = echo_of(response)
    assert seen.target == "/echo" and seen.header("host").startswith(g.host)
    assert (seen.header("x-closed"), seen.header("x-keep")) == (None, "1")
    assert (seen.header("x-front"), seen.length) == ("1", 8)
    assert seen.all("x-forwarded-for") == ["127.0.0.1"]


@pytest.mark.parametrize("chunked", [False, True])
def test_body_goes_to_the_endpoint_that_takes_it(front, inside, chunked):
    """Nothing of it is taken before the upstream is reached, so a refusal costs none of it."""
    inside("closed", upstream=free_port())
    inside("backup")
    g = front(forward("closed", on_error="continue"), forward("backup"))
    with g.conn(seconds=60) as conn:
        response = conn.upload("/upload", 5 * MIB, chunked=chunked)
    assert response.text == f"{5 * MIB} {digest(5 * MIB)}"


def test_request_whose_body_was_sent_does_not_go_elsewhere(scene, front, inside):
    up = scene.scripted()
    backup = inside("backup")
    inside("breaks", upstream=up)
    g = front(forward("breaks", on_error="continue"), forward("backup"))
    with g.conn() as conn:
        conn.send(conn.request_bytes("POST", "/hello", [("Content-Length", "1000000")], b"x" * 50))
        upstream = up.accept()
        upstream.read_head()
        upstream.read_exactly(50)
        upstream.close()
        refused(conn.read_response("POST"), 502, 3004)
    assert not backup.app.seen


def test_upstream_that_breaks_before_its_answer(scene, front, inside):
    """A request that is safe to repeat goes elsewhere; others may have been acted upon."""
    up = scene.scripted()
    backup = inside("backup")
    inside("breaks", upstream=up)
    g = front(forward("breaks", on_error="continue"), forward("backup"))
    for method, status in (("GET", 200), ("POST", 502)):
        with g.conn() as conn:
            conn.send(conn.request_bytes(method, "/hello"))
            upstream = up.accept()
            upstream.read_head()
            upstream.close()
            assert conn.read_response(method).status == status
    assert len(backup.app.seen) == 1


def test_upstream_that_never_answers(scene, front, inside):
    """The backup answers by its policy, which no time limits."""
    scene.start_gateway({"workers": 3, "limits": {"response_head_timeout_ms": 1000}})
    up = scene.scripted()
    inside("slow", upstream=up)
    inside("backup", on_request(("custom-response", {"body": "from backup"})))
    g = front(forward("slow", on_error="continue"), forward("backup"))
    assert g.request("/hello").text == "from backup"
    refused(front(forward("slow")).request("/hello"), 504, 3005)


def test_endpoint_that_goes_away_in_the_middle(scene, front, inside):
    """Before the answer: an error; behind its head: the response is cut; afterwards: offline."""
    up = scene.scripted()
    target = inside("api", upstream=up)
    g = front(forward("api"))
    with g.conn() as waiting, g.conn() as reading:
        reading.send(reading.request_bytes("GET", "/reading"))
        upstream = up.accept()
        upstream.read_head()
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        reading.read_until(b"half")
        waiting.send(waiting.request_bytes("POST", "/waiting"))
        up.accept().read_head()
        mark_ = scene.gateway.mark()
        target.tunnel.stop()
        assert waiting.read_response("POST").status == 502
        assert reading.read_all() == b""
    scene.gateway.wait_down(target.url, mark_)
    refused(g.request("/hello"), 404, 3200)
    inside("api")
    assert g.request("/hello").status == 200


# ---- chains ----


def chain(inside, count, last=None, on_error="halt"):
    """hop1 forwards to hop2 and so on; hopN has an app, or forwards to `last`."""
    for i in range(1, count + 1):
        to = f"hop{i + 1}" if i < count else last
        document = merge(mark(f"hop{i}"), *([forward(to, on_error=on_error)] if to else []))
        inside(f"hop{i}", document)


def test_chain_of_eight(front, inside):
    chain(inside, 8)
    response = front(mark("public"), forward("hop1")).request("/echo")
    names = ["public", *(f"hop{i}" for i in range(1, 9))]
    assert echo_of(response).all("x-way") == names
    assert response.all("x-way") == names[::-1]


def test_chain_of_nine(front, inside):
    """The ninth is refused; the eighth answers that, and those in front see an answer."""
    chain(inside, 9)
    response = front(mark("public"), forward("hop1", on_error="continue")).request("/echo")
    refused(response, 508, 3501)
    assert response.all("x-way") == [*(f"hop{i}" for i in range(7, 0, -1)), "public"]


def test_loop_of_two(front, inside):
    a = inside("a", forward("b"))
    b = inside("b", forward("a"))
    refused(front(forward("a")).request("/hello"), 508, 3501)
    assert not a.app.seen and not b.app.seen


def test_loop_that_goes_on_ends_at_an_upstream(front, inside):
    """on_error continue: the ninth forward fails, and the eighth endpoint's upstream answers."""
    inside("a", forward("b", on_error="continue"))
    inside("b", forward("a", on_error="continue"))
    assert front(forward("a")).request("/hello").text == "hello from b\n"


def test_fallbacks_of_fallbacks_are_bounded(scene, front, inside):
    """Two forwards at each of eight hops that all fail would be hundreds of dials."""
    both = merge(forward("a", on_error="continue"), forward("a", on_error="continue"))
    inside("a", both, upstream=free_port())
    g = front(forward("a"))
    before = scene.gateway.metrics()["sallyport_requests_total"]
    refused(g.request("/hello"), 502, 8012)
    event_of(g, "/hello")  # it is counted
    assert scene.gateway.metrics()["sallyport_requests_total"] == before + 1
