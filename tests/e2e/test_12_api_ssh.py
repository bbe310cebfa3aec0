"""The management API over ssh: `ssh v2@gateway api ...`, with OpenSSH's ssh as it is installed."""

import json
import re
import signal
import subprocess

import pytest

from lib.api import Api, new_token
from lib.ssh_api import SshApi
from lib.tunnel import SSH_ENV, ssh_options
from lib.wait import stays, wait_until

#: The administrator, one of alice's, one of bob's, and one of alice's that may bind one name only.
USERS = ("carol", "alice", "bob", "rsa")


@pytest.fixture(scope="module")
def gateway(keys, tmp_path_factory):
    from lib.gateway import Gateway

    gateway = Gateway(tmp_path_factory.mktemp("gateway"), keys, authorized=[
        keys.alice.line('account="alice"'), keys.bob.line('account="bob"'),
        keys.carol.line('admin,account="ops"'),
        keys.rsa.line('account="alice",bind="only.example.test"'),
        keys.ecdsa.line('account="alice",bind="*",connect="*"')])
    try:
        yield gateway.start()
        assert gateway.terminate() == 0, gateway.process.describe()
        gateway.check()
    finally:
        if gateway.process:
            gateway.process.stop()


@pytest.fixture
def alice(scene):
    return SshApi(scene.gateway, scene.keys.alice)


@pytest.fixture
def bob(scene):
    return SshApi(scene.gateway, scene.keys.bob)


@pytest.fixture
def admin(scene):
    return SshApi(scene.gateway, scene.keys.carol)


@pytest.fixture
def bound(scene):
    return SshApi(scene.gateway, scene.keys.rsa)


def error(answer, status, code):
    """The answer is this error of the API, and says where it is found in the log."""
    assert answer.status in (1, 3) and answer.out == "", answer
    pattern = rf"HTTP {status}: .+" + (rf" \[{code}\]" if code else "") + "\n\nOperation ID: op_"
    assert re.search(pattern, answer.err), answer
    return True


# ---- objects ----


def test_an_object_lives_and_dies(alice, scene):
    name = scene.name()
    made = alice.ok(f"api vaults create --name {name} --description my dev box")
    assert made["description"] == "my dev box" and made["name"] == name
    assert "201 Created\n" in made.err
    vault = made["id"]
    assert alice.ok(f"api vaults get {vault}").body == made.body
    changed = alice.ok(f"api vaults update {vault} --metadata x=1 --description=")
    assert (changed["metadata"], changed["description"]) == ("x=1", "")
    assert vault in alice.ok("api vaults list --output id").out.split()
    gone = alice.ok(f"api vaults delete {vault}")
    assert gone.out == "" and "204 No Content\n" in gone.err
    assert error(alice.run(f"api vaults get {vault}"), 404, None)


def test_rules_of_an_ip_policy(alice):
    policy = alice.ok("api ip-policies create --description office")["id"]
    rule = alice.ok(f"api ip-policy-rules create --ip-policy-id {policy} --cidr 10.0.0.0/8 "
                    "--action allow")
    assert rule["ip_policy"]["id"] == policy
    listed = alice.ok(f"api ip-policy-rules list --filter 'obj.ip_policy.id == \"{policy}\"'")
    assert [r["id"] for r in listed["ip_policy_rules"]] == [rule["id"]]
    assert error(alice.run(f"api ip-policy-rules create --ip-policy-id {policy} --cidr nope "
                           "--action allow"), 400, r"ERR_NGROK_\d+")
    alice.ok(f"api ip-policies delete {policy}")


def test_a_key_made_over_ssh_works_over_http(alice, scene):
    key = alice.ok("api api-keys create --description laptop")
    api = scene.keep(Api(scene.gateway, key["token"]))
    answer = api.call("GET", f"/api_keys/{key['id']}")
    assert answer.status == 200 and answer["description"] == "laptop" and answer["token"] is None
    over_ssh = alice.ok(f"api api-keys get {key['id']}").body
    assert over_ssh == {**answer.body, "uri": over_ssh["uri"]}
    alice.ok(f"api api-keys delete {key['id']}")
    assert api.call("GET", "/vaults").status == 403


