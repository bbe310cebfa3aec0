/*
 * new_file: a file that is there whole or not at all, also after a loss of power: it is written as
 * "<path>.new", synced, and only then gets its name.
 * Owns:   the descriptor and the draft, until new_file_finish() or new_file_drop().
 * Thread: any that may block.
 */
#ifndef BASE_NEW_FILE_H
#define BASE_NEW_FILE_H

#include "base/err.h"

struct new_file {
    int fd;      /* owned: of the draft, to write to */
    char *draft; /* owned: its path */
    char *path;  /* owned: what it becomes */
};

/*
 * Makes an empty draft, readable for its owner only; that of a start which was cut short is replaced.
 * Returns 0, or -1 with E_SYSTEM and nothing to drop.
 */
int new_file_start(struct new_file *f, const char *path, struct err *e);
/*
 * Syncs the draft and gives it its name, unless there is a file of that name. Returns 0, or -1 with
 * E_SYSTEM and there is no draft any more; f is done with in both cases.
 */
int new_file_finish(struct new_file *f, struct err *e);
/* Removes the draft. */
void new_file_drop(struct new_file *f);

#endif
