/*
 * Unit tests of gateway/local_ca: files, certificates, cache.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/bn.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "base/mem.h"
#include "gateway/local_ca.h"

#define DAY_MS ((uint64_t)24 * 3600 * 1000)

struct fixture {
    char dir[64];
    struct local_ca *ca;
};

static void path_of(const struct fixture *f, const char *name, char out[128])
{
    (void)snprintf(out, 128, "%s/%s", f->dir, name);
}

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(sizeof(*f));
    struct err e = { .code = E_OK };

    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/test_local_ca.XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->ca = local_ca_open(f->dir, 3, &e);
    assert_non_null(f->ca);
    *state = f;
    return 0;
}

static void drop(struct fixture *f, const char *name)
{
    char path[128];

    path_of(f, name, path);
    (void)unlink(path);
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    local_ca_unref(f->ca);
    drop(f, "ca.crt");
    drop(f, "ca.key");
    assert_int_equal(rmdir(f->dir), 0);
    mem_free(f);
    return 0;
}

static void reopen(struct fixture *f)
{
    struct err e = { .code = E_OK };

    local_ca_unref(f->ca);
    f->ca = local_ca_open(f->dir, 3, &e);
    assert_string_equal(f->ca != NULL ? "" : e.msg, "");
}

static void reopen_fails(struct fixture *f, const char *text)
{
    struct err e = { .code = E_OK };

    local_ca_unref(f->ca);
    f->ca = local_ca_open(f->dir, 3, &e);
    assert_null(f->ca);
    if (strstr(e.msg, text) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", text, e.msg);
}

static void write_file(struct fixture *f, const char *name, const char *text)
{
    char path[128];
    FILE *out;

    path_of(f, name, path);
    out = fopen(path, "w");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
}

/* ---- files ---- */

static void open_first_time_makes_both_files(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    char path[128];

    path_of(f, "ca.key", path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    path_of(f, "ca.crt", path);
    assert_int_equal(stat(path, &st), 0);
    path_of(f, "ca.key.new", path);
    assert_int_equal(access(path, F_OK), -1);
}

static void open_again_loads_the_same(void **state)
{
    struct fixture *f = *state;
    X509 *before = local_ca_cert(f->ca);

    assert_int_equal(X509_up_ref(before), 1);
    reopen(f);
    assert_int_equal(X509_cmp(before, local_ca_cert(f->ca)), 0);
    X509_free(before);
}

static void open_after_a_cut_start_makes_the_certificate(void **state)
{
    struct fixture *f = *state;

    drop(f, "ca.crt");
    reopen(f);
    assert_int_equal(X509_check_ca(local_ca_cert(f->ca)), 1);
}

static void open_without_the_key_is_refused(void **state)
{
    struct fixture *f = *state;

    drop(f, "ca.key");
    reopen_fails(f, "ca.key is missing; restore it");
}

static void open_with_another_key_is_refused(void **state)
{
    struct fixture *f = *state;
    char crt[128];
    char keep[128];

    path_of(f, "ca.crt", crt);
    path_of(f, "keep", keep);
    assert_int_equal(rename(crt, keep), 0);
    drop(f, "ca.key");
    reopen(f);
    assert_int_equal(rename(keep, crt), 0);
    reopen_fails(f, "does not belong to");
}

static void open_with_damaged_files_is_refused(void **state)
{
    struct fixture *f = *state;

    write_file(f, "ca.crt", "nonsense\n");
    reopen_fails(f, "holds no certificate in PEM form");
    write_file(f, "ca.key", "-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----\n");
    reopen_fails(f, "damaged or unknown private key");
}

static void open_with_a_leaf_as_ca_is_refused(void **state)
{
    struct fixture *f = *state;
    X509 *leaf = local_ca_leaf(f->ca, STR("a.test"), clock_wall_ms());
    char path[128];
    FILE *out;

    path_of(f, "ca.crt", path);
    out = fopen(path, "w");
    assert_int_equal(PEM_write_X509(out, leaf), 1);
    assert_int_equal(fclose(out), 0);
    path_of(f, "ca.key", path);
    out = fopen(path, "w");
    assert_int_equal(PEM_write_PrivateKey(out, local_ca_leaf_key(f->ca), NULL, NULL, 0, NULL, NULL),
                     1);
    assert_int_equal(fclose(out), 0);
    X509_free(leaf);
    reopen_fails(f, "is no certificate of an authority");
}

static void open_without_the_folder_is_refused(void **state)
{
    struct err e = { .code = E_OK };

    (void)state;
    assert_null(local_ca_open("/nonexistent", 1, &e));
    assert_int_equal(e.code, E_SYSTEM);
}

/* ---- certificates ---- */

static void root_is_an_authority_for_leaves_only(void **state)
{
    struct fixture *f = *state;
    X509 *root = local_ca_cert(f->ca);
    char name[256];

    assert_int_equal(X509_check_ca(root), 1);
    assert_int_equal(X509_get_pathlen(root), 0);
    assert_int_equal(X509_get_key_usage(root), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
    assert_true(X509_NAME_get_text_by_NID(X509_get_subject_name(root), NID_commonName, name,
                                          sizeof(name)) > 0);
    assert_ptr_equal(strstr(name, "sallyport local CA "), name);
}

/* Verifies as a client would that trusts the CA. */
static int verify(struct fixture *f, X509 *leaf, const char *host)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    int error;

    assert_int_equal(X509_STORE_add_cert(store, local_ca_cert(f->ca)), 1);
    assert_int_equal(X509_STORE_CTX_init(ctx, store, leaf, NULL), 1);
    (void)X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_SERVER);
    (void)X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(ctx), X509_V_FLAG_X509_STRICT);
    assert_int_equal(X509_VERIFY_PARAM_set1_host(X509_STORE_CTX_get0_param(ctx), host, 0), 1);
    (void)X509_verify_cert(ctx);
    error = X509_STORE_CTX_get_error(ctx);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    return error;
}

