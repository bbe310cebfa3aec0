/*
 * endpoints (spec 3.1): cloud endpoints, which are stored and served by their policy alone, and those of
 * live sessions, which are only shown.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "tunnel/api/endpoint_spec.h"
#include "tunnel/api/filter.h"
#include "tunnel/api/live.h"
#include "tunnel/api/reservations.h"
#include "tunnel/url.h"

enum {
    POLICY_MAX_BYTES = 256 * 1024,
    PROBLEMS_MAX_BYTES = 16 * 1024,
    URL_KEY_BYTES = API_ACCOUNT_BYTES + URL_TEXT_BYTES,
};

static const struct api_field fields[] = {
    { .name = "url",
      .type = API_STRING,
      .where = API_C | API_U | API_R | API_F | API_REQUIRED,
      .max_bytes = URL_TEXT_BYTES,
      .too_long = API_ENDPOINT_URL,
      .missing = API_ENDPOINT_NO_URL,
      .text = "scheme://name[:port], whole" },
    { .name = "public_url", .type = API_STRING, .where = API_R, .text = "the same" },
    { .name = "proto", .type = API_STRING, .where = API_R, .text = "http, https, tcp or tls" },
    { .name = "scheme", .type = API_STRING, .where = API_R | API_F, .text = "the same" },
    { .name = "host", .type = API_STRING, .where = API_R, .text = "the name in the URL" },
    { .name = "port", .type = API_INTEGER, .where = API_R, .text = "the port of the URL" },
    { .name = "hostport", .type = API_STRING, .where = API_R, .text = "both" },
    { .name = "type",
      .type = API_STRING,
      .where = API_C | API_R | API_F,
      .text = "cloud; of sessions: ephemeral" },
    { .name = "bindings",
      .type = API_STRINGS,
      .where = API_C | API_U | API_R | API_F,
      .text = "one of public and internal" },
    { .name = "binding",
      .type = API_STRING,
      .where = API_R | API_F | API_OMITTED,
      .text = "the same, for filters" },
    { .name = "traffic_policy",
      .type = API_STRING,
      .where = API_C | API_U | API_R | API_REQUIRED | API_STDIN,
      .max_bytes = POLICY_MAX_BYTES,
      .too_long = API_ENDPOINT_POLICY,
      .missing = API_ENDPOINT_NO_POLICY,
      .text = "the policy that answers everything, YAML or JSON" },
    API_FIELD_DESCRIPTION(API_ENDPOINT_TEXT),
    API_FIELD_METADATA(API_ENDPOINT_METADATA),
    { .name = "pooling_enabled",
      .type = API_BOOL,
      .where = API_C | API_U | API_R | API_F,
      .text = "others that pool may have the URL too" },
    { .name = "name", .type = API_STRING, .where = API_R | API_F, .text = "given by --name" },
    { .name = "region", .type = API_STRING, .where = API_R | API_F, .text = "always empty" },
    API_FIELD_CREATED_AT,
    API_FIELD_UPDATED_AT,
    { .name = "domain", .type = API_REF, .where = API_R, .text = "the reserved domain" },
    { .name = "tcp_addr", .type = API_REF, .where = API_R, .text = "the reserved address" },
    { .name = "tunnel", .type = API_REF, .where = API_R, .text = "of a session" },
    { .name = "tunnel_session", .type = API_REF, .where = API_R, .text = "of a session" },
    { .name = "edge", .type = API_REF, .where = API_R, .text = "always null" },
    { .name = "principal", .type = API_REF, .where = API_R | API_F, .text = "who made it" },
    { .name = "upstream_url",
      .type = API_STRING,
      .where = API_R,
      .text = "the upstream, when the client has said it" },
    { .name = "upstream_protocol",
      .type = API_STRING,
      .where = API_R,
      .text = "http1, http2 or empty" },
};

static bool is_live(const json_t *object)
{
    return str_eq(api_get(object, "type"), STR("ephemeral"));
}

/* ---- addresses ------------------------------------------------------------------------------- */

static enum api_code url_code(enum err_code code)
{
    switch (code) {
    case E_URL_SYNTAX:
        return API_URL_SYNTAX;
    case E_CLOUD_NO_PORT:
        return API_ENDPOINT_NO_PORT;
    case E_CLOUD_SCHEME:
        return API_ENDPOINT_SCHEME;
    case E_CLOUD_PORT:
    case E_INTERNAL_PORT:
        return API_ENDPOINT_PORT;
    case E_BINDING:
        return API_ENDPOINT_BINDING;
    default:
        return API_ENDPOINT_URL;
    }
}

