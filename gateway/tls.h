/*
 * tls: TLS of the downstream side, by OpenSSL: server contexts, certificates by name, tickets.
 * All OpenSSL types stay in tls*.c. TLS 1.2 and 1.3, ALPN "h2" and "http/1.1", SNI required.
 * A struct tls is immutable and counted: a reload builds a new one, connections keep theirs. Only
 * the cache of minted leaves and the ticket keys change inside, each guarded for all workers.
 * Thread: tls_new() on main; sessions on their worker.
 */
#ifndef GATEWAY_TLS_H
#define GATEWAY_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct arena;
struct config;
struct tls;
struct tls_attached;
struct tls_cert;
struct tls_profile;
struct tls_session;

/* May a certificate be made for this (folded) host? Asked on the worker that needs it. */
typedef bool tls_may_mint_fn(void *arg, struct str host);

/*
 * Loads the configured certificates and, from state_dir, the local CA (made there when missing,
 * "ca.crt" and "ca.key" 0600). Problems are appended as "FILE:LINE: text\n" and NULL returned.
 * `previous` (may be NULL) gives its ticket keys and CA on, so a reload drops no resumption.
 */
struct tls *tls_new(const struct config *config, struct tls *previous, struct buf *problems);
/* The same with certificates of the management API under those of the configuration. Gets references of its
 * own. */
struct tls *tls_over(struct tls *configured, struct tls_attached *attached);
void tls_ref(struct tls *t);
void tls_unref(struct tls *t);

/*
 * A server session for one accepted socket. may_mint(arg) guards the local CA: a name that is
 * neither configured nor allowed gets the alert unrecognized_name.
 */
struct tls_session *tls_session_new(struct tls *t, int fd, tls_may_mint_fn *may_mint, void *arg);
void tls_session_free(struct tls_session *s);

/*
 * Before the handshake: the settings of a profile in place of the gateway's (NULL: its own); visitors
 * may send certificates of at most max_bytes. Counts the profile. -1 with E_CERTIFICATE_PEM.
 */
int tls_session_set_profile(struct tls_session *s, struct tls_profile *profile, size_t max_bytes,
                            struct err *e);
/* Before the handshake: what TLS carries is no protocol of the gateway's, so none is agreed on (ALPN). A
 * `name` (folded, copied) stands for that of clients that send none; empty: they are refused. */
void tls_session_set_raw(struct tls_session *s, struct str name);
/* Before the handshake: whatever name the client sends, this one (folded, copied) is meant. */
void tls_session_set_host(struct tls_session *s, struct str name);

enum tls_status {
    TLS_OK,         /* some bytes moved, or the handshake is done */
    TLS_WANT_READ,  /* try again when the socket is readable */
    TLS_WANT_WRITE, /* try again when the socket is writable */
    TLS_EOF,        /* the peer sent close_notify */
    TLS_FAILED,     /* over; tls_session_error() says why */
};

/*
 * A session encrypts into its own bounded store what the socket does not take at once. While it
 * holds such bytes, tls_write() takes nothing.
 */
enum { TLS_HELD_MAX_BYTES = 128 * 1024 };

enum tls_status tls_handshake(struct tls_session *s);
/*
 * Fills the room of *n bytes at p as far as there is data; *n becomes the bytes moved.
 * TLS_WANT_WRITE: the peer has made the session answer more than it reads; tls_flush() first.
 */
enum tls_status tls_read(struct tls_session *s, char *p, size_t *n);
/*
 * Takes what it can of the *n bytes at p; *n becomes the bytes taken, whatever the status says; the
 * caller is free to offer other bytes next. TLS_WANT_WRITE: encrypted bytes are held, tls_flush()
 * when the socket is writable.
 */
enum tls_status tls_write(struct tls_session *s, const char *p, size_t *n);
/* Gives held bytes to the socket. TLS_OK: none is left. */
enum tls_status tls_flush(struct tls_session *s);
/* Sends close_notify, behind what is held; TLS_WANT_WRITE: tls_flush(), or just close. */
enum tls_status tls_shutdown(struct tls_session *s);
/* True if tls_read() would return bytes without the socket becoming readable. */
bool tls_has_pending(const struct tls_session *s);

/* After the handshake: the folded SNI name, "TLSv1.3", the cipher suite's name at IANA. */
struct str tls_server_name(const struct tls_session *s);
const char *tls_version(const struct tls_session *s);
const char *tls_cipher(const struct tls_session *s);
/* The protocol that was agreed on, or empty. */
struct str tls_alpn(const struct tls_session *s);
/* What the visitor's certificate says, borrowed from the session; NULL: it sent none. */
const struct tls_cert *tls_client_cert(const struct tls_session *s);
/* The profile of the session, borrowed, or NULL. */
const struct tls_profile *tls_session_profile(const struct tls_session *s);
/* Why a session failed, for the log; a static text. */
const char *tls_session_error(const struct tls_session *s);
/* The errno with which the socket failed, or 0 when it was TLS itself. */
int tls_session_errno(const struct tls_session *s);

/* After TLS_EOF: true when the peer closed the socket without close_notify. No client that still waits
 * for an answer does that; with TCP alone it could be a half-close. */
bool tls_is_cut(const struct tls_session *s);

/* True if `host` (folded) is covered by the certificate this session presented (RFC 9110 7.4: 421
 * otherwise, once one connection carries several hosts). */
bool tls_covers(const struct tls_session *s, struct str host);

#endif
