"""API clients that write down what was acknowledged, to ask for it after a crash."""

import http.client
import json
import random
import threading

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from lib.api import Api, new_token
from lib.gateway import DOMAIN


def public_key():
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    return key.public_bytes(serialization.Encoding.OpenSSH,
                            serialization.PublicFormat.OpenSSH).decode()


def answers(text):
    return ("on_http_request: [{actions: [{type: custom-response, config: "
            f"{{status_code: 200, body: '{text}'}}}}]}}]")


class Writer:
    """
    Creates, updates and deletes objects of every kind in an account of its own, until its connection breaks.
    `known` has the last answer about each object that is there, by path; `doubtful` is the call that
    nobody answered: (method, path, body).
    """

    def __init__(self, gateway, account, certificates):
        self.gateway, self.account = gateway, account
        self.token = new_token(gateway, "--account", account)
        self.certificates = certificates
        self.dice = random.Random(account)
        self.given = listed(Api(gateway, self.token), "/api_keys")  # not of our making
        self.known = {}
        self.tokens = {}  # of API keys, which are shown once
        self.doubtful = None
        self.problem = None
        self.acknowledged = 0
        self.made = 0

    # ---- writing ----

    def start(self):
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def join(self):
        self.thread.join(30)
        assert self.problem is None, repr(self.problem)

    def _run(self):
        api = Api(self.gateway, self.token)
        try:
            while True:
                self._write(api, *self._draw())
        except (OSError, http.client.HTTPException):
            pass  # it was killed
        except BaseException as e:
            self.problem = e

    def _write(self, api, method, path, body):
        self.doubtful = (method, path, body)
        answer = api.call(method, path, body)
        assert answer.status in (200, 201, 204), (method, path, body, answer.body)
        self.doubtful = None
        self.acknowledged += 1
        if method == "DELETE":
            del self.known[path]
        else:
            self._note(path if method == "PATCH" else f"{path}/{answer['id']}", answer.body)

    def _note(self, path, body):
        if body.get("token"):
            self.tokens[path] = body["token"]
        self.known[path] = body

    def paths(self, collection):
        return [p for p in self.known if p.startswith(collection + "/")]

    def _any(self, collection):
        return self.known[self.dice.choice(self.paths(collection))]["id"]

    def _draw(self):
        kind = self.dice.random()
        if self.known and kind < 0.25:
            return self._update()
        leaves = [p for c in ("/vault_secrets", "/ip_policy_rules", "/event_subscriptions",
                              "/endpoints", "/reserved_addrs", "/api_keys", "/ssh_credentials")
                  for p in self.paths(c)]
        if leaves and kind < 0.4:
            return "DELETE", self.dice.choice(leaves), None
        self.made += 1
        return ("POST", *self._new(f"{self.account}-{self.made}"))

    def _update(self):
        path = self.dice.choice(list(self.known))
        body = {"description": f"changed {self.dice.randrange(10**6)}"}
        if path.startswith("/endpoints/"):
            body["traffic_policy"] = answers(f"{body['description']} {path[11:]}")
        return "PATCH", path, body

    def _new(self, name):
        makers = {
            "/vaults": lambda: {"name": name},
            "/ip_policies": lambda: {"description": name},
            "/ssh_credentials": lambda: {"public_key": public_key()},
            "/api_keys": lambda: {"description": name},
            "/reserved_domains": lambda: {"domain": f"{name}.customer.com"},
            "/reserved_addrs": lambda: {"description": name},
            "/tls_certificates": lambda: self._certificate(name),
            "/endpoints": lambda: {"url": f"https://{name}.{DOMAIN}",
                                   "traffic_policy": answers(name)},
            "/event_destinations": lambda: {"target": {"debug": {"callback_url":
                                                                 "http://127.0.0.1:9/"}}},
        }
        if self.paths("/vaults"):
            makers["/vault_secrets"] = lambda: {"name": name, "value": name,
                                                "vault_id": self._any("/vaults")}
        if self.paths("/ip_policies"):
            makers["/ip_policy_rules"] = lambda: {
                "ip_policy_id": self._any("/ip_policies"), "action": "allow",
                "cidr": f"10.{self.made // 256 % 256}.{self.made % 256}.0/24"}
        if self.paths("/event_destinations"):
            makers["/event_subscriptions"] = lambda: {
                "sources": [{"type": "vault_created.v0"}],
                "destination_ids": [self._any("/event_destinations")]}
        path = self.dice.choice(list(makers))
        return path, makers[path]()

    def _certificate(self, name):
        pair = self.dice.choice(self.certificates)
        return {"certificate_pem": pair.pem, "private_key_pem": pair.key_pem, "description": name}

    # ---- asking afterwards ----

    def check(self):
        """All that was acknowledged is there as it was, and of what was not all or nothing."""
        api = Api(self.gateway, self.token)
        if self.doubtful is not None:
            self._settle(api, *self.doubtful)
            self.doubtful = None
        for path, body in self.known.items():
            now = api.call("GET", path)
            assert now.status == 200, (path, body, now.body)
            assert stable(now.body) == stable(body), path
        for collection in {p.rsplit("/", 1)[0] for p in self.known}:
            assert self._listed(api, collection) == self._ids(collection), collection
        for path in self.paths("/api_keys"):
            answer = Api(self.gateway, self.tokens.get(path, self.token)).call("GET", path)
            assert answer.status == 200, answer.body
        api.close()

    def _ids(self, collection):
        return {p.rsplit("/", 1)[1] for p in self.paths(collection)}

    def _listed(self, api, collection):
        return listed(api, collection) - self.given

    def _settle(self, api, method, path, body):
        """What became of the call that nobody answered."""
        if method == "POST":
            self._settle_new(api, path, body)
            return
        answer = api.call("GET", path)
        if method == "DELETE" and answer.status == 404:
            del self.known[path]
            return
        assert answer.status == 200, (method, path, answer.body)
        if method == "PATCH" and stable(answer.body) != stable(self.known[path]):
            assert all(answer[name] == value for name, value in body.items()), (body, answer.body)
            self.known[path] = answer.body

    def _settle_new(self, api, path, body):
        """Either it is listed, or it can be made now: nothing of it is in the way."""
        unknown = self._listed(api, path) - self._ids(path)
        assert len(unknown) <= 1, (path, unknown)
        if unknown:
            new = f"{path}/{unknown.pop()}"
            self._note(new, api.call("GET", new).body)
        else:
            self._write(api, "POST", path, body)


def listed(api, collection):
    """The ids of all pages."""
    found, path = set(), f"{collection}?limit=100"
    while path:
        answer = api.call("GET", path)
        assert answer.status == 200, answer.body
        items = next(v for v in answer.body.values() if isinstance(v, list))
        found |= {item["id"] for item in items}
        path = answer["next_page_uri"] and answer["next_page_uri"].replace(api.base, "")
    return found


#: What has the port of the API in it, and what is shown once.
VOLATILE = {"uri", "secrets_uri", "token"}


def stable(body):
    """What of an object stays the same over a restart."""
    def strip(value):
        if isinstance(value, dict):
            return {k: strip(v) for k, v in value.items() if k not in VOLATILE}
        return [strip(v) for v in value] if isinstance(value, list) else value
    return json.dumps(strip(body), sort_keys=True)
