"""Reserved domains and TCP addresses, and certificates, through the management API."""

import os
import signal

import pytest
from cryptography import x509

from lib import pki
from lib.api import Api, new_token
from lib.ports import FIXED, TCP_PORTS
from lib.ssh_api import SshApi
from lib.wait import wait_until

SETTINGS = {
    "limits": {"api_requests_per_minute": 0, "hold_ms": 100},
    "domains": ({"name": "given.customer.com", "account": "bob"},),
    "tcp": {"host": "tcp.example.test", **TCP_PORTS},
}


@pytest.fixture(name="alice")
def fixture_alice(gateway):
    api = Api(gateway, new_token(gateway.revive(), "--account", "alice"))
    yield api
    api.close()


@pytest.fixture(name="bob")
def fixture_bob(gateway):
    api = Api(gateway, new_token(gateway.revive(), "--account", "bob"))
    yield api
    api.close()


@pytest.fixture(name="ca", scope="module")
def fixture_ca(tmp_path_factory):
    return pki.Authority(tmp_path_factory.mktemp("ca"))


def custom(scene):
    """A name below no base domain."""
    return f"{scene.name()}.customer.com"


def reserve(api, domain, **more):
    return api.create("/reserved_domains", domain=domain, **more)


def upload(api, pair, **more):
    return api.create("/tls_certificates", certificate_pem=pair.pem, private_key_pem=pair.key_pem,
                      **more)


def serial_at(gateway, host):
    """Of the certificate that a handshake for the name shows."""
    with pki.connect(gateway.https_port, host) as tls:
        return x509.load_der_x509_certificate(tls.getpeercert(binary_form=True)).serial_number


def refused(scene, host, key, code, port=443, command="http"):
    """This user cannot have the name; ssh says why."""
    ssh = scene.ssh(f"{host}:{port}:127.0.0.1:1", key=key, command=command)
    assert ssh.wait_exit(10) == 1
    ssh.wait_err(code)


def answers(text):
    return ("on_http_request: [{actions: [{type: custom-response, config: "
            f"{{status_code: 200, body: '{text}'}}}}]}}]")


# ---- domains ----


def test_the_gateway_s_own_names_are_nobody_s(scene):
    """However the configuration writes them."""
    gateway = scene.start_gateway({"api": {"url": "https://API.Customer.com:8443"}})
    api = scene.keep(Api(gateway, new_token(gateway)))
    for name in ("api.customer.com", "example.test"):
        assert api.call("POST", "/reserved_domains", {"domain": name}).code == "ERR_NGROK_404"


def test_an_endpoint_far_below_its_domain(scene, alice):
    """Each name above it may be reserved; what is found there is told, and no name is too deep."""
    domain = custom(scene)
    wide = reserve(alice, f"*.{domain}")
    deep = alice.create("/endpoints", url=f"https://{'x.' * 100}{domain}", traffic_policy=answers("x"))
    assert deep["domain"]["id"] == wide["id"]
    assert alice.call("DELETE", f"/endpoints/{deep['id']}").status == 204


def test_a_name_is_its_account_s(scene, alice, bob):
    """At once, with all below it, also against sessions; until it is deleted."""
    domain = custom(scene)
    made = reserve(alice, domain.upper() + ".", description="d")
    assert (made["domain"], made["cname_target"], made["certificate"]) == (domain, "example.test", None)
    assert alice.call("GET", f"/reserved_domains/{made['id']}").body == made
    assert bob.call("GET", f"/reserved_domains/{made['id']}").status == 404
    for name in (domain, f"x.{domain}", f"*.{domain}"):
        assert bob.call("POST", "/reserved_domains", {"domain": name}).code == "ERR_NGROK_414"
    assert alice.call("POST", "/reserved_domains", {"domain": domain}).code == "ERR_NGROK_413"
    refused(scene, domain, "bob", "ERR_SALLYPORT_320")
    refused(scene, f"x.{domain}", "bob", "ERR_SALLYPORT_320")
    tunnel = scene.tunnel_to(domain, scene.app())
    live = alice.call("GET", f"/endpoints?url=https://{domain}")["endpoints"]
    assert live[0]["domain"]["id"] == made["id"]
    assert alice.call("DELETE", f"/reserved_domains/{made['id']}").status == 204
    assert scene.get(tunnel).status == 200
    tunnel.stop()
    wait_until(lambda: bob.call("POST", "/reserved_domains", {"domain": domain}).status == 201,
               "the name is free")


def test_what_is_in_use_cannot_be_reserved(scene, alice, bob):
    domain = custom(scene)
    scene.tunnel_to(domain, scene.app())
    assert bob.call("POST", "/reserved_domains", {"domain": domain}).code == "ERR_NGROK_430"
    assert all(d["domain"] != domain for d in bob.call("GET", "/reserved_domains")["reserved_domains"])
    assert reserve(alice, domain)["domain"] == domain


