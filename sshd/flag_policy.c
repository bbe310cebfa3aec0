#include "sshd/flag_policy.h"

#include <assert.h>

#include "policy/policy.h"

/* jansson takes no NULL, not even for an empty string. */
static json_t *new_string(struct str s)
{
    return json_stringn(s.n > 0 ? s.p : "", s.n);
}

/* Memory never runs out (base/mem.h) and the text was checked, so only a bug makes these fail; a
 * guard that silently went missing would open the endpoint to everyone. */
static void append(json_t *list, struct str s)
{
    int failed = json_array_append_new(list, new_string(s));

    assert(failed == 0);
    (void)failed;
}

static void put(json_t *object, struct str key, struct str value)
{
    int failed = json_object_setn_new(object, key.p, key.n, new_string(value));

    assert(failed == 0);
    (void)failed;
}

void flag_policy_init(struct flag_policy *p)
{
    p->credentials = json_array();
    p->allow = json_array();
    p->deny = json_array();
    p->host = json_object();
    for (int side = 0; side < FLAG_SIDES; side++) {
        p->header_add[side] = json_object();
        p->header_remove[side] = json_array();
    }
}

void flag_policy_fini(struct flag_policy *p)
{
    json_decref(p->credentials);
    json_decref(p->allow);
    json_decref(p->deny);
    json_decref(p->host);
    for (int side = 0; side < FLAG_SIDES; side++) {
        json_decref(p->header_add[side]);
        json_decref(p->header_remove[side]);
    }
}

void flag_policy_add_credential(struct flag_policy *p, struct str pair)
{
    append(p->credentials, pair);
}

void flag_policy_add_allow(struct flag_policy *p, struct str cidr)
{
    append(p->allow, cidr);
}

void flag_policy_add_deny(struct flag_policy *p, struct str cidr)
{
    append(p->deny, cidr);
}

void flag_policy_remove_header(struct flag_policy *p, enum flag_side side, struct str name)
{
    append(p->header_remove[side], name);
}

void flag_policy_set_host(struct flag_policy *p, struct str host)
{
    if (host.p == NULL)
        (void)json_object_clear(p->host); /* it is an object, so this cannot fail */
    else
        put(p->host, STR("host"), host);
}

int flag_policy_add_header(struct flag_policy *p, enum flag_side side, struct str field,
                           struct err *e)
{
    size_t colon = str_find_char(field, ':');
    struct str name = str_trim_ows(str_slice(field, 0, colon));
    struct str value = str_trim_ows(str_skip(field, colon + 1));

    if (colon == field.n || name.n == 0)
        return err_set(e, side == FLAG_REQUEST ? E_HEADER_ADD_REQUEST : E_HEADER_ADD_RESPONSE,
                       "expected 'name: value', not '%.*s'", STR_ARG(str_slice(field, 0, 64)));
    /* Other cases of the name are found by the action; the same one would replace the first. */
    if (json_object_getn(p->header_add[side], name.p, name.n) != NULL)
        return err_set(e, E_HEADER_TWICE, "header '%.*s' is given twice",
                       STR_ARG(str_slice(name, 0, 64)));
    put(p->header_add[side], name, value);
    return 0;
}

enum { FOR_AUTH = 1, FOR_CIDR = 2, FOR_REQUEST = 4, FOR_RESPONSE = 8 };
enum { FOR_HEADERS = FOR_REQUEST | FOR_RESPONSE };

/* What users of flags know a problem of the policy engine as (spec 5.6 and 8.3). */
static const struct {
    unsigned flags;
    enum err_code policy;
    enum err_code flag;
} codes[] = {
    { FOR_AUTH, E_AUTH_USER_EMPTY, E_AUTH_USER_EMPTY },
    { FOR_AUTH, E_AUTH_USER_LENGTH, E_AUTH_USER_LENGTH },
    { FOR_AUTH, E_POLICY_TOO_SHORT, E_AUTH_PASSWORD_LENGTH },
    { FOR_AUTH, E_POLICY_TOO_LONG, E_AUTH_PASSWORD_LENGTH },
    { FOR_AUTH, E_POLICY_LIST_LENGTH, E_AUTH_TOO_MANY },
    { FOR_AUTH, E_POLICY_AUTH_USER, E_AUTH_USER_CHARACTER },
    { FOR_AUTH, E_POLICY_AUTH_PASSWORD, E_AUTH_PASSWORD_CHARACTER },
    { FOR_AUTH, E_POLICY_CONFIG, E_FLAG_SYNTAX },
    { FOR_CIDR, E_POLICY_CIDR, E_CIDR },
    { FOR_REQUEST, E_POLICY_HEADER_NAME, E_HEADER_NAME_REQUEST },
    { FOR_RESPONSE, E_POLICY_HEADER_NAME, E_HEADER_NAME_RESPONSE },
    { FOR_HEADERS, E_POLICY_HEADER_VALUE, E_HEADER_VALUE },
    { FOR_HEADERS, E_HEADER_TWICE, E_HEADER_TWICE },
    { FOR_HEADERS, E_POLICY_HEADER_TOO_MANY, E_HEADER_TOO_MANY },
    { FOR_HEADERS, E_POLICY_LIST_LENGTH, E_HEADER_TOO_MANY },
    { FOR_HEADERS, E_POLICY_HEADER_NAME_LENGTH, E_HEADER_NAME_LENGTH },
    { FOR_HEADERS, E_POLICY_HEADER_VALUE_LENGTH, E_HEADER_VALUE_LENGTH },
    { FOR_HEADERS, E_HEADER_NEEDS_REPLACEMENT, E_HEADER_NEEDS_REPLACEMENT },
    { FOR_AUTH | FOR_CIDR | FOR_HEADERS, E_POLICY_TEMPLATE, E_FLAG_UNSUPPORTED },
};

