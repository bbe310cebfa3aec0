/*
 * Unit tests of tokens and logins, of tunnel/api/rate and of tunnel/api/query.
 * Links: tests/unit/api/api_scene
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/base64.h"
#include "tests/unit/api/api_scene.h"
#include "tunnel/api/query.h"
#include "tunnel/api/rate.h"
#include "tunnel/api/token.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define KSUID        "3AZoZ4wS9c9ndUeJjAVDBFkUDFn"
#define TOKEN        KSUID "_5CLDUdvdr0UwfMpf5rg7w"

/* ---- tokens --------------------------------------------------------------------------------- */

static void api_token_new_belongs_to_its_id(void **state)
{
    char first[API_TOKEN_BYTES];
    char second[API_TOKEN_BYTES];
    char id[ID_BYTES];

    (void)state;
    for (int i = 0; i < 200; i++) {
        api_token_new("ak_" KSUID, first);
        assert_int_equal(strlen(first), API_TOKEN_BYTES - 1);
        assert_memory_equal(first, KSUID "_", 28);
        assert_true(char_is_digit(first[28]));
        assert_true(api_token_parse(str_from(first), "ak", id));
        assert_string_equal(id, "ak_" KSUID);
        api_token_new("ak_" KSUID, second);
        assert_string_not_equal(first, second);
    }
}

static void api_token_parse_table(void **state)
{
    static const struct {
        const char *token;
        bool fine;
    } rows[] = {
        { TOKEN "x", false },
        { "", false },
        { KSUID, false },
        { KSUID "_5CLDUdvdr0UwfMpf5rg7", false },
        { KSUID "-5CLDUdvdr0UwfMpf5rg7w", false },
        { KSUID "_5CLDUdvdr0UwfMpf5rg7/", false },
        { "zzzzzzzzzzzzzzzzzzzzzzzzzzz_5CLDUdvdr0UwfMpf5rg7w", false },
        { "../../../object/x/yyyyyyyyyy_5CLDUdvdr0UwfMpf5rg7w", false },
    };
    char id[ID_BYTES];

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(api_token_parse(str_from(rows[i].token), "ak", id), rows[i].fine);
}

static void api_token_of_field_table(void **state)
{
    static const struct {
        const char *field;
        const char *token; /* NULL: cannot be parsed */
    } rows[] = {
        { "Bearer abc", "abc" },
        { "bearer  abc ", "abc" },
        { "BEARER abc", "abc" },
        { "Basic YWJjOg==", "abc" }, /* abc: */
        { "Basic OmFiYw==", "abc" }, /* :abc */
        { "Basic dXNlcjpwdw==", "user" },
        { "Basic YWJj", NULL }, /* no colon */
        { "Basic ???", NULL },
        { "Bearer", NULL },
        { "Bearer ", NULL },
        { "", NULL },
        { "abc", NULL },
        { "Digest abc", NULL },
    };
    char out[API_AUTHORIZATION_MAX_BYTES];

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        int rc = api_token_of_field(str_from(rows[i].field), out);

        if (rc != (rows[i].token != NULL ? 0 : -1))
            fail_msg("%s: %d", rows[i].field, rc);
        if (rc == 0)
            assert_string_equal(out, rows[i].token);
    }
}

static void api_authenticate_errors(void **state)
{
    static const struct {
        const char *field; /* NULL: not sent */
        enum api_code code;
    } rows[] = {
        { NULL, API_NO_AUTHORIZATION },
        { "", API_AUTHORIZATION_SYNTAX },
        { "Bearer", API_AUTHORIZATION_SYNTAX },
        { "Token x", API_AUTHORIZATION_SYNTAX },
        { "Bearer x", API_TOKEN_FORM },
        { "Bearer ak_" KSUID, API_TOKEN_IS_ID },
        { "Bearer " KSUID "_5CLDUdvdr0UwfMpf5rg7w", API_TOKEN_UNKNOWN },
    };
    struct scene *s = scene_new();

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct str field = rows[i].field != NULL ? str_from(rows[i].field) : STR_NONE;
        struct api_caller who;
        struct api_error e;

        assert_int_equal(api_authenticate(s->api, field, &who, &e), -1);
        if (e.code != rows[i].code)
            fail_msg("%s: %s", rows[i].field, e.msg);
        assert_null(strstr(e.msg, KSUID)); /* nothing of a credential comes back */
    }
    scene_free(s);
}