def test_what_a_cloud_endpoint_uses_cannot_be_deleted(scene, alice):
    domain = custom(scene)
    wide = reserve(alice, f"*.{domain}")
    ep = alice.create("/endpoints", url=f"https://a.{domain}", traffic_policy=answers("x"))
    assert ep["domain"]["id"] == wide["id"]
    assert alice.call("DELETE", f"/reserved_domains/{wide['id']}").code == "ERR_NGROK_446"
    assert alice.call("GET", f"/endpoints/{ep['id']}").body == ep
    assert alice.call("DELETE", f"/endpoints/{ep['id']}").status == 204
    assert alice.call("DELETE", f"/reserved_domains/{wide['id']}").status == 204


def test_the_configuration_wins(alice, bob):
    assert alice.call("POST", "/reserved_domains", {"domain": "given.customer.com"}).code == "ERR_NGROK_414"
    assert alice.call("POST", "/reserved_domains", {"domain": "*.customer.com"}).code == "ERR_NGROK_417"
    assert bob.call("POST", "/reserved_domains", {"domain": "given.customer.com"}).code == "ERR_NGROK_413"


def test_the_gateway_s_own_names(alice):
    for domain, code in [("example.test", "404"), ("tcp.example.test", "404"),
                         ("*.example.test", "416"), ("x.internal", "411")]:
        assert alice.call("POST", "/reserved_domains", {"domain": domain}).code == f"ERR_NGROK_{code}"


# ---- certificates ----


def test_attached_certificates_are_served_at_once(scene, gateway, alice, ca):
    """To curl, which trusts nothing else; another one in the place of it; and none."""
    domain = custom(scene)
    one, two = (ca.issue(domain, dns=[domain]) for _ in range(2))
    first = upload(alice, one, description="d")
    assert (first["subject_common_name"], first["private_key_type"]) == (domain, "ecdsa")
    assert first["subject_alternative_names"] == {"dns_names": [domain], "ips": []}
    assert int(first["serial_number"], 16) == one.cert.serial_number
    assert "private_key_pem" not in first and first["certificate_pem"] == one.pem
    made = reserve(alice, domain)
    path = f"/reserved_domains/{made['id']}"
    tunnel = scene.tunnel_to(domain, scene.app())
    assert serial_at(gateway, domain) != one.cert.serial_number
    assert alice.call("PATCH", path, {"certificate_id": first["id"]})["certificate"]["id"] == first["id"]
    for _ in range(8):
        assert serial_at(gateway, domain) == one.cert.serial_number
    ca_file = ca.pair.file
    url = f"https://{domain}:{gateway.https_port}/hello"
    for version in ("--http1.1", "--http2"):
        status, out, err = scene.curl(url, version, "--cacert", ca_file, "-o", os.devnull,
                                      "-w", "%{http_code}")
        assert (status, out) == (0, b"200"), err
    second = upload(alice, two)
    assert alice.call("PATCH", path, {"certificate_id": second["id"]}).status == 200
    assert serial_at(gateway, domain) == two.cert.serial_number
    assert alice.call("DELETE", f"/tls_certificates/{second['id']}").code == "ERR_SALLYPORT_2"
    assert alice.call("DELETE", f"/tls_certificates/{first['id']}").status == 204
    assert alice.call("DELETE", f"{path}/certificate").status == 204
    assert serial_at(gateway, domain) != two.cert.serial_number
    assert alice.call("DELETE", f"/tls_certificates/{second['id']}").status == 204
    assert scene.get(tunnel).status == 200


def test_a_wildcard_is_served_with_its_certificate(scene, gateway, alice, ca):
    """At any depth, whatever names the certificate has; one of a name below goes first."""
    domain = custom(scene)
    wide, close = ca.issue("wide", dns=["elsewhere.org"]), ca.issue("close")
    reserve(alice, f"*.{domain}", certificate_id=upload(alice, wide)["id"])
    reserve(alice, f"a.{domain}", certificate_id=upload(alice, close)["id"])
    assert serial_at(gateway, f"b.{domain}") == wide.cert.serial_number
    assert serial_at(gateway, f"c.b.{domain}") == wide.cert.serial_number
    assert serial_at(gateway, f"a.{domain}") == close.cert.serial_number
    tunnel = scene.tunnel_to(f"b.{domain}", scene.app())
    url = f"https://{tunnel.host}:{gateway.https_port}/hello"
    for version in ("--http1.1", "--http2"):
        status, out, err = scene.curl(url, version, "-k", "-o", os.devnull, "-w", "%{http_code}")
        assert (status, out) == (0, b"200"), err


