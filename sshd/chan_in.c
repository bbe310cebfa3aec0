/*
 * Bytes from the client. libssh's data callback copies them to the channel's own buffer as long as
 * that is small, and otherwise leaves them where they are, which closes the window. What libssh
 * holds is read whole or not at all: a partial read reopens the window, so a slow receiver would
 * make libssh gather up to 256 MiB and then lose bytes.
 */
#include "sshd/chan_int.h"

#include <assert.h>

#include <utlist.h>

#include "sshd/session_int.h"
#include "sshd/sshd_int.h"

/* Brings the session's sum of unread bytes up to date. */
static void chan_count(struct chan *c)
{
    size_t now = c->in.len + c->held;

    if (c->session != NULL)
        c->session->unread = c->session->unread - c->counted + now;
    c->counted = now;
}

void chan_uncount(struct chan *c)
{
    if (c->session != NULL)
        c->session->unread -= c->counted;
    c->counted = 0;
}

int chan_on_data(ssh_session ssh, ssh_channel ch, void *data, uint32_t n, int is_stderr, void *arg)
{
    struct chan *c = arg;
    struct err e;

    (void)ssh;
    (void)ch;
    assert(c->magic == CHAN_MAGIC);
    /* stderr has no meaning on a forwarded connection, nor have bytes after the end of data. */
    if (is_stderr || c->told_eof)
        return (int)n;
    if (n == 0)
        return 0;
    if (n > c->held_max) {
        (void)err_set(&e, E_LIMIT, "the client sends more than the channel's window allows");
        session_end(c->session, CLOSE_LIMIT, &e);
        return 0;
    }
    chan_mark_dirty(c);
    if (c->locked || n > CHAN_IN_BYTES || c->in.len > CHAN_IN_BYTES - n) {
        c->held = n;
        chan_count(c);
        return 0;
    }
    /* Bulk comes in packets of up to 32 KiB, several a turn: one allocation for all of them. */
    if (c->in.mem == NULL && n > SESSION_READ_BYTES)
        (void)buf_reserve(&c->in, CHAN_IN_BYTES);
    buf_add(&c->in, data, n);
    c->held = 0;
    chan_count(c);
    return (int)n;
}

/* Reads all that libssh holds. */
static void chan_pull(struct chan *c)
{
    int n;
    char *at;

    if (c->held == 0 || c->ssh == NULL)
        return;
    c->locked = true;
    n = ssh_channel_poll(c->ssh, 0); /* held > 0, so this looks at the buffer only */
    c->held = 0;
    at = n > 0 ? buf_reserve(&c->in, (size_t)n) : NULL;
    if (at != NULL) {
        n = ssh_channel_read_nonblocking(c->ssh, at, (uint32_t)n, 0);
        if (n > 0)
            buf_commit(&c->in, (size_t)n);
    }
    c->locked = false;
    chan_count(c);
}

void chan_widen(struct chan *c)
{
    size_t bytes;
    char *scratch = sshd_scratch(c->front, &bytes);
    int n;

    if (bytes > c->window)
        bytes = c->window;
    c->taken = 0;
    c->locked = true;
    /* Asking for that many bytes makes libssh announce a window for them. */
    n = ssh_channel_read_timeout(c->ssh, scratch, (uint32_t)bytes, 0, 0);
    c->locked = false;
    if (n <= 0)
        return;
    buf_add(&c->in, scratch, (size_t)n);
    c->held = (size_t)n == bytes; /* then there may be more, which a pull finds */
    chan_count(c);
    chan_mark_dirty(c);
}

static void maybe_widen(struct chan *c)
{
    if (c->state != CHAN_OPEN || c->peer_eof || c->peer_closed || c->paused || c->in.len > 0 ||
        c->held > 0 || c->taken < c->window / 4)
        return;
    chan_widen(c);
}

bool chan_is_dropped(const struct chan *c)
{
    return c->over && c->why == CLOSE_LIMIT;
}

static bool can_deliver(const struct chan *c)
{
    return c->user == USER_ACTIVE && !c->paused && !chan_is_dropped(c);
}

static void deliver_data(struct chan *c)
{
    while (can_deliver(c)) {
        struct str piece;
        size_t took;

        if (c->in.len == 0)
            chan_pull(c);
        if (c->in.len == 0)
            return;
        piece = str_slice(buf_str(&c->in), 0, CHAN_PIECE_BYTES);
        c->resumed = false;
        c->locked = true; /* the receiver may write, which may bring more bytes */
        took = c->stream.events->on_data(c->stream.arg, piece);
        c->locked = false;
        assert(took <= piece.n);
        buf_consume(&c->in, took);
        chan_count(c);
        c->taken += took;
        if (took == piece.n)
            continue;
        c->paused = !c->resumed;
        if (c->resumed) /* offered again, but not in this turn: that might never end */
            chan_mark_dirty(c);
        return;
    }
}

static bool is_drained(const struct chan *c)
{
    return c->in.len == 0 && c->held == 0;
}

static void deliver_open(struct chan *c)
{
    /* One that the client has closed already may hold a whole answer; one that we gave up does not
     * open any more. */
    if (c->user != USER_WAITS || c->state != CHAN_OPEN || (c->over && !c->peer_closed))
        return;
    c->user = USER_ACTIVE;
    if (c->stream.events->on_open != NULL)
        c->stream.events->on_open(c->stream.arg);
    if (c->wants_write && c->user == USER_ACTIVE && c->wait == WAIT_NOT && !c->ended)
        chan_wait_for(c, WAIT_TURN);
    c->wants_write = false;
}

static void deliver_eof(struct chan *c)
{
    if (!can_deliver(c) || c->told_eof || !c->peer_eof || !is_drained(c))
        return;
    c->told_eof = true;
    c->stream.events->on_eof(c->stream.arg);
}

static void deliver_end(struct chan *c)
{
    bool lost = c->state == CHAN_GONE || c->user == USER_WAITS || chan_is_dropped(c);

    if (c->user == USER_LEFT || c->user == USER_TOLD || !c->over || !(lost || is_drained(c)))
        return;
    if (c->state == CHAN_OPENING && chan_is_confirmed(c))
        return; /* that came in this very settling: it opens first, in the next round */
    /* Bytes that came and cannot be delivered any more: whatever the client said, no clean end. */
    if (c->state == CHAN_GONE && !is_drained(c))
        c->why = CLOSE_SESSION_LOST;
    c->user = USER_TOLD;
    c->stream.events->on_closed(c->stream.arg, c->why);
}

void chan_deliver(struct chan *c)
{
    chan_hold(c);
    deliver_open(c);
    deliver_data(c);
    deliver_eof(c);
    deliver_end(c);
    if (c->user == USER_ACTIVE)
        maybe_widen(c);
    chan_release(c);
}
