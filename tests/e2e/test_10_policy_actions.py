"""What the actions that change, answer or forward requests do on the wire, with their results."""

import json
import os
import socket

import pytest

from lib.policy import (Guarded, answer_with, logs_of, merge, on_request, on_response,
                        problems, result_of, rule)


@pytest.fixture
def guarded(scene):
    return lambda document, **kw: Guarded(scene, document, **kw)


def failed(response, number, status=500):
    assert (response.status, response.error_code) == (status, f"ERR_SALLYPORT_{number}"), response
    return True


# ---- configuration that is refused ----

TEN = {f"x-{i}": "v" for i in range(10)}
ELEVEN = {**TEN, "x-10": "v"}


def many(levels):
    """A list within a list within ..."""
    value = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("phase, action, config, number", [
    ("on_http_request", "add-headers", {}, 2234),
    ("on_http_request", "add-headers", {"headers": {}}, 2234),
    ("on_http_request", "add-headers", {"headers": ELEVEN}, 2212),
    ("on_http_request", "add-headers", {"headers": TEN}, None),
    ("on_http_request", "add-headers", {"headers": {"X-a": "1", "x-A": "2"}}, 375),
    ("on_http_request", "add-headers", {"headers": {"user-agent": "x"}}, 2219),
    ("on_http_response", "add-headers", {"headers": {"content-length": "1"}}, 2219),
    ("on_http_response", "add-headers", {"headers": {"sallyport-error-code": "1"}}, 2219),
    ("on_http_request", "add-headers", {"headers": {"x a": "1"}}, 2210),
    ("on_http_request", "add-headers", {"headers": {"x": "a\nb"}}, 2211),
    ("on_http_request", "add-headers", {"headers": {"x" * 257: "1"}}, 2208),
    ("on_http_request", "add-headers", {"headers": {"x": "v" * 8193}}, 2209),
    ("on_http_request", "add-headers", {"headers": {"x": "${req.}"}}, 2213),
    ("on_http_request", "remove-headers", {}, 2234),
    ("on_http_request", "remove-headers", {"headers": []}, 2234),
    ("on_http_request", "remove-headers", {"headers": list(ELEVEN)}, 2218),
    ("on_http_request", "remove-headers", {"headers": ["host"]}, 398),
    ("on_http_response", "remove-headers", {"headers": ["Transfer-Encoding"]}, 2219),
    ("on_http_request", "deny", {"status_code": 199}, 2215),
    ("on_http_request", "deny", {"status_code": 600}, 2215),
    ("on_http_request", "deny", {"status_code": 599}, None),
    ("on_http_request", "deny", {"status_code": "many"}, 2203),
    ("on_tcp_connect", "deny", {"status_code": 403}, 2203),
    ("on_http_request", "close-connection", {"why": "x"}, 2203),
    ("on_http_request", "custom-response", {"status_code": 199}, 2215),
    ("on_http_request", "custom-response", {"status_code": 204, "body": "x"}, 3604),
    ("on_http_request", "custom-response", {"status_code": 304, "body": "x"}, 3604),
    ("on_http_request", "custom-response", {"headers": ELEVEN}, 2212),
    ("on_http_request", "custom-response", {"body": "${"}, 2224),
    ("on_http_request", "redirect", {}, 2234),
    ("on_http_request", "redirect", {"from": "(", "to": "/"}, 2261),
    ("on_http_request", "redirect", {"to": "/", "status_code": 299}, 2215),
    ("on_http_request", "redirect", {"to": "/", "status_code": 309}, 2215),
    ("on_http_request", "redirect", {"to": "/", "headers": ELEVEN}, 2212),
    ("on_http_request", "url-rewrite", {"from": "/"}, 2234),
    ("on_http_request", "url-rewrite", {"from": "(?=x)", "to": "/"}, 2261),
    ("on_http_request", "url-rewrite", {"to": "${nonsense}"}, 2224),
    ("on_http_request", "set-vars", {"vars": {"a": 1}}, 2252),
    ("on_http_request", "set-vars", {"vars": [{"a": 1, "b": 2}]}, 2252),
    ("on_http_request", "set-vars", {"vars": [{"b": 1}], "a": 1}, 2203),
    ("on_http_request", "set-vars", {"vars": [{"a": many(17)}]}, 2250),
    ("on_http_request", "set-vars", {"vars": [{"a-b": 1}]}, 2204),
    ("on_http_request", "log", {}, 2234),
    ("on_http_request", "log", {"metadata": ["a"]}, 2203),
    ("on_http_request", "forward-internal", {}, 2234),
    ("on_http_request", "forward-internal", {"url": "https://example.com"}, 2226),
    ("on_http_request", "forward-internal", {"url": "https://a.internal/path"}, 2226),
    ("on_http_request", "forward-internal", {"url": "https://a.internal", "on_error": "x"}, 2222),
    ("on_http_request", "forward-internal", {"url": "https://a.internal", "binding": "public"},
     2222),
])
def test_configuration(phase, action, config, number):
    assert problems(rule(phase, (action, config))) == ([number] if number else [])


