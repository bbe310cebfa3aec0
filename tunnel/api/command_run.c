#include "tunnel/api/command_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tunnel/api/command_int.h"
#include "tunnel/api/command_output.h"

/* One command while it runs. */
struct run {
    const struct api_command *c;
    const struct api_command_user *user;
    struct api_command_result *result;
};

/* ---- results -------------------------------------------------------------------------------- */

static void result_init(struct api_command_result *r, size_t max)
{
    buf_init(&r->out, max);
    buf_init(&r->err, API_COMMAND_TEXT_MAX_BYTES);
    r->status = API_EXIT_OK;
}

void api_command_result_fini(struct api_command_result *r)
{
    struct str out = buf_str(&r->out);

    if (out.n > 0)
        mem_wipe(r->out.mem, r->out.cap); /* it may have a token */
    buf_fini(&r->out);
    buf_fini(&r->err);
}

static const struct {
    unsigned status;
    const char *text;
} status_texts[] = {
    { 200, "OK" },
    { 201, "Created" },
    { 204, "No Content" },
    { 400, "Bad Request" },
    { 403, "Forbidden" },
    { 404, "Not Found" },
    { 413, "Content Too Large" },
    { 415, "Unsupported Media Type" },
    { 429, "Too Many Requests" },
    { 500, "Internal Server Error" },
    { 501, "Not Implemented" },
    { 503, "Service Unavailable" },
};

static const char *status_text(unsigned status)
{
    for (size_t i = 0; i < sizeof(status_texts) / sizeof(status_texts[0]); i++) {
        if (status_texts[i].status == status)
            return status_texts[i].text;
    }
    return "";
}

static void add_status(struct run *run, unsigned status)
{
    if (!run->c->quiet)
        buf_add_fmt(&run->result->err, "%u %s\n", status, status_text(status));
}

static const char *text_member(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text != NULL ? text : "";
}

/* "HTTP 404: There is no such thing. [ERR_NGROK_1]", and where to look it up. */
static void show_error(struct api_command_result *result, unsigned status, const json_t *body)
{
    const char *code = text_member(body, "error_code");
    char refused[API_CODE_TEXT_BYTES];

    buf_add_fmt(&result->err, "HTTP %u: ", status);
    api_output_text(&result->err, str_from(text_member(body, "msg")));
    if (code[0] != '\0')
        buf_add_fmt(&result->err, " [%s]", code);
    buf_add_fmt(&result->err, "\n\nOperation ID: %s\n",
                text_member(json_object_get(body, "details"), "operation_id"));
    result->status = strcmp(code, api_code_format(API_CREDENTIAL, refused)) == 0 ? API_EXIT_IDENTITY
                                                                                 : API_EXIT_ERROR;
}

/* Takes the response; its body as JSON, or NULL. */
static json_t *take_body(struct api_response *response)
{
    json_t *body = response->body == NULL
                       ? NULL
                       : json_loadb(response->body, response->body_bytes, JSON_ALLOW_NUL, NULL);

    api_response_fini(response);
    return body;
}

/* An error of ours, as the API would answer it. */
static unsigned refuse(const struct run *run, enum api_code code, const char *text, json_t **body)
{
    struct api_response response;
    struct api_error e;

    (void)api_error_set(&e, code, "%s", text);
    api_refuse(run->user->api, &e, &response);
    *body = take_body(&response);
    return response.status;
}

static void fail_with(struct run *run, enum api_code code, const char *text)
{
    json_t *body;
    unsigned status = refuse(run, code, text, &body);

    add_status(run, status);
    show_error(run->result, status, body);
    json_decref(body);
}

void api_command_fail(const struct api_command_user *user, enum api_code code, const char *text,
                      struct api_command_result *result)
{
    const struct api_command quiet = { .quiet = true };
    struct run run = { .c = &quiet, .user = user, .result = result };

    result_init(result, 0);
    fail_with(&run, code, text);
}

/* ---- calls ---------------------------------------------------------------------------------- */

