#include "policy/local.h"

#include <string.h>

#include "base/hash.h"
#include "policy/regex.h"
#include "policy/run.h"

struct local_cached {
    char *key; /* owned */
    void *object;
    void (*free)(void *object);
    UT_hash_handle hh;
};

struct policy_local *policy_local_new(void)
{
    struct policy_local *local = mem_zalloc(sizeof(*local));

    arena_init(&local->scratch);
    return local;
}

static void drop(struct policy_local *local, struct local_cached *c)
{
    HASH_DEL(local->by_key, c);
    c->free(c->object);
    mem_free(c->key);
    mem_free(c);
}

void policy_local_free(struct policy_local *local)
{
    if (local == NULL)
        return;
    while (local->by_key != NULL)
        drop(local, local->by_key);
    regex_cache_free(local->regexes);
    arena_fini(&local->scratch);
    mem_free(local);
}

struct regex_cache *policy_local_regexes(struct policy_local *local)
{
    if (local->regexes == NULL)
        local->regexes = regex_cache_new(LOCAL_PATTERNS_MAX);
    return local->regexes;
}

void *policy_local_find(struct policy_local *local, struct str key)
{
    struct local_cached *c = NULL;

    if (key.n > LOCAL_KEY_MAX_BYTES)
        return NULL;
    HASH_FIND(hh, local->by_key, key.p, key.n, c);
    if (c == NULL)
        return NULL;
    HASH_DEL(local->by_key, c); /* to the end of the line: used last, goes last */
    HASH_ADD_KEYPTR(hh, local->by_key, c->key, key.n, c);
    return c->object;
}

void policy_local_put(struct policy_local *local, struct str key, void *object,
                      void (*free)(void *object))
{
    struct local_cached *c = NULL;

    if (key.n <= LOCAL_KEY_MAX_BYTES)
        HASH_FIND(hh, local->by_key, key.p, key.n, c);
    if (c != NULL)
        drop(local, c);
    if (HASH_COUNT(local->by_key) >= LOCAL_CACHE_MAX)
        drop(local, local->by_key);
    c = mem_zalloc(sizeof(*c));
    c->key = mem_alloc(key.n + 1);
    if (key.n > 0)
        memcpy(c->key, key.p, key.n);
    c->object = object;
    c->free = free;
    HASH_ADD_KEYPTR(hh, local->by_key, c->key, key.n, c);
}
