#include "policy/url_edit.h"

#include <string.h>

#include "base/buf.h"
#include "base/utf8.h"
#include "policy/action.h"
#include "policy/message_text.h"
#include "policy/regex_replace.h"
#include "policy/result.h"
#include "policy/target_url.h"
#include "policy/template_int.h"

enum { URL_MAX_BYTES = 64 * 1024 };

/* ---- config ----------------------------------------------------------------------------------- */

/* Words that a replacement once knew, and that are plain text now. */
static void warn_of_words(const struct field *to)
{
    static const char *const words[] = { "$args", "$query_string", "$authority", "$is_args",
                                         "$uri",  "$arg_",         "$scheme",    "$host",
                                         "$port", "$user",         "$is_user" };

    if (to->node == NULL || to->node->kind != DOC_SCALAR)
        return;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (str_find(to->node->text, str_from(words[i])) < to->node->text.n) {
            field_warn(to, "%s is plain text here; use an interpolation such as ${req.url.query}",
                       words[i]);
            return;
        }
    }
}

/* Without `from` the whole URL is the match. */
static struct pattern *whole_url(const struct field *f)
{
    return pattern_compile(f, template_literal(STR("(?s).*")));
}

/* A Location of older documents: the whole new URL. */
static void read_location(const struct fields *c, const struct field *location,
                          struct url_edit *out)
{
    struct field from = fields_find(c, "from");

    field_warn(location, "'location' is called 'to' now, without 'from'");
    if (field_is_given(&from))
        field_warn(&from, "it has no effect beside 'location'; use 'to'");
    out->from = whole_url(location);
    out->to = field_template(location);
}

static bool has_control(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7F)
            return true;
    }
    return false;
}

/* A computed Location is looked at when it is there. */
static void check_location(const struct field *f, const struct url_edit *u)
{
    struct str literal;

    if (template_is_literal(u->to, &literal) && has_control(literal))
        (void)field_problem(f, E_POLICY_HEADER_VALUE, "it has a control character");
}

void url_edit_read(const struct fields *c, enum url_edit_use use, struct url_edit *out)
{
    struct field location = { 0 };
    struct field from = fields_find(c, "from");
    struct field to = fields_find(c, "to");

    out->use = use;
    if (use == URL_EDIT_REDIRECT)
        location = fields_find(c, "location");
    if (!field_is_given(&to) && field_is_given(&location)) {
        read_location(c, &location, out);
        check_location(&location, out);
        return;
    }
    if (field_is_given(&location))
        field_warn(&location, "it has no effect beside 'to'");
    to = fields_need(c, "to");
    warn_of_words(&to);
    out->from = field_is_given(&from) ? field_pattern(&from) : whole_url(&to);
    out->to = field_template(&to);
    if (use == URL_EDIT_REDIRECT)
        check_location(&to, out);
}

void url_edit_fini(struct url_edit *u)
{
    pattern_free(u->from);
    template_free(u->to);
}

/* ---- URLs ------------------------------------------------------------------------------------- */

static struct str text_var(struct action_run *run, enum policy_var var)
{
    return cel_str(run->host->var(run->ctx, var, run->arena));
}

/* As it was sent; "*" of OPTIONS is none. */
static struct str raw_path(struct action_run *run)
{
    struct str path = text_var(run, VAR_REQ_URL_RAW_PATH);

    return str_starts(path, STR("/")) ? path : STR("");
}

static struct str join(struct action_run *run, struct str a, struct str b, struct str c)
{
    const struct str parts[] = { a, b, c };

    return message_text_join(run->arena, parts, sizeof(parts) / sizeof(parts[0]));
}

/* What is edited: the URL with its path as it was sent. */
static struct str subject(struct action_run *run)
{
    struct str query = text_var(run, VAR_REQ_URL_QUERY);
    struct str path = raw_path(run);
    struct str base = join(run, text_var(run, VAR_REQ_URL_SCHEME), STR("://"),
                           text_var(run, VAR_REQ_URL_AUTHORITY));

    if (query.n > 0)
        path = join(run, path, STR("?"), query);
    return join(run, base, path, STR_NONE);
}

