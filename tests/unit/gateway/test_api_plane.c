/*
 * Unit tests of gateway/api_plane: what the operator gives anew is in force when a reload is done.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <pthread.h>
#include <ftw.h>
#include <time.h>

#include <cmocka.h>

#include "gateway/api_plane.h"
#include "gateway/inputs.h"
#include "policy/policy.h"
#include "tunnel/store/store.h"

enum { WORKERS = 2, LATE_NS = 20000000, PATH_BYTES = 128 };

/* A worker that takes what was posted after a while. */
struct late {
    struct scene *scene; /* borrowed */
    size_t number;
    uint64_t round;
    pthread_t thread;
};

struct scene {
    char root[PATH_BYTES];
    struct policy_engine *engine;
    struct store *store;
    struct inputs inputs;
    struct api_plane *plane;
    struct late workers[WORKERS];
    atomic_size_t served; /* workers that have it */
};

static void *take_late(void *arg)
{
    struct late *l = arg;
    struct timespec t = { .tv_nsec = LATE_NS };

    (void)nanosleep(&t, NULL);
    (void)atomic_fetch_add(&l->scene->served, 1);
    api_plane_applied(l->scene->plane, l->number, l->round);
    return NULL;
}

static void post(void *arg, const struct inputs *now, uint64_t round)
{
    struct scene *s = arg;

    assert_non_null(now->config);
    for (size_t i = 0; i < WORKERS; i++) {
        struct late *l = &s->workers[i];

        *l = (struct late){ .scene = s, .number = i, .round = round };
        assert_int_equal(pthread_create(&l->thread, NULL, take_late, l), 0);
    }
}

static int remove_one(const char *path, const struct stat *sb, int flag, struct FTW *ftw)
{
    (void)sb;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static void write_config(const char *file, const char *root)
{
    FILE *out = fopen(file, "w");

    assert_non_null(out);
    (void)fprintf(out,
                  "domain = \"example.test\"; state_dir = \"%s\"; authorized_keys = [];\n"
                  "listen = { ssh = [ \"127.0.0.1:0\" ]; https = [ \"127.0.0.1:0\" ]; };\n",
                  root);
    assert_int_equal(fclose(out), 0);
}

static int setup(void **state)
{
    static struct scene s;
    char file[2 * PATH_BYTES];
    struct buf problems;
    struct api_plane_params params = { .worker_count = WORKERS, .post = post, .arg = &s };
    struct err e;

    (void)snprintf(s.root, sizeof(s.root), "/tmp/api_plane.XXXXXX");
    assert_non_null(mkdtemp(s.root));
    (void)snprintf(file, sizeof(file), "%s/sallyport.cfg", s.root);
    write_config(file, s.root);
    buf_init(&problems, INPUTS_PROBLEMS_MAX_BYTES);
    s.engine = policy_engine_new();
    s.store = store_memory_new();
    if (inputs_read(&s.inputs, file, s.engine, &problems) == -1 ||
        inputs_read_certificates(&s.inputs, NULL, &problems) == -1)
        fail_msg("%.*s", STR_ARG(buf_str(&problems)));
    buf_fini(&problems);
    params.store = s.store;
    s.plane = api_plane_new(&params, &s.inputs, &e);
    assert_non_null(s.plane);
    *state = &s;
    return 0;
}

static int teardown(void **state)
{
    struct scene *s = *state;

    api_plane_free(s->plane);
    inputs_fini(&s->inputs);
    store_free(s->store);
    policy_engine_free(s->engine);
    return nftw(s->root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void reload_returns_when_all_workers_have_it(void **state)
{
    struct scene *s = *state;

    api_plane_reload(s->plane, &s->inputs);
    assert_int_equal(atomic_load(&s->served), WORKERS);
    for (size_t i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_join(s->workers[i].thread, NULL), 0);
}

static void reload_behind_the_stop_returns(void **state)
{
    struct scene *s = *state;
    size_t served = atomic_load(&s->served);

    api_plane_stop(s->plane);
    api_plane_reload(s->plane, &s->inputs);
    assert_int_equal(atomic_load(&s->served), served);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reload_returns_when_all_workers_have_it),
        cmocka_unit_test(reload_behind_the_stop_returns),
    };

    return cmocka_run_group_tests_name("gateway/api_plane", tests, setup, teardown);
}
