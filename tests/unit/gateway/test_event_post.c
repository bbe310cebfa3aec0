/*
 * Unit tests of gateway/event_post: what stands in the body of a request, and where it may go.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gateway/event_post.h"
#include "gateway/fetch_rules.h"

static void expect_body(const struct event_destination *d, size_t events, const char *wanted)
{
    static const char *const texts[] = { "{\"a\":1}", "{\"b\":2}" };
    struct buf body;

    buf_init(&body, 1000);
    for (int round = 0; round < 2; round++) { /* what was there before does not stay */
        event_post_begin(d, &body);
        for (size_t i = 0; i < events; i++)
            event_post_add(d, &body, str_from(texts[i]));
        event_post_end(d, &body);
        assert_int_equal(body.len, strlen(wanted));
        assert_memory_equal(buf_str(&body).p, wanted, body.len);
    }
    buf_fini(&body);
}

static void event_post_add_writes_one_or_a_list(void **state)
{
    struct event_destination d = { .body = EVENT_BODY_ONE };

    (void)state;
    expect_body(&d, 1, "{\"a\":1}");
    d.body = EVENT_BODY_LIST;
    expect_body(&d, 1, "[{\"a\":1}]");
    expect_body(&d, 2, "[{\"a\":1},{\"b\":2}]");
}

static void event_post_add_puts_members_first(void **state)
{
    struct event_destination d = { .body = EVENT_BODY_LIST, .members = STR("\"s\":\"x\",") };

    (void)state;
    expect_body(&d, 2, "[{\"s\":\"x\",\"a\":1},{\"s\":\"x\",\"b\":2}]");
    d.body = EVENT_BODY_ONE;
    expect_body(&d, 1, "{\"s\":\"x\",\"a\":1}");
}

static bool may_reach(bool public_only, const char *ip)
{
    struct event_destination d = { .public_only = public_only };
    struct fetch_rules *rules = event_post_rules(&d);
    struct addr a;
    bool allowed;

    assert_int_equal(addr_parse_ip(str_from(ip), &a), 0);
    allowed = fetch_rules_allow(rules, fetch_rules_reach(rules, STR("collect.example")), &a);
    fetch_rules_unref(rules);
    return allowed;
}

static void event_post_rules_keep_users_on_the_public_network(void **state)
{
    (void)state;
    assert_true(may_reach(true, "8.8.8.8"));
    assert_false(may_reach(true, "127.0.0.1"));
    assert_false(may_reach(true, "10.0.0.1"));
    assert_false(may_reach(true, "fd00::1"));
    assert_true(may_reach(false, "127.0.0.1"));
    assert_true(may_reach(false, "fd00::1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(event_post_add_writes_one_or_a_list),
        cmocka_unit_test(event_post_add_puts_members_first),
        cmocka_unit_test(event_post_rules_keep_users_on_the_public_network),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
