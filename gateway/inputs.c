#include "gateway/inputs.h"

#include <stddef.h>

#include "base/log.h"
#include "base/str.h"
#include "gateway/config.h"
#include "gateway/policy_data.h"
#include "gateway/policy_setup.h"
#include "gateway/tls.h"
#include "gateway/tls_check.h"
#include "policy/policy.h"
#include "tunnel/authkeys.h"

static struct authkeys *load_keys(const struct config *c, struct buf *problems)
{
    return authkeys_load((const char *const *)c->authorized_keys.items, c->authorized_keys.count,
                         problems);
}

static int read_policy_data(struct inputs *in, struct policy_engine *engine, struct buf *problems)
{
    in->policy_data = policy_data_load(in->config, problems);
    if (in->policy_data == NULL)
        return -1;
    in->terms = policy_setup(in->config, engine, in->policy_data, problems);
    return in->terms == NULL ? -1 : 0;
}

/* The configuration and the keys. */
static int read_files(struct inputs *in, const char *path, struct buf *problems)
{
    *in = (struct inputs){ .config = config_load(path, problems) };
    if (in->config == NULL)
        return -1;
    in->keys = load_keys(in->config, problems);
    return in->keys == NULL ? -1 : 0;
}

int inputs_read(struct inputs *in, const char *path, struct policy_engine *engine,
                struct buf *problems)
{
    int rc = read_files(in, path, problems);

    /* Also when the keys are bad, so that all problems are told at once. */
    if (in->config != NULL && read_policy_data(in, engine, problems) == -1)
        rc = -1;
    return rc;
}

int inputs_check(const char *path, struct buf *problems)
{
    struct policy_engine *engine = policy_engine_new();
    struct inputs in;
    int rc = inputs_read(&in, path, engine, problems);

    /* Also when the keys are bad, so that all problems are told at once. */
    if (in.config != NULL && tls_check(in.config, problems) == -1)
        rc = -1;
    inputs_fini(&in);
    policy_engine_free(engine);
    return rc;
}

int inputs_read_certificates(struct inputs *in, struct tls *old, struct buf *problems)
{
    in->tls = tls_new(in->config, old, problems);
    return in->tls == NULL ? -1 : 0;
}

static void log_problems(const struct buf *problems)
{
    struct str rest = buf_str(problems);
    struct str line;

    while (str_next(&rest, '\n', &line)) {
        if (line.n > 0)
            log_error("reload.refused", LSTR("problem", line));
    }
}

static void on_kept(void *arg, const char *key)
{
    (void)arg;
    log_warn("reload.ignored", LS("key", key), LS("why", "it takes effect at the next start"));
}

int inputs_reload(struct inputs *in, struct policy_engine *engine)
{
    struct inputs fresh;
    struct buf problems;
    int rc;

    buf_init(&problems, INPUTS_PROBLEMS_MAX_BYTES);
    rc = read_files(&fresh, in->config->file, &problems);
    if (fresh.config != NULL) {
        config_keep_fixed(fresh.config, in->config, on_kept, NULL);
        /* Also when the keys are bad, so that all problems are told at once. */
        if (read_policy_data(&fresh, engine, &problems) == -1)
            rc = -1;
        if (inputs_read_certificates(&fresh, in->tls, &problems) == -1)
            rc = -1;
    }
    if (rc == 0) {
        inputs_fini(in);
        *in = fresh;
    } else {
        log_problems(&problems);
        inputs_fini(&fresh);
    }
    buf_fini(&problems);
    return rc;
}

int inputs_reload_keys(struct inputs *in)
{
    struct authkeys *keys;
    struct buf problems;

    buf_init(&problems, INPUTS_PROBLEMS_MAX_BYTES);
    keys = load_keys(in->config, &problems);
    if (keys != NULL) {
        log_info("reload.keys", LU("keys", authkeys_count(keys)));
        authkeys_unref(in->keys);
        in->keys = keys;
    } else {
        log_problems(&problems);
    }
    buf_fini(&problems);
    return keys == NULL ? -1 : 0;
}

int inputs_reload_policy_data(struct inputs *in, struct policy_engine *engine)
{
    struct inputs fresh = { .config = in->config };
    struct buf problems;
    int rc;

    buf_init(&problems, INPUTS_PROBLEMS_MAX_BYTES);
    rc = read_policy_data(&fresh, engine, &problems);
    if (rc == 0) {
        log_info("reload.policy_data", LS("file", in->config->file));
        policy_terms_unref(in->terms);
        policy_data_unref(in->policy_data);
        in->terms = fresh.terms;
        in->policy_data = fresh.policy_data;
    } else {
        log_problems(&problems);
        policy_data_unref(fresh.policy_data);
    }
    buf_fini(&problems);
    return rc;
}

struct inputs inputs_copy(const struct inputs *in)
{
    config_ref(in->config);
    authkeys_ref(in->keys);
    tls_ref(in->tls);
    policy_data_ref(in->policy_data);
    policy_terms_ref(in->terms);
    return *in;
}

void inputs_fini(struct inputs *in)
{
    policy_terms_unref(in->terms);
    policy_data_unref(in->policy_data);
    tls_unref(in->tls);
    authkeys_unref(in->keys);
    config_unref(in->config);
    *in = (struct inputs){ .config = NULL };
}
