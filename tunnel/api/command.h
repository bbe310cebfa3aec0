/*
 * command: the API as a command line (spec api.md 5): "api vaults create --name web", and the short
 * words `ls`, `whoami` and `kill`. Whoever carries the line, which is sshd, learns from a
 * parsed command whether to read standard input, and has it run (command_run.h).
 * Groups, verbs and options are those of the resources' tables, so a new resource needs nothing here.
 * Owns:   copies of all it needs of the line, in its arena.
 * Thread: any; pure. One thread at a time for one command.
 * Limits: API_COMMAND_LINE_MAX_BYTES, API_COMMAND_INPUT_MAX_BYTES, API_COMMAND_OPTIONS_MAX.
 */
#ifndef TUNNEL_API_COMMAND_H
#define TUNNEL_API_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "tunnel/api/api.h"

struct api_action;
struct api_command_verb;
struct api_field;
struct api_resource;

enum {
    API_COMMAND_LINE_MAX_BYTES = 32 * 1024,
    API_COMMAND_INPUT_MAX_BYTES = API_BODY_MAX_BYTES,
    API_COMMAND_OPTIONS_MAX = 256,
    API_COMMAND_TEXT_MAX_BYTES = 64 * 1024, /* of help and of a usage error */
};

enum api_command_kind {
    API_COMMAND_CALL,
    API_COMMAND_HELP, /* print api_command_help() */
    API_COMMAND_LS,
    API_COMMAND_WHOAMI,
    API_COMMAND_KILL,
};

/* How answers are written. */
enum api_output {
    API_OUTPUT_DEFAULT, /* a table for who has a terminal, else JSON */
    API_OUTPUT_JSON,
    API_OUTPUT_JSONL, /* one compact object a line */
    API_OUTPUT_ID,    /* one id a line */
    API_OUTPUT_TABLE,
};

/* What standard input holds. */
enum api_command_input {
    API_INPUT_NONE, /* it is not read */
    API_INPUT_BODY, /* the whole body as JSON: --json - */
    API_INPUT_PEM,  /* certificates and their key in any order: --pem - */
    API_INPUT_FIELD,
    API_INPUT_FILTER,
};

struct api_command {
    enum api_command_kind kind;
    struct arena arena;                  /* owned */
    const struct api_resource *resource; /* NULL: no group was named, or none that is offered */
    const struct api_command_verb *verb; /* NULL: an action, or only help of the group */
    const struct api_action *action;     /* NULL: a verb */
    struct str id;                       /* as it was typed; of `kill`, too */
    struct str parent_id;                /* of a resource that is nested; likewise */
    struct str method;
    struct str path; /* percent-encoded */
    /* Of a list; p NULL: not given. */
    struct str limit;
    struct str before_id;
    struct str filter;
    struct buf own_query; /* owned; "&url=...", of the resource's own parameters */
    json_t *body;         /* owned; what the options say; NULL: the call takes none */
    enum api_command_input input;
    const struct api_field *input_field; /* of API_INPUT_FIELD */
    enum api_output output;
    bool all;   /* follow the pages of a list */
    bool quiet; /* no status line */
};

/*
 * Reads a line. Returns 0, or -1 with what is wrong with it in `problem`, lines for people. In both
 * cases the caller releases `out` with api_command_fini().
 */
int api_command_parse(struct str line, struct api_command *out, struct buf *problem);
void api_command_fini(struct api_command *c);

/*
 * Takes what came over standard input, of a command whose `input` is not API_INPUT_NONE; at most
 * API_COMMAND_INPUT_MAX_BYTES. Returns 0, or -1 with what is wrong with it in `problem`.
 */
int api_command_take_input(struct api_command *c, struct str input, struct buf *problem);

/* The query of the list behind "?", as a page after `before_id` (p NULL: the first). */
void api_command_query(const struct api_command *c, struct str before_id, struct buf *out);

/* The text of --help: of everything, a group or a verb, as the command says. */
void api_command_help(const struct api_command *c, struct buf *out);

#endif
