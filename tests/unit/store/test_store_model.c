/*
 * Random transactions, ranges, leases and watches: after each step, memory and SQLite must have said the
 * same, word for word. A run is told by its seed.
 * Links: tests/unit/store/store_scene
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "tests/unit/store/store_scene.h"

enum {
    BACKENDS = 2,
    STEPS = 2000,
    LEASES = 4,
    SAID_MAX_BYTES = 10 * 1024 * 1024,
    TTL_MS = 50, /* of a lease, in steps */
};

struct model {
    uint64_t seed;
    uint64_t now_ms;
    struct store_scene *scenes[BACKENDS];
    struct store_watch *watches[BACKENDS][2];
    struct buf said[BACKENDS]; /* what the backend has answered in this step */
    uint64_t leases[LEASES];   /* some are over */
    uint64_t revisions[8];     /* some keys have been modified then, perhaps */
};

/* xorshift64 */
static unsigned pick(struct model *m, unsigned below)
{
    m->seed ^= m->seed << 13;
    m->seed ^= m->seed >> 7;
    m->seed ^= m->seed << 17;
    return (unsigned)(m->seed >> 32) % below;
}

/* Few and short keys, so that many meet; bytes at both ends of the order. */
static struct str pick_key(struct model *m, char key[4])
{
    static const char bytes[] = "\x01"
                                "ab/\xff";
    size_t n = 1 + pick(m, 3);

    for (size_t i = 0; i < n; i++)
        key[i] = bytes[pick(m, sizeof(bytes) - 1)];
    return str_of(key, n);
}

static void say_change(void *arg, const struct store_change *changes, size_t count)
{
    struct buf *said = arg;

    for (size_t i = 0; i < count; i++) {
        const struct store_entry *entry = &changes[i].entry;

        buf_add_fmt(said, " [%s %d %u-%u %s]", entry->key, changes[i].deleted,
                    (unsigned)entry->created, (unsigned)entry->modified,
                    changes[i].deleted ? "" : entry->value);
    }
    buf_add_fmt(said, " (%zu)", count);
}

static void say_commit(struct model *m, const struct store_txn *t)
{
    for (size_t b = 0; b < BACKENDS; b++) {
        struct err e = { .code = E_OK };
        uint64_t revision = 0;
        int rc = store_commit(m->scenes[b]->store, t, &revision, &e);

        buf_add_fmt(&m->said[b], " commit %d at %u: %s", rc, (unsigned)revision, e.msg);
        m->revisions[pick(m, 8)] = revision;
    }
}

static void step_commit(struct model *m)
{
    char keys[8][4];
    char values[4][8];
    struct store_txn t;

    store_txn_init(&t);
    for (size_t i = pick(m, 2) * (1 + pick(m, 4)); i > 0; i--)
        store_txn_expect(&t, pick_key(m, keys[i - 1]),
                         pick(m, 2) == 0 ? 0 : m->revisions[pick(m, 8)]);
    for (size_t i = pick(m, 5); i > 0; i--) {
        struct str key = pick_key(m, keys[i + 3]);
        struct str value = str_of(values[i - 1], pick(m, 8));

        memset(values[i - 1], (int)('a' + pick(m, 26)), value.n);
        switch (pick(m, 4)) {
        case 0:
            store_txn_delete(&t, key);
            break;
        case 1:
            store_txn_put_leased(&t, key, value, m->leases[pick(m, LEASES)]);
            break;
        default:
            store_txn_put(&t, key, value);
        }
    }
    say_commit(m, &t);
}

static void say_range(struct model *m, const struct store_range *range)
{
    for (size_t b = 0; b < BACKENDS; b++) {
        struct store_entries es;
        struct err e = { .code = E_OK };
        int rc = store_range(m->scenes[b]->store, range, &es, &e);

        buf_add_fmt(&m->said[b], " range %d at %u%s: %s", rc, (unsigned)es.revision,
                    es.more ? " more" : "", e.msg);
        for (size_t i = 0; i < es.count; i++)
            buf_add_fmt(&m->said[b], " %s=%s@%u-%u", es.list[i].key, es.list[i].value,
                        (unsigned)es.list[i].created, (unsigned)es.list[i].modified);
        store_entries_fini(&es);
    }
}