/* A problem without a code of its own is an invalid policy; the engine's number is in the text. */
static int refuse(const char *flag, unsigned which, const struct err *why, struct err *e)
{
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if ((codes[i].flags & which) != 0 && codes[i].policy == why->code)
            return err_set(e, codes[i].flag, "%s: %s", flag, why->msg);
    }
    return err_set(e, E_POLICY_INVALID, "%s: %s (%u)", flag, why->msg, err_number(why->code));
}

/* Checks one action and puts it into the document. Takes `config`. */
static int add_action(json_t *document, const char *flag, unsigned which, enum policy_phase phase,
                      const char *action, json_t *config, struct err *e)
{
    struct err why;

    if (policy_check_action(phase, action, config, &why) == -1) {
        json_decref(config);
        return refuse(flag, which, &why, e);
    }
    policy_document_add(document, phase, action, config);
    return 0;
}

static int add_restrict_ips(const struct flag_policy *p, json_t *document, struct err *e)
{
    const char *flag =
        json_array_size(p->deny) > 0 ? "--cidr-allow and --cidr-deny" : "--cidr-allow";

    if (json_array_size(p->allow) + json_array_size(p->deny) == 0)
        return 0;
    if (json_array_size(p->allow) == 0)
        return err_set(e, E_CIDR_DENY_ONLY,
                       "--cidr-deny alone admits nobody; add who may come in, such as "
                       "--cidr-allow 0.0.0.0/0,::/0 for everyone else");
    return add_action(document, flag, FOR_CIDR, POLICY_ON_HTTP_REQUEST, "restrict-ips",
                      json_pack("{s:O, s:O}", "allow", p->allow, "deny", p->deny), e);
}

static int add_basic_auth(const struct flag_policy *p, json_t *document, struct err *e)
{
    if (json_array_size(p->credentials) == 0)
        return 0;
    return add_action(document, "--basic-auth", FOR_AUTH, POLICY_ON_HTTP_REQUEST, "basic-auth",
                      json_pack("{s:O, s:s}", "credentials", p->credentials, "realm", "sallyport"),
                      e);
}

static bool is_host(struct str name)
{
    return str_eq_nocase(name, STR("host"));
}

static bool replaces_host(const struct flag_policy *p)
{
    json_t *added = p->header_add[FLAG_REQUEST];

    for (void *it = json_object_iter(added); it != NULL; it = json_object_iter_next(added, it)) {
        if (is_host(str_of(json_object_iter_key(it), json_object_iter_key_len(it))))
            return true;
    }
    return json_object_size(p->host) > 0;
}

/* The names to remove; without host where another flag replaces it, which is the same thing. */
static json_t *names_to_remove(const struct flag_policy *p, enum flag_side side)
{
    bool host_is_replaced = side == FLAG_REQUEST && replaces_host(p);
    json_t *names = json_array();

    for (size_t i = 0; i < json_array_size(p->header_remove[side]); i++) {
        const json_t *item = json_array_get(p->header_remove[side], i);
        struct str name = str_of(json_string_value(item), json_string_length(item));

        if (!host_is_replaced || !is_host(name))
            append(names, name);
    }
    return names;
}

static int add_headers(const struct flag_policy *p, enum flag_side side, json_t *document,
                       struct err *e)
{
    static const struct {
        enum policy_phase phase;
        unsigned which;
        const char *remove;
        const char *add;
    } sides[FLAG_SIDES] = {
        [FLAG_REQUEST] = { POLICY_ON_HTTP_REQUEST, FOR_REQUEST, "--request-header-remove",
                           "--request-header-add" },
        [FLAG_RESPONSE] = { POLICY_ON_HTTP_RESPONSE, FOR_RESPONSE, "--response-header-remove",
                            "--response-header-add" },
    };
    json_t *names = names_to_remove(p, side);
    json_t *config = json_pack("{s:o}", "headers", names);

    if (json_array_size(names) == 0)
        json_decref(config);
    else if (add_action(document, sides[side].remove, sides[side].which, sides[side].phase,
                        "remove-headers", config, e) == -1)
        return -1;
    if (json_object_size(p->header_add[side]) == 0)
        return 0;
    return add_action(document, sides[side].add, sides[side].which, sides[side].phase,
                      "add-headers", json_pack("{s:O}", "headers", p->header_add[side]), e);
}

static int add_host(const struct flag_policy *p, json_t *document, struct err *e)
{
    if (json_object_size(p->host) == 0)
        return 0;
    return add_action(document, "--host-header", FOR_REQUEST, POLICY_ON_HTTP_REQUEST, "add-headers",
                      json_pack("{s:O}", "headers", p->host), e);
}

int flag_policy_compile(const struct flag_policy *p, struct counted **out, struct err *e)
{
    json_t *document = json_object();
    struct err why;
    int rc = -1;

    *out = NULL;
    /* The order is that of the specification: who may come in is asked before who they are. */
    if (add_restrict_ips(p, document, e) == -1 || add_basic_auth(p, document, e) == -1 ||
        add_headers(p, FLAG_REQUEST, document, e) == -1 || add_host(p, document, e) == -1 ||
        add_headers(p, FLAG_RESPONSE, document, e) == -1)
        goto done;
    rc = 0;
    if (json_object_size(document) == 0)
        goto done;
    *out = policy_compile(document, &why);
    if (*out == NULL)
        rc = err_set(e, E_POLICY_INVALID, "%s (%u)", why.msg, err_number(why.code));
done:
    json_decref(document);
    return rc;
}
