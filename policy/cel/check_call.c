#include <assert.h>

#include "base/buf.h"
#include "policy/cel/check_int.h"

/*
 * Each overload of the name is tried from the same state: what one binds is undone before the next,
 * so the order of rows in a library means nothing. When one alone fits it is tried once more for
 * good. When several do (a dyn argument), nothing is learned about the arguments.
 */

/* ---- signatures ---- */

enum { INSTANCE_PARAMS_MAX = 26 }; /* capital letters */

/* The variables that stand for the type parameters of one call, by letter. */
struct instance {
    const struct cel_type *variables[INSTANCE_PARAMS_MAX];
};

static const struct cel_type *instantiate(struct checker *c, struct instance *in,
                                          const struct cel_type *t)
{
    const struct cel_type *params[CEL_TYPE_PARAMS_MAX];
    bool is_same = true;

    if (t->kind == CEL_T_PARAM) {
        size_t letter = (size_t)(t->name.p[0] - 'A');

        assert(letter < INSTANCE_PARAMS_MAX);
        if (in->variables[letter] == NULL)
            in->variables[letter] = unify_fresh(&c->unifier);
        return in->variables[letter];
    }
    for (size_t i = 0; i < t->count; i++) {
        params[i] = instantiate(c, in, t->params[i]);
        is_same = is_same && params[i] == t->params[i];
    }
    return is_same ? t : cel_type_with_params(&c->scratch, t, params);
}

const struct cel_type *check_instance(struct checker *c, const struct cel_type *t)
{
    struct instance in = { 0 };

    return instantiate(c, &in, t);
}

/* ---- a call ---- */

struct call {
    struct cel_node *node;
    struct str name; /* of the function */
    bool method;
    bool is_known;                 /* there are overloads of the name in this style */
    const struct cel_type **types; /* of the receiver, if there is one, and the arguments */
    size_t count;
    const struct cel_overload **overloads; /* of the name, style and number of arguments */
    size_t overload_count;
};

static bool has_arity(const struct cel_overload *o, size_t count)
{
    return o->variadic ? count >= o->count : count == o->count;
}

static void collect(struct checker *c, struct call *call, const struct cel_env_function *f)
{
    if (f == NULL)
        return;
    call->name = f->name;
    call->overloads = arena_alloc(c->params->arena, f->count * sizeof(struct cel_overload *));
    for (size_t i = 0; i < f->count; i++) {
        if (f->overloads[i]->method != call->method)
            continue;
        call->is_known = true;
        if (has_arity(f->overloads[i], call->count))
            call->overloads[call->overload_count++] = f->overloads[i];
    }
}

/* The function of the chain and the name in a.b.f(x), if there is one (math.abs). */
static const struct cel_env_function *find_qualified(struct checker *c, const struct cel_node *n,
                                                     struct str *name)
{
    struct cel_node *root;
    struct str chain = check_chain(c, n->as.call.target, &root);

    if (chain.n == 0)
        return NULL;
    *name = arena_fmt(&c->scratch, "%.*s.%.*s", STR_ARG(chain), STR_ARG(n->as.call.name));
    return cel_env_find_function(c->params->env, &c->scratch, *name, root->as.ident.rooted);
}

/* x.f() of an x that means nothing, where functions are called x.g(): f is what is misspelled. */
static bool is_unknown_qualified(struct checker *c, const struct cel_node *n)
{
    struct cel_node *root;
    struct str chain = check_chain(c, n->as.call.target, &root);

    return chain.n > 0 && check_is_function_namespace(c, chain) && !check_is_namespace(c, chain) &&
           !check_is_known(c, chain, root->as.ident.rooted);
}

static void find_overloads(struct checker *c, struct cel_node *n, struct call *call)
{
    const struct cel_env_function *f = NULL;
    struct str qualified = STR_NONE;

    if (n->as.call.target == NULL) {
        f = cel_env_find_function(c->params->env, &c->scratch, call->name, n->as.call.rooted);
        collect(c, call, f);
        return;
    }
    f = find_qualified(c, n, &qualified);
    if (f != NULL || is_unknown_qualified(c, n)) {
        call->name = qualified;
        n->as.call.target = NULL;
    } else {
        call->method = true;
        call->count++;
        f = cel_env_find_method(c->params->env, call->name);
    }
    collect(c, call, f);
}

/* The i-th of the receiver and the arguments. */
static struct cel_node *argument(const struct call *call, size_t i)
{
    const struct cel_node *n = call->node;

    if (call->method)
        return i == 0 ? n->as.call.target : n->as.call.args[i - 1];
    return n->as.call.args[i];
}

