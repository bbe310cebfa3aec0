#include "gateway/state_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/key_file.h"
#include "base/mem.h"

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
    if (faccessat(AT_FDCWD, dir, R_OK | W_OK | X_OK, AT_EACCESS) == -1)
        return err_set_errno(e, errno, "state_dir %s must be writable", dir);
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

int state_dir_secret(const char *dir, const char *name, const char *loss,
                     uint8_t out[STATE_DIR_SECRET_BYTES], struct err *e)
{
    char *path = join(dir, name);
    int rc = key_file_load(path, loss, out, e);

    mem_free(path);
    return rc;
}
