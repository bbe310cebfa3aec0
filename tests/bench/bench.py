"""Measures sallyport against nginx (TLS) in front of `sshd -R`, on this machine, in alternating runs.

Usage: bench.py [--quick] [--rounds N] [--only NAME,...]

Both sides get the same upstream (an nginx on loopback, a small sink for uploads), the same OpenSSH
client and the same load; for TCP endpoints the other side is sshd alone. Every figure is a median over the rounds; a ratio below 1 means that
sallyport needed less. CPU is user + system time of the gateway's processes only: sallyport on one
side, nginx with all its workers plus sshd with its session processes on the other.
"""

import argparse
import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
TICKS = os.sysconf("SC_CLK_TCK")
MIB = 1024 * 1024
GIB = 1024 * MIB
HOST = "bench.localhost"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(condition, what, seconds=20):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.02)
    raise RuntimeError(f"timed out waiting for {what}")


def is_listening(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def children_of(pid):
    """pid and everything below it."""
    found = [pid]
    for path in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        for child in path.read_text().split():
            found += children_of(int(child))
    return found


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        with contextlib.suppress(FileNotFoundError):
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
    return total / TICKS


def rss_bytes(pids):
    """Memory that belongs to these processes alone, so that shared pages are not counted twice."""
    total = 0
    for pid in pids:
        with contextlib.suppress(FileNotFoundError):
            text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += sum(int(n) for n in re.findall(r"^Private_\w+:\s+(\d+)", text, re.M)) * 1024
    return total


def start(argv, **kw):
    return subprocess.Popen([str(a) for a in argv], **{"stdin": subprocess.DEVNULL, **kw})


def stop(process):
    if process is None or process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Upstream:
    """nginx for small answers and downloads, a thread that swallows uploads."""

    def __init__(self, work):
        self.port = free_port()
        self.sink_port = free_port()
        root = work / "www"
        root.mkdir()
        (root / "small").write_bytes(b"hello")
        with open(root / "big", "wb") as f:
            f.truncate(GIB)
        conf = work / "upstream.conf"
        conf.write_text(f"""
daemon off; pid {work}/upstream.pid; error_log stderr error; worker_processes 1;
events {{ worker_connections 4096; }}
http {{
  access_log off; sendfile on; keepalive_requests 100000000; client_body_temp_path {work}/t1;
  proxy_temp_path {work}/t2; fastcgi_temp_path {work}/t3; uwsgi_temp_path {work}/t4; scgi_temp_path {work}/t5;
  server {{ listen 127.0.0.1:{self.port}; root {root};
            location = /tiny {{ return 200 "hello"; }} }}
}}
""")
        self.nginx = start(["nginx", "-c", conf, "-p", work], stderr=subprocess.DEVNULL)
        self.sink = socket.create_server(("127.0.0.1", self.sink_port))
        threading.Thread(target=self._accept, daemon=True).start()
        wait_for(lambda: is_listening(self.port), "the upstream nginx")

    def _accept(self):
        while True:
            try:
                s, _ = self.sink.accept()
            except OSError:
                return
            threading.Thread(target=self._swallow, args=(s,), daemon=True).start()

    @staticmethod
    def _swallow(s):
        head = b""
        with s:
            while b"\r\n\r\n" not in head:
                piece = s.recv(65536)
                if not piece:
                    return
                head += piece
            length = int(re.search(rb"(?i)content-length: *(\d+)", head).group(1))
            left = length - (len(head) - head.index(b"\r\n\r\n") - 4)
            buffer = bytearray(MIB)
            while left > 0:
                n = s.recv_into(buffer)
                if n == 0:
                    return
                left -= n
            s.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    def stop(self):
        self.sink.close()
        stop(self.nginx)


class Sallyport:
    name = "sallyport"

    def __init__(self, work, key):
        self.ssh_port, self.https_port = free_port(), free_port()
        self.key, self.work, self.clients = key, work, []
        keys = work / "authorized_keys"
        keys.write_text(key.with_suffix(".pub").read_text())
        conf = work / "sallyport.cfg"
        conf.write_text(f"""
state_dir = "{work}/state"; domain = "localhost";
listen = {{ ssh = ["127.0.0.1:{self.ssh_port}"]; https = ["127.0.0.1:{self.https_port}"]; }};
authorized_keys = ["{keys}"];
tcp = {{ host = "localhost"; ports = "20000-29999"; listen = ["127.0.0.1"]; }};
limits = {{ max_sessions_per_key = 100000; max_sessions_per_address = 100000; max_unauthenticated = 10000; }};
log = {{ level = "warn"; }};
""")
        program = os.environ.get("SALLYPORT_BIN", ROOT / "build/gcc-release/sallyport")
        self.process = start([program, "serve", "-c", conf], stderr=open(work / "sallyport.log", "wb"))
        wait_for(lambda: is_listening(self.https_port), "sallyport")

    def _url(self, remote, upstream_port, command, policy=None):
        """Starts a client; returns what it prints, which is a URL."""
        with open(policy or "/dev/null", "rb") as document:
            client = start(["ssh", "-F", "none", "-p", self.ssh_port, "-i", self.key,
                            "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                            "-o", "LogLevel=ERROR", "-R", f"{remote}:127.0.0.1:{upstream_port}",
                            "v2@127.0.0.1", command], stdin=document, stdout=subprocess.PIPE)
        self.clients.append(client)
        line = client.stdout.readline().decode().strip()
        if "://" not in line:
            raise RuntimeError(f"no URL from sallyport: {line!r}")
        return line

    def tunnel(self, host, upstream_port, policy=None):
        """`policy` is the file of a traffic policy."""
        command = "http" if policy is None else "http --traffic-policy-file -"
        self._url(f"{host}:443", upstream_port, command, policy)
        return f"https://{host}:{self.https_port}"

    def tcp_tunnel(self, upstream_port):
        """The public port of a TCP endpoint."""
        return int(self._url("0", upstream_port, "tcp").rpartition(":")[2])

    def pids(self):
        return children_of(self.process.pid)

    def stop(self):
        for client in self.clients:
            client.kill()
            client.wait()
        stop(self.process)


class NginxSshd:
    name = "nginx+sshd"

    def __init__(self, work, key):
        self.ssh_port, self.https_port = free_port(), free_port()
        self.key, self.work, self.clients = key, work, []
        self.backends, self.directives, self.maps = {}, {}, ""
        host_key = work / "sshd_host"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", host_key], check=True)
        keys = work / "sshd_keys"
        keys.write_text(key.with_suffix(".pub").read_text())
        conf = work / "sshd_config"
        conf.write_text(f"""
ListenAddress 127.0.0.1:{self.ssh_port}
HostKey {host_key}
AuthorizedKeysFile {keys}
StrictModes no
UsePAM no
PidFile none
MaxStartups 10000
AllowTcpForwarding remote
""")
        os.makedirs("/run/sshd", exist_ok=True)
        self.sshd = start(["/usr/sbin/sshd", "-D", "-e", "-f", conf], stderr=subprocess.DEVNULL)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "3", "-subj", "/CN=bench",
                        "-keyout", work / "tls.key", "-out", work / "tls.crt"],
                       check=True, stderr=subprocess.DEVNULL)
        self.nginx = None
        wait_for(lambda: is_listening(self.ssh_port), "sshd")

    def _write_conf(self):
        servers = "\n".join(f"""
  upstream u{port} {{ server 127.0.0.1:{port}; keepalive 256; keepalive_requests 100000000; }}
  server {{ listen 127.0.0.1:{self.https_port} ssl http2; server_name {host};
    location / {{ proxy_pass http://u{port}; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto https; proxy_request_buffering off; proxy_max_temp_file_size 0;
      {self.directives.get(host, "")} }} }}
""" for host, port in self.backends.items())
        conf = self.work / "front.conf"
        work = self.work
        conf.write_text(f"""
daemon off; pid {work}/front.pid; error_log stderr error; worker_processes auto;
events {{ worker_connections 8192; }}
http {{
  access_log off; client_max_body_size 0; keepalive_requests 100000000; server_names_hash_bucket_size 128;
  ssl_certificate {work}/tls.crt; ssl_certificate_key {work}/tls.key; ssl_protocols TLSv1.2 TLSv1.3;
  client_body_temp_path {work}/f1; proxy_temp_path {work}/f2; fastcgi_temp_path {work}/f3;
  uwsgi_temp_path {work}/f4; scgi_temp_path {work}/f5;
  {self.maps}
  {servers}
}}
""")
        return conf

    def tcp_tunnel(self, upstream_port):
        """A port of sshd itself; no nginx has a part in it."""
        port = free_port()
        self.clients.append(start(
            ["ssh", "-F", "none", "-N", "-p", self.ssh_port, "-i", self.key,
             "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
             "-o", "LogLevel=ERROR", "-R", f"127.0.0.1:{port}:127.0.0.1:{upstream_port}",
             "root@127.0.0.1"]))
        wait_for(lambda: is_listening(port), "the sshd forward")
        return port

    def tunnel(self, host, upstream_port, directives=""):
        """`directives` go into the location of this host; self.maps stands in front of all servers."""
        port = self.tcp_tunnel(upstream_port)
        self.backends[host], self.directives[host] = port, directives
        conf = self._write_conf()
        if self.nginx is None:
            self.nginx = start(["nginx", "-c", conf, "-p", self.work], stderr=subprocess.DEVNULL)
            wait_for(lambda: is_listening(self.https_port), "the front nginx")
        else:
            self.nginx.send_signal(signal.SIGHUP)
            time.sleep(1)  # nginx gives no sign when its new workers serve
        return f"https://{host}:{self.https_port}"

    def pids(self):
        return children_of(self.sshd.pid) + (children_of(self.nginx.pid) if self.nginx else [])

    def stop(self):
        for client in self.clients:
            client.kill()
            client.wait()
        stop(self.nginx)
        stop(self.sshd)