static bool check_arguments(struct checker *c, struct call *call)
{
    call->types = arena_alloc(&c->scratch, call->count * sizeof(struct cel_type *));
    for (size_t i = 0; i < call->count; i++) {
        call->types[i] = check_node(c, argument(call, i));
        if (call->types[i] == NULL)
            return false;
    }
    return true;
}

/* ---- messages ---- */

static struct str text_of_types(struct checker *c, const struct cel_type *const *types,
                                size_t count, const char *end)
{
    struct buf b;
    struct str text;

    buf_init(&b, sizeof(c->issue->text));
    buf_add_char(&b, '(');
    for (size_t i = 0; i < count; i++) {
        buf_add_str(&b, i > 0 ? STR(", ") : STR(""));
        buf_add_str(&b, check_text(c, types[i]));
    }
    buf_add_str(&b, str_from(end));
    text = arena_str(&c->scratch, buf_str(&b));
    buf_fini(&b);
    return text;
}

enum { SHOWN_FORMS_MAX = 3 };

/* What an overload takes behind its receiver: "(string, int)". */
static struct str text_of_form(struct checker *c, const struct cel_overload *o)
{
    size_t skip = o->method ? 1 : 0;

    return text_of_types(c, o->params + skip, o->count - skip, o->variadic ? "...)" : ")");
}

/* True if the overload is in the style of the call, and its receiver, if that is known, fits. */
static bool is_near(struct checker *c, const struct call *call, const struct cel_overload *o)
{
    if (o->method != call->method)
        return false;
    return !o->method || call->types == NULL ||
           unify_join(&c->unifier, check_instance(c, o->params[0]), call->types[0]) != NULL;
}

static bool is_among(struct str text, const struct str *texts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (str_eq(text, texts[i]))
            return true;
    }
    return false;
}

/* "; it takes (string) or (string, int)", when it is short. *near is how many overloads there are in
 * the style and of the receiver. */
static struct str text_of_forms(struct checker *c, const struct call *call, size_t *near)
{
    const struct cel_env_function *f = cel_env_find_method(c->params->env, call->name);
    struct str forms[SHOWN_FORMS_MAX + 1];
    size_t count = 0;
    struct str text = STR_NONE;

    *near = 0;
    for (size_t i = 0; f != NULL && i < f->count && count <= SHOWN_FORMS_MAX; i++) {
        if (!is_near(c, call, f->overloads[i]))
            continue;
        ++*near;
        forms[count] = text_of_form(c, f->overloads[i]);
        count += !is_among(forms[count], forms, count);
    }
    for (size_t i = 0; count <= SHOWN_FORMS_MAX && i < count; i++)
        text = arena_fmt(&c->scratch, "%.*s%s%.*s", STR_ARG(text), i == 0 ? "; it takes " : " or ",
                         STR_ARG(forms[i]));
    return text;
}

/* A host's word for what people expect here: sort(x, y) is sortBy. */
static struct str text_of_hint(struct checker *c, const struct call *call)
{
    struct str right = cel_env_find_hint(c->params->env, call->name);

    return right.n == 0 ? STR_NONE : arena_fmt(&c->scratch, "; did you mean %.*s?", STR_ARG(right));
}

static const struct cel_type *unknown_function(struct checker *c, const struct call *call)
{
    const struct cel_env_function *other =
        call->method ? cel_env_find_function(c->params->env, &c->scratch, call->name, false)
                     : cel_env_find_method(c->params->env, call->name);
    struct str name = call->name;

    if (other != NULL && call->method)
        return check_fail(c, call->node->at, "%.*s() is no method: write %.*s(x)", STR_ARG(name),
                          STR_ARG(name));
    if (other != NULL)
        return check_fail(c, call->node->at, "%.*s() is a method: write x.%.*s()", STR_ARG(name),
                          STR_ARG(name));
    return check_fail(c, call->node->at, "unknown function %.*s()%.*s", STR_ARG(name),
                      STR_ARG(check_offer_function(c, name, call->method)));
}

static const struct cel_type *wrong_count(struct checker *c, const struct call *call)
{
    size_t given = call->count - (call->method ? 1 : 0);
    struct str hint = text_of_hint(c, call);
    size_t near;

    if (hint.n == 0)
        hint = text_of_forms(c, call, &near);
    return check_fail(c, call->node->at, "%.*s() does not take %zu argument%s%.*s",
                      STR_ARG(call->name), given, given == 1 ? "" : "s", STR_ARG(hint));
}

/* "+" of "_+_", "in" of "_in_"; "[_]" of "_[_]". Empty: it is no operator. */
static struct str operator_sign(struct str name)
{
    struct str sign = name;

    while (sign.n > 0 && sign.p[0] == '_')
        sign = str_skip(sign, 1);
    while (sign.n > 0 && sign.p[sign.n - 1] == '_')
        sign.n--;
    return sign.n < name.n ? sign : STR_NONE;
}

