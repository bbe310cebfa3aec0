/*
 * file_watch: tells when one of a few small files has changed and come to rest.
 * Thread: main, on the loop it was started with.
 */
#ifndef GATEWAY_FILE_WATCH_H
#define GATEWAY_FILE_WATCH_H

#include <stddef.h>

struct ev_loop;
struct file_watch;

typedef void file_watch_fn(void *arg);

/* Watches the files at `paths` (copied), from their state of now on. */
struct file_watch *file_watch_new(struct ev_loop *loop, const char *const *paths, size_t count,
                                  file_watch_fn *fn, void *arg);
void file_watch_start(struct file_watch *f);
void file_watch_stop(struct file_watch *f);
void file_watch_free(struct file_watch *f);

#endif
