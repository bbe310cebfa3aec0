/*
 * The parts are decoded and checked here before any library sees the token, because what would be
 * accepted by one reader and mean something else to another (a member given twice, a second text of
 * the same bytes, a NUL) is what attacks on tokens are made of.
 */
#include "policy/jwt.h"

#include <jansson.h>

#include "policy/base64url.h"

enum { PARTS = 3, PARTS_ENCRYPTED = 5 };

const char *const jwt_alg_names[JWT_ALG_COUNT + 1] = {
    [JWT_RS256] = "RS256", [JWT_RS384] = "RS384", [JWT_RS512] = "RS512",  [JWT_PS256] = "PS256",
    [JWT_PS384] = "PS384", [JWT_PS512] = "PS512", [JWT_ES256] = "ES256",  [JWT_ES384] = "ES384",
    [JWT_ES512] = "ES512", [JWT_EDDSA] = "EdDSA", [JWT_ALG_COUNT] = NULL,
};

int jwt_alg_find(struct str name, enum jwt_alg *out)
{
    for (unsigned i = 0; i < JWT_ALG_COUNT; i++) {
        if (str_eq(name, str_from(jwt_alg_names[i]))) {
            *out = (enum jwt_alg)i;
            return 0;
        }
    }
    return -1;
}

static int malformed(struct err *e, const char *why)
{
    return err_set(e, E_TOKEN_MALFORMED, "the token is malformed: %s", why);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

/* NULL when the text is no JSON object. */
static json_t *load_object(struct str text, size_t flags)
{
    json_t *json = NULL;

    /* A NUL is never JSON, but behind the end of it jansson overlooks one. */
    if (str_find_char(text, '\0') == text.n)
        json = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES | flags, NULL);
    if (json != NULL && json_is_object(json))
        return json;
    json_decref(json);
    return NULL;
}

static struct str keep_string(struct arena *a, const json_t *string)
{
    return arena_str(a, str_of(json_string_value(string), json_string_length(string)));
}

/* A member that is a string if it is there. */
static int read_string(struct arena *a, const json_t *object, const char *name, struct str *out)
{
    const json_t *member = json_object_get(object, name);

    if (member == NULL)
        return 0;
    if (!json_is_string(member))
        return -1;
    *out = keep_string(a, member);
    return 0;
}

static int read_number(const json_t *object, const char *name, bool *has, double *out)
{
    const json_t *member = json_object_get(object, name);

    if (member == NULL)
        return 0;
    if (!json_is_number(member))
        return -1;
    *has = true;
    *out = json_number_value(member);
    return 0;
}

/* ---- parts ----------------------------------------------------------------------------------- */

static int split(struct jwt *t, struct str parts[PARTS], struct err *e)
{
    struct str rest = t->text;
    struct str part;
    size_t count = 0;

    if (t->text.n > JWT_MAX_BYTES)
        return err_set(e, E_TOKEN_MALFORMED, "the token is malformed: more than %d bytes",
                       JWT_MAX_BYTES);
    for (; rest.p != NULL && str_next(&rest, '.', &part); count++) {
        if (count < PARTS)
            parts[count] = part;
    }
    if (count == PARTS_ENCRYPTED)
        return malformed(e, "encrypted tokens are not accepted");
    if (count != PARTS)
        return malformed(e, "it is not header.payload.signature");
    t->signed_text = str_slice(t->text, 0, parts[0].n + 1 + parts[1].n);
    t->signature_text = parts[2];
    return 0;
}

static int decode(struct arena *a, struct jwt *t, const struct str parts[PARTS], struct err *e)
{
    if (base64url_decode(a, parts[0], &t->header) == -1 ||
        base64url_decode(a, parts[1], &t->payload) == -1 ||
        base64url_decode(a, parts[2], &t->signature) == -1)
        return malformed(e, "a part is not base64url");
    return 0;
}

static int read_alg(struct arena *a, const json_t *header, struct jwt *t, struct err *e)
{
    struct str name = STR_NONE;

    if (read_string(a, header, "alg", &name) == -1 || name.p == NULL)
        return malformed(e, "its header names no algorithm");
    if (jwt_alg_find(name, &t->alg) == -1)
        return err_set(e, E_CREDENTIALS, "tokens that are signed this way are not accepted");
    if (json_object_get(header, "crit") != NULL)
        return err_set(e, E_CREDENTIALS, "tokens with critical extensions are not accepted");
    if (t->signature.n == 0)
        return err_set(e, E_CREDENTIALS, "the token is not signed");
    return 0;
}

static int read_header(struct arena *a, struct jwt *t, struct err *e)
{
    json_t *header = load_object(t->header, 0);
    int rc;

    if (header == NULL)
        return malformed(e, "its header is no JSON object");
    rc = read_alg(a, header, t, e);
    if (rc == 0 && (read_string(a, header, "kid", &t->kid) == -1 ||
                    read_string(a, header, "typ", &t->typ) == -1))
        rc = malformed(e, "a member of its header has the wrong type");
    json_decref(header);
    return rc;
}

/* A string, or a list of strings (RFC 7519 section 4.1.3). */
static int read_audience(struct arena *a, const json_t *payload, struct jwt *t)
{
    const json_t *aud = json_object_get(payload, "aud");
    bool is_list = json_is_array(aud);

    if (aud == NULL)
        return 0;
    t->aud_count = is_list ? json_array_size(aud) : 1;
    t->aud = arena_alloc(a, t->aud_count * sizeof(*t->aud));
    for (size_t i = 0; i < t->aud_count; i++) {
        const json_t *one = is_list ? json_array_get(aud, i) : aud;

        if (!json_is_string(one))
            return -1;
        t->aud[i] = keep_string(a, one);
    }
    return 0;
}

static int read_payload(struct arena *a, struct jwt *t, struct err *e)
{
    json_t *payload = load_object(t->payload, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL);
    int rc = 0;

    if (payload == NULL)
        return malformed(e, "its payload is no JSON object");
    if (read_string(a, payload, "iss", &t->iss) == -1 || read_audience(a, payload, t) == -1 ||
        read_number(payload, "exp", &t->has_exp, &t->exp) == -1 ||
        read_number(payload, "nbf", &t->has_nbf, &t->nbf) == -1)
        rc = malformed(e, "a claim has the wrong type");
    json_decref(payload);
    return rc;
}

int jwt_parse(struct arena *a, struct str text, struct jwt *out, struct err *e)
{
    struct str parts[PARTS] = { { NULL, 0 } };

    *out = (struct jwt){ .text = text };
    if (split(out, parts, e) == -1 || decode(a, out, parts, e) == -1 ||
        read_header(a, out, e) == -1)
        return -1;
    return read_payload(a, out, e);
}

/* ---- checks ---------------------------------------------------------------------------------- */

int jwt_check_time(const struct jwt *t, uint64_t now_s, struct err *e)
{
    double now = (double)now_s;

    if (t->has_exp && now >= t->exp + JWT_LEEWAY_S)
        return err_set(e, E_CREDENTIALS, "the token has expired");
    if (t->has_nbf && now < t->nbf - JWT_LEEWAY_S)
        return err_set(e, E_CREDENTIALS, "the token is not valid yet");
    return 0;
}

bool jwt_is_type(const struct jwt *t, struct str type)
{
    static const struct str tree = STR_INIT("application/");
    struct str typ = t->typ;

    if (typ.p == NULL)
        return true;
    if (str_starts_nocase(typ, tree))
        typ = str_skip(typ, tree.n);
    return str_eq_nocase(typ, type);
}
