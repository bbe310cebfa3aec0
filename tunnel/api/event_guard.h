/*
 * event_guard: objects of events that administrators made. Their subscriptions are told of all accounts, and
 * their destinations may be at private addresses; so nobody else may change them, whatever account they
 * are in.
 * Thread: that of the call.
 */
#ifndef TUNNEL_API_EVENT_GUARD_H
#define TUNNEL_API_EVENT_GUARD_H

#include "tunnel/api/call.h"

static inline bool api_event_is_by_admin(const json_t *object)
{
    return json_is_true(json_object_get(object, "by_admin"));
}

/* May the caller change this stored object (NULL: it is made)? Returns 0, or -1 with the error set. */
static inline int api_event_guard(struct api_call *c, const json_t *before)
{
    if (!api_event_is_by_admin(before) || api_call_who(c)->is_admin)
        return 0;
    return api_fail(c, API_READ_ONLY, "An administrator made this; only administrators change it.");
}

/* The same for a create or an update, whose object remembers who made it. */
static inline int api_event_guard_change(struct api_call *c, struct api_change *ch)
{
    if (ch->op == API_CREATE && api_call_who(c)->is_admin)
        (void)json_object_set_new(ch->after, "by_admin", json_true());
    return api_event_guard(c, ch->before);
}

#endif
