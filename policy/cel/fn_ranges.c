/*
 * fn_ranges: is an address in a block? (spec traffic-policy 5.13 and 5.16) What is no address and no
 * block is false and never an error. The host bits of a block may be set.
 */
#include "base/addr.h"
#include "policy/cel/fn_policy.h"

enum { STEPS_PER_BLOCK = 4 };

/* A bare address is no block here. */
static bool is_in_block(const struct addr *ip, struct str block)
{
    struct cidr cidr;

    return str_find_char(block, '/') < block.n && cidr_parse(block, &cidr, NULL) == 0 &&
           cidr_contains(&cidr, ip);
}

static struct cel_value in_cidr_range(struct cel_run *run, const struct cel_value *args,
                                      size_t count)
{
    struct addr ip;

    (void)run;
    (void)count;
    return cel_bool(addr_parse_ip(cel_str(args[0]), &ip) == 0 &&
                    is_in_block(&ip, cel_str(args[1])));
}

static struct cel_value in_cidr_ranges(struct cel_run *run, const struct cel_value *args,
                                       size_t count)
{
    const struct cel_list *blocks = args[1].as.list;
    struct addr ip;

    (void)count;
    if (addr_parse_ip(cel_str(args[0]), &ip) == -1)
        return cel_bool(false);
    for (size_t i = 0; i < blocks->count; i++) {
        if (!cel_charge(run, STEPS_PER_BLOCK))
            return cel_spent(run);
        if (blocks->items[i].kind == CEL_STRING && is_in_block(&ip, cel_str(blocks->items[i])))
            return cel_bool(true);
    }
    return cel_bool(false);
}

/* RFC 1918, in the form of IPv4 only. */
static struct cel_value is_private_ip(struct cel_run *run, const struct cel_value *args,
                                      size_t count)
{
    static const struct cidr blocks[] = {
        { 4, 8, { 10 } },
        { 4, 12, { 172, 16 } },
        { 4, 16, { 192, 168 } },
    };
    struct str text = cel_str(args[0]);
    struct addr ip;

    (void)run;
    (void)count;
    if (str_find_char(text, ':') < text.n || addr_parse_ip(text, &ip) == -1)
        return cel_bool(false);
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        if (cidr_contains(&blocks[i], &ip))
            return cel_bool(true);
    }
    return cel_bool(false);
}

static const struct cel_fn_row rows[] = {
    { "inCidrRange(string, string) -> bool", in_cidr_range, CEL_FN_PURE },
    { "inCidrRanges(string, list(string)) -> bool", in_cidr_ranges, CEL_FN_PURE },
    { "string.isPrivateIp() -> bool", is_private_ip, CEL_FN_PURE },
};

const struct cel_library cel_ranges_library = { rows, sizeof(rows) / sizeof(rows[0]) };
