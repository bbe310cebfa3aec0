"""
What a client does with each resource of the management API, in the names of the wire: three objects are made, got,
listed by pages, changed, deleted; one more is refused. Who plays a case, in any language, returns what it saw:
    created, got: the objects      listed: all of the list      filtered: ids      updated: the first object
    refused: the failed create     calls: other verbs of the first object     gone: a get behind the deletes
A failure is {"status", "code", "operation"}; null: it was none.
"""

from dataclasses import asdict, dataclass, field

from lib.api_model import ANSWERS

TYPES = ["vault_created.v0", "http_request_complete.v0", "tcp_connection_closed.v0"]
NOBODY = "3AM9sjNjrVDmRX7F4GniLGdudNy"
TOKEN_CHARACTERS = 27 + 1 + 21


@dataclass
class Case:
    name: str
    path: str
    creates: list = field(default_factory=list)  # bodies; none: the objects are there
    there: list = field(default_factory=list)  # their ids then
    update: dict = None
    refused: tuple = None  # a body, and the number of the error
    of: dict = field(default_factory=dict)  # what names the parent of a nested resource
    limit: str = "2"
    filters: bool = True
    calls: list = field(default_factory=list)  # other verbs, and the error of each or None

    def reading(self, api):
        """The same for clients that only read it: the objects are made without them."""
        made = [api.create(self.path, **body)["id"] for body in self.creates]
        return Case(self.name, self.path, there=made, limit=self.limit, filters=self.filters)

    def as_json(self):
        return asdict(self)


def all_cases(scene, api, ca, collector):
    """Those of all resources. `api` makes what they refer to; three sessions go online."""
    names = [scene.name() for _ in range(3)]
    policy, vault = api.create("/ip_policies")["id"], api.create("/vaults", name="of-cases")["id"]
    target = {"datadog": {"api_key": "k", "ddsite": collector.url}}
    destination = api.create("/event_destinations", target=target)["id"]
    subscription = api.create("/event_subscriptions")["id"]
    pairs = [ca.issue(name) for name in names]
    keys = [scene.keys.get(f"case-{name}").public for name in names]
    sessions, tunnels = live(scene, api)

    def each(**body):
        """Bodies for three objects; NAME stands for one of the names."""
        return [{k: v.replace("NAME", n) if isinstance(v, str) else v for k, v in body.items()}
                for n in names]

    cloud = {"url": "https://NAME.example.test", "type": "cloud", "traffic_policy": ANSWERS[0]}
    rule = {"ip_policy_id": policy, "action": "allow"}
    secret = {"vault_id": vault, "value": "v"}
    return [
        Case("api_keys", "/api_keys", each(description="NAME"), update={"metadata": "m"},
             refused=({"description": "x" * 256}, 604)),
        Case("endpoints", "/endpoints", each(**cloud), update={"description": "d"},
             refused=(cloud | {"url": "https://x.example.test:444"}, 18023)),
        Case("event_destinations", "/event_destinations", each(format="json", target=target),
             update={"description": "d"}, refused=({"format": "xml", "target": target}, 235)),
        Case("event_subscriptions", "/event_subscriptions",
             each(sources=[{"type": TYPES[0]}], destination_ids=[destination]),
             # The Python client sends an empty list for sources that are not given.
             update={"metadata": "m", "sources": [{"type": TYPES[0]}]},
             refused=({"destination_ids": [f"ed_{NOBODY}"]}, 5103)),
        Case("event_sources", f"/event_subscriptions/{subscription}/sources",
             [{"type": t} for t in TYPES], of={"subscription_id": subscription}, update={},
             refused=({"type": "a.v0"}, 238), filters=False),
        # More than one page of the size that clients ask for by themselves.
        Case("ip_policies", "/ip_policies", [{"description": f"p{i}"} for i in range(101)],
             update={"description": "y"}, refused=({"metadata": "x" * 4097}, 215), limit="100"),
        Case("ip_policy_rules", "/ip_policy_rules",
             [rule | {"cidr": f"10.{i}.0.0/16"} for i in range(3)],
             update={"cidr": "192.0.2.0/24"}, refused=(rule | {"cidr": "10.0.0.1/8"}, 1409)),
        Case("reserved_addrs", "/reserved_addrs", each(description="NAME"),
             update={"metadata": "m"}, refused=({"region": "mars"}, 500)),
        Case("reserved_domains", "/reserved_domains", each(domain="NAME.customer.com"),
             update={"description": "d"}, refused=({"domain": "a_b.customer.com"}, 438),
             calls=[("delete_certificate", None), ("delete_certificate_management_policy", None)]),
        Case("secrets", "/vault_secrets", each(**secret, name="NAME"), update={"name": "other"},
             refused=(secret | {"name": "a b"}, 24000)),
        Case("ssh_credentials", "/ssh_credentials", [{"public_key": key} for key in keys],
             update={"acl": ["*", "bind:*.x.com"]}, refused=({"public_key": "ssh-dss AAAA"}, 612)),
        Case("tls_certificates", "/tls_certificates",
             [{"certificate_pem": p.pem, "private_key_pem": p.key_pem} for p in pairs],
             update={"metadata": "m"},
             refused=({"certificate_pem": pairs[0].pem, "private_key_pem": pairs[1].key_pem}, 1923)),
        Case("tunnels", "/tunnels", there=tunnels, filters=False),
        Case("tunnel_sessions", "/tunnel_sessions", there=sessions,
             calls=[("restart", 1122), ("update", 1121), ("stop", None)]),
        Case("vaults", "/vaults", each(name="NAME"), update={"name": "renamed"},
             refused=({"name": "a b"}, 23000)),
    ]


