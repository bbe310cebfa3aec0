/*
 * sshd_int: the front of one worker, as its own modules see it.
 * Thread: its worker's.
 */
#ifndef SSHD_SSHD_INT_H
#define SSHD_SSHD_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>
#include <libssh/libssh.h>
#include <libssh/server.h>

#include "base/log.h"
#include "base/metrics.h"
#include "base/ref.h"
#include "sshd/shared.h"
#include "sshd/sshd.h"

struct arrival;
struct chan;
struct direct;
struct farewell;
struct session;

/* One listening socket. */
struct door {
    struct sshd *front; /* borrowed */
    int fd;             /* owned */
    ev_io io;
};

struct sshd {
    struct ref ref;             /* main's, and one for each message under way to it */
    struct worker *worker;      /* borrowed: outlives us */
    struct sshd_shared *shared; /* borrowed: outlives us */
    struct sshd_settings settings;
    struct authkeys *keys; /* counted */
    ssh_bind bind;         /* owned */

    struct door *doors; /* owned */
    size_t door_count;
    ev_timer reopen; /* accepting goes on after descriptors ran out */

    struct session *sessions; /* owned; a hash by serial number */
    size_t session_count;
    size_t unauthenticated;   /* of them not logged in, arrivals, and farewells to such */
    struct arrival *arrivals; /* owned */
    struct chan *orphans;     /* borrowed: their owners must be told that the session is gone */
    struct direct *directs;   /* list; each owns itself until it ends */
    struct sshd_services services;
    struct farewell *farewells; /* owned */
    size_t claims;              /* of endpoints, under way */

    char *scratch; /* owned: settings.channel_window bytes, for channel reads */

    struct log_limit refused_log; /* of what strangers can trigger */
    struct log_limit proxy_log;   /* connections without a proper PROXY header */
    struct log_limit direct_log;  /* channels that clients may not open */
    bool draining;
    worker_fn *closed; /* NULL: sshd_close_all() was not called, or its callback ran */
    bool telling;      /* that callback is on its way */
    void *closed_arg;
};

/* Takes the socket of a client at this address, and begins a session on it. */
void sshd_admit(struct sshd *front, int fd, const struct addr *client);
struct session *sshd_find(struct sshd *front, uint64_t serial);
/* Something ended; when all is gone, the callback of sshd_close_all() runs. */
void sshd_check_closed(struct sshd *front);
/* A reference for a message that is under way. */
void sshd_ref(struct sshd *front);
void sshd_unref(struct sshd *front);
/* At least channel_window bytes to read into, valid until the next call. */
char *sshd_scratch(struct sshd *front, size_t *bytes);

static inline void sshd_count(struct sshd *front, enum metric id, int64_t n)
{
    metrics_add(worker_metrics(front->worker), id, n);
}

#endif
