"""Events of traffic: destinations of both kinds, subscriptions, and that nothing is lost on the way."""

import json
import signal
import threading
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lib.collector import Collector, path_of, read_lines, whole_lines
from lib.gateway import DOMAIN
from lib.h2 import H2Conn
from lib.ports import TCP_PORTS, free_port
from lib.wait import stays, wait_until

HTTP = "http_request_complete.v0"
TCP = "tcp_connection_closed.v0"
FAST = {"event_retry_min_ms": 20, "event_retry_max_ms": 200}


def subscription(*destinations, types=(HTTP,), **kw):
    return {"destinations": list(destinations), "types": list(types), **kw}


def settings(destinations, subscriptions, limits=None, **kw):
    return {"events": {"destinations": tuple(destinations),
                       "subscriptions": tuple(subscriptions), **kw},
            "limits": {**FAST, **(limits or {})}}


@pytest.fixture
def collector(scene):
    return keep(scene, Collector())


def keep(scene, thing):
    return scene.keep_to_the_end(thing)


def to_file(scene, name="events", **kw):
    return {"name": name, "type": "file", "path": str(scene.directory / f"{name}.json"), **kw}


def to_http(collector, name="collector", **kw):
    return {"name": name, "type": "http", "url": collector.url, **kw}


def serve(scene, destinations, subscriptions=None, limits=None, **kw):
    """A gateway with these destinations and a plain tunnel."""
    subscriptions = subscriptions or [subscription(*(d["name"] for d in destinations))]
    scene.start_gateway(settings(destinations, subscriptions, limits, **kw))
    return scene.plain(scene.app())


def get_all(scene, tunnel, paths):
    with scene.http(tunnel) as conn:
        for path in paths:
            conn.get(path)


def numbered(count, first=0):
    return [f"/status/200?{i}" for i in range(first, first + count)]


def queries(events):
    return [int(e["object"]["http"]["request"]["url"]["query"]) for e in events]


def depth(gateway, name):
    return sample(gateway, "sallyport_event_queue_depth", destination=name)


def sample(gateway, name, **labels):
    """One sample of /metrics, or None."""
    for line in gateway.admin("/metrics").splitlines():
        if line.startswith(name + "{") and all(f'{k}="{v}"' in line for k, v in labels.items()):
            return float(line.rpartition(" ")[2])
    return None


def file_events(scene, name="events"):
    return read_lines(scene.directory / f"{name}.json")


def wait_file(scene, count, name="events", seconds=10):
    path = scene.directory / f"{name}.json"
    wait_until(lambda: whole_lines(path) >= count, lambda: f"{count} lines in {path}", seconds)
    return read_lines(path)


# ---- what an event says ----


def test_http_event_has_the_fields_of_the_specification(scene):
    """Envelope and object of one request; secrets are not in it."""
    tunnel = serve(scene, [to_file(scene)])
    with scene.http(tunnel) as conn:
        conn.get("/hello?a=1&b=2", headers=[("User-Agent", "Test/1"),
                                            ("Authorization", "Bearer hunter2"),
                                            ("Cookie", "sid=hunter2"), ("X-Api-Key", "hunter2"),
                                            ("X-Two", "A"), ("X-Two", "B")])
    event, = wait_file(scene, 1)
    assert list(event) == ["event_id", "event_type", "event_timestamp", "account_id", "principal",
                           "object"]
    assert event["event_id"].startswith("ev_") and len(event["event_id"]) == 30
    assert event["event_type"] == HTTP and event["principal"] is None
    assert event["account_id"].startswith("ac_") and len(event["account_id"]) == 30
    o = event["object"]
    assert o["conn"]["client_ip"] == o["conn"]["server_ip"] == "127.0.0.1"
    assert o["conn"]["server_port"] == scene.gateway.http_port
    assert o["conn"]["server_name"] == tunnel.host
    request, response = o["http"]["request"], o["http"]["response"]
    assert request["method"] == "get" and request["version"] == "HTTP/1.1"
    assert request["url"] == {"scheme": "http", "host": tunnel.host, "path": "/hello",
                              "query": "a=1&b=2",
                              "raw": f"http://{tunnel.host}:{scene.gateway.http_port}/hello?a=1&b=2"}
    assert request["user_agent"] == "Test/1" and request["body_length"] == 0
    headers = request["headers"]
    assert headers["User-Agent"] == ["test/1"] and headers["X-Two"] == ["a", "b"]
    assert headers["Host"] == [f"{tunnel.host}:{scene.gateway.http_port}"]
    assert headers["Authorization"] == headers["Cookie"] == headers["X-Api-Key"] == ["***"]
    assert not any(name.startswith("X-Forwarded") for name in headers)
    assert response["status_code"] == 200 and response["body_length"] == len("hello from app\n")
    assert response["headers"]["Content-Type"] == ["text/plain"]
    assert request["first_byte_ts"] <= response["first_byte_ts"] <= response["last_byte_ts"]
    assert o["backend"]["connection_reused"] is False
    assert o["endpoint"]["url"] == f"http://{tunnel.host}" and o["session"]["id"]
    assert "hunter2" not in json.dumps(event)


