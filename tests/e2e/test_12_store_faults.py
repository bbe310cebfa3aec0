"""The database of a gateway that is killed, full, damaged or read-only: nothing acknowledged is lost."""

import http.client
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import threading

import pytest

from lib import pki
from lib.api import Api, apikey, new_token
from lib.gateway import DOMAIN
from lib.journal import Writer, answers
from lib.load import Load
from lib.ports import TCP_PORTS
from lib.ssh_api import SshApi
from lib.state import (DATABASE, FileLimit, SmallDisk, can_mount, copy_of, snapshot, try_start,
                       wrap_of_obedient)
from lib.wait import wait_until

SETTINGS = {
    "limits": {"api_requests_per_minute": 0, "hold_ms": 100},
    "api": {"private_event_destinations": True},
    "tcp": {"host": "tcp.example.test", **TCP_PORTS},
}
ACCOUNTS = ("alice", "bob", "dora", "emil")


def caller(scene, account):
    return scene.keep(Api(scene.gateway, new_token(scene.gateway, "--account", account)))


def kill(gateway):
    os.kill(gateway.pid, signal.SIGKILL)
    gateway.process.wait_exit(10)


def again(gateway):
    """Starts it on new ports."""
    gateway.log.clear()
    gateway.noise.clear()
    return gateway.start()


def kill_and_start(gateway):
    """What has been written is all that is left."""
    kill(gateway)
    again(gateway)


def page(scene, host):
    with scene.https(host) as conn:
        return conn.get("/")


# ---- killed ----


def test_killed_while_many_write(scene, tmp_path):
    """
    kill -9 in the middle of creations, updates and deletions of every kind of object, three times: each
    that was acknowledged is there, of each that was not all or nothing; cloud endpoints serve what they
    served, and names are whose they were.
    """
    gateway = scene.start_gateway(SETTINGS)
    ca = pki.Authority(tmp_path)
    pairs = [ca.issue(f"c{i}.customer.com", dns=[f"c{i}.customer.com"]) for i in range(3)]
    writers = [Writer(gateway, account, pairs) for account in ACCOUNTS]
    dice = random.Random(12)
    for _ in range(3):
        goal = sum(w.acknowledged for w in writers) + dice.randrange(150, 250)
        for writer in writers:
            writer.start()
        wait_until(lambda: sum(w.acknowledged for w in writers) >= goal or any(w.problem for w in writers),
                   lambda: f"{goal} writes; {[w.acknowledged for w in writers]}", 60)
        kill_and_start(gateway)
        for writer in writers:
            writer.join()
            writer.check()
    assert len({p.split("/")[1] for w in writers for p in w.known}) == 12
    check_endpoints(scene, writers)
    check_names(scene, writers)


def check_endpoints(scene, writers):
    served = 0
    for writer in writers:
        for path in writer.paths("/endpoints"):
            endpoint = writer.known[path]
            response = page(scene, endpoint["host"])
            assert endpoint["traffic_policy"] == answers(response.text), path
            assert Api(scene.gateway, writer.token).call("DELETE", path).status == 204
            served += 1
    assert served >= 5


def check_names(scene, writers):
    """Nobody else gets a name, neither by the API nor by a session; its owner's session does."""
    owners = {writer.known[path]["domain"]: writer for writer in writers
              for path in writer.paths("/reserved_domains")}
    assert len(owners) >= 10
    for domain, owner in owners.items():
        other = next(w for w in writers if w is not owner)
        answer = Api(scene.gateway, other.token).call("POST", "/reserved_domains",
                                                      {"domain": domain})
        assert answer.code == "ERR_NGROK_414", answer.body
    domain = next(d for d in owners if d.startswith("alice"))
    refused = scene.ssh(f"{domain}:443:127.0.0.1:1", key="bob")
    assert refused.wait_exit(10) == 1
    refused.wait_err("ERR_SALLYPORT_320")
    assert scene.get(scene.tunnel_to(domain, scene.app(), key="alice")).status == 200


# ---- full ----


@pytest.fixture(name="disk", params=[SmallDisk, FileLimit])
def fixture_disk(scene, request):
    if request.param is SmallDisk and not can_mount():
        pytest.skip("a small file system needs the right to mount one")
    return request.param(scene, SETTINGS)


def readiness(gateway):
    conn = http.client.HTTPConnection("127.0.0.1", gateway.admin_port, timeout=20)
    conn.request("GET", "/readyz")
    response = conn.getresponse()
    return response.status, response.read().decode()


