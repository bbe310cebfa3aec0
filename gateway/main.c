/*
 * main: the program: its commands, and the process that `serve` runs.
 * The one file that sees both servers. It builds everything on the main thread, starts the workers,
 * and then only reacts: to signals, to changed key files, and to workers that report back.
 *
 * Nothing is served before everything is there: all sockets are bound first, all objects built, and
 * the workers start last. The end runs the same way back: the gateways drain, the SSH sessions are
 * told and closed, the control thread stops, the workers stop, and what they shared is freed.
 *
 * A reload builds the new configuration, keys and certificates whole, on this thread, and then posts
 * them to the workers and waits until they have them; a problem in any of them leaves all of the old
 * in place.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ev.h>

#include "base/job.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/worker.h"
#include "gateway/api_audit.h"
#include "gateway/api_host.h"
#include "gateway/api_plane.h"
#include "gateway/api_probe.h"
#include "gateway/api_setup.h"
#include "gateway/apikey_command.h"
#include "gateway/cloud.h"
#include "gateway/config.h"
#include "gateway/endpoint_stats.h"
#include "gateway/event_hub.h"
#include "gateway/file_watch.h"
#include "gateway/gateway.h"
#include "gateway/inputs.h"
#include "gateway/document.h"
#include "gateway/inside.h"
#include "gateway/lifecycle.h"
#include "gateway/listen_set.h"
#include "gateway/operator_socket.h"
#include "gateway/policy_command.h"
#include "gateway/process_env.h"
#include "gateway/state_dir.h"
#include "gateway/stored.h"
#include "gateway/tcp_ports.h"
#include "gateway/tls.h"
#include "policy/policy.h"
#include "sshd/sshd.h"
#include "tunnel/authkeys.h"
#include "tunnel/census.h"
#include "tunnel/control.h"
#include "tunnel/host.h"
#include "tunnel/names.h"
#include "tunnel/routes.h"

enum { EXIT_PROBLEM = 1, EXIT_USAGE = 2 };

#define GOODBYE "the gateway is shutting down; connect again in a moment"

enum listen_kind { LISTEN_SSH, LISTEN_HTTP, LISTEN_HTTPS, LISTEN_ADMIN };
enum { LISTEN_KINDS = LISTEN_ADMIN + 1 };

/* A worker and what it runs. */
struct node {
    struct worker *worker;   /* owned */
    struct routes *routes;   /* owned */
    struct sshd *sshd;       /* owned */
    struct gateway *gateway; /* owned */
};

struct process {
    struct ev_loop *loop;         /* borrowed: libev's default one */
    int lock;                     /* on state_dir; -1: none */
    struct policy_engine *engine; /* owned: compiles policies, and what they count */
    struct inputs inputs;

    struct listen_set listen[LISTEN_KINDS];
    struct host_suffixes *suffixes; /* owned */
    struct names *names;            /* owned: what names are whose */
    struct tcp_ports *tcp_ports;    /* owned: the sockets of TCP endpoints */
    struct control *control;        /* owned */
    struct sshd_shared *shared;     /* owned */
    struct job_pool *jobs;          /* owned: what policies must not do on a loop */
    struct event_hub *events;       /* owned: delivers events */
    struct api_setup api;           /* the database and the management API */
    struct api_host_parts api_host; /* what the API gets of us */
    struct api_plane *plane;        /* owned: what workers have of the inputs and the database */
    char *api_url;                  /* owned: of uris that the SSH front shows */
    int operator_fd;                /* the operator's socket; -1 once a worker has it */
    struct gateway_peers peers;     /* its arrays: owned */
    struct node *nodes;             /* owned */
    size_t node_count;
    struct worker **workers; /* owned: of the nodes, as control wants them */
    struct routes **routes;  /* owned: of the nodes, as control wants them */

    struct lifecycle *lifecycle;  /* owned */
    struct file_watch *key_files; /* owned */
    struct file_watch *geo_files; /* owned */
};

/* ---- reloading ------------------------------------------------------------------------- */

/* The port that stands for 80 or 443 in printed URLs. */
static uint16_t public_port(const struct listen_set *s, uint16_t otherwise)
{
    return s->bound.count > 0 ? s->bound.addrs[0].port : otherwise;
}

