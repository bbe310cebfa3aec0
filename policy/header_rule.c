#include "policy/header_rule.h"

#include <string.h>

#include "base/mem.h"
#include "policy/action.h"

/*
 * Fields that decide where a message ends or how the connection goes on belong to the codecs; the
 * gateway's error codes must not be forged; the rest follows the documented list.
 */
static const char *const not_settable[] = {
    "content-length",   "transfer-encoding",
    "connection",       "keep-alive",
    "upgrade",          "te",
    "trailer",          "proxy-connection",
    "ngrok-error-code", "sallyport-error-code",
};

/* "tchar" of RFC 9110 section 5.6.2. */
static bool is_token_char(char c)
{
    return char_is_alpha(c) || char_is_digit(c) ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_settable(enum header_rule_use use, struct str name)
{
    for (size_t i = 0; i < sizeof(not_settable) / sizeof(not_settable[0]); i++) {
        if (str_eq_nocase(name, str_from(not_settable[i])))
            return false;
    }
    /* What a visitor's client says of itself is not the policy's to change. */
    return use == HEADER_RULE_OWN || !str_eq_nocase(name, STR("user-agent"));
}

int header_rule_check_name(const struct field *f, enum header_rule_use use, struct str name)
{
    uint64_t max = field_limits(f)->policy_header_name_max_bytes;

    if (name.n == 0)
        return field_problem(f, E_POLICY_HEADER_NAME, "the header name is empty");
    if (name.n > max)
        return field_problem(f, E_POLICY_HEADER_NAME_LENGTH,
                             "the header name has %zu bytes, at most %llu are allowed", name.n,
                             (unsigned long long)max);
    if (name.p[0] == ':' || !is_settable(use, name))
        return field_problem(f, E_POLICY_NOT_SETTABLE,
                             "header '%.*s' cannot be added or removed by a policy", STR_ARG(name));
    for (size_t i = 0; i < name.n; i++) {
        if (!is_token_char(name.p[i]))
            return field_problem(f, E_POLICY_HEADER_NAME,
                                 "header name '%.*s': character %zu is not allowed in a name",
                                 STR_ARG(str_slice(name, 0, 64)), i + 1);
    }
    return 0;
}

/* A Host is a name or an address with an optional port; anything else would split or confuse the
 * request that the upstream reads (RFC 9112 section 3.2). */
static bool is_host_value(struct str value)
{
    for (size_t i = 0; i < value.n; i++) {
        char ch = value.p[i];

        if (!char_is_alpha(ch) && !char_is_digit(ch) &&
            (ch == '\0' || strchr("-._~:[]%", ch) == NULL))
            return false;
    }
    return value.n > 0;
}

static int check_value(struct str name, struct str value, size_t max_bytes, struct err *e)
{
    if (value.n > max_bytes)
        return err_set(e, E_POLICY_HEADER_VALUE_LENGTH,
                       "the value of header '%.*s' has %zu bytes, at most %zu are allowed",
                       STR_ARG(str_slice(name, 0, 64)), value.n, max_bytes);
    for (size_t i = 0; i < value.n; i++) {
        unsigned char ch = (unsigned char)value.p[i];

        if ((ch < 0x20 && ch != '\t') || ch == 0x7F)
            return err_set(e, E_POLICY_HEADER_VALUE,
                           "the value of header '%.*s' has a control character at position %zu",
                           STR_ARG(str_slice(name, 0, 64)), i + 1);
    }
    if (str_eq(name, STR("host")) && !is_host_value(value))
        return err_set(e, E_POLICY_HEADER_VALUE,
                       "the value of header 'host' must be a host name with an optional port");
    return 0;
}

static char *lower_dup(struct str name)
{
    char *out = str_dup(name);

    for (char *p = out; *p != '\0'; p++)
        *p = char_lower(*p);
    return out;
}

static bool has_name(const struct header_rules *rules, struct str name)
{
    for (size_t i = 0; i < rules->count; i++) {
        if (str_eq_nocase(str_from(rules->fields[i].name), name))
            return true;
    }
    return false;
}

static void read_field(const struct field *f, enum header_rule_use use, struct str name,
                       struct header_rules *out)
{
    struct header_rule *rule;
    struct str literal;
    struct err e;

    if (header_rule_check_name(f, use, name) == -1)
        return;
    if (has_name(out, name)) {
        (void)field_problem(f, E_HEADER_TWICE, "header '%.*s' is given twice; case does not matter",
                            STR_ARG(str_slice(name, 0, 64)));
        return;
    }
    rule = &out->fields[out->count++];
    rule->name = lower_dup(name);
    rule->value = field_template_as(f, use == HEADER_RULE_CHANGE ? E_POLICY_HEADER_TEMPLATE
                                                                 : E_POLICY_TEMPLATE);
    if (template_is_literal(rule->value, &literal) &&
        check_value(str_from(rule->name), str_trim_ows(literal), out->value_max_bytes, &e) == -1)
        (void)field_problem(f, e.code, "%s", e.msg);
}

int header_rules_read(const struct field *f, enum header_rule_use use, struct header_rules *out)
{
    size_t count = 0;

    out->value_max_bytes = field_limits(f)->policy_header_value_max_bytes;
    if (field_map(f, SIZE_MAX, &count) == -1)
        return -1;
    if (count > HEADER_RULE_FIELDS_MAX)
        return field_problem(f, E_POLICY_HEADER_TOO_MANY, "%zu headers, at most %d are allowed",
                             count, HEADER_RULE_FIELDS_MAX);
    for (size_t i = 0; i < count; i++) {
        struct str name;
        struct field value = field_entry(f, i, &name);

        read_field(&value, use, name, out);
    }
    return 0;
}

void header_rules_fini(struct header_rules *rules)
{
    for (size_t i = 0; i < rules->count; i++) {
        mem_free(rules->fields[i].name);
        template_free(rules->fields[i].value);
    }
}

int header_rules_value(const struct header_rules *rules, size_t index, struct action_run *run,
                       struct str *out, struct err *e)
{
    const struct header_rule *rule = &rules->fields[index];
    bool literal = template_is_literal(rule->value, out);

    if (!literal && template_text(rule->value, run, out, e) == -1)
        return -1;
    *out = str_trim_ows(*out);
    if (literal || check_value(str_from(rule->name), *out, rules->value_max_bytes, e) == 0)
        return 0;
    return -1;
}

int header_rules_values(const struct header_rules *rules, struct action_run *run,
                        struct str out[HEADER_RULE_FIELDS_MAX], struct err *e)
{
    for (size_t i = 0; i < rules->count; i++) {
        if (header_rules_value(rules, i, run, &out[i], e) == -1)
            return -1;
    }
    return 0;
}

void header_rules_respond(const struct header_rules *rules, struct action_run *run,
                          const struct str values[HEADER_RULE_FIELDS_MAX])
{
    for (size_t i = 0; i < rules->count; i++)
        action_respond_header(run, str_from(rules->fields[i].name), values[i]);
}
