#include "tunnel/api/command.h"

#include <stdarg.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "tunnel/api/command_int.h"
#include "tunnel/api/query.h"

enum { SHOWN_BYTES = 40 };

const struct api_command_verb api_command_verbs[API_COMMAND_VERBS] = {
    { "create", API_CAN_CREATE, "POST", false, true, "make one" },
    { "get", API_CAN_GET, "GET", true, false, "show one" },
    { "list", API_CAN_LIST, "GET", false, false, "show all, newest first" },
    { "update", API_CAN_UPDATE, "PATCH", true, true, "change what the options say" },
    { "delete", API_CAN_DELETE, "DELETE", true, false, "delete one" },
};

/* Groups of the hosted service that are not offered here, and the paths that say so. */
static const struct {
    const char *name;
    const char *path;
} not_offered[] = {
    { "agent-ingresses", "/agent_ingresses" },
    { "ai-gateway-api-keys", "/ai_gateway_api_keys" },
    { "ai-gateway-provider-keys", "/ai_gateway_api_keys" },
    { "abuse-reports", "/abuse_reports" },
    { "backends", "/backends" },
    { "bot-users", "/bot_users" },
    { "edge-modules", "/edges" },
    { "edges", "/edges" },
    { "endpoint-configurations", "/edges" },
    { "kubernetes-operators", "/kubernetes_operators" },
    { "personal-access-tokens", "/personal_access_tokens" },
    { "pointcfg-module", "/pointcfg" },
};

/* ---- life ----------------------------------------------------------------------------------- */

void api_command_fini(struct api_command *c)
{
    json_decref(c->body);
    buf_fini(&c->own_query);
    arena_fini(&c->arena);
    c->body = NULL;
}

/* ---- what a command is ---------------------------------------------------------------------- */

bool api_command_takes_field(const struct api_command *c, const struct api_field *f)
{
    return (api_command_is(c, API_CAN_CREATE) && (f->where & API_C) != 0) ||
           (api_command_is(c, API_CAN_UPDATE) && (f->where & API_U) != 0);
}

bool api_command_takes_pem(const struct api_command *c)
{
    const struct api_field *certificate = api_field_find(c->resource, STR("certificate_pem"));
    const struct api_field *key = api_field_find(c->resource, STR("private_key_pem"));

    return certificate != NULL && key != NULL && api_command_takes_field(c, certificate) &&
           api_command_takes_field(c, key);
}

void api_command_add_name(const struct api_command *c, struct buf *out)
{
    switch (c->kind) {
    case API_COMMAND_LS:
        buf_add_str(out, STR("ls"));
        return;
    case API_COMMAND_WHOAMI:
        buf_add_str(out, STR("whoami"));
        return;
    case API_COMMAND_KILL:
        buf_add_str(out, STR("kill"));
        return;
    case API_COMMAND_CALL:
    case API_COMMAND_HELP:
        break;
    }
    buf_add_str(out, STR("api"));
    if (c->resource != NULL)
        buf_add_fmt(out, " %s", c->resource->command);
    if (c->verb != NULL)
        buf_add_fmt(out, " %s", c->verb->name);
    if (c->action != NULL)
        buf_add_fmt(out, " %s", c->action->command);
}

int api_command_refuse(const struct api_command *c, struct buf *problem, const char *fmt, ...)
{
    va_list ap;

    api_command_add_name(c, problem);
    buf_add_str(problem, STR(": "));
    va_start(ap, fmt);
    buf_add_vfmt(problem, fmt, ap);
    va_end(ap);
    buf_add_char(problem, '\n');
    return -1;
}

/* ---- words before the options --------------------------------------------------------------- */

static bool take_help(struct api_words *w)
{
    struct str word = api_words_peek(w);

    if (!str_eq(word, STR("--help")) && !str_eq(word, STR("-h")) && !str_eq(word, STR("help")))
        return false;
    w->at++;
    return true;
}

static bool read_not_offered(struct api_command *c, struct str group)
{
    for (size_t i = 0; i < sizeof(not_offered) / sizeof(not_offered[0]); i++) {
        if (!str_eq(group, str_from(not_offered[i].name)))
            continue;
        c->method = STR("GET");
        c->path = str_from(not_offered[i].path);
        return true;
    }
    return false;
}

