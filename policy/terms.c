#include <utlist.h>

#include "base/mem.h"
#include "policy/policy.h"

struct policy_default {
    struct policy_default *next;
    char *account;                    /* owned; "" fits all */
    char *domain;                     /* owned; "" fits all */
    struct policy_document *document; /* owned */
};

struct policy_terms *policy_terms_new(struct policy_engine *engine,
                                      const struct policy_limits *limits, struct str domain)
{
    struct policy_terms *t = mem_zalloc(sizeof(*t));

    ref_init(&t->ref);
    t->engine = engine;
    t->limits = *limits;
    t->domain = str_dup(domain);
    return t;
}

struct policy_terms *policy_terms_over(struct policy_terms *base, void *arg)
{
    struct policy_terms *t = policy_terms_new(base->engine, &base->limits, str_from(base->domain));

    t->expression_errors = base->expression_errors;
    t->lacks = base->lacks;
    t->has_ip_policy = base->has_ip_policy;
    t->has_secret = base->has_secret;
    t->arg = arg;
    t->free_arg = base->free_arg;
    policy_terms_ref(base);
    t->base = base;
    t->defaults = base->defaults;
    return t;
}

void policy_terms_ref(struct policy_terms *t)
{
    if (t != NULL)
        ref_inc(&t->ref);
}

static void defaults_free(struct policy_default *list)
{
    struct policy_default *d;
    struct policy_default *next;

    LL_FOREACH_SAFE(list, d, next)
    {
        policy_document_free(d->document);
        mem_free(d->account);
        mem_free(d->domain);
        mem_free(d);
    }
}

void policy_terms_unref(struct policy_terms *t)
{
    if (t == NULL || !ref_dec(&t->ref))
        return;
    if (t->base != NULL)
        policy_terms_unref(t->base);
    else
        defaults_free(t->defaults);
    mem_free(t->domain);
    if (t->free_arg != NULL)
        t->free_arg(t->arg);
    mem_free(t);
}

void policy_terms_add_default(struct policy_terms *t, struct str account, struct str domain,
                              struct policy_document *document)
{
    struct policy_default *d = mem_zalloc(sizeof(*d));

    d->account = str_dup(account);
    d->domain = str_dup(domain);
    d->document = document;
    LL_APPEND(t->defaults, d);
}

static bool is_below(struct str name, struct str domain)
{
    size_t n = name.n - domain.n; /* of what stands in front */

    return name.n > domain.n && name.p[n - 1] == '.' && str_eq_nocase(str_skip(name, n), domain);
}

/* "*.example.com" fits every name below, of any depth. */
static bool fits_domain(struct str domain, struct str host)
{
    if (str_starts(domain, STR("*.")))
        return is_below(host, str_skip(domain, 2));
    return domain.n == 0 || str_eq_nocase(domain, host);
}

/* A random name is not known yet, but it is one label below the base domain. */
static bool fits_random(struct str domain, struct str base)
{
    struct str below = str_skip(domain, 2);

    if (!str_starts(domain, STR("*.")))
        return domain.n == 0;
    return str_eq_nocase(below, base) || is_below(base, below);
}

static bool fits(const struct policy_default *d, const struct policy_terms *t,
                 const struct policy_request *request)
{
    struct str account = str_from(d->account);
    struct str domain = str_from(d->domain);

    if (account.n > 0 && !str_eq(account, request->account))
        return false;
    return request->host.n > 0 ? fits_domain(domain, request->host)
                               : fits_random(domain, str_from(t->domain));
}

/* Hands what belongs to one account to the compiler. */
struct scope {
    const struct policy_terms *terms;
    struct str account;
};

static bool has_ip_policy(void *arg, struct str name)
{
    const struct scope *s = arg;

    return s->terms->has_ip_policy(s->terms->arg, s->account, name);
}

static bool has_secret(void *arg, struct str vault, struct str name)
{
    const struct scope *s = arg;

    return s->terms->has_secret(s->terms->arg, s->account, vault, name);
}

int policy_terms_compile(const struct policy_terms *t, const struct policy_request *request,
                         struct counted **out, struct policy_problems *problems)
{
    struct scope scope = { .terms = t, .account = request->account };
    const struct policy_document **all;
    struct policy_default *d;
    struct policy_params params;
    size_t count = 0;
    size_t defaults;

    *out = NULL;
    LL_COUNT(t->defaults, d, count);
    all = mem_zalloc_array(count + request->count, sizeof(*all));
    count = 0;
    LL_FOREACH(t->defaults, d)
    {
        if (fits(d, t, request))
            all[count++] = d->document;
    }
    defaults = count;
    for (size_t i = 0; i < request->count; i++)
        all[count++] = request->documents[i];
    params = (struct policy_params){
        .engine = t->engine,
        .limits = &t->limits,
        .documents = all,
        .document_count = count,
        .default_count = defaults,
        .protocols = request->protocols,
        .is_internal = request->is_internal,
        .account = request->account,
        .expression_errors = t->expression_errors,
        .lacks = t->lacks,
        .has_ip_policy = t->has_ip_policy != NULL ? has_ip_policy : NULL,
        .has_secret = t->has_secret != NULL ? has_secret : NULL,
        .arg = &scope,
    };
    if (count > 0)
        *out = policy_compile(&params, problems);
    mem_free(all);
    return count > 0 && *out == NULL ? -1 : 0;
}
