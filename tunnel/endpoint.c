#include "tunnel/endpoint.h"

#include "base/mem.h"

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
    size_t is_cloud = ep->agent.ops == NULL;
    size_t is_internal = ep->url.binding == BINDING_INTERNAL;

    return (is_cloud * BINDINGS + is_internal) * SCHEME_COUNT + ep->url.scheme;
}

void endpoint_metric_words(size_t index, const char *words[ENDPOINT_METRIC_WORDS])
{
    words[0] = type_words[index / SCHEME_COUNT / BINDINGS % TYPES];
    words[1] = binding_words[index / SCHEME_COUNT % BINDINGS];
    words[2] = scheme_name((enum scheme)(index % SCHEME_COUNT));
}
