/*
 * Unit tests of gateway/conn_http2: a visitor with prior knowledge, whose frames are made by hand, over
 * real workers and a fake agent.
 * Links: tests/unit/gateway/fake_agent tests/unit/gateway/fake_policy
 * Links: tests/unit/gateway/http_scene
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "gateway/http2_frames.h"
#include "gateway/websocket.h"
#include "tests/unit/gateway/http_scene.h"

enum {
    DATA = 0,
    HEADERS = 1,
    RST_STREAM = 3,
    SETTINGS = 4,
    PING = 6,
    GOAWAY = 7,
    CONTINUATION = 9,
    ACK = 1,
    END_STREAM = 1,
    END_HEADERS = 4,
    PADDED = 8,
    STREAM_CLOSED = 5,
    REFUSED_STREAM = 7,
    ENHANCE_YOUR_CALM = 11,
};

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
/* HPACK: GET, http, /, and the authority as a literal. */
#define GET_A                                                                                      \
    "\x82\x86\x84\x01\x0d"                                                                         \
    "a.example.com"
#define GET_B                                                                                      \
    "\x82\x86\x84\x01\x0d"                                                                         \
    "b.example.com"
#define POST_B                                                                                     \
    "\x83\x86\x84\x01\x0d"                                                                         \
    "b.example.com"
#define POST_A                                                                                     \
    "\x83\x86\x84\x01\x0d"                                                                         \
    "a.example.com"

/* A WebSocket: the method and :protocol are literals, too. */
#define CONNECT_A                                                                                  \
    "\x02\x07"                                                                                     \
    "CONNECT"                                                                                      \
    "\x86\x84\x01\x0d"                                                                             \
    "a.example.com"                                                                                \
    "\0\x09"                                                                                       \
    ":protocol"                                                                                    \
    "\x09"                                                                                         \
    "websocket"

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

static void add_frame(struct buf *out, int type, int flags, int stream, const char *payload,
                      size_t n)
{
    const char head[] = {
        (char)(n >> 16), (char)(n >> 8), (char)n, (char)type, (char)flags, 0, 0, 0, (char)stream
    };

    buf_add(out, head, sizeof(head));
    buf_add(out, payload, n);
}

static void send_frame(int fd, int type, int flags, int stream, const char *payload, size_t n)
{
    struct buf out;

    buf_init(&out, 32 * 1024);
    add_frame(&out, type, flags, stream, payload, n);
    scene_send_bytes(fd, out.mem, out.len);
    buf_fini(&out);
}

#define ADD(out, type, flags, stream, payload)                                                     \
    add_frame(out, type, flags, stream, payload, sizeof(payload) - 1)
#define SEND(fd, type, flags, stream, payload)                                                     \
    send_frame(fd, type, flags, stream, payload, sizeof(payload) - 1)

static void read_all(int fd, char *p, size_t n)
{
    while (n > 0) {
        ssize_t got = read(fd, p, n);

        assert_true(got > 0);
        p += got;
        n -= (size_t)got;
    }
}

/* The next frame; its payload, as far as there is room. */
static struct http2_frame read_frame(int fd, char payload[64])
{
    struct http2_frames f = { 0 };
    struct http2_frame frame;
    char head[HTTP2_FRAME_HEAD_BYTES];
    bool begins;

    read_all(fd, head, sizeof(head));
    assert_int_equal(http2_frames_next(&f, str_of(head, sizeof(head)), &begins, &frame),
                     sizeof(head));
    for (size_t i = 0; i < frame.bytes; i++) {
        char c;

        read_all(fd, &c, 1);
        if (i < 64)
            payload[i] = c;
    }
    return frame;
}

/* The next frame of this type; others are thrown away. */
static struct http2_frame expect_frame(int fd, int type, char payload[64])
{
    for (;;) {
        struct http2_frame frame = read_frame(fd, payload);

        if (frame.type == type)
            return frame;
    }
}

static void expect_goaway(int fd, int error)
{
    char payload[64];

    (void)expect_frame(fd, GOAWAY, payload);
    assert_int_equal(payload[7], error);
    scene_expect_end(fd);
}

