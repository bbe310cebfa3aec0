/* Events to destinations over HTTP, a batch a request. */
#include "base/buf.h"
#include "base/mem.h"
#include "gateway/event_outlet.h"
#include "gateway/event_post.h"
#include "gateway/fetch.h"
#include "gateway/fetch_rules.h"

struct event_http {
    struct fetch *fetch;       /* owned; NULL: none is under way */
    struct fetch_rules *rules; /* counted */
    struct buf body;
};

static void *http_open(struct event_outlet *o)
{
    struct event_http *h = mem_zalloc(sizeof(*h));

    h->rules = event_post_rules(o->settings);
    buf_init(&h->body, SIZE_MAX / 2); /* a batch has its own limit */
    return h;
}

static void on_done(void *arg)
{
    struct event_outlet *o = arg;
    struct event_http *h = o->target;
    struct err e;
    enum event_sent how = event_post_result(h->fetch, &e);

    fetch_free(h->fetch);
    h->fetch = NULL;
    event_outlet_on_sent(o, how, &e);
}

static void make_body(struct event_outlet *o, struct buf *out)
{
    const struct event_text *t = o->queue.first;

    event_post_begin(o->settings, out);
    for (size_t i = 0; i < o->queue.in_flight; i++, t = t->next)
        event_post_add(o->settings, out, str_of(t->p, t->n));
    event_post_end(o->settings, out);
}

static enum event_sent http_send(struct event_outlet *o, size_t *arrived, struct err *e)
{
    struct event_http *h = o->target;
    struct event_post_params params = {
        .fetcher = o->fetcher,
        .destination = o->settings,
        .rules = h->rules,
        .done = on_done,
        .arg = o,
    };

    (void)arrived;
    (void)e;
    make_body(o, &h->body);
    params.body = buf_str(&h->body);
    h->fetch = event_post_start(&params);
    buf_clear(&h->body);
    return EVENT_PENDING;
}

/* What is under way goes to the end; what comes next goes where the settings now say. */
static void http_reopen(struct event_outlet *o)
{
    struct event_http *h = o->target;

    fetch_rules_unref(h->rules);
    h->rules = event_post_rules(o->settings);
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
