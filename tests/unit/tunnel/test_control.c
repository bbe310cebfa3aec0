/*
 * Unit tests of tunnel/control with real workers.
 * cmocka's checks work on the main thread only, so workers note what they saw in atomics.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "tunnel/acl.h"
#include "tunnel/control.h"
#include "tunnel/domains.h"

enum { WORKERS = 4, HOLD_MS = 60000 };

/* ---- a gateway without sockets --------------------------------------------------------- */

struct site {
    struct worker *workers[WORKERS];
    struct routes *routes[WORKERS];
    struct control *control;
};

static struct site *site_with(const struct registry_tcp *tcp)
{
    struct site *s = mem_zalloc(sizeof(*s));
    struct control_params params = {
        .registry = { .base_domain = STR("example.com"), .tcp = *tcp, .hold_ms = HOLD_MS },
        .workers = s->workers,
        .routes = s->routes,
        .worker_count = WORKERS
    };

    for (unsigned i = 0; i < WORKERS; i++) {
        s->workers[i] = worker_new("worker", i);
        s->routes[i] = routes_new();
    }
    s->control = control_new(&params);
    for (unsigned i = 0; i < WORKERS; i++)
        worker_start(s->workers[i]);
    control_start(s->control);
    return s;
}

static struct site *site_new(void)
{
    static const struct registry_tcp none = { .host = STR_INIT("") };

    return site_with(&none);
}

static void site_stop(struct site *s)
{
    control_stop(s->control);
    for (unsigned i = 0; i < WORKERS; i++)
        worker_stop(s->workers[i]);
    for (unsigned i = 0; i < WORKERS; i++)
        worker_join(s->workers[i]);
}

/* After site_stop(). */
static void site_free(struct site *s)
{
    control_free(s->control);
    for (unsigned i = 0; i < WORKERS; i++) {
        worker_free(s->workers[i]);
        assert_int_equal(routes_count(s->routes[i]), 0);
        routes_free(s->routes[i]);
    }
    mem_free(s);
}

static void site_end(struct site *s)
{
    site_stop(s);
    site_free(s);
}

static int64_t online(const struct site *s)
{
    const struct metrics *m = worker_metrics(control_worker(s->control));

    return metrics_sum(&m, 1, METRIC_ENDPOINTS);
}

/* ---- running something on a worker and waiting for it ---------------------------------- */

struct probe {
    struct site *site;
    const char *host;
    unsigned routed; /* workers whose table leads to `ep`, or to anything when it is NULL */
    const struct endpoint *ep;
    sem_t done;
};

static void probe_here(struct worker *w, void *arg)
{
    struct probe *p = arg;
    const struct endpoint *found =
        routes_find(p->site->routes[worker_id(w)], SCHEME_HTTPS, str_from(p->host), 443);

    if (found != NULL && (p->ep == NULL || p->ep == found))
        p->routed++;
    (void)sem_post(&p->done);
}

/* How many workers route the host to ep. */
static unsigned count_routes(struct site *s, const char *host, const struct endpoint *ep)
{
    struct probe p = { .site = s, .host = host, .ep = ep };

    (void)sem_init(&p.done, 0, 0);
    for (unsigned i = 0; i < WORKERS; i++) {
        worker_post(s->workers[i], probe_here, &p);
        (void)sem_wait(&p.done); /* one after the other: they share p.routed */
    }
    (void)sem_destroy(&p.done);
    return p.routed;
}

/* ---- claims ---------------------------------------------------------------------------- */

static atomic_int notices;

static void on_notice(const struct agent *a, enum agent_notice what)
{
    (void)a;
    if (what == AGENT_TAKEN_OVER)
        notices++;
}

static const struct agent_ops agent_ops = { .on_notice = on_notice };

static struct endpoint *endpoint_of(const char *account, const char *key, uint64_t session,
                                    const char *host)
{
    struct endpoint *ep = endpoint_new();

    endpoint_set(&ep->account, str_from(account));
    (void)snprintf(ep->key, sizeof(ep->key), "%s", key);
    ep->agent = (struct agent){ .ops = &agent_ops, .session = session };
    ep->url.scheme = SCHEME_HTTPS;
    ep->url.binding = BINDING_PUBLIC;
    ep->url.port = 443;
    (void)snprintf(ep->url.host, sizeof(ep->url.host), "%s", host);
    return ep;
}

struct answer {
    sem_t done;
    struct worker *from;
    bool on_its_worker;
    struct err err;
};

