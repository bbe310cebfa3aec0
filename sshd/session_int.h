/*
 * session_int: one SSH connection, as the modules of sshd see it.
 * libssh callbacks only record what happened; everything else is done by session_settle(), when no
 * libssh call is on the stack. The rules behind that stand atop session.c.
 * Owns:   its libssh objects, terminals, commands and forwards. Upstream channels belong to whoever
 *         asked for the stream and outlive the session.
 * Thread: its worker's.
 */
#ifndef SSHD_SESSION_INT_H
#define SSHD_SESSION_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>
#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <libssh/server.h>
#include <uthash.h>

#include "base/addr.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/str.h"
#include "sshd/auth.h"
#include "sshd/flow.h"
#include "sshd/forward.h"
#include "tunnel/close.h"
#include "tunnel/id.h"

struct chan;
struct closing;
struct exec;
struct sshd;
struct terminal;

enum {
    SESSION_MAGIC = 0x53535321,
    SESSION_READS_PER_PUMP = 16,
    SESSION_READ_BYTES = 4096, /* what libssh reads at once */
    SESSION_PACKETS_BEFORE_LOGIN = 64,
    SESSION_TERMINALS_MAX = 8,
    SESSION_TEXT_BYTES = ERR_MSG_BYTES + 40,
    SESSION_UNREAD_MAX_BYTES = 64 * 1024 * 1024, /* over all channels; twice, with closed ones */
    SESSION_NOTICES_MAX_BYTES = 8 * 1024,
    SESSION_LAST_REQUESTS_MS = 10 * 1000, /* for requests that run when the command ends */
    SESSION_PACKET_MIN_BYTES = 1024,      /* a client that takes less is refused */
    SESSION_WRITE_BYTES = 32758,          /* fills one packet of 32 KiB exactly */
    SESSION_CLIENT_MAX_PACKET = 35000,    /* libssh's own limit on channels that the client opens */
    SESSION_UPSTREAM_MAX_PACKET = 32768,  /* and on those that we open */
};

enum session_state {
    SESSION_KEY_EXCHANGE,
    SESSION_LOGIN,
    SESSION_UP,
    SESSION_ENDED,
};

struct session {
    unsigned magic;
    uint64_t serial;
    char id[ID_BYTES];
    enum session_state state;
    struct sshd *front; /* borrowed */
    struct addr client;
    struct addr server; /* since the login, as what follows */
    uint64_t login_wall_ms;
    int fd; /* borrowed: libssh closes it */
    UT_hash_handle hh;

    ssh_session ssh;                /* owned */
    ssh_event event;                /* owned */
    struct ssh_counter_struct sock; /* bytes on the socket */
    struct ssh_counter_struct raw;  /* bytes and packets inside it */
    struct ssh_server_callbacks_struct server_cb;

    ev_io io;
    ev_timer wake;  /* settles in this or the next turn */
    ev_timer phase; /* login, then the wait for a forward or a command */
    ev_timer keepalive;
    ev_timer opening_timer;
    int watched;         /* what io waits for */
    bool running;        /* pumping or settling is on the stack */
    uint64_t last_in_ms; /* when the last packet came */
    uint64_t last_in_packets;
    unsigned unanswered; /* keepalives since then */

    struct auth auth;
    struct flow flow;
    unsigned turn_packets; /* that channels wrote in this loop turn */
    struct forwards forwards;
    bool forwards_changed;

    struct terminal *terminals; /* owned */
    bool had_terminal;
    size_t api_commands; /* under way; also those whose terminal is gone, until they are done */
    struct exec *bare;   /* owned: the command of a session without one (`ssh -N`) */
    struct buf notices;  /* for the first terminal that shows something */

