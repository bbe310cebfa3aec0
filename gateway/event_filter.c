/*
 * Each field is a variable of its own with a dotted name, "ev.conn.client_ip", so the checker knows
 * its type, and a name that is wrong is refused with a place. Evaluating asks only for what is read.
 */
#include "gateway/event_filter.h"

#include <assert.h>

#include "base/mem.h"
#include "policy/cel/cel.h"
#include "policy/cel/fn_policy.h"
#include "policy/message_text.h"
#include "policy/objects.h"
#include "tunnel/event.h"
#include "tunnel/event_field.h"

enum { LIBRARIES_MAX = 32 };

struct event_filter {
    struct cel_env *env;         /* owned */
    struct cel_program *program; /* owned */
    struct arena arena;          /* of one evaluation */
    const struct event *event;   /* borrowed: while it is matched */
};

/* ---- types ----------------------------------------------------------------------------- */

static const char *type_of(const struct event_field *f)
{
    switch (event_field_kind(f)) {
    case EVENT_VALUE_TIME:
        return "timestamp";
    case EVENT_VALUE_U64:
        return "int";
    case EVENT_VALUE_BOOL:
        return "bool";
    case EVENT_VALUE_HEADERS:
        return "map(string, list(string))";
    case EVENT_VALUE_JSON:
        return "dyn";
    case EVENT_VALUE_STR:
    case EVENT_VALUE_IP:
    case EVENT_VALUE_PORT: /* what follows is U64 or STR by now */
    case EVENT_VALUE_UINT:
    case EVENT_VALUE_MICROS:
    case EVENT_VALUE_ERROR:
        break;
    }
    return "string";
}

static struct cel_env *new_env(enum event_type type)
{
    const struct cel_library *libraries[LIBRARIES_MAX];
    const struct cel_env_params params = { .libraries = libraries };
    struct cel_env *env;
    size_t count = 0;

    for (size_t i = 0; cel_standard_libraries[i] != NULL; i++)
        libraries[count++] = cel_standard_libraries[i];
    for (size_t i = 0; cel_policy_libraries[i] != NULL; i++)
        libraries[count++] = cel_policy_libraries[i];
    assert(count < LIBRARIES_MAX);
    libraries[count] = NULL;
    env = cel_env_new(&params);
    for (unsigned i = 0; i < EVENT_FIELD_COUNT; i++) {
        const struct event_field *f = &event_field_table[i];
        int added = 0;

        if (event_field_is_of(f, type))
            added = cel_env_add_var(env, arena_fmt(cel_env_arena(env), "ev.%s", f->name),
                                    type_of(f), i);
        assert(added == 0); /* type_of() names a type */
        (void)added;
    }
    return env;
}

/* ---- values ---------------------------------------------------------------------------- */

static struct cel_value text(struct cel_run *run, struct str s)
{
    return cel_string(message_text_clean(run->arena, s));
}

/* All values of the header at `first`, a list. */
static struct cel_value header_values(struct cel_run *run, const struct event_headers *h,
                                      size_t first)
{
    struct cel_value items[EVENT_HEADERS_MAX];
    size_t count = 0;

    for (size_t i = first; i < h->count; i++) {
        if (str_eq_nocase(h->items[i].name, h->items[first].name))
            items[count++] = text(run, h->items[i].value);
    }
    return cel_list_new(run, items, count);
}

static struct cel_value headers(struct cel_run *run, const struct event_headers *h)
{
    struct cel_map_builder *map = cel_map_new(run, h->count);

    for (size_t i = 0; map != NULL && i < h->count; i++) {
        /* A name that is there already is refused, and its list has this value. */
        (void)cel_map_put(map, text(run, h->items[i].name), header_values(run, h, i));
    }
    return map == NULL ? cel_spent(run) : cel_map_value(map);
}

static struct cel_value value_of(struct cel_run *run, const struct event_value *v)
{
    char ip[ADDR_TEXT_BYTES];

    switch (v->kind) {
    case EVENT_VALUE_STR:
        return text(run, v->as.str);
    case EVENT_VALUE_IP:
        return cel_copy(run, CEL_STRING, str_from(addr_format_ip(v->as.ip, ip)));
    case EVENT_VALUE_TIME:
        return cel_timestamp((int64_t)(v->as.u64 / 1000),
                             (uint32_t)(v->as.u64 % 1000) * 1000 * 1000);
    case EVENT_VALUE_U64:
        return cel_int((int64_t)v->as.u64);
    case EVENT_VALUE_BOOL:
        return cel_bool(v->as.b);
    case EVENT_VALUE_HEADERS:
        return headers(run, v->as.headers);
    case EVENT_VALUE_JSON:
        return cel_from_json(run, v->as.str);
    case EVENT_VALUE_PORT: /* these are U64 or STR by now */
    case EVENT_VALUE_UINT:
    case EVENT_VALUE_MICROS:
    case EVENT_VALUE_ERROR:
        break;
    }
    return cel_null();
}

/* The empty value of a field's type, marked as not set. */
static struct cel_value absent(struct cel_run *run, const struct event_field *f)
{
    struct cel_value v;

    switch (event_field_kind(f)) {
    case EVENT_VALUE_TIME:
        v = cel_timestamp(0, 0);
        break;
    case EVENT_VALUE_U64:
        v = cel_int(0);
        break;
    case EVENT_VALUE_BOOL:
        v = cel_bool(false);
        break;
    case EVENT_VALUE_HEADERS:
        v = policy_empty_map();
        break;
    case EVENT_VALUE_JSON:
        v = cel_list_new(run, NULL, 0);
        break;
    default: /* whatever else there is reads as text */
        v = cel_string(STR(""));
        break;
    }
    v.absent = true;
    return v;
}

static struct cel_value var(struct cel_run *run, unsigned slot)
{
    const struct event_filter *f = run->ctx;
    const struct event_field *field = &event_field_table[slot];
    struct event_value v;

    return event_field_get(f->event, field, &v) ? value_of(run, &v) : absent(run, field);
}

/* ---- filters --------------------------------------------------------------------------- */

struct event_filter *event_filter_new(enum event_type type, struct str source, struct err *e)
{
    struct event_filter *f = mem_zalloc(sizeof(*f));
    struct cel_compile_params params = { .check_flags = CEL_CHECK_HAS_INDEX,
                                         .want = cel_type_basic(CEL_T_BOOL) };
    struct cel_issue issue = { .at = 0 };

    arena_init(&f->arena);
    params.env = f->env = new_env(type);
    f->program = cel_compile(&params, source, &issue);
    if (f->program != NULL)
        return f;
    (void)err_set(e, E_EVENT_FILTER, "the filter is wrong at byte %u: %s", issue.at + 1,
                  issue.text);
    event_filter_free(f);
    return NULL;
}

void event_filter_free(struct event_filter *f)
{
    if (f == NULL)
        return;
    cel_program_free(f->program);
    cel_env_free(f->env);
    arena_fini(&f->arena);
    mem_free(f);
}

enum event_filter_answer event_filter_match(struct event_filter *f, const struct event *ev)
{
    struct cel_run run = { .limits = &cel_default_limits, .var = var, .ctx = f };
    struct cel_value v;
    bool failed;
    bool passes;

    if (f == NULL)
        return EVENT_PASSES;
    run.arena = &f->arena;
    f->event = ev;
    v = cel_eval(f->program, &run);
    failed = v.kind != CEL_BOOL;
    passes = cel_is_true(v);
    f->event = NULL;
    arena_reset(&f->arena);
    if (failed)
        return EVENT_FILTER_FAILS;
    return passes ? EVENT_PASSES : EVENT_STOPS;
}
