/*
 * Unit tests of requests and connections to a pool of two members, whose sessions are on two workers:
 * who goes on to the other member, and who never does; what a connection keeps to.
 * Links: tests/unit/gateway/fake_agent tests/unit/gateway/fake_policy
 * Links: tests/unit/gateway/http_scene
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/gateway/fake_policy.h"
#include "tests/unit/gateway/http_scene.h"

#define HOST "Host: a.example.com\r\n"
#define POST "POST / HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi"
#define PUT  "PUT / HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi"

enum { TIMES = 20, DEADLINE_MS = 20000 };

/* ---- a scene with a pool ---- */

static void make_pool(struct scene *s)
{
    s->endpoints[1]->url = s->endpoints[0]->url;
    for (unsigned i = 0; i < SCENE_WORKERS; i++)
        s->endpoints[i]->pooling = true;
}

static int setup(void **state)
{
    struct scene *s = scene_new();

    make_pool(s);
    fake_policy_reset();
    *state = s;
    return 0;
}

static int setup_tcp(void **state)
{
    struct scene *s = scene_new();

    scene_use_tcp(s);
    make_pool(s);
    fake_policy_reset();
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    scene_free(*state);
    return fake_policy_runs();
}

/* The upstream's end of the next stream, whichever member it is to. */
static int accept_any(struct scene *s, unsigned *member)
{
    struct pollfd ready[SCENE_WORKERS];

    for (unsigned i = 0; i < SCENE_WORKERS; i++)
        ready[i] = (struct pollfd){ .fd = s->agents[i].accepted[0], .events = POLLIN };
    if (poll(ready, SCENE_WORKERS, DEADLINE_MS) < 1)
        fail_msg("no stream was opened");
    *member = ready[0].revents != 0 ? 0 : 1;
    return scene_accept(s, *member);
}

static int ask(struct scene *s, const char *request, int *upstream, unsigned *member)
{
    int visitor = scene_visit(s, 0);

    scene_send(visitor, request);
    *upstream = accept_any(s, member);
    scene_expect_until(*upstream, "\r\n\r\n");
    return visitor;
}

/* At the end no stream is left that a later request could take. */
static void expect_answer(struct scene *s, int upstream, int visitor)
{
    scene_send(upstream, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    (void)close(visitor);
    (void)close(upstream);
    scene_wait_metric(s, METRIC_STREAMS, 0);
}

static void expect_error(int visitor, const char *status_line, const char *end)
{
    scene_expect_head(visitor, status_line);
    scene_expect_until(visitor, end);
    (void)close(visitor);
}

static void give_policies(struct scene *s, unsigned phases, fake_rule_fn *rule, void *arg)
{
    for (unsigned i = 0; i < SCENE_WORKERS; i++)
        s->endpoints[i]->policy = fake_policy_new(phases, rule, arg);
}

/* ---- dials that fail ---- */

static void pool_dial_that_fails_goes_to_the_other_member(void **state)
{
    static const enum fake_open modes[] = { FAKE_REFUSES, FAKE_FAILS };
    static const char *const requests[] = { SCENE_GET, POST };
    struct scene *s = *state;

    scene_start(s);
    for (unsigned i = 0; i < TIMES; i++) {
        unsigned down = i / 4 % 2;
        const char *request = requests[i % 2];
        unsigned member;
        int visitor;
        int upstream;

        atomic_store(&s->agents[down].mode, modes[i / 2 % 2]);
        atomic_store(&s->agents[1 - down].mode, FAKE_OPENS);
        visitor = ask(s, request, &upstream, &member);
        assert_int_equal(member, 1 - down);
        if (request != requests[0])
            scene_expect(upstream, "hi");
        expect_answer(s, upstream, visitor);
    }
    assert_in_range(scene_metric(s, METRIC_POOL_MOVES_TOTAL), 1, TIMES);
    assert_int_equal(scene_metric(s, METRIC_RETRIES_TOTAL), 0);
}

static void pool_dials_that_all_fail_are_answered(void **state)
{
    struct scene *s = *state;

    for (unsigned i = 0; i < SCENE_WORKERS; i++)
        atomic_store(&s->agents[i].mode, FAKE_REFUSES);
    scene_start(s);
    for (unsigned i = 1; i <= TIMES; i++) {
        int visitor = scene_visit(s, i % 2);

        scene_send(visitor, POST);
        expect_error(visitor, "HTTP/1.1 502 Bad Gateway\r\n", "refused the connection\n");
        assert_int_equal(scene_metric(s, METRIC_POOL_MOVES_TOTAL), i);
    }
}

/* ---- sessions that end ---- */

static void pool_get_of_a_lost_session_goes_to_the_other_member(void **state)
{
    struct scene *s = *state;

    scene_start(s);
    for (unsigned i = 0; i < TIMES; i++) {
        unsigned member;
        int upstream;
        int visitor = ask(s, SCENE_GET, &upstream, &member);
        int other;

        fake_agent_lose(&s->agents[member]);
        other = scene_accept(s, 1 - member);
        scene_expect(other, SCENE_GET_UP);
        expect_answer(s, other, visitor);
        (void)close(upstream);
    }
    assert_int_equal(scene_metric(s, METRIC_POOL_MOVES_TOTAL), TIMES);
}

static void pool_request_that_may_have_been_carried_out_stays(void **state)
{
    static const char *const requests[] = {
        POST,
        PUT, /* could be repeated, but its body is not here any more */
        "POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n",
    };
    struct scene *s = *state;

    scene_start(s);
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        unsigned member;
        int upstream;
        int visitor = ask(s, requests[i], &upstream, &member);

        if (strstr(requests[i], "\r\n\r\nhi") != NULL)
            scene_expect(upstream, "hi");
        fake_agent_lose(&s->agents[member]);
        expect_error(visitor, "HTTP/1.1 502 Bad Gateway\r\n", "session ended\n");
        assert_true(fake_agent_is_quiet(&s->agents[1 - member]));
        (void)close(upstream);
    }
    assert_int_equal(scene_metric(s, METRIC_POOL_MOVES_TOTAL), 0);
}

