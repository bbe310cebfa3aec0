/*
 * event_json: an event as event destinations get it: one JSON object (spec endpoints 9.2 to 9.4).
 * Thread: any; pure.
 * Limits: EVENT_TEXT_MAX_BYTES of each text.
 */
#ifndef TUNNEL_EVENT_JSON_H
#define TUNNEL_EVENT_JSON_H

#include <stdint.h>

#include "base/buf.h"

struct event;

enum { EVENT_TEXT_MAX_BYTES = 8192 };

/* Appends the envelope, without a newline. `fields` are those of a traffic event to be in its object
 * (tunnel/event_field.h); one that the event has no value for is left out. */
void event_json_add(struct buf *out, const struct event *ev, uint64_t fields);

#endif
