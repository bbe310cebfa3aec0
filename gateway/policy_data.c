#include "gateway/policy_data.h"

#include "base/mem.h"
#include "base/ref.h"
#include "gateway/config.h"
#include "gateway/ip_policies.h"
#include "gateway/vaults.h"
#include "policy/geo.h"
#include "policy/ip_lists.h"

struct policy_data {
    struct ref ref;
    struct config *config;            /* counted: its blocks are those of the rules */
    struct policy_ip_rules *ip_rules; /* owned; one for each IP policy of the config */
    struct geo *geo;                  /* counted; NULL: none */
    struct ip_lists *lists;           /* counted; NULL: none */
    struct vaults *vaults;            /* counted; NULL: none */
    struct vaults *stored_vaults;     /* counted; NULL: none */
    struct ip_policies *ip_policies;  /* counted: stored ones; NULL: none */
};

static void make_ip_rules(struct policy_data *d)
{
    const struct config *c = d->config;

    d->ip_rules = mem_zalloc_array(c->ip_policy_count, sizeof(*d->ip_rules));
    for (size_t i = 0; i < c->ip_policy_count; i++) {
        const struct config_ip_policy *p = &c->ip_policies[i];

        d->ip_rules[i] = (struct policy_ip_rules){ .allow = p->allow.items,
                                                   .allow_count = p->allow.count,
                                                   .deny = p->deny.items,
                                                   .deny_count = p->deny.count };
    }
}

static int load_geo(struct policy_data *d, struct buf *problems)
{
    const struct config_strings *files = &d->config->geo_databases;
    struct err e;

    if (files->count == 0)
        return 0;
    d->geo = geo_open((const char *const *)files->items, files->count, &e);
    if (d->geo != NULL)
        return 0;
    buf_add_fmt(problems, "%s:1: geo.databases: %s\n", d->config->file, e.msg);
    return -1;
}

static int load_lists(struct policy_data *d, struct buf *problems)
{
    struct err e;

    if (d->config->ip_categories == NULL)
        return 0;
    d->lists = ip_lists_load(d->config->ip_categories, &e);
    if (d->lists != NULL)
        return 0;
    buf_add_fmt(problems, "%s:1: ip_categories: %s\n", d->config->file, e.msg);
    return -1;
}

static int load_vaults(struct policy_data *d, struct buf *problems)
{
    if (d->config->vaults == NULL)
        return 0;
    d->vaults = vaults_load(d->config->vaults, problems);
    return d->vaults == NULL ? -1 : 0;
}

static struct policy_data *data_new(struct config *config)
{
    struct policy_data *d = mem_zalloc(sizeof(*d));

    ref_init(&d->ref);
    config_ref(config);
    d->config = config;
    make_ip_rules(d);
    return d;
}

struct policy_data *policy_data_load(struct config *config, struct buf *problems)
{
    struct policy_data *d = data_new(config);
    int rc;

    /* All, so that all problems are told at once. */
    rc = load_geo(d, problems);
    rc = load_lists(d, problems) == -1 ? -1 : rc;
    rc = load_vaults(d, problems) == -1 ? -1 : rc;
    if (rc == 0)
        return d;
    policy_data_unref(d);
    return NULL;
}

struct policy_data *policy_data_over(const struct policy_data *d, struct vaults *vaults,
                                     struct ip_policies *ip_policies)
{
    struct policy_data *over = data_new(d->config);

    over->geo = d->geo != NULL ? geo_ref(d->geo) : NULL;
    over->lists = d->lists != NULL ? ip_lists_ref(d->lists) : NULL;
    over->vaults = d->vaults;
    if (over->vaults != NULL)
        vaults_ref(over->vaults);
    vaults_ref(vaults);
    over->stored_vaults = vaults;
    ip_policies_ref(ip_policies);
    over->ip_policies = ip_policies;
    return over;
}

void policy_data_ref(struct policy_data *d)
{
    if (d != NULL)
        ref_inc(&d->ref);
}

void policy_data_unref(struct policy_data *d)
{
    if (d == NULL || !ref_dec(&d->ref))
        return;
    geo_unref(d->geo);
    ip_lists_unref(d->lists);
    vaults_unref(d->vaults);
    vaults_unref(d->stored_vaults);
    ip_policies_unref(d->ip_policies);
    mem_free(d->ip_rules);
    config_unref(d->config);
    mem_free(d);
}

const struct geo *policy_data_geo(const struct policy_data *d)
{
    return d == NULL ? NULL : d->geo;
}

const struct ip_lists *policy_data_lists(const struct policy_data *d)
{
    return d == NULL ? NULL : d->lists;
}

const struct vaults *policy_data_vaults(const struct policy_data *d)
{
    return d == NULL ? NULL : d->vaults;
}

struct str policy_data_secret(const struct policy_data *d, struct str account, struct str vault,
                              struct str name)
{
    struct str value = vaults_find(policy_data_vaults(d), account, vault, name);

    if (value.p == NULL && d != NULL)
        value = vaults_find(d->stored_vaults, account, vault, name);
    return value;
}

const struct policy_ip_rules *policy_data_ip_policy(const struct policy_data *d, struct str account,
                                                    struct str name)
{
    if (d == NULL)
        return NULL;
    for (size_t i = 0; i < d->config->ip_policy_count; i++) {
        if (str_eq(str_from(d->config->ip_policies[i].name), name))
            return &d->ip_rules[i];
    }
    return ip_policies_find(d->ip_policies, account, name);
}
