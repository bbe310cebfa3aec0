/*
 * user-agent-filter: lets requests pass by their User-Agent (spec endpoints 5.6, F23 and F24). What an
 * allowed pattern matches passes; what a denied one matches does not; what neither matches passes unless
 * there are allowed patterns only, which would admit everybody if the specification's words were taken
 * as they are. A request without the field passes only where an allowed pattern
 * matches the empty text, such as "^$". The first field counts.
 */
#include "base/mem.h"
#include "policy/action.h"

enum {
    PATTERNS_MAX = 32, /* of each list */
    /* Of all patterns together: with the longest agent, what a request may cost. */
    PATTERN_SIZES_MAX = 5000,
    PATTERN_WEIGHTS_MAX = 10000, /* likewise: what it may cost to compile them */
    AGENT_MAX_BYTES = 1024,      /* a longer one counts as none */
};

struct patterns {
    struct regex **items; /* owned; NULL where one was bad */
    size_t count;
};

struct user_agent_filter {
    struct patterns allow;
    struct patterns deny;
    size_t sizes; /* of all patterns */
};

/* ---- config ---------------------------------------------------------------------------------- */

/* What the patterns come to that were read so far. */
struct sums {
    size_t sizes;
    size_t weights;
};

static bool is_too_much(const struct sums *s)
{
    return s->sizes > PATTERN_SIZES_MAX || s->weights > PATTERN_WEIGHTS_MAX;
}

static struct regex *read_pattern(const struct field *f, struct sums *sums)
{
    char message[REGEX_MESSAGE_BYTES];
    struct str text;
    struct regex *regex;

    if (field_text(f, &text) == -1)
        return NULL;
    sums->weights += regex_weight(text);
    if (is_too_much(sums))
        return NULL;
    regex = regex_new_within(field_patterns(f), text, message);
    if (regex == NULL)
        (void)field_problem(f, E_POLICY_REGEX, "%s", message);
    else
        sums->sizes += regex_size(regex);
    return regex;
}

static void read_patterns(const struct fields *c, const char *key, struct patterns *out,
                          struct sums *sums)
{
    struct field list = fields_find(c, key);

    (void)field_list(&list, 0, PATTERNS_MAX, &out->count);
    out->items = mem_zalloc_array(out->count, sizeof(struct regex *));
    for (size_t i = 0; i < out->count; i++) {
        struct field item = field_item(&list, i);

        out->items[i] = read_pattern(&item, sums);
    }
}

void *user_agent_filter_compile(const struct fields *c)
{
    static const char *const known[] = { "allow", "deny", NULL };
    struct user_agent_filter *u = mem_zalloc(sizeof(*u));
    struct field allow = fields_find(c, "allow");
    struct sums sums = { 0, 0 };

    (void)fields_known(c, known);
    read_patterns(c, "allow", &u->allow, &sums);
    read_patterns(c, "deny", &u->deny, &sums);
    if (u->allow.count + u->deny.count == 0)
        (void)field_problem(&allow, E_POLICY_MISSING, "give at least one pattern in allow or deny");
    if (is_too_much(&sums))
        (void)field_problem(&allow, E_POLICY_REGEX, "the patterns are too large together");
    u->sizes = sums.sizes;
    return u;
}

static void patterns_fini(struct patterns *p)
{
    for (size_t i = 0; i < p->count; i++)
        regex_free(p->items[i]);
    mem_free(p->items);
}

void user_agent_filter_free(void *compiled)
{
    struct user_agent_filter *u = compiled;

    if (u == NULL)
        return;
    patterns_fini(&u->allow);
    patterns_fini(&u->deny);
    mem_free(u);
}

/* ---- run ------------------------------------------------------------------------------------- */

static bool matches_any(const struct patterns *p, struct str agent)
{
    for (size_t i = 0; i < p->count; i++) {
        if (regex_matches(p->items[i], agent))
            return true;
    }
    return false;
}

static bool admits(const struct user_agent_filter *u, struct str agent)
{
    if (matches_any(&u->allow, agent))
        return true;
    return agent.n > 0 && u->deny.count > 0 && !matches_any(&u->deny, agent);
}

enum policy_verdict user_agent_filter_run(const void *compiled, struct action_run *run)
{
    const struct user_agent_filter *u = compiled;
    struct str agent = run->host->header_find(run->ctx, POLICY_REQUEST, STR("user-agent"), 0);

    if (agent.p == NULL || agent.n > AGENT_MAX_BYTES)
        agent = STR("");
    if (!action_charge_regex(run, agent.n, u->sizes))
        return action_fail(run, E_POLICY_EVALUATION,
                           "user-agent-filter: the phase needs too many steps");
    if (admits(u, agent))
        return POLICY_CONTINUE;
    return action_fail(run, E_USER_AGENT, "this user agent may not use this endpoint");
}