static int visit(struct scene *s)
{
    int fd = scene_visit(s, 0);

    scene_send(fd, PREFACE);
    SEND(fd, SETTINGS, 0, 0, "");
    return fd;
}

static void expect_ok(int visitor, int stream)
{
    char payload[64] = { 0 };
    struct http2_frame frame = expect_frame(visitor, HEADERS, payload);

    assert_int_equal(frame.stream_id, stream);
    assert_int_equal(payload[0] & 0xff, 0x88); /* :status 200 */
    frame = expect_frame(visitor, DATA, payload);
    assert_int_equal(frame.stream_id, stream);
    assert_int_equal(frame.flags, END_STREAM);
    assert_memory_equal(payload, "ok", 2);
}

static void conn_speaks_http2_with_prior_knowledge(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    scene_start(s);
    visitor = visit(s);
    SEND(visitor, HEADERS, END_STREAM | END_HEADERS, 1, GET_A);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, SCENE_GET_UP);
    scene_send(upstream, SCENE_OK);
    expect_ok(visitor, 1);
    assert_int_equal(scene_metric(s, METRIC_HTTP2_CONNS_TOTAL), 1);
    (void)close(visitor);
    (void)close(upstream);
}

static void conn_takes_the_preface_a_byte_at_a_time(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    scene_start(s);
    visitor = scene_visit(s, 0);
    for (const char *p = PREFACE; *p != '\0'; p++)
        scene_send_bytes(visitor, p, 1);
    SEND(visitor, SETTINGS, 0, 0, "");
    SEND(visitor, HEADERS, END_STREAM | END_HEADERS, 1, GET_A);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, SCENE_GET_UP);
    scene_send(upstream, SCENE_OK);
    expect_ok(visitor, 1);
    (void)close(visitor);
    (void)close(upstream);
}

static void streams_of_one_conn_reach_both_workers(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream[2];

    scene_start(s);
    visitor = visit(s);
    SEND(visitor, HEADERS, END_STREAM | END_HEADERS, 1, GET_A);
    SEND(visitor, HEADERS, END_STREAM | END_HEADERS, 3, GET_B);
    for (unsigned i = 0; i < 2; i++)
        upstream[i] = scene_accept(s, i);
    for (unsigned i = 2; i-- > 0;) { /* the later one is answered first */
        scene_expect_until(upstream[i], "\r\n\r\n");
        scene_send(upstream[i], SCENE_OK);
        expect_ok(visitor, i == 0 ? 1 : 3);
        (void)close(upstream[i]);
    }
    assert_int_equal(scene_metric(s, METRIC_HANDOFFS_TOTAL), 0);
    (void)close(visitor);
}

static void answer(int upstream)
{
    scene_expect_head(upstream, "GET / HTTP/1.1\r\nhost: b.example.com\r\n");
    scene_send(upstream, SCENE_OK);
}

static void first_request_for_another_worker_moves_the_conn(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    scene_start(s);
    visitor = visit(s);
    SEND(visitor, HEADERS, END_STREAM | END_HEADERS, 1, GET_B);
    upstream = scene_accept(s, 1);
    for (int stream = 1; stream <= 5; stream += 2) {
        if (stream > 1)
            SEND(visitor, HEADERS, END_STREAM | END_HEADERS, stream, GET_B);
        answer(upstream);
        expect_ok(visitor, stream);
    }
    assert_int_equal(scene_metric(s, METRIC_HANDOFFS_TOTAL), 1);
    assert_int_equal(scene_metric(s, METRIC_RELAYS), 0);
    (void)close(visitor);
    (void)close(upstream);
    scene_wait_metric(s, METRIC_HTTP2_STREAMS, 0);
}

