"""The forms of ssh -R: which endpoint each makes, several on one connection, added and cancelled."""

import re
import shlex
import subprocess

import pytest

from lib.gateway import DOMAIN
from lib.process import Process
from lib.tunnel import SSH_ENV, host_of
from lib.wait import wait_until

RANDOM = rf"[0-9a-f]{{12}}\.{re.escape(DOMAIN)}"


def visit(scene, url, target="/hello"):
    """GET over the URL that was printed."""
    host = host_of(url)
    conn = scene.https(host) if url.startswith("https") else scene.http(host)
    with conn:
        return conn.get(target)


FORMS = [
    # REMOTE without the local part, expected URL without port (spec 5.3)
    ("443", "https", RANDOM),
    ("0", "https", RANDOM),
    ("80", "http", RANDOM),
    ("*:443", "https", RANDOM),
    (":443", "https", RANDOM),
    ("localhost:443", "https", RANDOM),
    ("127.0.0.1:443", "https", RANDOM),
    ("0.0.0.0:443", "https", RANDOM),
    ("[::]:443", "https", RANDOM),
    ("[::1]:443", "https", RANDOM),
    ("localhost:80", "http", RANDOM),
    ("form.example.test:443", "https", r"form\.example\.test"),
    ("form.example.test:80", "http", r"form\.example\.test"),
    ("form.example.test:0", "https", r"form\.example\.test"),
    ("Form.EXAMPLE.Test:443", "https", r"form\.example\.test"),
    ("xn--bcher-kva.example.test:443", "https", r"xn--bcher-kva\.example\.test"),
    ("own.some-company.com:443", "https", r"own\.some-company\.com"),
]


@pytest.mark.parametrize("remote,scheme,host", FORMS, ids=[f[0] for f in FORMS])
def test_form_makes_its_endpoint(scene, remote, scheme, host):
    """Each form of REMOTE prints its URL, and a request to that URL gets through."""
    app = scene.app()
    ssh = scene.ssh(f"{remote}:127.0.0.1:{app.port}")
    port = scene.gateway.https_port if scheme == "https" else scene.gateway.http_port
    assert re.fullmatch(rf"{scheme}://{host}:{port}", ssh.url), ssh.out
    assert visit(scene, ssh.url).body == b"hello from app\n"


def test_wildcard_takes_every_name_below(scene):
    """-R '*.w.example.test:443' answers for any name below it, not for the name itself."""
    app = scene.app()
    ssh = scene.ssh(f"*.w.example.test:443:127.0.0.1:{app.port}")
    assert ssh.url == f"https://*.w.example.test:{scene.gateway.https_port}"
    for host in ("a.w.example.test", "a.b.c.w.example.test"):
        assert scene.get(host, "/host").text == f"{host}:{scene.gateway.https_port}"
    assert scene.http("w.example.test").get("/").error_code == "ERR_SALLYPORT_3200"


BAD_FORMS = [
    ("form.example.test:8443", "1113"),
    ("8080", "1113"),
    ("bad_name.example.test:443", "355"),
    ("a..example.test:443", "327"),
    ("-a.example.test:443", "328"),
    ("a-.example.test:443", "329"),
    ("ab--c.example.test:443", "330"),
    ("exa!mple.example.test:443", "326"),
    ("a.*.example.test:443", "326"),
    ("name.nosuchtld:443", "331"),
    ("192.0.2.1:443", "331"),
    ("x" * 64 + ".example.test:443", "396"),
    ("xn--99999999.example.test:443", "347"),
]


@pytest.mark.parametrize("remote,code", BAD_FORMS, ids=[f[0][:20] for f in BAD_FORMS])
def test_bad_form_is_refused_with_its_reason(scene, remote, code):
    """A forward that cannot be an endpoint says why on stderr and ends the session with 1."""
    ssh = scene.ssh(f"{remote}:127.0.0.1:9")
    ssh.wait_err(rf"ERR_SALLYPORT_{code}\b")
    assert ssh.wait_exit() != 0
    assert ssh.out == []


def test_several_forwards_print_in_order(scene):
    """Several -R make several endpoints; stdout has their URLs in the order of the -R."""
    one, two = scene.app(name="one"), scene.app(name="two")
    ssh = scene.ssh(f"s1.example.test:443:127.0.0.1:{one.port}",
                    f"s2.example.test:80:127.0.0.1:{two.port}",
                    f"s1.example.test:80:127.0.0.1:{two.port}",
                    f"443:127.0.0.1:{one.port}")
    urls = ssh.urls(4)
    assert [host_of(u) for u in urls[:3]] == ["s1.example.test", "s2.example.test",
                                              "s1.example.test"]
    assert [u.split(":")[0] for u in urls] == ["https", "http", "http", "https"]
    assert [visit(scene, u).text.split()[-1] for u in urls] == ["one", "two", "two", "one"]


