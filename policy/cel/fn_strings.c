/*
 * fn_strings: the methods of strings (spec cel 7 and 10.1, spec traffic-policy 5.13). Positions count
 * code points. What is a part of the receiver is not copied.
 */
#include <string.h>

#include "base/utf8.h"
#include "policy/cel/fn.h"
#include "policy/cel/format.h"
#include "policy/cel/list.h"
#include "policy/cel/text.h"
#include "policy/cel/unicode.h"

static struct cel_value out_of_range(struct cel_run *run)
{
    return run->spent ? cel_spent(run) : cel_error(run, "the index is outside of the text");
}

/* The byte offset of a position; false if there is none. */
static bool find_offset(struct cel_run *run, struct str s, struct cel_value position,
                        size_t *offset)
{
    bool missing = true;

    *offset = 0;
    if (position.as.i >= 0 && (uint64_t)position.as.i <= s.n && cel_charge_bytes(run, s.n))
        *offset = utf8_offset(s, (size_t)position.as.i, &missing);
    return !missing;
}

/* ---- contains, startsWith, endsWith: on bytes, which comes to the same in UTF-8 ---- */

static struct cel_value contains(struct cel_run *run, const struct cel_value *args, size_t count)
{
    struct str s = cel_str(args[0]);
    struct str part = cel_str(args[1]);

    (void)count;
    if (!cel_charge_bytes(run, s.n))
        return cel_spent(run);
    return cel_bool(part.n == 0 || str_find(s, part) < s.n);
}

static struct cel_value starts_with(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)count;
    if (!cel_charge_bytes(run, args[1].n))
        return cel_spent(run);
    return cel_bool(str_starts(cel_str(args[0]), cel_str(args[1])));
}

static struct cel_value ends_with(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)count;
    if (!cel_charge_bytes(run, args[1].n))
        return cel_spent(run);
    return cel_bool(str_ends(cel_str(args[0]), cel_str(args[1])));
}

/* ---- positions ---- */

static struct cel_value char_at(struct cel_run *run, const struct cel_value *args, size_t count)
{
    struct str s = cel_str(args[0]);
    size_t at;

    (void)count;
    if (!find_offset(run, s, args[1], &at))
        return out_of_range(run);
    s = str_skip(s, at);
    return cel_string(str_slice(s, 0, utf8_length(s)));
}

static struct cel_value position_of(struct str s, size_t offset)
{
    return cel_int((int64_t)utf8_count(str_slice(s, 0, offset)));
}

static struct cel_value index_of(struct cel_run *run, const struct cel_value *args, size_t count)
{
    struct str s = cel_str(args[0]);
    struct str part = cel_str(args[1]);
    size_t from = 0;
    size_t found;

    if (count == 3 && !find_offset(run, s, args[2], &from))
        return out_of_range(run);
    if (!cel_charge_bytes(run, s.n))
        return cel_spent(run);
    found = from + str_find(str_skip(s, from), part);
    return part.n > 0 && found == s.n ? cel_int(-1) : position_of(s, found);
}

/*
 * The last start of `part` at or before `from`. C has no search backwards that is linear whatever
 * the text is, so each place where the first byte fits is charged.
 */
static bool find_last(struct cel_run *run, struct str s, struct str part, size_t *from)
{
    if (part.n == 0)
        return true;
    if (part.n > s.n)
        return false;
    if (*from > s.n - part.n)
        *from = s.n - part.n;
    for (;;) {
        struct str front = str_slice(s, 0, *from + 1);
        size_t at = str_rfind_char(front, part.p[0]);

        if (at == front.n || !cel_charge(run, 1) || !cel_charge_bytes(run, part.n))
            return false;
        *from = at;
        if (str_starts(str_skip(s, at), part))
            return true;
        if (at == 0)
            return false;
        *from = at - 1;
    }
}

