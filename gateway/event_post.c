#include "gateway/event_post.h"

#include "base/mem.h"
#include "gateway/fetch.h"
#include "gateway/fetch_rules.h"

enum {
    RESPONSE_MAX_BYTES = 64 * 1024, /* what a receiver says is not read */
    STATUS_TOO_LARGE = 413,
};

/* The operator's own destinations may be anywhere, those of users on the public network only. */
struct fetch_rules *event_post_rules(const struct event_destination *d)
{
    struct fetch_rules *rules = fetch_rules_new();
    static const struct str anywhere[] = { STR_INIT("*"), STR_INIT("0.0.0.0/0"), STR_INIT("::/0") };
    size_t count = d->public_only ? 1 : sizeof(anywhere) / sizeof(anywhere[0]);

    for (size_t i = 0; i < count; i++)
        (void)fetch_rules_add(rules, anywhere[i], NULL); /* all are well-formed */
    return rules;
}

void event_post_begin(const struct event_destination *d, struct buf *body)
{
    buf_clear(body);
    if (d->body == EVENT_BODY_LIST)
        buf_add_char(body, '[');
}

void event_post_add(const struct event_destination *d, struct buf *body, struct str event)
{
    if (d->body == EVENT_BODY_LIST && body->len > 1)
        buf_add_char(body, ',');
    if (d->members.n > 0) { /* an event is an object that has members of its own */
        buf_add_char(body, '{');
        buf_add_str(body, d->members);
        event = str_skip(event, 1);
    }
    buf_add_str(body, event);
}

void event_post_end(const struct event_destination *d, struct buf *body)
{
    if (d->body == EVENT_BODY_LIST)
        buf_add_char(body, ']');
}

struct fetch *event_post_start(const struct event_post_params *params)
{
    const struct event_destination *d = params->destination;
    struct policy_header *headers = mem_zalloc_array(d->header_count + 2, sizeof(*headers));
    struct policy_fetch request = {
        .url = d->url,
        .method = STR("POST"),
        .headers = headers,
        .header_count = d->header_count + 2,
        .body = params->body,
        .timeout_ms = d->timeout_ms,
        .response_max_bytes = RESPONSE_MAX_BYTES,
    };
    struct fetch_params fetch = {
        .request = &request,
        .rules = params->rules,
        .max = SIZE_MAX,
        .done = params->done,
        .arg = params->arg,
    };
    struct fetch *f;

    for (size_t i = 0; i < d->header_count; i++)
        headers[i] = (struct policy_header){ d->headers[i].name, d->headers[i].value };
    headers[d->header_count] =
        (struct policy_header){ STR("content-type"), STR("application/json") };
    headers[d->header_count + 1] =
        (struct policy_header){ STR("user-agent"), STR("sallyport/" SALLYPORT_VERSION) };
    f = fetch_start(params->fetcher, &fetch); /* copies all of it */
    mem_free(headers);
    return f;
}

static bool is_success(unsigned status)
{
    return status >= 200 && status < 300;
}

enum event_sent event_post_result(const struct fetch *f, struct err *e)
{
    unsigned status = fetch_result(f)->status;

    *e = *fetch_error(f);
    /* An answer that is too long to be read says as much by its status. */
    if (is_success(status) && (e->code == E_OK || e->code == E_FETCH_TOO_LARGE))
        return EVENT_SENT;
    if (e->code == E_OK)
        (void)err_set(e, E_FETCH_FAILED, "the receiver answered with status %u", status);
    return status == STATUS_TOO_LARGE ? EVENT_TOO_LARGE : EVENT_FAILED;
}
