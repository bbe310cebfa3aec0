/*
 * Unit tests of tunnel/registry, with reservations of our own in place of tunnel/domains.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tunnel/domains.h"
#include "tunnel/registry.h"

enum { HOLD_MS = 60000 };

/* The one host that domains_check() refuses, and how; and the one that account "b" has reserved. */
struct domains {
    char host[HOST_MAX_BYTES + 1];
    enum err_code code;
    char reserved[HOST_MAX_BYTES + 1];
};

int domains_check(const struct domains *d, const struct url *url, struct str account, struct err *e)
{
    (void)account;
    if (strcmp(d->host, url->host) != 0)
        return 0;
    return err_set(e, d->code, "%s is refused", url->host);
}

bool domains_covers(const struct domains *d, const struct url *url, struct str account)
{
    return strcmp(d->reserved, url->host) == 0 && str_eq(account, STR("b"));
}

/* ---- ports without sockets ---- */

enum { RANDOM_FIRST = 30000, RANDOM_LAST = 30007, FIXED_FIRST = 20000, FIXED_LAST = 20009 };

struct port {
    uint16_t number;
};

/* Ports that are open; those of `busy` are another program's. */
static size_t ports_open;
static uint16_t busy[8];

static struct port *port_open(void *ctx, uint16_t number, struct err *e)
{
    struct port *p;

    (void)ctx;
    for (size_t i = 0; i < sizeof(busy) / sizeof(busy[0]); i++) {
        if (busy[i] == number) {
            (void)err_set(e, E_TCP_OCCUPIED, "busy");
            return NULL;
        }
    }
    p = mem_zalloc(sizeof(*p));
    p->number = number;
    ports_open++;
    return p;
}

static void port_close(struct port *p)
{
    ports_open--;
    mem_free(p);
}

static const struct port_ops port_ops = { .open = port_open, .close = port_close };

static struct registry *registry_with(const struct domains *domains, uint8_t secret)
{
    struct registry_params params = { .base_domain = STR("example.com"),
                                      .tcp = { .host = STR("tcp.test"),
                                               .any = { RANDOM_FIRST, RANDOM_LAST },
                                               .fixed = { FIXED_FIRST, FIXED_LAST },
                                               .source = { .ops = &port_ops } },
                                      .hold_ms = HOLD_MS,
                                      .domains = domains };

    memset(params.secret, secret, sizeof(params.secret));
    return registry_new(&params);
}

/* An endpoint of account "a", "b", ... whose key is `key`; "" asks for a random name. */
static struct endpoint *endpoint_of(const char *account, const char *key, uint64_t session,
                                    enum scheme scheme, const char *host)
{
    static const struct agent_ops agent_ops; /* of sessions, which are never asked */
    struct endpoint *ep = endpoint_new();

    endpoint_set(&ep->account, str_from(account));
    (void)snprintf(ep->key, sizeof(ep->key), "%s", key);
    ep->agent = (struct agent){ .ops = &agent_ops, .session = session };
    ep->url.scheme = scheme;
    ep->url.binding = BINDING_PUBLIC;
    ep->url.port = scheme == SCHEME_HTTP ? 80 : 443;
    (void)snprintf(ep->url.host, sizeof(ep->url.host), "%s", host);
    return ep;
}

/* Adds ep where nothing may be displaced, and leaves the registry with the only reference. */
static enum err_code add(struct registry *r, struct endpoint *ep, uint64_t now_ms)
{
    struct endpoint *displaced;
    struct err e = { .code = E_OK };
    int rc = registry_add(r, ep, now_ms, &displaced, &e);

    assert_null(displaced);
    assert_int_equal(rc, e.code == E_OK ? 0 : -1);
    endpoint_unref(ep);
    return e.code;
}

/* The same for an endpoint that the caller goes on to look at. */
static struct endpoint *added(struct registry *r, struct endpoint *ep, uint64_t now_ms)
{
    assert_int_equal(add(r, ep, now_ms), E_OK);
    return ep;
}

static void drop(struct registry *r, struct endpoint *ep, enum registry_hold hold, uint64_t now_ms)
{
    assert_ptr_equal(registry_remove(r, ep, hold, now_ms), ep);
    endpoint_unref(ep);
}

static void registry_add_free_host_is_found_by_its_scheme(void **state)
{
    struct registry *r = registry_with(NULL, 1);
    struct endpoint *ep = added(r, endpoint_of("a", "k", 1, SCHEME_HTTPS, "x.test"), 0);
    struct url other = ep->url;

    (void)state;
    assert_ptr_equal(registry_find(r, &ep->url), ep);
    assert_int_equal(registry_count(r), 1);
    other.scheme = SCHEME_TLS;
    assert_null(registry_find(r, &other));
    other = ep->url;
    other.port = 444;
    assert_null(registry_find(r, &other));
    drop(r, ep, REGISTRY_LET_GO, 0);
    assert_int_equal(registry_count(r), 0);
    registry_free(r);
}

