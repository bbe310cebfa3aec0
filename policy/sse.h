/*
 * sse: server-sent events (WHATWG HTML section 9.2) on their way to the visitor, message by message: the
 * filter behind policy_run_event_stream_filter(), and what actions of on_event_stream_message see
 * of the present message.
 * A message that no action changes passes byte by byte as it came. In one that is changed, the lines
 * of the changed field make place for the new ones; other lines stay.
 * Thread: that of the exchange.
 * Limits: SSE_MESSAGE_MAX_BYTES; a longer message passes unchanged (D51).
 */
#ifndef POLICY_SSE_H
#define POLICY_SSE_H

#include <stdbool.h>

#include "base/str.h"

struct action_run;

enum { SSE_MESSAGE_MAX_BYTES = 256 * 1024 };

enum sse_field { SSE_DATA, SSE_RETRY };
enum { SSE_FIELD_COUNT = SSE_RETRY + 1 };

/* The value of a field of the present message: of data, the lines joined with \n; of retry, that of the
 * last line. False when the message has no such field. Borrowed until sse_set(). */
bool sse_get(const struct action_run *run, enum sse_field field, struct str *out);
/* Puts a value in its place (copied). A retry that is not only digits drops the field. Only for a
 * field that sse_get() found. */
void sse_set(struct action_run *run, enum sse_field field, struct str value);

#endif