static void api_authenticate_wants_the_very_token(void **state)
{
    struct scene *s = scene_new();
    char token[API_TOKEN_BYTES];
    char header[128];
    struct api_caller who;
    struct api_error e;

    (void)state;
    assert_int_equal(api_key_new(s->api, &s->admin, STR("first"), token, &e), 0);
    (void)snprintf(header, sizeof(header), "Bearer %s", token);
    assert_int_equal(api_authenticate(s->api, str_from(header), &who, &e), 0);
    assert_true(who.is_admin);
    /* Any other secret behind the same id. */
    for (size_t i = strlen(header) - 21; i < strlen(header); i++) {
        char was = header[i];

        header[i] = was == '0' ? '1' : '0';
        assert_int_equal(api_authenticate(s->api, str_from(header), &who, &e), -1);
        assert_int_equal(e.code, API_TOKEN_UNKNOWN);
        header[i] = was;
    }
    assert_int_equal(api_key_new(s->api, &s->admin, STR("\xff"), token, &e), -1);
    scene_free(s);
}

/* ---- rate ----------------------------------------------------------------------------------- */

static void api_rate_take_slides(void **state)
{
    struct api_rate *r = api_rate_new(60);
    unsigned taken = 0;

    (void)state;
    for (int i = 0; i < 100; i++)
        taken += api_rate_take(r, "a", 6000000);
    assert_int_equal(taken, 60);
    assert_true(api_rate_take(r, "b", 6000000));
    assert_false(api_rate_take(r, "a", 6059999));
    /* Half a minute into the next, half of them still count. */
    taken = 0;
    for (int i = 0; i < 100; i++)
        taken += api_rate_take(r, "a", 6090000);
    assert_int_equal(taken, 30);
    /* After two idle minutes all are free. */
    taken = 0;
    for (int i = 0; i < 100; i++)
        taken += api_rate_take(r, "a", 6300000);
    assert_int_equal(taken, 60);
    api_rate_free(r);
}

static void api_rate_zero_is_no_limit(void **state)
{
    struct api_rate *r = api_rate_new(0);

    (void)state;
    for (int i = 0; i < 100000; i++)
        assert_true(api_rate_take(r, "a", 0));
    api_rate_free(r);
}

/* ---- query ---------------------------------------------------------------------------------- */

static void api_query_parse_reads_what_was_added(void **state)
{
    struct arena a;
    struct api_query q;
    struct api_error e;
    struct buf text;

    (void)state;
    arena_init(&a);
    buf_init(&text, 1024);
    api_query_add(&text, '?', "a", STR("x y&z=+%"));
    api_query_add(&text, '&', "b", STR("\xc3\xa4"));
    api_query_add(&text, '&', "a", STR(""));
    assert_int_equal(api_query_parse(str_skip(buf_str(&text), 1), &a, &q, &e), 0);
    assert_int_equal(q.count, 3);
    assert_true(str_eq(api_query_find(&q, STR("a"), 0)->value, STR("x y&z=+%")));
    assert_true(str_eq(api_query_find(&q, STR("b"), 0)->value, STR("\xc3\xa4")));
    assert_int_equal(api_query_find(&q, STR("a"), 1)->value.n, 0);
    assert_null(api_query_find(&q, STR("a"), 2));
    assert_int_equal(api_query_parse(STR("x"), &a, &q, &e), 0);
    assert_int_equal(q.count, 1);
    assert_int_equal(q.items[0].value.n, 0);
    buf_fini(&text);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(api_token_new_belongs_to_its_id),
        cmocka_unit_test(api_token_parse_table),
        cmocka_unit_test(api_token_of_field_table),
        cmocka_unit_test(api_authenticate_errors),
        cmocka_unit_test(api_authenticate_wants_the_very_token),
        cmocka_unit_test(api_rate_take_slides),
        cmocka_unit_test(api_rate_zero_is_no_limit),
        cmocka_unit_test(api_query_parse_reads_what_was_added),
    };

    return cmocka_run_group_tests_name("api/token", tests, NULL, NULL);
}
