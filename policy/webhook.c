/*
 * Nearly every provider does the same in its own words: HMAC over the body, often with a time, in hex or
 * base64, in a header of its own name. So the words are rows of a table, and this file is what they
 * all mean. Signatures are decoded and compared as bytes, so that upper-case hex is as good as lower-case.
 * A header that matters and is there twice is refused: the upstream could read the other one.
 */
#include "policy/webhook.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/x509.h>

#include "base/base64.h"
#include "base/mem.h"
#include "policy/cel/time.h"
#include "policy/coding.h"
#include "policy/media_type.h"
#include "policy/webhook_int.h"

enum { HEADER_NAME_BYTES = 64, HEADER_NUMBER_MAX = WEBHOOK_SIGNATURES_MAX };

/* ---- the table ------------------------------------------------------------------------------- */

#define HEADER(name)           .headers = (name)
#define LIST(c)                .split = (c)
#define PREFIX(text)           .prefix = (text)
#define HMAC(algorithm, text)  .hash = WEBHOOK_##algorithm, .coding = WEBHOOK_##text
#define OVER(format)           .payload = (format)
#define TIME(from, as, within) .time = (from), .unit = WEBHOOK_##as, .tolerance_s = (within)
#define SECRET(form)           .secret = WEBHOOK_SECRET_##form
#define CHECK(name)            .verify = webhook_verify_##name
#define CHALLENGE(name)        .challenge = webhook_answer_##name

static const struct webhook_scheme schemes[] = {
#define WEBHOOK(provider, source, ...) { .id = #provider, __VA_ARGS__ },
#include "policy/webhook_providers.def"
#undef WEBHOOK
};

#undef HEADER
#undef LIST
#undef PREFIX
#undef HMAC
#undef OVER
#undef TIME
#undef SECRET
#undef CHECK
#undef CHALLENGE

enum { SCHEME_COUNT = sizeof(schemes) / sizeof(schemes[0]) };

/* Other spellings that published examples have (spec traffic-policy 1.10). */
static const struct {
    const char *alias;
    const char *id;
} aliases[] = {
    { "signalsciences", "signal_sciences" },
    { "sonatype_nexus", "sonatype" },
    { "vmware_workspace", "vmware" },
};

static const char *const hash_names[] = {
    [WEBHOOK_NO_HASH] = NULL,
    [WEBHOOK_SHA1] = "SHA1",
    [WEBHOOK_SHA256] = "SHA256",
    [WEBHOOK_SHA512] = "SHA512",
};

static const struct webhook_scheme *find_scheme(struct str id)
{
    for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++) {
        if (str_eq(id, str_from(aliases[i].alias)))
            id = str_from(aliases[i].id);
    }
    for (size_t i = 0; i < SCHEME_COUNT; i++) {
        if (str_eq(id, str_from(schemes[i].id)))
            return &schemes[i];
    }
    return NULL;
}

void webhook_list(struct buf *out)
{
    for (size_t i = 0; i < SCHEME_COUNT; i++)
        buf_add_fmt(out, "%s%s", i == 0 ? "" : ", ", schemes[i].id);
}

bool webhook_needs_secret(const struct webhook *w)
{
    return w->scheme->secret != WEBHOOK_SECRET_ACCOUNT;
}

/* HMAC with that hash and a key that stands in for real ones: without any it could not be copied. */
static EVP_MAC_CTX *new_mac(const char *hash)
{
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *ctx = hmac != NULL ? EVP_MAC_CTX_new(hmac) : NULL;
    char name[16];
    OSSL_PARAM params[2];

    (void)snprintf(name, sizeof(name), "%s", hash);
    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0);
    params[1] = OSSL_PARAM_construct_end();
    if (ctx != NULL && EVP_MAC_init(ctx, (const unsigned char *)"x", 1, params) != 1) {
        EVP_MAC_CTX_free(ctx);
        ctx = NULL;
    }
    EVP_MAC_free(hmac);
    return ctx;
}

