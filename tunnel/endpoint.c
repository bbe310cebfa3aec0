#include "tunnel/endpoint.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "base/shared_text.h"

struct endpoint *endpoint_new(void)
{
    struct endpoint *ep = mem_zalloc(sizeof(*ep));

    ref_init(&ep->ref);
    ep->account = mem_strdup("");
    ep->name = mem_strdup("");
    ep->description = mem_strdup("");
    ep->metadata = mem_strdup("");
    ep->upstream_url = mem_strdup("");
    ep->upstream.tls_host = mem_strdup("");
    ep->upstream.tls_cas = mem_strdup("");
    return ep;
}

void endpoint_set(char **field, struct str value)
{
    char *copy = str_dup(value); /* first: the value may lie in the old string */

    mem_free(*field);
    *field = copy;
}

void endpoint_ref(struct endpoint *ep)
{
    ref_inc(&ep->ref);
}

void endpoint_unref(struct endpoint *ep)
{
    if (ep == NULL || !ref_dec(&ep->ref))
        return;
    counted_unref(ep->policy);
    shared_text_unref(ep->policy_text);
    mem_free(ep->account);
    mem_free(ep->name);
    mem_free(ep->description);
    mem_free(ep->metadata);
    mem_free(ep->upstream_url);
    mem_free(ep->upstream.tls_host);
    mem_free(ep->upstream.tls_cas);
    mem_free(ep);
}

/* ---- for the metrics ------------------------------------------------------------------- */

static const char *const type_words[] = { "agent", "cloud" };
static const char *const binding_words[] = { "public", "internal" };

enum { TYPES = 2, BINDINGS = 2 };

size_t endpoint_metric(const struct endpoint *ep)
{
    size_t is_cloud = !endpoint_has_agent(ep);
    size_t is_internal = ep->url.binding == BINDING_INTERNAL;

    return (is_cloud * BINDINGS + is_internal) * SCHEME_COUNT + ep->url.scheme;
}

void endpoint_metric_words(size_t index, const char *words[ENDPOINT_METRIC_WORDS])
{
    words[0] = type_words[index / SCHEME_COUNT / BINDINGS % TYPES];
    words[1] = binding_words[index / SCHEME_COUNT % BINDINGS];
    words[2] = scheme_name((enum scheme)(index % SCHEME_COUNT));
}

/*
 * What follows is a hint for choosing and orders nothing, so it is relaxed; a worker that was told of
 * the end by a message sees what was set before that.
 */

void endpoint_enter(struct endpoint *ep)
{
    endpoint_ref(ep);
    atomic_fetch_add_explicit(&ep->outstanding, 1, memory_order_relaxed);
}

void endpoint_leave(struct endpoint *ep)
{
    unsigned before;

    if (ep == NULL)
        return;
    before = atomic_fetch_sub_explicit(&ep->outstanding, 1, memory_order_relaxed);
    assert(before > 0);
    (void)before;
    endpoint_unref(ep);
}

unsigned endpoint_outstanding(const struct endpoint *ep)
{
    return atomic_load_explicit(&ep->outstanding, memory_order_relaxed);
}

void endpoint_withdraw(struct endpoint *ep)
{
    atomic_store_explicit(&ep->withdrawn, true, memory_order_relaxed);
}

bool endpoint_is_withdrawn(const struct endpoint *ep)
{
    return atomic_load_explicit(&ep->withdrawn, memory_order_relaxed);
}

bool endpoint_has_same_address(const struct endpoint *a, const struct endpoint *b)
{
    if (a->url.scheme != b->url.scheme || a->url.port != b->url.port ||
        a->url.binding != b->url.binding || strcmp(a->url.host, b->url.host) != 0)
        return false;
    return a->url.binding != BINDING_INTERNAL || strcmp(a->account, b->account) == 0;
}

bool endpoint_has_same_rules(const struct endpoint *a, const struct endpoint *b)
{
    if (a->policy == b->policy)
        return true;
    return a->policy != NULL && b->policy != NULL && a->rules != 0 && a->rules == b->rules;
}

bool endpoint_has_same_connect_rules(const struct endpoint *a, const struct endpoint *b)
{
    return a->connect_rules == b->connect_rules;
}