static void on_claimed(void *arg, struct endpoint *ep, const struct err *e)
{
    struct answer *a = arg;

    (void)ep;
    a->on_its_worker = worker_current() == a->from;
    a->err = *e;
    (void)sem_post(&a->done);
}

/* Claims and waits. */
static enum err_code claim_acl(struct site *s, struct endpoint *ep, const struct acl *acl)
{
    struct answer a = { .from = s->workers[1] };

    (void)sem_init(&a.done, 0, 0);
    control_claim(s->control, a.from, ep, acl, on_claimed, &a);
    (void)sem_wait(&a.done);
    (void)sem_destroy(&a.done);
    assert_true(a.on_its_worker);
    return a.err.code;
}

static enum err_code claim(struct site *s, struct endpoint *ep)
{
    return claim_acl(s, ep, NULL);
}

/* Waits until the control thread and all workers have done what was posted before. */
static void settle(struct site *s)
{
    struct endpoint *ep = endpoint_of("settle", "settle", 1, "settle.test");

    assert_int_equal(claim(s, ep), E_OK);
    control_release(s->control, ep, REGISTRY_LET_GO);
    endpoint_unref(ep);
    ep = endpoint_of("settle", "settle", 1, "settle.test");
    assert_int_equal(claim(s, ep), E_OK);
    endpoint_unref(ep);
}

/* ---- cases ----------------------------------------------------------------------------- */

static void claim_free_name_is_routed_everywhere_when_answered(void **state)
{
    struct site *s = site_new();
    struct endpoint *ep = endpoint_of("a", "k", 1, "x.test");

    (void)state;
    assert_int_equal(claim(s, ep), E_OK);
    assert_int_equal(count_routes(s, "x.test", ep), WORKERS);
    assert_int_equal(online(s), 1);
    endpoint_unref(ep);
    site_end(s);
}

static void claim_taken_name_is_refused(void **state)
{
    struct site *s = site_new();
    struct endpoint *a = endpoint_of("a", "k", 1, "x.test");
    struct endpoint *b = endpoint_of("b", "l", 2, "x.test");

    (void)state;
    assert_int_equal(claim(s, a), E_OK);
    assert_int_equal(claim(s, b), E_HOST_TAKEN);
    assert_int_equal(count_routes(s, "x.test", a), WORKERS);
    control_release(s->control, b, REGISTRY_HOLD); /* harmless */
    settle(s);
    assert_int_equal(count_routes(s, "x.test", a), WORKERS);
    endpoint_unref(a);
    endpoint_unref(b);
    site_end(s);
}

static void release_with_hold_keeps_the_name_from_others(void **state)
{
    struct site *s = site_new();
    struct endpoint *a = endpoint_of("a", "k", 1, "x.test");
    struct endpoint *b = endpoint_of("b", "l", 2, "x.test");

    (void)state;
    assert_int_equal(claim(s, a), E_OK);
    control_release(s->control, a, REGISTRY_HOLD);
    settle(s);
    assert_int_equal(count_routes(s, "x.test", NULL), 0);
    assert_int_equal(claim(s, b), E_HOST_TAKEN);

    control_configure(s->control, 0, NULL);
    assert_int_equal(claim(s, b), E_OK);
    endpoint_unref(a);
    endpoint_unref(b);
    site_end(s);
}

static void release_without_waiting_comes_after_its_claim(void **state)
{
    struct site *s = site_new();
    struct answer a = { .from = s->workers[0] };
    struct endpoint *ep = endpoint_of("a", "k", 1, "x.test");

    (void)state;
    (void)sem_init(&a.done, 0, 0);
    control_claim(s->control, a.from, ep, NULL, on_claimed, &a);
    control_release(s->control, ep, REGISTRY_LET_GO);
    (void)sem_wait(&a.done);
    assert_int_equal(a.err.code, E_OK);
    settle(s);
    assert_int_equal(count_routes(s, "x.test", NULL), 0);
    (void)sem_destroy(&a.done);
    endpoint_unref(ep);
    site_end(s);
}

/* Reservations under which only `host` is refused: it is another account's. */
static struct domains *refusing(struct str host)
{
    struct domains *d = domains_new(STR("example.com"), true);

    assert_int_equal(domains_add(d, host, STR("somebody else"), NULL), 0);
    return d;
}

static sem_t held;   /* a worker is, */
static sem_t let_go; /* until this comes */

static void hold_up(struct worker *w, void *arg)
{
    (void)w;
    (void)arg;
    (void)sem_post(&held);
    (void)sem_wait(&let_go);
    log_info("worker.let_go", LNONE);
    log_flush();
}

