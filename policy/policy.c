/*
 * The engine knows phases, rules and the three functions of an action, nothing of any single
 * action: those are rows of actions.def. A document is checked while it is compiled, top down; the
 * compiler remembers where it is, and that place is put in front of the first problem.
 */
#include "policy/policy.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "policy/action.h"

struct action_type {
    const char *name;
    unsigned phases; /* ACTION_* bits */
    action_compile_fn *compile;
    action_run_fn *run;
    action_free_fn *free;
};

static const struct action_type action_types[] = {
#define ACTION(symbol, name, phases)                                                               \
    { name, phases, symbol##_compile, symbol##_run, symbol##_free },
#include "policy/actions.def"
#undef ACTION
};

enum { ACTION_TYPES = sizeof(action_types) / sizeof(action_types[0]) };

struct action {
    const struct action_type *type;
    void *compiled; /* owned, released by type->free */
};

struct rule {
    struct action *actions; /* owned */
    size_t count;
};

struct phase {
    struct rule *rules; /* owned */
    size_t count;
};

struct policy {
    struct counted counted; /* first, so that holders keep a struct counted */
    struct phase phases[POLICY_PHASE_COUNT];
};

static const char *const phase_names[POLICY_PHASE_COUNT + 1] = {
    [POLICY_ON_TCP_CONNECT] = "on_tcp_connect",
    [POLICY_ON_HTTP_REQUEST] = "on_http_request",
    [POLICY_ON_HTTP_RESPONSE] = "on_http_response",
    [POLICY_PHASE_COUNT] = NULL,
};

const char *policy_phase_name(enum policy_phase phase)
{
    return phase_names[phase];
}

static const struct policy *policy_of(const struct counted *c)
{
    return (const struct policy *)c;
}

static void phase_fini(struct phase *p)
{
    for (size_t i = 0; i < p->count; i++) {
        struct rule *r = &p->rules[i];

        for (size_t j = 0; j < r->count; j++)
            r->actions[j].type->free(r->actions[j].compiled);
        mem_free(r->actions);
    }
    mem_free(p->rules);
}

static void policy_free(struct counted *self)
{
    struct policy *p = (struct policy *)self;

    for (size_t i = 0; i < POLICY_PHASE_COUNT; i++)
        phase_fini(&p->phases[i]);
    mem_free(p);
}

static int find_action(struct str name, enum policy_phase phase, const struct action_type **out,
                       struct err *e)
{
    const struct action_type *nearest = &action_types[0];

    for (size_t i = 0; i < ACTION_TYPES; i++) {
        const struct action_type *type = &action_types[i];

        if (str_eq(name, str_from(type->name))) {
            *out = type;
            if (type->phases & 1U << phase)
                return 0;
            return err_set(e, E_POLICY_PHASE, "action '%s' is not available in %s", type->name,
                           phase_names[phase]);
        }
        if (str_distance(name, str_from(type->name)) < str_distance(name, str_from(nearest->name)))
            nearest = type;
    }
    return err_set(e, E_POLICY_ACTION, "unknown action '%.*s'; the nearest is '%s'",
                   STR_ARG(str_slice(name, 0, 40)), nearest->name);
}

/* Where the compiler is in the document; it stays at the first problem. */
enum depth { IN_DOCUMENT, IN_PHASE, IN_RULE, IN_ACTION, IN_CONFIG };

struct compiler {
    enum depth depth;
    enum policy_phase phase;
    size_t rule;
    size_t action;
    struct fields config; /* of the action */
    struct err *e;        /* borrowed */
};

static int prefix_place(const struct compiler *c)
{
    const char *phase = phase_names[c->phase];
    const char *field = c->config.place;

    switch (c->depth) {
    case IN_DOCUMENT:
        return -1;
    case IN_PHASE:
        return err_prefix(c->e, "%s", phase);
    case IN_RULE:
        return err_prefix(c->e, "%s[%zu]", phase, c->rule);
    case IN_ACTION:
        return err_prefix(c->e, "%s[%zu].actions[%zu]", phase, c->rule, c->action);
    case IN_CONFIG:
        return err_prefix(c->e, "%s[%zu].actions[%zu].config%s%s", phase, c->rule, c->action,
                          field[0] != '\0' ? "." : "", field);
    }
    return -1;
}

static int compile_action(struct compiler *c, struct action *out, const json_t *json)
{
    static const char *const known[] = { "type", "config", "name", NULL };
    const json_t *name = json_object_get(json, "type");

    c->depth = IN_ACTION;
    if (!json_is_object(json))
        return err_set(c->e, E_POLICY_DOCUMENT, "an action must be a mapping of type and config");
    if (fields_check_keys(json, known, E_POLICY_DOCUMENT, c->e) == -1)
        return -1;
    if (!json_is_string(name))
        return err_set(c->e, E_POLICY_MISSING, "type is required: the name of an action");
    if (find_action(fields_json_str(name), c->phase, &out->type, c->e) == -1)
        return -1;
    c->depth = IN_CONFIG;
    c->config =
        (struct fields){ .json = json_object_get(json, "config"), .phase = c->phase, .e = c->e };
    out->compiled = out->type->compile(&c->config);
    return out->compiled == NULL ? -1 : 0;
}

static int check_rule(const struct compiler *c, const json_t *json)
{
    static const char *const known[] = { "name", "actions", NULL };
    const json_t *name = json_object_get(json, "name");
    const json_t *actions = json_object_get(json, "actions");

    if (!json_is_object(json))
        return err_set(c->e, E_POLICY_DOCUMENT, "a rule must be a mapping with a list of actions");
    if (json_object_get(json, "expressions") != NULL)
        return err_set(c->e, E_POLICY_EXPRESSION,
                       "expressions are not available on this gateway; a rule without them always "
                       "applies");
    if (fields_check_keys(json, known, E_POLICY_DOCUMENT, c->e) == -1)
        return -1;
    if (name != NULL && !json_is_string(name))
        return err_set(c->e, E_POLICY_DOCUMENT, "name must be a string");
    if (actions != NULL && !json_is_array(actions))
        return err_set(c->e, E_POLICY_DOCUMENT, "actions must be a list");
    if (json_array_size(actions) == 0)
        return err_set(c->e, E_POLICY_NO_ACTION, "actions needs at least one action");
    if (json_array_size(actions) > POLICY_RULE_ACTIONS_MAX)
        return err_set(c->e, E_POLICY_RULE_ITEMS, "%zu actions, at most %d are allowed in a rule",
                       json_array_size(actions), POLICY_RULE_ACTIONS_MAX);
    return 0;
}

static int compile_rule(struct compiler *c, struct rule *out, const json_t *json)
{
    const json_t *actions = json_object_get(json, "actions");

    c->depth = IN_RULE;
    if (check_rule(c, json) == -1)
        return -1;
    out->actions = mem_zalloc_array(json_array_size(actions), sizeof(*out->actions));
    for (c->action = 0; c->action < json_array_size(actions); c->action++) {
        struct action *action = &out->actions[c->action];

        if (compile_action(c, action, json_array_get(actions, c->action)) == -1)
            return -1;
        out->count++;
    }
    return 0;
}

static int compile_phase(struct compiler *c, struct phase *out, const json_t *rules)
{
    c->depth = IN_PHASE;
    if (rules == NULL)
        return 0;
    if (!json_is_array(rules))
        return err_set(c->e, E_POLICY_DOCUMENT, "it must be a list of rules");
    out->rules = mem_zalloc_array(json_array_size(rules), sizeof(*out->rules));
    for (c->rule = 0; c->rule < json_array_size(rules); c->rule++) {
        out->count++; /* a half-built rule is released with the others */
        if (compile_rule(c, &out->rules[c->rule], json_array_get(rules, c->rule)) == -1)
            return -1;
    }
    return 0;
}

static int check_document(const json_t *document, struct err *e)
{
    size_t rules = 0;

    if (!json_is_object(document))
        return err_set(e, E_POLICY_DOCUMENT, "a policy must be a mapping of phases");
    if (fields_check_keys(document, phase_names, E_POLICY_DOCUMENT, e) == -1)
        return -1;
    for (size_t i = 0; i < POLICY_PHASE_COUNT; i++)
        rules += json_array_size(json_object_get(document, phase_names[i]));
    if (rules > POLICY_RULES_MAX)
        return err_set(e, E_POLICY_RULES, "%zu rules, at most %d are allowed", rules,
                       POLICY_RULES_MAX);
    return 0;
}

static bool is_empty(const struct policy *p)
{
    for (size_t i = 0; i < POLICY_PHASE_COUNT; i++) {
        if (p->phases[i].count > 0)
            return false;
    }
    return true;
}

struct counted *policy_compile(const json_t *document, struct err *e)
{
    struct policy *p = mem_zalloc(sizeof(*p));
    struct compiler c = { .depth = IN_DOCUMENT, .e = e };

    ref_init(&p->counted.ref);
    p->counted.free = policy_free;
    if (check_document(document, e) == -1)
        goto fail;
    for (size_t i = 0; i < POLICY_PHASE_COUNT; i++) {
        c.phase = (enum policy_phase)i;
        if (compile_phase(&c, &p->phases[i], json_object_get(document, phase_names[i])) == -1)
            goto fail;
    }
    c.depth = IN_DOCUMENT;
    if (is_empty(p)) {
        (void)err_set(e, E_POLICY_NO_ACTION, "the policy has no action");
        goto fail;
    }
    return &p->counted;
fail:
    (void)prefix_place(&c);
    policy_free(&p->counted);
    return NULL;
}

int policy_check_action(enum policy_phase phase, const char *action, const json_t *config,
                        struct err *e)
{
    struct fields c = { .json = config, .phase = phase, .e = e };
    const struct action_type *type;
    void *compiled;

    if (find_action(str_from(action), phase, &type, e) == -1)
        return -1;
    compiled = type->compile(&c);
    if (compiled == NULL)
        return -1;
    type->free(compiled);
    return 0;
}

void policy_document_add(json_t *document, enum policy_phase phase, const char *action,
                         json_t *config)
{
    json_t *rules = json_object_get(document, phase_names[phase]);
    json_t *rule = json_pack("{s:[{s:s, s:o}]}", "actions", "type", action, "config", config);
    int failed;

    if (rules == NULL) {
        rules = json_array();
        failed = json_object_set_new(document, phase_names[phase], rules);
        assert(failed == 0); /* names and types are ours: only a bug makes it fail */
    }
    failed = json_array_append_new(rules, rule);
    assert(failed == 0);
    (void)failed;
}

bool policy_has_phase(const struct counted *policy, enum policy_phase phase)
{
    return policy != NULL && policy_of(policy)->phases[phase].count > 0;
}

static enum policy_verdict run_rule(const struct rule *rule, const struct action_run *run)
{
    enum policy_verdict verdict = POLICY_CONTINUE;

    for (size_t i = 0; i < rule->count && verdict == POLICY_CONTINUE; i++)
        verdict = rule->actions[i].type->run(rule->actions[i].compiled, run);
    return verdict;
}

enum policy_verdict policy_run(const struct counted *policy, enum policy_phase phase,
                               const struct policy_host *host, void *ctx, struct arena *arena,
                               struct policy_result *result)
{
    const struct phase *p = &policy_of(policy)->phases[phase];
    const struct action_run run = {
        .phase = phase, .host = host, .ctx = ctx, .arena = arena, .result = result
    };
    enum policy_verdict verdict = POLICY_CONTINUE;

    for (size_t i = 0; i < p->count && verdict == POLICY_CONTINUE; i++)
        verdict = run_rule(&p->rules[i], &run);
    return verdict;
}
