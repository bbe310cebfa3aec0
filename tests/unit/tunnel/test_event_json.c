/*
 * Unit tests of tunnel/event_json, tunnel/event_sink and tunnel/account_id.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "tunnel/account_id.h"
#include "tunnel/event_field.h"
#include "tunnel/event_json.h"
#include "tunnel/event_sink.h"

enum { JSON_BYTES = 1024 * 1024 };

#define ENVELOPE(type, account)                                                                    \
    "{\"event_id\":\"ev_1\",\"event_type\":\"" type "\",\"event_timestamp\":"                      \
    "\"2023-11-14T22:13:20.123Z\",\"account_id\":" account ",\"principal\":null,\"object\":"

static struct event *make(enum event_type type)
{
    struct event *ev = event_new();

    ev->type = type;
    memcpy(ev->id, "ev_1", sizeof("ev_1"));
    ev->wall_ms = 1700000000123;
    return ev;
}

static struct str keep(struct event *ev, const char *s)
{
    return arena_str(&ev->arena, str_from(s));
}

static void expect(const struct event *ev, uint64_t fields, const char *want)
{
    struct buf b;

    buf_init(&b, JSON_BYTES);
    event_json_add(&b, ev, fields);
    buf_add_char(&b, '\0');
    assert_false(buf_failed(&b));
    assert_string_equal(buf_str(&b).p, want);
    buf_fini(&b);
}

static void event_json_add_of_a_request(void **state)
{
    struct event *ev = make(EVENT_HTTP_REQUEST);

    (void)state;
    assert_int_equal(addr_parse(STR("192.0.2.7:5000"), &ev->client, NULL), 0);
    ev->method_lower = keep(ev, "get");
    ev->url_path = keep(ev, "/a\"\xff");
    event_add_header(ev, &ev->request_headers, STR("x-one"), STR("A"), EVENT_HEADER_NORMAL);
    event_add_header(ev, &ev->request_headers, STR("X-Two"), STR("B"), EVENT_HEADER_NORMAL);
    event_add_header(ev, &ev->request_headers, STR("X-ONE"), STR("C"), EVENT_HEADER_NORMAL);
    ev->status = 200;
    ev->policy_logs = keep(ev, "[{\"k\":\"v\"}]");
    expect(ev, EVENT_FIELD_ALL,
           ENVELOPE(
               "http_request_complete.v0",
               "null") "{\"conn\":{\"client_ip\":\"192.0.2.7\"},"
                       "\"http\":{\"request\":{\"method\":\"get\",\"url\":{\"path\":\"/"
                       "a\\\"\\u00ff\"},"
                       "\"headers\":{\"X-One\":[\"a\",\"c\"],\"X-Two\":[\"b\"]},\"body_length\":0},"
                       "\"response\":{\"status_code\":200,\"body_length\":0}},\"duration_ms\":0,"
                       "\"traffic_policy\":{\"logs\":[{\"k\":\"v\"}]}}}");
    event_unref(ev);
}

static void event_json_add_of_a_connection(void **state)
{
    struct event *ev = make(EVENT_TCP_CLOSED);

    (void)state;
    ev->conn_bytes_in = 5;
    ev->error_number = 3200;
    ev->status = 200; /* not of a connection */
    expect(ev, EVENT_FIELD_ALL,
           ENVELOPE("tcp_connection_closed.v0", "null") "{\"conn\":{\"end_ts\":"
                                                        "\"2023-11-14T22:13:20.123Z\",\"bytes_in\":"
                                                        "5,\"bytes_out\":0},\"duration_ms\":0,"
                                                        "\"error_code\":\"ERR_SALLYPORT_3200\"}}");
    event_unref(ev);
}

static void event_json_add_chosen_fields_only(void **state)
{
    struct event *ev = make(EVENT_HTTP_REQUEST);
    struct err e = { .code = E_OK };
    uint64_t fields = 0;

    (void)state;
    ev->status = 200;
    ev->method_lower = keep(ev, "get");
    expect(ev, 0, ENVELOPE("http_request_complete.v0", "null") "{}}");
    assert_int_equal(
        event_field_choose(EVENT_HTTP_REQUEST, STR("http.response.status_code"), &fields, &e), 0);
    assert_int_equal(event_field_choose(EVENT_HTTP_REQUEST, STR("tls.version"), &fields, &e), 0);
    assert_int_equal(event_field_choose(EVENT_HTTP_REQUEST, STR("oauth.user.id"), &fields, &e), 0);
    expect(ev, fields,
           ENVELOPE("http_request_complete.v0",
                    "null") "{\"http\":{\"response\":{\"status_code\":200}}}}");
    event_unref(ev);
}

static void event_field_choose_unknown_fields_are_refused(void **state)
{
    struct err e = { .code = E_OK };
    uint64_t fields = 0;

    (void)state;
    assert_int_equal(event_field_choose(EVENT_TCP_CLOSED, STR("http.request.method"), &fields, &e),
                     -1);
    assert_int_equal(e.code, E_EVENT_FIELD);
    assert_int_equal(event_field_choose(EVENT_HTTP_REQUEST, STR("conn.client_id"), &fields, &e),
                     -1);
    assert_string_equal(e.msg, "http_request_complete.v0 has no field \"conn.client_id\"; "
                               "did you mean \"conn.client_ip\"?");
    assert_int_equal(fields, 0);
}

