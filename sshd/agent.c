/*
 * What the gateway asks of a session, from the session's worker (open) or from any (the others). The
 * session is looked up by its serial number each time: an endpoint may outlive it.
 */
#include "sshd/exec.h"

#include "base/mem.h"
#include "sshd/chan.h"
#include "sshd/session_int.h"
#include "sshd/sshd_int.h"
#include "tunnel/event.h"

static struct stream *agent_open(const struct agent *a, const struct addr *client,
                                 const struct stream_events *events, void *arg,
                                 enum close_reason *why)
{
    struct session *s = sshd_find(a->ctx, a->session);
    struct forward *f;
    size_t slot;

    *why = CLOSE_SESSION_LOST;
    if (s == NULL || s->ending)
        return NULL;
    f = forwards_find_slot(&s->forwards, a->forward, &slot);
    if (f == NULL || f->cancelled)
        return NULL;
    return chan_open(s, f, client, events, arg, why);
}

/* A message to the worker of a session, from any thread. */
struct agent_message {
    struct sshd *front; /* counted */
    uint64_t session;
    uint32_t slot;
    struct event *ev; /* counted; NULL: a problem or a notice */
    char *problem;    /* owned; NULL: a notice */
    enum agent_notice notice;
};

static struct agent_message *message_new(const struct agent *a)
{
    struct agent_message *m = mem_zalloc(sizeof(*m));

    m->front = a->ctx;
    sshd_ref(m->front);
    m->session = a->session;
    m->slot = a->forward;
    return m;
}

static void on_message(struct worker *w, void *arg)
{
    struct agent_message *m = arg;
    struct session *s = sshd_find(m->front, m->session);
    size_t slot = 0;
    struct forward *f = s != NULL ? forwards_find_slot(&s->forwards, m->slot, &slot) : NULL;

    (void)w;
    if (f != NULL && f->exec != NULL && m->ev != NULL)
        exec_show_event(f->exec, m->ev);
    else if (f != NULL && f->exec != NULL && m->problem != NULL)
        exec_show_problem(f->exec, m->problem);
    else if (f != NULL && f->exec != NULL)
        exec_show_notice(f->exec, &f->slots[slot], m->notice);
    event_unref(m->ev);
    sshd_unref(m->front);
    mem_free(m->problem);
    mem_free(m);
}

static void agent_on_event(const struct agent *a, struct event *ev)
{
    struct agent_message *m = message_new(a);

    event_ref(ev);
    m->ev = ev;
    worker_post(a->worker, on_message, m);
}

static void agent_on_problem(const struct agent *a, const char *problem)
{
    struct agent_message *m = message_new(a);

    m->problem = mem_strdup(problem);
    worker_post(a->worker, on_message, m);
}

static void agent_on_notice(const struct agent *a, enum agent_notice what)
{
    struct agent_message *m = message_new(a);

    m->notice = what;
    worker_post(a->worker, on_message, m);
}

const struct agent_ops agent_ops = {
    .open = agent_open,
    .on_event = agent_on_event,
    .on_problem = agent_on_problem,
    .on_notice = agent_on_notice,
};
