/*
 * Unit tests of gateway/upstream: streams that fail, are kept, are reused, say too much, or are slow,
 * over real workers and a fake agent.
 * Links: tests/unit/gateway/fake_agent tests/unit/gateway/fake_policy
 * Links: tests/unit/gateway/http_scene
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/gateway/http_scene.h"

#define HOST "Host: a.example.com\r\n"
#define POST "POST / HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi"

enum { MIB = 1024 * 1024, LARGE = 8 * MIB };

static int setup(void **state)
{
    *state = scene_new();
    return 0;
}

static int teardown(void **state)
{
    scene_free(*state);
    return 0;
}

static int ask(struct scene *s, const char *request)
{
    int visitor = scene_visit(s, 0);

    scene_send(visitor, request);
    return visitor;
}

/* Reads an error answer and hangs up. */
static void expect_error(int visitor, const char *status_line, const char *end)
{
    scene_expect_head(visitor, status_line);
    scene_expect_until(visitor, end);
    (void)close(visitor);
}

/* ---- the dial ---- */

static void upstream_dial_failures_are_answered(void **state)
{
    struct scene *s = *state;

    scene_start(s);
    for (unsigned worker = 0; worker < SCENE_WORKERS; worker++) {
        int visitor;

        atomic_store(&s->agents[worker].mode, FAKE_REFUSES);
        visitor = scene_visit(s, worker);
        scene_send(visitor,
                   worker == 0 ? POST POST : "GET / HTTP/1.1\r\nHost: b.example.com\r\n\r\n");
        expect_error(visitor, "HTTP/1.1 502 Bad Gateway\r\n", "refused the connection\n");
        atomic_store(&s->agents[worker].mode, FAKE_FAILS);
        visitor = scene_visit(s, 1 - worker);
        scene_send(visitor,
                   worker == 0 ? SCENE_GET : "GET / HTTP/1.1\r\nHost: b.example.com\r\n\r\n");
        expect_error(visitor, "HTTP/1.1 503 Service Unavailable\r\n", "connections open\n");
    }
}

static void upstream_given_up_while_it_is_dialled_is_closed(void **state)
{
    struct scene *s = *state;
    int visitor;

    s->config->response_head_timeout_ms = 100;
    atomic_store(&s->agents[0].mode, FAKE_WAITS);
    scene_start(s);
    visitor = scene_visit(s, 0);
    scene_send(visitor, SCENE_GET);
    expect_error(visitor, "HTTP/1.1 504 Gateway Timeout\r\n", "no response\n");
    scene_wait_metric(s, METRIC_STREAMS, 0);
}

/* ---- ends in each state ---- */

static void upstream_end_without_a_head_is_502(void **state)
{
    static const char *const heads[] = { "", "HTTP/1.1 2", "HTTP/1.1 200 OK\r\nX: y\r\n",
                                         "HTTP/1.1 103 Hint\r\n\r\n" };
    struct scene *s = *state;

    scene_start(s);
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        int visitor = ask(s, POST);
        int upstream = scene_accept(s, 0);

        scene_expect_until(upstream, "\r\n\r\nhi");
        scene_send(upstream, heads[i]);
        (void)close(upstream);
        if (i == 3)
            scene_expect(visitor, heads[i]);
        expect_error(visitor, "HTTP/1.1 502 Bad Gateway\r\n", "complete response\n");
    }
}

static void upstream_end_in_the_body_cuts_the_response(void **state)
{
    static const char *const starts[] = {
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
    };
    struct scene *s = *state;

    scene_start(s);
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        int visitor = ask(s, SCENE_GET);
        int upstream = scene_accept(s, 0);

        scene_expect(upstream, SCENE_GET_UP);
        scene_send(upstream, starts[i]);
        scene_expect(visitor, starts[i]);
        (void)close(upstream);
        scene_expect_end(visitor);
    }
}

