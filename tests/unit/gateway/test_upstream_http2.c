/*
 * Unit tests of gateway/upstream_http2 and its session: an upstream that plays HTTP/2 frame by frame,
 * well and badly, over real workers and a fake agent.
 * Links: tests/unit/gateway/fake_agent tests/unit/gateway/fake_policy
 * Links: tests/unit/gateway/http_scene
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/unit/gateway/http_scene.h"

#define PREFACE  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define OK_BODY  "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
#define OK_EMPTY "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"

enum frame_type {
    FRAME_DATA = 0,
    FRAME_HEADERS = 1,
    FRAME_RST_STREAM = 3,
    FRAME_SETTINGS = 4,
    FRAME_PING = 6,
    FRAME_GOAWAY = 7,
    FRAME_WINDOW_UPDATE = 8,
};

enum { FLAG_END_STREAM = 1, FLAG_ACK = 1, FLAG_END_HEADERS = 4, FLAG_PADDED = 8 };

enum { MIB = 1024 * 1024 };

enum { FRAME_HEAD_BYTES = 9, FRAME_MAX_BYTES = 16 * 1024 };

/* In HPACK: an indexed ":status: 200", and a literal field. */
#define STATUS_200 "\x88"

static int setup(void **state)
{
    struct scene *s = scene_new();

    s->endpoints[0]->upstream.protocol = UPSTREAM_HTTP2;
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    scene_free(*state);
    return 0;
}

/* ---- frames ---- */

struct frame {
    size_t n;
    unsigned type;
    unsigned flags;
    uint32_t id;
    unsigned char payload[FRAME_MAX_BYTES];
};

static void read_exactly(int fd, void *p, size_t n)
{
    char *at = p;

    while (n > 0) {
        ssize_t got = read(fd, at, n);

        if (got <= 0)
            fail_msg("the gateway ended the connection");
        at += got;
        n -= (size_t)got;
    }
}

static void read_frame(int fd, struct frame *f)
{
    unsigned char head[FRAME_HEAD_BYTES];

    read_exactly(fd, head, sizeof(head));
    f->n = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
    f->type = head[3];
    f->flags = head[4];
    f->id = (uint32_t)head[5] << 24 | (uint32_t)head[6] << 16 | (uint32_t)head[7] << 8 | head[8];
    assert_true(f->n <= sizeof(f->payload));
    read_exactly(fd, f->payload, f->n);
}

/* Skips frames until one of this type comes. */
static void expect_frame(int fd, enum frame_type type, struct frame *f)
{
    do
        read_frame(fd, f);
    while (f->type != type || (type == FRAME_SETTINGS && (f->flags & FLAG_ACK) != 0));
}

static void send_frame(int fd, enum frame_type type, unsigned flags, uint32_t id, const void *p,
                       size_t n)
{
    char frame[FRAME_HEAD_BYTES + FRAME_MAX_BYTES] = {
        [0] = (char)(n >> 16),  [1] = (char)(n >> 8),  [2] = (char)n,
        [3] = (char)type,       [4] = (char)flags,     [5] = (char)(id >> 24),
        [6] = (char)(id >> 16), [7] = (char)(id >> 8), [8] = (char)id,
    };

    assert_true(n <= FRAME_MAX_BYTES);
    if (n > 0)
        memcpy(frame + FRAME_HEAD_BYTES, p, n);
    scene_send_bytes(fd, frame, FRAME_HEAD_BYTES + n);
}

/* The same, and it does not matter if the gateway has gone. */
static bool try_frame(int fd, enum frame_type type, unsigned flags, uint32_t id, const char *p,
                      size_t n)
{
    char frame[FRAME_HEAD_BYTES + 64] = {
        [2] = (char)n,          [3] = (char)type,      [4] = (char)flags, [5] = (char)(id >> 24),
        [6] = (char)(id >> 16), [7] = (char)(id >> 8), [8] = (char)id,
    };

    if (n > 0)
        memcpy(frame + FRAME_HEAD_BYTES, p, n);
    return send(fd, frame, FRAME_HEAD_BYTES + n, MSG_NOSIGNAL) == (ssize_t)(FRAME_HEAD_BYTES + n);
}

static void send_number(int fd, enum frame_type type, uint32_t id, uint32_t number)
{
    const unsigned char payload[4] = { (unsigned char)(number >> 24), (unsigned char)(number >> 16),
                                       (unsigned char)(number >> 8), (unsigned char)number };

    send_frame(fd, type, 0, id, payload, sizeof(payload));
}