/* Its visitor waits for 100-continue, so the body is all there still. */
static void pool_put_whose_body_was_not_taken_goes_on(void **state)
{
    static const char request[] =
        "PUT / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    struct scene *s = *state;
    unsigned member;
    int upstream;
    int visitor;
    int other;

    scene_start(s);
    visitor = ask(s, request, &upstream, &member);
    fake_agent_lose(&s->agents[member]);
    other = scene_accept(s, 1 - member);
    scene_expect_until(other, "\r\n\r\n");
    scene_send(other, "HTTP/1.1 100 Continue\r\n\r\n");
    scene_expect(visitor, "HTTP/1.1 100 Continue\r\n\r\n");
    scene_send(visitor, "hi");
    scene_expect(other, "hi");
    expect_answer(s, other, visitor);
    (void)close(upstream);
}

static void pool_begun_answer_is_not_begun_again(void **state)
{
    static const char *const answers[] = { "H", "HTTP/1.1 103 Hint\r\n\r\n" };
    struct scene *s = *state;

    scene_start(s);
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        unsigned member;
        int upstream;
        int visitor = ask(s, SCENE_GET, &upstream, &member);

        scene_send(upstream, answers[i]);
        if (i == 1)
            scene_expect(visitor, answers[i]);
        else
            scene_expect_silence(visitor); /* it is in the gateway */
        fake_agent_lose(&s->agents[member]);
        expect_error(visitor, "HTTP/1.1 502 Bad Gateway\r\n", "session ended\n");
        (void)close(upstream);
    }
    assert_int_equal(scene_metric(s, METRIC_POOL_MOVES_TOTAL), 0);
}

/* What an upstream does to a request is its answer, whoever else there is. */
static void pool_upstream_that_closes_is_not_passed_over(void **state)
{
    struct scene *s = *state;
    unsigned member;
    int upstream;
    int visitor;

    scene_start(s);
    visitor = ask(s, SCENE_GET, &upstream, &member);
    (void)close(upstream);
    expect_error(visitor, "HTTP/1.1 502 Bad Gateway\r\n", "complete response\n");
    assert_int_equal(scene_metric(s, METRIC_POOL_MOVES_TOTAL), 0);
}

/* ---- members that leave ---- */

static void pool_withdrawn_member_is_chosen_no_more(void **state)
{
    struct scene *s = *state;

    scene_start(s);
    endpoint_withdraw(s->endpoints[0]); /* and is in the tables still */
    for (unsigned i = 0; i < TIMES; i++) {
        unsigned member;
        int upstream;
        int visitor = ask(s, SCENE_GET, &upstream, &member);

        assert_int_equal(member, 1);
        expect_answer(s, upstream, visitor);
    }
}

