/*
 * Unit tests of what is the same for all resources: the checks of requests, bodies, lists, accounts,
 * errors (spec api.md 1).
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

#include "tests/unit/api/api_scene.h"
#include "tunnel/store/store.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int set_up(void **state)
{
    *state = scene_new();
    return 0;
}

static int tear_down(void **state)
{
    scene_free(*state);
    return 0;
}

/* A request that is fine, to be spoilt. */
static struct api_request good_request(const struct scene *s)
{
    return (struct api_request){
        .method = STR("POST"),
        .path = STR("/ip_policies"),
        .body = STR("{}"),
        .content_type = STR("application/json"),
        .version = STR("2"),
        .base_url = STR(SCENE_BASE),
        .who = &s->alice,
    };
}

static void expect_code(struct scene *s, const struct api_request *r, unsigned status,
                        const char *code)
{
    assert_int_equal(scene_send(s, r), status);
    assert_string_equal(scene_text(s, "error_code"), code);
}

/* ---- requests ------------------------------------------------------------------------------- */

static void api_call_checks_headers(void **state)
{
    struct scene *s = *state;
    struct api_request r = good_request(s);

    expect_code(s, &r, 201, "");
    r.version = STR_NONE;
    expect_code(s, &r, 400, "ERR_NGROK_218");
    r.version = STR("1");
    expect_code(s, &r, 400, "ERR_NGROK_217");
    r = good_request(s);
    r.content_type = STR_NONE;
    expect_code(s, &r, 415, "ERR_NGROK_216");
    r.body = STR("");
    expect_code(s, &r, 201, "");
    r = good_request(s);
    r.content_type = STR("text/plain");
    expect_code(s, &r, 415, "ERR_NGROK_210");
    r.content_type = STR("Application/JSON; charset=utf-8");
    expect_code(s, &r, 201, "");
    r = good_request(s);
    r.who = NULL;
    expect_code(s, &r, 403, "ERR_NGROK_200");
    r = good_request(s);
    r.method = STR("GET");
    r.body = STR("no JSON"); /* is not looked at */
    expect_code(s, &r, 200, "");
}

static void api_call_unknown_routes_are_404(void **state)
{
    static const struct {
        const char *method;
        const char *path;
        unsigned status;
    } rows[] = {
        { "GET", "/", 404 },
        { "GET", "/nothing", 404 },
        { "GET", "/ip_policies/", 404 },
        { "GET", "/ip_policiesx", 404 },
        { "PUT", "/ip_policies", 404 },
        { "PATCH", "/ip_policies", 404 },
        { "DELETE", "/vaults", 404 },
        { "POST", "/vaults/vault_x", 404 },
        { "GET", "/vaults/vault_x/nothing", 404 },
        { "POST", "/vaults/vault_x/secrets", 404 },
        { "GET", "/vaults/vault_x/secrets/x", 404 },
        { "GET", "/a/b/c/d/e", 404 },
        { "GET", "/vaults/%zz", 404 },
        { "GET", "//ip_policies", 200 },
        { "GET", "/ip%5fpolicies", 404 },
        { "GET", "/bot_users", 501 },
        { "GET", "/edges/https/x", 501 },
    };
    struct scene *s = *state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        (void)scene_call(s, &s->alice, rows[i].method, rows[i].path, NULL);
        if (s->status != rows[i].status)
            fail_msg("%s %s: %u", rows[i].method, rows[i].path, s->status);
        if (s->status == 404) {
            assert_null(scene_member(s, "error_code"));
            assert_string_equal(scene_text(s, "details.path"), rows[i].path);
        }
        if (s->status == 501)
            assert_string_equal(scene_text(s, "error_code"), "ERR_SALLYPORT_7");
    }
}

static void api_call_ids_in_paths(void **state)
{
    struct scene *s = *state;

    scene_expect_error(s, &s->alice, "GET", "/vaults/x", NULL, 404, "ERR_NGROK_222");
    scene_expect_error(s, &s->alice, "GET", "/vaults/ipp_3AM9sjNjrVDmRX7F4GniLGdudNy", NULL, 404,
                       "ERR_NGROK_222");
    scene_expect_error(s, &s->alice, "GET", "/vaults/vault_zzzzzzzzzzzzzzzzzzzzzzzzzzz", NULL, 404,
                       "ERR_NGROK_222");
    scene_expect_error(s, &s->alice, "DELETE", "/vaults/vault_3AM9sjNjrVDmRX7F4GniLGdudNy", NULL,
                       404, "");
}