static void registry_add_conflicts_are_refused(void **state)
{
    static const struct {
        const char *account;
        const char *key;
        uint64_t session;
        enum scheme scheme;
        enum err_code code;
    } cases[] = {
        { "b", "l", 9, SCHEME_HTTPS, E_HOST_TAKEN },
        { "b", "l", 9, SCHEME_HTTP, E_HOST_TAKEN }, /* the name is owned on every port */
        { "b", "l", 9, SCHEME_TLS, E_HOST_TAKEN },
        { "a", "l", 9, SCHEME_HTTPS, E_ENDPOINT_ONLINE },
        { "a", "l", 9, SCHEME_TLS, E_ENDPOINT_ONLINE }, /* one port, two protocols */
        { "a", "k", 5, SCHEME_HTTPS, E_ENDPOINT_ONLINE },
        { "a", "k", 5, SCHEME_TLS, E_ENDPOINT_ONLINE },
        { "a", "k", 4, SCHEME_HTTPS, E_ENDPOINT_ONLINE },
        { "a", "l", 9, SCHEME_HTTP, E_OK },
    };
    struct registry *r = registry_with(NULL, 1);

    (void)state;
    (void)added(r, endpoint_of("a", "k", 5, SCHEME_HTTPS, "x.test"), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(add(r,
                             endpoint_of(cases[i].account, cases[i].key, cases[i].session,
                                         cases[i].scheme, "x.test"),
                             0),
                         cases[i].code);
    assert_int_equal(registry_count(r), 2);
    registry_free(r);
}

static void registry_add_refused_leaves_endpoint_unchanged(void **state)
{
    static const struct domains taken = { .host = "x.test", .code = E_HOST_NOT_RESERVED };
    struct registry *r = registry_with(&taken, 1);
    struct endpoint *ep = endpoint_of("a", "k", 1, SCHEME_HTTPS, "x.test");
    struct endpoint *displaced = ep;
    struct err e;

    (void)state;
    assert_int_equal(registry_add(r, ep, 0, &displaced, &e), -1);
    assert_int_equal(e.code, E_HOST_NOT_RESERVED);
    assert_null(displaced);
    assert_string_equal(ep->url.host, "x.test");
    assert_int_equal(registry_count(r), 0);
    assert_null(registry_remove(r, ep, REGISTRY_HOLD, 0));
    endpoint_unref(ep);
    registry_free(r);
}

static void registry_add_newer_session_takes_over(void **state)
{
    struct registry *r = registry_with(NULL, 1);
    struct endpoint *old = added(r, endpoint_of("a", "k", 1, SCHEME_HTTPS, "x.test"), 0);
    struct endpoint *new = endpoint_of("a", "k", 2, SCHEME_HTTPS, "x.test");
    struct endpoint *displaced;
    struct err e;

    (void)state;
    assert_int_equal(registry_add(r, new, 0, &displaced, &e), 0);
    assert_ptr_equal(displaced, old);
    assert_ptr_equal(registry_find(r, &new->url), new);
    assert_int_equal(registry_count(r), 1);

    /* The old session's release must not take the name from the new one, nor hold it. */
    assert_null(registry_remove(r, old, REGISTRY_HOLD, 0));
    assert_ptr_equal(registry_find(r, &new->url), new);
    drop(r, new, REGISTRY_LET_GO, 0);
    assert_int_equal(add(r, endpoint_of("b", "l", 3, SCHEME_HTTP, "x.test"), 0), E_OK);
    endpoint_unref(displaced);
    endpoint_unref(new);
    registry_free(r);
}

static void registry_add_newer_session_takes_over_another_scheme(void **state)
{
    struct registry *r = registry_with(NULL, 1);
    struct endpoint *old = added(r, endpoint_of("a", "k", 1, SCHEME_HTTPS, "x.test"), 0);
    struct endpoint *new = endpoint_of("a", "k", 2, SCHEME_TLS, "x.test");
    struct endpoint *displaced;
    struct err e;

    (void)state;
    assert_int_equal(registry_add(r, new, 0, &displaced, &e), 0);
    assert_ptr_equal(displaced, old);
    assert_null(registry_find(r, &old->url));
    assert_ptr_equal(registry_find(r, &new->url), new);
    endpoint_unref(displaced);
    endpoint_unref(new);
    registry_free(r);
}

static void registry_remove_with_hold_blocks_other_accounts_until_it_ends(void **state)
{
    struct registry *r = registry_with(NULL, 1);
    struct endpoint *other = endpoint_of("b", "l", 2, SCHEME_HTTP, "x.test");
    struct endpoint *displaced;
    struct err e;

    (void)state;
    drop(r, added(r, endpoint_of("a", "k", 1, SCHEME_HTTPS, "x.test"), 0), REGISTRY_HOLD, 1000);
    assert_int_equal(registry_add(r, other, 1000 + HOLD_MS - 1, &displaced, &e), -1);
    assert_int_equal(e.code, E_HOST_TAKEN);
    assert_string_equal(e.msg, "x.test was in use by another account a moment ago and stays "
                               "reserved for it for about 1 s");
    assert_int_equal(registry_add(r, other, 1000 + HOLD_MS, &displaced, &e), 0);
    endpoint_unref(other);
    registry_free(r);
}

static void registry_add_held_name_is_free_for_its_own_account(void **state)
{
    struct registry *r = registry_with(NULL, 1);

    (void)state;
    drop(r, added(r, endpoint_of("a", "k", 1, SCHEME_HTTPS, "x.test"), 0), REGISTRY_HOLD, 0);
    /* Another key of the account may, and ends the hold. */
    drop(r, added(r, endpoint_of("a", "m", 2, SCHEME_HTTPS, "x.test"), 1), REGISTRY_LET_GO, 2);
    assert_int_equal(add(r, endpoint_of("b", "l", 3, SCHEME_HTTPS, "x.test"), 3), E_OK);
    registry_free(r);
}

static void registry_remove_one_port_keeps_the_name(void **state)
{
    struct registry *r = registry_with(NULL, 1);
    struct endpoint *https = added(r, endpoint_of("a", "k", 1, SCHEME_HTTPS, "x.test"), 0);
    struct endpoint *http = added(r, endpoint_of("a", "k", 1, SCHEME_HTTP, "x.test"), 0);

    (void)state;
    drop(r, http, REGISTRY_HOLD, 0);
    assert_int_equal(add(r, endpoint_of("b", "l", 2, SCHEME_HTTP, "x.test"), 2 * HOLD_MS),
                     E_HOST_TAKEN);
    /* The hold ended long ago, but the other port has kept the name in use. */
    registry_expire(r, 2 * HOLD_MS);
    drop(r, https, REGISTRY_LET_GO, 2 * HOLD_MS);
    assert_int_equal(add(r, endpoint_of("b", "l", 2, SCHEME_HTTP, "x.test"), 2 * HOLD_MS), E_OK);
    registry_free(r);
}

static void registry_expire_forgets_ended_holds_only(void **state)
{
    struct registry *r = registry_with(NULL, 1);

    (void)state;
    drop(r, added(r, endpoint_of("a", "k", 1, SCHEME_HTTPS, "x.test"), 0), REGISTRY_HOLD, 0);
    drop(r, added(r, endpoint_of("a", "k", 1, SCHEME_HTTPS, "y.test"), 0), REGISTRY_HOLD, 500);
    registry_expire(r, HOLD_MS);
    assert_int_equal(add(r, endpoint_of("b", "l", 2, SCHEME_HTTPS, "x.test"), HOLD_MS), E_OK);
    assert_int_equal(add(r, endpoint_of("b", "l", 2, SCHEME_HTTPS, "y.test"), HOLD_MS),
                     E_HOST_TAKEN);
    registry_free(r);
}

static void registry_configure_changes_holds_that_run(void **state)
{
    struct registry *r = registry_with(NULL, 1);

    (void)state;
    drop(r, added(r, endpoint_of("a", "k", 1, SCHEME_HTTPS, "x.test"), 0), REGISTRY_HOLD, 0);
    registry_configure(r, 10, NULL);
    assert_int_equal(add(r, endpoint_of("b", "l", 2, SCHEME_HTTPS, "x.test"), 9), E_HOST_TAKEN);
    assert_int_equal(add(r, endpoint_of("b", "l", 2, SCHEME_HTTPS, "x.test"), 10), E_OK);
    registry_free(r);
}

static void registry_remove_with_hold_lets_the_oldest_go_at_the_limit(void **state)
{
    struct registry *r = registry_with(NULL, 1);
    char host[32];

    (void)state;
    for (unsigned i = 0; i < REGISTRY_HELD_MAX + 1; i++) {
        (void)snprintf(host, sizeof(host), "n%u.test", i);
        drop(r, added(r, endpoint_of("a", "k", 1, SCHEME_HTTPS, host), 0), REGISTRY_HOLD, i / 2);
        if (i == REGISTRY_HELD_MAX - 1)
            assert_int_equal(add(r, endpoint_of("b", "l", 2, SCHEME_HTTPS, "n0.test"), 1),
                             E_HOST_TAKEN);
    }
    assert_int_equal(add(r, endpoint_of("b", "l", 2, SCHEME_HTTPS, "n0.test"), 1), E_OK);
    assert_int_equal(add(r, endpoint_of("b", "l", 2, SCHEME_HTTPS, "n1.test"), 1), E_HOST_TAKEN);
    registry_free(r);
}

static void registry_remove_with_hold_lets_nobody_push_out_others(void **state)
{
    struct registry *r = registry_with(NULL, 1);
    char host[32];

    (void)state;
    drop(r, added(r, endpoint_of("a", "k", 1, SCHEME_HTTPS, "a.test"), 0), REGISTRY_HOLD, 0);
    for (unsigned i = 0; i < REGISTRY_HELD_MAX; i++) {
        (void)snprintf(host, sizeof(host), "n%u.test", i);
        drop(r, added(r, endpoint_of("b", "l", 2, SCHEME_HTTPS, host), 0), REGISTRY_HOLD, 0);
    }
    assert_int_equal(add(r, endpoint_of("c", "m", 3, SCHEME_HTTPS, "a.test"), 1), E_HOST_TAKEN);
    assert_int_equal(add(r, endpoint_of("c", "m", 3, SCHEME_HTTPS, "n1.test"), 1), E_HOST_TAKEN);
    assert_int_equal(add(r, endpoint_of("c", "m", 3, SCHEME_HTTPS, "n0.test"), 1), E_OK);
    /* Who holds nothing else than what is new takes the oldest of all. */
    drop(r, added(r, endpoint_of("c", "m", 3, SCHEME_HTTPS, "c.test"), 1), REGISTRY_HOLD, 1);
    drop(r, added(r, endpoint_of("b", "l", 2, SCHEME_HTTPS, "more.test"), 1), REGISTRY_HOLD, 1);
    assert_int_equal(add(r, endpoint_of("d", "n", 4, SCHEME_HTTPS, "c.test"), 1), E_HOST_TAKEN);
    registry_free(r);
}

/* ---- names that overlap ------------------------------------------------------------------ */

static const struct {
    const char *there; /* of account "a" */
    const char *account;
    const char *asked;
    enum err_code code;
} overlaps[] = {
    { "*.w.test", "b", "x.w.test", E_HOST_TAKEN },
    { "*.w.test", "b", "x.y.w.test", E_HOST_TAKEN },
    { "*.w.test", "b", "*.y.w.test", E_HOST_TAKEN },
    { "*.w.test", "b", "*.w.test", E_HOST_TAKEN },
    { "x.w.test", "b", "*.w.test", E_WILDCARD_NOT_RESERVED },
    { "x.y.w.test", "b", "*.w.test", E_WILDCARD_NOT_RESERVED },
    { "*.y.w.test", "b", "*.w.test", E_WILDCARD_NOT_RESERVED },
    { "*.w.test", "b", "w.test", E_OK },
    { "*.w.test", "b", "xw.test", E_OK },
    { "w.test", "b", "*.w.test", E_OK },
    { "w.test", "b", "x.w.test", E_OK },
    { "x.w.test", "b", "y.w.test", E_OK },
    { "*.w.test", "a", "x.w.test", E_OK },
    { "x.w.test", "a", "*.w.test", E_OK },
};

static void registry_add_names_that_overlap_others_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(overlaps) / sizeof(overlaps[0]); i++) {
        struct registry *r = registry_with(NULL, 1);
        struct endpoint *there;
        enum err_code online;
        enum err_code held;

        (void)added(r, endpoint_of("a", "k", 1, SCHEME_HTTPS, overlaps[i].there), 0);
        /* Whatever scheme, and also while the name is only held; then it is free. */
        online =
            add(r, endpoint_of(overlaps[i].account, "l", 2, SCHEME_HTTP, overlaps[i].asked), 0);
        registry_free(r);
        r = registry_with(NULL, 1);
        there = added(r, endpoint_of("a", "k", 1, SCHEME_HTTPS, overlaps[i].there), 0);
        drop(r, there, REGISTRY_HOLD, 0);
        held = add(r, endpoint_of(overlaps[i].account, "l", 2, SCHEME_TLS, overlaps[i].asked), 1);
        if (online != overlaps[i].code || held != overlaps[i].code)
            print_error("%s, %s of %s: %d, %d\n", overlaps[i].there, overlaps[i].asked,
                        overlaps[i].account, (int)online, (int)held);
        assert_int_equal(online, overlaps[i].code);
        assert_int_equal(held, overlaps[i].code);
        if (held != E_OK)
            assert_int_equal(
                add(r, endpoint_of("b", "l", 2, SCHEME_TLS, overlaps[i].asked), HOLD_MS), E_OK);
        registry_free(r);
    }
}

