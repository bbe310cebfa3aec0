/*
 * Unit tests of gateway/event_filter.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gateway/event_filter.h"
#include "tunnel/event.h"

static struct event *http_event(void)
{
    struct event *ev = event_new();

    ev->type = EVENT_HTTP_REQUEST;
    assert_int_equal(addr_parse(STR("[2001:db8::1]:5000"), &ev->client, NULL), 0);
    assert_int_equal(addr_parse(STR("192.0.2.1:443"), &ev->server, NULL), 0);
    ev->server_name = arena_str(&ev->arena, STR("a.example.dev"));
    ev->conn_start_wall_ms = 1700000000123;
    ev->status = 503;
    ev->error_number = 3005;
    ev->duration_us = 2500000;
    ev->policy_logs = arena_str(&ev->arena, STR("[{\"k\":\"v\"}]"));
    ev->user_agent = arena_str(&ev->arena, STR("\xff odd"));
    event_add_header(ev, &ev->request_headers, STR("x-two"), STR("A"), EVENT_HEADER_NORMAL);
    event_add_header(ev, &ev->request_headers, STR("X-TWO"), STR("B"), EVENT_HEADER_NORMAL);
    return ev;
}

static enum event_filter_answer ask(const char *source)
{
    struct event *ev = http_event();
    struct err e = { .code = E_OK };
    struct event_filter *f = event_filter_new(EVENT_HTTP_REQUEST, str_from(source), &e);
    enum event_filter_answer answer;

    if (f == NULL)
        fail_msg("%s: %s", source, e.msg);
    answer = event_filter_match(f, ev);
    assert_int_equal(event_filter_match(f, ev), answer); /* it can be asked again */
    event_filter_free(f);
    event_unref(ev);
    return answer;
}

static void event_filter_match_table(void **state)
{
    static const struct {
        const char *source;
        enum event_filter_answer want;
    } rows[] = {
        /* The examples of the specification. */
        { "ev.conn.server_name.matches(\"a\\\\.example\\\\.dev\")", EVENT_PASSES },
        { "ev.conn.server_port == 80", EVENT_STOPS },
        { "ev.conn.client_ip != \"2001:db8::1\"", EVENT_STOPS },
        /* Each kind of value. */
        { "ev.conn.server_port == 443", EVENT_PASSES },
        { "ev.conn.start_ts > timestamp('2023-11-14T22:13:20Z')", EVENT_PASSES },
        { "ev.http.response.status_code >= 500", EVENT_PASSES },
        { "ev.backend.connection_reused", EVENT_STOPS },
        { "ev.error_code == 'ERR_SALLYPORT_3005'", EVENT_PASSES },
        { "ev.duration_ms == 2500", EVENT_PASSES },
        { "ev.http.request.headers['X-Two'] == ['a', 'b']", EVENT_PASSES },
        { "'X-Three' in ev.http.request.headers", EVENT_STOPS },
        { "ev.traffic_policy.logs[0].k == 'v'", EVENT_PASSES },
        { "ev.http.request.user_agent.endsWith(' odd')", EVENT_PASSES },
        /* What is not there is empty. */
        { "ev.tls.version == ''", EVENT_PASSES },
        { "has(ev.tls.version)", EVENT_STOPS },
        { "has(ev.conn.client_ip)", EVENT_PASSES },
        { "ev.compression.bytes_saved == 0", EVENT_PASSES },
        { "size(ev.http.response.headers) == 0", EVENT_PASSES },
        /* What cannot be evaluated. */
        { "1 / ev.http.request.body_length == 1", EVENT_FILTER_FAILS },
        { "ev.http.response.headers['X'][0] == ''", EVENT_FILTER_FAILS },
        { "true || 1 / ev.http.request.body_length == 1", EVENT_PASSES },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (ask(rows[i].source) != rows[i].want)
            fail_msg("%s is not %d", rows[i].source, rows[i].want);
    }
    assert_int_equal(event_filter_match(NULL, NULL), EVENT_PASSES);
}

static void event_filter_new_what_is_no_filter_is_refused(void **state)
{
    static const struct {
        enum event_type type;
        const char *source;
    } rows[] = {
        { EVENT_HTTP_REQUEST, "" },
        { EVENT_HTTP_REQUEST, "ev." },
        { EVENT_HTTP_REQUEST, "ev.conn.server_port" },         /* no bool */
        { EVENT_HTTP_REQUEST, "ev.conn.server_port == '80'" }, /* other types */
        { EVENT_HTTP_REQUEST, "ev.conn.nothing == 1" },
        { EVENT_HTTP_REQUEST, "conn.server_port == 80" },
        { EVENT_HTTP_REQUEST, "event_id == 'ev_1'" }, /* the envelope is not there */
        { EVENT_HTTP_REQUEST, "ev.conn.bytes_in > 5" },
        { EVENT_TCP_CLOSED, "ev.http.response.status_code == 200" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct err e = { .code = E_OK };

        if (event_filter_new(rows[i].type, str_from(rows[i].source), &e) != NULL)
            fail_msg("%s was taken", rows[i].source);
        assert_int_equal(e.code, E_EVENT_FILTER);
        assert_non_null(strstr(e.msg, "the filter is wrong at byte "));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(event_filter_match_table),
        cmocka_unit_test(event_filter_new_what_is_no_filter_is_refused),
    };

    return cmocka_run_group_tests_name("gateway/event_filter", tests, NULL, NULL);
}
