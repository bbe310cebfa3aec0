"""PROXY protocol in: whose address a connection has, on each kind of listener; and what is refused."""

import json
import re
import socket
import subprocess
import time

import pytest

from lib import config
from lib.gateway import BINARY, WORKERS
from lib.policy import Guarded, merge, on_request, rule
from lib.ports import TCP_PORTS
from lib.proxy_protocol import BALANCER, BALANCERS, V2_LOCAL, Balancer, v1, v2
from lib.raw import Conn, tls_context
from lib.wait import wait_until

SETTINGS = {"proxy_protocol": BALANCERS, "limits": {"proxy_header_timeout_ms": 60000}}
IMPATIENT = {"proxy_protocol": BALANCERS, "limits": {"proxy_header_timeout_ms": 500}}

HEADERS = {
    "v1": (v1(), "192.0.2.7"),
    "v1_ipv6": (v1("2001:db8::7", "2001:db8::1"), "2001:db8::7"),
    "v1_unknown": (b"PROXY UNKNOWN\r\n", BALANCER),
    "v2": (v2(), "192.0.2.7"),
    "v2_ipv6": (v2("2001:db8::7", "2001:db8::1"), "2001:db8::7"),
    "v2_extensions": (v2(extensions=b"\x03\x00\x04abcd\x04\x0f\xa0" + b"x" * 4000), "192.0.2.7"),
    "v2_local": (V2_LOCAL, BALANCER),
    "v2_mapped": (v2("::ffff:192.0.2.7", "::ffff:203.0.113.1"), "192.0.2.7"),
}


def refused_count(gateway):
    return gateway.metrics()["sallyport_proxy_protocol_refused_total"]


def echoed(conn):
    response = conn.get("/echo")
    assert response.status == 200, response
    return {name.lower(): value for name, value in json.loads(response.text)["headers"]}


# ---- HTTP and HTTPS ----

