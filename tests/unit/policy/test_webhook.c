/*
 * Unit tests of policy/webhook: every provider, signed here without the code under test, and what the
 * providers' documentation and libraries give as examples.
 * Links: tests/unit/policy/webhook_request tests/unit/policy/webhook_signer
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/base64.h"
#include "base/mem.h"
#include "policy/coding.h"
#include "tests/unit/policy/webhook_request.h"
#include "tests/unit/policy/webhook_signer.h"

#define NOW_MS UINT64_C(1700000000000) /* 2023-11-14T22:13:20Z */

static const char form_type[] = "content-type: application/x-www-form-urlencoded\n";

/* ---- every provider -------------------------------------------------------------------------- */

enum unit { NONE, SECONDS, MILLISECONDS, ISO };

/*
 * In the templates {b} is the body, {t} the time and {s} the signature. The body itself is one, too.
 */
struct sample {
    const char *provider;
    const char *hash;
    char text;
    const char *payload;
    const char *headers;
    enum unit unit;
    unsigned tolerance_s;
    const char *secret; /* NULL: "a secret" */
    const char *key;    /* NULL: the secret */
    const char *other;  /* another secret; NULL: "another secret" */
    const char *body;   /* NULL: JSON */
    const char *more;   /* what changes the body; NULL: " " */
    bool body_is_free;  /* it is not signed */
};

static const char json[] = "{\"id\":7,\"text\":\"a\\\\b \\u00e9\"}";

#define HEX(header) "SHA256", 'x', "{b}", header ": {s}\n", NONE, .tolerance_s = 0
#define B64(header) "SHA256", 'b', "{b}", header ": {s}\n", NONE, .tolerance_s = 0
#define HUB         "SHA256", 'x', "{b}", "X-Hub-Signature-256: sha256={s}\n", NONE, .tolerance_s = 0
#define STRIPE(header, name)                                                                       \
    "SHA256", 'x', "{t}.{b}", header ": t={t}," name "={s}\n", SECONDS, .tolerance_s = 300
#define SVIX(h)                                                                                    \
    "SHA256", 'b', "msg_1.{t}.{b}",                                                                \
        h "-Id: msg_1\n" h "-Timestamp: {t}\n" h "-Signature: v1a,xx v1,AAAA v1,{s}\n", SECONDS,   \
        .tolerance_s = 300, "whsec_c2VjcmV0IG9mIHN2aXg=", "secret of svix", "whsec_b3RoZXI="