# ---- add-headers, remove-headers ----


def test_add_headers_to_the_request(guarded):
    g = guarded(on_request(("add-headers", {"headers": {
        "X-Tier": "gold", "x-where": "${req.method} ${req.url.path}", "x-number": 7,
        "x-flag": True}})))
    seen = g.echo(headers=[("x-tier", "silver")])
    assert seen.all("x-tier") == ["silver", "gold"]
    assert seen.header("x-where") == "GET /echo"
    assert (seen.header("x-number"), seen.header("x-flag")) == ("7", "true")
    assert [n for n, v in seen.headers if v == "gold"] == ["x-tier"]


def test_add_headers_replaces_host(guarded):
    g = guarded(on_request(("add-headers", {"headers": {"Host": "inner.local"}})))
    seen = g.echo()
    assert seen.all("host") == ["inner.local"]
    assert seen.header("x-forwarded-host").split(":")[0] == g.host


def test_add_headers_results(guarded):
    g = guarded(merge(on_request(("add-headers", {"headers": {"X-A": "${1 + 1}", "x-b": "b"}})),
                      result_of("add_headers")))
    assert json.loads(g.request().text) == {"headers_added": {"x-a": "2", "x-b": "b"}}


def test_add_headers_to_the_response(guarded):
    g = guarded(on_response(("add-headers", {"headers": {
        "X-Kind": "${res.content_type}", "content-type": "text/more"}})))
    answer = g.request("/hello")
    assert answer.header("x-kind") == "text/plain"
    assert answer.all("content-type") == ["text/plain", "text/more"]
    assert ("x-kind", "text/plain") in answer.headers


def test_add_headers_with_a_line_break(guarded):
    """A value that a visitor chooses cannot add a header of its own."""
    g = guarded(on_request(("add-headers", {"headers": {
        "x": "${url.unescape(req.url.query)}"}})))
    assert g.echo("/echo?a").header("x") == "a"
    assert failed(g.request("/echo?a%0d%0aX-Evil:%201"), 2211)
    assert len(g.app.seen) == 1


def test_add_headers_that_grow(guarded):
    """A computed value of 8192 bytes is the longest."""
    g = guarded(on_request(("add-headers", {"headers": {
        "x": "${getQueryParam('x')[0]}"}})))
    assert len(g.echo("/echo?x=" + 8192 * "x").header("x")) == 8192
    assert failed(g.request("/echo?x=" + 8193 * "x"), 2209)


def test_remove_headers(guarded):
    g = guarded(merge(
        on_request(("remove-headers", {"headers": ["X-Gone", "x-forwarded-for", "x-none"]})),
        on_request(("add-headers", {"headers": {
            "x-removed": "${json.encode(actions.ngrok.remove_headers.headers_removed)}"}})),
        on_response(("remove-headers", {"headers": ["Content-Type"]}))))
    answer = g.request(headers=[("x-gone", "1"), ("X-GONE", "2"), ("x-stays", "3")])
    seen = {n.lower(): v for n, v in json.loads(answer.text)["headers"]}
    assert "x-gone" not in seen and "x-forwarded-for" not in seen and seen["x-stays"] == "3"
    assert json.loads(seen["x-removed"]) == ["x-gone", "x-forwarded-for"]
    assert answer.header("content-type") is None


# ---- deny, close-connection ----


def test_deny(guarded):
    g = guarded(merge(on_request("deny", expressions=["req.url.path == '/a'"]),
                      on_request(("deny", {"status_code": 451})),
                      on_response(("add-headers", {"headers": {"x-after": "1"}}))))
    with g.conn() as conn:
        for path, status in (("/a", 403), ("/b", 451), ("/a", 403)):
            answer = conn.get(path)
            assert (answer.status, answer.body, answer.header("x-after")) == (status, b"", None)
            assert answer.error_code is None
    assert not g.app.seen