def fill_with_vaults(api):
    """Creates until there is no room; returns what was acknowledged."""
    made = set()
    for i in range(2000):
        answer = api.call("POST", "/vaults", {"name": f"v{i}", "metadata": "m" * 4096})
        if answer.status != 201:
            assert (answer.status, answer.code) == (503, "ERR_NGROK_1500"), answer.body
            assert "/" not in answer["msg"]  # why is for the operator
            return made
        made.add(answer["id"])
    raise AssertionError("there is always room")


def vaults(api):
    found, path = set(), "/vaults?limit=100"
    while path:
        answer = api.call("GET", path)
        found |= {v["id"] for v in answer["vaults"]}
        path = answer["next_page_uri"] and answer["next_page_uri"].replace(api.base, "")
    return found


def test_full_disk(scene, disk):
    """Changes are refused, all else goes on, and it is over when there is room again."""
    gateway = disk.gateway
    alice, bob = caller(scene, "alice"), caller(scene, "bob")
    ep = alice.create("/endpoints", url=f"https://{scene.name()}.{DOMAIN}",
                      traffic_policy=answers("before"))
    path = f"/endpoints/{ep['id']}"
    owned = alice.create("/reserved_domains", domain="owned.customer.com")
    tunnel = scene.tunnel(scene.app())
    mark = gateway.mark()
    assert readiness(gateway) == (200, "ready\n")

    disk.fill()
    known = fill_with_vaults(alice)
    assert readiness(gateway) == (503, "the database cannot be written\n")
    assert vaults(alice) == known
    with Load(scene, ep["host"], visitors=2, target="/") as load:
        refused = [
            alice.call("PATCH", path, {"traffic_policy": answers("after")}),
            alice.call("PATCH", path, {"url": f"https://{scene.name()}.{DOMAIN}"}),
            alice.call("DELETE", path),
            alice.call("DELETE", f"/reserved_domains/{owned['id']}"),
            alice.call("POST", "/reserved_domains", {"domain": "new.customer.com"}),
            alice.call("POST", "/endpoints", {"url": f"https://{scene.name()}.{DOMAIN}",
                                              "traffic_policy": answers("new")}),
        ]
        load.wait_more(50)
    assert [(r.status, r.code) for r in refused] == [(503, "ERR_NGROK_1500")] * len(refused)
    assert (load.failed, set(load.done)) == ([], {b"before"})
    assert alice.call("GET", path).body == ep
    assert bob.call("POST", "/reserved_domains", {"domain": "owned.customer.com"}).status in (400, 503)
    done = SshApi(gateway, scene.keys.alice).run("api vaults create --name x")
    assert done.status == 1 and "ERR_NGROK_1500" in done.err, done
    assert apikey(gateway).returncode == 1
    # Sessions need no disk: those that are there, new ones, and names that were not reserved.
    assert scene.get(tunnel).status == 200
    other = scene.tunnel_to("new.customer.com", scene.app(), key="bob")
    assert scene.get(other).status == 200
    away = scene.ssh("owned.customer.com:443:127.0.0.1:1", key="bob")
    assert away.wait_exit(10) == 1
    assert readiness(gateway)[0] == 503

    disk.free()
    wait_until(lambda: readiness(gateway) == (200, "ready\n"), "it finds out by itself", 30)
    gateway.wait_log(lambda e: e["event"] == "store.recovered", mark)
    told = [e["event"] for e in gateway.entries(mark) if e["event"].startswith("store.")]
    assert told == ["store.failed", "store.recovered"]
    assert DATABASE in gateway.entries(mark, "store.failed")[0]["error"]
    assert alice.call("PATCH", path, {"traffic_policy": answers("after")}).status == 200
    assert page(scene, ep["host"]).text == "after"
    assert vaults(alice) == known
    known.add(alice.create("/vaults", name="one-more")["id"])
    if isinstance(disk, FileLimit):  # the other disk ends with the process
        kill_and_start(gateway)
        alice = Api(gateway, alice.token)
        assert vaults(alice) == known
        assert page(scene, ep["host"]).text == "after"
    assert alice.call("DELETE", path).status == 204


@pytest.mark.parametrize("method, body", [
    ("DELETE", None), ("PATCH", {"url": "https://elsewhere.example.test"})])