# ---- measurements: each returns {figure: value} of one run ------------------------------------


def h2load(url, *options, version="http/1.1"):
    """Runs h2load against loopback, whatever the URL's name; `version` is one of ALPN. Returns the
    requests done."""
    port = re.search(r":(\d+)/", url).group(1)
    out = subprocess.run(["h2load", "-t1", f"--npn-list={version}",
                          f"--connect-to=127.0.0.1:{port}", *options, url],
                         check=True, capture_output=True, text=True).stdout
    if f"Application protocol: {version}" not in out:
        raise RuntimeError(f"{url} was not loaded over {version}")
    done, failed, errored = (int(re.search(rf"(\d+) {word}", out).group(1))
                             for word in ("succeeded", "failed", "errored"))
    if failed or errored:
        raise RuntimeError(f"{failed} failed and {errored} broken requests at {url}")
    return done


def small_requests(side, urls, args, name, *options, **kw):
    cpu = cpu_seconds(side.pids())
    begin = time.monotonic()
    requests = h2load(urls["get"] + "/tiny", f"-n{args.requests}", *options, **kw)
    seconds = time.monotonic() - begin
    used = cpu_seconds(side.pids()) - cpu
    return {f"{name}: requests/s": requests / seconds,
            f"{name}: CPU us/request": used / requests * 1e6}


