"""
A table of what bob might try to see, take, shadow, list, connect to or learn of alice's: it is
refused as if nothing were there (or as taken, where the specification says so), it leaves a line in the
log, and alice's things are what they were and serve.
"""

import base64
import http.client
import json
import ssl

import pytest

from lib.api import Api
from lib import isolation
from lib.isolation import COLLECTIONS, World, says
from lib.pki import client_context, connect
from lib.raw import Conn


SETTINGS = isolation.SETTINGS


@pytest.fixture(scope="module")
def world(gateway, keys, tmp_path_factory):
    world = World(gateway, keys, tmp_path_factory.mktemp("world"))
    try:
        yield world
        world.check_all()
    finally:
        world.close()


@pytest.fixture(autouse=True)
def alice_is_untouched(world):
    yield
    world.check()


def table(*rows):
    """Parameters with ids made of their first two or three words."""
    def name(row):
        return "-".join(str(word) for word in row if isinstance(word, (str, int)))[:90]

    return [pytest.param(*row, id=name(row)) for row in rows]


# ---- her objects, by their ids ----

UPDATES = {"metadata": "bob was here"}
POLICY = {"traffic_policy": says("bob")}
OBJECTS = {
    "reserved_domains": ("rd", "rd_wild", "rd_idn"), "reserved_addrs": ("ra",),
    "tls_certificates": ("cert",), "vaults": ("vault",), "vault_secrets": ("secret",),
    "ip_policies": ("ipp",), "ip_policy_rules": ("ipr",), "event_destinations": ("ed",),
    "event_subscriptions": ("esb",), "api_keys": ("ak",), "ssh_credentials": ("sshcr",),
    "endpoints": ("ep_cloud", "ep_cloud_wild", "ep_cloud_inside", "ep_agent", "ep_inside", "ep_pool",
                  "ep_tls", "ep_tcp"),
}
BY_ID = [(method, f"/{path}/<{key}>", body) for path, keys_of in OBJECTS.items() for key in keys_of
         for method, body in (("GET", None), ("PATCH", UPDATES), ("DELETE", None))]
SOURCES = "/event_subscriptions/<esb>/sources"
ACTIONS = [
    ("DELETE", "/reserved_domains/<rd>/certificate", None),
    ("DELETE", "/reserved_domains/<rd>/certificate_management_policy", None),
    ("GET", "/vaults/<vault>/secrets", None),
    ("POST", "/event_destinations/<ed>/send_test_event", {}),
    ("GET", SOURCES, None),
    ("POST", SOURCES, {"type": "secret_created.v0"}),
    ("GET", f"{SOURCES}/vault_created.v0", None),
    ("PATCH", f"{SOURCES}/vault_created.v0", {"filter": ""}),
    ("DELETE", f"{SOURCES}/vault_created.v0", None),
    ("GET", "/tunnel_sessions/<ts>", None),
    ("POST", "/tunnel_sessions/<ts>/stop", {}),
    ("POST", "/tunnel_sessions/<ts_1>/stop", {}),
    ("POST", "/tunnel_sessions/<ts>/restart", {}),
    ("POST", "/tunnel_sessions/<ts>/update", {}),
    ("GET", "/tunnels/<tn_agent>", None),
    ("GET", "/tunnels/<tn_inside>", None),
    ("PATCH", "/endpoints/<ep_cloud>", POLICY),
    ("PATCH", "/endpoints/<ep_cloud>", {"url": "https://bob-new.example.test"}),
    ("PATCH", "/vault_secrets/<secret>", {"value": "bob's"}),
    ("PATCH", "/ssh_credentials/<sshcr>", {"acl": ["bind:nothing.example.test"]}),
    ("PATCH", "/ip_policy_rules/<ipr>", {"cidr": "10.0.0.0/8"}),
]


@pytest.mark.parametrize("method,path,body", table(*BY_ID, *ACTIONS))
def test_object_by_its_id(world, method, path, body):
    world.refused(method, path, body)


# ---- lists ----

