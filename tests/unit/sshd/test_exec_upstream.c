/*
 * Unit tests of sshd/exec_upstream.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "sshd/command.h"
#include "sshd/exec_upstream.h"
#include "tunnel/endpoint.h"

static void exec_upstream_fill_follows_hint_and_flags(void **state)
{
    static const struct {
        const char *host; /* NULL: no hint */
        bool https;
        bool verify;
        const char *tls_host;
    } cases[] = {
        { NULL, false, false, "" },
        { "up.test", false, false, "" },
        { "up.test", true, false, "up.test" },
        { "up.test", true, true, "up.test" },
        { "[::1]", true, true, "::1" },
        { "127.0.0.1", true, false, "127.0.0.1" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct exec_upstream u = { 0 };
        struct command c = {
            .has_upstream = cases[i].host != NULL,
            .upstream = { .https = cases[i].https },
            .upstream_tls_verify = cases[i].verify,
            .upstream_protocol = UPSTREAM_HTTP2,
            .upstream_proxy_protocol = 2,
        };
        struct endpoint *ep = endpoint_new();

        if (cases[i].host != NULL)
            (void)snprintf(c.upstream.host, sizeof(c.upstream.host), "%s", cases[i].host);
        exec_upstream_fill(&u, &c, &ep->upstream);
        assert_int_equal(ep->upstream.tls, cases[i].https);
        assert_int_equal(ep->upstream.tls_verify, cases[i].verify);
        assert_string_equal(ep->upstream.tls_host, cases[i].tls_host);
        assert_string_equal(ep->upstream.tls_cas, "");
        assert_int_equal(ep->upstream.protocol, UPSTREAM_HTTP2);
        assert_int_equal(ep->upstream.proxy_protocol, 2);
        endpoint_unref(ep);
    }
}

static void exec_upstream_read_cas_names_its_flag(void **state)
{
    struct exec_upstream u = { 0 };
    struct err e;

    (void)state;
    assert_int_equal(exec_upstream_read_cas(&u, STR("hello"), &e), -1);
    assert_int_equal(e.code, E_CERTIFICATE_PEM);
    assert_true(str_starts(str_from(e.msg), STR("--upstream-tls-verify-cas: there is no")));
    assert_null(u.cas);
    exec_upstream_fini(&u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exec_upstream_fill_follows_hint_and_flags),
        cmocka_unit_test(exec_upstream_read_cas_names_its_flag),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
