"""The command line of a session: commands, flags, refusals, exit statuses, output."""

import json
import re
import subprocess

import pytest

from lib.process import Process
from lib.tunnel import host_of, ssh_options
from lib.wait import wait_until


def text(ssh):
    return "\n".join(ssh.out + ssh.err)


# ---- help, version, nothing ----


def test_help_names_the_commands(scene):
    """`ssh v2@gateway help` and `--help` say what to type, and exit 0."""
    for command in ("help", "--help"):
        ssh = scene.ssh(command=command)
        assert ssh.wait_exit() == 0, ssh.describe()
        assert re.search(r"ssh .*-R .*http", text(ssh)), ssh.describe()


FLAGS = ["--url", "--basic-auth", "--request-header-add", "--request-header-remove",
         "--response-header-add", "--response-header-remove", "--host-header", "--cidr-allow",
         "--cidr-deny", "--name", "--description", "--metadata", "--scheme", "--log",
         "--log-format", "--help"]


def test_http_help_lists_every_flag_and_makes_nothing(scene):
    """`http --help` with a forward prints the flags, exits 0, and nothing becomes public."""
    ssh = scene.ssh("helped.example.test:443:127.0.0.1:9", command="http --help")
    assert ssh.wait_exit() == 0, ssh.describe()
    for flag in FLAGS:
        assert flag in text(ssh), flag
    assert scene.get("helped.example.test").error_code == "ERR_SALLYPORT_3200"


def test_version(scene):
    """`version` prints the program's version and exits 0."""
    ssh = scene.ssh(command="version")
    assert ssh.wait_exit() == 0
    assert re.search(r"sallyport \d+\.\d+\.\d+", text(ssh)), ssh.describe()


def test_nothing_at_all_says_what_to_type(scene):
    """`ssh v2@gateway` alone prints the line to type."""
    for pty in (False, True):
        ssh = scene.ssh(command=None, pty=pty)
        ssh.wait_exit()
        assert re.search(r"ssh .*-R .*http", text(ssh)), ssh.describe()


def test_forward_without_command_is_refused(scene):
    """`ssh -R ...` without a command says what to type and exits non-zero; nothing is public."""
    ssh = scene.ssh("nocmd.example.test:443:127.0.0.1:9", command=None)
    assert ssh.wait_exit() not in (0, None)
    assert re.search(r"ERR_SALLYPORT_1107\b", text(ssh)), ssh.describe()
    assert "http" in text(ssh)


def test_command_without_forward_is_refused(scene):
    """`http` without -R says that -R is missing."""
    scene.start_gateway({"limits": {"command_wait_ms": 500}})
    ssh = scene.ssh(command="http")
    assert ssh.wait_exit() not in (0, None)
    assert re.search(r"ERR_SALLYPORT_1112\b", text(ssh)), ssh.describe()
    assert "-R" in text(ssh)


def test_no_command_flag_is_told_what_to_type(scene):
    """`ssh -N` has no command: refused by a disconnect message that says what to type."""
    scene.start_gateway({"limits": {"command_wait_ms": 500}})
    ssh = scene.ssh("minusn.example.test:443:127.0.0.1:9", command=None, args=("-N",))
    assert ssh.wait_exit() == 255
    assert re.search(r"(?i)disconnect.*", text(ssh)), ssh.describe()
    assert re.search(r"http", text(ssh)), ssh.describe()
    assert scene.get("minusn.example.test").error_code == "ERR_SALLYPORT_3200"


def test_no_command_flag_works_when_it_is_allowed(scene):
    """With allow_no_command = true, `ssh -N` goes live."""
    app = scene.app()
    scene.start_gateway({"allow_no_command": True})
    scene.ssh(f"minusn.example.test:443:127.0.0.1:{app.port}", command=None, args=("-N",))
    wait_until(lambda: scene.get("minusn.example.test").status == 200, "endpoint of ssh -N")


# ---- unknown and wrong ----

UNKNOWN = [
    ("htp", r"1108", r"htp", r"\bhttp\b"),
    ("ftp", r"1108", r"ftp", r"\bhttp\b"),
    ("HTTP", r"1108", r"HTTP", r"\bhttp\b"),
    ("verison", r"1108", r"verison", r"\bversion\b"),
    ("http --basic-aut=u:password1", r"1110", r"--basic-aut\b", r"--basic-auth\b"),
    ("http --nope", r"1110", r"--nope", r"--\w+"),
    ("http --cidr-alow 127.0.0.0/8", r"1110", r"--cidr-alow\b", r"--cidr-allow\b"),
    ("bash -c id", r"1108", r"bash", r"\bhttp\b"),
]


