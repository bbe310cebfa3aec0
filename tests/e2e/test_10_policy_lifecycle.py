"""Policies that come, go and change while requests run, and what the operator lays upon them."""

import base64
import crypt
import hashlib
import re
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib.content import digest
from lib.gateway import BINARY, DOMAIN, Gateway
from lib.policy import (Guarded, answer_with, logs_of, merge, on_request, on_response, rule,
                        stdin_of, text_of)
from lib.raw import ProtocolError
from lib.wait import wait_until

SETTINGS = {"http_request": {"allow": ["127.0.0.1/32"]}}


@pytest.fixture
def guarded(scene):
    return lambda document, **kw: Guarded(scene, document, **kw)


class Helper:
    """A server that http-request asks, and that answers when the test says so."""

    def __init__(self, app):
        self.app = app
        self.go_on = threading.Event()
        self.asked = []
        self.left = []
        app.route("/ask", self._ask)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.app.port}/ask"

    def _ask(self, conn, request):
        self.app.skip(conn, request)
        self.asked.append(request)
        conn.sock.settimeout(0.05)
        while not self.go_on.is_set():
            try:
                if conn.sock.recv(1) == b"":
                    self.left.append(request)
                    return False
            except socket.timeout:
                pass
        conn.respond(b"yes")
        return True

    def wait_asked(self, n):
        wait_until(lambda: len(self.asked) >= n, lambda: f"{n} questions; {len(self.asked)} came")


@pytest.fixture
def helper(scene):
    helper = Helper(scene.app())
    yield helper
    helper.go_on.set()


def asks(helper, **config):
    return on_request(("http-request", {"url": helper.url, "timeout": "30s", **config}))


def versioned(helper, version):
    """The same mark in front of a wait, behind it, and on the response."""
    return merge(on_request(("add-headers", {"headers": {"x-before": version}})), asks(helper),
                 on_request(("add-headers", {"headers": {"x-behind": version}})),
                 on_response(("add-headers", {"headers": {
                     "x-response": version, "x-seen": "${req.headers['x-before'][0]}"}})))


# ---- replaced and revoked ----


def test_policy_is_replaced_under_load(scene, helper, guarded):
    """Fifty requests wait in the old policy when a new session takes the name over."""
    name = scene.name()
    old = guarded(versioned(helper, "old"), name=name)
    up = old.app

    def ask(_):
        try:
            return old.request("/echo", seconds=60)
        except (ProtocolError, OSError):
            return None

    with ThreadPoolExecutor(50) as pool:
        waiting = [pool.submit(ask, i) for i in range(50)]
        helper.wait_asked(50)
        new = guarded(versioned(helper, "new"), name=name, upstream=up)
        helper.go_on.set()
        answers = [w.result() for w in waiting]
    for answer in answers:
        assert answer is not None and answer.status in (200, 502)
        if answer.status == 200:
            assert_version(answer, "old")
    for _ in range(5):
        assert_version(new.request("/echo"), "new")
    for request in up.seen:
        assert request.header("x-before") == request.header("x-behind") is not None


def assert_version(answer, version):
    assert answer.status == 200, answer
    assert [answer.header(n) for n in ("x-response", "x-seen")] == [version, version]


def test_policies_are_replaced_while_visitors_come(scene, helper, guarded):
    """Twenty takeovers: each answer is wholly of one policy or an error, and none is unguarded."""
    helper.go_on.set()
    name = scene.name()
    up = scene.app()
    tunnels = [guarded(versioned(helper, "v0"), name=name, upstream=up)]
    over = threading.Event()
    answers = []

    def visit():
        while not over.is_set():
            try:
                with tunnels[-1].conn() as conn:
                    for _ in range(5):
                        answers.append(conn.get("/echo"))
            except (ProtocolError, OSError):
                pass

    def wait_served(version):
        wait_until(lambda: any(a.status == 200 and a.header("x-response") == version
                               for a in list(answers)), f"an answer of {version}")

    visitors = [threading.Thread(target=visit) for _ in range(4)]
    for visitor in visitors:
        visitor.start()
    try:
        wait_served("v0")
        for i in range(1, 21):
            tunnels.append(guarded(versioned(helper, f"v{i}"), name=name, upstream=up))
            wait_served(f"v{i}")
    finally:
        over.set()
        for visitor in visitors:
            visitor.join()
    for answer in [a for a in answers if a.status == 200]:
        assert_version(answer, answer.header("x-response"))
    assert {a.status for a in answers} <= {200, 404, 502}
    for request in up.seen:
        assert request.header("x-before") == request.header("x-behind") is not None


