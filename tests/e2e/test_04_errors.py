"""Errors that the gateway answers itself: codes, statuses, pages; and the access log."""

import json
import re
import signal
import socket
import ssl
import subprocess
import threading

import pytest

from lib.content import content
from lib.ports import free_port
from lib.process import Process
from lib.wait import wait_until

OFFLINE = "ERR_SALLYPORT_3200"


def is_error(response, status, number):
    assert (response.status, response.error_code) == (status, f"ERR_SALLYPORT_{number}"), response
    assert response.header("cache-control") == "no-store"
    assert response.header("ngrok-error-code") is None


def ask(scene, up, flags="", settings=None):
    """A visitor whose request has reached the upstream; returns (visitor, conn, tunnel)."""
    if settings:
        scene.start_gateway(settings)
    tunnel = scene.tunnel(up, flags=flags)
    visitor = scene.https(tunnel)
    visitor.send(visitor.request_bytes("GET", "/"))
    conn = up.accept()
    conn.read_request()
    return visitor, conn, tunnel


# ---- codes of spec 8.6 ----


def test_upstream_refused(scene):
    """Nothing listens behind the agent: 502 E8012; the visitor's connection goes on."""
    tunnel = scene.tunnel(free_port())
    visitor = scene.https(tunnel)
    for _ in range(3):
        is_error(visitor.get("/"), 502, 8012)
    assert tunnel.running


def test_upstream_comes_back(scene):
    """After a refusal the next request tries again."""
    port = free_port()
    tunnel = scene.tunnel(port)
    is_error(scene.get(tunnel), 502, 8012)
    app = scene.app(port=port)
    assert scene.get(tunnel).body == b"hello from app\n"
    assert len(app.seen) == 1


NOT_HTTP = [b"SSH-2.0-OpenSSH_9.2\r\n", b"220 mail ESMTP\r\n", b"\x00\x01\x02\x03" * 10,
            b"HTTP/2.0 200 OK\r\n\r\n", b"hello\n\n"]


@pytest.mark.parametrize("data", NOT_HTTP, ids=range(len(NOT_HTTP)))
def test_upstream_that_is_not_http(scene, data):
    """Another protocol behind the agent: 502 E3004."""
    up = scene.scripted()
    visitor, conn, _ = ask(scene, up)
    conn.send(data)
    conn.close()
    is_error(visitor.read_response(), 502, 3004)


def test_upstream_that_speaks_tls(scene, tmp_path):
    """A TLS server gets plain HTTP and hangs up: 502 E3004."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-keyout", tmp_path / "k", "-out",
                    tmp_path / "c", "-subj", "/CN=x"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "c", tmp_path / "k")
    up = scene.scripted()

    def serve():
        conn = up.accept()
        try:
            context.wrap_socket(conn.sock, server_side=True)
        except (OSError, ssl.SSLError):
            pass
        finally:
            conn.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    response = scene.get(scene.tunnel(up))
    thread.join(10)
    is_error(response, 502, 3004)


def test_tls_alert_of_the_upstream(scene):
    """One that sends an alert first: the page says that it looks like TLS."""
    up = scene.scripted()
    visitor, conn, _ = ask(scene, up)
    conn.send(b"\x15\x03\x01\x00\x02\x02\x46")
    conn.close()
    response = visitor.read_response()
    is_error(response, 502, 3004)
    assert "TLS" in response.text


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 200 OK\r\nContent-Le"], ids=["none", "part"])
def test_upstream_closes_before_the_head_is_complete(scene, data):
    """No response head, or half of one: 502 E3004."""
    up = scene.scripted()
    visitor, conn, _ = ask(scene, up)
    conn.send(data)
    conn.close()
    is_error(visitor.read_response(), 502, 3004)


def test_response_head_too_large(scene):
    """response_head_max_bytes: 502 E3004."""
    up = scene.scripted()
    visitor, conn, _ = ask(scene, up, settings={"limits": {"response_head_max_bytes": 4096}})
    try:
        conn.send(b"HTTP/1.1 200 OK\r\n" + b"X-Filler: aaaaaaaaaaaaaaa\r\n" * 400)
    except OSError:
        pass
    is_error(visitor.read_response(), 502, 3004)


def test_response_head_timeout(scene):
    """response_head_timeout_ms: 504 E3005; the upstream's connection ends."""
    up = scene.scripted()
    visitor, conn, _ = ask(scene, up, settings={"limits": {"response_head_timeout_ms": 500}})
    is_error(visitor.read_response(), 504, 3005)
    conn.wait_eof()


def test_open_timeout(scene):
    """channel_open_timeout_ms: a client that does not answer the channel open: 504 E3005."""
    scene.start_gateway({"limits": {"channel_open_timeout_ms": 500}})
    tunnel = scene.tunnel(scene.app())
    tunnel.signal(signal.SIGSTOP)
    response = scene.get(tunnel)
    tunnel.signal(signal.SIGCONT)
    is_error(response, 504, 3005)


