#include "base/metrics_text.h"

#include "base/utf8.h"

static const struct {
    const char *name;
    enum metric_kind kind;
    size_t size;
    const char *text;
} group_rows[METRIC_GROUPS] = {
#define GROUP(symbol, name, kind, size, text) [symbol] = { name, kind, size, text },
#include "base/metric_groups.def"
#undef GROUP
};

static const struct {
    const char *name;
    const char *text;
} histogram_rows[HISTOGRAM_COUNT] = {
#define HISTOGRAM(symbol, name, text) [symbol] = { name, text },
#include "base/histograms.def"
#undef HISTOGRAM
};

/* ---- lines ----------------------------------------------------------------------------- */

static void add_help(struct buf *b, const char *help)
{
    for (const char *p = help; *p != '\0'; p++) {
        if (*p == '\\' || *p == '\n')
            buf_add_char(b, '\\');
        buf_add_char(b, *p == '\n' ? 'n' : *p);
    }
}

void metrics_text_family(struct buf *b, const char *name, enum metric_kind kind, const char *help)
{
    static const char *const kinds[] = {
        [METRIC_GAUGE] = "gauge",
        [METRIC_COUNTER] = "counter",
        [METRIC_HISTOGRAM] = "histogram",
    };

    buf_add_fmt(b, "# HELP %s ", name);
    add_help(b, help);
    buf_add_fmt(b, "\n# TYPE %s %s\n", name, kinds[kind]);
}

static void add_label_value(struct buf *b, struct str s)
{
    while (s.n > 0) {
        size_t n = utf8_length(s);

        if (n == 0) {
            buf_add_str(b, STR("\xef\xbf\xbd"));
            n = 1;
        } else if (s.p[0] == '\n') {
            buf_add_str(b, STR("\\n"));
        } else {
            if (s.p[0] == '"' || s.p[0] == '\\')
                buf_add_char(b, '\\');
            buf_add(b, s.p, n);
        }
        s = str_skip(s, n);
    }
}

static void add_name(struct buf *b, const char *name, const struct metrics_label *labels,
                     size_t count)
{
    buf_add_str(b, str_from(name));
    for (size_t i = 0; i < count; i++) {
        buf_add_fmt(b, "%c%s=\"", i == 0 ? '{' : ',', labels[i].name);
        add_label_value(b, labels[i].value);
        buf_add_char(b, '"');
    }
    if (count > 0)
        buf_add_char(b, '}');
    buf_add_char(b, ' ');
}

void metrics_text_sample(struct buf *b, const char *name, const struct metrics_label *labels,
                         size_t count, int64_t value)
{
    add_name(b, name, labels, count);
    buf_add_fmt(b, "%lld\n", (long long)value);
}

static void add_seconds(struct buf *b, uint64_t us)
{
    buf_add_fmt(b, "%llu.%06llu", (unsigned long long)(us / 1000000),
                (unsigned long long)(us % 1000000));
}

void metrics_text_seconds(struct buf *b, const char *name, const struct metrics_label *labels,
                          size_t count, uint64_t us)
{
    add_name(b, name, labels, count);
    add_seconds(b, us);
    buf_add_char(b, '\n');
}

/* ---- what the threads count ------------------------------------------------------------ */

/* The count is that of the buckets, so that it agrees with the last one while others count on. */
static void add_histogram(struct buf *b, const struct metrics_source *s, enum histogram id)
{
    const char *name = histogram_rows[id].name;
    int64_t below = 0;

    metrics_text_family(b, name, METRIC_HISTOGRAM, histogram_rows[id].text);
    for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
        below += metrics_sum_of_bucket(s->all, s->count, id, i);
        buf_add_fmt(b, "%s_bucket{le=\"", name);
        add_seconds(b, histogram_bounds_us[i]);
        buf_add_fmt(b, "\"} %lld\n", (long long)below);
    }
    below += metrics_sum_of_bucket(s->all, s->count, id, HISTOGRAM_BOUNDS);
    buf_add_fmt(b, "%s_bucket{le=\"+Inf\"} %lld\n", name, (long long)below);
    buf_add_fmt(b, "%s_sum ", name);
    add_seconds(b, (uint64_t)metrics_sum_of_times_us(s->all, s->count, id));
    buf_add_fmt(b, "\n%s_count %lld\n", name, (long long)below);
}

void metrics_text_add(struct buf *b, const struct metrics_source *s)
{
    for (int id = 0; id < METRIC_COUNT; id++) {
        const char *name = metrics_name((enum metric)id);

        metrics_text_family(b, name, metrics_kind((enum metric)id), metrics_text((enum metric)id));
        metrics_text_sample(b, name, NULL, 0, metrics_sum(s->all, s->count, (enum metric)id));
    }
    for (int id = 0; id < HISTOGRAM_COUNT; id++)
        add_histogram(b, s, (enum histogram)id);
}

void metrics_text_group(struct buf *b, const struct metrics_source *s, enum metric_group group,
                        size_t always, metrics_label_fn *labels)
{
    struct metrics_label list[METRICS_LABELS_MAX];
    const char *name = group_rows[group].name;

    metrics_text_family(b, name, group_rows[group].kind, group_rows[group].text);
    for (size_t i = 0; i < group_rows[group].size; i++) {
        int64_t value = metrics_sum_of_group(s->all, s->count, group, i);

        if (value != 0 || i == always)
            metrics_text_sample(b, name, list, labels(i, list), value);
    }
}
