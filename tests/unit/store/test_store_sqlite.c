/*
 * Unit tests of the SQLite store's file: what survives a restart, and what goes wrong with files.
 * Links: tests/unit/store/store_scene
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/mem.h"
#include "base/rand.h"
#include "tests/unit/store/store_scene.h"

enum { PATH_BYTES = 96, PAGE_BYTES = 4096, NOBODY = 65534 };

/* A file beside the database, by the end of its name. */
static const char *beside(struct store_scene *sc, const char *end)
{
    static char path[PATH_BYTES];

    (void)snprintf(path, sizeof(path), "%s%s", sc->path, end);
    return path;
}

static unsigned mode_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static void write_file(const char *path, const void *bytes, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_int_not_equal(fd, -1);
    assert_int_equal(write(fd, bytes, n), (ssize_t)n);
    assert_int_equal(close(fd), 0);
}

static void assert_says(const struct err *e, const char *why)
{
    assert_int_equal(e->code, E_STORE);
    if (strstr(e->msg, why) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", e->msg, why);
    assert_null(strchr(e->msg, '\n'));
}

static void assert_not_opened(struct store_scene *sc, const char *why)
{
    struct err e = { .code = E_OK };

    assert_null(store_sqlite_open(sc->path, &e));
    assert_says(&e, why);
}

/* Runs SQL on the file, as another program. */
static void run_sql(struct store_scene *sc, const char *sql)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(sc->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* Puts enough for many pages. */
static void fill(struct store_scene *sc)
{
    char value[1000];

    memset(value, 'v', sizeof(value));
    for (unsigned i = 0; i < 8; i++) {
        static char keys[STORE_TXN_OPS_MAX][8];
        struct store_txn t;

        store_txn_init(&t);
        for (unsigned k = 0; k < STORE_TXN_OPS_MAX; k++) {
            (void)snprintf(keys[k], sizeof(keys[k]), "%u/%03u", i, k);
            store_txn_put(&t, str_from(keys[k]), str_of(value, sizeof(value)));
        }
        assert_int_equal(store_commit(sc->store, &t, NULL, NULL), 1);
    }
}

/* ---- what stays ----------------------------------------------------------------------------- */

static void entries_survive_a_restart(void **state)
{
    struct store_scene *sc = *state;
    struct store_entries es;
    uint64_t made;
    uint64_t last;

    scene_open(sc);
    made = scene_put(sc, "a", "1");
    last = scene_put(sc, "a", "2");
    scene_close(sc);
    scene_open(sc);
    assert_int_equal(store_get(sc->store, STR("a"), &es, NULL), 1);
    assert_string_equal(es.list[0].value, "2");
    assert_int_equal(es.list[0].created, made);
    assert_int_equal(es.list[0].modified, last);
    assert_int_equal(es.revision, last);
    store_entries_fini(&es);
    assert_int_equal(scene_put(sc, "b", ""), last + 1);
}

static void keys_of_leases_do_not(void **state)
{
    struct store_scene *sc = *state;
    uint64_t lease;
    uint64_t last;

    scene_open(sc);
    assert_int_equal(store_lease_new(sc->store, 1000, 0, &lease, NULL), 0);
    (void)scene_put_leased(sc, "a", "", lease);
    (void)scene_put_leased(sc, "b", "", lease);
    (void)scene_put_leased(sc, "c", "", lease);
    last = scene_put(sc, "a", "kept");
    scene_close(sc);
    scene_open(sc);
    scene_assert_all(sc, "a=kept");
    assert_int_equal(scene_delete(sc, "none"), last + 1); /* as by a commit */
    scene_close(sc);
    scene_open(sc);
    assert_int_equal(scene_delete(sc, "none"), last + 1);
}

static void file_is_for_its_owner_only(void **state)
{
    struct store_scene *sc = *state;
    mode_t old = umask(0);

    scene_open(sc);
    assert_int_equal(mode_of(sc->path), 0600);
    assert_int_equal(mode_of(beside(sc, "-wal")), 0600);
    assert_int_equal(mode_of(beside(sc, "-shm")), 0600);
    scene_close(sc);
    assert_int_equal(chmod(sc->path, 0644), 0);
    scene_open(sc);
    assert_int_equal(mode_of(sc->path), 0600);
    assert_int_equal(mode_of(beside(sc, "-wal")), 0600);
    (void)umask(old);
}

/* ---- schemas -------------------------------------------------------------------------------- */

/* Version 1, as the first release made it. */
static const char version_1[] =
    "PRAGMA journal_mode = WAL;"
    "PRAGMA application_id = 0x53504c59;"
    "PRAGMA user_version = 1;"
    "CREATE TABLE state (revision INTEGER NOT NULL) STRICT;"
    "INSERT INTO state VALUES (7);"
    "CREATE TABLE entries (key BLOB NOT NULL PRIMARY KEY, created INTEGER NOT NULL,"
    " modified INTEGER NOT NULL, leased INTEGER NOT NULL, value BLOB NOT NULL) STRICT;"
    "INSERT INTO entries VALUES (CAST('a' AS BLOB), 3, 7, 0, CAST('one' AS BLOB));"
    "INSERT INTO entries VALUES (CAST('b' AS BLOB), 4, 5, 0, x'');"
    "INSERT INTO entries VALUES (CAST('c' AS BLOB), 6, 6, 1, x'');";

static void version_1_is_read(void **state)
{
    struct store_scene *sc = *state;
    struct store_entries es;

    run_sql(sc, version_1);
    scene_open(sc);
    scene_assert_all(sc, "a=one b=");
    assert_int_equal(store_get(sc->store, STR("a"), &es, NULL), 1);
    assert_int_equal(es.list[0].created, 3);
    assert_int_equal(es.list[0].modified, 7);
    assert_int_equal(es.revision, 8); /* the lease of c has ended */
    store_entries_fini(&es);
}

/* What is made now is what is read as version 1 above, so that fixture tells the truth. */
static void new_file_has_the_version_known_here(void **state)
{
    struct store_scene *sc = *state;

    scene_open(sc);
    scene_close(sc);
    run_sql(sc, "CREATE TEMP TABLE one (version INTEGER CHECK (version = 1));"
                "INSERT INTO one SELECT user_version FROM pragma_user_version");
}

static void newer_schema_is_refused(void **state)
{
    struct store_scene *sc = *state;

    scene_open(sc);
    (void)scene_put(sc, "a", "1");
    scene_close(sc);
    run_sql(sc, "PRAGMA user_version = 2");
    assert_not_opened(sc, "newer sallyport (schema 2, this one knows 1)");
    run_sql(sc, "PRAGMA user_version = 1");
    scene_open(sc);
    scene_assert_all(sc, "a=1"); /* the refusal changed nothing */
}

static void database_of_another_program_is_refused(void **state)
{
    struct store_scene *sc = *state;

    run_sql(sc, "CREATE TABLE t (x)");
    assert_not_opened(sc, "is no database of sallyport");
    run_sql(sc, "PRAGMA application_id = -5");
    assert_not_opened(sc, "is no database of sallyport");
}

static void lost_table_is_told(void **state)
{
    struct store_scene *sc = *state;

    scene_open(sc);
    scene_close(sc);
    run_sql(sc, "DELETE FROM state");
    assert_not_opened(sc, "has lost its revision");
    run_sql(sc, "DROP TABLE state");
    assert_not_opened(sc, "no such table: state");
}

/* ---- others at the same file ---------------------------------------------------------------- */

static void second_store_of_a_file_is_refused(void **state)
{
    struct store_scene *sc = *state;
    pid_t child;
    int status;

    scene_open(sc);
    assert_not_opened(sc, "another process has");
    child = fork();
    assert_int_not_equal(child, -1);
    if (child == 0) {
        struct err e = { .code = E_OK };

        _exit(store_sqlite_open(sc->path, &e) == NULL &&
                      strstr(e.msg, "another process has") != NULL
                  ? 0
                  : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    (void)scene_put(sc, "a", "1");
}

static int put_a(struct store_scene *sc, struct err *e)
{
    struct store_txn t;

    store_txn_init(&t);
    store_txn_put(&t, STR("a"), STR("1"));
    return store_commit(sc->store, &t, NULL, e);
}

static void program_that_holds_a_lock_is_told_of(void **state)
{
    struct store_scene *sc = *state;
    struct err e = { .code = E_OK };
    sqlite3 *other = NULL;

    scene_open(sc);
    assert_int_equal(sqlite3_open(sc->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(put_a(sc, &e), -1);
    assert_says(&e, "another program has locked");
    scene_assert_all(sc, ""); /* reading goes on */
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    assert_int_equal(put_a(sc, &e), 1);
}

static void lease_whose_keys_cannot_go_is_not_over(void **state)
{
    struct store_scene *sc = *state;
    struct err e = { .code = E_OK };
    sqlite3 *other = NULL;
    uint64_t lease = 0;

    scene_open(sc);
    assert_int_equal(store_lease_new(sc->store, 1000, 0, &lease, NULL), 0);
    (void)scene_put_leased(sc, "a", "1", lease);
    assert_int_equal(sqlite3_open(sc->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(store_lease_end(sc->store, lease, &e), -1);
    assert_says(&e, "another program has locked");
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    scene_assert_all(sc, "a=1");
    assert_int_equal(store_lease_keep(sc->store, lease, 500, NULL), 0);
    assert_int_equal(store_expire(sc->store, 1499, NULL), 0);
    scene_assert_all(sc, "a=1"); /* the mark of the end that failed is gone */
    assert_int_equal(store_expire(sc->store, 1500, NULL), 0);
    scene_assert_all(sc, "");
}

static void backup_may_read_beside_us(void **state)
{
    struct store_scene *sc = *state;
    sqlite3 *other = NULL;

    scene_open(sc);
    assert_int_equal(sqlite3_open(sc->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN; SELECT count(*) FROM entries", NULL, NULL, NULL),
                     SQLITE_OK);
    (void)scene_put(sc, "a", "1");
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    scene_assert_all(sc, "a=1");
}

static void file_that_is_removed_while_in_use_is_noticed(void **state)
{
    struct store_scene *sc = *state;
    struct err e = { .code = E_OK };

    scene_open(sc);
    assert_int_equal(rename(sc->path, beside(sc, ".new")), 0);
    assert_int_equal(put_a(sc, &e), -1);
    assert_says(&e, "was removed or replaced");
    write_file(sc->path, "x", 1);
    assert_int_equal(put_a(sc, &e), -1);
    assert_int_equal(rename(beside(sc, ".new"), sc->path), 0);
    assert_int_equal(put_a(sc, &e), 1);
}

/* ---- damage --------------------------------------------------------------------------------- */

static void file_that_is_no_database_is_refused(void **state)
{
    struct store_scene *sc = *state;
    char zeros[2 * PAGE_BYTES] = { 0 };
    char text[2 * PAGE_BYTES];

    memset(text, 'x', sizeof(text));
    write_file(sc->path, "", 0);
    assert_not_opened(sc, "is empty");
    write_file(sc->path, "x", 1);
    assert_not_opened(sc, "is no database of sallyport");
    write_file(sc->path, text, sizeof(text));
    assert_not_opened(sc, "is no database of sallyport");
    write_file(sc->path, zeros, sizeof(zeros));
    assert_not_opened(sc, "is no database of sallyport");
    assert_int_equal(mode_of(sc->path), 0600);
}

static off_t size_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

static void file_that_was_cut_is_refused(void **state)
{
    struct store_scene *sc = *state;
    off_t whole;

    scene_open(sc);
    fill(sc);
    scene_close(sc);
    whole = size_of(sc->path);
    assert_true(whole > 100 * PAGE_BYTES);
    assert_int_equal(truncate(sc->path, whole - PAGE_BYTES), 0);
    assert_not_opened(sc, "is damaged");
    assert_int_equal(truncate(sc->path, whole / 2), 0);
    assert_not_opened(sc, "is damaged");
    assert_int_equal(truncate(sc->path, PAGE_BYTES), 0);
    assert_not_opened(sc, "is damaged");
    assert_int_equal(truncate(sc->path, 100), 0);
    assert_not_opened(sc, "is damaged");
}

/* A page's worth at any place covers the head of some page. */
static void random_bytes_in_the_middle_are_found(void **state)
{
    struct store_scene *sc = *state;

    scene_open(sc);
    fill(sc);
    scene_close(sc);
    for (unsigned i = 0; i < 20; i++) {
        char saved[PAGE_BYTES];
        char noise[PAGE_BYTES];
        uint32_t place;
        int fd = open(sc->path, O_RDWR);

        assert_int_not_equal(fd, -1);
        rand_bytes(noise, sizeof(noise));
        rand_bytes(&place, sizeof(place));
        place = PAGE_BYTES + place % (uint32_t)(size_of(sc->path) - 2 * PAGE_BYTES);
        assert_int_equal(pread(fd, saved, sizeof(saved), place), sizeof(saved));
        assert_int_equal(pwrite(fd, noise, sizeof(noise), place), sizeof(noise));
        assert_not_opened(sc, "is damaged");
        assert_int_equal(pwrite(fd, saved, sizeof(saved), place), sizeof(saved));
        assert_int_equal(close(fd), 0);
    }
    scene_open(sc); /* looking changed nothing */
}

/* The bytes of a file, *n of them, for mem_free(). */
static char *read_file(const char *path, size_t *n)
{
    int fd = open(path, O_RDONLY);
    char *bytes;

    assert_int_not_equal(fd, -1);
    *n = (size_t)size_of(path);
    bytes = mem_alloc(*n + 1);
    assert_int_equal(read(fd, bytes, *n), (ssize_t)*n);
    assert_int_equal(close(fd), 0);
    return bytes;
}

/* A process that fills the database and is killed, so that what it wrote is in the log. */
static void fill_and_die(struct store_scene *sc)
{
    pid_t child = fork();
    int status;

    assert_int_not_equal(child, -1);
    if (child == 0) {
        scene_open(sc);
        fill(sc);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* Whoever restores something may need what is there. */
static void refusal_leaves_database_and_log_as_they_are(void **state)
{
    struct store_scene *sc = *state;
    char log[PATH_BYTES];
    char noise[PAGE_BYTES];
    char *before[2];
    char *after[2];
    size_t bytes[4];
    int fd;

    scene_open(sc);
    fill(sc);
    scene_close(sc);
    fill_and_die(sc);
    (void)snprintf(log, sizeof(log), "%s", beside(sc, "-wal"));
    rand_bytes(noise, sizeof(noise));
    fd = open(sc->path, O_WRONLY);
    assert_int_not_equal(fd, -1);
    /* A page that is not in the log would be covered by it. */
    for (off_t page = 3; page < 200; page++)
        assert_int_equal(pwrite(fd, noise, sizeof(noise), page * PAGE_BYTES), sizeof(noise));
    assert_int_equal(close(fd), 0);
    before[0] = read_file(sc->path, &bytes[0]);
    before[1] = read_file(log, &bytes[1]);
    assert_true(bytes[1] > 0);
    assert_not_opened(sc, "is damaged");
    after[0] = read_file(sc->path, &bytes[2]);
    after[1] = read_file(log, &bytes[3]);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(bytes[i], bytes[2 + i]);
        assert_memory_equal(before[i], after[i], bytes[i]);
        mem_free(before[i]);
        mem_free(after[i]);
    }
}

static void damage_behind_the_back_is_told(void **state)
{
    struct store_scene *sc = *state;
    char noise[PAGE_BYTES];
    struct store_range all = { .limit = STORE_RANGE_MAX };
    struct store_entries es;
    struct err e = { .code = E_OK };
    off_t size;
    int fd;

    scene_open(sc);
    fill(sc);
    scene_close(sc); /* so that nothing is in the log */
    scene_open(sc);
    size = size_of(sc->path);
    rand_bytes(noise, sizeof(noise));
    fd = open(sc->path, O_WRONLY);
    assert_int_not_equal(fd, -1);
    for (off_t place = PAGE_BYTES; place < size; place += PAGE_BYTES)
        assert_int_equal(pwrite(fd, noise, sizeof(noise), place), sizeof(noise));
    assert_int_equal(store_range(sc->store, &all, &es, &e), -1);
    assert_says(&e, "is damaged");
    assert_int_equal(es.count, 0);
    assert_int_equal(close(fd), 0);
}

static void start_that_was_cut_short_does_not_matter(void **state)
{
    struct store_scene *sc = *state;

    write_file(beside(sc, ".new"), "half", 4);
    scene_open(sc);
    scene_assert_all(sc, "");
    assert_int_equal(access(beside(sc, ".new"), F_OK), -1);
}

static void log_without_its_database_is_refused(void **state)
{
    struct store_scene *sc = *state;

    write_file(beside(sc, "-wal"), "log", 3);
    assert_not_opened(sc, "is gone but its log, of that name with -wal");
    assert_int_equal(access(sc->path, F_OK), -1);
    write_file(beside(sc, "-wal"), "", 0); /* what a refused start leaves */
    scene_open(sc);
}

/* ---- what the system refuses ---------------------------------------------------------------- */

static void place_that_cannot_be_is_refused(void **state)
{
    struct store_scene *sc = *state;
    struct err e = { .code = E_OK };

    assert_null(store_sqlite_open("/dev/null/store.db", &e));
    assert_says(&e, "Not a directory");
    assert_null(store_sqlite_open("/tmp/no/such/folder/store.db", &e));
    assert_says(&e, "No such file or directory");
    assert_null(store_sqlite_open(sc->dir, &e));
    assert_says(&e, "Is a directory");
    assert_null(store_sqlite_open("/dev/null", &e));
    assert_says(&e, "is no file");
}

/* What a child process saw, which its parent then checks. */
struct seen {
    int opened;
    unsigned committed;
    int after; /* a commit when there is room again */
    struct err e;
};

static struct seen *seen_new(void)
{
    struct seen *seen =
        mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_ptr_not_equal(seen, MAP_FAILED);
    return seen;
}

static void wait_for(pid_t child)
{
    int status;

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* The child, as somebody who is no root, who could write anywhere. */
static void open_as_nobody(struct store_scene *sc, struct seen *seen)
{
    struct store *s;

    if (geteuid() == 0 && setresuid(NOBODY, NOBODY, NOBODY) == -1)
        _exit(1);
    s = store_sqlite_open(sc->path, &seen->e);
    seen->opened = s != NULL;
    store_free(s);
    _exit(0);
}

static void assert_nobody_cannot_open(struct store_scene *sc, const char *why)
{
    struct seen *seen = seen_new();
    pid_t child = fork();

    assert_int_not_equal(child, -1);
    if (child == 0)
        open_as_nobody(sc, seen);
    wait_for(child);
    assert_int_equal(seen->opened, 0);
    assert_says(&seen->e, why);
    assert_int_equal(munmap(seen, sizeof(*seen)), 0);
}

static void give_to_nobody(const char *path)
{
    if (geteuid() == 0)
        assert_int_equal(chown(path, NOBODY, NOBODY), 0);
}

static void read_only_folder_is_told(void **state)
{
    struct store_scene *sc = *state;

    give_to_nobody(sc->dir);
    assert_int_equal(chmod(sc->dir, 0500), 0);
    assert_nobody_cannot_open(sc, "store.db.new: Permission denied");
    assert_int_equal(chmod(sc->dir, 0700), 0);
    scene_open(sc);
    scene_close(sc);
    give_to_nobody(sc->path);
    assert_int_equal(chmod(sc->dir, 0500), 0);
    assert_nobody_cannot_open(sc, "its folder must be writable");
    assert_int_equal(chmod(sc->dir, 0700), 0);
    assert_int_equal(chmod(sc->path, 0400), 0);
    assert_nobody_cannot_open(sc, "Permission denied");
}

/* The child: writes until a file may not grow further, and once more when it may. */
static void write_until_full(struct store_scene *sc, struct seen *seen)
{
    struct rlimit room = { .rlim_cur = 300 * 1024, .rlim_max = RLIM_INFINITY };
    char value[10000];
    char key[16];
    struct store_txn t;

    (void)signal(SIGXFSZ, SIG_IGN);
    memset(value, 'v', sizeof(value));
    if (setrlimit(RLIMIT_FSIZE, &room) == -1)
        _exit(1);
    for (;; seen->committed++) {
        (void)snprintf(key, sizeof(key), "%04u", seen->committed);
        store_txn_init(&t);
        store_txn_put(&t, str_from(key), str_of(value, sizeof(value)));
        store_txn_put(&t, STR("last"), str_from(key));
        if (store_commit(sc->store, &t, NULL, &seen->e) != 1)
            break;
    }
    room.rlim_cur = RLIM_INFINITY;
    if (setrlimit(RLIMIT_FSIZE, &room) == -1)
        _exit(1);
    store_txn_init(&t);
    store_txn_put(&t, STR("after"), STR("1"));
    seen->after = store_commit(sc->store, &t, NULL, NULL);
    _exit(0); /* as a crash: nothing is closed */
}

static void full_disk_loses_nothing(void **state)
{
    struct store_scene *sc = *state;
    struct seen *seen = seen_new();
    struct store_entries es;
    char last[16];
    pid_t child = fork();

    assert_int_not_equal(child, -1);
    if (child == 0) {
        scene_open(sc);
        write_until_full(sc, seen);
    }
    wait_for(child);
    assert_says(&seen->e, "no room to write");
    assert_in_range(seen->committed, 2, 100);
    assert_int_equal(seen->after, 1);
    scene_open(sc);
    assert_int_equal(
        store_range(sc->store, &(struct store_range){ .limit = STORE_RANGE_MAX }, &es, NULL), 0);
    assert_int_equal(es.count, seen->committed + 2); /* with "after" and "last" */
    assert_int_equal(es.revision, seen->committed + 1);
    (void)snprintf(last, sizeof(last), "%04u", seen->committed - 1);
    assert_string_equal(es.list[es.count - 1].value, last);
    store_entries_fini(&es);
    assert_int_equal(munmap(seen, sizeof(*seen)), 0);
}

/* The child: there is no room for the first file already. */
static void full_disk_at_first_start_is_told(void **state)
{
    struct store_scene *sc = *state;
    struct seen *seen = seen_new();
    pid_t child = fork();

    assert_int_not_equal(child, -1);
    if (child == 0) {
        struct rlimit room = { .rlim_cur = PAGE_BYTES, .rlim_max = RLIM_INFINITY };

        (void)signal(SIGXFSZ, SIG_IGN);
        if (setrlimit(RLIMIT_FSIZE, &room) == -1)
            _exit(1);
        seen->opened = store_sqlite_open(sc->path, &seen->e) != NULL;
        _exit(0);
    }
    wait_for(child);
    assert_int_equal(seen->opened, 0);
    assert_says(&seen->e, "no room to write");
    assert_int_equal(access(sc->path, F_OK), -1);
    assert_int_equal(access(beside(sc, ".new"), F_OK), -1);
    assert_int_equal(munmap(seen, sizeof(*seen)), 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, store_scene_init_place, store_scene_fini)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(entries_survive_a_restart),
        CASE(keys_of_leases_do_not),
        CASE(file_is_for_its_owner_only),
        CASE(version_1_is_read),
        CASE(new_file_has_the_version_known_here),
        CASE(newer_schema_is_refused),
        CASE(database_of_another_program_is_refused),
        CASE(lost_table_is_told),
        CASE(second_store_of_a_file_is_refused),
        CASE(program_that_holds_a_lock_is_told_of),
        CASE(lease_whose_keys_cannot_go_is_not_over),
        CASE(backup_may_read_beside_us),
        CASE(file_that_is_removed_while_in_use_is_noticed),
        CASE(file_that_is_no_database_is_refused),
        CASE(file_that_was_cut_is_refused),
        CASE(random_bytes_in_the_middle_are_found),
        CASE(refusal_leaves_database_and_log_as_they_are),
        CASE(damage_behind_the_back_is_told),
        CASE(start_that_was_cut_short_does_not_matter),
        CASE(log_without_its_database_is_refused),
        CASE(place_that_cannot_be_is_refused),
        CASE(read_only_folder_is_told),
        CASE(full_disk_loses_nothing),
        CASE(full_disk_at_first_start_is_told),
    };

    return cmocka_run_group_tests_name("tunnel/store, SQLite", tests, NULL, NULL);
}
