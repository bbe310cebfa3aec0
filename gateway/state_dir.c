#include "gateway/state_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/rand.h"

enum { STATE_DIR_PATH_MAX_BYTES = 4096 };

/* "dir/name", with a NUL; free with mem_free(). */
static char *join(const char *dir, const char *name)
{
    struct buf b;
    char *path;

    buf_init(&b, STATE_DIR_PATH_MAX_BYTES);
    buf_add_fmt(&b, "%s/%s", dir, name);
    path = str_dup(buf_str(&b));
    buf_fini(&b);
    return path;
}

static int check_dir(const char *dir, struct err *e)
{
    struct stat st;

    if (stat(dir, &st) == -1)
        return err_set_errno(e, errno, "cannot use state_dir %s", dir);
    if (!S_ISDIR(st.st_mode))
        return err_set(e, E_SYSTEM, "state_dir %s is not a folder", dir);
    if (st.st_uid != geteuid())
        return err_set(e, E_SYSTEM, "state_dir %s belongs to another user; run as its owner", dir);
    /* Private keys are in it, so nobody else may look; the mode of an old folder is mended. */
    if ((st.st_mode & 077) != 0 && chmod(dir, 0700) == -1)
        return err_set_errno(e, errno, "cannot make state_dir %s private", dir);
    return 0;
}

int state_dir_open(const char *dir, struct err *e)
{
    char *path = NULL;
    int fd = -1;

    if (mkdir(dir, 0700) == -1 && errno != EEXIST)
        return err_set_errno(e, errno, "cannot make state_dir %s", dir);
    if (check_dir(dir, e) == -1)
        return -1;
    path = join(dir, "lock");
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd == -1) {
        (void)err_set_errno(e, errno, "cannot open %s", path);
    } else if (flock(fd, LOCK_EX | LOCK_NB) == -1) {
        if (errno == EWOULDBLOCK)
            (void)err_set(e, E_SYSTEM, "another sallyport uses state_dir %s; stop it first", dir);
        else
            (void)err_set_errno(e, errno, "cannot lock %s", path);
        (void)close(fd); /* nothing was written */
        fd = -1;
    }
    mem_free(path);
    return fd;
}

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

static int load_secret(int fd, const char *path, uint8_t out[STATE_DIR_SECRET_BYTES], struct err *e)
{
    uint8_t bytes[STATE_DIR_SECRET_BYTES + 1];
    ssize_t n = read_up_to(fd, bytes, sizeof(bytes));

    if (n == -1)
        return err_set_errno(e, errno, "cannot read %s", path);
    if (n != STATE_DIR_SECRET_BYTES) {
        mem_wipe(bytes, sizeof(bytes));
        return err_set(e, E_SYSTEM,
                       "%s is damaged (it must have %d bytes); restore it, or remove it and random "
                       "names will change",
                       path, STATE_DIR_SECRET_BYTES);
    }
    memcpy(out, bytes, STATE_DIR_SECRET_BYTES);
    mem_wipe(bytes, sizeof(bytes));
    return 0;
}

/* Written beside its place and moved there, so that a crash leaves no half of it. */
static int make_secret(const char *path, uint8_t out[STATE_DIR_SECRET_BYTES], struct err *e)
{
    char *draft = mem_zalloc(strlen(path) + sizeof(".new"));
    int fd;
    int rc = -1;

    (void)snprintf(draft, strlen(path) + sizeof(".new"), "%s.new", path);
    fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd == -1) {
        (void)err_set_errno(e, errno, "cannot make %s", draft);
        goto out;
    }
    rand_bytes(out, STATE_DIR_SECRET_BYTES);
    if (write(fd, out, STATE_DIR_SECRET_BYTES) != STATE_DIR_SECRET_BYTES || fsync(fd) == -1)
        (void)err_set_errno(e, errno, "cannot write %s", draft);
    else if (rename(draft, path) == -1)
        (void)err_set_errno(e, errno, "cannot move %s into place", draft);
    else
        rc = 0;
    (void)close(fd); /* fsync() told of errors */
out:
    mem_free(draft);
    return rc;
}

int state_dir_secret(const char *dir, const char *name, uint8_t out[STATE_DIR_SECRET_BYTES],
                     struct err *e)
{
    char *path = join(dir, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int rc = -1;

    if (fd != -1) {
        rc = load_secret(fd, path, out, e);
        (void)close(fd); /* only read from */
    } else if (errno == ENOENT) {
        rc = make_secret(path, out, e);
    } else {
        (void)err_set_errno(e, errno, "cannot open %s", path);
    }
    mem_free(path);
    return rc;
}
