/*
 * problems: the inside of struct policy_problems.
 * Limits: PROBLEMS_MAX errors and as many warnings are kept; a last line says how many more there were.
 * Thread: its maker's.
 */
#ifndef POLICY_PROBLEMS_H
#define POLICY_PROBLEMS_H

#include "policy/doc.h"

enum { PROBLEMS_MAX = 100, PROBLEM_TEXT_BYTES = 400, PROBLEM_HINT_BYTES = 1024 };

/*
 * Adds an error; returns -1. `document` (copied) is the name of the document. A NULL hint is none.
 */
int problems_add(struct policy_problems *p, struct str document, struct doc_place at,
                 enum err_code code, const char *hint, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));
void problems_warn(struct policy_problems *p, struct str document, struct doc_place at,
                   const char *fmt, ...) __attribute__((format(printf, 4, 5)));

#endif
