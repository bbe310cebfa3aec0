/*
 * tls_tickets: the keys that session tickets are sealed with.
 * A new key is made every TLS_TICKETS_ROTATE_MS, when someone asks; each opens the tickets it sealed
 * for TLS_TICKETS_LIFETIME_MS after it was replaced, and is wiped then. Keys are never stored, so a
 * stolen disk opens no recorded traffic.
 * Owns:   the keys; counted, since a reload keeps them.
 * Thread: any.
 */
#ifndef GATEWAY_TLS_TICKETS_H
#define GATEWAY_TLS_TICKETS_H

#include <stdbool.h>
#include <stdint.h>

struct tls_tickets;

enum {
    TLS_TICKETS_ROTATE_MS = 12 * 3600 * 1000,
    TLS_TICKETS_LIFETIME_MS = 24 * 3600 * 1000,
    TLS_TICKETS_KEPT = 4, /* the current one and those that still open tickets */
    TLS_TICKETS_NAME_BYTES = 16,
    TLS_TICKETS_SECRET_BYTES = 32,
};

struct tls_ticket_key {
    uint8_t name[TLS_TICKETS_NAME_BYTES]; /* stands open in the ticket */
    uint8_t aes[TLS_TICKETS_SECRET_BYTES];
    uint8_t mac[TLS_TICKETS_SECRET_BYTES];
    uint64_t made_ms; /* 0: none */
};

struct tls_tickets *tls_tickets_new(void);
void tls_tickets_ref(struct tls_tickets *t);
void tls_tickets_unref(struct tls_tickets *t);

/* The key to seal with; now_ms is monotonic. Wipe the copy after use. */
void tls_tickets_current(struct tls_tickets *t, uint64_t now_ms, struct tls_ticket_key *out);

enum tls_tickets_found { TLS_TICKETS_NONE, TLS_TICKETS_OLD, TLS_TICKETS_CURRENT };
/* The key of that name, unless its time is over; OLD: a fresh ticket should be sent. */
enum tls_tickets_found tls_tickets_find(struct tls_tickets *t,
                                        const uint8_t name[TLS_TICKETS_NAME_BYTES], uint64_t now_ms,
                                        struct tls_ticket_key *out);

#endif
