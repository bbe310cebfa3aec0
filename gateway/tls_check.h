/*
 * tls_check: looks at the configured certificates without serving them, and without the local CA,
 * which tls_new() would make in state_dir. For `sallyport check`.
 * Thread: main.
 */
#ifndef GATEWAY_TLS_CHECK_H
#define GATEWAY_TLS_CHECK_H

#include "base/buf.h"

struct config;

/* Returns 0, or -1 with a line "FILE:LINE: text" in `problems` for each that cannot be used. */
int tls_check(const struct config *config, struct buf *problems);

#endif
