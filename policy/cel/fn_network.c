/*
 * fn_network: IP addresses and CIDR blocks (spec cel 10.5).
 * An IPv4-mapped IPv6 address is the IPv4 address (base/addr.h), but its usual text with dots is an
 * error: it would hide which of the two families is meant.
 */
#include <string.h>

#include "base/addr.h"
#include "policy/cel/cel.h"
#include "policy/cel/fn.h"

enum { MAPPED_PREFIX_BITS = 96, V4_BITS = 32, V6_BITS = 128 };

/* ---- text ---- */

static bool parse_ip(struct str text, struct addr *out)
{
    bool dots = str_find_char(text, '.') != text.n;
    bool colons = str_find_char(text, ':') != text.n;

    /* Dots in what becomes IPv4 and has colons: "::ffff:1.2.3.4". */
    return addr_parse_ip(text, out) == 0 && !(out->family == 4 && dots && colons);
}

/* A decimal number without a sign or zeros in front. */
static bool parse_bits(struct str text, unsigned max, unsigned *out)
{
    uint64_t bits;

    if ((text.n > 1 && text.p[0] == '0') || str_to_u64(text, max, &bits) == -1)
        return false;
    *out = (unsigned)bits;
    return true;
}

static bool parse_cidr(struct str text, struct cel_cidr *out)
{
    size_t slash = str_find_char(text, '/');
    struct str ip = str_slice(text, 0, slash);
    bool colons = str_find_char(ip, ':') != ip.n;
    unsigned bits;

    if (slash == text.n || !parse_ip(ip, &out->base) ||
        !parse_bits(str_skip(text, slash + 1), colons ? V6_BITS : V4_BITS, &bits))
        return false;
    if (colons && out->base.family == 4) {
        if (bits < MAPPED_PREFIX_BITS)
            return false;
        bits -= MAPPED_PREFIX_BITS;
    }
    out->bits = (uint8_t)bits;
    return true;
}

static struct cel_value ip_error(struct cel_run *run)
{
    return cel_error(run, "not an IP address");
}

static struct cel_value cidr_error(struct cel_run *run)
{
    return cel_error(run, "not a CIDR block such as 10.0.0.0/8");
}

static struct cel_value ip_value(struct cel_run *run, const struct addr *ip)
{
    struct addr *copy = cel_alloc(run, sizeof(*copy));

    if (copy == NULL)
        return cel_spent(run);
    *copy = *ip;
    return (struct cel_value){ .kind = CEL_IP, .as.ip = copy };
}

static struct cel_value cidr_value(struct cel_run *run, const struct cel_cidr *cidr)
{
    struct cel_cidr *copy = cel_alloc(run, sizeof(*copy));

    if (copy == NULL)
        return cel_spent(run);
    *copy = *cidr;
    return (struct cel_value){ .kind = CEL_CIDR, .as.cidr = copy };
}

static struct cel_value ip_of_string(struct cel_run *run, const struct cel_value *args,
                                     size_t count)
{
    struct addr ip;

    (void)count;
    return parse_ip(cel_str(args[0]), &ip) ? ip_value(run, &ip) : ip_error(run);
}

static struct cel_value cidr_of_string(struct cel_run *run, const struct cel_value *args,
                                       size_t count)
{
    struct cel_cidr cidr;

    (void)count;
    return parse_cidr(cel_str(args[0]), &cidr) ? cidr_value(run, &cidr) : cidr_error(run);
}

static struct cel_value is_ip(struct cel_run *run, const struct cel_value *args, size_t count)
{
    struct addr ip;

    (void)run;
    (void)count;
    return cel_bool(parse_ip(cel_str(args[0]), &ip));
}

static struct cel_value is_cidr(struct cel_run *run, const struct cel_value *args, size_t count)
{
    struct cel_cidr cidr;

    (void)run;
    (void)count;
    return cel_bool(parse_cidr(cel_str(args[0]), &cidr));
}

