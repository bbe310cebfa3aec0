/*
 * url_int: what url.c and upstream_hint.c share: cutting a URL into parts and naming its scheme.
 * Thread: any; pure.
 */
#ifndef TUNNEL_URL_INT_H
#define TUNNEL_URL_INT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "tunnel/url.h"

/* Pieces of the input, as written; nothing is folded or checked yet. */
struct url_parts {
    bool has_scheme;
    bool has_port;
    struct str scheme;
    struct str host; /* an IPv6 literal with its brackets */
    struct str port;
};

/* A port beyond this is out of range for everyone; larger numbers are cut to it. */
enum { URL_PORT_TOO_LARGE = UINT16_MAX + 1 };

#define SCHEME_BIT(scheme) (1U << (scheme))

/* The word for messages: "http", "tcp", "tls". */
const char *url_command_name(enum url_command command);

/*
 * Cuts "scheme://host:port", each part optional. Returns 0, or -1 with E_URL_SYNTAX, E_URL_PART,
 * E_URL_SLASH or E_HOST_SYNTAX.
 */
int url_split(struct str s, struct url_parts *out, struct err *e);

/* The scheme with this name, if it is in the set `allowed` of SCHEME_BIT()s; else E_SCHEME. */
int url_find_scheme(struct str name, unsigned allowed, enum url_command command, enum scheme *out,
                    struct err *e);

/* Reads digits, up to URL_PORT_TOO_LARGE. Returns 0, or -1 with E_PORT_SYNTAX. */
int url_read_port(struct str s, uint32_t *out, struct err *e);

#endif