LISTS = [(f"/{path}",) for path in COLLECTIONS]
PAGES = [(f"/{path}?before_id=<{keys_of[0]}>",) for path, keys_of in OBJECTS.items()]
PAGES += [("/tunnel_sessions?before_id=<ts>",), ("/tunnels?before_id=<tn_agent>",)]
FILTERS = [(f"/{path}?filter=obj.id%3D%3D%22<{keys_of[0]}>%22",) for path, keys_of in OBJECTS.items()]
FILTERS += [
    ("/endpoints?id=<ep_cloud>",), ("/endpoints?id=<ep_agent>&id=<ep_inside>",),
    ("/endpoints?url=https://alice-shop.com",), ("/endpoints?url=https://alice-web.internal",),
    ("/endpoints?filter=obj.principal.id%3D%3D%22<usr>%22",),
    ("/endpoints?filter=obj.url.contains(%22alice%22)",),
    ("/vaults?filter=obj.name%3D%3D%22<vault_name>%22",),
    ("/vault_secrets?filter=obj.name%3D%3D%22<secret_name>%22",),
    ("/ip_policy_rules?filter=obj.ip_policy.id%3D%3D%22<ipp>%22",),
    ("/reserved_domains?filter=obj.certificate.id%3D%3D%22<cert>%22",),
    ("/reserved_domains?filter=obj.domain.startsWith(%22alice%22)",),
    ("/api_keys?filter=obj.owner_id%3D%3D%22<usr>%22",),
    ("/ssh_credentials?filter=obj.owner_id%3D%3D%22<usr>%22",),
    ("/tunnel_sessions?filter=obj.id%3D%3D%22<ts>%22",),
]


@pytest.mark.parametrize("path", table(*LISTS, *PAGES, *FILTERS))
def test_list(world, path):
    world.unseen(path)


# ---- references to her objects ----

REFERENCES = [
    ("POST", "/reserved_domains", {"domain": "bob-two.org", "certificate_id": "<cert>"}),
    ("PATCH", "/reserved_domains/{rd}", {"certificate_id": "<cert>"}),
    ("POST", "/vault_secrets", {"name": "n", "value": "v", "vault_id": "<vault>"}),
    ("POST", "/vault_secrets", {"name": "n", "value": "v", "vault_name": "<vault_name>"}),
    ("POST", "/vault_secrets", {"name": "n", "value": "v", "vault_id": "{vault}",
                                "vault_name": "<vault_name>"}),
    ("POST", "/vault_secrets", {"name": "n", "value": "v", "vault_id": "<vault>",
                                "vault_name": "bob-vault"}),
    ("POST", "/ip_policy_rules", {"ip_policy_id": "<ipp>", "cidr": "10.0.0.0/8", "action": "deny"}),
    ("POST", "/event_subscriptions", {"sources": [], "destination_ids": ["<ed>"]}),
    ("POST", "/event_subscriptions", {"sources": [], "destination_ids": ["{ed}", "<ed>"]}),
    ("PATCH", "/event_subscriptions/{esb}", {"destination_ids": ["<ed>"]}),
    ("POST", "/api_keys", {"owner_id": "<usr>"}),
    ("POST", "/api_keys", {"owner_email": "alice@example.com"}),
    ("POST", "/api_keys", {"scim_user_id": "<usr>"}),
    ("POST", "/ssh_credentials", {"owner_id": "<usr>", "public_key": "{key}"}),
    ("POST", "/endpoints", {"url": "https://bob-ips.example.test", "traffic_policy": json.dumps(
        {"on_http_request": [{"actions": [{"type": "restrict-ips", "config": {
            "ip_policies": ["<ipp>"]}}, {"type": "deny"}]}]})}),
    ("PATCH", "/endpoints/{ep}", {"traffic_policy": json.dumps(
        {"on_http_request": [{"actions": [{"type": "restrict-ips", "config": {
            "ip_policies": ["<ipp>"]}}, {"type": "deny"}]}]})}),
    ("POST", "/endpoints", {"url": "https://bob-key.example.test", "traffic_policy": json.dumps(
        {"on_http_request": [{"actions": [{"type": "custom-response", "config": {
            "body": "${secrets.get('<vault_name>', '<secret_name>')}"}}]}]})}),
]


