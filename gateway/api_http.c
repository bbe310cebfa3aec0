#include "gateway/api_http.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#include "base/arena.h"
#include "base/job.h"
#include "base/mem.h"
#include "gateway/http.h"
#include "gateway/http1.h"
#include "tunnel/api/api.h"

/* Who the operator of the machine is: an administrator of this account. */
#define OPERATOR_ACCOUNT "default"
/* By which the operator names the account to act for, and is then no administrator. */
#define OPERATOR_FIELD "sallyport-account"

enum { ADDED_FIELDS_MAX_BYTES = 512 };

static_assert((int)API_HTTP_BODY_MAX_BYTES == (int)API_BODY_MAX_BYTES, "one limit, two names");

struct api_http {
    struct api *api;            /* borrowed */
    struct job_pool *jobs;      /* borrowed */
    const char *base_url;       /* borrowed */
    const char *const *origins; /* borrowed */
    size_t origin_count;
    uint64_t calls_max;
    atomic_uint_fast64_t calls; /* under way */
};

struct api_http_call {
    struct api_http *http; /* borrowed */
    enum api_http_peer peer;
    struct arena arena; /* holds all texts below */
    struct api_request request;
    struct str authorization; /* p NULL: none */
    struct str account;       /* of OPERATOR_FIELD; p NULL: none */
    struct str origin;        /* that is allowed; p NULL: none */
    struct str preflight;     /* headers a page wants to send; p NULL: this is no preflight */
    struct api_response response;
    bool has_head_only; /* of a HEAD request */

    api_http_done_fn *done; /* NULL once cancelled */
    void *arg;
};

/* ---- life ----------------------------------------------------------------------------------- */

struct api_http *api_http_new(const struct api_http_params *params)
{
    struct api_http *a = mem_zalloc(sizeof(*a));

    a->api = params->api;
    a->jobs = params->jobs;
    a->base_url = params->base_url;
    a->origins = params->origins;
    a->origin_count = params->origin_count;
    a->calls_max = params->calls_max;
    return a;
}

bool api_http_is_well(const struct api_http *a)
{
    return api_is_well(a->api);
}

void api_http_free(struct api_http *a)
{
    mem_free(a);
}

static void call_free(struct api_http_call *call)
{
    api_response_fini(&call->response);
    arena_fini(&call->arena);
    mem_free(call);
}

/* ---- the request ---------------------------------------------------------------------------- */

/* The value of a field in the arena; p NULL when it is not there. */
static struct str copy_field(struct api_http_call *call, const struct http_request *r,
                             struct str name)
{
    const struct http_header *h = http_headers_find(&r->headers, name, 0);

    return h != NULL ? arena_str(&call->arena, h->value) : STR_NONE;
}

/* An empty value is a field that was sent all the same. */
static struct str present(struct str value, const struct http_request *r, struct str name)
{
    return value.p == NULL && http_headers_find(&r->headers, name, 0) != NULL ? STR("") : value;
}

static struct str base_url(struct api_http_call *call, const struct http_request *r)
{
    if (call->http->base_url != NULL)
        return str_from(call->http->base_url);
    return arena_fmt(&call->arena, "http://%.*s", STR_ARG(r->authority));
}

static bool is_allowed(const struct api_http *a, struct str origin)
{
    for (size_t i = 0; i < a->origin_count; i++) {
        if (str_eq(origin, str_from(a->origins[i])))
            return true;
    }
    return false;
}

static void take_cors(struct api_http_call *call, const struct http_request *r)
{
    struct str origin = copy_field(call, r, STR("origin"));

    if (origin.n == 0 || !is_allowed(call->http, origin))
        return;
    call->origin = origin;
    if (str_eq(r->method, STR("OPTIONS")) &&
        http_headers_find(&r->headers, STR("access-control-request-method"), 0) != NULL)
        call->preflight = present(copy_field(call, r, STR("access-control-request-headers")), r,
                                  STR("access-control-request-method"));
}

static void take_request(struct api_http_call *call, const struct http_request *r, struct str body)
{
    struct api_request *q = &call->request;

    q->method = arena_str(&call->arena, r->method);
    q->path = arena_str(&call->arena, r->path);
    q->query = arena_str(&call->arena, r->query);
    q->body = arena_str(&call->arena, body);
    q->content_type = present(copy_field(call, r, STR("content-type")), r, STR("content-type"));
    q->version = copy_field(call, r, STR("ngrok-version"));
    q->user_agent = copy_field(call, r, STR("user-agent"));
    q->base_url = base_url(call, r);
    call->authorization =
        present(copy_field(call, r, STR("authorization")), r, STR("authorization"));
    if (call->peer == API_HTTP_OPERATOR)
        call->account = copy_field(call, r, STR(OPERATOR_FIELD));
    call->has_head_only = str_eq(r->method, STR("HEAD"));
    take_cors(call, r);
}

/* ---- running -------------------------------------------------------------------------------- */