static void registry_add_reserved_name_below_a_wildcard_of_others(void **state)
{
    const struct domains domains = { .reserved = "x.w.test" };
    struct registry *r = registry_with(&domains, 1);

    (void)state;
    (void)added(r, endpoint_of("a", "k", 1, SCHEME_HTTPS, "*.w.test"), 0);
    assert_int_equal(add(r, endpoint_of("b", "l", 2, SCHEME_HTTPS, "x.w.test"), 0), E_OK);
    assert_int_equal(add(r, endpoint_of("b", "l", 2, SCHEME_HTTPS, "y.w.test"), 0), E_HOST_TAKEN);
    registry_free(r);
}

/* ---- random names ---------------------------------------------------------------------- */

static struct endpoint *random_of(const char *account, const char *key, uint64_t session,
                                  uint32_t forward, enum scheme scheme)
{
    struct endpoint *ep = endpoint_of(account, key, session, scheme, "");

    ep->agent.forward = forward;
    return ep;
}

static void registry_add_empty_host_gets_a_name_below_the_base_domain(void **state)
{
    struct registry *r = registry_with(NULL, 1);
    struct endpoint *ep = added(r, random_of("a", "k", 1, 0, SCHEME_HTTPS), 0);

    (void)state;
    assert_int_equal(strspn(ep->url.host, "0123456789abcdef"), REGISTRY_RANDOM_HEX);
    assert_string_equal(ep->url.host + REGISTRY_RANDOM_HEX, ".example.com");
    registry_free(r);
}