@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("name", HEADERS)
def test_address_of_a_visitor(scene, name, tls):
    """The upstream and the access log get the address of the header."""
    header, address = HEADERS[name]
    tunnel = scene.tunnel(scene.app(), port=443 if tls else 80)
    mark = scene.gateway.mark()
    visit = scene.https if tls else scene.http
    conn = visit(tunnel, source=BALANCER, first=header)
    assert echoed(conn)["x-forwarded-for"] == address
    entry = scene.gateway.wait_exchange("/echo", mark)
    assert entry["conn"]["client_ip"] == address
    if address != BALANCER:
        assert entry["conn"]["server_ip"] in ("203.0.113.1", "2001:db8::1")
        assert entry["conn"]["server_port"] == 443
    assert conn.get("/hello").status == 200, "and it is kept alive as any other"


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_header_in_pieces(scene, tls):
    """Byte by byte, with a pause of the visitor between header and first message."""
    tunnel = scene.tunnel(scene.app(), port=443 if tls else 80)
    port = scene.gateway.https_port if tls else scene.gateway.http_port
    with socket.create_connection(("127.0.0.1", port), source_address=(BALANCER, 0)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in v2():
            sock.sendall(bytes([byte]))
        if tls:
            sock = tls_context().wrap_socket(sock, server_hostname=tunnel.host)
        sock.sendall(f"GET /echo HTTP/1.1\r\nHost: {tunnel.host}\r\nConnection: close\r\n\r\n"
                     .encode())
        data = b""
        while piece := sock.recv(65536):
            data += piece
    assert b'"192.0.2.7"' in data.lower()


def test_header_and_request_in_one_segment(scene):
    """What follows the header in the same segment belongs to the request."""
    tunnel = scene.plain(scene.app())
    conn = scene.http(tunnel, source=BALANCER, first=v1() + (
        f"GET /echo HTTP/1.1\r\nHost: {tunnel.host}\r\n\r\n").encode())
    response = conn.read_response()
    assert response.status == 200
    assert "192.0.2.7" in response.text


def test_curl_haproxy_protocol(scene):
    """curl's own header, over TLS."""
    tunnel = scene.tunnel(scene.app())
    status, out, err = scene.curl(f"{tunnel.url}/echo", "-k", "--haproxy-protocol",
                                  "--interface", BALANCER)
    assert status == 0, err
    assert BALANCER.encode() in out


@pytest.mark.parametrize("tls", [False, True], ids=["h2c", "h2"])
def test_http2_behind_a_header(scene, tls):
    """HTTP/2, by prior knowledge on the plain port too."""
    tunnel = scene.tunnel(scene.app(), port=443 if tls else 80)
    status, out, err = scene.curl(f"{tunnel.url}/echo", "-k", "--haproxy-protocol", "--interface",
                                  BALANCER, "--http2" if tls else "--http2-prior-knowledge",
                                  "-w", "version %{http_version}")
    assert status == 0, err
    assert BALANCER.encode() in out and out.endswith(b"version 2")


def test_others_are_ordinary(scene):
    """From elsewhere no header is needed, and one is no request."""
    tunnel = scene.plain(scene.app())
    assert echoed(scene.http(tunnel))["x-forwarded-for"] == "127.0.0.1"
    assert echoed(scene.https(scene.tunnel(scene.app())))["x-forwarded-for"] == "127.0.0.1"
    conn = scene.http(tunnel, first=v1())
    conn.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert conn.read_response().status == 400
    before = refused_count(scene.gateway)
    with pytest.raises(OSError):
        scene.https(tunnel, first=v1())
    assert refused_count(scene.gateway) == before


MALFORMED = {
    "request": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "hello": b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03",
    "ssh": b"SSH-2.0-x\r\n",
    "bad_address": b"PROXY TCP4 1.2.3 4.5.6.7 1 2\r\n",
    "bad_port": b"PROXY TCP4 1.2.3.4 4.5.6.7 1 70000\r\n",
    "no_end": b"PROXY TCP4 " + b"1" * 200,
    "bad_version": b"\r\n\r\n\0\r\nQUIT\n\x31\x11\x00\x0c" + b"x" * 12,
    "too_long": b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff" + b"x" * 12,
}


@pytest.mark.parametrize("kind", ["ssh", "http", "https"])
@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_header_is_closed(scene, kind, name):
    """A balancer's connection without a proper header: closed without an answer, counted, logged."""
    gateway = scene.gateway
    before = refused_count(gateway)
    with Conn(getattr(gateway, kind + "_port"), "x", source=BALANCER) as conn:
        conn.send(MALFORMED[name])
        conn.wait_closed()
    wait_until(lambda: refused_count(gateway) == before + 1, "it is counted")


@pytest.mark.parametrize("kind", ["ssh", "http", "https"])
@pytest.mark.parametrize("first", [b"", b"PROXY TCP4 ", v2()[:-1]], ids=["nothing", "v1", "v2"])
def test_late_or_cut_header_is_closed(scene, kind, first):
    """Ended in the middle, or not in proxy_header_timeout_ms."""
    for ends, gateway in ((True, scene.gateway), (False, scene.start_gateway(IMPATIENT))):
        before = refused_count(gateway)
        with Conn(getattr(gateway, kind + "_port"), "x", source=BALANCER, first=first) as conn:
            if ends:
                conn.end()
            conn.wait_closed()
        wait_until(lambda: refused_count(gateway) == before + 1, "it is counted")


def test_refusals_are_logged_with_a_limit(scene):
    """Each worker says who and why in five lines a second at most."""
    gateway = scene.gateway
    before = refused_count(gateway)
    mark = gateway.mark()
    begin = time.monotonic()
    for _ in range(200):
        with Conn(gateway.http_port, "x", source=BALANCER, first=b"nonsense") as conn:
            conn.wait_closed()
    wait_until(lambda: refused_count(gateway) == before + 200, "all are counted")
    line = gateway.wait_log(lambda e: e["event"] == "proxy_protocol.refused", mark)
    assert line["from"].startswith(BALANCER) and line["reason"], line
    seconds = int(time.monotonic() - begin) + 2
    assert len(gateway.entries(mark, "proxy_protocol.refused")) <= 5 * WORKERS * seconds


def half_headers(gateway):
    return [Conn(gateway.https_port, "x", source=BALANCER, first=v2()[:-1]) for _ in range(400)]


def test_silent_balancers_do_not_hold_memory(scene):
    """Many connections with half a header: none is read into memory."""
    gateway = scene.gateway
    before = gateway.rss()
    conns = half_headers(gateway)
    gateway.wait_gauge("sallyport_connections", 400)
    gateway.assert_growth(before, 4 * 1024 * 1024)
    for conn in conns:
        conn.close()


def test_silent_balancers_end_by_the_timer(scene):
    for conn in half_headers(scene.start_gateway(IMPATIENT)):
        conn.wait_closed()
        conn.close()


# ---- policies ----

def test_policies_see_the_visitor(scene):
    """conn.client_ip, conn.client_port and restrict-ips, in on_tcp_connect and on_http_request."""
    restrict = ("restrict-ips", {"allow": ["192.0.2.0/24"]})
    guarded = Guarded(scene, merge(
        rule("on_tcp_connect", restrict),
        on_request(restrict),
        on_request(("custom-response", {"body": "${conn.client_ip} ${conn.client_port} "
                                                "${conn.server_ip} ${conn.server_port}"}))))
    with guarded.conn(source=BALANCER, first=v2()) as conn:
        assert conn.get("/").text == "192.0.2.7 4711 203.0.113.1 443"
    with guarded.conn(source=BALANCER, first=v2("198.51.100.1")) as conn:
        conn.send(conn.request_bytes("GET", "/"))
        conn.wait_closed()
    with guarded.conn() as conn:
        conn.send(conn.request_bytes("GET", "/"))
        conn.wait_closed()


# ---- SSH ----

def ssh_through(scene, header, key="alice", command="version", slow=False):
    balancer = scene.keep(Balancer(scene.gateway, header, slow))
    return scene.ssh(command=command, key=key, gateway=balancer.gateway)


@pytest.mark.parametrize("name", HEADERS)
def test_ssh_address_of_a_client(scene, name):
    """The session has the address of the header, in the log too."""
    header, address = HEADERS[name]
    mark = scene.gateway.mark()
    assert ssh_through(scene, header).wait_exit() == 0
    entry = scene.gateway.wait_log(lambda e: e["event"] == "ssh.login", mark)
    assert entry["client"].strip("[").startswith(address)


def test_ssh_header_byte_by_byte(scene):
    assert ssh_through(scene, v2(), slow=True).wait_exit() == 0


def test_ssh_forward_works_behind_a_balancer(scene):
    """A whole tunnel, with bytes both ways."""
    balancer = scene.keep(Balancer(scene.gateway, v2()))
    app = scene.app()
    tunnel = scene.ssh(f"pp.example.test:443:127.0.0.1:{app.port}", gateway=balancer.gateway)
    tunnel.urls(1)
    assert scene.https("pp.example.test").get("/hello").status == 200


def test_ssh_from_option_sees_the_client(scene):
    """from="..." of authorized_keys looks at the client, not at the balancer."""
    keys = scene.keys
    scene.start_gateway(SETTINGS, authorized=[keys.alice.line('from="192.0.2.0/24"'),
                                              keys.bob.line(f'from="{BALANCER}/32"')])
    assert ssh_through(scene, v2()).wait_exit() == 0
    refused = ssh_through(scene, v2(), key="bob")
    refused.wait_err(r"ERR_SALLYPORT_116\b")
    assert refused.wait_exit() != 0


def test_ssh_sessions_per_address_count_the_client(scene):
    """max_sessions_per_address: two clients of one balancer have a session each."""
    scene.start_gateway({**SETTINGS, "limits": {"max_sessions_per_address": 1}})
    app = scene.app()
    for number, header in enumerate((v2("192.0.2.7"), v2("192.0.2.8")), 1):
        balancer = scene.keep(Balancer(scene.gateway, header))
        scene.ssh(f"s{number}.example.test:443:127.0.0.1:{app.port}",
                  gateway=balancer.gateway).urls(1)
    over = ssh_through(scene, v2("192.0.2.7"))
    over.wait_err(r"ERR_SALLYPORT_108\b")
    over.wait_exit()


def test_ssh_arrivals_count_as_unauthenticated(scene):
    """Balancers' connections without a header fill max_unauthenticated, not more."""
    gateway = scene.start_gateway({"proxy_protocol": BALANCERS, "workers": 1, "limits": {
        "max_unauthenticated": 3, "proxy_header_timeout_ms": 60000}})
    for _ in range(3):
        scene.keep(Conn(gateway.ssh_port, "x", source=BALANCER))
    with Conn(gateway.ssh_port, "x", source=BALANCER) as extra:
        assert b"Too many connections" in extra.read_all()
    assert gateway.terminate() == 0, "and they do not hold up the end"


# ---- TCP endpoints ----

def test_tcp_endpoint(scene):
    """The port of a tcp endpoint: the header is taken off, the rest passes; others pass as they are."""
    gateway = scene.start_gateway({**SETTINGS, "tcp": TCP_PORTS})
    up = scene.scripted()
    line = scene.ssh(f"0:127.0.0.1:{up.port}", command="tcp").wait_out(1)[0]
    port = int(re.fullmatch(r"tcp://example\.test:(\d+)", line)[1])
    mark = gateway.mark()
    with Conn(port, "x", source=BALANCER, first=v2() + b"hello") as conn:
        upstream = up.accept()
        assert upstream.read_exactly(5) == b"hello"
        upstream.send(b"answer")
        assert conn.read_exactly(6) == b"answer"
        upstream.close()
        conn.wait_closed()
    entry = gateway.wait_log(lambda e: e["event"] == "tcp_connection_closed", mark)
    assert entry["conn"]["client_ip"] == "192.0.2.7"
    with Conn(port, "x", first=v1()) as conn:
        assert up.accept().read_exactly(len(v1())) == v1()
    with Conn(port, "x", source=BALANCER, first=b"no header\r\n") as conn:
        conn.wait_closed()
    wait_until(lambda: refused_count(gateway) == 1, "it is counted")
    assert len(up.connections) == 2


# ---- configuration ----

def test_reload_changes_the_balancers(scene):
    """SIGHUP: new lists count for new connections, old ones live on."""
    gateway = scene.start_gateway(SETTINGS)
    tunnel = scene.plain(scene.app())
    old = scene.http(tunnel, source=BALANCER, first=v1())
    assert old.get("/hello").status == 200
    gateway.change(proxy_protocol={"http": [], "ssh": []})
    assert scene.http(tunnel, source=BALANCER).get("/hello").status == 200, "without a header"
    assert old.get("/hello").status == 200


@pytest.mark.parametrize("group,problem", [
    ({"http": ["nonsense"]}, "is not an IP address or CIDR block"),
    ({"http": ["10.0.0.0/40"]}, "no valid prefix length"),
    ({"admin": ["10.0.0.0/8"]}, "admin"),
    ({"http": "10.0.0.0/8"}, "list of CIDR blocks"),
])
def test_configuration_problems(scene, group, problem):
    gateway = scene.gateway
    file = scene.directory / "bad.cfg"
    file.write_text(config.text({**gateway.settings, "proxy_protocol": group}))
    done = subprocess.run([BINARY, "check", "-c", file], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 1
    assert problem in done.stdout + done.stderr
