#include "gateway/cloud.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/question.h"
#include "policy/policy.h"
#include "tunnel/api/host.h"
#include "tunnel/control.h"
#include "tunnel/endpoint.h"

/* The version of an endpoint that is online. */
struct version {
    struct endpoint *ep;     /* counted */
    struct endpoint *before; /* counted: still online at another address; NULL: none is */
    UT_hash_handle hh;       /* by ep->id */
};

struct cloud {
    struct control *control;     /* borrowed: outlives us, but for cloud_free() */
    struct questions *questions; /* owned: to control */
    pthread_mutex_t lock;        /* for all below */
    struct policy_terms *terms;  /* counted */
    struct version *versions;    /* owned */
};

/* ---- policies -------------------------------------------------------------------------------- */

static unsigned protocol_of(enum scheme scheme)
{
    static const unsigned protocols[SCHEME_COUNT] = {
        [SCHEME_HTTP] = POLICY_HTTP,
        [SCHEME_HTTPS] = POLICY_HTTPS,
        [SCHEME_TCP] = POLICY_TCP,
        [SCHEME_TLS] = POLICY_TLS,
    };

    return protocols[scheme];
}

static struct policy_terms *take_terms(struct cloud *c)
{
    struct policy_terms *terms;

    (void)pthread_mutex_lock(&c->lock);
    terms = c->terms;
    policy_terms_ref(terms);
    (void)pthread_mutex_unlock(&c->lock);
    return terms;
}

/* The policy, or NULL with at least one problem. */
static struct counted *compile(const struct policy_terms *terms, struct str account,
                               const struct url *url, struct str text,
                               struct policy_problems *problems)
{
    struct policy_document *document =
        policy_document_parse(STR("traffic_policy"), text, &terms->limits, problems);
    const struct policy_document *documents[] = { document };
    const struct policy_request request = {
        .account = account,
        .host = str_from(url->host),
        .protocols = protocol_of(url->scheme),
        .documents = documents,
        .count = 1,
    };
    struct counted *policy = NULL;

    if (document != NULL)
        (void)policy_terms_compile(terms, &request, &policy, problems);
    policy_document_free(document);
    return policy;
}

/* The same, which must also handle everything. `text_of` gets the problems; NULL: nobody reads them. */
static struct counted *make_policy(struct cloud *c, struct str account, const struct url *url,
                                   struct str text, struct buf *text_of, struct err *e)
{
    struct policy_terms *terms = take_terms(c);
    struct policy_problems *problems = policy_problems_new();
    struct counted *policy = compile(terms, account, url, text, problems);

    if (policy == NULL) {
        policy_problems_first(problems, e);
        if (text_of != NULL)
            policy_problems_format(problems, text_of);
    } else if (!policy_handles_all(policy, protocol_of(url->scheme))) {
        (void)err_set(
            e, E_POLICY_UNHANDLED,
            "the policy does not handle all traffic: a cloud endpoint has no upstream, so "
            "end with a rule without expressions whose action answers, such as "
            "custom-response, deny, redirect or forward-internal");
        counted_unref(policy);
        policy = NULL;
    }
    policy_problems_free(problems);
    policy_terms_unref(terms);
    return policy;
}

int cloud_check_policy(struct cloud *c, struct str account, const struct url *url,
                       struct str policy, struct buf *problems, struct err *e)
{
    struct counted *made = make_policy(c, account, url, policy, problems, e);

    if (made == NULL)
        return -1;
    counted_unref(made);
    return 0;
}

/* ---- asking control -------------------------------------------------------------------------- */

/* On the control thread. */
static void on_answer(void *arg, struct endpoint *ep, const struct err *e)
{
    (void)ep;
    question_answer(arg, e);
}

static int claim(struct cloud *c, struct endpoint *ep, struct err *e)
{
    struct question *q = question_new(c->questions);

    control_claim(c->control, control_worker(c->control), ep, NULL, on_answer, q);
    return question_await(q, e);
}

static void let_go(struct cloud *c, struct endpoint *ep)
{
    struct question *q = question_new(c->questions);
    struct err ignored;

    control_remove(c->control, control_worker(c->control), ep, on_answer, q);
    (void)question_await(q,
                         &ignored); /* offline already, or about to be: both are what was wanted */
}

/* ---- versions -------------------------------------------------------------------------------- */

/* Takes what is noted under this id; all NULL: nothing is. */
static struct version take_version(struct cloud *c, const char *id)
{
    struct version taken = { .ep = NULL };
    struct version *v;

    (void)pthread_mutex_lock(&c->lock);
    HASH_FIND_STR(c->versions, id, v);
    if (v != NULL) {
        taken = *v;
        HASH_DEL(c->versions, v);
        mem_free(v);
    }
    (void)pthread_mutex_unlock(&c->lock);
    return taken;
}

