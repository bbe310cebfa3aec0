/*
 * A socketpair costs two system calls a block that a shared ring would not, but it brings kernel
 * back-pressure, half-close and readiness for free, and a relay is the slow path anyway: connections
 * move to the worker of their session when they can (gateway/conn.c).
 */
#include "gateway/relay.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ev.h>

#include "base/mem.h"
#include "base/metrics.h"
#include "base/ref.h"
#include "gateway/sock.h"
#include "tunnel/splice.h"

enum { RELAY_DRAIN_MS = 30000 }; /* for the agent to take what the dialler wrote last */

/* The near side: a stream that the dialler owns. */
enum near_state { NEAR_OPENING, NEAR_OPEN, NEAR_CLOSED };

struct relay {
    struct stream stream;  /* first: what the dialler holds */
    struct ref ref;        /* near, far, and each message under way */
    atomic_bool abandoned; /* the dialler has closed: nothing needs to be opened any more */

    /* Near side, touched on its worker only. */
    struct worker *near;
    enum near_state near_state;
    struct stream *near_sock; /* owned; NULL once closed */
    bool near_over;           /* the socket has ended: all data was delivered */
    bool far_closed;          /* the far side said so, and why: */
    enum close_reason far_why;
    enum close_reason near_why; /* of the dialler's close; set before its message goes */

    /* Far side, touched on its worker only. */
    struct worker *far;
    struct endpoint *endpoint; /* counted */
    struct addr client;
    int far_fd;               /* owned until the far sock takes it; -1 then */
    struct stream *far_agent; /* owned until the splice takes it */
    struct splice *splice;    /* owned; NULL when it ended */
    ev_timer drain;           /* runs while only the dialler's last bytes are still passed on */
};

static struct relay *relay_of(struct stream *s)
{
    return (struct relay *)(void *)s;
}

static void relay_unref(struct relay *r)
{
    if (!ref_dec(&r->ref))
        return;
    endpoint_unref(r->endpoint);
    if (r->far_fd != -1)
        (void)close(r->far_fd);
    mem_free(r);
}

static void post(struct relay *r, struct worker *to, worker_fn *fn)
{
    ref_inc(&r->ref);
    worker_post(to, fn, r);
}

/* ---- far side ---------------------------------------------------------------------------- */

static void near_on_opened(struct worker *w, void *arg);
static void near_on_refused(struct worker *w, void *arg);
static void near_on_far_ended(struct worker *w, void *arg);
static void near_on_far_closed(struct worker *w, void *arg);

/* The far side's own reference goes; `fn` tells the near side why. */
static void far_finish(struct relay *r, enum close_reason why, worker_fn *fn)
{
    r->far_why = why;
    post(r, r->near, fn);
    relay_unref(r);
}

static void far_on_done(void *arg, enum close_reason why)
{
    struct relay *r = arg;

    r->splice = NULL;
    ev_timer_stop(worker_loop(r->far), &r->drain);
    metrics_add(worker_metrics(r->far), METRIC_RELAYS, -1);
    far_finish(r, why, near_on_far_closed);
}

static void far_on_open(void *arg)
{
    struct relay *r = arg;
    struct stream *agent = r->far_agent;
    struct sock *sock;

    sock = sock_new(r->far, r->far_fd, NULL, NULL, NULL);
    r->far_agent = NULL;
    r->far_fd = -1;
    metrics_add(worker_metrics(r->far), METRIC_RELAYS, 1);
    r->splice = splice_new(r->far, agent, sock_stream(sock), far_on_done, r);
    post(r, r->near, near_on_opened);
}

static void far_on_refused(void *arg, enum close_reason why)
{
    struct relay *r = arg;

    stream_close(r->far_agent, why);
    r->far_agent = NULL;
    far_finish(r, why, near_on_refused);
}

static size_t far_on_early_data(void *arg, struct str data)
{
    (void)arg;
    (void)data;
    return 0; /* stays in the agent's stream until the splice takes over */
}

static void far_on_nothing(void *arg)
{
    (void)arg;
}

static const struct stream_events far_opening_events = {
    .on_open = far_on_open,
    .on_data = far_on_early_data,
    .on_writable = far_on_nothing,
    .on_eof = far_on_nothing,
    .on_closed = far_on_refused,
};

static void far_start(struct worker *w, void *arg)
{
    struct relay *r = arg;
    const struct agent *agent = &r->endpoint->agent;
    enum close_reason why = CLOSE_SESSION_LOST;

    (void)w;
    if (!atomic_load(&r->abandoned))
        r->far_agent = agent->ops->open(agent, &r->client, &far_opening_events, r, &why);
    if (r->far_agent == NULL)
        far_finish(r, why, near_on_refused);
    relay_unref(r); /* the message's reference */
}

/* The socket ended at the near side: was that a half-close, or is all over? In the second case the
 * message that says so is on its way already. */
static void far_on_question(struct worker *w, void *arg)
{
    struct relay *r = arg;

    (void)w;
    if (r->splice != NULL)
        post(r, r->near, near_on_far_ended);
    relay_unref(r);
}

static void far_cut(struct relay *r)
{
    splice_close(r->splice, CLOSE_CANCELLED);
    far_on_done(r, CLOSE_CANCELLED);
}

static void far_on_drain_over(struct ev_loop *loop, ev_timer *watcher, int revents)
{
    (void)loop;
    (void)revents;
    far_cut(watcher->data);
}

/* The message may be here before the last bytes are, which come through the socket. */
static void far_drain(struct relay *r)
{
    ev_timer_init(&r->drain, far_on_drain_over, RELAY_DRAIN_MS / 1000.0, 0.0);
    r->drain.data = r;
    ev_timer_start(worker_loop(r->far), &r->drain);
    splice_end_behind_b(r->splice);
}

