/*
 * libcurl could follow redirects itself, but it would ask nobody about their names, change methods by
 * rules of its own, and send a policy's headers along to other hosts. So each hop is a transfer, and
 * one deadline covers them.
 *
 * The address is looked at twice: before a socket is opened, so that nobody can probe ports of private
 * addresses, and before the request is sent, since a kept connection opens no socket. Both look at
 * the address itself, so a name that resolves to something else the second time gains nothing.
 */
#include "gateway/fetch.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <curl/curl.h>
#include <ev.h>

#include "base/addr.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "gateway/fetch_loop.h"
#include "gateway/fetch_rules.h"
#include "gateway/http.h"
#include "tunnel/host.h"

enum { HOPS_LINE_BYTES = 64 };

static const struct str hops_name = STR_INIT("sallyport-req-hops");

struct fetcher {
    struct worker *worker;               /* borrowed: outlives us */
    const struct fetch_purpose *purpose; /* borrowed: static */
    struct fetch_loop *transfers;        /* owned */
    size_t running;
};

struct fetch {
    struct fetcher *fetcher;    /* borrowed: outlives us */
    const char *name;           /* how errors begin; borrowed: static */
    CURL *easy;                 /* owned */
    struct curl_slist *headers; /* owned */
    struct fetch_rules *rules;  /* counted */
    enum fetch_reach reach;     /* of the present target */
    bool is_added;              /* to the fetcher's transfers */
    bool is_over;
    bool is_refused; /* an address was */
    bool is_too_large;
    ev_timer soon; /* tells what was wrong from the start */
    uint64_t start_ms;
    uint64_t deadline_ms;
    unsigned redirects;
    unsigned hops;

    struct arena arena; /* of the request, and of the headers of responses */
    struct str method;
    struct str url;
    struct policy_header *fields; /* of the request */
    size_t field_count;
    struct str content;

    struct buf body;
    size_t body_max;
    struct policy_header *got; /* FETCH_HEADERS_MAX */
    size_t got_bytes;
    struct policy_fetched out;
    struct err error;
    void (*done)(void *arg);
    void *arg;
};

const struct fetch_purpose fetch_for_policies = { "http-request", METRIC_FETCHES,
                                                  METRIC_FETCHES_TOTAL };
const struct fetch_purpose fetch_for_events = { "event delivery", METRIC_EVENT_POSTS,
                                                METRIC_EVENT_POSTS_TOTAL };

static struct ev_loop *loop_of(const struct fetcher *f)
{
    return worker_loop(f->worker);
}

/* Sets the error. Returns -1. */
static int fail_with(struct fetch *f, enum err_code code, const char *text)
{
    return err_set(&f->error, code, "%s: %s", f->name, text);
}

/* ---- the end of a fetch ---------------------------------------------------------------------- */

static void remove_handle(struct fetch *f)
{
    if (!f->is_added)
        return;
    f->is_added = false;
    fetch_loop_remove(f->fetcher->transfers, f->easy);
}

/* Counts it as under way no longer. */
static void leave(struct fetch *f)
{
    if (f->is_over)
        return;
    f->is_over = true;
    f->fetcher->running--;
    metrics_add(worker_metrics(f->fetcher->worker), f->fetcher->purpose->running, -1);
}

static void finish(struct fetch *f)
{
    char *ip = NULL;

    remove_handle(f);
    leave(f);
    if (curl_easy_getinfo(f->easy, CURLINFO_PRIMARY_IP, &ip) == CURLE_OK && ip != NULL)
        f->out.resolved_ip = arena_str(&f->arena, str_from(ip));
    f->out.headers = f->got;
    f->out.body = buf_str(&f->body);
    f->out.took_ms = clock_mono_ms() - f->start_ms;
    f->done(f->arg); /* may have freed it */
}

static void on_soon(struct ev_loop *loop, ev_timer *watcher, int revents)
{
    (void)loop;
    (void)revents;
    finish(watcher->data);
}

/* ---- what may be reached --------------------------------------------------------------------- */

