#include "tunnel/acl.h"

#include <stdio.h>

#include "base/mem.h"
#include "tunnel/host.h"
#include "tunnel/url.h"

static const struct str everything = STR_INIT("*");
static const struct str internal_domain = STR_INIT("internal");

enum { ACL_VALUE_BYTES = HOST_MAX_BYTES + 8 };

/* ---- rules of one kind ----------------------------------------------------------------------- */

static void rules_fini(struct acl_rules *r)
{
    for (size_t i = 0; i < r->count; i++)
        mem_free(r->values[i]);
    mem_free(r->values);
}

static void append(struct acl_rules *r, struct str value)
{
    r->values = mem_realloc(r->values, (r->count + 1) * sizeof(*r->values));
    r->values[r->count++] = str_dup(value);
}

static void rules_copy(struct acl_rules *to, const struct acl_rules *from)
{
    for (size_t i = 0; i < from->count; i++)
        append(to, str_from(from->values[i]));
}

/* Brings a name, "*.name", "address:port" or "*" to its normal form; `verb` names the rule. */
static int normalize(const char *verb, struct str value, char out[ACL_VALUE_BYTES], struct err *e)
{
    char host[HOST_MAX_BYTES + 1];
    uint16_t port;

    if (host_port_parse(value, host, &port, e) == -1)
        return -1;
    if (port != 0 && host[0] == '*')
        return err_set(e, E_SYNTAX, "a %s rule with a port needs an address without '*'", verb);
    (void)snprintf(out, ACL_VALUE_BYTES, port != 0 ? "%s:%u" : "%s", host, (unsigned)port);
    return 0;
}

/* What is the same for all kinds of rules. */
static int check_rule(const struct acl_rules *r, const char *verb, struct str value, struct err *e)
{
    size_t scheme_end = str_find(value, STR("://"));

    if (r->count == ACL_RULES_MAX)
        return err_set(e, E_LIMIT, "more than %d %s rules", ACL_RULES_MAX, verb);
    if (value.n == 0)
        return err_set(e, E_SYNTAX, "a %s rule is a name, *.name, address:port or *", verb);
    if (scheme_end < value.n)
        return err_set(e, E_SYNTAX, "a %s rule holds for all schemes; leave out '%.*s'", verb,
                       STR_ARG(str_slice(str_slice(value, 0, scheme_end + 3), 0, 16)));
    return 0;
}

/* Fills `allowed` with the rules, for the message; it may be cut. */
static void list_rules(const struct acl_rules *r, char allowed[ERR_MSG_BYTES])
{
    size_t n = 0;

    (void)snprintf(allowed, ERR_MSG_BYTES, "nothing");
    for (size_t i = 0; i < r->count && n < ERR_MSG_BYTES; i++)
        n += (size_t)snprintf(allowed + n, ERR_MSG_BYTES - n, "%s%s", i > 0 ? ", " : "",
                              r->values[i]);
}

static bool permits_host(struct str value, struct str host)
{
    return str_eq(value, everything) || (host.n > 0 && host_matches(value, host));
}

/* ---- both kinds ------------------------------------------------------------------------------ */

void acl_init(struct acl *a)
{
    *a = (struct acl){ 0 };
}

void acl_fini(struct acl *a)
{
    rules_fini(&a->bind);
    rules_fini(&a->connect);
    acl_init(a);
}

void acl_copy(struct acl *to, const struct acl *from)
{
    acl_init(to);
    rules_copy(&to->bind, &from->bind);
    rules_copy(&to->connect, &from->connect);
}

static bool is_unrestricted(const struct acl *a)
{
    return a->bind.count == 0 && a->connect.count == 0;
}

/* ---- bind ------------------------------------------------------------------------------------ */

/*
 * "k=v" names a labelled tunnel. There are none here, so it permits nothing, but it is kept: a key
 * that was restricted must not become unrestricted.
 */
static int add_label(struct acl_rules *r, struct str value, struct err *e)
{
    size_t equals = str_find_char(value, '=');

    if (equals == 0 || equals + 1 == value.n || value.n > HOST_MAX_BYTES)
        return err_set(e, E_SYNTAX, "a label rule is written name=value");
    append(r, value);
    return 0;
}

