/*
 * Unit tests of gateway/conn_raw and gateway/conn_policy: bytes both ways, half-close, moving, policies
 * that deny or wait, and every end, over real workers and a fake agent.
 * Links: tests/unit/gateway/fake_agent tests/unit/gateway/fake_policy
 * Links: tests/unit/gateway/http_scene
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/gateway/fake_policy.h"
#include "tests/unit/gateway/http_scene.h"

enum { LARGE = 3 * 1024 * 1024 };

static int setup(void **state)
{
    struct scene *s = scene_new();

    scene_use_tcp(s);
    fake_policy_reset();
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    scene_free(*state);
    return fake_policy_runs();
}

/* A visitor of endpoint 0 on its worker, and the upstream's end. */
static int visit(struct scene *s, int *upstream)
{
    int visitor = scene_visit_port(s, 0, SCENE_PORT);

    *upstream = scene_accept(s, 0);
    return visitor;
}

static void close_both(int a, int b)
{
    (void)close(a);
    (void)close(b);
}

/* ---- bytes ---- */

static void raw_bytes_pass_both_ways(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    scene_start(s);
    visitor = visit(s, &upstream);
    scene_send(upstream, "the upstream first");
    scene_expect(visitor, "the upstream first");
    for (size_t from = 0; from < LARGE; from += 64 * 1024) {
        scene_send_pattern(visitor, from, 64 * 1024);
        scene_expect_pattern(upstream, from, 64 * 1024);
        scene_send_pattern(upstream, from, 64 * 1024);
        scene_expect_pattern(visitor, from, 64 * 1024);
    }
    assert_int_equal(scene_metric(s, METRIC_RAW_CONNS), 1);
    close_both(visitor, upstream);
    scene_wait_metric(s, METRIC_RAW_CONNS_TOTAL, 1);
    assert_int_equal(scene_metric(s, METRIC_BYTES_IN_TOTAL), LARGE);
    assert_int_equal(scene_metric(s, METRIC_BYTES_OUT_TOTAL), LARGE + 18);
}

static void raw_visitor_half_closes(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    scene_start(s);
    visitor = visit(s, &upstream);
    scene_send(visitor, "question");
    assert_int_equal(shutdown(visitor, SHUT_WR), 0);
    scene_expect(upstream, "question");
    scene_expect_eof(upstream);
    scene_send(upstream, "answer");
    scene_expect(visitor, "answer");
    (void)close(upstream);
    scene_expect_end(visitor);
}

static void raw_upstream_half_closes(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    scene_start(s);
    visitor = visit(s, &upstream);
    scene_send(upstream, "banner");
    assert_int_equal(shutdown(upstream, SHUT_WR), 0);
    scene_expect(visitor, "banner");
    scene_expect_eof(visitor);
    scene_send(visitor, "still here");
    scene_expect(upstream, "still here");
    (void)close(visitor);
    scene_expect_end(upstream);
}

/* Bytes and the end that came before the upstream was open are not lost. */
static void raw_visitor_who_sends_and_ends_at_once_is_heard(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    scene_start(s);
    visitor = scene_visit_port(s, 1, SCENE_PORT);
    scene_send(visitor, "all of it");
    assert_int_equal(shutdown(visitor, SHUT_WR), 0);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, "all of it");
    scene_expect_eof(upstream);
    close_both(visitor, upstream);
}

static void raw_slow_visitor_stops_the_upstream(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;
    size_t stuffed;

    scene_start(s);
    visitor = visit(s, &upstream);
    stuffed = scene_stuff(upstream);
    assert_in_range(stuffed, 1, 8 * 1024 * 1024);
    scene_expect_pattern(visitor, 0, stuffed);
    stuffed = scene_stuff(visitor);
    assert_in_range(stuffed, 1, 8 * 1024 * 1024);
    scene_expect_pattern(upstream, 0, stuffed);
    close_both(visitor, upstream);
}

/* ---- moving ---- */

static void raw_connection_moves_to_the_worker_of_the_session(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    scene_start(s);
    visitor = scene_visit_port(s, 0, SCENE_PORT + 1);
    scene_send(visitor, "moved");
    upstream = scene_accept(s, 1);
    scene_expect(upstream, "moved");
    assert_int_equal(scene_metric(s, METRIC_HANDOFFS_TOTAL), 1);
    assert_int_equal(scene_metric(s, METRIC_RELAYS), 0);
    close_both(visitor, upstream);
}

static void raw_connection_moved_to_a_worker_that_has_ended_is_closed(void **state)
{
    struct scene *s = *state;
    int visitor;

    scene_start(s);
    scene_cut(s, 1);
    visitor = scene_visit_port(s, 0, SCENE_PORT + 1);
    scene_wait_metric(s, METRIC_CONNS_TOTAL, 1);
    scene_wait_metric(s, METRIC_CONNS, 0);
    scene_cut(s, 0);
    (void)close(visitor);
}