/* Of these inputs; besides, it reads what no longer changes once workers run. */
static struct sshd_settings make_settings(const struct process *p, const struct inputs *in)
{
    const struct config *c = in->config;

    return (struct sshd_settings){
        .http_port = public_port(&p->listen[LISTEN_HTTP], 80),
        .https_port = public_port(&p->listen[LISTEN_HTTPS], 443),
        .allow_no_command = c->allow_no_command,
        .max_sessions_per_key = (uint32_t)c->max_sessions_per_key,
        .max_sessions_per_address = (uint32_t)c->max_sessions_per_address,
        .max_unauthenticated = (uint32_t)c->max_unauthenticated,
        .balancers = c->ssh_balancers,
        .proxy_header_timeout_ms = c->proxy_header_timeout_ms,
        .login_grace_ms = c->login_grace_ms,
        .max_auth_tries = (uint32_t)c->max_auth_tries,
        .max_forwards = (uint32_t)c->max_forwards,
        .max_channels = (uint32_t)c->max_channels,
        .max_direct_channels = (uint32_t)c->max_direct_channels,
        .max_channel_buffer = c->max_channel_buffer,
        .channel_window = c->channel_window,
        .channel_open_timeout_ms = c->channel_open_timeout_ms,
        .command_wait_ms = c->command_wait_ms,
        .keepalive_interval_ms = c->keepalive_interval_ms,
        .keepalive_count = (uint32_t)c->keepalive_count,
        .rekey_bytes = c->rekey_bytes,
        .policy_document_max_bytes = c->policy_document_max_bytes,
        .policy_input_timeout_ms = c->policy_input_timeout_ms,
        .events = event_hub_sink(p->events),
        .api_commands_max = c->api_commands_max,
        .api_input_timeout_ms = c->api_input_timeout_ms,
        .api_output_max_bytes = c->api_output_max_bytes,
        .policy = in->terms,
    };
}

static struct event_hub_limits event_limits(const struct config *c)
{
    return (struct event_hub_limits){
        .backlog_max_bytes = c->event_backlog_max_bytes,
        .retry_min_ms = c->event_retry_min_ms,
        .retry_max_ms = c->event_retry_max_ms,
    };
}

/* The filters were compiled once to check them, so this only fails if that was wrong. */
static void plan_events(struct process *p)
{
    struct event_sink *sink = event_hub_sink(p->events);
    struct err e;

    if (sink->ops->configure(sink, EVENT_ORIGIN_CONFIG, p->inputs.config->events, &e) == -1)
        log_error("events.refused", LERR(&e));
}

/* What a reload or a call of the API brings to one worker. */
struct change {
    struct process *process; /* borrowed: outlives the worker's loop */
    struct inputs inputs;
    struct sshd_settings settings;
    uint64_t round;
};

static void apply_change(struct worker *w, void *arg)
{
    struct change *c = arg;
    struct node *n = &c->process->nodes[worker_id(w)];

    gateway_configure(n->gateway, c->inputs.config, c->inputs.tls, c->inputs.policy_data);
    sshd_configure(n->sshd, &c->settings, c->inputs.keys);
    api_plane_applied(c->process->plane, worker_id(w), c->round);
    inputs_fini(&c->inputs);
    mem_free(c);
}

/* On main, or on a thread of the API. */
static void post_change(void *arg, const struct inputs *now, uint64_t round)
{
    struct process *p = arg;

    cloud_configure(p->api_host.cloud, now->terms);
    for (size_t i = 0; i < p->node_count; i++) {
        struct change *c = mem_zalloc(sizeof(*c));

        c->process = p;
        c->inputs = inputs_copy(now);
        c->settings = make_settings(p, &c->inputs);
        c->round = round;
        worker_post(p->nodes[i].worker, apply_change, c);
    }
}

/* On a thread of the API. */
static void on_object_changed(void *arg, const struct api_change_event *change)
{
    struct process *p = arg;

    api_plane_changed(p->plane, change);
    api_audit(event_hub_sink(p->events), change);
}

static void on_key_files_changed(void *arg)
{
    struct process *p = arg;

    if (inputs_reload_keys(&p->inputs) == 0)
        api_plane_reload(p->plane, &p->inputs);
    log_flush();
}

