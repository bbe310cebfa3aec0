/*
 * Endpoints are claimed one after the other, in the order of the forwards: the second scheme of a
 * forward without a name needs the random name that the first one got, and random names of one key
 * are handed out in order, so that a reconnecting session finds each forward at its old name.
 */
#include <assert.h>
#include <string.h>

#include <utlist.h>

#include "base/mem.h"
#include "policy/policy.h"
#include "sshd/exec_int.h"
#include "sshd/session_int.h"
#include "sshd/sshd_int.h"
#include "sshd/terminal.h"
#include "tunnel/control.h"

/* A claim under way: the policy of the endpoint is compiled, and the control thread is asked, which
 * answers also when the session is gone. */
struct claim {
    struct sshd *front;            /* counted */
    uint64_t session;              /* serial */
    uint32_t slot;                 /* number, see forward_slot_number() */
    struct endpoint *ep;           /* counted */
    struct exec_policy_work *work; /* borrowed; of no use any more once it is done */
};

size_t exec_count_slots(const struct exec *x, enum slot_state state)
{
    const struct forward *f;
    size_t n = 0;

    DL_FOREACH(x->session->forwards.list, f)
    {
        for (size_t i = 0; f->exec == x && i < f->slot_count; i++)
            n += f->slots[i].state == state;
    }
    return n;
}

void exec_announce_slot(struct exec *x, const struct slot *slot)
{
    const struct sshd_settings *settings = &x->session->front->settings;
    char text[URL_TEXT_BYTES];

    if (slot->state == SLOT_ONLINE && x->terminal != NULL)
        terminal_line(x->terminal, SESSION_STDOUT, "%s",
                      url_format(&slot->ep->url, settings->http_port, settings->https_port, text));
}

/* All claims are answered: shows what is new. */
static void announce(struct exec *x)
{
    struct forward *f;

    DL_FOREACH(x->session->forwards.list, f)
    {
        for (size_t i = 0; f->exec == x && !f->announced && i < f->slot_count; i++)
            exec_announce_slot(x, &f->slots[i]);
        if (f->exec == x)
            f->announced = true;
    }
    if (x->state != EXEC_CLAIMS)
        return;
    x->state = EXEC_RUNS;
    if (exec_count_slots(x, SLOT_ONLINE) == 0)
        exec_end(x, 1);
}

static struct forward *next_waiting(const struct exec *x, size_t *slot)
{
    struct forward *f;

    DL_FOREACH(x->session->forwards.list, f)
    {
        for (size_t i = 0; f->exec == x && !f->cancelled && i < f->slot_count; i++) {
            *slot = i;
            if (f->slots[i].state == SLOT_WAITING)
                return f;
        }
    }
    return NULL;
}

static void claim_free(struct claim *cl)
{
    struct sshd *front = cl->front;

    endpoint_unref(cl->ep);
    mem_free(cl);
    front->claims--;
    sshd_check_closed(front);
    sshd_unref(front);
}

/* The forward whose endpoint is being claimed and which slot of it; NULL: nobody waits any more, as the
 * forward was cancelled or the session ended. */
static struct forward *find_claiming(const struct claim *cl, const struct session *s, size_t *slot)
{
    struct forward *f = forwards_find_slot(&s->forwards, cl->slot, slot);

    if (f == NULL || f->slots[*slot].ep != cl->ep || f->slots[*slot].state != SLOT_CLAIMING)
        return NULL;
    return f;
}

static void fail_slot(struct forward *f, size_t i, const struct err *e)
{
    struct slot *slot = &f->slots[i];

    exec_url_refused(f->exec, f, &slot->ep->url, e);
    exec_slot_gone(slot, SLOT_FAILED);
}

static void go_on(struct exec *x)
{
    x->claiming = false;
    exec_claim_next(x);
    session_wake(x->session);
}

/* The answer of the control thread. */
static void on_claimed(void *arg, struct endpoint *ep, const struct err *e)
{
    struct claim *cl = arg;
    struct session *s = sshd_find(cl->front, cl->session);
    struct forward *f = NULL;
    size_t i = 0;

    if (s != NULL)
        f = find_claiming(cl, s, &i);
    if (f != NULL) {
        if (e->code == E_OK)
            f->slots[i].state = SLOT_ONLINE;
        else
            fail_slot(f, i, e);
        go_on(f->exec);
    } else if (e->code == E_OK) {
        bool cancelled = s != NULL && forwards_find_slot(&s->forwards, cl->slot, &i) == NULL;

        control_release(cl->front->shared->control, ep,
                        cancelled ? REGISTRY_LET_GO : REGISTRY_HOLD);
    }
    claim_free(cl);
}

static void ask_control(struct claim *cl, const struct session *s)
{
    control_claim(s->front->shared->control, s->front->worker, cl->ep, &s->auth.key->acl,
                  on_claimed, cl);
}

static void on_compiled(void *arg, const struct exec_policy_result *result)
{
    struct exec *x = arg;
    struct claim *cl = x->compiling;
    struct forward *f;
    struct err why;
    struct err e;
    size_t i;

    assert(x->magic == EXEC_MAGIC && cl != NULL);
    x->compiling = NULL;
    if (result->rc == 0) {
        exec_give_policy(x, cl->ep, result->policy);
        ask_control(cl, x->session);
        return;
    }
    policy_problems_first(result->problems, &why);
    (void)err_set(&e, E_POLICY_INVALID, "%s (%u)", why.msg, err_number(why.code));
    f = find_claiming(cl, x->session, &i);
    assert(f != NULL); /* otherwise the claim was dropped */
    fail_slot(f, i, &e);
    go_on(x);
    claim_free(cl);
}

/* A policy that is not being compiled yet never is: who asks for a forward and cancels it over and over
 * is not to fill the queue, where others wait too. */
void exec_drop_claim(struct exec *x)
{
    struct claim *cl = x->compiling;

    x->claiming = false;
    x->compiling = NULL;
    if (cl == NULL)
        return; /* the answer of the control thread finds the slot changed and lets it go */
    exec_policy_abandon(cl->work);
    claim_free(cl);
}

static void claim_slot(struct exec *x, struct forward *f, size_t i)
{
    struct session *s = x->session;
    struct slot *slot = &f->slots[i];
    struct claim *cl = mem_zalloc(sizeof(*cl));

    /* Both schemes of one forward have one name, also when it is a random one. */
    if (i > 0 && slot->ep->url.host[0] == '\0' && f->slots[0].state == SLOT_ONLINE)
        memcpy(slot->ep->url.host, f->slots[0].ep->url.host, sizeof(slot->ep->url.host));
    slot->state = SLOT_CLAIMING;
    x->claiming = true;
    cl->front = s->front;
    sshd_ref(s->front);
    s->front->claims++;
    cl->session = s->serial;
    cl->slot = forward_slot_number(f, i);
    cl->ep = slot->ep;
    endpoint_ref(cl->ep);
    if (!exec_policy_asks(x->policy)) {
        ask_control(cl, s);
        return;
    }
    x->compiling = cl;
    cl->work = exec_policy_compile(x->policy, &cl->ep->url, on_compiled, x);
}

void exec_claim_next(struct exec *x)
{
    struct forward *f;
    size_t slot;

    if (x->claiming || x->state == EXEC_DONE || x->state == EXEC_WAITS || x->state == EXEC_READS)
        return;
    f = next_waiting(x, &slot);
    if (f != NULL)
        claim_slot(x, f, slot);
    else
        announce(x);
}

void exec_slot_gone(struct slot *slot, enum slot_state state)
{
    slot->state = state;
    endpoint_unref(slot->ep);
    slot->ep = NULL;
}
