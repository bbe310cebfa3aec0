/*
 * Unit tests of tunnel/domains: the ownership rules of the spec's sections 3.2 and 3.3. The rows of
 * section 2.5 that are about ownership are in test_url.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/rand.h"
#include "tunnel/domains.h"
#include "tunnel/host.h"
#include "tunnel/url.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct url make_url(const char *host, enum scheme scheme, uint16_t port)
{
    struct url u = { .scheme = scheme, .binding = BINDING_PUBLIC, .port = port };

    (void)snprintf(u.host, sizeof(u.host), "%s", host);
    return u;
}

static void domains_add_table(void **state)
{
    /* In order: a row sees what the rows before it reserved. */
    static const struct {
        const char *name;
        const char *account;
        enum err_code code;
    } rows[] = {
        { "Foo.example.com", "a", E_OK },
        { "foo.example.com", "a", E_HOST_TAKEN },
        { "foo.example.com", "b", E_HOST_TAKEN },
        { "x.foo.example.com", "b", E_HOST_TAKEN },
        { "x.foo.example.com", "a", E_OK },
        { "*.foo.example.com", "b", E_HOST_TAKEN },
        { "*.foo.example.com", "a", E_OK },
        { "*.example.com", "b", E_HOST_TAKEN },
        { "example.com", "b", E_HOST_TAKEN },
        { "bar.example.com", "b", E_OK },
        { "*.wild.com", "b", E_OK },
        { "wild.com", "a", E_HOST_TAKEN },
        { "a.wild.com", "a", E_HOST_TAKEN },
        { "awild.com", "a", E_OK },
        { "1.tcp.example.com:1000", "a", E_OK },
        { "1.tcp.example.com:1001", "b", E_OK },
        { "1.tcp.example.com:1000", "b", E_TCP_TAKEN },
        { "1.tcp.example.com:1000", "a", E_TCP_TAKEN },
        { "1.tcp.example.com:0", "a", E_PORT_SYNTAX },
        { "*.tcp.example.com:1", "a", E_HOST_CHARACTER },
        { "a..b", "a", E_HOST_EMPTY_LABEL },
        { "", "a", E_HOST_SYNTAX },
    };
    struct domains *d = domains_new(STR("base.test"), false);

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err e = { 0 };
        int rc = domains_add(d, str_from(rows[i].name), str_from(rows[i].account), &e);

        if ((rc == 0) != (rows[i].code == E_OK) || e.code != rows[i].code)
            fail_msg("%s for %s: got %d E%u '%s', expected E%u", rows[i].name, rows[i].account, rc,
                     err_number(e.code), e.msg, err_number(rows[i].code));
    }
    domains_free(d);
}

struct check_row {
    const char *host;
    enum scheme scheme;
    uint16_t port;
    enum err_code strict;       /* without auto_reserve */
    enum err_code auto_reserve; /* with it */
};

