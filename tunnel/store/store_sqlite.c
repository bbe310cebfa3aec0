/*
 * The store in an SQLite file. Two connections: commits go through one under the store's lock, ranges
 * through the other under a lock of its own, so reading never waits for the disk behind a commit (WAL
 * gives the reader the state of the last commit).
 *
 * synchronous = FULL syncs the log in each commit before it returns, so what was acknowledged survives a
 * loss of power. NORMAL would sync only when the log is folded into the database. When that sync itself
 * fails, the commit is reported as failed, but its bytes may be in the log; a crash right after may
 * then bring it back.
 *
 * Whether a key has a lease is stored, which one is not: leases end with the process, and the next one
 * deletes their keys when it opens the file.
 */
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "tunnel/store/store_int.h"
#include "tunnel/store/store_sqlite_int.h"

enum statement {
    W_BEGIN,
    W_COMMIT,
    W_ROLLBACK,
    W_REVISION,
    W_SET_REVISION,
    W_MODIFIED,
    W_PUT,
    W_DELETE,
    W_DELETE_LEASED,
    R_BEGIN,
    R_COMMIT,
    R_REVISION,
    R_RANGE,
    R_RANGE_REVERSE,
    STATEMENT_COUNT,
    READER_FIRST = R_BEGIN,
};

static const char *const statements[STATEMENT_COUNT] = {
    [W_BEGIN] = "BEGIN IMMEDIATE",
    [W_COMMIT] = "COMMIT",
    [W_ROLLBACK] = "ROLLBACK",
    [W_REVISION] = "SELECT revision FROM state",
    [W_SET_REVISION] = "UPDATE state SET revision = ?1",
    [W_MODIFIED] = "SELECT modified FROM entries WHERE key = ?1",
    [W_PUT] = "INSERT INTO entries (key, created, modified, leased, value)"
              " VALUES (?1, ?2, ?2, ?3, ?4)"
              " ON CONFLICT (key) DO UPDATE SET"
              " modified = excluded.modified, leased = excluded.leased, value = excluded.value"
              " RETURNING created",
    [W_DELETE] = "DELETE FROM entries WHERE key = ?1 RETURNING created",
    [W_DELETE_LEASED] = "DELETE FROM entries WHERE leased <> 0",
    [R_BEGIN] = "BEGIN",
    [R_COMMIT] = "COMMIT",
    [R_REVISION] = "SELECT revision FROM state",
    [R_RANGE] = "SELECT key, value, created, modified FROM entries"
                " WHERE key >= ?1 AND key < ?2 ORDER BY key LIMIT ?3",
    [R_RANGE_REVERSE] = "SELECT key, value, created, modified FROM entries"
                        " WHERE key >= ?1 AND key < ?2 ORDER BY key DESC LIMIT ?3",
};

/* What a connection needs to be told. The log shrinks again after a burst. */
static const char writer_setup[] = "PRAGMA synchronous = FULL;"
                                   "PRAGMA journal_size_limit = 16777216;"
                                   "PRAGMA cell_size_check = ON";

struct sqlite_store {
    struct store base;
    char *path;      /* owned */
    int lock_fd;     /* owned: keeps other processes out */
    sqlite3 *writer; /* owned; under the store's lock */
    sqlite3 *reader; /* owned; under reader_lock */
    pthread_mutex_t reader_lock;
    sqlite3_stmt *prepared[STATEMENT_COUNT]; /* owned: of the writer, then of the reader */
};

static struct sqlite_store *sqlite_of(struct store *s)
{
    return (struct sqlite_store *)s; /* base is its first member */
}

/* ---- statements ----------------------------------------------------------------------------- */

static sqlite3 *db_of(const struct sqlite_store *q, enum statement id)
{
    return id < READER_FIRST ? q->writer : q->reader;
}

static int fail(const struct sqlite_store *q, enum statement id, struct err *e)
{
    return sqlite_fail(db_of(q, id), q->path, e);
}

static int prepare(struct sqlite_store *q, struct err *e)
{
    for (unsigned id = 0; id < STATEMENT_COUNT; id++) {
        if (sqlite3_prepare_v3(db_of(q, id), statements[id], -1, SQLITE_PREPARE_PERSISTENT,
                               &q->prepared[id], NULL) != SQLITE_OK)
            return fail(q, id, e);
    }
    return 0;
}

/* Binding only fails for bytes beyond SQLite's limit of a thousand million, and ours are far below. */
static void bind_bytes(struct sqlite_store *q, enum statement id, int at, struct str s)
{
    (void)sqlite3_bind_blob64(q->prepared[id], at, s.p != NULL ? s.p : "", s.n, SQLITE_STATIC);
}

static void bind_number(struct sqlite_store *q, enum statement id, int at, uint64_t n)
{
    (void)sqlite3_bind_int64(q->prepared[id], at, (sqlite3_int64)n);
}

/*
 * Runs a statement that returns at most one number. Returns 1 with *out (may be NULL), 0 when there
 * is no row, or -1 with E_STORE.
 */
