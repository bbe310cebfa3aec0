"""TCP endpoints: ports, bytes both ways, policies, names over time, drain; what tls endpoints share."""

import hashlib
import re
import signal
import socket
import subprocess
import threading
from contextlib import contextmanager

import pytest

from lib.content import content, digest, pieces
from lib.echo import Echo
from lib.gateway import WORKERS
from lib.inner_sshd import InnerSshd
from lib.policy import event_of, stdin_of
from lib.ports import FIXED, RANDOM, TCP_PORTS, free_port
from lib.raw import Conn
from lib.wait import Deadline, wait_until

HOST = "tcp.example.test"
HOLD_MS = 2000
TCP = {"host": HOST, **TCP_PORTS}
SETTINGS = {"tcp": TCP, "limits": {"hold_ms": HOLD_MS, "keepalive_interval_ms": 800,
                                   "keepalive_count": 2}}

MB = 1024 * 1024


def port_of(url):
    found = re.fullmatch(rf"tcp://{re.escape(HOST)}:(\d+)", url)
    assert found, url
    return int(found[1])


def expose(scene, upstream, flags="", remote="0", **kw):
    """A tcp tunnel that is online; .port is the public one."""
    target = upstream if isinstance(upstream, int) else upstream.port
    tunnel = scene.ssh(f"{remote}:127.0.0.1:{target}", command=f"tcp {flags}".strip(), **kw)
    tunnel.port = port_of(tunnel.urls(1)[0])
    return tunnel


def with_policy(scene, upstream, document, **kw):
    return expose(scene, upstream, "--traffic-policy-file -", stdin=stdin_of(document), **kw)


def visit(scene, tunnel, **kw):
    return scene.keep(Conn(tunnel.port, HOST, **kw))


def refused_port(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) != 0


def closed_at_once(scene, tunnel):
    """A visitor that is let in by nobody: reset or closed without a byte."""
    try:
        conn = visit(scene, tunnel)
        conn.send(b"hello")
        return conn.read_all() == b""
    except OSError:
        return True


@pytest.fixture
def echo(scene):
    """The port of a server that sends back what comes."""
    return scene.keep(Echo()).port


# ---- addresses ----


def test_random_port_is_of_the_range_and_printed(scene, echo):
    """-R 0:... gives tcp://HOST:PORT of the operator's range, and it works at once."""
    tunnel = expose(scene, echo)
    assert RANDOM[0] <= tunnel.port <= RANDOM[1]
    conn = visit(scene, tunnel)
    conn.send(b"hello")
    assert conn.read_exactly(5) == b"hello"


def test_two_forwards_get_two_ports(scene):
    """Each -R 0:... is an endpoint of its own, and leads to its own upstream."""
    one, two = scene.scripted(), scene.scripted()
    ssh = scene.ssh(f"0:127.0.0.1:{one.port}", f"0:127.0.0.1:{two.port}", command="tcp")
    ports = [port_of(url) for url in ssh.urls(2)]
    assert len(set(ports)) == 2
    for port, upstream in zip(ports, (one, two)):
        conn = scene.keep(Conn(port, HOST))
        conn.send(b"x")
        assert upstream.accept().read_exactly(1) == b"x"


def test_fixed_port(scene, echo):
    """-R ADDRESS:PORT:... gives that port."""
    port = free_port(FIXED)
    tunnel = expose(scene, echo, remote=f"{HOST}:{port}")
    assert tunnel.port == port
    conn = visit(scene, tunnel)
    conn.send(b"fixed")
    assert conn.read_exactly(5) == b"fixed"


def test_url_and_remote_addr_name_the_address(scene, echo):
    """--url tcp://ADDRESS:PORT and its old name --remote-addr, with -R 0."""
    for flag in ("--url tcp://", "--remote-addr "):
        port = free_port(FIXED)
        tunnel = expose(scene, echo, f"{flag}{HOST}:{port}")
        assert tunnel.port == port
        tunnel.stop()
        wait_until(lambda: refused_port(port), "port closed")