struct webhook *webhook_new(struct str provider)
{
    const struct webhook_scheme *scheme = find_scheme(provider);
    struct webhook *w;

    if (scheme == NULL)
        return NULL;
    w = mem_zalloc(sizeof(*w));
    w->scheme = scheme;
    w->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (scheme->hash != WEBHOOK_NO_HASH)
        w->mac = new_mac(hash_names[scheme->hash]);
    return w;
}

void webhook_free(struct webhook *w)
{
    if (w == NULL)
        return;
    EVP_MAC_CTX_free(w->mac);
    EVP_MD_free(w->sha256);
    mem_free(w);
}

/* ---- secrets --------------------------------------------------------------------------------- */

static int set_mac_key(const struct webhook *w, struct webhook_key *k, struct str bytes,
                       struct err *e)
{
    if (bytes.n == 0)
        return err_set(e, E_POLICY_WEBHOOK_SECRET, "the webhook secret is empty");
    k->mac = w->mac != NULL ? EVP_MAC_CTX_dup(w->mac) : NULL;
    if (k->mac == NULL || EVP_MAC_init(k->mac, (const unsigned char *)bytes.p, bytes.n, NULL) != 1)
        return err_set(e, E_SYSTEM, "HMAC is not available");
    return 0;
}

static int set_base64_key(const struct webhook *w, struct webhook_key *k, struct str text,
                          struct err *e)
{
    char bytes[WEBHOOK_SECRET_MAX_BYTES];
    size_t n;
    int rc;

    if (base64_decode_bare(text, bytes, sizeof(bytes), &n) == -1)
        return err_set(e, E_POLICY_UNPARSABLE, "the webhook secret is no base64");
    rc = set_mac_key(w, k, str_of(bytes, n), e);
    mem_wipe(bytes, n);
    return rc;
}

static int set_public_key(struct webhook_key *k, struct str text, struct err *e)
{
    unsigned char der[WEBHOOK_SECRET_MAX_BYTES];
    const unsigned char *p = der;
    char group[16];
    size_t n;

    if (base64_decode(text, der, sizeof(der), &n) == 0)
        k->public_key = d2i_PUBKEY(NULL, &p, (long)n);
    if (k->public_key == NULL || p != der + n || EVP_PKEY_is_a(k->public_key, "EC") != 1 ||
        EVP_PKEY_get_group_name(k->public_key, group, sizeof(group), NULL) != 1 ||
        strcmp(group, "prime256v1") != 0)
        return err_set(e, E_POLICY_WEBHOOK_KEY, "it must be an ECDSA public key (P-256) in base64");
    return 0;
}

static int check_pair(struct str text, struct err *e)
{
    size_t colons = str_find(text, STR("::"));

    if (colons == 0 || colons == text.n)
        return err_set(e, E_POLICY_UNPARSABLE, "it must be user::password");
    return 0;
}

static int check_account(struct str text, struct err *e)
{
    uint64_t number;

    if (text.n != 12 || str_to_u64(text, UINT64_MAX, &number) == -1)
        return err_set(e, E_POLICY_WEBHOOK_NO_SECRET,
                       "there is no secret; it may be the 12 digits of the topic owner's account");
    return 0;
}

/* What follows a prefix that may be there. */
static struct str without(struct str text, struct str prefix)
{
    return str_starts(text, prefix) ? str_skip(text, prefix.n) : text;
}

