/*
 * replacements: the list "replacements" of the find-replace actions (spec traffic-policy 6.20, 6.21):
 * reading it, and applying it to a text.
 * Owns:   its patterns and templates.
 * Thread: const once read.
 * Limits: REPLACEMENTS_MAX entries; a text may grow to the maximum that the caller says.
 */
#ifndef POLICY_REPLACEMENTS_H
#define POLICY_REPLACEMENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "policy/cel/value.h"
#include "policy/fields.h"

struct action_run;
struct pattern;
struct template;

enum { REPLACEMENTS_MAX = 100 };

struct replacement {
    struct pattern *from;   /* owned */
    struct template *to;    /* owned; NULL: delete the match */
    struct template *field; /* owned; of event streams; NULL: data */
};

struct replacements {
    struct replacement *items; /* owned */
    size_t count;
};

enum replacements_kind { REPLACEMENTS_BODY, REPLACEMENTS_EVENT_STREAM };
void replacements_read(const struct fields *c, enum replacements_kind kind,
                       struct replacements *out);
void replacements_fini(struct replacements *r);

/*
 * Replaces all matches of one entry. *out is initialized by the caller with its maximum and holds the
 * new text if *matched has p != NULL: the first match, borrowed from `text`. -1 with
 * E_REPLACE_INTERPOLATION, E_REPLACE_REGEX or E_REPLACE_FAILED.
 */
int replacement_apply(const struct replacement *r, struct action_run *run, struct str text,
                      struct buf *out, struct str *matched, struct err *e);

/* {"replacement_index": index, "matched_content": text}, for results; the text is copied. */
struct cel_value replacement_result(struct action_run *run, size_t index, struct str matched);
/* {"replacements": [items]} as the result of the action. */
void replacements_set_result(struct action_run *run, const struct cel_value *items, size_t count);

#endif