static unsigned call(const struct run *run, struct str method, struct str path, struct str query,
                     const json_t *input, json_t **body)
{
    char *text = input != NULL ? json_dumps(input, JSON_COMPACT) : NULL;
    const struct api_request request = {
        .method = method,
        .path = path,
        .query = query,
        .body = str_from(text),
        .content_type = STR("application/json"),
        .version = STR("2"),
        .user_agent = STR("ssh"),
        .base_url = run->user->base_url,
        .who = run->user->who,
    };
    struct api_response response;

    api_call(run->user->api, &request, &response);
    if (text != NULL)
        mem_wipe(text, strlen(text)); /* it may have a secret */
    free(text);
    *body = take_body(&response);
    return response.status;
}

/* Shows an answer that is not what was hoped for; true if it is. */
static bool is_good(struct run *run, unsigned status, const json_t *body)
{
    if (status < 400)
        return true;
    add_status(run, status);
    show_error(run->result, status, body);
    return false;
}

static void show(struct run *run, const json_t *body)
{
    enum api_output form = run->c->output;

    if (form == API_OUTPUT_DEFAULT)
        form = run->user->has_terminal ? API_OUTPUT_TABLE : API_OUTPUT_JSON;
    api_output_write(body, form, run->user->width, &run->result->out);
    if (form == API_OUTPUT_TABLE && json_is_string(json_object_get(body, "next_page_uri")))
        buf_add_str(&run->result->err, STR("There are more: --all shows them.\n"));
}

/* ---- lists ---------------------------------------------------------------------------------- */

static unsigned get_page(const struct run *run, const struct api_command *list, struct str before,
                         json_t **body)
{
    struct buf query;
    unsigned status;

    buf_init(&query, 4 * API_QUERY_MAX_BYTES);
    api_command_query(list, before, &query);
    status = call(run, STR("GET"), list->path, buf_str(&query), NULL, body);
    buf_fini(&query);
    return status;
}

static const char too_large[] = "The answer is too large; ask for less with --limit.";

/* Adds the items of a page; true when there are more. */
static bool add_page(json_t *all, const json_t *page, struct str *before, size_t *bytes)
{
    json_t *items = api_output_list(page);
    json_t *last = json_array_get(items, json_array_size(items) - 1);

    *bytes += json_dumpb(page, NULL, 0, JSON_COMPACT);
    (void)json_array_extend(api_output_list(all), items); /* fails for want of memory only */
    *before = str_from(text_member(last, "id"));          /* `all` has it, too */
    return before->n > 0 && json_is_string(json_object_get(page, "next_page_uri"));
}

/* All pages as one, or the error of one of them. */
static unsigned get_all(const struct run *run, const struct api_command *list, json_t **body)
{
    struct str before = list->before_id;
    unsigned status = get_page(run, list, before, body);
    json_t *all = json_deep_copy(*body);
    json_t *page = *body;
    size_t bytes = 0;
    bool more = status == 200;

    (void)json_array_clear(api_output_list(all));
    while (more && add_page(all, page, &before, &bytes)) {
        json_decref(page);
        page = NULL;
        status = bytes > run->user->output_max_bytes
                     ? refuse(run, API_BODY_TOO_LARGE, too_large, &page)
                     : get_page(run, list, before, &page);
        more = status == 200;
    }
    if (more)
        (void)json_object_set_new(all, "next_page_uri", json_null());
    *body = more ? all : page;
    json_decref(more ? page : all);
    return status;
}

/* ---- the kinds of commands ------------------------------------------------------------------ */

static void run_call(struct run *run)
{
    const struct api_command *c = run->c;
    json_t *body;
    unsigned status;

    if (!api_command_is(c, API_CAN_LIST))
        status = call(run, c->method, c->path, STR_NONE, c->body, &body);
    else if (c->all)
        status = get_all(run, c, &body);
    else
        status = get_page(run, c, c->before_id, &body);
    if (is_good(run, status, body)) {
        add_status(run, status);
        if (body != NULL)
            show(run, body);
    }
    json_decref(body);
}

static void add_row(json_t *rows, const char *a, const char *b, const char *c)
{
    (void)json_array_append_new(rows, json_pack("[sss]", a, b, c));
}

