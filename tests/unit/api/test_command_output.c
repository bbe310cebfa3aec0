/* Answers as JSON, lines and tables, and what stored text may not do to a terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tunnel/api/command_output.h"

static json_t *json(const char *text)
{
    json_t *value = json_loads(text, JSON_ALLOW_NUL, NULL);

    assert_non_null(value);
    return value;
}

static void expect(const char *body, enum api_output form, size_t width, const char *wanted)
{
    json_t *value = json(body);
    struct buf out;

    buf_init(&out, API_OUTPUT_MAX_BYTES);
    api_output_write(value, form, width, &out);
    if (!str_eq(buf_str(&out), str_from(wanted))) {
        print_error("%s\ngives\n%.*s\ninstead of\n%s\n", body, STR_ARG(buf_str(&out)), wanted);
        fail();
    }
    buf_fini(&out);
    json_decref(value);
}

#define LIST                                                                                       \
    "{\"vaults\":[{\"id\":\"vault_2\",\"name\":\"b\",\"description\":\"\",\"created_at\":\"T2\"}," \
    "{\"id\":\"vault_1\",\"name\":\"long name\",\"description\":\"two\\nlines\","                  \
    "\"created_at\":\"T1\"}],\"uri\":\"u\",\"next_page_uri\":null}"

static void json_is_indented_and_sorted(void **state)
{
    (void)state;
    expect("{\"b\":[1,{\"y\":true,\"x\":null}],\"a\":\"</\\u00e9\"}", API_OUTPUT_JSON, 0,
           "{\n  \"a\": \"</\xc3\xa9\",\n  \"b\": [\n    1,\n    {\n      \"x\": null,\n"
           "      \"y\": true\n    }\n  ]\n}\n");
    expect("{}", API_OUTPUT_JSON, 0, "{}\n");
}

static void lines_are_objects_or_ids(void **state)
{
    (void)state;
    expect("{\"vaults\":[{\"id\":\"b\",\"a\":1},{\"id\":\"a\"}],\"uri\":\"u\"}", API_OUTPUT_JSONL,
           0, "{\"a\":1,\"id\":\"b\"}\n{\"id\":\"a\"}\n");
    expect("{\"id\":\"x\",\"acl\":[]}", API_OUTPUT_JSONL, 0, "{\"acl\":[],\"id\":\"x\"}\n");
    expect(LIST, API_OUTPUT_ID, 0, "vault_2\nvault_1\n");
    expect("{\"id\":\"x\",\"acl\":[]}", API_OUTPUT_ID, 0, "x\n");
    expect("{\"vaults\":[]}", API_OUTPUT_ID, 0, "");
    expect("{\"sources\":[{\"type\":\"t\"}]}", API_OUTPUT_ID, 0, "");
}

static void lists_are_tables_of_telling_columns(void **state)
{
    (void)state;
    expect(LIST, API_OUTPUT_TABLE, 0,
           "ID       NAME       DESCRIPTION  CREATED AT\n"
           "vault_2  b          -            T2\n"
           "vault_1  long name  two          T1\n");
    expect("{\"vaults\":[]}", API_OUTPUT_TABLE, 0, "ID  NAME  DESCRIPTION  CREATED AT\n");
}

static void tables_are_cut_to_their_width(void **state)
{
    (void)state;
    expect("{\"vaults\":[{\"id\":\"vault_1\",\"name\":\"a name of some length\","
           "\"description\":\"a description of some length\",\"created_at\":\"T\"}]}",
           API_OUTPUT_TABLE, 46,
           "ID       NAME         DESCRIPTION   CREATED AT\n"
           "vault_1  a name o...  a descrip...  T\n");
}

static void cells_have_at_most_60_characters(void **state)
{
    (void)state;
    expect("{\"vaults\":[{\"id\":\"v\",\"name\":\""
           "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
           "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
           "012345678901234567890123456789012345678901234\"}]}",
           API_OUTPUT_TABLE, 0,
           "ID  NAME                                                          DESCRIPTION  CREATED "
           "AT\n"
           "v   "
           "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
           "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
           "0123456789012345678901234567890123456...  -            -\n");
}

static void an_object_is_a_line_for_each_member(void **state)
{
    (void)state;
    expect("{\"id\":\"secret_1\",\"uri\":\"https://x\",\"name\":\"\",\"acl\":[\"a\",\"b\"],"
           "\"vault\":{\"id\":\"vault_1\",\"uri\":\"https://y\"},\"on\":false,\"port\":443,"
           "\"none\":null,\"map\":{\"b\":1,\"a\":2},\"traffic_policy\":\"a:\\n  - b\\n\"}",
           API_OUTPUT_TABLE, 0,
           "id              secret_1\n"
           "name            -\n"
           "acl             a, b\n"
           "vault           vault_1\n"
           "on              false\n"
           "port            443\n"
           "none            -\n"
           "map             {\"a\":2,\"b\":1}\n"
           "traffic_policy  a:\n"
           "                  - b\n");
}

/* Escape sequences of 7 and 8 bits, a carriage return, a change of direction, and a NUL. */
#define HOSTILE  "\\u001b[2J\\u009b1mA\\r\\u202eB\\u007f\\u0000\\t"
#define HARMLESS "\\x1b[2J\\u009b1mA\\x0d\\u202eB\\x7f\\x00\\x09"

