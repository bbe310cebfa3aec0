#include "sshd/request_line.h"

#include "base/clock.h"
#include "tunnel/event.h"

/* Bytes that a visitor chose must not steer the user's terminal. */
static void add_printable(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c >= ' ' && c <= '~')
            buf_add_char(out, (char)c);
        else
            buf_add_fmt(out, "\\x%02x", (unsigned)c);
    }
}

static void add_target(struct buf *out, const struct event *ev)
{
    add_printable(out, str_slice(ev->url_path, 0, REQUEST_LINE_TARGET_BYTES));
    if (ev->url_query.n > 0) {
        buf_add_char(out, '?');
        add_printable(out, str_slice(ev->url_query, 0, REQUEST_LINE_TARGET_BYTES));
    }
    if (ev->url_path.n > REQUEST_LINE_TARGET_BYTES || ev->url_query.n > REQUEST_LINE_TARGET_BYTES)
        buf_add_str(out, STR("..."));
}

static void add_exchange(struct buf *out, const struct event *ev)
{
    add_printable(out, ev->method);
    buf_add_char(out, ' ');
    add_target(out, ev);
    if (ev->status != 0)
        buf_add_fmt(out, " %u", ev->status);
    else
        buf_add_str(out, STR(" -"));
}

static void add_connection(struct buf *out, const struct event *ev)
{
    char client[ADDR_TEXT_BYTES];

    buf_add_fmt(out, "%s in %llu out %llu %.*s", addr_format(&ev->client, client),
                (unsigned long long)ev->conn_bytes_in, (unsigned long long)ev->conn_bytes_out,
                STR_ARG(ev->close_reason));
}

void request_line_text(const struct event *ev, struct buf *out)
{
    char time[CLOCK_RFC3339_BYTES];

    clock_format_rfc3339(ev->wall_ms, time);
    buf_add_fmt(out, "%s ", time);
    if (ev->type == EVENT_HTTP_REQUEST)
        add_exchange(out, ev);
    else
        add_connection(out, ev);
    buf_add_fmt(out, " %.1fms\n", (double)ev->duration_us / 1000.0);
}

enum log_level request_line_level(const struct event *ev)
{
    if (ev->type != EVENT_HTTP_REQUEST || ev->status < 400)
        return LOG_INFO;
    return ev->status < 500 ? LOG_WARN : LOG_ERROR;
}

void request_line_fields(const struct event *ev, enum log_format format, struct buf *out)
{
    enum { LINE_BYTES = 16 * 1024 };
    struct log_field fields[EVENT_FIELDS_MAX];
    size_t count = event_fields(ev, fields);
    char *at = buf_reserve(out, LINE_BYTES);

    if (at != NULL)
        buf_commit(out, log_format_line(format, ev->wall_ms, request_line_level(ev), event_name(ev),
                                        fields, count, at, LINE_BYTES));
}
