/*
 * Unit tests of policy/decode_filter.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "policy/decode_filter.h"

enum { ROOM = 1024 };

static void encode(enum coding coding, struct buf *out)
{
    struct encoder *e = encoder_new(coding);

    buf_init(out, ROOM);
    assert_int_equal(encoder_push(e, STR("data: 1\n\n"), CODING_FLUSH, out, NULL), 0);
    assert_int_equal(encoder_push(e, STR("data: 2\n\n"), CODING_FINISH, out, NULL), 0);
    encoder_free(e);
}

static void filter_decodes_piece_by_piece(void **state)
{
    (void)state;
    for (int c = 0; c < CODING_COUNT; c++) {
        struct policy_filter *f = decode_filter_new((enum coding)c);
        struct buf coded;
        struct buf out;
        struct err e;

        encode((enum coding)c, &coded);
        buf_init(&out, ROOM);
        for (size_t i = 0; i < coded.len; i++)
            assert_int_equal(f->ops->push(f, str_slice(buf_str(&coded), i, i + 1), &out, &e), 0);
        assert_int_equal(f->ops->finish(f, &out, &e), 0);
        assert_true(str_eq(buf_str(&out), STR("data: 1\n\ndata: 2\n\n")));
        f->ops->free(f);
        buf_fini(&coded);
        buf_fini(&out);
    }
}

/* An event stream shows each message when it comes. */
static void filter_shows_what_was_flushed_at_once(void **state)
{
    struct policy_filter *f = decode_filter_new(CODING_GZIP);
    struct encoder *encoder = encoder_new(CODING_GZIP);
    struct buf coded;
    struct buf out;
    struct err e;

    (void)state;
    buf_init(&coded, ROOM);
    buf_init(&out, ROOM);
    assert_int_equal(encoder_push(encoder, STR("data: 1\n\n"), CODING_FLUSH, &coded, NULL), 0);
    assert_int_equal(f->ops->push(f, buf_str(&coded), &out, &e), 0);
    assert_true(str_eq(buf_str(&out), STR("data: 1\n\n")));
    /* And it is not at its end. */
    assert_int_equal(f->ops->finish(f, &out, &e), -1);
    assert_int_equal(e.code, E_POLICY_BODY);
    f->ops->free(f);
    encoder_free(encoder);
    buf_fini(&coded);
    buf_fini(&out);
}

static void filter_of_other_bytes_refuses_them(void **state)
{
    struct policy_filter *f = decode_filter_new(CODING_GZIP);
    struct buf out;
    struct err e;

    (void)state;
    buf_init(&out, ROOM);
    assert_int_equal(f->ops->push(f, STR("data: 1\n\n"), &out, &e), -1);
    assert_int_equal(e.code, E_POLICY_BODY);
    assert_int_equal(out.len, 0);
    f->ops->free(f);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filter_decodes_piece_by_piece),
        cmocka_unit_test(filter_shows_what_was_flushed_at_once),
        cmocka_unit_test(filter_of_other_bytes_refuses_them),
    };

    return cmocka_run_group_tests_name("policy/decode_filter", tests, NULL, NULL);
}
