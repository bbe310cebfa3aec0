"""verify-webhook: what providers sign passes to the upstream, and nothing else."""

import base64
import hashlib
import hmac
import json
import time
import urllib.parse
from datetime import datetime, timedelta, timezone

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lib.policy import Guarded, event_of, merge, on_request, problems, result_of

SECRET = "a secret of the test"
BODY = b'{"event": "test", "text": "\xc3\xa9 \\u00e9"}'


@pytest.fixture
def guarded(scene):
    return lambda document, **kw: Guarded(scene, document, **kw)


def refused(response):
    assert (response.status, response.error_code) == (403, "ERR_SALLYPORT_3204"), response
    assert SECRET not in response.text
    return True


def verifies(provider, secret=SECRET, **changes):
    return on_request(("verify-webhook", {
        k: v for k, v in {"provider": provider, "secret": secret, **changes}.items()
        if v is not None}))


def mac(data, secret=SECRET, digest="sha256"):
    secret = secret if isinstance(secret, bytes) else secret.encode()
    data = data if isinstance(data, bytes) else data.encode()
    return hmac.new(secret, data, digest).digest()


def b64(data):
    return base64.b64encode(data).decode()


def iso(seconds):
    when = datetime.fromtimestamp(0, timezone.utc) + timedelta(seconds=seconds)
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize("config, number", [
    ({"provider": "github", "secret": "x"}, None),
    ({"secret": "x"}, 2234), ({"provider": "nobody", "secret": "x"}, 364),
    ({"provider": "github"}, 1627), ({"provider": "github", "secret": ""}, 1627),
    ({"provider": "sendgrid", "secret": "no key"}, None),
    ({"provider": "sns"}, None),
    ({"provider": "github", "secret": "${"}, 2224),
    ({"provider": "github", "secret": "x", "enforce": 3}, 2203),
    ({"provider": "signalsciences", "secret": "x"}, None),
    ({"provider": "sonatype_nexus", "secret": "x"}, None),
    ({"provider": "vmware_workspace", "secret": "user::password"}, None),
])
def test_configuration(config, number):
    assert problems(on_request(("verify-webhook", config))) == ([number] if number else [])
    assert problems(on_request(("webhook-validation", config))) == ([number] if number else [])


# ---- schemes that sign the body ----

