/* ip_policies (spec 3.8): names for sets of rules, each of which is an object of its own. */
#include "base/mem.h"
#include "tunnel/api/call.h"

/* Children that one transaction deletes. */
enum { PIECE = 24 };

static const struct api_field fields[] = {
    API_FIELD_CREATED_AT,
    API_FIELD_DESCRIPTION(API_OK),
    API_FIELD_METADATA(API_OK),
    { .name = "action",
      .type = API_STRING,
      .where = API_C | API_HIDDEN,
      .text = "of older versions; must be empty" },
};

static int check(struct api_call *c, struct api_change *ch)
{
    if (api_get(ch->input, "action").n > 0)
        return api_fail(c, API_IP_POLICY_ACTION,
                        "An IP policy has no action; its rules have one each.");
    return 0;
}

/* Deletes the rules of this action, some at a time. */
static int delete_rules(struct api_call *c, const json_t *ids, const char *action)
{
    size_t i;
    json_t *id;
    size_t pending = 0;

    json_array_foreach(ids, i, id)
    {
        json_t *rule;
        int rc =
            api_find_any(c, &api_resource_ip_policy_rules, str_from(json_string_value(id)), &rule);

        if (rc == 1 && str_eq(api_get(rule, "action"), str_from(action))) {
            rc = api_delete_child(c, &api_resource_ip_policy_rules, rule);
            pending++;
        }
        json_decref(rule);
        if (rc != -1 && pending == PIECE) {
            rc = api_commit_piece(c);
            pending = 0;
        }
        if (rc == -1)
            return -1;
    }
    return pending > 0 ? api_commit_piece(c) : 0;
}

/* What allows goes before what denies, so that a policy half gone lets nobody in who had no right. */
static int before_delete(struct api_call *c, struct api_change *ch)
{
    struct str prefix = arena_fmt(&c->arena, "cidr/%s/", ch->id);
    size_t left;

    do {
        json_t *ids;
        int rc = api_find_ids(c, &api_resource_ip_policy_rules, prefix, STORE_RANGE_MAX, &ids);

        if (rc == -1)
            return -1;
        left = json_array_size(ids);
        if (delete_rules(c, ids, "allow") == -1 || delete_rules(c, ids, "deny") == -1)
            rc = -1;
        json_decref(ids);
        if (rc == -1)
            return -1;
    } while (left > 0);
    return 0;
}

static const char *const columns[] = { "description", "created_at", NULL };

const struct api_resource api_resource_ip_policies = {
    .path = "/ip_policies",
    .list_key = "ip_policies",
    .kind = "ip_policy",
    .prefix = "ipp",
    .command = "ip-policies",
    .event = "ip_policy",
    .text = "named sets of networks, for the action restrict-ips",
    .columns = columns,
    .verbs = API_CAN_ALL,
    API_FIELDS(fields),
    .empty_update = API_IP_POLICY_EMPTY,
    .check = check,
    .before_delete = before_delete,
};
