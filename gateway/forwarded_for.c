#include "gateway/forwarded_for.h"

#include "base/cidr_set.h"
#include "gateway/http.h"

static const struct str field_name = STR_INIT("x-forwarded-for");

/* An address in any of the forms that proxies write: with or without port, IPv6 in brackets or not. */
static int parse(struct str s, struct addr *out)
{
    if (addr_parse_ip(s, out) == 0 || addr_parse(s, out, NULL) == 0)
        return 0;
    if (!str_starts(s, STR("[")) || !str_ends(s, STR("]")))
        return -1;
    return addr_parse_ip(str_slice(s, 1, s.n - 1), out);
}

/* Takes the last element off a comma-separated list; false: there is none left. */
static bool take_last(struct str *list, struct str *element)
{
    size_t comma;

    if (list->n == 0)
        return false;
    comma = str_rfind_char(*list, ',');
    *element = str_trim_ows(comma == list->n ? *list : str_skip(*list, comma + 1));
    *list = comma == list->n ? STR_NONE : str_slice(*list, 0, comma);
    return true;
}

struct addr forwarded_for_client(const struct http_headers *h, const struct cidr_set *trusted,
                                 const struct addr *peer)
{
    struct addr client = *peer;
    size_t hops = 0;

    if (!cidr_set_has(trusted, peer))
        return client;
    for (size_t i = h->count; i > 0; i--) {
        struct str rest = h->items[i - 1].value;
        struct str element;

        if (!str_eq_nocase(h->items[i - 1].name, field_name))
            continue;
        while (take_last(&rest, &element)) {
            if (element.n == 0)
                continue; /* RFC 9110 section 5.6.1.2 */
            if (++hops > FORWARDED_FOR_HOPS_MAX || parse(element, &client) == -1 ||
                !cidr_set_has(trusted, &client))
                return client;
        }
    }
    return client;
}
