#include "sshd/terminal.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <utlist.h>

#include "base/mem.h"
#include "sshd/command.h"
#include "sshd/exec.h"
#include "sshd/sshd_int.h"

/* Keys that end a session with a pty, where the client sends them as data. */
enum { KEY_CTRL_C = 3, KEY_CTRL_D = 4 };

static struct terminal *terminal_of(void *arg)
{
    struct terminal *t = arg;

    assert(t->magic == TERMINAL_MAGIC);
    return t;
}

/* ---- what libssh tells: recorded only ---------------------------------------------------- */

/* Keeps input for a command that reads it. Past the limit it fails, which the command finds. */
static void take_input(struct terminal *t, struct str data)
{
    if (t->in_unread || t->in_complete)
        return;
    /* With a pty the client cannot send an end of file but as a key. */
    if (t->pty && str_find_char(data, KEY_CTRL_D) < data.n) {
        data = str_slice(data, 0, str_find_char(data, KEY_CTRL_D));
        t->in_complete = true;
    }
    buf_add_str(&t->in, data);
}

static int on_data(ssh_session ssh, ssh_channel ch, void *data, uint32_t n, int is_stderr,
                   void *arg)
{
    struct terminal *t = terminal_of(arg);
    bool reads = exec_reads_input(t->exec);

    (void)ssh;
    (void)ch;
    (void)is_stderr;
    if (t->pty && n > 0 &&
        (memchr(data, KEY_CTRL_C, n) != NULL || (!reads && memchr(data, KEY_CTRL_D, n) != NULL)))
        t->quit = true;
    take_input(t, str_of(data, n));
    if (t->quit || reads)
        session_wake(t->session);
    return (int)n;
}

static void on_eof(ssh_session ssh, ssh_channel ch, void *arg)
{
    struct terminal *t = terminal_of(arg);

    (void)ssh;
    (void)ch;
    t->in_complete = true;
    session_wake(t->session);
}

static void on_close(ssh_session ssh, ssh_channel ch, void *arg)
{
    struct terminal *t = terminal_of(arg);

    (void)ssh;
    (void)ch;
    t->peer_closed = true;
    session_wake(t->session);
}

static void on_signal(ssh_session ssh, ssh_channel ch, const char *name, void *arg)
{
    struct terminal *t = terminal_of(arg);

    (void)ssh;
    (void)ch;
    if (strcmp(name, "INT") != 0 && strcmp(name, "TERM") != 0 && strcmp(name, "HUP") != 0 &&
        strcmp(name, "QUIT") != 0)
        return;
    t->quit = true;
    session_wake(t->session);
}

/* For the tables that are to come. */
static void set_width(struct terminal *t, int width)
{
    t->width = width > 0 ? (size_t)width : 0;
}

static int on_pty(ssh_session ssh, ssh_channel ch, const char *term, int width, int height,
                  int pixel_width, int pixel_height, void *arg)
{
    (void)ssh;
    (void)ch;
    (void)term;
    (void)height;
    (void)pixel_width;
    (void)pixel_height;
    terminal_of(arg)->pty = true;
    set_width(terminal_of(arg), width);
    return 0;
}

static int on_window_change(ssh_session ssh, ssh_channel ch, int width, int height, int pixel_width,
                            int pixel_height, void *arg)
{
    (void)ssh;
    (void)ch;
    (void)height;
    (void)pixel_width;
    (void)pixel_height;
    set_width(terminal_of(arg), width);
    return 0;
}

/* line NULL: a shell. A second request on the channel is refused. */
static int terminal_ask(struct terminal *t, const char *line)
{
    if (t->state != TERMINAL_WAITS)
        return 1;
    if (line != NULL)
        t->line = mem_strndup(line, strnlen(line, COMMAND_LINE_MAX_BYTES + 1));
    t->state = TERMINAL_ASKED;
    session_wake(t->session);
    return 0;
}

static int on_shell(ssh_session ssh, ssh_channel ch, void *arg)
{
    (void)ssh;
    (void)ch;
    return terminal_ask(terminal_of(arg), NULL);
}

static int on_exec(ssh_session ssh, ssh_channel ch, const char *line, void *arg)
{
    (void)ssh;
    (void)ch;
    return terminal_ask(terminal_of(arg), line);
}

static int on_env(ssh_session ssh, ssh_channel ch, const char *name, const char *value, void *arg)
{
    (void)ssh;
    (void)ch;
    (void)name;
    (void)value;
    (void)arg;
    return 1;
}