def test_port_zero_gets_distinct_labels(scene):
    """Two -R 0: are two random endpoints whose channels do not mix; labels are 443 and 444."""
    one, two = scene.app(name="one"), scene.app(name="two")
    ssh = scene.ssh(f"0:127.0.0.1:{one.port}", f"0:127.0.0.1:{two.port}")
    urls = ssh.urls(2)
    assert len(set(urls)) == 2
    assert ssh.wait_allocated(2) == ["443", "444"]
    assert [visit(scene, u).text.split()[-1] for u in urls] == ["one", "two"]


def test_same_forward_twice_is_refused_once(scene):
    """-R 443: -R 443: cannot be told apart by the client: the second is refused, the first lives."""
    one, two = scene.app(name="one"), scene.app(name="two")
    ssh = scene.ssh(f"443:127.0.0.1:{one.port}", f"443:127.0.0.1:{two.port}")
    url = ssh.url
    ssh.wait_err(r"ERR_SALLYPORT_1105\b|forwarding failed")
    assert visit(scene, url).text == "hello from one\n"
    assert ssh.out == [url]


def test_one_bad_forward_leaves_the_others(scene):
    """Partial failure: the endpoints that could be made stay, the other's reason is on stderr."""
    app = scene.app()
    ssh = scene.ssh(f"good.example.test:443:127.0.0.1:{app.port}",
                    f"bad.example.test:8443:127.0.0.1:{app.port}")
    assert host_of(ssh.url) == "good.example.test"
    ssh.wait_err(r"ERR_SALLYPORT_1113\b")
    assert visit(scene, ssh.url).status == 200
    assert len(ssh.out) == 1


def test_url_flag_names_unnamed_forwards(scene):
    """--url gives the n-th forward its URL (spec rows R29, R30)."""
    one, two = scene.app(), scene.app()
    ssh = scene.ssh(f"0:127.0.0.1:{one.port}", f"0:127.0.0.1:{two.port}",
                    command="http --url https://u1.example.test --url http://u2.example.test")
    assert [u.rpartition(":")[0] for u in ssh.urls(2)] == ["https://u1.example.test",
                                                           "http://u2.example.test"]
    assert [visit(scene, u).status for u in ssh.out] == [200, 200]


def test_url_flag_against_the_remote_port_is_refused(scene):
    """Row R31: the port contradicts the URL; row R32: two names."""
    ssh = scene.ssh("80:127.0.0.1:9", command="http --url https://u1.example.test")
    ssh.wait_err(r"ERR_SALLYPORT_1113\b")
    assert ssh.wait_exit() != 0
    ssh = scene.ssh("u1.example.test:443:127.0.0.1:9",
                    command="http --url https://u2.example.test")
    ssh.wait_err(r"ERR_SALLYPORT_1118\b")
    assert ssh.wait_exit() != 0


def test_scheme_flag_makes_both(scene):
    """--scheme http,https makes an http and an https endpoint of one forward."""
    app = scene.app()
    ssh = scene.ssh(f"both.example.test:443:127.0.0.1:{app.port}",
                    command="http --scheme http,https")
    assert {u.partition(":")[0] for u in ssh.urls(2)} == {"http", "https"}
    assert [visit(scene, u).status for u in ssh.out] == [200, 200]


def test_scheme_flag_http(scene):
    """--scheme http on a port-0 forward is an http endpoint only."""
    app = scene.app()
    ssh = scene.ssh(f"plain.example.test:0:127.0.0.1:{app.port}", command="http --scheme http")
    assert ssh.url == f"http://plain.example.test:{scene.gateway.http_port}"
    assert visit(scene, ssh.url).status == 200


def test_cancel_takes_one_endpoint_offline(scene, master):
    """-O cancel while running: that endpoint is gone, the other and the session stay."""
    app = scene.app()
    gone, stays = (f"{n}.example.test:443:127.0.0.1:{app.port}" for n in ("gone", "stays"))
    ssh, control = master(gone, stays)
    ssh.urls(2)
    status, done = control("-O", "cancel", "-R", gone)
    assert status == 0, done.describe()
    wait_until(lambda: scene.get("gone.example.test").error_code == "ERR_SALLYPORT_3200",
               "endpoint offline")
    assert scene.get("stays.example.test").status == 200
    assert ssh.running


