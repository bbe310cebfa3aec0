/*
 * Why the open's outcome is asked for and not told: libssh has no callback for it. Whether a channel
 * opened is cheap to ask. Whether it was refused is known only by trying to open it again, which
 * costs a poll(), so that is done only when libssh's error text has changed.
 */
#include "sshd/chan.h"

#include <assert.h>
#include <string.h>

#include <utlist.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/worker.h"
#include "sshd/chan_int.h"
#include "sshd/refusal.h"
#include "sshd/session_int.h"
#include "sshd/sshd_int.h"

struct chan *chan_of(struct stream *st)
{
    /* The stream is the first member. */
    struct chan *c = (struct chan *)(void *)st;

    assert(c->magic == CHAN_MAGIC);
    return c;
}

void chan_mark_dirty(struct chan *c)
{
    struct session *s = c->session;

    if (c->dirty || s == NULL)
        return;
    c->dirty = true;
    DL_APPEND2(s->dirty, c, dirty_prev, dirty_next);
    session_wake(s);
}

void chan_over(struct chan *c, enum close_reason why)
{
    if (c->over)
        return;
    c->over = true;
    c->why = why;
    chan_mark_dirty(c);
}

/* ---- what libssh tells: recorded only ---------------------------------------------------- */

static void on_eof(ssh_session ssh, ssh_channel ch, void *arg)
{
    struct chan *c = arg;

    (void)ssh;
    (void)ch;
    assert(c->magic == CHAN_MAGIC);
    c->peer_eof = true;
    chan_mark_dirty(c);
}

static void on_close(ssh_session ssh, ssh_channel ch, void *arg)
{
    struct chan *c = arg;

    (void)ssh;
    (void)ch;
    assert(c->magic == CHAN_MAGIC);
    c->peer_closed = true;
    chan_over(c, c->peer_eof ? CLOSE_DONE : CLOSE_RESET);
}

/* ---- life -------------------------------------------------------------------------------- */

static void chan_forget_lists(struct chan *c)
{
    struct session *s = c->session;

    if (s == NULL) {
        /* An orphan stands on the list of the front until it is told. */
        if (c->prev != NULL)
            DL_DELETE(c->front->orphans, c);
        c->prev = NULL;
        return;
    }
    chan_wait_for(c, WAIT_NOT);
    if (c->dirty)
        DL_DELETE2(s->dirty, c, dirty_prev, dirty_next);
    c->dirty = false;
    if (c->state == CHAN_OPENING) {
        DL_DELETE2(s->opening, c, opening_prev, opening_next);
    }
    chan_uncount(c);
    DL_DELETE(s->channels, c);
    s->channel_count--;
}

static void chan_free(struct chan *c)
{
    buf_fini(&c->in);
    c->magic = 0;
    mem_free(c);
}

void chan_hold(struct chan *c)
{
    assert(!c->busy);
    c->busy = true;
}

void chan_release(struct chan *c)
{
    c->busy = false;
    if (c->user == USER_LEFT && c->state == CHAN_GONE)
        chan_free(c);
}

/* The SSH side is over and done with; nothing of the session points at the channel any more. */
static void chan_gone(struct chan *c)
{
    chan_forget_lists(c);
    c->state = CHAN_GONE;
    c->ssh = NULL;
    c->session = NULL;
    c->prev = NULL;
}

/* Closes the SSH side of an open channel. */
static void chan_shut(struct chan *c)
{
    struct session *s = c->session;
    ssh_channel ssh = c->ssh;
    bool peer_closed = c->peer_closed;
    size_t held = c->held;

    chan_gone(c);
    session_shut_channel(s, ssh, &c->cb, peer_closed, held);
}

static void stream_close_chan(struct stream *st, enum close_reason why)
{
    struct chan *c = chan_of(st);
    struct session *s = c->session;

    (void)why; /* nothing is kept back here: what was taken is with libssh already */
    assert(c->user != USER_LEFT);
    c->user = USER_LEFT;
    if (c->state == CHAN_OPENING)
        return; /* until the client has answered */
    if (c->state == CHAN_OPEN)
        chan_shut(c);
    else
        chan_gone(c);
    if (s != NULL)
        session_wake(s);
    if (!c->busy)
        chan_free(c);
}

static void stream_resume_chan(struct stream *st)
{
    struct chan *c = chan_of(st);

    c->resumed = true;
    c->paused = false;
    chan_mark_dirty(c);
}

static const struct stream_ops chan_ops = {
    .name = "ssh",
    .write = chan_write,
    .end = chan_end,
    .resume = stream_resume_chan,
    .close = stream_close_chan,
};

