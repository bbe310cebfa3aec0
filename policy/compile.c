/*
 * A document is compiled from the top down, and what is wrong is skipped after it was reported, so that
 * all of its problems are found at once. The compiler knows where it stands; the functions below move
 * it and never report a place of their own.
 */
#include "policy/compile.h"

#include <stdio.h>

#include "base/mem.h"
#include "policy/digest.h"
#include "policy/problems.h"

enum { QUOTED_MAX_BYTES = 48, HINT_BYTES = 160 };

/* ---- small things ---------------------------------------------------------------------------- */

static bool is_absent(const struct doc_node *n)
{
    return n == NULL || doc_is_null(n);
}

/* Refuses keys of a mapping that are not in `known` (ends with NULL). */
static void check_keys(const struct policy_compiler *c, const struct doc_node *map,
                       const char *const *known, const char *hint)
{
    for (size_t i = 0; i < map->count; i++) {
        struct str key = map->keys[i]->text;
        bool found = false;

        for (size_t k = 0; known[k] != NULL && !found; k++)
            found = str_eq(key, str_from(known[k]));
        if (!found)
            (void)compiler_problem(c, map->keys[i]->at, "", E_POLICY_DOCUMENT, hint,
                                   "unknown key '%.*s'",
                                   STR_ARG(str_slice(key, 0, QUOTED_MAX_BYTES)));
    }
}

/* The count of a list that may have at most max entries; 0 with a problem otherwise. */
static size_t count_list(const struct policy_compiler *c, const struct doc_node *list,
                         const char *field, const char *what, uint64_t max)
{
    if (list->count <= max)
        return list->count;
    (void)compiler_problem(c, list->at, field, E_POLICY_RULE_ITEMS, NULL,
                           "%zu %s, at most %llu are allowed", list->count, what,
                           (unsigned long long)max);
    return 0;
}

/* ---- actions --------------------------------------------------------------------------------- */

int compile_action_config(struct policy_compiler *c, const struct action_type *type,
                          const struct doc_node *config, struct doc_place at, void **out)
{
    const struct doc_node empty = { .kind = DOC_MAP, .at = at };
    struct fields fields = { .map = is_absent(config) ? &empty : config, .compiler = c };
    size_t before = policy_problems_errors(c->problems);
    void *data;

    if (fields.map->kind != DOC_MAP)
        return compiler_problem(c, fields.map->at, "", E_POLICY_CONFIG, NULL,
                                "it must be a mapping, not %s", doc_kind_text(config));
    data = type->compile(&fields);
    assert(data != NULL || policy_problems_errors(c->problems) > before);
    if (policy_problems_errors(c->problems) > before) {
        type->free(data);
        return -1;
    }
    *out = data;
    return 0;
}

/* Several logins of one endpoint are told apart by auth_id (spec traffic-policy 6.13, D44). */
static void check_login(struct policy_compile_state *s, const struct policy_compiler *c,
                        const struct doc_node *action)
{
    const struct doc_node *id = doc_find(doc_find(action, "config"), "auth_id");

    for (size_t i = 0; i < s->login_count; i++) {
        const struct doc_node *other = s->logins[i];
        bool same = id == NULL || other == NULL ? id == other : str_eq(id->text, other->text);

        if (!same)
            continue;
        (void)compiler_problem(c, action->at, "", E_POLICY_AUTH_TWICE,
                               "give each an auth_id of its own",
                               "a second login action with the same auth_id");
        break;
    }
    s->logins = mem_realloc(s->logins, (s->login_count + 1) * sizeof(*s->logins));
    s->logins[s->login_count++] = id;
}

static void refuse_type(struct policy_compile_state *s, const struct policy_compiler *c,
                        const struct doc_node *action, const struct doc_node *type)
{
    const struct action_absent *absent = action_absent_find(type->text);
    const char *nearest = action_type_nearest(type->text);
    char hint[HINT_BYTES];

    if (absent != NULL) {
        (void)compiler_problem(c, type->at, "type", E_POLICY_ACTION, NULL,
                               "this gateway does not have the action '%s'", absent->name);
        if (absent->is_login)
            check_login(s, c, action);
        return;
    }
    (void)snprintf(hint, sizeof(hint), "did you mean '%s'?", nearest == NULL ? "" : nearest);
    (void)compiler_problem(c, type->at, "type", E_POLICY_ACTION, nearest == NULL ? NULL : hint,
                           "unknown action '%.*s'",
                           STR_ARG(str_slice(type->text, 0, QUOTED_MAX_BYTES)));
}

/* The endpoints that an action is not for, or NULL: the raw forward of a connection is for those that
 * do not speak HTTP (D10). */
