/* Unit tests of tunnel/names, with the real control thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tunnel/control.h"
#include "tunnel/domains.h"
#include "tunnel/endpoint.h"
#include "tunnel/names.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { HOLD_MS = 60000 };

static struct worker *worker;
static struct routes *routes;
static struct control *control;
static struct names *names;
static struct endpoint *bobs_site;
static struct endpoint *bobs_port;
static struct err e;

/* Nobody's port: it is only counted as open. */
struct port {
    uint16_t number;
};

static struct port *open_port(void *ctx, uint16_t number, struct err *err)
{
    struct port *p = mem_zalloc(sizeof(*p));

    (void)ctx;
    (void)err;
    p->number = number;
    return p;
}

static void ignore_port(struct port *p, struct worker *w)
{
    (void)p;
    (void)w;
}

static void close_port(struct port *p)
{
    mem_free(p);
}

/* A cloud endpoint that is online before anything runs; borrowed. */
static struct endpoint *put_endpoint(const char *account, enum scheme scheme, const char *host,
                                     uint16_t port)
{
    struct endpoint *ep = endpoint_new();

    (void)snprintf(ep->id, sizeof(ep->id), "ep_%s%u", host, (unsigned)port);
    endpoint_set(&ep->account, str_from(account));
    ep->url = (struct url){ .scheme = scheme, .binding = BINDING_PUBLIC, .port = port };
    (void)snprintf(ep->url.host, sizeof(ep->url.host), "%s", host);
    assert_int_equal(control_preload(control, ep, &e), 0);
    endpoint_unref(ep);
    return ep;
}

static struct domains *given(const char *name, const char *account)
{
    struct domains *d = domains_new(STR("base.test"), true);

    assert_int_equal(domains_add(d, str_from(name), str_from(account), &e), 0);
    return d;
}

static int set_up(void **state)
{
    static const struct port_ops ops = {
        .open = open_port,
        .serve = ignore_port,
        .stop = ignore_port,
        .close = close_port,
    };
    const struct registry_range fixed = { 20000, 20002 };
    struct control_params params = {
        .registry = { .base_domain = STR("base.test"),
                      .tcp = { .host = STR("tcp.test"), .fixed = fixed, .source = { .ops = &ops } },
                      .hold_ms = HOLD_MS },
        .workers = &worker,
        .routes = &routes,
        .worker_count = 1,
    };

    (void)state;
    worker = worker_new("worker", 0);
    routes = routes_new();
    names = names_new(given("given.com", "carol"), STR("tcp.test"), fixed);
    assert_int_equal(names_add(names, STR("old.com"), STR("alice"), &e), 0);
    assert_int_equal(names_add(names, STR("given.com"), STR("alice"), &e), -1);
    params.domains = names_domains(names);
    control = control_new(&params);
    names_start(names, control);
    bobs_site = put_endpoint("bob", SCHEME_HTTPS, "www.bob.com", 443);
    bobs_port = put_endpoint("bob", SCHEME_TCP, "tcp.test", 20001);
    (void)put_endpoint("alice", SCHEME_HTTPS, "a.wild.com", 443);
    (void)put_endpoint("alice", SCHEME_TCP, "tcp.test", 20002);
    worker_start(worker);
    control_start(control);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    names_stop(names);
    control_stop(control);
    worker_stop(worker);
    worker_join(worker);
    control_free(control);
    worker_free(worker);
    routes_free(routes);
    names_free(names);
    return 0;
}

static enum api_name_answer reserve(const char *name, const char *account)
{
    return names_reserve(names, str_from(name), str_from(account), &e);
}

static enum api_name_answer release(const char *name, const char *account)
{
    return names_release(names, str_from(name), str_from(account), &e);
}

/* What control would now say of a name. */
static enum err_code claim(const char *host, const char *account)
{
    struct domains *d = names_domains(names);
    struct url url = { .scheme = SCHEME_HTTPS, .binding = BINDING_PUBLIC, .port = 443 };
    enum err_code code;

