#include "tunnel/api/token.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/base64.h"
#include "base/mem.h"
#include "base/rand.h"

enum { SECRET_DIGITS = API_TOKEN_BYTES - 1 - ID_DIGITS - 1, RADIX = 62 };

static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* A random number below `radix`, each as likely. */
static unsigned random_below(unsigned radix)
{
    uint8_t byte;

    do
        rand_bytes(&byte, sizeof(byte));
    while (byte >= 256 - 256 % radix);
    return byte % radix;
}

void api_token_new(const char *id, char out[API_TOKEN_BYTES])
{
    const char *ksuid = strchr(id, '_') + 1;
    char *p = out + ID_DIGITS;

    memcpy(out, ksuid, ID_DIGITS);
    *p++ = '_';
    *p++ = digits[random_below(10)]; /* by which scanners for leaked secrets tell it */
    for (size_t i = 1; i < SECRET_DIGITS; i++)
        *p++ = digits[random_below(RADIX)];
    *p = '\0';
}

bool api_token_parse(struct str token, const char *prefix, char id[ID_BYTES])
{
    struct str secret = str_skip(token, ID_DIGITS + 1);

    if (token.n != API_TOKEN_BYTES - 1 || token.p[ID_DIGITS] != '_')
        return false;
    for (size_t i = 0; i < secret.n; i++) {
        if (!char_is_digit(secret.p[i]) && !char_is_alpha(secret.p[i]))
            return false;
    }
    (void)snprintf(id, ID_BYTES, "%s_%.*s", prefix, ID_DIGITS, token.p);
    return id_is_valid(str_from(id), prefix);
}

void api_token_hash(const uint8_t secret[API_SECRET_BYTES], struct str token,
                    char out[API_TOKEN_HASH_BYTES])
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    const uint8_t *ok = HMAC(EVP_sha256(), secret, API_SECRET_BYTES, (const unsigned char *)token.p,
                             token.n, hash, &n);

    assert(ok != NULL); /* fails for want of memory only */
    (void)ok;
    for (unsigned i = 0; i < n; i++)
        (void)snprintf(out + (size_t)2 * i, 3, "%02x", hash[i]);
}

/* "user:password": whichever is not empty. */
static int token_of_basic(struct str text, char out[API_AUTHORIZATION_MAX_BYTES])
{
    char plain[API_AUTHORIZATION_MAX_BYTES];
    struct str user;
    size_t n;
    size_t colon;

    if (base64_decode_bare(text, plain, sizeof(plain), &n) == -1)
        return -1;
    colon = str_find_char(str_of(plain, n), ':');
    if (colon == n)
        return -1;
    user = str_of(plain, colon);
    if (user.n == 0)
        user = str_of(plain + colon + 1, n - colon - 1);
    (void)snprintf(out, API_AUTHORIZATION_MAX_BYTES, "%.*s", STR_ARG(user));
    mem_wipe(plain, sizeof(plain));
    return 0;
}

int api_token_of_field(struct str field, char out[API_AUTHORIZATION_MAX_BYTES])
{
    struct str value = str_trim_ows(field);
    size_t space = str_find_char(value, ' ');
    struct str scheme = str_slice(value, 0, space);
    struct str rest = str_trim_ows(str_skip(value, space));

    if (rest.n == 0 || rest.n >= API_AUTHORIZATION_MAX_BYTES)
        return -1;
    if (str_eq_nocase(scheme, STR("Basic")))
        return token_of_basic(rest, out);
    if (!str_eq_nocase(scheme, STR("Bearer")))
        return -1;
    (void)snprintf(out, API_AUTHORIZATION_MAX_BYTES, "%.*s", STR_ARG(rest));
    return 0;
}
