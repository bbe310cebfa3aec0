/*
 * host: DNS names of endpoints: syntax, normal form, public suffixes, wildcards.
 * A normal host is lower case, punycode, without trailing dot, and may have "*" as its whole first
 * label. Codes are those of the spec's section 2.4.
 * Thread: host_suffixes_new() once at start; all else any thread, pure.
 */
#ifndef TUNNEL_HOST_H
#define TUNNEL_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

enum { HOST_MAX_BYTES = 253, HOST_LABEL_MAX_BYTES = 63, HOST_INTERNAL_MAX_LABELS = 5 };

/* The base domain of the gateway, extra suffixes of its operator, and the public suffix list. */
struct host_suffixes;

/*
 * `base` and each of `extra` are hosts without wildcard (normalised copies are kept). Returns NULL
 * with E_HOST_* when one is not or lies below .internal, E_SYSTEM without a public suffix list.
 */
struct host_suffixes *host_suffixes_new(struct str base, const struct str *extra,
                                        size_t extra_count, struct err *e);
void host_suffixes_free(struct host_suffixes *s);
/* The base domain, for random names. */
struct str host_suffixes_base(const struct host_suffixes *s);

/*
 * Checks and normalises the host of an endpoint URL; UTF-8 becomes punycode (UTS 46, non-
 * transitional). Returns 0, or -1 with E_HOST_* (illegal character, empty label, label start/end,
 * dashes, punycode, underscore, lengths; E_HOST_SYNTAX when empty or with a trailing dot).
 */
int host_normalize(struct str s, char out[HOST_MAX_BYTES + 1], struct err *e);

/*
 * Reads "host" or "host:port", as in reservations and ACLs; *port is 0 when there is none. Returns
 * 0, or -1 with E_PORT_SYNTAX (not 1 to 65535) or a code of host_normalize().
 */
int host_port_parse(struct str s, char host[HOST_MAX_BYTES + 1], uint16_t *port, struct err *e);

/*
 * Normalises the host of a request (Host, :authority, SNI): folds case, drops one trailing dot.
 * No wildcard and no IDN conversion: what travels is ASCII. Laxer than host_normalize() inside a
 * label, since a wildcard endpoint also serves "my_app.example.com". Returns 0, or -1 when it
 * cannot be the name of any endpoint.
 */
int host_fold(struct str s, char out[HOST_MAX_BYTES + 1]);

/*
 * True if the normal `host` lies below a public suffix, the base domain or an extra suffix, with at
 * least one label of its own. When it does not, *suffix (may be NULL) gets its last label, or all
 * of host when that is such a suffix itself or has a single label.
 */
bool host_is_public(const struct host_suffixes *s, struct str host, struct str *suffix);
/* True if host is on the public suffix list and no suffix of the operator, so nobody can own it. */
bool host_is_foreign_suffix(const struct host_suffixes *s, struct str host);

bool host_is_wildcard(struct str host);
/* True if host is exactly `domain` or ends in ".domain". */
bool host_is_below_or_equal(struct str host, struct str domain);
/* True if host ends in ".domain" (not equal). */
bool host_is_below(struct str host, struct str domain);
/* True if pattern is host, or is "*.x" and host lies below x (at any depth; host "*.x" too). */
bool host_matches(struct str pattern, struct str host);

#endif
