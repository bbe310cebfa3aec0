/*
 * OpenSSL talks to the socket through a BIO of our own. What the socket does not take is held here,
 * encrypted, so a write is either taken or not: with OpenSSL's socket BIO a record that was cut
 * short must be offered again byte for byte, which a caller that frames its data anew (chunks, other
 * buffers) could not promise. It also lets the records of one large write, or of one flight of the
 * handshake, go out in one system call.
 *
 * The certificate is chosen in two steps: the ClientHello callback, which comes before everything
 * else and may send any alert, decides by the server name; the certificate callback, which comes
 * only when the handshake is not a resumption, loads (or mints) it.
 *
 * Each server name is a session context of its own, so a ticket resumes only under the name it was
 * given for (RFC 6066 section 3).
 */
#include "gateway/tls.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/ref.h"
#include "gateway/config.h"
#include "gateway/local_ca.h"
#include "gateway/tls_cert.h"
#include "gateway/tls_certs.h"
#include "gateway/tls_hello.h"
#include "gateway/tls_profile.h"
#include "gateway/tls_tickets.h"
#include "tunnel/host.h"

enum {
    TLS_RECORD_BYTES = SSL3_RT_MAX_PLAIN_LENGTH,
    TLS_RECORD_ROOM_BYTES = SSL3_RT_MAX_ENCRYPTED_LENGTH + SSL3_RT_HEADER_LENGTH,
    TLS_STAGE_BYTES = 4 * TLS_RECORD_ROOM_BYTES,
    TLS_READ_AHEAD_BYTES = 4 * TLS_RECORD_ROOM_BYTES, /* exists only while a read is under way */
    TLS_CONTEXT_BYTES = SSL_MAX_SID_CTX_LENGTH,
};

/*
 * Of TLS 1.2: forward secrecy and authenticated encryption only; 1.3 has no other. AES-128 first: no
 * weaker than the key exchange (P-256, X25519), and it costs less. A client that puts ChaCha20 first
 * has no AES instructions and gets it (SSL_OP_PRIORITIZE_CHACHA).
 */
static const char tls12_ciphers[] = "ECDHE+AESGCM+AES128:ECDHE+AESGCM:ECDHE+CHACHA20";
static const char tls13_ciphers[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
                                    "TLS_CHACHA20_POLY1305_SHA256";

struct tls {
    struct ref ref;
    SSL_CTX *ctx;                /* counted */
    BIO_METHOD *bio;             /* owned */
    EVP_CIPHER *ticket_cipher;   /* counted */
    struct tls_certs *certs;     /* owned */
    struct local_ca *ca;         /* counted */
    struct tls_tickets *tickets; /* counted */
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

/* Encrypted bytes on their way to the socket, within one call only. */
static _Thread_local struct {
    size_t n;
    char bytes[TLS_STAGE_BYTES];
} stage;

/* ---- the socket under OpenSSL ----------------------------------------------------------- */

/* Sends what the socket takes, holds the rest. */
static void session_send(struct tls_session *s, const char *p, size_t n)
{
    while (n > 0 && s->sys_errno == 0) {
        ssize_t sent = send(s->fd, p, n, MSG_NOSIGNAL);

        if (sent >= 0) {
            p += sent;
            n -= (size_t)sent;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            buf_add(&s->held, p, n);
            return;
        } else if (errno != EINTR) {
            s->sys_errno = errno;
        }
    }
}

static void stage_flush(struct tls_session *s)
{
    size_t n = stage.n;

    stage.n = 0;
    session_send(s, stage.bytes, n);
}

static int bio_write(BIO *bio, const char *p, int n)
{
    struct tls_session *s = BIO_get_data(bio);
    size_t size = (size_t)n;

    BIO_clear_retry_flags(bio);
    if (s->staging && s->held.len == 0 && size > sizeof(stage.bytes) - stage.n)
        stage_flush(s);
    if (s->sys_errno != 0)
        return -1;
    if (s->held.len > 0) {
        if (size > buf_room(&s->held)) {
            BIO_set_retry_write(bio);
            return -1;
        }
        buf_add(&s->held, p, size);
    } else if (s->staging && size <= sizeof(stage.bytes)) {
        memcpy(stage.bytes + stage.n, p, size);
        stage.n += size;
    } else {
        session_send(s, p, size);
    }
    return n;
}

static int bio_read(BIO *bio, char *p, int room)
{
    struct tls_session *s = BIO_get_data(bio);
    ssize_t n;

    BIO_clear_retry_flags(bio);
    do {
        n = recv(s->fd, p, (size_t)room, 0);
    } while (n == -1 && errno == EINTR);
    if (n == 0)
        s->peer_gone = true;
    else if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK))
        BIO_set_retry_read(bio);
    else if (n == -1)
        s->sys_errno = errno;
    return (int)n;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *p)
{
    struct tls_session *s = BIO_get_data(bio);

    (void)num;
    (void)p;
    switch (cmd) {
    case BIO_CTRL_FLUSH: /* at the end of a flight: tls_handshake() sends it */
        return 1;
    case BIO_CTRL_EOF:
        return s->peer_gone ? 1 : 0;
    default:
        return 0;
    }
}

