#include "policy/policy.h"

#include <string.h>

#include "base/mem.h"
#include "policy/compile.h"
#include "policy/digest.h"
#include "policy/problems.h"

/* ---- the compiled policy --------------------------------------------------------------------- */

static void rule_fini(struct compiled_rule *r)
{
    for (size_t i = 0; i < r->expression_count; i++)
        cel_program_free(r->expressions[i]);
    for (size_t i = 0; i < r->action_count; i++)
        r->actions[i].type->free(r->actions[i].data);
    mem_free(r->expressions);
    mem_free(r->actions);
    mem_free(r->name);
}

static void policy_free(struct counted *self)
{
    struct policy *p = (struct policy *)self;

    for (size_t i = 0; i < POLICY_PHASE_COUNT; i++) {
        for (size_t k = 0; k < p->phases[i].count; k++)
            rule_fini(&p->phases[i].rules[k]);
        mem_free(p->phases[i].rules);
    }
    mem_free(p);
}

static struct policy *policy_new(const struct policy_params *params)
{
    struct policy *p = mem_zalloc(sizeof(*p));

    ref_init(&p->counted.ref);
    p->counted.free = policy_free;
    p->engine = params->engine;
    p->limits = *params->limits;
    p->expression_errors = params->expression_errors;
    p->evaluation = cel_default_limits;
    p->evaluation.steps = (uint32_t)params->limits->policy_steps_max;
    p->evaluation.arena_bytes = params->limits->policy_memory_max_bytes;
    p->patterns.max = params->limits->policy_patterns_max;
    p->values = p->evaluation;
    p->values.string_bytes = params->limits->policy_memory_max_bytes;
    return p;
}

bool policy_has_phase(const struct counted *policy, enum policy_phase phase)
{
    return policy != NULL && policy_of(policy)->phases[phase].count > 0;
}

bool policy_ends_tls(const struct counted *policy)
{
    return policy != NULL && policy_of(policy)->ends_tls;
}

static bool phase_ends(const struct policy *p, enum policy_phase phase)
{
    for (size_t i = 0; i < p->phases[phase].count; i++) {
        const struct compiled_rule *rule = &p->phases[phase].rules[i];

        if (rule->ends && rule->expression_count == 0)
            return true;
    }
    return false;
}

bool policy_handles_all(const struct counted *policy, unsigned protocols)
{
    bool has_requests = (protocols & (POLICY_HTTP | POLICY_HTTPS)) != 0;

    if (policy == NULL)
        return false;
    return phase_ends(policy_of(policy), POLICY_ON_TCP_CONNECT) ||
           (has_requests && phase_ends(policy_of(policy), POLICY_ON_HTTP_REQUEST));
}

uint64_t policy_phase_digest(const struct counted *policy, enum policy_phase phase)
{
    return policy == NULL ? 0 : policy_of(policy)->phases[phase].digest;
}

uint64_t policy_digest(const struct counted *policy)
{
    uint64_t digest;

    if (policy == NULL)
        return 0;
    digest = digest_number(0, policy_of(policy)->expression_errors);
    for (unsigned i = 0; i < POLICY_PHASE_COUNT; i++)
        digest = digest_number(digest, policy_phase_digest(policy, (enum policy_phase)i));
    return digest;
}

/* ---- compiling ------------------------------------------------------------------------------- */

static bool is_empty(const struct policy *p)
{
    for (size_t i = 0; i < POLICY_PHASE_COUNT; i++) {
        if (p->phases[i].count > 0)
            return false;
    }
    return true;
}

static void refuse_empty(const struct policy_params *params, struct policy_problems *problems)
{
    const struct policy_document *first = params->document_count > 0 ? params->documents[0] : NULL;
    struct doc_place at = { 0, 0 };

    if (first != NULL && first->root != NULL)
        at = first->root->at;
    (void)problems_add(problems, first == NULL ? STR("policy") : first->name, at,
                       E_POLICY_NO_ACTION, NULL, "the policy has no action");
}

struct counted *policy_compile(const struct policy_params *params, struct policy_problems *problems)
{
    size_t before = policy_problems_errors(problems);
    struct policy_compile_state s = { .params = params, .problems = problems };

    s.policy = policy_new(params);
    for (s.document = 0; s.document < params->document_count; s.document++)
        compile_document(&s, params->documents[s.document]);
    mem_free(s.logins);
    if (policy_problems_errors(problems) == before && is_empty(s.policy) &&
        (params->default_count == 0 || params->document_count > params->default_count))
        refuse_empty(params, problems);
    if (policy_problems_errors(problems) == before)
        return &s.policy->counted;
    policy_free(&s.policy->counted);
    return NULL;
}

/* ---- one action ------------------------------------------------------------------------------ */

static int check_config(struct policy_compiler *c, const struct action_type *type,
                        const json_t *config)
{
    struct arena arena;
    void *data = NULL;
    int rc;

    arena_init(&arena);
    rc = compile_action_config(c, type, config == NULL ? NULL : doc_from_json(&arena, config),
                               (struct doc_place){ 0, 0 }, &data);
    if (rc == 0)
        type->free(data);
    arena_fini(&arena);
    return rc;
}

int policy_check_action(const struct policy_engine *engine, enum policy_phase phase,
                        const char *action, const json_t *config, struct err *e)
{
    const struct policy_params params = {
        .engine = (struct policy_engine *)(uintptr_t)engine, /* counters have locks of their own */
        .limits = &policy_default_limits,
    };
    const struct action_type *type = action_type_find(str_from(action));
    struct policy_compiler c = { .params = &params, .depth = COMPILER_BARE, .phase = phase };
    int rc;

    if (type == NULL)
        return err_set(e, E_POLICY_ACTION, "unknown action '%s'", action);
    if ((type->phases >> phase & 1) == 0)
        return err_set(e, E_POLICY_PHASE, "action '%s' is not available in %s", action,
                       policy_phase_name(phase));
    c.problems = policy_problems_new();
    rc = check_config(&c, type, config);
    if (rc == -1)
        policy_problems_first(c.problems, e);
    policy_problems_free(c.problems);
    return rc;
}