static void registry_add_random_name_depends_on_secret_account_and_key(void **state)
{
    static const struct {
        const char *account;
        const char *key;
        uint8_t secret;
        bool same;
    } cases[] = {
        { "a", "k", 1, true }, /* as after a restart of the gateway */
        { "a", "k", 2, false },
        { "b", "k", 1, false },
        { "a", "l", 1, false },
    };
    struct registry *first = registry_with(NULL, 1);
    struct endpoint *ep = added(first, random_of("a", "k", 1, 0, SCHEME_HTTPS), 0);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct registry *r = registry_with(NULL, cases[i].secret);
        struct endpoint *other =
            added(r, random_of(cases[i].account, cases[i].key, 7, 3, SCHEME_HTTPS), 0);

        assert_int_equal(strcmp(other->url.host, ep->url.host) == 0, cases[i].same);
        registry_free(r);
    }
    registry_free(first);
}

static void registry_add_random_name_comes_back_after_a_drop(void **state)
{
    struct registry *r = registry_with(NULL, 1);
    struct endpoint *ep = added(r, random_of("a", "k", 1, 0, SCHEME_HTTPS), 0);
    char host[HOST_MAX_BYTES + 1];

    (void)state;
    memcpy(host, ep->url.host, sizeof(host));
    drop(r, ep, REGISTRY_HOLD, 0);
    ep = added(r, random_of("a", "k", 2, 0, SCHEME_HTTPS), 5);
    assert_string_equal(ep->url.host, host);
    registry_free(r);
}

static void registry_add_random_name_in_use_is_passed_over(void **state)
{
    struct registry *r = registry_with(NULL, 1);
    struct endpoint *first = added(r, random_of("a", "k", 1, 0, SCHEME_HTTPS), 0);
    struct endpoint *second = added(r, random_of("a", "k", 1, 1, SCHEME_HTTPS), 0);
    struct endpoint *third = added(r, random_of("a", "k", 2, 0, SCHEME_HTTP), 0);

    (void)state;
    assert_string_not_equal(first->url.host, second->url.host);
    assert_string_not_equal(first->url.host, third->url.host);
    assert_string_not_equal(second->url.host, third->url.host);
    registry_free(r);
}