static void api_call_who_may_not_write_reads(void **state)
{
    struct scene *s = *state;

    s->alice.can_write = false;
    scene_expect_error(s, &s->alice, "POST", "/vaults", "{\"name\":\"v\"}", 403, "ERR_NGROK_635");
    scene_expect(s, &s->alice, "GET", "/vaults", NULL, 200);
}

static void api_call_limits_requests_of_one_credential(void **state)
{
    struct scene *s = scene_new_limited(3, 0);

    (void)state;
    for (int i = 0; i < 3; i++)
        scene_expect(s, &s->alice, "GET", "/vaults", NULL, 200);
    scene_expect_error(s, &s->alice, "GET", "/vaults", NULL, 429, "ERR_NGROK_226");
    scene_expect(s, &s->bob, "GET", "/vaults", NULL, 200);
    scene_free(s);
}

static void api_call_limits_objects_of_an_account(void **state)
{
    struct scene *s = scene_new_limited(0, 2);
    char id[ID_BYTES];
    char path[128];

    (void)state;
    scene_create(s, &s->alice, "/ip_policies", "{}", id);
    scene_expect(s, &s->alice, "POST", "/ip_policies", "{}", 201);
    scene_expect_error(s, &s->alice, "POST", "/ip_policies", "{}", 400, "ERR_NGROK_5000");
    scene_expect(s, &s->bob, "POST", "/ip_policies", "{}", 201);
    (void)snprintf(path, sizeof(path), "/ip_policies/%s", id);
    scene_expect(s, &s->alice, "DELETE", path, NULL, 204);
    scene_expect(s, &s->alice, "POST", "/ip_policies", "{}", 201);
    /* Some kinds have codes of their own. */
    scene_expect(s, &s->alice, "POST", "/api_keys", "{}", 201);
    scene_expect(s, &s->alice, "POST", "/api_keys", "{}", 201);
    scene_expect_error(s, &s->alice, "POST", "/api_keys", "{}", 400, "ERR_NGROK_603");
    scene_free(s);
}

static void api_call_clients_that_fail_on_204_get_an_object(void **state)
{
    static const char *const agents[] = { "ngrok-api-typescript/0.10.0/v20",
                                          "ngrok-api-python/0.17.0/3.11" };
    struct scene *s = *state;

    for (size_t i = 0; i < COUNT(agents); i++) {
        struct api_request r = good_request(s);
        char path[128];

        assert_int_equal(scene_send(s, &r), 201);
        (void)snprintf(path, sizeof(path), "/ip_policies/%s", scene_text(s, "id"));
        r.method = STR("DELETE");
        r.path = str_from(path);
        r.body = STR("");
        r.user_agent = str_from(agents[i]);
        assert_int_equal(scene_send(s, &r), 200);
        assert_int_equal(json_object_size(s->body), 0);
    }
}

static void api_call_without_a_host_works(void **state)
{
    struct scene *s = *state;

    s->host = (struct api_host){ 0 };
    scene_expect(s, &s->alice, "POST", "/vaults", "{\"name\":\"v\"}", 201);
}

/* ---- bodies --------------------------------------------------------------------------------- */

static void api_body_create_rules(void **state)
{
    static const struct {
        const char *body;
        const char *code;
    } rows[] = {
        { "", "" },
        { "{}", "" },
        { "{\"description\":null,\"metadata\":\"\"}", "" },
        { "{\"description\":\"a\",\"description\":\"b\"}", "" },
        { "{\"id\":\"anything\"}", "" },
        { "{\"id\":5}", "" },
        { "{\"owner_email\":\"\",\"x\":null,\"y\":[],\"z\":{},\"f\":false}", "" },
        { "{\"x\":\"v\"}", "ERR_NGROK_214" },
        { "{\"x\":true}", "ERR_NGROK_214" },
        { "{\"x\":0}", "ERR_NGROK_214" },
        { "{\"created_at\":\"2026-01-01T00:00:00Z\"}", "ERR_NGROK_214" },
        { "{\"description\":5}", "ERR_NGROK_215" },
        { "{\"description\":[]}", "ERR_NGROK_215" },
        { "{\"description\":{}}", "ERR_NGROK_215" },
        { "{\"description\":true}", "ERR_NGROK_215" },
        { "[]", "ERR_NGROK_213" },
        { "\"x\"", "ERR_NGROK_213" },
        { "5", "ERR_NGROK_213" },
        { "{", "ERR_NGROK_213" },
        { "{\"description\":\"\xff\"}", "ERR_NGROK_213" },
        { "{\"description\":\"\\u0000\"}", "ERR_NGROK_213" },
        { "{} {}", "ERR_NGROK_213" },
        { "ipp_x", "ERR_NGROK_213" },
    };
    struct scene *s = *state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        unsigned status = scene_call(s, &s->alice, "POST", "/ip_policies", rows[i].body);

        if (strcmp(scene_text(s, "error_code"), rows[i].code) != 0)
            fail_msg("%s: %u %s", rows[i].body, status, scene_text(s, "msg"));
        assert_int_equal(status, rows[i].code[0] == '\0' ? 201 : 400);
    }
    scene_expect(s, &s->alice, "POST", "/ip_policies",
                 "{\"description\":\"a\",\"description\":\"b\"}", 201);
    assert_string_equal(scene_text(s, "description"), "b"); /* the last wins */
    scene_expect_error(s, &s->alice, "POST", "/ip_policies", "{\"x\":\"v\"}", 400, "ERR_NGROK_214");
    assert_non_null(strstr(scene_text(s, "msg"), "description, metadata"));
}

