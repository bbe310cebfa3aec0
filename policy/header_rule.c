#include "policy/header_rule.h"

#include <string.h>

/*
 * Fields that decide where a message ends or how the connection goes on belong to the codecs; the
 * gateway's error codes must not be forged; the rest follows the documented list.
 */
static const char *const not_settable[] = {
    "user-agent",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "upgrade",
    "te",
    "trailer",
    "proxy-connection",
    "ngrok-error-code",
    "sallyport-error-code",
};

/* "tchar" of RFC 9110 section 5.6.2. */
static bool is_token_char(char c)
{
    return char_is_alpha(c) || char_is_digit(c) ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_settable(struct str name)
{
    for (size_t i = 0; i < sizeof(not_settable) / sizeof(not_settable[0]); i++) {
        if (str_eq_nocase(name, str_from(not_settable[i])))
            return false;
    }
    return name.n == 0 || name.p[0] != ':';
}

int header_rule_check_name(struct fields *c, struct str name)
{
    if (name.n == 0)
        return err_set(c->e, E_POLICY_HEADER_NAME, "the header name is empty");
    if (name.n > HEADER_RULE_NAME_MAX_BYTES)
        return err_set(c->e, E_POLICY_HEADER_NAME_LENGTH,
                       "the header name has %zu bytes, at most %d are allowed", name.n,
                       HEADER_RULE_NAME_MAX_BYTES);
    if (!is_settable(name))
        return err_set(c->e, E_POLICY_NOT_SETTABLE,
                       "header '%.*s' cannot be added or removed by a policy", STR_ARG(name));
    for (size_t i = 0; i < name.n; i++) {
        if (!is_token_char(name.p[i]))
            return err_set(c->e, E_POLICY_HEADER_NAME,
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

int header_rule_check_value(struct fields *c, struct str name, struct str value)
{
    if (value.n > HEADER_RULE_VALUE_MAX_BYTES)
        return err_set(c->e, E_POLICY_HEADER_VALUE_LENGTH,
                       "the value of header '%.*s' has %zu bytes, at most %d are allowed",
                       STR_ARG(str_slice(name, 0, 64)), value.n, HEADER_RULE_VALUE_MAX_BYTES);
    for (size_t i = 0; i < value.n; i++) {
        unsigned char ch = (unsigned char)value.p[i];

        if ((ch < 0x20 && ch != '\t') || ch == 0x7F)
            return err_set(c->e, E_POLICY_HEADER_VALUE,
                           "the value of header '%.*s' has a control character at position %zu",
                           STR_ARG(str_slice(name, 0, 64)), i + 1);
    }
    if (str_eq_nocase(name, STR("host")) && !is_host_value(value))
        return err_set(c->e, E_POLICY_HEADER_VALUE,
                       "the value of header 'host' must be a host name with an optional port");
    return 0;
}
