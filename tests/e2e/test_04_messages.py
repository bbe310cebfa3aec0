"""HTTP messages through the gateway: methods, framing, trailers, interim responses, connections."""

import hashlib
import json

import pytest

from lib.content import content, digest
from lib.wait import wait_until

SETTINGS = {"workers": 1}


@pytest.fixture
def up(scene):
    return scene.scripted()


@pytest.fixture
def visitor(scene, up):
    """A plain connection to an endpoint in front of `up`."""
    return scene.http(scene.plain(up))


def exchange(visitor, up, request, response):
    """Sends request bytes, answers with response bytes; returns (UpstreamRequest, Response)."""
    visitor.send(request)
    conn = up.accept()
    seen = conn.read_request()
    conn.send(response)
    return seen, visitor.read_response(seen.method)


# ---- methods and statuses ----


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND",
                                    "REPORT", "M-SEARCH", "PURGE", "BREW"])
def test_method(visitor, up, method):
    """Any method is forwarded as it is."""
    visitor.send(visitor.request_bytes(method, "/m"))
    conn = up.accept()
    assert conn.read_request().method == method
    conn.respond(b"done")
    assert visitor.read_response(method).body == b"done"


def test_head(scene):
    """HEAD: the head of GET, no body, and the connection goes on."""
    visitor = scene.https(scene.tunnel(scene.app()))
    response = visitor.request("HEAD", "/bytes/12345")
    assert response.header("content-length") == "12345"
    assert visitor.get("/hello").body == b"hello from app\n"


def test_head_answered_with_chunked(visitor, up):
    """A HEAD response that names chunked has no body either."""
    visitor.send(visitor.request_bytes("HEAD", "/"))
    conn = up.accept()
    conn.read_request()
    conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert visitor.read_response("HEAD").status == 200
    visitor.send(visitor.request_bytes("GET", "/2"))
    assert conn.read_request().target == "/2"
    conn.respond(b"two")
    assert visitor.read_response().body == b"two"


@pytest.mark.parametrize("status", [204, 304])
def test_status_without_body(scene, status):
    """204 and 304 have no body whatever; the connection goes on."""
    visitor = scene.https(scene.tunnel(scene.app()))
    response = visitor.get(f"/status/{status}")
    assert (response.status, response.body) == (status, b"")
    assert response.header("x-test") == "yes"
    assert visitor.get("/hello").status == 200


def test_not_modified_keeps_its_length(visitor, up):
    """304 may carry the content-length of the representation; nothing is waited for."""
    _, response = exchange(visitor, up, visitor.request_bytes("GET", "/"),
                           b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1234\r\nETag: \"x\"\r\n"
                           b"\r\n")
    assert response.status == 304
    assert response.header("etag") == '"x"'


@pytest.mark.parametrize("status", [200, 201, 206, 301, 400, 401, 404, 418, 429, 500, 503, 599])
def test_status_passes(visitor, up, status):
    """Statuses and reasons of the upstream are the visitor's."""
    _, response = exchange(visitor, up, visitor.request_bytes("GET", "/"),
                           f"HTTP/1.1 {status} My Reason\r\nContent-Length: 2\r\n\r\nok".encode())
    assert (response.status, response.reason) == (status, "My Reason")
    assert response.error_code is None


# ---- framing ----


def test_response_framings(scene):
    """Content-Length, chunked and read-until-close all arrive whole."""
    visitor = scene.https(scene.tunnel(scene.app()))
    for kind in ("bytes", "chunked", "until-close"):
        for size in (0, 1, 65535, 300000):
            assert visitor.get(f"/{kind}/{size}").body == content(size), (kind, size)


def test_until_close_arrives_as_it_comes(visitor, up):
    """A response whose end is the close is passed on before that end is known."""
    visitor.send(visitor.request_bytes("GET", "/"))
    conn = up.accept()
    conn.read_request()
    conn.send(b"HTTP/1.1 200 OK\r\n\r\nsome text")
    visitor.read_until(b"some text")
    conn.close()


