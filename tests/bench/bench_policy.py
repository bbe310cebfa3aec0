"""Measures what traffic policies cost: CPU per request of three typical ones, against the same job in
nginx (TLS) in front of `sshd -R`, in alternating runs.

Usage: bench_policy.py [--quick] [--rounds N]

Each side is compared with itself: "added" is the CPU per request with the policy less that without,
on hosts that differ in nothing else. Medians over the rounds.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from bench import NginxSshd, Sallyport, Upstream, cpu_seconds, h2load  # noqa: E402

RULES = 20


def rule(config, expressions=None):
    return {**({"expressions": expressions} if expressions else {}), "actions": config}


def add(**headers):
    return {"type": "add-headers",
            "config": {"headers": {k.replace("_", "-"): v for k, v in headers.items()}}}


HEADERS = {
    "on_http_request": [rule([add(x_tenant="shop", x_client="${conn.client_ip}"),
                              {"type": "remove-headers", "config": {"headers": ["x-debug"]}}])],
    "on_http_response": [rule([add(x_frame_options="DENY", x_served_by="gateway"),
                               {"type": "remove-headers", "config": {"headers": ["server"]}}])],
}
HEADERS_NGINX = """
    proxy_set_header x-tenant shop; proxy_set_header x-client $remote_addr; proxy_set_header x-debug "";
    add_header x-frame-options DENY; add_header x-served-by gateway; proxy_hide_header server;"""

AUTH = {
    "on_http_request": [rule([
        {"type": "basic-auth", "config": {"credentials": ["user:password1"]}},
        {"type": "rate-limit", "config": {
            "name": "all", "algorithm": "sliding_window", "capacity": 2000000000, "rate": "60s",
            "bucket_key": ["conn.client_ip"]}}])],
}
AUTH_NGINX = """
    auth_basic "x"; auth_basic_user_file {work}/htpasswd; limit_req zone=all burst=1000000 nodelay;"""

# The last rule is the one that matches.
ROUTES = {
    "on_http_request": [rule([add(x_route=str(i))], [
        f"req.url.path.matches('^/(api|web)/v{i}/')" if i < RULES else "req.url.path.startsWith('/ti')",
        f"getReqHeader('x-kind').exists(v, v == 'k{i}')" if i < RULES else "hasReqHeader('user-agent')",
    ]) for i in range(1, RULES + 1)],
}
ROUTES_MAP = "map \"$uri $http_x_kind\" $route { default \"\"; " + " ".join(
    f'"~^/(api|web)/v{i}/.* k{i}$" {i};' for i in range(1, RULES)) + f' "~^/ti" {RULES}; }}'
ROUTES_NGINX = "proxy_set_header x-route $route;"

CASES = {
    "headers": (HEADERS, HEADERS_NGINX, []),
    "basic-auth + rate-limit": (AUTH, AUTH_NGINX, ["-H", "Authorization: Basic dXNlcjpwYXNzd29yZDE="]),
    f"{RULES} rules, the last matches": (ROUTES, ROUTES_NGINX, []),
}


def open_tunnels(side, args):
    """{case: URL}, and None: without a policy."""
    urls = {None: side.tunnel("plain.localhost", args.upstream.port)}
    for i, (case, (document, directives, _)) in enumerate(CASES.items()):
        if isinstance(side, Sallyport):
            file = side.work / f"policy{i}.json"
            file.write_text(json.dumps(document))
            what = file
        else:
            what = directives.replace("{work}", str(side.work))
        urls[case] = side.tunnel(f"case{i}.localhost", args.upstream.port, what)
    return urls


def prepare(side):
    if isinstance(side, NginxSshd):
        (side.work / "htpasswd").write_text("user:{PLAIN}password1\n")
        side.maps = ROUTES_MAP + " limit_req_zone $binary_remote_addr zone=all:10m rate=1000000r/s;"


def cpu_per_request(side, url, options, requests):
    before = cpu_seconds(side.pids())
    done = h2load(url + "/tiny", "-c32", f"-n{requests}", *options)
    return (cpu_seconds(side.pids()) - before) / done * 1e6


def run_side(kind, work, args, figures):
    work.mkdir()
    side = kind(work, args.key)
    prepare(side)
    try:
        urls = open_tunnels(side, args)
        for case, (_, _, options) in CASES.items():
            without, with_policy = [], []
            for _ in range(args.turns):  # close together, so that both see the same machine
                without.append(cpu_per_request(side, urls[None], options, args.requests))
                with_policy.append(cpu_per_request(side, urls[case], options, args.requests))
            figures.setdefault(case, {}).setdefault(side.name, []).append(
                (statistics.median(without), statistics.median(with_policy)))
    finally:
        side.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short runs, to see that it works")
    parser.add_argument("--rounds", type=int, default=2)
    args, _ = parser.parse_known_args()
    args.requests = 10_000 if args.quick else 50_000
    args.turns = 1 if args.quick else 3
    if args.quick:
        args.rounds = 1
    args.work = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-bench-"))
    args.key = args.work / "key"
    os.chmod(args.work, 0o755)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", args.key], check=True)
    args.upstream = Upstream(args.work)
    figures = {}
    try:
        for n in range(args.rounds):
            for kind in (Sallyport, NginxSshd):
                run_side(kind, args.work / f"{kind.__name__}{n}", args, figures)
                print(f"# round {n + 1} of {args.rounds}: {kind.name} done", file=sys.stderr)
    finally:
        args.upstream.stop()
        shutil.rmtree(args.work, ignore_errors=True)
    print(f"{'CPU us/request with a policy':34} {'side':>12} {'without':>9} {'with':>9} {'added':>8}")
    for case, sides in figures.items():
        for name, pairs in sides.items():
            without, with_policy = (statistics.median(p[i] for p in pairs) for i in (0, 1))
            added = statistics.median(b - a for a, b in pairs)
            print(f"{case:34} {name:>12} {without:9.1f} {with_policy:9.1f} {added:8.2f}")


if __name__ == "__main__":
    main()