def test_headers_as_they_were_sent(scene):
    """normalize_headers = false leaves names and values alone."""
    tunnel = serve(scene, [to_file(scene)], normalize_headers=False)
    with scene.http(tunnel) as conn:
        conn.get("/hello", headers=[("x-miXed", "VaLue")])
    event, = wait_file(scene, 1)
    assert event["object"]["http"]["request"]["headers"]["x-miXed"] == ["VaLue"]


def test_secrets_that_a_policy_adds_are_not_told(scene):
    """The event has the visitor's headers, not those that go upstream."""
    scene.start_gateway(settings([to_file(scene)], [subscription("events")]))
    tunnel = scene.plain(scene.app(), flags="--request-header-add x-plain:from-the-policy")
    with scene.http(tunnel) as conn:
        assert conn.get("/echo").body.count(b"from-the-policy") == 1
    event, = wait_file(scene, 1)
    assert "from-the-policy" not in json.dumps(event)


def test_bytes_that_are_no_text(scene):
    """What is no UTF-8 still makes JSON."""
    tunnel = serve(scene, [to_file(scene)])
    with scene.http(tunnel) as conn:
        conn.send(b"GET /hello?q=%%22 HTTP/1.1\r\nHost: " + tunnel.host.encode() +
                  b"\r\nX-Odd: \xff\xfe\"\\\r\n\r\n")
        conn.read_response()
    event, = wait_file(scene, 1)
    assert event["object"]["http"]["request"]["headers"]["X-Odd"] == ['\u00ff\u00fe"\\']


def test_connections_are_told_when_they_close(scene):
    """One tcp_connection_closed for a connection with two requests, and one for a TCP endpoint."""
    scene.start_gateway({**settings([to_file(scene)], [subscription("events", types=[TCP])]),
                         "tcp": {"host": f"tcp.{DOMAIN}", **TCP_PORTS}})
    tunnel = scene.plain(scene.app())
    get_all(scene, tunnel, ["/hello", "/bytes/1000"])
    event, = wait_file(scene, 1)
    conn = event["object"]["conn"]
    assert event["event_type"] == TCP and conn["server_name"] == tunnel.host
    assert conn["bytes_in"] > 50 and conn["bytes_out"] > 1000
    assert conn["start_ts"] <= conn["end_ts"]
    assert event["object"]["endpoint"]["url"] == f"http://{tunnel.host}"
    raw = scene.ssh(f"0:127.0.0.1:{scene.app().port}", command="tcp")
    port = int(raw.wait_out()[0].rpartition(":")[2])
    with scene.keep(type(scene.http(tunnel))(port, f"tcp.{DOMAIN}")) as conn:
        conn.get("/bytes/100")
    _, event = wait_file(scene, 2)
    assert event["object"]["endpoint"]["url"].startswith("tcp:")
    assert event["object"]["conn"]["bytes_out"] > 100


# ---- choosing ----


