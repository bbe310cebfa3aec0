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

#include <jansson.h>

#include "base/addr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "tunnel/host.h"
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
    struct str policy;             /* text of the user's traffic policy, or empty */
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

/* ---- names ---------------------------------------------------------------------------------- */

/* What becomes of a wish to reserve a name, or to take that back. */
enum api_name_answer {
    API_NAME_OK,
    API_NAME_OWN,    /* the account has it already */
    API_NAME_OTHER,  /* it is of another account */
    API_NAME_COVERS, /* it is a wildcard over a name of another account */
    API_NAME_ONLINE, /* another account has an endpoint there, or had one a moment ago */
    API_NAME_USED,   /* a cloud endpoint of the account is there */
    API_NAME_FAILED, /* the error says why */
};

/* ---- certificates --------------------------------------------------------------------------- */

/* What is wrong with a certificate and its key. */
enum api_pair_fault {
    API_PAIR_FINE,
    API_PAIR_EMPTY,       /* nothing where the certificate should be */
    API_PAIR_NO_PEM,      /* text without any PEM block there */
    API_PAIR_DAMAGED,     /* a certificate that cannot be read */
    API_PAIR_HEADERS,     /* a PEM block has headers */
    API_PAIR_TYPE,        /* a PEM block is of another type */
    API_PAIR_CERT_IS_KEY, /* it is a private key */
    API_PAIR_ORDER,       /* one is not signed by the next */
    API_PAIR_TOO_LONG,    /* the chain is too long */
    API_PAIR_KEY_ENCRYPTED,
    API_PAIR_KEY_TYPE, /* also: too weak to be served, or too large */
    API_PAIR_KEY_IS_CERT,
    API_PAIR_OTHER_KEY,
};

/* ---- events --------------------------------------------------------------------------------- */

/* Of the destinations that objects of the API make. */
struct api_event_settings {
    bool private_destinations; /* those of users may be at private addresses, too */
    uint64_t objects_max;      /* destinations, and subscriptions, that an account may have */
    uint64_t queue_max;        /* events that wait for one destination */
};

/* ---- the table ------------------------------------------------------------------------------ */

enum { API_ADDRESS_BYTES = HOST_MAX_BYTES + sizeof(":65535") };

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

    /*
     * Does the pair parse and fit? Gets what the leaf says, as the members of spec 3.7 from "not_before"
     * on, a new reference; or NULL with the fault, and e in words.
     */
    json_t *(*certificate_read)(void *arg, struct str certificate_pem, struct str private_key_pem,
                                enum api_pair_fault *fault, struct err *e);

    /* Is this (normal) name one of the gateway's own: of its API, its SSH front, its TCP addresses? */
    bool (*is_own_host)(void *arg, struct str host);
    /*
     * Reserves "host", "*.host" or "host:port" (normal) for the account, and takes that back. When they
     * return, control has it. e is set with API_NAME_FAILED.
     */
    enum api_name_answer (*name_reserve)(void *arg, struct str name, struct str account,
                                         struct err *e);
    enum api_name_answer (*name_release)(void *arg, struct str name, struct str account,
                                         struct err *e);
    /* What name_release() would answer; changes nothing. */
    enum api_name_answer (*name_check_release)(void *arg, struct str name, struct str account,
                                               struct err *e);
    /* Writes a TCP address that can be reserved, "host:port". false: there is none. */
    bool (*address_pick)(void *arg, char out[API_ADDRESS_BYTES]);
    /* What an own region is called, in resolves_to and region; NULL: it has no name. */
    const char *region;

    /*
     * Makes a cloud endpoint live, or puts another in the place of the one with this id. Returns 0
     * when every worker serves it, or -1 with e and everything as it was. One that was at another
     * address serves there until endpoint_settle().
     */
    int (*endpoint_put)(void *arg, const struct api_endpoint_spec *spec, struct err *e);
    void (*endpoint_settle)(void *arg, const char *id);
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