static void watch_key_files(struct process *p)
{
    const struct config_strings *files = &p->inputs.config->authorized_keys;

    file_watch_free(p->key_files);
    p->key_files = file_watch_new(p->loop, (const char *const *)files->items, files->count,
                                  on_key_files_changed, p);
    file_watch_start(p->key_files);
}

static void on_geo_files_changed(void *arg)
{
    struct process *p = arg;

    if (inputs_reload_policy_data(&p->inputs, p->engine) == 0)
        api_plane_reload(p->plane, &p->inputs);
    log_flush();
}

static void watch_geo_files(struct process *p)
{
    const struct config_strings *files = &p->inputs.config->geo_databases;

    file_watch_free(p->geo_files);
    p->geo_files = file_watch_new(p->loop, (const char *const *)files->items, files->count,
                                  on_geo_files_changed, p);
    file_watch_start(p->geo_files);
}

static void reopen(void *arg)
{
    struct process *p = arg;

    event_hub_reopen(p->events);
}

static void reload(void *arg)
{
    struct process *p = arg;
    const struct config *c;
    struct event_hub_limits limits;

    if (inputs_reload(&p->inputs, p->engine) == -1)
        return;
    c = p->inputs.config;
    limits = event_limits(c);
    log_configure(c->log_level, c->log_format);
    names_configure(p->names, config_domains_new(c), c->hold_ms);
    event_hub_set_limits(p->events, &limits);
    plan_events(p);
    api_plane_reload(p->plane, &p->inputs);
    log_info("reload.done", LS("file", c->file), LU("keys", authkeys_count(p->inputs.keys)));
    watch_key_files(p);
    watch_geo_files(p);
}

/* ---- building -------------------------------------------------------------------------- */

static int bind_listeners(struct process *p, struct err *e)
{
    const struct config_listen *const wanted[LISTEN_KINDS] = {
        [LISTEN_SSH] = &p->inputs.config->ssh,
        [LISTEN_HTTP] = &p->inputs.config->http,
        [LISTEN_HTTPS] = &p->inputs.config->https,
        [LISTEN_ADMIN] = &p->inputs.config->admin,
    };

    for (size_t i = 0; i < LISTEN_KINDS; i++) {
        if (listen_set_init(&p->listen[i], wanted[i], p->node_count, LISTEN_ALONE, e) == -1)
            return -1;
    }
    return 0;
}

/* The database before anything listens: without it nobody's names are known. */
static int build_api(struct process *p, struct err *e)
{
    struct api_plane_params plane = {
        .worker_count = p->node_count,
        .post = post_change,
        .arg = p,
    };

    if (api_setup_open(&p->api, p->inputs.config, e) == -1)
        return -1;
    plane.store = p->api.store;
    plane.seal_key = p->api.seal_key;
    p->plane = api_plane_new(&plane, &p->inputs, e);
    if (p->plane == NULL)
        return -1;
    api_setup_serve(&p->api);
    p->operator_fd = operator_socket_open(p->inputs.config->state_dir, e);
    return p->operator_fd == -1 ? -1 : 0;
}

static int build_suffixes(struct process *p, struct err *e)
{
    const struct config_strings *extra = &p->inputs.config->extra_suffixes;
    struct str *list = mem_zalloc_array(extra->count, sizeof(*list));

    for (size_t i = 0; i < extra->count; i++)
        list[i] = str_from(extra->items[i]);
    p->suffixes = host_suffixes_new(str_from(p->inputs.config->domain), list, extra->count, e);
    mem_free(list);
    return p->suffixes == NULL ? -1 : 0;
}

static struct registry_tcp registry_tcp(const struct process *p)
{
    const struct config_tcp *tcp = &p->inputs.config->tcp;

    return (struct registry_tcp){
        .host = str_from(tcp->host),
        .any = { tcp->ports.first, tcp->ports.last },
        .fixed = { tcp->fixed_ports.first, tcp->fixed_ports.last },
        .source = tcp_ports_source(p->tcp_ports),
    };
}

