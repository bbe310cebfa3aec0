/*
 * fn_hash: digests as hexadecimal or base64 text, as functions and as methods of strings (spec
 * traffic-policy 5.6). Checksums are written big-endian, as if they were digests too.
 */
#include <openssl/evp.h>
#include <xxhash.h>
#include <zlib.h>

#include "policy/cel/fn_encoders.h"
#include "policy/cel/fn_policy.h"

enum { SETUP_STEPS = 10 };

struct digest {
    unsigned char bytes[EVP_MAX_MD_SIZE];
    size_t n;
};

/* False when libcrypto does not offer the algorithm. */
typedef bool digest_fn(struct str s, struct digest *out);

/* ---- algorithms ---- */

static void put_big_endian(struct digest *d, uint64_t value, size_t n)
{
    d->n = n;
    for (size_t i = n; i > 0; i--) {
        d->bytes[i - 1] = (unsigned char)(value & 0xff);
        value >>= 8;
    }
}

static bool digest_crc32(struct str s, struct digest *out)
{
    put_big_endian(out, crc32_z(0, (const unsigned char *)s.p, s.n), sizeof(uint32_t));
    return true;
}

/* ISO 3309, reflected; half a byte at a time, which needs a table of 16. */
static bool digest_crc64(struct str s, struct digest *out)
{
    static const uint64_t table[16] = {
        0x0000000000000000, 0x1b00000000000000, 0x3600000000000000, 0x2d00000000000000,
        0x6c00000000000000, 0x7700000000000000, 0x5a00000000000000, 0x4100000000000000,
        0xd800000000000000, 0xc300000000000000, 0xee00000000000000, 0xf500000000000000,
        0xb400000000000000, 0xaf00000000000000, 0x8200000000000000, 0x9900000000000000,
    };
    uint64_t crc = UINT64_MAX;

    for (size_t i = 0; i < s.n; i++) {
        crc ^= (unsigned char)s.p[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    put_big_endian(out, ~crc, sizeof(crc));
    return true;
}

static bool digest_xxhash64(struct str s, struct digest *out)
{
    put_big_endian(out, XXH64(s.p, s.n, 0), sizeof(uint64_t));
    return true;
}

static bool digest_evp(struct str s, const EVP_MD *algorithm, struct digest *out)
{
    unsigned n = 0;
    int done = EVP_Digest(s.n > 0 ? s.p : "", s.n, out->bytes, &n, algorithm, NULL);

    out->n = n;
    return done == 1;
}

static bool digest_md5(struct str s, struct digest *out)
{
    return digest_evp(s, EVP_md5(), out);
}

static bool digest_sha1(struct str s, struct digest *out)
{
    return digest_evp(s, EVP_sha1(), out);
}

static bool digest_sha256(struct str s, struct digest *out)
{
    return digest_evp(s, EVP_sha256(), out);
}

static bool digest_sha512(struct str s, struct digest *out)
{
    return digest_evp(s, EVP_sha512(), out);
}

/* ---- functions ---- */

static struct cel_value hex(struct cel_run *run, const struct digest *d)
{
    static const char digits[] = "0123456789abcdef";
    char *text = cel_text_alloc(run, d->n * 2);

    if (text == NULL)
        return cel_spent(run);
    for (size_t i = 0; i < d->n; i++) {
        text[2 * i] = digits[d->bytes[i] >> 4];
        text[2 * i + 1] = digits[d->bytes[i] & 15];
    }
    return cel_string(str_of(text, d->n * 2));
}

static struct cel_value hash(struct cel_run *run, const struct cel_value *args, size_t count,
                             digest_fn *digest)
{
    struct str format = count == 2 ? cel_str(args[1]) : STR("hex");
    bool is_hex = str_eq(format, STR("hex"));
    struct digest d;

    if (!is_hex && !str_eq(format, STR("base64")))
        return cel_error(run, "the format of a hash is hex or base64");
    if (!cel_charge(run, SETUP_STEPS) || !cel_charge_bytes(run, 2 * (size_t)args[0].n))
        return cel_spent(run);
    if (!digest(cel_str(args[0]), &d))
        return cel_error(run, "this hash is not available");
    return is_hex ? hex(run, &d) : cel_base64_encode(run, str_of((const char *)d.bytes, d.n));
}

static struct cel_value hash_crc32(struct cel_run *run, const struct cel_value *args, size_t count)
{
    return hash(run, args, count, digest_crc32);
}

static struct cel_value hash_crc64(struct cel_run *run, const struct cel_value *args, size_t count)
{
    return hash(run, args, count, digest_crc64);
}

static struct cel_value hash_md5(struct cel_run *run, const struct cel_value *args, size_t count)
{
    return hash(run, args, count, digest_md5);
}

static struct cel_value hash_sha1(struct cel_run *run, const struct cel_value *args, size_t count)
{
    return hash(run, args, count, digest_sha1);
}

static struct cel_value hash_sha256(struct cel_run *run, const struct cel_value *args, size_t count)
{
    return hash(run, args, count, digest_sha256);
}

static struct cel_value hash_sha512(struct cel_run *run, const struct cel_value *args, size_t count)
{
    return hash(run, args, count, digest_sha512);
}

static struct cel_value hash_xxhash64(struct cel_run *run, const struct cel_value *args,
                                      size_t count)
{
    return hash(run, args, count, digest_xxhash64);
}

/* clang-format off */
#define HASH(name, fn)                                                \
    { "hash." name "(string) -> string", fn, CEL_FN_PURE },           \
    { "hash." name "(string, string) -> string", fn, CEL_FN_PURE },   \
    { "string." name "() -> string", fn, CEL_FN_PURE },               \
    { "string." name "(string) -> string", fn, CEL_FN_PURE }
/* clang-format on */

static const struct cel_fn_row rows[] = {
    HASH("crc32", hash_crc32),       HASH("crc64", hash_crc64),   HASH("md5", hash_md5),
    HASH("sha1", hash_sha1),         HASH("sha256", hash_sha256), HASH("sha512", hash_sha512),
    HASH("xxhash64", hash_xxhash64),
};

const struct cel_library cel_hash_library = { rows, sizeof(rows) / sizeof(rows[0]) };