static int on_subsystem(ssh_session ssh, ssh_channel ch, const char *name, void *arg)
{
    (void)ssh;
    (void)ch;
    (void)name;
    (void)arg;
    return 1;
}

/* ---- life ---------------------------------------------------------------------------------- */

static void on_flush_timeout(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct terminal *t = terminal_of(w->data);

    (void)loop;
    (void)revents;
    buf_clear(&t->out);
    buf_clear(&t->err);
    session_wake(t->session);
}

ssh_channel terminal_on_open(ssh_session ssh, void *arg)
{
    struct session *s = arg;
    struct terminal *t;
    size_t count;

    DL_COUNT(s->terminals, t, count);
    /* Closed ones stay with libssh until the client has closed them, too. */
    if (count >= SESSION_TERMINALS_MAX || s->closing_count >= s->front->settings.max_channels ||
        s->ending)
        return NULL;
    t = mem_zalloc(sizeof(*t));
    t->magic = TERMINAL_MAGIC;
    t->session = s;
    t->ssh = ssh_channel_new(ssh);
    if (t->ssh == NULL) {
        mem_free(t);
        return NULL;
    }
    buf_init(&t->out, TERMINAL_BYTES);
    buf_init(&t->err, TERMINAL_BYTES);
    t->in_max_bytes = s->front->settings.policy_document_max_bytes;
    if (t->in_max_bytes < TERMINAL_INPUT_BYTES)
        t->in_max_bytes = TERMINAL_INPUT_BYTES;
    buf_init(&t->in, t->in_max_bytes);
    t->cb.userdata = t;
    t->cb.channel_data_function = on_data;
    t->cb.channel_eof_function = on_eof;
    t->cb.channel_close_function = on_close;
    t->cb.channel_signal_function = on_signal;
    t->cb.channel_pty_request_function = on_pty;
    t->cb.channel_pty_window_change_function = on_window_change;
    t->cb.channel_shell_request_function = on_shell;
    t->cb.channel_exec_request_function = on_exec;
    t->cb.channel_env_request_function = on_env;
    t->cb.channel_subsystem_request_function = on_subsystem;
    ssh_callbacks_init(&t->cb);
    (void)ssh_set_channel_callbacks(t->ssh, &t->cb);
    ev_timer_init(&t->flush, on_flush_timeout, TERMINAL_FLUSH_MS / 1000.0, 0.0);
    t->flush.data = t;
    DL_APPEND(s->terminals, t);
    s->had_terminal = true;
    session_count_channel(s, 1);
    session_wake(s);
    return t->ssh;
}

/* Its SSH channel is closed or forgotten already. */
static void terminal_free(struct terminal *t)
{
    ev_timer_stop(worker_loop(t->session->front->worker), &t->flush);
    DL_DELETE(t->session->terminals, t);
    exec_free(t->exec);
    buf_fini(&t->out);
    buf_fini(&t->err);
    buf_fini(&t->in);
    mem_free(t->line);
    t->magic = 0;
    mem_free(t);
}

/* ---- output -------------------------------------------------------------------------------- */

static struct buf *output_of(struct terminal *t, enum session_output to)
{
    return to == SESSION_STDOUT ? &t->out : &t->err;
}

void terminal_text(struct terminal *t, enum session_output to, struct str text)
{
    struct buf *b = output_of(t, to);
    struct str line;

    /* With a pty the client's terminal is raw: a line feed alone would not return the carriage. */
    while (text.n > 0) {
        size_t n = str_find_char(text, '\n');

        line = str_slice(text, 0, n);
        if (line.n + 2 > buf_room(b)) {
            t->dropped++;
            return;
        }
        buf_add_str(b, line);
        if (n < text.n)
            buf_add_str(b, t->pty ? STR("\r\n") : STR("\n"));
        text = str_skip(text, n + 1);
    }
    session_wake(t->session);
}

void terminal_line(struct terminal *t, enum session_output to, const char *fmt, ...)
{
    struct buf line;
    va_list ap;

    buf_init(&line, TERMINAL_LINES_BYTES);
    va_start(ap, fmt);
    buf_add_vfmt(&line, fmt, ap);
    va_end(ap);
    buf_add_char(&line, '\n');
    terminal_text(t, to, buf_str(&line));
    buf_fini(&line);
}

