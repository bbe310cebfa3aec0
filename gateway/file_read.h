/*
 * file_read: a whole file, for configuration and what it names, and for commands.
 * Thread: any; blocks on the file, so for start, reload and commands.
 */
#ifndef GATEWAY_FILE_READ_H
#define GATEWAY_FILE_READ_H

#include "base/buf.h"
#include "base/err.h"

/*
 * Appends the file at `path` to `out`. Returns 0, or -1 with E_SYSTEM, or E_LIMIT when out's maximum is
 * passed; the message does not name the file.
 */
int file_read(const char *path, struct buf *out, struct err *e);
/* The same; "-" is standard input. */
int file_read_or_stdin(const char *path, struct buf *out, struct err *e);

#endif
