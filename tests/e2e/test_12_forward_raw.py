"""forward-internal of connections: tcp to tcp, tls to tls, and tls that ends here to tcp."""

import hashlib
import json
import re
import ssl

import pytest

from lib.content import content, digest, pieces
from lib.pki import client_context, connect, http_get
from lib.policy import merge, rule, stdin_of, text_of
from lib.ports import TCP_PORTS, free_port
from lib.raw import Conn, tls_context
from lib.tls_upstream import Certificates, TlsUpstream
from lib.wait import wait_until

HOST = "tcp.example.test"
SETTINGS = {"workers": 3, "tcp": {"host": HOST, **TCP_PORTS},
            "limits": {"hold_ms": 1000}}
MIB = 1024 * 1024
POOL = "--pooling-enabled"


def forward(url, **config):
    return rule("on_tcp_connect", ("forward-internal", {"url": url, **config}))


def log(name):
    return rule("on_tcp_connect", ("log", {"metadata": {"who": name}}))


class Raw:
    """A tcp or tls tunnel; its policy comes in parts. .port is where visitors of a public one come."""

    def __init__(self, scene, kind, remote, upstream, *parts, flags="", **kw):
        self.scene = scene
        if parts:
            flags += " --traffic-policy-file -"
            kw["stdin"] = stdin_of(text_of(merge(*parts)))
        target = upstream if isinstance(upstream, int) else upstream.port
        self.tunnel = scene.ssh(f"{remote}:127.0.0.1:{target}", command=f"{kind} {flags}".strip(),
                                **kw)
        self.url = self.tunnel.urls(1)[0]
        found = re.fullmatch(r"(tls|tcp)://([^:]+)(?::(\d+))?", self.url)
        self.host = found[2]
        self.port = int(found[3]) if kind == "tcp" else scene.gateway.https_port

    def visit(self):
        return self.scene.keep(Conn(self.port, self.host))


@pytest.fixture
def public(scene):
    """The public endpoint's own upstream is an app that says so."""
    own = scene.app(name="public")
    return lambda *parts, **kw: Raw(scene, "tcp", "0", own, *parts, **kw)


@pytest.fixture
def inside(scene):
    return lambda name, upstream, *parts, **kw: Raw(scene, "tcp", f"{name}.internal:5432", upstream,
                                                    *parts, **kw)


def hello(raw):
    with raw.visit() as conn:
        return conn.get("/hello").text


def closed(raw):
    """The visitor is let go without a byte, perhaps before it knows that it was connected."""
    try:
        with raw.visit() as conn:
            conn.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            return conn.read_all() == b""
    except OSError:
        return True


# ---- tcp ----


def test_tcp_to_tcp(scene, public, inside):
    """Bytes pass both ways, large and with a half-close; the port of the URL is the endpoint's."""
    inside("db", scene.app(name="db"))
    g = public(forward("tcp://db.internal:5432"))
    assert hello(g) == "hello from db\n"
    with g.visit() as conn:
        assert conn.upload("/upload", 5 * MIB).text == f"{5 * MIB} {digest(5 * MIB)}"
    assert closed(public(forward("tcp://db.internal:5433")))


def test_server_that_speaks_first(scene, public, inside):
    up = scene.scripted()
    inside("db", up)
    conn = public(forward("tcp://db.internal:5432")).visit()
    upstream = up.accept()
    upstream.send(b"welcome\n")
    assert conn.read_until(b"\n") == b"welcome\n"
    conn.send(b"bye")
    conn.end()
    assert upstream.read_all() == b"bye"
    upstream.send(b"so long")
    upstream.close()
    assert conn.read_all() == b"so long"


def test_policies_of_all_endpoints_run(scene, public, inside):
    """In order; a refusal of the last closes the connection."""
    inside("second", scene.app(name="second"), log("second"))
    inside("first", scene.app(), log("first"), forward("tcp://second.internal:5432"))
    g = public(log("public"), forward("tcp://first.internal:5432"))
    assert hello(g) == "hello from second\n"
    inside("guarded", scene.app(), rule("on_tcp_connect", "deny"))
    assert closed(public(forward("tcp://guarded.internal:5432", on_error="continue")))


def test_url_from_the_connection(scene, public, inside):
    inside("home", scene.app(name="home"))
    g = public(forward("tcp://${conn.client_ip == '127.0.0.1' ? 'home' : 'away'}.internal:5432"))
    assert hello(g) == "hello from home\n"


def test_fallbacks(scene, public, inside):
    """No such endpoint, an upstream that refuses, one that serves; at last the own upstream."""
    inside("closed", free_port())
    g = public(*(forward(f"tcp://{name}.internal:5432", on_error="continue")
                 for name in ("missing", "closed", "backup")))
    assert hello(g) == "hello from public\n"
    inside("backup", scene.app(name="backup"))
    assert hello(g) == "hello from backup\n"


