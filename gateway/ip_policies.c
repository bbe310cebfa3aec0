#include "gateway/ip_policies.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/ref.h"

struct ip_policy {
    UT_hash_handle hh;            /* by id */
    char *id;                     /* owned */
    char *account;                /* owned */
    struct cidr *allow;           /* owned */
    struct cidr *deny;            /* owned */
    struct policy_ip_rules rules; /* of the two above */
};

struct ip_policies {
    struct ref ref;
    struct ip_policy *by_id; /* owned */
};

struct ip_policies *ip_policies_new(void)
{
    struct ip_policies *p = mem_zalloc(sizeof(*p));

    ref_init(&p->ref);
    return p;
}

void ip_policies_ref(struct ip_policies *p)
{
    ref_inc(&p->ref);
}

static void ip_policy_free(struct ip_policy *one)
{
    mem_free(one->id);
    mem_free(one->account);
    mem_free(one->allow);
    mem_free(one->deny);
    mem_free(one);
}

void ip_policies_unref(struct ip_policies *p)
{
    struct ip_policy *one;
    struct ip_policy *next;

    if (p == NULL || !ref_dec(&p->ref))
        return;
    HASH_ITER(hh, p->by_id, one, next)
    {
        HASH_DEL(p->by_id, one);
        ip_policy_free(one);
    }
    mem_free(p);
}

static struct ip_policy *find(const struct ip_policies *p, struct str id)
{
    struct ip_policy *one;

    HASH_FIND(hh, p->by_id, id.p, id.n, one);
    return one;
}

bool ip_policies_add(struct ip_policies *p, struct str id, struct str account)
{
    struct ip_policy *one;

    if (find(p, id) != NULL)
        return false;
    one = mem_zalloc(sizeof(*one));
    one->id = str_dup(id);
    one->account = str_dup(account);
    HASH_ADD_KEYPTR(hh, p->by_id, one->id, id.n, one);
    return true;
}

/* Appends to a list that `list` owns; returns where it is now. */
static struct cidr *append(struct cidr *list, size_t *count, const struct cidr *block)
{
    list = mem_realloc(list, (*count + 1) * sizeof(*list));
    list[(*count)++] = *block;
    return list;
}

bool ip_policies_add_rule(struct ip_policies *p, struct str id, const struct cidr *block,
                          bool allows)
{
    struct ip_policy *one = find(p, id);

    if (one == NULL)
        return false;
    if (allows)
        one->allow = append(one->allow, &one->rules.allow_count, block);
    else
        one->deny = append(one->deny, &one->rules.deny_count, block);
    one->rules.allow = one->allow;
    one->rules.deny = one->deny;
    return true;
}

void ip_policies_remove(struct ip_policies *p, struct str id)
{
    struct ip_policy *one = find(p, id);

    if (one == NULL)
        return;
    HASH_DEL(p->by_id, one);
    ip_policy_free(one);
}

const struct policy_ip_rules *ip_policies_find(const struct ip_policies *p, struct str account,
                                               struct str id)
{
    const struct ip_policy *one = p == NULL ? NULL : find(p, id);

    return one != NULL && str_eq(str_from(one->account), account) ? &one->rules : NULL;
}
