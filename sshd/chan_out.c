/*
 * Bytes to the client. Nothing is kept here: what window, output bound or a rekey do not allow
 * stays with the user of the stream. Writers that wait for room in the output take turns, so that
 * no channel starves; those that wait for a window are asked again after each pump, because libssh
 * does not tell when one grew.
 */
#include "sshd/chan_int.h"

#include <utlist.h>

#include "sshd/session_int.h"
#include "sshd/sshd_int.h"

void chan_wait_for(struct chan *c, enum chan_wait wait)
{
    struct session *s = c->session;

    if (s == NULL || c->wait == wait)
        return;
    switch (c->wait) {
    case WAIT_NOT:
        break;
    case WAIT_TURN:
        DL_DELETE2(s->turns, c, wait_prev, wait_next);
        break;
    case WAIT_WINDOW:
        DL_DELETE2(s->windowed, c, wait_prev, wait_next);
        break;
    }
    c->wait = wait;
    switch (wait) {
    case WAIT_NOT:
        break;
    case WAIT_TURN:
        DL_APPEND2(s->turns, c, wait_prev, wait_next);
        break;
    case WAIT_WINDOW:
        DL_APPEND2(s->windowed, c, wait_prev, wait_next);
        break;
    }
}

size_t chan_write(struct stream *st, const char *p, size_t n)
{
    struct chan *c = chan_of(st);
    struct session *s = c->session;
    enum write_stop stop;
    size_t took;

    if (c->state == CHAN_GONE || c->over || c->ended || s == NULL || s->ending)
        return n;
    if (c->state == CHAN_OPENING) {
        c->wants_write = true;
        return 0;
    }
    if (c->wait != WAIT_NOT)
        return 0;
    /* Others wait for their turn already: do not pass them. */
    if (s->turns != NULL && !c->has_turn) {
        chan_wait_for(c, WAIT_TURN);
        return 0;
    }
    took = session_write(s, c->ssh, SESSION_STDOUT, str_of(p, n), &stop);
    session_wake(s);
    switch (stop) {
    case WRITE_TOOK_ALL:
        return n;
    case WRITE_NEEDS_WINDOW:
        chan_wait_for(c, WAIT_WINDOW);
        break;
    case WRITE_NEEDS_OUTPUT:
        chan_wait_for(c, WAIT_TURN);
        break;
    }
    return took;
}

void chan_end(struct stream *st)
{
    struct chan *c = chan_of(st);

    if (c->state == CHAN_GONE || c->over || c->ended || c->session == NULL)
        return;
    if (c->state == CHAN_OPENING) {
        c->wants_end = true;
        return;
    }
    c->ended = true;
    chan_wait_for(c, WAIT_NOT);
    (void)ssh_channel_send_eof(c->ssh); /* SSH_AGAIN counts as done; errors show in the status */
    session_wake(c->session);
}

static void tell_writable(struct chan *c)
{
    chan_wait_for(c, WAIT_NOT);
    if (c->user != USER_ACTIVE || c->over)
        return;
    chan_hold(c);
    c->has_turn = true;
    c->stream.events->on_writable(c->stream.arg);
    c->has_turn = false;
    chan_release(c);
}

/* A window that is still closed sends its channel to the end of the list, so one round is enough. */
static void run_windowed(struct session *s)
{
    struct chan *c;
    struct chan *next;

    DL_FOREACH_SAFE2(s->windowed, c, next, wait_next)
    {
        if (c->peer_closed || ssh_channel_window_size(c->ssh) > 0)
            chan_wait_for(c, WAIT_TURN);
    }
}

void chans_run_writers(struct session *s)
{
    run_windowed(s);
    for (unsigned i = 0; i < CHAN_DELIVERIES_PER_SETTLE; i++) {
        struct chan *c = s->turns;

        if (c == NULL || !session_can_write(s))
            return;
        tell_writable(c);
    }
}
