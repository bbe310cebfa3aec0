/*
 * call: one call of the API while it runs, and what resources may do in it.
 * Owns:   its arena, its references to JSON values.
 * Thread: that of api_call().
 */
#ifndef TUNNEL_API_CALL_H
#define TUNNEL_API_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/arena.h"
#include "base/str.h"
#include "tunnel/api/api.h"
#include "tunnel/api/host.h"
#include "tunnel/api/query.h"
#include "tunnel/api/resource.h"
#include "tunnel/store/store.h"

enum { API_TIME_BYTES = 21 }; /* 2026-01-31T12:00:00Z and a NUL */

struct api_call_live;

struct api_call {
    struct api *api;                   /* borrowed */
    const struct api_request *request; /* borrowed */
    struct arena arena;                /* what lives as long as the call */
    uint64_t wall_ms;                  /* when it began */
    char now[API_TIME_BYTES];

    const struct api_query *query; /* of the list or action; lives in the arena */

    struct store_txn *txn; /* owned: what will be committed; NULL in calls that only read */
    json_t *counts;        /* owned: numbers of objects that the transaction changes */
    json_t *once;          /* owned: one-time members of the answer to a create */

    struct api_call_live *live; /* owned: what sessions hold (live.h); NULL: nobody has asked */

    unsigned status;
    json_t *answer; /* owned; NULL: no body */
    struct api_error error;
};

/* Sets the error of the call; returns -1. */
int api_fail(struct api_call *c, enum api_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The store failed. */
int api_fail_store(struct api_call *c, const struct err *e);

/* What the call answers; takes `body` (NULL: none). */
void api_answer(struct api_call *c, unsigned status, json_t *body);

/* The host's table and the caller. */
const struct api_host *api_call_host(const struct api_call *c);
static inline const struct api_caller *api_call_who(const struct api_call *c)
{
    return c->request->who;
}

/* The key of the store that an object has: "object/<kind>/<id>", in the arena. */
struct str api_object_key(struct api_call *c, const struct api_resource *r, struct str id);

/*
 * Around what a call that changes something waits for outside of the gateway: others may write meanwhile,
 * and the commit finds out whether that mattered. In check() and in actions that have written nothing.
 */
void api_wait_begin(struct api_call *c);
void api_wait_end(struct api_call *c);

/* ---- members of objects --------------------------------------------------------------------- */

/* The string member `name`; empty when there is none. Borrowed from the object. */
struct str api_get(const json_t *object, const char *name);
/* The same as a C string. */
const char *api_get_text(const json_t *object, const char *name);
void api_set(json_t *object, const char *name, struct str value);

void api_format_time(uint64_t wall_ms, char out[API_TIME_BYTES]);

/* ---- the store ------------------------------------------------------------------------------ */

/*
 * The object with this id that the caller may see. Returns 1 with *object (a reference for the
 * caller), 0 when there is none, -1 with the error set. In a call that writes, the commit will
 * demand that it is unchanged.
 */
int api_find(struct api_call *c, const struct api_resource *r, struct str id, json_t **object);
/* The same for whoever owns it. */
int api_find_any(struct api_call *c, const struct api_resource *r, struct str id, json_t **object);
/* The same of the store alone, for sources that have some objects there and others elsewhere. */
int api_find_stored(struct api_call *c, const struct api_resource *r, struct str id,
                    json_t **object);
/*
 * Appends to `list` up to `max` objects of the store that the caller may see, newest first, before
 * the id `before` (empty: all); fewer only when there are no more. Returns 0, or -1 with the error set.
 */
int api_range_stored(struct api_call *c, const struct api_resource *r, struct str before,
                     size_t max, json_t *list);
/* The same as api_find_any() by one of its unique keys. */
int api_find_by_key(struct api_call *c, const struct api_resource *r, struct str key,
                    json_t **object);
/* The same of what is only shown: the commit does not mind if it has changed. */
int api_peek_by_key(struct api_call *c, const struct api_resource *r, struct str key,
                    json_t **object);
/*
 * The ids of all objects that have a key below "<field>/<scope>/", as an array; at most `max`.
 * Returns 0, or -1 with the error set.
 */
int api_find_ids(struct api_call *c, const struct api_resource *r, struct str key_prefix,
                 size_t max, json_t **ids);

/*
 * An object that a field refers to: its id must be well-formed, else `malformed`; the caller must
 * see it, and it must be of this account (NULL: any), else `unknown`. Returns 0 with *object (a
 * reference for the caller), or -1.
 */
int api_find_ref(struct api_call *c, const struct api_resource *r, const char *account,
                 struct str id, enum api_code malformed, enum api_code unknown, json_t **object);

/*
 * Writes "<field>/<scope>/<value>" to the key, its values as the other arguments say; `scope` may
 * be "". A value that has no room is hashed.
 */
void api_key_set(struct api_key *key, const char *field, const char *scope, struct str value);

/*
 * For actions that change the object of their path: stores `after` in the place of `before`, with its
 * keys, apply() and the audit event, but without check(). Returns 1, 0 or -1, to be passed on.
 */
int api_change_object(struct api_call *c, const struct api_resource *r, const json_t *before,
                      json_t *after);

/* Adds the deletion of another object to the transaction of a delete, with its keys. Returns 0, or -1. */
int api_delete_child(struct api_call *c, const struct api_resource *r, const json_t *object);
/*
 * Commits what the transaction has so far, so that it has room again: for deleting many. Each piece
 * must leave things as they may be. Returns 0, or -1 with the error set.
 */
int api_commit_piece(struct api_call *c);

/* ---- owners --------------------------------------------------------------------------------- */

/*
 * Takes the owner fields of the input (spec 3.5): sets "owner_id" and "account" of ch->after.
 * Returns 0, or -1 with API_OWNER_*.
 */
int api_owner_take(struct api_call *c, struct api_change *ch);

/*
 * Puts `value` sealed at rest under the name, in base 64; it opens only as that of the object
 * api_object_key() names. Returns 0, or -1 with the error set.
 */
int api_seal(struct api_call *c, const struct api_resource *r, const char *id, json_t *object,
             const char *name, struct str value);

/* ---- bodies and answers --------------------------------------------------------------------- */

/*
 * Checks the body by the fields of `r` (spec 1.5). Returns 0 with the accepted members that were
 * given in *input (a reference for the caller), or -1 with the error set. `before` is the object as
 * it is stored; NULL on create.
 */
int api_body_read(struct api_call *c, const struct api_resource *r, const json_t *before,
                  json_t **input);

/* The object as answers have it. NULL with the error set. */
json_t *api_show(struct api_call *c, const struct api_resource *r, const json_t *object);
/* Answers a list of `objects` of `r` as they are stored, that `matches` (may be NULL) lets pass. */
typedef bool api_match_fn(const json_t *object, void *arg);
int api_answer_list(struct api_call *c, const struct api_resource *r, const char *uri_path,
                    api_match_fn *matches, void *arg);

/* {"id": id, "uri": "<base><path>/<id>"}; "" for what has no resource; null for an empty id. */
json_t *api_ref(struct api_call *c, struct str id);
/* "<base><path>" or "<base><path>/<id>" in the arena. */
const char *api_uri(struct api_call *c, const char *path, struct str id);

#endif
