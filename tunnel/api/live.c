#include "tunnel/api/live.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tunnel/api/api_int.h"

/* One that is shown, with what is behind the prefix of its id. */
struct item {
    struct str ksuid; /* borrowed, as `of` */
    const void *of;   /* borrowed: a session or an endpoint in the list of the host */
};

/* Those that the caller may see, newest first. */
struct items {
    struct item *list; /* owned */
    size_t count;
};

struct api_call_live {
    struct api_live *live; /* owned: what the host gave; NULL: nobody knows */
    struct items sessions;
    struct items endpoints;
};

/* ---- objects --------------------------------------------------------------------------------- */

/* "_" and what is behind it: a tunnel and its endpoint share theirs. */
static struct str ksuid_of(struct str id)
{
    return str_skip(id, str_find_char(id, '_'));
}

static void set_id(json_t *o, const char *name, const char *prefix, const char *id)
{
    char text[ID_BYTES];

    (void)snprintf(text, sizeof(text), "%s%.*s", prefix, STR_ARG(ksuid_of(str_from(id))));
    api_set(o, name, str_from(text));
}

static json_t *new_object(const char *prefix, const char *id, const char *account)
{
    json_t *o = json_object();

    set_id(o, "id", prefix, id);
    api_set(o, "account", str_from(account));
    return o;
}

static void set_time(json_t *o, const char *name, uint64_t wall_ms)
{
    char text[API_TIME_BYTES];

    api_format_time(wall_ms, text);
    api_set(o, name, str_from(text));
}

static json_t *session_object(const void *of)
{
    const struct api_session *s = of;
    json_t *o = new_object("ts", s->id, s->account);
    char ip[ADDR_IP_TEXT_BYTES];

    addr_format_ip(&s->peer, ip);
    api_set(o, "agent_version", str_from(s->client));
    api_set(o, "credential_id", str_from(s->credential));
    api_set(o, "ip", str_from(ip));
    set_time(o, "started_at", s->started_wall_ms);
    api_set(o, "transport", STR("ssh"));
    return o;
}

static json_t *tunnel_object(const void *of)
{
    const struct api_live_endpoint *ep = of;
    json_t *o = new_object("tn", ep->id, ep->account);

    api_set(o, "public_url", str_from(ep->url_text));
    set_time(o, "started_at", ep->started_wall_ms);
    api_set(o, "metadata", str_from(ep->metadata));
    api_set(o, "proto", str_from(scheme_name(ep->url.scheme)));
    api_set(o, "tunnel_session_id", str_from(ep->session_id));
    api_set(o, "endpoint_id", str_from(ep->id));
    api_set(o, "forwards_to", str_from(ep->upstream_url));
    return o;
}

static json_t *endpoint_object(const void *of)
{
    const struct api_live_endpoint *ep = of;
    json_t *o = new_object("ep", ep->id, ep->account);
    json_t *bindings = json_array();

    (void)json_array_append_new(bindings, json_string(binding_name(ep->url.binding)));
    (void)json_object_set_new(o, "bindings", bindings);
    api_set(o, "type", STR("ephemeral"));
    api_set(o, "url", str_from(ep->url_text));
    api_set(o, "name", str_from(ep->name));
    api_set(o, "description", str_from(ep->description));
    api_set(o, "metadata", str_from(ep->metadata));
    (void)json_object_set_new(o, "pooling_enabled", json_boolean(ep->pooling));
    set_time(o, "created_at", ep->started_wall_ms);
    set_time(o, "updated_at", ep->started_wall_ms);
    api_set(o, "traffic_policy", ep->policy);
    set_id(o, "tunnel_id", "tn", ep->id);
    api_set(o, "tunnel_session_id", str_from(ep->session_id));
    api_set(o, "upstream_url", str_from(ep->upstream_url));
    api_set(o, "upstream_protocol", str_from(ep->upstream_protocol));
    return o;
}

