/*
 * One SSH session on a libev loop. libssh dictates the shape:
 *
 * - Its callbacks may only record: a call that polls would run callbacks inside callbacks and move
 *   the input buffer under libssh's feet. So there are two steps. The pump lets libssh read and
 *   write the socket, and callbacks set flags and fill buffers. Then settling does what they asked
 *   for: it starts commands, opens and closes channels, delivers bytes, writes.
 * - Nearly every call on a channel polls, too, and may bring in packets that no later readiness of
 *   the socket will announce. So settling is repeated while packets came in, and whoever uses a
 *   stream from outside (the gateway, on its own events) leaves a wake-up behind.
 * - Ending frees everything, so session_end() only notes it; the end itself comes after settling,
 *   when nothing of the session is on the stack.
 *
 * A thread and a blocking session each would be simpler, but costs a stack a session and a lock
 * between every request and its channel.
 */
#include "sshd/session_int.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utlist.h>

#include "base/clock.h"
#include "base/mem.h"
#include "sshd/chan.h"
#include "sshd/exec.h"
#include "sshd/farewell.h"
#include "sshd/requests.h"
#include "sshd/session_event.h"
#include "sshd/sshd_int.h"
#include "sshd/terminal.h"
#include "tunnel/acl.h"

enum {
    SETTLE_ROUNDS = 4,      /* then the rest of the loop gets its turn */
    REFUSED_LOG_BURST = 10, /* lines a second about strangers */
    KEY_CHECK_MS = 5000,
    KEEPALIVE_SLACK_MS = 50, /* timers are not exact */
};

static void session_run(struct session *s, bool pump);

static struct session *session_from(void *arg)
{
    struct session *s = arg;

    assert(s->magic == SESSION_MAGIC);
    return s;
}

static struct ev_loop *loop_of(const struct session *s)
{
    return worker_loop(s->front->worker);
}

static void timer_set(struct session *s, ev_timer *t, uint64_t delay_ms)
{
    ev_timer_stop(loop_of(s), t);
    ev_timer_set(t, (double)delay_ms / 1000.0, 0.0);
    ev_timer_start(loop_of(s), t);
}

/* ---- for the other modules ------------------------------------------------------------------ */

void session_wake(struct session *s)
{
    /* While it runs, its end looks for what is left to do. */
    if (!s->running && s->state != SESSION_ENDED)
        ev_feed_event(loop_of(s), &s->wake, EV_CUSTOM);
}

void session_error_text(const struct err *e, char out[SESSION_TEXT_BYTES])
{
    unsigned number = err_number(e->code);
    const char *text = e->msg[0] != '\0' ? e->msg : err_text(e->code);

    if (number != 0)
        (void)snprintf(out, SESSION_TEXT_BYTES, "ERR_SALLYPORT_%u: %s", number, text);
    else
        (void)snprintf(out, SESSION_TEXT_BYTES, "error: %s", text);
}

void session_end(struct session *s, enum close_reason why, const struct err *e)
{
    if (s->ending)
        return;
    s->ending = true;
    s->end_why = why;
    if (e != NULL) {
        s->end_is_told = true;
        session_error_text(e, s->end_text);
    }
    session_wake(s);
}

void session_notice(struct session *s, const char *fmt, ...)
{
    char line[ERR_MSG_BYTES + 80];
    struct terminal *t;
    bool shown = false;
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    DL_FOREACH(s->terminals, t)
    {
        if (t->state == TERMINAL_RUNS) {
            terminal_line(t, SESSION_STDERR, "%s", line);
            shown = true;
        }
    }
    if (!shown && buf_room(&s->notices) > strlen(line))
        buf_add_fmt(&s->notices, "%s\n", line);
}

void session_check_key(struct session *s)
{
    struct err e;

    if (s->auth.key != NULL && auth_renew(s, s->front->keys, &e) == -1)
        session_end(s, CLOSE_POLICY, &e);
}

static bool all_terminals_wait(const struct session *s)
{
    const struct terminal *t;

    DL_FOREACH(s->terminals, t)
    {
        if (t->state != TERMINAL_WAITS)
            return false;
    }
    return true;
}

void session_await_command(struct session *s)
{
    if (!all_terminals_wait(s) || s->bare != NULL || s->ending)
        return;
    timer_set(s, &s->phase,
              s->had_terminal ? SESSION_LAST_REQUESTS_MS : s->front->settings.command_wait_ms);
}

