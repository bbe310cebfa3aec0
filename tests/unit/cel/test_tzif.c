/*
 * Unit tests of policy/cel/tzif.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "policy/cel/tzif.h"

enum { HOUR = 3600 };

/* ---- making a file ---- */

static void add_be32(struct buf *b, uint32_t v)
{
    const uint8_t bytes[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8),
                               (uint8_t)v };

    buf_add(b, bytes, sizeof(bytes));
}

static void add_header(struct buf *b, char version, const uint32_t counts[6])
{
    static const char reserved[15];

    buf_add_str(b, STR("TZif"));
    buf_add_char(b, version);
    buf_add(b, reserved, sizeof(reserved));
    for (size_t i = 0; i < 6; i++)
        add_be32(b, counts[i]);
}

struct sample {
    char version;
    uint32_t leaps;
    int64_t times[2];
    uint8_t indexes[2];
    int32_t offsets[2];
    const char *footer;
};

static const struct sample good = {
    .version = '2',
    .times = { 1000, 2000 },
    .indexes = { 1, 0 },
    .offsets = { HOUR, 2 * HOUR },
    .footer = "\nXST-3\n",
};

/* Two transitions, two types; the data of version 1 has one type and nothing else. */
static void add_sample(struct buf *b, const struct sample *s)
{
    static const uint32_t counts1[6] = { 0, 0, 0, 0, 1, 4 };
    const uint32_t counts2[6] = { 0, 0, s->leaps, 2, 2, 4 };

    add_header(b, s->version, counts1);
    buf_add(b, "\0\0\0\0\0\0UTC", 10);
    add_header(b, s->version, counts2);
    for (size_t i = 0; i < 2; i++) {
        add_be32(b, (uint32_t)((uint64_t)s->times[i] >> 32));
        add_be32(b, (uint32_t)s->times[i]);
    }
    buf_add(b, s->indexes, 2);
    for (size_t i = 0; i < 2; i++) {
        add_be32(b, (uint32_t)s->offsets[i]);
        buf_add(b, "\0", 2);
    }
    buf_add(b, "UTC", 4);
    buf_add_str(b, str_from(s->footer));
}

static bool parse_sample(const struct sample *s, struct buf *b, struct tzif *out)
{
    buf_clear(b);
    add_sample(b, s);
    return tzif_parse(buf_str(b), out);
}

/* ---- files ---- */

static void tzif_offset_before_between_and_after_transitions(void **state)
{
    static const struct {
        int64_t at;
        int32_t offset;
    } cases[] = {
        { INT64_C(-9000000000000), HOUR },
        { 999, HOUR },
        { 1000, 2 * HOUR },
        { 1999, 2 * HOUR },
        { 2000, 3 * HOUR },
        { 9000000000, 3 * HOUR },
    };
    struct sample empty = good;
    struct tzif z;
    struct buf b;

    (void)state;
    buf_init(&b, 4096);
    assert_true(parse_sample(&good, &b, &z));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(tzif_offset(&z, cases[i].at), cases[i].offset);
    /* Without a rule the last type goes on. */
    empty.footer = "\n\n";
    assert_true(parse_sample(&empty, &b, &z));
    assert_int_equal(tzif_offset(&z, 2000), HOUR);
    buf_fini(&b);
}

static void tzif_parse_refuses_malformed_files(void **state)
{
    struct sample bad[] = { good, good, good, good, good, good, good, good, good, good };
    struct tzif z;
    struct buf b;

    (void)state;
    bad[0].version = '\0';
    bad[1].leaps = 1;
    bad[2].times[1] = 1000;
    bad[3].times[1] = 999;
    bad[4].indexes[0] = 2;
    bad[5].offsets[1] = 93600;
    bad[6].offsets[0] = -90000;
    bad[7].footer = "";
    bad[8].footer = "\nXST";
    bad[9].footer = "\nnonsense\n";
    buf_init(&b, 4096);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (parse_sample(&bad[i], &b, &z))
            fail_msg("case %zu was taken", i);
    }
    buf_fini(&b);
}

/* Each beginning of a good file is copied to memory of its size, so that a read beyond is seen. */
static void tzif_parse_refuses_each_cut_file(void **state)
{
    struct tzif z;
    struct str whole;
    struct buf b;

    (void)state;
    buf_init(&b, 4096);
    add_sample(&b, &good);
    whole = buf_str(&b);
    for (size_t n = 0; n < whole.n; n++) {
        char *cut = str_dup(str_slice(whole, 0, n));

        if (tzif_parse(str_of(cut, n), &z))
            fail_msg("%zu bytes were taken", n);
        mem_free(cut);
    }
    buf_fini(&b);
}

