/*
 * log: one line an event, a fixed event name and then typed fields.
 *     log_info("endpoint.up", LS("id", ep->id), LU("took_ms", took));
 * Values are escaped by the sink, so a peer cannot forge a line, and cut when LOG_VALUE_MAX_BYTES of
 * them are written. In text a field is name=value; in JSON a dotted name becomes nested objects
 * ("conn.client_ip" -> {"conn":{"client_ip":...}}), for which fields with a common prefix must stand
 * side by side.
 * The sink is the one global: lines gather in a buffer of the thread and log_flush() hands them to
 * a writer thread, so that a slow disk or terminal never stops a worker. When the writer is more
 * than LOG_QUEUE_MAX_BYTES behind, lines are dropped and counted, and a line says so later.
 * Thread: any, after log_start(). Before it, lines go to stderr at once.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/str.h"

enum { LOG_QUEUE_MAX_BYTES = 4 * 1024 * 1024, LOG_VALUE_MAX_BYTES = 2048 };

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_TEXT, LOG_JSON };

enum log_kind {
    LOG_KIND_STR,
    LOG_KIND_CSTR,
    LOG_KIND_U64,
    LOG_KIND_I64,
    LOG_KIND_BOOL,
    LOG_KIND_IP,
    LOG_KIND_ADDR,
    LOG_KIND_TIME
};

struct log_field {
    const char *name; /* NULL: a field that is not there, skipped */
    enum log_kind kind;
    union {
        struct str str;
        const char *cstr;
        uint64_t u64;
        int64_t i64;
        bool b;
        const struct addr *addr;
    } v;
};

#define LSTR(f, s)  ((struct log_field){ .name = (f), .kind = LOG_KIND_STR, .v.str = (s) })
#define LS(f, s)    ((struct log_field){ .name = (f), .kind = LOG_KIND_CSTR, .v.cstr = (s) })
#define LU(f, n)    ((struct log_field){ .name = (f), .kind = LOG_KIND_U64, .v.u64 = (uint64_t)(n) })
#define LI(f, n)    ((struct log_field){ .name = (f), .kind = LOG_KIND_I64, .v.i64 = (int64_t)(n) })
#define LB(f, x)    ((struct log_field){ .name = (f), .kind = LOG_KIND_BOOL, .v.b = (x) })
#define LIP(f, a)   ((struct log_field){ .name = (f), .kind = LOG_KIND_IP, .v.addr = (a) })
#define LADDR(f, a) ((struct log_field){ .name = (f), .kind = LOG_KIND_ADDR, .v.addr = (a) })
/* Milliseconds since 1970, written as RFC 3339. */
#define LTIME(f, ms)                                                                               \
    ((struct log_field){ .name = (f), .kind = LOG_KIND_TIME, .v.u64 = (uint64_t)(ms) })
#define LERR(e) ((struct log_field){ .name = "error", .kind = LOG_KIND_CSTR, .v.cstr = (e)->msg })

/* At least one field; LNONE stands for none. */
#define LNONE ((struct log_field){ .name = NULL })

#define log_event(level, event, ...)                                                               \
    do {                                                                                           \
        const struct log_field log_fields_[] = { __VA_ARGS__ };                                    \
        log_write((level), (event), log_fields_, sizeof(log_fields_) / sizeof(log_fields_[0]));    \
    } while (0)

#define log_debug(event, ...) log_event(LOG_DEBUG, event, __VA_ARGS__)
#define log_info(event, ...)  log_event(LOG_INFO, event, __VA_ARGS__)
#define log_warn(event, ...)  log_event(LOG_WARN, event, __VA_ARGS__)
#define log_error(event, ...) log_event(LOG_ERROR, event, __VA_ARGS__)

/* Starts the writer thread on fd (borrowed; 2 for stderr). */
void log_start(int fd, enum log_level level, enum log_format format);
/* Changes level and format; takes effect on the next line. */
void log_configure(enum log_level level, enum log_format format);
/* Writes what is queued and ends the writer thread. */
void log_stop(void);

void log_write(enum log_level level, const char *event, const struct log_field *fields,
               size_t count);
bool log_enabled(enum log_level level);
/* Hands this thread's lines to the writer; the worker runtime calls it once a loop turn. */
void log_flush(void);
/* What waits for the writer thread. */
size_t log_queued_bytes(void);
/* Lines dropped so far, over all threads. */
uint64_t log_dropped(void);

/*
 * Formats one line, with its newline, as log_write() does; for streams other than the log, such as
 * the request lines of an SSH session. Returns the bytes written to out, at most cap; a line that
 * does not fit is cut before its newline.
 */
size_t log_format_line(enum log_format format, uint64_t wall_ms, enum log_level level,
                       const char *event, const struct log_field *fields, size_t count, char *out,
                       size_t cap);

/*
 * At most `burst` lines a second for events that a stranger can trigger: returns true when the
 * event may be logged, and sets *suppressed to how many were left out since the last one.
 * Thread: that of the owner of the limit.
 */
struct log_limit {
    uint64_t second;
    unsigned used;
    uint64_t suppressed;
};
bool log_limit_pass(struct log_limit *l, unsigned burst, uint64_t now_ms, uint64_t *suppressed);

#endif