static void step_range(struct model *m)
{
    char from[4];
    char to[4];
    char behind[STORE_KEY_MAX_BYTES];
    struct store_range range = { .limit = 1 + pick(m, 40) };

    if (pick(m, 2) == 0) {
        range = store_prefix(pick_key(m, from), behind);
    } else {
        if (pick(m, 4) > 0)
            range.from = pick_key(m, from);
        if (pick(m, 4) > 0)
            range.to = pick_key(m, to);
    }
    range.reverse = pick(m, 2) == 0;
    say_range(m, &range);
}

static void step_get(struct model *m)
{
    char bytes[4];
    struct str key = pick_key(m, bytes);

    for (size_t b = 0; b < BACKENDS; b++) {
        struct store_entries es;
        int rc = store_get(m->scenes[b]->store, key, &es, NULL);

        buf_add_fmt(&m->said[b], " get %d %s", rc, rc == 1 ? es.list[0].value : "");
        store_entries_fini(&es);
    }
}

static void step_lease(struct model *m)
{
    uint64_t *lease = &m->leases[pick(m, LEASES)];
    uint64_t number = *lease;
    unsigned what = pick(m, 4);

    for (size_t b = 0; b < BACKENDS; b++) {
        struct store *s = m->scenes[b]->store;
        struct err e = { .code = E_OK };
        int rc;

        if (what == 0)
            rc = store_lease_new(s, TTL_MS, m->now_ms, lease, &e);
        else if (what == 1)
            rc = store_lease_end(s, number, &e);
        else if (what == 2)
            rc = store_lease_keep(s, number, m->now_ms, &e);
        else
            rc = store_expire(s, m->now_ms, &e);
        buf_add_fmt(&m->said[b], " lease %u %d %u %s", what, rc, (unsigned)*lease, e.msg);
    }
}

static void step(struct model *m)
{
    static void (*const steps[])(struct model *) = { step_commit, step_commit, step_range,
                                                     step_range,  step_get,    step_lease };

    steps[pick(m, sizeof(steps) / sizeof(steps[0]))](m);
}

static void model_init(struct model *m, uint64_t seed)
{
    void *scene = NULL;

    *m = (struct model){ .seed = seed };
    assert_int_equal(store_scene_init_memory(&scene), 0);
    m->scenes[0] = scene;
    assert_int_equal(store_scene_init_sqlite(&scene), 0);
    m->scenes[1] = scene;
    for (size_t b = 0; b < BACKENDS; b++) {
        struct store *s = m->scenes[b]->store;

        buf_init(&m->said[b], SAID_MAX_BYTES);
        m->watches[b][0] = store_watch_new(s, STR(""), say_change, &m->said[b]);
        m->watches[b][1] = store_watch_new(s, STR("a"), say_change, &m->said[b]);
    }
}

static void model_fini(struct model *m)
{
    for (size_t b = 0; b < BACKENDS; b++) {
        void *scene = m->scenes[b];

        store_watch_end(m->watches[b][0]);
        store_watch_end(m->watches[b][1]);
        buf_fini(&m->said[b]);
        assert_int_equal(store_scene_fini(&scene), 0);
    }
}

static void backends_say_the_same(void **state)
{
    static const uint64_t seeds[] = { 1, 0x9e3779b97f4a7c15, 0x5a11f00d };
    const struct store_range all = { .limit = STORE_RANGE_MAX };

    (void)state;
    for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
        struct model m;

        model_init(&m, seeds[i]);
        for (; m.now_ms < STEPS; m.now_ms++) {
            step(&m);
            if (m.now_ms % 10 == 0)
                say_range(&m, &all);
            for (size_t b = 0; b < BACKENDS; b++)
                buf_add_char(&m.said[b], '\0');
            if (strcmp(buf_str(&m.said[0]).p, buf_str(&m.said[1]).p) != 0)
                fail_msg("seed %llx, step %u:\nmemory%s\nsqlite%s", (unsigned long long)seeds[i],
                         (unsigned)m.now_ms, buf_str(&m.said[0]).p, buf_str(&m.said[1]).p);
            buf_clear(&m.said[0]);
            buf_clear(&m.said[1]);
        }
        model_fini(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(backends_say_the_same) };

    return cmocka_run_group_tests_name("tunnel/store, both backends", tests, NULL, NULL);
}
