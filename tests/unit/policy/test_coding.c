/*
 * Unit tests of policy/coding.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rand.h"
#include "policy/coding.h"

enum { ROOM = 4 * 1024 * 1024 };

static const enum coding all[] = { CODING_GZIP, CODING_DEFLATE, CODING_BR, CODING_ZSTD };
enum { ALL = sizeof(all) / sizeof(all[0]) };

/* Text that compresses, and does not repeat within a few kilobytes. */
static struct str sample(size_t n)
{
    static const char words[] = "the quick brown fox jumps over the lazy dog ";
    char *text = mem_alloc(n);

    for (size_t i = 0; i < n; i++)
        text[i] = i % 977 == 0 ? (char)('0' + i / 977 % 10) : words[i % (sizeof(words) - 1)];
    return str_of(text, n);
}

static void encode(enum coding c, struct str in, size_t piece, struct buf *out)
{
    struct encoder *e = encoder_new(c);

    assert_non_null(e);
    for (size_t at = 0; at < in.n; at += piece)
        assert_int_equal(encoder_push(e, str_slice(in, at, at + piece), CODING_MORE, out, NULL), 0);
    assert_int_equal(encoder_push(e, STR_NONE, CODING_FINISH, out, NULL), 0);
    encoder_free(e);
}

static int decode(enum coding c, struct str in, size_t piece, struct buf *out, bool *complete)
{
    struct decoder *d = decoder_new(c);
    int rc = 0;

    assert_non_null(d);
    for (size_t at = 0; at < in.n && rc == 0; at += piece)
        rc = decoder_push(d, str_slice(in, at, at + piece), out, NULL);
    *complete = decoder_is_complete(d);
    decoder_free(d);
    return rc;
}

static void coding_there_and_back_is_the_same(void **state)
{
    static const size_t sizes[] = { 0, 1, 100, 70000, 1000000 };
    static const size_t pieces[] = { 1, 7, 4096, 1000000 };

    (void)state;
    for (size_t i = 0; i < ALL * 5 * 4; i++) {
        enum coding c = all[i % ALL];
        struct str in = sample(sizes[i / ALL % 5]);
        size_t piece = in.n > 100000 && i / ALL / 5 < 2 ? 4096 : pieces[i / ALL / 5];
        struct buf coded;
        struct buf back;
        bool complete;

        buf_init(&coded, ROOM);
        buf_init(&back, ROOM);
        encode(c, in, piece, &coded);
        assert_int_equal(decode(c, buf_str(&coded), piece, &back, &complete), 0);
        assert_true(complete);
        assert_true(str_eq(buf_str(&back), in));
        if (in.n >= 70000)
            assert_true(coded.len < in.n / 5);
        buf_fini(&coded);
        buf_fini(&back);
        mem_free((void *)(uintptr_t)in.p);
    }
}

static void encoder_that_flushes_shows_all_so_far(void **state)
{
    (void)state;
    for (size_t i = 0; i < ALL; i++) {
        struct encoder *e = encoder_new(all[i]);
        struct buf coded;
        struct buf back;
        bool complete;

        buf_init(&coded, ROOM);
        buf_init(&back, ROOM);
        assert_int_equal(encoder_push(e, STR("data: 1\n\n"), CODING_MORE, &coded, NULL), 0);
        assert_int_equal(encoder_push(e, STR_NONE, CODING_FLUSH, &coded, NULL), 0);
        assert_int_equal(decode(all[i], buf_str(&coded), 1000, &back, &complete), 0);
        assert_false(complete);
        assert_true(str_eq(buf_str(&back), STR("data: 1\n\n")));
        buf_fini(&coded);
        buf_fini(&back);
        encoder_free(e);
    }
}

static void decoder_with_a_bomb_stops_at_the_limit(void **state)
{
    (void)state;
    for (size_t i = 0; i < ALL; i++) {
        char *zeros = mem_zalloc(ROOM);
        struct buf coded;
        struct buf back;
        bool complete;

        buf_init(&coded, ROOM);
        buf_init(&back, ROOM / 2);
        encode(all[i], str_of(zeros, ROOM), ROOM, &coded);
        assert_true(coded.len < 10000);
        assert_int_equal(decode(all[i], buf_str(&coded), ROOM, &back, &complete), -1);
        assert_in_range(back.len, 0, ROOM / 2);
        buf_fini(&coded);
        buf_fini(&back);
        mem_free(zeros);
    }
}

