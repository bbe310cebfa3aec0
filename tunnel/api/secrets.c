/* secrets (spec 3.10): values that policies use and nobody can read back. */
#include <string.h>

#include "base/base64.h"
#include "base/mem.h"
#include "tunnel/api/call.h"
#include "tunnel/api/vault_name.h"

enum { VALUE_MAX_BYTES = 65535 };

static const struct api_field fields[] = {
    { .name = "name",
      .type = API_STRING,
      .where = API_C | API_U | API_R | API_F | API_REQUIRED,
      .max_bytes = API_VAULT_NAME_MAX_BYTES,
      .too_long = API_SECRET_NAME_LENGTH,
      .missing = API_SECRET_NO_NAME,
      .text = "unique in the vault: letters, digits and _ / . -" },
    { .name = "value",
      .type = API_STRING,
      .where = API_C | API_U | API_HIDDEN | API_REQUIRED | API_STDIN,
      .max_bytes = VALUE_MAX_BYTES,
      .too_long = API_SECRET_VALUE_LENGTH,
      .missing = API_SECRET_NO_VALUE,
      .text = "what is kept; never shown again" },
    API_FIELD_DESCRIPTION(API_OK),
    API_FIELD_METADATA(API_OK),
    API_FIELD_CREATED_AT,
    API_FIELD_UPDATED_AT,
    { .name = "created_by", .type = API_REF, .where = API_R, .text = "who made it" },
    { .name = "last_updated_by", .type = API_REF, .where = API_R, .text = "who changed it last" },
    { .name = "vault_id", .type = API_STRING, .where = API_C, .text = "its vault" },
    { .name = "vault", .type = API_REF, .where = API_R, .text = "its vault" },
    { .name = "vault_name",
      .type = API_STRING,
      .where = API_C | API_HIDDEN | API_R,
      .text = "the name of its vault; instead of vault_id" },
};

/* ---- the vault ------------------------------------------------------------------------------ */

static int find_by_name(struct api_call *c, struct str name, json_t **vault)
{
    struct api_key key;
    int rc;

    api_key_set(&key, "name", api_call_who(c)->account, name);
    rc = api_find_by_key(c, &api_resource_vaults, str_from(key.text), vault);
    if (rc == 0)
        return api_fail(c, API_SECRET_VAULT_NAME, "There is no vault with this name.");
    return rc == 1 ? 0 : -1;
}

static int take_vault(struct api_call *c, struct api_change *ch)
{
    struct str id = api_get(ch->input, "vault_id");
    struct str name = api_get(ch->input, "vault_name");
    json_t *vault = NULL;
    int rc;

    if (id.n == 0 && name.n == 0)
        return api_fail(c, API_SECRET_NO_VAULT, "One of vault_id and vault_name must be set.");
    rc = id.n > 0 ? api_find_ref(c, &api_resource_vaults, NULL, id, API_ID_SYNTAX,
                                 API_SECRET_VAULT_ID, &vault)
                  : find_by_name(c, name, &vault);
    if (rc == 0 && name.n > 0 && !str_eq(name, api_get(vault, "name")))
        rc = api_fail(c, API_SECRET_VAULT_ID, "The vault of this id has another name.");
    if (rc == 0) {
        api_set(ch->after, "vault_id", api_get(vault, "id"));
        api_set(ch->after, "account", api_get(vault, "account"));
    }
    json_decref(vault);
    return rc;
}

static int show(struct api_call *c, const json_t *object, json_t *shown)
{
    json_t *vault;
    int rc = api_find_any(c, &api_resource_vaults, api_get(object, "vault_id"), &vault);

    if (rc == -1)
        return -1;
    api_set(shown, "vault_name", api_get(vault, "name"));
    json_decref(vault);
    return 0;
}

/* ---- the value ------------------------------------------------------------------------------ */

static int take_value(struct api_call *c, struct api_change *ch)
{
    struct str value = api_get(ch->input, "value");

    if (json_object_get(ch->input, "value") == NULL)
        return 0;
    return api_seal(c, ch->resource, ch->id, ch->after, "sealed", value);
}

static int check(struct api_call *c, struct api_change *ch)
{
    struct str who = str_from(api_call_who(c)->principal);

    if (!api_vault_name_is_valid(api_get(ch->after, "name")))
        return api_fail(c, API_SECRET_NAME,
                        "The name of a secret may have letters, digits and _ / . - only.");
    if (ch->op == API_CREATE) {
        if (take_vault(c, ch) == -1)
            return -1;
        api_set(ch->after, "created_by_id", who);
    }
    api_set(ch->after, "last_updated_by_id", who);
    return take_value(c, ch);
}

static size_t keys(const json_t *object, struct api_key out[API_KEYS_MAX])
{
    api_key_set(&out[0], "name", api_get_text(object, "vault_id"), api_get(object, "name"));
    out[0].taken = API_SECRET_TAKEN;
    out[0].value = api_get_text(object, "name");
    return 1;
}

static const char *const columns[] = { "name", "vault_name", "description", "updated_at", NULL };

const struct api_resource api_resource_secrets = {
    .path = "/vault_secrets",
    .list_key = "secrets",
    .kind = "secret",
    .prefix = "secret",
    .command = "secrets",
    .event = "secret",
    .text = "values for policies",
    .columns = columns,
    .verbs = API_CAN_ALL,
    API_FIELDS(fields),
    .has_updated = true,
    .check = check,
    .keys = keys,
    .show = show,
};
