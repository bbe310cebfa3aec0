"""forward-internal from and to cloud endpoints, and a crossing of many sessions that restart under load."""

import random

import pytest

from lib.api import Api, new_token
from lib.crossing import Crossing, Visitors, sessions_by_loop
from lib.gateway import DOMAIN
from lib.internal import Inside, add, echo_of, entrance, forward, mark, refused
from lib.policy import merge, on_request, rule, text_of
from lib.ports import FIXED, TCP_PORTS, free_port
from lib.raw import Conn
from lib.wait import wait_until

HOST = "tcp.example.test"
SETTINGS = {"workers": 3,
            "tcp": {"host": HOST, **TCP_PORTS},
            "limits": {"api_requests_per_minute": 0, "hold_ms": 1000,
                       "channel_open_timeout_ms": 60000}}


def caller(scene, account):
    return scene.keep(Api(scene.gateway, new_token(scene.gateway, "--account", account)))


@pytest.fixture(name="alice")
def fixture_alice(scene):
    api = caller(scene, "alice")
    yield api
    for ep in api.call("GET", "/endpoints?limit=100")["endpoints"]:
        if ep["type"] == "cloud":
            assert api.call("DELETE", f"/endpoints/{ep['id']}").status == 204


def answer(text):
    return on_request(("custom-response", {"status_code": 200, "body": text}))


def cloud(api, url, *parts):
    """A cloud endpoint; a bare name is that of an internal one."""
    url = url if "." in url else f"https://{url}.internal"
    return api.create("/endpoints", url=url, traffic_policy=text_of(merge(*parts)))


def public(scene, api, *parts):
    return cloud(api, f"https://{scene.name()}.{DOMAIN}", *parts)


# ---- requests ----


def test_agent_to_cloud(scene, alice):
    """An internal cloud endpoint answers for a session's; responses pass both policies, inside out."""
    inner = cloud(alice, "inner", mark("inner"), answer("from the cloud"))
    assert (inner["bindings"], inner["url"]) == (["internal"], "https://inner.internal")
    g = entrance(scene, mark("agent"), forward("inner"))
    response = g.request("/x")
    assert (response.status, response.text) == (200, "from the cloud")
    assert response.all("x-way") == ["inner", "agent"]
    assert not g.app.seen


def test_cloud_to_cloud_to_agent(scene, alice):
    """Without any session of its own; the upstream sees the visitor's host."""
    last = Inside(scene, "last", mark("last"))
    cloud(alice, "middle", mark("middle"), forward("last"))
    first = public(scene, alice, mark("first"), forward("middle"))
    response = scene.https(first["host"]).get("/echo")
    assert response.all("x-way") == ["last", "middle", "first"]
    seen = echo_of(response)
    assert seen.all("x-way") == ["first", "middle", "last"]
    assert seen.header("host").startswith(first["host"])
    last.tunnel.stop()
    wait_until(lambda: scene.https(first["host"]).get("/echo").status == 404, "it is offline")


def test_cloud_to_cloud_follows_changes(scene, alice):
    """Of the inner one, on connections that are kept: another policy, another name, gone."""
    inner = cloud(alice, "inner", answer("one"))
    conn = scene.https(public(scene, alice, forward("inner"))["host"])
    path = f"/endpoints/{inner['id']}"
    assert conn.get("/").text == "one"
    assert alice.call("PATCH", path, {"traffic_policy": text_of(answer("two"))}).status == 200
    assert conn.get("/").text == "two"
    assert alice.call("PATCH", path, {"url": "https://moved.internal"}).status == 200
    refused(conn.get("/"), 404, 3200)
    assert alice.call("PATCH", path, {"url": "https://inner.internal"}).status == 200
    assert conn.get("/").text == "two"
    assert alice.call("DELETE", path).status == 204
    refused(conn.get("/"), 404, 3200)


def test_cloud_falls_back(scene, alice):
    """What fails in a cloud endpoint goes on with the next action, as in any other."""
    cloud(alice, "denies", on_request("deny"))
    ep = public(scene, alice, forward("missing", on_error="continue"),
                add("on_http_request", x_was="${actions.ngrok.forward_internal.error.code}"),
                forward("denies"))
    assert scene.https(ep["host"]).get("/").status == 403


def test_circle_of_cloud_endpoints(scene, alice):
    cloud(alice, "a", forward("b"))
    cloud(alice, "b", forward("a"))
    refused(scene.https(public(scene, alice, forward("a"))["host"]).get("/"), 508, 3501)


def test_pool_of_cloud_and_agent(scene, alice):
    """An internal address shared by both kinds: each gets its share, and either serves alone."""
    policy = text_of(answer("hello from the cloud\n"))
    alice.create("/endpoints", url="https://both.internal", traffic_policy=policy,
                 pooling_enabled=True)
    agent = Inside(scene, "both", upstream=scene.app(name="agent"), flags="--pooling-enabled")
    conn = scene.https(public(scene, alice, forward("both"))["host"])
    got = {conn.get("/hello").text for _ in range(60)}
    assert got == {"hello from the cloud\n", "hello from agent\n"}
    agent.stop()
    assert {conn.get("/hello").text for _ in range(20)} == {"hello from the cloud\n"}