static void on_looked(void *arg, const struct registry *r)
{
    (void)r;
    (void)sem_post(arg);
}

/* Waits until the control thread has done what was posted before, and has said so. */
static void wait_for_control(struct site *s)
{
    sem_t looked;

    (void)sem_init(&looked, 0, 0);
    for (int i = 0; i < 2; i++) { /* lines leave a thread at the end of its turn */
        control_look(s->control, on_looked, &looked);
        (void)sem_wait(&looked);
    }
    (void)sem_destroy(&looked);
}

static void endpoint_is_said_to_be_down_when_no_worker_has_it(void **state)
{
    char text[4096] = "";
    FILE *log = tmpfile();
    struct site *s;
    struct endpoint *ep = endpoint_of("a", "k", 1, "x.test");

    (void)state;
    (void)sem_init(&held, 0, 0);
    (void)sem_init(&let_go, 0, 0);
    log_start(fileno(log), LOG_INFO, LOG_TEXT);
    s = site_new();
    assert_int_equal(claim(s, ep), E_OK);
    worker_post(s->workers[0], hold_up, NULL);
    (void)sem_wait(&held);
    control_release(s->control, ep, REGISTRY_LET_GO);
    wait_for_control(s);
    (void)sem_post(&let_go);
    settle(s);
    site_end(s);
    log_stop();
    rewind(log);
    assert_true(fread(text, 1, sizeof(text) - 1, log) > 0);
    assert_non_null(strstr(text, "worker.let_go"));
    assert_true(strstr(text, "endpoint.down") > strstr(text, "worker.let_go"));
    log_start(STDERR_FILENO, LOG_WARN, LOG_TEXT);
    log_stop();
    (void)fclose(log);
    endpoint_unref(ep);
}

static void claim_outside_the_acl_is_refused(void **state)
{
    struct acl acl;
    struct site *s = site_new();
    struct endpoint *x = endpoint_of("a", "k", 1, "x.test");
    struct endpoint *y = endpoint_of("a", "k", 1, "y.test");
    struct endpoint *random = endpoint_of("a", "k", 1, "");

    (void)state;
    acl_init(&acl);
    assert_int_equal(acl_add(&acl, STR("y.test"), NULL), 0);
    assert_int_equal(claim_acl(s, x, &acl), E_ACL_NAME);
    assert_int_equal(claim_acl(s, random, &acl), E_ACL_NAME);
    assert_string_equal(random->url.host, ""); /* as it was */
    assert_int_equal(online(s), 0);
    assert_int_equal(claim_acl(s, y, &acl), E_OK);
    assert_int_equal(claim(s, random), E_OK);
    assert_int_equal(count_routes(s, random->url.host, random), WORKERS);
    endpoint_unref(x);
    endpoint_unref(y);
    endpoint_unref(random);
    acl_fini(&acl);
    site_end(s);
}

static void configure_replaces_the_reservations(void **state)
{
    struct site *s = site_new();
    struct endpoint *x = endpoint_of("a", "k", 1, "x.test");

    (void)state;
    control_configure(s->control, HOLD_MS, refusing(STR("x.test")));
    assert_int_equal(claim(s, x), E_HOST_TAKEN);
    control_configure(s->control, HOLD_MS, refusing(STR("y.test")));
    assert_int_equal(claim(s, x), E_OK);
    endpoint_unref(x);
    site_end(s);
}

/* Looks again and again whether the name leads somewhere. */
struct watch {
    struct site *site;
    atomic_bool stop;
    atomic_uint running;
    atomic_uint gaps;
    atomic_uint looks;
};

static void watch_here(struct worker *w, void *arg)
{
    struct watch *watch = arg;

    if (routes_find(watch->site->routes[worker_id(w)], SCHEME_HTTPS, STR("x.test"), 443) == NULL)
        watch->gaps++;
    watch->looks++;
    if (watch->stop)
        watch->running--;
    else
        worker_post(w, watch_here, watch);
}

