/*
 * Unit tests of policy/cel/fn_time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/cel/fn.h"
#include "policy/cel/time.h"
#include "policy/cel/zone.h"

static struct cel_zones *zones;
static struct arena arena;
static struct cel_run run;

static int setup(void **state)
{
    (void)state;
    zones = cel_zones_load(CEL_ZONES_DIR, NULL);
    arena_init(&arena);
    run = (struct cel_run){ .arena = &arena, .limits = &cel_default_limits, .zones = zones };
    return zones == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    cel_zones_free(zones);
    arena_fini(&arena);
    return 0;
}

static struct cel_value call(const char *signature, const struct cel_value *args, size_t count)
{
    for (size_t i = 0; i < cel_time_library.count; i++) {
        if (strcmp(cel_time_library.rows[i].signature, signature) == 0)
            return cel_time_library.rows[i].fn(&run, args, count);
    }
    fail_msg("no row %s", signature);
    return cel_null();
}

static void timestamp_parts_by_zone(void **state)
{
    static const struct {
        const char *signature;
        const char *at;
        const char *zone; /* NULL: without */
        int64_t part;
    } cases[] = {
        { "timestamp.getFullYear() -> int", "2009-02-13T23:31:30Z", NULL, 2009 },
        { "timestamp.getMonth() -> int", "2009-02-13T23:31:30Z", NULL, 1 },
        { "timestamp.getDate() -> int", "2009-02-13T23:31:30Z", NULL, 13 },
        { "timestamp.getDayOfMonth() -> int", "2009-02-13T23:31:30Z", NULL, 12 },
        { "timestamp.getDayOfYear() -> int", "2009-02-13T23:31:30Z", NULL, 43 },
        { "timestamp.getDayOfYear() -> int", "2008-12-31T23:31:30Z", NULL, 365 },
        { "timestamp.getDayOfWeek() -> int", "2009-02-13T23:31:30Z", NULL, 5 },
        { "timestamp.getDayOfWeek() -> int", "2009-02-15T00:00:00Z", NULL, 0 },
        { "timestamp.getHours() -> int", "2009-02-13T23:31:30Z", NULL, 23 },
        { "timestamp.getMinutes() -> int", "2009-02-13T23:31:30Z", NULL, 31 },
        { "timestamp.getSeconds() -> int", "2009-02-13T23:31:30Z", NULL, 30 },
        { "timestamp.getMilliseconds() -> int", "2009-02-13T23:31:30.1239Z", NULL, 123 },
        { "timestamp.getFullYear(string) -> int", "2009-12-31T23:31:30Z", "+00:29", 2010 },
        { "timestamp.getFullYear(string) -> int", "0001-01-01T00:00:00Z", "-00:01", 0 },
        { "timestamp.getFullYear(string) -> int", "9999-12-31T23:59:00Z", "00:01", 10000 },
        { "timestamp.getMonth(string) -> int", "2009-02-28T23:31:30Z", "Asia/Tokyo", 2 },
        { "timestamp.getDate(string) -> int", "2009-02-13T23:31:30Z", "Australia/Sydney", 14 },
        { "timestamp.getDayOfMonth(string) -> int", "2009-02-13T02:00:00Z", "-02:30", 11 },
        { "timestamp.getDayOfWeek(string) -> int", "2009-02-13T23:31:30Z", "UTC", 5 },
        { "timestamp.getDayOfYear(string) -> int", "2009-02-13T03:31:30Z", "US/Central", 42 },
        { "timestamp.getHours(string) -> int", "2009-02-13T23:31:30Z", "02:00", 1 },
        { "timestamp.getHours(string) -> int", "2009-07-13T23:31:30Z", "America/New_York", 19 },
        { "timestamp.getMinutes(string) -> int", "2009-02-13T23:31:30Z", "Asia/Kathmandu", 16 },
        { "timestamp.getSeconds(string) -> int", "1800-01-01T00:00:00Z", "Europe/Berlin", 28 },
        { "timestamp.getMilliseconds(string) -> int", "2009-02-13T23:31:30.5Z", "UTC", 500 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cel_value args[2] = { cel_timestamp_parse(&run, str_from(cases[i].at)),
                                     cel_string(str_from(cases[i].zone)) };
        struct cel_value v = call(cases[i].signature, args, cases[i].zone == NULL ? 1 : 2);

        assert_int_equal(v.kind, CEL_INT);
        if (v.as.i != cases[i].part)
            fail_msg("case %zu: %lld", i, (long long)v.as.i);
    }
}

