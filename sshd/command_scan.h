/*
 * command_scan: cuts the text behind a command into a positional and flags (spec 5.4).
 * ssh joins the words of its command line with single spaces and the shell has eaten the quotes, so
 * a value reaches from its flag to the next thing that looks like one. Nothing is expanded.
 * Limits: COMMAND_FLAGS_MAX flags.
 * Thread: any; pure.
 */
#ifndef SSHD_COMMAND_SCAN_H
#define SSHD_COMMAND_SCAN_H

#include <stddef.h>

#include "base/err.h"
#include "base/str.h"
#include "sshd/flags.h"

enum { COMMAND_FLAGS_MAX = 256 };

struct command_scan {
    struct str positional; /* empty: none */
    struct flag_use uses[COMMAND_FLAGS_MAX];
    size_t count;
};

/* `out` borrows from `text`. -1 with E_FLAG_SYNTAX. */
int command_scan(struct str text, unsigned version, struct command_scan *out, struct err *e);

#endif
