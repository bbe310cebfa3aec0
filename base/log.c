/*
 * Each thread formats into its own buffer; log_flush() moves that under one mutex to the queue of
 * the writer thread. A worker flushes once a loop turn, so the lock is taken rarely and held for a
 * memcpy; requests do not wait for it. A ring a thread would avoid the lock, but would lose the
 * order between threads and needs a sweep over all threads.
 */
#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json_text.h"
#include "base/mem.h"

enum {
    LOG_LINE_MAX_BYTES = 128 * 1024,   /* some 60 fields, each at its limit */
    LOG_THREAD_MAX_BYTES = 256 * 1024, /* a thread hands over before it holds more */
};

static struct {
    int fd;
    atomic_int level;
    atomic_int format;
    atomic_bool running;
    pthread_t writer;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t filled;
    struct buf queue;
    bool stopping;
    uint64_t dropped;
} sink = {
    .fd = STDERR_FILENO,
    .level = LOG_INFO,
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .filled = PTHREAD_COND_INITIALIZER,
};

static _Thread_local struct {
    bool ready;
    struct buf lines;
    uint64_t count;
} local;

static const char *const level_names[] = {
    [LOG_DEBUG] = "debug",
    [LOG_INFO] = "info",
    [LOG_WARN] = "warn",
    [LOG_ERROR] = "error",
};

/* ---- formatting ------------------------------------------------------------------------ */

/* In text, a value of harmless characters stands without quotes. */
static bool is_bare(struct str s)
{
    if (s.n == 0 || s.n > LOG_VALUE_MAX_BYTES)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '=')
            return false;
    }
    return true;
}

static void add_string(struct buf *b, enum log_format format, struct str s)
{
    if (format == LOG_TEXT && is_bare(s)) {
        buf_add_str(b, s);
        return;
    }
    buf_add_char(b, '"');
    json_text_escape(b, s, LOG_VALUE_MAX_BYTES);
    buf_add_char(b, '"');
}

static void add_value(struct buf *b, enum log_format format, const struct log_field *f)
{
    char text[ADDR_TEXT_BYTES];
    char when[CLOCK_RFC3339_BYTES];

    switch (f->kind) {
    case LOG_KIND_STR:
        add_string(b, format, f->v.str);
        return;
    case LOG_KIND_CSTR:
        add_string(b, format, str_from(f->v.cstr));
        return;
    case LOG_KIND_U64:
        buf_add_fmt(b, "%llu", (unsigned long long)f->v.u64);
        return;
    case LOG_KIND_I64:
        buf_add_fmt(b, "%lld", (long long)f->v.i64);
        return;
    case LOG_KIND_BOOL:
        buf_add_str(b, f->v.b ? STR("true") : STR("false"));
        return;
    case LOG_KIND_IP:
        add_string(b, format, str_from(addr_format_ip(f->v.addr, text)));
        return;
    case LOG_KIND_ADDR:
        add_string(b, format, str_from(addr_format(f->v.addr, text)));
        return;
    case LOG_KIND_TIME:
        clock_format_rfc3339(f->v.u64, when);
        add_string(b, format, str_from(when));
        return;
    }
}

static void format_text(struct buf *b, const struct log_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (fields[i].name == NULL)
            continue;
        buf_add_fmt(b, " %s=", fields[i].name);
        add_value(b, LOG_TEXT, &fields[i]);
    }
}

/* "time" and the rest came before. */
static void format_json(struct buf *b, const struct log_field *fields, size_t count)
{
    struct json_text_object object = { .has_members = true };

    for (size_t i = 0; i < count; i++) {
        if (fields[i].name == NULL)
            continue;
        json_text_name(b, &object, str_from(fields[i].name));
        add_value(b, LOG_JSON, &fields[i]);
    }
    json_text_close(b, &object);
}

static void format_line(struct buf *b, enum log_format format, uint64_t wall_ms,
                        enum log_level level, const char *event, const struct log_field *fields,
                        size_t count)
{
    char when[CLOCK_RFC3339_BYTES];

    clock_format_rfc3339(wall_ms, when);
    if (format == LOG_JSON) {
        buf_add_fmt(b, "{\"time\":\"%s\",\"level\":\"%s\",\"event\":\"%s\"", when,
                    level_names[level], event);
        format_json(b, fields, count);
        buf_add_str(b, STR("}\n"));
        return;
    }
    buf_add_fmt(b, "%s %s %s", when, level_names[level], event);
    format_text(b, fields, count);
    buf_add_char(b, '\n');
}

size_t log_format_line(enum log_format format, uint64_t wall_ms, enum log_level level,
                       const char *event, const struct log_field *fields, size_t count, char *out,
                       size_t cap)
{
    struct buf b;
    struct str line;
    size_t n;

    buf_init(&b, LOG_LINE_MAX_BYTES);
    format_line(&b, format, wall_ms, level, event, fields, count);
    line = buf_str(&b);
    n = line.n < cap ? line.n : cap;
    if (n > 0 && line.p != NULL) {
        memcpy(out, line.p, n);
        out[n - 1] = '\n';
    }
    buf_fini(&b);
    return n;
}

/* ---- the sink -------------------------------------------------------------------------- */

