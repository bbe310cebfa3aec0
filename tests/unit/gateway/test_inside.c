/*
 * Unit tests of gateway/inside: what is found and what is not, the way to endpoints of each kind, and
 * every end, over real workers and a fake agent. The user's channel is a socketpair, too.
 * Links: tests/unit/gateway/fake_agent tests/unit/gateway/fake_policy
 * Links: tests/unit/gateway/http_scene
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gateway/inside.h"
#include "gateway/sock.h"
#include "tests/unit/gateway/fake_policy.h"
#include "tests/unit/gateway/http_scene.h"
#include "tunnel/splice.h"

enum { PORT = 7, LARGE = 3 * 1024 * 1024 };

#define GET "GET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n"

static int setup(void **state)
{
    fake_policy_reset();
    *state = scene_new();
    return 0;
}

static int teardown(void **state)
{
    scene_free(*state);
    return fake_policy_runs();
}

/* Makes a.internal and b.internal, both of account "acme", of the endpoints. */
static void start(struct scene *s, enum scheme scheme)
{
    for (unsigned i = 0; i < SCENE_WORKERS; i++) {
        struct endpoint *ep = s->endpoints[i];

        ep->url.scheme = scheme;
        ep->url.binding = BINDING_INTERNAL;
        ep->url.port = PORT;
        (void)snprintf(ep->url.host, sizeof(ep->url.host), "%c.internal", (int)('a' + i));
        endpoint_set(&ep->account, STR("acme"));
    }
    scene_start(s);
}

/* ---- the user ---- */

struct opening {
    struct gateway *gateway;
    struct inside_target target;
    int fd;
};

static void on_done(void *arg, enum close_reason why)
{
    (void)arg;
    (void)why;
}

static void open_here(struct worker *w, void *arg)
{
    struct opening *o = arg;
    enum close_reason why;
    struct stream *stream = gateway_inside_ops.open(o->gateway, &o->target, NULL, NULL, &why);

    if (stream != NULL)
        (void)splice_new(w, sock_stream(sock_new(w, o->fd, NULL, NULL, NULL)), stream, on_done,
                         NULL);
    else
        (void)close(o->fd);
    mem_free(o);
}

/* The user's end of a channel, opened on a worker. */
static int use_as(struct scene *s, unsigned worker, const char *account, const char *host)
{
    struct opening *o = mem_zalloc(sizeof(*o));
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_not_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), -1);
    o->gateway = s->gateways[worker];
    o->fd = fds[0];
    o->target = (struct inside_target){
        .account = str_from(account),
        .host = str_from(host),
        .port = PORT,
        .client = { .family = 4, .port = 4711, .ip = { 192, 0, 2, 7 } },
        .server = { .family = 4, .port = 22, .ip = { 192, 0, 2, 1 } },
    };
    worker_post(s->workers[worker], open_here, o);
    return fds[1];
}

static int use(struct scene *s, unsigned worker, const char *host)
{
    return use_as(s, worker, "acme", host);
}

static void close_both(int a, int b)
{
    (void)close(a);
    (void)close(b);
}

/* ---- what is found ---- */

static void inside_has_only_what_is_the_accounts(void **state)
{
    static const struct {
        const char *account;
        const char *host;
        uint16_t port;
        bool found;
    } rows[] = {
        { "acme", "a.internal", PORT, true },     { "acme", "b.internal", PORT, true },
        { "acme", "c.internal", PORT, false },    { "acme", "a.internal", PORT + 1, false },
        { "acme", "x.a.internal", PORT, false },  { "other", "a.internal", PORT, false },
        { "acm", "ea.internal", PORT, false },    { "acme/a", "internal", PORT, false },
        { "acme", "a.example.com", PORT, false },
    };
    struct scene *s = *state;

    start(s, SCHEME_TLS);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool has = gateway_inside_ops.has(s->gateways[0], str_from(rows[i].account),
                                          str_from(rows[i].host), rows[i].port);

        if (has != rows[i].found)
            fail_msg("row %zu", i);
    }
}

static void inside_open_of_what_went_offline_is_refused(void **state)
{
    struct scene *s = *state;

    start(s, SCHEME_TCP);
    scene_remove(s, 0);
    scene_expect_end(use(s, 0, "a.internal"));
    scene_expect_end(use_as(s, 0, "other", "b.internal"));
}

/* ---- bytes ---- */

