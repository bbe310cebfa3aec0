/*
 * conn_http2_int: a connection that speaks HTTP/2 and its streams, for conn_http2*.c only.
 * An h2_stream lives from its HEADERS frame until nghttp2 has closed it and its exchange is over;
 * whichever comes first ends the other, but for a tunnel that both sides have ended: what came last is
 * still passed on. nghttp2 closes streams only while it reads or writes, which
 * is never inside a call of an exchange.
 * Thread: that of the connection.
 */
#ifndef GATEWAY_CONN_HTTP2_INT_H
#define GATEWAY_CONN_HTTP2_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nghttp2/nghttp2.h>

#include "base/buf.h"
#include "gateway/conn_int.h"
#include "gateway/http2_budget.h"
#include "gateway/http2_frames.h"
#include "gateway/http2_request.h"
#include "gateway/outbuf.h"

/* What ends a connection with ENHANCE_YOUR_CALM; rows of `abuses` in conn_http2_abuse.c. */
enum http2_abuse {
    HTTP2_ABUSE_NONE,
    HTTP2_ABUSE_RESETS,
    HTTP2_ABUSE_FRAMES,
    HTTP2_ABUSE_CONTINUATIONS,
    HTTP2_ABUSE_ACKS,
    HTTP2_ABUSE_HEAD_BOMB,
    HTTP2_ABUSE_SLOW_HEAD,
    HTTP2_ABUSE_STALL,
};

/* Where the request of a stream stands. */
enum h2_request {
    H2_REQUEST_HEAD,  /* its header list is coming */
    H2_REQUEST_BODY,  /* its body is */
    H2_REQUEST_ENDED, /* END_STREAM came; the exchange was not told yet */
    H2_REQUEST_TOLD,
};

/* Where its response stands. */
enum h2_response {
    H2_RESPONSE_NONE,   /* no final head yet */
    H2_RESPONSE_BODY,   /* the body is passing */
    H2_RESPONSE_TUNNEL, /* as BODY, but both directions are raw bytes */
    H2_RESPONSE_ENDED,  /* nothing comes behind what is held */
    H2_RESPONSE_CUT,    /* as ENDED, but then the stream is reset */
};

/* Why a stream is on the list of those that are due. */
enum {
    H2_DUE_FED = 1,     /* its exchange got some of the request */
    H2_DUE_RESUMED = 2, /* its exchange takes more of the request */
    H2_DUE_TAKEN = 4,   /* some of its response went out */
    H2_DUE_OVER = 8,    /* its exchange is over, and nghttp2 has closed it */
};

struct http2_conn;

struct h2_stream {
    struct downstream down;  /* first: what the exchange holds */
    struct http2_conn *conn; /* borrowed: outlives us */
    struct h2_stream *prev;  /* of the connection's streams */
    struct h2_stream *next;
    struct h2_stream *due_prev; /* of those that are due */
    struct h2_stream *due_next;
    unsigned due; /* H2_DUE_* bits; 0: on no list */
    int32_t id;
    struct exchange *exchange; /* owned while the head comes, borrowed while it runs; NULL after */

    enum h2_request request;
    struct http2_head head;       /* while it comes */
    struct http_headers trailers; /* in the arena of the exchange */
    size_t trailer_bytes;
    struct buf held;       /* request bytes that the exchange did not take yet */
    struct str accept_key; /* of a WebSocket: the key that was made up; in the arena */

    enum h2_response response;
    struct buf body;         /* response bytes that wait for the visitor's windows */
    bool waits;              /* the exchange was told that it is blocked */
    bool closed;             /* by nghttp2; the exchange still passes on what came */
    struct arena fields;     /* of the trailers, which outlive the exchange */
    nghttp2_nv *last_fields; /* in `fields`; NULL: no trailers */
    size_t last_count;
    uint64_t moved_ms;  /* when its response last went on */
    uint64_t linger_ms; /* since when it is answered, and the rest of its request is thrown away */
    size_t thrown_away;
};

enum http2_state {
    HTTP2_PREFACE,  /* the visitor's first SETTINGS are awaited */
    HTTP2_OPEN,     /* requests may come */
    HTTP2_DRAINING, /* the first GOAWAY is out: the visitor should go elsewhere */
    HTTP2_LEAVING,  /* the last GOAWAY is out: what is under way is finished */
    HTTP2_CLOSED,
};

struct http2_conn {
    struct conn *conn; /* borrowed: owns us */
    enum http2_state state;
    nghttp2_session *session; /* owned */
    struct http2_frames in;
    struct outbuf out;
    bool scheduled; /* http2_pump() runs at the end of the loop turn */
    struct h2_stream *streams;
    size_t stream_count;
    struct h2_stream *due;   /* those whose exchange is to hear something */
    size_t stream_window;    /* as announced */
    struct h2_stream *mover; /* whose request takes the connection along; NULL: it stays here */
    bool settled;            /* the first request has come, and with it the worker */