static void upstream_session_lost_is_502_or_cut(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    scene_start(s);
    visitor = ask(s, POST);
    upstream = scene_accept(s, 0);
    scene_expect_until(upstream, "hi");
    fake_agent_lose(&s->agents[0]);
    expect_error(visitor, "HTTP/1.1 502 Bad Gateway\r\n", "session ended\n");
    (void)close(upstream);
    visitor = ask(s, SCENE_GET);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, SCENE_GET_UP);
    scene_send(upstream, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc");
    scene_expect(visitor, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc");
    fake_agent_lose(&s->agents[0]);
    scene_expect_end(visitor);
    (void)close(upstream);
}

static void upstream_session_lost_while_idle_is_dropped(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    scene_start(s);
    visitor = ask(s, SCENE_GET);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, SCENE_GET_UP);
    scene_send(upstream, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    assert_int_equal(scene_metric(s, METRIC_STREAMS), 1);
    fake_agent_lose(&s->agents[0]);
    scene_wait_metric(s, METRIC_STREAMS, 0);
    (void)close(visitor);
    (void)close(upstream);
}

/* ---- reuse ---- */

static void upstream_dead_idle_stream_is_replaced_for_a_get(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    scene_start(s);
    visitor = ask(s, SCENE_GET);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, SCENE_GET_UP);
    scene_send(upstream, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    scene_send(visitor, SCENE_GET);
    scene_expect(upstream, SCENE_GET_UP);
    (void)close(upstream); /* after the request was read, before any byte of an answer */
    upstream = scene_accept(s, 0);
    scene_expect(upstream, SCENE_GET_UP);
    scene_send(upstream, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    assert_int_equal(scene_metric(s, METRIC_RETRIES_TOTAL), 1);
    (void)close(visitor);
    (void)close(upstream);
}

static void upstream_dead_fresh_stream_is_not_tried_again(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    scene_start(s);
    visitor = ask(s, SCENE_GET);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, SCENE_GET_UP);
    (void)close(upstream);
    expect_error(visitor, "HTTP/1.1 502 Bad Gateway\r\n", "complete response\n");
    assert_true(fake_agent_is_quiet(&s->agents[0]));
}

static void upstream_post_and_begun_answers_are_not_tried_again(void **state)
{
    static const struct {
        const char *request;
        const char *answer;
    } cases[] = {
        { POST, "" },
        { "POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", "" },
        { "PUT / HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi", "" },
        { SCENE_GET, "H" },
    };
    struct scene *s = *state;

    scene_start(s);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int visitor = ask(s, SCENE_GET);
        int upstream = scene_accept(s, 0);

        scene_expect(upstream, SCENE_GET_UP);
        scene_send(upstream, SCENE_OK);
        scene_expect(visitor, SCENE_OK);
        scene_send(visitor, cases[i].request);
        scene_expect_until(upstream, "\r\n\r\n");
        if (strstr(cases[i].request, "\r\n\r\nhi") != NULL)
            scene_expect(upstream, "hi");
        scene_send(upstream, cases[i].answer);
        (void)close(upstream);
        expect_error(visitor, "HTTP/1.1 502 Bad Gateway\r\n", "complete response\n");
        assert_true(fake_agent_is_quiet(&s->agents[0]));
    }
    assert_int_equal(scene_metric(s, METRIC_RETRIES_TOTAL), 0);
}

/* Bytes behind a response must never be the answer to the next request. */
static void upstream_that_says_too_much_is_not_reused(void **state)
{
    static const char *const answers[] = {
        SCENE_OK "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
        SCENE_OK "x",
        "HTTP/1.1 304 Same\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\r\n",
    };
    struct scene *s = *state;

    scene_start(s);
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        int visitor = ask(s, SCENE_GET);
        int upstream = scene_accept(s, 0);

        scene_expect(upstream, SCENE_GET_UP);
        scene_send(upstream, answers[i]);
        scene_expect_end(upstream);
        (void)close(visitor);
    }
    assert_int_equal(scene_metric(s, METRIC_STREAMS_REUSED_TOTAL), 0);
}

