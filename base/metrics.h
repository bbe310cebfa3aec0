/*
 * metrics: numbers about the running process, one row each in metrics.def; groups of numbers that differ in
 * their labels (metric_groups.def); and how times are spread (histograms.def).
 * Each worker counts in its own struct metrics and nobody else writes it, so counting is an add
 * without a lock; a reader sums over all workers and may see them a moment apart.
 * Thread: what adds only on the owner's; what sums on any.
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

enum metric_kind { METRIC_GAUGE, METRIC_COUNTER, METRIC_HISTOGRAM };

/* A group has as many numbers as its row says; what the index of one means is known to who counts. */
enum metric_group {
#define GROUP(symbol, name, kind, size, text) symbol,
#include "base/metric_groups.def"
#undef GROUP
    METRIC_GROUPS
};

/* Where the numbers of each group begin. */
enum {
#define GROUP(symbol, name, kind, size, text)                                                      \
    symbol##_FIRST, symbol##_LAST = symbol##_FIRST + (size)-1,
#include "base/metric_groups.def"
#undef GROUP
    METRIC_GROUPED_COUNT
};

enum histogram {
#define HISTOGRAM(symbol, name, text) symbol,
#include "base/histograms.def"
#undef HISTOGRAM
    HISTOGRAM_COUNT
};

enum { HISTOGRAM_BOUNDS = 15 };
/* Upper bounds in microseconds; above the last is one bucket more. */
extern const uint64_t histogram_bounds_us[HISTOGRAM_BOUNDS];

struct metrics {
    _Atomic int64_t values[METRIC_COUNT];
    _Atomic int64_t grouped[METRIC_GROUPED_COUNT];
    struct {
        _Atomic int64_t buckets[HISTOGRAM_BOUNDS + 1];
        _Atomic int64_t sum_us;
    } histograms[HISTOGRAM_COUNT];
};

/* One writer: a plain read and write that other threads may watch. */
static inline void metrics_bump(_Atomic int64_t *value, int64_t n)
{
    int64_t old = atomic_load_explicit(value, memory_order_relaxed);

    atomic_store_explicit(value, old + n, memory_order_relaxed);
}

static inline void metrics_add(struct metrics *m, enum metric id, int64_t n)
{
    metrics_bump(&m->values[id], n);
}

/* `index` is less than the size of the group. */
void metrics_add_to_group(struct metrics *m, enum metric_group group, size_t index, int64_t n);
void metrics_observe(struct metrics *m, enum histogram id, uint64_t us);

/* The sum of one metric over `count` workers. */
int64_t metrics_sum(const struct metrics *const *all, size_t count, enum metric id);

int64_t metrics_sum_of_group(const struct metrics *const *all, size_t count,
                             enum metric_group group, size_t index);
/* Of one bucket, HISTOGRAM_BOUNDS for the last one; not cumulative. */
int64_t metrics_sum_of_bucket(const struct metrics *const *all, size_t count, enum histogram id,
                              size_t bucket);
int64_t metrics_sum_of_times_us(const struct metrics *const *all, size_t count, enum histogram id);

const char *metrics_name(enum metric id);
const char *metrics_text(enum metric id);
enum metric_kind metrics_kind(enum metric id);

#endif
