/*
 * Unit tests of the bodies of gateway/http1. Each case is read whole, byte by byte, and in every
 * split into two; all must give the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gateway/http1.h"

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

/* What reading gave. */
struct outcome {
    struct buf content;
    struct buf trailers; /* "name: value\r\n" of each */
    size_t used;
    bool done;
    bool failed;
    struct err e;
};

static void outcome_fini(struct outcome *o)
{
    buf_fini(&o->content);
    buf_fini(&o->trailers);
}

/* Feeds one piece, from a copy of its exact size so that ASan sees a read past its end. */
static void feed(struct http1_body *b, struct str piece, struct outcome *o)
{
    char *exact = mem_alloc(piece.n);
    struct str rest = str_of(exact, piece.n);
    struct str data;
    size_t used = 1;

    memcpy(exact, piece.p, piece.n);
    while (used > 0 && !o->failed) {
        o->failed = http1_body_read(b, rest, &data, &used, &o->e) == -1;
        buf_add_str(&o->content, data);
        rest = str_skip(rest, used);
        o->used += used;
    }
    if (!o->failed && !http1_body_is_done(b))
        assert_int_equal(rest.n, 0); /* all is taken until the end */
    mem_free(exact);
}

static void read_trailers(struct http1_body *b, struct outcome *o)
{
    struct http_headers h;
    struct arena a;

    arena_init(&a);
    assert_int_equal(http1_body_trailers(b, &a, &h, NULL), o->done ? 0 : -1);
    http1_write_headers(&o->trailers, &h);
    arena_fini(&a);
}

/* Reads `in` cut behind its first `first` bytes, then every `step` bytes. */
static void read_in_pieces(enum http_body kind, uint64_t length, struct str in, size_t first,
                           size_t step, struct outcome *o)
{
    struct http1_body b;

    *o = (struct outcome){ 0 };
    buf_init(&o->content, 1 << 20);
    buf_init(&o->trailers, 1 << 20);
    http1_body_init(&b, kind, length);
    feed(&b, str_slice(in, 0, first), o);
    for (size_t at = first; at < in.n && !o->failed; at += step)
        feed(&b, str_slice(in, at, at + step), o);
    o->done = http1_body_is_done(&b);
    read_trailers(&b, o);
    http1_body_fini(&b);
}

/* Reads in all ways; the outcome of reading it whole is the one that counts. */
static void read_all_ways(enum http_body kind, uint64_t length, struct str in, struct outcome *o)
{
    read_in_pieces(kind, length, in, in.n, 1, o);
    for (size_t first = 0; first <= in.n + 1; first++) {
        size_t step = first > in.n ? 1 : in.n; /* the last round is byte by byte */
        struct outcome other;

        read_in_pieces(kind, length, in, first > in.n ? 0 : first, step, &other);
        assert_int_equal(other.failed, o->failed);
        assert_int_equal(other.done, o->done);
        if (!o->failed) {
            assert_true(str_eq(buf_str(&other.content), buf_str(&o->content)));
            assert_true(str_eq(buf_str(&other.trailers), buf_str(&o->trailers)));
            assert_int_equal(other.used, o->used);
        } else {
            assert_string_equal(other.e.msg, o->e.msg);
        }
        outcome_fini(&other);
    }
}