    (void)snprintf(url.host, sizeof(url.host), "%s", host);
    code = domains_check(d, &url, str_from(account), &e) == 0 ? E_OK : e.code;
    domains_free(d);
    return code;
}

static void reserve_table(void **state)
{
    /* In order: a row sees what the rows before it reserved. */
    static const struct {
        const char *name;
        const char *account;
        enum api_name_answer answer;
    } rows[] = {
        { "new.com", "alice", API_NAME_OK },
        { "new.com", "alice", API_NAME_OWN },
        { "new.com", "bob", API_NAME_OTHER },
        { "x.new.com", "bob", API_NAME_OTHER },
        { "*.new.com", "bob", API_NAME_OTHER },
        { "*.new.com", "alice", API_NAME_OK },
        { "x.deep.com", "bob", API_NAME_OK },
        { "*.deep.com", "alice", API_NAME_COVERS },
        { "deep.com", "alice", API_NAME_OTHER },
        { "given.com", "alice", API_NAME_OTHER },
        { "given.com", "carol", API_NAME_OWN },
        { "old.com", "bob", API_NAME_OTHER },
        { "www.bob.com", "alice", API_NAME_ONLINE },
        { "bob.com", "alice", API_NAME_ONLINE },
        { "*.bob.com", "alice", API_NAME_ONLINE },
        { "www.bob.com", "bob", API_NAME_OK },
        { "tcp.test:20000", "alice", API_NAME_OK },
        { "tcp.test:20000", "bob", API_NAME_OTHER },
        { "tcp.test:20001", "alice", API_NAME_ONLINE },
        { "tcp.test:20001", "bob", API_NAME_OK },
        { "x..y", "alice", API_NAME_FAILED },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        enum api_name_answer got = reserve(rows[i].name, rows[i].account);

        if (got != rows[i].answer)
            print_error("row %zu, %s: %d\n", i, rows[i].name, (int)got);
        assert_int_equal(got, rows[i].answer);
    }
}

static void reserve_of_a_held_name_is_its_account_s(void **state)
{
    (void)state;
    control_release(control, bobs_site, REGISTRY_HOLD);
    control_release(control, bobs_port, REGISTRY_HOLD);
    assert_int_equal(reserve("www.bob.com", "alice"), API_NAME_ONLINE);
    assert_int_equal(reserve("*.bob.com", "alice"), API_NAME_ONLINE);
    assert_int_equal(reserve("tcp.test:20001", "alice"), API_NAME_ONLINE);
    for (int i = 0; i < 20; i++)
        assert_int_equal(names_pick_port(names), 20000);
    assert_int_equal(reserve("www.bob.com", "bob"), API_NAME_OK);
    assert_int_equal(reserve("tcp.test:20001", "bob"), API_NAME_OK);
}

static void reserve_is_in_force_when_it_returns(void **state)
{
    (void)state;
    assert_int_equal(claim("mine.com", "bob"), E_OK);
    assert_int_equal(reserve("mine.com", "alice"), API_NAME_OK);
    assert_int_equal(claim("mine.com", "bob"), E_HOST_TAKEN);
    assert_int_equal(claim("mine.com", "alice"), E_OK);
    assert_int_equal(release("mine.com", "alice"), API_NAME_OK);
    assert_int_equal(claim("mine.com", "bob"), E_OK);
}

static void release_of_a_used_name_is_refused(void **state)
{
    (void)state;
    assert_int_equal(reserve("*.wild.com", "alice"), API_NAME_OK);
    assert_int_equal(release("*.wild.com", "alice"), API_NAME_USED);
    assert_int_equal(claim("b.wild.com", "bob"), E_HOST_TAKEN);
    assert_int_equal(reserve("a.wild.com", "alice"), API_NAME_OK);
    assert_int_equal(release("*.wild.com", "alice"), API_NAME_OK); /* another covers it */
    assert_int_equal(release("a.wild.com", "alice"), API_NAME_USED);
    assert_int_equal(reserve("tcp.test:20002", "alice"), API_NAME_OK);
    assert_int_equal(release("tcp.test:20002", "alice"), API_NAME_USED);
}

