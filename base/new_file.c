#include "base/new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

static void fini(struct new_file *f)
{
    (void)close(f->fd); /* what counts was synced */
    mem_free(f->draft);
    mem_free(f->path);
    *f = (struct new_file){ .fd = -1 };
}

int new_file_start(struct new_file *f, const char *path, struct err *e)
{
    size_t n = strlen(path) + sizeof(".new");

    f->path = mem_strdup(path);
    f->draft = mem_zalloc(n);
    (void)snprintf(f->draft, n, "%s.new", path);
    (void)unlink(f->draft); /* mostly there is none */
    f->fd = open(f->draft, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (f->fd != -1)
        return 0;
    (void)err_set_errno(e, errno, "cannot make %s", f->draft);
    fini(f);
    return -1;
}

/* A name is durable when its folder is. */
static int sync_folder(const struct new_file *f, struct err *e)
{
    const char *folder = dirname(f->draft); /* cuts the path, which has done its work */
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = 0;

    if (fd == -1 || fsync(fd) == -1)
        rc = err_set_errno(e, errno, "cannot sync %s", folder);
    if (fd != -1)
        (void)close(fd); /* only synced */
    return rc;
}

/* link() and not rename(), which would replace what another process has just made. */
int new_file_finish(struct new_file *f, struct err *e)
{
    int rc = 0;

    if (fsync(f->fd) == -1)
        rc = err_set_errno(e, errno, "cannot write %s", f->draft);
    else if (link(f->draft, f->path) == -1)
        rc = err_set_errno(e, errno, "cannot make %s", f->path);
    (void)unlink(f->draft); /* a draft that stays does no harm */
    if (rc == 0)
        rc = sync_folder(f, e);
    fini(f);
    return rc;
}

void new_file_drop(struct new_file *f)
{
    (void)unlink(f->draft); /* a draft that stays does no harm */
    fini(f);
}