static struct chan *chan_new(struct session *s, uint32_t local_max)
{
    const struct sshd_settings *settings = &s->front->settings;
    struct chan *c = mem_zalloc(sizeof(*c));

    c->magic = CHAN_MAGIC;
    c->stream.ops = &chan_ops;
    c->front = s->front;
    c->session = s;
    c->local_max = local_max;
    c->window = (size_t)settings->channel_window;
    c->held_max = c->window > CHAN_LIBSSH_WINDOW ? c->window : CHAN_LIBSSH_WINDOW;
    c->held_max += (size_t)settings->max_channel_buffer;
    buf_init(&c->in, c->held_max + c->window + CHAN_IN_BYTES);
    c->cb.userdata = c;
    c->cb.channel_data_function = chan_on_data;
    c->cb.channel_eof_function = on_eof;
    c->cb.channel_close_function = on_close;
    ssh_callbacks_init(&c->cb);
    return c;
}

/* Enters the lists as one that is opening, with its libssh channel. */
static void chan_enter(struct chan *c, const struct stream_events *events, void *arg)
{
    struct session *s = c->session;

    stream_set_events(&c->stream, events, arg);
    DL_APPEND(s->channels, c);
    s->channel_count++;
    DL_APPEND2(s->opening, c, opening_prev, opening_next);
    session_count_channel(s, 1);
    (void)ssh_set_channel_callbacks(c->ssh, &c->cb);
    session_wake(s);
}

bool chans_are_full(const struct session *s)
{
    return s->channel_count + s->closing_count >= s->front->settings.max_channels;
}

struct stream *chan_open(struct session *s, const struct forward *f, const struct addr *client,
                         const struct stream_events *events, void *arg, enum close_reason *why)
{
    struct chan *c;
    char ip[ADDR_IP_TEXT_BYTES];

    if (chans_are_full(s)) {
        *why = CLOSE_BUSY;
        return NULL;
    }
    c = chan_new(s, SESSION_UPSTREAM_MAX_PACKET);
    c->ssh = ssh_channel_new(s->ssh);
    if (c->ssh == NULL) {
        chan_free(c);
        *why = CLOSE_SESSION_LOST;
        return NULL;
    }
    c->deadline_ms = clock_mono_ms() + s->front->settings.channel_open_timeout_ms;
    chan_enter(c, events, arg);
    /*
     * The client finds its forward by exactly the bytes of its request. An error here is a refusal
     * that came during the call, or the end of the session; settling finds out.
     */
    (void)ssh_channel_open_reverse_forward(c->ssh, f->host, (int)f->port,
                                           addr_format_ip(client, ip), client->port);
    chans_check_opening(s);
    return &c->stream;
}

struct stream *chan_accept(struct session *s, ssh_message m, const struct stream_events *events,
                           void *arg)
{
    struct chan *c;

    if (chans_are_full(s))
        return NULL;
    c = chan_new(s, SESSION_CLIENT_MAX_PACKET);
    c->ssh = ssh_message_channel_request_open_reply_accept(m);
    if (c->ssh == NULL) {
        chan_free(c);
        return NULL;
    }
    /* It is open already, but what that entails polls, so it waits for settling. */
    chan_enter(c, events, arg);
    return &c->stream;
}

/* ---- answers to opens --------------------------------------------------------------------- */

static void chan_leave_opening(struct chan *c)
{
    struct session *s = c->session;

    DL_DELETE2(s->opening, c, opening_prev, opening_next);
}

static void chan_opened(struct chan *c)
{
    struct session *s = c->session;

    chan_leave_opening(c);
    c->state = CHAN_OPEN;
    if (!session_check_packet_size(s, c->ssh, c->local_max))
        return;
    /* Also before a close: it keeps libssh from adjusting the window after our CLOSE. */
    if (!c->peer_closed)
        chan_widen(c);
    if (c->user == USER_LEFT) {
        chan_shut(c);
        chan_free(c);
        return;
    }
    if (c->wants_end)
        chan_end(&c->stream);
    chan_mark_dirty(c);
}

static void chan_refused(struct chan *c, enum close_reason why)
{
    struct session *s = c->session;
    ssh_channel ssh = c->ssh;

    chan_leave_opening(c);
    c->state = CHAN_GONE;
    c->ssh = NULL;
    (void)ssh_remove_channel_callbacks(ssh, &c->cb);
    ssh_channel_free(ssh);
    session_count_channel(s, -1);
    if (c->user != USER_LEFT) {
        chan_over(c, why);
        return;
    }
    chan_gone(c);
    chan_free(c);
}

bool chan_is_confirmed(const struct chan *c)
{
    return ssh_channel_is_open(c->ssh) ||
           (c->peer_closed && session_has_packet_size(c->ssh, c->local_max));
}