/* Reads the address of an object as it is, or shall be, stored. */
static int read_url(struct api_call *c, const json_t *object, struct url *url)
{
    struct err e = { 0 };

    if (api_endpoint_url_read(object, api_call_host(c)->suffixes, url, &e) == -1)
        return api_fail(c, url_code(e.code), "The URL is invalid: %s.", e.msg);
    return 0;
}

/* Puts the address into the object as it is from now on. */
static void set_url(json_t *object, const struct url *url)
{
    json_t *bindings = json_array();
    char text[URL_TEXT_BYTES];

    api_set(object, "url", str_from(url_format(url, 80, 443, text)));
    (void)json_array_append_new(bindings, json_string(binding_name(url->binding)));
    (void)json_object_set_new(object, "bindings", bindings);
}

/* Endpoints at one address have one scope, with which others are found. */
static void url_scope(const json_t *object, char out[URL_KEY_BYTES])
{
    const char *binding = json_string_value(json_array_get(json_object_get(object, "bindings"), 0));
    bool is_internal = binding != NULL && strcmp(binding, "internal") == 0;

    (void)snprintf(out, URL_KEY_BYTES, "%s,%s", is_internal ? api_get_text(object, "account") : "",
                   api_get_text(object, "url"));
    for (char *p = out; *p != '\0'; p++)
        *p = *p == '/' ? ',' : *p;
}

static size_t keys(const json_t *object, struct api_key out[API_KEYS_MAX])
{
    char scope[URL_KEY_BYTES];

    url_scope(object, scope);
    api_key_set(&out[0], "url", scope, api_get(object, "id"));
    out[0].taken = API_ENDPOINT_TAKEN;
    return 1;
}

/* ---- policies -------------------------------------------------------------------------------- */

static int check_policy(struct api_call *c, const json_t *object, const struct url *url)
{
    const struct api_host *host = api_call_host(c);
    struct str text = api_get(object, "traffic_policy");
    struct buf problems;
    struct err e = { 0 };
    int rc = 0;

    if (text.n == 0)
        return api_fail(c, API_ENDPOINT_NO_POLICY, "The traffic policy is missing.");
    buf_init(&problems, PROBLEMS_MAX_BYTES);
    if (host->policy_check(host->arg, api_get(object, "account"), url, text, &problems, &e) == -1)
        rc = api_fail(c, e.code == E_POLICY_DOCUMENT ? API_POLICY_SYNTAX : API_ENDPOINT_POLICY,
                      "The traffic policy is invalid: %s (ERR_SALLYPORT_%u).", e.msg,
                      err_number(e.code));
    buf_fini(&problems);
    return rc;
}

/* ---- changes --------------------------------------------------------------------------------- */

static int check_type(struct api_call *c, const struct api_change *ch)
{
    struct str type = api_get(ch->input, "type");

    if (api_call_host(c)->endpoint_put == NULL || api_call_host(c)->suffixes == NULL)
        return api_fail(c, API_NOT_OFFERED, "This gateway has no cloud endpoints.");
    if (ch->before != NULL && is_live(ch->before))
        return api_fail(c, API_ENDPOINT_LIVE,
                        "The endpoint belongs to an SSH session; stop the session instead.");
    if (ch->op == API_CREATE && type.n > 0 && !str_eq(type, STR("cloud")))
        return api_fail(c, API_ENDPOINT_TYPE, "Only endpoints of the type cloud can be made here.");
    return 0;
}

static int check(struct api_call *c, struct api_change *ch)
{
    struct url before = { 0 };
    struct url url;

    if (check_type(c, ch) == -1 || read_url(c, ch->after, &url) == -1)
        return -1;
    if (ch->op == API_UPDATE && read_url(c, ch->before, &before) == -1)
        return -1;
    if (ch->op == API_UPDATE && before.scheme != url.scheme)
        return api_fail(c, API_ENDPOINT_NEW_SCHEME, "The scheme of an endpoint cannot be changed.");
    if (check_policy(c, ch->after, &url) == -1)
        return -1;
    set_url(ch->after, &url);
    api_set(ch->after, "type", STR("cloud"));
    if (ch->op == API_CREATE)
        api_set(ch->after, "principal_id", str_from(api_call_who(c)->principal));
    return 0;
}

static int before_delete(struct api_call *c, struct api_change *ch)
{
    return check_type(c, ch);
}

