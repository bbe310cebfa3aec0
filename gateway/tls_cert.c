#include "gateway/tls_cert.h"

#include <string.h>

#include <openssl/bn.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/addr.h"
#include "base/buf.h"
#include "base/utf8.h"
#include "policy/message_text.h"

/* What a BIO in memory holds, in the arena. */
static struct str bio_text(BIO *bio, struct arena *a)
{
    char *p;
    long n = BIO_get_mem_data(bio, &p);

    return n <= 0 ? STR_NONE : arena_str(a, message_text_clean(a, str_of(p, (size_t)n)));
}

static struct str string_text(const ASN1_STRING *s, struct arena *a)
{
    unsigned char *utf8;
    int n = ASN1_STRING_to_UTF8(&utf8, s);
    struct str out = STR_NONE;

    if (n < 0)
        return out;
    if (utf8_is_valid(str_of((const char *)utf8, (size_t)n)))
        out = arena_str(a, str_of((const char *)utf8, (size_t)n));
    OPENSSL_free(utf8);
    return out;
}

static void add_text(struct arena *a, struct tls_texts *t, struct str text)
{
    if (t->items == NULL)
        t->items = arena_alloc(a, TLS_CERT_ENTRIES_MAX * sizeof(*t->items));
    if (t->count < TLS_CERT_ENTRIES_MAX)
        t->items[t->count++] = text;
}

/* ---- names ------------------------------------------------------------------------------------ */

static void read_name(const X509_NAME *name, struct arena *a, struct tls_name *out)
{
    static const int nids[TLS_NAME_PARTS] = {
        [TLS_NAME_COUNTRY] = NID_countryName,
        [TLS_NAME_LOCALITY] = NID_localityName,
        [TLS_NAME_ORGANIZATION] = NID_organizationName,
        [TLS_NAME_ORGANIZATIONAL_UNIT] = NID_organizationalUnitName,
        [TLS_NAME_POSTAL_CODE] = NID_postalCode,
        [TLS_NAME_PROVINCE] = NID_stateOrProvinceName,
        [TLS_NAME_STREET_ADDRESS] = NID_streetAddress,
    };
    BIO *bio = BIO_new(BIO_s_mem());

    if (bio != NULL &&
        X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0)
        out->text = bio_text(bio, a);
    BIO_free(bio);
    for (int i = 0; i < X509_NAME_entry_count(name); i++) {
        const X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);
        int nid = OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry));
        struct str text = string_text(X509_NAME_ENTRY_get_data(entry), a);

        if (nid == NID_commonName)
            out->common_name = text;
        for (size_t j = 0; j < TLS_NAME_PARTS; j++) {
            if (nid == nids[j])
                add_text(a, &out->parts[j], text);
        }
    }
}

/* ---- subject alternative names ---------------------------------------------------------------- */

static struct str ip_text(const ASN1_OCTET_STRING *ip, struct arena *a)
{
    struct addr addr = { .family = ip->length == 4 ? 4 : 6 };
    char text[ADDR_IP_TEXT_BYTES];

    if (ip->length != 4 && ip->length != 16)
        return STR_NONE;
    memcpy(addr.ip, ip->data, (size_t)ip->length);
    return arena_str(a, str_from(addr_format_ip(&addr, text)));
}

/* None of these has a comma and a space in it, and one that has could pass for two. */
static void add_san(struct buf *san, const char *kind, struct str text)
{
    if (str_find(text, STR(", ")) < text.n)
        return;
    buf_add_fmt(san, "%s%s:", san->len > 0 ? ", " : "", kind);
    buf_add_str(san, text);
}

static void read_general_name(const GENERAL_NAME *name, struct arena *a, struct tls_cert *out,
                              struct buf *san)
{
    struct str text;

    switch (name->type) {
    case GEN_DNS:
        text = string_text(name->d.dNSName, a);
        add_text(a, &out->dns_names, text);
        add_san(san, "DNS", text);
        break;
    case GEN_EMAIL:
        text = string_text(name->d.rfc822Name, a);
        add_text(a, &out->email_addresses, text);
        add_san(san, "email", text);
        break;
    case GEN_URI:
        text = string_text(name->d.uniformResourceIdentifier, a);
        add_text(a, &out->uris, text);
        add_san(san, "URI", text);
        break;
    case GEN_IPADD:
        text = ip_text(name->d.iPAddress, a);
        add_text(a, &out->ip_addresses, text);
        add_san(san, "IP Address", text);
        break;
    default: /* the other kinds have no place in the variables */
        break;
    }
}

