#include "base/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static const uint8_t v4_mapped_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static size_t ip_bytes(uint8_t family)
{
    return family == 4 ? 4 : 16;
}

static void set_v6(struct addr *a, const uint8_t ip[16])
{
    if (memcmp(ip, v4_mapped_prefix, sizeof(v4_mapped_prefix)) == 0) {
        a->family = 4;
        memcpy(a->ip, ip + sizeof(v4_mapped_prefix), 4);
        return;
    }
    a->family = 6;
    memcpy(a->ip, ip, 16);
}

struct addr addr_from_bytes(unsigned family, const void *ip, uint16_t port)
{
    struct addr a = { .port = port };

    if (family == 6) {
        set_v6(&a, ip);
        return a;
    }
    a.family = 4;
    memcpy(a.ip, ip, 4);
    return a;
}

struct addr addr_from_sockaddr(const struct sockaddr *sa)
{
    struct addr a = { 0 };

    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in;

        memcpy(&in, sa, sizeof(in));
        a.family = 4;
        a.port = ntohs(in.sin_port);
        memcpy(a.ip, &in.sin_addr, 4);
    } else if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;

        memcpy(&in6, sa, sizeof(in6));
        a.port = ntohs(in6.sin6_port);
        set_v6(&a, in6.sin6_addr.s6_addr);
    }
    return a;
}

struct addr addr_of_socket(int fd)
{
    struct sockaddr_storage ss = { .ss_family = AF_UNSPEC };
    socklen_t n = sizeof(ss);

    /* Only what is no socket fails, and is left without family as other kinds are. */
    (void)getsockname(fd, (struct sockaddr *)&ss, &n);
    return addr_from_sockaddr((const struct sockaddr *)&ss);
}

unsigned addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof(*out));
    if (a->family == 4) {
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(a->port) };

        memcpy(&in.sin_addr, a->ip, 4);
        memcpy(out, &in, sizeof(in));
        return sizeof(in);
    }
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(a->port) };

    memcpy(&in6.sin6_addr, a->ip, 16);
    memcpy(out, &in6, sizeof(in6));
    return sizeof(in6);
}

int addr_parse_ip(struct str s, struct addr *out)
{
    char text[ADDR_IP_TEXT_BYTES];
    uint8_t ip[16];
    struct addr a = { 0 };

    if (s.n == 0 || s.n >= sizeof(text) || memchr(s.p, '\0', s.n) != NULL)
        return -1;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    if (inet_pton(AF_INET, text, a.ip) == 1)
        a.family = 4;
    else if (inet_pton(AF_INET6, text, ip) == 1)
        set_v6(&a, ip);
    else
        return -1;
    *out = a;
    return 0;
}

int addr_parse(struct str s, struct addr *out, struct err *e)
{
    size_t colon = str_rfind_char(s, ':');
    struct str ip = str_slice(s, 0, colon);
    struct str port = str_skip(s, colon + 1);
    struct addr a;
    uint64_t number;

    if (colon == s.n)
        return err_set(e, E_SYNTAX, "'%.*s' has no port; write address:port", STR_ARG(s));
    if (str_to_u64(port, UINT16_MAX, &number) == -1)
        return err_set(e, E_SYNTAX, "'%.*s' is not a port (0-65535)", STR_ARG(port));
    if (ip.n >= 2 && ip.p[0] == '[' && ip.p[ip.n - 1] == ']')
        ip = str_slice(ip, 1, ip.n - 1);
    else if (str_find_char(ip, ':') != ip.n)
        return err_set(e, E_SYNTAX, "an IPv6 address with a port is written [address]:port");
    if (addr_parse_ip(ip, &a) == -1)
        return err_set(e, E_SYNTAX, "'%.*s' is not an IP address", STR_ARG(ip));
    a.port = (uint16_t)number;
    *out = a;
    return 0;
}

enum { V6_GROUPS = 8 };

/* The first of the longest runs of groups that are 0; *length is 0 when none is longer than one. */
static size_t longest_zero_run(const uint8_t ip[16], size_t *length)
{
    size_t best = 0;

    *length = 0;
    for (size_t i = 0; i < V6_GROUPS; i++) {
        size_t n = 0;

        while (i + n < V6_GROUPS && ip[2 * (i + n)] == 0 && ip[2 * (i + n) + 1] == 0)
            n++;
        if (n > 1 && n > *length) {
            best = i;
            *length = n;
        }
    }
    return best;
}

