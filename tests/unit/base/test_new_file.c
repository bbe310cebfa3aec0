/*
 * Unit tests of base/new_file.
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

#include "base/new_file.h"

struct place {
    char dir[64];
    char path[80];
    char draft[96];
};

static int place_init(void **state)
{
    static struct place p;

    (void)snprintf(p.dir, sizeof(p.dir), "/tmp/test_new_file.XXXXXX");
    if (mkdtemp(p.dir) == NULL)
        return -1;
    (void)snprintf(p.path, sizeof(p.path), "%s/f", p.dir);
    (void)snprintf(p.draft, sizeof(p.draft), "%s.new", p.path);
    *state = &p;
    return 0;
}

static int place_fini(void **state)
{
    struct place *p = *state;

    (void)unlink(p->path);
    (void)unlink(p->draft);
    return rmdir(p->dir);
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

    assert_int_not_equal(fd, -1);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(close(fd), 0);
}

static void assert_has(const char *path, const char *want)
{
    char text[16] = { 0 };
    int fd = open(path, O_RDONLY);

    assert_int_not_equal(fd, -1);
    assert_int_not_equal(read(fd, text, sizeof(text) - 1), -1);
    assert_string_equal(text, want);
    assert_int_equal(close(fd), 0);
}

static void assert_is_gone(const char *path)
{
    assert_int_equal(access(path, F_OK), -1);
}

static void finish_gives_the_name(void **state)
{
    struct place *p = *state;
    struct new_file f;
    struct stat st;

    assert_int_equal(new_file_start(&f, p->path, NULL), 0);
    assert_string_equal(f.draft, p->draft);
    assert_int_equal(write(f.fd, "new", 3), 3);
    assert_is_gone(p->path);
    assert_int_equal(new_file_finish(&f, NULL), 0);
    assert_has(p->path, "new");
    assert_is_gone(p->draft);
    assert_int_equal(stat(p->path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void finish_does_not_replace(void **state)
{
    struct place *p = *state;
    struct new_file f;
    struct err e = { .code = E_OK };

    assert_int_equal(new_file_start(&f, p->path, NULL), 0);
    write_file(p->path, "old");
    assert_int_equal(new_file_finish(&f, &e), -1);
    assert_int_equal(e.code, E_SYSTEM);
    assert_non_null(strstr(e.msg, "File exists"));
    assert_has(p->path, "old");
    assert_is_gone(p->draft);
}

static void draft_that_was_left_is_replaced(void **state)
{
    struct place *p = *state;
    struct new_file f;

    write_file(p->draft, "half a file");
    assert_int_equal(new_file_start(&f, p->path, NULL), 0);
    assert_has(p->draft, "");
    new_file_drop(&f);
    assert_is_gone(p->draft);
    assert_is_gone(p->path);
}

static void start_in_no_folder_is_refused(void **state)
{
    struct new_file f;
    struct err e = { .code = E_OK };

    (void)state;
    assert_int_equal(new_file_start(&f, "/tmp/no/such/f", &e), -1);
    assert_int_equal(e.code, E_SYSTEM);
    assert_string_equal(e.msg, "cannot make /tmp/no/such/f.new: No such file or directory");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, place_init, place_fini)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(finish_gives_the_name),
        CASE(finish_does_not_replace),
        CASE(draft_that_was_left_is_replaced),
        CASE(start_in_no_folder_is_refused),
    };

    return cmocka_run_group_tests_name("base/new_file", tests, NULL, NULL);
}
