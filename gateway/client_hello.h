/*
 * client_hello: the first message of a TLS connection, read before anybody answers it: out of its
 * records (RFC 8446 section 5.1) and into its fields (section 4.1.2).
 * Thread: any; pure.
 * Limits: CLIENT_HELLO_*_MAX_BYTES.
 */
#ifndef GATEWAY_CLIENT_HELLO_H
#define GATEWAY_CLIENT_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum {
    CLIENT_HELLO_MAX_BYTES = 64 * 1024, /* of the message, without its head (spec section 11) */
    CLIENT_HELLO_HEAD_BYTES = 4,
    CLIENT_HELLO_RECORD_HEAD_BYTES = 5,
    /* Of all its records: room for a whole message in pieces of at least 20 bytes. */
    CLIENT_HELLO_RAW_MAX_BYTES = 80 * 1024,
};

enum client_hello_found {
    CLIENT_HELLO_WHOLE,
    CLIENT_HELLO_CUT,       /* more bytes are needed */
    CLIENT_HELLO_TOO_LARGE, /* for the limits above */
    CLIENT_HELLO_NONE,      /* this is another protocol, or another message */
};

/*
 * Looks for the message at the front of a connection, in the n bytes at p, which are brought into
 * one piece where records divide it. CLIENT_HELLO_WHOLE: *message is the message without its head,
 * borrowed from p. CLIENT_HELLO_CUT: *wanted is how many bytes are needed at least, more than n and
 * at most CLIENT_HELLO_RAW_MAX_BYTES.
 */
enum client_hello_found client_hello_find(char *p, size_t n, struct str *message, size_t *wanted);

/* What the message offers; borrowed from it. Without an extension, its str is empty, p NULL. */
struct client_hello {
    unsigned version;         /* legacy_version */
    struct str cipher_suites; /* numbers of two bytes, as the lists below if not said otherwise */
    struct str extensions;    /* all of them, for client_hello_next_extension() */
    struct str server_name;   /* the extension's body, for tls_hello_server_name() */
    struct str alpn;          /* names with a byte of length before each */
    struct str versions;      /* supported_versions */
    struct str signature_algorithms;
};

/* Reads the message. Returns 0, or -1 when a length in it is wrong or an extension of the above is
 * there twice. */
int client_hello_parse(struct str message, struct client_hello *out);

/* Takes the next extension off *rest, which starts as client_hello.extensions. False: no more. */
bool client_hello_next_extension(struct str *rest, unsigned *type, struct str *body);

#endif
