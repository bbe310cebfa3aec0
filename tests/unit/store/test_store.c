/*
 * Unit tests of tunnel/store: each runs with every backend.
 * Links: tests/unit/store/store_scene
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <pthread.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "tests/unit/store/store_scene.h"

/* ---- reading and writing -------------------------------------------------------------------- */

static void get_tells_value_and_revisions(void **state)
{
    struct store_scene *sc = *state;
    struct store_entries es;
    uint64_t first = scene_put(sc, "a", "1");
    uint64_t second = scene_put(sc, "a", "2");

    assert_int_equal(second, first + 1);
    assert_int_equal(store_get(sc->store, STR("a"), &es, NULL), 1);
    assert_int_equal(es.count, 1);
    assert_string_equal(es.list[0].key, "a");
    assert_string_equal(es.list[0].value, "2");
    assert_int_equal(es.list[0].value_bytes, 1);
    assert_int_equal(es.list[0].created, first);
    assert_int_equal(es.list[0].modified, second);
    assert_int_equal(es.revision, second);
    store_entries_fini(&es);
}

static void get_of_what_is_not_there_finds_nothing(void **state)
{
    struct store_scene *sc = *state;
    char long_key[STORE_KEY_MAX_BYTES + 1];
    struct store_entries es;

    (void)scene_put(sc, "ab", "1");
    memset(long_key, 'a', sizeof(long_key));
    assert_int_equal(store_get(sc->store, STR("a"), &es, NULL), 0);
    assert_int_equal(es.count, 0);
    assert_int_equal(store_get(sc->store, STR("abc"), &es, NULL), 0);
    assert_int_equal(store_get(sc->store, STR("ab\0"), &es, NULL), 0);
    assert_int_equal(store_get(sc->store, STR(""), &es, NULL), 0);
    assert_int_equal(store_get(sc->store, str_of(long_key, sizeof(long_key)), &es, NULL), 0);
    store_entries_fini(&es);
}

static void value_may_be_any_bytes(void **state)
{
    struct store_scene *sc = *state;
    static const struct str values[] = { STR_INIT(""), STR_INIT("a\0b"), STR_INIT("\0"),
                                         STR_INIT("\xff\xfe\x80") };
    struct store_entries es;

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct store_txn t;

        store_txn_init(&t);
        store_txn_put(&t, STR("k"), values[i]);
        assert_int_equal(store_commit(sc->store, &t, NULL, NULL), 1);
        assert_int_equal(store_get(sc->store, STR("k"), &es, NULL), 1);
        assert_int_equal(es.list[0].value_bytes, values[i].n);
        assert_memory_equal(es.list[0].value, values[i].p, values[i].n + 1); /* with its NUL */
        store_entries_fini(&es);
    }
}

static void delete_forgets_a_key(void **state)
{
    struct store_scene *sc = *state;
    uint64_t made = scene_put(sc, "a", "1");
    uint64_t gone = scene_delete(sc, "a");
    struct store_entries es;

    assert_int_equal(gone, made + 1);
    scene_assert_all(sc, "");
    (void)scene_put(sc, "a", "2");
    assert_int_equal(store_get(sc->store, STR("a"), &es, NULL), 1);
    assert_int_equal(es.list[0].created, gone + 1);
    store_entries_fini(&es);
}

static void commit_that_changes_nothing_keeps_the_revision(void **state)
{
    struct store_scene *sc = *state;
    struct store_txn t;
    uint64_t made = scene_put(sc, "a", "1");
    uint64_t revision = 0;

    assert_int_equal(scene_delete(sc, "b"), made);
    store_txn_init(&t);
    assert_int_equal(store_commit(sc->store, &t, &revision, NULL), 1);
    assert_int_equal(revision, made);
}