/* Frames that came together with the request are read behind the move, in their order. */
static void what_stands_behind_the_moving_request_goes_along(void **state)
{
    struct scene *s = *state;
    struct buf out;
    int visitor;
    int upstream[2];

    scene_start(s);
    buf_init(&out, 1024);
    visitor = scene_visit(s, 0);
    buf_add_str(&out, STR(PREFACE));
    ADD(&out, SETTINGS, 0, 0, "");
    ADD(&out, HEADERS, END_HEADERS, 1, POST_B);
    ADD(&out, DATA, 0, 1, "abc");
    ADD(&out, HEADERS, END_STREAM | END_HEADERS, 3, GET_A);
    ADD(&out, DATA, END_STREAM, 1, "defg");
    scene_send_bytes(visitor, out.mem, out.len);
    buf_fini(&out);
    upstream[1] = scene_accept(s, 1);
    upstream[0] = scene_accept(s, 0);
    scene_expect(upstream[0], SCENE_GET_UP);
    scene_send(upstream[0], SCENE_OK);
    expect_ok(visitor, 3);
    scene_expect_until(upstream[1], "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n");
    scene_send(upstream[1], SCENE_OK);
    expect_ok(visitor, 1);
    assert_int_equal(scene_metric(s, METRIC_HANDOFFS_TOTAL), 1);
    assert_int_equal(scene_metric(s, METRIC_RELAYS), 1);
    (void)close(visitor);
    for (unsigned i = 0; i < 2; i++)
        (void)close(upstream[i]);
}

static void conn_moves_once(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream[2];

    scene_start(s);
    visitor = visit(s);
    SEND(visitor, HEADERS, END_STREAM | END_HEADERS, 1, GET_B);
    upstream[1] = scene_accept(s, 1);
    answer(upstream[1]);
    expect_ok(visitor, 1);
    SEND(visitor, HEADERS, END_STREAM | END_HEADERS, 3, GET_A);
    upstream[0] = scene_accept(s, 0);
    scene_expect(upstream[0], SCENE_GET_UP);
    scene_send(upstream[0], SCENE_OK);
    expect_ok(visitor, 3);
    assert_int_equal(scene_metric(s, METRIC_HANDOFFS_TOTAL), 1);
    (void)close(visitor);
    for (unsigned i = 0; i < 2; i++)
        (void)close(upstream[i]);
}

static void visitor_that_leaves_while_the_conn_moves_is_forgotten(void **state)
{
    struct scene *s = *state;

    scene_start(s);
    for (int i = 0; i < 20; i++) {
        int visitor = visit(s);

        SEND(visitor, HEADERS, END_HEADERS, 1, POST_B);
        (void)close(visitor);
    }
    scene_wait_metric(s, METRIC_CONNS, 0);
    scene_wait_metric(s, METRIC_EXCHANGES, 0);
    assert_int_equal(scene_metric(s, METRIC_HTTP2_STREAMS), 0);
}

static void draining_waits_for_a_conn_that_moves(void **state)
{
    enum { VISITORS = 64 };
    struct scene *s = *state;
    int visitors[VISITORS];

    s->config->drain_ms = 20000;
    atomic_store(&s->agents[1].mode, FAKE_REFUSES);
    scene_start(s);
    for (size_t i = 0; i < VISITORS; i++) {
        visitors[i] = visit(s);
        SEND(visitors[i], HEADERS, END_STREAM | END_HEADERS, 1, GET_B);
        if (i == VISITORS / 2)
            scene_drain(s);
    }
    scene_wait_drained(s);
    for (size_t i = 0; i < VISITORS; i++)
        (void)close(visitors[i]);
}

/* Keeps a worker from its mailbox until the flag is set. */
static void wait_for_flag(struct worker *w, void *arg)
{
    (void)w;
    while (!atomic_load((atomic_bool *)arg))
        (void)poll(NULL, 0, 1);
}

/* The drain of the other worker begins while the connection is on its way there. */
static void conn_that_moves_into_a_drain_is_told_to_go(void **state)
{
    struct scene *s = *state;
    atomic_bool go = false;
    char payload[64];
    int visitor;

    atomic_store(&s->agents[1].mode, FAKE_REFUSES);
    scene_start(s);
    worker_post(s->workers[1], wait_for_flag, &go);
    scene_drain_worker(s, 1);
    visitor = visit(s);
    SEND(visitor, HEADERS, END_STREAM | END_HEADERS, 1, GET_B);
    scene_wait_metric(s, METRIC_CONNS_TOTAL, 1);
    scene_wait_metric(s, METRIC_CONNS, 0);
    atomic_store(&go, true);
    (void)expect_frame(visitor, GOAWAY, payload);
    scene_drain(s);
    scene_wait_drained(s);
    (void)close(visitor);
}

