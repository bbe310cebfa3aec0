/*
 * Unit tests of tunnel/acl: the tables of the spec's section 5.9, and rules for connecting.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tunnel/acl.h"
#include "tunnel/url.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct check_row {
    const char *id;
    const char *host;
    uint16_t port;
    enum scheme scheme;
    const char *rules[3]; /* the values; NULL ends them */
    enum err_code code;
};

/* The section numbers no rows, so the ids count the rows of its second table. */
/* clang-format off */
static const struct check_row check_rows[] = {
    { "5.9/1", "x.example.com", 443, SCHEME_HTTPS, { "*.example.com" }, E_OK },
    { "5.9/2", "*.example.com", 443, SCHEME_HTTPS, { "*.example.com" }, E_OK },
    { "5.9/3", "a.b.example.com", 443, SCHEME_HTTPS, { "*.example.com" }, E_OK },
    { "5.9/4", "example.com", 443, SCHEME_HTTPS, { "*.example.com" }, E_ACL_NAME },
    { "5.9/5", "other.com", 443, SCHEME_HTTPS, { "*.example.com" }, E_ACL_NAME },
    { "5.9/6", "0123456789ab.base", 443, SCHEME_HTTPS, { "x.base" }, E_ACL_NAME },
    { "5.9/7", "0123456789ab.base", 443, SCHEME_HTTPS, { "*.base" }, E_OK },
    { "5.9/8", "1.tcp.ngrok.io", 20002, SCHEME_TCP, { "1.tcp.ngrok.io:20002" }, E_OK },
    { "5.9/9", "1.tcp.ngrok.io", 20003, SCHEME_TCP, { "1.tcp.ngrok.io:20002" }, E_ACL_ADDRESS },
    { "5.9/10", "", 0, SCHEME_TCP, { "1.tcp.ngrok.io:20002" }, E_ACL_RANDOM_TCP },
    { "5.9/11", "db.internal", 5432, SCHEME_TCP, { "db.internal" }, E_OK },
    { "5.9/12", "any.thing", 443, SCHEME_HTTPS, { NULL }, E_OK },
    { "5.9/12", "any.thing", 443, SCHEME_HTTPS, { "*" }, E_OK },
    { "5.9/12", "", 0, SCHEME_TCP, { NULL }, E_OK },
    { "5.9/12", "", 0, SCHEME_TCP, { "*" }, E_OK },

    /* Rules of its first table that no row above shows. */
    { "exact", "foo.example.com", 80, SCHEME_HTTP, { "Foo.Example.com" }, E_OK },
    { "exact below", "x.foo.example.com", 443, SCHEME_HTTPS, { "foo.example.com" }, E_ACL_NAME },
    { "wildcard narrower", "*.x.example.com", 443, SCHEME_HTTPS, { "*.example.com" }, E_OK },
    { "wildcard wider", "*.com", 443, SCHEME_HTTPS, { "*.example.com" }, E_ACL_NAME },
    { "internal", "a.gateway1.internal", 443, SCHEME_HTTPS, { "*.gateway1.internal" }, E_OK },
    { "tuple is tcp", "a.example.com", 443, SCHEME_HTTPS, { "a.example.com:443" }, E_ACL_NAME },
    { "random name", "", 443, SCHEME_HTTPS, { "*.base" }, E_ACL_NAME },
    { "or", "b.com", 443, SCHEME_HTTPS, { "a.com", "b.com" }, E_OK },
    { "or all", "b.com", 443, SCHEME_HTTPS, { "a.com", "*" }, E_OK },
    { "idn", "xn--bcher-kva.com", 443, SCHEME_HTTPS, { "b\xc3\xbc" "cher.com" }, E_OK },
    { "tuple internal", "db.internal", 5432, SCHEME_TCP, { "db.internal:5432" }, E_OK },
    { "tuple internal", "db.internal", 5433, SCHEME_TCP, { "db.internal:5432" }, E_ACL_ADDRESS },
    { "tuple case", "1.tcp.ngrok.io", 20002, SCHEME_TCP, { "1.TCP.Ngrok.IO:20002" }, E_OK },
    { "host for tcp", "1.tcp.ngrok.io", 20002, SCHEME_TCP, { "1.tcp.ngrok.io" }, E_OK },
    { "host for tls", "a.example.com", 443, SCHEME_TLS, { "a.example.com" }, E_OK },
    { "wildcard for tcp", "1.tcp.ngrok.io", 20002, SCHEME_TCP, { "*.tcp.ngrok.io" }, E_OK },
    { "random beside a tuple", "", 443, SCHEME_HTTPS, { "1.tcp.ngrok.io:20002" }, E_ACL_NAME },
    /* A key restricted to labels is no unrestricted key. */
    { "label", "a.com", 443, SCHEME_HTTPS, { "k=v" }, E_ACL_NAME },
    { "label", "a.com", 1, SCHEME_TCP, { "*=v" }, E_ACL_ADDRESS },
    { "label", "a.com", 443, SCHEME_HTTPS, { "k=*" }, E_ACL_NAME },
    { "label or name", "a.com", 443, SCHEME_HTTPS, { "k=v", "a.com" }, E_OK },
};
/* clang-format on */

