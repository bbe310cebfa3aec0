/*
 * Unit tests of gateway/vaults: folders of secrets on disk.
 */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "gateway/vaults.h"

enum { PATH_BYTES = 512, PROBLEMS_BYTES = 64 * 1024 };

static char root[] = "/tmp/vaults.XXXXXX";

static int setup(void **state)
{
    (void)state;
    (void)snprintf(root, sizeof(root), "/tmp/vaults.XXXXXX");
    return mkdtemp(root) == NULL ? -1 : 0;
}

static int remove_one(const char *path, const struct stat *sb, int flag, struct FTW *ftw)
{
    (void)sb;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static int teardown(void **state)
{
    (void)state;
    return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Makes the file with the folders above it. */
static void put_bytes(const char *name, const char *bytes, size_t n)
{
    char path[PATH_BYTES];
    FILE *f;

    (void)snprintf(path, sizeof(path), "%s/%s", root, name);
    for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')) != NULL; p++) {
        *p = '\0';
        (void)mkdir(path, 0700);
        *p = '/';
    }
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void put(const char *name, const char *text)
{
    put_bytes(name, text, strlen(text));
}

static struct vaults *load(void)
{
    struct buf problems;
    struct vaults *v;

    buf_init(&problems, PROBLEMS_BYTES);
    v = vaults_load(root, &problems);
    if (v == NULL)
        fail_msg("%.*s", STR_ARG(buf_str(&problems)));
    buf_fini(&problems);
    return v;
}

static void expect_refused(const char *needle)
{
    struct buf problems;
    char *text;

    buf_init(&problems, PROBLEMS_BYTES);
    assert_null(vaults_load(root, &problems));
    text = str_dup(buf_str(&problems));
    if (strstr(text, needle) == NULL)
        fail_msg("not '%s': %s", needle, text);
    mem_free(text);
    buf_fini(&problems);
}

static void expect(const struct vaults *v, const char *account, const char *vault, const char *name,
                   const char *value)
{
    struct str got = vaults_find(v, str_from(account), str_from(vault), str_from(name));

    if (value == NULL)
        assert_null(got.p);
    else if (got.p == NULL || !str_eq(got, str_from(value)))
        fail_msg("%s/%s/%s is '%.*s', not '%s'", account, vault, name, STR_ARG(got), value);
}

static void vaults_load_reads_all_secrets(void **state)
{
    struct vaults *v;

    (void)state;
    put("alice/team/password", "one\n");
    put("alice/team/key-2", "two\r\n");
    put("alice/other.vault/password", "three");
    put("bob/team/password", "\n\nfour\n\n");
    put("bob/team/empty", "");
    put("bob/team/newline", "\n");
    put("bob/team/..data", "not this");
    put(".hidden/team/password", "nor this");
    v = load();
    assert_int_equal(vaults_count(v), 6);
    expect(v, "alice", "team", "password", "one");
    expect(v, "alice", "team", "key-2", "two");
    expect(v, "alice", "other.vault", "password", "three");
    expect(v, "bob", "team", "password", "\n\nfour\n");
    expect(v, "bob", "team", "empty", "");
    expect(v, "bob", "team", "newline", "");
    expect(v, "bob", "team", "..data", NULL);
    vaults_unref(v);
}

static void vaults_find_keeps_accounts_apart(void **state)
{
    struct vaults *v;

    (void)state;
    put("alice/team/password", "one");
    put("a/b/c", "short");
    v = load();
    expect(v, "bob", "team", "password", NULL);
    expect(v, "alice", "bob", "password", NULL);
    expect(v, "alice", "team", "Password", NULL);
    expect(v, "alice/team", "password", "", NULL);
    expect(v, "", "alice/team", "password", NULL);
    expect(v, "alice", "../alice/team", "password", NULL);
    expect(v, "a", "b", "c", "short");
    expect(v, "a", "b/c", "", NULL);
    expect(v, "", "", "", NULL);
    expect(NULL, "alice", "team", "password", NULL);
    vaults_unref(v);
}

static void vaults_secret_at_the_limit_and_one_more(void **state)
{
    char *big = mem_zalloc(VAULTS_SECRET_BYTES + 2);
    struct vaults *v;

    (void)state;
    memset(big, 's', VAULTS_SECRET_BYTES + 1);
    big[VAULTS_SECRET_BYTES] = '\n';
    put("a/b/c", big);
    v = load();
    assert_int_equal(vaults_find(v, STR("a"), STR("b"), STR("c")).n, VAULTS_SECRET_BYTES);
    vaults_unref(v);
    big[VAULTS_SECRET_BYTES] = 's';
    put("a/b/c", big);
    expect_refused("a/b/c: ");
    mem_free(big);
}

static void vaults_secret_that_is_no_text_is_refused(void **state)
{
    (void)state;
    put_bytes("a/b/c", "\xff\xfe", 2);
    expect_refused("a/b/c: the secret is no UTF-8 text");
}

static void vaults_bad_names_are_refused(void **state)
{
    (void)state;
    put("a/b/with space", "x");
    expect_refused("with space: the name may only have");
}

static void vaults_file_in_place_of_a_folder_is_refused(void **state)
{
    (void)state;
    put("alice/stray", "x");
    expect_refused("alice/stray: cannot open it as a folder");
}

static void vaults_folder_among_secrets_is_refused(void **state)
{
    (void)state;
    put("a/b/c/d", "x");
    expect_refused("a/b/c: ");
}

static void vaults_missing_folder_is_refused(void **state)
{
    struct buf problems;

    (void)state;
    buf_init(&problems, PROBLEMS_BYTES);
    assert_null(vaults_load("/nonexistent/vaults", &problems));
    assert_true(str_starts(buf_str(&problems), STR("/nonexistent/vaults: ")));
    buf_fini(&problems);
}

int main(void)
{
#define WITH_FOLDER(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(vaults_load_reads_all_secrets),
        WITH_FOLDER(vaults_find_keeps_accounts_apart),
        WITH_FOLDER(vaults_secret_at_the_limit_and_one_more),
        WITH_FOLDER(vaults_secret_that_is_no_text_is_refused),
        WITH_FOLDER(vaults_bad_names_are_refused),
        WITH_FOLDER(vaults_file_in_place_of_a_folder_is_refused),
        WITH_FOLDER(vaults_folder_among_secrets_is_refused),
        WITH_FOLDER(vaults_missing_folder_is_refused),
    };

    return cmocka_run_group_tests_name("gateway/vaults", tests, NULL, NULL);
}