static void pool_idle_streams_go_with_their_member_only(void **state)
{
    struct scene *s = *state;
    int upstreams[SCENE_WORKERS] = { -1, -1 };
    int visitor = -1;

    scene_start(s);
    visitor = scene_visit(s, 0);
    while (upstreams[0] == -1 || upstreams[1] == -1) {
        unsigned member;
        struct pollfd ready[2 * SCENE_WORKERS];

        scene_send(visitor, SCENE_GET);
        for (unsigned i = 0; i < SCENE_WORKERS; i++) {
            ready[i] = (struct pollfd){ .fd = upstreams[i], .events = POLLIN };
            ready[SCENE_WORKERS + i] =
                (struct pollfd){ .fd = s->agents[i].accepted[0], .events = POLLIN };
        }
        assert_true(poll(ready, 2 * SCENE_WORKERS, DEADLINE_MS) > 0);
        for (member = 0; ready[member].revents == 0 && ready[SCENE_WORKERS + member].revents == 0;)
            member++;
        if (upstreams[member] == -1)
            upstreams[member] = scene_accept(s, member);
        scene_expect(upstreams[member], SCENE_GET_UP);
        scene_send(upstreams[member], SCENE_OK);
        scene_expect(visitor, SCENE_OK);
    }
    assert_int_equal(scene_metric(s, METRIC_STREAMS), 2);
    scene_remove(s, 0);
    scene_expect_end(upstreams[0]);
    for (unsigned i = 0; i < TIMES; i++) {
        scene_send(visitor, SCENE_GET);
        scene_expect(upstreams[1], SCENE_GET_UP);
        scene_send(upstreams[1], SCENE_OK);
        scene_expect(visitor, SCENE_OK);
    }
    (void)close(visitor);
    (void)close(upstreams[1]);
}

/* ---- policies ---- */

static enum policy_verdict pass(struct policy_run *run)
{
    (void)run;
    return POLICY_CONTINUE;
}

static void pool_member_with_other_rules_is_no_way_out(void **state)
{
    struct scene *s = *state;
    bool answered = false;
    bool failed = false;

    give_policies(s, FAKE_PHASES_REQUEST, pass, NULL);
    s->endpoints[0]->rules = 1;
    s->endpoints[1]->rules = 2;
    atomic_store(&s->agents[0].mode, FAKE_REFUSES);
    scene_start(s);
    for (unsigned i = 0; i < 1000 && !(answered && failed); i++) {
        int visitor = scene_visit(s, 0);
        struct pollfd ready[] = { { .fd = visitor, .events = POLLIN },
                                  { .fd = s->agents[1].accepted[0], .events = POLLIN } };

        scene_send(visitor, SCENE_GET);
        assert_true(poll(ready, 2, DEADLINE_MS) > 0);
        if (ready[1].revents == 0) {
            expect_error(visitor, "HTTP/1.1 502 Bad Gateway\r\n", "refused the connection\n");
            failed = true;
        } else {
            int upstream = scene_accept(s, 1);

            scene_expect_until(upstream, "\r\n\r\n");
            expect_answer(s, upstream, visitor);
            answered = true;
        }
    }
    assert_true(answered && failed);
    assert_int_equal(scene_metric(s, METRIC_POOL_MOVES_TOTAL), 0);
}

static void pool_rules_do_not_run_again_for_the_other_member(void **state)
{
    struct scene *s = *state;

    give_policies(s, FAKE_PHASES_REQUEST, pass, NULL);
    s->endpoints[0]->rules = s->endpoints[1]->rules = 7;
    atomic_store(&s->agents[0].mode, FAKE_REFUSES);
    scene_start(s);
    for (unsigned i = 1; i <= TIMES; i++) {
        int visitor = scene_visit(s, 0);
        int upstream;

        scene_send(visitor, SCENE_GET);
        upstream = scene_accept(s, 1);
        scene_expect_until(upstream, "\r\n\r\n");
        expect_answer(s, upstream, visitor);
        assert_int_equal(fake_policy_made(), i);
    }
    assert_in_range(scene_metric(s, METRIC_POOL_MOVES_TOTAL), 1, TIMES);
}

static enum policy_verdict count_connects(struct policy_run *run)
{
    if (run->phase == POLICY_ON_TCP_CONNECT)
        atomic_fetch_add((atomic_uint *)run->policy->arg, 1);
    return POLICY_CONTINUE;
}

/* One visitor with TIMES requests; returns how many members got some. */
static unsigned ask_often(struct scene *s)
{
    int visitor = scene_visit(s, 0);
    unsigned seen = 0;

    for (unsigned i = 0; i < TIMES; i++) {
        unsigned member;
        int upstream;

        scene_send(visitor, SCENE_GET);
        upstream = accept_any(s, &member);
        scene_expect_until(upstream, "\r\n\r\n");
        scene_send(upstream, SCENE_OK);
        scene_expect(visitor, SCENE_OK);
        (void)close(upstream);
        scene_wait_metric(s, METRIC_STREAMS, 0);
        seen |= 1U << member;
    }
    (void)close(visitor);
    return (seen & 1) + (seen >> 1);
}