static int bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

static BIO_METHOD *bio_method_new(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "sallyport socket");

    assert(m != NULL);
    (void)BIO_meth_set_write(m, bio_write); /* setters of a method cannot fail */
    (void)BIO_meth_set_read(m, bio_read);
    (void)BIO_meth_set_ctrl(m, bio_ctrl);
    (void)BIO_meth_set_create(m, bio_create);
    return m;
}

/* ---- choosing the certificate ----------------------------------------------------------- */

/* Refuses the ClientHello with an alert. */
static int refuse(struct tls_session *s, int *alert, int code, const char *why)
{
    s->error = why;
    *alert = code;
    return SSL_CLIENT_HELLO_ERROR;
}

/* Tickets of one name do not open a session of another, nor of one that has other settings. */
static int set_context(SSL *ssl, struct str host, const struct tls_profile *profile)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned char both[TLS_PROFILE_ID_BYTES + HOST_MAX_BYTES];
    unsigned n = 0;

    assert(host.n <= HOST_MAX_BYTES);
    if (profile == NULL && host.n <= TLS_CONTEXT_BYTES)
        return SSL_set_session_id_context(ssl, (const unsigned char *)host.p, (unsigned)host.n);
    memset(both, 0, TLS_PROFILE_ID_BYTES);
    if (profile != NULL)
        memcpy(both, tls_profile_id(profile), TLS_PROFILE_ID_BYTES);
    memcpy(both + TLS_PROFILE_ID_BYTES, host.p, host.n);
    if (EVP_Digest(both, TLS_PROFILE_ID_BYTES + host.n, digest, &n, EVP_sha256(), NULL) != 1)
        return 0;
    return SSL_set_session_id_context(ssl, digest, n);
}

/* Returns 0 with the name that a client asks for, or -1: refused. */
static int read_name(struct tls_session *s, int *alert, char host[HOST_MAX_BYTES + 1])
{
    const unsigned char *ext;
    size_t n;

    if (s->only_host != NULL) {
        memcpy(host, s->only_host, strlen(s->only_host) + 1);
        return 0;
    }
    if (SSL_client_hello_get0_ext(s->ssl, TLSEXT_TYPE_server_name, &ext, &n) != 1) {
        if (s->default_host != NULL) {
            memcpy(host, s->default_host, strlen(s->default_host) + 1);
            return 0;
        }
        (void)refuse(s, alert, SSL_AD_HANDSHAKE_FAILURE, "no server name (SNI)");
        return -1;
    }
    if (tls_hello_server_name(ext, n, host) == -1) {
        (void)refuse(s, alert, SSL_AD_UNRECOGNIZED_NAME, "the server name (SNI) is invalid");
        return -1;
    }
    return 0;
}

static bool has_own_certificate(const struct tls_session *s)
{
    return s->profile != NULL && tls_profile_has_certificate(s->profile);
}

static int on_client_hello(SSL *ssl, int *alert, void *arg)
{
    struct tls_session *s = SSL_get_app_data(ssl);
    char host[HOST_MAX_BYTES + 1];
    struct str name;

    (void)arg;
    if (read_name(s, alert, host) == -1)
        return SSL_CLIENT_HELLO_ERROR;
    name = str_from(host);
    mem_free(s->host); /* after a HelloRetryRequest there is a second ClientHello */
    s->host = str_dup(name);
    s->pair = has_own_certificate(s) ? NULL : tls_certs_find(s->tls->certs, name);
    if (!has_own_certificate(s) && s->pair == NULL &&
        (s->may_mint == NULL || !s->may_mint(s->arg, name)))
        return refuse(s, alert, SSL_AD_UNRECOGNIZED_NAME, "no certificate for the server name");
    if (set_context(ssl, name, s->profile) != 1)
        return refuse(s, alert, SSL_AD_INTERNAL_ERROR, "the session context cannot be set");
    return SSL_CLIENT_HELLO_SUCCESS;
}