/* ---- ends ---- */

static void raw_port_without_endpoint_is_closed(void **state)
{
    struct scene *s = *state;

    scene_start(s);
    scene_expect_end(scene_visit_port(s, 0, SCENE_PORT + 2));
}

static void raw_upstream_that_refuses_or_fails_closes(void **state)
{
    static const enum fake_open modes[] = { FAKE_REFUSES, FAKE_FAILS };
    struct scene *s = *state;

    scene_start(s);
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        atomic_store(&s->agents[0].mode, modes[i]);
        scene_expect_end(scene_visit_port(s, 0, SCENE_PORT));
    }
    scene_wait_metric(s, METRIC_RAW_CONNS_TOTAL, 2);
}

/* It is the upstream's TLS that has failed: the visitor's connection never had any. */
static void raw_upstream_that_speaks_no_tls_closes(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    s->endpoints[0]->upstream.tls = true;
    scene_start(s);
    visitor = visit(s, &upstream);
    scene_send(upstream, "SSH-2.0-no TLS here\r\n");
    scene_expect_end(visitor);
    (void)close(upstream);
    scene_wait_metric(s, METRIC_RAW_CONNS_TOTAL, 1);
}

static void raw_session_that_is_lost_closes(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    scene_start(s);
    visitor = visit(s, &upstream);
    fake_agent_lose(&s->agents[0]);
    scene_expect_end(visitor);
    (void)close(upstream);
}

static void raw_endpoint_that_goes_takes_its_connections(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;
    int other;
    int other_up;

    scene_start(s);
    visitor = visit(s, &upstream);
    other = scene_visit_port(s, 1, SCENE_PORT + 1);
    other_up = scene_accept(s, 1);
    scene_remove(s, 0);
    scene_expect_end(visitor);
    scene_expect_end(upstream);
    scene_send(other, "goes on");
    scene_expect(other_up, "goes on");
    close_both(other, other_up);
}

static void raw_silence_is_closed_after_its_time(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    s->config->connection_idle_timeout_ms = 100;
    scene_start(s);
    visitor = visit(s, &upstream);
    scene_expect_end(visitor);
    scene_expect_end(upstream);
}

/* For more than the time in all, but never for so long. */
static void raw_silence_that_is_broken_is_not_closed(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    s->config->connection_idle_timeout_ms = 2500;
    scene_start(s);
    visitor = visit(s, &upstream);
    for (int i = 0; i < 18; i++) {
        (void)usleep(150 * 1000);
        scene_send(upstream, ".");
        scene_expect(visitor, ".");
    }
    close_both(visitor, upstream);
}

static void raw_upstream_that_never_opens_is_given_up(void **state)
{
    struct scene *s = *state;

    s->config->connection_idle_timeout_ms = 100;
    atomic_store(&s->agents[0].mode, FAKE_WAITS);
    scene_start(s);
    scene_expect_end(scene_visit_port(s, 0, SCENE_PORT));
}

static void raw_drain_lets_it_finish(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    scene_start(s);
    visitor = visit(s, &upstream);
    scene_drain(s);
    scene_send(visitor, "to the end");
    scene_expect(upstream, "to the end");
    close_both(visitor, upstream);
    scene_wait_drained(s);
}

static void raw_drain_cuts_it_at_the_limit(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    s->config->drain_ms = 50;
    scene_start(s);
    visitor = visit(s, &upstream);
    scene_drain(s);
    scene_expect_end(visitor);
    scene_expect_end(upstream);
}

/* ---- policies ---- */

static enum policy_verdict deny(struct policy_run *run)
{
    return run->phase == POLICY_ON_TCP_CONNECT ? POLICY_CLOSE : POLICY_CONTINUE;
}

static void raw_denied_visitor_is_reset(void **state)
{
    struct scene *s = *state;

    s->endpoints[0]->policy = fake_policy_new(FAKE_PHASES_CONNECT, deny, NULL);
    s->endpoints[1]->policy = fake_policy_new(FAKE_PHASES_CONNECT, deny, NULL);
    scene_start(s);
    scene_expect_end(scene_visit_port(s, 0, SCENE_PORT));
    scene_expect_end(scene_visit_port(s, 0, SCENE_PORT + 1));
    assert_true(fake_agent_is_quiet(&s->agents[0]));
    assert_true(fake_agent_is_quiet(&s->agents[1]));
    scene_wait_metric(s, METRIC_RAW_CONNS_TOTAL, 2);
}