#: Words of ssh, in which FIXED and RANDOM are ports of those ranges; the number of the refusal
REFUSED = [
    ("12345", "tcp", 1116),
    (f"{HOST}:0", "tcp", 1117),
    (f"{HOST}:RANDOM", "tcp", 307),
    (f"{HOST}:80", "tcp", 307),
    ("other.example.test:FIXED", "tcp", 307),
    (f"{HOST}:FIXED", f"tcp --remote-addr {HOST}:FIXED", 1114),
    ("12345", f"tcp --remote-addr {HOST}:FIXED", 1115),
    ("0", f"tcp --url https://{HOST}:FIXED", 9036),
    ("0", f"tcp --url tcp://{HOST}", 249),
    ("0", "tcp --basic-auth user:password", 1109),
    ("0", "tcp --compression", 1109),
    ("0", "http --remote-addr x.example.test:1", 1109),
    ("0", "tcp --cidr-deny 10.0.0.0/8", 393),
    ("0", "tcp --cidr-allow nonsense", 362),
    ("app.example.test:80", "tls", 1113),
    ("8443", "tls", 1113),
    ("0", "tls --url tls://app.example.test:8443", 9035),
    ("0", "tls --url https://app.example.test", 9036),
    ("0", "tls --scheme http", 1109),
    ("0", "tcp https://localhost:1", 9036),
]


@pytest.mark.parametrize("remote, command, number", REFUSED,
                         ids=[f"{r}-{c[:30]}" for r, c, _ in REFUSED])
def test_refused_with_its_code(scene, remote, command, number):
    """What cannot be is refused by its documented number, with exit status 1."""
    remote, command = (words.replace("FIXED", str(FIXED[0])).replace("RANDOM", str(RANDOM[0]))
                       for words in (remote, command))
    scene.ssh(f"{remote}:127.0.0.1:9", command=command).assert_refused(number)


def test_no_ranges_no_tcp(scene):
    """Without a range of ports, the command says so."""
    scene.start_gateway({})
    for remote in ("0", f"{HOST}:{FIXED[0]}"):
        ssh = scene.ssh(f"{remote}:127.0.0.1:9", command="tcp")
        assert ssh.wait_exit() == 1
        assert "ERR_SALLYPORT_307" in "\n".join(ssh.err), ssh.describe()


def test_fixed_port_by_acl(scene, echo):
    """bind="ADDRESS:PORT" permits exactly that port, and no random one."""
    port = free_port(FIXED)
    other = free_port(FIXED)
    gateway = scene.start_gateway(
        {"tcp": TCP}, authorized=[scene.keys.alice.line(f'account="alice",bind="{HOST}:{port}"')])
    tunnel = expose(scene, echo, remote=f"{HOST}:{port}", gateway=gateway)
    assert tunnel.port == port
    for remote, number in ((f"{HOST}:{other}", 308), ("0", 356)):
        ssh = scene.ssh(f"{remote}:127.0.0.1:9", command="tcp")
        assert ssh.wait_exit() == 1
        assert f"ERR_SALLYPORT_{number}" in "\n".join(ssh.err), ssh.describe()
    assert refused_port(other)


#: bind= rule, number of the refusal of HOST at the fixed port, of -R 0 and of an internal tcp name
BIND = [
    (HOST, None, None, 308),
    ("*.example.test", None, None, 308),
    ("*", None, None, None),
    ("db.internal", 308, 356, None),
    ("db.internal:5432", 308, 356, None),
    ("db.internal:5433", 308, 356, 308),
    ("k=v", 308, 356, 308),
]


@pytest.mark.parametrize("rule, fixed, random, inside", BIND, ids=[b[0] for b in BIND])
def test_bind_rules_of_tcp(scene, echo, rule, fixed, random, inside):
    """Each form of a bind rule, against TCP endpoints (spec 5.9)."""
    scene.start_gateway({"tcp": TCP}, authorized=[
        scene.keys.alice.line(f'account="alice",bind="{rule}"')])
    for remote, number in ((f"{HOST}:{free_port(FIXED)}", fixed), ("0", random),
                           ("db.internal:5432", inside)):
        ssh = scene.ssh(f"{remote}:127.0.0.1:{echo}", command="tcp")
        if number is None:
            assert ssh.urls(1), remote
            ssh.stop()
            continue
        assert ssh.wait_exit() == 1
        assert f"ERR_SALLYPORT_{number}" in "\n".join(ssh.err), (remote, ssh.describe())


