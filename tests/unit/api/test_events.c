/*
 * Unit tests of event destinations, subscriptions and sources (spec 3.11), and of the plan they make.
 * Links: tests/unit/api/api_scene
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gateway/fetch_rules.h"
#include "tests/unit/api/api_scene.h"
#include "tunnel/api/event_load.h"
#include "tunnel/event_field.h"
#include "tunnel/event_plan.h"
#include "tunnel/event_sink.h"
#include "tunnel/store/store.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define DESTINATIONS  "/event_destinations"
#define SUBSCRIPTIONS "/event_subscriptions"
#define CALLBACK      "{\"target\":{\"debug\":{\"callback_url\":\"https://collect.example/in\"}}}"

/* ---- the host ------------------------------------------------------------------------------- */

/* What was sent at once, and how that goes. */
static char delivered[4096];
static char delivered_url[256];
static char delivered_key[64];
static bool delivered_publicly;
static enum err_code delivery;

/* A filter is fine unless it says "bad". */
static int check_filter(const struct event_sink *s, enum event_type type, struct str filter,
                        struct err *e)
{
    (void)s;
    (void)type;
    return str_eq(filter, STR("bad")) ? err_set(e, E_EVENT_FILTER, "it is bad") : 0;
}

static int deliver(void *arg, const struct event_destination *d, struct str event, struct err *e)
{
    (void)arg;
    (void)snprintf(delivered, sizeof(delivered), "%.*s", STR_ARG(event));
    (void)snprintf(delivered_url, sizeof(delivered_url), "%.*s", STR_ARG(d->url));
    delivered_key[0] = '\0';
    if (d->header_count > 0)
        (void)snprintf(delivered_key, sizeof(delivered_key), "%.*s", STR_ARG(d->headers[0].value));
    delivered_publicly = d->public_only;
    return delivery == E_OK ? 0 : err_set(e, delivery, "the receiver answered with status 500");
}

static const struct event_sink_ops sink_ops = { .check_filter = check_filter };
static struct event_sink sink = { .ops = &sink_ops };

static int set_up(void **state)
{
    struct scene *s = scene_new();

    s->host.event_sink = &sink;
    s->host.event_deliver = deliver;
    s->host.is_public = fetch_is_public;
    s->host.events = (struct api_event_settings){ .objects_max = 100, .queue_max = 7 };
    delivery = E_OK;
    delivered[0] = '\0';
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    scene_free(*state);
    return 0;
}

static const char *path_of(char out[128], const char *collection, const char *id)
{
    (void)snprintf(out, 128, "%s/%s", collection, id);
    return out;
}

static const char *test_path_of(char out[128], const char *id)
{
    (void)snprintf(out, 128, DESTINATIONS "/%s/send_test_event", id);
    return out;
}

/* A subscription to one type that goes to one destination. */
static void subscribe(struct scene *s, const struct api_caller *who, const char *destination,
                      const char *type, char id[ID_BYTES])
{
    char body[512];

    (void)snprintf(body, sizeof(body),
                   "{\"sources\":[{\"type\":\"%s\"}],\"destination_ids\":[\"%s\"]}", type,
                   destination);
    scene_create(s, who, SUBSCRIPTIONS, body, id);
}

/* ---- destinations --------------------------------------------------------------------------- */

static void event_destinations_life_of_one(void **state)
{
    struct scene *s = *state;
    char id[ID_BYTES];
    char path[128];

    scene_create(s, &s->alice, DESTINATIONS,
                 "{\"format\":\"JSON\",\"description\":\"d\",\"target\":{\"datadog\":{\"api_key\":"
                 "\"topsecret\",\"ddtags\":\"env:prod\"},\"firehose\":null}}",
                 id);
    assert_memory_equal(id, "ed_", 3);
    assert_string_equal(scene_text(s, "format"), "JSON");
    assert_string_equal(scene_text(s, "target.datadog.ddtags"), "env:prod");
    assert_true(json_is_null(scene_member(s, "target.datadog.api_key")));
    assert_true(json_is_null(scene_member(s, "target.datadog.ddsite")));
    assert_true(json_is_null(scene_member(s, "target.kinesis")));
    assert_true(json_is_null(scene_member(s, "target.azure_logs_ingestion")));
    assert_null(scene_member(s, "target.debug"));
    assert_null(scene_member(s, "verify_with_test_event"));
    assert_string_equal(s->event_type, "event_destination_created.v0");
    assert_null(strstr(s->change_object, "topsecret"));
    scene_expect(s, &s->alice, "PATCH", path_of(path, DESTINATIONS, id),
                 "{\"target\":{\"datadog\":{\"service\":\"gw\"}}}", 200);
    assert_string_equal(scene_text(s, "target.datadog.service"), "gw");
    assert_true(json_is_null(scene_member(s, "target.datadog.ddtags")));
    assert_string_equal(scene_text(s, "description"), "d");
    /* The key that was not given again is still there. */
    scene_expect(s, &s->alice, "POST", test_path_of(path, id), NULL, 201);
    assert_string_equal(delivered_key, "topsecret");
    assert_string_equal(delivered_url, "https://http-intake.logs.datadoghq.com/api/v2/logs");
    scene_expect_error(s, &s->bob, "GET", path_of(path, DESTINATIONS, id), NULL, 404, "");
    scene_expect_error(s, &s->bob, "POST", test_path_of(path, id), NULL, 404, "");
    scene_expect(s, &s->alice, "DELETE", path_of(path, DESTINATIONS, id), NULL, 204);
}

