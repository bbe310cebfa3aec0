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

#define PATIENCE_S 20.0

/* Two files that are watched, and how often a change was told. */
struct scene {
    struct ev_loop *loop;
    char path[2][64];
    unsigned told;
    unsigned awaited; /* ends run_until_told() */
    size_t grown;     /* length of the first file, see grow_and_look() */
    struct file_watch *watch;
};

static void on_change(void *arg)
{
    struct scene *s = arg;

    s->told++;
    if (s->told == s->awaited)
        ev_break(s->loop, EVBREAK_ALL);
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
    ev_timer_stop(s->loop, &timer);
}

/* However long that takes; and then it is not told again. */
static void run_until_told(struct scene *s, unsigned times)
{
    s->awaited = times;
    run_for(s, PATIENCE_S);
    assert_int_equal(s->told, times);
    run_for(s, 1.2);
    assert_int_equal(s->told, times);
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
    run_until_told(s, 1);
    /* The same length again, in the same second. */
    write_text(s->path[1], "xyz", 3);
    run_until_told(s, 2);
}

static void file_watch_replaced_and_removed_files_are_told(void **state)
{
    struct scene *s = *state;
    char other[80];

    (void)snprintf(other, sizeof(other), "%s.new", s->path[0]);
    write_text(other, "", 0);
    assert_int_equal(rename(other, s->path[0]), 0);
    run_until_told(s, 1);
    assert_int_equal(unlink(s->path[0]), 0);
    run_until_told(s, 2);
}

/* Before the loop calls anybody: so each look sees another length. */
static void grow_and_look(struct ev_loop *loop)
{
    static const char text[] = "1234567890123456789012345678901234567890";
    struct scene *s = ev_userdata(loop);

    if (s->grown < sizeof(text) - 1)
        s->grown++;
    write_text(s->path[0], text, s->grown);
    ev_invoke_pending(loop);
}

static void file_watch_waits_until_a_file_is_at_rest(void **state)
{
    struct scene *s = *state;

    ev_set_userdata(s->loop, s);
    ev_set_invoke_pending_cb(s->loop, grow_and_look);
    run_for(s, 2.2);
    assert_int_equal(s->told, 0);
    assert_in_range(s->grown, 1, 40);
    ev_set_invoke_pending_cb(s->loop, ev_invoke_pending);
    run_until_told(s, 1);
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
