/*
 * restrict-ips: lets a connection or request pass by the visitor's network address (spec
 * traffic-policy 6.22). Only the address of the connection counts: forwarded headers can be made
 * up. An address passes if it is in an allowed block and in no denied one, so a list of denials
 * alone admits nobody.
 */
#include "base/addr.h"
#include "base/mem.h"
#include "policy/action.h"
#include "policy/result.h"

/* Blocks are tried one after the other, so their number bounds the cost of a request. */
enum { RESTRICT_IPS_BLOCKS_MAX = 1000, RESTRICT_IPS_POLICIES_MAX = 32 };

/* A block; with ${} it is known when the request is. */
struct block {
    struct cidr cidr;
    struct template *text; /* owned; NULL: cidr is it */
};

struct blocks {
    struct block *items; /* owned */
    size_t count;
};

struct restrict_ips {
    struct blocks allow;
    struct blocks deny;
    char *policies[RESTRICT_IPS_POLICIES_MAX]; /* owned: names of IP policies */
    size_t policy_count;
    enum err_code refusal; /* what a visitor is told */
    bool enforce;
};

static void read_block(const struct field *f, struct block *out)
{
    struct template *text = field_template(f);
    struct str literal;
    struct err e;

    if (!template_is_literal(text, &literal)) {
        out->text = text;
        return;
    }
    if (text != NULL && cidr_parse(literal, &out->cidr, &e) == -1)
        (void)field_problem(f, E_POLICY_CIDR, "%s", e.msg);
    template_free(text);
}

static void read_blocks(const struct fields *c, const char *key, struct blocks *out)
{
    struct field list = fields_find(c, key);

    (void)field_list(&list, 0, RESTRICT_IPS_BLOCKS_MAX, &out->count);
    out->items = mem_zalloc_array(out->count, sizeof(*out->items));
    for (size_t i = 0; i < out->count; i++) {
        struct field item = field_item(&list, i);

        read_block(&item, &out->items[i]);
    }
}

static void read_policies(const struct fields *c, struct restrict_ips *r)
{
    const struct policy_params *params = fields_params(c);
    struct field list = fields_find(c, "ip_policies");
    size_t count = 0;

    (void)field_list(&list, 0, RESTRICT_IPS_POLICIES_MAX, &count);
    for (size_t i = 0; i < count; i++) {
        struct field item = field_item(&list, i);
        struct str name;

        if (field_text(&item, &name) == -1)
            continue;
        if (params->has_ip_policy == NULL || !params->has_ip_policy(params->arg, name))
            (void)field_problem(&item, E_POLICY_IP_POLICY,
                                "there is no IP policy '%.*s'; list CIDR blocks in allow and deny",
                                STR_ARG(str_slice(name, 0, 64)));
        r->policies[r->policy_count++] = str_dup(name);
    }
}

void *restrict_ips_compile(const struct fields *c)
{
    static const char *const known[] = { "enforce", "allow", "deny", "ip_policies", NULL };
    struct restrict_ips *r = mem_zalloc(sizeof(*r));
    struct field enforce = fields_find(c, "enforce");
    struct field allow = fields_find(c, "allow");
    struct field deny = fields_find(c, "deny");

    (void)fields_known(c, known);
    r->enforce = true;
    /* Flags are the endpoint's own restriction, which has a number of its own. */
    r->refusal = field_is_shorthand(&allow) ? E_IP_RESTRICTED : E_IP_DENIED;
    (void)field_bool(&enforce, &r->enforce);
    read_blocks(c, "allow", &r->allow);
    read_blocks(c, "deny", &r->deny);
    read_policies(c, r);
    if (r->policy_count == 0 && r->allow.count == 0) {
        if (r->deny.count > 0)
            field_warn(&deny, "without 'allow' nobody is admitted; add 0.0.0.0/0 and ::/0 to it");
        else
            (void)field_problem(&deny, E_POLICY_MISSING,
                                "give at least one CIDR block in allow or deny");
    }
    return r;
}

static int compute_block(const struct block *b, struct action_run *run, struct cidr *out,
                         struct err *e)
{
    struct str text;

