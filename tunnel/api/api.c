#include "tunnel/api/api.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "tunnel/api/api_int.h"

/* How often a call begins anew when another process overtakes it each time. */
enum { ATTEMPTS_MAX = 20, SEGMENTS_MAX = 6 };

static const struct api_host no_host;

/* ---- life ----------------------------------------------------------------------------------- */

/* New ids sort behind those of the last process, also if the clock went back or a second is still the same. */
static void follow_stored_ids(struct api *a)
{
    const struct api_resource *r;

    for (size_t i = 0; (r = api_resource_at(i)) != NULL; i++) {
        char prefix[STORE_KEY_MAX_BYTES];
        char to[STORE_KEY_MAX_BYTES];
        struct store_range range;
        struct store_entries found;
        struct err e = { 0 };
        int n = snprintf(prefix, sizeof(prefix), "object/%s/", r->kind);

        range = store_prefix(str_of(prefix, (size_t)n), to);
        range.reverse = true;
        range.limit = 1;
        if (store_range(a->store, &range, &found, &e) == -1) {
            log_error("api.store", LS("error", e.msg));
            continue;
        }
        if (found.count > 0)
            id_source_follow(&a->ids, str_from(found.list[0].key + n));
        store_entries_fini(&found);
    }
}

struct api *api_new(const struct api_params *params)
{
    struct api *a = mem_zalloc(sizeof(*a));
    int failed = pthread_mutex_init(&a->writing, NULL);

    assert(failed == 0);
    (void)failed;
    a->store = params->store;
    a->host = params->host != NULL ? params->host : &no_host;
    a->seal_key = params->seal_key;
    memcpy(a->secret, params->secret, sizeof(a->secret));
    a->objects_max = params->objects_max;
    a->rate = api_rate_new(params->requests_per_minute);
    a->refusals = api_refusals_new();
    id_source_init(&a->ids);
    follow_stored_ids(a);
    return a;
}

void api_free(struct api *a)
{
    if (a == NULL)
        return;
    api_refusals_free(a->refusals);
    api_rate_free(a->rate);
    id_source_fini(&a->ids);
    (void)pthread_mutex_destroy(&a->writing); /* fails only while it is locked */
    mem_wipe(a->secret, sizeof(a->secret));
    mem_free(a);
}

void api_format_time(uint64_t wall_ms, char out[API_TIME_BYTES])
{
    char text[CLOCK_RFC3339_BYTES];

    clock_format_rfc3339(wall_ms, text);
    (void)snprintf(out, API_TIME_BYTES, "%.*sZ", API_TIME_BYTES - 2, text);
}

void api_call_init(struct api_call *c, struct api *a, const struct api_request *request)
{
    memset(c, 0, sizeof(*c));
    c->api = a;
    c->request = request;
    arena_init(&c->arena);
    c->wall_ms = clock_wall_ms();
    api_format_time(c->wall_ms, c->now);
}

void api_call_fini(struct api_call *c)
{
    json_decref(c->answer);
    json_decref(c->once);
    json_decref(c->counts);
    api_call_live_free(c->live);
    mem_free(c->txn);
    arena_fini(&c->arena);
}

const struct api_host *api_call_host(const struct api_call *c)
{
    return c->api->host;
}

int api_fail(struct api_call *c, enum api_code code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)api_error_vset(&c->error, code, fmt, ap);
    va_end(ap);
    return -1;
}

int api_fail_store(struct api_call *c, const struct err *e)
{
    log_error("api.store", LS("error", e->msg));
    return api_fail(c, API_INTERNAL, "The database cannot be read.");
}

void api_answer(struct api_call *c, unsigned status, json_t *body)
{
    json_decref(c->answer);
    c->answer = body;
    c->status = status;
}

/* ---- answers -------------------------------------------------------------------------------- */

static void make_operation_id(struct api *a, struct api_response *out)
{
    memset(out, 0, sizeof(*out));
    id_source_next(&a->ids, "op", clock_wall_ms(), out->operation_id);
}

static void set_body(struct api_response *out, json_t *body)
{
    char *text = json_dumps(body, JSON_COMPACT);

    /* Only a value that is no JSON has no text. */
    assert(text != NULL);
    out->body_bytes = strlen(text);
    out->body = mem_strndup(text, out->body_bytes);
    mem_wipe(text, out->body_bytes); /* it may have a token */
    free(text);
    json_decref(body);
}