def test_channel_that_opens_too_late_is_closed(scene):
    """The client answers the open after the visitor's 504: its connection is closed again."""
    scene.start_gateway({"limits": {"channel_open_timeout_ms": 300}})
    up = scene.scripted()
    tunnel = scene.tunnel(up)
    tunnel.signal(signal.SIGSTOP)
    is_error(scene.get(tunnel), 504, 3005)
    tunnel.signal(signal.SIGCONT)
    up.accept().wait_eof()
    app = scene.app()
    assert scene.get(scene.tunnel(app)).status == 200


def test_agent_lost_before_the_answer(scene):
    """The SSH session ends while a request waits: 502 E3210."""
    up = scene.scripted()
    visitor, _, tunnel = ask(scene, up)
    tunnel.kill()
    is_error(visitor.read_response(), 502, 3210)


def test_agent_lost_in_the_body(scene):
    """The same after the head: the body breaks off and cannot be taken for a whole one."""
    up = scene.scripted()
    visitor, conn, tunnel = ask(scene, up)
    conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
    visitor.read_until(b"abc")
    tunnel.kill()
    assert visitor.read_all() == b""


def test_offline(scene):
    """No endpoint: 404 E3200, and the connection goes on."""
    visitor = scene.http("nobody.example.test")
    for _ in range(3):
        is_error(visitor.get("/"), 404, 3200)


def test_error_to_an_upload(scene):
    """A refused upload of any size gets its answer; afterwards the connection is sane or closed."""
    visitor = scene.http("nobody.example.test")
    visitor.send(visitor.request_bytes("POST", "/", [("Content-Length", "100000")]) + b"x" * 1000)
    response = visitor.read_response("POST")
    is_error(response, 404, 3200)
    if response.header("connection") != "close":
        visitor.send(b"x" * 99000)
        is_error(visitor.get("/"), 404, 3200)


def test_head_of_an_error(scene):
    """HEAD gets the head of the page only."""
    visitor = scene.http("nobody.example.test")
    is_error(visitor.request("HEAD", "/"), 404, 3200)
    is_error(visitor.get("/"), 404, 3200)


# ---- pages ----


PAGES = [
    (None, "text/plain"),
    ("*/*", "text/plain"),
    ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
    ("text/html", "text/html"),
    ("application/json", "application/json"),
    ("application/json, text/plain, */*", "application/json"),
    ("image/png", "text/plain"),
]


@pytest.mark.parametrize("accept,kind", PAGES, ids=[str(p[0])[:30] for p in PAGES])
def test_page_kind(scene, accept, kind):
    """HTML for browsers, JSON for programs, short text otherwise; each names the code."""
    visitor = scene.http("nobody.example.test")
    response = visitor.get("/", [("Accept", accept)] if accept else ())
    is_error(response, 404, 3200)
    assert response.header("content-type").startswith(kind)
    assert OFFLINE in response.text
    if kind == "application/json":
        assert OFFLINE in json.dumps(json.loads(response.text))
    elif kind == "text/html":
        assert response.text.lstrip().lower().startswith("<!doctype html>")
        assert "noindex" in response.text
    else:
        assert response.text.startswith(OFFLINE + "\n")


def test_page_does_not_echo_markup(scene):
    """Nothing of the request gets into a page unescaped."""
    visitor = scene.http("nobody.example.test")
    response = visitor.get("/<script>alert(1)</script>?<img>", [("Accept", "text/html"),
                                                               ("User-Agent", "<script>x")])
    assert "<script>alert" not in response.text
    assert "<img>" not in response.text


def test_compatible_error_header(scene):
    """compat.ngrok_error_header sends the second field too."""
    scene.start_gateway({"compat": {"ngrok_error_header": True}})
    response = scene.http("nobody.example.test").get("/")
    assert response.header("sallyport-error-code") == OFFLINE
    assert response.header("ngrok-error-code") == "ERR_NGROK_3200"


# ---- upstreams that are real servers ----


@pytest.fixture
def nginx(scene, tmp_path):
    """nginx with a large file, a redirect and an error page of its own."""
    port = free_port()
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "big").write_bytes(content(3 << 20))
    (tmp_path / "root" / "index.html").write_text("<p>nginx here\n")
    config = tmp_path / "nginx.conf"
    config.write_text(f"""
daemon off; worker_processes 1; pid {tmp_path}/pid; error_log stderr; user root;
events {{ worker_connections 512; }}
http {{
  access_log off; client_body_temp_path {tmp_path}/body; proxy_temp_path {tmp_path}/proxy;
  fastcgi_temp_path {tmp_path}/f; uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;
  gzip on; gzip_types text/html; gzip_min_length 1;
  server {{
    listen 127.0.0.1:{port}; root {tmp_path}/root;
    location /old {{ return 301 /new; }}
    location /put {{ client_max_body_size 1k; return 200 "put"; }}
  }}
}}
""")
    server = scene.keep(Process(["nginx", "-e", "stderr", "-c", config]), "stop")
    def listening():
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return True
        except OSError:
            return False

    wait_until(listening, server.describe)
    return port