/* clang-format off */
static const struct sample samples[] = {
    { "aftership", B64("aftership-hmac-sha256") },
    { "aftership", B64("as-signature-hmac-sha256") },
    { "airship", "SHA256", 'x', "{t}:{b}", "X-UA-SIGNATURE: {s}\nX-UA-TIMESTAMP: {t}\n", SECONDS, .tolerance_s = 300 },
    { "alchemy", HEX("X-Alchemy-Signature") },
    { "autodesk", "SHA1", 'x', "{b}", "x-adsk-signature: sha1hash={s}\n", NONE, .tolerance_s = 0 },
    { "bitbucket", "SHA256", 'x', "{b}", "X-Hub-Signature: sha256={s}\n", NONE, .tolerance_s = 0 },
    { "bolt", B64("X-Bolt-Hmac-Sha256") },
    { "bolt", B64("X-Bolt-Hmac-Sha256-Pending") },
    { "box", "SHA256", 'b', "{b}{t}", "BOX-SIGNATURE-PRIMARY: {s}\nBOX-DELIVERY-TIMESTAMP: {t}\n", ISO, .tolerance_s = 600 },
    { "box", "SHA256", 'b', "{b}{t}", "BOX-SIGNATURE-SECONDARY: {s}\nBOX-DELIVERY-TIMESTAMP: {t}\n", ISO, .tolerance_s = 600 },
    { "brex", SVIX("Webhook") },
    { "buildkite", "SHA256", 'x', "{t}.{b}", "X-Buildkite-Signature: timestamp={t},signature={s}\n", SECONDS, .tolerance_s = 300 },
    { "calendly", STRIPE("Calendly-Webhook-Signature", "v1") },
    { "castle", B64("X-Castle-Signature") },
    { "chargify", HEX("X-Chargify-Webhook-Signature-Hmac-Sha-256") },
    { "circleci", "SHA256", 'x', "{b}", "circleci-signature: v1={s},v2=00\n", NONE, .tolerance_s = 0 },
    { "clearbit", "SHA1", 'x', "{b}", "X-Request-Signature: sha1={s}\n", NONE, .tolerance_s = 0 },
    { "clearbit", "SHA1", 'x', "{b}", "X-Request-Signature: sha1={s}\n", NONE, .tolerance_s = 0, "sk_0123", "0123", "sk_0124" },
    { "clerk", SVIX("svix") },
    { "coinbase", HEX("X-CC-Webhook-Signature") },
    { "contentful", "SHA256", 'x', "POST\n/in\nx-contentful-signed-headers:x-contentful-signed-headers,x-contentful-timestamp;x-contentful-timestamp:{t}\n{b}",
      "x-contentful-signature: {s}\nX-Contentful-Signed-Headers: x-contentful-signed-headers,x-contentful-timestamp\nX-Contentful-Timestamp: {t}\n", MILLISECONDS, .tolerance_s = 300 },
    { "docusign", B64("X-DocuSign-Signature-1") },
    { "docusign", "SHA256", 'b', "{b}", "X-DocuSign-Signature-2: {s}\nX-DocuSign-Signature-1: AAAA\n", NONE, .tolerance_s = 0 },
    { "dropbox", HEX("X-Dropbox-Signature") },
    { "facebook_graph_api", HUB },
    { "facebook_messenger", HUB },
    { "frameio", "SHA256", 'x', "v0:{t}:{b}", "X-Frameio-Signature: v0={s}\nX-Frameio-Request-Timestamp: {t}\n", SECONDS, .tolerance_s = 300 },
    { "github", HUB },
    { "gitlab", NULL, 0, NULL, "X-Gitlab-Token: a secret\n", NONE, .tolerance_s = 0, .body_is_free = true },
    { "go1", STRIPE("Go1-Signature", "v1") },
    { "graphcms", "SHA256", 'b', "{\"Body\":\"{\\\"id\\\":7,\\\"text\\\":\\\"a\\\\\\\\b \\\\u00e9\\\"}{more}\",\"EnvironmentName\":\"master\",\"TimeStamp\":{t}}",
      "gcms-signature: sign={s}, env=master, t={t}\n", MILLISECONDS, .tolerance_s = 300 },
    { "heroku", B64("Heroku-Webhook-Hmac-SHA256") },
    { "hostedhooks", STRIPE("HostedHooks-Signature", "s") },
    { "hubspot", "SHA256", 'b', "POSThttps://hooks.example.com/in{b}{t}", "X-HubSpot-Signature-v3: {s}\nX-HubSpot-Request-Timestamp: {t}\n", MILLISECONDS, .tolerance_s = 300 },
    { "instagram", HUB },
    { "intercom", "SHA1", 'x', "{b}", "X-Hub-Signature: sha1={s}\n", NONE, .tolerance_s = 0 },
    { "jira", "SHA256", 'x', "{b}", "X-Hub-Signature: sha256={s}\n", NONE, .tolerance_s = 0 },
    { "launch_darkly", HEX("X-LD-Signature") },
    { "linear", "SHA256", 'x', "{b}", "Linear-Signature: {s}\n", MILLISECONDS, .tolerance_s = 60, .body = "{\"webhookTimestamp\": {t}}" },
    { "mailchimp", "SHA1", 'b', "https://hooks.example.com/in{form}", "X-Mandrill-Signature: {s}\n", NONE, .tolerance_s = 0, .body = "b=2&a=x+y%21", .more = "&c=3" },
    { "mailgun", "SHA256", 'x', "{t}token", "", SECONDS, .tolerance_s = 300, .body = "{\"signature\": {\"timestamp\": \"{t}\", \"token\": \"token\", \"signature\": \"{s}\"}}", .body_is_free = true },
    { "mailgun", "SHA256", 'x', "{t}token", "", SECONDS, .tolerance_s = 300, .body = "{\"signature\": {\"timestamp\": \"{t}\", \"token\": \"token\", \"signature\": \"00\", \"parent-signature\": \"{s}\"}}", .body_is_free = true },
    { "mailgun", "SHA256", 'x', "{t}token", form_type, SECONDS, .tolerance_s = 300, .body = "timestamp={t}&token=token&signature={s}", .more = "&x=1", .body_is_free = true },
    { "microsoft_teams", "SHA256", 'b', "{b}", "Authorization: HMAC {s}\n", NONE, .tolerance_s = 0, "a2V5IG9mIHRlYW1z", "key of teams", "b3RoZXI=" },
    { "modern_treasury", HEX("X-Signature") },
    { "mongodb", "SHA1", 'b', "{b}", "X-MMS-Signature: {s}\n", NONE, .tolerance_s = 0 },
    { "mux", STRIPE("Mux-Signature", "v1") },
    { "orb", "SHA256", 'x', "v1:{t}:{b}", "X-Orb-Signature: v1={s}\nX-Orb-Timestamp: {t}\n", ISO, .tolerance_s = 300 },
    { "orbit", "SHA256", 'x', "{b}", "X-Orbit-Signature: sha256={s}\n", NONE, .tolerance_s = 0 },
    { "pagerduty", "SHA256", 'x', "{b}", "X-PagerDuty-Signature: v1=00,v1={s}, v2=11\n", NONE, .tolerance_s = 0 },
    { "pinwheel", "SHA256", 'x', "v2:{t}:{b}", "x-pinwheel-signature: v2={s}\nx-timestamp: {t}\n", SECONDS, .tolerance_s = 300 },
    { "plivo", "SHA256", 'b', "https://hooks.example.com/in?{form}.nonce1", "X-Plivo-Signature-V3: AAAA,{s}\nX-Plivo-Signature-V3-Nonce: nonce1\n", NONE, .tolerance_s = 0, .body = "b=2&a=x+y%21", .more = "&c=3" },
    { "pusher", HEX("X-Pusher-Signature") },
    { "sentry", HEX("Sentry-Hook-Signature") },
    { "shopify", B64("X-Shopify-Hmac-Sha256") },
    { "signal_sciences", HEX("X-SigSci-Signature") },
    { "signalsciences", HEX("X-SigSci-Signature") },
    { "slack", "SHA256", 'x', "v0:{t}:{b}", "X-Slack-Signature: v0={s}\nX-Slack-Request-Timestamp: {t}\n", SECONDS, .tolerance_s = 300 },
    { "sonatype", "SHA1", 'x', "{b}", "X-Nexus-Webhook-Signature: {s}\n", NONE, .tolerance_s = 0 },
    { "sonatype_nexus", "SHA1", 'x', "{b}", "X-Nexus-Webhook-Signature: {s}\n", NONE, .tolerance_s = 0 },
    { "square", "SHA256", 'b', "https://hooks.example.com/in{b}", "X-Square-HmacSha256-Signature: {s}\n", NONE, .tolerance_s = 0 },
    { "stripe", STRIPE("Stripe-Signature", "v0=11,v1=22,v1") },
    { "svix", SVIX("svix") },
    { "terraform", "SHA512", 'x', "{b}", "X-TFE-Notification-Signature: {s}\n", NONE, .tolerance_s = 0 },
    { "tiktok", STRIPE("Tiktok-Signature", "s") },
    { "trendmicro_conformity", HEX("X-Conformity-Signature") },
    { "trendmicro_conformity", HEX("X-TrendMicro-Signature") },
    { "twilio", "SHA1", 'b', "https://hooks.example.com/in{form}", "X-Twilio-Signature: {s}\n", NONE, .tolerance_s = 0, .body = "b=2&a=x+y%21", .more = "&c=3" },
    { "twitter", "SHA256", 'b', "{b}", "X-Twitter-Webhooks-Signature: sha256={s}\n", NONE, .tolerance_s = 0 },
    { "typeform", "SHA256", 'b', "{b}", "Typeform-Signature: sha256={s}\n", NONE, .tolerance_s = 0 },
    { "vmware", NULL, 0, NULL, "Authorization: Basic b3BzOnBhOnNz\n", NONE, .tolerance_s = 0, "ops::pa:ss", NULL, "ops::pa:st", .body_is_free = true },
    { "vmware_workspace", NULL, 0, NULL, "Authorization: Basic b3BzOnBhOnNz\n", NONE, .tolerance_s = 0, "ops::pa:ss", NULL, "opt::pa:ss", .body_is_free = true },
    { "webex", "SHA1", 'x', "{b}", "X-Spark-Signature: {s}\n", NONE, .tolerance_s = 0 },
    { "whatsapp", HUB },
    { "worldline", "SHA256", 'b', "{b}", "X-GCS-Signature: {s}\nX-GCS-KeyId: key\n", NONE, .tolerance_s = 0 },
    { "xero", B64("x-xero-signature") },
    { "zendesk", "SHA256", 'b', "{t}{b}", "X-Zendesk-Webhook-Signature: {s}\nX-Zendesk-Webhook-Signature-Timestamp: {t}\n", ISO, .tolerance_s = 300 },
    { "zoom", "SHA256", 'x', "v0:{t}:{b}", "x-zm-signature: v0={s}\nx-zm-request-timestamp: {t}\n", SECONDS, .tolerance_s = 300 },
};
/* clang-format on */

/* Headers that a request may do without. */
static bool is_optional(struct str name)
{
    return str_eq_nocase(name, STR("content-type")) || str_eq_nocase(name, STR("x-gcs-keyid")) ||
           str_eq_nocase(name, STR("x-docusign-signature-2"));
}

static const char *format_time(struct arena *a, enum unit unit, int64_t ms)
{
    struct tm tm;
    time_t s = (time_t)(ms / 1000);
    char text[32];

    if (unit != ISO)
        return arena_fmt(a, "%lld", (long long)(unit == SECONDS ? ms / 1000 : ms)).p;
    assert_non_null(gmtime_r(&s, &tm));
    assert_true(strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) > 0);
    return arena_fmt(a, "%s", text).p;
}

