#include "gateway/metrics_page.h"

#include <stdio.h>

#include "base/job.h"
#include "base/log.h"
#include "base/metrics_text.h"
#include "gateway/endpoint_stats.h"
#include "gateway/event_hub.h"
#include "gateway/gateway_int.h"
#include "gateway/process_stats.h"
#include "tunnel/endpoint.h"

enum { STATUS_OK = 200, STATUS_DIGITS = 3 };

static const char *const classes[] = { "none", "1xx", "2xx", "3xx", "4xx",
                                       "5xx",  "6xx", "7xx", "8xx", "9xx" };

static size_t response_labels(size_t status, struct metrics_label out[METRICS_LABELS_MAX])
{
    static _Thread_local char code[STATUS_DIGITS + 1];

    for (size_t i = 0, rest = status; i < STATUS_DIGITS; i++, rest /= 10)
        code[STATUS_DIGITS - 1 - i] = (char)('0' + rest % 10);
    out[0] = (struct metrics_label){ "class", str_from(classes[status / 100]) };
    out[1] = (struct metrics_label){ "code", str_of(code, STATUS_DIGITS) };
    return 2;
}

static size_t endpoint_labels(size_t index, struct metrics_label out[METRICS_LABELS_MAX])
{
    static const char *const names[ENDPOINT_METRIC_WORDS] = { "type", "binding", "scheme" };
    const char *words[ENDPOINT_METRIC_WORDS];

    endpoint_metric_words(index, words);
    for (size_t i = 0; i < ENDPOINT_METRIC_WORDS; i++)
        out[i] = (struct metrics_label){ names[i], str_from(words[i]) };
    return ENDPOINT_METRIC_WORDS;
}

static void add_one(struct buf *out, const char *name, enum metric_kind kind, const char *help,
                    uint64_t value)
{
    metrics_text_family(out, name, kind, help);
    metrics_text_sample(out, name, NULL, 0, (int64_t)value);
}

static void add_build(struct buf *out)
{
    const struct metrics_label version = { "version", STR(SALLYPORT_VERSION) };

    metrics_text_family(out, "sallyport_build_info", METRIC_GAUGE, "Always 1; the labels tell.");
    metrics_text_sample(out, "sallyport_build_info", &version, 1, 1);
}

void metrics_page_add(const struct gateway *g, struct buf *out)
{
    const struct gateway_peers *peers = g->peers;
    const struct metrics_source source = { .all = peers->metrics, .count = peers->metrics_count };
    struct process_stats process;

    metrics_text_add(out, &source);
    metrics_text_group(out, &source, METRIC_GROUP_RESPONSES, STATUS_OK, response_labels);
    metrics_text_group(out, &source, METRIC_GROUP_ENDPOINTS, 0, endpoint_labels);
    if (peers->endpoint_stats != NULL)
        endpoint_stats_add_metrics(peers->endpoint_stats, out);
    if (peers->events != NULL)
        event_hub_add_metrics(peers->events, out);
    add_one(out, "sallyport_log_queue_bytes", METRIC_GAUGE, "Log lines that wait to be written.",
            log_queued_bytes());
    add_one(out, "sallyport_log_dropped_total", METRIC_COUNTER,
            "Log lines dropped because the log was too slow.", log_dropped());
    add_one(out, "sallyport_jobs_queued", METRIC_GAUGE, "Jobs that wait for a thread of the pool.",
            job_pool_queued(g->jobs));
    add_build(out);
    process_stats_read(&process);
    process_stats_add_metrics(&process, out);
}
