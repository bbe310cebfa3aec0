#include "gateway/tls_pem.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/buf.h"
#include "base/mem.h"

enum { PEM_READ_BYTES = 4096 };

/* ---- files ------------------------------------------------------------------------------ */

/* Appends the file to `out`. */
static int read_all(int fd, struct buf *out)
{
    for (;;) {
        char piece[PEM_READ_BYTES];
        ssize_t n = read(fd, piece, sizeof(piece));

        if (n > 0)
            buf_add(out, piece, (size_t)n);
        mem_wipe(piece, sizeof(piece));
        if (n == 0 || buf_failed(out))
            return 0;
        if (n == -1 && errno != EINTR)
            return -1;
    }
}

static int read_file(const char *path, struct buf *out, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int rc = 0;

    if (fd == -1)
        return err_set_errno(e, errno, "cannot read %s", path);
    if (read_all(fd, out) == -1)
        rc = err_set_errno(e, errno, "cannot read %s", path);
    else if (buf_failed(out))
        rc = err_set(e, E_CONFIG, "%s is larger than %d bytes; is it a PEM file?", path,
                     (int)TLS_PEM_MAX_BYTES);
    (void)close(fd); /* only read from */
    return rc;
}

/* The bytes may be a key: they do not stay in freed memory. */
static void forget(struct buf *b)
{
    if (b->mem != NULL)
        mem_wipe(b->mem, b->cap);
    buf_fini(b);
}

static bool has_block(struct str pem, struct str type)
{
    return str_find(pem, type) < pem.n;
}

static bool has_certificate(struct str pem)
{
    return has_block(pem, STR("CERTIFICATE-----"));
}

static bool has_key(struct str pem)
{
    return has_block(pem, STR("PRIVATE KEY-----"));
}

static BIO *bio_of(struct str pem)
{
    BIO *bio = BIO_new_mem_buf(pem.p != NULL ? pem.p : "", (int)pem.n);

    assert(bio != NULL && pem.n <= TLS_PEM_MAX_BYTES);
    return bio;
}

/* ---- certificates ----------------------------------------------------------------------- */

static void chain_free(STACK_OF(X509) * chain)
{
    sk_X509_pop_free(chain, X509_free);
}

/* Each certificate must be signed by the next one. */
static int check_order(STACK_OF(X509) * chain, const char *path, struct err *e)
{
    for (int i = 0; i + 1 < sk_X509_num(chain); i++) {
        X509 *subject = sk_X509_value(chain, i);
        X509 *issuer = sk_X509_value(chain, i + 1);

        if (X509_check_issued(issuer, subject) == X509_V_OK &&
            X509_verify(subject, X509_get0_pubkey(issuer)) == 1)
            continue;
        return err_set(e, E_CONFIG,
                       "%s: certificate %d is not signed by certificate %d; put the server's own "
                       "first and behind each one its issuer",
                       path, i + 1, i + 2);
    }
    return 0;
}

/* Reads one certificate into the chain. Returns 1, 0 at the end, or -1. */
static int read_one(BIO *bio, STACK_OF(X509) * chain, const char *path, struct err *e)
{
    X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    unsigned long why = ERR_peek_last_error();

    if (cert == NULL && ERR_GET_LIB(why) == ERR_LIB_PEM &&
        ERR_GET_REASON(why) == PEM_R_NO_START_LINE)
        return 0;
    if (cert == NULL)
        return err_set(e, E_CONFIG, "%s: certificate %d is damaged", path, sk_X509_num(chain) + 1);
    if (sk_X509_num(chain) >= TLS_PEM_CHAIN_MAX || sk_X509_push(chain, cert) == 0) {
        X509_free(cert);
        return err_set(e, E_CONFIG, "%s holds more than %d certificates", path,
                       (int)TLS_PEM_CHAIN_MAX);
    }
    return 1;
}

STACK_OF(X509) * tls_pem_parse_chain(struct str pem, const char *path, struct err *e)
{
    STACK_OF(X509) *chain = sk_X509_new_null();
    BIO *bio = bio_of(pem);
    int rc;

    assert(chain != NULL);
    do {
        rc = read_one(bio, chain, path, e);
    } while (rc == 1);
    if (rc == 0 && sk_X509_num(chain) == 0)
        rc = has_key(pem) ? err_set(e, E_CONFIG,
                                    "%s holds a private key and no certificate; are cert and key "
                                    "exchanged?",
                                    path)
                          : err_set(e, E_CONFIG, "%s holds no certificate in PEM form", path);
    else if (rc == 0)
        rc = check_order(chain, path, e);
    BIO_free(bio);
    ERR_clear_error(); /* the end of the file is an error to OpenSSL */
    if (rc == 0)
        return chain;
    chain_free(chain);
    return NULL;
}

STACK_OF(X509) * tls_pem_read_chain(const char *path, struct err *e)
{
    STACK_OF(X509) *chain = NULL;
    struct buf text;

    buf_init(&text, TLS_PEM_MAX_BYTES);
    if (read_file(path, &text, e) == 0)
        chain = tls_pem_parse_chain(buf_str(&text), path, e);
    forget(&text);
    return chain;
}

/* ---- keys ------------------------------------------------------------------------------- */

/* OpenSSL asks for a passphrase only when the key is encrypted; nobody is there to type one. */
static int on_passphrase(char *out, int cap, int writing, void *encrypted)
{
    (void)out;
    (void)cap;
    (void)writing;
    *(bool *)encrypted = true;
    return -1;
}

EVP_PKEY *tls_pem_parse_key(struct str pem, const char *path, struct err *e)
{
    bool encrypted = false;
    BIO *bio = bio_of(pem);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, on_passphrase, &encrypted);

    BIO_free(bio);
    ERR_clear_error(); /* the message below says it better */
    if (key != NULL)
        return key;
    if (encrypted)
        (void)err_set(e, E_CONFIG,
                      "%s is encrypted; take the passphrase off: openssl pkey -in KEY -out NEW",
                      path);
    else if (has_key(pem))
        (void)err_set(e, E_CONFIG, "%s holds a damaged or unknown private key", path);
    else if (has_certificate(pem))
        (void)err_set(e, E_CONFIG,
                      "%s holds a certificate and no private key; are cert and key exchanged?",
                      path);
    else
        (void)err_set(e, E_CONFIG, "%s holds no private key in PEM form", path);
    return NULL;
}

EVP_PKEY *tls_pem_read_key(const char *path, struct err *e)
{
    EVP_PKEY *key = NULL;
    struct buf text;

    buf_init(&text, TLS_PEM_MAX_BYTES);
    if (read_file(path, &text, e) == 0)
        key = tls_pem_parse_key(buf_str(&text), path, e);
    forget(&text);
    return key;
}
