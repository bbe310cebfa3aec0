#include "gateway/file_read.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { PIECE_BYTES = 16 * 1024 };

static int read_all(int fd, struct buf *out, struct err *e)
{
    for (;;) {
        char piece[PIECE_BYTES];
        ssize_t n = read(fd, piece, sizeof(piece));

        if (n == 0)
            return 0;
        if (n == -1 && errno == EINTR)
            continue;
        if (n == -1)
            return err_set_errno(e, errno, "cannot read it");
        buf_add(out, piece, (size_t)n);
        if (buf_failed(out))
            return err_set(e, E_LIMIT, "it has more than %zu bytes", out->max);
    }
}

int file_read(const char *path, struct buf *out, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int rc;

    if (fd == -1)
        return err_set_errno(e, errno, "cannot open it");
    rc = read_all(fd, out, e);
    (void)close(fd); /* only read from */
    return rc;
}

int file_read_or_stdin(const char *path, struct buf *out, struct err *e)
{
    return strcmp(path, "-") == 0 ? read_all(STDIN_FILENO, out, e) : file_read(path, out, e);
}
