#include "sshd/exec.h"

#include <assert.h>

#include <utlist.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "policy/policy.h"
#include "sshd/exec_address.h"
#include "sshd/exec_api.h"
#include "sshd/exec_int.h"
#include "sshd/flags.h"
#include "sshd/request_line.h"
#include "sshd/session_int.h"
#include "sshd/sshd_int.h"
#include "sshd/terminal.h"
#include "tunnel/control.h"

enum { EXEC_PROBLEMS_PER_SECOND = 5 }; /* a visitor can cause one with each request */

/* ---- life ---------------------------------------------------------------------------------- */

void exec_refused(struct exec *x, const struct err *e)
{
    x->last = *e;
    if (x->terminal != NULL)
        terminal_error(x->terminal, e);
}

static void on_wait_over(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct exec *x = w->data;
    struct err e;

    (void)loop;
    (void)revents;
    assert(x->magic == EXEC_MAGIC);
    if (x->state == EXEC_READS) {
        exec_input_missing(x, &e);
        exec_refused(x, &e);
        exec_end(x, 1);
        return;
    }
    (void)err_set(&e, E_NO_FORWARD, "no forward was asked for; use ssh -R, for example");
    exec_refused(x, &e);
    if (x->terminal != NULL)
        terminal_line(x->terminal, SESSION_STDERR, "    ssh -R 443:localhost:3000 v2@GATEWAY http");
    exec_end(x, 1);
}

static struct exec *exec_new(struct session *s, struct terminal *t)
{
    struct exec *x = mem_zalloc(sizeof(*x));

    x->magic = EXEC_MAGIC;
    x->state = EXEC_WAITS;
    x->session = s;
    x->terminal = t;
    ev_init(&x->wait, on_wait_over);
    x->wait.data = x;
    return x;
}

void exec_free(struct exec *x)
{
    if (x == NULL)
        return;
    assert(x->state == EXEC_DONE);
    if (x->has_command)
        command_fini(&x->command);
    exec_api_free(x->api);
    exec_policy_unref(x->policy);
    exec_upstream_fini(&x->upstream);
    x->magic = 0;
    mem_free(x);
}

void exec_start_wait(struct exec *x, uint64_t ms)
{
    ev_timer_set(&x->wait, (double)ms / 1000.0, 0.0);
    ev_timer_start(worker_loop(x->session->front->worker), &x->wait);
}

/* Takes the endpoints of a forward offline; the forward may be claimed anew. */
static void release_forward(struct forward *f, struct control *control, enum registry_hold hold)
{
    if (f->exec != NULL && f->slot_count > 0) {
        for (size_t i = 0; i < f->slot_count; i++) {
            if (f->slots[i].state == SLOT_CLAIMING)
                exec_drop_claim(f->exec);
            if (f->slots[i].state == SLOT_ONLINE)
                control_release(control, f->slots[i].ep, hold);
        }
    }
    forward_reset(f);
}

void exec_abandon(struct exec *x)
{
    struct session *s;
    struct forward *f;

    if (x == NULL || x->state == EXEC_DONE)
        return;
    s = x->session;
    x->state = EXEC_DONE;
    if (x->api != NULL)
        exec_api_abandon(x->api);
    exec_drop_input(x);
    ev_timer_stop(worker_loop(s->front->worker), &x->wait);
    DL_FOREACH(s->forwards.list, f)
    {
        if (f->exec == x)
            release_forward(f, s->front->shared->control, REGISTRY_HOLD);
    }
}

void exec_end(struct exec *x, int status)
{
    if (x->state == EXEC_DONE)
        return;
    exec_abandon(x);
    if (x->terminal != NULL)
        terminal_end(x->terminal, status);
    else
        session_end(x->session, CLOSE_DONE, &x->last);
}

/* What was to be done is done then, but for a call of the API. */
void exec_quit(struct exec *x)
{
    exec_end(x, x->api != NULL ? 1 : 0);
}

/* ---- adopting forwards ------------------------------------------------------------------------ */

static void add_slot(struct exec *x, struct forward *f, const struct url *url)
{
    size_t slot = f->slot_count++;

    assert(slot < FORWARD_SLOTS);
    f->slots[slot].state = SLOT_WAITING;
    f->slots[slot].ep = exec_make_endpoint(x, f, slot, url);
}

/* --scheme: the forward's address with each scheme that was named. */
static void add_schemes(struct exec *x, struct forward *f, const struct url *base)
{
    static const enum scheme order[FORWARD_SLOTS] = { SCHEME_HTTPS, SCHEME_HTTP };

    for (size_t i = 0; i < FORWARD_SLOTS; i++) {
        struct url url = *base;

        if (!x->command.schemes[order[i]])
            continue;
        /* A public port is the scheme's; an internal one may be any. */
        if (base->port == scheme_default_port(base->scheme))
            url.port = scheme_default_port(order[i]);
        url.scheme = order[i];
        add_slot(x, f, &url);
    }
}

