/*
 * command_output: answers of the API as text for a program or a person. Characters that would do
 * something to a terminal are never written as they are.
 * Thread: any; pure.
 * Limits: API_OUTPUT_MAX_BYTES.
 */
#ifndef TUNNEL_API_COMMAND_OUTPUT_H
#define TUNNEL_API_COMMAND_OUTPUT_H

#include <stddef.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/str.h"
#include "tunnel/api/command.h"

enum { API_OUTPUT_MAX_BYTES = 64 * 1024 * 1024 };

/*
 * Writes the body of an answer, which is one object or a list of them, in this form. Tables are cut
 * to `width` columns; 0: as wide as their cells. `out` fails when there is no room.
 */
void api_output_write(const json_t *body, enum api_output form, size_t width, struct buf *out);

/* Rows under names of columns, for what is no answer of the API: an array of arrays of texts. */
void api_output_rows(const json_t *rows, size_t width, struct buf *out);

/* Appends text of others: what is no plain character is written as "\x1b"; a line feed stays. */
void api_output_text(struct buf *out, struct str text);

/* The array of a list's answer, borrowed; NULL when the body is no list. */
json_t *api_output_list(const json_t *body);

#endif
