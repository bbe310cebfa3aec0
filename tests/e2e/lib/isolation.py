"""
Two accounts on one gateway: alice, who has something of every kind, and bob, who tries to get at it.
What bob asks for, he also asks for in words that mean nothing, and must be told the same.
"""

import json
import re
import subprocess
import time

from lib import pki
from lib.api import Api, new_token
from lib.collector import Collector
from lib.echo import Echo
from lib.ports import TCP_PORTS
from lib.private import (PROHIBITED, Visitor, answers, jump_options, local_forward, socks,
                         standard_io)
from lib.raw import Conn
from lib.scene import Scene
from lib.wait import wait_until

TCP_HOST = "tcp.example.test"
SETTINGS = {
    "api": {"private_event_destinations": True},
    "tcp": {"host": TCP_HOST, **TCP_PORTS},
    "limits": {"api_requests_per_minute": 0, "hold_ms": 86400000},
}

#: Nothing that bob is told may have it, but what he has said himself.
VICTIM = "alice"
#: Header fields that differ from answer to answer.
CHANGING = ("date", "content-length")
#: Lines that the log takes in a second: refused channels of one worker (sshd/direct.c), forwards of its
#: policies (gateway/forward.c), and refused calls of one account (tunnel/api/refusals.h).
CHANNELS_PER_SECOND = 10
FORWARDS_PER_SECOND = 10
CALLS_PER_SECOND = 50

COLLECTIONS = {
    "endpoints": "endpoints", "tunnels": "tunnels", "tunnel_sessions": "tunnel_sessions",
    "reserved_domains": "reserved_domains", "reserved_addrs": "reserved_addrs",
    "tls_certificates": "tls_certificates", "vaults": "vaults", "vault_secrets": "secrets",
    "ip_policies": "ip_policies", "ip_policy_rules": "ip_policy_rules",
    "event_destinations": "event_destinations", "event_subscriptions": "event_subscriptions",
    "api_keys": "keys", "ssh_credentials": "ssh_credentials",
}


def actions(*pairs, phase="on_http_request"):
    """A policy of one rule, as text."""
    return json.dumps({phase: [{"actions": [{"type": t, "config": c} for t, c in pairs]}]})


def says(text):
    """A policy that answers everything."""
    return actions(("custom-response", {"status_code": 200, "body": text}))


def made_up(identifier):
    """An id of the same kind and second that nothing has."""
    return identifier[:-6] + ("000000" if identifier[-6:] != "000000" else "111111")


class Things(dict):
    """What <key> stands for in an attempt."""

    def fill(self, value):
        text = value if isinstance(value, str) else json.dumps(value)
        text = re.sub(r"<(\w+)>", lambda m: self[m[1]], text)
        return text if isinstance(value, str) else json.loads(text)

    def strip(self, text):
        """The other way round: what is left says nothing of them."""
        for key in sorted(self, key=lambda k: -len(self[k])):
            text = re.sub(re.escape(self[key]), f"<{key}>", text, flags=re.I)
        return re.sub(r"\bop_\w{27}", "op", text)


class Pace:
    """Keeps attempts within the lines that the log takes of their kind in a second."""

    def __init__(self, lines):
        self.most = lines - 2  # the last ones of a second may be logged in the next
        self.second = 0
        self.used = 0

    def step(self):
        now = time.monotonic()
        if int(now) == self.second and self.used == self.most:
            time.sleep(self.second + 1 - now)
            now = time.monotonic()
        if int(now) != self.second:
            self.second, self.used = int(now), 0
        self.used += 1


