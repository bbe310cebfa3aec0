/*
 * Unit tests of tunnel/event.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tunnel/event.h"

enum { LINE_BYTES = 4096 };

static const char *line_of(const struct event *ev, enum log_format format, char out[LINE_BYTES])
{
    struct log_field fields[EVENT_FIELDS_MAX];
    size_t n = log_format_line(format, ev->wall_ms, LOG_INFO, event_name(ev), fields,
                               event_fields(ev, fields), out, LINE_BYTES - 1);

    out[n] = '\0';
    return out;
}

static struct str keep(struct event *ev, const char *s)
{
    return arena_str(&ev->arena, str_from(s));
}

static struct event *full_event(void)
{
    struct event *ev = event_new();

    memcpy(ev->id, "ev_1", sizeof("ev_1"));
    ev->wall_ms = 1700000000123;
    ev->endpoint_id = keep(ev, "ep_1");
    ev->endpoint_url = keep(ev, "https://x.test");
    ev->session_id = keep(ev, "ts_1");
    assert_int_equal(addr_parse(STR("192.0.2.7:5000"), &ev->client, NULL), 0);
    assert_int_equal(addr_parse(STR("[2001:db8::1]:8443"), &ev->server, NULL), 0);
    ev->server_name = keep(ev, "x.test");
    ev->conn_start_wall_ms = 1700000000000;
    ev->method = keep(ev, "GET");
    ev->method_lower = keep(ev, "get");
    ev->url_scheme = keep(ev, "https");
    ev->url_host = keep(ev, "x.test");
    ev->url_path = keep(ev, "/a b\"");
    ev->url_query = keep(ev, "q=1");
    ev->user_agent = keep(ev, "curl/8\r\nforged: line");
    ev->version = keep(ev, "HTTP/1.1");
    ev->request_body_bytes = 5;
    ev->status = 502;
    ev->response_body_bytes = 7;
    ev->error_number = 8012;
    ev->close_reason = keep(ev, "refused");
    ev->duration_us = 12999;
    ev->upstream_us = 3000;
    ev->connection_reused = true;
    ev->basic_auth_decision = keep(ev, "allow");
    ev->basic_auth_username = keep(ev, "user");
    ev->ip_policy_decision = keep(ev, "allow");
    ev->tls_version = keep(ev, "TLSv1.3");
    ev->tls_cipher = keep(ev, "TLS_AES_128_GCM_SHA256");
    return ev;
}

static void event_fields_full_event_has_every_field_once(void **state)
{
    struct event *ev = full_event();
    char line[LINE_BYTES];

    (void)state;
    assert_string_equal(
        line_of(ev, LOG_JSON, line),
        "{\"time\":\"2023-11-14T22:13:20.123Z\",\"level\":\"info\","
        "\"event\":\"http_request_complete\",\"event_id\":\"ev_1\","
        "\"endpoint\":{\"id\":\"ep_1\",\"url\":\"https://x.test\"},\"session\":{\"id\":\"ts_1\"},"
        "\"conn\":{\"client_ip\":\"192.0.2.7\",\"server_ip\":\"2001:db8::1\","
        "\"server_name\":\"x.test\",\"server_port\":8443,"
        "\"start_ts\":\"2023-11-14T22:13:20.000Z\"},"
        "\"tls\":{\"version\":\"TLSv1.3\",\"cipher_suite\":\"TLS_AES_128_GCM_SHA256\"},"
        "\"http\":{\"request\":{\"method\":\"get\",\"url\":{\"scheme\":\"https\","
        "\"host\":\"x.test\",\"path\":\"/a b\\\"\",\"query\":\"q=1\"},\"version\":\"HTTP/1.1\","
        "\"user_agent\":\"curl/8\\r\\nforged: line\",\"body_length\":5},"
        "\"response\":{\"status_code\":502,\"body_length\":7}},"
        "\"duration_ms\":12,\"upstream_ms\":3,\"backend\":{\"connection_reused\":true},"
        "\"error_code\":\"ERR_SALLYPORT_8012\",\"close_reason\":\"refused\","
        "\"basic_auth\":{\"decision\":\"allow\",\"username\":\"user\"},"
        "\"ip_policy\":{\"decision\":\"allow\"}}\n");
    event_unref(ev);
}

static void event_fields_that_do_not_apply_are_left_out(void **state)
{
    struct event *ev = event_new();
    char line[LINE_BYTES];

    (void)state;
    ev->close_reason = keep(ev, "done");
    assert_string_equal(line_of(ev, LOG_TEXT, line),
                        "1970-01-01T00:00:00.000Z info http_request_complete "
                        "http.request.body_length=0 duration_ms=0\n");
    event_unref(ev);
}

static void event_fields_same_prefix_stands_side_by_side(void **state)
{
    struct event *ev = full_event();
    struct log_field fields[EVENT_FIELDS_MAX];
    size_t n = event_fields(ev, fields);

    (void)state;
    for (size_t i = 1; i < n; i++) {
        struct str name = str_from(fields[i].name);
        struct str prefix = str_slice(name, 0, str_find_char(name, '.'));

        if (str_starts(str_from(fields[i - 1].name), prefix))
            continue;
        for (size_t k = 0; k < i; k++) {
            struct str before = str_from(fields[k].name);

            assert_false(str_eq(str_slice(before, 0, str_find_char(before, '.')), prefix));
        }
    }
    event_unref(ev);
}

static void event_unref_last_frees(void **state)
{
    struct event *ev = full_event();

    (void)state;
    event_ref(ev);
    event_unref(ev);
    assert_true(str_eq(ev->version, STR("HTTP/1.1")));
    event_unref(ev);
    event_unref(NULL);
}

static void event_fields_of_a_connection_have_its_bytes_and_no_request(void **state)
{
    struct event *ev = event_new();
    char line[LINE_BYTES];

    (void)state;
    ev->type = EVENT_TCP_CLOSED;
    ev->wall_ms = 1700000000123;
    assert_int_equal(addr_parse(STR("192.0.2.7:5000"), &ev->client, NULL), 0);
    ev->conn_start_wall_ms = 1700000000000;
    ev->conn_bytes_in = 5;
    ev->conn_bytes_out = 7;
    ev->duration_us = 123000;
    ev->upstream_us = 2000;
    ev->close_reason = keep(ev, "policy");
    ev->ip_policy_decision = keep(ev, "block");
    assert_string_equal(event_name(ev), "tcp_connection_closed");
    assert_string_equal(
        line_of(ev, LOG_JSON, line),
        "{\"time\":\"2023-11-14T22:13:20.123Z\",\"level\":\"info\","
        "\"event\":\"tcp_connection_closed\",\"conn\":{\"client_ip\":\"192.0.2.7\","
        "\"start_ts\":\"2023-11-14T22:13:20.000Z\",\"end_ts\":\"2023-11-14T22:13:20.123Z\","
        "\"bytes_in\":5,\"bytes_out\":7},\"duration_ms\":123,\"upstream_ms\":2,"
        "\"close_reason\":\"policy\",\"ip_policy\":{\"decision\":\"block\"}}\n");
    event_unref(ev);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(event_fields_of_a_connection_have_its_bytes_and_no_request),
        cmocka_unit_test(event_fields_full_event_has_every_field_once),
        cmocka_unit_test(event_fields_that_do_not_apply_are_left_out),
        cmocka_unit_test(event_fields_same_prefix_stands_side_by_side),
        cmocka_unit_test(event_unref_last_frees),
    };

    return cmocka_run_group_tests_name("tunnel/event", tests, NULL, NULL);
}
