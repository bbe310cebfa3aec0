/* What a forward becomes, or why it does not. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/shared_text.h"
#include "policy/policy.h"
#include "sshd/exec_int.h"
#include "sshd/session_int.h"
#include "sshd/sshd_int.h"
#include "tunnel/endpoint.h"

enum {
    EXEC_REFUSED_PER_SECOND = 32, /* lines in the log, of one session */
    EXEC_SHOWN_BYTES = 200,       /* of an address that was refused */
};

/* ---- what is refused -------------------------------------------------------------------------- */

void exec_forward_refused(struct exec *x, const struct forward *f, struct str url,
                          const struct err *e)
{
    struct session *s = x->session;
    char text[SESSION_TEXT_BYTES];
    uint64_t suppressed;

    exec_refused(x, e);
    session_error_text(e, text);
    if (log_limit_pass(&s->forward_log, EXEC_REFUSED_PER_SECOND, clock_mono_ms(), &suppressed))
        log_info("ssh.forward_refused", LS("session", s->id), LS("account", s->auth.key->account),
                 LADDR("client", &s->client),
                 LSTR("host", str_slice(str_from(f->host), 0, EXEC_SHOWN_BYTES)),
                 LU("port", f->asked_port), LSTR("url", str_slice(url, 0, EXEC_SHOWN_BYTES)),
                 LS("reason", text), LU("suppressed", suppressed));
}

void exec_url_refused(struct exec *x, const struct forward *f, const struct url *url,
                      const struct err *e)
{
    char text[URL_TEXT_BYTES];

    exec_forward_refused(x, f, str_from(url_format(url, 80, 443, text)), e);
}

/* ---- making endpoints ------------------------------------------------------------------------ */

static char *text_or_empty(const char *text)
{
    return mem_strdup(text != NULL ? text : "");
}

static void replace(char **field, char *text)
{
    mem_free(*field);
    *field = text;
}

static char *endpoint_name(const struct exec *x, const struct forward *f)
{
    char name[64];

    if (x->command.name != NULL)
        return mem_strdup(x->command.name);
    if (f->index == 0)
        return mem_strdup("command_line");
    (void)snprintf(name, sizeof(name), "command_line-%zu", f->index + 1);
    return mem_strdup(name);
}

struct endpoint *exec_make_endpoint(struct exec *x, struct forward *f, size_t slot,
                                    const struct url *url)
{
    struct session *s = x->session;
    struct endpoint *ep = endpoint_new();
    char hint[URL_TEXT_BYTES] = "";

    if (x->command.has_upstream)
        (void)upstream_hint_format(&x->command.upstream, hint);
    id_new("ep", clock_wall_ms(), ep->id);
    ep->url = *url;
    replace(&ep->account, mem_strdup(s->auth.key->account));
    replace(&ep->name, endpoint_name(x, f));
    replace(&ep->description, text_or_empty(x->command.description));
    replace(&ep->metadata, text_or_empty(x->command.metadata));
    replace(&ep->upstream_url, mem_strdup(hint));
    exec_upstream_fill(&x->upstream, &x->command, &ep->upstream);
    ep->pooling = x->command.pooling;
    ep->wants_events = exec_shows_requests(x);
    ep->created_wall_ms = clock_wall_ms();
    memcpy(ep->session_id, s->id, sizeof(ep->session_id));
    memcpy(ep->key, s->auth.key_hex, sizeof(ep->key));
    ep->agent = (struct agent){
        .ops = &agent_ops,
        .worker = s->front->worker,
        .ctx = s->front,
        .session = s->serial,
        .forward = forward_slot_number(f, slot),
    };
    return ep;
}

void exec_give_policy(const struct exec *x, struct endpoint *ep, struct counted *policy)
{
    ep->policy = policy;
    ep->policy_text = x->policy->text;
    shared_text_ref(ep->policy_text);
    ep->rules = policy_digest(policy);
    ep->connect_rules = policy_phase_digest(policy, POLICY_ON_TCP_CONNECT);
}
