/*
 * Unit tests of gateway/endpoint_stats.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/buf.h"
#include "gateway/endpoint_stats.h"
#include "tunnel/endpoint.h"

enum { PAGE_BYTES = 1024 * 1024, WORKERS = 2, MAX = 2, START_MS = 1000 * 1000 * 1000 };

static struct endpoint *make(const char *host)
{
    struct endpoint *ep = endpoint_new();

    ep->url = (struct url){ .scheme = SCHEME_HTTPS, .binding = BINDING_PUBLIC, .port = 443 };
    (void)snprintf(ep->url.host, sizeof(ep->url.host), "%s", host);
    endpoint_set(&ep->account, STR("alice"));
    return ep;
}

static void count(struct endpoint_stats *s, unsigned worker, struct endpoint *ep, uint64_t now_ms)
{
    const struct endpoint_visit v = {
        .requests = 1, .bytes_in = 2, .bytes_out = 3, .duration_us = 1500000
    };

    endpoint_stats_count(s, worker, ep, &v, now_ms);
}

static void expect(struct endpoint_stats *s, const char *want, bool is_there)
{
    struct buf b;

    buf_init(&b, PAGE_BYTES);
    endpoint_stats_add_metrics(s, &b);
    if ((str_find(buf_str(&b), str_from(want)) < b.len) != is_there)
        fail_msg("%s%s in %.*s", is_there ? "no " : "", want, STR_ARG(buf_str(&b)));
    buf_fini(&b);
}

static void endpoint_stats_count_sums_over_workers_and_endpoints_of_one_url(void **state)
{
    struct endpoint_stats *s = endpoint_stats_new(WORKERS, MAX);
    struct endpoint *a = make("a.test");
    struct endpoint *again = make("a.test");

    (void)state;
    count(s, 0, a, START_MS);
    count(s, 1, a, START_MS);
    count(s, 1, again, START_MS);
    expect(s, "requests_total{endpoint=\"https://a.test\",account=\"alice\"} 3\n", true);
    expect(s, "bytes_in_total{endpoint=\"https://a.test\",account=\"alice\"} 6\n", true);
    expect(s, "bytes_out_total{endpoint=\"https://a.test\",account=\"alice\"} 9\n", true);
    expect(s, "seconds_total{endpoint=\"https://a.test\",account=\"alice\"} 4.500000\n", true);
    expect(s, "requests_total{endpoint=\"other\",account=\"\"} 0\n", true);
    endpoint_unref(a);
    endpoint_unref(again);
    endpoint_stats_free(s);
}

static void endpoint_stats_count_beyond_the_limit_is_other(void **state)
{
    struct endpoint_stats *s = endpoint_stats_new(WORKERS, MAX);
    struct endpoint *eps[] = { make("a.test"), make("b.test"), make("c.test"), make("d.test") };

    (void)state;
    for (size_t i = 0; i < sizeof(eps) / sizeof(eps[0]); i++)
        count(s, 0, eps[i], START_MS + i);
    expect(s, "requests_total{endpoint=\"https://b.test\",account=\"alice\"} 1\n", true);
    expect(s, "c.test", false);
    expect(s, "requests_total{endpoint=\"other\",account=\"\"} 2\n", true);
    for (size_t i = 0; i < sizeof(eps) / sizeof(eps[0]); i++)
        endpoint_unref(eps[i]);
    endpoint_stats_free(s);
}

static void endpoint_stats_count_an_idle_place_is_given_on_and_begins_anew(void **state)
{
    struct endpoint_stats *s = endpoint_stats_new(WORKERS, MAX);
    struct endpoint *a = make("a.test");
    struct endpoint *b = make("b.test");
    struct endpoint *c = make("c.test");
    uint64_t later = START_MS + ENDPOINT_STATS_IDLE_MS + 1;

    (void)state;
    count(s, 0, a, START_MS);
    count(s, 1, a, START_MS);
    count(s, 0, b, later);
    count(s, 0, c, later);
    expect(s, "requests_total{endpoint=\"https://c.test\",account=\"alice\"} 1\n", true);
    expect(s, "a.test", false);
    count(s, 1, c, later);
    expect(s, "requests_total{endpoint=\"https://c.test\",account=\"alice\"} 2\n", true);
    count(s, 0, a, later); /* both places are in use now */
    expect(s, "requests_total{endpoint=\"other\",account=\"\"} 1\n", true);
    endpoint_unref(a);
    endpoint_unref(b);
    endpoint_unref(c);
    endpoint_stats_free(s);
}

static void endpoint_stats_count_none_may_have_its_own(void **state)
{
    struct endpoint_stats *s = endpoint_stats_new(WORKERS, 0);
    struct endpoint *a = make("a.test");

    (void)state;
    count(s, 0, a, START_MS);
    expect(s, "requests_total{endpoint=\"other\",account=\"\"} 1\n", true);
    expect(s, "a.test", false);
    endpoint_unref(a);
    endpoint_stats_free(s);
    endpoint_stats_free(NULL);
}

static void endpoint_metric_words_are_those_of_its_place(void **state)
{
    struct endpoint *a = make("a.test");
    const char *words[ENDPOINT_METRIC_WORDS];

    (void)state;
    endpoint_metric_words(endpoint_metric(a), words); /* without an agent */
    assert_string_equal(words[0], "cloud");
    assert_string_equal(words[1], "public");
    assert_string_equal(words[2], "https");
    a->url.binding = BINDING_INTERNAL;
    a->url.scheme = SCHEME_TLS;
    endpoint_metric_words(endpoint_metric(a), words);
    assert_string_equal(words[1], "internal");
    assert_string_equal(words[2], "tls");
    endpoint_unref(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(endpoint_stats_count_sums_over_workers_and_endpoints_of_one_url),
        cmocka_unit_test(endpoint_stats_count_beyond_the_limit_is_other),
        cmocka_unit_test(endpoint_stats_count_an_idle_place_is_given_on_and_begins_anew),
        cmocka_unit_test(endpoint_stats_count_none_may_have_its_own),
        cmocka_unit_test(endpoint_metric_words_are_those_of_its_place),
    };

    return cmocka_run_group_tests_name("gateway/endpoint_stats", tests, NULL, NULL);
}
