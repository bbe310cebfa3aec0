"""Header fields: what the gateway adds, removes, rewrites and leaves alone; its flags."""

import base64
import json
import re

import pytest

from lib.gateway import DOMAIN
from lib.ports import free_port


@pytest.fixture
def seen(scene):
    """seen(flags, request headers) -> the request as the upstream got it."""

    def run(flags="", headers=(), method="GET", scheme="https", **kw):
        up = scene.scripted()
        tunnel = scene.tunnel(up, flags=flags, port=443 if scheme == "https" else 80, **kw)
        conn = scene.https(tunnel) if scheme == "https" else scene.http(tunnel)
        conn.send(conn.request_bytes(method, "/", headers))
        upstream = up.accept()
        request = upstream.read_request()
        upstream.respond()
        assert conn.read_response(method).status == 200
        request.authority = conn.authority
        return request

    return run


@pytest.fixture
def answered(scene):
    """answered(response fields, flags) -> the response as the visitor got it."""

    def run(fields, flags="", headers=()):
        up = scene.scripted()
        tunnel = scene.tunnel(up, flags=flags)
        conn = scene.https(tunnel)
        conn.send(conn.request_bytes("GET", "/", headers))
        upstream = up.accept()
        upstream.read_request()
        upstream.respond(b"body", headers=fields)
        response = conn.read_response()
        response.tunnel = tunnel
        return response

    return run


# ---- x-forwarded-* ----


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_forwarded_fields(seen, scheme):
    """x-forwarded-for, -proto and -host, named in lower case."""
    request = seen(scheme=scheme)
    assert request.header("x-forwarded-for") == "127.0.0.1"
    assert request.header("x-forwarded-proto") == scheme
    assert request.header("x-forwarded-host") == request.authority
    assert all(n in (x for x, _ in request.headers) for n in (
        "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"))


def test_forwarded_fields_of_the_client(seen):
    """-for and -proto are appended to, in one line; -host is left as the client sent it."""
    request = seen(headers=[("X-Forwarded-For", "1.2.3.4"), ("X-Forwarded-Proto", "gopher"),
                            ("X-Forwarded-Host", "original.example")])
    assert request.header("x-forwarded-for") == "1.2.3.4, 127.0.0.1"
    assert request.header("x-forwarded-proto") == "gopher, https"
    assert request.header("x-forwarded-host") == "original.example"


def test_forwarded_for_in_several_lines(seen):
    """Several lines of the client become one."""
    request = seen(headers=[("X-Forwarded-For", "1.2.3.4"), ("x-forwarded-for", "5.6.7.8, 9.9.9.9")])
    assert request.header("x-forwarded-for") == "1.2.3.4, 5.6.7.8, 9.9.9.9, 127.0.0.1"


def test_empty_forwarded_for(seen):
    """An empty one of the client is no element."""
    request = seen(headers=[("X-Forwarded-For", "")])
    assert request.header("x-forwarded-for").strip(", ") == "127.0.0.1"


# ---- hop by hop and reserved ----


HOP = ["Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "TE", "Trailer", "Trailers",
       "Proxy-Connection"]


@pytest.mark.parametrize("name", HOP)
def test_hop_by_hop_fields_of_the_visitor(seen, name):
    """Hop-by-hop fields are never forwarded."""
    assert seen(headers=[(name, "x")]).all(name) == []


def test_fields_named_in_connection(seen):
    """Every name in Connection goes too, but not what the gateway adds itself."""
    request = seen(headers=[("Connection", "X-Secret, keep-alive, X-Other"), ("X-Secret", "1"),
                            ("x-other", "2"), ("X-Kept", "3")])
    assert request.all("x-secret") == request.all("x-other") == []
    assert request.header("x-kept") == "3"
    assert request.all("connection") in ([], ["keep-alive"])


def test_connection_cannot_remove_what_matters(seen):
    """Connection: host, x-forwarded-for does not make them vanish upstream."""
    request = seen(headers=[("Connection", "host, x-forwarded-for, x-forwarded-proto, cookie"),
                            ("Cookie", "a=b")])
    assert request.header("host") == request.authority
    assert request.header("x-forwarded-for") == "127.0.0.1"
    assert request.header("x-forwarded-proto") == "https"


def test_hop_by_hop_fields_of_the_upstream(answered):
    """The same for responses."""
    response = answered(["Connection: X-Secret", "X-Secret: 1", "Keep-Alive: timeout=5",
                         "Proxy-Authenticate: Basic", "Proxy-Connection: x", "X-Kept: 2"])
    for name in ("x-secret", "keep-alive", "proxy-authenticate", "proxy-connection"):
        assert response.all(name) == [], name
    assert response.header("x-kept") == "2"


