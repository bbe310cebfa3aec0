"""Measures what many endpoints cost: 10,000 cloud endpoints of several accounts, and 2,000 of ssh sessions.

Usage: bench_endpoints.py [--quick]

The cloud endpoints are made by the management API over several connections, some at reserved domains;
then the gateway starts again with all of them. Requests go to endpoints by chance, so that their number
would show in what a request costs; more that are asked also means colder caches, so at last 100 of all
are. A claim is timed from the
request for a forward to the URL that comes back, one after the other in each session, four sessions at
a time. Memory is that of the gateway alone, without what was shared or empty before. What a look into
the tables costs by itself, bench_routes.c and bench_domains.c tell.
"""

import argparse
import concurrent.futures
import http.client
import itertools
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import types

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent), str(ROOT / "tests/e2e")]

from bench import children_of, cpu_seconds, free_port, rss_bytes, start, stop, wait_for  # noqa: E402
from lib.ssh_raw import CHANNEL_DATA, GLOBAL_REQUEST, RawSsh, string  # noqa: E402

ACCOUNTS = 8
API_CONNECTIONS = 8
CLAIMERS = 4
PAGE = 100

POLICY = """
on_http_request:
  - name: health
    expressions: ["req.url.path == '/health'"]
    actions:
      - type: custom-response
        config: {{status_code: 204}}
  - actions:
      - type: custom-response
        config: {{status_code: 200, headers: {{content-type: text/plain}}, body: "endpoint {number}"}}
"""

#: Requests of wrk for hosts by chance; the first argument is their number.
SCRIPT = """
local requests = {}
function init(args)
  local count = tonumber(args[1])
  math.randomseed(count)
  for i = 0, 4095 do
    requests[i] = wrk.format("GET", "/", {Host = "e" .. math.random(0, count - 1) .. ".localhost"})
  end
end
local at = 0
function request()
  at = (at + 1) % 4096
  return requests[at]
end
"""


class Gateway:
    """With a state that outlives it; its settings allow what is measured."""

    address = "127.0.0.1"

    def __init__(self, work):
        self.work, self.process = work, None
        self.ssh_port, self.http_port, self.admin_port = free_port(), free_port(), free_port()
        self.program = pathlib.Path(os.environ.get(
            "SALLYPORT_BIN", ROOT / "build/gcc-release/sallyport"))
        self.conf = work / "sallyport.cfg"
        self.conf.write_text(f"""
state_dir = "{work}/state"; domain = "localhost";
listen = {{ ssh = ["127.0.0.1:{self.ssh_port}"]; http = ["127.0.0.1:{self.http_port}"];
           admin = ["127.0.0.1:{self.admin_port}"]; }};
authorized_keys = ["{work}/authorized_keys"];
limits = {{ api_requests_per_minute = 0; keepalive_interval_ms = 3600000; }};
log = {{ level = "warn"; }};
""")

    def start(self, host):
        """Returns the seconds until `host` has an answer, whatever it is."""
        begin = time.monotonic()
        self.process = start([self.program, "serve", "-c", self.conf],
                             stderr=open(self.work / "sallyport.log", "ab"))
        wait_for(lambda: self.answers(host), "the gateway", 120)
        return time.monotonic() - begin

    def answers(self, host):
        """Listeners wait with the connection until everything is there."""
        try:
            conn = http.client.HTTPConnection(self.address, self.http_port, timeout=60)
            conn.request("GET", "/", headers={"Host": host})
            conn.getresponse().read()
        except ConnectionError:
            return False
        return True

    def token(self, *options):
        return subprocess.run([self.program, "apikey", "create", "-c", self.conf, *options],
                              check=True, capture_output=True, text=True).stdout.strip()

    def pids(self):
        return children_of(self.process.pid)

    def cpu(self):
        return cpu_seconds(self.pids())

    def rss(self):
        return rss_bytes(self.pids())

    def stop(self):
        stop(self.process)


class Api:
    """A caller on one connection."""

    def __init__(self, gateway, token):
        self.conn = http.client.HTTPConnection(gateway.address, gateway.admin_port, timeout=60)
        self.fields = {"authorization": f"Bearer {token}", "ngrok-version": "2",
                       "content-type": "application/json"}

    def call(self, method, path, body=None):
        self.conn.request(method, path, None if body is None else json.dumps(body), self.fields)
        response = self.conn.getresponse()
        text = response.read()
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: {response.status} {text[:300]}")
        return json.loads(text)