/* Whose fault is it that the address cannot be shared? */
static enum api_code conflict_code(struct api_call *c, const json_t *object)
{
    char scope[URL_KEY_BYTES];
    enum api_code code = API_ENDPOINT_ALONE;
    json_t *ids;
    json_t *id;
    size_t i;

    if (json_is_true(json_object_get(object, "pooling_enabled")))
        return API_ENDPOINT_POOLS_NOT;
    url_scope(object, scope);
    if (api_find_ids(c, &api_resource_endpoints, arena_fmt(&c->arena, "url/%s/", scope), 2, &ids) ==
        -1)
        return API_ENDPOINT_ALONE;
    json_array_foreach(ids, i, id)
    {
        json_t *other = NULL;

        if (str_eq(str_from(json_string_value(id)), api_get(object, "id")) ||
            api_find_stored(c, &api_resource_endpoints, str_from(json_string_value(id)), &other) !=
                1)
            continue;
        if (!json_is_true(json_object_get(other, "pooling_enabled")))
            code = API_ENDPOINT_TAKEN;
        json_decref(other);
    }
    json_decref(ids);
    return code;
}

static int refuse_put(struct api_call *c, const json_t *object, const struct err *e)
{
    switch (e->code) {
    case E_ENDPOINT_ONLINE:
        return api_fail(c, conflict_code(c, object), "The URL is in use: %s.", e->msg);
    case E_HOST_TAKEN:
    case E_TCP_TAKEN:
    case E_TCP_NOT_RESERVED:
    case E_HOST_NOT_RESERVED:
    case E_NESTED_NAME:
    case E_WILDCARD_NOT_RESERVED:
    case E_WILDCARD_TOO_WIDE:
        return api_fail(c, API_ENDPOINT_UNCOVERED, "The URL is not yours to use: %s.", e->msg);
    default:
        return api_fail(c, API_INTERNAL, "The endpoint could not be made live: %s.", e->msg);
    }
}

static int put(struct api_call *c, const json_t *object, struct err *e)
{
    const struct api_host *host = api_call_host(c);
    struct api_endpoint_spec spec;

    if (api_endpoint_spec_read(object, host->suffixes, &spec, e) == -1)
        return -1;
    return host->endpoint_put(host->arg, &spec, e);
}

static int apply(struct api_call *c, const struct api_change *ch)
{
    struct err e = { 0 };

    if (ch->op == API_DELETE)
        return 0;
    return put(c, ch->after, &e) == -1 ? refuse_put(c, ch->after, &e) : 0;
}

static void revert(struct api_call *c, const struct api_change *ch)
{
    const struct api_host *host = api_call_host(c);
    struct err ignored;

    if (ch->op == API_CREATE)
        host->endpoint_remove(host->arg, ch->id);
    if (ch->op != API_UPDATE)
        return;
    (void)put(c, ch->before, &ignored); /* fails only when the process ends */
    host->endpoint_settle(host->arg, ch->id);
}

/* It serves until it is gone for good, and where it was until it is somewhere else for good. */
static void settle(struct api_call *c, const struct api_change *ch)
{
    const struct api_host *host = api_call_host(c);

    if (ch->op == API_DELETE)
        host->endpoint_remove(host->arg, ch->id);
    else if (ch->op == API_UPDATE)
        host->endpoint_settle(host->arg, ch->id);
}

/* ---- showing --------------------------------------------------------------------------------- */

/* The object that makes the address its account's. */
static int show_reservation(struct api_call *c, const json_t *object, const struct url *url,
                            json_t *shown)
{
    const char *member = url->scheme == SCHEME_TCP ? "tcp_addr" : "domain";
    struct str id;

    if (api_find_reservation(c, url, api_get_text(object, "account"), &id) == -1)
        return -1;
    (void)json_object_set_new(shown, member, api_ref(c, id));
    return 0;
}

static int show(struct api_call *c, const json_t *object, json_t *shown)
{
    char hostport[HOST_MAX_BYTES + 8];
    struct url url;
    struct err e;

    api_set(shown, "public_url", api_get(object, "url"));
    (void)json_object_set(shown, "binding", json_array_get(json_object_get(object, "bindings"), 0));
    if (api_endpoint_url_read(object, api_call_host(c)->suffixes, &url, &e) == -1)
        return 0; /* of a session, at a name that no configuration has any more */
    (void)snprintf(hostport, sizeof(hostport), "%s:%u", url.host, (unsigned)url.port);
    api_set(shown, "proto", str_from(scheme_name(url.scheme)));
    api_set(shown, "scheme", str_from(scheme_name(url.scheme)));
    api_set(shown, "host", str_from(url.host));
    (void)json_object_set_new(shown, "port", json_integer(url.port));
    api_set(shown, "hostport", str_from(hostport));
    return show_reservation(c, object, &url, shown);
}