/* The workers with their routing tables, and the control thread that writes those. */
static int build_control(struct process *p, struct err *e)
{
    struct control_params params = {
        .registry = { .base_domain = str_from(p->inputs.config->domain),
                      .hold_ms = p->inputs.config->hold_ms },
        .worker_count = p->node_count,
    };

    if (state_dir_secret(p->inputs.config->state_dir, "names.key", "random names will change",
                         params.registry.secret, e) == -1)
        return -1;
    p->workers = mem_zalloc_array(p->node_count, sizeof(*p->workers));
    p->routes = mem_zalloc_array(p->node_count, sizeof(*p->routes));
    for (size_t i = 0; i < p->node_count; i++) {
        struct node *n = &p->nodes[i];

        n->worker = p->workers[i] = worker_new("worker", (unsigned)i);
        n->routes = p->routes[i] = routes_new();
    }
    p->tcp_ports = tcp_ports_new(&p->inputs.config->tcp.listen, &p->peers, p->node_count);
    params.registry.tcp = registry_tcp(p);
    p->names = names_new(config_domains_new(p->inputs.config), params.registry.tcp.host,
                         params.registry.tcp.fixed);
    if (stored_names(p->api.store, p->names, e) == -1)
        return -1;
    params.domains = names_domains(p->names);
    params.workers = p->workers;
    params.routes = p->routes;
    params.events = event_hub_sink(p->events);
    p->control = control_new(&params);
    names_start(p->names, p->control);
    mem_wipe(&params, sizeof(params));
    return 0;
}

static int build_shared(struct process *p, struct err *e)
{
    const struct inputs *live = api_plane_live(p->plane);
    struct sshd_settings settings = make_settings(p, live);
    char *host_keys[SSHD_HOST_KEYS] = { NULL };
    int n = sshd_host_keys_ensure(p->inputs.config->state_dir, host_keys, e);

    if (n != -1)
        p->shared = sshd_shared_new((const char *const *)host_keys, (size_t)n, &settings,
                                    live->keys, p->suffixes, p->control, e);
    for (size_t i = 0; i < SSHD_HOST_KEYS; i++)
        mem_free(host_keys[i]);
    return p->shared == NULL ? -1 : 0;
}

/* Where uris of objects point when the command `api` shows them. */
static char *make_api_url(const struct process *p)
{
    const struct listen_set *admin = &p->listen[LISTEN_ADMIN];
    char address[ADDR_TEXT_BYTES];
    char url[sizeof("http://") + ADDR_TEXT_BYTES];

    if (p->inputs.config->api_url != NULL)
        return mem_strdup(p->inputs.config->api_url);
    if (admin->bound.count == 0)
        return mem_strdup("");
    (void)snprintf(url, sizeof(url), "http://%s", addr_format(&admin->bound.addrs[0], address));
    return mem_strdup(url);
}

static void offer_api(struct process *p)
{
    p->api_url = make_api_url(p);
    sshd_shared_set_api(
        p->shared,
        &(struct sshd_api){ .api = p->api.api, .jobs = p->api.jobs, .base_url = p->api_url });
}

static void build_node(struct process *p, size_t i)
{
    struct node *n = &p->nodes[i];
    struct sshd_services services;
    int fds[LISTEN_KINDS][CONFIG_LISTEN_MAX];
    struct gateway_params params = {
        .worker = n->worker,
        .peers = &p->peers,
        .routes = n->routes,
        .suffixes = p->suffixes,
        .config = p->inputs.config,
        .tls = api_plane_live(p->plane)->tls,
        .policy_data = api_plane_live(p->plane)->policy_data,
        .jobs = p->jobs,
        .http_fds = fds[LISTEN_HTTP],
        .http_count = p->listen[LISTEN_HTTP].bound.count,
        .https_fds = fds[LISTEN_HTTPS],
        .https_count = p->listen[LISTEN_HTTPS].bound.count,
        .admin_fds = fds[LISTEN_ADMIN],
        .admin_count = p->listen[LISTEN_ADMIN].bound.count,
        .operator_fds = &p->operator_fd,
        .operator_count = i == 0 ? 1 : 0,
        .api_http = p->api.http,
    };

    for (size_t kind = 0; kind < LISTEN_KINDS; kind++)
        listen_set_take(&p->listen[kind], i, fds[kind]);
    n->gateway = gateway_new(&params);
    if (i == 0)
        p->operator_fd = -1; /* it is the gateway's now */
    services = (struct sshd_services){
        .inside = { .ops = &gateway_inside_ops, .ctx = n->gateway },
        .documents = { .ops = &gateway_document_ops, .ctx = n->gateway },
        .jobs = p->jobs,
    };
    n->sshd = sshd_new(n->worker, p->shared, &services, fds[LISTEN_SSH],
                       p->listen[LISTEN_SSH].bound.count);
}

