/*
 * Unit tests of tunnel/api/filter: tables of expressions against one object (spec api.md 1.10).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tunnel/api/filter.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { NOW_S = 1800000000 };

static const struct api_filter_field fields[] = {
    { "id", API_FILTER_STRING, true },           { "name", API_FILTER_STRING, false },
    { "description", API_FILTER_STRING, false }, { "created_at", API_FILTER_TIME, false },
    { "not_after", API_FILTER_TIME, false },     { "pooling_enabled", API_FILTER_BOOL, false },
    { "port", API_FILTER_NUMBER, false },        { "bindings", API_FILTER_LIST, false },
    { "acl", API_FILTER_LIST, false },           { "type", API_FILTER_STRING, false },
    { "principal", API_FILTER_STRING, true },    { "principal.id", API_FILTER_STRING, true },
    { "certificate", API_FILTER_STRING, true },  { "certificate.id", API_FILTER_STRING, true },
    { "owner_id", API_FILTER_STRING, true },
};

static const struct api_filter_alias aliases[] = { { "type", "agent", "ephemeral" },
                                                   { NULL, NULL, NULL } };

static const char object_text[] =
    "{\"id\":\"ep_1\",\"name\":\"sh\xc3\xb6p \\\"x\\\"\",\"description\":\"\","
    "\"created_at\":\"2026-03-02T11:01:01Z\",\"not_after\":null,\"pooling_enabled\":true,"
    "\"port\":443,\"bindings\":[\"public\",\"internal\"],\"acl\":[],\"type\":\"ephemeral\","
    "\"principal\":{\"id\":\"usr_1\",\"uri\":\"\"},\"certificate\":null,\"owner_id\":\"usr_1\"}";

static struct api_filter *parse(const char *text, struct err *e)
{
    const struct api_filter_params params = {
        .fields = fields,
        .field_count = COUNT(fields),
        .aliases = aliases,
        .now_ms = (uint64_t)NOW_S * 1000,
    };

    return api_filter_parse(str_from(text), &params, e);
}

static void api_filter_matches_table(void **state)
{
    static const struct {
        const char *text;
        bool matches;
    } rows[] = {
        { "obj.id == \"ep_1\"", true },
        { "obj.id == 'ep_1'", true },
        { "obj.id=='ep_1'&&obj.port==443", true },
        { "'ep_1' == obj.id", true },
        { "obj.id != 'ep_1'", false },
        { "!(obj.id == 'ep_1')", false },
        { "!!(obj.id == 'ep_1')", true },
        { "! obj.pooling_enabled", false },
        { "obj.pooling_enabled", true },
        { "obj.pooling_enabled == true", true },
        { "obj.pooling_enabled == false", false },
        { "true", true },
        { "false || true", true },
        { "true || false && false", true },
        { "(true || false) && false", false },
        { "(obj.port == 443) == true", true },
        { "obj.port < 443 || obj.port > 443", false },
        { "obj.port <= 443 && obj.port >= 443.0", true },
        { "obj.port > -1", true },
        { "obj.port in [80, 443]", true },
        { "obj.port in []", false },
        { "obj.id in ['a', 'ep_1']", true },
        { "\"public\" in obj.bindings", true },
        { "\"kubernetes\" in obj.bindings", false },
        { "!('public' in obj.bindings)", false },
        { "size(obj.bindings) == 2", true },
        { "size(obj.acl) == 0", true },
        { "size(obj.name) == 8", true }, /* characters, not bytes */
        { "size(['a']) == 1", true },
        { "obj.bindings == ['public', 'internal']", true },
        { "obj.bindings == ['public']", false },
        /* What is unset. */
        { "obj.description == ''", true },
        { "obj.description == null", true },
        { "obj.id == null", false },
        { "obj.id != null", true },
        { "obj.acl == null", true },
        { "obj.acl == ''", true },
        { "obj.not_after == null", true },
        { "obj.certificate == null", true },
        { "obj.certificate.id == ''", true },
        { "obj.certificate == 'cert_1'", false },
        /* References are their ids. */
        { "obj.principal == 'usr_1'", true },
        { "obj.principal.id == 'usr_1'", true },
        /* Text. */
        { "obj.name.startsWith('sh')", true },
        { "obj.name.endsWith('\"x\"')", true },
        { "obj.name.contains('\\u00f6p')", true },
        { "obj.name.contains('\\xf6')", true },
        { "obj.name.contains('\\U000000f6')", true },
        { "obj.name.contains('')", true },
        { "obj.name.contains('zz')", false },
        { "obj.name == \"sh\xc3\xb6p \\\"x\\\"\"", true },
        { "obj.name > 'sa' && obj.name < 'si'", true },
        /* Times. */
        { "obj.created_at == timestamp('2026-03-02T11:01:01Z')", true },
        { "obj.created_at == timestamp('2026-03-02T12:01:01+01:00')", true },
        { "obj.created_at < timestamp('2026-03-02T11:01:01.5Z')", true },
        { "obj.created_at > timestamp('2026-03-02Z')", true },
        { "obj.created_at < timestamp(time.now)", true },
        { "obj.created_at > timestamp(time.now).subtract('7d')", false },
        { "obj.created_at > timestamp('2026-03-09T11:01:00Z').subtract(\"7d\")", true },
        { "obj.created_at < timestamp('2026-03-02Z').add('11h').add('2m')", true },
        { "obj.created_at == '2026-03-02T11:01:01Z'", true },
        { "obj.not_after < timestamp(time.now)", false },
        /* Words that mean the same. */
        { "obj.type == 'agent'", true },
        { "obj.type == 'ephemeral'", true },
        { "obj.type in ['agent', 'cloud']", true },
        { "obj.type == 'cloud'", false },
        { "'agent' == obj.type", true },
    };
    json_t *object = json_loads(object_text, 0, NULL);

    (void)state;
    assert_non_null(object);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err e = { 0 };
        struct api_filter *f = parse(rows[i].text, &e);

        if (f == NULL)
            fail_msg("%s: %s", rows[i].text, e.msg);
        if (api_filter_matches(f, object) != rows[i].matches)
            fail_msg("%s is not %d", rows[i].text, rows[i].matches);
        api_filter_free(f);
    }
    json_decref(object);
}

