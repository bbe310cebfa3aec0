/*
 * flags: the flags of the ssh command line, one row each in flags.def, and what they do to a
 * command.
 * Thread: any; pure.
 */
#ifndef SSHD_FLAGS_H
#define SSHD_FLAGS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "sshd/command_kind.h"

struct command;
struct flag_values;
struct policy_engine;

enum flag_status { FLAG_WORKS, FLAG_ALIAS, FLAG_IGNORED, FLAG_LATER, FLAG_NEVER };
enum flag_shape { FLAG_TEXT, FLAG_LIST, FLAG_SWITCH };
enum flag_version { FLAG_ANY, FLAG_V1 };

struct flag_use;
typedef int flag_set_fn(struct flag_values *v, struct str value, struct err *e);

struct flag {
    const char *name;  /* without dashes */
    unsigned commands; /* that have it: bits of enum command_kind */
    enum flag_status status;
    enum flag_shape shape;
    enum flag_version version;
    flag_set_fn *set; /* may be NULL: nothing to set */
    const char *argument;
    const char *text;
};

/* One flag as it was typed. Borrows from the line. */
struct flag_use {
    const struct flag *flag;
    struct str typed; /* with its dashes */
    struct str value; /* of TEXT and LIST */
    bool on;          /* of SWITCH */
};

/* The flag of that name in a version of the syntax, or NULL. */
const struct flag *flag_find(struct str name, unsigned version);
/* The flag that works and whose name is nearest. */
const struct flag *flag_nearest(struct str name, unsigned version);
bool flag_is_help(const struct flag *flag);

/*
 * Carries out all flags of a command whose upstream is already known. On failure returns -1 with
 * E_FLAG_UNSUPPORTED, E_FLAG_SYNTAX or the code of the value; `out` may then be half-filled.
 */
int flags_apply(const struct flag_use *uses, size_t count, const struct policy_engine *engine,
                struct command *out, struct err *e);

/* One line for each flag that works with the command. */
void flags_help(enum command_kind kind, struct buf *out);

#endif
