/*
 * Unit tests of tunnel/store/seal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tunnel/store/seal.h"

enum { KEY_BYTES = 32 };

/* A folder with a key file in it, whose bytes count up from 0. */
struct place {
    char dir[64];
    char path[80];
    struct seal_key *key;
};

static void write_key(const char *path, size_t n, mode_t mode)
{
    uint8_t bytes[KEY_BYTES + 1];
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)i;
    assert_int_not_equal(fd, -1);
    assert_int_equal(write(fd, bytes, n), (ssize_t)n);
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(close(fd), 0);
}

static int place_init(void **state)
{
    struct place *p = mem_zalloc(sizeof(*p));

    (void)snprintf(p->dir, sizeof(p->dir), "/tmp/test_seal.XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    (void)snprintf(p->path, sizeof(p->path), "%s/seal.key", p->dir);
    write_key(p->path, KEY_BYTES, 0600);
    p->key = seal_key_open(p->path, NULL);
    assert_non_null(p->key);
    *state = p;
    return 0;
}

static int place_fini(void **state)
{
    struct place *p = *state;
    int rc;

    seal_key_free(p->key);
    (void)unlink(p->path);
    rc = rmdir(p->dir);
    mem_free(p);
    return rc;
}

/* ---- key files ------------------------------------------------------------------------------ */

static void key_is_made_once(void **state)
{
    struct place *p = *state;
    struct seal_key *first;
    struct seal_key *second;
    struct stat st;
    size_t n;
    char *sealed;
    char *secret;

    assert_int_equal(unlink(p->path), 0);
    first = seal_key_open(p->path, NULL);
    assert_non_null(first);
    assert_int_equal(stat(p->path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_size, KEY_BYTES);
    second = seal_key_open(p->path, NULL);
    assert_non_null(second);
    sealed = seal(first, STR("k"), STR("secret"), &n, NULL);
    secret = unseal(second, STR("k"), str_of(sealed, n), &n, NULL);
    assert_string_equal(secret, "secret");
    mem_free(secret);
    mem_free(sealed);
    seal_key_free(first);
    seal_key_free(second);
}

static void key_file_that_cannot_be_trusted_is_refused(void **state)
{
    struct place *p = *state;
    static const struct {
        size_t bytes;
        mode_t mode;
        const char *why;
    } files[] = {
        { 0, 0600, "is damaged (it must have 32 bytes)" },
        { KEY_BYTES - 1, 0600, "is damaged (it must have 32 bytes)" },
        { KEY_BYTES + 1, 0600, "is damaged (it must have 32 bytes)" },
        { KEY_BYTES, 0640, "may be used by others (mode 640)" },
        { KEY_BYTES, 0604, "may be used by others (mode 604)" },
        { KEY_BYTES, 0620, "may be used by others (mode 620)" },
    };

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        struct err e = { .code = E_OK };

        write_key(p->path, files[i].bytes, files[i].mode);
        assert_null(seal_key_open(p->path, &e));
        assert_int_equal(e.code, E_STORE);
        assert_non_null(strstr(e.msg, files[i].why));
    }
}

static void key_file_in_no_folder_is_refused(void **state)
{
    struct err e = { .code = E_OK };

    (void)state;
    assert_null(seal_key_open("/dev/null/seal.key", &e));
    assert_int_equal(e.code, E_STORE);
    assert_null(seal_key_open("/tmp/no/such/seal.key", &e));
    assert_non_null(strstr(e.msg, "No such file or directory"));
}

/* ---- sealing -------------------------------------------------------------------------------- */

static void assert_opens(const struct seal_key *k, struct str secret)
{
    size_t n = 0;
    size_t opened = 0;
    char *sealed = seal(k, STR("vaults/v1/secrets/s1"), secret, &n, NULL);
    char *again;

    assert_non_null(sealed);
    assert_int_equal(n, secret.n + SEAL_EXTRA_BYTES);
    again = unseal(k, STR("vaults/v1/secrets/s1"), str_of(sealed, n), &opened, NULL);
    assert_non_null(again);
    assert_int_equal(opened, secret.n);
    assert_memory_equal(again, secret.p, secret.n);
    assert_int_equal(again[opened], '\0');
    mem_free(again);
    mem_free(sealed);
}

static void secrets_open_as_they_were(void **state)
{
    struct place *p = *state;
    char *large = mem_zalloc(SEAL_SECRET_MAX_BYTES + 1);
    struct err e = { .code = E_OK };
    size_t n;

    assert_opens(p->key, STR(""));
    assert_opens(p->key, STR("x"));
    assert_opens(p->key, STR("a\0b\xff"));
    assert_opens(p->key, str_of(large, SEAL_SECRET_MAX_BYTES));
    assert_null(seal(p->key, STR("k"), str_of(large, SEAL_SECRET_MAX_BYTES + 1), &n, &e));
    assert_int_equal(e.code, E_LIMIT);
    mem_free(large);
}

/* Made by Python's cryptography, AESGCM(bytes(range(32))), so the format is what its comment says. */
static void secret_sealed_elsewhere_opens(void **state)
{
    struct place *p = *state;
    static const char sealed[] = "\x01\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f\x27\x6b\xbb"
                                 "\x08\x59\x9a\x33\xed\x5f\x0f\x3a\x20\x19\xd8\x0a\x1b\x56\x12\x2a"
                                 "\x2c\x3b\x7c\x5e\x01\xd7\x5e\xe2";
    size_t n = 0;
    char *secret =
        unseal(p->key, STR("vaults/v/secrets/s"), str_of(sealed, sizeof(sealed) - 1), &n, NULL);

    assert_non_null(secret);
    assert_string_equal(secret, "open sesame");
    mem_free(secret);
}

static void same_secret_never_looks_the_same(void **state)
{
    struct place *p = *state;
    size_t n;
    char *one = seal(p->key, STR("k"), STR("secret"), &n, NULL);
    char *two = seal(p->key, STR("k"), STR("secret"), &n, NULL);

    assert_memory_not_equal(one + 1, two + 1, SEAL_NONCE_BYTES);
    assert_memory_not_equal(one + 1 + SEAL_NONCE_BYTES, two + 1 + SEAL_NONCE_BYTES, 6);
    assert_null(memmem(one, n, "secret", 6));
    mem_free(one);
    mem_free(two);
}

static void assert_stays_shut(const struct seal_key *k, struct str store_key, struct str sealed)
{
    struct err e = { .code = E_OK };
    size_t n;

    assert_null(unseal(k, store_key, sealed, &n, &e));
    assert_int_equal(e.code, E_STORE);
}

static void changed_bit_keeps_it_shut(void **state)
{
    struct place *p = *state;
    size_t n;
    char *sealed = seal(p->key, STR("k"), STR("secret"), &n, NULL);

    for (size_t bit = 0; bit < n * 8; bit++) {
        sealed[bit / 8] = (char)(sealed[bit / 8] ^ (1 << bit % 8));
        assert_stays_shut(p->key, STR("k"), str_of(sealed, n));
        sealed[bit / 8] = (char)(sealed[bit / 8] ^ (1 << bit % 8));
    }
    mem_free(unseal(p->key, STR("k"), str_of(sealed, n), &n, NULL));
    mem_free(sealed);
}

static void other_length_keeps_it_shut(void **state)
{
    struct place *p = *state;
    size_t n;
    char *sealed = seal(p->key, STR("k"), STR("secret"), &n, NULL);
    char *longer = mem_zalloc(STORE_VALUE_MAX_BYTES + 1);

    memcpy(longer, sealed, n);
    for (size_t i = 0; i < n; i++)
        assert_stays_shut(p->key, STR("k"), str_of(longer, i));
    assert_stays_shut(p->key, STR("k"), str_of(longer, n + 1));
    assert_stays_shut(p->key, STR("k"), str_of(longer, STORE_VALUE_MAX_BYTES + 1));
    assert_stays_shut(p->key, STR("k"), STR_NONE);
    mem_free(longer);
    mem_free(sealed);
}

static void other_place_or_key_keeps_it_shut(void **state)
{
    struct place *p = *state;
    struct seal_key *other;
    size_t n;
    char *sealed = seal(p->key, STR("vaults/a"), STR("secret"), &n, NULL);

    assert_stays_shut(p->key, STR("vaults/b"), str_of(sealed, n));
    assert_stays_shut(p->key, STR("vaults/a/"), str_of(sealed, n));
    assert_stays_shut(p->key, STR("vaults/"), str_of(sealed, n));
    assert_int_equal(unlink(p->path), 0);
    other = seal_key_open(p->path, NULL);
    assert_stays_shut(other, STR("vaults/a"), str_of(sealed, n));
    seal_key_free(other);
    mem_free(sealed);
}

/* ---- the key of a store --------------------------------------------------------------------- */

static void lost_key_is_found_at_start(void **state)
{
    struct place *p = *state;
    struct store *s = store_memory_new();
    struct err e = { .code = E_OK };
    struct seal_key *other;

    assert_int_equal(seal_check(s, p->key, NULL), 0);
    assert_int_equal(seal_check(s, p->key, NULL), 0);
    assert_int_equal(unlink(p->path), 0);
    other = seal_key_open(p->path, NULL);
    assert_int_equal(seal_check(s, other, &e), -1);
    assert_int_equal(e.code, E_STORE);
    assert_non_null(strstr(e.msg, "the key file is not the one"));
    seal_key_free(other);
    store_free(s);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, place_init, place_fini)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(key_is_made_once),
        CASE(key_file_that_cannot_be_trusted_is_refused),
        CASE(key_file_in_no_folder_is_refused),
        CASE(secrets_open_as_they_were),
        CASE(secret_sealed_elsewhere_opens),
        CASE(same_secret_never_looks_the_same),
        CASE(changed_bit_keeps_it_shut),
        CASE(other_length_keeps_it_shut),
        CASE(other_place_or_key_keeps_it_shut),
        CASE(lost_key_is_found_at_start),
    };

    return cmocka_run_group_tests_name("tunnel/store/seal", tests, NULL, NULL);
}
