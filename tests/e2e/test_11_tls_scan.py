"""What a scanner finds on the HTTPS port of the default configuration: nothing that is weak."""

import shutil
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

CIPHERS = {
    "TLSv1.3": {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                "TLS_CHACHA20_POLY1305_SHA256"},
    "TLSv1.2": {f"ECDHE-{key}-{cipher}" for key in ("ECDSA", "RSA") for cipher in
                ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")},
}
GROUPS = {"x25519", "secp256r1", "secp384r1"}


@pytest.fixture(scope="module")
def report(gateway):
    """What sslscan says of a name that the local authority has a certificate for, as XML."""
    assert shutil.which("sslscan"), "sslscan is missing: run make deps"
    done = subprocess.run(
        ["sslscan", "--no-colour", "--timeout=30", "--show-certificate", "--xml=-",
         "--sni-name=x.example.test", f"127.0.0.1:{gateway.https_port}"],
        capture_output=True, timeout=300, check=True)
    return ElementTree.fromstring(done.stdout).find("ssltest")


def test_versions(report):
    """TLS 1.2 and 1.3, nothing older."""
    enabled = {p.get("type") + p.get("version") for p in report.iter("protocol")
               if p.get("enabled") == "1"}
    assert enabled == {"tls1.2", "tls1.3"}


def test_ciphers(report):
    """Forward secrecy and authenticated encryption only, and scanners call all of them strong."""
    found = {}
    for cipher in report.iter("cipher"):
        found.setdefault(cipher.get("sslversion"), set()).add(cipher.get("cipher"))
        assert cipher.get("strength") in ("strong", "acceptable"), cipher.attrib
        assert int(cipher.get("bits")) >= 128, cipher.attrib
    assert set(found) == set(CIPHERS)
    for version, names in found.items():
        assert names <= CIPHERS[version], version


def test_groups(report):
    assert {group.get("name").split()[0] for group in report.iter("group")} <= GROUPS


def test_known_holes(report):
    """Heartbleed, compression (CRIME), renegotiation."""
    assert [h.get("vulnerable") for h in report.iter("heartbleed")] == ["0", "0"]
    compression = report.find("compression")
    assert compression is None or compression.get("supported") == "0"
    renegotiation = report.find("renegotiation")
    assert renegotiation.get("supported") == "0" or renegotiation.get("secure") == "1"


def test_certificate(report):
    """A modern signature, and a key that is long enough: P-256 counts as 128 bits."""
    leaf = report.find("certificates/certificate[@type='short']")
    assert leaf.findtext("signature-algorithm") == "ecdsa-with-SHA256"
    assert leaf.findtext("expired") == "false"
    key = leaf.find("pk")
    assert (key.get("error"), key.get("type"), key.get("bits")) == ("false", "EC", "128")


def test_downgrade_is_noticed(gateway):
    """A client that says it has fallen back (RFC 7507) is told that it need not."""
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{gateway.https_port}", "-tls1_2",
         "-fallback_scsv", "-servername", "x.example.test"],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
    assert b"inappropriate fallback" in done.stderr