def test_it_is_the_same_api(alice, scene):
    """What is made here is there, also the errors."""
    token = new_token(scene.gateway, "--account", "alice")
    api = scene.keep(Api(scene.gateway, token))
    name = scene.name()
    vault = alice.ok(f"api vaults create --name {name}")["id"]
    assert api.call("GET", f"/vaults/{vault}")["name"] == name
    again = api.call("POST", "/vaults", {"name": name})
    assert error(alice.run(f"api vaults create --name {name}"), again.status, again.code)


# ---- standard input ----


def test_a_secret_comes_over_standard_input(alice, scene):
    vault = scene.name()
    alice.ok(f"api vaults create --name {vault}")
    for option in ("--value -", "--value-file -"):
        made = alice.ok(f"api secrets create --vault-name {vault} --name {scene.name()} {option}",
                        "s3cret\n")
        assert "s3cret" not in made.out and made["vault_name"] == vault
    assert error(alice.run(f"api secrets create --vault-name {vault} --name e --value -", ""), 400,
                 "ERR_NGROK_24003")


def test_a_body_comes_over_standard_input(alice, scene):
    name = scene.name()
    made = alice.ok("api vaults create --json - --description over it",
                    json.dumps({"name": name, "description": "under", "metadata": "m"}))
    assert (made["name"], made["description"], made["metadata"]) == (name, "over it", "m")


def test_metadata_keeps_its_bytes_but_one_newline(alice, scene):
    text = "line 1\n  line 2\t\\ \"é\"\n"
    made = alice.ok(f"api vaults create --name {scene.name()} --metadata -", text + "\n")
    assert made["metadata"] == text


def test_standard_input_is_left_alone_without_a_dash(alice):
    """A command in a loop must not eat what the loop reads."""
    process = alice.start("api vaults list")
    assert process.wait(30) == 0, "it waits for the end of its input"
    process.communicate()


def test_standard_input_of_one_mebibyte(alice, scene):
    """N bytes are read, and answered as too long for the field; N + 1 are refused."""
    line = f"api vaults create --name {scene.name()} --metadata -"
    assert error(alice.run(line, b"x" * (1 << 20)), "4..", r"ERR_\w+")
    assert error(alice.run(line, b"x" * ((1 << 20) + 1)), 413, "ERR_SALLYPORT_4")


def test_standard_input_that_does_not_end(scene):
    scene.start_gateway({"limits": {"api_input_timeout_ms": 1000}})
    process = SshApi(scene.gateway, scene.keys.alice).start("api vaults create --json -")
    assert process.wait(30) == 2
    assert b"did not end in time" in process.communicate()[1]


# ---- output ----


