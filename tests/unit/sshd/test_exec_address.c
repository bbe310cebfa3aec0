/*
 * Unit tests of sshd/exec_address, with the parser of commands and the rules of tunnel/url behind it: the
 * table of the spec's section 5.3, a row each, under the ids of the spec, and the flags of section 5.6 that
 * name an address.
 * Links: tests/unit/policy/fake_host tests/unit/tunnel/spec_rows
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "sshd/command.h"
#include "sshd/exec_address.h"
#include "sshd/forward.h"
#include "tests/unit/policy/fake_host.h"
#include "tests/unit/tunnel/spec_rows.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { FORWARDS_MAX = 4 };

static int setup(void **state)
{
    static const struct str extra[] = { STR_INIT("ngrok.io") };

    *state = host_suffixes_new(STR("ngrok.app"), extra, COUNT(extra), NULL);
    return *state == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    host_suffixes_free(*state);
    return 0;
}

/* The address of one forward as users see it, or "" and why not. */
static const char *address_of(const struct host_suffixes *suffixes, const struct forward *f,
                              const char *line, char text[URL_TEXT_BYTES], struct err *e)
{
    struct command c;
    struct url u;

    text[0] = '\0';
    *e = (struct err){ .code = E_OK };
    if (command_parse(str_from(line), 2, fake_host_engine(), &c, e) == -1)
        return text;
    if (exec_address(&c, f, suffixes, &u, e) == 0)
        (void)url_format(&u, 80, 443, text);
    command_fini(&c);
    return text;
}

struct row {
    const char *id;
    const char *host; /* of -R, as it crosses the wire */
    uint32_t port;
    const char *line;
    const char *url; /* expected; NULL: an error. "https://" stands for a random name */
    enum err_code code;
};

