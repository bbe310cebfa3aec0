/*
 * hello_maker: ClientHello messages for tests, from lists of numbers.
 */
#ifndef TESTS_UNIT_GATEWAY_HELLO_MAKER_H
#define TESTS_UNIT_GATEWAY_HELLO_MAKER_H

#include "base/buf.h"
#include "base/str.h"

/* What a hello offers; lists of numbers are like "1301,c02b". */
struct hello_offer {
    unsigned version;
    const char *ciphers;
    const char *extensions; /* in order; those without content below are empty; NULL: none at all */
    const char *algorithms;
    const char *versions;
    const char *name;
    struct str alpn; /* with lengths */
};

/* For "a.test", TLS 1.3. */
extern const struct hello_offer hello_plain;

/* Appends the message without its head. */
void hello_build(struct buf *out, const struct hello_offer *o);
/* Appends a message with this body, in records of at most `piece` bytes. */
void hello_frame(struct buf *out, struct str body, size_t piece);

#endif