static void api_body_nested_too_deeply_is_malformed(void **state)
{
    enum { DEPTH = 100000 };
    struct scene *s = *state;
    char *body = calloc(1, DEPTH + 16);
    int n = snprintf(body, 16, "{\"x\":");

    memset(body + n, '[', DEPTH);
    scene_expect_error(s, &s->alice, "POST", "/ip_policies", body, 400, "ERR_NGROK_213");
    free(body);
}

static void api_body_update_rules(void **state)
{
    struct scene *s = *state;
    char id[ID_BYTES];
    char path[128];
    char body[256];

    scene_create(s, &s->alice, "/ip_policies", "{\"description\":\"d\",\"metadata\":\"m\"}", id);
    (void)snprintf(path, sizeof(path), "/ip_policies/%s", id);
    scene_expect(s, &s->alice, "PATCH", path, "{\"description\":\"\",\"metadata\":null}", 200);
    assert_string_equal(scene_text(s, "description"), "");
    assert_string_equal(scene_text(s, "metadata"), "m");
    scene_expect_error(s, &s->alice, "PATCH", path, "{\"description\":null}", 400,
                       "ERR_NGROK_1400");
    scene_expect_error(s, &s->alice, "PATCH", path, "{\"x\":\"\"}", 400, "ERR_NGROK_1400");
    /* What clients copy from an answer. */
    (void)snprintf(body, sizeof(body),
                   "{\"id\":\"%s\",\"uri\":\"" SCENE_BASE "%s\",\"description\":\"y\"}", id, path);
    scene_expect(s, &s->alice, "PATCH", path, body, 200);
    assert_string_equal(scene_text(s, "description"), "y");
    scene_expect_error(s, &s->alice, "PATCH", path,
                       "{\"uri\":\"https://elsewhere\",\"description\":\"y\"}", 400,
                       "ERR_NGROK_214");
    scene_expect_error(s, &s->alice, "PATCH", path, "{\"description\":\"\xc3\xa4", 400,
                       "ERR_NGROK_213");
}

static void api_answers_echo_text_byte_for_byte(void **state)
{
    struct scene *s = *state;
    const char *odd = " \xc3\xa4 <&> \t \"q\" / \xf0\x9f\x98\x80 ";
    json_t *body = json_pack("{s:s, s:s}", "description", odd, "metadata", odd);
    char *text = json_dumps(body, 0);
    json_t *created;
    char path[128];

    scene_expect(s, &s->alice, "POST", "/ip_policies", text, 201);
    assert_string_equal(scene_text(s, "description"), odd);
    created = json_incref(s->body);
    (void)snprintf(path, sizeof(path), "/ip_policies/%s", scene_text(s, "id"));
    scene_expect(s, &s->alice, "GET", path, NULL, 200);
    assert_true(json_equal(created, s->body));
    json_decref(created);
    json_decref(body);
    free(text);
}

/* ---- lists ---------------------------------------------------------------------------------- */

static void make_policies(struct scene *s, size_t count)
{
    char body[64];

    for (size_t i = 0; i < count; i++) {
        (void)snprintf(body, sizeof(body), "{\"description\":\"%zu\",\"metadata\":\"%s\"}", i,
                       i % 3 == 0 ? "third" : "");
        scene_expect(s, &s->alice, "POST", "/ip_policies", body, 201);
    }
}