/* `path`: of a route that is not there; p NULL otherwise. */
static void respond_error(const struct api_error *e, struct str path, struct api_response *out)
{
    char code[API_CODE_TEXT_BYTES];
    json_t *body = json_object();
    json_t *details = json_object();

    out->status = api_code_status(e->code);
    if (api_code_format(e->code, code)[0] != '\0')
        api_set(body, "error_code", str_from(code));
    (void)json_object_set_new(body, "status_code", json_integer(out->status));
    api_set(body, "msg", str_from(e->msg));
    if (path.p != NULL)
        api_set(details, "path", path);
    api_set(details, "operation_id", str_from(out->operation_id));
    (void)json_object_set_new(body, "details", details);
    set_body(out, body);
}

void api_refuse(struct api *a, const struct api_error *e, struct api_response *out)
{
    make_operation_id(a, out);
    respond_error(e, STR_NONE, out);
}

/* Clients that fail on 204 get an empty object (spec 1.14). */
static bool wants_body(struct str user_agent)
{
    return str_starts(user_agent, STR("ngrok-api-typescript/")) ||
           str_starts(user_agent, STR("ngrok-api-python/"));
}

static void respond(struct api_call *c, struct api_response *out)
{
    out->status = c->status;
    if (c->answer != NULL) {
        set_body(out, json_incref(c->answer));
    } else if (wants_body(c->request->user_agent)) {
        out->status = 200;
        set_body(out, json_object());
    }
}

void api_response_fini(struct api_response *r)
{
    if (r->body != NULL)
        mem_wipe(r->body, r->body_bytes);
    mem_free(r->body);
    r->body = NULL;
}

/* ---- routes --------------------------------------------------------------------------------- */

/* Known upstream and out of scope here (spec 2, P3). */
static const char *const not_offered[] = {
    "/agent_ingresses", "/bot_users", "/abuse_reports",       "/kubernetes_operators",   "/edges",
    "/backends",        "/pointcfg",  "/ai_gateway_api_keys", "/personal_access_tokens",
};

struct route {
    const struct api_resource *resource; /* NULL: none */
    struct str id;                       /* empty: the collection */
    struct str action;                   /* empty: none */
    struct str item;                     /* empty: none */
    bool is_not_offered;
};

static bool is_below(struct str path, const char *prefix)
{
    size_t n = strlen(prefix);

    return str_starts(path, str_from(prefix)) && (path.n == n || path.p[n] == '/');
}

/* A slash at the front counts once, as some clients send two. */
static struct str trim_slashes(struct str path)
{
    while (path.n > 1 && path.p[0] == '/' && path.p[1] == '/')
        path = str_skip(path, 1);
    return path;
}

/* The segments behind the collection: "/id/action/item". False: there is no such route. */
static bool split_rest(struct str rest, struct arena *a, struct route *out)
{
    struct str *const parts[] = { &out->id, &out->action, &out->item };
    struct str piece;
    size_t n = 0;

    if (rest.n == 0)
        return true;
    rest = str_skip(rest, 1);
    if (rest.p == NULL || rest.n == 0)
        return false;
    while (str_next(&rest, '/', &piece)) {
        if (n == sizeof(parts) / sizeof(parts[0]) || piece.n == 0 ||
            api_segment_decode(piece, a, parts[n++]) == -1)
            return false;
    }
    return true;
}

static bool find_route(struct str path, struct arena *a, struct route *out)
{
    const struct api_resource *r;

    memset(out, 0, sizeof(*out));
    path = trim_slashes(path);
    for (size_t i = 0; (r = api_resource_at(i)) != NULL; i++) {
        if (!is_below(path, r->path))
            continue;
        out->resource = r;
        return split_rest(str_skip(path, strlen(r->path)), a, out);
    }
    for (size_t i = 0; i < sizeof(not_offered) / sizeof(not_offered[0]); i++)
        out->is_not_offered = out->is_not_offered || is_below(path, not_offered[i]);
    return out->is_not_offered;
}

static const struct {
    const char *method;
    bool of_item;
    unsigned verb;
} verbs[] = {
    { "POST", false, API_CAN_CREATE },  { "GET", false, API_CAN_LIST },
    { "GET", true, API_CAN_GET },       { "PATCH", true, API_CAN_UPDATE },
    { "DELETE", true, API_CAN_DELETE },
};

/* The verb of a method on a route without action; 0: there is none. */
static unsigned find_verb(const struct route *route, struct str method)
{
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (str_eq(method, str_from(verbs[i].method)) && verbs[i].of_item == (route->id.n > 0))
            return verbs[i].verb & route->resource->verbs;
    }
    return 0;
}

static bool is_action(const struct api_action *action, const struct route *route)
{
    return str_eq(route->action, str_from(action->name)) && action->has_item == (route->item.n > 0);
}

static const struct api_action *find_action(const struct route *route, struct str method)
{
    for (size_t i = 0; i < route->resource->action_count; i++) {
        const struct api_action *action = &route->resource->actions[i];

        if (is_action(action, route) && str_eq(method, str_from(action->method)))
            return action;
    }
    return NULL;
}