/* ---- the end ------------------------------------------------------------------------------------ */

static bool session_is_dead(const struct session *s)
{
    return (ssh_get_status(s->ssh) & (SSH_CLOSED | SSH_CLOSED_ERROR)) != 0;
}

/* Why a connection that is dead died; also the only trace of a client's good-bye. */
static void session_note_death(struct session *s)
{
    const char *text = ssh_get_error(s->ssh);
    bool polite = strncmp(text, "Received SSH_MSG_DISCONNECT", 27) == 0;

    if (s->ending)
        return;
    session_end(s, polite ? CLOSE_DONE : CLOSE_SESSION_LOST, NULL);
    (void)snprintf(s->end_text, sizeof(s->end_text), "%s", text);
}

/* The log, and who subscribed to it, hear of the end. */
static void tell_end(struct session *s)
{
    const char *version = s->ssh != NULL ? ssh_get_clientbanner(s->ssh) : NULL;
    uint64_t suppressed;

    if (s->state == SESSION_UP) {
        log_info("ssh.closed", LS("session", s->id), LS("account", s->auth.key->account),
                 LADDR("client", &s->client), LS("reason", close_name(s->end_why)),
                 LS("detail", s->end_text));
        session_event_stop(s);
        return;
    }
    sshd_count(s->front, METRIC_SSH_REFUSED_TOTAL, 1);
    if (!log_limit_pass(&s->front->refused_log, REFUSED_LOG_BURST, clock_mono_ms(), &suppressed))
        return;
    log_info("ssh.refused", LS("session", s->id), LADDR("client", &s->client),
             LS("version", version != NULL ? version : ""), LS("reason", close_name(s->end_why)),
             LS("detail", s->auth.last.code != E_OK ? s->auth.last.msg : s->end_text),
             LU("suppressed", suppressed));
}

/* Says good-bye so that the client shows it. Every channel is forgotten already. */
static void session_disconnect(struct session *s, enum farewell_to to)
{
    /* Not s->fd: last words to a terminal may have found the connection dead and closed it, and the
     * number may be another thread's by now. */
    int fd = ssh_get_fd(s->ssh);
    int rest = fd != -1 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;

    if (s->end_is_told)
        (void)ssh_session_set_disconnect_message(s->ssh, s->end_text);
    ssh_set_fd_towrite(s->ssh); /* else the message stays in libssh's buffer */
    ssh_disconnect(s->ssh);
    if (rest != -1) /* without a descriptor to spare the message may get lost */
        farewell_start(s->front, rest, to);
}

static void session_stop(struct session *s)
{
    struct ev_loop *loop = loop_of(s);

    ev_io_stop(loop, &s->io);
    ev_clear_pending(loop, &s->wake);
    ev_timer_stop(loop, &s->wake);
    ev_timer_stop(loop, &s->phase);
    ev_timer_stop(loop, &s->keepalive);
    ev_timer_stop(loop, &s->opening_timer);
}

/* Also for one that is half built. */
static void session_free(struct session *s)
{
    session_stop(s);
    exec_free(s->bare);
    auth_fini(s);
    forwards_fini(&s->forwards);
    buf_fini(&s->notices);
    mem_free(s->denied_text);
    if (s->event != NULL) {
        (void)ssh_event_remove_session(s->event, s->ssh); /* fails only if it was not added */
        ssh_event_free(s->event);
    }
    if (s->ssh != NULL)
        ssh_free(s->ssh);
    session_forget_closing(s);
    s->magic = 0;
    mem_free(s);
}

static void session_uncount(struct session *s)
{
    struct sshd *front = s->front;

    HASH_DEL(front->sessions, s);
    front->session_count--;
    sshd_count(front, METRIC_SSH_CONNS, -1);
    sshd_count(front, METRIC_SSH_CHANNELS, -(int64_t)s->alive_count);
    if (s->state == SESSION_UP)
        sshd_count(front, METRIC_SSH_SESSIONS, -1);
    else
        front->unauthenticated--;
}