RESERVED = ["ngrok-auth-user-id", "Ngrok-Mtls-Subject-CN", "sallyport-auth-user-email",
            "Sallyport-Mtls-Serial-Number", "sallyport-error-code", "ngrok-error-code"]


@pytest.mark.parametrize("name", RESERVED)
def test_reserved_fields_of_the_visitor(seen, name):
    """A visitor cannot claim what only the gateway may say."""
    assert seen(headers=[(name, "forged")]).all(name) == []


@pytest.mark.parametrize("name", ["Sallyport-Error-Code", "sallyport-error-code",
                                  "Ngrok-Error-Code"])
def test_error_code_of_the_upstream_is_removed(scene, answered, name):
    """An upstream cannot forge the gateway's error code; removals are counted."""
    before = scene.gateway.metrics()["sallyport_upstream_error_headers_total"]
    response = answered([f"{name}: ERR_SALLYPORT_3200", "X-Kept: 1"])
    assert response.all(name) == []
    assert response.header("x-kept") == "1"
    assert scene.gateway.metrics()["sallyport_upstream_error_headers_total"] == before + 1


# ---- what passes ----


def test_fields_pass_in_order(seen):
    """Other fields keep their order, their repetitions and their bytes."""
    fields = [("X-B", "1"), ("X-A", "2"), ("X-B", "3"), ("Cookie", "a=b; c=d"), ("X-Latin", "\xe9"),
              ("X-Empty", ""), ("X-Spaces", "a  b"), ("Authorization", "Bearer x")]
    request = seen(headers=fields)
    names = {n.lower() for n, _ in fields}
    assert [(n.lower(), v) for n, v in request.headers if n.lower() in names] == \
        [(n.lower(), v) for n, v in fields]


def test_response_fields_pass_in_order(answered):
    """Several Set-Cookie lines stay several."""
    response = answered(["Set-Cookie: a=1; Path=/", "Set-Cookie: b=2", "X-Latin: \xe9",
                         "Server: mine", "Date: yesterday"])
    assert response.all("set-cookie") == ["a=1; Path=/", "b=2"]
    assert response.header("server") == "mine"
    assert response.header("date") == "yesterday"
    assert response.header("x-latin") == "\xe9"


def test_accept_encoding_passes(seen, answered):
    """The gateway neither compresses nor decompresses."""
    assert seen(headers=[("Accept-Encoding", "gzip, br")]).header("accept-encoding") == "gzip, br"
    assert answered(["Content-Encoding: gzip"]).body == b"body"


def test_range_requests(answered):
    """Range and Content-Range pass."""
    assert answered(["Content-Range: bytes 0-3/10"]).header("content-range") == "bytes 0-3/10"


# ---- basic auth ----


def basic(user, password):
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    return ("Authorization", f"Basic {token}")


AUTH = "--basic-auth alice:password1 --basic-auth bob:pass:word:2 --basic-auth carol:p\u00e4ssword"


@pytest.mark.parametrize("header,status", [
    (basic("alice", "password1"), 200),
    (basic("bob", "pass:word:2"), 200),
    (basic("carol", "p\u00e4ssword"), 200),
    (("Authorization", "bASIC " + base64.b64encode(b"alice:password1").decode()), 200),
    (("Authorization", "Basic   " + base64.b64encode(b"alice:password1").decode()), 200),
    (basic("alice", "password2"), 401),
    (basic("alice", "password1 "), 401),
    (basic("Alice", "password1"), 401),
    (basic("alice", "pass:word:2"), 401),
    (basic("", ""), 401),
    (("Authorization", "Basic"), 401),
    (("Authorization", "Basic !!!!"), 401),
    (("Authorization", "Basic YWxpY2U"), 401),
    (("Authorization", "Bearer x"), 401),
    (("Authorization", "Digest username=alice"), 401),
    (("X-Nothing", "x"), 401),
], ids=range(16))
def test_basic_auth(scene, header, status):
    """Any of several credentials opens, nothing else does; the upstream sees nothing of a 401."""
    app = scene.app()
    tunnel = scene.tunnel(app, flags=AUTH)
    response = scene.get(tunnel, "/hello", [header])
    assert response.status == status
    if status == 401:
        assert re.match('Basic realm="', response.header("www-authenticate"))
        assert app.seen == []


def test_two_authorization_fields(scene):
    """An ambiguous request does not slip through."""
    app = scene.app()
    tunnel = scene.tunnel(app, flags=AUTH)
    response = scene.get(tunnel, "/hello", [("Authorization", "Bearer x"),
                                            basic("alice", "password1")])
    assert response.status in (400, 401)
    assert app.seen == []