@pytest.mark.parametrize("command,code,named,nearest", UNKNOWN, ids=[u[0] for u in UNKNOWN])
def test_unknown_word_names_itself_and_the_nearest(scene, command, code, named, nearest):
    """An unknown command or flag is named together with the nearest valid one; exit non-zero."""
    ssh = scene.ssh("unknown.example.test:443:127.0.0.1:9", command=command)
    assert ssh.wait_exit() not in (0, None)
    err = "\n".join(ssh.err)
    for pattern in (rf"ERR_SALLYPORT_{code}\b", named, nearest):
        assert re.search(pattern, err), ssh.describe()
    assert ssh.out == []


UNSUPPORTED = [
    "--oauth=google", "--oauth-allow-email a@example.com", "--oidc https://issuer.example",
    "--websocket-tcp-converter", "--mutual-tls-cas ca_1",
    "--authtoken abc", "--config x.yml", "--label a=b",
]


@pytest.mark.parametrize("flag", UNSUPPORTED)
def test_unsupported_flag_is_refused_by_name(scene, flag):
    """Flags that this release does not have are refused by name and never ignored."""
    ssh = scene.ssh("flag.example.test:443:127.0.0.1:9", command=f"http {flag}")
    assert ssh.wait_exit() not in (0, None)
    err = "\n".join(ssh.err)
    assert flag.partition("=")[0].partition(" ")[0] in err, ssh.describe()
    assert re.search(r"ERR_SALLYPORT_11(09|10)\b", err), ssh.describe()
    assert ssh.out == []


WRONG = [
    ("--basic-auth nocolon", r"\d+"),
    ("--basic-auth :password1", r"359"),
    ("--basic-auth u:" + "x" * 129, r"360"),
    ("--basic-auth " + "u" * 129 + ":password1", r"15008"),
    (" ".join(f"--basic-auth u{i}:password1" for i in range(11)), r"15009"),
    ("--cidr-allow 1.2.3.4/33", r"362"),
    ("--cidr-allow 300.1.1.1/8", r"362"),
    ("--cidr-allow abc", r"362"),
    ("--cidr-allow 2001:db8::/129", r"362"),
    ("--cidr-deny 10.0.0.0/8", r"393"),
    ("--request-header-add nocolon", r"370"),
    ("--response-header-add nocolon", r"371"),
    ("--request-header-add bad name: x", r"372"),
    ("--response-header-add bad(name: x", r"373"),
    ("--request-header-add :x", r"37\d"),
    ("--request-header-add user-agent: x", r"\d+"),
    ("--request-header-add content-length: 5", r"\d+"),
    ("--request-header-add transfer-encoding: chunked", r"\d+"),
    ("--request-header-add connection: close", r"\d+"),
    ("--response-header-add content-length: 5", r"\d+"),
    ("--response-header-add Sallyport-Error-Code: X", r"\d+"),
    ("--request-header-add x: 1 --request-header-add X: 2", r"375"),
    (" ".join(f"--request-header-add x{i}: 1" for i in range(11)), r"\d+"),
    ("--request-header-remove host", r"398"),
    ("--request-header-remove user-agent", r"\d+"),
    ("--host-header rewrite", r"1109"),
    ("--host-header a/b", r"\d+"),
    ("--scheme ftp", r"\d+"),
    ("--description " + "x" * 256, r"18012"),
    ("--metadata " + "x" * 4097, r"18013"),
    ("--log nowhere", r"1109|1110"),
    ("--log-format xml", r"\d+"),
    ("--basic-auth", r"1110"),
    ("--url", r"1110"),
    ("file:///var/log", r"1109"),
    ("tls://localhost:8443", r"9036"),
    ("http://localhost:99999", r"\d+"),
]


