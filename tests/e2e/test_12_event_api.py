"""Event destinations and subscriptions of the management API: who gets which events, and how it is told."""

import http.client
import threading

import pytest

from lib.api import Api, new_token
from lib.collector import Collector, path_of
from lib.ssh_api import SshApi
from lib.wait import stays, wait_until

HTTP = "http_request_complete.v0"
PRIVATE = {"api": {"private_event_destinations": True},
           "limits": {"event_retry_min_ms": 20, "event_retry_max_ms": 200,
                      "api_requests_per_minute": 0}}

RETIRED_MAX = 32  # of gateway/event_hub.c


@pytest.fixture(name="gateway")
def fixture_gateway(scene):
    return scene.start_gateway(PRIVATE)


@pytest.fixture(name="alice")
def fixture_alice(scene, gateway):
    return caller(scene, gateway, "--account", "alice")


@pytest.fixture(name="admin")
def fixture_admin(scene, gateway):
    return caller(scene, gateway)


@pytest.fixture(name="collector")
def fixture_collector(scene):
    return scene.keep_to_the_end(Collector())


def caller(scene, gateway, *options):
    return scene.keep(Api(gateway, new_token(gateway, *options)))


def to(collector):
    return {"debug": {"callback_url": collector.url}}


def destination(api, collector, **fields):
    return api.create("/event_destinations", target=to(collector), **fields)["id"]


def subscribe(api, *destinations, sources=({"type": HTTP},)):
    return api.create("/event_subscriptions", sources=list(sources),
                      destination_ids=list(destinations))["id"]


def delete(api, path):
    answer = api.call("DELETE", path)
    assert answer.status == 204, answer.body


def visit(scene, tunnel, *paths):
    with scene.http(tunnel) as conn:
        for path in paths:
            assert conn.get(path).status == 200


def paths(collector):
    return [path_of(e) for e in collector.events if e["event_type"] == HTTP]


# ---- who gets what ----


def test_a_destination_gets_the_events_of_its_account(scene, alice, collector):
    """From the first request behind the answer on; nothing of another account, ever."""
    mine = scene.plain(scene.app(), key="alice")
    other = scene.plain(scene.app(), key="bob")
    visit(scene, mine, "/hello")
    scene.gateway.wait_log(lambda e: e["event"] == "http_request_complete")  # it is over
    subscribe(alice, destination(alice, collector))
    for _ in range(20):
        visit(scene, other, "/hello")
        visit(scene, mine, "/status/200")
    collector.wait(20)
    stays(lambda: len(collector.events) == 20, "no more events come", 0.5)
    assert set(paths(collector)) == {"/status/200"}
    assert all(len(batch) == 1 for batch in collector.batches)


def test_an_administrator_gets_the_events_of_all(scene, admin, collector):
    """Those of two accounts, and audit events that the API itself makes."""
    subscribe(admin, destination(admin, collector),
              sources=[{"type": HTTP}, {"type": "vault_created.v0"}])
    visit(scene, scene.plain(scene.app(), key="alice"), "/hello")
    visit(scene, scene.plain(scene.app(), key="bob"), "/hello")
    caller(scene, scene.gateway, "--account", "carol").create("/vaults", name="v")
    events = collector.wait(3)
    assert len({e["account_id"] for e in events}) == 3
    vault = [e for e in events if e["event_type"] == "vault_created.v0"]
    assert [e["object"]["name"] for e in vault] == ["v"]


def test_fields_and_filters_of_a_source(scene, alice, collector):
    """Only what was chosen, of requests that pass; changed by the nested resource."""
    subscription = subscribe(alice, destination(alice, collector), sources=[])
    sources = f"/event_subscriptions/{subscription}/sources"
    alice.create(sources, type=HTTP, fields=["http.request.url.path"],
                 filter="ev.http.request.url.path == '/hello'")
    tunnel = scene.plain(scene.app())
    visit(scene, tunnel, "/status/200", "/hello")
    assert collector.wait(1)[0]["object"] == {"http": {"request": {"url": {"path": "/hello"}}}}
    answer = alice.call("PATCH", f"{sources}/{HTTP}", {"filter": "", "fields": []})
    assert answer.status == 200 and "filter" not in answer.body
    visit(scene, tunnel, "/status/200")
    assert collector.wait(2)[1]["object"]["http"]["response"]["status_code"] == 200
    delete(alice, f"{sources}/{HTTP}")
    visit(scene, tunnel, "/hello")
    stays(lambda: len(collector.events) == 2, "no more events come", 0.5)
    for bad, code in (("1 +", 5404), ("ev.nope == 1", 5404), ("1", 5404)):
        answer = alice.call("POST", sources, {"type": HTTP, "filter": bad})
        assert (answer.status, answer.code) == (400, f"ERR_NGROK_{code}"), answer.body