@pytest.mark.parametrize("action", ["deny", "close-connection"])
def test_refused_connection(guarded, action):
    """The connection ends without a byte of HTTP."""
    g = guarded(rule("on_tcp_connect", action), port=80)
    with g.conn() as conn:
        conn.send(conn.request_bytes("GET", "/hello"))
        assert conn.read_all() == b""
    assert not g.app.seen


@pytest.mark.parametrize("port", [80, 443])
def test_close_connection_resets(guarded, port):
    g = guarded(on_request("close-connection", expressions=["req.url.path == '/x'"]), port=port)
    with g.conn() as conn:
        assert conn.get("/hello").status == 200
        conn.send(conn.request_bytes("GET", "/x"))
        with socket.socket(fileno=os.dup(conn.sock.fileno())) as below, \
                pytest.raises(ConnectionResetError):
            below.settimeout(10)
            assert below.recv(100) == b"", "bytes before the reset"
    assert [r.target for r in g.app.seen] == ["/hello"]


def test_close_connection_with_requests_behind(guarded):
    """Whatever else the visitor has sent is gone with the connection."""
    g = guarded(on_request("close-connection", expressions=["req.url.path == '/x'"]), port=80)
    with g.conn() as conn:
        conn.send(conn.request_bytes("POST", "/x", [("Content-Length", "100000")]) + b"part")
        assert conn.read_all() == b"" and conn.was_reset
    with g.conn() as conn:
        conn.send(conn.request_bytes("GET", "/x") + 5 * conn.request_bytes("GET", "/hello"))
        assert conn.read_all() == b"" and conn.was_reset
    assert not g.app.seen


# ---- custom-response ----


@pytest.mark.parametrize("body, kind", [
    ("", None),
    (' {"a": 1}', "application/json"),
    ("[1, 2]", "application/json"),
    ("{not json}", "text/plain; charset=utf-8"),
    ("\n<!DOCTYPE html><p>", "text/html; charset=utf-8"),
    ("<HTML>", "text/html; charset=utf-8"),
    ("<?xml version='1.0'?>", "text/xml; charset=utf-8"),
    ("7 €", "text/plain; charset=utf-8"),
])
def test_custom_response_type(guarded, body, kind):
    """Of a body in the document, and of one that is computed."""
    g = guarded(merge(
        on_request(("custom-response", {"body": body}), expressions=["req.url.path == '/a'"]),
        {"on_http_request": [{"actions": [
            {"type": "set-vars", "config": {"vars": [{"body": body}]}},
            {"type": "custom-response", "config": {"body": "${vars.body}"}}]}]}))
    for path in ("/a", "/b"):
        answer = g.request(path)
        assert (answer.status, answer.text) == (200, body)
        assert answer.header("content-type") == kind
        assert answer.header("content-length") == str(len(body.encode()))


def test_custom_response_fields(guarded):
    g = guarded(on_request(("custom-response", {
        "status_code": 418, "body": "${req.method}!",
        "headers": {"Content-Type": "text/x", "x-from": "${conn.client_ip}"}})))
    answer = g.request(method="PUT", body=b"never read")
    assert (answer.status, answer.text) == (418, "PUT!")
    assert answer.all("content-type") == ["text/x"]
    assert answer.header("x-from") == "127.0.0.1"
    assert not g.app.seen


def test_custom_response_without_body(guarded):
    g = guarded(merge(
        on_request(("custom-response", {"status_code": 204}), expressions=["req.method == 'PUT'"]),
        on_request(("custom-response", {"status_code": 204, "body": "${req.url.query}"}),
                   expressions=["req.method == 'POST'"]),
        on_request(("custom-response", {"body": "five."}))))
    with g.conn() as conn:
        assert conn.request("PUT").status == 204
        assert conn.request("POST", "/").status == 204
        head = conn.request("HEAD")
        assert (head.status, head.header("content-length"), head.body) == (200, "5", b"")
        assert conn.get("/").text == "five."
        assert failed(conn.request("POST", "/?x"), 3604)


def test_custom_response_that_is_large(guarded):
    body = "0123456789abcdef" * 3840
    g = guarded(on_request(("custom-response", {"body": body})))
    with g.conn() as conn:
        for _ in range(3):
            assert conn.get("/").text == body