/* The name as rules have it; what is no name (an address in brackets) stays as it is. */
static void fold_host(const char *text, char host[HOST_MAX_BYTES + 1])
{
    struct str s = str_from(text);

    host[0] = '\0';
    if (host_normalize(s, host, NULL) == 0 || host_fold(s, host) == 0)
        return;
    s = str_slice(s, 0, HOST_MAX_BYTES);
    memcpy(host, s.p, s.n);
    host[s.n] = '\0';
}

/* Sets the reach of the present URL. -1 with E_FETCH_FAILED when it may not be asked for at all. */
static int check_target(struct fetch *f, CURLU *url)
{
    char host[HOST_MAX_BYTES + 1];
    char *part = NULL;
    bool is_http;

    if (curl_url_get(url, CURLUPART_SCHEME, &part, 0) != CURLUE_OK)
        return fail_with(f, E_FETCH_FAILED, "the URL has no scheme");
    is_http = strcmp(part, "http") == 0 || strcmp(part, "https") == 0;
    curl_free(part);
    if (!is_http)
        return fail_with(f, E_FETCH_FAILED, "the URL is not http or https");
    if (curl_url_get(url, CURLUPART_HOST, &part, 0) != CURLUE_OK)
        return fail_with(f, E_FETCH_FAILED, "the URL has no host");
    fold_host(part, host);
    curl_free(part);
    if (host_is_below_or_equal(str_from(host), STR("internal")))
        return fail_with(f, E_FETCH_FAILED, "the internal endpoint is offline");
    f->reach = fetch_rules_reach(f->rules, str_from(host));
    if (f->reach == FETCH_NOWHERE)
        return fail_with(f, E_FETCH_FAILED,
                         "requests to this host are not allowed by the operator");
    return 0;
}

static curl_socket_t on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *sa)
{
    struct fetch *f = arg;
    struct addr a = addr_from_sockaddr(&sa->addr);

    (void)purpose;
    if (fetch_rules_allow(f->rules, f->reach, &a))
        return socket(sa->family, sa->socktype | SOCK_CLOEXEC, sa->protocol);
    f->is_refused = true;
    return CURL_SOCKET_BAD;
}

static int on_before_request(void *arg, char *remote_ip, char *local_ip, int remote_port,
                             int local_port)
{
    struct fetch *f = arg;
    struct addr a = { .family = 0 };

    (void)local_ip;
    (void)remote_port;
    (void)local_port;
    if (addr_parse_ip(str_from(remote_ip), &a) == 0 && fetch_rules_allow(f->rules, f->reach, &a))
        return CURL_PREREQFUNC_OK;
    f->is_refused = true;
    return CURL_PREREQFUNC_ABORT;
}

/* ---- the response ---------------------------------------------------------------------------- */

static bool is_redirect(long status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static bool has_field(const struct fetch *f, struct str name)
{
    for (size_t i = 0; i < f->out.header_count; i++) {
        if (str_eq(f->got[i].name, name))
            return true;
    }
    return false;
}

static struct str lower(struct arena *a, struct str s)
{
    char *p = arena_alloc(a, s.n);

    for (size_t i = 0; i < s.n; i++)
        p[i] = char_lower(s.p[i]);
    return str_of(p, s.n);
}

/* A line of a head; the last head of several counts. Anything but n ends the transfer. */
static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
    struct fetch *f = arg;
    struct str line = str_trim(str_of(p, size * n));
    size_t colon = str_find_char(line, ':');

    if (str_starts(line, STR("HTTP/"))) {
        f->out.header_count = 0;
        return n;
    }
    if (colon == line.n)
        return n; /* the empty line at the end */
    f->got_bytes += line.n;
    if (f->got_bytes > FETCH_HEADER_BYTES || f->out.header_count == FETCH_HEADERS_MAX) {
        f->is_too_large = true;
        return 0;
    }
    f->got[f->out.header_count++] = (struct policy_header){
        .name = lower(&f->arena, str_slice(line, 0, colon)),
        .value = arena_str(&f->arena, str_trim(str_skip(line, colon + 1))),
    };
    return n;
}

