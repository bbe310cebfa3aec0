"""--traffic-policy-url: the gateway fetches the policy of a command before anything is public."""

import re
import subprocess
import threading

import pytest

from lib.ports import free_port
from lib.wait import wait_until

SETTINGS = {"http_request": {"allow": ["127.0.0.1/32"]},
            "limits": {"policy_document_max_bytes": 4096}}

POLICY = """\
on_http_response:
  - actions: [{type: add-headers, config: {headers: {x-by: fetched}}}]
"""
RAW = "on_tcp_connect: [{actions: [{type: deny}]}]"


@pytest.fixture(name="web")
def fixture_web(scene):
    """A web server of ours: web(text, status) makes it answer with that, and gives the URL."""
    app = scene.app(name="web")
    seen = []

    def serve(text, status="200 OK", headers=(), path="/policy.yml"):
        def handler(conn, request):
            app.skip(conn, request)
            seen.append(request)
            conn.respond(text.encode(), status, headers)

        app.route(path, handler)
        return f"http://127.0.0.1:{app.port}{path}"

    serve.seen = seen
    return serve


def start(scene, name, url, flags="", **kw):
    app = scene.app()
    return scene.ssh(f"{name}.example.test:443:127.0.0.1:{app.port}",
                     command=f"http --traffic-policy-url {url} {flags}".strip(), **kw)


def refused(scene, ssh, name, number, pattern=""):
    assert ssh.wait_exit(20) == 1, ssh.describe()
    assert re.search(rf"ERR_SALLYPORT_{number}: .*{pattern}", "\n".join(ssh.err)), ssh.describe()
    assert ssh.out == []
    assert scene.get(f"{name}.example.test").status == 404


def test_policy_is_fetched_once_and_runs(scene, web):
    """All endpoints of the command have it, and later requests ask nobody."""
    url = web(POLICY)
    app = scene.app()
    names = [scene.name() for _ in range(2)]
    ssh = scene.ssh(*(f"{n}.example.test:443:127.0.0.1:{app.port}" for n in names),
                    command=f"http --traffic-policy-url {url}")
    ssh.urls(2)
    for name in names:
        for _ in range(2):
            response = scene.get(f"{name}.example.test")
            assert (response.status, response.header("x-by")) == (200, "fetched")
    assert len(web.seen) == 1


def test_policy_of_a_raw_endpoint(scene, web):
    """Of a tls endpoint: connections are refused by it."""
    name = scene.name()
    ssh = scene.ssh(f"{name}.example.test:443:127.0.0.1:9",
                    command=f"tls --traffic-policy-url {web(RAW)}")
    assert ssh.urls(1)
    with pytest.raises((OSError, AssertionError)):
        scene.https(f"{name}.example.test").get("/")


def test_redirects_are_followed_to_a_point(scene, web):
    """Three at most."""
    target = web(POLICY)
    for i in range(1, 5):
        target = web("", "302 Found", [f"Location: {target}"], path=f"/hop{i}")
        name = scene.name()
        ssh = start(scene, name, target)
        if i <= 3:
            assert ssh.urls(1)
            assert scene.get(f"{name}.example.test").header("x-by") == "fetched"
        else:
            refused(scene, ssh, name, 9026, "redirect")


BAD = [
    ("on_http_request: [{actions: [{type: nope}]}]", "200 OK", "the policy has 1 error"),
    ("{", "200 OK", "the policy has 1 error"),
    ("nothing here", "404 Not Found", "status 404"),
    ("broken", "500 Internal Server Error", "status 500"),
    ("#" * 5000, "200 OK", "too large"),
]


@pytest.mark.parametrize("text, status, why", BAD, ids=[b[2] + b[0][:1] for b in BAD])
def test_what_is_no_policy_opens_nothing(scene, web, text, status, why):
    """With a reason, and exit status 1."""
    name = scene.name()
    refused(scene, start(scene, name, web(text, status)), name, 9026, why)