/* A request that was signed at that time. */
static void make(struct webhook_request_text *t, struct arena *a, const struct sample *s,
                 int64_t time_ms)
{
    const char *time = format_time(a, s->unit, time_ms);
    const char *body = webhook_request_replace(a, s->body != NULL ? s->body : json, "{t}", time);
    const char *headers = webhook_request_replace(a, s->headers, "{t}", time);
    const char *key = s->key != NULL ? s->key : s->secret != NULL ? s->secret : "a secret";
    const char *payload;

    if (s->payload != NULL) {
        payload = webhook_request_replace(a, s->payload, "{t}", time);
        payload = webhook_request_replace(a, payload, "{b}", body);
        payload = webhook_request_replace(a, payload, "{form}", "ax y!b2");
        payload = webhook_request_replace(a, payload, "{more}", "");
        time = webhook_request_sign(a, s->hash, s->text, str_from(key), str_from(payload));
        headers = webhook_request_replace(a, headers, "{s}", time);
        body = webhook_request_replace(a, body, "{s}", time);
    }
    webhook_request_init(t, a, headers, str_from(body), NOW_MS);
    if (s->body != NULL && strstr(s->payload, "{form}") != NULL)
        webhook_request_add(t, "content-type", "application/x-www-form-urlencoded; charset=utf-8");
}

static void expect(const struct sample *s, struct webhook_request_text *t, const char *secret,
                   enum webhook_verdict want, const char *what)
{
    enum webhook_verdict got =
        webhook_request_check(t, s->provider, secret != NULL ? secret : "a secret");

    if (got != want)
        fail_msg("%s, %s: %d (%s)", s->provider, what, (int)got, t->e.msg);
    if (secret != NULL)
        assert_null(strstr(t->e.msg, secret));
}

static void webhook_check_right_signature_is_verified(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        const struct sample *s = &samples[i];
        struct webhook_request_text t;
        struct arena a;

        arena_init(&a);
        make(&t, &a, s, (int64_t)NOW_MS);
        expect(s, &t, s->secret, WEBHOOK_VERIFIED, "right");
        expect(s, &t, s->other != NULL ? s->other : "another secret", WEBHOOK_REFUSED,
               "wrong secret");
        t.request.body =
            arena_fmt(&a, "%.*s%s", STR_ARG(t.request.body), s->more != NULL ? s->more : " ");
        expect(s, &t, s->secret, s->body_is_free ? WEBHOOK_VERIFIED : WEBHOOK_REFUSED,
               "changed body");
        t.request.body = STR("");
        if (!s->body_is_free)
            expect(s, &t, s->secret, WEBHOOK_REFUSED, "no body");
        arena_fini(&a);
    }
}

static void webhook_check_missing_or_repeated_header_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        const struct sample *s = &samples[i];
        struct webhook_request_text t;
        struct arena a;

        arena_init(&a);
        make(&t, &a, s, (int64_t)NOW_MS);
        for (size_t h = 0; h < t.count; h++) {
            struct str name = t.headers[h].name;

            if (is_optional(name))
                continue;
            t.headers[h].name = STR("x-other");
            expect(s, &t, s->secret, WEBHOOK_REFUSED, "missing header");
            t.headers[h].name = name;
            t.headers[t.count++] = t.headers[h];
            expect(s, &t, s->secret, WEBHOOK_REFUSED, "repeated header");
            t.count--;
        }
        expect(s, &t, s->secret, WEBHOOK_VERIFIED, "all headers");
        arena_fini(&a);
    }
}

static void webhook_check_stale_time_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        const struct sample *s = &samples[i];
        int64_t limit = (int64_t)s->tolerance_s * 1000;
        int64_t step = s->unit == MILLISECONDS ? 1 : 1000;
        struct webhook_request_text t;
        struct arena a;

        if (s->unit == NONE)
            continue;
        arena_init(&a);
        make(&t, &a, s, (int64_t)NOW_MS - limit);
        expect(s, &t, s->secret, WEBHOOK_VERIFIED, "just old enough");
        make(&t, &a, s, (int64_t)NOW_MS + limit);
        expect(s, &t, s->secret, WEBHOOK_VERIFIED, "just new enough");
        make(&t, &a, s, (int64_t)NOW_MS - limit - step);
        expect(s, &t, s->secret, WEBHOOK_REFUSED, "too old");
        make(&t, &a, s, (int64_t)NOW_MS + limit + step);
        expect(s, &t, s->secret, WEBHOOK_REFUSED, "too new");
        arena_fini(&a);
    }
}

static void webhook_list_every_provider_has_a_sample(void **state)
{
    struct buf list;
    struct str rest;
    struct str id;
    size_t count = 0;

    (void)state;
    buf_init(&list, 4096);
    webhook_list(&list);
    rest = buf_str(&list);
    while (str_next(&rest, ',', &id)) {
        bool found = str_eq(str_trim(id), STR("sns")) || str_eq(str_trim(id), STR("sendgrid"));

        for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
            found = found || str_eq(str_trim(id), str_from(samples[i].provider));
        if (!found)
            fail_msg("%.*s has no sample", STR_ARG(id));
        count++;
    }
    assert_int_equal(count, 69);
    buf_fini(&list);
    assert_null(webhook_new(STR("unknown")));
    assert_null(webhook_new(STR("")));
    assert_null(webhook_new(STR("GitHub")));
}

/* ---- published examples ---------------------------------------------------------------------- */

static const char slack_body[] =
    "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
    "&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    "&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmib"
    "IGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
static const char twilio_form[] =
    "CallSid=CA1234567890ABCDE&Digits=1234&From=%2B14158675309&To=%2B18005551212"
    "&Caller=%2B14158675309";
static const char twilio_url[] = "https://mycompany.com/myapp.php?foo=1&bar=2";
static const char hubspot_secret[] = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy";