def test_endpoint_that_could_not_go_serves_on(scene, method, body):
    """Deleted, or moved: it is where it was all the time, as the first change that finds no room."""
    disk = FileLimit(scene, SETTINGS)
    alice = caller(scene, "alice")
    for _ in range(5):
        ep = alice.create("/endpoints", url=f"https://{scene.name()}.{DOMAIN}",
                          traffic_policy=answers("here"))
        with Load(scene, ep["host"], visitors=2, target="/") as load:
            load.wait_more(20)
            disk.fill()
            assert alice.call(method, f"/endpoints/{ep['id']}", body).status == 503
            disk.free()
            load.wait_more(20)
        assert page(scene, "elsewhere.example.test").status == 404
        assert alice.call("GET", f"/endpoints/{ep['id']}").body == ep
        assert (load.failed, set(load.done)) == ([], {b"here"})
        assert alice.call("DELETE", f"/endpoints/{ep['id']}").status == 204


def test_ready_again_when_another_program_lets_go(scene):
    """A lock that somebody else holds on the database is the same to us."""
    gateway = scene.start_gateway(SETTINGS)
    alice = caller(scene, "alice")
    other = sqlite3.connect(gateway.state / DATABASE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert alice.call("POST", "/vaults", {"name": "a"}).status == 503
    assert readiness(gateway)[0] == 503
    assert alice.call("GET", "/vaults")["vaults"] == []
    other.execute("ROLLBACK")
    other.close()
    wait_until(lambda: readiness(gateway)[0] == 200, "it finds out by itself", 10)
    alice.create("/vaults", name="a")


# ---- damaged ----


@pytest.fixture(name="kept", scope="module")
def fixture_kept(keys, tmp_path_factory):
    """A state directory with objects in it, and the gateway that made it, which has ended."""
    from lib.gateway import Gateway
    gateway = Gateway(tmp_path_factory.mktemp("kept"), keys, SETTINGS).start()
    api = Api(gateway, new_token(gateway, "--account", "alice"))
    for i in range(40):
        api.create("/vaults", name=f"v{i}", metadata="m" * 2000)
    api.create("/vault_secrets", name="s", value="v",
               vault_id=api.call("GET", "/vaults")["vaults"][0]["id"])
    gateway.token = api.token
    assert gateway.terminate() == 0
    return gateway


@pytest.fixture(name="state")
def fixture_state(kept, tmp_path):
    return copy_of(kept.state, tmp_path / "state")


def cut(to):
    return lambda state: os.truncate(state / DATABASE, to)


def cut_in_half(state):
    os.truncate(state / DATABASE, (state / DATABASE).stat().st_size // 2)


def overwrite(at, count, data=None):
    def damage(state):
        with open(state / DATABASE, "r+b") as f:
            f.seek(at)
            f.write(data or random.Random(1).randbytes(count))
    return damage


def from_the_future(state):
    db = sqlite3.connect(state / DATABASE)
    db.execute("PRAGMA user_version = 99")
    db.close()


def lose_the_database(state):
    (state / DATABASE).unlink()
    (state / f"{DATABASE}-wal").write_bytes(b"its log")


def replace_with_text(state):
    (state / DATABASE).write_text("not a database\n" * 1000)


def make_folder(state):
    (state / DATABASE).unlink()
    (state / DATABASE).mkdir()


def remove(name):
    return lambda state: (state / name).unlink()


def shorten(name):
    return lambda state: os.truncate(state / name, 7)


DAMAGES = {
    "empty": (cut(0), DATABASE, "it is empty", "restore it from a backup"),
    "only a header": (cut(100), DATABASE, "is damaged", "restore it from a backup"),
    "one page": (cut(4096), DATABASE, "is damaged", "restore it from a backup"),
    "half": (cut_in_half, DATABASE, "is damaged", "restore it from a backup"),
    "pages overwritten": (overwrite(3 * 4096, 5 * 4096), DATABASE, "is damaged",
                          "restore it from a backup"),
    "header overwritten": (overwrite(0, 100), DATABASE, "is no database of sallyport",
                           "restore it, or move it away"),
    "text": (replace_with_text, DATABASE, "is no database of sallyport",
             "restore it, or move it away"),
    "future": (from_the_future, DATABASE, "made by a newer sallyport (schema 99",
               "start that one, or restore a backup"),
    "gone but its log": (lose_the_database, DATABASE, "is gone but its log, of that name with -wal",
                         "restore it from a backup"),
    "folder": (make_folder, DATABASE, "Is a directory", ""),
    "seal.key gone": (remove("seal.key"), "key file", "is not the one that secrets",
                      "restore that one"),
    "seal.key cut": (shorten("seal.key"), "seal.key", "is damaged", "restore it"),
    "api.key cut": (shorten("api.key"), "api.key", "is damaged",
                    "remove it and all API keys must be made anew"),
    "names.key cut": (shorten("names.key"), "names.key", "is damaged",
                      "remove it and random names will change"),
}


@pytest.mark.parametrize("damage, file, problem, advice", DAMAGES.values(), ids=DAMAGES)
def test_damaged(kept, state, damage, file, problem, advice):
    """The program says what is wrong with which file, and what to do; it writes nothing there."""
    damage(state)
    before = snapshot(state)
    done = try_start(kept, state)
    assert done.returncode == 1, done
    assert done.stderr.startswith("sallyport: ") and done.stderr.count("\n") == 1, done.stderr
    assert all(text in done.stderr for text in (file, problem, advice)), done.stderr
    after = snapshot(state)
    made = set(after) - set(before) - {"seal.key"}
    assert not made and all(after[name] == data for name, data in before.items())


def test_damaged_log_of_a_killed_gateway(scene):
    """A database that is damaged and has a log beside it: both stay as they are."""
    gateway = scene.start_gateway(SETTINGS)
    api = caller(scene, "alice")
    for i in range(40):
        api.create("/vaults", name=f"v{i}", metadata="m" * 4000)
    assert gateway.terminate() == 0  # so that all of it is in the database
    again(gateway)
    api = Api(gateway, api.token)
    api.create("/vaults", name="in-the-log")
    kill(gateway)
    whole = snapshot(gateway.state)
    assert whole[f"{DATABASE}-wal"]
    overwrite(20 * 4096, 15 * 4096)(gateway.state)
    before = snapshot(gateway.state)
    done = try_start(gateway, gateway.state)
    assert done.returncode == 1 and "is damaged" in done.stderr, done
    assert snapshot(gateway.state) == before
    # What is put back is all there, with what was in the log.
    (gateway.state / DATABASE).write_bytes(whole[DATABASE])
    again(gateway)
    names = [v["name"] for v in Api(gateway, api.token).call("GET", "/vaults?limit=100")["vaults"]]
    assert len(names) == 41 and "in-the-log" in names


def test_apikey_create_says_the_same(kept, state):
    """It opens the database itself when no gateway runs."""
    cut_in_half(state)
    before = snapshot(state)
    settings, kept.settings = kept.settings, {**kept.settings, "state_dir": str(state)}
    kept.write()
    done = apikey(kept)
    kept.settings = settings
    kept.write()
    assert done.returncode == 1 and "is damaged" in done.stderr and done.stdout == ""
    assert snapshot(state) == before


# ---- read-only ----


def read_only_folder(state):
    os.chmod(state, 0o500)


def read_only_file(name):
    return lambda state: os.chmod(state / name, 0o400)


READ_ONLY = {
    "folder": (read_only_folder, "state_dir {state} must be writable: Permission denied"),
    "database": (read_only_file(DATABASE), "sallyport.db: Permission denied"),
    "lock": (read_only_file("lock"), "lock: Permission denied"),
}


@pytest.mark.parametrize("protect, text", READ_ONLY.values(), ids=READ_ONLY)
def test_read_only(kept, state, protect, text):
    """A gateway that could keep nothing does not start."""
    protect(state)
    before = snapshot(state)
    done = try_start(kept, state, wrap_of_obedient())
    os.chmod(state, 0o700)
    assert done.returncode == 1, done
    assert text.format(state=state) in done.stderr, done.stderr
    assert snapshot(state) == before


def test_read_only_file_system(kept, state):
    """The same on a file system that is mounted so; written to again, it has all that it had."""
    if not can_mount():
        pytest.skip("a read-only file system needs the right to mount one")
    before = snapshot(state)
    script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    done = try_start(kept, state, ("unshare", "-m", "sh", "-c", script, str(state)))
    assert done.returncode == 1, done
    assert f"state_dir {state} must be writable: Read-only file system" in done.stderr
    assert snapshot(state) == before
    shutil.rmtree(kept.state)
    shutil.copytree(state, kept.state)
    again(kept)
    assert len(Api(kept, kept.token).call("GET", "/vaults")["vaults"]) == 40
    assert kept.terminate() == 0