    /* Channels that carry bytes, each on `channels`, and on the other lists as its state says. */
    struct chan *channels; /* borrowed: owned by the users of the streams */
    struct chan *opening;
    struct chan *turns;    /* writers that wait for room in the output, first come first served */
    struct chan *windowed; /* writers that wait for a window */
    struct chan *dirty;    /* something to deliver */
    size_t channel_count;
    struct closing *closing; /* owned: closed by us and not yet by the client */
    struct closing *closed;  /* owned: by both, to be freed by settling */
    size_t closing_count;
    uint64_t discarded;           /* unread bytes that libssh holds of closing ones */
    size_t alive_count;           /* SSH channels of any kind, for the metric */
    uint64_t unread;              /* bytes that wait in all channels */
    char *denied_text;            /* owned: the refusal that libssh told last */
    size_t direct_count;          /* of the channels, those that the client opened (direct.h) */
    struct log_limit direct_told; /* of refused ones, to the user */
    struct log_limit forward_log; /* of forwards that got no endpoint */

    bool ending; /* end_* is set; the next settling ends it */
    enum close_reason end_why;
    bool end_is_told;                  /* end_text goes to the user */
    char end_text[SESSION_TEXT_BYTES]; /* also what libssh says of a dead connection, for the log */
};

/* Takes fd, a connected non-blocking socket. NULL when libssh refuses it; fd is closed then. */
struct session *session_new(struct sshd *front, int fd, const struct addr *client);

enum session_manner { SESSION_TALK, SESSION_SILENT };
/* Ends and frees it now. Only when nothing of it is on the stack. Silent: neither the client nor
 * the users of its streams are told. */
void session_finish(struct session *s, enum session_manner manner);

/* Settles soon. Allowed anywhere on the worker, also in a libssh callback. */
void session_wake(struct session *s);
/*
 * Ends the session at the next settling; the first reason counts. With `e`, its user is told.
 * Allowed anywhere on the worker, also in a libssh callback.
 */
void session_end(struct session *s, enum close_reason why, const struct err *e);
/* "ERR_SALLYPORT_<n>: text", as users see an error everywhere. */
void session_error_text(const struct err *e, char out[SESSION_TEXT_BYTES]);
/* A line for the user: to every terminal, or kept for the first one. */
void session_notice(struct session *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The keys were loaded anew. */
void session_check_key(struct session *s);
/* Something changed, and if nothing runs: gives the client time to say what to do. */
void session_await_command(struct session *s);

enum session_output { SESSION_STDOUT, SESSION_STDERR };
enum write_stop { WRITE_TOOK_ALL, WRITE_NEEDS_WINDOW, WRITE_NEEDS_OUTPUT };

/* False while much output is pending or keys are exchanged: nothing may be written then. */
bool session_can_write(struct session *s);
/* The end of a loop turn: what session_write() gathered in it leaves. */
void session_uncork(struct session *s);
/*
 * Writes what window, output bound and rekeying allow; returns the bytes taken. A channel that is
 * gone takes everything. Polls: not in a libssh callback.
 */
size_t session_write(struct session *s, ssh_channel ch, enum session_output to, struct str data,
                     enum write_stop *stop);
/* Closes a channel, of which libssh holds `held` unread bytes: EOF, CLOSE, and libssh frees it when
 * the client has answered. Polls. */
void session_shut_channel(struct session *s, ssh_channel ch,
                          struct ssh_channel_callbacks_struct *own, bool peer_closed, size_t held);
/* Frees the records of channels that both sides have closed, or of all. */
void session_settle_closing(struct session *s);
void session_forget_closing(struct session *s);
/* Counts one SSH channel more or less. */
void session_count_channel(struct session *s, int n);
/* The client has told how large a packet may be: it does so when it confirms an upstream channel, or
 * asks for one of its own. */
bool session_has_packet_size(ssh_channel ch, uint32_t local_max);
/* False, and the session ends, when the client takes packets of a size that libssh cannot serve. */
bool session_check_packet_size(struct session *s, ssh_channel ch, uint32_t local_max);

#endif