#: provider: header, what stands before the signature, its text form, hash
OVER_BODY = {
    "aftership": ("aftership-hmac-sha256", "", b64, "sha256"),
    "alchemy": ("X-Alchemy-Signature", "", bytes.hex, "sha256"),
    "autodesk": ("x-adsk-signature", "sha1hash=", bytes.hex, "sha1"),
    "bitbucket": ("X-Hub-Signature", "sha256=", bytes.hex, "sha256"),
    "bolt": ("X-Bolt-Hmac-Sha256", "", b64, "sha256"),
    "castle": ("X-Castle-Signature", "", b64, "sha256"),
    "chargify": ("X-Chargify-Webhook-Signature-Hmac-Sha-256", "", bytes.hex, "sha256"),
    "circleci": ("circleci-signature", "v1=", bytes.hex, "sha256"),
    "coinbase": ("X-CC-Webhook-Signature", "", bytes.hex, "sha256"),
    "docusign": ("X-DocuSign-Signature-1", "", b64, "sha256"),
    "dropbox": ("X-Dropbox-Signature", "", bytes.hex, "sha256"),
    "facebook_graph_api": ("X-Hub-Signature-256", "sha256=", bytes.hex, "sha256"),
    "facebook_messenger": ("X-Hub-Signature-256", "sha256=", bytes.hex, "sha256"),
    "github": ("X-Hub-Signature-256", "sha256=", bytes.hex, "sha256"),
    "heroku": ("Heroku-Webhook-Hmac-SHA256", "", b64, "sha256"),
    "instagram": ("X-Hub-Signature-256", "sha256=", bytes.hex, "sha256"),
    "intercom": ("X-Hub-Signature", "sha1=", bytes.hex, "sha1"),
    "jira": ("X-Hub-Signature", "sha256=", bytes.hex, "sha256"),
    "launch_darkly": ("X-LD-Signature", "", bytes.hex, "sha256"),
    "modern_treasury": ("X-Signature", "", bytes.hex, "sha256"),
    "mongodb": ("X-MMS-Signature", "", b64, "sha1"),
    "orbit": ("X-Orbit-Signature", "sha256=", bytes.hex, "sha256"),
    "pagerduty": ("X-PagerDuty-Signature", "v1=", bytes.hex, "sha256"),
    "pusher": ("X-Pusher-Signature", "", bytes.hex, "sha256"),
    "sentry": ("Sentry-Hook-Signature", "", bytes.hex, "sha256"),
    "shopify": ("X-Shopify-Hmac-Sha256", "", b64, "sha256"),
    "signal_sciences": ("X-SigSci-Signature", "", bytes.hex, "sha256"),
    "sonatype": ("X-Nexus-Webhook-Signature", "", bytes.hex, "sha1"),
    "terraform": ("X-TFE-Notification-Signature", "", bytes.hex, "sha512"),
    "trendmicro_conformity": ("X-Conformity-Signature", "", bytes.hex, "sha256"),
    "twitter": ("X-Twitter-Webhooks-Signature", "sha256=", b64, "sha256"),
    "typeform": ("Typeform-Signature", "sha256=", b64, "sha256"),
    "webex": ("X-Spark-Signature", "", bytes.hex, "sha1"),
    "whatsapp": ("X-Hub-Signature-256", "sha256=", bytes.hex, "sha256"),
    "worldline": ("X-GCS-Signature", "", b64, "sha256"),
    "xero": ("x-xero-signature", "", b64, "sha256"),
}


@pytest.mark.parametrize("provider", OVER_BODY)
def test_signature_of_the_body(guarded, provider):
    header, prefix, text, digest = OVER_BODY[provider]
    g = guarded(verifies(provider))

    def post(body, signature):
        return conn.request("POST", "/upload", [(header, prefix + signature)], body)

    good = text(mac(BODY, digest=digest))
    with g.conn() as conn:
        answer = post(BODY, good)
        assert answer.text == f"{len(BODY)} {hashlib.sha256(BODY).hexdigest()}"
        assert refused(post(BODY + b" ", good))
        assert refused(post(BODY, text(mac(BODY, "another", digest))))
        assert refused(post(BODY, good[:-4]))
        assert refused(conn.request("POST", "/upload", [], BODY))
        if prefix:
            assert refused(conn.request("POST", "/upload", [(header, good)], BODY))
    assert len(g.app.seen) == 1


# ---- schemes that sign a time as well ----


def stamped(header, form, time_header=None, over="{t}.", text=bytes.hex):
    """form: of the header; over: what stands in front of the body."""

    def sign(t, body, secret=SECRET):
        signature = text(mac(over.format(t=t).encode() + body, secret))
        return [(header, form.format(t=t, s=signature))] + \
            ([(time_header, str(t))] if time_header else [])

    return sign


def svix(prefix):
    def sign(t, body, secret=SECRET):
        key = base64.b64decode("c2VjcmV0IGtleSBvZiBzdml4" if secret == SECRET else secret)
        signature = b64(mac(f"msg_1.{t}.".encode() + body, key))
        return [(f"{prefix}-id", "msg_1"), (f"{prefix}-timestamp", str(t)),
                (f"{prefix}-signature", f"v1,AAAA v1,{signature} v2,x")]

    return sign


def in_milliseconds(sign):
    return lambda t, body, secret=SECRET: sign(t * 1000, body, secret)


def in_iso(sign):
    return lambda t, body, secret=SECRET: sign(iso(t), body, secret)