/* What account "a" may do. */
static const struct check_row check_rows[] = {
    { "", SCHEME_HTTPS, 443, E_OK, E_OK },
    { "", SCHEME_TCP, 0, E_OK, E_OK },
    /* Reserved for a. */
    { "own.com", SCHEME_HTTPS, 443, E_OK, E_OK },
    { "own.com", SCHEME_HTTP, 80, E_OK, E_OK },
    { "x.own.com", SCHEME_HTTPS, 443, E_HOST_NOT_RESERVED, E_OK },
    { "*.own.com", SCHEME_HTTPS, 443, E_WILDCARD_NOT_RESERVED, E_OK },
    { "*.wild.com", SCHEME_TLS, 443, E_OK, E_OK },
    { "x.y.wild.com", SCHEME_TLS, 443, E_OK, E_OK },
    { "wild.com", SCHEME_HTTPS, 443, E_HOST_NOT_RESERVED, E_OK },
    { "*.x.wild.com", SCHEME_HTTPS, 443, E_WILDCARD_TOO_WIDE, E_WILDCARD_TOO_WIDE },
    { "deep.own.base.test", SCHEME_HTTPS, 443, E_OK, E_OK },
    { "*.star.base.test", SCHEME_HTTPS, 443, E_OK, E_OK },
    { "1.tcp.test", SCHEME_TCP, 1000, E_OK, E_OK },
    /* Reserved for b. */
    { "b.com", SCHEME_HTTPS, 443, E_HOST_TAKEN, E_HOST_TAKEN },
    { "x.b.com", SCHEME_HTTPS, 443, E_HOST_TAKEN, E_HOST_TAKEN },
    { "*.b.com", SCHEME_HTTPS, 443, E_HOST_TAKEN, E_HOST_TAKEN },
    { "bwild.com", SCHEME_HTTPS, 443, E_HOST_TAKEN, E_HOST_TAKEN },
    { "x.bwild.com", SCHEME_HTTPS, 443, E_HOST_TAKEN, E_HOST_TAKEN },
    { "*.parent.com", SCHEME_HTTPS, 443, E_WILDCARD_NOT_RESERVED, E_WILDCARD_NOT_RESERVED },
    { "parent.com", SCHEME_HTTPS, 443, E_HOST_NOT_RESERVED, E_OK },
    { "bname.base.test", SCHEME_HTTPS, 443, E_HOST_TAKEN, E_HOST_TAKEN },
    { "1.tcp.test", SCHEME_TCP, 1001, E_TCP_TAKEN, E_TCP_TAKEN },
    /* Reserved for nobody. */
    { "free.com", SCHEME_HTTPS, 443, E_HOST_NOT_RESERVED, E_OK },
    { "*.free.com", SCHEME_HTTPS, 443, E_WILDCARD_NOT_RESERVED, E_OK },
    { "free.base.test", SCHEME_HTTPS, 443, E_HOST_NOT_RESERVED, E_OK },
    { "a.b.base.test", SCHEME_HTTPS, 443, E_NESTED_NAME, E_OK },
    { "*.base.test", SCHEME_HTTPS, 443, E_WILDCARD_NOT_RESERVED, E_WILDCARD_NOT_RESERVED },
    { "*.b.base.test", SCHEME_HTTPS, 443, E_WILDCARD_NOT_RESERVED, E_OK },
    { "1.tcp.test", SCHEME_TCP, 1002, E_TCP_NOT_RESERVED, E_OK },
    /* A domain grants no TCP address and the other way round. */
    { "own.com", SCHEME_TCP, 443, E_TCP_NOT_RESERVED, E_OK },
    { "1.tcp.test", SCHEME_HTTPS, 443, E_HOST_NOT_RESERVED, E_OK },
};

static struct domains *make_domains(bool auto_reserve)
{
    static const struct {
        const char *name;
        const char *account;
    } rows[] = {
        { "own.com", "a" },          { "*.wild.com", "a" },      { "deep.own.base.test", "a" },
        { "*.star.base.test", "a" }, { "1.tcp.test:1000", "a" }, { "b.com", "b" },
        { "*.bwild.com", "b" },      { "x.parent.com", "b" },    { "bname.base.test", "b" },
        { "1.tcp.test:1001", "b" },
    };
    struct domains *d = domains_new(STR("base.test"), auto_reserve);

    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(domains_add(d, str_from(rows[i].name), str_from(rows[i].account), NULL),
                         0);
    return d;
}

static void check_all(bool auto_reserve)
{
    struct domains *d = make_domains(auto_reserve);

    for (size_t i = 0; i < COUNT(check_rows); i++) {
        const struct check_row *row = &check_rows[i];
        struct url u = make_url(row->host, row->scheme, row->port);
        enum err_code code = auto_reserve ? row->auto_reserve : row->strict;
        struct err e = { 0 };
        int rc = domains_check(d, &u, STR("a"), &e);

        if ((rc == 0) != (code == E_OK) || e.code != code)
            fail_msg("%s:%u: got %d E%u '%s', expected E%u", row->host, (unsigned)row->port, rc,
                     err_number(e.code), e.msg, err_number(code));
    }
    domains_free(d);
}

