/* The keys about events: where they go, and which. */
#include <stddef.h>
#include <string.h>

#include "base/mem.h"
#include "gateway/config_reader.h"
#include "gateway/event_filter.h"
#include "tunnel/event_plan.h"

enum {
    QUEUE_PRESET = 10000, /* events */
    BATCH_PRESET = 100,   /* events */
    TIMEOUT_PRESET_MS = 10000,
};

/* ---- single keys ----------------------------------------------------------------------- */

static void read_target(struct reader *r, const config_setting_t *s, const struct key *k, void *out)
{
    static const char *const words[] = {
        [EVENT_TARGET_FILE] = "file", [EVENT_TARGET_HTTP] = "http"
    };
    int at = reader_get_word(r, s, k, words, sizeof(words) / sizeof(words[0]));

    if (at != -1)
        *(enum event_target *)out = (enum event_target)at;
}

static void read_normalize(struct reader *r, const config_setting_t *s, const struct key *k,
                           void *out)
{
    bool is_normal = true;

    reader_bool(r, s, k, &is_normal);
    *(enum event_header_case *)out = is_normal ? EVENT_HEADER_NORMAL : EVENT_HEADER_AS_SENT;
}

static void read_destinations(struct reader *r, const config_setting_t *s, const struct key *k,
                              void *out)
{
    struct config *c = r->c;
    unsigned n = reader_list_length(r, s, k, "a list of groups");

    (void)out;
    c->destinations = mem_zalloc_array(n, sizeof(*c->destinations));
    for (unsigned i = 0; i < n; i++) {
        const config_setting_t *item = config_setting_get_elem(s, i);
        struct config_destination *d = &c->destinations[c->destination_count++];

        d->queue_max = QUEUE_PRESET;
        d->batch_max = BATCH_PRESET;
        d->timeout_ms = TIMEOUT_PRESET_MS;
        if (reader_entry(r, item, k, d))
            d->where = reader_where(r, item);
    }
}

static void read_subscriptions(struct reader *r, const config_setting_t *s, const struct key *k,
                               void *out)
{
    struct config *c = r->c;
    unsigned n = reader_list_length(r, s, k, "a list of groups");

    (void)out;
    c->subscriptions = mem_zalloc_array(n, sizeof(*c->subscriptions));
    for (unsigned i = 0; i < n; i++) {
        const config_setting_t *item = config_setting_get_elem(s, i);
        struct config_subscription *sub = &c->subscriptions[c->subscription_count++];

        if (reader_entry(r, item, k, sub))
            sub->where = reader_where(r, item);
    }
}

/* clang-format off */
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define OF_DESTINATION(member) .offset = offsetof(struct config_destination, member)
#define OF_SUBSCRIPTION(member) .offset = offsetof(struct config_subscription, member)

static const struct key destination_keys[] = {
    { .name = "name", .read = reader_string, OF_DESTINATION(name), .required = true, .example = "name = \"audit\";" },
    { .name = "type", .read = read_target, OF_DESTINATION(target), .required = true, .example = "type = \"file\";" },
    { .name = "path", .read = reader_string, OF_DESTINATION(path), .example = "path = \"/var/log/sallyport/events.json\";" },
    { .name = "url", .read = reader_string, OF_DESTINATION(url), .example = "url = \"https://collector.example.com/in\";" },
    { .name = "headers", .read = reader_strings, OF_DESTINATION(headers), .max = CONFIG_EVENT_HEADERS_MAX, .example = "headers = [ \"Authorization: Bearer ...\" ];" },
    { .name = "queue_max", .read = reader_number, OF_DESTINATION(queue_max), .min = 1, .max = 1000000, .unit = "events", .example = "queue_max = 10000;" },
    { .name = "batch_max", .read = reader_number, OF_DESTINATION(batch_max), .min = 1, .max = 10000, .unit = "events", .example = "batch_max = 100;" },
    { .name = "timeout_ms", .read = reader_number, OF_DESTINATION(timeout_ms), .min = 100, .max = 600000, .unit = "ms", .example = "timeout_ms = 10000;" },
};

