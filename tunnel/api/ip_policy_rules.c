/* ip_policy_rules (spec 3.8): the networks of IP policies. */
#include <string.h>

#include "base/addr.h"
#include "tunnel/api/call.h"

static const char *const actions[] = { "allow", "deny", NULL };

static const struct api_field fields[] = {
    API_FIELD_CREATED_AT,
    API_FIELD_DESCRIPTION(API_IP_RULE_TEXT),
    API_FIELD_METADATA(API_OK),
    { .name = "cidr",
      .type = API_STRING,
      .where = API_C | API_U | API_R | API_F | API_REQUIRED,
      .max_bytes = CIDR_TEXT_BYTES,
      .too_long = API_IP_RULE_CIDR,
      .missing = API_IP_RULE_MISSING,
      .text = "a network with its mask, as 203.0.113.0/24" },
    { .name = "action",
      .type = API_STRING,
      .where = API_C | API_R | API_F | API_REQUIRED,
      .missing = API_IP_RULE_MISSING,
      .choices = actions,
      .bad_choice = API_IP_RULE_ACTION,
      .text = "allow or deny" },
    { .name = "ip_policy_id",
      .type = API_STRING,
      .where = API_C | API_REQUIRED,
      .missing = API_IP_RULE_MISSING,
      .text = "the policy that the rule belongs to" },
    { .name = "ip_policy", .type = API_REF, .where = API_R | API_F, .text = "its policy" },
};

static int check_cidr(struct api_call *c, const char *text, char normal[CIDR_TEXT_BYTES])
{
    struct str s = str_from(text);
    size_t slash = str_find_char(s, '/');
    struct addr a;
    struct cidr block;

    if (addr_parse_ip(str_slice(s, 0, slash), &a) == -1)
        return api_fail(c, API_IP_RULE_CIDR, "\"%s\" is not a network as 203.0.113.0/24.", text);
    if (slash == s.n)
        return api_fail(c, API_IP_RULE_NO_MASK, "\"%s\" has no mask; write %s/%d.", text, text,
                        a.family == 4 ? 32 : 128);
    if (cidr_parse(s, &block, NULL) == -1)
        return api_fail(c, API_IP_RULE_CIDR, "\"%s\" is not a network as 203.0.113.0/24.", text);
    (void)cidr_format(&block, normal);
    if (memcmp(a.ip, block.ip, a.family == 4 ? 4 : 16) != 0)
        return api_fail(c, API_IP_RULE_HOST_BITS, "\"%s\" has host bits set; the network is %s.",
                        text, normal);
    return 0;
}

static void set_lower(json_t *object, const char *name)
{
    char text[CIDR_TEXT_BYTES + 1] = { 0 };
    struct str s = api_get(object, name);

    for (size_t i = 0; i < s.n; i++)
        text[i] = char_lower(s.p[i]);
    api_set(object, name, str_from(text));
}

static int take_policy(struct api_call *c, struct api_change *ch)
{
    json_t *policy;

    if (api_find_ref(c, &api_resource_ip_policies, NULL, api_get(ch->after, "ip_policy_id"),
                     API_IP_POLICY_ID, API_IP_POLICY_UNKNOWN, &policy) == -1)
        return -1;
    api_set(ch->after, "account", api_get(policy, "account"));
    json_decref(policy);
    return 0;
}

static int check(struct api_call *c, struct api_change *ch)
{
    char normal[CIDR_TEXT_BYTES];

    if (ch->op == API_CREATE && take_policy(c, ch) == -1)
        return -1;
    if (check_cidr(c, api_get_text(ch->after, "cidr"), normal) == -1)
        return -1;
    set_lower(ch->after, "cidr");
    api_set(ch->after, "network", str_from(normal));
    return 0;
}

static size_t keys(const json_t *object, struct api_key out[API_KEYS_MAX])
{
    api_key_set(&out[0], "cidr", api_get_text(object, "ip_policy_id"), api_get(object, "network"));
    out[0].taken = API_IP_RULE_TAKEN;
    out[0].value = api_get_text(object, "cidr");
    return 1;
}

static const char *const columns[] = { "cidr", "action", "ip_policy", "description", NULL };

const struct api_resource api_resource_ip_policy_rules = {
    .path = "/ip_policy_rules",
    .list_key = "ip_policy_rules",
    .kind = "ip_policy_rule",
    .prefix = "ipr",
    .command = "ip-policy-rules",
    .event = "ip_policy_rule",
    .text = "networks of IP policies",
    .columns = columns,
    .verbs = API_CAN_ALL,
    API_FIELDS(fields),
    .empty_update = API_IP_RULE_EMPTY,
    .check = check,
    .keys = keys,
};
