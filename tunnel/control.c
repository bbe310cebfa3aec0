/*
 * Everything is a message. The registry has one writer, the control thread; each routing table has
 * one, its worker. A change goes to all workers as one message each, so a takeover replaces the old
 * endpoint by the new one without a moment in which the name leads nowhere; the last worker that
 * has applied it posts the change back, and only then is the claim answered. A TCP port travels with
 * the first endpoint of its pool and goes with the last: it is open before the message goes out, so the
 * workers cannot fail.
 *
 * Messages from one thread to another keep their order, so a release that follows its claim finds
 * the endpoint in the registry, and its removal follows the addition on every worker.
 */
#include "tunnel/control.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "tunnel/acl.h"
#include "tunnel/domains.h"
#include "tunnel/endpoint_event.h"

struct control {
    struct worker *worker;             /* owned */
    struct registry *registry;         /* owned */
    struct port_source ports;          /* of the registry, which opens them */
    struct domains *domains;           /* owned; NULL until others are given */
    struct worker_timer *expire_timer; /* owned */
    struct worker *const *workers;     /* borrowed: outlive us */
    struct routes *const *routes;      /* borrowed: outlive us */
    size_t worker_count;
    struct event_sink *events; /* borrowed: outlives us; may be NULL */
    size_t changes;            /* that not all workers have applied */
    bool stopping;
};

struct claim {
    struct control *control; /* borrowed: outlives the claim */
    struct worker *from;     /* borrowed: outlives control */
    struct endpoint *ep;     /* counted */
    struct acl acl;
    bool has_acl;
    control_claimed_fn *done;
    void *arg;
    struct err err;
};

/* One endpoint goes, or one comes, or one takes the place of another. */
struct change {
    struct control *control;  /* borrowed */
    struct endpoint *added;   /* counted; NULL: none */
    struct endpoint *removed; /* counted; NULL: none */
    struct port *opened; /* borrowed: comes with `added`; NULL: its port was open, or it has none */
    struct port *closed; /* owned: goes with `removed`; NULL: others still use it */
    struct claim *claim; /* owned; NULL: nobody waits */
    atomic_size_t pending; /* workers that have not applied it */
    struct change_part {
        struct change *change; /* borrowed: it lives until the last worker is done */
        struct routes *routes; /* borrowed */
    } parts[];                 /* one a worker */
};

/* ---- claims ---------------------------------------------------------------------------- */

static void claim_free(struct claim *claim)
{
    endpoint_unref(claim->ep);
    acl_fini(&claim->acl);
    mem_free(claim);
}

/* On the worker that claimed. */
static void on_answer(struct worker *w, void *arg)
{
    struct claim *claim = arg;

    (void)w;
    claim->done(claim->arg, claim->ep, &claim->err);
    claim_free(claim);
}

static void answer(struct claim *claim)
{
    worker_post(claim->from, on_answer, claim);
}

/* ---- changes --------------------------------------------------------------------------- */

static void log_change(const char *event, const struct endpoint *ep)
{
    char url[URL_TEXT_BYTES];

    log_info(event, LS("endpoint.id", ep->id),
             LS("endpoint.url", url_format(&ep->url, 80, 443, url)),
             LS("session.id", ep->session_id), LS("account", ep->account));
}

static void change_free(struct change *ch)
{
    endpoint_unref(ch->added);
    endpoint_unref(ch->removed);
    mem_free(ch);
}

static void finish_stop(struct control *c)
{
    if (c->stopping && c->changes == 0)
        worker_stop(c->worker);
}

/* On the control thread, when every worker has applied the change. */
static void on_applied(struct worker *w, void *arg)
{
    struct change *ch = arg;
    struct control *c = ch->control;

    (void)w;
    if (ch->closed != NULL)
        c->ports.ops->close(ch->closed);
    if (ch->added == NULL) /* said now, when no worker finds it any more */
        log_change("endpoint.down", ch->removed);
    if (ch->added != NULL && ch->removed != NULL && endpoint_has_agent(ch->removed))
        ch->removed->agent.ops->on_notice(&ch->removed->agent, AGENT_TAKEN_OVER);
    if (ch->claim != NULL)
        answer(ch->claim);
    change_free(ch);
    assert(c->changes > 0);
    c->changes--;
    finish_stop(c);
}

