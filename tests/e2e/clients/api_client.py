"""Uses the published Python client on the API at BASE with TOKEN, and prints what it saw as JSON."""

import json
import sys

import ngrok

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFwOL1frpUXcm1bS124052YzSIM2cLHDZ21nMznLtTRH pypi"

base, token = sys.argv[1:]
client = ngrok.Client(token, base_url=base)


def failure(call, *args, **kw):
    try:
        call(*args, **kw)
    except ngrok.NotFoundError as e:
        return ["not found", e.http_status_code, e.error_code, bool(e.operation_id)]
    except ngrok.Error as e:
        return ["error", e.http_status_code, e.error_code, bool(e.operation_id)]
    return None


def properties(obj):
    """Every property, as Python's clients read them: a missing key raises."""
    return {name: str(getattr(obj, name)) for name in dir(type(obj))
            if isinstance(getattr(type(obj), name), property)}


def life(service, create, update):
    made = service.create(**create)
    got = service.get(made.id)
    changed = service.update(made.id, **update)
    listed = [item.id for item in service.list(limit="1")]
    filtered = [item.id for item in service.list(filter=f'obj.id == "{made.id}"')]
    out = {
        "properties": sorted(properties(got)),
        "equal": {k: v for k, v in properties(made).items() if k != "token"}
        == {k: v for k, v in properties(got).items() if k != "token"},
        "changed": all(getattr(changed, k) == v for k, v in update.items() if k != "value"),
        "listed": made.id in listed,
        "filtered": filtered == [made.id],
    }
    service.delete(made.id)
    out["gone"] = failure(service.get, made.id)
    return out


policy = client.ip_policies.create()
vault = client.vaults.create(name="python")
result = {
    "ip_policies": life(client.ip_policies, {}, {"description": "x"}),
    "ip_policy_rules": life(client.ip_policy_rules,
                            {"cidr": "10.0.0.0/8", "ip_policy_id": policy.id, "action": "deny"},
                            {"cidr": "10.0.0.0/9"}),
    "api_keys": life(client.api_keys, {"description": "d"}, {"metadata": "m"}),
    "ssh_credentials": life(client.ssh_credentials, {"public_key": KEY}, {"acl": ["*"]}),
    "vaults": life(client.vaults, {"name": "other"}, {"name": "third"}),
    "secrets": life(client.secrets, {"name": "s", "value": "v", "vault_id": vault.id},
                    {"value": "w", "name": "t"}),
    "taken": failure(client.vaults.create, name="python"),
    "by_vault": len(list(client.vaults.get_secrets_by_vault(vault.id))),
    "bad": failure(client.ip_policy_rules.create, cidr="10.0.0.1/8", ip_policy_id=policy.id,
                   action="deny"),
}
client.ip_policies.delete(policy.id)
client.vaults.delete(vault.id)
print(json.dumps(result))