static void tzif_parse_refuses_counts_beyond_the_file(void **state)
{
    static const uint32_t counts[][6] = {
        { UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX },
        { 0, 0, 0, UINT32_MAX, 1, 0 },
        { 0, 0, 0, 0, UINT32_MAX, 0 },
        { 0, 0, 0, 0, 1, UINT32_MAX },
        { 0, 0, 0, 0, 0, 0 },
    };
    static const uint32_t none[6] = { 0 };
    struct tzif z;
    struct buf b;

    (void)state;
    buf_init(&b, 4096);
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        buf_clear(&b);
        add_header(&b, '2', counts[i]);
        buf_add(&b, "\n\n", 2);
        assert_false(tzif_parse(buf_str(&b), &z));
        buf_clear(&b);
        add_header(&b, '2', none);
        add_header(&b, '2', counts[i]);
        buf_add(&b, "\n\n", 2);
        assert_false(tzif_parse(buf_str(&b), &z));
    }
    buf_fini(&b);
}

/* ---- rules ---- */

static void rule_offset_around_its_changes(void **state)
{
    static const struct {
        const char *rule;
        int64_t start; /* of summer time */
        int64_t end;
        int32_t standard;
        int32_t dst;
    } cases[] = {
        /* 2030-03-31T01:00Z, 2030-10-27T01:00Z */
        { "CET-1CEST,M3.5.0,M10.5.0/3", 1901149200, 1919293200, HOUR, 2 * HOUR },
        /* 2030-03-10T08:00Z, 2030-11-03T07:00Z */
        { "CST6CDT,M3.2.0,M11.1.0", 1899360000, 1919919600, -6 * HOUR, -5 * HOUR },
        /* Summer over the new year: 2030-10-05T16:00Z to 2031-04-05T16:00Z */
        { "AEST-10AEDT,M10.1.0,M4.1.0/3", 1917446400, 1933171200, 10 * HOUR, 11 * HOUR },
        /* Winter time that is called daylight time: 2030-10-27T01:00Z to 2031-03-30T01:00Z */
        { "IST-1GMT0,M10.5.0,M3.5.0/1", 1919293200, 1932598800, HOUR, 0 },
        /* Half an hour: 2030-10-05T15:30Z to 2031-04-05T15:00Z */
        { "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", 1917444600, 1933167600, 37800, 11 * HOUR },
        /* A time before the day: 2030-03-31T01:00Z, 2030-10-27T01:00Z */
        { "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", 1901149200, 1919293200, -2 * HOUR, -HOUR },
        /* Days without a weekday; 2032 is a leap year, of which J60 is still March 1. */
        { "AAA0BBB,J60/0,J61/0", 1961712000, 1961794800, 0, HOUR },
        { "AAA0BBB,59/0,60/0", 1961625600, 1961708400, 0, HOUR },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tzif z = { 0 };

        assert_true(tz_rule_parse(str_from(cases[i].rule), &z.rule));
        assert_int_equal(tzif_offset(&z, cases[i].start - 1), cases[i].standard);
        assert_int_equal(tzif_offset(&z, cases[i].start), cases[i].dst);
        assert_int_equal(tzif_offset(&z, cases[i].end - 1), cases[i].dst);
        assert_int_equal(tzif_offset(&z, cases[i].end), cases[i].standard);
    }
}

/* RFC 9636 section 3.3.1: summer time all year. */
static void rule_offset_with_permanent_summer_time(void **state)
{
    struct tzif z = { 0 };

    (void)state;
    assert_true(tz_rule_parse(STR("XXX3EDT4,0/0,J365/23"), &z.rule));
    for (int64_t s = 1700000000; s < 1900000000; s += 1801)
        assert_int_equal(tzif_offset(&z, s), -4 * HOUR);
}

static void rule_parse_refuses_what_is_none(void **state)
{
    static const char *const cases[] = {
        "",
        "UT0",
        "UTC",
        "UTC25",
        "UTC0:60",
        "UTC0x",
        "<UTC0",
        "CET-1CEST",
        "CET-1CEST,M3.5.0",
        "CET-1CEST,M3.5.0,M10.5.0/3,",
        "CET-1CEST,M0.5.0,M10.5.0",
        "CET-1CEST,M13.5.0,M10.5.0",
        "CET-1CEST,M3.0.0,M10.5.0",
        "CET-1CEST,M3.6.0,M10.5.0",
        "CET-1CEST,M3.5.7,M10.5.0",
        "CET-1CEST,M3.5.0/168,M10.5.0",
        "CET-1CEST,J0,J1",
        "CET-1CEST,J1,J366",
        "CET-1CEST,0,366",
        "CET-1CEST,,",
        "CET--1",
        "CET99999999999999999999",
    };
    struct tz_rule rule;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (tz_rule_parse(str_from(cases[i]), &rule))
            fail_msg("taken: %s", cases[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tzif_offset_before_between_and_after_transitions),
        cmocka_unit_test(tzif_parse_refuses_malformed_files),
        cmocka_unit_test(tzif_parse_refuses_each_cut_file),
        cmocka_unit_test(tzif_parse_refuses_counts_beyond_the_file),
        cmocka_unit_test(rule_offset_around_its_changes),
        cmocka_unit_test(rule_offset_with_permanent_summer_time),
        cmocka_unit_test(rule_parse_refuses_what_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
