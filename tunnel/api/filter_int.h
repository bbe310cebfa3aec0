/*
 * filter_int: the tree of a filter, between its parser and its evaluation, and what the parser's parts share.
 * Thread: that of its owner.
 */
#ifndef TUNNEL_API_FILTER_INT_H
#define TUNNEL_API_FILTER_INT_H

#include "base/arena.h"
#include "tunnel/api/filter.h"

enum filter_op {
    FILTER_OR,
    FILTER_AND,
    FILTER_NOT,
    FILTER_EQ,
    FILTER_NE,
    FILTER_LT,
    FILTER_LE,
    FILTER_GT,
    FILTER_GE,
    FILTER_IN,
    FILTER_LITERAL,
    FILTER_FIELD,
    FILTER_SIZE,
    FILTER_STARTS,
    FILTER_ENDS,
    FILTER_CONTAINS,
};

/* A value of an expression. */
struct filter_value {
    enum api_filter_type type;
    bool boolean;
    double number;
    int64_t time_ms;
    struct str text;
    const struct filter_value *items; /* of a list literal */
    size_t count;
    const json_t *json; /* of a list field */
};

struct filter_node {
    enum filter_op op;
    enum api_filter_type type; /* of its value */
    const struct filter_node *left;
    const struct filter_node *right;
    struct filter_value value; /* of a literal */
    const char *path;          /* of a field */
    bool is_id;                /* of a field */
};

struct api_filter {
    struct arena arena;
    const struct filter_node *root; /* in the arena */
};

/* ---- the parser ---- */

enum { FILTER_SHOWN_MAX_BYTES = 40 }; /* of the text, in an error */

struct filter_parser {
    struct str text;
    size_t at;
    const struct api_filter_params *params;
    struct arena *arena; /* borrowed */
    unsigned comparisons;
    unsigned depth;
    struct err *e;
};

void filter_skip_space(struct filter_parser *p);
/* Takes the token if it comes next. */
bool filter_take(struct filter_parser *p, struct str token);
/* The same, but an error when it does not. */
bool filter_expect(struct filter_parser *p, struct str token);
/* Letters, digits and underscores; may be empty. */
struct str filter_take_word(struct filter_parser *p);
/* Sets the error, with the place. Returns NULL. */
struct filter_node *filter_fail(struct filter_parser *p, const char *what);

struct filter_node *filter_new_node(struct filter_parser *p, enum filter_op op,
                                    enum api_filter_type type, const struct filter_node *left,
                                    const struct filter_node *right);

/* What comes next, as a node; NULL with the error set. Of a list "[" has been taken, of a timestamp its word. */
struct filter_node *filter_parse_literal(struct filter_parser *p);
struct filter_node *filter_parse_list(struct filter_parser *p);
struct filter_node *filter_parse_timestamp(struct filter_parser *p);
/* The words true, false and null; NULL (no error) when `word` is none of them. */
struct filter_node *filter_named_literal(struct filter_parser *p, struct str word);

#endif
