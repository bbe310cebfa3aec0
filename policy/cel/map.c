/*
 * The literal map: entries in insertion order; above SMALL_MAX of them also a table of their
 * indexes, open addressing, at most half full. Small maps, the usual ones, are searched from the
 * front: a few compares of length and bytes are faster than a hash.
 * Keys of a request's data can be chosen by a stranger, so the hash is SipHash-1-3 with a seed of
 * the run. An int and a uint of the same value are the same key and hash alike.
 */
#include <assert.h>
#include <string.h>

#include "policy/cel/run.h"
#include "policy/cel/value.h"

enum { SMALL_MAX = 8, FIRST_ENTRIES = 4 };

struct entry {
    struct cel_value key;
    struct cel_value value;
};

struct cel_map_builder {
    struct cel_map map;    /* first: what the values point at */
    struct cel_run *run;   /* borrowed; while it is being built */
    struct entry *entries; /* borrowed: in the arena */
    size_t count;
    size_t cap;
    uint32_t *slots; /* borrowed: in the arena; index + 1, or 0; NULL while small */
    size_t mask;     /* slots - 1; their number is a power of two */
    uint64_t seed;
};

/* ---- hashing (SipHash, Aumasson and Bernstein 2012) ---- */

static uint64_t rotated(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotated(v[1], 13) ^ v[0];
    v[0] = rotated(v[0], 32);
    v[2] += v[3];
    v[3] = rotated(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotated(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotated(v[1], 17) ^ v[2];
    v[2] = rotated(v[2], 32);
}

static uint64_t sip_hash(uint64_t seed, struct str s)
{
    uint64_t k1 = ~rotated(seed, 32);
    uint64_t v[4] = { seed ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, seed ^ 0x6c7967656e657261,
                      k1 ^ 0x7465646279746573 };
    uint64_t last = (uint64_t)s.n << 56;
    size_t words = s.n / sizeof(last);
    uint64_t word;

    for (size_t i = 0; i < words; i++) {
        memcpy(&word, s.p + i * sizeof(word), sizeof(word));
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    for (size_t i = words * sizeof(word); i < s.n; i++)
        last |= (uint64_t)(uint8_t)s.p[i] << (8 * (i % sizeof(word)));
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static uint64_t hash_key(uint64_t seed, const struct cel_value *key)
{
    uint64_t number;

    if (key->kind == CEL_STRING)
        return sip_hash(seed, cel_str(*key));
    number = key->kind == CEL_BOOL ? key->as.b : key->as.u;
    return sip_hash(seed, str_of((const char *)&number, sizeof(number)));
}

/* ---- keys ---- */

static bool is_key(const struct cel_value *v)
{
    return v->kind == CEL_STRING || v->kind == CEL_INT || v->kind == CEL_UINT ||
           v->kind == CEL_BOOL;
}

/* Makes a uint that fits an int, so that equal numbers have one form. */
static struct cel_value normal_key(struct cel_value v)
{
    return v.kind == CEL_UINT && v.as.u <= INT64_MAX ? cel_int((int64_t)v.as.u) : v;
}

/* A whole double looks up the integer it is equal to. False: no key can be equal to v. */
static bool key_to_find(const struct cel_value *v, struct cel_value *out)
{
    double d;

    if (v->kind != CEL_DOUBLE) {
        *out = normal_key(*v);
        return is_key(v);
    }
    d = v->as.d;
    if (d >= -9223372036854775808.0 && d < 9223372036854775808.0)
        *out = cel_int((int64_t)d);
    else if (d >= 0 && d < 18446744073709551616.0)
        *out = cel_uint((uint64_t)d);
    else
        return false;
    return out->kind == CEL_INT ? (double)out->as.i == d : (double)out->as.u == d;
}

/* Both in normal form, except that a stored key may be a uint that fits an int. */
static bool is_same_key(const struct cel_value *stored, const struct cel_value *key)
{
    if (key->kind == CEL_STRING)
        return stored->kind == CEL_STRING && str_eq(cel_str(*stored), cel_str(*key));
    if (key->kind == CEL_BOOL)
        return stored->kind == CEL_BOOL && stored->as.b == key->as.b;
    if (stored->kind == CEL_INT || stored->kind == CEL_UINT) {
        struct cel_value number = normal_key(*stored);

        return number.kind == key->kind && number.as.u == key->as.u;
    }
    return false;
}

/* ---- looking up ---- */

/* The slot of the key, or the free one it would take. */
static uint32_t *slot_of(const struct cel_map_builder *m, const struct cel_value *key)
{
    size_t at = (size_t)hash_key(m->seed, key) & m->mask;

    while (m->slots[at] != 0 && !is_same_key(&m->entries[m->slots[at] - 1].key, key))
        at = (at + 1) & m->mask;
    return &m->slots[at];
}

/* `key` is in normal form. */
static struct entry *find_entry(const struct cel_map_builder *m, const struct cel_value *key)
{
    if (m->slots != NULL) {
        uint32_t index = *slot_of(m, key);

        return index == 0 ? NULL : &m->entries[index - 1];
    }
    for (size_t i = 0; i < m->count; i++) {
        if (is_same_key(&m->entries[i].key, key))
            return &m->entries[i];
    }
    return NULL;
}

static const struct cel_map_builder *builder_of(const struct cel_map *map)
{
    return (const struct cel_map_builder *)map;
}

static size_t literal_size(const struct cel_map *map)
{
    return builder_of(map)->count;
}

static bool literal_find(struct cel_run *run, const struct cel_map *map,
                         const struct cel_value *key, struct cel_value *out)
{
    const struct entry *e;
    struct cel_value normal;

    if (!key_to_find(key, &normal))
        return false;
    if (normal.kind == CEL_STRING && !cel_charge_bytes(run, normal.n))
        return false;
    e = find_entry(builder_of(map), &normal);
    if (e == NULL)
        return false;
    *out = e->value;
    return true;
}

static void literal_entry(struct cel_run *run, const struct cel_map *map, size_t index,
                          struct cel_value *key, struct cel_value *value)
{
    const struct entry *e = &builder_of(map)->entries[index];

    (void)run;
    *key = e->key;
    *value = e->value;
}

static const struct cel_map_ops literal_ops = {
    .size = literal_size,
    .find = literal_find,
    .entry = literal_entry,
};

/* ---- building ---- */

struct cel_map_builder *cel_map_new(struct cel_run *run, size_t expected)
{
    struct cel_map_builder *b;

    if (expected > run->limits->entries) {
        (void)cel_spent(run);
        return NULL;
    }
    b = cel_alloc(run, sizeof(*b));
    if (b == NULL)
        return NULL;
    *b = (struct cel_map_builder){ .map = { .ops = &literal_ops }, .run = run };
    if (expected > 0) {
        b->entries = cel_alloc(run, expected * sizeof(*b->entries));
        if (b->entries == NULL)
            return NULL;
        b->cap = expected;
    }
    return b;
}

static bool grow_entries(struct cel_map_builder *b)
{
    size_t cap = b->cap == 0 ? FIRST_ENTRIES : b->cap * 2;
    struct entry *entries;

    if (b->count >= b->run->limits->entries) {
        (void)cel_spent(b->run);
        return false;
    }
    if (b->count < b->cap)
        return true;
    entries = cel_alloc(b->run, cap * sizeof(*entries));
    if (entries == NULL)
        return false;
    if (b->count > 0) {
        assert(b->entries != NULL);
        memcpy(entries, b->entries, b->count * sizeof(*entries));
    }
    b->entries = entries;
    b->cap = cap;
    return true;
}

/* Room in the table for as many keys as there is room for entries. */
static bool grow_slots(struct cel_map_builder *b)
{
    size_t slots = (size_t)SMALL_MAX * 2;

    if (b->count < SMALL_MAX || (b->slots != NULL && b->mask + 1 >= b->cap * 2))
        return true;
    while (slots < b->cap * 2)
        slots *= 2;
    b->seed = cel_run_seed(b->run);
    b->slots = cel_alloc(b->run, slots * sizeof(*b->slots));
    if (b->slots == NULL)
        return false;
    memset(b->slots, 0, slots * sizeof(*b->slots));
    b->mask = slots - 1;
    assert(b->entries != NULL); /* SMALL_MAX of them */
    for (size_t i = 0; i < b->count; i++) {
        struct cel_value key = normal_key(b->entries[i].key);

        *slot_of(b, &key) = (uint32_t)i + 1;
    }
    return true;
}

static bool add_entry(struct cel_map_builder *b, struct cel_value key, struct cel_value value)
{
    struct cel_value normal = normal_key(key);

    if (!cel_charge_bytes(b->run, key.kind == CEL_STRING ? key.n : 0) || !grow_entries(b) ||
        !grow_slots(b))
        return false;
    assert(b->entries != NULL);
    b->entries[b->count] = (struct entry){ .key = key, .value = value };
    b->count++;
    if (b->slots != NULL)
        *slot_of(b, &normal) = (uint32_t)b->count;
    return true;
}

static struct entry *find_stored(const struct cel_map_builder *b, struct cel_value key)
{
    key = normal_key(key);
    return find_entry(b, &key);
}

bool cel_map_put(struct cel_map_builder *b, struct cel_value key, struct cel_value value)
{
    return is_key(&key) && find_stored(b, key) == NULL && add_entry(b, key, value);
}

bool cel_map_set(struct cel_map_builder *b, struct cel_value key, struct cel_value value)
{
    struct entry *e;

    if (!is_key(&key))
        return false;
    e = find_stored(b, key);
    if (e == NULL)
        return add_entry(b, key, value);
    e->value = value;
    return true;
}

struct cel_value cel_map_value(const struct cel_map_builder *b)
{
    return cel_map_of(&b->map);
}

/* ---- any map ---- */

size_t cel_map_size(struct cel_value map)
{
    return map.as.map->ops->size(map.as.map);
}

bool cel_map_find(struct cel_run *run, struct cel_value map, struct cel_value key,
                  struct cel_value *out)
{
    return map.as.map->ops->find(run, map.as.map, &key, out);
}

void cel_map_entry(struct cel_run *run, struct cel_value map, size_t index, struct cel_value *key,
                   struct cel_value *value)
{
    map.as.map->ops->entry(run, map.as.map, index, key, value);
}
