#include "tunnel/api/event_source_list.h"

#include <string.h>

#include "tunnel/api/call.h"
#include "tunnel/event_field.h"
#include "tunnel/event_sink.h"

enum { SHOWN_BYTES = 60 };

static struct str string_of(const json_t *v)
{
    return json_is_string(v) ? str_of(json_string_value(v), json_string_length(v)) : STR("");
}

/* ---- from what is given --------------------------------------------------------------------- */

static int check_types(struct api_call *c, const json_t *given)
{
    const json_t *type = json_object_get(given, "type");
    const json_t *filter = json_object_get(given, "filter");
    const json_t *fields = json_object_get(given, "fields");
    size_t i;
    json_t *field;

    if (!json_is_string(type) || json_string_length(type) == 0)
        return api_fail(c, API_EVENT_TYPE, "A source has no type.");
    if (filter != NULL && !json_is_null(filter) && !json_is_string(filter))
        return api_fail(c, API_FIELD_VALUE, "The filter of a source must be a string.");
    if (json_string_length(filter) > API_EVENT_FILTER_MAX_BYTES)
        return api_fail(c, API_EVENT_FILTER, "The filter has %zu bytes; it may have %d.",
                        json_string_length(filter), API_EVENT_FILTER_MAX_BYTES);
    if (fields != NULL && !json_is_null(fields) && !json_is_array(fields))
        return api_fail(c, API_FIELD_VALUE, "The fields of a source must be a list of strings.");
    if (json_array_size(fields) > EVENT_FIELD_COUNT)
        return api_fail(c, API_EVENT_FIELD, "The source has more fields than there are.");
    json_array_foreach(fields, i, field)
    {
        if (!json_is_string(field))
            return api_fail(c, API_FIELD_VALUE, "The fields of a source must be strings.");
    }
    return 0;
}

/* "uri" comes from who sends back an answer, "subscription_id" from some clients (spec 1.14). */
static bool is_member(const char *name)
{
    static const char *const names[] = { "type", "fields", "filter", "uri", "subscription_id" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

static int check_members(struct api_call *c, const json_t *given)
{
    const char *name;
    json_t *v;

    /* jansson's iterators take no const object, and change none. */
    json_object_foreach((json_t *)(uintptr_t)given, name, v)
    {
        if (!is_member(name) && !json_is_null(v))
            return api_fail(c, API_FIELD_UNKNOWN,
                            "A source has no \"%.*s\"; it has type, fields and filter.",
                            STR_ARG(str_slice(str_from(name), 0, SHOWN_BYTES)));
    }
    return 0;
}

int api_event_source_add(struct api_call *c, json_t *sources, const json_t *given)
{
    json_t *fields = json_object_get(given, "fields");
    json_t *source;

    if (check_members(c, given) == -1 || check_types(c, given) == -1)
        return -1;
    source = json_object();
    api_set(source, "type", api_get(given, "type"));
    if (json_array_size(fields) > 0)
        (void)json_object_set(source, "fields", fields);
    if (api_get(given, "filter").n > 0)
        api_set(source, "filter", api_get(given, "filter"));
    (void)json_array_append_new(sources, source);
    return 0;
}

/* ---- is it one? ----------------------------------------------------------------------------- */

/* The code for a field that events of a type have not: nobody's, or that of the other types. */
static enum api_code field_code(const json_t *fields, enum event_type type)
{
    size_t i;
    json_t *field;

    json_array_foreach(fields, i, field)
    {
        uint64_t choice = 0;
        bool is_known = false;

        if (event_field_choose(type, string_of(field), &choice, NULL) == 0)
            continue;
        for (size_t t = 0; t < EVENT_TRAFFIC_TYPES; t++)
            is_known = is_known ||
                       event_field_choose((enum event_type)t, string_of(field), &choice, NULL) == 0;
        return is_known ? API_EVENT_FIELD_OF_OTHERS : API_EVENT_FIELD;
    }
    return API_EVENT_FIELD;
}

static enum api_code code_of(const struct err *e, const json_t *source, enum event_type type)
{
    switch (e->code) {
    case E_EVENT_TYPE_TWICE:
        return API_EVENT_SOURCE_TWICE;
    case E_EVENT_AUDIT_FIELDS:
        return API_EVENT_AUDIT_FIELDS;
    case E_EVENT_AUDIT_FILTER:
        return API_EVENT_AUDIT_FILTER;
    case E_EVENT_FIELD:
        return field_code(json_object_get(source, "fields"), type);
    default:
        return API_EVENT_TYPE;
    }
}

static int check_filter(struct api_call *c, enum event_type type, struct str filter)
{
    const struct event_sink *sink = api_call_host(c)->event_sink;
    struct err e = { 0 };

    if (filter.n == 0)
        return 0;
    if (sink == NULL)
        return api_fail(c, API_NOT_OFFERED, "This gateway does not filter events.");
    if (sink->ops->check_filter(sink, type, filter, &e) == -1)
        return api_fail(c, API_EVENT_FILTER, "The filter of %s is invalid: %s.",
                        event_type_name(type), e.msg);
    return 0;
}

/* A plan that is thrown away tells what is wrong with the sources up to this one. */
static int check_source(struct api_call *c, const struct event_source_params *params, size_t count,
                        const json_t *source)
{
    struct event_plan *plan = event_plan_new();
    const struct event_subscription_params s = { .sources = params, .source_count = count };
    enum event_type type = EVENT_HTTP_REQUEST;
    struct err e = { 0 };
    int rc = event_plan_add_subscription(plan, &s, &e);

    event_plan_unref(plan);
    (void)event_type_find(params[count - 1].type, &type, NULL);
    if (rc == -1)
        return api_fail(c, code_of(&e, source, type), "The source cannot be taken: %s.", e.msg);
    return check_filter(c, type, params[count - 1].filter);
}

int api_event_sources_check(struct api_call *c, const json_t *sources)
{
    const struct event_source_params *params = api_event_sources_read(sources, &c->arena);
    size_t i;
    json_t *source;

    json_array_foreach(sources, i, source)
    {
        if (check_source(c, params, i + 1, source) == -1)
            return -1;
    }
    return 0;
}

/* ---- what is stored ------------------------------------------------------------------------- */

size_t api_event_source_find(const json_t *sources, struct str type)
{
    size_t i = 0;

    while (i < json_array_size(sources) &&
           !str_eq(api_get(json_array_get(sources, i), "type"), type))
        i++;
    return i;
}

json_t *api_event_source_show(struct api_call *c, struct str subscription, const json_t *source)
{
    json_t *shown = json_deep_copy(source);
    struct str type = api_get(source, "type");
    const char *uri = api_uri(c, api_resource_event_subscriptions.path, subscription);

    api_set(shown, "uri", arena_fmt(&c->arena, "%s/sources/%.*s", uri, STR_ARG(type)));
    return shown;
}

struct event_source_params *api_event_sources_read(const json_t *sources, struct arena *a)
{
    struct event_source_params *out =
        arena_zalloc(a, (json_array_size(sources) + 1) * sizeof(*out));
    size_t i;
    json_t *source;

    json_array_foreach(sources, i, source)
    {
        const json_t *fields = json_object_get(source, "fields");
        struct str *names = arena_zalloc(a, (json_array_size(fields) + 1) * sizeof(*names));

        for (size_t k = 0; k < json_array_size(fields); k++)
            names[k] = string_of(json_array_get(fields, k));
        out[i] = (struct event_source_params){ .type = api_get(source, "type"),
                                               .filter = api_get(source, "filter"),
                                               .fields = names,
                                               .field_count = json_array_size(fields) };
    }
    return out;
}
