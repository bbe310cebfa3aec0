/*
 * Extensions are built from values, never from configuration text ("DNS:" HOST), in which a comma in
 * a name would start another entry. Those that are the same for every leaf are made once.
 */
#include "gateway/local_ca_int.h"

#include <assert.h>
#include <stdbool.h>

#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "base/mem.h"
#include "base/rand.h"
#include "gateway/local_ca.h"

enum {
    SERIAL_BYTES = 16,          /* random; RFC 5280 section 4.1.2.2 allows 20 */
    COMMON_NAME_MAX_BYTES = 64, /* RFC 5280 ub-common-name */
    BACKDATE_S = 3600,          /* clocks of clients may be behind */
    DAY_S = 24 * 3600,
    KEY_USAGE_BITS = 9,
};

/* Bits of keyUsage (RFC 5280 section 4.2.1.3). */
enum { USAGE_DIGITAL_SIGNATURE = 0, USAGE_CERT_SIGN = 5, USAGE_CRL_SIGN = 6 };

enum fixed_extension {
    FIXED_BASIC,
    FIXED_USAGE,
    FIXED_EXTENDED_USAGE,
    FIXED_SUBJECT_KEY,
    FIXED_AUTHORITY_KEY,
    FIXED_COUNT
};

struct local_ca_mint {
    X509 *root;                         /* borrowed: outlives us */
    EVP_PKEY *root_key;                 /* borrowed: outlives us */
    EVP_PKEY *leaf_key;                 /* borrowed: outlives us */
    X509_EXTENSION *fixed[FIXED_COUNT]; /* owned */
};

EVP_PKEY *local_ca_make_key(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");

    assert(key != NULL); /* only memory or the random generator could fail */
    return key;
}

/* ---- extensions ------------------------------------------------------------------------- */

static X509_EXTENSION *make_basic(bool is_ca)
{
    BASIC_CONSTRAINTS *bc = BASIC_CONSTRAINTS_new();
    X509_EXTENSION *ext;

    assert(bc != NULL);
    bc->ca = is_ca ? 0xff : 0;
    if (is_ca) {
        bc->pathlen = ASN1_INTEGER_new(); /* zero: leaves only */
        assert(bc->pathlen != NULL);
    }
    ext = X509V3_EXT_i2d(NID_basic_constraints, 1, bc);
    BASIC_CONSTRAINTS_free(bc);
    return ext;
}

static X509_EXTENSION *make_usage(unsigned bits)
{
    ASN1_BIT_STRING *usage = ASN1_BIT_STRING_new();
    X509_EXTENSION *ext;

    assert(usage != NULL);
    for (int bit = 0; bit < KEY_USAGE_BITS; bit++) {
        if ((bits & 1u << bit) != 0)
            (void)ASN1_BIT_STRING_set_bit(usage, bit, 1); /* a missing bit fails every handshake */
    }
    ext = X509V3_EXT_i2d(NID_key_usage, 1, usage);
    ASN1_BIT_STRING_free(usage);
    return ext;
}

static X509_EXTENSION *make_server_auth(void)
{
    EXTENDED_KEY_USAGE *usage = EXTENDED_KEY_USAGE_new();
    X509_EXTENSION *ext = NULL;

    assert(usage != NULL);
    if (sk_ASN1_OBJECT_push(usage, OBJ_nid2obj(NID_server_auth)) > 0)
        ext = X509V3_EXT_i2d(NID_ext_key_usage, 0, usage);
    EXTENDED_KEY_USAGE_free(usage);
    return ext;
}

/* SHA-1 of the public key bits: an identifier, not a protection (RFC 5280 section 4.2.1.2). */
static ASN1_OCTET_STRING *key_id_of(EVP_PKEY *key)
{
    X509 *holder = X509_new();
    ASN1_OCTET_STRING *id = ASN1_OCTET_STRING_new();
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    assert(holder != NULL && id != NULL);
    if (X509_set_pubkey(holder, key) != 1 ||
        X509_pubkey_digest(holder, EVP_sha1(), digest, &n) != 1 ||
        ASN1_OCTET_STRING_set(id, digest, (int)n) != 1) {
        ASN1_OCTET_STRING_free(id);
        id = NULL;
    }
    X509_free(holder);
    return id;
}