def live(scene, api):
    """Ids of three new sessions and of their tunnels, the newest last."""
    for _ in range(3):
        scene.tunnel(scene.app())
    tunnels = sorted(api.call("GET", "/tunnels")["tunnels"], key=lambda t: t["id"])
    return [t["tunnel_session"]["id"] for t in tunnels], [t["id"] for t in tunnels]


def untold(shown):
    """An object without what only the answer to its create has, and what every change changes."""
    return {k: v for k, v in shown.items() if k not in ("token", "updated_at")}


def check(api, case, seen):
    """Did the client see what it should have?"""
    got, listed = seen["got"], seen["listed"]
    if case.creates:
        assert [untold(o) for o in seen["created"]] == [untold(o) for o in got], case.name
        for body, o in zip(case.creates, seen["created"]):
            assert {k: v for k, v in body.items() if k in o and k not in ("target", "sources")}.items() <= o.items()
        want = got if case.of else got[::-1]
        assert [o for o in listed if o in want] == want, (case.name, listed)
    else:
        ids = [o["id"] for o in got]
        assert ids == case.there, case.name
        assert [o["id"] for o in listed if o["id"] in ids] == sorted(ids, reverse=True), case.name
    assert len({str(o) for o in listed}) == len(listed), case.name
    if case.name == "api_keys":
        assert {len(o["token"]) for o in seen["created"]} == {TOKEN_CHARACTERS}
        assert {o["token"] for o in got} == {None}
    if case.filters and "filtered" in seen:
        assert seen["filtered"] == [got[0]["id"]], case.name
    if case.update is not None:
        change = {k: v for k, v in case.update.items() if k != "sources"}
        assert untold(seen["updated"]) == untold(got[0]) | change, (case.name, seen["updated"])
    if case.refused:
        assert failed(seen["refused"]) == (400, f"ERR_NGROK_{case.refused[1]}"), case.name
    for (verb, code), failure in zip(case.calls, seen["calls"], strict=True):
        assert (failure and failed(failure)) == (code and (400, f"ERR_NGROK_{code}")), verb
    if case.creates or ("stop", None) in case.calls:
        assert failed(seen["gone"])[0] == 404, case.name
        assert api.call("GET", f"{case.path}/{(case.there or ids_of(got))[0]}").status == 404


def ids_of(objects):
    return [o.get("id") or o["type"] for o in objects]


def failed(failure):
    assert failure["operation"], failure
    return failure["status"], failure.get("code")