def box(t, body, secret=SECRET):
    return [("BOX-SIGNATURE-PRIMARY", b64(mac(body + iso(t).encode(), secret))),
            ("BOX-DELIVERY-TIMESTAMP", iso(t))]


WHSEC = "whsec_c2VjcmV0IGtleSBvZiBzdml4"

#: provider: seconds that a signature is good for, secret, how it signs
STAMPED = {
    "airship": (300, SECRET, stamped("X-UA-SIGNATURE", "{s}", "X-UA-TIMESTAMP", "{t}:")),
    "box": (600, SECRET, box),
    "brex": (300, WHSEC, svix("Webhook")),
    "buildkite": (300, SECRET, stamped("X-Buildkite-Signature", "timestamp={t},signature={s}")),
    "calendly": (300, SECRET, stamped("Calendly-Webhook-Signature", "t={t},v1={s}")),
    "clerk": (300, WHSEC, svix("svix")),
    "frameio": (300, SECRET, stamped("X-Frameio-Signature", "v0={s}",
                                     "X-Frameio-Request-Timestamp", "v0:{t}:")),
    "go1": (300, SECRET, stamped("Go1-Signature", "t={t},v1={s}")),
    "hostedhooks": (300, SECRET, stamped("HostedHooks-Signature", "t={t},s={s}")),
    "mux": (300, SECRET, stamped("Mux-Signature", "t={t},v1={s}")),
    "orb": (300, SECRET, in_iso(stamped("X-Orb-Signature", "v1={s}", "X-Orb-Timestamp",
                                        "v1:{t}:"))),
    "pinwheel": (300, SECRET, stamped("x-pinwheel-signature", "v2={s}", "x-timestamp", "v2:{t}:")),
    "slack": (300, SECRET, stamped("X-Slack-Signature", "v0={s}", "X-Slack-Request-Timestamp",
                                   "v0:{t}:")),
    "stripe": (300, SECRET, stamped("Stripe-Signature", "t={t},v1=" + 64 * "0" + ",v1={s},v0=1")),
    "svix": (300, WHSEC, svix("svix")),
    "tiktok": (300, SECRET, stamped("Tiktok-Signature", "t={t},s={s}")),
    "zendesk": (300, SECRET, in_iso(stamped("X-Zendesk-Webhook-Signature", "{s}",
                                            "X-Zendesk-Webhook-Signature-Timestamp", "{t}", b64))),
    "zoom": (300, SECRET, stamped("x-zm-signature", "v0={s}", "x-zm-request-timestamp", "v0:{t}:")),
}


@pytest.mark.parametrize("provider", STAMPED)
def test_signature_with_a_time(guarded, provider):
    """Good for some minutes each way, and for this time only."""
    seconds, secret, sign = STAMPED[provider]
    g = guarded(verifies(provider, secret))
    now = int(time.time())

    def post(given, body=BODY):
        return conn.request("POST", "/upload", given, body)

    with g.conn() as conn:
        for t in (now, now - seconds + 20, now + seconds - 20):
            assert post(sign(t, BODY)).text.startswith(f"{len(BODY)} "), t - now
        for t in (now - seconds - 5, now + seconds + 20, 0):
            assert refused(post(sign(t, BODY))), t - now
        assert refused(post(sign(now, BODY + b" ")))
        assert refused(post(sign(now, BODY, base64.b64encode(b"another").decode())))
        fresh, old = sign(now, BODY), sign(now - 2 * seconds, BODY)
        assert refused(post([*fresh[:-1], old[-1]]))
    assert len(g.app.seen) == 3


# ---- schemes of their own ----


def test_gitlab(guarded):
    g = guarded(verifies("gitlab"))
    with g.conn() as conn:
        for token, good in ((SECRET, True), (SECRET + "x", False), ("", False)):
            answer = conn.request("POST", "/upload", [("X-Gitlab-Token", token)], BODY)
            assert answer.status == 200 if good else refused(answer)


def url_of(g, target):
    return f"https://{g.host}:{g.scene.gateway.https_port}{target}"


