/* The variables of requests (spec traffic-policy 4.7). */
#include "gateway/policy_vars_int.h"
#include "policy/cookies.h"
#include "policy/media_type.h"
#include "policy/message_text.h"
#include "policy/request_url.h"
#include "policy/user_agent.h"
#include "tunnel/url.h"

static const struct request_url *url_of(struct exchange *x)
{
    struct policy_facts *facts = policy_facts_of(x);

    if (facts->url == NULL) {
        facts->url = arena_alloc(&x->arena, sizeof(*facts->url));
        request_url_build(&x->arena, str_from(scheme_name(x->origin->scheme)), x->host,
                          x->request.target, facts->url);
    }
    return facts->url;
}

static struct cel_value url_var(struct exchange *x, enum policy_var var, struct arena *arena)
{
    const struct request_url *u = url_of(x);

    switch (var) { /* the variables of this function only */
    case VAR_REQ_URL:
        return cel_string(u->url);
    case VAR_REQ_URL_AUTHORITY:
        return cel_string(u->authority);
    case VAR_REQ_URL_HOST:
        return cel_string(u->host);
    case VAR_REQ_URL_PATH:
        return cel_string(u->path);
    case VAR_REQ_URL_PORT:
        return u->has_port ? cel_int(u->port) : policy_vars_zero(var);
    case VAR_REQ_URL_QUERY:
        return cel_string(u->query);
    case VAR_REQ_URL_QUERY_PARAMS:
        return request_url_query_params(arena, x->request.query);
    case VAR_REQ_URL_RAW:
        return cel_string(u->raw);
    case VAR_REQ_URL_RAW_PATH:
        return cel_string(u->raw_path);
    case VAR_REQ_URL_SCHEME:
        return cel_string(u->scheme);
    case VAR_REQ_URL_URI:
        return cel_string(u->uri);
    case VAR_REQ_URL_USER_PASSWORD:
        return cel_string(u->user_password);
    default:
        return policy_vars_zero(var);
    }
}

static const struct user_agent *agent_of(struct exchange *x)
{
    struct policy_facts *facts = policy_facts_of(x);
    struct str text = header_value(&x->request.headers, "user-agent");

    if (facts->agent == NULL)
        facts->agent = arena_alloc(&x->arena, sizeof(*facts->agent));
    else if (str_eq(text, facts->agent_text))
        return facts->agent;
    facts->agent_text = text;
    user_agent_parse(text, facts->agent);
    return facts->agent;
}

static struct cel_value agent_var(struct exchange *x, enum policy_var var)
{
    const struct user_agent *a = agent_of(x);

    switch (var) { /* the variables of this function only */
    case VAR_REQ_USER_AGENT_NAME:
        return cel_string(a->name);
    case VAR_REQ_USER_AGENT_VERSION:
        return cel_string(a->version);
    case VAR_REQ_USER_AGENT_OS:
        return cel_string(a->os);
    case VAR_REQ_USER_AGENT_OS_VERSION:
        return cel_string(a->os_version);
    case VAR_REQ_USER_AGENT_DEVICE:
        return cel_string(a->device);
    case VAR_REQ_USER_AGENT_IS_MOBILE:
        return cel_bool(a->is_mobile);
    case VAR_REQ_USER_AGENT_IS_TABLET:
        return cel_bool(a->is_tablet);
    case VAR_REQ_USER_AGENT_IS_DESKTOP:
        return cel_bool(a->is_desktop);
    case VAR_REQ_USER_AGENT_IS_BOT:
        return cel_bool(a->is_bot);
    case VAR_REQ_USER_AGENT_URL:
        return cel_string(a->url);
    default:
        return policy_vars_zero(var);
    }
}

static struct cel_value trailers(struct exchange *x)
{
    const struct gather *g = &x->request_body;

    if (g->state != GATHER_WHOLE || !g->has_trailers)
        return policy_vars_zero(VAR_REQ_TRAILERS);
    return header_view(x, &g->trailers, false);
}

static struct cel_value field_var(struct exchange *x, enum policy_var var, struct arena *arena)
{
    const struct http_headers *h = &x->request.headers;
    struct str *values;
    size_t count;

    switch (var) { /* the variables of this function only */
    case VAR_REQ_CONTENT_ENCODING:
        values = header_values(arena, h, "content-encoding", &count);
        return content_codings(arena, values, count);
    case VAR_REQ_CONTENT_TYPE:
        return cel_string(media_type_essence(arena, header_value(h, "content-type")));
    case VAR_REQ_CONTENT_TYPE_PARAMETERS:
        return media_type_parameters(arena, header_value(h, "content-type"));
    case VAR_REQ_CONTENT_TYPE_RAW:
        return policy_vars_text(arena, header_value(h, "content-type"));
    case VAR_REQ_COOKIES:
        values = header_values(arena, h, "cookie", &count);
        return cookies_of_request(arena, values, count);
    case VAR_REQ_HEADERS:
        return header_view(x, h, true);
    case VAR_REQ_LOCATION:
        return policy_vars_text(arena, header_value(h, "location"));
    case VAR_REQ_USER_AGENT:
        return policy_vars_text(arena, header_value(h, "user-agent"));
    default:
        return policy_vars_zero(var);
    }
}

struct cel_value policy_vars_req(struct exchange *x, enum policy_var var, struct arena *arena)
{
    if (var >= VAR_REQ_URL && var <= VAR_REQ_URL_USER_PASSWORD)
        return url_var(x, var, arena);
    if (var > VAR_REQ_USER_AGENT && var <= VAR_REQ_USER_AGENT_URL)
        return agent_var(x, var);
    switch (var) { /* the variables of this function only */
    case VAR_REQ_CONTENT_LENGTH:
        return x->request.has_content_length ? cel_int((int64_t)x->request.content_length)
                                             : policy_vars_zero(var);
    case VAR_REQ_HOST:
        return policy_vars_text(arena, x->host);
    case VAR_REQ_METHOD:
        return policy_vars_text(arena, x->request.method);
    case VAR_REQ_TRAILERS:
        return trailers(x);
    case VAR_REQ_TS_BODY_RECEIVED:
        return x->body_received_ms == 0 ? policy_vars_zero(var)
                                        : policy_vars_time(x->body_received_ms);
    case VAR_REQ_TS_HEADER_RECEIVED:
        return policy_vars_time(x->start_wall_ms);
    case VAR_REQ_VERSION:
        return cel_string(http_request_version(&x->request));
    default:
        return field_var(x, var, arena);
    }
}
