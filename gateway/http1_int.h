/*
 * http1_int: what heads and trailers have in common. For http1*.c and their tests only.
 * Thread: any; pure.
 */
#ifndef GATEWAY_HTTP1_INT_H
#define GATEWAY_HTTP1_INT_H

#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

/*
 * The strict check of field lines (RFC 9112 section 5): each a token, a colon without space before
 * it, a value without controls, CRLF. No folding, no empty line. *count is set to how many there
 * are. Returns 0, or -1 with E_BAD_REQUEST or, past HTTP1_HEADERS_MAX lines, E_HEAD_TOO_LARGE.
 */
int http1_check_fields(struct str lines, size_t *count, struct err *e);

#endif
