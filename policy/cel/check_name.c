#include <string.h>

#include "policy/cel/check_int.h"

/*
 * A chain a.b.c is looked up whole, then a.b, then a: the longest declared name wins and what is
 * left are fields (spec cel 2; spec traffic-policy 3.3). The text of a chain is written once, its
 * prefixes are slices. Time is spent on a good message only when there is something to complain
 * about.
 */

/* ---- chains ---- */

/* Back-quoted fields such as `content-type` are no part of a variable's name. */
static bool is_plain_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!char_is_alpha(s.p[i]) && !char_is_digit(s.p[i]) && s.p[i] != '_')
            return false;
    }
    return s.n > 0;
}

const struct scope *check_find_local(const struct checker *c, const struct cel_node *n)
{
    const struct scope *s = c->scope;

    if (n->as.ident.rooted)
        return NULL;
    while (s != NULL && !str_eq(s->name, n->as.ident.name))
        s = s->outer;
    return s;
}

struct str check_chain(struct checker *c, struct cel_node *n, struct cel_node **root)
{
    struct cel_node *at = n;
    size_t bytes = 0;
    char *text;

    while (at->kind == CEL_NODE_SELECT && !at->as.select.optional &&
           is_plain_name(at->as.select.field)) {
        bytes += at->as.select.field.n + 1;
        at = at->as.select.operand;
    }
    if (at->kind != CEL_NODE_IDENT || at->ref.kind != CEL_REF_NONE ||
        check_find_local(c, at) != NULL)
        return STR_NONE;
    *root = at;
    bytes += at->as.ident.name.n;
    text = arena_alloc(&c->scratch, bytes);
    memcpy(text, at->as.ident.name.p, at->as.ident.name.n);
    for (size_t end = bytes; n != at; n = n->as.select.operand) {
        struct str field = n->as.select.field;

        end -= field.n + 1;
        text[end] = '.';
        memcpy(text + end + 1, field.p, field.n);
    }
    return str_of(text, bytes);
}

/* A chain without its last name; empty when there is but one. */
static struct str shorter(struct str chain)
{
    size_t dot = str_rfind_char(chain, '.');

    return dot < chain.n ? str_slice(chain, 0, dot) : STR_NONE;
}

bool check_is_known(struct checker *c, struct str chain, bool rooted)
{
    for (; chain.n > 0; chain = shorter(chain)) {
        if (cel_env_find_name(c->params->env, &c->scratch, chain, rooted) != NULL)
            return true;
    }
    return false;
}

static void become_variable(struct cel_node *n, const struct cel_env_name *name, uint32_t at)
{
    n->kind = CEL_NODE_IDENT;
    n->at = at;
    n->type = name->type;
    n->ref = name->ref;
    n->as.ident.name = name->name;
    n->as.ident.rooted = false;
}

/* What a chain that means nothing becomes in unchecked code. */
static bool become_error(struct checker *c, struct cel_node *n, struct str name)
{
    n->kind = CEL_NODE_ERROR;
    n->as.text = arena_fmt(c->params->arena, "unknown variable %.*s", STR_ARG(name));
    return true;
}

bool check_resolve(struct checker *c, struct cel_node *n)
{
    struct cel_node *root;
    struct str chain = check_chain(c, n, &root);
    struct str prefix = chain;
    bool rooted;

    if (chain.n == 0)
        return true;
    rooted = root->as.ident.rooted;
    for (; prefix.n > 0; prefix = shorter(prefix)) {
        const struct cel_env_name *found =
            cel_env_find_name(c->params->env, &c->scratch, prefix, rooted);

        if (found != NULL) {
            become_variable(n, found, root->at);
            return true;
        }
        if (n != root)
            n = n->as.select.operand;
    }
    if (check_is_off(c))
        return become_error(c, root, chain);
    (void)check_unknown(c, root->at, chain);
    return false;
}

bool check_resolve_field(struct checker *c, struct cel_node *n, struct str field)
{
    struct cel_node *root;
    struct str chain = check_chain(c, n, &root);
    const struct cel_env_name *found;

    if (chain.n == 0 || !is_plain_name(field))
        return false;
    chain = arena_fmt(&c->scratch, "%.*s.%.*s", STR_ARG(chain), STR_ARG(field));
    found = cel_env_find_name(c->params->env, &c->scratch, chain, root->as.ident.rooted);
    if (found == NULL)
        return false;
    become_variable(n, found, root->at);
    return true;
}

/* ---- what to offer instead ---- */

static struct str first_word(struct str name)
{
    return str_slice(name, 0, str_find_char(name, '.'));
}

static struct str last_word(struct str name)
{
    size_t dot = str_rfind_char(name, '.');

    return dot < name.n ? str_skip(name, dot + 1) : name;
}

static bool is_below(struct str name, struct str prefix)
{
    return name.n > prefix.n && str_starts(name, prefix) && name.p[prefix.n] == '.';
}

bool check_is_namespace(const struct checker *c, struct str name)
{
    for (const struct cel_env_name *n = c->params->env->names; n != NULL; n = n->hh.next) {
        if (n->ref.kind == CEL_REF_SLOT && is_below(n->name, name))
            return true;
    }
    return false;
}