static void event_destinations_secrets_are_sealed(void **state)
{
    struct scene *s = *state;
    char key[128];
    char id[ID_BYTES];
    struct store_entries found;

    scene_create(s, &s->alice, DESTINATIONS,
                 "{\"target\":{\"datadog\":{\"api_key\":\"topsecret\"}}}", id);
    (void)snprintf(key, sizeof(key), "object/event_destination/%s", id);
    assert_int_equal(store_get(s->store, str_from(key), &found, NULL), 1);
    assert_null(strstr(found.list[0].value, "topsecret"));
    store_entries_fini(&found);
}

#define DATADOG(members) "{\"target\":{\"datadog\":{\"api_key\":\"k\"," members "}}}"
#define DEBUG(url)       "{\"target\":{\"debug\":{\"callback_url\":\"" url "\"}}}"

static void event_destinations_errors(void **state)
{
    static const struct {
        const char *body;
        const char *code; /* "": it is fine */
    } rows[] = {
        { "{}", "ERR_NGROK_5100" },
        { "{\"target\":{}}", "ERR_NGROK_5100" },
        { "{\"target\":{\"datadog\":null}}", "ERR_NGROK_5100" },
        { "{\"target\":[]}", "ERR_NGROK_215" },
        { "{\"target\":{\"datadog\":\"x\"}}", "ERR_NGROK_215" },
        { "{\"target\":{\"splunk\":{}}}", "ERR_NGROK_236" },
        { "{\"target\":{\"datadog\":{},\"debug\":{}}}", "ERR_NGROK_5115" },
        { "{\"target\":{\"kinesis\":{\"stream_arn\":\"a\"}}}", "ERR_SALLYPORT_3" },
        { "{\"target\":{\"firehose\":{}}}", "ERR_SALLYPORT_3" },
        { "{\"target\":{\"cloudwatch_logs\":{}}}", "ERR_SALLYPORT_3" },
        { "{\"target\":{\"azure_logs_ingestion\":{}}}", "ERR_SALLYPORT_3" },
        { "{\"target\":{\"file\":{\"path\":\"/tmp/x\"}}}", "ERR_NGROK_236" },
        { "{\"target\":{\"datadog\":{}}}", "ERR_NGROK_5133" },
        { "{\"target\":{\"datadog\":{\"api_key\":\"\"}}}", "ERR_NGROK_5133" },
        { "{\"target\":{\"datadog\":{\"api_key\":7}}}", "ERR_NGROK_215" },
        { "{\"target\":{\"datadog\":{\"api_key\":\"a\\nb\"}}}", "ERR_NGROK_215" },
        { DATADOG("\"ddsite\":\"datadoghq.eu\""), "" },
        { DATADOG("\"ddsite\":\"https://collect.example/in\""), "" },
        { DATADOG("\"ddsite\":\"data doghq\""), "ERR_NGROK_5134" },
        { DATADOG("\"ddsite\":\"x/y.z\""), "ERR_NGROK_5134" },
        { DATADOG("\"ddsite\":\"ftp://x.y\""), "ERR_NGROK_5134" },
        { DATADOG("\"ddsite\":\"http://10.0.0.1/\""), "ERR_NGROK_215" },
        { DATADOG("\"colour\":\"red\""), "ERR_NGROK_214" },
        { DATADOG("\"ddtags\":null,\"service\":\"\""), "" },
        { "{\"target\":{\"debug\":{\"log\":true}}}", "ERR_SALLYPORT_3" },
        { "{\"target\":{\"debug\":{\"log\":false}}}", "ERR_NGROK_215" },
        { "{\"target\":{\"debug\":{\"log\":1}}}", "ERR_NGROK_215" },
        { DEBUG("https://collect.example/in?x=y"), "" },
        { DEBUG("HTTP://collect.example"), "" },
        { DEBUG("http://203.0.113.9.example:8080/"), "" },
        { DEBUG("http://8.8.8.8/"), "" },
        { DEBUG("http://[2600::1]:81/"), "" },
        { DEBUG("ftp://collect.example/"), "ERR_NGROK_215" },
        { DEBUG("collect.example"), "ERR_NGROK_215" },
        { DEBUG("http://"), "ERR_NGROK_215" },
        { DEBUG("http:///x"), "ERR_NGROK_215" },
        { DEBUG("http://user@collect.example/"), "ERR_NGROK_215" },
        { DEBUG("http://a b/"), "ERR_NGROK_215" },
        { DEBUG("http://localhost:81/"), "ERR_NGROK_215" },
        { DEBUG("http://x.localhost"), "ERR_NGROK_215" },
        { DEBUG("http://127.0.0.1/"), "ERR_NGROK_215" },
        { DEBUG("http://192.168.1.1:80/x"), "ERR_NGROK_215" },
        { DEBUG("http://169.254.169.254/latest"), "ERR_NGROK_215" },
        { DEBUG("http://[::1]/"), "ERR_NGROK_215" },
        { DEBUG("http://[fd00::1]:80/"), "ERR_NGROK_215" },
        { "{\"format\":\"Json\",\"target\":{\"debug\":{\"callback_url\":\"http://c.example\"}}}",
          "" },
        { "{\"format\":\"xml\",\"target\":{\"debug\":{\"callback_url\":\"http://c.example\"}}}",
          "ERR_NGROK_235" },
        { "{\"verify_with_test_event\":1,\"target\":{\"debug\":{}}}", "ERR_NGROK_215" },
    };
    struct scene *s = *state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        if (rows[i].code[0] == '\0')
            scene_expect(s, &s->alice, "POST", DESTINATIONS, rows[i].body, 201);
        else
            scene_expect_error(s, &s->alice, "POST", DESTINATIONS, rows[i].body, 400, rows[i].code);
    }
}

