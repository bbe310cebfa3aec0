/*
 * query: the parameters behind "?" of a path, read and written.
 * Thread: any; pure.
 * Limits: API_QUERY_PARAMS_MAX.
 */
#ifndef TUNNEL_API_QUERY_H
#define TUNNEL_API_QUERY_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "tunnel/api/error.h"

enum { API_QUERY_PARAMS_MAX = 256 };

struct api_query {
    struct api_param {
        struct str name;
        struct str value;
    } * items; /* in the arena */
    size_t count;
};

/*
 * Decodes "a=1&b=x+y"; both sides percent-decoded, "+" is a space. Returns 0, or -1 with
 * API_QUERY_SYNTAX (bad escape, not UTF-8, a NUL, too many).
 */
int api_query_parse(struct str text, struct arena *a, struct api_query *out, struct api_error *e);
/* The index-th parameter of this name, or NULL. */
const struct api_param *api_query_find(const struct api_query *q, struct str name, size_t index);

/* Decodes percent escapes of one path segment. Returns 0, or -1 when one is bad. */
int api_segment_decode(struct str text, struct arena *a, struct str *out);

/* Appends the text percent-encoded, so that it is one segment of a path, or one value. */
void api_query_encode(struct buf *out, struct str text);
/* Appends "name=value", with "?" or "&" in front, percent-encoded. */
void api_query_add(struct buf *out, char separator, const char *name, struct str value);

#endif