static void inside_bytes_pass_both_ways(void **state)
{
    struct scene *s = *state;

    start(s, SCHEME_TCP);
    /* The second time the session is the other worker's. */
    for (unsigned worker = 0; worker < SCENE_WORKERS; worker++) {
        int user = use(s, worker, "a.internal");
        int upstream = scene_accept(s, 0);

        scene_send(upstream, "the upstream first");
        scene_expect(user, "the upstream first");
        for (size_t from = 0; from < LARGE; from += 64 * 1024) {
            scene_send_pattern(user, from, 64 * 1024);
            scene_expect_pattern(upstream, from, 64 * 1024);
            scene_send_pattern(upstream, from, 64 * 1024);
            scene_expect_pattern(user, from, 64 * 1024);
        }
        close_both(user, upstream);
        scene_wait_metric(s, METRIC_RAW_CONNS_TOTAL, worker + 1);
    }
    assert_int_equal(scene_metric(s, METRIC_HANDOFFS_TOTAL), 0);
}

static void inside_half_closes_pass(void **state)
{
    struct scene *s = *state;
    int user;
    int upstream;

    start(s, SCHEME_TCP);
    user = use(s, 0, "a.internal");
    upstream = scene_accept(s, 0);
    scene_send(user, "question");
    assert_int_equal(shutdown(user, SHUT_WR), 0);
    scene_expect(upstream, "question");
    scene_expect_eof(upstream);
    scene_send(upstream, "answer");
    scene_expect(user, "answer");
    (void)close(upstream);
    scene_expect_end(user);

    user = use(s, 1, "a.internal");
    upstream = scene_accept(s, 0);
    scene_send(upstream, "banner");
    assert_int_equal(shutdown(upstream, SHUT_WR), 0);
    scene_expect(user, "banner");
    scene_expect_eof(user);
    scene_send(user, "still here");
    scene_expect(upstream, "still here");
    (void)close(user);
    scene_expect_end(upstream);
}

static void inside_slow_ends_stop_each_other(void **state)
{
    struct scene *s = *state;
    int user;
    int upstream;
    size_t stuffed;

    start(s, SCHEME_TCP);
    user = use(s, 0, "a.internal");
    upstream = scene_accept(s, 0);
    stuffed = scene_stuff(upstream);
    assert_in_range(stuffed, 1, 8 * 1024 * 1024);
    scene_expect_pattern(user, 0, stuffed);
    stuffed = scene_stuff(user);
    assert_in_range(stuffed, 1, 8 * 1024 * 1024);
    scene_expect_pattern(upstream, 0, stuffed);
    close_both(user, upstream);
}

/* ---- HTTP ---- */

static void ask(struct scene *s, int user, const char *proto)
{
    char head[300];
    int upstream;

    scene_send(user, GET);
    upstream = scene_accept(s, 0);
    (void)snprintf(head, sizeof(head),
                   "GET / HTTP/1.1\r\nhost: a.example.com\r\nx-forwarded-for: 192.0.2.7\r\n"
                   "x-forwarded-proto: %s\r\nx-forwarded-host: a.example.com\r\n\r\n",
                   proto);
    scene_expect(upstream, head);
    scene_send(upstream, SCENE_OK);
    scene_expect(user, SCENE_OK);
    (void)close(upstream);
}

static void ask_on_each_worker(struct scene *s)
{
    int user = use(s, 0, "a.internal");

    ask(s, user, "http");
    ask(s, user, "http"); /* on the same connection */
    (void)close(user);
    user = use(s, 1, "a.internal");
    ask(s, user, "http");
    (void)close(user);
    assert_int_equal(scene_metric(s, METRIC_HANDOFFS_TOTAL), 0);
}

static void inside_http_takes_any_host(void **state)
{
    start(*state, SCHEME_HTTP);
    ask_on_each_worker(*state);
}

static void inside_https_takes_plain_http(void **state)
{
    start(*state, SCHEME_HTTPS);
    ask_on_each_worker(*state);
}

static void inside_http_endpoint_that_went_offline_is_an_error(void **state)
{
    struct scene *s = *state;
    int user;

    start(s, SCHEME_HTTP);
    user = use(s, 0, "a.internal");
    ask(s, user, "http");
    scene_remove(s, 0);
    scene_send(user, GET);
    scene_expect_head(user, "HTTP/1.1 404");
    (void)close(user);
}

static void inside_https_without_a_byte_is_closed_after_its_time(void **state)
{
    struct scene *s = *state;

    s->config->client_hello_timeout_ms = 100;
    start(s, SCHEME_HTTPS);
    scene_expect_end(use(s, 0, "a.internal"));
}

/* ---- ends ---- */

static void inside_upstream_that_refuses_or_fails_closes(void **state)
{
    static const enum fake_open modes[] = { FAKE_REFUSES, FAKE_FAILS };
    struct scene *s = *state;

    start(s, SCHEME_TCP);
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        atomic_store(&s->agents[0].mode, modes[i]);
        scene_expect_end(use(s, 0, "a.internal"));
        scene_expect_end(use(s, 1, "a.internal"));
    }
}

