/*
 * Schemes that no row of the table can say, because the signature or the time is not in a header, or
 * because it is none. Those over the URL are in webhook_url.c.
 */
#include <string.h>

#include "base/base64.h"
#include "base/mem.h"
#include "policy/webhook_int.h"

/* A DER signature of P-256 is never longer. */
enum { ECDSA_MAX_BYTES = 72, PAIR_MAX_BYTES = WEBHOOK_SECRET_MAX_BYTES };

static struct str secret_of(const struct webhook_run *r)
{
    return str_of(r->key->text, r->key->bytes);
}

/* ---- secrets that are simply sent ------------------------------------------------------------ */

/* The header is the secret (GitLab). */
enum webhook_verdict webhook_verify_token(const struct webhook_run *r)
{
    struct str token;

    if (webhook_header(r, r->webhook->scheme->headers, &token) == -1)
        return WEBHOOK_REFUSED;
    if (webhook_is_same(r, token, secret_of(r)))
        return WEBHOOK_VERIFIED;
    return webhook_refuse(r, "the token is wrong");
}

/* Basic credentials; the secret is user::password (VMware). */
enum webhook_verdict webhook_verify_credentials(const struct webhook_run *r)
{
    struct str secret = secret_of(r);
    size_t colons = str_find(secret, STR("::"));
    char pair[PAIR_MAX_BYTES];
    struct str user;
    struct str field;
    size_t colon;
    size_t n;
    bool user_is_same;
    bool password_is_same;

    if (webhook_header(r, r->webhook->scheme->headers, &field) == -1)
        return WEBHOOK_REFUSED;
    if (!str_starts_nocase(field, STR("Basic ")) ||
        base64_decode(str_trim_ows(str_skip(field, 6)), pair, sizeof(pair), &n) == -1)
        return webhook_refuse(r, "the credentials are malformed");
    user = str_of(pair, n);
    colon = str_find_char(user, ':');
    user_is_same = webhook_is_same(r, str_slice(user, 0, colon), str_slice(secret, 0, colons));
    password_is_same = webhook_is_same(r, str_skip(user, colon + 1), str_skip(secret, colons + 2));
    if (colon < n && user_is_same && password_is_same)
        return WEBHOOK_VERIFIED;
    return webhook_refuse(r, "the credentials are wrong");
}

/* ---- JSON ------------------------------------------------------------------------------------ */

json_t *webhook_json(const struct webhook_run *r)
{
    struct str body = r->request->body;
    json_error_t unused;
    json_t *json = NULL;

    /* A name that is there twice could be read otherwise by the upstream. */
    if (body.n <= WEBHOOK_JSON_MAX_BYTES)
        json = json_loadb(body.p != NULL ? body.p : "", body.n, JSON_REJECT_DUPLICATES, &unused);
    if (json_is_object(json))
        return json;
    json_decref(json);
    (void)webhook_refuse(r, "the body is no JSON object, or too large for one");
    return NULL;
}

struct str webhook_json_string(const json_t *object, const char *name)
{
    const json_t *member = json_object_get(object, name);

    return json_is_string(member) ? str_of(json_string_value(member), json_string_length(member))
                                  : STR_NONE;
}

/* Linear: the time is a number in the body, which is signed. */
enum webhook_verdict webhook_verify_linear(const struct webhook_run *r)
{
    enum webhook_verdict verdict = webhook_verify_row(r);
    const json_t *time;
    json_t *json;

    if (verdict != WEBHOOK_VERIFIED)
        return verdict;
    json = webhook_json(r);
    if (json == NULL)
        return WEBHOOK_REFUSED;
    time = json_object_get(json, "webhookTimestamp");
    if (!json_is_integer(time))
        verdict = webhook_refuse(r, "the body has no time");
    else if (webhook_check_time(r, arena_fmt(r->request->arena, "%" JSON_INTEGER_FORMAT,
                                             json_integer_value(time))) == -1)
        verdict = WEBHOOK_REFUSED;
    json_decref(json);
    return verdict;
}

/* ---- Mailgun --------------------------------------------------------------------------------- */

/*
 * What is signed is only the time and a token, so this tells who sent a webhook and not what it says. An
 * event of a subaccount is signed with the key of its parent, too.
 */
static enum webhook_verdict check_mailgun(const struct webhook_run *r, struct str timestamp,
                                          struct str token, struct str signature, struct str parent)
{
    struct webhook_digest digest;
    struct webhook_mac m;

    if (timestamp.n == 0 || token.n == 0 || signature.n == 0)
        return webhook_refuse(r, "the body has no signature");
    if (webhook_check_time(r, timestamp) == -1)
        return WEBHOOK_REFUSED;
    webhook_mac_start(r, &m);
    webhook_mac_add(&m, timestamp);
    webhook_mac_add(&m, token);
    webhook_mac_end(&m, &digest);
    if (webhook_matches(r->webhook->scheme->coding, signature, &digest) ||
        webhook_matches(r->webhook->scheme->coding, parent, &digest))
        return WEBHOOK_VERIFIED;
    return webhook_refuse(r, "the signature is wrong");
}

enum webhook_verdict webhook_verify_mailgun(const struct webhook_run *r)
{
    enum webhook_verdict verdict;
    struct webhook_params params;
    const json_t *signature;
    json_t *json;