static const struct {
    const char *source;
    const char *provider;
    const char *secret;
    uint64_t now_s;
    const char *method; /* NULL: POST */
    const char *url;    /* NULL: any */
    const char *headers;
    const char *body;
} published[] = {
    { "GitHub: Validating webhook deliveries", "github", "It's a Secret to Everybody", 0, NULL,
      NULL,
      "X-Hub-Signature-256: "
      "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17\n",
      "Hello, World!" },
    { "Slack: Verifying requests from Slack", "slack", "8f742231b10e8888abcd99yyyzzz85a5",
      1531420618, NULL, NULL,
      "X-Slack-Request-Timestamp: 1531420618\nX-Slack-Signature: "
      "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503\n",
      slack_body },
    { "Svix: Verifying Webhooks Manually", "svix", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
      1614265330, NULL, NULL,
      "svix-id: msg_p5jXN8AQM9LWM0D4loKWxJek\nsvix-timestamp: 1614265330\n"
      "svix-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=\n",
      "{\"test\": 2432232314}" },
    { "Twilio: twilio-python, a form", "twilio", "12345", 0, NULL, twilio_url,
      "X-Twilio-Signature: RSOYDt4T1cUTdK1PDd93/VVr8B8=\n"
      "Content-Type: application/x-www-form-urlencoded\n",
      twilio_form },
    { "Twilio: twilio-python, signed with the port", "twilio", "12345", 0, NULL, twilio_url,
      "X-Twilio-Signature: kvajT1Ptam85bY51eRf/AJRuM3w=\n"
      "Content-Type: application/x-www-form-urlencoded\n",
      twilio_form },
    { "Twilio: twilio-python, called with a port", "twilio", "12345", 0, NULL,
      "https://mycompany.com:1234/myapp.php?foo=1&bar=2",
      "X-Twilio-Signature: RSOYDt4T1cUTdK1PDd93/VVr8B8=\n"
      "Content-Type: application/x-www-form-urlencoded\n",
      twilio_form },
    { "Twilio: twilio-python, values that repeat", "twilio", "12345", 0, NULL, twilio_url,
      "X-Twilio-Signature: IK+Dwps556ElfBT0I3Rgjkr1wJU=\n"
      "Content-Type: application/x-www-form-urlencoded\n",
      "Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234" },
    { "Twilio: twilio-python, JSON", "twilio", "12345", 0, NULL,
      "https://mycompany.com/myapp.php?foo=1&bar=2&bodySHA256="
      "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620",
      "X-Twilio-Signature: a9nBmqA0ju/hNViExpshrM61xv4=\nContent-Type: application/json\n",
      "{\"property\": \"value\", \"boolean\": true}" },
    { "HubSpot: Validating requests, version 1", "hubspot", hubspot_secret, 0, NULL, NULL,
      "X-HubSpot-Signature-Version: v1\nX-HubSpot-Signature: "
      "232db2615f3d666fe21a8ec971ac7b5402d33b9a925784df3ca654d05f4817de\n",
      "[{\"eventId\":1,\"subscriptionId\":12345,\"portalId\":62515,\"occurredAt\":1564113600000,"
      "\"subscriptionType\":\"contact.creation\",\"attemptNumber\":0,\"objectId\":123,"
      "\"changeSource\":\"CRM\",\"changeFlag\":\"NEW\",\"appId\":54321}]" },
    { "HubSpot: Validating requests, version 2, GET", "hubspot", hubspot_secret, 0, "GET",
      "https://www.example.com/webhook_uri",
      "X-HubSpot-Signature-Version: v2\nX-HubSpot-Signature: "
      "eee2dddcc73c94d699f5e395f4b9d454a069a6855fbfa152e91e88823087200e\n",
      "" },
    { "HubSpot: Validating requests, version 2, POST", "hubspot", hubspot_secret, 0, NULL,
      "https://www.example.com/webhook_uri",
      "X-HubSpot-Signature-Version: v2\nX-HubSpot-Signature: "
      "9569219f8ba981ffa6f6f16aa0f48637d35d728c7e4d93d0d52efaa512af7900\n",
      "{\"example_field\":\"example_value\"}" },
    { "Orb: orb-node", "orb", "c-UGKYdnhHh436B_sMouYAPUvXyWpzOdunZBV5dFSD8", 1711554149, NULL, NULL,
      "X-Orb-Timestamp: 2024-03-27T15:42:29.551\nX-Orb-Signature: "
      "v1=9d25de966891ab0bc18754faf8d83d0980b44ae330fcc130b41a6cf3daf1f391\n",
      "{\"id\": \"o4mmewpfNNTnjfZc\", \"created_at\": \"2024-03-27T15:42:29+00:00\", "
      "\"type\": \"resource_event.test\", \"properties\": {\"message\": \"A test webhook from Orb. "
      "Happy testing!\"}}" },
    { "Box: box-node-sdk", "box", "SamplePrimaryKey", 1577862000, NULL, NULL,
      "box-delivery-timestamp: 2020-01-01T00:00:00-07:00\n"
      "box-signature-primary: 6TfeAW3A1PASkgboxxA5yqHNKOwFyMWuEXny/FPD5hI=\n"
      "box-signature-secondary: v+1CD1Jdo3muIcbpv5lxxgPglOqMfsNHPV899xWYydo=\n",
      "{\"type\":\"webhook_event\",\"webhook\":{\"id\":\"1234567890\"},\"trigger\":"
      "\"FILE.UPLOADED\",\"source\":{\"id\":\"1234567890\",\"type\":\"file\",\"name\":"
      "\"Test.txt\"}}" },
    { "SendGrid: sendgrid-python", "sendgrid",
      "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+"
      "2fNNRaINXvVpiglSI8eNEc6wEA3F+g==",
      1600112502, NULL, NULL,
      "X-Twilio-Email-Event-Webhook-Timestamp: 1600112502\nX-Twilio-Email-Event-Webhook-Signature: "
      "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+"
      "luQAbPIqHh89M15TluLtEZtM=\n",
      "[{\"email\":\"hello@world.com\",\"event\":\"dropped\",\"reason\":\"Bounced Address\","
      "\"sg_event_id\":\"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA\","
      "\"sg_message_id\":\"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-"
      "5F5FC76C-9.0\",\"smtp-id\":\"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>\","
      "\"timestamp\":1600112492}]\r\n" },
};

static void webhook_check_published_examples_are_verified(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(published) / sizeof(published[0]); i++) {
        struct webhook_request_text t;
        struct arena a;

        arena_init(&a);
        webhook_request_init(&t, &a, published[i].headers, str_from(published[i].body),
                             published[i].now_s * 1000);
        if (published[i].method != NULL)
            t.request.method = str_from(published[i].method);
        if (published[i].url != NULL)
            t.request.url = str_from(published[i].url);
        if (webhook_request_check(&t, published[i].provider, published[i].secret) !=
            WEBHOOK_VERIFIED)
            fail_msg("%s: %s", published[i].source, t.e.msg);
        t.request.body = arena_fmt(&a, "%s&z", published[i].body);
        if (webhook_request_check(&t, published[i].provider, published[i].secret) !=
            WEBHOOK_REFUSED)
            fail_msg("%s, changed", published[i].source);
        arena_fini(&a);
    }
}

/* ---- hostile headers and bodies -------------------------------------------------------------- */

static void check_refused(const char *provider, const char *secret, const char *headers,
                          const char *body, const char *why)
{
    struct webhook_request_text t;
    struct arena a;

    arena_init(&a);
    webhook_request_init(&t, &a, headers, str_from(body), NOW_MS);
    if (webhook_request_check(&t, provider, secret) != WEBHOOK_REFUSED ||
        strstr(t.e.msg, why) == NULL)
        fail_msg("%s instead of %s", t.e.msg, why);
    arena_fini(&a);
}

