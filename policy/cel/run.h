/*
 * run: one evaluation: where its values live, what it may still spend, where variables come from.
 * A function that makes text or lists asks cel_alloc() and charges cel_charge() for work that grows
 * with its input; both answer with failure when the limit of the run is reached, and the function
 * then returns what cel_spent() gives.
 * Thread: the one that evaluates.
 */
#ifndef POLICY_CEL_RUN_H
#define POLICY_CEL_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "policy/cel/value.h"

/* Limits of one evaluation (spec cel 12). Reaching one is an evaluation error. */
struct cel_limits {
    uint32_t steps;       /* nodes and loop turns; text counts a step for 64 bytes */
    size_t arena_bytes;   /* of values made */
    size_t string_bytes;  /* of one string or bytes result */
    size_t entries;       /* of one list or map */
    unsigned value_depth; /* nesting of values when compared, formatted or encoded */
};

/* 100,000 steps, 1 MiB, 64 KiB, 10,000 entries, 64 levels. */
extern const struct cel_limits cel_default_limits;

struct cel_zones;
struct regex_cache;

struct cel_run {
    struct arena *arena;             /* borrowed: values are made here */
    const struct cel_limits *limits; /* borrowed */
    /* The value of a variable (its slot of the environment); may be CEL_ERROR. */
    struct cel_value (*var)(struct cel_run *run, unsigned slot);
    void *ctx;                     /* for var() and for the host's functions */
    struct regex_cache *regexes;   /* borrowed: for patterns made at run time; NULL: none is kept */
    const struct cel_zones *zones; /* borrowed: time zones by name; NULL: UTC and offsets only */

    /* Of the evaluator. */
    uint32_t steps;           /* spent */
    size_t bytes;             /* made */
    bool spent;               /* a limit was hit: the error can no longer be absorbed */
    struct cel_value *locals; /* variables of macros, by index */
    uint64_t seed;            /* of hashed maps; 0: not asked for yet */
};

/* n bytes, aligned for any type; NULL when arena_bytes would be passed. */
void *cel_alloc(struct cel_run *run, size_t n);
/* False when the steps are used up. */
bool cel_charge(struct cel_run *run, size_t steps);
/* Charges for work over so many bytes of text. */
bool cel_charge_bytes(struct cel_run *run, size_t bytes);

/* A copy of text in the arena; an error value when there is no room for it. `kind` is CEL_STRING or
 * CEL_BYTES. */
struct cel_value cel_copy(struct cel_run *run, enum cel_kind kind, struct str s);
/* Room for a string result of n bytes: charges for it and checks string_bytes; NULL when refused. */
char *cel_text_alloc(struct cel_run *run, size_t n);

/* An error value. `fmt` is a literal (without a % it is the text); the text never holds a value of
 * a request, since secrets may be among them. */
struct cel_value cel_error(struct cel_run *run, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* The error for a limit that was hit: "the expression needs too much ...". Unlike others it is not
 * absorbed by && and ||: the run is over. */
struct cel_value cel_spent(struct cel_run *run);

/* What hashes are seeded with, so that nobody outside can aim at one bucket: random, one a run. */
uint64_t cel_run_seed(struct cel_run *run);

#endif
