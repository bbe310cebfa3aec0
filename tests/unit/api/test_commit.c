/*
 * Unit tests of calls while the store takes no changes: what they answer, what takes effect, and how it
 * is found out that it takes them again. A limit of the file size stands in for a full disk.
 * Links: tests/unit/api/api_scene
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tests/unit/api/api_scene.h"
#include "tunnel/api/endpoint_spec.h"
#include "tunnel/store/store.h"

#define POLICY        "on_http_request: [{actions: [{type: deny}]}]"
#define MAKE_ENDPOINT "{\"url\":\"https://a.gw.example.com\",\"traffic_policy\":\"" POLICY "\"}"

static struct host_suffixes *suffixes;
static char dir[64];
static char path[96];
static unsigned puts_seen;
static unsigned settles_seen;
static unsigned removes_seen;
static unsigned reserves_seen;
static unsigned releases_seen;

/* ---- the host -------------------------------------------------------------------------------- */

static int put(void *arg, const struct api_endpoint_spec *spec, struct err *e)
{
    (void)arg;
    (void)spec;
    (void)e;
    puts_seen++;
    return 0;
}

static void settle(void *arg, const char *id)
{
    (void)arg;
    (void)id;
    settles_seen++;
}

static void remove_endpoint(void *arg, const char *id)
{
    (void)arg;
    (void)id;
    removes_seen++;
}

static enum api_name_answer reserve(void *arg, struct str name, struct str account, struct err *e)
{
    (void)arg;
    (void)name;
    (void)account;
    (void)e;
    reserves_seen++;
    return API_NAME_OK;
}

static enum api_name_answer release(void *arg, struct str name, struct str account, struct err *e)
{
    (void)arg;
    (void)name;
    (void)account;
    (void)e;
    releases_seen++;
    return API_NAME_OK;
}

static enum api_name_answer check_release(void *arg, struct str name, struct str account,
                                          struct err *e)
{
    (void)arg;
    (void)name;
    (void)account;
    (void)e;
    return API_NAME_OK;
}

static void forget_calls(void)
{
    puts_seen = settles_seen = removes_seen = reserves_seen = releases_seen = 0;
}

/* ---- life ------------------------------------------------------------------------------------ */

static int set_up(void **state)
{
    struct scene *s;
    struct store *store;

    (void)signal(SIGXFSZ, SIG_IGN);
    (void)snprintf(dir, sizeof(dir), "/tmp/test_commit.XXXXXX");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/a.db", dir);
    store = store_sqlite_open(path, NULL);
    assert_non_null(store);
    s = scene_new_over(store);
    suffixes = host_suffixes_new(STR("gw.example.com"), NULL, 0, NULL);
    assert_non_null(suffixes);
    s->host.suffixes = suffixes;
    s->host.endpoint_put = put;
    s->host.endpoint_settle = settle;
    s->host.endpoint_remove = remove_endpoint;
    s->host.name_reserve = reserve;
    s->host.name_release = release;
    s->host.name_check_release = check_release;
    forget_calls();
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    scene_free(*state);
    host_suffixes_free(suffixes);
    (void)unlink(path);
    return rmdir(dir);
}

static void let_files_grow(bool may)
{
    struct rlimit room = { .rlim_cur = may ? RLIM_INFINITY : 1, .rlim_max = RLIM_INFINITY };

    assert_int_equal(setrlimit(RLIMIT_FSIZE, &room), 0);
}

static const char *path_of(const char *base, const char *id)
{
    static char out[128];

    (void)snprintf(out, sizeof(out), "%s/%s", base, id);
    return out;
}

/* ---- full ------------------------------------------------------------------------------------ */

static void full_store_is_told_and_reads_go_on(void **state)
{
    struct scene *s = *state;

    scene_expect(s, &s->alice, "POST", "/vaults", "{\"name\":\"a\"}", 201);
    assert_true(api_is_well(s->api));
    let_files_grow(false);
    scene_expect_error(s, &s->alice, "POST", "/vaults", "{\"name\":\"b\"}", 503, "ERR_NGROK_1500");
    assert_null(strstr(scene_text(s, "msg"), dir)); /* paths are for the operator */
    assert_false(api_is_well(s->api));
    assert_false(api_try_store(s->api));
    scene_expect(s, &s->alice, "GET", "/vaults", NULL, 200);
    assert_int_equal(json_array_size(scene_member(s, "vaults")), 1);
    let_files_grow(true);
    assert_false(api_is_well(s->api)); /* nobody has tried */
    assert_true(api_try_store(s->api));
    assert_true(api_is_well(s->api));
    scene_expect(s, &s->alice, "POST", "/vaults", "{\"name\":\"b\"}", 201);
}