/* clang-format off */
static const struct row rows[] = {
    { "R01", "example.ngrok.app", 443, "http", "https://example.ngrok.app", E_OK },
    { "R02", "app.example.com", 443, "http", "https://app.example.com", E_OK },
    { "R03", "*.example.com", 443, "http", "https://*.example.com", E_OK },
    { "R04", "localhost", 443, "http", "https://", E_OK },
    { "R05", "localhost", 0, "http", "https://", E_OK },
    { "R06", "localhost", 80, "http", "http://", E_OK },
    { "R07", "app.example.com", 80, "http", "http://app.example.com", E_OK },
    { "R08", "app.example.com", 0, "http", "https://app.example.com", E_OK },
    { "R09", "app.example.com", 8443, "http", NULL, E_FORWARD_PORT },
    { "R10", "localhost", 8080, "http", NULL, E_FORWARD_PORT },
    { "R11", "localhost", 0, "tcp", "tcp://", E_OK },
    { "R12", "1.tcp.eu.ngrok.io", 12345, "tcp", "tcp://1.tcp.eu.ngrok.io:12345", E_OK },
    { "R13", "localhost", 0, "tcp", "tcp://", E_OK },
    { "R14", "localhost", 12345, "tcp", NULL, E_TCP_PORT_WITHOUT_ADDRESS },
    { "R15", "1.tcp.eu.ngrok.io", 0, "tcp", NULL, E_TCP_ADDRESS_WITHOUT_PORT },
    { "R16", "app.example.com", 443, "tls", "tls://app.example.com", E_OK },
    { "R17", "localhost", 443, "tls", "tls://", E_OK },
    { "R18", "localhost", 0, "tls", "tls://", E_OK },
    { "R19", "app.example.com", 80, "tls", NULL, E_FORWARD_PORT },
    { "R20", "foo.internal", 443, "http", "https://foo.internal", E_OK },
    { "R21", "foo.internal", 80, "http", "http://foo.internal", E_OK },
    { "R22", "foo.internal", 1234, "http", "https://foo.internal:1234", E_OK },
    { "R23", "foo.internal", 0, "http", "https://foo.internal", E_OK },
    { "R24", "db.internal", 5432, "tcp", "tcp://db.internal:5432", E_OK },
    { "R25", "db.internal", 0, "tcp", NULL, E_TCP_ADDRESS_WITHOUT_PORT },
    { "R26", "x.internal", 12345, "tls", "tls://x.internal:12345", E_OK },
    { "R27", "*", 443, "http", "https://", E_OK },
    { "R27", "", 443, "http", "https://", E_OK },
    { "R28", "::", 443, "http", "https://", E_OK },
    { "R28", "127.0.0.1", 443, "http", "https://", E_OK },
    { "R28", "localhost", 443, "http", "https://", E_OK },
    { "R28", "0.0.0.0", 443, "http", "https://", E_OK },
    { "R29", "localhost", 443, "http --url https://a.example.com", "https://a.example.com", E_OK },
    { "R30", "localhost", 0, "http --url http://a.example.com", "http://a.example.com", E_OK },
    { "R31", "localhost", 80, "http --url https://a.example.com", NULL, E_FORWARD_PORT },
    { "R32", "a.example.com", 443, "http --url https://b.example.com", NULL, E_NAME_TWICE },
    { "R33", "a.example.com", 443, "http --subdomain x", NULL, E_SUBDOMAIN_TWICE },
    { "R34", "localhost", 443, "http --hostname a --subdomain b", NULL, E_HOSTNAME_AND_SUBDOMAIN },
    { "R35", "1.tcp.ngrok.io", 12345, "tcp --remote-addr 1.tcp.ngrok.io:12345", NULL, E_REMOTE_ADDR_TWICE },
    { "R36", "localhost", 12345, "tcp --remote-addr 1.tcp.ngrok.io:12345", NULL, E_REMOTE_ADDR_PORT },
    { "R37", "localhost", 0, "tcp --remote-addr 1.tcp.ngrok.io:12345", "tcp://1.tcp.ngrok.io:12345", E_OK },
    { "R38", "a.example.com", 443, "http", "https://a.example.com", E_OK },
    { "R38", "b.example.com", 443, "http", "https://b.example.com", E_OK },

    { "F02", "localhost", 443, "http --binding internal", NULL, E_INTERNAL_NO_HOST },
    { "F02", "localhost", 443, "http --binding public", "https://", E_OK },
    { "F02", "foo.internal", 443, "http --binding internal", "https://foo.internal", E_OK },
    { "F02", "foo.internal", 443, "http --binding public", NULL, E_HOST_SUFFIX },
    { "F02", "app.example.com", 443, "http --binding internal", NULL, E_INTERNAL_SUFFIX },
    { "F02", "db.internal", 5432, "tcp --binding internal", "tcp://db.internal:5432", E_OK },
    { "F02", "localhost", 0, "tcp --binding internal", NULL, E_INTERNAL_NO_HOST },
    { "F02", "x.internal", 1, "tls --binding=internal", "tls://x.internal:1", E_OK },
    { "F02", "localhost", 443, "http --binding kubernetes", NULL, E_BINDING },
    { "F02", "localhost", 443, "http --binding=", NULL, E_BINDING },
    { "F02", "localhost", 443, "http --binding public --binding internal", NULL, E_INTERNAL_NO_HOST },
    { "F48", "localhost", 443, "http --domain a.example.com", "https://a.example.com", E_OK },
    { "F48", "localhost", 80, "http --domain a.example.com", "http://a.example.com", E_OK },
    { "F48", "localhost", 0, "http --domain foo.internal", "https://foo.internal", E_OK },
    { "F48", "localhost", 0, "tls --domain a.example.com", "tls://a.example.com", E_OK },
    { "F48", "localhost", 8443, "http --domain a.example.com", NULL, E_FORWARD_PORT },
    { "F48", "a.example.com", 443, "http --domain b.example.com", NULL, E_NAME_TWICE },
    { "F48", "localhost", 443, "tcp --domain a.example.com", NULL, E_FLAG_UNSUPPORTED },
    { "F48", "localhost", 443, "http --domain https://a.example.com", NULL, E_HOST_CHARACTER },
    { "F48", "localhost", 443, "http --domain a.example.com:443", NULL, E_HOST_CHARACTER },
    { "F48", "localhost", 443, "http --domain=", NULL, E_HOST_SYNTAX },
    { "F48", "localhost", 443, "http --domain a.example.com --url https://b.example.com", NULL, E_NAMED_TWICE },
    { "F48", "localhost", 443, "http --url https://b.example.com --domain b.example.com", NULL, E_NAMED_TWICE },
    { "F48", "localhost", 443, "http --domain a.example.com --hostname a.example.com", NULL, E_NAMED_TWICE },
    { "F48", "localhost", 443, "http --domain a.example.com --subdomain a", NULL, E_NAMED_TWICE },
    { "F48", "localhost", 443, "http --domain a.example.com --domain b.example.com", NULL, E_FLAG_SYNTAX },
    { "F48", "localhost", 443, "http --domain a.example.com --domain a.example.com", "https://a.example.com", E_OK },
    { "F49", "localhost", 443, "http --hostname *.example.com", "https://*.example.com", E_OK },
    { "F49", "a.example.com", 443, "http --hostname a.example.com", NULL, E_NAME_TWICE },
    { "F49", "localhost", 443, "http --subdomain b --hostname a", NULL, E_HOSTNAME_AND_SUBDOMAIN },
    { "F50", "localhost", 443, "http --subdomain example", "https://example.ngrok.app", E_OK },
    { "F50", "localhost", 80, "http --subdomain Example", "http://example.ngrok.app", E_OK },
    { "F50", "localhost", 0, "tls --subdomain example", "tls://example.ngrok.app", E_OK },
    { "F50", "localhost", 443, "http --subdomain a.b", "https://a.b.ngrok.app", E_OK },
    { "F50", "localhost", 443, "http --subdomain b\xc3\xbc" "cher", "https://xn--bcher-kva.ngrok.app", E_OK },
    { "F50", "localhost", 443, "http --subdomain x/", NULL, E_HOST_CHARACTER },
    { "F50", "localhost", 443, "http --subdomain x.", NULL, E_HOST_SYNTAX },
    { "F50", "localhost", 443, "http --subdomain x --binding internal", NULL, E_INTERNAL_SUFFIX },
    { "F51", "localhost", 0, "tcp --remote-addr 1.tcp.ngrok.io:1 --remote-addr 1.tcp.ngrok.io:2", NULL, E_FLAG_SYNTAX },
    { "F51", "localhost", 0, "tcp --remote-addr 1.tcp.ngrok.io:1 --url tcp://1.tcp.ngrok.io:1", NULL, E_NAMED_TWICE },
};
/* clang-format on */

