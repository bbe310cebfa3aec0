/*
 * TLS of a connection: when the handshake begins, and with whose settings.
 *
 * The ClientHello was read without being taken (preface.h), so the endpoint is known before anybody
 * answers it. An https endpoint whose policy may end TLS in its own way (terminate-tls) has its
 * on_tcp_connect run now; the handshake is then part of that run, and the gateway's own settings come
 * only when the run is over without one. For all others TLS comes first and on_tcp_connect with the
 * first request. Raw connections call conn_terminate_tls() by way of their policy, or never.
 */
#include <assert.h>

#include "base/log.h"
#include "base/metrics.h"
#include "gateway/config.h"
#include "gateway/conn_int.h"
#include "gateway/gateway_int.h"
#include "gateway/sock.h"
#include "gateway/tls.h"
#include "gateway/tls_profile.h"
#include "policy/host.h"
#include "policy/policy.h"
#include "tunnel/endpoint.h"

void conn_log_tls_failure(const struct conn *c, const char *reason)
{
    log_debug("tls.failed", LADDR("client", &c->origin.client), LS("reason", reason));
}

/* The user asked for the endpoint, and got it; what its programs call it here has no meaning. */
static bool may_mint_inside(void *arg, struct str host)
{
    (void)arg;
    (void)host;
    return true;
}

static struct tls_session *session_new(struct conn *c, int fd)
{
    struct tls_session *s;

    if (c->origin.inside == NULL)
        return tls_session_new(c->gateway->tls, fd, gateway_may_mint, c->gateway);
    s = tls_session_new(c->gateway->tls, fd, may_mint_inside, NULL);
    tls_session_set_host(s, c->origin.inside->host);
    return s;
}

static void note_secure(struct conn *c)
{
    const struct tls_session *tls = sock_tls(c->sock);

    c->origin.tls = tls;
    c->origin.server_name = tls_server_name(tls);
    c->origin.tls_version = str_from(tls_version(tls));
    c->origin.tls_cipher = str_from(tls_cipher(tls));
    metrics_add(worker_metrics(c->gateway->worker), METRIC_TLS_HANDSHAKES_TOTAL, 1);
}

/* ---- the gateway's own settings ------------------------------------------------------------------ */

static void on_secure(void *arg)
{
    struct conn *c = arg;

    note_secure(c);
    stream_resume(sock_stream(c->sock)); /* it may be on hold since before the handshake */
    conn_begin(c);
}

static void arm_handshake_timer(struct conn *c)
{
    conn_arm_timer(c, c->gateway->config->tls_handshake_timeout_ms);
}

/* ---- those of a policy --------------------------------------------------------------------------- */

static void on_terminated(void *arg)
{
    struct conn *c = arg;

    note_secure(c);
    conn_arm_timer(c, c->gateway->config->stall_timeout_ms); /* for the rest of the policy */
    c->secured(c->secured_arg);
}

/* Settings that are the gateway's own change nothing (spec endpoints 7). */
static bool is_default(const struct policy_tls *t)
{
    return t->min_version == POLICY_TLS_1_2 && t->max_version == POLICY_TLS_1_3 &&
           t->certificate.n == 0 && t->verify == POLICY_TLS_NO_CERTIFICATE;
}

static int apply(struct conn *c, struct tls_session *session, const struct policy_tls *settings,
                 struct err *e)
{
    struct gateway *g = c->gateway;
    struct tls_profile *profile =
        tls_profiles_get(g->tls_profiles, settings, g->config->tls_profiles_max, e);
    int rc = profile == NULL ? -1
                             : tls_session_set_profile(session, profile,
                                                       g->config->client_certificates_max_bytes, e);

    tls_profile_unref(profile);
    return rc;
}

/* Clients of a TCP port need not say a name, since the port is that of one endpoint. */
static struct str default_name(const struct endpoint *ep)
{
    return ep->url.scheme == SCHEME_TCP ? str_from(ep->url.host) : STR_NONE;
}

int conn_terminate_tls(struct conn *c, struct endpoint *ep, const struct policy_tls *settings,
                       void (*secured)(void *arg), void *arg, struct err *e)
{
    struct tls_session *session;

    if (c->sock == NULL || sock_tls(c->sock) != NULL || c->origin.scheme == SCHEME_HTTP)
        return err_set(e, E_GATEWAY, "TLS cannot begin in the middle of a connection");
    session = session_new(c, sock_fd(c->sock));
    if (ep->url.scheme != SCHEME_HTTPS)
        tls_session_set_raw(session, default_name(ep));
    if (!is_default(settings) && apply(c, session, settings, e) == -1) {
        tls_session_free(session);
        return -1;
    }
    c->secured = secured;
    c->secured_arg = arg;
    sock_on_secure(c->sock, on_terminated, c);
    sock_secure(c->sock, session);
    arm_handshake_timer(c);
    return 0;
}

/* ---- an https connection ------------------------------------------------------------------------- */

static void on_verdict(void *arg, enum policy_verdict verdict)
{
    struct conn *c = arg;

    if (verdict != POLICY_CONTINUE) {
        conn_close(c, CLOSE_POLICY);
        return;
    }
    if (c->origin.tls != NULL) {
        stream_resume(sock_stream(c->sock));
        conn_begin(c);
        return;
    }
    sock_on_secure(c->sock, on_secure, c);
    sock_secure(c->sock, session_new(c, sock_fd(c->sock)));
    arm_handshake_timer(c);
}

static void ask_policy(struct conn *c, struct endpoint *ep)
{
    enum policy_verdict verdict;

    c->tls_endpoint = ep;
    endpoint_ref(ep);
    c->origin.tls_endpoint = ep;
    conn_open_sock(c, NULL);
    sock_hold(c->sock);
    conn_arm_timer(c, c->gateway->config->stall_timeout_ms);
    c->connect = (struct conn_policy_use){ .done = on_verdict, .arg = c };
    verdict = conn_policy_ask(c->gateway, &c->origin, &c->origin.client, ep, &c->connect);
    if (verdict != POLICY_SUSPEND)
        on_verdict(c, verdict);
}

void conn_start_tls(struct conn *c, struct endpoint *ep)
{
    c->state = CONN_HANDSHAKE;
    if (ep != NULL && policy_ends_tls(ep->policy)) {
        ask_policy(c, ep);
        return;
    }
    conn_open_sock(c, session_new(c, c->fd));
    sock_on_secure(c->sock, on_secure, c);
    arm_handshake_timer(c);
}
