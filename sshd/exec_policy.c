#include "sshd/exec_policy.h"

#include <stdatomic.h>

#include "base/job.h"
#include "base/mem.h"
#include "base/shared_text.h"
#include "policy/policy.h"
#include "sshd/command.h"
#include "sshd/sshd_int.h"
#include "tunnel/url.h"

enum { DOCUMENTS_MAX = 4 };

struct exec_policy_work {
    struct exec_policy *policy; /* counted */
    struct sshd *front;         /* counted */
    struct policy_terms *terms; /* counted: those of the time it was begun */
    exec_policy_fn *done;
    void *arg;
    _Atomic bool is_abandoned; /* it need not be begun */

    struct str name;                  /* of a document to read: a literal */
    struct shared_text *text;         /* counted; NULL: there is none to read */
    struct policy_document *document; /* owned: what was read; NULL: it was no good */
    struct url url;                   /* of the endpoint to compile for */

    struct policy_problems *problems; /* owned */
    struct counted *made;             /* counted; NULL: none */
    int rc;
};

/* A document is checked before the endpoints are known, and on its own for any of them. */
static unsigned protocols_of(const struct command *c)
{
    switch (c->kind) {
    case COMMAND_HTTP:
        return POLICY_HTTP | POLICY_HTTPS;
    case COMMAND_TCP:
        return POLICY_TCP;
    case COMMAND_TLS:
        return POLICY_TLS;
    case COMMAND_POLICY_CHECK:
    case COMMAND_API:
    case COMMAND_HELP:
    case COMMAND_VERSION:
        break;
    }
    return 0;
}

static unsigned protocol_of(enum scheme scheme)
{
    switch (scheme) {
    case SCHEME_HTTP:
        return POLICY_HTTP;
    case SCHEME_HTTPS:
        return POLICY_HTTPS;
    case SCHEME_TLS:
        return POLICY_TLS;
    case SCHEME_TCP:
        return POLICY_TCP;
    }
    return 0;
}

/* ---- life ----------------------------------------------------------------------------------- */

struct exec_policy *exec_policy_new(struct sshd *front, const char *account,
                                    struct command *command)
{
    struct exec_policy *p = mem_zalloc(sizeof(*p));

    ref_init(&p->ref);
    p->front = front;
    p->account = mem_strdup(account);
    p->protocols = protocols_of(command);
    p->flags = command->flags;
    command->flags = (struct flag_documents){ 0 };
    return p;
}

void exec_policy_unref(struct exec_policy *p)
{
    if (p == NULL || !ref_dec(&p->ref))
        return;
    flag_documents_fini(&p->flags);
    policy_document_free(p->document);
    shared_text_unref(p->text);
    mem_free(p->account);
    mem_free(p);
}

/* ---- compiling ------------------------------------------------------------------------------ */

/* The order of spec 5.6: how TLS ends, guards by flags, the user's rules, changes by flags. */
static size_t collect(const struct exec_policy *p, const struct policy_document *document,
                      const struct policy_document *out[DOCUMENTS_MAX])
{
    const struct policy_document *all[DOCUMENTS_MAX] = { p->flags.tls, p->flags.front, document,
                                                         p->flags.back };
    size_t n = 0;

    for (size_t i = 0; i < DOCUMENTS_MAX; i++) {
        if (all[i] != NULL)
            out[n++] = all[i];
    }
    return n;
}

bool exec_policy_asks(const struct exec_policy *p)
{
    const struct policy_document *documents[DOCUMENTS_MAX];

    return collect(p, p->document, documents) > 0 || p->front->settings.policy->defaults != NULL;
}

/* `about` says what the endpoint is; the rest is filled in. */
static void compile(struct exec_policy_work *k, const struct policy_document *document,
                    const struct policy_request *about)
{
    const struct policy_document *documents[DOCUMENTS_MAX];
    struct policy_request request = *about;

    request.account = str_from(k->policy->account);
    request.documents = documents;
    request.count = collect(k->policy, document, documents);
    k->rc = policy_terms_compile(k->terms, &request, &k->made, k->problems);
}

/* ---- jobs ----------------------------------------------------------------------------------- */

static void work_free(struct exec_policy_work *k)
{
    exec_policy_unref(k->policy);
    policy_terms_unref(k->terms);
    shared_text_unref(k->text);
    policy_document_free(k->document);
    policy_problems_free(k->problems);
    counted_unref(k->made);
    sshd_unref(k->front);
    mem_free(k);
}

/* Keeps what was read. */
static void adopt(struct exec_policy_work *k)
{
    struct exec_policy *p = k->policy;

    p->document = k->document;
    p->text = k->text;
    k->document = NULL;
    k->text = NULL;
}

static void on_worked(struct worker *w, void *arg)
{
    struct exec_policy_work *k = arg;

    (void)w;
    if (!atomic_load(&k->is_abandoned)) {
        const struct exec_policy_result result = { k->rc, k->problems, k->made };

        if (k->rc == 0 && k->document != NULL)
            adopt(k);
        k->made = NULL;
        k->done(k->arg, &result);
    }
    work_free(k);
}

static struct exec_policy_work *work_new(struct exec_policy *p, exec_policy_fn *done, void *arg)
{
    struct exec_policy_work *k = mem_zalloc(sizeof(*k));

    k->policy = p;
    ref_inc(&p->ref);
    k->front = p->front;
    sshd_ref(k->front);
    k->terms = p->front->settings.policy;
    policy_terms_ref(k->terms);
    k->done = done;
    k->arg = arg;
    k->problems = policy_problems_new();
    return k;
}

static void submit(struct exec_policy_work *k, job_fn *work)
{
    job_submit(k->front->services.jobs, k->front->worker, work, on_worked, k);
}

static void read_document(void *arg)
{
    struct exec_policy_work *k = arg;
    const struct policy_request about = { .protocols = k->policy->protocols };

    if (atomic_load(&k->is_abandoned))
        return;
    k->rc = -1;
    k->document =
        policy_document_parse(k->name, shared_text_str(k->text), &k->terms->limits, k->problems);
    if (k->document == NULL)
        return;
    compile(k, k->document, &about);
    counted_unref(k->made);
    k->made = NULL;
}

struct exec_policy_work *exec_policy_read(struct exec_policy *p, struct str name, struct str text,
                                          exec_policy_fn *done, void *arg)
{
    struct exec_policy_work *k = work_new(p, done, arg);

    k->name = name;
    k->text = shared_text_new(text);
    submit(k, read_document);
    return k;
}

void exec_policy_abandon(struct exec_policy_work *work)
{
    if (work != NULL)
        atomic_store(&work->is_abandoned, true);
}

static void compile_for_endpoint(void *arg)
{
    struct exec_policy_work *k = arg;
    const struct policy_request about = {
        .host = str_from(k->url.host),
        .protocols = protocol_of(k->url.scheme),
        .is_internal = k->url.binding == BINDING_INTERNAL,
    };

    if (!atomic_load(&k->is_abandoned))
        compile(k, k->policy->document, &about);
}

struct exec_policy_work *exec_policy_compile(struct exec_policy *p, const struct url *url,
                                             exec_policy_fn *done, void *arg)
{
    struct exec_policy_work *k = work_new(p, done, arg);

    k->url = *url;
    submit(k, compile_for_endpoint);
    return k;
}