static int refuse_group(const struct api_command *c, struct str group, struct buf *problem)
{
    const struct api_resource *r;
    struct buf names;

    buf_init(&names, API_COMMAND_TEXT_MAX_BYTES);
    for (size_t i = 0; (r = api_resource_group_at(i)) != NULL; i++)
        buf_add_fmt(&names, "%s%s", i > 0 ? ", " : "", r->command);
    (void)api_command_refuse(c, problem, "there is no '%.*s'; there are: %.*s, self",
                             STR_ARG(str_slice(group, 0, SHOWN_BYTES)), STR_ARG(buf_str(&names)));
    buf_fini(&names);
    return -1;
}

static const struct api_resource *find_group(struct str group)
{
    const struct api_resource *r;

    for (size_t i = 0; (r = api_resource_group_at(i)) != NULL; i++) {
        if (str_eq(group, str_from(r->command)))
            return r;
    }
    return NULL;
}

static bool find_verb(struct api_command *c, struct str word)
{
    const struct api_resource *r = c->resource;

    for (size_t i = 0; i < API_COMMAND_VERBS; i++) {
        if ((api_command_verbs[i].can & r->verbs) == 0 ||
            !str_eq(word, str_from(api_command_verbs[i].name)))
            continue;
        c->verb = &api_command_verbs[i];
        c->method = str_from(c->verb->method);
        return true;
    }
    for (size_t i = 0; i < r->action_count; i++) {
        if (r->actions[i].command == NULL || !str_eq(word, str_from(r->actions[i].command)))
            continue;
        c->action = &r->actions[i];
        c->method = str_from(r->actions[i].method);
        return true;
    }
    return false;
}

static int refuse_verb(const struct api_command *c, struct str word, struct buf *problem)
{
    const struct api_resource *r = c->resource;
    struct buf names;

    buf_init(&names, API_COMMAND_TEXT_MAX_BYTES);
    for (size_t i = 0; i < API_COMMAND_VERBS; i++) {
        if ((api_command_verbs[i].can & r->verbs) != 0)
            buf_add_fmt(&names, "%s%s", names.len > 0 ? ", " : "", api_command_verbs[i].name);
    }
    for (size_t i = 0; i < r->action_count; i++) {
        if (r->actions[i].command != NULL)
            buf_add_fmt(&names, "%s%s", names.len > 0 ? ", " : "", r->actions[i].command);
    }
    if (word.p == NULL)
        (void)api_command_refuse(c, problem, "a verb is missing: %.*s", STR_ARG(buf_str(&names)));
    else
        (void)api_command_refuse(c, problem, "there is no verb '%.*s'; there are: %.*s",
                                 STR_ARG(str_slice(word, 0, SHOWN_BYTES)),
                                 STR_ARG(buf_str(&names)));
    buf_fini(&names);
    return -1;
}

static int read_id(struct api_command *c, struct api_words *w, struct buf *problem)
{
    struct str id = api_words_peek(w);

    if (id.n == 0 || api_words_at_option(w))
        return api_command_refuse(c, problem, "an id is missing; it stands before the options");
    if (c->resource != NULL && c->resource->nesting != NULL)
        c->parent_id = id;
    else
        c->id = id;
    w->at++;
    return 0;
}

static int refuse_extra(const struct api_command *c, const struct api_words *w, struct buf *problem)
{
    return api_command_refuse(c, problem, "'%.*s' was not expected here",
                              STR_ARG(str_slice(api_words_peek(w), 0, SHOWN_BYTES)));
}

/* ---- paths ---------------------------------------------------------------------------------- */

/* "/event_subscriptions/<id>/sources" */
static void add_nesting(const struct api_command *c, struct buf *path)
{
    const struct api_nesting *n = c->resource->nesting;

    if (n == NULL)
        return;
    buf_add_fmt(path, "%s/", n->parent->path);
    api_query_encode(path, c->parent_id);
    buf_add_fmt(path, "/%s", n->name);
}

/* Any id is one segment, whatever it is made of. */
static void make_path(struct api_command *c)
{
    struct buf path;

    buf_init(&path, 3 * API_COMMAND_LINE_MAX_BYTES + API_PATH_MAX_BYTES);
    buf_add_str(&path, str_from(c->resource->path));
    add_nesting(c, &path);
    if (c->id.n > 0) {
        buf_add_char(&path, '/');
        api_query_encode(&path, c->id);
    }
    if (c->action != NULL)
        buf_add_fmt(&path, "/%s", c->action->name);
    c->path = arena_str(&c->arena, buf_str(&path));
    buf_fini(&path);
}

static void add_param(struct buf *out, const char *name, struct str value)
{
    if (value.p != NULL)
        api_query_add(out, '&', name, value);
}

void api_command_query(const struct api_command *c, struct str before_id, struct buf *out)
{
    add_param(out, "before_id", before_id);
    add_param(out, "filter", c->filter);
    add_param(out, "limit", c->limit);
    buf_add_str(out, buf_str(&c->own_query));
    if (out->len > 0)
        buf_consume(out, 1); /* the first "&" */
}

