/*
 * The file of the SQLite backend. A new database is made beside its place and moved there, so an empty
 * or half file was damaged and is refused; to take it for a new one would give everybody's names away.
 *
 * The lock is flock() on the file, not SQLite's exclusive mode: leases and watches live in one process, so
 * another gateway must stay out, but `sqlite3 FILE .backup` may read beside us. SQLite itself uses
 * fcntl() locks, which any close() of the file would drop; so the descriptor stays open until the
 * connections are closed.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/new_file.h"
#include "base/str.h"
#include "tunnel/store/store_sqlite_int.h"

enum {
    APPLICATION_ID = 0x53504c59, /* "SPLY", in the file's header */
    BUSY_TIMEOUT_MS = 2000,      /* how long to wait for a program that has the database locked */
    FOUND_BYTES = 120,           /* of what a pragma answers */
};

/* steps[n] makes version n + 1 of version n; a step that was released never changes. */
static const char *const steps[] = {
    "PRAGMA application_id = 0x53504c59;"
    "CREATE TABLE state (revision INTEGER NOT NULL) STRICT;"
    "INSERT INTO state VALUES (0);"
    /* Not WITHOUT ROWID, whose tree would hold the values in its inner pages. */
    "CREATE TABLE entries ("
    " key BLOB NOT NULL PRIMARY KEY, created INTEGER NOT NULL, modified INTEGER NOT NULL,"
    " leased INTEGER NOT NULL, value BLOB NOT NULL) STRICT;",
};

enum { SCHEMA_VERSION = sizeof(steps) / sizeof(steps[0]) };

static_assert(APPLICATION_ID == 0x53504c59, "the first step says the same");

/* ---- errors --------------------------------------------------------------------------------- */

static int no_room(const char *path, int errnum, struct err *e)
{
    return err_set(e, E_STORE, "no room to write %s: %s; nothing was changed", path,
                   strerror(errnum != 0 ? errnum : ENOSPC));
}

static int damaged(const char *path, const char *what, struct err *e)
{
    return err_set(e, E_STORE, "%s is damaged (%s); restore it from a backup", path, what);
}

static int not_ours(const char *path, struct err *e)
{
    return err_set(e, E_STORE, "%s is no database of sallyport; restore it, or move it away", path);
}

int sqlite_fail(sqlite3 *db, const char *path, struct err *e)
{
    int code = sqlite3_errcode(db);
    /* That of the call that failed; sqlite3_system_errno() does not know that of a commit. */
    int errnum = code == SQLITE_IOERR || code == SQLITE_CANTOPEN ? errno : 0;

    if (code == SQLITE_FULL || errnum == ENOSPC || errnum == EDQUOT || errnum == EFBIG)
        return no_room(path, errnum, e);
    switch (code) {
    case SQLITE_CORRUPT:
        return damaged(path, sqlite3_errmsg(db), e);
    case SQLITE_NOTADB:
        return not_ours(path, e);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return err_set(e, E_STORE, "another program has locked %s; stop it first", path);
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return err_set(e, E_STORE,
                       "%s or a file beside it cannot be written: %s; its folder must be writable",
                       path, errnum != 0 ? strerror(errnum) : sqlite3_errmsg(db));
    case SQLITE_IOERR:
        return err_set(e, E_STORE, "%s cannot be read or written: %s", path,
                       errnum != 0 ? strerror(errnum) : sqlite3_errmsg(db));
    default:
        return err_set(e, E_STORE, "%s: %s", path, sqlite3_errmsg(db));
    }
}

int sqlite_fail_if_moved(sqlite3 *db, const char *path, struct err *e)
{
    int moved = 0;

    (void)sqlite3_file_control(db, "main", SQLITE_FCNTL_HAS_MOVED, &moved); /* Linux knows it */
    return moved == 0 ? 0
                      : err_set(e, E_STORE,
                                "%s was removed or replaced while it was in use; stop, put it "
                                "back, and start again",
                                path);
}

static int fail_errno(const char *what, const char *path, int errnum, struct err *e)
{
    return err_set(e, E_STORE, "cannot %s %s: %s", what, path, strerror(errnum));
}

int sqlite_run(sqlite3 *db, const char *path, const char *sql, struct err *e)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : sqlite_fail(db, path, e);
}

/* ---- what is in it -------------------------------------------------------------------------- */

/* Runs a statement and reads the one value it returns, cut to fit `out`. */
static int read_text(sqlite3 *db, const char *path, const char *sql, char out[FOUND_BYTES],
                     struct err *e)
{
    sqlite3_stmt *statement = NULL;
    int rc = -1;

    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
        const unsigned char *text = sqlite3_column_text(statement, 0);

        (void)snprintf(out, FOUND_BYTES, "%s", text != NULL ? (const char *)text : "");
        rc = 0;
    } else {
        (void)sqlite_fail(db, path, e);
    }
    (void)sqlite3_finalize(statement); /* only read from */
    return rc;
}

static int read_number(sqlite3 *db, const char *path, const char *sql, uint64_t *out, struct err *e)
{
    char text[FOUND_BYTES];

    if (read_text(db, path, sql, text, e) == -1)
        return -1;
    /* Only in a file of another program is it negative. */
    if (str_to_u64(str_from(text), INT32_MAX, out) == -1)
        *out = INT32_MAX;
    return 0;
}

/* Walks over all pages, once at start. */
static int check_pages(sqlite3 *db, const char *path, struct err *e)
{
    char found[FOUND_BYTES];
    const char *last;

    if (read_text(db, path, "PRAGMA integrity_check(1)", found, e) == -1)
        return -1;
    if (str_eq(str_from(found), STR("ok")))
        return 0;
    last = strrchr(found, '\n'); /* behind a headline */
    return damaged(path, last != NULL ? last + 1 : found, e);
}