static void claim_takeover_leaves_no_gap_and_tells_the_old_session(void **state)
{
    enum { TAKEOVERS = 40 };
    struct site *s = site_new();
    struct watch watch = { .site = s, .running = WORKERS };
    struct endpoint *ep = endpoint_of("a", "k", 1, "x.test");

    (void)state;
    notices = 0;
    assert_int_equal(claim(s, ep), E_OK);
    for (unsigned i = 0; i < WORKERS; i++)
        worker_post(s->workers[i], watch_here, &watch);
    for (unsigned i = 0; i < TAKEOVERS; i++) {
        struct endpoint *next = endpoint_of("a", "k", i + 2, "x.test");

        assert_int_equal(claim(s, next), E_OK);
        control_release(s->control, ep, REGISTRY_HOLD); /* what the displaced session does */
        endpoint_unref(ep);
        ep = next;
    }
    settle(s);
    watch.stop = true;
    while (watch.running > 0)
        (void)sched_yield();
    assert_true(watch.looks >= WORKERS);
    assert_int_equal(watch.gaps, 0);
    assert_int_equal(notices, TAKEOVERS);
    assert_int_equal(count_routes(s, "x.test", ep), WORKERS);
    endpoint_unref(ep);
    site_end(s);
}

static void claim_of_pools_is_routed_and_released_one_by_one(void **state)
{
    enum { MEMBERS = 8 };
    struct site *s = site_new();
    struct endpoint *members[MEMBERS];

    (void)state;
    notices = 0;
    for (unsigned i = 0; i < MEMBERS; i++) {
        members[i] = endpoint_of("a", i % 2 == 0 ? "k" : "l", i + 1, "x.test");
        members[i]->pooling = true;
        assert_int_equal(claim(s, members[i]), E_OK);
        assert_int_equal(online(s), i + 1);
    }
    for (unsigned i = 0; i < MEMBERS - 1; i++) {
        control_release(s->control, members[i], REGISTRY_HOLD);
        assert_true(endpoint_is_withdrawn(members[i])); /* at once, on all workers */
    }
    settle(s);
    assert_int_equal(count_routes(s, "x.test", members[MEMBERS - 1]), WORKERS);
    assert_int_equal(notices, 0);
    for (unsigned i = 0; i < MEMBERS; i++)
        endpoint_unref(members[i]);
    site_end(s);
}

/* ---- the port of a pool ---- */

enum { PORT = 20000 };

struct port {
    int unused;
};

static struct port the_port;
static atomic_int port_opens;
static atomic_int port_closes;
static atomic_int port_serves;
static atomic_int port_stops;

static struct port *open_port(void *ctx, uint16_t number, struct err *e)
{
    (void)ctx;
    (void)e;
    if (number != PORT)
        return NULL;
    port_opens++;
    return &the_port;
}

static void close_port(struct port *p)
{
    (void)p;
    port_closes++;
}

static void serve_port(struct port *p, struct worker *w)
{
    (void)p;
    (void)w;
    port_serves++;
}

static void stop_port(struct port *p, struct worker *w)
{
    (void)p;
    (void)w;
    port_stops++;
}

static const struct port_ops port_ops = { open_port, serve_port, stop_port, close_port };

static struct endpoint *tcp_member(uint64_t session)
{
    struct endpoint *ep = endpoint_of("a", "k", session, "tcp.test");

    ep->url.scheme = SCHEME_TCP;
    ep->url.port = PORT;
    ep->pooling = true;
    return ep;
}

static void claim_of_a_pool_opens_its_port_once(void **state)
{
    enum { MEMBERS = 3 };
    const struct registry_tcp tcp = { .host = STR("tcp.test"),
                                      .fixed = { PORT, PORT },
                                      .source = { .ops = &port_ops } };
    struct site *s = site_with(&tcp);
    struct endpoint *members[MEMBERS];

    (void)state;
    port_opens = port_closes = port_serves = port_stops = 0;
    for (unsigned i = 0; i < MEMBERS; i++) {
        members[i] = tcp_member(i + 1);
        assert_int_equal(claim(s, members[i]), E_OK);
        assert_int_equal(port_opens, 1);
        assert_int_equal(port_serves, WORKERS);
    }
    for (unsigned i = 0; i < MEMBERS; i++) {
        if (i == MEMBERS - 1)
            settle(s); /* also what was released before */
        assert_int_equal(port_stops, 0);
        control_release(s->control, members[i], REGISTRY_LET_GO);
        endpoint_unref(members[i]);
    }
    site_end(s);
    assert_int_equal(port_stops, WORKERS);
    assert_int_equal(port_closes, 1);
}

/* ---- claims from many threads ---------------------------------------------------------- */

enum { ROUNDS = 100, HOSTS = 7 };

struct crowd {
    struct site *site;
    atomic_uint pending;
    atomic_uint granted;
    atomic_uint refused;
    atomic_uint released;
    atomic_uint lost; /* granted, but this worker does not route there */
    sem_t done;
};