@pytest.mark.parametrize("method,path,body", table(*REFERENCES))
def test_reference(world, method, path, body):
    own = {"{" + key + "}": value for key, value in world.bobs.items()}
    text = json.dumps(body)
    for key, value in own.items():
        path, text = path.replace(key, value), text.replace(key, value)
    world.refused(method, path, json.loads(text))


# ---- her names, over REST ----

DOMAINS = [
    ("alice-shop.com", 414), ("ALICE-Shop.com", 414), ("alice-shop.com.", 414),
    (" alice-shop.com ", 414), ("www.alice-shop.com", 414), ("a.b.alice-shop.com", 414),
    ("*.alice-shop.com", 414), ("*.www.alice-shop.com", 414), ("*.alice-wide.com", 414),
    ("alice-wide.com", 414), ("x.alice-wide.com", 414), ("*.x.alice-wide.com", 414),
    ("bücher.alice-idn.com", 414), ("BÜCHER.alice-idn.com", 414),
    ("xn--bcher-kva.alice-idn.com", 414), ("XN--BCHER-KVA.alice-idn.com", 414),
    ("x.xn--bcher-kva.alice-idn.com", 414), ("*.alice-idn.com", 417), ("alice-idn.com", 414),
    ("alice-app.example.test", 430), ("*.alice-app.example.test", 430),
    ("alice-tls.example.test", 430), ("alice-pool.example.test", 430),
    ("*.alice-live.example.test", 430), ("x.alice-live.example.test", 430),
    ("*.x.alice-live.example.test", 430), ("api.alice-deep.example.test", 430),
    ("*.alice-deep.example.test", 430), ("alice-deep.example.test", 430),
    ("alice-held.example.test", 430), ("*.alice-held.example.test", 430),
]


@pytest.mark.parametrize("domain,code", table(*DOMAINS))
def test_reserve_a_domain(world, domain, code):
    world.taken("POST", "/reserved_domains", {"domain": domain}, code)


def test_reserve_a_domain_by_its_first_part(world):
    world.taken("POST", "/reserved_domains", {"name": "alice-app"}, 430)


URLS = [
    "https://alice-shop.com", "http://alice-shop.com", "tls://alice-shop.com",
    "https://ALICE-SHOP.com", "https://www.alice-shop.com", "https://*.alice-shop.com",
    "https://x.alice-wide.com", "https://*.alice-wide.com", "https://*.x.alice-wide.com",
    "https://bücher.alice-idn.com", "https://xn--bcher-kva.alice-idn.com",
    "https://alice-app.example.test", "http://alice-app.example.test",
    "tls://alice-app.example.test", "tls://alice-tls.example.test",
    "https://alice-pool.example.test", "https://x.alice-live.example.test",
    "http://x.alice-live.example.test", "https://*.alice-live.example.test",
    "https://*.alice-deep.example.test", "https://alice-held.example.test",
    "https://*.example.test",
]


@pytest.mark.parametrize("pooling", [False, True], ids=["alone", "pooling"])
@pytest.mark.parametrize("url", URLS)
def test_cloud_endpoint_at_her_name(world, url, pooling):
    world.taken("POST", "/endpoints", {"url": url, "traffic_policy": POLICIES[url[:3]],
                                       "pooling_enabled": pooling}, 18006)


POLICIES = {"htt": says("bob"), "tls": '{"on_tcp_connect": [{"actions": [{"type": "deny"}]}]}'}


@pytest.mark.parametrize("host", ["alice-shop.com", "x.alice-wide.com", "alice-app.example.test",
                                  "x.alice-live.example.test", "alice-held.example.test"])
def test_cloud_endpoint_that_moves_to_her_name(world, host):
    world.taken("PATCH", "/endpoints/<ep>", {"url": f"https://{host}"}, 18006)
    with Conn(world.gateway.https_port, "bob-front.example.test", tls=True) as conn:
        assert conn.get("/").text == "bob"


def test_cloud_endpoint_at_her_tcp_address(world):
    world.taken("POST", "/endpoints", {"url": f"tcp://{world.address}",
                                       "traffic_policy": POLICIES["tls"]}, 18006)


def test_her_ssh_key(world):
    """It is one identity; whose, is not said."""
    world.taken("POST", "/ssh_credentials", {"public_key": world.credential.public}, 610)