@pytest.mark.parametrize("port", ["", ":443", None])
def test_twilio(guarded, port):
    """URL and form, as the public knows the URL; with or without a port."""
    g = guarded(verifies("twilio"))
    port = f":{g.scene.gateway.https_port}" if port is None else port
    url = f"https://{g.host}{port}/upload?a=1"
    form = [("To", "+1 555"), ("Body", "é & co"), ("From", "x"), ("From", "x")]
    signed = url + "".join(n + v for n, v in sorted(set(form)))
    body = urllib.parse.urlencode(form).encode()
    kind = ("Content-Type", "application/x-www-form-urlencoded")
    given = [("X-Twilio-Signature", b64(mac(signed, digest="sha1"))), kind]
    with g.conn() as conn:
        answer = conn.request("POST", "/upload?a=1", given, body)
        assert answer.text.startswith(f"{len(body)} ")
        assert refused(conn.request("POST", "/upload?a=2", given, body))
        assert refused(conn.request("POST", "/upload?a=1", given, body + b"&more=1"))
        target = "/upload?bodySHA256=" + hashlib.sha256(BODY).hexdigest()
        given = [("X-Twilio-Signature", b64(mac(f"https://{g.host}{port}{target}", digest="sha1"))),
                 ("Content-Type", "application/json")]
        assert conn.request("POST", target, given, BODY).status == 200
        assert refused(conn.request("POST", target, given, BODY + b" "))


def test_square(guarded):
    g = guarded(verifies("square"))
    for url in (f"https://{g.host}/upload", url_of(g, "/upload")):
        given = [("X-Square-HmacSha256-Signature", b64(mac(url.encode() + BODY)))]
        if g.request("/upload", given, "POST", BODY).status == 200:
            break
    else:
        raise AssertionError("neither form of the URL")
    assert refused(g.request("/upload?x", given, "POST", BODY))


def test_hubspot(guarded):
    g = guarded(verifies("hubspot"))
    now = int(time.time() * 1000)

    def signed(t, body=BODY):
        text = b"POST" + url_of(g, "/upload").encode() + body + str(t).encode()
        return [("X-HubSpot-Signature-v3", b64(mac(text))),
                ("X-HubSpot-Request-Timestamp", str(t))]

    with g.conn() as conn:
        assert conn.request("POST", "/upload", signed(now), BODY).status == 200
        assert refused(conn.request("POST", "/upload", signed(now - 310_000), BODY))
        assert refused(conn.request("POST", "/upload?x=1", signed(now), BODY))


def test_mailgun(guarded):
    g = guarded(verifies("mailgun"))

    def body(t, token="tok", secret=SECRET):
        return json.dumps({"signature": {"timestamp": str(t), "token": token, "signature": mac(
            f"{t}tok", secret).hex()}, "event-data": {}}).encode()

    now = int(time.time())
    given = [("Content-Type", "application/json")]
    with g.conn() as conn:
        assert conn.request("POST", "/upload", given, body(now)).status == 200
        for bad in (body(now - 1000), body(now, "other"), body(now, secret="x"), b"{", b"[]", b""):
            assert refused(conn.request("POST", "/upload", given, bad))


def test_microsoft_teams(guarded):
    key = b"\x00\x01a key\xff" * 4
    g = guarded(verifies("microsoft_teams", b64(key)))
    with g.conn() as conn:
        given = [("Authorization", "HMAC " + b64(mac(BODY, key)))]
        assert conn.request("POST", "/upload", given, BODY).status == 200
        assert refused(conn.request("POST", "/upload", given, BODY + b" "))


def test_linear(guarded):
    g = guarded(verifies("linear"))
    with g.conn() as conn:
        for age, good in ((0, True), (50, True), (70, False)):
            body = json.dumps({"webhookTimestamp": int((time.time() - age) * 1000)}).encode()
            answer = conn.request("POST", "/upload", [("Linear-Signature", mac(body).hex())], body)
            assert answer.status == 200 if good else refused(answer)


