/*
 * Unit tests of policy/cookie_date.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/cookie_date.h"

static void cookie_date_parse_takes_all_forms(void **state)
{
    static const struct {
        const char *text;
        int64_t seconds;
    } cases[] = {
        { "Wed, 09 Jun 2021 10:18:14 GMT", 1623233894 },
        { "Wednesday, 09-Jun-21 10:18:14 GMT", 1623233894 },
        { "Wed Jun  9 10:18:14 2021", 1623233894 },
        { "wed, 9-JUN-2021 10:18:14 gmt", 1623233894 },
        { "10:18:14 2021 June 9th", 1623233894 },
        { "9 Jun 2021 10:18:14 +0200", 1623233894 }, /* the zone is not looked at */
        { "Thu, 01 Jan 1970 00:00:00 GMT", 0 },
        { "Thu, 1 Jan 70 0:0:0 GMT", 0 },
        { "31 Dec 69 23:59:59", 3155759999 },
        { "01 Jan 1601 00:00:00", -11644473600 },
        { "29 Feb 2024 00:00:00", 1709164800 },
        { "31 Dec 9999 23:59:59 GMT", 253402300799 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t seconds = -1;

        if (!cookie_date_parse(str_from(cases[i].text), &seconds))
            fail_msg("not taken: %s", cases[i].text);
        if (seconds != cases[i].seconds)
            fail_msg("%s is %lld", cases[i].text, (long long)seconds);
    }
}

static void cookie_date_parse_refuses_what_is_none(void **state)
{
    static const char *const cases[] = {
        "",
        "0",
        "tomorrow",
        "Wed, 09 Jun 2021",
        "Wed, 09 Jun 10:18:14 GMT",
        "Wed, Jun 2021 10:18:14 GMT",
        "09 2021 10:18:14 GMT",
        "09 Jun 1600 10:18:14",
        "09 Jun 20210 10:18:14",
        "31 Jun 2021 10:18:14",
        "29 Feb 2021 10:18:14",
        "00 Jun 2021 10:18:14",
        "09 Jun 2021 24:18:14",
        "09 Jun 2021 10:60:14",
        "09 Jun 2021 10:18:60",
        "09 Jun 2021 10:18",
        "009 Jun 2021 10:18:14",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t seconds;

        if (cookie_date_parse(str_from(cases[i]), &seconds))
            fail_msg("taken: %s", cases[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cookie_date_parse_takes_all_forms),
        cmocka_unit_test(cookie_date_parse_refuses_what_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