static const struct cel_type *wrong_operands(struct checker *c, const struct call *call)
{
    uint32_t at = call->node->at;
    struct str sign = operator_sign(call->name);
    struct str left = check_text(c, call->types[0]);
    struct str right;

    if (call->count == 1)
        return check_fail(c, at, "cannot apply '%.*s' to %.*s", STR_ARG(sign), STR_ARG(left));
    right = check_text(c, call->types[1]);
    if (str_starts(call->name, STR("_[")))
        return check_fail(c, at, "cannot index %.*s with %.*s", STR_ARG(left), STR_ARG(right));
    return check_fail(c, at, "cannot apply '%.*s' to %.*s and %.*s", STR_ARG(sign), STR_ARG(left),
                      STR_ARG(right));
}

static const struct cel_type *wrong_types(struct checker *c, const struct call *call)
{
    uint32_t at = call->node->at;
    size_t skip = call->method ? 1 : 0;
    struct str given;
    struct str forms;
    size_t near;

    if (operator_sign(call->name).n > 0)
        return wrong_operands(c, call);
    forms = text_of_forms(c, call, &near);
    if (near == 0)
        return check_fail(c, at, "%.*s has no method %.*s()%.*s",
                          STR_ARG(check_text(c, call->types[0])), STR_ARG(call->name),
                          STR_ARG(text_of_hint(c, call)));
    given = text_of_types(c, call->types + skip, call->count - skip, ")");
    return check_fail(c, at, "%.*s() does not take %.*s%.*s", STR_ARG(call->name), STR_ARG(given),
                      STR_ARG(forms));
}

/* ---- which overloads fit ---- */

/* The result type if the overload fits; what it binds stays. NULL: it does not. */
static const struct cel_type *fit(struct checker *c, const struct call *call,
                                  const struct cel_overload *o)
{
    struct instance in = { 0 };

    for (size_t i = 0; i < call->count; i++) {
        size_t k = i < o->count ? i : o->count - 1;

        if (!unify(&c->unifier, instantiate(c, &in, o->params[k]), call->types[i]))
            return NULL;
    }
    return instantiate(c, &in, o->result);
}

/* Keeps of call->overloads those that fit. The result type when they agree on it, else dyn; NULL when
 * none does. */
static const struct cel_type *keep_fitting(struct checker *c, struct call *call)
{
    const struct cel_type *result = NULL;
    size_t kept = 0;

    for (size_t i = 0; i < call->overload_count; i++) {
        struct unify_mark mark = unify_mark(&c->unifier);
        const struct cel_type *t = fit(c, call, call->overloads[i]);

        if (t != NULL) {
            t = unify_deep(&c->unifier, &c->scratch, t, mark.variables);
            if (result != NULL && !cel_type_equal(result, t))
                t = cel_type_basic(CEL_T_DYN);
            result = t;
            call->overloads[kept++] = call->overloads[i];
        }
        unify_undo(&c->unifier, mark);
    }
    call->overload_count = kept;
    return result;
}

static const struct cel_type *select_overloads(struct checker *c, struct call *call)
{
    const struct cel_type *result = keep_fitting(c, call);

    if (result == NULL)
        return wrong_types(c, call);
    return call->overload_count == 1 ? fit(c, call, call->overloads[0]) : result;
}

/* In unchecked mode: what cannot be called is an error when it is evaluated. */
static const struct cel_type *become_error(struct checker *c, struct cel_node *n)
{
    n->kind = CEL_NODE_ERROR;
    n->as.text = arena_str(c->params->arena, str_from(c->issue->text));
    return cel_type_basic(CEL_T_DYN);
}

static const struct cel_type *refuse(struct checker *c, struct call *call)
{
    (void)(call->is_known ? wrong_count(c, call) : unknown_function(c, call));
    return check_is_off(c) ? become_error(c, call->node) : NULL;
}

const struct cel_type *check_call(struct checker *c, struct cel_node *n)
{
    struct call call = { .node = n, .name = n->as.call.name, .count = n->as.call.count };
    const struct cel_type *result;

    find_overloads(c, n, &call);
    /* An unknown receiver explains more than an unknown method. */
    if (call.overload_count == 0 && call.method && check_node(c, n->as.call.target) == NULL)
        return NULL;
    if (call.overload_count == 0)
        return refuse(c, &call);
    if (!check_arguments(c, &call))
        return NULL;
    result = select_overloads(c, &call);
    if (result == NULL)
        return NULL;
    n->as.call.name = call.name;
    n->as.call.overloads = call.overloads;
    n->as.call.overload_count = call.overload_count;
    return check_is_off(c) || check_constants(c, n) ? result : NULL;
}