def test_request_framings(scene):
    """Bodies with Content-Length and chunked arrive with their framing understood."""
    visitor = scene.https(scene.tunnel(scene.app()))
    for chunked in (False, True):
        for size in (0, 1, 70000, 1048576):
            answer = visitor.upload("/upload", size, chunked=chunked)
            assert answer.text == f"{size} {digest(size)}", (chunked, size)


def test_odd_chunks(visitor, up):
    """Chunk extensions are understood and not passed on; upper-case and leading zeros too."""
    visitor.send(visitor.request_bytes("POST", "/", [("Transfer-Encoding", "chunked")]) +
                 b"5;name=value\r\nhello\r\n0001;a=\"b c\"\r\n \r\n00A\r\n0123456789\r\n0\r\n\r\n")
    conn = up.accept()
    seen = conn.read_request()
    assert seen.body == b"hello 0123456789"
    assert b"name=value" not in bytes(conn.received)
    conn.respond()
    assert visitor.read_response().status == 200


def test_dribbled_request(visitor, up):
    """A request that comes byte by byte is the same request."""
    data = visitor.request_bytes("POST", "/slow", [("Transfer-Encoding", "chunked")]) + \
        b"3\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 1\r\n\r\n"
    for i in range(len(data)):
        visitor.send(data[i:i + 1])
    conn = up.accept()
    seen = conn.read_request()
    assert (seen.body, seen.trailers[0][1]) == (b"abcde", "1")
    conn.respond(b"x")
    assert visitor.read_response().body == b"x"


def test_dribbled_response(visitor, up):
    """A response that comes byte by byte is the same response."""
    visitor.send(visitor.request_bytes("GET", "/"))
    conn = up.accept()
    conn.read_request()
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n"
    for i in range(len(data)):
        conn.send(data[i:i + 1])
    response = visitor.read_response()
    assert response.body == b"abc"
    assert [v for n, v in response.trailers if n.lower() == "x-t"] == ["1"]


def test_body_on_get_and_delete(scene):
    """GET and DELETE may have a body; it is forwarded."""
    visitor = scene.https(scene.tunnel(scene.app()))
    for method in ("GET", "DELETE"):
        assert visitor.request(method, "/upload", body=b"x" * 10).text == \
            f"10 {hashlib.sha256(b'x' * 10).hexdigest()}"


def test_large_head(scene):
    """Heads up to the limit pass: 200 fields, 100 KB."""
    app = scene.app()
    visitor = scene.https(scene.tunnel(app))
    fields = [(f"X-Field-{i}", "v" * 500) for i in range(200)]
    seen = json.loads(visitor.get("/echo", fields).body)["headers"]
    assert sum(n.lower().startswith("x-field-") for n, _ in seen) == 200


# ---- trailers ----


def test_response_trailers(visitor, up):
    """Trailers of the upstream reach the visitor; framing and error codes among them do not."""
    _, response = exchange(
        visitor, up, visitor.request_bytes("GET", "/", [("TE", "trailers")]),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\n"
        b"X-Sum: 42\r\nContent-Length: 9\r\nSallyport-Error-Code: ERR_SALLYPORT_1\r\n"
        b"Ngrok-Error-Code: ERR_NGROK_1\r\n\r\n")
    assert [(n.lower(), v) for n, v in response.trailers] == [("x-sum", "42")]


def test_request_trailers(visitor, up):
    """Trailers of the visitor reach the upstream; routing and framing fields among them do not."""
    visitor.send(visitor.request_bytes("POST", "/", [("Transfer-Encoding", "chunked")]) +
                 b"3\r\nabc\r\n0\r\nX-Sum: 42\r\nHost: evil.example\r\nTransfer-Encoding: x\r\n"
                 b"Authorization: Basic x\r\n\r\n")
    conn = up.accept()
    seen = conn.read_request()
    assert [(n.lower(), v) for n, v in seen.trailers] == [("x-sum", "42")]
    conn.respond()
    assert visitor.read_response().status == 200


