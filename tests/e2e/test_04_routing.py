"""From a request to its endpoint: scheme, Host, wildcards, targets, SNI; and offline names."""

import ssl

import pytest

from lib.raw import Conn
from lib.wait import wait_until

OFFLINE = "ERR_SALLYPORT_3200"


@pytest.fixture
def app(scene):
    return scene.app()


@pytest.fixture
def visit(scene, app):
    """visit(request bytes) -> response, on the plain port with the endpoint r.example.test."""
    scene.plain(app, name="r")

    def send(data):
        conn = scene.http("r.example.test")
        conn.send(data)
        return conn.read_response()

    return send


HOSTS = ["r.example.test", "R.Example.TEST", "r.example.test.", "r.example.test:80",
         "r.example.test:9999", "R.EXAMPLE.TEST.:8080"]


@pytest.mark.parametrize("host", HOSTS)
def test_host_variants_reach_the_endpoint(visit, host):
    """Case, one trailing dot and the port do not matter for routing, and Host passes unchanged."""
    response = visit(f"GET /host HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert (response.status, response.text) == (200, host)


STRANGERS = ["other.example.test", "r.example.test.evil.com", "xr.example.test", "example.test",
             "127.0.0.1", "[::1]", "[::1]:80", "[2001:db8::1]:8080", "localhost",
             "x" * 63 + ".example.test", "xn--bcher-kva.example.test"]


@pytest.mark.parametrize("host", STRANGERS)
def test_other_hosts_are_offline(visit, host):
    """A valid name without an endpoint: 404 E3200."""
    response = visit(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert (response.status, response.error_code) == (404, OFFLINE)


def test_punycode_name(scene, app):
    """An IDN endpoint is reached by its punycode name, in any case."""
    scene.tunnel_to("xn--bcher-kva.example.test", app, port=80)
    assert scene.http("XN--Bcher-KVA.example.test").get("/hello").status == 200


def test_unicode_url_flag(scene, app):
    """--url with a name in Unicode becomes punycode."""
    ssh = scene.ssh(f"0:127.0.0.1:{app.port}", command="http --url https://bücher.example.test")
    assert ssh.url.startswith("https://xn--bcher-kva.example.test")
    assert scene.get("xn--bcher-kva.example.test").status == 200


# ---- targets ----


def test_absolute_target_decides(visit):
    """The host of an absolute target rules over the Host field; upstream gets the origin form."""
    response = visit(b"GET http://r.example.test/echo?x=1 HTTP/1.1\r\nHost: other.example.test\r\n"
                     b"\r\n")
    assert response.status == 200
    assert b'"/echo?x=1"' in response.body


def test_absolute_target_is_the_host_upstream(visit):
    """The Host the upstream sees is that of the target."""
    response = visit(b"GET http://R.example.test:81/host HTTP/1.1\r\nHost: evil.example\r\n\r\n")
    assert response.text == "R.example.test:81"


def test_absolute_target_elsewhere_is_offline(visit):
    """A right Host field does not help a wrong target."""
    response = visit(b"GET http://other.example.test/ HTTP/1.1\r\nHost: r.example.test\r\n\r\n")
    assert response.error_code == OFFLINE


def test_absolute_target_without_path(visit):
    """http://host is the path "/"; with a query, "/?query"."""
    for target, path in (("http://r.example.test", "/"), ("http://r.example.test?a", "/?a")):
        response = visit(f"GET {target} HTTP/1.1\r\nHost: r.example.test\r\n\r\n".encode())
        assert response.status == 404 and response.error_code is None, (target, response)
        assert path


TARGETS = ["/", "//double//slash", "/a/../b", "/%2e%2e/x", "/a?b=c&d=%20", "/?q=a/b?c",
           "/a;b=c", "/~!$&'()*+,:@", "/" + "x" * 8000, "/%00", "/a%2Fb"]


@pytest.mark.parametrize("target", TARGETS, ids=[t[:20] for t in TARGETS])
def test_target_passes_unchanged(scene, target):
    """The gateway neither decodes nor normalises a target."""
    up = scene.scripted()
    visitor = scene.http(scene.plain(up))
    visitor.send(visitor.request_bytes("GET", target))
    conn = up.accept()
    assert conn.read_request().target == target
    conn.respond()
    assert visitor.read_response().status == 200


def test_asterisk_target(scene):
    """OPTIONS * is forwarded as it is."""
    up = scene.scripted()
    visitor = scene.http(scene.plain(up))
    visitor.send(visitor.request_bytes("OPTIONS", "*"))
    conn = up.accept()
    assert conn.read_request().target == "*"
    conn.respond()
    assert visitor.read_response().status == 200


def test_connect_is_refused(visit):
    """The gateway is no forward proxy: CONNECT gets 405."""
    response = visit(b"CONNECT r.example.test:443 HTTP/1.1\r\nHost: r.example.test:443\r\n\r\n")
    assert response.status == 405


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/1.2", "HTTP/3.0"])
def test_other_versions(scene, app, version):
    """HTTP/1.0 gets 505 and close; others 505, or 400 where they cannot be read."""
    scene.plain(app, name="r")
    conn = scene.http("r.example.test")
    conn.send(f"GET /hello {version}\r\nHost: r.example.test\r\n\r\n".encode())
    data = conn.read_all()
    allowed = {"HTTP/1.0": (b"505",), "HTTP/1.2": (b"505", b"200")}
    if version == "HTTP/1.2" and data.startswith(b"HTTP/1.1 200"):
        return
    assert data[9:12] in allowed.get(version, (b"505", b"400")), data[:200]
    if data[9:12] == b"505":
        assert b"connection: close" in data.lower()
    assert app.seen == []


def test_http2_preface_in_the_wrong_place(scene, app):
    """With TLS, HTTP/2 is agreed on by ALPN; on a plain port it begins the connection or is none."""
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00" * 9
    conn = scene.https(scene.tunnel(app))
    conn.send(preface)
    assert conn.read_all().startswith(b"HTTP/1.1 505 ")
    plain = scene.plain(app)
    conn = scene.http(plain)
    assert conn.get("/hello").status == 200
    conn.send(preface)
    assert conn.read_all().startswith(b"HTTP/1.1 505 ")


def test_old_request_line(scene, app):
    """A request line without version gets no body of an endpoint."""
    scene.plain(app, name="r")
    conn = scene.http("r.example.test")
    conn.send(b"GET /hello\r\n\r\n")
    assert b"hello from app" not in conn.read_all()
    assert app.seen == []


# ---- precedence ----


def test_exact_before_wildcard(scene):
    """Exact, then the longest wildcard; when the exact one goes, the wildcard takes over."""
    servers = {name: scene.app(name=name) for name in ("exact", "deep", "wide")}
    wide = scene.tunnel_to("*.w.example.test", servers["wide"])
    deep = scene.tunnel_to("*.b.w.example.test", servers["deep"])
    exact = scene.tunnel_to("a.b.w.example.test", servers["exact"])

    def answer(host):
        return scene.get(host).text.split()[-1]

    assert answer("a.b.w.example.test") == "exact"
    assert answer("c.b.w.example.test") == "deep"
    assert answer("x.a.b.w.example.test") == "deep"
    assert answer("c.w.example.test") == "wide"
    exact.stop()
    wait_until(lambda: answer("a.b.w.example.test") == "deep", "the wildcard takes over")
    deep.stop()
    wait_until(lambda: answer("a.b.w.example.test") == "wide", "the wide one takes over")
    assert wide.running


def test_http_and_https_are_apart(scene):
    """The same name on both ports is two endpoints."""
    plain, secure = scene.app(name="plain"), scene.app(name="secure")
    scene.plain(plain, name="two")
    assert scene.https("two.example.test").get("/hello").error_code == OFFLINE
    scene.tunnel(secure, name="two")
    assert scene.http("two.example.test").get("/hello").text == "hello from plain\n"
    assert scene.get("two.example.test").text == "hello from secure\n"


# ---- TLS names ----


def test_host_and_sni_that_disagree(scene):
    """Host routes, not SNI: never the content of the SNI's endpoint."""
    one, two = scene.app(name="one"), scene.app(name="two")
    scene.tunnel(one, name="one")
    scene.tunnel(two, name="two")
    with scene.https("two.example.test", sni="one.example.test") as conn:
        response = conn.get("/hello")
        assert (response.status, response.body) in ((200, b"hello from two\n"),
                                                    (421, response.body))


def test_unknown_host_behind_a_known_sni(scene, app):
    """A Host without endpoint is offline, whatever the SNI."""
    scene.tunnel(app, name="one")
    with scene.https("nobody.example.test", sni="one.example.test") as conn:
        assert conn.get("/hello").error_code in (OFFLINE, "ERR_SALLYPORT_3007")
    assert app.seen == []


def test_no_sni_is_refused(scene, app):
    """TLS without a server name: alert, no certificate."""
    scene.tunnel(app, name="one")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        scene.https("one.example.test", sni="")


def test_foreign_sni_is_refused(scene):
    """A name that cannot be an endpoint here gets the alert unrecognized_name."""
    with pytest.raises(ssl.SSLError, match="(?i)unrecognized.?name|alert"):
        scene.https("www.elsewhere.org")


def test_offline_name_below_the_base_domain_gets_a_page(scene):
    """A possible name that is offline gets a certificate and the offline page."""
    assert scene.get("nobody.example.test").error_code == OFFLINE


def test_sni_is_case_insensitive(scene, app):
    """An upper-case SNI finds the endpoint."""
    scene.tunnel(app, name="one")
    with Conn(scene.gateway.https_port, "one.example.test", tls=True,
              sni="ONE.Example.Test") as conn:
        assert conn.get("/hello").status == 200


# ---- offline ----


def test_offline_after_the_client_left(scene, app):
    """An endpoint is gone with its client, for open visitor connections too."""
    tunnel = scene.tunnel(app)
    visitor = scene.https(tunnel)
    assert visitor.get("/hello").status == 200
    tunnel.stop()

    def offline():
        return visitor.get("/hello").error_code == OFFLINE

    wait_until(offline, "offline on the same connection")
