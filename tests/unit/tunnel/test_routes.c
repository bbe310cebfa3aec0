/*
 * Unit tests of tunnel/routes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tunnel/routes.h"

static struct endpoint *endpoint_at(enum scheme scheme, const char *host, uint16_t port)
{
    struct endpoint *ep = endpoint_new();

    ep->url.scheme = scheme;
    ep->url.binding = BINDING_PUBLIC;
    ep->url.port = port;
    (void)snprintf(ep->url.host, sizeof(ep->url.host), "%s", host);
    return ep;
}

/* Adds an https endpoint of which the table keeps the only reference. */
static struct endpoint *add_https(struct routes *r, const char *host)
{
    struct endpoint *ep = endpoint_at(SCHEME_HTTPS, host, 443);

    routes_add(r, ep);
    endpoint_unref(ep);
    return ep;
}

static const char *find_https(const struct routes *r, const char *host)
{
    const struct endpoint *ep = routes_find(r, SCHEME_HTTPS, str_from(host), 443);

    return ep == NULL ? "" : ep->url.host;
}

static void routes_find_prefers_the_most_specific(void **state)
{
    static const struct {
        const char *host;
        const char *found;
    } cases[] = {
        { "app.example.com", "app.example.com" },
        { "foo.example.com", "*.example.com" },
        { "foo.bar.baz.example.com", "*.example.com" },
        { "x.app.example.com", "*.example.com" },
        { "a.b.example.com", "*.b.example.com" },
        { "z.a.b.example.com", "*.b.example.com" },
        { "b.example.com", "*.example.com" },
        { "example.com", "" }, /* a wildcard does not match its own suffix */
        { "notexample.com", "" },
        { "com", "" },
        { "", "" },
        { ".", "" },
        { ".example.com", "" },
        { "other.org", "" },
    };
    struct routes *r = routes_new();

    (void)state;
    add_https(r, "*.example.com");
    add_https(r, "*.b.example.com");
    add_https(r, "app.example.com");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(find_https(r, cases[i].host), cases[i].found);
    routes_free(r);
}

static void add(struct routes *r, enum scheme scheme, const char *host)
{
    struct endpoint *ep = endpoint_at(scheme, host, 443);

    routes_add(r, ep);
    endpoint_unref(ep);
}

static void routes_find_secure_prefers_the_most_specific_of_both_schemes(void **state)
{
    static const struct {
        const char *host;
        enum scheme scheme;
        const char *found;
    } cases[] = {
        { "app.example.com", SCHEME_HTTPS, "app.example.com" },
        { "db.example.com", SCHEME_TLS, "db.example.com" },
        { "x.example.com", SCHEME_HTTPS, "*.example.com" },
        { "x.t.example.com", SCHEME_TLS, "*.t.example.com" },
        { "w.t.example.com", SCHEME_HTTPS, "w.t.example.com" },
        { "x.w.t.example.com", SCHEME_TLS, "*.t.example.com" },
        { "x.h.t.example.com", SCHEME_HTTPS, "*.h.t.example.com" },
        { "only.tls.org", SCHEME_TLS, "*.tls.org" },
    };
    struct routes *r = routes_new();

    (void)state;
    add(r, SCHEME_HTTPS, "*.example.com");
    add(r, SCHEME_HTTPS, "app.example.com");
    add(r, SCHEME_TLS, "db.example.com");
    add(r, SCHEME_TLS, "*.t.example.com");
    add(r, SCHEME_HTTPS, "w.t.example.com");
    add(r, SCHEME_HTTPS, "*.h.t.example.com");
    add(r, SCHEME_TLS, "*.tls.org");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct endpoint *ep =
            routes_choose(r, routes_pool_secure(r, str_from(cases[i].host), 443));

        assert_non_null(ep);
        assert_string_equal(ep->url.host, cases[i].found);
        assert_int_equal(ep->url.scheme, cases[i].scheme);
    }
    assert_null(routes_choose(r, routes_pool_secure(r, STR("other.org"), 443)));
    assert_null(routes_choose(r, routes_pool_secure(r, STR("db.example.com"), 444)));
    routes_free(r);
}

