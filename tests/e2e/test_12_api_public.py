"""The management API at a public name (api.public)."""

import itertools
import json

import pytest

from lib.api import Api, new_token
from lib.gateway import Gateway
from lib.h2 import H2Conn
from lib.raw import Conn
from lib.wait import wait_until

HOST = "api.example.test"
SETTINGS = {"api": {"url": f"https://{HOST}", "public": True}, "limits": {"hold_ms": 0}}


@pytest.fixture(name="alice")
def fixture_alice(gateway):
    return new_token(gateway.revive(), "--account", "alice")


def visit(gateway, **kw):
    return Conn(gateway.https_port, HOST, tls=True, **kw)


def fields(token):
    return [("authorization", f"Bearer {token}"), ("ngrok-version", "2")]


def test_objects_are_made_shown_and_deleted(gateway, alice):
    """On many connections, so on all workers; a uri is that of the public name."""
    for n in range(12):
        with visit(gateway) as conn:
            body = json.dumps({"name": f"vault{n}"}).encode()
            made = conn.request("POST", "/vaults", [*fields(alice), (
                "content-type", "application/json")], body)
            assert made.status == 201, made
            vault = json.loads(made.body)
            assert vault["uri"] == f"https://{HOST}/vaults/{vault['id']}"
            got = conn.get(f"/vaults/{vault['id']}", fields(alice))
            assert json.loads(got.body) == vault
            gone = conn.request("DELETE", f"/vaults/{vault['id']}", fields(alice))
            assert gone.status == 204


def test_http2(gateway, alice):
    conn = H2Conn(gateway.https_port, HOST)
    streams = [conn.request("/vaults", headers=fields(alice)) for _ in range(20)]
    for stream in streams:
        response = conn.finish(stream)
        assert response.status == 200
        assert json.loads(bytes(response.body))["uri"] == f"https://{HOST}/vaults"
    conn.close()


def test_without_a_key_there_is_nothing(gateway):
    with visit(gateway) as conn:
        for path in ("/vaults", "/endpoints", "/api_keys"):
            assert conn.get(path).status == 403
        assert conn.get("/vaults", fields("x" * 49)).status == 403


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz"])
def test_what_is_for_the_operator_stays_on_the_admin_listener(gateway, alice, path):
    with visit(gateway) as conn:
        answer = conn.get(path, fields(alice))
        assert answer.status == 404, answer
        assert b"sallyport_" not in answer.body


def test_a_body_that_is_too_large_is_refused(gateway, alice):
    with visit(gateway) as conn:
        conn.send(conn.request_bytes("POST", "/vaults", [*fields(alice), (
            "content-length", str(1024 * 1024 + 1))]))
        assert conn.read_response("POST").status == 413


def test_nobody_else_gets_the_name(gateway, alice, scene):
    """Neither a session nor the API itself, whose owner is nobody's account."""
    api = scene.keep(Api(gateway, alice))
    made = api.call("POST", "/endpoints", {
        "url": f"https://{HOST}", "type": "cloud", "bindings": ["public"], "pooling_enabled": True,
        "traffic_policy": "on_http_request: [{actions: [{type: deny}]}]"})
    assert made.status == 400, made.body
    assert api.call("POST", "/reserved_domains", {"domain": HOST}).code == "ERR_NGROK_404"
    tunnel = scene.ssh(f"{HOST}:443:127.0.0.1:1", command="http --pooling-enabled", gateway=gateway)
    wait_until(lambda: "ERR_" in tunnel.describe(), tunnel.describe)
    assert api.call("GET", "/endpoints")["endpoints"] == []


def test_requests_that_stand_still_lock_nobody_else_out(gateway, alice):
    """As many as may be: one more is refused, the admin listener serves on; when they go, others may come."""
    def status():
        with visit(gateway) as conn:
            return conn.get("/vaults", fields(alice)).status

    def is_full():
        """Some more come each time, since those that stand still for too long are ended."""
        for _ in range(32):
            next(conns).request("/vaults", "POST", [("content-length", "10")], end=False)
        return status() == 503

    slow = [H2Conn(gateway.https_port, HOST) for _ in range(8)]
    conns = itertools.cycle(slow)
    wait_until(is_full, "as many as may be", 60)
    api = Api(gateway, alice)
    assert api.call("GET", "/vaults").status == 200
    api.close()
    for conn in slow:
        conn.close()
    wait_until(lambda: status() == 200, "room again")


def test_a_name_that_the_operator_gave_away_stops_the_start(scene, tmp_path):
    (tmp_path / "g").mkdir()
    gateway = Gateway(tmp_path / "g", scene.keys, {
        **SETTINGS, "domains": ({"name": HOST, "account": "alice"},)})
    with pytest.raises(AssertionError, match=f"api.public: .*{HOST}"):
        gateway.start()
    assert gateway.process.wait_exit() == 1
