#include "gateway/tls_int.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/mem.h"
#include "gateway/tls_cert.h"
#include "gateway/tls_certs.h"
#include "gateway/tls_profile.h"
#include "tunnel/host.h"

struct tls_session *tls_session_new(struct tls *t, int fd, tls_may_mint_fn *may_mint, void *arg)
{
    struct tls_session *s = mem_zalloc(sizeof(*s));
    BIO *bio = BIO_new(t->bio);

    s->ssl = SSL_new(t->ctx);
    assert(bio != NULL && s->ssl != NULL); /* only memory can be missing */
    tls_ref(t);
    s->tls = t;
    s->fd = fd;
    s->may_mint = may_mint;
    s->arg = arg;
    buf_init(&s->held, TLS_HELD_MAX_BYTES);
    arena_init(&s->arena);
    BIO_set_data(bio, s);
    SSL_set_bio(s->ssl, bio, bio);
    (void)SSL_set_app_data(s->ssl, s); /* fails only without memory */
    SSL_set_accept_state(s->ssl);
    return s;
}

void tls_session_free(struct tls_session *s)
{
    if (s == NULL)
        return;
    SSL_free(s->ssl);
    tls_unref(s->tls);
    tls_profile_unref(s->profile);
    mem_free(s->default_host);
    mem_free(s->only_host);
    mem_free(s->host);
    arena_fini(&s->arena);
    buf_fini(&s->held);
    mem_free(s);
}

int tls_session_set_profile(struct tls_session *s, struct tls_profile *profile, size_t max_bytes,
                            struct err *e)
{
    assert(s->profile == NULL && SSL_in_before(s->ssl));
    if (profile == NULL)
        return 0;
    if (tls_profile_apply(profile, s->ssl, max_bytes, e) == -1)
        return -1;
    tls_profile_ref(profile);
    s->profile = profile;
    return 0;
}

void tls_session_set_raw(struct tls_session *s, struct str name)
{
    assert(s->default_host == NULL && name.n <= HOST_MAX_BYTES);
    s->is_raw = true;
    if (name.n > 0)
        s->default_host = str_dup(name);
}

void tls_session_set_host(struct tls_session *s, struct str name)
{
    assert(s->only_host == NULL && name.n <= HOST_MAX_BYTES);
    s->only_host = str_dup(name);
}

/* Keeps the first reason (NULL: the socket's, or unknown). */
static enum tls_status session_fail(struct tls_session *s, const char *why)
{
    if (why == NULL && s->sys_errno != 0)
        why = strerrordesc_np(s->sys_errno);
    if (s->error == NULL)
        s->error = why != NULL ? why : "TLS failed";
    return TLS_FAILED;
}

/* What a call that returned rc <= 0 came to. */
static enum tls_status session_status(struct tls_session *s, int rc)
{
    enum tls_status status = TLS_FAILED;

    switch (SSL_get_error(s->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
        return TLS_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return TLS_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_EOF;
    case SSL_ERROR_SYSCALL:
        if (s->sys_errno == 0 && s->peer_gone)
            status = TLS_EOF;
        else
            status = session_fail(s, NULL);
        break;
    default:
        status = session_fail(s, ERR_reason_error_string(ERR_peek_error()));
        break;
    }
    ERR_clear_error(); /* the queue is the thread's and would spoil the next session's call */
    return status;
}

/* What is held goes out first; then whether all of it went. */
enum tls_status tls_flush(struct tls_session *s)
{
    struct str held = buf_str(&s->held);

    while (held.n > 0 && s->sys_errno == 0) {
        ssize_t sent = send(s->fd, held.p, held.n, MSG_NOSIGNAL);

        if (sent >= 0)
            held = str_skip(held, (size_t)sent);
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            break;
        else if (errno != EINTR)
            s->sys_errno = errno;
    }
    if (s->sys_errno != 0)
        return session_fail(s, NULL);
    buf_consume(&s->held, s->held.len - held.n);
    if (s->held.len > 0)
        return TLS_WANT_WRITE;
    buf_fini(&s->held);
    return TLS_OK;
}

/* Once, so that what a visitor sent is looked through once, however many requests follow. */
static void read_client(struct tls_session *s)
{
    X509 *x509 = SSL_get0_peer_certificate(s->ssl);

    if (x509 == NULL || s->client != NULL)
        return;
    s->client = arena_zalloc(&s->arena, sizeof(*s->client));
    tls_cert_read(x509, &s->arena, s->client);
    s->client->pem = tls_cert_pem(x509, &s->arena);
}

enum tls_status tls_handshake(struct tls_session *s)
{
    enum tls_status status = TLS_OK;
    enum tls_status flushed;
    int rc;