/* What was taken for half a request when the drain began turns out to be half a preface. */
static void conn_that_begins_in_a_drain_is_told_to_go(void **state)
{
    struct scene *s = *state;
    char payload[64];
    int visitor;
    int unread;

    scene_start(s);
    visitor = scene_visit(s, 0);
    scene_send(visitor, "PRI * HTTP/2.0\r\n");
    do
        assert_int_equal(ioctl(visitor, SIOCOUTQ, &unread), 0);
    while (unread > 0);
    scene_drain(s);
    scene_send(visitor, "\r\nSM\r\n\r\n");
    SEND(visitor, SETTINGS, 0, 0, "");
    (void)expect_frame(visitor, GOAWAY, payload);
    scene_wait_drained(s);
    (void)close(visitor);
}

/* The other worker has ended already and finds the connection in its mailbox when it is freed. */
static void conn_moved_to_a_worker_that_has_ended_is_closed(void **state)
{
    struct scene *s = *state;
    int visitor;

    scene_start(s);
    scene_cut(s, 1);
    visitor = visit(s);
    SEND(visitor, HEADERS, END_STREAM | END_HEADERS, 1, GET_B);
    scene_wait_metric(s, METRIC_CONNS_TOTAL, 1);
    scene_wait_metric(s, METRIC_CONNS, 0);
    scene_cut(s, 0);
    (void)close(visitor);
}

/* Opens a WebSocket; returns the upstream's end. */
static int open_tunnel(struct scene *s, int visitor, int stream)
{
    int upstream;
    char key[24];
    char payload[64];
    struct arena a;
    struct str accept;

    SEND(visitor, HEADERS, END_HEADERS, stream, CONNECT_A);
    upstream = scene_accept(s, 0);
    scene_expect_until(upstream, "sec-websocket-key: ");
    read_all(upstream, key, sizeof(key));
    scene_expect_until(upstream, "\r\n\r\n");
    arena_init(&a);
    accept = websocket_accept(&a, str_of(key, sizeof(key)));
    scene_send(upstream, "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
                         "Sec-WebSocket-Accept: ");
    scene_send_bytes(upstream, accept.p, accept.n);
    scene_send(upstream, "\r\n\r\n");
    arena_fini(&a);
    assert_int_equal(expect_frame(visitor, HEADERS, payload).stream_id, stream);
    return upstream;
}

static void tunnel_that_both_ended_counts_until_all_was_passed_on(void **state)
{
    static const char piece[16 * 1024];
    enum { PIECES = 63 }; /* of a window of 1 MiB; more than the sockets hold */
    struct scene *s = *state;
    struct http2_frame frame;
    char payload[64];
    int visitor;
    int upstream;
    int other;

    s->config->http2_streams_max = 1;
    s->config->http2_stream_window = 1024 * 1024;
    scene_start(s);
    visitor = visit(s);
    (void)expect_frame(visitor, SETTINGS, payload);
    SEND(visitor, SETTINGS, ACK, 0, ""); /* from here on the window is in force */
    upstream = open_tunnel(s, visitor, 1);
    (void)shutdown(upstream, SHUT_WR);
    for (int i = 0; i < PIECES; i++)
        send_frame(visitor, DATA, i == PIECES - 1 ? END_STREAM : 0, 1, piece, sizeof(piece));
    do
        frame = expect_frame(visitor, DATA, payload);
    while ((frame.flags & END_STREAM) == 0);
    SEND(visitor, HEADERS, END_STREAM | END_HEADERS, 3, GET_A);
    assert_int_equal(expect_frame(visitor, RST_STREAM, payload).stream_id, 3);
    assert_int_equal(payload[3], REFUSED_STREAM);
    for (size_t left = PIECES * sizeof(piece); left > 0;) {
        char bytes[4096];
        ssize_t got = read(upstream, bytes, sizeof(bytes));

        assert_true(got > 0);
        left -= (size_t)got;
    }
    (void)close(upstream);
    scene_wait_metric(s, METRIC_HTTP2_STREAMS, 0);
    SEND(visitor, HEADERS, END_STREAM | END_HEADERS, 5, GET_A);
    other = scene_accept(s, 0);
    scene_expect(other, SCENE_GET_UP);
    scene_send(other, SCENE_OK);
    expect_ok(visitor, 5);
    (void)close(visitor);
    (void)close(other);
}

