/*
 * One switch in each group, from the number of a variable to its value. The engine asks for a
 * variable once until the message changes, so what is cheap is simply made; what several variables
 * share (the URL, the user agent, a place, the certificate) is kept as a fact of the exchange.
 */
#include "gateway/policy_vars.h"

#include <string.h>

#include "gateway/policy_vars_int.h"
#include "policy/message_text.h"
#include "policy/objects.h"

struct policy_facts *policy_facts_of(struct exchange *x)
{
    if (x->facts == NULL)
        x->facts = arena_zalloc(&x->arena, sizeof(*x->facts));
    return x->facts;
}

void policy_facts_forget_url(struct exchange *x)
{
    if (x->facts != NULL)
        x->facts->url = NULL;
}

static const struct cel_list empty_list;

static struct cel_value zero_of(const char *type)
{
    if (strcmp(type, "string") == 0)
        return cel_string(STR(""));
    if (strcmp(type, "int") == 0)
        return cel_int(0);
    if (strcmp(type, "bool") == 0)
        return cel_bool(false);
    if (strcmp(type, "timestamp") == 0)
        return (struct cel_value){ .kind = CEL_ERROR,
                                   .n = sizeof("there is no such time") - 1,
                                   .as.p = "there is no such time" };
    return strncmp(type, "list", 4) == 0 ? cel_list_of(&empty_list) : policy_empty_map();
}

struct cel_value policy_vars_zero(enum policy_var var)
{
    struct cel_value v = zero_of(policy_vars[var].type);

    v.absent = true; /* has() is false */
    return v;
}

struct cel_value policy_vars_text(struct arena *arena, struct str s)
{
    return cel_string(message_text_clean(arena, s));
}

struct cel_value policy_vars_time(uint64_t wall_ms)
{
    return cel_timestamp((int64_t)(wall_ms / 1000), (uint32_t)(wall_ms % 1000) * 1000000);
}

/* The groups are ranges of vars.def. */
struct cel_value policy_vars_visit(const struct policy_visit *v, enum policy_var var)
{
    if (var >= VAR_CONN_TLS_CIPHER_SUITE && var <= VAR_CONN_TLS_CLIENT_PEM)
        return policy_vars_tls(v, var);
    return policy_vars_conn(v, var);
}

struct cel_value policy_vars_get(struct exchange_hop *hop, enum policy_var var, struct arena *arena)
{
    struct exchange *x = hop->exchange;
    struct policy_visit visit;

    if (var >= VAR_REQ_CONTENT_ENCODING && var <= VAR_REQ_VERSION)
        return policy_vars_req(x, var, arena);
    if (var >= VAR_RES_CONTENT_ENCODING && var <= VAR_RES_TRAILERS)
        return policy_vars_res(x, var, arena);
    visit = (struct policy_visit){
        .gateway = x->gateway,
        .origin = x->origin,
        .client = &x->client,
        .endpoint = hop->endpoint,
        .data = x->data,
        .arena = &x->arena,
        .facts = &policy_facts_of(x)->visit,
    };
    return policy_vars_visit(&visit, var);
}

/* ---- fields of a message ---------------------------------------------------------------------- */

struct str header_value(const struct http_headers *headers, const char *name)
{
    const struct http_header *h = http_headers_find(headers, str_from(name), 0);

    return h == NULL ? STR_NONE : h->value;
}

struct str *header_values(struct arena *arena, const struct http_headers *headers, const char *name,
                          size_t *count)
{
    struct str *values = arena_alloc(arena, (headers->count + 1) * sizeof(*values));

    *count = 0;
    for (size_t i = 0; i < headers->count; i++) {
        if (str_eq_nocase(headers->items[i].name, str_from(name)))
            values[(*count)++] = headers->items[i].value;
    }
    return values;
}
