/*
 * Unit tests of policy/media_type.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "policy/media_type.h"

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

/* "name=value|name=value" in the order of the map. */
static const char *parameters_text(struct str value, char text[256])
{
    struct cel_value map = media_type_parameters(&arena, value);
    size_t n = 0;

    assert_int_equal(map.kind, CEL_MAP);
    assert_false(map.as.map->ops->missing_is_empty);
    text[0] = '\0';
    for (size_t i = 0; i < map.as.map->ops->size(map.as.map); i++) {
        struct cel_value key;
        struct cel_value v;

        map.as.map->ops->entry(NULL, map.as.map, i, &key, &v);
        n += (size_t)snprintf(text + n, 256 - n, "%s%.*s=%.*s", i > 0 ? "|" : "",
                              STR_ARG(cel_str(key)), STR_ARG(cel_str(v)));
        assert_true(n < 256);
    }
    return text;
}

static void media_type_cases(void **state)
{
    static const struct {
        const char *value;
        const char *essence;
        const char *parameters;
    } cases[] = {
        { "", "", "" },
        { "application/json", "application/json", "" },
        { "Application/JSON; Charset=UTF-8", "application/json", "charset=UTF-8" },
        { "application/json;charset=utf-8", "application/json", "charset=utf-8" },
        { " text/html ; charset=\"utf-8\" ", "text/html", "charset=utf-8" },
        { "multipart/form-data; boundary=\"a;b\\\"c=\\\\\"; x=1", "multipart/form-data",
          "boundary=a;b\"c=\\|x=1" },
        { "text/html; b=1; a=2", "text/html", "b=1|a=2" },
        { "text/html; a=1; A=2", "text/html", "a=1" },
        { "text/html; a = 1 ;", "text/html", "a=1" },
        { "text/html; a=; b=\"\"", "text/html", "a=|b=" },
        { "text/html; a; =2; ; b=3", "text/html", "b=3" },
        { "text/html; a=\"never ends; b=1", "text/html", "a=never ends; b=" },
        { "text/html; a=\"x\\", "text/html", "a=x" },
        { "text/html; a=\"", "text/html", "a=" },
        { "text/html; a=\"1\"junk; b=2", "text/html", "a=1|b=2" },
        { "text/html;", "text/html", "" },
        { "garbage", "garbage", "" },
        { "; charset=utf-8", "", "charset=utf-8" },
        { "text/\xff; a=\xfe", "text/\xef\xbf\xbd", "a=\xef\xbf\xbd" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct str essence = media_type_essence(&arena, str_from(cases[i].value));
        char text[256];

        if (!str_eq(essence, str_from(cases[i].essence)))
            fail_msg("%s: %.*s", cases[i].value, STR_ARG(essence));
        assert_string_equal(parameters_text(str_from(cases[i].value), text), cases[i].parameters);
    }
}

static void media_type_parameters_up_to_the_limit(void **state)
{
    struct cel_value map;
    struct buf b;

    (void)state;
    buf_init(&b, 64 * 1024);
    buf_add_str(&b, STR("text/html"));
    for (unsigned i = 0; i < MEDIA_TYPE_PARAMETERS_MAX + 1; i++)
        buf_add_fmt(&b, ";p%u=1", i);
    map = media_type_parameters(&arena, buf_str(&b));
    assert_int_equal(map.as.map->ops->size(map.as.map), MEDIA_TYPE_PARAMETERS_MAX);
    buf_fini(&b);
}

static void content_codings_of_several_fields(void **state)
{
    static const struct str values[] = { STR_INIT("GZIP , br"), STR_INIT(""), STR_INIT(",,"),
                                         STR_INIT("zstd") };
    static const char *const want[] = { "gzip", "br", "zstd" };
    struct cel_value list = content_codings(&arena, values, 4);

    (void)state;
    assert_int_equal(list.kind, CEL_LIST);
    assert_int_equal(list.as.list->count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_true(str_eq(cel_str(list.as.list->items[i]), str_from(want[i])));
    assert_int_equal(content_codings(&arena, NULL, 0).as.list->count, 0);
}

static void content_codings_up_to_the_limit(void **state)
{
    struct str value;
    struct buf b;

    (void)state;
    buf_init(&b, 64 * 1024);
    for (unsigned i = 0; i < CONTENT_CODINGS_MAX + 1; i++)
        buf_add_str(&b, STR("gzip,"));
    value = buf_str(&b);
    assert_int_equal(content_codings(&arena, &value, 1).as.list->count, CONTENT_CODINGS_MAX);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(media_type_cases),
        cmocka_unit_test(media_type_parameters_up_to_the_limit),
        cmocka_unit_test(content_codings_of_several_fields),
        cmocka_unit_test(content_codings_up_to_the_limit),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
