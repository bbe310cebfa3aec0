"""Actions on bodies: find and replace, compression, server-sent events."""

import json
import threading

import pytest

from lib import codings
from lib.content import content, pieces
from lib.policy import Guarded, event_of, merge, on_request, on_response, problems, rule

LIMIT = 1024 * 1024
CHUNKED = [("Transfer-Encoding", "chunked")]


@pytest.fixture
def guarded(scene):
    return lambda document, **kw: Guarded(scene, document, **kw)


def failed(response, number, status=500):
    assert (response.status, response.error_code) == (status, f"ERR_SALLYPORT_{number}"), response
    return True


@pytest.mark.parametrize("phase, action, config, number", [
    ("on_http_request", "request-body-find-replace", {}, 2234),
    ("on_http_request", "request-body-find-replace", {"replacements": []}, 2234),
    ("on_http_request", "request-body-find-replace", {"replacements": [{"to": "a"}]}, 2234),
    ("on_http_request", "request-body-find-replace", {"replacements": [{"from": "("}]}, 2261),
    ("on_http_request", "request-body-find-replace",
     {"replacements": [{"from": "a", "to": "${"}]}, 2224),
    ("on_http_response", "response-body-find-replace",
     {"replacements": [{"from": "a", "field": "data"}]}, 2203),
    ("on_http_response", "response-body-find-replace", {"replacements": [{"from": "(?<=a)"}]},
     2261),
    ("on_http_response", "compress-response", {"algorithms": []}, 2234),
    ("on_http_response", "compress-response", {"algorithms": ["lzma"]}, 2214),
    ("on_http_response", "compress-response", {"algorithms": ["gzip", "gzip"]}, 2231),
    ("on_http_response", "compress-response",
     {"algorithms": ["compress", "gzip", "br", "deflate"]}, None),
    ("on_event_stream_message", "sse-find-replace", {}, 2234),
    ("on_event_stream_message", "sse-find-replace",
     {"replacements": [{"from": "a", "field": "event"}]}, 2222),
    ("on_event_stream_message", "sse-find-replace", {"replacements": [{"from": "["}]}, 2261),
    ("on_event_stream_message", "sse-find-replace",
     {"replacements": [{"from": "a", "field": "retry"}]}, None),
])
def test_configuration(phase, action, config, number):
    assert problems(rule(phase, (action, config))) == ([number] if number else [])


def replacing(*pairs, phase="request", **kw):
    """A document that replaces: pairs of from and to."""
    make = on_request if phase == "request" else on_response
    return make((f"{phase}-body-find-replace", {"replacements": [
        {"from": f, "to": t} if t is not None else {"from": f} for f, t in pairs]}), **kw)


def mirrors(app):
    """/back gives the request's body back as the body, and counts its bytes."""

    def back(conn, request):
        body = bytearray()
        if (request.header("expect") or "") == "100-continue":
            conn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        conn.read_body(request, body.extend, 60)
        request.body = bytes(body)
        conn.respond(request.body, headers=["Content-Type: text/plain"])

    app.route("/back", back)
    return app


# ---- request-body-find-replace ----


@pytest.fixture
def mirrored(scene):
    return lambda document, **kw: Guarded(scene, document, upstream=mirrors(scene.app()), **kw)


def test_request_body(mirrored):
    """All matches, in order, each on the result of the one before."""
    g = mirrored(merge(
        replacing(("([a-z])([0-9])", "$2$1"), ("1", "one-"), ("gone"[::-1], None),
                  ("${req.url.query}", "<${req.method}>")),
        on_request(("add-headers", {"headers": {"x-result": "${json.encode("
                                                "actions.ngrok.request_body_find_replace)}"}}))))
    with g.conn() as conn:
        answer = conn.request("POST", "/back?q+", [("ETag", "x")], b"a1 b2 c1 enog qqq Q")
    seen = g.app.seen[-1]
    assert answer.text == "one-a 2b one-c  <POST> Q"
    assert seen.header("content-length") == str(len(answer.body))
    assert json.loads(seen.header("x-result"))["replacements"] == [
        {"replacement_index": 0, "matched_content": "a1"},
        {"replacement_index": 1, "matched_content": "1"},
        {"replacement_index": 2, "matched_content": "enog"},
        {"replacement_index": 3, "matched_content": "qqq"}]


