/*
 * host: what the API needs of the rest of the program, as a table of calls that gateway/main.c fills
 * in. All of them are called on the thread of api_call(), may block, and give their result when they
 * return; a call that another thread has to do (control, a worker) waits for it.
 *
 * Any member may be NULL: then nobody is told, and a resource that needs the answer says that the
 * gateway does not offer it.
 * Thread: any; calls come from several threads at once, those that change something one at a time.
 */
#ifndef TUNNEL_API_HOST_H
#define TUNNEL_API_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "tunnel/id.h"
#include "tunnel/url.h"

struct event_destination;
struct event_sink;

/* ---- changes -------------------------------------------------------------------------------- */

enum api_verb { API_CREATED, API_UPDATED, API_DELETED };

/* A change that is durable. Texts are borrowed for the call. */
struct api_change_event {
    enum api_verb verb;
    const char *kind;       /* "ssh_credential": of the store's keys */
    const char *event_type; /* "ssh_public_key_created"; NULL: none is published */
    const char *id;
    const char *account;    /* of the object */
    struct str object;      /* JSON as the API shows it, without one-time secrets */
    const char *principal;  /* who did it */
    const char *credential; /* "" when it has no id */
    bool by_ssh;
    uint64_t wall_ms;
};

/* ---- endpoints and sessions ----------------------------------------------------------------- */

struct api_endpoint_spec {
    const char *id;
    const char *account;
    struct url url;
    struct str policy; /* text of the traffic policy */
    struct str name;
    struct str description;
    struct str metadata;
    bool pooling;
};

/* A live session, and a live endpoint of one. Strings are borrowed from the list. */
struct api_session {
    const char *id;
    const char *account;
    const char *credential; /* "sshcr_...", or "" */
    const char *key;        /* SHA-256 fingerprint of its key, in hexadecimal */
    const char *client;     /* software string */
    struct addr peer;
    uint64_t started_wall_ms;
};

struct api_live_endpoint {
    const char *id;
    const char *account;
    const char *key; /* as of its session */
    const char *session_id;
    struct url url;
    const char *url_text;
    const char *name;
    const char *description;
    const char *metadata;
    const char *upstream_url;      /* what the client said of it, or "" */
    const char *upstream_protocol; /* "http1", "http2", or "" */
    bool pooling;
    uint64_t started_wall_ms;
};

/* What was live at one moment, newest first. The host makes it, its release() frees it. */
struct api_live {
    const struct api_session *sessions;
    size_t session_count;
    const struct api_live_endpoint *endpoints;
    size_t endpoint_count;
    void (*release)(struct api_live *live);
};

/* ---- certificates --------------------------------------------------------------------------- */

/* Gets what the leaf says, as the JSON members of spec 3.7 from "not_before" on; the API copies. */
struct api_certificate {
    struct buf members; /* "{...}"; owned by the caller of certificate_read() */
};

/* ---- events --------------------------------------------------------------------------------- */

/* Of the destinations that objects of the API make. */
struct api_event_settings {
    bool private_destinations; /* those of users may be at private addresses, too */
    uint64_t objects_max;      /* destinations, and subscriptions, that an account may have */
    uint64_t queue_max;        /* events that wait for one destination */
};

/* ---- the table ------------------------------------------------------------------------------ */

struct api_host {
    void *arg;

    /*
     * A change is durable: when it returns, every worker has it. It may read the store, and not
     * fail: what could fail was asked for before. Also the place of audit events.
     */
    void (*changed)(void *arg, const struct api_change_event *change);

    /* What names are public; borrowed: outlives the API. NULL: there are no cloud endpoints. */
    const struct host_suffixes *suffixes;

    /* Is this a traffic policy for a cloud endpoint at this address? Returns 0, or -1 with every problem
     * in `problems`, a line each, and the first one in e. */
    int (*policy_check)(void *arg, struct str account, const struct url *url, struct str text,
                        struct buf *problems, struct err *e);

    /* Does the pair parse and fit? Returns 0 with *out, or -1 with e. */
    int (*certificate_read)(void *arg, struct str certificate_pem, struct str private_key_pem,
                            struct api_certificate *out, struct err *e);

    /*
     * Makes a cloud endpoint live, or puts another in the place of the one with this id. Returns 0
     * when every worker serves it, or -1 with e and everything as it was.
     */
    int (*endpoint_put)(void *arg, const struct api_endpoint_spec *spec, struct err *e);
    /* Returns when no worker gives it new requests. */
    void (*endpoint_remove)(void *arg, const char *id);

    /* What is live. Never fails. */
    struct api_live *(*live)(void *arg);
    struct api_event_settings events;
    /* Where events go; borrowed: outlives the API. NULL: filters cannot be checked, so none are taken. */
    struct event_sink *event_sink;
    /* Is it an address that servers of the internet have? NULL: all are. */
    bool (*is_public)(const struct addr *a);
    /*
     * Sends one event, a JSON object, to the destination at once, without its queue. Returns 0 when it
     * has arrived, or -1 with e: why not, or E_RATE_LIMITED when another call does the same.
     */
    int (*event_deliver)(void *arg, const struct event_destination *d, struct str event,
                         struct err *e);

    /* Ends a session and frees its names. Returns 0, or -1 with E_NOT_FOUND. */
    int (*session_end)(void *arg, const char *id, struct err *e);
};

#endif