/* Writes all of s; a log that cannot be written has nobody to tell. */
static void write_all(int fd, struct str s)
{
    while (s.n > 0) {
        ssize_t n = write(fd, s.p, s.n);

        if (n >= 0) {
            s = str_skip(s, (size_t)n);
            continue;
        }
        if (errno == EAGAIN) {
            struct pollfd ready = { .fd = fd, .events = POLLOUT };

            (void)poll(&ready, 1, -1); /* the next write tells how it ended */
        } else if (errno != EINTR) {
            return;
        }
    }
}

static void *writer_main(void *arg)
{
    struct buf batch;
    uint64_t reported = 0;

    (void)arg;
    (void)pthread_setname_np(pthread_self(), "log"); /* only for people who look */
    (void)pthread_mutex_lock(&sink.lock);
    while (!sink.stopping || sink.queue.len > 0) {
        uint64_t dropped;

        if (sink.queue.len == 0) {
            (void)pthread_cond_wait(&sink.filled, &sink.lock);
            continue;
        }
        batch = sink.queue;
        buf_init(&sink.queue, LOG_QUEUE_MAX_BYTES);
        dropped = sink.dropped - reported;
        reported = sink.dropped;
        (void)pthread_mutex_unlock(&sink.lock);

        write_all(sink.fd, buf_str(&batch));
        buf_fini(&batch);
        if (dropped > 0) {
            const struct log_field fields[] = { LU("lines", dropped) };
            char line[256];
            size_t n = log_format_line((enum log_format)atomic_load(&sink.format), clock_wall_ms(),
                                       LOG_WARN, "log.dropped", fields, 1, line, sizeof(line));

            write_all(sink.fd, str_of(line, n));
        }

        (void)pthread_mutex_lock(&sink.lock);
    }
    (void)pthread_mutex_unlock(&sink.lock);
    return NULL;
}

void log_start(int fd, enum log_level level, enum log_format format)
{
    sigset_t all;
    sigset_t old;
    int rc;

    log_configure(level, format);
    sink.fd = fd;
    sink.stopping = false;
    buf_init(&sink.queue, LOG_QUEUE_MAX_BYTES);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(&sink.writer, NULL, writer_main, NULL);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    assert(rc == 0);
    atomic_store(&sink.running, true);
}

void log_configure(enum log_level level, enum log_format format)
{
    atomic_store(&sink.level, (int)level);
    atomic_store(&sink.format, (int)format);
}

void log_stop(void)
{
    if (!atomic_load(&sink.running))
        return;
    log_flush();
    atomic_store(&sink.running, false);
    (void)pthread_mutex_lock(&sink.lock);
    sink.stopping = true;
    (void)pthread_cond_signal(&sink.filled);
    (void)pthread_mutex_unlock(&sink.lock);
    (void)pthread_join(sink.writer, NULL);
    buf_fini(&sink.queue);
}

bool log_enabled(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&sink.level, memory_order_relaxed);
}

void log_write(enum log_level level, const char *event, const struct log_field *fields,
               size_t count)
{
    enum log_format format;

    if (!log_enabled(level))
        return;
    if (!local.ready) {
        buf_init(&local.lines, LOG_THREAD_MAX_BYTES);
        local.ready = true;
    }
    if (buf_room(&local.lines) < LOG_LINE_MAX_BYTES)
        log_flush();
    format = (enum log_format)atomic_load_explicit(&sink.format, memory_order_relaxed);
    format_line(&local.lines, format, clock_wall_ms(), level, event, fields, count);
    assert(!buf_failed(&local.lines)); /* half a line would run into the next one */
    local.count++;
    if (!atomic_load_explicit(&sink.running, memory_order_relaxed))
        log_flush();
}

void log_flush(void)
{
    if (!local.ready || local.lines.len == 0)
        return;
    if (!atomic_load(&sink.running)) {
        write_all(sink.fd, buf_str(&local.lines));
    } else {
        (void)pthread_mutex_lock(&sink.lock);
        if (local.lines.len <= buf_room(&sink.queue))
            buf_add_str(&sink.queue, buf_str(&local.lines));
        else
            sink.dropped += local.count;
        (void)pthread_cond_signal(&sink.filled);
        (void)pthread_mutex_unlock(&sink.lock);
    }
    local.count = 0;
    /* Drops the memory too, so that a thread that ends leaves nothing behind. */
    buf_fini(&local.lines);
}

size_t log_queued_bytes(void)
{
    size_t n;

    (void)pthread_mutex_lock(&sink.lock);
    n = sink.queue.len;
    (void)pthread_mutex_unlock(&sink.lock);
    return n;
}

uint64_t log_dropped(void)
{
    uint64_t n;

    (void)pthread_mutex_lock(&sink.lock);
    n = sink.dropped;
    (void)pthread_mutex_unlock(&sink.lock);
    return n;
}

bool log_limit_pass(struct log_limit *l, unsigned burst, uint64_t now_ms, uint64_t *suppressed)
{
    uint64_t second = now_ms / 1000;

    if (second != l->second) {
        l->second = second;
        l->used = 0;
    }
    if (l->used >= burst) {
        l->suppressed++;
        return false;
    }
    l->used++;
    *suppressed = l->suppressed;
    l->suppressed = 0;
    return true;
}