/* RFC 5952 section 4. inet_ntop() writes ::102:304 as ::1.2.3.4, which that RFC does not. */
static void format_v6(const uint8_t ip[16], char out[ADDR_IP_TEXT_BYTES])
{
    size_t zeros;
    size_t zeros_at = longest_zero_run(ip, &zeros);
    size_t n = 0;

    for (size_t i = 0; i < V6_GROUPS; i++) {
        if (zeros > 0 && i == zeros_at) {
            out[n++] = ':';
            if (i == 0)
                out[n++] = ':';
            i += zeros - 1;
            continue;
        }
        n += (size_t)snprintf(out + n, ADDR_IP_TEXT_BYTES - n, "%x%s",
                              (unsigned)ip[2 * i] << 8 | ip[2 * i + 1],
                              i + 1 < V6_GROUPS ? ":" : "");
    }
    out[n] = '\0';
}

const char *addr_format_ip(const struct addr *a, char out[ADDR_IP_TEXT_BYTES])
{
    if (a->family == 6)
        format_v6(a->ip, out);
    else if (a->family == 0 || inet_ntop(AF_INET, a->ip, out, ADDR_IP_TEXT_BYTES) == NULL)
        (void)snprintf(out, ADDR_IP_TEXT_BYTES, "-");
    return out;
}

const char *addr_format(const struct addr *a, char out[ADDR_TEXT_BYTES])
{
    char ip[ADDR_IP_TEXT_BYTES];

    (void)snprintf(out, ADDR_TEXT_BYTES, a->family == 6 ? "[%s]:%u" : "%s:%u",
                   addr_format_ip(a, ip), (unsigned)a->port);
    return out;
}

bool addr_ip_equal(const struct addr *a, const struct addr *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, ip_bytes(a->family)) == 0;
}

bool addr_is_loopback(const struct addr *a)
{
    static const uint8_t v6_loopback[16] = { [15] = 1 };

    if (a->family == 4)
        return a->ip[0] == 127;
    return a->family == 6 && memcmp(a->ip, v6_loopback, sizeof(v6_loopback)) == 0;
}

/* Clears the bits of ip behind the first `bits`. */
static void mask_ip(uint8_t *ip, size_t n, unsigned bits)
{
    for (size_t i = 0; i < n; i++) {
        unsigned keep = bits >= 8 ? 8 : bits;

        ip[i] &= (uint8_t)(0xff00U >> keep);
        bits -= keep;
    }
}

struct cidr cidr_of(const struct addr *a, unsigned bits)
{
    struct cidr c = { .family = a->family, .bits = (uint8_t)bits };

    memcpy(c.ip, a->ip, ip_bytes(a->family));
    mask_ip(c.ip, ip_bytes(a->family), bits);
    return c;
}

int cidr_parse(struct str s, struct cidr *out, struct err *e)
{
    size_t slash = str_find_char(s, '/');
    struct addr a;
    uint64_t bits;
    uint64_t max;

    if (addr_parse_ip(str_slice(s, 0, slash), &a) == -1)
        return err_set(e, E_CIDR, "'%.*s' is not an IP address or CIDR block", STR_ARG(s));
    max = ip_bytes(a.family) * 8;
    bits = max;
    if (slash != s.n && str_to_u64(str_skip(s, slash + 1), max, &bits) == -1)
        return err_set(e, E_CIDR, "'%.*s' has no valid prefix length (0-%u)", STR_ARG(s),
                       (unsigned)max);
    *out = cidr_of(&a, (unsigned)bits);
    return 0;
}

bool cidr_contains(const struct cidr *c, const struct addr *a)
{
    uint8_t ip[16];

    if (c->family != a->family)
        return false;
    memcpy(ip, a->ip, sizeof(ip));
    mask_ip(ip, ip_bytes(a->family), c->bits);
    return memcmp(ip, c->ip, ip_bytes(a->family)) == 0;
}

const char *cidr_format(const struct cidr *c, char out[CIDR_TEXT_BYTES])
{
    struct addr a = { .family = c->family };
    char ip[ADDR_IP_TEXT_BYTES];

    memcpy(a.ip, c->ip, sizeof(a.ip));
    (void)snprintf(out, CIDR_TEXT_BYTES, "%s/%u", addr_format_ip(&a, ip), (unsigned)c->bits);
    return out;
}
