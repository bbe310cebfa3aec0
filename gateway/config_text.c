#include "gateway/config_text.h"

#include <stdbool.h>

/* What begins at the front of the text; the scanner of libconfig sees the same tokens. */
static size_t comment_length(struct str s)
{
    if (s.p[0] == '#' || str_starts(s, STR("//")))
        return str_find_char(s, '\n');
    if (str_starts(s, STR("/*"))) {
        size_t end = str_find(str_skip(s, 2), STR("*/"));

        return end + 4 < s.n ? end + 4 : s.n;
    }
    return 0;
}

static size_t string_length(struct str s)
{
    size_t n = 1;

    if (s.p[0] != '"')
        return 0;
    while (n < s.n && s.p[n] != '"')
        n += s.p[n] == '\\' ? 2 : 1;
    return n < s.n ? n + 1 : s.n;
}

static size_t name_length(struct str s)
{
    size_t n = 0;

    if (!char_is_alpha(s.p[0]) && s.p[0] != '*')
        return 0;
    while (n < s.n && (char_is_alpha(s.p[n]) || char_is_digit(s.p[n]) || s.p[n] == '*' ||
                       s.p[n] == '-' || s.p[n] == '_'))
        n++;
    return n;
}

/* Of anything that looks like a number; *is_whole says if it lacks only the L. */
static size_t number_length(struct str s, bool *is_whole)
{
    size_t n = s.p[0] == '-' || s.p[0] == '+' ? 1 : 0;
    bool hex = str_starts_nocase(str_skip(s, n), STR("0x"));
    size_t start = hex ? n + 2 : n;

    if (n == s.n || !(char_is_digit(s.p[n]) || s.p[n] == '.'))
        return 0;
    *is_whole = true;
    for (n = start; n < s.n; n++) {
        char c = s.p[n];

        if (char_is_digit(c) || (hex && char_hex_value(c) != -1))
            continue;
        if (!char_is_alpha(c) && c != '.')
            break;
        *is_whole = false; /* 1.5, 1e3, 5L: as they are */
    }
    *is_whole = *is_whole && n > start;
    return n;
}

int config_text_widen(struct str text, struct buf *out, unsigned *line, struct err *e)
{
    *line = 1;
    while (text.n > 0) {
        bool is_whole = false;
        size_t n = comment_length(text);

        if (text.p[0] == '@')
            return err_set(e, E_SYNTAX, "@include is not supported; write all into one file");
        if (n == 0)
            n = string_length(text);
        if (n == 0)
            n = name_length(text);
        if (n == 0)
            n = number_length(text, &is_whole);
        if (n == 0)
            n = 1;
        n = n < text.n ? n : text.n;
        for (size_t i = 0; i < n; i++)
            *line += text.p[i] == '\n';
        buf_add(out, text.p, n);
        if (is_whole)
            buf_add_char(out, 'L');
        text = str_skip(text, n);
    }
    return 0;
}
