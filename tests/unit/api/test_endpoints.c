/*
 * Unit tests of the resources endpoints, tunnels and tunnel_sessions: each error of the spec's sections 3.1
 * to 3.3. What the host knows of policies, addresses and sessions is played here.
 * Links: tests/unit/api/api_scene
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/api/api_scene.h"
#include "tunnel/host.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define ENDPOINTS "/endpoints"
#define CLOUD     "{\"url\":\"https://a.gw.example.com\",\"traffic_policy\":\"p\"}"
#define POOLED                                                                                     \
    "{\"url\":\"https://a.gw.example.com\",\"traffic_policy\":\"p\",\"pooling_enabled\":true}"

#define KSUID   "3AM9sjNjrVDmRX7F4GniLGdudNy"
#define LIVE    ENDPOINTS "/ep_" KSUID
#define SESSION "/tunnel_sessions/ts_" KSUID

static struct host_suffixes *suffixes;

/* How the next end of a session goes. */
static enum err_code end_fault;

static int end_session(void *arg, const char *id, struct err *e)
{
    (void)arg;
    assert_string_equal(id, "ts_" KSUID);
    return end_fault == E_OK ? 0 : err_set(e, end_fault, "played");
}

static void release(struct api_live *live)
{
    (void)live;
}

/* One session of alice with one endpoint. */
static struct api_live *live(void *arg)
{
    static const struct api_session session = {
        .id = "ts_" KSUID,
        .account = "alice",
        .credential = "",
        .key = "00",
        .client = "OpenSSH",
    };
    static const struct api_live_endpoint endpoint = {
        .id = "ep_" KSUID,
        .account = "alice",
        .key = "00",
        .session_id = "ts_" KSUID,
        .url = { .scheme = SCHEME_HTTPS, .host = "live.gw.example.com", .port = 443 },
        .url_text = "https://live.gw.example.com",
        .name = "",
        .description = "",
        .metadata = "",
        .upstream_url = "",
        .upstream_protocol = "",
    };
    static struct api_live all = {
        .sessions = &session,
        .session_count = 1,
        .endpoints = &endpoint,
        .endpoint_count = 1,
        .release = release,
    };

    (void)arg;
    return &all;
}

static int set_up(void **state)
{
    struct scene *s = scene_new();

    suffixes = host_suffixes_new(STR("gw.example.com"), NULL, 0, NULL);
    assert_non_null(suffixes);
    s->host.suffixes = suffixes;
    s->host.live = live;
    s->host.session_end = end_session;
    end_fault = E_OK;
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    scene_free(*state);
    host_suffixes_free(suffixes);
    return 0;
}

static const char *path_of(const char *id)
{
    static char out[128];

    (void)snprintf(out, sizeof(out), ENDPOINTS "/%s", id);
    return out;
}

/* ---- cloud endpoints ------------------------------------------------------------------------- */

#define AT(url)    "{\"traffic_policy\":\"p\",\"url\":\"" url "\"}"
#define WITH(more) "{\"traffic_policy\":\"p\",\"url\":\"https://x.gw.example.com\"," more "}"

static void endpoints_create_errors(void **state)
{
    static const struct {
        const char *body;
        const char *code;
    } rows[] = {
        { "{}", "ERR_NGROK_18015" },
        { "{\"url\":\"\",\"traffic_policy\":\"p\"}", "ERR_NGROK_18015" },
        { "{\"url\":\"https://x.gw.example.com\"}", "ERR_NGROK_18011" },
        { AT("://x.gw.example.com"), "ERR_NGROK_249" },
        { AT("https://x y.gw.example.com"), "ERR_NGROK_249" },
        { AT("https://"), "ERR_NGROK_18001" },
        { AT("https://x.gw.example.com/path"), "ERR_NGROK_18001" },
        { AT("https://a..b"), "ERR_NGROK_18001" },
        { AT("tcp://x.internal"), "ERR_NGROK_18003" },
        { AT("x.gw.example.com"), "ERR_NGROK_18022" },
        { AT("ftp://x.gw.example.com"), "ERR_NGROK_18022" },
        { AT("https://x.gw.example.com:444"), "ERR_NGROK_18023" },
        { WITH("\"bindings\":[\"kubernetes\"]"), "ERR_NGROK_18007" },
        { WITH("\"bindings\":[\"public\",\"internal\"]"), "ERR_NGROK_18007" },
        { WITH("\"type\":\"ephemeral\""), "ERR_NGROK_248" },
        { WITH("\"pooling_enabled\":1"), "ERR_NGROK_215" },
        { WITH("\"region\":\"us\""), "ERR_NGROK_214" },
    };
    struct scene *s = *state;
    char body[8192];

    for (size_t i = 0; i < COUNT(rows); i++)
        scene_expect_error(s, &s->alice, "POST", ENDPOINTS, rows[i].body, 400, rows[i].code);
    (void)snprintf(body, sizeof(body), WITH("\"description\":\"%0256d\""), 0);
    scene_expect_error(s, &s->alice, "POST", ENDPOINTS, body, 400, "ERR_NGROK_18012");
    (void)snprintf(body, sizeof(body), WITH("\"metadata\":\"%04097d\""), 0);
    scene_expect_error(s, &s->alice, "POST", ENDPOINTS, body, 400, "ERR_NGROK_18013");
}

