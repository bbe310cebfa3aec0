/*
 * Unit tests of policy/cookies.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "policy/cel/time.h"
#include "policy/cookies.h"
#include "policy/objects.h"

/* Only its address counts here. */
const struct cel_object_type policy_cookie_type = { .name = "cookie" };

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

static const struct policy_cookie *cookie_of(struct cel_value v)
{
    assert_int_equal(v.kind, CEL_OBJECT);
    assert_ptr_equal(v.as.object->type, &policy_cookie_type);
    return (const struct policy_cookie *)v.as.object;
}

/* The list of a name; NULL when there is none. */
static const struct cel_list *find(struct cel_value map, const char *name)
{
    struct cel_value key = cel_string(str_from(name));
    struct cel_value list;

    assert_int_equal(map.kind, CEL_MAP);
    assert_true(map.as.map->ops->missing_is_empty);
    if (!map.as.map->ops->find(NULL, map.as.map, &key, &list))
        return NULL;
    assert_int_equal(list.kind, CEL_LIST);
    return list.as.list;
}

/* "name=value,value|name=value" in the order of the map. */
static const char *map_text(struct cel_value map, char text[256])
{
    size_t n = 0;

    assert_int_equal(map.kind, CEL_MAP);
    text[0] = '\0';
    for (size_t i = 0; i < map.as.map->ops->size(map.as.map); i++) {
        struct cel_value key;
        struct cel_value list;

        map.as.map->ops->entry(NULL, map.as.map, i, &key, &list);
        n +=
            (size_t)snprintf(text + n, 256 - n, "%s%.*s=", i > 0 ? "|" : "", STR_ARG(cel_str(key)));
        for (size_t k = 0; k < list.as.list->count; k++) {
            const struct policy_cookie *c = cookie_of(list.as.list->items[k]);

            assert_true(str_eq(c->name, cel_str(key)));
            n += (size_t)snprintf(text + n, 256 - n, "%s%.*s", k > 0 ? "," : "", STR_ARG(c->value));
        }
        assert_true(n < 256);
    }
    return text;
}