static void adopt(struct exec *x, struct forward *f)
{
    const struct command *c = &x->command;
    struct url url;
    struct err e;

    f->exec = x;
    f->index = x->adopted++;
    if (x->state == EXEC_WAITS)
        x->state = EXEC_CLAIMS;
    ev_timer_stop(worker_loop(x->session->front->worker), &x->wait);
    if (exec_address(c, f, x->session->front->shared->suffixes, &url, &e) == -1) {
        exec_forward_refused(x, f, f->index < c->url_count ? c->urls[f->index] : STR_NONE, &e);
        return;
    }
    if (c->schemes[SCHEME_HTTP] || c->schemes[SCHEME_HTTPS])
        add_schemes(x, f, &url);
    else
        add_slot(x, f, &url);
}

/* ---- the command ------------------------------------------------------------------------------ */

/* A check of a policy beside it, or a call of the API, must not keep forwards from the command that they
 * are for. */
static bool serves(const struct exec *x)
{
    return !x->has_command ||
           (x->command.kind != COMMAND_POLICY_CHECK && x->command.kind != COMMAND_API);
}

/* The command that has the forwards, or would take new ones; NULL: none but `x`. */
static struct exec *live_exec_but(const struct session *s, const struct exec *x)
{
    struct terminal *t;

    if (s->bare != NULL && s->bare->state != EXEC_DONE)
        return s->bare;
    DL_FOREACH(s->terminals, t)
    {
        if (t->exec != NULL && t->exec != x && t->exec->state != EXEC_DONE && serves(t->exec))
            return t->exec;
    }
    return NULL;
}

static bool has_unassigned(const struct session *s)
{
    const struct forward *f;

    DL_FOREACH(s->forwards.list, f)
    {
        if (f->exec == NULL && !f->cancelled)
            return true;
    }
    return false;
}

static void adopt_all(struct exec *x)
{
    struct forward *f;

    if (x->state == EXEC_READS)
        return; /* nothing is public before its policy is known */
    DL_FOREACH(x->session->forwards.list, f)
    {
        if (f->exec == NULL && !f->cancelled)
            adopt(x, f);
    }
    exec_claim_next(x);
}

/* A command of another terminal runs already: shows what it serves. */
static void show_status(struct exec *x, struct exec *other)
{
    struct forward *f;

    DL_FOREACH(x->session->forwards.list, f)
    {
        for (size_t i = 0; f->exec == other && i < f->slot_count; i++)
            exec_announce_slot(x, &f->slots[i]);
    }
    exec_end(x, 0);
}

void exec_open_forwards(struct exec *x)
{
    struct session *s = x->session;
    struct exec *other = live_exec_but(s, x);

    terminal_line(x->terminal, SESSION_STDERR, "Session %s", s->id);
    terminal_line(x->terminal, SESSION_STDERR, "Account %s", s->auth.key->account);
    if (has_unassigned(s))
        adopt_all(x);
    else if (other != NULL && exec_count_slots(other, SLOT_ONLINE) > 0)
        show_status(x, other);
    else
        exec_start_wait(x, s->front->settings.command_wait_ms);
}

static void show_text(struct exec *x, enum session_output to,
                      void (*make)(const struct exec *x, struct buf *out))
{
    struct buf text;

    buf_init(&text, TERMINAL_LINES_BYTES);
    make(x, &text);
    terminal_text(x->terminal, to, buf_str(&text));
    buf_fini(&text);
}

static void make_help(const struct exec *x, struct buf *out)
{
    command_help(x->command.kind, out);
}

static void make_usage(const struct exec *x, struct buf *out)
{
    (void)x;
    command_usage(out);
}

/* ---- a call of the API ------------------------------------------------------------------------ */

bool exec_feed(struct exec *x)
{
    return x != NULL && x->api != NULL && exec_api_feed(x->api);
}

struct exec_api *exec_api_of(struct exec *x)
{
    return x != NULL ? x->api : NULL;
}

/* ---- start ---------------------------------------------------------------------------------- */

static void run_serving_command(struct exec *x)
{
    if (x->command.ignored != NULL)
        terminal_line(x->terminal, SESSION_STDERR, "--%s is ignored: %s", x->command.ignored->name,
                      x->command.ignored->text);
    exec_await_input(x);
}

/* The command line is understood. */
static void take_command(struct exec *x)
{
    x->has_command = true;
    x->policy = exec_policy_new(x->session->front, x->session->auth.key->account, &x->command);
}