static void send_goaway(int fd, uint32_t last)
{
    const unsigned char payload[8] = { 0, 0, 0, (unsigned char)last };

    send_frame(fd, FRAME_GOAWAY, 0, 0, payload, sizeof(payload));
}

/* ---- the two ends ---- */

static int ask(struct scene *s, const char *request)
{
    int visitor = scene_visit(s, 0);

    scene_send(visitor, request);
    return visitor;
}

static int accept_session(struct scene *s)
{
    int upstream = scene_accept(s, 0);
    char preface[sizeof(PREFACE) - 1];

    read_exactly(upstream, preface, sizeof(preface));
    assert_memory_equal(preface, PREFACE, sizeof(preface));
    send_frame(upstream, FRAME_SETTINGS, 0, 0, NULL, 0);
    return upstream;
}

/* The next request's h2_stream. */
static uint32_t expect_request(int upstream)
{
    struct frame f;

    expect_frame(upstream, FRAME_HEADERS, &f);
    return f.id;
}

static void respond(int upstream, uint32_t id)
{
    send_frame(upstream, FRAME_HEADERS, FLAG_END_HEADERS | FLAG_END_STREAM, id, STATUS_200, 1);
}

static void expect_error(int visitor, const char *status_line, const char *end)
{
    scene_expect_head(visitor, status_line);
    scene_expect_until(visitor, end);
    (void)close(visitor);
}

/* The gateway ends the session. */
static void expect_gone(int upstream)
{
    char bytes[FRAME_MAX_BYTES];

    while (read(upstream, bytes, sizeof(bytes)) > 0)
        continue;
    (void)close(upstream);
}

/* ---- the ordinary ways ---- */

static void http2_request_and_response(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;
    uint32_t id;

    scene_start(s);
    visitor = ask(s, SCENE_GET);
    upstream = accept_session(s);
    id = expect_request(upstream);
    send_frame(upstream, FRAME_HEADERS, FLAG_END_HEADERS, id, STATUS_200, 1);
    send_frame(upstream, FRAME_DATA, FLAG_END_STREAM, id, "hello", 5);
    scene_expect(visitor, OK_BODY "5\r\nhello\r\n0\r\n\r\n");
    scene_send(visitor, SCENE_GET); /* the same connections again */
    assert_int_equal(expect_request(upstream), id + 2);
    respond(upstream, id + 2);
    scene_expect(visitor, OK_EMPTY);
    (void)close(visitor);
    (void)close(upstream);
}

static void http2_whole_exchange_is_not_reset(void **state)
{
    struct scene *s = *state;
    struct frame f;
    int visitor;
    int upstream;

    scene_start(s);
    visitor = ask(s, SCENE_GET);
    upstream = accept_session(s);
    respond(upstream, expect_request(upstream));
    scene_expect(visitor, OK_EMPTY);
    send_frame(upstream, FRAME_PING, 0, 0, "12345678", 8);
    do {
        read_frame(upstream, &f);
        assert_int_not_equal(f.type, FRAME_RST_STREAM);
    } while (f.type != FRAME_PING);
    (void)close(visitor);
    (void)close(upstream);
}

static void http2_status_below_100_is_502(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;
    uint32_t id;

    scene_start(s);
    visitor = ask(s, SCENE_GET);
    upstream = accept_session(s);
    id = expect_request(upstream);
    send_frame(upstream, FRAME_HEADERS, FLAG_END_HEADERS, id,
               "\x08\x03"
               "099",
               5);
    scene_expect_head(visitor, "HTTP/1.1 502 Bad Gateway\r\n");
    (void)close(visitor);
    (void)close(upstream);
}

static void http2_interim_heads_are_bounded(void **state)
{
    enum { HEADS = 30 };
    struct scene *s = *state;
    int visitor;
    int upstream;
    uint32_t id;

    s->config->response_head_max_bytes = 1024;
    scene_start(s);
    visitor = ask(s, SCENE_GET);
    upstream = accept_session(s);
    id = expect_request(upstream);
    for (int i = 0; i < HEADS; i++)
        send_frame(upstream, FRAME_HEADERS, FLAG_END_HEADERS, id, "\x08\x03\x31\x30\x33", 5);
    scene_expect_until(visitor, "HTTP/1.1 502 Bad Gateway\r\n");
    (void)close(visitor);
    (void)close(upstream);
}

