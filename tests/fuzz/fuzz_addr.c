/*
 * Fuzz target of base/addr: what was accepted is in normal form, so writing and reading it again
 * changes nothing.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/addr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_addr(struct str s)
{
    char text[ADDR_TEXT_BYTES];
    struct addr a;
    struct addr again;
    struct err e = { .code = E_OK };

    if (addr_parse(s, &a, &e) == -1) {
        assert(e.code == E_SYNTAX && e.msg[0] != '\0');
        return;
    }
    assert(addr_parse(str_from(addr_format(&a, text)), &again, NULL) == 0);
    assert(addr_ip_equal(&a, &again) && a.port == again.port);
}

static void fuzz_ip(struct str s)
{
    char text[ADDR_IP_TEXT_BYTES];
    struct addr a;
    struct addr again;

    if (addr_parse_ip(s, &a) == -1)
        return;
    assert(addr_parse_ip(str_from(addr_format_ip(&a, text)), &again) == 0);
    assert(addr_ip_equal(&a, &again));
}

static void fuzz_cidr(struct str s)
{
    char text[CIDR_TEXT_BYTES];
    struct cidr c;
    struct cidr again;
    struct addr first = { 0 };
    struct err e = { .code = E_OK };

    if (cidr_parse(s, &c, &e) == -1) {
        assert(e.code == E_CIDR && e.msg[0] != '\0');
        return;
    }
    assert(cidr_parse(str_from(cidr_format(&c, text)), &again, NULL) == 0);
    assert(memcmp(&c, &again, sizeof(c)) == 0);
    first.family = c.family;
    memcpy(first.ip, c.ip, sizeof(first.ip));
    assert(cidr_contains(&c, &first));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str s = str_of((const char *)data, size);

    fuzz_addr(s);
    fuzz_ip(s);
    fuzz_cidr(s);
    return 0;
}