int acl_add(struct acl *a, struct str value, struct err *e)
{
    char text[ACL_VALUE_BYTES];

    if (check_rule(&a->bind, "bind", value, e) == -1)
        return -1;
    if (str_find_char(value, '=') != value.n)
        return add_label(&a->bind, value, e);
    if (normalize("bind", value, text, e) == -1)
        return -1;
    append(&a->bind, str_from(text));
    return 0;
}

static int refuse(const struct acl *a, const struct url *url, struct err *e)
{
    char allowed[ERR_MSG_BYTES];

    list_rules(&a->bind, allowed);
    if (url->scheme != SCHEME_TCP)
        return err_set(e, E_ACL_NAME, "this key may not bind '%s'; it may bind: %s",
                       url->host[0] != '\0' ? url->host : "random names", allowed);
    if (url->host[0] == '\0' || url->port == 0)
        return err_set(e, E_ACL_RANDOM_TCP,
                       "this key may not bind random addresses; it may bind: %s", allowed);
    return err_set(e, E_ACL_ADDRESS, "this key may not bind '%s:%u'; it may bind: %s", url->host,
                   (unsigned)url->port, allowed);
}

int acl_check(const struct acl *a, const struct url *url, struct err *e)
{
    char tuple[ACL_VALUE_BYTES];

    if (is_unrestricted(a))
        return 0;
    (void)snprintf(tuple, sizeof(tuple), "%s:%u", url->host, (unsigned)url->port);
    for (size_t i = 0; i < a->bind.count; i++) {
        struct str value = str_from(a->bind.values[i]);

        if (permits_host(value, str_from(url->host)))
            return 0;
        if (url->scheme == SCHEME_TCP && str_eq(value, str_from(tuple)))
            return 0;
    }
    return refuse(a, url, e);
}

/* ---- connect --------------------------------------------------------------------------------- */

int acl_add_connect(struct acl *a, struct str value, struct err *e)
{
    char text[ACL_VALUE_BYTES];
    struct str host;

    if (check_rule(&a->connect, "connect", value, e) == -1 ||
        normalize("connect", value, text, e) == -1)
        return -1;
    host = str_slice(str_from(text), 0, str_find_char(str_from(text), ':'));
    if (!str_eq(host, everything) && !host_is_below(host, internal_domain))
        return err_set(e, E_SYNTAX, "a connect rule is a name below .internal, or *");
    append(&a->connect, str_from(text));
    return 0;
}

int acl_check_connect(const struct acl *a, struct str host, uint16_t port, struct err *e)
{
    char tuple[ACL_VALUE_BYTES];
    char allowed[ERR_MSG_BYTES];

    if (is_unrestricted(a))
        return 0;
    (void)snprintf(tuple, sizeof(tuple), "%.*s:%u", STR_ARG(host), (unsigned)port);
    for (size_t i = 0; i < a->connect.count; i++) {
        struct str value = str_from(a->connect.values[i]);

        if (permits_host(value, host) || str_eq(value, str_from(tuple)))
            return 0;
    }
    list_rules(&a->connect, allowed);
    return err_set(e, E_ACL_CONNECT, "this key may not connect to '%s'; it may connect to: %s",
                   tuple, allowed);
}

static bool has_everything(const struct acl_rules *r)
{
    for (size_t i = 0; i < r->count; i++) {
        if (str_eq(str_from(r->values[i]), everything))
            return true;
    }
    return false;
}

bool acl_restricts(const struct acl *a)
{
    return !is_unrestricted(a) && !(has_everything(&a->bind) && has_everything(&a->connect));
}

bool acl_may_connect(const struct acl *a)
{
    return is_unrestricted(a) || a->connect.count > 0;
}

/* ---- whole rules ----------------------------------------------------------------------------- */

int acl_add_rule(struct acl *a, struct str rule, struct err *e)
{
    static const struct str bind = STR_INIT("bind:");
    static const struct str connect = STR_INIT("connect:");

    if (str_eq(rule, everything))
        return acl_add(a, rule, e) == -1 || acl_add_connect(a, rule, e) == -1 ? -1 : 0;
    if (str_starts(rule, bind))
        return acl_add(a, str_skip(rule, bind.n), e);
    if (str_starts(rule, connect))
        return acl_add_connect(a, str_skip(rule, connect.n), e);
    return err_set(e, E_SYNTAX, "a rule is \"*\", or begins with \"bind:\" or \"connect:\"");
}