static void http2_response_before_the_end_of_the_request(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;
    uint32_t id;

    scene_start(s);
    visitor = ask(s, "POST / HTTP/1.1\r\nHost: a.example.com\r\nContent-Length: 9\r\n\r\nabc");
    upstream = accept_session(s);
    id = expect_request(upstream);
    respond(upstream, id);
    send_number(upstream, FRAME_RST_STREAM, id, 0);
    scene_expect_head(visitor, "HTTP/1.1 200 OK\r\n");
    (void)close(visitor);
    visitor = ask(s, SCENE_GET); /* the session is well */
    id = expect_request(upstream);
    respond(upstream, id);
    scene_expect(visitor, OK_EMPTY);
    (void)close(visitor);
    (void)close(upstream);
}

static void http2_blocked_window_blocks_the_visitor(void **state)
{
    struct scene *s = *state;
    struct frame f;
    size_t got = 0;
    int visitor;
    int upstream;
    uint32_t id;

    scene_start(s);
    visitor = ask(s, "POST / HTTP/1.1\r\nHost: a.example.com\r\nContent-Length: 200000\r\n\r\n");
    upstream = accept_session(s);
    id = expect_request(upstream);
    scene_send_pattern(visitor, 0, 200000);
    while (got < 65535) { /* the first window */
        expect_frame(upstream, FRAME_DATA, &f);
        got += f.n;
    }
    assert_int_equal(got, 65535);
    send_number(upstream, FRAME_WINDOW_UPDATE, 0, 1000000);
    send_number(upstream, FRAME_WINDOW_UPDATE, id, 1000000);
    while (got < 200000) {
        expect_frame(upstream, FRAME_DATA, &f);
        got += f.n;
    }
    respond(upstream, id);
    scene_expect(visitor, OK_EMPTY);
    (void)close(visitor);
    (void)close(upstream);
}

#define UPGRADE                                                                                    \
    "GET /chat HTTP/1.1\r\nHost: a.example.com\r\nConnection: upgrade\r\n"                         \
    "Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

static void http2_websocket_without_extended_connect_is_502(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    scene_start(s);
    visitor = ask(s, UPGRADE);
    upstream = accept_session(s);
    expect_error(visitor, "HTTP/1.1 502 Bad Gateway\r\n", "(RFC 8441)\n");
    (void)close(upstream);
}

static void http2_websocket_is_a_tunnel(void **state)
{
    static const unsigned char allowed[6] = { 0, 8, 0, 0, 0, 1 }; /* ENABLE_CONNECT_PROTOCOL */
    struct scene *s = *state;
    struct frame f;
    int visitor;
    int upstream;
    uint32_t id;

    scene_start(s);
    visitor = ask(s, UPGRADE);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, PREFACE);
    send_frame(upstream, FRAME_SETTINGS, 0, 0, allowed, sizeof(allowed));
    expect_frame(upstream, FRAME_HEADERS, &f);
    assert_false(f.flags & FLAG_END_STREAM);
    id = f.id;
    send_frame(upstream, FRAME_HEADERS, FLAG_END_HEADERS, id, STATUS_200, 1);
    scene_expect_head(visitor, "HTTP/1.1 101 Switching Protocols\r\n");
    scene_send(visitor, "up");
    expect_frame(upstream, FRAME_DATA, &f);
    assert_true(f.n == 2 && memcmp(f.payload, "up", 2) == 0);
    send_frame(upstream, FRAME_DATA, FLAG_END_STREAM, id, "down", 4);
    scene_expect(visitor, "down");
    scene_expect_eof(visitor); /* half-closed; the other direction goes on */
    scene_send(visitor, "more");
    expect_frame(upstream, FRAME_DATA, &f);
    assert_int_equal(f.n, 4);
    (void)shutdown(visitor, SHUT_WR);
    expect_frame(upstream, FRAME_DATA, &f);
    assert_true(f.n == 0 && (f.flags & FLAG_END_STREAM) != 0);
    scene_wait_metric(s, METRIC_EXCHANGES, 0);
    (void)close(visitor);
    (void)close(upstream);
}