static void webhook_check_malformed_is_refused(void **state)
{
    static const struct {
        const char *provider;
        const char *secret;
        const char *headers;
        const char *body;
        const char *why;
    } cases[] = {
        { "github", "s", "", "", "the header x-hub-signature-256 is missing" },
        { "github", "s", "X-Hub-Signature-256:\n", "", "is malformed" },
        { "github", "s", "X-Hub-Signature-256: sha256=\n", "", "is malformed" },
        { "github", "s", "X-Hub-Signature-256: sha256=zz\n", "", "is wrong" },
        { "github", "s", "X-Hub-Signature-256: sha1=00\n", "", "is malformed" },
        { "shopify", "s", "X-Shopify-Hmac-Sha256: !!!!\n", "", "is wrong" },
        { "stripe", "s", "Stripe-Signature: v1=00\n", "", "has no time" },
        { "stripe", "s", "Stripe-Signature: t=,v1=00\n", "", "has no time" },
        { "stripe", "s", "Stripe-Signature: t=1,t=2,v1=00\n", "", "more than one time" },
        { "stripe", "s", "Stripe-Signature: t=-1,v1=00\n", "", "time of the request is malformed" },
        { "stripe", "s", "Stripe-Signature: t=99999999999999999999,v1=00\n", "", "malformed" },
        { "stripe", "s", "Stripe-Signature: t=1700000000\n", "", "is malformed" },
        { "stripe", "s", "Stripe-Signature: ,,,,,,,\n", "", "is malformed" },
        { "box", "s", "box-signature-primary: AA==\nbox-delivery-timestamp: today\n", "",
          "malformed" },
        { "mailgun", "s", "", "", "no JSON object" },
        { "mailgun", "s", "", "[]", "no JSON object" },
        { "mailgun", "s", "", "{}", "no signature" },
        { "mailgun", "s", "", "{\"signature\": 1}", "no signature" },
        { "mailgun", "s", "", "{\"signature\": {}, \"signature\": {}}", "no JSON object" },
        { "sns", NULL, "", "{\"Type\": \"Other\"}", "no message of SNS" },
        { "hubspot", "s", "x-hubspot-signature: 00\nx-hubspot-signature-version: v9\n", "",
          "version of the signature is unknown" },
        { "twilio", "s", "x-twilio-signature: AA==\n", "{}", "digest" },
        { "plivo", "s", "x-plivo-signature-v3: AA==\nx-plivo-signature-v3-nonce: 1\n", "{}",
          "no form" },
        { "vmware", "a::b", "authorization: Basic ====\n", "", "malformed" },
        { "vmware", "a::b", "authorization: Bearer a\n", "", "malformed" },
        { "vmware", "a::b", "authorization: Basic YQ==\n", "", "wrong" },
        { "contentful", "s",
          "x-contentful-signature: 00\nx-contentful-signed-headers: host\n"
          "x-contentful-timestamp: 1700000000000\n",
          "", "the time is not signed" },
        { "graphcms", "s", "gcms-signature: sign=AA==, env=e\n", "", "no time" },
        { "graphcms", "s", "gcms-signature: sign=AA==, env=e, t=01700000000000\n", "", "no time" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check_refused(cases[i].provider, cases[i].secret, cases[i].headers, cases[i].body,
                      cases[i].why);
}

static void webhook_check_too_many_of_anything_is_refused(void **state)
{
    struct buf text;
    struct arena a;

    (void)state;
    arena_init(&a);
    buf_init(&text, 1 << 20);
    buf_add_str(&text, STR("x-pagerduty-signature: v1=00"));
    for (int i = 0; i < 15; i++)
        buf_add_str(&text, STR(",v1=00"));
    check_refused("pagerduty", "s", arena_fmt(&a, "%.*s", STR_ARG(buf_str(&text))).p, "", "wrong");
    buf_add_str(&text, STR(",v1=00"));
    check_refused("pagerduty", "s", arena_fmt(&a, "%.*s", STR_ARG(buf_str(&text))).p, "",
                  "too many signatures");
    buf_clear(&text);
    buf_add_str(&text, STR("x-pagerduty-signature: v1=00"));
    for (int i = 0; i < 64; i++)
        buf_add_char(&text, ',');
    check_refused("pagerduty", "s", arena_fmt(&a, "%.*s", STR_ARG(buf_str(&text))).p, "",
                  "too long");
    buf_clear(&text);
    buf_add_str(&text, STR("x-contentful-signature: 00\nx-contentful-timestamp: 1700000000000\n"
                           "x-contentful-signed-headers: x-contentful-timestamp"));
    for (int i = 0; i < 63; i++)
        buf_add_str(&text, STR(",a"));
    check_refused("contentful", "s", arena_fmt(&a, "%.*s", STR_ARG(buf_str(&text))).p, "", "wrong");
    buf_add_char(&text, ',');
    check_refused("contentful", "s", arena_fmt(&a, "%.*s", STR_ARG(buf_str(&text))).p, "",
                  "too many headers are signed");
    buf_clear(&text);
    for (int i = 0; i < 1023; i++)
        buf_add_str(&text, STR("a&"));
    check_refused("mailchimp", "s",
                  "x-mandrill-signature: AA==\ncontent-type: application/x-www-form-urlencoded\n",
                  arena_fmt(&a, "%.*s", STR_ARG(buf_str(&text))).p, "wrong");
    buf_add_char(&text, '&');
    check_refused("mailchimp", "s",
                  "x-mandrill-signature: AA==\ncontent-type: application/x-www-form-urlencoded\n",
                  arena_fmt(&a, "%.*s", STR_ARG(buf_str(&text))).p, "more than 1024 parameters");
    buf_clear(&text);
    for (int i = 0; i < 100000; i++)
        buf_add_char(&text, '[');
    check_refused("mailgun", "s", "", arena_fmt(&a, "%.*s", STR_ARG(buf_str(&text))).p,
                  "no JSON object");
    buf_fini(&text);
    arena_fini(&a);
}

/* ---- secrets --------------------------------------------------------------------------------- */

static void webhook_key_new_bad_secret_is_refused(void **state)
{
    static const struct {
        const char *provider;
        const char *secret;
        enum err_code code;
    } cases[] = {
        { "github", "", E_POLICY_WEBHOOK_SECRET },
        { "gitlab", "", E_POLICY_WEBHOOK_SECRET },
        { "svix", "whsec_", E_POLICY_WEBHOOK_SECRET },
        { "svix", "whsec_???", E_POLICY_UNPARSABLE },
        { "microsoft_teams", "not base64!", E_POLICY_UNPARSABLE },
        { "vmware", "user:password", E_POLICY_UNPARSABLE },
        { "vmware", "::x", E_POLICY_UNPARSABLE },
        { "sns", "12345678901", E_POLICY_WEBHOOK_NO_SECRET },
        { "sns", "12345678901a", E_POLICY_WEBHOOK_NO_SECRET },
        { "sns", "1234567890123", E_POLICY_WEBHOOK_NO_SECRET },
        { "sendgrid", "secret", E_POLICY_WEBHOOK_KEY },
        { "sendgrid", "c2VjcmV0", E_POLICY_WEBHOOK_KEY },
        /* P-384 */
        { "sendgrid",
          "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEIr7vc6MPVf9nJBRqYPRnTJCgvuK5bUVLlTGEp19GIcLJCSYMQpJSL7uy"
          "DRqJqHoFZtUgr9c8A+HdG7yvyY0QXGDmbQnmP7mYmHMVzqvJCs/KQ+1cy9Y8H+SKvbJUrOGJ",
          E_POLICY_WEBHOOK_KEY },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct webhook *w = webhook_new(str_from(cases[i].provider));
        struct err e = { .code = E_OK };

        assert_null(webhook_key_new(w, str_from(cases[i].secret), &e));
        assert_int_equal(e.code, cases[i].code);
        if (strlen(cases[i].secret) > 0)
            assert_null(strstr(e.msg, cases[i].secret));
        webhook_free(w);
    }
}

static void webhook_key_new_long_secret_is_refused(void **state)
{
    struct webhook *w = webhook_new(STR("github"));
    char secret[WEBHOOK_SECRET_MAX_BYTES + 1];
    struct webhook_key *key;
    struct err e;

    (void)state;
    memset(secret, 'a', sizeof(secret));
    key = webhook_key_new(w, str_of(secret, sizeof(secret) - 1), &e);
    assert_non_null(key);
    webhook_key_free(key);
    assert_null(webhook_key_new(w, str_of(secret, sizeof(secret)), &e));
    assert_int_equal(e.code, E_POLICY_TOO_LONG);
    webhook_free(w);
    webhook_free(NULL);
    webhook_key_free(NULL);
}

/* ---- Amazon SNS ------------------------------------------------------------------------------ */

static const char sns_url[] =
    "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0a1b.pem";

/* A notification, or a confirmation; {s} is the signature. */
static const char notification[] =
    "{\"Type\": \"Notification\", \"MessageId\": \"id-1\", \"TopicArn\": "
    "\"arn:aws:sns:eu-central-1:123456789012:topic\", \"Subject\": \"hi\", \"Message\": "
    "\"two\\nlines\", \"Timestamp\": \"2023-11-14T22:13:20.000Z\", \"SignatureVersion\": \"2\", "
    "\"Signature\": \"{s}\", \"SigningCertURL\": "
    "\"https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0a1b.pem\", "
    "\"UnsubscribeURL\": \"https://sns.eu-central-1.amazonaws.com/\"}";
static const char notification_signed[] =
    "Message\ntwo\nlines\nMessageId\nid-1\nSubject\nhi\nTimestamp\n2023-11-14T22:13:20.000Z\n"
    "TopicArn\narn:aws:sns:eu-central-1:123456789012:topic\nType\nNotification\n";
static const char confirmation[] =
    "{\"Type\": \"SubscriptionConfirmation\", \"MessageId\": \"id-1\", \"Token\": \"abc\", "
    "\"TopicArn\": \"arn:aws-cn:sns:cn-north-1:123456789012:topic\", \"Message\": \"hi\", "
    "\"SubscribeURL\": \"https://u\", \"Timestamp\": \"2023-11-14T22:13:20.000Z\", "
    "\"SignatureVersion\": \"1\", \"Signature\": \"{s}\", \"SigningCertURL\": "
    "\"https://sns.cn-north-1.amazonaws.com.cn/a.pem\"}";
static const char confirmation_signed[] =
    "Message\nhi\nMessageId\nid-1\nSubscribeURL\nhttps://u\nTimestamp\n2023-11-14T22:13:20.000Z\n"
    "Token\nabc\nTopicArn\narn:aws-cn:sns:cn-north-1:123456789012:topic\nType\n"
    "SubscriptionConfirmation\n";

static struct webhook_certificate *read_certificate(struct arena *a, const struct webhook_signer *s)
{
    struct err e;
    struct webhook_certificate *c = webhook_certificate_new(webhook_signer_pem(s, a), &e);

    assert_non_null(c);
    return c;
}

static void sns(struct webhook_request_text *t, struct arena *a, const struct webhook_signer *s,
                const char *body, const char *hash, const char *payload)
{
    const char *signature = webhook_signer_sign(s, a, hash, str_from(payload));

    webhook_request_init(t, a, "", str_from(webhook_request_replace(a, body, "{s}", signature)),
                         NOW_MS);
}

static void webhook_check_sns_messages_are_verified(void **state)
{
    struct webhook_signer *s = webhook_signer_new(2048, NOW_MS / 1000);
    struct webhook_signer *other = webhook_signer_new(2048, NOW_MS / 1000);
    struct webhook_certificate *c;
    struct webhook_certificate *wrong;
    struct webhook_request_text t;
    struct arena a;

    (void)state;
    arena_init(&a);
    c = read_certificate(&a, s);
    wrong = read_certificate(&a, other);
    sns(&t, &a, s, notification, "SHA256", notification_signed);
    assert_int_equal(webhook_request_check(&t, "sns", NULL), WEBHOOK_CERTIFICATE);
    assert_true(str_eq(t.out.certificate_url, str_from(sns_url)));
    t.request.certificate = c;
    assert_int_equal(webhook_request_check(&t, "sns", NULL), WEBHOOK_VERIFIED);
    assert_int_equal(webhook_request_check(&t, "sns", "123456789012"), WEBHOOK_VERIFIED);
    assert_int_equal(webhook_request_check(&t, "sns", "123456789013"), WEBHOOK_REFUSED);
    t.request.certificate = wrong;
    assert_int_equal(webhook_request_check(&t, "sns", NULL), WEBHOOK_REFUSED);

    t.request.certificate = c;
    t.request.now_ms = NOW_MS + 3600 * 1000;
    assert_int_equal(webhook_request_check(&t, "sns", NULL), WEBHOOK_VERIFIED);
    t.request.now_ms++;
    assert_int_equal(webhook_request_check(&t, "sns", NULL), WEBHOOK_REFUSED);
    assert_non_null(strstr(t.e.msg, "too far from now"));

    sns(&t, &a, s, confirmation, "SHA1", confirmation_signed);
    t.request.certificate = c;
    assert_int_equal(webhook_request_check(&t, "sns", NULL), WEBHOOK_VERIFIED);
    sns(&t, &a, s, confirmation, "SHA256", confirmation_signed);
    t.request.certificate = c;
    assert_int_equal(webhook_request_check(&t, "sns", NULL), WEBHOOK_REFUSED);
    webhook_certificate_free(c);
    webhook_certificate_free(wrong);
    webhook_certificate_free(NULL);
    webhook_signer_free(s);
    webhook_signer_free(other);
    arena_fini(&a);
}

static void webhook_check_changed_sns_message_is_refused(void **state)
{
    static const struct {
        const char *from;
        const char *to;
    } changes[] = {
        { "two", "three" },
        { "id-1", "id-2" },
        { "\"hi\"", "\"ho\"" },
        { "\"Subject\": \"hi\",", "" },
        { "\"Message\"", "\"Other\"" },
        { "\"MessageId\"", "\"Other\"" },
        { "20.000Z", "21.000Z" },
        { ":topic", ":other" },
        { "\"Notification\"", "\"UnsubscribeConfirmation\"" },
        { "\"2\"", "\"1\"" },
        { "\"2\"", "\"3\"" },
        { "\"2\"", "2" },
    };
    struct webhook_signer *s = webhook_signer_new(2048, NOW_MS / 1000);
    struct webhook_certificate *c;
    struct arena a;

    (void)state;
    arena_init(&a);
    c = read_certificate(&a, s);
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        struct webhook_request_text t;

        sns(&t, &a, s, webhook_request_replace(&a, notification, changes[i].from, changes[i].to),
            "SHA256", notification_signed);
        t.request.certificate = c;
        if (webhook_request_check(&t, "sns", NULL) != WEBHOOK_REFUSED)
            fail_msg("%s", changes[i].from);
    }
    webhook_certificate_free(c);
    webhook_signer_free(s);
    arena_fini(&a);
}

static void webhook_check_sns_certificate_of_others_is_refused(void **state)
{
    static const char *const urls[] = {
        "http://sns.eu-central-1.amazonaws.com/a.pem",
        "https://sns.amazonaws.com/a.pem",
        "https://sns..amazonaws.com/a.pem",
        "https://sns.a.b.amazonaws.com/a.pem",
        "https://sns.eu-central-1.amazonaws.com.evil.example/a.pem",
        "https://sns.eu-central-1.amazonaws.com.cnx/a.pem",
        "https://sns.eu-central-1.amazonaws.com:8443/a.pem",
        "https://sns.eu-central-1.amazonaws.com@evil.example/a.pem",
        "https://sns.evil.example/.amazonaws.com/a.pem",
        "https://u@sns.eu-central-1.amazonaws.com/a.pem",
        "https://sns.eu-central-1.amazonaws.com/a.pem?x",
        "https://sns.eu-central-1.amazonaws.com/a/b.pem",
        "https://sns.eu-central-1.amazonaws.com/../a.pem",
        "https://sns.eu-central-1.amazonaws.com/.pem",
        "https://sns.eu-central-1.amazonaws.com/a.txt",
        "https://s3.eu-central-1.amazonaws.com/a.pem",
        "",
    };
    struct arena a;

    (void)state;
    arena_init(&a);
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        struct webhook_request_text t;
        const char *body = webhook_request_replace(&a, notification, sns_url, urls[i]);

        webhook_request_init(&t, &a, "", str_from(webhook_request_replace(&a, body, "{s}", "AAAA")),
                             NOW_MS);
        if (webhook_request_check(&t, "sns", NULL) != WEBHOOK_REFUSED)
            fail_msg("%s", urls[i]);
        assert_non_null(strstr(t.e.msg, "not one of SNS"));
    }
    arena_fini(&a);
}

