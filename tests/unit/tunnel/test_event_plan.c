/*
 * Unit tests of tunnel/event_plan.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tunnel/event_field.h"
#include "tunnel/event_plan.h"

static struct event_destination file(const char *name, const char *path)
{
    return (struct event_destination){ .name = str_from(name),
                                       .target = EVENT_TARGET_FILE,
                                       .path = str_from(path) };
}

static void event_plan_add_destination_table(void **state)
{
    static const struct event_header good = { STR_INIT("X-Token"), STR_INIT("a b") };
    static const struct event_header bad_name = { STR_INIT("X Token"), STR_INIT("a") };
    static const struct event_header bad_value = { STR_INIT("X"), STR_INIT("a\r\nB: c") };
    const struct {
        struct event_destination d;
        enum err_code want;
    } rows[] = {
        { file("a", "/x"), E_OK },
        { file("a", "/y"), E_EVENT_DESTINATION }, /* taken */
        { file("", "/x"), E_EVENT_DESTINATION },
        { file("b", "x"), E_EVENT_TARGET },
        { file("b", ""), E_EVENT_TARGET },
        { { .name = STR("c"), .target = EVENT_TARGET_HTTP, .url = STR("ftp://x") },
          E_EVENT_TARGET },
        { { .name = STR("c"), .target = EVENT_TARGET_HTTP, .url = STR("HTTPS://x/y") }, E_OK },
        { { .name = STR("d"),
            .target = EVENT_TARGET_HTTP,
            .url = STR("http://x"),
            .headers = &good,
            .header_count = 1 },
          E_OK },
        { { .name = STR("e"),
            .target = EVENT_TARGET_HTTP,
            .url = STR("http://x"),
            .headers = &bad_name,
            .header_count = 1 },
          E_EVENT_TARGET },
        { { .name = STR("e"),
            .target = EVENT_TARGET_HTTP,
            .url = STR("http://x"),
            .headers = &bad_value,
            .header_count = 1 },
          E_EVENT_TARGET },
    };
    struct event_plan *p = event_plan_new();

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct err e = { .code = E_OK };
        int rc = event_plan_add_destination(p, &rows[i].d, &e);

        if (e.code != rows[i].want || rc != (e.code == E_OK ? 0 : -1))
            fail_msg("row %zu: %d %s", i, e.code, e.msg);
    }
    assert_int_equal(p->destination_count, 3);
    assert_true(str_eq(p->destinations[2].headers[0].value, STR("a b")));
    event_plan_unref(p);
    event_plan_unref(NULL);
}

static void event_plan_add_subscription_table(void **state)
{
    static const struct str good_fields[] = { STR_INIT("conn.client_ip"),
                                              STR_INIT("conn.server_port") };
    static const struct str bad_fields[] = { STR_INIT("conn.client_ip"), STR_INIT("conn") };
    static const struct str known[] = { STR_INIT("a") };
    static const struct str unknown[] = { STR_INIT("a"), STR_INIT("b") };
    const struct {
        struct event_source_params sources[2];
        size_t source_count;
        const struct str *destinations;
        size_t destination_count;
        enum err_code want;
    } rows[] = {
        { { { .type = STR("http_request_complete.v0") } }, 1, known, 1, E_OK },
        { { { .type = STR("http_request_complete.v0"), .fields = good_fields, .field_count = 2 } },
          1,
          known,
          1,
          E_OK },
        { { { .type = STR("http_request_complete.v0") }, { .type = STR("domain_created.v0") } },
          2,
          known,
          1,
          E_OK },
        { { { .type = STR("http_request_complete.v0") },
            { .type = STR("http_request_complete.v0") } },
          2,
          known,
          1,
          E_EVENT_TYPE_TWICE },
        { { { .type = STR("http_request_complete") } }, 1, known, 1, E_EVENT_TYPE },
        { { { .type = STR("domain_created.v0"), .fields = good_fields, .field_count = 1 } },
          1,
          known,
          1,
          E_EVENT_AUDIT_FIELDS },
        { { { .type = STR("domain_created.v0"), .filter = STR("true") } },
          1,
          known,
          1,
          E_EVENT_AUDIT_FILTER },
        { { { .type = STR("tcp_connection_closed.v0"), .fields = bad_fields, .field_count = 2 } },
          1,
          known,
          1,
          E_EVENT_FIELD },
        { { { .type = STR("http_request_complete.v0") } }, 1, unknown, 2, E_EVENT_DESTINATION },
    };
    struct event_plan *p = event_plan_new();
    const struct event_destination a = file("a", "/x");

    (void)state;
    assert_int_equal(event_plan_add_destination(p, &a, NULL), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct event_subscription_params params = {
            .sources = rows[i].sources,
            .source_count = rows[i].source_count,
            .destinations = rows[i].destinations,
            .destination_count = rows[i].destination_count,
        };
        struct err e = { .code = E_OK };
        int rc = event_plan_add_subscription(p, &params, &e);

        if (e.code != rows[i].want || rc != (e.code == E_OK ? 0 : -1))
            fail_msg("row %zu: %d %s", i, e.code, e.msg);
    }
    assert_int_equal(p->subscription_count, 3);
    assert_true(p->subscriptions[0].sources[0].fields == EVENT_FIELD_ALL);
    assert_int_equal(__builtin_popcountll(p->subscriptions[1].sources[0].fields), 2);
    assert_int_equal(p->subscriptions[2].source_count, 2);
    event_plan_unref(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(event_plan_add_destination_table),
        cmocka_unit_test(event_plan_add_subscription_table),
    };

    return cmocka_run_group_tests_name("tunnel/event_plan", tests, NULL, NULL);
}