static void routes_find_looks_at_scheme_and_port(void **state)
{
    struct routes *r = routes_new();

    (void)state;
    add_https(r, "x.test");
    assert_null(routes_find(r, SCHEME_HTTP, STR("x.test"), 443));
    assert_null(routes_find(r, SCHEME_HTTPS, STR("x.test"), 442));
    assert_null(routes_find(r, SCHEME_HTTPS, STR("x.tes"), 443));
    assert_non_null(routes_find(r, SCHEME_HTTPS, STR("x.test"), 443));
    routes_free(r);
}

static void routes_remove_exact_falls_through_to_the_wildcard(void **state)
{
    struct routes *r = routes_new();
    struct endpoint *exact;

    (void)state;
    add_https(r, "*.example.com");
    exact = add_https(r, "app.example.com");
    routes_remove(r, exact);
    assert_string_equal(find_https(r, "app.example.com"), "*.example.com");
    assert_int_equal(routes_count(r), 1);
    routes_free(r);
}

static void routes_add_same_address_replaces(void **state)
{
    struct routes *r = routes_new();
    struct endpoint *old = endpoint_at(SCHEME_HTTPS, "x.test", 443);
    struct endpoint *new = endpoint_at(SCHEME_HTTPS, "x.test", 443);

    (void)state;
    routes_add(r, old);
    routes_add(r, new);
    assert_int_equal(routes_count(r), 1);
    /* The old one's removal comes late and must not take the new one away. */
    routes_remove(r, old);
    assert_ptr_equal(routes_find(r, SCHEME_HTTPS, STR("x.test"), 443), new);
    routes_remove(r, new);
    routes_remove(r, new);
    assert_int_equal(routes_count(r), 0);
    endpoint_unref(old);
    endpoint_unref(new);
    routes_free(r);
}

static struct endpoint *internal_at(const char *account, const char *host)
{
    struct endpoint *ep = endpoint_at(SCHEME_HTTPS, host, 443);

    ep->url.binding = BINDING_INTERNAL;
    endpoint_set(&ep->account, str_from(account));
    return ep;
}

static void routes_find_internal_is_its_accounts_only(void **state)
{
    static const char *const not_public[] = { "x.internal", "alice/x.internal", "/x.internal",
                                              "a.x.internal" };
    struct routes *r = routes_new();
    struct endpoint *alice = internal_at("alice", "x.internal");
    struct endpoint *wild = internal_at("alice", "*.internal");
    struct endpoint *bob = internal_at("bob", "x.internal");

    (void)state;
    routes_add(r, alice);
    routes_add(r, wild);
    routes_add(r, bob);
    assert_int_equal(routes_count(r), 3);
    for (size_t i = 0; i < sizeof(not_public) / sizeof(not_public[0]); i++)
        assert_null(routes_find(r, SCHEME_HTTPS, str_from(not_public[i]), 443));
#define FIND(account, host, port)                                                                  \
    routes_find_internal(r, STR(account), SCHEME_HTTPS, STR(host), port)
    assert_ptr_equal(FIND("alice", "x.internal", 443), alice);
    assert_ptr_equal(FIND("alice", "y.internal", 443), wild);
    assert_ptr_equal(FIND("bob", "x.internal", 443), bob);
    assert_null(FIND("bob", "y.internal", 443));
    assert_null(FIND("carol", "x.internal", 443));
    assert_null(FIND("alice", "x.internal", 444));
    assert_null(FIND("", "x.internal", 443));
    routes_remove(r, alice);
    assert_ptr_equal(FIND("alice", "x.internal", 443), wild);
    assert_ptr_equal(FIND("bob", "x.internal", 443), bob);
#undef FIND
    endpoint_unref(alice);
    endpoint_unref(wild);
    endpoint_unref(bob);
    routes_free(r);
}