# ---- the life of a destination ----


def test_update_and_delete_take_effect_at_once(scene, alice, collector):
    """Another URL gets what comes next; behind the delete nothing comes."""
    second = scene.keep_to_the_end(Collector())
    where = destination(alice, collector)
    subscription = subscribe(alice, where)
    tunnel = scene.plain(scene.app())
    visit(scene, tunnel, "/hello")
    collector.wait(1)
    assert alice.call("PATCH", f"/event_destinations/{where}", {"target": to(second)}).status == 200
    visit(scene, tunnel, "/status/200")
    second.wait(1)
    assert paths(collector) == ["/hello"] and paths(second) == ["/status/200"]
    assert alice.call("DELETE", f"/event_destinations/{where}").code == "ERR_NGROK_5112"
    delete(alice, f"/event_subscriptions/{subscription}")
    delete(alice, f"/event_destinations/{where}")
    visit(scene, tunnel, "/hello")
    stays(lambda: len(second.events) == 1, "no more events come", 0.5)


def test_what_others_change_hurries_nobody(scene, collector):
    """A receiver that fails is asked again when it is time, not whenever somebody changes something."""
    slow = {"event_retry_min_ms": 60000, "event_retry_max_ms": 60000}
    gateway = scene.start_gateway({**PRIVATE, "limits": slow})
    alice = caller(scene, gateway, "--account", "alice")
    bob = caller(scene, gateway, "--account", "bob")
    where = destination(alice, collector)
    subscribe(alice, where, sources=[{"type": "vault_created.v0"}])
    collector.answers = [500]
    alice.create("/vaults", name="v")
    gateway.wait_log(lambda e: e["event"] == "event.delivery_failed")
    assert collector.requests == 1
    for _ in range(5):
        destination(bob, collector)
    stays(lambda: collector.requests == 1, "nothing is sent again", 0.5)
    elsewhere = {"debug": {"callback_url": collector.url + "?again"}}
    answer = alice.call("PATCH", f"/event_destinations/{where}", {"target": elsewhere})
    assert answer.status == 200
    collector.wait(1)


def test_destinations_that_are_gone_do_not_pile_up(scene, gateway, alice, collector):
    """What waits for them is kept for a while, but not for any number of them."""
    collector.answers = [500] * 100000
    subscription = subscribe(alice, sources=[{"type": "vault_created.v0"}])
    path = f"/event_subscriptions/{subscription}"
    for i in range(RETIRED_MAX + 10):
        where = destination(alice, collector)
        assert alice.call("PATCH", path, {"destination_ids": [where]}).status == 200
        alice.create("/vaults", name=f"v{i}")
        assert alice.call("PATCH", path, {"destination_ids": []}).status == 200
        delete(alice, f"/event_destinations/{where}")
    wait_until(lambda: count_queues(gateway) == RETIRED_MAX, "the oldest to go")
    collector.answers = []
    wait_until(lambda: count_queues(gateway) == 0, "the others to be delivered")


def count_queues(gateway):
    lines = gateway.admin("/metrics").splitlines()
    return sum(line.startswith("sallyport_event_queue_depth{") for line in lines)


def test_a_restart_brings_them_back(scene, gateway, alice, collector):
    """The same destination gets events of the next process; the key is not to be read in state_dir."""
    target = {"datadog": {"api_key": "a-very-secret-key", "ddsite": collector.url,
                          "ddtags": "env:test", "service": "gw"}}
    made = alice.create("/event_destinations", target=target)
    assert made["target"]["datadog"]["api_key"] is None
    subscribe(alice, made["id"])
    alice.close()
    assert gateway.terminate() == 0
    gateway.log.clear()
    gateway.noise.clear()
    gateway.start()
    for path in gateway.state.iterdir():
        assert not path.is_file() or b"a-very-secret-key" not in path.read_bytes()
    visit(scene, scene.plain(scene.app()), "/hello")
    event = collector.wait(1)[0]
    assert (event["ddsource"], event["ddtags"], event["service"]) == ("sallyport", "env:test", "gw")
    assert event["object"]["http"]["request"]["url"]["path"] == "/hello"
    assert collector.heads[0]["dd-api-key"] == "a-very-secret-key"


# ---- test events ----


def test_a_test_event_is_sent_and_waited_for(scene, alice, collector):
    """It arrives before the answer; a receiver that refuses it is told of."""
    where = destination(alice, collector, verify_with_test_event=True)
    assert [e["event_type"] for e in collector.events] == ["test.v0"]
    answer = alice.call("POST", f"/event_destinations/{where}/send_test_event", "not read")
    assert answer.status == 201
    assert [e["event_id"] for e in collector.events][1:] == [answer["event_id"]]
    collector.answers = [500]
    answer = alice.call("POST", f"/event_destinations/{where}/send_test_event")
    assert (answer.status, answer.code) == (400, "ERR_NGROK_5122") and "500" in answer["msg"]
    collector.answers = [500]
    answer = alice.call("POST", "/event_destinations",
                        {"target": to(collector), "verify_with_test_event": True})
    assert answer.code == "ERR_NGROK_5122"
    assert len(alice.call("GET", "/event_destinations")["event_destinations"]) == 1


