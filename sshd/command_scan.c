/*
 * Where a value ends is a guess by nature, so the guess is the safe one: a word that looks like a
 * flag ends it even when no such flag exists, and is then refused. Otherwise a typing error behind
 * one flag (`--request-header-add x: 1 --basic-aut u:p`) would quietly become part of its value and
 * leave the endpoint open. Text that looks like a flag can be put in quotes.
 */
#include "sshd/command_scan.h"

enum { SHOWN_BYTES = 40 };

/* A thing that looks like a flag, at the start of the text or behind a space. */
struct token {
    struct str typed; /* with dashes, without value */
    struct str name;
};

static bool is_name_char(char c)
{
    return char_is_alpha(c) || char_is_digit(c) || c == '-' || c == '_';
}

static size_t count_dashes(struct str s)
{
    size_t dashes = 0;

    while (dashes < s.n && dashes < 2 && s.p[dashes] == '-')
        dashes++;
    return dashes;
}

/* One dash is enough in version 1, and for -h. */
static bool token_at(struct str text, size_t at, unsigned version, struct token *out)
{
    struct str s = str_skip(text, at);
    size_t dashes = count_dashes(s);
    size_t end = dashes;

    if (at > 0 && text.p[at - 1] != ' ')
        return false;
    if (dashes == 0 || dashes == s.n || !char_is_alpha(s.p[dashes]))
        return false;
    while (end < s.n && is_name_char(s.p[end]))
        end++;
    if (end < s.n && s.p[end] != '=' && s.p[end] != ' ')
        return false;
    out->typed = str_slice(s, 0, end);
    out->name = str_slice(s, dashes, end);
    return dashes == 2 || version == 1 || str_eq(out->typed, STR("-h"));
}

/* Index of the quote that closes the one at `at`: the next equal one that ends a word; text.n when
 * there is none, and the quote then is an ordinary character. */
static size_t find_closing_quote(struct str text, size_t at)
{
    for (size_t i = at + 1; i < text.n; i++) {
        if (text.p[i] == text.p[at] && (i + 1 == text.n || text.p[i + 1] == ' '))
            return i;
    }
    return text.n;
}

static bool starts_with_quote(struct str s)
{
    return s.n > 0 && (s.p[0] == '"' || s.p[0] == '\'');
}

static size_t skip_spaces(struct str text, size_t at)
{
    while (at < text.n && text.p[at] == ' ')
        at++;
    return at;
}

/* Where the value that starts at `at` ends: before the next token outside of its quotes. */
static size_t find_value_end(struct str text, size_t at, unsigned version)
{
    struct token ignored;

    if (starts_with_quote(str_skip(text, at))) {
        size_t close = find_closing_quote(text, at);

        if (close < text.n)
            at = close;
    }
    for (at++; at < text.n; at++) {
        if (token_at(text, at, version, &ignored))
            return at;
    }
    return text.n;
}

static struct str unquote(struct str value)
{
    value = str_trim(value);
    if (starts_with_quote(value) && value.n > 1 && find_closing_quote(value, 0) == value.n - 1)
        return str_slice(value, 1, value.n - 1);
    return value;
}

static int refuse_unknown(const struct token *t, unsigned version, struct err *e)
{
    const struct flag *nearest = flag_nearest(t->name, version);

    return err_set(e, E_FLAG_SYNTAX,
                   "unknown flag %.*s; the nearest one is --%s ('http --help' lists all); if it is "
                   "part of a value, put quotes around the value that your shell passes on",
                   STR_ARG(str_slice(t->typed, 0, SHOWN_BYTES)), nearest->name);
}

/* --f, or --f= and a truth value; returns where it ends. */
static int scan_switch(struct str text, size_t *at, struct flag_use *use, struct err *e)
{
    struct str rest = str_skip(text, *at);
    size_t end = str_find_char(rest, ' ');
    struct str value = str_skip(str_slice(rest, 0, end), 1); /* behind '=' */

    use->on = end == 0 || str_eq(value, STR("true")) || str_eq(value, STR("1"));
    if (!use->on && !str_eq(value, STR("false")) && !str_eq(value, STR("0")))
        return err_set(e, E_FLAG_SYNTAX, "%.*s is on or off; '%.*s' is neither true nor false",
                       STR_ARG(use->typed), STR_ARG(str_slice(value, 0, SHOWN_BYTES)));
    *at += end;
    return 0;
}

static int scan_value(struct str text, size_t *at, unsigned version, struct flag_use *use,
                      struct err *e)
{
    bool has_equals = *at < text.n && text.p[*at] == '=';
    size_t start = has_equals ? *at + 1 : skip_spaces(text, *at);
    struct token next;

    if (!has_equals && start < text.n && token_at(text, start, version, &next) &&
        flag_find(next.name, version) == NULL)
        return refuse_unknown(&next, version, e);
    if (!has_equals && (start == text.n || token_at(text, start, version, &next)))
        return err_set(e, E_FLAG_SYNTAX, "%.*s needs a value: %.*s=VALUE", STR_ARG(use->typed),
                       STR_ARG(use->typed));
    *at = start == text.n || text.p[start] == ' ' ? start : find_value_end(text, start, version);
    use->value = unquote(str_slice(text, start, *at));
    return 0;
}

static int scan_flag(struct str text, size_t *at, unsigned version, struct command_scan *out,
                     struct err *e)
{
    struct token t;
    struct flag_use *use;

    if (!token_at(text, *at, version, &t)) {
        struct str word = str_skip(text, *at);

        return err_set(e, E_FLAG_SYNTAX,
                       "'%.*s' was not expected here; flags look like --name VALUE",
                       STR_ARG(str_slice(word, 0, SHOWN_BYTES)));
    }
    if (flag_find(t.name, version) == NULL)
        return refuse_unknown(&t, version, e);
    if (out->count == COMMAND_FLAGS_MAX)
        return err_set(e, E_FLAG_SYNTAX, "more than %d flags", COMMAND_FLAGS_MAX);
    use = &out->uses[out->count++];
    *use = (struct flag_use){ .flag = flag_find(t.name, version), .typed = t.typed };
    *at += t.typed.n;
    if (use->flag->shape == FLAG_SWITCH)
        return scan_switch(text, at, use, e);
    return scan_value(text, at, version, use, e);
}

static int scan_positional(struct str text, size_t *at, unsigned version, struct command_scan *out,
                           struct err *e)
{
    struct token first;

    if (text.n == 0 || token_at(text, 0, version, &first))
        return 0;
    if (text.p[0] == '-')
        return err_set(e, E_FLAG_SYNTAX, "'%.*s' is no flag; flags have two dashes, as in --url",
                       STR_ARG(str_slice(text, 0, str_find_char(text, ' '))));
    *at = find_value_end(text, 0, version);
    out->positional = unquote(str_slice(text, 0, *at));
    if (str_find_char(out->positional, ' ') != out->positional.n)
        return err_set(e, E_FLAG_SYNTAX,
                       "'%.*s' is more than one word; only the upstream may stand here, such as "
                       "http://localhost:8080",
                       STR_ARG(str_slice(out->positional, 0, SHOWN_BYTES)));
    return 0;
}

int command_scan(struct str text, unsigned version, struct command_scan *out, struct err *e)
{
    size_t at = 0;

    out->positional = STR_NONE;
    out->count = 0;
    text = str_trim(text);
    if (scan_positional(text, &at, version, out, e) == -1)
        return -1;
    for (at = skip_spaces(text, at); at < text.n; at = skip_spaces(text, at)) {
        if (scan_flag(text, &at, version, out, e) == -1)
            return -1;
    }
    return 0;
}