static const char *misfit(const struct policy_compiler *c, const struct action_type *type)
{
    unsigned protocols = c->params->protocols;

    if (c->phase == POLICY_ON_TCP_CONNECT && type == &action_types[ACTION_forward_internal] &&
        (protocols & (POLICY_HTTP | POLICY_HTTPS)) != 0)
        return "http and https";
    if ((type->flags & ACTION_TLS) != 0 && protocols == POLICY_HTTP)
        return "http";
    return NULL;
}

/* The type of an action, or NULL with a problem. */
static const struct action_type *read_type(struct policy_compile_state *s,
                                           const struct policy_compiler *c,
                                           const struct doc_node *action)
{
    const struct doc_node *name = doc_find(action, "type");
    const struct action_type *type;
    const char *other;

    if (is_absent(name) || name->kind != DOC_SCALAR) {
        (void)compiler_problem(c, action->at, "type",
                               is_absent(name) ? E_POLICY_MISSING : E_POLICY_DOCUMENT, NULL,
                               "it must be the name of an action");
        return NULL;
    }
    type = action_type_find(name->text);
    if (type == NULL) {
        refuse_type(s, c, action, name);
        return NULL;
    }
    if ((type->phases >> c->phase & 1) == 0) {
        (void)compiler_problem(c, name->at, "type", E_POLICY_PHASE, NULL,
                               "the action '%s' is not available in %s", type->name,
                               policy_phase_name(c->phase));
        return NULL;
    }
    other = misfit(c, type);
    if (other != NULL) {
        (void)compiler_problem(c, name->at, "type", E_POLICY_PROTOCOL, NULL,
                               "the action '%s' is not available in %s of %s endpoints", type->name,
                               policy_phase_name(c->phase), other);
        return NULL;
    }
    return type;
}

static void compile_action(struct policy_compile_state *s, struct policy_compiler *c,
                           struct compiled_rule *rule, const struct doc_node *action)
{
    static const char *const known[] = { "type", "config", "name", NULL };
    const struct action_type *type;
    void *data;

    c->depth = COMPILER_ACTION;
    if (action->kind != DOC_MAP) {
        (void)compiler_problem(c, action->at, "", E_POLICY_DOCUMENT, "write '- type: NAME'",
                               "an action must be a mapping, not %s", doc_kind_text(action));
        return;
    }
    if (doc_find(action, "actions") != NULL) {
        (void)compiler_problem(c, action->at, "", E_POLICY_DOCUMENT,
                               "rules stand side by side, below the phase",
                               "a rule stands where an action must be");
        return;
    }
    check_keys(c, action, known, "an action has a type and a config");
    type = read_type(s, c, action);
    if (type == NULL)
        return;
    c->depth = COMPILER_CONFIG;
    if (compile_action_config(c, type, doc_find(action, "config"), action->at, &data) == -1)
        return;
    rule->actions[rule->action_count++] = (struct compiled_action){ type, data };
    if ((type->flags & ACTION_TLS) != 0)
        s->policy->ends_tls = true;
}

/* The type of an action that has one of the flags, unless it was told to go on; else NULL. */
static const struct action_type *type_with(const struct doc_node *action, unsigned flags)
{
    const struct doc_node *name = doc_find(action, "type");
    const struct doc_node *on_error = doc_find(doc_find(action, "config"), "on_error");
    const struct action_type *type;

    if (name == NULL || name->kind != DOC_SCALAR)
        return NULL;
    type = action_type_find(name->text);
    if (type == NULL || (type->flags & flags) == 0)
        return NULL;
    return on_error == NULL || !str_eq(on_error->text, STR("continue")) ? type : NULL;
}

/* Actions behind one that always ends the phase never run (D3: a warning, examples do it). */
static void warn_unreachable(struct policy_compiler *c, const struct doc_node *actions)
{
    const struct action_type *ended = NULL;

    c->depth = COMPILER_ACTION;
    for (c->action = 0; c->action < actions->count; c->action++) {
        const struct doc_node *action = actions->items[c->action];

        if (ended != NULL) {
            compiler_warn(c, action->at, "",
                          "it can never run, because %s before it ends the phase", ended->name);
            return;
        }
        ended = type_with(action, ACTION_ENDS);
    }
}

static bool has_end(const struct doc_node *actions)
{
    for (size_t i = 0; i < actions->count; i++) {
        if (type_with(actions->items[i], ACTION_ENDS | ACTION_ANSWERS) != NULL)
            return true;
    }
    return false;
}

/* ---- rules ----------------------------------------------------------------------------------- */

