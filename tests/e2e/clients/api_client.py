"""
Plays cases (lib/api_cases.py) with the published Python client on the API at BASE with TOKEN. Reads a list of
them, and prints what it saw of each.
"""

import json
import sys
from types import SimpleNamespace

import ngrok

base, token = sys.argv[1:]
client = ngrok.Client(token, base_url=base)


def failure(call, *args, **kw):
    try:
        call(*args, **kw)
    except ngrok.Error as e:
        assert isinstance(e, ngrok.NotFoundError) == (e.http_status_code == 404)
        return {"status": e.http_status_code, "code": e.error_code, "operation": e.operation_id}
    return None


def props(value):
    """As the client wants objects within bodies: something with their members in _props."""
    return SimpleNamespace(_props=value)


def arguments(body):
    wrap = {"target": props, "sources": lambda sources: [props(s) for s in sources]}
    return {name: wrap.get(name, lambda v: v)(value) for name, value in body.items()}


def plain(obj):
    """The object as it came. Each property is read, as a missing member raises."""
    for name, what in vars(type(obj)).items():
        if isinstance(what, property):
            getattr(obj, name)
    return obj._props


def play(case):
    service = getattr(client, case["name"])
    of = case["of"]

    def key(obj):
        return {**of, "type": obj.type} if of else {"id": obj.id}

    seen = {}
    if case["creates"]:
        made = [service.create(**of, **arguments(body)) for body in case["creates"]]
        seen["created"] = [plain(o) for o in made]
    else:
        made = [service.get(id_) for id_ in case["there"]]
    seen["got"] = [plain(service.get(**key(o))) for o in made]
    listed = service.list(**of).sources if of else service.list(limit=case["limit"])
    seen["listed"] = [plain(o) for o in listed]
    if case["filters"]:
        seen["filtered"] = [o.id for o in service.list(filter=f'obj.id == "{made[0].id}"')]
    if case["name"] == "secrets":
        vault = made[0].vault.id
        of_vault = client.vaults.get_secrets_by_vault(vault, limit=case["limit"])
        assert [o.id for o in of_vault] == [o.id for o in reversed(made)]
    if case["update"] is not None:
        seen["updated"] = plain(service.update(**key(made[0]), **arguments(case["update"])))
    if case["refused"]:
        seen["refused"] = failure(service.create, **of, **arguments(case["refused"][0]))
    seen["calls"] = [failure(getattr(service, verb), **key(made[0])) for verb, _ in case["calls"]]
    if case["creates"]:
        for o in made:
            service.delete(**key(o))
    seen["gone"] = failure(service.get, **key(made[0]))
    return seen


print(json.dumps([play(case) for case in json.load(sys.stdin)], default=lambda o: o._props))
