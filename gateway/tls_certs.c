#include "gateway/tls_certs.h"

#include <assert.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/config.h"
#include "gateway/tls_pem.h"
#include "tunnel/host.h"

/* A name of a certificate, "*.x" kept as such. */
struct cert_name {
    struct tls_pair *pair;  /* borrowed: in the same tls_certs */
    UT_hash_handle hh;      /* in tls_certs.names; unused for a name that an earlier pair has */
    struct cert_name *next; /* owned: of the same pair */
    size_t length;
    char text[HOST_MAX_BYTES + 1];
};

struct tls_pair {
    X509 *cert;               /* counted */
    STACK_OF(X509) * issuers; /* owned: the chain behind the leaf */
    EVP_PKEY *key;            /* counted */
    struct cert_name *names;  /* owned */
};

struct tls_certs {
    struct tls_pair *pairs; /* owned */
    size_t count;
    struct cert_name *names; /* hash; borrowed: of the pairs */
};

/* ---- names ------------------------------------------------------------------------------ */

/* Folds a DNS entry; a wildcard may only be the whole first label. Returns 0 or -1. */
static int fold_name(struct str s, char out[HOST_MAX_BYTES + 1])
{
    char rest[HOST_MAX_BYTES + 1];

    if (!str_starts(s, STR("*.")))
        return host_fold(s, out);
    if (host_fold(str_skip(s, 2), rest) == -1 || strlen(rest) + 2 > HOST_MAX_BYTES)
        return -1;
    out[0] = '*';
    out[1] = '.';
    memcpy(out + 2, rest, strlen(rest) + 1);
    return 0;
}

static void pair_add_name(struct tls_pair *p, const char *text)
{
    struct cert_name *n = mem_zalloc(sizeof(*n));

    n->pair = p;
    n->length = strlen(text);
    memcpy(n->text, text, n->length + 1);
    n->next = p->names;
    p->names = n;
}

/* Entries that can be no host name are skipped: they could not match any. */
static void pair_read_names(struct tls_pair *p)
{
    GENERAL_NAMES *all = X509_get_ext_d2i(p->cert, NID_subject_alt_name, NULL, NULL);

    for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
        int type;
        const ASN1_STRING *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(all, i), &type);
        char folded[HOST_MAX_BYTES + 1];

        if (type == GEN_DNS && fold_name(str_of((const char *)ASN1_STRING_get0_data(value),
                                                (size_t)ASN1_STRING_length(value)),
                                         folded) == 0)
            pair_add_name(p, folded);
    }
    GENERAL_NAMES_free(all);
}

/* "*.rest" for a host of at least two labels. Returns 0 or -1. */
static int wildcard_of(struct str host, char out[HOST_MAX_BYTES + 1], size_t *length)
{
    struct str rest = str_skip(host, str_find_char(host, '.'));

    if (rest.n == 0 || rest.n + 1 > HOST_MAX_BYTES)
        return -1;
    out[0] = '*';
    memcpy(out + 1, rest.p, rest.n);
    *length = rest.n + 1;
    return 0;
}

static struct tls_pair *find_exact(const struct tls_certs *c, const char *name, size_t length)
{
    struct cert_name *found;

    HASH_FIND(hh, c->names, name, length, found);
    return found != NULL ? found->pair : NULL;
}

const struct tls_pair *tls_certs_find(const struct tls_certs *c, struct str host)
{
    struct tls_pair *p = host.n > 0 ? find_exact(c, host.p, host.n) : NULL;
    char wildcard[HOST_MAX_BYTES + 1];
    size_t length;

    if (p != NULL || wildcard_of(host, wildcard, &length) == -1)
        return p;
    return find_exact(c, wildcard, length);
}

bool tls_pair_covers(const struct tls_pair *p, struct str host)
{
    char wildcard[HOST_MAX_BYTES + 1];
    size_t length;
    bool wild = wildcard_of(host, wildcard, &length) == 0;

    for (const struct cert_name *n = p->names; n != NULL; n = n->next) {
        struct str name = str_of(n->text, n->length);

        if (str_eq(name, host) || (wild && str_eq(name, str_of(wildcard, length))))
            return true;
    }
    return false;
}

/* ---- loading ---------------------------------------------------------------------------- */