static struct cel_value last_index_of(struct cel_run *run, const struct cel_value *args,
                                      size_t count)
{
    struct str s = cel_str(args[0]);
    size_t from = s.n;
    bool found;

    if (count == 3 && !find_offset(run, s, args[2], &from))
        return out_of_range(run);
    if (!cel_charge_bytes(run, s.n))
        return cel_spent(run);
    found = find_last(run, s, cel_str(args[1]), &from);
    if (run->spent)
        return cel_spent(run);
    return found ? position_of(s, from) : cel_int(-1);
}

static struct cel_value substring(struct cel_run *run, const struct cel_value *args, size_t count)
{
    struct str s = cel_str(args[0]);
    size_t from;
    size_t to = s.n;

    if (!find_offset(run, s, args[1], &from) ||
        (count == 3 && !find_offset(run, s, args[2], &to)) || to < from)
        return out_of_range(run);
    return cel_string(str_slice(s, from, to));
}

/* ---- replace ---- */

/* An `old` that is empty stands before each code point and at the end. */
static struct cel_value insert_around(struct cel_run *run, struct str s, struct str new,
                                      uint64_t limit)
{
    struct cel_text out;

    cel_text_init(&out, run);
    for (uint64_t i = 0; i < limit; i++) {
        size_t n = utf8_length(s);

        cel_text_add(&out, new);
        cel_text_add(&out, str_slice(s, 0, n));
        s = str_skip(s, n);
        if (n == 0 || !cel_charge(run, 1))
            break;
    }
    cel_text_add(&out, s);
    return run->spent ? cel_spent(run) : cel_text_done(&out);
}

static struct cel_value replace_found(struct cel_run *run, struct str s, struct str old,
                                      struct str new, uint64_t limit)
{
    struct cel_text out;
    size_t at = str_find(s, old);

    if (limit == 0 || at == s.n)
        return cel_string(s);
    cel_text_init(&out, run);
    for (uint64_t i = 0; i < limit && at < s.n; i++) {
        cel_text_add(&out, str_slice(s, 0, at));
        cel_text_add(&out, new);
        s = str_skip(s, at + old.n);
        at = str_find(s, old);
        if (out.failed || !cel_charge(run, 1))
            return cel_spent(run);
    }
    cel_text_add(&out, s);
    return cel_text_done(&out);
}

/* How often at most; a negative count is no limit. */
static uint64_t limit_of(const struct cel_value *args, size_t count, size_t index)
{
    return count > index && args[index].as.i >= 0 ? (uint64_t)args[index].as.i : UINT64_MAX;
}

static struct cel_value replace(struct cel_run *run, const struct cel_value *args, size_t count)
{
    struct str s = cel_str(args[0]);
    struct str old = cel_str(args[1]);
    struct str new = cel_str(args[2]);
    uint64_t limit = limit_of(args, count, 3);

    if (!cel_charge_bytes(run, s.n))
        return cel_spent(run);
    return old.n == 0 ? insert_around(run, s, new, limit) : replace_found(run, s, old, new, limit);
}

/* ---- split ---- */

/* A piece of *rest, which then starts behind it; false at the end. */
typedef bool next_fn(struct str *rest, struct str separator, struct str *piece);

static bool next_separated(struct str *rest, struct str separator, struct str *piece)
{
    size_t at;

    if (rest->p == NULL)
        return false;
    at = str_find(*rest, separator);
    *piece = str_slice(*rest, 0, at);
    *rest = at == rest->n ? STR_NONE : str_skip(*rest, at + separator.n);
    return true;
}

static bool next_code_point(struct str *rest, struct str separator, struct str *piece)
{
    size_t n = utf8_length(*rest);

    (void)separator;
    *piece = str_slice(*rest, 0, n);
    *rest = str_skip(*rest, n);
    return n > 0;
}

/* Where the first white space is, or the first that is none. */
static size_t find_space(struct str s, bool space)
{
    size_t at = 0;

    while (at < s.n) {
        size_t n;

        if (unicode_is_space(utf8_decode(str_skip(s, at), &n)) == space)
            break;
        at += n;
    }
    return at;
}

