/*
 * base64url: RFC 4648 section 5 the way JOSE writes it (RFC 7515 section 2): without padding, and
 * read strictly, so that one value has one text.
 * Owns:   nothing; what comes out lies in the arena.
 * Thread: that of the arena; pure.
 */
#ifndef POLICY_BASE64URL_H
#define POLICY_BASE64URL_H

#include "base/arena.h"
#include "base/str.h"

/* Decodes all of s. Returns 0, or -1 when it has any other character, padding, an impossible length
 * or unused bits that are set. */
int base64url_decode(struct arena *a, struct str s, struct str *out);

#endif