int tls_pair_use(const struct tls_pair *p, SSL *ssl)
{
    return SSL_use_cert_and_key(ssl, p->cert, p->key, p->issuers, 1) == 1 ? 0 : -1;
}

/* Asks OpenSSL by a session that is never used. */
static int pair_try(const struct tls_pair *p, SSL_CTX *ctx, const char *path, struct err *e)
{
    SSL *ssl = SSL_new(ctx);
    int rc;

    assert(ssl != NULL);
    rc = tls_pair_use(p, ssl);
    if (rc == -1) {
        const char *why = ERR_reason_error_string(ERR_peek_error());

        (void)err_set(e, E_CONFIG, "%s cannot be used: %s", path, why != NULL ? why : "refused");
        ERR_clear_error();
    }
    SSL_free(ssl);
    return rc;
}

static void warn_expired(const struct tls_pair *p, const struct config_certificate *from)
{
    if (X509_cmp_current_time(X509_get0_notAfter(p->cert)) < 0)
        log_warn("certificate.expired", LS("file", from->cert), LS("where", from->where));
}

static int pair_load(struct tls_pair *p, const struct config_certificate *from, SSL_CTX *ctx,
                     struct err *e)
{
    p->issuers = tls_pem_read_chain(from->cert, e);
    if (p->issuers == NULL)
        return -1;
    p->cert = sk_X509_shift(p->issuers);
    p->key = tls_pem_read_key(from->key, e);
    if (p->key == NULL)
        return -1;
    if (X509_check_private_key(p->cert, p->key) != 1) {
        ERR_clear_error();
        return err_set(e, E_CONFIG, "the key %s does not belong to the certificate %s", from->key,
                       from->cert);
    }
    pair_read_names(p);
    if (p->names == NULL)
        return err_set(e, E_CONFIG,
                       "%s has no DNS name in its subjectAltName, so no client would accept it; "
                       "have it made with -addext subjectAltName=DNS:NAME",
                       from->cert);
    warn_expired(p, from);
    return pair_try(p, ctx, from->cert, e);
}

static void pair_fini(struct tls_pair *p)
{
    while (p->names != NULL) {
        struct cert_name *n = p->names;

        p->names = n->next;
        mem_free(n);
    }
    X509_free(p->cert);
    sk_X509_pop_free(p->issuers, X509_free);
    EVP_PKEY_free(p->key);
}

struct tls_pair *tls_pair_new(STACK_OF(X509) * chain, EVP_PKEY *key)
{
    struct tls_pair *p = mem_zalloc(sizeof(*p));

    p->issuers = chain;
    p->cert = sk_X509_shift(chain);
    p->key = key;
    pair_read_names(p);
    return p;
}

void tls_pair_free(struct tls_pair *p)
{
    if (p == NULL)
        return;
    pair_fini(p);
    mem_free(p);
}

static void certs_add_names(struct tls_certs *c, struct tls_pair *p)
{
    for (struct cert_name *n = p->names; n != NULL; n = n->next) {
        if (find_exact(c, n->text, n->length) == NULL)
            HASH_ADD_KEYPTR(hh, c->names, n->text, n->length, n);
    }
}

struct tls_certs *tls_certs_load(const struct config_certificate *list, size_t count, SSL_CTX *ctx,
                                 struct buf *problems)
{
    struct tls_certs *c = mem_zalloc(sizeof(*c));
    bool good = true;

    c->pairs = mem_zalloc_array(count, sizeof(*c->pairs));
    c->count = count;
    for (size_t i = 0; i < count; i++) {
        struct err e;

        if (pair_load(&c->pairs[i], &list[i], ctx, &e) == -1) {
            buf_add_fmt(problems, "%s: %s\n", list[i].where, e.msg);
            good = false;
        } else {
            certs_add_names(c, &c->pairs[i]);
        }
    }
    if (good)
        return c;
    tls_certs_free(c);
    return NULL;
}

void tls_certs_free(struct tls_certs *c)
{
    if (c == NULL)
        return;
    HASH_CLEAR(hh, c->names);
    for (size_t i = 0; i < c->count; i++)
        pair_fini(&c->pairs[i]);
    mem_free(c->pairs);
    mem_free(c);
}