static void exec_address_table_of_the_spec(void **state)
{
    unsigned failed = 0;

    for (size_t i = 0; i < COUNT(rows); i++) {
        char *host = mem_strdup(rows[i].host);
        const struct forward f = { .host = host, .asked_port = rows[i].port };
        const char *expected = rows[i].url != NULL ? rows[i].url : "";
        char text[URL_TEXT_BYTES];
        struct err e;

        (void)address_of(*state, &f, rows[i].line, text, &e);
        mem_free(host);
        if (e.code == rows[i].code && strcmp(text, expected) == 0)
            continue;
        print_error("%s, %s: got '%s' E%u '%s', expected '%s' E%u\n", rows[i].id, rows[i].line,
                    text, err_number(e.code), e.msg, expected, err_number(rows[i].code));
        failed++;
    }
    assert_int_equal(failed, 0);
}

/* Two forwards of one session; the second asks for `port` of no name, too. */
static const struct pair_row {
    const char *id;
    uint32_t port;
    uint32_t labels[2]; /* what they are promised; 0: refused */
} pair_rows[] = {
    { "R39", 443, { 443, 0 } },
    { "R40", 0, { 443, 444 } },
};

static void forwards_add_pairs_of_the_spec(void **state)
{
    char text[URL_TEXT_BYTES];

    for (size_t i = 0; i < COUNT(pair_rows); i++) {
        struct forwards fs = { 0 };

        for (size_t n = 0; n < COUNT(pair_rows[i].labels); n++) {
            struct err e = { .code = E_OK };
            struct forward *f =
                forwards_add(&fs, STR("localhost"), pair_rows[i].port, FORWARDS_MAX, &e);

            print_message("%s %zu\n", pair_rows[i].id, n);
            if (pair_rows[i].labels[n] == 0) {
                assert_null(f);
                assert_int_equal(e.code, E_DUPLICATE_FORWARD);
                continue;
            }
            assert_non_null(f);
            f->index = n;
            assert_int_equal(f->port, pair_rows[i].labels[n]);
            assert_string_equal(address_of(*state, f, "http", text, &e), "https://");
        }
        forwards_fini(&fs);
    }
}