static const struct {
    const char *prefix;
    json_t *(*make)(const void *of);
} kinds[] = {
    [API_LIVE_SESSION] = { "ts", session_object },
    [API_LIVE_TUNNEL] = { "tn", tunnel_object },
    [API_LIVE_ENDPOINT] = { "ep", endpoint_object },
};

/* ---- what a call sees ------------------------------------------------------------------------ */

/* Of its account; and of its key, for one that may see no more. */
static bool may_see(const struct api_call *c, const char *account, const char *key)
{
    const struct api_caller *who = api_call_who(c);

    return api_may_see(c, account) && (!who->is_restricted || strcmp(key, who->key) == 0);
}

/* There is room. */
static void add_item(struct items *to, const char *id, const void *of)
{
    to->list[to->count++] = (struct item){ .ksuid = ksuid_of(str_from(id)), .of = of };
}

static int compare_items(const void *a, const void *b)
{
    return str_compare(((const struct item *)b)->ksuid, ((const struct item *)a)->ksuid);
}

static void sort_items(struct items *items)
{
    qsort(items->list, items->count, sizeof(*items->list), compare_items);
}

/* What is live, asked of the host when it is first wanted. */
static const struct api_call_live *take_live(struct api_call *c)
{
    const struct api_host *host = api_call_host(c);
    struct api_call_live *l = c->live;
    const struct api_live *live;

    if (l != NULL)
        return l;
    l = c->live = mem_zalloc(sizeof(*l));
    live = l->live = host->live != NULL ? host->live(host->arg) : NULL;
    if (live == NULL)
        return l;
    l->sessions.list = mem_zalloc_array(live->session_count, sizeof(struct item));
    l->endpoints.list = mem_zalloc_array(live->endpoint_count, sizeof(struct item));
    for (size_t i = 0; i < live->session_count; i++) {
        const struct api_session *s = &live->sessions[i];

        if (may_see(c, s->account, s->key))
            add_item(&l->sessions, s->id, s);
    }
    for (size_t i = 0; i < live->endpoint_count; i++) {
        const struct api_live_endpoint *ep = &live->endpoints[i];

        if (may_see(c, ep->account, ep->key))
            add_item(&l->endpoints, ep->id, ep);
    }
    sort_items(&l->sessions);
    sort_items(&l->endpoints);
    return l;
}

void api_call_live_free(struct api_call_live *l)
{
    if (l == NULL)
        return;
    if (l->live != NULL)
        l->live->release(l->live);
    mem_free(l->sessions.list);
    mem_free(l->endpoints.list);
    mem_free(l);
}

static const struct items *take_items(struct api_call *c, enum api_live_kind kind)
{
    const struct api_call_live *l = take_live(c);

    return kind == API_LIVE_SESSION ? &l->sessions : &l->endpoints;
}

static bool is_at(const struct items *items, size_t at, struct str id)
{
    return at < items->count && str_eq(items->list[at].ksuid, ksuid_of(id));
}

/* Where the one with this id is, or would be. */
static size_t place_of(const struct items *items, struct str id)
{
    struct str ksuid = ksuid_of(id);
    size_t low = 0;
    size_t high = items->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (str_compare(items->list[middle].ksuid, ksuid) > 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

json_t *api_live_find(struct api_call *c, enum api_live_kind kind, struct str id)
{
    const struct items *items = take_items(c, kind);
    size_t at = place_of(items, id);

    return is_at(items, at, id) ? kinds[kind].make(items->list[at].of) : NULL;
}

void api_live_range(struct api_call *c, enum api_live_kind kind, struct str before, size_t max,
                    json_t *list)
{
    const struct items *items = take_items(c, kind);
    size_t at = before.n > 0 ? place_of(items, before) : 0;

    if (before.n > 0 && is_at(items, at, before))
        at++;
    for (size_t n = 0; n < max && at < items->count; n++, at++)
        (void)json_array_append_new(list, kinds[kind].make(items->list[at].of));
}
