"""trusted_proxies: whose request it is when a proxy in front has passed it on over HTTP."""

import json

import pytest

from lib.policy import Guarded, merge, on_request, rule
from lib.proxy_protocol import BALANCER, BALANCERS, v2

#: The proxy that is trusted; whoever comes from 127.0.0.1 is not.
PROXY = "127.0.0.3"
SETTINGS = {"trusted_proxies": [PROXY + "/32", "10.0.0.0/8"]}


def ask(conn, *forwarded, target="/echo"):
    return conn.get(target, [("X-Forwarded-For", value) for value in forwarded])


def chain_seen(response):
    """The x-forwarded-for of the upstream."""
    return [v for n, v in json.loads(response.text)["headers"] if n.lower() == "x-forwarded-for"]


CHAINS = [
    # X-Forwarded-For from the trusted proxy, the client
    ((), PROXY),
    (("192.0.2.7",), "192.0.2.7"),
    (("6.6.6.6, 192.0.2.7",), "192.0.2.7"),
    (("6.6.6.6, 192.0.2.7, 10.1.1.1",), "192.0.2.7"),
    (("192.0.2.7", "10.1.1.1"), "192.0.2.7"),
    (("[2001:db8::7]:4711",), "2001:db8::7"),
    (("nonsense",), PROXY),
]


@pytest.mark.parametrize("forwarded,client", CHAINS, ids=[str(c[0]) for c in CHAINS])
def test_client_behind_a_trusted_proxy(scene, forwarded, client):
    """The log names the client; the upstream gets the whole chain and the proxy at its end."""
    tunnel = scene.plain(scene.app())
    mark = scene.gateway.mark()
    response = ask(scene.http(tunnel, source=PROXY), *forwarded)
    assert chain_seen(response) == [", ".join([*forwarded, PROXY])]
    assert scene.gateway.wait_exchange("/echo", mark)["conn"]["client_ip"] == client


def test_others_cannot_claim_an_address(scene):
    """Without trust the header means nothing, for the log and for policies."""
    guarded = Guarded(scene, on_request(("custom-response", {"body": "${conn.client_ip}"})))
    with guarded.conn() as conn:
        assert ask(conn, "192.0.2.7").text == "127.0.0.1"
    with guarded.conn(source=PROXY) as conn:
        assert ask(conn, "192.0.2.7").text == "192.0.2.7"


def test_flags_guard_by_the_client(scene):
    """--cidr-allow looks at the client behind the proxy."""
    tunnel = scene.tunnel(scene.app(), flags="--cidr-allow 192.0.2.0/24")
    conn = scene.https(tunnel, source=PROXY)
    assert ask(conn, "192.0.2.7").status == 200
    assert ask(conn, "198.51.100.1").status == 403
    assert ask(conn).status == 403
    assert ask(scene.https(tunnel), "192.0.2.7").status == 403


def test_clients_that_share_a_connection(scene):
    """on_tcp_connect is asked for each of them, and one that it denies ends the connection."""
    guarded = Guarded(scene, merge(
        rule("on_tcp_connect", ("restrict-ips", {"deny": ["198.51.100.0/24"],
                                                 "allow": ["0.0.0.0/0", "::/0"]})),
        on_request(("custom-response", {"body": "${conn.client_ip}:${conn.client_port}"}))))
    with guarded.conn(source=PROXY) as conn:
        for number in range(40):
            assert ask(conn, f"192.0.2.{number}").text == f"192.0.2.{number}:0"
        assert ask(conn, "192.0.2.9:99").text == "192.0.2.9:99"
        conn.send(conn.request_bytes("GET", "/", [("X-Forwarded-For", "198.51.100.1")]))
        conn.wait_closed()


def test_proxy_protocol_and_a_trusted_proxy(scene):
    """The address of a PROXY header is the connection's, so that is what must be trusted."""
    scene.start_gateway({**SETTINGS, "proxy_protocol": BALANCERS})
    guarded = Guarded(scene, on_request(("custom-response", {"body": "${conn.client_ip}"})))
    with guarded.conn(source=BALANCER, first=v2("10.1.1.1")) as conn:
        assert ask(conn, "192.0.2.7").text == "192.0.2.7"
    with guarded.conn(source=BALANCER, first=v2("192.0.2.1")) as conn:
        assert ask(conn, "192.0.2.7").text == "192.0.2.1"


def test_streams_of_one_http2_connection(scene):
    """Each request has its own client, also when they share a connection."""
    guarded = Guarded(scene, merge(
        rule("on_tcp_connect", ("restrict-ips", {"allow": ["192.0.2.0/24"]})),
        on_request(("custom-response", {"body": "${conn.client_ip} ${req.version};"}))))
    options = ["-k", "--http2", "--interface", PROXY,
               "--connect-to", f"{guarded.host}::127.0.0.1:"]
    args = []
    for number in (1, 2, 3):
        args += [*options, "-H", f"X-Forwarded-For: 192.0.2.{number}"]
        args += [f"{guarded.url}/", "--next"] if number < 3 else []
    status, out, err = scene.curl(f"{guarded.url}/", *args)
    assert status == 0, err
    assert sorted(out.decode().split(";")[:-1]) == [f"192.0.2.{n} HTTP/2.0" for n in (1, 2, 3)]
