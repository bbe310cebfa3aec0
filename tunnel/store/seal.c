#include "tunnel/store/seal.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/key_file.h"
#include "base/mem.h"
#include "base/rand.h"

enum {
    VERSION = 1,
    NONCE_AT = 1,
    TEXT_AT = NONCE_AT + SEAL_NONCE_BYTES,
};

static_assert(TEXT_AT + SEAL_TAG_BYTES == SEAL_EXTRA_BYTES, "the tag stands behind the text");

struct seal_key {
    uint8_t bytes[KEY_FILE_BYTES];
};

struct seal_key *seal_key_open(const char *path, struct err *e)
{
    struct seal_key *k = mem_zalloc(sizeof(*k));
    struct err why;

    if (key_file_load(path, "all secrets of vaults are lost", k->bytes, &why) == 0)
        return k;
    (void)err_set(e, E_STORE, "%s", why.msg);
    seal_key_free(k);
    return NULL;
}

void seal_key_free(struct seal_key *k)
{
    if (k == NULL)
        return;
    mem_wipe(k, sizeof(*k));
    mem_free(k);
}

/* ---- the cipher ----------------------------------------------------------------------------- */

enum direction { OPEN = 0, SEAL = 1 }; /* as OpenSSL has it */

/*
 * Starts with the version and the nonce at the head of `sealed`. Version and store key are authenticated
 * beside the secret: one byte and all the rest, so no two pairs look alike. Returns NULL when libcrypto
 * fails.
 */
static EVP_CIPHER_CTX *start(const struct seal_key *k, struct str store_key, const uint8_t *sealed,
                             enum direction direction)
{
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    const uint8_t *nonce = sealed + NONCE_AT;
    int n = 0;

    if (c != NULL &&
        EVP_CipherInit_ex2(c, EVP_aes_256_gcm(), k->bytes, nonce, (int)direction, NULL) == 1 &&
        EVP_CipherUpdate(c, NULL, &n, sealed, NONCE_AT) == 1 &&
        EVP_CipherUpdate(c, NULL, &n, (const uint8_t *)store_key.p, (int)store_key.n) == 1)
        return c;
    EVP_CIPHER_CTX_free(c);
    return NULL;
}

/* A secret may be empty, for which OpenSSL has no update. */
static bool pass(EVP_CIPHER_CTX *c, uint8_t *out, const uint8_t *in, size_t n)
{
    int done = 0;

    return n == 0 || EVP_CipherUpdate(c, out, &done, in, (int)n) == 1;
}

/* Behind the head that is there already, writes text and tag. */
static bool encrypt(const struct seal_key *k, struct str store_key, struct str secret,
                    uint8_t *sealed)
{
    EVP_CIPHER_CTX *c = start(k, store_key, sealed, SEAL);
    uint8_t *tag = sealed + TEXT_AT + secret.n;
    int n = 0;
    bool done = c != NULL && pass(c, sealed + TEXT_AT, (const uint8_t *)secret.p, secret.n) &&
                EVP_CipherFinal_ex(c, tag, &n) == 1 &&
                EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG_BYTES, tag) == 1;

    EVP_CIPHER_CTX_free(c); /* wipes what it knows */
    return done;
}

/* Writes n bytes to `secret`, which are to be trusted only when it returns true. */
static bool decrypt(const struct seal_key *k, struct str store_key, const uint8_t *sealed,
                    uint8_t *secret, size_t n)
{
    EVP_CIPHER_CTX *c = start(k, store_key, sealed, OPEN);
    uint8_t tag[SEAL_TAG_BYTES]; /* OpenSSL takes no const */
    int more = 0;
    bool done;

    memcpy(tag, sealed + TEXT_AT + n, sizeof(tag));
    done = c != NULL && pass(c, secret, sealed + TEXT_AT, n) &&
           EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, sizeof(tag), tag) == 1 &&
           EVP_CipherFinal_ex(c, secret + n, &more) == 1;
    EVP_CIPHER_CTX_free(c); /* wipes what it knows */
    return done;
}

/* ---- secrets -------------------------------------------------------------------------------- */

char *seal(const struct seal_key *k, struct str store_key, struct str secret, size_t *n,
           struct err *e)
{
    uint8_t *sealed;

    assert(store_key.n > 0 && store_key.n <= STORE_KEY_MAX_BYTES);
    if (secret.n > SEAL_SECRET_MAX_BYTES) {
        (void)err_set(e, E_LIMIT, "a secret has %zu bytes, at most %d fit", secret.n,
                      SEAL_SECRET_MAX_BYTES);
        return NULL;
    }
    *n = secret.n + SEAL_EXTRA_BYTES;
    sealed = mem_zalloc(*n);
    sealed[0] = VERSION;
    rand_bytes(sealed + NONCE_AT, SEAL_NONCE_BYTES);
    if (encrypt(k, store_key, secret, sealed))
        return (char *)sealed;
    (void)err_set(e, E_STORE, "a secret cannot be sealed");
    mem_free(sealed);
    return NULL;
}

char *unseal(const struct seal_key *k, struct str store_key, struct str sealed, size_t *n,
             struct err *e)
{
    const uint8_t *bytes = (const uint8_t *)sealed.p;
    uint8_t *secret;

    assert(store_key.n > 0 && store_key.n <= STORE_KEY_MAX_BYTES);
    if (sealed.n < SEAL_EXTRA_BYTES || sealed.n > STORE_VALUE_MAX_BYTES || bytes[0] != VERSION) {
        (void)err_set(e, E_STORE, "what should be a sealed secret is none");
        return NULL;
    }
    *n = sealed.n - SEAL_EXTRA_BYTES;
    secret = mem_zalloc(*n + 1);
    if (decrypt(k, store_key, bytes, secret, *n))
        return (char *)secret;
    (void)err_set(e, E_STORE, "a sealed secret was changed, or sealed with another key file");
    mem_wipe(secret, *n);
    mem_free(secret);
    return NULL;
}

/* ---- the key of a store --------------------------------------------------------------------- */

#define CHECK_KEY  STR("seal/check")
#define CHECK_WORD STR("sallyport")

/* Leaves the word, unless another thread was faster. */
static int leave_word(struct store *s, const struct seal_key *k, struct err *e)
{
    struct store_txn t;
    size_t n = 0;
    char *sealed = seal(k, CHECK_KEY, CHECK_WORD, &n, e);
    int rc;

    if (sealed == NULL)
        return -1;
    store_txn_init(&t);
    store_txn_expect(&t, CHECK_KEY, 0);
    store_txn_put(&t, CHECK_KEY, str_of(sealed, n));
    rc = store_commit(s, &t, NULL, e);
    mem_free(sealed);
    return rc == -1 ? -1 : 0;
}

int seal_check(struct store *s, const struct seal_key *k, struct err *e)
{
    struct store_entries es;
    size_t n = 0;
    char *word;
    int rc = store_get(s, CHECK_KEY, &es, e);

    if (rc == 0)
        return leave_word(s, k, e);
    if (rc == -1)
        return -1;
    word = unseal(k, CHECK_KEY, str_of(es.list[0].value, es.list[0].value_bytes), &n, NULL);
    rc = word != NULL ? 0
                      : err_set(e, E_STORE,
                                "the key file is not the one that secrets in the database were "
                                "sealed with; restore that one");
    mem_free(word); /* no secret */
    store_entries_fini(&es);
    return rc;
}