def test_session_ends_while_requests_wait(guarded, helper):
    """They get an answer, and nothing is left."""
    g = guarded(asks(helper))
    with ThreadPoolExecutor(20) as pool:
        waiting = [pool.submit(g.request, "/hello") for _ in range(20)]
        helper.wait_asked(20)
        g.tunnel.kill()
        g.scene.gateway.wait_gauge("sallyport_endpoints", 0)
        helper.go_on.set()
        assert {w.result().status for w in waiting} <= {404, 502}
    assert not g.app.seen


def begun(gateway):
    """How many requests have come so far, those that are over included."""
    metrics = gateway.metrics()
    return metrics["sallyport_exchanges"] + metrics["sallyport_requests_total"]


def test_session_ends_while_passwords_are_checked(guarded):
    """Some of them may have been checked by then."""
    salt = "$2b$11$" + 21 * "a" + "u"
    g = guarded(on_request(("basic-auth", {"credentials": [
        "ann:" + crypt.crypt("correct horse", salt)]})))
    conns = [g.conn() for _ in range(8)]
    before = begun(g.scene.gateway)
    for i, conn in enumerate(conns):
        pair = base64.b64encode(f"ann:wrong password {i}".encode()).decode()
        conn.send(conn.request_bytes("GET", "/hello", [("Authorization", "Basic " + pair)]))
    wait_until(lambda: begun(g.scene.gateway) == before + 8, "eight requests")
    g.tunnel.kill()
    for conn in conns[::2]:
        conn.reset()
    for conn in conns[1::2]:
        try:
            assert conn.read_response(seconds=60).status in (401, 404, 502)
        except ProtocolError:
            pass
        conn.close()
    assert not g.app.seen


@pytest.mark.parametrize("how", ["close", "reset"])
def test_visitor_leaves_while_another_server_is_asked(guarded, helper, how):
    """The question is withdrawn."""
    g = guarded(asks(helper))
    conns = [g.conn() for _ in range(10)]
    for conn in conns:
        conn.send(conn.request_bytes("GET", "/hello"))
    helper.wait_asked(10)
    for conn in conns:
        getattr(conn, how)()
    wait_until(lambda: len(helper.left) == 10, "the end of the questions")
    g.scene.gateway.wait_gauge("sallyport_exchanges", 0)
    assert not g.app.seen


def test_visitor_leaves_while_a_password_is_checked(guarded):
    salt = "$2b$11$" + 21 * "a" + "u"
    g = guarded(on_request(("basic-auth", {"credentials": [
        "ann:" + crypt.crypt("correct horse", salt)]})))
    pair = base64.b64encode(b"ann:correct horse").decode()
    for _ in range(4):
        conn = g.conn()
        conn.send(conn.request_bytes("GET", "/hello", [("Authorization", "Basic " + pair)]))
        conn.reset()
    g.scene.gateway.wait_gauge("sallyport_exchanges", 0, 60)
    assert g.request("/hello", [("Authorization", "Basic " + pair)], seconds=60).status == 200


REPLACE = ("request-body-find-replace", {"replacements": [{"from": "a", "to": "b"}]})


def test_visitor_leaves_in_the_middle_of_a_body(guarded):
    g = guarded(on_request(REPLACE))
    for how in ("close", "reset"):
        conn = g.conn()
        conn.send(conn.request_bytes("POST", "/hello", [("Content-Length", "1000")]) + b"half")
        g.scene.gateway.wait_gauge("sallyport_exchanges", 1)
        getattr(conn, how)()
        g.scene.gateway.wait_gauge("sallyport_exchanges", 0)
    assert not g.app.seen