static void webhook_certificate_new_bad_certificate_is_refused(void **state)
{
    struct webhook_signer *weak = webhook_signer_new(1024, NOW_MS / 1000);
    struct webhook_signer *old = webhook_signer_new(2048, NOW_MS / 1000 - 400 * 86400);
    struct webhook_certificate *c;
    struct webhook_request_text t;
    struct arena a;
    struct str pem;
    struct err e;

    (void)state;
    arena_init(&a);
    pem = webhook_signer_pem(weak, &a);
    assert_null(webhook_certificate_new(pem, &e));
    assert_null(webhook_certificate_new(STR(""), &e));
    assert_null(webhook_certificate_new(STR("no certificate"), &e));
    pem = webhook_signer_pem(old, &a);
    assert_null(webhook_certificate_new(str_slice(pem, 0, pem.n / 2), &e));
    assert_int_equal(e.code, E_WEBHOOK_UNVERIFIED);
    c = webhook_certificate_new(pem, &e);
    assert_non_null(c);
    sns(&t, &a, old, notification, "SHA256", notification_signed);
    t.request.certificate = c;
    assert_int_equal(webhook_request_check(&t, "sns", NULL), WEBHOOK_REFUSED);
    assert_non_null(strstr(t.e.msg, "not valid now"));
    webhook_certificate_free(c);
    webhook_signer_free(weak);
    webhook_signer_free(old);
    arena_fini(&a);
}

