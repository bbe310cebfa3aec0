/* tunnel_sessions (spec 3.3): live SSH sessions, which can be stopped. */
#include "tunnel/api/live.h"

static const struct api_field fields[] = {
    { .name = "agent_version",
      .type = API_STRING,
      .where = API_R | API_F,
      .text = "the software of the client" },
    { .name = "credential",
      .type = API_REF,
      .where = API_R | API_F,
      .text = "the SSH credential that logged in" },
    { .name = "ip", .type = API_STRING, .where = API_R | API_F, .text = "address of the client" },
    { .name = "metadata", .type = API_STRING, .where = API_R, .text = "always empty" },
    { .name = "os", .type = API_STRING, .where = API_R | API_F, .text = "always empty" },
    { .name = "region", .type = API_STRING, .where = API_R | API_F, .text = "always empty" },
    { .name = "started_at",
      .type = API_TIME,
      .where = API_R | API_F,
      .text = "when the client had logged in" },
    { .name = "transport", .type = API_STRING, .where = API_R, .text = "always ssh" },
};

static int find(struct api_call *c, const struct api_resource *r, struct str id, json_t **object)
{
    (void)r;
    *object = api_live_find(c, API_LIVE_SESSION, id);
    return *object != NULL;
}

static int range(struct api_call *c, const struct api_resource *r, struct str before, size_t max,
                 json_t *list)
{
    (void)r;
    api_live_range(c, API_LIVE_SESSION, before, max, list);
    return 0;
}

static const struct api_provider provider = { .find = find, .range = range };

static int stop(struct api_call *c, const struct api_resource *r, json_t *object, struct str item)
{
    const struct api_host *host = api_call_host(c);
    struct err e = { 0 };

    (void)r;
    (void)item;
    if (host->session_end == NULL ||
        host->session_end(host->arg, api_get_text(object, "id"), &e) == -1)
        return api_fail(c, API_TUNNEL_GONE, "The session could not be stopped: %s.", e.msg);
    return 1;
}

static int restart(struct api_call *c, const struct api_resource *r, json_t *object,
                   struct str item)
{
    (void)r;
    (void)object;
    (void)item;
    return api_fail(c, API_TUNNEL_RESTART,
                    "SSH sessions cannot be restarted from here; stop it, and its client may "
                    "connect again.");
}

static int update(struct api_call *c, const struct api_resource *r, json_t *object, struct str item)
{
    (void)r;
    (void)object;
    (void)item;
    return api_fail(c, API_TUNNEL_UPDATE,
                    "The software of SSH sessions cannot be updated from here.");
}

static const struct api_action actions[] = {
    { .method = "POST",
      .name = "stop",
      .writes = true,
      .command = "stop",
      .text = "ends the session and frees its names",
      .run = stop },
    { .method = "POST",
      .name = "restart",
      .writes = true,
      .command = "restart",
      .text = "refused: SSH sessions cannot be restarted",
      .run = restart },
    { .method = "POST",
      .name = "update",
      .writes = true,
      .command = "update",
      .text = "refused: SSH sessions cannot be updated",
      .run = update },
};

static const char *const columns[] = { "ip", "started_at", "agent_version", NULL };

const struct api_resource api_resource_tunnel_sessions = {
    .path = "/tunnel_sessions",
    .list_key = "tunnel_sessions",
    .kind = "tunnel_session",
    .prefix = "ts",
    .command = "tunnel-sessions",
    .text = "live SSH sessions",
    .columns = columns,
    .is_of_sessions = true,
    .verbs = API_CAN_GET | API_CAN_LIST,
    API_FIELDS(fields),
    .actions = actions,
    .action_count = sizeof(actions) / sizeof(actions[0]),
    .provider = &provider,
};
