/*
 * chan: an SSH channel that carries bytes of a connection, as a stream (tunnel/stream.h): one that we
 * open to the upstream of a forward, or one that the client opens (direct.h). Not named "channel",
 * because libssh exports functions that are.
 * Two lives meet in it: the SSH channel, which belongs to libssh and ends with the session, and the
 * stream, which belongs to its user until stream_close(). A channel whose user left while it was
 * still opening is kept until the client has answered: libssh would forget it, and the client would
 * keep a connection to its service for ever.
 * Owns:   bytes received and not delivered.
 * Thread: its worker's.
 * Limits: CHAN_IN_BYTES here, and in libssh the window; a client that sends more than
 *         settings.max_channel_buffer beyond the window loses the session.
 */
#ifndef SSHD_CHAN_H
#define SSHD_CHAN_H

#include <stdbool.h>

#include <libssh/server.h>

#include "base/addr.h"
#include "sshd/forward.h"
#include "tunnel/close.h"
#include "tunnel/stream.h"

struct chan;
struct session;
struct sshd;

enum {
    CHAN_IN_BYTES = 64 * 1024,        /* received bytes are taken from libssh up to here */
    CHAN_PIECE_BYTES = 64 * 1024,     /* and delivered in pieces up to this */
    CHAN_LIBSSH_WINDOW = 1280 * 1000, /* what libssh announces by itself */
    CHAN_DELIVERIES_PER_SETTLE = 128, /* then other sessions get their turn */
};

/* Opens a channel for the visitor at `client`; as agent_ops.open(). */
struct stream *chan_open(struct session *s, const struct forward *f, const struct addr *client,
                         const struct stream_events *events, void *arg, enum close_reason *why);

/*
 * Accepts a channel that the client asks to open; on_open follows when it is settled, or on_closed.
 * In a libssh callback. NULL: the session is full, or libssh has failed.
 */
struct stream *chan_accept(struct session *s, ssh_message m, const struct stream_events *events,
                           void *arg);
/* True when the session has all the channels that it may have. */
bool chans_are_full(const struct session *s);

/* One step of session_settle(): answers to opens, then writers, then deliveries. */
void chans_settle(struct session *s);
/* True when a step was cut short by its budget. */
bool chans_have_work(const struct session *s);
/* Gives up on opens that took too long, and plans the next look. */
void chans_check_opening(struct session *s);
/* The session ends: takes all channels away from libssh, and leaves their owners to be told. */
void chans_detach(struct session *s);
/* Tells them. */
void chans_tell_orphans(struct sshd *front);
/* The front goes as well: they are not told, and just close their streams some time. */
void chans_forget_orphans(struct sshd *front);

#endif