def test_custom_response_replaces_the_upstreams(guarded):
    g = guarded(merge(
        on_response(("custom-response", {"status_code": 404, "body": "was ${res.status_code}"}),
                    expressions=["res.status_code != 200 || req.url.path.startsWith('/bytes')"]),
        on_response(("add-headers", {"headers": {"x-last": "1"}}))))
    with g.conn() as conn:
        answer = conn.get("/status/500")
        assert (answer.status, answer.text) == (404, "was 500")
        assert answer.header("x-last") is None
        assert conn.get("/bytes/3000000").text == "was 200"
        answer = conn.get("/hello")
        assert (answer.status, answer.header("x-last")) == (200, "1")
        head = conn.request("HEAD", "/status/500")
        assert (head.status, head.header("content-length")) == (404, "7")


# ---- redirect, url-rewrite ----


def test_redirect_table(guarded):
    rules = [("v1", {"from": "/v1/", "to": "/v2/"}),
             ("old", {"from": "old", "to": "https://new/blog"}),
             ("any", {"to": "https://new/blog"}),
             ("geo", {"to": "/geo?city=San Francisco"}),
             ("groups", {"from": "^https?://[^/]+/groups/([a-z]*)/(.*)$",
                         "to": "https://new/$2/$1?$$=$3&all=$0x"}),
             ("cel", {"from": "/${req.method.lowerAscii()}-(.)", "to": "/${1 + 1}-$1"}),
             ("frag", {"from": "$", "to": "#top"})]
    g = guarded(merge(*[on_request(("redirect", config), expressions=[f"req.url.query == '{q}'"])
                        for q, config in rules]))
    host = f"https://{g.host}:{g.scene.gateway.https_port}"
    with g.conn() as conn:
        for target, location in (
                ("/api/v1/u?v1", host + "/api/v2/u?v1"),
                ("/old/foo?old", host + "/https://new/blog/foo?https://new/blog"),
                ("/x?any", "https://new/blog"),
                ("/geo?geo", host + "/geo?city=San%20Francisco"),
                ("/groups/a/b?groups", "https://new/b?groups/a?$=$3&all=" + host +
                 "/groups/a/b?groupsx"),
                ("/get-a/get-b?cel", host + "/2-a/2-b?cel"),
                ("/x?frag", host + "/x?frag#top")):
            answer = conn.get(target)
            assert answer.status == 302, (target, answer)
            assert answer.header("location") == location
            assert answer.body == b"" and answer.header("content-length") == "0"
    assert not g.app.seen


def test_redirect_that_changes_nothing(guarded):
    g = guarded(merge(on_request(("redirect", {"from": "^/api/", "to": "/x/"})),
                      on_request(("redirect", {"from": "/echo", "to": "/echo"})),
                      result_of("redirect")))
    result = json.loads(g.request("/echo").text)
    assert result["matches"] == ["/echo"]
    assert result["error"] == {"code": "", "message": ""}


def test_redirect_fields_and_results(guarded):
    g = guarded(merge(
        on_request(("redirect", {"from": "/(a)(b)?", "to": "/z", "status_code": 308, "headers": {
            "x-method": "${req.method}", "cache-control": "no-store"}})),
        on_response(("add-headers", {"headers": {
            "x-result": "${json.encode(actions.ngrok.redirect)}"}}))))
    answer = g.request("/a", method="POST", body=b"x")
    assert answer.status == 308
    assert (answer.header("x-method"), answer.header("cache-control")) == ("POST", "no-store")
    result = json.loads(answer.header("x-result"))
    assert result["matches"] == ["/a", "a", ""]
    assert result["url"] == answer.header("location")


def test_redirect_that_fails(guarded):
    g = guarded(merge(
        on_request(("redirect", {"from": "${url.unescape(req.url.query)}", "to": "/z"}),
                   expressions=["req.url.path == '/a'"]),
        on_request(("redirect", {"to": "/${url.unescape(req.url.query)}"}))))
    assert failed(g.request("/a?%28"), 2261)
    answer = g.request("/b?x%0d%0aX-Evil:%201")
    assert answer.status in (302, 500) and answer.header("x-evil") is None
    if answer.status == 302:
        assert "%0D%0A" in answer.header("location").upper()