static int read_secret(const struct webhook *w, struct webhook_key *k, struct str text,
                       struct err *e)
{
    switch (w->scheme->secret) {
    case WEBHOOK_SECRET_TEXT:
        return w->scheme->hash != WEBHOOK_NO_HASH ? set_mac_key(w, k, text, e) : 0;
    case WEBHOOK_SECRET_API_KEY:
        return set_mac_key(w, k, without(without(text, STR("sk_")), STR("pk_")), e);
    case WEBHOOK_SECRET_BASE64:
        return set_base64_key(w, k, text, e);
    case WEBHOOK_SECRET_WHSEC:
        return set_base64_key(w, k, without(text, STR("whsec_")), e);
    case WEBHOOK_SECRET_PUBLIC_KEY:
        return set_public_key(k, text, e);
    case WEBHOOK_SECRET_PAIR:
        return check_pair(text, e);
    case WEBHOOK_SECRET_ACCOUNT:
        return check_account(text, e);
    }
    return 0;
}

struct webhook_key *webhook_key_new(const struct webhook *w, struct str secret, struct err *e)
{
    struct webhook_key *k;

    if (secret.n == 0) {
        (void)err_set(e, E_POLICY_WEBHOOK_SECRET, "the webhook secret is empty");
        return NULL;
    }
    if (secret.n > WEBHOOK_SECRET_MAX_BYTES) {
        (void)err_set(e, E_POLICY_TOO_LONG, "%zu bytes, at most %d are allowed", secret.n,
                      WEBHOOK_SECRET_MAX_BYTES);
        return NULL;
    }
    k = mem_zalloc(sizeof(*k));
    k->text = str_dup(secret);
    k->bytes = secret.n;
    if (read_secret(w, k, secret, e) == 0)
        return k;
    webhook_key_free(k);
    return NULL;
}

void webhook_key_free(struct webhook_key *k)
{
    if (k == NULL)
        return;
    EVP_MAC_CTX_free(k->mac);
    EVP_PKEY_free(k->public_key);
    mem_wipe(k->text, k->bytes);
    mem_free(k->text);
    mem_free(k);
}

/* ---- digests --------------------------------------------------------------------------------- */

void webhook_mac_start(const struct webhook_run *r, struct webhook_mac *m)
{
    m->ctx = EVP_MAC_CTX_dup(r->key->mac);
}

void webhook_mac_add(struct webhook_mac *m, struct str s)
{
    if (m->ctx == NULL || s.n == 0 || EVP_MAC_update(m->ctx, (const unsigned char *)s.p, s.n) == 1)
        return;
    EVP_MAC_CTX_free(m->ctx);
    m->ctx = NULL;
}

void webhook_mac_end(struct webhook_mac *m, struct webhook_digest *out)
{
    if (m->ctx == NULL || EVP_MAC_final(m->ctx, out->bytes, &out->n, sizeof(out->bytes)) != 1)
        out->n = 0;
    EVP_MAC_CTX_free(m->ctx);
    m->ctx = NULL;
}

void webhook_sha256(const struct webhook_run *r, const struct str *parts, size_t count,
                    struct webhook_digest *out)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = ctx != NULL && EVP_DigestInit_ex2(ctx, r->webhook->sha256, NULL) == 1;
    unsigned n = 0;

    for (size_t i = 0; i < count && good; i++)
        good = EVP_DigestUpdate(ctx, parts[i].p, parts[i].n) == 1;
    out->n = good && EVP_DigestFinal_ex(ctx, out->bytes, &n) == 1 ? n : 0;
    EVP_MD_CTX_free(ctx);
}

bool webhook_is_same(const struct webhook_run *r, struct str a, struct str b)
{
    struct webhook_digest of_a;
    struct webhook_digest of_b;

    webhook_sha256(r, &a, 1, &of_a);
    webhook_sha256(r, &b, 1, &of_b);
    return of_a.n > 0 && of_a.n == of_b.n && mem_equal_secret(of_a.bytes, of_b.bytes, of_a.n);
}

static int decode_hex(struct str text, unsigned char *out, size_t n)
{
    if (text.n != 2 * n)
        return -1;
    for (size_t i = 0; i < n; i++) {
        int high = char_hex_value(text.p[2 * i]);
        int low = char_hex_value(text.p[2 * i + 1]);

        if (high < 0 || low < 0)
            return -1;
        out[i] = (unsigned char)(high * 16 + low);
    }
    return 0;
}

