/*
 * A phase is a walk over rules and actions that can stop at any action and go on there later, so its
 * place is kept in the run and not on the stack.
 * Names of actions mean nothing here: what is special about one is a flag of its row.
 */
#include "policy/run.h"

#include <assert.h>

#include "base/clock.h"
#include "policy/engine.h"
#include "policy/local.h"
#include "policy/run_int.h"

void run_init(struct policy_run *run, const struct policy_run_params *params)
{
    const struct policy *policy = policy_of(params->policy);

    *run = (struct policy_run){ .policy = policy, .params = *params, .host_arena = params->arena };
    run->evaluation = (struct cel_run){
        .arena = &params->local->scratch,
        .limits = &policy->evaluation,
        .var = run_var,
        .ctx = run,
        .zones = policy->engine->zones,
    };
    run->values = run->evaluation;
    run->values.arena = params->arena;
    run->values.limits = &policy->values;
}

struct policy_run *policy_run_new(const struct policy_run_params *params)
{
    struct policy_run *run = arena_alloc(params->arena, sizeof(*run));

    run_init(run, params);
    ref_inc((struct ref *)(uintptr_t)&run->policy->counted.ref);
    return run;
}

void policy_run_free(struct policy_run *run)
{
    if (run == NULL || run->policy == NULL)
        return;
    counted_unref((struct counted *)(uintptr_t)&run->policy->counted);
    run->policy = NULL; /* the memory is the arena's */
}

const struct policy_response *policy_run_response(const struct policy_run *run)
{
    return &run->response;
}

const struct policy_outcome *policy_run_outcome(const struct policy_run *run)
{
    return &run->outcome;
}

/* ---- rules ----------------------------------------------------------------------------------- */

static const struct compiled_phase *phase_of(const struct policy_run *run)
{
    return &run->policy->phases[run->phase];
}

static const struct compiled_rule *rule_of(const struct policy_run *run)
{
    return &phase_of(run)->rules[run->rule];
}

static void fill_current(struct policy_run *run, void *state)
{
    run->current = (struct action_run){
        .run = run,
        .phase = run->phase,
        .host = run->params.host,
        .ctx = run->params.ctx,
        .arena = run->params.arena,
        .local = run->params.local,
        .outcome = &run->outcome,
        .response = &run->response,
        .state = state,
    };
}

/* A connection has no answer to give before its first request, and then it is closed. */
static enum policy_verdict verdict_in(enum policy_phase phase, enum policy_verdict verdict)
{
    return phase == POLICY_ON_TCP_CONNECT && verdict == POLICY_RESPOND ? POLICY_CLOSE : verdict;
}

static void warn_expression(struct policy_run *run, size_t index, struct str why)
{
    const struct compiled_rule *rule = rule_of(run);
    uint64_t suppressed;

    if (!log_limit_pass(&run->params.local->warnings, LOCAL_WARNINGS_A_SECOND, clock_mono_ms(),
                        &suppressed))
        return;
    log_info("policy.expression_failed", LS("phase", policy_phase_name(run->phase)),
             LU("rule", rule->index), LU("expression", index),
             LSTR("endpoint", run->params.endpoint), LSTR("error", why),
             LU("suppressed", suppressed));
}

static enum policy_verdict fail_expression(struct policy_run *run, size_t index, struct str why)
{
    const struct compiled_rule *rule = rule_of(run);

    fill_current(run, NULL);
    return verdict_in(run->phase, action_fail(&run->current, E_POLICY_EVALUATION,
                                              "%s[%zu].expressions[%zu]: %.*s%s%s%s",
                                              policy_phase_name(run->phase), rule->index, index,
                                              STR_ARG(why), rule->name != NULL ? " (rule '" : "",
                                              rule->name != NULL ? rule->name : "",
                                              rule->name != NULL ? "')" : ""));
}

/* POLICY_CONTINUE and *matches, or what ends the phase. */
static enum policy_verdict match_rule(struct policy_run *run, bool *matches)
{
    const struct compiled_rule *rule = rule_of(run);

