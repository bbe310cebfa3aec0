#include "tunnel/api/event_load.h"

#include <string.h>

#include "base/log.h"
#include "tunnel/api/call.h"
#include "tunnel/api/event_guard.h"
#include "tunnel/api/event_source_list.h"
#include "tunnel/api/event_target.h"
#include "tunnel/event_sink.h"
#include "tunnel/store/store.h"

struct loading {
    const struct api_event_load *from;
    struct event_plan *plan;
    struct arena arena; /* of one object */
};

static void log_unusable(const char *key, const char *why)
{
    log_error("stored.unusable", LS("object", key), LS("error", why));
}

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
            log_unusable(id, e.msg);
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

typedef int add_fn(struct loading *l, const json_t *object, struct err *e);

static void add_page(struct loading *l, const struct store_entries *page, add_fn *add)
{
    for (size_t i = 0; i < page->count; i++) {
        const struct store_entry *entry = &page->list[i];
        json_t *object = json_loadb(entry->value, entry->value_bytes, 0, NULL);
        struct err e = { 0 };

        if (!json_is_object(object))
            log_unusable(entry->key, "it is no JSON object");
        else if (add(l, object, &e) == -1)
            log_unusable(entry->key, e.msg);
        json_decref(object);
        arena_reset(&l->arena);
    }
}

/* Adds all objects below the prefix. Returns 0, or -1 with E_STORE. */
static int load_all(struct loading *l, struct str prefix, add_fn *add, struct err *e)
{
    char to[STORE_KEY_MAX_BYTES];
    char from[STORE_KEY_MAX_BYTES + 1];
    struct store_range range = store_prefix(prefix, to);
    bool more;

    do {
        struct store_entries page;

        if (store_range(l->from->store, &range, &page, e) == -1)
            return -1;
        add_page(l, &page, add);
        more = page.more;
        if (more) {
            struct str next = store_next(&page);

            memcpy(from, next.p, next.n);
            range.from = str_of(from, next.n);
        }
        store_entries_fini(&page);
    } while (more);
    return 0;
}

struct event_plan *api_event_plan_load(const struct api_event_load *from, struct err *e)
{
    struct loading l = { .from = from, .plan = event_plan_new() };
    int rc;

    arena_init(&l.arena);
    rc = load_all(&l, STR("object/event_destination/"), add_destination, e);
    if (rc == 0)
        rc = load_all(&l, STR("object/event_subscription/"), add_subscription, e);
    arena_fini(&l.arena);
    if (rc == 0)
        return l.plan;
    event_plan_unref(l.plan);
    return NULL;
}
