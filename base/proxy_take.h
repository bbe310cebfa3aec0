/*
 * proxy_take: takes a PROXY header off the front of a connection, and no byte of what follows it.
 * Thread: that of the connection.
 * Limits: those of base/proxy_protocol.h; the time is the caller's to limit.
 */
#ifndef BASE_PROXY_TAKE_H
#define BASE_PROXY_TAKE_H

#include "base/err.h"
#include "base/proxy_protocol.h"

enum proxy_take {
    PROXY_TAKE_DONE,
    PROXY_TAKE_MORE,   /* call again when the socket is readable */
    PROXY_TAKE_FAILED, /* it does not begin with a header, or ended in one; `e` says it */
};

/* For a non-blocking socket of which nothing was read. */
enum proxy_take proxy_take(int fd, struct proxy_header *out, struct err *e);

#endif
