/*
 * terminal: a session channel: what the user types and reads. It runs one command (sshd/exec.h).
 * Owns:   its SSH channel, its command, output that was not sent yet.
 * Thread: its worker's.
 * Limits: TERMINAL_BYTES of unsent output each for stdout and stderr; request lines are dropped
 *         above TERMINAL_LINES_BYTES, so that URLs and errors always fit. Input for a command that
 *         reads it: TERMINAL_INPUT_BYTES, or policy_document_max_bytes when that is more.
 */
#ifndef SSHD_TERMINAL_H
#define SSHD_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>
#include <libssh/callbacks.h>
#include <libssh/libssh.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "sshd/session_int.h"
#include "tunnel/api/command.h"

enum {
    TERMINAL_MAGIC = 0x5465726d,
    TERMINAL_BYTES = 128 * 1024,
    TERMINAL_LINES_BYTES = 64 * 1024,
    TERMINAL_INPUT_BYTES = API_COMMAND_INPUT_MAX_BYTES,
    TERMINAL_FLUSH_MS = 3000, /* for the last words to a client that does not read */
};

enum terminal_state {
    TERMINAL_WAITS, /* for exec or shell */
    TERMINAL_ASKED, /* recorded by a callback */
    TERMINAL_RUNS,
    TERMINAL_ENDS, /* output is flushed, then the exit status follows */
};

struct terminal {
    unsigned magic;
    enum terminal_state state;
    struct session *session; /* borrowed */
    ssh_channel ssh;         /* owned */
    struct ssh_channel_callbacks_struct cb;
    bool checked; /* the client's packet size is known to be fine */
    bool pty;
    size_t width; /* of the pty, in characters; 0: unknown */
    bool quit;    /* the user typed Ctrl-C or Ctrl-D, or sent a signal */
    bool peer_closed;
    struct buf in;       /* what the client sent, until the command says that it does not read it */
    bool in_complete;    /* the client has sent all */
    size_t in_max_bytes; /* what the command takes of it */
    bool in_unread;      /* the command does not read: it is dropped */
    char *line;          /* owned: the command line; NULL: a shell was asked for */
    struct exec *exec;   /* owned; NULL before it runs */
    struct buf out;
    struct buf err;
    uint64_t dropped; /* request lines */
    int status;
    ev_timer flush;
    struct terminal *prev;
    struct terminal *next;
};

/* libssh's channel_open_request_session_function; `arg` is the session. */
ssh_channel terminal_on_open(ssh_session ssh, void *arg);

/* Text with LF line ends, as the terminal needs them. */
void terminal_text(struct terminal *t, enum session_output to, struct str text);
/* One line; the LF is added. */
void terminal_line(struct terminal *t, enum session_output to, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* A request line: dropped when the client does not read. */
void terminal_request_line(struct terminal *t, enum session_output to, struct str line);
/* "ERR_SALLYPORT_<n>: text" on stderr. */
void terminal_error(struct terminal *t, const struct err *e);

/* Appends what fits of a text, for one that is larger than the room; returns how much that was. */
size_t terminal_feed(struct terminal *t, enum session_output to, struct str text);

/* The command takes up to so much input. */
void terminal_limit_input(struct terminal *t, size_t max_bytes);
/* Has the client sent all, or more than the command takes? */
bool terminal_input_is_over(const struct terminal *t);
bool terminal_input_is_too_long(const struct terminal *t);
/* The command reads no input: what came and comes is dropped. */
void terminal_ignore_input(struct terminal *t);

/* Ends it with this exit status once all was written. */
void terminal_end(struct terminal *t, int status);

/* The steps of session_settle() for all terminals of the session. */
void terminals_settle(struct session *s);
/* The session ends: last words as far as they go without waiting, then the channels are forgotten.
 * `alive`: the connection still is. */
void terminals_detach(struct session *s, bool alive, const char *last_words);

#endif