static void upstream_that_speaks_while_idle_is_dropped(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    scene_start(s);
    visitor = ask(s, SCENE_GET);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, SCENE_GET_UP);
    scene_send(upstream, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    scene_send(upstream, "HTTP/1.1 408 Late\r\n\r\n");
    scene_expect_end(upstream);
    scene_wait_metric(s, METRIC_STREAMS, 0);
    scene_send(visitor, SCENE_GET);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, SCENE_GET_UP);
    scene_send(upstream, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    (void)close(visitor);
    (void)close(upstream);
}

static void upstream_idle_limits_hold(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    s->config->upstream_idle_max = 0;
    scene_start(s);
    visitor = ask(s, SCENE_GET);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, SCENE_GET_UP);
    scene_send(upstream, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    scene_expect_end(upstream);
    scene_wait_metric(s, METRIC_STREAMS, 0);
    (void)close(visitor);
}

static void upstream_idle_stream_ends_after_its_time(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    s->config->upstream_idle_ms = 100;
    scene_start(s);
    visitor = ask(s, SCENE_GET);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, SCENE_GET_UP);
    scene_send(upstream, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    scene_expect_end(upstream);
    (void)close(visitor);
}

/* ---- heads that are too much ---- */

static void upstream_bad_heads_are_502(void **state)
{
    static const char *const heads[] = {
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    };
    struct scene *s = *state;

    scene_start(s);
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        int visitor = ask(s, SCENE_GET);
        int upstream = scene_accept(s, 0);

        scene_expect(upstream, SCENE_GET_UP);
        scene_send(upstream, heads[i]);
        expect_error(visitor, "HTTP/1.1 502 Bad Gateway\r\n", "\n");
        scene_expect_end(upstream);
    }
}

/* All heads of a response have the limit of one, so that 1xx without end cost no memory without end. */
static void upstream_endless_interim_responses_are_stopped(void **state)
{
    static const char interim[] = "HTTP/1.1 102 Processing\r\n\r\n";
    struct scene *s = *state;
    int visitor;
    int upstream;

    s->config->response_head_max_bytes = 1024;
    scene_start(s);
    visitor = ask(s, SCENE_GET);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, SCENE_GET_UP);
    for (size_t i = 0; i < 1024 / (sizeof(interim) - 1); i++) {
        scene_send(upstream, interim);
        scene_expect(visitor, interim);
    }
    scene_send(upstream, interim);
    expect_error(visitor, "HTTP/1.1 502 Bad Gateway\r\n", "bytes\n");
    scene_expect_end(upstream);
}

/* A visitor that does not read stops the reading of interim heads too. */
static void upstream_interim_responses_wait_for_the_visitor(void **state)
{
    enum { HEADS = 40, FIELD = 20000 };
    static char head[FIELD + 64];
    struct scene *s = *state;
    int visitor;
    int upstream;
    ssize_t n = 0;
    size_t sent = 0;

    memset(head, 'f', sizeof(head));
    memcpy(head, "HTTP/1.1 102 Processing\r\nx: ", 28);
    memcpy(head + FIELD, "\r\n\r\n", 5);
    scene_start(s);
    visitor = ask(s, SCENE_GET);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, SCENE_GET_UP);
    for (; sent < HEADS && n >= 0; sent++) {
        (void)usleep(5000);
        n = send(upstream, head, strlen(head), MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    assert_true(n == -1); /* before all were taken */
    for (size_t i = 0; i + 1 < sent; i++)
        scene_expect(visitor, head);
    scene_send(upstream, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    (void)close(visitor);
    (void)close(upstream);
}

/* A head in pieces, with the body right behind it in the last. */
static void upstream_head_in_pieces_gives_up_no_byte_behind_it(void **state)
{
    enum { BODY = 300 * 1024 };
    struct scene *s = *state;
    int visitor;
    int upstream;

    scene_start(s);
    visitor = ask(s, SCENE_GET);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, SCENE_GET_UP);
    scene_send(upstream, "HTTP/1.1 200 OK\r\nConte");
    (void)usleep(20000);
    scene_send(upstream, "nt-Length: 307200\r\n\r\n");
    scene_send_pattern(upstream, 0, BODY);
    scene_expect(visitor, "HTTP/1.1 200 OK\r\ncontent-length: 307200\r\n\r\n");
    scene_expect_pattern(visitor, 0, BODY);
    (void)close(visitor);
    (void)close(upstream);
}

/* ---- slow sides ---- */

static void upstream_slow_visitor_holds_a_large_response(void **state)
{
    static const char *const heads[] = { "Content-Length: 8388608\r\n", "" };
    struct scene *s = *state;

    scene_start(s);
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        int visitor = ask(s, SCENE_GET);
        int upstream = scene_accept(s, 0);
        size_t taken;

        scene_expect(upstream, SCENE_GET_UP);
        scene_send(upstream, "HTTP/1.1 200 OK\r\n");
        scene_send(upstream, heads[i]);
        scene_send(upstream, "\r\n");
        taken = scene_stuff(upstream);
        assert_true(taken < 2 * MIB); /* two socket buffers and some pieces */
        if (i == 0) {
            scene_expect(visitor, "HTTP/1.1 200 OK\r\ncontent-length: 8388608\r\n\r\n");
            scene_expect_pattern(visitor, 0, taken);
            for (size_t at = taken; at < LARGE;) {
                size_t n = LARGE - at < 32 * 1024 ? LARGE - at : 32 * 1024;

                scene_send_pattern(upstream, at, n);
                scene_expect_pattern(visitor, at, n);
                at += n;
            }
        }
        (void)close(upstream);
        (void)close(visitor);
    }
}

