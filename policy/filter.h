/*
 * filter: a step that response body bytes pass on their way to the visitor.
 * push() and finish() append what may go on to `out`; -1 with why the response must be cut. The
 * caller hands in at most FILTER_INPUT_MAX_BYTES at once, and `out` has a maximum of its own.
 * Thread: that of the exchange.
 */
#ifndef POLICY_FILTER_H
#define POLICY_FILTER_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum { FILTER_INPUT_MAX_BYTES = 16 * 1024, FILTER_OUTPUT_MAX_BYTES = 8 * 1024 * 1024 };

struct policy_filter;

struct policy_filter_ops {
    const char *name;
    int (*push)(struct policy_filter *f, struct str in, struct buf *out, struct err *e);
    /* What was pushed since the last flush must become visible (event streams). May be NULL. */
    int (*flush)(struct policy_filter *f, struct buf *out, struct err *e);
    int (*finish)(struct policy_filter *f, struct buf *out, struct err *e);
    void (*free)(struct policy_filter *f);
};

struct policy_filter {
    const struct policy_filter_ops *ops; /* borrowed: static */
    struct policy_filter *next;          /* of the host */
};

#endif