static void acl_check_table_of_the_spec(void **state)
{
    unsigned failed = 0;

    (void)state;
    for (size_t i = 0; i < COUNT(check_rows); i++) {
        const struct check_row *row = &check_rows[i];
        struct url u = { .scheme = row->scheme, .binding = BINDING_PUBLIC, .port = row->port };
        struct err e = { 0 };
        struct acl a;
        int rc;

        (void)snprintf(u.host, sizeof(u.host), "%s", row->host);
        acl_init(&a);
        for (size_t r = 0; r < COUNT(row->rules) && row->rules[r] != NULL; r++)
            assert_int_equal(acl_add(&a, str_from(row->rules[r]), &e), 0);
        rc = acl_check(&a, &u, &e);
        acl_fini(&a);
        if ((rc == 0) == (row->code == E_OK) && e.code == row->code)
            continue;
        print_error("%s: got %d E%u '%s', expected E%u\n", row->id, rc, err_number(e.code), e.msg,
                    err_number(row->code));
        failed++;
    }
    assert_int_equal(failed, 0);
}

static void acl_add_refuses_what_is_no_rule(void **state)
{
    static const struct {
        const char *value;
        enum err_code code;
    } rows[] = {
        { "", E_SYNTAX },
        { "=v", E_SYNTAX },
        { "k=", E_SYNTAX },
        { "=", E_SYNTAX },
        { "a.com:0", E_PORT_SYNTAX },
        { "a.com:65536", E_PORT_SYNTAX },
        { "a.com:x", E_PORT_SYNTAX },
        { "*.a.com:80", E_SYNTAX },
        { "*:80", E_SYNTAX },
        { "a.*.com", E_HOST_CHARACTER },
        { "a_b.com", E_HOST_UNDERSCORE },
        { "a.com.", E_HOST_SYNTAX },
        { "https://a.com", E_SYNTAX },
        { "tcp://1.tcp.ngrok.io:20002", E_SYNTAX },
        { "tcp://", E_SYNTAX },
        { "://", E_SYNTAX },
        { "tcp:1.tcp.ngrok.io:20002", E_PORT_SYNTAX },
        { "a.com/", E_HOST_CHARACTER },
        { "**", E_HOST_CHARACTER },
        { "*x.a.com", E_HOST_CHARACTER },
        { "[::1]:22", E_PORT_SYNTAX },
    };
    struct acl a;

    (void)state;
    acl_init(&a);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err e = { 0 };

        assert_int_equal(acl_add(&a, str_from(rows[i].value), &e), -1);
        if (e.code != rows[i].code)
            print_error("%s: E%u %s\n", rows[i].value, err_number(e.code), e.msg);
        assert_int_equal(e.code, rows[i].code);
        assert_int_equal(a.bind.count, 0);
    }
    acl_fini(&a);
}

