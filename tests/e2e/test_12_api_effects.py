"""What the management API changes takes effect before its answer: keys, secrets, IP policies, events."""

import json
import resource
import subprocess

import pytest

from lib.api import Api, new_token
from lib.collector import read_lines
from lib.gateway import DOMAIN, WORKERS
from lib.policy import Guarded, answer_with, on_request
from lib.ssh_api import SshApi
from lib.wait import wait_until

SETTINGS = {"limits": {"api_requests_per_minute": 0}}


@pytest.fixture(name="alice")
def fixture_alice(scene):
    return caller(scene, "alice")


@pytest.fixture(name="bob")
def fixture_bob(scene):
    return caller(scene, "bob")


def caller(scene, account):
    return scene.keep(Api(scene.gateway, new_token(scene.gateway, "--account", account)))


def fresh_key(scene):
    """One that no file of the gateway has."""
    return scene.keys.get(f"stored-{scene.name()}")


def register(api, key, **fields):
    return api.create("/ssh_credentials", public_key=key.public, **fields)["id"]


def delete(api, path):
    answer = api.call("DELETE", path)
    assert answer.status == 204, answer.body


def can_log_in(scene, key):
    """Does the gateway take this key? Asks for one line that needs no right."""
    done = SshApi(scene.gateway, key).run("api vaults list")
    return done.status == 0


def restart(gateway):
    assert gateway.terminate() == 0
    gateway.log.clear()
    gateway.noise.clear()
    gateway.start()


# ---- keys ----


def test_a_key_logs_in_at_once_and_is_gone_at_once(alice, scene):
    """On every worker: each of many new connections finds it, or no longer finds it."""
    key = fresh_key(scene)
    assert not can_log_in(scene, key)
    credential = register(alice, key)
    assert all(can_log_in(scene, key) for _ in range(2 * WORKERS))
    tunnel = scene.plain(scene.app(), key=key)
    mark = scene.gateway.mark()
    with scene.http(tunnel) as conn:
        assert conn.get("/hello").status == 200
    delete(alice, f"/ssh_credentials/{credential}")
    tunnel.wait_exit()
    assert any("removed from this gateway" in line for line in tunnel.err), tunnel.describe()
    scene.gateway.wait_down(tunnel.host, mark)
    with scene.http(tunnel) as conn:
        assert conn.get("/hello").status == 404
    assert not any(can_log_in(scene, key) for _ in range(2 * WORKERS))


def test_other_sessions_stay_when_a_key_goes(alice, scene):
    key, other = fresh_key(scene), fresh_key(scene)
    credential = register(alice, key)
    register(alice, other)
    app = scene.app()
    tunnels = [scene.plain(app, key=k) for k in (key, other, "alice")]
    delete(alice, f"/ssh_credentials/{credential}")
    tunnels[0].wait_exit()
    for tunnel in tunnels[1:]:
        with scene.http(tunnel) as conn:
            assert conn.get("/hello").status == 200


def test_a_change_of_rules_counts_for_new_forwards(alice, scene):
    """What is online stays; what comes next is checked by the new rules."""
    key = fresh_key(scene)
    old, new = scene.name(), scene.name()
    credential = register(alice, key, acl=[f"bind:{old}.{DOMAIN}"])
    tunnel = scene.plain(scene.app(), name=old, key=key)
    refused = scene.ssh(f"{new}.{DOMAIN}:80:127.0.0.1:1", key=key)
    assert refused.wait_exit(10) != 0
    answer = alice.call("PATCH", f"/ssh_credentials/{credential}",
                        {"acl": [f"bind:{new}.{DOMAIN}"]})
    assert answer.status == 200
    with scene.http(tunnel) as conn:
        assert conn.get("/hello").status == 200
    scene.plain(scene.app(), name=new, key=key)
    tunnel.stop()
    refused = scene.ssh(f"{old}.{DOMAIN}:80:127.0.0.1:1", key=key)
    assert refused.wait_exit(10) != 0
    assert any(f"may not bind '{old}.{DOMAIN}'" in line for line in refused.err), refused.err


def test_a_rule_for_everything_restricts_nothing(alice, scene):
    key = fresh_key(scene)
    register(alice, key, acl=["*", "bind:only.example.test"])
    scene.plain(scene.app(), key=key)


