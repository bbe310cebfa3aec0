/*
 * exec_upstream: how the endpoints of a command talk to their upstream: its hint, its flags, and the
 * certificates that the user sends.
 * Owns:   the certificates.
 * Thread: its worker's; pure.
 */
#ifndef SSHD_EXEC_UPSTREAM_H
#define SSHD_EXEC_UPSTREAM_H

#include "base/err.h"
#include "base/str.h"

struct command;
struct endpoint_upstream;

struct exec_upstream {
    char *cas; /* owned; NULL: the user sent none */
};

/* Takes the authorities that may have signed the upstream's certificate. -1 with E_CERTIFICATE_PEM. */
int exec_upstream_read_cas(struct exec_upstream *u, struct str pem, struct err *e);
void exec_upstream_fini(struct exec_upstream *u);

/* Fills in the part of a new endpoint. */
void exec_upstream_fill(const struct exec_upstream *u, const struct command *c,
                        struct endpoint_upstream *out);

#endif
