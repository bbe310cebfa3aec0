#include "tests/unit/api/api_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "tunnel/store/seal.h"
#include "tunnel/store/store.h"

enum { OBJECTS_MAX = 1000000 };

static void on_changed(void *arg, const struct api_change_event *change)
{
    struct scene *s = arg;

    s->changes++;
    (void)snprintf(s->event_type, sizeof(s->event_type), "%s",
                   change->event_type != NULL ? change->event_type : "");
    (void)snprintf(s->change_id, sizeof(s->change_id), "%s", change->id);
    (void)snprintf(s->change_account, sizeof(s->change_account), "%s", change->account);
    (void)snprintf(s->change_object, sizeof(s->change_object), "%.*s", STR_ARG(change->object));
}

/* A key file that is gone when it was read. */
static struct seal_key *make_seal_key(void)
{
    char dir[] = "/tmp/api_scene.XXXXXX";
    char path[64];
    struct seal_key *key;

    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/seal.key", dir);
    key = seal_key_open(path, NULL);
    assert_non_null(key);
    (void)unlink(path);
    (void)rmdir(dir);
    return key;
}

static int check_policy(void *arg, struct str account, const struct url *url, struct str text,
                        struct buf *problems, struct err *e)
{
    const struct scene *s = arg;

    (void)account;
    (void)url;
    (void)text;
    (void)problems;
    return s->policy_fault == E_OK ? 0 : err_set(e, s->policy_fault, "played");
}

static int put_endpoint(void *arg, const struct api_endpoint_spec *spec, struct err *e)
{
    const struct scene *s = arg;

    (void)spec;
    return s->put_fault == E_OK ? 0 : err_set(e, s->put_fault, "played");
}

/* Settled or removed. */
static void drop_endpoint(void *arg, const char *id)
{
    (void)arg;
    (void)id;
}

static struct scene *make(struct store *store, uint64_t requests_per_minute, uint64_t objects_max)
{
    struct scene *s = mem_zalloc(sizeof(*s));
    struct api_params params = {
        .secret = "a secret of thirty-two bytes....",
        .requests_per_minute = requests_per_minute,
        .objects_max = objects_max != 0 ? objects_max : OBJECTS_MAX,
    };

    log_configure(LOG_WARN, LOG_TEXT); /* what is refused on purpose is no news */
    s->store = store;
    s->host = (struct api_host){
        .arg = s,
        .changed = on_changed,
        .policy_check = check_policy,
        .endpoint_put = put_endpoint,
        .endpoint_settle = drop_endpoint,
        .endpoint_remove = drop_endpoint,
    };
    params.store = s->store;
    s->seal_key = make_seal_key();
    params.seal_key = s->seal_key;
    params.host = &s->host;
    s->api = api_new(&params);
    api_caller_init(s->api, &s->alice, STR("alice"), false, API_SOURCE_REST);
    api_caller_init(s->api, &s->bob, STR("bob"), false, API_SOURCE_REST);
    api_caller_init(s->api, &s->admin, STR("default"), true, API_SOURCE_REST);
    return s;
}

struct scene *scene_new_limited(uint64_t requests_per_minute, uint64_t objects_max)
{
    return make(store_memory_new(), requests_per_minute, objects_max);
}

struct scene *scene_new(void)
{
    return scene_new_limited(0, 0);
}

struct scene *scene_new_over(struct store *store)
{
    return make(store, 0, 0);
}

void scene_free(struct scene *s)
{
    json_decref(s->body);
    api_free(s->api);
    store_free(s->store);
    seal_key_free(s->seal_key);
    mem_free(s);
}

unsigned scene_send(struct scene *s, const struct api_request *request)
{
    struct api_response response;

    api_call(s->api, request, &response);
    json_decref(s->body);
    s->body = NULL;
    s->status = response.status;
    (void)snprintf(s->operation_id, sizeof(s->operation_id), "%s", response.operation_id);
    if (response.body != NULL) {
        s->body = json_loadb(response.body, response.body_bytes, 0, NULL);
        assert_non_null(s->body);
    }
    api_response_fini(&response);
    return s->status;
}

unsigned scene_call(struct scene *s, const struct api_caller *who, const char *method,
                    const char *target, const char *body)
{
    struct str t = str_from(target);
    size_t query = str_find_char(t, '?');
    struct api_request request = {
        .method = str_from(method),
        .path = str_slice(t, 0, query),
        .query = str_skip(t, query + 1),
        .body = str_from(body),
        .content_type = body != NULL ? STR("application/json") : STR_NONE,
        .version = STR("2"),
        .base_url = STR(SCENE_BASE),
        .who = who,
    };

    return scene_send(s, &request);
}

json_t *scene_member(const struct scene *s, const char *path)
{
    struct str rest = str_from(path);
    struct str name;
    json_t *at = s->body;
    uint64_t index;

    while (str_next(&rest, '.', &name)) {
        if (json_is_array(at) && str_to_u64(name, 1000000, &index) == 0)
            at = json_array_get(at, (size_t)index);
        else
            at = json_object_getn(at, name.p, name.n);
    }
    return at;
}

const char *scene_text(const struct scene *s, const char *path)
{
    const char *text = json_string_value(scene_member(s, path));

    return text != NULL ? text : "";
}

static void fail_at(const struct scene *s, const char *method, const char *target, const char *body,
                    const char *file, int line)
{
    char *text = s->body != NULL ? json_dumps(s->body, 0) : NULL;

    print_error("%s:%d: %s %s %s\n  %u %s\n", file, line, method, target, body != NULL ? body : "",
                s->status, text != NULL ? text : "");
    free(text);
    fail();
}

void scene_expect_at(struct scene *s, const struct api_caller *who, const char *method,
                     const char *target, const char *body, unsigned status, const char *file,
                     int line)
{
    if (scene_call(s, who, method, target, body) != status)
        fail_at(s, method, target, body, file, line);
}

void scene_expect_error_at(struct scene *s, const struct api_caller *who, const char *method,
                           const char *target, const char *body, unsigned status, const char *code,
                           const char *file, int line)
{
    scene_expect_at(s, who, method, target, body, status, file, line);
    if (strcmp(scene_text(s, "error_code"), code) != 0 ||
        json_integer_value(scene_member(s, "status_code")) != status ||
        scene_text(s, "msg")[0] == '\0' ||
        strcmp(scene_text(s, "details.operation_id"), s->operation_id) != 0)
        fail_at(s, method, target, body, file, line);
}

void scene_create(struct scene *s, const struct api_caller *who, const char *path, const char *body,
                  char id[ID_BYTES])
{
    scene_expect(s, who, "POST", path, body, 201);
    (void)snprintf(id, ID_BYTES, "%s", scene_text(s, "id"));
}
