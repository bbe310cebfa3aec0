/*
 * Unit tests of gateway/tls_cert: what a certificate says, and what a hostile one may not say; and of
 * the fields that gateway/headers makes of it.
 * Links: tests/unit/policy/cert_maker
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/utf8.h"
#include "gateway/headers.h"
#include "gateway/tls_cert.h"
#include "tests/unit/policy/cert_maker.h"

static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

static void expect(struct str is, const char *text)
{
    if (!str_eq(is, str_from(text)))
        fail_msg("got '%.*s', not '%s'", STR_ARG(is), text);
}

static struct tls_cert read_made(const struct cert_spec *spec)
{
    struct made_cert made;
    struct tls_cert cert;

    cert_make(&made, spec);
    tls_cert_read(made.cert, &arena, &cert);
    cert_fini(&made);
    return cert;
}

static void read_tells_names_and_times(void **state)
{
    struct made_cert ca;
    struct tls_cert c;

    (void)state;
    cert_make(&ca,
              &(struct cert_spec){ .subject = "/C=US/O=Example/CN=Example CA", .is_ca = true });
    c = read_made(&(struct cert_spec){
        .subject = "/C=DE/ST=Bayern/L=M\xc3\xbcnchen/O=One/O=Two/OU=Unit/CN=alice",
        .issuer = &ca,
        .san = "DNS:a.example,email:a@example,URI:https://a.example/x,IP:192.0.2.1,IP:2001:db8::1",
        .serial = "B53017E79D4A5208B314A55D3574E0A8",
        .not_before = 1700000000,
        .not_after = 4102444800,
    });
    cert_fini(&ca);
    expect(c.issuer.text, "CN=Example CA,O=Example,C=US");
    expect(c.issuer.common_name, "Example CA");
    expect(c.subject.text, "CN=alice,OU=Unit,O=Two,O=One,L=M\xc3\xbcnchen,ST=Bayern,C=DE");
    expect(c.subject.common_name, "alice");
    assert_int_equal(c.subject.parts[TLS_NAME_ORGANIZATION].count, 2);
    expect(c.subject.parts[TLS_NAME_ORGANIZATION].items[1], "Two");
    expect(c.subject.parts[TLS_NAME_LOCALITY].items[0], "M\xc3\xbcnchen");
    expect(c.subject.parts[TLS_NAME_PROVINCE].items[0], "Bayern");
    expect(c.subject.parts[TLS_NAME_ORGANIZATIONAL_UNIT].items[0], "Unit");
    expect(c.subject.parts[TLS_NAME_COUNTRY].items[0], "DE");
    assert_int_equal(c.subject.parts[TLS_NAME_POSTAL_CODE].count, 0);
    expect(c.san, "DNS:a.example, email:a@example, URI:https://a.example/x, "
                  "IP Address:192.0.2.1, IP Address:2001:db8::1");
    expect(c.dns_names.items[0], "a.example");
    expect(c.email_addresses.items[0], "a@example");
    expect(c.uris.items[0], "https://a.example/x");
    expect(c.ip_addresses.items[1], "2001:db8::1");
    expect(c.serial_number, "b53017e79d4a5208b314a55d3574e0a8");
    assert_int_equal(c.not_before, 1700000000);
    assert_int_equal(c.not_after, 4102444800);
}

/* D21: as Go spells them. */
static void read_tells_the_signature_algorithm(void **state)
{
    static const struct {
        struct cert_spec spec;
        const char *name;
    } cases[] = {
        { { .subject = "/CN=a", .digest = "SHA256" }, "ECDSA-SHA256" },
        { { .subject = "/CN=a", .digest = "SHA384" }, "ECDSA-SHA384" },
        { { .subject = "/CN=a", .digest = "SHA512" }, "ECDSA-SHA512" },
        { { .subject = "/CN=a", .key = "ED25519" }, "Ed25519" },
        { { .subject = "/CN=a", .key = "RSA", .digest = "SHA1" }, "SHA1-RSA" },
        { { .subject = "/CN=a", .key = "RSA" }, "SHA256-RSA" },
        { { .subject = "/CN=a", .key = "RSA", .digest = "SHA384" }, "SHA384-RSA" },
        { { .subject = "/CN=a", .key = "RSA", .digest = "SHA512" }, "SHA512-RSA" },
        { { .subject = "/CN=a", .key = "RSA", .pss = true }, "SHA256-RSAPSS" },
        { { .subject = "/CN=a", .key = "RSA", .pss = true, .digest = "SHA512" }, "SHA512-RSAPSS" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect(read_made(&cases[i].spec).signature_algorithm, cases[i].name);
}

static void read_tells_extensions(void **state)
{
    struct tls_cert c =
        read_made(&(struct cert_spec){ .subject = "/CN=a", .is_ca = true, .usage = "clientAuth" });

    (void)state;
    assert_int_equal(c.extension_count, 2);
    expect(c.extensions[0].id, "2.5.29.19");
    assert_true(c.extensions[0].critical);
    assert_memory_equal(c.extensions[0].value.p, "\x30\x03\x01\x01\xff", 5);
    expect(c.extensions[1].id, "2.5.29.37");
    assert_false(c.extensions[1].critical);
}

static void read_without_names_leaves_them_empty(void **state)
{
    struct tls_cert c = read_made(&(struct cert_spec){ .subject = "" });

    (void)state;
    assert_int_equal(c.subject.common_name.n, 0);
    assert_int_equal(c.san.n, 0);
    assert_int_equal(c.dns_names.count, 0);
    assert_int_equal(c.extension_count, 0);
}

static void read_more_entries_than_the_limit_keeps_the_first(void **state)
{
    struct tls_cert c;
    struct buf san;

    (void)state;
    buf_init(&san, 65536);
    for (unsigned i = 0; i < TLS_CERT_ENTRIES_MAX + 50; i++)
        buf_add_fmt(&san, "%sDNS:n%u.example", i > 0 ? "," : "", i);
    buf_add_char(&san, '\0');
    c = read_made(&(struct cert_spec){ .subject = "/CN=a", .san = buf_str(&san).p });
    buf_fini(&san);
    assert_int_equal(c.dns_names.count, TLS_CERT_ENTRIES_MAX);
    expect(c.dns_names.items[99], "n99.example");
    assert_true(str_find(c.san, STR("n100.example")) == c.san.n);
}

static void pem_is_that_of_the_certificate(void **state)
{
    struct made_cert made;

    (void)state;
    cert_make(&made, &(struct cert_spec){ .subject = "/CN=a" });
    expect(tls_cert_pem(made.cert, &arena), made.cert_pem);
    cert_fini(&made);
}

/* ---- fields for the upstream ----------------------------------------------------------------- */

static void expect_field(const struct http_headers *h, const char *name, const char *value)
{
    const struct http_header *found = http_headers_find(h, str_from(name), 0);

    if (value == NULL && found != NULL)
        fail_msg("%s is there: %.*s", name, STR_ARG(found->value));
    if (value == NULL)
        return;
    if (found == NULL)
        fail_msg("%s is missing", name);
    else
        expect(found->value, value);
    assert_null(http_headers_find(h, str_from(name), 1));
}

static struct str texts_with_traps[] = {
    STR_INIT("a.example"), STR_INIT("b.example,root.example"),
    STR_INIT(""),          STR_INIT("c.example\r\nx: y"),
    STR_INIT("d.example"),
};

static void headers_add_mtls_leaves_out_what_could_deceive(void **state)
{
    struct tls_cert c = { .subject.common_name = STR("Smith, Bob"), .serial_number = STR("0a") };
    struct http_headers h = { 0 };

    (void)state;
    c.dns_names = (struct tls_texts){ texts_with_traps, 5 };
    headers_add_mtls(&h, &arena, &c);
    expect_field(&h, "ngrok-mtls-subject-cn", "Smith, Bob");
    expect_field(&h, "sallyport-mtls-subject-cn", "Smith, Bob");
    expect_field(&h, "ngrok-mtls-subject-alt-name-dns", "a.example,d.example");
    expect_field(&h, "ngrok-mtls-email-addresses", NULL);
    expect_field(&h, "ngrok-mtls-serial-number", "0a");
    expect_field(&h, "sallyport-mtls-serial-number", "0a");
}

static void headers_add_mtls_with_a_line_break_in_the_name_has_none(void **state)
{
    struct tls_cert c = { .subject.common_name = STR("a\r\nx-admin: yes") };
    struct http_headers h = { 0 };

    (void)state;
    headers_add_mtls(&h, &arena, &c);
    assert_int_equal(h.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(read_tells_names_and_times, set_up, tear_down),
        cmocka_unit_test_setup_teardown(read_tells_the_signature_algorithm, set_up, tear_down),
        cmocka_unit_test_setup_teardown(read_tells_extensions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(read_without_names_leaves_them_empty, set_up, tear_down),
        cmocka_unit_test_setup_teardown(read_more_entries_than_the_limit_keeps_the_first, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(pem_is_that_of_the_certificate, set_up, tear_down),
        cmocka_unit_test_setup_teardown(headers_add_mtls_leaves_out_what_could_deceive, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(headers_add_mtls_with_a_line_break_in_the_name_has_none,
                                        set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
