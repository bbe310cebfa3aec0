/*
 * arrival: a connection of a balancer before its PROXY header was read, which libssh must not see.
 * The header's address becomes the client's; without one in time, or with another beginning, the
 * connection is closed.
 * Thread: its worker's.
 * Limits: it counts among the connections without a login; proxy_header_timeout_ms.
 */
#ifndef SSHD_ARRIVAL_H
#define SSHD_ARRIVAL_H

#include "base/addr.h"

struct sshd;

/* Takes fd; `peer` is the balancer. */
void arrival_start(struct sshd *front, int fd, const struct addr *peer);
/* Closes them all. */
void arrivals_stop(struct sshd *front);

#endif
