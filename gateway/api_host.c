#include "gateway/api_host.h"

#include <string.h>

#include "base/log.h"
#include "gateway/api_public.h"
#include "gateway/cloud.h"
#include "gateway/config.h"
#include "gateway/event_hub.h"
#include "gateway/event_trial.h"
#include "gateway/fetch_rules.h"
#include "gateway/tls_upload.h"
#include "tunnel/api/endpoint_spec.h"
#include "tunnel/api/event_load.h"
#include "tunnel/census.h"
#include "tunnel/control.h"
#include "tunnel/endpoint.h"
#include "tunnel/event_plan.h"
#include "tunnel/host.h"
#include "tunnel/names.h"

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

static void settle_endpoint(void *arg, const char *id)
{
    const struct api_host_parts *parts = arg;

    cloud_settle(parts->cloud, id);
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

/* ---- names and certificates ------------------------------------------------------------------- */

static enum api_name_answer reserve_name(void *arg, struct str name, struct str account,
                                         struct err *e)
{
    const struct api_host_parts *parts = arg;

    return names_reserve(parts->names, name, account, e);
}

static enum api_name_answer release_name(void *arg, struct str name, struct str account,
                                         struct err *e)
{
    const struct api_host_parts *parts = arg;

    return names_release(parts->names, name, account, e);
}

static enum api_name_answer check_release(void *arg, struct str name, struct str account,
                                          struct err *e)
{
    const struct api_host_parts *parts = arg;

    return names_check_release(parts->names, name, account, e);
}

static bool pick_address(void *arg, char out[API_ADDRESS_BYTES])
{
    const struct api_host_parts *parts = arg;
    uint16_t port = names_pick_port(parts->names);

    (void)snprintf(out, API_ADDRESS_BYTES, "%s:%u", parts->config->tcp.host, (unsigned)port);
    return port != 0;
}

/* The name in api.url, which is scheme, host and port alone. */
static struct str url_host(const char *url)
{
    struct str s = str_from(url);
    struct str rest = str_skip(s, str_find(s, STR("://")) + 3);

    return str_slice(rest, 0, str_find_char(rest, ':'));
}

static bool is_own_host(void *arg, struct str host)
{
    const struct api_host_parts *parts = arg;
    const struct config *c = parts->config;

    return str_eq(host, host_suffixes_base(parts->host->suffixes)) ||
           str_eq(host, str_from(c->tcp.host)) ||
           (c->api_url != NULL && str_eq_nocase(host, url_host(c->api_url)));
}

static json_t *read_certificate(void *arg, struct str certificate_pem, struct str private_key_pem,
                                enum api_pair_fault *fault, struct err *e)
{
    (void)arg;
    return tls_upload_read(certificate_pem, private_key_pem, fault, e);
}

/* ---- events --------------------------------------------------------------------------------- */

static int deliver_event(void *arg, const struct event_destination *d, struct str event,
                         struct err *e)
{
    const struct api_host_parts *parts = arg;

    return event_trial_run(event_hub_trial(parts->events), d, event, e);
}

/* What the store says of events is what the hub does from now on. */
static void plan_events(const struct api_host_parts *parts)
{
    struct event_sink *sink = event_hub_sink(parts->events);
    const struct api_event_load from = {
        .store = parts->store,
        .seal_key = parts->seal_key,
        .settings = &parts->host->events,
        .sink = sink,
    };
    struct err e = { 0 };
    struct event_plan *plan = api_event_plan_load(&from, &e);

    if (plan == NULL || sink->ops->configure(sink, EVENT_ORIGIN_API, plan, &e) == -1)
        log_error("events.refused", LERR(&e));
    event_plan_unref(plan);
}

static bool is_of_events(const char *kind)
{
    return strcmp(kind, "event_destination") == 0 || strcmp(kind, "event_subscription") == 0;
}

/* ---- changes -------------------------------------------------------------------------------- */

static void on_changed(void *arg, const struct api_change_event *change)
{
    const struct api_host_parts *parts = arg;

    if (is_of_events(change->kind))
        plan_events(parts);
    parts->changed(parts->arg, change);
}

void api_host_init(struct api_host_parts *parts, struct api_host *host,
                   const struct api_host_params *params)
{
    parts->cloud = cloud_new(params->control, params->terms);
    parts->census = census_new(params->control, params->sources, params->source_count);
    parts->names = params->names;
    parts->config = params->config;
    config_ref(parts->config);
    parts->changed = params->changed;
    parts->arg = params->arg;
    parts->host = host;
    parts->events = params->events;
    parts->store = params->store;
    parts->seal_key = params->seal_key;
    host->arg = parts;
    host->changed = on_changed;
    host->suffixes = params->suffixes;
    host->policy_check = check_policy;
    host->endpoint_put = put_endpoint;
    host->endpoint_settle = settle_endpoint;
    host->endpoint_remove = remove_endpoint;
    host->live = take_live;
    host->name_reserve = reserve_name;
    host->name_release = release_name;
    host->name_check_release = check_release;
    host->address_pick = pick_address;
    host->is_own_host = is_own_host;
    host->certificate_read = read_certificate;
    host->region = params->config->server_region;
    host->session_end = end_session;
    host->events = params->event_settings;
    host->event_sink = event_hub_sink(params->events);
    host->is_public = fetch_is_public;
    host->event_deliver = deliver_event;
}

int api_host_publish(const struct api_host_parts *parts, struct control *control, struct gateway *g,
                     struct err *e)
{
    const struct url_context ctx = {
        .command = URL_COMMAND_CLOUD,
        .binding = BINDING_PUBLIC,
        .suffixes = parts->host->suffixes,
    };
    const char *text = parts->config->api_url;
    struct endpoint *ep;
    struct str host;
    struct url url;
    int rc;

    if (!parts->config->api_public)
        return 0;
    host = url_host(text);
    if (url_parse(str_of(text, (size_t)(host.p - text) + host.n), &ctx, &url, e) == -1)
        return err_prefix(e, "api.url");
    ep = api_public_endpoint(g, &url);
    rc = control_preload(control, ep, e);
    endpoint_unref(ep);
    return rc == 0 ? 0 : err_prefix(e, "api.public");
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

void api_host_load(struct api_host_parts *parts)
{
    struct err e;

    if (api_endpoints_load(parts->store, parts->host->suffixes, load_endpoint, parts, &e) == -1)
        log_error("store.failed", LS("error", e.msg));
    plan_events(parts);
}

void api_host_stop(struct api_host_parts *parts)
{
    event_trial_stop(event_hub_trial(parts->events));
    cloud_stop(parts->cloud);
    census_stop(parts->census);
}

void api_host_fini(struct api_host_parts *parts)
{
    cloud_free(parts->cloud);
    census_free(parts->census);
    config_unref(parts->config);
    parts->config = NULL;
    parts->cloud = NULL;
    parts->census = NULL;
}