def test_url_rewrite_table(guarded):
    rules = [("/shop/", {"from": "/shop/([a-z]+)/(\\d+)", "to": "/item.cgi?kind=$1&id=$2"}),
             ("/all/", {"from": "a", "to": "b"}),
             ("/space/", {"from": "/space/", "to": "/with space/é/"}),
             ("/host/", {"to": "http://other.example/new?x=1#gone"}),
             ("/path/", {"to": "/only"}),
             ("/cut/", {"from": "^https?://[^/]+/cut/(.*)$", "to": "/$1"})]
    g = guarded(merge(*[on_request(("url-rewrite", config),
                                   expressions=[f"req.url.path.startsWith('{path}')"])
                        for path, config in rules]))
    seen = g.app.seen
    with g.conn() as conn:
        for target, arrived in (("/shop/shoe/17", "/item.cgi?kind=shoe&id=17"),
                                ("/space/a%2fb?c", "/with%20space/%C3%A9/a%2fb?c"),
                                ("/host/x", "/new?x=1"),
                                ("/path/x?y=1", "/only"),
                                ("/cut/deep/er?q", "/deep/er?q"),
                                ("/other/?a=%20", "/other/?a=%20")):
            conn.get(target)
            assert seen[-1].target == arrived, target
            assert seen[-1].header("host") == conn.authority
        conn.get("/all/a?a")
        assert seen[-1].target == "/bll/b?b"


def test_url_rewrite_results(guarded):
    g = guarded(merge(on_request(("url-rewrite", {"from": "/(o)ld", "to": "/new"})),
                      on_request(("custom-response", {
                          "body": "${json.encode(actions.ngrok.url_rewrite)}"}),
                          expressions=["req.url.path != '/again'"]),
                      answer_with("json.encode(req.url.path)")))
    result = json.loads(g.request("/old?q").text)
    assert result["matches"] == ["/old", "o"]
    assert result["url"].endswith("/new?q")
    assert result["error"] == {"code": "", "message": ""}
    assert json.loads(g.request("/x").text)["matches"] == []
    assert json.loads(g.request("/again").text) == "/again"


def test_url_rewrite_that_fails(guarded):
    g = guarded(on_request(("url-rewrite", {"from": "${url.unescape(req.url.query)}", "to": "/z"})))
    assert failed(g.request("/hello?%5B"), 2261)
    assert not g.app.seen


# ---- set-vars ----


def test_set_vars_keep_types(guarded):
    g = guarded(merge(on_request(
        ("set-vars", {"vars": [
            {"tenant": "${req.host.split('.')[0]}"}, {"list": ["a", {"n": "${1 + 1}"}]},
            {"again": "${vars.list[1].n + 1}"}, {"text": "<${vars.again}>"}, {"none": None},
            {"real": 1.5}, {"yes": "${vars.tenant.startsWith('t')}"}, {"literal": "req.host"}]}),
        ("set-vars", {"vars": [{"literal": "${vars.literal}!"}]})),
        answer_with("json.encode([vars.tenant, vars.list, vars.again, vars.text, vars.none, "
                    "vars.real, vars.yes, vars.literal])")))
    assert json.loads(g.request().text) == [g.host.split(".")[0], ["a", {"n": 2}], 3, "<3>", None,
                                            1.5, True, "req.host!"]


def test_set_vars_live_in_their_phase(guarded):
    g = guarded(merge(
        rule("on_tcp_connect", ("set-vars", {"vars": [{"a": "${conn.client_ip}"}]})),
        on_request(("set-vars", {"vars": [{"b": "1"}]})),
        on_request(("custom-response", {"body": "${vars.a}"}),
                   expressions=["req.url.path == '/a'"]),
        on_response(("set-vars", {"vars": [{"c": "${res.status_code}"}]}),
                    ("add-headers", {"headers": {"x-c": "${vars.c}"}})),
        on_response(("add-headers", {"headers": {"x-b": "${vars.b}"}}),
                    expressions=["req.url.path == '/status/200'"])))
    assert failed(g.request("/a"), 2253)
    assert g.request("/hello").header("x-c") == "200"
    assert failed(g.request("/status/200"), 2253)