/* The operator acts as an administrator, or for the account they name. */
static int be_operator(const struct api_http_call *call, struct api_caller *who,
                       struct api_error *e)
{
    bool is_admin = call->account.p == NULL;

    if (!is_admin && !api_account_is_valid(call->account))
        return api_error_set(e, API_FIELD_VALUE, "The field " OPERATOR_FIELD " names no account.");
    api_caller_init(call->http->api, who, is_admin ? STR(OPERATOR_ACCOUNT) : call->account,
                    is_admin, API_SOURCE_REST);
    return 0;
}

static void work(void *arg)
{
    struct api_http_call *call = arg;
    struct api *api = call->http->api;
    struct api_caller who;
    struct api_error e;
    int rc = call->peer == API_HTTP_OPERATOR ? be_operator(call, &who, &e)
                                             : api_authenticate(api, call->authorization, &who, &e);

    if (rc == 0)
        call->request.who = &who;
    else
        call->request.refused = &e;
    api_call(api, &call->request, &call->response);
}

static void on_worked(struct worker *w, void *arg)
{
    struct api_http_call *call = arg;

    (void)w;
    atomic_fetch_sub(&call->http->calls, 1);
    if (call->done != NULL)
        call->done(call->arg, call);
    call_free(call);
}

/* An answer that needs no thread. */
static void on_ready(struct worker *w, void *arg)
{
    on_worked(w, arg);
}

struct api_http_call *api_http_start(struct api_http *a, struct worker *w, enum api_http_peer peer,
                                     const struct http_request *request, struct str body,
                                     api_http_done_fn *done, void *arg)
{
    struct api_http_call *call = mem_zalloc(sizeof(*call));
    struct api_error busy;

    call->http = a;
    call->peer = peer;
    call->done = done;
    call->arg = arg;
    arena_init(&call->arena);
    take_request(call, request, body);
    if (atomic_fetch_add(&a->calls, 1) >= a->calls_max) {
        (void)api_error_set(&busy, API_BUSY, "Too many requests at once; try again.");
        api_refuse(a->api, &busy, &call->response);
        worker_post(w, on_ready, call);
    } else if (call->preflight.p != NULL) {
        call->response.status = 204;
        worker_post(w, on_ready, call);
    } else {
        job_submit(a->jobs, w, work, on_worked, call);
    }
    return call;
}

void api_http_cancel(struct api_http_call *call)
{
    call->done = NULL;
}

/* ---- the response --------------------------------------------------------------------------- */

static void write_response(const struct api_response *r, bool keep_alive, struct str added,
                           bool has_head_only, struct buf *out)
{
    http1_write_status_line(out, r->status, str_from(http_reason(r->status)));
    if (r->operation_id[0] != '\0')
        http1_write_header(out, STR("ngrok-operation-id"), str_from(r->operation_id));
    http1_write_header(out, STR("cache-control"), STR("no-store"));
    if (r->body != NULL)
        http1_write_header(out, STR("content-type"), STR("application/json; charset=utf-8"));
    if (!keep_alive)
        http1_write_header(out, STR("connection"), STR("close"));
    if (r->status != 204)
        buf_add_fmt(out, "content-length: %zu\r\n", r->body_bytes);
    buf_add_str(out, added);
    http1_write_head_end(out);
    if (r->body != NULL && !has_head_only)
        buf_add(out, r->body, r->body_bytes);
}

static void add_preflight(const struct api_http_call *call, struct buf *out)
{
    char methods[API_METHODS_BYTES];

    http1_write_header(out, STR("access-control-allow-methods"),
                       str_from(api_methods(call->request.path, methods)));
    if (call->preflight.n > 0)
        http1_write_header(out, STR("access-control-allow-headers"), call->preflight);
    http1_write_header(out, STR("access-control-max-age"), STR("600"));
}

void api_http_write(const struct api_http_call *call, bool keep_alive, struct buf *out)
{
    struct buf added;

    buf_init(&added, ADDED_FIELDS_MAX_BYTES + call->origin.n + call->preflight.n);
    if (call->origin.p != NULL) {
        http1_write_header(&added, STR("access-control-allow-origin"), call->origin);
        http1_write_header(&added, STR("access-control-allow-credentials"), STR("true"));
        http1_write_header(&added, STR("vary"), STR("origin"));
    }
    if (call->preflight.p != NULL)
        add_preflight(call, &added);
    write_response(&call->response, keep_alive, buf_str(&added), call->has_head_only, out);
    buf_fini(&added);
}

void api_http_refuse(struct api_http *a, enum api_http_refusal why, const char *msg,
                     struct buf *out)
{
    struct api_response response;
    struct api_error e;

    (void)api_error_set(&e, why == API_HTTP_TOO_LARGE ? API_BODY_TOO_LARGE : API_BODY_UNREADABLE,
                        "%s", msg);
    api_refuse(a->api, &e, &response);
    write_response(&response, false, STR_NONE, false, out);
    api_response_fini(&response);
}