/* Follows pages from `target` and writes the descriptions, with a space behind each. */
static void read_pages(struct scene *s, const char *target, char *out, size_t bytes,
                       unsigned *pages)
{
    char next[1024];

    (void)snprintf(next, sizeof(next), "%s", target);
    out[0] = '\0';
    for (*pages = 0; next[0] != '\0'; ++*pages) {
        json_t *list;
        json_t *item;
        size_t i;

        scene_expect(s, &s->alice, "GET", next, NULL, 200);
        list = scene_member(s, "ip_policies");
        assert_true(*pages == 0 || json_array_size(list) > 0);
        json_array_foreach(list, i, item)
        {
            size_t n = strlen(out);

            (void)snprintf(out + n, bytes - n, "%s ",
                           json_string_value(json_object_get(item, "description")));
        }
        (void)snprintf(next, sizeof(next), "%s", scene_text(s, "next_page_uri"));
        if (next[0] != '\0')
            memmove(next, next + strlen(SCENE_BASE), strlen(next) - strlen(SCENE_BASE) + 1);
    }
}

static void api_list_pages_are_newest_first_and_whole(void **state)
{
    struct scene *s = *state;
    char seen[256];
    unsigned pages;

    make_policies(s, 10);
    scene_expect(s, &s->bob, "POST", "/ip_policies", "{\"description\":\"of bob\"}", 201);
    read_pages(s, "/ip_policies", seen, sizeof(seen), &pages);
    assert_string_equal(seen, "9 8 7 6 5 4 3 2 1 0 ");
    assert_int_equal(pages, 1);
    read_pages(s, "/ip_policies?limit=5", seen, sizeof(seen), &pages);
    assert_string_equal(seen, "9 8 7 6 5 4 3 2 1 0 ");
    assert_int_equal(pages, 2); /* no third one that is empty */
    read_pages(s, "/ip_policies?limit=3", seen, sizeof(seen), &pages);
    assert_string_equal(seen, "9 8 7 6 5 4 3 2 1 0 ");
    assert_int_equal(pages, 4);
    read_pages(s, "/ip_policies?limit=2&filter=obj.metadata+%3D%3D+%22third%22", seen, sizeof(seen),
               &pages);
    assert_string_equal(seen, "9 6 3 0 ");
    assert_int_equal(pages, 2);
    read_pages(s, "/ip_policies?filter=obj.metadata+%3D%3D+%22none%22", seen, sizeof(seen), &pages);
    assert_string_equal(seen, "");
    assert_int_equal(pages, 1);
}

static void api_list_next_page_uri_is_as_specified(void **state)
{
    struct scene *s = *state;
    char expected[256];

    make_policies(s, 3);
    scene_expect(s, &s->alice, "GET", "/ip_policies?limit=2&filter=obj.id!%3D'%2B'", NULL, 200);
    (void)snprintf(expected, sizeof(expected),
                   SCENE_BASE "/ip_policies?before_id=%s&filter=obj.id%%21%%3D%%27%%2B%%27&limit=2",
                   scene_text(s, "ip_policies.1.id"));
    assert_string_equal(scene_text(s, "next_page_uri"), expected);
    assert_string_equal(scene_text(s, "uri"), SCENE_BASE "/ip_policies");
}

static void api_list_before_id_needs_not_be_there(void **state)
{
    struct scene *s = *state;
    char id[ID_BYTES];
    char target[128];

    make_policies(s, 2);
    scene_create(s, &s->alice, "/ip_policies", "{}", id);
    make_policies(s, 1);
    (void)snprintf(target, sizeof(target), "/ip_policies/%s", id);
    scene_expect(s, &s->alice, "DELETE", target, NULL, 204);
    (void)snprintf(target, sizeof(target), "/ip_policies?beforeId=%s&limit=100", id);
    scene_expect(s, &s->alice, "GET", target, NULL, 200);
    assert_int_equal(json_array_size(scene_member(s, "ip_policies")), 2);
    assert_true(json_is_null(scene_member(s, "next_page_uri")));
}

