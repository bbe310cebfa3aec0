/*
 * forward: the `-R` forwards of one session: what the client asked for, what it was promised, and
 * the endpoints that were made of it.
 * Owns:   its host text, and one reference to each endpoint.
 * Thread: that of its session; pure.
 */
#ifndef SSHD_FORWARD_H
#define SSHD_FORWARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "tunnel/endpoint.h"

struct exec;

enum {
    FORWARD_HOST_MAX_BYTES = 255,
    FORWARD_SLOTS = 2,         /* endpoints of one forward: --scheme http,https */
    FORWARD_FIRST_LABEL = 443, /* promised for port 0, then 444, ... */
};

enum slot_state {
    SLOT_WAITING,  /* not claimed yet */
    SLOT_CLAIMING, /* its policy is compiled, or the control thread was asked */
    SLOT_ONLINE,
    SLOT_FAILED, /* refused */
    SLOT_LOST,   /* taken over by a newer session */
};

/* One endpoint of a forward. */
struct slot {
    enum slot_state state;
    struct endpoint *ep; /* counted; NULL while waiting, and once failed or lost */
};

struct forward {
    uint32_t id;
    char *host;          /* owned: the bytes of the request, which channel opens repeat */
    uint32_t asked_port; /* 0: any */
    uint32_t port;       /* the label that was promised */
    struct exec *exec;   /* borrowed: whose command made the endpoints; NULL: none yet */
    size_t index;        /* its place among the forwards of that command */
    bool announced;      /* its URLs were printed */
    bool cancelled;      /* by the client; freed by the next settling */
    struct slot slots[FORWARD_SLOTS];
    size_t slot_count; /* 0 until the command is known */
    struct forward *prev;
    struct forward *next;
};

struct forwards {
    struct forward *list; /* owned, in the order of the requests */
    size_t count;         /* without the cancelled */
    uint32_t last_id;
};

/*
 * Adds a forward and chooses its label. Returns NULL with E_LIMIT, E_FORWARD_LIMIT,
 * E_FORWARD_PORT or E_DUPLICATE_FORWARD.
 */
struct forward *forwards_add(struct forwards *fs, struct str host, uint32_t port, uint32_t max,
                             struct err *e);
/* The live forward with exactly this host and promised port, or NULL. */
struct forward *forwards_find(const struct forwards *fs, struct str host, uint32_t port);
struct forward *forwards_find_id(const struct forwards *fs, uint32_t id);
/* The client cancelled it: it is found by its id only from now on. */
void forwards_cancel(struct forwards *fs, struct forward *f);
/* Removes and frees it. */
void forwards_remove(struct forwards *fs, struct forward *f);
void forwards_fini(struct forwards *fs);

/* Forgets the endpoints, so that another command may claim them anew. */
void forward_reset(struct forward *f);

/* The number an agent carries for one slot, and back. */
uint32_t forward_slot_number(const struct forward *f, size_t slot);
struct forward *forwards_find_slot(const struct forwards *fs, uint32_t number, size_t *slot);

#endif