def test_sendgrid(guarded):
    """An elliptic curve in place of a shared secret."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = b64(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    g = guarded(verifies("sendgrid", public))
    now = str(int(time.time()))

    def signed(one, body=BODY):
        return [("X-Twilio-Email-Event-Webhook-Signature",
                 b64(one.sign(now.encode() + body, ec.ECDSA(hashes.SHA256())))),
                ("X-Twilio-Email-Event-Webhook-Timestamp", now)]

    with g.conn() as conn:
        assert conn.request("POST", "/upload", signed(key), BODY).status == 200
        assert refused(conn.request("POST", "/upload", signed(key, b"x"), BODY))
        stranger = ec.generate_private_key(ec.SECP256R1())
        assert refused(conn.request("POST", "/upload", signed(stranger), BODY))


def test_sendgrid_without_a_key(guarded):
    """The document is taken with a warning, and no request is verified."""
    g = guarded(verifies("sendgrid", "no key"))
    given = [("X-Twilio-Email-Event-Webhook-Signature", b64(b"x" * 70)),
             ("X-Twilio-Email-Event-Webhook-Timestamp", str(int(time.time())))]
    answer = g.request("/upload", given, "POST", BODY)
    assert answer.status in (403, 500) and answer.error_code
    assert not g.app.seen


def test_vmware(guarded):
    g = guarded(verifies("vmware", "user::pass word"))
    with g.conn() as conn:
        for pair, good in (("user:pass word", True), ("user::pass word", False), ("user:", False)):
            given = [("Authorization", "Basic " + b64(pair.encode()))]
            answer = conn.request("POST", "/upload", given, BODY)
            assert answer.status == 200 if good else refused(answer)


def test_sns_from_nobody(guarded):
    """A certificate from elsewhere is not even asked for."""
    g = guarded(verifies("sns", None))
    message = {"Type": "Notification", "MessageId": "1", "TopicArn": "arn:aws:sns:eu-1:123:t",
               "Message": "x", "Timestamp": iso(time.time()), "SignatureVersion": "1",
               "Signature": b64(b"x" * 256), "SigningCertURL": "https://evil.example/c.pem"}
    assert refused(g.request("/upload", [], "POST", json.dumps(message).encode()))
    assert refused(g.request("/upload", [], "POST", b"{}"))


# ---- questions of providers ----


def test_twitter_question(guarded):
    g = guarded(verifies("twitter"))
    answer = g.request("/hook?crc_token=abc-123&nonce=1")
    assert answer.status == 200 and answer.header("content-type") == "application/json"
    assert json.loads(answer.text) == {"response_token": "sha256=" + b64(mac("abc-123"))}
    assert refused(g.request("/hook?crc_token=%7B%22a%22%3A1%7D"))
    assert refused(g.request("/hook?crc_token=abc", [], "POST", b""))
    assert not g.app.seen


def test_zoom_question(guarded):
    g = guarded(verifies("zoom"))
    body = json.dumps({"event": "endpoint.url_validation", "payload": {"plainToken": "abc"}},
                      ).encode()
    sign = STAMPED["zoom"][2]
    answer = g.request("/hook", sign(int(time.time()), body), "POST", body)
    assert answer.status == 200
    assert json.loads(answer.text) == {"plainToken": "abc", "encryptedToken": mac("abc").hex()}
    assert refused(g.request("/hook", [], "POST", body))
    assert not g.app.seen


def test_worldline_question(guarded):
    g = guarded(verifies("worldline"))
    answer = g.request("/hook", [("X-GCS-Webhooks-Endpoint-Verification", "abc-1")])
    assert (answer.status, answer.text) == (200, "abc-1")
    assert answer.header("content-type").startswith("text/plain")
    assert refused(g.request("/hook", [("X-GCS-Webhooks-Endpoint-Verification", "<script>")]))


def test_xero_question(guarded):
    g = guarded(verifies("xero"))
    body = b'{"events":[],"firstEventSequence": 0,"lastEventSequence": 0, "entropy": "S0m3r4N3"}'
    for signature, status in ((b64(mac(body)), 200), (b64(mac(body, "x")), 401)):
        answer = g.request("/hook", [("x-xero-signature", signature)], "POST", body)
        assert (answer.status, answer.body) == (status, b"")
    assert not g.app.seen


# ---- the action ----


def signature(body, secret=SECRET):
    return [("X-Hub-Signature-256", "sha256=" + mac(body, secret).hex())]


def test_results(guarded):
    g = guarded(merge(verifies("github", enforce=False), result_of("verify_webhook")))
    with g.conn() as conn:
        result = json.loads(conn.request("POST", "/yes", signature(BODY), BODY).text)
        assert result == {"verified": True, "error": {"code": "", "message": ""}}
        result = json.loads(conn.request("POST", "/no", signature(b"x"), BODY).text)
        assert result["verified"] is False
        assert result["error"]["code"] in ("ERR_NGROK_3204", "ERR_SALLYPORT_3204")
        assert result["error"]["message"] and SECRET not in str(result)
    assert event_of(g, "/yes")["webhook_verification"]["decision"] == "allow"
    assert event_of(g, "/no")["webhook_verification"]["decision"] == "block"


def test_body_reaches_the_upstream(guarded):
    """In chunks, and with a visitor that waits for permission."""
    g = guarded(verifies("github"))
    body = bytes(range(256)) * 1000
    expected = f"{len(body)} {hashlib.sha256(body).hexdigest()}"
    with g.conn() as conn:
        conn.send(conn.request_bytes("POST", "/upload", signature(body) + [
            ("Transfer-Encoding", "chunked")]))
        for at in range(0, len(body), 1000):
            piece = body[at:at + 1000]
            conn.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        conn.send(b"0\r\n\r\n")
        assert conn.read_response().text == expected
        conn.send(conn.request_bytes("POST", "/upload", signature(body) + [
            ("Expect", "100-continue"), ("Content-Length", str(len(body)))]))
        assert conn.read_head().status == 100
        conn.send(body)
        assert conn.read_response().text == expected


def test_body_limit(guarded):
    g = guarded(verifies("github"))
    for size, status in ((1 << 20, 200), (1 << 20 | 1, 413)):
        body = b"x" * size
        answer = g.request("/upload", signature(body), "POST", body)
        assert answer.status == status, size
    assert len(g.app.seen) == 1


def test_request_without_body(guarded):
    g = guarded(verifies("github"))
    assert g.request("/hello", signature(b"")).status == 200
    assert refused(g.request("/hello", signature(b"x")))


def test_secret_from_a_vault(scene, tmp_path):
    (tmp_path / "vaults/alice/hooks").mkdir(parents=True)
    (tmp_path / "vaults/alice/hooks/github").write_text(SECRET + "\n")
    (tmp_path / "vaults/alice/hooks/empty").write_text("")
    scene.start_gateway({"vaults": str(tmp_path / "vaults")})
    g = Guarded(scene, verifies("github", "${secrets.get('hooks', 'github')}"))
    assert g.request("/upload", signature(BODY), "POST", BODY).status == 200
    assert refused(g.request("/upload", signature(BODY, "x"), "POST", BODY))
    g = Guarded(scene, verifies("github", "${secrets.get('hooks', 'empty')}"))
    answer = g.request("/upload", signature(BODY, ""), "POST", BODY)
    assert answer.status in (403, 500) and not g.app.seen


def test_flags(scene):
    app = scene.app()
    tunnel = scene.tunnel(app, flags=f"--verify-webhook github --verify-webhook-secret '{SECRET}'")
    with scene.https(tunnel) as conn:
        assert conn.request("POST", "/upload", signature(BODY), BODY).status == 200
        assert refused(conn.request("POST", "/upload", signature(b""), BODY))
    assert len(app.seen) == 1
