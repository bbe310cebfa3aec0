"""Private access over plain ssh: -L, -W, -J and -D to internal endpoints of one's own account."""

import hashlib
import json
import socket
import ssl
import subprocess
import threading
import time

import pytest

from lib.content import digest, pieces
from lib.echo import Echo
from lib.inner_sshd import InnerSshd
from lib.policy import rule, stdin_of, text_of
from lib.ports import free_port
from lib.private import (PROHIBITED, answers, connect, internal, is_cut, is_listening, jump_options,
                         local_forward, name, socks, standard_io, visitor)
from lib.process import Process
from lib.raw import tls_context
from lib.tls_upstream import Certificates, TlsUpstream
from lib.tunnel import SSH_ENV
from lib.wait import stays, wait_until

SETTINGS = {"limits": {"client_hello_timeout_ms": 60000, "hold_ms": 500}}
SHORT_WAIT = {"limits": {"command_wait_ms": 500}}
MB = 1024 * 1024


@pytest.fixture
def echo(scene):
    return scene.keep(Echo())


def guarded(scene, host, port, upstream, document, command="tcp"):
    return internal(scene, host, port, upstream, f"{command} --traffic-policy-file -",
                    stdin=stdin_of(text_of(document)))


def curl(*args, seconds=20):
    done = subprocess.run(["curl", "-sS", "-q", "--max-time", str(seconds), "--noproxy", "",
                           *map(str, args)], capture_output=True, stdin=subprocess.DEVNULL,
                          check=False)
    return done.returncode, done.stdout, done.stderr.decode()


# ---- TCP ----


def test_local_forward_to_tcp(scene, echo):
    """`ssh -N -L`: bytes both ways, and another connection beside it."""
    host = name(scene)
    internal(scene, host, 5432, echo)
    ssh = local_forward(scene, host, 5432)
    for _ in range(2):
        conn = connect(scene, ssh)
        conn.send(b"hello")
        assert conn.read_exactly(5) == b"hello"


def test_user_half_closes_first(scene):
    """The upstream sees the end, and its answer still arrives whole."""
    host, upstream = name(scene), scene.scripted()
    internal(scene, host, 1, upstream)
    conn = connect(scene, local_forward(scene, host, 1))
    conn.send(b"question")
    conn.end()
    peer = upstream.accept()
    assert peer.read_all() == b"question"
    peer.send(b"answer")
    peer.close()
    assert conn.read_all() == b"answer"


def test_upstream_half_closes_first(scene):
    """The user sees the end, and what it says then still arrives."""
    host, upstream = name(scene), scene.scripted()
    internal(scene, host, 1, upstream)
    conn = connect(scene, local_forward(scene, host, 1))
    peer = upstream.accept()
    peer.send(b"greeting")
    peer.end()
    assert conn.read_all() == b"greeting"
    conn.send(b"late words")
    conn.end()
    assert peer.read_all() == b"late words"


def test_100_mb_each_way(scene, echo):
    """Byte-exact, at the same time."""
    size = 100 * MB
    host = name(scene)
    internal(scene, host, 9000, echo)
    conn = connect(scene, local_forward(scene, host, 9000), seconds=120)

    def send():
        for piece in pieces(size):
            conn.sock.sendall(piece)
        conn.end()

    sender = threading.Thread(target=send)
    sender.start()
    h, got = hashlib.sha256(), 0
    while data := conn.sock.recv(256 * 1024):
        h.update(data)
        got += len(data)
    sender.join(10)
    assert (got, h.hexdigest()) == (size, digest(size))


def test_sessions_of_every_worker_are_reached(scene, echo):
    """Endpoints and users meet whichever workers hold their sessions."""
    hosts = [name(scene) for _ in range(4)]
    for host in hosts:
        internal(scene, host, 7, echo)
    for _ in range(4):
        user = visitor(scene)
        for host in hosts:
            assert answers(user.open(host, 7))


def test_wildcard_endpoint(scene, echo):
    """*.NAME.internal answers for names below it."""
    host = name(scene)
    internal(scene, f"*.{host}", 7, echo)
    user = visitor(scene)
    assert answers(user.open(f"x.{host}", 7))
    assert answers(user.open(f"Y.X.{host.upper()}.", 7))
    assert user.refusal(host, 7)


