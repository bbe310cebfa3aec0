#include "policy/fetch_report.h"

#include <string.h>

#include "policy/action.h"
#include "policy/message_text.h"
#include "policy/pairs_map.h"

enum { NUMBER_BYTES = 24 };

/* ---- header fields --------------------------------------------------------------------------- */

/* The names of a message in any case, over a map that has them in lower case. */
struct headers_map {
    struct cel_map map; /* first: what the value points at */
    struct cel_value lower;
    size_t longest; /* name */
};

static size_t headers_size(const struct cel_map *map)
{
    return cel_map_size(((const struct headers_map *)map)->lower);
}

static bool headers_find(struct cel_run *cel, const struct cel_map *map,
                         const struct cel_value *key, struct cel_value *out)
{
    const struct headers_map *m = (const struct headers_map *)map;
    char *name;

    if (key->kind != CEL_STRING || key->n > m->longest)
        return false;
    name = cel_alloc(cel, key->n);
    if (name == NULL)
        return false;
    for (size_t i = 0; i < key->n; i++)
        name[i] = char_lower(key->as.p[i]);
    return cel_map_find(cel, m->lower, cel_string(str_of(name, key->n)), out);
}

static void headers_entry(struct cel_run *cel, const struct cel_map *map, size_t index,
                          struct cel_value *key, struct cel_value *value)
{
    cel_map_entry(cel, ((const struct headers_map *)map)->lower, index, key, value);
}

static const struct cel_map_ops headers_ops = {
    .size = headers_size,
    .find = headers_find,
    .entry = headers_entry,
    .missing_is_empty = true,
};

static struct str keep(struct arena *a, struct str s)
{
    return message_text_clean(a, arena_str(a, s));
}

/* Counts what was taken from the arena since it had `before` bytes. */
static struct cel_value charge(struct action_run *run, size_t before, struct cel_value v)
{
    struct cel_run *values = action_values(run);

    values->bytes += arena_used(run->arena) - before;
    return values->bytes > values->limits->arena_bytes ? cel_spent(values) : v;
}

static struct cel_value headers_value(struct action_run *run, const struct policy_header *headers,
                                      size_t count)
{
    size_t before = arena_used(run->arena);
    struct headers_map *m = arena_zalloc(run->arena, sizeof(*m));
    struct pair *pairs = arena_alloc(run->arena, count * sizeof(*pairs));

    for (size_t i = 0; i < count; i++) {
        struct str name = message_text_lower(run->arena, keep(run->arena, headers[i].name));
        struct str value = keep(run->arena, headers[i].value);

        pairs[i] = (struct pair){ .name = name, .value = cel_string(value) };
        m->longest = name.n > m->longest ? name.n : m->longest;
    }
    m->map.ops = &headers_ops;
    m->lower = pairs_map_of_lists(run->arena, pairs, count);
    return charge(run, before, cel_map_of(&m->map));
}

/* ---- attempts -------------------------------------------------------------------------------- */

void fetch_attempt_take(struct action_run *run, const struct policy_fetched *fetched,
                        const struct err *error, struct fetch_attempt *out)
{
    size_t before;

    out->has_response = fetched->status != 0;
    out->status = fetched->status;
    out->took_ms = fetched->took_ms;
    out->headers = headers_value(run, fetched->headers, fetched->header_count);
    before = arena_used(run->arena);
    out->resolved_ip = arena_str(run->arena, fetched->resolved_ip);
    out->body = message_text_clean(run->arena, fetched->body);
    out->headers = charge(run, before, out->headers);
    out->error = *error;
}

/* ---- values ---------------------------------------------------------------------------------- */

/* An entry of a map that is being built; an error, of a value that did not fit, takes the place of the
 * whole map. */
static void set(struct action_run *run, struct cel_value *map, struct cel_map_builder *b,
                struct str name, struct cel_value v)
{
    if (cel_is_error(*map))
        return;
    if (cel_is_error(v))
        *map = v;
    else if (!cel_map_set(b, cel_string(name), v))
        *map = cel_spent(action_values(run));
}

