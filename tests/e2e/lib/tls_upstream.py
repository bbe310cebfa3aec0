"""A TLS server with a certificate of its own, for what passes through the gateway unread."""

import json
import socket
import ssl
import subprocess
import threading


class Certificates:
    """An authority, and what it signs, as PEM files in `directory`."""

    def __init__(self, directory):
        self.directory = directory
        self.ca = self._make("ca", "/CN=upstream authority")

    def _make(self, name, subject, *args):
        crt, key = self.directory / f"{name}.crt", self.directory / f"{name}.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", subject,
                        "-keyout", key, "-out", crt, *args], check=True, capture_output=True)
        return crt, key

    def issue(self, name, *hosts):
        """(certificate, key) for these hosts, with `name` as common name."""
        crt, key = self.ca
        names = ",".join(f"DNS:{host}" for host in hosts or [name])
        return self._make(name.replace("*", "_"), f"/CN={name}", "-CA", crt, "-CAkey", key,
                          "-addext", f"subjectAltName={names}",
                          "-addext", "basicConstraints=critical,CA:FALSE")


class TlsUpstream:
    """Tells each client in one line of JSON what it saw of it, then sends back what comes."""

    def __init__(self, pair, client_ca=None, versions=None):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*pair)
        if versions:
            self.context.minimum_version, self.context.maximum_version = versions
        if client_ca:
            self.context.load_verify_locations(client_ca)
            self.context.verify_mode = ssl.CERT_REQUIRED
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.failures = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        sock.settimeout(20)
        try:
            with self.context.wrap_socket(sock, server_side=True) as tls:
                tls.sendall(json.dumps(self._seen(tls)).encode() + b"\n")
                while data := tls.recv(65536):
                    if data.endswith(b"bye\n"):
                        break
                    tls.sendall(data)
                tls.unwrap()
        except OSError as e:
            self.failures.append(e)

    @staticmethod
    def _seen(tls):
        cert = tls.getpeercert() or {}
        names = [value for part in cert.get("subject", ()) for key, value in part
                 if key == "commonName"]
        return {"reused": bool(tls.session_reused), "version": tls.version(),
                "client": names[0] if names else None}
