"""
Malformed and ambiguous messages. A request is refused (status, connection closed, nothing reached
the upstream) or reaches it in exactly one normal form; a response is refused or normalised likewise.
"""

import re

import pytest

HOST = b"Host: m.example.test\r\n"
G = b"GET / HTTP/1.1\r\n" + HOST
P = b"POST / HTTP/1.1\r\n" + HOST
CHUNKED = P + b"Transfer-Encoding: chunked\r\n"

#: (name, bytes, expected statuses). The upstream must get nothing.
REFUSED = [
    # framing: what two parsers could read differently
    ("cl-and-te", CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n", {400}),
    ("te-and-cl", P + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
    ("cl-twice-different", P + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", {400}),
    ("cl-twice-same", P + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", {400}),
    ("cl-list-different", P + b"Content-Length: 5, 6\r\n\r\nhello!", {400}),
    ("cl-list-same", P + b"Content-Length: 5, 5\r\n\r\nhello", {400}),
    ("cl-plus", P + b"Content-Length: +5\r\n\r\nhello", {400}),
    ("cl-minus", P + b"Content-Length: -5\r\n\r\nhello", {400}),
    ("cl-hex", P + b"Content-Length: 0x5\r\n\r\nhello", {400}),
    ("cl-space-inside", P + b"Content-Length: 5 0\r\n\r\nhello", {400}),
    ("cl-fraction", P + b"Content-Length: 5.0\r\n\r\nhello", {400}),
    ("cl-letters", P + b"Content-Length: five\r\n\r\nhello", {400}),
    ("cl-empty", P + b"Content-Length: \r\n\r\nhello", {400}),
    ("cl-overflow", P + b"Content-Length: 18446744073709551617\r\n\r\nx", {400}),
    ("cl-huge", P + b"Content-Length: " + b"9" * 40 + b"\r\n\r\nx", {400}),
    ("cl-quoted", P + b'Content-Length: "5"\r\n\r\nhello', {400}),
    ("cl-nul", P + b"Content-Length: 5\x00\r\n\r\nhello", {400}),
    ("cl-vertical-tab", P + b"Content-Length: \x0b5\r\n\r\nhello", {400}),
    ("te-unknown", P + b"Transfer-Encoding: gzip\r\n\r\nx", {400, 501}),
    ("te-unknown-then-chunked", P + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", {400, 501}),
    ("te-chunked-then-unknown", P + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", {400, 501}),
    ("te-identity", P + b"Transfer-Encoding: identity\r\n\r\nx", {400, 501}),
    ("te-chunked-twice", P + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", {400}),
    ("te-two-lines", CHUNKED + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
    ("te-two-lines-identity", CHUNKED + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n", {400}),
    ("te-xchunked", P + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", {400, 501}),
    ("te-chunkedx", P + b"Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n", {400, 501}),
    ("te-quoted", P + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n', {400, 501}),
    ("te-parameter", P + b"Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n", {400, 501}),
    ("te-empty", P + b"Transfer-Encoding:\r\n\r\n0\r\n\r\n", {400, 501}),
    ("te-vertical-tab", P + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", {400}),
    ("te-space-before-colon", P + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", {400}),
    ("te-leading-space", P + b" Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
    ("te-folded", P + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", {400}),
    ("te-nul-in-name", P + b"Transfer-Encoding\x00: chunked\r\n\r\n0\r\n\r\n", {400}),
    ("te-bare-lf", P + b"X: a\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
    ("te-bare-cr", P + b"X: a\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
    # head syntax
    ("bare-lf-everywhere", b"GET / HTTP/1.1\nHost: m.example.test\n\n", {400}),
    ("bare-lf-request-line", b"GET / HTTP/1.1\nHost: m.example.test\r\n\r\n", {400}),
    ("bare-cr-request-line", b"GET / HTTP/1.1\rHost: m.example.test\r\n\r\n", {400}),
    ("bare-cr-in-value", G + b"X: a\rb\r\n\r\n", {400}),
    ("bare-lf-end", G + b"X: a\n\n", {400}),
    ("cr-cr-lf", G + b"X: a\r\r\n\r\n", {400}),
    ("obs-fold", G + b"X: a\r\n b\r\n\r\n", {400}),
    ("obs-fold-tab", G + b"X: a\r\n\tb\r\n\r\n", {400}),
    ("fold-first-line", b"GET / HTTP/1.1\r\n X: a\r\n" + HOST + b"\r\n", {400}),
    ("space-before-colon", G + b"X : a\r\n\r\n", {400}),
    ("tab-before-colon", G + b"X\t: a\r\n\r\n", {400}),
    ("space-in-name", G + b"X Y: a\r\n\r\n", {400}),
    ("empty-name", G + b": a\r\n\r\n", {400}),
    ("no-colon", G + b"nonsense\r\n\r\n", {400}),
    ("nul-in-name", G + b"X\x00Y: a\r\n\r\n", {400}),
    ("nul-in-value", G + b"X: a\x00b\r\n\r\n", {400}),
    ("escape-in-value", G + b"X: a\x1bb\r\n\r\n", {400}),
    ("del-in-value", G + b"X: a\x7fb\r\n\r\n", {400}),
    ("backspace-in-value", G + b"X: a\x08b\r\n\r\n", {400}),
    ("8-bit-name", G + b"X\xe9: a\r\n\r\n", {400}),
    ("brackets-in-name", G + b"X[0]: a\r\n\r\n", {400}),
    ("quoted-name", G + b'"X": a\r\n\r\n', {400}),
    # request line
    ("no-target", b"GET HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    ("two-spaces", b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    ("space-in-target", b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    ("tab-separated", b"GET\t/\tHTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    ("trailing-space", b"GET / HTTP/1.1 \r\n" + HOST + b"\r\n", {400, 505}),
    ("leading-space", b" GET / HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    ("control-in-target", b"GET /\x01 HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    ("nul-in-target", b"GET /\x00 HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    ("del-in-target", b"GET /\x7f HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    ("fragment", b"GET /#f HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    ("relative-target", b"GET a/b HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    ("asterisk-with-get", b"GET * HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    ("bad-scheme", b"GET ftp://m.example.test/ HTTP/1.1\r\n" + HOST + b"\r\n", {400, 404}),
    ("userinfo", b"GET http://u:p@m.example.test/ HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    ("empty-authority", b"GET http:///x HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    ("lower-case-http", b"GET / http/1.1\r\n" + HOST + b"\r\n", {400, 505}),
    ("bad-version", b"GET / HTTP/1.1x\r\n" + HOST + b"\r\n", {400, 505}),
    ("long-version", b"GET / HTTP/1.10\r\n" + HOST + b"\r\n", {400, 505}),
    ("version-comma", b"GET / HTTP/1,1\r\n" + HOST + b"\r\n", {400, 505}),
    ("no-slash", b"GET / HTTP1.1\r\n" + HOST + b"\r\n", {400, 505}),
    ("other-protocol", b"GET / ICY/1.1\r\n" + HOST + b"\r\n", {400, 505}),
    ("bad-method", b"GE(T / HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    ("empty-method", b" / HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    ("8-bit-method", b"G\xc9T / HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    ("tls-on-plain-port", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 32 + b"\r\n\r\n",
     {400}),
    # Host
    ("no-host", b"GET / HTTP/1.1\r\n\r\n", {400}),
    ("two-hosts", b"GET / HTTP/1.1\r\n" + HOST + b"Host: other.example.test\r\n\r\n", {400}),
    ("two-same-hosts", b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n", {400}),
    ("empty-host", b"GET / HTTP/1.1\r\nHost:\r\n\r\n", {400, 404}),
    ("host-with-path", b"GET / HTTP/1.1\r\nHost: m.example.test/x\r\n\r\n", {400}),
    ("host-with-userinfo", b"GET / HTTP/1.1\r\nHost: u@m.example.test\r\n\r\n", {400}),
    ("host-with-space", b"GET / HTTP/1.1\r\nHost: m.example.test x\r\n\r\n", {400}),
    ("host-list", b"GET / HTTP/1.1\r\nHost: m.example.test, other\r\n\r\n", {400}),
    ("host-bad-port", b"GET / HTTP/1.1\r\nHost: m.example.test:8o\r\n\r\n", {400}),
    ("host-huge-port", b"GET / HTTP/1.1\r\nHost: m.example.test:99999\r\n\r\n", {400}),
    ("host-two-colons", b"GET / HTTP/1.1\r\nHost: m.example.test:80:80\r\n\r\n", {400}),
    ("host-two-dots", b"GET / HTTP/1.1\r\nHost: m..example.test\r\n\r\n", {400, 404}),
    ("host-two-trailing-dots", b"GET / HTTP/1.1\r\nHost: m.example.test..\r\n\r\n", {400, 404}),
    ("host-8-bit", b"GET / HTTP/1.1\r\nHost: b\xfccher.example.test\r\n\r\n", {400, 404}),
    ("host-brackets", b"GET / HTTP/1.1\r\nHost: [m.example.test]\r\n\r\n", {400}),
    ("host-open-bracket", b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", {400}),
    ("host-percent", b"GET / HTTP/1.1\r\nHost: m%2eexample.test\r\n\r\n", {400, 404}),
    ("host-label-too-long", b"GET / HTTP/1.1\r\nHost: " + b"a" * 64 + b".example.test\r\n\r\n",
     {400, 404}),
    ("host-name-too-long", b"GET / HTTP/1.1\r\nHost: " + b"a." * 140 + b"test\r\n\r\n", {400, 404}),
    ("host-folded", b"GET / HTTP/1.1\r\nHost:\r\n m.example.test\r\n\r\n", {400}),
    # size
    ("too-many-fields", G + b"".join(b"X-%d: 1\r\n" % i for i in range(2000)) + b"\r\n", {431}),
    ("long-field", G + b"X: " + b"a" * 1100000 + b"\r\n\r\n", {431}),
    ("long-target", b"GET /" + b"a" * 1100000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", {431, 414}),
    ("many-empty-lines", b"\r\n" * 600000 + G + b"\r\n", {400, 431}),
]


@pytest.fixture
def up(scene):
    return scene.scripted()


@pytest.fixture
def visitor(scene, up):
    scene.plain(up, name="m")
    return scene.http("m.example.test")


@pytest.mark.parametrize("data,statuses", [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_request_is_refused(visitor, up, data, statuses):
    """One error response, connection closed, nothing forwarded."""
    try:
        visitor.send(data)
    except OSError:
        pass
    response = visitor.read_response(seconds=10)
    assert response.status in statuses, response
    if response.status not in (404,):
        assert response.header("connection") == "close"
        visitor.wait_closed()
    else:
        visitor.close()
    up.assert_untouched()


def test_smuggled_request_behind_a_refused_one(visitor, up):
    """What stands behind a refused request is never looked at."""
    visitor.send(P + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
                 b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n")
    assert visitor.read_response().status == 400
    visitor.wait_closed()
    up.assert_untouched()


BAD_CHUNKS = [
    ("no-size", b"\r\nhello\r\n0\r\n\r\n"),
    ("letters", b"xyz\r\nhello\r\n0\r\n\r\n"),
    ("minus", b"-5\r\nhello\r\n0\r\n\r\n"),
    ("plus", b"+5\r\nhello\r\n0\r\n\r\n"),
    ("hex-prefix", b"0x5\r\nhello\r\n0\r\n\r\n"),
    ("leading-space", b" 5\r\nhello\r\n0\r\n\r\n"),
    ("overflow", b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
    ("bare-lf", b"5\nhello\r\n0\r\n\r\n"),
    ("bare-cr", b"5\rhello\r\n0\r\n\r\n"),
    ("short-data", b"5\r\nhelloo\r\n0\r\n\r\n"),
    ("no-crlf-behind-data", b"5\r\nhello0\r\n\r\n"),
    ("lf-behind-data", b"5\r\nhello\n0\r\n\r\n"),
    ("long-extension", b"5;" + b"a" * 10000 + b"\r\nhello\r\n0\r\n\r\n"),
    ("control-in-extension", b"5;a=\x00\r\nhello\r\n0\r\n\r\n"),
    ("lf-in-extension", b"5;a\nb\r\nhello\r\n0\r\n\r\n"),
    ("bad-trailer", b"5\r\nhello\r\n0\r\nX Y: 1\r\n\r\n"),
    ("trailer-space-before-colon", b"5\r\nhello\r\n0\r\nX : 1\r\n\r\n"),
    ("folded-trailer", b"5\r\nhello\r\n0\r\nX: 1\r\n 2\r\n\r\n"),
    ("bare-lf-trailer", b"5\r\nhello\r\n0\r\nX: 1\n\r\n"),
    ("huge-trailers", b"5\r\nhello\r\n0\r\n" + b"X: " + b"a" * 20000 + b"\r\n\r\n"),
]


@pytest.mark.parametrize("body", [b[1] for b in BAD_CHUNKS], ids=[b[0] for b in BAD_CHUNKS])
def test_bad_chunk_ends_the_exchange(visitor, up, body):
    """The visitor gets 400 or the connection closes; the upstream never sees a complete request,
    nor any byte that was not content."""
    visitor.send(CHUNKED + b"\r\n" + body + G + b"\r\n")
    data = visitor.read_all()
    assert data == b"" or re.match(rb"HTTP/1\.1 400 ", data), data[:200]
    for conn in up.connections:
        conn.wait_eof()
        received = bytes(conn.received)
        assert not received.endswith(b"0\r\n\r\n"), received
        assert received.count(b"HTTP/1.1") <= 1


#: (name, request bytes, what must reach the upstream: method, target, body)
NORMALISED = [
    ("plain", G + b"\r\n", ("GET", "/", b"")),
    ("no-space-after-colon", b"GET / HTTP/1.1\r\nHost:m.example.test\r\nX:1\r\n\r\n",
     ("GET", "/", b"")),
    ("spaces-around-value", G + b"X: \t 1 \t\r\n\r\n", ("GET", "/", b"")),
    ("empty-value", G + b"X:\r\n\r\n", ("GET", "/", b"")),
    ("cl-zero", P + b"Content-Length: 0\r\n\r\n", ("POST", "/", b"")),
    ("cl-leading-zeros", P + b"Content-Length: 0005\r\n\r\nhello", ("POST", "/", b"hello")),
    ("cl-spaces", P + b"Content-Length:  5 \r\n\r\nhello", ("POST", "/", b"hello")),
    ("te-case", P + b"Transfer-Encoding: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
     ("POST", "/", b"hello")),
    ("te-name-case", P + b"tRANSFER-eNCODING: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
     ("POST", "/", b"hello")),
    ("chunk-extension", CHUNKED + b"\r\n5;a=b;c\r\nhello\r\n0;d\r\n\r\n", ("POST", "/", b"hello")),
    ("chunk-upper-hex", CHUNKED + b"\r\nA\r\n0123456789\r\n0\r\n\r\n",
     ("POST", "/", b"0123456789")),
    ("chunk-zeros", CHUNKED + b"\r\n005\r\nhello\r\n000\r\n\r\n", ("POST", "/", b"hello")),
    ("absolute", b"GET http://m.example.test/a?b HTTP/1.1\r\n" + HOST + b"\r\n",
     ("GET", "/a?b", b"")),
    ("absolute-upper-case", b"GET HTTP://M.Example.Test/a HTTP/1.1\r\n" + HOST + b"\r\n",
     ("GET", "/a", b"")),
    ("leading-crlf", b"\r\n\r\n" + G + b"\r\n", ("GET", "/", b"")),
    ("underscore-name", G + b"X_Y: 1\r\n\r\n", ("GET", "/", b"")),
    ("obs-text-value", G + b"X: caf\xe9\r\n\r\n", ("GET", "/", b"")),
    ("tab-in-value", G + b"X: a\tb\r\n\r\n", ("GET", "/", b"")),
]


@pytest.mark.parametrize("data,expected", [n[1:] for n in NORMALISED],
                         ids=[n[0] for n in NORMALISED])
def test_request_is_normalised(visitor, up, data, expected):
    """The upstream gets one plain reading: one Host, one framing, no oddities of the original."""
    visitor.send(data)
    conn = up.accept()
    seen = conn.read_request()
    assert (seen.method, seen.target, seen.body) == expected
    assert seen.version == "HTTP/1.1"
    assert len(seen.all("host")) == 1
    assert len(seen.all("content-length")) + len(seen.all("transfer-encoding")) <= 1
    assert re.fullmatch(rb"(?:[^\r\n]+\r\n)+\r\n", seen.raw_head)
    assert not re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", seen.raw_head)
    assert b" :" not in seen.raw_head
    conn.respond(b"fine")
    assert visitor.read_response(seen.method).body == b"fine"


#: (name, response bytes): each is 502 E3004, or the connection breaks off.
BAD_RESPONSES = [
    ("cl-and-te", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
                  b"0\r\n\r\n"),
    ("cl-twice-different", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"
                           b"hello!"),
    ("cl-list", b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello!"),
    ("cl-minus", b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
    ("cl-plus", b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello"),
    ("cl-letters", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nhello"),
    ("cl-overflow", b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nhello"),
    ("te-unknown", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello"),
    ("te-twice", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"
                 b"\r\n0\r\n\r\n"),
    ("te-chunked-not-last", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
    ("bare-lf", b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"),
    ("bare-lf-in-head", b"HTTP/1.1 200 OK\r\nX: a\nY: b\r\nContent-Length: 0\r\n\r\n"),
    ("bare-cr-in-value", b"HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n"),
    ("nul-in-value", b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n"),
    ("obs-fold", b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n"),
    ("space-before-colon", b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello"),
    ("no-colon", b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n"),
    ("empty-name", b"HTTP/1.1 200 OK\r\n: x\r\n\r\n"),
    ("space-in-name", b"HTTP/1.1 200 OK\r\nX Y: 1\r\nContent-Length: 0\r\n\r\n"),
    ("status-2-digits", b"HTTP/1.1 20 OK\r\n\r\n"),
    ("status-4-digits", b"HTTP/1.1 2000 OK\r\n\r\n"),
    ("status-letters", b"HTTP/1.1 2xx OK\r\n\r\n"),
    ("status-099", b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n"),
    ("status-minus", b"HTTP/1.1 -20 OK\r\nContent-Length: 0\r\n\r\n"),
    ("no-version", b"200 OK\r\nContent-Length: 0\r\n\r\n"),
    ("version-2", b"HTTP/2 200\r\nContent-Length: 0\r\n\r\n"),
    ("version-9", b"HTTP/9.9 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ("lower-case", b"http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ("leading-space", b" HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ("control-in-reason", b"HTTP/1.1 200 O\x01K\r\nContent-Length: 0\r\n\r\n"),
    ("endless-interim", b"HTTP/1.1 100 Continue\r\n\r\n" * 100000),
    ("too-many-fields", b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 3000 + b"\r\n"),
]


@pytest.mark.parametrize("data", [b[1] for b in BAD_RESPONSES], ids=[b[0] for b in BAD_RESPONSES])
def test_bad_response_head(visitor, up, data):
    """502 E3004 for the visitor; nothing of the bad head leaks; the upstream's connection ends."""
    visitor.send(G + b"\r\n")
    conn = up.accept()
    conn.read_request()
    try:
        conn.send(data)
        conn.end()
    except OSError:
        pass
    response = visitor.read_response()
    assert (response.status, response.error_code) == (502, "ERR_SALLYPORT_3004"), response
    assert b"hello" not in response.body
    conn.wait_eof()


BAD_RESPONSE_CHUNKS = [
    ("letters", b"xyz\r\nhello\r\n0\r\n\r\n"),
    ("minus", b"-5\r\nhello\r\n0\r\n\r\n"),
    ("overflow", b"fffffffffffffffff\r\nhello"),
    ("bare-lf", b"5\nhello\n0\n\n"),
    ("short-data", b"5\r\nhelloo\r\n0\r\n\r\n"),
    ("no-crlf", b"5\r\nhello0\r\n\r\n"),
    ("long-extension", b"5;" + b"a" * 10000 + b"\r\nhello\r\n0\r\n\r\n"),
    ("bad-trailer", b"5\r\nhello\r\n0\r\nX Y: 1\r\n\r\n"),
    ("huge-trailers", b"5\r\nhello\r\n0\r\nX: " + b"a" * 20000 + b"\r\n\r\n"),
]


@pytest.mark.parametrize("body", [b[1] for b in BAD_RESPONSE_CHUNKS],
                         ids=[b[0] for b in BAD_RESPONSE_CHUNKS])
def test_bad_response_chunk(visitor, up, body):
    """502, or after the head a body that visibly breaks off: never a complete response."""
    visitor.send(G + b"\r\n")
    conn = up.accept()
    conn.read_request()
    try:
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    except OSError:
        pass
    data = visitor.read_all()
    assert data.startswith(b"HTTP/1.1 502 ") or not data.endswith(b"0\r\n\r\n"), data[-200:]
    conn.wait_eof()


#: (name, request method, response bytes, expected body)
ODD_RESPONSES = [
    ("no-reason", "GET", b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok", b"ok"),
    ("cl-same-twice-or-once", "GET", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok"),
    ("empty-value", "GET", b"HTTP/1.1 200 OK\r\nX:\r\nContent-Length: 2\r\n\r\nok", b"ok"),
    ("te-case", "GET", b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
     b"ok"),
    ("chunk-extension", "GET",
     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\n\r\n", b"ok"),
    ("old-with-length", "GET", b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok"),
    ("204-with-length", "GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", b""),
    ("head-with-length", "HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", b""),
    ("8-bit-reason", "GET", b"HTTP/1.1 200 caf\xe9\r\nContent-Length: 2\r\n\r\nok", b"ok"),
]


@pytest.mark.parametrize("method,data,body", [o[1:] for o in ODD_RESPONSES],
                         ids=[o[0] for o in ODD_RESPONSES])
def test_odd_but_legal_response(visitor, up, method, data, body):
    """Legal oddities are normalised; the visitor's connection goes on."""
    visitor.send(visitor.request_bytes(method, "/"))
    conn = up.accept()
    conn.read_request()
    conn.send(data)
    response = visitor.read_response(method)
    assert (response.status // 100, response.body) == (2, body)
    assert response.error_code is None
    visitor.send(visitor.request_bytes("GET", "/2"))
    if "HTTP/1.0" in data.decode("latin-1"):
        conn = up.accept()
    assert conn.read_request().target == "/2"
    conn.respond()
    assert visitor.read_response().status == 200
