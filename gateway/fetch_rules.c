#include "gateway/fetch_rules.h"

#include <string.h>

#include "base/mem.h"
#include "base/ref.h"
#include "tunnel/host.h"

struct fetch_rule {
    struct fetch_rule *next;
    struct cidr block;             /* family 0: a name */
    char host[HOST_MAX_BYTES + 1]; /* normal; "*" is all */
};

struct fetch_rules {
    struct ref ref;
    struct fetch_rule *first; /* owned */
    bool has_blocks;
};

struct fetch_rules *fetch_rules_new(void)
{
    struct fetch_rules *r = mem_zalloc(sizeof(*r));

    ref_init(&r->ref);
    return r;
}

void fetch_rules_ref(struct fetch_rules *r)
{
    ref_inc(&r->ref);
}

void fetch_rules_unref(struct fetch_rules *r)
{
    if (r == NULL || !ref_dec(&r->ref))
        return;
    while (r->first != NULL) {
        struct fetch_rule *rule = r->first;

        r->first = rule->next;
        mem_free(rule);
    }
    mem_free(r);
}

/* Anything with these is meant to be an address; "10.0.0.0" is never a name. */
static bool looks_like_block(struct str text)
{
    size_t digits = 0;

    while (digits < text.n && (char_is_digit(text.p[digits]) || text.p[digits] == '.'))
        digits++;
    return digits == text.n || str_find_char(text, '/') < text.n ||
           str_find_char(text, ':') < text.n;
}

int fetch_rules_add(struct fetch_rules *r, struct str text, struct err *e)
{
    struct fetch_rule *rule = mem_zalloc(sizeof(*rule));
    int rc = 0;

    if (looks_like_block(text))
        rc = cidr_parse(text, &rule->block, e);
    else if (str_eq(text, STR("*")))
        rule->host[0] = '*';
    else
        rc = host_normalize(text, rule->host, e);
    if (rc == -1) {
        mem_free(rule);
        return -1;
    }
    r->has_blocks = r->has_blocks || rule->block.family != 0;
    rule->next = r->first;
    r->first = rule;
    return 0;
}

enum fetch_reach fetch_rules_reach(const struct fetch_rules *r, struct str host)
{
    for (const struct fetch_rule *rule = r->first; rule != NULL; rule = rule->next) {
        if (rule->block.family == 0 &&
            (strcmp(rule->host, "*") == 0 || host_matches(str_from(rule->host), host)))
            return FETCH_PUBLIC;
    }
    return r->has_blocks ? FETCH_BLOCKS : FETCH_NOWHERE;
}

bool fetch_rules_allow(const struct fetch_rules *r, enum fetch_reach reach, const struct addr *a)
{
    if (a->family == 0 || reach == FETCH_NOWHERE)
        return false;
    if (reach == FETCH_PUBLIC && fetch_is_public(a))
        return true;
    for (const struct fetch_rule *rule = r->first; rule != NULL; rule = rule->next) {
        if (rule->block.family != 0 && cidr_contains(&rule->block, a))
            return true;
    }
    return false;
}

/* Prefixes that carry an IPv4 address in them are among these as a whole: whoever needs NAT64 lists
 * its prefix. */
static const struct {
    uint8_t family;
    uint8_t bits;
    uint8_t ip[16];
} special[] = {
    { 4, 8, { 0 } },                    /* this network */
    { 4, 8, { 10 } },                   /* private */
    { 4, 10, { 100, 64 } },             /* shared with a carrier */
    { 4, 8, { 127 } },                  /* loopback */
    { 4, 16, { 169, 254 } },            /* link-local, and clouds' metadata */
    { 4, 12, { 172, 16 } },             /* private */
    { 4, 24, { 192, 0, 0 } },           /* protocol assignments */
    { 4, 24, { 192, 0, 2 } },           /* documentation */
    { 4, 24, { 192, 88, 99 } },         /* 6to4 relays */
    { 4, 16, { 192, 168 } },            /* private */
    { 4, 15, { 198, 18 } },             /* benchmarking */
    { 4, 24, { 198, 51, 100 } },        /* documentation */
    { 4, 24, { 203, 0, 113 } },         /* documentation */
    { 4, 4, { 224 } },                  /* multicast */
    { 4, 4, { 240 } },                  /* reserved, broadcast */
    { 6, 8, { 0 } },                    /* unspecified, loopback, NAT64 */
    { 6, 64, { 1 } },                   /* discard */
    { 6, 23, { 0x20, 1 } },             /* protocol assignments, Teredo */
    { 6, 32, { 0x20, 1, 0x0d, 0xb8 } }, /* documentation */
    { 6, 16, { 0x20, 2 } },             /* 6to4 */
    { 6, 20, { 0x3f, 0xff } },          /* documentation */
    { 6, 7, { 0xfc } },                 /* unique local */
    { 6, 9, { 0xfe } },                 /* reserved */
    { 6, 10, { 0xfe, 0x80 } },          /* link-local */
    { 6, 10, { 0xfe, 0xc0 } },          /* site-local */
    { 6, 8, { 0xff } },                 /* multicast */
};

bool fetch_is_public(const struct addr *a)
{
    for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
        struct cidr block = { .family = special[i].family, .bits = special[i].bits };

        memcpy(block.ip, special[i].ip, sizeof(block.ip));
        if (cidr_contains(&block, a))
            return false;
    }
    return a->family != 0;
}
