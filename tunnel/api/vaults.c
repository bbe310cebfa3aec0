/* vaults (spec 3.9): what secrets are kept in. */
#include "tunnel/api/call.h"
#include "tunnel/api/vault_name.h"

static const struct api_field fields[] = {
    { .name = "name",
      .type = API_STRING,
      .where = API_C | API_U | API_R | API_F | API_REQUIRED,
      .max_bytes = API_VAULT_NAME_MAX_BYTES,
      .too_long = API_VAULT_NAME_LENGTH,
      .missing = API_VAULT_NO_NAME,
      .text = "unique in the account: letters, digits and _ / . -" },
    API_FIELD_DESCRIPTION(API_OK),
    API_FIELD_METADATA(API_OK),
    API_FIELD_CREATED_AT,
    API_FIELD_UPDATED_AT,
    { .name = "created_by", .type = API_STRING, .where = API_R, .text = "the id of who made it" },
    { .name = "last_updated_by",
      .type = API_STRING,
      .where = API_R,
      .text = "the id of who changed it last" },
};

static int check(struct api_call *c, struct api_change *ch)
{
    struct str who = str_from(api_call_who(c)->principal);

    if (!api_vault_name_is_valid(api_get(ch->after, "name")))
        return api_fail(c, API_VAULT_NAME,
                        "The name of a vault may have letters, digits and _ / . - only.");
    if (ch->op == API_CREATE)
        api_set(ch->after, "created_by", who);
    api_set(ch->after, "last_updated_by", who);
    return 0;
}

static int before_delete(struct api_call *c, struct api_change *ch)
{
    json_t *ids;
    bool is_empty;

    if (api_find_ids(c, &api_resource_secrets, arena_fmt(&c->arena, "name/%s/", ch->id), 1, &ids) ==
        -1)
        return -1;
    is_empty = json_array_size(ids) == 0;
    json_decref(ids);
    if (!is_empty)
        return api_fail(c, API_VAULT_NOT_EMPTY, "The vault has secrets; delete them first.");
    return 0;
}

static size_t keys(const json_t *object, struct api_key out[API_KEYS_MAX])
{
    api_key_set(&out[0], "name", api_get_text(object, "account"), api_get(object, "name"));
    out[0].taken = API_VAULT_TAKEN;
    out[0].value = api_get_text(object, "name");
    return 1;
}

static bool is_of_vault(const json_t *secret, void *vault)
{
    return str_eq(api_get(secret, "vault_id"), api_get(vault, "id"));
}

static int list_secrets(struct api_call *c, const struct api_resource *r, json_t *object,
                        struct str item)
{
    struct str path = arena_fmt(&c->arena, "%s/%s/secrets", r->path, api_get_text(object, "id"));

    (void)item;
    return api_answer_list(c, &api_resource_secrets, path.p, is_of_vault, object) == 0 ? 1 : -1;
}

static const struct api_action actions[] = {
    { .method = "GET",
      .name = "secrets",
      .command = "get-secrets-by-vault",
      .text = "the secrets of the vault",
      .run = list_secrets },
};

static const char *const columns[] = { "name", "description", "created_at", NULL };

const struct api_resource api_resource_vaults = {
    .path = "/vaults",
    .list_key = "vaults",
    .kind = "vault",
    .prefix = "vault",
    .command = "vaults",
    .event = "vault",
    .text = "containers of secrets",
    .columns = columns,
    .verbs = API_CAN_ALL,
    API_FIELDS(fields),
    .has_updated = true,
    .actions = actions,
    .action_count = sizeof(actions) / sizeof(actions[0]),
    .check = check,
    .before_delete = before_delete,
    .keys = keys,
};