def test_pool_member_that_refuses_is_passed_over(scene, public, inside):
    """The next member gets the connection; only when none is left the policy goes on."""
    for name, key in (("db", "alice"), ("closed", "alice"), ("closed", "alice2")):
        inside(name, free_port(), flags=POOL, key=key)
    inside("db", scene.app(name="db"), flags=POOL, key="alice2")
    g = public(forward("tcp://closed.internal:5432", on_error="continue"),
               forward("tcp://db.internal:5432"))
    before = scene.gateway.metrics()["sallyport_pool_moves_total"]
    assert {hello(g) for _ in range(20)} == {"hello from db\n"}
    moves = scene.gateway.metrics()["sallyport_pool_moves_total"] - before
    assert 20 < moves < 40  # each within the first pool, and about half of them within the second


def test_halt_closes(scene, public, inside):
    inside("closed", free_port())
    mark = scene.gateway.mark()
    assert closed(public(forward("tcp://closed.internal:5432")))
    entry = scene.gateway.wait_log(lambda e: e["event"] == "tcp_connection_closed", mark)
    assert entry["close_reason"] == "refused"
    assert closed(public(forward("tcp://missing.internal:5432")))


def test_other_protocols_are_no_targets(scene, public, inside):
    app = scene.app()
    scene.ssh(f"web.internal:443:127.0.0.1:{app.port}", command="http").urls(1)
    scene.ssh(f"secret.internal:443:127.0.0.1:{app.port}", command="tls").urls(1)
    for url in ("https://web.internal", "tls://secret.internal"):
        assert closed(public(forward(url)))
    assert not app.seen


def test_another_accounts_endpoint(scene, public, inside):
    inside("db", scene.app(name="alice"))
    inside("db", scene.app(name="bob"), key="bob")
    inside("bobs", scene.app(), key="bob")
    assert hello(public(forward("tcp://db.internal:5432"))) == "hello from alice\n"
    assert hello(public(forward("tcp://db.internal:5432"), key="bob")) == "hello from bob\n"
    assert closed(public(forward("tcp://bobs.internal:5432")))


def test_chains(scene, public, inside):
    """Eight pass, nine and circles do not; with on_error continue they end at an upstream."""
    for i in range(1, 9):
        parts = [forward(f"tcp://hop{i + 1}.internal:5432")] if i < 9 else []
        inside(f"hop{i}", scene.app(name=f"hop{i}"), *parts)
    inside("hop9", scene.app(name="hop9"))
    assert hello(public(forward("tcp://hop2.internal:5432"))) == "hello from hop9\n"
    assert closed(public(forward("tcp://hop1.internal:5432")))
    inside("a", scene.app(name="a"), forward("tcp://b.internal:5432"))
    inside("b", scene.app(name="b"), forward("tcp://a.internal:5432"))
    assert closed(public(forward("tcp://a.internal:5432")))
    inside("c", scene.app(name="c"), forward("tcp://d.internal:5432", on_error="continue"))
    inside("d", scene.app(name="d"), forward("tcp://c.internal:5432", on_error="continue"))
    assert hello(public(forward("tcp://c.internal:5432"))) == "hello from d\n"


def test_fallbacks_of_fallbacks_are_bounded(scene, public, inside):
    both = [forward("tcp://a.internal:5432", on_error="continue")] * 2
    inside("a", free_port(), *both)
    assert closed(public(forward("tcp://a.internal:5432")))


def test_endpoint_that_goes_away_ends_its_connections(scene, public, inside):
    """The one that was dialled, and one on the way."""
    up = scene.scripted()
    last = inside("last", up)
    first = inside("first", scene.app(), forward("tcp://last.internal:5432"))
    g = public(forward("tcp://first.internal:5432"))
    for leaving in (first, last):
        conn = g.visit()
        upstream = up.accept()
        upstream.send(b"x")
        assert conn.read_exactly(1) == b"x"
        mark = scene.gateway.mark()
        leaving.tunnel.stop()
        assert conn.read_all() == b""
        scene.gateway.wait_down(leaving.url, mark)
        if leaving is first:
            inside("first", scene.app(), forward("tcp://last.internal:5432"))


def test_upstream_that_does_not_open_in_time(scene, public, inside):
    """The visitor may leave meanwhile, and nothing is left."""
    inside("closed", free_port())
    g = public(forward("tcp://closed.internal:5432", on_error="continue"))
    for _ in range(5):
        g.visit().close()
    assert hello(g) == "hello from public\n"