static void http2_tunnel_that_both_ended_outlives_the_session(void **state)
{
    static const unsigned char allowed[6] = { 0, 8, 0, 0, 0, 1 }; /* ENABLE_CONNECT_PROTOCOL */
    static const char piece[FRAME_MAX_BYTES];
    static char bytes[FRAME_MAX_BYTES];
    enum { PIECES = 900 };
    struct scene *s = *state;
    struct frame f;
    size_t total = 0;
    ssize_t got;
    int visitor;
    int upstream;
    uint32_t id;

    s->config->upstream_http2_window_bytes = 16 * MIB;
    scene_start(s);
    visitor = ask(s, UPGRADE);
    upstream = scene_accept(s, 0);
    scene_expect(upstream, PREFACE);
    send_frame(upstream, FRAME_SETTINGS, 0, 0, allowed, sizeof(allowed));
    send_frame(upstream, FRAME_SETTINGS, FLAG_ACK, 0, NULL, 0);
    id = expect_request(upstream);
    send_frame(upstream, FRAME_HEADERS, FLAG_END_HEADERS, id, STATUS_200, 1);
    scene_expect_head(visitor, "HTTP/1.1 101 Switching Protocols\r\n");
    /* More than sockets hold, and the visitor does not read. */
    for (int i = 0; i < PIECES; i++)
        send_frame(upstream, FRAME_DATA, i == PIECES - 1 ? FLAG_END_STREAM : 0, id, piece,
                   sizeof(piece));
    (void)shutdown(visitor, SHUT_WR);
    do
        expect_frame(upstream, FRAME_DATA, &f);
    while ((f.flags & FLAG_END_STREAM) == 0);
    (void)shutdown(upstream, SHUT_WR);
    scene_wait_metric(s, METRIC_STREAMS, 0);
    while ((got = read(visitor, bytes, sizeof(bytes))) > 0)
        total += (size_t)got;
    assert_int_equal(total, PIECES * sizeof(piece));
    (void)close(upstream);
    (void)close(visitor);
}

/* ---- requests that were not processed ---- */

static void http2_refused_request_goes_again(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;
    uint32_t id;

    scene_start(s);
    visitor = ask(s, "POST / HTTP/1.1\r\nHost: a.example.com\r\nContent-Length: 0\r\n\r\n");
    upstream = accept_session(s);
    id = expect_request(upstream);
    send_number(upstream, FRAME_RST_STREAM, id, 7); /* REFUSED_STREAM */
    id = expect_request(upstream);
    respond(upstream, id);
    scene_expect(visitor, OK_EMPTY);
    (void)close(visitor);
    (void)close(upstream);
}

static void http2_refused_for_ever_is_502(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    scene_start(s);
    visitor = ask(s, SCENE_GET);
    upstream = accept_session(s);
    for (int i = 0; i < 6; i++)
        send_number(upstream, FRAME_RST_STREAM, expect_request(upstream), 7);
    expect_error(visitor, "HTTP/1.1 502 Bad Gateway\r\n", "refused the request\n");
    (void)close(upstream);
}

static void http2_request_behind_goaway_goes_elsewhere(void **state)
{
    struct scene *s = *state;
    int visitors[2];
    int upstream;
    int other;
    uint32_t ids[2];

    scene_start(s);
    visitors[0] = ask(s, SCENE_GET);
    upstream = accept_session(s);
    ids[0] = expect_request(upstream);
    visitors[1] = ask(s, "DELETE /x HTTP/1.1\r\nHost: a.example.com\r\n\r\n");
    ids[1] = expect_request(upstream);
    send_goaway(upstream, ids[0]);
    other = accept_session(s);
    respond(other, expect_request(other));
    scene_expect(visitors[1], OK_EMPTY);
    respond(upstream, ids[0]); /* what was begun is finished */
    scene_expect(visitors[0], OK_EMPTY);
    for (int i = 0; i < 2; i++)
        (void)close(visitors[i]);
    expect_gone(upstream);
    (void)close(other);
}

/* ---- failures ---- */

static void http2_end_without_a_head_is_502(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    scene_start(s);
    visitor = ask(s, "POST / HTTP/1.1\r\nHost: a.example.com\r\nContent-Length: 0\r\n\r\n");
    upstream = accept_session(s);
    (void)expect_request(upstream);
    (void)close(upstream);
    expect_error(visitor, "HTTP/1.1 502 Bad Gateway\r\n", "closed the connection\n");
}