# ---- her names, by ssh -R ----

FORWARDS = [
    (host, "http", 320) for host in (
        "alice-shop.com:443", "alice-shop.com:80", "ALICE-shop.com:443", "www.alice-shop.com:443",
        "a.b.alice-shop.com:443", "*.alice-shop.com:443", "*.www.alice-shop.com:443",
        "x.alice-wide.com:443", "*.alice-wide.com:443", "*.x.alice-wide.com:443",
        "alice-wide.com:443", "bücher.alice-idn.com:443", "xn--bcher-kva.alice-idn.com:443",
        "alice-app.example.test:443", "ALICE-APP.example.test:443", "alice-app.example.test:80",
        "alice-tls.example.test:443", "alice-pool.example.test:443", "x.alice-live.example.test:443",
        "x.alice-live.example.test:80", "y.x.alice-live.example.test:443",
        "*.alice-live.example.test:443", "*.x.alice-live.example.test:443",
        "alice-held.example.test:443", "alice-held.example.test:80")
] + [
    ("*.alice-deep.example.test:443", "http", 318), ("*.example.test:443", "http", 318),
    ("*.alice-idn.com:443", "http", 318), ("alice-shop.com.:443", "http", 9032),
    ("alice-shop..com:443", "http", 327),
    ("alice-shop.com:443", "tls", 320), ("alice-tls.example.test:443", "tls", 320),
    ("x.alice-live.example.test:443", "tls", 320), ("alice-app.example.test:443", "tls", 320),
    ("alice-pool.example.test:443", "http --pooling-enabled", 320),
    ("alice-shop.com:443", "http --pooling-enabled", 320),
    ("alice-app.example.test:443", "http --scheme http,https", 320),
]


@pytest.mark.parametrize("remote,command,code", table(*FORWARDS))
def test_forward_of_her_name(world, remote, command, code):
    world.not_bound(remote, command, code)


@pytest.mark.parametrize("command", ["tcp", "tcp --pooling-enabled"])
def test_forward_of_her_tcp_address(world, command):
    world.not_bound(world.address, command, 309)


@pytest.mark.parametrize("url", ["https://alice-app.example.test", "http://alice-shop.com",
                                 "https://x.alice-live.example.test"])
def test_url_of_hers_by_a_flag(world, url):
    world.not_bound("0", f"http --url {url}", 320)


def test_forward_beside_one_of_his_own(world):
    """Only what is his comes online."""
    mark = world.gateway.mark()
    ssh = world.scene.ssh("bob-app.example.test:443:127.0.0.1:9",
                          "alice-app.example.test:443:127.0.0.1:9", key="bob")
    ssh.wait_err("ERR_SALLYPORT_320")
    assert ssh.urls(1) == [f"https://bob-app.example.test:{world.gateway.https_port}"]
    world.logged(mark, "ssh.forward_refused", host="alice-app.example.test")
    ssh.stop()


# ---- commands of the API over ssh ----

COMMANDS = [f"api {group} {verb}" for group, verb in (
    ("endpoints", "get <ep_cloud>"), ("endpoints", "get <ep_inside>"),
    ("endpoints", "delete <ep_cloud>"), ("endpoints", "delete <ep_agent>"),
    ("endpoints", "update <ep_cloud> --metadata bob"), ("reserved-domains", "delete <rd>"),
    ("reserved-domains", "delete-certificate <rd>"), ("reserved-addrs", "delete <ra>"),
    ("tls-certificates", "get <cert>"), ("vaults", "delete <vault>"),
    ("vaults", "get-secrets-by-vault <vault>"), ("secrets", "get <secret>"),
    ("secrets", "create --vault-name <vault_name> --name n --value v"),
    ("secrets", "update <secret> --value v"), ("ip-policies", "delete <ipp>"),
    ("ip-policy-rules", "create --ip-policy-id <ipp> --cidr 10.0.0.0/8 --action allow"),
    ("event-destinations", "send-test-event <ed>"), ("event-subscriptions", "get <esb>"),
    ("event-sources", "list <esb>"), ("api-keys", "delete <ak>"), ("api-keys", "create --owner-id <usr>"),
    ("ssh-credentials", "get <sshcr>"), ("tunnel-sessions", "stop <ts>"),
    ("tunnel-sessions", "get <ts_1>"), ("tunnels", "get <tn_agent>"))]