static void registry_add_random_name_held_by_others_is_passed_over(void **state)
{
    static const char *const holders[][2] = { { "a", "other key" }, { "b", "k" } };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct registry *r = registry_with(NULL, 1);
        struct endpoint *ep = added(r, random_of("a", "k", 1, 0, SCHEME_HTTPS), 0);
        char host[HOST_MAX_BYTES + 1];

        memcpy(host, ep->url.host, sizeof(host));
        drop(r, ep, REGISTRY_LET_GO, 0);
        ep = added(r, endpoint_of(holders[i][0], holders[i][1], 2, SCHEME_HTTPS, host), 0);
        drop(r, ep, REGISTRY_HOLD, 0);
        ep = added(r, random_of("a", "k", 3, 0, SCHEME_HTTPS), 0);
        assert_string_not_equal(ep->url.host, host);
        registry_free(r);
    }
}

static void registry_add_schemes_of_one_forward_share_a_random_name(void **state)
{
    struct registry *r = registry_with(NULL, 1);
    struct endpoint *https0 = added(r, random_of("a", "k", 1, 0, SCHEME_HTTPS), 0);
    struct endpoint *https1 = added(r, random_of("a", "k", 1, 1, SCHEME_HTTPS), 0);
    struct endpoint *http1 = added(r, random_of("a", "k", 1, 1, SCHEME_HTTP), 0);
    struct endpoint *http0 = added(r, random_of("a", "k", 1, 0, SCHEME_HTTP), 0);

    (void)state;
    assert_string_equal(http0->url.host, https0->url.host);
    assert_string_equal(http1->url.host, https1->url.host);
    assert_string_not_equal(http0->url.host, http1->url.host);
    registry_free(r);
}

static void registry_add_random_name_needs_no_reservation(void **state)
{
    struct domains domains = { .code = E_HOST_NOT_RESERVED };
    struct registry *r = registry_with(&domains, 1);
    struct endpoint *ep = added(r, random_of("a", "k", 1, 0, SCHEME_HTTPS), 0);

    (void)state;
    memcpy(domains.host, ep->url.host, sizeof(domains.host));
    drop(r, ep, REGISTRY_LET_GO, 0);
    (void)added(r, random_of("a", "k", 1, 0, SCHEME_HTTPS), 0);
    registry_free(r);
}

static void registry_add_random_names_of_many_forwards_all_differ(void **state)
{
    enum { FORWARDS = 300 };
    struct registry *r = registry_with(NULL, 1);

    (void)state;
    for (uint32_t i = 0; i < FORWARDS; i++)
        (void)added(r, random_of("a", "k", 1, i, SCHEME_HTTPS), 0);
    assert_int_equal(registry_count(r), FORWARDS); /* two of one name would have collided */
    registry_free(r);
}

static void registry_add_random_name_without_room_is_refused(void **state)
{
    static char base[HOST_MAX_BYTES + 1];
    struct registry_params params = { .hold_ms = HOLD_MS };

    (void)state;
    memset(base, 'x', sizeof(base));
    params.base_domain = str_of(base, HOST_MAX_BYTES - REGISTRY_RANDOM_HEX - 1);
    for (int too_long = 0; too_long < 2; too_long++) {
        struct registry *r;

        params.base_domain.n += (size_t)too_long;
        r = registry_new(&params);
        assert_int_equal(add(r, random_of("a", "k", 1, 0, SCHEME_HTTPS), 0),
                         too_long ? E_HOST_LENGTH : E_OK);
        registry_free(r);
    }
}

/* ---- internal and TCP ------------------------------------------------------------------ */

static struct endpoint *internal_of(const char *account, const char *key, const char *host)
{
    struct endpoint *ep = endpoint_of(account, key, 1, SCHEME_HTTPS, host);

    ep->url.binding = BINDING_INTERNAL;
    return ep;
}

static void registry_add_internal_names_belong_to_each_account(void **state)
{
    struct registry *r = registry_with(NULL, 1);
    struct endpoint *a = added(r, internal_of("a", "k", "x.internal"), 0);
    struct endpoint *b = added(r, internal_of("b", "l", "x.internal"), 0);

    (void)state;
    assert_int_equal(add(r, internal_of("a", "k", "x.internal"), 0), E_ENDPOINT_ONLINE);
    assert_int_equal(add(r, internal_of("a", "k", ""), 0), E_INTERNAL_NO_HOST);
    assert_null(registry_find(r, &a->url));
    drop(r, a, REGISTRY_HOLD, 0);
    drop(r, b, REGISTRY_LET_GO, 0);
    assert_int_equal(registry_count(r), 0);
    registry_free(r);
}

static struct endpoint *tcp_of(const char *account, uint16_t port)
{
    struct endpoint *ep = endpoint_of(account, account, 1, SCHEME_TCP, "tcp.test");

    ep->url.port = port;
    return ep;
}

static void registry_add_tcp_ports_of_one_host_belong_to_each_account(void **state)
{
    struct registry *r = registry_with(NULL, 1);

    (void)state;
    (void)added(r, tcp_of("a", 20000), 0);
    (void)added(r, tcp_of("b", 20001), 0);
    assert_int_equal(add(r, tcp_of("b", 20000), 0), E_TCP_TAKEN);
    assert_int_equal(add(r, tcp_of("b", 0), 0), E_TCP_NOT_RESERVED);
    assert_int_equal(ports_open, 2);
    registry_free(r);
    assert_int_equal(ports_open, 0);
}