static int use_minted(SSL *ssl, struct local_ca *ca, struct str host)
{
    X509 *leaf = local_ca_leaf(ca, host, clock_wall_ms());
    int rc = 0;

    /* The root is not sent: who trusts it has it. */
    if (leaf != NULL)
        rc = SSL_use_cert_and_key(ssl, leaf, local_ca_leaf_key(ca), NULL, 1);
    X509_free(leaf);
    return rc;
}

/* Returns 1, or 0 for the alert internal_error. */
static int on_certificate(SSL *ssl, void *arg)
{
    struct tls_session *s = SSL_get_app_data(ssl);

    (void)arg;
    if (has_own_certificate(s))
        return 1;
    if (s->pair != NULL)
        return tls_pair_use(s->pair, ssl) == 0;
    return use_minted(ssl, s->tls->ca, str_from(s->host)) == 1;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n,
                   const unsigned char *offer, unsigned offer_n, void *arg)
{
    const struct tls_session *s = SSL_get_app_data(ssl);
    size_t at;

    (void)arg;
    if (s->is_raw || !tls_hello_alpn(offer, offer_n, &at))
        return SSL_TLSEXT_ERR_NOACK;
    *out = offer + at;
    *out_n = offer[at - 1];
    return SSL_TLSEXT_ERR_OK;
}

/* A visitor has sent certificates, which only profiles ask for. */
static int on_verify(X509_STORE_CTX *ctx, void *arg)
{
    const SSL *ssl = X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_session *s = SSL_get_app_data(ssl);

    (void)arg;
    return tls_profile_verify(s->profile, ctx, &s->error);
}

/* ---- tickets ---------------------------------------------------------------------------- */

static int set_ticket_mac(EVP_MAC_CTX *mac, struct tls_ticket_key *key)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof(key->mac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };

    return EVP_MAC_CTX_set_params(mac, params);
}

static int seal_ticket(struct tls *t, unsigned char *name, unsigned char *iv,
                       EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    struct tls_ticket_key key;
    int rc = -1;

    tls_tickets_current(t->tickets, clock_mono_ms(), &key);
    memcpy(name, key.name, sizeof(key.name));
    if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(t->ticket_cipher)) == 1 &&
        EVP_EncryptInit_ex2(cipher, t->ticket_cipher, key.aes, iv, NULL) == 1 &&
        set_ticket_mac(mac, &key) == 1)
        rc = 1;
    mem_wipe(&key, sizeof(key));
    return rc;
}

/* Returns 0: unknown, a full handshake follows; 1: opened; 2: opened, a new one should be sent. */
static int open_ticket(struct tls *t, const unsigned char *name, const unsigned char *iv,
                       EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    struct tls_ticket_key key;
    enum tls_tickets_found found = tls_tickets_find(t->tickets, name, clock_mono_ms(), &key);
    int rc = -1;

    if (found == TLS_TICKETS_NONE)
        return 0;
    if (EVP_DecryptInit_ex2(cipher, t->ticket_cipher, key.aes, iv, NULL) == 1 &&
        set_ticket_mac(mac, &key) == 1)
        rc = found == TLS_TICKETS_CURRENT ? 1 : 2;
    mem_wipe(&key, sizeof(key));
    return rc;
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int sealing)
{
    struct tls_session *s = SSL_get_app_data(ssl);

    return sealing ? seal_ticket(s->tls, name, iv, cipher, mac)
                   : open_ticket(s->tls, name, iv, cipher, mac);
}

/* ---- contexts --------------------------------------------------------------------------- */