static const struct {
    struct str in;
    const char *content;
    const char *trailers;
    bool done;
    size_t left; /* bytes behind the body */
} chunked[] = {
    { STR_INIT("0\r\n\r\n"), "", "", true, 0 },
    { STR_INIT("5\r\nhello\r\n0\r\n\r\n"), "hello", "", true, 0 },
    { STR_INIT("5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1"), "hello", "", true, 14 },
    { STR_INIT("1\r\na\r\n2\r\nbc\r\n00\r\n\r\n"), "abc", "", true, 0 },
    { STR_INIT("A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n"), "01234567890123456789", "", true,
      0 },
    { STR_INIT("0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n"), "hello", "", true, 0 },
    { STR_INIT("5\r\n\r\n0\r\n\r\n0\r\n\r\n"), "\r\n0\r\n", "", true, 0 },
    /* Extensions are dropped. */
    { STR_INIT("5;a\r\nhello\r\n0;b=c\r\n\r\n"), "hello", "", true, 0 },
    { STR_INIT("5 \t; a = \"b;\xc3\xa9\\\"c\"\r\nhello\r\n0;\r\n\r\n"), "hello", "", true, 0 },
    /* Trailers. */
    { STR_INIT("0\r\nA: 1\r\n\r\n"), "", "A: 1\r\n", true, 0 },
    { STR_INIT("1\r\nx\r\n0\r\nGrpc-Status: 0\r\ngrpc-message:\t ok \r\nE:\r\n\r\nrest"), "x",
      "Grpc-Status: 0\r\ngrpc-message: ok\r\nE: \r\n", true, 4 },
    { STR_INIT("0\r\nContent-Length: 5\r\nA: 1\r\nTRANSFER-ENCODING: chunked\r\nHost: b\r\n"
               "Authorization: x\r\nSet-Cookie: a=b\r\nTrailer: q\r\nx-forwarded-for: 1.1.1.1\r\n"
               "Content-Encoding: gzip\r\n\r\n"),
      "", "A: 1\r\n", true, 0 },
    /* Not at its end. */
    { STR_INIT(""), "", "", false, 0 },
    { STR_INIT("5"), "", "", false, 0 },
    { STR_INIT("5\r"), "", "", false, 0 },
    { STR_INIT("5\r\nhel"), "hel", "", false, 0 },
    { STR_INIT("5\r\nhello"), "hello", "", false, 0 },
    { STR_INIT("5\r\nhello\r"), "hello", "", false, 0 },
    { STR_INIT("5\r\nhello\r\n"), "hello", "", false, 0 },
    { STR_INIT("0\r\n"), "", "", false, 0 },
    { STR_INIT("0\r\n\r"), "", "", false, 0 },
    { STR_INIT("0\r\nA: 1\r\n"), "", "", false, 0 },
    { STR_INIT("0\r\nA: 1\r\n\r"), "", "", false, 0 },
    { STR_INIT("ffffffffffffffff\r\nx"), "x", "", false, 0 },
};

static void http1_body_read_chunked_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(chunked); i++) {
        struct outcome o;

        read_all_ways(HTTP_BODY_CHUNKED, 0, chunked[i].in, &o);
        if (o.failed || o.done != chunked[i].done ||
            !str_eq(buf_str(&o.content), str_from(chunked[i].content)) ||
            !str_eq(buf_str(&o.trailers), str_from(chunked[i].trailers)) ||
            o.used != chunked[i].in.n - chunked[i].left)
            fail_msg("case %zu: failed %d (%s) done %d used %zu content '%.*s' trailers '%.*s'", i,
                     o.failed, o.e.msg, o.done, o.used, STR_ARG(buf_str(&o.content)),
                     STR_ARG(buf_str(&o.trailers)));
        outcome_fini(&o);
    }
}

static const struct str refused[] = {
    /* Sizes. */
    STR_INIT("\r\n"),
    STR_INIT(";a\r\n"),
    STR_INIT(" 5\r\nhello\r\n"),
    STR_INIT("\t5\r\nhello\r\n"),
    STR_INIT("-5\r\nhello\r\n"),
    STR_INIT("+5\r\nhello\r\n"),
    STR_INIT("0x5\r\nhello\r\n"),
    STR_INIT("g\r\n"),
    STR_INIT("5g\r\n"),
    STR_INIT("5_0\r\n"),
    STR_INIT("5.0\r\n"),
    STR_INIT("5,5\r\n"),
    STR_INIT("5 \r\nhello\r\n"),
    STR_INIT("5 5\r\n"),
    STR_INIT("5\t\r\n"),
    STR_INIT("10000000000000000\r\n"),
    STR_INIT("00000000000000005\r\nhello\r\n"),
    STR_INIT("fffffffffffffffff\r\n"),
    STR_INIT("\0"),
    STR_INIT("5\0\r\n"),
    STR_INIT("\xb2\r\n"),
    /* Line ends of sizes. */
    STR_INIT("5\nhello\n0\n\n"),
    STR_INIT("5\r\r\nhello"),
    STR_INIT("5\rhello"),
    STR_INIT("\n"),
    STR_INIT("5;a\nhello"),
    STR_INIT("5;a\rb\r\nhello"),
    STR_INIT("5;a=\"\n\"\r\nhello"),
    STR_INIT("5;a\0\r\nhello"),
    STR_INIT("5;a\x7f\r\nhello"),
    STR_INIT("0\n\r\n"),
    STR_INIT("0\n\n"),
    /* Line ends of content. */
    STR_INIT("5\r\nhello!\r\n0\r\n\r\n"),
    STR_INIT("5\r\nhello\n0\r\n\r\n"),
    STR_INIT("5\r\nhello\r0\r\n\r\n"),
    STR_INIT("5\r\nhello0\r\n\r\n"),
    STR_INIT("5\r\nhello\r\n\r\n"),
    STR_INIT("6\r\nhello\r\n0\r\n\r\n"),
    /* Trailers. */
    STR_INIT("0\r\n\n"),
    STR_INIT("0\r\n\rA"),
    STR_INIT("0\r\nA: 1\n\r\n"),
    STR_INIT("0\r\nA: 1\r\n\n"),
    STR_INIT("0\r\nA: 1\r\r\n\r\n"),
    STR_INIT("0\r\nA: 1\rB: 2\r\n\r\n"),
    STR_INIT("0\r\nA\r\n\r\n"),
    STR_INIT("0\r\nA : 1\r\n\r\n"),
    STR_INIT("0\r\n: 1\r\n\r\n"),
    STR_INIT("0\r\n A: 1\r\n\r\n"),
    STR_INIT("0\r\nA: 1\r\n b\r\n\r\n"),
    STR_INIT("0\r\nA: \0\r\n\r\n"),
    STR_INIT("0\r\nA: \x01\r\n\r\n"),
    STR_INIT("0\r\nGET / HTTP/1.1\r\n\r\n"),
};

