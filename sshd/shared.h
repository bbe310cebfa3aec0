/*
 * shared: what the SSH fronts of all workers have in common (struct sshd_shared).
 * Owns:   the host keys, one reference to the first set of allowed keys, and the counts of live
 *         sessions per key and per address.
 * Thread: everything but shared_enter(), shared_leave() and shared_serial() is constant once made;
 *         those three are for any thread. The lock is taken at login and logout only.
 */
#ifndef SSHD_SHARED_H
#define SSHD_SHARED_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <libssh/libssh.h>

#include "base/addr.h"
#include "base/err.h"
#include "sshd/sshd.h"
#include "tunnel/authkeys.h"

struct tally;

struct sshd_shared {
    ssh_key host_keys[SSHD_HOST_KEYS]; /* owned */
    size_t host_key_count;
    struct sshd_settings settings;        /* at start; each sshd has its own afterwards */
    struct authkeys *keys;                /* counted */
    const struct host_suffixes *suffixes; /* borrowed: outlives us */
    struct control *control;              /* borrowed: outlives us */
    struct sshd_api api;
    _Atomic uint64_t serial;
    pthread_mutex_t lock;  /* guards tallies */
    struct tally *tallies; /* owned */
};

/* The references that settings hold: a copy that is kept needs its own. */
void settings_ref(const struct sshd_settings *s);
void settings_unref(const struct sshd_settings *s);

/* A number for a session that no other session of the process has. */
uint64_t shared_serial(struct sshd_shared *sh);

/*
 * Counts a session of this key from this address in; IPv6 addresses count per /64. Returns 0, or
 * -1 with E_SESSION_LIMIT, and counts nothing then.
 */
int shared_enter(struct sshd_shared *sh, const uint8_t key[AUTHKEY_FINGERPRINT_BYTES],
                 const struct addr *client, const struct sshd_settings *limits, struct err *e);
/* Counts it out again. */
void shared_leave(struct sshd_shared *sh, const uint8_t key[AUTHKEY_FINGERPRINT_BYTES],
                  const struct addr *client);

#endif
