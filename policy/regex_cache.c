/*
 * uthash keeps its entries in the order of insertion: one that is used again goes to the end, so
 * the first is the one that was not used for longest. Bad patterns are not kept: they fail early in
 * the compiler, and a message for each would cost more than it saves.
 */
#include "policy/regex.h"

#include <assert.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/mem.h"

struct entry {
    char *pattern; /* owned */
    size_t pattern_bytes;
    struct regex *regex; /* owned */
    UT_hash_handle hh;
};

struct regex_cache {
    struct entry *entries; /* owned */
    size_t max;
};

struct regex_cache *regex_cache_new(size_t patterns)
{
    struct regex_cache *c = mem_zalloc(sizeof(*c));

    assert(patterns > 0);
    c->max = patterns;
    return c;
}

static void drop(struct regex_cache *c, struct entry *e)
{
    HASH_DEL(c->entries, e);
    regex_free(e->regex);
    mem_free(e->pattern);
    mem_free(e);
}

void regex_cache_free(struct regex_cache *c)
{
    if (c == NULL)
        return;
    while (c->entries != NULL)
        drop(c, c->entries);
    mem_free(c);
}

static void keep(struct regex_cache *c, struct entry *e)
{
    HASH_ADD_KEYPTR(hh, c->entries, e->pattern, e->pattern_bytes, e);
}

const struct regex *regex_cache_find(struct regex_cache *c, struct str pattern)
{
    struct entry *e;

    HASH_FIND(hh, c->entries, pattern.p, pattern.n, e);
    if (e == NULL)
        return NULL;
    HASH_DEL(c->entries, e);
    keep(c, e);
    return e->regex;
}

const struct regex *regex_cache_get(struct regex_cache *c, struct str pattern,
                                    char message[REGEX_MESSAGE_BYTES])
{
    const struct regex *found = regex_cache_find(c, pattern);
    struct regex *made;
    struct entry *e;

    if (found != NULL)
        return found;
    if (pattern.n > REGEX_RUNTIME_BYTES) {
        (void)snprintf(message, REGEX_MESSAGE_BYTES, "pattern too large: more than %d bytes",
                       REGEX_RUNTIME_BYTES);
        return NULL;
    }
    made = regex_new(pattern, message);
    if (made == NULL)
        return NULL;
    if (HASH_COUNT(c->entries) == c->max)
        drop(c, c->entries);
    e = mem_zalloc(sizeof(*e));
    e->pattern = str_dup(pattern);
    e->pattern_bytes = pattern.n;
    e->regex = made;
    keep(c, e);
    return made;
}
