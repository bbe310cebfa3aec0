#include "base/metrics.h"

static const struct {
    const char *name;
    enum metric_kind kind;
    const char *text;
} metric_rows[METRIC_COUNT] = {
#define METRIC(symbol, name, kind, text) [symbol] = { name, kind, text },
#include "base/metrics.def"
#undef METRIC
};

int64_t metrics_sum(const struct metrics *const *all, size_t count, enum metric id)
{
    int64_t sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += atomic_load_explicit(&all[i]->values[id], memory_order_relaxed);
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
