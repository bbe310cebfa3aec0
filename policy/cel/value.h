/*
 * value: what a CEL expression computes with: 16-byte tagged unions (spec cel 3).
 * A value owns nothing. Text, lists and maps are borrowed: from the program (constants), from the
 * arena of the run, or from the host's message; they live as long as the run's result is used.
 * An error is a value too, because && || and the macros have to look at it.
 * Thread: any; pure.
 * Limits: those of struct cel_limits (policy/cel/run.h), asked for before memory is.
 */
#ifndef POLICY_CEL_VALUE_H
#define POLICY_CEL_VALUE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/str.h"

struct cel_map;
struct cel_run;
struct cel_value;

enum cel_kind {
    CEL_NULL,
    CEL_BOOL,
    CEL_INT,
    CEL_UINT,
    CEL_DOUBLE,
    CEL_STRING, /* valid UTF-8 */
    CEL_BYTES,
    CEL_LIST,
    CEL_MAP,
    CEL_TIMESTAMP,
    CEL_DURATION, /* nanoseconds */
    CEL_TYPE,     /* the name of a type, as a runtime value */
    CEL_OPTIONAL,
    CEL_IP,
    CEL_CIDR,
    CEL_OBJECT, /* of the host: a cookie, a certificate extension */
    CEL_ERROR,
};

struct cel_list {
    const struct cel_value *items; /* borrowed */
    size_t count;
};

/* An address with the prefix length of a CIDR; host bits are kept as written. */
struct cel_cidr {
    struct addr base;
    uint8_t bits;
};

/*
 * A map is seen through these calls, so that headers can be looked up where they lie. The literal
 * kind is made by cel_map_new().
 */
struct cel_map_ops {
    size_t (*size)(const struct cel_map *map);
    /* False when there is no such key. Keys that are equal by == are the same key. */
    bool (*find)(struct cel_run *run, const struct cel_map *map, const struct cel_value *key,
                 struct cel_value *out);
    /* The index-th entry, index < size(), in an order that does not change. */
    void (*entry)(struct cel_run *run, const struct cel_map *map, size_t index,
                  struct cel_value *key, struct cel_value *value);
    /* Indexing a key that is missing gives an empty list instead of an error (headers, cookies,
     * query parameters); `in` and has() still say that it is missing. */
    bool missing_is_empty;
};

struct cel_map {
    const struct cel_map_ops *ops; /* borrowed: static; first in whatever the host embeds it in */
};

/* A type of host objects: fields with fixed names and types. */
struct cel_object_field {
    const char *name;
    const char *type; /* as in policy/cel/type.h */
};

struct cel_object_type {
    const char *name; /* "cookie" */
    const struct cel_object_field *fields;
    size_t field_count;
    /* The value of a field; a field that is absent reads as the zero value of its type. */
    struct cel_value (*get)(struct cel_run *run, const void *object, size_t field);
    /* For has(). */
    bool (*has)(const void *object, size_t field);
};

struct cel_object {
    const struct cel_object_type *type; /* borrowed: static; first in what the host embeds it in */
};

struct cel_value {
    uint8_t kind; /* enum cel_kind */
    bool absent;  /* of CEL_NULL: the results of an action that has not run; has() below it is
                     false, selecting below it is an error. Of what a variable gives: it is not
                     set, and has() of it is false */
    uint32_t n;   /* STRING, BYTES, TYPE, ERROR: bytes; TIMESTAMP: nanoseconds 0..999999999 */
    union {
        bool b;
        int64_t i; /* INT; DURATION in ns; TIMESTAMP: seconds since 1970 */
        uint64_t u;
        double d;
        const char *p;                   /* STRING, BYTES, TYPE (its name), ERROR (its text) */
        const struct cel_list *list;     /* LIST */
        const struct cel_map *map;       /* MAP */
        const struct cel_value *held;    /* OPTIONAL; NULL: none */
        const struct addr *ip;           /* IP; port 0 */
        const struct cel_cidr *cidr;     /* CIDR */
        const struct cel_object *object; /* OBJECT */
    } as;
};
static_assert(sizeof(struct cel_value) == 16, "values are passed in two registers");

/* ---- making values ---- */

static inline struct cel_value cel_null(void)
{
    return (struct cel_value){ .kind = CEL_NULL };
}

static inline struct cel_value cel_bool(bool b)
{
    return (struct cel_value){ .kind = CEL_BOOL, .as.b = b };
}

static inline struct cel_value cel_int(int64_t i)
{
    return (struct cel_value){ .kind = CEL_INT, .as.i = i };
}

