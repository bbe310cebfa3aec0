/*
 * Unit tests of gateway/state_dir.
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

#include "gateway/state_dir.h"

/* A folder of its own for each test; the state folder is "s" in it. */
struct place {
    char top[64];
    char dir[80];
    char file[96];
};

static int place_init(void **state)
{
    static struct place p;

    (void)snprintf(p.top, sizeof(p.top), "/tmp/test_state_dir.XXXXXX");
    if (mkdtemp(p.top) == NULL)
        return -1;
    (void)snprintf(p.dir, sizeof(p.dir), "%s/s", p.top);
    (void)snprintf(p.file, sizeof(p.file), "%s/names.key", p.dir);
    *state = &p;
    return 0;
}

static int place_fini(void **state)
{
    struct place *p = *state;
    char lock[96];

    (void)snprintf(lock, sizeof(lock), "%s/lock", p->dir);
    (void)unlink(lock);
    (void)unlink(p->file);
    (void)unlink(p->dir);
    (void)rmdir(p->dir);
    return rmdir(p->top);
}

static unsigned mode_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static void state_dir_open_makes_a_private_folder(void **state)
{
    struct place *p = *state;
    struct err e;
    int lock = state_dir_open(p->dir, &e);

    assert_int_not_equal(lock, -1);
    assert_int_equal(mode_of(p->dir), 0700);
    assert_int_equal(close(lock), 0);
}

static void state_dir_open_mends_the_mode(void **state)
{
    struct place *p = *state;
    struct err e;
    int lock;

    assert_int_equal(mkdir(p->dir, 0700), 0);
    assert_int_equal(chmod(p->dir, 0755), 0);
    lock = state_dir_open(p->dir, &e);
    assert_int_not_equal(lock, -1);
    assert_int_equal(mode_of(p->dir), 0700);
    assert_int_equal(close(lock), 0);
}

static void state_dir_open_twice_is_refused(void **state)
{
    struct place *p = *state;
    struct err e;
    int lock = state_dir_open(p->dir, &e);

    assert_int_not_equal(lock, -1);
    assert_int_equal(state_dir_open(p->dir, &e), -1);
    assert_int_equal(e.code, E_SYSTEM);
    assert_non_null(strstr(e.msg, "another sallyport"));
    assert_int_equal(close(lock), 0);
    lock = state_dir_open(p->dir, &e);
    assert_int_not_equal(lock, -1);
    assert_int_equal(close(lock), 0);
}

static void state_dir_open_what_cannot_be_a_folder_is_refused(void **state)
{
    struct place *p = *state;
    char deep[128];
    struct err e;
    int fd = open(p->dir, O_WRONLY | O_CREAT, 0600);

    assert_int_not_equal(fd, -1);
    assert_int_equal(close(fd), 0);
    assert_int_equal(state_dir_open(p->dir, &e), -1);
    assert_non_null(strstr(e.msg, "is not a folder"));
    (void)snprintf(deep, sizeof(deep), "%s/no/such", p->top);
    assert_int_equal(state_dir_open(deep, &e), -1);
    assert_non_null(strstr(e.msg, "cannot make"));
}

static void state_dir_secret_is_made_once(void **state)
{
    struct place *p = *state;
    uint8_t first[STATE_DIR_SECRET_BYTES] = { 0 };
    uint8_t second[STATE_DIR_SECRET_BYTES] = { 0 };
    static const uint8_t zero[STATE_DIR_SECRET_BYTES];
    struct err e;

    assert_int_equal(mkdir(p->dir, 0700), 0);
    assert_int_equal(state_dir_secret(p->dir, "names.key", "names change", first, &e), 0);
    assert_memory_not_equal(first, zero, sizeof(first));
    assert_int_equal(mode_of(p->file), 0600);
    assert_int_equal(state_dir_secret(p->dir, "names.key", "names change", second, &e), 0);
    assert_memory_equal(first, second, sizeof(first));
}

static void state_dir_secret_damaged_is_refused(void **state)
{
    struct place *p = *state;
    static const size_t lengths[] = { 0, STATE_DIR_SECRET_BYTES - 1, STATE_DIR_SECRET_BYTES + 1 };
    uint8_t secret[STATE_DIR_SECRET_BYTES];
    char bytes[STATE_DIR_SECRET_BYTES + 1] = { 'x' };
    struct err e;

    assert_int_equal(mkdir(p->dir, 0700), 0);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        int fd = open(p->file, O_WRONLY | O_CREAT | O_TRUNC, 0600);

        assert_int_not_equal(fd, -1);
        assert_int_equal(write(fd, bytes, lengths[i]), (ssize_t)lengths[i]);
        assert_int_equal(close(fd), 0);
        assert_int_equal(state_dir_secret(p->dir, "names.key", "names change", secret, &e), -1);
        assert_non_null(strstr(e.msg, "is damaged"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(state_dir_open_makes_a_private_folder, place_init,
                                        place_fini),
        cmocka_unit_test_setup_teardown(state_dir_open_mends_the_mode, place_init, place_fini),
        cmocka_unit_test_setup_teardown(state_dir_open_twice_is_refused, place_init, place_fini),
        cmocka_unit_test_setup_teardown(state_dir_open_what_cannot_be_a_folder_is_refused,
                                        place_init, place_fini),
        cmocka_unit_test_setup_teardown(state_dir_secret_is_made_once, place_init, place_fini),
        cmocka_unit_test_setup_teardown(state_dir_secret_damaged_is_refused, place_init,
                                        place_fini),
    };

    return cmocka_run_group_tests_name("gateway/state_dir", tests, NULL, NULL);
}