static void event_destinations_update_errors(void **state)
{
    static const struct {
        const char *body;
        const char *code;
    } rows[] = {
        { "{}", "ERR_NGROK_215" },
        { "{\"target\":{}}", "ERR_NGROK_5100" },
        { "{\"target\":{\"datadog\":{\"api_key\":\"k\"}}}", "ERR_NGROK_5108" },
        { "{\"format\":\"xml\"}", "ERR_NGROK_235" },
        { DEBUG("http://10.1.1.1/"), "ERR_NGROK_215" },
        { "{\"created_at\":\"2020-01-01T00:00:00Z\"}", "ERR_NGROK_214" },
    };
    struct scene *s = *state;
    char id[ID_BYTES];
    char path[128];

    scene_create(s, &s->alice, DESTINATIONS, CALLBACK, id);
    (void)path_of(path, DESTINATIONS, id);
    for (size_t i = 0; i < COUNT(rows); i++)
        scene_expect_error(s, &s->alice, "PATCH", path, rows[i].body, 400, rows[i].code);
    scene_expect(s, &s->alice, "PATCH", path, "{\"format\":\"\"}", 200);
    assert_string_equal(scene_text(s, "format"), "json");
    assert_string_equal(scene_text(s, "target.debug.callback_url"), "https://collect.example/in");
    scene_expect_error(s, &s->alice, "GET", DESTINATIONS "/ed_1", NULL, 404, "ERR_NGROK_222");
}

static void event_destinations_of_the_operator_may_be_private(void **state)
{
    struct scene *s = *state;
    char id[ID_BYTES];
    char path[128];

    scene_create(s, &s->admin, DESTINATIONS, DEBUG("http://127.0.0.1:9/"), id);
    scene_expect(s, &s->admin, "POST", test_path_of(path, id), NULL, 201);
    assert_false(delivered_publicly);
    scene_create(s, &s->alice, DESTINATIONS, CALLBACK, id);
    scene_expect(s, &s->alice, "POST", test_path_of(path, id), NULL, 201);
    assert_true(delivered_publicly);
    s->host.events.private_destinations = true;
    scene_expect(s, &s->alice, "POST", DESTINATIONS, DEBUG("http://127.0.0.1:9/"), 201);
    scene_expect(s, &s->alice, "POST", path, NULL, 201);
    assert_false(delivered_publicly);
}

