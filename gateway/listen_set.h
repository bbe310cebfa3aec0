/*
 * listen_set: the listening sockets of all workers on some addresses, bound all or none: those of the
 * configuration before any worker starts, so that an address that cannot be had ends the program
 * before it serves anything, and those of a TCP endpoint before its claim is answered.
 * Each worker has a socket of its own on each address (SO_REUSEPORT). Where the configuration says
 * port 0, the kernel picks one for the first worker and the others share it.
 * Owns:   the descriptors, until listen_set_take() hands a worker its own.
 * Thread: main, or control; listen_set_take() on the worker, of different workers at the same time.
 */
#ifndef GATEWAY_LISTEN_SET_H
#define GATEWAY_LISTEN_SET_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "gateway/config.h"

struct listen_set {
    struct config_listen bound; /* the addresses with their real ports */
    size_t workers;
    int *fds; /* owned: of worker 0, then of worker 1, ...; -1: handed out */
};

/* Whether a socket of this process may be on an address already. Other programs never may. */
enum listen_others { LISTEN_ALONE, LISTEN_BESIDE_OURS };

/* Returns 0, or -1 with E_SYSTEM naming the address; then nothing stays bound. */
int listen_set_init(struct listen_set *s, const struct config_listen *wanted, size_t workers,
                    enum listen_others others, struct err *e);
void listen_set_fini(struct listen_set *s);

/* The sockets of one worker, s->bound.count of them; they are the caller's then. */
void listen_set_take(struct listen_set *s, size_t worker, int out[CONFIG_LISTEN_MAX]);

/* Appends the addresses as "1.2.3.4:80,[::]:80". */
void listen_set_format(const struct listen_set *s, struct buf *out);

#endif
