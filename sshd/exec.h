/*
 * exec: a command that runs in a session: it turns forwards into endpoints and shows them.
 * Owns:   the parsed command.
 * Thread: its worker's.
 */
#ifndef SSHD_EXEC_H
#define SSHD_EXEC_H

#include <stdbool.h>
#include <stddef.h>

#include "tunnel/agent.h"

struct err;
struct event;
struct exec;
struct exec_api;
struct session;
struct slot;
struct terminal;

/* agent.c */
extern const struct agent_ops agent_ops;

/* Runs the command line of a terminal. Never NULL; a line that is wrong ends the terminal. */
struct exec *exec_start(struct session *s, struct terminal *t);
/* Runs `http` without flags for a session that asked for no command. */
struct exec *exec_start_bare(struct session *s);

/* Ends the command: its endpoints go, the terminal gets the exit status. */
void exec_end(struct exec *x, int status);
/* As exec_end(), when nobody is left to be told. NULL is fine. */
void exec_abandon(struct exec *x);
/* The user wants it to end: Ctrl-C, or a signal. */
void exec_quit(struct exec *x);
/* After exec_end() or exec_abandon(). */
void exec_free(struct exec *x);

/* True while it waits for what the client sends; exec_read_input() is called when there is more. NULL
 * reads nothing. */
bool exec_reads_input(const struct exec *x);
void exec_read_input(struct exec *x);

/* Gives the terminal more of what waits to be written; true if there was any, or if it ended. NULL has
 * none. */
bool exec_feed(struct exec *x);
/* The command of the API that it runs, or NULL; NULL has none. */
struct exec_api *exec_api_of(struct exec *x);

/* An exchange over one of its endpoints ended: a request line, if the user wants them. */
void exec_show_event(struct exec *x, const struct event *ev);
/* Its upstream cannot be talked to. */
void exec_show_problem(struct exec *x, const char *problem);
void exec_show_notice(struct exec *x, struct slot *slot, enum agent_notice what);

/* Forwards came or were cancelled. */
void execs_settle(struct session *s);

#endif
