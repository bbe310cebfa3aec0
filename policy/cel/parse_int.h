/*
 * parse_int: what the files of the parser share.
 * A function that makes a node returns NULL when it could not, with the issue filled; nobody goes on
 * after that.
 * Places of nodes (at): of a name, literal, list or map where it begins; of a selection the field's
 * name; of a call or macro its name; of an operator, index or ?: its sign.
 */
#ifndef POLICY_CEL_PARSE_INT_H
#define POLICY_CEL_PARSE_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "policy/cel/ast.h"
#include "policy/cel/lex.h"

struct cel_parser {
    struct arena *arena;                   /* borrowed: nodes and decoded text */
    const struct cel_parse_limits *limits; /* borrowed */
    struct cel_issue *issue;               /* borrowed */
    unsigned flags;
    struct cel_lexer lexer;
    struct cel_token token; /* the next one */
    struct cel_token last;  /* the one before */
    unsigned level;         /* expressions that are being read, one inside the other */
    unsigned loops;         /* nesting of the loops read so far in the innermost call */
    size_t nodes;
    const struct cel_node *deep; /* the first node with more below it than the limit; or NULL */
    struct cel_item *items;      /* owned: a stack of operands whose number is not known yet */
    size_t item_count;
    size_t item_cap;
};

/* A call as it was read: `target.name(args)`, or `name(args)` with target NULL. */
struct cel_parsed_call {
    uint32_t at;
    struct str name;
    struct cel_node *target;
    struct cel_node **args;
    size_t count;
};

/* ---- parse.c ---- */

/* Fills the issue and returns NULL. */
struct cel_node *cel_parse_fail(struct cel_parser *p, size_t at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* A new node; NULL when there are too many. */
struct cel_node *cel_parse_node(struct cel_parser *p, enum cel_node_kind kind, size_t at);

/* Counts the child's depth for the parent; a NULL child is fine. */
void cel_parse_adopt(struct cel_parser *p, struct cel_node *parent, const struct cel_node *child);

/* ---- parse_macro.c ---- */

/*
 * Makes the node of a macro of a call (spec cel 5), with or without receiver. 0 with *out NULL if it
 * is a call like any other. -1 if it is a macro with wrong arguments.
 */
int cel_parse_macro(struct cel_parser *p, const struct cel_parsed_call *call,
                    struct cel_node **out);

/* ---- parse_text.c ---- */

bool cel_parse_is_literal(enum cel_token_kind kind);

/* The value of a literal's token; `negative` for an INT or DOUBLE behind a minus. -1 with the issue
 * filled. */
int cel_parse_literal(struct cel_parser *p, const struct cel_token *t, bool negative,
                      struct cel_value *out);

/* Fills the issue for a token that does not belong where it stands; `wanted` ("')'") may be NULL. */
struct cel_node *cel_parse_unexpected(struct cel_parser *p, const char *wanted);

#endif
