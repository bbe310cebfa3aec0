/*
 * state_dir: the folder where the gateway keeps its keys and certificates between runs.
 * It is made at first start with mode 0700, and locked while in use, because two processes would
 * answer for the same names and share ports without noticing (SO_REUSEPORT).
 * Thread: main.
 */
#ifndef GATEWAY_STATE_DIR_H
#define GATEWAY_STATE_DIR_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/key_file.h"

enum { STATE_DIR_SECRET_BYTES = KEY_FILE_BYTES };

/*
 * Makes dir (not its parents) when it is missing, and locks it. Returns the lock, a descriptor that
 * the caller closes at the end, or -1 with E_SYSTEM: cannot be made or written, is no folder, belongs
 * to someone else, or another process has it.
 */
int state_dir_open(const char *dir, struct err *e);

/*
 * Reads the secret `name` in dir, or makes it from random bytes (mode 0600). Returns 0, or -1 with
 * E_SYSTEM; a file of another length, or that others may read, is refused, with `loss` as of
 * key_file_load().
 */
int state_dir_secret(const char *dir, const char *name, const char *loss,
                     uint8_t out[STATE_DIR_SECRET_BYTES], struct err *e);

#endif
