/*
 * A process that is killed while it writes: its database opens, has all that was acknowledged, and of each
 * transaction all or nothing.
 * Links: tests/unit/store/store_scene
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/rand.h"
#include "tests/unit/store/store_scene.h"

enum { ROUNDS = 4, WRITES = 1000, KEY_BYTES = 32 };

/* Transaction i of a round makes two keys and replaces one. */
static int write_one(struct store *s, unsigned round, unsigned i)
{
    char first[KEY_BYTES];
    char second[KEY_BYTES];
    char number[KEY_BYTES];
    struct store_txn t;

    (void)snprintf(first, sizeof(first), "%u/first/%04u", round, i);
    (void)snprintf(second, sizeof(second), "%u/second/%04u", round, i);
    (void)snprintf(number, sizeof(number), "%u", i);
    store_txn_init(&t);
    store_txn_put(&t, str_from(first), str_from(number));
    store_txn_put(&t, STR("last"), str_from(number));
    store_txn_put(&t, str_from(second), str_from(number));
    return store_commit(s, &t, NULL, NULL);
}

/* The child: a byte through the pipe acknowledges a transaction. */
static void write_many(const char *path, unsigned round, int pipe_end)
{
    struct store *s = store_sqlite_open(path, NULL);

    if (s == NULL)
        _exit(1);
    for (unsigned i = 0; i < WRITES; i++) {
        if (write_one(s, round, i) != 1 || write(pipe_end, "+", 1) != 1)
            _exit(1);
    }
    store_free(s);
    _exit(0);
}

/* Counts acknowledgements, and kills the child at one of them. Returns how many there were. */
static unsigned count_and_kill(pid_t child, int pipe_end, unsigned kill_at)
{
    unsigned count = 0;
    char byte;

    while (read(pipe_end, &byte, 1) == 1) {
        if (++count == kill_at)
            assert_int_equal(kill(child, SIGKILL), 0);
    }
    return count;
}

static unsigned count_keys(struct store *s, unsigned round, const char *kind)
{
    struct store_entries es;
    char prefix[KEY_BYTES];
    char to[STORE_KEY_MAX_BYTES];
    struct store_range range;
    unsigned count;

    (void)snprintf(prefix, sizeof(prefix), "%u/%s/", round, kind);
    range = store_prefix(str_from(prefix), to);
    assert_int_equal(store_range(s, &range, &es, NULL), 0);
    for (unsigned i = 0; i < es.count; i++) {
        char key[2 * KEY_BYTES];

        (void)snprintf(key, sizeof(key), "%s%04u", prefix, i);
        assert_string_equal(es.list[i].key, key); /* none is missing between */
    }
    count = (unsigned)es.count;
    store_entries_fini(&es);
    return count;
}

static void assert_nothing_lost(struct store *s, unsigned round, unsigned acknowledged)
{
    unsigned count = count_keys(s, round, "first");
    struct store_entries es;
    char last[KEY_BYTES];

    /* The one that was under way when the process died may be there too. */
    assert_in_range(count, acknowledged, acknowledged + 1);
    assert_int_equal(count_keys(s, round, "second"), count);
    (void)snprintf(last, sizeof(last), "%u", count - 1);
    assert_int_equal(store_get(s, STR("last"), &es, NULL), 1);
    assert_string_equal(es.list[0].value, last);
    store_entries_fini(&es);
}

/* The rounds go on with the same database, so each also opens what the one before left. */
static void killed_process_loses_nothing_it_acknowledged(void **state)
{
    struct store_scene *sc = *state;

    for (unsigned round = 0; round < ROUNDS; round++) {
        int ends[2];
        unsigned acknowledged;
        unsigned kill_at;
        pid_t child;
        int status;

        rand_bytes(&kill_at, sizeof(kill_at));
        kill_at = 1 + kill_at % (WRITES - 1);
        assert_int_equal(pipe(ends), 0);
        child = fork();
        assert_int_not_equal(child, -1);
        if (child == 0)
            write_many(sc->path, round, ends[1]);
        assert_int_equal(close(ends[1]), 0);
        acknowledged = count_and_kill(child, ends[0], kill_at);
        assert_int_equal(close(ends[0]), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        assert_true(acknowledged >= kill_at);
        scene_open(sc);
        assert_nothing_lost(sc->store, round, acknowledged);
        scene_close(sc);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(killed_process_loses_nothing_it_acknowledged,
                                        store_scene_init_place, store_scene_fini),
    };

    return cmocka_run_group_tests_name("tunnel/store, killed", tests, NULL, NULL);
}