static void api_filter_parse_errors(void **state)
{
    static const char *const rows[] = {
        "",
        " ",
        "obj",
        "obj.",
        "obj.id",             /* no comparison */
        "obj.nothing == 'x'", /* no such field */
        "obj.principal.name == 'x'",
        "obj.principal.id.id == 'x'",
        "other.id == 'x'",
        "id == 'x'",
        "obj.id = 'x'",
        "obj.id == x",
        "obj.id == 'x",
        "obj.id == 'x\\q'",
        "obj.id == '\\ud800'",
        "obj.id == '\\x00'",
        "obj.id == 'x' &&",
        "obj.id == 'x' & true",
        "obj.id == 'x' obj.id",
        "(obj.id == 'x'",
        "obj.id == 'x')",
        "obj.id == 5", /* types */
        "obj.port == '443'",
        "obj.port == null",
        "obj.pooling_enabled == 'true'",
        "obj.pooling_enabled < true",
        "obj.bindings < obj.acl",
        "'a' && true",
        "true && obj.port",
        "!obj.port",
        "['a'] in obj.bindings",
        "obj.bindings in ['a']",
        "obj.id in obj.bindings",
        "obj.id in 'a'",
        "obj.id in ['a',]",
        "obj.id in ['a' 'b']",
        "obj.id.startsWith('x')", /* ids take none */
        "obj.principal.startsWith('x')",
        "obj.principal.id.contains('x')",
        "obj.owner_id.endsWith('x')",
        "obj.bindings.contains('x')",
        "obj.name.matches('x')",
        "obj.name.startsWith(5)",
        "obj.name.startsWith('x'",
        "obj.name[0] == 'x'",
        "obj.port + 1 == 2",
        "obj.port == 443 ? true : false",
        "size(obj.port) == 1",
        "size() == 1",
        "obj.created_at < timestamp('yesterday')",
        "obj.created_at < timestamp('2026-13-01Z')",
        "obj.created_at < timestamp('2026-02-30Z')",
        "obj.created_at < timestamp('2026-02-20')",
        "obj.created_at < timestamp('2026-02-20T10:00Z')",
        "obj.created_at < timestamp('2026-02-20T25:00:00Z')",
        "obj.created_at < timestamp(now)",
        "obj.created_at < timestamp(time.now).add('7w')",
        "obj.created_at < timestamp(time.now).add('d')",
        "obj.created_at < timestamp(time.now).add(7)",
        "obj.port == 1234567890123456", /* more digits than a number keeps */
        "obj.port == -",
        "obj.port == 1.2.3",
        "exists(obj.id)",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err e = { 0 };
        struct api_filter *f = parse(rows[i], &e);

        if (f != NULL)
            fail_msg("%s is taken", rows[i]);
        assert_true(e.code == E_SYNTAX || e.code == E_LIMIT);
        assert_true(e.msg[0] != '\0');
    }
}

