/*
 * Providers test an endpoint before they use it, with a question that only its owner can answer; the
 * gateway answers so that the upstream need not know of it (spec traffic-policy 6.26).
 * An answer that is signed with the secret is an oracle: whoever may ask can have anything signed. So
 * it is given for tokens only, which are no JSON and so can be no webhook, and, where the provider signs
 * its question, for verified questions only.
 */
#include "base/base64.h"
#include "policy/webhook_int.h"

/* A question is a small body; larger ones are webhooks and not looked at. */
enum { QUESTION_MAX_BYTES = 16 * 1024 };

static bool is_get(const struct webhook_run *r)
{
    return str_eq(r->request->method, STR("GET"));
}

static enum webhook_verdict answer(const struct webhook_run *r, unsigned status, struct str type,
                                   struct str body)
{
    *r->out = (struct webhook_outcome){ .status = status, .type = type, .body = body };
    return WEBHOOK_ANSWER;
}

/* Letters, digits and the marks of base64, UUIDs and URLs; no quotes, braces or blanks. */
static bool is_token(struct str s)
{
    static const struct str marks = STR_INIT("+/=_-.~:");

    if (s.n == 0 || s.n > WEBHOOK_TOKEN_MAX_BYTES)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (!char_is_alpha(s.p[i]) && !char_is_digit(s.p[i]) &&
            str_find_char(marks, s.p[i]) == marks.n)
            return false;
    }
    return true;
}

static struct str find_parameter(const struct webhook_run *r, struct str name)
{
    struct webhook_params params;

    if (webhook_read_params(r, webhook_query(r), &params) == -1)
        return STR_NONE;
    return webhook_param_find(&params, name);
}

static void mac_token(const struct webhook_run *r, struct str token, struct webhook_digest *out)
{
    struct webhook_mac m;

    webhook_mac_start(r, &m);
    webhook_mac_add(&m, token);
    webhook_mac_end(&m, out);
}

/* X, once Twitter: GET ?crc_token=. */
enum webhook_verdict webhook_answer_crc(const struct webhook_run *r, enum webhook_verdict verdict)
{
    struct webhook_digest digest;
    struct str token;
    char text[(WEBHOOK_DIGEST_BYTES + 2) / 3 * 4];

    if (!is_get(r))
        return verdict;
    token = find_parameter(r, STR("crc_token"));
    if (!is_token(token))
        return verdict;
    mac_token(r, token, &digest);
    if (digest.n == 0)
        return verdict;
    base64_encode(str_of((const char *)digest.bytes, digest.n), text);
    return answer(r, 200, STR("application/json"),
                  arena_fmt(r->request->arena, "{\"response_token\":\"sha256=%.*s\"}",
                            (int)base64_text_bytes(digest.n), text));
}

/* Dropbox: GET ?challenge=, to be said again. */
enum webhook_verdict webhook_answer_dropbox(const struct webhook_run *r,
                                            enum webhook_verdict verdict)
{
    struct str challenge;

    if (!is_get(r))
        return verdict;
    challenge = find_parameter(r, STR("challenge"));
    if (!is_token(challenge))
        return verdict;
    return answer(r, 200, STR("text/plain"), challenge);
}

/* Worldline: GET with a header that is to be said again. */
enum webhook_verdict webhook_answer_worldline(const struct webhook_run *r,
                                              enum webhook_verdict verdict)
{
    struct str challenge;
    struct err unused;
    struct webhook_run quiet = *r;

    quiet.e = &unused;
    if (!is_get(r) ||
        webhook_header(&quiet, "x-gcs-webhooks-endpoint-verification", &challenge) == -1 ||
        !is_token(challenge))
        return verdict;
    return answer(r, 200, STR("text/plain"), challenge);
}

/* The body, if it may be a question. */
static json_t *read_question(const struct webhook_run *r)
{
    struct webhook_run quiet = *r;
    struct err unused;

    quiet.e = &unused;
    return r->request->body.n <= QUESTION_MAX_BYTES ? webhook_json(&quiet) : NULL;
}

/*
 * Xero's "intent to receive": a webhook without events, some of them signed wrongly on purpose. 200 says
 * that the signature is right, 401 that it is not.
 */
enum webhook_verdict webhook_answer_xero(const struct webhook_run *r, enum webhook_verdict verdict)
{
    json_t *json = read_question(r);
    bool is_intent = json != NULL && json_array_size(json_object_get(json, "events")) == 0 &&
                     json_is_string(json_object_get(json, "entropy"));

    json_decref(json);
    if (!is_intent)
        return verdict;
    return answer(r, verdict == WEBHOOK_VERIFIED ? 200 : 401, STR_NONE, STR_NONE);
}

static struct str make_zoom_answer(const struct webhook_run *r, struct str token)
{
    struct webhook_digest digest;
    struct buf hex;
    struct str text;

    mac_token(r, token, &digest);
    buf_init(&hex, 2 * sizeof(digest.bytes));
    for (size_t i = 0; i < digest.n; i++)
        buf_add_fmt(&hex, "%02x", digest.bytes[i]);
    text = arena_fmt(r->request->arena, "{\"plainToken\":\"%.*s\",\"encryptedToken\":\"%.*s\"}",
                     STR_ARG(token), STR_ARG(buf_str(&hex)));
    buf_fini(&hex);
    return text;
}

/* Zoom: a signed event with a token. */
enum webhook_verdict webhook_answer_zoom(const struct webhook_run *r, enum webhook_verdict verdict)
{
    json_t *json = verdict == WEBHOOK_VERIFIED ? read_question(r) : NULL;
    struct str token;

    if (json == NULL)
        return verdict;
    token = webhook_json_string(json_object_get(json, "payload"), "plainToken");
    if (str_eq(webhook_json_string(json, "event"), STR("endpoint.url_validation")) &&
        is_token(token))
        verdict = answer(r, 200, STR("application/json"), make_zoom_answer(r, token));
    json_decref(json);
    return verdict;
}