static void event_destinations_are_few(void **state)
{
    struct scene *s = *state;

    s->host.events.objects_max = 2;
    scene_expect(s, &s->alice, "POST", DESTINATIONS, CALLBACK, 201);
    scene_expect(s, &s->alice, "POST", DESTINATIONS, CALLBACK, 201);
    scene_expect_error(s, &s->alice, "POST", DESTINATIONS, CALLBACK, 400, "ERR_NGROK_5000");
    scene_expect(s, &s->bob, "POST", DESTINATIONS, CALLBACK, 201);
    scene_expect(s, &s->alice, "POST", SUBSCRIPTIONS, "{}", 201);
    scene_expect(s, &s->alice, "POST", SUBSCRIPTIONS, "{}", 201);
    scene_expect_error(s, &s->alice, "POST", SUBSCRIPTIONS, "{}", 400, "ERR_NGROK_5131");
}

static void send_test_event_tells_how_it_went(void **state)
{
    struct scene *s = *state;
    char id[ID_BYTES];
    char path[128];
    char event_id[ID_BYTES];

    scene_create(s, &s->alice, DESTINATIONS, CALLBACK, id);
    scene_expect(s, &s->alice, "POST", test_path_of(path, id), NULL, 201);
    (void)snprintf(event_id, sizeof(event_id), "%s", scene_text(s, "event_id"));
    assert_memory_equal(event_id, "ev_", 3);
    assert_non_null(strstr(delivered, event_id));
    assert_non_null(strstr(delivered, "\"event_type\":\"test.v0\""));
    assert_non_null(strstr(delivered, id));
    delivery = E_FETCH_FAILED;
    scene_expect_error(s, &s->alice, "POST", path, NULL, 400, "ERR_NGROK_5122");
    assert_non_null(strstr(scene_text(s, "msg"), "status 500"));
    delivery = E_RATE_LIMITED;
    scene_expect_error(s, &s->alice, "POST", path, NULL, 429, "ERR_NGROK_225");
    s->host.event_deliver = NULL;
    scene_expect_error(s, &s->alice, "POST", path, NULL, 501, "ERR_SALLYPORT_7");
}

#define VERIFIED "{\"verify_with_test_event\":true,\"target\":{\"datadog\":{\"api_key\":\"k\"}}}"

static void verify_with_test_event_makes_nothing_that_fails(void **state)
{
    struct scene *s = *state;
    char id[ID_BYTES];
    char path[128];

    delivery = E_FETCH_TIMEOUT;
    scene_expect_error(s, &s->alice, "POST", DESTINATIONS, VERIFIED, 400, "ERR_NGROK_5122");
    scene_expect(s, &s->alice, "GET", DESTINATIONS, NULL, 200);
    assert_int_equal(json_array_size(scene_member(s, "event_destinations")), 0);
    delivery = E_OK;
    scene_create(s, &s->alice, DESTINATIONS, VERIFIED, id);
    assert_string_equal(delivered_key, "k");
    delivery = E_FETCH_FAILED;
    scene_expect_error(s, &s->alice, "PATCH", path_of(path, DESTINATIONS, id),
                       "{\"verify_with_test_event\":true,\"description\":\"x\"}", 400,
                       "ERR_NGROK_5122");
    scene_expect(s, &s->alice, "PATCH", path,
                 "{\"verify_with_test_event\":false,\"description\":\"x\"}", 200);
}

/* ---- subscriptions -------------------------------------------------------------------------- */

static void event_subscriptions_life_of_one(void **state)
{
    struct scene *s = *state;
    char first[ID_BYTES];
    char second[ID_BYTES];
    char id[ID_BYTES];
    char body[512];
    char path[128];
    char uri[256];

    scene_create(s, &s->alice, DESTINATIONS, CALLBACK, first);
    scene_create(s, &s->alice, DESTINATIONS, CALLBACK, second);
    (void)snprintf(body, sizeof(body),
                   "{\"metadata\":\"\",\"sources\":[{\"type\":\"vault_created.v0\",\"fields\":[]},"
                   "{\"type\":\"http_request_complete.v0\",\"filter\":\"true\",\"fields\":"
                   "[\"conn.client_ip\",\"http.response.status_code\"]}],"
                   "\"destination_ids\":[\"%s\",\"%s\"]}",
                   second, first);
    scene_create(s, &s->alice, SUBSCRIPTIONS, body, id);
    assert_memory_equal(id, "esb_", 4);
    assert_string_equal(s->event_type, "event_subscription_created.v0");
    assert_string_equal(scene_text(s, "destinations.0.id"), second);
    assert_string_equal(scene_text(s, "destinations.1.id"), first);
    assert_null(scene_member(s, "destination_ids"));
    assert_string_equal(scene_text(s, "sources.0.type"), "vault_created.v0");
    assert_null(scene_member(s, "sources.0.fields"));
    assert_null(scene_member(s, "sources.0.filter"));
    assert_string_equal(scene_text(s, "sources.1.fields.0"), "conn.client_ip");
    assert_string_equal(scene_text(s, "sources.1.filter"), "true");
    (void)snprintf(uri, sizeof(uri), SCENE_BASE SUBSCRIPTIONS "/%s/sources/vault_created.v0", id);
    assert_string_equal(scene_text(s, "sources.0.uri"), uri);
    scene_expect_error(s, &s->alice, "DELETE", path_of(path, DESTINATIONS, first), NULL, 400,
                       "ERR_NGROK_5112");
    (void)snprintf(body, sizeof(body), "{\"destination_ids\":[\"%s\"]}", second);
    scene_expect(s, &s->alice, "PATCH", path_of(path, SUBSCRIPTIONS, id), body, 200);
    assert_int_equal(json_array_size(scene_member(s, "destinations")), 1);
    assert_int_equal(json_array_size(scene_member(s, "sources")), 2);
    scene_expect(s, &s->alice, "PATCH", path, "{\"sources\":[]}", 200);
    assert_int_equal(json_array_size(scene_member(s, "sources")), 0);
    scene_expect(s, &s->alice, "DELETE", path_of(path, DESTINATIONS, first), NULL, 204);
    scene_expect_error(s, &s->bob, "DELETE", path_of(path, SUBSCRIPTIONS, id), NULL, 404,
                       "ERR_NGROK_5123");
    scene_expect(s, &s->alice, "DELETE", path, NULL, 204);
    scene_expect(s, &s->alice, "DELETE", path_of(path, DESTINATIONS, second), NULL, 204);
}

