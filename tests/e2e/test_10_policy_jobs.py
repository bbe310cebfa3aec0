"""Reading and compiling a policy takes its time: nobody else waits for it, and it may come too late."""

import pytest

from lib.gateway import DOMAIN
from lib.policy import stdin_of
from lib.ssh_peers import cpu_seconds
from lib.wait import wait_until

#: One worker, which has everything on its loop, and as many patterns as take their time.
SETTINGS = {"workers": 1, "limits": {"policy_patterns_max": 100_000_000}}


def document(count=500):
    """Takes a second or more to compile: every pattern is another one."""
    rules = "".join(
        f"- expressions: [{','.join(pattern(25 * i + j) for j in range(25))}]\n"
        "  actions: [{type: deny}]\n" for i in range(count // 25))
    return stdin_of("on_http_request:\n" + rules)


def pattern(i):
    return f"\"req.url.path.matches('(a|bc){{1,400}}{i}')\""


def is_compiling(gateway):
    """Returns when it has begun: half a second of work that nobody else asks for."""
    before = cpu_seconds(gateway)
    wait_until(lambda: cpu_seconds(gateway) - before > 0.5, "the compiler is at work", 20)


def test_requests_are_served_meanwhile(scene):
    app = scene.app()
    tunnel = scene.tunnel(app)
    check = scene.ssh(command="policy check", stdin=document(1200))
    is_compiling(scene.gateway)
    served = 0
    while check.running:
        assert scene.get(tunnel).status == 200
        served += check.running
    assert served > 0
    assert check.wait_exit() == 0


@pytest.mark.parametrize("command", ["policy check", "http --traffic-policy-file -"])
def test_client_that_leaves_meanwhile(scene, command):
    """Nothing is opened, and nothing is left."""
    app, name = scene.app(), f"{scene.name()}.{DOMAIN}"
    scene.tunnel(app)
    forwards = [f"{name}:443:127.0.0.1:{app.port}"] if command.startswith("http") else []
    ssh = scene.ssh(*forwards, command=command, stdin=document())
    is_compiling(scene.gateway)
    ssh.kill()
    scene.gateway.wait_gauge("sallyport_ssh_sessions", 1)
    assert scene.https(name).get("/").status == 404


def test_gateway_that_ends_meanwhile(scene):
    gateway = scene.start_gateway(SETTINGS)
    scene.ssh(command="policy check", stdin=document())
    is_compiling(gateway)
    assert gateway.terminate() == 0


def test_forwards_cancelled_meanwhile_are_not_compiled_for(scene, master):
    """Whoever asks for a forward and cancels it over and over takes no turns from others."""
    gateway = scene.start_gateway(SETTINGS)
    keeper, fickle = (f"{scene.name()}.{DOMAIN}:443:127.0.0.1:{scene.app().port}" for _ in range(2))
    before = cpu_seconds(gateway)
    ssh, control = master(keeper, command="http --traffic-policy-file -", stdin=document(1200))
    ssh.urls(1, 60)
    once = cpu_seconds(gateway) - before
    for _ in range(40):
        assert control("-O", "forward", "-R", fickle)[0] == 0
        assert control("-O", "cancel", "-R", fickle)[0] == 0
    check = scene.ssh(command="policy check", stdin=document(25))
    assert check.wait_exit(60) == 0
    assert cpu_seconds(gateway) - before < 15 * once
