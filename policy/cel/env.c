#include "policy/cel/env.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "policy/cel/env_int.h"

/*
 * Signatures are text in the tables and are read once here, so that a library's row stays one line
 * that a person can read. Everything is in one arena; the three hash tables only link into it.
 * A table that cannot be read is our own mistake and ends in an assertion.
 */

/* Type names as values (spec cel 2). `text` is the type that the value denotes. */
static const struct {
    struct str name;
    const char *text;
} type_names[] = {
    { STR_INIT("bool"), "type(bool)" },
    { STR_INIT("int"), "type(int)" },
    { STR_INIT("uint"), "type(uint)" },
    { STR_INIT("double"), "type(double)" },
    { STR_INIT("string"), "type(string)" },
    { STR_INIT("bytes"), "type(bytes)" },
    { STR_INIT("list"), "type(list(dyn))" },
    { STR_INIT("map"), "type(map(dyn,dyn))" },
    { STR_INIT("null_type"), "type(null)" },
    { STR_INIT("type"), "type(type)" },
    { STR_INIT("google.protobuf.Timestamp"), "type(timestamp)" },
    { STR_INIT("google.protobuf.Duration"), "type(duration)" },
    { STR_INIT("optional_type"), "type(optional_type(dyn))" },
    { STR_INIT("net.IP"), "type(net.IP)" },
    { STR_INIT("net.CIDR"), "type(net.CIDR)" },
};

/* ---- names ---- */

static const struct cel_type *env_type(struct cel_env *env, const char *text)
{
    struct str rest = str_from(text);
    const struct cel_type *t = cel_type_parse(&env->arena, &rest, env->objects);

    return rest.n == 0 ? t : NULL;
}

static struct cel_env_name *find_exact(const struct cel_env *env, struct str name)
{
    struct cel_env_name *found;

    HASH_FIND(hh, env->names, name.p, name.n, found);
    return found;
}

static void add_name(struct cel_env *env, struct str name, const struct cel_type *type,
                     struct cel_ref ref)
{
    struct cel_env_name *n = find_exact(env, name);

    if (n == NULL) {
        n = arena_zalloc(&env->arena, sizeof(*n));
        n->name = name;
        HASH_ADD_KEYPTR(hh, env->names, n->name.p, n->name.n, n);
    }
    n->type = type;
    n->ref = ref;
}

static void add_type_names(struct cel_env *env)
{
    for (size_t i = 0; i < sizeof(type_names) / sizeof(type_names[0]); i++) {
        struct cel_ref ref = { .kind = CEL_REF_VALUE, .value = cel_type_value(type_names[i].name) };

        add_name(env, type_names[i].name, env_type(env, type_names[i].text), ref);
    }
}

void cel_env_add_var_type(struct cel_env *env, struct str name, const struct cel_type *type,
                          unsigned slot)
{
    add_name(env, name, type, (struct cel_ref){ .kind = CEL_REF_SLOT, .index = slot });
}

int cel_env_add_var(struct cel_env *env, struct str name, const char *type, unsigned slot)
{
    const struct cel_type *t = env_type(env, type);

    if (t == NULL)
        return -1;
    cel_env_add_var_type(env, name, t, slot);
    return 0;
}

/* ---- functions ---- */

void cel_env_add_overload(struct cel_env *env, const struct cel_overload *overload)
{
    struct cel_overload *o = arena_alloc(&env->arena, sizeof(*o));
    struct cel_env_function *f;

    *o = *overload;
    HASH_FIND(hh, env->functions, o->name.p, o->name.n, f);
    if (f == NULL) {
        f = arena_zalloc(&env->arena, sizeof(*f));
        f->name = o->name;
        HASH_ADD_KEYPTR(hh, env->functions, f->name.p, f->name.n, f);
    }
    if (f->count == f->capacity) {
        f->capacity = f->capacity > 0 ? f->capacity * 2 : 4;
        f->overloads = mem_realloc(f->overloads, f->capacity * sizeof(*f->overloads));
    }
    f->overloads[f->count++] = o;
}

/* "string." of "string.contains(...)": the type of a receiver; NULL leaves *rest alone. */
static const struct cel_type *parse_receiver(struct cel_env *env, struct str *rest)
{
    struct str behind = *rest;
    const struct cel_type *t = cel_type_parse(&env->arena, &behind, env->objects);

    if (t == NULL || behind.n == 0 || behind.p[0] != '.')
        return NULL;
    *rest = str_skip(behind, 1);
    return t;
}

static bool skip_text(struct str *rest, struct str text)
{
    if (!str_starts(*rest, text))
        return false;
    *rest = str_skip(*rest, text.n);
    return true;
}

enum { PARAMS_MAX = 8 };