def test_request_body_in_chunks(mirrored):
    g = mirrored(replacing(("ab+", "X")))
    with g.conn() as conn:
        conn.send(conn.request_bytes("POST", "/back", CHUNKED))
        for piece in (b"a", b"b", b"b.", b"ab"):
            conn.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        conn.send(b"0\r\n\r\n")
        assert conn.read_response().text == "X.X"
        seen = g.app.seen[-1]
        assert (seen.header("content-length"), seen.header("transfer-encoding")) == ("3", None)
        assert conn.get("/back").text == ""
        assert conn.request("POST", "/back", [], b"").text == ""


@pytest.mark.parametrize("coding", codings.NAMES)
def test_request_body_that_is_encoded(mirrored, coding):
    g = mirrored(replacing(("secret", "******")))
    answer = g.request("/back", [("Content-Encoding", coding), ("Content-MD5", "x"),
                                 ("Digest", "y")], "PUT", codings.encode(coding, b"a secret b"))
    assert answer.text == "a ****** b"
    seen = g.app.seen[-1]
    assert [seen.header(n) for n in ("content-encoding", "content-md5", "digest")] == 3 * [None]
    assert seen.header("content-length") == "10"


def test_request_body_in_an_unknown_coding(mirrored):
    g = mirrored(replacing(("a", "b")))
    assert failed(g.request("/back", [("Content-Encoding", "lzma")], "PUT", b"aaa"), 3903)
    assert failed(g.request("/back", [("Content-Encoding", "gzip")], "PUT", b"not gzip"), 3903)
    assert not g.app.seen


@pytest.mark.parametrize("chunked", [False, True])
def test_request_body_limit(mirrored, chunked):
    """1 MiB and not a byte more."""
    g = mirrored(replacing(("^nothing$", "")))
    with g.conn() as conn:
        answer = conn.upload("/back", LIMIT, chunked=chunked)
        assert answer.status == 200 and answer.body == content(LIMIT)
    with g.conn() as conn:
        conn.send(conn.request_bytes("POST", "/back", CHUNKED if chunked else
                                     [("Content-Length", str(LIMIT + 1))]))
        try:
            for piece in pieces(LIMIT + 1):
                conn.send(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
        except OSError:
            pass
        assert failed(conn.read_response(), 3903, 413)
    assert len(g.app.seen) == 1


def test_request_body_that_grows_when_decoded(mirrored):
    g = mirrored(replacing(("y", "z")))
    for size, status in ((LIMIT, 200), (LIMIT + 1, 413)):
        body = codings.encode("gzip", b"x" * size)
        answer = g.request("/back", [("Content-Encoding", "gzip")], "PUT", body, seconds=20)
        assert answer.status == status
    assert failed(answer, 3903, 413)


def test_request_body_that_waits_for_permission(mirrored):
    """The gateway needs the body, so it asks for it; the upstream is not asked again."""
    g = mirrored(replacing(("a", "b")))
    with g.conn() as conn:
        conn.send(conn.request_bytes("POST", "/back", [("Expect", "100-continue"),
                                                       ("Content-Length", "3")]))
        assert conn.read_head().status == 100
        assert not g.app.seen
        conn.send(b"aca")
        answer = conn.read_response()
        assert (answer.text, answer.interim) == ("bcb", [])
        assert g.app.seen[-1].header("expect") is None
        conn.send(conn.request_bytes("POST", "/back", [("Expect", "100-continue"),
                                                       ("Content-Length", str(LIMIT + 1))]))
        answer = conn.read_response()
        assert failed(answer, 3903, 413) and answer.interim == []


def test_request_body_that_is_not_text(mirrored):
    """Bytes that are no UTF-8 are matched as Latin-1 and stay what they are."""
    g = mirrored(replacing(("\xe9", "e"), ("ü", "ue")))
    assert g.request("/back", method="PUT", body=b"\xff\xe9\x00").body == b"\xffe\x00"
    assert g.request("/back", method="PUT", body="éü".encode()).text == "eue"
    g = mirrored(replacing(("(?s).+", "all")))
    assert g.request("/back", method="PUT", body=b"\xff\xe9\x00").text == "all"


def test_replacement_that_fails(mirrored):
    g = mirrored(replacing(("${url.unescape(req.url.query)}", "x${req.headers['x-to'][0]}")))
    assert failed(g.request("/back?a", method="PUT", body=b"a"), 3900)
    given = [("x-to", "!")]
    assert failed(g.request("/back?%28", given, "PUT", b"a"), 3901)
    assert g.request("/back?a", given, "PUT", b"a").text == "x!"


def test_request_body_of_an_upgrade(scene):
    """Its bytes are no body; they pass."""
    up = scene.scripted()
    g = Guarded(scene, merge(replacing(("a", "b")), replacing(("a", "b"), phase="response"),
                             on_response("compress-response")), upstream=up)
    with g.conn() as conn:
        conn.send(conn.request_bytes("GET", "/ws", [("Connection", "Upgrade"),
                                                    ("Upgrade", "websocket"),
                                                    ("Accept-Encoding", "gzip")]))
        agent = up.accept()
        agent.read_head()
        agent.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                   b"Upgrade: websocket\r\n\r\nabc")
        assert conn.read_head().status == 101
        assert conn.read_exactly(3) == b"abc"
        conn.send(b"aaa")
        assert agent.read_exactly(3) == b"aaa"
        agent.close()
        assert conn.read_all() == b""