static void change_works_as_soon_as_there_is_room(void **state)
{
    struct scene *s = *state;

    let_files_grow(false);
    scene_expect(s, &s->alice, "POST", "/vaults", "{\"name\":\"a\"}", 503);
    let_files_grow(true);
    scene_expect(s, &s->alice, "POST", "/vaults", "{\"name\":\"a\"}", 201);
    assert_true(api_is_well(s->api));
}

/* Only the first call learns that there is no room by what it wanted to store. */
static void what_cannot_be_stored_takes_no_effect(void **state)
{
    struct scene *s = *state;

    let_files_grow(false);
    scene_expect(s, &s->alice, "POST", "/vaults", "{\"name\":\"a\"}", 503);
    for (unsigned i = 0; i < 3; i++) {
        scene_expect(s, &s->alice, "POST", "/endpoints", MAKE_ENDPOINT, 503);
        scene_expect(s, &s->alice, "POST", "/reserved_domains", "{\"domain\":\"a.com\"}", 503);
    }
    assert_int_equal(puts_seen + removes_seen + reserves_seen + releases_seen, 0);
    let_files_grow(true);
}

static void created_and_not_stored_is_taken_back(void **state)
{
    struct scene *s = *state;

    let_files_grow(false);
    scene_expect(s, &s->alice, "POST", "/endpoints", MAKE_ENDPOINT, 503);
    let_files_grow(true);
    assert_int_equal(puts_seen, 1);
    assert_int_equal(removes_seen, 1);
    assert_true(api_try_store(s->api));
    let_files_grow(false);
    scene_expect(s, &s->alice, "POST", "/reserved_domains", "{\"domain\":\"a.com\"}", 503);
    let_files_grow(true);
    assert_int_equal(reserves_seen, 1);
    assert_int_equal(releases_seen, 1);
}

/* What was served before is served on. */
static void updated_and_not_stored_is_put_back(void **state)
{
    struct scene *s = *state;
    char id[ID_BYTES];

    scene_create(s, &s->alice, "/endpoints", MAKE_ENDPOINT, id);
    forget_calls();
    let_files_grow(false);
    scene_expect(s, &s->alice, "PATCH", path_of("/endpoints", id),
                 "{\"url\":\"https://b.gw.example.com\"}", 503);
    let_files_grow(true);
    assert_int_equal(puts_seen, 2);
    assert_int_equal(settles_seen, 1);
    assert_int_equal(removes_seen, 0);
    scene_expect(s, &s->alice, "GET", path_of("/endpoints", id), NULL, 200);
    assert_string_equal(scene_text(s, "url"), "https://a.gw.example.com");
}

/* It serves all the time, and nobody else can take the name. */
static void deletion_takes_effect_when_it_is_stored(void **state)
{
    struct scene *s = *state;
    char endpoint[ID_BYTES];
    char domain[ID_BYTES];

    scene_create(s, &s->alice, "/endpoints", MAKE_ENDPOINT, endpoint);
    scene_create(s, &s->alice, "/reserved_domains", "{\"domain\":\"a.com\"}", domain);
    forget_calls();
    let_files_grow(false);
    scene_expect(s, &s->alice, "DELETE", path_of("/endpoints", endpoint), NULL, 503);
    let_files_grow(true);
    assert_true(api_try_store(s->api));
    let_files_grow(false);
    scene_expect(s, &s->alice, "DELETE", path_of("/reserved_domains", domain), NULL, 503);
    let_files_grow(true);
    assert_int_equal(puts_seen + removes_seen + reserves_seen + releases_seen, 0);
    scene_expect(s, &s->alice, "DELETE", path_of("/endpoints", endpoint), NULL, 204);
    scene_expect(s, &s->alice, "DELETE", path_of("/reserved_domains", domain), NULL, 204);
    assert_int_equal(removes_seen, 1);
    assert_int_equal(releases_seen, 1);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(full_store_is_told_and_reads_go_on),    CASE(change_works_as_soon_as_there_is_room),
        CASE(what_cannot_be_stored_takes_no_effect), CASE(created_and_not_stored_is_taken_back),
        CASE(updated_and_not_stored_is_put_back),    CASE(deletion_takes_effect_when_it_is_stored),
    };

    return cmocka_run_group_tests_name("tunnel/api, commits", tests, NULL, NULL);
}
