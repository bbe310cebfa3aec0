#include "sshd/sshd.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cidr_set.h"
#include "base/clock.h"
#include "base/mem.h"
#include "sshd/arrival.h"
#include "sshd/chan.h"
#include "sshd/direct.h"
#include "sshd/farewell.h"
#include "sshd/session_int.h"
#include "sshd/sshd_int.h"
#include "tunnel/api/host.h"
#include "tunnel/census.h"

enum {
    ACCEPTS_PER_TURN = 16,
    REOPEN_MS = 200,        /* pause when descriptors ran out */
    REFUSED_LOG_BURST = 10, /* lines a second about strangers */
};

/*
 * Strong algorithms only. Group exchange and the larger groups are left out as well: they let an
 * unauthenticated client stall the worker for up to 175 ms.
 */
static const char kex_list[] = "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256";
static const char cipher_list[] = "aes128-gcm@openssh.com,aes256-gcm@openssh.com,"
                                  "chacha20-poly1305@openssh.com,aes256-ctr,aes128-ctr";
static const char mac_list[] = "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,"
                               "hmac-sha2-256,hmac-sha2-512";
static const char host_key_list[] = "ssh-ed25519,ecdsa-sha2-nistp256,rsa-sha2-512,rsa-sha2-256";
static const char user_key_list[] =
    "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,"
    "sk-ssh-ed25519@openssh.com,sk-ecdsa-sha2-nistp256@openssh.com,rsa-sha2-512,rsa-sha2-256";

static const struct {
    enum ssh_bind_options_e option;
    const char *value;
} bind_options[] = {
    { SSH_BIND_OPTIONS_BANNER, "sallyport" },
    { SSH_BIND_OPTIONS_KEY_EXCHANGE, kex_list },
    { SSH_BIND_OPTIONS_CIPHERS_C_S, cipher_list },
    { SSH_BIND_OPTIONS_CIPHERS_S_C, cipher_list },
    { SSH_BIND_OPTIONS_HMAC_C_S, mac_list },
    { SSH_BIND_OPTIONS_HMAC_S_C, mac_list },
    { SSH_BIND_OPTIONS_HOSTKEY_ALGORITHMS, host_key_list },
    { SSH_BIND_OPTIONS_PUBKEY_ACCEPTED_KEY_TYPES, user_key_list },
};

static struct ev_loop *loop_of(const struct sshd *front)
{
    return worker_loop(front->worker);
}

/* ---- accepting --------------------------------------------------------------------------------- */

/* OpenSSH shows what comes instead of a version line. */
static void refuse_fd(struct sshd *front, int fd, const struct addr *peer)
{
    static const char text[] = "Too many connections are waiting for their login. Try later.\r\n";
    uint64_t suppressed;

    (void)send(fd, text, sizeof(text) - 1, MSG_DONTWAIT | MSG_NOSIGNAL); /* best effort */
    (void)close(fd);
    sshd_count(front, METRIC_SSH_REFUSED_TOTAL, 1);
    if (log_limit_pass(&front->refused_log, REFUSED_LOG_BURST, clock_mono_ms(), &suppressed))
        log_info("ssh.refused", LADDR("client", peer), LS("reason", close_name(CLOSE_BUSY)),
                 LU("suppressed", suppressed));
}

static void doors_stop(struct sshd *front)
{
    for (size_t i = 0; i < front->door_count; i++)
        ev_io_stop(loop_of(front), &front->doors[i].io);
}

static void doors_start(struct sshd *front)
{
    for (size_t i = 0; i < front->door_count; i++)
        ev_io_start(loop_of(front), &front->doors[i].io);
}

static void on_reopen(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    doors_start(w->data);
}

/* Out of descriptors or memory: the listener would spin. */
static void doors_pause(struct sshd *front)
{
    log_warn("ssh.accept_paused", LI("errno", errno), LU("pause_ms", REOPEN_MS));
    doors_stop(front);
    ev_timer_stop(loop_of(front), &front->reopen);
    ev_timer_set(&front->reopen, REOPEN_MS / 1000.0, 0.0);
    ev_timer_start(loop_of(front), &front->reopen);
}