def test_fields_and_filters(scene):
    """Each subscription gets what it chose, and nothing else."""
    tunnel = serve(scene, [to_file(scene, "all"), to_file(scene, "bad"), to_file(scene, "some")], [
        subscription("all"),
        subscription("bad", filter="ev.http.response.status_code >= 500 && "
                                   "ev.conn.server_name.endsWith('example.test')"),
        subscription("some", fields=["http.request.url.path", "http.response.status_code",
                                     "oauth.user.id"])])
    get_all(scene, tunnel, ["/status/200", "/status/503", "/status/404"])
    assert len(wait_file(scene, 3, "all")) == 3
    bad, = wait_file(scene, 1, "bad")
    assert path_of(bad) == "/status/503"
    assert [e["object"] for e in wait_file(scene, 3, "some")] == [
        {"http": {"request": {"url": {"path": f"/status/{n}"}}, "response": {"status_code": n}}}
        for n in (200, 503, 404)]


def test_a_filter_that_fails_drops_the_event_and_counts(scene):
    """An expression that cannot be evaluated lets nothing pass."""
    tunnel = serve(scene, [to_file(scene)], [
        subscription("events", filter="10 / ev.http.request.body_length == 2")])
    with scene.http(tunnel) as conn:
        conn.get("/hello")
        conn.request("POST", "/upload", body=b"12345")
    event, = wait_file(scene, 1)
    assert path_of(event) == "/upload"
    assert scene.gateway.metrics()["sallyport_event_filter_failures_total"] == 1


def test_nothing_is_made_without_a_subscription(scene):
    """A destination that nothing is subscribed to gets nothing."""
    scene.start_gateway({"events": {"destinations": (to_file(scene),)}})
    tunnel = scene.plain(scene.app())
    get_all(scene, tunnel, ["/hello"])
    stays(lambda: not (scene.directory / "events.json").exists(), "no file", 0.5)


# ---- files ----


def test_rotation_under_load_loses_nothing(scene):
    """The file is moved away and the gateway told, many times, while requests go on."""
    tunnel = serve(scene, [to_file(scene)])
    path = scene.directory / "events.json"
    moved, stop, counts = [], threading.Event(), [0, 0, 0, 0]

    def load(i):
        with scene.http(tunnel) as conn:
            while not stop.is_set():
                conn.get("/status/200")
                counts[i] += 1

    threads = [threading.Thread(target=load, args=(i,)) for i in range(len(counts))]
    for thread in threads:
        thread.start()
    for i in range(6):
        wait_until(path.exists, "a new file")
        moved.append(path.rename(scene.directory / f"events.{i}"))
        scene.gateway.process.signal(signal.SIGHUP if i == 3 else signal.SIGUSR1)
    wait_until(path.exists, "a new file")
    stop.set()
    for thread in threads:
        thread.join()
    wait_until(lambda: whole_lines(*moved, path) == sum(counts), lambda: f"{sum(counts)} events")
    events = read_lines(*moved, path)
    assert len({e["event_id"] for e in events}) == sum(counts)
    assert all(read_lines(p) for p in moved)


def test_a_file_that_cannot_be_written_is_tried_again(scene):
    """Its folder is missing at first; what was queued arrives when it is there, in order."""
    folder = scene.directory / "later"
    tunnel = serve(scene, [{"name": "events", "type": "file", "path": str(folder / "events.json")}])
    get_all(scene, tunnel, numbered(20))
    scene.gateway.wait_log(lambda e: e["event"] == "event.delivery_failed")
    folder.mkdir()
    wait_until(lambda: whole_lines(folder / "events.json") == 20, "all events")
    assert queries(read_lines(folder / "events.json")) == list(range(20))
    scene.gateway.wait_log(lambda e: e["event"] == "event.delivery_resumed")


def test_a_full_disk_leaves_whole_lines_and_loses_nothing(scene):
    """A limit of the file size stands in for the disk."""
    tunnel = serve(scene, [to_file(scene)])
    path = scene.directory / "events.json"
    get_all(scene, tunnel, numbered(1))
    one = len(wait_file(scene, 1)) and path.stat().st_size
    limit(scene.gateway.pid, one * 5 + one // 2)
    get_all(scene, tunnel, numbered(20, 1))
    scene.gateway.wait_log(lambda e: e["event"] == "event.delivery_failed")
    # Each attempt cuts off again what did not fit.
    wait_until(lambda: path.read_bytes().endswith(b"\n"), "whole lines")
    assert whole_lines(path) < 21
    limit(scene.gateway.pid, -1)
    assert queries(wait_file(scene, 21)) == list(range(21))


def limit(pid, size):
    import resource
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, -1))