static const struct key subscription_keys[] = {
    { .name = "destinations", .read = reader_strings, OF_SUBSCRIPTION(destinations), .max = CONFIG_EVENT_DESTINATIONS_MAX, .required = true, .example = "destinations = [ \"audit\" ];" },
    { .name = "types", .read = reader_strings, OF_SUBSCRIPTION(types), .max = CONFIG_STRINGS_MAX, .required = true, .example = "types = [ \"http_request_complete.v0\" ];" },
    { .name = "filter", .read = reader_string, OF_SUBSCRIPTION(filter), .example = "filter = \"ev.http.response.status_code >= 500\";" },
    { .name = "fields", .read = reader_strings, OF_SUBSCRIPTION(fields), .max = CONFIG_STRINGS_MAX, .example = "fields = [ \"conn.client_ip\" ];" },
};

const struct key config_event_keys[CONFIG_EVENT_KEYS] = {
    { .name = "destinations", .read = read_destinations, .max = CONFIG_EVENT_DESTINATIONS_MAX, .members = destination_keys, .member_count = COUNT(destination_keys), .example = "destinations = ( { name = \"audit\"; type = \"file\"; path = \"/var/log/sallyport/events.json\"; } );" },
    { .name = "subscriptions", .read = read_subscriptions, .max = CONFIG_EVENT_SUBSCRIPTIONS_MAX, .members = subscription_keys, .member_count = COUNT(subscription_keys), .example = "subscriptions = ( { destinations = [ \"audit\" ]; types = [ \"*\" ]; } );" },
    { .name = "normalize_headers", .read = read_normalize, .offset = offsetof(struct config, event_headers), .example = "normalize_headers = true;" },
};
/* clang-format on */

/* ---- the plan -------------------------------------------------------------------------- */

static void problem(struct reader *r, const char *where, const char *text)
{
    r->problem_count++;
    buf_add_fmt(r->problems, "%s: events: %s\n", where, text);
}

static bool is_path_taken(const struct config *c, size_t count, const char *path)
{
    for (size_t i = 0; i < count; i++) {
        const struct config_destination *d = &c->destinations[i];

        if (d->target == EVENT_TARGET_FILE && d->path != NULL && strcmp(d->path, path) == 0)
            return true;
    }
    return false;
}

/* What is wrong with the entry at `index` by itself; NULL: nothing. */
static const char *destination_problem(const struct config *c, size_t index)
{
    const struct config_destination *d = &c->destinations[index];

    if (d->target == EVENT_TARGET_HTTP) {
        if (d->path != NULL)
            return "a destination of type \"http\" has no path; remove it";
        return d->url == NULL ? "the url is missing; add: url = \"https://...\";" : NULL;
    }
    if (d->url != NULL || d->headers.count > 0)
        return "a destination of type \"file\" has no url and no headers; remove them";
    if (d->path == NULL)
        return "the path is missing; add: path = \"/var/log/sallyport/events.json\";";
    return is_path_taken(c, index, d->path)
               ? "two destinations have the same path; give each a file of its own"
               : NULL;
}

static void add_destination(struct reader *r, size_t index)
{
    const struct config_destination *d = &r->c->destinations[index];
    const char *why = destination_problem(r->c, index);
    struct event_header headers[CONFIG_EVENT_HEADERS_MAX];
    struct event_destination out = {
        .name = str_from(d->name),
        .target = d->target,
        .path = str_from(d->path),
        .url = str_from(d->url),
        .headers = headers,
        .header_count = d->headers.count,
        .body = EVENT_BODY_LIST,
        .queue_max = (size_t)d->queue_max,
        .batch_max = (size_t)d->batch_max,
        .timeout_ms = d->timeout_ms,
    };
    struct err e;

    for (size_t i = 0; i < d->headers.count; i++) {
        struct str line = str_from(d->headers.items[i]);
        size_t colon = str_find_char(line, ':');

        headers[i].name = str_slice(line, 0, colon);
        headers[i].value = str_trim(str_skip(line, colon + 1));
        if (colon == line.n)
            why = "a header is not \"Name: value\"";
    }
    if (why != NULL)
        problem(r, d->where, why);
    else if (event_plan_add_destination(r->c->events, &out, &e) == -1)
        problem(r, d->where, e.msg);
}

