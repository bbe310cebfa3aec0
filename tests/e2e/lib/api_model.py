"""
What the management API must answer: its resources as a simple model. An object has the fields that were given and
the answer that showed it last; a kind says what may be given, what is refused, and what answers show.
"""

BASE = "https://api.example.test"

#: Objects of one kind that an account may have, and TCP addresses that all accounts may have.
OBJECTS_MAX = 6
ADDRESSES_MAX = 8

TEXTS = ["", "x", "größer ✓", '{"json": "in a string"}']
NAMES = ["a", "b", "c/d", "E_f.g"]
CIDRS = ["10.0.0.0/8", "10.1.0.0/16", "192.0.2.0/24", "2001:db8::/32", "0.0.0.0/0"]
BELOW_BASE = ["m1.example.test", "m2.example.test"]
HOSTS = [*BELOW_BASE, "m1.customer.com", "m2.customer.com"]
TYPES = ["vault_created.v0", "secret_deleted.v0", "http_request_complete.v0",
         "tcp_connection_closed.v0"]
RULES = [[], ["*"], ["bind:a.example.test", "connect:b.internal"]]

DENIES = "on_tcp_connect: [{actions: [{type: deny}]}]"
ANSWERS = [f"on_http_request: [{{actions: [{{type: deny, config: {{status_code: {status}}}}}]}}]"
           for status in (403, 404)]


class Object:
    def __init__(self, kind, account, fields, shown):
        self.kind = kind
        self.account = account
        self.fields = fields
        self.shown = shown

    @property
    def id(self):
        return self.shown["id"]

    @property
    def path(self):
        return f"{self.kind.path}/{self.id}"


def ref(path, id_):
    return {"id": id_, "uri": f"{BASE}{path}/{id_}"} if id_ else None


class Model:
    """`given`: public_keys, pairs of a certificate and its key, and the url of a receiver of events."""

    def __init__(self, **given):
        self.given = given
        self.kinds = [kind() for kind in Kind.__subclasses__()]
        self.objects = []  # in the order of their creation
        self.gone = []

    def of(self, kind, account=None, **fields):
        return [o for o in self.objects if isinstance(o.kind, kind) and account in (None, o.account)
                and all(o.fields.get(name) == value for name, value in fields.items())]

    def has(self, kind, account, id_):
        return any(o.id == id_ for o in self.of(kind, account))

    def draw_ref(self, dice, kind, account):
        """The id of an object to refer to: most often of one's own; or of somebody else's, or one that is gone."""
        own = self.of(kind, account)
        if own and dice.random() < 0.8:
            return dice.choice(own).id
        others = [o for o in self.of(kind) + self.gone if isinstance(o.kind, kind)]
        return dice.choice(others).id if others else None

    # ---- what must come out ----

    def refuse_create(self, kind, account, fields):
        """The code, or None."""
        is_full = len(self.of(type(kind), account)) >= OBJECTS_MAX
        return (kind.refuse(self, account, fields) or (kind.full if is_full else None)
                or kind.conflict(self, account, fields))

    def refuse_update(self, o, change):
        fields = o.fields | change
        return o.kind.refuse(self, o.account, fields, o) or o.kind.conflict(self, o.account, fields, o)

    def refuse_delete(self, o):
        return o.kind.holds(self, o)

    def expect(self, o):
        """The object as every answer has it now."""
        return o.shown | o.kind.computed(self, o)

    # ---- what happened ----

    def add(self, kind, account, fields, shown):
        self.objects.append(Object(kind, account, fields, shown))

    def remove(self, o):
        for child in o.kind.children(self, o):
            self.remove(child)
        self.objects.remove(o)
        self.gone.append(o)


