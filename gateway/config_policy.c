/* The keys about traffic policies. */
#include <string.h>

#include "base/cidr_set.h"
#include "base/mem.h"
#include "gateway/config_reader.h"
#include "gateway/fetch_rules.h"
#include "gateway/file_read.h"
#include "tunnel/host.h"

void config_read_expression_errors(struct reader *r, const config_setting_t *s, const struct key *k,
                                   void *out)
{
    static const char *const words[] = {
        [POLICY_EXPRESSION_FAILS] = "error",
        [POLICY_EXPRESSION_NO_MATCH] = "no-match",
    };
    int at = reader_get_word(r, s, k, words, sizeof(words) / sizeof(words[0]));

    if (at != -1)
        *(enum policy_expression_errors *)out = (enum policy_expression_errors)at;
}

void config_read_fetch_allow(struct reader *r, const config_setting_t *s, const struct key *k,
                             void *out)
{
    unsigned n = reader_list_length(r, s, k, "a list of host names and CIDR blocks");

    (void)out;
    for (unsigned i = 0; i < n; i++) {
        const config_setting_t *item = config_setting_get_elem(s, i);
        const char *text = reader_get_string(r, item, k, "a list of host names and CIDR blocks");
        struct err e;

        if (text != NULL && fetch_rules_add(r->c->fetch_rules, str_from(text), &e) == -1)
            reader_problem(r, item, "%s%s: %s; write: %s", r->group, k->name, e.msg, k->example);
    }
}

/* ---- IP policies ----------------------------------------------------------------------- */

void config_read_cidrs(struct reader *r, const config_setting_t *s, const struct key *k, void *out)
{
    struct config_cidrs *list = out;
    unsigned n = reader_list_length(r, s, k, "a list of CIDR blocks");

    list->items = mem_zalloc_array(n, sizeof(*list->items));
    for (unsigned i = 0; i < n; i++) {
        const config_setting_t *item = config_setting_get_elem(s, i);
        const char *text = reader_get_string(r, item, k, "a list of CIDR blocks");
        struct err e;

        if (text == NULL)
            continue;
        if (cidr_parse(str_from(text), &list->items[list->count], &e) == 0)
            list->count++;
        else
            reader_problem(r, item, "%s%s: %s; write: %s", r->group, k->name, e.msg, k->example);
    }
}

void config_read_cidr_set(struct reader *r, const config_setting_t *s, const struct key *k,
                          void *out)
{
    struct config_cidrs list = { .count = 0 };

    config_read_cidrs(r, s, k, &list);
    *(struct cidr_set **)out = cidr_set_new(list.items, list.count);
    mem_free(list.items);
}

static bool has_ip_policy(const struct config *c, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (c->ip_policies[i].name != NULL && strcmp(c->ip_policies[i].name, name) == 0)
            return true;
    }
    return false;
}

void config_read_ip_policies(struct reader *r, const config_setting_t *s, const struct key *k,
                             void *out)
{
    struct config *c = r->c;
    unsigned n = reader_list_length(r, s, k, "a list of groups");

    (void)out;
    c->ip_policies = mem_zalloc_array(n, sizeof(*c->ip_policies));
    for (unsigned i = 0; i < n; i++) {
        const config_setting_t *item = config_setting_get_elem(s, i);
        struct config_ip_policy *p = &c->ip_policies[c->ip_policy_count++];

        if (!reader_entry(r, item, k, p))
            continue;
        if (has_ip_policy(c, i, p->name))
            reader_problem(r, item, "ip_policies: \"%s\" is given twice; join the two", p->name);
        if (p->allow.count + p->deny.count == 0)
            reader_problem(r, item,
                           "ip_policies: \"%s\" is empty; add: allow = [ \"203.0.113.0/24\" ];",
                           p->name);
    }
}

/* ---- policies of the operator ---------------------------------------------------------- */

void config_read_pattern(struct reader *r, const config_setting_t *s, const struct key *k,
                         void *out)
{
    const char *text = reader_get_string(r, s, k, "a host name");
    char host[HOST_MAX_BYTES + 1];
    struct err e;

    if (text == NULL)
        return;
    if (host_normalize(str_from(text), host, &e) == -1)
        reader_problem(r, s, "%s%s: %s; write: %s", r->group, k->name, e.msg, k->example);
    else
        *(char **)out = mem_strdup(host);
}

void config_read_policies(struct reader *r, const config_setting_t *s, const struct key *k,
                          void *out)
{
    struct config *c = r->c;
    unsigned n = reader_list_length(r, s, k, "a list of groups");

    (void)out;
    c->policies = mem_zalloc_array(n, sizeof(*c->policies));
    for (unsigned i = 0; i < n; i++) {
        const config_setting_t *item = config_setting_get_elem(s, i);
        struct config_policy *p = &c->policies[c->policy_count++];

        if (reader_entry(r, item, k, p))
            p->where = reader_where(r, item);
    }
}

static int read_document(const struct config *c, struct config_policy *p, struct err *e)
{
    struct buf text;
    int rc;

    buf_init(&text, (size_t)c->policy_document_max_bytes);
    rc = file_read(p->file, &text, e);
    if (rc == 0 && str_find_char(buf_str(&text), '\0') < text.len)
        rc = err_set(e, E_SYNTAX, "it has a NUL byte, so it is not a text file");
    if (rc == 0)
        p->text = str_dup(buf_str(&text));
    buf_fini(&text);
    return rc;
}

/* Last, since the limit of their size is a key too. */
void config_finish_policies(struct reader *r)
{
    struct config *c = r->c;
    struct err e;

    if (c->server_region == NULL)
        c->server_region = mem_strdup("local");
    for (size_t i = 0; i < c->policy_count; i++) {
        struct config_policy *p = &c->policies[i];

        if (p->where == NULL || read_document(c, p, &e) == 0)
            continue;
        r->problem_count++;
        buf_add_fmt(r->problems, "%s: policies: %s: %s; give the path of a readable document\n",
                    p->where, p->file, e.msg);
    }
}

void config_policy_fini(struct config *c)
{
    mem_free(c->server_region);
    mem_free(c->vaults);
    mem_free(c->ip_categories);
    fetch_rules_unref(c->fetch_rules);
    for (size_t i = 0; i < c->ip_policy_count; i++) {
        mem_free(c->ip_policies[i].name);
        mem_free(c->ip_policies[i].allow.items);
        mem_free(c->ip_policies[i].deny.items);
    }
    mem_free(c->ip_policies);
    for (size_t i = 0; i < c->geo_databases.count; i++)
        mem_free(c->geo_databases.items[i]);
    mem_free(c->geo_databases.items);
    for (size_t i = 0; i < c->policy_count; i++) {
        mem_free(c->policies[i].account);
        mem_free(c->policies[i].domain);
        mem_free(c->policies[i].file);
        mem_free(c->policies[i].text);
        mem_free(c->policies[i].where);
    }
    mem_free(c->policies);
}