COMMANDS += ["kill <ts>", "kill <ts_1>", "kill <ep_agent>", "kill <ep_inside>", "kill <ep_cloud>",
             "kill <tn_agent>", "kill <tn_inside>"]


@pytest.mark.parametrize("line", COMMANDS)
def test_command(world, line):
    world.command_refused(line)


@pytest.mark.parametrize("line", [
    "ls", "whoami", "api endpoints list --all", "api tunnel-sessions list --all",
    "api tunnels list --all", "api vaults list --output table",
    "api endpoints list --filter 'obj.url.contains(\"alice\")'", "help"])
def test_command_shows_nothing(world, line):
    status, out, err = world.run(line)
    assert status == 0, err
    world.assert_silent(out + err)


# ---- her internal endpoints, over ssh ----

CHANNELS = [("alice-db.internal", 5432), ("ALICE-DB.internal", 5432), ("alice-db.internal.", 5432),
            ("alice-db.internal", 5433), ("alice-web.internal", 443), ("alice-web.internal", 8080),
            ("alice-web.internal", 80), ("x.alice-apps.internal", 443),
            ("*.alice-apps.internal", 443), ("alice-crew.internal", 443),
            ("alice-cloud.internal", 443), ("alice-vpn.internal", 8443),
            ("alice/alice-web.internal", 443), ("alice.alice-web.internal", 443),
            ("alice-app.example.test", 443), ("alice-shop.com", 443),
            ("127.0.0.1", 4040), ("localhost", 22), ("::1", 22), ("0.0.0.0", 22), ("", 5432)]


@pytest.mark.parametrize("host,port", table(*CHANNELS))
def test_channel(world, host, port):
    world.no_channel(host, port)


def test_channel_to_her_address(world):
    host, port = world.address.split(":")
    world.no_channel(host, int(port))


@pytest.mark.parametrize("target", ["upstream", "gateway"])
def test_channel_to_a_port_of_the_machine(world, target):
    """Neither what her agent reaches nor the admin listener."""
    world.no_channel("127.0.0.1", world.app.port if target == "upstream"
                     else world.gateway.admin_port)


@pytest.mark.parametrize("option", ["-L", "-W", "-J", "-D"])
def test_option_of_ssh(world, option):
    world.direct_pace.step()
    mark = world.gateway.mark()
    world.reaches_nothing(option, "alice-db.internal", 5432)
    world.logged(mark, "ssh.direct_refused", host="alice-db.internal", port=5432)


# ---- her internal endpoints and secrets, through policies of his ----

TARGETS = ["https://alice-web.internal", "http://alice-web.internal:8080", "https://ALICE-web.internal",
           "https://alice-web.internal:443", "https://x.alice-apps.internal",
           "https://alice-crew.internal", "https://alice-cloud.internal", "alice-web.internal",
           "tcp://alice-db.internal:5432", "tls://alice-vpn.internal:8443",
           "https://alice-app.example.test", "https://alice-shop.com",
           "https://alice/alice-web.internal", "https://alice@alice-web.internal"]


@pytest.mark.parametrize("via", ["bob-forward", "bob-learns"])
@pytest.mark.parametrize("url", TARGETS)
def test_forward_internal(world, url, via):
    world.not_forwarded(f"{via}.example.test", url)


@pytest.mark.parametrize("scheme", ["tcp", "tls"])
def test_forward_internal_of_connections(world, scheme):
    world.connection_not_passed_on(scheme, {"tcp": "tcp://alice-db.internal:5432",
                                            "tls": "tls://alice-vpn.internal:8443"}[scheme])


@pytest.mark.parametrize("vault,name", [
    ("<vault_name>", "<secret_name>"), ("<vault>", "<secret>"), ("<vault_name>", "<secret>"),
    ("alice/<vault_name>", "<secret_name>"), ("../alice/<vault_name>", "<secret_name>"),
    ("bob-vault", "<secret_name>"), ("<vault_name>", "bob-token")])