static void api_list_query_errors(void **state)
{
    static const struct {
        const char *query;
        const char *code;
    } rows[] = {
        { "limit=1", "" },
        { "limit=100", "" },
        { "limit=0", "ERR_NGROK_233" },
        { "limit=101", "ERR_NGROK_233" },
        { "limit=-1", "ERR_NGROK_233" },
        { "limit=99999999999999999999", "ERR_NGROK_233" },
        { "limit=x", "ERR_NGROK_244" },
        { "limit=1.5", "ERR_NGROK_244" },
        { "limit=", "ERR_NGROK_244" },
        { "limit=1&limit=1", "ERR_NGROK_232" },
        { "x=1", "ERR_NGROK_231" },
        { "id=x", "ERR_NGROK_231" },
        { "limit=%zz", "ERR_NGROK_230" },
        { "limit=%4", "ERR_NGROK_230" },
        { "%ff=1", "ERR_NGROK_230" },
        { "a%00=1", "ERR_NGROK_230" },
        { "before_id=x", "ERR_NGROK_227" },
        { "before_id=vault_3AM9sjNjrVDmRX7F4GniLGdudNy", "ERR_NGROK_227" },
        { "before_id=ipp_3AM9sjNjrVDmRX7F4GniLGdudNy", "" },
        { "filter=obj.x=='y'", "ERR_NGROK_250" },
        { "filter=%3D", "ERR_NGROK_250" },
        { "&", "" },
    };
    struct scene *s = *state;
    char target[256];

    for (size_t i = 0; i < COUNT(rows); i++) {
        (void)snprintf(target, sizeof(target), "/ip_policies?%s", rows[i].query);
        (void)scene_call(s, &s->alice, "GET", target, NULL);
        if (strcmp(scene_text(s, "error_code"), rows[i].code) != 0)
            fail_msg("%s: %s", rows[i].query, scene_text(s, "error_code"));
    }
}

static void api_list_of_more_than_a_chunk_is_whole(void **state)
{
    struct scene *s = *state;
    char seen[4096];
    unsigned pages;

    make_policies(s, 300);
    read_pages(s, "/ip_policies?limit=100", seen, sizeof(seen), &pages);
    assert_int_equal(pages, 3);
    /* The one that matches lies behind several chunks. */
    read_pages(s, "/ip_policies?limit=1&filter=obj.description+==+'0'", seen, sizeof(seen), &pages);
    assert_string_equal(seen, "0 ");
    assert_int_equal(pages, 1);
}

/* ---- accounts ------------------------------------------------------------------------------- */

static void accounts_are_invisible_to_each_other(void **state)
{
    static const struct {
        const char *path;
        const char *body;
        const char *update;
    } rows[] = {
        { "/ip_policies", "{}", "{\"description\":\"x\"}" },
        { "/vaults", "{\"name\":\"v\"}", "{\"description\":\"x\"}" },
        { "/api_keys", "{}", "{\"description\":\"x\"}" },
        { "/vault_secrets", "{\"name\":\"s\",\"value\":\"v\",\"vault_name\":\"v\"}",
          "{\"value\":\"x\"}" },
        { "/ssh_credentials",
          "{\"public_key\":\"ssh-ed25519 "
          "AAAAC3NzaC1lZDI1NTE5AAAAIFwOL1frpUXcm1bS124052YzSIM2cLHDZ21nMznLtTRH\"}",
          "{\"acl\":[\"*\"]}" },
    };
    struct scene *s = *state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        char id[ID_BYTES];
        char path[128];
        char other[128];
        json_t *none;

        scene_create(s, &s->alice, rows[i].path, rows[i].body, id);
        (void)snprintf(path, sizeof(path), "%s/%s", rows[i].path, id);
        (void)snprintf(other, sizeof(other), "%s/%.*s_3AM9sjNjrVDmRX7F4GniLGdudNy", rows[i].path,
                       (int)(strchr(id, '_') - id), id);
        /* What is somebody else's answers as what never was. */
        scene_expect_error(s, &s->bob, "GET", other, NULL, 404, "");
        none = json_incref(s->body);
        scene_expect_error(s, &s->bob, "GET", path, NULL, 404, "");
        assert_true(json_equal(json_object_get(none, "msg"), scene_member(s, "msg")));
        json_decref(none);
        scene_expect_error(s, &s->bob, "PATCH", path, rows[i].update, 404, "");
        scene_expect_error(s, &s->bob, "DELETE", path, NULL, 404, "");
        scene_expect(s, &s->bob, "GET", rows[i].path, NULL, 200);
        assert_null(strstr(json_string_value(scene_member(s, "uri")), id));
        assert_int_equal(json_array_size(json_object_iter_value(json_object_iter(s->body))), 0);
        scene_expect(s, &s->admin, "GET", path, NULL, 200);
        scene_expect(s, &s->admin, "PATCH", path, rows[i].update, 200);
        assert_string_equal(s->change_account, "alice");
    }
}