static void routes_find_longest_host_fits(void **state)
{
    struct routes *r = routes_new();
    char host[HOST_MAX_BYTES + 1];
    struct endpoint *ep = endpoint_at(SCHEME_HTTPS, "", 443);

    (void)state;
    for (size_t i = 0; i < sizeof(host); i++)
        host[i] = i % 2 == 0 ? 'a' : '.';
    memcpy(ep->url.host, host, HOST_MAX_BYTES);
    routes_add(r, ep);
    assert_ptr_equal(routes_find(r, SCHEME_HTTPS, str_of(host, HOST_MAX_BYTES), 443), ep);
    assert_null(routes_find(r, SCHEME_HTTPS, str_of(host, HOST_MAX_BYTES + 1), 443));

    ep->url.host[0] = '*';
    routes_free(r);
    r = routes_new();
    routes_add(r, ep);
    assert_ptr_equal(routes_find(r, SCHEME_HTTPS, str_of(host, HOST_MAX_BYTES), 443), ep);
    endpoint_unref(ep);
    routes_free(r);
}

static void routes_find_among_many(void **state)
{
    struct routes *r = routes_new();
    char host[32];

    (void)state;
    for (unsigned i = 0; i < 10000; i++) {
        (void)snprintf(host, sizeof(host), "n%u.test", i);
        add_https(r, host);
    }
    for (unsigned i = 0; i < 10000; i += 7) {
        (void)snprintf(host, sizeof(host), "n%u.test", i);
        assert_string_equal(find_https(r, host), host);
    }
    assert_int_equal(routes_count(r), 10000);
    routes_free(r);
}

static void count_gone(void *arg, struct endpoint *ep)
{
    unsigned *count = arg;

    assert_true(str_eq(str_from(ep->url.host), STR("a.example.com")));
    (*count)++;
}

static void routes_on_gone_tells_of_removed_and_replaced(void **state)
{
    struct routes *r = routes_new();
    unsigned gone = 0;
    struct endpoint *first;
    struct endpoint *second;

    (void)state;
    routes_on_gone(r, count_gone, &gone);
    first = add_https(r, "a.example.com");
    assert_true(pool_has(routes_pool_of(r, first), first));
    endpoint_ref(first);
    second = add_https(r, "a.example.com");
    assert_int_equal(gone, 1);
    assert_false(pool_has(routes_pool_of(r, first), first));
    assert_true(pool_has(routes_pool_of(r, first), second));
    routes_remove(r, first); /* another took its place: nothing happens */
    assert_int_equal(gone, 1);
    routes_remove(r, second);
    assert_int_equal(gone, 2);
    endpoint_unref(first);
    routes_free(r);
}

/* ---- pools ---- */

static struct endpoint *add_member(struct routes *r, const char *host)
{
    struct endpoint *ep = endpoint_at(SCHEME_HTTPS, host, 443);

    ep->pooling = true;
    routes_add(r, ep);
    endpoint_unref(ep);
    return ep;
}

static void count_any_gone(void *arg, struct endpoint *ep)
{
    (void)ep;
    (*(unsigned *)arg)++;
}

static void routes_find_in_a_pool_finds_all_members(void **state)
{
    enum { MEMBERS = 5, LOOKUPS = 1000 };
    struct routes *r = routes_new();
    struct endpoint *members[MEMBERS];
    unsigned found[MEMBERS] = { 0 };

    (void)state;
    for (size_t i = 0; i < MEMBERS; i++)
        members[i] = add_member(r, "*.example.com");
    assert_int_equal(routes_count(r), MEMBERS);
    assert_int_equal(routes_pool_of(r, members[0])->count, MEMBERS);
    for (size_t n = 0; n < LOOKUPS; n++) {
        const struct endpoint *ep =
            routes_choose(r, routes_pool_secure(r, STR("foo.example.com"), 443));

        for (size_t i = 0; i < MEMBERS; i++)
            found[i] += ep == members[i];
    }
    for (size_t i = 0; i < MEMBERS; i++)
        assert_in_range(found[i], LOOKUPS / MEMBERS / 2, LOOKUPS / MEMBERS * 2);
    routes_free(r);
}