#define SOURCE(members) "{\"sources\":[{" members "}]}"
#define HTTP            "\"type\":\"http_request_complete.v0\""
#define TCP             "\"type\":\"tcp_connection_closed.v0\""
#define VAULT           "\"type\":\"vault_created.v0\""

static void event_subscriptions_errors(void **state)
{
    static const struct {
        const char *body;
        const char *code; /* "": it is fine */
    } rows[] = {
        { "{}", "" },
        { SOURCE(HTTP), "" },
        { SOURCE(HTTP ",\"uri\":\"x\",\"subscription_id\":\"esb_1\""), "" },
        { SOURCE(""), "ERR_NGROK_238" },
        { SOURCE("\"type\":\"\""), "ERR_NGROK_238" },
        { SOURCE("\"type\":7"), "ERR_NGROK_238" },
        { SOURCE("\"type\":\"a.v0\""), "ERR_NGROK_238" },
        { SOURCE(HTTP ",\"colour\":\"red\""), "ERR_NGROK_214" },
        { SOURCE(HTTP ",\"colour\":null"), "" },
        { SOURCE(HTTP ",\"fields\":\"x\""), "ERR_NGROK_215" },
        { SOURCE(HTTP ",\"fields\":[1]"), "ERR_NGROK_215" },
        { SOURCE(HTTP ",\"filter\":1"), "ERR_NGROK_215" },
        { SOURCE(HTTP ",\"fields\":[\"no.such\"]"), "ERR_NGROK_5403" },
        { SOURCE(TCP ",\"fields\":[\"http.request.method\"]"), "ERR_NGROK_5405" },
        { SOURCE(HTTP ",\"fields\":[\"http.request.method\"]"), "" },
        { SOURCE(VAULT ",\"fields\":[\"conn.client_ip\"]"), "ERR_NGROK_5401" },
        { SOURCE(VAULT ",\"filter\":\"true\""), "ERR_NGROK_5402" },
        { SOURCE(HTTP ",\"filter\":\"bad\""), "ERR_NGROK_5404" },
        { "{\"sources\":[{" HTTP "},{" VAULT "},{" HTTP "}]}", "ERR_NGROK_5127" },
        { "{\"sources\":[\"x\"]}", "ERR_NGROK_215" },
        { "{\"destination_ids\":[\"ed_1\"]}", "ERR_NGROK_227" },
        { "{\"destination_ids\":[\"ed_3AQs058Y8FRAMyB8PRdplqCVYzc\"]}", "ERR_NGROK_5103" },
        { "{\"destination_ids\":\"x\"}", "ERR_NGROK_215" },
        { "{\"destination_ids\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\"]}",
          "ERR_NGROK_5126" },
        { "{\"destinations\":[{\"id\":\"x\"}]}", "ERR_NGROK_214" },
    };
    struct scene *s = *state;
    char id[ID_BYTES];
    char body[256];
    char path[128];

    for (size_t i = 0; i < COUNT(rows); i++) {
        if (rows[i].code[0] == '\0')
            scene_expect(s, &s->alice, "POST", SUBSCRIPTIONS, rows[i].body, 201);
        else
            scene_expect_error(s, &s->alice, "POST", SUBSCRIPTIONS, rows[i].body, 400,
                               rows[i].code);
    }
    scene_create(s, &s->bob, DESTINATIONS, CALLBACK, id);
    (void)snprintf(body, sizeof(body), "{\"destination_ids\":[\"%s\"]}", id);
    scene_expect_error(s, &s->alice, "POST", SUBSCRIPTIONS, body, 400, "ERR_NGROK_5103");
    (void)snprintf(body, sizeof(body), "{\"destination_ids\":[\"%s\",\"%s\"]}", id, id);
    scene_expect_error(s, &s->bob, "POST", SUBSCRIPTIONS, body, 400, "ERR_NGROK_215");
    scene_create(s, &s->alice, SUBSCRIPTIONS, "{}", id);
    scene_expect_error(s, &s->alice, "PATCH", path_of(path, SUBSCRIPTIONS, id), "{}", 400,
                       "ERR_NGROK_215");
}