class Kind:
    """Codes are numbers of ERR_NGROK_, or whole. Here nothing is refused."""

    path = key = ""
    full = 5000
    unknown = None  # the code of a 404

    @staticmethod
    def draw(dice, model, account):
        """Fields of a create; None: there is nothing to make it of."""
        return {}

    @staticmethod
    def draw_change(dice, model, o):
        """Fields of an update, beside the texts."""
        return {}

    @staticmethod
    def refuse(model, account, fields, o=None):
        """Why these fields are refused, before the number of objects is looked at."""

    @staticmethod
    def conflict(model, account, fields, o=None):
        """Why what is live refuses them."""

    @staticmethod
    def holds(model, o):
        """Why it cannot be deleted."""

    @staticmethod
    def children(model, o):
        """What is deleted with it."""
        return []

    @staticmethod
    def shows(fields):
        """The members of an answer that come of fields."""
        return fields

    @staticmethod
    def computed(model, o):
        """The members of an answer that come of other objects."""
        return {}


def without(fields, *names):
    return {name: value for name, value in fields.items() if name not in names}


def with_ref(fields, name, kind):
    """As they are shown: a reference `name` in place of the id in "NAME_id", if there is one."""
    shown = without(fields, f"{name}_id")
    if f"{name}_id" in fields:
        shown[name] = ref(kind.path, fields[f"{name}_id"])
    return shown


# ---- policies ----


class IpPolicy(Kind):
    path, key = "/ip_policies", "ip_policies"

    @staticmethod
    def children(model, o):
        return model.of(IpPolicyRule, ip_policy_id=o.id)


class IpPolicyRule(Kind):
    path, key = "/ip_policy_rules", "ip_policy_rules"

    @staticmethod
    def draw(dice, model, account):
        policy = model.draw_ref(dice, IpPolicy, account)
        return policy and {"ip_policy_id": policy, "cidr": dice.choice(CIDRS),
                           "action": dice.choice(["allow", "deny"])}

    @staticmethod
    def draw_change(dice, model, o):
        return {"cidr": dice.choice(CIDRS)}

    @staticmethod
    def refuse(model, account, fields, o=None):
        if not model.has(IpPolicy, account, fields["ip_policy_id"]):
            return 1402
        same = model.of(IpPolicyRule, ip_policy_id=fields["ip_policy_id"], cidr=fields["cidr"])
        return 1408 if set(same) - {o} else None

    @staticmethod
    def shows(fields):
        return with_ref(fields, "ip_policy", IpPolicy)


# ---- vaults ----


class Vault(Kind):
    path, key = "/vaults", "vaults"

    @staticmethod
    def draw(dice, model, account):
        return {"name": dice.choice(NAMES)}

    @staticmethod
    def draw_change(dice, model, o):
        return {"name": dice.choice(NAMES)}

    @staticmethod
    def refuse(model, account, fields, o=None):
        return 23004 if set(model.of(Vault, account, name=fields["name"])) - {o} else None

    @staticmethod
    def holds(model, o):
        return 23003 if model.of(Secret, vault_id=o.id) else None


class Secret(Kind):
    path, key = "/vault_secrets", "secrets"

    @staticmethod
    def draw(dice, model, account):
        vault = model.draw_ref(dice, Vault, account)
        return vault and {"vault_id": vault, "name": dice.choice(NAMES), "value": "v"}

    @staticmethod
    def draw_change(dice, model, o):
        return dice.choice([{"name": dice.choice(NAMES)}, {"value": dice.choice(NAMES)}])

    @staticmethod
    def refuse(model, account, fields, o=None):
        if not model.has(Vault, account, fields["vault_id"]):
            return 24006
        same = model.of(Secret, vault_id=fields["vault_id"], name=fields["name"])
        return 24005 if set(same) - {o} else None

    @staticmethod
    def shows(fields):
        return with_ref(without(fields, "value"), "vault", Vault)

    @staticmethod
    def computed(model, o):
        return {"vault_name": next(v.fields["name"] for v in model.of(Vault)
                                   if v.id == o.fields["vault_id"])}


# ---- credentials ----


class ApiKey(Kind):
    path, key = "/api_keys", "keys"
    full = 603


