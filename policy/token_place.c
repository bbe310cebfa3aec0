#include "policy/token_place.h"

#include "base/buf.h"
#include "policy/action.h"
#include "policy/body_field.h"
#include "policy/coding.h"
#include "policy/jwt.h"
#include "policy/media_type.h"

/* ---- config ---------------------------------------------------------------------------------- */

/* Two places that are surely one. */
static bool is_same(const struct token_place *a, const struct token_place *b)
{
    struct str x;
    struct str y;

    return a->method == b->method && template_is_literal(a->name, &x) &&
           template_is_literal(b->name, &y) && str_eq_nocase(x, y);
}

static void check_unique(const struct field *f, const struct token_places *p, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (is_same(&p->places[i], &p->places[index])) {
            (void)field_problem(f, E_POLICY_DUPLICATE, "it is the same field as entry %zu", i);
            return;
        }
    }
}

static void read_place(const struct field *f, struct token_place *out)
{
    static const char *const known[] = { "type", "method", "name", "prefix", NULL };
    static const char *const types[] = {
        [TOKEN_ID] = "id_token",   [TOKEN_ACCESS] = "access_token", [TOKEN_AT_JWT] = "at+jwt",
        [TOKEN_IT_JWT] = "it+jwt", [TOKEN_PLAIN] = "plain",         [TOKEN_JWT] = "jwt",
        [TOKEN_JWT + 1] = NULL,
    };
    static const char *const methods[] = {
        [TOKEN_IN_HEADER] = "header", [TOKEN_IN_BODY] = "body", [TOKEN_IN_BODY + 1] = NULL
    };
    struct fields place = field_fields(f);
    struct field type = fields_need(&place, "type");
    struct field method = fields_need(&place, "method");
    struct field name = fields_need(&place, "name");
    struct field prefix = fields_find(&place, "prefix");
    struct str literal;
    unsigned choice = TOKEN_JWT;

    (void)fields_known(&place, known);
    (void)field_choice(&type, types, &choice);
    out->type = (enum token_type)choice;
    choice = TOKEN_IN_HEADER;
    (void)field_choice(&method, methods, &choice);
    out->method = (enum token_method)choice;
    out->name = field_template(&name);
    out->prefix = field_template(&prefix);
    if (out->name != NULL && template_is_literal(out->name, &literal) && literal.n == 0)
        (void)field_problem(&name, E_POLICY_EMPTY, "it must not be empty");
}

void token_places_read(const struct fields *config, struct token_places *out)
{
    static const char *const known[] = { "tokens", NULL };
    struct field http = fields_need(config, "http");
    struct fields mapping = field_fields(&http);
    struct field list = { 0 };

    out->body_max_bytes = fields_limits(config)->policy_body_max_bytes;
    if (mapping.map == NULL)
        return; /* it was reported */
    (void)fields_known(&mapping, known);
    list = fields_need(&mapping, "tokens");
    (void)field_list(&list, 1, TOKENS_MAX, &out->count);
    for (size_t i = 0; i < out->count; i++) {
        struct field item = field_item(&list, i);

        read_place(&item, &out->places[i]);
        check_unique(&item, out, i);
    }
}

void token_places_fini(struct token_places *p)
{
    for (size_t i = 0; i < p->count; i++) {
        template_free(p->places[i].name);
        template_free(p->places[i].prefix);
    }
}

/* ---- a token --------------------------------------------------------------------------------- */

int token_places_evaluate(const struct token_places *p, struct action_run *run,
                          struct token_found found[TOKENS_MAX], struct err *e)
{
    for (size_t i = 0; i < p->count; i++) {
        found[i] = (struct token_found){ 0 };
        if (template_text(p->places[i].name, run, &found[i].name, e) == -1)
            return -1;
        if (p->places[i].prefix != NULL &&
            template_text(p->places[i].prefix, run, &found[i].prefix, e) == -1)
            return -1;
    }
    return 0;
}

/* Takes the value of a header field or of one of the body. What is too long is not copied. */
static int take(struct action_run *run, struct str value, struct token_found *found, struct err *e)
{
    value = str_trim_ows(value);
    if (!str_starts(value, found->prefix))
        return err_set(e, E_TOKEN_PREFIX, "the token has not the expected prefix");
    value = str_trim_ows(str_skip(value, found->prefix.n));
    if (value.n > JWT_MAX_BYTES)
        return err_set(e, E_TOKEN_MALFORMED, "the token is malformed: more than %d bytes",
                       JWT_MAX_BYTES);
    found->text = arena_str(run->arena, value);
    return 0;
}