/* What the management API can do, and what it has left in the store. */
static int build_api_host(struct process *p, struct err *e)
{
    struct census_source *sources = mem_zalloc_array(p->node_count, sizeof(*sources));
    struct api_host_params params;
    int rc;

    for (size_t i = 0; i < p->node_count; i++)
        sources[i] = (struct census_source){
            .worker = p->nodes[i].worker,
            .ctx = p->nodes[i].sshd,
            .sessions = sshd_census,
            .end = sshd_end_session,
        };
    params = (struct api_host_params){
        .control = p->control,
        .suffixes = p->suffixes,
        .names = p->names,
        .config = p->inputs.config,
        .terms = api_plane_live(p->plane)->terms,
        .events = p->events,
        .store = p->api.store,
        .seal_key = p->api.seal_key,
        .event_settings = { .private_destinations = p->api.config->api_private_destinations,
                            .objects_max = p->api.config->api_event_objects_max,
                            .queue_max = p->api.config->api_event_queue_max },
        .sources = sources,
        .source_count = p->node_count,
        .changed = on_object_changed,
        .arg = p,
    };
    api_host_init(&p->api_host, p->api.host, &params);
    rc = api_host_publish(&p->api_host, p->control, p->nodes[0].gateway, e);
    if (rc == 0)
        api_host_load(&p->api_host);
    mem_free(sources);
    return rc;
}

static void build_nodes(struct process *p)
{
    const struct metrics **metrics = mem_zalloc_array(p->node_count + 2, sizeof(*metrics));

    for (size_t i = 0; i < p->node_count; i++)
        metrics[i] = worker_metrics(p->nodes[i].worker);
    metrics[p->node_count] = worker_metrics(control_worker(p->control));
    p->peers.gateways = mem_zalloc_array(p->node_count, sizeof(*p->peers.gateways));
    p->peers.metrics = metrics;
    metrics[p->node_count + 1] = worker_metrics(event_hub_worker(p->events));
    p->peers.metrics_count = p->node_count + 2;
    p->peers.events = p->events;
    p->peers.endpoint_stats =
        endpoint_stats_new(p->node_count, (size_t)p->inputs.config->metrics_endpoints_max);
    for (size_t i = 0; i < p->node_count; i++)
        build_node(p, i);
}

/* Accepts what process_new() left half-built. No thread of it may run. */
static void process_free(struct process *p)
{
    file_watch_free(p->key_files);
    file_watch_free(p->geo_files);
    for (size_t i = 0; i < p->node_count; i++) {
        gateway_free(p->nodes[i].gateway);
        sshd_free(p->nodes[i].sshd);
    }
    job_pool_free(p->jobs); /* its last answers wait in the mailboxes */
    api_setup_stop(&p->api);
    /* Messages under way name routes and the lifecycle: mailboxes are emptied before those go. */
    control_free(p->control);
    tcp_ports_free(p->tcp_ports);
    for (size_t i = 0; i < p->node_count; i++)
        worker_free(p->nodes[i].worker);
    for (size_t i = 0; i < p->node_count; i++)
        routes_free(p->nodes[i].routes);
    event_hub_free(p->events); /* whatever the others did in their end was posted to it */
    endpoint_stats_free(p->peers.endpoint_stats);
    api_host_fini(&p->api_host);
    api_plane_free(p->plane);
    api_setup_fini(&p->api);
    lifecycle_free(p->lifecycle);
    sshd_shared_free(p->shared);
    mem_free(p->api_url);
    names_free(p->names);
    host_suffixes_free(p->suffixes);
    for (size_t i = 0; i < LISTEN_KINDS; i++)
        listen_set_fini(&p->listen[i]);
    mem_free(p->peers.gateways);
    mem_free((void *)(uintptr_t)p->peers.metrics);
    mem_free(p->workers);
    mem_free(p->routes);
    mem_free(p->nodes);
    inputs_fini(&p->inputs);
    policy_engine_free(p->engine);
    if (p->operator_fd != -1)
        (void)close(p->operator_fd); /* only listened on */
    if (p->lock != -1)
        (void)close(p->lock); /* only held, never written */
    mem_free(p);
}

