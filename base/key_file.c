#include "base/key_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/new_file.h"
#include "base/rand.h"

/* Reads up to n bytes of fd. Returns how many, or -1 with errno. */
static ssize_t read_up_to(int fd, uint8_t *p, size_t n)
{
    size_t have = 0;

    while (have < n) {
        ssize_t got = read(fd, p + have, n - have);

        if (got == 0)
            break;
        if (got == -1 && errno != EINTR)
            return -1;
        if (got > 0)
            have += (size_t)got;
    }
    return (ssize_t)have;
}

static int read_key(int fd, const char *path, const char *loss, uint8_t out[KEY_FILE_BYTES],
                    struct err *e)
{
    uint8_t bytes[KEY_FILE_BYTES + 1]; /* one more tells that the file is longer */
    ssize_t n = read_up_to(fd, bytes, sizeof(bytes));
    int rc = 0;

    if (n == KEY_FILE_BYTES)
        memcpy(out, bytes, KEY_FILE_BYTES);
    else if (n == -1)
        rc = err_set_errno(e, errno, "cannot read %s", path);
    else
        rc = err_set(e, E_SYSTEM,
                     "%s is damaged (it must have %d bytes); restore it, or remove it and %s", path,
                     KEY_FILE_BYTES, loss);
    mem_wipe(bytes, sizeof(bytes));
    return rc;
}

static int load(int fd, const char *path, const char *loss, uint8_t out[KEY_FILE_BYTES],
                struct err *e)
{
    struct stat st;

    if (fstat(fd, &st) == -1)
        return err_set_errno(e, errno, "cannot look at %s", path);
    if ((st.st_mode & 077) != 0)
        return err_set(e, E_SYSTEM,
                       "%s may be used by others (mode %03o); if nobody has seen it: chmod 600",
                       path, st.st_mode & 0777);
    return read_key(fd, path, loss, out, e);
}

static int make(const char *path, uint8_t out[KEY_FILE_BYTES], struct err *e)
{
    struct new_file f;

    if (new_file_start(&f, path, e) == -1)
        return -1;
    rand_bytes(out, KEY_FILE_BYTES);
    if (write(f.fd, out, KEY_FILE_BYTES) == KEY_FILE_BYTES)
        return new_file_finish(&f, e);
    (void)err_set_errno(e, errno, "cannot write %s", f.draft);
    new_file_drop(&f);
    return -1;
}

int key_file_load(const char *path, const char *loss, uint8_t out[KEY_FILE_BYTES], struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int rc;

    if (fd == -1)
        return errno == ENOENT ? make(path, out, e)
                               : err_set_errno(e, errno, "cannot open %s", path);
    rc = load(fd, path, loss, out, e);
    (void)close(fd); /* only read from */
    return rc;
}
