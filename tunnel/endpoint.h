/*
 * endpoint: an address, who holds it and the policy that guards it.
 * Immutable once claimed, but for what a pool goes by when it chooses among its members; shared by all
 * workers, sessions and exchanges through its count.
 * Owns:   its strings; one reference to its policy, and to its text.
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
struct shared_text;

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
    struct counted *policy;          /* counted; NULL: none. Only policy_compile() makes one */
    struct shared_text *policy_text; /* counted: the user's document in it; NULL: none, or stored */
    uint64_t rules;         /* digest of what the policy was made of; 0: not known, or no policy */
    uint64_t connect_rules; /* the same of its rules for connections; 0: none */
    bool pooling;           /* others with this may have the address too (tunnel/pool.h) */
    bool wants_events;      /* the session shows request lines */
    uint64_t created_wall_ms;
    char session_id[ID_BYTES];
    char key[ENDPOINT_KEY_BYTES]; /* SHA-256 fingerprint of the SSH key, hexadecimal */
    struct agent agent;           /* zeroed: it is a cloud endpoint */
    /* Where the metrics count it (gateway/endpoint_stats.h); 0: not asked for yet. Changes later. */
    _Atomic uint64_t stats_place;
    struct port
        *port; /* borrowed: of a public TCP endpoint that is online; the registry opens it */
    atomic_uint outstanding; /* see endpoint_enter() */
    atomic_bool withdrawn;   /* see endpoint_withdraw() */
};

/* Where METRIC_GROUP_ENDPOINTS counts it, and the words for that: type, binding and scheme. */
size_t endpoint_metric(const struct endpoint *ep);
enum { ENDPOINT_METRIC_WORDS = 3 };
void endpoint_metric_words(size_t index, const char *words[ENDPOINT_METRIC_WORDS]);

/* False for a cloud endpoint, which no session holds: its policy answers everything. */
static inline bool endpoint_has_agent(const struct endpoint *ep)
{
    return ep->agent.ops != NULL;
}

/* True if a visitor's connection is best served by that worker: sessions are on one only. */
static inline bool endpoint_is_at(const struct endpoint *ep, const struct worker *w)
{
    return !endpoint_has_agent(ep) || ep->agent.worker == w;
}

/* A zeroed endpoint with one reference and empty strings; the caller fills it before the claim. */
struct endpoint *endpoint_new(void);
/* Puts a copy of `value` in place of one of the strings above; only before the claim. */
void endpoint_set(char **field, struct str value);
void endpoint_ref(struct endpoint *ep);
/* NULL is fine. */
void endpoint_unref(struct endpoint *ep);

/* A request or a connection goes to ep from now on, and is outstanding until it leaves; it has a
 * reference meanwhile. */
void endpoint_enter(struct endpoint *ep);
/* NULL is fine. */
void endpoint_leave(struct endpoint *ep);
unsigned endpoint_outstanding(const struct endpoint *ep);

/*
 * It is going offline, and not every worker may know yet: pools choose others, and nothing of it is
 * kept for later requests. Who learns of it first says so.
 */
void endpoint_withdraw(struct endpoint *ep);
bool endpoint_is_withdrawn(const struct endpoint *ep);

/* True if both have the same URL, and internal ones the same account. */
bool endpoint_has_same_address(const struct endpoint *a, const struct endpoint *b);
/* True if what the policy of a does is what that of b would do. */
bool endpoint_has_same_rules(const struct endpoint *a, const struct endpoint *b);
/* The same of the rules for connections. */
bool endpoint_has_same_connect_rules(const struct endpoint *a, const struct endpoint *b);

#endif