# ---- HTTP ----


def test_batches_arrive_in_order_with_the_headers_that_were_asked_for(scene, collector):
    """What came while a receiver did not answer goes out in few requests."""
    collector.hold.clear()
    tunnel = serve(scene, [to_http(collector, headers=["X-Token: for the collector"],
                                    timeout_ms=60000)])
    get_all(scene, tunnel, numbered(150))
    collector.hold.set()
    assert queries(collector.wait(150)) == list(range(150))
    assert collector.requests <= 10
    assert collector.heads[0]["x-token"] == "for the collector"
    assert collector.heads[0]["content-type"] == "application/json"


def test_batches_keep_to_their_limit(scene, collector):
    """batch_max = 7."""
    collector.hold.clear()
    tunnel = serve(scene, [to_http(collector, batch_max=7, timeout_ms=60000)])
    get_all(scene, tunnel, numbered(50))
    collector.hold.set()
    assert queries(collector.wait(50)) == list(range(50))
    assert max(len(batch) for batch in collector.batches) == 7


def test_a_receiver_that_fails_in_every_way_gets_all_in_order(scene, collector):
    """Statuses, cut connections, an answer that is lost: every event once or more, in order."""
    collector.answers = [500, "cut", 404, "lost", 503, 0.3, 301, "lost", 429]
    tunnel = serve(scene, [to_http(collector, batch_max=5)])
    get_all(scene, tunnel, numbered(60))
    assert queries(collector.wait(60)) == list(range(60))
    assert len([e for batch in collector.batches for e in batch]) > 60  # what was lost came again
    # libcurl sends again by itself what died with a connection that had been kept.
    assert sample(scene.gateway, "sallyport_event_delivery_failures_total",
                  destination="collector") >= 5


def test_a_receiver_that_does_not_answer_is_given_up_in_time(scene, collector):
    """timeout_ms ends a request; the events come again."""
    collector.hold.clear()
    tunnel = serve(scene, [to_http(collector, timeout_ms=300)])
    get_all(scene, tunnel, numbered(1))
    scene.gateway.wait_log(lambda e: e["event"] == "event.delivery_failed" and
                           "timed out" in e["error"])
    collector.hold.set()
    assert queries(collector.wait(1)) == [0]


def away(scene, seconds, count):
    """The receiver is down for a while: everything arrives after, in order."""
    port = free_port()
    tunnel = serve(scene, [{"name": "collector", "type": "http",
                            "url": f"http://127.0.0.1:{port}/in"}])
    end = time.monotonic() + seconds
    sent = 0
    while time.monotonic() < end or sent < count:
        get_all(scene, tunnel, numbered(50, sent))
        sent += 50
        time.sleep(seconds * 50 / count)
    wait_until(lambda: depth(scene.gateway, "collector") == sent, "all are queued")
    collector = keep(scene, Collector(port))
    assert queries(collector.wait(sent, 60)) == list(range(sent))
    wait_until(lambda: depth(scene.gateway, "collector") == 0, "an empty queue")
    assert sample(scene.gateway, "sallyport_events_dropped_total", destination="collector") == 0


def test_a_receiver_that_is_away_for_a_while_gets_everything(scene):
    away(scene, 2, 500)


@pytest.mark.soak
def test_a_receiver_that_is_away_for_a_minute_gets_everything(scene):
    away(scene, 60, 5000)


def test_too_large_batches_are_made_smaller(scene, collector):
    """413 halves the batch; one event that is too large by itself is dropped and counted."""
    collector.answers = [200, 413, 413, 413, 413, 413, 413, 413]
    collector.hold.clear()
    tunnel = serve(scene, [to_http(collector, batch_max=8, timeout_ms=60000)])
    get_all(scene, tunnel, numbered(1))
    wait_until(lambda: collector.requests == 1, "the first request")
    get_all(scene, tunnel, numbered(16, 1))
    collector.hold.set()
    events = collector.wait(13)
    refused = sample(scene.gateway, "sallyport_events_refused_total", destination="collector")
    assert refused == 4 and queries(events) == [0, *range(5, 17)]