static int ctx_configure(SSL_CTX *ctx)
{
    char groups[] = "X25519:P-256:P-384"; /* OpenSSL's macro takes no const */

    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                       SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                       SSL_OP_IGNORE_UNEXPECTED_EOF);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_default_read_buffer_len(ctx, TLS_READ_AHEAD_BYTES);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets carry sessions */
    (void)SSL_CTX_set_timeout(ctx, TLS_TICKETS_LIFETIME_MS / 1000);
    SSL_CTX_set_client_hello_cb(ctx, on_client_hello, NULL);
    SSL_CTX_set_cert_cb(ctx, on_certificate, NULL);
    SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, on_verify, NULL);
    return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
                   SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) == 1 &&
                   SSL_CTX_set_cipher_list(ctx, tls12_ciphers) == 1 &&
                   SSL_CTX_set_ciphersuites(ctx, tls13_ciphers) == 1 &&
                   SSL_CTX_set1_groups_list(ctx, groups) == 1 &&
                   SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket) == 1
               ? 0
               : -1;
}

/* Makes what does not depend on files; -1 when this OpenSSL cannot do what is asked of it. */
static int tls_prepare(struct tls *t, struct tls *previous)
{
    t->bio = bio_method_new();
    t->ctx = SSL_CTX_new(TLS_server_method());
    t->ticket_cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    if (t->ctx == NULL || t->ticket_cipher == NULL || ctx_configure(t->ctx) == -1)
        return -1;
    if (previous != NULL) {
        t->tickets = previous->tickets;
        tls_tickets_ref(t->tickets);
    } else {
        t->tickets = tls_tickets_new();
    }
    return 0;
}

static int tls_load_ca(struct tls *t, const struct config *config, struct tls *previous,
                       struct buf *problems)
{
    struct err e;

    if (previous != NULL) {
        t->ca = previous->ca;
        local_ca_ref(t->ca);
        return 0;
    }
    t->ca = local_ca_open(config->state_dir, config->minted_certificates_max, &e);
    if (t->ca != NULL)
        return 0;
    buf_add_fmt(problems, "%s\n", e.msg);
    return -1;
}

struct tls *tls_new(const struct config *config, struct tls *previous, struct buf *problems)
{
    struct tls *t = mem_zalloc(sizeof(*t));

    ref_init(&t->ref);
    if (tls_prepare(t, previous) == -1) {
        const char *why = ERR_reason_error_string(ERR_peek_error());

        buf_add_fmt(problems, "OpenSSL cannot be used for TLS: %s\n",
                    why != NULL ? why : "unknown reason");
        ERR_clear_error();
        goto fail;
    }
    t->certs = tls_certs_load(config->certificates, config->certificate_count, t->ctx, problems);
    if (t->certs == NULL || tls_load_ca(t, config, previous, problems) == -1)
        goto fail;
    /* Only now, when nothing can fail any more: the cache is that of the previous one, too. */
    local_ca_set_cache_max(t->ca, config->minted_certificates_max);
    return t;
fail:
    tls_unref(t);
    return NULL;
}

void tls_ref(struct tls *t)
{
    ref_inc(&t->ref);
}

void tls_unref(struct tls *t)
{
    if (t == NULL || !ref_dec(&t->ref))
        return;
    SSL_CTX_free(t->ctx);
    BIO_meth_free(t->bio);
    EVP_CIPHER_free(t->ticket_cipher);
    tls_certs_free(t->certs);
    local_ca_unref(t->ca);
    tls_tickets_unref(t->tickets);
    mem_free(t);
}

/* ---- sessions --------------------------------------------------------------------------- */

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

static void stage_start(struct tls_session *s)
{
    assert(stage.n == 0);
    s->staging = true;
}

static void stage_stop(struct tls_session *s)
{
    s->staging = false;
    if (stage.n > 0)
        stage_flush(s);
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

    stage_start(s);
    ERR_clear_error(); /* others on this thread may have left something */
    rc = SSL_do_handshake(s->ssl);
    if (rc != 1)
        status = session_status(s, rc);
    else
        read_client(s);
    stage_stop(s);
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
        stage_start(s);
    while (*n < offered && status == TLS_OK && s->held.len == 0) {
        size_t piece = offered - *n;

        status = write_record(s, p + *n, &piece);
        *n += piece;
    }
    stage_stop(s);
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
    if (has_own_certificate(s))
        return X509_check_host(SSL_get_certificate(s->ssl), host.p, host.n, 0, NULL) == 1;
    if (s->pair != NULL)
        return tls_pair_covers(s->pair, host);
    return str_eq(tls_server_name(s), host);
}
