/*
 * metrics: numbers about the running process, one row each in metrics.def.
 * Each worker counts in its own struct metrics and nobody else writes it, so counting is an add
 * without a lock; a reader sums over all workers and may see them a moment apart.
 * Thread: metrics_add() only on the owner's; metrics_sum() on any.
 */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum metric {
#define METRIC(symbol, name, kind, text) symbol,
#include "base/metrics.def"
#undef METRIC
    METRIC_COUNT
};

enum metric_kind { METRIC_GAUGE, METRIC_COUNTER };

struct metrics {
    _Atomic int64_t values[METRIC_COUNT];
};

static inline void metrics_add(struct metrics *m, enum metric id, int64_t n)
{
    /* One writer: a plain read and write that other threads may watch. */
    int64_t old = atomic_load_explicit(&m->values[id], memory_order_relaxed);

    atomic_store_explicit(&m->values[id], old + n, memory_order_relaxed);
}

/* The sum of one metric over `count` workers. */
int64_t metrics_sum(const struct metrics *const *all, size_t count, enum metric id);

const char *metrics_name(enum metric id);
const char *metrics_text(enum metric id);
enum metric_kind metrics_kind(enum metric id);

#endif
