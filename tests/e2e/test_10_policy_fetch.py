"""Actions that ask other servers: http-request, and jwt-validation with its key sets."""

import base64
import gzip
import hashlib
import hmac
import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lib.policy import (Guarded, answer_with, merge, on_request, on_response, problems, result_of)
from lib.ports import free_port
from lib.wait import wait_until

SETTINGS = {"http_request": {"allow": ["127.0.0.1/32", "*.localhost"]},
            "extra_suffixes": ["localhost"]}


@pytest.fixture
def guarded(scene):
    return lambda document, **kw: Guarded(scene, document, **kw)


def failed(response, number, status=500):
    assert (response.status, response.error_code) == (status, f"ERR_SALLYPORT_{number}"), response
    return True


URL = {"url": "https://authz.example"}
TOKENS = {"tokens": [{"type": "jwt", "method": "header", "name": "authorization",
                      "prefix": "Bearer "}]}
JWS = {"allowed_algorithms": ["RS256"],
       "keys": {"sources": {"additional_jkus": ["https://login.example/keys"]}}}
JWT = {"issuer": {"allow_list": [{"value": "https://login.example/"}]}, "http": TOKENS, "jws": JWS}


def algorithms(*names):
    return {**JWT, "jws": {**JWS, "allowed_algorithms": list(names)}}


def jkus(*urls):
    return {**JWT, "jws": {**JWS, "keys": {"sources": {"additional_jkus": list(urls)}}}}


def token(**changes):
    return {**JWT, "http": {"tokens": [{**TOKENS["tokens"][0], **changes}]}}


@pytest.mark.parametrize("action, config, number", [
    ("http-request", {}, 2234),
    ("http-request", {"url": "ftp://a.example"}, 2226),
    ("http-request", {**URL, "method": "HEAD"}, 2222),
    ("http-request", {**URL, "query_params": 33 * [{"key": "a", "value": "b"}]}, 2244),
    ("http-request", {**URL, "query_params": 32 * [{"key": "a", "value": "b"}]}, None),
    ("http-request", {**URL, "query_params": [{"key": "a" * 129, "value": "b"}]}, 2245),
    ("http-request", {**URL, "query_params": [{"key": "a", "value": "b" * 8193}]}, 2246),
    ("http-request", {**URL, "headers": {f"x-{i}": "1" for i in range(11)}}, 2212),
    ("http-request", {**URL, "headers": {"sallyport-req-id": "1"}}, 2219),
    ("http-request", {**URL, "body": "${"}, 2224),
    ("http-request", {**URL, "max_redirects": 6}, 2215),
    ("http-request", {**URL, "timeout": "999ms"}, 2215),
    ("http-request", {**URL, "timeout": "31s"}, 2225),
    ("http-request", {**URL, "retry_condition": "attempts <"}, 2200),
    ("http-request", {**URL, "retry_condition": "attempts + 1"}, 2200),
    ("http-request", {**URL, "on_error": "ignore"}, 2222),
    ("jwt-validation", JWT, None),
    ("jwt-validation", {**JWT, "issuer": {"allow_list": []}}, 2234),
    ("jwt-validation", {**JWT, "issuer": {"allow_list": [{"value": "nobody"}]}}, 7173),
    ("jwt-validation", {**JWT, "issuer": {"allow_list": 2 * [{"value": "https://a/"}]}}, 2231),
    ("jwt-validation", {**JWT, "audience": {"allow_list": []}}, 2234),
    ("jwt-validation", {**JWT, "audience": {"allow_list": 2 * [{"value": "a"}]}}, 2231),
    ("jwt-validation", {**JWT, "http": {"tokens": []}}, 2234),
    ("jwt-validation", {**JWT, "http": {"tokens": 2 * TOKENS["tokens"]}}, 2231),
    ("jwt-validation", token(type="saml"), 2222),
    ("jwt-validation", token(method="query"), 2222),
    ("jwt-validation", algorithms(), 2234),
    ("jwt-validation", algorithms("none"), 2222),
    ("jwt-validation", algorithms("HS256"), 2222),
    ("jwt-validation", algorithms("RS256", "RS256"), 2231),
    ("jwt-validation", algorithms("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256",
                                  "ES384", "ES512", "EdDSA"), None),
    ("jwt-validation", jkus(), 2234),
    ("jwt-validation", jkus("keys.json"), 2226),
    ("jwt-validation", jkus("https://a/", "https://a/"), 2231),
    ("jwt-validation", {**JWT, "jws": {**JWS, "keys": [{"sources": [{"additional_jkus": [
        "https://a/"]}], "identification": [{"token_claims": ["kid"]}]}]}}, None),
    ("jwt-validation", {**JWT, "jws": {**JWS, "keys": {
        **JWS["keys"], "identification": {"token_claims": ["x5t"]}}}}, 2222),
])
def test_configuration(action, config, number):
    assert problems(on_request((action, config))) == ([number] if number else [])