static void domains_check_without_auto_reserve_table(void **state)
{
    (void)state;
    check_all(false);
}

static void domains_check_with_auto_reserve_table(void **state)
{
    (void)state;
    check_all(true);
}

static void domains_check_no_wildcard_over_the_base(void **state)
{
    static const char *const names[] = { "*.gw.free.test", "*.free.test", "*.test" };
    struct domains *d = domains_new(STR("gw.free.test"), true);
    struct err e;

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        struct url url = make_url(names[i], SCHEME_HTTPS, 443);

        assert_int_equal(domains_check(d, &url, STR("a"), &e), -1);
        assert_int_equal(e.code, E_WILDCARD_NOT_RESERVED);
    }
    domains_free(d);
}

static void domains_check_internal_name_needs_no_reservation(void **state)
{
    struct domains *d = make_domains(false);
    struct url u = make_url("db.internal", SCHEME_TCP, 5432);

    (void)state;
    u.binding = BINDING_INTERNAL;
    assert_int_equal(domains_check(d, &u, STR("a"), NULL), 0);
    domains_free(d);
}

static void domains_check_nested_name_is_told_a_legal_flat_one(void **state)
{
    static const struct {
        const char *host;
        const char *suggestion; /* NULL: there is none */
    } rows[] = {
        { "a.b.base.test", "'a-b.base.test' instead" },
        { "a.b.c.base.test", "'a-b-c.base.test' instead" },
        /* Flattened, this label has 64 characters. */
        { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.base.test", NULL },
        { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.base.test", "instead" },
    };
    struct domains *d = make_domains(false);

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct url u = make_url(rows[i].host, SCHEME_HTTPS, 443);
        struct err e = { 0 };

        assert_int_equal(domains_check(d, &u, STR("a"), &e), -1);
        assert_int_equal(e.code, E_NESTED_NAME);
        if (rows[i].suggestion != NULL)
            assert_non_null(strstr(e.msg, rows[i].suggestion));
        else
            assert_null(strstr(e.msg, "instead"));
    }
    domains_free(d);
}

/* ---- against a walk over all reservations ---------------------------------------------------- */

enum { MODEL_STEPS = 20000, MODEL_NAMES = 120 };

struct row {
    char host[32];
    const char *account;
};

/* What is reserved, as a plain list. */
struct model {
    struct row rows[MODEL_NAMES];
    size_t count;
};

/* A name of few labels, so that many are above, below or at others. */
static void draw_name(uint64_t *random, char out[32])
{
    static const char *const labels[] = { "a", "b", "c" };
    size_t n = 0;
    size_t count = 1 + rand_next(random) % 4;

    if (rand_next(random) % 3 == 0)
        n = (size_t)snprintf(out, 32, "*.");
    for (size_t i = 0; i < count; i++)
        n += (size_t)snprintf(out + n, 32 - n, "%s.", labels[rand_next(random) % COUNT(labels)]);
    (void)snprintf(out + n, 32 - n, "test");
}

static struct str zone_of(struct str name)
{
    return host_is_wildcard(name) ? str_skip(name, 2) : name;
}

static enum domains_clash model_clash(const struct model *m, struct str name, struct str account)
{
    enum domains_clash found = DOMAINS_CLEAR;

    for (size_t i = 0; i < m->count; i++) {
        struct str other = str_from(m->rows[i].host);
        bool is_own = str_eq(str_from(m->rows[i].account), account);

        if (str_eq(other, name))
            return is_own ? DOMAINS_OWN : DOMAINS_OTHER;
        if (is_own)
            continue;
        if (host_is_below_or_equal(zone_of(name), zone_of(other)))
            return DOMAINS_OTHER;
        if (host_is_below(zone_of(other), zone_of(name)))
            found = host_is_wildcard(name) ? DOMAINS_COVERS : DOMAINS_OTHER;
    }
    return found;
}

static bool model_covers(const struct model *m, struct str name, struct str account)
{
    for (size_t i = 0; i < m->count; i++) {
        struct str held = str_from(m->rows[i].host);

        if (str_eq(str_from(m->rows[i].account), account) &&
            (str_eq(held, name) || (!host_is_wildcard(name) && host_matches(held, name))))
            return true;
    }
    return false;
}

static void model_change(struct model *m, struct domains *d, uint64_t *random, const char *name,
                         const char *account)
{
    enum domains_clash clash = model_clash(m, str_from(name), str_from(account));
    size_t i = m->count > 0 ? rand_next(random) % m->count : 0;

    if (clash == DOMAINS_CLEAR && m->count < MODEL_NAMES) {
        assert_int_equal(domains_add(d, str_from(name), str_from(account), NULL), 0);
        (void)snprintf(m->rows[m->count].host, sizeof(m->rows[0].host), "%s", name);
        m->rows[m->count++].account = account;
    } else if (m->count > 0) {
        assert_int_equal(domains_add(d, str_from(m->rows[i].host), STR("z"), NULL), -1);
        domains_remove(d, str_from(m->rows[i].host), 0);
        domains_remove(d, str_from(m->rows[i].host), 0); /* is fine */
        m->rows[i] = m->rows[--m->count];
    }
}

static void domains_agree_with_a_walk_over_all(void **state)
{
    static const char *const accounts[] = { "x", "y", "z" };
    struct domains *d = domains_new(STR("base.test"), false);
    struct model m = { .count = 0 };
    uint64_t random = 1;

    (void)state;
    for (size_t i = 0; i < MODEL_STEPS; i++) {
        const char *account = accounts[rand_next(&random) % COUNT(accounts)];
        char name[32];
        struct url url;

        draw_name(&random, name);
        url = make_url(name, SCHEME_HTTPS, 443);
        assert_int_equal(domains_find_clash(d, str_from(name), 0, str_from(account)),
                         model_clash(&m, str_from(name), str_from(account)));
        assert_int_equal(domains_covers(d, &url, str_from(account)),
                         model_covers(&m, str_from(name), str_from(account)));
        model_change(&m, d, &random, name, account);
        if (i % 100 == 0) {
            struct domains *copy = domains_copy(d);

            domains_free(d);
            d = copy;
        }
    }
    domains_free(d);
}

static void domains_remove_leaves_the_others(void **state)
{
    struct domains *d = make_domains(false);

    (void)state;
    assert_int_equal(domains_find_clash(d, STR("1.tcp.test"), 1001, STR("a")), DOMAINS_OTHER);
    domains_remove(d, STR("1.tcp.test"), 1001);
    domains_remove(d, STR("1.tcp.test"), 1001);
    domains_remove(d, STR("nobody.test"), 0);
    assert_int_equal(domains_find_clash(d, STR("1.tcp.test"), 1001, STR("a")), DOMAINS_CLEAR);
    assert_int_equal(domains_find_clash(d, STR("1.tcp.test"), 1000, STR("a")), DOMAINS_OWN);
    assert_int_equal(domains_find_clash(d, STR("*.parent.com"), 0, STR("a")), DOMAINS_COVERS);
    domains_remove(d, STR("x.parent.com"), 0);
    assert_int_equal(domains_find_clash(d, STR("*.parent.com"), 0, STR("a")), DOMAINS_CLEAR);
    domains_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(domains_add_table),
        cmocka_unit_test(domains_check_without_auto_reserve_table),
        cmocka_unit_test(domains_check_with_auto_reserve_table),
        cmocka_unit_test(domains_check_no_wildcard_over_the_base),
        cmocka_unit_test(domains_check_internal_name_needs_no_reservation),
        cmocka_unit_test(domains_check_nested_name_is_told_a_legal_flat_one),
        cmocka_unit_test(domains_agree_with_a_walk_over_all),
        cmocka_unit_test(domains_remove_leaves_the_others),
    };

    return cmocka_run_group_tests_name("tunnel/domains", tests, NULL, NULL);
}
