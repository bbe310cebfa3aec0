/* ssh_credentials (spec 3.5): public keys that may log in, and what they may bind. */
#include <stdio.h>

#include "base/mem.h"
#include "tunnel/acl.h"
#include "tunnel/api/call.h"
#include "tunnel/authkeys.h"

enum { RULE_SHOWN_BYTES = 64 };

static const struct api_field fields[] = {
    API_FIELD_CREATED_AT,
    API_FIELD_DESCRIPTION(API_CREDENTIAL_TEXT),
    API_FIELD_METADATA(API_CREDENTIAL_METADATA),
    { .name = "public_key",
      .type = API_STRING,
      .where = API_C | API_R | API_REQUIRED | API_STDIN,
      .max_bytes = AUTHKEYS_LINE_MAX_BYTES,
      .too_long = API_SSH_KEY_SYNTAX,
      .missing = API_SSH_KEY_MISSING,
      .text = "one line as of authorized_keys, without options" },
    { .name = "acl",
      .type = API_STRINGS,
      .where = API_C | API_U | API_R | API_F,
      .max_items = ACL_RULES_MAX,
      .too_long = API_CREDENTIAL_ACL,
      .text = "rules \"*\" or \"bind:HOST\", \"bind:*.HOST\", \"bind:HOST:PORT\", and the same "
              "with connect:; none: all" },
    API_FIELDS_OWNER,
};

static int check_acl(struct api_call *c, const json_t *rules)
{
    struct acl acl;
    size_t i;
    json_t *rule;
    int rc = 0;

    acl_init(&acl);
    json_array_foreach(rules, i, rule)
    {
        struct str text = str_of(json_string_value(rule), json_string_length(rule));
        struct err e = { 0 };

        if (rc == 0 && acl_add_rule(&acl, text, &e) == -1)
            rc = api_fail(c, API_CREDENTIAL_ACL, "The ACL rule \"%.*s\" is invalid: %s.",
                          STR_ARG(str_slice(text, 0, RULE_SHOWN_BYTES)), e.msg);
    }
    acl_fini(&acl);
    return rc;
}

static int take_key(struct api_call *c, struct api_change *ch)
{
    struct str line = str_trim(api_get(ch->after, "public_key"));
    uint8_t fingerprint[AUTHKEY_FINGERPRINT_BYTES];
    char text[2 * AUTHKEY_FINGERPRINT_BYTES + 1];
    struct err e = { 0 };

    if (line.n == 0)
        return api_fail(c, API_SSH_KEY_MISSING, "The public key is missing.");
    if (authkey_public_parse(line, fingerprint, &e) == -1)
        return api_fail(c, API_SSH_KEY_SYNTAX, "The public key cannot be used: %s.", e.msg);
    for (size_t i = 0; i < sizeof(fingerprint); i++)
        (void)snprintf(text + 2 * i, 3, "%02x", fingerprint[i]);
    api_set(ch->after, "fingerprint", str_from(text));
    return 0;
}

static int check(struct api_call *c, struct api_change *ch)
{
    if (check_acl(c, json_object_get(ch->after, "acl")) == -1)
        return -1;
    if (ch->op != API_CREATE)
        return 0;
    return take_key(c, ch) == -1 || api_owner_take(c, ch) == -1 ? -1 : 0;
}

/* One key is one identity, in whichever account. */
static size_t keys(const json_t *object, struct api_key out[API_KEYS_MAX])
{
    api_key_set(&out[0], "fingerprint", "", api_get(object, "fingerprint"));
    out[0].taken = API_SSH_KEY_TAKEN;
    out[0].elsewhere = API_SSH_KEY_ELSEWHERE;
    return 1;
}

const struct api_resource api_resource_ssh_credentials = {
    .path = "/ssh_credentials",
    .list_key = "ssh_credentials",
    .kind = "ssh_credential",
    .prefix = "sshcr",
    .command = "ssh-credentials",
    .event = "ssh_public_key",
    .text = "SSH keys that may log in",
    .verbs = API_CAN_ALL,
    API_FIELDS(fields),
    .empty_update = API_CREDENTIAL_EMPTY,
    .check = check,
    .keys = keys,
};
