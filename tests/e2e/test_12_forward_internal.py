"""forward-internal: requests that policies hand over to internal endpoints, and what comes back."""

import base64
import crypt
import json
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib import codings
from lib.content import content, digest
from lib.gateway import DOMAIN
from lib.internal import Inside, add, echo_of, entrance, forward, mark, refused
from lib.policy import Guarded, event_of, merge, on_request, on_response, rule, stdin_of
from lib.ports import free_port
from lib.wait import wait_until

SETTINGS = {"workers": 3}
MIB = 1024 * 1024
PASSWORD = "correct horse"
HASH = crypt.crypt(PASSWORD, "$6$rounds=5000$saltsalt$")


def basic(user, password):
    return "Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture
def inside(scene):
    return lambda name, *args, **kw: Inside(scene, name, *args, **kw)


@pytest.fixture
def front(scene):
    return lambda *parts, **kw: entrance(scene, *parts, **kw)


# ---- where requests go ----


ROUTES = """
    on_http_request:
      - expressions: ["req.url.path.startsWith('/api/')"]
        actions:
          - type: url-rewrite
            config: {from: "/api/", to: "/"}
          - type: forward-internal
            config: {url: "https://api.internal"}
      - expressions: ["'x-tier' in req.headers"]
        actions:
          - type: forward-internal
            config: {url: "http://${req.headers['x-tier'][0]}.tiers.internal:8080"}
      - actions:
          - type: forward-internal
            config: {url: "https://${req.host.split('.')[0]}.apps.internal"}
    """


def test_routes_by_path_header_and_name(scene, inside):
    """Five endpoints of five sessions, which sit on all workers; none gets another's request."""
    name = scene.name()
    inside("api")
    for tier in ("gold", "lead"):
        inside(f"{tier}.tiers", port=8080, flags="--scheme http")
    for app in ("one", "two"):
        inside(f"{app}.apps")
    public = Guarded(scene, ROUTES, host=f"*.{name}.{DOMAIN}")

    def ask(case):
        sub, target, headers, expected = case
        with scene.https(f"{sub}.{name}.{DOMAIN}") as conn:
            return conn.get(target, headers).text.strip(), f"hello from {expected}"

    cases = [("one", "/api/hello", [], "api"),
             ("one", "/hello", [("X-Tier", "gold")], "gold.tiers"),
             ("two", "/hello", [("X-Tier", "lead")], "lead.tiers"),
             ("one", "/hello", [], "one.apps"), ("two", "/hello", [], "two.apps")] * 20
    with ThreadPoolExecutor(8) as pool:
        for got, expected in pool.map(ask, cases):
            assert got == expected
    assert not public.app.seen


def test_upstream_sees_the_visitors_request(scene, inside, front):
    """Host stays the public one; x-forwarded-* stand once; path, query and method as rewritten."""
    target = inside("api", forward("deep"))
    deep = inside("deep")
    g = front(on_request(("url-rewrite", {"from": "/old/(.*)", "to": "/echo?was=$1"})),
              forward("api"))
    seen = echo_of(g.request("/old/x", method="PATCH", body=b"body",
                             headers=[("X-Forwarded-For", "10.1.2.3")]))
    assert (seen.method, seen.target, seen.length) == ("PATCH", "/echo?was=x", 4)
    assert seen.header("host") == f"{g.host}:{scene.gateway.https_port}"
    assert seen.header("x-forwarded-for") == "10.1.2.3, 127.0.0.1"
    assert seen.header("x-forwarded-proto") == "https"
    assert seen.header("x-forwarded-host") == seen.header("host")
    assert len(deep.app.seen) == 1 and not target.app.seen and not g.app.seen


def test_http_and_https_are_one_family(front, inside):
    """No TLS happens in between, but the scheme must be that of the endpoint's URL."""
    inside("plain", port=80)
    inside("secure")
    assert front(forward("http://plain.internal")).request("/hello").status == 200
    assert front(forward("https://secure.internal"), port=80).request("/hello").status == 200
    refused(front(forward("https://plain.internal")).request("/hello"), 404, 3200)
    refused(front(forward("http://secure.internal")).request("/hello"), 404, 3200)


