/*
 * basic-auth: asks the visitor for a user and password (spec traffic-policy 6.3, RFC 7617).
 * Credentials are kept as SHA-256 of "user:password" only. What a visitor presents is hashed too
 * and compared with every credential, match or not, so that the time tells neither which one was
 * close nor how long it is.
 */
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/mem.h"
#include "policy/action.h"

enum {
    CREDENTIALS_MAX = 10,
    USER_MAX_CHARS = 128,
    /* 8 is the documented minimum; 4 lets everyone's first try, user:pass, work. */
    PASSWORD_MIN_CHARS = 4,
    PASSWORD_MAX_CHARS = 128,
    REALM_MAX_BYTES = 128,
    UTF8_MAX_BYTES = 4,
    /* No credential is longer, so what a visitor sends beyond this cannot match. */
    PAIR_MAX_BYTES = (USER_MAX_CHARS + PASSWORD_MAX_CHARS) * UTF8_MAX_BYTES + 1,
    HASH_BYTES = 32,
    /* Basic realm="", charset="UTF-8" around a realm of which every byte is escaped */
    CHALLENGE_BYTES = 2 * REALM_MAX_BYTES + 40,
};

static const char body_text[] = "401 Unauthorized: this endpoint asks for a user and a password\n";

struct basic_auth {
    EVP_MD *sha256; /* owned; fetched once, because a fetch per request would take a lock */
    size_t count;
    unsigned char hashes[CREDENTIALS_MAX][HASH_BYTES];
    char challenge[CHALLENGE_BYTES]; /* value of www-authenticate */
    bool enforce;
};

/* False only if libcrypto fails, and then nothing may match. */
static bool hash_pair(const struct basic_auth *b, struct str pair, unsigned char out[HASH_BYTES])
{
    return EVP_Digest(pair.p, pair.n, out, NULL, b->sha256, NULL) == 1;
}

static bool has_control(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7F)
            return true;
    }
    return false;
}

static int check_user(struct fields *c, struct str user)
{
    if (user.n == 0)
        return err_set(c->e, E_AUTH_USER_EMPTY, "the user before ':' is empty; give user:password");
    if (fields_chars(user) > USER_MAX_CHARS)
        return err_set(c->e, E_AUTH_USER_LENGTH,
                       "the user has %zu characters, at most %d are allowed", fields_chars(user),
                       USER_MAX_CHARS);
    if (has_control(user) || str_find_char(user, ':') != user.n)
        return err_set(c->e, E_POLICY_AUTH_USER,
                       "the user has a colon or a control character, which RFC 7617 forbids");
    return 0;
}

static int check_password(struct fields *c, struct str user, struct str password)
{
    size_t chars = fields_chars(password);

    if (chars < PASSWORD_MIN_CHARS || chars > PASSWORD_MAX_CHARS)
        return err_set(c->e, chars < PASSWORD_MIN_CHARS ? E_POLICY_TOO_SHORT : E_POLICY_TOO_LONG,
                       "the password of user '%.*s' has %zu characters, it must have %d to %d",
                       STR_ARG(str_slice(user, 0, 64)), chars, PASSWORD_MIN_CHARS,
                       PASSWORD_MAX_CHARS);
    if (has_control(password))
        return err_set(
            c->e, E_POLICY_AUTH_PASSWORD,
            "the password of user '%.*s' has a control character, which RFC 7617 forbids",
            STR_ARG(str_slice(user, 0, 64)));
    return 0;
}

static int add_credential(struct fields *c, struct basic_auth *b, struct str user,
                          struct str password)
{
    char pair[PAIR_MAX_BYTES];
    size_t n;
    bool hashed;

    if (check_user(c, user) == -1 || check_password(c, user, password) == -1)
        return -1;
    memcpy(pair, user.p, user.n);
    pair[user.n] = ':';
    memcpy(pair + user.n + 1, password.p, password.n);
    n = user.n + 1 + password.n;
    hashed = hash_pair(b, str_of(pair, n), b->hashes[b->count]);
    mem_wipe(pair, n);
    if (!hashed)
        return err_set(c->e, E_SYSTEM, "the SHA-256 digest failed");
    b->count++;
    return 0;
}

/* "user:password", or the mapping {username, password} that published examples use. */
static int read_credential(struct fields *c, struct basic_auth *b, size_t index, const json_t *json)
{
    static const char *const known[] = { "username", "password", NULL };
    struct str pair = fields_json_str(json);
    size_t colon;

    fields_at(c, "credentials[%zu]", index);
    if (json_is_object(json)) {
        const json_t *user = json_object_get(json, "username");
        const json_t *password = json_object_get(json, "password");

        if (fields_check_keys(json, known, E_POLICY_CONFIG, c->e) == -1)
            return -1;
        if (!json_is_string(user) || !json_is_string(password))
            return fields_wrong_type(c, "a mapping of username and password, both strings");
        if (fields_check_literal(c, fields_json_str(user)) == -1 ||
            fields_check_literal(c, fields_json_str(password)) == -1)
            return -1;
        return add_credential(c, b, fields_json_str(user), fields_json_str(password));
    }
    if (!json_is_string(json))
        return fields_wrong_type(c, "a string user:password");
    if (fields_check_literal(c, pair) == -1)
        return -1;
    colon = str_find_char(pair, ':');
    if (colon == pair.n)
        return err_set(c->e, E_POLICY_CONFIG, "no ':' between user and password");
    return add_credential(c, b, str_slice(pair, 0, colon), str_skip(pair, colon + 1));
}