static inline struct cel_value cel_uint(uint64_t u)
{
    return (struct cel_value){ .kind = CEL_UINT, .as.u = u };
}

static inline struct cel_value cel_double(double d)
{
    return (struct cel_value){ .kind = CEL_DOUBLE, .as.d = d };
}

/* `s` is valid UTF-8 of at most UINT32_MAX bytes and lives as long as the value. */
static inline struct cel_value cel_string(struct str s)
{
    return (struct cel_value){ .kind = CEL_STRING, .n = (uint32_t)s.n, .as.p = s.p };
}

static inline struct cel_value cel_bytes(struct str s)
{
    return (struct cel_value){ .kind = CEL_BYTES, .n = (uint32_t)s.n, .as.p = s.p };
}

static inline struct cel_value cel_list_of(const struct cel_list *list)
{
    return (struct cel_value){ .kind = CEL_LIST, .as.list = list };
}

static inline struct cel_value cel_map_of(const struct cel_map *map)
{
    return (struct cel_value){ .kind = CEL_MAP, .as.map = map };
}

static inline struct cel_value cel_timestamp(int64_t seconds, uint32_t ns)
{
    return (struct cel_value){ .kind = CEL_TIMESTAMP, .n = ns, .as.i = seconds };
}

static inline struct cel_value cel_duration(int64_t ns)
{
    return (struct cel_value){ .kind = CEL_DURATION, .as.i = ns };
}

/* A type value; `name` is static ("int", "google.protobuf.Timestamp"). */
static inline struct cel_value cel_type_value(struct str name)
{
    return (struct cel_value){ .kind = CEL_TYPE, .n = (uint32_t)name.n, .as.p = name.p };
}

/* `held` is NULL for none. */
static inline struct cel_value cel_optional(const struct cel_value *held)
{
    return (struct cel_value){ .kind = CEL_OPTIONAL, .as.held = held };
}

static inline struct cel_value cel_object_of(const struct cel_object *object)
{
    return (struct cel_value){ .kind = CEL_OBJECT, .as.object = object };
}

/* ---- looking at values ---- */

/* The bytes of a STRING, BYTES, TYPE or ERROR. */
static inline struct str cel_str(struct cel_value v)
{
    return str_of(v.as.p, v.n);
}

static inline bool cel_is_error(struct cel_value v)
{
    return v.kind == CEL_ERROR;
}

static inline bool cel_is_true(struct cel_value v)
{
    return v.kind == CEL_BOOL && v.as.b;
}

static inline bool cel_is_number(struct cel_value v)
{
    return v.kind == CEL_INT || v.kind == CEL_UINT || v.kind == CEL_DOUBLE;
}

/* "int", "string", "google.protobuf.Timestamp", the name of an object's type: what type() gives. */
struct str cel_type_name(struct cel_value v);

/*
 * == of CEL (spec cel 3): never an error on types. The result is a BOOL, or an ERROR when a limit
 * of the run (steps, nesting) was hit. Neither operand is an error.
 */
struct cel_value cel_equal(struct cel_run *run, struct cel_value a, struct cel_value b);

enum cel_order { CEL_LESS, CEL_SAME, CEL_GREATER, CEL_UNORDERED /* NaN */, CEL_NO_ORDER };
/* The order that < uses; CEL_NO_ORDER when the types have none together. */
enum cel_order cel_compare(struct cel_run *run, struct cel_value a, struct cel_value b);

/* ---- lists and maps of values ---- */

/* A list of `count` items (copied), or an error when the run has no memory left for it. */
struct cel_value cel_list_new(struct cel_run *run, const struct cel_value *items, size_t count);

/*
 * A map under construction: keeps insertion order, looks keys up by hash when it is large.
 * cel_map_put() adds an entry; false (and nothing is changed) if an equal key is there already,
 * if the key is of no key type, or if the run has no memory left. cel_map_set() replaces.
 */
struct cel_map_builder;
struct cel_map_builder *cel_map_new(struct cel_run *run,
                                    size_t expected); /* NULL: no memory left */
bool cel_map_put(struct cel_map_builder *b, struct cel_value key, struct cel_value value);
bool cel_map_set(struct cel_map_builder *b, struct cel_value key, struct cel_value value);
/* The map; valid while it is still being added to. */
struct cel_value cel_map_value(const struct cel_map_builder *b);

/* Entries of any map. */
size_t cel_map_size(struct cel_value map);
bool cel_map_find(struct cel_run *run, struct cel_value map, struct cel_value key,
                  struct cel_value *out);
void cel_map_entry(struct cel_run *run, struct cel_value map, size_t index, struct cel_value *key,
                   struct cel_value *value);

#endif
