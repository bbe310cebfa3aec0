/*
 * config_reader: from settings of libconfig to values, by rows of tables. For config*.c only.
 * A table row (struct key) names a key, what reads it, where its value goes, its bounds and an example
 * for messages.
 * Owns:   nothing; values that are made belong to the struct they are put into.
 * Thread: main.
 */
#ifndef GATEWAY_CONFIG_READER_H
#define GATEWAY_CONFIG_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libconfig.h>

#include "gateway/config.h"

struct reader {
    struct config *c;     /* borrowed: being filled */
    const char *path;     /* borrowed */
    const char *group;    /* borrowed: what stands before a key in messages, "limits." */
    struct buf *problems; /* borrowed */
    size_t problem_count; /* also those that no longer fitted into `problems` */
};

struct key;
typedef void key_fn(struct reader *r, const config_setting_t *s, const struct key *k, void *out);

struct key {
    const char *name;
    const char *example; /* a line that would be right */
    key_fn *read;
    size_t offset; /* of the value in struct config, or in the entry of a list */
    uint64_t min;  /* of a number */
    uint64_t max;  /* of a number, or entries of a list */
    const char *unit;
    const struct key *members; /* of a group */
    size_t member_count;
    bool required;
};

/* Adds "FILE:LINE: text". `s` is where it happened; NULL for the file as a whole. */
void reader_problem(struct reader *r, const config_setting_t *s, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The same where there is no tree to point into. */
void reader_file_problem(struct reader *r, unsigned line, const char *text);
/* "FILE:LINE" of a setting; the caller frees it. */
char *reader_where(const struct reader *r, const config_setting_t *s);

/* The text of a string setting, or NULL with a problem. */
const char *reader_get_string(struct reader *r, const config_setting_t *s, const struct key *k,
                              const char *kind);
/* The index of the setting's word, or -1 with a problem. */
int reader_get_word(struct reader *r, const config_setting_t *s, const struct key *k,
                    const char *const *words, size_t count);
/* The number of entries of an array or list, 0 with a problem when it is neither or too long. */
unsigned reader_list_length(struct reader *r, const config_setting_t *s, const struct key *k,
                            const char *kind);
/* Reads the members of a group into `base`, by the rows of `keys`. */
void reader_members(struct reader *r, const config_setting_t *group, const struct key *keys,
                    size_t count, void *base);
/* Reads entry `s` of a list of groups into `entry`. Returns true if it was without a problem. */
bool reader_entry(struct reader *r, const config_setting_t *s, const struct key *k, void *entry);

/* For rows: what `out` points at stands behind each. */
key_fn reader_string;  /* char *, owned */
key_fn reader_host;    /* char *, owned */
key_fn reader_bool;    /* bool */
key_fn reader_number;  /* uint64_t */
key_fn reader_strings; /* struct config_strings */
key_fn reader_hosts;   /* struct config_strings of normal hosts */
key_fn reader_group;   /* whatever its members say, counted from `out` */

/* ---- of TCP endpoints (config_tcp.c) ---- */

key_fn config_read_ports;     /* struct config_ports */
key_fn config_read_addresses; /* struct config_listen with port 0, in place of what is there */
/* When all keys were read: sets what has a default of its own and checks the ranges. */
void config_finish_tcp(struct reader *r, const config_setting_t *root);

/* ---- of events (config_events.c) ---- */

enum { CONFIG_EVENT_KEYS = 3 };
extern const struct key config_event_keys[CONFIG_EVENT_KEYS];
/* When all keys were read: makes the plan. */
void config_finish_events(struct reader *r);
/* Frees what those have put into c. */
void config_events_fini(struct config *c);

/* ---- of traffic policies (config_policy.c) ---- */

key_fn config_read_fetch_allow; /* into c->fetch_rules */
key_fn config_read_cidrs;       /* struct config_cidrs */
key_fn config_read_cidr_set;    /* struct cidr_set *, counted */
key_fn config_read_pattern;     /* char *, owned: a normal host, or "*.host" */
key_fn config_read_ip_policies;
key_fn config_read_policies;
key_fn config_read_expression_errors;
/* When all keys were read: reads the documents, sets what has a default of its own. */
void config_finish_policies(struct reader *r);
/* Frees what those have put into c. */
void config_policy_fini(struct config *c);

#endif