static void event_add_header_what_may_be_secret_is_not_kept(void **state)
{
    static const char *const secret[] = { "Authorization",   "proxy-authorization", "COOKIE",
                                          "Set-Cookie",      "X-Api-Key",           "x-auth-token",
                                          "X-Hub-Signature", "X-Amz-Security-Token" };
    static const char *const open[] = { "Host", "Accept", "Content-Type", "X-Request-Id", "Keep" };

    (void)state;
    for (size_t i = 0; i < sizeof(secret) / sizeof(secret[0]); i++)
        assert_true(event_header_is_secret(str_from(secret[i])));
    for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++)
        assert_false(event_header_is_secret(str_from(open[i])));
}

static void event_add_header_keeps_to_its_limits(void **state)
{
    struct event *ev = make(EVENT_HTTP_REQUEST);
    char *large = mem_zalloc(EVENT_HEADER_MAX_BYTES + 1);

    (void)state;
    memset(large, 'A', EVENT_HEADER_MAX_BYTES + 1);
    for (int i = 0; i < EVENT_HEADERS_MAX + 1; i++)
        event_add_header(ev, &ev->request_headers, STR("n"),
                         str_of(large, EVENT_HEADER_MAX_BYTES + 1), EVENT_HEADER_AS_SENT);
    assert_int_equal(ev->request_headers.count, EVENT_HEADERS_MAX);
    assert_int_equal(ev->request_headers.items[0].value.n, EVENT_HEADER_MAX_BYTES);
    assert_true(str_eq(ev->request_headers.items[0].name, STR("n")));
    mem_free(large);
    event_unref(ev);
}

/* ---- audit events ---------------------------------------------------------------------- */

struct fake_sink {
    struct event_sink sink;
    bool wants;
    struct event *event;
};

static bool fake_wants(const struct event_sink *s, enum event_type type)
{
    (void)type;
    return ((const struct fake_sink *)s)->wants;
}

static void fake_publish(struct event_sink *s, struct event *ev)
{
    ((struct fake_sink *)s)->event = ev;
}

static const struct event_sink_ops fake_ops = { .wants = fake_wants, .publish = fake_publish };

static void event_audit_tells_who_did_what(void **state)
{
    struct fake_sink s = { .sink.ops = &fake_ops, .wants = true };
    const struct event_audit audit = {
        .noun = EVENT_NOUN_DOMAIN,
        .action = EVENT_DELETED,
        .account = STR("alice"),
        .object = STR("{\"id\":\"rd_1\"}"),
        .principal = { .id = STR("usr_1"),
                       .subject = STR("a\"b"),
                       .source = STR("API"),
                       .credential_id = STR("ak_1"),
                       .credential_uri = STR("https://x/ak_1") },
    };
    char account[ID_BYTES];
    char want[1024];

    (void)state;
    event_audit(&s.sink, &audit);
    assert_non_null(s.event);
    memcpy(s.event->id, "ev_1", sizeof("ev_1"));
    s.event->wall_ms = 1700000000123;
    account_id(STR("alice"), account);
    (void)snprintf(want, sizeof(want),
                   "{\"event_id\":\"ev_1\",\"event_type\":\"domain_deleted.v0\","
                   "\"event_timestamp\":\"2023-11-14T22:13:20.123Z\",\"account_id\":\"%s\","
                   "\"principal\":{\"id\":\"usr_1\",\"subject\":\"a\\\"b\",\"source\":\"API\","
                   "\"credential\":{\"id\":\"ak_1\",\"uri\":\"https://x/ak_1\"}},"
                   "\"object\":{\"id\":\"rd_1\"}}",
                   account);
    expect(s.event, EVENT_FIELD_ALL, want);
    event_unref(s.event);
    s = (struct fake_sink){ .sink.ops = &fake_ops };
    event_audit(&s.sink, &audit);
    assert_null(s.event);
    event_audit(NULL, &audit);
}

static void event_type_names_are_found_again(void **state)
{
    struct err e = { .code = E_OK };

    (void)state;
    for (int i = 0; i < EVENT_TYPES; i++) {
        enum event_type type;

        assert_int_equal(event_type_find(str_from(event_type_name((enum event_type)i)), &type, &e),
                         0);
        assert_int_equal(type, i);
    }
    assert_int_equal(event_type_find(STR("domain_create.v0"), &(enum event_type){ 0 }, &e), -1);
    assert_int_equal(e.code, E_EVENT_TYPE);
    assert_string_equal(
        e.msg, "there is no event type \"domain_create.v0\"; did you mean \"domain_created.v0\"?");
}

static void account_id_is_the_same_each_time(void **state)
{
    char a[ID_BYTES];
    char b[ID_BYTES];

    (void)state;
    account_id(STR("alice"), a);
    account_id(STR("alice"), b);
    assert_string_equal(a, b);
    assert_int_equal(strlen(a), sizeof("ac_") - 1 + ID_DIGITS);
    account_id(STR("bob"), b);
    assert_string_not_equal(a, b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(event_json_add_of_a_request),
        cmocka_unit_test(event_json_add_of_a_connection),
        cmocka_unit_test(event_json_add_chosen_fields_only),
        cmocka_unit_test(event_field_choose_unknown_fields_are_refused),
        cmocka_unit_test(event_add_header_what_may_be_secret_is_not_kept),
        cmocka_unit_test(event_add_header_keeps_to_its_limits),
        cmocka_unit_test(event_audit_tells_who_did_what),
        cmocka_unit_test(event_type_names_are_found_again),
        cmocka_unit_test(account_id_is_the_same_each_time),
    };

    log_configure(LOG_ERROR, LOG_TEXT);
    return cmocka_run_group_tests_name("tunnel/event_json", tests, NULL, NULL);
}
