/*
 * Unit tests of base/base64.
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

static void base64_encode_is_what_decode_reads(void **state)
{
    static const struct {
        struct str bytes;
        const char *text;
    } cases[] = {
        { STR_INIT(""), "" },
        { STR_INIT("f"), "Zg==" },
        { STR_INIT("fo"), "Zm8=" },
        { STR_INIT("foo"), "Zm9v" },
        { STR_INIT("foob"), "Zm9vYg==" },
        { STR_INIT("\xfb\xff\xbf"), "+/+/" },
        { STR_INIT("\0\0\0\0"), "AAAAAA==" },
    };
    char out[16];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t n = base64_text_bytes(cases[i].bytes.n);

        assert_int_equal(n, strlen(cases[i].text));
        base64_encode(cases[i].bytes, out);
        assert_memory_equal(out, cases[i].text, n);
    }
}

static void base64_round_trips_every_byte_at_every_length(void **state)
{
    char bytes[256];
    char text[(sizeof(bytes) + 2) / 3 * 4];
    char back[256];
    size_t n;

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(unsigned char)(i * 7 + 3);
    for (size_t length = 0; length <= sizeof(bytes); length++) {
        base64_encode(str_of(bytes, length), text);
        assert_int_equal(
            base64_decode(str_of(text, base64_text_bytes(length)), back, sizeof(back), &n), 0);
        assert_int_equal(n, length);
        assert_memory_equal(back, bytes, n);
    }
}

static void base64_decode_bare_takes_text_with_and_without_padding(void **state)
{
    static const struct {
        const char *text;
        const char *bytes; /* NULL: refused */
    } cases[] = {
        { "", "" },        { "Zg==", "f" },      { "Zg", "f" },          { "Zm8", "fo" },
        { "Zm9v", "foo" }, { "Zm9vYg", "foob" }, { "Zm9vYmE", "fooba" }, { "Z", NULL },
        { "Zg=", NULL },   { "Zm9vZ", NULL },    { "Zg==Zg", NULL },     { "Zh", NULL },
        { "Zm9", NULL },   { "Zm9vYm-", NULL },  { "Zm9v YmE", NULL },   { "=", NULL },
    };
    char out[16];
    size_t n;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct str text = str_from(cases[i].text);
        int result = base64_decode_bare(text, out, sizeof(out), &n);

        assert_int_equal(result, cases[i].bytes == NULL ? -1 : 0);
        if (cases[i].bytes == NULL)
            continue;
        assert_int_equal(n, strlen(cases[i].bytes));
        assert_memory_equal(out, cases[i].bytes, n);
        assert_true(n <= base64_max_bytes(text.n + 3));
        assert_int_equal(base64_decode_bare(text, out, n, &n), 0);
        if (n > 0)
            assert_int_equal(base64_decode_bare(text, out, n - 1, &n), -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_decode_well_formed_gives_its_bytes),
        cmocka_unit_test(base64_decode_malformed_is_refused),
        cmocka_unit_test(base64_decode_stops_at_the_room_there_is),
        cmocka_unit_test(base64_encode_is_what_decode_reads),
        cmocka_unit_test(base64_round_trips_every_byte_at_every_length),
        cmocka_unit_test(base64_decode_bare_takes_text_with_and_without_padding),
    };

    return cmocka_run_group_tests_name("base/base64", tests, NULL, NULL);
}