static void check_release_changes_nothing(void **state)
{
    (void)state;
    assert_int_equal(reserve("mine.com", "alice"), API_NAME_OK);
    assert_int_equal(names_check_release(names, STR("mine.com"), STR("alice"), &e), API_NAME_OK);
    assert_int_equal(claim("mine.com", "bob"), E_HOST_TAKEN);
    assert_int_equal(reserve("*.wild.com", "alice"), API_NAME_OK);
    assert_int_equal(names_check_release(names, STR("*.wild.com"), STR("alice"), &e),
                     API_NAME_USED);
    assert_int_equal(names_check_release(names, STR("none.com"), STR("alice"), &e), API_NAME_OK);
    assert_int_equal(release("mine.com", "alice"), API_NAME_OK);
    assert_int_equal(claim("mine.com", "bob"), E_OK);
}

static void configure_keeps_what_the_api_reserved(void **state)
{
    (void)state;
    assert_int_equal(reserve("mine.com", "alice"), API_NAME_OK);
    names_configure(names, given("other.com", "bob"), HOLD_MS);
    assert_int_equal(claim("mine.com", "bob"), E_HOST_TAKEN);
    assert_int_equal(claim("other.com", "alice"), E_HOST_TAKEN);
    /* The operator has let go of it, and so it is whose it is in the API. */
    assert_int_equal(claim("given.com", "carol"), E_HOST_TAKEN);
    assert_int_equal(claim("given.com", "alice"), E_OK);
    names_configure(names, given("mine.com", "bob"), HOLD_MS);
    assert_int_equal(claim("mine.com", "alice"), E_HOST_TAKEN);
    assert_int_equal(claim("mine.com", "bob"), E_OK);
    assert_int_equal(release("mine.com", "alice"), API_NAME_OK);
    assert_int_equal(claim("mine.com", "bob"), E_OK);
    names_configure(names, given("other.com", "bob"), HOLD_MS);
    assert_int_equal(claim("mine.com", "dave"), E_OK);
}

static void release_leaves_what_the_operator_reserves(void **state)
{
    (void)state;
    assert_int_equal(reserve("mine.com", "alice"), API_NAME_OK);
    names_configure(names, given("mine.com", "alice"), HOLD_MS);
    assert_int_equal(release("mine.com", "alice"), API_NAME_OK);
    assert_int_equal(claim("mine.com", "bob"), E_HOST_TAKEN);
    names_configure(names, given("other.com", "bob"), HOLD_MS);
    assert_int_equal(claim("mine.com", "bob"), E_OK);
}

static void pick_port_gives_what_nobody_has(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++)
        assert_int_equal(names_pick_port(names), 20000);
    assert_int_equal(reserve("tcp.test:20000", "bob"), API_NAME_OK);
    assert_int_equal(names_pick_port(names), 0);
}

static void stop_ends_waiting(void **state)
{
    enum api_name_answer got;

    (void)state;
    names_stop(names);
    (void)names_check_release(names, STR("given.com"), STR("alice"), &e);
    got = reserve("x.com", "alice");
    /* Control may have answered before anybody looked. */
    assert_true(got == API_NAME_FAILED || got == API_NAME_OK);
    (void)names_pick_port(names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reserve_table, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reserve_of_a_held_name_is_its_account_s, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reserve_is_in_force_when_it_returns, set_up, tear_down),
        cmocka_unit_test_setup_teardown(release_of_a_used_name_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(check_release_changes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(configure_keeps_what_the_api_reserved, set_up, tear_down),
        cmocka_unit_test_setup_teardown(release_leaves_what_the_operator_reserves, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(pick_port_gives_what_nobody_has, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stop_ends_waiting, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