@pytest.mark.parametrize("flags,code", WRONG, ids=[w[0][:40] for w in WRONG])
def test_wrong_value_is_refused_before_anything_is_public(scene, flags, code):
    """A wrong value: its code on stderr, exit non-zero, and the name never went online."""
    name = scene.name()
    mark = scene.gateway.mark()
    ssh = scene.ssh(f"{name}.example.test:443:127.0.0.1:9", command=f"http {flags}")
    assert ssh.wait_exit() not in (0, None), ssh.describe()
    assert re.search(rf"ERR_SALLYPORT_({code})\b", "\n".join(ssh.err)), ssh.describe()
    assert ssh.out == []
    assert not [e for e in scene.gateway.entries(mark) if name in json.dumps(e)
                and e["event"] == "endpoint.up"]


BAD_URLS = [
    ("ftp://a.example.test", "9036"), ("tcp://a.example.test:1", "9036"),
    ("https://a.example.test:8443", "9035"), ("http://a.example.test:81", "9035"),
    ("https://a.example.test/", "9038"), ("https://a.example.test/path", "9037"),
    ("https://a.example.test?x=1", "9037"), ("https://a.example.test#f", "9037"),
    ("https://u:p@a.example.test", "9037"), ("https://a.example.test:abc", "9033"),
    ("https://[::1]", "9032"), ("https://a_b.example.test", "355"),
]


@pytest.mark.parametrize("url,code", BAD_URLS, ids=[u[0] for u in BAD_URLS])
def test_bad_url_flag_is_refused(scene, url, code):
    """Rows of spec 2.5 through --url."""
    ssh = scene.ssh("0:127.0.0.1:9", command=f"http --url {url}")
    assert ssh.wait_exit() not in (0, None), ssh.describe()
    assert re.search(rf"ERR_SALLYPORT_{code}\b", "\n".join(ssh.err)), ssh.describe()


# ---- exit statuses ----


@pytest.mark.parametrize("strict", ["yes", "no"])
def test_refused_endpoint_ends_the_command(scene, strict):
    """A name in use: the reason is on stderr and the exit status is not 0, whatever
    ExitOnForwardFailure says."""
    app = scene.app()
    scene.tunnel(app, name="inuse")
    ssh = scene.ssh(f"inuse.example.test:443:127.0.0.1:{app.port}", key="bob",
                    options=(f"ExitOnForwardFailure={strict}",))
    assert ssh.wait_exit() in (1, 255), ssh.describe()
    assert re.search(r"ERR_SALLYPORT_320\b", "\n".join(ssh.err)), ssh.describe()
    assert ssh.out == []


def test_exit_on_forward_failure_lets_good_forwards_run(scene):
    """ExitOnForwardFailure=yes with forwards that work changes nothing."""
    app = scene.app()
    tunnel = scene.tunnel(app, options=("ExitOnForwardFailure=yes",))
    assert scene.get(tunnel).status == 200


# ---- output ----


def test_request_lines_go_to_stderr(scene):
    """--log stderr: each request is one line there, with method, path and status."""
    tunnel = scene.tunnel(scene.app(), flags="--log stderr")
    assert scene.get(tunnel, "/hello?secret=1").status == 200
    assert scene.get(tunnel, "/nothing").status == 404
    tunnel.wait_err(r"(?i)GET.*/hello.*200|200.*GET.*/hello")
    tunnel.wait_err(r"(?i)GET.*/nothing.*404|404.*GET.*/nothing")
    assert len(tunnel.out) == 1


def test_log_false_is_silent(scene):
    """--log false: no request lines; --log stdout: they go to stdout behind the URL."""
    quiet = scene.tunnel(scene.app(), flags="--log false")
    loud = scene.tunnel(scene.app(), flags="--log stdout")
    assert scene.get(quiet, "/quiet-path").status == 404
    assert scene.get(loud, "/loud-path").status == 404
    loud.wait_text(r"/loud-path")
    assert "/quiet-path" not in text(quiet)


def test_log_format_json(scene):
    """--log-format json: each request line is one JSON object with the fields of the event."""
    tunnel = scene.tunnel(scene.app(), flags="--log stderr --log-format json")
    assert scene.get(tunnel, "/json-path?q=1").status == 404
    line = tunnel.wait_err(r"^\{.*/json-path.*\}$")[0]
    record = json.loads(line)
    assert record["http"]["request"]["method"].upper() == "GET"
    assert record["http"]["request"]["url"]["path"] == "/json-path"
    assert record["http"]["response"]["status_code"] == 404