def test_a_key_is_one_of_its_account(alice, bob, scene):
    """It sees what its account has, and its calls say which key it was."""
    key = fresh_key(scene)
    credential = register(bob, key)
    vault = bob.create("/vaults", name=scene.name())["id"]
    over_ssh = SshApi(scene.gateway, key)
    assert over_ssh.ok(f"api vaults get {vault}")["id"] == vault
    mine = alice.create("/vaults", name=scene.name())["id"]
    assert over_ssh.run(f"api vaults get {mine}").status != 0
    delete(bob, f"/ssh_credentials/{credential}")


def test_a_key_of_a_file_counts_before_one_of_the_store(bob, scene):
    """Alice's key, registered by bob, stays alice's; that is said, and deleting it harms nobody."""
    scene.start_gateway(SETTINGS)
    api = caller(scene, "bob")
    mark = scene.gateway.mark()
    credential = register(api, scene.keys.alice)
    entry = scene.gateway.wait_log(lambda e: e["event"] == "ssh_credential.unused", mark)
    assert entry["id"] == credential and entry["account"] == "bob"
    tunnel = scene.plain(scene.app())
    api.create("/vaults", name="of-bob")
    listed = SshApi(scene.gateway, scene.keys.alice).ok("api vaults list")
    assert listed["vaults"] == []
    delete(api, f"/ssh_credentials/{credential}")
    with scene.http(tunnel) as conn:
        assert conn.get("/hello").status == 200
    assert len(scene.gateway.entries(mark, "ssh_credential.unused")) == 1


def test_a_key_that_leaves_the_files_is_that_of_the_store(scene):
    """The same key in both: when the file loses it, it belongs to the account of the store."""
    gateway = scene.start_gateway(SETTINGS)
    api = caller(scene, "bob")
    register(api, scene.keys.alice)
    mark = gateway.mark()
    gateway.authorize(scene.keys.bob.line('account="bob"'))
    gateway.reload()
    gateway.wait_log(lambda e: e["event"].startswith("reload."), mark)
    vault = api.create("/vaults", name="of-bob")["id"]
    mine = SshApi(gateway, scene.keys.alice)
    wait_until(lambda: mine.run(f"api vaults get {vault}").status == 0, "the key of the store")


def test_effects_outlive_a_restart(scene):
    """Keys, secrets and IP policies are there when the gateway starts, and a reload keeps them."""
    gateway = scene.start_gateway(SETTINGS)
    api = caller(scene, "alice")
    key = fresh_key(scene)
    register(api, key)
    make_secret(api, "team", "key", "kept value")
    policy = make_ip_policy(api, allow=["127.0.0.0/8"])
    restart(gateway)
    assert guarded_secret(scene, key=key).request("/x?key").text == "kept value"
    assert guarded_ips(scene, policy).request("/hello").status == 200
    gateway.change()
    assert can_log_in(scene, key)
    assert guarded_secret(scene, key=key).request("/x?key").text == "kept value"


# ---- secrets ----


def make_secret(api, vault, name, value):
    api.create("/vaults", name=vault)
    return api.create("/vault_secrets", vault_name=vault, name=name, value=value)["id"]


def guarded_secret(scene, vault="team", **kw):
    """Answers with the secret whose name is the query."""
    return Guarded(scene, answer_with(f"secrets.get('{vault}', req.url.query)"), **kw)


def test_a_secret_is_used_and_its_next_value_too(alice, scene):
    vault = scene.name()
    secret = make_secret(alice, vault, "key", "first value")
    g = Guarded(scene, on_request(("add-headers", {
        "headers": {"x-key": f"${{secrets.get('{vault}', 'key')}}"}})))
    assert g.echo().header("x-key") == "first value"
    for i in range(2 * WORKERS):
        answer = alice.call("PATCH", f"/vault_secrets/{secret}", {"value": f"value {i}"})
        assert answer.status == 200
        assert g.echo().header("x-key") == f"value {i}"
    delete(alice, f"/vault_secrets/{secret}")
    assert g.request().status == 500
    for entry in scene.gateway.log:
        assert "first value" not in json.dumps(entry)


def test_a_secret_is_a_password(alice, scene):
    vault = scene.name()
    secret = make_secret(alice, vault, "password", "the first password")
    g = Guarded(scene, on_request(("basic-auth", {
        "credentials": [f"ann:${{secrets.get('{vault}', 'password')}}"]})))

    def status(password):
        return scene.curl(g.url + "/hello", "-k", "-o", "/dev/null", "-w", "%{http_code}", "-u",
                          f"ann:{password}", "--connect-to",
                          f"{g.host}:443:127.0.0.1:{scene.gateway.https_port}")[1]

    assert status("the first password") == b"200"
    alice.call("PATCH", f"/vault_secrets/{secret}", {"value": "the other password"})
    assert [status("the first password"), status("the other password")] == [b"401", b"200"]