/* ---- the forms of URLs ----------------------------------------------------------------------- */

static void check_url(const char *provider, const char *url, char text, const char *hash,
                      const char *payload, const char *headers)
{
    struct webhook_request_text t;
    struct arena a;
    const char *signature;

    arena_init(&a);
    signature = webhook_request_sign(&a, hash, text, STR("s"), str_from(payload));
    webhook_request_init(&t, &a, webhook_request_replace(&a, headers, "{s}", signature), STR(""),
                         NOW_MS);
    t.request.method = STR("GET");
    t.request.url = str_from(url);
    if (webhook_request_check(&t, provider, "s") != WEBHOOK_VERIFIED)
        fail_msg("%s %s: %s", provider, url, t.e.msg);
    arena_fini(&a);
}

static void webhook_check_urls_are_signed_as_providers_write_them(void **state)
{
    static const char hubspot[] =
        "x-hubspot-signature-v3: {s}\nx-hubspot-request-timestamp: 1700000000000\n";
    static const char plivo[] = "x-plivo-signature-v3: {s}\nx-plivo-signature-v3-nonce: n\n";
    static const char contentful[] =
        "x-contentful-signature: {s}\nx-contentful-signed-headers: x-contentful-timestamp\n"
        "x-contentful-timestamp: 1700000000000\n";

    (void)state;
    check_url("hubspot", "https://a.example/x?u=https%3A%2F%2Fb%20c&d=%24", 'b', "SHA256",
              "GEThttps://a.example/x?u=https://b%20c&d=$1700000000000", hubspot);
    check_url("hubspot", "https://a.example/x?u=https%3A%2F%2Fb", 'b', "SHA256",
              "GEThttps://a.example/x?u=https%3A%2F%2Fb1700000000000", hubspot);
    check_url("plivo", "https://a.example/x", 'b', "SHA256", "https://a.example/x.n", plivo);
    check_url("plivo", "https://a.example/x?b=2&a=1%202&b=1", 'b', "SHA256",
              "https://a.example/x?a=1 2&b=1&b=2.n", plivo);
    check_url("contentful", "https://a.example/x%20y?a=1&b", 'x', "SHA256",
              "GET\n/x%2520y?a%253D1%2526b\nx-contentful-timestamp:1700000000000\n", contentful);
    check_url("contentful", "https://a.example/x?a=1", 'x', "SHA256",
              "GET\n/x?a=1\nx-contentful-timestamp:1700000000000\n", contentful);
    check_url("twilio", "https://[2001:db8::1]/x", 'b', "SHA1", "https://[2001:db8::1]:443/x",
              "x-twilio-signature: {s}\n");
    check_url("twilio", "http://a.example:8080?q", 'b', "SHA1", "http://a.example?q",
              "x-twilio-signature: {s}\n");
}

/* Plivo signs a query and a form together. */
static void webhook_check_plivo_query_and_form_are_joined(void **state)
{
    struct webhook_request_text t;
    struct arena a;
    const char *signature;

    (void)state;
    arena_init(&a);
    signature =
        webhook_request_sign(&a, "SHA256", 'b', STR("s"), STR("https://a.example/x?q=1.a1b2.n"));
    webhook_request_init(&t, &a, form_type, STR("b=2&a=1"), NOW_MS);
    webhook_request_add(&t, "x-plivo-signature-ma-v3", signature);
    webhook_request_add(&t, "x-plivo-signature-v3-nonce", "n");
    t.request.url = STR("https://a.example/x?q=1");
    assert_int_equal(webhook_request_check(&t, "plivo", "s"), WEBHOOK_VERIFIED);
    arena_fini(&a);
}

/* Airship signs its JSON and then compresses it. */
static void webhook_check_airship_signs_before_compressing(void **state)
{
    struct webhook_request_text t;
    struct encoder *encoder = encoder_new(CODING_GZIP);
    struct buf gzip;
    struct arena a;
    struct err e;

    (void)state;
    arena_init(&a);
    buf_init(&gzip, 4096);
    assert_int_equal(encoder_push(encoder, str_from(json), CODING_FINISH, &gzip, &e), 0);
    webhook_request_init(&t, &a, "x-ua-timestamp: 1700000000\ncontent-encoding: gzip\n",
                         buf_str(&gzip), NOW_MS);
    webhook_request_add(
        &t, "x-ua-signature",
        webhook_request_sign(&a, "SHA256", 'x', STR("s"), arena_fmt(&a, "1700000000:%s", json)));
    assert_int_equal(webhook_request_check(&t, "airship", "s"), WEBHOOK_VERIFIED);
    t.request.body = str_slice(t.request.body, 0, t.request.body.n - 1);
    assert_int_equal(webhook_request_check(&t, "airship", "s"), WEBHOOK_REFUSED);
    assert_non_null(strstr(t.e.msg, "cannot be decoded"));
    encoder_free(encoder);
    buf_fini(&gzip);
    arena_fini(&a);
}

/* ---- challenges ------------------------------------------------------------------------------ */

static void ask(struct webhook_request_text *t, struct arena *a, const char *provider,
                const char *method, const char *url, const char *headers,
                enum webhook_verdict expected)
{
    webhook_request_init(t, a, headers, STR(""), NOW_MS);
    t->request.method = str_from(method);
    t->request.url = str_from(url);
    if (webhook_request_check(t, provider, "s") != expected)
        fail_msg("%s %s %s", provider, method, url);
}