def test_escape_cancels_and_adds(scene):
    """~C -KR and ~C -R of an interactive client with a terminal."""
    app = scene.app()
    ssh = scene.ssh(f"tilde.example.test:443:127.0.0.1:{app.port}", pty=True,
                    options=("EnableEscapeCommandline=yes",))
    line = shlex.join(ssh.argv)
    ssh.stop()
    terminal = scene.keep(Process(["script", "-qfec", line, "/dev/null"], SSH_ENV,
                                  subprocess.PIPE, group=True), "stop")
    terminal.wait_text(r"https://tilde\.example\.test")

    def command(words):
        prompts = terminal.raw.count(b"ssh> ")
        terminal.child.stdin.write(b"\r~C")
        terminal.child.stdin.flush()
        wait_until(lambda: terminal.raw.count(b"ssh> ") > prompts, terminal.describe)
        terminal.child.stdin.write(words + b"\r")
        terminal.child.stdin.flush()

    command(b"-KR tilde.example.test:443")
    wait_until(lambda: scene.get("tilde.example.test").status == 404, "endpoint offline")
    command(f"-R late.example.test:443:127.0.0.1:{app.port}".encode())
    terminal.wait_text(r"https://late\.example\.test")
    assert scene.get("late.example.test").status == 200


def test_forward_added_later_comes_online(scene, master):
    """-O forward while running: the new endpoint has the session's command and flags."""
    app = scene.app()
    ssh, control = master(f"first.example.test:443:127.0.0.1:{app.port}",
                          command="http --response-header-add x-tag:late")
    assert len(ssh.urls()) == 1
    status, done = control("-O", "forward", "-R", f"second.example.test:443:127.0.0.1:{app.port}")
    assert status == 0, done.describe()
    assert host_of(ssh.urls(2)[1]) == "second.example.test"
    assert scene.get("second.example.test").header("x-tag") == "late"


def test_command_whose_policy_comes_late_shows_what_another_serves(scene, master, tmp_path):
    """The forwards are those of the command that was ready for them first."""
    path = tmp_path / "control"
    first, _ = master(f"ours.example.test:443:127.0.0.1:{scene.app().port}",
                      command="http --traffic-policy-file -", stdin=subprocess.PIPE)
    wait_until(path.exists, "control socket")
    second = scene.ssh(options=(f"ControlPath={path}",))
    assert host_of(second.url) == "ours.example.test"
    first.child.stdin.write(b"on_http_request:\n- actions: [{type: deny}]\n")
    first.child.stdin.close()
    assert host_of(first.url) == "ours.example.test"
    assert scene.get("ours.example.test").status == 200


def test_cancelled_forward_may_come_back(scene, master):
    """Cancel and ask again for the same name, by the same session."""
    app = scene.app()
    remote = f"again.example.test:443:127.0.0.1:{app.port}"
    ssh, control = master(remote, f"keeper.example.test:443:127.0.0.1:{app.port}")
    ssh.urls(2)
    assert control("-O", "cancel", "-R", remote)[0] == 0
    wait_until(lambda: scene.get("again.example.test").status == 404, "endpoint offline")
    assert control("-O", "forward", "-R", remote)[0] == 0
    assert host_of(ssh.urls(3)[2]) == "again.example.test"
    assert scene.get("again.example.test").status == 200


def test_running_request_survives_the_cancel(scene, master):
    """A cancel does not cut a response that is under way."""
    up = scene.scripted()
    remote = f"slow.example.test:443:127.0.0.1:{up.port}"
    ssh, control = master(remote)
    visitor = scene.https("slow.example.test")
    assert ssh.url
    visitor.send(visitor.request_bytes("GET", "/"))
    conn = up.accept()
    conn.read_request()
    conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234")
    visitor.read_until(b"01234")
    assert control("-O", "cancel", "-R", remote)[0] == 0
    wait_until(lambda: scene.get("slow.example.test").status == 404, "endpoint offline")
    conn.send(b"56789")
    assert visitor.read_exactly(5) == b"56789"


def test_originator_is_the_visitor(scene):
    """The channel open names the visitor's real address and port (ssh -v shows them)."""
    app = scene.app()
    tunnel = scene.tunnel(app, args=("-v",))
    with scene.https(tunnel) as conn:
        assert conn.get("/hello").status == 200
        tunnel.wait_err(rf"originator 127\.0\.0\.1 port {conn.local_port}\b")


def test_case_of_the_remote_name_reaches_the_client_unchanged(scene):
    """Channel opens carry the exact bytes of the request, or OpenSSH refuses them."""
    app = scene.app()
    ssh = scene.ssh(f"MiXeD.example.test:443:127.0.0.1:{app.port}", args=("-v",))
    assert visit(scene, ssh.url).status == 200
    ssh.wait_err(r"listen MiXeD\.example\.test port 443")


def test_unix_socket_forward_is_refused(scene):
    """-R /path: streamlocal forwards are refused; with nothing else the session ends."""
    ssh = scene.ssh("/run/x.sock:127.0.0.1:9")
    assert ssh.wait_exit(20) != 0
    assert ssh.out == []


def test_two_connections_are_apart(scene):
    """The end of one connection of a key leaves the endpoints of another alone."""
    app = scene.app()
    first = scene.tunnel(app, name="conn1")
    second = scene.tunnel(app, name="conn2")
    first.stop()
    wait_until(lambda: scene.get("conn1.example.test").status == 404, "endpoint offline")
    assert scene.get(second).status == 200
