/*
 * Who calls, and who owns. A principal stands for an account and whether it is that of an
 * administrator; its id is computed, so callers who never used the API have one too. Those that own
 * something are also written down, principal/<id>, so that an administrator can name them.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/mem.h"
#include "tunnel/api/api_int.h"
#include "tunnel/api/token.h"

#define PRINCIPAL_PREFIX "usr"

bool api_account_is_valid(struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];

        if (!char_is_alpha(c) && !char_is_digit(c) && c != '.' && c != '_' && c != '-')
            return false;
    }
    return name.n > 0 && name.n < API_ACCOUNT_BYTES;
}

void api_caller_init(const struct api *a, struct api_caller *out, struct str account, bool is_admin,
                     enum api_source source)
{
    char name[API_ACCOUNT_BYTES + 16];
    uint8_t hash[EVP_MAX_MD_SIZE];
    const uint8_t *ok;

    assert(api_account_is_valid(account));
    memset(out, 0, sizeof(*out));
    (void)snprintf(out->account, sizeof(out->account), "%.*s", STR_ARG(account));
    out->is_admin = is_admin;
    out->can_write = true;
    out->source = source;
    (void)snprintf(name, sizeof(name), "%s/%s", is_admin ? "admin" : "user", out->account);
    ok = HMAC(EVP_sha256(), a->secret, API_SECRET_BYTES, (const unsigned char *)name, strlen(name),
              hash, NULL);
    assert(ok != NULL); /* fails for want of memory only */
    (void)ok;
    id_from_bytes(PRINCIPAL_PREFIX, hash, out->principal);
}

/* ---- keys ----------------------------------------------------------------------------------- */

/* The stored key with this id. Returns 1, 0 or -1. */
static int load_key(struct api *a, const char *id, json_t **key, struct api_error *e)
{
    struct api_request none = { 0 };
    struct api_call c;
    int rc;

    api_call_init(&c, a, &none);
    rc = api_find_any(&c, &api_resource_api_keys, str_from(id), key);
    if (rc == -1)
        *e = c.error;
    api_call_fini(&c);
    return rc;
}

static int check_token(struct api *a, struct str token, struct api_caller *out, struct api_error *e)
{
    char id[ID_BYTES];
    char hash[API_TOKEN_HASH_BYTES];
    json_t *key = NULL;
    struct str stored;
    bool same;

    if (id_is_valid(token, api_resource_api_keys.prefix))
        return api_error_set(e, API_TOKEN_IS_ID,
                             "This is the id of an API key; its token was shown when it was made.");
    if (!api_token_parse(token, api_resource_api_keys.prefix, id))
        return api_error_set(e, API_TOKEN_FORM, "The token has not the form of an API key.");
    if (load_key(a, id, &key, e) == -1)
        return -1;
    /* A key that is not there costs as much time as one whose secret differs. */
    api_token_hash(a->secret, token, hash);
    stored = api_get(key, "hash");
    same = stored.n == sizeof(hash) - 1 && mem_equal_secret(stored.p, hash, stored.n);
    if (same) {
        api_caller_init(a, out, api_get(key, "account"),
                        json_is_true(json_object_get(key, "admin")), API_SOURCE_REST);
        (void)snprintf(out->credential, sizeof(out->credential), "%s", id);
    }
    json_decref(key);
    return same ? 0 : api_error_set(e, API_TOKEN_UNKNOWN, "The API key is unknown or was deleted.");
}

int api_authenticate(struct api *a, struct str authorization, struct api_caller *out,
                     struct api_error *e)
{
    char token[API_AUTHORIZATION_MAX_BYTES];
    int rc;

    if (authorization.p == NULL)
        return api_error_set(e, API_NO_AUTHORIZATION,
                             "The Authorization header is missing; send Bearer and an API key.");
    if (api_token_of_field(authorization, token) == -1)
        return api_error_set(
            e, API_AUTHORIZATION_SYNTAX,
            "The Authorization header cannot be parsed; send Bearer and an API key.");
    rc = check_token(a, str_from(token), out, e);
    mem_wipe(token, sizeof(token));
    return rc;
}

/* ---- owners --------------------------------------------------------------------------------- */

static struct str principal_key(struct api_call *c, struct str id)
{
    return arena_fmt(&c->arena, "principal/%.*s", STR_ARG(id));
}

/* Whom this id of a principal stands for. Returns 1, 0 or -1. */
static int find_principal(struct api_call *c, struct str id, struct api_caller *out)
{
    struct store_entries found;
    struct err e = { 0 };
    json_t *who;
    int rc;

    if (str_eq(id, str_from(api_call_who(c)->principal))) {
        *out = *api_call_who(c);
        return 1;
    }
    if (!id_is_valid(id, PRINCIPAL_PREFIX))
        return 0;
    rc = store_get(c->api->store, principal_key(c, id), &found, &e);
    if (rc == -1)
        return api_fail_store(c, &e);
    if (rc == 1) {
        who = json_loadb(found.list[0].value, found.list[0].value_bytes, 0, NULL);
        api_caller_init(c->api, out, api_get(who, "account"),
                        json_is_true(json_object_get(who, "admin")), API_SOURCE_REST);
        json_decref(who);
    }
    store_entries_fini(&found);
    return rc;
}

/* Writes down that there is this principal, with the object that it owns. */
static void remember_principal(struct api_call *c, const struct api_caller *owner)
{
    store_txn_put(c->txn, principal_key(c, str_from(owner->principal)),
                  arena_fmt(&c->arena, "{\"account\":\"%s\",\"admin\":%s}", owner->account,
                            owner->is_admin ? "true" : "false"));
}

int api_owner_take(struct api_call *c, struct api_change *ch)
{
    struct str id = api_get(ch->input, "owner_id");
    bool by_mail =
        api_get(ch->input, "owner_email").n > 0 || api_get(ch->input, "scim_user_id").n > 0;
    struct api_caller owner = *api_call_who(c);
    int rc;

    if (id.n > 0 && by_mail)
        return api_fail(c, API_OWNER_TWICE,
                        "Only one of owner_id and its alternatives may be set.");
    if (by_mail || (id.n > 0 && !str_eq(id, str_from(owner.principal)))) {
        if (!api_call_who(c)->is_admin)
            return api_fail(c, API_OWNER_FOREIGN, "Only administrators may name another owner.");
        rc = by_mail ? 0 : find_principal(c, id, &owner);
        if (rc == -1)
            return -1;
        if (rc == 0)
            return api_fail(c, API_OWNER_UNKNOWN, "There is no such owner.");
    }
    api_set(ch->after, "owner_id", str_from(owner.principal));
    api_set(ch->after, "account", str_from(owner.account));
    (void)json_object_set_new(ch->after, "admin", json_boolean(owner.is_admin));
    remember_principal(c, &owner);
    return 0;
}
