/*
 * template: text with ${...}: compiled at load, evaluated when an action runs (spec traffic-policy
 * 3.4, 3.5). A text without ${} is a literal and costs nothing.
 * Owns:   its programs and literal text.
 * Thread: any, once compiled.
 */
#ifndef POLICY_TEMPLATE_H
#define POLICY_TEMPLATE_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"
#include "policy/cel/value.h"

struct action_run;
struct policy_compiler;
struct template;

/* A literal, for defaults; `text` is copied. */
struct template *template_literal(struct str text);
/* NULL is fine. */
void template_free(struct template *t);

/* Where the first `c` outside of ${} stands in a text; text.n when there is none. */
size_t template_find_char(struct str text, char c);

/* True and the text, if it has no ${}. NULL is the empty literal. */
bool template_is_literal(const struct template *t, struct str *out);
/* True if the text is nothing but one ${}: template_value() then keeps the type. */
bool template_is_single(const struct template *t);

/*
 * The text; it lies in the run's arena or in the template. -1 with E_POLICY_FIELD_EVALUATION and
 * "FIELD: ..." in the message, or E_POLICY_MEMORY.
 */
int template_text(const struct template *t, struct action_run *run, struct str *out, struct err *e);
/* The value: of the expression itself if there is only one ${}, else the text. */
int template_value(const struct template *t, struct action_run *run, struct cel_value *out,
                   struct err *e);

#endif