static void acl_add_of_a_url_says_what_to_leave_out(void **state)
{
    struct err e = { 0 };
    struct acl a;

    (void)state;
    acl_init(&a);
    assert_int_equal(acl_add(&a, STR("tcp://1.tcp.ngrok.io:20002"), &e), -1);
    assert_string_equal(e.msg, "a bind rule holds for all schemes; leave out 'tcp://'");
    assert_int_equal(acl_add_connect(&a, STR("tcp://db.internal:5432"), &e), -1);
    assert_string_equal(e.msg, "a connect rule holds for all schemes; leave out 'tcp://'");
    acl_fini(&a);
}

static void acl_add_past_the_limit_is_refused(void **state)
{
    struct err e = { 0 };
    struct acl a;

    (void)state;
    acl_init(&a);
    for (size_t i = 0; i < ACL_RULES_MAX; i++)
        assert_int_equal(acl_add(&a, STR("a.com"), &e), 0);
    assert_int_equal(acl_add(&a, STR("b.com"), &e), -1);
    assert_int_equal(e.code, E_LIMIT);
    assert_int_equal(a.bind.count, ACL_RULES_MAX);
    acl_fini(&a);
}

struct connect_row {
    const char *host;
    uint16_t port;
    const char *bind[2];
    const char *connect[3];
    enum err_code code;
};

/* clang-format off */
static const struct connect_row connect_rows[] = {
    { "db.internal", 5432, { NULL }, { NULL }, E_OK },
    { "db.internal", 5432, { NULL }, { "*" }, E_OK },
    { "db.internal", 5432, { NULL }, { "db.internal" }, E_OK },
    { "db.internal", 5432, { NULL }, { "DB.Internal" }, E_OK },
    { "db.internal", 5432, { NULL }, { "db.internal:5432" }, E_OK },
    { "db.internal", 5433, { NULL }, { "db.internal:5432" }, E_ACL_CONNECT },
    { "db2.internal", 5432, { NULL }, { "db.internal" }, E_ACL_CONNECT },
    { "x.db.internal", 5432, { NULL }, { "db.internal" }, E_ACL_CONNECT },
    { "x.db.internal", 5432, { NULL }, { "*.db.internal" }, E_OK },
    { "y.x.db.internal", 5432, { NULL }, { "*.db.internal" }, E_OK },
    { "db.internal", 5432, { NULL }, { "*.db.internal" }, E_ACL_CONNECT },
    { "db.internal", 5432, { NULL }, { "*.internal" }, E_OK },
    { "b.internal", 1, { NULL }, { "a.internal", "b.internal" }, E_OK },
    /* Rules are permissions: those of one kind permit nothing of the other. */
    { "db.internal", 5432, { "db.internal" }, { NULL }, E_ACL_CONNECT },
    { "db.internal", 5432, { "*" }, { NULL }, E_ACL_CONNECT },
    { "db.internal", 5432, { "k=v" }, { NULL }, E_ACL_CONNECT },
    { "db.internal", 5432, { "x.com" }, { "db.internal" }, E_OK },
};
/* clang-format on */

static void fill(struct acl *a, const char *const *bind, size_t binds, const char *const *connect,
                 size_t connects)
{
    struct err e = { 0 };

    acl_init(a);
    for (size_t i = 0; i < binds && bind[i] != NULL; i++)
        assert_int_equal(acl_add(a, str_from(bind[i]), &e), 0);
    for (size_t i = 0; i < connects && connect[i] != NULL; i++)
        assert_int_equal(acl_add_connect(a, str_from(connect[i]), &e), 0);
}

