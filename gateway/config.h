/*
 * config: the configuration file (libconfig syntax), checked and turned into one immutable value.
 * The keys are a table in config.c and, for limits, the rows of config.def; each is described in
 * etc/sallyport.cfg. A reload parses a whole new config and swaps it in, or keeps the old one.
 * Owns:   its strings; counted, so a reload never pulls it from under a worker.
 * Thread: config_load() on main; reading on any.
 * Limits: CONFIG_*_MAX below; a file is at most CONFIG_FILE_MAX_BYTES.
 */
#ifndef GATEWAY_CONFIG_H
#define GATEWAY_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/ref.h"
#include "policy/policy.h"
#include "tunnel/event_plan.h"
#include "tunnel/url.h"

struct cidr_set;
struct domains;
struct fetch_rules;

enum {
    CONFIG_LISTEN_MAX = 16, /* addresses a kind of listener */
    CONFIG_CERTIFICATES_MAX = 1024,
    CONFIG_DOMAINS_MAX = 100000,
    CONFIG_STRINGS_MAX = 1024, /* entries of a list of strings */
    CONFIG_STRING_MAX_BYTES = 3072,
    CONFIG_WORKERS_MAX = 256,
    CONFIG_IP_POLICIES_MAX = 1024,
    CONFIG_IP_RULES_MAX = 10000, /* blocks of one IP policy, in each list */
    CONFIG_PROXIES_MAX = 1024,   /* blocks of balancers, or of trusted proxies */
    CONFIG_POLICIES_MAX = 1024,
    CONFIG_GEO_MAX = 8,
    CONFIG_EVENT_DESTINATIONS_MAX = 64,
    CONFIG_EVENT_HEADERS_MAX = 32, /* of one destination */
    CONFIG_EVENT_SUBSCRIPTIONS_MAX = 1024,
    CONFIG_FILE_MAX_BYTES = 8 * 1024 * 1024,
};

struct config_listen {
    struct addr addrs[CONFIG_LISTEN_MAX];
    size_t count;
};

/* A range of ports, both ends included; first == 0: none. */
struct config_ports {
    uint16_t first;
    uint16_t last;
};

/* TCP endpoints; without any ports there are none. */
struct config_tcp {
    char *host;                      /* owned: of their URLs */
    struct config_ports ports;       /* given away when the user asks for any */
    struct config_ports fixed_ports; /* that users may name */
    struct config_listen listen;     /* addresses without their ports */
};

struct config_certificate {
    char *cert;  /* owned: path of a PEM chain, leaf first */
    char *key;   /* owned: path of a PEM key */
    char *where; /* owned: "FILE:LINE" */
};

struct config_domain {
    char *name;    /* owned */
    char *account; /* owned */
    char *where;   /* owned: "FILE:LINE" */
};

/* A list of strings. */
struct config_strings {
    char **items; /* owned */
    size_t count;
};

/* Of events.destinations. */
struct config_destination {
    char *name; /* owned; so are the others, NULL when not given */
    enum event_target target;
    char *path;
    char *url;
    struct config_strings headers; /* "Name: value" */
    uint64_t queue_max;
    uint64_t batch_max;
    uint64_t timeout_ms;
    char *where; /* owned: "FILE:LINE"; NULL: it had a problem */
};

/* Of events.subscriptions. */
struct config_subscription {
    struct config_strings destinations;
    struct config_strings types; /* names, or the beginning of some and "*" */
    char *filter;                /* owned; NULL: none */
    struct config_strings fields;
    char *where; /* owned: "FILE:LINE"; NULL: it had a problem */
};

struct config_cidrs {
    struct cidr *items; /* owned */
    size_t count;
};

/* A named list of addresses, for restrict-ips. */
struct config_ip_policy {
    char *name; /* owned */
    struct config_cidrs allow;
    struct config_cidrs deny;
};