static void commit_gives_all_its_keys_one_revision(void **state)
{
    struct store_scene *sc = *state;
    struct store_txn t;
    struct store_entries es;
    uint64_t revision;

    (void)scene_put(sc, "c", "0");
    store_txn_init(&t);
    store_txn_put(&t, STR("b"), STR("1"));
    store_txn_delete(&t, STR("c"));
    store_txn_put(&t, STR("a"), STR("2"));
    assert_int_equal(store_commit(sc->store, &t, &revision, NULL), 1);
    scene_assert_all(sc, "a=2 b=1");
    assert_int_equal(
        store_range(sc->store, &(struct store_range){ .limit = STORE_RANGE_MAX }, &es, NULL), 0);
    assert_int_equal(es.list[0].modified, revision);
    assert_int_equal(es.list[1].modified, revision);
    store_entries_fini(&es);
}

/* ---- conditions ----------------------------------------------------------------------------- */

static int put_if(struct store_scene *sc, const char *key, const char *value, uint64_t modified)
{
    struct store_txn t;

    store_txn_init(&t);
    store_txn_expect(&t, str_from(key), modified);
    store_txn_put(&t, str_from(key), str_from(value));
    return store_commit(sc->store, &t, NULL, NULL);
}

static void commit_if_absent_happens_once(void **state)
{
    struct store_scene *sc = *state;

    assert_int_equal(put_if(sc, "a", "1", 0), 1);
    assert_int_equal(put_if(sc, "a", "2", 0), 0);
    scene_assert_all(sc, "a=1");
    (void)scene_delete(sc, "a");
    assert_int_equal(put_if(sc, "a", "3", 0), 1);
}

static void commit_if_unchanged_fails_after_a_change(void **state)
{
    struct store_scene *sc = *state;
    uint64_t first = scene_put(sc, "a", "1");
    uint64_t second = scene_put(sc, "a", "2");

    assert_int_equal(put_if(sc, "a", "3", first), 0);
    assert_int_equal(put_if(sc, "a", "3", second), 1);
    assert_int_equal(put_if(sc, "b", "3", second), 0); /* not there at all */
    scene_assert_all(sc, "a=3");
}

static void commit_with_one_condition_of_many_that_fails_does_nothing(void **state)
{
    struct store_scene *sc = *state;
    uint64_t revision = scene_put(sc, "a", "1");
    struct store_txn t;

    store_txn_init(&t);
    store_txn_expect(&t, STR("a"), revision);
    store_txn_expect(&t, STR("b"), revision);
    store_txn_put(&t, STR("a"), STR("2"));
    store_txn_put(&t, STR("b"), STR("2"));
    assert_int_equal(store_commit(sc->store, &t, NULL, NULL), 0);
    scene_assert_all(sc, "a=1");
    assert_int_equal(scene_put(sc, "c", "1"), revision + 1);
}

/* ---- ranges --------------------------------------------------------------------------------- */

static void range_is_in_the_order_of_bytes(void **state)
{
    struct store_scene *sc = *state;
    static const char *const keys[] = {
        "b", "a\xff", "a", "aa", "\x80", "B", "a/b", "a-b", "\x01"
    };

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        (void)scene_put(sc, keys[i], "");
    scene_assert_all(sc, "\x01= B= a= a-b= a/b= aa= a\xff= b= \x80=");
    scene_assert_range(sc, &(struct store_range){ .reverse = true, .limit = 3 }, "\x80= b= a\xff=");
    scene_assert_range(sc, &(struct store_range){ .from = STR("a-b"), .to = STR("b"), .limit = 99 },
                       "a-b= a/b= aa= a\xff=");
    scene_assert_range(
        sc,
        &(struct store_range){ .from = STR("a"), .to = STR("aa"), .reverse = true, .limit = 99 },
        "a/b= a-b= a=");
    scene_assert_range(sc, &(struct store_range){ .from = STR("b"), .to = STR("a"), .limit = 99 },
                       "");
}

struct visited {
    size_t count;
    char last[STORE_KEY_MAX_BYTES + 1];
};

static void note_visited(void *arg, const struct store_entry *entry)
{
    struct visited *visited = arg;

    assert_true(strcmp(visited->last, entry->key) < 0);
    (void)snprintf(visited->last, sizeof(visited->last), "%s", entry->key);
    visited->count++;
}