/* Notes the version that is online, and the one before that is (taken; NULL: none). */
static void note_version(struct cloud *c, struct endpoint *ep, struct endpoint *before)
{
    struct version *v = mem_zalloc(sizeof(*v));

    v->ep = ep;
    endpoint_ref(ep);
    v->before = before;
    (void)pthread_mutex_lock(&c->lock);
    HASH_ADD_KEYPTR(hh, c->versions, ep->id, strlen(ep->id), v);
    (void)pthread_mutex_unlock(&c->lock);
}

static struct endpoint *make_endpoint(struct cloud *c, const struct api_endpoint_spec *spec,
                                      struct err *e)
{
    struct counted *policy =
        make_policy(c, str_from(spec->account), &spec->url, spec->policy, NULL, e);
    struct endpoint *ep;

    if (policy == NULL)
        return NULL;
    ep = endpoint_new();
    (void)snprintf(ep->id, sizeof(ep->id), "%s", spec->id);
    ep->url = spec->url;
    endpoint_set(&ep->account, str_from(spec->account));
    endpoint_set(&ep->name, spec->name);
    endpoint_set(&ep->description, spec->description);
    endpoint_set(&ep->metadata, spec->metadata);
    ep->policy = policy;
    ep->rules = policy_digest(policy);
    ep->connect_rules = policy_phase_digest(policy, POLICY_ON_TCP_CONNECT);
    ep->pooling = spec->pooling;
    ep->created_wall_ms = clock_wall_ms();
    return ep;
}

/* NULL is fine. */
static void end_version(struct cloud *c, struct endpoint *ep)
{
    if (ep != NULL)
        let_go(c, ep);
    endpoint_unref(ep);
}

int cloud_put(struct cloud *c, const struct api_endpoint_spec *spec, struct err *e)
{
    struct endpoint *ep = make_endpoint(c, spec, e);
    struct version old;

    if (ep == NULL)
        return -1;
    if (claim(c, ep, e) == -1) {
        endpoint_unref(ep);
        return -1;
    }
    old = take_version(c, ep->id);
    /* At the same address it has been replaced; at another one it is still online. */
    if (old.ep != NULL && endpoint_has_same_address(old.ep, ep)) {
        endpoint_unref(old.ep);
        old.ep = NULL;
    }
    end_version(c, old.before);
    note_version(c, ep, old.ep);
    endpoint_unref(ep);
    return 0;
}

void cloud_settle(struct cloud *c, const char *id)
{
    struct endpoint *before = NULL;
    struct version *v;

    (void)pthread_mutex_lock(&c->lock);
    HASH_FIND_STR(c->versions, id, v);
    if (v != NULL) {
        before = v->before;
        v->before = NULL;
    }
    (void)pthread_mutex_unlock(&c->lock);
    end_version(c, before);
}

void cloud_remove(struct cloud *c, const char *id)
{
    struct version old = take_version(c, id);

    end_version(c, old.before);
    end_version(c, old.ep);
}

/* ---- life ------------------------------------------------------------------------------------ */

struct cloud *cloud_new(struct control *control, struct policy_terms *terms)
{
    struct cloud *c = mem_zalloc(sizeof(*c));

    c->control = control;
    c->questions = questions_new();
    (void)pthread_mutex_init(&c->lock, NULL);
    policy_terms_ref(terms);
    c->terms = terms;
    return c;
}

int cloud_preload(struct cloud *c, const struct api_endpoint_spec *spec, struct err *e)
{
    struct endpoint *ep = make_endpoint(c, spec, e);
    int rc;

    if (ep == NULL)
        return -1;
    rc = control_preload(c->control, ep, e);
    if (rc == 0)
        note_version(c, ep, NULL);
    endpoint_unref(ep);
    return rc;
}

void cloud_configure(struct cloud *c, struct policy_terms *terms)
{
    struct policy_terms *old;

    policy_terms_ref(terms);
    (void)pthread_mutex_lock(&c->lock);
    old = c->terms;
    c->terms = terms;
    (void)pthread_mutex_unlock(&c->lock);
    policy_terms_unref(old);
}

void cloud_stop(struct cloud *c)
{
    questions_stop(c->questions);
}

void cloud_free(struct cloud *c)
{
    struct version *v;
    struct version *next;

    if (c == NULL)
        return;
    HASH_ITER(hh, c->versions, v, next)
    {
        HASH_DEL(c->versions, v);
        endpoint_unref(v->before);
        endpoint_unref(v->ep);
        mem_free(v);
    }
    policy_terms_unref(c->terms);
    (void)pthread_mutex_destroy(&c->lock);
    questions_free(c->questions);
    mem_free(c);
}
