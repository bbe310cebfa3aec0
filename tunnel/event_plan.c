#include "tunnel/event_plan.h"

#include "base/mem.h"
#include "tunnel/event_field.h"

struct event_plan *event_plan_new(void)
{
    struct event_plan *p = mem_zalloc(sizeof(*p));

    ref_init(&p->ref);
    arena_init(&p->arena);
    return p;
}

void event_plan_ref(struct event_plan *p)
{
    if (p != NULL)
        ref_inc(&p->ref);
}

void event_plan_unref(struct event_plan *p)
{
    if (p == NULL || !ref_dec(&p->ref))
        return;
    mem_free(p->destinations);
    mem_free(p->subscriptions);
    arena_fini(&p->arena);
    mem_free(p);
}

/* ---- destinations ---------------------------------------------------------------------- */

static size_t find_destination(const struct event_plan *p, struct str name)
{
    size_t i = 0;

    while (i < p->destination_count && !str_eq(p->destinations[i].name, name))
        i++;
    return i;
}

static bool is_header(const struct event_header *h)
{
    for (size_t i = 0; i < h->name.n; i++) {
        if (!char_is_alpha(h->name.p[i]) && !char_is_digit(h->name.p[i]) && h->name.p[i] != '-' &&
            h->name.p[i] != '_')
            return false;
    }
    for (size_t i = 0; i < h->value.n; i++) {
        if ((unsigned char)h->value.p[i] < 0x20 && h->value.p[i] != '\t')
            return false;
    }
    return h->name.n > 0;
}

static int check_target(const struct event_destination *d, struct err *e)
{
    if (d->target == EVENT_TARGET_FILE) {
        return str_starts(d->path, STR("/")) ? 0
                                             : err_set(e, E_EVENT_TARGET,
                                                       "the path of the file is "
                                                       "not absolute");
    }
    if (!str_starts_nocase(d->url, STR("http://")) && !str_starts_nocase(d->url, STR("https://")))
        return err_set(e, E_EVENT_TARGET, "the URL is not one of http or https");
    for (size_t i = 0; i < d->header_count; i++) {
        if (!is_header(&d->headers[i]))
            return err_set(e, E_EVENT_TARGET, "header %zu cannot be sent", i + 1);
    }
    return 0;
}

static const struct event_header *copy_headers(struct arena *a, const struct event_destination *d)
{
    struct event_header *copy = arena_alloc(a, d->header_count * sizeof(*copy));

    for (size_t i = 0; i < d->header_count; i++) {
        copy[i].name = arena_str(a, d->headers[i].name);
        copy[i].value = arena_str(a, d->headers[i].value);
    }
    return copy;
}

int event_plan_add_destination(struct event_plan *p, const struct event_destination *d,
                               struct err *e)
{
    struct event_destination *copy;

    if (d->name.n == 0)
        return err_set(e, E_EVENT_DESTINATION, "the destination has no name");
    if (find_destination(p, d->name) < p->destination_count)
        return err_set(e, E_EVENT_DESTINATION, "the destination \"%.*s\" is given twice",
                       STR_ARG(d->name));
    if (check_target(d, e) == -1)
        return -1;
    p->destinations =
        mem_realloc(p->destinations, (p->destination_count + 1) * sizeof(*p->destinations));
    copy = &p->destinations[p->destination_count++];
    *copy = *d;
    copy->name = arena_str(&p->arena, d->name);
    copy->path = arena_str(&p->arena, d->path);
    copy->url = arena_str(&p->arena, d->url);
    copy->members = arena_str(&p->arena, d->members);
    copy->headers = copy_headers(&p->arena, d);
    return 0;
}

static bool has_same_headers(const struct event_destination *a, const struct event_destination *b)
{
    if (a->header_count != b->header_count)
        return false;
    for (size_t i = 0; i < a->header_count; i++) {
        if (!str_eq(a->headers[i].name, b->headers[i].name) ||
            !str_eq(a->headers[i].value, b->headers[i].value))
            return false;
    }
    return true;
}

bool event_destination_is_same(const struct event_destination *a, const struct event_destination *b)
{
    return a->target == b->target && str_eq(a->path, b->path) && str_eq(a->url, b->url) &&
           a->body == b->body && str_eq(a->members, b->members) &&
           a->public_only == b->public_only && a->batch_max == b->batch_max &&
           a->timeout_ms == b->timeout_ms && has_same_headers(a, b);
}

/* ---- subscriptions --------------------------------------------------------------------- */

static int add_source(struct event_plan *p, struct event_subscription *s,
                      const struct event_source_params *params, struct err *e)
{
    struct event_source *source = &s->sources[s->source_count];

    if (event_type_find(params->type, &source->type, e) == -1)
        return -1;
    for (size_t i = 0; i < s->source_count; i++) {
        if (s->sources[i].type == source->type)
            return err_set(e, E_EVENT_TYPE_TWICE, "the event type %s is given twice",
                           event_type_name(source->type));
    }
    if (!event_type_is_traffic(source->type) && params->field_count > 0)
        return err_set(e, E_EVENT_AUDIT_FIELDS, "%s has no fields to choose from",
                       event_type_name(source->type));
    if (!event_type_is_traffic(source->type) && params->filter.n > 0)
        return err_set(e, E_EVENT_AUDIT_FILTER, "%s cannot be filtered",
                       event_type_name(source->type));
    source->filter = arena_str(&p->arena, params->filter);
    source->fields = params->field_count == 0 ? EVENT_FIELD_ALL : 0;
    for (size_t i = 0; i < params->field_count; i++) {
        if (event_field_choose(source->type, params->fields[i], &source->fields, e) == -1)
            return -1;
    }
    s->source_count++;
    return 0;
}

static int add_destination(const struct event_plan *p, struct event_subscription *s,
                           struct str name, struct err *e)
{
    size_t at = find_destination(p, name);

    if (at == p->destination_count)
        return err_set(e, E_EVENT_DESTINATION, "there is no destination \"%.*s\"", STR_ARG(name));
    s->destinations[s->destination_count++] = at;
    return 0;
}

int event_plan_add_subscription(struct event_plan *p,
                                const struct event_subscription_params *params, struct err *e)
{
    struct event_subscription s = {
        .account = arena_str(&p->arena, params->account),
        .sources = arena_zalloc(&p->arena, params->source_count * sizeof(*s.sources)),
        .destinations =
            arena_zalloc(&p->arena, params->destination_count * sizeof(*s.destinations)),
    };

    for (size_t i = 0; i < params->source_count; i++) {
        if (add_source(p, &s, &params->sources[i], e) == -1)
            return -1;
    }
    for (size_t i = 0; i < params->destination_count; i++) {
        if (add_destination(p, &s, params->destinations[i], e) == -1)
            return -1;
    }
    p->subscriptions =
        mem_realloc(p->subscriptions, (p->subscription_count + 1) * sizeof(*p->subscriptions));
    p->subscriptions[p->subscription_count++] = s;
    return 0;
}
