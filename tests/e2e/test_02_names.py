"""Names over time: taken over, refused, held after a drop, random ones stable; dead clients."""

import re
import signal

import pytest

from lib.tunnel import host_of
from lib.wait import stays, wait_until


def remote(name, server):
    return f"{name}.example.test:443:127.0.0.1:{server.port}"


def offline(scene, name):
    return scene.get(f"{name}.example.test").error_code == "ERR_SALLYPORT_3200"


def wait_offline(scene, name, seconds=15):
    wait_until(lambda: offline(scene, name), f"{name} offline", seconds)


# ---- taken over or refused ----


def test_same_key_takes_over_at_once(scene):
    """A reconnecting client (same key) gets its name though the old session still seems alive."""
    one, two = scene.app(name="one"), scene.app(name="two")
    first = scene.tunnel(one, name="mine")
    assert scene.get(first).text == "hello from one\n"
    second = scene.tunnel(two, name="mine")
    assert scene.get(second).text == "hello from two\n"
    first.wait_err(r"(?i)taken over|newer session|another session")
    second.stop()
    first.stop()


def test_taken_over_session_keeps_its_other_endpoints(scene):
    """Only the name that was asked for moves; the old session's other endpoints go on."""
    one, two = scene.app(name="one"), scene.app(name="two")
    first = scene.ssh(remote("moved", one), remote("kept", one))
    first.urls(2)
    second = scene.tunnel(two, name="moved")
    assert scene.get(second).text == "hello from two\n"
    first.wait_err(r"(?i)taken over|newer session|another session")
    assert scene.get("kept.example.test").text == "hello from one\n"
    assert first.running


def test_end_of_the_old_session_leaves_the_new_one_alone(scene):
    """When the displaced session ends, the name is not taken from its new holder."""
    one, two = scene.app(name="one"), scene.app(name="two")
    first = scene.ssh(remote("moved", one), remote("kept", one))
    first.urls(2)
    second = scene.tunnel(two, name="moved")
    first.kill()
    wait_offline(scene, "kept")
    assert scene.get(second).text == "hello from two\n"


def test_takeover_in_a_loop(scene):
    """Twenty takeovers in a row: the last one has the name, no session is left over."""
    app = scene.app()
    sessions = [scene.tunnel(app, name="loop") for _ in range(20)]
    assert scene.get(sessions[-1]).status == 200
    for old in sessions[:-1]:
        old.stop()
    assert scene.get(sessions[-1]).status == 200


def test_other_key_of_the_account_is_refused(scene):
    """Same account, another key: E334, and the first session is not disturbed."""
    app = scene.app()
    first = scene.tunnel(app, name="busy")
    second = scene.ssh(remote("busy", app), key="alice2")
    assert second.wait_exit() not in (0, None)
    assert re.search(r"ERR_SALLYPORT_334\b", "\n".join(second.err)), second.describe()
    assert second.out == []
    assert scene.get(first).status == 200


def test_other_account_is_refused_and_gets_no_other_name(scene):
    """Another account: E320 and nothing on stdout."""
    app = scene.app()
    first = scene.tunnel(app, name="busy")
    second = scene.ssh(remote("busy", app), key="bob")
    assert second.wait_exit() not in (0, None)
    assert re.search(r"ERR_SALLYPORT_320\b", "\n".join(second.err)), second.describe()
    assert second.out == []
    assert scene.get(first).status == 200


def test_refusal_tells_nothing_about_the_holder(scene):
    """The refused user learns neither the account nor the address nor the key of the holder."""
    app = scene.app()
    scene.tunnel(app, name="busy")
    second = scene.ssh(remote("busy", app), key="bob")
    second.wait_exit()
    assert "alice" not in "\n".join(second.err)


def test_http_and_https_of_one_name_are_two_endpoints(scene):
    """The same key may hold both in two sessions; neither displaces the other."""
    one, two = scene.app(name="one"), scene.app(name="two")
    https = scene.tunnel(one, name="pair")
    http = scene.tunnel(two, name="pair", port=80)
    assert scene.get(https).text == "hello from one\n"
    assert scene.http(http).get("/hello").text == "hello from two\n"
    assert https.running and http.running


# ---- held after a drop ----


def test_dropped_name_is_held_for_its_account(scene):
    """After kill -9 the name answers "offline", another account is refused until hold_ms passed."""
    app = scene.app()
    gateway = scene.start_gateway()
    first = scene.tunnel(app, name="held")
    first.kill()
    wait_offline(scene, "held")
    second = scene.ssh(remote("held", app), key="bob")
    assert second.wait_exit() not in (0, None)
    assert re.search(r"ERR_SALLYPORT_320\b", "\n".join(second.err)), second.describe()
    gateway.change(limits={"hold_ms": 1000})

    def free():
        ssh = scene.ssh(remote("held", app), key="bob")
        wait_until(lambda: ssh.out or not ssh.running, "answer to the claim")
        return ssh.out

    wait_until(free, "the name is free after hold_ms")
    assert scene.get("held.example.test").status == 200


