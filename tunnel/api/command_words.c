/*
 * Words of a command line. A client's shell has taken one level of quotes away before ssh joined the
 * words with spaces, so a value of several words arrives without quotes: it reaches to the next word
 * that begins with "--". Quotes that are left are ours to read. Nothing is expanded.
 */
#include <string.h>

#include "tunnel/api/command_int.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Copies the quoted text behind the quote at *at, and moves *at behind its end. */
static bool take_quoted(struct str line, size_t *at, char *out, size_t *n)
{
    char quote = line.p[(*at)++];

    while (*at < line.n && line.p[*at] != quote) {
        bool escapes = quote == '"' && line.p[*at] == '\\' && *at + 1 < line.n &&
                       (line.p[*at + 1] == '"' || line.p[*at + 1] == '\\');

        if (escapes)
            (*at)++;
        out[(*n)++] = line.p[(*at)++];
    }
    if (*at == line.n)
        return false;
    (*at)++;
    return true;
}

/* Copies one word; false when a quote is not closed. */
static bool take_word(struct str line, size_t *at, char *out, size_t *n)
{
    while (*at < line.n && !is_blank(line.p[*at])) {
        char c = line.p[*at];

        if (c == '\'' || c == '"') {
            if (!take_quoted(line, at, out, n))
                return false;
            continue;
        }
        if (c == '\\' && *at + 1 < line.n)
            (*at)++;
        out[(*n)++] = line.p[(*at)++];
    }
    return true;
}

int api_words_split(struct str line, struct arena *a, struct api_words *out)
{
    /* Words are shorter than what they were written as, and each but the last has a blank behind it. */
    char *text = arena_alloc(a, line.n + 1);
    size_t used = 0;
    size_t at = 0;

    out->list = arena_alloc(a, (line.n / 2 + 1) * sizeof(*out->list));
    out->count = 0;
    out->at = 0;
    for (;;) {
        size_t n = 0;

        while (at < line.n && is_blank(line.p[at]))
            at++;
        if (at == line.n)
            return 0;
        if (!take_word(line, &at, text + used, &n))
            return -1;
        out->list[out->count++] = str_of(text + used, n);
        used += n;
    }
}

struct str api_words_peek(const struct api_words *w)
{
    return w->at < w->count ? w->list[w->at] : STR_NONE;
}

bool api_words_at_option(const struct api_words *w)
{
    return str_starts(api_words_peek(w), STR("--"));
}

/* Joins the words up to the next option, behind `first`, with single spaces. */
static struct str join_words(struct api_words *w, struct str first, struct arena *a)
{
    size_t begin = w->at;
    size_t bytes = first.n;
    char *text;
    size_t n = 0;

    for (; w->at < w->count && !api_words_at_option(w); w->at++)
        bytes += w->list[w->at].n + 1;
    text = arena_alloc(a, bytes + 1);
    for (size_t i = 0; i < first.n; i++)
        text[n++] = first.p[i];
    for (size_t i = begin; i < w->at; i++) {
        if (i > begin || first.n > 0)
            text[n++] = ' ';
        if (w->list[i].n > 0)
            memcpy(text + n, w->list[i].p, w->list[i].n);
        n += w->list[i].n;
    }
    return str_of(text, n);
}

bool api_words_take_option(struct api_words *w, struct arena *a, struct api_option *out)
{
    struct str word = api_words_peek(w);
    size_t equals = str_find_char(word, '=');
    size_t begin;

    if (!api_words_at_option(w))
        return false;
    begin = ++w->at;
    out->name = str_slice(word, 2, equals);
    out->value = join_words(w, str_skip(word, equals + 1), a);
    out->has_value = equals < word.n || w->at > begin;
    return true;
}
