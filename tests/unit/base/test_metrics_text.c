/*
 * Unit tests of base/metrics and base/metrics_text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/metrics_text.h"

enum { PAGE_BYTES = 1024 * 1024, THREADS = 2 };

static void expect(struct buf *b, const char *want)
{
    buf_add_char(b, '\0');
    assert_string_equal(buf_str(b).p, want);
    buf_clear(b);
}

static void expect_has(const struct buf *b, const char *want)
{
    if (str_find(buf_str(b), str_from(want)) == b->len)
        fail_msg("no \"%s\" in %.*s", want, STR_ARG(buf_str(b)));
}

static void metrics_text_sample_values_of_labels_are_escaped(void **state)
{
    const struct metrics_label labels[] = { { "a", STR("q\"\\\n") }, { "b", STR("\xff\xc3\xa4") } };
    struct buf b;

    (void)state;
    buf_init(&b, PAGE_BYTES);
    metrics_text_family(&b, "x_total", METRIC_COUNTER, "one\\two\nthree");
    metrics_text_sample(&b, "x_total", labels, 2, 7);
    metrics_text_sample(&b, "x_total", NULL, 0, -1);
    expect(&b, "# HELP x_total one\\\\two\\nthree\n# TYPE x_total counter\n"
               "x_total{a=\"q\\\"\\\\\\n\",b=\"\xef\xbf\xbd\xc3\xa4\"} 7\nx_total -1\n");
    metrics_text_seconds(&b, "t", labels, 0, 12000345);
    expect(&b, "t 12.000345\n");
    buf_fini(&b);
}

static void metrics_text_add_sums_over_threads(void **state)
{
    struct metrics *m[THREADS] = { mem_zalloc(sizeof(*m[0])), mem_zalloc(sizeof(*m[0])) };
    const struct metrics *const all[THREADS] = { m[0], m[1] };
    const struct metrics_source source = { .all = all, .count = THREADS };
    struct buf b;

    (void)state;
    buf_init(&b, PAGE_BYTES);
    metrics_add(m[0], METRIC_CONNS, 5);
    metrics_add(m[1], METRIC_CONNS, -2);
    metrics_observe(m[0], HISTOGRAM_REQUEST, 1000); /* a bound belongs to its bucket */
    metrics_observe(m[1], HISTOGRAM_REQUEST, 1001);
    metrics_observe(m[1], HISTOGRAM_REQUEST, UINT64_C(100000000));
    metrics_text_add(&b, &source);
    expect_has(&b, "\n# TYPE sallyport_connections gauge\nsallyport_connections 3\n");
    expect_has(&b, "# TYPE sallyport_request_duration_seconds histogram\n"
                   "sallyport_request_duration_seconds_bucket{le=\"0.001000\"} 1\n"
                   "sallyport_request_duration_seconds_bucket{le=\"0.002500\"} 2\n");
    expect_has(&b, "sallyport_request_duration_seconds_bucket{le=\"60.000000\"} 2\n"
                   "sallyport_request_duration_seconds_bucket{le=\"+Inf\"} 3\n"
                   "sallyport_request_duration_seconds_sum 100.002001\n"
                   "sallyport_request_duration_seconds_count 3\n");
    for (size_t i = 0; i < THREADS; i++)
        mem_free(m[i]);
    buf_fini(&b);
}

static size_t label(size_t index, struct metrics_label out[METRICS_LABELS_MAX])
{
    static char text[32];

    out[0] =
        (struct metrics_label){ "n",
                                str_of(text, (size_t)snprintf(text, sizeof(text), "%zu", index)) };
    return 1;
}

static void metrics_text_group_shows_what_was_counted(void **state)
{
    struct metrics *m = mem_zalloc(sizeof(*m));
    const struct metrics *const all[] = { m };
    const struct metrics_source source = { .all = all, .count = 1 };
    struct buf b;

    (void)state;
    buf_init(&b, PAGE_BYTES);
    metrics_add_to_group(m, METRIC_GROUP_RESPONSES, 0, 1);
    metrics_add_to_group(m, METRIC_GROUP_RESPONSES, 999, 2);
    metrics_text_group(&b, &source, METRIC_GROUP_RESPONSES, 200, label);
    expect_has(&b, "# TYPE sallyport_responses_total counter\n"
                   "sallyport_responses_total{n=\"0\"} 1\n"
                   "sallyport_responses_total{n=\"200\"} 0\n"
                   "sallyport_responses_total{n=\"999\"} 2\n");
    buf_clear(&b);
    metrics_text_group(&b, &source, METRIC_GROUP_ENDPOINTS, 0, label);
    expect_has(&b, "sallyport_endpoints_online{n=\"0\"} 0\n"); /* groups do not run into another */
    mem_free(m);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metrics_text_sample_values_of_labels_are_escaped),
        cmocka_unit_test(metrics_text_add_sums_over_threads),
        cmocka_unit_test(metrics_text_group_shows_what_was_counted),
    };

    return cmocka_run_group_tests_name("base/metrics_text", tests, NULL, NULL);
}
