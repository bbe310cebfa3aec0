"""Policies that wait while the world changes, and streams that go on for long."""

import threading
from concurrent.futures import ThreadPoolExecutor

from lib.policy import Guarded, merge, on_request, on_response, rule


class Gate:
    """A server that http-request asks, and that answers when the test says so."""

    def __init__(self, scene):
        self.app = scene.app()
        self.asked = threading.Event()
        self.go_on = threading.Event()
        self.app.route("/ask", self._ask)
        self.url = f"http://127.0.0.1:{self.app.port}/ask"

    def _ask(self, conn, request):
        self.app.skip(conn, request)
        self.asked.set()
        assert self.go_on.wait(30)
        conn.respond(b"yes")
        return True


def test_reload_while_a_policy_waits(scene, tmp_path):
    """What was looked up before the reload is still there behind it."""
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "home").write_text("127.0.0.0/8\n")
    gateway = scene.start_gateway({"http_request": {"allow": ["127.0.0.1/32"]},
                                   "ip_categories": str(lists), "server_region": "somewhere"})
    gate = Gate(scene)
    known = ["conn.client_ip.categories == ['home']", "conn.server_region == 'somewhere'"]
    mark = ("add-headers", {"headers": {"x-known": "${conn.client_ip.categories[0]}"}})
    g = Guarded(scene, merge(
        on_request(mark, expressions=known),
        on_request(("http-request", {"url": gate.url, "timeout": "30s"})),
        on_request(("log", {"metadata": {"known": "${conn.client_ip.categories[0]}"}}),
                   expressions=known),
        on_request(("add-headers", {"headers": {"x-again": "yes"}}), expressions=known)))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(g.echo, seconds=60)
        assert gate.asked.wait(10)
        (lists / "home").rename(lists / "other")
        for _ in range(2):
            place = gateway.mark()
            gateway.reload()
            gateway.wait_log(lambda e: e["event"].startswith("reload"), place, "the reload")
        Guarded(scene, on_request(mark)).echo()
        gate.go_on.set()
        seen = waiting.result()
    assert seen.all("x-known") == ["home"]
    assert seen.all("x-again") == ["yes"]


def test_circuit_breaker_counts_an_upstream_that_does_not_answer(scene):
    scene.start_gateway({"limits": {"response_head_timeout_ms": 300}})
    g = Guarded(scene, on_request(("circuit-breaker", {
        "error_threshold": 1.0, "volume_threshold": 2, "tripped_duration": "60s"})))
    held = threading.Event()

    def hold(conn, request):
        g.app.skip(conn, request)
        held.wait(30)
        return False

    g.app.route("/held", hold)
    assert [g.request("/held").status for _ in range(3)] == [504, 504, 503]
    held.set()


def test_event_stream_that_goes_on_for_long(scene):
    """Its messages leave nothing behind."""
    lookups = " && ".join(8 * ["res.headers['content-type'][0].startsWith('text/')"])
    g = Guarded(scene, merge(
        on_response(("add-headers", {"headers": {"x-y": "z"}})),
        rule("on_event_stream_message", ("set-vars", {"vars": [{"a": f"${{{lookups}}}"}]}),
             expressions=[lookups])))
    go_on = threading.Event()
    part = 1000 * b"data: x\n\n"

    def events(conn, request):
        g.app.skip(conn, request)
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + part)
        go_on.wait(30)
        for _ in range(100):
            conn.send(part)
        return False

    g.app.route("/events", events)
    with g.conn() as conn:
        conn.send(conn.request_bytes("GET", "/events"))
        conn.read_head()
        n = 0
        while n < len(part):
            n += len(conn.read_chunk())
        before = scene.gateway.rss()
        go_on.set()
        while n < 101 * len(part):
            n += len(conn.read_chunk())
        scene.gateway.assert_growth(before)