def test_credentials_pass_to_the_upstream(scene):
    """Authorization is passed on unchanged."""
    app = scene.app()
    tunnel = scene.tunnel(app, flags=AUTH)
    echo = json.loads(scene.get(tunnel, "/echo", [basic("alice", "password1")]).body)
    seen = {n.lower(): v for n, v in echo["headers"]}
    assert seen["authorization"] == basic("alice", "password1")[1]


@pytest.mark.parametrize("size", [1, 100000, 3000000])
def test_basic_auth_body_of_a_refused_request(scene, size):
    """A refused upload neither hangs nor poisons the connection, and its answer is not lost to a
    reset while the body is still on its way."""
    app = scene.app()
    tunnel = scene.tunnel(app, flags=AUTH)
    conn = scene.https(tunnel)
    response = conn.request("POST", "/upload", body=b"x" * size)
    assert response.status == 401
    if response.header("connection") != "close":
        assert conn.get("/hello", [basic("alice", "password1")]).status == 200


def test_secrets_are_in_no_log(scene):
    """Neither right nor wrong passwords appear in the gateway's log."""
    tunnel = scene.tunnel(scene.app(), flags="--basic-auth alice:verysecret1")
    scene.get(tunnel, "/hello", [basic("alice", "verysecret1")])
    scene.get(tunnel, "/hello?token=urltoken", [basic("alice", "wrongsecret2"),
                                                ("Cookie", "cookiesecret3")])
    mark = "\n".join(map(str, scene.gateway.log)) + "\n".join(scene.gateway.noise)
    for secret in ("verysecret1", "wrongsecret2", "cookiesecret3",
                   basic("alice", "verysecret1")[1].split()[1]):
        assert secret not in mark
        assert secret not in "\n".join(tunnel.err + tunnel.out)


# ---- adding and removing ----


def test_request_header_flags(seen):
    """Remove runs before add; add appends to what is there; names in lower case."""
    request = seen("--request-header-remove=x-gone --request-header-remove X-Replaced "
                   "--request-header-add='X-Replaced: new' --request-header-add=x-more: b:c",
                   [("X-Gone", "1"), ("x-gone", "2"), ("X-Replaced", "old"), ("X-More", "a")])
    assert request.all("x-gone") == []
    assert request.all("x-replaced") == ["new"]
    assert request.all("x-more") == ["a", "b:c"]


def test_response_header_flags(answered):
    """The same for responses."""
    response = answered(["X-Gone: 1", "X-Replaced: old", "X-More: a"],
                        "--response-header-remove=x-gone --response-header-remove X-Replaced "
                        "--response-header-add='X-Replaced: new' --response-header-add=x-more: b")
    assert response.all("x-gone") == []
    assert response.all("x-replaced") == ["new"]
    assert response.all("x-more") == ["a", "b"]


def test_forwarded_fields_can_be_removed(seen):
    """Flags may remove all three."""
    request = seen("--request-header-remove x-forwarded-for --request-header-remove "
                   "x-forwarded-proto --request-header-remove x-forwarded-host")
    assert not [n for n, _ in request.headers if n.startswith("x-forwarded")]


def test_response_flags_do_not_touch_error_pages(scene):
    """Response rules are for the upstream's responses, not for the gateway's own errors."""
    tunnel = scene.tunnel(free_port(), flags="--response-header-add x-tag:1")
    response = scene.get(tunnel)
    assert response.status == 502
    assert response.header("x-tag") is None


# ---- host header ----


@pytest.mark.parametrize("flags", ["", "--host-header preserve", "--host-header=preserve"])
def test_host_passes_unchanged(seen, flags):
    """By default and with preserve, Host is the visitor's."""
    request = seen(flags)
    assert request.header("host") == request.authority


def test_host_header_value(seen):
    """A literal value replaces Host; x-forwarded-host keeps the original."""
    request = seen("--host-header internal.example:8080")
    assert request.header("host") == "internal.example:8080"
    assert request.header("x-forwarded-host") == request.authority


def test_host_header_rewrite(seen):
    """rewrite takes the host of the upstream hint."""
    assert seen("http://backend.local:3000 --host-header rewrite").header("host") in (
        "backend.local:3000", "backend.local")
    assert seen("http://backend.local --host-header rewrite").header("host") == "backend.local"


def test_host_by_request_header_add(seen):
    """--request-header-add host: replaces instead of adding."""
    request = seen("--request-header-add='host: localhost'")
    assert request.all("host") == ["localhost"]
    assert request.header("x-forwarded-host") == request.authority


