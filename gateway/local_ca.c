#include "gateway/local_ca.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/ref.h"
#include "gateway/local_ca_int.h"
#include "gateway/tls_pem.h"
#include "tunnel/host.h"

enum { CA_NAME_BYTES = 128 };

/* A leaf in the cache; the hash keeps the order of insertion, so the first is the oldest. */
struct leaf {
    X509 *cert; /* counted */
    uint64_t expires_ms;
    UT_hash_handle hh;
    size_t length;
    char host[]; /* no NUL */
};

struct local_ca {
    struct ref ref;
    X509 *cert;                 /* counted */
    EVP_PKEY *key;              /* counted */
    EVP_PKEY *leaf_key;         /* counted */
    struct local_ca_mint *mint; /* owned */

    pthread_mutex_t lock; /* guards what follows */
    struct leaf *leaves;  /* hash; owned */
    size_t cache_max;
};

/* ---- files ------------------------------------------------------------------------------ */

static bool file_exists(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 || errno != ENOENT;
}

static int write_all(int fd, struct str data)
{
    while (data.n > 0) {
        ssize_t n = write(fd, data.p, data.n);

        if (n == -1 && errno != EINTR)
            return -1;
        if (n > 0)
            data = str_skip(data, (size_t)n);
    }
    return fsync(fd);
}

/* Writes beside the place and moves there, so that a crash leaves no half of it. */
static int save(const char *path, mode_t mode, struct str data, struct err *e)
{
    char draft[PATH_MAX];
    int fd;
    int rc;

    if (snprintf(draft, sizeof(draft), "%s.new", path) >= (int)sizeof(draft))
        return err_set(e, E_SYSTEM, "the path of state_dir is too long");
    fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd == -1)
        return err_set_errno(e, errno, "cannot make %s", draft);
    /* A draft left by a crash keeps the mode it had. */
    rc = fchmod(fd, mode) == 0 ? write_all(fd, data) : -1;
    if (rc == -1)
        (void)err_set_errno(e, errno, "cannot write %s", draft);
    (void)close(fd); /* fsync() told of errors */
    if (rc == 0 && rename(draft, path) == -1)
        rc = err_set_errno(e, errno, "cannot move %s into place", draft);
    return rc;
}

static struct str bio_str(BIO *bio)
{
    char *p = NULL;
    long n = BIO_get_mem_data(bio, &p);

    return str_of(p, n > 0 ? (size_t)n : 0);
}

static int save_key(const struct local_ca *ca, const char *path, struct err *e)
{
    BIO *bio = BIO_new(BIO_s_secmem()); /* wiped when it is freed */
    int rc;

    assert(bio != NULL);
    if (PEM_write_bio_PrivateKey(bio, ca->key, NULL, NULL, 0, NULL, NULL) == 1)
        rc = save(path, 0600, bio_str(bio), e);
    else
        rc = err_set(e, E_SYSTEM, "OpenSSL cannot write the key of the local CA");
    BIO_free(bio);
    return rc;
}

static int save_cert(const struct local_ca *ca, const char *path, struct err *e)
{
    BIO *bio = BIO_new(BIO_s_mem());
    int rc;

    assert(bio != NULL);
    if (PEM_write_bio_X509(bio, ca->cert) == 1)
        rc = save(path, 0644, bio_str(bio), e);
    else
        rc = err_set(e, E_SYSTEM, "OpenSSL cannot write the certificate of the local CA");
    BIO_free(bio);
    return rc;
}

/* ---- making and loading ----------------------------------------------------------------- */

static int ca_make_cert(struct local_ca *ca, const char *path, struct err *e)
{
    char name[CA_NAME_BYTES];
    char host[HOST_NAME_MAX + 1] = "";

    (void)gethostname(host, sizeof(host) - 1); /* without one the name is just shorter */
    (void)snprintf(name, sizeof(name), "sallyport local CA %s", host);
    ca->cert = local_ca_make_root(ca->key, str_trim(str_from(name)), clock_wall_ms());
    if (ca->cert == NULL) {
        ERR_clear_error();
        return err_set(e, E_SYSTEM, "OpenSSL cannot make the certificate of the local CA");
    }
    if (save_cert(ca, path, e) == -1)
        return -1;
    log_info("local_ca.made", LS("file", path));
    return 0;
}