/* True for the one text that string() gives back (RFC 5952). */
static struct cel_value is_canonical(struct cel_run *run, const struct cel_value *args,
                                     size_t count)
{
    char text[ADDR_IP_TEXT_BYTES];
    struct addr ip;

    (void)count;
    if (!parse_ip(cel_str(args[0]), &ip))
        return ip_error(run);
    return cel_bool(str_eq(cel_str(args[0]), str_from(addr_format_ip(&ip, text))));
}

static struct cel_value string_of(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)count;
    return cel_to_text(run, args[0]);
}

/* ---- kinds of addresses ---- */

/* A kind is one block in each family. */
struct blocks {
    struct cidr v4;
    struct cidr v6;
};

/* clang-format off */
static const struct blocks unspecified = { { 4, 32, { 0 } }, { 6, 128, { 0 } } };
static const struct blocks loopback = { { 4, 8, { 127 } }, { 6, 128, { [15] = 1 } } };
static const struct blocks link_local = { { 4, 16, { 169, 254 } }, { 6, 10, { 0xfe, 0x80 } } };
static const struct blocks multicast = { { 4, 4, { 224 } }, { 6, 8, { 0xff } } };
static const struct cidr v4_broadcast = { 4, 32, { 255, 255, 255, 255 } };
static const struct cidr v4_link_local_multicast = { 4, 24, { 224 } };
/* clang-format on */

static bool is_in(const struct blocks *blocks, const struct addr *ip)
{
    return cidr_contains(ip->family == 4 ? &blocks->v4 : &blocks->v6, ip);
}

static struct cel_value ip_family(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)run;
    (void)count;
    return cel_int(args[0].as.ip->family);
}

static struct cel_value ip_is_unspecified(struct cel_run *run, const struct cel_value *args,
                                          size_t count)
{
    (void)run;
    (void)count;
    return cel_bool(is_in(&unspecified, args[0].as.ip));
}

static struct cel_value ip_is_loopback(struct cel_run *run, const struct cel_value *args,
                                       size_t count)
{
    (void)run;
    (void)count;
    return cel_bool(is_in(&loopback, args[0].as.ip));
}

static struct cel_value ip_is_link_local_unicast(struct cel_run *run, const struct cel_value *args,
                                                 size_t count)
{
    (void)run;
    (void)count;
    return cel_bool(is_in(&link_local, args[0].as.ip));
}

/* In IPv6 whatever the flags are, which stand between the prefix and the scope (RFC 4291 2.7). */
static struct cel_value ip_is_link_local_multicast(struct cel_run *run,
                                                   const struct cel_value *args, size_t count)
{
    const struct addr *ip = args[0].as.ip;

    (void)run;
    (void)count;
    if (ip->family == 4)
        return cel_bool(cidr_contains(&v4_link_local_multicast, ip));
    return cel_bool(ip->ip[0] == 0xff && (ip->ip[1] & 0x0f) == 2);
}

/* Private addresses are global by this name. */
static struct cel_value ip_is_global_unicast(struct cel_run *run, const struct cel_value *args,
                                             size_t count)
{
    const struct addr *ip = args[0].as.ip;

    (void)run;
    (void)count;
    return cel_bool(!is_in(&unspecified, ip) && !is_in(&loopback, ip) && !is_in(&multicast, ip) &&
                    !is_in(&link_local, ip) && !cidr_contains(&v4_broadcast, ip));
}

/* ---- blocks ---- */

/* With the host bits cleared. */
static struct cidr masked(const struct cel_cidr *c)
{
    return cidr_of(&c->base, c->bits);
}

static struct cel_value contains_ip(const struct cel_cidr *block, const struct addr *ip)
{
    struct cidr c = masked(block);

    return cel_bool(cidr_contains(&c, ip));
}

static struct cel_value contains_cidr(const struct cel_cidr *block, const struct cel_cidr *inner)
{
    struct cidr c = masked(block);

    return cel_bool(inner->bits >= block->bits && cidr_contains(&c, &inner->base));
}

