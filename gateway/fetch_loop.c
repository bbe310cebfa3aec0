#include "gateway/fetch_loop.h"

#include <assert.h>
#include <threads.h>

#include <ev.h>

#include "base/mem.h"

struct fetch_loop {
    struct worker *worker; /* borrowed: outlives us */
    fetch_loop_end_fn *end;
    CURLM *multi;   /* owned */
    ev_timer timer; /* of libcurl */
};

/* A socket of libcurl that is watched. */
struct fetch_socket {
    ev_io io;
    struct fetch_loop *loop; /* borrowed: outlives us */
};

static struct ev_loop *ev_of(const struct fetch_loop *l)
{
    return worker_loop(l->worker);
}

static void take_ends(struct fetch_loop *l)
{
    CURLMsg *m;
    int left;

    while ((m = curl_multi_info_read(l->multi, &left)) != NULL) {
        void *arg = NULL;

        if (m->msg != CURLMSG_DONE)
            continue;
        (void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&arg); /* it was set */
        l->end(arg, m->data.result); /* m is dead behind it */
    }
}

static void act(struct fetch_loop *l, curl_socket_t fd, int what)
{
    int running;

    (void)curl_multi_socket_action(l->multi, fd, what,
                                   &running); /* each transfer tells its own end */
    take_ends(l);
}

static void on_timer(struct ev_loop *loop, ev_timer *watcher, int revents)
{
    (void)loop;
    (void)revents;
    act(watcher->data, CURL_SOCKET_TIMEOUT, 0);
}

static void on_socket(struct ev_loop *loop, ev_io *watcher, int revents)
{
    struct fetch_socket *s = watcher->data;

    (void)loop;
    act(s->loop, watcher->fd,
        ((revents & EV_READ) != 0 ? CURL_CSELECT_IN : 0) |
            ((revents & EV_WRITE) != 0 ? CURL_CSELECT_OUT : 0));
}

static int on_set_timer(CURLM *multi, long ms, void *arg)
{
    struct fetch_loop *l = arg;
    double delay = 0.0;

    (void)multi;
    ev_timer_stop(ev_of(l), &l->timer);
    if (ms < 0)
        return 0;
    /* A timer that fires a little early is one that libcurl does not set again: the loop's clock may be
     * behind by as long as the turn has lasted. */
    if (ms > 0)
        delay = (double)(ms + 1) / 1000.0 + ev_time() - ev_now(ev_of(l));
    ev_timer_set(&l->timer, delay, 0.0);
    ev_timer_start(ev_of(l), &l->timer);
    return 0;
}

static int on_set_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    struct fetch_loop *l = arg;
    struct fetch_socket *s = socket_arg;
    int events =
        ((what & CURL_POLL_IN) != 0 ? EV_READ : 0) | ((what & CURL_POLL_OUT) != 0 ? EV_WRITE : 0);

    (void)easy;
    if (s != NULL)
        ev_io_stop(ev_of(l), &s->io);
    if (what == CURL_POLL_REMOVE) {
        mem_free(s);
        return 0;
    }
    if (s == NULL) {
        s = mem_zalloc(sizeof(*s));
        s->loop = l;
        (void)curl_multi_assign(l->multi, fd, s); /* fd is one of its sockets */
    }
    ev_io_init(&s->io, on_socket, fd, events);
    s->io.data = s;
    ev_io_start(ev_of(l), &s->io);
    return 0;
}

static void init_curl(void)
{
    CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);

    assert(code == CURLE_OK);
    (void)code;
}

struct fetch_loop *fetch_loop_new(struct worker *w, long kept_max, fetch_loop_end_fn *end)
{
    static once_flag once = ONCE_FLAG_INIT;
    struct fetch_loop *l = mem_zalloc(sizeof(*l));

    call_once(&once, init_curl);
    l->worker = w;
    l->end = end;
    l->multi = curl_multi_init();
    assert(l->multi != NULL); /* only memory can be missing */
    (void)curl_multi_setopt(l->multi, CURLMOPT_SOCKETFUNCTION, on_set_socket);
    (void)curl_multi_setopt(l->multi, CURLMOPT_SOCKETDATA, l);
    (void)curl_multi_setopt(l->multi, CURLMOPT_TIMERFUNCTION, on_set_timer);
    (void)curl_multi_setopt(l->multi, CURLMOPT_TIMERDATA, l);
    (void)curl_multi_setopt(l->multi, CURLMOPT_MAXCONNECTS, kept_max);
    ev_init(&l->timer, on_timer);
    l->timer.data = l;
    return l;
}

void fetch_loop_free(struct fetch_loop *l)
{
    if (l == NULL)
        return;
    (void)curl_multi_cleanup(l->multi); /* closes what is kept, and asks for sockets to be let go */
    ev_timer_stop(ev_of(l), &l->timer);
    mem_free(l);
}

bool fetch_loop_add(struct fetch_loop *l, CURL *easy, void *arg)
{
    (void)curl_easy_setopt(easy, CURLOPT_PRIVATE, arg); /* always succeeds */
    return curl_multi_add_handle(l->multi, easy) == CURLM_OK;
}

void fetch_loop_remove(struct fetch_loop *l, CURL *easy)
{
    (void)curl_multi_remove_handle(l->multi, easy); /* it was added */
}