static void http2_end_in_the_body_cuts_the_response(void **state)
{
    struct scene *s = *state;

    scene_start(s);
    for (int i = 0; i < 2; i++) {
        int visitor = ask(s, SCENE_GET);
        int upstream = accept_session(s);
        uint32_t id = expect_request(upstream);

        send_frame(upstream, FRAME_HEADERS, FLAG_END_HEADERS, id, STATUS_200, 1);
        send_frame(upstream, FRAME_DATA, 0, id, "abc", 3);
        scene_expect(visitor, OK_BODY "3\r\nabc\r\n");
        if (i == 0)
            send_number(upstream, FRAME_RST_STREAM, id, 2);
        (void)close(upstream);
        scene_expect_end(visitor);
    }
}

static void http2_dead_session_is_tried_anew(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;
    int other;

    scene_start(s);
    visitor = ask(s, SCENE_GET);
    upstream = accept_session(s);
    respond(upstream, expect_request(upstream));
    scene_expect(visitor, OK_EMPTY);
    scene_send(visitor, SCENE_GET);
    (void)expect_request(upstream);
    (void)close(upstream);
    other = accept_session(s);
    respond(other, expect_request(other));
    scene_expect(visitor, OK_EMPTY);
    (void)close(visitor);
    (void)close(other);
}

/* ---- upstreams that break the rules ---- */

/* Each is a field section in HPACK, literal without indexing. */
static void http2_malformed_responses_are_502(void **state)
{
    static const struct {
        const char *name;
        struct str section;
    } cases[] = {
        { "no status", STR_INIT("\x00\x01"
                                "a\x01"
                                "b") },
        { "two", STR_INIT(STATUS_200 STATUS_200) },
        { "101", STR_INIT("\x08\x03"
                          "101") },
        { "upper case", STR_INIT(STATUS_200 "\x00\x01"
                                            "A\x01"
                                            "b") },
        { "connection", STR_INIT(STATUS_200 "\x00\x0a"
                                            "connection\x05"
                                            "close") },
        { "control character", STR_INIT(STATUS_200 "\x00\x01"
                                                   "a\x02"
                                                   "b\n") },
        { "request field", STR_INIT(STATUS_200 "\x00\x05"
                                               ":path\x01"
                                               "/") },
        { "length", STR_INIT(STATUS_200 "\x00\x0e"
                                        "content-length\x01"
                                        "x") },
        { "length of content that does not come", STR_INIT(STATUS_200 "\x00\x0e"
                                                                      "content-length\x01"
                                                                      "5") },
    };
    struct scene *s = *state;
    int upstream = -1;

    scene_start(s);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int visitor = ask(s, "POST / HTTP/1.1\r\nHost: a.example.com\r\nContent-Length: 0\r\n\r\n");

        print_message("%s\n", cases[i].name);
        if (upstream == -1)
            upstream = accept_session(s);
        send_frame(upstream, FRAME_HEADERS, FLAG_END_HEADERS | FLAG_END_STREAM,
                   expect_request(upstream), cases[i].section.p, cases[i].section.n);
        expect_error(visitor, "HTTP/1.1 502 Bad Gateway\r\n", "malformed");
    }
    (void)close(upstream);
}

static void http2_too_large_head_is_502(void **state)
{
    static char section[5000] = STATUS_200 "\x00\x01"
                                           "a\x7f\xe6\x25"; /* a value of 4965 bytes follows */
    struct scene *s = *state;
    int visitor;
    int upstream;

    s->config->response_head_max_bytes = 4096;
    scene_start(s);
    visitor = ask(s, SCENE_GET);
    upstream = accept_session(s);
    memset(section + 7, 'b', 4965);
    send_frame(upstream, FRAME_HEADERS, FLAG_END_HEADERS | FLAG_END_STREAM,
               expect_request(upstream), section, 7 + 4965);
    expect_error(visitor, "HTTP/1.1 502 Bad Gateway\r\n", "too large\n");
    visitor = ask(s, SCENE_GET); /* the session goes on */
    respond(upstream, expect_request(upstream));
    scene_expect(visitor, OK_EMPTY);
    (void)close(visitor);
    (void)close(upstream);
}