@pytest.mark.parametrize("over", [0, 1, 5])
def test_a_full_queue_drops_the_oldest_and_counts(scene, collector, over):
    """Nothing is dropped at the limit, one event for each above it."""
    collector.hold.clear()
    tunnel = serve(scene, [to_http(collector, queue_max=30, batch_max=10, timeout_ms=60000)])
    get_all(scene, tunnel, numbered(1))
    wait_until(lambda: collector.requests == 1, "the first event is in flight")
    get_all(scene, tunnel, numbered(29 + over, 1))
    wait_until(lambda: depth(scene.gateway, "collector") == 30, "a full queue")
    wait_until(lambda: sample(scene.gateway, "sallyport_events_dropped_total",
                              destination="collector") == over, "the drops are counted")
    collector.hold.set()
    events = collector.wait(30)
    assert queries(events) == [0, *range(1 + over, 30 + over)]
    if over:
        scene.gateway.wait_log(lambda e: e["event"] == "event.dropped")
    else:
        assert not scene.gateway.entries(event="event.dropped")


def test_a_stuck_destination_costs_the_others_nothing(scene, collector):
    """The file gets its events while the receiver hangs."""
    collector.hold.clear()
    tunnel = serve(scene, [to_http(collector), to_file(scene)])
    get_all(scene, tunnel, numbered(50))
    assert queries(wait_file(scene, 50)) == list(range(50))
    collector.hold.set()
    assert queries(collector.wait(50)) == list(range(50))


# ---- the ends ----


def test_what_is_queued_is_delivered_at_the_end(scene, collector):
    """SIGTERM: the receiver comes back while the process waits for it."""
    collector.answers = [500] * 1000
    tunnel = serve(scene, [to_http(collector), to_file(scene)],
                   limits={"event_retry_min_ms": 5000, "event_retry_max_ms": 60000,
                           "event_drain_ms": 60000})
    get_all(scene, tunnel, numbered(20))
    wait_until(lambda: depth(scene.gateway, "collector") == 20, "all are queued")
    collector.answers = [500] * 2
    assert scene.gateway.terminate() == 0
    assert queries(collector.events) == queries(file_events(scene)) == list(range(20))


def test_the_end_does_not_wait_for_ever(scene, collector):
    """event_drain_ms bounds it, and what is lost is said."""
    collector.answers = [500] * 100000
    tunnel = serve(scene, [to_http(collector)], limits={"event_drain_ms": 700})
    get_all(scene, tunnel, numbered(20))
    wait_until(lambda: depth(scene.gateway, "collector") == 20, "all are queued")
    tunnel.stop()
    before = collector.requests
    assert scene.gateway.terminate() == 0
    assert collector.requests - before < 10  # of some four a second: 5 s, the default, have more
    lost, = scene.gateway.entries(event="event.lost")
    assert lost["events"] == 20
    scene.gateway.log.remove(lost)


def test_reload_moves_destinations_without_losing_what_is_queued(scene, collector):
    """A changed URL takes the queue along; a destination that is gone gets what was its own."""
    old, gone = keep(scene, Collector()), keep(scene, Collector())
    old.answers = [500] * 100000
    gone.answers = [500] * 100000
    slow = {"event_retry_min_ms": 100, "event_retry_max_ms": 100}
    tunnel = serve(scene, [to_http(old, "moves"), to_http(gone, "goes")], limits=slow)
    get_all(scene, tunnel, numbered(30))
    wait_until(lambda: depth(scene.gateway, "moves") == 30, "all are queued")
    scene.gateway.change(**settings([to_http(collector, "moves")], [subscription("moves")],
                                    limits=slow))
    get_all(scene, tunnel, numbered(10, 30))
    assert queries(collector.wait(40)) == list(range(40))
    gone.answers = []
    assert queries(gone.wait(30)) == list(range(30))
    wait_until(lambda: depth(scene.gateway, "goes") is None, "it goes when it is empty")