/* On each worker. */
static void on_change(struct worker *w, void *arg)
{
    struct change_part *part = arg;
    struct change *ch = part->change;
    const struct port_ops *ports = ch->control->ports.ops;

    /* In this order: an endpoint of another scheme stays until its successor is there. */
    if (ch->added != NULL)
        routes_add(part->routes, ch->added);
    if (ch->opened != NULL)
        ports->serve(ch->opened, w);
    if (ch->closed != NULL)
        ports->stop(ch->closed, w);
    if (ch->removed != NULL)
        routes_remove(part->routes, ch->removed);
    if (atomic_fetch_sub_explicit(&ch->pending, 1, memory_order_acq_rel) == 1)
        worker_post(ch->control->worker, on_applied, ch);
}

/* The metrics, and who subscribed to it, hear of an endpoint that comes or goes. */
static void tell_endpoint(struct control *c, const struct endpoint *ep, int n)
{
    if (ep == NULL)
        return;
    metrics_add(worker_metrics(c->worker), METRIC_ENDPOINTS, n);
    metrics_add_to_group(worker_metrics(c->worker), METRIC_GROUP_ENDPOINTS, endpoint_metric(ep), n);
    endpoint_event_publish(c->events, ep, n > 0 ? EVENT_CREATED : EVENT_DELETED);
}

/*
 * What the change does to ports, once the registry has made it: members of a pool, and an endpoint and
 * the one it displaces, have the same port.
 */
static void note_ports(struct change *ch)
{
    const struct registry *r = ch->control->registry;
    struct port *there = ch->removed != NULL ? ch->removed->port : NULL;

    if (ch->added != NULL && ch->added->port != there && registry_pool(r, ch->added)->count == 1)
        ch->opened = ch->added->port;
    if (there != NULL &&
        (ch->added != NULL ? ch->added->port != there : registry_pool(r, ch->removed) == NULL))
        ch->closed = there;
}

/* Takes the reference to `removed` and the claim, and one reference to `added`. */
static void publish(struct control *c, struct endpoint *added, struct endpoint *removed,
                    struct claim *claim)
{
    struct change *ch = mem_zalloc(sizeof(*ch) + c->worker_count * sizeof(struct change_part));

    ch->control = c;
    ch->added = added;
    ch->removed = removed;
    ch->claim = claim;
    note_ports(ch);
    if (removed != NULL)
        endpoint_withdraw(removed);
    atomic_init(&ch->pending, c->worker_count);
    tell_endpoint(c, added, 1);
    tell_endpoint(c, removed, -1);
    c->changes++;
    for (size_t i = 0; i < c->worker_count; i++) {
        ch->parts[i] = (struct change_part){ .change = ch, .routes = c->routes[i] };
        worker_post(c->workers[i], on_change, &ch->parts[i]);
    }
}

/* ---- decisions, on the control thread -------------------------------------------------- */

static int check_acl(struct claim *claim)
{
    return claim->has_acl ? acl_check(&claim->acl, &claim->ep->url, &claim->err) : 0;
}

/* What the registry has chosen is not to be. */
static void forget_random(struct control *c, struct endpoint *ep)
{
    if (ep->port != NULL) {
        c->ports.ops->close(ep->port);
        ep->url.port = 0;
    }
    ep->port = NULL;
    ep->url.host[0] = '\0';
}

/*
 * Puts the endpoint into the registry. A random host is known only afterwards, so its check comes
 * then and may take it out again: nothing is public before publish().
 */