def test_default_ports_and_own_ports(front, inside):
    inside("odd", port=1234)
    assert front(forward("https://odd.internal:1234")).request("/hello").status == 200
    refused(front(forward("https://odd.internal")).request("/hello"), 404, 3200)
    assert front(forward("HTTPS://ODD.internal:1234")).request("/hello").status == 200


def test_most_specific_wildcard_wins(scene, front, inside):
    inside("*.apps")
    inside("*.eu.apps")
    inside("one.eu.apps")
    g = front(forward("https://${req.headers['x-to'][0]}.internal"))
    for to, expected in (("one.eu.apps", "one.eu.apps"), ("two.eu.apps", "*.eu.apps"),
                         ("a.b.eu.apps", "*.eu.apps"), ("two.apps", "*.apps")):
        assert g.request("/hello", [("X-To", to)]).text == f"hello from {expected}\n"
    refused(g.request("/hello", [("X-To", "apps")]), 404, 3200)


@pytest.mark.parametrize("to", ["x.example.test", "-bad-.internal", "a.b.c.d.e.f.internal", "",
                                "x.internal/path", "x.internal:0", "x.internal:99999",
                                "u@x.internal", "*.internal"])
def test_names_that_are_none(front, inside, to):
    inside("x")
    g = front(forward("https://${req.headers['x-to'][0]}"))
    refused(g.request("/hello", [("X-To", to)]), 404, 3200)


def test_connections_are_another_protocol(scene, front):
    """A tcp endpoint gets no requests."""
    app = scene.app()
    scene.ssh(f"db.internal:5432:127.0.0.1:{app.port}", command="tcp").wait_out(1)
    refused(front(forward("tcp://db.internal:5432")).request("/hello"), 404, 3200)
    assert not app.seen


def test_another_accounts_endpoint_is_as_good_as_none(scene, front, inside):
    """One name in two accounts: each gets its own, and what is only the other's is not there."""
    inside("api", upstream=scene.app(name="alice"))
    inside("api", upstream=scene.app(name="bob"), key="bob")
    inside("bobs", key="bob")
    g = front(forward("https://${req.headers['x-to'][0]}.internal"))
    other = front(forward("api"), key="bob")
    assert g.request("/hello", [("X-To", "api")]).text == "hello from alice\n"
    assert other.request("/hello").text == "hello from bob\n"
    hidden, missing = (g.request("/hello", [("X-To", to)]) for to in ("bobs", "none"))
    refused(hidden, 404, 3200)
    assert hidden.text.replace("bobs", "none") == missing.text
    assert hidden.headers == missing.headers


def test_internal_names_are_not_public(scene, front, inside):
    """Neither by Host nor by SNI."""
    inside("api")
    g = front(forward("api"))
    with scene.https("api.internal", sni=g.host) as conn:
        refused(conn.get("/hello"), 404, 3200)
    with scene.http("api.internal") as conn:
        refused(conn.get("/hello"), 404, 3200)
    with pytest.raises(ssl.SSLError):
        scene.https("api.internal")


# ---- policies at both ends ----


def test_phases_run_in_order(front, inside):
    """Requests outside in, responses inside out."""
    inside("first", merge(mark("first"), forward("second")))
    inside("second", mark("second"))
    response = front(mark("public"), forward("first")).request("/echo")
    assert echo_of(response).all("x-way") == ["public", "first", "second"]
    assert response.all("x-way") == ["second", "first", "public"]


def test_each_policy_has_its_own_variables(front, inside):
    """vars and results are not shared; endpoint.* is the own one; req.* the request as it is."""
    show = ("${endpoint.url} ${has(vars.x)} ${actions.ngrok.add_headers == null} "
            "${req.headers['x-from'][0]}")
    inside("api", on_request(("add-headers", {"headers": {"x-inner": show}})))
    g = front(on_request(("set-vars", {"vars": [{"x": "1"}]}),
                         ("add-headers",
                          {"headers": {"x-from": "outside", "x-outer": "${vars.x}"}})),
              forward("api"))
    seen = g.echo()
    assert seen.header("x-outer") == "1"
    assert seen.header("x-inner") == "https://api.internal false true outside"