static void compile_expression(struct policy_compiler *c, struct compiled_rule *rule,
                               const struct doc_node *node, size_t index)
{
    char field[HINT_BYTES];
    struct compiler_expression x = { .text = node->text,
                                     .node = node,
                                     .field = field,
                                     .code = E_POLICY_EXPRESSION,
                                     .want = cel_type_basic(CEL_T_BOOL) };
    struct cel_program *program;

    (void)snprintf(field, sizeof(field), "expressions[%zu]", index);
    if (node->kind != DOC_SCALAR || doc_is_null(node)) {
        (void)compiler_problem(c, node->at, field, E_POLICY_EXPRESSION,
                               node->kind == DOC_MAP ? "an expression with ': ' needs quotes"
                                                     : NULL,
                               "it must be a string, not %s", doc_kind_text(node));
        return;
    }
    program = compiler_program(c, &x);
    if (program != NULL)
        rule->expressions[rule->expression_count++] = program;
}

static void compile_expressions(struct policy_compiler *c, struct compiled_rule *rule,
                                const struct doc_node *list)
{
    size_t count;

    if (is_absent(list))
        return;
    if (list->kind != DOC_LIST) {
        (void)compiler_problem(c, list->at, "expressions", E_POLICY_DOCUMENT,
                               "write '- EXPRESSION' below it", "it must be a list, not %s",
                               doc_kind_text(list));
        return;
    }
    count = count_list(c, list, "expressions", "expressions",
                       c->params->limits->policy_expressions_max);
    rule->expressions = mem_zalloc_array(count + 1, sizeof(struct cel_program *));
    for (size_t i = 0; i < count; i++)
        compile_expression(c, rule, list->items[i], i);
}

static void compile_actions(struct policy_compile_state *s, struct policy_compiler *c,
                            struct compiled_rule *rule, const struct doc_node *node)
{
    const struct doc_node *actions = doc_find(node, "actions");
    size_t count;

    if (!is_absent(actions) && actions->kind != DOC_LIST) {
        (void)compiler_problem(c, actions->at, "actions", E_POLICY_DOCUMENT,
                               "write '- type: NAME' below it", "it must be a list, not %s",
                               doc_kind_text(actions));
        return;
    }
    if (is_absent(actions) || actions->count == 0) {
        (void)compiler_problem(c, node->at, "", E_POLICY_NO_ACTION,
                               doc_find(node, "type") != NULL
                                   ? "put it into the list of a rule: '- actions: [{type: ...}]'"
                                   : NULL,
                               "a rule needs at least one action");
        return;
    }
    count = count_list(c, actions, "actions", "actions", c->params->limits->policy_actions_max);
    rule->actions = mem_zalloc_array(count + 1, sizeof(*rule->actions));
    for (c->action = 0; c->action < count; c->action++)
        compile_action(s, c, rule, actions->items[c->action]);
    rule->ends = has_end(actions);
    warn_unreachable(c, actions);
    c->depth = COMPILER_RULE;
}

static const char *hint_for_rule(const struct doc_node *rule)
{
    return doc_find(rule, "if") != NULL ? "conditions stand in the list 'expressions'"
                                        : "a rule has a name, expressions and actions";
}

static void compile_rule(struct policy_compile_state *s, struct policy_compiler *c,
                         struct compiled_rule *rule, const struct doc_node *node)
{
    static const char *const known[] = { "name", "expressions", "actions", NULL };
    static const char *const action[] = {
        "name", "expressions", "actions", "type", "config", NULL
    };
    const struct doc_node *name = doc_find(node, "name");

    c->depth = COMPILER_RULE;
    c->rule_name = STR_NONE;
    rule->index = c->rule;
    if (node->kind != DOC_MAP) {
        (void)compiler_problem(c, node->at, "", E_POLICY_DOCUMENT, NULL,
                               "a rule must be a mapping, not %s", doc_kind_text(node));
        return;
    }
    if (!is_absent(name) && name->kind == DOC_SCALAR) {
        c->rule_name = name->text;
        rule->name = str_dup(name->text);
    } else if (!is_absent(name)) {
        (void)compiler_problem(c, name->at, "name", E_POLICY_DOCUMENT, NULL,
                               "it must be a string, not %s", doc_kind_text(name));
    }
    /* A rule that is an action itself is said to be one, not to have unknown keys. */
    check_keys(c, node, doc_find(node, "actions") == NULL ? action : known, hint_for_rule(node));
    compile_expressions(c, rule, doc_find(node, "expressions"));
    compile_actions(s, c, rule, node);
    c->rule_name = STR_NONE;
}

/* ---- phases ---------------------------------------------------------------------------------- */