static int ca_load_cert(struct local_ca *ca, const char *path, struct err *e)
{
    STACK_OF(X509) *chain = tls_pem_read_chain(path, e);

    if (chain == NULL)
        return -1;
    ca->cert = sk_X509_shift(chain);
    sk_X509_pop_free(chain, X509_free);
    if (X509_check_private_key(ca->cert, ca->key) != 1) {
        ERR_clear_error();
        return err_set(e, E_CONFIG,
                       "ca.key does not belong to %s; restore the pair, or remove both to have a "
                       "new CA made",
                       path);
    }
    if (X509_check_ca(ca->cert) != 1)
        return err_set(e, E_CONFIG, "%s is no certificate of an authority (CA:TRUE)", path);
    if (X509_cmp_current_time(X509_get0_notAfter(ca->cert)) < 0)
        return err_set(e, E_CONFIG,
                       "%s has expired; remove it and ca.key to have a new CA made, and have "
                       "clients trust that one",
                       path);
    return 0;
}

/* The key is saved first, so a cut start leaves a key without certificate at most. */
static int ca_load_or_make(struct local_ca *ca, const char *cert, const char *key, struct err *e)
{
    if (file_exists(key)) {
        ca->key = tls_pem_read_key(key, e);
        if (ca->key == NULL)
            return -1;
    } else if (file_exists(cert)) {
        return err_set(e, E_CONFIG,
                       "%s is there but %s is missing; restore it, or remove the certificate to "
                       "have a new CA made",
                       cert, key);
    } else {
        ca->key = local_ca_make_key();
        if (save_key(ca, key, e) == -1)
            return -1;
    }
    return file_exists(cert) ? ca_load_cert(ca, cert, e) : ca_make_cert(ca, cert, e);
}

static int join(const char *dir, const char *name, char out[PATH_MAX], struct err *e)
{
    if (snprintf(out, PATH_MAX, "%s/%s", dir, name) < PATH_MAX)
        return 0;
    return err_set(e, E_SYSTEM, "the path of state_dir is too long");
}

struct local_ca *local_ca_open(const char *state_dir, size_t cache_max, struct err *e)
{
    struct local_ca *ca = mem_zalloc(sizeof(*ca));
    char cert[PATH_MAX];
    char key[PATH_MAX];
    int rc = pthread_mutex_init(&ca->lock, NULL);

    assert(rc == 0);
    (void)rc;
    ref_init(&ca->ref);
    ca->cache_max = cache_max;
    if (join(state_dir, "ca.crt", cert, e) == -1 || join(state_dir, "ca.key", key, e) == -1 ||
        ca_load_or_make(ca, cert, key, e) == -1)
        goto fail;
    ca->leaf_key = local_ca_make_key();
    ca->mint = local_ca_mint_new(ca->cert, ca->key, ca->leaf_key);
    if (ca->mint == NULL) {
        ERR_clear_error();
        (void)err_set(e, E_SYSTEM, "OpenSSL cannot use the local CA in %s", state_dir);
        goto fail;
    }
    return ca;
fail:
    local_ca_unref(ca);
    return NULL;
}

void local_ca_ref(struct local_ca *ca)
{
    ref_inc(&ca->ref);
}

/* ---- the cache -------------------------------------------------------------------------- */

/* With the lock held, as all below up to local_ca_leaf(). */
static void cache_remove(struct local_ca *ca, struct leaf *l)
{
    HASH_DEL(ca->leaves, l);
    X509_free(l->cert);
    mem_free(l);
}

