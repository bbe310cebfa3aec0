#include "policy/cel/type.h"

#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "policy/cel/value.h"

/*
 * Types are small immutable trees that share their parts, so building one costs a node and nothing
 * is ever copied. Kinds without parameters have one static node each; equality still looks at the
 * structure, since trees of different arenas meet.
 */
#define BASIC(k) [k] = { .kind = (k) }
static const struct cel_type basic_types[] = {
    BASIC(CEL_T_DYN),       BASIC(CEL_T_NULL),     BASIC(CEL_T_BOOL),   BASIC(CEL_T_INT),
    BASIC(CEL_T_UINT),      BASIC(CEL_T_DOUBLE),   BASIC(CEL_T_STRING), BASIC(CEL_T_BYTES),
    BASIC(CEL_T_TIMESTAMP), BASIC(CEL_T_DURATION), BASIC(CEL_T_TYPE),   BASIC(CEL_T_IP),
    BASIC(CEL_T_CIDR),      BASIC(CEL_T_ERROR),
};
#undef BASIC

/* Words of the text form. Those with params need that many in parentheses, except `type`. */
static const struct word {
    struct str text;
    enum cel_type_kind kind;
    size_t params;
} words[] = {
    { STR_INIT("dyn"), CEL_T_DYN, 0 },
    { STR_INIT("null"), CEL_T_NULL, 0 },
    { STR_INIT("bool"), CEL_T_BOOL, 0 },
    { STR_INIT("int"), CEL_T_INT, 0 },
    { STR_INIT("uint"), CEL_T_UINT, 0 },
    { STR_INIT("double"), CEL_T_DOUBLE, 0 },
    { STR_INIT("string"), CEL_T_STRING, 0 },
    { STR_INIT("bytes"), CEL_T_BYTES, 0 },
    { STR_INIT("timestamp"), CEL_T_TIMESTAMP, 0 },
    { STR_INIT("duration"), CEL_T_DURATION, 0 },
    { STR_INIT("net.IP"), CEL_T_IP, 0 },
    { STR_INIT("net.CIDR"), CEL_T_CIDR, 0 },
    { STR_INIT("error"), CEL_T_ERROR, 0 },
    { STR_INIT("list"), CEL_T_LIST, 1 },
    { STR_INIT("map"), CEL_T_MAP, 2 },
    { STR_INIT("type"), CEL_T_TYPE, 1 },
    { STR_INIT("optional_type"), CEL_T_OPTIONAL, 1 },
};

const struct cel_type *cel_type_basic(enum cel_type_kind kind)
{
    assert((size_t)kind < sizeof(basic_types) / sizeof(basic_types[0]));
    assert(basic_types[kind].kind == kind); /* a kind without parameters */
    return &basic_types[kind];
}

static struct cel_type *type_new(struct arena *a, enum cel_type_kind kind, size_t count)
{
    struct cel_type *t = arena_zalloc(a, sizeof(*t));

    t->kind = kind;
    t->count = count;
    return t;
}

static const struct cel_type *type_of_one(struct arena *a, enum cel_type_kind kind,
                                          const struct cel_type *param)
{
    struct cel_type *t = type_new(a, kind, 1);

    t->params[0] = param;
    return t;
}

const struct cel_type *cel_type_list(struct arena *a, const struct cel_type *item)
{
    return type_of_one(a, CEL_T_LIST, item);
}

const struct cel_type *cel_type_map(struct arena *a, const struct cel_type *key,
                                    const struct cel_type *value)
{
    struct cel_type *t = type_new(a, CEL_T_MAP, 2);

    t->params[0] = key;
    t->params[1] = value;
    return t;
}

const struct cel_type *cel_type_optional(struct arena *a, const struct cel_type *held)
{
    return type_of_one(a, CEL_T_OPTIONAL, held);
}

const struct cel_type *cel_type_type(struct arena *a, const struct cel_type *of)
{
    return type_of_one(a, CEL_T_TYPE, of);
}

const struct cel_type *cel_type_with_params(struct arena *a, const struct cel_type *like,
                                            const struct cel_type *const *params)
{
    struct cel_type *t = type_new(a, like->kind, like->count);

    assert(like->count <= CEL_TYPE_PARAMS_MAX);
    t->name = like->name;
    for (size_t i = 0; i < like->count; i++)
        t->params[i] = params[i];
    return t;
}

/* ---- reading the text form ---- */

struct reader {
    struct arena *arena;
    struct str rest;
    const struct cel_object_type *const *objects; /* may be NULL */
};

