#include "tests/unit/store/store_scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"

int store_scene_init_memory(void **state)
{
    struct store_scene *sc = mem_zalloc(sizeof(*sc));

    sc->store = store_memory_new();
    *state = sc;
    return 0;
}

static void make_place(struct store_scene *sc)
{
    (void)snprintf(sc->dir, sizeof(sc->dir), "/tmp/test_store.XXXXXX");
    assert_non_null(mkdtemp(sc->dir));
    (void)snprintf(sc->path, sizeof(sc->path), "%s/store.db", sc->dir);
}

static void remove_place(struct store_scene *sc)
{
    static const char *const behind[] = { "", "-wal", "-shm", ".new" };

    for (size_t i = 0; i < sizeof(behind) / sizeof(behind[0]); i++) {
        char path[sizeof(sc->path) + 8];

        (void)snprintf(path, sizeof(path), "%s%s", sc->path, behind[i]);
        (void)unlink(path); /* it need not be there */
    }
    assert_int_equal(rmdir(sc->dir), 0);
}

void scene_open(struct store_scene *sc)
{
    struct err e = { .code = E_OK };

    sc->store = store_sqlite_open(sc->path, &e);
    if (sc->store == NULL)
        fail_msg("not opened: %s", e.msg);
}

void scene_close(struct store_scene *sc)
{
    store_free(sc->store);
    sc->store = NULL;
}

int store_scene_init_place(void **state)
{
    struct store_scene *sc = mem_zalloc(sizeof(*sc));

    make_place(sc);
    *state = sc;
    return 0;
}

int store_scene_init_sqlite(void **state)
{
    (void)store_scene_init_place(state);
    scene_open(*state);
    return 0;
}

int store_scene_fini(void **state)
{
    struct store_scene *sc = *state;

    store_free(sc->store);
    if (sc->dir[0] != '\0')
        remove_place(sc);
    mem_free(sc);
    return 0;
}

static uint64_t commit(struct store_scene *sc, const struct store_txn *t)
{
    uint64_t revision = 0;
    struct err e = { .code = E_OK };

    if (store_commit(sc->store, t, &revision, &e) != 1)
        fail_msg("not committed: %s", e.msg);
    return revision;
}

uint64_t scene_put(struct store_scene *sc, const char *key, const char *value)
{
    return scene_put_leased(sc, key, value, 0);
}

uint64_t scene_put_leased(struct store_scene *sc, const char *key, const char *value,
                          uint64_t lease)
{
    struct store_txn t;

    store_txn_init(&t);
    store_txn_put_leased(&t, str_from(key), str_from(value), lease);
    return commit(sc, &t);
}

uint64_t scene_delete(struct store_scene *sc, const char *key)
{
    struct store_txn t;

    store_txn_init(&t);
    store_txn_delete(&t, str_from(key));
    return commit(sc, &t);
}

void scene_assert_range(struct store_scene *sc, const struct store_range *range, const char *want)
{
    struct store_entries es;
    struct buf text;
    struct err e = { .code = E_OK };

    if (store_range(sc->store, range, &es, &e) == -1)
        fail_msg("not read: %s", e.msg);
    buf_init(&text, SIZE_MAX / 2);
    for (size_t i = 0; i < es.count; i++)
        buf_add_fmt(&text, "%s%s=%s", i > 0 ? " " : "", es.list[i].key, es.list[i].value);
    buf_add_char(&text, '\0');
    assert_string_equal(buf_str(&text).p, want);
    buf_fini(&text);
    store_entries_fini(&es);
}

void scene_assert_all(struct store_scene *sc, const char *want)
{
    struct store_range all = { .limit = STORE_RANGE_MAX };

    scene_assert_range(sc, &all, want);
}
