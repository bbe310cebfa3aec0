/*
 * policy_command: the commands for traffic policies that need no gateway:
 *     sallyport policy check FILE...                   every problem, as FILE:LINE:COLUMN: ...
 *     sallyport policy eval EXPR [--vars FILE.json]    the value of an expression, as JSON
 * A file "-" is standard input.
 * Thread: main, before anything else runs. Blocks on files.
 */
#ifndef GATEWAY_POLICY_COMMAND_H
#define GATEWAY_POLICY_COMMAND_H

enum { POLICY_COMMAND_OK = 0, POLICY_COMMAND_PROBLEM = 1, POLICY_COMMAND_USAGE = 2 };

/* argv[0] is the word behind "policy". Returns the exit status; POLICY_COMMAND_USAGE: the caller
 * prints how the program is used. */
int policy_command(int argc, char *const *argv);

/* The second of them; `vars_path` may be NULL. */
int policy_eval(const char *expression, const char *vars_path);

#endif