/* Everything but the running threads; NULL with problems, one a line. */
static struct process *process_new(const char *path, struct buf *problems)
{
    struct process *p = mem_zalloc(sizeof(*p));
    struct event_hub_limits limits;
    struct err e = { .code = E_OK };

    p->lock = -1;
    p->operator_fd = -1;
    p->loop = ev_default_loop(EVFLAG_AUTO | EVFLAG_NOENV);
    p->engine = policy_engine_new();
    if (inputs_read(&p->inputs, path, p->engine, problems) == -1)
        goto fail;
    watch_key_files(p);
    watch_geo_files(p);
    log_configure(p->inputs.config->log_level, p->inputs.config->log_format);
    p->lock = state_dir_open(p->inputs.config->state_dir, &e);
    if (p->lock == -1 || inputs_read_certificates(&p->inputs, NULL, problems) == -1)
        goto fail;
    p->node_count = p->inputs.config->workers > 0 ? (size_t)p->inputs.config->workers
                                                  : process_cpu_count(CONFIG_WORKERS_MAX);
    p->nodes = mem_zalloc_array(p->node_count, sizeof(*p->nodes));
    limits = event_limits(p->inputs.config);
    p->events = event_hub_new(&limits);
    plan_events(p);
    if (build_api(p, &e) == -1 || bind_listeners(p, &e) == -1 || build_suffixes(p, &e) == -1 ||
        build_control(p, &e) == -1 || build_shared(p, &e) == -1)
        goto fail;
    offer_api(p);
    p->jobs = job_pool_new((unsigned)p->inputs.config->policy_threads);
    build_nodes(p);
    if (build_api_host(p, &e) == -1)
        goto fail;
    return p;
fail:
    if (e.code != E_OK)
        buf_add_fmt(problems, "sallyport: %s\n", e.msg);
    process_free(p);
    return NULL;
}

/* ---- running --------------------------------------------------------------------------- */

static void drain_here(struct worker *w, void *arg)
{
    struct process *p = arg;
    struct node *n = &p->nodes[worker_id(w)];

    sshd_drain(n->sshd);
    gateway_drain(n->gateway, lifecycle_on_drained, p->lifecycle);
}

static void close_here(struct worker *w, void *arg)
{
    struct process *p = arg;

    sshd_close_all(p->nodes[worker_id(w)].sshd, GOODBYE, lifecycle_on_closed, p->lifecycle);
}

static uint64_t drain_max_ms(void *arg)
{
    const struct process *p = arg;

    return p->inputs.config->drain_ms;
}

static void start_here(struct worker *w, void *arg)
{
    struct process *p = arg;
    struct node *n = &p->nodes[worker_id(w)];

    gateway_start(n->gateway);
    sshd_start(n->sshd);
    if (worker_id(w) == 0)
        api_probe_start(p->api.probe, w);
}

static void tell_ready(struct process *p)
{
    static const char *const names[LISTEN_KINDS] = {
        [LISTEN_SSH] = "ssh",
        [LISTEN_HTTP] = "http",
        [LISTEN_HTTPS] = "https",
        [LISTEN_ADMIN] = "admin",
    };
    struct buf text[LISTEN_KINDS];
    struct log_field f[LISTEN_KINDS];

    for (size_t i = 0; i < LISTEN_KINDS; i++) {
        buf_init(&text[i], CONFIG_LISTEN_MAX * ADDR_TEXT_BYTES);
        listen_set_format(&p->listen[i], &text[i]);
        f[i] = text[i].len > 0 ? LSTR(names[i], buf_str(&text[i])) : LNONE;
    }
    log_info("sallyport ready", f[LISTEN_SSH], f[LISTEN_HTTP], f[LISTEN_HTTPS], f[LISTEN_ADMIN],
             LU("workers", p->node_count), LU("keys", authkeys_count(p->inputs.keys)),
             LS("domain", p->inputs.config->domain), LS("version", SALLYPORT_VERSION));
    log_flush();
    for (size_t i = 0; i < LISTEN_KINDS; i++)
        buf_fini(&text[i]);
}