static void skip_spaces(struct reader *r)
{
    while (r->rest.n > 0 && r->rest.p[0] == ' ')
        r->rest = str_skip(r->rest, 1);
}

static bool take(struct reader *r, char c)
{
    skip_spaces(r);
    if (r->rest.n == 0 || r->rest.p[0] != c)
        return false;
    r->rest = str_skip(r->rest, 1);
    return true;
}

static bool is_word_char(char c)
{
    return char_is_alpha(c) || char_is_digit(c) || c == '_';
}

/* A word; "net.IP" and "net.CIDR" are the only ones with a dot. */
static struct str take_word(struct reader *r)
{
    size_t n = str_starts(r->rest, STR("net.")) ? STR("net.").n : 0;
    struct str word;

    while (n < r->rest.n && is_word_char(r->rest.p[n]))
        n++;
    word = str_slice(r->rest, 0, n);
    r->rest = str_skip(r->rest, n);
    return word;
}

static const struct cel_type *parse_type(struct reader *r, unsigned depth);

static const struct cel_type *parse_params(struct reader *r, const struct word *w, unsigned depth)
{
    struct cel_type *t;

    if (!take(r, '('))
        return w->kind == CEL_T_TYPE ? cel_type_basic(CEL_T_TYPE) : NULL;
    t = type_new(r->arena, w->kind, w->params);
    for (size_t i = 0; i < w->params; i++) {
        if (i > 0 && !take(r, ','))
            return NULL;
        t->params[i] = parse_type(r, depth + 1);
        if (t->params[i] == NULL)
            return NULL;
    }
    return take(r, ')') ? t : NULL;
}

static const struct cel_type *object_type(struct reader *r, struct str word)
{
    for (size_t i = 0; r->objects != NULL && r->objects[i] != NULL; i++) {
        if (str_eq(word, str_from(r->objects[i]->name))) {
            struct cel_type *t = type_new(r->arena, CEL_T_OBJECT, 0);

            t->name = str_from(r->objects[i]->name);
            t->object = r->objects[i];
            return t;
        }
    }
    return NULL;
}

static const struct cel_type *parse_type(struct reader *r, unsigned depth)
{
    struct str word;

    if (depth >= CEL_TYPE_PARSE_DEPTH)
        return NULL;
    skip_spaces(r);
    word = take_word(r);
    if (word.n == 1 && word.p[0] >= 'A' && word.p[0] <= 'Z') {
        struct cel_type *t = type_new(r->arena, CEL_T_PARAM, 0);

        t->name = arena_str(r->arena, word);
        return t;
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (str_eq(word, words[i].text))
            return words[i].params > 0 ? parse_params(r, &words[i], depth)
                                       : cel_type_basic(words[i].kind);
    }
    return object_type(r, word);
}

const struct cel_type *cel_type_parse(struct arena *a, struct str *text,
                                      const struct cel_object_type *const *objects)
{
    struct reader r = { .arena = a, .rest = *text, .objects = objects };
    const struct cel_type *t = parse_type(&r, 0);

    if (t != NULL)
        *text = r.rest;
    return t;
}

/* ---- writing it ---- */

static struct str type_word(const struct cel_type *t)
{
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (words[i].kind == t->kind)
            return words[i].text;
    }
    /* What is still unknown when someone asks may be anything. */
    return t->kind == CEL_T_VARIABLE ? STR("dyn") : t->name;
}

static void write_type(struct buf *b, const struct cel_type *t)
{
    buf_add_str(b, type_word(t));
    if (t->count == 0 || buf_failed(b)) /* a large type is not walked to its end */
        return;
    buf_add_char(b, '(');
    for (size_t i = 0; i < t->count; i++) {
        if (i > 0)
            buf_add_char(b, ',');
        write_type(b, t->params[i]);
    }
    buf_add_char(b, ')');
}

struct str cel_type_text(struct arena *a, const struct cel_type *t)
{
    struct buf b;
    struct str text;

    buf_init(&b, CEL_TYPE_TEXT_BYTES);
    write_type(&b, t);
    text =
        buf_failed(&b) ? arena_fmt(a, "%.*s...", STR_ARG(buf_str(&b))) : arena_str(a, buf_str(&b));
    buf_fini(&b);
    return text;
}

bool cel_type_equal(const struct cel_type *a, const struct cel_type *b)
{
    if (a == b)
        return true;
    if (a->kind != b->kind || a->count != b->count || a->object != b->object ||
        a->variable != b->variable || !str_eq(a->name, b->name))
        return false;
    for (size_t i = 0; i < a->count; i++) {
        if (!cel_type_equal(a->params[i], b->params[i]))
            return false;
    }
    return true;
}