static int enter(struct control *c, struct claim *claim, struct endpoint **displaced)
{
    struct endpoint *ep = claim->ep;
    bool is_random = ep->url.host[0] == '\0';
    uint64_t now_ms = clock_mono_ms();

    if (c->stopping)
        return err_set(&claim->err, E_DRAINING, "the server is shutting down");
    if (!is_random && check_acl(claim) == -1)
        return -1;
    if (registry_add(c->registry, ep, now_ms, displaced, &claim->err) == -1)
        return -1;
    if (!is_random || check_acl(claim) == 0)
        return 0;
    endpoint_unref(registry_remove(c->registry, ep, REGISTRY_LET_GO, now_ms));
    forget_random(c, ep);
    /* Of a port nobody has named, the number would only puzzle. */
    return ep->url.scheme == SCHEME_TCP ? check_acl(claim) : -1;
}

static void on_claim(struct worker *w, void *arg)
{
    struct claim *claim = arg;
    struct control *c = claim->control;
    struct endpoint *displaced = NULL;

    (void)w;
    if (enter(c, claim, &displaced) == -1) {
        answer(claim);
        return;
    }
    if (displaced != NULL && endpoint_has_agent(claim->ep))
        log_change("endpoint.taken_over", displaced);
    log_change(displaced != NULL && !endpoint_has_agent(claim->ep) ? "endpoint.changed"
                                                                   : "endpoint.up",
               claim->ep);
    endpoint_ref(claim->ep);
    publish(c, claim->ep, displaced, claim);
}

struct release {
    struct control *control; /* borrowed: outlives the release */
    struct endpoint *ep;     /* counted */
    enum registry_hold hold;
};

static void on_release(struct worker *w, void *arg)
{
    struct release *rel = arg;
    struct control *c = rel->control;
    struct endpoint *removed = registry_remove(c->registry, rel->ep, rel->hold, clock_mono_ms());

    (void)w;
    if (removed != NULL)
        publish(c, NULL, removed, NULL);
    endpoint_unref(rel->ep);
    mem_free(rel);
}

/* Here a claim is of somebody who waits for the end of one. */
static void on_remove(struct worker *w, void *arg)
{
    struct claim *claim = arg;
    struct control *c = claim->control;
    struct endpoint *removed =
        registry_remove(c->registry, claim->ep, REGISTRY_LET_GO, clock_mono_ms());

    (void)w;
    if (removed == NULL) {
        (void)err_set(&claim->err, E_NOT_FOUND, "the endpoint is offline already");
        answer(claim);
        return;
    }
    publish(c, NULL, removed, claim);
}

struct look {
    struct control *control; /* borrowed: outlives the message */
    control_look_fn *fn;
    void *arg;
};

static void on_look(struct worker *w, void *arg)
{
    struct look *look = arg;

    (void)w;
    look->fn(look->arg, look->control->registry);
    mem_free(look);
}

struct configure {
    struct control *control; /* borrowed: outlives the message */
    uint64_t hold_ms;
    struct domains *domains; /* owned */
};

static void on_configure(struct worker *w, void *arg)
{
    struct configure *conf = arg;
    struct control *c = conf->control;

    (void)w;
    registry_configure(c->registry, conf->hold_ms, conf->domains);
    domains_free(c->domains);
    c->domains = conf->domains;
    mem_free(conf);
}

struct reserve {
    struct control *control; /* borrowed: outlives the message */
    control_reserve_fn *fn;
    void *arg;
};

static void on_reserve(struct worker *w, void *arg)
{
    struct reserve *res = arg;

    (void)w;
    res->fn(res->arg, res->control->registry, res->control->domains);
    mem_free(res);
}

static void on_expire(struct worker *w, void *arg)
{
    struct control *c = arg;

    (void)w;
    registry_expire(c->registry, clock_mono_ms());
    worker_timer_start(c->expire_timer, CONTROL_EXPIRE_MS);
}

static void on_stop(struct worker *w, void *arg)
{
    struct control *c = arg;
    struct endpoint *ep;

    (void)w;
    c->stopping = true;
    worker_timer_stop(c->expire_timer);
    while ((ep = registry_take(c->registry)) != NULL)
        publish(c, NULL, ep, NULL);
    finish_stop(c);
}

/* ---- what others call ------------------------------------------------------------------ */

struct control *control_new(const struct control_params *params)
{
    struct control *c = mem_zalloc(sizeof(*c));