/* One below, at and above a page, and more pages; what stands beside the prefix is not called for. */
static void each_calls_for_all_below_the_prefix(void **state)
{
    static const size_t counts[] = { 0, 1, 255, 256, 257, 600 };
    struct store_scene *sc = *state;
    size_t put = 0;

    (void)scene_put(sc, "o", "");
    (void)scene_put(sc, "o0", "");
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct visited visited = { .count = 0 };

        for (; put < counts[i]; put++) {
            char key[16];

            (void)snprintf(key, sizeof(key), "o/%04zu", put);
            (void)scene_put(sc, key, "v");
        }
        assert_int_equal(store_each(sc->store, STR("o/"), note_visited, &visited, NULL), 0);
        assert_int_equal(visited.count, counts[i]);
    }
}

static void range_tells_whether_there_is_more(void **state)
{
    struct store_scene *sc = *state;
    struct store_range range = { .limit = 2 };
    struct store_entries es;

    (void)scene_put(sc, "a", "");
    (void)scene_put(sc, "b", "");
    assert_int_equal(store_range(sc->store, &range, &es, NULL), 0);
    assert_false(es.more);
    store_entries_fini(&es);
    (void)scene_put(sc, "c", "");
    assert_int_equal(store_range(sc->store, &range, &es, NULL), 0);
    assert_int_equal(es.count, 2);
    assert_true(es.more);
    range.from = store_next(&es);
    scene_assert_range(sc, &range, "c=");
    store_entries_fini(&es);
}

static void range_backwards_goes_on_before_the_last(void **state)
{
    struct store_scene *sc = *state;
    struct store_range range = { .limit = 2, .reverse = true };
    struct store_entries es;

    (void)scene_put(sc, "a", "");
    (void)scene_put(sc, "b", "");
    (void)scene_put(sc, "c", "");
    assert_int_equal(store_range(sc->store, &range, &es, NULL), 0);
    assert_true(es.more);
    range.to = str_from(es.list[1].key);
    scene_assert_range(sc, &range, "a=");
    store_entries_fini(&es);
}

static void range_of_a_prefix_has_what_begins_with_it(void **state)
{
    struct store_scene *sc = *state;
    char to[STORE_KEY_MAX_BYTES];
    char long_prefix[STORE_KEY_MAX_BYTES + 1];
    static const char *const keys[] = { "a", "a/", "a/b", "a/\xff\xff", "a0", "\xff", "\xff\xff" };
    struct store_range range;

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        (void)scene_put(sc, keys[i], "");
    range = store_prefix(STR("a/"), to);
    scene_assert_range(sc, &range, "a/= a/b= a/\xff\xff=");
    range = store_prefix(STR("a/\xff"), to);
    scene_assert_range(sc, &range, "a/\xff\xff=");
    range = store_prefix(STR("\xff"), to);
    scene_assert_range(sc, &range, "\xff= \xff\xff=");
    range = store_prefix(STR("b"), to);
    scene_assert_range(sc, &range, "");
    range = store_prefix(STR(""), to);
    assert_int_equal(range.to.n, 0);
    memset(long_prefix, 'a', sizeof(long_prefix));
    range = store_prefix(str_of(long_prefix, sizeof(long_prefix)), to);
    scene_assert_range(sc, &range, "");
}

/* ---- limits --------------------------------------------------------------------------------- */

static void assert_refused(struct store_scene *sc, const struct store_txn *t, enum err_code code)
{
    struct err e = { .code = E_OK };
    uint64_t before = scene_delete(sc, "none");

    assert_int_equal(store_commit(sc->store, t, NULL, &e), -1);
    assert_int_equal(e.code, code);
    assert_int_equal(scene_delete(sc, "none"), before);
}

