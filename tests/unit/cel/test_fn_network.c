/*
 * Unit tests of policy/cel/fn_network.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/cel/fn.h"

static struct arena arena;
static struct cel_run run;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena);
    run = (struct cel_run){ .arena = &arena, .limits = &cel_default_limits };
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

static struct cel_value call(const char *signature, struct cel_value a, struct cel_value b)
{
    const struct cel_value args[2] = { a, b };

    for (size_t i = 0; i < cel_network_library.count; i++) {
        if (strcmp(cel_network_library.rows[i].signature, signature) == 0)
            return cel_network_library.rows[i].fn(&run, args, b.kind == CEL_NULL ? 1 : 2);
    }
    fail_msg("no row %s", signature);
    return cel_null();
}

static struct cel_value text(const char *s)
{
    return cel_string(str_from(s));
}

static struct cel_value ip(const char *s)
{
    struct cel_value v = call("ip(string) -> net.IP", text(s), cel_null());

    if (v.kind != CEL_IP)
        fail_msg("not an address: %s", s);
    return v;
}

static struct cel_value cidr(const char *s)
{
    struct cel_value v = call("cidr(string) -> net.CIDR", text(s), cel_null());

    if (v.kind != CEL_CIDR)
        fail_msg("not a block: %s", s);
    return v;
}

static bool is_true(const char *signature, struct cel_value a, struct cel_value b)
{
    struct cel_value v = call(signature, a, b);

    assert_int_equal(v.kind, CEL_BOOL);
    return v.as.b;
}

static void assert_text(struct cel_value v, const char *want)
{
    char got[64] = "";

    assert_int_equal(v.kind, CEL_STRING);
    assert_true(v.n < sizeof(got));
    memcpy(got, v.as.p, v.n);
    assert_string_equal(got, want);
}

static void ip_of_string_gives_the_canonical_text(void **state)
{
    static const struct {
        const char *text;
        const char *normal;
        int family;
    } cases[] = {
        { "192.168.0.1", "192.168.0.1", 4 },
        { "0.0.0.0", "0.0.0.0", 4 },
        { "2001:DB8::68", "2001:db8::68", 6 },
        { "2001:db8:0:0:0:0:0:68", "2001:db8::68", 6 },
        { "::", "::", 6 },
        { "::ffff:c0a8:1", "192.168.0.1", 4 },
        { "::1.2.3.4", "::102:304", 6 },
        { "64:ff9b::1.2.3.4", "64:ff9b::102:304", 6 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cel_value v = ip(cases[i].text);

        assert_text(call("string(net.IP) -> string", v, cel_null()), cases[i].normal);
        assert_int_equal(call("net.IP.family() -> int", v, cel_null()).as.i, cases[i].family);
        assert_true(is_true("isIP(string) -> bool", text(cases[i].text), cel_null()));
        assert_int_equal(is_true("ip.isCanonical(string) -> bool", text(cases[i].text), cel_null()),
                         strcmp(cases[i].text, cases[i].normal) == 0);
    }
}

static void ip_of_what_is_no_address_is_an_error(void **state)
{
    static const char *const cases[] = {
        "",
        "192.168.0.1.0",
        "192.168.0",
        "192.168.0.256",
        "192.168.1",
        "192.168.0.01",
        "::ffff:192.168.0.1",
        "::FFFF:1.2.3.4",
        "fe80::1%1",
        "0:0:0:0:0:ffff:1.2.3.4",
        "[::1]",
        "1.2.3.4/32",
        " 1.2.3.4",
        ":::",
        "::g",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (call("ip(string) -> net.IP", text(cases[i]), cel_null()).kind != CEL_ERROR)
            fail_msg("taken: %s", cases[i]);
        assert_int_equal(call("ip.isCanonical(string) -> bool", text(cases[i]), cel_null()).kind,
                         CEL_ERROR);
        assert_false(is_true("isIP(string) -> bool", text(cases[i]), cel_null()));
    }
}

static void ip_kinds(void **state)
{
    enum {
        UNSPECIFIED = 1,
        LOOPBACK = 2,
        GLOBAL = 4,
        LINK_LOCAL = 8,
        LINK_LOCAL_MULTICAST = 16,
    };
    static const struct {
        const char *signature;
        unsigned kind;
    } functions[] = {
        { "net.IP.isUnspecified() -> bool", UNSPECIFIED },
        { "net.IP.isLoopback() -> bool", LOOPBACK },
        { "net.IP.isGlobalUnicast() -> bool", GLOBAL },
        { "net.IP.isLinkLocalUnicast() -> bool", LINK_LOCAL },
        { "net.IP.isLinkLocalMulticast() -> bool", LINK_LOCAL_MULTICAST },
    };
    static const struct {
        const char *ip;
        unsigned kinds;
    } cases[] = {
        { "0.0.0.0", UNSPECIFIED },
        { "0.0.0.1", GLOBAL },
        { "::", UNSPECIFIED },
        { "127.0.0.1", LOOPBACK },
        { "127.255.255.255", LOOPBACK },
        { "128.0.0.0", GLOBAL },
        { "::1", LOOPBACK },
        { "::2", GLOBAL },
        { "10.0.0.1", GLOBAL },
        { "192.168.0.1", GLOBAL },
        { "fd80::1", GLOBAL },
        { "2001:db8::abcd", GLOBAL },
        { "169.254.0.0", LINK_LOCAL },
        { "169.255.0.0", GLOBAL },
        { "fe80::1", LINK_LOCAL },
        { "febf::1", LINK_LOCAL },
        { "fec0::1", GLOBAL },
        { "224.0.0.0", LINK_LOCAL_MULTICAST },
        { "224.0.0.255", LINK_LOCAL_MULTICAST },
        { "224.0.1.1", 0 },
        { "239.255.255.255", 0 },
        { "240.0.0.1", GLOBAL },
        { "255.255.255.254", GLOBAL },
        { "255.255.255.255", 0 },
        { "ff02::1", LINK_LOCAL_MULTICAST },
        { "ff12::1", LINK_LOCAL_MULTICAST },
        { "ff05::1", 0 },
        { "ff20::1", 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        unsigned kinds = 0;

        for (size_t k = 0; k < sizeof(functions) / sizeof(functions[0]); k++) {
            if (is_true(functions[k].signature, ip(cases[i].ip), cel_null()))
                kinds |= functions[k].kind;
        }
        if (kinds != cases[i].kinds)
            fail_msg("%s has kinds %u", cases[i].ip, kinds);
    }
}

static void cidr_keeps_its_host_bits(void **state)
{
    static const struct {
        const char *text;
        const char *normal;
        const char *ip;
        const char *masked;
        int bits;
    } cases[] = {
        { "192.168.0.0/24", "192.168.0.0/24", "192.168.0.0", "192.168.0.0/24", 24 },
        { "192.168.0.77/24", "192.168.0.77/24", "192.168.0.77", "192.168.0.0/24", 24 },
        { "1.2.3.4/0", "1.2.3.4/0", "1.2.3.4", "0.0.0.0/0", 0 },
        { "1.2.3.4/32", "1.2.3.4/32", "1.2.3.4", "1.2.3.4/32", 32 },
        { "2001:DB8::1/32", "2001:db8::1/32", "2001:db8::1", "2001:db8::/32", 32 },
        { "::1/128", "::1/128", "::1", "::1/128", 128 },
        { "::ffff:c0a8:1/120", "192.168.0.1/24", "192.168.0.1", "192.168.0.0/24", 24 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cel_value c = cidr(cases[i].text);
        struct cel_value base = call("net.CIDR.ip() -> net.IP", c, cel_null());
        struct cel_value block = call("net.CIDR.masked() -> net.CIDR", c, cel_null());

        assert_text(call("string(net.CIDR) -> string", c, cel_null()), cases[i].normal);
        assert_text(call("string(net.IP) -> string", base, cel_null()), cases[i].ip);
        assert_text(call("string(net.CIDR) -> string", block, cel_null()), cases[i].masked);
        assert_int_equal(call("net.CIDR.prefixLength() -> int", c, cel_null()).as.i, cases[i].bits);
        assert_true(is_true("isCIDR(string) -> bool", text(cases[i].text), cel_null()));
    }
}

static void cidr_of_what_is_no_block_is_an_error(void **state)
{
    static const char *const cases[] = {
        "",
        "192.168.0.0",
        "192.168.0.0/",
        "192.168.0.0/33",
        "192.168.0.0/-1",
        "192.168.0.0/+8",
        "192.168.0.0/08",
        "192.168.0.0/8/8",
        "192.168.0/16",
        "::/129",
        "::ffff:192.168.0.1/24",
        "::ffff:192.168.0.1/120",
        "::ffff:c0a8:1/95",
        "fe80::1%1/64",
        "/8",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (call("cidr(string) -> net.CIDR", text(cases[i]), cel_null()).kind != CEL_ERROR)
            fail_msg("taken: %s", cases[i]);
        assert_false(is_true("isCIDR(string) -> bool", text(cases[i]), cel_null()));
    }
}

static void cidr_contains_cases(void **state)
{
    static const struct {
        const char *outer;
        const char *inner;
        bool contains;
    } cases[] = {
        { "192.168.0.0/24", "192.168.0.1", true },
        { "192.168.0.77/24", "192.168.0.1", true },
        { "192.168.0.0/24", "192.168.1.1", false },
        { "192.168.0.0/24", "::ffff:c0a8:1", true },
        { "192.168.1.1/32", "2001:db8::1", false },
        { "2001:db8::/32", "2001:db8::1", true },
        { "0.0.0.0/0", "::1", false },
        { "::/0", "1.2.3.4", false },
        { "192.168.0.0/24", "192.168.0.0/25", true },
        { "192.168.0.0/24", "192.168.0.1/32", true },
        { "192.168.0.0/24", "192.168.0.99/24", true },
        { "192.168.0.0/24", "192.168.0.0/23", false },
        { "192.168.0.0/24", "192.168.1.0/25", false },
        { "10.0.0.0/8", "10.0.0.0/8", true },
        { "2001:db8::/32", "2001:db8::/33", true },
        { "::/0", "0.0.0.0/0", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cel_value outer = cidr(cases[i].outer);
        struct cel_value inner = text(cases[i].inner);
        bool is_block = strchr(cases[i].inner, '/') != NULL;
        bool by_text = is_true(is_block ? "net.CIDR.containsCIDR(string) -> bool"
                                        : "net.CIDR.containsIP(string) -> bool",
                               outer, inner);
        bool by_value =
            is_block
                ? is_true("net.CIDR.containsCIDR(net.CIDR) -> bool", outer, cidr(cases[i].inner))
                : is_true("net.CIDR.containsIP(net.IP) -> bool", outer, ip(cases[i].inner));

        if (by_text != cases[i].contains || by_value != cases[i].contains)
            fail_msg("%s in %s", cases[i].inner, cases[i].outer);
    }
    assert_int_equal(
        call("net.CIDR.containsIP(string) -> bool", cidr("::/0"), text("nonsense")).kind,
        CEL_ERROR);
    assert_int_equal(call("net.CIDR.containsCIDR(string) -> bool", cidr("::/0"), text("::1")).kind,
                     CEL_ERROR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ip_of_string_gives_the_canonical_text),
        cmocka_unit_test(ip_of_what_is_no_address_is_an_error),
        cmocka_unit_test(ip_kinds),
        cmocka_unit_test(cidr_keeps_its_host_bits),
        cmocka_unit_test(cidr_of_what_is_no_block_is_an_error),
        cmocka_unit_test(cidr_contains_cases),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
