/* action: what the engine offers to actions while they run. */
#include "policy/action.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "policy/local.h"
#include "policy/run_int.h"

enum { LOGS_START_BYTES = 512, CODE_BYTES = 32 };

/* ---- answers --------------------------------------------------------------------------------- */

static const struct action_type *type_of(const struct action_run *run)
{
    const struct policy_run *r = run->run;

    return r->policy->phases[r->phase].rules[r->rule].actions[r->action].type;
}

enum policy_verdict action_fail(struct action_run *run, enum err_code code, const char *fmt, ...)
{
    struct policy_response *response = run->response;
    va_list ap;

    response->error = code;
    va_start(ap, fmt);
    (void)vsnprintf(response->message, sizeof(response->message), fmt, ap);
    va_end(ap);
    return POLICY_RESPOND;
}

enum policy_verdict action_fail_err(struct action_run *run, const struct err *e)
{
    const char *name = type_of(run)->name;

    /* A template knows its field; which action it is in is known here. */
    if (e->code == E_POLICY_FIELD_EVALUATION && !str_starts(str_from(e->msg), str_from(name)))
        return action_fail(run, e->code, "%s: %s", name, e->msg);
    return action_fail(run, e->code, "%s", e->msg);
}

void action_respond_header(struct action_run *run, struct str name, struct str value)
{
    struct policy_response *response = run->response;

    assert(response->header_count < POLICY_RESPONSE_HEADERS_MAX); /* configs have fewer */
    response->headers[response->header_count++] = (struct policy_header){ name, value };
}

void action_warn(struct action_run *run, const char *text)
{
    uint64_t suppressed;

    if (!log_limit_pass(&run->local->warnings, LOCAL_WARNINGS_A_SECOND, clock_mono_ms(),
                        &suppressed))
        return;
    log_info("policy.action_warning", LS("phase", policy_phase_name(run->phase)),
             LS("action", type_of(run)->name), LSTR("endpoint", run->run->params.endpoint),
             LS("warning", text), LU("suppressed", suppressed));
}

/* ---- results and variables ------------------------------------------------------------------- */

static size_t index_of(const struct action_run *run)
{
    return (size_t)(type_of(run) - action_types);
}

bool action_wants_result(const struct action_run *run)
{
    return (run->run->policy->results_read >> index_of(run) & 1) != 0;
}

void action_set_result(struct action_run *run, struct cel_value result)
{
    struct policy_run *r = run->run;

    if (r->results == NULL) {
        r->results = arena_alloc(r->params.arena, ACTION_TYPE_COUNT * sizeof(*r->results));
        for (size_t i = 0; i < ACTION_TYPE_COUNT; i++)
            r->results[i] = (struct cel_value){ .kind = CEL_NULL, .absent = true };
    }
    r->results[index_of(run)] = result;
}

struct cel_run *action_values(struct action_run *run)
{
    return &run->run->values;
}

struct cel_value action_error_value(struct action_run *run, const struct err *e)
{
    struct cel_run *values = action_values(run);
    struct cel_map_builder *map = cel_map_new(values, 2);
    struct cel_value code = cel_string(STR(""));
    struct cel_value message = cel_string(STR(""));
    char text[CODE_BYTES];

    if (map == NULL)
        return cel_spent(values);
    if (e != NULL) {
        (void)snprintf(text, sizeof(text), "ERR_NGROK_%u", err_number(e->code));
        code = cel_copy(values, CEL_STRING, str_from(text));
        message = cel_copy(values, CEL_STRING, str_from(e->msg));
    }
    (void)cel_map_put(map, cel_string(STR("code")), code);
    (void)cel_map_put(map, cel_string(STR("message")), message);
    return cel_map_value(map);
}

struct cel_value action_evaluate(struct action_run *run, const struct cel_program *program)
{
    struct cel_value v = run_evaluate(run->run, program);

    if (cel_is_error(v)) /* its text may lie in scratch memory */
        return cel_error(action_values(run), "%.*s", STR_ARG(cel_str(v)));
    return run_keep(run->run, v);
}

