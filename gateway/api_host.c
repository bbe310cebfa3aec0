#include "gateway/api_host.h"

#include "base/log.h"
#include "gateway/cloud.h"
#include "tunnel/api/endpoint_spec.h"
#include "tunnel/api/host.h"
#include "tunnel/census.h"

static int check_policy(void *arg, struct str account, const struct url *url, struct str text,
                        struct buf *problems, struct err *e)
{
    const struct api_host_parts *parts = arg;

    return cloud_check_policy(parts->cloud, account, url, text, problems, e);
}

static int put_endpoint(void *arg, const struct api_endpoint_spec *spec, struct err *e)
{
    const struct api_host_parts *parts = arg;

    return cloud_put(parts->cloud, spec, e);
}

static void remove_endpoint(void *arg, const char *id)
{
    const struct api_host_parts *parts = arg;

    cloud_remove(parts->cloud, id);
}

static struct api_live *take_live(void *arg)
{
    const struct api_host_parts *parts = arg;

    return census_take(parts->census);
}

static int end_session(void *arg, const char *id, struct err *e)
{
    const struct api_host_parts *parts = arg;

    return census_end(parts->census, id, e);
}

static void on_changed(void *arg, const struct api_change_event *change)
{
    const struct api_host_parts *parts = arg;

    parts->changed(parts->arg, change);
}

void api_host_init(struct api_host_parts *parts, struct api_host *host,
                   const struct api_host_params *params)
{
    parts->cloud = cloud_new(params->control, params->terms);
    parts->census = census_new(params->control, params->sources, params->source_count);
    parts->changed = params->changed;
    parts->arg = params->arg;
    host->arg = parts;
    host->changed = on_changed;
    host->suffixes = params->suffixes;
    host->policy_check = check_policy;
    host->endpoint_put = put_endpoint;
    host->endpoint_remove = remove_endpoint;
    host->live = take_live;
    host->session_end = end_session;
}

static void load_endpoint(void *arg, const struct api_endpoint_spec *spec, const struct err *bad)
{
    const struct api_host_parts *parts = arg;
    struct err e = *bad;

    if (e.code == E_OK && cloud_preload(parts->cloud, spec, &e) == 0)
        return;
    log_warn("endpoint.refused", LS("endpoint.id", spec->id), LS("account", spec->account),
             LS("error", e.msg));
}

void api_host_load(struct api_host_parts *parts, struct store *store,
                   const struct host_suffixes *suffixes)
{
    struct err e;

    if (api_endpoints_load(store, suffixes, load_endpoint, parts, &e) == -1)
        log_error("store.failed", LS("error", e.msg));
}

void api_host_stop(struct api_host_parts *parts)
{
    cloud_stop(parts->cloud);
    census_stop(parts->census);
}

void api_host_fini(struct api_host_parts *parts)
{
    cloud_free(parts->cloud);
    census_free(parts->census);
    parts->cloud = NULL;
    parts->census = NULL;
}
