"""The process: start, reload, graceful stop; configuration problems; certificates and TLS."""

import os
import re
import signal
import socket
import ssl
import subprocess

import pytest

from lib.gateway import BINARY, WORKERS, Gateway
from lib.raw import Conn, tls_context
from lib.wait import wait_until


def run(*args, **kw):
    return subprocess.run([str(BINARY), *map(str, args)], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=30, check=False, **kw)


# ---- the command line of the program ----


def test_version_and_help():
    """sallyport version and help."""
    assert re.search(r"\d+\.\d+\.\d+", run("version").stdout)
    done = run("help")
    assert done.returncode == 0
    assert "serve" in done.stdout and "check" in done.stdout


def test_wrong_usage():
    """Nothing, or an unknown word: usage on stderr and a non-zero status."""
    for args in ((), ("nonsense",), ("serve",), ("serve", "-c"), ("serve", "-x")):
        done = run(*args)
        assert done.returncode not in (0, -6, -11), (args, done)
        assert done.stderr


def test_check_of_a_good_file(scene, tmp_path):
    """check -c FILE: exit 0 and no problem."""
    gateway = Gateway(tmp_path, scene.keys)
    done = run("check", "-c", gateway.config_file)
    assert done.returncode == 0, done


CONFIG_PROBLEMS = [
    ('nonsense = 1;', "nonsense"),
    ('limits = { nonsense = 1; };', "nonsense"),
    ('limits = { hold_ms = -1; };', "hold_ms"),
    ('limits = { hold_ms = "x"; };', "hold_ms"),
    ('limits = { login_grace_ms = 1; };', "login_grace_ms"),
    ('log = { level = "loud"; };', "level"),
    ('log = { format = "xml"; };', "format"),
    ('tls = { certificates = ( { cert = "/no/such/file"; key = "/no/such/file"; } ); };', "/no/such"),
    ('domains = ( { name = "a b"; account = "x"; } );', "domains"),
    ('workers = "many";', "workers"),
    ('this is not libconfig', "sallyport.cfg:"),
]


@pytest.mark.parametrize("line,named", CONFIG_PROBLEMS, ids=[c[0][:30] for c in CONFIG_PROBLEMS])
def test_check_names_file_and_line(scene, tmp_path, line, named):
    """Every problem is FILE:LINE: text, exit 1; serve refuses the same file."""
    gateway = Gateway(tmp_path, scene.keys, {"workers": None, "log": None})
    text = gateway.config_file.read_text()
    gateway.config_file.write_text(text + line + "\n")
    number = text.count("\n") + 1
    done = run("check", "-c", gateway.config_file)
    assert done.returncode == 1, done
    output = done.stdout + done.stderr
    assert re.search(rf"sallyport\.cfg:{number}: .", output), output
    assert named in output
    done = run("serve", "-c", gateway.config_file)
    assert done.returncode == 1
    assert f"sallyport.cfg:{number}: " in done.stdout + done.stderr


def test_check_reports_all_problems(scene, tmp_path):
    """Several problems are all printed."""
    gateway = Gateway(tmp_path, scene.keys, {"one": 1, "two": 2, "limits": {"three": 3}})
    done = run("check", "-c", gateway.config_file)
    assert done.returncode == 1
    for word in ("one", "two", "three"):
        assert re.search(rf"sallyport\.cfg:\d+: .*\b{word}\b", done.stdout + done.stderr)


def test_missing_file(tmp_path):
    """A file that is not there is named."""
    done = run("check", "-c", tmp_path / "none.cfg")
    assert done.returncode == 1
    assert "none.cfg" in done.stdout + done.stderr


def test_port_in_use(scene, tmp_path):
    """A listener that cannot be bound: exit 1 and the address in the message."""
    other = scene.gateway
    gateway = Gateway(tmp_path, scene.keys,
                      {"listen": {"admin": [f"127.0.0.1:{other.admin_port}"]}})
    done = run("serve", "-c", gateway.config_file)
    assert done.returncode == 1
    assert str(other.admin_port) in done.stdout + done.stderr