# ---- response-body-find-replace ----


def serves(app, path, body, *headers, chunks=None, status="200 OK"):
    """A page with this body, of known length or in chunks."""

    def page(conn, request):
        app.skip(conn, request)
        if chunks is None:
            conn.respond(b"" if request.method == "HEAD" else body, status, headers)
            return
        lines = [f"HTTP/1.1 {status}", *headers, "Transfer-Encoding: chunked", "", ""]
        conn.send("\r\n".join(lines).encode())
        for at in range(0, len(body), chunks):
            piece = body[at:at + chunks]
            conn.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        conn.send(b"0\r\n\r\n")

    app.route(path, page)


@pytest.mark.parametrize("chunks", [None, 3])
@pytest.mark.parametrize("coding", [None, *codings.NAMES])
def test_response_body(guarded, coding, chunks):
    g = guarded(merge(
        replacing(("token=([0-9a-f]{4})[0-9a-f]+", "token=$1..."), phase="response"),
        on_response(("add-headers", {"headers": {"x-result": "${json.encode("
                                                 "actions.ngrok.response_body_find_replace)}"}}))))
    body = b"a token=0123456789 b"
    serves(g.app, "/x", codings.encode(coding, body) if coding else body, 'ETag: "x"',
           "Content-MD5: y", *([f"Content-Encoding: {coding}"] if coding else []), chunks=chunks)
    answer = g.request("/x", [("Accept-Encoding", "gzip, br, zstd")])
    assert answer.text == "a token=0123... b"
    assert answer.header("content-length") == str(len(answer.body))
    assert [answer.header(n) for n in ("content-encoding", "content-md5", "transfer-encoding")] == \
        3 * [None]
    if coding:
        assert answer.header("etag") is None
    assert json.loads(answer.header("x-result"))["replacements"] == [
        {"replacement_index": 0, "matched_content": "token=0123456789"}]


def test_response_body_until_the_end(guarded):
    """Also such as has none."""
    g = guarded(replacing(("hello", "bye"), ("^nothing$", ""), phase="response"))
    with g.conn() as conn:
        answer = conn.get("/until-close/70000")
        assert (answer.body, answer.header("content-length")) == (content(70000), "70000")
        assert conn.get("/hello").text == "bye from app\n"
        assert conn.get("/status/204").status == 204
        assert conn.get("/status/304").status == 304
        assert conn.request("HEAD", "/hello").body == b""
        assert conn.get("/bytes/0").body == b""


@pytest.mark.parametrize("kind", ["bytes", "chunked", "until-close"])
def test_response_body_limit(guarded, kind):
    g = guarded(replacing(("^nothing$", ""), phase="response"))
    with g.conn() as conn:
        answer = conn.get(f"/{kind}/{LIMIT}")
        assert answer.status == 200 and answer.body == content(LIMIT)
        assert failed(conn.get(f"/{kind}/{LIMIT + 1}"), 3903, 502)
        assert conn.get("/hello").status == 200


@pytest.mark.parametrize("body, coding, number, status", [
    (b"plain", "gzip", 3903, 500), (b"plain", "lzma", 3903, 500),
    (codings.encode("br", b"x" * (LIMIT + 1)), "br", 3903, 502),
    (codings.encode("zstd", b"x" * 64 * LIMIT), "zstd", 3903, 502),
    (codings.encode("gzip", b"x" * 1000)[:-1], "gzip", 3903, 500)],
    ids=["no-gzip", "unknown", "large", "bomb", "cut-short"])
def test_response_body_that_cannot_be_decoded(guarded, body, coding, number, status):
    g = guarded(replacing(("x", "y"), phase="response"))
    serves(g.app, "/x", body, f"Content-Encoding: {coding}")
    assert failed(g.request("/x"), number, status)


