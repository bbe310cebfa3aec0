/*
 * Unit tests of policy/cel/time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/cel/time.h"

static struct arena arena;
static struct cel_run run;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena);
    run = (struct cel_run){ .arena = &arena, .limits = &cel_default_limits };
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

static void assert_text(struct cel_value v, const char *want)
{
    char got[128] = "";

    assert_int_not_equal(v.kind, CEL_ERROR);
    assert_int_equal(v.kind, CEL_STRING);
    assert_true(v.n < sizeof(got));
    memcpy(got, v.as.p, v.n);
    assert_string_equal(got, want);
}

static struct cel_value timestamp(const char *text)
{
    struct cel_value v = cel_timestamp_parse(&run, str_from(text));

    if (v.kind != CEL_TIMESTAMP)
        fail_msg("not a timestamp: %s", text);
    return v;
}

static struct cel_value duration(const char *text)
{
    struct cel_value v = cel_duration_parse(&run, str_from(text));

    if (v.kind != CEL_DURATION)
        fail_msg("not a duration: %s", text);
    return v;
}

static void timestamp_parse_and_format_agree(void **state)
{
    static const struct {
        const char *text;
        int64_t seconds;
        uint32_t ns;
        const char *normal; /* NULL: the same text */
    } cases[] = {
        { "1970-01-01T00:00:00Z", 0, 0, NULL },
        { "2009-02-13T23:31:30Z", 1234567890, 0, NULL },
        { "1969-12-31T23:59:59.5Z", -1, 500000000, NULL },
        { "0001-01-01T00:00:00Z", CEL_TIMESTAMP_MIN, 0, NULL },
        { "9999-12-31T23:59:59.999999999Z", CEL_TIMESTAMP_MAX, 999999999, NULL },
        { "2000-02-29T00:00:00Z", 951782400, 0, NULL },
        { "2024-02-29T12:00:00.000000001Z", 1709208000, 1, NULL },
        { "1900-03-01T00:00:00Z", -2203891200, 0, NULL },
        { "2009-02-13T23:31:30.1200Z", 1234567890, 120000000, "2009-02-13T23:31:30.12Z" },
        { "2009-02-13T23:31:30.000Z", 1234567890, 0, "2009-02-13T23:31:30Z" },
        { "2009-02-13T23:31:30.1234567899999Z", 1234567890, 123456789,
          "2009-02-13T23:31:30.123456789Z" },
        { "2009-02-14T01:31:30+02:00", 1234567890, 0, "2009-02-13T23:31:30Z" },
        { "2009-02-13T14:01:30-09:30", 1234567890, 0, "2009-02-13T23:31:30Z" },
        { "1970-01-01T23:59:00+23:59", 0, 0, "1970-01-01T00:00:00Z" },
        { "1970-01-01T00:00:00-00:00", 0, 0, "1970-01-01T00:00:00Z" },
        { "0000-12-31T23:30:00-00:30", CEL_TIMESTAMP_MIN, 0, "0001-01-01T00:00:00Z" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cel_value v = timestamp(cases[i].text);

        assert_int_equal(v.as.i, cases[i].seconds);
        assert_int_equal(v.n, cases[i].ns);
        assert_text(cel_timestamp_format(&run, v),
                    cases[i].normal != NULL ? cases[i].normal : cases[i].text);
    }
}

static void timestamp_parse_refuses_what_is_none(void **state)
{
    static const char *const cases[] = {
        "",
        "2009",
        "2009-02-13",
        "2009-02-13T23:31:30",
        "2009-02-13 23:31:30Z",
        "2009-02-13t23:31:30Z",
        "2009-02-13T23:31:30z",
        "2009-02-13T23:31Z",
        "2009-02-13T23:31:30.Z",
        "2009-02-13T23:31:30,5Z",
        "2009-02-13T23:31:60Z",
        "2009-02-13T24:00:00Z",
        "2009-02-13T23:60:00Z",
        "2009-02-30T00:00:00Z",
        "2009-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2009-00-13T00:00:00Z",
        "2009-13-13T00:00:00Z",
        "2009-04-31T00:00:00Z",
        "2009-04-00T00:00:00Z",
        "2009-2-13T23:31:30Z",
        "09-02-13T23:31:30Z",
        "+2009-02-13T23:31:30Z",
        "10000-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "0000-12-31T23:59:59Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "2009-02-13T23:31:30+2:00",
        "2009-02-13T23:31:30+24:00",
        "2009-02-13T23:31:30+02:60",
        "2009-02-13T23:31:30+0200",
        "2009-02-13T23:31:30+02",
        "2009-02-13T23:31:30Z ",
        " 2009-02-13T23:31:30Z",
        "2009-02-13T23:31:30ZZ",
        "2009-02-13T-1:31:30Z",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cel_value v = cel_timestamp_parse(&run, str_from(cases[i]));

        if (v.kind != CEL_ERROR)
            fail_msg("taken: %s", cases[i]);
    }
}

