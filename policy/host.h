/*
 * host: what the gateway lends a running policy. This is how policy/ stays free of sockets.
 * `ctx` is the exchange. Strings that come back are borrowed: they stay until the message they
 * belong to changes through this table; strings handed in are copied, except where said.
 * What takes time answers POLICY_PENDING: the action then returns POLICY_SUSPEND, the gateway calls
 * policy_run_resume() when it is there, and the action asks again with the same arguments to get it.
 * One such request is under way at a time; a run that is freed has its cancelled.
 * Thread: that of the exchange.
 */
#ifndef POLICY_HOST_H
#define POLICY_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "policy/cel/run.h"
#include "policy/cel/value.h"
#include "policy/vars.h"

struct policy_filter;

enum policy_message { POLICY_REQUEST, POLICY_RESPONSE };

enum policy_ready {
    POLICY_READY,   /* here it is */
    POLICY_PENDING, /* return POLICY_SUSPEND and ask again when resumed */
    POLICY_FAILED,  /* the err says why */
};

struct policy_header {
    struct str name;
    struct str value;
};

/* An HTTP request of the gateway itself (http-request, key sets). All borrowed until it is READY. */
struct policy_fetch {
    struct str url;
    struct str method;
    const struct policy_header *headers;
    size_t header_count;
    struct str body;
    uint64_t timeout_ms; /* for all of it */
    size_t response_max_bytes;
    unsigned max_redirects;
};

struct policy_fetched {
    unsigned status;
    const struct policy_header *headers; /* names in lower case */
    size_t header_count;
    struct str body; /* decoded */
    struct str resolved_ip;
    uint64_t took_ms;
};

/* A document that many requests need (a JWKS): fetched once for a worker and kept. */
struct policy_shared_fetch {
    struct str url;
    uint64_t timeout_ms;
    size_t response_max_bytes;
    uint64_t fresh_ms; /* younger than this: no fetch */
    uint64_t stale_ms; /* a failed fetch falls back to what is younger than this */
    uint64_t
        version; /* 0; or: this version does not help, fetch a newer one, if the last early fetch is */
    uint64_t refetch_ms; /* older than this */
};

struct policy_shared_fetched {
    struct str body;  /* stays until the next turn of the worker's loop */
    uint64_t version; /* changes with the body; never 0 */
};

enum policy_tls_version { POLICY_TLS_1_2, POLICY_TLS_1_3 };

/* What is asked of the visitor's certificate (spec traffic-policy 6.25). */
enum policy_tls_verify {
    POLICY_TLS_NO_CERTIFICATE,     /* nothing: none is asked for */
    POLICY_TLS_REQUIRE_AND_VERIFY, /* it must be sent, and one of the authorities must have signed it */
    POLICY_TLS_REQUIRE_ANY,        /* it must be sent */
    POLICY_TLS_REQUEST,            /* it may be sent */
};

/* How TLS of the connection ends here. All borrowed until it is READY. */
struct policy_tls {
    enum policy_tls_version min_version;
    enum policy_tls_version max_version;
    struct str
        certificate; /* PEM: the server's own first; empty: what the gateway has for the name */
    struct str key;  /* PEM; empty with the certificate */
    const struct str *authorities; /* PEM each */
    size_t authority_count;
    enum policy_tls_verify verify;
};

/* Work off the loop: run() on a thread of the pool; free() once nobody needs it any more. */
struct policy_job {
    void (*run)(struct policy_job *job);
    void (*free)(struct policy_job *job);
};

/* A host that only runs on_tcp_connect has no message: its calls from header_find() to add_filter()
 * are NULL. */
struct policy_host {
    /* A variable other than vars.*, actions.* and time.now. Values are made in `arena`, which lives
     * as long as the exchange; large ones are views. What is absent has the zero value of its type. */
    struct cel_value (*var)(void *ctx, enum policy_var var, struct arena *arena);

    const struct addr *(*client_addr)(void *ctx);

    /* The index-th field of that name (any case), or an empty str with p == NULL. "host" of a
     * request is among them. */
    struct str (*header_find)(void *ctx, enum policy_message m, struct str name, size_t index);
    void (*header_add)(void *ctx, enum policy_message m, struct str name, struct str value);
    /* Removes all fields of that name; returns how many there were. */
    size_t (*header_remove)(void *ctx, enum policy_message m, struct str name);

    /* The path and query that the upstream will see; starts with '/'. */
    void (*set_target)(void *ctx, struct str path_and_query);

    /* The whole body of a message, as received (still encoded). POLICY_FAILED with
     * E_POLICY_BODY_TOO_LARGE or E_POLICY_BODY. The body stays buffered and is sent on later. */
    enum policy_ready (*body)(void *ctx, enum policy_message m, size_t max_bytes, struct str *out,
                              struct err *e);
    /* Puts another body in its place (copied); content-length follows. Only after body(). */
    void (*set_body)(void *ctx, enum policy_message m, struct str body);
    /* True if the message has a body that may be read and changed: no upgrade, no CONNECT. */
    bool (*has_body)(void *ctx, enum policy_message m);

    /* Sends the response body through a filter (policy/filter.h), behind those added before; taken
     * over. Content-Length goes, and the action changes the other headers. */
    void (*add_filter)(void *ctx, struct policy_filter *filter);

    /* POLICY_FAILED with E_POLICY_FETCH_* and *out as far as it is known. */
    enum policy_ready (*fetch)(void *ctx, const struct policy_fetch *request,
                               struct policy_fetched *out, struct err *e);
    enum policy_ready (*fetch_shared)(void *ctx, const struct policy_shared_fetch *request,
                                      struct policy_shared_fetched *out, struct err *e);

    /* Runs a job, which belongs to the host from the first call on until POLICY_READY. */
    enum policy_ready (*job)(void *ctx, struct policy_job *job);

    /* A secret of the endpoint's account; p == NULL when there is none. */
    struct str (*secret)(void *ctx, struct str vault, struct str name);
    /* The rules of an IP policy, or NULL. */
    const struct policy_ip_rules *(*ip_policy)(void *ctx, struct str name);

    /* Does the TLS handshake, in on_tcp_connect. READY: from now on conn.tls.* is there, and the
     * upstream gets what TLS carried. POLICY_FAILED: a text is no certificate or key. A handshake that
     * fails ends the connection, and with it the run. */
    enum policy_ready (*terminate_tls)(void *ctx, const struct policy_tls *settings, struct err *e);

    /* Looks for the internal endpoint of a forward. 0: policy_run may return POLICY_FORWARD; -1
     * with what a visitor is told. */
    int (*forward)(void *ctx, struct str url, struct err *e);
};

struct policy_ip_rules {
    const struct cidr *allow;
    size_t allow_count;
    const struct cidr *deny;
    size_t deny_count;
};

#endif