bool check_is_function_namespace(const struct checker *c, struct str name)
{
    const struct cel_env_function *f;

    for (f = c->params->env->functions; f != NULL; f = f->hh.next) {
        if (is_below(f->name, first_word(name)))
            return true;
    }
    return false;
}

/* The best of the names seen so far. */
struct search {
    struct str wrong;
    struct str best;
    size_t distance; /* of best */
};

static void search_init(struct search *s, struct str wrong)
{
    size_t most = CHECK_HINT_DISTANCE;

    /* From a name of four letters nearly every other one is three edits away. */
    if (most > (wrong.n + 2) / 4)
        most = (wrong.n + 2) / 4;
    *s = (struct search){ .wrong = wrong, .distance = most + 1 };
}

static void search_try(struct search *s, struct str name)
{
    size_t distance = str_distance(s->wrong, name);

    if (distance < s->distance && !is_below(s->wrong, name)) {
        s->distance = distance;
        s->best = name;
    }
}

/* "req.path" for req.url.path: the ends are right and something is left out between them. */
static bool has_same_ends(struct str a, struct str b)
{
    return first_word(a).n < a.n && first_word(b).n < b.n && str_eq(first_word(a), first_word(b)) &&
           str_eq(last_word(a), last_word(b));
}

static struct str find_same_ends(const struct checker *c, struct str wrong)
{
    struct str best = STR_NONE;

    for (const struct cel_env_name *n = c->params->env->names; n != NULL; n = n->hh.next) {
        if (n->ref.kind == CEL_REF_SLOT && has_same_ends(n->name, wrong) &&
            (best.n == 0 || n->name.n < best.n))
            best = n->name;
    }
    return best;
}

static struct str nearest_variable(const struct checker *c, struct str wrong)
{
    struct str best = find_same_ends(c, wrong);
    struct search s;

    if (best.n > 0)
        return best;
    search_init(&s, wrong);
    for (const struct scope *scope = c->scope; scope != NULL; scope = scope->outer)
        search_try(&s, scope->name);
    for (const struct cel_env_name *n = c->params->env->names; n != NULL; n = n->hh.next)
        search_try(&s, n->name);
    return s.best;
}

/* With the host's word for the first one: request.path is req.path. */
static struct str with_hint(struct checker *c, struct str name)
{
    struct str first = first_word(name);
    struct str right = cel_env_find_hint(c->params->env, first);

    if (right.n == 0)
        return name;
    return arena_fmt(&c->scratch, "%.*s%.*s", STR_ARG(right), STR_ARG(str_skip(name, first.n)));
}

static struct str find_variable_offer(struct checker *c, struct str name)
{
    struct str right = cel_env_find_hint(c->params->env, name);
    struct str better;
    struct str best;

    if (right.n > 0)
        return right;
    better = with_hint(c, name);
    if (better.p != name.p && check_is_known(c, better, true))
        return better;
    best = nearest_variable(c, better);
    if (best.n > 0 || better.p == name.p)
        return best;
    return first_word(better);
}

/* What is wrong in a chain: a.b of a.b.c when there are variables a.x. */
static struct str wrong_part(const struct checker *c, struct str chain)
{
    struct str wrong = chain;

    for (struct str prefix = shorter(chain); prefix.n > 0; prefix = shorter(prefix)) {
        if (check_is_namespace(c, prefix))
            return wrong;
        wrong = prefix;
    }
    return wrong;
}

static struct str first_below(const struct checker *c, struct str prefix)
{
    for (const struct cel_env_name *n = c->params->env->names; n != NULL; n = n->hh.next) {
        if (n->ref.kind == CEL_REF_SLOT && is_below(n->name, prefix))
            return n->name;
    }
    return STR_NONE;
}

const struct cel_type *check_unknown(struct checker *c, uint32_t at, struct str name)
{
    struct str below = first_below(c, name);
    struct str offer;

    if (below.n > 0)
        return check_fail(c, at,
                          "%.*s is no variable itself, only names below it are, such as %.*s",
                          STR_ARG(name), STR_ARG(below));
    offer = find_variable_offer(c, name);
    if (offer.n == 0) {
        name = wrong_part(c, name);
        offer = find_variable_offer(c, name);
    }
    if (offer.n == 0)
        return check_fail(c, at, "unknown variable %.*s", STR_ARG(name));
    return check_fail(c, at, "unknown variable %.*s; did you mean %.*s?", STR_ARG(name),
                      STR_ARG(offer));
}

static bool has_style(const struct cel_env_function *f, bool method)
{
    for (size_t i = 0; i < f->count; i++) {
        if (f->overloads[i]->method == method)
            return true;
    }
    return false;
}

struct str check_offer_function(struct checker *c, struct str name, bool method)
{
    struct str right = cel_env_find_hint(c->params->env, name);

    if (right.n == 0) {
        const struct cel_env_function *f;
        struct search s;

        search_init(&s, name);
        for (f = c->params->env->functions; f != NULL; f = f->hh.next) {
            if (has_style(f, method) && char_is_alpha(f->name.p[0]) && !str_eq(f->name, name))
                search_try(&s, f->name);
        }
        right = s.best;
    }
    if (right.n == 0)
        return STR_NONE;
    return arena_fmt(&c->scratch, "; did you mean %.*s?", STR_ARG(right));
}