def test_session_ends_in_the_middle_of_a_body(guarded):
    g = guarded(on_request(REPLACE))
    with g.conn() as conn:
        conn.send(conn.request_bytes("POST", "/hello", [("Content-Length", "8")]) + b"half")
        g.scene.gateway.wait_gauge("sallyport_exchanges", 1)
        g.tunnel.kill()
        g.scene.gateway.wait_gauge("sallyport_endpoints", 0)
        try:
            conn.send(b"rest")
        except OSError:
            pass
        assert conn.read_response().status in (404, 502)


def test_upstream_is_lost_while_its_body_is_gathered(scene):
    up = scene.scripted()
    g = Guarded(scene, on_response(("response-body-find-replace", {
        "replacements": [{"from": "a", "to": "b"}]})), upstream=up)
    for leaves in (lambda agent, conn: agent.reset(), lambda agent, conn: conn.reset(),
                   lambda agent, conn: g.tunnel.kill()):
        conn = g.conn()
        conn.send(conn.request_bytes("GET", "/x"))
        agent = up.accept()
        agent.read_head()
        agent.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        scene.gateway.wait_gauge("sallyport_exchanges", 1)
        leaves(agent, conn)
        scene.gateway.wait_gauge("sallyport_exchanges", 0)
        try:
            assert conn.read_response().status == 502
        except (ProtocolError, OSError):
            pass
        conn.close()
        agent.close()


def test_pipelined_request_behind_one_that_waits(guarded, helper):
    """The second is judged when the first is over, by the same policy."""
    g = guarded(merge(on_request(("http-request", {"url": helper.url, "timeout": "30s"}),
                                 expressions=["req.url.path == '/echo'"]),
                      answer_with("req.url.path")))
    with g.conn() as conn:
        conn.send(conn.request_bytes("GET", "/echo") + conn.request_bytes("GET", "/second"))
        helper.wait_asked(1)
        helper.go_on.set()
        assert conn.read_response().text == "/echo"
        assert conn.read_response().text == "/second"


def test_upgrade_behind_a_policy_that_waits(scene, helper):
    """Bytes that a visitor sends early arrive behind the head; the response phase sees the 101."""
    up = scene.scripted()
    g = Guarded(scene, merge(
        asks(helper), on_request("deny", expressions=["req.url.path == '/no'"]),
        on_response(("add-headers", {"headers": {"x-status": "${res.status_code}"}}))),
        upstream=up)
    upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket")]
    with g.conn() as conn:
        conn.send(conn.request_bytes("GET", "/ws", upgrade) + b"early")
        helper.wait_asked(1)
        up.assert_untouched()
        helper.go_on.set()
        agent = up.accept()
        assert agent.read_head().header("upgrade") == "websocket"
        agent.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                   b"Upgrade: websocket\r\n\r\n")
        head = conn.read_head()
        assert (head.status, head.header("x-status")) == (101, "101")
        assert agent.read_exactly(5) == b"early"
        agent.send(b"back")
        assert conn.read_exactly(4) == b"back"
    with g.conn() as conn:
        assert conn.get("/no", upgrade).status == 403


def test_large_body_waits_for_the_policy(scene, helper):
    """An upload is not read while its policy waits, and arrives whole."""
    g = Guarded(scene, asks(helper))
    before = scene.gateway.rss()
    with g.conn() as conn, ThreadPoolExecutor(1) as pool:
        upload = pool.submit(conn.upload, "/upload", 30_000_000)
        helper.wait_asked(1)
        scene.gateway.assert_growth(before)
        helper.go_on.set()
        assert upload.result().text == f"30000000 {digest(30_000_000)}"
    scene.gateway.assert_growth(before)