static int read_credentials(struct fields *c, struct basic_auth *b)
{
    const json_t *list;

    if (fields_list(c, "credentials", CREDENTIALS_MAX, &list) == -1)
        return -1;
    if (json_array_size(list) == 0)
        return fields_missing(c, "credentials");
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (read_credential(c, b, i, json_array_get(list, i)) == -1)
            return -1;
    }
    return 0;
}

static int read_realm(struct fields *c, struct basic_auth *b)
{
    struct str realm = STR("ngrok");
    struct buf quoted;

    if (fields_str(c, "realm", &realm) == -1)
        return -1;
    if (realm.n > REALM_MAX_BYTES)
        return err_set(c->e, E_POLICY_TOO_LONG, "%zu characters, at most %d are allowed", realm.n,
                       REALM_MAX_BYTES);
    buf_init(&quoted, CHALLENGE_BYTES);
    buf_add_str(&quoted, STR("Basic realm=\""));
    for (size_t i = 0; i < realm.n; i++) {
        char ch = realm.p[i];

        if ((unsigned char)ch < 0x20 || (unsigned char)ch >= 0x7F) {
            buf_fini(&quoted);
            return err_set(c->e, E_POLICY_FIELD, "character %zu is not printable ASCII", i + 1);
        }
        if (ch == '"' || ch == '\\')
            buf_add_char(&quoted, '\\');
        buf_add_char(&quoted, ch);
    }
    buf_add_str(&quoted, STR("\", charset=\"UTF-8\""));
    (void)snprintf(b->challenge, sizeof(b->challenge), "%.*s", STR_ARG(buf_str(&quoted)));
    buf_fini(&quoted);
    return 0;
}

void *basic_auth_compile(struct fields *c)
{
    static const char *const known[] = { "credentials", "realm", "enforce", NULL };
    struct basic_auth *b = mem_zalloc(sizeof(*b));

    b->enforce = true;
    b->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (b->sha256 == NULL) {
        (void)err_set(c->e, E_SYSTEM, "the SHA-256 digest is not available");
        goto fail;
    }
    if (fields_open(c, known) == -1 || fields_bool(c, "enforce", &b->enforce) == -1 ||
        read_realm(c, b) == -1 || read_credentials(c, b) == -1)
        goto fail;
    return b;
fail:
    basic_auth_free(b);
    return NULL;
}

/* Reads the one Authorization field of the request. Two of them could mean one thing here and
 * another to the upstream, so they count as none. */
static bool read_presented(const struct action_run *run, char pair[PAIR_MAX_BYTES], size_t *n)
{
    struct str field = run->host->header_find(run->ctx, STR("authorization"), 0);

    if (field.p == NULL || run->host->header_find(run->ctx, STR("authorization"), 1).p != NULL)
        return false;
    field = str_trim_ows(field);
    if (!str_starts_nocase(field, STR("Basic ")))
        return false;
    return base64_decode(str_trim_ows(str_skip(field, 6)), pair, PAIR_MAX_BYTES, n) == 0;
}

static bool is_known_pair(const struct basic_auth *b, struct str pair)
{
    unsigned char hash[HASH_BYTES];
    unsigned matches = 0;

    if (!hash_pair(b, pair, hash))
        return false;
    for (size_t i = 0; i < b->count; i++)
        matches |= mem_equal_secret(b->hashes[i], hash, HASH_BYTES);
    mem_wipe(hash, sizeof(hash));
    return matches != 0;
}

static enum policy_verdict challenge(const struct basic_auth *b, const struct action_run *run)
{
    struct policy_response *response = &run->result->response;

    response->error = E_OK;
    response->status = 401;
    response->headers[0] = (struct policy_header){ STR("www-authenticate"),
                                                   arena_str(run->arena, str_from(b->challenge)) };
    response->headers[1] =
        (struct policy_header){ STR("content-type"), STR("text/plain; charset=utf-8") };
    response->headers[2] = (struct policy_header){ STR("cache-control"), STR("no-store") };
    response->header_count = 3;
    response->body = str_from(body_text);
    return POLICY_RESPOND;
}

enum policy_verdict basic_auth_run(const void *compiled, const struct action_run *run)
{
    const struct basic_auth *b = compiled;
    char bytes[PAIR_MAX_BYTES];
    struct str pair = STR_NONE;
    bool authorized = false;

    if (read_presented(run, bytes, &pair.n)) {
        pair.p = bytes;
        authorized = is_known_pair(b, pair);
        run->result->basic_auth_username =
            arena_str(run->arena, str_slice(pair, 0, str_find_char(pair, ':')));
    }
    mem_wipe(bytes, sizeof(bytes)); /* also what a refused text left there */
    run->result->basic_auth_decision = authorized ? STR("allow") : STR("block");
    return authorized || !b->enforce ? POLICY_CONTINUE : challenge(b, run);
}

void basic_auth_free(void *compiled)
{
    struct basic_auth *b = compiled;

    if (b == NULL)
        return;
    EVP_MD_free(b->sha256);
    mem_wipe(b->hashes, sizeof(b->hashes));
    mem_free(b);
}