def test_certificates_of_other_accounts(scene, alice, bob, ca):
    cert = upload(alice, ca.issue("x"))
    assert bob.call("GET", f"/tls_certificates/{cert['id']}").status == 404
    answer = bob.call("POST", "/reserved_domains",
                      {"domain": custom(scene), "certificate_id": cert["id"]})
    assert answer.code == "ERR_NGROK_1965"


def test_bad_pairs(alice, ca):
    one, two = ca.issue("one"), ca.issue("two")
    for pem, key, code in [(one.pem, two.key_pem, 1923), (one.pem, one.pem, 1924),
                           (one.key_pem, one.key_pem, 1925), (one.pem + two.pem, one.key_pem, 1926),
                           ("x", one.key_pem, 1920), (one.pem, "", 1901)]:
        answer = alice.call("POST", "/tls_certificates",
                            {"certificate_pem": pem, "private_key_pem": key})
        assert (answer.status, answer.code) == (400, f"ERR_NGROK_{code}"), answer.body
    chain = upload(alice, pki.Pair(one.cert, one.key, ca.directory))
    assert chain["issuer_common_name"] == "Clients CA"


def test_restart(scene, ca):
    """After kill -9 names, addresses and certificates are what they were; keys are not in the files."""
    gateway = scene.start_gateway(SETTINGS)
    alice = Api(gateway, new_token(gateway, "--account", "alice"))
    bob_token = new_token(gateway, "--account", "bob")
    domain = custom(scene)
    pair = ca.issue(domain, dns=[domain])
    made = reserve(alice, domain, certificate_id=upload(alice, pair)["id"])
    address = alice.create("/reserved_addrs")["addr"]
    os.kill(gateway.pid, signal.SIGKILL)
    gateway.process.wait_exit(10)
    secret = pair.key_pem.splitlines()[1].encode()
    assert all(secret not in f.read_bytes() for f in gateway.state.iterdir() if f.is_file())
    gateway.log.clear()
    gateway.noise.clear()
    gateway.start()
    assert serial_at(gateway, domain) == pair.cert.serial_number
    alice, bob = Api(gateway, alice.token), Api(gateway, bob_token)
    found = alice.call("GET", f"/reserved_domains/{made['id']}")
    assert (found["domain"], found["certificate"]["id"]) == (domain, made["certificate"]["id"])
    assert bob.call("POST", "/reserved_domains", {"domain": domain}).code == "ERR_NGROK_414"
    refused(scene, domain, "bob", "ERR_SALLYPORT_320")
    host, port = address.split(":")
    refused(scene, host, "bob", "ERR_SALLYPORT_309", port, "tcp")
    gateway.change()
    assert serial_at(gateway, domain) == pair.cert.serial_number
    refused(scene, domain, "bob", "ERR_SALLYPORT_320")


# ---- addresses ----


def test_addresses(scene, alice, bob):
    """Picked from the fixed range, different ones, of their account."""
    addrs = [alice.create("/reserved_addrs", description=str(i)) for i in range(5)]
    assert len({a["addr"] for a in addrs}) == 5
    host, port = addrs[0]["addr"].split(":")
    assert host == "tcp.example.test" and FIXED[0] <= int(port) <= FIXED[1]
    assert addrs[0]["region"] == "us"
    refused(scene, host, "bob", "ERR_SALLYPORT_309", port, "tcp")
    tunnel = scene.ssh(f"{host}:{port}:127.0.0.1:{scene.app().port}", command="tcp")
    assert tunnel.urls(1) == [f"tcp://{addrs[0]['addr']}"]
    live = alice.call("GET", f"/endpoints?url=tcp://{addrs[0]['addr']}")["endpoints"]
    assert live[0]["tcp_addr"]["id"] == addrs[0]["id"] and live[0]["domain"] is None
    for a in addrs:
        assert bob.call("DELETE", f"/reserved_addrs/{a['id']}").status == 404
        assert alice.call("DELETE", f"/reserved_addrs/{a['id']}").status == 204


# ---- by ssh ----


def test_by_ssh(scene, ca):
    """What the API has, the command line has."""
    domain = custom(scene)
    user = SshApi(scene.gateway, scene.keys.alice)
    made = user.ok(f"api reserved-domains create --domain {domain} --resolves-to global "
                   "--output json")
    assert made["domain"] == domain and made["resolves_to"] == [{"value": "global"}]
    assert domain in user.ok("api reserved-domains list").out
    pair = ca.issue(domain, dns=[domain])
    cert = user.ok("api tls-certificates create --pem - --output json", pair.key_pem + pair.pem)
    user.ok(f"api reserved-domains update {made['id']} --certificate-id {cert['id']}")
    assert serial_at(scene.gateway, domain) == pair.cert.serial_number
    assert "PRIVATE" not in cert.out
    user.ok(f"api reserved-domains delete-certificate {made['id']}")
    user.ok(f"api tls-certificates delete {cert['id']}")
    user.ok(f"api reserved-domains delete {made['id']}")