static void registry_add_tcp_address_that_is_not_offered_is_refused(void **state)
{
    struct registry_params none = { .base_domain = STR("example.com"),
                                    .tcp = { .host = STR("x") } };
    struct registry *r = registry_with(NULL, 1);
    struct endpoint *elsewhere = tcp_of("a", FIXED_FIRST);

    (void)state;
    (void)snprintf(elsewhere->url.host, sizeof(elsewhere->url.host), "other.test");
    assert_int_equal(add(r, elsewhere, 0), E_TCP_NOT_RESERVED);
    assert_int_equal(add(r, tcp_of("a", FIXED_FIRST - 1), 0), E_TCP_NOT_RESERVED);
    assert_int_equal(add(r, tcp_of("a", FIXED_LAST + 1), 0), E_TCP_NOT_RESERVED);
    assert_int_equal(add(r, tcp_of("a", RANDOM_FIRST), 0), E_TCP_NOT_RESERVED);
    registry_free(r);
    r = registry_new(&none);
    assert_int_equal(add(r, tcp_of("a", FIXED_FIRST), 0), E_TCP_NOT_RESERVED);
    assert_int_equal(add(r, endpoint_of("a", "k", 1, SCHEME_TCP, ""), 0), E_TCP_NOT_RESERVED);
    registry_free(r);
    assert_int_equal(ports_open, 0);
}

static void registry_add_busy_port_is_refused(void **state)
{
    struct registry *r = registry_with(NULL, 1);

    (void)state;
    busy[0] = FIXED_FIRST;
    assert_int_equal(add(r, tcp_of("a", FIXED_FIRST), 0), E_TCP_OCCUPIED);
    assert_int_equal(registry_count(r), 0);
    busy[0] = 0;
    (void)added(r, tcp_of("a", FIXED_FIRST), 0);
    registry_free(r);
}

static struct endpoint *random_tcp(const char *key, uint64_t session)
{
    struct endpoint *ep = endpoint_of("a", key, session, SCHEME_TCP, "");

    ep->url.port = 0;
    return ep;
}

static void registry_add_random_port_is_stable_and_passes_over_busy_ones(void **state)
{
    struct registry *r = registry_with(NULL, 1);
    struct endpoint *ep = added(r, random_tcp("k", 1), 0);
    uint16_t first = ep->url.port;

    (void)state;
    assert_in_range(first, RANDOM_FIRST, RANDOM_LAST);
    assert_string_equal(ep->url.host, "tcp.test");
    assert_int_equal(ep->port->number, first);
    port_close(ep->port);
    drop(r, ep, REGISTRY_HOLD, 0);
    ep = added(r, random_tcp("k", 2), 1);
    assert_int_equal(ep->url.port, first);
    port_close(ep->port);
    drop(r, ep, REGISTRY_LET_GO, 2);
    busy[0] = first;
    ep = added(r, random_tcp("k", 3), 3);
    assert_int_not_equal(ep->url.port, first);
    busy[0] = 0;
    registry_free(r);
    assert_int_equal(ports_open, 0);
}

static void registry_add_random_ports_run_out(void **state)
{
    struct registry *r = registry_with(NULL, 1);
    struct endpoint *ep = random_tcp("k", 9);

    (void)state;
    for (uint64_t i = RANDOM_FIRST; i <= RANDOM_LAST; i++)
        (void)added(r, random_tcp("k", i), 0);
    endpoint_ref(ep);
    assert_int_equal(add(r, ep, 0), E_LIMIT);
    assert_string_equal(ep->url.host, "");
    assert_int_equal(ep->url.port, 0);
    endpoint_unref(ep);
    registry_free(r);
    assert_int_equal(ports_open, 0);
}

static void registry_add_takeover_keeps_the_port_open(void **state)
{
    struct registry *r = registry_with(NULL, 1);
    struct endpoint *old = added(r, tcp_of("a", FIXED_FIRST), 0);
    struct endpoint *new = tcp_of("a", FIXED_FIRST);
    struct endpoint *displaced;
    struct err e;

    (void)state;
    new->agent.session = 2;
    assert_int_equal(registry_add(r, new, 0, &displaced, &e), 0);
    assert_ptr_equal(displaced, old);
    assert_ptr_equal(new->port, old->port);
    assert_int_equal(ports_open, 1);
    endpoint_unref(displaced);
    endpoint_unref(new);
    registry_free(r);
    assert_int_equal(ports_open, 0);
}

/* ---- pools ----------------------------------------------------------------------------- */

enum pooling { ALONE, POOLS };

static struct endpoint *pooling_of(const char *account, const char *key, uint64_t session,
                                   enum scheme scheme, enum pooling pooling)
{
    struct endpoint *ep = endpoint_of(account, key, session, scheme, "x.test");

    ep->pooling = pooling == POOLS;
    return ep;
}