static void leaf_is_valid_for_its_host_only(void **state)
{
    struct fixture *f = *state;
    X509 *leaf = local_ca_leaf(f->ca, STR("app.example.com"), clock_wall_ms());

    assert_int_equal(verify(f, leaf, "app.example.com"), X509_V_OK);
    assert_int_equal(verify(f, leaf, "other.example.com"), X509_V_ERR_HOSTNAME_MISMATCH);
    assert_int_equal(X509_get_extended_key_usage(leaf), XKU_SSL_SERVER);
    assert_int_equal(X509_check_private_key(leaf, local_ca_leaf_key(f->ca)), 1);
    X509_free(leaf);
}

static void leaf_of_a_long_name_has_no_common_name(void **state)
{
    static const char label[] = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";
    struct fixture *f = *state;
    char host[254];
    X509 *leaf;
    int i;

    (void)snprintf(host, sizeof(host), "%s.%s.%s.test", label, label, label);
    leaf = local_ca_leaf(f->ca, str_from(host), clock_wall_ms());
    assert_int_equal(X509_NAME_entry_count(X509_get_subject_name(leaf)), 0);
    i = X509_get_ext_by_NID(leaf, NID_subject_alt_name, -1);
    assert_int_equal(X509_EXTENSION_get_critical(X509_get_ext(leaf, i)), 1);
    assert_int_equal(verify(f, leaf, host), X509_V_OK);
    X509_free(leaf);
}

static void leaves_have_different_serials(void **state)
{
    struct fixture *f = *state;
    uint64_t now = clock_wall_ms();
    X509 *a = local_ca_leaf(f->ca, STR("a.test"), now);
    X509 *b = local_ca_leaf(f->ca, STR("b.test"), now);

    assert_int_not_equal(ASN1_INTEGER_cmp(X509_get_serialNumber(a), X509_get_serialNumber(b)), 0);
    assert_true(ASN1_STRING_length(X509_get_serialNumber(a)) <= 20);
    X509_free(a);
    X509_free(b);
}

/* ---- cache ---- */

/* The leaf's address tells whether it was made anew. */
static const void *leaf_of(struct fixture *f, const char *host, uint64_t now)
{
    X509 *leaf = local_ca_leaf(f->ca, str_from(host), now);

    assert_non_null(leaf);
    X509_free(leaf);
    return leaf;
}