def keepalive(side, urls, args):
    return small_requests(side, urls, args, "keep-alive GET x32", "-c32")


def http2(side, urls, args):
    """HTTP/2 from the visitor; the upstream gets HTTP/1.1 from both."""
    return small_requests(side, urls, args, "HTTP/2 GET x32 x8 streams", "-c32", "-m8", version="h2")


def new_connections(side, urls, args):
    cpu = cpu_seconds(side.pids())
    begin = time.monotonic()
    requests = sum(h2load(urls["get"] + "/tiny", "-c200", "-n200") for _ in range(args.seconds * 2))
    seconds = time.monotonic() - begin
    used = cpu_seconds(side.pids()) - cpu
    return {"new TLS connections/s": requests / seconds,
            "new TLS connection: CPU us": used / requests * 1e6}


def download(side, urls, args):
    cpu = cpu_seconds(side.pids())
    begin = time.monotonic()
    subprocess.run(["curl", "-sSk", "-o", "/dev/null", "-r", f"0-{args.bytes - 1}",
                    urls["get"] + "/big"], check=True)
    seconds = time.monotonic() - begin
    used = cpu_seconds(side.pids()) - cpu
    return {"download: MiB/s": args.bytes / MIB / seconds,
            "download: CPU s/GiB": used / (args.bytes / GIB)}


def upload(side, urls, args):
    cpu = cpu_seconds(side.pids())
    begin = time.monotonic()
    with open(args.blob, "rb") as blob:
        subprocess.run(["curl", "-sSk", "-o", "/dev/null", "-H", "Expect:", "-T", "-",
                        "-H", "Transfer-Encoding:", "-H", f"Content-Length: {args.bytes}",
                        urls["put"] + "/up"], stdin=blob, check=True)
    seconds = time.monotonic() - begin
    used = cpu_seconds(side.pids()) - cpu
    return {"upload: MiB/s": args.bytes / MIB / seconds,
            "upload: CPU s/GiB": used / (args.bytes / GIB)}


def tcp(side, urls, args):
    """One connection each way through a TCP endpoint, against `sshd -R` alone."""
    figures = {}
    down, up = (f"http://127.0.0.1:{side.tcp_tunnel(port)}/"
                for port in (args.upstream.port, args.upstream.sink_port))
    for name, url, options in (
            ("download", down + "big", ["-r", f"0-{args.bytes - 1}"]),
            ("upload", up, ["-H", "Expect:", "-T", "-", "-H", "Transfer-Encoding:",
                            "-H", f"Content-Length: {args.bytes}"])):
        cpu = cpu_seconds(side.pids())
        begin = time.monotonic()
        with open(args.blob, "rb") as blob:
            subprocess.run(["curl", "-sS", "-o", "/dev/null", *options, url], stdin=blob, check=True)
        seconds = time.monotonic() - begin
        used = cpu_seconds(side.pids()) - cpu
        figures[f"TCP endpoint {name}: MiB/s"] = args.bytes / MIB / seconds
        figures[f"TCP endpoint {name}: CPU s/GiB"] = used / (args.bytes / GIB)
    return figures


