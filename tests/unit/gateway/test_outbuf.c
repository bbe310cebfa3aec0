/*
 * Unit tests of gateway/outbuf.
 * Links: tests/unit/tunnel/fake_stream
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/outbuf.h"
#include "tests/unit/tunnel/fake_stream.h"

enum { HEAD_MAX = 1024 };

static void outbuf_small_pieces_leave_in_one_write(void **state)
{
    struct fake_stream f;
    struct outbuf o;

    (void)state;
    fake_stream_init(&f, 1000);
    outbuf_init(&o, HEAD_MAX);
    outbuf_open(&o, &f.stream);
    buf_add_str(&o.buf, STR("head "));
    outbuf_send_body(&o, STR("body"));
    assert_int_equal(f.written.len, 0);
    assert_true(outbuf_flush(&o));
    assert_true(str_eq(buf_str(&f.written), STR("head body")));
    outbuf_fini(&o);
    fake_stream_fini(&f);
}

static void outbuf_large_piece_keeps_order_behind_the_head(void **state)
{
    static char large[8192];
    struct fake_stream f;
    struct outbuf o;

    (void)state;
    memset(large, 'x', sizeof(large));
    fake_stream_init(&f, 100000);
    outbuf_init(&o, HEAD_MAX);
    outbuf_open(&o, &f.stream);
    buf_add_str(&o.buf, STR("head"));
    outbuf_send_body(&o, str_of(large, sizeof(large)));
    assert_int_equal(f.written.len, 4 + sizeof(large));
    assert_true(str_starts(buf_str(&f.written), STR("headxx")));
    outbuf_fini(&o);
    fake_stream_fini(&f);
}

static void outbuf_short_write_blocks_until_flushed(void **state)
{
    static char large[8192];
    struct fake_stream f;
    struct outbuf o;

    (void)state;
    memset(large, 'x', sizeof(large));
    fake_stream_init(&f, 100);
    outbuf_init(&o, HEAD_MAX);
    outbuf_open(&o, &f.stream);
    outbuf_send_body(&o, str_of(large, sizeof(large)));
    assert_true(outbuf_is_blocked(&o));
    assert_false(outbuf_flush(&o));
    f.room = 100000;
    assert_true(outbuf_flush(&o));
    assert_false(outbuf_is_blocked(&o));
    assert_int_equal(f.written.len, sizeof(large));
    outbuf_fini(&o);
    fake_stream_fini(&f);
}

static void outbuf_before_open_takes_up_to_the_high_mark(void **state)
{
    static char piece[OUTBUF_HIGH_BYTES];
    struct outbuf o;

    (void)state;
    outbuf_init(&o, HEAD_MAX);
    assert_false(outbuf_flush(&o));
    outbuf_send_body(&o, str_of(piece, sizeof(piece) - 1));
    assert_false(outbuf_is_blocked(&o));
    outbuf_send_body(&o, str_of(piece, 1));
    assert_true(outbuf_is_blocked(&o));
    assert_false(buf_failed(&o.buf));
    outbuf_fini(&o);
}

/* The stream never refused a byte, so it will not say that it is writable again. */
static void outbuf_full_of_small_pieces_is_offered_before_it_blocks(void **state)
{
    static char piece[1000];
    struct fake_stream f;
    struct outbuf o;

    (void)state;
    fake_stream_init(&f, OUTBUF_HIGH_BYTES + 20000);
    outbuf_init(&o, HEAD_MAX);
    outbuf_open(&o, &f.stream);
    o.framing = OUTBUF_CHUNKED;
    while (o.buf.len < OUTBUF_HIGH_BYTES)
        outbuf_send_body(&o, str_of(piece, sizeof(piece)));
    assert_int_equal(f.written.len, 0);
    assert_false(outbuf_is_blocked(&o));
    assert_int_equal(o.buf.len, 0);
    while (o.buf.len < OUTBUF_HIGH_BYTES)
        outbuf_send_body(&o, str_of(piece, sizeof(piece)));
    assert_true(outbuf_is_blocked(&o)); /* now it did */
    assert_int_equal(f.room, 0);
    outbuf_fini(&o);
    fake_stream_fini(&f);
}

static void outbuf_chunked_body_is_framed(void **state)
{
    struct fake_stream f;
    struct outbuf o;

    (void)state;
    fake_stream_init(&f, 1000);
    outbuf_init(&o, HEAD_MAX);
    outbuf_open(&o, &f.stream);
    o.framing = OUTBUF_CHUNKED;
    outbuf_send_body(&o, STR("0123456789abcdef"));
    outbuf_send_body(&o, STR("")); /* must not look like the last chunk */
    outbuf_send_end(&o, NULL);
    assert_true(outbuf_flush(&o));
    assert_true(str_eq(buf_str(&f.written), STR("10\r\n0123456789abcdef\r\n0\r\n\r\n")));
    outbuf_fini(&o);
    fake_stream_fini(&f);
}

static void outbuf_end_waits_for_the_last_byte(void **state)
{
    struct fake_stream f;
    struct outbuf o;

    (void)state;
    fake_stream_init(&f, 2);
    outbuf_init(&o, HEAD_MAX);
    outbuf_open(&o, &f.stream);
    outbuf_send_body(&o, STR("abc"));
    outbuf_end(&o);
    assert_false(outbuf_flush(&o));
    assert_false(f.ended);
    f.room = 10;
    assert_true(outbuf_flush(&o));
    assert_true(f.ended);
    outbuf_fini(&o);
    fake_stream_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outbuf_small_pieces_leave_in_one_write),
        cmocka_unit_test(outbuf_large_piece_keeps_order_behind_the_head),
        cmocka_unit_test(outbuf_short_write_blocks_until_flushed),
        cmocka_unit_test(outbuf_before_open_takes_up_to_the_high_mark),
        cmocka_unit_test(outbuf_full_of_small_pieces_is_offered_before_it_blocks),
        cmocka_unit_test(outbuf_chunked_body_is_framed),
        cmocka_unit_test(outbuf_end_waits_for_the_last_byte),
    };

    return cmocka_run_group_tests_name("gateway/outbuf", tests, NULL, NULL);
}