def test_response_body_that_breaks_off(guarded):
    """Nothing of it was sent, so the visitor gets an answer."""
    g = guarded(replacing(("x", "y"), phase="response"))

    def page(conn, request):
        g.app.skip(conn, request)
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nxxx")
        return False

    g.app.route("/x", page)
    assert failed(g.request("/x"), 3004, 502)


def test_body_actions_work_together(guarded):
    """Two replacements buffer once; compression comes after them."""
    g = guarded(merge(replacing(("a", "b"), phase="response"),
                      replacing(("b+", "c"), phase="response"), on_response("compress-response")))
    serves(g.app, "/x", b"aaa.aaa" + b"-" * 3000)
    answer = g.request("/x", [("Accept-Encoding", "br")])
    assert answer.header("content-encoding") == "br"
    assert codings.decode("br", answer.body) == b"c.c" + b"-" * 3000


def test_event_stream_is_not_held(guarded):
    g = guarded(replacing(("a", "b"), phase="response"))
    go_on = threading.Event()

    def events(conn, request):
        g.app.skip(conn, request)
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: a\n\n")
        go_on.wait(10)
        return False

    g.app.route("/x", events)
    with g.conn() as conn:
        conn.send(conn.request_bytes("GET", "/x"))
        assert conn.read_head().header("content-length") is None
        assert conn.read_chunk() == b"data: a\n\n"
        go_on.set()


# ---- compress-response ----

TEXT = b"A sentence that comes again and again. " * 200


@pytest.mark.parametrize("accept, algorithms, coding", [
    (None, None, None), ("", None, None), ("identity", None, None),
    ("gzip", None, "gzip"), ("deflate", None, "deflate"), ("br", None, "br"),
    ("zstd", None, "zstd"), ("GZIP", None, "gzip"), ("x-gzip", None, "gzip"),
    ("gzip, br", None, "gzip"), ("gzip, br", ["br", "gzip"], "br"),
    ("gzip;q=0.5, br;q=0.9", None, "br"), ("gzip;q=0, *", ["gzip", "br"], "br"),
    ("*", ["deflate"], "deflate"), ("gzip;q=0", None, None), ("*;q=0", None, None),
    ("identity;q=1, gzip;q=0.5", None, None), ("identity;q=0.5, gzip;q=0.6", None, "gzip"),
    ("compress", None, None), ("compress, gzip;q=0.1", ["compress", "gzip"], "gzip"),
    ("br", ["gzip"], None), ("lzma, gzip", None, "gzip")])
def test_compress(guarded, accept, algorithms, coding):
    g = guarded(merge(
        on_response(("compress-response", {"algorithms": algorithms} if algorithms else {})),
        on_response(("add-headers", {"headers": {
            "x-result": "${json.encode(actions.ngrok.compress)}"}}))))
    serves(g.app, "/x", TEXT, 'ETag: "abc"', "Accept-Ranges: bytes")
    answer = g.request("/x", [] if accept is None else [("Accept-Encoding", accept)])
    assert answer.status == 200 and answer.header("content-encoding") == coding
    assert json.loads(answer.header("x-result")) == {"already_compressed": False,
                                                     "negotiated_algorithm": coding or ""}
    event = event_of(g, "/x")["compression"]
    if coding is None:
        assert answer.body == TEXT
        assert answer.header("content-length") == str(len(TEXT))
        assert answer.header("etag") == '"abc"'
        assert event == {"algorithm": "none"}
        return
    assert codings.decode(coding, answer.body) == TEXT
    assert answer.header("content-length") is None
    assert answer.header("etag") == 'W/"abc"'
    assert answer.header("vary").lower() == "accept-encoding"
    assert event == {"algorithm": coding, "bytes_saved": len(TEXT) - len(answer.body)}


@pytest.mark.parametrize("headers, status, method", [
    (["Content-Encoding: gzip"], "200 OK", "GET"),
    (["Cache-Control: public, no-transform"], "200 OK", "GET"),
    (["Content-Range: bytes 0-99/1000"], "206 Partial Content", "GET"),
    ([], "200 OK", "HEAD")])