/* The body of a response that redirects is not looked at. */
static bool is_body_dropped(struct fetch *f)
{
    long status = 0;

    (void)curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status); /* stays 0 */
    return is_redirect(status) && has_field(f, STR("location"));
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    struct fetch *f = arg;

    n *= size;
    if (is_body_dropped(f))
        return n;
    if (n > f->body_max - f->body.len) {
        f->is_too_large = true;
        return 0;
    }
    buf_add(&f->body, p, n);
    return n;
}

/* ---- the request ----------------------------------------------------------------------------- */

unsigned fetch_hops(const struct http_headers *h)
{
    const struct http_header *field;
    uint64_t most = 0;

    /* Who sends a number of their own only shortens what they may do. */
    for (size_t i = 0; (field = http_headers_find(h, hops_name, i)) != NULL; i++) {
        uint64_t n = FETCH_HOPS_MAX;

        (void)str_to_u64(field->value, FETCH_HOPS_MAX, &n); /* anything else counts as the most */
        most = n > most ? n : most;
    }
    return (unsigned)most;
}

/* Fields that frame the request or belong to the connection are libcurl's. */
static bool is_framing(struct str name)
{
    static const struct str names[] = { STR_INIT("content-length"),
                                        STR_INIT("transfer-encoding"),
                                        STR_INIT("connection"),
                                        STR_INIT("upgrade"),
                                        STR_INIT("te"),
                                        STR_INIT("trailer"),
                                        STR_INIT("expect") };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (str_eq_nocase(name, names[i]))
            return true;
    }
    return false;
}

static void add_line(struct fetch *f, const char *line)
{
    struct curl_slist *more = curl_slist_append(f->headers, line);

    assert(more != NULL); /* only memory can be missing */
    f->headers = more;
}

static const struct policy_header *find_field(const struct fetch *f, struct str name)
{
    for (size_t i = 0; i < f->field_count; i++) {
        if (str_eq_nocase(f->fields[i].name, name))
            return &f->fields[i];
    }
    return NULL;
}

static int set_headers(struct fetch *f)
{
    char hops[HOPS_LINE_BYTES];

    curl_slist_free_all(f->headers);
    f->headers = NULL;
    for (size_t i = 0; i < f->field_count; i++) {
        struct str name = f->fields[i].name;
        struct str value = str_trim_ows(f->fields[i].value);
        char *line;

        if (!http_is_token(name) || !http_is_field_value(value))
            return fail_with(f, E_FETCH_FAILED, "a header cannot be sent");
        if (is_framing(name) || str_eq_nocase(name, hops_name))
            continue;
        /* "Name;" is libcurl's way to say an empty value, "Name:" would take the field away. */
        line = str_dup(arena_fmt(&f->arena, value.n > 0 ? "%.*s: %.*s" : "%.*s;", STR_ARG(name),
                                 STR_ARG(value)));
        add_line(f, line);
        mem_free(line);
    }
    (void)snprintf(hops, sizeof(hops), "%s: %u", hops_name.p, f->hops + 1);
    add_line(f, hops);
    add_line(f, "Expect:");
    if (find_field(f, STR("content-type")) == NULL)
        add_line(f, "Content-Type:"); /* not libcurl's idea of a form */
    return 0;
}

#define SET(option, value) (void)curl_easy_setopt(f->easy, (option), (value))

/* What does not change from hop to hop. Fails only without memory, as all of SET does. */
static void set_options(struct fetch *f)
{
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_QUICK_EXIT, 1L); /* or ending it would wait for a name server */
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_ACCEPT_ENCODING, ""); /* all that libcurl decodes */
    SET(CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    SET(CURLOPT_OPENSOCKETDATA, f);
    SET(CURLOPT_PREREQFUNCTION, on_before_request);
    SET(CURLOPT_PREREQDATA, f);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, f);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, f);
}

static void set_method(struct fetch *f)
{
    char *method = str_dup(f->method);
    bool sends = f->content.n > 0 || str_eq(f->method, STR("POST")) ||
                 str_eq(f->method, STR("PUT")) || str_eq(f->method, STR("PATCH"));

    SET(CURLOPT_HTTPGET, 1L);
    SET(CURLOPT_NOBODY, str_eq(f->method, STR("HEAD")) ? 1L : 0L);
    if (sends) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)f->content.n);
        SET(CURLOPT_POSTFIELDS, f->content.n > 0 ? f->content.p : "");
    }
    SET(CURLOPT_CUSTOMREQUEST, method);
    mem_free(method);
}