# ---- http-request ----


@pytest.fixture
def other(scene):
    """The server that is asked."""
    other = scene.app(name="other")
    other.url = f"http://127.0.0.1:{other.port}"
    return other


def asks(url, **config):
    return on_request(("http-request", {"url": url, **config}))


def asked(guarded, url, phase="on_http_request", request=None, **config):
    """The result variables of one http-request."""
    g = guarded(merge(asks(url, **config), result_of("http_request", phase)))
    answer = g.request("/path?q=a%20b", **(request or {}))
    assert answer.status == 200, answer
    return json.loads(answer.text)


def test_http_request(guarded, other):
    """What is sent, and what expressions see of it."""
    result = asked(guarded, other.url + "/echo?first=${req.method}", method="POST",
                   headers={"X-Where": "${req.url.path}", "content-type": "text/x"},
                   query_params=[{"key": "q", "value": "${req.url.query}"},
                                 {"key": "a&b", "value": "é "}],
                   body="<${conn.client_ip}>",
                   request={"headers": [("Authorization", "secret"), ("Cookie", "a=b")]})
    sent = result["req"]
    url = other.url + "/echo?first=GET&q=q%3Da%2520b&a%26b=%C3%A9%20"
    assert sent["url"] in (url, url[:-3] + "+")
    assert (sent["method"], sent["body"]) == ("POST", "<127.0.0.1>")
    assert sent["header"]["x-where"] == ["/path"]
    got = result["res"]
    assert (got["status_code"], got["resolved_ip"]) == (200, "127.0.0.1")
    assert got["header"]["content-type"] == ["application/json"]
    assert re.fullmatch(r"\d+(\.\d+)?", got["time_ms"])
    assert result["error"] == {"code": "", "message": ""}
    assert len(result["attempts"]) == 1
    attempt = result["attempts"][0]
    assert (attempt["response_status_code"], attempt["resolved_ip"]) == (200, "127.0.0.1")
    assert "body" not in attempt and "response_time_ms" in attempt
    seen = json.loads(got["body"])
    headers = {n.lower(): v for n, v in seen["headers"]}
    assert other.url + seen["target"] == sent["url"]
    assert (headers["x-where"], headers["content-type"]) == ("/path", "text/x")
    assert (headers["user-agent"], headers["x-forwarded-for"]) == ("sallyport", "127.0.0.1")
    assert headers["sallyport-req-type"] == "http-request" and headers["sallyport-req-id"]
    assert headers["host"] == f"127.0.0.1:{other.port}"
    assert "authorization" not in headers and "cookie" not in headers
    assert seen["sha256"] == hashlib.sha256(b"<127.0.0.1>").hexdigest()


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"])
def test_http_request_methods(guarded, other, method):
    result = asked(guarded, other.url + "/echo", method=method)
    assert json.loads(result["res"]["body"])["method"] == method == result["req"]["method"]


def test_http_request_in_the_response_phase(guarded, other):
    g = guarded(on_response(
        ("http-request", {"url": other.url + "/echo", "method": "PUT",
                          "body": "${res.status_code}"}),
        ("add-headers", {"headers": {
            "x-length": "${json.decode(actions.ngrok.http_request.res.body)['length']}"}})))
    answer = g.request("/hello")
    assert (answer.text, answer.header("x-length")) == ("hello from app\n", "3")


