#include "policy/cel/check_int.h"
#include "policy/cel/format.h"
#include "policy/cel/run.h"
#include "policy/regex.h"

/*
 * Texts in a language of their own (patterns, times, addresses, formats) are tried when the
 * expression is loaded, if they are constants: a mistake in one would else show itself only when a
 * request comes that needs it (spec cel 11).
 */

static bool is_text(const struct cel_node *n)
{
    return n->kind == CEL_NODE_LITERAL && n->as.literal.kind == CEL_STRING;
}

static struct cel_node *last_argument(const struct cel_node *call)
{
    return call->as.call.args[call->as.call.count - 1];
}

static bool check_regex(struct checker *c, const struct cel_node *call)
{
    const struct cel_node *arg = last_argument(call);
    char message[REGEX_MESSAGE_BYTES];
    struct regex *r;

    if (!is_text(arg))
        return true;
    r = regex_new_within(c->params->patterns, cel_str(arg->as.literal), message);
    if (r == NULL)
        (void)check_fail(c, arg->at, "bad regular expression: %s", message);
    regex_free(r);
    return r != NULL;
}

/* Computes the call, which needs nothing but its constant. */
static bool check_value(struct checker *c, const struct cel_node *call)
{
    const struct cel_node *arg = last_argument(call);
    struct cel_run run = { .arena = &c->scratch, .limits = &cel_default_limits };
    const struct cel_overload *o = call->as.call.overloads[0];
    struct cel_value result;

    if (arg->kind != CEL_NODE_LITERAL || call->as.call.count != 1 || call->as.call.target != NULL)
        return true;
    if (call->as.call.overload_count != 1 || o->row == NULL)
        return true;
    result = o->row->fn(&run, &arg->as.literal, 1);
    if (!cel_is_error(result))
        return true;
    (void)check_fail(c, arg->at, "%.*s", STR_ARG(cel_str(result)));
    return false;
}

/* How many values a format gets; SIZE_MAX: that shows only when it is used. */
static size_t count_values(const struct cel_node *list)
{
    if (list->kind != CEL_NODE_LIST)
        return SIZE_MAX;
    for (size_t i = 0; i < list->as.entries.count; i++) {
        if (list->as.entries.items[i].optional)
            return SIZE_MAX;
    }
    return list->as.entries.count;
}

static bool check_format(struct checker *c, const struct cel_node *call)
{
    const struct cel_node *format = call->as.call.target;
    const struct cel_node *list = last_argument(call);
    size_t count = count_values(list);
    const struct cel_type **types = NULL;
    char message[sizeof(c->issue->text)];

    if (format == NULL || !is_text(format))
        return true;
    if (count != SIZE_MAX) {
        types = arena_alloc(&c->scratch, count * sizeof(struct cel_type *));
        for (size_t i = 0; i < count; i++)
            types[i] =
                unify_deep(&c->unifier, &c->scratch, list->as.entries.items[i].value->type, 0);
    }
    if (cel_format_check(cel_str(format->as.literal), count, types, message, sizeof(message)))
        return true;
    (void)check_fail(c, format->at, "%s", message);
    return false;
}

static void warn_limit(struct checker *c, const struct cel_node *call)
{
    const struct cel_node *arg = last_argument(call);

    if (c->params->warn == NULL || arg->kind != CEL_NODE_LITERAL ||
        arg->as.literal.kind != CEL_INT || arg->as.literal.as.i <= 0)
        return;
    c->params->warn(c->params->warn_arg, arg->at,
                    "the last piece keeps what is left of the text; it is not dropped");
}

bool check_constants(struct checker *c, const struct cel_node *n)
{
    unsigned flags = 0;

    if (n->as.call.count == 0)
        return true;
    for (size_t i = 0; i < n->as.call.overload_count; i++) {
        const struct cel_fn_row *row = n->as.call.overloads[i]->row;

        flags |= row != NULL ? row->flags : 0;
    }
    if ((flags & CEL_FN_WARN_LIMIT) != 0)
        warn_limit(c, n);
    if ((flags & CEL_FN_ARG_REGEX) != 0 && !check_regex(c, n))
        return false;
    if ((flags & CEL_FN_ARG_CHECKED) != 0 && !check_value(c, n))
        return false;
    return (flags & CEL_FN_ARG_FORMAT) == 0 || check_format(c, n);
}
