#include "tunnel/acl.h"

#include <stdio.h>

#include "base/mem.h"
#include "tunnel/host.h"
#include "tunnel/url.h"

static const struct str everything = STR_INIT("*");

enum { ACL_VALUE_BYTES = HOST_MAX_BYTES + 8 };

void acl_init(struct acl *a)
{
    *a = (struct acl){ 0 };
}

void acl_fini(struct acl *a)
{
    for (size_t i = 0; i < a->count; i++)
        mem_free(a->values[i]);
    mem_free(a->values);
    acl_init(a);
}

static void append(struct acl *a, struct str value)
{
    a->values = mem_realloc(a->values, (a->count + 1) * sizeof(*a->values));
    a->values[a->count++] = str_dup(value);
}

/*
 * "k=v" names a labelled tunnel. There are none here, so it permits nothing, but it is kept: a key
 * that was restricted must not become unrestricted.
 */
static int add_label(struct acl *a, struct str value, struct err *e)
{
    size_t equals = str_find_char(value, '=');

    if (equals == 0 || equals + 1 == value.n || value.n > HOST_MAX_BYTES)
        return err_set(e, E_SYNTAX, "a label rule is written name=value");
    append(a, value);
    return 0;
}

int acl_add(struct acl *a, struct str value, struct err *e)
{
    char host[HOST_MAX_BYTES + 1];
    char text[ACL_VALUE_BYTES];
    uint16_t port;

    if (a->count == ACL_RULES_MAX)
        return err_set(e, E_LIMIT, "more than %d bind rules", ACL_RULES_MAX);
    if (value.n == 0)
        return err_set(e, E_SYNTAX, "a bind rule is a name, *.name, address:port or *");
    if (str_find_char(value, '=') != value.n)
        return add_label(a, value, e);
    if (host_port_parse(value, host, &port, e) == -1)
        return -1;
    if (port != 0 && host[0] == '*')
        return err_set(e, E_SYNTAX, "a bind rule with a port needs an address without '*'");
    (void)snprintf(text, sizeof(text), port != 0 ? "%s:%u" : "%s", host, (unsigned)port);
    append(a, str_from(text));
    return 0;
}

/* Fills `allowed` with the rules, for the message; it may be cut. */
static void list_rules(const struct acl *a, char allowed[ERR_MSG_BYTES])
{
    size_t n = 0;

    allowed[0] = '\0';
    for (size_t i = 0; i < a->count && n < ERR_MSG_BYTES; i++)
        n += (size_t)snprintf(allowed + n, ERR_MSG_BYTES - n, "%s%s", i > 0 ? ", " : "",
                              a->values[i]);
}

static int refuse(const struct acl *a, const struct url *url, struct err *e)
{
    char allowed[ERR_MSG_BYTES];

    list_rules(a, allowed);
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
    struct str host = str_from(url->host);
    char tuple[ACL_VALUE_BYTES];

    if (a->count == 0)
        return 0;
    (void)snprintf(tuple, sizeof(tuple), "%s:%u", url->host, (unsigned)url->port);
    for (size_t i = 0; i < a->count; i++) {
        struct str value = str_from(a->values[i]);

        if (str_eq(value, everything) || (host.n > 0 && host_matches(value, host)))
            return 0;
        if (url->scheme == SCHEME_TCP && str_eq(value, str_from(tuple)))
            return 0;
    }
    return refuse(a, url, e);
}