def test_basic_auth_on_the_internal_endpoint(front, inside):
    """Its 401 is an answer, which the public policy sees; the hash is checked off the loop."""
    inside("api", on_request(("basic-auth", {"credentials": [f"me:{PASSWORD}"], "realm": "in"})))
    g = front(forward("api", on_error="continue"),
              add("on_http_response", x_seen="${res.status_code}"))
    response = g.request("/hello")
    assert (response.status, response.header("x-seen")) == (401, "401")
    assert 'realm="in"' in response.header("www-authenticate")
    good = g.request("/hello", [basic("me", PASSWORD)])
    assert (good.status, good.header("x-seen")) == (200, "200")


def test_both_policies_wait(front, inside):
    """Password hashes in both request phases, whole bodies in all four phases."""
    guard = ("basic-auth", {"credentials": [f"me:{HASH}"], "realm": "r"})

    def swap(*words):
        return {"replacements": [{"from": words[0], "to": words[1]}]}

    def both(a, b, c):
        return merge(on_request(guard, ("request-body-find-replace", swap(a, b))),
                     on_response(("response-body-find-replace", swap(b, c))))

    inside("api", both("two", "three", "four"))
    g = front(merge(both("one", "two", "X"),
                    {"on_http_response": [{"actions": [{"type": "response-body-find-replace",
                                                        "config": swap("four", "five")}]}]}),
              forward("api"))
    response = g.request("/mirror", [basic("me", PASSWORD)], "POST", b"one, two, one")
    assert response.text == "five, five, five"
    assert g.request("/mirror", method="POST", body=b"one").status == 401


def test_custom_response_of_the_internal_endpoint(front, inside):
    """Its own rules for responses run, then the public ones."""
    inside("api", merge(on_request(("custom-response", {"status_code": 503, "body": "closed"})),
                        add("on_http_response", x_way="inner")))
    g = front(forward("api", on_error="continue"), add("on_http_response", x_way="public"))
    response = g.request("/hello")
    assert (response.status, response.text) == (503, "closed")
    assert response.all("x-way") == ["inner", "public"]
    head = g.request("/hello", method="HEAD")
    assert (head.status, head.body, head.header("content-length")) == (503, b"", "6")


def test_deny_of_the_internal_endpoint(front, inside):
    """It is the endpoint's answer: its own response rules are over, those of the public one run."""
    inside("api", merge(on_request("deny"), add("on_http_response", x_way="inner")))
    g = front(forward("api", on_error="continue"), add("on_http_response", x_way="public"))
    response = g.request("/hello")
    assert (response.status, response.body, response.all("x-way")) == (403, b"", ["public"])


def test_public_policy_replaces_the_answer(front, inside):
    inside("api", merge(on_request("deny"), on_response(("compress-response", {}))))
    g = front(forward("api"),
              on_response(("custom-response", {"status_code": 200, "body": "nothing to see"}),
                          expressions=["res.status_code >= 400"]))
    response = g.request("/hello", [("Accept-Encoding", "gzip")])
    assert (response.status, response.text, response.error_code) == (200, "nothing to see", None)


def test_close_connection_of_the_internal_endpoint(front, inside):
    inside("api", on_request("close-connection"))
    with front(forward("api")).conn() as conn:
        conn.send(conn.request_bytes("GET", "/hello"))
        assert conn.read_all() == b""


def test_compression_at_the_public_end(front, inside):
    inside("api")
    g = front(forward("api"), on_response(("compress-response", {"algorithms": ["br"]})))
    response = g.request("/bytes/100000", [("Accept-Encoding", "br")])
    assert response.header("content-encoding") == "br"
    assert codings.decode("br", response.body) == content(100000)


def test_compression_inside_and_replacing_outside(front, inside):
    """What the internal endpoint makes of a body is what the public policy reads."""
    inside("api", on_response(("compress-response", {"algorithms": ["gzip"]})))
    replaced = ("response-body-find-replace",
                {"replacements": [{"from": "hello from api", "to": "good bye"}]})
    accept = [("Accept-Encoding", "gzip, br")]
    response = front(forward("api"), on_response(replaced)).request("/hello", accept)
    assert (response.text, response.header("content-encoding")) == ("good bye\n", None)
    again = ("compress-response", {"algorithms": ["br"]})
    response = front(forward("api"), on_response(replaced, again)).request("/hello", accept)
    assert response.header("content-encoding") == "br"
    assert codings.decode("br", response.body) == b"good bye\n"
    both = front(forward("api"), on_response(again)).request("/hello", accept)
    assert both.header("content-encoding") == "gzip"
    assert codings.decode("gzip", both.body) == b"hello from api\n"