    tls_stage_start(s);
    ERR_clear_error(); /* others on this thread may have left something */
    rc = SSL_do_handshake(s->ssl);
    if (rc != 1)
        status = session_status(s, rc);
    else
        read_client(s);
    tls_stage_stop(s);
    if (status == TLS_EOF)
        return session_fail(s, "the peer closed the connection in the handshake");
    /* An alert goes out as far as the socket takes it; anything else must go out whole. */
    if (status == TLS_FAILED)
        return status;
    flushed = tls_flush(s);
    return flushed == TLS_OK ? status : flushed;
}

enum tls_status tls_read(struct tls_session *s, char *p, size_t *n)
{
    size_t room = *n;
    int rc;

    ERR_clear_error();
    rc = SSL_read_ex(s->ssl, p, room, n);
    if (rc == 1)
        return TLS_OK;
    *n = 0;
    return session_status(s, rc);
}

/* One record; *n: in, bytes offered, out, taken. */
static enum tls_status write_record(struct tls_session *s, const char *p, size_t *n)
{
    size_t size = *n < TLS_RECORD_BYTES ? *n : TLS_RECORD_BYTES;
    int rc = SSL_write_ex(s->ssl, p, size, n);

    if (rc == 1)
        return TLS_OK;
    *n = 0;
    return session_status(s, rc);
}

enum tls_status tls_write(struct tls_session *s, const char *p, size_t *n)
{
    size_t offered = *n;
    enum tls_status status = TLS_OK;

    *n = 0;
    if (s->held.len > 0) {
        status = tls_flush(s);
        if (status != TLS_OK)
            return status;
    }
    ERR_clear_error();
    /* A single record goes out without the copy to the stage. */
    if (offered > TLS_RECORD_BYTES)
        tls_stage_start(s);
    while (*n < offered && status == TLS_OK && s->held.len == 0) {
        size_t piece = offered - *n;

        status = write_record(s, p + *n, &piece);
        *n += piece;
    }
    tls_stage_stop(s);
    if (status != TLS_OK)
        return status;
    if (s->sys_errno != 0)
        return session_fail(s, NULL);
    return s->held.len > 0 ? TLS_WANT_WRITE : TLS_OK;
}

enum tls_status tls_shutdown(struct tls_session *s)
{
    int rc;

    /* Inside a handshake OpenSSL has no close_notify to give. */
    if ((SSL_get_shutdown(s->ssl) & SSL_SENT_SHUTDOWN) != 0 || SSL_in_init(s->ssl))
        return tls_flush(s);
    ERR_clear_error();
    rc = SSL_shutdown(s->ssl);
    if (rc < 0) {
        enum tls_status status = session_status(s, rc);

        if (status == TLS_FAILED)
            return status;
    }
    return tls_flush(s);
}

bool tls_has_pending(const struct tls_session *s)
{
    return SSL_has_pending(s->ssl) == 1;
}

struct str tls_server_name(const struct tls_session *s)
{
    return str_from(s->host);
}

const char *tls_version(const struct tls_session *s)
{
    return SSL_get_version(s->ssl);
}

const char *tls_cipher(const struct tls_session *s)
{
    const SSL_CIPHER *cipher = SSL_get_current_cipher(s->ssl);

    return cipher == NULL ? "" : SSL_CIPHER_standard_name(cipher);
}

bool tls_server_cert(const struct tls_session *s, struct arena *a, struct tls_cert *out)
{
    X509 *x509 = SSL_get_certificate(s->ssl);

    if (x509 == NULL)
        return false;
    tls_cert_read(x509, a, out);
    return true;
}

const struct tls_cert *tls_client_cert(const struct tls_session *s)
{
    return s->client;
}

const struct tls_profile *tls_session_profile(const struct tls_session *s)
{
    return s->profile;
}

struct str tls_alpn(const struct tls_session *s)
{
    const unsigned char *name;
    unsigned n;

    SSL_get0_alpn_selected(s->ssl, &name, &n);
    return str_of((const char *)name, n);
}

const char *tls_session_error(const struct tls_session *s)
{
    return s->error != NULL ? s->error : "";
}

int tls_session_errno(const struct tls_session *s)
{
    return s->sys_errno;
}

bool tls_is_cut(const struct tls_session *s)
{
    return s->peer_gone;
}

bool tls_covers(const struct tls_session *s, struct str host)
{
    if (tls_has_own_certificate(s))
        return X509_check_host(SSL_get_certificate(s->ssl), host.p, host.n, 0, NULL) == 1;
    if (s->pair != NULL)
        return str_eq(tls_server_name(s), host) || tls_pair_covers(s->pair, host);
    return str_eq(tls_server_name(s), host);
}