def test_reload_changes_subscriptions(scene):
    """From the reload on, only what the new configuration asks for."""
    tunnel = serve(scene, [to_file(scene)])
    get_all(scene, tunnel, numbered(3))
    wait_file(scene, 3)
    scene.gateway.change(**settings([to_file(scene)], [
        subscription("events", filter="ev.http.request.url.query == '7'")]))
    get_all(scene, tunnel, numbered(10, 3))
    assert queries(wait_file(scene, 4)) == [0, 1, 2, 7]


# ---- metrics ----


def families(gateway):
    """/metrics as Prometheus' own library reads it."""
    return {f.name: f for f in text_string_to_metric_families(gateway.admin("/metrics"))}


def wait_logged(scene, count):
    """The line in the log is the last that is told of a request, so its metrics are counted then."""
    wait_until(lambda: len(scene.gateway.entries(event="http_request_complete")) == count,
               f"{count} requests in the log")


def test_metrics_are_what_a_real_parser_reads(scene):
    """Names, types and samples of everything; histograms are cumulative."""
    tunnel = serve(scene, [to_file(scene, 'odd "name"\\')])
    get_all(scene, tunnel, ["/hello", "/status/404"])
    wait_logged(scene, 2)
    found = families(scene.gateway)
    assert all(f.documentation and f.type != "unknown" for f in found.values())
    responses = {s.labels["code"]: s.value for s in found["sallyport_responses"].samples}
    assert responses == {"200": 1, "404": 1}
    online = {tuple(sorted(s.labels.items())): s.value
              for s in found["sallyport_endpoints_online"].samples if s.value}
    assert online == {(("binding", "public"), ("scheme", "http"), ("type", "agent")): 1}
    names = [s.labels["destination"] for s in found["sallyport_event_queue_depth"].samples]
    assert names == ['odd "name"\\']
    samples = found["sallyport_request_duration_seconds"].samples
    buckets = [s.value for s in samples if s.name.endswith("_bucket")]
    assert buckets == sorted(buckets) and buckets[-1] == 2
    assert [s.value for s in samples if s.name.endswith("_count")] == [2]
    build, = found["sallyport_build_info"].samples
    assert build.value == 1 and build.labels["version"]
    one = lambda name: found[name].samples[0].value
    assert 0 < one("process_resident_memory_bytes") < one("process_virtual_memory_bytes")
    wait_until(lambda: abs(families(scene.gateway)["process_open_fds"].samples[0].value
                           - scene.gateway.descriptors()) <= 3, "connections that closed are gone")
    assert abs(one("process_start_time_seconds") - time.time()) < 600


def test_endpoints_have_their_own_numbers_up_to_a_limit(scene):
    """Those beyond count as "other"."""
    scene.start_gateway({"limits": {"metrics_endpoints_max": 2}})
    app = scene.app()
    tunnels = [scene.plain(app) for _ in range(4)]
    for n, tunnel in enumerate(tunnels):
        get_all(scene, tunnel, ["/bytes/1000"] * (n + 1))
    wait_logged(scene, 10)
    found = families(scene.gateway)
    requests = {s.labels["endpoint"]: s.value
                for s in found["sallyport_endpoint_requests"].samples}
    assert requests == {"other": 7, f"http://{tunnels[0].host}": 1, f"http://{tunnels[1].host}": 2}
    sent = {s.labels["endpoint"]: s.value for s in found["sallyport_endpoint_bytes_out"].samples}
    assert sent["other"] == 7000 and sent[f"http://{tunnels[1].host}"] == 2000