bool webhook_matches(enum webhook_coding coding, struct str text,
                     const struct webhook_digest *digest)
{
    unsigned char bytes[WEBHOOK_DIGEST_BYTES];
    size_t n = digest->n;
    int rc = -1;

    if (digest->n == 0)
        return false;
    switch (coding) {
    case WEBHOOK_HEX:
        rc = decode_hex(text, bytes, n);
        break;
    case WEBHOOK_BASE64:
        rc = base64_decode_bare(text, bytes, sizeof(bytes), &n);
        break;
    }
    return rc == 0 && n == digest->n && mem_equal_secret(bytes, digest->bytes, n);
}

bool webhook_is_presented(const struct webhook_run *r, const struct webhook_presented *p,
                          const struct webhook_digest *digest)
{
    for (size_t i = 0; i < p->count; i++) {
        if (webhook_matches(r->webhook->scheme->coding, p->signatures[i], digest))
            return true;
    }
    return false;
}

enum webhook_verdict webhook_decide(const struct webhook_run *r, const struct webhook_presented *p,
                                    const struct webhook_digest *digest)
{
    if (webhook_is_presented(r, p, digest))
        return WEBHOOK_VERIFIED;
    return webhook_refuse(r, "the signature is wrong");
}

/* ---- what a request brings ------------------------------------------------------------------- */

enum webhook_verdict webhook_refuse(const struct webhook_run *r, const char *fmt, ...)
{
    char text[ERR_MSG_BYTES];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    (void)err_set(r->e, E_WEBHOOK_UNVERIFIED, "the webhook could not be verified: %s", text);
    return WEBHOOK_REFUSED;
}

static int refused(enum webhook_verdict verdict)
{
    return verdict == WEBHOOK_VERIFIED ? 0 : -1;
}

static struct str find_header(const struct webhook_run *r, const char *name, size_t index)
{
    return r->request->header(r->request->ctx, str_from(name), index);
}

/* The same for a header that may be missing: *value then has p == NULL. */
static int get_header(const struct webhook_run *r, const char *name, struct str *value)
{
    *value = find_header(r, name, 0);
    if (value->p == NULL)
        return 0;
    if (find_header(r, name, 1).p != NULL)
        return refused(webhook_refuse(r, "the header %s is there more than once", name));
    *value = str_trim_ows(*value);
    return 0;
}

int webhook_header(const struct webhook_run *r, const char *name, struct str *value)
{
    if (get_header(r, name, value) == -1)
        return -1;
    if (value->n == 0)
        return refused(webhook_refuse(r, "the header %s is missing", name));
    return 0;
}

bool webhook_is_form(const struct webhook_run *r)
{
    return media_type_is(find_header(r, "content-type", 0),
                         STR("application/x-www-form-urlencoded"));
}

/* Milliseconds since 1970; -1 when the text is no such time. */
static int read_time(const struct webhook_run *r, struct str text, uint64_t *ms)
{
    /* Far enough for everybody, and sums with it do not overflow. */
    const uint64_t max = (uint64_t)CEL_TIMESTAMP_MAX * 1000;
    struct cel_run run = { .arena = r->request->arena, .limits = &cel_default_limits };
    struct cel_value t;

    switch (r->webhook->scheme->unit) {
    case WEBHOOK_NO_TIME:
        return -1;
    case WEBHOOK_SECONDS:
        if (str_to_u64(text, max / 1000, ms) == -1)
            return -1;
        *ms *= 1000;
        return 0;
    case WEBHOOK_MILLISECONDS:
        return str_to_u64(text, max, ms);
    case WEBHOOK_RFC3339:
        t = cel_timestamp_parse(&run, text);
        if (t.kind != CEL_TIMESTAMP) /* Orb leaves the offset out and means UTC */
            t = cel_timestamp_parse(&run, arena_fmt(run.arena, "%.*sZ", STR_ARG(text)));
        if (t.kind != CEL_TIMESTAMP || t.as.i < 0)
            return -1;
        *ms = (uint64_t)t.as.i * 1000 + t.n / 1000000;
        return 0;
    }
    return -1;
}

