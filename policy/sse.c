/*
 * Every message runs the phase in a run of its own (D51: variables and results start fresh), whose
 * memory is taken back before the next one: a stream may go on for days. That run sees the results of
 * the exchange's run as a request sees those of its connection.
 */
#include "policy/sse.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "policy/action.h"
#include "policy/filter.h"
#include "policy/local.h"
#include "policy/run_int.h"

enum { WARNINGS_A_SECOND = 1 };

struct sse_message {
    struct str value[SSE_FIELD_COUNT];
    bool found[SSE_FIELD_COUNT];
    bool changed[SSE_FIELD_COUNT];
};

struct sse_filter {
    struct policy_filter filter; /* first */
    struct policy_run *exchange; /* borrowed: outlives us */
    struct policy_run run;       /* of one message */
    struct arena arena;          /* of one message */
    struct buf pending;          /* the message that is arriving */
    bool began;                  /* the first message is through */
    bool line_is_empty;          /* nothing on this line yet */
    bool after_cr;               /* a LF would belong to the line end before it */
    bool passing;                /* the message is too long: it goes on as it comes */
};

/* ---- for actions ----------------------------------------------------------------------------- */

bool sse_get(const struct action_run *run, enum sse_field field, struct str *out)
{
    const struct sse_message *m = run->run->message;

    *out = m->value[field];
    return m->found[field];
}

static bool is_digits(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!char_is_digit(s.p[i]))
            return false;
    }
    return s.n > 0;
}

void sse_set(struct action_run *run, enum sse_field field, struct str value)
{
    struct sse_message *m = run->run->message;

    m->changed[field] = true;
    m->found[field] = field != SSE_RETRY || is_digits(value);
    m->value[field] = arena_str(run->arena, value);
}

/* ---- lines ----------------------------------------------------------------------------------- */

struct line {
    struct str text; /* without its end */
    struct str end;  /* CR, LF, CRLF, or nothing behind the last one */
};

static size_t find_line_end(struct str s)
{
    size_t i = 0;

    if (s.p == NULL)
        return 0;
    while (i < s.n && s.p[i] != '\r' && s.p[i] != '\n')
        i++;
    return i;
}

static bool next_line(struct str *rest, struct line *out)
{
    size_t n = find_line_end(*rest);
    size_t end = 0;

    if (rest->n == 0)
        return false;
    if (n < rest->n)
        end = str_starts(str_skip(*rest, n), STR("\r\n")) ? 2 : 1;
    out->text = str_slice(*rest, 0, n);
    out->end = str_slice(*rest, n, n + end);
    *rest = str_skip(*rest, n + end);
    return true;
}

/* "data: x", "data:x" and "data" are all the field; -1: another one. */
static int field_of(struct str line, struct str *value)
{
    static const struct str names[SSE_FIELD_COUNT] = { STR_INIT("data"), STR_INIT("retry") };
    size_t colon = str_find_char(line, ':');

    for (int i = 0; i < SSE_FIELD_COUNT; i++) {
        if (!str_eq(str_slice(line, 0, colon), names[i]))
            continue;
        *value = str_skip(line, colon + 1);
        if (str_starts(*value, STR(" ")))
            *value = str_skip(*value, 1);
        return i;
    }
    return -1;
}

/* Data lines are joined with \n; of retry the last one counts. */
static void read_message(struct sse_filter *f, struct str raw, struct sse_message *m)
{
    struct line line;
    struct str value;
    char *data = NULL;
    size_t n = 0;

    *m = (struct sse_message){ .found = { false } };
    for (struct str rest = raw; next_line(&rest, &line);) {
        int field = field_of(line.text, &value);

        if (field == SSE_RETRY) {
            m->found[SSE_RETRY] = true;
            m->value[SSE_RETRY] = value;
        } else if (field == SSE_DATA) {
            if (data == NULL)
                data = arena_alloc(&f->arena, raw.n);
            else
                data[n++] = '\n';
            memcpy(data + n, value.n > 0 ? value.p : "", value.n);
            n += value.n;
            m->found[SSE_DATA] = true;
            m->value[SSE_DATA] = str_of(data, n);
        }
    }
}

static void write_data(struct str value, struct str end, struct buf *out)
{
    struct line line;

    do {
        if (!next_line(&value, &line))
            line = (struct line){ .text = STR_NONE };
        buf_add_str(out, STR("data: "));
        buf_add_str(out, line.text);
        buf_add_str(out, end.n > 0 ? end : STR("\n"));
    } while (line.end.n > 0);
}

/* The lines of a changed field make place for the new ones where the first of them stood. */
static void write_message(const struct sse_message *m, struct str raw, struct buf *out)
{
    bool written[SSE_FIELD_COUNT] = { false };
    struct line line;
    struct str value;

    for (struct str rest = raw; next_line(&rest, &line);) {
        int field = field_of(line.text, &value);

        if (field == -1 || !m->changed[field]) {
            buf_add_str(out, line.text);
            buf_add_str(out, line.end);
            continue;
        }
        if (written[field] || !m->found[field])
            continue;
        written[field] = true;
        if (field == SSE_DATA)
            write_data(m->value[SSE_DATA], line.end, out);
        else
            buf_add_fmt(out, "retry: %.*s%.*s", STR_ARG(m->value[field]), STR_ARG(line.end));
    }
}

/* ---- messages -------------------------------------------------------------------------------- */

