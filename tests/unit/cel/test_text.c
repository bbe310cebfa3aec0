/*
 * Unit tests of policy/cel/text and policy/cel/number_text.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/cel/cel.h"
#include "policy/cel/text.h"

static struct cel_limits limits;
static struct arena arena;
static struct cel_run run;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena);
    limits = cel_default_limits;
    run = (struct cel_run){ .arena = &arena, .limits = &limits };
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

static void expect_text(struct cel_value v, struct str want)
{
    if (v.kind != CEL_STRING || !str_eq(cel_str(v), want))
        fail_msg("'%.*s' instead of '%.*s'", STR_ARG(cel_str(v)), STR_ARG(want));
}

static void cel_double_text_has_each_layout(void **state)
{
    static const struct {
        double d;
        const char *texts[3]; /* STRING, PLAIN, FIXED */
    } cases[] = {
        { 0.0, { "0", "0", "0" } },
        { -0.0, { "-0", "-0", "-0" } },
        { 1.0, { "1", "1", "1" } },
        { 1.5, { "1.5", "1.5", "1.5" } },
        { 0.1, { "0.1", "0.1", "0.1" } },
        { 123.456, { "123.456", "123.456", "123.456" } },
        { -4.5e-3, { "-0.0045", "-0.0045", "-0.0045" } },
        { 100000, { "100000", "100000", "100000" } },
        { 1e6, { "1e+06", "1000000", "1000000" } },
        { 1234567, { "1.234567e+06", "1234567", "1234567" } },
        { 999999.5, { "999999.5", "999999.5", "999999.5" } },
        { 0.0001, { "0.0001", "0.0001", "0.0001" } },
        { 0.00001, { "1e-05", "0.00001", "0.00001" } },
        { 0.0000001, { "1e-07", "1e-07", "0.0000001" } },
        { 1e20, { "1e+20", "100000000000000000000", "100000000000000000000" } },
        { 1e21, { "1e+21", "1e+21", "1000000000000000000000" } },
        { 1.5e-10, { "1.5e-10", "1.5e-10", "0.00000000015" } },
        { 0.3, { "0.3", "0.3", "0.3" } },
        { 0.1 + 0.2, { "0.30000000000000004", "0.30000000000000004", "0.30000000000000004" } },
        { 9007199254740993.0, { "9.007199254740992e+15", "9007199254740992", "9007199254740992" } },
        { 5e-324, { "5e-324", "5e-324", NULL } },
        { 2.2250738585072014e-308, { "2.2250738585072014e-308", NULL, NULL } },
        { 1.7976931348623157e308, { "1.7976931348623157e+308", NULL, NULL } },
        /* a power of two whose nearest number of 16 digits reads back as its neighbour */
        { 5.684341886080802e-14, { "5.684341886080802e-14", NULL, NULL } },
        { 9.5367431640625e-07, { "9.5367431640625e-07", NULL, "0.00000095367431640625" } },
        { INFINITY, { "+Inf", "+Inf", "+Inf" } },
        { -INFINITY, { "-Inf", "-Inf", "-Inf" } },
        { NAN, { "NaN", "NaN", "NaN" } },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (int layout = CEL_DOUBLE_STRING; layout <= CEL_DOUBLE_FIXED; layout++) {
            char out[CEL_DOUBLE_BYTES];
            struct str s = cel_double_text(cases[i].d, (enum cel_double_layout)layout, out);

            if (cases[i].texts[layout] != NULL && !str_eq(s, str_from(cases[i].texts[layout])))
                fail_msg("%.*s instead of %s", STR_ARG(s), cases[i].texts[layout]);
        }
    }
}

static int count_digits(struct str s)
{
    int count = 0;

    for (size_t i = 0; i < s.n && s.p[i] != 'e'; i++)
        count += char_is_digit(s.p[i]);
    return count;
}

/* The text reads back, and nothing with one digit less does. */
static void check_shortest(double d)
{
    char out[CEL_DOUBLE_BYTES];
    struct str s = cel_double_text(d, CEL_DOUBLE_STRING, out);
    char text[64];
    int digits;

    assert_true(s.n < sizeof(text));
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    if (strtod(text, NULL) != d)
        fail_msg("%s is not %.17g", text, d);
    digits = count_digits(s);
    if (memchr(text, 'e', s.n) != NULL && digits > 1) {
        (void)snprintf(text, sizeof(text), "%.*e", digits - 2, d);
        if (strtod(text, NULL) == d)
            fail_msg("%.*s could be %s", STR_ARG(s), text);
    }
}

static void cel_double_text_is_the_shortest(void **state)
{
    uint64_t bits = 88172645463325252;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        double d;

        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        memcpy(&d, &bits, sizeof(d));
        if (isfinite(d))
            check_shortest(d);
    }
    for (int exponent = -1074; exponent < 1024; exponent++) {
        check_shortest(ldexp(1.0, exponent));
        check_shortest(nextafter(ldexp(1.0, exponent), 0));
    }
}

