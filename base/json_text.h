/*
 * json_text: JSON written straight into a buffer: strings, and objects from dotted names.
 * Thread: any; pure.
 */
#ifndef BASE_JSON_TEXT_H
#define BASE_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/str.h"

/*
 * Appends what stands between the quotes of a JSON string. Controls are escaped, bytes that are no
 * UTF-8 too, as the code points of the same numbers. When `max_bytes` are written the rest is left
 * out and "..." stands for it.
 */
void json_text_escape(struct buf *b, struct str s, size_t max_bytes);
/* The same with the quotes. */
void json_text_string(struct buf *b, struct str s, size_t max_bytes);

enum { JSON_TEXT_DEPTH_MAX = 8 }; /* dots in a name */

/* An object that is being written: "a.b" opens {"a":{"b": and stays open while names begin with "a.", so
 * names with a common beginning stand side by side. Zeroed at first. */
struct json_text_object {
    struct str open[JSON_TEXT_DEPTH_MAX];
    size_t depth;
    bool has_members;
};

/* Appends everything in front of the value of a dotted name, which lives as long as the object is open. */
void json_text_name(struct buf *b, struct json_text_object *o, struct str name);
/* Closes what names have opened, but not the object itself. */
void json_text_close(struct buf *b, struct json_text_object *o);

#endif