bool action_charge_regex(struct action_run *run, size_t bytes, size_t size)
{
    struct policy_run *r = run->run;

    r->steps += regex_steps(bytes, size);
    return r->steps <= r->policy->limits.policy_phase_steps_max;
}

uint64_t *action_replaced_ns(struct action_run *run)
{
    return &run->run->replaced_ns;
}

void action_set_attempts(struct action_run *run, uint64_t attempts, struct cel_value last_attempt)
{
    run->run->attempts = cel_int((int64_t)attempts);
    run->run->last_attempt = last_attempt;
}

int action_set_var(struct action_run *run, struct str name, struct cel_value value, struct err *e)
{
    struct policy_run *r = run->run;
    struct cel_value key = cel_string(name);
    struct cel_value old;

    if (cel_is_error(value))
        return err_set(e, E_POLICY_MEMORY, "the variables need too much memory");
    if (r->vars == NULL)
        r->vars = cel_map_new(&r->values, 0);
    if (r->vars == NULL)
        return err_set(e, E_POLICY_MEMORY, "the variables need too much memory");
    if (cel_map_size(cel_map_value(r->vars)) >= r->policy->limits.policy_vars_max &&
        !cel_map_find(&r->values, cel_map_value(r->vars), key, &old))
        return err_set(e, E_POLICY_TOO_MANY, "more than %llu variables",
                       (unsigned long long)r->policy->limits.policy_vars_max);
    if (!cel_map_set(r->vars, key, value))
        return err_set(e, E_POLICY_MEMORY, "the variables need too much memory");
    return 0;
}

/* ---- logs ------------------------------------------------------------------------------------ */

/* Room for n more bytes behind the text, with the closing bracket. */
static void reserve(struct action_run *run, size_t n)
{
    struct run_logs *logs = &run->run->logs;
    size_t cap = logs->cap == 0 ? LOGS_START_BYTES : logs->cap;
    char *text;

    while (cap < logs->n + n)
        cap *= 2;
    if (cap == logs->cap)
        return;
    text = arena_alloc(run->run->params.arena, cap);
    if (logs->n > 0)
        memcpy(text, logs->text, logs->n);
    logs->text = text;
    logs->cap = cap;
}

static void append(struct action_run *run, struct str entry)
{
    struct run_logs *logs = &run->run->logs;

    reserve(run, entry.n + 3);
    if (logs->n == 0)
        logs->text[logs->n++] = '[';
    else
        logs->text[logs->n - 1] = ','; /* in place of the closing bracket */
    memcpy(logs->text + logs->n, entry.p, entry.n);
    logs->n += entry.n;
    logs->text[logs->n++] = ']';
    logs->entries++;
    run->run->outcome.logs = str_of(logs->text, logs->n);
}

void action_log(struct action_run *run, struct str json)
{
    const struct policy_limits *limits = &run->run->policy->limits;
    struct run_logs *logs = &run->run->logs;

    if (logs->full)
        return;
    if (logs->entries >= limits->policy_logs_max || logs->n >= limits->policy_logs_max_bytes ||
        json.n > limits->policy_logs_max_bytes - logs->n) {
        logs->full = true;
        append(run, STR("{\"truncated\":true}"));
        return;
    }
    append(run, json);
}

/* ---- the upstream ---------------------------------------------------------------------------- */

struct policy_watch {
    struct policy_watch *next;
    const void *compiled;
    action_upstream_fn *fn;
    void *state; /* the action's, when it asked */
};

void action_watch_upstream(struct action_run *run, const void *compiled, action_upstream_fn *fn)
{
    struct policy_watch *w = arena_alloc(run->run->params.arena, sizeof(*w));

    *w = (struct policy_watch){
        .next = run->run->watches, .compiled = compiled, .fn = fn, .state = run->state
    };
    run->run->watches = w;
}

void policy_run_upstream_result(struct policy_run *run, bool failed)
{
    struct policy_watch *w = run->watches;

    run->watches = NULL; /* each is told once */
    for (; w != NULL; w = w->next) {
        struct action_run then = run->current; /* which may itself be suspended */

        then.state = w->state;
        w->fn(w->compiled, &then, failed);
    }
}