def test_pty_shows_urls_and_requests(scene):
    """With a pty, the URL and a line a request stand on the terminal; Ctrl-C ends with 0."""
    app = scene.app()
    ssh = scene.ssh(f"pty.example.test:443:127.0.0.1:{app.port}", pty=True)
    ssh.wait_text(rf"https://pty\.example\.test:{scene.gateway.https_port}")
    assert scene.get("pty.example.test").status == 200
    ssh.wait_any(r"GET.*/hello")
    ssh.type(b"\x03")
    assert ssh.wait_exit() == 0, ssh.describe()


def test_eof_on_stdin_changes_nothing(scene):
    """-n, and a stdin that ends, leave the tunnel alone (services run like that)."""
    app = scene.app()
    first = scene.tunnel(app, args=("-n",))
    second = scene.tunnel(app, stdin=subprocess.PIPE)
    second.child.stdin.close()
    assert scene.get(first).status == 200
    assert scene.get(second).status == 200
    assert first.running and second.running


def test_typed_input_is_ignored(scene):
    """A user who types into the session does no harm."""
    tunnel = scene.tunnel(scene.app(), stdin=subprocess.PIPE)
    for _ in range(200):
        tunnel.type(b"x" * 10000 + b"\n")
    assert scene.get(tunnel).status == 200
    assert tunnel.running


def test_terminal_escapes_of_a_visitor_are_not_shown(scene):
    """Control characters in a request cannot reach the user's terminal through request lines."""
    tunnel = scene.tunnel(scene.app(), flags="--log stderr")
    scene.get(tunnel, "/%1b[31mred", headers=[("User-Agent", "x\xe9\xff")])
    tunnel.wait_err(r"1b\[31mred")
    assert "\x1b" not in text(tunnel)


def test_names_and_texts_reach_the_log(scene):
    """--name, --description and --metadata are accepted, up to their limits."""
    mark = scene.gateway.mark()
    flags = f"--name shop --description {'d' * 255} --metadata {'m' * 4096}"
    tunnel = scene.tunnel(scene.app(), flags=flags)
    assert scene.get(tunnel).status == 200
    up = scene.gateway.wait_log(lambda e: e["event"] == "endpoint.up", mark, "endpoint.up")
    assert host_of(tunnel.url) in json.dumps(up)


def test_quoted_values_lose_their_quotes(scene):
    """The exec string keeps words together by the scanner, quotes around a value are removed."""
    tunnel = scene.tunnel(scene.app(), flags="--response-header-add='x-one: a b' "
                                             "--response-header-add x-two: \"q\"")
    response = scene.get(tunnel)
    assert response.header("x-one") == "a b"
    assert response.header("x-two") == '"q"'


def test_value_that_looks_like_a_flag_inside_quotes(scene):
    """Flag boundaries inside a quoted value do not count."""
    tunnel = scene.tunnel(scene.app(), flags="--response-header-add='x-one: --url nonsense'")
    assert scene.get(tunnel).header("x-one") == "--url nonsense"


def test_nothing_is_expanded(scene):
    """$, backticks, backslashes and stars stay what they are."""
    value = r"$HOME `id` \n * %s ~"
    tunnel = scene.tunnel(scene.app(), flags=f"--response-header-add=x-raw: {value}")
    assert scene.get(tunnel).header("x-raw") == value


def test_long_command_line_is_refused(scene):
    """A command line over 64 KiB is refused, not cut."""
    ssh = scene.ssh("long.example.test:443:127.0.0.1:9",
                    command="http --metadata " + "m" * 70000)
    assert ssh.wait_exit() not in (0, None)
    assert ssh.out == []


def test_second_command_on_one_connection(scene, tmp_path):
    """A second session channel of a multiplexed client may ask for the version."""
    app = scene.app()
    path = tmp_path / "control"
    tunnel = scene.tunnel(app, args=("-M",), options=(f"ControlPath={path}",))
    second = scene.keep(Process(["ssh", "-F", "none", "-p", scene.gateway.ssh_port,
                                 *ssh_options(scene.gateway, [f"ControlPath={path}"]),
                                 "v2@127.0.0.1", "version"]), "stop")
    assert second.wait_exit() == 0, second.describe()
    assert "sallyport" in text(second)
    assert scene.get(tunnel).status == 200
