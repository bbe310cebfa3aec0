#include "tunnel/api/live.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tunnel/api/api_int.h"

/* A tunnel and its endpoint share what stands behind the prefix. */
static const char *format_id(const char *prefix, const char *id, char text[ID_BYTES])
{
    const char *ksuid = strchr(id, '_');

    (void)snprintf(text, ID_BYTES, "%s%s", prefix, ksuid != NULL ? ksuid : "");
    return text;
}

static void set_id(json_t *o, const char *name, const char *prefix, const char *id)
{
    char text[ID_BYTES];

    api_set(o, name, str_from(format_id(prefix, id, text)));
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

static json_t *session_object(const void *session)
{
    const struct api_session *s = session;
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

static json_t *tunnel_object(const void *endpoint)
{
    const struct api_live_endpoint *ep = endpoint;
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

static json_t *endpoint_object(const void *endpoint)
{
    const struct api_live_endpoint *ep = endpoint;
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

static int compare_ids(const void *a, const void *b)
{
    return strcmp(api_get_text(*(json_t *const *)b, "id"), api_get_text(*(json_t *const *)a, "id"));
}

void api_live_sort(json_t *objects)
{
    size_t count = json_array_size(objects);
    json_t **list = mem_zalloc_array(count + 1, sizeof(*list));

    for (size_t i = 0; i < count; i++)
        list[i] = json_incref(json_array_get(objects, i));
    qsort(list, count, sizeof(*list), compare_ids);
    for (size_t i = 0; i < count; i++)
        (void)json_array_set_new(objects, i, list[i]);
    mem_free(list);
}

static struct api_live *take_live(struct api_call *c)
{
    const struct api_host *host = api_call_host(c);

    return host->live != NULL ? host->live(host->arg) : NULL;
}

/* Of its account; and of its key, for one that may see no more. */
static bool may_see(const struct api_call *c, const char *account, const char *key)
{
    const struct api_caller *who = api_call_who(c);

    return api_may_see(c, account) && (!who->is_restricted || strcmp(key, who->key) == 0);
}

static const struct {
    const char *prefix;
    json_t *(*make)(const void *from);
} kinds[] = {
    [API_LIVE_SESSION] = { "ts", session_object },
    [API_LIVE_TUNNEL] = { "tn", tunnel_object },
    [API_LIVE_ENDPOINT] = { "ep", endpoint_object },
};

/* What an object is made of, when it is wanted. */
struct item {
    char id[ID_BYTES];
    const void *from; /* borrowed: from what is live */
};

static int compare_items(const void *a, const void *b)
{
    return strcmp(((const struct item *)b)->id, ((const struct item *)a)->id);
}

/* Those that the caller may see, newest first, to be freed. */
static struct item *list_items(struct api_call *c, const struct api_live *live,
                               enum api_live_kind kind, size_t *count)
{
    bool is_session = kind == API_LIVE_SESSION;
    size_t total = is_session ? live->session_count : live->endpoint_count;
    struct item *items = mem_zalloc_array(total + 1, sizeof(*items));
    size_t n = 0;

    for (size_t i = 0; i < total; i++) {
        const struct api_session *s = is_session ? &live->sessions[i] : NULL;
        const struct api_live_endpoint *ep = is_session ? NULL : &live->endpoints[i];

        if (!may_see(c, is_session ? s->account : ep->account, is_session ? s->key : ep->key))
            continue;
        items[n].from = is_session ? (const void *)s : (const void *)ep;
        (void)format_id(kinds[kind].prefix, is_session ? s->id : ep->id, items[n++].id);
    }
    qsort(items, n, sizeof(*items), compare_items);
    *count = n;
    return items;
}

/* Ids of one kind have one length. */
static bool is_before(struct str id, struct str before)
{
    return before.n == 0 || (id.n == before.n && memcmp(id.p, before.p, id.n) < 0);
}

json_t *api_live_find(struct api_call *c, enum api_live_kind kind, struct str id)
{
    struct api_live *live = take_live(c);
    json_t *found = NULL;
    struct item *items;
    size_t count;

    if (live == NULL)
        return NULL;
    items = list_items(c, live, kind, &count);
    for (size_t i = 0; i < count && found == NULL; i++) {
        if (str_eq(str_from(items[i].id), id))
            found = kinds[kind].make(items[i].from);
    }
    mem_free(items);
    live->release(live);
    return found;
}

void api_live_range(struct api_call *c, enum api_live_kind kind, struct str before, size_t max,
                    json_t *list)
{
    struct api_live *live = take_live(c);
    struct item *items;
    size_t count;

    if (live == NULL)
        return;
    items = list_items(c, live, kind, &count);
    for (size_t i = 0; i < count && max > 0; i++) {
        if (!is_before(str_from(items[i].id), before))
            continue;
        (void)json_array_append_new(list, kinds[kind].make(items[i].from));
        max--;
    }
    mem_free(items);
    live->release(live);
}