def test_large_response_waits_for_the_policy(scene, helper):
    """Nor is a download read while the policy of its response waits."""
    g = Guarded(scene, on_response(("http-request", {"url": helper.url, "timeout": "30s"})))
    before = scene.gateway.rss()
    size = 30_000_000
    with g.conn() as conn, ThreadPoolExecutor(1) as pool:
        download = pool.submit(conn.get, f"/bytes/{size}", seconds=30)
        helper.wait_asked(1)
        scene.gateway.assert_growth(before)
        helper.go_on.set()
        assert hashlib.sha256(download.result().body).hexdigest() == digest(size)
    with g.conn() as conn:
        helper.go_on.clear()
        conn.send(conn.request_bytes("GET", f"/bytes/{size}"))
        helper.wait_asked(2)
    wait_until(lambda: helper.left, "the end of the question")
    scene.gateway.assert_growth(before)


def test_shutdown_waits_for_a_policy(scene, helper):
    """SIGTERM while a policy waits: the request is served to its end."""
    gateway = scene.start_gateway(SETTINGS)
    g = Guarded(scene, asks(helper))
    with g.conn() as conn, ThreadPoolExecutor(1) as pool:
        conn.send(conn.request_bytes("GET", "/hello"))
        helper.wait_asked(1)
        end = pool.submit(gateway.terminate)
        gateway.wait_log(lambda e: "drain" in e["event"] or "shut" in e["event"], what="the drain")
        helper.go_on.set()
        assert conn.read_response().status == 200
        assert end.result() == 0


# ---- connections ----


def test_tcp_connect_runs_once(guarded):
    """Once for a connection and endpoint; each of its requests may read what came of it."""
    g = guarded(merge(
        rule("on_tcp_connect", ("log", {"metadata": {"at": "connect"}}),
             ("restrict-ips", {"allow": ["${conn.client_ip}"]})),
        on_request(("log", {"metadata": {"path": "${req.url.path}"}})),
        on_response(("add-headers", {"headers": {
            "x-cidr": "${actions.ngrok.restrict_ips.matched_cidr}"}}))))
    with g.conn() as conn:
        for path in ("/first", "/second", "/third"):
            assert conn.get(path).header("x-cidr") == "127.0.0.1/32"
    assert {"path": "/first"} in logs_of(g, "/first")
    assert logs_of(g, "/second") == [{"path": "/second"}]
    assert logs_of(g, "/third") == [{"path": "/third"}]
    scene_log = g.scene.gateway.log
    wait_until(lambda: sum("connect" in str(e.get("traffic_policy")) for e in scene_log) == 1,
               "the entry of the connection, in one event")


def test_tcp_connect_that_refuses_is_told(guarded):
    """The event of the connection says what refused it."""
    g = guarded(rule("on_tcp_connect", ("log", {"metadata": {"why": "refused"}}),
                     ("restrict-ips", {"allow": ["10.0.0.0/8"]})))
    mark = g.scene.gateway.mark()
    with g.conn() as conn:
        conn.send(conn.request_bytes("GET", "/hello"))
        assert conn.read_all() == b""
    entry = g.scene.gateway.wait_log(lambda e: "ip_policy" in e, mark, "the event")
    assert entry["ip_policy"]["decision"] == "block"
    assert "refused" in str(entry["traffic_policy"]["logs"])


def test_tcp_connect_of_several_endpoints(scene, guarded):
    """A connection of plain http may visit many; each has its say, and so has a new policy."""
    app = scene.app()

    def document(word):
        return merge(rule("on_tcp_connect", ("restrict-ips", {
            "allow": ["127.0.0.0/8" if word != "closed" else "10.0.0.0/8"]})),
            on_request(("custom-response", {
                "body": word + "${actions.ngrok.restrict_ips.action}"})))

    made = [guarded(document(f"{i} "), port=80, upstream=app) for i in range(20)]
    closed = guarded(document("closed"), port=80, upstream=app)
    with made[0].conn() as conn:
        for _ in range(2):
            for i, g in enumerate(made):
                answer = conn.get("/", [("Host", g.host)])
                assert answer.text == f"{i} allow"
        new = guarded(document("new "), port=80, upstream=app, name=made[0].host.split(".")[0])
        assert conn.get("/", [("Host", new.host)]).text == "new allow"
        conn.send(conn.request_bytes("GET", "/", [("Host", closed.host)]))
        assert conn.read_all() == b""
    assert not app.seen


