"""The variables of expressions, as real requests and responses fill them."""

import json

import pytest

from lib.policy import Guarded, merge, on_request, on_response


@pytest.fixture
def values(scene):
    """values(expressions, target, headers...) -> the values, evaluated in one request."""

    def run(expressions, target="/a/b?x=1&y=2&x=3", **kw):
        body = "[" + ",".join("${json.encode(" + e + ")}" for e in expressions) + "]"
        g = Guarded(scene, on_request(("custom-response", {"body": body})))
        run.host = g.host
        response = g.request(target, **kw)
        assert response.status == 200, response
        return json.loads(response.text)

    return run


def test_request_line(values):
    got = values(["req.method", "req.url.path", "req.url.query", "req.url.scheme", "req.version",
                  "req.url.uri", "req.url.raw_path", "req.host == req.url.authority"],
                 method="POST", body=b"hi")
    assert got[:7] == ["POST", "/a/b", "x=1&y=2&x=3", "https", "HTTP/1.1", "/a/b?x=1&y=2&x=3",
                       "/a/b"]


def test_query_parameters(values):
    assert values(["req.url.query_params['x']", "getQueryParam('y')", "getQueryParam('none')",
                   "hasQueryParam('x')", "hasQueryParam('none')", "'x' in req.url.query_params"]) \
        == [["1", "3"], ["2"], [], True, False, True]


def test_normalized_url(values):
    got = values(["req.url.path", "req.url.raw_path"], target="/a/./b/../%7Ec%2fd")
    assert got[0] == "/a/~c/d"
    assert got[1] == "/a/./b/../%7Ec%2fd"


def test_headers(values):
    got = values(["req.headers['x-multi']", "req.headers['X-MULTI'][1]", "getReqHeader('X-Multi')",
                  "hasReqHeader('none')", "req.headers['none']", "size(req.headers['none'])",
                  "'x-multi' in req.headers", "req.content_type", "req.content_type.raw",
                  "req.content_type.parameters['charset']", "req.content_length",
                  "req.user_agent"],
                 headers=[("X-Multi", "a"), ("x-multi", "b"), ("User-Agent", "curl/8.5.0"),
                          ("Content-Type", "Text/HTML; charset=utf-8")],
                 method="POST", body=b"12345")
    assert got == [["a", "b"], "b", ["a", "b"], False, [], 0, True, "text/html",
                   "Text/HTML; charset=utf-8", "utf-8", 5, "curl/8.5.0"]


def test_cookies(values):
    got = values(["req.cookies['a'][0].value", "getReqCookie('b').value", "hasReqCookie('none')",
                  "getReqCookie('none').value", "size(req.cookies['a'])"],
                 headers=[("Cookie", "a=1; b=two; a=3")])
    assert got == ["1", "two", False, "", 2]


def test_user_agent(values):
    agent = ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 "
             "(KHTML, like Gecko) Version/17.4 Mobile/15E148 Safari/604.1")
    got = values(["req.user_agent.name", "req.user_agent.os", "req.user_agent.is_mobile",
                  "req.user_agent.is_bot"], headers=[("User-Agent", agent)])
    assert got == ["Safari", "iOS", True, False]


def test_connection(values):
    got = values(["conn.client_ip", "conn.server_ip", "conn.server_region", "conn.tls.version",
                  "conn.tls.sni == req.url.host", "conn.client_port > 0", "conn.geo.country",
                  "conn.client_ip.categories", "conn.ts.start <= timestamp(time.now)",
                  "conn.bytes_in > 0", "conn.tls.client.subject.common_name",
                  "conn.tls.server.san.dns_names.size() > 0",
                  "conn.tls.server.validity.not_after > timestamp(time.now)"])
    assert got == ["127.0.0.1", "127.0.0.1", "local", "1.3", True, True, "", [], True, True, "",
                   True, True]


def test_endpoint(values):
    got = values(["endpoint.host", "endpoint.port", "endpoint.protocol", "endpoint.url",
                  "endpoint.addr", "endpoint.id.startsWith('ep_')"])
    assert got == [values.host, 443, "https", f"https://{values.host}", f"{values.host}:443", True]


def test_response(scene):
    app = scene.app()

    def cookies(conn, request):
        app.skip(conn, request)
        conn.respond(b"body", "201 Created", ["Set-Cookie: a=1; Path=/; HttpOnly; Max-Age=60",
                                              "Set-Cookie: a=2; Path=/deep; Secure; SameSite=Lax",
                                              "Location: /x", "Content-Type: text/plain; a=b"])

    app.route("/c", cookies)
    names = ["res.status_code", "res.cookies['a'][0].value", "getResCookie('a').path",
             "res.cookies['a'][1].http_only", "string(res.cookies['a'][1].max_age)",
             "res.location", "res.content_type", "res.content_length", "getResHeader('location')",
             "hasResHeader('none')", "hasResCookie('a')", "req.method"]
    g = Guarded(scene, on_response(("add-headers", {"headers": {
        f"x-{i}": "${json.encode(" + name + ")}" for i, name in enumerate(names[:10])}}),
        ("add-headers", {"headers": {
            f"x-{i + 10}": "${json.encode(" + name + ")}" for i, name in enumerate(names[10:])}})),
        upstream=app)
    answer = g.request("/c")
    got = [json.loads(answer.header(f"x-{i}")) for i in range(len(names))]
    assert got == [201, "2", "/deep", True, "60s", "/x", "text/plain", 4, ["/x"], False, True,
                   "GET"]


def test_variables_after_a_rewrite(scene):
    g = Guarded(scene, merge(
        on_request(("url-rewrite", {"from": "/old", "to": "/new"})),
        on_request(("custom-response", {"body": "${req.url.path} ${req.url}"}))))
    assert g.request("/old/x").text == f"/new/x https://{g.host}:{g.scene.gateway.https_port}/new/x" \
        or g.request("/old/x").text == f"/new/x https://{g.host}/new/x"


def test_what_no_database_knows_is_empty(values):
    assert values(["conn.client_ip.as.number", "conn.client_ip.geo.location.is_eu",
                   "conn.client_ip.is_tor_node", "conn.k8s.pod.metadata.error_code"]) \
        == [0, False, False, "ERR_NGROK_28001"]
