/*
 * Unit tests of gateway/http2_frames: frame heads are found however the bytes are cut.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/http2_frames.h"

/* The preface, a SETTINGS without payload, DATA of three bytes, padded DATA: of two bytes, of nothing
 * but padding, and with more padding than there is room; HEADERS that are padded, and a PING on a stream
 * with the reserved bit. */
static const char bytes[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                            "\0\0\0\x04\x01\0\0\0\0"
                            "\0\0\x03\0\x01\x01\x02\x03\x04"
                            "abc"
                            "\0\0\x06\0\x08\0\0\0\x01"
                            "\x03"
                            "abppp"
                            "\0\0\x03\0\x08\0\0\0\x01"
                            "\x02"
                            "pp"
                            "\0\0\x02\0\x08\0\0\0\x01"
                            "\xff"
                            "p"
                            "\0\0\0\0\x08\0\0\0\x01"
                            "\0\0\x02\x01\x08\0\0\0\x01"
                            "\x01"
                            "p"
                            "\0\0\0\x06\0\xff\xff\xff\xff";

static const struct http2_frame frames[] = {
    { .bytes = 0, .type = 4, .flags = 1, .stream_id = 0 },
    { .bytes = 3, .type = 0, .flags = 1, .stream_id = 0x01020304 },
    { .bytes = 2, .type = 0, .flags = 8, .stream_id = 1 },
    { .bytes = 0, .type = 0, .flags = 8, .stream_id = 1 },
    { .bytes = 0, .type = 0, .flags = 8, .stream_id = 1 },
    { .bytes = 0, .type = 0, .flags = 8, .stream_id = 1 },
    { .bytes = 2, .type = 1, .flags = 8, .stream_id = 1 },
    { .bytes = 0, .type = 6, .flags = 0, .stream_id = 0x7fffffff },
};

static void assert_same(const struct http2_frame *x, const struct http2_frame *y)
{
    assert_int_equal(x->bytes, y->bytes);
    assert_int_equal(x->type, y->type);
    assert_int_equal(x->flags, y->flags);
    assert_int_equal(x->stream_id, y->stream_id);
}

static void next_finds_every_frame_however_it_is_cut(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < sizeof(bytes); piece++) {
        struct http2_frames f;
        size_t found = 0;

        http2_frames_init(&f);
        for (size_t at = 0; at < sizeof(bytes) - 1;) {
            struct http2_frame frame;
            bool begins;
            size_t room = sizeof(bytes) - 1 - at;
            size_t n = http2_frames_next(&f, str_of(bytes + at, piece < room ? piece : room),
                                         &begins, &frame);

            assert_true(n > 0 && n <= piece);
            if (begins)
                assert_same(&frame, &frames[found++]);
            at += n;
        }
        assert_int_equal(found, sizeof(frames) / sizeof(frames[0]));
    }
}

static void next_stops_at_the_end_of_each_frame(void **state)
{
    const struct str in = str_of(bytes, sizeof(bytes) - 1);
    static const size_t ends[] = { 24, 33, 45, 60, 72, 83, 92, 103, 112 };
    struct http2_frames f;
    size_t at = 0;

    (void)state;
    http2_frames_init(&f);
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        struct http2_frame frame;
        bool begins;

        at += http2_frames_next(&f, str_skip(in, at), &begins, &frame);
        assert_int_equal(at, ends[i]);
        assert_int_equal(begins, i > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(next_finds_every_frame_however_it_is_cut),
        cmocka_unit_test(next_stops_at_the_end_of_each_frame),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
