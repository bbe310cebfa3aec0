/*
 * Unit tests of tunnel/ca_bundle.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "tunnel/ca_bundle.h"

/* A self-signed certificate; openssl req -x509 -newkey ed25519 -subj /CN=ca -days 36500. */
#define CERTIFICATE                                                                                \
    "-----BEGIN CERTIFICATE-----\n"                                                                \
    "MIIBMDCB46ADAgECAhQWRcCrMTpTMKfEWifP4Vq5L3ZR/zAFBgMrZXAwDTELMAkG\n"                           \
    "A1UEAwwCY2EwIBcNMjYxMTIyMDUyODA2WhgPMjEyNjEwMjkwNTI4MDZaMA0xCzAJ\n"                           \
    "BgNVBAMMAmNhMCowBQYDK2VwAyEALiAG8Hlsatj3z1ZPk6OzdEistAkqw+qpkLk/\n"                           \
    "vBNj6jSjUzBRMB0GA1UdDgQWBBSoFybbQvTrKooK+drU7MfjfB/FRjAfBgNVHSME\n"                           \
    "GDAWgBSoFybbQvTrKooK+drU7MfjfB/FRjAPBgNVHRMBAf8EBTADAQH/MAUGAytl\n"                           \
    "cANBAIm2ZCMQNHfbJ8NrYJh1pfaZKgHUHlRAUEcP53KILgRSBVjl5vcGvwyMncRq\n"                           \
    "K4b0quupRZXH9+aDCIGhV9JfVQY=\n"                                                               \
    "-----END CERTIFICATE-----\n"

static void ca_bundle_check_takes_certificates_only(void **state)
{
    static const struct {
        struct str pem;
        const char *message; /* NULL: taken */
    } cases[] = {
        { STR_INIT(CERTIFICATE), NULL },
        { STR_INIT("what it is\n" CERTIFICATE "and\n" CERTIFICATE), NULL },
        { STR_INIT(""), "there is no certificate" },
        { STR_INIT("hello"), "there is no certificate" },
        { STR_INIT("-----BEGIN CERTIFICATE-----\n"), "certificate 1 cannot be read" },
        { STR_INIT(CERTIFICATE "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
          "certificate 2 cannot be read" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err e = { .code = E_OK };
        int rc = ca_bundle_check(cases[i].pem, &e);

        assert_int_equal(rc, cases[i].message == NULL ? 0 : -1);
        if (rc == 0)
            continue;
        assert_int_equal(e.code, E_CERTIFICATE_PEM);
        assert_true(str_starts(str_from(e.msg), str_from(cases[i].message)));
    }
}

static void ca_bundle_check_holds_its_limit(void **state)
{
    struct buf pem;
    struct err e;

    (void)state;
    buf_init(&pem, (size_t)1024 * 1024);
    for (int i = 0; i < CA_BUNDLE_MAX; i++)
        buf_add_str(&pem, STR(CERTIFICATE));
    assert_int_equal(ca_bundle_check(buf_str(&pem), &e), 0);
    buf_add_str(&pem, STR(CERTIFICATE));
    assert_int_equal(ca_bundle_check(buf_str(&pem), &e), -1);
    assert_string_equal(e.msg, "more than 200 certificates");
    buf_fini(&pem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ca_bundle_check_takes_certificates_only),
        cmocka_unit_test(ca_bundle_check_holds_its_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
