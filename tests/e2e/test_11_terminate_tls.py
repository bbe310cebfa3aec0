"""terminate-tls on https endpoints: versions, certificates, mutual TLS, and what policies see of it."""

import json
import ssl

import pytest

from lib.pki import Authority, alert_of, ask, client_context, connect, http_get
from lib.policy import Guarded, merge, on_request, rule

V12 = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2)
V13 = (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3)
V11 = (ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_1)


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    class Pki:
        directory = tmp_path_factory.mktemp("pki")
        ca = Authority(directory)
        other = Authority(directory, "Other CA")
        alice = ca.issue("alice", "Example", dns=["alice.example", "a.example"],
                         emails=["alice@example.test"])
        expired = ca.issue("old", expired=True)
        stranger = other.issue("mallory")
        by_name = {"none": None, "good": alice, "expired": expired, "stranger": stranger}

    return Pki


def terminate(**config):
    return rule("on_tcp_connect", ("terminate-tls", config))


def mutual(pki, strategy=None, **config):
    if strategy:
        config["mutual_tls_verification_strategy"] = strategy
    return terminate(mutual_tls_certificate_authorities=[pki.ca.pem], **config)


def get(g, pair=None, versions=None, **kw):
    return http_get(g.scene.gateway.https_port, g.host, context=client_context(pair, versions), **kw)


def values_of(expressions):
    body = "[" + ",".join("${json.encode(" + e + ")}" for e in expressions) + "]"
    return on_request(("custom-response", {"body": body}))


def body_of(answer):
    return json.loads(answer.partition(b"\r\n\r\n")[2])


# ---- versions and certificate ----

def test_empty_config_changes_nothing(scene):
    g = Guarded(scene, rule("on_tcp_connect", "terminate-tls"))
    assert b"200 OK" in get(g, versions=V12)
    assert b"200 OK" in get(g, versions=V13)
    with connect(scene.gateway.https_port, g.host, client_context(alpn=["http/1.1"])) as tls:
        assert tls.selected_alpn_protocol() == "http/1.1"


@pytest.mark.parametrize("config, works, fails", [
    ({"min_version": "1.3"}, V13, V12),
    ({"max_version": "1.2"}, V12, V13),
    ({"min_version": "1.2", "max_version": "1.2"}, V12, V13),
    ({}, V12, V11),
])
def test_version_limits(scene, config, works, fails):
    g = Guarded(scene, terminate(**config))
    assert b"200 OK" in get(g, versions=works)
    assert alert_of(lambda: get(g, versions=fails)) == "protocol version"


def test_own_certificate(scene, pki):
    name = scene.name() + ".example.test"
    server = pki.other.issue("own", dns=[name])
    g = Guarded(scene, terminate(server_certificate=server.pem + pki.other.pem,
                                 server_private_key=server.key_pem), host=name)
    context = ssl.create_default_context(cadata=pki.other.pem)
    assert b"200 OK" in http_get(scene.gateway.https_port, name, context=context)


def test_certificate_from_expressions(scene, pki):
    """Fields are evaluated when the connection comes; a text that is no PEM ends it."""
    base = scene.name() + ".example.test"
    server = pki.other.issue("own", dns=[f"a.{base}", f"b.{base}"])
    literal = server.pem.replace("\n", "\\n")
    g = Guarded(scene, terminate(
        server_certificate="${conn.tls.sni.startsWith('a.') ? '" + literal + "' : 'none'}",
        server_private_key=server.key_pem), host=f"*.{base}")
    context = ssl.create_default_context(cadata=pki.other.pem)
    port = g.scene.gateway.https_port
    assert b"200 OK" in http_get(port, f"a.{base}", context=context)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        http_get(port, f"b.{base}")


# ---- mutual TLS ----

@pytest.mark.parametrize("versions", [V12, V13])
@pytest.mark.parametrize("strategy, accepted", [
    (None, {"good"}),
    ("require-and-verify", {"good"}),
    ("require-any", {"good", "stranger", "expired"}),
    ("request", {"none", "good", "stranger", "expired"}),
])
def test_who_may_come_in(scene, pki, strategy, accepted, versions):
    g = Guarded(scene, mutual(pki, strategy))
    for name, pair in pki.by_name.items():
        if name in accepted:
            assert b"200 OK" in get(g, pair, versions), name
        elif name != "none":
            assert alert_of(lambda: get(g, pair, versions)) == "bad certificate", name
        else:
            # RFC 5246 has no alert of its own for a certificate that is missing.
            assert alert_of(lambda: get(g, pair, versions)) == (
                "certificate required" if versions == V13 else "handshake failure")


def test_refused_visitors_never_reach_the_upstream(scene, pki):
    app = scene.app()
    g = Guarded(scene, mutual(pki), upstream=app)
    assert alert_of(lambda: get(g, pki.stranger, V12)) == "bad certificate"
    assert alert_of(lambda: get(g, pki.stranger, V13)) == "bad certificate"
    assert app.connections == []
    assert b"200 OK" in get(g, pki.alice)