def test_problems_are_shown_with_their_places(scene, web):
    """Line and column are those of the fetched document."""
    ssh = start(scene, scene.name(), web(POLICY + "on_http_request: 1\n"))
    ssh.wait_err(r"^policy:3:\d+: error\[ERR_SALLYPORT_\d+\]")
    assert ssh.wait_exit() == 1


def test_nobody_there(scene):
    """A server that cannot be reached."""
    name = scene.name()
    refused(scene, start(scene, name, f"http://127.0.0.1:{free_port()}/"), name, 9026,
            "--traffic-policy-url: ")


@pytest.mark.parametrize("url", ["http://127.0.0.2/p.yml", "http://[::1]/p.yml",
                                 "http://localhost/p.yml", "https://policies.example/p.yml"])
def test_only_where_the_operator_allows(scene, url):
    """The list for requests of policies holds for them, too."""
    name = scene.name()
    refused(scene, start(scene, name, url), name, 9026, "--traffic-policy-url: ")


def test_silent_server_is_given_up(scene):
    """After policy_input_timeout_ms; nothing is public meanwhile."""
    scene.start_gateway({**SETTINGS, "limits": {"policy_input_timeout_ms": 2000}})
    server = scene.scripted()
    name = scene.name()
    ssh = start(scene, name, f"http://127.0.0.1:{server.port}/p.yml")
    wait_until(lambda: server.connections or not ssh.running, "the fetch")
    assert scene.get(f"{name}.example.test").status == 404
    assert ssh.out == []
    refused(scene, ssh, name, 9026, "timed out")


def test_user_who_leaves_cancels_it(scene):
    """The gateway lets go of the request, too."""
    server = scene.scripted()
    for leave in ("stop", "kill"):
        ssh = start(scene, scene.name(), f"http://127.0.0.1:{server.port}/p.yml")
        conn = server.accept()
        conn.read_request()
        getattr(ssh, leave)()
        conn.wait_eof()


def test_ctrl_c_while_it_is_fetched(scene):
    """With a terminal."""
    server = scene.scripted()
    ssh = start(scene, scene.name(), f"http://127.0.0.1:{server.port}/p.yml", pty=True)
    server.accept().read_request()
    ssh.type(b"\x03")
    assert ssh.wait_exit() is not None
    assert ssh.out == [] or not any("https://" in line for line in ssh.out)


def test_beside_what_standard_input_carries(scene, web):
    """The policy comes by its URL, and authorities of visitors by standard input."""
    name = scene.name()
    ssh = start(scene, name, web(POLICY), "--mutual-tls-cas -", stdin=subprocess.PIPE)
    ssh.type(b"no certificate")
    ssh.child.stdin.close()
    assert ssh.wait_exit() == 1
    assert re.search(r"ERR_SALLYPORT_(14002|1695)", "\n".join(ssh.err)), ssh.describe()
    assert len(web.seen) == 1


def test_given_twice_is_refused(scene, web):
    """One policy only; and no other schemes."""
    url = web(POLICY)
    for command, number in ((f"http --traffic-policy-url {url} --traffic-policy-file -", 9025),
                            (f"http --traffic-policy-url {url} --traffic-policy x", 9025),
                            ("http --traffic-policy-url file:///etc/passwd", 1110)):
        ssh = scene.ssh("443:127.0.0.1:9", command=command)
        assert ssh.wait_exit() == 1
        assert f"ERR_SALLYPORT_{number}" in "\n".join(ssh.err), ssh.describe()
    assert web.seen == []


def test_many_at_once(scene, web):
    """Each command gets the whole document, whatever worker it is on."""
    url = web(POLICY)
    names = [scene.name() for _ in range(12)]
    tunnels = []
    threads = [threading.Thread(target=lambda n=n: tunnels.append(start(scene, n, url)))
               for n in names]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for tunnel in tunnels:
        assert tunnel.urls(1)
    assert all(scene.get(f"{n}.example.test").header("x-by") == "fetched" for n in names)
    wait_until(lambda: len(web.seen) == len(names), "all fetches")
