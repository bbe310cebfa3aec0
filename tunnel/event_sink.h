/*
 * event_sink: where events are handed over, whoever makes them: the gateway for traffic, sshd for
 * sessions, the API for what happens to objects. gateway/event_hub.h is behind it.
 * Thread: any, for all of it; nothing here waits.
 */
#ifndef TUNNEL_EVENT_SINK_H
#define TUNNEL_EVENT_SINK_H

#include <stdbool.h>

#include "base/err.h"
#include "tunnel/event.h"

struct event_plan;
struct event_sink;

/* Who configures events; each has a plan of its own. */
enum event_origin { EVENT_ORIGIN_CONFIG, EVENT_ORIGIN_API };
enum { EVENT_ORIGINS = EVENT_ORIGIN_API + 1 };

struct event_sink_ops {
    /* True if any subscription has events of this type, so that making one is worth its while. */
    bool (*wants)(const struct event_sink *s, enum event_type type);
    /* Takes one reference. */
    void (*publish)(struct event_sink *s, struct event *ev);
    /* -1 with E_EVENT_FILTER: the expression is no filter for events of this type of traffic. */
    int (*check_filter)(const struct event_sink *s, enum event_type type, struct str filter,
                        struct err *e);
    /*
     * Puts a plan in the place of the last one of its origin; takes its own reference. Destinations of
     * the same name keep what they have queued; one that is gone gets what was queued for it before.
     * -1 with E_EVENT_FILTER, and nothing is changed.
     */
    int (*configure)(struct event_sink *s, enum event_origin origin, struct event_plan *plan,
                     struct err *e);
};

struct event_sink {
    const struct event_sink_ops *ops; /* borrowed: static */
};

/* What happened to an object. */
struct event_audit {
    enum event_noun noun;
    enum event_action action;
    struct str account; /* whose object */
    struct str object;  /* as the API shows it, JSON; no secrets in it */
    struct event_principal principal;
};

/* Logs it, and publishes an event if one is wanted. Everything is copied. A NULL sink only logs. */
void event_audit(struct event_sink *s, const struct event_audit *a);

/* The same without a line in the log, for types that are no change of an object (sessions). */
void event_publish_object(struct event_sink *s, enum event_type type, const struct event_audit *a);

static inline bool event_sink_wants(const struct event_sink *s, enum event_type type)
{
    return s != NULL && s->ops->wants(s, type);
}

#endif