static void cel_double_text_longest_fits(void **state)
{
    static const double extremes[] = { 5e-324, -2.2250738585072014e-308, 1.7976931348623157e308,
                                       -1.2345678901234567e-300 };
    char out[CEL_DOUBLE_BYTES];

    (void)state;
    for (size_t i = 0; i < sizeof(extremes) / sizeof(extremes[0]); i++) {
        struct str s = cel_double_text(extremes[i], CEL_DOUBLE_FIXED, out);

        assert_true(s.n <= sizeof(out));
        assert_true(strtod(arena_fmt(&arena, "%.*s", STR_ARG(s)).p, NULL) == extremes[i]);
    }
}

static void cel_int_text_at_limits(void **state)
{
    char out[CEL_INT_BYTES];

    (void)state;
    assert_true(str_eq(cel_int_text(0, out), STR("0")));
    assert_true(str_eq(cel_int_text(-1, out), STR("-1")));
    assert_true(str_eq(cel_int_text(INT64_MIN, out), STR("-9223372036854775808")));
    assert_true(str_eq(cel_int_text(INT64_MAX, out), STR("9223372036854775807")));
    assert_true(str_eq(cel_uint_text(UINT64_MAX, out), STR("18446744073709551615")));
}

static void cel_utf8_clean_replaces_each_run(void **state)
{
    static const struct {
        struct str bytes;
        struct str want;
    } cases[] = {
        { STR_INIT(""), STR_INIT("") },
        { STR_INIT("plain \xc3\xa9"), STR_INIT("plain \xc3\xa9") },
        { STR_INIT("a\xff\xfe\xfd"
                   "b\xc3"),
          STR_INIT("a\xef\xbf\xbd"
                   "b\xef\xbf\xbd") },
        { STR_INIT("\xed\xa0\x80"), STR_INIT("\xef\xbf\xbd") },
        { STR_INIT("\x00x"), STR_INIT("\x00x") },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_text(cel_utf8_clean(&run, cases[i].bytes), cases[i].want);
}

static void cel_utf8_clean_valid_text_is_borrowed(void **state)
{
    struct str s = STR("text");

    (void)state;
    assert_ptr_equal(cel_utf8_clean(&run, s).as.p, s.p);
    assert_int_equal(run.bytes, 0);
}

static void cel_text_add_at_limit(void **state)
{
    struct cel_text t;

    (void)state;
    limits.string_bytes = 100;
    cel_text_init(&t, &run);
    for (int i = 0; i < 10; i++)
        cel_text_add(&t, STR("0123456789"));
    expect_text(cel_text_done(&t), str_of(t.p, 100));
    cel_text_add(&t, STR(""));
    assert_false(t.failed || run.spent);
    cel_text_add_char(&t, 'x');
    assert_true(t.failed && run.spent);
    assert_true(cel_is_error(cel_text_done(&t)));
}

static void cel_to_text_of_each_type(void **state)
{
    struct addr ip = { .family = 4, .ip = { 10, 1, 2, 3 } };
    struct cel_cidr cidr = { .base = ip, .bits = 8 };
    struct cel_value held = cel_int(5);
    struct cel_value twice = cel_optional(&held);
    struct cel_value items[] = { cel_int(1), cel_string(STR("a\"b")), cel_null() };
    const struct {
        struct cel_value v;
        const char *want;
    } cases[] = {
        { cel_null(), "" },
        { cel_bool(true), "true" },
        { cel_bool(false), "false" },
        { cel_int(-42), "-42" },
        { cel_uint(42), "42" },
        { cel_double(1.5), "1.5" },
        { cel_double(1234567), "1234567" },
        { cel_double(NAN), "NaN" },
        { cel_string(STR("text")), "text" },
        { cel_bytes(STR("a\xff")), "a\xef\xbf\xbd" },
        { cel_timestamp(1720829416, 0), "2024-07-13T00:10:16Z" },
        { cel_duration(INT64_C(3600) * 1000000000), "1h0m0s" },
        { cel_duration(1500000), "1.5ms" },
        { cel_type_value(STR("int")), "int" },
        { (struct cel_value){ .kind = CEL_IP, .as.ip = &ip }, "10.1.2.3" },
        { (struct cel_value){ .kind = CEL_CIDR, .as.cidr = &cidr }, "10.1.2.3/8" },
        { cel_optional(NULL), "" },
        { cel_optional(&held), "5" },
        { cel_optional(&twice), "5" },
        { cel_list_new(&run, items, 3), "[1,\"a\\\"b\",null]" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_text(cel_to_text(&run, cases[i].v), str_from(cases[i].want));
    assert_true(cel_is_error(cel_to_text(&run, cel_error(&run, "no"))));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        CASE(cel_double_text_has_each_layout),
        CASE(cel_double_text_is_the_shortest),
        CASE(cel_double_text_longest_fits),
        CASE(cel_int_text_at_limits),
        CASE(cel_utf8_clean_replaces_each_run),
        CASE(cel_utf8_clean_valid_text_is_borrowed),
        CASE(cel_text_add_at_limit),
        CASE(cel_to_text_of_each_type),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
