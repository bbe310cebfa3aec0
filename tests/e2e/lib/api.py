"""The management API of a gateway, called with plain http.client."""

import http.client
import json
import subprocess
import time

from lib.gateway import BINARY

#: Well before the gateway ends a connection between two requests (gateway/admin.h).
IDLE_SECONDS = 30


def apikey(gateway, *options):
    """`sallyport apikey create`; returns the finished process."""
    return subprocess.run([*gateway.enter, BINARY, "apikey", "create", "-c", gateway.config_file,
                           *options], capture_output=True, text=True, timeout=60, check=False)


def new_token(gateway, *options):
    done = apikey(gateway, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        text = response.read()
        self.body = json.loads(text) if text else None

    @property
    def code(self):
        return (self.body or {}).get("error_code")

    def __getitem__(self, name):
        return self.body[name]


class Api:
    """One caller on one connection, which is kept alive while it is used."""

    def __init__(self, gateway, token):
        self.base = f"http://127.0.0.1:{gateway.admin_port}"
        self.token = token
        self.conn = http.client.HTTPConnection("127.0.0.1", gateway.admin_port, timeout=30)
        self.used = time.monotonic()

    def call(self, method, path, body=None, **headers):
        fields = {"authorization": f"Bearer {self.token}", "ngrok-version": "2"}
        if body is not None:
            fields["content-type"] = "application/json"
            body = body if isinstance(body, (str, bytes)) else json.dumps(body)
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        fields = {name: value for name, value in fields.items() if value is not None}
        if time.monotonic() - self.used > IDLE_SECONDS:
            self.conn.close()  # the next request opens another
        self.conn.request(method, path, body, fields)
        answer = Answer(self.conn.getresponse())
        self.used = time.monotonic()
        return answer

    def create(self, path, **body):
        answer = self.call("POST", path, body)
        assert answer.status == 201, answer.body
        return answer.body

    def close(self):
        self.conn.close()