LOCATIONS = [
    # rewritten Host, Location of the upstream, what the visitor sees ({} is its own authority)
    ("localhost", "http://localhost/login", "https://{}/login"),
    ("localhost", "http://LOCALHOST/login", "https://{}/login"),
    ("localhost", "http://localhost", "https://{}"),
    ("localhost", "/login", "/login"),
    ("localhost", "login", "login"),
    ("localhost", "//localhost/x", "//{}/x"),
    ("localhost:8080", "http://localhost:8080/a?b#c", "https://{}/a?b#c"),
    ("localhost", "https://other.com/", "https://other.com/"),
    ("localhost", "http://localhost.evil.com/", "http://localhost.evil.com/"),
    ("localhost", "http://localhost@evil.com/", "http://localhost@evil.com/"),
    ("localhost", "http://localhost:80/x", "https://{}/x"),
    (None, "http://localhost/", "http://localhost/"),
]


@pytest.mark.parametrize("host,location,expected", LOCATIONS,
                         ids=[f"{a}-{b}" for a, b, _ in LOCATIONS])
def test_location_is_rewritten_back(scene, answered, host, location, expected):
    """Spec 6.3: a Location that names the rewritten Host names the visitor's host again."""
    response = answered([f"Location: {location}"], f"--host-header {host}" if host else "")
    authority = f"{response.tunnel.host}:{scene.gateway.https_port}"
    assert response.header("location") == expected.format(authority)


def test_location_behind_a_wildcard(scene):
    """Behind a wildcard endpoint the visitor's own host comes back."""
    up = scene.scripted()
    scene.tunnel_to(f"*.w.{DOMAIN}", up, "--host-header app.local")
    conn = scene.https(f"a.w.{DOMAIN}")
    conn.send(conn.request_bytes("GET", "/"))
    upstream = up.accept()
    upstream.read_request()
    upstream.respond(headers=["Location: http://app.local/", "Content-Location: //app.local/y"])
    response = conn.read_response()
    assert response.header("location") == f"https://a.w.{DOMAIN}:{scene.gateway.https_port}/"
    assert response.header("content-location") == f"//a.w.{DOMAIN}:{scene.gateway.https_port}/y"


COOKIES = [
    ("a=1; Domain=localhost; Path=/", "a=1; Domain={}; Path=/"),
    ("a=1; domain=.localhost", "a=1; domain={}"),
    ("a=1; Domain=other.com", "a=1; Domain=other.com"),
    ("a=1; Path=/", "a=1; Path=/"),
    ("domain=localhost", "domain=localhost"),
]


@pytest.mark.parametrize("cookie,expected", COOKIES, ids=[c[0] for c in COOKIES])
def test_cookie_domain_is_rewritten_back(answered, cookie, expected):
    """The Domain of a cookie that names the rewritten Host names the visitor's host again."""
    response = answered([f"Set-Cookie: {cookie}"], "--host-header localhost")
    got = response.header("set-cookie").replace("=." + response.tunnel.host,
                                                "=" + response.tunnel.host)
    assert got == expected.format(response.tunnel.host)


# ---- addresses ----


@pytest.mark.parametrize("flags,status", [
    ("--cidr-allow 127.0.0.0/8", 200),
    ("--cidr-allow 127.0.0.1", 200),
    ("--cidr-allow 127.0.0.1/32", 200),
    ("--cidr-allow 10.0.0.0/8", 403),
    ("--cidr-allow 127.0.0.2/32", 403),
    ("--cidr-allow 10.0.0.0/8,127.0.0.0/8", 200),
    ("--cidr-allow 10.0.0.0/8 --cidr-allow 127.0.0.0/8", 200),
    ("--cidr-allow 0.0.0.0/0 --cidr-deny 127.0.0.0/8", 403),
    ("--cidr-allow 127.0.0.0/8 --cidr-deny 10.0.0.0/8", 200),
    ("--cidr-allow ::/0", 403),
    ("--allow-cidr 10.0.0.0/8", 403),
])
def test_cidr_flags(scene, flags, status):
    """Allowed: in an allow list and in no deny list; else 403 E3205, upstream untouched."""
    app = scene.app()
    tunnel = scene.tunnel(app, flags=flags)
    response = scene.get(tunnel, "/hello", [("X-Forwarded-For", "10.1.2.3")])
    assert response.status == status
    if status == 403:
        assert response.error_code == "ERR_SALLYPORT_3205"
        assert app.seen == []


def test_address_is_checked_before_credentials(scene):
    """restrict-ips runs before basic-auth: a foreign address learns nothing of the challenge."""
    tunnel = scene.tunnel(scene.app(),
                          flags="--basic-auth u:password1 --cidr-allow 10.0.0.0/8")
    response = scene.get(tunnel)
    assert response.status == 403
    assert response.header("www-authenticate") is None