class SshCredential(Kind):
    path, key = "/ssh_credentials", "ssh_credentials"

    @staticmethod
    def draw(dice, model, account):
        return {"public_key": dice.choice(model.given["public_keys"]), "acl": dice.choice(RULES)}

    @staticmethod
    def draw_change(dice, model, o):
        return {"acl": dice.choice(RULES)}

    @staticmethod
    def refuse(model, account, fields, o=None):
        same = set(model.of(SshCredential, public_key=fields["public_key"])) - {o}
        return (609 if {s.account for s in same} == {account} else 610) if same else None


# ---- names ----


class TlsCertificate(Kind):
    path, key = "/tls_certificates", "tls_certificates"

    @staticmethod
    def draw(dice, model, account):
        pair = dice.choice(model.given["pairs"])
        return {"certificate_pem": pair.pem, "private_key_pem": pair.key_pem}

    @staticmethod
    def holds(model, o):
        return "ERR_SALLYPORT_2" if model.of(ReservedDomain, certificate_id=o.id) else None

    @staticmethod
    def shows(fields):
        return without(fields, "private_key_pem")


class ReservedDomain(Kind):
    path, key = "/reserved_domains", "reserved_domains"

    @staticmethod
    def draw(dice, model, account):
        return {"domain": dice.choice(HOSTS)} | ReservedDomain.draw_certificate(dice, model, account)

    @staticmethod
    def draw_change(dice, model, o):
        return ReservedDomain.draw_certificate(dice, model, o.account)

    @staticmethod
    def draw_certificate(dice, model, account):
        certificate = model.draw_ref(dice, TlsCertificate, account)
        return dice.choice([{}, {"certificate_id": certificate or ""}, {"certificate_id": ""}])

    @staticmethod
    def refuse(model, account, fields, o=None):
        certificate = fields.get("certificate_id")
        if certificate and fields["domain"] in BELOW_BASE:
            return 440
        if certificate and not model.has(TlsCertificate, account, certificate):
            return 1965
        same = set(model.of(ReservedDomain, domain=fields["domain"])) - {o}
        return (413 if {s.account for s in same} == {account} else 414) if same else None

    @staticmethod
    def conflict(model, account, fields, o=None):
        there = {ep.account for ep in model.of(Endpoint, url=f"https://{fields['domain']}")}
        return 430 if there - {account} else None

    @staticmethod
    def holds(model, o):
        return 446 if model.of(Endpoint, url=f"https://{o.fields['domain']}") else None

    @staticmethod
    def shows(fields):
        return with_ref(fields, "certificate", TlsCertificate)


class ReservedAddr(Kind):
    path, key = "/reserved_addrs", "reserved_addrs"
    full = 502

    @staticmethod
    def refuse(model, account, fields, o=None):
        used = {f"tcp://{a.shown['addr']}" for a in model.of(ReservedAddr)}
        used |= {ep.fields["url"] for ep in model.of(Endpoint) if ep.fields["url"].startswith("tcp:")}
        return 503 if o is None and len(used) == ADDRESSES_MAX else None

    @staticmethod
    def holds(model, o):
        return "ERR_SALLYPORT_2" if model.of(Endpoint, url=f"tcp://{o.shown['addr']}") else None