# ---- the operator's ----


def mark(word):
    return on_request(("add-headers", {"headers": {"x-order": word}}))


def write(tmp_path, name, document):
    file = tmp_path / f"{name}.yml"
    file.write_text(text_of(document))
    return str(file)


def test_operator_documents_come_first(scene, tmp_path):
    """In the order of the configuration, and only where account and domain fit; then the flags
    that guard, the user's document, the flags that change headers."""
    scene.start_gateway({"policies": (
        {"file": write(tmp_path, "all", mark("all"))},
        {"file": write(tmp_path, "bob", mark("bob")), "account": "bob"},
        {"file": write(tmp_path, "alice", mark("alice")), "account": "alice"},
        {"file": write(tmp_path, "other", mark("other")), "domain": "other.example"},
        {"file": write(tmp_path, "below", mark("below")), "domain": f"*.{DOMAIN}"},
        {"file": write(tmp_path, "one", merge(mark("one"), on_request(
            "deny", expressions=["req.url.path == '/never'"]))),
         "account": "alice", "domain": f"one.{DOMAIN}"},
    )})
    flags = "--basic-auth user:password --request-header-add 'x-order: flag'"
    given = [("Authorization", "Basic " + base64.b64encode(b"user:password").decode())]
    g = Guarded(scene, merge(mark("document"), on_request("deny", expressions=[
        "actions.ngrok.basic_auth == null"])), name="one", flags=flags)
    assert g.echo(headers=given).all("x-order") == ["all", "alice", "below", "one", "document",
                                                    "flag"]
    assert g.request("/never").status == 403
    assert g.request("/echo").status == 401
    assert Guarded(scene, mark("document"), name="two").echo().all("x-order") == \
        ["all", "alice", "below", "document"]
    assert Guarded(scene, mark("document"), name="three", key="bob").echo().all("x-order") == \
        ["all", "bob", "below", "document"]
    tunnel = scene.tunnel(g.app, name="four")
    scene.get(tunnel, "/without")
    assert [r.all("x-order") for r in g.app.seen if r.target == "/without"] == \
        [["all", "alice", "below"]]


def test_operator_document_with_a_problem(scene, tmp_path):
    """The configuration is refused as a whole, with the document's own line."""
    file = tmp_path / "bad.yml"
    file.write_text("on_http_request:\n  - actions:\n      - type: denny\n")
    gateway = Gateway(tmp_path, scene.keys, {"policies": ({"file": str(file)},)})
    for word in ("check", "serve"):
        done = subprocess.run([BINARY, word, "-c", gateway.config_file], capture_output=True,
                              text=True, check=False, timeout=20)
        assert done.returncode == 1
        assert re.search(r"bad\.yml:3:\d+: error\[ERR_SALLYPORT_2201\]",
                         done.stdout + done.stderr), done


def test_reload_of_the_operators_documents(scene, tmp_path):
    """New sessions get the new one, also on the same name; those that run keep theirs."""
    file = tmp_path / "all.yml"
    file.write_text(text_of(mark("old")))
    gateway = scene.start_gateway({"policies": ({"file": str(file)},)})

    def reload(level="info"):
        place = gateway.mark()
        gateway.reload()
        gateway.wait_log(lambda e: "reload" in e["event"] and e["level"] == level, place)

    first = Guarded(scene, mark("document"), name="first")
    visitor = scene.https(first.host)
    assert visitor.get("/echo").status == 200
    file.write_text(text_of(mark("new")))
    reload()
    assert Guarded(scene, mark("document"), name="second").echo().all("x-order") == \
        ["new", "document"]
    assert first.echo().all("x-order") == ["old", "document"]
    assert visitor.get("/echo").status == 200
    file.write_text("nonsense: [")
    reload("error")
    third = Guarded(scene, mark("document"), name="third")
    assert third.echo().all("x-order") == ["new", "document"]
    assert Guarded(scene, mark("again"), name="first").echo().all("x-order") == ["new", "again"]


