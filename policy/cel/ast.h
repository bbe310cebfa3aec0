/*
 * ast: an expression as a tree: made by the parser with macros already recognized, completed by the
 * checker (types, what names mean, which overloads fit), read by the compiler of programs.
 * Owns:   nothing; nodes and text live in the arena that the parser was given. Names and literals
 *         without escapes borrow from the source, which must live as long.
 * Thread: any; pure.
 * Limits: struct cel_parse_limits.
 */
#ifndef POLICY_CEL_AST_H
#define POLICY_CEL_AST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "policy/cel/type.h"
#include "policy/cel/value.h"

struct cel_overload;

enum cel_node_kind {
    CEL_NODE_LITERAL,
    CEL_NODE_IDENT,  /* a name; after the checker also a dotted one */
    CEL_NODE_SELECT, /* operand.field, operand.?field */
    CEL_NODE_HAS,    /* has(operand.field); with `index` has(operand[index]) */
    CEL_NODE_CALL,   /* function, method or operator */
    CEL_NODE_AND,    /* n operands */
    CEL_NODE_OR,
    CEL_NODE_COND, /* operands: condition, then, else */
    CEL_NODE_LIST,
    CEL_NODE_MAP,
    CEL_NODE_MACRO,
    CEL_NODE_ERROR, /* of the checker, in unchecked mode: evaluates to the error `text` */
};

enum cel_macro {
    CEL_MACRO_ALL,
    CEL_MACRO_EXISTS,
    CEL_MACRO_EXISTS_ONE,
    CEL_MACRO_MAP,            /* one variable; filter may be NULL */
    CEL_MACRO_FILTER,         /* one variable */
    CEL_MACRO_TRANSFORM_LIST, /* two variables; filter may be NULL */
    CEL_MACRO_TRANSFORM_MAP,  /* two variables; filter may be NULL */
    CEL_MACRO_SORT_BY,        /* list.sortBy(x, key) */
    CEL_MACRO_BIND,           /* cel.bind(x, range, body) */
    CEL_MACRO_OPT_MAP,        /* range.optMap(x, body) */
    CEL_MACRO_OPT_FLAT_MAP,
    CEL_MACRO_BLOCK,    /* cel.block([items], body); cel.index(n) becomes an IDENT "@indexN" */
    CEL_MACRO_OR,       /* range.or(body): the right side only if needed */
    CEL_MACRO_OR_VALUE, /* range.orValue(body) */
};

enum cel_ref_kind {
    CEL_REF_NONE,
    CEL_REF_SLOT,  /* variable `index` of the environment */
    CEL_REF_LOCAL, /* variable `index` of a macro; for cel.block the items' values */
    CEL_REF_VALUE, /* a constant: a type name */
};

struct cel_ref {
    enum cel_ref_kind kind;
    unsigned index;
    struct cel_value value;
};

struct cel_node;

/* An element of a list, or an entry of a map with `key`. */
struct cel_item {
    struct cel_node *key; /* NULL in a list */
    struct cel_node *value;
    bool optional; /* [?x], {?k: x} */
};

struct cel_node {
    enum cel_node_kind kind;
    uint32_t at;    /* byte offset in the source, for messages */
    unsigned depth; /* the parser's: nesting below this node */

    /* Of the checker. */
    const struct cel_type *type; /* NULL: not checked, as good as dyn */
    struct cel_ref ref;          /* of IDENT */

    union {
        struct cel_value literal;
        struct {
            struct str name;
            bool rooted; /* ".x": looked up in the root only */
        } ident;
        struct {
            struct cel_node *operand;
            struct str field;
            bool optional; /* .?field */
        } select;
        struct {
            struct cel_node *operand;
            struct str field;
            struct cel_node *index; /* has(m['k']); NULL for a field */
        } has;
        struct {
            struct str name;
            bool rooted;             /* ".f(x)" */
            struct cel_node *target; /* receiver, or NULL; the checker clears it for math.abs */
            struct cel_node **args;
            size_t count;
            /* Of the checker: what fits, one when that is known. In unchecked code all of the name
             * and number of arguments. */
            const struct cel_overload *const *overloads;
            size_t overload_count;
        } call;
        struct {
            struct cel_node **items;
            size_t count;
        } operands; /* AND, OR, COND */
        struct {
            struct cel_item *items;
            size_t count;
        } entries; /* LIST, MAP */
        struct {
            enum cel_macro macro;
            struct cel_node *range; /* BIND: the value; BLOCK: NULL */
            struct str var1;
            struct str var2; /* empty: one variable; for ALL, EXISTS, EXISTS_ONE both forms exist */
            struct cel_node *filter; /* NULL: none; of ALL, EXISTS, EXISTS_ONE, FILTER: NULL */
            struct cel_node *body;   /* predicate, result or key */
            struct cel_item *items;  /* BLOCK */
            size_t item_count;       /* BLOCK */
            /* Of the checker: where in cel_run.locals var1, var2 and BLOCK's items are. */
            unsigned local1;
            unsigned local2;
        } macro;
        struct str text; /* ERROR */
    } as;
};

/* Limits of one expression at load (spec cel 12). */
struct cel_parse_limits {
    size_t source_bytes;
    unsigned depth;
    size_t nodes;
    unsigned macro_depth;
    size_t entries;
};

/* 16 KiB, 128 levels, 4,096 nodes, 4 nested macros, 1,024 entries of a literal. */
extern const struct cel_parse_limits cel_default_parse_limits;

enum cel_stage { CEL_STAGE_PARSE, CEL_STAGE_CHECK };

/* What is wrong with an expression, and where. */
struct cel_issue {
    enum cel_stage stage;
    uint32_t at; /* byte offset in the source */
    char text[200];
};

enum { CEL_PARSE_NO_MACROS = 1 };

/* Parses; NULL with *issue filled. `source` is any bytes; invalid UTF-8 is refused. */
struct cel_node *cel_parse(struct arena *a, struct str source,
                           const struct cel_parse_limits *limits, unsigned flags,
                           struct cel_issue *issue);

#endif