    *matches = false;
    for (size_t i = 0; i < rule->expression_count; i++) {
        struct cel_value v = run_evaluate(run, rule->expressions[i]);

        if (v.kind != CEL_BOOL && v.kind != CEL_ERROR)
            v = cel_error(&run->evaluation, "the result is no bool");
        if (cel_is_error(v)) {
            if (run->policy->expression_errors == POLICY_EXPRESSION_FAILS)
                return fail_expression(run, i, cel_str(v));
            warn_expression(run, i, cel_str(v));
        }
        if (!cel_is_true(v))
            return POLICY_CONTINUE;
    }
    *matches = true;
    return POLICY_CONTINUE;
}

static void forget_variables(struct policy_run *run)
{
    for (size_t i = 0; i < RUN_VAR_WORDS; i++)
        run->known[i] = 0;
}

static enum policy_verdict run_action(struct policy_run *run)
{
    const struct compiled_action *action = &rule_of(run)->actions[run->action];
    enum policy_verdict verdict;

    run->values.steps = 0;
    run->values.spent = false;
    verdict = action->type->run(action->data, &run->current);
    if ((action->type->flags & ACTION_CHANGES) != 0)
        forget_variables(run);
    return verdict_in(run->phase, verdict);
}

/* Runs the current action and those behind it in its rule. */
static enum policy_verdict run_actions(struct policy_run *run, void *state)
{
    enum policy_verdict verdict = POLICY_CONTINUE;

    for (; run->action < rule_of(run)->action_count; run->action++, state = NULL) {
        fill_current(run, state);
        verdict = run_action(run);
        if (verdict != POLICY_CONTINUE)
            break;
    }
    return verdict;
}

static enum policy_verdict run_rules(struct policy_run *run)
{
    enum policy_verdict verdict = POLICY_CONTINUE;
    bool matches;

    for (; run->rule < phase_of(run)->count; run->rule++) {
        verdict = match_rule(run, &matches);
        run->action = 0;
        if (verdict == POLICY_CONTINUE && matches)
            verdict = run_actions(run, NULL);
        if (verdict != POLICY_CONTINUE)
            break;
    }
    return verdict;
}

static enum policy_verdict settle(struct policy_run *run, enum policy_verdict verdict)
{
    run->state = RUN_IDLE;
    if (verdict == POLICY_SUSPEND)
        run->state = RUN_SUSPENDED;
    if (verdict == POLICY_FORWARD)
        run->state = RUN_FORWARDED;
    return verdict;
}

/* Goes on at the action where the phase stopped. */
static enum policy_verdict go_on(struct policy_run *run, void *state)
{
    enum policy_verdict verdict = run_actions(run, state);

    if (verdict == POLICY_CONTINUE) {
        run->rule++;
        verdict = run_rules(run);
    }
    return settle(run, verdict);
}

enum policy_verdict policy_run_phase(struct policy_run *run, enum policy_phase phase)
{
    assert(run->state != RUN_SUSPENDED);
    run->phase = phase;
    run->rule = 0;
    run->steps = 0;
    run->replaced_ns = 0;
    run->values.bytes = 0;
    run->now = cel_null();
    run->vars = NULL;
    run->response = (struct policy_response){ .error = E_OK };
    /* The head of a stream is on its way already: asking again for each message would only pile up
     * what the host makes. */
    if (phase != POLICY_ON_EVENT_STREAM_MESSAGE)
        forget_variables(run);
    return settle(run, run_rules(run));
}

enum policy_verdict policy_run_resume(struct policy_run *run)
{
    assert(run->state == RUN_SUSPENDED);
    return go_on(run, run->current.state);
}

enum policy_verdict policy_run_forward_failed(struct policy_run *run, const struct err *why)
{
    assert(run->state == RUN_FORWARDED);
    run->forward_error = *why;
    run->response = (struct policy_response){ .error = E_OK };
    return go_on(run, &run->forward_error);
}