def test_http_request_decides(guarded, other):
    """A status is no failure; rules look at it. Bodies wait meanwhile."""
    g = guarded(merge(
        asks(other.url + "/status/${req.url.query}"),
        on_request(("deny", {"status_code": 401}),
                   expressions=["actions.ngrok.http_request.res.status_code != 204"])))
    with g.conn() as conn:
        assert conn.request("POST", "/upload?500", [], b"x" * 300_000).status == 401
    with g.conn() as conn:
        answer = conn.request("POST", "/upload?204", [], b"x" * 300_000)
        assert answer.text.startswith("300000 ")


def failure(guarded, url, number, status, **config):
    """As a result of a policy that goes on, and as the answer of one that does not."""
    g = guarded(merge(asks(url, **config), answer_with(
        "json.encode([actions.ngrok.http_request.error, actions.ngrok.http_request.res.status_code,"
        " size(actions.ngrok.http_request.attempts)])")))
    error, got, attempts = json.loads(g.request("/").text)
    assert re.fullmatch(rf"ERR_(NGROK|SALLYPORT)_{number}", error["code"]) and error["message"]
    assert attempts == 1
    g = guarded(asks(url, on_error="halt", **config))
    assert failed(g.request("/hello"), number, status)
    assert not g.app.seen
    return got


@pytest.mark.parametrize("host", ["127.0.0.2", "[::1]", "10.0.0.1", "0.0.0.0", "2130706434",
                                  "[::ffff:127.0.0.2]", "169.254.169.254"])
def test_http_request_to_where_it_may_not(guarded, other, host):
    assert failure(guarded, f"http://{host}:{other.port}/hello", 3600, 502) == 0
    assert not other.seen


def test_http_request_without_permission(scene, guarded, other):
    scene.start_gateway({"http_request": None})
    failure(guarded, other.url + "/hello", 3600, 502)
    assert not other.seen


def test_http_request_that_cannot_connect(guarded):
    failure(guarded, f"http://127.0.0.1:{free_port()}/", 3600, 502)


def test_http_request_to_a_name(guarded, other):
    """A name that is allowed does not open the private address it leads to; the address does."""
    result = asked(guarded, f"http://some.localhost:{other.port}/hello")
    assert result["res"]["body"] == "hello from other\n"


def redirects(app):
    def hop(conn, request):
        app.skip(conn, request)
        left = int(request.target.partition("?")[2])
        conn.respond(b"", "302 Found", [f"Location: {f'/hop?{left - 1}' if left else '/echo'}"])

    app.route("/hop", hop)


def test_http_request_redirects(guarded, other):
    redirects(other)
    result = asked(guarded, other.url + "/hop?4", max_redirects=5)
    assert result["res"]["status_code"] == 200
    assert json.loads(result["res"]["body"])["target"] == "/echo"
    failure(guarded, other.url + "/hop?5", 3214, 502, max_redirects=5)
    failure(guarded, other.url + "/hop?0", 3214, 502)


def test_http_request_redirect_to_where_it_may_not(guarded, other):
    def away(conn, request):
        other.skip(conn, request)
        conn.respond(b"", "302 Found", [f"Location: http://127.0.0.2:{other.port}/hello"])

    other.route("/away", away)
    failure(guarded, other.url + "/away", 3600, 502, max_redirects=5)
    assert {r.target for r in other.seen} == {"/away"}


def test_http_request_that_takes_too_long(guarded, other):
    """The time is for all of it."""
    over = threading.Event()

    def hang(conn, request):
        over.wait(10)
        return False

    other.route("/hang", hang)
    g = guarded(merge(asks(other.url + "/hang", timeout="1s", on_error="halt",
                           retry_condition="true")))
    start = time.monotonic()
    assert failed(g.request("/hello"), 3602, 504)
    assert 0.9 < time.monotonic() - start < 5
    over.set()


