/*
 * Request lines for the user of a session.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "sshd/request_line.h"
#include "tunnel/event.h"

static struct event *sample(void)
{
    struct event *ev = event_new();

    ev->wall_ms = 1700000000123;
    ev->method = STR("GET");
    ev->url_path = STR("/a");
    ev->status = 200;
    ev->duration_us = 1540;
    return ev;
}

static void expect_text(const struct event *ev, const char *text)
{
    struct buf out;

    buf_init(&out, REQUEST_LINE_MAX_BYTES);
    request_line_text(ev, &out);
    buf_add_char(&out, '\0');
    assert_string_equal(out.mem, text);
    buf_fini(&out);
}

static void request_line_text_has_time_method_path_status_duration(void **state)
{
    struct event *ev = sample();

    (void)state;
    expect_text(ev, "2023-11-14T22:13:20.123Z GET /a 200 1.5ms\n");
    ev->url_query = STR("b=c");
    ev->status = 0;
    expect_text(ev, "2023-11-14T22:13:20.123Z GET /a?b=c - 1.5ms\n");
    event_unref(ev);
}

static void request_line_text_of_a_connection_has_its_visitor_and_bytes(void **state)
{
    struct event *ev = sample();

    (void)state;
    ev->type = EVENT_TCP_CLOSED;
    assert_int_equal(addr_parse(STR("192.0.2.7:5000"), &ev->client, NULL), 0);
    ev->conn_bytes_in = 12;
    ev->conn_bytes_out = 3456;
    ev->close_reason = STR("done");
    expect_text(ev, "2023-11-14T22:13:20.123Z 192.0.2.7:5000 in 12 out 3456 done 1.5ms\n");
    event_unref(ev);
}

static void request_line_text_escapes_what_could_steer_a_terminal(void **state)
{
    struct event *ev = sample();

    (void)state;
    ev->method = STR("G\x1b[2J");
    ev->url_path = STR("/\r\n\x9b\x7f\xc3\xa4");
    expect_text(ev,
                "2023-11-14T22:13:20.123Z G\\x1b[2J /\\x0d\\x0a\\x9b\\x7f\\xc3\\xa4 200 1.5ms\n");
    event_unref(ev);
}

static void request_line_text_cuts_a_long_target(void **state)
{
    struct event *ev = sample();
    char path[REQUEST_LINE_TARGET_BYTES + 1];
    struct buf out;

    (void)state;
    /* Even when each byte takes four characters the line is whole. */
    memset(path, 1, sizeof(path));
    ev->url_path = str_of(path, sizeof(path));
    ev->url_query = str_of(path, sizeof(path));
    buf_init(&out, REQUEST_LINE_MAX_BYTES);
    request_line_text(ev, &out);
    assert_false(buf_failed(&out));
    assert_true(str_ends(buf_str(&out), STR("\\x01... 200 1.5ms\n")));
    buf_fini(&out);
    event_unref(ev);
}

static void request_line_fields_follows_the_format(void **state)
{
    struct event *ev = sample();
    struct buf out;

    (void)state;
    buf_init(&out, REQUEST_LINE_MAX_BYTES);
    request_line_fields(ev, LOG_JSON, &out);
    assert_true(str_starts(buf_str(&out), STR("{\"time\":\"2023-11-14T22:13:20.123Z\"")));
    assert_true(str_ends(buf_str(&out), STR("}\n")));
    buf_clear(&out);
    request_line_fields(ev, LOG_TEXT, &out);
    assert_true(str_find(buf_str(&out), STR("http_request_complete")) < out.len);
    buf_fini(&out);
    event_unref(ev);
}

static void request_line_level_follows_the_status(void **state)
{
    static const struct {
        unsigned status;
        enum log_level level;
    } cases[] = { { 0, LOG_INFO },   { 101, LOG_INFO }, { 200, LOG_INFO },  { 399, LOG_INFO },
                  { 400, LOG_WARN }, { 499, LOG_WARN }, { 500, LOG_ERROR }, { 599, LOG_ERROR } };
    struct event *ev = sample();
    struct buf out;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ev->status = cases[i].status;
        assert_int_equal(request_line_level(ev), cases[i].level);
    }
    buf_init(&out, REQUEST_LINE_MAX_BYTES);
    request_line_fields(ev, LOG_JSON, &out);
    assert_true(str_find(buf_str(&out), STR("\"level\":\"error\"")) < out.len);
    buf_fini(&out);
    ev->type = EVENT_TCP_CLOSED;
    assert_int_equal(request_line_level(ev), LOG_INFO);
    event_unref(ev);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_line_text_has_time_method_path_status_duration),
        cmocka_unit_test(request_line_text_of_a_connection_has_its_visitor_and_bytes),
        cmocka_unit_test(request_line_text_escapes_what_could_steer_a_terminal),
        cmocka_unit_test(request_line_text_cuts_a_long_target),
        cmocka_unit_test(request_line_fields_follows_the_format),
        cmocka_unit_test(request_line_level_follows_the_status),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
