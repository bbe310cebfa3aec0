/* api_keys (spec 3.6): who may use the API. A key acts as its owner. */
#include "base/mem.h"
#include "tunnel/api/api_int.h"
#include "tunnel/api/token.h"

static const struct api_field fields[] = {
    API_FIELD_DESCRIPTION(API_CREDENTIAL_TEXT),
    API_FIELD_METADATA(API_CREDENTIAL_METADATA),
    API_FIELD_CREATED_AT,
    { .name = "token",
      .type = API_STRING,
      .where = API_R | API_ONCE,
      .text = "for Authorization: Bearer; shown once, when the key is made" },
    API_FIELDS_OWNER,
};

static int check(struct api_call *c, struct api_change *ch)
{
    char token[API_TOKEN_BYTES];
    char hash[API_TOKEN_HASH_BYTES];

    if (ch->op != API_CREATE)
        return 0;
    if (api_owner_take(c, ch) == -1)
        return -1;
    api_token_new(ch->id, token);
    api_token_hash(c->api->secret, str_from(token), hash);
    api_set(ch->after, "hash", str_from(hash));
    api_set(c->once, "token", str_from(token));
    mem_wipe(token, sizeof(token));
    return 0;
}

static const char *const columns[] = { "description", "owner_id", "created_at", NULL };

const struct api_resource api_resource_api_keys = {
    .path = "/api_keys",
    .list_key = "keys",
    .kind = "api_key",
    .prefix = "ak",
    .command = "api-keys",
    .event = "api_key",
    .text = "keys of this API",
    .columns = columns,
    .verbs = API_CAN_ALL,
    API_FIELDS(fields),
    .too_many = API_KEY_LIMIT,
    .empty_update = API_CREDENTIAL_EMPTY,
    .check = check,
};