/* What is online, in the words of people. */
static void run_ls(struct run *run)
{
    const struct api_command list = { .path = STR_INIT("/endpoints") };
    json_t *rows = json_array();
    json_t *body = NULL;
    unsigned status = get_all(run, &list, &body);
    json_t *item;
    size_t i;

    if (is_good(run, status, body)) {
        add_row(rows, "url", "since", "session");
        json_array_foreach(api_output_list(body), i, item)
        {
            const json_t *session = json_object_get(item, "tunnel_session");

            add_row(rows, text_member(item, "url"), text_member(item, "created_at"),
                    json_is_object(session) ? text_member(session, "id") : "");
        }
        if (run->c->output == API_OUTPUT_TABLE)
            api_output_rows(rows, run->user->width, &run->result->out);
        else
            show(run, body);
    }
    json_decref(body);
    json_decref(rows);
}

static const char *rights_of(const struct api_caller *who)
{
    if (who->is_admin)
        return "administrator of all accounts";
    if (who->is_restricted)
        return "to see what this key has online";
    return who->can_write ? "all of the account" : "to see what the account has";
}

static void run_whoami(struct run *run)
{
    const struct api_caller *who = run->user->who;
    json_t *body =
        json_pack("{s:s, s:s, s:s, s:s%, s:s%, s:s, s:b}", "account", who->account, "user",
                  who->principal, "rights", rights_of(who), "key", run->user->key.p,
                  run->user->key.n, "session", run->user->session.p, run->user->session.n,
                  "version", SALLYPORT_VERSION, "admin", (int)who->is_admin);

    show(run, body);
    json_decref(body);
}

/* Copies the id of the session that this endpoint or tunnel is of. False with the result set. */
static bool find_session(struct run *run, char session[ID_BYTES])
{
    struct str id = run->c->id;
    json_t *body = NULL;
    struct buf path;
    unsigned status;
    bool found;

    buf_init(&path, API_PATH_MAX_BYTES);
    buf_add_fmt(&path, "/%s/%.*s", id_is_valid(id, "ep") ? "endpoints" : "tunnels", STR_ARG(id));
    status = call(run, STR("GET"), buf_str(&path), STR_NONE, NULL, &body);
    buf_fini(&path);
    found = is_good(run, status, body);
    if (found) {
        (void)snprintf(session, ID_BYTES, "%s",
                       text_member(json_object_get(body, "tunnel_session"), "id"));
        found = session[0] != '\0';
        if (!found)
            fail_with(run, API_NOT_FOUND,
                      "The endpoint is of no session; 'api endpoints delete' deletes it.");
    }
    json_decref(body);
    return found;
}

static void run_kill(struct run *run)
{
    struct str id = run->c->id;
    char session[ID_BYTES];
    char path[2 * ID_BYTES];
    json_t *body = NULL;
    unsigned status;

    if (id_is_valid(id, "ts")) {
        (void)snprintf(session, sizeof(session), "%.*s", STR_ARG(id));
    } else if (!id_is_valid(id, "ep") && !id_is_valid(id, "tn")) {
        (void)api_command_refuse(run->c, &run->result->err,
                                 "that is no id of a session (ts_...) or endpoint (ep_...)");
        run->result->status = API_EXIT_USAGE;
        return;
    } else if (!find_session(run, session)) {
        return;
    }
    (void)snprintf(path, sizeof(path), "/tunnel_sessions/%s/stop", session);
    status = call(run, STR("POST"), str_from(path), STR_NONE, NULL, &body);
    if (is_good(run, status, body))
        add_status(run, status);
    json_decref(body);
}

/* An answer that was cut would look whole. */
static void check_size(struct run *run)
{
    if (!buf_failed(&run->result->out))
        return;
    buf_clear(&run->result->out);
    buf_clear(&run->result->err);
    fail_with(run, API_BODY_TOO_LARGE, too_large);
}

void api_command_run(const struct api_command *c, const struct api_command_user *user,
                     struct api_command_result *result)
{
    struct run run = { .c = c, .user = user, .result = result };

    result_init(result, user->output_max_bytes);
    switch (c->kind) {
    case API_COMMAND_CALL:
        run_call(&run);
        break;
    case API_COMMAND_HELP:
        api_command_help(c, &result->out);
        break;
    case API_COMMAND_LS:
        run_ls(&run);
        break;
    case API_COMMAND_WHOAMI:
        run_whoami(&run);
        break;
    case API_COMMAND_KILL:
        run_kill(&run);
        break;
    }
    check_size(&run);
}