static void add_method(char out[API_METHODS_BYTES], const char *method)
{
    size_t n = strlen(out);

    (void)snprintf(out + n, API_METHODS_BYTES - n, "%s%s", n > 0 ? ", " : "", method);
}

const char *api_methods(struct str path, char out[API_METHODS_BYTES])
{
    struct arena a;
    struct route route;

    arena_init(&a);
    out[0] = '\0';
    if (find_route(path, &a, &route) && route.resource != NULL) {
        for (size_t i = 0; route.action.n == 0 && i < sizeof(verbs) / sizeof(verbs[0]); i++) {
            if (find_verb(&route, str_from(verbs[i].method)) == verbs[i].verb)
                add_method(out, verbs[i].method);
        }
        for (size_t i = 0; route.action.n > 0 && i < route.resource->action_count; i++) {
            if (is_action(&route.resource->actions[i], &route))
                add_method(out, route.resource->actions[i].method);
        }
    }
    arena_fini(&a);
    return out;
}

/* ---- running -------------------------------------------------------------------------------- */

/* What a call does, once it is known. */
struct task {
    const struct route *route;
    unsigned verb;                   /* 0: an action */
    const struct api_action *action; /* NULL: a verb */
};

static int run_action(struct api_call *c, const struct task *t)
{
    const struct api_resource *r = t->route->resource;
    json_t *object;
    int rc = api_find(c, r, t->route->id, &object);

    if (rc == 0)
        return api_fail_not_found(c, r, t->route->id);
    if (rc == -1)
        return -1;
    rc = t->action->run(c, r, object, t->route->item);
    json_decref(object);
    return rc;
}

/* Returns 1 when it is done, 0 to begin anew, -1 with the error set. */
static int run_once(struct api_call *c, const struct task *t)
{
    const struct api_resource *r = t->route->resource;

    switch (t->verb) {
    case API_CAN_CREATE:
        return api_item_create(c, r);
    case API_CAN_UPDATE:
        return api_item_update(c, r, t->route->id);
    case API_CAN_DELETE:
        return api_item_delete(c, r, t->route->id);
    case API_CAN_LIST:
        return api_list(c, r) == 0 ? 1 : -1;
    case API_CAN_GET:
        return api_item_get(c, r, t->route->id) == 0 ? 1 : -1;
    default:
        return run_action(c, t);
    }
}

void api_wait_begin(struct api_call *c)
{
    (void)pthread_mutex_unlock(&c->api->writing); /* fails only when misused, as does the lock */
}

void api_wait_end(struct api_call *c)
{
    (void)pthread_mutex_lock(&c->api->writing);
}

/* A call that changes something: alone, and anew when another process was faster. */
static int run_writing(struct api_call *c, const struct task *t)
{
    int rc = 0;

    c->txn = mem_alloc(sizeof(*c->txn));
    (void)pthread_mutex_lock(&c->api->writing); /* fails only when misused, as does the unlock */
    for (int i = 0; rc == 0 && i < ATTEMPTS_MAX; i++) {
        store_txn_init(c->txn);
        json_decref(c->once);
        json_decref(c->counts);
        c->once = json_object();
        c->counts = json_object();
        api_answer(c, 204, NULL);
        rc = run_once(c, t);
    }
    (void)pthread_mutex_unlock(&c->api->writing);
    if (rc == 0)
        return api_fail(c, API_STORE, "The object is being changed by somebody else; try again.");
    return rc == 1 ? 0 : -1;
}

static int run_task(struct api_call *c, const struct task *t)
{
    bool writes =
        t->action != NULL ? t->action->writes : (t->verb & (API_CAN_LIST | API_CAN_GET)) == 0;

    if (!writes) {
        api_answer(c, 204, NULL);
        return run_once(c, t) == 1 ? 0 : -1;
    }
    if (!api_call_who(c)->can_write)
        return api_fail(c, API_READ_ONLY, "The owner of this credential may not write.");
    return run_writing(c, t);
}

/* ---- checks before -------------------------------------------------------------------------- */

static int check_version(struct api_call *c)
{
    struct str version = c->request->version;

    if (version.p == NULL || version.n == 0)
        return api_fail(c, API_NO_VERSION,
                        "The ngrok-version header is missing; send \"ngrok-version: 2\".");
    if (!str_eq(str_trim_ows(version), STR("2")))
        return api_fail(c, API_VERSION, "The API version is not supported; the only one is 2.");
    return 0;
}