static void leaf_asked_for_again_comes_from_the_cache(void **state)
{
    struct fixture *f = *state;
    uint64_t now = clock_wall_ms();
    const void *a = leaf_of(f, "a.test", now);

    assert_ptr_equal(leaf_of(f, "a.test", now), a);
    assert_ptr_equal(leaf_of(f, "a.test", now + 88 * DAY_MS), a);
    assert_int_equal(local_ca_cached(f->ca), 1);
}

static void leaf_with_less_than_a_day_left_is_made_anew(void **state)
{
    struct fixture *f = *state;
    uint64_t now = clock_wall_ms();
    X509 *old = local_ca_leaf(f->ca, STR("a.test"), now);
    X509 *same = local_ca_leaf(f->ca, STR("a.test"), now + 89 * DAY_MS);
    X509 *other = local_ca_leaf(f->ca, STR("a.test"), now + 89 * DAY_MS + 1);

    assert_ptr_equal(same, old);
    assert_ptr_not_equal(other, old);
    assert_int_equal(local_ca_cached(f->ca), 1);
    X509_free(old);
    X509_free(same);
    X509_free(other);
}

static void cache_drops_the_leaf_used_longest_ago(void **state)
{
    struct fixture *f = *state;
    uint64_t now = clock_wall_ms();
    X509 *a = local_ca_leaf(f->ca, STR("a.test"), now);
    X509 *b = local_ca_leaf(f->ca, STR("b.test"), now);

    (void)leaf_of(f, "c.test", now);
    assert_int_equal(local_ca_cached(f->ca), 3);
    assert_ptr_equal(leaf_of(f, "a.test", now), a);
    (void)leaf_of(f, "d.test", now); /* b goes */
    assert_int_equal(local_ca_cached(f->ca), 3);
    assert_ptr_equal(leaf_of(f, "a.test", now), a);
    assert_ptr_not_equal(leaf_of(f, "b.test", now), b);
    X509_free(a);
    X509_free(b);
}

static void cache_made_smaller_drops_at_once(void **state)
{
    struct fixture *f = *state;
    uint64_t now = clock_wall_ms();

    (void)leaf_of(f, "a.test", now);
    (void)leaf_of(f, "b.test", now);
    local_ca_set_cache_max(f->ca, 1);
    assert_int_equal(local_ca_cached(f->ca), 1);
    local_ca_set_cache_max(f->ca, 0);
    (void)leaf_of(f, "a.test", now);
    assert_int_equal(local_ca_cached(f->ca), 0);
}

static void *mint_many(void *arg)
{
    struct fixture *f = arg;
    uint64_t now = clock_wall_ms();

    for (unsigned i = 0; i < 200; i++) {
        char host[32];
        X509 *leaf;

        (void)snprintf(host, sizeof(host), "h%u.test", i % 5);
        leaf = local_ca_leaf(f->ca, str_from(host), now);
        if (leaf == NULL || X509_check_host(leaf, host, 0, 0, NULL) != 1)
            return f;
        X509_free(leaf);
    }
    return NULL;
}

static void leaf_from_several_threads_is_right(void **state)
{
    pthread_t threads[4];
    void *failed = NULL;

    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, mint_many, *state), 0);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
}

#define with_ca(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_ca(open_first_time_makes_both_files),
        with_ca(open_again_loads_the_same),
        with_ca(open_after_a_cut_start_makes_the_certificate),
        with_ca(open_without_the_key_is_refused),
        with_ca(open_with_another_key_is_refused),
        with_ca(open_with_damaged_files_is_refused),
        with_ca(open_with_a_leaf_as_ca_is_refused),
        cmocka_unit_test(open_without_the_folder_is_refused),
        with_ca(root_is_an_authority_for_leaves_only),
        with_ca(leaf_is_valid_for_its_host_only),
        with_ca(leaf_of_a_long_name_has_no_common_name),
        with_ca(leaves_have_different_serials),
        with_ca(leaf_asked_for_again_comes_from_the_cache),
        with_ca(leaf_with_less_than_a_day_left_is_made_anew),
        with_ca(cache_drops_the_leaf_used_longest_ago),
        with_ca(cache_made_smaller_drops_at_once),
        with_ca(leaf_from_several_threads_is_right),
    };

    return cmocka_run_group_tests_name("gateway/local_ca", tests, NULL, NULL);
}
