#include "gateway/api_setup.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/job.h"
#include "base/mem.h"
#include "gateway/api_http.h"
#include "gateway/api_probe.h"
#include "gateway/config.h"
#include "gateway/state_dir.h"
#include "tunnel/api/api.h"
#include "tunnel/api/host.h"
#include "tunnel/store/seal.h"
#include "tunnel/store/store.h"

static_assert((int)STATE_DIR_SECRET_BYTES == (int)API_SECRET_BYTES, "one is read into the other");

/* The path of a file in state_dir; the caller frees it. */
static char *path_in(const struct config *config, const char *name)
{
    size_t n = strlen(config->state_dir) + 1 + strlen(name) + 1;
    char *path = mem_alloc(n);

    (void)snprintf(path, n, "%s/%s", config->state_dir, name);
    return path;
}

static int open_store(struct api_setup *s, const struct config *config, struct err *e)
{
    char *database = path_in(config, API_SETUP_DATABASE);
    char *key = path_in(config, "seal.key");
    int rc = -1;

    s->store = store_sqlite_open(database, e);
    if (s->store != NULL)
        s->seal_key = seal_key_open(key, e);
    if (s->seal_key != NULL)
        rc = seal_check(s->store, s->seal_key, e);
    mem_free(database);
    mem_free(key);
    return rc;
}

int api_setup_open(struct api_setup *s, struct config *config, struct err *e)
{
    struct api_params params = {
        .requests_per_minute = config->api_requests_per_minute,
        .objects_max = config->api_objects_max,
    };

    config_ref(config);
    s->config = config;
    if (open_store(s, config, e) == -1 ||
        state_dir_secret(config->state_dir, "api.key", "all API keys must be made anew",
                         params.secret, e) == -1)
        return -1;
    s->host = mem_zalloc(sizeof(*s->host));
    params.store = s->store;
    params.seal_key = s->seal_key;
    params.host = s->host;
    s->api = api_new(&params);
    mem_wipe(&params, sizeof(params));
    return 0;
}

void api_setup_serve(struct api_setup *s)
{
    struct api_http_params params = {
        .api = s->api,
        .base_url = s->config->api_url,
        .origins = (const char *const *)s->config->api_origins.items,
        .origin_count = s->config->api_origins.count,
        .calls_max = s->config->api_calls_max,
    };

    s->jobs = job_pool_new((unsigned)s->config->api_threads);
    params.jobs = s->jobs;
    s->http = api_http_new(&params);
    s->probe = api_probe_new(s->api, s->jobs);
}

void api_setup_stop(struct api_setup *s)
{
    api_probe_stop(s->probe);
    if (s->jobs != NULL)
        job_pool_free(s->jobs);
    s->jobs = NULL;
}

void api_setup_fini(struct api_setup *s)
{
    api_probe_free(s->probe);
    api_http_free(s->http);
    api_free(s->api);
    mem_free(s->host);
    seal_key_free(s->seal_key);
    store_free(s->store);
    config_unref(s->config);
    memset(s, 0, sizeof(*s));
}
