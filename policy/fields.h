/*
 * fields: reading the "config" of an action, field by field. Every problem is reported with its
 * place and reading goes on, so that all of a config's problems are found at once.
 *     struct field f = fields_need(c, "rate");
 *     (void)field_duration(&f, 60000, 86400000, &r->rate_ms);
 * A reader returns 0 and fills *out; 0 and leaves *out alone when the field is absent; -1 with a
 * problem otherwise. Reading an absent or bad field further is harmless.
 * Owns:   nothing; strs that come back are borrowed from the document: copy what you keep.
 * Thread: that of policy_compile(); pure.
 */
#ifndef POLICY_FIELDS_H
#define POLICY_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "policy/doc.h"
#include "policy/policy.h"

struct cel_program;
struct cel_type;
struct pattern;
struct policy_compiler;
struct regex_budget;
struct template;

enum { FIELD_NAME_BYTES = 96 };

/* A mapping that is being read: a config, or a mapping in one. */
struct fields {
    const struct doc_node *map;       /* borrowed; NULL: absent */
    struct policy_compiler *compiler; /* borrowed: phase, limits, problems (policy/compiler.h) */
    char name[FIELD_NAME_BYTES];      /* below "config"; "" is the config itself */
};

/* One field, or one item of a list. */
struct field {
    const struct doc_node *node; /* borrowed; NULL: absent */
    struct policy_compiler *compiler;
    struct doc_place at;         /* where to point when it is absent */
    char name[FIELD_NAME_BYTES]; /* "headers.x-a", "allow[3]" */
};

enum policy_phase fields_phase(const struct fields *c);
const struct policy_limits *fields_limits(const struct fields *c);
const struct policy_params *fields_params(const struct fields *c);
const struct policy_limits *field_limits(const struct field *f);
/* Where the action stands in its policy, as text: "on_http_request[0].actions[1]". */
const char *fields_place(const struct fields *c);

/* What the regular expressions of its policy may come to; NULL: a single action is checked. */
struct regex_budget *field_patterns(const struct field *f);

/* Refuses keys that are not in `known` (ends with NULL), with the nearest one. E_POLICY_CONFIG */
int fields_known(const struct fields *c, const char *const *known);
struct field fields_find(const struct fields *c, const char *key);
/* The same; absent (or null) is a problem: E_POLICY_MISSING. */
struct field fields_need(const struct fields *c, const char *key);
static inline bool field_is_given(const struct field *f)
{
    return f->node != NULL;
}

/* True for what flags made up: there is no line to point at. */
static inline bool field_is_shorthand(const struct field *f)
{
    return f->at.line == 0;
}

/* Reports a problem with the field; returns -1. */
int field_problem(const struct field *f, enum err_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int field_problem_hint(const struct field *f, enum err_code code, const char *hint, const char *fmt,
                       ...) __attribute__((format(printf, 4, 5)));
void field_warn(const struct field *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

int field_bool(const struct field *f, bool *out);                             /* 2203 */
int field_int(const struct field *f, int64_t min, int64_t max, int64_t *out); /* 2203, 2215 */
int field_double(const struct field *f, double min, double max, double *out); /* 2203, 2215 */
/* Go syntax ("90s", "1h30m"); a bare number is refused. 2203, below 2215, above 2225 */
int field_duration(const struct field *f, uint64_t min_ms, uint64_t max_ms, uint64_t *out_ms);
/* The index in `names` (ends with NULL). 2222 */
int field_choice(const struct field *f, const char *const *names, unsigned *out);
/* Literal text of any scalar; "${" is no interpolation here. 2203 */
int field_text(const struct field *f, struct str *out);

/* A list of min..max entries (2203, 2218, 2234); *count is 0 when absent. */
int field_list(const struct field *f, size_t min, size_t max, size_t *count);
struct field field_item(const struct field *list, size_t index);
/* A mapping of at most max entries (2203, 2218). */
int field_map(const struct field *f, size_t max, size_t *count);
struct field field_entry(const struct field *map, size_t index, struct str *key);
/* A mapping as fields; 2203 when it is none, and then reads as empty. */
struct fields field_fields(const struct field *f);

/* Text with "${...}" (policy/template.h); the caller frees it. NULL when absent or bad (2224). */
struct template *field_template(const struct field *f);
/* The same with another code for what does not compile (add-headers: E_POLICY_HEADER_TEMPLATE). */
struct template *field_template_as(const struct field *f, enum err_code code);
/* The same with another code for a bad ${}. */
struct template *field_template_as(const struct field *f, enum err_code code);
/* A bare CEL expression of the given result type (2200); NULL: any. The caller frees it. */
struct cel_program *field_expression(const struct field *f, const struct cel_type *want);
/* A condition that also sees `attempts` and `last_attempt` (spec traffic-policy 6.10). 2200 */
struct cel_program *field_retry_condition(const struct field *f);
/* A regular expression with "${...}" (policy/pattern.h); the caller frees it. 2261 */
struct pattern *field_pattern(const struct field *f);

#endif