/* ---- lists ----------------------------------------------------------------------------------- */

/* The same address, however it was written. */
static bool is_url(struct api_call *c, struct str asked, struct str url)
{
    const struct url_context context = {
        .command = URL_COMMAND_CLOUD,
        .suffixes = api_call_host(c)->suffixes,
    };
    char text[URL_TEXT_BYTES];
    struct url parsed;
    struct err e;

    if (str_eq(asked, url))
        return true;
    return context.suffixes != NULL && url_parse(asked, &context, &parsed, &e) == 0 &&
           str_eq(str_from(url_format(&parsed, 80, 443, text)), url);
}

static bool is_id(struct api_call *c, struct str asked, struct str id)
{
    (void)c;
    return str_eq(asked, id);
}

typedef bool same_fn(struct api_call *c, struct str asked, struct str value);

/* Is one of what the query asks for the value? True when it asks for none. */
static bool is_asked_for(struct api_call *c, const char *const names[2], same_fn *is_same,
                         struct str value)
{
    bool any = false;

    for (size_t n = 0; n < 2; n++) {
        const struct api_param *p;

        for (size_t i = 0; (p = api_query_find(c->query, str_from(names[n]), i)) != NULL; i++) {
            any = true;
            if (is_same(c, p->value, value))
                return true;
        }
    }
    return !any;
}

static bool listed(struct api_call *c, const json_t *object)
{
    static const char *const ids[] = { "id", "ids" };
    static const char *const urls[] = { "url", "urls" };

    return is_asked_for(c, ids, is_id, api_get(object, "id")) &&
           is_asked_for(c, urls, is_url, api_get(object, "url"));
}

/* ---- both kinds together --------------------------------------------------------------------- */

static int find(struct api_call *c, const struct api_resource *r, struct str id, json_t **object)
{
    int rc = api_call_who(c)->is_restricted ? 0 : api_find_stored(c, r, id, object);

    if (rc != 0)
        return rc;
    *object = api_live_find(c, API_LIVE_ENDPOINT, id);
    return *object != NULL;
}

/* Appends up to `max` of both lists, which are in the order of their ids, the newest first. */
static void merge(const json_t *a, const json_t *b, size_t max, json_t *list)
{
    size_t i = 0;
    size_t k = 0;

    while (i + k < max) {
        json_t *of_a = json_array_get(a, i);
        json_t *of_b = json_array_get(b, k);

        if (of_a == NULL && of_b == NULL)
            return;
        if (of_b == NULL ||
            (of_a != NULL && str_compare(api_get(of_a, "id"), api_get(of_b, "id")) > 0)) {
            (void)json_array_append(list, of_a);
            i++;
        } else {
            (void)json_array_append(list, of_b);
            k++;
        }
    }
}

static int range(struct api_call *c, const struct api_resource *r, struct str before, size_t max,
                 json_t *list)
{
    json_t *stored = json_array();
    json_t *live = json_array();
    int rc = 0;

    if (!api_call_who(c)->is_restricted)
        rc = api_range_stored(c, r, before, max, stored);
    if (rc == 0) {
        api_live_range(c, API_LIVE_ENDPOINT, before, max, live);
        merge(stored, live, max, list);
    }
    json_decref(stored);
    json_decref(live);
    return rc;
}

static const struct api_provider provider = { .find = find, .range = range };

static const char *const list_query[] = { "id", "ids", "url", "urls", NULL };
static const struct api_filter_alias aliases[] = { { "type", "agent", "ephemeral" },
                                                   { NULL, NULL, NULL } };

static const char *const columns[] = { "url", "type", "description", "created_at", NULL };

const struct api_resource api_resource_endpoints = {
    .path = "/endpoints",
    .list_key = "endpoints",
    .kind = "endpoint",
    .prefix = "ep",
    .command = "endpoints",
    .event = "endpoint",
    .text = "public and internal addresses",
    .columns = columns,
    .is_of_sessions = true,
    .verbs = API_CAN_ALL,
    API_FIELDS(fields),
    .has_updated = true,
    .empty_update = API_ENDPOINT_EMPTY,
    .filter_aliases = aliases,
    .list_query = list_query,
    .listed = listed,
    .provider = &provider,
    .check = check,
    .before_delete = before_delete,
    .keys = keys,
    .apply = apply,
    .revert = revert,
    .settle = settle,
    .show = show,
};