    if (webhook_is_form(r)) {
        if (webhook_read_params(r, r->request->body, &params) == -1)
            return WEBHOOK_REFUSED;
        return check_mailgun(r, webhook_param_find(&params, STR("timestamp")),
                             webhook_param_find(&params, STR("token")),
                             webhook_param_find(&params, STR("signature")), STR_NONE);
    }
    json = webhook_json(r);
    if (json == NULL)
        return WEBHOOK_REFUSED;
    signature = json_object_get(json, "signature");
    verdict = check_mailgun(r, webhook_json_string(signature, "timestamp"),
                            webhook_json_string(signature, "token"),
                            webhook_json_string(signature, "signature"),
                            webhook_json_string(signature, "parent-signature"));
    json_decref(json);
    return verdict;
}

/* ---- Hygraph --------------------------------------------------------------------------------- */

/* A JSON string as JavaScript's JSON.stringify() writes it. */
static void add_json_string(struct webhook_mac *m, struct str s)
{
    static const char *const short_escapes[0x20] = {
        ['\b'] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n", ['\f'] = "\\f", ['\r'] = "\\r",
    };
    static const char digits[] = "0123456789abcdef";
    size_t done = 0;

    webhook_mac_add(m, STR("\""));
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        const char escaped[] = { '\\', 'u', '0', '0', digits[c >> 4], digits[c & 15] };

        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        webhook_mac_add(m, str_slice(s, done, i));
        if (c >= 0x20) {
            webhook_mac_add(m, STR("\\"));
            webhook_mac_add(m, str_slice(s, i, i + 1));
        } else if (short_escapes[c] != NULL) {
            webhook_mac_add(m, str_from(short_escapes[c]));
        } else {
            webhook_mac_add(m, str_of(escaped, sizeof(escaped)));
        }
        done = i + 1;
    }
    webhook_mac_add(m, str_skip(s, done));
    webhook_mac_add(m, STR("\""));
}

/* The value of "name=" among "a=1, b=2"; p == NULL when it is not there. */
static struct str find_piece(struct str list, struct str name)
{
    struct str piece;

    for (size_t i = 0; i < WEBHOOK_PIECES_MAX && str_next(&list, ',', &piece); i++) {
        piece = str_trim_ows(piece);
        if (str_starts(piece, name))
            return str_skip(piece, name.n);
    }
    return STR_NONE;
}

/* The signature is over a JSON object that holds the body as text, the environment and the time. */
enum webhook_verdict webhook_verify_hygraph(const struct webhook_run *r)
{
    struct webhook_presented p;
    struct webhook_digest digest;
    struct webhook_mac m;
    struct str field;

    if (webhook_header(r, r->webhook->scheme->headers, &field) == -1 ||
        webhook_read_presented(r, &p) == -1)
        return WEBHOOK_REFUSED;
    if (p.time.n == 0 || p.time.p[0] == '0')
        return webhook_refuse(r, "the signature has no time");
    if (webhook_check_time(r, p.time) == -1)
        return WEBHOOK_REFUSED;
    webhook_mac_start(r, &m);
    webhook_mac_add(&m, STR("{\"Body\":"));
    add_json_string(&m, r->request->body);
    webhook_mac_add(&m, STR(",\"EnvironmentName\":"));
    add_json_string(&m, find_piece(field, STR("env=")));
    webhook_mac_add(&m, STR(",\"TimeStamp\":"));
    webhook_mac_add(&m, p.time);
    webhook_mac_add(&m, STR("}"));
    webhook_mac_end(&m, &digest);
    return webhook_decide(r, &p, &digest);
}

/* ---- SendGrid -------------------------------------------------------------------------------- */

static bool ecdsa_verifies(EVP_PKEY *key, struct str time, struct str body,
                           const unsigned char *signature, size_t n)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = ctx != NULL &&
                EVP_DigestVerifyInit_ex(ctx, NULL, "SHA256", NULL, NULL, key, NULL) == 1 &&
                EVP_DigestVerifyUpdate(ctx, time.p, time.n) == 1 &&
                (body.n == 0 || EVP_DigestVerifyUpdate(ctx, body.p, body.n) == 1) &&
                EVP_DigestVerifyFinal(ctx, signature, n) == 1;

    EVP_MD_CTX_free(ctx);
    return good;
}

/* ECDSA over the time and the body. */
enum webhook_verdict webhook_verify_sendgrid(const struct webhook_run *r)
{
    unsigned char signature[ECDSA_MAX_BYTES];
    struct str text;
    struct str time;
    size_t n;

    if (webhook_header(r, r->webhook->scheme->headers, &text) == -1 ||
        webhook_header(r, r->webhook->scheme->time, &time) == -1 ||
        webhook_check_time(r, time) == -1)
        return WEBHOOK_REFUSED;
    if (base64_decode(text, signature, sizeof(signature), &n) == -1)
        return webhook_refuse(r, "the signature is malformed");
    if (ecdsa_verifies(r->key->public_key, time, r->request->body, signature, n))
        return WEBHOOK_VERIFIED;
    return webhook_refuse(r, "the signature is wrong");
}
