/*
 * The files are looked at twice a second. inotify would be told at once, but not about symbolic
 * links, network file systems or a folder that is replaced as a whole; and libev's ev_stat compares
 * whole seconds, so it misses a key that is replaced by another in the second the file was read.
 * A change counts once two looks in a row see the same: an editor that truncates and then writes
 * must not make an empty key list, which would end every session.
 */
#include "gateway/file_watch.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <ev.h>

#include "base/mem.h"

#define FILE_WATCH_PERIOD_S 0.5

/* What tells one state of a file from another; all zero while there is none. */
struct look {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec modified;
    struct timespec changed;
};

struct watched {
    char *path;        /* owned */
    struct look known; /* when fn() was last called */
    struct look last;  /* at the latest look */
};

struct file_watch {
    struct ev_loop *loop; /* borrowed: outlives us */
    file_watch_fn *fn;
    void *arg;
    struct watched *files; /* owned */
    size_t count;
    ev_timer timer;
};

static struct look look_at(const char *path)
{
    struct look l;
    struct stat st;

    memset(&l, 0, sizeof(l));
    if (stat(path, &st) == -1)
        return l; /* not there, for now */
    l.dev = st.st_dev;
    l.ino = st.st_ino;
    l.size = st.st_size;
    l.modified = st.st_mtim;
    l.changed = st.st_ctim;
    return l;
}

static bool is_same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool is_same(const struct look *a, const struct look *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
           is_same_time(a->modified, b->modified) && is_same_time(a->changed, b->changed);
}

static void on_period(struct ev_loop *loop, ev_timer *timer, int revents)
{
    struct file_watch *f = timer->data;
    bool changed = false;
    bool at_rest = true;

    (void)loop;
    (void)revents;
    for (size_t i = 0; i < f->count; i++) {
        struct watched *w = &f->files[i];
        struct look now = look_at(w->path);

        at_rest = at_rest && is_same(&now, &w->last);
        changed = changed || !is_same(&now, &w->known);
        w->last = now;
    }
    if (!changed || !at_rest)
        return;
    for (size_t i = 0; i < f->count; i++)
        f->files[i].known = f->files[i].last;
    f->fn(f->arg);
}

struct file_watch *file_watch_new(struct ev_loop *loop, const char *const *paths, size_t count,
                                  file_watch_fn *fn, void *arg)
{
    struct file_watch *f = mem_zalloc(sizeof(*f));

    f->loop = loop;
    f->fn = fn;
    f->arg = arg;
    f->count = count;
    f->files = mem_zalloc_array(count, sizeof(*f->files));
    for (size_t i = 0; i < count; i++) {
        f->files[i].path = mem_strdup(paths[i]);
        f->files[i].known = look_at(paths[i]);
        f->files[i].last = f->files[i].known;
    }
    ev_timer_init(&f->timer, on_period, FILE_WATCH_PERIOD_S, FILE_WATCH_PERIOD_S);
    f->timer.data = f;
    return f;
}

void file_watch_start(struct file_watch *f)
{
    if (f->count > 0)
        ev_timer_start(f->loop, &f->timer);
}

void file_watch_stop(struct file_watch *f)
{
    ev_timer_stop(f->loop, &f->timer);
}

void file_watch_free(struct file_watch *f)
{
    if (f == NULL)
        return;
    file_watch_stop(f);
    for (size_t i = 0; i < f->count; i++)
        mem_free(f->files[i].path);
    mem_free(f->files);
    mem_free(f);
}
