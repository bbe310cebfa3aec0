"""Pools: sessions that share an address, the spread of requests over them, and members that come and go."""

import collections
import queue
import re
import signal
import socket
import threading
import time

import pytest

from lib.content import content
from lib.h2 import H2Conn
from lib.load import Load
from lib.policy import stdin_of, text_of
from lib.ports import FIXED, TCP_PORTS, free_port
from lib.raw import Conn, tls_context
from lib.tls_upstream import Certificates, TlsUpstream
from lib.upstream import Server
from lib.wait import wait_until
from lib.ways import UPSTREAMS, Served

HOST = "tcp.example.test"
SETTINGS = {"tcp": {"host": HOST, **TCP_PORTS},
            "workers": 3,
            "limits": {"hold_ms": 2000}}

#: Keys of one account.
KEYS = ("alice", "alice2", "ecdsa", "rsa")
POOL = "--pooling-enabled"


@pytest.fixture
def pool(scene):
    """Makes a pool of apps "m0", "m1", ... behind one name."""
    def make(count, flags="", name=None, **kw):
        name = name or scene.name()
        members = []
        for i in range(count):
            app = scene.app(name=f"m{i}")
            member = scene.tunnel(app, name=name, flags=f"{POOL} {flags}",
                                  key=KEYS[i % len(KEYS)], **kw)
            member.app = app
            members.append(member)
        return members
    return make


def who(response):
    assert response.status == 200, response
    return re.fullmatch(r"hello from (\w+)\n", response.text)[1]


# ---- the spread ----


