/*
 * program: an expression that is ready to be evaluated. The tree and its types are gone once it is
 * lowered: what a program needs of them is in its own arena.
 */
#include "base/mem.h"
#include "policy/cel/program_int.h"
#include "policy/regex.h"

/* What folding constants may cost in one program; what is above stays for the evaluation. */
static const struct cel_limits fold_limits = {
    .steps = 20000,
    .arena_bytes = 128 * 1024,
    .string_bytes = 16 * 1024,
    .entries = 10000,
    .value_depth = 64,
};

static const struct cel_type *copy_type(struct arena *a, const struct cel_type *t)
{
    struct cel_type *copy;

    if (t == NULL)
        return cel_type_basic(CEL_T_DYN);
    copy = arena_alloc(a, sizeof(*copy));
    *copy = *t;
    copy->name = arena_str(a, t->name);
    for (size_t i = 0; i < t->count; i++)
        copy->params[i] = copy_type(a, t->params[i]);
    return copy;
}

/* Parses and checks; the tree is in `a`. */
static struct cel_node *make_tree(const struct cel_compile_params *params, struct arena *a,
                                  struct str source, unsigned *locals, struct cel_issue *issue)
{
    struct cel_check_params check = {
        .env = params->env,
        .arena = a,
        .flags = params->check_flags,
        .want = params->want,
        .patterns = params->patterns,
        .warn = params->warn,
        .warn_arg = params->warn_arg,
    };
    struct cel_node *root =
        cel_parse(a, source, params->limits != NULL ? params->limits : &cel_default_parse_limits,
                  params->parse_flags, issue);

    if (root == NULL || cel_check(root, &check, locals, issue) == -1)
        return NULL;
    return root;
}

struct cel_program *cel_compile(const struct cel_compile_params *params, struct str source,
                                struct cel_issue *issue)
{
    struct cel_program *p = mem_zalloc(sizeof(*p));
    struct lowering l = { .program = p };
    struct cel_node *root;
    struct arena tree;

    arena_init(&tree);
    arena_init_small(&p->arena);
    l.source = arena_str(&p->arena, source);
    l.run = (struct cel_run){ .arena = &p->arena, .limits = &fold_limits };
    root = make_tree(params, &tree, l.source, &p->locals, issue);
    if (root == NULL)
        goto fail;
    p->root = lower_node(&l, root);
    p->type = copy_type(&p->arena, root->type);
    arena_fini(&tree);
    return p;
fail:
    arena_fini(&tree);
    cel_program_free(p);
    return NULL;
}

void cel_program_free(struct cel_program *p)
{
    if (p == NULL)
        return;
    for (struct cel_program_regex *r = p->regexes; r != NULL; r = r->next)
        regex_free(r->regex);
    arena_fini(&p->arena);
    mem_free(p);
}

const struct cel_type *cel_program_type(const struct cel_program *p)
{
    return p->type;
}

bool cel_program_uses(const struct cel_program *p, unsigned slot)
{
    const struct cel_program_slot *s = p->slots;

    while (s != NULL && s->slot != slot)
        s = s->next;
    return s != NULL;
}

bool cel_program_constant(const struct cel_program *p, struct cel_value *out)
{
    if (!lower_is_constant(p->root) || cel_is_error(p->root->as.value))
        return false;
    *out = p->root->as.value;
    return true;
}