def test_names_of_secrets_have_slashes_and_vaults_new_names(alice, scene):
    """Vault "a/b" with secret "c" is not vault "a" with secret "b/c"."""
    name = scene.name()
    make_secret(alice, f"{name}/b", "c", "one")
    make_secret(alice, name, "b/c", "two")
    g = guarded_secret(scene, f"{name}/b")
    assert g.request("/x?c").text == "one"
    h = guarded_secret(scene, name)
    assert h.request("/x?b/c").text == "two"
    vault = alice.call("GET", "/vaults").body["vaults"]
    vault = next(v["id"] for v in vault if v["name"] == name)
    alice.call("PATCH", f"/vaults/{vault}", {"name": f"{name}-new"})
    assert h.request("/x?b/c").status == 500
    assert guarded_secret(scene, f"{name}-new").request("/x?b/c").text == "two"


def test_a_secret_is_for_its_account_only(alice, bob, scene):
    vault = scene.name()
    make_secret(bob, vault, "key", "not for alice")
    with pytest.raises(AssertionError, match="ERR_SALLYPORT_2224"):
        Guarded(scene, answer_with(f"secrets.get('{vault}', 'key')"))
    answer = guarded_secret(scene, vault).request("/x?key")
    assert answer.status == 500 and "not for" not in answer.text
    assert guarded_secret(scene, vault, key="bob").request("/x?key").text == "not for alice"
    make_secret(alice, vault, "key", "for alice")
    assert guarded_secret(scene, vault).request("/x?key").text == "for alice"


def test_a_secret_of_a_file_counts_before_one_of_the_store(scene, tmp_path):
    folder = tmp_path / "vaults/alice/team"
    folder.mkdir(parents=True)
    (folder / "both").write_text("of the file")
    scene.start_gateway({**SETTINGS, "vaults": str(tmp_path / "vaults")})
    api = caller(scene, "alice")
    make_secret(api, "team", "both", "of the store")
    api.create("/vault_secrets", vault_name="team", name="one", value="of the store alone")
    g = guarded_secret(scene)
    assert g.request("/x?both").text == "of the file"
    assert g.request("/x?one").text == "of the store alone"


# ---- IP policies ----


def make_ip_policy(api, allow=(), deny=()):
    policy = api.create("/ip_policies")["id"]
    for action, blocks in (("allow", allow), ("deny", deny)):
        for block in blocks:
            api.create("/ip_policy_rules", ip_policy_id=policy, cidr=block, action=action)
    return policy


def guarded_ips(scene, policy, **kw):
    return Guarded(scene, on_request(("restrict-ips", {"ip_policies": [policy]})), **kw)


def test_rules_of_an_ip_policy_count_at_once(alice, scene):
    policy = make_ip_policy(alice)
    g = guarded_ips(scene, policy)

    def statuses():
        return {g.request("/hello").status for _ in range(2 * WORKERS)}

    assert statuses() == {403}  # no rules: nobody
    rule = alice.create("/ip_policy_rules", ip_policy_id=policy, cidr="127.0.0.0/8",
                        action="allow")["id"]
    assert statuses() == {200}
    denies = alice.create("/ip_policy_rules", ip_policy_id=policy, cidr="127.0.0.1/32",
                          action="deny")["id"]
    assert statuses() == {403}
    delete(alice, f"/ip_policy_rules/{denies}")
    assert statuses() == {200}
    answer = alice.call("PATCH", f"/ip_policy_rules/{rule}", {"cidr": "10.0.0.0/8"})
    assert answer.status == 200 and statuses() == {403}


def test_a_deleted_ip_policy_admits_nobody(alice, scene):
    """Also with many rules, which are deleted in pieces."""
    policy = make_ip_policy(alice, allow=["127.0.0.0/8"],
                            deny=[f"10.0.{i}.0/24" for i in range(30)])
    g = guarded_ips(scene, policy)
    assert g.request("/hello").status == 200
    delete(alice, f"/ip_policies/{policy}")
    assert {g.request("/hello").status for _ in range(2 * WORKERS)} == {403}
    with pytest.raises(AssertionError, match="there is no IP policy"):
        guarded_ips(scene, policy)


