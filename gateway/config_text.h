/*
 * config_text: makes the text of a configuration file safe for libconfig 1.5, which reads a number
 * without the suffix L by atoi(), so that 4294967297 silently becomes 1. Here every whole number gets
 * its L. @include is refused: the numbers of included files would go unseen.
 * Thread: any; pure.
 */
#ifndef GATEWAY_CONFIG_TEXT_H
#define GATEWAY_CONFIG_TEXT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

/*
 * Appends to `out` the text with its lines where they were. Returns 0, or -1 with E_SYNTAX and, in
 * *line, where that is.
 */
int config_text_widen(struct str text, struct buf *out, unsigned *line, struct err *e);

#endif
