/*
 * libssh wants its answer while the request is on the stack, where no endpoint can be reached yet. So
 * what can be looked up decides whether a channel is granted; it becomes known as open in the next
 * settling, the connection is made then, and one that fails closes the channel again.
 */
#include "sshd/direct.h"

#include <string.h>

#include <utlist.h>

#include "base/clock.h"
#include "base/mem.h"
#include "sshd/chan.h"
#include "sshd/session_int.h"
#include "sshd/sshd_int.h"
#include "tunnel/acl.h"
#include "tunnel/host.h"
#include "tunnel/splice.h"

enum {
    DIRECT_REFUSED_BURST = 10, /* lines a second in the log, of all sessions of a worker */
    DIRECT_TOLD_BURST = 3,     /* and to the user of one */
    DIRECT_SHOWN_BYTES = 100,  /* of a name that was refused */
};

static const struct str internal_domain = STR_INIT("internal");

struct direct {
    struct sshd *front; /* borrowed: outlives us */
    uint64_t session;   /* serial; it may end before us */
    char session_id[ID_BYTES];
    char *account; /* owned */
    char host[HOST_MAX_BYTES + 1];
    uint16_t port;
    struct addr client;
    struct addr server;
    struct stream *channel; /* owned until the splice has it */
    struct splice *splice;  /* owned; NULL before it opened */
    uint64_t start_us;
    struct direct *prev; /* of the front's list */
    struct direct *next;
};

/* ---- the end --------------------------------------------------------------------------------- */

static void log_end(const struct direct *d, enum close_reason why)
{
    static const struct splice_stats none = { 0 };
    const struct splice_stats *stats = d->splice != NULL ? splice_stats(d->splice) : &none;

    log_info("ssh.direct", LS("session", d->session_id), LS("account", d->account),
             LADDR("client", &d->client), LS("host", d->host), LU("port", d->port),
             LU("bytes_in", stats->from_a), LU("bytes_out", stats->from_b),
             LU("duration_us", clock_mono_us() - d->start_us), LS("reason", close_name(why)));
}

static void direct_free(struct direct *d)
{
    mem_free(d->account);
    mem_free(d);
}

/* Both streams are closed, or there is only one left to be. */
static void direct_over(struct direct *d, enum close_reason why)
{
    struct session *s = sshd_find(d->front, d->session);

    log_end(d, why);
    DL_DELETE(d->front->directs, d);
    if (d->channel != NULL)
        stream_close(d->channel, why);
    direct_free(d);
    if (s == NULL)
        return;
    s->direct_count--;
    session_await_command(s);
}

static void on_spliced(void *arg, enum close_reason why)
{
    direct_over(arg, why);
}

/* ---- opening --------------------------------------------------------------------------------- */

static void on_open(void *arg)
{
    struct direct *d = arg;
    const struct inside *inside = &d->front->services.inside;
    const struct inside_target target = {
        .account = str_from(d->account),
        .host = str_from(d->host),
        .port = d->port,
        .client = d->client,
        .server = d->server,
    };
    enum close_reason why;
    struct stream *stream = inside->ops->open(inside->ctx, &target, NULL, NULL, &why);

    if (stream == NULL) {
        direct_over(d, why);
        return;
    }
    d->splice = splice_new(d->front->worker, d->channel, stream, on_spliced, d);
    d->channel = NULL;
}

static void on_closed(void *arg, enum close_reason why)
{
    direct_over(arg, why);
}

/* Once it is open the splice has it, so no other event comes here. */
static const struct stream_events opening_events = {
    .on_open = on_open,
    .on_closed = on_closed,
};

static struct direct *direct_new(struct session *s, const char *host, uint16_t port)
{
    struct direct *d = mem_zalloc(sizeof(*d));

    d->front = s->front;
    d->session = s->serial;
    memcpy(d->session_id, s->id, sizeof(d->session_id));
    d->account = mem_strdup(s->auth.key->account);
    memcpy(d->host, host, strlen(host) + 1);
    d->port = port;
    d->client = s->client;
    d->server = s->server;
    d->start_us = clock_mono_us();
    return d;
}