static void routes_find_never_finds_a_member_that_left(void **state)
{
    enum { MEMBERS = 4, LOOKUPS = 100 };
    struct routes *r = routes_new();
    struct endpoint *members[MEMBERS];
    unsigned gone = 0;

    (void)state;
    routes_on_gone(r, count_any_gone, &gone);
    for (size_t i = 0; i < MEMBERS; i++)
        members[i] = add_member(r, "x.test");
    for (size_t left = MEMBERS; left > 0; left--) {
        struct endpoint *leaver = members[left - 1];

        endpoint_ref(leaver);
        routes_remove(r, leaver);
        routes_remove(r, leaver);
        assert_int_equal(gone, MEMBERS - left + 1);
        for (size_t n = 0; n < LOOKUPS; n++)
            assert_ptr_not_equal(routes_find(r, SCHEME_HTTPS, STR("x.test"), 443), leaver);
        endpoint_unref(leaver);
    }
    assert_null(routes_pool(r, SCHEME_HTTPS, STR("x.test"), 443));
    assert_int_equal(routes_count(r), 0);
    routes_free(r);
}

static void routes_add_of_one_that_does_not_pool_replaces_all(void **state)
{
    struct routes *r = routes_new();
    unsigned gone = 0;
    struct endpoint *alone;

    (void)state;
    routes_on_gone(r, count_any_gone, &gone);
    (void)add_member(r, "x.test");
    (void)add_member(r, "x.test");
    alone = add_https(r, "x.test");
    assert_int_equal(gone, 2);
    assert_int_equal(routes_count(r), 1);
    assert_ptr_equal(routes_find(r, SCHEME_HTTPS, STR("x.test"), 443), alone);
    (void)add_member(r, "x.test");
    assert_int_equal(gone, 3);
    assert_int_equal(routes_count(r), 1);
    routes_free(r);
}

static void routes_choose_other_looks_at_the_address_of_the_first(void **state)
{
    struct routes *r = routes_new();
    struct endpoint *first = add_member(r, "x.test");
    struct endpoint *second = add_member(r, "x.test");
    struct endpoint *stranger = endpoint_at(SCHEME_HTTPS, "y.test", 443);
    struct pool_tried tried = { 0 };

    (void)state;
    (void)add_member(r, "z.test");
    endpoint_enter(first);
    assert_ptr_equal(routes_choose_other(r, first, &tried), second);
    assert_null(routes_choose_other(r, second, &tried));
    pool_tried_fini(&tried);
    assert_null(routes_choose_other(r, stranger, &tried));
    endpoint_unref(stranger);
    routes_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routes_find_prefers_the_most_specific),
        cmocka_unit_test(routes_find_secure_prefers_the_most_specific_of_both_schemes),
        cmocka_unit_test(routes_find_looks_at_scheme_and_port),
        cmocka_unit_test(routes_remove_exact_falls_through_to_the_wildcard),
        cmocka_unit_test(routes_add_same_address_replaces),
        cmocka_unit_test(routes_find_internal_is_its_accounts_only),
        cmocka_unit_test(routes_find_longest_host_fits),
        cmocka_unit_test(routes_find_among_many),
        cmocka_unit_test(routes_on_gone_tells_of_removed_and_replaced),
        cmocka_unit_test(routes_find_in_a_pool_finds_all_members),
        cmocka_unit_test(routes_find_never_finds_a_member_that_left),
        cmocka_unit_test(routes_add_of_one_that_does_not_pool_replaces_all),
        cmocka_unit_test(routes_choose_other_looks_at_the_address_of_the_first),
    };

    return cmocka_run_group_tests_name("tunnel/routes", tests, NULL, NULL);
}