static void duration_parse_and_format_agree(void **state)
{
    static const struct {
        const char *text;
        int64_t ns;
        const char *normal;
        const char *go;
    } cases[] = {
        { "0", 0, "0s", "0s" },
        { "+0", 0, "0s", "0s" },
        { "-0", 0, "0s", "0s" },
        { "0s", 0, "0s", "0s" },
        { "1ns", 1, "0.000000001s", "1ns" },
        { "999ns", 999, "0.000000999s", "999ns" },
        { "1us", 1000, "0.000001s", "1\xc2\xb5s" },
        { "1.5\xc2\xb5s", 1500, "0.0000015s", "1.5\xc2\xb5s" },
        { "2\xce\xbcs", 2000, "0.000002s", "2\xc2\xb5s" },
        { "1ms", 1000000, "0.001s", "1ms" },
        { "1.234567ms", 1234567, "0.001234567s", "1.234567ms" },
        { "-250ms", -250000000, "-0.25s", "-250ms" },
        { "60.001s", 60001000000, "60.001s", "1m0.001s" },
        { "1000000s", 1000000000000000, "1000000s", "277h46m40s" },
        { "1h", 3600000000000, "3600s", "1h0m0s" },
        { "1h30m", 5400000000000, "5400s", "1h30m0s" },
        { "30m1h", 5400000000000, "5400s", "1h30m0s" },
        { "1m0.5s", 60500000000, "60.5s", "1m0.5s" },
        { "-1.5h", -5400000000000, "-5400s", "-1h30m0s" },
        { "+5s", 5000000000, "5s", "5s" },
        { ".5s", 500000000, "0.5s", "500ms" },
        { "1.s", 1000000000, "1s", "1s" },
        { "1h1m1s1ms1us1ns", 3661001001001, "3661.001001001s", "1h1m1.001001001s" },
        { "0.9999999999s", 999999999, "0.999999999s", "999.999999ms" },
        { "0.1ns", 0, "0s", "0s" },
        { "0.333333333333333333333h", 1199999999999, "1199.999999999s", "19m59.999999999s" },
        { "9223372036854775807ns", INT64_MAX, "9223372036.854775807s", "2562047h47m16.854775807s" },
        { "-9223372036854775808ns", INT64_MIN, "-9223372036.854775808s",
          "-2562047h47m16.854775808s" },
        { "-2562047h47m16.854775808s", INT64_MIN, "-9223372036.854775808s",
          "-2562047h47m16.854775808s" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cel_value v = duration(cases[i].text);

        assert_int_equal(v.as.i, cases[i].ns);
        assert_text(cel_duration_format(&run, v), cases[i].normal);
        assert_text(cel_duration_format_go(&run, v), cases[i].go);
        assert_int_equal(duration(cases[i].normal).as.i, cases[i].ns);
        assert_int_equal(duration(cases[i].go).as.i, cases[i].ns);
    }
}

static void duration_parse_refuses_what_is_none(void **state)
{
    static const char *const cases[] = {
        "",
        "1",
        "00",
        "s",
        ".s",
        ".",
        "-",
        "+",
        "--1s",
        "+-1s",
        "1d",
        "1w",
        "1 s",
        " 1s",
        "1s ",
        "1S",
        "1e3s",
        "1h-1m",
        "1.2.3s",
        "1hh",
        "1\xc2s",
        "0x1s",
        "inf",
        "9223372036854775808ns",
        "9223372036854775807.5us",
        "-9223372036854775809ns",
        "2562047h47m16.854775808s",
        "-2562047h47m16.854775809s",
        "320000000000s",
        "99999999999999999999999999999999s",
        "2562047h2562047h",
        "2562047h2562047h2562047h2562047h2562047h2562047h2562047h2562047h2562047h",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cel_value v = cel_duration_parse(&run, str_from(cases[i]));

        if (v.kind != CEL_ERROR)
            fail_msg("taken: %s", cases[i]);
    }
}

static void timestamp_from_seconds_at_the_limits(void **state)
{
    (void)state;
    assert_int_equal(cel_timestamp_from_seconds(&run, CEL_TIMESTAMP_MIN).kind, CEL_TIMESTAMP);
    assert_int_equal(cel_timestamp_from_seconds(&run, CEL_TIMESTAMP_MAX).kind, CEL_TIMESTAMP);
    assert_int_equal(cel_timestamp_from_seconds(&run, CEL_TIMESTAMP_MIN - 1).kind, CEL_ERROR);
    assert_int_equal(cel_timestamp_from_seconds(&run, CEL_TIMESTAMP_MAX + 1).kind, CEL_ERROR);
    assert_int_equal(cel_timestamp_from_seconds(&run, INT64_MIN).kind, CEL_ERROR);
    assert_int_equal(cel_timestamp_from_seconds(&run, INT64_MAX).kind, CEL_ERROR);
}

static void timestamp_arithmetic_stays_in_range(void **state)
{
    static const struct {
        const char *t;
        const char *d;
        const char *sum;        /* NULL: an error */
        const char *difference; /* NULL: an error */
    } cases[] = {
        { "2009-02-13T23:00:00Z", "240s", "2009-02-13T23:04:00Z", "2009-02-13T22:56:00Z" },
        { "0001-01-01T00:00:01.000000001Z", "-999999999ns", "0001-01-01T00:00:00.000000002Z",
          "0001-01-01T00:00:02Z" },
        { "1970-01-01T00:00:00Z", "1ns", "1970-01-01T00:00:00.000000001Z",
          "1969-12-31T23:59:59.999999999Z" },
        { "1970-01-01T00:00:00.5Z", "1.5s", "1970-01-01T00:00:02Z", "1969-12-31T23:59:59Z" },
        { "9999-12-31T23:59:59Z", "1s", NULL, "9999-12-31T23:59:58Z" },
        { "9999-12-31T23:59:59.999999999Z", "1ns", NULL, "9999-12-31T23:59:59.999999998Z" },
        { "0001-01-01T00:00:00Z", "1ns", "0001-01-01T00:00:00.000000001Z", NULL },
        { "0001-01-01T00:00:00Z", "-1ns", NULL, "0001-01-01T00:00:00.000000001Z" },
        { "1970-01-01T00:00:00Z", "-9223372036854775808ns", "1677-09-21T00:12:43.145224192Z",
          "2262-04-11T23:47:16.854775808Z" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cel_value t = timestamp(cases[i].t);
        struct cel_value d = duration(cases[i].d);
        struct cel_value sum = cel_timestamp_add(&run, t, d);
        struct cel_value difference = cel_timestamp_sub_duration(&run, t, d);

        if (cases[i].sum == NULL)
            assert_int_equal(sum.kind, CEL_ERROR);
        else
            assert_text(cel_timestamp_format(&run, sum), cases[i].sum);
        if (cases[i].difference == NULL)
            assert_int_equal(difference.kind, CEL_ERROR);
        else
            assert_text(cel_timestamp_format(&run, difference), cases[i].difference);
    }
}

static void timestamp_diff_at_the_limits(void **state)
{
    static const struct {
        const char *a;
        const char *b;
        const char *difference; /* NULL: an error */
    } cases[] = {
        { "2009-02-13T23:04:00Z", "2009-02-13T23:00:00Z", "240s" },
        { "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.5Z", "-0.5s" },
        { "1970-01-01T00:00:01Z", "1970-01-01T00:00:00.999999999Z", "0.000000001s" },
        { "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", NULL },
        { "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", NULL },
        { "2262-04-11T23:47:16.854775807Z", "1970-01-01T00:00:00Z", "9223372036.854775807s" },
        { "2262-04-11T23:47:16.854775808Z", "1970-01-01T00:00:00Z", NULL },
        { "1677-09-21T00:12:43.145224192Z", "1970-01-01T00:00:00Z", "-9223372036.854775808s" },
        { "1677-09-21T00:12:43.145224191Z", "1970-01-01T00:00:00Z", NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cel_value v = cel_timestamp_diff(&run, timestamp(cases[i].a), timestamp(cases[i].b));

        if (cases[i].difference == NULL)
            assert_int_equal(v.kind, CEL_ERROR);
        else
            assert_text(cel_duration_format(&run, v), cases[i].difference);
    }
}

/* Every day of all years, counted one by one. */
static void civil_there_and_back_for_each_day(void **state)
{
    unsigned weekday = 1; /* 0001-01-01 was a Monday */
    int64_t year = 1;
    unsigned year_day = 0;

    (void)state;
    for (int64_t s = CEL_TIMESTAMP_MIN; s <= CEL_TIMESTAMP_MAX; s += 86400) {
        struct cel_civil c;
        int64_t back;

        cel_civil_from_seconds(s + 86399, &c);
        if (c.year != year) {
            assert_int_equal(c.year, year + 1);
            assert_true(year_day == 365 || year_day == 366);
            year++;
            year_day = 0;
        }
        assert_int_equal(c.year_day, year_day);
        assert_int_equal(c.weekday, weekday);
        assert_true(cel_civil_to_seconds(&c, &back));
        assert_int_equal(back, s + 86399);
        year_day++;
        weekday = (weekday + 1) % 7;
    }
    assert_int_equal(year, 9999);
}

static void parse_charges_for_long_text(void **state)
{
    static char digits[64 * 1024];
    struct cel_limits limits = cel_default_limits;

    (void)state;
    memset(digits, '1', sizeof(digits));
    limits.steps = 100;
    run.limits = &limits;
    assert_int_equal(cel_duration_parse(&run, str_of(digits, sizeof(digits))).kind, CEL_ERROR);
    assert_true(run.spent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(timestamp_parse_and_format_agree, setup, teardown),
        cmocka_unit_test_setup_teardown(timestamp_parse_refuses_what_is_none, setup, teardown),
        cmocka_unit_test_setup_teardown(duration_parse_and_format_agree, setup, teardown),
        cmocka_unit_test_setup_teardown(duration_parse_refuses_what_is_none, setup, teardown),
        cmocka_unit_test_setup_teardown(timestamp_from_seconds_at_the_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(timestamp_arithmetic_stays_in_range, setup, teardown),
        cmocka_unit_test_setup_teardown(timestamp_diff_at_the_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(civil_there_and_back_for_each_day, setup, teardown),
        cmocka_unit_test_setup_teardown(parse_charges_for_long_text, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
