/*
 * Unit tests of gateway/conn: keep-alive, pipelining, half-close, moving, draining and limits of one
 * downstream connection, over real workers and a fake agent.
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

#define GET_B   "GET / HTTP/1.1\r\nHost: b.example.com\r\n\r\n"
#define OFFLINE "GET / HTTP/1.1\r\nHost: no.example.com\r\n\r\n"

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

/* ---- keep-alive and pipelining ---- */

static void conn_requests_one_by_one_reuse_connection_and_stream(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    scene_start(s);
    visitor = scene_visit(s, 0);
    scene_send(visitor, SCENE_GET);
    upstream = scene_accept(s, 0);
    for (int i = 0; i < 3; i++) {
        if (i > 0)
            scene_send(visitor, SCENE_GET);
        scene_expect(upstream, SCENE_GET_UP);
        scene_send(upstream, SCENE_OK);
        scene_expect(visitor, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    }
    assert_int_equal(scene_metric(s, METRIC_STREAMS_REUSED_TOTAL), 2);
    assert_true(fake_agent_is_quiet(&s->agents[0]));
    (void)close(visitor);
    (void)close(upstream);
}

/* What three requests in one stream of bytes look like to the upstream, however they are cut. */
static const char three[] =
    "GET /1 HTTP/1.1\r\nHost: a.example.com\r\n\r\n"
    "POST /2 HTTP/1.1\r\nHost: a.example.com\r\nContent-Length: 5\r\n\r\nhello"
    "GET /3 HTTP/1.1\r\nHost: a.example.com\r\nConnection: close\r\n\r\n";

static void play_three(struct scene *s, int visitor, int *upstream)
{
    if (*upstream == -1)
        *upstream = scene_accept(s, 0);
    scene_expect(*upstream, "GET /1 HTTP/1.1\r\nhost: a.example.com\r\n" SCENE_FORWARDED "\r\n");
    scene_send(*upstream, SCENE_OK);
    scene_expect(*upstream, "POST /2 HTTP/1.1\r\nhost: a.example.com\r\n" SCENE_FORWARDED
                            "content-length: 5\r\n\r\nhello");
    scene_send(*upstream, SCENE_OK);
    scene_expect(*upstream, "GET /3 HTTP/1.1\r\nhost: a.example.com\r\n" SCENE_FORWARDED "\r\n");
    scene_send(*upstream, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    scene_expect(visitor, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
    scene_expect_end(visitor);
}

static void conn_pipelined_requests_split_anywhere_are_answered_in_order(void **state)
{
    struct scene *s = *state;
    int upstream = -1;

    scene_start(s);
    for (size_t cut = 0; cut < sizeof(three) - 1; cut++) {
        int visitor = scene_visit(s, 0);

        scene_send_bytes(visitor, three, cut);
        if (cut % 4 == 0)
            (void)usleep(2000); /* for most of these the parts come apart */
        scene_send(visitor, three + cut);
        play_three(s, visitor, &upstream);
    }
    (void)close(upstream);
}

static void send_slowly(int fd, const char *text)
{
    for (; *text != '\0'; text++) {
        scene_send_bytes(fd, text, 1);
        (void)usleep(200);
    }
}

static void conn_requests_byte_by_byte_are_answered(void **state)
{
    struct scene *s = *state;
    int upstream;
    int visitor;

    scene_start(s);
    visitor = scene_visit(s, 0);
    send_slowly(visitor, SCENE_GET);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, SCENE_GET_UP);
    send_slowly(upstream, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    send_slowly(visitor, "POST / HTTP/1.1\r\nHost: a.example.com\r\n"
                         "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n");
    scene_expect(upstream, "POST / HTTP/1.1\r\nhost: a.example.com\r\n" SCENE_FORWARDED
                           "transfer-encoding: chunked\r\n\r\n");
    scene_expect_until(upstream, "0\r\n\r\n");
    send_slowly(upstream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                          "2\r\nhi\r\n0\r\n\r\n");
    scene_expect(visitor, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    scene_expect_until(visitor, "0\r\n\r\n");
    (void)close(visitor);
    (void)close(upstream);
}

/* The answers to a visitor that asks and never reads are held back, not gathered. */
static void conn_pipelining_without_reading_is_stopped(void **state)
{
    struct scene *s = *state;
    int visitor;
    size_t sent = 0;
    int64_t before;

    scene_start(s);
    visitor = scene_visit(s, 0);
    for (;;) {
        static const char many[] = OFFLINE OFFLINE OFFLINE OFFLINE OFFLINE OFFLINE OFFLINE OFFLINE;
        ssize_t n;

        before = scene_metric(s, METRIC_REQUESTS_TOTAL);
        n = send(visitor, many, sizeof(many) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) {
            sent += (size_t)n;
            assert_true(sent < 64 * 1024 * 1024);
            continue;
        }
        (void)usleep(100000);
        if (scene_metric(s, METRIC_REQUESTS_TOTAL) == before)
            break; /* nothing moves any more */
    }
    assert_int_equal(scene_metric(s, METRIC_CONNS), 1);
    (void)close(visitor);
}

static void conn_flushing_goes_on_with_the_pipelined_request(void **state)
{
    enum { SIZE = 2 * 1024 * 1024 };
    struct scene *s = *state;
    int visitor;
    int upstream;

    scene_start(s);
    visitor = scene_visit(s, 0);
    scene_send(visitor, SCENE_GET SCENE_GET);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, SCENE_GET_UP);
    scene_send(upstream, "HTTP/1.1 200 OK\r\nContent-Length: 2097152\r\n\r\n");
    /* The visitor reads just so much that the upstream is rid of all, and the rest waits here. */
    scene_send_pattern(upstream, 0, 300 * 1024);
    scene_expect(visitor, "HTTP/1.1 200 OK\r\ncontent-length: 2097152\r\n\r\n");
    scene_expect_pattern(visitor, 0, 200 * 1024);
    for (size_t at = 300 * 1024; at < SIZE;) {
        size_t n = SIZE - at < 64 * 1024 ? SIZE - at : 64 * 1024;

        scene_send_pattern(upstream, at, n);
        scene_expect_pattern(visitor, at - 100 * 1024, n);
        at += n;
    }
    scene_expect_pattern(visitor, SIZE - 100 * 1024, 100 * 1024);
    scene_expect(upstream, SCENE_GET_UP);
    scene_send(upstream, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    (void)close(visitor);
    (void)close(upstream);
}

/* A chunk each of one byte: what is written is larger than what was read. */
static void conn_body_that_grows_is_never_left_behind(void **state)
{
    enum { CHUNKS = 200000 };
    static char body[CHUNKS * 6 + 5 + 1];
    static char wanted[sizeof(body)];
    struct scene *s = *state;
    size_t got = 0;
    int visitor;
    int upstream;

    for (size_t i = 0; i < CHUNKS; i++)
        memcpy(body + 6 * i, "1\r\nx\r\n", 6);
    memcpy(body + 6 * (size_t)CHUNKS, "0\r\n\r\n", 6);
    scene_start(s);
    visitor = scene_visit(s, 0);
    scene_send(visitor, "POST / HTTP/1.1\r\nHost: a.example.com\r\n"
                        "Transfer-Encoding: chunked\r\n\r\n");
    upstream = scene_accept(s, 0);
    scene_expect_head(upstream, "POST / HTTP/1.1\r\n");
    for (size_t sent = 0; sent < sizeof(body) - 1;) {
        size_t n = sizeof(body) - 1 - sent < 100000 ? sizeof(body) - 1 - sent : 100000;

        scene_send_bytes(visitor, body + sent, n);
        sent += n;
        /* Of a chunk that was cut nothing may be on the way yet. */
        while (got < (sent == sizeof(body) - 1 ? sent : sent - 6)) {
            ssize_t k = recv(upstream, wanted + got, sent - got, 0);

            assert_true(k > 0);
            got += (size_t)k;
        }
    }
    assert_memory_equal(wanted, body, sizeof(body) - 1);
    scene_send(upstream, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    (void)close(visitor);
    (void)close(upstream);
}

/* ---- the end of what the visitor sends ---- */

static void conn_half_close_behind_pipelined_requests_gets_all_answers(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    scene_start(s);
    visitor = scene_visit(s, 0);
    scene_send(visitor, SCENE_GET SCENE_GET);
    (void)shutdown(visitor, SHUT_WR);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, SCENE_GET_UP);
    scene_send(upstream, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    scene_expect(upstream, SCENE_GET_UP);
    scene_send(upstream, SCENE_OK);
    scene_expect(visitor, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n");
    scene_expect_until(visitor, "ok");
    scene_expect_end(visitor);
    (void)close(upstream);
}

static void conn_half_close_in_a_head_closes(void **state)
{
    struct scene *s = *state;
    int visitor;

    scene_start(s);
    visitor = scene_visit(s, 0);
    scene_send(visitor, "GET / HTTP/1.1\r\nHo");
    (void)shutdown(visitor, SHUT_WR);
    scene_expect_end(visitor);
}

static void conn_half_close_in_a_body_is_no_whole_request(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    scene_start(s);
    visitor = scene_visit(s, 0);
    scene_send(visitor, "POST / HTTP/1.1\r\nHost: a.example.com\r\nContent-Length: 9\r\n\r\nhel");
    upstream = scene_accept(s, 0);
    scene_expect_head(upstream, "POST / HTTP/1.1\r\n");
    scene_expect(upstream, "hel");
    (void)shutdown(visitor, SHUT_WR);
    scene_expect_end(upstream);
    scene_expect_end(visitor);
}

static void conn_visitor_that_leaves_ends_the_stream(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    scene_start(s);
    visitor = scene_visit(s, 0);
    scene_send(visitor, SCENE_GET);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, SCENE_GET_UP);
    scene_send(upstream, "HTTP/1.1 200 OK\r\n\r\nabc");
    scene_expect_until(visitor, "abc\r\n");
    (void)close(visitor);
    scene_send(upstream, "more");
    scene_expect_end(upstream);
}

/* ---- timeouts ---- */

static void conn_slow_head_is_answered_408(void **state)
{
    struct scene *s = *state;
    int visitor;

    s->config->request_head_timeout_ms = 60;
    scene_start(s);
    visitor = scene_visit(s, 0);
    scene_send(visitor, "GET / HTTP/1.1\r\n");
    scene_expect(visitor, "HTTP/1.1 408 Request Timeout\r\n");
    scene_expect_until(visitor, "ERR_SALLYPORT_3007\r\ncontent-length");
    scene_expect_until(visitor, "connection: close\r\n\r\n");
    scene_expect_until(visitor, "in time\n");
    scene_expect_end(visitor);
}

static void short_idle(struct config *c)
{
    c->keepalive_timeout_ms = 60;
    c->request_head_timeout_ms = 0;
}

static void conn_idle_is_closed_after_its_time(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    scene_start(s);
    visitor = scene_visit(s, 0);
    scene_send(visitor, SCENE_GET SCENE_GET);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, SCENE_GET_UP);
    scene_reconfigure(s, short_idle);
    scene_expect_end(scene_visit(s, 0));
    scene_send(upstream, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    scene_expect(upstream, SCENE_GET_UP); /* it was idle for no time at all */
    (void)usleep(150000);                 /* an exchange is not idle */
    scene_send(upstream, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    scene_expect_end(visitor);
    (void)close(upstream);
}

/* The last response is out of the exchange, but the visitor does not read it. */
static void conn_flushing_is_closed_when_nothing_moves(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;
    size_t n;

    s->config->stall_timeout_ms = 2500; /* until then the visitor must be stuffed */
    s->config->keepalive_timeout_ms = 0;
    scene_start(s);
    visitor = scene_visit(s, 0);
    scene_send(visitor, SCENE_GET);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, SCENE_GET_UP);
    scene_send(upstream, "HTTP/1.1 200 OK\r\n\r\n");
    n = scene_stuff(upstream);
    assert_true(n > 0);
    (void)close(upstream);
    scene_wait_metric(s, METRIC_CONNS, 0);
    (void)close(visitor);
}

/* ---- limits that change under way ---- */

static void raise_limits(struct config *c)
{
    c->request_head_max_bytes = 4 * 1024 * 1024;
    c->response_head_max_bytes = 4 * 1024 * 1024;
}

static void conn_limits_raised_by_a_reload_hold_at_once(void **state)
{
    enum { FIELD = 3 * 1024 * 1024 };
    static char field[FIELD + 1];
    struct scene *s = *state;
    int visitor;
    int upstream;

    s->config->request_head_max_bytes = 1024;
    s->config->response_head_max_bytes = 1024;
    scene_start(s);
    visitor = scene_visit(s, 0);
    scene_send(visitor, SCENE_GET);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, SCENE_GET_UP);
    scene_reconfigure(s, raise_limits);
    memset(field, 'f', FIELD);
    scene_send(upstream, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nf: ");
    scene_send(upstream, field);
    scene_send(upstream, "\r\n\r\n");
    scene_expect(visitor, "HTTP/1.1 200 OK\r\nf: ");
    scene_expect(visitor, field);
    scene_expect(visitor, "\r\ncontent-length: 0\r\n\r\n");
    scene_send(visitor, "GET / HTTP/1.1\r\nHost: a.example.com\r\nf: ");
    scene_send(visitor, field);
    scene_send(visitor, "\r\n\r\n");
    scene_expect(upstream, "GET / HTTP/1.1\r\nhost: a.example.com\r\nf: ");
    scene_expect(upstream, field);
    scene_expect(upstream, "\r\n" SCENE_FORWARDED "\r\n");
    scene_send(upstream, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    (void)close(visitor);
    (void)close(upstream);
}

static void conn_head_above_its_limit_is_answered_431(void **state)
{
    char field[1025];
    struct scene *s = *state;
    int visitor;

    s->config->request_head_max_bytes = 1024;
    scene_start(s);
    visitor = scene_visit(s, 0);
    memset(field, 'f', sizeof(field) - 1);
    field[sizeof(field) - 1] = '\0';
    scene_send(visitor, "GET / HTTP/1.1\r\nf: ");
    scene_send(visitor, field);
    scene_expect_head(visitor, "HTTP/1.1 431 Request Header Fields Too Large\r\n");
    scene_expect_until(visitor, "bytes\n");
    scene_expect_end(visitor);
}

/* ---- moving ---- */

static void conn_first_request_for_another_worker_moves_there(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    scene_start(s);
    visitor = scene_visit(s, 0);
    scene_send(visitor, GET_B GET_B);
    upstream = scene_accept(s, 1);
    for (int i = 0; i < 2; i++) {
        scene_expect_head(upstream, "GET / HTTP/1.1\r\nhost: b.example.com\r\n");
        scene_send(upstream, SCENE_OK);
        scene_expect(visitor, SCENE_OK);
    }
    assert_int_equal(scene_metric(s, METRIC_HANDOFFS_TOTAL), 1);
    assert_int_equal(scene_metric(s, METRIC_RELAYS), 0);
    (void)close(visitor);
    (void)close(upstream);
}

static void conn_later_request_for_another_worker_is_relayed(void **state)
{
    struct scene *s = *state;
    int visitor;
    int first;
    int second;

    scene_start(s);
    visitor = scene_visit(s, 0);
    scene_send(visitor, GET_B);
    first = scene_accept(s, 1);
    scene_expect_head(first, "GET / HTTP/1.1\r\n");
    scene_send(first, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    scene_send(visitor, SCENE_GET);
    second = scene_accept(s, 0);
    scene_expect(second, SCENE_GET_UP);
    scene_send(second, SCENE_OK);
    scene_expect(visitor, SCENE_OK);
    assert_int_equal(scene_metric(s, METRIC_RELAYS), 1);
    (void)close(visitor);
    (void)close(first);
    (void)close(second);
}

/* A request that is held back until the upstream says 100 must have been sent there, also over a kept
 * stream after a move. */
static void conn_moved_request_that_waits_for_continue_is_sent(void **state)
{
    struct scene *s = *state;
    int upstream = -1;

    scene_start(s);
    for (int i = 0; i < 2; i++) {
        int visitor = scene_visit(s, 0);

        scene_send(visitor, "POST / HTTP/1.1\r\nHost: b.example.com\r\nContent-Length: 2\r\n"
                            "Expect: 100-continue\r\nConnection: close\r\n\r\n");
        if (upstream == -1)
            upstream = scene_accept(s, 1);
        scene_expect_head(upstream, "POST / HTTP/1.1\r\n");
        scene_send(upstream, "HTTP/1.1 100 Continue\r\n\r\n");
        scene_expect(visitor, "HTTP/1.1 100 Continue\r\n\r\n");
        scene_send(visitor, "hi");
        scene_expect(upstream, "hi");
        scene_send(upstream, SCENE_OK);
        scene_expect_head(visitor, "HTTP/1.1 200 OK\r\n");
        scene_expect(visitor, "ok");
        scene_expect_end(visitor);
    }
    assert_int_equal(scene_metric(s, METRIC_HANDOFFS_TOTAL), 2);
    (void)close(upstream);
}

/* ---- draining ---- */

static void conn_drain_closes_idle_and_lets_exchanges_finish(void **state)
{
    struct scene *s = *state;
    int idle;
    int busy;
    int upstream;

    scene_start(s);
    idle = scene_visit(s, 1);
    busy = scene_visit(s, 0);
    scene_send(busy, SCENE_GET SCENE_GET);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, SCENE_GET_UP);
    scene_wait_metric(s, METRIC_CONNS, 2);
    scene_drain(s);
    scene_expect_end(idle);
    scene_wait_metric(s, METRIC_CONNS, 1);
    assert_int_equal(atomic_load(&s->drained), 1);
    scene_send(upstream, SCENE_OK);
    scene_expect(busy, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
    scene_expect_end(busy);
    scene_expect_end(upstream);
    scene_wait_drained(s);
}

static void conn_drain_cuts_a_tunnel_at_the_limit(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    s->config->drain_ms = 100;
    scene_start(s);
    visitor = scene_visit(s, 0);
    scene_send(visitor, "GET / HTTP/1.1\r\nHost: a.example.com\r\nConnection: upgrade\r\n"
                        "Upgrade: x\r\n\r\n");
    upstream = scene_accept(s, 0);
    scene_expect_head(upstream, "GET / HTTP/1.1\r\n");
    scene_send(upstream, "HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    scene_expect_head(visitor, "HTTP/1.1 101 Go\r\n");
    scene_drain(s);
    scene_wait_drained(s);
    scene_expect_end(visitor);
    scene_expect_end(upstream);
}

/* Connections that are on their way to another worker while both drain end as all others do. */
static void conn_drain_waits_for_connections_that_move(void **state)
{
    enum { VISITORS = 64 };
    struct scene *s = *state;
    int visitors[VISITORS];

    s->config->drain_ms = 20000;
    atomic_store(&s->agents[1].mode, FAKE_REFUSES);
    scene_start(s);
    for (size_t i = 0; i < VISITORS; i++) {
        visitors[i] = scene_visit(s, 0);
        scene_send(visitors[i], GET_B);
        if (i == VISITORS / 2)
            scene_drain(s);
    }
    scene_wait_drained(s);
    for (size_t i = 0; i < VISITORS; i++)
        (void)close(visitors[i]);
}

/* The other worker has ended already and finds the connection in its mailbox when it is freed. */
static void conn_moved_to_a_worker_that_has_ended_is_closed(void **state)
{
    struct scene *s = *state;
    int visitor;

    scene_start(s);
    scene_cut(s, 1);
    visitor = scene_visit(s, 0);
    scene_send(visitor, GET_B "x");
    scene_wait_metric(s, METRIC_CONNS_TOTAL, 1);
    scene_wait_metric(s, METRIC_CONNS, 0);
    scene_cut(s, 0);
    (void)close(visitor);
}

int main(void)
{
#define WITH_SCENE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_SCENE(conn_requests_one_by_one_reuse_connection_and_stream),
        WITH_SCENE(conn_pipelined_requests_split_anywhere_are_answered_in_order),
        WITH_SCENE(conn_requests_byte_by_byte_are_answered),
        WITH_SCENE(conn_pipelining_without_reading_is_stopped),
        WITH_SCENE(conn_flushing_goes_on_with_the_pipelined_request),
        WITH_SCENE(conn_body_that_grows_is_never_left_behind),
        WITH_SCENE(conn_half_close_behind_pipelined_requests_gets_all_answers),
        WITH_SCENE(conn_half_close_in_a_head_closes),
        WITH_SCENE(conn_half_close_in_a_body_is_no_whole_request),
        WITH_SCENE(conn_visitor_that_leaves_ends_the_stream),
        WITH_SCENE(conn_slow_head_is_answered_408),
        WITH_SCENE(conn_idle_is_closed_after_its_time),
        WITH_SCENE(conn_flushing_is_closed_when_nothing_moves),
        WITH_SCENE(conn_limits_raised_by_a_reload_hold_at_once),
        WITH_SCENE(conn_head_above_its_limit_is_answered_431),
        WITH_SCENE(conn_first_request_for_another_worker_moves_there),
        WITH_SCENE(conn_later_request_for_another_worker_is_relayed),
        WITH_SCENE(conn_moved_request_that_waits_for_continue_is_sent),
        WITH_SCENE(conn_drain_closes_idle_and_lets_exchanges_finish),
        WITH_SCENE(conn_drain_cuts_a_tunnel_at_the_limit),
        WITH_SCENE(conn_drain_waits_for_connections_that_move),
        WITH_SCENE(conn_moved_to_a_worker_that_has_ended_is_closed),
    };

    return cmocka_run_group_tests_name("gateway/conn", tests, NULL, NULL);
}