static void compile_phase(struct policy_compile_state *s, struct policy_compiler *c,
                          const struct doc_node *rules)
{
    struct compiled_phase *phase = &s->policy->phases[c->phase];
    uint64_t max = s->params->limits->policy_rules_max;

    c->depth = COMPILER_PHASE;
    if (is_absent(rules))
        return;
    if (rules->kind != DOC_LIST) {
        (void)compiler_problem(c, rules->at, "", E_POLICY_DOCUMENT,
                               "write '- actions: ...' below it",
                               "it must be a list of rules, not %s", doc_kind_text(rules));
        return;
    }
    s->rules += rules->count;
    if (s->rules > max) {
        (void)compiler_problem(c, rules->at, "", E_POLICY_RULES, NULL,
                               "the policy has more than %llu rules", (unsigned long long)max);
        return;
    }
    if (rules->count > 0)
        phase->digest = digest_node(phase->digest, rules);
    phase->rules =
        mem_realloc(phase->rules, (phase->count + rules->count + 1) * sizeof(*phase->rules));
    for (c->rule = 0; c->rule < rules->count; c->rule++) {
        struct compiled_rule *rule = &phase->rules[phase->count++];

        *rule = (struct compiled_rule){ .index = c->rule };
        compile_rule(s, c, rule, rules->items[c->rule]);
    }
}

/* Old names of phases (spec traffic-policy 1.8, D6). */
static bool find_alias(const struct policy_compiler *c, struct str key, enum policy_phase *out)
{
    unsigned protocols = c->params->protocols;

    if (str_eq(key, STR("outbound"))) {
        *out = POLICY_ON_HTTP_RESPONSE;
        return true;
    }
    if (!str_eq(key, STR("inbound")))
        return false;
    *out = protocols != 0 && (protocols & (POLICY_HTTP | POLICY_HTTPS)) == 0
               ? POLICY_ON_TCP_CONNECT
               : POLICY_ON_HTTP_REQUEST;
    return true;
}

static bool find_phase(struct str key, enum policy_phase *out)
{
    for (unsigned i = 0; i < POLICY_PHASE_COUNT; i++) {
        if (str_eq(key, str_from(policy_phase_name((enum policy_phase)i)))) {
            *out = (enum policy_phase)i;
            return true;
        }
    }
    return false;
}

static void check_protocol(const struct policy_compiler *c, const struct doc_node *key,
                           const struct doc_node *rules)
{
    if (c->phase == POLICY_ON_TCP_CONNECT || rules->count == 0 ||
        (c->params->protocols & (POLICY_TLS | POLICY_TCP)) == 0)
        return;
    (void)compiler_problem(c, key->at, "", E_POLICY_PHASE_PROTOCOL, NULL,
                           "tls and tcp endpoints only have on_tcp_connect");
}

struct phase_names {
    bool old;
    bool current;
};

static void compile_entry(struct policy_compile_state *s, struct policy_compiler *c,
                          const struct doc_node *key, const struct doc_node *rules,
                          struct phase_names *seen)
{
    c->depth = COMPILER_DOCUMENT;
    if (find_phase(key->text, &c->phase)) {
        seen->current = true;
    } else if (find_alias(c, key->text, &c->phase)) {
        seen->old = true;
        compiler_warn(c, key->at, "", "'%.*s' is an old name of '%s'", STR_ARG(key->text),
                      policy_phase_name(c->phase));
    } else {
        (void)compiler_problem(c, key->at, "", E_POLICY_DOCUMENT,
                               "a policy has on_tcp_connect, on_http_request, on_http_response and "
                               "on_event_stream_message",
                               "unknown key '%.*s'",
                               STR_ARG(str_slice(key->text, 0, QUOTED_MAX_BYTES)));
        return;
    }
    if (seen->old && seen->current)
        (void)compiler_problem(c, key->at, "", E_POLICY_DOCUMENT, NULL,
                               "old and new names of phases in one policy");
    c->depth = COMPILER_PHASE;
    check_protocol(c, key, rules);
    compile_phase(s, c, rules);
}

void compile_document(struct policy_compile_state *s, const struct policy_document *document)
{
    const struct doc_node *root = document->root;
    struct policy_compiler c = { .params = s->params,
                                 .problems = s->problems,
                                 .policy = s->policy,
                                 .document = document->name };
    struct phase_names seen = { false, false };

    if (is_absent(root))
        return;
    if (root->kind != DOC_MAP) {
        (void)compiler_problem(&c, root->at, "", E_POLICY_DOCUMENT, NULL,
                               "a policy must be a mapping of phases, not %s", doc_kind_text(root));
        return;
    }
    for (size_t i = 0; i < root->count; i++)
        compile_entry(s, &c, root->keys[i], root->items[i], &seen);
}
