/*
 * metrics_text: metrics in Prometheus' text format (version 0.0.4).
 * A family is a name with its HELP and TYPE; its samples follow it, each with other labels.
 * Thread: any.
 */
#ifndef BASE_METRICS_TEXT_H
#define BASE_METRICS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/metrics.h"

struct metrics_label {
    const char *name;
    struct str value; /* any bytes; what is no UTF-8 is replaced */
};

/* What the threads have counted. */
struct metrics_source {
    const struct metrics *const *all; /* borrowed: one a thread that counts */
    size_t count;
};

void metrics_text_family(struct buf *b, const char *name, enum metric_kind kind, const char *help);
void metrics_text_sample(struct buf *b, const char *name, const struct metrics_label *labels,
                         size_t count, int64_t value);
/* A sample of something in seconds. */
void metrics_text_seconds(struct buf *b, const char *name, const struct metrics_label *labels,
                          size_t count, uint64_t us);

/* All rows of metrics.def, and all histograms. */
void metrics_text_add(struct buf *b, const struct metrics_source *s);

enum { METRICS_LABELS_MAX = 4 };
/* Fills in the labels of a number of a group; returns how many there are. */
typedef size_t metrics_label_fn(size_t index, struct metrics_label out[METRICS_LABELS_MAX]);
/* The numbers of a group that are not 0, and that of `always`. */
void metrics_text_group(struct buf *b, const struct metrics_source *s, enum metric_group group,
                        size_t always, metrics_label_fn *labels);

#endif
