"""
Published clients of the API, unchanged, with every resource: npm and PyPI as they are installed, Go by its requests;
and the requests that were recorded of all three (spec api.md 4.6).
"""

import json

import pytest

from lib import api_cases, api_clients, pki
from lib.api import Answer, Api, new_token
from lib.api_go import GoClient
from lib.collector import Collector
from lib.ports import TCP_PORTS

SETTINGS = {
    "api": {"private_event_destinations": True},
    "tcp": {"host": "tcp.example.test", **TCP_PORTS},
    "limits": {"api_requests_per_minute": 0},
}

#: What the newest npm client only reads, and what it does not know.
NPM_READS = {"endpoints"}
NPM_LACKS = {"vaults", "secrets"}


@pytest.fixture(name="alice")
def fixture_alice(scene):
    gateway = scene.start_gateway(SETTINGS)
    api = scene.keep(Api(gateway, new_token(gateway, "--account", "alice")))
    yield api
    for ep in api.call("GET", "/endpoints")["endpoints"]:
        if ep["type"] == "cloud":
            api.call("DELETE", f"/endpoints/{ep['id']}")


@pytest.fixture(name="cases")
def fixture_cases(scene, alice, tmp_path):
    collector = scene.keep_to_the_end(Collector())
    return api_cases.all_cases(scene, alice, pki.Authority(tmp_path), collector)


def check_all(alice, cases, seen):
    for case, one in zip(cases, seen, strict=True):
        api_cases.check(alice, case, one)


def test_cases_are_of_all_resources(alice, cases):
    """Nobody is left out: what /openapi.json has collections of."""
    paths = alice.call("GET", "/openapi.json")["paths"]
    known = {path for path in paths if path.count("/") == 1}
    assert known == {case.path for case in cases if not case.of}


def test_npm(alice, cases):
    """The newest @ngrok/ngrok-api of npm."""
    cases = [case.reading(alice) if case.name in NPM_READS else case for case in cases
             if case.name not in NPM_LACKS]
    check_all(alice, cases, api_clients.run_npm(alice.base, alice.token, cases))


def test_pypi(alice, cases):
    """ngrok-api of PyPI."""
    check_all(alice, cases, api_clients.run_pypi(alice.base, alice.token, cases))


def test_go(scene, alice, cases):
    """ngrok-api-go, replayed."""
    go = scene.keep(GoClient(alice))
    check_all(alice, cases, [go.play(case) for case in cases])


# ---- what was recorded ----

GO = {"user-agent": "ngrok-api-go//go1.23", "accept-encoding": "gzip"}
PYTHON = {"user-agent": "ngrok-api-python/0.17.0/3.11.2", "accept": "*/*",
          "accept-encoding": "gzip, deflate", "connection": "keep-alive"}
NPM = {"user-agent": "ngrok-api-typescript/0.10.0/v20.1.0", "accept": "*/*",
       "content-type": "application/json", "accept-encoding": "gzip, deflate", "connection": "keep-alive"}
NPM17 = NPM | {"user-agent": "ngrok-api-typescript/0.17.0/v20.1.0"}
JSON = {"content-type": "application/json"}
SOURCE = "/event_subscriptions/$esb/sources/vault_created.v0"
POLICY = '{\\"on_http_request\\":[{\\"actions\\":[{\\"type\\":\\"deny\\"}]}]}'