def test_what_is_not_compressed(guarded, headers, status, method):
    g = guarded(merge(on_response("compress-response"), on_response(("add-headers", {"headers": {
        "x-already": "${actions.ngrok.compress.already_compressed}"}}))))
    serves(g.app, "/x", TEXT, *headers, status=status)
    answer = g.request("/x", [("Accept-Encoding", "gzip")], method)
    assert answer.body == (b"" if method == "HEAD" else TEXT)
    encoded = any(h.startswith("Content-Encoding") for h in headers)
    assert answer.header("content-encoding") == ("gzip" if encoded else None)
    assert answer.header("x-already") == ("true" if encoded else "false")


def test_compress_twice_and_vary(guarded):
    g = guarded(on_response("compress-response", ("compress-response", {"algorithms": ["br"]})))
    serves(g.app, "/x", TEXT, "Vary: Origin, Accept-Encoding", chunks=1000)
    with g.conn() as conn:
        answer = conn.get("/x", [("Accept-Encoding", "gzip, br")])
        assert codings.decode("gzip", answer.body) == TEXT
        assert answer.all("vary") == ["Origin, Accept-Encoding"]
        assert conn.get("/status/204", [("Accept-Encoding", "gzip")]).status == 204
        assert conn.get("/status/304", [("Accept-Encoding", "gzip")]).status == 304


def test_compressed_custom_response(guarded):
    g = guarded(merge(on_request(("custom-response", {"body": TEXT.decode()})),
                      on_response("compress-response")))
    answer = g.request("/x", [("Accept-Encoding", "gzip")])
    assert codings.decode("gzip", answer.body) == TEXT


@pytest.mark.parametrize("coding", codings.NAMES)
def test_compress_streams(guarded, coding):
    """What comes arrives while the rest is not there yet, and nothing is held in memory."""
    g = guarded(on_response("compress-response"))
    size = 24 * LIMIT if coding == "gzip" else 4 * LIMIT
    half = threading.Event()

    def page(conn, request):
        g.app.skip(conn, request)
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for i, piece in enumerate(pieces(size)):
            if i == size // len(piece) // 2:
                half.wait(20)
            conn.send(piece, 60)

    g.app.route("/x", page)
    before = g.scene.gateway.rss()
    decoder = codings.Decoder(coding)
    got = expected = 0
    source = pieces(size)
    rest = b""
    with g.conn() as conn:
        conn.send(conn.request_bytes("GET", "/x", [("Accept-Encoding", coding)]))
        conn.read_head()
        while chunk := conn.read_chunk(20):
            rest += decoder.push(chunk)
            while len(rest) >= 64 * 1024:
                assert rest[:64 * 1024] == next(source), got
                rest = rest[64 * 1024:]
                got += 64 * 1024
            if got >= size // 2 - LIMIT:
                half.set()
        assert decoder.ended and got == size
    g.scene.gateway.assert_growth(before)


# ---- sse-find-replace ----


def sse(*replacements, **kw):
    return rule("on_event_stream_message", ("sse-find-replace",
                                            {"replacements": list(replacements)}), **kw)


@pytest.fixture
def streaming(scene):
    """streaming(document) -> (visitor, upstream connection) in the middle of an event stream."""

    def start(document, *headers, accept=()):
        up = scene.scripted()
        g = Guarded(scene, document, upstream=up)
        visitor = scene.keep(g.conn())
        visitor.send(visitor.request_bytes("GET", "/events", list(accept)))
        agent = up.accept()
        agent.read_head()
        agent.send("\r\n".join(["HTTP/1.1 200 OK", "Content-Type: text/event-stream; charset=utf-8",
                                *headers, "", ""]).encode())
        visitor.head = visitor.read_head()
        return visitor, agent

    return start


def next_bytes(visitor, n):
    data = b""
    while len(data) < n:
        chunk = visitor.read_chunk()
        assert chunk, data
        data += chunk
    return data


def test_sse_live(streaming):
    """Each message arrives when it was sent, changed."""
    visitor, agent = streaming(sse({"from": "[0-9]{4}", "to": "****"}))
    for i in range(3):
        agent.send(b"event: card\nid: 1234\ndata: 1234 5678 %d\n\n" % i)
        expected = b"event: card\nid: 1234\ndata: **** **** %d\n\n" % i
        assert next_bytes(visitor, len(expected)) == expected
    agent.send(b"data: 12")
    agent.send(b"34\n")
    agent.send(b"\n")
    assert next_bytes(visitor, 12) == b"data: ****\n\n"
    agent.close()
    assert visitor.read_chunk() == b""