static void http1_body_read_refuses_bad_chunks(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        struct outcome o;

        read_all_ways(HTTP_BODY_CHUNKED, 0, refused[i], &o);
        if (!o.failed || o.e.code != E_BAD_REQUEST)
            fail_msg("case %zu: failed %d code %d", i, o.failed, o.e.code);
        outcome_fini(&o);
    }
}

/* A chunk line of n bytes, and trailers of n bytes. */
static bool is_chunk_line_ok(size_t n)
{
    struct outcome o;
    struct buf in;
    bool ok;

    buf_init(&in, 1 << 20);
    buf_add_str(&in, STR("0;"));
    for (size_t i = 2; i < n; i++)
        buf_add_char(&in, 'x');
    buf_add_str(&in, STR("\r\n\r\n"));
    read_all_ways(HTTP_BODY_CHUNKED, 0, buf_str(&in), &o);
    ok = o.done;
    outcome_fini(&o);
    buf_fini(&in);
    return ok;
}

static bool are_trailers_ok(size_t n)
{
    struct outcome o;
    struct buf in;
    bool ok;

    buf_init(&in, 1 << 20);
    buf_add_str(&in, STR("0\r\nx:"));
    for (size_t i = 4; i < n; i++)
        buf_add_char(&in, 'x');
    buf_add_str(&in, STR("\r\n\r\n"));
    read_in_pieces(HTTP_BODY_CHUNKED, 0, buf_str(&in), in.len, 1, &o);
    ok = o.done;
    outcome_fini(&o);
    buf_fini(&in);
    return ok;
}

static void http1_body_read_at_its_limits(void **state)
{
    (void)state;
    assert_true(is_chunk_line_ok(HTTP1_CHUNK_LINE_MAX_BYTES));
    assert_false(is_chunk_line_ok(HTTP1_CHUNK_LINE_MAX_BYTES + 1));
    assert_true(are_trailers_ok(HTTP1_TRAILERS_MAX_BYTES));
    assert_false(are_trailers_ok(HTTP1_TRAILERS_MAX_BYTES + 1));
}

/* The limit is for each chunk line, not for the sum of all. */
static void http1_body_read_counts_each_chunk_line_anew(void **state)
{
    struct outcome o;
    struct buf in;

    (void)state;
    buf_init(&in, 1 << 20);
    for (size_t i = 0; i < 100; i++)
        buf_add_str(&in, STR("1;extension\r\nx\r\n"));
    buf_add_str(&in, STR("0\r\n\r\n"));
    read_in_pieces(HTTP_BODY_CHUNKED, 0, buf_str(&in), 0, 7, &o);
    assert_true(o.done);
    assert_int_equal(buf_str(&o.content).n, 100);
    outcome_fini(&o);
    buf_fini(&in);
}

