/*
 * Unit tests of base/base64.
 * Links: base/base64 base/str base/mem
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base64.h"

static void base64_decode_well_formed_gives_its_bytes(void **state)
{
    static const struct {
        const char *text;
        struct str bytes;
    } cases[] = {
        { "", STR_INIT("") },
        { "Zg==", STR_INIT("f") },
        { "Zm8=", STR_INIT("fo") },
        { "Zm9v", STR_INIT("foo") },
        { "Zm9vYg==", STR_INIT("foob") },
        { "Zm9vYmE=", STR_INIT("fooba") },
        { "Zm9vYmFy", STR_INIT("foobar") },
        { "+/+/", STR_INIT("\xfb\xff\xbf") },
        { "AAAA", STR_INIT("\0\0\0") },
    };
    char out[16];
    size_t n;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct str text = str_from(cases[i].text);

        assert_int_equal(base64_decode(text, out, sizeof(out), &n), 0);
        assert_int_equal(n, cases[i].bytes.n);
        assert_memory_equal(out, cases[i].bytes.p, n);
        assert_true(n <= base64_max_bytes(text.n));
    }
}

static void base64_decode_malformed_is_refused(void **state)
{
    static const struct str cases[] = {
        STR_INIT("Z"),        STR_INIT("Zg"),    STR_INIT("Zg="),     STR_INIT("Zg==="),
        STR_INIT("===="),     STR_INIT("Z==="),  STR_INIT("Zh=="),    STR_INIT("Zm9="),
        STR_INIT("Zg==Zg=="), STR_INIT("Zm 8"),  STR_INIT("Zm9v\n"),  STR_INIT("Zm9-"),
        STR_INIT("Zm9_"),     STR_INIT("Zm\0v"), STR_INIT("Zm9\xc3"), STR_INIT("=Zm9"),
    };
    char out[16];
    size_t n;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(base64_decode(cases[i], out, sizeof(out), &n), -1);
}

static void base64_decode_stops_at_the_room_there_is(void **state)
{
    char out[3];
    size_t n;

    (void)state;
    assert_int_equal(base64_decode(STR("Zm9v"), out, 3, &n), 0);
    assert_int_equal(base64_decode(STR("Zm9v"), out, 2, &n), -1);
    assert_int_equal(base64_decode(STR(""), out, 0, &n), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_decode_well_formed_gives_its_bytes),
        cmocka_unit_test(base64_decode_malformed_is_refused),
        cmocka_unit_test(base64_decode_stops_at_the_room_there_is),
    };

    return cmocka_run_group_tests_name("base/base64", tests, NULL, NULL);
}