def test_an_ip_policy_is_for_its_account_only(bob, scene):
    policy = make_ip_policy(bob, allow=["0.0.0.0/0"])
    with pytest.raises(AssertionError, match="there is no IP policy"):
        guarded_ips(scene, policy)
    assert guarded_ips(scene, policy, key="bob").request("/hello").status == 200


# ---- events ----


def events_of(path, count):
    wait_until(lambda: path.exists() and path.read_bytes().count(b"\n") >= count,
               lambda: f"{count} lines in {path}")
    return read_lines(path)


def test_changes_are_audit_events(scene):
    """One each, with who did it by which credential, and without what is secret."""
    path = scene.directory / "audit.json"
    scene.start_gateway({**SETTINGS, "events": {
        "destinations": ({"name": "audit", "type": "file", "path": str(path)},),
        "subscriptions": ({"destinations": ["audit"],
                           "types": ["vault_*", "secret_*", "ssh_public_key_*",
                                     "agent_session_start.v0"]},)}})
    api = caller(scene, "alice")
    key = fresh_key(scene)
    credential = register(api, key)
    secret = make_secret(api, "team", "key", "hunter2")
    api.call("PATCH", f"/vault_secrets/{secret}", {"value": "hunter3"})
    delete(api, f"/vault_secrets/{secret}")
    SshApi(scene.gateway, key).ok("api vaults create --name over-ssh")
    events = events_of(path, 7)
    assert [e["event_type"] for e in events] == [
        "ssh_public_key_created.v0", "vault_created.v0", "secret_created.v0", "secret_updated.v0",
        "secret_deleted.v0", "agent_session_start.v0", "vault_created.v0"]
    assert events[0]["object"]["id"] == credential
    assert [e["object"]["id"] for e in events[2:5]] == 3 * [secret]
    assert {e["principal"]["source"] for e in events[:5]} == {"API"}
    assert events[0]["principal"]["credential"]["id"].startswith("ak_")
    assert events[5]["principal"]["credential"]["id"] == credential
    assert events[6]["principal"]["source"] == "SSH"
    assert events[6]["principal"]["credential"]["id"] == credential
    assert len({e["account_id"] for e in events}) == 1
    assert "hunter" not in path.read_text()


# ---- the database ----


def readiness(gateway):
    url = f"http://127.0.0.1:{gateway.admin_port}/readyz"
    done = subprocess.run(["curl", "-s", "--max-time", "20", "-w", " %{http_code}", url],
                          capture_output=True, text=True, check=True)
    return done.stdout


def test_a_full_disk_is_no_readiness(scene):
    """A limit of the file size stands in for the disk; what was is served on."""
    gateway = scene.start_gateway(SETTINGS)
    api = caller(scene, "alice")
    secret = make_secret(api, "team", "key", "the old value")
    g = guarded_secret(scene)
    assert readiness(gateway) == "ready\n 200"
    resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (1, -1))
    answer = api.call("PATCH", f"/vault_secrets/{secret}", {"value": "new"})
    assert (answer.status, answer.code) == (503, "ERR_NGROK_1500")
    assert readiness(gateway) == "the database cannot be written\n 503"
    assert g.request("/x?key").text == "the old value"
    resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (-1, -1))
    assert api.call("PATCH", f"/vault_secrets/{secret}", {"value": "new"}).status == 200
    assert readiness(gateway) == "ready\n 200"
    assert g.request("/x?key").text == "new"


# ---- the end ----


def test_calls_do_not_hold_up_the_end(scene):
    """The gateway does not need the time for draining while callers change keys without a pause."""
    gateway = scene.start_gateway({"limits": {**SETTINGS["limits"], "drain_ms": 600000}})
    token = new_token(gateway, "--account", "alice")
    key = fresh_key(scene)
    loop = (f"while curl -sf --max-time 20 -o /dev/null -H 'Authorization: Bearer {token}' "
            "-H 'Ngrok-Version: 2' -H 'Content-Type: application/json' "
            f"-d '{{\"name\":\"'$1'-'$((i=i+1))'\"}}' "
            f"http://127.0.0.1:{gateway.admin_port}/vaults; do :; done")
    callers = [subprocess.Popen(["sh", "-c", loop, "sh", f"c{n}"]) for n in range(4)]
    api = caller(scene, "alice")
    try:
        register(api, key)
        wait_until(lambda: len(api.call("GET", "/vaults").body["vaults"]) > 20, "busy callers")
        assert gateway.terminate() == 0
    finally:
        for process in callers:
            process.wait(30)
