#include "gateway/http.h"

#include <assert.h>

#include "base/addr.h"
#include "tunnel/host.h"

enum { PORT_MAX_DIGITS = 5 };

static_assert(HTTP_HOST_BYTES == HOST_MAX_BYTES + 1, "host_fold() writes as much");

void http_authority_split(struct str authority, struct str *host, struct str *port)
{
    size_t colon = str_rfind_char(authority, ':');
    size_t bracket = str_rfind_char(authority, ']');

    *host = authority;
    *port = STR_NONE;
    if (colon == authority.n || (bracket != authority.n && colon < bracket))
        return;
    *host = str_of(authority.p, colon);
    *port = str_of(authority.p + colon + 1, authority.n - colon - 1);
}

/* "[" IPv6 "]". No zone and no future form: neither can name an endpoint. */
static int parse_ip_literal(struct str s, char host[HTTP_HOST_BYTES])
{
    struct str ip = str_slice(s, 1, s.n - 1);
    struct addr parsed;

    if (!str_ends(s, STR("]")) || str_find_char(ip, ':') == ip.n ||
        addr_parse_ip(ip, &parsed) == -1)
        return -1;
    for (size_t i = 0; i < s.n; i++) /* an address that parsed is short */
        host[i] = char_lower(s.p[i]);
    host[s.n] = '\0';
    return 0;
}

int http_authority_parse(struct str authority, char host[HTTP_HOST_BYTES], uint16_t *port)
{
    struct str name;
    struct str digits;
    uint64_t number = 0;

    http_authority_split(authority, &name, &digits);
    /* The name is the shorter one when there is a colon. */
    if (name.n < authority.n && (digits.n > PORT_MAX_DIGITS ||
                                 str_to_u64(digits, UINT16_MAX, &number) == -1 || number == 0))
        return -1;
    *port = (uint16_t)number;
    if (str_starts(name, STR("[")))
        return parse_ip_literal(name, host);
    return name.n == 0 ? -1 : host_fold(name, host);
}