/* RFC 3986 section 3.1, with "://" behind. */
static bool has_scheme(struct str url)
{
    size_t n = str_find(url, STR("://"));

    if (n == 0 || n == url.n || !char_is_alpha(url.p[0]))
        return false;
    for (size_t i = 1; i < n; i++) {
        char c = url.p[i];

        if (!char_is_alpha(c) && !char_is_digit(c) && c != '+' && c != '-' && c != '.')
            return false;
    }
    return true;
}

/* The authority of a URL that has a scheme. */
static struct str authority_of(struct str url)
{
    struct str rest = str_skip(url, str_find(url, STR("://")) + 3);
    size_t n = 0;

    while (n < rest.n && rest.p[n] != '/' && rest.p[n] != '?' && rest.p[n] != '#')
        n++;
    return str_slice(rest, 0, n);
}

/* A URL whose authority was edited away gets that of the request. */
static struct str with_authority(struct action_run *run, struct str url)
{
    size_t at = str_find(url, STR("://")) + 3;

    if (authority_of(url).n > 0)
        return url;
    return join(run, str_slice(url, 0, at), text_var(run, VAR_REQ_URL_AUTHORITY),
                str_skip(url, at));
}

/* What a relative reference stands behind (RFC 3986 section 5.2.2; dots are left to who follows it). */
static struct str base_of(struct action_run *run, struct str reference)
{
    struct str path = raw_path(run);
    struct str query = text_var(run, VAR_REQ_URL_QUERY);

    if (reference.n == 0 || reference.p[0] == '#')
        return query.n > 0 ? join(run, path, STR("?"), query) : path;
    if (reference.p[0] == '?')
        return path;
    return path.n == 0 ? STR("/") : str_slice(path, 0, str_rfind_char(path, '/') + 1);
}

/* Completes the result of an edit with what the request has. */
static struct str resolve(struct action_run *run, struct str reference)
{
    struct str scheme = text_var(run, VAR_REQ_URL_SCHEME);
    struct str site = join(run, scheme, STR("://"), text_var(run, VAR_REQ_URL_AUTHORITY));

    if (has_scheme(reference))
        return with_authority(run, reference);
    if (str_starts(reference, STR("://")))
        return with_authority(run, join(run, scheme, reference, STR_NONE));
    if (str_starts(reference, STR("//")))
        return with_authority(run, join(run, scheme, STR(":"), reference));
    if (str_starts(reference, STR("/")))
        return join(run, site, reference, STR_NONE);
    return join(run, site, base_of(run, reference), reference);
}

/* The URL as it may be sent; NULL when it is too long. */
static struct str escape(struct action_run *run, struct str url)
{
    struct str escaped = STR_NONE;
    struct buf text;

    buf_init(&text, URL_MAX_BYTES);
    target_url_add(&text, url);
    if (!buf_failed(&text))
        escaped = arena_str(run->arena, buf_str(&text));
    buf_fini(&text);
    return escaped;
}

/* ---- editing ---------------------------------------------------------------------------------- */

/* What matched, for the result if anybody wants it. */
static struct cel_value match_list(struct action_run *run, const struct str *groups, size_t count)
{
    struct cel_value items[REGEX_GROUPS_MAX];

    if (!action_wants_result(run))
        return cel_null();
    for (size_t i = 0; i < count; i++)
        items[i] = cel_string(utf8_is_valid(groups[i]) ? groups[i] : STR_NONE);
    return cel_list_new(action_values(run), items, count);
}

/* An edit that takes the '/' behind the authority away does not make its text a part of the host name:
 * /old and https://new give https://h/https://new (spec traffic-policy 6.17). */
static struct str keep_path_apart(struct action_run *run, struct str url, size_t at,
                                  struct str edited)
{
    struct str authority = authority_of(url);
    size_t path = (size_t)(authority.p - url.p) + authority.n;

    if (at != path || at == edited.n || strchr("/?#", edited.p[at]) != NULL)
        return edited;
    return join(run, str_slice(edited, 0, at), STR("/"), str_skip(edited, at));
}

