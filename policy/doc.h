/*
 * doc: a YAML or JSON text as a tree that remembers where each piece stood.
 * Checked at the door (spec traffic-policy 1.5, 1.7): size, nesting, duplicate keys, tags, aliases
 * (expanded, within DOC_NODES_MAX), one document only, valid UTF-8 without NUL.
 * Owns:   the tree; its text is a copy.
 * Thread: its maker's; read-only once made.
 */
#ifndef POLICY_DOC_H
#define POLICY_DOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/arena.h"
#include "base/str.h"
#include "policy/policy.h"

enum { DOC_NODES_MAX = 100000, DOC_DEPTH_MAX = 64 };

enum doc_kind { DOC_SCALAR, DOC_LIST, DOC_MAP };

/* From 1; line 0: it was made up from flags. */
struct doc_place {
    uint32_t line;
    uint32_t column;
};

struct doc_node {
    enum doc_kind kind;
    struct doc_place at;
    bool plain;              /* a scalar without quotes: may mean null, a bool or a number */
    bool verbatim;           /* a scalar that stands in one line as it is: `at` is its first byte */
    struct str text;         /* of a scalar: its source text when plain, else its value */
    size_t count;            /* of LIST and MAP */
    struct doc_node **items; /* of LIST; of MAP: the values */
    struct doc_node **keys;  /* of MAP: scalars */
};

struct policy_document {
    struct arena arena;
    struct str name;
    struct doc_node *root;
};

/* The value of a key, or NULL; `map` may be NULL or no map. */
const struct doc_node *doc_find(const struct doc_node *map, const char *key);

/* What a plain scalar means in YAML 1.2's core schema. */
bool doc_is_null(const struct doc_node *n);
bool doc_to_bool(const struct doc_node *n, bool *out);
bool doc_to_int(const struct doc_node *n, int64_t *out);
bool doc_to_double(const struct doc_node *n, double *out);

/* "a mapping", "a list", "a string", "a number" ..., for messages. */
const char *doc_kind_text(const struct doc_node *n);

/* ---- making documents (policy_document_new(), policy_document_add(), tests) ---- */

struct doc_node *doc_new_scalar(struct arena *a, struct str text, bool plain); /* text is copied */
struct doc_node *doc_new_list(struct arena *a);
struct doc_node *doc_new_map(struct arena *a);
/* Append; the arrays grow in the arena. */
void doc_list_add(struct arena *a, struct doc_node *list, struct doc_node *item);
void doc_map_add(struct arena *a, struct doc_node *map, struct doc_node *key,
                 struct doc_node *value);
/* A copy of a JSON value. */
struct doc_node *doc_from_json(struct arena *a, const json_t *json);

#endif