void sshd_admit(struct sshd *front, int fd, const struct addr *client)
{
    if (session_new(front, fd, client) == NULL)
        log_debug("ssh.not_accepted", LADDR("client", client));
}

static void accepted(struct sshd *front, int fd, const struct sockaddr_storage *from)
{
    struct addr peer = addr_from_sockaddr((const struct sockaddr *)from);

    if (front->unauthenticated >= front->settings.max_unauthenticated)
        refuse_fd(front, fd, &peer);
    else if (cidr_set_has(front->settings.balancers, &peer))
        arrival_start(front, fd, &peer);
    else
        sshd_admit(front, fd, &peer);
}

static void on_acceptable(struct ev_loop *loop, ev_io *w, int revents)
{
    struct door *door = w->data;

    (void)loop;
    (void)revents;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        struct sockaddr_storage from;
        socklen_t n = sizeof(from);
        int fd = accept4(door->fd, (struct sockaddr *)&from, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd != -1) {
            accepted(door->front, fd, &from);
            continue;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return;
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            doors_pause(door->front);
            return;
        }
        /* The others tell of a connection that failed before it was accepted. */
    }
}

/* ---- life ---------------------------------------------------------------------------------------- */

static ssh_bind bind_new(const struct sshd_shared *sh)
{
    ssh_bind b = ssh_bind_new();
    int no = 0;
    int rsa_bits = 2048;

    assert(b != NULL);
    /* Else the system's libssh server configuration could change the algorithms. */
    (void)ssh_bind_options_set(b, SSH_BIND_OPTIONS_PROCESS_CONFIG, &no);
    for (size_t i = 0; i < sizeof(bind_options) / sizeof(bind_options[0]); i++) {
        if (ssh_bind_options_set(b, bind_options[i].option, bind_options[i].value) != SSH_OK)
            log_error("ssh.option", LS("value", bind_options[i].value),
                      LS("error", ssh_get_error(b)));
    }
    (void)ssh_bind_options_set(b, SSH_BIND_OPTIONS_RSA_MIN_SIZE, &rsa_bits);
    for (size_t i = 0; i < sh->host_key_count; i++) {
        if (ssh_bind_options_set(b, SSH_BIND_OPTIONS_IMPORT_KEY, ssh_key_dup(sh->host_keys[i])) !=
            SSH_OK)
            log_error("ssh.host_key", LS("error", ssh_get_error(b)));
    }
    return b;
}

struct sshd *sshd_new(struct worker *w, struct sshd_shared *shared,
                      const struct sshd_services *services, const int *listen_fds,
                      size_t listen_count)
{
    struct sshd *front = mem_zalloc(sizeof(*front));

    ref_init(&front->ref);
    front->worker = w;
    front->shared = shared;
    front->services = *services;
    front->settings = shared->settings;
    settings_ref(&front->settings);
    front->keys = shared->keys;
    authkeys_ref(front->keys);
    front->bind = bind_new(shared);
    front->doors = mem_zalloc_array(listen_count, sizeof(*front->doors));
    front->door_count = listen_count;
    for (size_t i = 0; i < listen_count; i++) {
        struct door *door = &front->doors[i];

        door->front = front;
        door->fd = listen_fds[i];
        ev_io_init(&door->io, on_acceptable, door->fd, EV_READ);
        door->io.data = door;
    }
    ev_init(&front->reopen, on_reopen);
    front->reopen.data = front;
    return front;
}

void sshd_start(struct sshd *front)
{
    doors_start(front);
}

void sshd_configure(struct sshd *front, const struct sshd_settings *settings, struct authkeys *keys)
{
    struct session *s;
    struct session *next;

    if (front->settings.channel_window != settings->channel_window) {
        mem_free(front->scratch);
        front->scratch = NULL;
    }
    settings_ref(settings);
    settings_unref(&front->settings);
    front->settings = *settings;
    authkeys_ref(keys);
    authkeys_unref(front->keys);
    front->keys = keys;
    HASH_ITER(hh, front->sessions, s, next)
    session_check_key(s);
}