def test_nginx_upstream(scene, nginx):
    """Pages, ranges, redirects, gzip and conditional requests of nginx."""
    tunnel = scene.tunnel(nginx)
    conn = scene.https(tunnel)
    page = conn.get("/")
    assert (page.status, page.body) == (200, b"<p>nginx here\n")
    assert conn.get("/", [("If-None-Match", page.header("etag"))]).status == 304
    part = conn.get("/big", [("Range", "bytes=1000000-1000099")])
    assert (part.status, part.body) == (206, content(3 << 20)[1000000:1000100])
    assert conn.get("/big").body == content(3 << 20)
    assert conn.get("/missing").status == 404
    assert conn.request("HEAD", "/big").header("content-length") == str(3 << 20)
    status, body, _ = scene.curl(tunnel.url, "-k", "--compressed", "-D", "-")
    assert status == 0 and b"content-encoding: gzip" in body.lower() and b"nginx here" in body
    moved = conn.get("/old")
    assert moved.status == 301
    assert conn.get("/").status == 200


def test_nginx_refuses_a_large_upload(scene, nginx):
    """413 of nginx while the body is still sent reaches curl."""
    tunnel = scene.tunnel(nginx)
    status, body, err = scene.curl(tunnel.url + "/put", "-k", "-w", "%{http_code}", "-o",
                                   "/dev/null", "-X", "PUT", "--data-binary", "x" * 100000)
    assert body == b"413", (status, err)


def test_node_upstream(scene, node):
    """Chunked streams, trailers, several cookies and echoes of Node's http."""
    server = scene.keep(node.start("http_server.js"), "stop")
    conn = scene.https(scene.tunnel(int(server.wait_out()[0])))
    answer = conn.get("/json")
    assert json.loads(answer.text)["method"] == "GET"
    assert answer.all("set-cookie") == ["a=1", "b=2"]
    assert conn.get("/stream").text.splitlines() == [f"line {i}" for i in reversed(range(100))]
    assert [(n.lower(), v) for n, v in conn.get("/trailers").trailers] == [("x-sum", "42")]
    assert conn.request("POST", "/echo", body=b"x" * 1000000).body == b"x" * 1000000


# ---- the access log ----


def test_access_log_line(scene):
    """One line an exchange, with the fields of http_request_complete that apply."""
    app = scene.app()
    tunnel = scene.tunnel(app, flags="--basic-auth u:password1")
    mark = scene.gateway.mark()
    path = f"/{scene.name()}"
    visitor = scene.https(tunnel)
    visitor.request("POST", path + "?q=1", [("Authorization", "Basic dTpwYXNzd29yZDE="),
                                            ("User-Agent", "tester/1.0")], b"hello")
    entry = scene.gateway.wait_exchange(path, mark)
    request, response = entry["http"]["request"], entry["http"]["response"]
    assert request["method"].upper() == "POST"
    assert request["url"]["scheme"] == "https"
    assert request["url"]["host"].partition(":")[0] == tunnel.host
    assert request["url"]["query"] == "q=1"
    assert request["user_agent"] == "tester/1.0"
    assert request["body_length"] == 5
    assert response["status_code"] == 404
    assert response["body_length"] == len(b"no such page\n")
    assert entry["conn"]["client_ip"] == "127.0.0.1"
    assert int(entry["conn"]["server_port"]) == scene.gateway.https_port
    assert entry["tls"]["version"] == "TLSv1.3"
    assert entry["basic_auth"]["decision"] == "allow"
    assert entry["basic_auth"]["username"] == "u"
    assert entry["backend"]["connection_reused"] is False
    assert re.match(r"ep_\w{27}$", entry["endpoint"]["id"])
    assert re.match(r"ts_\w{27}$", entry["session"]["id"])
    assert len([e for e in scene.gateway.entries(mark) if "http" in e]) == 1


def test_access_log_of_errors(scene):
    """A gateway error is in the log with its number."""
    mark = scene.gateway.mark()
    scene.http("nobody.example.test").get("/offline-path")
    entry = scene.gateway.wait_exchange("/offline-path", mark)
    assert entry["http"]["response"]["status_code"] == 404
    assert "3200" in json.dumps(entry["error_code"])


def test_access_log_text_format(scene):
    """log.format = "text": name=value fields, one line."""
    gateway = scene.start_gateway({"log": {"format": "text"}})
    scene.http("nobody.example.test").get("/text-path")
    wait_until(lambda: [line for line in gateway.noise if "/text-path" in line], "text log line")
    line = next(line for line in gateway.noise if "/text-path" in line)
    assert "http.response.status_code=404" in line


def test_visitor_cannot_forge_log_lines(scene):
    """A user agent with quotes and what stands for line ends stays inside its field."""
    mark = scene.gateway.mark()
    agent = '","level":"error","event":"forged\\n{"'
    scene.http("nobody.example.test").get("/forge-path", [("User-Agent", agent)])
    entry = scene.gateway.wait_exchange("/forge-path", mark)
    assert entry["http"]["request"]["user_agent"] == agent
    assert not [e for e in scene.gateway.log if e["event"] == "forged"]
