/*
 * A forward is granted at once, although its endpoint can be refused later: libssh answers
 * keepalives by itself, and replies to global requests carry no number, so a reply that was held
 * back would be paired with another request. What becomes of it is told on stderr and by the exit
 * status.
 */
#include "sshd/requests.h"

#include <libssh/callbacks.h>
#include <libssh/server.h>

#include "sshd/auth.h"
#include "sshd/direct.h"
#include "sshd/session_int.h"
#include "sshd/sshd_int.h"
#include "sshd/terminal.h"

/* Kerberos may block on DNS: no mechanism is ours. */
static ssh_string on_gssapi(ssh_session ssh, const char *user, int n, ssh_string *oids, void *arg)
{
    (void)ssh;
    (void)user;
    (void)n;
    (void)oids;
    (void)arg;
    return NULL;
}

static int on_forward(struct session *s, ssh_message m)
{
    struct str host = str_from(ssh_message_global_request_address(m));
    int port = ssh_message_global_request_port(m);
    struct forward *f;
    char text[SESSION_TEXT_BYTES];
    struct err e;

    f = forwards_add(&s->forwards, host, (uint32_t)port, s->front->settings.max_forwards, &e);
    if (f == NULL) {
        session_error_text(&e, text);
        session_notice(s, "%s", text);
        return 1;
    }
    s->forwards_changed = true;
    if (s->forwards.count == 1)
        session_await_command(s);
    session_wake(s);
    (void)ssh_message_global_request_reply_success(m, (uint16_t)f->port);
    return 0;
}

static int on_cancel(struct session *s, ssh_message m)
{
    struct str host = str_from(ssh_message_global_request_address(m));
    int port = ssh_message_global_request_port(m);
    struct forward *f = forwards_find(&s->forwards, host, (uint32_t)port);

    if (f == NULL)
        return 1;
    forwards_cancel(&s->forwards, f);
    s->forwards_changed = true;
    session_wake(s);
    (void)ssh_message_global_request_reply_success(m, 0);
    return 0;
}

/* Returns 0 when the message was answered, 1 for libssh's refusal. */
static int on_message(ssh_session ssh, ssh_message m, void *arg)
{
    struct session *s = arg;

    (void)ssh;
    switch (ssh_message_type(m)) {
    case SSH_REQUEST_AUTH:
        auth_on_other(s, ssh_message_subtype(m));
        return 1;
    case SSH_REQUEST_CHANNEL:
        /* A channel that we closed must get no reply any more. */
        return ssh_channel_is_closed(ssh_message_channel_request_channel(m)) ? 0 : 1;
    case SSH_REQUEST_GLOBAL:
        if (s->auth.key == NULL || s->ending)
            return 1;
        if (ssh_message_subtype(m) == SSH_GLOBAL_REQUEST_TCPIP_FORWARD)
            return on_forward(s, m);
        if (ssh_message_subtype(m) == SSH_GLOBAL_REQUEST_CANCEL_TCPIP_FORWARD)
            return on_cancel(s, m);
        return 1;
    case SSH_REQUEST_CHANNEL_OPEN:
        if (s->auth.key == NULL || s->ending || ssh_message_subtype(m) != SSH_CHANNEL_DIRECT_TCPIP)
            return 1;
        return direct_on_request(s, m);
    default: /* message types are plain numbers */
        return 1;
    }
}

void requests_start(struct session *s)
{
    s->server_cb.userdata = s;
    s->server_cb.auth_pubkey_function = auth_on_pubkey;
    s->server_cb.channel_open_request_session_function = terminal_on_open;
    s->server_cb.gssapi_select_oid_function = on_gssapi;
    ssh_callbacks_init(&s->server_cb);
    (void)ssh_set_server_callbacks(s->ssh, &s->server_cb);
    ssh_set_message_callback(s->ssh, on_message, s);
    ssh_set_auth_methods(s->ssh, SSH_AUTH_METHOD_PUBLICKEY);
}