class World:
    def __init__(self, gateway, keys, directory):
        self.gateway = gateway
        self.keys = keys
        self.scene = Scene(keys, directory, gateway.revive)
        self.direct_pace = Pace(CHANNELS_PER_SECOND)
        self.forward_pace = Pace(FORWARDS_PER_SECOND)
        self.call_pace = Pace(CALLS_PER_SECOND - 4)  # a command makes four, which may all be late
        self.alice = self.caller("alice")
        self.bob = self.caller("bob")
        self.bob_key = self.bob.call("GET", "/api_keys")["keys"][0]["id"]
        self.real = Things()
        self.fake = Things()
        self.received = {"alice": self.scene.keep_to_the_end(Collector()),
                         "bob": self.scene.keep_to_the_end(Collector())}
        self.make_stored(directory)
        self.make_live()
        self.make_bobs()
        self.name_ids()
        self.user = self.scene.keep(Visitor(gateway, keys.alice))
        self.intruder = self.scene.keep(Visitor(gateway, keys.bob))
        self.before = self.snapshot()

    def close(self):
        """Nothing may be online at the end."""
        for api in (self.alice, self.bob):
            for ep in api.call("GET", "/endpoints")["endpoints"]:
                if ep["type"] == "cloud":
                    api.call("DELETE", f"/endpoints/{ep['id']}")
        self.scene.close()

    def caller(self, account):
        return self.scene.keep(Api(self.gateway, new_token(self.gateway, "--account", account)))

    # ---- what alice has ----

    def know(self, **things):
        """Names and ids of alice's, and their twins."""
        for key, value in things.items():
            self.real[key] = value
            self.fake[key] = (made_up(value) if re.fullmatch(r"[a-z]+_\w{27}", value)
                              else value.replace(VICTIM, "nobdy"))

    def stored(self, key, path, **fields):
        made = self.alice.create(path, metadata="of alice", **fields)
        self.know(**{key: made["id"]})
        return made

    def make_stored(self, directory):
        pair = pki.Authority(directory).issue("alice-shop.com", dns=["alice-shop.com"])
        cert = self.stored("cert", "/tls_certificates", certificate_pem=pair.pem,
                           private_key_pem=pair.key_pem)
        self.stored("rd", "/reserved_domains", domain="alice-shop.com", certificate_id=cert["id"])
        self.stored("rd_wild", "/reserved_domains", domain="*.alice-wide.com")
        self.stored("rd_idn", "/reserved_domains", domain="bücher.alice-idn.com")
        self.address = self.stored("ra", "/reserved_addrs")["addr"]
        self.stored("vault", "/vaults", name="alice-vault")
        self.stored("secret", "/vault_secrets", vault_name="alice-vault", name="alice-token",
                    value="alice-value")
        self.stored("ipp", "/ip_policies")
        self.stored("ipr", "/ip_policy_rules", ip_policy_id=self.real["ipp"], cidr="127.0.0.0/8",
                    action="allow")
        target = {"debug": {"callback_url": self.received["alice"].url}}
        self.stored("ed", "/event_destinations", target=target)
        self.stored("esb", "/event_subscriptions", destination_ids=[self.real["ed"]],
                    sources=[{"type": "vault_created.v0"}])
        key = self.stored("ak", "/api_keys")
        self.token = key["token"]
        self.know(usr=key["owner_id"])
        self.credential = self.keys.get("isolation-alice")
        self.stored("sshcr", "/ssh_credentials", public_key=self.credential.public)
        for name, url in (("cloud", "https://alice-shop.com"),
                          ("cloud_wild", "https://*.alice-wide.com"),
                          ("cloud_inside", "https://alice-cloud.internal")):
            self.stored(f"ep_{name}", "/endpoints", url=url, traffic_policy=says("alice's cloud"))
        self.know(vault_name="alice-vault", secret_name="alice-token")

    def make_live(self):
        self.app = self.scene.app(name="alice")
        self.echo = self.scene.keep(Echo())
        self.serve("http", self.app, "alice-app.example.test:443", "alice-plain.example.test:80",
                   "*.alice-live.example.test:443", "api.alice-deep.example.test:443",
                   "alice-web.internal:443", "*.alice-apps.internal:443", "alice-web.internal:8080")
        self.serve("http --pooling-enabled", self.app, "alice-pool.example.test:443",
                   "alice-crew.internal:443")
        self.serve("tcp", self.echo, self.address, "alice-db.internal:5432")
        self.serve("tls", self.echo, "alice-tls.example.test:443", "alice-vpn.internal:8443")
        # One whose session was lost: it is held for alice.
        self.serve("http", self.app, "alice-held.example.test:443").kill()
        wait_until(lambda: len(self.alice.call("GET", "/tunnel_sessions")["tunnel_sessions"]) == 4,
                   "the end of the session that was lost")

    def serve(self, command, upstream, *remotes):
        tunnel = self.scene.ssh(*(f"{r}:127.0.0.1:{upstream.port}" for r in remotes),
                                command=f"{command} --metadata of-alice", key="alice")
        tunnel.urls(len(remotes))
        return tunnel

    def name_ids(self):
        """Ids of what is live."""
        for ep in self.alice.call("GET", "/endpoints")["endpoints"]:
            if ep["type"] == "ephemeral":
                key = ep["hostport"].split(".")[0].strip("*") or "wild"
                kind = {"alice-app": "agent", "alice-db": "inside", "alice-pool": "pool",
                        "alice-tls": "tls", "tcp": "tcp"}.get(key)
                if kind:
                    self.know(**{f"ep_{kind}": ep["id"], f"tn_{kind}": ep["tunnel"]["id"]})
        for i, session in enumerate(self.alice.call("GET", "/tunnel_sessions")["tunnel_sessions"]):
            self.know(**{f"ts_{i}" if i else "ts": session["id"]})

    # ---- what bob has ----

    def make_bobs(self):
        create = self.bob.create
        self.bobs = Things()
        self.bobs["vault"] = create("/vaults", name="bob-vault")["id"]
        self.bobs["secret"] = create("/vault_secrets", vault_name="bob-vault", name="bob-token",
                                     value="bob-value")["id"]
        self.bobs["ipp"] = create("/ip_policies")["id"]
        self.bobs["rd"] = create("/reserved_domains", domain="bob-shop.org")["id"]
        target = {"debug": {"callback_url": self.received["bob"].url}}
        self.bobs["ed"] = create("/event_destinations", target=target)["id"]
        self.bobs["esb"] = create("/event_subscriptions", destination_ids=[self.bobs["ed"]],
                                  sources=[{"type": "vault_created.v0"}])["id"]
        self.bobs["ep"] = create("/endpoints", url="https://bob-front.example.test",
                                 traffic_policy=says("bob"))["id"]
        self.bobs["key"] = self.keys.get("isolation-bob").public
        create("/endpoints", url="https://bob-web.internal", traffic_policy=says("bob"))
        create("/endpoints", url="https://bob-forward.example.test",
               traffic_policy=actions(("forward-internal", {"url": "${req.headers['x-to'][0]}"})))
        create("/endpoints", url="https://bob-learns.example.test", traffic_policy=actions(
            ("forward-internal", {"url": "${req.headers['x-to'][0]}", "on_error": "continue"}),
            ("custom-response", {"body": "${json.encode(actions.ngrok.forward_internal)}"})))
        create("/endpoints", url="https://bob-reads.example.test", traffic_policy=actions(
            ("custom-response", {
                "body": "${secrets.get(req.headers['x-vault'][0], req.headers['x-name'][0])}"})))

    # ---- alice is as she was ----

    def snapshot(self):
        return {path: self.alice.call("GET", f"/{path}").body for path in COLLECTIONS}

    def check(self):
        """Everything of alice's is what it was, and serves."""
        assert self.snapshot() == self.before
        with Conn(self.gateway.http_port, "alice-plain.example.test") as conn:
            assert conn.get("/hello").text == "hello from alice\n"
        channel = self.user.open("alice-db.internal", 5432)
        assert answers(channel)
        channel.close()

    def check_all(self):
        """Each of her addresses leads where it did."""
        self.check()
        for host, text in (("alice-shop.com", "alice's cloud"),
                           ("x.alice-wide.com", "alice's cloud"),
                           ("alice-app.example.test", "hello from alice\n"),
                           ("alice-pool.example.test", "hello from alice\n"),
                           ("x.alice-live.example.test", "hello from alice\n")):
            with Conn(self.gateway.https_port, host, tls=True) as conn:
                assert conn.get("/hello").text == text, host
        for host, port in (("alice-web.internal", 443), ("x.alice-apps.internal", 443),
                           ("alice-crew.internal", 443), ("alice-cloud.internal", 443),
                           ("alice-vpn.internal", 8443)):
            assert self.user.refusal(host, port) is None, host

    # ---- attempts over REST ----

    def told(self, answer):
        """What an answer says, without what changes from one to the next."""
        names = sorted(n.lower() for n in answer.headers)
        return answer.status, names, json.dumps(answer.body, sort_keys=True)

    def ask(self, things, method, path, body):
        path = things.fill(path)
        self.call_pace.step()
        answer = self.bob.call(method, path, None if body is None else things.fill(body))
        status, names, text = self.told(answer)
        return answer, (status, names, things.strip(text))

    def assert_silent(self, text, said=""):
        """It has nothing of alice but the names that bob has said."""
        for name in names_in(said):
            text = re.sub(re.escape(name), "", text, flags=re.I)
        assert VICTIM not in text.lower(), text
        for value in self.real.values():
            assert value not in text, text

    def refused(self, method, path, body=None):
        """As if there were nothing, and with a line in the log."""
        mark = self.gateway.mark()
        answer, real = self.ask(self.real, method, path, body)
        assert 400 <= answer.status < 500, answer.body
        assert real == self.ask(self.fake, method, path, body)[1]
        line = self.logged(mark, "api.refused", path=self.real.fill(path).partition("?")[0],
                           method=method, credential=self.bob_key)
        assert (line["status"], line["code"]) == (answer.status, answer.code or "")

    def unseen(self, path):
        """A list that has nothing of alice's, and is that of what does not exist."""
        answer, real = self.ask(self.real, "GET", path, None)
        assert answer.status == 200, answer.body
        self.assert_silent(real[2])
        assert real == self.ask(self.fake, "GET", path, None)[1]

    def taken(self, method, path, body, *codes):
        """Refused for being somebody's, without a word on whose."""
        mark = self.gateway.mark()
        path = self.bobs.fill(path)
        self.call_pace.step()
        answer = self.bob.call(method, path, body)
        assert (answer.status, answer.code) in [(400, f"ERR_NGROK_{c}") for c in codes], answer.body
        self.assert_silent(json.dumps(answer.body), json.dumps(body, ensure_ascii=False))
        self.logged(mark, "api.refused", path=path, method=method, code=answer.code)

    def logged(self, mark, event, **fields):
        """The line of bob's that the attempt left."""
        def is_it(e):
            return (e["event"] == event and e["account"] == "bob"
                    and all(e.get(k) == v for k, v in fields.items()))

        return self.gateway.wait_log(is_it, mark, f"{event} of {fields}")

    # ---- attempts over ssh ----

    def not_bound(self, remote, command, *codes):
        """`ssh -R` ends with status 1 and one of these errors, and printed no URL."""
        mark = self.gateway.mark()
        ssh = self.scene.ssh(f"{remote}:127.0.0.1:{self.app.port}", command=command, key="bob")
        assert ssh.wait_exit() == 1 and ssh.out == [], ssh.describe()
        text = "\n".join(ssh.err)
        assert re.search(rf"ERR_SALLYPORT_({'|'.join(map(str, codes))}):", text), ssh.describe()
        self.assert_silent(text, f"{remote} {command}")
        self.logged(mark, "ssh.forward_refused")

    def run(self, line):
        """A command of bob's: exit status, stdout, stderr."""
        channel = self.intruder.transport.open_session(timeout=20)
        channel.settimeout(20)
        channel.exec_command(line)
        out = channel.makefile("rb").read().decode()
        err = channel.makefile_stderr("rb").read().decode()
        return channel.recv_exit_status(), out, err

    def command_refused(self, line):
        """The same, by the command line."""
        for _ in range(4):  # kill makes two calls
            self.call_pace.step()
        mark = self.gateway.mark()
        status, *texts = self.run(self.real.fill(line))
        assert status in (1, 3), texts
        twin = self.run(self.fake.fill(line))
        assert [self.real.strip(t) for t in texts] == [self.fake.strip(t) for t in twin[1:]]
        self.logged(mark, "api.refused", source="SSH")

    def no_channel(self, host, port):
        """A direct-tcpip channel is refused like one to nobody."""
        self.direct_pace.step()
        mark = self.gateway.mark()
        assert self.intruder.refusal(host, port) == PROHIBITED
        line = self.logged(mark, "ssh.direct_refused", host=host, port=port)
        assert line["suppressed"] == 0

    # ---- attempts through bob's own endpoints ----

    def asked(self, things, host, headers):
        """What a visitor of bob's gets, and the event of it."""
        headers = [(name, things.fill(value)) for name, value in headers]
        mark = self.gateway.mark()
        with Conn(self.gateway.https_port, host, tls=True) as conn:
            response = conn.get("/", headers)
        event = self.gateway.wait_log(
            lambda e: e["event"] == "http_request_complete" and host in json.dumps(e), mark)
        told = [(n.lower(), v) for n, v in response.headers if n.lower() not in CHANGING]
        return response.status, told, things.strip(response.text), event

    def not_passed_on(self, host, **headers):
        """What bob's endpoint asks for comes to nobody, and is not told; the event is its line in the log."""
        headers = [(name.replace("_", "-"), value) for name, value in headers.items()]
        seen = len(self.app.seen)
        *real, event = self.asked(self.real, host, headers)
        *twin, _ = self.asked(self.fake, host, headers)
        assert real == twin
        assert len(self.app.seen) == seen
        self.assert_silent(real[2])
        assert event["endpoint"]["url"] == f"https://{host}"
        return event

    def not_forwarded(self, host, url):
        """A forward to an internal endpoint; what is the URL of one is named in the log."""
        self.know(url=url)
        is_url = re.fullmatch(r"\w+://[\w.-]+\.internal(:\d+)?", url)
        for _ in range(2 if is_url else 0):
            self.forward_pace.step()
        mark = self.gateway.mark()
        self.not_passed_on(host, x_to="<url>")
        if is_url:
            self.logged(mark, "forward.refused", url=url)

    def connection_not_passed_on(self, scheme, url):
        """The same for connections, which are cut."""
        twin = url.replace(VICTIM, "nobdy")
        self.forward_pace.step()
        self.forward_pace.step()
        mark = self.gateway.mark()
        assert self.cut(scheme, url) == self.cut(scheme, twin) == b""
        self.logged(mark, "forward.refused", url=url)

    def cut(self, scheme, url):
        """What a visitor hears of an endpoint of bob's that forwards there."""
        address = self.bob.create("/reserved_addrs") if scheme == "tcp" else None
        where = address["addr"] if address else "bob-connects.example.test"
        made = self.bob.create("/endpoints", url=f"{scheme}://{where}", traffic_policy=actions(
            ("forward-internal", {"url": url}), phase="on_tcp_connect"))
        mark = self.gateway.mark()
        try:
            with Conn(made["port"] if address else self.gateway.https_port, made["host"],
                      tls=not address) as conn:
                heard = conn.read_all()
        except OSError:  # also a reset that is faster than the connection's first use
            heard = b""
        self.gateway.wait_log(lambda e: e["event"] == "tcp_connection_closed", mark)
        assert self.bob.call("DELETE", f"/endpoints/{made['id']}").status == 204
        if address:
            assert self.bob.call("DELETE", f"/reserved_addrs/{address['id']}").status == 204
        return heard

    def reaches_nothing(self, option, host, port):
        """Bob's ssh with -L, -W, -J or -D ends without a byte."""
        if option == "-L":
            ssh = local_forward(self.scene, host, port, "bob")
            with Conn(ssh.port, "localhost") as conn:
                assert conn.read_all() == b""
            ssh.stop()
        elif option == "-D":
            ssh = socks(self.scene, "bob")
            done = subprocess.run(["curl", "-sS", "-q", "--max-time", "20", "--noproxy", "",
                                   "--socks5-hostname", f"127.0.0.1:{ssh.port}",
                                   f"http://{host}:{port}/"], capture_output=True, check=False)
            assert (done.returncode, done.stdout) == (97, b"")
            ssh.stop()
        elif option == "-W":
            status, out, _ = standard_io(self.scene, f"{host}:{port}", key="bob")
            assert (status, out) == (255, b"")
        else:
            options = jump_options(self.scene, self.keys.bob, "/dev/null", "bob")
            done = subprocess.run(["ssh", *options, "-p", str(port), f"root@{host}", "true"],
                                  capture_output=True, timeout=30, check=False)
            assert (done.returncode, done.stdout) == (255, b"")

    # ---- what both do ----

    def visit(self, host):
        with Conn(self.gateway.https_port, host, tls=True) as conn:
            assert conn.get("/hello").status == 200

    def log_in(self, account):
        """A session that comes and goes."""
        Visitor(self.gateway, getattr(self.keys, account)).close()
        wait_until(lambda: self.alice.call("GET", "/tunnel_sessions").body
                   == self.before["tunnel_sessions"], "the end of the session")

    # ---- alice's own way ----

    def hears(self, user, host, port=443):
        """What an http endpoint answers somebody who comes over ssh."""
        channel = user.open(host, port)
        channel.sendall(f"GET /hello HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
                        .encode())
        data = b""
        while piece := channel.recv(65536):
            data += piece
        channel.close()
        return data.partition(b"\r\n\r\n")[2].decode()


def names_in(text):
    """Words of a text that can be names, the longest first, also as they travel."""
    words = {w.strip(".") for w in re.findall(r"[\w*.-]*alice[\w*.-]*", text, re.I)}
    words |= {w.lower().encode("idna").decode() for w in words if not w.isascii()}
    return sorted(words, key=len, reverse=True)
