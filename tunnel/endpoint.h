/*
 * endpoint: a public address, who holds it and the policy that guards it.
 * Immutable once claimed, and shared by all workers, sessions and exchanges through its count.
 * Owns:   its strings; one reference to its policy.
 * Thread: any.
 */
#ifndef TUNNEL_ENDPOINT_H
#define TUNNEL_ENDPOINT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ref.h"
#include "base/str.h"
#include "tunnel/agent.h"
#include "tunnel/id.h"
#include "tunnel/url.h"

struct port;

enum {
    ENDPOINT_KEY_BYTES = 65,
    ENDPOINT_ACCOUNT_MAX_BYTES = 64,
};

enum upstream_protocol { UPSTREAM_HTTP1, UPSTREAM_HTTP2 };

/* How to talk through a stream to the upstream. */
struct endpoint_upstream {
    enum upstream_protocol protocol; /* of http and https endpoints */
    unsigned proxy_protocol;         /* version of the header in front of all; 0: none */
    bool tls;
    bool tls_verify; /* the upstream's certificate must be good for tls_host */
    char *tls_host;  /* owned; a name, or an IP address without brackets; "" without TLS */
    char *tls_cas;   /* owned; who may have signed it, as PEM; "": those of the system */
};

struct endpoint {
    struct ref ref;
    char id[ID_BYTES];
    struct url url;
    char *account;      /* owned */
    char *name;         /* owned; "command_line" by default */
    char *description;  /* owned */
    char *metadata;     /* owned */
    char *upstream_url; /* owned; "" when the agent gave no hint */
    struct endpoint_upstream upstream;
    struct counted *policy; /* counted; NULL: none. Only policy_compile() makes one */
    bool wants_events;      /* the session shows request lines */
    char session_id[ID_BYTES];
    char key[ENDPOINT_KEY_BYTES]; /* SHA-256 fingerprint of the SSH key, hexadecimal */
    struct agent agent;
    /* Where the metrics count it (gateway/endpoint_stats.h); 0: not asked for yet. The one field that
     * changes later. */
    _Atomic uint64_t stats_place;
    struct port
        *port; /* borrowed: of a public TCP endpoint that is online; the registry opens it */
};

/* Where METRIC_GROUP_ENDPOINTS counts it, and the words for that: type, binding and scheme. */
size_t endpoint_metric(const struct endpoint *ep);
enum { ENDPOINT_METRIC_WORDS = 3 };
void endpoint_metric_words(size_t index, const char *words[ENDPOINT_METRIC_WORDS]);

/* A zeroed endpoint with one reference and empty strings; the caller fills it before the claim. */
struct endpoint *endpoint_new(void);
/* Puts a copy of `value` in place of one of the strings above; only before the claim. */
void endpoint_set(char **field, struct str value);
void endpoint_ref(struct endpoint *ep);
/* NULL is fine. */
void endpoint_unref(struct endpoint *ep);

#endif