static void upstream_slow_one_holds_a_large_request(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;
    size_t taken;

    scene_start(s);
    visitor = ask(s, "POST / HTTP/1.1\r\n" HOST "Content-Length: 8388608\r\n\r\n");
    upstream = scene_accept(s, 0);
    taken = scene_stuff(visitor);
    assert_true(taken < 2 * MIB);
    scene_expect_head(upstream, "POST / HTTP/1.1\r\n");
    scene_expect_pattern(upstream, 0, taken);
    for (size_t at = taken; at < LARGE;) {
        size_t n = LARGE - at < 32 * 1024 ? LARGE - at : 32 * 1024;

        scene_send_pattern(visitor, at, n);
        scene_expect_pattern(upstream, at, n);
        at += n;
    }
    scene_send(upstream, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    (void)close(visitor);
    (void)close(upstream);
}

int main(void)
{
#define WITH_SCENE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_SCENE(upstream_dial_failures_are_answered),
        WITH_SCENE(upstream_given_up_while_it_is_dialled_is_closed),
        WITH_SCENE(upstream_end_without_a_head_is_502),
        WITH_SCENE(upstream_end_in_the_body_cuts_the_response),
        WITH_SCENE(upstream_session_lost_is_502_or_cut),
        WITH_SCENE(upstream_session_lost_while_idle_is_dropped),
        WITH_SCENE(upstream_dead_idle_stream_is_replaced_for_a_get),
        WITH_SCENE(upstream_dead_fresh_stream_is_not_tried_again),
        WITH_SCENE(upstream_post_and_begun_answers_are_not_tried_again),
        WITH_SCENE(upstream_that_says_too_much_is_not_reused),
        WITH_SCENE(upstream_that_speaks_while_idle_is_dropped),
        WITH_SCENE(upstream_idle_limits_hold),
        WITH_SCENE(upstream_idle_stream_ends_after_its_time),
        WITH_SCENE(upstream_bad_heads_are_502),
        WITH_SCENE(upstream_endless_interim_responses_are_stopped),
        WITH_SCENE(upstream_interim_responses_wait_for_the_visitor),
        WITH_SCENE(upstream_head_in_pieces_gives_up_no_byte_behind_it),
        WITH_SCENE(upstream_slow_visitor_holds_a_large_response),
        WITH_SCENE(upstream_slow_one_holds_a_large_request),
    };

    return cmocka_run_group_tests_name("gateway/upstream", tests, NULL, NULL);
}
