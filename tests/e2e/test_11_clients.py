"""
Programs that people use against a server that people use (Node), by every way: curl, nghttp2's tools,
Node and Chromium.
"""

import hashlib
import os
import re
import subprocess

import pytest

from lib.content import content
from lib.wait import TIME_SCALE
from lib.ways import UPSTREAMS

BIG = 32 * 1024 * 1024
VERSIONS = {"h1": ("--http1.1", "1.1"), "h2": ("--http2", "2")}
CHROMIUM = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", "--ignore-certificate-errors", "--disable-dev-shm-usage"]


class Site:
    """node/way_server.js behind the gateway."""

    def __init__(self, stage, up):
        self.gateway = stage.gateway
        self.host = stage.host(up, stage.node_port(up))
        self.port = stage.gateway.https_port
        self.url = f"https://{self.host}:{self.port}"


@pytest.fixture(params=UPSTREAMS)
def site(request, stage):
    yield Site(stage, request.param)
    stage.wait_rest(stage.MAX_IDLE)


@pytest.fixture(scope="module")
def big_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("content") / "big"
    path.write_bytes(content(BIG))
    return path


def run(*argv, seconds=120, **kw):
    done = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=seconds * TIME_SCALE, check=False, **kw)
    assert done.returncode == 0, f"{argv}: {done.returncode} {done.stdout[-500:]} {done.stderr}"
    return done.stdout.decode("utf-8", "replace")


def curl(site, path, version, *args):
    """The body of a good answer in that version."""
    option, spoken = VERSIONS[version]
    out = run("curl", "-q", "-sSk", option, "--noproxy", "*", "--connect-to",
              f"{site.host}::127.0.0.1:", "-w", "\n%{http_version} %{response_code}", *args,
              site.url + path)
    body, _, said = out.rpartition("\n")
    assert said == f"{spoken} 200"
    return body


@pytest.mark.parametrize("version", VERSIONS)
def test_curl_gets(site, version):
    """One small answer, and a stream of events."""
    for path, body in (("/hello", "hello from node\n"),
                       ("/events", "".join(f"data: {i}\n\n" for i in range(5)))):
        assert curl(site, path, version) == body


@pytest.mark.parametrize("version", VERSIONS)
def test_curl_uploads(site, version, big_file):
    """32 MiB up, of known and of unknown length."""
    expected = f"{BIG} {hashlib.sha256(big_file.read_bytes()).hexdigest()}"
    for args in ((), ("-H", "transfer-encoding: chunked") if version == "h1" else ()):
        assert curl(site, "/upload", version, "-X", "POST", "-T", big_file, *args) == expected


@pytest.mark.parametrize("version", VERSIONS)
def test_curl_mirrors(site, version, big_file, tmp_path):
    """32 MiB up and down at the same time."""
    curl(site, "/mirror", version, "-X", "POST", "-T", big_file, "-o", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == big_file.read_bytes()


def test_node_client(site, node):
    """Three requests at once on one session."""
    client = node.start("h2_client.js", site.url, site.port)
    assert client.wait_exit(120) == 0, client.describe()
    assert client.out[-1] == "ok"


@pytest.mark.parametrize("version", VERSIONS)
def test_h2load(site, version):
    """Two thousand requests, 64 at a time."""
    out = run("h2load", "-n2000", "-c8", *(["--h1"] if version == "h1" else ["-m8"]),
              f"--connect-to=127.0.0.1:{site.port}", site.url + "/hello")
    assert "2000 succeeded, 0 failed, 0 errored" in out, out[out.index("requests:"):]


def test_chromium(site, tmp_path):
    """A page that loads a hundred resources over HTTP/2."""
    out = run(*CHROMIUM, f"--user-data-dir={tmp_path}", "--host-resolver-rules=MAP * 127.0.0.1",
              "--dump-dom", site.url + "/page",
              seconds=300, env={**os.environ, "HOME": str(tmp_path)})
    body = re.search(r"<body>(.*)</body>", out, re.DOTALL)
    assert body and body[1] == "loaded 100 by h2", out
