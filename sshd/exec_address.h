/*
 * exec_address: which address a forward asks for: what -R says, and the flags that name it.
 * Thread: any; pure.
 */
#ifndef SSHD_EXEC_ADDRESS_H
#define SSHD_EXEC_ADDRESS_H

#include "base/err.h"

struct command;
struct forward;
struct host_suffixes;
struct url;

/*
 * The address of a forward of a command that serves (spec 5.3). Returns 0, or -1 with E_NAME_TWICE,
 * E_SUBDOMAIN_TWICE, E_REMOTE_ADDR_TWICE, E_REMOTE_ADDR_PORT or a code of url_from_forward().
 */
int exec_address(const struct command *c, const struct forward *f,
                 const struct host_suffixes *suffixes, struct url *out, struct err *e);

#endif
