/*
 * rate-limit: lets a number of requests through in a time, for each value of a key (spec
 * traffic-policy 6.16). The counting is policy/counters.h.
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "policy/action.h"
#include "policy/cel/text.h"
#include "policy/counters.h"
#include "policy/engine.h"
#include "policy/result.h"

enum {
    KEYS_MAX = 10,
    NAME_MAX_CHARS = 1023,
    NUMBER_BYTES = 24,
    RATE_MIN_MS = 60 * 1000,
    RATE_MAX_MS = 24 * 60 * 60 * 1000,
    RATE_STEP_MS = 10 * 1000,
};

static const int64_t capacity_max = 2000000000;

struct rate_limit {
    struct counters *counters;      /* borrowed: the engine's */
    char *name;                     /* owned */
    char numbers[2 * NUMBER_BYTES]; /* capacity and rate: part of what names a bucket */
    struct rate_limit_rule rule;
    struct cel_program *keys[KEYS_MAX]; /* owned */
    size_t key_count;
    bool enforce;
};

static void read_name(const struct fields *c, struct rate_limit *r)
{
    struct field f = fields_need(c, "name");
    struct str name = STR_NONE;

    if (field_text(&f, &name) == 0 && field_is_given(&f) && name.n == 0)
        (void)field_problem(&f, E_POLICY_EMPTY, "it must not be empty");
    if (utf8_count(name) > NAME_MAX_CHARS)
        (void)field_problem(&f, E_POLICY_TOO_LONG, "%zu characters, at most %d are allowed",
                            utf8_count(name), NAME_MAX_CHARS);
    r->name = str_dup(name);
}

static void read_numbers(const struct fields *c, struct rate_limit *r)
{
    struct field capacity = fields_need(c, "capacity");
    struct field rate = fields_need(c, "rate");
    int64_t count = 1;
    uint64_t rate_ms = RATE_MIN_MS;

    (void)field_int(&capacity, 1, capacity_max, &count);
    if (field_duration(&rate, RATE_MIN_MS, RATE_MAX_MS, &rate_ms) == 0 &&
        rate_ms % RATE_STEP_MS != 0)
        (void)field_problem(&rate, E_POLICY_RANGE, "it must be a multiple of 10s");
    r->rule = (struct rate_limit_rule){ .capacity = (uint32_t)count, .rate_ms = rate_ms };
    (void)snprintf(r->numbers, sizeof(r->numbers), "%u/%llu", r->rule.capacity,
                   (unsigned long long)rate_ms);
}

static void read_keys(const struct fields *c, struct rate_limit *r)
{
    struct field list = fields_need(c, "bucket_key");
    size_t count = 0;

    (void)field_list(&list, 1, KEYS_MAX, &count);
    for (size_t i = 0; i < count; i++) {
        struct field key = field_item(&list, i);

        r->keys[r->key_count++] = field_expression(&key, NULL);
    }
}

void *rate_limit_compile(const struct fields *c)
{
    static const char *const known[] = { "name",       "algorithm", "capacity", "rate",
                                         "bucket_key", "enforce",   NULL };
    static const char *const algorithms[] = { "sliding_window", NULL };
    const struct policy_params *params = fields_params(c);
    struct rate_limit *r = mem_zalloc(sizeof(*r));
    struct field algorithm = fields_need(c, "algorithm");
    struct field enforce = fields_find(c, "enforce");
    unsigned only = 0;

    (void)fields_known(c, known);
    (void)field_choice(&algorithm, algorithms, &only);
    r->enforce = true;
    (void)field_bool(&enforce, &r->enforce);
    read_name(c, r);
    read_numbers(c, r);
    read_keys(c, r);
    r->counters = counters_of(params->engine->counters, params->account,
                              fields_limits(c)->rate_limit_buckets_max);
    return r;
}

/* The parts that name the bucket: endpoint, name, numbers, then the values of the keys. */
enum { FIXED_PARTS = 3, PARTS_MAX = FIXED_PARTS + KEYS_MAX };

static struct cel_value to_text(struct action_run *run, struct cel_value v)
{
    return v.kind == CEL_STRING || cel_is_error(v) ? v : cel_to_text(action_values(run), v);
}

/* The texts of all items, with commas between them. */
static struct cel_value join(struct action_run *run, const struct cel_list *list)
{
    struct cel_text text;

    cel_text_init(&text, action_values(run));
    for (size_t i = 0; i < list->count; i++) {
        struct cel_value item = to_text(run, list->items[i]);

        if (cel_is_error(item))
            return item;
        if (i > 0)
            cel_text_add_char(&text, ',');
        cel_text_add(&text, cel_str(item));
    }
    return cel_text_done(&text);
}

static int evaluate_key(struct action_run *run, const struct cel_program *key, struct str *out,
                        struct err *e)
{
    struct cel_value value = action_evaluate(run, key);

    value = value.kind == CEL_LIST ? join(run, value.as.list) : to_text(run, value);
    if (cel_is_error(value))
        return err_set(e, E_POLICY_FIELD_EVALUATION, "rate-limit: bucket_key: %.*s",
                       STR_ARG(cel_str(value)));
    *out = cel_str(value);
    return 0;
}

static void set_result(struct action_run *run, const struct str *parts, size_t count, bool limited)
{
    struct result_field result[] = { { .name = "bucket_key" },
                                     { "limited", cel_bool(limited) },
                                     { "error", action_error_value(run, NULL) } };
    struct cel_value items[KEYS_MAX];
    const struct cel_list keys = { .items = items, .count = count };

    for (size_t i = 0; i < count; i++)
        items[i] = cel_string(parts[i]);
    result[0].value = join(run, &keys);
    result_set(run, result, 3);
}

static enum policy_verdict refuse(struct action_run *run, uint64_t wait_ms)
{
    unsigned long long seconds = (wait_ms + 999) / 1000;

    action_respond_header(run, STR("retry-after"), arena_fmt(run->arena, "%llu", seconds));
    return action_fail(run, E_RATE_LIMITED, "too many requests; try again in %llu s", seconds);
}

enum policy_verdict rate_limit_run(const void *compiled, struct action_run *run)
{
    const struct rate_limit *r = compiled;
    struct str parts[PARTS_MAX];
    struct err e;
    uint64_t wait_ms;

    parts[0] = cel_str(run->host->var(run->ctx, VAR_ENDPOINT_URL, run->arena));
    parts[1] = str_from(r->name);
    parts[2] = str_from(r->numbers);
    for (size_t i = 0; i < r->key_count; i++) {
        if (evaluate_key(run, r->keys[i], &parts[FIXED_PARTS + i], &e) == -1)
            return action_fail_err(run, &e);
    }
    wait_ms = counters_rate_limit(r->counters,
                                  counters_key(r->counters, parts, FIXED_PARTS + r->key_count),
                                  &r->rule, clock_mono_ms());
    if (action_wants_result(run))
        set_result(run, parts + FIXED_PARTS, r->key_count, wait_ms > 0);
    return wait_ms > 0 && r->enforce ? refuse(run, wait_ms) : POLICY_CONTINUE;
}

void rate_limit_free(void *compiled)
{
    struct rate_limit *r = compiled;

    if (r == NULL)
        return;
    for (size_t i = 0; i < r->key_count; i++)
        cel_program_free(r->keys[i]);
    mem_free(r->name);
    mem_free(r);
}