static int replace_matches(const struct url_edit *u, struct action_run *run, struct str to,
                           struct url_edited *out, struct err *e)
{
    struct str url = out->url;
    struct regex_replace r = { .text = url, .to = to, .spent_ns = action_replaced_ns(run) };
    struct buf text;
    int rc;

    r.regex = pattern_get(u->from, run, e);
    if (r.regex == NULL)
        return -1;
    buf_init(&text, URL_MAX_BYTES);
    r.out = &text;
    rc = regex_replace(&r, e);
    if (rc == 0) {
        out->matches = match_list(run, r.groups, r.group_count);
        if (r.count > 0)
            out->url = keep_path_apart(run, url, (size_t)(r.groups[0].p - url.p),
                                       arena_str(run->arena, buf_str(&text)));
    } else {
        e->code = E_POLICY_MEMORY;
    }
    buf_fini(&text);
    return rc;
}

/* Makes a URL of the edited text. */
static int finish(const struct url_edit *u, struct action_run *run, struct str *url, struct err *e)
{
    *url = escape(run, resolve(run, *url));
    if (url->p == NULL)
        return err_set(e, E_POLICY_MEMORY, "the new URL has more than %d bytes", URL_MAX_BYTES);
    if (u->use == URL_EDIT_REWRITE) /* an upstream has no use for a fragment */
        *url = str_slice(*url, 0, str_find_char(*url, '#'));
    return 0;
}

static int apply(const struct url_edit *u, struct action_run *run, struct url_edited *out,
                 struct err *e)
{
    struct str url = out->url;
    struct str to;

    if (template_text(u->to, run, &to, e) == -1)
        return -1;
    if (u->use == URL_EDIT_REDIRECT && has_control(to))
        return err_set(e, E_POLICY_HEADER_VALUE, "redirect: 'to' has a control character");
    if (replace_matches(u, run, to, out, e) == -1)
        return -1;
    if (str_eq(out->url, url))
        return 0;
    if (finish(u, run, &out->url, e) == -1)
        return -1;
    out->changed = !str_eq(out->url, url);
    return 0;
}

int url_edit_apply(const struct url_edit *u, struct action_run *run, struct url_edited *out,
                   struct err *e)
{
    const struct url_edited nothing = { .url = subject(run), .matches = match_list(run, NULL, 0) };

    *out = nothing;
    if (apply(u, run, out, e) == 0)
        return 0;
    *out = nothing;
    return -1;
}

/* [user@]host[:port] (RFC 3986 section 3.2), as far as it decides where it ends. */
static bool is_authority(struct str s)
{
    size_t at = str_rfind_char(s, '@');
    struct str host = at < s.n ? str_skip(s, at + 1) : s;
    struct str port;
    uint64_t number;

    if (str_starts(host, STR("[")))
        port = str_skip(host, str_find_char(host, ']') + 1);
    else
        port = str_skip(host, str_find_char(host, ':'));
    host = str_slice(host, 0, host.n - port.n);
    if (port.n > 0 && port.p[0] != ':')
        return false;
    if (host.n == 0 || (host.p[0] == '[') != (host.p[host.n - 1] == ']'))
        return false;
    return port.n <= 1 || str_to_u64(str_skip(port, 1), UINT16_MAX, &number) == 0;
}

int url_edit_target(struct action_run *run, struct str url, struct str *target, struct err *e)
{
    struct str authority = authority_of(url);
    struct str rest;

    if (!has_scheme(url) || !is_authority(authority))
        return err_set(e, E_POLICY_FIELD_EVALUATION, "url-rewrite: the result is no URL");
    rest = str_skip(url, (size_t)(authority.p - url.p) + authority.n);
    rest = str_slice(rest, 0, str_find_char(rest, '#'));
    *target = str_starts(rest, STR("/")) ? rest : join(run, STR("/"), rest, STR_NONE);
    return 0;
}

void url_edit_set_result(struct action_run *run, const struct url_edited *edited,
                         const struct err *why)
{
    const struct result_field result[] = { { "matches", edited->matches },
                                           { "url", cel_string(edited->url) },
                                           { "error", action_error_value(run, why) } };

    result_set(run, result, 3);
}