static int run_message(struct sse_filter *f, struct sse_message *m, struct err *e)
{
    struct policy_run *run = &f->run;
    enum policy_verdict verdict;

    run->message = m;
    run->results = NULL;
    run->secrets = NULL;
    run->watches = NULL;
    verdict = policy_run_phase(run, POLICY_ON_EVENT_STREAM_MESSAGE);
    if (verdict == POLICY_CONTINUE)
        return 0;
    if (verdict == POLICY_RESPOND && run->response.error != E_OK)
        return err_set(e, run->response.error, "%s", run->response.message);
    return err_set(e, E_POLICY_INTERNAL, "the policy ended in the middle of an event stream");
}

/* Handles what is pending as a whole message. The response must be cut when that fails: it may have
 * been the policy's business to take something out of it. */
static int end_message(struct sse_filter *f, struct buf *out, struct err *e)
{
    struct str raw = buf_str(&f->pending);
    struct sse_message m;
    int rc = 0;

    if (!f->began && str_starts(raw, STR("\xef\xbb\xbf"))) {
        buf_add_str(out, str_slice(raw, 0, 3));
        raw = str_skip(raw, 3);
    }
    f->began = true;
    arena_reset(&f->arena);
    read_message(f, raw, &m);
    if (m.found[SSE_DATA] || m.found[SSE_RETRY])
        rc = run_message(f, &m, e);
    if (rc == 0 && (m.changed[SSE_DATA] || m.changed[SSE_RETRY]))
        write_message(&m, raw, out);
    else if (rc == 0)
        buf_add_str(out, raw);
    buf_clear(&f->pending);
    return rc;
}

static void pass_on(struct sse_filter *f, struct buf *out)
{
    const struct policy_run_params *params = &f->exchange->params;
    uint64_t suppressed;

    buf_add_str(out, buf_str(&f->pending));
    buf_clear(&f->pending);
    f->passing = true;
    f->began = true;
    if (log_limit_pass(&params->local->warnings, WARNINGS_A_SECOND, clock_mono_ms(), &suppressed))
        log_info("policy.event_too_long", LSTR("endpoint", params->endpoint),
                 LU("max_bytes", SSE_MESSAGE_MAX_BYTES), LU("suppressed", suppressed));
}

/* Takes bytes of one line, with the first byte of its end when `ends`. */
static int add_piece(struct sse_filter *f, struct str piece, bool ends, struct buf *out,
                     struct err *e)
{
    bool is_blank = ends && f->line_is_empty && piece.n == 1;

    if (f->passing) {
        buf_add_str(out, piece);
    } else {
        buf_add_str(&f->pending, piece);
        if (f->pending.len > SSE_MESSAGE_MAX_BYTES)
            pass_on(f, out);
    }
    f->line_is_empty = ends;
    f->after_cr = ends && piece.p[piece.n - 1] == '\r';
    if (!is_blank)
        return 0;
    if (f->passing) {
        f->passing = false;
        return 0;
    }
    return end_message(f, out, e);
}

/* The LF of a CRLF: it goes where the CR went. */
static void add_lf(struct sse_filter *f, struct buf *out)
{
    buf_add_char(f->passing || f->pending.len == 0 ? out : &f->pending, '\n');
    f->after_cr = false;
}

static int push(struct policy_filter *filter, struct str in, struct buf *out, struct err *e)
{
    struct sse_filter *f = (struct sse_filter *)filter;

    while (in.n > 0) {
        size_t n = find_line_end(in);
        bool ends = n < in.n;
        struct str piece = str_slice(in, 0, n + ends);

        if (f->after_cr && in.p[0] == '\n') {
            add_lf(f, out);
            in = str_skip(in, 1);
            continue;
        }
        if (add_piece(f, piece, ends, out, e) == -1)
            return -1;
        in = str_skip(in, piece.n);
    }
    if (buf_failed(out))
        return err_set(e, E_POLICY_RESPONSE_TOO_LARGE, "the event stream outgrew its buffer");
    return 0;
}

/* Readers drop a message that is not complete, but what is not shown must not leave either. */
static int finish(struct policy_filter *filter, struct buf *out, struct err *e)
{
    struct sse_filter *f = (struct sse_filter *)filter;

    return f->pending.len == 0 ? 0 : end_message(f, out, e);
}

static void free_filter(struct policy_filter *filter)
{
    struct sse_filter *f = (struct sse_filter *)filter;

    buf_fini(&f->pending);
    arena_fini(&f->arena);
    mem_free(f);
}

static const struct policy_filter_ops sse_ops = {
    .name = "event-stream",
    .push = push,
    .finish = finish,
    .free = free_filter,
};

struct policy_filter *policy_run_event_stream_filter(struct policy_run *run)
{
    struct policy_run_params params = run->params;
    struct sse_filter *f;

    if (run->policy->phases[POLICY_ON_EVENT_STREAM_MESSAGE].count == 0)
        return NULL;
    f = mem_zalloc(sizeof(*f));
    f->filter.ops = &sse_ops;
    f->exchange = run;
    f->line_is_empty = true;
    arena_init(&f->arena);
    buf_init(&f->pending, SSE_MESSAGE_MAX_BYTES + FILTER_INPUT_MAX_BYTES);
    params.arena = &f->arena;
    params.connection = run;
    run_init(&f->run, &params);
    f->run.host_arena = run->host_arena;
    return &f->filter;
}