/* Begins a transfer to f->url. -1 with E_FETCH_*. */
static int begin_hop(struct fetch *f)
{
    CURLU *url = curl_url();
    uint64_t now_ms = clock_mono_ms();
    char *text = str_dup(f->url);
    int rc = -1;

    assert(url != NULL); /* only memory can be missing */
    f->is_refused = false;
    if (now_ms >= f->deadline_ms)
        (void)fail_with(f, E_FETCH_TIMEOUT, "the request timed out");
    else if (curl_url_set(url, CURLUPART_URL, text, 0) != CURLUE_OK)
        (void)fail_with(f, E_FETCH_FAILED, "the URL is malformed");
    else if (check_target(f, url) == 0)
        rc = set_headers(f);
    if (rc == 0) {
        set_method(f);
        SET(CURLOPT_URL, text);
        SET(CURLOPT_HTTPHEADER, f->headers);
        SET(CURLOPT_TIMEOUT_MS, (long)(f->deadline_ms - now_ms));
        f->is_added = fetch_loop_add(f->fetcher->transfers, f->easy, f);
        if (!f->is_added)
            rc = fail_with(f, E_FETCH_FAILED, "the request cannot be made");
    }
    curl_url_cleanup(url);
    mem_free(text);
    return rc;
}

/* ---- redirects ------------------------------------------------------------------------------- */

static void drop_fields(struct fetch *f, bool (*is)(struct str name))
{
    size_t kept = 0;

    for (size_t i = 0; i < f->field_count; i++) {
        if (!is(f->fields[i].name))
            f->fields[kept++] = f->fields[i];
    }
    f->field_count = kept;
}

static bool is_credential(struct str name)
{
    return str_eq_nocase(name, STR("authorization")) || str_eq_nocase(name, STR("cookie")) ||
           str_eq_nocase(name, STR("host"));
}

static bool is_content_field(struct str name)
{
    return str_starts_nocase(name, STR("content-"));
}

/* "https://host:port" of a URL, as far as its bytes tell. */
static struct str origin_of(struct str url)
{
    size_t start = str_find(url, STR("://")) + 3;
    size_t end = start;

    while (end < url.n && url.p[end] != '/' && url.p[end] != '?' && url.p[end] != '#')
        end++;
    return str_slice(url, 0, end);
}

/* RFC 9110 sections 15.4.2 to 15.4.4. */
static void change_method(struct fetch *f, long status)
{
    bool is_post = str_eq(f->method, STR("POST"));

    if (status != 303 && !((status == 301 || status == 302) && is_post))
        return;
    if (!str_eq(f->method, STR("HEAD")))
        f->method = STR("GET");
    f->content = STR_NONE;
    drop_fields(f, is_content_field);
}

static int follow(struct fetch *f, long status, const char *location)
{
    struct str url = arena_str(&f->arena, str_from(location));

    if (f->redirects == 0)
        return fail_with(f, E_FETCH_REDIRECTS, "too many redirects");
    f->redirects--;
    if (!str_eq_nocase(origin_of(url), origin_of(f->url)))
        drop_fields(f, is_credential);
    change_method(f, status);
    f->url = url;
    return begin_hop(f);
}

/* ---- the end of a transfer ------------------------------------------------------------------- */

static void fail(struct fetch *f, CURLcode code)
{
    if (f->is_too_large)
        (void)fail_with(f, E_FETCH_TOO_LARGE, "the response is too large");
    else if (code == CURLE_OPERATION_TIMEDOUT)
        (void)fail_with(f, E_FETCH_TIMEOUT, "the request timed out");
    else if (f->is_refused)
        (void)fail_with(f, E_FETCH_FAILED,
                        "the address of the host is not allowed by the operator");
    else
        (void)fail_with(f, E_FETCH_FAILED, curl_easy_strerror(code));
}