@pytest.mark.parametrize("count", [2, 5])
def test_requests_spread_over_all_members(scene, pool, count):
    """Sessions of several keys share a name: each prints the URL and gets its share."""
    members = pool(count)
    assert {m.url for m in members} == {members[0].url}
    each = 40
    got = collections.Counter(who(scene.get(members[0])) for _ in range(count * each))
    assert set(got) == {f"m{i}" for i in range(count)}
    assert all(n >= each // 3 for n in got.values()), got


def test_requests_of_one_connection_spread(scene, pool):
    """Each request has a choice of its own, also on a connection that is kept (HTTP/1.1, HTTP/2)."""
    members = pool(3)
    with scene.https(members[0]) as conn:
        got = collections.Counter(who(conn.get("/hello")) for _ in range(90))
    assert set(got) == {"m0", "m1", "m2"} and min(got.values()) >= 10, got
    h2 = scene.keep(H2Conn(scene.gateway.https_port, members[0].host))
    got = collections.Counter(bytes(h2.get("/hello").body) for _ in range(90))
    assert len(got) == 3 and min(got.values()) >= 10, got


def test_busy_member_gets_fewer(scene, pool):
    """Of two members the one with fewer requests outstanding is chosen."""
    slow, quick = pool(2)
    asked, answers = queue.Queue(), {member: threading.Event() for member in (slow, quick)}

    def hold(member):
        def handler(conn, request):
            asked.put(member)
            answers[member].wait(60)
            member.app.do_hello(conn, request, "")

        member.app.route("/hello", handler)

    hold(slow)
    hold(quick)
    outstanding = collections.Counter()
    while outstanding[slow] < 3:
        conn = scene.https(quick)
        conn.send(conn.request_bytes("GET", "/hello"))
        outstanding[asked.get(timeout=10)] += 1
        assert abs(outstanding[slow] - outstanding[quick]) <= 1
    answers[quick].set()
    scene.gateway.wait_gauge("sallyport_exchanges", 3)
    for _ in range(30):
        assert who(scene.get(quick)) == "m1"
        scene.gateway.wait_gauge("sallyport_exchanges", 3)
    answers[slow].set()


def test_wildcards_pool(scene, pool):
    """Members of a wildcard share every name below it; an exact name comes before them."""
    base = scene.name()
    for i in range(2):
        scene.tunnel_to(f"*.{base}.example.test", scene.app(name=f"m{i}"), POOL, key=KEYS[i])
    host = f"any.{base}.example.test"
    assert {who(scene.get(host)) for _ in range(30)} == {"m0", "m1"}
    exact = scene.tunnel_to(host, scene.app(name="exact"), POOL)
    assert {who(scene.get(exact)) for _ in range(10)} == {"exact"}


# ---- who may share ----

#: First session, second session: (key, flags, port), and what the second one gets.
CONFLICTS = {
    "both pool": (("alice", POOL, 443), ("alice2", POOL, 443), None),
    "same key": (("alice", POOL, 443), ("alice", POOL, 443), None),
    "explicit": (("alice", POOL + "=true", 443), ("alice2", POOL + "=true", 443), None),
    "new one does not": (("alice", POOL, 443), ("alice2", "", 443), 334),
    "same key, new one does not": (("alice", POOL, 443), ("alice", "", 443), 334),
    "new one says false": (("alice", POOL, 443), ("alice2", POOL + "=false", 443), 334),
    "old one does not": (("alice", "", 443), ("alice2", POOL, 443), 334),
    "neither": (("alice", "", 443), ("alice2", "", 443), 334),
    "another account": (("alice", POOL, 443), ("bob", POOL, 443), 320),
    "another port": (("alice", POOL, 443), ("alice2", "", 80), None),
}


@pytest.mark.parametrize("first, second, number", CONFLICTS.values(), ids=CONFLICTS)
def test_who_may_share(scene, first, second, number):
    """The table of the specification, section 4.3."""
    name = scene.name()
    one = scene.tunnel(scene.app(name="one"), name=name, flags=first[1], key=first[0],
                       port=first[2])
    two = scene.ssh(f"{name}.example.test:{second[2]}:127.0.0.1:{scene.app(name='two').port}",
                    command=f"http {second[1]}", key=second[0])
    if number is None:
        two.urls(1)
    else:
        assert two.wait_exit() == 1
        assert f"ERR_SALLYPORT_{number}" in "\n".join(two.err), two.describe()
        assert two.out == []
    assert one.running
    assert who(scene.get(one)) in (("one", "two") if number is None and second[2] == 443
                                   else ("one",))


@pytest.mark.parametrize("command", ["http", "tls"])
def test_another_protocol_never_pools(scene, command):
    """https and tls of one name are a conflict, whoever pools."""
    name = scene.name()
    target = f"{name}.example.test:443:127.0.0.1:{scene.app().port}"
    scene.ssh(target, command=f"{command} {POOL}").urls(1)
    other = "tls" if command == "http" else "http"
    for key in ("alice", "alice2"):
        ssh = scene.ssh(target, command=f"{other} {POOL}", key=key)
        assert ssh.wait_exit() == 1
        assert "ERR_SALLYPORT_334" in "\n".join(ssh.err), ssh.describe()


def test_newer_session_takes_over_only_what_does_not_pool(scene):
    """A client that begins to pool gets its name from its own older session, then others join."""
    name = scene.name()
    old = scene.tunnel(scene.app(name="old"), name=name)
    scene.tunnel(scene.app(name="new"), name=name, flags=POOL)
    old.wait_err("taken over")
    scene.tunnel(scene.app(name="more"), name=name, flags=POOL)
    assert {who(scene.get(f"{name}.example.test")) for _ in range(40)} == {"new", "more"}


def test_one_session_may_hold_two_members(scene):
    """Two forwards of a session with one URL are two members."""
    url = f"https://{scene.name()}.example.test"
    one, two = scene.app(name="one"), scene.app(name="two")
    ssh = scene.ssh(f"443:127.0.0.1:{one.port}", f"0:127.0.0.1:{two.port}",
                    command=f"http {POOL} --url {url} --url {url}")
    assert len(set(ssh.urls(2))) == 1
    assert {who(scene.get(url[8:])) for _ in range(40)} == {"one", "two"}


def test_last_member_stays_of_a_pool(scene, pool):
    """It serves alone, others may join again, and the name stays its account's."""
    first, second = pool(2)
    name = first.host.partition(".")[0]
    first.stop()
    wait_until(lambda: scene.gateway.metrics()["sallyport_endpoints"] == 1, "one member")
    assert {who(scene.get(second)) for _ in range(10)} == {"m1"}
    for key, number in (("bob", 320), ("alice2", 334)):
        ssh = scene.ssh(f"{second.host}:443:127.0.0.1:9", command="http", key=key)
        assert ssh.wait_exit() == 1
        assert f"ERR_SALLYPORT_{number}" in "\n".join(ssh.err), ssh.describe()
    scene.tunnel(scene.app(name="back"), name=name, flags=POOL)
    assert {who(scene.get(second)) for _ in range(40)} == {"m1", "back"}


# ---- members come and go ----


def test_killed_member_fails_no_request(scene, pool):
    """kill -9 of one ssh under load: what it had changes nothing, so it goes to another member."""
    members = pool(4)
    with Load(scene, members[0].host) as load:
        load.wait_more()
        for i in (1, 2):
            members[i].kill()
            load.wait_more(200)
        again = scene.tunnel(scene.app(name="again"), name=members[0].host.partition(".")[0],
                             flags=POOL, key="alice2")
        wait_until(lambda: load.done[b"hello from again\n"] >= 50, "the new member gets its share",
                   20)
    # One whose answer had begun may be cut; no visitor is told of an error.
    assert [f for f in load.failed if f[0] is not None] == []
    assert len(load.failed) <= 2 * len(load.threads)
    assert again.running


def test_killed_member_fails_only_posts_that_it_had(scene, pool):
    """A POST may have been carried out, so those in flight on a dead member fail, and no others."""
    members = pool(3)
    with Load(scene, members[0].host, method="POST", body=content(2000), target="/mirror") as load:
        load.wait_more()
        members[1].kill()
        load.wait_more(300)
    assert len(load.failed) <= len(load.threads), load.failed
    assert {f[0] for f in load.failed} <= {None, 502}


def test_members_that_stop_and_join_all_the_time(scene, pool):
    """Stopping and joining under load loses nothing but what is in flight on the one that stops."""
    members = pool(3)
    host, name = members[0].host, members[0].host.partition(".")[0]
    with Load(scene, host) as load:
        for i in range(8):
            load.wait_more(50)
            members.pop(0).stop()
            members.append(scene.tunnel(scene.app(name=f"n{i}"), name=name, flags=POOL,
                                        key=KEYS[i % 4]))
    assert [f for f in load.failed if f[0] is not None] == []
    assert len(load.failed) <= 8


@pytest.mark.parametrize("flags", ["", "--upstream-protocol http2"], ids=["h1", "h2"])
def test_member_whose_upstream_is_down_is_passed_over(scene, flags):
    """A dial that fails has sent nothing: every request goes to another member, bodies included."""
    name = scene.name()
    port = free_port()
    scene.tunnel(port, name=name, flags=f"{POOL} {flags}")
    good = scene.tunnel(scene.app(name="good"), name=name, flags=POOL, key="alice2")
    before = scene.gateway.metrics()["sallyport_pool_moves_total"]
    for i in range(30):
        assert who(scene.get(good)) == "good"
        with scene.https(good) as conn:
            body = content(100_000, i)
            answer = conn.request("POST", "/mirror", body=body)
            assert (answer.status, answer.body) == (200, body)
            assert conn.upload("/upload", 300_000, chunked=True).status == 200
    moves = scene.gateway.metrics()["sallyport_pool_moves_total"] - before
    assert 20 <= moves <= 90


def test_no_more_than_three_members_are_tried(scene):
    """When none can take it, the visitor hears so after three tries."""
    name = scene.name()
    port = free_port()
    for i in range(5):
        tunnel = scene.tunnel(port, name=name, flags=POOL, key=KEYS[i % 4])
    before = scene.gateway.metrics()["sallyport_pool_moves_total"]
    answer = scene.get(tunnel)
    assert (answer.status, answer.error_code) == (502, "ERR_SALLYPORT_8012")
    assert scene.gateway.metrics()["sallyport_pool_moves_total"] - before == 2


def test_begun_answer_is_never_begun_again(scene):
    """A member that dies in the middle of its answer cuts it."""
    name = scene.name()
    upstreams = [scene.scripted(), scene.scripted()]
    tunnels = [scene.tunnel(u, name=name, flags=POOL, key=k) for u, k in zip(upstreams, KEYS)]
    conn = scene.https(tunnels[0])
    conn.send(conn.request_bytes("GET", "/x"))
    i = wait_until(lambda: next((n + 1 for n, u in enumerate(upstreams) if u.connections), None),
                   "the request") - 1
    up = upstreams[i].accept()
    up.read_request()
    up.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
    conn.read_until(b"12345")
    tunnels[i].kill()
    assert conn.read_all() == b""
    upstreams[1 - i].assert_untouched()


def test_visitors_of_an_upgrade_move_too(scene):
    """A request for a WebSocket that finds its member gone is answered by another."""
    name = scene.name()
    upstreams = [scene.scripted(), scene.scripted()]
    tunnels = [scene.tunnel(u, name=name, flags=POOL, key=k) for u, k in zip(upstreams, KEYS)]
    conn = scene.https(tunnels[0])
    conn.send(conn.request_bytes("GET", "/x", [("Connection", "upgrade"), ("Upgrade", "echo")]))
    i = wait_until(lambda: next((n + 1 for n, u in enumerate(upstreams) if u.connections), None),
                   "the request") - 1
    upstreams[i].accept().read_request()
    tunnels[i].kill()
    up = upstreams[1 - i].accept()
    up.read_request()
    up.send(b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
    assert conn.read_head().status == 101
    conn.send(b"ping")
    assert up.read_exactly(4) == b"ping"


def served(scene, name, key):
    """A member that speaks HTTP/2 with prior knowledge."""
    up = scene.keep(Served(UPSTREAMS["h2c"], None))
    up.tunnel = scene.tunnel(up, name=name, flags=f"{POOL} {UPSTREAMS['h2c'].command}", key=key)
    return up


def test_http2_members_that_die(scene):
    """Of the requests that share a connection to a dead member, those that change nothing move."""
    name = scene.name()
    ups = [served(scene, name, key) for key in KEYS[:2]]
    visitor = scene.keep(H2Conn(scene.gateway.https_port, f"{name}.example.test"))
    gets = [visitor.request("/x") for _ in range(20)]
    posts = [visitor.request("/x", "POST", end=False) for _ in range(20)]
    for stream in posts:
        visitor.send(stream, b"body", end=True)
    wait_until(lambda: sum(up.waiting.qsize() for up in ups) == 40, "all requests are there")
    assert 5 <= ups[0].waiting.qsize() <= 35
    ups[0].tunnel.kill()
    over = threading.Event()
    threading.Thread(target=answer_all, args=(ups[1], over), daemon=True).start()
    assert [visitor.finish(s).status for s in gets] == [200] * 20
    statuses = collections.Counter(visitor.finish(s).status for s in posts)
    over.set()
    assert set(statuses) == {200, 502}, statuses


def answer_all(up, over):
    while not over.is_set():
        try:
            up.accept(0.1).respond(200, end=True)
        except AssertionError:
            pass  # none came meanwhile


# ---- policies ----


def marked(word, phase="on_http_response"):
    return text_of({phase: [{"actions": [{"type": "add-headers",
                                          "config": {"headers": {"x-rules": word}}}]}]})


def with_policy(scene, name, app, policy, **kw):
    return scene.tunnel(app, name=name, flags=f"{POOL} --traffic-policy-file -",
                        stdin=stdin_of(policy), **kw)


def test_each_member_has_its_own_policy(scene):
    """The member is chosen first, then its policy runs."""
    name = scene.name()
    for i, key in enumerate(KEYS[:3]):
        tunnel = with_policy(scene, name, scene.app(name=f"m{i}"), marked(f"m{i}"), key=key)
    seen = set()
    for _ in range(60):
        answer = scene.get(tunnel)
        assert answer.header("x-rules") == who(answer)
        seen.add(who(answer))
    assert seen == {"m0", "m1", "m2"}


def test_moves_go_to_members_with_the_same_rules_only(scene):
    """What has run for one member must be what another would have run."""
    name = scene.name()
    port = free_port()
    with_policy(scene, name, port, marked("x"))
    tunnel = with_policy(scene, name, scene.app(name="same"), marked("x"), key="alice2")
    for _ in range(30):
        assert who(scene.get(tunnel)) == "same"
    with_policy(scene, name, scene.app(name="other"), marked("y"), key="ecdsa")
    for _ in range(60):
        answer = scene.get(tunnel)
        assert (who(answer), answer.header("x-rules")) in (("same", "x"), ("other", "y"))

    name = scene.name()
    with_policy(scene, name, port, marked("x"))
    tunnel = with_policy(scene, name, scene.app(name="other"), marked("y"), key="alice2")
    got = collections.Counter(scene.get(tunnel).status for _ in range(40))
    assert set(got) == {200, 502}, got


CONNECT = "on_tcp_connect"


def on_connect(metadata):
    return text_of({CONNECT: [{"actions": [{"type": "log", "config": {
        "metadata": {"who": metadata}}}]}]})


def kept_member(scene, tunnel, count):
    """Who answers all requests of a connection."""
    with scene.https(tunnel) as conn:
        member, = {who(conn.get("/hello")) for _ in range(count)}
    return member


def test_connection_keeps_to_a_member_when_rules_for_connections_differ(scene):
    """Members with different on_tcp_connect: one member a connection; without them: any."""
    name = scene.name()
    for i in range(2):
        tunnel = with_policy(scene, name, scene.app(name=f"m{i}"), on_connect(f"m{i}"),
                             key=KEYS[i])
    assert {kept_member(scene, tunnel, 8) for _ in range(40)} == {"m0", "m1"}
    h2 = scene.keep(H2Conn(scene.gateway.https_port, tunnel.host))
    assert len({bytes(h2.get("/hello").body) for _ in range(10)}) == 1


def test_connection_that_keeps_goes_on_without_its_member(scene):
    """When the member it keeps to dies, it gets another, whose rules then run."""
    name = scene.name()
    tunnels = {}
    for i in range(2):
        tunnels[f"m{i}"] = with_policy(scene, name, scene.app(name=f"m{i}"), on_connect(f"m{i}"),
                                       key=KEYS[i])
    with scene.https(f"{name}.example.test") as conn:
        first = who(conn.get("/hello"))
        tunnels[first].stop()
        wait_until(lambda: scene.gateway.metrics()["sallyport_endpoints"] == 1, "one member")
        mark = scene.gateway.mark()
        assert who(conn.get("/hello")) != first
        assert scene.gateway.wait_exchange("/hello", mark)["traffic_policy"]["logs"]


def test_same_rules_for_connections_run_once_a_connection(scene):
    """With the same on_tcp_connect each request has a choice, and the rules run once."""
    name = scene.name()
    for i in range(2):
        tunnel = with_policy(scene, name, scene.app(name=f"m{i}"), on_connect("same"),
                             key=KEYS[i])
    mark = scene.gateway.mark()
    with scene.https(tunnel) as conn:
        assert {who(conn.get("/hello")) for _ in range(30)} == {"m0", "m1"}
    wait_until(lambda: len(lines(scene, mark, tunnel)) == 30, "30 lines")
    assert sum("traffic_policy" in e for e in lines(scene, mark, tunnel)) == 1


def lines(scene, mark, tunnel):
    return [e for e in scene.gateway.entries(mark, "http_request_complete")
            if tunnel.host in e["http"]["request"]["url"]["host"]]


def terminating(minimum):
    return text_of({CONNECT: [{"actions": [{"type": "terminate-tls",
                                            "config": {"min_version": minimum}}]}]})


def test_members_that_end_tls_alike(scene):
    """The same terminate-tls: one handshake serves requests for all members, none is misdirected."""
    name = scene.name()
    for i in range(2):
        tunnel = with_policy(scene, name, scene.app(name=f"m{i}"), terminating("1.3"),
                             key=KEYS[i])
    with scene.https(tunnel) as conn:
        assert conn.sock.version() == "TLSv1.3"
        assert {who(conn.get("/hello")) for _ in range(30)} == {"m0", "m1"}


def test_members_that_end_tls_in_different_ways(scene):
    """The member is chosen before the handshake, and the connection keeps to it."""
    name = scene.name()
    policies = [terminating("1.3"), terminating("1.2")]
    for i in range(2):
        tunnel = with_policy(scene, name, scene.app(name=f"m{i}"), policies[i], key=KEYS[i])
    plain = scene.tunnel(scene.app(name="m2"), name=name, flags=POOL, key=KEYS[2])
    assert plain.running
    assert {kept_member(scene, tunnel, 4) for _ in range(60)} == {"m0", "m1", "m2"}


# ---- TCP and TLS ----


class Greeter(Server):
    """Says its name to every connection, then sends back what comes."""

    def __init__(self, name):
        self.name = name
        super().__init__()

    def on_conn(self, conn):
        threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        try:
            conn.send(self.name.encode() + b"\n")
            while data := conn.sock.recv(65536):
                conn.send(data)
            conn.end()
        except OSError:
            pass


def tcp_member(scene, upstream, port, key):
    target = upstream if isinstance(upstream, int) else upstream.port
    tunnel = scene.ssh(f"{HOST}:{port}:127.0.0.1:{target}", command=f"tcp {POOL}", key=key)
    assert tunnel.urls(1) == [f"tcp://{HOST}:{port}"]
    return tunnel


def greeting(port):
    with Conn(port, HOST) as conn:
        name = conn.read_until(b"\n")
        conn.send(b"x")
        assert conn.read_exactly(1) == b"x"
        return name


def test_tcp_endpoints_pool(scene):
    """A port is opened with the first member and closed with the last; connections spread."""
    port = free_port(FIXED)
    members = [tcp_member(scene, scene.keep(Greeter(f"m{i}")), port, KEYS[i]) for i in range(3)]
    got = collections.Counter(greeting(port) for _ in range(90))
    assert len(got) == 3 and min(got.values()) >= 10, got
    conns = {}
    while len(conns) < 3:
        conn = scene.keep(Conn(port, HOST))
        conns.setdefault(conn.read_until(b"\n"), conn)
    members[1].stop()
    assert conns[b"m1\n"].read_all() == b""
    assert {greeting(port) for _ in range(30)} == {b"m0\n", b"m2\n"}
    for name in (b"m0\n", b"m2\n"):
        conns[name].send(b"still")
        assert conns[name].read_exactly(5) == b"still"
    refused = scene.ssh(f"{HOST}:{port}:127.0.0.1:9", command="tcp")
    assert refused.wait_exit() == 1
    assert "ERR_SALLYPORT_334" in "\n".join(refused.err)
    members[0].stop()
    assert {greeting(port) for _ in range(10)} == {b"m2\n"}
    members[2].stop()

    def closed():
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) != 0

    wait_until(closed, "the port is closed with the last member")


def test_tcp_member_whose_upstream_is_down_is_passed_over(scene):
    """Nothing was read of a visitor before both ends are open, so another member is dialled."""
    port = free_port(FIXED)
    tcp_member(scene, free_port(), port, "alice")
    tcp_member(scene, scene.keep(Greeter("good")), port, "alice2")
    assert {greeting(port) for _ in range(30)} == {b"good\n"}


def test_tcp_pool_loses_no_connection_but_those_of_the_dead(scene):
    """kill -9 of a member while connections come: new ones all reach a living member."""
    port = free_port(FIXED)
    members = [tcp_member(scene, scene.keep(Greeter(f"m{i}")), port, KEYS[i]) for i in range(3)]
    for i in range(200):
        if i == 50:
            members[0].kill()
            # From here on some dials find out that it is gone before the registry does.
        assert greeting(port) in {b"m0\n", b"m1\n", b"m2\n"}


def test_tls_endpoints_pool(scene, tmp_path):
    """Connections to a name spread over upstreams that each end TLS themselves."""
    host = f"{scene.name()}.example.test"
    certificates = Certificates(tmp_path)
    for i in range(2):
        up = scene.keep(TlsUpstream(certificates.issue(host)))
        up.number = i
        ssh = scene.ssh(f"{host}:443:127.0.0.1:{up.port}", command=f"tls {POOL}", key=KEYS[i])
        assert ssh.urls(1)[0].startswith(f"tls://{host}")
    ups = set()
    for _ in range(30):
        with scene.https(host, context=tls_context(cafile=certificates.ca[0], alpn=())) as conn:
            conn.read_until(b"\n")
            ups.add(conn.sock.getpeercert()["serialNumber"])
    assert len(ups) == 2


# ---- long ----


@pytest.mark.soak
def test_churn_for_a_minute(scene, pool):
    """Members are killed and replaced for a minute under load: no visitor is told of an error."""
    members = pool(5)
    name = members[0].host.partition(".")[0]
    end = time.monotonic() + 60
    with Load(scene, members[0].host, visitors=16) as load:
        rounds = 0
        while time.monotonic() < end:
            load.wait_more(50)
            victim = members.pop(0)
            victim.signal(signal.SIGKILL)
            victim.wait_exit()
            members.append(scene.tunnel(scene.app(name=f"n{rounds}"), name=name, flags=POOL,
                                        key=KEYS[rounds % 4]))
            rounds += 1
    assert [f for f in load.failed if f[0] is not None] == []
    assert len(load.failed) <= rounds * 2
