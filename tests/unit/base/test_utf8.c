/*
 * Unit tests of base/utf8.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/utf8.h"

/* Code points at every border of RFC 3629, with their bytes. */
static const struct {
    uint32_t c;
    struct str bytes;
} points[] = {
    { 0x0, STR_INIT("\0") },
    { 0x7f, STR_INIT("\x7f") },
    { 0x80, STR_INIT("\xc2\x80") },
    { 0x7ff, STR_INIT("\xdf\xbf") },
    { 0x800, STR_INIT("\xe0\xa0\x80") },
    { 0xfff, STR_INIT("\xe0\xbf\xbf") },
    { 0x1000, STR_INIT("\xe1\x80\x80") },
    { 0xcfff, STR_INIT("\xec\xbf\xbf") },
    { 0xd7ff, STR_INIT("\xed\x9f\xbf") },
    { 0xe000, STR_INIT("\xee\x80\x80") },
    { 0xffff, STR_INIT("\xef\xbf\xbf") },
    { 0x10000, STR_INIT("\xf0\x90\x80\x80") },
    { 0x3ffff, STR_INIT("\xf0\xbf\xbf\xbf") },
    { 0x40000, STR_INIT("\xf1\x80\x80\x80") },
    { 0xfffff, STR_INIT("\xf3\xbf\xbf\xbf") },
    { 0x100000, STR_INIT("\xf4\x80\x80\x80") },
    { 0x10ffff, STR_INIT("\xf4\x8f\xbf\xbf") },
};

static void utf8_encode_and_decode_borders_round_trip(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        char out[UTF8_MAX_BYTES];
        size_t n;

        assert_int_equal(utf8_encode(points[i].c, out), points[i].bytes.n);
        assert_memory_equal(out, points[i].bytes.p, points[i].bytes.n);
        assert_int_equal(utf8_decode(points[i].bytes, &n), points[i].c);
        assert_int_equal(n, points[i].bytes.n);
        assert_int_equal(utf8_length(points[i].bytes), n);
        assert_true(utf8_is_valid(points[i].bytes));
        assert_int_equal(utf8_count(points[i].bytes), 1);
        assert_int_equal(utf8_last_length(points[i].bytes), n);
    }
}

static void utf8_every_code_point_has_one_text(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x10ffff; c++) {
        char out[UTF8_MAX_BYTES];
        size_t length;
        size_t n;

        if (c == 0xd800)
            c = 0xe000;
        length = utf8_encode(c, out);
        if (utf8_decode(str_of(out, length), &n) != c || n != length)
            fail_msg("U+%04X does not come back", (unsigned)c);
    }
}

static void utf8_length_ill_formed_is_0(void **state)
{
    static const struct str cases[] = {
        STR_INIT(""),
        STR_INIT("\x80"),
        STR_INIT("\xbf"),
        STR_INIT("\xc0\x80"),
        STR_INIT("\xc1\xbf"),
        STR_INIT("\xc2"),
        STR_INIT("\xc2\x41"),
        STR_INIT("\xc2\xc2"),
        STR_INIT("\xe0\x80\x80"),
        STR_INIT("\xe0\x9f\xbf"),
        STR_INIT("\xe1\x80"),
        STR_INIT("\xe1\x80\x41"),
        STR_INIT("\xed\xa0\x80"),
        STR_INIT("\xed\xbf\xbf"),
        STR_INIT("\xf0\x80\x80\x80"),
        STR_INIT("\xf0\x8f\xbf\xbf"),
        STR_INIT("\xf0\x90\x80"),
        STR_INIT("\xf0\x90\x80\x41"),
        STR_INIT("\xf4\x90\x80\x80"),
        STR_INIT("\xf5\x80\x80\x80"),
        STR_INIT("\xff"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t n;

        assert_int_equal(utf8_length(cases[i]), 0);
        if (cases[i].n == 0)
            continue;
        assert_false(utf8_is_valid(cases[i]));
        assert_int_equal(utf8_decode(cases[i], &n), UTF8_REPLACEMENT);
        assert_int_equal(n, 1);
    }
}

static void utf8_is_valid_finds_a_bad_byte_anywhere(void **state)
{
    char text[40];

    (void)state;
    memset(text, 'a', sizeof(text));
    for (size_t n = 0; n <= sizeof(text); n++) {
        assert_true(utf8_is_valid(str_of(text, n)));
        assert_int_equal(utf8_good(str_of(text, n)), n);
        for (size_t at = 0; at < n; at++) {
            text[at] = (char)0xff;
            assert_false(utf8_is_valid(str_of(text, n)));
            assert_int_equal(utf8_good(str_of(text, n)), at);
            text[at] = 'a';
        }
    }
}

static void utf8_good_and_bad_take_turns(void **state)
{
    static const struct {
        struct str text;
        size_t good;
        size_t bad;
    } cases[] = {
        { STR_INIT(""), 0, 0 },
        { STR_INIT("abc"), 3, 0 },
        { STR_INIT("\xff\xfe\xe2\x82"), 0, 4 },
        { STR_INIT("a\xe2\x82\xac\xe2\x82z"), 4, 2 },
        { STR_INIT("\xed\xa0\x80z"), 0, 3 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(utf8_good(cases[i].text), cases[i].good);
        assert_int_equal(utf8_bad(str_skip(cases[i].text, cases[i].good)), cases[i].bad);
    }
}

static void utf8_offset_counts_code_points(void **state)
{
    static const struct {
        struct str text;
        size_t index;
        size_t offset;
        bool missing;
    } cases[] = {
        { STR_INIT(""), 0, 0, false },
        { STR_INIT(""), 1, 0, true },
        { STR_INIT("abc"), 2, 2, false },
        { STR_INIT("abc"), 3, 3, false },
        { STR_INIT("abc"), 4, 3, true },
        { STR_INIT("abc"), SIZE_MAX, 3, true },
        { STR_INIT("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z"), 1, 1, false },
        { STR_INIT("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z"), 2, 3, false },
        { STR_INIT("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z"), 3, 6, false },
        { STR_INIT("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z"), 4, 10, false },
        { STR_INIT("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z"), 5, 11, false },
        { STR_INIT("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z"), 6, 11, true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool missing = !cases[i].missing;

        assert_int_equal(utf8_offset(cases[i].text, cases[i].index, &missing), cases[i].offset);
        assert_int_equal(missing, cases[i].missing);
        assert_int_equal(utf8_offset(cases[i].text, cases[i].index, NULL), cases[i].offset);
    }
    assert_int_equal(utf8_count(cases[6].text), 5);
}

static void utf8_last_length_stops_at_four(void **state)
{
    (void)state;
    assert_int_equal(utf8_last_length(STR("")), 0);
    assert_int_equal(utf8_last_length(STR("a\xc3\xa9")), 2);
    assert_int_equal(utf8_last_length(STR("\xf0\x9f\x98\x80")), 4);
    assert_int_equal(utf8_last_length(STR("\x80\x80\x80\x80\x80\x80")), 4);
    assert_int_equal(utf8_last_length(STR("\x80")), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_encode_and_decode_borders_round_trip),
        cmocka_unit_test(utf8_every_code_point_has_one_text),
        cmocka_unit_test(utf8_length_ill_formed_is_0),
        cmocka_unit_test(utf8_is_valid_finds_a_bad_byte_anywhere),
        cmocka_unit_test(utf8_good_and_bad_take_turns),
        cmocka_unit_test(utf8_offset_counts_code_points),
        cmocka_unit_test(utf8_last_length_stops_at_four),
    };

    return cmocka_run_group_tests_name("base/utf8", tests, NULL, NULL);
}
