/*
 * stream: a full-duplex byte stream with back-pressure, owned by one worker.
 * Kinds: an SSH channel (sshd/chan.c), a socket with or without TLS (gateway/sock.c), and a relay
 * to another worker's stream (gateway/relay.c). Whoever uses a stream never asks which kind it got.
 *
 * Owner:  whoever made or dialled it, from then until stream_close(), which ends it in any state and
 *         frees it. After stream_close() no event comes and the pointer is dead.
 * Events: never come before the call that caused them has returned. A dialled stream first gets
 *         on_open, or on_closed when it was refused; a stream that was handed over open starts with
 *         data. on_closed is the last event; the owner then still calls stream_close().
 * Data:   on_data returns how many bytes it took. What it leaves stays queued, nothing more is
 *         delivered until stream_resume(), and that is the back-pressure: the kind behind stops
 *         reading, so a peer can make it hold a bounded number of bytes only.
 * Thread: that of the worker that owns it.
 */
#ifndef TUNNEL_STREAM_H
#define TUNNEL_STREAM_H

#include <stddef.h>

#include "base/str.h"
#include "tunnel/close.h"

struct stream;

struct stream_events {
    /* A dialled stream is open. May be NULL where streams are open from the start. */
    void (*on_open)(void *arg);
    /* Bytes came; returns how many were taken, at most data.n. */
    size_t (*on_data)(void *arg, struct str data);
    /* A write that took less than it was offered may be tried again. */
    void (*on_writable)(void *arg);
    /* The peer sends no more; everything before it was delivered. Writing still works. */
    void (*on_eof)(void *arg);
    /* The stream is over in both directions, or was refused before it opened. */
    void (*on_closed)(void *arg, enum close_reason why);
};

struct stream_ops {
    const char *name;
    size_t (*write)(struct stream *s, const char *p, size_t n);
    void (*end)(struct stream *s);
    void (*resume)(struct stream *s);
    void (*close)(struct stream *s, enum close_reason why);
};

/* Embedded as the first member of each kind. */
struct stream {
    const struct stream_ops *ops;
    const struct stream_events *events; /* borrowed: static */
    void *arg;                          /* of the events */
};

/*
 * Offers n bytes; returns how many were taken. Fewer than n: the rest must be offered again after
 * on_writable. A stream that is over takes and drops everything; its on_closed is on the way.
 */
static inline size_t stream_write(struct stream *s, const char *p, size_t n)
{
    return s->ops->write(s, p, n);
}

/* Half-close: nothing more is written; the peer sees the end after all bytes taken so far. */
static inline void stream_end(struct stream *s)
{
    s->ops->end(s);
}

/* The receiver can take data again after an on_data that left some. */
static inline void stream_resume(struct stream *s)
{
    s->ops->resume(s);
}

/* Ends the stream and frees it. CLOSE_DONE lets bytes taken so far reach the peer; any other reason
 * may drop them. */
static inline void stream_close(struct stream *s, enum close_reason why)
{
    s->ops->close(s, why);
}

/* Directs the events to another receiver, which gets all that come from now on. */
static inline void stream_set_events(struct stream *s, const struct stream_events *events,
                                     void *arg)
{
    s->events = events;
    s->arg = arg;
}

#endif
