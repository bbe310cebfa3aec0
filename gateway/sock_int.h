/*
 * sock_int: what the life of a sock (sock.c), its reading (sock_read.c) and its writing (sock_write.c) know
 * of each other. For sock*.c only.
 * Thread: that of its worker.
 */
#ifndef GATEWAY_SOCK_INT_H
#define GATEWAY_SOCK_INT_H

#include <ev.h>

#include "base/buf.h"
#include "gateway/sock.h"

/* The life of a sock; each direction of an open one has its own state below. */
enum sock_state {
    SOCK_HANDSHAKE,
    SOCK_OPEN,
    SOCK_OVER,   /* on_closed was told; the owner has to close */
    SOCK_CLOSED, /* by the owner; freed as soon as no event is on the stack */
};

enum sock_rx {
    RX_READING,
    RX_WAITS,  /* the owner wants nothing yet */
    RX_PAUSED, /* the receiver left data */
    RX_HELD,   /* TLS must write before it can read on */
    RX_ENDED,  /* on_eof was told */
};

enum sock_tx {
    TX_OPEN,
    TX_HELD,      /* all was taken, TLS holds some of it; nobody waits for on_writable */
    TX_BLOCKED,   /* the owner waits for on_writable */
    TX_WAIT_READ, /* as TX_BLOCKED, but it is a read that TLS needs */
    TX_ENDING,    /* ended by the owner, but TLS still holds bytes or shakes hands */
    TX_ENDED,
    TX_FAILED,
};

/* How reading has ended, as long as the receiver was not told. */
enum sock_end { END_NONE, END_EOF, END_FAILED };

/* The event that is on the stack; the loop never nests two. */
enum sock_event { EVENT_NONE, EVENT_DATA, EVENT_OTHER };

struct sock {
    struct stream stream;    /* first: a stream is cast to its sock */
    struct worker *worker;   /* borrowed: outlives us; NULL between detach and attach */
    struct tls_session *tls; /* owned; NULL for a plain socket */
    sock_secure_fn *on_secure;
    void *secure_arg;
    int fd;
    enum sock_state state;
    enum sock_rx rx;
    enum sock_tx tx;
    enum sock_end end;
    enum close_reason why; /* with END_FAILED or TX_FAILED */
    enum sock_event event;
    bool is_opening; /* on_open is still to be told */
    struct buf left; /* what the receiver left */
    ev_io readable;
    ev_io writable;
    ev_idle again;
};

/* ---- sock.c ---- */

struct sock *sock_from(struct stream *s);
struct ev_loop *sock_loop(const struct sock *s);
void sock_set_state(struct sock *s, enum sock_state next);
/* Stops all watchers. */
void sock_stop(struct sock *s);
/* `again` looks in the next turn for what is left to do. */
void sock_again(struct sock *s);
/* Why the socket failed, or TLS did; `other`: for what has no reason of its own. */
enum close_reason sock_reason(int errnum, enum close_reason other);
enum close_reason sock_tls_reason(const struct sock *s, enum close_reason other);

/*
 * Events. Each returns false when the owner has closed the sock meanwhile; it is freed then, and
 * the caller must not touch it.
 */
bool sock_tell_data(struct sock *s, struct str data, size_t *taken);
bool sock_tell_writable(struct sock *s);
bool sock_tell_eof(struct sock *s);
bool sock_tell_secure(struct sock *s);
/* The last event; touch nothing after it. */
void sock_tell_closed(struct sock *s, enum close_reason why);

/* ---- sock_read.c ---- */

/* Reads and tells what comes. Touch nothing after it. */
void sock_read(struct sock *s);
/* Gives what was left before once more. False: s is gone. */
bool sock_deliver_left(struct sock *s);
/* Tells how reading ended, when all data was taken. Touch nothing after it. */
void sock_tell_end(struct sock *s);
/* Stops reading. */
void sock_pause(struct sock *s, enum sock_rx why);

/* ---- sock_write.c ---- */

/* The stream's own. */
size_t sock_write(struct stream *stream, const char *p, size_t n);
void sock_end_stream(struct stream *stream);
/* The socket takes bytes again and TLS holds none. Touch nothing after it. */
void sock_flushed(struct sock *s);
/*
 * Writing failed inside a call of the owner. The peer may have said something before it went, such
 * as an early answer, so reading goes on to its end, unless the receiver does not want to read.
 */
void sock_write_failed(struct sock *s, enum close_reason why);
/* Everything was given to the socket; tells the peer that no more comes. */
void sock_shut(struct sock *s);

#endif
