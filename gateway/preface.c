/*
 * The ClientHello is copied out with MSG_PEEK once it is there whole: one system call more for a
 * connection. Reading it and handing the bytes on would save that call, but then every reader behind
 * it (OpenSSL's BIO, the pipe to an upstream) would have to begin with bytes that are not in the
 * socket.
 */
#include "gateway/preface.h"

#include <assert.h>

#include <ev.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/peek.h"
#include "base/proxy_take.h"
#include "gateway/client_hello.h"
#include "gateway/tls_hello.h"

/* When the kernel calls a socket readable that has not what was waited for (base/peek.h). */
enum { PREFACE_PAUSE_MS = 20 };

struct preface {
    struct preface_params params;
    const struct preface_events *events; /* borrowed: static */
    void *arg;
    struct preface_facts facts;
    bool awaits_proxy;
    uint64_t deadline_ms;
    size_t seen; /* bytes at the last look at the ClientHello */
    ev_io readable;
    ev_timer timer; /* the deadline, or the end of a pause before it */
};

static _Thread_local char hello_bytes[CLIENT_HELLO_RAW_MAX_BYTES];

static struct ev_loop *loop_of(const struct preface *p)
{
    return worker_loop(p->params.worker);
}

static void arm(struct preface *p, uint64_t ms)
{
    ev_timer_stop(loop_of(p), &p->timer);
    ev_timer_set(&p->timer, (double)ms / 1000.0, 0.0);
    ev_timer_start(loop_of(p), &p->timer);
}

static void set_deadline(struct preface *p, uint64_t ms)
{
    p->deadline_ms = clock_mono_ms() + ms;
    arm(p, ms);
}

static void stop(struct preface *p)
{
    ev_io_stop(loop_of(p), &p->readable);
    ev_timer_stop(loop_of(p), &p->timer);
}

/* The two ends; touch nothing after them. */
static void succeed(struct preface *p)
{
    stop(p);
    p->events->on_read(p->arg, &p->facts);
}

static void fail(struct preface *p, enum close_reason why, const char *text)
{
    stop(p);
    p->events->on_failed(p->arg, why, text);
}

/* ---- the ClientHello ---------------------------------------------------------------------------- */

static void read_message(struct preface *p, struct str message)
{
    struct client_hello hello;

    if (client_hello_parse(message, &hello) == -1)
        return;
    if (hello.server_name.p == NULL ||
        tls_hello_server_name((const uint8_t *)hello.server_name.p, hello.server_name.n,
                              p->facts.server_name) == -1)
        p->facts.server_name[0] = '\0';
    ja4_format(&hello, p->facts.ja4);
}

/* More is needed. Told again without more bytes, it waits for time to pass instead. */
static void await_rest(struct preface *p, size_t n, size_t wanted)
{
    if (peek_await(p->params.fd, wanted) == PEEK_ENDED) {
        fail(p, CLOSE_RESET, "the connection ended in its ClientHello");
        return;
    }
    if (n == p->seen) {
        ev_io_stop(loop_of(p), &p->readable);
        arm(p, PREFACE_PAUSE_MS);
    }
    p->seen = n;
}

static void look_for_hello(struct preface *p)
{
    struct str message;
    size_t wanted;
    size_t n;

    switch (peek_read(p->params.fd, hello_bytes, sizeof(hello_bytes), &n)) {
    case PEEK_MORE:
        return;
    case PEEK_ENDED:
        fail(p, CLOSE_RESET, "the connection ended without a ClientHello");
        return;
    case PEEK_OK:
        break;
    }
    switch (client_hello_find(hello_bytes, n, &message, &wanted)) {
    case CLIENT_HELLO_CUT:
        await_rest(p, n, wanted);
        return;
    case CLIENT_HELLO_TOO_LARGE:
        fail(p, CLOSE_LIMIT, "the ClientHello is too large");
        return;
    case CLIENT_HELLO_WHOLE:
        read_message(p, message);
        break;
    case CLIENT_HELLO_NONE:
        break;
    }
    if (p->seen > 0)
        peek_end(p->params.fd);
    succeed(p);
}

/* ---- the PROXY header --------------------------------------------------------------------------- */

static void look_for_proxy(struct preface *p)
{
    struct err e;

    switch (proxy_take(p->params.fd, &p->facts.proxy, &e)) {
    case PROXY_TAKE_MORE:
        return;
    case PROXY_TAKE_FAILED:
        fail(p, CLOSE_PROTOCOL, e.msg);
        return;
    case PROXY_TAKE_DONE:
        break;
    }
    p->awaits_proxy = false;
    if (!p->params.wants_hello) {
        succeed(p);
        return;
    }
    set_deadline(p, p->params.hello_timeout_ms);
    look_for_hello(p); /* it mostly came in the same segment */
}

/* ---- life --------------------------------------------------------------------------------------- */

static void on_readable(struct ev_loop *loop, ev_io *watcher, int revents)
{
    struct preface *p = watcher->data;

    (void)loop;
    (void)revents;
    if (p->awaits_proxy)
        look_for_proxy(p);
    else
        look_for_hello(p);
}

static void on_timer(struct ev_loop *loop, ev_timer *watcher, int revents)
{
    struct preface *p = watcher->data;
    uint64_t now = clock_mono_ms();

    (void)revents;
    if (ev_is_active(&p->readable) || now >= p->deadline_ms) {
        fail(p, CLOSE_TIMEOUT,
             p->awaits_proxy ? "no PROXY header in time" : "no ClientHello in time");
        return;
    }
    arm(p, p->deadline_ms - now);
    ev_io_start(loop, &p->readable);
}

struct preface *preface_new(const struct preface_params *params,
                            const struct preface_events *events, void *arg)
{
    struct preface *p = mem_zalloc(sizeof(*p));

    assert(params->wants_proxy || params->wants_hello);
    p->params = *params;
    p->events = events;
    p->arg = arg;
    p->facts.proxy.local = true;
    p->awaits_proxy = params->wants_proxy;
    ev_init(&p->timer, on_timer);
    p->timer.data = p;
    ev_io_init(&p->readable, on_readable, params->fd, EV_READ);
    p->readable.data = p;
    set_deadline(p, params->wants_proxy ? params->proxy_timeout_ms : params->hello_timeout_ms);
    ev_io_start(loop_of(p), &p->readable);
    return p;
}

void preface_free(struct preface *p)
{
    if (p == NULL)
        return;
    stop(p);
    mem_free(p);
}

bool preface_awaits_proxy(const struct preface *p)
{
    return p->awaits_proxy;
}