def test_set_vars_limits(guarded):
    """128 variables, and 1 MiB of values in a phase."""
    entries = [{f"v{i}": i} for i in range(129)]
    assert problems(on_request(("set-vars", {"vars": entries}))) == [2218]
    double = [{"s": "${vars.s + vars.s}"} for _ in range(20)]
    g = guarded(merge(on_request(("set-vars", {"vars": entries[:128]})),
                      on_request(("set-vars", {"vars": [{"v0": "0123456789"}, {"v1": "end"}]})),
                      on_request(("set-vars", {"vars": [{"v127": "x"}]}),
                                 ("custom-response", {"body": "${vars.v0}${vars.v126}"}),
                                 expressions=["req.url.path == '/a'"]),
                      on_request(("set-vars", {"vars": [{"too_many": 1}]}),
                                 expressions=["req.url.path == '/b'"])))
    assert g.request("/a").text == "0123456789126"
    answer = g.request("/b")
    assert answer.status == 500 and answer.error_code
    g = guarded(on_request(("set-vars", {"vars": [{"s": "0123456789"}, *double]})))
    answer = g.request("/hello")
    assert answer.status == 500 and answer.error_code
    assert not g.app.seen


# ---- log ----


def test_log(guarded):
    """One entry for each run, in the event of the request."""
    g = guarded(merge(
        rule("on_tcp_connect", ("log", {"metadata": {"at": "connect"}})),
        on_request(("log", {"metadata": {"path": "${req.url.path}", "n": "${1 + 1}",
                                         "deep": [{"x": "<${2}>"}], "on": True}})),
        on_request(("log", {"metadata": {"second": "${actions.ngrok.log.metadata.n}"}})),
        on_response(("log", {"metadata": {"status": "${res.status_code}"}}))))
    assert g.request("/status/201").status == 201
    assert logs_of(g, "/status/201")[-3:] == [
        {"path": "/status/201", "n": 2, "deep": [{"x": "<2>"}], "on": True}, {"second": 2},
        {"status": 201}]


def test_log_of_a_request_that_is_refused(guarded):
    g = guarded(on_request(("log", {"metadata": {"why": "no"}}), "deny"))
    g.request("/refused")
    assert logs_of(g, "/refused") == [{"why": "no"}]


def test_log_has_an_end(guarded):
    """64 entries and a mark are kept, whatever a policy says."""
    entries = [("log", {"metadata": {"i": i}}) for i in range(49)]
    g = guarded(merge(on_request(*entries), on_request(*entries)))
    assert g.request("/many").status == 404
    logs = logs_of(g, "/many")
    assert len(logs) == 65
    assert logs[63] == {"i": 14} and "i" not in logs[64]


def test_log_hides_secrets(guarded, scene, tmp_path):
    (tmp_path / "vaults/alice/team").mkdir(parents=True)
    (tmp_path / "vaults/alice/team/key").write_text("s3cret-value\n")
    scene.start_gateway({"vaults": str(tmp_path / "vaults")})
    g = guarded(on_request(
        ("set-vars", {"vars": [{"key": "${secrets.get('team', 'key')}"}]}),
        ("add-headers", {"headers": {"x-key": "${vars.key}"}}),
        ("log", {"metadata": {"key": "${vars.key}", "deep": ["${vars.key}"]}})))
    assert g.echo("/echo").header("x-key") == "s3cret-value"
    assert logs_of(g, "/echo") == [{"key": "****", "deep": ["****"]}]


# ---- forward-internal ----


def test_forward_internal_to_nobody(guarded):
    g = guarded(on_request(("forward-internal", {"url": "https://none.internal"})))
    assert failed(g.request("/hello"), 3200, 404)
    assert not g.app.seen


def test_forward_internal_to_no_internal_endpoint(guarded):
    """A computed URL that leads elsewhere reaches nobody."""
    g = guarded(on_request(("forward-internal", {"url": "https://${req.url.query}"})))
    for target in ("example.com", "a.internal%2fx", "user@x.internal", ".internal"):
        answer = g.request("/hello?" + target)
        assert answer.status in (404, 500, 502) and answer.error_code, target
    assert not g.app.seen


def test_forward_internal_that_continues(guarded):
    g = guarded(merge(on_request(("forward-internal", {
        "url": "https://${req.url.query}.internal", "on_error": "continue"})),
        on_request(("add-headers", {"headers": {
            "x-result": "${json.encode(actions.ngrok.forward_internal)}"}}))))
    result = json.loads(g.echo("/echo?a").header("x-result"))
    assert result["url"].startswith("https://a.internal")
    assert result["error"]["code"] in ("ERR_NGROK_3200", "ERR_SALLYPORT_3200")
    assert result["error"]["message"]
