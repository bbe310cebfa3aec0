#include "tunnel/api/reservations.h"

#include "base/mem.h"
#include "tunnel/host.h"
#include "tunnel/url.h"

void api_reservation_key(struct api_key *key, const char *field, struct str name)
{
    api_key_set(key, field, "", name);
}

/* As api_find_reservation(), of one name alone. */
static int find_one(struct api_call *c, const struct api_resource *r, const char *field,
                    struct str name, const char *account, struct str *id)
{
    json_t *object = NULL;
    struct api_key key;
    int rc;

    api_reservation_key(&key, field, name);
    rc = api_peek_by_key(c, r, str_from(key.text), &object);
    if (rc == 1 && str_eq(api_get(object, "account"), str_from(account)))
        *id = arena_str(&c->arena, api_get(object, "id"));
    if (rc == 1)
        json_decref(object);
    return rc == -1 ? -1 : 0;
}

static int find_domain(struct api_call *c, struct str host, const char *account, struct str *id)
{
    struct str above = host_is_wildcard(host) ? str_skip(host, 2) : host;
    int rc = find_one(c, &api_resource_reserved_domains, "domain", host, account, id);

    /* Of example.a.b: *.a.b, *.b. A wildcard is only covered by itself. */
    while (rc == 0 && id->n == 0 && !host_is_wildcard(host) &&
           str_find_char(above, '.') < above.n) {
        above = str_skip(above, str_find_char(above, '.') + 1);
        rc = find_one(c, &api_resource_reserved_domains, "domain",
                      arena_fmt(&c->arena, "*.%.*s", STR_ARG(above)), account, id);
    }
    return rc;
}

int api_find_reservation(struct api_call *c, const struct url *url, const char *account,
                         struct str *id)
{
    *id = STR_NONE;
    if (url->binding == BINDING_INTERNAL)
        return 0;
    if (url->scheme != SCHEME_TCP)
        return find_domain(c, str_from(url->host), account, id);
    return find_one(c, &api_resource_reserved_addrs, "addr",
                    arena_fmt(&c->arena, "%s:%u", url->host, (unsigned)url->port), account, id);
}

int api_fail_reservation(struct api_call *c, enum api_name_answer answer, struct str name,
                         const struct err *e)
{
    switch (answer) {
    case API_NAME_OWN:
        return api_fail(c, API_DOMAIN_TAKEN, "The name %.*s is already reserved.", STR_ARG(name));
    case API_NAME_OTHER:
        return api_fail(c, API_DOMAIN_ELSEWHERE, "The name %.*s belongs to another account.",
                        STR_ARG(name));
    case API_NAME_COVERS:
        return api_fail(c, API_DOMAIN_COVERS, "The wildcard %.*s covers a name of another account.",
                        STR_ARG(name));
    case API_NAME_ONLINE:
        return api_fail(c, API_DOMAIN_ONLINE,
                        "Another account has an endpoint at %.*s, or had one a moment ago.",
                        STR_ARG(name));
    case API_NAME_USED:
        return api_fail(c, API_DOMAIN_USED,
                        "A cloud endpoint is at %.*s; delete it, or move it, first.",
                        STR_ARG(name));
    case API_NAME_OK:
    case API_NAME_FAILED:
        break;
    }
    return api_fail(c, API_INTERNAL, "The name %.*s could not be changed: %s.", STR_ARG(name),
                    e->msg);
}