static void text_of_others_cannot_steer_a_terminal(void **state)
{
    (void)state;
    expect("{\"id\":\"x\",\"name\":\"" HOSTILE "\"}", API_OUTPUT_TABLE, 0,
           "id    x\nname  " HARMLESS "\n");
    expect("{\"vaults\":[{\"id\":\"x\",\"name\":\"" HOSTILE "\"}]}", API_OUTPUT_TABLE, 0,
           "ID  NAME                                     DESCRIPTION  CREATED AT\n"
           "x   " HARMLESS "  -            -\n");
    expect("{\"name\":\"" HOSTILE "\"}", API_OUTPUT_JSONL, 0,
           "{\"name\":\"\\u001B[2J\\u009b1mA\\r\\u202eB\\u007f\\u0000\\t\"}\n");
}

static void text_that_is_no_utf8_is_shown_byte_by_byte(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 100);
    api_output_text(&out, STR("a\xff\xc3\n\x1b\xc2\x9b"));
    assert_true(str_eq(buf_str(&out), STR("a\\xff\\xc3\n\\x1b\\u009b")));
    buf_fini(&out);
}

static void no_room_fails_the_buffer(void **state)
{
    json_t *body = json(LIST);

    (void)state;
    for (int form = API_OUTPUT_JSON; form <= API_OUTPUT_TABLE; form++) {
        struct buf out;

        buf_init(&out, 10);
        api_output_write(body, (enum api_output)form, 0, &out);
        assert_true(buf_failed(&out));
        buf_fini(&out);
    }
    json_decref(body);
}

static void rows_are_a_table_of_their_own(void **state)
{
    json_t *rows =
        json("[[\"url\",\"since\"],[\"https://a.example.com\",\"T\"],[\"tcp://b\",\"\"]]");
    struct buf out;

    (void)state;
    buf_init(&out, 1000);
    api_output_rows(rows, 0, &out);
    assert_true(str_eq(buf_str(&out), STR("URL                    SINCE\n"
                                          "https://a.example.com  T\n"
                                          "tcp://b                -\n")));
    buf_fini(&out);
    json_decref(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_indented_and_sorted),
        cmocka_unit_test(lines_are_objects_or_ids),
        cmocka_unit_test(lists_are_tables_of_telling_columns),
        cmocka_unit_test(tables_are_cut_to_their_width),
        cmocka_unit_test(cells_have_at_most_60_characters),
        cmocka_unit_test(an_object_is_a_line_for_each_member),
        cmocka_unit_test(text_of_others_cannot_steer_a_terminal),
        cmocka_unit_test(text_that_is_no_utf8_is_shown_byte_by_byte),
        cmocka_unit_test(no_room_fails_the_buffer),
        cmocka_unit_test(rows_are_a_table_of_their_own),
    };

    return cmocka_run_group_tests_name("command_output", tests, NULL, NULL);
}