static void acl_check_connect_table(void **state)
{
    unsigned failed = 0;

    (void)state;
    for (size_t i = 0; i < COUNT(connect_rows); i++) {
        const struct connect_row *row = &connect_rows[i];
        struct err e = { 0 };
        struct acl a;
        struct acl copy;
        bool may;
        int rc;

        fill(&a, row->bind, COUNT(row->bind), row->connect, COUNT(row->connect));
        acl_copy(&copy, &a);
        may = acl_may_connect(&a);
        acl_fini(&a);
        rc = acl_check_connect(&copy, str_from(row->host), row->port, &e);
        acl_fini(&copy);
        if ((rc == 0) == (row->code == E_OK) && e.code == row->code && (may || rc == -1))
            continue;
        print_error("row %zu, %s:%u: got %d E%u '%s', expected E%u\n", i, row->host,
                    (unsigned)row->port, rc, err_number(e.code), e.msg, err_number(row->code));
        failed++;
    }
    assert_int_equal(failed, 0);
}

static void acl_check_with_connect_rules_only_binds_nothing(void **state)
{
    static const char *const rules[] = { "*" };
    const struct url name = { .scheme = SCHEME_HTTPS, .host = "a.example.com", .port = 443 };
    const struct url random = { .scheme = SCHEME_TCP };
    struct err e = { 0 };
    struct acl a;

    (void)state;
    fill(&a, NULL, 0, rules, 1);
    assert_int_equal(acl_check(&a, &name, &e), -1);
    assert_int_equal(e.code, E_ACL_NAME);
    assert_string_equal(e.msg, "this key may not bind 'a.example.com'; it may bind: nothing");
    assert_int_equal(acl_check(&a, &random, &e), -1);
    assert_int_equal(e.code, E_ACL_RANDOM_TCP);
    acl_fini(&a);
}

static void acl_check_connect_message_names_what_is_allowed(void **state)
{
    static const char *const rules[] = { "a.internal", "b.internal:22" };
    struct err e = { 0 };
    struct acl a;

    (void)state;
    fill(&a, NULL, 0, rules, 2);
    assert_int_equal(acl_check_connect(&a, STR("c.internal"), 80, &e), -1);
    assert_string_equal(e.msg, "this key may not connect to 'c.internal:80'; it may connect to: "
                               "a.internal, b.internal:22");
    acl_fini(&a);
}

static void acl_may_connect_without_connect_rule_is_false(void **state)
{
    static const char *const rules[] = { "*" };
    struct acl a;

    (void)state;
    fill(&a, rules, 1, NULL, 0);
    assert_false(acl_may_connect(&a));
    acl_fini(&a);
}

static void acl_add_connect_refuses_what_is_no_rule(void **state)
{
    static const struct {
        const char *value;
        enum err_code code;
    } rows[] = {
        { "", E_SYNTAX },
        { "k=v", E_HOST_CHARACTER },
        { "example.com", E_SYNTAX },
        { "*.example.com", E_SYNTAX },
        { "internal", E_SYNTAX },
        { "127.0.0.1", E_SYNTAX },
        { "localhost:22", E_SYNTAX },
        { "db.internal:0", E_PORT_SYNTAX },
        { "*.internal:80", E_SYNTAX },
        { "tcp://db.internal:5432", E_SYNTAX },
        { "db.internal.", E_HOST_SYNTAX },
    };
    struct acl a;

    (void)state;
    acl_init(&a);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err e = { 0 };

        assert_int_equal(acl_add_connect(&a, str_from(rows[i].value), &e), -1);
        if (e.code != rows[i].code)
            print_error("%s: E%u %s\n", rows[i].value, err_number(e.code), e.msg);
        assert_int_equal(e.code, rows[i].code);
        assert_int_equal(a.connect.count, 0);
    }
    acl_fini(&a);
}

static void acl_check_message_names_what_is_allowed(void **state)
{
    struct url u = { .scheme = SCHEME_HTTPS, .binding = BINDING_PUBLIC, .host = "c.com" };
    struct err e = { 0 };
    struct acl a;

    (void)state;
    acl_init(&a);
    assert_int_equal(acl_add(&a, STR("a.com"), NULL), 0);
    assert_int_equal(acl_add(&a, STR("*.b.com"), NULL), 0);
    assert_int_equal(acl_check(&a, &u, &e), -1);
    assert_string_equal(e.msg, "this key may not bind 'c.com'; it may bind: a.com, *.b.com");
    acl_fini(&a);
}

