/*
 * Unit tests of tunnel/id.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tunnel/id.h"

static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* The 32 bits of seconds are the number divided by 2^128; done here in base 256, the other way. */
static uint32_t seconds_of(const char *id)
{
    uint8_t raw[20] = { 0 };

    for (const char *p = strchr(id, '_') + 1; *p != '\0'; p++) {
        unsigned carry = (unsigned)(strchr(digits, *p) - digits);

        for (size_t i = sizeof(raw); i > 0; i--) {
            carry += raw[i - 1] * 62U;
            raw[i - 1] = (uint8_t)carry;
            carry >>= 8;
        }
        assert_int_equal(carry, 0);
    }
    return ((uint32_t)raw[0] << 24) | ((uint32_t)raw[1] << 16) | ((uint32_t)raw[2] << 8) | raw[3];
}

static void id_new_has_prefix_and_27_digits(void **state)
{
    char id[ID_BYTES];

    (void)state;
    id_new("ep", 1700000000000, id);
    assert_int_equal(strlen(id), 3 + 27);
    assert_memory_equal(id, "ep_", 3);
    assert_int_equal(strspn(id + 3, digits), 27);
    id_new("eleven_chrs", 1700000000000, id);
    assert_int_equal(strlen(id), ID_BYTES - 1);
}

static void id_new_carries_the_time(void **state)
{
    static const struct {
        uint64_t wall_ms;
        uint32_t seconds;
    } rows[] = {
        { 0, 0 },
        { 1400000000999, 0 },
        { 1400000001000, 1 },
        { 1700000000000, 300000000 },
        { (1400000000 + (uint64_t)UINT32_MAX) * 1000, UINT32_MAX },
    };
    char id[ID_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        id_new("ts", rows[i].wall_ms, id);
        assert_int_equal(seconds_of(id), rows[i].seconds);
    }
}

static void id_new_sorts_by_time_and_never_repeats(void **state)
{
    char earlier[ID_BYTES];
    char later[ID_BYTES];

    (void)state;
    for (uint64_t s = 1500000000; s < 1500002000; s++) {
        id_new("ev", s * 1000, earlier);
        id_new("ev", (s + 1) * 1000, later);
        assert_true(strcmp(earlier, later) < 0);
        id_new("ev", s * 1000, later);
        assert_string_not_equal(earlier, later);
    }
}

static void id_source_next_sorts_as_made_within_a_second_and_when_the_clock_goes_back(void **state)
{
    struct id_source s;
    char earlier[ID_BYTES];
    char later[ID_BYTES];

    (void)state;
    id_source_init(&s);
    id_source_next(&s, "ak", 1500000000000, earlier);
    assert_int_equal(seconds_of(earlier), 100000000);
    for (int i = 0; i < 2000; i++) {
        id_source_next(&s, "ak", i % 2 == 0 ? 1500000000000 : 1400000000000, later);
        assert_true(strcmp(earlier, later) < 0);
        assert_int_equal(seconds_of(later), 100000000);
        memcpy(earlier, later, sizeof(earlier));
    }
    id_source_next(&s, "ak", 1500000001000, later);
    assert_int_equal(seconds_of(later), 100000001);
    id_source_fini(&s);
}

static void id_source_follow_goes_on_behind_an_id(void **state)
{
    static const char *const earlier[] = {
        "vault_3AZoZ4wS9c9ndUeJjAVDBFkUDFn", /* of a later time than the call's */
        "ak_3AZoZ4wS9c9ndUeJjAVDBFkUD00",    /* behind the last one already */
        "ak_aWgEPTl1tmebfsQzFP4bxwgy80W",    /* likewise: 2^160 */
        "ak_3AZo",
        "ak_3AZoZ4wS9c9ndUeJjAVDBFkUD/n",
        "",
    };
    struct id_source s;
    char id[ID_BYTES];
    char last[ID_BYTES] = "ak_3AZoZ4wS9c9ndUeJjAVDBFkUDFn";
    uint32_t seconds = seconds_of(last);

    (void)state;
    id_source_init(&s);
    for (size_t i = 0; i < sizeof(earlier) / sizeof(earlier[0]); i++) {
        id_source_follow(&s, str_from(earlier[i]));
        id_source_next(&s, "ak", 1500000000000, id);
        assert_true(strcmp(last, id) < 0);
        assert_int_equal(seconds_of(id), seconds);
        memcpy(last, id, sizeof(last));
    }
    id_source_fini(&s);
}

static void id_is_valid_table(void **state)
{
    static const struct {
        const char *id;
        bool valid;
    } rows[] = {
        { "ak_3AZoZ4wS9c9ndUeJjAVDBFkUDFn", true },
        { "ak_000000000000000000000000000", true },
        { "ak_aWgEPTl1tmebfsQzFP4bxwgy80V", true },  /* 2^160 - 1 */
        { "ak_aWgEPTl1tmebfsQzFP4bxwgy80W", false }, /* 2^160 */
        { "ak_zzzzzzzzzzzzzzzzzzzzzzzzzzz", false },
        { "ak_3AZoZ4wS9c9ndUeJjAVDBFkUDF", false },
        { "ak_3AZoZ4wS9c9ndUeJjAVDBFkUDFnn", false },
        { "ak-3AZoZ4wS9c9ndUeJjAVDBFkUDFn", false },
        { "ak_3AZoZ4wS9c9ndUeJjAVDBFkUD/n", false },
        { "cr_3AZoZ4wS9c9ndUeJjAVDBFkUDFn", false },
        { "ak", false },
        { "", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(id_is_valid(str_from(rows[i].id), "ak"), rows[i].valid);
}

static void id_from_bytes_is_the_number(void **state)
{
    uint8_t raw[ID_RAW_BYTES];
    char id[ID_BYTES];

    (void)state;
    memset(raw, 0xff, sizeof(raw));
    id_from_bytes("x", raw, id);
    assert_string_equal(id, "x_aWgEPTl1tmebfsQzFP4bxwgy80V");
    memset(raw, 0, sizeof(raw));
    raw[sizeof(raw) - 1] = 62;
    id_from_bytes("x", raw, id);
    assert_string_equal(id, "x_000000000000000000000000010");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(id_new_has_prefix_and_27_digits),
        cmocka_unit_test(id_new_carries_the_time),
        cmocka_unit_test(id_new_sorts_by_time_and_never_repeats),
        cmocka_unit_test(id_source_next_sorts_as_made_within_a_second_and_when_the_clock_goes_back),
        cmocka_unit_test(id_source_follow_goes_on_behind_an_id),
        cmocka_unit_test(id_is_valid_table),
        cmocka_unit_test(id_from_bytes_is_the_number),
    };

    return cmocka_run_group_tests_name("tunnel/id", tests, NULL, NULL);
}
