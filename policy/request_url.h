/*
 * request_url: the URL of a request as expressions see it: req.url and all below it (spec
 * traffic-policy 4.7, D23).
 * Owns:   nothing; results borrow from what was handed in, and from the arena where text differs.
 *         All text is valid UTF-8.
 * Thread: any; pure.
 * Limits: REQUEST_URL_PARAMS_MAX parameters of a query.
 */
#ifndef POLICY_REQUEST_URL_H
#define POLICY_REQUEST_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "policy/cel/value.h"

enum { REQUEST_URL_PARAMS_MAX = 10000 };

/*
 * "As sent" is without normalization. The normalized URL has scheme and host in lower case, no port
 * that is the scheme's default, no escapes of letters, digits and "-._~", other escapes in upper
 * case and also for bytes that no URL has (a lone "%", too), and no "." or ".." segments.
 */
struct request_url {
    struct str url;           /* normalized: scheme://authority and uri */
    struct str raw;           /* as sent */
    struct str scheme;        /* "http" or "https" */
    struct str authority;     /* normalized: [user:password@]host[:port] */
    struct str user_password; /* as sent; empty: none */
    struct str host;          /* normalized, without port and the brackets of IPv6 */
    struct str path;          /* normalized, then decoded once; what is not UTF-8 stays encoded */
    struct str raw_path;      /* as sent */
    struct str query;         /* as sent, without "?" */
    struct str uri;           /* normalized path, and "?" with the normalized query */
    bool has_port;            /* one was sent */
    uint16_t port;
};

/*
 * `authority` is the Host field or :authority; `target` the request target in origin form. A target
 * that does not begin with '/' ("*" of OPTIONS) is path and uri as it is, and no part of the URL
 * (RFC 9112 section 3.3).
 */
void request_url_build(struct arena *a, struct str scheme, struct str authority, struct str target,
                       struct request_url *out);

/*
 * The parameters of a query as sent: map(string, list(string)) in form decoding ("+" is a space),
 * in order; an escape that is none stays, and U+FFFD stands for what is not UTF-8. A missing name
 * reads as an empty list. An error value when there are too many.
 */
struct cel_value request_url_query_params(struct arena *a, struct str query);

#endif
