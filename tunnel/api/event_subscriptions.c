/* event_subscriptions (spec 3.11.2): which events go where. */
#include <string.h>

#include "tunnel/api/call.h"
#include "tunnel/api/event_guard.h"
#include "tunnel/api/event_source_list.h"
#include "tunnel/api/event_sources.h"

enum { SOURCES_MAX = EVENT_TYPES };

static const struct api_field fields[] = {
    API_FIELD_CREATED_AT,
    API_FIELD_DESCRIPTION(API_OK),
    API_FIELD_METADATA(API_OK),
    { .name = "sources",
      .type = API_OBJECTS,
      .where = API_C | API_U | API_HIDDEN | API_R,
      .max_items = SOURCES_MAX,
      .too_long = API_EVENT_SOURCE_TWICE,
      .item_key = "type",
      .text = "types of events, each with fields and a filter, if wanted" },
    { .name = "destination_ids",
      .type = API_STRINGS,
      .where = API_C | API_U,
      .max_items = API_KEYS_MAX,
      .too_long = API_EVENT_DESTINATIONS,
      .text = "where they go: ids of event destinations" },
    { .name = "destinations", .type = API_OBJECTS, .where = API_R, .text = "where they go" },
};

/* ---- changes -------------------------------------------------------------------------------- */

static int take_sources(struct api_call *c, struct api_change *ch)
{
    const json_t *given = json_object_get(ch->input, "sources");
    json_t *sources;
    size_t i;
    json_t *source;

    if (given == NULL && ch->op == API_UPDATE)
        return 0;
    sources = json_array();
    (void)json_object_set_new(ch->after, "sources", sources);
    json_array_foreach(given, i, source)
    {
        if (api_event_source_add(c, sources, source) == -1)
            return -1;
    }
    return api_event_sources_check(c, sources);
}

/* What an administrator subscribes to is of all accounts, and must not reach a user's destination. */
static int check_destination(struct api_call *c, const struct api_change *ch, struct str id)
{
    json_t *destination;
    bool is_users;

    if (api_find_ref(c, &api_resource_event_destinations, api_get_text(ch->after, "account"), id,
                     API_ID_SYNTAX, API_EVENT_DESTINATION_UNKNOWN, &destination) == -1)
        return -1;
    is_users = api_event_is_by_admin(ch->after) && !api_event_is_by_admin(destination);
    json_decref(destination);
    if (is_users)
        return api_fail(c, API_FIELD_VALUE,
                        "A user made the destination %.*s; a subscription of an administrator "
                        "sends to those of administrators only.",
                        STR_ARG(id));
    return 0;
}

static int check_destinations(struct api_call *c, const struct api_change *ch)
{
    const json_t *ids = json_object_get(ch->input, "destination_ids");
    size_t i;
    json_t *id;

    json_array_foreach(ids, i, id)
    {
        for (size_t k = 0; k < i; k++) {
            if (json_equal(json_array_get(ids, k), id))
                return api_fail(c, API_FIELD_VALUE, "The destination %s is given twice.",
                                json_string_value(id));
        }
        if (check_destination(c, ch, str_of(json_string_value(id), json_string_length(id))) == -1)
            return -1;
    }
    return 0;
}

static int check(struct api_call *c, struct api_change *ch)
{
    if (api_event_guard_change(c, ch) == -1 || take_sources(c, ch) == -1)
        return -1;
    return check_destinations(c, ch);
}

static int before_delete(struct api_call *c, struct api_change *ch)
{
    return api_event_guard(c, ch->before);
}

/* They lead from a destination to those that use it. */
static size_t keys(const json_t *object, struct api_key out[API_KEYS_MAX])
{
    const json_t *ids = json_object_get(object, "destination_ids");
    size_t i;
    json_t *id;

    json_array_foreach(ids, i, id)
    {
        api_key_set(&out[i], "destination", json_string_value(id), api_get(object, "id"));
        out[i].taken = API_INTERNAL;
    }
    return json_array_size(ids);
}

static int show(struct api_call *c, const json_t *object, json_t *shown)
{
    json_t *sources = json_array();
    json_t *destinations = json_array();
    size_t i;
    json_t *item;

    json_array_foreach(json_object_get(object, "sources"), i, item)
    {
        (void)json_array_append_new(sources, api_event_source_show(c, api_get(object, "id"), item));
    }
    json_array_foreach(json_object_get(object, "destination_ids"), i, item)
    {
        (void)json_array_append_new(destinations, api_ref(c, str_from(json_string_value(item))));
    }
    (void)json_object_set_new(shown, "sources", sources);
    (void)json_object_set_new(shown, "destinations", destinations);
    return 0;
}

static const struct api_action actions[] = {
    { .method = "POST",
      .name = API_EVENT_SOURCES_NAME,
      .writes = true,
      .text = "add a type of events",
      .run = api_event_sources_create },
    { .method = "GET",
      .name = API_EVENT_SOURCES_NAME,
      .text = "the types of events",
      .run = api_event_sources_list },
    { .method = "GET",
      .name = API_EVENT_SOURCES_NAME,
      .has_item = true,
      .text = "one type of events, its fields and filter",
      .run = api_event_sources_get },
    { .method = "PATCH",
      .name = API_EVENT_SOURCES_NAME,
      .has_item = true,
      .writes = true,
      .text = "change its fields and filter",
      .run = api_event_sources_update },
    { .method = "DELETE",
      .name = API_EVENT_SOURCES_NAME,
      .has_item = true,
      .writes = true,
      .text = "take it out",
      .run = api_event_sources_delete },
};

static const char *const columns[] = { "description", "sources", "destinations", NULL };

const struct api_resource api_resource_event_subscriptions = {
    .path = "/event_subscriptions",
    .list_key = "event_subscriptions",
    .kind = "event_subscription",
    .prefix = "esb",
    .command = "event-subscriptions",
    .event = "event_subscription",
    .text = "which events go where",
    .columns = columns,
    .verbs = API_CAN_ALL,
    API_FIELDS(fields),
    .is_of_events = true,
    .too_many = API_EVENT_SUBSCRIPTIONS,
    .not_found = API_EVENT_SUBSCRIPTION_GONE,
    .actions = actions,
    .action_count = sizeof(actions) / sizeof(actions[0]),
    .check = check,
    .before_delete = before_delete,
    .keys = keys,
    .show = show,
};
