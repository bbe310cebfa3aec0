/*
 * Everything is set on the session and not on a context of its own: a context would need all of the
 * gateway's settings and callbacks a second time, and a reload would have to make it anew.
 */
#include "gateway/tls_profile.h"

#include <assert.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/ref.h"
#include "policy/host.h"
#include "policy/pem.h"

/* Issuers between a visitor's certificate and an authority. */
enum { TLS_PROFILE_DEPTH_MAX = 8 };

struct tls_profile {
    struct ref ref;
    uint8_t id[TLS_PROFILE_ID_BYTES];
    int min_version;
    int max_version;
    X509 *cert;               /* counted; NULL: that of the gateway */
    STACK_OF(X509) * issuers; /* owned: behind cert */
    EVP_PKEY *key;            /* counted */
    enum policy_tls_verify verify;
    X509_STORE *store;           /* counted: the authorities; NULL: nothing is verified */
    STACK_OF(X509_NAME) * names; /* owned: of the authorities, which clients choose by */
};

struct cached_profile {
    struct tls_profile *profile; /* counted */
    UT_hash_handle hh;           /* by its id */
};

struct tls_profiles {
    struct cached_profile *by_id; /* owned; least recently used first */
};

/* ---- making one ------------------------------------------------------------------------------ */

static int version_number(enum policy_tls_version v)
{
    return v == POLICY_TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
}

static int load_certificate(struct tls_profile *p, const struct policy_tls *settings, struct err *e)
{
    p->issuers = pem_parse_chain(settings->certificate, "server_certificate", e);
    if (p->issuers == NULL)
        return -1;
    p->cert = sk_X509_shift(p->issuers);
    p->key = pem_parse_user_key(settings->key, "server_private_key", e);
    if (p->key == NULL)
        return -1;
    if (!pem_is_pair(p->cert, p->key))
        return err_set(e, E_CERTIFICATE_PAIR,
                       "server_private_key is not the key of server_certificate");
    return 0;
}

/* An authority need not be a root: who trusts an intermediate one trusts what it signs. */
static void add_authority(struct tls_profile *p, X509 *cert)
{
    X509_NAME *name = X509_NAME_dup(X509_get_subject_name(cert));
    int added = name != NULL && X509_STORE_add_cert(p->store, cert) == 1 &&
                sk_X509_NAME_push(p->names, name) > 0;

    assert(added); /* only memory can be missing; the same one twice is no error */
    (void)added;
}

static int load_authorities(struct tls_profile *p, const struct policy_tls *settings, struct err *e)
{
    STACK_OF(X509) *all = sk_X509_new_null();
    int rc = 0;

    assert(all != NULL);
    for (size_t i = 0; i < settings->authority_count && rc == 0; i++)
        rc = pem_parse_authorities(settings->authorities[i], "mutual_tls_certificate_authorities",
                                   all, e);
    if (rc == 0) {
        p->store = X509_STORE_new();
        p->names = sk_X509_NAME_new_null();
        assert(p->store != NULL && p->names != NULL);
        (void)X509_STORE_set_flags(p->store, X509_V_FLAG_PARTIAL_CHAIN); /* cannot fail */
        for (int i = 0; i < sk_X509_num(all); i++)
            add_authority(p, sk_X509_value(all, i));
    }
    pem_chain_free(all);
    return rc;
}

static struct tls_profile *profile_new(const struct policy_tls *settings, const uint8_t *id,
                                       struct err *e)
{
    struct tls_profile *p = mem_zalloc(sizeof(*p));

    ref_init(&p->ref);
    memcpy(p->id, id, sizeof(p->id));
    p->min_version = version_number(settings->min_version);
    p->max_version = version_number(settings->max_version);
    p->verify = settings->verify;
    if (settings->certificate.n > 0 && load_certificate(p, settings, e) == -1)
        goto fail;
    /* The other strategies look at no authority, and naming some would keep clients from sending
     * what was signed by others. */
    if (p->verify == POLICY_TLS_REQUIRE_AND_VERIFY && load_authorities(p, settings, e) == -1)
        goto fail;
    return p;
fail:
    tls_profile_unref(p);
    return NULL;
}

void tls_profile_ref(struct tls_profile *p)
{
    if (p != NULL)
        ref_inc(&p->ref);
}

void tls_profile_unref(struct tls_profile *p)
{
    if (p == NULL || !ref_dec(&p->ref))
        return;
    X509_free(p->cert);
    pem_chain_free(p->issuers);
    EVP_PKEY_free(p->key);
    X509_STORE_free(p->store);
    sk_X509_NAME_pop_free(p->names, X509_NAME_free);
    mem_free(p);
}

const uint8_t *tls_profile_id(const struct tls_profile *p)
{
    return p->id;
}

bool tls_profile_has_certificate(const struct tls_profile *p)
{
    return p->cert != NULL;
}

bool tls_profile_is_mutual(const struct tls_profile *p)
{
    return p->verify != POLICY_TLS_NO_CERTIFICATE;
}

/* ---- the cache ------------------------------------------------------------------------------- */

struct tls_profiles *tls_profiles_new(void)
{
    return mem_zalloc(sizeof(struct tls_profiles));
}

