"""Cloud endpoints, and what sessions hold, through the management API."""

import os
import re
import signal
import threading

import pytest

from lib.api import Api, new_token
from lib.policy import stdin_of
from lib.wait import wait_until

SETTINGS = {"limits": {"api_requests_per_minute": 0}}


@pytest.fixture(name="alice")
def fixture_alice(gateway):
    api = Api(gateway, new_token(gateway.revive(), "--account", "alice"))
    yield api
    for ep in api.call("GET", "/endpoints")["endpoints"]:
        if ep["type"] == "cloud":
            assert api.call("DELETE", f"/endpoints/{ep['id']}").status == 204
    api.close()


@pytest.fixture(name="bob")
def fixture_bob(gateway):
    api = Api(gateway, new_token(gateway.revive(), "--account", "bob"))
    yield api
    api.close()


def answers(text, status=200):
    return ("on_http_request: [{actions: [{type: custom-response, config: "
            f"{{status_code: {status}, body: '{text}'}}}}]}}]")


def make(api, scene, text="hello", **more):
    host = more.pop("host", f"{scene.name()}.example.test")
    return api.create("/endpoints", **{"url": f"https://{host}", "traffic_policy": answers(text),
                                       **more})


def get(scene, endpoint, target="/"):
    return scene.https(endpoint["host"]).get(target)


# ---- cloud endpoints ----


def test_is_live_when_it_was_made(scene, alice):
    """Without any ssh client, on every worker; gone when it was deleted."""
    ep = make(alice, scene, "made here", description="d", metadata="m")
    assert (ep["type"], ep["proto"], ep["port"], ep["bindings"]) == ("cloud", "https", 443, ["public"])
    assert ep["hostport"] == f"{ep['host']}:443" and ep["public_url"] == ep["url"]
    assert ep["tunnel"] is None and ep["tunnel_session"] is None and ep["upstream_url"] == ""
    for _ in range(8):
        response = get(scene, ep)
        assert (response.status, response.text) == (200, "made here")
    assert alice.call("GET", f"/endpoints/{ep['id']}").body == ep
    assert alice.call("DELETE", f"/endpoints/{ep['id']}").status == 204
    assert get(scene, ep).error_code == "ERR_SALLYPORT_3200"
    assert alice.call("GET", f"/endpoints/{ep['id']}").status == 404


def test_an_update_is_seen_by_the_next_request(scene, alice):
    ep = make(alice, scene, "one")
    conn = scene.https(ep["host"])
    assert conn.get("/").text == "one"
    changed = alice.call("PATCH", f"/endpoints/{ep['id']}", {"traffic_policy": answers("two")})
    assert changed.status == 200 and changed["traffic_policy"] == answers("two")
    assert conn.get("/").text == "two"
    assert scene.https(ep["host"]).get("/").text == "two"


def test_updates_lose_no_request(scene, alice):
    """Requests all the while: each gets one version or the next, and no error."""
    ep = make(alice, scene, "0")
    bad, over = [], threading.Event()

    def visit():
        conn = scene.https(ep["host"])
        while not over.is_set():
            response = conn.get("/")
            if response.status != 200 or not response.text.isdigit():
                bad.append(response)
    visitors = [threading.Thread(target=visit) for _ in range(4)]
    for v in visitors:
        v.start()
    for i in range(1, 60):
        body = {"traffic_policy": answers(str(i)), "pooling_enabled": i % 3 == 0}
        assert alice.call("PATCH", f"/endpoints/{ep['id']}", body).status == 200
    over.set()
    for v in visitors:
        v.join()
    assert not bad, bad[:3]


def test_another_address(scene, alice):
    """The new address serves and the old one does not."""
    ep = make(alice, scene)
    host = f"{scene.name()}.example.test"
    moved = alice.call("PATCH", f"/endpoints/{ep['id']}", {"url": f"https://{host}"})
    assert moved.status == 200 and moved["host"] == host
    assert scene.https(host).get("/").status == 200
    assert get(scene, ep).status == 404