static void http2_more_than_the_window_cuts_the_response(void **state)
{
    static const char piece[FRAME_MAX_BYTES];
    static char bytes[FRAME_MAX_BYTES];
    struct scene *s = *state;
    size_t total = 0;
    ssize_t got;
    int visitor;
    int upstream;
    uint32_t id;

    s->config->upstream_http2_window_bytes = 65535;
    scene_start(s);
    visitor = ask(s, SCENE_GET);
    upstream = accept_session(s);
    id = expect_request(upstream);
    send_frame(upstream, FRAME_SETTINGS, FLAG_ACK, 0, NULL, 0);
    send_frame(upstream, FRAME_HEADERS, FLAG_END_HEADERS, id, STATUS_200, 1);
    /* The visitor reads nothing, so the window is not given back. */
    for (int i = 0; i < 4000; i++) {
        char head[FRAME_HEAD_BYTES] = { 0, 0x40, 0, FRAME_DATA, 0, 0, 0, 0, (char)id };

        scene_send_bytes(upstream, head, sizeof(head));
        scene_send_bytes(upstream, piece, sizeof(piece));
    }
    while ((got = read(visitor, bytes, sizeof(bytes))) > 0)
        total += (size_t)got;
    assert_in_range(total, 65535, 32 * MIB); /* what sockets held; the rest was dropped */
    (void)close(upstream);
    (void)close(visitor);
}

static void http2_floods_end_the_session(void **state)
{
    static const struct {
        enum frame_type type;
        unsigned flags;
        bool on_stream;
        size_t n;
    } cases[] = {
        { FRAME_PING, 0, false, 8 },          { FRAME_PING, FLAG_ACK, false, 8 },
        { FRAME_SETTINGS, 0, false, 0 },      { FRAME_DATA, 0, true, 0 },
        { FRAME_DATA, FLAG_PADDED, true, 8 }, { FRAME_DATA, FLAG_PADDED, true, 1 },
    };
    static const char nothing[8];
    static const char padding[8] = { 7 };
    struct scene *s = *state;

    s->config->upstream_http2_control_frames_max = 100;
    scene_start(s);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int visitor = ask(s, "POST / HTTP/1.1\r\nHost: a.example.com\r\nContent-Length: 0\r\n\r\n");
        int upstream = accept_session(s);
        uint32_t id = expect_request(upstream);
        unsigned sent = 0;

        send_frame(upstream, FRAME_HEADERS, FLAG_END_HEADERS, id, STATUS_200, 1);
        scene_expect(visitor, OK_BODY);
        while (sent < 100000 &&
               try_frame(upstream, cases[i].type, cases[i].flags, cases[i].on_stream ? id : 0,
                         cases[i].n == 8 ? padding : nothing, cases[i].n))
            sent++;
        if (sent == 100000)
            fail_msg("%u frames of type %d were taken", sent, cases[i].type);
        scene_expect_end(visitor);
        (void)close(upstream);
    }
}

static uint64_t second_now(void)
{
    return clock_mono_ms() / 1000;
}

/* An upstream that is slow answers later what was sent; the frames come all at once then. */
static void http2_updates_for_data_may_be_late(void **state)
{
    enum { PIECES = 20, UPDATES = 2 * PIECES };
    struct scene *s = *state;
    struct frame f;
    uint64_t second;
    int visitor;
    int upstream;
    uint32_t id;

    s->config->upstream_http2_control_frames_max = UPDATES / 2;
    scene_start(s);
    visitor = ask(s, "POST / HTTP/1.1\r\nHost: a.example.com\r\nContent-Length: 20\r\n\r\n");
    upstream = accept_session(s);
    id = expect_request(upstream);
    for (int i = 0; i < PIECES; i++) {
        scene_send(visitor, "x");
        expect_frame(upstream, FRAME_DATA, &f);
    }
    second = second_now();
    while (second_now() == second)
        (void)usleep(1000);
    for (int i = 0; i < UPDATES; i++)
        send_number(upstream, FRAME_WINDOW_UPDATE, id, 1);
    respond(upstream, id);
    scene_expect(visitor, OK_EMPTY);
    (void)close(visitor);
    (void)close(upstream);
}

