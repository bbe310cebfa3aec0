#include "policy/compiler.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/utf8.h"
#include "policy/compiled.h"
#include "policy/engine.h"
#include "policy/problems.h"
#include "policy/secrets.h"

enum { PATH_BYTES = 200, RULE_NAME_SHOWN_BYTES = 48 };

/* "on_http_request[1].actions[0].config.url: ", as far as the compiler is. */
static void format_path(const struct policy_compiler *c, const char *field, char out[PATH_BYTES])
{
    const char *phase = policy_phase_name(c->phase);
    const char *dot = field[0] == '\0' ? "" : ".";

    out[0] = '\0';
    switch (c->depth) {
    case COMPILER_DOCUMENT:
    case COMPILER_BARE:
        break;
    case COMPILER_PHASE:
        (void)snprintf(out, PATH_BYTES, "%s: ", phase);
        break;
    case COMPILER_RULE:
        (void)snprintf(out, PATH_BYTES, "%s[%zu]%s%s: ", phase, c->rule, dot, field);
        break;
    case COMPILER_ACTION:
        (void)snprintf(out, PATH_BYTES, "%s[%zu].actions[%zu]%s%s: ", phase, c->rule, c->action,
                       dot, field);
        break;
    case COMPILER_CONFIG:
        (void)snprintf(out, PATH_BYTES, "%s[%zu].actions[%zu].config%s%s: ", phase, c->rule,
                       c->action, dot, field);
        break;
    }
}

/* " (rule 'name')" for rules that have one. */
static void format_rule(const struct policy_compiler *c, char out[PATH_BYTES])
{
    out[0] = '\0';
    if (c->rule_name.n > 0)
        (void)snprintf(out, PATH_BYTES, " (rule '%.*s')",
                       STR_ARG(str_slice(c->rule_name, 0, RULE_NAME_SHOWN_BYTES)));
}

int compiler_problem(const struct policy_compiler *c, struct doc_place at, const char *field,
                     enum err_code code, const char *hint, const char *fmt, ...)
{
    char text[PROBLEM_TEXT_BYTES];
    char path[PATH_BYTES];
    char rule[PATH_BYTES];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    format_path(c, field, path);
    format_rule(c, rule);
    return problems_add(c->problems, c->document, at, code, hint, "%s%s%s", path, text, rule);
}

void compiler_warn(const struct policy_compiler *c, struct doc_place at, const char *field,
                   const char *fmt, ...)
{
    char text[PROBLEM_TEXT_BYTES];
    char path[PATH_BYTES];
    char rule[PATH_BYTES];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    format_path(c, field, path);
    format_rule(c, rule);
    problems_warn(c->problems, c->document, at, "%s%s%s", path, text, rule);
}

struct doc_place compiler_place(const struct doc_node *scalar, size_t at)
{
    struct doc_place place = scalar->at;

    if (scalar->verbatim && place.line > 0)
        place.column += (uint32_t)utf8_count(str_slice(scalar->text, 0, at));
    return place;
}

/* Hands warnings of the checker on. */
struct listener {
    const struct policy_compiler *compiler;
    const struct compiler_expression *expression;
};

static void on_warning(void *arg, uint32_t at, const char *text)
{
    const struct listener *l = arg;

    compiler_warn(l->compiler, compiler_place(l->expression->node, l->expression->at + at),
                  l->expression->field, "%s", text);
}

static void note_uses(struct policy *policy, const struct cel_program *program)
{
    for (unsigned i = 0; i < RESULT_SLOT_COUNT; i++) {
        if (cel_program_uses(program, RESULT_SLOT_FIRST + i))
            policy->results_read |= UINT64_C(1) << i;
    }
}

/* What a variable needs data for. */
static unsigned needs(unsigned slot)
{
    struct str name = str_from(policy_vars[slot].name);

    if (str_find(name, STR(".geo.")) < name.n || str_find(name, STR(".as.")) < name.n)
        return POLICY_LACKS_GEO;
    if (str_ends(name, STR(".categories")) || str_ends(name, STR(".is_on_blocklist")) ||
        str_ends(name, STR(".is_tor_node")))
        return POLICY_LACKS_IP_LISTS;
    return 0;
}

/* Once a policy for each kind of data that this gateway does not have (D56, D57). */
static void warn_lacks(const struct policy_compiler *c, const struct compiler_expression *x,
                       const struct cel_program *program)
{
    for (unsigned slot = 0; slot < POLICY_VAR_COUNT; slot++) {
        unsigned lacking;

        if (!cel_program_uses(program, slot))
            continue;
        lacking = needs(slot) & c->params->lacks & ~c->policy->lacks;
        if (lacking == 0)
            continue;
        c->policy->lacks |= lacking;
        compiler_warn(c, x->node->at, x->field, "%s is always empty: this gateway has no %s",
                      policy_vars[slot].name,
                      lacking == POLICY_LACKS_GEO ? "geo database" : "lists of addresses");
    }
}

static int report_issue(const struct policy_compiler *c, const struct compiler_expression *x,
                        const struct cel_issue *issue)
{
    struct doc_place place = compiler_place(x->node, x->at + issue->at);
    size_t at = x->at + issue->at;

    if (x->node->verbatim || at == 0)
        return compiler_problem(c, place, x->field, x->code, NULL, "%s", issue->text);
    return compiler_problem(c, place, x->field, x->code, NULL, "%s (at character %zu)", issue->text,
                            utf8_count(str_slice(x->node->text, 0, at)) + 1);
}

/* A program is some KiB however short its source is, and ${} has no limit of its own: all of them
 * together may be as many as the rules may have. */
static int count_program(struct policy_compiler *c, const struct compiler_expression *x)
{
    const struct policy_limits *limits = c->params->limits;
    uint64_t max = limits->policy_rules_max * limits->policy_expressions_max;

    if (c->policy == NULL)
        return 0;
    if (c->policy->programs == max)
        return compiler_problem(c, x->node->at, x->field, E_POLICY_TOO_MANY, NULL,
                                "the policy has more than %llu expressions",
                                (unsigned long long)max);
    c->policy->programs++;
    return 0;
}

struct regex_budget *compiler_patterns(const struct policy_compiler *c)
{
    return c->policy != NULL ? &c->policy->patterns : NULL;
}

struct cel_program *compiler_program(struct policy_compiler *c, const struct compiler_expression *x)
{
    struct cel_parse_limits limits = cel_default_parse_limits;
    struct listener listener = { c, x };
    struct cel_compile_params params = {
        .env = x->env != NULL ? x->env : c->params->engine->envs[c->phase],
        .limits = &limits,
        .check_flags = CEL_CHECK_HAS_INDEX,
        .want = x->want,
        .patterns = compiler_patterns(c),
        .warn = on_warning,
        .warn_arg = &listener,
    };
    struct cel_issue issue = { .at = 0 };
    struct cel_program *program;

    if (count_program(c, x) == -1)
        return NULL;
    limits.source_bytes = c->params->limits->policy_expression_max_bytes;
    program = cel_compile(&params, x->text, &issue);
    if (program == NULL) {
        (void)report_issue(c, x, &issue);
        return NULL;
    }
    if (secrets_check(c, x) == -1) {
        cel_program_free(program);
        return NULL;
    }
    if (c->policy != NULL) {
        note_uses(c->policy, program);
        warn_lacks(c, x, program);
    }
    return program;
}
