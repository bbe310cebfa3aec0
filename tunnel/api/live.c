#include "tunnel/api/live.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tunnel/api/api_int.h"

static json_t *new_object(const char *prefix, const char *id, const char *account)
{
    const char *ksuid = strchr(id, '_'); /* a tunnel and its endpoint share theirs */
    json_t *o = json_object();
    char text[ID_BYTES];

    (void)snprintf(text, sizeof(text), "%s%s", prefix, ksuid != NULL ? ksuid : "");
    api_set(o, "id", str_from(text));
    api_set(o, "account", str_from(account));
    return o;
}

static void set_id(json_t *o, const char *name, const char *prefix, const char *id)
{
    const char *ksuid = strchr(id, '_');
    char text[ID_BYTES];

    (void)snprintf(text, sizeof(text), "%s%s", prefix, ksuid != NULL ? ksuid : "");
    api_set(o, name, str_from(text));
}

static void set_time(json_t *o, const char *name, uint64_t wall_ms)
{
    char text[API_TIME_BYTES];

    api_format_time(wall_ms, text);
    api_set(o, name, str_from(text));
}

static json_t *session_object(const struct api_session *s)
{
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

static json_t *tunnel_object(const struct api_live_endpoint *ep)
{
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

static json_t *endpoint_object(const struct api_live_endpoint *ep)
{
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

json_t *api_live_sessions(struct api_call *c)
{
    struct api_live *live = take_live(c);
    json_t *list = json_array();

    if (live == NULL)
        return list;
    for (size_t i = 0; i < live->session_count; i++) {
        if (may_see(c, live->sessions[i].account, live->sessions[i].key))
            (void)json_array_append_new(list, session_object(&live->sessions[i]));
    }
    live->release(live);
    api_live_sort(list);
    return list;
}

static json_t *endpoints(struct api_call *c, json_t *(*make)(const struct api_live_endpoint *ep))
{
    struct api_live *live = take_live(c);
    json_t *list = json_array();

    if (live == NULL)
        return list;
    for (size_t i = 0; i < live->endpoint_count; i++) {
        if (may_see(c, live->endpoints[i].account, live->endpoints[i].key))
            (void)json_array_append_new(list, make(&live->endpoints[i]));
    }
    live->release(live);
    api_live_sort(list);
    return list;
}

json_t *api_live_tunnels(struct api_call *c)
{
    return endpoints(c, tunnel_object);
}

json_t *api_live_endpoints(struct api_call *c)
{
    return endpoints(c, endpoint_object);
}

json_t *api_live_find(json_t *objects, struct str id)
{
    json_t *found = NULL;
    size_t i;
    json_t *o;

    json_array_foreach(objects, i, o)
    {
        if (str_eq(api_get(o, "id"), id))
            found = json_incref(o);
    }
    json_decref(objects);
    return found;
}

/* Ids of one kind have one length. */
static bool is_before(struct str id, struct str before)
{
    return before.n == 0 || (id.n == before.n && memcmp(id.p, before.p, id.n) < 0);
}

void api_live_range(json_t *objects, struct str before, size_t max, json_t *list)
{
    size_t i;
    json_t *o;

    json_array_foreach(objects, i, o)
    {
        if (json_array_size(list) < max && is_before(api_get(o, "id"), before))
            (void)json_array_append(list, o);
    }
    json_decref(objects);
}
