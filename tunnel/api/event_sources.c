#include "tunnel/api/event_sources.h"

#include "tunnel/api/call.h"
#include "tunnel/api/event_guard.h"
#include "tunnel/api/event_source_list.h"
#include "tunnel/event_field.h"

static const struct api_field fields[] = {
    { .name = "subscription_id",
      .type = API_STRING,
      .where = API_C | API_U | API_HIDDEN,
      .text = "the subscription it is of" },
    { .name = "type",
      .type = API_STRING,
      .where = API_C | API_R | API_REQUIRED,
      .missing = API_EVENT_TYPE,
      .text = "the type of events, as http_request_complete.v0" },
    { .name = "fields",
      .type = API_STRINGS,
      .where = API_C | API_U | API_R | API_OMITTED,
      .max_items = EVENT_FIELD_COUNT,
      .too_long = API_EVENT_FIELD,
      .text = "what is told of traffic; all, if none is named" },
    { .name = "filter",
      .type = API_STRING,
      .where = API_C | API_U | API_R | API_OMITTED | API_STDIN,
      .max_bytes = API_EVENT_FILTER_MAX_BYTES,
      .too_long = API_EVENT_FILTER,
      .text = "which events of traffic: an expression over ev, as ev.conn.server_port == 80" },
};

static const struct api_nesting nesting = {
    .parent = &api_resource_event_subscriptions,
    .name = API_EVENT_SOURCES_NAME,
    .parent_field = "subscription_id",
    .item_field = "type",
};

static const char *const columns[] = { "type", "fields", "filter", NULL };

const struct api_resource api_resource_event_sources = {
    .path = "",
    .list_key = "sources",
    .kind = "",
    .prefix = "",
    .command = "event-sources",
    .text = "the types of events of a subscription",
    .columns = columns,
    .verbs = API_CAN_ALL,
    API_FIELDS(fields),
    .no_uri = true,
    .no_filter = true,
    .allows_empty_update = true,
    .nesting = &nesting,
};

/* ---- one of them ---------------------------------------------------------------------------- */

static json_t *sources_of(const json_t *subscription)
{
    return json_object_get(subscription, "sources");
}

/* Where the source of this type is; -1 with the 404. */
static int find(struct api_call *c, const json_t *subscription, struct str type, size_t *at)
{
    *at = api_event_source_find(sources_of(subscription), type);
    if (*at == json_array_size(sources_of(subscription)))
        return api_fail(c, API_EVENT_SOURCE_GONE, "The subscription has no such source.");
    return 0;
}

static void answer_source(struct api_call *c, unsigned status, const json_t *subscription,
                          size_t at)
{
    api_answer(c, status,
               api_event_source_show(c, api_get(subscription, "id"),
                                     json_array_get(sources_of(subscription), at)));
}

/* The subscription with other sources, which this takes. Returns 1, 0 or -1 as run(). */
static int put_sources(struct api_call *c, const struct api_resource *r, const json_t *object,
                       json_t *sources, json_t **after)
{
    int rc = api_event_sources_check(c, sources);

    *after = json_deep_copy(object);
    (void)json_object_set_new(*after, "sources", sources);
    return rc == -1 ? -1 : api_change_object(c, r, object, *after);
}

/* ---- the verbs ------------------------------------------------------------------------------ */

int api_event_sources_create(struct api_call *c, const struct api_resource *r, json_t *object,
                             struct str item)
{
    json_t *input;
    json_t *sources;
    json_t *after = NULL;
    int rc;

    (void)item;
    if (api_event_guard(c, object) == -1 ||
        api_body_read(c, &api_resource_event_sources, NULL, &input) == -1)
        return -1;
    sources = json_deep_copy(sources_of(object));
    rc = api_event_source_add(c, sources, input);
    json_decref(input);
    if (rc == -1) {
        json_decref(sources);
        return -1;
    }
    rc = put_sources(c, r, object, sources, &after);
    if (rc == 1)
        answer_source(c, 201, after, json_array_size(sources) - 1);
    json_decref(after);
    return rc;
}

int api_event_sources_list(struct api_call *c, const struct api_resource *r, json_t *object,
                           struct str item)
{
    struct str id = api_get(object, "id");
    json_t *list = json_array();
    json_t *body = json_object();
    size_t i;
    json_t *source;

    (void)item;
    json_array_foreach(sources_of(object), i, source)
    {
        (void)json_array_append_new(list, api_event_source_show(c, id, source));
    }
    (void)json_object_set_new(body, API_EVENT_SOURCES_NAME, list);
    api_set(body, "uri",
            arena_fmt(&c->arena, "%s/" API_EVENT_SOURCES_NAME, api_uri(c, r->path, id)));
    api_answer(c, 200, body);
    return 1;
}

int api_event_sources_get(struct api_call *c, const struct api_resource *r, json_t *object,
                          struct str item)
{
    size_t at;

    (void)r;
    if (find(c, object, item, &at) == -1)
        return -1;
    answer_source(c, 200, object, at);
    return 1;
}

/* What is given in the place of what is there. */
static int replace(struct api_call *c, const json_t *input, json_t *sources, size_t at)
{
    json_t *merged = json_deep_copy(json_array_get(sources, at));
    json_t *stored = json_array();
    int rc;

    (void)json_object_update(merged, (json_t *)(uintptr_t)input); /* which only reads it */
    rc = api_event_source_add(c, stored, merged);
    if (rc == 0)
        (void)json_array_set(sources, at, json_array_get(stored, 0));
    json_decref(stored);
    json_decref(merged);
    return rc;
}

int api_event_sources_update(struct api_call *c, const struct api_resource *r, json_t *object,
                             struct str item)
{
    json_t *input;
    json_t *sources;
    json_t *after = NULL;
    size_t at;
    int rc;

    if (api_event_guard(c, object) == -1 || find(c, object, item, &at) == -1 ||
        api_body_read(c, &api_resource_event_sources, json_array_get(sources_of(object), at),
                      &input) == -1)
        return -1;
    sources = json_deep_copy(sources_of(object));
    rc = replace(c, input, sources, at);
    json_decref(input);
    if (rc == -1) {
        json_decref(sources);
        return -1;
    }
    rc = put_sources(c, r, object, sources, &after);
    if (rc == 1)
        answer_source(c, 200, after, at);
    json_decref(after);
    return rc;
}

int api_event_sources_delete(struct api_call *c, const struct api_resource *r, json_t *object,
                             struct str item)
{
    json_t *sources;
    json_t *after = NULL;
    size_t at;
    int rc;

    if (api_event_guard(c, object) == -1 || find(c, object, item, &at) == -1)
        return -1;
    sources = json_deep_copy(sources_of(object));
    (void)json_array_remove(sources, at);
    rc = put_sources(c, r, object, sources, &after);
    json_decref(after);
    return rc;
}
