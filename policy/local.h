/*
 * local: what the engine keeps for one worker: memory for evaluating expressions, patterns that
 * were made at run time, and a cache in which actions keep what is dear to work out (a key set, the
 * answer of a password hash).
 * Owns:   all of it, also the cached objects.
 * Thread: that of the worker.
 * Limits: LOCAL_PATTERNS_MAX patterns, LOCAL_CACHE_MAX cached objects; least recently used go first.
 */
#ifndef POLICY_LOCAL_H
#define POLICY_LOCAL_H

#include "base/arena.h"
#include "base/log.h"
#include "base/str.h"

struct local_cached;
struct regex_cache;

enum {
    LOCAL_PATTERNS_MAX = 128,
    LOCAL_CACHE_MAX = 1024,
    LOCAL_KEY_MAX_BYTES = 512,
    LOCAL_WARNINGS_A_SECOND = 5,
};

struct policy_local {
    struct arena scratch;        /* of one evaluation; reset before each */
    struct regex_cache *regexes; /* owned; made when first needed */
    struct log_limit warnings;   /* of what visitors can cause */
    struct local_cached *by_key; /* owned: uthash, least recently used first */
};

struct regex_cache *policy_local_regexes(struct policy_local *local);

/*
 * The cached object of that key, or NULL; it stays until the next policy_local_put(). A key says what
 * the object is and all that it depends on ("jwks\0" URL version): it outlives policies. Longer keys
 * than LOCAL_KEY_MAX_BYTES are never found: hash what is long.
 */
void *policy_local_find(struct policy_local *local, struct str key);
/* Takes the object over, in place of one of the same key; `free` is called once for it. */
void policy_local_put(struct policy_local *local, struct str key, void *object,
                      void (*free)(void *object));

#endif
