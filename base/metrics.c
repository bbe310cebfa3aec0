#include "base/metrics.h"

#include <assert.h>

static const struct {
    const char *name;
    enum metric_kind kind;
    const char *text;
} metric_rows[METRIC_COUNT] = {
#define METRIC(symbol, name, kind, text) [symbol] = { name, kind, text },
#include "base/metrics.def"
#undef METRIC
};

static const struct {
    size_t first;
    size_t size;
} groups[METRIC_GROUPS] = {
#define GROUP(symbol, name, kind, size, text) [symbol] = { symbol##_FIRST, size },
#include "base/metric_groups.def"
#undef GROUP
};

enum { MS = 1000, S = 1000 * MS };

const uint64_t histogram_bounds_us[HISTOGRAM_BOUNDS] = {
    1 * MS,   2500,      5 * MS,    10 * MS, 25 * MS, 50 * MS, 100 * MS, 250 * MS,
    500 * MS, 1000 * MS, 2500 * MS, 5 * S,   10 * S,  30 * S,  60 * S,
};

void metrics_add_to_group(struct metrics *m, enum metric_group group, size_t index, int64_t n)
{
    assert(index < groups[group].size);
    metrics_bump(&m->grouped[groups[group].first + index], n);
}

void metrics_observe(struct metrics *m, enum histogram id, uint64_t us)
{
    size_t bucket = 0;

    while (bucket < HISTOGRAM_BOUNDS && us > histogram_bounds_us[bucket])
        bucket++;
    metrics_bump(&m->histograms[id].buckets[bucket], 1);
    metrics_bump(&m->histograms[id].sum_us, (int64_t)us);
}

static int64_t read_value(const _Atomic int64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

int64_t metrics_sum(const struct metrics *const *all, size_t count, enum metric id)
{
    int64_t sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += read_value(&all[i]->values[id]);
    return sum;
}

int64_t metrics_sum_of_group(const struct metrics *const *all, size_t count,
                             enum metric_group group, size_t index)
{
    int64_t sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += read_value(&all[i]->grouped[groups[group].first + index]);
    return sum;
}

int64_t metrics_sum_of_bucket(const struct metrics *const *all, size_t count, enum histogram id,
                              size_t bucket)
{
    int64_t sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += read_value(&all[i]->histograms[id].buckets[bucket]);
    return sum;
}

int64_t metrics_sum_of_times_us(const struct metrics *const *all, size_t count, enum histogram id)
{
    int64_t sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += read_value(&all[i]->histograms[id].sum_us);
    return sum;
}

const char *metrics_name(enum metric id)
{
    return metric_rows[id].name;
}

const char *metrics_text(enum metric id)
{
    return metric_rows[id].text;
}

enum metric_kind metrics_kind(enum metric id)
{
    return metric_rows[id].kind;
}