static bool next_word(struct str *rest, struct str separator, struct str *piece)
{
    (void)separator;
    *rest = str_skip(*rest, find_space(*rest, false));
    *piece = str_slice(*rest, 0, find_space(*rest, true));
    *rest = str_skip(*rest, piece->n);
    return piece->n > 0;
}

/* Two rounds: one counts, so that the list has its size from the start. The last piece that the
 * limit allows is what is left. */
static struct cel_value split_by(struct cel_run *run, next_fn *next, struct str s,
                                 struct str separator, uint64_t limit)
{
    struct str rest = s;
    struct str piece;
    struct cel_value *items;
    struct cel_value list;
    size_t n = 0;

    if (!cel_charge_bytes(run, 2 * s.n))
        return cel_spent(run);
    while (n < limit && n <= run->limits->entries && next(&rest, separator, &piece))
        n++;
    list = cel_list_room(run, n, &items);
    if (cel_is_error(list))
        return list;
    rest = s;
    for (size_t i = 0; i < n; i++) {
        if (i + 1 == limit)
            piece = rest;
        else
            (void)next(&rest, separator, &piece); /* as often as it was true above */
        items[i] = cel_string(piece);
    }
    return list;
}

static struct cel_value split(struct cel_run *run, const struct cel_value *args, size_t count)
{
    struct str s = cel_str(args[0]);
    struct str separator = cel_str(args[1]);

    if (s.p == NULL)
        s = STR(""); /* NULL is how the end looks */
    return split_by(run, separator.n == 0 ? next_code_point : next_separated, s, separator,
                    limit_of(args, count, 2));
}

static struct cel_value split_words(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)count;
    return split_by(run, next_word, cel_str(args[0]), STR_NONE, UINT64_MAX);
}

/* ---- case, order, white space ---- */

static char ascii_upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static struct cel_value map_ascii(struct cel_run *run, struct str s, char (*map)(char))
{
    char *out = cel_text_alloc(run, s.n);

    if (out == NULL)
        return cel_spent(run);
    for (size_t i = 0; i < s.n; i++)
        out[i] = map(s.p[i]);
    return cel_string(str_of(out, s.n));
}

static struct cel_value lower_ascii(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)count;
    return map_ascii(run, cel_str(args[0]), char_lower);
}

static struct cel_value upper_ascii(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)count;
    return map_ascii(run, cel_str(args[0]), ascii_upper);
}

/* A code point can become longer or shorter in UTF-8. */
static struct cel_value map_unicode(struct cel_run *run, struct str s, uint32_t (*map)(uint32_t))
{
    struct cel_text out;

    if (!cel_charge_bytes(run, s.n))
        return cel_spent(run);
    cel_text_init(&out, run);
    while (s.n > 0 && !out.failed) {
        char bytes[UTF8_MAX_BYTES];
        size_t n;
        uint32_t c = map(utf8_decode(s, &n));

        cel_text_add(&out, str_of(bytes, utf8_encode(c, bytes)));
        s = str_skip(s, n);
    }
    return cel_text_done(&out);
}

static bool is_ascii(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] >= 0x80)
            return false;
    }
    return true;
}

static struct cel_value lower(struct cel_run *run, const struct cel_value *args, size_t count)
{
    struct str s = cel_str(args[0]);

    (void)count;
    return is_ascii(s) ? map_ascii(run, s, char_lower) : map_unicode(run, s, unicode_lower);
}

static struct cel_value upper(struct cel_run *run, const struct cel_value *args, size_t count)
{
    struct str s = cel_str(args[0]);

    (void)count;
    return is_ascii(s) ? map_ascii(run, s, ascii_upper) : map_unicode(run, s, unicode_upper);
}

static struct cel_value reverse(struct cel_run *run, const struct cel_value *args, size_t count)
{
    struct str s = cel_str(args[0]);
    char *out = cel_text_alloc(run, s.n);
    size_t end = s.n;

    (void)count;
    if (out == NULL)
        return cel_spent(run);
    for (size_t at = 0; at < s.n;) {
        size_t n = utf8_length(str_skip(s, at));

        end -= n;
        memcpy(out + end, s.p + at, n);
        at += n;
    }
    return cel_string(str_of(out, s.n));
}

