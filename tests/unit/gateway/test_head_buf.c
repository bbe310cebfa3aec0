/*
 * Unit tests of gateway/head_buf.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gateway/head_buf.h"

static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\nbody";

enum { HEAD = sizeof(text) - 1 - 4 };

static void head_buf_read_whole_head_borrows_it(void **state)
{
    struct head_buf h;
    struct str head;
    size_t used;

    (void)state;
    head_buf_init(&h);
    assert_int_equal(head_buf_read(&h, str_from(text), 1024, &head, &used, NULL), 1);
    assert_ptr_equal(head.p, text);
    assert_int_equal(head.n, HEAD);
    assert_int_equal(used, HEAD);
    assert_null(h.gathered.mem);
}

static void head_buf_read_cut_anywhere_takes_no_byte_behind_the_head(void **state)
{
    (void)state;
    for (size_t cut = 1; cut < HEAD; cut++) {
        struct head_buf h;
        struct str head;
        size_t used;

        head_buf_init(&h);
        assert_int_equal(head_buf_read(&h, str_of(text, cut), 1024, &head, &used, NULL), 0);
        assert_int_equal(used, cut);
        assert_int_equal(head_buf_read(&h, str_from(text + cut), 1024, &head, &used, NULL), 1);
        assert_int_equal(used, HEAD - cut);
        assert_true(str_eq(head, str_of(text, HEAD)));
        head_buf_reset(&h);
        assert_null(h.gathered.mem);
    }
}

static void head_buf_read_at_the_limit_passes_and_above_is_refused(void **state)
{
    (void)state;
    for (size_t max = HEAD - 1; max <= HEAD; max++) {
        struct head_buf h;
        struct str head;
        size_t used = 0;
        struct err e = { 0 };
        int rc = 0;

        head_buf_init(&h);
        for (size_t i = 0; i < HEAD && rc == 0; i++)
            rc = head_buf_read(&h, str_of(text + i, 1), max, &head, &used, &e);
        assert_int_equal(rc, max == HEAD ? 1 : -1);
        assert_int_equal(e.code, max == HEAD ? E_OK : E_HEAD_TOO_LARGE);
        head_buf_reset(&h);
    }
}

/* A piece far larger than the limit, behind a head that has begun. */
static void head_buf_read_large_piece_gathers_only_some(void **state)
{
    enum { SIZE = 20 * 1024 * 1024 };
    char *piece = mem_zalloc(SIZE);
    struct head_buf h;
    struct str head;
    size_t used;
    struct err e = { 0 };

    (void)state;
    memset(piece, 'x', SIZE);
    head_buf_init(&h);
    assert_int_equal(head_buf_read(&h, STR("GET /"), 1024, &head, &used, &e), 0);
    assert_int_equal(head_buf_read(&h, str_of(piece, SIZE), 1024, &head, &used, &e), -1);
    assert_int_equal(e.code, E_HEAD_TOO_LARGE);
    assert_true(h.gathered.len < 128 * 1024);
    head_buf_reset(&h);
    mem_free(piece);
}

/* The limit of a running head may sink below what was gathered. */
static void head_buf_read_limit_that_sinks_is_refused(void **state)
{
    struct head_buf h;
    struct str head;
    size_t used;
    struct err e = { 0 };

    (void)state;
    head_buf_init(&h);
    assert_int_equal(head_buf_read(&h, str_of(text, 20), 1024, &head, &used, &e), 0);
    assert_int_equal(head_buf_read(&h, str_from(text + 20), 10, &head, &used, &e), -1);
    assert_int_equal(e.code, E_HEAD_TOO_LARGE);
    head_buf_reset(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(head_buf_read_whole_head_borrows_it),
        cmocka_unit_test(head_buf_read_cut_anywhere_takes_no_byte_behind_the_head),
        cmocka_unit_test(head_buf_read_at_the_limit_passes_and_above_is_refused),
        cmocka_unit_test(head_buf_read_large_piece_gathers_only_some),
        cmocka_unit_test(head_buf_read_limit_that_sinks_is_refused),
    };

    return cmocka_run_group_tests_name("gateway/head_buf", tests, NULL, NULL);
}
