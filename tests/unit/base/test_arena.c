/*
 * Unit tests of base/arena.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <malloc.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"

static void arena_alloc_pieces_are_aligned_and_apart(void **state)
{
    static const size_t sizes[] = { 1, 0, 15, 16, 17, 3000, 5000, 1, 100000, 7 };
    enum { COUNT = sizeof(sizes) / sizeof(sizes[0]), ROUNDS = 20 };
    unsigned char *piece[ROUNDS][COUNT];
    struct arena a;

    (void)state;
    arena_init(&a);
    for (size_t r = 0; r < ROUNDS; r++) {
        for (size_t i = 0; i < COUNT; i++) {
            piece[r][i] = arena_alloc(&a, sizes[i]);
            assert_int_equal((uintptr_t)piece[r][i] % 16, 0);
            memset(piece[r][i], (int)(r * COUNT + i), sizes[i]);
        }
    }
    for (size_t r = 0; r < ROUNDS; r++) {
        for (size_t i = 0; i < COUNT; i++) {
            for (size_t k = 0; k < sizes[i]; k++)
                assert_int_equal(piece[r][i][k], (unsigned char)(r * COUNT + i));
        }
    }
    arena_fini(&a);
}

static void arena_zalloc_is_zero_also_where_memory_was_used(void **state)
{
    static const char zeros[64];
    struct arena a;

    (void)state;
    arena_init(&a);
    for (int i = 0; i < 200; i++) {
        char *p = arena_zalloc(&a, sizeof(zeros));

        assert_memory_equal(p, zeros, sizeof(zeros));
        memset(p, 0xff, sizeof(zeros));
        if (i == 100) {
            arena_fini(&a);
            arena_init(&a);
        }
    }
    arena_fini(&a);
}

static void arena_used_grows_by_what_is_handed_out(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a);
    assert_int_equal(arena_used(&a), 0);
    (void)arena_alloc(&a, 100000);
    assert_in_range(arena_used(&a), 100000, 100015);
    (void)arena_alloc(&a, 1);
    assert_in_range(arena_used(&a), 100001, 100032);
    arena_fini(&a);
    assert_int_equal(arena_used(&a), 0);
}

static void arena_init_small_takes_little_for_little(void **state)
{
    struct mallinfo2 before = mallinfo2();
    struct arena arenas[100];
    char *p[2000];

    (void)state;
    for (size_t i = 0; i < 100; i++) {
        arena_init_small(&arenas[i]);
        memset(arena_alloc(&arenas[i], 100), 1, 100);
    }
    if (mallinfo2().uordblks > before.uordblks) /* else the allocator is another one, as ASan's */
        assert_in_range(mallinfo2().uordblks - before.uordblks, 100, 100 * 300);
    for (size_t i = 0; i < 2000; i++)
        *(p[i] = arena_alloc(&arenas[0], 10)) = (char)i;
    (void)arena_alloc(&arenas[0], 100000);
    for (size_t i = 0; i < 2000; i++)
        assert_int_equal(*p[i], (char)i);
    for (size_t i = 0; i < 100; i++)
        arena_fini(&arenas[i]);
}

static void arena_reset_keeps_a_small_block_and_nothing_else(void **state)
{
    struct arena a;
    char *first;

    (void)state;
    arena_init(&a);
    arena_reset(&a); /* of nothing is nothing */
    assert_null(a.head);
    for (int round = 0; round < 3; round++) {
        first = arena_alloc(&a, 10);
        (void)arena_alloc(&a, 4000);   /* a second small block */
        (void)arena_alloc(&a, 100000); /* one of its own */
        arena_reset(&a);
        assert_int_equal(arena_used(&a), 0);
        assert_non_null(a.head);
        memset(arena_alloc(&a, 3900), 0xff, 3900); /* all of the block is there again */
        arena_reset(&a);
        first = arena_alloc(&a, 10);
        assert_ptr_equal(arena_alloc(&a, 16), first + 16);
        arena_reset(&a);
    }
    arena_fini(&a);
}

static void arena_reset_of_large_blocks_only_frees_them(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a);
    (void)arena_alloc(&a, 100000);
    arena_reset(&a);
    assert_null(a.head);
    assert_int_equal(arena_used(&a), 0);
    arena_fini(&a);
}

static void arena_str_is_a_copy(void **state)
{
    char text[] = "abc";
    struct arena a;
    struct str s;
    struct str none;

    (void)state;
    arena_init(&a);
    s = arena_str(&a, str_of(text, 3));
    none = arena_str(&a, STR_NONE);
    text[0] = 'x';
    assert_true(str_eq(s, STR("abc")));
    assert_int_equal(none.n, 0);
    arena_fini(&a);
}

static void arena_fmt_of_any_length(void **state)
{
    struct arena a;
    struct str s;

    (void)state;
    arena_init(&a);
    s = arena_fmt(&a, "%s=%d", "n", 42);
    assert_true(str_eq(s, STR("n=42")));
    s = arena_fmt(&a, "%10000d", 7);
    assert_int_equal(s.n, 10000);
    assert_int_equal(s.p[9999], '7');
    s = arena_fmt(&a, "%s", "");
    assert_int_equal(s.n, 0);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena_alloc_pieces_are_aligned_and_apart),
        cmocka_unit_test(arena_zalloc_is_zero_also_where_memory_was_used),
        cmocka_unit_test(arena_used_grows_by_what_is_handed_out),
        cmocka_unit_test(arena_init_small_takes_little_for_little),
        cmocka_unit_test(arena_reset_keeps_a_small_block_and_nothing_else),
        cmocka_unit_test(arena_reset_of_large_blocks_only_frees_them),
        cmocka_unit_test(arena_str_is_a_copy),
        cmocka_unit_test(arena_fmt_of_any_length),
    };

    return cmocka_run_group_tests_name("base/arena", tests, NULL, NULL);
}
