/*
 * filter_int: the tree of a filter, between its parser and its evaluation.
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

#endif
