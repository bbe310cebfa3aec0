/*
 * Lists (spec 1.9): newest first, by pages that end where the ids of the next one begin. A page is
 * scanned to its end and one further, so an empty page never has a successor.
 */
#include <string.h>

#include "base/mem.h"
#include "tunnel/api/api_int.h"
#include "tunnel/api/filter.h"

enum { LIMIT_MAX = 100, CHUNK = 128, URI_MAX_BYTES = 64 * 1024 };

struct page {
    const struct api_resource *resource;
    const char *uri_path; /* of the list */
    size_t limit;
    struct str before;
    struct str filter_text;    /* p NULL: none */
    struct api_filter *filter; /* owned; NULL: none */
    api_match_fn *matches;     /* NULL: all */
    void *arg;
    json_t *items; /* owned */
    bool more;
};

/* ---- parameters ----------------------------------------------------------------------------- */

static bool is_one_of(struct str name, const char *const *list)
{
    for (; list != NULL && *list != NULL; list++) {
        if (str_eq(name, str_from(*list)))
            return true;
    }
    return false;
}

static int check_names(struct api_call *c, const struct page *p)
{
    const struct api_resource *r = p->resource;

    for (size_t i = 0; i < c->query->count; i++) {
        struct str name = c->query->items[i].name;
        bool is_own = is_one_of(name, r->list_query) || is_one_of(name, r->ignored_query);
        bool is_common = str_eq(name, STR("limit")) || str_eq(name, STR("before_id")) ||
                         str_eq(name, STR("beforeId")) ||
                         (str_eq(name, STR("filter")) && !r->no_filter && p->matches == NULL) ||
                         (str_eq(name, STR("id")) && p->matches != NULL);

        if (!is_common && !is_own)
            return api_fail(c, API_QUERY_UNKNOWN, "The query parameter \"%.*s\" is unknown here.",
                            STR_ARG(str_slice(name, 0, 64)));
        if (!is_own && api_query_find(c->query, name, 1) != NULL)
            return api_fail(c, API_QUERY_TWICE, "The query parameter \"%.*s\" is given twice.",
                            STR_ARG(name));
    }
    return 0;
}

static int take_limit(struct api_call *c, struct page *p)
{
    const struct api_param *param = api_query_find(c->query, STR("limit"), 0);
    uint64_t n = LIMIT_MAX;

    if (param != NULL) {
        struct str digits = param->value;
        bool is_negative = digits.n > 1 && digits.p[0] == '-';

        /* A number beyond what fits, or below 0, is a number all the same. */
        if (is_negative)
            digits = str_skip(digits, 1);
        for (size_t i = 0; i < digits.n; i++) {
            if (!char_is_digit(digits.p[i]))
                digits.n = 0;
        }
        if (digits.n == 0)
            return api_fail(c, API_LIMIT_SYNTAX, "The query parameter limit is not a number.");
        if (is_negative || str_to_u64(digits, LIMIT_MAX, &n) == -1 || n == 0)
            return api_fail(c, API_LIMIT_RANGE, "The query parameter limit must be 1 to %d.",
                            LIMIT_MAX);
    }
    p->limit = (size_t)n;
    return 0;
}

static int take_before(struct api_call *c, struct page *p)
{
    const struct api_param *param = api_query_find(c->query, STR("before_id"), 0);

    if (param == NULL)
        param = api_query_find(c->query, STR("beforeId"), 0);
    if (param == NULL || param->value.n == 0)
        return 0;
    if (!id_is_valid(param->value, p->resource->prefix))
        return api_fail(c, API_ID_SYNTAX, "before_id is not the id of a resource of the kind %s.",
                        p->resource->kind);
    p->before = param->value;
    return 0;
}

/* ---- filters -------------------------------------------------------------------------------- */

static enum api_filter_type filter_type(enum api_type type)
{
    switch (type) {
    case API_STRING:
    case API_REF:
        return API_FILTER_STRING;
    case API_BOOL:
        return API_FILTER_BOOL;
    case API_INTEGER:
        return API_FILTER_NUMBER;
    case API_TIME:
        return API_FILTER_TIME;
    case API_STRINGS:
    case API_OBJECT:
    case API_OBJECTS:
        return API_FILTER_LIST;
    }
    return API_FILTER_STRING;
}

static bool is_id(const struct api_field *f)
{
    return f->type == API_REF || str_ends(str_from(f->name), STR("_id")) ||
           strcmp(f->name, "serial_number") == 0;
}

/* The names that may stand in filters of this resource, in the arena. */
static struct api_filter_field *filter_fields(struct api_call *c, const struct api_resource *r,
                                              size_t *count)
{
    struct api_filter_field *out = arena_zalloc(&c->arena, (2 * r->field_count + 1) * sizeof(*out));
    size_t n = 0;

    out[n++] = (struct api_filter_field){ .name = "id", .type = API_FILTER_STRING, .is_id = true };
    for (size_t i = 0; i < r->field_count; i++) {
        const struct api_field *f = &r->fields[i];

        if ((f->where & API_F) == 0)
            continue;
        out[n++] = (struct api_filter_field){ .name = f->name,
                                              .type = filter_type(f->type),
                                              .is_id = is_id(f) };
        if (f->type == API_REF)
            out[n++] = (struct api_filter_field){ .name = arena_fmt(&c->arena, "%s.id", f->name).p,
                                                  .type = API_FILTER_STRING,
                                                  .is_id = true };
    }
    *count = n;
    return out;
}

