/*
 * The fields borrow everything from the event, so that a sink can format them without memory of its
 * own; the one text that is composed, the error code, comes from a table made of err.def.
 */
#include "tunnel/event.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

static void event_free(struct counted *self)
{
    struct event *ev = (struct event *)self; /* counted is the first member */

    arena_fini(&ev->arena);
    mem_free(ev);
}

struct event *event_new(void)
{
    struct event *ev = mem_zalloc(sizeof(*ev));

    static_assert(offsetof(struct event, counted) == 0, "event_free() relies on it");
    ref_init(&ev->counted.ref);
    ev->counted.free = event_free;
    arena_init(&ev->arena);
    return ev;
}

static const struct {
    unsigned number;
    const char *text;
} error_codes[] = {
#define ERR(symbol, number, status, text) { (number), "ERR_SALLYPORT_" #number },
#include "base/err.def"
#undef ERR
};

/* NULL when there was no error. */
static const char *error_code(unsigned number)
{
    if (number == 0)
        return NULL;
    for (size_t i = 0; i < sizeof(error_codes) / sizeof(error_codes[0]); i++) {
        if (error_codes[i].number == number)
            return error_codes[i].text;
    }
    return NULL;
}

/* ---- fields ---------------------------------------------------------------------------- */

struct fields {
    struct log_field *out; /* borrowed: EVENT_FIELDS_MAX long */
    size_t count;
};

static void add(struct fields *f, struct log_field field)
{
    assert(f->count < EVENT_FIELDS_MAX);
    f->out[f->count++] = field;
}

/* An empty string means that the field does not apply. */
static void add_str(struct fields *f, const char *name, struct str value)
{
    if (value.n > 0)
        add(f, LSTR(name, value));
}

static void add_ip(struct fields *f, const char *name, const struct addr *a)
{
    if (a->family != 0)
        add(f, LIP(name, a));
}

static void add_forward(struct fields *f, const struct event *ev)
{
    if (ev->forward_hops == 0)
        return;
    add_str(f, "forward_internal.endpoint_id", ev->forward_endpoint_id);
    add_str(f, "forward_internal.endpoint_url", ev->forward_endpoint_url);
    add(f, LU("forward_internal.hops", ev->forward_hops));
}

static void add_conn(struct fields *f, const struct event *ev)
{
    add_ip(f, "conn.client_ip", &ev->client);
    add_ip(f, "conn.server_ip", &ev->server);
    add_str(f, "conn.server_name", ev->server_name);
    if (ev->server.family != 0)
        add(f, LU("conn.server_port", ev->server.port));
    if (ev->conn_start_wall_ms != 0)
        add(f, LTIME("conn.start_ts", ev->conn_start_wall_ms));
}

/* What a connection is told of that no request was. */
static void add_conn_end(struct fields *f, const struct event *ev)
{
    add(f, LTIME("conn.end_ts", ev->wall_ms));
    add(f, LU("conn.bytes_in", ev->conn_bytes_in));
    add(f, LU("conn.bytes_out", ev->conn_bytes_out));
}

/* url.raw is left out: it would repeat the four parts in every line. */
static void add_request(struct fields *f, const struct event *ev)
{
    add_str(f, "http.request.method", ev->method_lower);
    add_str(f, "http.request.url.scheme", ev->url_scheme);
    add_str(f, "http.request.url.host", ev->url_host);
    add_str(f, "http.request.url.path", ev->url_path);
    add_str(f, "http.request.url.query", ev->url_query);
    add_str(f, "http.request.version", ev->version);
    add_str(f, "http.request.user_agent", ev->user_agent);
    add(f, LU("http.request.body_length", ev->request_body_bytes));
}

static void add_response(struct fields *f, const struct event *ev)
{
    if (ev->status == 0)
        return;
    add(f, LU("http.response.status_code", ev->status));
    add(f, LU("http.response.body_length", ev->response_body_bytes));
}

/* How it ended and how long it took. */
static void add_end(struct fields *f, const struct event *ev)
{
    const char *code = error_code(ev->error_number);

    add(f, LU("duration_ms", ev->duration_us / 1000));
    if (ev->upstream_us != 0)
        add(f, LU("upstream_ms", ev->upstream_us / 1000));
    if (ev->kind == EVENT_HTTP_REQUEST && (ev->upstream_us != 0 || ev->connection_reused))
        add(f, LB("backend.connection_reused", ev->connection_reused));
    if (code != NULL)
        add(f, LS("error_code", code));
    if (!str_eq(ev->close_reason, STR("done")))
        add_str(f, "close_reason", ev->close_reason);
}

static void add_policy(struct fields *f, const struct event *ev)
{
    add_str(f, "basic_auth.decision", ev->basic_auth_decision);
    add_str(f, "basic_auth.username", ev->basic_auth_username);
    add_str(f, "ip_policy.decision", ev->ip_policy_decision);
    add_str(f, "circuit_breaker.decision", ev->circuit_breaker_decision);
    add_str(f, "webhook_verification.decision", ev->webhook_decision);
    add_str(f, "compression.algorithm", ev->compression_algorithm);
    if (ev->compression_saved_bytes > 0)
        add(f, LU("compression.bytes_saved", ev->compression_saved_bytes));
    add_str(f, "traffic_policy.logs", ev->policy_logs);
}

const char *event_name(const struct event *ev)
{
    static const char *const names[] = {
        [EVENT_HTTP_REQUEST] = "http_request_complete",
        [EVENT_TCP_CLOSED] = "tcp_connection_closed",
    };

    return names[ev->kind];
}

size_t event_fields(const struct event *ev, struct log_field out[EVENT_FIELDS_MAX])
{
    struct fields f = { .out = out };

    if (ev->id[0] != '\0')
        add(&f, LS("event_id", ev->id));
    add_str(&f, "endpoint.id", ev->endpoint_id);
    add_str(&f, "endpoint.url", ev->endpoint_url);
    add_str(&f, "session.id", ev->session_id);
    add_forward(&f, ev);
    add_conn(&f, ev);
    if (ev->kind == EVENT_TCP_CLOSED)
        add_conn_end(&f, ev); /* names of one prefix stand together, to be one object in JSON */
    add_str(&f, "tls.version", ev->tls_version);
    add_str(&f, "tls.cipher_suite", ev->tls_cipher);
    add_str(&f, "tls.client_cert.serial_number", ev->tls_client_serial);
    add_str(&f, "tls.client_cert.subject.cn", ev->tls_client_cn);
    add_str(&f, "ja4_fingerprint", ev->ja4);
    if (ev->kind == EVENT_HTTP_REQUEST) {
        add_request(&f, ev);
        add_response(&f, ev);
    }
    add_end(&f, ev);
    add_policy(&f, ev);
    return f.count;
}