    int32_t last_id;    /* of the visitor's streams */
    int32_t skipped_id; /* the first that it left out; 0: none */
    uint64_t reset_ms;  /* when a stream was last reset from here; 0: none was */
    uint32_t error;     /* found inside nghttp2, which is to stop with it; NGHTTP2_NO_ERROR: none */

    struct http2_budget frames; /* that carry nothing */
    struct http2_budget resets;
    enum http2_abuse abuse; /* found inside nghttp2, which is to stop */

    /* Since when something is waited for; 0: it is not. */
    uint64_t preface_ms;
    uint64_t head_ms;    /* the rest of a header block */
    uint64_t idle_ms;    /* a request */
    uint64_t blocked_ms; /* the visitor to read */
    uint64_t leaving_ms; /* the answer to a GOAWAY */
    uint64_t timer_ms;   /* when the timer fires; 0: it is off */
};

/* ---- conn_http2.c -------------------------------------------------------------------------------- */

void http2_set_state(struct http2_conn *h, enum http2_state next);
/*
 * Holds back the request of s, whose head is whole, if it is the first and the connection is to go to
 * another worker with it; h2_stream_start() follows there. Nothing is read meanwhile.
 */
bool http2_try_move(struct http2_conn *h, struct h2_stream *s);
/* No further request is taken: the last GOAWAY. */
void http2_leave(struct http2_conn *h);
/* At the end of the loop turn, the exchanges that are due hear so and frames leave. */
void http2_schedule(struct http2_conn *h);
/* The timer fires `patience_ms` behind `since_ms` or earlier; 0 for either: it need not. */
void http2_wake_for(struct http2_conn *h, uint64_t since_ms, uint64_t patience_ms);
/* A stream is on the list; it was taken off. */
void http2_on_stream(struct http2_conn *h);
void http2_on_stream_gone(struct http2_conn *h);

/* ---- conn_http2_recv.c --------------------------------------------------------------------------- */

/* A frame begins that nghttp2 was not given yet; false: it is one that ends the connection. */
bool http2_on_frame_head(struct http2_conn *h, const struct http2_frame *frame);
/* The callbacks of nghttp2; those of writing are in conn_http2_stream.c. */
void http2_set_recv_callbacks(nghttp2_session_callbacks *callbacks);

/* ---- conn_http2_abuse.c -------------------------------------------------------------------------- */

/* Counts and logs it. */
void http2_note_abuse(struct http2_conn *h, enum http2_abuse abuse);
/* A frame begins; false: one too many that carry nothing. */
bool http2_afford_frame(struct http2_conn *h, const struct http2_frame *frame);
/* A stream was reset, by the visitor or for a mistake of it; false: one too many. */
bool http2_afford_reset(struct http2_conn *h);
/* DATA went out, to which the visitor may answer by frames that carry nothing. */
void http2_earn_frames(struct http2_conn *h, size_t bytes);

/* ---- conn_http2_stream.c ------------------------------------------------------------------------- */

void h2_stream_new(struct http2_conn *h, int32_t id);
/* nghttp2 has closed it, without an error or because of one. */
void h2_stream_on_close(struct h2_stream *s, uint32_t error);
/* Ends its exchange. */
void h2_stream_free(struct h2_stream *s, enum close_reason why);
/* Undoes what the visitor said of its priority: streams take turns. */
void h2_stream_take_turns(struct http2_conn *h, int32_t id);
/* The header list is whole; `ended`: so is the request. */
void h2_stream_on_head(struct h2_stream *s, bool ended);
/* Runs the request that http2_try_move() has held back. */
void h2_stream_start(struct h2_stream *s);
void h2_stream_on_data(struct h2_stream *s, struct str data);
void h2_stream_on_trailer(struct h2_stream *s, struct str name, struct str value);
/* END_STREAM came. */
void h2_stream_on_end(struct h2_stream *s);
/* Tells the exchange what is due, which may end anything. */
void h2_stream_attend(struct h2_stream *s);
void h2_stream_set_due(struct h2_stream *s, unsigned why);
/* The visitor is gone, or told to be. */
void h2_stream_lose(struct h2_stream *s, enum close_reason why);
/* True when its response is complete and held for a visitor who does not read it. */
bool h2_stream_is_stalled(const struct h2_stream *s, uint64_t now_ms);
/* An answered one has had its time to end its request. */
void h2_stream_end_linger(struct h2_stream *s);
void http2_set_send_callbacks(nghttp2_session_callbacks *callbacks);

#endif
