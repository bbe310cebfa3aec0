/*
 * url_text: escapes of URLs and forms, and the parts of a URL (spec traffic-policy 5.10 and 5.15,
 * RFC 3986).
 * Owns:   nothing; text that has to change is made in the arena of the run, all else is borrowed.
 * Thread: the one that evaluates.
 */
#ifndef POLICY_CEL_URL_TEXT_H
#define POLICY_CEL_URL_TEXT_H

#include <stdbool.h>

#include "base/str.h"
#include "policy/cel/run.h"
#include "policy/cel/text.h"
#include "policy/cel/value.h"

/* Appends s with everything escaped but letters, digits and "-_.~"; a space becomes `space`. */
void url_text_escape(struct cel_text *out, struct str s, struct str space);

enum url_plus { URL_PLUS_STAYS, URL_PLUS_IS_SPACE };
enum url_bad_escape { URL_BAD_ESCAPE_STAYS, URL_BAD_ESCAPE_FAILS };

/* The bytes that s stands for; they may be no UTF-8. An error value for a bad escape, if it fails, or
 * when a limit is reached. BYTES. */
struct cel_value url_text_unescape(struct cel_run *run, struct str s, enum url_plus plus,
                                   enum url_bad_escape bad);

/* Parts that a URL does not have are empty. */
struct url_parts {
    struct str scheme;   /* as written */
    struct str user;     /* with the password, as written */
    struct str host;     /* with the port, as written */
    struct str hostname; /* without brackets */
    struct str port;
    struct str path; /* with its escapes, as the following */
    struct str query;
    struct str fragment;
};

/* Takes a URL apart, or a reference to one without scheme or host. False when it is none: control
 * characters, a '%' that begins no escape, a bad host or port. A path may have characters that ought
 * to be escaped. */
bool url_text_parse(struct str s, struct url_parts *out);

#endif
