/*
 * exec_int: a command that runs, as its life (exec.c), its input (exec_input.c), its endpoints
 * (exec_endpoint.c) and their claims (exec_claims.c) know it. For those files only.
 * Thread: its worker's.
 */
#ifndef SSHD_EXEC_INT_H
#define SSHD_EXEC_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>

#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "sshd/command.h"
#include "sshd/exec.h"
#include "sshd/exec_policy.h"
#include "sshd/exec_upstream.h"
#include "sshd/forward.h"

struct claim;
struct document;
struct exec_api;

enum { EXEC_MAGIC = 0x45786563 };

enum exec_state {
    EXEC_READS,  /* a policy, wherever it comes from, and certificates that the client sends */
    EXEC_WAITS,  /* for a forward */
    EXEC_CLAIMS, /* URLs are shown when all claims are answered */
    EXEC_RUNS,
    EXEC_DONE,
};

struct exec {
    unsigned magic;
    enum exec_state state;
    struct session *session;   /* borrowed */
    struct terminal *terminal; /* borrowed; NULL: nobody reads */
    struct command command;
    struct exec_api *api;              /* owned; NULL: another command */
    struct exec_policy *policy;        /* counted; NULL: it has no command */
    struct document *fetched;          /* owned; NULL: no policy is under way */
    struct exec_policy_work *checking; /* borrowed; NULL: no policy is being read */
    struct claim *compiling;           /* owned; NULL: no policy is compiled for an endpoint */
    struct exec_upstream upstream;
    bool has_command;
    bool input_taken; /* standard input is read, or is not to be */
    bool claiming;    /* a claim is under way */
    size_t adopted;   /* forwards so far */
    struct err last;  /* why the last endpoint was refused or lost */
    struct log_limit problems;
    ev_timer wait;
};

/* ---- exec.c ---- */

/* Tells the user why; the command goes on or is ended by the caller. */
void exec_refused(struct exec *x, const struct err *e);
/* Ends the command when what it waits for has not come in time. */
void exec_start_wait(struct exec *x, uint64_t ms);
/* True if its user wants lines of requests. */
bool exec_shows_requests(const struct exec *x);
/* All is known that its endpoints need: takes the forwards, or waits for one. */
void exec_open_forwards(struct exec *x);

/* ---- exec_endpoint.c ---- */

/* What the forward becomes at this address, but for its policy. */
struct endpoint *exec_make_endpoint(struct exec *x, struct forward *f, size_t slot,
                                    const struct url *url);
/* Before it is claimed. Takes the policy over; NULL is none. */
void exec_give_policy(const struct exec *x, struct endpoint *ep, struct counted *policy);
/* An endpoint that the forward was to have is not to be: its user hears why, and the log has it as an
 * attempt. `url` may be empty: then the forward does not tell. */
void exec_forward_refused(struct exec *x, const struct forward *f, struct str url,
                          const struct err *e);
/* The same, with the address. */
void exec_url_refused(struct exec *x, const struct forward *f, const struct url *url,
                      const struct err *e);

/* ---- exec_claims.c ---- */

/* Claims the next endpoint that waits, unless a claim is under way; shows all when there is none. */
void exec_claim_next(struct exec *x);
/* Nobody waits any more for the claim under way. */
void exec_drop_claim(struct exec *x);
size_t exec_count_slots(const struct exec *x, enum slot_state state);
/* Shows its URL, if it is online. */
void exec_announce_slot(struct exec *x, const struct slot *slot);
/* Its endpoint is not its own any more. */
void exec_slot_gone(struct slot *slot, enum slot_state state);

/* ---- exec_input.c ---- */

/* Reads what the command needs before anything is public, and opens the forwards then; or ends it. */
void exec_await_input(struct exec *x);
/* Nobody waits any more for what is under way. */
void exec_drop_input(struct exec *x);
/* Why a command ends whose input has not come in time. */
void exec_input_missing(const struct exec *x, struct err *e);

#endif