# ---- interim responses and Expect ----


def test_early_hints_pass(visitor, up):
    """103 comes at once, before the final response; 102 too."""
    visitor.send(visitor.request_bytes("GET", "/"))
    conn = up.accept()
    conn.read_request()
    conn.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n")
    hint = visitor.read_head()
    assert (hint.status, hint.header("link")) == (103, "</a.css>; rel=preload")
    conn.send(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    response = visitor.read_response()
    assert [r.status for r in response.interim] in ([102], [])
    assert response.body == b"ok"


def test_expect_continue(scene):
    """Expect: 100-continue: one 100, then the body is sent, then the final answer."""
    visitor = scene.https(scene.tunnel(scene.app()))
    visitor.send(visitor.request_bytes("POST", "/upload", [("Expect", "100-continue"),
                                                           ("Content-Length", "5")]))
    assert visitor.read_head().status == 100
    visitor.send(b"hello")
    response = visitor.read_response("POST")
    assert response.interim == []
    assert response.text.startswith("5 ")


def test_expect_without_waiting(scene):
    """A client that sends the body at once gets the same answer."""
    visitor = scene.https(scene.tunnel(scene.app()))
    response = visitor.request("POST", "/upload", [("Expect", "100-continue")], b"hello")
    assert response.text.startswith("5 ")
    assert visitor.get("/hello").status == 200


def test_expect_is_not_answered_when_the_request_is_refused(scene):
    """A request that will be refused gets its refusal instead of 100."""
    visitor = scene.https(scene.tunnel(scene.app(), flags="--basic-auth u:password1"))
    visitor.send(visitor.request_bytes("POST", "/upload", [("Expect", "100-continue"),
                                                           ("Content-Length", "5")]))
    assert visitor.read_head().status == 401


def test_curl_upload_with_expect(scene, tmp_path):
    """curl's own Expect handling, 2 MiB."""
    (tmp_path / "big").write_bytes(content(2 << 20))
    tunnel = scene.tunnel(scene.app())
    status, body, err = scene.curl(tunnel.url + "/upload", "-k", "-T", tmp_path / "big", "-H",
                                   "Expect: 100-continue")
    assert body.decode() == f"{2 << 20} {digest(2 << 20)}", err


# ---- early responses ----


def test_response_while_the_request_is_sent(visitor, up):
    """The upstream answers before the body ends: the visitor gets the answer at once."""
    visitor.send(visitor.request_bytes("POST", "/", [("Content-Length", "1000")]) + b"x" * 10)
    conn = up.accept()
    conn.read_head()
    conn.respond(b"too much", "413 Content Too Large")
    response = visitor.read_response("POST")
    assert (response.status, response.body) == (413, b"too much")


def test_early_response_and_close(visitor, up):
    """The upstream answers and closes while a large body is under way: its answer arrives."""
    visitor.send(visitor.request_bytes("POST", "/", [("Content-Length", "100000000")]))
    visitor.send(b"x" * 200000)
    conn = up.accept()
    conn.read_head()
    conn.respond(b"no", "403 Forbidden", ["Connection: close"])
    conn.close()
    assert visitor.read_response("POST").status == 403


def test_body_goes_on_after_an_early_response(visitor, up):
    """An upstream that answers early and still reads gets the whole body."""
    visitor.send(visitor.request_bytes("POST", "/", [("Content-Length", "20")]) + b"0123456789")
    conn = up.accept()
    conn.read_head()
    conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nearly\r\n")
    visitor.read_until(b"early")
    visitor.send(b"abcdefghij")
    assert conn.read_exactly(20) == b"0123456789abcdefghij"
    conn.send(b"4\r\nlate\r\n0\r\n\r\n")
    visitor.read_until(b"late")


# ---- connections ----


def test_pipelined_requests(scene):
    """Twenty requests in one write are answered in order."""
    visitor = scene.https(scene.tunnel(scene.app()))
    visitor.send(b"".join(visitor.request_bytes("GET", f"/bytes/{i}") for i in range(20)))
    for i in range(20):
        assert visitor.read_response().body == content(i)


def test_pipelined_behind_a_body(visitor, up):
    """What stands behind a body in the same packet is the next request."""
    visitor.send(visitor.request_bytes("POST", "/1", body=b"abc") +
                 visitor.request_bytes("POST", "/2", [("Transfer-Encoding", "chunked")]) +
                 b"3\r\ndef\r\n0\r\n\r\n" + visitor.request_bytes("GET", "/3"))
    seen = []
    conn = up.accept()
    for _ in range(3):
        request = conn.read_request()
        seen.append((request.target, request.body))
        conn.respond(request.target.encode())
    assert seen == [("/1", b"abc"), ("/2", b"def"), ("/3", b"")]
    assert [visitor.read_response().text for _ in range(3)] == ["/1", "/2", "/3"]


def test_empty_lines_before_a_request(scene):
    """CRLFs before a request line are skipped (RFC 9112 2.2)."""
    visitor = scene.http(scene.plain(scene.app()))
    visitor.send(b"\r\n" + visitor.request_bytes("GET", "/hello"))
    assert visitor.read_response().status == 200
    visitor.send(b"\r\n" + visitor.request_bytes("GET", "/hello"))
    assert visitor.read_response().status == 200


def test_upstream_connection_is_reused(scene):
    """Requests of one visitor, and of the next one, go over the same idle upstream connection."""
    tunnel = scene.tunnel(scene.app())
    seen = []
    for _ in range(3):
        with scene.https(tunnel) as visitor:
            for _ in range(3):
                seen.append(json.loads(visitor.get("/echo").body)["connection"])
    assert seen == [1] * 9
    assert scene.gateway.metrics()["sallyport_streams_reused_total"] >= 8


def test_idle_upstream_connections_are_limited(scene):
    """upstream_idle_max and upstream_idle_ms bound what is kept."""
    up = scene.scripted()
    scene.start_gateway({"workers": 1, "limits": {"upstream_idle_max": 2, "upstream_idle_ms": 700}})
    tunnel = scene.tunnel(up)
    visitors = []
    for _ in range(4):
        visitor = scene.https(tunnel)
        visitor.send(visitor.request_bytes("GET", "/"))
        visitors.append((visitor, up.accept()))
    for visitor, conn in visitors:
        conn.read_request()
        conn.respond()
        assert visitor.read_response().status == 200
    wait_until(lambda: scene.gateway.metrics()["sallyport_streams"] <= 2, "two idle streams")
    scene.gateway.wait_gauge("sallyport_streams", 0)


def test_visitor_asks_for_close(scene):
    """Connection: close is honoured."""
    visitor = scene.https(scene.tunnel(scene.app()))
    response = visitor.get("/hello", [("Connection", "close")])
    assert response.header("connection") == "close"
    visitor.wait_closed()


def test_upstream_close_is_its_own(visitor, up):
    """Connection: close of the upstream ends that connection only, not the visitor's."""
    for target in ("/1", "/2"):
        visitor.send(visitor.request_bytes("GET", target))
        conn = up.accept()
        conn.read_request()
        conn.respond(b"x", headers=["Connection: close"])
        response = visitor.read_response()
        assert response.header("connection") in (None, "keep-alive")
        conn.wait_eof()


def test_old_upstream(visitor, up):
    """An HTTP/1.0 response is taken; the visitor gets HTTP/1.1."""
    visitor.send(visitor.request_bytes("GET", "/"))
    conn = up.accept()
    conn.read_request()
    conn.send(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nold")
    conn.close()
    assert visitor.read_response().body == b"old"


def test_half_closed_visitor_gets_its_answer(visitor, up):
    """A visitor that shuts its sending side down after the request still gets the response."""
    visitor.send(visitor.request_bytes("GET", "/"))
    visitor.end()
    conn = up.accept()
    conn.read_request()
    conn.respond(b"still here")
    assert visitor.read_response().body == b"still here"
    visitor.wait_closed()


# ---- retries ----


def serve_once(visitor, up):
    """One request over a fresh upstream connection, which is then idle."""
    visitor.send(visitor.request_bytes("GET", "/first"))
    conn = up.accept()
    conn.read_request()
    conn.respond(b"one")
    assert visitor.read_response().body == b"one"
    return conn


def test_get_is_repeated_when_an_idle_connection_dies(visitor, up):
    """The reused connection ends without a byte: GET goes again on a fresh one."""
    first = serve_once(visitor, up)
    visitor.send(visitor.request_bytes("GET", "/again"))
    assert first.read_request().target == "/again"
    first.close()
    second = up.accept()
    assert second.read_request().target == "/again"
    second.respond(b"two")
    assert visitor.read_response().body == b"two"


def test_post_is_not_repeated(visitor, up):
    """The same with POST: 502 E3004, and the upstream sees it once."""
    first = serve_once(visitor, up)
    visitor.send(visitor.request_bytes("POST", "/again", body=b"x"))
    assert first.read_request().target == "/again"
    first.close()
    response = visitor.read_response()
    assert (response.status, response.error_code) == (502, "ERR_SALLYPORT_3004")
    assert len(up.connections) == 1


def test_get_is_repeated_once_only(visitor, up):
    """When the fresh connection dies too, that is the answer."""
    first = serve_once(visitor, up)
    visitor.send(visitor.request_bytes("GET", "/again"))
    first.read_request()
    first.close()
    second = up.accept()
    second.read_request()
    second.close()
    assert visitor.read_response().error_code == "ERR_SALLYPORT_3004"
    assert len(up.connections) == 2


def test_fresh_connection_is_not_repeated(visitor, up):
    """A fresh connection that ends without an answer is no case for a retry."""
    visitor.send(visitor.request_bytes("GET", "/"))
    conn = up.accept()
    conn.read_request()
    conn.close()
    assert visitor.read_response().error_code == "ERR_SALLYPORT_3004"
    assert len(up.connections) == 1


def test_no_repeat_after_the_first_response_byte(visitor, up):
    """Once a byte of the response came, the request is not sent again."""
    first = serve_once(visitor, up)
    visitor.send(visitor.request_bytes("GET", "/again"))
    first.read_request()
    first.send(b"HTTP/1.1 2")
    first.close()
    assert visitor.read_response().error_code == "ERR_SALLYPORT_3004"
    assert len(up.connections) == 1


def test_idle_connection_that_closed_is_not_used(scene, visitor, up):
    """The upstream closes an idle connection: the next POST takes a fresh one."""
    serve_once(visitor, up).close()
    scene.gateway.wait_gauge("sallyport_streams", 0)
    visitor.send(visitor.request_bytes("POST", "/next", body=b"x"))
    conn = up.accept()
    assert conn.read_request().target == "/next"
    conn.respond(b"two")
    assert visitor.read_response().body == b"two"


def test_bytes_on_an_idle_connection_are_not_an_answer(visitor, up):
    """An upstream that talks on an idle connection cannot poison the next response."""
    first = serve_once(visitor, up)
    first.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
    first.wait_eof()
    visitor.send(visitor.request_bytes("GET", "/next"))
    conn = up.accept()
    conn.read_request()
    conn.respond(b"clean")
    assert visitor.read_response().body == b"clean"


def test_bytes_behind_a_response_are_not_the_next(visitor, up):
    """What an upstream sends behind its response is dropped with the connection."""
    visitor.send(visitor.request_bytes("GET", "/1"))
    conn = up.accept()
    conn.read_request()
    conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\noneHTTP/1.1 200 OK\r\n"
              b"Content-Length: 6\r\n\r\npoison")
    assert visitor.read_response().body == b"one"
    visitor.send(visitor.request_bytes("GET", "/2"))
    fresh = up.accept()
    fresh.read_request()
    fresh.respond(b"two")
    assert visitor.read_response().body == b"two"