static X509_EXTENSION *make_subject_key(EVP_PKEY *key)
{
    ASN1_OCTET_STRING *id = key_id_of(key);
    X509_EXTENSION *ext = id != NULL ? X509V3_EXT_i2d(NID_subject_key_identifier, 0, id) : NULL;

    ASN1_OCTET_STRING_free(id);
    return ext;
}

/* Repeats the root's own identifier; a root without one is named by its key. */
static X509_EXTENSION *make_authority_key(X509 *root, EVP_PKEY *root_key)
{
    const ASN1_OCTET_STRING *own = X509_get0_subject_key_id(root);
    AUTHORITY_KEYID *id = AUTHORITY_KEYID_new();
    X509_EXTENSION *ext = NULL;

    assert(id != NULL);
    id->keyid = own != NULL ? ASN1_OCTET_STRING_dup(own) : key_id_of(root_key);
    if (id->keyid != NULL)
        ext = X509V3_EXT_i2d(NID_authority_key_identifier, 0, id);
    AUTHORITY_KEYID_free(id);
    return ext;
}

/* Adds and frees ext (NULL: making it failed). */
static int add_once(X509 *cert, X509_EXTENSION *ext)
{
    int rc = ext != NULL && X509_add_ext(cert, ext, -1) == 1 ? 0 : -1;

    X509_EXTENSION_free(ext);
    return rc;
}

/* ---- fields ----------------------------------------------------------------------------- */

static int set_serial(X509 *cert)
{
    unsigned char bytes[SERIAL_BYTES];
    BIGNUM *n;
    int rc = -1;

    rand_bytes(bytes, sizeof(bytes));
    bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40); /* positive, and never short */
    n = BN_bin2bn(bytes, sizeof(bytes), NULL);
    if (n != NULL && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert)) != NULL)
        rc = 0;
    BN_free(n);
    return rc;
}

static int set_times(X509 *cert, uint64_t now_ms, int days)
{
    time_t now = (time_t)(now_ms / 1000);

    return X509_time_adj_ex(X509_getm_notBefore(cert), 0, -BACKDATE_S, &now) != NULL &&
                   X509_time_adj_ex(X509_getm_notAfter(cert), days, 0, &now) != NULL
               ? 0
               : -1;
}

static int add_name(X509_NAME *name, const char *field, struct str value)
{
    return X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, (const unsigned char *)value.p,
                                      (int)value.n, -1, 0) == 1
               ? 0
               : -1;
}

static int sign(X509 *cert, EVP_PKEY *key)
{
    int type = EVP_PKEY_get_base_id(key);
    /* Ed25519 and Ed448 bring their own digest. */
    const EVP_MD *md = type == EVP_PKEY_ED25519 || type == EVP_PKEY_ED448 ? NULL : EVP_sha256();

    return X509_sign(cert, key, md) > 0 ? 0 : -1;
}

static X509 *cert_new(EVP_PKEY *key, uint64_t now_ms, int days)
{
    X509 *cert = X509_new();

    assert(cert != NULL);
    if (X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) == 0 &&
        set_times(cert, now_ms, days) == 0 && X509_set_pubkey(cert, key) == 1)
        return cert;
    X509_free(cert);
    return NULL;
}

/*
 * Reads the certificate back from its bytes; frees the given one. OpenSSL keeps the bytes of what it
 * has read, so a handshake copies them; one that was put together is encoded again each time, and
 * its names even change while threads encode them.
 */
static X509 *reread(X509 *made)
{
    unsigned char *der = NULL;
    int n = i2d_X509(made, &der);
    const unsigned char *p = der;
    X509 *cert = n > 0 ? d2i_X509(NULL, &p, n) : NULL;

    OPENSSL_free(der);
    X509_free(made);
    return cert;
}

/* ---- the root --------------------------------------------------------------------------- */