int webhook_check_time(const struct webhook_run *r, struct str text)
{
    uint64_t now = r->request->now_ms;
    uint64_t ms;

    if (read_time(r, text, &ms) == -1)
        return refused(webhook_refuse(r, "the time of the request is malformed"));
    if ((ms > now ? ms - now : now - ms) > (uint64_t)r->webhook->scheme->tolerance_s * 1000)
        return refused(webhook_refuse(r, "the time of the request is too far from now"));
    return 0;
}

static int add_piece(const struct webhook_run *r, struct str piece, struct webhook_presented *p)
{
    const struct webhook_scheme *s = r->webhook->scheme;
    struct str prefix = str_from(s->prefix);
    struct str time = str_from(s->time);

    piece = str_trim_ows(piece);
    if (str_ends(time, STR("=")) && str_starts(piece, time)) {
        if (p->time.p != NULL)
            return refused(webhook_refuse(r, "the signature has more than one time"));
        p->time = str_skip(piece, time.n);
        return 0;
    }
    if (!str_starts(piece, prefix) || piece.n == prefix.n)
        return 0;
    if (p->count == WEBHOOK_SIGNATURES_MAX)
        return refused(webhook_refuse(r, "there are too many signatures"));
    p->signatures[p->count++] = str_skip(piece, prefix.n);
    return 0;
}

static int add_header(const struct webhook_run *r, const char *name, struct webhook_presented *p,
                      bool *found)
{
    char split = r->webhook->scheme->split;
    struct str rest;
    struct str piece;
    size_t pieces = 0;

    if (get_header(r, name, &rest) == -1)
        return -1;
    if (rest.p == NULL)
        return 0;
    *found = true;
    if (split == '\0')
        return add_piece(r, rest, p);
    while (str_next(&rest, split, &piece)) {
        if (pieces++ == WEBHOOK_PIECES_MAX)
            return refused(webhook_refuse(r, "the header %s is too long", name));
        if (add_piece(r, piece, p) == -1)
            return -1;
    }
    return 0;
}

/* "x-signature-#" stands for x-signature-1 and so on, up to the first that is not there. */
static int add_numbered(const struct webhook_run *r, struct str name, struct webhook_presented *p,
                        bool *found)
{
    char text[HEADER_NAME_BYTES];
    size_t mark = str_find_char(name, '#');

    if (mark == name.n) {
        (void)snprintf(text, sizeof(text), "%.*s", STR_ARG(name));
        return add_header(r, text, p, found);
    }
    for (unsigned i = 1; i <= HEADER_NUMBER_MAX; i++) {
        bool is_there = false;

        (void)snprintf(text, sizeof(text), "%.*s%u", STR_ARG(str_slice(name, 0, mark)), i);
        if (add_header(r, text, p, &is_there) == -1)
            return -1;
        if (!is_there)
            return 0;
        *found = true;
    }
    return 0;
}

int webhook_read_presented(const struct webhook_run *r, struct webhook_presented *p)
{
    const char *headers = r->webhook->scheme->headers;
    struct str rest = str_from(headers);
    struct str name;
    bool found = false;

    p->count = 0;
    p->time = STR_NONE;
    while (str_next(&rest, ' ', &name)) {
        if (add_numbered(r, name, p, &found) == -1)
            return -1;
    }
    if (!found)
        return refused(webhook_refuse(r, "the header %.*s is missing",
                                      (int)str_find_char(str_from(headers), ' '), headers));
    if (p->count == 0)
        return refused(webhook_refuse(r, "the signature is malformed"));
    return 0;
}

