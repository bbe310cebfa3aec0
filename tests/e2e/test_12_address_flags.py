"""Flags that name an endpoint or say who reaches it: --binding, --domain, --hostname, --subdomain."""

import re

import pytest

from lib.internal import entrance, forward
from lib.tunnel import host_of

HOST = "tcp.example.test"


def text(ssh):
    return "\n".join(ssh.out + ssh.err)


def visit(scene, url):
    conn = scene.http(host_of(url)) if url.startswith("http:") else scene.https(host_of(url))
    return conn.get("/hello")


NAMED = [
    # -R, flags, URL without its port
    ("443", "--domain d1.example.test", "https://d1.example.test"),
    ("0", "--domain d2.example.test", "https://d2.example.test"),
    ("80", "--hostname D3.example.test", "http://d3.example.test"),
    ("443", "--hostname *.d4.example.test", "https://*.d4.example.test"),
    ("443", "--subdomain d5", "https://d5.example.test"),
    ("0", "--subdomain d6 --scheme http", "http://d6.example.test"),
    ("443", "--subdomain d7 --binding public", "https://d7.example.test"),
]


@pytest.mark.parametrize("port, flags, url", NAMED, ids=[n[1] for n in NAMED])
def test_old_flags_name_the_endpoint(scene, port, flags, url):
    """As --url would, and it works."""
    app = scene.app(name="named")
    ssh = scene.ssh(f"{port}:127.0.0.1:{app.port}", command=f"http {flags}")
    assert re.sub(r":\d+$", "", ssh.url) == url
    if "*" in url:
        assert scene.https("x.d4.example.test").get("/hello").text == "hello from named\n"
    else:
        assert visit(scene, ssh.url).text == "hello from named\n"


def test_syntax_of_version_1(scene):
    """-hostname and -subdomain, with one dash."""
    app = scene.app()
    ssh = scene.ssh(f"443:127.0.0.1:{app.port}", command="http -subdomain=v1sub", user="v1")
    assert host_of(ssh.url) == "v1sub.example.test"
    ssh = scene.ssh(f"443:127.0.0.1:{app.port}", command="http -hostname v1.example.test",
                    user="v1")
    assert host_of(ssh.url) == "v1.example.test"


def test_names_of_tls_endpoints(scene):
    """They are those of tls, too."""
    ssh = scene.ssh("0:127.0.0.1:9", command="tls --subdomain t1")
    assert re.fullmatch(r"tls://t1\.example\.test(:\d+)?", ssh.urls(1)[0])


REFUSED = [
    ("a.example.test:443", "http --subdomain x", 1119),
    ("443", "http --hostname a.example.test --subdomain b", 1120),
    (f"{HOST}:25000", f"tcp --remote-addr {HOST}:25000", 1114),
    ("25000", f"tcp --remote-addr {HOST}:25000", 1115),
    ("a.example.test:443", "http --hostname a.example.test", 1118),
    ("a.example.test:443", "http --domain b.example.test", 1118),
    ("443", "http --domain a.example.test --hostname a.example.test", 9021),
    ("443", "http --domain a.example.test --url https://a.example.test", 9021),
    ("443", "http --subdomain a --subdomain b", 1110),
    ("443", "http --domain https://a.example.test", 326),
    ("443", "http --domain a_b.example.test", 355),
    ("443", "http --domain example.nosuchtld", 331),
    ("443", "tcp --domain a.example.test", 1109),
    ("443", "http --binding kubernetes", 15005),
    ("443", "http --binding nonsense", 15005),
    ("443", "http --binding internal", 9028),
    ("a.example.test:443", "http --binding internal", 9029),
    ("443", "http --subdomain a --binding internal", 9029),
    ("a.internal:443", "http --binding public", 331),
    ("0", "tcp --binding internal", 9028),
]


@pytest.mark.parametrize("remote, command, number", REFUSED,
                         ids=[f"{r}-{c}" for r, c, _ in REFUSED])
def test_refused_with_its_code(scene, remote, command, number):
    """What cannot be has its documented number (spec 5.3 and 8.2), and nothing is public."""
    scene.ssh(f"{remote}:127.0.0.1:9", command=command).assert_refused(number)


@pytest.mark.parametrize("flags", ["", "--binding internal"])
def test_internal_by_name_or_by_flag(scene, flags):
    """A name below .internal is internal either way, and only other endpoints reach it."""
    name = scene.name()
    app = scene.app(name="inside")
    ssh = scene.ssh(f"{name}.internal:443:127.0.0.1:{app.port}", command=f"http {flags}".strip())
    assert ssh.urls(1) == [f"https://{name}.internal"]
    assert scene.http(f"{name}.internal").get("/hello").status == 404
    public = entrance(scene, forward(name))
    assert public.request("/hello").text == "hello from inside\n"


def test_name_of_another_account_is_refused(scene):
    """A flag is no way around who has a name."""
    scene.tunnel(scene.app(), name="taken")
    for flags in ("--domain taken.example.test", "--hostname taken.example.test",
                  "--subdomain taken"):
        ssh = scene.ssh("443:127.0.0.1:9", command=f"http {flags}", key="bob")
        assert ssh.wait_exit() == 1
        assert "ERR_SALLYPORT_320" in text(ssh), ssh.describe()


def test_region_is_ignored_with_a_notice(scene):
    """--region changes nothing, and says so on standard error."""
    app = scene.app()
    ssh = scene.ssh(f"r1.example.test:443:127.0.0.1:{app.port}", command="http --region eu")
    assert visit(scene, ssh.url).status == 200
    ssh.wait_err(r"^--region is ignored")
    assert len(ssh.out) == 1


LEVELS = [("info", {200, 404, 502}), ("warn", {404, 502}), ("error", {502}), ("crit", set())]


@pytest.mark.parametrize("level, shown", LEVELS, ids=[level for level, _ in LEVELS])
def test_log_level_chooses_request_lines(scene, level, shown):
    """warn from status 400, error from 500; the log has told of all when the lines are counted."""
    app = scene.app()
    tunnel = scene.tunnel(app, flags=f"--log stderr --log-format json --log-level {level}")
    assert [scene.get(tunnel, t).status for t in ("/hello", "/nothing")] == [200, 404]
    app.close()
    assert scene.get(tunnel, "/hello").status == 502
    scene.gateway.wait_log(lambda e: tunnel.host in str(e) and "'status_code': 502" in str(e),
                           what="the last request")
    for status in shown:
        tunnel.wait_err(rf'"status_code": ?{status}\b')
    lines = re.findall(r'"status_code": ?(\d+)', text(tunnel))
    assert sorted(map(int, lines)) == sorted(shown)