def test_a_slow_test_event_holds_up_nobody(scene, gateway, alice, collector):
    """While one waits, others write; a second one is told to come again; a shutdown ends it."""
    where = destination(alice, collector)
    collector.hold.clear()
    answers = []
    other = caller(scene, gateway, "--account", "alice")
    waiting = threading.Thread(target=lambda: answers.append(
        other.call("POST", f"/event_destinations/{where}/send_test_event")))
    waiting.start()
    wait_until(lambda: collector.requests == 1, "the test event to come")
    alice.create("/vaults", name="meanwhile")
    answer = alice.call("POST", f"/event_destinations/{where}/send_test_event")
    assert (answer.status, answer.code) == (429, "ERR_NGROK_225")
    collector.hold.set()
    waiting.join(20)
    assert answers[0].status == 201
    collector.hold.clear()
    waiting = threading.Thread(target=lambda: ignore(
        lambda: other.call("POST", f"/event_destinations/{where}/send_test_event")))
    waiting.start()
    wait_until(lambda: collector.requests == 2, "the test event to come")
    assert gateway.terminate() == 0
    collector.hold.set()
    waiting.join(20)


def ignore(call):
    """A call that the end of the gateway may cut."""
    try:
        call()
    except (OSError, ValueError, http.client.HTTPException):
        pass


# ---- private addresses ----


def test_users_reach_no_private_address_unless_allowed(scene, collector):
    """By address at once, by name when it is sent; administrators do."""
    gateway = scene.start_gateway({"limits": {"event_retry_min_ms": 20}})
    alice = caller(scene, gateway, "--account", "alice")
    answer = alice.call("POST", "/event_destinations", {"target": to(collector)})
    assert (answer.status, answer.code) == (400, "ERR_NGROK_215")
    # A name that is an address in another way: it is the connection that is looked at.
    url = f"http://2130706433:{collector.port}/in"
    where = alice.create("/event_destinations", target={"debug": {"callback_url": url}})["id"]
    answer = alice.call("POST", f"/event_destinations/{where}/send_test_event")
    assert (answer.status, answer.code) == (400, "ERR_NGROK_5122"), answer.body
    assert collector.requests == 0
    admin = caller(scene, gateway)
    destination(admin, collector, verify_with_test_event=True)
    assert collector.requests == 1


# ---- by ssh ----


def test_events_by_ssh(scene, gateway, collector):
    """The groups event-destinations, event-subscriptions and event-sources, with flags for an id."""
    api = SshApi(gateway, scene.keys.alice)
    where = api.ok(f"api event-destinations create --target.debug.callback-url {collector.url} "
                   "--verify-with-test-event --description by ssh")
    assert where["description"] == "by ssh"
    sent = api.ok(f"api event-destinations send-test-event {where['id']}")
    assert sent["event_id"] == collector.events[1]["event_id"]
    made = api.ok(f"api event-subscriptions create --destination-ids {where['id']} "
                  "--sources vault_created.v0")
    of = f"--subscription-id {made['id']}"
    source = api.ok(f"api event-sources create {of} --type {HTTP} "
                    "--fields conn.client_ip,http.response.status_code --filter -",
                    stdin="ev.http.response.status_code == 200")
    assert source["fields"] == ["conn.client_ip", "http.response.status_code"]
    assert api.ok(f"api event-sources get {of} --type {HTTP}").body == source.body
    listed = api.ok(f"api event-sources list {made['id']}")
    assert [s["type"] for s in listed["sources"]] == ["vault_created.v0", HTTP]
    assert HTTP in api.ok(f"api event-sources list {made['id']} --output table").out
    visit(scene, scene.plain(scene.app()), "/hello")
    assert collector.wait(3)[2]["object"] == {
        "conn": {"client_ip": "127.0.0.1"}, "http": {"response": {"status_code": 200}}}
    changed = api.ok(f"api event-sources update {of} --type {HTTP} --fields conn.client_ip")
    assert changed["fields"] == ["conn.client_ip"] and changed["filter"]
    api.ok(f"api event-sources delete {of} --type {HTTP}")
    gone = api.run(f"api event-sources get {of} --type {HTTP}")
    assert gone.status == 1 and "ERR_NGROK_5125" in gone.err
    missing = api.run("api event-sources get --type x")
    assert missing.status == 2 and "--subscription-id is missing" in missing.err
    help_ = api.ok("api event-sources create --help").out
    assert "--subscription-id" in help_ and "--filter" in help_
