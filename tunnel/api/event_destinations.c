/* event_destinations (spec 3.11.1): where events go. */
#include <stdlib.h>
#include <string.h>

#include "tunnel/account_id.h"
#include "tunnel/api/api_int.h"
#include "tunnel/api/event_guard.h"
#include "tunnel/api/event_target.h"

#define TEST_TYPE "test.v0"

static const struct api_field fields[] = {
    API_FIELD_CREATED_AT,
    API_FIELD_DESCRIPTION(API_OK),
    API_FIELD_METADATA(API_OK),
    { .name = "format",
      .type = API_STRING,
      .where = API_C | API_U | API_R | API_F,
      .max_bytes = 16,
      .too_long = API_EVENT_FORMAT,
      .text = "json" },
    { .name = "target",
      .type = API_OBJECT,
      .where = API_C | API_U | API_HIDDEN | API_R | API_REQUIRED,
      .missing = API_EVENT_NO_TARGET,
      .text = "datadog (api_key, ddsite, ddtags, service) or debug (callback_url)" },
    { .name = "verify_with_test_event",
      .type = API_BOOL,
      .where = API_C | API_U | API_HIDDEN,
      .text = "whether a test event must arrive first" },
};

/* ---- test events ---------------------------------------------------------------------------- */

static json_t *credential_of(struct api_call *c)
{
    return api_ref(c, str_from(api_call_who(c)->credential));
}

/* The text is the caller's to free(). */
static char *make_event(struct api_call *c, const json_t *object, const char event_id[ID_BYTES])
{
    const struct api_caller *who = api_call_who(c);
    char account[ID_BYTES];
    json_t *event;
    char *text;

    account_id(api_get(object, "account"), account);
    event = json_pack("{s:s, s:s, s:s, s:s, s:{s:s, s:s, s:s, s:o}, s:{s:o, s:s}}", "event_id",
                      event_id, "event_type", TEST_TYPE, "event_timestamp", c->now, "account_id",
                      account, "principal", "id", who->principal, "subject", who->account, "source",
                      who->source == API_SOURCE_SSH ? "SSH" : "API", "credential", credential_of(c),
                      "object", "event_destination", api_ref(c, api_get(object, "id")), "message",
                      "a test event");
    text = json_dumps(event, JSON_COMPACT);
    json_decref(event);
    return text;
}

/* Sends one event to the destination and waits for it to arrive. */
static int send_test(struct api_call *c, const json_t *object, char event_id[ID_BYTES])
{
    const struct api_host *host = api_call_host(c);
    struct event_destination d;
    struct err e = { 0 };
    char *text;
    int rc;

    if (host->event_deliver == NULL)
        return api_fail(c, API_NOT_OFFERED, "This gateway sends no test events.");
    if (api_event_destination_read(object, c->api->seal_key, &host->events, &c->arena, &d, &e) ==
        -1)
        return api_fail(c, API_INTERNAL, "The destination cannot be used: %s.", e.msg);
    id_source_next(&c->api->ids, "ev", c->wall_ms, event_id);
    text = make_event(c, object, event_id);
    api_wait_begin(c);
    rc = host->event_deliver(host->arg, &d, str_from(text), &e);
    api_wait_end(c);
    free(text);
    if (rc == 0)
        return 0;
    if (e.code == E_RATE_LIMITED)
        return api_fail(c, API_BUSY, "Another test event is under way; try again in a moment.");
    return api_fail(c, API_EVENT_TEST, "The test event did not arrive: %s.", e.msg);
}

static int send_test_event(struct api_call *c, const struct api_resource *r, json_t *object,
                           struct str item)
{
    char event_id[ID_BYTES];
    json_t *body;

    (void)r;
    (void)item;
    if (api_event_guard(c, object) == -1 || send_test(c, object, event_id) == -1)
        return -1;
    body = json_object();
    api_set(body, "event_id", str_from(event_id));
    api_answer(c, 201, body);
    return 1;
}

static const struct api_action actions[] = {
    { .method = "POST",
      .name = "send_test_event",
      .writes = true,
      .command = "send-test-event",
      .text = "send it an event now, and wait until it has arrived",
      .run = send_test_event },
};

/* ---- changes -------------------------------------------------------------------------------- */

static int check_format(struct api_call *c, struct api_change *ch)
{
    struct str format = api_get(ch->after, "format");

    if (format.n == 0)
        api_set(ch->after, "format", STR("json"));
    else if (!str_eq_nocase(format, STR("json")))
        return api_fail(c, API_EVENT_FORMAT, "The format must be json.");
    return 0;
}

static int check(struct api_call *c, struct api_change *ch)
{
    char event_id[ID_BYTES];

    if (api_event_guard_change(c, ch) == -1 || check_format(c, ch) == -1 ||
        api_event_target_take(c, ch) == -1)
        return -1;
    if (!json_is_true(json_object_get(ch->input, "verify_with_test_event")))
        return 0;
    return send_test(c, ch->after, event_id);
}

static int before_delete(struct api_call *c, struct api_change *ch)
{
    struct str users = arena_fmt(&c->arena, "destination/%s/", ch->id);
    json_t *ids;
    bool is_used;

    if (api_event_guard(c, ch->before) == -1 ||
        api_find_ids(c, &api_resource_event_subscriptions, users, 1, &ids) == -1)
        return -1;
    is_used = json_array_size(ids) > 0;
    json_decref(ids);
    if (is_used)
        return api_fail(c, API_EVENT_DESTINATION_USED,
                        "A subscription sends to the destination; change that first.");
    return 0;
}

static int show(struct api_call *c, const json_t *object, json_t *shown)
{
    (void)c;
    (void)json_object_set_new(shown, "target", api_event_target_show(object));
    return 0;
}

static const char *const columns[] = { "description", "target", "created_at", NULL };

const struct api_resource api_resource_event_destinations = {
    .path = "/event_destinations",
    .list_key = "event_destinations",
    .kind = "event_destination",
    .prefix = "ed",
    .command = "event-destinations",
    .event = "event_destination",
    .text = "where events go",
    .columns = columns,
    .verbs = API_CAN_ALL,
    API_FIELDS(fields),
    .is_of_events = true,
    .actions = actions,
    .action_count = sizeof(actions) / sizeof(actions[0]),
    .check = check,
    .before_delete = before_delete,
    .show = show,
};