/* ---- what is refused ------------------------------------------------------------------------- */

static int check_name(struct str asked, char host[HOST_MAX_BYTES + 1], struct err *e)
{
    if (host_fold(asked, host) == 0 && host_is_below(str_from(host), internal_domain))
        return 0;
    return err_set(e, E_CONNECT_NOT_INTERNAL,
                   "'%.*s' cannot be reached through this gateway, only names below .internal",
                   STR_ARG(str_slice(asked, 0, DIRECT_SHOWN_BYTES)));
}

static int check_limit(const struct session *s, struct err *e)
{
    uint32_t max = s->front->settings.max_direct_channels;

    if (s->direct_count < max && !chans_are_full(s))
        return 0;
    return err_set(e, E_CONNECT_LIMIT,
                   "this session has %zu connections to internal endpoints open; at most %u are "
                   "allowed, of %u channels in all",
                   s->direct_count, (unsigned)max, (unsigned)s->front->settings.max_channels);
}

/* The account's own table is all that is asked. */
static int check_online(const struct session *s, const char *host, int port, struct err *e)
{
    const struct inside *inside = &s->front->services.inside;

    if (port > 0 && port <= UINT16_MAX &&
        inside->ops->has(inside->ctx, str_from(s->auth.key->account), str_from(host),
                         (uint16_t)port))
        return 0;
    return err_set(e, E_ENDPOINT_OFFLINE, "no endpoint of this account is online at %s:%d", host,
                   port);
}

static int check(const struct session *s, struct str asked, int port, char host[HOST_MAX_BYTES + 1],
                 struct err *e)
{
    if (s->front->draining)
        return err_set(e, E_DRAINING, "the gateway is shutting down");
    if (check_name(asked, host, e) == -1 ||
        acl_check_connect(&s->auth.key->acl, str_from(host), (uint16_t)port, e) == -1 ||
        check_limit(s, e) == -1)
        return -1;
    return check_online(s, host, port, e);
}

/* libssh can give the client no text, so it goes to the log, and to a terminal if there is one. */
static void tell_refusal(struct session *s, struct str asked, int port, const struct err *e)
{
    char text[SESSION_TEXT_BYTES];
    uint64_t suppressed;
    uint64_t now = clock_mono_ms();

    session_error_text(e, text);
    if (log_limit_pass(&s->front->direct_log, DIRECT_REFUSED_BURST, now, &suppressed))
        log_info("ssh.direct_refused", LS("session", s->id), LS("account", s->auth.key->account),
                 LADDR("client", &s->client), LSTR("host", str_slice(asked, 0, HOST_MAX_BYTES)),
                 LI("port", port), LS("reason", text), LU("suppressed", suppressed));
    if (log_limit_pass(&s->direct_told, DIRECT_TOLD_BURST, now, &suppressed))
        session_notice(s, "%s", text);
}

int direct_on_request(struct session *s, ssh_message m)
{
    struct str asked = str_from(ssh_message_channel_request_open_destination(m));
    int port = ssh_message_channel_request_open_destination_port(m);
    char host[HOST_MAX_BYTES + 1];
    struct direct *d;
    struct err e;

    if (check(s, asked, port, host, &e) == -1) {
        tell_refusal(s, asked, port, &e);
        return 1;
    }
    d = direct_new(s, host, (uint16_t)port);
    d->channel = chan_accept(s, m, &opening_events, d);
    if (d->channel == NULL) {
        direct_free(d);
        return 1;
    }
    DL_APPEND(s->front->directs, d);
    s->direct_count++;
    return 0;
}

void directs_stop(struct sshd *front)
{
    while (front->directs != NULL) {
        struct direct *d = front->directs;

        DL_DELETE(front->directs, d);
        if (d->splice != NULL)
            splice_close(d->splice, CLOSE_DRAIN);
        if (d->channel != NULL)
            stream_close(d->channel, CLOSE_DRAIN);
        direct_free(d);
    }
}
