/*
 * store_sqlite_int: what the files of the SQLite backend share: the database file and what is in it
 * (store_sqlite_file.c) and the backend itself (store_sqlite.c).
 * Thread: a connection is used by one thread at a time.
 */
#ifndef TUNNEL_STORE_STORE_SQLITE_INT_H
#define TUNNEL_STORE_STORE_SQLITE_INT_H

#include <stdint.h>

#include <sqlite3.h>

#include "base/err.h"

/* Fills e with E_STORE and why the last call on db failed; `path` is that of its file. Returns -1. */
int sqlite_fail(sqlite3 *db, const char *path, struct err *e);

/* SQLite would go on writing to a file that is in no folder any more. Returns 0, or -1 with E_STORE. */
int sqlite_fail_if_moved(sqlite3 *db, const char *path, struct err *e);

/* Runs statements that return nothing. Returns 0, or -1 with E_STORE. */
int sqlite_run(sqlite3 *db, const char *path, const char *sql, struct err *e);

/*
 * Opens the file, or makes it with an empty store in it, and locks it for this process. Returns the
 * lock, a descriptor to close behind the last connection, or -1 with E_STORE.
 */
int sqlite_file_lock(const char *path, struct err *e);

/* Opens a connection. Returns it, or NULL with E_STORE. */
sqlite3 *sqlite_file_connect(const char *path, int flags, struct err *e);

/* Is this a store of ours, whole, and not newer than we are? Returns 0, or -1 with E_STORE. */
int sqlite_file_check(sqlite3 *db, const char *path, struct err *e);

/* Turns the write-ahead log on. Returns 0, or -1 with E_STORE. */
int sqlite_file_use_log(sqlite3 *db, const char *path, struct err *e);

/* Brings the schema up to date, in one transaction. Returns 0, or -1 with E_STORE. */
int sqlite_file_migrate(sqlite3 *db, const char *path, struct err *e);

#endif
