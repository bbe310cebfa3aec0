/*
 * Each mistake has a code of its own, which OpenSSL's readers do not tell apart; so the PEM blocks are
 * looked at one by one before policy/pem.h reads them.
 */
#include "gateway/tls_upload.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/arena.h"
#include "base/utf8.h"
#include "gateway/tls_cert.h"
#include "policy/pem.h"
#include "tunnel/api/call.h"

#define WHERE_CERT "certificate_pem"
#define WHERE_KEY  "private_key_pem"

static bool holds(struct str text, struct str part)
{
    return str_find(text, part) < text.n;
}

static enum api_pair_fault refuse(enum api_pair_fault fault, struct err *e, const char *text)
{
    (void)err_set(e, E_CERTIFICATE_PEM, "%s", text);
    return fault;
}

/* ---- the certificates ------------------------------------------------------------------------ */

static enum api_pair_fault check_der(const unsigned char *der, long n, struct err *e)
{
    const unsigned char *at = der;
    X509 *cert = d2i_X509(NULL, &at, n);
    bool is_whole = cert != NULL && at == der + n;

    X509_free(cert);
    ERR_clear_error();
    return is_whole ? API_PAIR_FINE
                    : refuse(API_PAIR_DAMAGED, e, WHERE_CERT ": a certificate is damaged");
}

static enum api_pair_fault check_block(const char *type, const char *header,
                                       const unsigned char *der, long n, struct err *e)
{
    if (holds(str_from(type), STR("PRIVATE KEY")))
        return refuse(API_PAIR_CERT_IS_KEY, e, WHERE_CERT " holds a private key");
    if (header[0] != '\0')
        return refuse(API_PAIR_HEADERS, e, WHERE_CERT ": a PEM block has headers");
    if (strcmp(type, "CERTIFICATE") != 0)
        return refuse(API_PAIR_TYPE, e, WHERE_CERT ": a PEM block is not of the type CERTIFICATE");
    return check_der(der, n, e);
}

/* The next block. *more: there was one. */
static enum api_pair_fault check_next(BIO *bio, bool *more, struct err *e)
{
    enum api_pair_fault fault = API_PAIR_FINE;
    unsigned char *der = NULL;
    char *header = NULL;
    char *type = NULL;
    long n;

    *more = PEM_read_bio(bio, &type, &header, &der, &n) == 1;
    if (*more)
        fault = check_block(type, header, der, n, e);
    else if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        fault = refuse(API_PAIR_DAMAGED, e, WHERE_CERT ": a PEM block is damaged");
    ERR_clear_error(); /* the end of the text is an error to OpenSSL */
    OPENSSL_free(type);
    OPENSSL_free(header);
    OPENSSL_free(der);
    return fault;
}

static enum api_pair_fault check_blocks(struct str pem, struct err *e)
{
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    enum api_pair_fault fault;
    int count = 0;
    bool more;

    do {
        fault = check_next(bio, &more, e);
        count += more ? 1 : 0;
    } while (more && fault == API_PAIR_FINE && count <= PEM_CHAIN_MAX);
    BIO_free(bio);
    if (fault == API_PAIR_FINE && count == 0)
        return refuse(API_PAIR_NO_PEM, e, WHERE_CERT " holds no certificate in PEM form");
    if (fault == API_PAIR_FINE && count > PEM_CHAIN_MAX)
        return refuse(API_PAIR_TOO_LONG, e, WHERE_CERT " holds too many certificates");
    return fault;
}

static enum api_pair_fault read_chain(struct str pem, STACK_OF(X509) * *chain, struct err *e)
{
    enum api_pair_fault fault;

    if (str_trim(pem).n == 0)
        return refuse(API_PAIR_EMPTY, e, WHERE_CERT " is empty");
    if (pem.n > PEM_MAX_BYTES)
        return refuse(API_PAIR_TOO_LONG, e, WHERE_CERT " is too large");
    fault = check_blocks(pem, e);
    if (fault != API_PAIR_FINE)
        return fault;
    *chain = pem_parse_chain(pem, WHERE_CERT, e);
    return *chain != NULL ? API_PAIR_FINE : API_PAIR_ORDER; /* all else was looked at */
}