static struct cel_value cidr_contains_ip(struct cel_run *run, const struct cel_value *args,
                                         size_t count)
{
    (void)run;
    (void)count;
    return contains_ip(args[0].as.cidr, args[1].as.ip);
}

static struct cel_value cidr_contains_ip_text(struct cel_run *run, const struct cel_value *args,
                                              size_t count)
{
    struct addr ip;

    (void)count;
    return parse_ip(cel_str(args[1]), &ip) ? contains_ip(args[0].as.cidr, &ip) : ip_error(run);
}

static struct cel_value cidr_contains_cidr(struct cel_run *run, const struct cel_value *args,
                                           size_t count)
{
    (void)run;
    (void)count;
    return contains_cidr(args[0].as.cidr, args[1].as.cidr);
}

static struct cel_value cidr_contains_cidr_text(struct cel_run *run, const struct cel_value *args,
                                                size_t count)
{
    struct cel_cidr inner;

    (void)count;
    if (!parse_cidr(cel_str(args[1]), &inner))
        return cidr_error(run);
    return contains_cidr(args[0].as.cidr, &inner);
}

static struct cel_value cidr_ip(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)count;
    return ip_value(run, &args[0].as.cidr->base);
}

static struct cel_value cidr_masked(struct cel_run *run, const struct cel_value *args, size_t count)
{
    struct cidr c = masked(args[0].as.cidr);
    struct cel_cidr out = { .base = { .family = c.family }, .bits = c.bits };

    (void)count;
    memcpy(out.base.ip, c.ip, sizeof(out.base.ip));
    return cidr_value(run, &out);
}

static struct cel_value cidr_prefix_length(struct cel_run *run, const struct cel_value *args,
                                           size_t count)
{
    (void)run;
    (void)count;
    return cel_int(args[0].as.cidr->bits);
}

static const struct cel_fn_row rows[] = {
    { "ip(string) -> net.IP", ip_of_string, CEL_FN_ARG_CHECKED },
    { "cidr(string) -> net.CIDR", cidr_of_string, CEL_FN_ARG_CHECKED },
    { "isIP(string) -> bool", is_ip, CEL_FN_PURE },
    { "isCIDR(string) -> bool", is_cidr, CEL_FN_PURE },
    { "ip.isCanonical(string) -> bool", is_canonical, CEL_FN_PURE },
    { "string(net.IP) -> string", string_of, CEL_FN_PURE },
    { "string(net.CIDR) -> string", string_of, CEL_FN_PURE },
    { "net.IP.family() -> int", ip_family, CEL_FN_PURE },
    { "net.IP.isUnspecified() -> bool", ip_is_unspecified, CEL_FN_PURE },
    { "net.IP.isLoopback() -> bool", ip_is_loopback, CEL_FN_PURE },
    { "net.IP.isGlobalUnicast() -> bool", ip_is_global_unicast, CEL_FN_PURE },
    { "net.IP.isLinkLocalUnicast() -> bool", ip_is_link_local_unicast, CEL_FN_PURE },
    { "net.IP.isLinkLocalMulticast() -> bool", ip_is_link_local_multicast, CEL_FN_PURE },
    { "net.CIDR.containsIP(net.IP) -> bool", cidr_contains_ip, CEL_FN_PURE },
    { "net.CIDR.containsIP(string) -> bool", cidr_contains_ip_text, CEL_FN_PURE },
    { "net.CIDR.containsCIDR(net.CIDR) -> bool", cidr_contains_cidr, CEL_FN_PURE },
    { "net.CIDR.containsCIDR(string) -> bool", cidr_contains_cidr_text, CEL_FN_PURE },
    { "net.CIDR.ip() -> net.IP", cidr_ip, CEL_FN_PURE },
    { "net.CIDR.masked() -> net.CIDR", cidr_masked, CEL_FN_PURE },
    { "net.CIDR.prefixLength() -> int", cidr_prefix_length, CEL_FN_PURE },
};

const struct cel_library cel_network_library = { rows, sizeof(rows) / sizeof(rows[0]) };