static void inside_session_or_endpoint_that_goes_closes(void **state)
{
    struct scene *s = *state;
    int user;
    int upstream;

    start(s, SCHEME_TCP);
    user = use(s, 0, "a.internal");
    upstream = scene_accept(s, 0);
    /* The upstream has ended before, so the user has seen an end already. */
    assert_int_equal(shutdown(upstream, SHUT_WR), 0);
    scene_expect_eof(user);
    fake_agent_lose(&s->agents[0]);
    scene_wait_metric(s, METRIC_RAW_CONNS, 0);
    close_both(user, upstream);

    user = use(s, 1, "b.internal");
    upstream = scene_accept(s, 1);
    scene_remove(s, 1);
    scene_expect_end(user);
    scene_expect_end(upstream);
}

static void inside_gateway_that_is_full_refuses(void **state)
{
    struct scene *s = *state;
    int user;
    int upstream;

    s->config->max_connections = 1;
    start(s, SCHEME_TCP);
    user = use(s, 0, "a.internal");
    upstream = scene_accept(s, 0);
    scene_expect_end(use(s, 0, "a.internal"));
    close_both(user, upstream);
}

static void inside_drain_lets_it_finish_and_refuses_others(void **state)
{
    struct scene *s = *state;
    int user;
    int upstream;

    start(s, SCHEME_TCP);
    user = use(s, 0, "a.internal");
    upstream = scene_accept(s, 0);
    scene_drain(s);
    scene_expect_end(use(s, 0, "a.internal"));
    scene_send(user, "to the end");
    scene_expect(upstream, "to the end");
    close_both(user, upstream);
    scene_wait_drained(s);
}

static void inside_worker_that_ends_frees_it(void **state)
{
    struct scene *s = *state;
    int user;
    int upstream;

    start(s, SCHEME_TCP);
    user = use(s, 0, "a.internal");
    upstream = scene_accept(s, 0);
    close_both(user, upstream);
    scene_wait_metric(s, METRIC_CONNS, 0);
    scene_cut(s, 1);
    scene_cut(s, 0);
}

/* ---- policies ---- */

static enum policy_verdict deny(struct policy_run *run)
{
    return run->phase == POLICY_ON_TCP_CONNECT ? POLICY_CLOSE : POLICY_CONTINUE;
}

static void inside_denied_user_is_closed(void **state)
{
    struct scene *s = *state;

    s->endpoints[0]->policy = fake_policy_new(FAKE_PHASES_CONNECT, deny, NULL);
    start(s, SCHEME_TCP);
    scene_expect_end(use(s, 0, "a.internal"));
    scene_expect_end(use(s, 1, "a.internal"));
    assert_true(fake_agent_is_quiet(&s->agents[0]));
}

static void inside_policy_that_waits_is_cancelled_with_the_user(void **state)
{
    static struct fake_gate gate = { .after = POLICY_CONTINUE };
    struct scene *s = *state;
    int user;

    s->endpoints[0]->policy = fake_policy_new(FAKE_PHASES_CONNECT, fake_gate_rule, &gate);
    start(s, SCHEME_TCP);
    user = use(s, 0, "a.internal");
    fake_gate_wait_started(&gate, 1);
    (void)close(user);
    fake_gate_open(&gate);
    (void)close(scene_accept(s, 0));
}

int main(void)
{
#define WITH_SCENE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_SCENE(inside_has_only_what_is_the_accounts),
        WITH_SCENE(inside_open_of_what_went_offline_is_refused),
        WITH_SCENE(inside_bytes_pass_both_ways),
        WITH_SCENE(inside_half_closes_pass),
        WITH_SCENE(inside_slow_ends_stop_each_other),
        WITH_SCENE(inside_http_takes_any_host),
        WITH_SCENE(inside_https_takes_plain_http),
        WITH_SCENE(inside_http_endpoint_that_went_offline_is_an_error),
        WITH_SCENE(inside_https_without_a_byte_is_closed_after_its_time),
        WITH_SCENE(inside_upstream_that_refuses_or_fails_closes),
        WITH_SCENE(inside_session_or_endpoint_that_goes_closes),
        WITH_SCENE(inside_gateway_that_is_full_refuses),
        WITH_SCENE(inside_drain_lets_it_finish_and_refuses_others),
        WITH_SCENE(inside_worker_that_ends_frees_it),
        WITH_SCENE(inside_denied_user_is_closed),
        WITH_SCENE(inside_policy_that_waits_is_cancelled_with_the_user),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
