/*
 * command_run: has a command of the command line done by the API, and makes what its user reads.
 * Each command is one call (spec api.md 5.4), except lists with --all, and `kill` of an endpoint.
 * Owns:   nothing; the caller keeps the result.
 * Thread: any that may block; never a worker's loop.
 */
#ifndef TUNNEL_API_COMMAND_RUN_H
#define TUNNEL_API_COMMAND_RUN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/str.h"
#include "tunnel/api/api.h"
#include "tunnel/api/command.h"

enum {
    API_EXIT_OK = 0,
    API_EXIT_ERROR = 1,    /* the API refused */
    API_EXIT_USAGE = 2,    /* the command was not understood */
    API_EXIT_IDENTITY = 3, /* the caller may not use the API for this */
};

/* Who runs it, and for which screen. */
struct api_command_user {
    struct api *api; /* borrowed for the call, as all else */
    const struct api_caller *who;
    struct str base_url;
    struct str key;          /* how `whoami` names the key */
    struct str session;      /* "ts_..." */
    bool has_terminal;       /* tables by default */
    size_t width;            /* of the terminal, in characters; 0: unknown */
    size_t output_max_bytes; /* of all that is written; more is an error */
};

struct api_command_result {
    struct buf out; /* standard output */
    struct buf err;
    int status; /* API_EXIT_... */
};

/* `result` is made here; release it with api_command_result_fini(). */
void api_command_run(const struct api_command *c, const struct api_command_user *user,
                     struct api_command_result *result);
/* The result of a call that fails before it begins, such as one too many. */
void api_command_fail(const struct api_command_user *user, enum api_code code, const char *text,
                      struct api_command_result *result);
void api_command_result_fini(struct api_command_result *r);

#endif