@pytest.mark.parametrize("sent, arrived", [
    (b"data: a\ndata: b\n\n", b"data: X\n\n"),
    (b"data: ac\r\ndata: cb\r\n\r\n", None),
    (b"retry: 1000\ndata: x\n\n", b"retry: 2000\ndata: x\n\n"),
    (b"retry: 7\ndata: x\n\n", b"data: x\n\n"),
    (b": a comment\n\n", None),
    (b"event: a\nid: b\n\n", None),
    (b"data:nothing\nunknown: a\n\n", None),
    (b"data: split\n\n", b"data: one\ndata: two\n\n"),
    (b"data: gone\n\n", b"data: \n\n"),
])
def test_sse_messages(streaming, sent, arrived):
    """Lines of data are matched as one; what no rule touches keeps its bytes."""
    visitor, agent = streaming(sse(
        {"field": "data", "from": "a\\nb", "to": "X"}, {"field": "retry", "from": "1000",
                                                       "to": "2000"},
        {"field": "retry", "from": "7", "to": "soon"}, {"from": "split", "to": "one\ntwo"},
        {"from": "gone"}))
    expected = sent if arrived is None else arrived
    agent.send(sent)
    agent.close()
    got = b""
    while chunk := visitor.read_chunk():
        got += chunk
    assert got in (expected, expected.replace(b"data: \n", b"data:\n")), got


def test_sse_policy_of_a_message(streaming):
    """Results and variables begin anew with each message; a rule can ask for them."""
    visitor, agent = streaming(merge(
        rule("on_event_stream_message", ("set-vars", {"vars": [{"by": "${res.status_code}"}]})),
        sse({"from": "n", "to": "${vars.by}"}),
        sse({"from": "$", "to": "!"},
            expressions=["size(actions.ngrok.sse_find_replace.replacements) > 0",
                         "actions.ngrok.sse_find_replace.replacements[0].matched_content == 'n'"])))
    agent.send(b"data: n\n\n")
    assert next_bytes(visitor, 12) == b"data: 200!\n\n"
    agent.send(b"data: m\n\n")
    assert next_bytes(visitor, 9) == b"data: m\n\n"


@pytest.mark.parametrize("coding", codings.NAMES)
def test_sse_that_is_encoded(streaming, coding):
    visitor, agent = streaming(sse({"from": "a", "to": "b"}), f"Content-Encoding: {coding}",
                               accept=[("Accept-Encoding", coding)])
    assert visitor.head.header("content-encoding") is None
    agent.send(codings.encode(coding, b"data: aa\n\ndata: ca\n\n"))
    agent.close()
    assert next_bytes(visitor, 20) == b"data: bb\n\ndata: cb\n\n"


def test_sse_in_an_unknown_coding(streaming):
    visitor, agent = streaming(sse({"from": "a", "to": "b"}), "Content-Encoding: lzma")
    assert visitor.head.header("content-encoding") == "lzma"
    agent.send(b"data: a\n\n")
    assert next_bytes(visitor, 9) == b"data: a\n\n"


def test_sse_that_is_compressed(streaming):
    """Each message is flushed, so that it arrives in spite of the compression."""
    visitor, agent = streaming(merge(sse({"from": "a", "to": "b"}), on_response(
        ("compress-response", {"algorithms": ["gzip"]}))), accept=[("Accept-Encoding", "gzip")])
    decoder = codings.Decoder("gzip")
    for i in range(3):
        agent.send(b"data: a%d\n\n" % i)
        got = b""
        while len(got) < 10:
            got += decoder.push(visitor.read_chunk())
        assert got == b"data: b%d\n\n" % i


def test_sse_message_that_is_long(streaming):
    """256 KiB can be changed; a longer message passes as it is."""
    visitor, agent = streaming(sse({"from": "y", "to": "b"}))
    for size in (256 * 1024 - 10, 256 * 1024 + 1):
        body = b"data: " + b"x" * (size - 1) + b"y\n\n"
        sender = threading.Thread(target=agent.send, args=(body,))
        sender.start()
        got = next_bytes(visitor, len(body))
        sender.join()
        assert got == (body if size > 256 * 1024 else body.replace(b"y", b"b"))


def test_sse_of_other_types(guarded):
    g = guarded(sse({"from": "hello", "to": "x"}))
    serves(g.app, "/x", b"data: hello\n\n", "Content-Type: text/plain")
    assert g.request("/x").body == b"data: hello\n\n"


def test_sse_that_fails(streaming):
    """Too late for an error answer: the stream breaks off."""
    visitor, agent = streaming(sse({"from": "${'('}", "to": "b"}))
    agent.send(b"data: a\n\n")
    assert b"data: a" not in visitor.read_all()