def test_metrics_log_and_events_agree(scene, collector):
    """After 10,000 requests of all kinds, some cut short, three counts of each status are the same."""
    tunnel = serve(scene, [to_file(scene, queue_max=100000), to_http(collector, queue_max=100000)])
    secure = scene.tunnel(scene.app())
    problems = []

    def guard(work, *args):
        try:
            work(*args)
        except Exception as e:
            problems.append(e)

    def h1(first, count):
        with scene.http(tunnel) as conn:
            for i in range(first, first + count):
                conn.get(f"/status/{(200, 204, 404, 500, 302)[i % 5]}" if i % 7 else "/bytes/3000")

    def h2(count):
        for _ in range(count // 100):
            conn = H2Conn(scene.gateway.https_port, secure.host)
            streams = [conn.request(("/hello", "/status/503")[i % 2]) for i in range(100)]
            for stream in streams[::10]:
                conn.reset(stream)
            for i, stream in enumerate(streams):
                if i % 10:
                    conn.finish(stream)
            conn.close()

    def cut(count):
        for _ in range(count):
            conn = scene.http(tunnel)
            conn.send(f"GET /bytes/50000000 HTTP/1.1\r\nHost: {tunnel.host}\r\n\r\n".encode())
            conn.read_head()
            conn.reset()

    def nowhere(count):
        with scene.http(f"nowhere.{DOMAIN}") as conn:
            for _ in range(count):
                conn.get("/")

    work = [(h1, i * 1600, 1600) for i in range(4)] + [(h2, 1500), (h2, 1500), (cut, 100),
                                                      (nowhere, 500)]
    threads = [threading.Thread(target=guard, args=w) for w in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems, problems
    total = 6400 + 3000 + 100 + 500
    gateway = scene.gateway
    wait_until(lambda: gateway.metrics()["sallyport_requests_total"] == total,
               lambda: f"{total} requests: {gateway.metrics()['sallyport_requests_total']}", 30)
    events = collector.wait(total, 60)
    assert len(events) == total
    lines = wait_until(lambda: len(entries := gateway.entries(event="http_request_complete")) ==
                       total and entries, "all lines in the log", 30)
    written = wait_file(scene, total, seconds=30)
    metrics = gateway.metrics()
    responses = {s.labels["code"]: s.value
                 for s in families(gateway)["sallyport_responses"].samples if s.value}
    assert responses == statuses(e["object"] for e in events) == statuses(lines) == \
        statuses(e["object"] for e in written)
    assert {e["event_id"] for e in events} == {e["event_id"] for e in lines} == \
        {e["event_id"] for e in written}
    for name, side in (("in", "request"), ("out", "response")):
        length = sum(e["object"]["http"].get(side, {}).get("body_length", 0) for e in events)
        assert metrics[f"sallyport_bytes_{name}_total"] == length
        assert length == sum(e["http"].get(side, {}).get("body_length", 0) for e in lines)
    assert sum(s.value for s in families(gateway)["sallyport_endpoint_requests"].samples) == \
        total - 500


def statuses(objects):
    counts = {}
    for o in objects:
        code = f"{o['http'].get('response', {}).get('status_code', 0):03d}"
        counts[code] = counts.get(code, 0) + 1
    return counts


# ---- what is no traffic ----


def test_sessions_and_endpoints_are_told(scene):
    """Login, endpoint, end of both: with account and principal, and nothing of the key."""
    types = ["agent_session_*", "endpoint_*"]
    scene.start_gateway(settings([to_file(scene)], [subscription("events", types=types)]))
    tunnel = scene.plain(scene.app())
    start, created = wait_file(scene, 2)
    assert start["event_type"] == "agent_session_start.v0"
    assert start["object"]["agent_ip"] == start["object"]["ingress_server_ip"] == "127.0.0.1"
    assert start["object"]["user_agent"].startswith("SSH-2.0-OpenSSH")
    assert start["object"]["transport"] == "ssh" and start["object"]["stopped_at"] == ""
    assert start["principal"] == {"id": start["account_id"], "subject": "alice", "source": "SSH",
                                  "credential": None}
    assert created["event_type"] == "endpoint_created.v0"
    assert created["object"]["url"] == f"http://{tunnel.host}"
    assert created["object"]["tunnel_session"] == {"id": start["object"]["session"]["id"]}
    assert created["account_id"] == start["account_id"]
    tunnel.stop()
    ends = {e["event_type"]: e for e in wait_file(scene, 4)[2:]}
    assert ends["agent_session_stop.v0"]["object"]["session"] == start["object"]["session"]
    assert ends["agent_session_stop.v0"]["object"]["stopped_at"]
    assert ends["endpoint_deleted.v0"]["object"]["id"] == created["object"]["id"]
