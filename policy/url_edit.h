/*
 * url_edit: from, to and what they make of the URL of a request: what redirect and url-rewrite have
 * in common (spec traffic-policy 6.17, 6.19, D48, D49).
 * Owns:   its pattern and template.
 * Thread: const once read.
 */
#ifndef POLICY_URL_EDIT_H
#define POLICY_URL_EDIT_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"
#include "policy/cel/value.h"
#include "policy/fields.h"

struct action_run;
struct pattern;
struct template;

/* A Location header that holds the whole result, or a target for the upstream. */
enum url_edit_use { URL_EDIT_REDIRECT, URL_EDIT_REWRITE };

struct url_edit {
    enum url_edit_use use;
    struct pattern *from; /* owned */
    struct template *to;  /* owned */
};

/* Reads "from" and "to"; of a redirect, also what older documents have for `to`. */
void url_edit_read(const struct fields *c, enum url_edit_use use, struct url_edit *out);
void url_edit_fini(struct url_edit *u);

struct url_edited {
    bool changed;
    struct str url;           /* absolute; in the run's arena; with !changed the request's */
    struct cel_value matches; /* list: the whole first match, then its groups */
};

/* -1 with E_POLICY_FIELD_EVALUATION, E_POLICY_REGEX, E_POLICY_MEMORY, or of a redirect
 * E_POLICY_HEADER_VALUE; *out is then as if nothing had matched. */
int url_edit_apply(const struct url_edit *u, struct action_run *run, struct url_edited *out,
                   struct err *e);

/* The path and query of an absolute URL, beginning with '/'; without fragment. -1 with
 * E_POLICY_FIELD_EVALUATION when it is none. */
int url_edit_target(struct action_run *run, struct str url, struct str *target, struct err *e);

/* {"matches": [...], "url": text, "error": ...} as the result of the action; `why` NULL: none. */
void url_edit_set_result(struct action_run *run, const struct url_edited *edited,
                         const struct err *why);

#endif