/* Appends the types that `pattern` stands for; returns how many. */
static size_t expand(struct str pattern, struct str out[EVENT_TYPES], size_t count)
{
    size_t before = count;
    struct str front = str_slice(pattern, 0, pattern.n - 1);

    for (int i = 0; i < EVENT_TYPES; i++) {
        struct str name = str_from(event_type_name((enum event_type)i));

        if (str_starts(name, front) && count < EVENT_TYPES)
            out[count++] = name;
    }
    return count - before;
}

/* The types of a subscription by name; returns how many, or 0 with a problem. */
static size_t list_types(struct reader *r, const struct config_subscription *s,
                         struct str out[EVENT_TYPES])
{
    size_t count = 0;

    for (size_t i = 0; i < s->types.count; i++) {
        struct str name = str_from(s->types.items[i]);
        size_t more = 0;

        if (count == EVENT_TYPES) {
            problem(r, s->where, "the same type is given more than once");
            return 0;
        }
        if (str_ends(name, STR("*"))) {
            more = expand(name, out, count);
        } else {
            out[count] = name;
            more = 1;
        }
        if (more == 0)
            problem(r, s->where, "no event type begins as one of types says");
        count += more;
    }
    if (count == 0 && s->types.count == 0)
        problem(r, s->where, "types is empty; write: types = [ \"http_request_complete.v0\" ];");
    return count;
}

static void check_filters(struct reader *r, const struct config_subscription *from,
                          const struct event_subscription *s)
{
    struct err e;

    for (size_t i = 0; i < s->source_count && s->sources[i].filter.n > 0; i++) {
        struct event_filter *f = event_filter_new(s->sources[i].type, s->sources[i].filter, &e);

        if (f == NULL)
            problem(r, from->where, e.msg);
        event_filter_free(f);
    }
}

static void add_subscription(struct reader *r, const struct config_subscription *s)
{
    struct str types[EVENT_TYPES];
    struct str *fields = mem_zalloc_array(s->fields.count, sizeof(*fields));
    struct str *names = mem_zalloc_array(s->destinations.count, sizeof(*names));
    struct event_source_params sources[EVENT_TYPES];
    struct event_subscription_params params = { .sources = sources,
                                                .destinations = names,
                                                .destination_count = s->destinations.count };
    struct event_plan *plan = r->c->events;
    struct err e;

    for (size_t i = 0; i < s->fields.count; i++)
        fields[i] = str_from(s->fields.items[i]);
    for (size_t i = 0; i < s->destinations.count; i++)
        names[i] = str_from(s->destinations.items[i]);
    params.source_count = list_types(r, s, types);
    for (size_t i = 0; i < params.source_count; i++)
        sources[i] = (struct event_source_params){ .type = types[i],
                                                   .filter = str_from(s->filter),
                                                   .fields = fields,
                                                   .field_count = s->fields.count };
    if (event_plan_add_subscription(plan, &params, &e) == -1)
        problem(r, s->where, e.msg);
    else
        check_filters(r, s, &plan->subscriptions[plan->subscription_count - 1]);
    mem_free(fields);
    mem_free(names);
}

void config_finish_events(struct reader *r)
{
    struct config *c = r->c;
    size_t before = r->problem_count;

    c->events = event_plan_new();
    for (size_t i = 0; i < c->destination_count; i++) {
        if (c->destinations[i].where != NULL)
            add_destination(r, i);
    }
    if (r->problem_count > before)
        return; /* or subscriptions would miss what was refused */
    for (size_t i = 0; i < c->subscription_count; i++) {
        if (c->subscriptions[i].where != NULL)
            add_subscription(r, &c->subscriptions[i]);
    }
}

static void free_strings(struct config_strings *list)
{
    for (size_t i = 0; i < list->count; i++)
        mem_free(list->items[i]);
    mem_free(list->items);
}

void config_events_fini(struct config *c)
{
    for (size_t i = 0; i < c->destination_count; i++) {
        struct config_destination *d = &c->destinations[i];

        mem_free(d->name);
        mem_free(d->path);
        mem_free(d->url);
        free_strings(&d->headers);
        mem_free(d->where);
    }
    mem_free(c->destinations);
    for (size_t i = 0; i < c->subscription_count; i++) {
        struct config_subscription *s = &c->subscriptions[i];

        free_strings(&s->destinations);
        free_strings(&s->types);
        mem_free(s->filter);
        free_strings(&s->fields);
        mem_free(s->where);
    }
    mem_free(c->subscriptions);
    event_plan_unref(c->events);
}