def test_json_is_sorted_and_indented(alice, scene):
    made = alice.ok(f"api vaults create --name {scene.name()}")
    assert made.out == json.dumps(made.body, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def test_forms_of_output(alice, scene):
    name = scene.name()
    vault = alice.ok(f"api vaults create --name {name} --output id").out
    assert re.fullmatch(r"vault_\w{27}\n", vault)
    lines = alice.ok("api vaults list --output jsonl --all").out.splitlines()
    assert name in [json.loads(line)["name"] for line in lines]
    table = alice.ok("api vaults list --output table").out.splitlines()
    assert table[0].split()[:2] == ["ID", "NAME"] and table[1].split()[:2] == [vault.strip(), name]
    quiet = alice.ok(f"api vaults delete {vault.strip()} --quiet")
    assert quiet.out == "" and "204" not in quiet.err


def test_a_terminal_gets_a_table_and_a_pipe_json(alice, scene):
    name = scene.name()
    alice.ok(f"api vaults create --name {name}")
    table = alice.run("api vaults list", pty=True)
    assert table.status == 0 and re.search(rf"^vault_\w+ +{name} ", table.out, re.M), table
    assert all(line.endswith("\r") for line in table.out.split("\n")[:-1])
    assert json.loads(alice.run("api vaults list --output json", pty=True).out)
    assert alice.ok("api vaults list").body["vaults"]


def test_stored_text_cannot_steer_a_terminal(alice, scene):
    name = scene.name()
    evil = "\x1b]0;owned\x07\u009b2J\x7f\u202e"
    made = alice.ok("api vaults create --json -", json.dumps({"name": name, "metadata": evil}))
    assert made["metadata"] == evil
    for line in (f"api vaults get {made['id']}", f"api vaults get {made['id']} --output table",
                 "api vaults list --output table", "api vaults list"):
        for pty in (False, True):
            shown = alice.run(line, pty=pty).out
            assert not re.search("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]", shown), line


def test_all_pages(alice, scene):
    names = {scene.name() for _ in range(5)}
    for name in names:
        alice.ok(f"api vaults create --name {name}")
    page = alice.ok("api vaults list --limit 2").body
    assert len(page["vaults"]) == 2 and "before_id=" in page["next_page_uri"]
    every = alice.ok("api vaults list --limit 2 --all").body
    assert names <= {v["name"] for v in every["vaults"]} and every["next_page_uri"] is None
    after = alice.ok(f"api vaults list --before-id {page['vaults'][1]['id']}").body
    assert after["vaults"] == every["vaults"][2:]


def test_a_large_answer_arrives_whole_however_slowly_it_is_read(alice, scene):
    """More than terminal, window and sockets hold together."""
    count = 16
    text = "x" * 200_000
    policy = json.dumps({"on_http_request": [{"actions": [
        {"type": "custom-response", "config": {"content": text}}]}]})
    api = scene.keep(Api(scene.gateway, new_token(scene.gateway, "--account", "alice")))
    hosts = [f"{scene.name()}-large.example.test" for _ in range(count)]
    ids = [api.create("/endpoints", url=f"https://{host}", type="cloud", bindings=["public"],
                      traffic_policy=policy)["id"] for host in hosts]
    process = alice.start("api endpoints list --all")
    try:
        process.stdin.close()
        first = process.stdout.read(1)
        stays(lambda: True, "", 4)  # longer than a client gets for last words
        listed = json.loads(first + process.stdout.read())
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.stdout.close()
        process.stderr.close()
    large = {e["hostport"]: e["traffic_policy"] for e in listed["endpoints"]}
    assert all(large[f"{host}:443"] == policy for host in hosts)
    for one in ids:
        assert api.call("DELETE", f"/endpoints/{one}").status == 204


def test_an_answer_above_the_limit_is_refused(scene):
    scene.start_gateway({"limits": {"api_output_max_bytes": 65536}})
    alice = SshApi(scene.gateway, scene.keys.alice)
    for _ in range(20):
        alice.ok("api vaults create --json -",
                 json.dumps({"name": scene.name(), "metadata": "x" * 4000}))
    assert error(alice.run("api vaults list"), 413, "ERR_SALLYPORT_4")
    assert alice.ok("api vaults list --limit 3").body["vaults"]


# ---- what is wrong ----

USAGE = [
    ("api nope list", "api-keys, "),
    ("api vaults", "a verb is missing"),
    ("api vaults nope", "there are: create, get, list, update, delete"),
    ("api vaults get", "an id is missing"),
    ("api vaults create --nme x", "the nearest is --name"),
    ("api vaults create --name 'x", "a quote is not closed"),
    ("api vaults create --metadata - --json -", "stands twice"),
    ("api secrets create --value-file /etc/passwd", "only takes '-'"),
    ("api vaults list --output xml", "json, table, jsonl or id"),
    ("kill nonsense", "no id of a session"),
    ("api vaults create --name " + "x" * 33000, "more than 32768 bytes"),
]


@pytest.mark.parametrize("line, why", USAGE, ids=[u[0][:40] for u in USAGE])
def test_what_is_not_understood(alice, line, why):
    answer = alice.run(line)
    assert answer.status == 2 and answer.out == "" and why in answer.err, answer


def test_json_that_is_none(alice):
    answer = alice.run("api vaults create --json -", "{")
    assert answer.status == 2 and "no JSON" in answer.err


def test_errors_of_the_api(alice):
    assert error(alice.run("api vaults create"), 400, "ERR_NGROK_23001")
    assert error(alice.run("api vaults get vault_1"), 404, "ERR_NGROK_222")
    assert error(alice.run("api vaults list --limit 101"), 400, "ERR_NGROK_233")
    assert error(alice.run("api kubernetes-operators list"), 501, "ERR_SALLYPORT_7")


def test_help(alice):
    for line, has in (("help", "whoami"), ("api", "ssh-credentials"), ("api --help", "vaults"),
                      ("api vaults help", "get-secrets-by-vault"), ("help api", "whoami"),
                      ("api vaults create --help", "--description")):
        answer = alice.ok(line)
        assert has in answer.out, answer


# ---- who may ----


def test_accounts_are_apart_and_administrators_see_all(alice, bob, admin, scene):
    mine = alice.ok(f"api vaults create --name {scene.name()}")["id"]
    his = bob.ok(f"api vaults create --name {scene.name()}")["id"]
    assert his not in alice.ok("api vaults list --all").out
    for line in (f"api vaults get {his}", f"api vaults update {his} --name x",
                 f"api vaults delete {his}", f"api vaults get-secrets-by-vault {his}",
                 f"api secrets create --vault-id {his} --name x --value=y"):
        answer = alice.run(line)
        assert error(answer, "4..", None), line
        unknown = alice.run(line.replace(his, "vault_" + "0" * 27))
        strip = re.compile(r"(op|vault)_\w+")
        assert strip.sub("", answer.err) == strip.sub("", unknown.err), "it tells that there is one"
    every = admin.ok("api vaults list --all --output id").out.split()
    assert mine in every and his in every
    assert admin.ok(f"api vaults update {his} --description seen")["description"] == "seen"


def test_whoami(alice, admin, bound, scene):
    me = alice.ok("api self").body
    assert (me["account"], me["admin"]) == ("alice", False)
    listed = subprocess.run(["ssh-keygen", "-lf", scene.keys.alice.path], capture_output=True,
                            check=True).stdout.decode()
    assert me["key"].split()[0] in listed
    assert re.search(r"^account +alice$", alice.ok("whoami").out, re.M)
    assert admin.ok("api self")["admin"] is True
    assert "what this key has online" in bound.ok("whoami").out
    assert SshApi(scene.gateway, scene.keys.ecdsa).ok("api vaults list")


@pytest.mark.parametrize("line", ["api vaults list", "api vaults create --name x",
                                  "api api-keys create", "api ssh-credentials list",
                                  "api ip-policies delete ipp_1"])
def test_a_key_with_bind_rules_may_not(bound, line):
    answer = bound.run(line)
    assert answer.status == 3 and error(answer, 403, "ERR_SALLYPORT_6")


def test_the_option_admin_comes_and_goes_with_the_key_file(scene):
    """Also for a session that is open."""
    keys = scene.keys
    gateway = scene.start_gateway(authorized=[keys.alice.line('admin,account="a"')])
    master = Master(scene, keys.alice)
    assert master.ok("api self")["admin"] is True
    mark = gateway.mark()
    gateway.authorize(keys.alice.line('account="a"'))
    gateway.wait_log(lambda e: "key" in e["event"], mark)
    wait_until(lambda: master.ok("api self")["admin"] is False, "the option is gone")


# ---- connections ----


class Master(SshApi):
    """One connection that commands share."""

    def __init__(self, scene, key):
        path = scene.directory / f"m{len(scene.closers)}"
        super().__init__(scene.gateway, key, [f"ControlPath={path}", "ControlMaster=no"])
        options = ssh_options(scene.gateway, [f"ControlPath={path}"])
        argv = ["ssh", "-F", "none", "-p", scene.gateway.ssh_port, *options, "-i", key.path]
        self.control = [*map(str, argv)]
        self.host = f"v2@{scene.gateway.address}"
        # The command is what keeps the connection: it is one for the API then.
        done = subprocess.run([*self.control, "-o", "ControlMaster=auto", "-o", "ControlPersist=60",
                               "-n", "--", self.host, "whoami"], env=SSH_ENV, timeout=60,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        assert done.returncode == 0
        scene.closers.append(self.close)

    def alive(self):
        return subprocess.run([*self.control, "-O", "check", self.host], env=SSH_ENV,
                              capture_output=True, check=False).returncode == 0

    def close(self):
        subprocess.run([*self.control, "-O", "exit", self.host], env=SSH_ENV, capture_output=True,
                       check=False)


def test_several_at_once_on_one_connection(scene):
    gateway = scene.gateway
    mark = gateway.mark()
    master = Master(scene, scene.keys.alice)
    processes = [master.start(f"api vaults create --name {scene.name()} --metadata -")
                 for _ in range(4)]
    done = [p.communicate(f"text {i}".encode(), timeout=60) for i, p in enumerate(processes)]
    assert [p.returncode for p in processes] == [0] * 4, done
    assert [json.loads(out)["metadata"] for out, _ in done] == [f"text {i}" for i in range(4)]
    gateway.wait_log(lambda e: e["event"] == "ssh.login", mark)
    assert len(gateway.entries(mark, "ssh.login")) == 1


def test_a_connection_for_the_api_stays(scene):
    """It needs no forward, also not between its commands."""
    scene.start_gateway({"limits": {"command_wait_ms": 200}})
    master = Master(scene, scene.keys.alice)
    stays(master.alive, "the connection ended", 1)
    assert master.ok("api vaults list")
    stays(master.alive, "the connection ended", 1)


def test_commands_of_a_connection_at_once(scene):
    """api_commands_max: N wait for their input, the next is refused, and room comes back."""
    gateway = scene.start_gateway({"limits": {"api_commands_max": 2}})
    master = Master(scene, scene.keys.alice)
    gateway.wait_gauge("sallyport_ssh_channels", 0)
    waiting = [master.start(f"api vaults create --name w{i} --metadata -") for i in range(2)]
    gateway.wait_gauge("sallyport_ssh_channels", 2)
    assert error(master.run("api vaults list"), 429, "ERR_NGROK_225")
    for process in waiting:
        process.communicate(b"x", timeout=30)
        assert process.returncode == 0
    assert master.ok("api vaults list")


def test_beside_a_tunnel(scene):
    """A command of the API neither takes the forwards of a connection nor ends them."""
    app = scene.app()
    path = scene.directory / "tunnel"
    tunnel = scene.tunnel(app, options=[f"ControlPath={path}", "ControlMaster=yes"])
    beside = SshApi(scene.gateway, scene.keys.alice,
                    [f"ControlPath={path}", "ControlMaster=no"])
    for _ in range(3):
        assert beside.ok("api vaults list")
        assert scene.get(tunnel).status == 200
    assert beside.run("api vaults nope").status == 2
    assert scene.get(tunnel).status == 200


def test_a_forward_beside_the_api_is_served_by_nobody(scene):
    ssh = scene.ssh("beside.example.test:443:127.0.0.1:9", command="api vaults list")
    assert ssh.wait_exit() == 0
    assert not [line for line in ssh.out if line.startswith("https://")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_client_that_goes_away_while_it_sends(alice, scene, number):
    gateway = scene.gateway
    mark = gateway.mark()
    process = alice.start(f"api vaults create --name {scene.name()} --metadata -")
    process.stdin.write(b"x" * 1000)
    process.stdin.flush()
    gateway.wait_log(lambda e: e["event"] == "ssh.login", mark)
    process.send_signal(number)
    process.wait(30)
    process.communicate()
    gateway.wait_idle()
    assert alice.ok("api vaults list")


def test_clients_that_go_away_while_they_are_answered(alice, scene):
    for _ in range(20):
        process = alice.start("api endpoints list --all")
        process.stdin.close()
        process.stdout.read(1)
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()
    scene.gateway.wait_idle()
    assert alice.ok("api vaults list")


def test_ctrl_c_ends_a_command(scene):
    ssh = scene.ssh(command="api vaults create --json -", pty=True, stdin=subprocess.PIPE)
    wait_until(lambda: scene.gateway.metrics()["sallyport_ssh_channels"] > 0, "the command runs")
    ssh.type(b"{\x03")
    assert ssh.wait_exit() == 1


def test_rate_limit(scene):
    scene.start_gateway({"limits": {"api_requests_per_minute": 3}})
    alice = SshApi(scene.gateway, scene.keys.alice)
    answered = 0
    while (answer := alice.run("api vaults list")).status == 0:
        answered += 1
        assert answered < 6  # it is more than 3 when a minute begins in between
    assert answered >= 3 and error(answer, 429, "ERR_NGROK_226")
    assert SshApi(scene.gateway, scene.keys.bob).ok("api vaults list")


# ---- what is online ----


def test_ls_and_kill(alice, bob, admin, scene):
    """ls shows what the account has online, kill ends it, and its name is free again."""
    app = scene.app()
    tunnel = scene.tunnel(app)
    other = scene.tunnel(app, key="bob")
    table = alice.ok("ls").out
    assert tunnel.url.rsplit(":", 1)[0] in table and other.host not in table
    endpoints = {e["host"]: e for e in admin.ok("ls --output json").body["endpoints"]}
    mine, his = endpoints[tunnel.host], endpoints[other.host]
    assert mine["tunnel_session"]["id"] in table
    for victim in (his["id"], his["tunnel_session"]["id"], his["tunnel"]["id"]):
        assert error(alice.run(f"kill {victim}"), 404, None)
    assert scene.get(other).status == 200
    assert "204 No Content" in alice.ok(f"kill {mine['tunnel_session']['id']}").err
    assert tunnel.wait_exit() != 0
    assert scene.get(other).status == 200
    admin.ok(f"kill {his['id']}")
    assert other.wait_exit() != 0
    assert tunnel.host not in alice.ok("ls").out


def test_live_objects_by_their_groups(alice, scene):
    tunnel = scene.tunnel(scene.app(), flags="--metadata here")
    live = alice.ok("api tunnels list").body["tunnels"]
    assert [t["metadata"] for t in live if tunnel.host in t["public_url"]] == ["here"]
    session = live[0]["tunnel_session"]["id"]
    assert alice.ok(f"api tunnel-sessions get {session}")["transport"] == "ssh"
    assert error(alice.run(f"api tunnel-sessions restart {session}"), 400, "ERR_NGROK_1122")
    assert alice.ok("api tunnels list --output table").out.startswith("ID ")
    alice.ok(f"api tunnel-sessions stop {session}")
    assert tunnel.wait_exit() != 0


def test_a_bound_key_sees_its_own(alice, bound, scene):
    app = scene.app()
    other = scene.tunnel(app)
    own = scene.tunnel_to("only.example.test", app, key="rsa")
    seen = bound.ok("ls").out
    assert own.host in seen and other.host not in seen
    listed = bound.ok("api endpoints list").body["endpoints"]
    assert [e["host"] for e in listed] == [own.host]
    for endpoint in alice.ok("api endpoints list").body["endpoints"]:
        found = bound.run(f"api endpoints get {endpoint['id']}")
        assert found.status == (0 if endpoint["host"] == own.host else 1), found
    killed = bound.run(f"kill {listed[0]['tunnel_session']['id']}")
    assert killed.status == 3 and error(killed, 403, "ERR_SALLYPORT_6")
    assert scene.get(own).status == 200


def test_a_cloud_endpoint_from_a_policy_on_standard_input(alice, scene):
    host = f"{scene.name()}.example.test"
    policy = ("on_http_request:\n  - actions:\n      - type: custom-response\n        config:\n"
              "          status_code: 418\n          body: short and stout\n")
    made = alice.ok(f"api endpoints create --url https://{host} --traffic-policy -", policy)
    assert made["traffic_policy"] == policy and made["type"] == "cloud"
    assert scene.get(host).status == 418
    assert f"https://{host}" in alice.ok("ls").out
    refused = alice.run(f"kill {made['id']}")
    assert refused.status == 1 and "api endpoints delete" in refused.err
    assert error(alice.run("api endpoints create --url https://x.example.test --traffic-policy -",
                           "on_http_request: 7"), 400, r"ERR_NGROK_\d+")
    alice.ok(f"api endpoints delete {made['id']}")
    assert scene.get(host).status == 404