@pytest.mark.parametrize("key", ["alice", "alice2"])
def test_held_name_comes_back_to_its_account(scene, key):
    """During the hold, any key of the account takes the name."""
    app = scene.app()
    name = scene.name()
    scene.tunnel(app, name=name).kill()
    wait_offline(scene, name)
    tunnel = scene.tunnel(app, name=name, key=key)
    assert scene.get(tunnel).status == 200


# ---- random names ----


def test_random_name_is_stable_while_a_key_reconnects(scene):
    """The same key gets its random name again after a drop."""
    app = scene.app()
    first = scene.ssh(f"443:127.0.0.1:{app.port}")
    name = host_of(first.url)
    first.kill()
    wait_until(lambda: scene.get(name).status == 404, "offline")
    second = scene.ssh(f"443:127.0.0.1:{app.port}")
    assert host_of(second.url) == name


def test_random_name_is_not_taken_from_a_living_session(scene):
    """A second session of the key gets another random name; both answer."""
    app = scene.app()
    first = scene.ssh(f"443:127.0.0.1:{app.port}")
    assert first.url
    second = scene.ssh(f"443:127.0.0.1:{app.port}")
    assert host_of(first.url) != host_of(second.url)
    assert scene.get(host_of(first.url)).status == 200
    assert scene.get(host_of(second.url)).status == 200


def test_random_names_of_keys_differ(scene):
    """Other keys get other names, of 12 hexadecimal digits."""
    app = scene.app()
    names = set()
    for key in ("alice", "alice2", "bob", "carol"):
        ssh = scene.ssh(f"443:127.0.0.1:{app.port}", key=key)
        names.add(host_of(ssh.url))
    assert len(names) == 4
    assert all(re.fullmatch(r"[0-9a-f]{12}\.example\.test", n) for n in names)


# ---- dead clients ----


def test_frozen_client_is_noticed(scene):
    """SIGSTOP: no sign of life, so the endpoint goes after interval * count."""
    app = scene.app()
    scene.start_gateway({"limits": {"keepalive_interval_ms": 500, "keepalive_count": 6}})
    tunnel = scene.tunnel(app, name="frozen")
    tunnel.signal(signal.SIGSTOP)
    wait_until(lambda: scene.gateway.metrics()["sallyport_endpoints"] == 0, "endpoint gone")
    assert offline(scene, "frozen")
    tunnel.signal(signal.SIGCONT)
    assert tunnel.wait_exit() not in (0, None)


def test_idle_client_lives(scene):
    """A client that answers keepalives is never dropped, with or without its own keepalives."""
    app, count = scene.app(), 30
    scene.start_gateway({"limits": {"keepalive_interval_ms": 100, "keepalive_count": count}})
    plain = scene.tunnel(app, args=("-v",))
    chatty = scene.tunnel(app, args=("-v",), options=("ServerAliveInterval=1",))

    def asked(tunnel):
        return sum("rtype keepalive@openssh.com" in line for line in tunnel.err) > count

    wait_until(lambda: asked(plain) and asked(chatty), "more keepalives than may be missed", 60)
    assert plain.running and chatty.running
    assert scene.get(plain).status == 200
    assert scene.get(chatty).status == 200


@pytest.mark.soak
def test_frozen_client_is_noticed_within_15_seconds_by_default(scene):
    """With the settings as they come, a dead client is noticed within 15 s."""
    scene.start_gateway()
    tunnel = scene.tunnel(scene.app(), name="frozen")
    tunnel.signal(signal.SIGSTOP)
    wait_until(lambda: scene.gateway.metrics()["sallyport_endpoints"] == 0, "endpoint gone", 16)
    tunnel.signal(signal.SIGCONT)


@pytest.mark.soak
def test_name_is_held_for_a_minute_by_default(scene):
    """The default hold is 60 s."""
    scene.start_gateway()
    app = scene.app()
    scene.tunnel(app, name="held").kill()
    wait_offline(scene, "held")
    refused = scene.ssh(remote("held", app), key="bob")
    assert refused.wait_exit() != 0

    def free():
        ssh = scene.ssh(remote("held", app), key="bob")
        wait_until(lambda: ssh.out or not ssh.running, "answer to the claim")
        return ssh.out

    stays(lambda: not free(), "held", 50)
    wait_until(free, "free after a minute", 30)