static void cookies_of_request_cases(void **state)
{
    static const struct {
        struct str fields[2];
        size_t count;
        const char *text;
    } cases[] = {
        { { { 0 } }, 0, "" },
        { { STR_INIT("") }, 1, "" },
        { { STR_INIT("sessionId=abc") }, 1, "sessionId=abc" },
        { { STR_INIT("a=1; b=2;c=3") }, 1, "a=1|b=2|c=3" },
        { { STR_INIT("b=1; a=2; b=3") }, 1, "b=1,3|a=2" },
        { { STR_INIT("b=1; a=2"), STR_INIT("a=3; c=4") }, 2, "b=1|a=2,3|c=4" },
        { { STR_INIT(" a = 1 ; ; b=2;") }, 1, "a=1|b=2" },
        { { STR_INIT("a=\"quoted\"; b=\"; c=\"\"") }, 1, "a=quoted|b=\"|c=" },
        { { STR_INIT("a=b=c; d") }, 1, "a=b=c|d=" },
        { { STR_INIT("=1; a=2") }, 1, "a=2" },
        { { STR_INIT("A=1; a=2") }, 1, "A=1|a=2" },
        { { STR_INIT("a=%41+") }, 1, "a=%41+" },
        { { STR_INIT("a=\xff; \xfe=1") }, 1, "a=\xef\xbf\xbd|\xef\xbf\xbd=1" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[256];

        assert_string_equal(
            map_text(cookies_of_request(&arena, cases[i].fields, cases[i].count), text),
            cases[i].text);
    }
}

static void cookies_of_request_have_no_attributes(void **state)
{
    const struct str field = STR("a=1; Path=/; Secure");
    struct cel_value map = cookies_of_request(&arena, &field, 1);
    const struct policy_cookie *c = cookie_of(find(map, "a")->items[0]);

    (void)state;
    assert_int_equal(c->path.n, 0);
    assert_false(c->secure);
    assert_int_equal(c->expires.kind, CEL_NULL);
    assert_int_equal(c->max_age.kind, CEL_NULL);
    assert_int_equal(c->unparsed_attributes.kind, CEL_NULL);
    assert_non_null(find(map, "Path")); /* a cookie like any other */
    assert_null(find(map, "path"));
}

static void cookies_of_request_up_to_the_limit(void **state)
{
    struct str field;
    struct buf b;

    (void)state;
    buf_init(&b, 256 * 1024);
    for (unsigned i = 0; i < COOKIES_MAX; i++)
        buf_add_fmt(&b, "c%u=%u; ", i, i);
    field = buf_str(&b);
    assert_non_null(find(cookies_of_request(&arena, &field, 1), "c2999"));
    buf_add_str(&b, STR("x"));
    field = buf_str(&b);
    assert_int_equal(cookies_of_request(&arena, &field, 1).kind, CEL_ERROR);
    buf_fini(&b);
}

static void cookies_of_response_read_all_attributes(void **state)
{
    const struct str field = STR("id=\"abc\"; Expires=Wed, 09 Jun 2021 10:18:14 GMT; max-age=86400;"
                                 " Domain=.Example.COM; Path=/app; SECURE; HttpOnly; SameSite=lax;"
                                 " Priority=High; Partitioned; Priority=Low");
    struct cel_value map = cookies_of_response(&arena, &field, 1);
    const struct policy_cookie *c = cookie_of(find(map, "id")->items[0]);
    const struct cel_map *unparsed = c->unparsed_attributes.as.map;
    struct cel_value key = cel_string(STR("Priority"));
    struct cel_value v;

    (void)state;
    assert_true(str_eq(c->value, STR("abc")));
    assert_int_equal(c->expires.kind, CEL_TIMESTAMP);
    assert_int_equal(c->expires.as.i, 1623233894);
    assert_int_equal(c->max_age.kind, CEL_DURATION);
    assert_int_equal(c->max_age.as.i, INT64_C(86400) * CEL_NS_PER_SECOND);
    assert_true(str_eq(c->domain, STR("example.com")));
    assert_true(str_eq(c->path, STR("/app")));
    assert_true(c->secure);
    assert_true(c->http_only);
    assert_true(str_eq(c->same_site, STR("Lax")));
    assert_int_equal(c->unparsed_attributes.kind, CEL_MAP);
    assert_int_equal(unparsed->ops->size(unparsed), 2);
    assert_true(unparsed->ops->find(NULL, unparsed, &key, &v));
    assert_true(str_eq(cel_str(v), STR("High")));
    key = cel_string(STR("Partitioned"));
    assert_true(unparsed->ops->find(NULL, unparsed, &key, &v));
    assert_int_equal(v.n, 0);
}

static void cookies_of_response_without_attributes(void **state)
{
    const struct str field = STR("id=abc; Expires=never; Max-Age=1h; SameSite=Sometimes;;");
    struct cel_value map = cookies_of_response(&arena, &field, 1);
    const struct policy_cookie *c = cookie_of(find(map, "id")->items[0]);

    (void)state;
    assert_int_equal(c->expires.kind, CEL_NULL);
    assert_int_equal(c->max_age.kind, CEL_NULL);
    assert_int_equal(c->unparsed_attributes.kind, CEL_NULL);
    assert_int_equal(c->path.n, 0);
    assert_true(str_eq(c->same_site, STR("Sometimes")));
    assert_false(c->secure);
    assert_false(c->http_only);
}

static void cookies_of_response_max_age_at_the_limits(void **state)
{
    static const struct {
        struct str field;
        int64_t seconds;
    } cases[] = {
        { STR_INIT("a=1; Max-Age=0"), 0 },
        { STR_INIT("a=1; Max-Age=-1"), -1 },
        { STR_INIT("a=1; Max-Age=9223372036"), 9223372036 },
        { STR_INIT("a=1; Max-Age=9223372037"), 9223372036 },
        { STR_INIT("a=1; Max-Age=99999999999999999999999"), 9223372036 },
        { STR_INIT("a=1; Max-Age=-99999999999999999999999"), -9223372036 },
        { STR_INIT("a=1; Max-Age=1; Max-Age=2"), 2 },
        { STR_INIT("a=1; Max-Age=1; Max-Age=x"), 1 },
    };
    static const struct str bad[] = {
        STR_INIT("a=1; Max-Age"),    STR_INIT("a=1; Max-Age="),    STR_INIT("a=1; Max-Age=-"),
        STR_INIT("a=1; Max-Age=+1"), STR_INIT("a=1; Max-Age=1.5"), STR_INIT("a=1; Max-Age=--1"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cel_value map = cookies_of_response(&arena, &cases[i].field, 1);

        assert_int_equal(cookie_of(find(map, "a")->items[0])->max_age.as.i,
                         cases[i].seconds * CEL_NS_PER_SECOND);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct cel_value map = cookies_of_response(&arena, &bad[i], 1);

        assert_int_equal(cookie_of(find(map, "a")->items[0])->max_age.kind, CEL_NULL);
    }
}

static void cookies_of_response_longest_path_first(void **state)
{
    const struct str fields[] = {
        STR("b=root; Path=/"),
        STR("a=none"),
        STR("b=deep; Path=/a/b"),
        STR("b=none"),
        STR("b=other; Path=/x"),
        STR("novalue; Path=/"),
        STR("=nameless; Path=/a/b"),
        STR("b=same; Path=/y"),
        STR(""),
    };
    char text[256];

    (void)state;
    assert_string_equal(map_text(cookies_of_response(&arena, fields, 9), text),
                        "b=deep,other,same,root,none|a=none");
}

static void cookies_of_response_keep_attributes_up_to_the_limit(void **state)
{
    const struct cel_map *unparsed;
    struct cel_value map;
    struct str field;
    struct buf b;

    (void)state;
    buf_init(&b, 64 * 1024);
    buf_add_str(&b, STR("a=1"));
    for (unsigned i = 0; i < COOKIE_ATTRIBUTES_MAX + 1; i++)
        buf_add_fmt(&b, "; x%u=1", i);
    field = buf_str(&b);
    map = cookies_of_response(&arena, &field, 1);
    unparsed = cookie_of(find(map, "a")->items[0])->unparsed_attributes.as.map;
    assert_int_equal(unparsed->ops->size(unparsed), COOKIE_ATTRIBUTES_MAX);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cookies_of_request_cases),
        cmocka_unit_test(cookies_of_request_have_no_attributes),
        cmocka_unit_test(cookies_of_request_up_to_the_limit),
        cmocka_unit_test(cookies_of_response_read_all_attributes),
        cmocka_unit_test(cookies_of_response_without_attributes),
        cmocka_unit_test(cookies_of_response_max_age_at_the_limits),
        cmocka_unit_test(cookies_of_response_longest_path_first),
        cmocka_unit_test(cookies_of_response_keep_attributes_up_to_the_limit),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