static struct cel_value trim(struct cel_run *run, const struct cel_value *args, size_t count)
{
    struct str s = cel_str(args[0]);
    size_t n;

    (void)count;
    if (!cel_charge_bytes(run, s.n))
        return cel_spent(run);
    s = str_skip(s, find_space(s, false));
    while (s.n > 0) {
        struct str last = str_skip(s, s.n - utf8_last_length(s));

        if (!unicode_is_space(utf8_decode(last, &n)))
            break;
        s.n -= last.n;
    }
    return cel_string(s);
}

/* ---- strings.quote, format ---- */

/* What stands behind the backslash for a character; 0: it needs none. */
static char escape_of(char c)
{
    static const char escaped[] = "\a\b\f\n\r\t\v\\\"";
    static const char letters[] = "abfnrtv\\\"";
    const char *at = c == '\0' ? NULL : strchr(escaped, c);

    return at == NULL ? '\0' : letters[at - escaped];
}

static struct cel_value quote(struct cel_run *run, const struct cel_value *args, size_t count)
{
    struct str s = cel_str(args[0]);
    struct cel_text out;

    (void)count;
    if (!cel_charge_bytes(run, s.n))
        return cel_spent(run);
    cel_text_init(&out, run);
    cel_text_add_char(&out, '"');
    for (size_t i = 0; i < s.n && !out.failed; i++) {
        char escape = escape_of(s.p[i]);

        if (escape != '\0')
            cel_text_add_char(&out, '\\');
        cel_text_add_char(&out, escape != '\0' ? escape : s.p[i]);
    }
    cel_text_add_char(&out, '"');
    return cel_text_done(&out);
}

static struct cel_value format(struct cel_run *run, const struct cel_value *args, size_t count)
{
    (void)count;
    return cel_format(run, cel_str(args[0]), args[1].as.list);
}

static const struct cel_fn_row rows[] = {
    { "string.contains(string) -> bool", contains, CEL_FN_PURE },
    { "string.startsWith(string) -> bool", starts_with, CEL_FN_PURE },
    { "string.endsWith(string) -> bool", ends_with, CEL_FN_PURE },
    { "string.charAt(int) -> string", char_at, CEL_FN_PURE },
    { "string.indexOf(string) -> int", index_of, CEL_FN_PURE },
    { "string.indexOf(string, int) -> int", index_of, CEL_FN_PURE },
    { "string.lastIndexOf(string) -> int", last_index_of, CEL_FN_PURE },
    { "string.lastIndexOf(string, int) -> int", last_index_of, CEL_FN_PURE },
    { "string.substring(int) -> string", substring, CEL_FN_PURE },
    { "string.substring(int, int) -> string", substring, CEL_FN_PURE },
    { "string.replace(string, string) -> string", replace, CEL_FN_PURE },
    { "string.replace(string, string, int) -> string", replace, CEL_FN_PURE },
    { "string.split() -> list(string)", split_words, CEL_FN_PURE },
    { "string.split(string) -> list(string)", split, CEL_FN_PURE },
    { "string.split(string, int) -> list(string)", split, CEL_FN_WARN_LIMIT },
    { "string.lowerAscii() -> string", lower_ascii, CEL_FN_PURE },
    { "string.upperAscii() -> string", upper_ascii, CEL_FN_PURE },
    { "string.lower() -> string", lower, CEL_FN_PURE },
    { "string.upper() -> string", upper, CEL_FN_PURE },
    { "string.reverse() -> string", reverse, CEL_FN_PURE },
    { "string.trim() -> string", trim, CEL_FN_PURE },
    { "strings.quote(string) -> string", quote, CEL_FN_PURE },
    { "string.format(list(dyn)) -> string", format, CEL_FN_ARG_FORMAT },
};

const struct cel_library cel_strings_library = { rows, sizeof(rows) / sizeof(rows[0]) };