def test_reserved_port_is_its_accounts(scene, echo):
    """Without auto_reserve a port needs a reservation, which keeps others from it."""
    port = free_port(FIXED)
    scene.start_gateway({"tcp": TCP, "auto_reserve": False,
                         "domains": ({"name": f"{HOST}:{port}", "account": "bob"},)})
    ssh = scene.ssh(f"{HOST}:{port}:127.0.0.1:9", command="tcp", key="alice")
    assert ssh.wait_exit() == 1
    assert "ERR_SALLYPORT_309" in "\n".join(ssh.err), ssh.describe()
    ssh = scene.ssh(f"{HOST}:{free_port(FIXED)}:127.0.0.1:9", command="tcp", key="bob")
    assert ssh.wait_exit() == 1
    assert "ERR_SALLYPORT_307" in "\n".join(ssh.err), ssh.describe()
    assert expose(scene, echo, remote=f"{HOST}:{port}", key="bob").port == port


def test_port_of_another_account_is_refused(scene, echo):
    """While an account has a port, others do not get it."""
    port = free_port(FIXED)
    expose(scene, echo, remote=f"{HOST}:{port}", key="alice")
    ssh = scene.ssh(f"{HOST}:{port}:127.0.0.1:9", command="tcp", key="bob")
    assert ssh.wait_exit() == 1
    assert "ERR_SALLYPORT_309" in "\n".join(ssh.err), ssh.describe()


def test_port_of_another_program_is_refused(scene, echo):
    """A fixed port that some other program has: a clear error, and the program goes on."""
    port = free_port(FIXED)
    with socket.create_server(("127.0.0.1", port)) as other:
        ssh = scene.ssh(f"{HOST}:{port}:127.0.0.1:9", command="tcp")
        assert ssh.wait_exit() == 1
        assert "ERR_SALLYPORT_381" in "\n".join(ssh.err), ssh.describe()
        with socket.create_connection(("127.0.0.1", port)):
            other.accept()[0].close()
    assert expose(scene, echo, remote=f"{HOST}:{port}").port == port


def test_random_port_moves_on(scene, echo):
    """A random port that some other program has is passed over."""
    scene.start_gateway({"tcp": TCP, "limits": {"hold_ms": 0}})
    tunnel = expose(scene, echo)
    tunnel.stop()
    wait_until(lambda: refused_port(tunnel.port), "port closed")
    with socket.create_server(("127.0.0.1", tunnel.port)):
        assert expose(scene, echo).port != tunnel.port


# ---- bytes ----


def test_hundred_megabytes_both_ways_at_once(scene, echo):
    """100 MB there and back, byte-exact, with bounded memory."""
    size = 100 * MB
    tunnel = expose(scene, echo)
    before = scene.gateway.rss()
    conn = visit(scene, tunnel)
    sent = threading.Thread(target=lambda: [conn.sock.sendall(p) for p in pieces(size)]
                            + [conn.end()], daemon=True)
    sum_ = hashlib.sha256()
    conn.sock.settimeout(Deadline(120).left())
    sent.start()
    got = 0
    while data := conn.sock.recv(256 * 1024):
        sum_.update(data)
        got += len(data)
    sent.join()
    assert (got, sum_.hexdigest()) == (size, digest(size))
    scene.gateway.assert_growth(before, 32 * MB)


def test_visitor_half_closes(scene):
    """The upstream sees the end of the visitor's bytes and can still answer."""
    up = scene.scripted()
    conn = visit(scene, expose(scene, up))
    conn.send(content(300_000))
    conn.end()
    peer = up.accept()
    assert peer.read_all() == content(300_000)
    peer.send(content(200_000, 1))
    peer.close()
    assert conn.read_all() == content(200_000, 1)
    assert not conn.was_reset


def test_upstream_half_closes(scene):
    """The visitor sees the end of the upstream's bytes and can still send."""
    up = scene.scripted()
    conn = visit(scene, expose(scene, up))
    peer = up.accept()
    peer.send(content(200_000))
    peer.end()
    assert conn.read_all() == content(200_000)
    conn.send(content(300_000, 1))
    conn.end()
    assert peer.read_all() == content(300_000, 1)


def test_upstream_speaks_first(scene):
    """Nothing of the visitor is needed to reach the upstream."""
    up = scene.scripted()
    conn = visit(scene, expose(scene, up))
    up.accept().send(b"220 hello\r\n")
    assert conn.read_until(b"\r\n") == b"220 hello\r\n"


def test_many_connections(scene, echo):
    """Two hundred at once, each with its own bytes."""
    tunnel = expose(scene, echo)
    conns = [visit(scene, tunnel) for _ in range(200)]
    for i, conn in enumerate(conns):
        conn.send(content(3000, i))
    for i, conn in enumerate(conns):
        assert conn.read_exactly(3000) == content(3000, i)
    scene.gateway.wait_gauge("sallyport_raw_connections", 200)
    if WORKERS > 1:
        assert scene.gateway.metrics()["sallyport_relays"] == 0, "they moved instead"