def test_what_is_told(scene, public, inside):
    """One line in the access log; each session that asks for it hears of the connection."""
    api = inside("db", scene.app(), log("db"), flags="--log stderr")
    g = public(log("public"), forward("tcp://db.internal:5432"), flags="--log stderr")
    mark = scene.gateway.mark()
    assert hello(g)
    entry = scene.gateway.wait_log(lambda e: e["event"] == "tcp_connection_closed", mark)
    assert entry["endpoint"]["url"] == g.url
    assert entry["forward_internal"]["endpoint_url"] == "tcp://db.internal:5432"
    assert entry["forward_internal"]["hops"] == 1
    for raw, who in ((g, "public"), (api, "db")):
        line = wait_until(lambda t=raw.tunnel: next(
            (x for x in t.err if "tcp_connection_closed" in x), None), f"a line for {who}")
        assert raw.url in line and who in line
    assert len(scene.gateway.entries(mark, "tcp_connection_closed")) == 1


# ---- tls ----


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("pki"))


def test_tls_to_tls(scene, certificates):
    """Unread: the visitor sees the certificate of the internal endpoint's upstream."""
    host = f"{scene.name()}.example.test"
    up = scene.keep(TlsUpstream(certificates.issue(host)))
    Raw(scene, "tls", "vault.internal:443", up)
    Raw(scene, "tls", f"{host}:443", scene.app(), forward("tls://vault.internal"))
    context = tls_context(cafile=certificates.ca[0], alpn=())
    conn = scene.https(host, context=context)
    assert json.loads(conn.read_until(b"\n"))
    for piece in pieces(MIB):
        conn.send(piece)
        assert hashlib.sha256(conn.read_exactly(len(piece))).digest() == \
            hashlib.sha256(piece).digest()


def test_tls_that_ended_to_tcp(scene):
    """terminate-tls, then what TLS carried goes to a tcp endpoint; without it there is no way."""
    app = scene.app(name="plain")
    Raw(scene, "tcp", "db.internal:5432", app)
    to = ("forward-internal", {"url": "tcp://db.internal:5432"})
    g = Raw(scene, "tls", f"{scene.name()}.example.test:443", scene.app(),
            rule("on_tcp_connect", ("terminate-tls", {}), to))
    assert http_get(g.port, g.host).endswith(b"hello from plain\n")
    with connect(g.port, g.host, client_context()) as tls:
        body = content(3 * MIB)
        tls.sendall(
            b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        answer = b""
        while digest(3 * MIB).encode() not in answer:
            data = tls.recv(65536)
            assert data, answer
            answer += data
    unread = Raw(scene, "tls", f"{scene.name()}.example.test:443", scene.app(),
                 rule("on_tcp_connect", to))
    with pytest.raises((ssl.SSLError, OSError)):
        http_get(unread.port, unread.host)


def test_tls_ends_at_the_internal_endpoint(scene):
    """The public endpoint passes it on unread; the internal one's policy ends it, for its name."""
    app = scene.app(name="inner")
    Raw(scene, "tls", "vault.internal:443", app, rule("on_tcp_connect", ("terminate-tls", {})))
    g = Raw(scene, "tls", f"{scene.name()}.example.test:443", scene.app(),
            forward("tls://vault.internal"))
    assert http_get(g.port, g.host).endswith(b"hello from inner\n")


def test_tls_ends_at_an_internal_tcp_endpoint(scene, public, inside):
    """Whether the client says a name or not: the certificate is that of the public address."""
    inside("db", scene.app(name="db"), rule("on_tcp_connect", ("terminate-tls", {})))
    g = public(forward("tcp://db.internal:5432"))
    for name in (HOST, None):
        assert http_get(g.port, name, authority=HOST).endswith(b"hello from db\n")


def test_visitor_who_leaves_in_the_handshake(scene):
    Raw(scene, "tls", "vault.internal:443", scene.app(),
        rule("on_tcp_connect", ("terminate-tls", {})))
    g = Raw(scene, "tls", f"{scene.name()}.example.test:443", scene.app(),
            forward("tls://vault.internal"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    out = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=g.host).do_handshake()
    conn = g.visit()
    conn.send(out.read())
    assert conn.read_exactly(1) == b"\x16"  # its ServerHello: the policy waits for the visitor
    conn.close()


def test_http_connections_cannot_be_forwarded(scene):
    """Their requests can (2205)."""
    app = scene.app()
    ssh = scene.ssh(f"{scene.name()}.example.test:443:127.0.0.1:{app.port}",
                    command="http --traffic-policy-file -",
                    stdin=stdin_of(text_of(forward("tcp://db.internal:5432"))))
    assert ssh.wait_exit() == 1
    assert any("2205" in line for line in ssh.err)