static void key_of_512_bytes_fits_and_one_more_does_not(void **state)
{
    struct store_scene *sc = *state;
    char key[STORE_KEY_MAX_BYTES + 1];
    struct str longest = str_of(key, STORE_KEY_MAX_BYTES);
    struct str longer = str_of(key, STORE_KEY_MAX_BYTES + 1);
    struct store_entries es;
    struct store_txn t;

    memset(key, 'k', sizeof(key));
    store_txn_init(&t);
    store_txn_put(&t, longest, STR("v"));
    assert_int_equal(store_commit(sc->store, &t, NULL, NULL), 1);
    assert_int_equal(store_get(sc->store, longest, &es, NULL), 1);
    assert_int_equal(strlen(es.list[0].key), STORE_KEY_MAX_BYTES);
    store_entries_fini(&es);
    store_txn_init(&t);
    store_txn_put(&t, longer, STR("v"));
    assert_refused(sc, &t, E_LIMIT);
    store_txn_init(&t);
    store_txn_delete(&t, longer);
    assert_refused(sc, &t, E_LIMIT);
    store_txn_init(&t);
    store_txn_expect(&t, longer, 0);
    assert_refused(sc, &t, E_LIMIT);
}

static void key_that_is_none_is_refused(void **state)
{
    struct store_scene *sc = *state;
    struct store_txn t;

    store_txn_init(&t);
    store_txn_put(&t, STR(""), STR("v"));
    assert_refused(sc, &t, E_SYNTAX);
    store_txn_init(&t);
    store_txn_put(&t, STR("a\0b"), STR("v"));
    assert_refused(sc, &t, E_SYNTAX);
    store_txn_init(&t);
    store_txn_put(&t, STR("a"), STR("v"));
    store_txn_delete(&t, STR("a"));
    assert_refused(sc, &t, E_SYNTAX);
}

static void value_of_one_mebibyte_fits_and_one_more_byte_does_not(void **state)
{
    struct store_scene *sc = *state;
    char *value = mem_alloc(STORE_VALUE_MAX_BYTES + 1);
    struct store_entries es;
    struct store_txn t;

    memset(value, 'v', STORE_VALUE_MAX_BYTES + 1);
    store_txn_init(&t);
    store_txn_put(&t, STR("a"), str_of(value, STORE_VALUE_MAX_BYTES));
    assert_int_equal(store_commit(sc->store, &t, NULL, NULL), 1);
    assert_int_equal(store_get(sc->store, STR("a"), &es, NULL), 1);
    assert_int_equal(es.list[0].value_bytes, STORE_VALUE_MAX_BYTES);
    store_entries_fini(&es);
    store_txn_init(&t);
    store_txn_put(&t, STR("a"), str_of(value, STORE_VALUE_MAX_BYTES + 1));
    assert_refused(sc, &t, E_LIMIT);
    mem_free(value);
}

static void transaction_of_128_changes_fits_and_one_more_does_not(void **state)
{
    struct store_scene *sc = *state;
    static char keys[STORE_TXN_OPS_MAX + 1][4];
    struct store_txn t;
    uint64_t revision;

    store_txn_init(&t);
    for (unsigned i = 0; i < STORE_TXN_OPS_MAX + 1; i++) {
        struct str key = str_of(keys[i], 3);

        keys[i][0] = (char)('0' + i / 100);
        keys[i][1] = (char)('0' + i / 10 % 10);
        keys[i][2] = (char)('0' + i % 10);
        if (i == STORE_TXN_OPS_MAX)
            assert_int_equal(store_commit(sc->store, &t, &revision, NULL), 1);
        store_txn_expect(&t, key, 0);
        store_txn_put(&t, key, STR(""));
    }
    assert_int_equal(revision, 1);
    t.condition_count = 0;
    assert_refused(sc, &t, E_LIMIT);
    t.condition_count = STORE_TXN_OPS_MAX + 1;
    t.op_count = 0;
    assert_refused(sc, &t, E_LIMIT);
}

static void range_limit_out_of_bounds_is_refused(void **state)
{
    struct store_scene *sc = *state;
    struct store_range range = { .limit = STORE_RANGE_MAX + 1 };
    struct store_entries es;
    struct err e;

    assert_int_equal(store_range(sc->store, &range, &es, &e), -1);
    assert_int_equal(e.code, E_LIMIT);
    range.limit = 0;
    assert_int_equal(store_range(sc->store, &range, &es, &e), -1);
    assert_int_equal(e.code, E_LIMIT);
    assert_int_equal(es.count, 0);
    range.limit = STORE_RANGE_MAX;
    scene_assert_range(sc, &range, "");
}

