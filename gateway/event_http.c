/* Events as the bodies of POST requests: a JSON list of a batch, or one event each. */
#include <stdio.h>

#include "base/buf.h"
#include "base/mem.h"
#include "gateway/event_outlet.h"
#include "gateway/fetch.h"
#include "gateway/fetch_rules.h"

enum {
    RESPONSE_MAX_BYTES = 64 * 1024, /* what a receiver says is not read */
    STATUS_TOO_LARGE = 413,
};

struct event_http {
    struct fetch *fetch;       /* owned; NULL: none is under way */
    struct fetch_rules *rules; /* counted */
    struct buf body;
};

/* The operator's own destinations may be anywhere, those of users on the public network only. */
static struct fetch_rules *make_rules(const struct event_destination *d)
{
    struct fetch_rules *rules = fetch_rules_new();
    static const struct str anywhere[] = { STR_INIT("*"), STR_INIT("0.0.0.0/0"), STR_INIT("::/0") };
    size_t count = d->public_only ? 1 : sizeof(anywhere) / sizeof(anywhere[0]);

    for (size_t i = 0; i < count; i++)
        (void)fetch_rules_add(rules, anywhere[i], NULL); /* all are well-formed */
    return rules;
}

static void *http_open(struct event_outlet *o)
{
    struct event_http *h = mem_zalloc(sizeof(*h));

    h->rules = make_rules(o->settings);
    buf_init(&h->body, SIZE_MAX / 2); /* a batch has its own limit */
    return h;
}

static bool is_success(unsigned status)
{
    return status >= 200 && status < 300;
}

static void on_done(void *arg)
{
    struct event_outlet *o = arg;
    struct event_http *h = o->target;
    const struct fetch *f = h->fetch;
    unsigned status = fetch_result(f)->status;
    struct err e = *fetch_error(f);
    enum event_sent how = EVENT_FAILED;

    /* An answer that is too long to be read says as much by its status. */
    if (is_success(status) && (e.code == E_OK || e.code == E_FETCH_TOO_LARGE))
        how = EVENT_SENT;
    else if (status == STATUS_TOO_LARGE)
        how = EVENT_TOO_LARGE;
    else if (e.code == E_OK)
        (void)err_set(&e, E_FETCH_FAILED, "the receiver answered with status %u", status);
    fetch_free(h->fetch);
    h->fetch = NULL;
    event_outlet_on_sent(o, how, &e);
}

static void make_body(struct event_outlet *o, struct buf *out)
{
    const struct event_text *t = o->queue.first;
    bool is_list = o->settings->body == EVENT_BODY_LIST;

    buf_clear(out);
    for (size_t i = 0; i < o->queue.in_flight; i++, t = t->next) {
        if (is_list)
            buf_add_char(out, i == 0 ? '[' : ',');
        buf_add(out, t->p, t->n);
    }
    if (is_list)
        buf_add_char(out, ']');
}

static enum event_sent http_send(struct event_outlet *o, size_t *arrived, struct err *e)
{
    struct event_http *h = o->target;
    const struct event_destination *d = o->settings;
    struct policy_header *headers = mem_zalloc_array(d->header_count + 2, sizeof(*headers));
    struct policy_fetch request = {
        .url = d->url,
        .method = STR("POST"),
        .headers = headers,
        .timeout_ms = d->timeout_ms,
        .response_max_bytes = RESPONSE_MAX_BYTES,
    };
    struct fetch_params params = {
        .request = &request, .rules = h->rules, .max = SIZE_MAX, .done = on_done, .arg = o
    };

    (void)arrived;
    (void)e;
    for (size_t i = 0; i < d->header_count; i++)
        headers[i] = (struct policy_header){ d->headers[i].name, d->headers[i].value };
    headers[d->header_count] =
        (struct policy_header){ STR("content-type"), STR("application/json") };
    headers[d->header_count + 1] =
        (struct policy_header){ STR("user-agent"), STR("sallyport/" SALLYPORT_VERSION) };
    request.header_count = d->header_count + 2;
    make_body(o, &h->body);
    request.body = buf_str(&h->body);
    h->fetch = fetch_start(o->fetcher, &params); /* copies all of it */
    buf_clear(&h->body);
    mem_free(headers);
    return EVENT_PENDING;
}

/* What is under way goes to the end; what comes next goes where the settings now say. */
static void http_reopen(struct event_outlet *o)
{
    struct event_http *h = o->target;

    fetch_rules_unref(h->rules);
    h->rules = make_rules(o->settings);
}

static void http_close(struct event_outlet *o)
{
    struct event_http *h = o->target;

    fetch_free(h->fetch);
    fetch_rules_unref(h->rules);
    buf_fini(&h->body);
    mem_free(h);
}

const struct event_target_ops event_http_target = {
    .name = "http",
    .open = http_open,
    .send = http_send,
    .reopen = http_reopen,
    .close = http_close,
};
