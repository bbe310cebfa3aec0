/*
 * body_field: finding a text field in a request body that is JSON (a member of the object that it is)
 * or a form (URL Standard section 5.1). Names are found whatever their case is; what is there twice is
 * an error, since another reader could take the other one.
 * Owns:   an open body its JSON tree; the text must outlive it.
 * Thread: that of its owner; pure.
 * Limits: BODY_FIELD_VALUES_MAX values in JSON.
 */
#ifndef POLICY_BODY_FIELD_H
#define POLICY_BODY_FIELD_H

#include <jansson.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

/* The JSON library takes up to 300 bytes for a value of two. */
enum { BODY_FIELD_VALUES_MAX = 50000 };

enum body_format { BODY_JSON, BODY_FORM };

struct body_fields {
    enum body_format format;
    struct str text; /* borrowed */
    json_t *json;    /* owned; NULL of a form */
};

/* -1 with E_TOKEN_JSON or E_TOKEN_FORM when it is not what it ought to be. To be closed either way. */
int body_fields_open(struct body_fields *b, enum body_format format, struct str text,
                     struct err *e);
void body_fields_close(struct body_fields *b);

/*
 * The value of a field of at most max_bytes; it lies in the arena. -1 with E_TOKEN_FIELD when there is
 * none, E_TOKEN_JSON or E_TOKEN_FORM when there are two, E_TOKEN_MALFORMED when it is no text or too
 * long.
 */
int body_fields_find(const struct body_fields *b, struct arena *a, struct str name,
                     size_t max_bytes, struct str *out, struct err *e);

#endif