    assert(params->worker_count > 0);
    c->worker = worker_new("control", 0);
    c->registry = registry_new(&params->registry);
    c->domains = params->domains;
    registry_set_domains(c->registry, c->domains);
    c->ports = params->registry.tcp.source;
    c->expire_timer = worker_timer_new(c->worker, on_expire, c);
    c->workers = params->workers;
    c->routes = params->routes;
    c->worker_count = params->worker_count;
    c->events = params->events;
    return c;
}

void control_start(struct control *c)
{
    worker_timer_start(c->expire_timer, CONTROL_EXPIRE_MS);
    worker_start(c->worker);
}

void control_stop(struct control *c)
{
    worker_post(c->worker, on_stop, c);
    worker_join(c->worker);
}

void control_free(struct control *c)
{
    if (c == NULL)
        return;
    c->stopping = true; /* what is left in the mailbox changes nothing any more */
    worker_timer_free(c->expire_timer);
    worker_free(c->worker);
    registry_free(c->registry);
    domains_free(c->domains);
    mem_free(c);
}

struct worker *control_worker(struct control *c)
{
    return c->worker;
}

static struct claim *claim_new(struct control *c, struct worker *from, struct endpoint *ep,
                               control_claimed_fn *done, void *arg)
{
    struct claim *claim = mem_zalloc(sizeof(*claim));

    claim->control = c;
    claim->from = from;
    claim->ep = ep;
    endpoint_ref(ep);
    acl_init(&claim->acl);
    claim->done = done;
    claim->arg = arg;
    return claim;
}

void control_claim(struct control *c, struct worker *from, struct endpoint *ep,
                   const struct acl *acl, control_claimed_fn *done, void *arg)
{
    struct claim *claim = claim_new(c, from, ep, done, arg);

    claim->has_acl = acl != NULL;
    if (acl != NULL)
        acl_copy(&claim->acl, acl);
    worker_post(c->worker, on_claim, claim);
}

void control_remove(struct control *c, struct worker *from, struct endpoint *ep,
                    control_claimed_fn *done, void *arg)
{
    endpoint_withdraw(ep);
    worker_post(c->worker, on_remove, claim_new(c, from, ep, done, arg));
}

int control_preload(struct control *c, struct endpoint *ep, struct err *e)
{
    struct endpoint *displaced;

    assert(ep->session_id[0] == '\0');
    if (registry_add(c->registry, ep, clock_mono_ms(), &displaced, e) == -1)
        return -1;
    endpoint_unref(displaced);
    for (size_t i = 0; i < c->worker_count; i++) {
        routes_add(c->routes[i], ep);
        if (ep->port != NULL && registry_pool(c->registry, ep)->count == 1)
            c->ports.ops->serve(ep->port, c->workers[i]);
    }
    tell_endpoint(c, ep, 1);
    return 0;
}

void control_look(struct control *c, control_look_fn *fn, void *arg)
{
    struct look *look = mem_zalloc(sizeof(*look));

    look->control = c;
    look->fn = fn;
    look->arg = arg;
    worker_post(c->worker, on_look, look);
}

void control_release(struct control *c, struct endpoint *ep, enum registry_hold hold)
{
    struct release *rel = mem_zalloc(sizeof(*rel));

    endpoint_withdraw(ep); /* so that no worker begins anything with it meanwhile */
    rel->control = c;
    rel->ep = ep;
    endpoint_ref(ep);
    rel->hold = hold;
    worker_post(c->worker, on_release, rel);
}

void control_reserve(struct control *c, control_reserve_fn *fn, void *arg)
{
    struct reserve *res = mem_zalloc(sizeof(*res));

    res->control = c;
    res->fn = fn;
    res->arg = arg;
    worker_post(c->worker, on_reserve, res);
}

void control_configure(struct control *c, uint64_t hold_ms, struct domains *domains)
{
    struct configure *conf = mem_zalloc(sizeof(*conf));

    conf->control = c;
    conf->hold_ms = hold_ms;
    conf->domains = domains;
    worker_post(c->worker, on_configure, conf);
}
