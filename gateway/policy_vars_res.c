/* The variables of responses (spec traffic-policy 4.8). */
#include "gateway/policy_vars_int.h"
#include "policy/cookies.h"
#include "policy/media_type.h"

static struct cel_value trailers(struct exchange *x)
{
    const struct gather *g = &x->response_body;

    if (g->state != GATHER_WHOLE || !g->has_trailers)
        return policy_vars_zero(VAR_RES_TRAILERS);
    return header_view(x, &g->trailers, false);
}

struct cel_value policy_vars_res(struct exchange *x, enum policy_var var, struct arena *arena)
{
    const struct http_headers *h = &x->response.headers;
    struct str *values;
    size_t count;

    switch (var) { /* the variables of this function only */
    case VAR_RES_CONTENT_ENCODING:
        values = header_values(arena, h, "content-encoding", &count);
        return content_codings(arena, values, count);
    case VAR_RES_CONTENT_LENGTH:
        return x->response.has_content_length ? cel_int((int64_t)x->response.content_length)
                                              : policy_vars_zero(var);
    case VAR_RES_CONTENT_TYPE:
        return cel_string(media_type_essence(arena, header_value(h, "content-type")));
    case VAR_RES_CONTENT_TYPE_PARAMETERS:
        return media_type_parameters(arena, header_value(h, "content-type"));
    case VAR_RES_CONTENT_TYPE_RAW:
        return policy_vars_text(arena, header_value(h, "content-type"));
    case VAR_RES_COOKIES:
        values = header_values(arena, h, "set-cookie", &count);
        return cookies_of_response(arena, values, count);
    case VAR_RES_HEADERS:
        return header_view(x, h, false);
    case VAR_RES_LOCATION:
        return policy_vars_text(arena, header_value(h, "location"));
    case VAR_RES_STATUS_CODE:
        return cel_int(x->response.status);
    case VAR_RES_TRAILERS:
        return trailers(x);
    default:
        return policy_vars_zero(var);
    }
}
