/* tunnels (spec 3.2): what each live forward of an SSH session serves. */
#include "tunnel/api/live.h"

static const struct api_field fields[] = {
    { .name = "public_url", .type = API_STRING, .where = API_R, .text = "where it is reached" },
    { .name = "started_at", .type = API_TIME, .where = API_R, .text = "when it became active" },
    { .name = "metadata", .type = API_STRING, .where = API_R, .text = "given by --metadata" },
    { .name = "proto", .type = API_STRING, .where = API_R, .text = "http, https, tcp or tls" },
    { .name = "region", .type = API_STRING, .where = API_R, .text = "always empty" },
    { .name = "tunnel_session", .type = API_REF, .where = API_R, .text = "whose forward it is" },
    { .name = "endpoint", .type = API_REF, .where = API_R, .text = "what it serves" },
    { .name = "labels", .type = API_OBJECT, .where = API_R, .text = "always empty" },
    { .name = "backends", .type = API_OBJECTS, .where = API_R, .text = "always empty" },
    { .name = "forwards_to",
      .type = API_STRING,
      .where = API_R,
      .text = "the upstream, when the client has said it" },
};

static int find(struct api_call *c, const struct api_resource *r, struct str id, json_t **object)
{
    (void)r;
    *object = api_live_find(c, API_LIVE_TUNNEL, id);
    return *object != NULL;
}

static int range(struct api_call *c, const struct api_resource *r, struct str before, size_t max,
                 json_t *list)
{
    (void)r;
    api_live_range(c, API_LIVE_TUNNEL, before, max, list);
    return 0;
}

static const struct api_provider provider = { .find = find, .range = range };

static const char *const columns[] = { "public_url", "started_at", "tunnel_session", "forwards_to",
                                       NULL };

const struct api_resource api_resource_tunnels = {
    .path = "/tunnels",
    .list_key = "tunnels",
    .kind = "tunnel",
    .prefix = "tn",
    .command = "tunnels",
    .text = "live forwards of SSH sessions",
    .columns = columns,
    .is_of_sessions = true,
    .verbs = API_CAN_GET | API_CAN_LIST,
    API_FIELDS(fields),
    .no_uri = true,
    .no_filter = true,
    .provider = &provider,
};
