/*
 * shared_text: an immutable text that several hold, on any thread: copied once, freed with its last holder,
 * and wiped then, as it may have passwords in it.
 * Owns:   its bytes.
 * Thread: any.
 */
#ifndef BASE_SHARED_TEXT_H
#define BASE_SHARED_TEXT_H

#include "base/str.h"

struct shared_text;

/* A copy with one reference. */
struct shared_text *shared_text_new(struct str text);
/* NULL is fine for all three, and is the empty text. */
void shared_text_ref(struct shared_text *t);
void shared_text_unref(struct shared_text *t);
struct str shared_text_str(const struct shared_text *t);

#endif