def test_several_authorities_in_one_text_and_in_a_list(scene, pki):
    both = Guarded(scene, terminate(mutual_tls_certificate_authorities=pki.ca.pem + pki.other.pem))
    listed = Guarded(scene, terminate(
        mutual_tls_certificate_authorities=[pki.ca.pem, pki.other.pem]))
    for g in (both, listed):
        assert b"200 OK" in get(g, pki.alice)
        assert b"200 OK" in get(g, pki.stranger)


def test_no_session_is_resumed(scene, pki):
    g = Guarded(scene, mutual(pki))
    context = client_context(pki.alice, V12)
    with connect(scene.gateway.https_port, g.host, context) as first:
        assert not first.session.has_ticket
    context = client_context(pki.alice, V13)
    with connect(scene.gateway.https_port, g.host, context) as first:
        ask(first, f"GET /hello HTTP/1.1\r\nhost: {g.host}\r\nconnection: close\r\n\r\n".encode())
        assert not first.session.has_ticket


def test_stored_authorities_let_nobody_in(scene, pki):
    g = Guarded(scene, terminate(mutual_tls_certificate_authorities=["ca_1234"]))
    g.tunnel.wait_err("this gateway stores no authorities")
    assert alert_of(lambda: get(g, pki.alice)) == "bad certificate"


# ---- what policies see ----

def test_variables(scene, pki):
    expressions = [
        "conn.tls.client.subject", "conn.tls.client.subject.common_name",
        "conn.tls.client.subject.organization", "conn.tls.client.issuer.common_name",
        "conn.tls.client.san", "conn.tls.client.san.dns_names",
        "conn.tls.client.san.email_addresses", "conn.tls.client.serial_number",
        "conn.tls.client.signature_algorithm",
        "conn.tls.client.validity.not_after > timestamp(time.now)",
        "conn.tls.client.extensions.exists(e, e.id == '2.5.29.19' && e.critical)",
        "conn.tls.client.pem", "conn.tls.version", "conn.tls.cipher_suite",
        "conn.tls.session_resumed", "conn.tls.server.subject.common_name != ''",
        "actions.ngrok.terminate_tls.version", "actions.ngrok.terminate_tls.sni",
        "actions.ngrok.terminate_tls.client.subject.common_name",
        "actions.ngrok.terminate_tls.warnings", "actions.ngrok.terminate_tls.error.code",
    ]
    g = Guarded(scene, merge(mutual(pki), values_of(expressions)))
    got = dict(zip(expressions, body_of(get(g, pki.alice, V13))))
    serial = f"{pki.alice.cert.serial_number:x}"
    assert got == {
        **dict(zip(expressions, [
            "O=Example,CN=alice", "alice", ["Example"], "Clients CA",
            "DNS:alice.example, DNS:a.example, email:alice@example.test",
            ["alice.example", "a.example"], ["alice@example.test"],
            serial.rjust(len(serial) + len(serial) % 2, "0"), "ECDSA-SHA256", True, True,
            pki.alice.pem, "1.3", got["conn.tls.cipher_suite"], False, True, "1.3", g.host,
            "alice", [], ""])),
    }
    assert got["conn.tls.cipher_suite"].startswith("TLS_")


def test_variables_are_empty_without_a_certificate(scene, pki):
    g = Guarded(scene, merge(mutual(pki, "request"), values_of(
        ["conn.tls.client.subject", "conn.tls.client.san.dns_names", "conn.tls.client.pem",
         "has(conn.tls.client.pem)", "has(conn.tls.client.subject)"])))
    assert body_of(get(g)) == ["", [], "", False, False]


def test_connections_are_refused_by_their_certificate(scene, pki):
    """on_tcp_connect goes on behind the handshake, and knows who came."""
    g = Guarded(scene, {"on_tcp_connect": [
        {"actions": [{"type": "terminate-tls", "config": {
            "mutual_tls_certificate_authorities": [pki.ca.pem, pki.other.pem]}}]},
        {"expressions": ["conn.tls.client.subject.common_name != 'alice'"],
         "actions": [{"type": "deny"}]}]})
    assert b"200 OK" in get(g, pki.alice)
    with pytest.raises((ConnectionError, ssl.SSLError)):
        answer = get(g, pki.stranger)
        assert answer == b"", answer
        raise ConnectionResetError


def test_action_that_does_not_run_leaves_the_defaults(scene, pki):
    g = Guarded(scene, {"on_tcp_connect": [
        {"expressions": ["conn.client_ip == '192.0.2.1'"],
         "actions": [{"type": "terminate-tls", "config": {"min_version": "1.3"}}]}]})
    assert b"200 OK" in get(g, versions=V12)


