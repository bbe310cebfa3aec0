/*
 * The forwards of a session: labels, duplicates, limits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "sshd/forward.h"

enum { MAX = 4 };

static int set_up(void **state)
{
    *state = mem_zalloc(sizeof(struct forwards));
    return 0;
}

static int tear_down(void **state)
{
    forwards_fini(*state);
    mem_free(*state);
    return 0;
}

static void forwards_add_port_0_gets_labels_from_443_up(void **state)
{
    struct forwards *fs = *state;
    struct err e;

    assert_int_equal(forwards_add(fs, STR("localhost"), 0, MAX, &e)->port, 443);
    assert_int_equal(forwards_add(fs, STR("x.example"), 444, MAX, &e)->port, 444);
    /* Unique in the session, not only for the address. */
    assert_int_equal(forwards_add(fs, STR("localhost"), 0, MAX, &e)->port, 445);
}

static void forwards_add_same_port_of_other_host_is_fine(void **state)
{
    struct forwards *fs = *state;
    struct err e;

    assert_non_null(forwards_add(fs, STR("a.example"), 443, MAX, &e));
    assert_non_null(forwards_add(fs, STR("b.example"), 443, MAX, &e));
    /* Clients compare the bytes, so another case is another forward. */
    assert_non_null(forwards_add(fs, STR("A.example"), 443, MAX, &e));
}

static void forwards_add_duplicate_is_refused(void **state)
{
    struct forwards *fs = *state;
    struct forward *f;
    struct err e;

    assert_non_null(forwards_add(fs, STR("localhost"), 0, MAX, &e));
    assert_null(forwards_add(fs, STR("localhost"), 443, MAX, &e));
    assert_int_equal(e.code, E_DUPLICATE_FORWARD);
    f = forwards_find(fs, STR("localhost"), 443);
    forwards_cancel(fs, f);
    assert_non_null(forwards_add(fs, STR("localhost"), 443, MAX, &e));
}

static void forwards_add_limit_is_exact(void **state)
{
    struct forwards *fs = *state;
    struct err e;

    for (int i = 0; i < MAX; i++)
        assert_non_null(forwards_add(fs, STR(""), 0, MAX, &e));
    assert_null(forwards_add(fs, STR(""), 0, MAX, &e));
    assert_int_equal(e.code, E_FORWARD_LIMIT);
    forwards_cancel(fs, forwards_find(fs, STR(""), 444));
    assert_int_equal(forwards_add(fs, STR(""), 0, MAX, &e)->port, 444);
}

static void forwards_add_host_length_limit_is_exact(void **state)
{
    struct forwards *fs = *state;
    char host[FORWARD_HOST_MAX_BYTES + 1];
    struct err e;

    memset(host, 'a', sizeof(host));
    assert_non_null(forwards_add(fs, str_of(host, FORWARD_HOST_MAX_BYTES), 443, MAX, &e));
    assert_null(forwards_add(fs, str_of(host, FORWARD_HOST_MAX_BYTES + 1), 443, MAX, &e));
    assert_int_equal(e.code, E_LIMIT);
}

static void forwards_add_port_limit_is_exact(void **state)
{
    struct forwards *fs = *state;
    struct err e;

    assert_non_null(forwards_add(fs, STR(""), 65535, MAX, &e));
    assert_null(forwards_add(fs, STR(""), 65536, MAX, &e));
    assert_int_equal(e.code, E_FORWARD_PORT);
    assert_null(forwards_add(fs, STR(""), UINT32_MAX, MAX, &e));
}

static void forwards_find_cancelled_is_found_by_id_only(void **state)
{
    struct forwards *fs = *state;
    struct err e;
    struct forward *f = forwards_add(fs, STR("a.example"), 443, MAX, &e);

    forwards_cancel(fs, f);
    forwards_cancel(fs, f); /* again: nothing */
    assert_int_equal(fs->count, 0);
    assert_null(forwards_find(fs, STR("a.example"), 443));
    assert_ptr_equal(forwards_find_id(fs, f->id), f);
}

static void forwards_find_slot_reverses_slot_number(void **state)
{
    struct forwards *fs = *state;
    struct err e;
    size_t slot = 9;

    (void)forwards_add(fs, STR("a.example"), 443, MAX, &e);
    for (size_t i = 0; i < FORWARD_SLOTS; i++) {
        struct forward *f = forwards_find(fs, STR("a.example"), 443);

        assert_ptr_equal(forwards_find_slot(fs, forward_slot_number(f, i), &slot), f);
        assert_int_equal(slot, i);
    }
    assert_null(forwards_find_slot(fs, 1000, &slot));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(forwards_add_port_0_gets_labels_from_443_up),
        CASE(forwards_add_same_port_of_other_host_is_fine),
        CASE(forwards_add_duplicate_is_refused),
        CASE(forwards_add_limit_is_exact),
        CASE(forwards_add_host_length_limit_is_exact),
        CASE(forwards_add_port_limit_is_exact),
        CASE(forwards_find_cancelled_is_found_by_id_only),
        CASE(forwards_find_slot_reverses_slot_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