static void objects_of_administrators_are_theirs(void **state)
{
    struct scene *s = *state;
    struct api_caller user;
    char destination[ID_BYTES];
    char others[ID_BYTES];
    char id[ID_BYTES];
    char path[128];
    char body[256];

    /* One in the account of the administrator, who is none. */
    api_caller_init(s->api, &user, STR("default"), false, API_SOURCE_REST);
    scene_create(s, &s->admin, DESTINATIONS, CALLBACK, destination);
    scene_create(s, &user, DESTINATIONS, CALLBACK, others);
    subscribe(s, &s->admin, destination, "vault_created.v0", id);
    (void)path_of(path, DESTINATIONS, destination);
    scene_expect(s, &user, "GET", path, NULL, 200);
    scene_expect_error(s, &user, "PATCH", path, DEBUG("https://evil.example"), 403,
                       "ERR_NGROK_635");
    scene_expect_error(s, &user, "DELETE", path, NULL, 403, "ERR_NGROK_635");
    scene_expect_error(s, &user, "POST", test_path_of(path, destination), NULL, 403,
                       "ERR_NGROK_635");
    (void)path_of(path, SUBSCRIPTIONS, id);
    (void)snprintf(body, sizeof(body), "{\"destination_ids\":[\"%s\"]}", others);
    scene_expect_error(s, &user, "PATCH", path, body, 403, "ERR_NGROK_635");
    scene_expect_error(s, &s->admin, "PATCH", path, body, 400, "ERR_NGROK_215");
    scene_expect_error(s, &user, "DELETE", path, NULL, 403, "ERR_NGROK_635");
    (void)snprintf(path, sizeof(path), SUBSCRIPTIONS "/%s/sources", id);
    scene_expect_error(s, &user, "POST", path, "{" HTTP "}", 403, "ERR_NGROK_635");
    (void)snprintf(path, sizeof(path), SUBSCRIPTIONS "/%s/sources/vault_created.v0", id);
    scene_expect_error(s, &user, "PATCH", path, "{}", 403, "ERR_NGROK_635");
    scene_expect_error(s, &user, "DELETE", path, NULL, 403, "ERR_NGROK_635");
    scene_expect(s, &s->admin, "DELETE", path, NULL, 204);
}

/* ---- sources -------------------------------------------------------------------------------- */

static void event_sources_life_of_one(void **state)
{
    struct scene *s = *state;
    char id[ID_BYTES];
    char sources[128];
    char one[256];
    char uri[512];

    scene_create(s, &s->alice, SUBSCRIPTIONS, "{}", id);
    (void)snprintf(sources, sizeof(sources), SUBSCRIPTIONS "/%s/sources", id);
    (void)snprintf(one, sizeof(one), "%s/http_request_complete.v0", sources);
    (void)snprintf(uri, sizeof(uri), SCENE_BASE "%s", one);
    scene_expect(s, &s->alice, "POST", sources,
                 "{" HTTP ",\"subscription_id\":\"x\",\"fields\":[\"conn.client_ip\"]}", 201);
    assert_string_equal(scene_text(s, "type"), "http_request_complete.v0");
    assert_string_equal(scene_text(s, "uri"), uri);
    assert_string_equal(scene_text(s, "fields.0"), "conn.client_ip");
    assert_null(scene_member(s, "filter"));
    assert_null(scene_member(s, "id"));
    assert_string_equal(s->event_type, "event_subscription_updated.v0");
    scene_expect_error(s, &s->alice, "POST", sources, "{" HTTP "}", 400, "ERR_NGROK_5127");
    scene_expect(s, &s->alice, "POST", sources, "{" VAULT "}", 201);
    scene_expect(s, &s->alice, "GET", sources, NULL, 200);
    assert_int_equal(json_array_size(scene_member(s, "sources")), 2);
    assert_null(scene_member(s, "next_page_uri"));
    scene_expect(s, &s->alice, "GET", one, NULL, 200);
    assert_string_equal(scene_text(s, "uri"), uri);
    /* What clients send who have nothing to say. */
    scene_expect(s, &s->alice, "PATCH", one, NULL, 200);
    scene_expect(s, &s->alice, "PATCH", one, "{}", 200);
    scene_expect(s, &s->alice, "PATCH", one, "{\"subscription_id\":\"esb_X\"," HTTP "}", 200);
    assert_string_equal(scene_text(s, "fields.0"), "conn.client_ip");
    scene_expect(s, &s->alice, "PATCH", one, "{\"filter\":\"f\",\"fields\":[]}", 200);
    assert_string_equal(scene_text(s, "filter"), "f");
    assert_null(scene_member(s, "fields"));
    scene_expect(s, &s->alice, "PATCH", one, "{\"filter\":\"\"}", 200);
    assert_null(scene_member(s, "filter"));
    scene_expect(s, &s->alice, "DELETE", one, NULL, 204);
    scene_expect(s, &s->alice, "GET", sources, NULL, 200);
    assert_int_equal(json_array_size(scene_member(s, "sources")), 1);
}