def test_reloads_under_load(scene, tmp_path, helper):
    """Thirty reloads of a changing document while requests and sessions come and go."""
    helper.go_on.set()
    file = tmp_path / "all.yml"
    file.write_text(text_of(mark("0")))
    gateway = scene.start_gateway({**SETTINGS, "policies": ({"file": str(file)},)})
    g = Guarded(scene, asks(helper))
    visitor = g.conn()
    for i in range(30):
        file.write_text(text_of(mark(str(i))))
        gateway.reload()
        assert visitor.get("/echo").status == 200
        if i % 10 == 0:
            Guarded(scene, asks(helper)).echo()
    assert g.echo().all("x-order") == ["0"]
    visitor.close()


# ---- expressions that fail ----


def test_expression_that_fails_does_not_match(scene):
    """expression_errors = "no-match": the rule is passed over, and the log says so."""
    gateway = scene.start_gateway({"expression_errors": "no-match"})
    g = Guarded(scene, merge(
        on_request("deny", expressions=["int(req.headers['x-n'][0]) > 1"]),
        on_request(("add-headers", {"headers": {"x-next": "1"}})),
        on_response(("add-headers", {"headers": {"x-bad": "1"}}),
                    expressions=["req.headers['x-none'][0] == ''"]),
        on_response(("add-headers", {"headers": {"x-good": "1"}}))))
    answer = g.request("/echo")
    assert answer.status == 200
    assert (answer.header("x-bad"), answer.header("x-good")) == (None, "1")
    assert g.request("/echo", [("x-n", "2")]).status == 403
    assert g.request("/echo", [("x-n", "1")]).status == 200
    assert g.echo().header("x-next") == "1"
    gateway.wait_log(lambda e: e["event"] == "policy.expression_failed", what="the failure")


def test_interpolation_still_fails(scene):
    """The setting is about expressions of rules: a field that has no value stops the request."""
    scene.start_gateway({"expression_errors": "no-match"})
    g = Guarded(scene, on_request(("add-headers", {"headers": {"x": "${req.headers['no'][0]}"}})))
    answer = g.request("/echo")
    assert answer.status == 500 and answer.error_code == "ERR_SALLYPORT_2253"


# ---- documents that come slowly or not whole ----


def test_document_that_breaks_off(scene):
    """ssh is killed in the middle of its document: nothing was opened."""
    host = f"{scene.name()}.{DOMAIN}"
    read, write_end = socket.socketpair()
    ssh = scene.ssh(f"{host}:443:127.0.0.1:1", command="http --traffic-policy-file -", stdin=read)
    read.close()
    write_end.sendall(b"on_http_request:\n")
    scene.gateway.wait_gauge("sallyport_ssh_sessions", 1)
    ssh.kill()
    write_end.close()
    scene.gateway.wait_gauge("sallyport_ssh_sessions", 0)
    assert ssh.out == []


def test_document_in_pieces(scene):
    app = scene.app()
    host = f"{scene.name()}.{DOMAIN}"
    read, write_end = socket.socketpair()
    ssh = scene.ssh(f"{host}:443:127.0.0.1:{app.port}", command="http --traffic-policy-file -",
                    stdin=read)
    read.close()
    for line in text_of(on_request("deny")):
        write_end.sendall(line.encode())
    assert scene.gateway.metrics()["sallyport_endpoints"] == 0
    write_end.close()
    assert host in ssh.urls(1)[0]
    assert scene.get(host).status == 403


def test_document_that_is_refused_keeps_the_old_session(scene, guarded):
    """A new session with a bad document does not take the name from the one that has it."""
    g = guarded(on_request(("custom-response", {"body": "old"})))
    bad = scene.ssh(f"{g.host}:443:127.0.0.1:1", command="http --traffic-policy-file -",
                    stdin=stdin_of(text_of(on_request("denny"))))
    assert bad.wait_exit() == 1
    assert g.request().text == "old"
    assert g.tunnel.running