def test_secret(world, vault, name):
    event = world.not_passed_on("bob-reads.example.test", x_vault=vault, x_name=name)
    assert "alice-value" not in json.dumps(event)


def test_what_is_his_he_gets(world):
    """The same ways lead to what he has: that nothing comes of them is not for want of a way."""
    for via in ("bob-forward", "bob-learns"):
        assert world.asked(world.bobs, f"{via}.example.test",
                           [("x-to", "https://bob-web.internal")])[2] == "bob"
    assert world.asked(world.bobs, "bob-reads.example.test",
                       [("x-vault", "bob-vault"), ("x-name", "bob-token")])[2] == "bob-value"
    assert world.hears(world.intruder, "bob-web.internal") == "bob"
    assert world.run("api vaults get " + world.bobs["vault"])[0] == 0
    for path, keys_of in OBJECTS.items():
        if keys_of[0] in world.bobs:
            listed = world.bob.call("GET", f"/{path}?filter=obj.id%3D%3D%22{world.bobs[keys_of[0]]}%22")
            assert len(listed[COLLECTIONS[path]]) == 1, path
    ssh = world.scene.ssh("*.bob-live.example.test:443:127.0.0.1:9", key="bob")
    assert ssh.urls(1) == [f"https://*.bob-live.example.test:{world.gateway.https_port}"]
    ssh.stop()


# ---- endpoints of his under her internal names: they are his, and catch nothing of hers ----

SHADOWS = ["https://alice-web.internal", "http://alice-web.internal:8080",
           "https://*.alice-apps.internal", "https://x.alice-apps.internal",
           "https://alice-crew.internal", "https://alice-cloud.internal"]


@pytest.mark.parametrize("pooling", [False, True], ids=["alone", "pooling"])
@pytest.mark.parametrize("url", SHADOWS)
def test_shadow(world, url, pooling):
    made = world.bob.create("/endpoints", url=url, traffic_policy=says("bob"),
                            pooling_enabled=pooling)
    host, port = made["host"].replace("*", "x"), made["port"]
    hers = "alice's cloud" if "cloud" in host else "hello from alice\n"
    for _ in range(4):
        assert world.hears(world.user, host, port) == hers
        assert world.hears(world.intruder, host, port) == "bob"
    world.check()
    assert world.bob.call("DELETE", f"/endpoints/{made['id']}").status == 204


# ---- events ----


@pytest.mark.parametrize("kind,act", [
    ("vault_created.v0", lambda w, api, who: api.call("DELETE", "/vaults/" + api.create(
        "/vaults", name=f"{who}-{w.scene.name()}")["id"])),
    ("vault_deleted.v0", lambda w, api, who: api.call("DELETE", "/vaults/" + api.create(
        "/vaults", name=f"{who}-{w.scene.name()}")["id"])),
    ("http_request_complete.v0", lambda w, api, who: w.visit(
        "alice-app.example.test" if who == "alice" else "bob-front.example.test")),
    ("agent_session_start.v0", lambda w, api, who: w.log_in(who)),
    ("agent_session_stop.v0", lambda w, api, who: w.log_in(who)),
    ("endpoint_created.v0", lambda w, api, who: api.call("DELETE", "/endpoints/" + api.create(
        "/endpoints", url=f"https://{who}-{w.scene.name()}.example.test",
        traffic_policy=says(who))["id"])),
    ("api_key_created.v0", lambda w, api, who: api.call("DELETE", "/api_keys/" + api.create(
        "/api_keys", description=who)["id"])),
    ("domain_created.v0", lambda w, api, who: api.call("DELETE", "/reserved_domains/" + api.create(
        "/reserved_domains", domain=f"{who}-{w.scene.name()}.net")["id"])),
], ids=lambda v: v if isinstance(v, str) else "")
def test_event(world, kind, act):
    """Alice does a thing, then bob does it: he is told of his."""
    path = f"/event_subscriptions/{world.bobs['esb']}"
    assert world.bob.call("PATCH", path, {"sources": [{"type": kind}]}).status == 200
    had = len(world.received["bob"].events)
    act(world, world.alice, "alice")
    act(world, world.bob, "bob")
    events = [e for e in world.received["bob"].wait(had + 1)[had:]]
    world.assert_silent(json.dumps(events))