@pytest.mark.parametrize("encoded", [False, True])
def test_http_request_size(guarded, other, encoded):
    """256 KiB, decoded."""

    def page(conn, request):
        other.skip(conn, request)
        body = b"x" * int(request.target.partition("?")[2])
        conn.respond(gzip.compress(body) if encoded else body,
                     headers=["Content-Encoding: gzip"] if encoded else [])

    other.route("/x", page)
    g = guarded(merge(asks(other.url + f"/x?{256 * 1024}"),
                      answer_with("string(size(actions.ngrok.http_request.res.body))")))
    assert g.request("/").text == str(256 * 1024)
    failure(guarded, other.url + f"/x?{256 * 1024 + 1}", 3601, 502)


def test_http_request_retries(guarded, other):
    """As long as the condition holds, three more times at most."""
    count = iter(range(100))

    def page(conn, request):
        other.skip(conn, request)
        conn.respond(b"%d" % (n := next(count)), "200 OK" if n % 10 >= 2 else "503 Busy")

    other.route("/x", page)
    result = asked(guarded, other.url + "/x",
                   retry_condition="last_attempt.res.status_code >= 500")
    assert [a["response_status_code"] for a in result["attempts"]] == [503, 503, 200]
    assert result["res"]["body"] == "2"
    ids = [r.header("sallyport-req-id") for r in other.seen]
    assert len(set(ids)) == 3
    result = asked(guarded, other.url + "/x", retry_condition="true")
    assert len(result["attempts"]) == 4
    result = asked(guarded, other.url + "/x",
                   retry_condition="attempts < 2 && last_attempt.res.statusCode == 200")
    assert len(result["attempts"]) == 2
    result = asked(guarded, f"http://127.0.0.1:{free_port()}/",
                   retry_condition="last_attempt.error != ''")
    assert len(result["attempts"]) == 4 and result["error"]["code"]


def test_http_request_body_that_fails(guarded, other):
    """What is sent cannot be computed: an error of the policy, whatever on_error says."""
    g = guarded(asks(other.url + "/hello", method="POST", body="${req.headers['none'][0]}"))
    answer = g.request("/hello")
    assert answer.status == 500 and not other.seen and not g.app.seen


def loop(scene, *first):
    """A policy that asks its own endpoint, which asks ...: what the first visitor gets."""
    gateway = scene.start_gateway({**SETTINGS, "limits": {"keepalive_timeout_ms": 1000}})
    host = f"{scene.name()}.localhost"
    g = Guarded(scene, merge(
        *first, asks(f"http://{host}:{gateway.http_port}/again"),
        answer_with("actions.ngrok.http_request.error.code + "
                    "actions.ngrok.http_request.res.body + '<'")), host=host, port=80)
    text = g.request("/first").text
    assert not g.app.seen
    return text


def test_http_request_loop(scene):
    """The fourth is one too many."""
    assert re.fullmatch(r"ERR_(NGROK|SALLYPORT)_3603<<<<", loop(scene))
    events = scene.gateway.entries
    wait_until(lambda: len(events(event="http_request_complete")) == 4, "four events")


def test_http_request_loop_that_hides(scene):
    """A policy cannot take away the count of hops, be it refused or without effect."""
    hides = on_request(("remove-headers", {"headers": ["sallyport-req-hops"]}))
    if problems(hides) != [2219]:
        assert re.fullmatch(r"ERR_(NGROK|SALLYPORT)_3603<<<<", loop(scene, hides))


def test_many_http_requests_at_once(guarded, other):
    g = guarded(merge(asks(other.url + "/echo?${req.url.query}"), answer_with(
        "json.decode(actions.ngrok.http_request.res.body)['target']")))

    def ask(i):
        with g.conn() as conn:
            return all(conn.get(f"/?{i}-{j}").text == f"/echo?{i}-{j}" for j in range(5))

    with ThreadPoolExecutor(20) as pool:
        assert all(pool.map(ask, range(20)))


