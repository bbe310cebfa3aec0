/*
 * circuit-breaker: keeps requests from an upstream that mostly fails (spec traffic-policy 6.4). The
 * counting is policy/counters.h; how the upstream did comes from the gateway after the exchange.
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "policy/action.h"
#include "policy/compiler.h"
#include "policy/counters.h"
#include "policy/engine.h"

enum { NAME_BYTES = 160, DURATION_MIN_MS = 1000, DURATION_MAX_MS = 120 * 1000, BUCKETS = 10 };

struct circuit_breaker {
    struct counters *counters; /* borrowed: the engine's */
    struct breaker_rule rule;
    char *document;        /* owned: what its policy came from, because several have a first rule */
    char name[NAME_BYTES]; /* its place there and its numbers: a changed one starts anew */
    bool enforce;
};

/* What the action remembers of a request until the upstream has answered. */
struct pending {
    struct counter_key key;
    bool trial;
};

/* A field and the name that older documents have for it. */
static struct field find_either(const struct fields *c, const char *key, const char *old)
{
    struct field f = fields_find(c, key);
    struct field g;

    if (field_is_given(&f))
        return f;
    g = fields_find(c, old);
    if (field_is_given(&g))
        field_warn(&g, "'%s' is called '%s' now", old, key);
    return g;
}

static void check_buckets(const struct fields *c)
{
    struct field f = fields_find(c, "num_buckets");
    int64_t buckets = BUCKETS;

    if (field_int(&f, 1, 128, &buckets) == 0 && buckets != BUCKETS)
        (void)field_problem(&f, E_POLICY_NOT_SETTABLE, "it is always %d", BUCKETS);
}

void *circuit_breaker_compile(const struct fields *c)
{
    static const char *const known[] = { "error_threshold",
                                         "error_threshold_percentage",
                                         "volume_threshold",
                                         "window_duration",
                                         "rolling_window",
                                         "tripped_duration",
                                         "num_buckets",
                                         "enforce",
                                         NULL };
    const struct policy_params *params = fields_params(c);
    struct circuit_breaker *b = mem_zalloc(sizeof(*b));
    struct field threshold = find_either(c, "error_threshold", "error_threshold_percentage");
    struct field volume = fields_find(c, "volume_threshold");
    struct field window = find_either(c, "window_duration", "rolling_window");
    struct field tripped = fields_find(c, "tripped_duration");
    struct field enforce = fields_find(c, "enforce");
    int64_t requests = 10;

    (void)fields_known(c, known);
    b->rule =
        (struct breaker_rule){ .error_threshold = 0.5, .window_ms = 10000, .tripped_ms = 10000 };
    b->enforce = true;
    (void)field_double(&threshold, 0.0, 1.0, &b->rule.error_threshold);
    (void)field_int(&volume, 1, 2000000000, &requests);
    b->rule.volume_threshold = (uint32_t)requests;
    (void)field_duration(&window, DURATION_MIN_MS, DURATION_MAX_MS, &b->rule.window_ms);
    (void)field_duration(&tripped, DURATION_MIN_MS, DURATION_MAX_MS, &b->rule.tripped_ms);
    (void)field_bool(&enforce, &b->enforce);
    check_buckets(c);
    (void)snprintf(b->name, sizeof(b->name), "%s %g/%u/%llu/%llu", fields_place(c),
                   b->rule.error_threshold, b->rule.volume_threshold,
                   (unsigned long long)b->rule.window_ms, (unsigned long long)b->rule.tripped_ms);
    b->document = str_dup(c->compiler->document);
    b->counters = counters_of(params->engine->counters, params->account,
                              fields_limits(c)->rate_limit_buckets_max);
    return b;
}

static void on_upstream(const void *compiled, struct action_run *run, bool failed)
{
    const struct circuit_breaker *b = compiled;
    const struct pending *p = run->state;

    counters_breaker_tell(b->counters, p->key, &b->rule, failed, p->trial, clock_mono_ms());
}

/* Asks to be told how the upstream did. */
static void watch(const struct circuit_breaker *b, struct action_run *run, struct counter_key key,
                  bool trial)
{
    struct pending *p = arena_alloc(run->arena, sizeof(*p));

    *p = (struct pending){ .key = key, .trial = trial };
    run->state = p;
    action_watch_upstream(run, b, on_upstream);
}

enum policy_verdict circuit_breaker_run(const void *compiled, struct action_run *run)
{
    const struct circuit_breaker *b = compiled;
    const struct str parts[] = {
        cel_str(run->host->var(run->ctx, VAR_ENDPOINT_URL, run->arena)),
        STR("circuit-breaker"),
        str_from(b->document),
        str_from(b->name),
    };
    struct counter_key key;

    if (!b->enforce)
        return POLICY_CONTINUE;
    key = counters_key(b->counters, parts, sizeof(parts) / sizeof(parts[0]));
    switch (counters_breaker_ask(b->counters, key, &b->rule, clock_mono_ms())) {
    case BREAKER_ALLOW:
        run->outcome->circuit_breaker_decision = STR("allow");
        watch(b, run, key, false);
        return POLICY_CONTINUE;
    case BREAKER_TRY:
        run->outcome->circuit_breaker_decision = STR("allow_while_open");
        watch(b, run, key, true);
        return POLICY_CONTINUE;
    case BREAKER_BLOCK:
        break;
    }
    run->outcome->circuit_breaker_decision = STR("block");
    return action_fail(run, E_CIRCUIT_OPEN,
                       "the upstream has failed too often; requests are held back for a while");
}

void circuit_breaker_free(void *compiled)
{
    struct circuit_breaker *b = compiled;

    if (b == NULL)
        return;
    mem_free(b->document);
    mem_free(b);
}