static void decoder_with_junk_refuses_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < ALL; i++) {
        char junk[512];
        struct buf back;
        bool complete;
        int rc;

        rand_bytes(junk, sizeof(junk));
        junk[0] = (char)0xFF; /* starts none of the formats */
        buf_init(&back, ROOM);
        rc = decode(all[i], str_of(junk, sizeof(junk)), 100, &back, &complete);
        assert_true(rc == -1 || !complete);
        buf_fini(&back);
    }
}

static void decoder_takes_members_in_a_row(void **state)
{
    static const enum coding framed[] = { CODING_GZIP, CODING_ZSTD };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct buf coded;
        struct buf back;
        bool complete;

        buf_init(&coded, ROOM);
        buf_init(&back, ROOM);
        encode(framed[i], STR("one "), 10, &coded);
        encode(framed[i], STR("two"), 10, &coded);
        assert_int_equal(decode(framed[i], buf_str(&coded), 1, &back, &complete), 0);
        assert_true(complete);
        assert_true(str_eq(buf_str(&back), STR("one two")));
        buf_fini(&coded);
        buf_fini(&back);
    }
}

static void decoder_with_more_behind_its_end_refuses_it(void **state)
{
    static const enum coding single[] = { CODING_DEFLATE, CODING_BR };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct buf coded;
        struct buf back;
        bool complete;

        buf_init(&coded, ROOM);
        buf_init(&back, ROOM);
        encode(single[i], STR("one"), 10, &coded);
        buf_add_str(&coded, STR("more"));
        assert_int_equal(decode(single[i], buf_str(&coded), 1000, &back, &complete), -1);
        buf_fini(&coded);
        buf_fini(&back);
    }
}

static void decode_all_undoes_codings_in_reverse(void **state)
{
    struct buf once;
    struct buf twice;
    struct buf back;

    (void)state;
    buf_init(&once, ROOM);
    buf_init(&twice, ROOM);
    buf_init(&back, ROOM);
    encode(CODING_GZIP, STR("hello"), 10, &once);
    encode(CODING_BR, buf_str(&once), 1000, &twice);
    assert_int_equal(coding_decode_all(STR(" GZip , identity, br"), buf_str(&twice), &back, NULL),
                     0);
    assert_true(str_eq(buf_str(&back), STR("hello")));
    buf_clear(&back);
    assert_int_equal(coding_decode_all(STR_NONE, STR("plain"), &back, NULL), 0);
    assert_true(str_eq(buf_str(&back), STR("plain")));
    buf_fini(&once);
    buf_fini(&twice);
    buf_fini(&back);
}

static void decode_all_of_what_it_cannot_refuses(void **state)
{
    struct buf coded;
    struct buf back;
    struct err e;

    (void)state;
    buf_init(&coded, ROOM);
    buf_init(&back, 8);
    encode(CODING_GZIP, STR("123456789"), 10, &coded);
    assert_int_equal(coding_decode_all(STR("compress"), STR("x"), &back, &e), -1);
    assert_int_equal(e.code, E_POLICY_BODY);
    assert_int_equal(coding_decode_all(STR("gzip,gzip,gzip,gzip,gzip"), STR("x"), &back, &e), -1);
    /* Nine bytes where eight fit. */
    assert_int_equal(coding_decode_all(STR("gzip"), buf_str(&coded), &back, &e), -1);
    assert_int_equal(e.code, E_POLICY_BODY_TOO_LARGE);
    buf_fini(&back);
    buf_init(&back, 9);
    assert_int_equal(coding_decode_all(STR("gzip"), buf_str(&coded), &back, &e), 0);
    buf_fini(&back);
    buf_init(&back, 10);
    /* Cut short. */
    assert_int_equal(
        coding_decode_all(STR("gzip"), str_slice(buf_str(&coded), 0, coded.len - 1), &back, &e),
        -1);
    assert_int_equal(e.code, E_POLICY_BODY);
    buf_fini(&coded);
    buf_fini(&back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(coding_there_and_back_is_the_same),
        cmocka_unit_test(encoder_that_flushes_shows_all_so_far),
        cmocka_unit_test(decoder_with_a_bomb_stops_at_the_limit),
        cmocka_unit_test(decoder_with_junk_refuses_it),
        cmocka_unit_test(decoder_takes_members_in_a_row),
        cmocka_unit_test(decoder_with_more_behind_its_end_refuses_it),
        cmocka_unit_test(decode_all_undoes_codings_in_reverse),
        cmocka_unit_test(decode_all_of_what_it_cannot_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
