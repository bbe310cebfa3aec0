"""The management API over HTTP: curl, published clients, keys made on the machine, restarts."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import threading

import pytest

from lib.api import Api, apikey, new_token

SETTINGS = {
    "api": {"origins": ["https://console.example.test"]},
    "limits": {"api_requests_per_minute": 0},
}


@pytest.fixture(name="alice")
def fixture_alice(gateway):
    api = Api(gateway, new_token(gateway.revive(), "--account", "alice"))
    yield api
    api.close()


@pytest.fixture(name="admin")
def fixture_admin(gateway):
    api = Api(gateway, new_token(gateway.revive()))
    yield api
    api.close()


def curl(*args):
    done = subprocess.run(["curl", "-s", "-i", "--max-time", "20", *args], capture_output=True,
                          timeout=30, check=True)
    head, _, body = done.stdout.decode().rpartition("\r\n\r\n")
    return head, json.loads(body) if body else None


def again(gateway):
    """Starts a gateway that has ended, on new ports."""
    gateway.log.clear()
    gateway.noise.clear()
    return gateway.start()


# ---- keys ----


def test_apikey_create_prints_a_token_that_works_at_once(gateway):
    """While the gateway runs, for an account and for an administrator."""
    done = apikey(gateway, "--description", "my \"first\" key")
    assert done.returncode == 0 and done.stderr == ""
    assert len(done.stdout) == 27 + 1 + 21 + 1
    api = Api(gateway, done.stdout.strip())
    keys = api.call("GET", "/api_keys")["keys"]
    assert keys[0]["description"] == "my \"first\" key"
    assert keys[0]["token"] is None
    alice = Api(gateway, new_token(gateway, "--account", "alice"))
    assert all(k["owner_id"] != keys[0]["owner_id"] for k in alice.call("GET", "/api_keys")["keys"])


def test_apikey_create_without_a_running_gateway(scene):
    """It writes the database itself, also before the first start; the keys outlive restarts."""
    gateway = scene.start_gateway()
    assert gateway.terminate() == 0
    token = new_token(gateway, "--account", "alice")
    again(gateway)
    api = Api(gateway, token)
    vault = api.create("/vaults", name="v")
    assert gateway.terminate() == 0
    again(gateway)
    assert Api(gateway, token).call("GET", f"/vaults/{vault['id']}").body["name"] == "v"


@pytest.mark.parametrize("options, text", [
    (["--account", "a b"], "letters"),
    (["--description", "x" * 256], "255"),
])
def test_apikey_create_refuses(gateway, options, text):
    """Bad options end with status 1 and a message."""
    done = apikey(gateway, *options)
    assert done.returncode == 1 and text in done.stderr and done.stdout == ""


def test_apikey_usage(gateway):
    """Unknown options end with status 2."""
    assert apikey(gateway, "--nope", "x").returncode == 2


# ---- HTTP ----


def test_curl_creates_with_100_continue_and_chunks(gateway, alice):
    """curl with Expect: 100-continue, and with a chunked body."""
    fields = ["-H", f"Authorization: Bearer {alice.token}", "-H", "ngrok-version: 2",
              "-H", "Content-Type: application/json"]
    for more in (["-H", "Expect: 100-continue"], ["-H", "Transfer-Encoding: chunked"]):
        head, body = curl(*fields, *more, "-d", '{"description":"by curl"}',
                          f"{alice.base}/ip_policies")
        assert "201 Created" in head and body["description"] == "by curl"
        assert body["uri"] == f"{alice.base}/ip_policies/{body['id']}"
    head, body = curl("-u", f"{alice.token}:", *fields[2:], f"{alice.base}/ip_policies")
    assert "200 OK" in head and body["ip_policies"]


def test_every_answer_has_what_clients_need(alice):
    """Operation ids, types, no-store; errors are JSON with string details."""
    for method, path, body, status in [
            ("GET", "/vaults", None, 200), ("GET", "/nothing", None, 404),
            ("GET", "/vaults/x", None, 404), ("POST", "/vaults", "{", 400),
            ("PUT", "/vaults", "{}", 404), ("GET", "/edges", None, 501)]:
        answer = alice.call(method, path, body)
        assert answer.status == status
        assert answer.headers["ngrok-operation-id"].startswith("op_")
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        if status >= 400:
            assert answer["status_code"] == status and answer["msg"]
            assert answer["details"]["operation_id"] == answer.headers["ngrok-operation-id"]
            assert all(isinstance(v, str) for v in answer["details"].values())


@pytest.mark.parametrize("fields, status, code", [
    ({"authorization": None}, 403, "ERR_NGROK_200"),
    ({"authorization": "Nope x"}, 403, "ERR_NGROK_201"),
    ({"authorization": "Bearer x"}, 403, "ERR_NGROK_202"),
    ({"authorization": "Bearer 3AZoZ4wS9c9ndUeJjAVDBFkUDFn_5CLDUdvdr0UwfMpf5rg7w"}, 403,
     "ERR_NGROK_203"),
    ({"authorization": "Bearer ak_3AZoZ4wS9c9ndUeJjAVDBFkUDFn"}, 400, "ERR_NGROK_208"),
    ({"ngrok_version": None}, 400, "ERR_NGROK_218"),
    ({"ngrok_version": "3"}, 400, "ERR_NGROK_217"),
    ({"content_type": "text/plain"}, 415, "ERR_NGROK_210"),
    ({"content_type": None}, 415, "ERR_NGROK_216"),
])
def test_request_checks(alice, fields, status, code):
    """Each header of section 1.2."""
    answer = alice.call("POST", "/ip_policies", "{}", **fields)
    assert (answer.status, answer.code) == (status, code)


def test_bodies_above_1_mib_are_413(alice):
    """Announced and chunked; one that just fits is read."""
    assert alice.call("POST", "/ip_policies", "x" * (1024 * 1024)).code == "ERR_NGROK_213"
    answer = alice.call("POST", "/ip_policies", content_length=str(1024 * 1024 + 1))
    assert (answer.status, answer.code) == (413, "ERR_SALLYPORT_4")
    alice.close()
    pieces = (b"x" * 65536 for _ in range(17))
    try:
        answer = alice.call("POST", "/ip_policies", b"".join(pieces), transfer_encoding="chunked")
    except (BrokenPipeError, ConnectionResetError):
        return  # it said so before everything was sent
    assert answer.status in (400, 413)


def test_pipelined_requests_are_answered_in_order(gateway, alice):
    """Several in one write, a body among them."""
    fields = f"Host: x\r\nAuthorization: Bearer {alice.token}\r\nngrok-version: 2\r\n"
    body = '{"description":"piped"}'
    text = (f"GET /healthz HTTP/1.1\r\n{fields}\r\n"
            f"POST /ip_policies HTTP/1.1\r\n{fields}Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
            f"GET /ip_policies?limit=1 HTTP/1.1\r\n{fields}Connection: close\r\n\r\n")
    with socket.create_connection(("127.0.0.1", gateway.admin_port), 20) as s:
        s.sendall(text.encode())
        data = b""
        while piece := s.recv(65536):
            data += piece
    assert re.findall(rb"HTTP/1.1 (\d+)", data) == [b"200", b"201", b"200"]
    assert b"\r\n\r\nok\n" in data
    assert data.count(b"piped") == 2


def test_malformed_http_is_a_json_error(gateway):
    """What is no HTTP request gets 400 in JSON."""
    with socket.create_connection(("127.0.0.1", gateway.admin_port), 20) as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n")
        data = b""
        while piece := s.recv(65536):
            data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    answer = json.loads(body)
    assert head.startswith(b"HTTP/1.1 400")
    assert (answer["status_code"], answer["error_code"]) == (400, "ERR_NGROK_212")


def test_cors_is_for_listed_origins(alice):
    """Preflights and answers; other origins get nothing of it."""
    ask = {"authorization": None, "ngrok_version": None,
           "access_control_request_method": "POST", "access_control_request_headers": "x, y"}
    answer = alice.call("OPTIONS", "/vaults", origin="https://console.example.test", **ask)
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == "https://console.example.test"
    assert answer.headers["access-control-allow-methods"] == "POST, GET"
    assert answer.headers["access-control-allow-headers"] == "x, y"
    answer = alice.call("GET", "/vaults", origin="https://console.example.test")
    assert answer.headers["access-control-allow-origin"] == "https://console.example.test"
    answer = alice.call("GET", "/vaults", origin="https://evil.example")
    assert "access-control-allow-origin" not in answer.headers
    assert alice.call("OPTIONS", "/vaults", origin="https://evil.example", **ask).status == 403


def test_openapi_is_served_to_all_and_true(alice):
    """Every path of it answers; nothing of it is a 404 route."""
    answer = alice.call("GET", "/openapi.json", authorization=None, ngrok_version=None)
    assert answer.status == 200 and answer["openapi"].startswith("3.")
    for path, methods in answer["paths"].items():
        if "get" in methods:
            got = alice.call("GET", path.replace("{id}", "x"))
            assert got.status == 200 or got.code == "ERR_NGROK_222", (path, got.body)


def test_clients_on_two_workers_see_each_others_writes(alice, admin):
    """What one connection was told is done, the next one sees; 4 at once make 200 vaults."""
    problems = []

    def make(n):
        api = Api(alice_gateway, alice.token)
        for i in range(50):
            made = api.create("/vaults", name=f"t{n}-{i}")
            if admin_sees(made["id"]) != 200:
                problems.append(made)
        api.close()

    lock = threading.Lock()

    def admin_sees(vault):
        with lock:
            return admin.call("GET", f"/vaults/{vault}").status

    alice_gateway = type("Port", (), {"admin_port": int(alice.base.rsplit(":", 1)[1])})
    threads = [threading.Thread(target=make, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not problems
    names = set()
    target = "/vaults?limit=100"
    while target:
        page = alice.call("GET", target).body
        names |= {v["name"] for v in page["vaults"]}
        target = (page["next_page_uri"] or "").removeprefix(alice.base)
    assert {f"t{n}-{i}" for n in range(4) for i in range(50)} <= names


def test_a_name_is_given_once_to_callers_at_the_same_time(gateway, alice):
    """8 callers want the same name 20 times: one gets it each time."""
    apis = [Api(gateway, alice.token) for _ in range(8)]
    for round_ in range(20):
        answers = []
        threads = [threading.Thread(target=lambda api=api: answers.append(
            api.call("POST", "/vaults", {"name": f"race{round_}"}))) for api in apis]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert sorted(a.status for a in answers) == [201] + [400] * 7
        assert {a.code for a in answers if a.status == 400} == {"ERR_NGROK_23004"}
    for api in apis:
        api.close()


# ---- the database ----


def test_what_was_acknowledged_survives_kill_9(scene):
    """Writers run, the gateway is killed; all that was answered 201 is there after a restart."""
    gateway = scene.start_gateway({"limits": {"api_requests_per_minute": 0}})
    token = new_token(gateway, "--account", "alice")
    made = []

    def write(n):
        api = Api(gateway, token)
        try:
            for i in range(10000):
                made.append(api.create("/vaults", name=f"w{n}-{i}")["id"])
        except (OSError, http.client.HTTPException, ValueError):
            return  # it was killed

    threads = [threading.Thread(target=write, args=(n,)) for n in range(3)]
    for t in threads:
        t.start()
    while len(made) < 200:
        assert any(t.is_alive() for t in threads)
    os.kill(gateway.pid, signal.SIGKILL)
    for t in threads:
        t.join()
    gateway.process.wait_exit()
    again(gateway)
    api = Api(gateway, token)
    for vault in made:
        assert api.call("GET", f"/vaults/{vault}").status == 200
    api.close()


def test_a_damaged_database_ends_the_start_with_a_reason(scene):
    """No start with somebody else's bytes in place of the database."""
    gateway = scene.start_gateway()
    assert gateway.terminate() == 0
    (gateway.state / "sallyport.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(AssertionError, match="sallyport.db"):
        again(gateway)
    gateway.process = None


def test_secrets_are_not_readable_in_the_state_dir(gateway, alice):
    """Neither values nor tokens stand in any file."""
    alice.create("/vaults", name="hidden")
    alice.create("/vault_secrets", name="s", value="a-very-secret-value", vault_name="hidden")
    for path in gateway.state.iterdir():
        if path.is_file():
            data = path.read_bytes()
            assert b"a-very-secret-value" not in data
            assert alice.token.split("_")[1].encode() not in data
