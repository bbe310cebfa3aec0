/*
 * Fuzz target of gateway/tls_cert: a certificate says what its maker likes; all that comes out of it
 * is valid UTF-8, its lists are bounded, and no field made of it breaks a line.
 */
#include <assert.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include "base/arena.h"
#include "base/utf8.h"
#include "gateway/headers.h"
#include "gateway/tls_cert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_texts(const struct tls_texts *t)
{
    assert(t->count <= TLS_CERT_ENTRIES_MAX);
    for (size_t i = 0; i < t->count; i++)
        assert(utf8_is_valid(t->items[i]));
}

static void check_name(const struct tls_name *n)
{
    assert(utf8_is_valid(n->text) && utf8_is_valid(n->common_name));
    for (size_t i = 0; i < TLS_NAME_PARTS; i++)
        check_texts(&n->parts[i]);
}

static void check_fields(const struct tls_cert *cert, struct arena *a)
{
    struct http_headers h = { 0 };

    headers_add_mtls(&h, a, cert);
    for (size_t i = 0; i < h.count; i++) {
        assert(str_find_char(h.items[i].value, '\r') == h.items[i].value.n);
        assert(str_find_char(h.items[i].value, '\n') == h.items[i].value.n);
        assert(str_find_char(h.items[i].value, '\0') == h.items[i].value.n);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const unsigned char *p = data;
    X509 *x509 = d2i_X509(NULL, &p, (long)size);
    struct tls_cert cert;
    struct arena a;

    ERR_clear_error();
    if (x509 == NULL)
        return 0;
    arena_init(&a);
    tls_cert_read(x509, &a, &cert);
    check_name(&cert.issuer);
    check_name(&cert.subject);
    check_texts(&cert.dns_names);
    check_texts(&cert.email_addresses);
    check_texts(&cert.ip_addresses);
    check_texts(&cert.uris);
    assert(utf8_is_valid(cert.san) && utf8_is_valid(cert.serial_number));
    assert(cert.extension_count <= TLS_CERT_ENTRIES_MAX);
    (void)tls_cert_pem(x509, &a);
    check_fields(&cert, &a);
    arena_fini(&a);
    X509_free(x509);
    return 0;
}