static void far_on_near_closed(struct worker *w, void *arg)
{
    struct relay *r = arg;

    (void)w;
    if (r->splice != NULL && r->near_why == CLOSE_DONE)
        far_drain(r);
    else if (r->splice != NULL)
        far_cut(r);
    else if (r->far_agent != NULL)
        far_on_refused(r, CLOSE_CANCELLED);
    relay_unref(r);
}

/* ---- near side: messages from the far side ------------------------------------------------ */

static void near_close_with(struct relay *r, enum close_reason why)
{
    r->near_state = NEAR_CLOSED;
    r->stream.events->on_closed(r->stream.arg, why);
}

/* Tells the dialler the end, after the last byte: what came before a reset may be a whole answer. */
static void near_report_closed(struct relay *r)
{
    if (r->near_state != NEAR_OPEN || !r->far_closed || !r->near_over)
        return;
    ref_inc(&r->ref); /* the dialler may close in the first event */
    if (r->far_why == CLOSE_DONE)
        r->stream.events->on_eof(r->stream.arg);
    if (r->near_state == NEAR_OPEN)
        near_close_with(r, r->far_why);
    relay_unref(r);
}

static void near_on_opened(struct worker *w, void *arg)
{
    struct relay *r = arg;

    (void)w;
    if (r->near_state == NEAR_OPENING) {
        r->near_state = NEAR_OPEN;
        r->stream.events->on_open(r->stream.arg);
        if (r->near_sock != NULL)
            stream_resume(r->near_sock);
    }
    relay_unref(r);
}

static void near_on_refused(struct worker *w, void *arg)
{
    struct relay *r = arg;

    (void)w;
    if (r->near_state == NEAR_OPENING)
        near_close_with(r, r->far_why);
    relay_unref(r);
}

static void near_on_far_ended(struct worker *w, void *arg)
{
    struct relay *r = arg;

    (void)w;
    if (r->near_state == NEAR_OPEN)
        r->stream.events->on_eof(r->stream.arg);
    relay_unref(r);
}

static void near_on_far_closed(struct worker *w, void *arg)
{
    struct relay *r = arg;

    (void)w;
    r->far_closed = true;
    near_report_closed(r);
    relay_unref(r);
}

/* ---- near side: its socket ------------------------------------------------------------------ */

static size_t near_on_data(void *arg, struct str data)
{
    struct relay *r = arg;

    if (r->near_state != NEAR_OPEN)
        return 0;
    return r->stream.events->on_data(r->stream.arg, data);
}

static void near_on_writable(void *arg)
{
    struct relay *r = arg;

    if (r->near_state == NEAR_OPEN)
        r->stream.events->on_writable(r->stream.arg);
}

static void near_on_eof(void *arg)
{
    struct relay *r = arg;

    if (r->near_over)
        return;
    r->near_over = true;
    if (r->far_closed)
        near_report_closed(r);
    else
        post(r, r->far, far_on_question);
}

static void near_on_sock_closed(void *arg, enum close_reason why)
{
    (void)why; /* the far side's message has the true reason */
    near_on_eof(arg);
}

static const struct stream_events near_events = {
    .on_data = near_on_data,
    .on_writable = near_on_writable,
    .on_eof = near_on_eof,
    .on_closed = near_on_sock_closed,
};

/* ---- near side: the stream the dialler holds --------------------------------------------------- */

static size_t near_write(struct stream *s, const char *p, size_t n)
{
    struct relay *r = relay_of(s);

    if (r->near_state == NEAR_OPENING)
        return 0;
    return r->near_state == NEAR_CLOSED ? n : stream_write(r->near_sock, p, n);
}

static void near_end(struct stream *s)
{
    struct relay *r = relay_of(s);

    if (r->near_state == NEAR_OPEN)
        stream_end(r->near_sock);
}

static void near_resume(struct stream *s)
{
    stream_resume(relay_of(s)->near_sock);
}

static void near_close(struct stream *s, enum close_reason why)
{
    struct relay *r = relay_of(s);

    r->near_state = NEAR_CLOSED;
    r->near_why = why;
    atomic_store(&r->abandoned, true);
    stream_close(r->near_sock, why);
    r->near_sock = NULL;
    post(r, r->far, far_on_near_closed);
    relay_unref(r);
}

static const struct stream_ops near_ops = {
    .name = "relay",
    .write = near_write,
    .end = near_end,
    .resume = near_resume,
    .close = near_close,
};

static struct stream *relay_open(struct endpoint *ep, const struct addr *client,
                                 const struct stream_events *events, void *arg,
                                 enum close_reason *why)
{
    struct relay *r;
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == -1) {
        *why = CLOSE_LIMIT; /* descriptors or memory ran out */
        return NULL;
    }
    r = mem_zalloc(sizeof(*r));
    r->stream = (struct stream){ .ops = &near_ops, .events = events, .arg = arg };
    ref_init(&r->ref);
    ref_inc(&r->ref); /* one for each side */
    r->near = worker_current();
    r->near_sock = sock_stream(sock_new(r->near, fds[0], NULL, &near_events, r));
    r->far = ep->agent.worker;
    endpoint_ref(ep);
    r->endpoint = ep;
    r->client = *client;
    r->far_fd = fds[1];
    post(r, r->far, far_start);
    return &r->stream;
}

struct stream *relay_dial(struct endpoint *ep, const struct addr *client,
                          const struct stream_events *events, void *arg, enum close_reason *why)
{
    if (ep->agent.worker == worker_current())
        return ep->agent.ops->open(&ep->agent, client, events, arg, why);
    return relay_open(ep, client, events, arg, why);
}