/* ---- commands ------------------------------------------------------------------------------- */

/* What a nested object is named by must have come as options. */
static int check_nesting(const struct api_command *c, struct buf *problem)
{
    const struct api_nesting *n = c->resource->nesting;

    if (n == NULL)
        return 0;
    if (c->parent_id.n == 0)
        return api_command_refuse_missing(c, n->parent_field, problem);
    if (api_command_has_id(c) && c->id.n == 0)
        return api_command_refuse_missing(c, n->item_field, problem);
    return 0;
}

static int parse_call(struct api_command *c, struct api_words *w, struct buf *problem)
{
    if (!find_verb(c, api_words_peek(w)))
        return refuse_verb(c, api_words_peek(w), problem);
    w->at++;
    if (take_help(w)) {
        c->kind = API_COMMAND_HELP;
        return 0;
    }
    if (api_command_has_word(c) && read_id(c, w, problem) == -1)
        return -1;
    if (w->at < w->count && !api_words_at_option(w))
        return refuse_extra(c, w, problem);
    c->body = api_command_has_body(c) ? json_object() : NULL;
    if (api_command_read_options(c, w, problem) == -1)
        return -1;
    if (c->kind == API_COMMAND_HELP)
        return 0;
    if (check_nesting(c, problem) == -1)
        return -1;
    make_path(c);
    return 0;
}

static int parse_api(struct api_command *c, struct api_words *w, struct buf *problem)
{
    struct str group;

    if (w->at == w->count || take_help(w)) {
        c->kind = API_COMMAND_HELP;
        return 0;
    }
    group = api_words_peek(w);
    w->at++;
    if (str_eq(group, STR("self"))) {
        c->kind = API_COMMAND_WHOAMI;
        return api_command_read_options(c, w, problem);
    }
    if (read_not_offered(c, group))
        return 0;
    c->resource = find_group(group);
    if (c->resource == NULL)
        return refuse_group(c, group, problem);
    if (take_help(w)) {
        c->kind = API_COMMAND_HELP;
        return 0;
    }
    return parse_call(c, w, problem);
}

/* For people, unless they ask otherwise. */
static int parse_short(struct api_command *c, enum api_command_kind kind, struct api_words *w,
                       struct buf *problem)
{
    c->kind = kind;
    c->output = API_OUTPUT_TABLE;
    if (take_help(w)) {
        c->kind = API_COMMAND_HELP;
        return 0;
    }
    if (kind == API_COMMAND_KILL && read_id(c, w, problem) == -1)
        return -1;
    if (w->at < w->count && !api_words_at_option(w))
        return refuse_extra(c, w, problem);
    return api_command_read_options(c, w, problem);
}

static const struct {
    const char *name;
    enum api_command_kind kind;
} first_words[] = {
    { "api", API_COMMAND_CALL },
    { "ls", API_COMMAND_LS },
    { "whoami", API_COMMAND_WHOAMI },
    { "kill", API_COMMAND_KILL },
};

enum { FIRST_WORDS = sizeof(first_words) / sizeof(first_words[0]) };

/* Index into first_words, or FIRST_WORDS. */
static size_t find_first(struct str word)
{
    size_t i = 0;

    while (i < FIRST_WORDS && !str_eq(word, str_from(first_words[i].name)))
        i++;
    return i;
}

int api_command_parse(struct str line, struct api_command *out, struct buf *problem)
{
    struct api_words words;
    size_t first;

    *out = (struct api_command){ .kind = API_COMMAND_CALL };
    arena_init(&out->arena);
    buf_init(&out->own_query, API_QUERY_MAX_BYTES);
    if (line.n > API_COMMAND_LINE_MAX_BYTES)
        return api_command_refuse(out, problem, "the line has more than %d bytes",
                                  API_COMMAND_LINE_MAX_BYTES);
    if (!utf8_is_valid(line) || str_find_char(line, '\0') < line.n)
        return api_command_refuse(out, problem, "the line is not valid UTF-8");
    if (api_words_split(line, &out->arena, &words) == -1)
        return api_command_refuse(out, problem, "a quote is not closed");
    first = find_first(api_words_peek(&words));
    if (first == FIRST_WORDS)
        return api_command_refuse(out, problem, "this is no command of the API");
    words.at++;
    if (first_words[first].kind == API_COMMAND_CALL)
        return parse_api(out, &words, problem);
    return parse_short(out, first_words[first].kind, &words, problem);
}
