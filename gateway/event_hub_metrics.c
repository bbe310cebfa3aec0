/* What the metrics tell of event destinations. */
#include "base/metrics_text.h"
#include "gateway/event_hub_int.h"

enum { COUNTS = 5 };

static const struct {
    const char *name;
    enum metric_kind kind;
    const char *text;
} rows[COUNTS] = {
    { "sallyport_event_queue_depth", METRIC_GAUGE, "Events that wait for a destination." },
    { "sallyport_events_delivered_total", METRIC_COUNTER, "Events that a destination has taken." },
    { "sallyport_events_dropped_total", METRIC_COUNTER,
      "Events dropped because the queue of their destination was full." },
    { "sallyport_events_refused_total", METRIC_COUNTER,
      "Events dropped because their destination does not take one so large." },
    { "sallyport_event_delivery_failures_total", METRIC_COUNTER,
      "Batches that a destination did not take and that were or will be sent again." },
};

static uint64_t value_of(const struct event_outlet_counts *c, size_t row)
{
    switch (row) {
    case 0:
        return atomic_load(&c->queued);
    case 1:
        return atomic_load(&c->delivered);
    case 2:
        return atomic_load(&c->dropped);
    case 3:
        return atomic_load(&c->refused);
    default:
        return atomic_load(&c->failures);
    }
}

static void add_outlets(struct event_hub *h, size_t row, struct buf *out)
{
    static const char *const origins[EVENT_ORIGINS] = {
        [EVENT_ORIGIN_CONFIG] = "config", [EVENT_ORIGIN_API] = "api"
    };
    const struct event_outlet *o;

    metrics_text_family(out, rows[row].name, rows[row].kind, rows[row].text);
    for (o = h->outlets; o != NULL; o = o->next) {
        const struct metrics_label labels[] = { { "destination", str_from(o->name) },
                                                { "type", str_from(o->ops->name) },
                                                { "origin", str_from(origins[o->origin]) } };

        metrics_text_sample(out, rows[row].name, labels, sizeof(labels) / sizeof(labels[0]),
                            (int64_t)value_of(&o->counts, row));
    }
}

static void add_one(struct buf *out, const char *name, enum metric_kind kind, const char *text,
                    uint64_t value)
{
    metrics_text_family(out, name, kind, text);
    metrics_text_sample(out, name, NULL, 0, (int64_t)value);
}

void event_hub_add_metrics(struct event_hub *h, struct buf *out)
{
    (void)pthread_mutex_lock(&h->lock);
    for (size_t i = 0; i < COUNTS; i++)
        add_outlets(h, i, out);
    (void)pthread_mutex_unlock(&h->lock);
    add_one(out, "sallyport_event_backlog_bytes", METRIC_GAUGE,
            "Memory of events that wait to be taken up by the thread that delivers them.",
            atomic_load(&h->backlog_bytes));
    add_one(out, "sallyport_event_backlog_dropped_total", METRIC_COUNTER,
            "Events dropped because too many waited to be taken up.",
            atomic_load(&h->backlog_dropped));
    add_one(out, "sallyport_event_filter_failures_total", METRIC_COUNTER,
            "Events dropped because a filter could not be evaluated.",
            atomic_load(&h->filter_failures));
}