def test_another_accounts_cloud_endpoint_is_as_good_as_none(scene, alice):
    """Both accounts have one of that name, and each gets its own."""
    bob = caller(scene, "bob")
    made = [cloud(bob, "shared", answer("bob's")), cloud(bob, "bobs", answer("bob's"))]
    cloud(alice, "shared", answer("alice's"))
    ep = public(scene, alice, forward("https://${req.headers['x-to'][0]}.internal"))
    conn = scene.https(ep["host"])
    assert conn.get("/", [("x-to", "shared")]).text == "alice's"
    hidden, missing = (conn.get("/", [("x-to", to)]) for to in ("bobs", "none"))
    refused(hidden, 404, 3200)
    assert hidden.text.replace("bobs", "none") == missing.text
    for ep in made:
        assert bob.call("DELETE", f"/endpoints/{ep['id']}").status == 204


# ---- connections ----


def test_connections_through_two_cloud_endpoints(scene, alice):
    """A public TCP address to an internal one, and that to a session's."""
    def on_connect(url):
        return rule("on_tcp_connect", ("forward-internal", {"url": url}))

    app, port = scene.app(name="db"), free_port(FIXED)
    ssh = scene.ssh(f"db.internal:5432:127.0.0.1:{app.port}", command="tcp")
    ssh.urls(1)
    cloud(alice, "tcp://hop.internal:7000", on_connect("tcp://db.internal:5432"))
    cloud(alice, f"tcp://{HOST}:{port}", on_connect("tcp://hop.internal:7000"))
    for _ in range(4):
        with Conn(port, HOST) as conn:
            assert conn.get("/hello").text == "hello from db\n"
    ssh.stop()
    try:
        with Conn(port, HOST) as conn:
            assert conn.read_all() == b""
    except ConnectionResetError:
        pass  # so soon that connecting is all it came to


# ---- a crossing of many ----


def loops_with_sessions(gateway, count):
    """How many event loops have some, when those that ended are gone."""
    loops = wait_until(lambda: sum(found := sessions_by_loop(gateway)) == count and found,
                       f"{count} sessions")
    return len(loops)


def crossing_under_restarts(scene, api, total, restarts, seconds):
    """
    Visitors of 20 sessions, which restart one after the other as often as `restarts` says (0: as long as
    there are visitors), each with its new session there before the old one goes: nothing is lost.
    """
    crossing = Crossing(scene, api)
    for i in range(20):
        if loops_with_sessions(scene.gateway, 20) == SETTINGS["workers"]:
            break
        crossing.restart_with_overlap(i)  # chance has left out a worker
    assert loops_with_sessions(scene.gateway, 20) == SETTINGS["workers"]
    visitors = Visitors(crossing, total, held=restarts > 0)
    dice, count, relays = random.Random(5), 0, 0.0
    while visitors.running and (count < restarts or restarts == 0):
        visitors.wait_more(100)
        relays = max(relays, scene.gateway.metrics()["sallyport_relays"])
        crossing.restart_with_overlap(dice.randrange(20), dice.choice(["stop", "kill"]))
        count += 1
    visitors.join(seconds)
    print(f"\ncrossing: {visitors.describe()}, {count} restarts")
    assert (visitors.lost, visitors.wrong) == ([], [])
    assert visitors.answered.total() == visitors.asked
    assert set(visitors.answered) == set(crossing.names)
    assert min(visitors.answered.values()) >= total // 40, visitors.answered
    assert relays > 0  # visitors and sessions are on different workers
    crossing.close()
    return visitors, count


#: What a visitor may be told while the session of an internal endpoint is away.
OFFLINE = {(404, "ERR_SALLYPORT_3200"), (502, "ERR_SALLYPORT_3210")}


def crossing_with_gaps(scene, api, total, restarts, seconds):
    """
    The same with sessions that go before they come back: those who ask for one that is away, or that
    goes meanwhile, hear so at once; nobody else does.
    """
    crossing = Crossing(scene, api)
    visitors = Visitors(crossing, total, by_chance=False, held=restarts > 0)
    away, dice, count = set(), random.Random(6), 0
    while visitors.running and (count < restarts or restarts == 0):
        i = dice.randrange(4)
        name = crossing.names[i]
        away.add(name)
        crossing.restart_with_gap(i, lambda n=name: visitors.wait_lost(n),
                                  dice.choice(["stop", "kill"]))
        visitors.wait_more(60)
        count += 1
    visitors.join(seconds)
    print(f"\ncrossing with gaps: {visitors.describe()}, {count} restarts")
    assert visitors.wrong == []
    assert visitors.lost and {name for name, _, _ in visitors.lost} <= away
    assert {(status, code) for _, status, code in visitors.lost} <= OFFLINE, visitors.lost[:5]
    assert visitors.slowest < 20
    crossing.close()
    return visitors, count


def test_crossing(scene, alice):
    """2,000 requests by path, header and chance, one session restarts; the soak test has 100,000."""
    crossing_under_restarts(scene, alice, 2000, 1, 60)


def test_crossing_with_a_gap(scene, alice):
    crossing_with_gaps(scene, alice, 1000, 1, 60)