def percentile(values, n):
    return sorted(values)[min(len(values) * n // 100, len(values) - 1)]


# ---- what is measured: each prints its figures ---------------------------------------------------


def show(figure, value):
    print(f"{figure:52} {value:12.1f}", flush=True)


def create(gateway, tokens, path, bodies):
    """One object a body, over all connections; the body's number decides whose it is. Returns seconds."""
    work = iter(list(bodies))
    lock = threading.Lock()

    def run():
        apis = [Api(gateway, token) for token in tokens]
        while True:
            with lock:
                number, body = next(work, (0, None))
            if body is None:
                return
            apis[number % ACCOUNTS].call("POST", path, body)

    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(API_CONNECTIONS) as pool:
        for done in [pool.submit(run) for _ in range(API_CONNECTIONS)]:
            done.result()
    return time.monotonic() - begin


def create_domains(gateway, tokens, count):
    cpu = gateway.cpu()
    seconds = create(gateway, tokens, "/reserved_domains",
                     [(i, {"domain": f"e{i}.localhost"}) for i in range(count)])
    show("reserved domains made by the API: a second", count / seconds)
    show("reserved domain: CPU us", (gateway.cpu() - cpu) / count * 1e6)


def create_cloud(gateway, tokens, first, end):
    """Returns (seconds, CPU seconds)."""
    cpu = gateway.cpu()
    seconds = create(gateway, tokens, "/endpoints",
                     [(i, {"url": f"http://e{i}.localhost", "traffic_policy": POLICY.format(number=i)})
                      for i in range(first, end)])
    return seconds, gateway.cpu() - cpu


def requests(gateway, count, online, args):
    """To `count` cloud endpoints by chance, of all that are online."""
    cpu = gateway.cpu()
    out = subprocess.run(["wrk", "-t1", "-c8", f"-d{args.seconds}", "--latency", "-s", args.script,
                          f"http://127.0.0.1:{gateway.http_port}", "--", str(count)],
                         check=True, capture_output=True, text=True).stdout
    done = int(re.search(r"(\d+) requests in", out).group(1))
    if "Non-2xx" in out or "Socket errors" in out:
        raise RuntimeError(out)
    number, unit = re.search(r"50%\s+([\d.]+)(us|ms|s)", out).groups()
    what = f"request to {count} of {online} endpoints"
    show(f"{what}: CPU us", (gateway.cpu() - cpu) / done * 1e6)
    show(f"{what}, 8 at once: p50 us",
         float(number) * {"us": 1, "ms": 1e3, "s": 1e6}[unit])


def walk_pages(gateway, token, whose):
    """All pages of GET /endpoints."""
    api, path, times, found = Api(gateway, token), f"/endpoints?limit={PAGE}", [], 0
    cpu = gateway.cpu()
    while path is not None:
        begin = time.monotonic()
        page = api.call("GET", path)
        times.append(time.monotonic() - begin)
        found += len(page["endpoints"])
        path = page["next_page_uri"]
        path = path and "/endpoints" + path.partition("/endpoints")[2]
    show(f"page of {PAGE} of {found}, {whose}: p50 ms", statistics.median(times) * 1e3)
    show(f"page of {PAGE} of {found}, {whose}: slowest ms", max(times) * 1e3)
    show(f"page of {PAGE} of {found}, {whose}: CPU ms", (gateway.cpu() - cpu) / len(times) * 1e3)
    return found


def find_one(gateway, token, host):
    """One endpoint by its URL, and by a filter: both look at all."""
    api = Api(gateway, token)
    for what, query in (("?url=", f"url=http://{host}"),
                        ("?filter=", f"filter=obj.url%20%3D%3D%20%22http://{host}%22")):
        begin = time.monotonic()
        found = len(api.call("GET", "/endpoints?" + query)["endpoints"])
        if found != 1:
            raise RuntimeError(f"{query}: {found} endpoints")
        show(f"one of all endpoints by {what}: ms", (time.monotonic() - begin) * 1e3)


class Claimer:
    """One ssh session, whose command runs from its first forward on."""

    def __init__(self, gateway, key):
        self.ssh = RawSsh(gateway, seconds=60).login(key)
        self.channel = None

    def claim(self, host):
        """Seconds from the request to the URL."""
        if self.channel is None:
            self.channel = self.ssh.session()
            self.ssh.say(GLOBAL_REQUEST, "tcpip-forward", True, host, 80)
            begin = time.monotonic()
            self.channel.request("exec", string("http"))
        else:
            begin = time.monotonic()
            self.ssh.say(GLOBAL_REQUEST, "tcpip-forward", True, host, 80)
        line = self.ssh.wait(CHANNEL_DATA)
        seconds = time.monotonic() - begin
        if line.number() != self.channel.mine or host.encode() not in line.text():
            raise RuntimeError(f"{host} was not claimed")
        return seconds


def claim_all(claimers, names):
    """Each claimer claims its names, some claimers at a time; returns all times."""
    def run(claimer, hosts):
        return [claimer.claim(host) for host in hosts]

    with concurrent.futures.ThreadPoolExecutor(CLAIMERS) as pool:
        return list(itertools.chain.from_iterable(pool.map(run, claimers, names)))


def claims(gateway, key, sessions, forwards):
    """Returns the claimers, whose endpoints stay online."""
    before = gateway.rss()
    claimers = [Claimer(gateway, key) for _ in range(sessions)]
    hosts = [[f"s{n}-{i}.localhost" for i in range(forwards)] for n in range(sessions)]
    times = claim_all(claimers, [h[:1] for h in hosts])
    one = gateway.rss()
    cpu = gateway.cpu()
    more = claim_all(claimers, [h[1:] for h in hosts])
    show("claim of an ssh endpoint: p50 ms", statistics.median(times + more) * 1e3)
    show("claim of an ssh endpoint: p99 ms", percentile(times + more, 99) * 1e3)
    show("claim of an ssh endpoint: slowest ms", max(times + more) * 1e3)
    show("claim of an ssh endpoint: CPU us", (gateway.cpu() - cpu) / len(more) * 1e6)
    show("memory per ssh session with one endpoint: bytes", (one - before) / sessions)
    show("memory per further ssh endpoint: bytes", (gateway.rss() - one) / len(more))
    return claimers


# ---- all of it -------------------------------------------------------------------------------------


def measure(gateway, args):
    last = f"e{args.cloud - 1}.localhost"
    gateway.start(last)  # the first start makes keys
    gateway.stop()
    show("start-up without endpoints: ms", gateway.start(last) * 1e3)
    empty = gateway.rss()
    tokens = [gateway.token("--account", f"account{i}") for i in range(ACCOUNTS)]
    admin = gateway.token()
    create_domains(gateway, tokens, args.domains)
    steps = [min(n, args.cloud) for n in (100, 1000, args.cloud)]
    done, seconds, cpu = 0, 0.0, 0.0
    for step in sorted(set(steps)):
        used = create_cloud(gateway, tokens, done, step)
        done, seconds, cpu = step, seconds + used[0], cpu + used[1]
        requests(gateway, step, step, args)
    show("cloud endpoints made by the API: a second", args.cloud / seconds)
    show("cloud endpoint made by the API: CPU us", cpu / args.cloud * 1e6)
    gateway.stop()
    show(f"start-up with {args.cloud} cloud endpoints: ms", gateway.start(last) * 1e3)
    show("start-up: CPU ms", gateway.cpu() * 1e3)
    show("memory per cloud endpoint: bytes", (gateway.rss() - empty) / args.cloud)
    claimers = claims(gateway, args.key, args.sessions, args.forwards)
    online = args.cloud + args.sessions * args.forwards
    requests(gateway, args.cloud, online, args)
    requests(gateway, 100, online, args)
    walk_pages(gateway, tokens[0], "an account")
    found = walk_pages(gateway, admin, "an administrator")
    find_one(gateway, admin, "e0.localhost")
    if found != online:
        raise RuntimeError(f"{found} endpoints are listed, {online} are online")
    for claimer in claimers:
        claimer.ssh.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few endpoints, to see that it works")
    args, _ = parser.parse_known_args()
    args.cloud, args.domains = (1000, 50) if args.quick else (10_000, 400)
    args.sessions, args.forwards = (10, 20) if args.quick else (100, 20)
    args.seconds = 1 if args.quick else 5
    work = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-bench-"))
    path = work / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    (work / "authorized_keys").write_text(
        'account="account0" ' + path.with_suffix(".pub").read_text())
    args.key = types.SimpleNamespace(path=path)
    args.script = work / "hosts.lua"
    args.script.write_text(SCRIPT)
    gateway = Gateway(work)
    print(f"{'figure':52} {'sallyport':>12}")
    try:
        measure(gateway, args)
    finally:
        gateway.stop()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