# ---- without his key ----

CREDENTIALS = {
    "nothing": lambda w, things: None,
    "id-of-her-key": lambda w, things: f"Bearer {things['ak']}",
    "her-key-with-another-secret": lambda w, things: f"Bearer {things['ak'][3:]}_{'x' * 21}",
    "her-key-in-basic": lambda w, things: "Basic " + base64.b64encode(
        f"{things['ak'][3:]}_{'x' * 21}:".encode()).decode(),
    "her-principal": lambda w, things: f"Bearer {things['usr']}",
    "her-session": lambda w, things: f"Bearer {things['ts']}",
}


@pytest.mark.parametrize("method,path", [("GET", "/endpoints"), ("DELETE", "/endpoints/<ep_cloud>"),
                                         ("POST", "/tunnel_sessions/<ts>/stop")])
@pytest.mark.parametrize("credential", CREDENTIALS)
def test_stranger(world, credential, method, path):
    """Who has no key is told nothing, whatever they name."""
    api = world.scene.keep(Api(world.gateway, ""))
    mark = world.gateway.mark()
    said = []
    for things in (world.real, world.fake):
        world.call_pace.step()
        answer = api.call(method, things.fill(path), authorization=CREDENTIALS[credential](world, things))
        status, names, text = world.told(answer)
        said.append((status, names, things.strip(text)))
    assert said[0] == said[1] and said[0][0] in (401, 403, 400), said
    line = world.gateway.wait_log(
        lambda e: e["event"] == "api.refused" and e["path"] == world.real.fill(path), mark)
    assert line["account"] == ""


@pytest.mark.parametrize("field", ["sallyport-account", "x-sallyport-account", "x-forwarded-user"])
def test_account_by_a_field(world, field):
    """Who he is stands in his key only."""
    mine = world.bob.call("GET", "/vaults").body
    assert world.bob.call("GET", "/vaults", **{field: "alice"}).body == mine
    world.assert_silent(json.dumps(mine))


@pytest.mark.parametrize("path", ["/openapi.json", "/healthz", "/readyz"])
def test_what_everybody_may_see(world, path):
    conn = http.client.HTTPConnection("127.0.0.1", world.gateway.admin_port, timeout=10)
    conn.request("GET", path)
    response = conn.getresponse()
    assert response.status == 200
    world.assert_silent(response.read().decode())
    conn.close()


# ---- as a visitor ----


@pytest.mark.parametrize("path", ["/metrics", "/openapi.json", "/endpoints", "/healthz"])
@pytest.mark.parametrize("host", ["example.test", "localhost", "nobdy.example.test"])
def test_listener_for_visitors_has_no_admin(world, host, path):
    with Conn(world.gateway.http_port, host) as conn:
        response = conn.get(path)
    assert (response.status, response.error_code) == (404, "ERR_SALLYPORT_3200")
    world.assert_silent(response.text)


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("host", ["alice-web.internal", "x.alice-apps.internal",
                                  "alice-cloud.internal", "alice-crew.internal",
                                  "alice/alice-web.internal"])
def test_internal_name_from_outside(world, host, tls):
    world.know(host=host)
    port = world.gateway.https_port if tls else world.gateway.http_port
    said = []
    for things in (world.real, world.fake):
        with Conn(port, "bob-front.example.test", tls=tls) as conn:
            response = conn.get("/", [("Host", things["host"])])
        said.append((response.status, response.error_code, things.strip(response.text)))
    assert said[0] == said[1] and said[0][0] >= 400, said


@pytest.mark.parametrize("host", ["alice-web.internal", "alice-vpn.internal", "x.alice-apps.internal"])
def test_internal_name_in_a_handshake(world, host):
    world.know(host=host)
    said = []
    for things in (world.real, world.fake):
        try:
            with connect(world.gateway.https_port, things["host"], client_context()) as tls:
                said.append(things.strip(str(tls.getpeercert())))
        except ssl.SSLError as e:
            said.append(e.reason)
    assert said[0] == said[1], said
