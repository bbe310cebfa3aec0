#include "gateway/document.h"

#include "gateway/config.h"
#include "gateway/fetch.h"
#include "gateway/gateway_int.h"

enum { REDIRECTS_MAX = 3 };

/* How errors begin: what users know it by. */
static const char flag_name[] = "--traffic-policy-url";

/* A document is a fetch; the two names keep rooms apart. */
static struct fetch *fetch_of(struct document *d)
{
    return (struct fetch *)(void *)d;
}

static struct document *document_start(void *ctx, const struct document_request *request)
{
    const struct gateway *g = ctx;
    const struct policy_fetch fetch = {
        .url = request->url,
        .method = STR("GET"),
        .timeout_ms = request->timeout_ms,
        .response_max_bytes = request->max_bytes,
        .max_redirects = REDIRECTS_MAX,
    };
    const struct fetch_params params = {
        .name = flag_name,
        .request = &fetch,
        .rules = g->config->fetch_rules,
        .max = g->config->policy_fetches_max,
        .done = request->done,
        .arg = request->arg,
    };

    return (struct document *)(void *)fetch_start(g->fetcher, &params);
}

static int document_read(const struct document *d, struct str *text, struct err *e)
{
    const struct fetch *f = (const struct fetch *)(const void *)d;
    const struct policy_fetched *got = fetch_result(f);

    *e = *fetch_error(f);
    if (e->code != E_OK)
        return -1;
    if (got->status != 200)
        return err_set(e, E_FETCH_FAILED, "%s: the server answered with status %u", flag_name,
                       got->status);
    *text = got->body;
    return 0;
}

static void document_free(struct document *d)
{
    fetch_free(fetch_of(d));
}

const struct document_ops gateway_document_ops = {
    .start = document_start,
    .read = document_read,
    .free = document_free,
};
