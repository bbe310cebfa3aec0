/*
 * flags_int: what the setters of flags (flags.c) and the order they are carried out in (flags_apply.c)
 * share. For these two only.
 * Thread: any; pure.
 */
#ifndef SSHD_FLAGS_INT_H
#define SSHD_FLAGS_INT_H

#include <stdbool.h>

#include "base/str.h"
#include "sshd/command.h"
#include "sshd/flag_policy.h"
#include "sshd/flags.h"

/* What the setters fill. */
struct flag_values {
    struct command *command; /* borrowed */
    struct flag_policy policy;
    struct str terminate_at; /* "edge", "upstream", or empty */
    bool has_crt;
    bool has_key;
};

/* Commands that have a flag. */
enum {
    FLAG_HTTP = 1 << COMMAND_HTTP,
    FLAG_TCP = 1 << COMMAND_TCP,
    FLAG_TLS = 1 << COMMAND_TLS,
};

#endif