static void acl_check_message_of_many_rules_is_cut(void **state)
{
    struct url u = { .scheme = SCHEME_HTTPS, .binding = BINDING_PUBLIC, .host = "c.com" };
    struct err e = { 0 };
    struct acl a;

    (void)state;
    acl_init(&a);
    for (size_t i = 0; i < ACL_RULES_MAX; i++)
        assert_int_equal(acl_add(&a, STR("a.very.long.name.of.example.com"), NULL), 0);
    assert_int_equal(acl_check(&a, &u, &e), -1);
    assert_int_equal(strlen(e.msg), ERR_MSG_BYTES - 1);
    acl_fini(&a);
}

static void acl_restricts_unless_all_is_allowed(void **state)
{
    struct acl a;

    (void)state;
    acl_init(&a);
    assert_false(acl_restricts(&a));
    assert_int_equal(acl_add(&a, STR("a.com"), NULL), 0);
    assert_true(acl_restricts(&a));
    assert_int_equal(acl_add(&a, STR("*"), NULL), 0);
    assert_true(acl_restricts(&a)); /* to connect is not allowed */
    assert_int_equal(acl_add_connect(&a, STR("db.internal"), NULL), 0);
    assert_true(acl_restricts(&a));
    assert_int_equal(acl_add_connect(&a, STR("*"), NULL), 0);
    assert_false(acl_restricts(&a));
    acl_fini(&a);
    assert_int_equal(acl_add_connect(&a, STR("*"), NULL), 0);
    assert_true(acl_restricts(&a));
    acl_fini(&a);
}

static void acl_add_rule_reads_all_kinds(void **state)
{
    static const char *const bad[] = { "", "bind", "bind:", "connect:a.com", "a.com", "**" };
    struct acl a;
    struct err e;

    (void)state;
    acl_init(&a);
    assert_int_equal(acl_add_rule(&a, STR("bind:a.com"), &e), 0);
    assert_int_equal(acl_add_rule(&a, STR("connect:b.internal"), &e), 0);
    assert_string_equal(a.bind.values[0], "a.com");
    assert_string_equal(a.connect.values[0], "b.internal");
    assert_int_equal(acl_check_connect(&a, STR("c.internal"), 1, &e), -1);
    assert_int_equal(acl_add_rule(&a, STR("*"), &e), 0);
    assert_int_equal(acl_check_connect(&a, STR("c.internal"), 1, &e), 0);
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(acl_add_rule(&a, str_from(bad[i]), &e), -1);
    assert_int_equal(a.bind.count, 2);
    assert_int_equal(a.connect.count, 2);
    acl_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acl_check_table_of_the_spec),
        cmocka_unit_test(acl_add_refuses_what_is_no_rule),
        cmocka_unit_test(acl_add_of_a_url_says_what_to_leave_out),
        cmocka_unit_test(acl_add_past_the_limit_is_refused),
        cmocka_unit_test(acl_check_connect_table),
        cmocka_unit_test(acl_check_with_connect_rules_only_binds_nothing),
        cmocka_unit_test(acl_check_connect_message_names_what_is_allowed),
        cmocka_unit_test(acl_may_connect_without_connect_rule_is_false),
        cmocka_unit_test(acl_add_connect_refuses_what_is_no_rule),
        cmocka_unit_test(acl_check_message_names_what_is_allowed),
        cmocka_unit_test(acl_check_message_of_many_rules_is_cut),
        cmocka_unit_test(acl_restricts_unless_all_is_allowed),
        cmocka_unit_test(acl_add_rule_reads_all_kinds),
    };

    return cmocka_run_group_tests_name("tunnel/acl", tests, NULL, NULL);
}
