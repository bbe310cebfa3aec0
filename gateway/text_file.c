#include "gateway/text_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { PIECE_BYTES = 16 * 1024 };

/* A directory opens, but does not read. */
static int read_all(FILE *f, struct buf *out)
{
    char piece[PIECE_BYTES];
    size_t n;

    while (buf_room(out) > 0) {
        size_t want = buf_room(out) < sizeof(piece) ? buf_room(out) : sizeof(piece);

        n = fread(piece, 1, want, f);
        buf_add(out, piece, n);
        if (n < want)
            break;
    }
    return ferror(f) != 0 ? -1 : 0;
}

int text_file_read(const char *path, struct buf *out, struct err *e)
{
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *f = is_stdin ? stdin : fopen(path, "rbe");
    int rc = 0;

    if (f == NULL)
        return err_set_errno(e, errno, "it cannot be opened");
    if (read_all(f, out) == -1)
        rc = err_set_errno(e, errno, "it cannot be read");
    if (!is_stdin)
        (void)fclose(f); /* it was only read */
    return rc;
}
