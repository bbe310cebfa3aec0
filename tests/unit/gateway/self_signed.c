#include "tests/unit/gateway/self_signed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

enum { VALID_SECONDS = 3600 };

static void add_names(X509 *cert)
{
    X509_EXTENSION *alt =
        X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:up.test,IP:127.0.0.1");

    assert_non_null(alt);
    (void)X509_add_ext(cert, alt, -1);
    X509_EXTENSION_free(alt);
}

void self_signed_new(EVP_PKEY **key, X509 **cert)
{
    X509_NAME *name;

    *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    *cert = X509_new();
    assert_non_null(*key);
    assert_non_null(*cert);
    assert_int_equal(X509_set_version(*cert, X509_VERSION_3), 1);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(*cert), 1);
    (void)X509_gmtime_adj(X509_getm_notBefore(*cert), -60);
    (void)X509_gmtime_adj(X509_getm_notAfter(*cert), VALID_SECONDS);
    name = X509_get_subject_name(*cert);
    (void)X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"up", -1, -1,
                                     0);
    (void)X509_set_issuer_name(*cert, name);
    (void)X509_set_pubkey(*cert, *key);
    add_names(*cert);
    assert_int_not_equal(X509_sign(*cert, *key, EVP_sha256()), 0);
}