/* ---- the key --------------------------------------------------------------------------------- */

static const char *key_type(const EVP_PKEY *key)
{
    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
        return "rsa";
    case EVP_PKEY_EC:
        return "ecdsa";
    case EVP_PKEY_ED25519:
        return "ed25519";
    default: /* OpenSSL knows many more, and browsers none of them */
        return NULL;
    }
}

static enum api_pair_fault read_key(struct str pem, EVP_PKEY **key, struct err *e)
{
    if (!holds(pem, STR("PRIVATE KEY-----")) && holds(pem, STR("CERTIFICATE-----")))
        return refuse(API_PAIR_KEY_IS_CERT, e, WHERE_KEY " holds a certificate");
    if (holds(pem, STR("BEGIN ENCRYPTED PRIVATE KEY")) || holds(pem, STR("4,ENCRYPTED")))
        return refuse(API_PAIR_KEY_ENCRYPTED, e, WHERE_KEY " is encrypted");
    *key = pem_parse_user_key(pem, WHERE_KEY, e);
    if (*key == NULL)
        return API_PAIR_KEY_TYPE;
    if (key_type(*key) == NULL)
        return refuse(API_PAIR_KEY_TYPE, e, WHERE_KEY " is neither RSA, ECDSA nor Ed25519");
    return API_PAIR_FINE;
}

/* OpenSSL does not serve keys that are too weak. */
static enum api_pair_fault check_served(STACK_OF(X509) * chain, EVP_PKEY *key, struct err *e)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    bool is_served =
        ctx != NULL && SSL_CTX_use_cert_and_key(ctx, sk_X509_value(chain, 0), key, NULL, 1) == 1;
    const char *why = is_served ? NULL : ERR_reason_error_string(ERR_peek_error());

    ERR_clear_error();
    SSL_CTX_free(ctx);
    return is_served ? API_PAIR_FINE
                     : refuse(API_PAIR_KEY_TYPE, e, why != NULL ? why : "OpenSSL refuses them");
}

/* ---- what the leaf says ---------------------------------------------------------------------- */

/* The text if the store's JSON can have it, without a NUL; else nothing. */
static struct str storable(struct str text)
{
    return utf8_is_valid(text) && str_find_char(text, '\0') == text.n ? text : STR("");
}

/* Of several values the first. */
static void set_part(json_t *o, const char *member, const X509_NAME *name, int nid)
{
    int at = X509_NAME_get_index_by_NID(name, nid, -1);
    unsigned char *utf8 = NULL;
    int n = at < 0 ? -1
                   : ASN1_STRING_to_UTF8(&utf8,
                                         X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    struct str text = n > 0 ? str_of((const char *)utf8, (size_t)n) : STR("");

    api_set(o, member, storable(text));
    OPENSSL_free(utf8);
    ERR_clear_error();
}

static void set_names(json_t *o, X509 *leaf)
{
    static const struct {
        const char *member;
        int nid;
    } parts[] = {
        { "subject_common_name", NID_commonName },
        { "subject_organization", NID_organizationName },
        { "subject_organizational_unit", NID_organizationalUnitName },
        { "subject_locality", NID_localityName },
        { "subject_province", NID_stateOrProvinceName },
        { "subject_country", NID_countryName },
    };

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        set_part(o, parts[i].member, X509_get_subject_name(leaf), parts[i].nid);
    set_part(o, "issuer_common_name", X509_get_issuer_name(leaf), NID_commonName);
}

static json_t *texts(const struct tls_texts *from)
{
    json_t *list = json_array();

    for (size_t i = 0; i < from->count; i++) {
        struct str text = storable(from->items[i]);

        if (text.n > 0)
            (void)json_array_append_new(list, json_stringn(text.p, text.n));
    }
    return list;
}

static void set_time(json_t *o, const char *member, int64_t seconds)
{
    char text[API_TIME_BYTES];

    api_format_time(seconds > 0 ? (uint64_t)seconds * 1000 : 0, text);
    api_set(o, member, str_from(text));
}

static void set_usages(json_t *o, X509 *leaf)
{
    static const struct {
        const char *name;
        uint32_t bit;
    } usages[] = {
        { "digital_signature", KU_DIGITAL_SIGNATURE },
        { "content_commitment", KU_NON_REPUDIATION },
        { "key_encipherment", KU_KEY_ENCIPHERMENT },
        { "data_encipherment", KU_DATA_ENCIPHERMENT },
        { "key_agreement", KU_KEY_AGREEMENT },
        { "cert_sign", KU_KEY_CERT_SIGN },
        { "crl_sign", KU_CRL_SIGN },
        { "encipher_only", KU_ENCIPHER_ONLY },
        { "decipher_only", KU_DECIPHER_ONLY },
    };
    bool any = (X509_get_extension_flags(leaf) & EXFLAG_KUSAGE) != 0;
    uint32_t bits = X509_get_key_usage(leaf);
    json_t *list = json_array();

    for (size_t i = 0; any && i < sizeof(usages) / sizeof(usages[0]); i++) {
        if ((bits & usages[i].bit) != 0)
            (void)json_array_append_new(list, json_string(usages[i].name));
    }
    (void)json_object_set_new(o, "key_usages", list);
}

static json_t *purpose(const ASN1_OBJECT *object)
{
    static const struct {
        int nid;
        const char *name;
    } names[] = {
        { NID_anyExtendedKeyUsage, "any" },        { NID_server_auth, "server_auth" },
        { NID_client_auth, "client_auth" },        { NID_code_sign, "code_signing" },
        { NID_email_protect, "email_protection" }, { NID_time_stamp, "time_stamping" },
        { NID_OCSP_sign, "ocsp_signing" },
    };
    char oid[80];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (OBJ_obj2nid(object) == names[i].nid)
            return json_string(names[i].name);
    }
    return OBJ_obj2txt(oid, sizeof(oid), object, 1) > 0 ? json_string(oid) : json_string("");
}