/* "(int, T...) -> T", behind the name. */
static bool parse_params(struct cel_env *env, struct str *rest, struct cel_overload *o)
{
    const struct cel_type **params = arena_alloc(&env->arena, PARAMS_MAX * sizeof(*params));

    if (o->method)
        params[0] = o->params[0];
    o->params = params;
    if (!skip_text(rest, STR("(")))
        return false;
    while (!skip_text(rest, STR(")"))) {
        if (o->variadic || o->count == PARAMS_MAX)
            return false;
        params[o->count] = cel_type_parse(&env->arena, rest, env->objects);
        if (params[o->count++] == NULL)
            return false;
        o->variadic = skip_text(rest, STR("..."));
        (void)skip_text(rest, STR(", ")); /* there may be none, or no more */
    }
    if (!skip_text(rest, STR(" -> ")))
        return false;
    o->result = cel_type_parse(&env->arena, rest, env->objects);
    return o->result != NULL && rest->n == 0;
}

static bool add_row(struct cel_env *env, const struct cel_fn_row *row)
{
    struct str rest = str_from(row->signature);
    struct cel_overload o = { .row = row };
    const struct cel_type *receiver = parse_receiver(env, &rest);
    size_t open = str_find_char(rest, '(');

    if (receiver != NULL) {
        o.method = true;
        o.count = 1;
        o.params = &receiver;
    }
    o.name = str_slice(rest, 0, open);
    rest = str_skip(rest, open);
    if (o.name.n == 0 || !parse_params(env, &rest, &o))
        return false;
    cel_env_add_overload(env, &o);
    return true;
}

/* ---- an environment ---- */

static void check_objects(struct cel_env *env)
{
    for (size_t i = 0; env->objects != NULL && env->objects[i] != NULL; i++) {
        for (size_t k = 0; k < env->objects[i]->field_count; k++)
            assert(env_type(env, env->objects[i]->fields[k].type) != NULL);
    }
}

struct cel_env *cel_env_new(const struct cel_env_params *params)
{
    struct cel_env *env = mem_zalloc(sizeof(*env));

    arena_init(&env->arena);
    env->container = arena_str(&env->arena, params->container);
    env->objects = params->objects;
    check_objects(env);
    add_type_names(env);
    for (size_t i = 0; params->libraries != NULL && params->libraries[i] != NULL; i++) {
        const struct cel_library *library = params->libraries[i];

        for (size_t k = 0; k < library->count; k++) {
            bool is_signature = add_row(env, &library->rows[k]);

            assert(is_signature);
        }
    }
    return env;
}

void cel_env_free(struct cel_env *env)
{
    struct cel_env_function *f;

    if (env == NULL)
        return;
    for (f = env->functions; f != NULL; f = f->hh.next)
        mem_free(f->overloads);
    HASH_CLEAR(hh, env->names);
    HASH_CLEAR(hh, env->functions);
    HASH_CLEAR(hh, env->hints);
    arena_fini(&env->arena);
    mem_free(env);
}

struct arena *cel_env_arena(struct cel_env *env)
{
    return &env->arena;
}

void cel_env_add_hint(struct cel_env *env, const char *wrong, const char *right)
{
    struct cel_env_hint *h = arena_zalloc(&env->arena, sizeof(*h));

    h->wrong = str_from(wrong);
    h->right = str_from(right);
    HASH_ADD_KEYPTR(hh, env->hints, h->wrong.p, h->wrong.n, h);
}

/* ---- looking up ---- */

/*
 * The next candidate of a name in a container, longest first: *prefix is the container at first,
 * then what is left of it. False when there is no other than the plain name.
 */
static bool next_candidate(struct str *prefix, struct arena *scratch, struct str name,
                           struct str *candidate)
{
    size_t dot = str_rfind_char(*prefix, '.');

    if (prefix->n == 0)
        return false;
    *candidate = arena_fmt(scratch, "%.*s.%.*s", STR_ARG(*prefix), STR_ARG(name));
    *prefix = dot < prefix->n ? str_slice(*prefix, 0, dot) : STR_NONE;
    return true;
}

const struct cel_env_name *cel_env_find_name(const struct cel_env *env, struct arena *scratch,
                                             struct str name, bool rooted)
{
    struct str prefix = rooted ? STR_NONE : env->container;
    struct str candidate;

    while (next_candidate(&prefix, scratch, name, &candidate)) {
        const struct cel_env_name *found = find_exact(env, candidate);

        if (found != NULL)
            return found;
    }
    return find_exact(env, name);
}

const struct cel_env_function *cel_env_find_method(const struct cel_env *env, struct str name)
{
    struct cel_env_function *found;

    HASH_FIND(hh, env->functions, name.p, name.n, found);
    return found;
}

const struct cel_env_function *cel_env_find_function(const struct cel_env *env,
                                                     struct arena *scratch, struct str name,
                                                     bool rooted)
{
    struct str prefix = rooted ? STR_NONE : env->container;
    struct str candidate;

    while (next_candidate(&prefix, scratch, name, &candidate)) {
        const struct cel_env_function *found = cel_env_find_method(env, candidate);

        if (found != NULL)
            return found;
    }
    return cel_env_find_method(env, name);
}

struct str cel_env_find_hint(const struct cel_env *env, struct str wrong)
{
    struct cel_env_hint *found;

    HASH_FIND(hh, env->hints, wrong.p, wrong.n, found);
    return found != NULL ? found->right : STR_NONE;
}