def test_what_the_policy_lets_pass(scene, alice):
    """A redirect that does not match leaves nothing to answer with."""
    policy = ("on_http_request: [{actions: [{type: redirect, config: "
              "{from: '/old(.*)', to: '/new$1'}}]}]")
    host = f"{scene.name()}.example.test"
    ep = alice.create("/endpoints", url=f"https://{host}", traffic_policy=policy)
    assert get(scene, ep, "/old/x").status in (302, 307)
    response = get(scene, ep, "/other")
    assert (response.status, response.error_code) == (500, "ERR_SALLYPORT_6029")


def counted(gateway):
    """What the metrics say of cloud endpoints, of all kinds together."""
    found = re.findall(r'^sallyport_endpoints_online\{type="cloud",.*\} (\S+)$',
                       gateway.admin("/metrics"), re.M)
    return sum(float(n) for n in found)


def test_restart_brings_them_back(scene):
    gateway = scene.start_gateway()
    api = Api(gateway, new_token(gateway, "--account", "alice"))
    endpoints = [make(api, scene, f"n{i}") for i in range(20)]
    os.kill(gateway.pid, signal.SIGKILL)
    gateway.process.wait_exit(10)
    gateway.log.clear()
    gateway.noise.clear()
    gateway.start()
    for i, ep in enumerate(endpoints):
        assert get(scene, ep).text == f"n{i}"
    api = Api(gateway, api.token)
    assert len(api.call("GET", "/endpoints")["endpoints"]) == 20
    assert counted(gateway) == 20
    for ep in endpoints:
        assert api.call("DELETE", f"/endpoints/{ep['id']}").status == 204
    assert counted(gateway) == 0


REFUSED = [
    ({"url": "x.example.test"}, "ERR_NGROK_18022", "scheme"),
    ({"url": "https://"}, "ERR_NGROK_18001", "name"),
    ({"url": "https://x.example.test:444"}, "ERR_NGROK_18023", "443"),
    ({"url": "tcp://x.internal"}, "ERR_NGROK_18003", "port"),
    ({"url": "ftp://x.example.test"}, "ERR_NGROK_18022", "http"),
    ({"url": "https://x.example.test/path"}, "ERR_NGROK_18001", "path"),
    ({"url": ""}, "ERR_NGROK_18015", "url"),
    ({"traffic_policy": ""}, "ERR_NGROK_18011", "policy"),
    ({"traffic_policy": "on_http_request: [{actions: [{type: add-headers, config: {headers: {a: b}}}]}]"}, "ERR_NGROK_18002",
     "does not handle all"),
    ({"traffic_policy": "on_http_request: [{actions: [{type: nope}]}]"}, "ERR_NGROK_18002", "nope"),
    ({"bindings": ["kubernetes"]}, "ERR_NGROK_18007", "bindings"),
    ({"bindings": ["public", "internal"]}, "ERR_NGROK_18007", "bindings"),
    ({"type": "ephemeral"}, "ERR_NGROK_248", "cloud"),
    ({"description": "x" * 256}, "ERR_NGROK_18012", "description"),
    ({"metadata": "x" * 4097}, "ERR_NGROK_18013", "metadata"),
    ({"nope": 1}, "ERR_NGROK_214", "nope"),
]


@pytest.mark.parametrize("change, code, text", REFUSED)
def test_refused(scene, alice, change, code, text):
    """Nothing of it is live afterwards."""
    host = f"{scene.name()}.example.test"
    body = {"url": f"https://{host}", "traffic_policy": answers("x")} | change
    answer = alice.call("POST", "/endpoints", body)
    assert (answer.status, answer.code) == (400, code), answer.body
    assert text in answer["msg"]
    assert scene.https(host).get("/").status == 404