static void http2_peer_that_speaks_http1_is_502(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;

    scene_start(s);
    visitor = ask(s, SCENE_GET);
    upstream = scene_accept(s, 0);
    scene_send(upstream, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    expect_error(visitor, "HTTP/1.1 502 Bad Gateway\r\n", "speak it at all\n");
    (void)close(upstream);
}

static void short_wait(struct config *c)
{
    c->response_head_timeout_ms = 200;
}

static void no_timeout(struct config *c)
{
    c->response_head_timeout_ms = 0;
}

static void http2_silent_session_is_not_asked_again(void **state)
{
    struct scene *s = *state;
    int visitor;
    int upstream;
    int other;

    scene_start(s);
    visitor = ask(s, SCENE_GET);
    upstream = accept_session(s);
    respond(upstream, expect_request(upstream));
    scene_expect(visitor, OK_EMPTY);
    scene_reconfigure(s, short_wait);
    scene_send(visitor, SCENE_GET);
    (void)expect_request(upstream);
    expect_error(visitor, "HTTP/1.1 504 Gateway Timeout\r\n", "no response\n");
    scene_reconfigure(s, no_timeout);
    visitor = ask(s, SCENE_GET);
    other = accept_session(s);
    respond(other, expect_request(other));
    scene_expect(visitor, OK_EMPTY);
    (void)close(visitor);
    (void)close(upstream);
    (void)close(other);
}

/* ---- limits of the session ---- */

static void http2_full_session_gets_a_second(void **state)
{
    struct scene *s = *state;
    int visitors[3];
    int upstreams[2];
    uint32_t id;

    s->config->upstream_http2_streams_max = 1;
    s->config->upstream_http2_conns_max = 2;
    scene_start(s);
    visitors[0] = ask(s, SCENE_GET);
    upstreams[0] = accept_session(s);
    id = expect_request(upstreams[0]);
    visitors[1] = ask(s, SCENE_GET);
    upstreams[1] = accept_session(s);
    (void)expect_request(upstreams[1]);
    visitors[2] = ask(s, SCENE_GET); /* waits in one of them */
    scene_wait_metric(s, METRIC_EXCHANGES, 3);
    assert_true(fake_agent_is_quiet(&s->agents[0]));
    for (int i = 0; i < 2; i++)
        respond(upstreams[i], id);
    respond(upstreams[1], expect_request(upstreams[1]));
    for (int i = 0; i < 3; i++) {
        scene_expect(visitors[i], OK_EMPTY);
        (void)close(visitors[i]);
    }
    for (int i = 0; i < 2; i++)
        (void)close(upstreams[i]);
}

static void http2_session_lost_tells_all_its_requests(void **state)
{
    struct scene *s = *state;
    int visitors[3];
    int upstream;

    scene_start(s);
    for (int i = 0; i < 3; i++)
        visitors[i] = ask(s, "POST / HTTP/1.1\r\nHost: a.example.com\r\nContent-Length: 0\r\n\r\n");
    upstream = accept_session(s);
    for (int i = 0; i < 3; i++)
        (void)expect_request(upstream);
    fake_agent_lose(&s->agents[0]);
    for (int i = 0; i < 3; i++)
        expect_error(visitors[i], "HTTP/1.1 502 Bad Gateway\r\n", "session ended\n");
    (void)close(upstream);
}

#define WITH_SCENE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SCENE(http2_request_and_response),
        WITH_SCENE(http2_whole_exchange_is_not_reset),
        WITH_SCENE(http2_status_below_100_is_502),
        WITH_SCENE(http2_interim_heads_are_bounded),
        WITH_SCENE(http2_response_before_the_end_of_the_request),
        WITH_SCENE(http2_blocked_window_blocks_the_visitor),
        WITH_SCENE(http2_websocket_without_extended_connect_is_502),
        WITH_SCENE(http2_websocket_is_a_tunnel),
        WITH_SCENE(http2_tunnel_that_both_ended_outlives_the_session),
        WITH_SCENE(http2_refused_request_goes_again),
        WITH_SCENE(http2_refused_for_ever_is_502),
        WITH_SCENE(http2_request_behind_goaway_goes_elsewhere),
        WITH_SCENE(http2_end_without_a_head_is_502),
        WITH_SCENE(http2_end_in_the_body_cuts_the_response),
        WITH_SCENE(http2_dead_session_is_tried_anew),
        WITH_SCENE(http2_malformed_responses_are_502),
        WITH_SCENE(http2_too_large_head_is_502),
        WITH_SCENE(http2_more_than_the_window_cuts_the_response),
        WITH_SCENE(http2_updates_for_data_may_be_late),
        WITH_SCENE(http2_floods_end_the_session),
        WITH_SCENE(http2_peer_that_speaks_http1_is_502),
        WITH_SCENE(http2_silent_session_is_not_asked_again),
        WITH_SCENE(http2_full_session_gets_a_second),
        WITH_SCENE(http2_session_lost_tells_all_its_requests),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