static void http1_body_read_length_stops_at_its_end(void **state)
{
    struct outcome o;

    (void)state;
    read_all_ways(HTTP_BODY_LENGTH, 5, STR("helloGET"), &o);
    assert_true(o.done);
    assert_int_equal(o.used, 5);
    assert_true(str_eq(buf_str(&o.content), STR("hello")));
    outcome_fini(&o);
    read_all_ways(HTTP_BODY_LENGTH, 9, STR("helloGET"), &o);
    assert_false(o.done);
    assert_int_equal(o.used, 8);
    outcome_fini(&o);
    read_all_ways(HTTP_BODY_LENGTH, 0, STR("GET"), &o);
    assert_true(o.done);
    assert_int_equal(o.used, 0);
    outcome_fini(&o);
    read_all_ways(HTTP_BODY_LENGTH, UINT64_MAX, STR("abc"), &o);
    assert_false(o.done);
    assert_int_equal(o.used, 3);
    outcome_fini(&o);
}

static void http1_body_read_none_takes_nothing(void **state)
{
    struct outcome o;

    (void)state;
    read_all_ways(HTTP_BODY_NONE, 5, STR("GET"), &o);
    assert_true(o.done);
    assert_int_equal(o.used, 0);
    outcome_fini(&o);
}

static void http1_body_read_close_takes_all(void **state)
{
    struct outcome o;

    (void)state;
    read_all_ways(HTTP_BODY_CLOSE, 0, STR("0\r\n\r\nall of it"), &o);
    assert_false(o.done);
    assert_true(str_eq(buf_str(&o.content), STR("0\r\n\r\nall of it")));
    outcome_fini(&o);
}

/* One small chunk is one call, so that its end is known with its content. */
static void http1_body_read_takes_the_framing_behind_content(void **state)
{
    struct http1_body b;
    struct str data;
    size_t used;

    (void)state;
    http1_body_init(&b, HTTP_BODY_CHUNKED, 0);
    assert_int_equal(http1_body_read(&b, STR("5\r\nhello\r\n0\r\n\r\n"), &data, &used, NULL), 0);
    assert_int_equal(used, 15);
    assert_true(str_eq(data, STR("hello")));
    assert_true(http1_body_is_done(&b));
    http1_body_fini(&b);
}

static void http1_write_chunks_are_read_back(void **state)
{
    static const size_t sizes[] = { 1, 9, 10, 15, 16, 255, 256, 4096, 65535 };
    struct http_header field = { STR_INIT("a"), STR_INIT("1") };
    struct http_headers trailers = { .items = &field, .count = 1, .cap = 1 };
    struct outcome o;
    size_t total = 0;
    struct buf out;

    (void)state;
    buf_init(&out, 1 << 20);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        http1_write_chunk_start(&out, sizes[i]);
        for (size_t k = 0; k < sizes[i]; k++)
            buf_add_char(&out, 'x');
        http1_write_chunk_end(&out);
        total += sizes[i];
    }
    http1_write_last_chunk(&out, &trailers);
    read_in_pieces(HTTP_BODY_CHUNKED, 0, buf_str(&out), 0, 1000, &o);
    assert_true(o.done);
    assert_int_equal(buf_str(&o.content).n, total);
    assert_true(str_eq(buf_str(&o.trailers), STR("a: 1\r\n")));
    outcome_fini(&o);
    buf_fini(&out);
}

static void http1_write_last_chunk_without_trailers(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 4096);
    http1_write_chunk_start(&out, 0xabc);
    http1_write_last_chunk(&out, NULL);
    assert_true(str_eq(buf_str(&out), STR("abc\r\n0\r\n\r\n")));
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http1_body_read_chunked_table),
        cmocka_unit_test(http1_body_read_refuses_bad_chunks),
        cmocka_unit_test(http1_body_read_at_its_limits),
        cmocka_unit_test(http1_body_read_counts_each_chunk_line_anew),
        cmocka_unit_test(http1_body_read_length_stops_at_its_end),
        cmocka_unit_test(http1_body_read_none_takes_nothing),
        cmocka_unit_test(http1_body_read_close_takes_all),
        cmocka_unit_test(http1_body_read_takes_the_framing_behind_content),
        cmocka_unit_test(http1_write_chunks_are_read_back),
        cmocka_unit_test(http1_write_last_chunk_without_trailers),
    };

    return cmocka_run_group_tests_name("gateway/http1 bodies", tests, NULL, NULL);
}
