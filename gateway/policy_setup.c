#include "gateway/policy_setup.h"

#include "gateway/config.h"
#include "gateway/policy_data.h"
#include "tunnel/id.h"

static bool has_ip_policy(void *arg, struct str account, struct str name)
{
    return policy_data_ip_policy(arg, account, name) != NULL;
}

/* Of a document alone: whose stored policies it will see is not known, so any id may be right. */
static bool may_have_ip_policy(void *arg, struct str name)
{
    return id_is_valid(name, "ipp") || has_ip_policy(arg, STR(""), name);
}

static bool has_secret(void *arg, struct str account, struct str vault, struct str name)
{
    return policy_data_secret(arg, account, vault, name).p != NULL;
}

static void drop_data(void *arg)
{
    policy_data_unref(arg);
}

/*
 * Compiles a document alone, to see what is wrong with it. Without an account its secrets are not known,
 * and each account may have them or not.
 */
static void check_document(const struct policy_terms *t, const struct policy_document *document,
                           struct policy_problems *problems)
{
    struct policy_params params = {
        .engine = t->engine,
        .limits = &t->limits,
        .documents = &document,
        .document_count = 1,
        .expression_errors = t->expression_errors,
        .has_ip_policy = may_have_ip_policy,
        .arg = t->arg,
    };

    counted_unref(policy_compile(&params, problems));
}

static void add_document(struct policy_terms *t, const struct config_policy *p,
                         struct policy_problems *problems)
{
    struct policy_document *document =
        policy_document_parse(str_from(p->file), str_from(p->text), &t->limits, problems);

    if (document == NULL)
        return;
    check_document(t, document, problems);
    policy_terms_add_default(t, str_from(p->account), str_from(p->domain), document);
}

struct policy_terms *policy_setup(const struct config *config, struct policy_engine *engine,
                                  struct policy_data *data, struct buf *problems)
{
    struct policy_limits limits = config_policy_limits(config);
    struct policy_terms *t = policy_terms_new(engine, &limits, str_from(config->domain));
    struct policy_problems *list = policy_problems_new();
    bool is_good;

    t->expression_errors = config->expression_errors;
    if (policy_data_geo(data) == NULL)
        t->lacks |= POLICY_LACKS_GEO;
    if (policy_data_lists(data) == NULL)
        t->lacks |= POLICY_LACKS_IP_LISTS;
    t->has_ip_policy = has_ip_policy;
    t->has_secret = has_secret;
    policy_data_ref(data);
    t->arg = data;
    t->free_arg = drop_data;
    for (size_t i = 0; i < config->policy_count; i++)
        add_document(t, &config->policies[i], list);
    policy_problems_format(list, problems);
    is_good = policy_problems_errors(list) == 0;
    policy_problems_free(list);
    if (is_good)
        return t;
    policy_terms_unref(t);
    return NULL;
}