def test_own_session_is_reached(scene, echo):
    """One ssh may both offer an endpoint and connect to it."""
    host, local = name(scene), free_port()
    ssh = internal(scene, host, 7, echo, args=("-L", f"{local}:{host}:7"))
    ssh.port = local
    conn = connect(scene, ssh)
    conn.send(b"to myself")
    assert conn.read_exactly(9) == b"to myself"


def test_event_has_the_user_and_the_bytes(scene, echo):
    """tcp_connection_closed, with the address the user's ssh came from; and a line of the channel."""
    host, mark = name(scene), scene.gateway.mark()
    internal(scene, host, 7, echo)
    channel = visitor(scene).open(host, 7)
    assert answers(channel)
    channel.close()
    closed = scene.gateway.wait_log(lambda e: "tcp" in e["event"] and host in json.dumps(e), mark)
    assert "127.0.0.1" in json.dumps(closed), closed
    line = scene.gateway.wait_log(lambda e: e["event"] == "ssh.direct", mark)
    assert (line["account"], line["host"], line["port"]) == ("alice", host, 7)
    assert (line["bytes_in"], line["bytes_out"]) == (4, 4)


# ---- TLS and HTTP ----


def test_tls_endpoint_passes_tls_through(scene, tmp_path):
    """The upstream's own certificate arrives."""
    host = name(scene)
    certificates = Certificates(tmp_path)
    internal(scene, host, 443, scene.keep(TlsUpstream(certificates.issue(host))), "tls")
    ssh = local_forward(scene, host, 443)
    context = tls_context(cafile=certificates.ca[0], alpn=())
    conn = connect(scene, ssh, tls=True, context=context, sni=host)
    assert json.loads(conn.read_until(b"\n"))["version"] == "TLSv1.3"


def test_http_endpoint(scene):
    """Whatever Host the program sends; keep-alive and HTTP/2 with prior knowledge work."""
    host, app = name(scene), scene.app()
    internal(scene, host, 80, app, "http")
    ssh = local_forward(scene, host, 80)
    url = f"http://127.0.0.1:{ssh.port}/hello"
    for args in ((), ("-H", f"Host: {host}"), ("--http2-prior-knowledge",), (url,)):
        status, out, err = curl(*args, "-w", "%{http_code}", url)
        assert status == 0 and out.endswith(b"200"), (args, out, err)


def test_upload_and_download_over_http(scene):
    """Bodies of 20 MB each way, exact."""
    host, size = name(scene), 20 * MB
    internal(scene, host, 8080, scene.app(), "http")
    conn = connect(scene, local_forward(scene, host, 8080), seconds=60)
    assert conn.upload("/upload", size).text == f"{size} {digest(size)}"
    h = hashlib.sha256()
    conn.get(f"/bytes/{size}", sink=h.update)
    assert h.hexdigest() == digest(size)


def authority(scene):
    return scene.gateway.state / "ca.crt"


def test_https_endpoint_with_tls(scene):
    """A certificate of the gateway's authority for the name, whatever name the program uses."""
    host = name(scene)
    internal(scene, host, 443, scene.app(), "http")
    ssh = local_forward(scene, host, 443)
    status, out, err = curl("--cacert", authority(scene), "--connect-to", f"{host}:443:127.0.0.1:"
                            f"{ssh.port}", "-w", "%{http_code} %{http_version}",
                            f"https://{host}/hello")
    assert status == 0 and out.endswith(b"200 2"), (out, err)
    status, out, err = curl("-k", "-w", "%{http_code} %{http_version}",
                            f"https://localhost:{ssh.port}/hello")
    assert status == 0 and out.endswith(b"200 2"), (out, err)
    context = ssl.create_default_context(cafile=authority(scene))
    context.check_hostname = False
    with socket.create_connection(("127.0.0.1", ssh.port), 10) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as secured:
            assert ("DNS", host) in secured.getpeercert()["subjectAltName"]


