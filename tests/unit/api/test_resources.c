/*
 * Unit tests of the resources: each field, limit and error of the spec's section 3.
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
#include "tests/unit/api/api_scene.h"

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

/* {"<name>": "aaa..."} with n bytes, and `more` behind it; free() it. */
static char *long_body(const char *name, size_t n, const char *more)
{
    char *out = mem_zalloc(n + strlen(name) + strlen(more) + 16);
    int at = snprintf(out, strlen(name) + 8, "{\"%s\":\"", name);

    memset(out + at, 'a', n);
    (void)snprintf(out + at + n, strlen(more) + 3, "\"%s}", more);
    return out;
}

/* A text of the limit passes and one more byte does not. */
static void check_limit(struct scene *s, const char *path, const char *name, size_t limit,
                        const char *more, const char *code)
{
    char *fits = long_body(name, limit, more);
    char *over = long_body(name, limit + 1, more);

    scene_expect_error(s, &s->alice, "POST", path, over, 400, code);
    scene_expect(s, &s->alice, "POST", path, fits, 201);
    mem_free(fits);
    mem_free(over);
}

/* ---- ip_policies ---------------------------------------------------------------------------- */

static void ip_policies_life_of_one(void **state)
{
    struct scene *s = *state;
    char id[ID_BYTES];
    char path[128];

    scene_create(s, &s->alice, "/ip_policies", "{\"description\":\"offices\"}", id);
    (void)snprintf(path, sizeof(path), "/ip_policies/%s", id);
    assert_memory_equal(id, "ipp_", 4);
    assert_int_equal(strlen(scene_text(s, "created_at")), 20);
    assert_string_equal(scene_text(s, "description"), "offices");
    assert_non_null(scene_member(s, "metadata"));
    assert_string_equal(s->event_type, "ip_policy_created.v0");
    scene_expect(s, &s->alice, "GET", path, NULL, 200);
    assert_string_equal(scene_text(s, "description"), "offices");
    scene_expect(s, &s->alice, "PATCH", path, "{\"metadata\":\"m\"}", 200);
    assert_string_equal(scene_text(s, "metadata"), "m");
    assert_string_equal(scene_text(s, "description"), "offices");
    assert_string_equal(s->event_type, "ip_policy_updated.v0");
    scene_expect(s, &s->alice, "GET", "/ip_policies", NULL, 200);
    assert_int_equal(json_array_size(scene_member(s, "ip_policies")), 1);
    scene_expect(s, &s->alice, "DELETE", path, NULL, 204);
    assert_null(s->body);
    assert_string_equal(s->event_type, "ip_policy_deleted.v0");
    scene_expect_error(s, &s->alice, "GET", path, NULL, 404, "");
    scene_expect_error(s, &s->alice, "DELETE", path, NULL, 404, "");
    scene_expect_error(s, &s->alice, "PATCH", path, "{\"metadata\":\"\"}", 404, "");
}

static void ip_policies_errors(void **state)
{
    struct scene *s = *state;
    char id[ID_BYTES];
    char path[128];

    scene_create(s, &s->alice, "/ip_policies", "{}", id);
    (void)snprintf(path, sizeof(path), "/ip_policies/%s", id);
    scene_expect_error(s, &s->alice, "PATCH", path, "{}", 400, "ERR_NGROK_1400");
    scene_expect_error(s, &s->alice, "POST", "/ip_policies", "{\"action\":\"allow\"}", 400,
                       "ERR_NGROK_1423");
    scene_expect(s, &s->alice, "POST", "/ip_policies", "{\"action\":\"\"}", 201);
    check_limit(s, "/ip_policies", "description", 255, "", "ERR_NGROK_215");
    check_limit(s, "/ip_policies", "metadata", 4096, "", "ERR_NGROK_215");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ip_policies_life_of_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ip_policies_errors, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("api/resources", tests, NULL, NULL);
}
