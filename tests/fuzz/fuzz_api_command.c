/*
 * Fuzz target of the API's command line: a line, a NUL, and what comes over standard input. What was
 * accepted can be sent: a path, a query and a body of JSON; what is shown of the input, as JSON or a
 * table, has nothing in it that a terminal would obey.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "tunnel/api/command.h"
#include "tunnel/api/command_output.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(struct str text)
{
    assert(utf8_is_valid(text));
    for (size_t i = 0; i < text.n; i++)
        assert(text.p[i] == '\n' || ((unsigned char)text.p[i] >= 0x20 && text.p[i] != 0x7f));
}

static void check_output(struct str input)
{
    json_t *body = json_loadb(input.n > 0 ? input.p : "", input.n, JSON_ALLOW_NUL, NULL);

    for (int form = API_OUTPUT_JSON; json_is_object(body) && form <= API_OUTPUT_TABLE; form++) {
        struct buf out;

        buf_init(&out, API_OUTPUT_MAX_BYTES);
        api_output_write(body, (enum api_output)form, input.n % 100, &out);
        assert(!buf_failed(&out));
        check_text(buf_str(&out));
        buf_fini(&out);
    }
    json_decref(body);
}

static void check_request(const struct api_command *c)
{
    struct buf query;
    char *body;

    assert(c->method.n > 0 && c->path.n > 0 && c->path.p[0] == '/');
    buf_init(&query, 4 * API_QUERY_MAX_BYTES + 4 * API_COMMAND_LINE_MAX_BYTES);
    api_command_query(c, c->before_id, &query);
    assert(!buf_failed(&query) || c->input == API_INPUT_FILTER);
    buf_fini(&query);
    if (c->body == NULL)
        return;
    body = json_dumps(c->body, JSON_COMPACT);
    assert(body != NULL && json_is_object(c->body));
    free(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str all = str_of((const char *)data, size);
    size_t end = str_find_char(all, '\0');
    struct str input = str_skip(all, end + 1);
    struct api_command c;
    struct buf text;
    int rc;

    buf_init(&text, API_COMMAND_TEXT_MAX_BYTES);
    rc = api_command_parse(str_slice(all, 0, end), &c, &text);
    assert((rc == -1) == (text.len > 0));
    if (rc == 0 && c.kind == API_COMMAND_HELP)
        api_command_help(&c, &text);
    if (rc == 0 && c.kind == API_COMMAND_CALL) {
        check_request(&c);
        if (api_command_take_input(&c, input, &text) == 0)
            check_request(&c);
    }
    api_command_fini(&c);
    buf_fini(&text);
    check_output(input);
    return 0;
}
