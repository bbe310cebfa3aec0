/*
 * Unit tests of base/addr.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/addr.h"

static void addr_parse_gives_the_normal_form(void **state)
{
    static const struct {
        const char *text;
        const char *normal; /* NULL: refused */
    } cases[] = {
        { "1.2.3.4:80", "1.2.3.4:80" },
        { "0.0.0.0:0", "0.0.0.0:0" },
        { "255.255.255.255:65535", "255.255.255.255:65535" },
        { "[::1]:443", "[::1]:443" },
        { "[2001:DB8:0:0::1]:443", "[2001:db8::1]:443" },
        { "[::ffff:1.2.3.4]:5", "1.2.3.4:5" },
        { "[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:1",
          "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:1" },
        { "", NULL },
        { ":", NULL },
        { ":80", NULL },
        { "1.2.3.4", NULL },
        { "1.2.3.4:", NULL },
        { "1.2.3.4:65536", NULL },
        { "1.2.3.4:-1", NULL },
        { "1.2.3.4:+1", NULL },
        { "1.2.3.4: 1", NULL },
        { "1.2.3:80", NULL },
        { "1.2.3.256:80", NULL },
        { "01.2.3.4:80", NULL },
        { "::1:80", NULL },
        { "[::1]", NULL },
        { "[::1:80", NULL },
        { "::1]:80", NULL },
        { "[]:80", NULL },
        { "[::1%lo]:80", NULL },
        { "[::g]:80", NULL },
        { "localhost:80", NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[ADDR_TEXT_BYTES];
        struct addr a = { .family = 9 };
        struct err e = { .code = E_OK };
        int rc = addr_parse(str_from(cases[i].text), &a, &e);

        if (cases[i].normal == NULL) {
            assert_int_equal(rc, -1);
            assert_int_equal(e.code, E_SYNTAX);
            assert_int_equal(a.family, 9); /* untouched */
        } else {
            assert_int_equal(rc, 0);
            assert_string_equal(addr_format(&a, text), cases[i].normal);
        }
    }
}

static void addr_parse_ip_refuses_what_is_no_ip(void **state)
{
    static const struct str cases[] = {
        STR_INIT(""),          STR_INIT(" 1.2.3.4"),
        STR_INIT("1.2.3.4 "),  STR_INIT("[::1]"),
        STR_INIT("1.2.3"),     STR_INIT("1.2.3.4.5"),
        STR_INIT(":::"),       STR_INIT("1.2.3.4\0"),
        STR_INIT("0x1.2.3.4"), STR_INIT("0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"),
    };
    struct addr a;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(addr_parse_ip(cases[i], &a), -1);
}

static void addr_format_without_address_is_a_dash(void **state)
{
    const struct addr none = { 0 };
    char text[ADDR_TEXT_BYTES];

    (void)state;
    assert_string_equal(addr_format_ip(&none, text), "-");
    assert_string_equal(addr_format(&none, text), "-:0");
}

/* RFC 5952 section 4; each text is the one form of its address. */
static void addr_format_ip_writes_the_canonical_form(void **state)
{
    static const char *const cases[] = {
        "::",
        "::1",
        "1::",
        "2001:db8::1",
        "2001:db8:0:1:1:1:1:1",
        "2001:0:0:1::1",
        "2001:db8::1:0:0:1",
        "0:1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:0",
        "::2:3:4:5:6:7",
        "1:2:3:4:5:6::",
        "::102:304",
        "0:0:0:1::",
        "::ffff",
        "64:ff9b::102:304",
        "fe80::abcd:ef01:2345:6789",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[ADDR_IP_TEXT_BYTES];
        struct addr a;

        assert_int_equal(addr_parse_ip(str_from(cases[i]), &a), 0);
        assert_string_equal(addr_format_ip(&a, text), cases[i]);
    }
}

static void addr_sockaddr_there_and_back(void **state)
{
    static const char *const cases[] = { "1.2.3.4:80", "[2001:db8::1]:65535", "0.0.0.0:0" };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sockaddr_storage ss;
        struct addr a;
        struct addr back;

        assert_int_equal(addr_parse(str_from(cases[i]), &a, NULL), 0);
        assert_int_equal(addr_to_sockaddr(&a, &ss),
                         a.family == 4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
        back = addr_from_sockaddr((const struct sockaddr *)&ss);
        assert_memory_equal(&back, &a, sizeof(a));
    }
}

static void addr_of_socket_is_where_it_is_bound(void **state)
{
    struct sockaddr_storage ss;
    struct addr asked;
    struct addr a;
    int fd = socket(AF_INET6, SOCK_STREAM, 0);

    (void)state;
    if (fd == -1)
        skip(); /* a machine without IPv6 */
    assert_int_equal(addr_parse(STR("[::1]:0"), &asked, NULL), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&ss, addr_to_sockaddr(&asked, &ss)), 0);
    a = addr_of_socket(fd);
    assert_true(addr_ip_equal(&a, &asked));
    assert_int_not_equal(a.port, 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(addr_of_socket(fd).family, 0);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(addr_of_socket(fd).family, 0);
    assert_int_equal(close(fd), 0);
}