static void event_sources_errors(void **state)
{
    static const struct {
        const char *method;
        const char *below; /* what stands behind "sources" */
        const char *body;
        unsigned status;
        const char *code;
    } rows[] = {
        { "POST", "", "{}", 400, "ERR_NGROK_238" },
        { "POST", "", "{\"type\":\"x.v0\"}", 400, "ERR_NGROK_238" },
        { "POST", "", "{" HTTP "}", 400, "ERR_NGROK_5127" },
        { "POST", "", "{" VAULT ",\"fields\":[\"x\"]}", 400, "ERR_NGROK_5401" },
        { "POST", "", "{" VAULT ",\"filter\":\"x\"}", 400, "ERR_NGROK_5402" },
        { "POST", "", "{" TCP ",\"fields\":[\"x\"]}", 400, "ERR_NGROK_5403" },
        { "POST", "", "{" TCP ",\"filter\":\"bad\"}", 400, "ERR_NGROK_5404" },
        { "POST", "", "{" TCP ",\"fields\":[\"http.request.method\"]}", 400, "ERR_NGROK_5405" },
        { "POST", "", "{" TCP ",\"colour\":\"red\"}", 400, "ERR_NGROK_214" },
        { "PATCH", "/http_request_complete.v0", "{\"filter\":\"bad\"}", 400, "ERR_NGROK_5404" },
        { "PATCH", "/http_request_complete.v0", "{" TCP "}", 400, "ERR_NGROK_214" },
        { "GET", "/tcp_connection_closed.v0", NULL, 404, "ERR_NGROK_5125" },
        { "PATCH", "/tcp_connection_closed.v0", "{}", 404, "ERR_NGROK_5125" },
        { "DELETE", "/x", NULL, 404, "ERR_NGROK_5125" },
    };
    struct scene *s = *state;
    char id[ID_BYTES];
    char path[256];

    scene_create(s, &s->alice, SUBSCRIPTIONS, SOURCE(HTTP), id);
    for (size_t i = 0; i < COUNT(rows); i++) {
        (void)snprintf(path, sizeof(path), SUBSCRIPTIONS "/%s/sources%s", id, rows[i].below);
        scene_expect_error(s, &s->alice, rows[i].method, path, rows[i].body, rows[i].status,
                           rows[i].code);
    }
    (void)snprintf(path, sizeof(path), SUBSCRIPTIONS "/%s/sources", id);
    scene_expect_error(s, &s->bob, "GET", path, NULL, 404, "ERR_NGROK_5123");
    scene_expect_error(s, &s->bob, "POST", path, "{" TCP "}", 404, "ERR_NGROK_5123");
    s->host.event_sink = NULL;
    scene_expect_error(s, &s->alice, "POST", path, "{" TCP ",\"filter\":\"x\"}", 501,
                       "ERR_SALLYPORT_7");
}

/* ---- plans ---------------------------------------------------------------------------------- */

static struct event_plan *load(struct scene *s)
{
    const struct api_event_load from = {
        .store = s->store,
        .seal_key = s->seal_key,
        .settings = &s->host.events,
        .sink = &sink,
    };
    struct event_plan *plan = api_event_plan_load(&from, NULL);

    assert_non_null(plan);
    return plan;
}

