/*
 * Unit tests of gateway/file_watch, on a real loop and real files.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <fcntl.h>
#include <unistd.h>

#include <cmocka.h>
#include <ev.h>

#include "gateway/file_watch.h"

/* Two files that are watched, and how often a change was told. */
struct scene {
    struct ev_loop *loop;
    char path[2][64];
    unsigned told;
    struct file_watch *watch;
};

static void on_change(void *arg)
{
    struct scene *s = arg;

    s->told++;
}

static void on_time(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)w;
    (void)revents;
    ev_break(loop, EVBREAK_ALL);
}

static void run_for(struct scene *s, double seconds)
{
    ev_timer timer;

    ev_timer_init(&timer, on_time, seconds, 0.0);
    ev_timer_start(s->loop, &timer);
    ev_run(s->loop, 0);
}

static void write_text(const char *path, const char *text, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_int_not_equal(fd, -1);
    assert_int_equal(write(fd, text, n), (ssize_t)n);
    assert_int_equal(close(fd), 0);
}

static int scene_init(void **state)
{
    static struct scene s;
    const char *paths[2];

    s = (struct scene){ .loop = ev_loop_new(EVFLAG_AUTO) };
    for (size_t i = 0; i < 2; i++) {
        int fd;

        (void)snprintf(s.path[i], sizeof(s.path[i]), "/tmp/test_file_watch.XXXXXX");
        fd = mkstemp(s.path[i]);
        if (fd == -1 || close(fd) == -1)
            return -1;
        paths[i] = s.path[i];
    }
    s.watch = file_watch_new(s.loop, paths, 2, on_change, &s);
    file_watch_start(s.watch);
    *state = &s;
    return 0;
}

static int scene_fini(void **state)
{
    struct scene *s = *state;

    file_watch_free(s->watch);
    (void)unlink(s->path[0]);
    (void)unlink(s->path[1]);
    ev_loop_destroy(s->loop);
    return 0;
}

static void file_watch_without_change_is_silent(void **state)
{
    struct scene *s = *state;

    run_for(s, 1.7);
    assert_int_equal(s->told, 0);
}

static void file_watch_change_is_told_once(void **state)
{
    struct scene *s = *state;

    write_text(s->path[1], "abc", 3);
    run_for(s, 2.2);
    assert_int_equal(s->told, 1);
    /* The same length again, in the same second. */
    write_text(s->path[1], "xyz", 3);
    run_for(s, 2.2);
    assert_int_equal(s->told, 2);
}

static void file_watch_replaced_and_removed_files_are_told(void **state)
{
    struct scene *s = *state;
    char other[80];

    (void)snprintf(other, sizeof(other), "%s.new", s->path[0]);
    write_text(other, "", 0);
    assert_int_equal(rename(other, s->path[0]), 0);
    run_for(s, 1.7);
    assert_int_equal(s->told, 1);
    assert_int_equal(unlink(s->path[0]), 0);
    run_for(s, 1.7);
    assert_int_equal(s->told, 2);
}

static void file_watch_waits_until_a_file_is_at_rest(void **state)
{
    struct scene *s = *state;

    for (size_t n = 1; n <= 8; n++) {
        write_text(s->path[0], "12345678", n);
        run_for(s, 0.3); /* each look sees another length */
        assert_int_equal(s->told, 0);
    }
    run_for(s, 1.7);
    assert_int_equal(s->told, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(file_watch_without_change_is_silent, scene_init,
                                        scene_fini),
        cmocka_unit_test_setup_teardown(file_watch_change_is_told_once, scene_init, scene_fini),
        cmocka_unit_test_setup_teardown(file_watch_replaced_and_removed_files_are_told, scene_init,
                                        scene_fini),
        cmocka_unit_test_setup_teardown(file_watch_waits_until_a_file_is_at_rest, scene_init,
                                        scene_fini),
    };

    return cmocka_run_group_tests_name("gateway/file_watch", tests, NULL, NULL);
}