def test_sharing_an_address(scene, alice, bob):
    """Pools of cloud endpoints and of sessions; the same codes as upstream's."""
    host = f"{scene.name()}.example.test"
    first = make(alice, scene, "cloud", host=host)
    body = {"url": f"https://{host}", "traffic_policy": answers("b")}
    assert alice.call("POST", "/endpoints", body).code == "ERR_NGROK_18009"
    assert alice.call("POST", "/endpoints", body | {"pooling_enabled": True}).code == "ERR_NGROK_18016"
    taken = bob.call("POST", "/endpoints", body)
    assert (taken.code, first["id"] in taken["msg"]) == ("ERR_NGROK_18006", False)
    assert alice.call("PATCH", f"/endpoints/{first['id']}", {"pooling_enabled": True}).status == 200
    tunnel = scene.tunnel_to(host, scene.app(), "--pooling-enabled")
    assert {scene.get(tunnel).status for _ in range(40)} == {200}
    assert alice.call("POST", "/endpoints", body).code == "ERR_NGROK_18017"
    answer = alice.call("PATCH", f"/endpoints/{first['id']}", {"pooling_enabled": False})
    assert answer.code == "ERR_NGROK_18017"
    tunnel.stop()
    wait_until(lambda: alice.call("PATCH", f"/endpoints/{first['id']}",
                                  {"pooling_enabled": False}).status == 200, "the address is free")


def test_an_ssh_client_cannot_take_it(scene, alice):
    ep = make(alice, scene)
    ssh = scene.ssh(f"{ep['host']}:443:127.0.0.1:1")
    assert ssh.wait_exit(10) == 1
    ssh.wait_err("ERR_SALLYPORT_334")
    assert get(scene, ep).status == 200


def test_accounts_do_not_see_each_other(scene, alice, bob):
    ep = make(alice, scene)
    path = f"/endpoints/{ep['id']}"
    for method, body in [("GET", None), ("PATCH", {"description": "x"}), ("DELETE", None)]:
        assert bob.call(method, path, body).status == 404
    assert all(e["id"] != ep["id"] for e in bob.call("GET", "/endpoints")["endpoints"])
    assert get(scene, ep).status == 200


# ---- what sessions hold ----


def test_sessions_and_their_endpoints(scene, alice, bob):
    """In all three lists, under related ids, for their account only; gone when it ends."""
    tunnel = scene.tunnel(scene.app(), flags="--name shop --metadata m1 --description d1")
    found = alice.call("GET", "/endpoints?url=" + f"https://{tunnel.host}")["endpoints"]
    assert len(found) == 1, (tunnel.url, alice.call("GET", "/endpoints").body)
    ep = found[0]
    assert (ep["type"], ep["name"], ep["metadata"], ep["description"]) == ("ephemeral", "shop", "m1", "d1")
    live = alice.call("GET", f"/tunnels/{ep['tunnel']['id']}").body
    assert live["id"][3:] == ep["id"][3:] and live["endpoint"]["id"] == ep["id"]
    session = alice.call("GET", f"/tunnel_sessions/{live['tunnel_session']['id']}").body
    assert session["transport"] == "ssh" and session["ip"] == "127.0.0.1"
    assert "OpenSSH" in session["agent_version"]
    assert alice.call("GET", f"/endpoints/{ep['id']}").body == ep
    by_type = alice.call("GET", "/endpoints?filter=" + "obj.type%20%3D%3D%20%22agent%22")
    assert ep["id"] in [e["id"] for e in by_type["endpoints"]]
    for path in (f"/endpoints/{ep['id']}", f"/tunnels/{live['id']}",
                 f"/tunnel_sessions/{session['id']}"):
        assert bob.call("GET", path).status == 404
    assert ep["traffic_policy"] == ""
    assert alice.call("PATCH", f"/endpoints/{ep['id']}", {"description": "x"}).code == "ERR_SALLYPORT_1"
    assert alice.call("DELETE", f"/endpoints/{ep['id']}").code == "ERR_SALLYPORT_1"
    tunnel.stop()
    wait_until(lambda: alice.call("GET", f"/endpoints/{ep['id']}").status == 404, "it is gone")


POLICY = """\
on_http_request:   # a comment, which stays
  - actions: [{type: add-headers, config: {headers: {x-by: policy}}}]
"""


