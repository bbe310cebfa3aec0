/*
 * text_file: a whole file in memory.
 * Thread: any that may block.
 */
#ifndef GATEWAY_TEXT_FILE_H
#define GATEWAY_TEXT_FILE_H

#include "base/buf.h"
#include "base/err.h"

/* Appends the file, or standard input for "-", until the buffer's maximum. -1 with E_SYSTEM. */
int text_file_read(const char *path, struct buf *out, struct err *e);

#endif