int sqlite_file_use_log(sqlite3 *db, const char *path, struct err *e)
{
    char mode[FOUND_BYTES];

    if (read_text(db, path, "PRAGMA journal_mode = WAL", mode, e) == -1)
        return -1;
    if (!str_eq(str_from(mode), STR("wal")))
        return err_set(
            e, E_STORE,
            "the file system of %s cannot share memory, as a write-ahead log needs; choose "
            "a local one for state_dir",
            path);
    return 0;
}

int sqlite_file_check(sqlite3 *db, const char *path, struct err *e)
{
    uint64_t application = 0;
    uint64_t version = 0;

    if (read_number(db, path, "PRAGMA application_id", &application, e) == -1 ||
        read_number(db, path, "PRAGMA user_version", &version, e) == -1)
        return -1;
    if (application != APPLICATION_ID)
        return not_ours(path, e);
    if (version > SCHEMA_VERSION)
        return err_set(
            e, E_STORE,
            "%s was made by a newer sallyport (schema %u, this one knows %d); start that "
            "one, or restore a backup",
            path, (unsigned)version, SCHEMA_VERSION);
    return check_pages(db, path, e);
}

static int run_steps(sqlite3 *db, const char *path, struct err *e)
{
    char set_version[64];
    uint64_t version = 0;

    if (read_number(db, path, "PRAGMA user_version", &version, e) == -1)
        return -1;
    if (version == SCHEMA_VERSION)
        return 0;
    for (; version < SCHEMA_VERSION; version++) {
        if (sqlite_run(db, path, steps[version], e) == -1)
            return -1;
    }
    (void)snprintf(set_version, sizeof(set_version), "PRAGMA user_version = %d", SCHEMA_VERSION);
    return sqlite_run(db, path, set_version, e);
}

int sqlite_file_migrate(sqlite3 *db, const char *path, struct err *e)
{
    if (sqlite_run(db, path, "BEGIN IMMEDIATE", e) == -1)
        return -1;
    if (run_steps(db, path, e) == 0 && sqlite_run(db, path, "COMMIT", e) == 0)
        return 0;
    (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL); /* the first error is the one to tell */
    return -1;
}

/* ---- the file ------------------------------------------------------------------------------- */

sqlite3 *sqlite_file_connect(const char *path, int flags, struct err *e)
{
    sqlite3 *db = NULL;

    if (sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK) {
        (void)sqlite3_busy_timeout(db, BUSY_TIMEOUT_MS); /* cannot fail on an open database */
        return db;
    }
    (void)sqlite_fail(db, path, e);
    (void)sqlite3_close(db); /* nothing is open in it */
    return NULL;
}

/* Fills the empty file `draft`. The caller makes it durable, so SQLite needs no journal. */
static int fill_draft(const char *draft, struct err *e)
{
    sqlite3 *db = sqlite_file_connect(draft, SQLITE_OPEN_READWRITE, e);
    int rc = -1;

    if (db == NULL)
        return -1;
    if (sqlite_run(db, draft, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF", e) == 0)
        rc = sqlite_file_migrate(db, draft, e);
    (void)sqlite3_close(db); /* all statements are finalized */
    return rc;
}

/* SQLite would take the log of a database that is gone for that of the new one. An empty one is none. */
static int check_no_log(const char *path, struct err *e)
{
    size_t n = strlen(path) + sizeof("-wal");
    char *log = mem_zalloc(n);
    struct stat st;
    int rc = 0;

    (void)snprintf(log, n, "%s-wal", path);
    if (stat(log, &st) == 0 && st.st_size > 0) {
        const char *slash = strrchr(log, '/');

        rc = err_set(e, E_STORE, "%s is gone but its log %s is there; restore it from a backup",
                     path, slash != NULL ? slash + 1 : log);
    }
    mem_free(log);
    return rc;
}

static int make_file(const char *path, struct err *e)
{
    struct new_file f;
    struct err why;

    if (check_no_log(path, e) == -1)
        return -1;
    if (new_file_start(&f, path, &why) == -1)
        return err_set(e, E_STORE, "%s", why.msg);
    if (fill_draft(f.draft, e) == -1) {
        new_file_drop(&f);
        return -1;
    }
    return new_file_finish(&f, &why) == 0 ? 0 : err_set(e, E_STORE, "%s", why.msg);
}

static int open_or_make(const char *path, struct err *e)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);

    if (fd == -1 && errno == ENOENT) {
        if (make_file(path, e) == -1)
            return -1;
        fd = open(path, O_RDWR | O_CLOEXEC);
    }
    return fd != -1 ? fd : fail_errno("open", path, errno, e);
}

static int lock_and_look(int fd, const char *path, struct err *e)
{
    struct stat st;

    if (flock(fd, LOCK_EX | LOCK_NB) == -1)
        return errno == EWOULDBLOCK
                   ? err_set(e, E_STORE, "another process has %s open; stop it first", path)
                   : fail_errno("lock", path, errno, e);
    if (fstat(fd, &st) == -1)
        return fail_errno("look at", path, errno, e);
    if (!S_ISREG(st.st_mode))
        return err_set(e, E_STORE, "%s is no file", path);
    if (st.st_size == 0)
        return damaged(path, "it is empty", e);
    /* It has everybody's names and hashes of their keys; SQLite's other files take its mode. */
    if ((st.st_mode & 077) != 0 && fchmod(fd, 0600) == -1)
        return fail_errno("make private", path, errno, e);
    return 0;
}

int sqlite_file_lock(const char *path, struct err *e)
{
    int fd = open_or_make(path, e);

    if (fd != -1 && lock_and_look(fd, path, e) == -1) {
        (void)close(fd); /* nothing was written */
        fd = -1;
    }
    return fd;
}