static void addr_from_sockaddr_mapped_becomes_v4(void **state)
{
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(22) };
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    char text[ADDR_TEXT_BYTES];
    struct addr a;

    (void)state;
    assert_int_equal(inet_pton(AF_INET6, "::ffff:10.0.0.1", &in6.sin6_addr), 1);
    a = addr_from_sockaddr((const struct sockaddr *)&in6);
    assert_string_equal(addr_format(&a, text), "10.0.0.1:22");
    a = addr_from_sockaddr((const struct sockaddr *)&un);
    assert_int_equal(a.family, 0);
}

static struct addr ip(const char *text)
{
    struct addr a;

    assert_int_equal(addr_parse_ip(str_from(text), &a), 0);
    return a;
}

static void addr_comparisons(void **state)
{
    struct addr a = ip("1.2.3.4");
    struct addr b = ip("::ffff:1.2.3.4");
    struct addr c = ip("1.2.3.5");
    struct addr d = ip("102:304::");

    (void)state;
    b.port = 7;
    assert_true(addr_ip_equal(&a, &b));
    assert_false(addr_ip_equal(&a, &c));
    assert_false(addr_ip_equal(&a, &d)); /* the same first bytes */
}

static void addr_is_loopback_cases(void **state)
{
    static const struct {
        const char *text;
        bool loopback;
    } cases[] = {
        { "127.0.0.1", true },  { "127.255.255.255", true },
        { "::1", true },        { "::ffff:127.0.0.1", true },
        { "126.0.0.1", false }, { "::", false },
        { "1::1", false },      { "0.0.0.0", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct addr a = ip(cases[i].text);

        assert_int_equal(addr_is_loopback(&a), cases[i].loopback);
    }
}

static void cidr_parse_gives_the_normal_form(void **state)
{
    static const struct {
        const char *text;
        const char *normal; /* NULL: refused */
    } cases[] = {
        { "10.0.0.0/8", "10.0.0.0/8" },
        { "10.255.255.255/8", "10.0.0.0/8" },
        { "10.1.2.3/31", "10.1.2.2/31" },
        { "10.1.2.3", "10.1.2.3/32" },
        { "10.1.2.3/32", "10.1.2.3/32" },
        { "255.255.255.255/0", "0.0.0.0/0" },
        { "2001:db8:ffff::1/33", "2001:db8:8000::/33" },
        { "::1", "::1/128" },
        { "ffff::/0", "::/0" },
        { "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128",
          "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128" },
        { "", NULL },
        { "/8", NULL },
        { "10.0.0.0/", NULL },
        { "10.0.0.0/33", NULL },
        { "10.0.0.0/-1", NULL },
        { "10.0.0.0/8/8", NULL },
        { "10.0.0.0/8 ", NULL },
        { "::/129", NULL },
        { "10.0.0/8", NULL },
        { "10.0.0.0/255.0.0.0", NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[CIDR_TEXT_BYTES];
        struct cidr c;
        struct err e = { .code = E_OK };
        int rc = cidr_parse(str_from(cases[i].text), &c, &e);

        if (cases[i].normal == NULL) {
            assert_int_equal(rc, -1);
            assert_int_equal(e.code, E_CIDR);
        } else {
            assert_int_equal(rc, 0);
            assert_string_equal(cidr_format(&c, text), cases[i].normal);
        }
    }
}

static void cidr_contains_at_the_edges(void **state)
{
    static const struct {
        const char *cidr;
        const char *ip;
        bool inside;
    } cases[] = {
        { "10.0.0.0/8", "10.0.0.0", true },
        { "10.0.0.0/8", "10.255.255.255", true },
        { "10.0.0.0/8", "11.0.0.0", false },
        { "10.0.0.0/8", "9.255.255.255", false },
        { "10.0.0.0/9", "10.127.255.255", true },
        { "10.0.0.0/9", "10.128.0.0", false },
        { "0.0.0.0/0", "255.255.255.255", true },
        { "0.0.0.0/0", "::1", false },
        { "::/0", "1.2.3.4", false }, /* a mapped address is IPv4 */
        { "::/0", "ffff::", true },
        { "1.2.3.4", "1.2.3.4", true },
        { "1.2.3.4", "1.2.3.5", false },
        { "1.2.3.4", "::ffff:1.2.3.4", true },
        { "2001:db8::/33", "2001:db8:7fff::", true },
        { "2001:db8::/33", "2001:db8:8000::", false },
        { "::1/128", "::2", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct addr a = ip(cases[i].ip);
        struct cidr c;

        assert_int_equal(cidr_parse(str_from(cases[i].cidr), &c, NULL), 0);
        assert_int_equal(cidr_contains(&c, &a), cases[i].inside);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addr_parse_gives_the_normal_form),
        cmocka_unit_test(addr_parse_ip_refuses_what_is_no_ip),
        cmocka_unit_test(addr_format_without_address_is_a_dash),
        cmocka_unit_test(addr_format_ip_writes_the_canonical_form),
        cmocka_unit_test(addr_sockaddr_there_and_back),
        cmocka_unit_test(addr_of_socket_is_where_it_is_bound),
        cmocka_unit_test(addr_from_sockaddr_mapped_becomes_v4),
        cmocka_unit_test(addr_comparisons),
        cmocka_unit_test(addr_is_loopback_cases),
        cmocka_unit_test(cidr_parse_gives_the_normal_form),
        cmocka_unit_test(cidr_contains_at_the_edges),
    };

    return cmocka_run_group_tests_name("base/addr", tests, NULL, NULL);
}