static struct cel_map_builder *start(struct action_run *run, size_t entries, struct cel_value *map)
{
    struct cel_map_builder *b = cel_map_new(action_values(run), entries);

    *map = b != NULL ? cel_map_value(b) : cel_spent(action_values(run));
    return b;
}

static struct cel_value time_text(struct action_run *run, uint64_t ms)
{
    return cel_string(arena_fmt(run->arena, "%llu", (unsigned long long)ms));
}

struct cel_value fetch_request_value(struct action_run *run, const struct policy_fetch *request)
{
    struct cel_value map;
    struct cel_map_builder *b = start(run, 4, &map);

    set(run, &map, b, STR("method"), cel_string(request->method));
    set(run, &map, b, STR("header"), headers_value(run, request->headers, request->header_count));
    set(run, &map, b, STR("url"), cel_string(request->url));
    set(run, &map, b, STR("body"), cel_string(request->body));
    return map;
}

static struct cel_value response_value(struct action_run *run, const struct fetch_attempt *a,
                                       bool in_condition)
{
    struct cel_value map;
    struct cel_map_builder *b = start(run, 6, &map);

    set(run, &map, b, STR("resolved_ip"), cel_string(a->resolved_ip));
    set(run, &map, b, STR("header"), a->headers);
    set(run, &map, b, STR("status_code"), cel_int(a->status));
    if (in_condition) /* the other spelling that documents have there (D39) */
        set(run, &map, b, STR("statusCode"), cel_int(a->status));
    set(run, &map, b, STR("time_ms"), time_text(run, a->took_ms));
    set(run, &map, b, STR("body"), cel_string(a->body));
    return map;
}

struct cel_value fetch_last_attempt(struct action_run *run, struct cel_value request,
                                    const struct fetch_attempt *attempt)
{
    struct cel_value map;
    struct cel_map_builder *b = start(run, 3, &map);

    set(run, &map, b, STR("req"), request);
    if (attempt->has_response)
        set(run, &map, b, STR("res"), response_value(run, attempt, true));
    if (attempt->error.code != E_OK)
        set(run, &map, b, STR("error"),
            cel_string(arena_str(run->arena, str_from(attempt->error.msg))));
    return map;
}

static struct cel_value attempt_value(struct action_run *run, const struct fetch_attempt *a)
{
    struct cel_value map;
    struct cel_map_builder *b = start(run, 4, &map);

    set(run, &map, b, STR("resolved_ip"), cel_string(a->resolved_ip));
    set(run, &map, b, STR("response_header"), a->headers);
    set(run, &map, b, STR("response_status_code"), cel_int(a->status));
    set(run, &map, b, STR("response_time_ms"), time_text(run, a->took_ms));
    return map;
}

static struct cel_value attempt_list(struct action_run *run, const struct fetch_attempt *attempts,
                                     size_t count)
{
    struct cel_value *items = arena_alloc(run->arena, count * sizeof(*items));

    for (size_t i = 0; i < count; i++) {
        items[i] = attempt_value(run, &attempts[i]);
        if (cel_is_error(items[i]))
            return items[i];
    }
    return cel_list_new(action_values(run), items, count);
}

struct cel_value fetch_report_value(struct action_run *run, struct cel_value request,
                                    const struct fetch_attempt *attempts, size_t count)
{
    struct fetch_attempt last = attempts[count - 1];
    const struct err *error = last.error.code != E_OK ? &last.error : NULL;
    size_t before = arena_used(run->arena);
    struct cel_map_builder *b;
    struct cel_value map;

    last.body = arena_str(run->arena, last.body);
    map = charge(run, before, cel_string(last.body));
    if (cel_is_error(map))
        return map;
    b = start(run, 4, &map);
    set(run, &map, b, STR("attempts"), attempt_list(run, attempts, count));
    set(run, &map, b, STR("req"), request);
    set(run, &map, b, STR("res"), response_value(run, &last, false));
    set(run, &map, b, STR("error"), action_error_value(run, error));
    return map;
}