def test_deny_comes_before_the_handshake(scene):
    g = Guarded(scene, {"on_tcp_connect": [
        {"actions": [{"type": "deny"}]}, {"actions": [{"type": "terminate-tls"}]}]})
    with pytest.raises((ConnectionError, ssl.SSLEOFError, ssl.SSLError)):
        get(g)


def test_second_action_is_skipped(scene, pki):
    g = Guarded(scene, {"on_tcp_connect": [
        {"actions": [{"type": "terminate-tls"}, {"type": "terminate-tls",
                                                "config": {"min_version": "1.3"}}]}]})
    mark = scene.gateway.mark()
    assert b"200 OK" in get(g, versions=V12)
    scene.gateway.wait_log(lambda e: e["event"] == "policy.action_warning"
                           and e["action"] == "terminate-tls", mark)


def test_logs_of_on_tcp_connect_are_in_the_first_event(scene, pki):
    g = Guarded(scene, {"on_tcp_connect": [
        {"actions": [{"type": "terminate-tls", "config": {
            "mutual_tls_certificate_authorities": [pki.ca.pem]}},
            {"type": "log", "config": {"metadata": {"who": "${conn.tls.client.subject}"}}}]}]})
    mark = scene.gateway.mark()
    assert b"200 OK" in get(g, pki.alice)
    event = scene.gateway.wait_log(lambda e: g.host in e.get("endpoint", {}).get("url", ""), mark)
    assert "O=Example,CN=alice" in event["traffic_policy"]["logs"]
    shown = event["tls"]["client_cert"]
    assert shown["subject"]["cn"] == "alice"
    assert shown["serial_number"].lstrip("0") == f"{pki.alice.cert.serial_number:x}"


# ---- what upstreams see ----

def test_headers_for_the_upstream(scene, pki):
    g = Guarded(scene, mutual(pki, "request"))
    forged = ("GET /echo HTTP/1.1\r\nhost: %s\r\nNgrok-Mtls-Subject-Cn: root\r\n"
              "sallyport_mtls_serial_number: 1\r\nconnection: close\r\n\r\n" % g.host).encode()

    def fields(pair):
        with connect(scene.gateway.https_port, g.host, client_context(pair)) as tls:
            return {n.lower(): v for n, v in body_of(ask(tls, forged))["headers"] if "mtls" in
                    n.lower()}

    assert fields(None) == {}
    got = fields(pki.alice)
    for prefix in ("ngrok", "sallyport"):
        assert got[f"{prefix}-mtls-subject-cn"] == "alice"
        assert got[f"{prefix}-mtls-subject-alt-name-dns"] == "alice.example,a.example"
        assert got[f"{prefix}-mtls-email-addresses"] == "alice@example.test"
        assert got[f"{prefix}-mtls-serial-number"].lstrip("0") == \
            f"{pki.alice.cert.serial_number:x}"
    assert len(got) == 8


# ---- other names on the same connection ----

def test_a_connection_for_one_name_does_not_serve_another(scene, pki):
    guarded = Guarded(scene, mutual(pki))
    strict = Guarded(scene, terminate(min_version="1.3"))
    default = Guarded(scene, terminate())
    free = Guarded(scene, on_request(("add-headers", {"headers": {"x-a": "1"}})))
    port = scene.gateway.https_port

    def status(sni, authority, pair=None):
        answer = http_get(port, sni.host, context=client_context(pair), authority=authority.host)
        return int(answer.split()[1])

    assert status(free, guarded) == 421
    assert status(guarded, free, pki.alice) == 421
    assert status(strict, guarded) == 421
    assert status(guarded, guarded, pki.alice) == 200
    assert status(strict, strict) == 200
    assert status(default, free) == 200
    assert status(free, default) == 421
    assert status(free, free) == 200


def test_plain_http_endpoints_cannot_have_it(scene):
    g = scene.ssh(f"{scene.name()}.example.test:80:127.0.0.1:1",
                  command="http --traffic-policy '{on_tcp_connect: [{actions: "
                          "[{type: terminate-tls}]}]}'")
    assert g.wait_exit() == 1
    assert "not available in on_tcp_connect of http endpoints" in "\n".join(g.err)


def test_http2_with_a_certificate(scene, pki):
    """curl over HTTP/2: the handshake's settings are the policy's, what is spoken is the gateway's."""
    g = Guarded(scene, merge(mutual(pki), values_of(
        ["req.version", "conn.tls.negotiated_alpn", "conn.tls.client.subject.common_name"])))
    status, out, err = scene.curl(f"https://{g.host}:{scene.gateway.https_port}/", "--http2", "-k",
                                  "--cert", pki.alice.file)
    assert status == 0, err
    assert json.loads(out)[1:] == ["h2", "alice"]
    status, out, err = scene.curl(f"https://{g.host}:{scene.gateway.https_port}/", "--http2", "-k")
    assert status != 0 and out == b"", (status, out, err)
