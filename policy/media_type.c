#include "policy/media_type.h"

#include "policy/message_text.h"
#include "policy/pairs_map.h"

static struct str without_parameters(struct str value)
{
    return str_trim_ows(str_slice(value, 0, str_find_char(value, ';')));
}

struct str media_type_essence(struct arena *a, struct str value)
{
    return message_text_lower(a, message_text_clean(a, without_parameters(value)));
}

bool media_type_is(struct str value, struct str essence)
{
    return str_eq_nocase(without_parameters(value), essence);
}

/* How long the quoted string at the front of s is, with its quotes; all of s if it never ends. */
static size_t quoted_length(struct str s)
{
    size_t i = 1;

    while (i < s.n && s.p[i] != '"')
        i += s.p[i] == '\\' ? 2 : 1;
    return i < s.n ? i + 1 : s.n;
}

/* What a quoted string stands for (RFC 9110 section 5.6.4). */
static struct str unquote(struct arena *a, struct str quoted)
{
    struct str s = str_slice(quoted, 1, quoted.n > 1 ? quoted.n - 1 : 1);
    size_t n = 0;
    char *out;

    if (str_find_char(s, '\\') == s.n)
        return s;
    out = arena_alloc(a, s.n);
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\' && i + 1 < s.n)
            i++;
        out[n++] = s.p[i];
    }
    return str_of(out, n);
}

/* Takes "name=value" or "name="quoted"" from the front of *rest, up to and with the next ';'. False
 * when it has no name or no value; it is then skipped all the same. */
static bool take_parameter(struct arena *a, struct str *rest, struct pair *out)
{
    size_t name_end = 0;
    struct str value;

    while (name_end < rest->n && rest->p[name_end] != '=' && rest->p[name_end] != ';')
        name_end++;
    out->name = str_trim_ows(str_slice(*rest, 0, name_end));
    if (name_end == rest->n || rest->p[name_end] == ';') {
        *rest = str_skip(*rest, name_end + 1);
        return false;
    }
    *rest = str_trim_ows(str_skip(*rest, name_end + 1));
    if (rest->n > 0 && rest->p[0] == '"') {
        size_t length = quoted_length(*rest);

        value = unquote(a, str_slice(*rest, 0, length));
        *rest = str_skip(*rest, length);
    } else {
        value = str_trim_ows(str_slice(*rest, 0, str_find_char(*rest, ';')));
    }
    *rest = str_skip(*rest, str_find_char(*rest, ';') + 1);
    out->name = message_text_lower(a, message_text_clean(a, out->name));
    out->value = cel_string(message_text_clean(a, value));
    return out->name.n > 0;
}

struct cel_value media_type_parameters(struct arena *a, struct str value)
{
    struct str rest = str_skip(value, str_find_char(value, ';') + 1);
    struct pair pairs[MEDIA_TYPE_PARAMETERS_MAX] = { 0 };
    size_t count = 0;

    while (rest.n > 0 && count < MEDIA_TYPE_PARAMETERS_MAX)
        count += take_parameter(a, &rest, &pairs[count]);
    return pairs_map_of_values(a, pairs, count);
}

struct cel_value content_codings(struct arena *a, const struct str *values, size_t count)
{
    struct cel_list *list = arena_zalloc(a, sizeof(*list));
    struct cel_value items[CONTENT_CODINGS_MAX];
    struct cel_value *copy;

    for (size_t i = 0; i < count; i++) {
        struct str rest = values[i];
        struct str piece;

        while (list->count < CONTENT_CODINGS_MAX && str_next(&rest, ',', &piece)) {
            piece = str_trim_ows(piece);
            if (piece.n > 0)
                items[list->count++] =
                    cel_string(message_text_lower(a, message_text_clean(a, piece)));
        }
    }
    copy = arena_alloc(a, list->count * sizeof(*copy));
    for (size_t i = 0; i < list->count; i++)
        copy[i] = items[i];
    list->items = copy;
    return cel_list_of(list);
}