    if (template_text(b->text, run, &text, e) == -1)
        return -1;
    if (cidr_parse(str_trim(text), out, NULL) == -1)
        return err_set(e, E_POLICY_FIELD_EVALUATION,
                       "restrict-ips: a computed entry is no CIDR block");
    return 0;
}

/* The first block of the list that has the address, or an empty one. -1 when a computed block is
 * none, wherever it stands: whom a broken list admits must not depend on its order. */
static int find_block(const struct blocks *list, struct action_run *run, const struct addr *client,
                      struct cidr *out, struct err *e)
{
    *out = (struct cidr){ 0 };
    for (size_t i = 0; i < list->count; i++) {
        const struct block *b = &list->items[i];
        struct cidr cidr = b->cidr;

        if (b->text != NULL && compute_block(b, run, &cidr, e) == -1)
            return -1;
        if (out->family == 0 && cidr_contains(&cidr, client))
            *out = cidr;
    }
    return 0;
}

static void find_in_rules(const struct cidr *list, size_t count, const struct addr *client,
                          struct cidr *out)
{
    for (size_t i = 0; i < count && out->family == 0; i++) {
        if (cidr_contains(&list[i], client))
            *out = list[i];
    }
}

/* All rules of the named IP policies go into the same two sets. */
static void find_in_policies(const struct restrict_ips *r, struct action_run *run,
                             const struct addr *client, struct cidr *allow, struct cidr *deny)
{
    for (size_t i = 0; i < r->policy_count; i++) {
        const struct policy_ip_rules *rules =
            run->host->ip_policy(run->ctx, str_from(r->policies[i]));

        if (rules == NULL)
            continue; /* it was deleted: it admits nobody */
        find_in_rules(rules->allow, rules->allow_count, client, allow);
        find_in_rules(rules->deny, rules->deny_count, client, deny);
    }
}

static void set_result(struct action_run *run, bool allowed, const struct cidr *matched)
{
    struct result_field result[] = { { "action", cel_string(allowed ? STR("allow") : STR("deny")) },
                                     { "matched_cidr", cel_string(STR("")) },
                                     { "error", action_error_value(run, NULL) } };
    char text[CIDR_TEXT_BYTES];

    if (matched->family != 0)
        result[1].value = cel_string(arena_str(run->arena, str_from(cidr_format(matched, text))));
    result_set(run, result, 3);
}

static enum policy_verdict refuse(const struct restrict_ips *r, struct action_run *run,
                                  const struct addr *client)
{
    char text[ADDR_IP_TEXT_BYTES];

    if (run->phase == POLICY_ON_TCP_CONNECT)
        return POLICY_CLOSE;
    return action_fail(run, r->refusal, "your address %s may not use this endpoint",
                       addr_format_ip(client, text));
}

enum policy_verdict restrict_ips_run(const void *compiled, struct action_run *run)
{
    const struct restrict_ips *r = compiled;
    const struct addr *client = run->host->client_addr(run->ctx);
    struct cidr allow;
    struct cidr deny;
    struct err e;
    bool allowed;

    if (find_block(&r->allow, run, client, &allow, &e) == -1 ||
        find_block(&r->deny, run, client, &deny, &e) == -1)
        return action_fail_err(run, &e);
    find_in_policies(r, run, client, &allow, &deny);
    allowed = allow.family != 0 && deny.family == 0;
    run->outcome->ip_policy_decision = allowed ? STR("allow") : STR("block");
    if (action_wants_result(run))
        set_result(run, allowed, deny.family != 0 ? &deny : &allow);
    return allowed || !r->enforce ? POLICY_CONTINUE : refuse(r, run, client);
}

static void blocks_fini(struct blocks *b)
{
    for (size_t i = 0; i < b->count; i++)
        template_free(b->items[i].text);
    mem_free(b->items);
}

void restrict_ips_free(void *compiled)
{
    struct restrict_ips *r = compiled;

    if (r == NULL)
        return;
    blocks_fini(&r->allow);
    blocks_fini(&r->deny);
    for (size_t i = 0; i < r->policy_count; i++)
        mem_free(r->policies[i]);
    mem_free(r);
}
