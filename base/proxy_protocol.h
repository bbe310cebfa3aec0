/*
 * proxy_protocol: the header by which a proxy tells who is at the other end of a connection that it
 * passes on, in both versions of HAProxy's "The PROXY protocol" (doc/proxy-protocol.txt).
 * Thread: any; pure.
 * Limits: PROXY_PROTOCOL_*_MAX_BYTES.
 */
#ifndef BASE_PROXY_PROTOCOL_H
#define BASE_PROXY_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum {
    PROXY_PROTOCOL_V1_MAX_BYTES = 107,          /* the line with its CRLF (section 2.1) */
    PROXY_PROTOCOL_V2_FIXED_BYTES = 16,         /* signature, version and command, family, length */
    PROXY_PROTOCOL_V2_PAYLOAD_MAX_BYTES = 4096, /* addresses and extensions */
    PROXY_PROTOCOL_MAX_BYTES = PROXY_PROTOCOL_V2_FIXED_BYTES + PROXY_PROTOCOL_V2_PAYLOAD_MAX_BYTES,
};

/* The versions are these numbers on the command line too. */
enum { PROXY_PROTOCOL_V1 = 1, PROXY_PROTOCOL_V2 = 2 };

struct proxy_header {
    bool local; /* it names no addresses (LOCAL, UNKNOWN): those of the connection count */
    struct addr source;
    struct addr destination;
};

/*
 * Reads a header of either version from the front of `in`. Returns how many bytes it has, 0 when
 * more are needed (never for PROXY_PROTOCOL_MAX_BYTES or more), or -1 with E_SYNTAX when this is no
 * header, as early as the bytes show it. Extensions of version 2 (TLVs) are checked for their
 * bounds and skipped; addresses that are neither TCP over IPv4 nor TCP over IPv6 count as none.
 */
ptrdiff_t proxy_protocol_parse(struct str in, struct proxy_header *out, struct err *e);

/*
 * Appends the header in this version. Addresses of different families are both written as IPv6.
 * One that is missing (family 0) makes the header local.
 */
void proxy_protocol_format(unsigned version, const struct proxy_header *h, struct buf *out);

#endif