static void api_filter_parse_names_the_field_and_those_there_are(void **state)
{
    struct err e = { 0 };

    (void)state;
    assert_null(parse("obj.nothing == 'x'", &e));
    assert_non_null(strstr(e.msg, "obj.nothing"));
    assert_non_null(strstr(e.msg, "created_at"));
}

/* `count` times `piece` between `first` and `last`. */
static bool is_taken(const char *first, const char *piece, size_t count, const char *last)
{
    static char text[3 * API_FILTER_MAX_BYTES];
    size_t n = (size_t)snprintf(text, sizeof(text), "%s", first);
    struct api_filter *f;
    struct err e;

    for (size_t i = 0; i < count; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", piece);
    (void)snprintf(text + n, sizeof(text) - n, "%s", last);
    f = parse(text, &e);
    api_filter_free(f);
    return f != NULL;
}

static void api_filter_parse_has_limits(void **state)
{
    (void)state;
    assert_true(is_taken("obj.port == 1", " || obj.port == 1", API_FILTER_COMPARISONS_MAX - 1, ""));
    assert_false(is_taken("obj.port == 1", " || obj.port == 1", API_FILTER_COMPARISONS_MAX, ""));
    assert_true(is_taken("", "(", API_FILTER_DEPTH_MAX, "true))))))))))))))))"));
    assert_false(is_taken("", "(", API_FILTER_DEPTH_MAX + 1, "true)))))))))))))))))"));
    assert_true(is_taken("obj.id == 'x'", " ", API_FILTER_MAX_BYTES - 13, ""));
    assert_false(is_taken("obj.id == 'x'", " ", API_FILTER_MAX_BYTES - 12, ""));
    assert_true(is_taken("", "!", 4000, "true"));
    assert_false(is_taken("obj.port in [1", ",1", 600, "]"));
}

static void api_time_parse_table(void **state)
{
    static const struct {
        const char *text;
        int64_t ms; /* -1: refused */
    } rows[] = {
        { "1970-01-01T00:00:00Z", 0 },
        { "1970-01-01t00:00:01.25z", 1250 },
        { "1970-01-01T01:00:00+01:00", 0 },
        { "1970-01-01T00:00:00-00:30", 1800000 },
        { "1970-01-02Z", 86400000 },
        { "2024-02-29Z", 1709164800000 },
        { "2023-02-29Z", -1 },
        { "1970-01-01T00:00:00", -1 },
        { "1970-01-01T00:00:00.Z", -1 },
        { "1970-01-01 00:00:00Z", -1 },
        { "1970-00-01Z", -1 },
        { "1970-01-01T00:00:00+24:00", -1 },
        { "1970-01-01T00:00:00ZZ", -1 },
        { "", -1 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t ms = -1;

        (void)api_time_parse(str_from(rows[i].text), &ms);
        if (ms != rows[i].ms)
            fail_msg("%s is %lld", rows[i].text, (long long)ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(api_filter_matches_table),
        cmocka_unit_test(api_filter_parse_errors),
        cmocka_unit_test(api_filter_parse_names_the_field_and_those_there_are),
        cmocka_unit_test(api_filter_parse_has_limits),
        cmocka_unit_test(api_time_parse_table),
    };

    return cmocka_run_group_tests_name("api/filter", tests, NULL, NULL);
}