/* A policy document of the operator, for endpoints of an account and a domain. */
struct config_policy {
    char *account; /* owned; NULL: all */
    char *domain;  /* owned: a normal host or "*.host"; NULL: all */
    char *file;    /* owned */
    char *text;    /* owned: what the file held */
    char *where;   /* owned: "FILE:LINE" */
};

struct config {
    struct ref ref;
    char *file; /* owned: where it was read from */

    char *state_dir;                      /* owned */
    char *domain;                         /* owned: a normal host (tunnel/host.h) */
    struct config_strings extra_suffixes; /* normal hosts */
    bool auto_reserve;
    struct config_domain *domains; /* owned */
    size_t domain_count;
    struct config_listen ssh;
    struct config_listen http;
    struct config_listen https;
    struct config_listen admin;
    struct config_tcp tcp;
    /* Balancers that begin connections with a PROXY header; counted; NULL: none. */
    struct cidr_set *ssh_balancers;
    struct cidr_set *http_balancers;
    struct cidr_set *https_balancers;
    struct cidr_set *tcp_balancers;
    struct cidr_set *trusted_proxies; /* whose X-Forwarded-For counts; counted; NULL: none */
    struct config_strings authorized_keys;
    uint64_t workers;                        /* 0: one a CPU */
    struct config_certificate *certificates; /* owned */
    size_t certificate_count;
    enum log_level log_level;
    enum log_format log_format;
    bool allow_no_command;
    bool ngrok_error_header;
    char *api_url;   /* owned: how clients reach the management API; NULL: as they say */
    bool api_public; /* it is served at the host of api_url, too */
    struct config_strings api_origins; /* of web pages that may use it */
    bool api_private_destinations;     /* events of users may go to private addresses, too */

    /* What traffic policies may use, and documents of the operator. */
    char *server_region; /* owned */
    enum policy_expression_errors expression_errors;
    struct fetch_rules *fetch_rules;      /* counted; never NULL */
    char *vaults;                         /* owned: a folder; NULL: none */
    struct config_ip_policy *ip_policies; /* owned */
    size_t ip_policy_count;
    struct config_strings geo_databases;
    char *ip_categories;            /* owned: a folder; NULL: none */
    struct config_policy *policies; /* owned */
    size_t policy_count;

    /* Where events go. */
    struct config_destination *destinations; /* owned */
    size_t destination_count;
    struct config_subscription *subscriptions; /* owned */
    size_t subscription_count;
    struct event_plan *events; /* counted: what both say; may be empty */
    enum event_header_case event_headers;

/* One member a row: limits.NAME of the file. */
#define LIMIT(name, unit, min, max, preset, text) uint64_t name;
#include "gateway/config.def"
#undef LIMIT
};

/*
 * Reads and checks a file. Every problem is appended to `problems` as "FILE:LINE: text\n" with what
 * to do; returns NULL then.
 */
struct config *config_load(const char *path, struct buf *problems);
/* The same for text in memory; `path` only names it. */
struct config *config_parse(const char *path, const char *text, struct buf *problems);
void config_ref(struct config *c);
/* NULL is fine. */
void config_unref(struct config *c);

/*
 * A reload cannot change where the process listens and what it is: puts the values that `old` has
 * for those keys into c, and calls kept(arg, key) for each key that had another. For the thread that
 * loaded c, before it hands it on.
 */
typedef void config_kept_fn(void *arg, const char *key);
void config_keep_fixed(struct config *c, const struct config *old, config_kept_fn *kept, void *arg);

/* Who must begin a connection to a listener with a PROXY header; TLS and HTTPS share theirs. */
const struct cidr_set *config_balancers(const struct config *c, enum scheme listener);

/* The limits of traffic policies. */
struct policy_limits config_policy_limits(const struct config *c);

/* The reservations of `domains`, for the control thread. The caller frees them. */
struct domains *config_domains_new(const struct config *c);

#endif