class Stream:
    """Three messages; the others wait behind the first until `more` is set."""

    def __init__(self):
        self.more = threading.Event()

    def __call__(self, conn, request):
        conn.read_body(request, lambda data: None, 60)
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                  b"Transfer-Encoding: chunked\r\n\r\n")
        for i in range(3):
            message = b"data: one two %d\n\n" % i
            conn.send(b"%x\r\n%s\r\n" % (len(message), message))
            self.more.wait(60)
        conn.send(b"0\r\n\r\n")


def replaces_in_messages(old, new):
    return rule("on_event_stream_message",
                ("sse-find-replace", {"replacements": [{"field": "data", "from": old, "to": new}]}))


def test_event_streams_pass_both_policies(front, inside):
    """The internal endpoint edits messages first; they come one by one, compressed in between."""
    api = inside("api", merge(replaces_in_messages("one", "two"),
                              on_response(("compress-response", {"algorithms": ["gzip"]}))))
    stream = Stream()
    api.app.route("/events", stream)
    g = front(forward("api"), replaces_in_messages("two", "three"))
    with g.conn() as conn:
        conn.send(conn.request_bytes("GET", "/events"))
        conn.read_until(b"three three 0")
        stream.more.set()
        conn.read_until(b"three three 2")
    response = g.request("/events", [("Accept-Encoding", "gzip")])
    assert response.text == "".join(f"data: three three {i}\n\n" for i in range(3))


def test_location_is_rewritten_to_the_public_name(scene, front, inside):
    """The internal endpoint's policy renames the host for its upstream."""
    api = inside("api", on_request(("add-headers", {"headers": {"host": "localhost"}})))

    def redirect(conn, request):
        assert request.header("host") == "localhost"
        conn.respond(b"", "302 Found", ["Location: http://localhost/there"])

    api.app.route("/moved", redirect)
    g = front(forward("api"))
    assert g.request("/moved").header("location") == \
        f"https://{g.host}:{scene.gateway.https_port}/there"


def test_circuit_breaker_in_front_of_an_internal_endpoint(front, inside):
    """What is behind the forward is its upstream."""
    inside("api")
    breaker = on_request(("circuit-breaker", {
        "error_threshold": 0.5, "volume_threshold": 2, "window_duration": "60s",
        "tripped_duration": "60s"}))
    g = front(breaker, forward("api"))
    assert [g.request("/status/500").status for _ in range(3)] == [500, 500, 503]
    gone = front(breaker, forward("closed"))
    inside("closed", upstream=free_port())
    assert [gone.request("/hello").status for _ in range(3)] == [502, 502, 503]


# ---- connections ----


def test_upstream_connections_are_kept(front, inside):
    """Many requests, of many visitors, use one connection to the internal endpoint's upstream."""
    api = inside("api")
    g = front(forward("api"))
    with g.conn() as conn:
        for _ in range(30):
            assert conn.get("/hello").status == 200
    for _ in range(10):
        seen = g.echo()
    assert len(api.app.connections) <= 3  # one for each worker that visitors came to
    assert len(api.app.seen) == 40 and seen.method == "GET"


def test_two_visitors_at_once(front, inside):
    """Requests do not wait for each other, whichever workers they are on."""
    inside("api")
    g = front(forward("api"))

    def fetch(i):
        with g.conn(seconds=30) as conn:
            return conn.upload("/upload", MIB, seed=i).text == f"{MIB} {digest(MIB, i)}"

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(fetch, range(24)))


def accept_request(up):
    """The next connection that brings a request: visitors who have left may have brought others here."""
    while True:
        upstream = up.accept()
        try:
            upstream.read_head()
            return upstream
        except EOFError:
            pass


