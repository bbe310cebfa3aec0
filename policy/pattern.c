#include "policy/pattern.h"

#include "base/mem.h"
#include "policy/action.h"
#include "policy/local.h"
#include "policy/template_int.h"

struct pattern {
    struct template *text; /* owned */
    struct regex *regex;   /* owned; NULL: the text has ${} */
};

struct pattern *pattern_compile(const struct field *f, struct template *text)
{
    struct pattern *p = mem_zalloc(sizeof(*p));
    char message[REGEX_MESSAGE_BYTES];
    struct str literal;

    p->text = text;
    if (!template_is_literal(text, &literal))
        return p;
    p->regex = regex_new_within(field_patterns(f), literal, message);
    if (p->regex != NULL)
        return p;
    (void)field_problem(f, E_POLICY_REGEX, "invalid regular expression: %s", message);
    pattern_free(p);
    return NULL;
}

void pattern_free(struct pattern *p)
{
    if (p == NULL)
        return;
    template_free(p->text);
    regex_free(p->regex);
    mem_free(p);
}

const struct regex *pattern_get(const struct pattern *p, struct action_run *run, struct err *e)
{
    char message[REGEX_MESSAGE_BYTES];
    const struct regex *regex;
    struct str text;

    if (p->regex != NULL)
        return p->regex;
    if (template_text(p->text, run, &text, e) == -1)
        return NULL;
    regex = regex_cache_get(policy_local_regexes(run->local), text, message);
    /* RE2's message may quote the pattern, which may hold what must not be shown. */
    if (regex == NULL)
        (void)err_set(e, E_POLICY_REGEX, "the computed regular expression is invalid or too long");
    return regex;
}