static int find_in_header(struct action_run *run, struct token_found *found, struct err *e)
{
    struct str value = run->host->header_find(run->ctx, POLICY_REQUEST, found->name, 0);

    if (value.p == NULL)
        return err_set(e, E_TOKEN_HEADER, "the header with the token is missing");
    if (run->host->header_find(run->ctx, POLICY_REQUEST, found->name, 1).p != NULL)
        return err_set(e, E_TOKEN_MALFORMED, "the header with the token is there twice");
    return take(run, value, found, e);
}

static int find_in_headers(const struct token_places *p, struct action_run *run,
                           struct token_found *found, struct err *e)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->places[i].method == TOKEN_IN_HEADER && find_in_header(run, &found[i], e) == -1)
            return err_prefix(e, "http.tokens[%zu]", i);
    }
    return 0;
}

/* ---- bodies ---------------------------------------------------------------------------------- */

static int find_in_field(struct action_run *run, const struct body_fields *body,
                         struct token_found *found, struct err *e)
{
    size_t max_bytes = found->prefix.n + JWT_MAX_BYTES;
    struct str value;

    if (body_fields_find(body, run->arena, found->name, max_bytes, &value, e) == -1)
        return -1;
    return take(run, value, found, e);
}

static int find_in_fields(const struct token_places *p, struct action_run *run,
                          const struct body_fields *body, struct token_found *found, struct err *e)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->places[i].method == TOKEN_IN_BODY && find_in_field(run, body, &found[i], e) == -1)
            return err_prefix(e, "http.tokens[%zu]", i);
    }
    return 0;
}

static int read_body(const struct token_places *p, struct action_run *run, enum body_format format,
                     struct str text, struct token_found *found, struct err *e)
{
    struct body_fields body;
    int rc = body_fields_open(&body, format, text, e);

    if (rc == 0)
        rc = find_in_fields(p, run, &body, found, e);
    body_fields_close(&body);
    return rc;
}

/* Undoes the content codings first; what is not in them is as bad as what is no JSON. */
static int decode_body(const struct token_places *p, struct action_run *run,
                       enum body_format format, struct str raw, struct token_found *found,
                       struct err *e)
{
    struct str encoding =
        run->host->header_find(run->ctx, POLICY_REQUEST, STR("content-encoding"), 0);
    struct buf text;
    int rc;

    if (encoding.n == 0)
        return read_body(p, run, format, raw, found, e);
    buf_init(&text, p->body_max_bytes);
    rc = coding_decode_all(encoding, raw, &text, e);
    if (rc == 0)
        rc = read_body(p, run, format, buf_str(&text), found, e);
    else if (buf_room(&text) == 0) /* it stopped because of that */
        (void)err_set(e, E_POLICY_BODY_TOO_LARGE, "the decoded body has more than %zu bytes",
                      p->body_max_bytes);
    else
        (void)err_set(e, format == BODY_JSON ? E_TOKEN_JSON : E_TOKEN_FORM,
                      "the body is not in the coding that it claims");
    buf_fini(&text);
    return rc;
}

/* What a body with a token in it must look like. */
static int check_request(struct action_run *run, enum body_format *format, struct err *e)
{
    struct str method = cel_str(run->host->var(run->ctx, VAR_REQ_METHOD, run->arena));
    struct str type = run->host->header_find(run->ctx, POLICY_REQUEST, STR("content-type"), 0);

    if (!str_eq(method, STR("POST")) && !str_eq(method, STR("PUT")) &&
        !str_eq(method, STR("PATCH")))
        return err_set(e, E_TOKEN_METHOD, "a token in the body needs POST, PUT or PATCH");
    type = media_type_essence(run->arena, type);
    *format = str_eq(type, STR("application/json")) ? BODY_JSON : BODY_FORM;
    if (*format == BODY_FORM && !str_eq(type, STR("application/x-www-form-urlencoded")))
        return err_set(e, E_TOKEN_CONTENT_TYPE,
                       "a token in the body needs application/json or "
                       "application/x-www-form-urlencoded");
    return 0;
}

static bool has_body_place(const struct token_places *p)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->places[i].method == TOKEN_IN_BODY)
            return true;
    }
    return false;
}

enum policy_ready token_places_find(const struct token_places *p, struct action_run *run,
                                    struct token_found found[TOKENS_MAX], struct err *e)
{
    enum policy_ready ready = POLICY_READY;
    struct str raw = STR_NONE;
    enum body_format format = BODY_JSON;

    if (find_in_headers(p, run, found, e) == -1)
        return POLICY_FAILED;
    if (!has_body_place(p))
        return POLICY_READY;
    if (check_request(run, &format, e) == -1)
        return POLICY_FAILED;
    if (run->host->has_body(run->ctx, POLICY_REQUEST))
        ready = run->host->body(run->ctx, POLICY_REQUEST, p->body_max_bytes, &raw, e);
    if (ready == POLICY_READY && decode_body(p, run, format, raw, found, e) == -1)
        return POLICY_FAILED;
    return ready;
}