/* True, with the reason in *why, when libssh tells of a refusal that was not seen yet. */
static bool find_refusal(struct session *s, enum close_reason *why)
{
    const char *text;
    struct refusal r;

    if (s->opening == NULL || ssh_get_error_code(s->ssh) != SSH_REQUEST_DENIED)
        return false;
    text = ssh_get_error(s->ssh);
    if (s->denied_text != NULL && strcmp(text, s->denied_text) == 0)
        return false;
    mem_free(s->denied_text);
    s->denied_text = mem_strdup(text);
    /* A keepalive that the client refuses leaves the same code: then nothing is found below. */
    *why = refusal_parse(str_from(text), &r) ? refusal_reason(r.code) : CLOSE_REFUSED;
    return true;
}

static void check_answers(struct session *s)
{
    struct chan *c;
    struct chan *next;
    enum close_reason why = CLOSE_REFUSED;
    bool refusals = find_refusal(s, &why);

    DL_FOREACH_SAFE2(s->opening, c, next, opening_next)
    {
        if (chan_is_confirmed(c))
            chan_opened(c);
        /* A second call does not send again, so the addresses do not matter. */
        else if (refusals && ssh_channel_open_reverse_forward(c->ssh, "", 0, "", 0) == SSH_ERROR)
            chan_refused(c, why);
    }
    if (s->opening == NULL)
        ev_timer_stop(worker_loop(s->front->worker), &s->opening_timer);
}

void chans_check_opening(struct session *s)
{
    struct ev_loop *loop = worker_loop(s->front->worker);
    uint64_t now = clock_mono_ms();
    struct chan *c;

    ev_timer_stop(loop, &s->opening_timer);
    DL_FOREACH2(s->opening, c, opening_next)
    {
        if (c->deadline_ms == 0)
            continue;
        if (c->deadline_ms > now) {
            /* The list is in the order of the deadlines. */
            ev_timer_set(&s->opening_timer, (double)(c->deadline_ms - now) / 1000.0 + 0.001, 0.0);
            ev_timer_start(loop, &s->opening_timer);
            return;
        }
        c->deadline_ms = 0;
        chan_over(c, CLOSE_OPEN_TIMEOUT);
    }
}

/* ---- settling ------------------------------------------------------------------------------ */

/* A client may fill many channels at once: the one that holds most goes first, also when it is
 * complete and its receiver is slow. */
static void drop_fullest(struct session *s)
{
    struct chan *c;
    struct chan *fullest = NULL;

    DL_FOREACH(s->channels, c)
    {
        if (c->state == CHAN_OPEN && !chan_is_dropped(c) &&
            (fullest == NULL || c->counted > fullest->counted))
            fullest = c;
    }
    if (fullest == NULL)
        return;
    buf_clear(&fullest->in);
    fullest->over = true;
    fullest->why = CLOSE_LIMIT;
    chan_mark_dirty(fullest);
}

static void deliver_dirty(struct session *s)
{
    for (unsigned i = 0; i < CHAN_DELIVERIES_PER_SETTLE && s->dirty != NULL; i++) {
        struct chan *c = s->dirty;

        DL_DELETE2(s->dirty, c, dirty_prev, dirty_next);
        c->dirty = false;
        chan_deliver(c);
    }
}

void chans_settle(struct session *s)
{
    check_answers(s);
    chans_run_writers(s);
    deliver_dirty(s);
    if (s->unread > SESSION_UNREAD_MAX_BYTES)
        drop_fullest(s);
}

bool chans_have_work(const struct session *s)
{
    return s->dirty != NULL || (s->turns != NULL && flow_can_write(&s->flow));
}

void chans_detach(struct session *s)
{
    while (s->channels != NULL) {
        struct chan *c = s->channels;
        struct sshd *front = s->front;

        if (c->ssh != NULL)
            (void)ssh_remove_channel_callbacks(c->ssh, &c->cb);
        chan_gone(c);
        if (c->user == USER_LEFT) {
            chan_free(c);
            continue;
        }
        if (!c->over) {
            c->over = true;
            c->why = CLOSE_SESSION_LOST;
        }
        if (c->user != USER_TOLD)
            DL_APPEND(front->orphans, c);
    }
}

void chans_forget_orphans(struct sshd *front)
{
    while (front->orphans != NULL) {
        struct chan *c = front->orphans;

        DL_DELETE(front->orphans, c);
        c->prev = NULL;
    }
}

void chans_tell_orphans(struct sshd *front)
{
    while (front->orphans != NULL) {
        struct chan *c = front->orphans;

        DL_DELETE(front->orphans, c);
        c->prev = NULL;
        chan_deliver(c);
    }
}