static void raw_policy_that_waits_holds_the_bytes(void **state)
{
    static struct fake_gate gate = { .after = POLICY_CONTINUE };
    struct scene *s = *state;
    int visitor;
    int upstream;

    s->endpoints[0]->policy = fake_policy_new(FAKE_PHASES_CONNECT, fake_gate_rule, &gate);
    scene_start(s);
    visitor = scene_visit_port(s, 0, SCENE_PORT);
    scene_send(visitor, "early");
    fake_gate_wait_started(&gate, 1);
    assert_true(fake_agent_is_quiet(&s->agents[0]));
    fake_gate_open(&gate);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, "early");
    close_both(visitor, upstream);
}

static void raw_policy_that_denies_after_a_wait(void **state)
{
    static struct fake_gate gate = { .after = POLICY_CLOSE };
    struct scene *s = *state;
    int visitor;

    s->endpoints[0]->policy = fake_policy_new(FAKE_PHASES_CONNECT, fake_gate_rule, &gate);
    scene_start(s);
    visitor = scene_visit_port(s, 0, SCENE_PORT);
    fake_gate_wait_started(&gate, 1);
    fake_gate_open(&gate);
    scene_expect_end(visitor);
}

/* The connection goes while its policy waits: the job finishes for nobody. */
static void raw_connection_that_ends_cancels_its_policy(void **state)
{
    static struct fake_gate gate = { .after = POLICY_CONTINUE };
    struct scene *s = *state;
    int visitor;

    s->endpoints[0]->policy = fake_policy_new(FAKE_PHASES_CONNECT, fake_gate_rule, &gate);
    scene_start(s);
    visitor = scene_visit_port(s, 0, SCENE_PORT);
    fake_gate_wait_started(&gate, 1);
    scene_remove(s, 0);
    scene_expect_end(visitor);
    fake_gate_open(&gate);
    assert_true(fake_agent_is_quiet(&s->agents[0]));
}

static void raw_policy_that_waits_too_long_is_given_up(void **state)
{
    static struct fake_gate gate = { .after = POLICY_CONTINUE };
    struct scene *s = *state;
    int visitor;

    s->config->stall_timeout_ms = 100;
    s->endpoints[0]->policy = fake_policy_new(FAKE_PHASES_CONNECT, fake_gate_rule, &gate);
    scene_start(s);
    visitor = scene_visit_port(s, 0, SCENE_PORT);
    scene_expect_end(visitor);
    fake_gate_open(&gate);
}

/* ---- forwards ---- */

/* The first endpoint's policy forwards to the second, which is internal, once; then it lets pass. */
static enum policy_verdict forward_once(struct policy_run *run)
{
    struct err e;

    if (run->calls > 1)
        return POLICY_CONTINUE;
    return run->host->forward(run->ctx, STR("tcp://b.internal:5432"), &e) == 0 ? POLICY_FORWARD
                                                                               : POLICY_CLOSE;
}

static void start_forwarding(struct scene *s, fake_rule_fn *outer, fake_rule_fn *inner, void *arg)
{
    struct endpoint *inside = s->endpoints[1];

    inside->url = (struct url){ .scheme = SCHEME_TCP, .binding = BINDING_INTERNAL, .port = 5432 };
    (void)snprintf(inside->url.host, sizeof(inside->url.host), "b.internal");
    for (unsigned i = 0; i < SCENE_WORKERS; i++)
        endpoint_set(&s->endpoints[i]->account, STR("alice"));
    s->endpoints[0]->policy = fake_policy_new(FAKE_PHASES_CONNECT, outer, NULL);
    if (inner != NULL)
        inside->policy = fake_policy_new(FAKE_PHASES_CONNECT, inner, arg);
    scene_start(s);
}

static void raw_forward_reaches_the_internal_endpoint(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    start_forwarding(s, forward_once, NULL, NULL);
    visitor = scene_visit_port(s, 0, SCENE_PORT);
    upstream = scene_accept(s, 1);
    scene_send(visitor, "there");
    scene_expect(upstream, "there");
    scene_send(upstream, "back");
    scene_expect(visitor, "back");
    assert_true(fake_agent_is_quiet(&s->agents[0]));
    close_both(visitor, upstream);
}

static void raw_forward_that_fails_goes_on(void **state)
{
    static const enum fake_open modes[] = { FAKE_REFUSES, FAKE_FAILS };
    struct scene *s = *state;

    start_forwarding(s, forward_once, NULL, NULL);
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        int visitor;
        int upstream;

        atomic_store(&s->agents[1].mode, modes[i]);
        visitor = scene_visit_port(s, 0, SCENE_PORT);
        scene_send(visitor, "early");
        upstream = scene_accept(s, 0);
        scene_expect(upstream, "early");
        close_both(visitor, upstream);
    }
}

static enum policy_verdict forward_always(struct policy_run *run)
{
    struct err e;

