#include "policy/doc_text.h"

#include <string.h>

#include "base/utf8.h"

/* ---- flow scalars ---------------------------------------------------------------------------- */

static bool is_break(char c)
{
    return c == '\n' || c == '\r';
}

static bool is_white(char c)
{
    return c == ' ' || c == '\t';
}

/* Length of the line end at the start of s. */
static size_t break_length(struct str s)
{
    return str_starts(s, STR("\r\n")) ? 2 : 1;
}

/* Text that is written; what is read is never shorter. */
struct writer {
    char *p;
    size_t n;
};

static void write_char(struct writer *w, char c)
{
    w->p[w->n++] = c;
}

static void write_breaks(struct writer *w, size_t count)
{
    memset(w->p + w->n, '\n', count);
    w->n += count;
}

/* Counts line ends, and skips the white space around them. */
static size_t skip_breaks(struct str *s)
{
    size_t breaks = 0;

    while (s->n > 0 && (is_break(s->p[0]) || is_white(s->p[0]))) {
        bool is_end = is_break(s->p[0]);

        breaks += is_end;
        *s = str_skip(*s, is_end ? break_length(*s) : 1);
    }
    return breaks;
}

/* Line ends and the white space around them: one is a space, and of several the first goes. */
static struct str fold(struct writer *w, size_t line_start, struct str s)
{
    size_t breaks;

    while (w->n > line_start && is_white(w->p[w->n - 1]))
        w->n--;
    breaks = skip_breaks(&s);
    if (breaks == 1)
        write_char(w, ' ');
    else
        write_breaks(w, breaks - 1);
    return s;
}

static struct str flow_text(struct arena *a, struct str s, bool quoted)
{
    struct writer w = { .p = arena_alloc(a, s.n) };
    size_t line_start = 0;

    while (s.n > 0) {
        if (is_break(s.p[0])) {
            s = fold(&w, line_start, s);
            line_start = w.n;
            continue;
        }
        write_char(&w, s.p[0]);
        s = str_skip(s, quoted && s.p[0] == '\'' ? 2 : 1);
    }
    return str_of(w.p, w.n);
}

struct str doc_text_single_quoted(struct arena *a, struct str source)
{
    return flow_text(a, source, true);
}

struct str doc_text_plain(struct arena *a, struct str source)
{
    return flow_text(a, source, false);
}

/* ---- escapes --------------------------------------------------------------------------------- */

/* Those with a fixed meaning (YAML 1.2.2 section 5.7). */
static const struct {
    char name;
    uint32_t code;
} escapes[] = {
    { '0', 0 },   { 'a', 7 },     { 'b', 8 },    { 't', 9 },    { '\t', 9 },     { 'n', 10 },
    { 'v', 11 },  { 'f', 12 },    { 'r', 13 },   { 'e', 27 },   { ' ', ' ' },    { '"', '"' },
    { '/', '/' }, { '\\', '\\' }, { 'N', 0x85 }, { '_', 0xa0 }, { 'L', 0x2028 }, { 'P', 0x2029 },
};

static bool take_hex(struct str *s, size_t digits, uint32_t *out)
{
    uint32_t value = 0;

    if (s->n < digits)
        return false;
    for (size_t i = 0; i < digits; i++) {
        int digit = char_hex_value(s->p[i]);

        if (digit < 0)
            return false;
        value = value << 4 | (uint32_t)digit;
    }
    *s = str_skip(*s, digits);
    *out = value;
    return true;
}