static void reset_by_the_visitor_closes_the_upstream(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    scene_start(s);
    visitor = visit(s);
    SEND(visitor, HEADERS, END_HEADERS, 1, POST_A);
    SEND(visitor, DATA, 0, 1, "abc");
    upstream = scene_accept(s, 0);
    scene_expect_until(upstream, "3\r\nabc\r\n");
    SEND(visitor, RST_STREAM, 0, 1, "\0\0\0\x08");
    scene_expect_end(upstream);
    scene_wait_metric(s, METRIC_EXCHANGES, 0);
    assert_int_equal(scene_metric(s, METRIC_CONNS), 1);
    (void)close(visitor);
}

static void data_of_a_closed_stream_ends_the_conn(void **state)
{
    struct scene *s = *state;
    int visitor;

    scene_start(s);
    visitor = visit(s);
    SEND(visitor, HEADERS, END_HEADERS, 1, POST_A);
    SEND(visitor, RST_STREAM, 0, 1, "\0\0\0\x08");
    SEND(visitor, DATA, 0, 1, "abc");
    expect_goaway(visitor, STREAM_CLOSED);
}

static void flood_ends_the_conn(void **state)
{
    struct scene *s = *state;
    int visitor;

    s->config->http2_frames_burst = 16;
    s->config->http2_frames_per_second = 1;
    scene_start(s);
    visitor = visit(s);
    for (int i = 0; i < 20; i++)
        SEND(visitor, PING, 0, 0, "12345678");
    expect_goaway(visitor, ENHANCE_YOUR_CALM);
    assert_int_equal(scene_metric(s, METRIC_HTTP2_FRAME_FLOODS_TOTAL), 1);
}

static void flood_of_padding_ends_the_conn(void **state)
{
    struct scene *s = *state;
    int visitor;

    s->config->http2_frames_burst = 16;
    s->config->http2_frames_per_second = 1;
    scene_start(s);
    visitor = visit(s);
    SEND(visitor, HEADERS, END_HEADERS, 1, POST_A);
    for (int i = 0; i < 20; i++)
        SEND(visitor, DATA, PADDED, 1, "\x03ppp");
    expect_goaway(visitor, ENHANCE_YOUR_CALM);
    assert_int_equal(scene_metric(s, METRIC_HTTP2_FRAME_FLOODS_TOTAL), 1);
}

static void padded_data_is_no_flood(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    s->config->http2_frames_burst = 16;
    s->config->http2_frames_per_second = 1;
    scene_start(s);
    visitor = visit(s);
    SEND(visitor, HEADERS, END_HEADERS, 1, POST_A);
    for (int i = 0; i < 40; i++)
        SEND(visitor, DATA, PADDED, 1, "\x03xppp");
    SEND(visitor, DATA, END_STREAM, 1, "");
    upstream = scene_accept(s, 0);
    scene_expect_until(upstream, "\r\n0\r\n\r\n");
    scene_send(upstream, SCENE_OK);
    expect_ok(visitor, 1);
    (void)close(visitor);
    (void)close(upstream);
}

static void short_limits(struct config *c)
{
    c->request_head_timeout_ms = 50;
    c->keepalive_timeout_ms = 50;
}

static void header_block_that_does_not_end_in_time_ends_the_conn(void **state)
{
    struct scene *s = *state;
    char payload[64];
    int visitor;

    scene_start(s);
    visitor = visit(s);
    SEND(visitor, PING, 0, 0, "12345678");
    (void)expect_frame(visitor, PING, payload); /* the preface was in time */
    scene_reconfigure(s, short_limits);
    SEND(visitor, HEADERS, END_STREAM, 1, GET_A);
    SEND(visitor, CONTINUATION, 0, 1, "");
    expect_goaway(visitor, ENHANCE_YOUR_CALM);
    assert_int_equal(scene_metric(s, METRIC_HTTP2_SLOW_HEADS_TOTAL), 1);
}

