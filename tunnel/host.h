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

#include "base/err.h"
#include "base/str.h"

enum { HOST_MAX_BYTES = 253, HOST_LABEL_MAX_BYTES = 63, HOST_INTERNAL_MAX_LABELS = 5 };

/* The base domain of the gateway, extra suffixes of its operator, and the public suffix list. */
struct host_suffixes;

/*
 * `base` and each of `extra` are normal hosts (copied). Returns NULL with E_HOST_* when one is not.
 */
struct host_suffixes *host_suffixes_new(struct str base, const struct str *extra,
                                        size_t extra_count, struct err *e);
void host_suffixes_free(struct host_suffixes *s);
/* The base domain, for random names. */
struct str host_suffixes_base(const struct host_suffixes *s);

/*
 * Checks and normalises the host of an endpoint URL. Returns 0, or -1 with E_HOST_* (illegal
 * character, empty label, label start/end, dashes, punycode, underscore, lengths).
 */
int host_normalize(struct str s, char out[HOST_MAX_BYTES + 1], struct err *e);

/*
 * Normalises the host of a request (Host, :authority, SNI): folds case, drops one trailing dot.
 * No wildcard and no IDN conversion: what travels is ASCII. Returns 0, or -1 when it cannot be the
 * name of any endpoint.
 */
int host_fold(struct str s, char out[HOST_MAX_BYTES + 1]);

/* True if `host` lies below a public suffix, the base domain or an extra suffix, with at least one
 * label of its own. *suffix (may be NULL) gets the last label when it does not. */
bool host_is_public(const struct host_suffixes *s, struct str host, struct str *suffix);

bool host_is_wildcard(struct str host);
/* True if host is exactly `domain` or ends in ".domain". */
bool host_is_below_or_equal(struct str host, struct str domain);
/* True if host ends in ".domain" (not equal). */
bool host_is_below(struct str host, struct str domain);
/* True if pattern is host, or pattern is "*.x" and host lies below x (any depth; host "*.x" too). */
bool host_matches(struct str pattern, struct str host);

#endif
