#include "tunnel/ca_bundle.h"

#include <limits.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

/* Reads the next certificate. Returns 1, 0 when there is none any more, or -1 when it is broken. */
static int read_certificate(BIO *in)
{
    X509 *cert = PEM_read_bio_X509(in, NULL, NULL, NULL);
    unsigned long code = ERR_peek_last_error();

    ERR_clear_error();
    if (cert != NULL) {
        X509_free(cert);
        return 1;
    }
    return ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE ? 0 : -1;
}

int ca_bundle_check(struct str pem, struct err *e)
{
    BIO *in = pem.n <= INT_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
    unsigned count = 0;
    int read = 0;

    while (in != NULL && count <= CA_BUNDLE_MAX && (read = read_certificate(in)) == 1)
        count++;
    BIO_free(in);
    if (read == -1)
        return err_set(e, E_CERTIFICATE_PEM, "certificate %u cannot be read", count + 1);
    if (count == 0)
        return err_set(e, E_CERTIFICATE_PEM,
                       "there is no certificate in it; it must be PEM, with BEGIN CERTIFICATE");
    if (count > CA_BUNDLE_MAX)
        return err_set(e, E_CERTIFICATE_PEM, "more than %d certificates", CA_BUNDLE_MAX);
    return 0;
}
