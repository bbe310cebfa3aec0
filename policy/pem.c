#include "policy/pem.h"

#include <assert.h>
#include <stdbool.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

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

/* NULL when there is more text than anybody needs. */
static BIO *bio_of(struct str pem, const char *what, struct err *e)
{
    BIO *bio;

    if (pem.n > PEM_MAX_BYTES) {
        (void)err_set(e, E_CERTIFICATE_PEM, "%s is larger than %d bytes", what, (int)PEM_MAX_BYTES);
        return NULL;
    }
    bio = BIO_new_mem_buf(pem.p != NULL ? pem.p : "", (int)pem.n);
    assert(bio != NULL); /* only memory can be missing */
    return bio;
}

/* ---- certificates ----------------------------------------------------------------------- */

void pem_chain_free(STACK_OF(X509) * chain)
{
    sk_X509_pop_free(chain, X509_free);
}

/* Each certificate must be signed by the next one. */
static int check_order(STACK_OF(X509) * chain, const char *what, struct err *e)
{
    for (int i = 0; i + 1 < sk_X509_num(chain); i++) {
        X509 *subject = sk_X509_value(chain, i);
        X509 *issuer = sk_X509_value(chain, i + 1);

        if (X509_check_issued(issuer, subject) == X509_V_OK &&
            X509_verify(subject, X509_get0_pubkey(issuer)) == 1)
            continue;
        return err_set(e, E_CERTIFICATE_PEM,
                       "%s: certificate %d is not signed by certificate %d; put the server's own "
                       "first and behind each one its issuer",
                       what, i + 1, i + 2);
    }
    return 0;
}

/* Appends the next certificate. Returns 1, 0 at the end, or -1. */
static int read_one(BIO *bio, STACK_OF(X509) * out, int max, const char *what, struct err *e)
{
    X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    unsigned long why = ERR_peek_last_error();

    ERR_clear_error(); /* the end of the text is an error to OpenSSL */
    if (cert == NULL && ERR_GET_LIB(why) == ERR_LIB_PEM &&
        ERR_GET_REASON(why) == PEM_R_NO_START_LINE)
        return 0;
    if (cert == NULL)
        return err_set(e, E_CERTIFICATE_PEM, "%s: certificate %d is damaged", what,
                       sk_X509_num(out) + 1);
    if (sk_X509_num(out) >= max || sk_X509_push(out, cert) == 0) {
        X509_free(cert);
        return err_set(e, E_CERTIFICATE_PEM, "%s holds more than %d certificates", what, max);
    }
    return 1;
}

/* Appends all certificates. Returns how many, or -1. */
static int read_all(struct str pem, STACK_OF(X509) * out, int max, const char *what, struct err *e)
{
    int before = sk_X509_num(out);
    BIO *bio = bio_of(pem, what, e);
    int rc;

    if (bio == NULL)
        return -1;
    do {
        rc = read_one(bio, out, max, what, e);
    } while (rc == 1);
    BIO_free(bio);
    return rc == -1 ? -1 : sk_X509_num(out) - before;
}

STACK_OF(X509) * pem_parse_chain(struct str pem, const char *what, struct err *e)
{
    STACK_OF(X509) *chain = sk_X509_new_null();
    int read;

    assert(chain != NULL);
    read = read_all(pem, chain, PEM_CHAIN_MAX, what, e);
    if (read == 0 && has_key(pem))
        (void)err_set(e, E_CERTIFICATE_PEM,
                      "%s holds a private key and no certificate; are cert and key exchanged?",
                      what);
    else if (read == 0)
        (void)err_set(e, E_CERTIFICATE_PEM, "%s holds no certificate in PEM form", what);
    else if (read > 0 && check_order(chain, what, e) == 0)
        return chain;
    ERR_clear_error();
    pem_chain_free(chain);
    return NULL;
}

int pem_parse_authorities(struct str pem, const char *what, STACK_OF(X509) * out, struct err *e)
{
    int first = sk_X509_num(out);
    int read = read_all(pem, out, PEM_AUTHORITIES_MAX, what, e);

    if (read == -1)
        return -1;
    if (read == 0)
        return err_set(e, E_MTLS_NO_PEM, "%s holds no certificate in PEM form", what);
    for (int i = first; i < sk_X509_num(out); i++) {
        if (X509_check_ca(sk_X509_value(out, i)) != 1)
            return err_set(e, E_MTLS_NOT_CA,
                           "%s: certificate %d is not that of an authority (CA:TRUE)", what,
                           i - first + 1);
    }
    return 0;
}

bool pem_is_pair(X509 *cert, EVP_PKEY *key)
{
    bool same = X509_check_private_key(cert, key) == 1;

    ERR_clear_error();
    return same;
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

EVP_PKEY *pem_parse_key(struct str pem, const char *what, struct err *e)
{
    bool encrypted = false;
    BIO *bio = bio_of(pem, what, e);
    EVP_PKEY *key;

    if (bio == NULL)
        return NULL;
    key = PEM_read_bio_PrivateKey(bio, NULL, on_passphrase, &encrypted);
    BIO_free(bio);
    ERR_clear_error(); /* the message below says it better */
    if (key != NULL)
        return key;
    if (encrypted)
        (void)err_set(e, E_CERTIFICATE_PEM,
                      "%s is encrypted; take the passphrase off: openssl pkey -in KEY -out NEW",
                      what);
    else if (has_key(pem))
        (void)err_set(e, E_CERTIFICATE_PEM, "%s holds a damaged or unknown private key", what);
    else if (has_certificate(pem))
        (void)err_set(e, E_CERTIFICATE_PEM,
                      "%s holds a certificate and no private key; are cert and key exchanged?",
                      what);
    else
        (void)err_set(e, E_CERTIFICATE_PEM, "%s holds no private key in PEM form", what);
    return NULL;
}

EVP_PKEY *pem_parse_user_key(struct str pem, const char *what, struct err *e)
{
    EVP_PKEY *key = pem_parse_key(pem, what, e);

    if (key == NULL || i2d_PrivateKey(key, NULL) <= PEM_USER_KEY_MAX_BYTES)
        return key;
    (void)err_set(e, E_CERTIFICATE_PEM,
                  "%s holds a private key that is too large; RSA keys may "
                  "have 4096 bits",
                  what);
    EVP_PKEY_free(key);
    return NULL;
}
