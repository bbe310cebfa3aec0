/*
 * Events as lines of a file. The file is opened when there is something to write, and stays open until
 * it is told that it was moved (logrotate): what is written in between is in the file that was moved,
 * and nothing is lost. Writing is done here and now: a worker that delivers events does nothing else.
 *
 * A line that did not fit on the disk is cut off again, so the file has whole lines only.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "gateway/event_outlet.h"

enum { FILE_MODE = 0640 };

struct event_file {
    int fd;       /* owned; -1: not open */
    bool is_torn; /* half a line stands at its end and could not be cut off */
    struct buf out;
};

static void close_file(struct event_file *f)
{
    if (f->fd != -1)
        (void)close(f->fd); /* what write() took is with the kernel */
    f->fd = -1;
    f->is_torn = false;
}

static void *file_open(struct event_outlet *o)
{
    struct event_file *f = mem_zalloc(sizeof(*f));

    (void)o;
    f->fd = -1;
    buf_init(&f->out, SIZE_MAX / 2); /* a batch has its own limit */
    return f;
}

static int ensure_open(struct event_outlet *o, struct event_file *f, struct err *e)
{
    struct stat st;
    char *path;

    if (f->fd != -1)
        return 0;
    path = str_dup(o->settings->path);
    /* Opening a pipe that nobody reads would wait without O_NONBLOCK; files do not mind it. */
    f->fd =
        open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, FILE_MODE);
    if (f->fd == -1)
        (void)err_set_errno(e, errno, "%s", path);
    else if (fstat(f->fd, &st) == -1 || !S_ISREG(st.st_mode)) {
        (void)err_set(e, E_EVENT_TARGET, "%s is no file", path);
        close_file(f);
    }
    mem_free(path);
    return f->fd == -1 ? -1 : 0;
}

/* How many whole lines of the batch are among its first `written` bytes; *whole is their length. */
static size_t count_lines(const struct event_queue *q, size_t written, size_t *whole)
{
    const struct event_text *t = q->first;
    size_t lines = 0;

    *whole = 0;
    for (; lines < q->in_flight && *whole + t->n + 1 <= written; t = t->next) {
        *whole += t->n + 1;
        lines++;
    }
    return lines;
}

/* Writes all of s; returns how many bytes it was. */
static size_t write_some(int fd, struct str s, struct err *e)
{
    size_t done = 0;

    while (done < s.n) {
        ssize_t n = write(fd, s.p + done, s.n - done);

        if (n > 0) {
            done += (size_t)n;
        } else if (n == 0 || errno != EINTR) {
            (void)err_set_errno(e, n == 0 ? ENOSPC : errno, "the file cannot be written");
            break;
        }
    }
    return done;
}

static void cut_off(struct event_file *f, size_t bytes)
{
    off_t end = lseek(f->fd, 0, SEEK_END);

    f->is_torn = bytes > 0 && (end < (off_t)bytes || ftruncate(f->fd, end - (off_t)bytes) == -1);
}

static enum event_sent file_send(struct event_outlet *o, size_t *arrived, struct err *e)
{
    struct event_file *f = o->target;
    const struct event_text *t = o->queue.first;
    size_t written;
    size_t whole;

    if (ensure_open(o, f, e) == -1)
        return EVENT_FAILED;
    if (f->is_torn && write_some(f->fd, STR("\n"), e) < 1)
        return EVENT_FAILED;
    f->is_torn = false;
    buf_clear(&f->out);
    for (size_t i = 0; i < o->queue.in_flight; i++, t = t->next) {
        buf_add(&f->out, t->p, t->n);
        buf_add_char(&f->out, '\n');
    }
    written = write_some(f->fd, buf_str(&f->out), e);
    *arrived = count_lines(&o->queue, written, &whole);
    if (written == f->out.len)
        return EVENT_SENT;
    cut_off(f, written - whole);
    return EVENT_FAILED;
}

static void file_reopen(struct event_outlet *o)
{
    close_file(o->target);
}

static void file_close(struct event_outlet *o)
{
    struct event_file *f = o->target;

    close_file(f);
    buf_fini(&f->out);
    mem_free(f);
}

const struct event_target_ops event_file_target = {
    .name = "file",
    .open = file_open,
    .send = file_send,
    .reopen = file_reopen,
    .close = file_close,
};
