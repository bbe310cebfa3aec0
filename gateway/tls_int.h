/*
 * tls_int: what contexts (tls.c), sessions (tls_session.c) and the socket under OpenSSL (tls_bio.c) know
 * of each other. For tls*.c only.
 * Thread: a session is its worker's.
 */
#ifndef GATEWAY_TLS_INT_H
#define GATEWAY_TLS_INT_H

#include <openssl/ssl.h>

#include "base/arena.h"
#include "base/ref.h"
#include "gateway/tls.h"

struct local_ca;
struct tls_attached;
struct tls_certs;
struct tls_pair;
struct tls_tickets;

enum {
    TLS_RECORD_BYTES = SSL3_RT_MAX_PLAIN_LENGTH,
    TLS_RECORD_ROOM_BYTES = SSL3_RT_MAX_ENCRYPTED_LENGTH + SSL3_RT_HEADER_LENGTH,
};

struct tls {
    struct ref ref;
    SSL_CTX *ctx;                /* counted */
    BIO_METHOD *bio;             /* owned */
    EVP_CIPHER *ticket_cipher;   /* counted */
    struct tls_certs *certs;     /* owned */
    struct local_ca *ca;         /* counted */
    struct tls_tickets *tickets; /* counted */

    struct tls *below; /* counted: whose all of the above is, here borrowed; NULL: it is ours */
    struct tls_attached *attached; /* counted; NULL: none */
};

struct tls_session {
    struct tls *tls; /* counted */
    SSL *ssl;        /* owned */
    int fd;          /* borrowed: closed after us */
    tls_may_mint_fn *may_mint;
    void *arg;
    struct tls_profile *profile; /* counted; NULL: the gateway's own settings */
    bool is_raw;                 /* no ALPN */
    char *default_host;          /* owned: for clients that name none; NULL: they are refused */
    char *only_host;             /* owned: for all clients, whatever they name; NULL: none */
    char *host;                  /* owned: folded; NULL before the ClientHello */
    const struct tls_pair *pair; /* borrowed: of tls; NULL: minted, or none yet */
    const char *error;           /* borrowed: static; NULL: none */
    int sys_errno;               /* of the socket; 0: none */
    bool peer_gone;              /* the socket came to its end */
    bool staging;                /* writes gather in the stage */
    struct tls_cert *client;     /* in the arena; NULL: the visitor has sent none */
    struct arena arena;
    struct buf held; /* encrypted, not yet taken by the socket */
};

/* ---- tls.c ---- */

/* True if the profile of the session brings the certificate. */
bool tls_has_own_certificate(const struct tls_session *s);

/* ---- tls_bio.c ---- */

/* The way of OpenSSL to the socket of a session, which is the data of the BIO. */
BIO_METHOD *tls_bio_method_new(void);
/* Between the two, what OpenSSL writes is gathered, and leaves in as few system calls as possible. */
void tls_stage_start(struct tls_session *s);
void tls_stage_stop(struct tls_session *s);

#endif
