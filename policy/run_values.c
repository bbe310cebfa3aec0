/*
 * What expressions read and what a run keeps. Evaluation uses the worker's scratch memory, which is
 * taken back before the next one: 200 rules on an exchange need as much as the largest of them.
 */
#include <string.h>

#include "base/clock.h"
#include "policy/engine.h"
#include "policy/local.h"
#include "policy/objects.h"
#include "policy/run_int.h"

/* ---- evaluating ------------------------------------------------------------------------------ */

/* What an evaluation has to count as spent before it begins, so that it stays within the phase. */
static uint32_t steps_before(const struct policy_run *run)
{
    uint64_t max = run->policy->limits.policy_phase_steps_max;
    uint64_t left = run->steps < max ? max - run->steps : 0;
    uint32_t one = run->evaluation.limits->steps;

    return left < one ? one - (uint32_t)left : 0;
}

struct cel_value run_evaluate(struct policy_run *run, const struct cel_program *program)
{
    struct cel_run *cel = &run->evaluation;
    uint32_t before = steps_before(run);
    struct cel_value v;

    arena_reset(cel->arena);
    cel->steps = before;
    cel->bytes = 0;
    cel->spent = false;
    cel->regexes = policy_local_regexes(run->params.local);
    if (before == cel->limits->steps)
        return cel_error(cel, "the expressions of the phase need too many steps");
    v = cel_eval(program, cel);
    run->steps += cel->steps - before;
    return v;
}

struct cel_value run_text(struct policy_run *run, struct cel_value v)
{
    return v.kind == CEL_STRING || cel_is_error(v) ? v : cel_to_text(&run->evaluation, v);
}

struct cel_value run_keep(struct policy_run *run, struct cel_value v)
{
    return policy_value_copy(&run->values, v);
}

/* ---- variables ------------------------------------------------------------------------------- */

static struct cel_value absent(void)
{
    return (struct cel_value){ .kind = CEL_NULL, .absent = true };
}

static struct cel_value result_of(const struct policy_run *run, size_t index)
{
    const struct policy *policy = run->policy;

    for (; run != NULL && run->policy == policy; run = run->params.connection) {
        if (run->results != NULL && !run->results[index].absent)
            return run->results[index];
    }
    return absent();
}

static struct cel_value time_now(struct policy_run *run)
{
    char *text;

    if (run->now.kind == CEL_NULL) {
        text = cel_alloc(&run->values, CLOCK_RFC3339_BYTES);
        if (text == NULL)
            return cel_spent(&run->evaluation);
        clock_format_rfc3339(clock_wall_ms(), text);
        run->now = cel_string(str_from(text));
    }
    return run->now;
}

/* They grow while the message passes. */
static bool is_live(unsigned slot)
{
    return slot == VAR_CONN_BYTES_IN || slot == VAR_CONN_BYTES_OUT;
}

/* What the host makes lies in the arena of the exchange and counts as memory of the phase. */
static struct cel_value ask_host(struct policy_run *run, unsigned slot)
{
    size_t before = arena_used(run->host_arena);
    struct cel_value v =
        run->params.host->var(run->params.ctx, (enum policy_var)slot, run->host_arena);

    run->values.bytes += arena_used(run->host_arena) - before;
    if (run->values.bytes > run->values.limits->arena_bytes)
        return cel_spent(&run->evaluation);
    return v;
}

static struct cel_value host_var(struct policy_run *run, unsigned slot)
{
    uint64_t bit = UINT64_C(1) << slot % 64;

    if (is_live(slot))
        return ask_host(run, slot);
    if (run->cache == NULL)
        run->cache = arena_alloc(run->host_arena, POLICY_VAR_COUNT * sizeof(struct cel_value));
    if ((run->known[slot / 64] & bit) == 0) {
        run->cache[slot] = ask_host(run, slot);
        if (cel_is_error(run->cache[slot]))
            return run->cache[slot];
        run->known[slot / 64] |= bit;
    }
    return run->cache[slot];
}

struct cel_value run_var(struct cel_run *cel, unsigned slot)
{
    struct policy_run *run = run_of(cel);

    switch (slot) {
    case VAR_TIME_NOW:
        return time_now(run);
    case VAR_VARS:
        return run->vars == NULL ? policy_empty_map() : cel_map_value(run->vars);
    case RESULT_SLOT_ABSENT:
        return absent();
    case RETRY_SLOT_ATTEMPTS:
        return run->attempts;
    case RETRY_SLOT_LAST_ATTEMPT:
        return run->last_attempt;
    default:
        break;
    }
    if (slot >= RESULT_SLOT_FIRST)
        return result_of(run, slot - RESULT_SLOT_FIRST);
    return host_var(run, slot);
}

/* ---- secrets --------------------------------------------------------------------------------- */

struct policy_secret {
    struct policy_secret *next;
    struct str vault;
    struct str name;
    struct str value;
};

static struct str keep_str(struct policy_run *run, struct str s)
{
    char *p = cel_alloc(&run->values, s.n + 1);

    if (p == NULL)
        return STR_NONE;
    if (s.n > 0)
        memcpy(p, s.p, s.n);
    return str_of(p, s.n);
}

static struct cel_value remember(struct policy_run *run, struct cel_run *cel,
                                 const struct policy_secret *found)
{
    struct policy_secret *s = cel_alloc(&run->values, sizeof(*s));

    if (s == NULL)
        return cel_spent(cel);
    *s = (struct policy_secret){ .vault = keep_str(run, found->vault),
                                 .name = keep_str(run, found->name),
                                 .value = keep_str(run, found->value) };
    if (s->vault.p == NULL || s->name.p == NULL || s->value.p == NULL)
        return cel_spent(cel);
    s->next = run->secrets;
    run->secrets = s;
    return cel_string(s->value);
}

struct cel_value run_secret(struct policy_run *run, struct cel_run *cel, struct str vault,
                            struct str name)
{
    struct policy_secret found = { .vault = vault, .name = name };

    for (const struct policy_secret *s = run->secrets; s != NULL; s = s->next) {
        if (str_eq(s->vault, vault) && str_eq(s->name, name))
            return cel_string(s->value);
    }
    found.value = run->params.host->secret(run->params.ctx, vault, name);
    if (found.value.p == NULL)
        return cel_error(cel, "secrets.get: there is no such secret");
    return remember(run, cel, &found);
}

bool action_is_secret(const struct action_run *run, struct str text)
{
    /* Results of the connection's run may hold what it has read. */
    for (const struct policy_run *r = run->run; r != NULL; r = r->params.connection) {
        for (const struct policy_secret *s = r->secrets; s != NULL; s = s->next) {
            if (str_eq(s->value, text))
                return true;
        }
    }
    return false;
}
