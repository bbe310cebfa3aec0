/*
 * chan_int: the inside of a channel, for chan.c (its life), chan_in.c (bytes from the
 * client) and chan_out.c (bytes to it).
 */
#ifndef SSHD_CHAN_INT_H
#define SSHD_CHAN_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libssh/callbacks.h>
#include <libssh/libssh.h>

#include "base/buf.h"
#include "sshd/chan.h"
#include "tunnel/stream.h"

enum { CHAN_MAGIC = 0x4368616e };

/* The SSH side. */
enum chan_state {
    CHAN_OPENING,
    CHAN_OPEN,
    CHAN_GONE, /* refused, closed by us, or the session ended */
};

/* The side of the stream's user. */
enum chan_user {
    USER_WAITS,  /* for on_open or on_closed */
    USER_ACTIVE, /* on_open was called */
    USER_TOLD,   /* on_closed was called */
    USER_LEFT,   /* stream_close() was called */
};

/* Why a writer waits, which is also the list it is on. */
enum chan_wait { WAIT_NOT, WAIT_TURN, WAIT_WINDOW };

struct chan {
    struct stream stream; /* first: what the user holds */
    unsigned magic;
    struct sshd *front;      /* borrowed */
    struct session *session; /* borrowed; NULL once it ended */
    ssh_channel ssh;         /* owned; NULL once gone */
    struct ssh_channel_callbacks_struct cb;
    enum chan_state state;
    enum chan_user user;
    uint32_t local_max; /* libssh's own limit on packets, by who opened it */

    bool over; /* `why` is set: on_closed comes after what was received */
    enum close_reason why;
    uint64_t deadline_ms; /* of the open; 0: none any more */

    size_t window;   /* announced to the client */
    size_t held_max; /* what a client that keeps to the window can make libssh hold */
    struct buf in;   /* received, not delivered */
    size_t held;     /* unread bytes that libssh has of it */
    size_t counted;  /* in and held, as the session's sum has it */
    uint64_t taken;  /* delivered since the window was last widened */
    bool locked;     /* `in` is in use: the data callback takes nothing */
    bool paused;     /* the receiver left some */
    bool peer_eof;   /* the client sends no more */
    bool told_eof;
    bool peer_closed; /* its CLOSE came */

    bool busy;        /* an event is being delivered: free later */
    bool has_turn;    /* on_writable is being delivered */
    bool resumed;     /* stream_resume() came during on_data */
    bool ended;       /* our EOF was sent */
    bool wants_end;   /* stream_end() came before the channel was open */
    bool wants_write; /* a write took less than it was offered */
    enum chan_wait wait;
    bool dirty; /* on the list of the session */

    struct chan *prev, *next; /* all of the session; orphans of the front */
    struct chan *opening_prev, *opening_next;
    struct chan *wait_prev, *wait_next;
    struct chan *dirty_prev, *dirty_next;
};

struct chan *chan_of(struct stream *st);
/* Queues it for delivery. Allowed in libssh callbacks. */
void chan_mark_dirty(struct chan *c);
/* The client accepted the open, and may have closed the channel since. */
bool chan_is_confirmed(const struct chan *c);
/* Notes the end; the user is told once what was received is delivered. */
void chan_over(struct chan *c, enum close_reason why);

/* Between the two the channel is not freed, whatever its user does. */
void chan_hold(struct chan *c);
void chan_release(struct chan *c);

/* chan_in.c */
int chan_on_data(ssh_session ssh, ssh_channel ch, void *data, uint32_t n, int is_stderr, void *arg);
/* Delivers what can be delivered, the end last. The channel may be freed by it. */
void chan_deliver(struct chan *c);
/* Its bytes were thrown away: nothing of them may follow. */
bool chan_is_dropped(const struct chan *c);
/* Announces the whole window at once. */
void chan_widen(struct chan *c);
/* Forgets the unread bytes in the session's sum. */
void chan_uncount(struct chan *c);

/* chan_out.c */
size_t chan_write(struct stream *st, const char *p, size_t n);
void chan_end(struct stream *st);
void chan_wait_for(struct chan *c, enum chan_wait wait);
/* Lets writers go on whose window grew, then those that waited for their turn. */
void chans_run_writers(struct session *s);

#endif