def test_ready_is_notified(scene, tmp_path):
    """sd_notify: READY=1 on the socket that systemd names."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(path))
        s.settimeout(10)
        scene.start_gateway(env={"NOTIFY_SOCKET": str(path)})
        message = s.recv(4096)
        assert b"READY=1" in message.split(b"\n")


# ---- graceful stop ----


def test_sigterm_lets_requests_finish(scene):
    """A response under way finishes, then the program exits 0; the SSH user is told."""
    gateway = scene.start_gateway()
    up = scene.scripted()
    tunnel = scene.tunnel(up)
    visitor = scene.https(tunnel)
    idle = scene.https(tunnel)
    visitor.send(visitor.request_bytes("GET", "/"))
    conn = up.accept()
    conn.read_request()
    conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234")
    visitor.read_until(b"01234")
    gateway.process.signal(signal.SIGTERM)
    idle.read_all()
    conn.send(b"56789")
    assert visitor.read_exactly(5) == b"56789"
    assert gateway.process.wait_exit(20) == 0
    assert tunnel.wait_exit() not in (0, None)
    assert re.search(r"(?i)shut|ERR_SALLYPORT_803|drain", "\n".join(tunnel.err)), tunnel.describe()


def test_sigterm_lets_an_upload_finish(scene):
    """The same for a request that is still being sent."""
    gateway = scene.start_gateway()
    tunnel = scene.tunnel(scene.app())
    visitor = scene.https(tunnel)
    visitor.send(visitor.request_bytes("POST", "/upload", [("Content-Length", "10")]) + b"01234")
    gateway.wait_gauge("sallyport_exchanges", 1)
    gateway.process.signal(signal.SIGTERM)
    wait_until(lambda: refuses(gateway.https_port), "no new connections")
    visitor.send(b"56789")
    assert visitor.read_response("POST").text.startswith("10 ")
    assert gateway.process.wait_exit(20) == 0


def refuses(port):
    try:
        Conn(port, "x").close()
        return False
    except OSError:
        return True


def test_sigterm_is_bounded(scene):
    """drain_ms: what does not finish is cut, and the exit status is still 0."""
    gateway = scene.start_gateway({"limits": {"drain_ms": 500}})
    up = scene.scripted()
    visitor = scene.https(scene.tunnel(up))
    visitor.send(visitor.request_bytes("GET", "/"))
    up.accept().read_request()
    gateway.process.signal(signal.SIGTERM)
    assert gateway.process.wait_exit(15) == 0
    visitor.read_all()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_when_idle(scene, number):
    """An idle gateway with a tunnel stops at once."""
    gateway = scene.start_gateway()
    tunnel = scene.tunnel(scene.app())
    gateway.process.signal(number)
    assert gateway.process.wait_exit(10) == 0
    tunnel.wait_exit()


def test_second_signal(scene):
    """A second SIGTERM during the drain ends it now, without a crash."""
    gateway = scene.start_gateway()
    up = scene.scripted()
    visitor = scene.https(scene.tunnel(up))
    visitor.send(visitor.request_bytes("GET", "/"))
    up.accept().read_request()
    gateway.process.signal(signal.SIGTERM)
    wait_until(lambda: refuses(gateway.https_port), "no new connections")
    gateway.process.signal(signal.SIGTERM)
    assert gateway.process.wait_exit(40) in (0, 1, -signal.SIGTERM)
    gateway.process = None


def test_new_requests_during_the_drain(scene):
    """A kept-alive connection gets 503 or is closed; it does not hang."""
    gateway = scene.start_gateway()
    up = scene.scripted()
    tunnel = scene.tunnel(up)
    visitor, other = scene.https(tunnel), scene.https(tunnel)
    visitor.send(visitor.request_bytes("GET", "/"))
    conn = up.accept()
    conn.read_request()
    gateway.process.signal(signal.SIGTERM)
    wait_until(lambda: refuses(gateway.https_port), "no new connections")
    try:
        other.send(other.request_bytes("GET", "/"))
    except OSError:
        pass
    assert other.read_all()[:12] in (b"", b"HTTP/1.1 503")
    conn.respond(b"done")
    response = visitor.read_response()
    assert response.body == b"done"
    assert response.header("connection") == "close"
    assert gateway.process.wait_exit(20) == 0


# ---- reload ----


def test_reload_changes_limits(scene):
    """SIGHUP with another value takes effect without dropping anything."""
    gateway = scene.start_gateway({"limits": {"max_forwards": 1}})
    app = scene.app()
    tunnel = scene.tunnel(app)
    visitor = scene.https(tunnel)
    assert visitor.get("/hello").status == 200
    gateway.configure(limits={"max_forwards": 3})
    mark = gateway.mark()
    gateway.reload()
    gateway.wait_log(lambda e: "reload" in e["event"], mark, "a line about the reload")
    assert visitor.get("/hello").status == 200
    ssh = scene.ssh(f"a.example.test:443:127.0.0.1:{app.port}",
                    f"b.example.test:443:127.0.0.1:{app.port}")
    assert len(ssh.urls(2)) == 2


def test_reload_of_a_bad_file_keeps_the_old_state(scene):
    """The problem is logged with file and line; everything goes on as before."""
    gateway = scene.start_gateway()
    tunnel = scene.tunnel(scene.app())
    good = gateway.config_file.read_text()
    gateway.config_file.write_text(good + "nonsense = 1;\n")
    mark = gateway.mark()
    gateway.reload()
    line = good.count("\n") + 1
    gateway.wait_log(lambda e: f"sallyport.cfg:{line}" in str(e), mark, "file and line in the log")
    assert any(e["level"] == "error" for e in gateway.entries(mark))
    assert scene.get(tunnel).status == 200
    gateway.config_file.write_text(good)
    mark = gateway.mark()
    gateway.reload()
    gateway.wait_log(lambda e: "reload" in e["event"] and e["level"] == "info", mark, "a good reload")
    assert scene.get(tunnel).status == 200


def test_many_reloads_under_load(scene):
    """Thirty SIGHUPs while requests run."""
    gateway = scene.start_gateway()
    visitor = scene.https(scene.tunnel(scene.app()))
    for _ in range(30):
        gateway.reload()
        assert visitor.get("/hello").status == 200
        assert scene.get(visitor.authority.partition(":")[0]).status == 200


def test_log_level_changes_by_reload(scene):
    """log.level takes effect: debug lines appear."""
    gateway = scene.start_gateway()
    gateway.configure(log={"level": "error"})
    gateway.reload()

    def silent():
        mark = gateway.mark()
        scene.http("x.example.test").get("/silent")
        return not gateway.entries(mark)

    wait_until(silent, "no info lines any more")


# ---- certificates ----


def make_certificate(directory, name, *hosts, days=30):
    """A self-signed certificate for these hosts; returns the two paths."""
    cert, key = directory / f"{name}.crt", directory / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", str(days), "-subj", f"/CN={name}",
                    "-addext", "subjectAltName=" + ",".join(f"DNS:{h}" for h in hosts),
                    "-keyout", key, "-out", cert], check=True, capture_output=True)
    return {"cert": str(cert), "key": str(key)}


def common_name(conn):
    """CN of the certificate that was shown."""
    der = conn.sock.getpeercert(binary_form=True)
    text = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-subject"], input=der,
                          capture_output=True, check=True).stdout.decode()
    return re.search(r"CN\s*=\s*(\S+)", text)[1]


def test_configured_certificates_are_matched(scene, tmp_path):
    """SAN-matched: exact before wildcard; a wildcard covers one label; else the local CA."""
    scene.start_gateway({"tls": {"certificates": (
        make_certificate(tmp_path, "wild", "*.example.test"),
        make_certificate(tmp_path, "exact", "exact.example.test", "also.example.test"))}})
    for host, name in (("exact.example.test", "exact"), ("also.example.test", "exact"),
                       ("EXACT.example.test", "exact"), ("other.example.test", "wild")):
        with scene.https(host) as conn:
            assert common_name(conn) == name, host
    scene.tunnel_to("a.b.example.test", scene.app())
    with scene.https("a.b.example.test") as conn:
        assert common_name(conn) not in ("wild", "exact")


def test_local_ca_signs_on_demand(scene):
    """The leaf verifies with curl --cacert and covers the name; it is cached."""
    tunnel = scene.tunnel(scene.app())
    ca = scene.gateway.state / "ca.crt"
    serials = set()
    for _ in range(WORKERS + 2):
        with Conn(scene.gateway.https_port, tunnel.host, tls=True,
                  context=tls_context(cafile=ca)) as conn:
            serials.add(conn.sock.getpeercert()["serialNumber"])
            names = conn.sock.getpeercert()["subjectAltName"]
    assert ("DNS", tunnel.host) in names or any(n.startswith("*.") for _, n in names)
    assert len(serials) <= WORKERS, "one for each worker at most"


def test_local_ca_stays(scene):
    """ca.crt is kept over a restart, its key is private."""
    gateway = scene.start_gateway()
    before = (gateway.state / "ca.crt").read_bytes()
    assert oct((gateway.state / "ca.key").stat().st_mode & 0o777) == "0o600"
    assert gateway.terminate() == 0
    gateway.log.clear()
    gateway.start()
    assert (gateway.state / "ca.crt").read_bytes() == before


def test_leaf_behind_a_wildcard_endpoint(scene):
    """A wildcard endpoint: each concrete name gets a certificate that verifies."""
    scene.tunnel_to("*.w.example.test", scene.app())
    for host in ("a.w.example.test", "a.b.w.example.test"):
        with Conn(scene.gateway.https_port, host, tls=True,
                  context=tls_context(cafile=scene.gateway.state / "ca.crt")) as conn:
            assert conn.get("/hello").status == 200


def test_certificate_reload_drops_nothing(scene, tmp_path):
    """A new certificate after SIGHUP: old connections go on, new ones see it."""
    first = make_certificate(tmp_path, "first", "*.example.test")
    gateway = scene.start_gateway({"tls": {"certificates": (first,)}})
    tunnel = scene.tunnel(scene.app())
    visitor = scene.https(tunnel)
    assert common_name(visitor) == "first"
    gateway.configure(tls={"certificates": (make_certificate(tmp_path, "second",
                                                             "*.example.test"),)})
    gateway.reload()

    def shown():
        with scene.https(tunnel) as conn:
            return common_name(conn)

    wait_until(lambda: shown() == "second", "the new certificate")
    assert visitor.get("/hello").status == 200
    assert tunnel.running


def test_reload_with_a_bad_certificate(scene, tmp_path):
    """A key that does not fit: the old certificate stays, the log says where."""
    good = make_certificate(tmp_path, "good", "*.example.test")
    other = make_certificate(tmp_path, "other", "*.example.test")
    gateway = scene.start_gateway({"tls": {"certificates": (good,)}})
    gateway.configure(tls={"certificates": ({"cert": good["cert"], "key": other["key"]},)})
    mark = gateway.mark()
    gateway.reload()
    gateway.wait_log(lambda e: "sallyport.cfg:" in str(e), mark, "file and line in the log")
    with scene.https("x.example.test") as conn:
        assert common_name(conn) == "good"


# ---- TLS ----


V = ssl.TLSVersion


@pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3])
def test_tls_versions(scene, version):
    """TLS 1.2 and 1.3 work, with ALPN http/1.1."""
    tunnel = scene.tunnel(scene.app())
    with scene.https(tunnel, context=tls_context((version, version))) as conn:
        assert conn.sock.version() == version.name.replace("_", ".")
        assert conn.sock.selected_alpn_protocol() == "http/1.1"
        assert conn.get("/hello").status == 200


def test_old_tls_is_refused(scene):
    """TLS 1.1 and older: an alert."""
    with pytest.raises((ssl.SSLError, ConnectionError)):
        scene.https("x.example.test", context=tls_context((V.TLSv1, V.TLSv1_1)))


def test_alpn(scene):
    """A client that offers both gets h2, one that offers neither gets HTTP/1.1 without a word."""
    tunnel = scene.tunnel(scene.app())
    for offer, chosen in ((("http/1.1", "h2"), "h2"), (("h3", "http/1.1"), "http/1.1"),
                          ((), None)):
        with scene.https(tunnel, context=tls_context(alpn=offer)) as conn:
            assert conn.sock.selected_alpn_protocol() == chosen
            assert chosen == "h2" or conn.get("/hello").status == 200


@pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3])
def test_session_resumption(scene, version):
    """A ticket is good on any worker, and after a reload."""
    tunnel = scene.tunnel(scene.app())
    context = tls_context((version, version))
    session = None
    for i in range(8):
        with scene.https(tunnel, context=context, session=session) as conn:
            assert conn.get("/hello").status == 200
            if i:
                assert conn.sock.session_reused, f"connection {i}"
            session = conn.sock.session
        if i == 4:
            scene.gateway.change()


@pytest.mark.parametrize("cipher,works", [
    ("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256", True),
    ("ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305", True),
    ("AES128-SHA:AES256-SHA", False),
    ("ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA", False),
    ("NULL-SHA256:eNULL", False),
], ids=["gcm", "chacha", "rsa-cbc", "ecdhe-cbc", "null"])
def test_tls_1_2_ciphers(scene, cipher, works):
    """Forward secrecy and AEAD only."""
    context = tls_context((V.TLSv1_2, V.TLSv1_2))
    context.set_ciphers(cipher + ":@SECLEVEL=0")
    if works:
        assert scene.https("x.example.test", context=context).get("/").status == 404
        return
    with pytest.raises((ssl.SSLError, ConnectionError)):
        scene.https("x.example.test", context=context)


def test_garbage_on_the_tls_port(scene):
    """Plain HTTP and noise on the TLS port end quickly; noise after the handshake too."""
    for data in (b"GET / HTTP/1.1\r\nHost: x.example.test\r\n\r\n", os.urandom(5000), b"\x16" * 100,
                 b"\x16\x03\x01\xff\xff" + b"x" * 100):
        with Conn(scene.gateway.https_port, "x.example.test") as conn:
            conn.send(data)
            if data[:5] != b"\x16\x03\x01\xff\xff":
                conn.read_all()


def test_client_initiated_renegotiation_is_refused(scene):
    """TLS 1.2 renegotiation would let a client burn CPU."""
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{scene.gateway.https_port}", "-tls1_2",
         "-servername", "x.example.test", "-legacy_renegotiation"], input=b"R\n",
        capture_output=True, timeout=20, check=False)
    assert b"RENEGOTIATING" in done.stdout + done.stderr
    assert re.search(rb"no renegotiation|error|closed|alert", done.stdout + done.stderr)


# ---- admin ----


def test_metrics_are_prometheus_text(scene):
    """Every metric has HELP and TYPE, and no sample is without; counters move."""
    text = scene.gateway.admin("/metrics")
    names = set(re.findall(r"^# TYPE (\w+) (?:gauge|counter|histogram)$", text, re.M))
    assert names == set(re.findall(r"^# HELP (\w+) ", text, re.M))
    samples = set(re.findall(r"^(\w+?)(?:_bucket|_sum|_count)?(?:\{.*\})? -?\d", text, re.M))
    assert samples <= names
    before = scene.gateway.metrics()["sallyport_requests_total"]
    scene.http("x.example.test").get("/")
    wait_until(lambda: scene.gateway.metrics()["sallyport_requests_total"] == before + 1,
               "the counter moves")


def test_admin_has_nothing_else(scene):
    """Unknown paths of the admin listener are 404."""
    with Conn(scene.gateway.admin_port, "127.0.0.1") as conn:
        assert conn.get("/nothing").status == 404
