/*
 * event: what is told about a finished exchange (http_request_complete.v0, spec section 9.3), a
 * connection (tcp_connection_closed.v0, section 9.4), a session or a change to an object (9.6).
 * Made once, shared by the sinks: access log, the session that holds the endpoint, event destinations.
 * What may be read of an event of traffic, and under which name, are the rows of event_fields.def.
 * Owns:   copies of all its strings, in one allocation freed with the last reference.
 * Thread: immutable once published; any.
 */
#ifndef TUNNEL_EVENT_H
#define TUNNEL_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/arena.h"
#include "base/log.h"
#include "base/ref.h"
#include "base/str.h"
#include "tunnel/event_type.h"
#include "tunnel/id.h"

enum {
    EVENT_HEADERS_MAX = 100,       /* fields of a message that are kept; the rest is left out */
    EVENT_HEADER_MAX_BYTES = 1024, /* of a name and of a value; the rest is cut */
};

struct event_header {
    struct str name;
    struct str value;
};

struct event_headers {
    const struct event_header *items; /* in the arena */
    size_t count;
};

/* Who did what an audit event tells. */
struct event_principal {
    struct str id;      /* empty: the gateway itself did it */
    struct str subject; /* a name for people */
    struct str source;  /* "API", "SSH", "Dashboard" */
    struct str credential_id;
    struct str credential_uri;
};

struct event {
    struct counted counted;
    struct arena arena; /* holds every str below */

    enum event_type type;
    char id[ID_BYTES];
    uint64_t wall_ms; /* when the exchange or the connection ended, or the object changed */
    struct str
        account; /* its name; empty: of nobody, such as a request for a name that is not there */

    /* Of what is no traffic. */
    struct str object; /* JSON */
    struct event_principal principal;

    struct str endpoint_id; /* empty when no endpoint was found */
    struct str endpoint_url;
    struct str session_id;

    struct addr client;
    struct addr server;
    struct str server_name;
    uint64_t conn_start_wall_ms;
    uint64_t conn_bytes_in; /* of EVENT_TCP_CLOSED: from and to the visitor */
    uint64_t conn_bytes_out;

    struct str method;       /* as sent; for people */
    struct str method_lower; /* as the event has it (spec U-30) */
    struct str url_scheme;
    struct str url_host;
    struct str url_path;
    struct str url_query;
    struct str user_agent;
    struct str version; /* "HTTP/1.1" */
    uint64_t request_body_bytes;
    uint64_t request_first_byte_ms; /* wall clock, as the three below; 0: it never came */
    uint64_t request_last_byte_ms;
    uint64_t response_first_byte_ms;
    uint64_t response_last_byte_ms;

    /* Only of events that a destination may want whole. */
    struct str url_raw;
    struct event_headers request_headers;  /* as the visitor sent them, without what is secret */
    struct event_headers response_headers; /* as the visitor got them, without what is secret */

    unsigned status; /* 0: the client left before a response head was sent */
    uint64_t response_body_bytes;
    unsigned error_number;   /* of the gateway's own error, 0 for none */
    struct str close_reason; /* "done", or why the exchange ended early */

    uint64_t duration_us;
    uint64_t upstream_us; /* from the request head being sent to the response head, or until the
                             upstream's stream opened; 0: none */
    bool connection_reused;

    struct str basic_auth_decision; /* "" when no such action ran */
    struct str basic_auth_username;
    struct str ip_policy_decision;
    struct str circuit_breaker_decision;
    struct str webhook_decision;
    struct str compression_algorithm;
    uint64_t compression_saved_bytes;
    struct str policy_logs; /* a JSON list */
    struct str tls_version;
    struct str tls_cipher;
    struct str tls_client_serial; /* of the visitor's certificate */
    struct str tls_client_cn;
    struct str ja4; /* fingerprint of the TLS client */
};

/* A zeroed event with one reference, to be filled by its maker. */
struct event *event_new(void);

static inline void event_ref(struct event *ev)
{
    counted_ref(&ev->counted);
}

static inline void event_unref(struct event *ev)
{
    if (ev != NULL)
        counted_unref(&ev->counted);
}

/* Of traffic: "http_request_complete", "tcp_connection_closed". */
const char *event_name(const struct event *ev);
/*
 * Copies a header into `out` (of EVENT_HEADERS_MAX items in the arena of `ev`), cut to its limits; what
 * may be a credential is told by its name alone (event_header_is_secret()). NORMAL: "User-Agent" and
 * values in lower case, as the specification has them (U-30).
 */
enum event_header_case { EVENT_HEADER_NORMAL, EVENT_HEADER_AS_SENT };
void event_add_header(struct event *ev, struct event_headers *out, struct str name,
                      struct str value, enum event_header_case how);
bool event_header_is_secret(struct str name);
/* The fields of the event in log form, for log_write() or log_format_line(); returns how many. */
enum { EVENT_FIELDS_MAX = 64 };
size_t event_fields(const struct event *ev, struct log_field out[EVENT_FIELDS_MAX]);

#endif
