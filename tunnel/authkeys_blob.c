#include "tunnel/authkeys_int.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/base64.h"
#include "base/mem.h"

enum { RSA_MIN_BITS = 2048, RSA_MAX_BITS = 16384, TYPE_SHOWN_BYTES = 48 };

/* What follows the type in the blob (RFC 4253 6.6, RFC 5656 3.1, RFC 8709 4, PROTOCOL.u2f). */
static const struct key_type {
    const char *name;
    const char *curve;    /* NULL: the type has no curve name */
    size_t point_bytes;   /* of the public point; 0: RSA, two numbers */
    bool has_application; /* of a security key */
} key_types[] = {
    { "ssh-ed25519", NULL, 32, false },
    { "ecdsa-sha2-nistp256", "nistp256", 65, false },
    { "ecdsa-sha2-nistp384", "nistp384", 97, false },
    { "ecdsa-sha2-nistp521", "nistp521", 133, false },
    { "sk-ssh-ed25519@openssh.com", NULL, 32, true },
    { "sk-ecdsa-sha2-nistp256@openssh.com", "nistp256", 65, true },
    { "ssh-rsa", NULL, 0, false },
};

static const struct key_type *find_type(struct str name)
{
    for (size_t i = 0; i < sizeof(key_types) / sizeof(key_types[0]); i++) {
        if (str_eq(name, str_from(key_types[i].name)))
            return &key_types[i];
    }
    return NULL;
}

bool authkey_is_type(struct str word)
{
    static const struct str prefixes[] = { STR_INIT("ssh-"), STR_INIT("ecdsa-"), STR_INIT("sk-"),
                                           STR_INIT("rsa-sha2-"), STR_INIT("webauthn-") };

    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
        if (str_starts(word, prefixes[i]))
            return true;
    }
    return false;
}

/* Takes a string of RFC 4251 section 5 from the front of *rest. */
static bool take_string(struct str *rest, struct str *out)
{
    const unsigned char *p = (const unsigned char *)rest->p;
    size_t n;

    if (rest->n < 4)
        return false;
    n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    if (n > rest->n - 4)
        return false;
    *out = str_slice(*rest, 4, 4 + n);
    *rest = str_skip(*rest, 4 + n);
    return true;
}

/* Bits of a positive mpint in its one normal form, or 0 when it is not that. */
static size_t mpint_bits(struct str s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t bits;

    if (s.n == 0 || p[0] >= 0x80)
        return 0;
    if (p[0] == 0) {
        if (s.n == 1 || p[1] < 0x80)
            return 0;
        return (s.n - 1) * 8;
    }
    bits = s.n * 8;
    for (unsigned char top = p[0]; top < 0x80; top = (unsigned char)(top << 1))
        bits--;
    return bits;
}

static int check_rsa(struct str *rest, struct err *e)
{
    struct str exponent;
    struct str modulus;
    size_t bits;

    if (!take_string(rest, &exponent) || !take_string(rest, &modulus) ||
        mpint_bits(exponent) == 0 || mpint_bits(modulus) == 0)
        return err_set(e, E_SYNTAX, "the RSA key is damaged");
    bits = mpint_bits(modulus);
    if (bits < RSA_MIN_BITS || bits > RSA_MAX_BITS)
        return err_set(e, E_SYNTAX, "the RSA key has %zu bits; it must have %d to %d", bits,
                       RSA_MIN_BITS, RSA_MAX_BITS);
    return 0;
}

static bool is_point(const struct key_type *t, struct str *rest)
{
    struct str curve;
    struct str point;

    if (t->curve != NULL && (!take_string(rest, &curve) || !str_eq(curve, str_from(t->curve))))
        return false;
    if (!take_string(rest, &point) || point.n != t->point_bytes)
        return false;
    /* 4: both coordinates in full, the one form that SSH clients write */
    return t->curve == NULL || point.p[0] == 4;
}

static int check_blob(const struct key_type *t, struct str blob, struct err *e)
{
    struct str inner;
    struct str application;

    if (!take_string(&blob, &inner))
        return err_set(e, E_SYNTAX, "the key is cut off");
    if (!str_eq(inner, str_from(t->name)))
        return err_set(e, E_SYNTAX, "the line says %s, but the key is of another type", t->name);
    if (t->point_bytes == 0) {
        if (check_rsa(&blob, e) == -1)
            return -1;
    } else if (!is_point(t, &blob)) {
        return err_set(e, E_SYNTAX, "the %s key is damaged", t->name);
    }
    if (t->has_application && !take_string(&blob, &application))
        return err_set(e, E_SYNTAX, "the %s key is cut off", t->name);
    if (blob.n > 0)
        return err_set(e, E_SYNTAX, "the %s key is followed by other bytes", t->name);
    return 0;
}

int authkey_blob_parse(struct str type, struct str text, struct authkey *key, struct err *e)
{
    const struct key_type *t = find_type(type);
    size_t cap = base64_max_bytes(text.n);
    size_t n = 0;
    char *blob;
    int rc = -1;

    if (t == NULL)
        return err_set(e, E_SYNTAX,
                       "key type '%.*s' is not supported; there are ssh-ed25519, "
                       "ecdsa-sha2-nistp256/384/521, ssh-rsa and their sk- forms",
                       STR_ARG(str_slice(type, 0, TYPE_SHOWN_BYTES)));
    if (text.n == 0)
        return err_set(e, E_SYNTAX, "the key is missing after its type");
    blob = mem_alloc(cap);
    if (base64_decode(text, blob, cap, &n) == -1)
        (void)err_set(e, E_SYNTAX, "the key is not valid base64");
    else
        rc = check_blob(t, str_of(blob, n), e);
    if (rc == 0) {
        int ok = EVP_Digest(blob, n, key->fingerprint, NULL, EVP_sha256(), NULL);

        assert(ok == 1); /* fails for want of memory only */
        (void)ok;
        key->type = mem_strdup(t->name);
    }
    mem_free(blob);
    return rc;
}

int authkey_public_parse(struct str line, uint8_t fingerprint[AUTHKEY_FINGERPRINT_BYTES],
                         struct err *e)
{
    size_t space = str_find_char(line, ' ');
    struct str text = str_trim_ows(str_skip(line, space));
    struct authkey key = { 0 };

    if (str_find_char(line, '\n') < line.n || str_find_char(line, '\r') < line.n)
        return err_set(e, E_SYNTAX, "it must be one line");
    text = str_slice(text, 0, str_find_char(text, ' '));
    if (authkey_blob_parse(str_slice(line, 0, space), text, &key, e) == -1)
        return -1;
    memcpy(fingerprint, key.fingerprint, AUTHKEY_FINGERPRINT_BYTES);
    mem_free(key.type);
    return 0;
}