void terminal_request_line(struct terminal *t, enum session_output to, struct str line)
{
    struct buf *b = output_of(t, to);

    if (b->len + line.n > TERMINAL_LINES_BYTES) {
        t->dropped++;
        return;
    }
    if (t->dropped > 0) {
        terminal_line(t, to, "%llu lines were left out", (unsigned long long)t->dropped);
        t->dropped = 0;
    }
    terminal_text(t, to, line);
}

void terminal_error(struct terminal *t, const struct err *e)
{
    char text[SESSION_TEXT_BYTES];

    session_error_text(e, text);
    terminal_line(t, SESSION_STDERR, "%s", text);
}

size_t terminal_feed(struct terminal *t, enum session_output to, struct str text)
{
    struct buf *b = output_of(t, to);
    size_t n = 0;

    for (; n < text.n && buf_room(b) >= 2; n++) {
        if (text.p[n] == '\n' && t->pty)
            buf_add_char(b, '\r');
        buf_add_char(b, text.p[n]);
    }
    return n;
}

void terminal_limit_input(struct terminal *t, size_t max_bytes)
{
    t->in_max_bytes = max_bytes;
}

bool terminal_input_is_too_long(const struct terminal *t)
{
    return buf_failed(&t->in) || t->in.len > t->in_max_bytes;
}

bool terminal_input_is_over(const struct terminal *t)
{
    return t->in_complete || terminal_input_is_too_long(t);
}

void terminal_ignore_input(struct terminal *t)
{
    t->in_unread = true;
    buf_fini(&t->in);
}

void terminal_end(struct terminal *t, int status)
{
    if (t->state == TERMINAL_ENDS)
        return;
    t->state = TERMINAL_ENDS;
    t->status = status;
    ev_timer_start(worker_loop(t->session->front->worker), &t->flush);
    session_wake(t->session);
}

/* ---- settling ------------------------------------------------------------------------------ */

static void flush_one(struct terminal *t, enum session_output to)
{
    struct buf *b = output_of(t, to);
    enum write_stop stop;

    if (b->len > 0)
        buf_consume(b, session_write(t->session, t->ssh, to, buf_str(b), &stop));
}

static void terminal_flush(struct terminal *t)
{
    if (t->peer_closed || t->ssh == NULL)
        return;
    flush_one(t, SESSION_STDOUT);
    flush_one(t, SESSION_STDERR);
}

static void terminal_close(struct terminal *t)
{
    struct session *s = t->session;
    ssh_channel ssh = t->ssh;

    exec_abandon(t->exec);
    if (t->state == TERMINAL_ENDS && !t->peer_closed)
        (void)ssh_channel_request_send_exit_status(ssh, t->status); /* as far as it goes */
    session_shut_channel(s, ssh, &t->cb, t->peer_closed, 0);
    terminal_free(t);
    session_await_command(s);
}

/* Returns false when the terminal is gone. */
static bool terminal_settle(struct terminal *t)
{
    if (!t->checked) {
        if (!session_check_packet_size(t->session, t->ssh, SESSION_CLIENT_MAX_PACKET))
            return false;
        t->checked = true;
    }
    if (t->state == TERMINAL_ASKED && !t->peer_closed) {
        t->state = TERMINAL_RUNS;
        t->exec = exec_start(t->session, t);
    }
    if (t->quit && t->state == TERMINAL_RUNS)
        exec_quit(t->exec);
    if (t->state == TERMINAL_RUNS)
        exec_read_input(t->exec);
    terminal_flush(t);
    while (exec_feed(t->exec))
        terminal_flush(t);
    return !t->peer_closed && !(t->state == TERMINAL_ENDS && t->out.len == 0 && t->err.len == 0);
}

void terminals_settle(struct session *s)
{
    struct terminal *t;
    struct terminal *next;

    DL_FOREACH_SAFE(s->terminals, t, next)
    {
        if (!terminal_settle(t) && !s->ending)
            terminal_close(t);
    }
}

void terminals_detach(struct session *s, bool alive, const char *last_words)
{
    while (s->terminals != NULL) {
        struct terminal *t = s->terminals;

        if (alive && last_words != NULL && t->state == TERMINAL_RUNS)
            terminal_line(t, SESSION_STDERR, "%s", last_words);
        if (alive) {
            terminal_flush(t);
            if (!t->peer_closed && t->state >= TERMINAL_RUNS)
                (void)ssh_channel_request_send_exit_status(
                    t->ssh, t->state == TERMINAL_ENDS ? t->status : 1);
        }
        (void)ssh_remove_channel_callbacks(t->ssh, &t->cb);
        exec_abandon(t->exec);
        terminal_free(t);
    }
}
