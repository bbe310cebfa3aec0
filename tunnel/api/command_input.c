/* Standard input of a command, put where its options say (spec 5.2). */
#include <string.h>

#include "base/utf8.h"
#include "tunnel/api/command_int.h"

/* One newline at the end is the editor's or echo's, where the value is likely to be meant without. */
static struct str without_newline(const struct api_field *f, struct str input)
{
    bool strips = strcmp(f->name, "value") == 0 || strcmp(f->name, "metadata") == 0;

    if (strips && str_ends(input, STR("\n")))
        return str_slice(input, 0, input.n - 1);
    return input;
}

static void set_text(struct api_command *c, const char *name, struct str text)
{
    (void)json_object_set_new(c->body, name, json_stringn(text.n > 0 ? text.p : "", text.n));
}

/* What options said lies over it. */
static int take_body(struct api_command *c, struct str input, struct buf *problem)
{
    json_error_t e;
    json_t *body = json_loadb(input.n > 0 ? input.p : "", input.n, 0, &e);

    if (!json_is_object(body)) {
        json_decref(body);
        if (body == NULL)
            return api_command_refuse(c, problem, "standard input is no JSON: line %d: %s", e.line,
                                      e.text);
        return api_command_refuse(c, problem, "standard input is no JSON object");
    }
    (void)json_object_update_recursive(body, c->body);
    json_decref(c->body);
    c->body = body;
    return 0;
}

/* ---- certificates --------------------------------------------------------------------------- */

/* Takes the next "-----BEGIN <label>-----" up to the end of its block, lines and all. */
static bool take_block(struct str *rest, struct str *label, struct str *block)
{
    static const struct str begin = STR_INIT("-----BEGIN ");
    static const struct str end = STR_INIT("-----END ");
    struct str from = str_skip(*rest, str_find(*rest, begin));
    struct str tail;
    size_t n;

    if (from.n == 0)
        return false;
    *label = str_skip(from, begin.n);
    *label = str_slice(*label, 0, str_find(*label, STR("-----")));
    tail = str_skip(from, str_find(from, end));
    if (tail.n == 0)
        return false;
    n = str_find_char(tail, '\n');
    tail = str_skip(tail, n < tail.n ? n + 1 : n);
    *block = str_slice(from, 0, from.n - tail.n);
    *rest = tail;
    return true;
}

static int take_pem(struct api_command *c, struct str input, struct buf *problem)
{
    struct buf certificates;
    struct str key = STR_NONE;
    struct str label;
    struct str block;
    size_t keys = 0;
    int rc = 0;

    buf_init(&certificates, API_COMMAND_INPUT_MAX_BYTES);
    while (take_block(&input, &label, &block)) {
        if (str_eq(label, STR("CERTIFICATE"))) {
            buf_add_str(&certificates, block);
        } else if (str_ends(label, STR("PRIVATE KEY"))) {
            key = block;
            keys++;
        }
    }
    if (certificates.len == 0 || keys != 1)
        rc = api_command_refuse(c, problem,
                                "standard input must hold certificates and one private key as PEM");
    if (rc == 0) {
        set_text(c, "certificate_pem", buf_str(&certificates));
        set_text(c, "private_key_pem", key);
    }
    buf_fini(&certificates);
    return rc;
}

/* ---- all of them ---------------------------------------------------------------------------- */

int api_command_take_input(struct api_command *c, struct str input, struct buf *problem)
{
    if (!utf8_is_valid(input))
        return api_command_refuse(c, problem, "standard input is not valid UTF-8");
    switch (c->input) {
    case API_INPUT_NONE:
        return 0;
    case API_INPUT_BODY:
        return take_body(c, input, problem);
    case API_INPUT_PEM:
        return take_pem(c, input, problem);
    case API_INPUT_FIELD:
        set_text(c, c->input_field->name, without_newline(c->input_field, input));
        return 0;
    case API_INPUT_FILTER:
        c->filter = arena_str(&c->arena, str_trim(input));
        return 0;
    }
    return -1;
}