static void read_san(X509 *x509, struct arena *a, struct tls_cert *out)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);
    struct buf san;

    buf_init(&san, SIZE_MAX / 2); /* the certificate's own size bounds it */
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && i < TLS_CERT_ENTRIES_MAX; i++)
        read_general_name(sk_GENERAL_NAME_value(names, i), a, out, &san);
    out->san = arena_str(a, buf_str(&san));
    buf_fini(&san);
    GENERAL_NAMES_free(names);
}

/* ---- the rest --------------------------------------------------------------------------------- */

static struct str serial_text(X509 *x509, struct arena *a)
{
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x509), NULL);
    char *hex = number == NULL ? NULL : BN_bn2hex(number);
    struct str text = STR_NONE;

    if (hex != NULL)
        text = arena_fmt(a, "%s", hex);
    for (size_t i = 0; i < text.n; i++)
        ((char *)(uintptr_t)text.p)[i] = char_lower(text.p[i]);
    OPENSSL_free(hex);
    BN_free(number);
    return text;
}

/* Go's names (D21). */
static struct str algorithm_text(X509 *x509)
{
    static const struct {
        int nid;
        const char *name;
    } names[] = {
        { NID_sha1WithRSAEncryption, "SHA1-RSA" },
        { NID_sha256WithRSAEncryption, "SHA256-RSA" },
        { NID_sha384WithRSAEncryption, "SHA384-RSA" },
        { NID_sha512WithRSAEncryption, "SHA512-RSA" },
        { NID_ecdsa_with_SHA1, "ECDSA-SHA1" },
        { NID_ecdsa_with_SHA256, "ECDSA-SHA256" },
        { NID_ecdsa_with_SHA384, "ECDSA-SHA384" },
        { NID_ecdsa_with_SHA512, "ECDSA-SHA512" },
        { NID_ED25519, "Ed25519" },
    };
    static const struct {
        int nid;
        const char *name;
    } pss[] = {
        { NID_sha256, "SHA256-RSAPSS" },
        { NID_sha384, "SHA384-RSAPSS" },
        { NID_sha512, "SHA512-RSAPSS" },
    };
    int nid = X509_get_signature_nid(x509);
    int digest = NID_undef;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (names[i].nid == nid)
            return str_from(names[i].name);
    }
    (void)X509_get_signature_info(x509, &digest, NULL, NULL, NULL); /* undef if it fails */
    for (size_t i = 0; nid == NID_rsassaPss && i < sizeof(pss) / sizeof(pss[0]); i++) {
        if (pss[i].nid == digest)
            return str_from(pss[i].name);
    }
    return STR_NONE;
}

static int64_t time_seconds(const ASN1_TIME *t)
{
    struct tm tm;

    return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static void read_extensions(X509 *x509, struct arena *a, struct tls_cert *out)
{
    int count = X509_get_ext_count(x509);

    if (count <= 0)
        return;
    if (count > TLS_CERT_ENTRIES_MAX)
        count = TLS_CERT_ENTRIES_MAX;
    out->extensions = arena_zalloc(a, (size_t)count * sizeof(*out->extensions));
    for (int i = 0; i < count; i++) {
        X509_EXTENSION *e = X509_get_ext(x509, i);
        const ASN1_OCTET_STRING *data = X509_EXTENSION_get_data(e);
        struct tls_extension *to = &out->extensions[out->extension_count++];
        char oid[80];

        if (OBJ_obj2txt(oid, sizeof(oid), X509_EXTENSION_get_object(e), 1) > 0)
            to->id = arena_str(a, str_from(oid));
        to->critical = X509_EXTENSION_get_critical(e) != 0;
        to->value = arena_str(a, str_of((const char *)data->data, (size_t)data->length));
    }
}

void tls_cert_read(X509 *x509, struct arena *a, struct tls_cert *out)
{
    *out = (struct tls_cert){ .not_after = time_seconds(X509_get0_notAfter(x509)),
                              .not_before = time_seconds(X509_get0_notBefore(x509)) };
    read_name(X509_get_issuer_name(x509), a, &out->issuer);
    read_name(X509_get_subject_name(x509), a, &out->subject);
    read_san(x509, a, out);
    out->serial_number = serial_text(x509, a);
    out->signature_algorithm = algorithm_text(x509);
    read_extensions(x509, a, out);
}

struct str tls_cert_pem(X509 *x509, struct arena *a)
{
    BIO *bio = BIO_new(BIO_s_mem());
    struct str text = STR_NONE;

    if (bio != NULL && PEM_write_bio_X509(bio, x509) == 1)
        text = bio_text(bio, a);
    BIO_free(bio);
    return text;
}
