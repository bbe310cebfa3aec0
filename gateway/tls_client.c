#include "gateway/tls_client.h"

#include <limits.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <utlist.h>

#include "base/addr.h"
#include "base/mem.h"
#include "tunnel/endpoint.h"

struct tls_client_context {
    struct tls_client_context *prev;
    struct tls_client_context *next;
    bool verify;
    char *cas;    /* owned; "": those of the system */
    SSL_CTX *ctx; /* counted */
};

struct tls_client {
    struct tls_client_context *contexts; /* the one used last comes first */
    size_t count;
};

/* ---- contexts -------------------------------------------------------------------------------- */

static void free_context(struct tls_client_context *x)
{
    SSL_CTX_free(x->ctx);
    mem_free(x->cas);
    mem_free(x);
}

/* The text was checked when it came (tunnel/ca_bundle.h). Returns how many certificates it has. */
static unsigned add_cas(X509_STORE *store, const char *pem)
{
    BIO *in = BIO_new_mem_buf(pem, -1);
    unsigned count = 0;
    X509 *cert;

    while (in != NULL && (cert = PEM_read_bio_X509(in, NULL, NULL, NULL)) != NULL) {
        count += X509_STORE_add_cert(store, cert) == 1;
        X509_free(cert);
    }
    BIO_free(in);
    ERR_clear_error(); /* the end of the text is an error too */
    return count;
}

static int set_authorities(SSL_CTX *ctx, const char *cas, struct err *e)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);

    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    /* What the user names is trusted as it is, whether it is a root or not. */
    (void)X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
    if (cas[0] == '\0' ? SSL_CTX_set_default_verify_paths(ctx) == 1 : add_cas(store, cas) > 0)
        return 0;
    return err_set(e, E_UPSTREAM_TLS, "the authorities cannot be read");
}

static SSL_CTX *make_context(const struct endpoint_upstream *up, struct err *e)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    if (ctx == NULL) {
        (void)err_set(e, E_UPSTREAM_TLS, "no TLS context could be made");
        return NULL;
    }
    (void)SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    (void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    if (up->tls_verify && set_authorities(ctx, up->tls_cas, e) == -1) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

static void drop_oldest(struct tls_client *c)
{
    struct tls_client_context *oldest = c->contexts->prev; /* the head's prev is the last */

    DL_DELETE(c->contexts, oldest);
    c->count--;
    free_context(oldest);
}

static struct tls_client_context *find_context(struct tls_client *c,
                                               const struct endpoint_upstream *up)
{
    const char *cas = up->tls_verify ? up->tls_cas : "";
    struct tls_client_context *x;

    DL_FOREACH(c->contexts, x)
    {
        if (x->verify == up->tls_verify && strcmp(x->cas, cas) == 0)
            return x;
    }
    return NULL;
}

static SSL_CTX *get_context(struct tls_client *c, const struct endpoint_upstream *up, struct err *e)
{
    struct tls_client_context *x = find_context(c, up);
    SSL_CTX *ctx;

    if (x != NULL) {
        DL_DELETE(c->contexts, x);
        DL_PREPEND(c->contexts, x);
        return x->ctx;
    }
    ctx = make_context(up, e);
    if (ctx == NULL)
        return NULL;
    if (c->count == TLS_CLIENT_CONTEXTS_MAX)
        drop_oldest(c);
    x = mem_zalloc(sizeof(*x));
    x->verify = up->tls_verify;
    x->cas = mem_strdup(up->tls_verify ? up->tls_cas : "");
    x->ctx = ctx;
    DL_PREPEND(c->contexts, x);
    c->count++;
    return ctx;
}

struct tls_client *tls_client_new(void)
{
    return mem_zalloc(sizeof(struct tls_client));
}

void tls_client_free(struct tls_client *c)
{
    if (c == NULL)
        return;
    while (c->contexts != NULL)
        drop_oldest(c);
    mem_free(c);
}

/* ---- sessions -------------------------------------------------------------------------------- */

static bool set_host(SSL *ssl, const struct endpoint_upstream *up)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    struct addr ip;

    if (up->tls_host[0] == '\0')
        return !up->tls_verify;
    if (addr_parse_ip(str_from(up->tls_host), &ip) == 0)
        return X509_VERIFY_PARAM_set1_ip_asc(param, up->tls_host) == 1;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(ssl, up->tls_host) == 1 &&
           X509_VERIFY_PARAM_set1_host(param, up->tls_host, 0) == 1;
}

static bool set_alpn(SSL *ssl, enum tls_client_alpn alpn)
{
    static const unsigned char names[] = { 2, 'h', '2', 8, 'h', 't', 't', 'p', '/', '1', '.', '1' };
    enum { HTTP1_AT = 3 };

    switch (alpn) {
    case TLS_CLIENT_NO_ALPN:
        return true;
    case TLS_CLIENT_HTTP1: /* this function returns 0 on success */
        return SSL_set_alpn_protos(ssl, names + HTTP1_AT, sizeof(names) - HTTP1_AT) == 0;
    case TLS_CLIENT_HTTP2:
        return SSL_set_alpn_protos(ssl, names, sizeof(names)) == 0;
    }
    return false;
}

SSL *tls_client_session(struct tls_client *c, const struct endpoint *ep, enum tls_client_alpn alpn,
                        struct err *e)
{
    SSL_CTX *ctx = get_context(c, &ep->upstream, e);
    SSL *ssl;

    if (ctx == NULL)
        return NULL;
    ssl = SSL_new(ctx);
    if (ssl == NULL || !set_host(ssl, &ep->upstream) || !set_alpn(ssl, alpn)) {
        SSL_free(ssl);
        ERR_clear_error();
        (void)err_set(e, E_UPSTREAM_TLS, "the TLS session could not be set up for '%s'",
                      ep->upstream.tls_host);
        return NULL;
    }
    SSL_set_connect_state(ssl);
    return ssl;
}

void tls_client_session_free(SSL *ssl)
{
    SSL_free(ssl);
}
