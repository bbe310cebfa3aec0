/*
 * The certificate is chosen in two steps: the ClientHello callback, which comes before everything
 * else and may send any alert, decides by the server name; the certificate callback, which comes
 * only when the handshake is not a resumption, loads (or mints) it.
 *
 * Each server name is a session context of its own, so a ticket resumes only under the name it was
 * given for (RFC 6066 section 3).
 */
#include "gateway/tls.h"

#include <assert.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include "base/clock.h"
#include "base/mem.h"
#include "gateway/config.h"
#include "gateway/local_ca.h"
#include "gateway/tls_attached.h"
#include "gateway/tls_certs.h"
#include "gateway/tls_hello.h"
#include "gateway/tls_int.h"
#include "gateway/tls_profile.h"
#include "gateway/tls_tickets.h"
#include "tunnel/host.h"

enum {
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

bool tls_has_own_certificate(const struct tls_session *s)
{
    return s->profile != NULL && tls_profile_has_certificate(s->profile);
}

/* What has been given for the name: by the operator, or by the management API. NULL: nothing. */
static const struct tls_pair *find_pair(const struct tls *t, struct str name)
{
    const struct tls_pair *pair = tls_certs_find(t->certs, name);

    return pair == NULL && t->attached != NULL ? tls_attached_find(t->attached, name) : pair;
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
    s->pair = tls_has_own_certificate(s) ? NULL : find_pair(s->tls, name);
    if (!tls_has_own_certificate(s) && s->pair == NULL &&
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
    if (tls_has_own_certificate(s))
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
    t->bio = tls_bio_method_new();
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

struct tls *tls_over(struct tls *configured, struct tls_attached *attached)
{
    struct tls *t = mem_zalloc(sizeof(*t));

    ref_init(&t->ref);
    t->ctx = configured->ctx;
    t->bio = configured->bio;
    t->ticket_cipher = configured->ticket_cipher;
    t->certs = configured->certs;
    t->ca = configured->ca;
    t->tickets = configured->tickets;
    t->below = configured;
    tls_ref(configured);
    t->attached = attached;
    tls_attached_ref(attached);
    return t;
}

void tls_ref(struct tls *t)
{
    ref_inc(&t->ref);
}

void tls_unref(struct tls *t)
{
    if (t == NULL || !ref_dec(&t->ref))
        return;
    tls_attached_unref(t->attached);
    if (t->below != NULL) {
        tls_unref(t->below);
        mem_free(t);
        return;
    }
    SSL_CTX_free(t->ctx);
    BIO_meth_free(t->bio);
    EVP_CIPHER_free(t->ticket_cipher);
    tls_certs_free(t->certs);
    local_ca_unref(t->ca);
    tls_tickets_unref(t->tickets);
    mem_free(t);
}
