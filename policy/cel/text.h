/*
 * text: values as text: numbers, durations, UTF-8, and text that grows in the arena of a run.
 * Owns:   nothing; what is made lives in the arena of the run.
 * Thread: the one that evaluates; what takes no run is pure.
 * Limits: those of the run.
 */
#ifndef POLICY_CEL_TEXT_H
#define POLICY_CEL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "policy/cel/run.h"
#include "policy/cel/value.h"

/* ---- numbers ---- */

/* How the digits of a double are laid out. */
enum cel_double_layout {
    CEL_DOUBLE_STRING, /* string(): an exponent below -4 and from 6 on (spec cel 7) */
    CEL_DOUBLE_PLAIN,  /* interpolation, JSON: an exponent below -6 and from 21 on */
    CEL_DOUBLE_FIXED,  /* format(): never an exponent */
};

/* Room for the longest: "-0." with 323 zeros and 17 digits behind it. */
enum { CEL_DOUBLE_BYTES = 352, CEL_INT_BYTES = 21 };

/*
 * The fewest digits that read back as d, without a point behind whole numbers ("100", "-0",
 * "1e+06"). NaN and infinities are "NaN", "+Inf", "-Inf" in each layout. The text lies in `out`.
 */
struct str cel_double_text(double d, enum cel_double_layout layout, char out[CEL_DOUBLE_BYTES]);
struct str cel_int_text(int64_t i, char out[CEL_INT_BYTES]);
struct str cel_uint_text(uint64_t u, char out[CEL_INT_BYTES]);

/* ---- UTF-8 ---- */

/* The bytes as a string, each run of bytes that is not UTF-8 replaced by U+FFFD. Text that needs no
 * replacement is not copied. */
struct cel_value cel_utf8_clean(struct cel_run *run, struct str bytes);

/* ---- text that grows ---- */

/*
 * Text under construction. Appends are sticky: after one that meets a limit of the run the next do
 * nothing, and cel_text_done() gives the error. Charges for what it appends.
 */
struct cel_text {
    struct cel_run *run; /* borrowed */
    char *p;             /* borrowed: in the arena */
    size_t n;
    size_t cap;
    bool failed;
};

void cel_text_init(struct cel_text *t, struct cel_run *run);
void cel_text_add(struct cel_text *t, struct str s);
void cel_text_add_char(struct cel_text *t, char c);
/* The text as a STRING, or the error of the run. */
struct cel_value cel_text_done(struct cel_text *t);

#endif