static int check_rate(struct api_call *c)
{
    const struct api_caller *who = api_call_who(c);
    const char *name = who->credential[0] != '\0' ? who->credential : who->principal;

    if (!api_rate_take(c->api->rate, name, c->wall_ms))
        return api_fail(c, API_RATE_LIMIT,
                        "Too many requests in the last minute; try again later.");
    return 0;
}

static int parse_query(struct api_call *c)
{
    struct api_query *q = arena_zalloc(&c->arena, sizeof(*q));

    c->query = q;
    if (c->request->query.n > API_QUERY_MAX_BYTES)
        return api_fail(c, API_QUERY_SYNTAX, "The query has more than %d bytes.",
                        API_QUERY_MAX_BYTES);
    return api_query_parse(c->request->query, &c->arena, q, &c->error);
}

static int fail_refused(struct api_call *c)
{
    if (c->request->refused == NULL)
        return api_fail(c, API_NO_AUTHORIZATION, "Nobody is logged in.");
    c->error = *c->request->refused;
    return -1;
}

/* A key that may bind only some names sees what it has online, and changes nothing (spec 5.4). */
static int check_restricted(struct api_call *c, const struct task *t)
{
    if (!api_call_who(c)->is_restricted ||
        (t->route->resource->is_of_sessions && (t->verb & (API_CAN_LIST | API_CAN_GET)) != 0))
        return 0;
    return api_fail(
        c, API_CREDENTIAL,
        "A key with bind or connect rules may only list and get its own sessions, tunnels and "
        "endpoints.");
}

static int run(struct api_call *c)
{
    struct str method = c->request->method;
    struct str path = c->request->path;
    struct route route;
    struct task task = { .route = &route };

    if (str_eq(method, STR("GET")) && str_eq(trim_slashes(path), STR(API_OPENAPI_PATH))) {
        api_answer(c, 200, api_openapi(api_uri(c, "", STR_NONE)));
        return 0;
    }
    if (path.n > API_PATH_MAX_BYTES || !find_route(path, &c->arena, &route))
        return api_fail(c, API_NO_ROUTE, "There is no such path.");
    if (api_call_who(c) == NULL)
        return fail_refused(c);
    if (check_rate(c) == -1 || check_version(c) == -1)
        return -1;
    if (route.is_not_offered)
        return api_fail(c, API_NOT_OFFERED, "This gateway does not offer this resource.");
    if (route.action.n > 0)
        task.action = find_action(&route, method);
    else
        task.verb = find_verb(&route, method);
    if (task.action == NULL && task.verb == 0)
        return api_fail(c, API_NO_ROUTE, "There is no such path, or not with this method.");
    if (check_restricted(c, &task) == -1)
        return -1;
    if (c->request->body.n > API_BODY_MAX_BYTES)
        return api_fail(c, API_BODY_TOO_LARGE, "The body has more than %d bytes.",
                        API_BODY_MAX_BYTES);
    if (parse_query(c) == -1)
        return -1;
    return run_task(c, &task);
}

/* The path as it can stand in JSON that every parser takes. */
static struct str shown_path(struct api_call *c)
{
    struct str path = str_slice(c->request->path, 0, API_PATH_MAX_BYTES);

    path = str_slice(path, 0, str_find_char(path, '\0'));
    return arena_str(&c->arena, str_slice(path, 0, utf8_good(path)));
}

void api_call(struct api *a, const struct api_request *request, struct api_response *out)
{
    struct api_call c;

    make_operation_id(a, out);
    api_call_init(&c, a, request);
    if (run(&c) == 0) {
        respond(&c, out);
    } else {
        respond_error(&c.error, c.error.code == API_NO_ROUTE ? shown_path(&c) : STR_NONE, out);
        api_refusals_log(a->refusals, request, c.error.code, out->operation_id);
    }
    api_call_fini(&c);
}

int api_key_new(struct api *a, const struct api_caller *who, struct str description,
                char token[API_TOKEN_BYTES], struct api_error *e)
{
    json_t *body =
        json_pack("{s:s%}", "description", description.n > 0 ? description.p : "", description.n);
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    struct api_request request = {
        .method = STR("POST"),
        .path = str_from(api_resource_api_keys.path),
        .body = str_from(text),
        .content_type = STR("application/json"),
        .version = STR("2"),
        .who = who,
    };
    struct api_call c;
    int rc;

    json_decref(body);
    if (text == NULL)
        return api_error_set(e, API_FIELD_VALUE, "The description is not UTF-8.");
    api_call_init(&c, a, &request);
    rc = run(&c);
    if (rc == 0)
        (void)snprintf(token, API_TOKEN_BYTES, "%s", api_get_text(c.answer, "token"));
    else
        *e = c.error;
    free(text);
    api_call_fini(&c);
    return rc;
}