static void pool_connection_keeps_to_a_member_when_its_rules_differ(void **state)
{
    static atomic_uint connects;
    struct scene *s = *state;

    atomic_store(&connects, 0);
    give_policies(s, FAKE_PHASES_CONNECT, count_connects, &connects);
    s->endpoints[0]->connect_rules = 1;
    s->endpoints[1]->connect_rules = 2;
    scene_start(s);
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(ask_often(s), 1);
        assert_int_equal(atomic_load(&connects), i);
    }
}

static void pool_rules_for_connections_that_are_the_same_run_once(void **state)
{
    static atomic_uint connects;
    struct scene *s = *state;

    atomic_store(&connects, 0);
    give_policies(s, FAKE_PHASES_CONNECT, count_connects, &connects);
    s->endpoints[0]->connect_rules = s->endpoints[1]->connect_rules = 5;
    scene_start(s);
    assert_int_equal(ask_often(s), 2);
    assert_int_equal(atomic_load(&connects), 1);
}

/* ---- TCP ---- */

static void pool_tcp_dial_that_fails_goes_to_the_other_member(void **state)
{
    static const enum fake_open modes[] = { FAKE_REFUSES, FAKE_FAILS };
    struct scene *s = *state;

    scene_start(s);
    for (unsigned i = 0; i < TIMES; i++) {
        unsigned down = i / 4 % 2;
        int visitor;
        int upstream;

        atomic_store(&s->agents[down].mode, modes[i % 2]);
        atomic_store(&s->agents[1 - down].mode, FAKE_OPENS);
        visitor = scene_visit_port(s, i / 2 % 2, SCENE_PORT);
        scene_send(visitor, "hello");
        upstream = scene_accept(s, 1 - down);
        scene_expect(upstream, "hello");
        (void)close(visitor);
        scene_expect_end(upstream);
    }
    assert_in_range(scene_metric(s, METRIC_POOL_MOVES_TOTAL), 1, TIMES);
}

static void pool_tcp_dials_that_all_fail_close_the_connection(void **state)
{
    struct scene *s = *state;

    for (unsigned i = 0; i < SCENE_WORKERS; i++)
        atomic_store(&s->agents[i].mode, FAKE_FAILS);
    scene_start(s);
    for (unsigned i = 0; i < TIMES; i++)
        scene_expect_end(scene_visit_port(s, 0, SCENE_PORT));
    assert_int_equal(scene_metric(s, METRIC_POOL_MOVES_TOTAL), TIMES);
}

/* While it is dialled, a connection goes to the other member; once bytes pass, it ends with its own. */
static void pool_tcp_member_that_goes(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    atomic_store(&s->agents[0].mode, FAKE_WAITS);
    endpoint_withdraw(s->endpoints[1]);
    scene_start(s);
    visitor = scene_visit_port(s, 0, SCENE_PORT);
    scene_wait_metric(s, METRIC_RAW_CONNS, 1);
    atomic_store(&s->endpoints[1]->withdrawn, false);
    scene_remove(s, 0);
    upstream = scene_accept(s, 1);
    scene_send(visitor, "hello");
    scene_expect(upstream, "hello");
    scene_remove(s, 1);
    scene_expect_end(visitor);
    scene_expect_end(upstream);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define TCP(test)  cmocka_unit_test_setup_teardown(test, setup_tcp, teardown)
    const struct CMUnitTest tests[] = {
        CASE(pool_dial_that_fails_goes_to_the_other_member),
        CASE(pool_dials_that_all_fail_are_answered),
        CASE(pool_get_of_a_lost_session_goes_to_the_other_member),
        CASE(pool_request_that_may_have_been_carried_out_stays),
        CASE(pool_put_whose_body_was_not_taken_goes_on),
        CASE(pool_begun_answer_is_not_begun_again),
        CASE(pool_upstream_that_closes_is_not_passed_over),
        CASE(pool_withdrawn_member_is_chosen_no_more),
        CASE(pool_idle_streams_go_with_their_member_only),
        CASE(pool_member_with_other_rules_is_no_way_out),
        CASE(pool_rules_do_not_run_again_for_the_other_member),
        CASE(pool_connection_keeps_to_a_member_when_its_rules_differ),
        CASE(pool_rules_for_connections_that_are_the_same_run_once),
        TCP(pool_tcp_dial_that_fails_goes_to_the_other_member),
        TCP(pool_tcp_dials_that_all_fail_close_the_connection),
        TCP(pool_tcp_member_that_goes),
    };

    return cmocka_run_group_tests_name("gateway/pools", tests, NULL, NULL);
}
