/*
 * type: the static types of the checker (spec cel 11), and their text form.
 * Text: bool int uint double string bytes null timestamp duration dyn type error net.IP net.CIDR,
 * list(T), map(K,V), type(T), optional_type(T), a single capital letter for a type parameter, and
 * any other lower-case word for a host object ("cookie").
 * Owns:   nothing; types live in the arena they were made in, basic ones are static.
 * Thread: any; pure.
 * Limits: CEL_TYPE_PARSE_DEPTH; the text form is cut with "..." after CEL_TYPE_TEXT_BYTES.
 */
#ifndef POLICY_CEL_TYPE_H
#define POLICY_CEL_TYPE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/str.h"

struct cel_object_type;

enum {
    CEL_TYPE_PARAMS_MAX = 4,
    CEL_TYPE_PARSE_DEPTH = 16,
    CEL_TYPE_TEXT_BYTES = 1024,
};

enum cel_type_kind {
    CEL_T_DYN,
    CEL_T_NULL,
    CEL_T_BOOL,
    CEL_T_INT,
    CEL_T_UINT,
    CEL_T_DOUBLE,
    CEL_T_STRING,
    CEL_T_BYTES,
    CEL_T_TIMESTAMP,
    CEL_T_DURATION,
    CEL_T_LIST,     /* params[0] */
    CEL_T_MAP,      /* params[0] key, params[1] value */
    CEL_T_TYPE,     /* params[0], or count 0 */
    CEL_T_OPTIONAL, /* params[0] */
    CEL_T_IP,
    CEL_T_CIDR,
    CEL_T_OBJECT,
    CEL_T_ABSTRACT, /* name, params: of a declaration, opaque; has no text form to be read from */
    CEL_T_PARAM,    /* name: a type parameter of a signature, or of a declaration */
    CEL_T_VARIABLE, /* of the checker: `variable` */
    CEL_T_ERROR,
};

struct cel_type {
    enum cel_type_kind kind;
    size_t count;                                       /* of params */
    struct str name;                                    /* PARAM, OBJECT, ABSTRACT */
    const struct cel_object_type *object;               /* OBJECT */
    unsigned variable;                                  /* VARIABLE */
    const struct cel_type *params[CEL_TYPE_PARAMS_MAX]; /* borrowed */
};

/* The static type of a kind without parameters. */
const struct cel_type *cel_type_basic(enum cel_type_kind kind);
const struct cel_type *cel_type_list(struct arena *a, const struct cel_type *item);
const struct cel_type *cel_type_map(struct arena *a, const struct cel_type *key,
                                    const struct cel_type *value);
const struct cel_type *cel_type_optional(struct arena *a, const struct cel_type *held);
const struct cel_type *cel_type_type(struct arena *a, const struct cel_type *of);
/* A type like `like` (of LIST, MAP, TYPE, OPTIONAL or ABSTRACT) with other parameters. */
const struct cel_type *cel_type_with_params(struct arena *a, const struct cel_type *like,
                                            const struct cel_type *const *params);

/*
 * Reads the text form from the front of *text and advances it. `objects` (ends with NULL; may be
 * NULL) are the host's types. NULL when it is no type.
 */
const struct cel_type *cel_type_parse(struct arena *a, struct str *text,
                                      const struct cel_object_type *const *objects);
/* The text form, for messages. */
struct str cel_type_text(struct arena *a, const struct cel_type *t);
bool cel_type_equal(const struct cel_type *a, const struct cel_type *b);

#endif