/* Spec endpoints 4.3, creation conflicts, and what a newer session of the key that is online gets. */
static void registry_add_to_what_is_online_pools_or_conflicts(void **state)
{
    enum outcome { JOINS, DISPLACES, ONLINE, TAKEN };
    static const struct {
        enum pooling there;
        const char *account;
        const char *key;
        uint64_t session;
        enum scheme scheme;
        enum pooling pooling;
        enum outcome outcome;
    } cases[] = {
        { POOLS, "a", "l", 9, SCHEME_HTTPS, POOLS, JOINS },
        { POOLS, "a", "l", 4, SCHEME_HTTPS, POOLS, JOINS },
        { POOLS, "a", "k", 9, SCHEME_HTTPS, POOLS, JOINS },
        { POOLS, "a", "k", 5, SCHEME_HTTPS, POOLS, JOINS }, /* two forwards of one session */
        { POOLS, "a", "l", 9, SCHEME_HTTPS, ALONE, ONLINE },
        { POOLS, "a", "k", 9, SCHEME_HTTPS, ALONE, ONLINE },
        { POOLS, "a", "k", 9, SCHEME_TLS, POOLS, ONLINE },
        { POOLS, "a", "l", 9, SCHEME_TLS, POOLS, ONLINE },
        { POOLS, "b", "l", 9, SCHEME_HTTPS, POOLS, TAKEN },
        { POOLS, "b", "l", 9, SCHEME_HTTP, POOLS, TAKEN },
        { ALONE, "a", "l", 9, SCHEME_HTTPS, POOLS, ONLINE },
        { ALONE, "a", "l", 9, SCHEME_HTTPS, ALONE, ONLINE },
        { ALONE, "a", "k", 5, SCHEME_HTTPS, POOLS, ONLINE },
        { ALONE, "a", "k", 9, SCHEME_HTTPS, POOLS, DISPLACES },
        { ALONE, "a", "k", 9, SCHEME_TLS, POOLS, DISPLACES },
        { ALONE, "a", "k", 9, SCHEME_HTTPS, ALONE, DISPLACES },
        { ALONE, "b", "k", 9, SCHEME_HTTPS, POOLS, TAKEN },
    };
    static const enum err_code codes[] = { E_OK, E_OK, E_ENDPOINT_ONLINE, E_HOST_TAKEN };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct registry *r = registry_with(NULL, 1);
        struct endpoint *there = added(r, pooling_of("a", "k", 5, SCHEME_HTTPS, cases[i].there), 0);
        struct endpoint *ep = pooling_of(cases[i].account, cases[i].key, cases[i].session,
                                         cases[i].scheme, cases[i].pooling);
        struct endpoint *displaced;
        struct err e = { .code = E_OK };

        (void)registry_add(r, ep, 0, &displaced, &e);
        assert_int_equal(e.code, codes[cases[i].outcome]);
        assert_ptr_equal(displaced, cases[i].outcome == DISPLACES ? there : NULL);
        assert_int_equal(registry_count(r), cases[i].outcome == JOINS ? 2 : 1);
        if (cases[i].outcome != DISPLACES)
            assert_true(pool_has(registry_pool(r, there), there));
        if (codes[cases[i].outcome] == E_OK)
            assert_true(pool_has(registry_pool(r, ep), ep));
        endpoint_unref(displaced);
        endpoint_unref(ep);
        registry_free(r);
    }
}

static void registry_pool_is_its_accounts_while_a_member_is_left(void **state)
{
    struct registry *r = registry_with(NULL, 1);
    struct endpoint *first = added(r, pooling_of("a", "k", 1, SCHEME_HTTPS, POOLS), 0);
    struct endpoint *second = added(r, pooling_of("a", "l", 2, SCHEME_HTTPS, POOLS), 0);

    (void)state;
    drop(r, first, REGISTRY_LET_GO, 0);
    assert_int_equal(registry_pool(r, second)->count, 1);
    assert_int_equal(add(r, pooling_of("b", "m", 3, SCHEME_HTTPS, POOLS), 10 * HOLD_MS),
                     E_HOST_TAKEN);
    /* The last one is still of a pool: others join, and nobody takes it over. */
    assert_int_equal(add(r, pooling_of("a", "l", 4, SCHEME_HTTPS, ALONE), 0), E_ENDPOINT_ONLINE);
    first = added(r, pooling_of("a", "k", 5, SCHEME_HTTPS, POOLS), 0);
    assert_int_equal(registry_pool(r, first)->count, 2);
    drop(r, second, REGISTRY_LET_GO, 0);
    drop(r, first, REGISTRY_HOLD, 0);
    assert_int_equal(add(r, pooling_of("b", "m", 6, SCHEME_HTTPS, POOLS), HOLD_MS - 1),
                     E_HOST_TAKEN);
    assert_int_equal(add(r, pooling_of("b", "m", 7, SCHEME_HTTPS, POOLS), HOLD_MS), E_OK);
    registry_free(r);
}

static void registry_remove_of_a_member_twice_takes_no_other(void **state)
{
    struct registry *r = registry_with(NULL, 1);
    struct endpoint *first = added(r, pooling_of("a", "k", 1, SCHEME_HTTPS, POOLS), 0);
    struct endpoint *second = added(r, pooling_of("a", "k", 2, SCHEME_HTTPS, POOLS), 0);

    (void)state;
    endpoint_ref(first);
    drop(r, first, REGISTRY_HOLD, 0);
    assert_null(registry_remove(r, first, REGISTRY_HOLD, 0));
    assert_true(pool_has(registry_pool(r, second), second));
    endpoint_unref(first);
    registry_free(r);
}

/* A version of a cloud endpoint. */
static struct endpoint *cloud_of(const char *id, bool pooling)
{
    struct endpoint *ep = endpoint_of("a", "", 0, SCHEME_HTTPS, "cloud.example.com");

    ep->agent = (struct agent){ 0 };
    (void)snprintf(ep->id, sizeof(ep->id), "%s", id);
    ep->pooling = pooling;
    return ep;
}

static void registry_add_follows_versions_of_a_cloud_endpoint(void **state)
{
    static const struct {
        bool pools[2]; /* the first version, and the second */
        bool others;   /* another endpoint is in the pool */
        enum err_code code;
    } cases[] = {
        { { false, false }, false, E_OK }, { { false, true }, false, E_OK },
        { { true, false }, false, E_OK },  { { true, true }, false, E_OK },
        { { true, true }, true, E_OK },    { { true, false }, true, E_ENDPOINT_ONLINE },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct registry *r = registry_with(NULL, 1);
        struct endpoint *first = cloud_of("ep_1", cases[i].pools[0]);
        struct endpoint *second = cloud_of("ep_1", cases[i].pools[1]);
        struct endpoint *other = cloud_of("ep_2", true);
        struct endpoint *displaced;
        struct err e = { .code = E_OK };

        assert_int_equal(registry_add(r, first, 0, &displaced, &e), 0);
        if (cases[i].others)
            assert_int_equal(registry_add(r, other, 0, &displaced, &e), 0);
        assert_null(displaced);
        (void)registry_add(r, second, 0, &displaced, &e);
        assert_int_equal(e.code, cases[i].code);
        assert_ptr_equal(displaced, cases[i].code == E_OK ? first : NULL);
        assert_int_equal(registry_count(r), cases[i].others ? 2 : 1);
        assert_true(pool_has(registry_pool(r, first), cases[i].code == E_OK ? second : first));
        endpoint_unref(displaced);
        endpoint_unref(first);
        endpoint_unref(second);
        endpoint_unref(other);
        registry_free(r);
    }
}