def latency(side, urls, args):
    """At a fixed rate that both sides can hold."""
    log = args.work / "latency.log"
    log.unlink(missing_ok=True)
    h2load(urls["get"] + "/tiny", "-c8", "--rps=125", f"-n{1000 * args.seconds}",
           f"--log-file={log}")
    times = sorted(int(line.split()[2]) for line in log.read_text().splitlines())
    return {"latency at 1000/s: p50 us": times[len(times) // 2],
            "latency at 1000/s: p99 us": times[len(times) * 99 // 100]}


def idle_connections(side, urls, args):
    host, port = re.match(r"https://([^:]+):(\d+)", urls["get"]).groups()
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    before = rss_bytes(side.pids())
    held = []
    for _ in range(args.idle):
        s = context.wrap_socket(socket.create_connection(("127.0.0.1", int(port))),
                                server_hostname=host)
        s.sendall(f"GET /tiny HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        s.recv(4096)
        held.append(s)
    used = rss_bytes(side.pids()) - before
    for s in held:
        s.close()
    return {"memory per idle connection: KiB": used / 1024 / args.idle}


def idle_tunnels(side, urls, args):
    count = args.idle // 10
    first = len(side.clients)
    before = rss_bytes(side.pids())
    if side.name == "sallyport":
        for i in range(count):
            side.tunnel(f"idle{i}.localhost", args.upstream.port)
    else:
        # One nginx reload at the end would do in practice, so the front is left out here.
        for _ in range(count):
            port = free_port()
            side.clients.append(start(
                ["ssh", "-F", "none", "-N", "-p", side.ssh_port, "-i", side.key,
                 "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                 "-o", "LogLevel=ERROR", "-R", f"127.0.0.1:{port}:127.0.0.1:1", "root@127.0.0.1"]))
            wait_for(lambda p=port: is_listening(p), "a forward")
    used = rss_bytes(side.pids()) - before
    for client in side.clients[first:]:
        client.kill()
        client.wait()
    del side.clients[first:]
    return {"memory per idle tunnel: KiB": used / 1024 / count}


# Memory first: a process that has seen load holds free memory that would hide what is added.
MEASUREMENTS = {f.__name__: f for f in (idle_tunnels, idle_connections, keepalive, http2,
                                        new_connections, download, upload, tcp, latency)}


def measure(args, names):
    figures = {}
    for round_number in range(args.rounds):
        for kind in (Sallyport, NginxSshd):
            work = args.work / f"{kind.__name__}{round_number}"
            work.mkdir()
            side = kind(work, args.key)
            try:
                urls = {"get": side.tunnel(HOST, args.upstream.port),
                        "put": side.tunnel("put." + HOST.split(".", 1)[1], args.upstream.sink_port)}
                for name in names:
                    for figure, value in MEASUREMENTS[name](side, urls, args).items():
                        figures.setdefault(figure, {}).setdefault(side.name, []).append(value)
            finally:
                side.stop()
            print(f"# round {round_number + 1} of {args.rounds}: {kind.name} done", file=sys.stderr)
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short runs, to see that it works")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(MEASUREMENTS))
    args = parser.parse_args()
    args.seconds = 2 if args.quick else 8
    args.requests = 10_000 if args.quick else 100_000
    args.bytes = 64 * MIB if args.quick else GIB
    args.idle = 50 if args.quick else 500
    if args.quick:
        args.rounds = 1
    args.work = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-bench-"))
    args.key = args.work / "key"
    args.blob = args.work / "blob"
    with open(args.blob, "wb") as f:
        f.truncate(args.bytes)
    os.chmod(args.work, 0o755)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", args.key], check=True)
    args.upstream = Upstream(args.work)
    try:
        figures = measure(args, args.only.split(","))
    finally:
        args.upstream.stop()
        shutil.rmtree(args.work, ignore_errors=True)
    print(f"{'figure':44} {'sallyport':>12} {'nginx+sshd':>12} {'ratio':>8}")
    for figure, sides in figures.items():
        ours, theirs = (statistics.median(sides[n]) for n in ("sallyport", "nginx+sshd"))
        print(f"{figure:44} {ours:12.1f} {theirs:12.1f} {ours / theirs if theirs else 0:8.2f}")


if __name__ == "__main__":
    main()