/* ---- two processes -------------------------------------------------------------------------- */

static void api_calls_of_two_processes_keep_names_unique(void **state)
{
    struct scene *s = *state;
    struct api_params params = {
        .store = s->store,
        .secret = "a secret of thirty-two bytes....",
        .objects_max = 100,
    };
    struct api *other = api_new(&params);
    struct api *own = s->api;

    scene_expect(s, &s->alice, "POST", "/vaults", "{\"name\":\"v\"}", 201);
    s->api = other;
    scene_expect_error(s, &s->alice, "POST", "/vaults", "{\"name\":\"v\"}", 400, "ERR_NGROK_23004");
    s->api = own;
    api_free(other);
}

static void api_ids_sort_as_made_over_restarts(void **state)
{
    struct scene *s = *state;
    struct api_params params = {
        .store = s->store,
        .secret = "a secret of thirty-two bytes....",
        .objects_max = 100,
    };
    struct api *first = s->api;
    char last[ID_BYTES] = "ipp_";
    char id[ID_BYTES];

    for (int i = 0; i < 20; i++) { /* most of them within one second */
        s->api = api_new(&params);
        scene_create(s, &s->alice, "/ip_policies", "{}", id);
        assert_true(strcmp(last, id) < 0);
        memcpy(last, id, sizeof(last));
        api_free(s->api);
    }
    s->api = first;
}

/* ---- description ---------------------------------------------------------------------------- */

static void openapi_has_every_route_and_schema(void **state)
{
    static const char *const paths[] = {
        "/api_keys",        "/api_keys/{id}",       "/ip_policies",
        "/ip_policy_rules", "/ssh_credentials",     "/vaults",
        "/vaults/{id}",     "/vaults/{id}/secrets", "/vault_secrets",
    };
    struct scene *s = *state;
    struct api_request r = { .method = STR("GET"),
                             .path = STR("/openapi.json"),
                             .base_url = STR(SCENE_BASE) };
    char *text;

    assert_int_equal(scene_send(s, &r), 200);
    for (size_t i = 0; i < COUNT(paths); i++)
        assert_non_null(json_object_get(scene_member(s, "paths"), paths[i]));
    /* Each reference leads somewhere. */
    text = json_dumps(s->body, 0);
    for (const char *at = text; (at = strstr(at, "#/components/schemas/")) != NULL;) {
        char name[64];

        at += strlen("#/components/schemas/");
        (void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(at, "\""), at);
        if (json_object_get(scene_member(s, "components.schemas"), name) == NULL)
            fail_msg("no schema %s", name);
    }
    free(text);
}

static void api_methods_are_those_of_the_path(void **state)
{
    char out[API_METHODS_BYTES];

    (void)state;
    assert_string_equal(api_methods(STR("/vaults"), out), "POST, GET");
    assert_string_equal(api_methods(STR("/vaults/x"), out), "GET, PATCH, DELETE");
    assert_string_equal(api_methods(STR("/vaults/x/secrets"), out), "GET");
    assert_string_equal(api_methods(STR("/nothing"), out), "");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(api_call_checks_headers),
        CASE(api_call_unknown_routes_are_404),
        CASE(api_call_ids_in_paths),
        CASE(api_call_who_may_not_write_reads),
        CASE(api_call_limits_requests_of_one_credential),
        CASE(api_call_limits_objects_of_an_account),
        CASE(api_call_clients_that_fail_on_204_get_an_object),
        CASE(api_call_without_a_host_works),
        CASE(api_body_create_rules),
        CASE(api_body_nested_too_deeply_is_malformed),
        CASE(api_body_update_rules),
        CASE(api_answers_echo_text_byte_for_byte),
        CASE(api_list_pages_are_newest_first_and_whole),
        CASE(api_list_next_page_uri_is_as_specified),
        CASE(api_list_before_id_needs_not_be_there),
        CASE(api_list_query_errors),
        CASE(api_list_of_more_than_a_chunk_is_whole),
        CASE(accounts_are_invisible_to_each_other),
        CASE(api_calls_of_two_processes_keep_names_unique),
        CASE(api_ids_sort_as_made_over_restarts),
        CASE(openapi_has_every_route_and_schema),
        CASE(api_methods_are_those_of_the_path),
    };

    return cmocka_run_group_tests_name("api/call", tests, NULL, NULL);
}
