/*
 * Sessions counted per key and per address, and the host keys.
 */
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
#include "sshd/shared.h"

static const struct sshd_settings limits = {
    .max_sessions_per_key = 2,
    .max_sessions_per_address = 3,
};

static struct addr addr_of(const char *text)
{
    struct addr a = { 0 };

    assert_int_equal(addr_parse_ip(str_from(text), &a), 0);
    return a;
}

static int set_up(void **state)
{
    struct authkeys *keys = authkeys_new();
    struct err e;

    *state = sshd_shared_new(NULL, 0, &limits, keys, NULL, NULL, &e);
    authkeys_unref(keys);
    return *state != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    sshd_shared_free(*state);
    return 0;
}

static void shared_enter_limit_per_key_is_exact(void **state)
{
    static const uint8_t key[AUTHKEY_FINGERPRINT_BYTES] = { 1 };
    struct addr a = addr_of("192.0.2.1");
    struct addr b = addr_of("192.0.2.2");
    struct err e;

    assert_int_equal(shared_enter(*state, key, &a, &limits, &e), 0);
    assert_int_equal(shared_enter(*state, key, &b, &limits, &e), 0);
    assert_int_equal(shared_enter(*state, key, &b, &limits, &e), -1);
    assert_int_equal(e.code, E_SESSION_LIMIT);
    shared_leave(*state, key, &a);
    assert_int_equal(shared_enter(*state, key, &b, &limits, &e), 0);
}

static void shared_enter_limit_per_address_is_exact(void **state)
{
    uint8_t key[AUTHKEY_FINGERPRINT_BYTES] = { 0 };
    struct addr a = addr_of("192.0.2.1");
    struct err e;

    for (key[0] = 1; key[0] <= 3; key[0]++)
        assert_int_equal(shared_enter(*state, key, &a, &limits, &e), 0);
    assert_int_equal(shared_enter(*state, key, &a, &limits, &e), -1);
    assert_int_equal(e.code, E_SESSION_LIMIT);
    /* The refused one counted nothing for its key. */
    a = addr_of("192.0.2.2");
    assert_int_equal(shared_enter(*state, key, &a, &limits, &e), 0);
    assert_int_equal(shared_enter(*state, key, &a, &limits, &e), 0);
}

static void shared_enter_ipv6_counts_per_network(void **state)
{
    uint8_t key[AUTHKEY_FINGERPRINT_BYTES] = { 0 };
    static const char *const same[] = { "2001:db8::1", "2001:db8::2:3", "2001:db8::ffff:0:0:1" };
    struct addr a;
    struct err e;

    for (size_t i = 0; i < 3; i++) {
        a = addr_of(same[i]);
        key[0]++;
        assert_int_equal(shared_enter(*state, key, &a, &limits, &e), 0);
    }
    a = addr_of("2001:db8::9");
    key[0]++;
    assert_int_equal(shared_enter(*state, key, &a, &limits, &e), -1);
    a = addr_of("2001:db8:0:1::9");
    assert_int_equal(shared_enter(*state, key, &a, &limits, &e), 0);
}

static void shared_serial_is_never_the_same(void **state)
{
    uint64_t first = shared_serial(*state);

    assert_true(shared_serial(*state) > first);
}

static void free_paths(char *paths[SSHD_HOST_KEYS])
{
    for (int i = 0; i < SSHD_HOST_KEYS; i++)
        mem_free(paths[i]);
}

static void remove_all(const char *dir, char *paths[SSHD_HOST_KEYS])
{
    char pub[256];

    for (int i = 0; i < SSHD_HOST_KEYS; i++) {
        (void)snprintf(pub, sizeof(pub), "%s.pub", paths[i]);
        assert_int_equal(unlink(pub), 0);
        assert_int_equal(unlink(paths[i]), 0);
    }
    assert_int_equal(rmdir(dir), 0);
}

static void host_keys_ensure_makes_them_once_and_private(void **state)
{
    char dir[] = "/tmp/test_shared_XXXXXX";
    char *first[SSHD_HOST_KEYS];
    char *again[SSHD_HOST_KEYS];
    struct stat before;
    struct stat after;
    struct err e;

    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(sshd_host_keys_ensure(dir, first, &e), SSHD_HOST_KEYS);
    assert_int_equal(stat(first[0], &before), 0);
    assert_int_equal(before.st_mode & 0777, 0600);
    assert_int_equal(sshd_host_keys_ensure(dir, again, &e), SSHD_HOST_KEYS);
    assert_string_equal(first[0], again[0]);
    assert_int_equal(stat(again[0], &after), 0);
    assert_true(before.st_ino == after.st_ino);
    remove_all(dir, first);
    free_paths(first);
    free_paths(again);
}

static void host_keys_ensure_missing_directory_says_why(void **state)
{
    char *paths[SSHD_HOST_KEYS];
    struct err e;

    (void)state;
    assert_int_equal(sshd_host_keys_ensure("/nonexistent", paths, &e), -1);
    assert_int_equal(e.code, E_SYSTEM);
    assert_non_null(strstr(e.msg, "/nonexistent/ssh_host_ed25519_key"));
    assert_null(paths[0]);
}

static void shared_new_bad_host_key_says_which(void **state)
{
    static const char *const paths[] = { "/dev/null" };
    struct authkeys *keys = authkeys_new();
    struct err e;

    (void)state;
    assert_null(sshd_shared_new(paths, 1, &limits, keys, NULL, NULL, &e));
    assert_non_null(strstr(e.msg, "/dev/null"));
    authkeys_unref(keys);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(shared_enter_limit_per_key_is_exact),
        CASE(shared_enter_limit_per_address_is_exact),
        CASE(shared_enter_ipv6_counts_per_network),
        CASE(shared_serial_is_never_the_same),
        cmocka_unit_test(host_keys_ensure_makes_them_once_and_private),
        cmocka_unit_test(host_keys_ensure_missing_directory_says_why),
        cmocka_unit_test(shared_new_bad_host_key_says_which),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
