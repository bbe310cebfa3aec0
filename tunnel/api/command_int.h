/*
 * command_int: what the modules of the command line share. Not for other folders.
 * Thread: that of the command.
 */
#ifndef TUNNEL_API_COMMAND_INT_H
#define TUNNEL_API_COMMAND_INT_H

#include "tunnel/api/command.h"
#include "tunnel/api/resource.h"

/* ---- command_words.c ------------------------------------------------------------------------ */

struct api_words {
    struct str *list; /* in the arena of the command */
    size_t count;
    size_t at; /* the next one */
};

/* Cuts a line into words (spec 5.1). Returns 0, or -1 when a quote is not closed. */
int api_words_split(struct str line, struct arena *a, struct api_words *out);
/* The next word, without taking it; p NULL at the end. */
struct str api_words_peek(const struct api_words *w);
/* Does the next word begin an option? */
bool api_words_at_option(const struct api_words *w);

/* One option; of "--name value of words" and "--name=value" alike. */
struct api_option {
    struct str name; /* without "--" */
    struct str value;
    bool has_value;
};

/* Takes the next option with the words that belong to its value. False when none is next. */
bool api_words_take_option(struct api_words *w, struct arena *a, struct api_option *out);

/* ---- the parts of a command ----------------------------------------------------------------- */

struct api_command_verb {
    const char *name;
    unsigned can; /* API_CAN_... */
    const char *method;
    bool has_id;
    bool has_body;
    const char *text;
};

extern const struct api_command_verb api_command_verbs[];
enum { API_COMMAND_VERBS = 5 };

/* Is it this verb, API_CAN_...? */
static inline bool api_command_is(const struct api_command *c, unsigned can)
{
    return c->verb != NULL && c->verb->can == can;
}
/* Does it take the fields of its resource? An id? */
static inline bool api_command_has_body(const struct api_command *c)
{
    return c->verb != NULL && c->verb->has_body;
}
static inline bool api_command_has_id(const struct api_command *c)
{
    return c->action != NULL || (c->verb != NULL && c->verb->has_id);
}
/*
 * The id that stands before the options. Of a nested resource, a list has that of the parent there; all
 * others name the parent, and themselves, by options (spec 5.3).
 */
static inline bool api_command_has_word(const struct api_command *c)
{
    if (c->resource != NULL && c->resource->nesting != NULL)
        return api_command_is(c, API_CAN_LIST);
    return api_command_has_id(c);
}
/* May this field of its resource be given? */
bool api_command_takes_field(const struct api_command *c, const struct api_field *f);
/* Does its resource have a certificate and its key, so that both may come at once? */
bool api_command_takes_pem(const struct api_command *c);
/* "api vaults create". */
void api_command_add_name(const struct api_command *c, struct buf *out);

/* Reports a usage error; returns -1. */
int api_command_refuse(const struct api_command *c, struct buf *problem, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- command_options.c ---------------------------------------------------------------------- */

/* Takes the rest of the words as options. Returns 0, or -1 with the problem. */
int api_command_read_options(struct api_command *c, struct api_words *w, struct buf *problem);
/* "--subscription-id is missing"; returns -1. */
int api_command_refuse_missing(const struct api_command *c, const char *field, struct buf *problem);
/* Tells of each option of a command, for messages and help; is_input: "-" is standard input. */
typedef void api_option_fn(const char *name, const char *text, bool is_input, void *arg);
void api_command_each_option(const struct api_command *c, api_option_fn *each, void *arg);

#endif