static void webhook_check_challenges_are_answered(void **state)
{
    struct webhook_request_text t;
    struct arena a;

    (void)state;
    arena_init(&a);
    ask(&t, &a, "twitter", "GET", "https://a.example/x?crc_token=abc%2D1&nonce=2", "",
        WEBHOOK_ANSWER);
    assert_int_equal(t.out.status, 200);
    assert_true(str_eq(t.out.type, STR("application/json")));
    assert_true(str_eq(t.out.body,
                       arena_fmt(&a, "{\"response_token\":\"sha256=%s\"}",
                                 webhook_request_sign(&a, "SHA256", 'b', STR("s"), STR("abc-1")))));
    ask(&t, &a, "dropbox", "GET", "https://a.example/x?challenge=abc_1", "", WEBHOOK_ANSWER);
    assert_true(str_eq(t.out.body, STR("abc_1")));
    assert_true(str_eq(t.out.type, STR("text/plain")));
    ask(&t, &a, "worldline", "GET", "https://a.example/x",
        "X-GCS-Webhooks-Endpoint-Verification: a-b-c\n", WEBHOOK_ANSWER);
    assert_true(str_eq(t.out.body, STR("a-b-c")));
    arena_fini(&a);
}

/* What could be a webhook is never signed, and nothing that a browser could run is said again. */
static void webhook_check_challenges_that_are_no_tokens_are_refused(void **state)
{
    static const struct {
        const char *provider;
        const char *method;
        const char *url;
        const char *headers;
    } cases[] = {
        { "twitter", "POST", "https://a.example/x?crc_token=abc", "" },
        { "twitter", "GET", "https://a.example/x", "" },
        { "twitter", "GET", "https://a.example/x?crc_token=", "" },
        { "twitter", "GET", "https://a.example/x?crc_token=a&crc_token=b", "" },
        { "twitter", "GET", "https://a.example/x?crc_token=%7B%22a%22%3A1%7D", "" },
        { "twitter", "GET", "https://a.example/x?crc_token=a+b", "" },
        { "dropbox", "GET", "https://a.example/x?challenge=%3Cscript%3E", "" },
        { "dropbox", "POST", "https://a.example/x?challenge=abc", "" },
        { "worldline", "GET", "https://a.example/x", "" },
        { "worldline", "POST", "https://a.example/x", "x-gcs-webhooks-endpoint-verification: a\n" },
        { "worldline", "GET", "https://a.example/x",
          "x-gcs-webhooks-endpoint-verification: <a>\n" },
        { "github", "GET", "https://a.example/x?crc_token=abc&challenge=abc", "" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct webhook_request_text t;
        struct arena a;

        arena_init(&a);
        ask(&t, &a, cases[i].provider, cases[i].method, cases[i].url, cases[i].headers,
            WEBHOOK_REFUSED);
        arena_fini(&a);
    }
}

static void webhook_check_xero_intent_gets_200_or_401(void **state)
{
    static const char intent[] = "{\"events\":[],\"firstEventSequence\":0,\"entropy\":\"ABC\"}";
    static const char event[] = "{\"events\":[{}],\"entropy\":\"ABC\"}";
    struct webhook_request_text t;
    struct arena a;

    (void)state;
    arena_init(&a);
    webhook_request_init(&t, &a, "", str_from(intent), NOW_MS);
    webhook_request_add(&t, "x-xero-signature",
                        webhook_request_sign(&a, "SHA256", 'b', STR("s"), str_from(intent)));
    assert_int_equal(webhook_request_check(&t, "xero", "s"), WEBHOOK_ANSWER);
    assert_int_equal(t.out.status, 200);
    assert_int_equal(t.out.body.n + t.out.type.n, 0);
    assert_int_equal(webhook_request_check(&t, "xero", "t"), WEBHOOK_ANSWER);
    assert_int_equal(t.out.status, 401);
    t.count = 0;
    assert_int_equal(webhook_request_check(&t, "xero", "s"), WEBHOOK_ANSWER);
    assert_int_equal(t.out.status, 401);
    t.request.body = str_from(event);
    assert_int_equal(webhook_request_check(&t, "xero", "s"), WEBHOOK_REFUSED);
    arena_fini(&a);
}

static void zoom(struct arena *a, const char *body, const char *secret,
                 enum webhook_verdict expected, struct webhook_request_text *t)
{
    struct str payload = arena_fmt(a, "v0:1700000000:%s", body);

    webhook_request_init(t, a, "x-zm-request-timestamp: 1700000000\n", str_from(body), NOW_MS);
    webhook_request_add(
        t, "x-zm-signature",
        arena_fmt(a, "v0=%s", webhook_request_sign(a, "SHA256", 'x', STR("s"), payload)).p);
    assert_int_equal(webhook_request_check(t, "zoom", secret), expected);
}

static void webhook_check_zoom_url_validation_needs_a_signature(void **state)
{
    static const char question[] =
        "{\"payload\":{\"plainToken\":\"qgg8vlvZRS6UYooatFL8Aw\"},\"event_ts\":1654503849680,"
        "\"event\":\"endpoint.url_validation\"}";
    struct webhook_request_text t;
    struct arena a;

    (void)state;
    arena_init(&a);
    zoom(&a, question, "s", WEBHOOK_ANSWER, &t);
    assert_true(str_eq(
        t.out.body,
        arena_fmt(
            &a, "{\"plainToken\":\"qgg8vlvZRS6UYooatFL8Aw\",\"encryptedToken\":\"%s\"}",
            webhook_request_sign(&a, "SHA256", 'x', STR("s"), STR("qgg8vlvZRS6UYooatFL8Aw")))));
    zoom(&a, question, "t", WEBHOOK_REFUSED, &t);
    zoom(&a, "{\"payload\":{\"plainToken\":\"a b\"},\"event\":\"endpoint.url_validation\"}", "s",
         WEBHOOK_VERIFIED, &t);
    zoom(&a, "{\"payload\":{\"plainToken\":\"a\"},\"event\":\"meeting.started\"}", "s",
         WEBHOOK_VERIFIED, &t);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(webhook_check_right_signature_is_verified),
        cmocka_unit_test(webhook_check_missing_or_repeated_header_is_refused),
        cmocka_unit_test(webhook_check_stale_time_is_refused),
        cmocka_unit_test(webhook_list_every_provider_has_a_sample),
        cmocka_unit_test(webhook_check_published_examples_are_verified),
        cmocka_unit_test(webhook_check_malformed_is_refused),
        cmocka_unit_test(webhook_check_too_many_of_anything_is_refused),
        cmocka_unit_test(webhook_key_new_bad_secret_is_refused),
        cmocka_unit_test(webhook_key_new_long_secret_is_refused),
        cmocka_unit_test(webhook_check_sns_messages_are_verified),
        cmocka_unit_test(webhook_check_changed_sns_message_is_refused),
        cmocka_unit_test(webhook_check_sns_certificate_of_others_is_refused),
        cmocka_unit_test(webhook_certificate_new_bad_certificate_is_refused),
        cmocka_unit_test(webhook_check_urls_are_signed_as_providers_write_them),
        cmocka_unit_test(webhook_check_plivo_query_and_form_are_joined),
        cmocka_unit_test(webhook_check_airship_signs_before_compressing),
        cmocka_unit_test(webhook_check_challenges_are_answered),
        cmocka_unit_test(webhook_check_challenges_that_are_no_tokens_are_refused),
        cmocka_unit_test(webhook_check_xero_intent_gets_200_or_401),
        cmocka_unit_test(webhook_check_zoom_url_validation_needs_a_signature),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