static void endpoints_errors_of_policies(void **state)
{
    struct scene *s = *state;

    s->policy_fault = E_POLICY_DOCUMENT;
    scene_expect_error(s, &s->alice, "POST", ENDPOINTS, CLOUD, 400, "ERR_NGROK_2236");
    s->policy_fault = E_POLICY_INVALID;
    scene_expect_error(s, &s->alice, "POST", ENDPOINTS, CLOUD, 400, "ERR_NGROK_18002");
}

static void endpoints_errors_of_addresses(void **state)
{
    static const struct {
        enum err_code fault;
        unsigned status;
        const char *code;
    } rows[] = {
        { E_HOST_TAKEN, 400, "ERR_NGROK_18006" },
        { E_HOST_NOT_RESERVED, 400, "ERR_NGROK_18006" },
        { E_TCP_TAKEN, 400, "ERR_NGROK_18006" },
        { E_TCP_NOT_RESERVED, 400, "ERR_NGROK_18006" },
        { E_WILDCARD_TOO_WIDE, 400, "ERR_NGROK_18006" },
        { E_LIMIT, 500, "ERR_NGROK_741" },
    };
    struct scene *s = *state;
    char id[ID_BYTES];

    for (size_t i = 0; i < COUNT(rows); i++) {
        s->put_fault = rows[i].fault;
        scene_expect_error(s, &s->alice, "POST", ENDPOINTS, CLOUD, rows[i].status, rows[i].code);
    }
    s->put_fault = E_OK;
    scene_create(s, &s->alice, ENDPOINTS, CLOUD, id);
    s->put_fault = E_ENDPOINT_ONLINE;
    scene_expect_error(s, &s->alice, "POST", ENDPOINTS, CLOUD, 400, "ERR_NGROK_18009");
    scene_expect_error(s, &s->alice, "POST", ENDPOINTS, POOLED, 400, "ERR_NGROK_18016");
    s->put_fault = E_OK;
    scene_expect(s, &s->alice, "PATCH", path_of(id), "{\"pooling_enabled\":true}", 200);
    s->put_fault = E_ENDPOINT_ONLINE;
    scene_expect_error(s, &s->alice, "POST", ENDPOINTS, CLOUD, 400, "ERR_NGROK_18017");
}

static void endpoints_update_errors(void **state)
{
    static const struct {
        const char *body;
        const char *code;
    } rows[] = {
        { "{}", "ERR_NGROK_18004" },
        { "{\"url\":null}", "ERR_NGROK_18004" },
        { "{\"url\":\"\"}", "ERR_NGROK_18015" },
        { "{\"traffic_policy\":\"\"}", "ERR_NGROK_18011" },
        { "{\"url\":\"http://a.gw.example.com\"}", "ERR_NGROK_18005" },
        { "{\"type\":\"agent\"}", "ERR_NGROK_214" },
    };
    struct scene *s = *state;
    char id[ID_BYTES];

    scene_create(s, &s->alice, ENDPOINTS, CLOUD, id);
    for (size_t i = 0; i < COUNT(rows); i++)
        scene_expect_error(s, &s->alice, "PATCH", path_of(id), rows[i].body, 400, rows[i].code);
    scene_expect(s, &s->alice, "PATCH", path_of(id),
                 "{\"type\":\"cloud\",\"url\":\"https://b.gw.example.com:443\"}", 200);
    assert_string_equal(scene_text(s, "url"), "https://b.gw.example.com");
}

/* ---- what sessions hold ---------------------------------------------------------------------- */

static void endpoints_of_sessions_are_only_shown(void **state)
{
    struct scene *s = *state;

    scene_expect(s, &s->alice, "GET", LIVE, NULL, 200);
    assert_string_equal(scene_text(s, "type"), "ephemeral");
    scene_expect_error(s, &s->alice, "PATCH", LIVE, "{\"description\":\"x\"}", 400,
                       "ERR_SALLYPORT_1");
    scene_expect_error(s, &s->alice, "DELETE", LIVE, NULL, 400, "ERR_SALLYPORT_1");
    scene_expect_error(s, &s->bob, "GET", LIVE, NULL, 404, "");
    scene_expect(s, &s->alice, "GET", "/tunnels/tn_" KSUID, NULL, 200);
    scene_expect_error(s, &s->bob, "GET", "/tunnels/tn_" KSUID, NULL, 404, "");
}

static void sessions_errors_of_actions(void **state)
{
    struct scene *s = *state;

    scene_expect_error(s, &s->alice, "POST", SESSION "/restart", NULL, 400, "ERR_NGROK_1122");
    scene_expect_error(s, &s->alice, "POST", SESSION "/update", NULL, 400, "ERR_NGROK_1121");
    scene_expect_error(s, &s->bob, "POST", SESSION "/stop", NULL, 404, "");
    end_fault = E_NOT_FOUND;
    scene_expect_error(s, &s->alice, "POST", SESSION "/stop", NULL, 400, "ERR_NGROK_810");
    end_fault = E_OK;
    scene_expect(s, &s->alice, "POST", SESSION "/stop", NULL, 204);
    s->host.session_end = NULL;
    scene_expect_error(s, &s->alice, "POST", SESSION "/stop", NULL, 400, "ERR_NGROK_810");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(endpoints_create_errors),
        CASE(endpoints_errors_of_policies),
        CASE(endpoints_errors_of_addresses),
        CASE(endpoints_update_errors),
        CASE(endpoints_of_sessions_are_only_shown),
        CASE(sessions_errors_of_actions),
    };

    return cmocka_run_group_tests_name("api/endpoints", tests, NULL, NULL);
}
