/*
 * filter: the expressions of `filter=` on lists (spec 1.10): comparisons of an object's fields with
 * literals, "&&", "||", "!", "in", size(), timestamp(), startsWith(), endsWith() and contains().
 * An expression is parsed once, with the fields and types it may use, and then asked of many objects.
 * Owns:   a copy of all it needs of the text.
 * Thread: any; pure. A filter is never changed once parsed.
 * Limits: API_FILTER_MAX_BYTES of text, API_FILTER_COMPARISONS_MAX, API_FILTER_DEPTH_MAX.
 */
#ifndef TUNNEL_API_FILTER_H
#define TUNNEL_API_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/err.h"
#include "base/str.h"

enum {
    API_FILTER_MAX_BYTES = 4096,
    API_FILTER_COMPARISONS_MAX = 64,
    API_FILTER_DEPTH_MAX = 16,
};

enum api_filter_type {
    API_FILTER_NULL, /* of the literal only */
    API_FILTER_BOOL,
    API_FILTER_NUMBER,
    API_FILTER_STRING,
    API_FILTER_TIME,
    API_FILTER_LIST,
};

struct api_filter_field {
    const char *name; /* behind "obj.": "created_at", "principal.id" */
    enum api_filter_type type;
    bool is_id; /* takes no substring functions */
};

/* Two words that are equal for the comparisons of one field. */
struct api_filter_alias {
    const char *field;
    const char *word;    /* as it may be written */
    const char *instead; /* as objects have it */
};

struct api_filter_params {
    const struct api_filter_field *fields; /* borrowed for the parse; names outlive the filter */
    size_t field_count;
    const struct api_filter_alias *aliases; /* ends with a field of NULL; NULL: none */
    uint64_t now_ms;                        /* what time.now is: wall clock */
};

struct api_filter;

/* Returns NULL with E_SYNTAX or E_LIMIT; the text names the field and those there are. */
struct api_filter *api_filter_parse(struct str text, const struct api_filter_params *params,
                                    struct err *e);
/* NULL is fine. */
void api_filter_free(struct api_filter *f);

/* Does the object, as answers show it, match? */
bool api_filter_matches(const struct api_filter *f, const json_t *object);

/*
 * Reads "2025-05-10T01:02:03.5+02:00" (RFC 3339), or a date followed by "Z". Returns 0 with
 * milliseconds since 1970, or -1.
 */
int api_time_parse(struct str s, int64_t *ms);

#endif