def test_visitor_who_leaves(scene, front, inside):
    """At any step; the scene then checks that nothing is left."""
    up = scene.scripted()
    inside("api", on_request(("basic-auth", {"credentials": [f"me:{HASH}"]})),
           upstream=up)
    g = front(forward("api"))
    for wait in (False, True):
        conn = g.conn()
        conn.send(conn.request_bytes("GET", "/hello", [basic("me", PASSWORD)]))
        if wait:
            upstream = accept_request(up)
        conn.close()
    if wait:
        upstream.wait_eof()


# ---- what is told ----


def test_access_log_has_one_line(scene, front, inside):
    """It is the public endpoint's, and says where the request went, as that endpoint sent it."""
    deep = inside("deep", rule("on_http_request", ("log", {"metadata": {"who": "deep"}})))
    inside("api", merge(on_request(("url-rewrite", {"from": "/teapot", "to": "/status/418"})),
                        forward("deep")))
    g = front(rule("on_http_request", ("log", {"metadata": {"who": "public"}})), forward("api"))
    mark_ = scene.gateway.mark()
    assert g.request("/teapot").status == 418
    event = event_of(g, "/teapot")
    assert event["endpoint"]["url"].startswith(f"https://{g.host}")
    assert event["forward_internal"]["endpoint_url"] == "https://deep.internal"
    assert event["forward_internal"]["hops"] == 2
    assert "public" in str(event["traffic_policy"]["logs"])
    assert "deep" not in str(event["traffic_policy"]["logs"])
    assert g.request("/last").status == 404
    event_of(g, "/last")
    lines = scene.gateway.entries(mark_, "http_request_complete")
    assert len([e for e in lines if g.host in e["http"]["request"]["url"]["host"]]) == 2
    assert deep.app.seen


def test_both_terminals_show_the_request(scene, front, inside):
    """Each the status of its own endpoint; one that was tried and failed shows that too."""
    closed = inside("closed", upstream=free_port(), flags="--log stderr")
    api = inside("api", on_request("deny"), flags="--log stderr")
    g = front(forward("closed", on_error="continue"), forward("api"),
              on_response(("custom-response", {"status_code": 200, "body": "x"})),
              flags="--log stderr")
    assert g.request("/shown").status == 200
    for tunnel, status in ((g.tunnel, 200), (api.tunnel, 403), (closed.tunnel, 502)):
        line = wait_until(lambda t=tunnel: next((x for x in t.err if "path=/shown" in x), None),
                          lambda t=tunnel: f"a line for /shown in {t.err}")
        assert f"status_code={status} " in line


# ---- creating ----


def creation_error(scene, document, flags="", host="api.internal", port=443):
    app = scene.app()
    ssh = scene.ssh(f"{host}:{port}:127.0.0.1:{app.port}",
                    command=f"http --traffic-policy-file - {flags}".strip(),
                    stdin=stdin_of(json.dumps(document)))
    assert ssh.wait_exit() == 1
    return "\n".join(ssh.err)


@pytest.mark.parametrize("port", [80, 443])
def test_internal_http_endpoints_have_no_on_tcp_connect(scene, port):
    text = creation_error(scene, rule("on_tcp_connect", "deny"), port=port)
    assert "on_tcp_connect" in text and "(2262)" in text


@pytest.mark.parametrize("kind, remote", [("tcp", "db.internal:5432"), ("tls", "db.internal:443")])
def test_internal_tcp_and_tls_endpoints_have_it(scene, kind, remote):
    app = scene.app()
    scene.ssh(f"{remote}:127.0.0.1:{app.port}", command=f"{kind} --traffic-policy-file -",
              stdin=stdin_of(json.dumps(rule("on_tcp_connect", "deny")))).urls(1)


def test_operators_rules_for_connections_are_left_out(scene):
    """They have run where the connection came in, so they must not keep internal endpoints away."""
    policy = scene.directory / "all.yml"
    policy.write_text(json.dumps(merge(
        rule("on_tcp_connect", ("restrict-ips", {"allow": ["127.0.0.0/8"]})),
        add("on_http_request", x_operator="${endpoint.host}"))))
    scene.start_gateway({"policies": ({"file": str(policy)},)})
    Inside(scene, "api")
    g = entrance(scene, forward("api"))
    assert g.echo().all("x-operator") == [g.host, "api.internal"]