void session_finish(struct session *s, enum session_manner manner)
{
    struct sshd *front = s->front;
    bool talk = manner == SESSION_TALK && !session_is_dead(s) && s->end_why != CLOSE_TIMEOUT;
    enum farewell_to to = s->state == SESSION_UP ? FAREWELL_TO_USER : FAREWELL_TO_STRANGER;

    session_stop(s);
    tell_end(s);
    terminals_detach(s, talk, s->end_is_told ? s->end_text : NULL);
    exec_abandon(s->bare);
    chans_detach(s);
    session_uncount(s);
    s->state = SESSION_ENDED;
    if (talk)
        session_disconnect(s, to);
    session_free(s);
    if (manner == SESSION_TALK)
        chans_tell_orphans(front);
    sshd_check_closed(front);
}

/* ---- settling --------------------------------------------------------------------------------- */

/* Without keepalives, the expiry of the key is looked at all the same. */
static uint64_t tick_ms(const struct sshd_settings *settings)
{
    return settings->keepalive_interval_ms > 0 ? settings->keepalive_interval_ms : KEY_CHECK_MS;
}

static void session_login_done(struct session *s)
{
    const struct sshd_settings *settings = &s->front->settings;
    const char *version = ssh_get_clientbanner(s->ssh);

    s->state = SESSION_UP;
    s->front->unauthenticated--;
    sshd_count(s->front, METRIC_SSH_SESSIONS, 1);
    sshd_count(s->front, METRIC_SSH_LOGINS_TOTAL, 1);
    log_info("ssh.login", LS("session", s->id), LS("account", s->auth.key->account),
             LS("key", s->auth.key->where), LS("user", s->auth.user), LADDR("client", &s->client),
             LS("version", version != NULL ? version : ""));
    session_event_start(s);
    timer_set(s, &s->phase, settings->command_wait_ms);
    timer_set(s, &s->keepalive, tick_ms(settings));
}

static void session_check_login(struct session *s)
{
    struct err e;

    if (s->state == SESSION_UP)
        return;
    if (s->auth.key != NULL) {
        session_login_done(s);
    } else if (s->raw.in_packets > SESSION_PACKETS_BEFORE_LOGIN) {
        (void)err_set(&e, E_LIMIT, "too many messages before the login");
        session_end(s, CLOSE_LIMIT, &e);
    }
}

/* Returns true when something is left to do that no event will tell of. */
static bool session_settle(struct session *s)
{
    for (unsigned i = 0; i < SETTLE_ROUNDS; i++) {
        uint64_t seen = s->raw.in_packets;

        if (session_is_dead(s))
            session_note_death(s);
        session_check_login(s);
        if (s->ending)
            return false;
        if (s->state == SESSION_UP) {
            execs_settle(s);
            chans_settle(s);
            terminals_settle(s);
            session_settle_closing(s);
        }
        if (s->raw.in_packets == seen && !s->forwards_changed)
            return false;
    }
    return true;
}

/* ---- the pump ----------------------------------------------------------------------------------- */

/* Before the login OpenSSH waits for our acknowledgements, and a delayed one costs 40 ms. */
static void hurry_acks(struct session *s)
{
    int on = 1;

    if (s->state != SESSION_UP)
        (void)setsockopt(s->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on)); /* only faster */
}

static int session_exchange_keys(struct session *s)
{
    int rc;

    if (s->state != SESSION_KEY_EXCHANGE)
        return SSH_OK;
    rc = ssh_handle_key_exchange(s->ssh);
    if (rc == SSH_OK)
        s->state = SESSION_LOGIN;
    return rc;
}

static void session_pump(struct session *s)
{
    hurry_acks(s);
    for (unsigned i = 0; i < SESSION_READS_PER_PUMP; i++) {
        uint64_t before = s->sock.in_bytes;
        int rc;

        if (session_exchange_keys(s) == SSH_ERROR || session_is_dead(s)) {
            session_note_death(s);
            return;
        }
        rc = ssh_event_dopoll(s->event, 0);
        if (rc == SSH_ERROR)
            session_note_death(s);
        if (rc != SSH_OK || s->ending)
            break;
        if (s->sock.in_bytes - before < SESSION_READ_BYTES)
            break;
    }
}

/* Packets also come in by the polls of other calls, so this is not the pump's business alone. */
static void note_input(struct session *s)
{
    if (s->raw.in_packets == s->last_in_packets)
        return;
    s->last_in_packets = s->raw.in_packets;
    s->last_in_ms = clock_mono_ms();
    s->unanswered = 0;
}

