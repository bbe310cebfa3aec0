/*
 * Functions over the message of a policy run (spec traffic-policy 5.4, 5.5) and secrets (5.12). They
 * read the maps of req.* and res.*, so that a name means here what it means there: headers in any case
 * (D18), cookies and query parameters decoded.
 */
#include "policy/fn_request.h"

#include "policy/objects.h"
#include "policy/run_int.h"

/* The list that the map of a variable has under the name; false when there is none. */
static bool find(struct cel_run *cel, unsigned slot, const struct cel_value *name,
                 struct cel_value *out)
{
    struct cel_value map = run_var(cel, slot);

    if (map.kind == CEL_MAP)
        return cel_map_find(cel, map, *name, out);
    *out = map; /* an error of the host */
    return cel_is_error(map);
}

static struct cel_value get_list(struct cel_run *cel, unsigned slot, const struct cel_value *name)
{
    static const struct cel_list none = { .count = 0 };
    struct cel_value found;

    return find(cel, slot, name, &found) ? found : cel_list_of(&none);
}

static struct cel_value has(struct cel_run *cel, unsigned slot, const struct cel_value *name)
{
    struct cel_value found;

    if (!find(cel, slot, name, &found))
        return cel_bool(false);
    return cel_is_error(found) ? found : cel_bool(true);
}

/* The first of its name; a cookie that is not there is an empty one (D24). */
static struct cel_value get_cookie(struct cel_run *cel, unsigned slot, const struct cel_value *name)
{
    static const struct policy_cookie none = { .object = { &policy_cookie_type } };
    struct cel_value found;

    if (!find(cel, slot, name, &found))
        return cel_object_of(&none.object);
    if (found.kind == CEL_LIST && found.as.list->count > 0)
        return found.as.list->items[0];
    return cel_is_error(found) ? found : cel_object_of(&none.object);
}

static struct cel_value get_req_header(struct cel_run *cel, const struct cel_value *args,
                                       size_t count)
{
    (void)count;
    return get_list(cel, VAR_REQ_HEADERS, &args[0]);
}

static struct cel_value has_req_header(struct cel_run *cel, const struct cel_value *args,
                                       size_t count)
{
    (void)count;
    return has(cel, VAR_REQ_HEADERS, &args[0]);
}

static struct cel_value get_query_param(struct cel_run *cel, const struct cel_value *args,
                                        size_t count)
{
    (void)count;
    return get_list(cel, VAR_REQ_URL_QUERY_PARAMS, &args[0]);
}

static struct cel_value has_query_param(struct cel_run *cel, const struct cel_value *args,
                                        size_t count)
{
    (void)count;
    return has(cel, VAR_REQ_URL_QUERY_PARAMS, &args[0]);
}

static struct cel_value get_req_cookie(struct cel_run *cel, const struct cel_value *args,
                                       size_t count)
{
    (void)count;
    return get_cookie(cel, VAR_REQ_COOKIES, &args[0]);
}

static struct cel_value has_req_cookie(struct cel_run *cel, const struct cel_value *args,
                                       size_t count)
{
    (void)count;
    return has(cel, VAR_REQ_COOKIES, &args[0]);
}

static struct cel_value get_res_header(struct cel_run *cel, const struct cel_value *args,
                                       size_t count)
{
    (void)count;
    return get_list(cel, VAR_RES_HEADERS, &args[0]);
}

static struct cel_value has_res_header(struct cel_run *cel, const struct cel_value *args,
                                       size_t count)
{
    (void)count;
    return has(cel, VAR_RES_HEADERS, &args[0]);
}

/* Of several the one with the longest path, which comes first in res.cookies. */
static struct cel_value get_res_cookie(struct cel_run *cel, const struct cel_value *args,
                                       size_t count)
{
    (void)count;
    return get_cookie(cel, VAR_RES_COOKIES, &args[0]);
}

static struct cel_value has_res_cookie(struct cel_run *cel, const struct cel_value *args,
                                       size_t count)
{
    (void)count;
    return has(cel, VAR_RES_COOKIES, &args[0]);
}

static struct cel_value get_secret(struct cel_run *cel, const struct cel_value *args, size_t count)
{
    (void)count;
    return run_secret(run_of(cel), cel, cel_str(args[0]), cel_str(args[1]));
}

static const struct cel_fn_row request_rows[] = {
    { "getReqHeader(string) -> list(string)", get_req_header, CEL_FN_IMPURE },
    { "hasReqHeader(string) -> bool", has_req_header, CEL_FN_IMPURE },
    { "getQueryParam(string) -> list(string)", get_query_param, CEL_FN_IMPURE },
    { "hasQueryParam(string) -> bool", has_query_param, CEL_FN_IMPURE },
    { "getReqCookie(string) -> cookie", get_req_cookie, CEL_FN_IMPURE },
    { "hasReqCookie(string) -> bool", has_req_cookie, CEL_FN_IMPURE },
};

static const struct cel_fn_row response_rows[] = {
    { "getResHeader(string) -> list(string)", get_res_header, CEL_FN_IMPURE },
    { "hasResHeader(string) -> bool", has_res_header, CEL_FN_IMPURE },
    { "getResCookie(string) -> cookie", get_res_cookie, CEL_FN_IMPURE },
    { "hasResCookie(string) -> bool", has_res_cookie, CEL_FN_IMPURE },
};

static const struct cel_fn_row secrets_rows[] = {
    { "secrets.get(string, string) -> string", get_secret, CEL_FN_IMPURE },
};

#define LIBRARY(table)                                                                             \
    {                                                                                              \
        (table), sizeof(table) / sizeof((table)[0])                                                \
    }

const struct cel_library policy_request_library = LIBRARY(request_rows);
const struct cel_library policy_response_library = LIBRARY(response_rows);
const struct cel_library policy_secrets_library = LIBRARY(secrets_rows);