static void on_crowd_claimed(void *arg, struct endpoint *ep, const struct err *e)
{
    struct crowd *c = arg;
    unsigned id = worker_id(worker_current());

    if (e->code != E_OK) {
        c->refused++;
    } else {
        c->granted++;
        if (routes_find(c->site->routes[id], SCHEME_HTTPS, str_from(ep->url.host), 443) != ep)
            c->lost++;
        if (ep->agent.forward % 2 == 0) {
            control_release(c->site->control, ep, REGISTRY_HOLD);
            c->released++;
        }
    }
    if (--c->pending == 0)
        (void)sem_post(&c->done);
}

/* Each worker is an account; they want the same hosts, and random ones. */
static void claim_many(struct worker *w, void *arg)
{
    struct crowd *c = arg;
    char account[8];

    (void)snprintf(account, sizeof(account), "w%u", worker_id(w));
    for (unsigned i = 0; i < ROUNDS; i++) {
        char host[16] = "";
        struct endpoint *ep;

        if (i % 2 == 0)
            (void)snprintf(host, sizeof(host), "h%u.test", i / 2 % HOSTS);
        ep = endpoint_of(account, account, worker_id(w), host);
        ep->agent.forward = i;
        control_claim(c->site->control, w, ep, NULL, on_crowd_claimed, c);
        endpoint_unref(ep);
    }
}

static void claim_from_many_threads_adds_up(void **state)
{
    struct site *s = site_new();
    struct crowd c = { .site = s, .pending = WORKERS * ROUNDS };

    (void)state;
    (void)sem_init(&c.done, 0, 0);
    for (unsigned i = 0; i < WORKERS; i++)
        worker_post(s->workers[i], claim_many, &c);
    (void)sem_wait(&c.done);
    assert_int_equal(c.granted + c.refused, WORKERS * ROUNDS);
    assert_int_equal(c.lost, 0);
    assert_true(c.refused > 0);
    settle(s);
    assert_int_equal(online(s), c.granted - c.released + 1);
    (void)sem_destroy(&c.done);
    site_end(s);
}

static void stop_while_claims_are_under_way_answers_all(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 10; round++) {
        struct site *s = site_new();
        struct crowd c = { .site = s, .pending = WORKERS * ROUNDS };

        (void)sem_init(&c.done, 0, 0);
        for (unsigned i = 0; i < WORKERS; i++)
            worker_post(s->workers[i], claim_many, &c);
        while (round > 0 && c.pending > WORKERS * ROUNDS - round * 10)
            (void)sched_yield();
        site_stop(s);
        assert_int_equal(online(s), 0);
        site_free(s);
        assert_int_equal(c.pending, 0);
        (void)sem_destroy(&c.done);
    }
}

static void claim_after_stop_is_refused(void **state)
{
    struct site *s = site_new();
    struct endpoint *ep = endpoint_of("a", "k", 1, "x.test");
    struct answer a = { .from = s->workers[0] };

    (void)state;
    (void)sem_init(&a.done, 0, 0);
    site_stop(s);
    control_claim(s->control, a.from, ep, NULL, on_claimed, &a);
    control_release(s->control, ep, REGISTRY_HOLD);
    control_configure(s->control, HOLD_MS, refusing(STR("x.test")));
    site_free(s);
    assert_int_equal(a.err.code, E_DRAINING);
    assert_true(a.on_its_worker);
    (void)sem_destroy(&a.done);
    endpoint_unref(ep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(claim_free_name_is_routed_everywhere_when_answered),
        cmocka_unit_test(claim_taken_name_is_refused),
        cmocka_unit_test(release_with_hold_keeps_the_name_from_others),
        cmocka_unit_test(release_without_waiting_comes_after_its_claim),
        cmocka_unit_test(endpoint_is_said_to_be_down_when_no_worker_has_it),
        cmocka_unit_test(claim_outside_the_acl_is_refused),
        cmocka_unit_test(configure_replaces_the_reservations),
        cmocka_unit_test(claim_takeover_leaves_no_gap_and_tells_the_old_session),
        cmocka_unit_test(claim_of_pools_is_routed_and_released_one_by_one),
        cmocka_unit_test(claim_of_a_pool_opens_its_port_once),
        cmocka_unit_test(claim_from_many_threads_adds_up),
        cmocka_unit_test(stop_while_claims_are_under_way_answers_all),
        cmocka_unit_test(claim_after_stop_is_refused),
    };

    log_configure(LOG_WARN, LOG_TEXT);
    return cmocka_run_group_tests_name("tunnel/control", tests, NULL, NULL);
}