static int step_number(struct sqlite_store *q, enum statement id, uint64_t *out, struct err *e)
{
    sqlite3_stmt *statement = q->prepared[id];
    int step = sqlite3_step(statement);
    int rc = 0;

    while (step == SQLITE_ROW) {
        if (out != NULL)
            *out = (uint64_t)sqlite3_column_int64(statement, 0);
        rc = 1;
        step = sqlite3_step(statement);
    }
    if (step != SQLITE_DONE)
        rc = fail(q, id, e);
    (void)sqlite3_reset(statement); /* tells again what the step told */
    return rc;
}

static int run(struct sqlite_store *q, enum statement id, struct err *e)
{
    return step_number(q, id, NULL, e) == -1 ? -1 : 0;
}

static int read_revision(struct sqlite_store *q, enum statement id, uint64_t *out, struct err *e)
{
    int rc = step_number(q, id, out, e);

    if (rc == 0)
        rc = err_set(e, E_STORE, "%s has lost its revision; restore it from a backup", q->path);
    return rc == 1 ? 0 : -1;
}

/* ---- reading -------------------------------------------------------------------------------- */

static struct str column_bytes(sqlite3_stmt *statement, int at)
{
    const char *p = sqlite3_column_blob(statement, at);

    return str_of(p, (size_t)sqlite3_column_bytes(statement, at));
}

/* Fills a page with the rows of a statement whose bounds are bound. */
static int read_rows(struct sqlite_store *q, enum statement id, struct store_page *page,
                     struct err *e)
{
    sqlite3_stmt *statement = q->prepared[id];
    int step = sqlite3_step(statement);
    int rc = 0;

    while (step == SQLITE_ROW &&
           store_page_add(page, column_bytes(statement, 0), column_bytes(statement, 1),
                          (uint64_t)sqlite3_column_int64(statement, 2),
                          (uint64_t)sqlite3_column_int64(statement, 3)))
        step = sqlite3_step(statement);
    if (step != SQLITE_ROW && step != SQLITE_DONE)
        rc = fail(q, id, e);
    (void)sqlite3_reset(statement); /* tells again what the step told */
    return rc;
}

static int read_range(struct sqlite_store *q, const struct store_range *range,
                      struct store_entries *out, struct err *e)
{
    enum statement id = range->reverse ? R_RANGE_REVERSE : R_RANGE;
    struct store_page page = { .out = out, .limit = range->limit };
    char beyond[STORE_KEY_MAX_BYTES + 1]; /* all keys come before this */

    memset(beyond, UCHAR_MAX, sizeof(beyond));
    bind_bytes(q, id, 1, range->from);
    bind_bytes(q, id, 2, range->to.n > 0 ? range->to : str_of(beyond, sizeof(beyond)));
    bind_number(q, id, 3, range->limit + 1); /* one more tells whether there is more */
    if (read_revision(q, R_REVISION, &out->revision, e) == -1)
        return -1;
    return read_rows(q, id, &page, e);
}

static int sqlite_range(struct store *s, const struct store_range *range, struct store_entries *out,
                        struct err *e)
{
    struct sqlite_store *q = sqlite_of(s);
    int rc;

    (void)pthread_mutex_lock(&q->reader_lock); /* fails only on misuse */
    rc = run(q, R_BEGIN, e);
    if (rc == 0) {
        rc = read_range(q, range, out, e);
        (void)run(q, R_COMMIT, NULL); /* gives the snapshot back; nothing was written */
    }
    (void)pthread_mutex_unlock(&q->reader_lock); /* fails only on misuse */
    return rc;
}

/* ---- writing -------------------------------------------------------------------------------- */

/* Returns 1 if all conditions hold, 0 if not, or -1 with E_STORE. */
static int check_conditions(struct sqlite_store *q, const struct store_batch *b, struct err *e)
{
    for (size_t i = 0; i < b->condition_count; i++) {
        uint64_t modified = 0;

        bind_bytes(q, W_MODIFIED, 1, b->conditions[i].key);
        if (step_number(q, W_MODIFIED, &modified, e) == -1)
            return -1;
        if (modified != b->conditions[i].modified)
            return 0;
    }
    return 1;
}

/* *created becomes what store_ops wants. */
static int apply(struct sqlite_store *q, const struct store_op *op, uint64_t revision,
                 uint64_t *created, struct err *e)
{
    enum statement id = op->is_delete ? W_DELETE : W_PUT;

    bind_bytes(q, id, 1, op->key);
    if (!op->is_delete) {
        bind_number(q, id, 2, revision);
        bind_number(q, id, 3, op->lease != 0);
        bind_bytes(q, id, 4, op->value);
    }
    return step_number(q, id, created, e) == -1 ? -1 : 0;
}