static void plan_is_what_the_objects_say(void **state)
{
    struct scene *s = *state;
    struct event_plan *plan = load(s);
    const struct event_destination *d;
    const struct event_subscription *sub;
    char datadog[ID_BYTES];
    char debug[ID_BYTES];
    char id[ID_BYTES];
    char body[512];

    assert_int_equal(plan->destination_count, 0);
    event_plan_unref(plan);
    scene_create(s, &s->alice, DESTINATIONS,
                 DATADOG("\"ddsite\":\"http://c.example/in\",\"service\":\"a\\\"b\""), datadog);
    scene_create(s, &s->admin, DESTINATIONS, DEBUG("http://10.0.0.1/"), debug);
    (void)snprintf(body, sizeof(body),
                   "{\"destination_ids\":[\"%s\"],\"sources\":[{" VAULT "},{" HTTP
                   ",\"fields\":[\"conn.client_ip\"],\"filter\":\"f\"}]}",
                   datadog);
    scene_create(s, &s->alice, SUBSCRIPTIONS, body, id);
    subscribe(s, &s->admin, debug, "tcp_connection_closed.v0", id);
    plan = load(s);
    assert_int_equal(plan->destination_count, 2);
    d = &plan->destinations[0];
    assert_true(str_eq(d->name, str_from(datadog)));
    assert_true(str_eq(d->url, STR("http://c.example/in")));
    assert_true(d->public_only);
    assert_int_equal(d->body, EVENT_BODY_LIST);
    assert_int_equal(d->queue_max, 7);
    assert_true(str_eq(d->headers[0].value, STR("k")));
    assert_true(str_eq(d->members, STR("\"ddsource\":\"sallyport\",\"message\":\"an event of "
                                       "sallyport\",\"service\":\"a\\\"b\",")));
    d = &plan->destinations[1];
    assert_false(d->public_only);
    assert_int_equal(d->body, EVENT_BODY_ONE);
    assert_int_equal(plan->subscription_count, 2);
    sub = &plan->subscriptions[0];
    assert_true(str_eq(sub->account, STR("alice")));
    assert_int_equal(sub->source_count, 2);
    assert_true(sub->sources[0].fields == EVENT_FIELD_ALL);
    assert_true(str_eq(sub->sources[1].filter, STR("f")));
    assert_int_equal(__builtin_popcountll(sub->sources[1].fields), 1);
    assert_int_equal(sub->destinations[0], 0);
    assert_int_equal(plan->subscriptions[1].account.n, 0); /* of all accounts */
    event_plan_unref(plan);
}

static void put(struct scene *s, const char *key, const char *value)
{
    struct store_txn txn;

    store_txn_init(&txn);
    store_txn_put(&txn, str_from(key), str_from(value));
    assert_int_equal(store_commit(s->store, &txn, NULL, NULL), 1);
}

static void plan_leaves_out_what_cannot_be_used(void **state)
{
    struct scene *s = *state;
    struct event_plan *plan;
    char id[ID_BYTES];

    put(s, "object/event_destination/ed_0", "{not json");
    put(s, "object/event_destination/ed_1",
        "{\"id\":\"ed_1\",\"target\":{\"datadog\":{}},\"sealed\":\"AAAA\"}");
    put(s, "object/event_destination/ed_2", "{\"id\":\"ed_2\",\"target\":{\"debug\":{}}}");
    put(s, "object/event_subscription/esb_0",
        "{\"id\":\"esb_0\",\"account\":\"alice\",\"destination_ids\":[\"ed_1\",7],\"sources\":["
        "{" HTTP ",\"filter\":\"bad\"},{\"type\":\"gone.v0\"},{" VAULT "}]}");
    put(s, "object/event_subscription/esb_1", "{\"id\":\"esb_1\",\"sources\":[{" VAULT "}]}");
    scene_create(s, &s->alice, DESTINATIONS, CALLBACK, id);
    plan = load(s);
    assert_int_equal(plan->destination_count, 1);
    assert_true(str_eq(plan->destinations[0].name, str_from(id)));
    assert_int_equal(plan->subscription_count, 1); /* one of no account would be of all */
    assert_int_equal(plan->subscriptions[0].source_count, 1);
    assert_int_equal(plan->subscriptions[0].destination_count, 0);
    event_plan_unref(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(event_destinations_life_of_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(event_destinations_secrets_are_sealed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(event_destinations_errors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(event_destinations_update_errors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(event_destinations_of_the_operator_may_be_private, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(event_destinations_are_few, set_up, tear_down),
        cmocka_unit_test_setup_teardown(send_test_event_tells_how_it_went, set_up, tear_down),
        cmocka_unit_test_setup_teardown(verify_with_test_event_makes_nothing_that_fails, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(event_subscriptions_life_of_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(event_subscriptions_errors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(objects_of_administrators_are_theirs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(event_sources_life_of_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(event_sources_errors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(plan_is_what_the_objects_say, set_up, tear_down),
        cmocka_unit_test_setup_teardown(plan_leaves_out_what_cannot_be_used, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