static void session_watch(struct session *s)
{
    int want = 0;
    bool pending = (ssh_get_status(s->ssh) & SSH_WRITE_PENDING) != 0;

    flow_update(&s->flow, pending, &s->raw, &s->sock);
    if (pending)
        want |= EV_WRITE;
    if (!flow_is_choked(&s->flow, &s->raw, &s->sock))
        want |= EV_READ;
    if (want == s->watched)
        return;
    s->watched = want;
    ev_io_stop(loop_of(s), &s->io);
    ev_io_set(&s->io, s->fd, want);
    ev_io_start(loop_of(s), &s->io);
}

static void session_run(struct session *s, bool pump)
{
    bool more;

    assert(!s->running);
    s->running = true;
    if (pump)
        session_pump(s);
    more = session_settle(s);
    note_input(s);
    s->running = false;
    /* Settling polls, too; the socket may be closed, so it must not be watched any more. */
    if (session_is_dead(s))
        session_note_death(s);
    if (s->ending) {
        session_finish(s, SESSION_TALK);
        return;
    }
    session_uncork(s);
    session_watch(s);               /* brings the flow up to date, too */
    if (more || chans_have_work(s)) /* in the next turn, when others had theirs */
        timer_set(s, &s->wake, 0);
}

static void on_socket(struct ev_loop *loop, ev_io *w, int revents)
{
    (void)loop;
    (void)revents;
    session_run(session_from(w->data), true);
}

static void on_wake(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    session_run(session_from(w->data), false);
}

/* ---- timers ------------------------------------------------------------------------------------- */

/*
 * `ssh -N -L` and `ssh -W` have no command, and may stay without one as long as their connection
 * lives: nothing tells them from a session that will never open a channel, and such a one costs little
 * and counts among those of its key. So may one connection for many commands of the API. One that also has forwards must say what they are for, or its
 * command has ended; it stays for the channels that are open. Their end asks again.
 */
static bool stays_without_command(const struct session *s)
{
    if (s->terminals == NULL && s->forwards.count == 0)
        return acl_may_connect(&s->auth.key->acl);
    return s->direct_count > 0 && (s->had_terminal || s->forwards.count == 0);
}

/* Nothing runs yet, although there was time enough. */
static void end_without_command(struct session *s)
{
    struct err e;

    if (s->terminals == NULL && s->had_terminal)
        (void)err_set(&e, E_NO_COMMAND, "the command has ended");
    else if (s->terminals != NULL)
        (void)err_set(&e, E_NO_COMMAND,
                      "no command was given; type for example: "
                      "ssh -R 443:localhost:3000 v2@GATEWAY http");
    else if (s->forwards.count > 0)
        (void)err_set(&e, E_NO_SESSION_CHANNEL,
                      "this gateway needs a command; leave out -N and type: "
                      "ssh -R 443:localhost:3000 v2@GATEWAY http");
    else
        (void)err_set(&e, E_NO_FORWARD,
                      "neither a forward nor a command came; type: "
                      "ssh -R 443:localhost:3000 v2@GATEWAY http");
    session_end(s, CLOSE_IDLE, &e);
}

static void on_phase(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct session *s = session_from(w->data);
    struct err e;

    (void)loop;
    (void)revents;
    if (s->state != SESSION_UP) {
        (void)err_set(&e, E_LIMIT, "the login took too long");
        session_end(s, CLOSE_IDLE, &e);
        return;
    }
    if (s->bare != NULL || !all_terminals_wait(s) || stays_without_command(s))
        return;
    /* A command that ended must not leave its forwards open to everyone. */
    if (!s->had_terminal && s->forwards.count > 0 && s->front->settings.allow_no_command) {
        s->bare = exec_start_bare(s);
        session_wake(s);
        return;
    }
    end_without_command(s);
}

static void on_opening(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    chans_check_opening(session_from(w->data));
}

/*
 * A client is dead when count requests went unanswered; the last one gets half an interval, so that
 * with 5 s and 2 it is noticed after 12.5 s. Requests count, not the time: a gateway that was
 * stopped itself has asked nobody.
 */