/* Ends a transaction in which all went well (1) or not. Returns 1 when it is durable, else rc or -1. */
static int finish(struct sqlite_store *q, int rc, struct err *e)
{
    if (rc == 1 && run(q, W_COMMIT, e) == -1)
        rc = -1;
    /* Some errors have ended it by themselves; of others the first is the one to tell. */
    if (sqlite3_get_autocommit(q->writer) == 0)
        (void)run(q, W_ROLLBACK, NULL);
    return rc;
}

/* What stands between begin and commit. Returns as store_commit(). */
static int change(struct sqlite_store *q, const struct store_batch *b, uint64_t *created,
                  uint64_t *revision, struct err *e)
{
    int rc = check_conditions(q, b, e);
    bool changed = false;

    if (rc != 1)
        return rc;
    if (read_revision(q, W_REVISION, revision, e) == -1)
        return -1;
    for (size_t i = 0; i < b->op_count; i++) {
        if (apply(q, &b->ops[i], *revision + 1, &created[i], e) == -1)
            return -1;
        changed |= created[i] != 0;
    }
    if (!changed)
        return 1;
    bind_number(q, W_SET_REVISION, 1, ++*revision);
    return run(q, W_SET_REVISION, e) == -1 ? -1 : 1;
}

static int sqlite_commit(struct store *s, const struct store_batch *b, uint64_t *created,
                         uint64_t *revision, struct err *e)
{
    struct sqlite_store *q = sqlite_of(s);

    if (sqlite_fail_if_moved(q->writer, q->path, e) == -1 || run(q, W_BEGIN, e) == -1)
        return -1;
    return finish(q, change(q, b, created, revision, e), e);
}

/* ---- life ----------------------------------------------------------------------------------- */

static void sqlite_free(struct store *s)
{
    struct sqlite_store *q = sqlite_of(s);

    store_fini(s);
    for (unsigned id = 0; id < STATEMENT_COUNT; id++)
        (void)sqlite3_finalize(q->prepared[id]); /* tells again what its last step told */
    (void)sqlite3_close(q->reader);              /* all statements are finalized */
    (void)sqlite3_close(q->writer); /* the last to close folds the log into the database */
    if (q->lock_fd != -1)
        (void)close(q->lock_fd);                  /* only locked */
    (void)pthread_mutex_destroy(&q->reader_lock); /* nobody holds it */
    mem_free(q->path);
    mem_free(q);
}

static const struct store_ops sqlite_ops = {
    .range = sqlite_range,
    .commit = sqlite_commit,
    .free = sqlite_free,
};

/* Keys of leases that ended with an earlier process go, as by a commit. */
static int delete_leased(struct sqlite_store *q, struct err *e)
{
    uint64_t revision = 0;

    if (run(q, W_DELETE_LEASED, e) == -1 || read_revision(q, W_REVISION, &revision, e) == -1)
        return -1;
    if (sqlite3_changes(q->writer) == 0)
        return 0;
    bind_number(q, W_SET_REVISION, 1, revision + 1);
    return run(q, W_SET_REVISION, e);
}

static int forget_leases(struct sqlite_store *q, struct err *e)
{
    int rc;

    if (run(q, W_BEGIN, e) == -1)
        return -1;
    rc = delete_leased(q, e);
    return finish(q, rc == 0 ? 1 : -1, e) == 1 ? 0 : -1;
}

/* Closing folds the log into the database, and then removes it; not when that may be damaged. */
static void keep_log(struct sqlite_store *q, int keep)
{
    (void)sqlite3_db_config(q->writer, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep, NULL); /* is known */
}

static int check_file(struct sqlite_store *q, struct err *e)
{
    keep_log(q, 1);
    if (sqlite_file_check(q->writer, q->path, e) == -1)
        return -1;
    keep_log(q, 0);
    return 0;
}

static int set_up(struct sqlite_store *q, struct err *e)
{
    q->lock_fd = sqlite_file_lock(q->path, e);
    if (q->lock_fd == -1)
        return -1;
    q->writer = sqlite_file_connect(q->path, SQLITE_OPEN_READWRITE, e);
    if (q->writer == NULL || check_file(q, e) == -1 ||
        sqlite_file_use_log(q->writer, q->path, e) == -1 ||
        sqlite_run(q->writer, q->path, writer_setup, e) == -1 ||
        sqlite_file_migrate(q->writer, q->path, e) == -1)
        return -1;
    q->reader = sqlite_file_connect(q->path, SQLITE_OPEN_READONLY, e);
    if (q->reader == NULL || prepare(q, e) == -1)
        return -1;
    return forget_leases(q, e);
}

struct store *store_sqlite_open(const char *path, struct err *e)
{
    struct sqlite_store *q = mem_zalloc(sizeof(*q));

    store_init(&q->base, &sqlite_ops);
    (void)pthread_mutex_init(&q->reader_lock, NULL); /* cannot fail without attributes */
    q->path = mem_strdup(path);
    q->lock_fd = -1;
    if (set_up(q, e) == 0)
        return &q->base;
    sqlite_free(&q->base);
    return NULL;
}
