"""The session of the README: python3 -m http.server, ssh -R, curl."""

import re
import sys

import pytest

from lib.process import Process

SETTINGS = {"domain": "localhost"}


@pytest.fixture
def file_server(scene, tmp_path):
    """`python3 -m http.server` on a free port, with one page."""
    (tmp_path / "index.html").write_text("<p>it works\n")
    server = scene.keep(Process([sys.executable, "-u", "-m", "http.server", "0", "--bind",
                                 "127.0.0.1", "--directory", tmp_path]), "stop")
    server.port = int(server.wait_text(r"port (\d+)")[1])
    return server


def test_basic_auth_guards_the_published_server(scene, file_server):
    """401 without credentials or with wrong ones, 200 with the right ones; the URL is printed."""
    tunnel = scene.ssh(f"app.localhost:443:localhost:{file_server.port}",
                       command="http --basic-auth user:password1")

    assert tunnel.url == f"https://app.localhost:{scene.gateway.https_port}"
    status, body, _ = scene.curl(tunnel.url, "-k", "-w", "%{http_code}", "-o", "/dev/null")
    assert (status, body) == (0, b"401")
    _, body, _ = scene.curl(tunnel.url, "-k", "-u", "user:wrong", "-w", "%{http_code}", "-o",
                            "/dev/null")
    assert body == b"401"
    status, body, _ = scene.curl(tunnel.url, "-k", "-u", "user:password1")
    assert (status, body) == (0, b"<p>it works\n")
    file_server.wait_err("GET / ")
    assert not any("HTTP/1.1\" 401" in line for line in file_server.err)
    assert sum("GET / " in line for line in file_server.err) == 1


def test_short_password_of_the_readme_is_taken(scene, file_server):
    """The README's own line, --basic-auth user:pass, works as it stands."""
    tunnel = scene.ssh(f"app.localhost:443:localhost:{file_server.port}",
                       command="http --basic-auth user:pass")
    _, body, _ = scene.curl(tunnel.url + "/", "-k", "-u", "user:pass")
    assert body == b"<p>it works\n"


def test_challenge_names_the_scheme(scene, file_server):
    """A 401 carries one Basic challenge, so that browsers ask."""
    tunnel = scene.tunnel_to("app.localhost", file_server, "--basic-auth user:password1")
    response = scene.get(tunnel, "/")
    assert response.status == 401
    assert re.match(r'Basic realm="', response.header("www-authenticate"))


def test_local_ca_verifies(scene, file_server):
    """curl with --cacert state_dir/ca.crt accepts the leaf that was made on demand."""
    tunnel = scene.tunnel_to("app.localhost", file_server)
    status, body, err = scene.curl(tunnel.url, "--cacert", scene.gateway.state / "ca.crt")
    assert (status, body) == (0, b"<p>it works\n"), err
    status, _, _ = scene.curl(tunnel.url)
    assert status == 60, "the local CA is trusted by nobody else"


def test_stdout_is_urls_only(scene, file_server):
    """`ssh ... | head -1` is the URL; notices and request lines go to stderr."""
    tunnel = scene.tunnel_to("app.localhost", file_server, "--log stderr")
    for _ in range(3):
        assert scene.get(tunnel, "/").status == 200
    tunnel.wait_err(r"(?i)get.*200|200.*get")
    assert tunnel.out == [tunnel.url]


def test_head_takes_the_url_from_a_shell_pipe(scene, file_server):
    """The shell idiom itself; the tunnel goes on after head has left."""
    ssh = scene.ssh(f"app.localhost:443:localhost:{file_server.port}")
    line = " ".join(f"'{word}'" for word in ssh.argv)
    ssh.stop()
    shell = scene.keep(Process(["bash", "-c", f"{line} | head -1"], group=True), "stop")
    assert shell.wait_out()[0] == f"https://app.localhost:{scene.gateway.https_port}"
    status, body, _ = scene.curl(shell.out[0], "-k")
    assert body == b"<p>it works\n"


def test_plain_http_endpoint(scene, file_server):
    """-R name:80 is an http endpoint and has no https twin."""
    tunnel = scene.ssh(f"app.localhost:80:localhost:{file_server.port}")
    assert tunnel.url == f"http://app.localhost:{scene.gateway.http_port}"
    assert scene.http("app.localhost").get("/").status == 200
    assert scene.https("app.localhost").get("/").error_code == "ERR_SALLYPORT_3200"