/* Values of the full size: 16 would fit without their keys, so 15 do. */
static void range_ends_before_it_has_too_many_bytes(void **state)
{
    struct store_scene *sc = *state;
    enum { FIT = STORE_RANGE_MAX_BYTES / STORE_VALUE_MAX_BYTES - 1 };
    char *value = mem_zalloc(STORE_VALUE_MAX_BYTES);
    struct store_range range = { .limit = STORE_RANGE_MAX };
    struct store_entries es;
    struct store_txn t;
    char keys[FIT + 2];

    store_txn_init(&t);
    for (size_t i = 0; i < sizeof(keys); i++) {
        keys[i] = (char)('a' + i);
        store_txn_put(&t, str_of(&keys[i], 1), str_of(value, STORE_VALUE_MAX_BYTES));
    }
    assert_int_equal(store_commit(sc->store, &t, NULL, NULL), 1);
    assert_int_equal(store_range(sc->store, &range, &es, NULL), 0);
    assert_int_equal(es.count, FIT);
    assert_true(es.more);
    store_entries_fini(&es);
    range.from = str_of(&keys[2], 1);
    assert_int_equal(store_range(sc->store, &range, &es, NULL), 0);
    assert_int_equal(es.count, FIT);
    assert_false(es.more);
    store_entries_fini(&es);
    mem_free(value);
}

/* ---- leases --------------------------------------------------------------------------------- */

static uint64_t lease_new(struct store_scene *sc, uint64_t ttl_ms, uint64_t now_ms)
{
    uint64_t lease = 0;

    assert_int_equal(store_lease_new(sc->store, ttl_ms, now_ms, &lease, NULL), 0);
    assert_int_not_equal(lease, 0);
    return lease;
}

static void lease_that_ends_takes_its_keys(void **state)
{
    struct store_scene *sc = *state;
    uint64_t one = lease_new(sc, 1000, 0);
    uint64_t two = lease_new(sc, 1000, 0);
    uint64_t revision;
    struct err e;

    (void)scene_put_leased(sc, "a", "1", one);
    (void)scene_put_leased(sc, "b", "2", two);
    (void)scene_put(sc, "c", "3");
    revision = scene_put_leased(sc, "d", "4", one);
    assert_int_equal(store_lease_end(sc->store, one, NULL), 0);
    scene_assert_all(sc, "b=2 c=3");
    assert_int_equal(scene_delete(sc, "none"), revision + 1);
    assert_int_equal(store_lease_end(sc->store, one, &e), -1);
    assert_int_equal(e.code, E_NOT_FOUND);
}

static void lease_runs_out_when_it_is_not_kept(void **state)
{
    struct store_scene *sc = *state;
    uint64_t kept = lease_new(sc, 1000, 5000);
    uint64_t left = lease_new(sc, 1000, 5000);
    struct err e;

    (void)scene_put_leased(sc, "kept", "", kept);
    (void)scene_put_leased(sc, "left", "", left);
    assert_int_equal(store_lease_keep(sc->store, kept, 5999, NULL), 0);
    assert_int_equal(store_expire(sc->store, 5999, NULL), 0);
    scene_assert_all(sc, "kept= left=");
    assert_int_equal(store_expire(sc->store, 6000, NULL), 0);
    scene_assert_all(sc, "kept=");
    assert_int_equal(store_lease_keep(sc->store, left, 6000, &e), -1);
    assert_int_equal(e.code, E_NOT_FOUND);
    assert_int_equal(store_lease_keep(sc->store, kept, 5500, NULL),
                     0); /* a late look at the clock */
    assert_int_equal(store_expire(sc->store, 6998, NULL), 0);
    scene_assert_all(sc, "kept=");
    assert_int_equal(store_lease_keep(sc->store, kept, 6999, &e), -1);
    assert_int_equal(e.code, E_NOT_FOUND);
    assert_int_equal(store_expire(sc->store, 6999, NULL), 0);
    scene_assert_all(sc, "");
}