class Endpoint(Kind):
    path, key = "/endpoints", "endpoints"

    @staticmethod
    def draw(dice, model, account):
        address = model.draw_ref(dice, ReservedAddr, account)
        if address is None or dice.random() < 0.7:
            where = {"url": f"https://{dice.choice(HOSTS)}", "traffic_policy": dice.choice(ANSWERS)}
        else:
            addr = next(o.shown["addr"] for o in model.objects + model.gone if o.id == address)
            where = {"url": f"tcp://{addr}", "traffic_policy": DENIES}
        return where | {"pooling_enabled": dice.random() < 0.5}

    @staticmethod
    def draw_change(dice, model, o):
        changes = [{"pooling_enabled": dice.random() < 0.5}]
        if o.fields["url"].startswith("https:"):
            changes += [{"traffic_policy": dice.choice(ANSWERS)},
                        {"url": f"https://{dice.choice(HOSTS)}"}]
        return dice.choice(changes)

    @staticmethod
    def owner_of(model, url):
        """The object that reserves the address, or None."""
        scheme, _, where = url.partition("://")
        found = (model.of(ReservedDomain, domain=where) if scheme == "https" else
                 [o for o in model.of(ReservedAddr) if o.shown["addr"] == where])
        return found[0] if found else None

    @staticmethod
    def conflict(model, account, fields, o=None):
        owner = Endpoint.owner_of(model, fields["url"])
        there = set(model.of(Endpoint, url=fields["url"])) - {o}
        # What nobody has reserved is free to take, as auto_reserve says.
        if owner and owner.account != account or any(ep.account != account for ep in there):
            return 18006
        if not there:
            return None
        all_pool = all(ep.fields["pooling_enabled"] for ep in there)
        if fields["pooling_enabled"]:
            return None if all_pool else 18016
        return 18017 if all_pool else 18009

    @staticmethod
    def computed(model, o):
        owner = Endpoint.owner_of(model, o.fields["url"])
        found = owner and ref(owner.kind.path, owner.id)
        is_tcp = o.fields["url"].startswith("tcp:")
        host, _, port = o.fields["url"].partition("://")[2].partition(":")
        return {"domain": None if is_tcp else found, "tcp_addr": found if is_tcp else None,
                "public_url": o.fields["url"], "host": host, "port": int(port or 443),
                "hostport": f"{host}:{port or 443}"}


# ---- events ----


class EventDestination(Kind):
    path, key = "/event_destinations", "event_destinations"

    @staticmethod
    def draw(dice, model, account):
        return {"target": {"debug": {"callback_url": model.given["url"] + dice.choice(["", "/x"])}}}

    @staticmethod
    def draw_change(dice, model, o):
        return EventDestination.draw(dice, model, o.account)

    @staticmethod
    def holds(model, o):
        used = any(o.id in s.fields["destination_ids"] for s in model.of(EventSubscription))
        return 5112 if used else None

    @staticmethod
    def shows(fields):
        shown = without(fields, "target")
        if "target" in fields:
            unused = dict.fromkeys(["datadog", "firehose", "kinesis", "cloudwatch_logs",
                                    "azure_logs_ingestion"])
            debug = {"log": False} | fields["target"]["debug"]
            shown["target"] = unused | {"debug": debug}
        return shown


class EventSubscription(Kind):
    path, key = "/event_subscriptions", "event_subscriptions"
    full = 5131
    unknown = 5123

    @staticmethod
    def draw(dice, model, account):
        return EventSubscription.draw_types(dice) | EventSubscription.draw_ids(dice, model, account)

    @staticmethod
    def draw_change(dice, model, o):
        return dice.choice([EventSubscription.draw_types(dice),
                            EventSubscription.draw_ids(dice, model, o.account)])

    @staticmethod
    def draw_types(dice):
        return {"sources": [{"type": t} for t in dice.choices(TYPES, k=dice.randrange(3))]}

    @staticmethod
    def draw_ids(dice, model, account):
        ids = [model.draw_ref(dice, EventDestination, account) for _ in range(dice.randrange(3))]
        return {"destination_ids": list(dict.fromkeys(filter(None, ids)))}

    @staticmethod
    def refuse(model, account, fields, o=None):
        types = [s["type"] for s in fields["sources"]]
        if len(set(types)) < len(types):
            return 5127
        ids = fields["destination_ids"]
        return None if all(model.has(EventDestination, account, id_) for id_ in ids) else 5103

    @staticmethod
    def shows(fields):
        shown = without(fields, "destination_ids", "sources")
        if "destination_ids" in fields:
            shown["destinations"] = [ref(EventDestination.path, id_)
                                     for id_ in fields["destination_ids"]]
        return shown

    @staticmethod
    def computed(model, o):
        return {"sources": [s | {"uri": f"{BASE}{o.path}/sources/{s['type']}"}
                            for s in o.fields["sources"]]}