/* ---- a row ----------------------------------------------------------------------------------- */

/* The time that is signed, wherever it stands; empty when there is none. */
static int find_time(const struct webhook_run *r, const struct webhook_presented *p,
                     struct str *time)
{
    const struct webhook_scheme *s = r->webhook->scheme;

    *time = STR_NONE;
    if (s->time == NULL)
        return 0;
    if (!str_ends(str_from(s->time), STR("=")))
        return webhook_header(r, s->time, time);
    if (p->time.n == 0)
        return refused(webhook_refuse(r, "the signature has no time"));
    *time = p->time;
    return 0;
}

/* The body without its content codings; they are the way there, not what was signed. */
static int decode_body(const struct webhook_run *r, struct str *body)
{
    struct str encoding = find_header(r, "content-encoding", 0);
    struct buf text;
    struct err unused;
    int rc;

    *body = r->request->body;
    if (encoding.p == NULL)
        return 0;
    buf_init(&text, WEBHOOK_JSON_MAX_BYTES);
    rc = coding_decode_all(encoding, *body, &text, &unused);
    if (rc == 0)
        *body = arena_str(r->request->arena, buf_str(&text));
    buf_fini(&text);
    return rc == 0 ? 0 : refused(webhook_refuse(r, "the body cannot be decoded"));
}

/* Adds what "%c" stands for; *format is behind the '%' and moves on. */
static int add_part(const struct webhook_run *r, struct webhook_mac *m, struct str time,
                    struct str *format)
{
    struct str name;
    struct str value = STR_NONE;
    char text[HEADER_NAME_BYTES];
    size_t used = 1;

    switch (format->p[0]) {
    case 'b':
        value = r->request->body;
        break;
    case 'd':
        if (decode_body(r, &value) == -1)
            return -1;
        break;
    case 't':
        value = time;
        break;
    case 'u':
        value = r->request->url;
        break;
    case '{':
        used = str_find_char(*format, '}') + 1;
        name = str_slice(*format, 1, used - 1);
        (void)snprintf(text, sizeof(text), "%.*s", STR_ARG(name));
        if (webhook_header(r, text, &value) == -1)
            return -1;
        break;
    }
    *format = str_skip(*format, used);
    webhook_mac_add(m, value);
    return 0;
}

static int mac_payload(const struct webhook_run *r, struct str time, struct webhook_digest *out)
{
    struct str format = str_from(r->webhook->scheme->payload);
    struct webhook_mac m;
    int rc = 0;

    webhook_mac_start(r, &m);
    while (format.n > 0 && rc == 0) {
        size_t plain = str_find_char(format, '%');

        webhook_mac_add(&m, str_slice(format, 0, plain));
        format = str_skip(format, plain + 1);
        if (format.n > 0)
            rc = add_part(r, &m, time, &format);
    }
    webhook_mac_end(&m, out);
    return rc;
}

enum webhook_verdict webhook_verify_row(const struct webhook_run *r)
{
    struct webhook_presented p;
    struct webhook_digest digest;
    struct str time;

    if (webhook_read_presented(r, &p) == -1 || find_time(r, &p, &time) == -1 ||
        (time.p != NULL && webhook_check_time(r, time) == -1) ||
        mac_payload(r, time, &digest) == -1)
        return WEBHOOK_REFUSED;
    return webhook_decide(r, &p, &digest);
}

enum webhook_verdict webhook_check(const struct webhook *w, const struct webhook_key *key,
                                   const struct webhook_request *request,
                                   struct webhook_outcome *out, struct err *e)
{
    const struct webhook_run r = { w, key, request, out, e };
    enum webhook_verdict verdict;

    *out = (struct webhook_outcome){ .status = 0 };
    verdict = w->scheme->verify != NULL ? w->scheme->verify(&r) : webhook_verify_row(&r);
    return w->scheme->challenge != NULL ? w->scheme->challenge(&r, verdict) : verdict;
}