X509 *local_ca_make_root(EVP_PKEY *key, struct str common_name, uint64_t now_ms)
{
    X509 *cert = cert_new(key, now_ms, LOCAL_CA_DAYS);
    X509_NAME *name;

    if (cert == NULL)
        return NULL;
    name = X509_get_subject_name(cert);
    if (add_name(name, "O", STR("sallyport")) == 0 &&
        add_name(name, "CN", str_slice(common_name, 0, COMMON_NAME_MAX_BYTES)) == 0 &&
        X509_set_issuer_name(cert, name) == 1 && add_once(cert, make_basic(true)) == 0 &&
        add_once(cert, make_usage(1u << USAGE_CERT_SIGN | 1u << USAGE_CRL_SIGN)) == 0 &&
        add_once(cert, make_subject_key(key)) == 0 && sign(cert, key) == 0)
        return reread(cert);
    X509_free(cert);
    return NULL;
}

/* ---- leaves ----------------------------------------------------------------------------- */

void local_ca_mint_free(struct local_ca_mint *m)
{
    if (m == NULL)
        return;
    for (size_t i = 0; i < FIXED_COUNT; i++)
        X509_EXTENSION_free(m->fixed[i]);
    mem_free(m);
}

struct local_ca_mint *local_ca_mint_new(X509 *root, EVP_PKEY *root_key, EVP_PKEY *leaf_key)
{
    struct local_ca_mint *m = mem_zalloc(sizeof(*m));

    m->root = root;
    m->root_key = root_key;
    m->leaf_key = leaf_key;
    m->fixed[FIXED_BASIC] = make_basic(false);
    m->fixed[FIXED_USAGE] = make_usage(1u << USAGE_DIGITAL_SIGNATURE);
    m->fixed[FIXED_EXTENDED_USAGE] = make_server_auth();
    m->fixed[FIXED_SUBJECT_KEY] = make_subject_key(leaf_key);
    m->fixed[FIXED_AUTHORITY_KEY] = make_authority_key(root, root_key);
    for (size_t i = 0; i < FIXED_COUNT; i++) {
        if (m->fixed[i] == NULL) {
            local_ca_mint_free(m);
            return NULL;
        }
    }
    return m;
}

/* With an empty subject the alternative name is critical (RFC 5280 section 4.2.1.6). */
static X509_EXTENSION *make_alternative_name(struct str host, bool critical)
{
    GENERAL_NAMES *all = GENERAL_NAMES_new();
    GENERAL_NAME *one = GENERAL_NAME_new();
    ASN1_IA5STRING *text = ASN1_IA5STRING_new();
    X509_EXTENSION *ext = NULL;

    assert(all != NULL && one != NULL && text != NULL);
    if (ASN1_STRING_set(text, host.p, (int)host.n) == 1) {
        GENERAL_NAME_set0_value(one, GEN_DNS, text);
        text = NULL;
        if (sk_GENERAL_NAME_push(all, one) > 0) {
            one = NULL;
            ext = X509V3_EXT_i2d(NID_subject_alt_name, critical, all);
        }
    }
    ASN1_IA5STRING_free(text);
    GENERAL_NAME_free(one);
    GENERAL_NAMES_free(all);
    return ext;
}

static int add_host(X509 *cert, struct str host)
{
    bool fits = host.n <= COMMON_NAME_MAX_BYTES;

    if (fits && add_name(X509_get_subject_name(cert), "CN", host) == -1)
        return -1;
    return add_once(cert, make_alternative_name(host, !fits));
}

X509 *local_ca_mint_leaf(const struct local_ca_mint *m, struct str host, uint64_t now_ms)
{
    X509 *cert = cert_new(m->leaf_key, now_ms, LOCAL_CA_LEAF_DAYS);

    if (cert == NULL)
        return NULL;
    for (size_t i = 0; i < FIXED_COUNT; i++) {
        if (X509_add_ext(cert, m->fixed[i], -1) != 1)
            goto fail;
    }
    if (X509_set_issuer_name(cert, X509_get_subject_name(m->root)) == 1 &&
        add_host(cert, host) == 0 && sign(cert, m->root_key) == 0)
        return reread(cert);
fail:
    X509_free(cert);
    return NULL;
}