def test_client_hello_in_pieces(scene):
    """What TLS begins with may come a few bytes at a time."""
    host = name(scene)
    internal(scene, host, 443, scene.app(), "http")
    ssh = local_forward(scene, host, 443)
    out = ssl.MemoryBIO()
    client = tls_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname=host)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    hello, conn = out.read(), connect(scene, ssh)
    for at in range(0, len(hello), 100):
        conn.send(hello[at:at + 100])
        time.sleep(0.005)  # so that they come apart
    assert conn.read_exactly(1) == b"\x16"


def test_https_endpoint_without_tls(scene):
    """The way there is safe already, so plain HTTP will do."""
    host = name(scene)
    internal(scene, host, 443, scene.app(), "http")
    ssh = local_forward(scene, host, 443)
    status, out, err = curl("-w", "%{http_code}", f"http://127.0.0.1:{ssh.port}/hello")
    assert status == 0 and out.endswith(b"200"), (out, err)


def test_policy_of_an_http_endpoint_runs(scene):
    """on_http_request answers, and sees the user's address."""
    host = name(scene)
    document = rule("on_http_request", ("custom-response", {
        "status_code": 418, "body": "from ${conn.client_ip}"}))
    guarded(scene, host, 80, scene.app(), document, "http")
    ssh = local_forward(scene, host, 80)
    _, out, err = curl("-w", " %{http_code}", f"http://127.0.0.1:{ssh.port}/")
    assert out == b"from 127.0.0.1 418", err


# ---- the other ways ----


def test_standard_io(scene, echo):
    """`ssh -W`."""
    host = name(scene)
    internal(scene, host, 7, echo)
    assert standard_io(scene, f"{host}:7", b"over stdio") == (0, b"over stdio", "")


