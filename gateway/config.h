/*
 * config: the configuration file (libconfig syntax), checked and turned into one immutable value.
 * Keys, bounds and defaults are rows of config.def; each is described in etc/sallyport.cfg. A reload
 * parses a whole new config and swaps it in, or keeps the old one.
 * Owns:   its strings; counted, so a reload never pulls it from under a worker.
 * Thread: config_load() on main; reading on any.
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

enum { CONFIG_LISTEN_MAX = 16, CONFIG_CERTIFICATES_MAX = 1024 };

struct config_listen {
    struct addr addrs[CONFIG_LISTEN_MAX];
    size_t count;
};

struct config_certificate {
    char *cert; /* owned: path of a PEM chain, leaf first */
    char *key;  /* owned: path of a PEM key */
    char *where; /* owned: "FILE:LINE" */
};

struct config_domain {
    char *name;    /* owned */
    char *account; /* owned */
};

/* A list of strings. */
struct config_strings {
    char **items; /* owned */
    size_t count;
};

struct config {
    struct ref ref;
    char *file; /* owned: where it was read from */

    char *state_dir;
    char *domain;
    struct config_strings extra_suffixes;
    bool auto_reserve;
    struct config_domain *domains; /* owned */
    size_t domain_count;
    struct config_listen ssh;
    struct config_listen http;
    struct config_listen https;
    struct config_listen admin;
    struct config_strings authorized_keys;
    uint64_t workers; /* 0: one a CPU */
    struct config_certificate *certificates; /* owned */
    size_t certificate_count;
    enum log_level log_level;
    enum log_format log_format;
    bool allow_no_command;
    bool ngrok_error_header;

/* One member a row: limits.NAME and timeouts.NAME of the file. */
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
void config_unref(struct config *c);

#endif
