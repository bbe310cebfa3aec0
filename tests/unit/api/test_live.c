/*
 * What sessions hold, in lists of the API: together with what is stored, by pages, asked for once a call.
 * Links: tests/unit/api/api_scene
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/api/api_scene.h"
#include "tunnel/host.h"

enum { STORED = 150, LIVE = 300, FIRST_S = 1767225600, STEP_S = 20000000, STEPS = 7 };

static struct scene *s;
static struct host_suffixes *suffixes;
static struct api_live_endpoint endpoints[LIVE];
static struct api_session sessions[LIVE];
static struct {
    char endpoint[ID_BYTES];
    char session[ID_BYTES];
} ids[LIVE];
static unsigned asked;
static unsigned released;

static void release_live(struct api_live *live)
{
    released++;
    mem_free(live);
}

static struct api_live *give_live(void *arg)
{
    struct api_live *live = mem_zalloc(sizeof(*live));

    (void)arg;
    asked++;
    *live = (struct api_live){ .sessions = sessions,
                               .session_count = LIVE,
                               .endpoints = endpoints,
                               .endpoint_count = LIVE,
                               .release = release_live };
    return live;
}

/* Every third one is bob's. Their ids are of all times, so they stand between those that are stored. */
static void make_live(size_t i)
{
    const char *account = i % 3 == 0 ? "bob" : "alice";
    uint64_t wall_ms = (FIRST_S + i % STEPS * STEP_S) * (uint64_t)1000;

    id_new("ep", wall_ms, ids[i].endpoint);
    id_new("ts", wall_ms, ids[i].session);
    endpoints[i] = (struct api_live_endpoint){
        .id = ids[i].endpoint,
        .account = account,
        .key = "",
        .session_id = ids[i].session,
        .url_text = "https://live.example.com",
        .name = "",
        .description = "",
        .metadata = "",
        .upstream_url = "",
        .upstream_protocol = "",
    };
    sessions[i] = (struct api_session){
        .id = ids[i].session,
        .account = account,
        .credential = "",
        .key = "",
        .client = "OpenSSH",
    };
}

static int set_up(void **state)
{
    char id[ID_BYTES];
    char body[128];

    (void)state;
    s = scene_new();
    suffixes = host_suffixes_new(STR("example.com"), NULL, 0, NULL);
    assert_non_null(suffixes);
    s->host.live = give_live;
    s->host.suffixes = suffixes;
    for (size_t i = 0; i < LIVE; i++)
        make_live(i);
    for (unsigned i = 0; i < STORED; i++) {
        (void)snprintf(body, sizeof(body),
                       "{\"url\":\"https://e%u.example.com\",\"traffic_policy\":\"x\"}", i);
        scene_create(s, i % 3 == 0 ? &s->bob : &s->alice, "/endpoints", body, id);
    }
    asked = released = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    scene_free(s);
    host_suffixes_free(suffixes);
    return 0;
}

/* Goes through all pages; each is full but the last, and all is there once, the newest first. */
static void walk(const struct api_caller *who, const char *path, const char *key, size_t limit,
                 size_t expected)
{
    char target[256];
    char last[ID_BYTES] = "_~";
    size_t found = 0;

    (void)snprintf(target, sizeof(target), "%s?limit=%zu", path, limit);
    for (;;) {
        const json_t *list;
        const char *next;
        size_t i;
        json_t *o;

        scene_expect(s, who, "GET", target, NULL, 200);
        list = scene_member(s, key);
        json_array_foreach(list, i, o)
        {
            const char *id = json_string_value(json_object_get(o, "id"));

            assert_true(strcmp(strchr(id, '_'), strchr(last, '_')) < 0);
            (void)snprintf(last, sizeof(last), "%s", id);
        }
        found += json_array_size(list);
        next = scene_text(s, "next_page_uri");
        if (next[0] == '\0')
            break;
        assert_int_equal(json_array_size(list), limit);
        (void)snprintf(target, sizeof(target), "%s", next + strlen(SCENE_BASE));
    }
    assert_int_equal(found, expected);
}

static void pages_have_all_once_whatever_their_size(void **state)
{
    static const size_t limits[] = { 1, 7, 50, 100 };

    (void)state;
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        walk(&s->alice, "/endpoints", "endpoints", limits[i], (STORED + LIVE) / 3 * 2);
        walk(&s->bob, "/endpoints", "endpoints", limits[i], (STORED + LIVE) / 3);
        walk(&s->admin, "/endpoints", "endpoints", limits[i], STORED + LIVE);
        walk(&s->alice, "/tunnels", "tunnels", limits[i], LIVE / 3 * 2);
        walk(&s->admin, "/tunnel_sessions", "tunnel_sessions", limits[i], LIVE);
    }
    assert_int_equal(asked, released);
}

static void a_call_asks_once_however_many_it_looks_at(void **state)
{
    (void)state;
    scene_expect(s, &s->admin, "GET", "/endpoints?filter=obj.type%20==%20%22none%22", NULL, 200);
    assert_int_equal(json_array_size(scene_member(s, "endpoints")), 0);
    assert_int_equal(asked, 1);
    scene_expect(s, &s->admin, "GET", "/endpoints?url=https://e0.example.com", NULL, 200);
    assert_int_equal(json_array_size(scene_member(s, "endpoints")), 1);
    assert_int_equal(asked, 2);
    assert_int_equal(released, 2);
}

/* The status of what is at <path>/<prefix><id behind its own prefix>. */
static unsigned get(const struct api_caller *who, const char *path, const char *prefix,
                    const char *id)
{
    char target[128];

    (void)snprintf(target, sizeof(target), "%s/%s%s", path, prefix, strchr(id, '_'));
    return scene_call(s, who, "GET", target, NULL);
}

static void each_is_found_by_its_id(void **state)
{
    (void)state;
    for (size_t i = 0; i < LIVE; i++) {
        const char *id = endpoints[i].id;

        assert_int_equal(get(&s->alice, "/endpoints", "ep", id), i % 3 == 0 ? 404 : 200);
        assert_int_equal(get(&s->bob, "/tunnels", "tn", id), i % 3 == 0 ? 200 : 404);
        assert_int_equal(get(&s->admin, "/tunnel_sessions", "ts", sessions[i].id), 200);
    }
    assert_int_equal(get(&s->admin, "/endpoints", "ep", "_3AL5qRx78rtgNoqqfszViXJoE46"), 404);
    assert_int_equal(asked, released);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pages_have_all_once_whatever_their_size, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_call_asks_once_however_many_it_looks_at, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(each_is_found_by_its_id, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("api/live", tests, NULL, NULL);
}