static void key_put_again_has_the_lease_of_that_put(void **state)
{
    struct store_scene *sc = *state;
    uint64_t one = lease_new(sc, 1000, 0);
    uint64_t two = lease_new(sc, 1000, 0);

    (void)scene_put_leased(sc, "a", "", one);
    (void)scene_put_leased(sc, "b", "", one);
    (void)scene_put_leased(sc, "c", "", one);
    (void)scene_put(sc, "d", "");
    (void)scene_put(sc, "a", "");
    (void)scene_put_leased(sc, "b", "", two);
    (void)scene_delete(sc, "c");
    (void)scene_put(sc, "c", "");
    (void)scene_put_leased(sc, "d", "", two);
    assert_int_equal(store_lease_end(sc->store, one, NULL), 0);
    scene_assert_all(sc, "a= b= c= d=");
    assert_int_equal(store_lease_end(sc->store, two, NULL), 0);
    scene_assert_all(sc, "a= c=");
}

static void put_under_a_lease_that_is_over_is_refused(void **state)
{
    struct store_scene *sc = *state;
    uint64_t lease = lease_new(sc, 1000, 0);
    struct store_txn t;

    assert_int_equal(store_lease_end(sc->store, lease, NULL), 0);
    store_txn_init(&t);
    store_txn_put(&t, STR("a"), STR("1"));
    store_txn_put_leased(&t, STR("b"), STR("1"), lease);
    assert_refused(sc, &t, E_NOT_FOUND);
    scene_assert_all(sc, "");
}

static void lease_may_have_more_keys_than_a_transaction(void **state)
{
    struct store_scene *sc = *state;
    uint64_t lease = lease_new(sc, 1000, 0);
    uint64_t revision = 0;

    for (unsigned i = 0; i < 2 * STORE_TXN_OPS_MAX; i++) {
        char key[] = { (char)('a' + i / 16), (char)('a' + i % 16), '\0' };

        revision = scene_put_leased(sc, key, "", lease);
    }
    assert_int_equal(store_lease_end(sc->store, lease, NULL), 0);
    scene_assert_all(sc, "");
    assert_int_equal(scene_delete(sc, "none"), revision + 1); /* all by one commit */
}

/* ---- watches -------------------------------------------------------------------------------- */

struct seen {
    struct buf text;
    size_t calls;
};

static void note(void *arg, const struct store_change *changes, size_t count)
{
    struct seen *seen = arg;

    seen->calls++;
    for (size_t i = 0; i < count; i++) {
        const struct store_entry *entry = &changes[i].entry;

        buf_add_fmt(&seen->text, "%s%s", changes[i].deleted ? "-" : "", entry->key);
        if (!changes[i].deleted)
            buf_add_fmt(&seen->text, "=%.*s", (int)entry->value_bytes, entry->value);
        buf_add_fmt(&seen->text, "@%u ", (unsigned)entry->modified);
    }
}

static void assert_seen(struct seen *seen, const char *want)
{
    buf_add_char(&seen->text, '\0');
    assert_string_equal(buf_str(&seen->text).p, want);
    buf_clear(&seen->text);
}

