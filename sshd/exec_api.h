/*
 * exec_api: a command of the management API in a terminal: reads standard input when the command wants
 * it, has the API called on a job thread, and writes what came of it, as fast as the client reads.
 * The call goes on when the session ends; its result is then for nobody.
 * Owns:   the command, and its result until all of it is written.
 * Thread: its session's worker; the API is called on the job pool.
 * Limits: api_commands_max of a session, api_input_timeout_ms, api_output_max_bytes.
 */
#ifndef SSHD_EXEC_API_H
#define SSHD_EXEC_API_H

#include <stdbool.h>

struct exec;
struct exec_api;
struct session;
struct terminal;

/* Runs the terminal's line, for `x`, which is ended (exec_end()) when it is done. Never NULL. */
struct exec_api *exec_api_start(struct exec *x, struct session *s, struct terminal *t);
/* Nobody wants the result any more. */
void exec_api_abandon(struct exec_api *a);
/* After exec_api_abandon(). NULL is fine. */
void exec_api_free(struct exec_api *a);

/* True while it waits for what the client sends; exec_api_read() looks at it. */
bool exec_api_reads(const struct exec_api *a);
void exec_api_read(struct exec_api *a);
/* Passes on what the terminal has room for; true if there was any, or if it has ended. */
bool exec_api_feed(struct exec_api *a);

#endif
