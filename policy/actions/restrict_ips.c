/*
 * restrict-ips: lets a connection or request pass by the visitor's network address (spec
 * traffic-policy 6.22). Only the address of the connection counts: forwarded headers can be made
 * up. An address passes if it is in an allowed block and in no denied one, so a list of denials
 * alone admits nobody.
 */
#include <stdio.h>

#include "base/addr.h"
#include "base/mem.h"
#include "policy/action.h"

/* Blocks are tried one after the other, so their number bounds the cost of a request. */
enum { RESTRICT_IPS_BLOCKS_MAX = 1000 };

struct blocks {
    struct cidr *cidrs; /* owned */
    size_t count;
};

struct restrict_ips {
    struct blocks allow;
    struct blocks deny;
    bool enforce;
};

static int read_blocks(struct fields *c, const char *key, struct blocks *out)
{
    const json_t *list;
    size_t count;

    if (fields_list(c, key, RESTRICT_IPS_BLOCKS_MAX, &list) == -1)
        return -1;
    count = json_array_size(list);
    out->cidrs = mem_zalloc_array(count, sizeof(*out->cidrs));
    for (size_t i = 0; i < count; i++) {
        struct str text;

        if (fields_list_str(c, key, list, i, &text) == -1 || fields_check_literal(c, text) == -1)
            return -1;
        if (cidr_parse(text, &out->cidrs[i], c->e) == -1) {
            if (c->e != NULL)
                c->e->code = E_POLICY_CIDR;
            return -1;
        }
    }
    out->count = count;
    return 0;
}

/* Named IP policies are objects of the management API; on a gateway without any, no id exists. */
static int check_ip_policies(struct fields *c)
{
    const json_t *list;
    struct str id;

    if (fields_list(c, "ip_policies", RESTRICT_IPS_BLOCKS_MAX, &list) == -1)
        return -1;
    if (json_array_size(list) == 0)
        return 0;
    if (fields_list_str(c, "ip_policies", list, 0, &id) == -1)
        return -1;
    return err_set(c->e, E_POLICY_IP_POLICY,
                   "there is no IP policy '%.*s'; list CIDR blocks in "
                   "allow and deny instead",
                   STR_ARG(str_slice(id, 0, 64)));
}

static int read_config(struct fields *c, struct restrict_ips *r)
{
    static const char *const known[] = { "enforce", "allow", "deny", "ip_policies", NULL };

    r->enforce = true;
    if (fields_open(c, known) == -1 || fields_bool(c, "enforce", &r->enforce) == -1 ||
        read_blocks(c, "allow", &r->allow) == -1 || read_blocks(c, "deny", &r->deny) == -1 ||
        check_ip_policies(c) == -1)
        return -1;
    if (r->allow.count + r->deny.count > 0)
        return 0;
    fields_at(c, "allow");
    return err_set(c->e, E_POLICY_MISSING, "give at least one CIDR block in allow or deny");
}

void *restrict_ips_compile(struct fields *c)
{
    struct restrict_ips *r = mem_zalloc(sizeof(*r));

    if (read_config(c, r) == -1) {
        restrict_ips_free(r);
        return NULL;
    }
    return r;
}

static bool blocks_contain(const struct blocks *b, const struct addr *a)
{
    for (size_t i = 0; i < b->count; i++) {
        if (cidr_contains(&b->cidrs[i], a))
            return true;
    }
    return false;
}

enum policy_verdict restrict_ips_run(const void *compiled, const struct action_run *run)
{
    const struct restrict_ips *r = compiled;
    const struct addr *client = run->host->client_addr(run->ctx);
    struct policy_response *response = &run->result->response;
    char text[ADDR_IP_TEXT_BYTES];
    bool allowed = blocks_contain(&r->allow, client) && !blocks_contain(&r->deny, client);

    run->result->ip_policy_decision = allowed ? STR("allow") : STR("block");
    if (allowed || !r->enforce)
        return POLICY_CONTINUE;
    if (run->phase == POLICY_ON_TCP_CONNECT)
        return POLICY_CLOSE;
    response->error = E_IP_RESTRICTED;
    response->status = err_status(E_IP_RESTRICTED);
    (void)snprintf(response->message, sizeof(response->message),
                   "your address %s may not use this endpoint", addr_format_ip(client, text));
    return POLICY_RESPOND;
}

void restrict_ips_free(void *compiled)
{
    struct restrict_ips *r = compiled;

    if (r == NULL)
        return;
    mem_free(r->allow.cidrs);
    mem_free(r->deny.cidrs);
    mem_free(r);
}