static void run(struct exec *x)
{
    take_command(x);
    if (x->command.help) {
        show_text(x, SESSION_STDOUT, make_help);
        exec_end(x, 0);
        return;
    }
    switch (x->command.kind) {
    case COMMAND_HTTP:
    case COMMAND_TCP:
    case COMMAND_TLS:
        run_serving_command(x);
        return;
    case COMMAND_POLICY_CHECK:
        exec_await_input(x);
        return;
    case COMMAND_API:
        x->state = EXEC_RUNS;
        x->api = exec_api_start(x, x->session, x->terminal);
        return;
    case COMMAND_HELP:
        show_text(x, SESSION_STDOUT, make_help);
        exec_end(x, 0);
        return;
    case COMMAND_VERSION:
        terminal_line(x->terminal, SESSION_STDOUT, "sallyport %s", SALLYPORT_VERSION);
        exec_end(x, 0);
        return;
    }
}

struct exec *exec_start(struct session *s, struct terminal *t)
{
    struct exec *x = exec_new(s, t);
    struct err e;

    terminal_text(t, SESSION_STDERR, buf_str(&s->notices));
    buf_clear(&s->notices);
    if (t->line == NULL) {
        (void)err_set(&e, E_NO_COMMAND, "no command was given");
        exec_refused(x, &e);
        show_text(x, SESSION_STDERR, make_usage);
        exec_end(x, 1);
    } else if (command_parse(str_from(t->line), s->auth.version, s->front->settings.policy->engine,
                             &x->command, &e) == -1) {
        exec_refused(x, &e);
        if (e.code == E_NO_COMMAND)
            show_text(x, SESSION_STDERR, make_usage);
        exec_end(x, 1);
    } else {
        run(x);
    }
    return x;
}

struct exec *exec_start_bare(struct session *s)
{
    struct exec *x = exec_new(s, NULL);
    struct err e;

    assert(s->bare == NULL);
    if (command_parse(STR("http"), s->auth.version, s->front->settings.policy->engine, &x->command,
                      &e) == -1) {
        exec_refused(x, &e);
        exec_end(x, 1);
        return x;
    }
    take_command(x);
    adopt_all(x);
    return x;
}

void execs_settle(struct session *s)
{
    struct forward *f;
    struct forward *next;
    struct exec *x;

    if (!s->forwards_changed)
        return;
    s->forwards_changed = false;
    DL_FOREACH_SAFE(s->forwards.list, f, next)
    {
        if (!f->cancelled)
            continue;
        release_forward(f, s->front->shared->control, REGISTRY_LET_GO);
        forwards_remove(&s->forwards, f);
    }
    x = live_exec_but(s, NULL);
    if (x != NULL)
        adopt_all(x);
}

/* ---- what the gateway tells -------------------------------------------------------------------- */

bool exec_shows_requests(const struct exec *x)
{
    if (x->terminal == NULL)
        return false;
    switch (x->command.log) {
    case COMMAND_LOG_DEFAULT:
        return x->terminal->pty;
    case COMMAND_LOG_STDOUT:
    case COMMAND_LOG_STDERR:
        return true;
    case COMMAND_LOG_OFF:
        return false;
    }
    return false;
}

void exec_show_event(struct exec *x, const struct event *ev)
{
    struct buf line;

    if (!exec_shows_requests(x) || x->state == EXEC_DONE ||
        (unsigned)request_line_level(ev) < x->command.log_level)
        return;
    buf_init(&line, REQUEST_LINE_MAX_BYTES);
    if (x->command.log == COMMAND_LOG_DEFAULT)
        request_line_text(ev, &line);
    else
        request_line_fields(ev, x->command.log_format, &line);
    terminal_request_line(x->terminal,
                          x->command.log == COMMAND_LOG_STDOUT ? SESSION_STDOUT : SESSION_STDERR,
                          buf_str(&line));
    buf_fini(&line);
}

void exec_show_problem(struct exec *x, const char *problem)
{
    uint64_t suppressed;

    if (x->terminal == NULL || x->state == EXEC_DONE)
        return;
    if (log_limit_pass(&x->problems, EXEC_PROBLEMS_PER_SECOND, clock_mono_ms(), &suppressed))
        terminal_line(x->terminal, SESSION_STDERR, "Upstream: TLS failed: %s", problem);
}

static bool has_endpoints(const struct exec *x)
{
    return exec_count_slots(x, SLOT_ONLINE) + exec_count_slots(x, SLOT_CLAIMING) +
               exec_count_slots(x, SLOT_WAITING) >
           0;
}

void exec_show_notice(struct exec *x, struct slot *slot, enum agent_notice what)
{
    const struct sshd_settings *settings = &x->session->front->settings;
    char text[URL_TEXT_BYTES];
    struct err e;

    switch (what) {
    case AGENT_TAKEN_OVER:
        if (slot->state != SLOT_ONLINE)
            return;
        (void)err_set(&e, E_ENDPOINT_ONLINE, "taken over by a newer session: %s",
                      url_format(&slot->ep->url, settings->http_port, settings->https_port, text));
        exec_slot_gone(slot, SLOT_LOST);
        exec_refused(x, &e);
        if (!has_endpoints(x))
            exec_end(x, 1);
        return;
    }
}
