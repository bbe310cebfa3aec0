/*
 * message_text: bytes of a message made fit for expressions, which only know valid UTF-8.
 * Owns:   nothing; what has to change is copied to the arena, all else is borrowed as it is.
 * Thread: any; pure.
 */
#ifndef POLICY_MESSAGE_TEXT_H
#define POLICY_MESSAGE_TEXT_H

#include "base/arena.h"
#include "base/str.h"

/* With U+FFFD in place of each run of bytes that is not UTF-8. */
struct str message_text_clean(struct arena *a, struct str s);
/* With A to Z in lower case. */
struct str message_text_lower(struct arena *a, struct str s);
/* The parts one after the other. */
struct str message_text_join(struct arena *a, const struct str *parts, size_t count);

#endif
