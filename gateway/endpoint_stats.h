/*
 * endpoint_stats: what each endpoint carries, by URL and account, for the metrics.
 * A monitoring system keeps each label it ever saw, so there are at most `max` of them; endpoints beyond
 * count as "other". A URL keeps its place while endpoints come and go; the place of one that
 * counted nothing for ENDPOINT_STATS_IDLE_MS is given to the next URL that needs one.
 * Counting takes no lock: each worker has numbers of its own. Only the first count of an endpoint does.
 * Thread: endpoint_stats_count() on the worker of that id; endpoint_stats_add_metrics() any.
 */
#ifndef GATEWAY_ENDPOINT_STATS_H
#define GATEWAY_ENDPOINT_STATS_H

#include <stddef.h>
#include <stdint.h>

struct buf;
struct endpoint;
struct endpoint_stats;

enum { ENDPOINT_STATS_IDLE_MS = 10 * 60 * 1000 };

struct endpoint_stats *endpoint_stats_new(size_t workers, size_t max);
/* NULL is fine. */
void endpoint_stats_free(struct endpoint_stats *s);

/* One exchange or one raw connection. */
struct endpoint_visit {
    uint64_t requests;
    uint64_t connections;
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint64_t duration_us;
};

void endpoint_stats_count(struct endpoint_stats *s, unsigned worker, struct endpoint *ep,
                          const struct endpoint_visit *v, uint64_t now_ms);
/* Appends the metrics in Prometheus' text format. */
void endpoint_stats_add_metrics(struct endpoint_stats *s, struct buf *out);

#endif
