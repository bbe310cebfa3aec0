/*
 * Fuzz target of the functions of CEL: expressions that hold for all texts s and t and any int i are
 * evaluated with the input. None may be false; an error (a limit, an index) is as good as true.
 * Input: a byte of i, a byte that is the length of t, t, s.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "policy/cel/cel.h"
#include "policy/cel/fn_policy.h"
#include "policy/regex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* clang-format off */
static const char *const laws[] = {
    "s.split(t).join(t) == s",
    "s.split(t, i).join(t) == (i == 0 ? '' : s)",
    "s.split('').join() == s",
    "s.split().all(w, w == w.trim() && w != '')",
    "s.reverse().reverse() == s",
    "s.reverse().size() == s.size()",
    "s.substring(0, i) + s.substring(i) == s",
    "s.substring(i).startsWith(s.charAt(i))",
    "s.replace(t, t) == s",
    "t == '' || !s.replace(t, '').contains(t) || s.size() > t.size()",
    "s.replace(t, '-', i) == s.replace(t, '-') || i >= 0",
    "s.contains(t) == (s.indexOf(t) >= 0)",
    "s.contains(t) == (s.lastIndexOf(t) >= 0)",
    "s.indexOf(t) <= s.lastIndexOf(t)",
    "!s.contains(t) || s.substring(s.lastIndexOf(t)).startsWith(t)",
    "s.indexOf(t, i) == -1 || s.indexOf(t, i) >= i",
    "s.lastIndexOf(t, i) <= i",
    "(s + t).endsWith(t) && (s + t).startsWith(s)",
    "s.lower().lower() == s.lower()",
    "s.upper().size() == s.size()",
    "s.lowerAscii().upperAscii() == s.upperAscii()",
    "s.trim().trim() == s.trim() && s.contains(s.trim())",
    "strings.quote(s).size() >= s.size() + 2",
    "type(s.format([t, i, [s, i], {t: i}, 1.5, true])) == string",
    "'%s|%x|%s'.format([s, t, {t: [s]}]).startsWith(s)",
    "type(matches(s, t)) == bool",
    "[s, t, s].distinct().size() == (s == t ? 1 : 2)",
    "[s, t].sort() == (s <= t ? [s, t] : [t, s])",
    "[[s], [[t]]].flatten(i) == [s, t] || i < 2",
    "base64.decode(base64.encode(bytes(s))) == bytes(s)",
    "s.encodeBase64().decodeBase64() == s",
    "type(s.decodeBase64()) == string && type(base64.decode(t)) == bytes",
    "basic_auth.encode(s, t).substring(6).decodeBase64() == s + ':' + t",
    "s.crc32().size() == 8 && s.crc64().size() == 16 && s.xxhash64().size() == 16",
    "s.md5() == hash.md5(s) && base64.decode(s.sha256('base64')).size() == 32",
    "url.unescape(url.escape(s)) == s",
    "s.unescapeUrl().escapeUrl().unescapeUrl() == s.unescapeUrl()",
    "s.isURL() == (s.parseUrl().scheme != '' && s.parseUrl().hostname != '')",
    "s.parseUrl().size() == 9",
    "queryString.decode({s: t}.encodeQueryString()) == {s: t}",
    "s.decodeQueryString().encodeQueryString().decodeQueryString() == s.decodeQueryString()",
    "type(s.isQueryString()) == bool",
    "json.decode(json.encode([s, t])) == [s, t]",
    "s.isJson() == (type(s.decodeJson()) != type(1))",
    "!s.isPrivateIp() || inCidrRange(s, '0.0.0.0/0')",
    "inCidrRanges(s, [t]) == inCidrRange(s, t)",
    "rand.int(i, i) == i",
};
/* clang-format on */

enum { LAW_COUNT = sizeof(laws) / sizeof(laws[0]), LIBRARIES_MAX = 32, SLOT_S = 0, SLOT_T, SLOT_I };

static struct cel_value values[3];

static struct cel_value var(struct cel_run *run, unsigned slot)
{
    (void)run;
    return values[slot];
}

static struct cel_env *new_env(void)
{
    const struct cel_library *libraries[LIBRARIES_MAX];
    struct cel_env_params params = { .libraries = libraries };
    struct cel_env *env;
    size_t count = 0;

    for (size_t i = 0; cel_standard_libraries[i] != NULL; i++)
        libraries[count++] = cel_standard_libraries[i];
    for (size_t i = 0; cel_policy_libraries[i] != NULL; i++)
        libraries[count++] = cel_policy_libraries[i];
    assert(count < LIBRARIES_MAX);
    libraries[count] = NULL;
    env = cel_env_new(&params);
    (void)cel_env_add_var(env, STR("s"), "string", SLOT_S);
    (void)cel_env_add_var(env, STR("t"), "string", SLOT_T);
    (void)cel_env_add_var(env, STR("i"), "int", SLOT_I);
    return env;
}

static struct cel_program *compile(const struct cel_env *env, const char *law)
{
    struct cel_compile_params params = { .env = env };
    struct cel_issue issue = { 0 };
    struct cel_program *p = cel_compile(&params, str_from(law), &issue);

    if (p == NULL) {
        (void)fprintf(stderr, "%s: %s\n", law, issue.text);
        abort();
    }
    return p;
}

/* Compiled once, and kept until the process ends. */
static struct cel_program *const *programs(void)
{
    static struct cel_program *all[LAW_COUNT];
    static struct cel_env *env;

    if (env != NULL)
        return all;
    env = new_env();
    for (size_t i = 0; i < LAW_COUNT; i++)
        all[i] = compile(env, laws[i]);
    return all;
}

static void check_laws(void)
{
    struct cel_program *const *all = programs();
    struct regex_cache *regexes = regex_cache_new(2);

    for (size_t i = 0; i < LAW_COUNT; i++) {
        struct arena arena;
        struct cel_run run = {
            .arena = &arena, .limits = &cel_default_limits, .var = var, .regexes = regexes
        };
        struct cel_value v;

        arena_init(&arena);
        v = cel_eval(all[i], &run);
        if (!cel_is_error(v) && !cel_is_true(v)) {
            (void)fprintf(stderr, "%s does not hold\n", laws[i]);
            abort();
        }
        arena_fini(&arena);
    }
    regex_cache_free(regexes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = str_of((const char *)data, size);
    struct str t;

    if (size < 2)
        return 0;
    t = str_slice(rest, 2, 2 + (size_t)data[1]);
    rest = str_skip(rest, 2 + (size_t)data[1]);
    values[SLOT_S] = cel_string(str_slice(rest, 0, utf8_good(rest)));
    values[SLOT_T] = cel_string(str_slice(t, 0, utf8_good(t)));
    values[SLOT_I] = cel_int((int8_t)data[0]);
    check_laws();
    return 0;
}