    (void)run->host->forward(run->ctx, STR("tcp://b.internal:5432"), &e);
    return run->calls == 1 ? POLICY_FORWARD : POLICY_CLOSE;
}

static void raw_forward_in_a_circle_closes(void **state)
{
    struct scene *s = *state;

    start_forwarding(s, forward_always, forward_always, NULL);
    scene_expect_end(scene_visit_port(s, 0, SCENE_PORT));
    assert_true(fake_agent_is_quiet(&s->agents[1]));
    assert_int_equal(fake_policy_made(), 9);
}

static void raw_forward_whose_target_waits_ends_with_the_endpoint(void **state)
{
    static struct fake_gate gate = { .after = POLICY_CONTINUE };
    struct scene *s = *state;
    int visitor;

    start_forwarding(s, forward_once, fake_gate_rule, &gate);
    visitor = scene_visit_port(s, 0, SCENE_PORT);
    fake_gate_wait_started(&gate, 1);
    scene_remove(s, 1);
    scene_expect_end(visitor);
    fake_gate_open(&gate);
    assert_true(fake_agent_is_quiet(&s->agents[1]));
}

/* It goes while it is dialled: the policy that forwarded goes on. */
static void raw_forward_whose_target_goes_before_it_opens_goes_on(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    atomic_store(&s->agents[1].mode, FAKE_WAITS);
    start_forwarding(s, forward_once, NULL, NULL);
    visitor = scene_visit_port(s, 0, SCENE_PORT);
    scene_wait_metric(s, METRIC_RAW_CONNS, 1);
    scene_remove(s, 1);
    upstream = scene_accept(s, 0);
    scene_send(visitor, "hello");
    scene_expect(upstream, "hello");
    close_both(visitor, upstream);
}

static void raw_forward_to_a_cloud_endpoint_that_lets_pass_closes(void **state)
{
    struct scene *s = *state;

    s->endpoints[1]->agent = (struct agent){ 0 };
    start_forwarding(s, forward_once, NULL, NULL);
    scene_expect_end(scene_visit_port(s, 0, SCENE_PORT));
    assert_true(fake_agent_is_quiet(&s->agents[0]));
}

static void raw_forward_whose_target_denies_closes(void **state)
{
    struct scene *s = *state;

    start_forwarding(s, forward_once, deny, NULL);
    scene_expect_end(scene_visit_port(s, 0, SCENE_PORT));
    assert_true(fake_agent_is_quiet(&s->agents[0]));
}

int main(void)
{
#define WITH_SCENE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_SCENE(raw_bytes_pass_both_ways),
        WITH_SCENE(raw_visitor_half_closes),
        WITH_SCENE(raw_upstream_half_closes),
        WITH_SCENE(raw_visitor_who_sends_and_ends_at_once_is_heard),
        WITH_SCENE(raw_slow_visitor_stops_the_upstream),
        WITH_SCENE(raw_connection_moves_to_the_worker_of_the_session),
        WITH_SCENE(raw_connection_moved_to_a_worker_that_has_ended_is_closed),
        WITH_SCENE(raw_port_without_endpoint_is_closed),
        WITH_SCENE(raw_upstream_that_refuses_or_fails_closes),
        WITH_SCENE(raw_upstream_that_speaks_no_tls_closes),
        WITH_SCENE(raw_session_that_is_lost_closes),
        WITH_SCENE(raw_endpoint_that_goes_takes_its_connections),
        WITH_SCENE(raw_silence_is_closed_after_its_time),
        WITH_SCENE(raw_silence_that_is_broken_is_not_closed),
        WITH_SCENE(raw_upstream_that_never_opens_is_given_up),
        WITH_SCENE(raw_drain_lets_it_finish),
        WITH_SCENE(raw_drain_cuts_it_at_the_limit),
        WITH_SCENE(raw_denied_visitor_is_reset),
        WITH_SCENE(raw_policy_that_waits_holds_the_bytes),
        WITH_SCENE(raw_policy_that_denies_after_a_wait),
        WITH_SCENE(raw_connection_that_ends_cancels_its_policy),
        WITH_SCENE(raw_policy_that_waits_too_long_is_given_up),
        WITH_SCENE(raw_forward_reaches_the_internal_endpoint),
        WITH_SCENE(raw_forward_that_fails_goes_on),
        WITH_SCENE(raw_forward_in_a_circle_closes),
        WITH_SCENE(raw_forward_whose_target_waits_ends_with_the_endpoint),
        WITH_SCENE(raw_forward_whose_target_goes_before_it_opens_goes_on),
        WITH_SCENE(raw_forward_to_a_cloud_endpoint_that_lets_pass_closes),
        WITH_SCENE(raw_forward_whose_target_denies_closes),
    };

    return cmocka_run_group_tests_name("gateway/conn_raw", tests, NULL, NULL);
}