def test_slow_reader_holds_the_upstream_up(scene):
    """Back-pressure: what a visitor does not read stays with the upstream."""
    up = scene.scripted()
    conn = visit(scene, expose(scene, up), receive_buffer=64 * 1024)
    peer = up.accept()
    peer.sock.settimeout(0.5)
    sent = 0
    with pytest.raises(OSError):
        for _ in range(2000):
            sent += peer.sock.send(bytes(64 * 1024))
    assert sent < 64 * MB
    got = 0
    conn.sock.settimeout(Deadline(30).left())
    while got < sent:
        got += len(conn.sock.recv(256 * 1024))


def test_ssh_inside_a_tcp_tunnel(scene, tmp_path):
    """A real sshd behind the endpoint: log in through it and run something."""
    user_key = scene.keys.alice
    tunnel = expose(scene, scene.keep(InnerSshd(scene.keys, tmp_path, user_key)))
    done = subprocess.run(
        ["ssh", "-F", "none", "-p", str(tunnel.port), "-i", str(user_key.path), "-o",
         "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o",
         f"UserKnownHostsFile={tmp_path}/known", "-o", "IdentitiesOnly=yes", "127.0.0.1",
         "head -c 3000000 /dev/zero | sha256sum; cat"],
        input=b"through\n", capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done
    expected = hashlib.sha256(bytes(3000000)).hexdigest()
    assert done.stdout == f"{expected}  -\nthrough\n".encode(), done


# ---- the ends of connections ----


def test_upstream_refused(scene):
    """Nothing listens behind the forward: the connection is just closed, and the log says why."""
    tunnel = expose(scene, free_port())
    mark = scene.gateway.mark()
    assert closed_at_once(scene, tunnel)
    event = scene.gateway.wait_log(lambda e: e["event"] == "tcp_connection_closed", mark)
    assert event["close_reason"] == "refused", event


def test_visitor_resets(scene):
    """The upstream's connection goes too."""
    up = scene.scripted()
    conn = visit(scene, expose(scene, up))
    conn.send(b"hello")
    peer = up.accept()
    assert peer.read_exactly(5) == b"hello"
    conn.reset()
    assert peer.read_all() == b""


def test_session_is_killed(scene):
    """The agent dies with connections open: visitors are told, the gateway is idle."""
    up = scene.scripted()
    tunnel = expose(scene, up)
    conn = visit(scene, tunnel)
    conn.send(b"hello")
    up.accept().read_exactly(5)
    tunnel.kill()
    assert conn.read_all() == b""


def test_event_tells_the_bytes(scene, echo):
    """One tcp_connection_closed a connection, with its fields; ssh shows a line if asked."""
    tunnel = expose(scene, echo, "--log stdout")
    mark = scene.gateway.mark()
    conn = visit(scene, tunnel)
    conn.send(b"12345678")
    conn.end()
    assert conn.read_all() == b"12345678"
    event = scene.gateway.wait_log(lambda e: e["event"] == "tcp_connection_closed", mark)
    assert event["conn"]["bytes_in"] == 8 and event["conn"]["bytes_out"] == 8, event
    assert event["conn"]["client_ip"] == "127.0.0.1", event
    assert event["conn"]["server_port"] == tunnel.port, event
    assert event["endpoint"]["url"] == f"tcp://{HOST}:{tunnel.port}", event
    assert event["conn"]["start_ts"] <= event["conn"]["end_ts"], event
    assert "http" not in event and "close_reason" not in event, event
    wait_until(lambda: any("tcp_connection_closed" in line for line in tunnel.out),
               tunnel.describe)


def test_idle_connection_is_closed(scene):
    """connection_idle_timeout_ms: silence in both directions ends it; bytes of either keep it."""
    scene.start_gateway({"tcp": TCP, "limits": {"connection_idle_timeout_ms": 1500}})
    up = scene.scripted()
    conn = visit(scene, expose(scene, up))
    peer = up.accept()
    for _ in range(5):
        peer.send(b".")
        assert conn.read_exactly(1) == b"."
        with pytest.raises(TimeoutError):
            conn.read_exactly(1, 0.5)
    mark = scene.gateway.mark()
    assert conn.read_all() == b""
    event = scene.gateway.wait_log(lambda e: e["event"] == "tcp_connection_closed", mark)
    assert event["close_reason"] == "idle", event


# ---- policies ----


def test_cidr_flags(scene, echo):
    """--cidr-allow and --cidr-deny look at the connection."""
    inside = expose(scene, echo, "--cidr-allow 127.0.0.0/8")
    conn = visit(scene, inside)
    conn.send(b"in")
    assert conn.read_exactly(2) == b"in"
    for flags in ("--cidr-allow 10.0.0.0/8", "--cidr-allow 0.0.0.0/0 --cidr-deny 127.0.0.1"):
        mark = scene.gateway.mark()
        assert closed_at_once(scene, expose(scene, echo, flags))
        event = scene.gateway.wait_log(lambda e: e["event"] == "tcp_connection_closed", mark)
        assert event["close_reason"] == "policy", event
        assert event["ip_policy"]["decision"] == "block", event


def test_denied_visitor_never_reaches_the_upstream(scene):
    """deny and close-connection in on_tcp_connect, by an expression."""
    for action in ("deny", "close-connection"):
        up = scene.scripted()
        tunnel = with_policy(scene, up, f"""
            on_tcp_connect:
              - expressions: ["conn.client_ip.startsWith('127.')"]
                actions: [{{type: {action}}}]
            """)
        assert closed_at_once(scene, tunnel)
        up.assert_untouched()


def test_log_and_variables(scene, echo):
    """log and set-vars; conn, endpoint and time variables of the phase."""
    tunnel = with_policy(scene, echo, """
        on_tcp_connect:
          - actions:
              - type: set-vars
                config: {vars: [{who: "${conn.client_ip}:${conn.client_port}"}]}
              - type: log
                config:
                  metadata:
                    who: "${vars.who}"
                    where: "${endpoint.url} ${endpoint.protocol} ${conn.server_port}"
                    bytes: "${conn.bytes_in}"
        """)
    mark = scene.gateway.mark()
    conn = visit(scene, tunnel)
    conn.send(b"x")
    assert conn.read_exactly(1) == b"x"
    conn.close()
    event = scene.gateway.wait_log(lambda e: e["event"] == "tcp_connection_closed", mark)
    logs = str(event["traffic_policy"]["logs"])
    for text in (f"127.0.0.1:{conn.local_port}",
                 f"tcp://{HOST}:{tunnel.port} tcp {tunnel.port}"):
        assert text in logs, event


def test_rate_limit_counts_connections(scene, echo):
    """rate-limit in on_tcp_connect: the connections beyond it are closed."""
    tunnel = with_policy(scene, echo, """
        on_tcp_connect:
          - actions:
              - type: rate-limit
                config:
                  name: conns
                  algorithm: sliding_window
                  capacity: 3
                  rate: 24h
                  bucket_key: ["conn.client_ip"]
        """)
    for _ in range(3):
        conn = visit(scene, tunnel)
        conn.send(b"x")
        assert conn.read_exactly(1) == b"x"
    assert closed_at_once(scene, tunnel)


@pytest.mark.parametrize("phase", ["on_http_request", "on_http_response"])
@pytest.mark.parametrize("command", ["tcp", "tls"])
def test_http_phases_are_refused(scene, command, phase):
    """Only on_tcp_connect makes sense here: E2230, wrapped in E9026."""
    ssh = scene.ssh("0:127.0.0.1:9", command=f"{command} --traffic-policy-file -",
                    stdin=stdin_of(f"{phase}:\n  - actions: [{{type: deny}}]\n"))
    assert ssh.wait_exit() == 1
    err = "\n".join(ssh.err)
    assert "2230" in err and "ERR_SALLYPORT_9026" in err, ssh.describe()


# ---- over time ----


def test_release_closes_the_port(scene, echo):
    """When the command ends, connections are refused on every worker's socket."""
    tunnel = expose(scene, echo)
    conn = visit(scene, tunnel)
    conn.send(b"x")
    conn.read_exactly(1)
    tunnel.stop()
    wait_until(lambda: all(refused_port(tunnel.port) for _ in range(20)), "port closed")
    assert conn.read_all() == b""


def test_reconnect_gets_the_same_port(scene, echo):
    """A key finds its random port again, also when it comes back at once."""
    first = expose(scene, echo)
    for _ in range(5):
        first.kill()
        wait_until(lambda: refused_port(first.port), "port closed")
        again = expose(scene, echo)
        assert again.port == first.port
        first = again


def test_release_and_claim_in_a_row(scene, echo):
    """A port that is just being closed can be had again at once."""
    port = free_port(FIXED)
    for i in range(10):
        tunnel = expose(scene, echo, remote=f"{HOST}:{port}")
        conn = visit(scene, tunnel)
        conn.send(b"%d" % i)
        assert conn.read_exactly(1) == b"%d" % i
        conn.close()
        tunnel.process_signal = tunnel.signal(signal.SIGTERM)
    tunnel.wait_exit()


def test_port_is_held_for_its_account(scene, echo):
    """After a drop, others do not get the port for a while."""
    port = free_port(FIXED)
    tunnel = expose(scene, echo, remote=f"{HOST}:{port}")
    tunnel.kill()
    wait_until(lambda: refused_port(port), "port closed")
    ssh = scene.ssh(f"{HOST}:{port}:127.0.0.1:9", command="tcp", key="bob")
    assert ssh.wait_exit() == 1
    assert "ERR_SALLYPORT_309" in "\n".join(ssh.err), ssh.describe()
    assert expose(scene, echo, remote=f"{HOST}:{port}").port == port


def test_same_key_takes_over(scene):
    """A newer session of the same key gets the port without a moment in which it is closed."""
    port = free_port(FIXED)
    one, two = scene.scripted(), scene.scripted()
    first = expose(scene, one, remote=f"{HOST}:{port}")
    old = visit(scene, first)
    old.send(b"old")
    assert one.accept().read_exactly(3) == b"old"
    second = expose(scene, two, remote=f"{HOST}:{port}")
    first.wait_err(r"(?i)taken over")
    conn = visit(scene, second)
    conn.send(b"new")
    assert two.accept().read_exactly(3) == b"new"


def test_other_key_of_the_account_is_refused(scene, echo):
    """Same account, another key: E334."""
    port = free_port(FIXED)
    expose(scene, echo, remote=f"{HOST}:{port}")
    ssh = scene.ssh(f"{HOST}:{port}:127.0.0.1:9", command="tcp", key="alice2")
    assert ssh.wait_exit() == 1
    assert "ERR_SALLYPORT_334" in "\n".join(ssh.err), ssh.describe()


def test_drain_lets_connections_finish(scene, echo):
    """SIGTERM: no new connections, those that run may go on until they are done."""
    gateway = scene.start_gateway({"tcp": TCP, "limits": {"drain_ms": 20000}})
    tunnel = expose(scene, echo)
    conn = visit(scene, tunnel)
    conn.send(b"x")
    conn.read_exactly(1)
    gateway.process.signal(signal.SIGTERM)
    wait_until(lambda: refused_port(tunnel.port), "port closed")
    conn.send(content(500_000))
    assert conn.read_exactly(500_000) == content(500_000)
    conn.close()
    assert gateway.process.wait_exit(10) == 0


@pytest.mark.parametrize("workers", [1, 4])
def test_other_numbers_of_workers(scene, echo, workers):
    """Every worker accepts, whichever holds the session."""
    scene.start_gateway({"tcp": TCP, "workers": workers})
    tunnels = [expose(scene, echo, key=key) for key in ("alice", "bob", "carol")]
    for i in range(60):
        conn = visit(scene, tunnels[i % 3])
        conn.send(content(70_000, i))
        assert conn.read_exactly(70_000) == content(70_000, i)
        conn.close()
    if workers > 1:
        assert scene.gateway.metrics()["sallyport_handoffs_total"] > 0


# ---- tls endpoints, whose way to the upstream is another file's matter ----


def test_tls_urls(scene):
    """tls://NAME, random or chosen."""
    ssh = scene.ssh("0:127.0.0.1:9", command="tls")
    assert re.fullmatch(r"tls://[0-9a-f]{12}\.example\.test:\d+", ssh.urls(1)[0])
    name = scene.name()
    ssh = scene.ssh(f"{name}.example.test:443:127.0.0.1:9", command="tls")
    assert ssh.urls(1)[0].startswith(f"tls://{name}.example.test")


def test_tls_and_https_share_no_name(scene):
    """Both want port 443 of the name: E334."""
    name = f"{scene.name()}.example.test"
    scene.ssh(f"{name}:443:127.0.0.1:9", command="tls").urls(1)
    ssh = scene.ssh(f"{name}:443:127.0.0.1:9", command="http", key="alice2")
    assert ssh.wait_exit() == 1
    assert "ERR_SALLYPORT_334" in "\n".join(ssh.err), ssh.describe()