static void on_transfer_end(void *arg, CURLcode code)
{
    struct fetch *f = arg;
    char *location = NULL;
    long status = 0;

    remove_handle(f);
    (void)curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(f->easy, CURLINFO_REDIRECT_URL, &location); /* both stay as they are */
    f->out.status = (unsigned)status;
    if (code != CURLE_OK)
        fail(f, code);
    else if (is_redirect(status) && location != NULL && follow(f, status, location) == 0)
        return;
    finish(f);
}

/* ---- life ------------------------------------------------------------------------------------ */

struct fetcher *fetcher_new(struct worker *w, const struct fetch_purpose *purpose)
{
    struct fetcher *f = mem_zalloc(sizeof(*f));

    f->worker = w;
    f->purpose = purpose;
    f->transfers = fetch_loop_new(w, FETCH_KEPT_MAX, on_transfer_end);
    return f;
}

void fetcher_free(struct fetcher *f)
{
    if (f == NULL)
        return;
    assert(f->running == 0);
    fetch_loop_free(f->transfers);
    mem_free(f);
}

struct worker *fetcher_worker(const struct fetcher *f)
{
    return f->worker;
}

static void copy_request(struct fetch *f, const struct policy_fetch *request)
{
    f->method = arena_str(&f->arena, request->method.n > 0 ? request->method : STR("GET"));
    f->url = arena_str(&f->arena, request->url);
    f->content = arena_str(&f->arena, request->body);
    f->fields = arena_alloc(&f->arena, request->header_count * sizeof(*f->fields));
    f->field_count = request->header_count;
    for (size_t i = 0; i < request->header_count; i++)
        f->fields[i] = (struct policy_header){
            .name = arena_str(&f->arena, request->headers[i].name),
            .value = arena_str(&f->arena, request->headers[i].value),
        };
    f->got = arena_alloc(&f->arena, FETCH_HEADERS_MAX * sizeof(*f->got));
    f->body_max = request->response_max_bytes;
    buf_init(&f->body, f->body_max);
    f->redirects = request->max_redirects;
    f->deadline_ms = f->start_ms + request->timeout_ms;
}

struct fetch *fetch_start(struct fetcher *fetcher, const struct fetch_params *params)
{
    struct fetch *f = mem_zalloc(sizeof(*f));
    bool is_full = fetcher->running >= params->max;

    f->fetcher = fetcher;
    f->name = params->name != NULL ? params->name : fetcher->purpose->name;
    f->start_ms = clock_mono_ms();
    fetch_rules_ref(params->rules);
    f->rules = params->rules;
    f->done = params->done;
    f->arg = params->arg;
    f->hops = params->hops;
    arena_init(&f->arena);
    copy_request(f, params->request);
    ev_timer_init(&f->soon, on_soon, 0.0, 0.0);
    f->soon.data = f;
    f->easy = curl_easy_init();
    assert(f->easy != NULL); /* only memory can be missing */
    set_options(f);
    fetcher->running++;
    metrics_add(worker_metrics(fetcher->worker), fetcher->purpose->running, 1);
    metrics_add(worker_metrics(fetcher->worker), fetcher->purpose->total, 1);
    if (is_full)
        (void)fail_with(f, E_FETCH_FAILED, "too many requests are under way");
    else if (f->hops >= FETCH_HOPS_MAX)
        (void)fail_with(f, E_FETCH_LOOP, "the request goes round in circles");
    if (f->error.code != E_OK || begin_hop(f) == -1)
        ev_timer_start(loop_of(fetcher), &f->soon);
    return f;
}

void fetch_free(struct fetch *f)
{
    if (f == NULL)
        return;
    ev_timer_stop(loop_of(f->fetcher), &f->soon);
    remove_handle(f);
    leave(f);
    curl_easy_cleanup(f->easy);
    curl_slist_free_all(f->headers);
    fetch_rules_unref(f->rules);
    buf_fini(&f->body);
    arena_fini(&f->arena);
    mem_free(f);
}

const struct err *fetch_error(const struct fetch *f)
{
    return &f->error;
}

const struct policy_fetched *fetch_result(const struct fetch *f)
{
    return &f->out;
}