static void idle_conn_is_told_to_go(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    scene_start(s);
    visitor = visit(s);
    SEND(visitor, HEADERS, END_STREAM | END_HEADERS, 1, GET_A);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, SCENE_GET_UP);
    scene_reconfigure(s, short_limits);
    scene_send(upstream, SCENE_OK);
    expect_ok(visitor, 1);
    expect_goaway(visitor, 0);
    (void)close(upstream);
}

static void conn_that_asks_nothing_is_told_to_go(void **state)
{
    struct scene *s = *state;
    int visitor;

    s->config->keepalive_timeout_ms = 50;
    scene_start(s);
    visitor = visit(s);
    expect_goaway(visitor, 0);
    scene_wait_metric(s, METRIC_CONNS, 0);
}

static void draining_waits_for_the_streams(void **state)
{
    struct scene *s = *state;
    char payload[64];
    int visitor;
    int upstream;

    scene_start(s);
    visitor = visit(s);
    SEND(visitor, HEADERS, END_STREAM | END_HEADERS, 1, GET_A);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, SCENE_GET_UP);
    scene_drain(s);
    (void)expect_frame(visitor, GOAWAY, payload);
    assert_memory_equal(payload, "\x7f\xff\xff\xff\0\0\0\0", 8);
    (void)expect_frame(visitor, PING, payload);
    send_frame(visitor, PING, ACK, 0, payload, 8);
    (void)expect_frame(visitor, GOAWAY, payload);
    assert_memory_equal(payload, "\0\0\0\x01\0\0\0\0", 8);
    scene_send(upstream, SCENE_OK);
    expect_ok(visitor, 1);
    scene_expect_end(visitor);
    scene_wait_drained(s);
    (void)close(upstream);
}

static void draining_waits_for_a_visitor_who_is_silent(void **state)
{
    struct scene *s = *state;
    char payload[64];
    int visitor;
    int upstream;

    scene_start(s);
    visitor = visit(s);
    SEND(visitor, HEADERS, END_STREAM | END_HEADERS, 1, GET_A);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, SCENE_GET_UP);
    scene_drain(s);
    (void)expect_frame(visitor, GOAWAY, payload);
    assert_memory_equal(payload, "\x7f\xff\xff\xff\0\0\0\0", 8);
    (void)expect_frame(visitor, GOAWAY, payload);
    assert_memory_equal(payload, "\0\0\0\x01\0\0\0\0", 8);
    scene_send(upstream, SCENE_OK);
    expect_ok(visitor, 1);
    scene_expect_end(visitor);
    scene_wait_drained(s);
    (void)close(upstream);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(conn_speaks_http2_with_prior_knowledge),
        CASE(conn_takes_the_preface_a_byte_at_a_time),
        CASE(streams_of_one_conn_reach_both_workers),
        CASE(first_request_for_another_worker_moves_the_conn),
        CASE(what_stands_behind_the_moving_request_goes_along),
        CASE(conn_moves_once),
        CASE(visitor_that_leaves_while_the_conn_moves_is_forgotten),
        CASE(draining_waits_for_a_conn_that_moves),
        CASE(conn_that_moves_into_a_drain_is_told_to_go),
        CASE(conn_that_begins_in_a_drain_is_told_to_go),
        CASE(conn_moved_to_a_worker_that_has_ended_is_closed),
        CASE(tunnel_that_both_ended_counts_until_all_was_passed_on),
        CASE(reset_by_the_visitor_closes_the_upstream),
        CASE(data_of_a_closed_stream_ends_the_conn),
        CASE(flood_ends_the_conn),
        CASE(flood_of_padding_ends_the_conn),
        CASE(padded_data_is_no_flood),
        CASE(header_block_that_does_not_end_in_time_ends_the_conn),
        CASE(idle_conn_is_told_to_go),
        CASE(conn_that_asks_nothing_is_told_to_go),
        CASE(draining_waits_for_the_streams),
        CASE(draining_waits_for_a_visitor_who_is_silent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