void sshd_drain(struct sshd *front)
{
    if (front->draining)
        return;
    front->draining = true;
    doors_stop(front);
    ev_timer_stop(loop_of(front), &front->reopen);
    for (size_t i = 0; i < front->door_count; i++)
        (void)close(front->doors[i].fd);
    front->door_count = 0;
    arrivals_stop(front);
}

static void tell_closed(struct worker *w, void *arg)
{
    struct sshd *front = arg;
    worker_fn *fn = front->closed;

    front->closed = NULL;
    if (fn != NULL)
        fn(w, front->closed_arg);
    sshd_unref(front);
}

void sshd_check_closed(struct sshd *front)
{
    if (front->closed == NULL || front->telling || front->session_count > 0 ||
        front->farewells != NULL || front->claims > 0)
        return;
    front->telling = true;
    sshd_ref(front);
    worker_defer(front->worker, tell_closed, front);
}

void sshd_close_all(struct sshd *front, const char *reason, worker_fn *done, void *arg)
{
    struct session *s;
    struct session *next;
    struct err e;

    sshd_drain(front);
    front->closed = done;
    front->closed_arg = arg;
    (void)err_set(&e, E_DRAINING, "%s", reason);
    HASH_ITER(hh, front->sessions, s, next)
    session_end(s, CLOSE_DRAIN, &e);
    sshd_check_closed(front);
}

void sshd_ref(struct sshd *front)
{
    ref_inc(&front->ref);
}

void sshd_unref(struct sshd *front)
{
    if (!ref_dec(&front->ref))
        return;
    mem_free(front->scratch);
    mem_free(front->doors);
    mem_free(front);
}

void sshd_free(struct sshd *front)
{
    if (front == NULL)
        return;
    sshd_drain(front);
    while (front->sessions != NULL) {
        front->sessions->end_why = CLOSE_DRAIN;
        session_finish(front->sessions, SESSION_SILENT);
    }
    directs_stop(front);
    chans_forget_orphans(front);
    farewells_stop(front);
    front->closed = NULL;
    settings_unref(&front->settings);
    authkeys_unref(front->keys);
    front->keys = NULL;
    ssh_bind_free(front->bind);
    front->bind = NULL;
    sshd_unref(front);
}

/* ---- for the management API ------------------------------------------------------------------------- */

void sshd_census(void *arg, struct census_roll *roll)
{
    const struct sshd *front = arg;

    for (const struct session *s = front->sessions; s != NULL; s = s->hh.next) {
        const char *version = s->ssh != NULL ? ssh_get_clientbanner(s->ssh) : NULL;

        if (s->state != SESSION_UP)
            continue;
        census_add_session(roll, &(struct api_session){
                                     .id = s->id,
                                     .account = s->auth.key->account,
                                     .credential = "",
                                     .key = s->auth.key_hex,
                                     .client = version != NULL ? version : "",
                                     .peer = s->client,
                                     .started_wall_ms = s->login_wall_ms,
                                 });
    }
}

bool sshd_end_session(void *arg, const char *id)
{
    struct sshd *front = arg;
    struct session *s;
    struct err e;

    for (s = front->sessions; s != NULL; s = s->hh.next) {
        if (s->state == SESSION_UP && strcmp(s->id, id) == 0)
            break;
    }
    if (s == NULL)
        return false;
    (void)err_set(&e, E_SESSION_STOPPED, "the session was stopped by its account");
    session_end(s, CLOSE_POLICY, &e);
    return true;
}

/* ---- for the other modules ------------------------------------------------------------------------ */

struct session *sshd_find(struct sshd *front, uint64_t serial)
{
    struct session *s;

    HASH_FIND(hh, front->sessions, &serial, sizeof(serial), s);
    return s;
}

char *sshd_scratch(struct sshd *front, size_t *bytes)
{
    *bytes = (size_t)front->settings.channel_window;
    if (front->scratch == NULL)
        front->scratch = mem_alloc(*bytes);
    return front->scratch;
}