static void set_purposes(json_t *o, X509 *leaf)
{
    EXTENDED_KEY_USAGE *all = X509_get_ext_d2i(leaf, NID_ext_key_usage, NULL, NULL);
    json_t *list = json_array();

    for (int i = 0; i < sk_ASN1_OBJECT_num(all) && i < TLS_CERT_ENTRIES_MAX; i++)
        (void)json_array_append_new(list, purpose(sk_ASN1_OBJECT_value(all, i)));
    sk_ASN1_OBJECT_pop_free(all, ASN1_OBJECT_free);
    (void)json_object_set_new(o, "extended_key_usages", list);
}

static json_t *describe(X509 *leaf, const EVP_PKEY *key)
{
    json_t *o = json_object();
    json_t *names = json_object();
    struct tls_cert cert;
    struct arena a;

    arena_init(&a);
    tls_cert_read(leaf, &a, &cert);
    set_time(o, "not_before", cert.not_before);
    set_time(o, "not_after", cert.not_after);
    set_names(o, leaf);
    (void)json_object_set_new(names, "dns_names", texts(&cert.dns_names));
    (void)json_object_set_new(names, "ips", texts(&cert.ip_addresses));
    (void)json_object_set_new(o, "subject_alternative_names", names);
    api_set(o, "serial_number", cert.serial_number);
    api_set(o, "private_key_type", str_from(key_type(key)));
    set_usages(o, leaf);
    set_purposes(o, leaf);
    arena_fini(&a);
    return o;
}

json_t *tls_upload_read(struct str certificate_pem, struct str key_pem, enum api_pair_fault *fault,
                        struct err *e)
{
    STACK_OF(X509) *chain = NULL;
    EVP_PKEY *key = NULL;
    json_t *members = NULL;

    *fault = read_chain(certificate_pem, &chain, e);
    if (*fault == API_PAIR_FINE)
        *fault = read_key(key_pem, &key, e);
    if (*fault == API_PAIR_FINE && !pem_is_pair(sk_X509_value(chain, 0), key))
        *fault = refuse(API_PAIR_OTHER_KEY, e, "the private key is not that of the certificate");
    if (*fault == API_PAIR_FINE)
        *fault = check_served(chain, key, e);
    if (*fault == API_PAIR_FINE)
        members = describe(sk_X509_value(chain, 0), key);
    pem_chain_free(chain);
    EVP_PKEY_free(key);
    return members;
}
