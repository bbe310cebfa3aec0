/*
 * key_file: a secret of random bytes in a file of its own, made when it is first asked for.
 * Thread: any that may block.
 */
#ifndef BASE_KEY_FILE_H
#define BASE_KEY_FILE_H

#include <stdint.h>

#include "base/err.h"

enum { KEY_FILE_BYTES = 32 };

/*
 * Reads the key, or makes it (0600). Returns 0, or -1 with E_SYSTEM: it cannot be read or made,
 * others may read it, or it has another length. `loss` says what becomes of things when the file is
 * removed and a new key made, as in "random names will change".
 */
int key_file_load(const char *path, const char *loss, uint8_t out[KEY_FILE_BYTES], struct err *e);

#endif
