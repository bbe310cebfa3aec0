/*
 * fn_url: url.escape() and the like, as functions and as methods of strings (spec traffic-policy 5.13
 * and 5.15).
 */
#include "base/utf8.h"
#include "policy/cel/fn_policy.h"
#include "policy/cel/text.h"
#include "policy/cel/url_text.h"

static struct cel_value escape(struct cel_run *run, const struct cel_value *args, size_t count)
{
    struct cel_text text;

    (void)count;
    if (!cel_charge_bytes(run, args[0].n))
        return cel_spent(run);
    cel_text_init(&text, run);
    url_text_escape(&text, cel_str(args[0]), STR("%20"));
    return cel_text_done(&text);
}

/* By the rules of queries, where '+' is a space. */
static struct cel_value unescape(struct cel_run *run, const struct cel_value *args, size_t count)
{
    struct cel_value bytes =
        url_text_unescape(run, cel_str(args[0]), URL_PLUS_IS_SPACE, URL_BAD_ESCAPE_FAILS);

    (void)count;
    if (cel_is_error(bytes))
        return bytes;
    if (!utf8_is_valid(cel_str(bytes)))
        return cel_error(run, "the escapes stand for bytes that are not UTF-8");
    return cel_string(cel_str(bytes));
}

/* ---- parse ---- */

/* What a URL means by text that may have escapes. */
static struct cel_value decoded(struct cel_run *run, struct str s)
{
    struct cel_value bytes = url_text_unescape(run, s, URL_PLUS_STAYS, URL_BAD_ESCAPE_STAYS);

    return cel_is_error(bytes) ? bytes : cel_utf8_clean(run, cel_str(bytes));
}

static struct cel_value lower_case(struct cel_run *run, struct str s)
{
    char *out = cel_text_alloc(run, s.n);

    if (out == NULL)
        return cel_spent(run);
    for (size_t i = 0; i < s.n; i++)
        out[i] = char_lower(s.p[i]);
    return cel_string(str_of(out, s.n));
}

static struct cel_value map_of_parts(struct cel_run *run, const struct url_parts *parts)
{
    const struct {
        struct str name;
        struct cel_value value;
    } entries[] = {
        { STR("scheme"), lower_case(run, parts->scheme) },
        { STR("user"), cel_string(parts->user) },
        { STR("host"), cel_string(parts->host) },
        { STR("hostname"), cel_string(parts->hostname) },
        { STR("port"), cel_string(parts->port) },
        { STR("path"), decoded(run, parts->path) },
        { STR("raw_path"), cel_string(parts->path) },
        { STR("query"), cel_string(parts->query) },
        { STR("fragment"), decoded(run, parts->fragment) },
    };
    struct cel_map_builder *map = cel_map_new(run, sizeof(entries) / sizeof(entries[0]));

    if (map == NULL)
        return cel_spent(run);
    for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
        if (cel_is_error(entries[i].value))
            return entries[i].value;
        if (!cel_map_put(map, cel_string(entries[i].name), entries[i].value))
            return cel_spent(run);
    }
    return cel_map_value(map);
}

static struct cel_value parse(struct cel_run *run, const struct cel_value *args, size_t count)
{
    struct url_parts parts;

    (void)count;
    if (!cel_charge_bytes(run, args[0].n))
        return cel_spent(run);
    if (!url_text_parse(cel_str(args[0]), &parts))
        return cel_error(run, "the text is not a URL");
    return map_of_parts(run, &parts);
}

/* An absolute one, with a host. */
static struct cel_value is_url(struct cel_run *run, const struct cel_value *args, size_t count)
{
    struct url_parts parts;

    (void)count;
    if (!cel_charge_bytes(run, args[0].n))
        return cel_spent(run);
    return cel_bool(url_text_parse(cel_str(args[0]), &parts) && parts.scheme.n > 0 &&
                    parts.hostname.n > 0);
}

static const struct cel_fn_row rows[] = {
    { "url.escape(string) -> string", escape, CEL_FN_PURE },
    { "url.unescape(string) -> string", unescape, CEL_FN_PURE },
    { "url.parse(string) -> map(string, string)", parse, CEL_FN_PURE },
    { "string.escapeUrl() -> string", escape, CEL_FN_PURE },
    { "string.unescapeUrl() -> string", unescape, CEL_FN_PURE },
    { "string.parseUrl() -> map(string, string)", parse, CEL_FN_PURE },
    { "string.isURL() -> bool", is_url, CEL_FN_PURE },
};

const struct cel_library cel_url_library = { rows, sizeof(rows) / sizeof(rows[0]) };