#: Client, method, path, body, status and error. $ipp and so on are ids of objects that are there; names and event
#: types are some that exist.
RECORDED = [
    (GO, "GET", "/ip_policies", None, 200, None),
    (GO, "GET", "/ip_policies?before_id=$ipp&limit=2", None, 200, None),
    (GO, "GET", "/reserved_domains?filter=obj.domain+%3D%3D+%22a.customer.com%22&limit=2", None, 200, None),
    (GO, "POST", "/endpoints", f'{{"url":"https://go.example.test","traffic_policy":"{POLICY}"}}', 201, None),
    (GO, "POST", "/endpoints", '{"url":"https://a.example.test","traffic_policy":"{}"}', 400, "ERR_NGROK_18002"),
    (GO, "PATCH", "/endpoints/$ep", '{"description":""}', 200, None),
    (GO, "PATCH", "/ssh_credentials/$sshcr", "{}", 400, "ERR_NGROK_606"),
    (GO, "PATCH", "/credentials/cr_3AM9sjNjrVDmRX7F4GniLGdudNy", "{}", 404, None),
    (GO, "POST", "/event_destinations", '{"format":"json","target":{}}', 400, "ERR_NGROK_5100"),
    (GO, "PATCH", SOURCE, "{}", 200, None),
    (PYTHON, "POST", "/ip_policies", '{"description": "", "metadata": ""}', 201, None),
    (PYTHON, "POST", "/reserved_domains", '{"domain": "b.customer.com", "region": "", "description": "", '
     '"metadata": "", "certificate_management_policy": {"authority": "letsencrypt"}}', 400, "ERR_SALLYPORT_5"),
    (PYTHON, "POST", "/reserved_domains", '{"domain": "b.customer.com", "region": "", "description": "", '
     '"metadata": "", "resolves_to": []}', 201, None),
    (PYTHON, "POST", "/endpoints", '{"url": "https://py.example.test", "type": "cloud", '
     f'"traffic_policy": "{POLICY}", "pooling_enabled": false}}', 201, None),
    (PYTHON, "GET", "/endpoints?id=$ep&id=$ep&url=https%3A%2F%2Fa+b", None, 200, None),
    (PYTHON, "POST", "/event_subscriptions", '{"metadata": "", "description": "", '
     '"sources": [{"type": "vault_created.v0"}], "destination_ids": ["$ed"]}', 201, None),
    (PYTHON, "PATCH", SOURCE, "", 200, None),
    (PYTHON, "POST", "/tunnel_sessions/$ts/restart", "", 400, "ERR_NGROK_1122"),
    (NPM, "GET", "/ip_policies?limit=100", None, 200, None),
    (NPM, "GET", "/ip_policies?beforeId=$ipp&limit=100", None, 200, None),
    (NPM, "PATCH", "/ip_policies/$ipp", '{"id":"$ipp","description":"y"}', 200, None),
    (NPM, "PATCH", SOURCE, '{"subscription_id":"$esb","type":"vault_created.v0"}', 200, None),
    (NPM, "POST", "/tunnel_sessions/$ts/restart", "$ts", 400, "ERR_NGROK_1122"),
    (NPM17, "GET", "/vaults/$vault/secrets?id=$vault&limit=100", None, 200, None),
    (NPM17, "POST", "/tunnel_sessions/$ts/update", "{}", 400, "ERR_NGROK_1121"),
    (GO, "DELETE", "/ip_policies/$ipp", None, 204, None),
    (PYTHON, "DELETE", "/ip_policies/$other_ipp", None, 200, None),
    (NPM, "DELETE", "/vaults/$vault", None, 200, None),
    (GO, "POST", "/tunnel_sessions/$ts/stop", "{}", 204, None),
    (PYTHON, "POST", "/tunnel_sessions/$other_ts/stop", "", 200, None),
]


def make_objects(scene, api):
    """Ids by the names that stand in the requests."""
    target = {"debug": {"callback_url": scene.keep_to_the_end(Collector()).url}}
    sessions, _ = api_cases.live(scene, api)
    api.create("/reserved_domains", domain="a.customer.com")
    return {
        "other_ipp": api.create("/ip_policies")["id"],
        "ipp": api.create("/ip_policies")["id"],
        "ep": api.create("/endpoints", url="https://made.example.test",
                         traffic_policy=json.loads(f'"{POLICY}"'))["id"],
        "sshcr": api.create("/ssh_credentials", public_key=scene.keys.get("recorded").public)["id"],
        "ed": api.create("/event_destinations", target=target)["id"],
        "esb": api.create("/event_subscriptions", sources=[{"type": "vault_created.v0"}])["id"],
        "vault": api.create("/vaults", name="v")["id"],
        "ts": sessions[0],
        "other_ts": sessions[1],
    }


def send(api, headers, method, target, body):
    """As it was recorded: a field that is there in one client and not in another is so here."""
    fields = headers | {"authorization": f"Bearer {api.token}", "ngrok-version": "2"}
    if body is not None:
        fields["content-length"] = str(len(body))
    if body:
        fields |= JSON
    api.conn.putrequest(method, target, skip_accept_encoding=True)
    for name, value in fields.items():
        api.conn.putheader(name, value)
    api.conn.endheaders(body.encode() if body else None)
    return Answer(api.conn.getresponse())


def test_recorded_requests(scene, alice):
    """Of Go, Python and TypeScript, in one sequence; who fails on 204 gets {}."""
    ids = make_objects(scene, alice)
    found = {}

    def filled(text):
        for name in sorted(ids, key=len, reverse=True):
            text = text.replace(f"${name}", ids[name])
        return text

    for headers, method, target, body, status, code in RECORDED:
        answer = send(alice, headers, method, filled(target), body and filled(body))
        shown = (headers["user-agent"], method, target, answer.body)
        assert (answer.status, answer.code) == (status, code), shown
        if status == 204:
            assert answer.body is None
        if status == 200 and (method == "DELETE" or target.endswith("/stop")):
            assert answer.body == {}
        found[target] = answer.body
    assert [d["domain"] for d in found[RECORDED[2][2]]["reserved_domains"]] == ["a.customer.com"]
    for query in ("before_id=$ipp&limit=2", "beforeId=$ipp&limit=100"):
        older = found[f"/ip_policies?{query}"]
        assert [p["id"] for p in older["ip_policies"]] == [ids["other_ipp"]]
        assert older["next_page_uri"] is None
    assert found["/endpoints?id=$ep&id=$ep&url=https%3A%2F%2Fa+b"]["endpoints"] == []