static void watch_hears_of_its_prefix_only(void **state)
{
    struct store_scene *sc = *state;
    struct seen under = { .calls = 0 };
    struct seen all = { .calls = 0 };
    struct store_watch *w[2];
    struct store_txn t;

    buf_init(&under.text, 1000);
    buf_init(&all.text, 1000);
    (void)scene_put(sc, "b/0", "before");
    w[0] = store_watch_new(sc->store, STR("b/"), note, &under);
    w[1] = store_watch_new(sc->store, STR(""), note, &all);
    store_txn_init(&t);
    store_txn_put(&t, STR("b/2"), STR("two"));
    store_txn_put(&t, STR("c"), STR("c"));
    store_txn_delete(&t, STR("b/0"));
    store_txn_delete(&t, STR("b/none"));
    store_txn_put(&t, STR("b/1"), STR("one"));
    store_txn_put(&t, STR("a"), STR("a"));
    assert_int_equal(store_commit(sc->store, &t, NULL, NULL), 1);
    assert_seen(&under, "-b/0@2 b/1=one@2 b/2=two@2 ");
    assert_seen(&all, "a=a@2 -b/0@2 b/1=one@2 b/2=two@2 c=c@2 ");
    (void)scene_put(sc, "b", "not under it");
    assert_int_equal(under.calls, 1);
    assert_int_equal(all.calls, 2);
    store_watch_end(w[0]);
    store_watch_end(w[1]);
    (void)scene_put(sc, "b/9", "after");
    assert_int_equal(under.calls, 1);
    assert_int_equal(all.calls, 2);
    buf_fini(&under.text);
    buf_fini(&all.text);
}

static void watch_hears_nothing_of_what_did_not_happen(void **state)
{
    struct store_scene *sc = *state;
    struct seen seen = { .calls = 0 };
    struct store_watch *w = store_watch_new(sc->store, STR(""), note, &seen);

    assert_int_equal(put_if(sc, "a", "1", 7), 0);
    (void)scene_delete(sc, "a");
    assert_int_equal(seen.calls, 0);
    store_watch_end(w);
}

static void watch_hears_of_leases_that_end(void **state)
{
    struct store_scene *sc = *state;
    uint64_t lease = lease_new(sc, 1000, 0);
    struct seen seen = { .calls = 0 };
    struct store_watch *w;

    buf_init(&seen.text, 1000);
    (void)scene_put_leased(sc, "b", "", lease);
    (void)scene_put_leased(sc, "a", "", lease);
    w = store_watch_new(sc->store, STR(""), note, &seen);
    (void)scene_put_leased(sc, "c", "", lease_new(sc, 500, 0));
    (void)scene_put_leased(sc, "d", "", lease_new(sc, 2000, 0));
    buf_clear(&seen.text);
    assert_int_equal(store_expire(sc->store, 1000, NULL), 0);
    assert_seen(&seen, "-a@5 -b@5 -c@5 ");
    store_watch_end(w);
    buf_fini(&seen.text);
}

enum { THREADS = 4, PUTS = 100 };

struct order {
    uint64_t last;
    size_t count;
};

static void check_order(void *arg, const struct store_change *changes, size_t count)
{
    struct order *o = arg;

    assert_int_equal(count, 1);
    assert_int_equal(changes[0].entry.modified, o->last + 1);
    o->last++;
    o->count++;
}

static void *put_many(void *arg)
{
    struct store_scene *sc = arg;
    struct store_txn t;

    for (unsigned i = 0; i < PUTS; i++) {
        store_txn_init(&t);
        store_txn_put(&t, STR("k"), STR("v"));
        if (store_commit(sc->store, &t, NULL, NULL) != 1)
            return NULL;
    }
    return sc;
}

static void *read_many(void *arg)
{
    struct store_scene *sc = arg;
    uint64_t last = 0;

    while (last < THREADS * PUTS) {
        struct store_entries es;

        /* An entry and the revision of the store are of one moment, and time does not go back. */
        if (store_get(sc->store, STR("k"), &es, NULL) == -1 || es.revision < last ||
            (es.count > 0 && es.list[0].modified != es.revision))
            return NULL;
        last = es.revision;
        store_entries_fini(&es);
    }
    return sc;
}

static void threads_see_commits_in_one_order(void **state)
{
    struct store_scene *sc = *state;
    struct order order = { .last = 0 };
    struct store_watch *w = store_watch_new(sc->store, STR("k"), check_order, &order);
    pthread_t threads[THREADS + 1];

    for (size_t i = 0; i <= THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, i < THREADS ? put_many : read_many, sc),
                         0);
    for (size_t i = 0; i <= THREADS; i++) {
        void *result = NULL;

        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_ptr_equal(result, sc);
    }
    assert_int_equal(order.count, THREADS * PUTS);
    store_watch_end(w);
}