static void tables_have_every_row_of_the_spec(void **state)
{
    struct spec_rows seen = { .prefix = 'R', .digits = 2, .count = 40 };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        spec_rows_see(&seen, rows[i].id);
    for (size_t i = 0; i < COUNT(pair_rows); i++)
        spec_rows_see(&seen, pair_rows[i].id);
    assert_int_equal(spec_rows_missing(&seen), 0);
}

/* The n-th --url is for the n-th forward; the older flags name the first one. */
static void exec_address_of_the_second_forward_takes_its_own_flag(void **state)
{
    static char no_name[] = "localhost";
    static char name[] = "b.example.com";
    const struct forward second = { .host = no_name, .asked_port = 0, .index = 1 };
    const struct forward named = { .host = name, .asked_port = 443, .index = 1 };
    char text[URL_TEXT_BYTES];
    struct err e;

    assert_string_equal(address_of(*state, &second,
                                   "http --url a.example.com --url http://c.example.com", text, &e),
                        "http://c.example.com");
    assert_string_equal(address_of(*state, &second, "http --subdomain a", text, &e), "https://");
    assert_string_equal(address_of(*state, &named, "http --subdomain a", text, &e),
                        "https://b.example.com");
}

static void exec_address_messages_name_the_flag(void **state)
{
    static char name[] = "b.example.com";
    const struct forward f = { .host = name, .asked_port = 443 };
    char text[URL_TEXT_BYTES];
    struct err e;

    (void)address_of(*state, &f, "http --hostname a.example.com", text, &e);
    assert_string_equal(e.msg, "the address is given twice, by -R and by --hostname; give only "
                               "one of them");
    (void)address_of(*state, &f, "http --hostname a.example.com --subdomain a", text, &e);
    assert_string_equal(e.msg, "--subdomain: another flag names the endpoint already; give only "
                               "one of them");
    (void)address_of(*state, &f, "http --binding kubernetes", text, &e);
    assert_string_equal(e.msg,
                        "--binding: 'kubernetes' is no binding here; give public or internal");
}

static void exec_address_of_a_long_subdomain_is_refused(void **state)
{
    enum { LABELS = 4, LABEL_BYTES = 62 };
    static char no_name[] = "localhost";
    const struct forward f = { .host = no_name, .asked_port = 443 };
    char text[URL_TEXT_BYTES];
    struct buf line;
    struct err e;

    buf_init(&line, COMMAND_LINE_MAX_BYTES);
    buf_add_str(&line, STR("http --subdomain "));
    for (int i = 0; i < LABELS; i++)
        buf_add_fmt(&line, "%s%0*d", i > 0 ? "." : "", LABEL_BYTES, 0);
    buf_add_char(&line, '\0');
    (void)address_of(*state, &f, line.mem, text, &e);
    assert_int_equal(e.code, E_HOST_LENGTH);
    buf_fini(&line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exec_address_table_of_the_spec),
        cmocka_unit_test(forwards_add_pairs_of_the_spec),
        cmocka_unit_test(tables_have_every_row_of_the_spec),
        cmocka_unit_test(exec_address_of_the_second_forward_takes_its_own_flag),
        cmocka_unit_test(exec_address_messages_name_the_flag),
        cmocka_unit_test(exec_address_of_a_long_subdomain_is_refused),
    };

    return cmocka_run_group_tests_name("sshd/exec_address", tests, setup, teardown);
}
