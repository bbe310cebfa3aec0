#include "tunnel/api/event_load.h"

#include "tunnel/api/call.h"
#include "tunnel/api/event_guard.h"
#include "tunnel/api/event_source_list.h"
#include "tunnel/api/event_target.h"
#include "tunnel/api/stored_objects.h"
#include "tunnel/event_sink.h"
#include "tunnel/store/store.h"

struct loading {
    const struct api_event_load *from;
    struct event_plan *plan;
    struct arena arena; /* of one object */
};

/* ---- objects -------------------------------------------------------------------------------- */

static int add_destination(struct loading *l, const json_t *object, struct err *e)
{
    struct event_destination d;

    if (api_event_destination_read(object, l->from->seal_key, l->from->settings, &l->arena, &d,
                                   e) == -1)
        return -1;
    return event_plan_add_destination(l->plan, &d, e);
}

static bool is_in_plan(const struct event_plan *plan, struct str name)
{
    for (size_t i = 0; i < plan->destination_count; i++) {
        if (str_eq(plan->destinations[i].name, name))
            return true;
    }
    return false;
}

/* Sources whose filters are none any more, after another version of the program, are left out. */
static size_t keep_usable(const struct loading *l, const char *id,
                          struct event_source_params *sources, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        const struct event_sink *sink = l->from->sink;
        enum event_type type;
        struct err e = { 0 };

        if (event_type_find(sources[i].type, &type, &e) == -1 ||
            (sources[i].filter.n > 0 &&
             sink->ops->check_filter(sink, type, sources[i].filter, &e) == -1))
            api_stored_unusable(id, e.msg);
        else
            sources[kept++] = sources[i];
    }
    return kept;
}

static int add_subscription(struct loading *l, const json_t *object, struct err *e)
{
    const json_t *sources = json_object_get(object, "sources");
    const json_t *ids = json_object_get(object, "destination_ids");
    struct event_source_params *list = api_event_sources_read(sources, &l->arena);
    struct str *destinations =
        arena_zalloc(&l->arena, (json_array_size(ids) + 1) * sizeof(*destinations));
    struct event_subscription_params s = {
        .account = api_event_is_by_admin(object) ? STR("") : api_get(object, "account"),
        .sources = list,
        .source_count = keep_usable(l, api_get_text(object, "id"), list, json_array_size(sources)),
        .destinations = destinations,
    };
    size_t i;
    json_t *id;

    if (s.account.n == 0 && !api_event_is_by_admin(object))
        return err_set(e, E_STORE, "it is of no account");
    json_array_foreach(ids, i, id)
    {
        struct str name = str_from(json_is_string(id) ? json_string_value(id) : "");

        if (is_in_plan(l->plan, name))
            destinations[s.destination_count++] = name;
    }
    return event_plan_add_subscription(l->plan, &s, e);
}

/* ---- the store ------------------------------------------------------------------------------ */

static void load_destination(void *arg, const struct store_entry *entry, const json_t *object)
{
    struct loading *l = arg;
    struct err e = { 0 };

    if (add_destination(l, object, &e) == -1)
        api_stored_unusable(entry->key, e.msg);
    arena_reset(&l->arena);
}

static void load_subscription(void *arg, const struct store_entry *entry, const json_t *object)
{
    struct loading *l = arg;
    struct err e = { 0 };

    if (add_subscription(l, object, &e) == -1)
        api_stored_unusable(entry->key, e.msg);
    arena_reset(&l->arena);
}

struct event_plan *api_event_plan_load(const struct api_event_load *from, struct err *e)
{
    struct loading l = { .from = from, .plan = event_plan_new() };
    int rc;

    arena_init(&l.arena);
    rc = api_stored_each(from->store, STR("object/event_destination/"), load_destination, &l, e);
    if (rc == 0)
        rc = api_stored_each(from->store, STR("object/event_subscription/"), load_subscription, &l,
                             e);
    arena_fini(&l.arena);
    if (rc == 0)
        return l.plan;
    event_plan_unref(l.plan);
    return NULL;
}