static void on_keepalive(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct session *s = session_from(w->data);
    const struct sshd_settings *settings = &s->front->settings;
    uint64_t interval = settings->keepalive_interval_ms;
    uint64_t idle = clock_mono_ms() - s->last_in_ms;
    struct err e;

    (void)loop;
    (void)revents;
    if (auth_check(s, &e) == -1) {
        session_end(s, CLOSE_POLICY, &e);
    } else if (interval == 0) {
        timer_set(s, &s->keepalive, tick_ms(settings));
    } else if (idle + KEEPALIVE_SLACK_MS < interval) {
        timer_set(s, &s->keepalive, interval - idle);
    } else if (s->unanswered >= settings->keepalive_count) {
        session_end(s, CLOSE_TIMEOUT, NULL);
    } else {
        /* Every second call only collects the answer to the one before. */
        (void)ssh_send_keepalive(s->ssh);
        (void)ssh_send_keepalive(s->ssh);
        /* Its refusal may have hidden that of a channel: ask for them once more. */
        mem_free(s->denied_text);
        s->denied_text = NULL;
        s->unanswered++;
        timer_set(s, &s->keepalive,
                  s->unanswered < settings->keepalive_count ? interval : interval / 2);
        session_wake(s);
    }
}

/* ---- birth -------------------------------------------------------------------------------------- */

static void set_socket_options(const struct session *s)
{
    const struct sshd_settings *settings = &s->front->settings;
    int on = 1;
    unsigned dead_ms =
        (unsigned)(settings->keepalive_interval_ms * (settings->keepalive_count + 1));

    /* None of them is needed for a session to work. */
    (void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(s->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    if (dead_ms > 0)
        (void)setsockopt(s->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dead_ms, sizeof(dead_ms));
}

static void set_watchers(struct session *s)
{
    ev_init(&s->io, on_socket);
    s->io.data = s;
    ev_init(&s->wake, on_wake);
    ev_set_priority(&s->wake, EV_MINPRI); /* behind all that writes in this turn */
    s->wake.data = s;
    ev_init(&s->phase, on_phase);
    s->phase.data = s;
    ev_init(&s->keepalive, on_keepalive);
    s->keepalive.data = s;
    ev_init(&s->opening_timer, on_opening);
    s->opening_timer.data = s;
}

/* Takes fd in any case: afterwards libssh has it, or it is closed. */
static int accept_fd(struct session *s, int fd)
{
    const struct sshd_settings *settings = &s->front->settings;

    s->ssh = ssh_new();
    if (s->ssh == NULL) {
        (void)close(fd);
        return -1;
    }
    ssh_set_blocking(s->ssh, 0);
    (void)ssh_options_set(s->ssh, SSH_OPTIONS_COMPRESSION_C_S, "none");
    (void)ssh_options_set(s->ssh, SSH_OPTIONS_COMPRESSION_S_C, "none");
    if (settings->rekey_bytes > 0)
        (void)ssh_options_set(s->ssh, SSH_OPTIONS_REKEY_DATA, &settings->rekey_bytes);
    if (ssh_bind_accept_fd(s->front->bind, s->ssh, fd) == SSH_OK)
        return 0;
    if (ssh_get_fd(s->ssh) != fd)
        (void)close(fd);
    return -1;
}

struct session *session_new(struct sshd *front, int fd, const struct addr *client)
{
    struct session *s = mem_zalloc(sizeof(*s));

    s->magic = SESSION_MAGIC;
    s->front = front;
    s->fd = fd;
    s->client = *client;
    s->serial = shared_serial(front->shared);
    id_new("ts", clock_wall_ms(), s->id);
    buf_init(&s->notices, SESSION_NOTICES_MAX_BYTES);
    set_watchers(s);
    set_socket_options(s);
    if (accept_fd(s, fd) == -1)
        goto fail;
    ssh_set_counters(s->ssh, &s->sock, &s->raw);
    requests_start(s);
    /* Sends our first messages, and makes what ssh_event_add_session() needs. */
    if (ssh_handle_key_exchange(s->ssh) == SSH_ERROR)
        goto fail;
    s->event = ssh_event_new();
    if (s->event == NULL || ssh_event_add_session(s->event, s->ssh) != SSH_OK)
        goto fail;
    s->last_in_ms = clock_mono_ms();
    HASH_ADD(hh, front->sessions, serial, sizeof(s->serial), s);
    front->session_count++;
    front->unauthenticated++;
    sshd_count(front, METRIC_SSH_CONNS, 1);
    timer_set(s, &s->phase, front->settings.login_grace_ms);
    session_watch(s);
    return s;
fail:
    session_free(s);
    return NULL;
}