static void cache_shrink(struct local_ca *ca, size_t max)
{
    while (HASH_COUNT(ca->leaves) > max)
        cache_remove(ca, ca->leaves);
}

static struct leaf *cache_find(struct local_ca *ca, struct str host)
{
    struct leaf *l;

    HASH_FIND(hh, ca->leaves, host.p, host.n, l);
    return l;
}

/* A fresh leaf, now the one used last; NULL when it has to be made. The reference is the caller's. */
static X509 *cache_take(struct local_ca *ca, struct str host, uint64_t now_ms)
{
    struct leaf *l = cache_find(ca, host);

    if (l == NULL)
        return NULL;
    if (now_ms + LOCAL_CA_RENEW_MS > l->expires_ms) {
        cache_remove(ca, l);
        return NULL;
    }
    if (l->hh.next != NULL) { /* it is not the last one already */
        HASH_DEL(ca->leaves, l);
        HASH_ADD_KEYPTR(hh, ca->leaves, l->host, l->length, l);
    }
    (void)X509_up_ref(l->cert); /* fails only when the count overflows */
    return l->cert;
}

static void cache_put(struct local_ca *ca, struct str host, X509 *cert, uint64_t now_ms)
{
    struct leaf *l = cache_find(ca, host);

    if (l != NULL) /* two workers made it at once; the later one stays */
        cache_remove(ca, l);
    if (ca->cache_max == 0)
        return;
    cache_shrink(ca, ca->cache_max - 1);
    l = mem_zalloc(sizeof(*l) + host.n);
    l->cert = cert;
    (void)X509_up_ref(cert); /* fails only when the count overflows */
    l->expires_ms = now_ms + (uint64_t)LOCAL_CA_LEAF_DAYS * 24 * 3600 * 1000;
    l->length = host.n;
    memcpy(l->host, host.p, host.n);
    HASH_ADD_KEYPTR(hh, ca->leaves, l->host, l->length, l);
}

static void ca_lock(struct local_ca *ca)
{
    (void)pthread_mutex_lock(&ca->lock); /* fails only on misuse */
}

static void ca_unlock(struct local_ca *ca)
{
    (void)pthread_mutex_unlock(&ca->lock); /* fails only on misuse */
}

X509 *local_ca_leaf(struct local_ca *ca, struct str host, uint64_t now_ms)
{
    X509 *cert;

    assert(host.n > 0 && host.n <= HOST_MAX_BYTES);
    ca_lock(ca);
    cert = cache_take(ca, host, now_ms);
    ca_unlock(ca);
    if (cert != NULL)
        return cert;
    cert = local_ca_mint_leaf(ca->mint, host, now_ms);
    if (cert == NULL)
        return NULL;
    ca_lock(ca);
    cache_put(ca, host, cert, now_ms);
    ca_unlock(ca);
    return cert;
}

void local_ca_set_cache_max(struct local_ca *ca, size_t cache_max)
{
    ca_lock(ca);
    ca->cache_max = cache_max;
    cache_shrink(ca, cache_max);
    ca_unlock(ca);
}

size_t local_ca_cached(struct local_ca *ca)
{
    size_t n;

    ca_lock(ca);
    n = HASH_COUNT(ca->leaves);
    ca_unlock(ca);
    return n;
}

EVP_PKEY *local_ca_leaf_key(const struct local_ca *ca)
{
    return ca->leaf_key;
}

X509 *local_ca_cert(const struct local_ca *ca)
{
    return ca->cert;
}

void local_ca_unref(struct local_ca *ca)
{
    if (ca == NULL || !ref_dec(&ca->ref))
        return;
    cache_shrink(ca, 0); /* nobody else is left, so without the lock */
    local_ca_mint_free(ca->mint);
    EVP_PKEY_free(ca->leaf_key);
    EVP_PKEY_free(ca->key);
    X509_free(ca->cert);
    (void)pthread_mutex_destroy(&ca->lock); /* nobody holds it */
    mem_free(ca);
}