static int take_filter(struct api_call *c, struct page *p)
{
    const struct api_param *param = api_query_find(c->query, STR("filter"), 0);
    struct api_filter_params params = { .now_ms = c->wall_ms };
    struct err e = { 0 };

    if (param == NULL || param->value.n == 0 || p->matches != NULL)
        return 0;
    params.fields = filter_fields(c, p->resource, &params.field_count);
    params.aliases = p->resource->filter_aliases;
    p->filter = api_filter_parse(param->value, &params, &e);
    if (p->filter == NULL)
        return api_fail(c, API_FILTER, "The filter is invalid: %s.", e.msg);
    p->filter_text = param->value;
    return 0;
}

/* ---- scanning ------------------------------------------------------------------------------- */

/* Shows one object on the page if it belongs there; sets `more` when the page is full. */
static int take_object(struct api_call *c, struct page *p, const json_t *object)
{
    json_t *shown;

    if (p->matches != NULL && !p->matches(object, p->arg))
        return 0;
    if (p->resource->listed != NULL && !p->resource->listed(c, object))
        return 0;
    shown = api_show(c, p->resource, object);
    if (shown == NULL)
        return -1;
    if (p->filter != NULL && !api_filter_matches(p->filter, shown)) {
        json_decref(shown);
        return 0;
    }
    if (json_array_size(p->items) == p->limit) {
        p->more = true;
        json_decref(shown);
        return 0;
    }
    (void)json_array_append_new(p->items, shown);
    return 0;
}

/* Does what is asked for leave out some objects? */
static bool is_selective(const struct api_call *c, const struct page *p)
{
    if (p->filter != NULL || p->matches != NULL)
        return true;
    for (const char *const *own = p->resource->list_query; own != NULL && *own != NULL; own++) {
        if (api_query_find(c->query, str_from(*own), 0) != NULL)
            return true;
    }
    return false;
}

static int scan(struct api_call *c, struct page *p)
{
    const struct api_resource *r = p->resource;
    struct str before = p->before;
    size_t max = is_selective(c, p) ? CHUNK : p->limit + 1;

    for (;;) {
        json_t *chunk = json_array();
        int rc = r->provider != NULL ? r->provider->range(c, r, before, max, chunk)
                                     : api_range_stored(c, r, before, max, chunk);
        size_t n = json_array_size(chunk);

        for (size_t i = 0; rc != -1 && !p->more && i < n; i++)
            rc = take_object(c, p, json_array_get(chunk, i));
        if (n > 0)
            before = arena_str(&c->arena, api_get(json_array_get(chunk, n - 1), "id"));
        json_decref(chunk);
        if (rc == -1)
            return -1;
        if (p->more || n < max)
            return 0;
    }
}

/* ---- the answer ----------------------------------------------------------------------------- */

static json_t *next_page(struct api_call *c, const struct page *p)
{
    const json_t *last = json_array_get(p->items, json_array_size(p->items) - 1);
    struct buf uri;
    json_t *text;

    if (!p->more)
        return json_null();
    buf_init(&uri, URI_MAX_BYTES);
    buf_add_str(&uri, str_from(api_uri(c, p->uri_path, STR_NONE)));
    api_query_add(&uri, '?', "before_id", api_get(last, "id"));
    if (p->filter_text.p != NULL)
        api_query_add(&uri, '&', "filter", p->filter_text);
    for (const char *const *own = p->resource->list_query; own != NULL && *own != NULL; own++) {
        const struct api_param *param;

        for (size_t i = 0; (param = api_query_find(c->query, str_from(*own), i)) != NULL; i++)
            api_query_add(&uri, '&', *own, param->value);
    }
    buf_add_fmt(&uri, "&limit=%zu", p->limit);
    text = json_stringn(buf_str(&uri).p, uri.len);
    buf_fini(&uri);
    return text;
}

static void answer_page(struct api_call *c, struct page *p)
{
    json_t *body = json_object();

    (void)json_object_set(body, p->resource->list_key, p->items);
    api_set(body, "uri", str_from(api_uri(c, p->uri_path, STR_NONE)));
    (void)json_object_set_new(body, "next_page_uri", next_page(c, p));
    api_answer(c, 200, body);
}

int api_answer_list(struct api_call *c, const struct api_resource *r, const char *uri_path,
                    api_match_fn *matches, void *arg)
{
    struct page p = { .resource = r, .uri_path = uri_path, .matches = matches, .arg = arg };
    int rc = -1;

    p.items = json_array();
    if (check_names(c, &p) == 0 && take_limit(c, &p) == 0 && take_before(c, &p) == 0 &&
        take_filter(c, &p) == 0)
        rc = scan(c, &p);
    if (rc == 0)
        answer_page(c, &p);
    api_filter_free(p.filter);
    json_decref(p.items);
    return rc;
}

int api_list(struct api_call *c, const struct api_resource *r)
{
    return api_answer_list(c, r, r->path, NULL, NULL);
}