/* JSON spells characters above U+FFFF as two. */
static bool take_low_surrogate(struct str *s, uint32_t *code)
{
    uint32_t low;

    if (!str_starts(*s, STR("\\u")))
        return false;
    *s = str_skip(*s, 2);
    if (!take_hex(s, 4, &low) || low < 0xdc00 || low > 0xdfff)
        return false;
    *code = 0x10000 + ((*code - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

static bool take_code(struct str *s, char name, uint32_t *out)
{
    size_t digits = name == 'x' ? 2 : name == 'u' ? 4 : name == 'U' ? 8 : 0;

    if (digits > 0) {
        if (!take_hex(s, digits, out))
            return false;
        if (*out >= 0xd800 && *out <= 0xdbff && !take_low_surrogate(s, out))
            return false;
        return *out <= 0x10ffff && !(*out >= 0xd800 && *out <= 0xdfff);
    }
    for (size_t i = 0; i < sizeof(escapes) / sizeof(escapes[0]); i++) {
        if (escapes[i].name == name) {
            *out = escapes[i].code;
            return true;
        }
    }
    return false;
}

/* What stands behind a backslash. No escape is shorter than what it stands for. */
static bool read_escape(struct writer *w, struct str *s)
{
    uint32_t code = 0;
    char name;

    if (s->n == 0)
        return false;
    if (is_break(s->p[0])) { /* the line goes on below; blank ones in between are line ends */
        write_breaks(w, skip_breaks(s) - 1);
        return true;
    }
    name = s->p[0];
    *s = str_skip(*s, 1);
    if (!take_code(s, name, &code))
        return false;
    w->n += utf8_encode(code, w->p + w->n);
    return true;
}

bool doc_text_double_quoted(struct arena *a, struct str source, struct str *out)
{
    /* "\L" is three bytes of UTF-8, the only ones that are more than their source. */
    struct writer w = { .p = arena_alloc(a, 2 * source.n) };
    struct str s = source;
    size_t line_start = 0;

    while (s.n > 0) {
        if (is_break(s.p[0])) {
            s = fold(&w, line_start, s);
            line_start = w.n;
        } else if (s.p[0] == '\\') {
            s = str_skip(s, 1);
            if (!read_escape(&w, &s))
                return false;
            line_start = w.n; /* white space that was escaped stays */
        } else {
            write_char(&w, s.p[0]);
            s = str_skip(s, 1);
        }
    }
    *out = str_of(w.p, w.n);
    return true;
}

/* ---- block scalars --------------------------------------------------------------------------- */

static struct str skip_line(struct str s)
{
    while (s.n > 0 && !is_break(s.p[0]))
        s = str_skip(s, 1);
    return s.n == 0 ? s : str_skip(s, break_length(s));
}

struct doc_block doc_block_read(struct str *source, size_t parent)
{
    struct doc_block block = { .folded = false };
    struct str s = *source;

    while (s.n > 0 && s.p[0] != '|' && s.p[0] != '>')
        s = s.p[0] == '#' ? skip_line(s) : str_skip(s, 1);
    block.folded = s.n > 0 && s.p[0] == '>';
    for (s = str_skip(s, 1); s.n > 0; s = str_skip(s, 1)) {
        if (s.p[0] == '-')
            block.chomp = DOC_CHOMP_STRIP;
        else if (s.p[0] == '+')
            block.chomp = DOC_CHOMP_KEEP;
        else if (char_is_digit(s.p[0]))
            block.indent = parent + (size_t)(s.p[0] - '0');
        else
            break;
    }
    *source = skip_line(s);
    return block;
}

static size_t count_spaces(struct str s)
{
    size_t n = 0;

    while (n < s.n && s.p[n] == ' ')
        n++;
    return n;
}

/* Takes the next line without its end; false when there is none. */
static bool next_line(struct str *rest, struct str *line, bool *ends)
{
    size_t n = 0;

    if (rest->n == 0)
        return false;
    while (n < rest->n && !is_break(rest->p[n]))
        n++;
    *line = str_slice(*rest, 0, n);
    *ends = n < rest->n;
    *rest = str_skip(*rest, n);
    if (*ends)
        *rest = str_skip(*rest, break_length(*rest));
    return true;
}

/* The spaces in front of the first line with text; when there is none, more than any line has. */
static size_t find_indent(struct str s)
{
    size_t most = s.n;
    struct str line;
    bool ends;

    while (next_line(&s, &line, &ends)) {
        if (count_spaces(line) < line.n)
            return count_spaces(line);
    }
    return most;
}

/* What stands between two lines of text with `empty` ones between them. */
static void join_lines(struct writer *w, const struct doc_block *b, bool is_spaced, size_t empty)
{
    if (!b->folded || is_spaced)
        write_breaks(w, empty + 1);
    else if (empty == 0)
        write_char(w, ' ');
    else
        write_breaks(w, empty);
}

static void end_block(struct writer *w, enum doc_chomp chomp, size_t breaks)
{
    switch (chomp) {
    case DOC_CHOMP_STRIP:
        break;
    case DOC_CHOMP_CLIP:
        write_breaks(w, breaks > 0 && w->n > 0 ? 1 : 0);
        break;
    case DOC_CHOMP_KEEP:
        write_breaks(w, breaks);
        break;
    }
}

struct str doc_text_block(struct arena *a, const struct doc_block *b, struct str source)
{
    struct writer w = { .p = arena_alloc(a, source.n + 1) };
    size_t indent = b->indent > 0 ? b->indent : find_indent(source);
    bool was_spaced = false;
    bool has_text = false;
    size_t empty = 0; /* lines since the last one with text */
    bool ends = false;
    bool last_ends = false; /* of the last line with text */
    struct str line;

    while (next_line(&source, &line, &ends)) {
        size_t spaces = count_spaces(line);
        bool is_spaced;

        line = str_skip(line, spaces < indent ? spaces : indent);
        if (line.n == 0) {
            empty += ends;
            continue;
        }
        is_spaced = is_white(line.p[0]);
        if (has_text)
            join_lines(&w, b, is_spaced || was_spaced, empty);
        else
            write_breaks(&w, empty);
        memcpy(w.p + w.n, line.p, line.n);
        w.n += line.n;
        has_text = true;
        was_spaced = is_spaced;
        last_ends = ends;
        empty = 0;
    }
    end_block(&w, b->chomp, empty + (has_text && last_ends));
    return str_of(w.p, w.n);
}
