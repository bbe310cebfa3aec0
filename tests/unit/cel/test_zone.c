/*
 * Unit tests of policy/cel/zone, with the zones of the system.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "policy/cel/zone.h"

static struct cel_zones *zones;

static int load(void **state)
{
    struct err e;

    (void)state;
    zones = cel_zones_load(CEL_ZONES_DIR, &e);
    return zones == NULL ? -1 : 0;
}

static int unload(void **state)
{
    (void)state;
    cel_zones_free(zones);
    return 0;
}

static void zone_offset_of_offsets_and_utc(void **state)
{
    static const struct {
        struct str name;
        int32_t offset;
    } cases[] = {
        { STR_INIT("UTC"), 0 },         { STR_INIT("+00:00"), 0 },
        { STR_INIT("-00:00"), 0 },      { STR_INIT("02:00"), 7200 },
        { STR_INIT("+11:00"), 39600 },  { STR_INIT("-02:30"), -9000 },
        { STR_INIT("-00:30"), -1800 },  { STR_INIT("+23:59"), 86340 },
        { STR_INIT("-23:59"), -86340 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int32_t offset = 1;

        assert_true(cel_zone_offset(NULL, cases[i].name, 0, &offset));
        assert_int_equal(offset, cases[i].offset);
    }
}

static void zone_offset_of_what_is_no_zone_is_refused(void **state)
{
    static const struct str cases[] = {
        STR_INIT(""),
        STR_INIT("+24:00"),
        STR_INIT("+02:60"),
        STR_INIT("+2:00"),
        STR_INIT("+0200"),
        STR_INIT("++02:00"),
        STR_INIT("+-2:00"),
        STR_INIT("02:00 "),
        STR_INIT("02"),
        STR_INIT(":"),
        STR_INIT("America"),
        STR_INIT("America/"),
        STR_INIT("America/Nowhere"),
        STR_INIT("America/New_Yor"),
        STR_INIT("America/New_York1"),
        STR_INIT("America/New_York\0"),
        STR_INIT("america/new_york"),
        STR_INIT("/America/New_York"),
        STR_INIT("../zoneinfo/UTC"),
        STR_INIT("America/../UTC"),
        STR_INIT("posix/America/New_York"),
        STR_INIT("right/America/New_York"),
        STR_INIT("localtime"),
        STR_INIT("zone.tab"),
        STR_INIT("tzdata.zi"),
        STR_INIT("Europe/\xc3\x84"),
        STR_INIT("A123456789012345678901234567890123456789012345678901234567890123456789"),
    };
    int32_t offset;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (cel_zone_offset(zones, cases[i], 0, &offset))
            fail_msg("known: %.*s", STR_ARG(cases[i]));
    }
    assert_false(cel_zone_offset(NULL, STR("America/New_York"), 0, &offset));
}

static void zone_offset_of_names_and_old_links(void **state)
{
    static const struct {
        struct str name;
        int32_t offset; /* on 2009-02-13 */
    } cases[] = {
        { STR_INIT("US/Central"), -21600 },
        { STR_INIT("America/St_Johns"), -12600 },
        { STR_INIT("Asia/Kathmandu"), 20700 },
        { STR_INIT("Australia/Sydney"), 39600 },
        { STR_INIT("Europe/Berlin"), 3600 },
        { STR_INIT("America/Argentina/Ushuaia"), -10800 },
        { STR_INIT("Etc/GMT+5"), -18000 },
        { STR_INIT("GMT-0"), 0 },
        { STR_INIT("Etc/UTC"), 0 },
        { STR_INIT("EST5EDT"), -18000 },
    };

    (void)state;
    assert_in_range(cel_zones_count(zones), 400, CEL_ZONES_MAX);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int32_t offset;

        if (!cel_zone_offset(zones, cases[i].name, 1234567890, &offset))
            fail_msg("unknown: %.*s", STR_ARG(cases[i].name));
        assert_int_equal(offset, cases[i].offset);
    }
}

/* From before the first transition of any zone to long after the last. */
static void zone_offset_agrees_with_libc(void **state)
{
    static const char *const names[] = {
        "America/New_York",  "America/St_Johns",    "America/Nuuk",   "Europe/Dublin",
        "Europe/London",     "Africa/Casablanca",   "Asia/Kathmandu", "Asia/Gaza",
        "Asia/Tehran",       "Australia/Lord_Howe", "Pacific/Apia",   "Antarctica/Troll",
        "America/Sao_Paulo", "Pacific/Chatham",
    };
    const int64_t step = 5 * 86400 + 3611;

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(setenv("TZ", names[i], 1), 0);
        tzset();
        for (int64_t at = INT64_C(-5000000000); at < INT64_C(8000000000); at += step) {
            time_t t = (time_t)at;
            struct tm tm;
            int32_t offset;

            assert_non_null(localtime_r(&t, &tm));
            assert_true(cel_zone_offset(zones, str_from(names[i]), at, &offset));
            if (offset != tm.tm_gmtoff)
                fail_msg("%s at %lld: %d, libc has %ld", names[i], (long long)at, offset,
                         tm.tm_gmtoff);
        }
    }
    assert_int_equal(unsetenv("TZ"), 0);
}

static void zones_load_without_zones_is_refused(void **state)
{
    char folder[] = "/tmp/test_zone.XXXXXX";
    struct err e;

    (void)state;
    assert_non_null(mkdtemp(folder));
    assert_null(cel_zones_load(folder, &e));
    assert_int_equal(e.code, E_NOT_FOUND);
    assert_int_equal(rmdir(folder), 0);
    assert_null(cel_zones_load(folder, &e));
    assert_int_equal(e.code, E_SYSTEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zone_offset_of_offsets_and_utc),
        cmocka_unit_test(zone_offset_of_what_is_no_zone_is_refused),
        cmocka_unit_test(zone_offset_of_names_and_old_links),
        cmocka_unit_test(zone_offset_agrees_with_libc),
        cmocka_unit_test(zones_load_without_zones_is_refused),
    };

    return cmocka_run_group_tests(tests, load, unload);
}