static void drop(struct tls_profiles *c, struct cached_profile *entry)
{
    HASH_DEL(c->by_id, entry);
    tls_profile_unref(entry->profile);
    mem_free(entry);
}

void tls_profiles_free(struct tls_profiles *c)
{
    if (c == NULL)
        return;
    while (c->by_id != NULL)
        drop(c, c->by_id);
    mem_free(c);
}

size_t tls_profiles_count(const struct tls_profiles *c)
{
    return HASH_COUNT(c->by_id);
}

/* Each text with its length in front, so that no two settings are the same bytes. */
static void add_text(EVP_MD_CTX *md, struct str text)
{
    uint64_t n = text.n;

    (void)EVP_DigestUpdate(md, &n, sizeof(n)); /* SHA-256 takes whatever comes */
    (void)EVP_DigestUpdate(md, text.p, text.n);
}

static void compute_id(const struct policy_tls *settings, uint8_t id[TLS_PROFILE_ID_BYTES])
{
    const uint8_t choices[] = { (uint8_t)settings->min_version, (uint8_t)settings->max_version,
                                (uint8_t)settings->verify };
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    int begun = md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1;

    assert(begun); /* only memory can be missing */
    (void)begun;
    (void)EVP_DigestUpdate(md, choices, sizeof(choices));
    add_text(md, settings->certificate);
    add_text(md, settings->key);
    for (size_t i = 0; i < settings->authority_count; i++)
        add_text(md, settings->authorities[i]);
    (void)EVP_DigestFinal_ex(md, id, NULL);
    EVP_MD_CTX_free(md);
}

static void keep(struct tls_profiles *c, struct tls_profile *p, size_t max)
{
    struct cached_profile *entry = mem_zalloc(sizeof(*entry));

    while (c->by_id != NULL && HASH_COUNT(c->by_id) >= max)
        drop(c, c->by_id);
    entry->profile = p;
    tls_profile_ref(p);
    HASH_ADD_KEYPTR(hh, c->by_id, p->id, sizeof(p->id), entry);
}

struct tls_profile *tls_profiles_get(struct tls_profiles *c, const struct policy_tls *settings,
                                     size_t max, struct err *e)
{
    uint8_t id[TLS_PROFILE_ID_BYTES];
    struct cached_profile *entry = NULL;
    struct tls_profile *p;

    compute_id(settings, id);
    HASH_FIND(hh, c->by_id, id, sizeof(id), entry);
    if (entry != NULL) {
        p = entry->profile;
        HASH_DEL(c->by_id, entry); /* to the end of the line: used last, goes last */
        HASH_ADD_KEYPTR(hh, c->by_id, p->id, sizeof(p->id), entry);
        tls_profile_ref(p);
        return p;
    }
    p = profile_new(settings, id, e);
    if (p != NULL)
        keep(c, p, max);
    return p;
}

/* ---- at work --------------------------------------------------------------------------------- */

/* A ticket would bring a visitor back without its certificate being looked at again. */
static void apply_verification(const struct tls_profile *p, SSL *ssl, size_t max_bytes)
{
    int mode = SSL_VERIFY_PEER;

    if (p->verify != POLICY_TLS_REQUEST)
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_set_verify(ssl, mode, NULL);
    SSL_set_verify_depth(ssl, TLS_PROFILE_DEPTH_MAX);
    (void)SSL_set_max_cert_list(ssl, (long)max_bytes);
    (void)SSL_set_options(ssl, SSL_OP_NO_TICKET);
    (void)SSL_set_num_tickets(ssl, 0); /* TLS 1.3 would still send tickets of another kind */
    if (p->store == NULL)
        return;
    (void)SSL_set1_verify_cert_store(ssl, p->store); /* counts it; cannot fail */
    SSL_set_client_CA_list(ssl, SSL_dup_CA_list(p->names));
}

int tls_profile_apply(const struct tls_profile *p, SSL *ssl, size_t max_bytes, struct err *e)
{
    int rc =
        SSL_set_min_proto_version(ssl, p->min_version) == 1 &&
                SSL_set_max_proto_version(ssl, p->max_version) == 1 &&
                (p->cert == NULL || SSL_use_cert_and_key(ssl, p->cert, p->key, p->issuers, 1) == 1)
            ? 0
            : -1;

    if (rc == -1) {
        const char *why = ERR_reason_error_string(ERR_peek_error());

        (void)err_set(e, E_CERTIFICATE_PEM, "server_certificate cannot be used: %s",
                      why != NULL ? why : "refused");
        ERR_clear_error();
        return -1;
    }
    if (tls_profile_is_mutual(p))
        apply_verification(p, ssl, max_bytes);
    return 0;
}

int tls_profile_verify(const struct tls_profile *p, X509_STORE_CTX *ctx, const char **why)
{
    if (p->verify != POLICY_TLS_REQUIRE_AND_VERIFY)
        return 1;
    if (X509_verify_cert(ctx) == 1)
        return 1;
    *why = X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx));
    X509_STORE_CTX_set_error(ctx, X509_V_ERR_CERT_REJECTED);
    return 0;
}