static struct endpoint *internal_pooling(const char *account, uint64_t session)
{
    struct endpoint *ep = internal_of(account, account, "x.internal");

    ep->agent.session = session;
    ep->pooling = true;
    return ep;
}

static void registry_internal_pools_are_each_accounts(void **state)
{
    struct registry *r = registry_with(NULL, 1);
    struct endpoint *a = added(r, internal_pooling("a", 1), 0);
    struct endpoint *b = added(r, internal_pooling("b", 2), 0);

    (void)state;
    assert_int_equal(add(r, internal_pooling("a", 3), 0), E_OK);
    assert_int_equal(registry_pool(r, a)->count, 2);
    assert_int_equal(registry_pool(r, b)->count, 1);
    assert_int_equal(add(r, internal_of("a", "a", "x.internal"), 0), E_ENDPOINT_ONLINE);
    registry_free(r);
}

static void registry_add_members_share_one_port(void **state)
{
    struct registry *r = registry_with(NULL, 1);
    struct endpoint *members[3];
    struct endpoint *other = tcp_of("a", FIXED_FIRST);

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        members[i] = tcp_of("a", FIXED_FIRST);
        members[i]->agent.session = i + 1;
        members[i]->pooling = true;
        assert_int_equal(add(r, members[i], 0), E_OK);
        assert_ptr_equal(members[i]->port, members[0]->port);
    }
    assert_int_equal(ports_open, 1);
    assert_int_equal(add(r, other, 0), E_ENDPOINT_ONLINE);
    drop(r, members[0], REGISTRY_LET_GO, 0);
    assert_int_equal(registry_pool(r, members[1])->count, 2);
    registry_free(r);
    assert_int_equal(ports_open, 0);
}

static void registry_take_empties_the_registry(void **state)
{
    struct registry *r = registry_with(NULL, 1);
    struct endpoint *ep;

    (void)state;
    (void)added(r, endpoint_of("a", "k", 1, SCHEME_HTTPS, "x.test"), 0);
    (void)added(r, internal_of("a", "k", "x.internal"), 0);
    for (size_t left = 2; left > 0; left--) {
        assert_int_equal(registry_count(r), left);
        ep = registry_take(r);
        assert_non_null(ep);
        endpoint_unref(ep);
    }
    assert_null(registry_take(r));
    registry_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registry_add_free_host_is_found_by_its_scheme),
        cmocka_unit_test(registry_add_conflicts_are_refused),
        cmocka_unit_test(registry_add_refused_leaves_endpoint_unchanged),
        cmocka_unit_test(registry_add_newer_session_takes_over),
        cmocka_unit_test(registry_add_newer_session_takes_over_another_scheme),
        cmocka_unit_test(registry_remove_with_hold_blocks_other_accounts_until_it_ends),
        cmocka_unit_test(registry_add_held_name_is_free_for_its_own_account),
        cmocka_unit_test(registry_remove_one_port_keeps_the_name),
        cmocka_unit_test(registry_expire_forgets_ended_holds_only),
        cmocka_unit_test(registry_configure_changes_holds_that_run),
        cmocka_unit_test(registry_remove_with_hold_lets_the_oldest_go_at_the_limit),
        cmocka_unit_test(registry_remove_with_hold_lets_nobody_push_out_others),
        cmocka_unit_test(registry_add_names_that_overlap_others_are_refused),
        cmocka_unit_test(registry_add_reserved_name_below_a_wildcard_of_others),
        cmocka_unit_test(registry_add_empty_host_gets_a_name_below_the_base_domain),
        cmocka_unit_test(registry_add_random_name_depends_on_secret_account_and_key),
        cmocka_unit_test(registry_add_random_name_comes_back_after_a_drop),
        cmocka_unit_test(registry_add_random_name_in_use_is_passed_over),
        cmocka_unit_test(registry_add_random_name_held_by_others_is_passed_over),
        cmocka_unit_test(registry_add_schemes_of_one_forward_share_a_random_name),
        cmocka_unit_test(registry_add_random_name_needs_no_reservation),
        cmocka_unit_test(registry_add_random_names_of_many_forwards_all_differ),
        cmocka_unit_test(registry_add_random_name_without_room_is_refused),
        cmocka_unit_test(registry_add_internal_names_belong_to_each_account),
        cmocka_unit_test(registry_add_tcp_ports_of_one_host_belong_to_each_account),
        cmocka_unit_test(registry_add_tcp_address_that_is_not_offered_is_refused),
        cmocka_unit_test(registry_add_busy_port_is_refused),
        cmocka_unit_test(registry_add_random_port_is_stable_and_passes_over_busy_ones),
        cmocka_unit_test(registry_add_random_ports_run_out),
        cmocka_unit_test(registry_add_takeover_keeps_the_port_open),
        cmocka_unit_test(registry_add_to_what_is_online_pools_or_conflicts),
        cmocka_unit_test(registry_pool_is_its_accounts_while_a_member_is_left),
        cmocka_unit_test(registry_remove_of_a_member_twice_takes_no_other),
        cmocka_unit_test(registry_add_follows_versions_of_a_cloud_endpoint),
        cmocka_unit_test(registry_internal_pools_are_each_accounts),
        cmocka_unit_test(registry_add_members_share_one_port),
        cmocka_unit_test(registry_take_empties_the_registry),
    };

    return cmocka_run_group_tests_name("tunnel/registry", tests, NULL, NULL);
}