def test_policy_of_a_session_is_shown_as_it_was_given(scene, alice, bob):
    """To its account only, by standard input or by the flag; what other flags ask for is not in it."""
    name = f"{scene.name()}.example.test"
    app = scene.app()
    flags = "--basic-auth user:hidden-word --traffic-policy"
    sessions = [
        scene.ssh(f"{name}:443:127.0.0.1:{app.port}", f"{name}:80:127.0.0.1:{app.port}",
                  command=f"http {flags}-file -", stdin=stdin_of(POLICY)),
        scene.ssh(f"x{name}:443:127.0.0.1:{app.port}",
                  command=f"http {flags} '{POLICY.splitlines()[0][:16]} []'")]
    sessions[0].urls(2)
    sessions[1].urls(1)
    shown = {e["url"]: e for e in alice.call("GET", "/endpoints")["endpoints"]}
    assert shown[f"https://{name}"]["traffic_policy"] == POLICY
    assert shown[f"http://{name}"]["traffic_policy"] == POLICY
    assert shown[f"https://x{name}"]["traffic_policy"] == "on_http_request: []"
    one = alice.call("GET", f"/endpoints/{shown[f'https://{name}']['id']}")
    assert one["traffic_policy"] == POLICY
    assert "hidden-word" not in str(shown)
    assert POLICY not in [e["traffic_policy"] for e in bob.call("GET", "/endpoints")["endpoints"]]
    assert bob.call("GET", f"/endpoints/{one['id']}").status == 404
    for ssh in sessions:
        ssh.stop()


def test_long_policies_of_sessions_are_shown_whole(scene, alice):
    """Ten endpoints of one command have one text."""
    names = [f"{scene.name()}.example.test" for _ in range(10)]
    app = scene.app()
    policy = "# " + "x" * 200_000 + "\n" + POLICY
    ssh = scene.ssh(*(f"{n}:443:127.0.0.1:{app.port}" for n in names),
                    command="http --traffic-policy-file -", stdin=stdin_of(policy))
    ssh.urls(len(names))
    shown = {e["url"]: e for e in alice.call("GET", "/endpoints?limit=100")["endpoints"]}
    assert all(shown[f"https://{n}"]["traffic_policy"] == policy for n in names)
    ssh.stop()


def test_stop_ends_a_session(scene, alice, bob):
    """Its names are free when the answer comes, and its user is told."""
    tunnel = scene.tunnel(scene.app())
    sessions = alice.call("GET", "/tunnel_sessions")["tunnel_sessions"]
    tunnels = alice.call("GET", "/tunnels")["tunnels"]
    mine = next(t for t in tunnels if tunnel.host in t["public_url"])
    path = f"/tunnel_sessions/{mine['tunnel_session']['id']}"
    assert mine["tunnel_session"]["id"] in [s["id"] for s in sessions]
    assert bob.call("POST", path + "/stop").status == 404
    assert alice.call("POST", path + "/restart").code == "ERR_NGROK_1122"
    assert alice.call("POST", path + "/update").code == "ERR_NGROK_1121"
    assert scene.get(tunnel).status == 200
    stopped = alice.call("POST", path + "/stop")
    assert stopped.status == 204, stopped.body
    assert alice.call("GET", path).status == 404
    assert scene.get(tunnel).status == 404
    tunnel.wait_err("stopped by its account")
    assert tunnel.wait_exit(10) != 0


def test_pages_have_both_kinds(scene, alice):
    """Each once, newest first, over pages of two."""
    want = {make(alice, scene)["id"] for _ in range(3)}
    tunnels = [scene.tunnel(scene.app()) for _ in range(2)]
    seen, path = [], "/endpoints?limit=2"
    while path:
        answer = alice.call("GET", path)
        page = answer["endpoints"]
        assert 1 <= len(page) <= 2
        seen += [e["id"] for e in page]
        path = answer["next_page_uri"] and answer["next_page_uri"].replace(alice.base, "")
    assert seen == sorted(seen, reverse=True) and len(set(seen)) == len(seen)
    assert want <= set(seen) and len(seen) >= 5
    assert all(t.host for t in tunnels)
