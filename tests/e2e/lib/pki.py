"""Certificates of clients and servers, and TLS clients that use them."""

import datetime
import re
import socket
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOUR = datetime.timedelta(hours=1)


class Pair:
    """A certificate and its key; `pem` and `key_pem` are text, `file` holds both."""

    def __init__(self, cert, key, directory):
        self.cert = cert
        self.key = key
        self.pem = cert.public_bytes(serialization.Encoding.PEM).decode()
        self.key_pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()).decode()
        self.file = Path(directory) / f"{cert.serial_number:x}.pem"
        self.file.write_text(self.pem + self.key_pem)


def name_of(cn, organization=None):
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, cn)]
    if organization:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(parts)


class Authority:
    def __init__(self, directory, cn="Clients CA"):
        self.directory = directory
        key = ec.generate_private_key(ec.SECP256R1())
        self.pair = Pair(self._sign(name_of(cn), key, name_of(cn), key, ca=True), key, directory)
        self.pem = self.pair.pem

    @staticmethod
    def _sign(subject, key, issuer, issuer_key, ca=False, names=(), expired=False):
        now = datetime.datetime.utcnow()
        made = (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer)
                .public_key(key.public_key()).serial_number(x509.random_serial_number())
                .not_valid_before(now - 24 * HOUR)
                .not_valid_after(now - HOUR if expired else now + 24 * HOUR)
                .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True))
        if names:
            made = made.add_extension(x509.SubjectAlternativeName(list(names)), critical=False)
        return made.sign(issuer_key, hashes.SHA256())

    def issue(self, cn, organization=None, dns=(), emails=(), expired=False):
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName(n) for n in dns] + [x509.RFC822Name(e) for e in emails]
        cert = self._sign(name_of(cn, organization), key, self.pair.cert.subject, self.pair.key,
                          names=names, expired=expired)
        return Pair(cert, key, self.directory)


def client_context(pair=None, versions=None, alpn=()):
    """`versions`: (lowest, highest) as ssl.TLSVersion."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    if versions:
        context.minimum_version, context.maximum_version = versions
    if pair:
        context.load_cert_chain(pair.file)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def connect(port, host, context=None, seconds=10):
    """A TLS connection whose handshake is done as far as the client sees it."""
    raw = socket.create_connection(("127.0.0.1", port), seconds)
    try:
        return (context or client_context()).wrap_socket(raw, server_hostname=host)
    except BaseException:
        raw.close()
        raise


def ask(tls, request):
    """Sends, and reads one answer, or to the end if it has no length."""
    tls.sendall(request)
    answer = b""
    while not is_whole(answer) and (data := tls.recv(65536)):
        answer += data
    return answer


def is_whole(answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return length is not None and len(body) >= int(length[1])


def http_get(port, host, target="/hello", context=None, authority=None):
    """The bytes of an answer; ssl.SSLError when the handshake is refused, in TLS 1.3 also later."""
    with connect(port, host, context) as tls:
        return ask(tls, f"GET {target} HTTP/1.1\r\nhost: {authority or host}\r\n"
                        "connection: close\r\n\r\n".encode())


def alert_of(attempt):
    """The alert that the server sent, as OpenSSL names it: 'bad certificate'."""
    try:
        answer = attempt()
    except ssl.SSLError as e:
        reason = (e.reason or "").lower()
        return reason.partition("alert_")[2].replace("_", " ") or reason
    raise AssertionError(f"no alert but {answer[:200]}")