/* Many threads add one to a number; none of the additions may be lost. */
static void *count_up(void *arg)
{
    struct store_scene *sc = arg;
    unsigned done = 0;

    while (done < PUTS) {
        struct store_entries es;
        char text[4] = { 0 };
        uint64_t n = 0;
        int rc;

        if (store_get(sc->store, STR("n"), &es, NULL) == -1)
            return NULL;
        if (es.count > 0)
            (void)str_to_u64(str_from(es.list[0].value), 999, &n);
        n++;
        text[0] = (char)('0' + n / 100);
        text[1] = (char)('0' + n / 10 % 10);
        text[2] = (char)('0' + n % 10);
        rc = put_if(sc, "n", text, es.count > 0 ? es.list[0].modified : 0);
        store_entries_fini(&es);
        if (rc == -1)
            return NULL;
        done += rc == 1;
    }
    return sc;
}

static void threads_that_compare_and_set_lose_nothing(void **state)
{
    struct store_scene *sc = *state;
    pthread_t threads[THREADS];

    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_up, sc), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *result = NULL;

        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_ptr_equal(result, sc);
    }
    scene_assert_all(sc, "n=400");
}

/* ---- table ---------------------------------------------------------------------------------- */

#define CASES(init)                                                                                \
    CASE(init, get_tells_value_and_revisions), CASE(init, get_of_what_is_not_there_finds_nothing), \
        CASE(init, value_may_be_any_bytes), CASE(init, delete_forgets_a_key),                      \
        CASE(init, commit_that_changes_nothing_keeps_the_revision),                                \
        CASE(init, commit_gives_all_its_keys_one_revision),                                        \
        CASE(init, commit_if_absent_happens_once),                                                 \
        CASE(init, commit_if_unchanged_fails_after_a_change),                                      \
        CASE(init, commit_with_one_condition_of_many_that_fails_does_nothing),                     \
        CASE(init, range_is_in_the_order_of_bytes),                                                \
        CASE(init, each_calls_for_all_below_the_prefix),                                           \
        CASE(init, range_tells_whether_there_is_more),                                             \
        CASE(init, range_backwards_goes_on_before_the_last),                                       \
        CASE(init, range_of_a_prefix_has_what_begins_with_it),                                     \
        CASE(init, key_of_512_bytes_fits_and_one_more_does_not),                                   \
        CASE(init, key_that_is_none_is_refused),                                                   \
        CASE(init, value_of_one_mebibyte_fits_and_one_more_byte_does_not),                         \
        CASE(init, transaction_of_128_changes_fits_and_one_more_does_not),                         \
        CASE(init, range_limit_out_of_bounds_is_refused),                                          \
        CASE(init, range_ends_before_it_has_too_many_bytes),                                       \
        CASE(init, lease_that_ends_takes_its_keys),                                                \
        CASE(init, lease_runs_out_when_it_is_not_kept),                                            \
        CASE(init, key_put_again_has_the_lease_of_that_put),                                       \
        CASE(init, put_under_a_lease_that_is_over_is_refused),                                     \
        CASE(init, lease_may_have_more_keys_than_a_transaction),                                   \
        CASE(init, watch_hears_of_its_prefix_only),                                                \
        CASE(init, watch_hears_nothing_of_what_did_not_happen),                                    \
        CASE(init, watch_hears_of_leases_that_end), CASE(init, threads_see_commits_in_one_order),  \
        CASE(init, threads_that_compare_and_set_lose_nothing)

/* The backend's name behind the case's tells the two apart. */
#define CASE(backend, f)                                                                           \
    {                                                                                              \
#f "_" #backend, f, store_scene_init_##backend, store_scene_fini, NULL                     \
    }

int main(void)
{
    const struct CMUnitTest tests[] = { CASES(memory), CASES(sqlite) };

    return cmocka_run_group_tests_name("tunnel/store", tests, NULL, NULL);
}
