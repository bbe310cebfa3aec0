/*
 * fields: reading the "config" of an action field by field, with errors that say where.
 * A reader keeps the place of what it looks at ("headers.x-team", "allow[3]"), so an action only
 * says what is wrong: set the place with fields_at(), then return err_set(c->e, ...).
 * Owns:   nothing; strs that come back are borrowed from the document.
 * Thread: any; pure.
 */
#ifndef POLICY_FIELDS_H
#define POLICY_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/err.h"
#include "base/str.h"
#include "policy/policy.h"

enum { FIELDS_PLACE_BYTES = 80 };

struct fields {
    const json_t *json; /* the config; borrowed; NULL: the action has no config */
    enum policy_phase phase;
    struct err *e;                  /* borrowed */
    char place[FIELDS_PLACE_BYTES]; /* below "config"; "" means the config itself */
};

/* Says what the next error is about; a long name is cut. */
void fields_at(struct fields *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Refuses any key of `object` that is not in `known` (ends with NULL), naming it and the known
 * ones, with `code`. Also for the objects of a document that stand above a config.
 */
int fields_check_keys(const json_t *object, const char *const *known, enum err_code code,
                      struct err *e);
/* As above for the config itself: it must be an object, or absent. -1 with E_POLICY_CONFIG. */
int fields_open(struct fields *c, const char *const *known);

/* Reads a field that may be absent; `out` keeps its value then. -1 with E_POLICY_CONFIG. */
int fields_bool(struct fields *c, const char *key, bool *out);
int fields_str(struct fields *c, const char *key, struct str *out);

/* Refusals that several actions share; both return -1. The place is set to the field. */
int fields_missing(struct fields *c, const char *key);
int fields_wrong_type(struct fields *c, const char *wanted);

/*
 * A list of at most `max` entries. *out is NULL when the field is absent.
 * -1 with E_POLICY_CONFIG or E_POLICY_LIST_LENGTH.
 */
int fields_list(struct fields *c, const char *key, size_t max, const json_t **out);
/* The index-th entry, a string; sets the place to key[index]. -1 with E_POLICY_CONFIG. */
int fields_list_str(struct fields *c, const char *key, const json_t *list, size_t index,
                    struct str *out);

/* Refuses "${": the value would be computed per request, which needs expressions. -1 with
 * E_POLICY_TEMPLATE. */
int fields_check_literal(struct fields *c, struct str value);

/* jansson iterates over non-const objects only, although it just reads them. */
json_t *fields_iterable(const json_t *json);
/* The bytes of a JSON string. */
struct str fields_json_str(const json_t *string);
/* How many characters a valid UTF-8 string has; limits for people count those, not bytes. */
size_t fields_chars(struct str s);

#endif