static void process_run(struct process *p)
{
    const struct lifecycle_params life = {
        .loop = p->loop,
        .workers = p->workers,
        .worker_count = p->node_count,
        .drain = drain_here,
        .close = close_here,
        .reload = reload,
        .reopen = reopen,
        .drain_max_ms = drain_max_ms,
        .arg = p,
    };

    /* The signals are caught before anything runs that they could end. */
    p->lifecycle = lifecycle_new(&life);
    event_hub_start(p->events);
    control_start(p->control);
    for (size_t i = 0; i < p->node_count; i++) {
        worker_post(p->nodes[i].worker, start_here, p);
        worker_start(p->nodes[i].worker);
    }
    tell_ready(p);
    lifecycle_run(p->lifecycle);
    file_watch_stop(p->key_files);
    file_watch_stop(p->geo_files);
    names_stop(p->names);
    api_host_stop(&p->api_host);
    api_plane_stop(p->plane);
    control_stop(p->control);
    for (size_t i = 0; i < p->node_count; i++)
        worker_stop(p->nodes[i].worker);
    for (size_t i = 0; i < p->node_count; i++)
        worker_join(p->nodes[i].worker);
    event_hub_drain(p->events, p->inputs.config->event_drain_ms);
    log_info("sallyport stopped", LNONE);
}

/* ---- commands -------------------------------------------------------------------------- */

static int command_serve(const char *path)
{
    struct process *p;
    struct buf problems;

    process_prepare();
    buf_init(&problems, INPUTS_PROBLEMS_MAX_BYTES);
    p = process_new(path, &problems);
    if (p == NULL) {
        (void)fprintf(stderr, "%.*s", STR_ARG(buf_str(&problems)));
        buf_fini(&problems);
        return EXIT_PROBLEM;
    }
    buf_fini(&problems);
    log_start(STDERR_FILENO, p->inputs.config->log_level, p->inputs.config->log_format);
    process_run(p);
    process_free(p);
    log_stop();
    return EXIT_SUCCESS;
}

static int command_check(const char *path)
{
    struct buf problems;
    int rc;

    buf_init(&problems, INPUTS_PROBLEMS_MAX_BYTES);
    rc = inputs_check(path, &problems);
    (void)printf("%.*s", STR_ARG(buf_str(&problems)));
    buf_fini(&problems);
    return rc == 0 ? EXIT_SUCCESS : EXIT_PROBLEM;
}

static int usage(FILE *to, int status)
{
    (void)fprintf(to, "usage: sallyport serve -c FILE   run in the foreground; SIGTERM drains, "
                      "SIGHUP reloads\n"
                      "       sallyport check -c FILE   print every problem of a configuration\n"
                      "       sallyport apikey create -c FILE [--account NAME] "
                      "[--description TEXT]   make a key of the management API, print its token\n"
                      "       sallyport policy check FILE...   print every problem of traffic "
                      "policies\n"
                      "       sallyport policy eval EXPR [--vars FILE.json]   print the value of "
                      "an expression as JSON\n"
                      "       sallyport version\n"
                      "       sallyport help\n");
    return status;
}

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "";

    if (argc == 4 && strcmp(argv[2], "-c") == 0) {
        if (strcmp(command, "serve") == 0) {
            process_reexec(argv);
            return command_serve(argv[3]);
        }
        if (strcmp(command, "check") == 0)
            return command_check(argv[3]);
    }
    if (argc > 2 && strcmp(command, "apikey") == 0) {
        int status = apikey_command(argc - 2, argv + 2);

        return status == APIKEY_COMMAND_USAGE ? usage(stderr, EXIT_USAGE) : status;
    }
    if (argc > 2 && strcmp(command, "policy") == 0) {
        int status = policy_command(argc - 2, argv + 2);

        return status == POLICY_COMMAND_USAGE ? usage(stderr, EXIT_USAGE) : status;
    }
    if (argc == 2 && (strcmp(command, "version") == 0 || strcmp(command, "--version") == 0)) {
        (void)printf("sallyport %s\n", SALLYPORT_VERSION);
        return EXIT_SUCCESS;
    }
    if (argc == 2 && (strcmp(command, "help") == 0 || strcmp(command, "--help") == 0))
        return usage(stdout, EXIT_SUCCESS);
    return usage(stderr, EXIT_USAGE);
}
