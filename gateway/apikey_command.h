/*
 * apikey_command: makes a key of the management API on the machine itself:
 *     sallyport apikey create -c FILE [--account NAME] [--description TEXT]
 * Prints the token, once, and nothing else. With --account the key is that account's; without, it is an
 * administrator's. A running gateway is asked by its socket in state_dir; with none running, the
 * database is written here.
 * Thread: main, before anything else runs. Blocks on files and the socket.
 */
#ifndef GATEWAY_APIKEY_COMMAND_H
#define GATEWAY_APIKEY_COMMAND_H

enum { APIKEY_COMMAND_OK = 0, APIKEY_COMMAND_PROBLEM = 1, APIKEY_COMMAND_USAGE = 2 };

/* argv[0] is the word behind "apikey". Returns the exit status; APIKEY_COMMAND_USAGE: the caller
 * prints how the program is used. */
int apikey_command(int argc, char *const *argv);

#endif