def test_too_many_http_requests(scene, other):
    """policy_fetches_max: more fail at once, and later ones work again."""
    scene.start_gateway({**SETTINGS, "workers": 1, "limits": {"policy_fetches_max": 2}})
    g = Guarded(scene, asks(other.url + "/wait", on_error="halt", timeout="20s"))
    go_on = threading.Event()

    def wait(conn, request):
        other.skip(conn, request)
        go_on.wait(15)
        conn.respond(b"")

    other.route("/wait", wait)
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(g.request, "/hello") for _ in range(2)]
        while len(other.seen) < 2:
            time.sleep(0.01)
        answer = g.request("/hello")
        assert answer.status in (502, 503) and answer.error_code
        go_on.set()
        assert [w.result().status for w in waiting] == [200, 200]
    assert g.request("/hello").status == 200


# ---- jwt-validation ----

ISSUER = "https://login.example/"


def b64(data):
    data = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def integer(n, size=None):
    return b64(n.to_bytes(size or (n.bit_length() + 7) // 8, "big"))


class Signer:
    """A private key of the issuer, with its public half as a JWK."""

    CURVES = {"ES256": (ec.SECP256R1, "P-256", 32, hashes.SHA256),
              "ES384": (ec.SECP384R1, "P-384", 48, hashes.SHA384),
              "ES512": (ec.SECP521R1, "P-521", 66, hashes.SHA512)}
    HASHES = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}

    def __init__(self, alg, kid):
        self.alg = alg
        self.kid = kid
        if alg in self.CURVES:
            curve, name, size, self.hash = self.CURVES[alg]
            self.size = size
            self.key = ec.generate_private_key(curve())
            n = self.key.public_key().public_numbers()
            self.jwk = {"kty": "EC", "crv": name, "x": integer(n.x, size), "y": integer(n.y, size)}
        elif alg == "EdDSA":
            self.key = ed25519.Ed25519PrivateKey.generate()
            raw = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
            self.jwk = {"kty": "OKP", "crv": "Ed25519", "x": b64(raw)}
        else:
            self.key = rsa.generate_private_key(65537, 2048)
            n = self.key.public_key().public_numbers()
            self.jwk = {"kty": "RSA", "n": integer(n.n), "e": integer(n.e)}
        if kid:
            self.jwk["kid"] = kid

    def sign(self, data, alg):
        if alg in self.CURVES:
            r, s = decode_dss_signature(self.key.sign(data, ec.ECDSA(self.hash())))
            return r.to_bytes(self.size, "big") + s.to_bytes(self.size, "big")
        if alg == "EdDSA":
            return self.key.sign(data)
        digest = self.HASHES[alg[2:]]()
        return self.key.sign(data, padding.PSS(padding.MGF1(digest), digest.digest_size)
                             if alg.startswith("PS") else padding.PKCS1v15(), digest)

    def token(self, header=None, **claims):
        head = {"alg": self.alg, "typ": "JWT", **({"kid": self.kid} if self.kid else {}),
                **(header or {})}
        body = {"iss": ISSUER, "aud": "api", "exp": int(time.time()) + 600, **claims}
        text = f"{b64({k: v for k, v in head.items() if v is not None})}." \
               f"{b64({k: v for k, v in body.items() if v is not None})}"
        return f"{text}.{b64(self.sign(text.encode(), head['alg']))}"


@pytest.fixture(scope="module")
def signer():
    made = {}

    def get(alg, kid="one"):
        if (alg, kid) not in made:
            made[alg, kid] = Signer(alg, kid)
        return made[alg, kid]

    return get


class KeySet:
    """Serves a JWKS."""

    def __init__(self, app):
        self.app = app
        self.keys = []
        self.url = f"http://127.0.0.1:{app.port}/keys"
        self.status = "200 OK"
        app.route("/keys", self._serve)

    def _serve(self, conn, request):
        self.app.skip(conn, request)
        conn.respond(json.dumps({"keys": self.keys}).encode(), self.status,
                     ["Content-Type: application/json"])


@pytest.fixture
def key_set(scene):
    return KeySet(scene.app())


def validates(key_set, *algs, **changes):
    config = {"issuer": {"allow_list": [{"value": ISSUER}, {"value": "urn:${req.host}"}]},
              "audience": {"allow_list": [{"value": "api"}, {"value": "web"}]}, "http": TOKENS,
              "jws": {"allowed_algorithms": list(algs),
                      "keys": {"sources": {"additional_jkus": [key_set.url]}}}, **changes}
    return on_request(("jwt-validation", {k: v for k, v in config.items() if v is not None}))


def bearer(text):
    return [("Authorization", "Bearer " + text)]


ALL = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")


def test_jwt_algorithms(guarded, key_set, signer):
    """Each algorithm by its own key, with one fetch of the key set for a worker at most."""
    made = {}
    for alg in ALL:
        made[alg] = signer("RS256", "rsa") if alg[:2] in ("RS", "PS") else signer(alg, alg)
    key_set.keys = [s.jwk for s in {id(s): s for s in made.values()}.values()]
    g = guarded(validates(key_set, *ALL))
    with g.conn() as conn:
        for alg, one in made.items():
            text = one.token({"alg": alg})
            answer = conn.get("/echo", bearer(text))
            assert answer.status == 200, (alg, answer)
            assert ["authorization", "Bearer " + text] in [
                [n.lower(), v] for n, v in json.loads(answer.text)["headers"]]
            head, body, signature = text.split(".")
            flipped = signature[:10] + ("A" if signature[10] != "A" else "B") + signature[11:]
            assert failed(conn.get("/hello", bearer(f"{head}.{body}.{flipped}")), 3401, 401)
    assert len(key_set.app.seen) == 1


def test_jwt_refusals(guarded, key_set, signer):
    one, stranger = signer("RS256"), signer("RS256", "two")
    key_set.keys = [one.jwk, signer("ES256", "ec").jwk]
    now = int(time.time())
    g = guarded(validates(key_set, "RS256", "ES256"))
    pem = one.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def confused(secret):
        text = f"{b64({'alg': 'HS256', 'kid': 'one'})}.{b64({'iss': ISSUER, 'aud': 'api'})}"
        return f"{text}.{b64(hmac.new(secret, text.encode(), 'sha256').digest())}"

    good = one.token()
    head, body, signature = good.split(".")
    unsigned = f"{b64({'alg': 'none'})}.{body}."
    with g.conn() as conn:
        for given, code, status in (
                ([], 3408, 401),
                ([("Authorization", good)], 3413, 401),
                ([("Authorization", "bearer " + good)], 3413, 401),
                (bearer("nonsense"), 3416, 401), (bearer("a.b.c"), 3416, 401),
                (bearer(good + ".x.y"), 3416, 401), (bearer(head + "." + body), 3416, 401),
                (bearer(unsigned), 3401, 401), (bearer(unsigned + signature), 3401, 401),
                (bearer(confused(pem)), 3401, 401), (bearer(confused(b"")), 3401, 401),
                (bearer(one.token({"alg": "PS256"})), 3401, 401),
                (bearer(one.token(iss="https://login.example")), 3403, 403),
                (bearer(one.token(iss=None)), 3403, 403),
                (bearer(one.token(aud="other")), 3403, 403),
                (bearer(one.token(aud=None)), 3403, 403),
                (bearer(one.token(aud=[])), 3403, 403),
                (bearer(one.token(exp=now - 61)), 3401, 401),
                (bearer(one.token(exp="soon")), 3416, 401),
                (bearer(one.token(nbf=now + 90)), 3401, 401),
                (bearer(stranger.token({"kid": "one"})), 3401, 401),
                (bearer(signer("ES256", "ec").token({"kid": "one"})), 3401, 401),
                (bearer(f"{head}.{b64({'iss': ISSUER, 'aud': 'api', 'sub': 'x'})}.{signature}"),
                 3401, 401)):
            answer = conn.get("/hello", given)
            assert (answer.status, answer.error_code) == (status, f"ERR_SALLYPORT_{code}"), given
        assert not g.app.seen
        for text in (good, one.token(aud=["x", "web"]), one.token(exp=now - 30),
                     one.token(nbf=now + 30), one.token({"kid": None}),
                     one.token(iss=f"urn:{conn.authority}"),
                     signer("ES256", "ec").token({"kid": None})):
            assert conn.get("/hello", bearer(text)).status == 200, text


def test_jwt_results(guarded, key_set, signer):
    key_set.keys = [signer("EdDSA").jwk]
    g = guarded(merge(validates(key_set, "EdDSA"), result_of("jwt_validation")))
    text = signer("EdDSA").token(sub="ann", roles=["a", "b"])
    result = json.loads(g.request("/", bearer(text)).text)
    assert result["error"] == {"code": "", "message": ""}
    (found,) = result["tokens"]
    assert found["header"] == {"alg": "EdDSA", "typ": "JWT", "kid": "one"}
    assert (found["payload"]["sub"], found["payload"]["roles"]) == ("ann", ["a", "b"])
    assert found["signature"].rstrip("=") in (text.split(".")[2], base64.b64encode(
        base64.urlsafe_b64decode(text.split(".")[2] + "==")).decode().rstrip("="))
    assert (found["location"], found["location_property"].lower()) == ("header", "authorization")
    assert found["verified"] is True


def test_jwt_without_audience(guarded, key_set, signer):
    key_set.keys = [signer("EdDSA").jwk]
    g = guarded(validates(key_set, "EdDSA", audience=None))
    assert g.request("/hello", bearer(signer("EdDSA").token(aud=None))).status == 200


def places(*tokens):
    return {"tokens": [{"type": kind, "method": method, "name": name}
                       for kind, method, name in tokens]}


def test_jwt_in_bodies(guarded, key_set, signer):
    key_set.keys = [signer("EdDSA").jwk]
    g = guarded(validates(key_set, "EdDSA", http=places(("plain", "body", "token"))))
    text = signer("EdDSA").token()
    form, document = "application/x-www-form-urlencoded", "application/json; charset=utf-8"
    for method, kind, body, code, status in (
            ("POST", document, {"x": 1, "token": text}, None, 200),
            ("PUT", form, f"x=%20&token={text}", None, 200),
            ("PATCH", "application/json", {"TOKEN": text}, None, 200),
            ("POST", document, {"x": 1}, 3406, 401), ("POST", form, "x=1", 3406, 401),
            ("POST", document, "{", 3411, 400), ("POST", "text/plain", "x", 3414, 400),
            ("DELETE", document, {"token": text}, 3415, 400)):
        data = body if isinstance(body, str) else json.dumps(body)
        answer = g.request("/upload", [("Content-Type", kind)], method, data.encode())
        assert answer.status == status, (answer, body)
        if code:
            assert answer.error_code == f"ERR_SALLYPORT_{code}"
        else:
            assert answer.text.split()[0] == str(len(data))
    with g.conn() as conn:
        answer = conn.request("POST", "/upload", [("Content-Type", form)], b"x" * (1 << 20 | 1))
        assert answer.status == 413


def test_jwt_several_tokens(guarded, key_set, signer):
    """All must be there and good; what a type says of `typ` is checked."""
    key_set.keys = [signer("EdDSA").jwk]
    g = guarded(merge(validates(key_set, "EdDSA", http=places(
        ("access_token", "header", "X-Access"), ("at+jwt", "header", "x-at"))),
        answer_with("json.encode(actions.ngrok.jwt_validation.tokens.map(t, "
                    "[t.payload.sub, t.location_property.lowerAscii()]))")))
    one = signer("EdDSA")
    a, b = one.token(sub="a"), one.token({"typ": "at+jwt"}, sub="b")
    answer = g.request("/", [("x-ACCESS", a), ("X-At", b)])
    assert json.loads(answer.text) == [["a", "x-access"], ["b", "x-at"]]
    assert failed(g.request("/", [("x-access", a)]), 3408, 401)
    assert g.request("/", [("x-access", a), ("x-at", one.token({"typ": "it+jwt"}))]).status == 401
    assert failed(g.request("/", [("x-access", a), ("x-at", b[:-6] + "AAAAAA")]), 3401, 401)


def test_jwt_key_rotation(guarded, key_set, signer):
    """A key that is not known yet makes the set be fetched again, but not for every such token."""
    old, new = signer("ES256", "old"), signer("ES256", "new")
    key_set.keys = [old.jwk]
    g = guarded(validates(key_set, "ES256"))
    assert g.request("/hello", bearer(old.token())).status == 200
    key_set.keys = [new.jwk]
    assert g.request("/hello", bearer(new.token())).status == 200
    fetched = len(key_set.app.seen)
    for i in range(6):
        assert g.request("/hello", bearer(new.token({"kid": f"unknown-{i}"}))).status == 401
        assert g.request("/hello", bearer(new.token())).status == 200
    assert len(key_set.app.seen) <= fetched + 2


def test_jwt_without_keys(guarded, key_set, signer):
    """A key set that cannot be had, is none, or has nothing in it."""
    key_set.status = "500 Broken"
    g = guarded(validates(key_set, "EdDSA"))
    assert failed(g.request("/hello", bearer(signer("EdDSA").token())), 3422, 503)
    key_set.status = "200 OK"
    key_set.app.route("/text", lambda conn, request: conn.respond(b"no json"))
    for url in (key_set.url + "/../text", f"http://127.0.0.1:{free_port()}/",
                f"http://127.0.0.2:{key_set.app.port}/keys"):
        g = guarded(validates(key_set, "EdDSA", jws={
            "allowed_algorithms": ["EdDSA"], "keys": {"sources": {"additional_jkus": [url]}}}))
        assert failed(g.request("/hello", bearer(signer("EdDSA").token())), 3422, 503)
    other = KeySet(g.scene.app())
    g = guarded(validates(other, "EdDSA"))
    assert failed(g.request("/hello", bearer(signer("EdDSA").token())), 3401, 401)


def test_jwt_key_sets_in_order(guarded, scene, key_set, signer):
    """The second set has the key; URLs may be computed."""
    second = KeySet(scene.app())
    key_set.keys, second.keys = [signer("EdDSA", "a").jwk], [signer("EdDSA", "b").jwk]
    g = guarded(validates(key_set, "EdDSA", jws={"allowed_algorithms": ["EdDSA"], "keys": {
        "sources": {"additional_jkus": [key_set.url, second.url + "${'?x=1'}"]}}}))
    for kid in ("a", "b"):
        assert g.request("/hello", bearer(signer("EdDSA", kid).token())).status == 200
    assert second.app.seen[0].target == "/keys?x=1"


def test_jwt_visitors_leave_while_keys_come(guarded, key_set, signer):
    """Nobody waits for the key set any more when it arrives; it serves those that come later."""
    key_set.keys = [signer("ES256").jwk]
    go_on = threading.Event()
    asked = []

    def slow(conn, request):
        asked.append(request)
        go_on.wait(10)
        conn.respond(json.dumps({"keys": key_set.keys}).encode())

    key_set.app.route("/keys", slow)
    g = guarded(validates(key_set, "ES256"))
    given = bearer(signer("ES256").token())
    conns = [g.conn() for _ in range(10)]
    for conn in conns:
        conn.send(conn.request_bytes("GET", "/hello", given))
    wait_until(lambda: asked, "a fetch of the key set")
    g.scene.gateway.wait_gauge("sallyport_exchanges", 10)
    for conn in conns:
        conn.reset()
    g.scene.gateway.wait_gauge("sallyport_exchanges", 0)
    go_on.set()
    assert g.request("/hello", given).status == 200
    assert len(g.app.seen) == 1


def test_jwt_many_at_once(guarded, key_set, signer):
    """Fifty visitors that come first share one fetch of each worker."""
    key_set.keys = [signer("ES256").jwk]
    g = guarded(validates(key_set, "ES256"))
    text = signer("ES256").token()
    with ThreadPoolExecutor(25) as pool:
        assert set(pool.map(lambda i: g.request("/hello", bearer(text)).status, range(50))) == {200}
    assert len(key_set.app.seen) <= 2