static void timestamp_parts_in_no_zone_are_errors(void **state)
{
    static const char *const signatures[] = {
        "timestamp.getHours(string) -> int",
        "timestamp.getMilliseconds(string) -> int",
    };
    struct cel_value args[2] = { cel_timestamp(0, 0), cel_string(STR("Mars/Olympus")) };

    (void)state;
    for (size_t i = 0; i < sizeof(signatures) / sizeof(signatures[0]); i++) {
        args[1] = cel_string(STR("Mars/Olympus"));
        assert_int_equal(call(signatures[i], args, 2).kind, CEL_ERROR);
        args[1] = cel_string(STR("US/Central"));
        assert_int_equal(call(signatures[i], args, 2).kind, CEL_INT);
        run.zones = NULL;
        assert_int_equal(call(signatures[i], args, 2).kind, CEL_ERROR);
        run.zones = zones;
    }
}

static void duration_parts(void **state)
{
    static const struct {
        const char *duration;
        int64_t hours;
        int64_t minutes;
        int64_t seconds;
        int64_t milliseconds;
    } cases[] = {
        { "3h", 3, 180, 10800, 0 },
        { "1h30m", 1, 90, 5400, 0 },
        { "3730s", 1, 62, 3730, 0 },
        { "123.321456789s", 0, 2, 123, 321 },
        { "-123.321456789s", 0, -2, -123, -321 },
        { "-9223372036854775808ns", -2562047, -153722867, -9223372036, -854 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cel_value d = cel_duration_parse(&run, str_from(cases[i].duration));

        assert_int_equal(call("duration.getHours() -> int", &d, 1).as.i, cases[i].hours);
        assert_int_equal(call("duration.getMinutes() -> int", &d, 1).as.i, cases[i].minutes);
        assert_int_equal(call("duration.getSeconds() -> int", &d, 1).as.i, cases[i].seconds);
        assert_int_equal(call("duration.getMilliseconds() -> int", &d, 1).as.i,
                         cases[i].milliseconds);
    }
}

static void conversions(void **state)
{
    const struct cel_value second = cel_int(1);
    const struct cel_value text = cel_string(STR("1970-01-01T00:00:01Z"));
    const struct cel_value late = cel_int(CEL_TIMESTAMP_MAX + 1);
    const struct cel_value length = cel_string(STR("1s"));
    const struct cel_value bad = cel_string(STR("1"));
    struct cel_value t;
    struct cel_value d;

    (void)state;
    t = call("timestamp(int) -> timestamp", &second, 1);
    assert_int_equal(t.kind, CEL_TIMESTAMP);
    assert_int_equal(t.as.i, 1);
    assert_int_equal(call("timestamp(string) -> timestamp", &text, 1).as.i, 1);
    assert_int_equal(call("timestamp(timestamp) -> timestamp", &t, 1).as.i, 1);
    assert_int_equal(call("timestamp(int) -> timestamp", &late, 1).kind, CEL_ERROR);
    d = call("duration(string) -> duration", &length, 1);
    assert_int_equal(d.kind, CEL_DURATION);
    assert_int_equal(d.as.i, CEL_NS_PER_SECOND);
    assert_int_equal(call("duration(duration) -> duration", &d, 1).as.i, CEL_NS_PER_SECOND);
    assert_int_equal(call("duration(string) -> duration", &bad, 1).kind, CEL_ERROR);
    assert_int_equal(call("timestamp(string) -> timestamp", &bad, 1).kind, CEL_ERROR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timestamp_parts_by_zone),
        cmocka_unit_test(timestamp_parts_in_no_zone_are_errors),
        cmocka_unit_test(duration_parts),
        cmocka_unit_test(conversions),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