@pytest.mark.parametrize("size", [64 * MB, pytest.param(1024 * MB, marks=pytest.mark.soak)])
def test_jump_to_a_real_sshd(scene, tmp_path, size):
    """`ssh -J gateway user@box.internal`: a command, and scp both ways."""
    host, user_key = name(scene), scene.keys.carol
    internal(scene, host, 22, scene.keep(InnerSshd(scene.keys, tmp_path, user_key)))
    options = jump_options(scene, user_key, tmp_path / "known")
    done = subprocess.run(["ssh", *options, f"root@{host}", "cat"], input=b"through",
                          capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, b"through"), done
    file, copy, back = tmp_path / "file", tmp_path / "copy", tmp_path / "back"
    with file.open("wb") as f:
        for piece in pieces(size):
            f.write(piece)
    for words in ((file, f"root@{host}:{copy}"), (f"root@{host}:{copy}", back)):
        done = subprocess.run(["scp", "-q", *options, *map(str, words)], capture_output=True,
                              timeout=300 + size // MB, check=False)
        assert done.returncode == 0, done
    with back.open("rb") as f:
        assert hashlib.file_digest(f, "sha256").hexdigest() == digest(size)


def test_jump_host_option(scene, tmp_path):
    """The very option -J, with what it needs to know of the gateway in a file."""
    host, gateway, user_key = name(scene), scene.gateway, scene.keys.carol
    internal(scene, host, 22, scene.keep(InnerSshd(scene.keys, tmp_path, user_key)))
    config = tmp_path / "config"
    config.write_text(
        f"Host gateway\n HostName {gateway.address}\n Port {gateway.ssh_port}\n User v2\n"
        f" IdentityFile {scene.keys.alice.path}\nHost *.internal\n User root\n"
        f" IdentityFile {user_key.path}\nHost *\n BatchMode yes\n StrictHostKeyChecking no\n"
        f" UserKnownHostsFile {tmp_path}/known\n IdentitiesOnly yes\n IdentityAgent none\n")
    done = subprocess.run(["ssh", "-F", str(config), "-J", "gateway", host, "echo there"],
                          capture_output=True, stdin=subprocess.DEVNULL, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, b"there\n"), done


def test_socks(scene):
    """`ssh -D`: names are the gateway's to find, and what is not internal is refused."""
    host, app = name(scene), scene.app()
    internal(scene, host, 80, app, "http")
    internal(scene, host, 8443, app, "http --scheme https")
    ssh = socks(scene)
    proxy = ("--socks5-hostname", f"127.0.0.1:{ssh.port}")
    for url in (f"http://{host}/hello", f"https://{host}:8443/hello"):
        status, out, err = curl(*proxy, "--cacert", authority(scene), "-w", "%{http_code}", url)
        assert status == 0 and out.endswith(b"200"), (url, out, err)
    for url in (f"http://127.0.0.1:{app.port}/hello", f"http://localhost:{app.port}/hello",
                "http://nobody.internal/"):
        assert curl(*proxy, url)[0] == 97, url


@pytest.mark.parametrize("client", ["dbclient", "plink"])
def test_local_forward_of_other_clients(scene, echo, client):
    """-L of dropbear and PuTTY."""
    gateway, key, host, local = scene.gateway, scene.keys.alice, name(scene), free_port()
    internal(scene, host, 7, echo)
    forward = ["-N", "-L", f"{local}:{host}:7", f"v2@{gateway.address}"]
    argv = {
        "dbclient": lambda: ["dbclient", "-y", "-y", "-i", key.dropbear, "-p", gateway.ssh_port],
        "plink": lambda: ["plink", "-batch", "-ssh", "-noagent", "-noshare", "-i", key.putty,
                          "-P", gateway.ssh_port,
                          *(w for f in gateway.host_keys() for w in ("-hostkey", f))],
    }[client]()
    ssh = scene.keep(Process([*argv, *forward], {**SSH_ENV, "HOME": str(gateway.directory)}),
                     "stop")
    ssh.port = local
    wait_until(lambda: is_listening(local) or not ssh.running, ssh.describe)
    conn = connect(scene, ssh)
    conn.send(b"hello")
    conn.end()
    assert conn.read_all() == b"hello"


# ---- on_tcp_connect ----


@pytest.mark.parametrize("kind", ["tcp", "tls"])
def test_policy_denies(scene, echo, kind):
    """`deny`: the channel closes, and the upstream hears nothing."""
    host, upstream = name(scene), scene.scripted()
    guarded(scene, host, 443, upstream, rule("on_tcp_connect", ("deny", {})), kind)
    assert is_cut(scene, host, 443)
    assert not upstream.connections


@pytest.mark.parametrize("block,may", [("127.0.0.0/8", True), ("192.0.2.0/24", False)])
def test_policy_restricts_addresses(scene, echo, block, may):
    """`restrict-ips` sees the address of the user's ssh."""
    host = name(scene)
    document = rule("on_tcp_connect", ("restrict-ips", {"enforce": True, "allow": [block]}))
    guarded(scene, host, 7, echo, document)
    assert answers(visitor(scene).open(host, 7)) if may else is_cut(scene, host, 7)


# ---- sessions ----


def test_session_without_any_channel_stays(scene, echo):
    """`ssh -N -L` may wait for its first connection for as long as it likes."""
    gateway, host = scene.start_gateway(), name(scene)
    internal(scene, host, 7, echo)
    gateway.change(**SHORT_WAIT)  # the session of the endpoint had the time that it took
    ssh = local_forward(scene, host, 7)
    stays(lambda: ssh.running, ssh.describe, 2)  # four times command_wait_ms
    conn = connect(scene, ssh)
    conn.send(b"x")
    assert conn.read_exactly(1) == b"x"
    conn.close()
    stays(lambda: ssh.running, ssh.describe, 1.5)


def test_session_that_may_connect_to_nothing_ends(scene):
    """As before: it is told that neither a forward nor a command came."""
    scene.start_gateway(SHORT_WAIT, authorized=[
        scene.keys.alice.line('account="alice",bind="*.example.test"')])
    ssh = scene.ssh(command=None, args=("-N",))
    assert ssh.wait_exit() == 255
    assert any("ERR_SALLYPORT_1112" in line for line in ssh.err), ssh.describe()


def test_session_with_a_forward_needs_its_command(scene):
    """-L beside -R changes nothing for -R."""
    scene.start_gateway(SHORT_WAIT)
    ssh = scene.ssh("x.example.test:443:127.0.0.1:9", command=None,
                    args=("-N", "-L", f"{free_port()}:db.internal:1"))
    assert ssh.wait_exit() == 255
    assert any("ERR_SALLYPORT_1111" in line for line in ssh.err), ssh.describe()


def test_channels_outlive_the_command(scene, echo):
    """A command that ends leaves the channels beside it alone, and more may follow."""
    host = name(scene)
    internal(scene, host, 7, echo)
    user = visitor(scene)
    channel = user.open(host, 7)
    command = user.transport.open_session(timeout=10)
    command.exec_command("version")
    assert command.recv_exit_status() == 0
    assert answers(channel) and answers(user.open(host, 7))


def test_endpoint_goes_away(scene):
    """Its connections end with it, and a new one is refused."""
    host, upstream = name(scene), scene.scripted()
    tunnel = internal(scene, host, 7, upstream)
    user = visitor(scene)
    channel = user.open(host, 7)
    peer = upstream.accept()
    peer.send(b"x")
    assert channel.recv(1) == b"x"
    tunnel.stop()
    assert channel.recv(1) == b""
    wait_until(lambda: channel.closed, "the channel to be closed")
    wait_until(lambda: user.refusal(host, 7) == PROHIBITED, "a refusal")


def test_user_goes_away(scene):
    """The upstream sees the end, whether ssh ends well or not; the gateway keeps nothing."""
    host, upstream = name(scene), scene.scripted()
    internal(scene, host, 7, upstream)
    for end in ("stop", "kill"):
        ssh = local_forward(scene, host, 7)
        conn = connect(scene, ssh)
        conn.send(b"x")
        peer = upstream.accept()
        assert peer.read_exactly(1) == b"x"
        getattr(ssh, end)()
        peer.wait_eof()
        peer.close()
        scene.gateway.wait_gauge("sallyport_streams", 0)


def test_upstream_that_ignores_the_end(scene):
    """It is let go when the user's session is over."""
    host, upstream = name(scene), scene.scripted()
    internal(scene, host, 7, upstream)
    user = visitor(scene)
    channel = user.open(host, 7)
    channel.sendall(b"x")
    peer = upstream.accept()
    assert peer.read_exactly(1) == b"x"
    user.close()
    scene.gateway.wait_gauge("sallyport_connections", 0)
    peer.wait_eof()


def test_upstream_refuses(scene):
    """The channel closes without a byte."""
    host = name(scene)
    internal(scene, host, 7, free_port())
    assert is_cut(scene, host, 7)


def test_upstream_resets(scene):
    """What came before arrives, then the end: ssh passes a reset on as one."""
    host, upstream = name(scene), scene.scripted()
    internal(scene, host, 7, upstream)
    channel = visitor(scene).open(host, 7)
    peer = upstream.accept()
    peer.send(b"x")
    assert channel.recv(1) == b"x"
    peer.reset()
    assert channel.recv(1) == b""


def test_drain_lets_a_connection_finish(scene, echo):
    """SIGTERM: no new channel, those that are open go on within drain_ms."""
    gateway = scene.start_gateway({"limits": {"drain_ms": 60000}})
    host = name(scene)
    internal(scene, host, 7, echo)
    user = visitor(scene)
    channel = user.open(host, 7)
    assert answers(channel)
    gateway.process.signal(15)
    wait_until(lambda: user.refusal(host, 7) == PROHIBITED, "a refusal")
    assert answers(channel)
    channel.close()
    assert gateway.process.wait_exit(20) == 0


def test_idle_connection_ends(scene, echo):
    """connection_idle_timeout_ms holds for users, too."""
    gateway = scene.start_gateway({"limits": {"connection_idle_timeout_ms": 700}})
    host = name(scene)
    internal(scene, host, 7, echo)
    channel = visitor(scene).open(host, 7)
    assert channel.recv(1) == b""
    line = gateway.wait_log(lambda e: e["event"] == "ssh.direct")
    assert line["reason"] == "idle"


def test_removed_key_ends_its_connections(scene, echo):
    """A key that disappears takes its session with it."""
    gateway = scene.start_gateway(SETTINGS)
    host = name(scene)
    internal(scene, host, 7, echo)
    user = visitor(scene, "alice2")
    channel = user.open(host, 7)
    assert answers(channel)
    gateway.authorize(scene.keys.alice.line('account="alice"'))
    assert channel.recv(1) == b""
