/*
 * Reads YAML and JSON by libfyaml's events rather than by its document tree: events arrive in linear
 * time and with a stack of our own, so that depth, nodes and the expansion of aliases have limits that
 * are met before memory is asked for. (Its tree compares each key with all others before it, and
 * resolves aliases by copying.)
 * An alias becomes a second pointer to what it names. What that would be written out is counted, in
 * nodes and in depth, because whoever reads the tree walks it as often as it is pointed to.
 * What libfyaml (0.7.12) does not say: text behind a NUL is ignored and UTF-16 reads as an empty
 * stream, so bytes are checked first; the text of scalars is read here (policy/doc_text.h) because its own
 * is not always right; an error ends the stream, so at most one of its own is shown,
 * while duplicate keys, tags and aliases are found to the end.
 */
#include "policy/doc.h"

#include <stdlib.h>
#include <string.h>

#include <libfyaml.h>

#include "base/hash.h"
#include "base/utf8.h"
#include "policy/doc_text.h"
#include "policy/problems.h"

enum {
    QUOTED_MAX_BYTES = 48,
    ANCHORS_MAX = 1000,
    /* Inside of brackets the scanner keeps every token until the outermost one is closed, about 350
     * bytes each: what could be one is counted before. */
    MARKS_MAX = 3 * DOC_NODES_MAX,
};

/* What an anchor names, and what it would be written out. */
struct anchor {
    struct str name;
    struct doc_node *node;
    size_t nodes;
    unsigned height;
    UT_hash_handle hh;
};

/* A list or mapping that is being read. */
struct frame {
    struct doc_node *node;
    struct doc_node *key; /* of a mapping: waits for its value */
    struct str anchor;    /* p == NULL: none */
    size_t nodes;         /* in it, with itself */
    unsigned height;      /* of what is in it */
    bool merges;          /* a key is << */
};

struct loader {
    struct policy_document *document;
    struct arena *arena;
    struct policy_problems *problems;
    struct str text;
    struct fy_diag *diag;     /* counted; goes after the parser, else its errors leak (0.7.12) */
    struct fy_parser *parser; /* owned */
    struct frame stack[DOC_DEPTH_MAX];
    size_t depth;
    size_t nodes;           /* of all that is there, written out */
    struct anchor *anchors; /* owned: uthash */
    struct doc_place last;  /* of the last event that had one */
    size_t cursor;          /* byte behind the last token: what is read next stands there */
    size_t documents;
    bool stopped; /* after a problem that makes reading on pointless */
};

__attribute__((format(printf, 4, 5))) static void problem(struct loader *l, struct doc_place at,
                                                          const char *hint, const char *fmt, ...)
{
    char text[PROBLEM_TEXT_BYTES];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    (void)problems_add(l->problems, l->document->name, at, E_POLICY_DOCUMENT, hint, "%s", text);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static struct doc_place place_of_byte(struct str text, size_t at)
{
    struct str before = str_slice(text, 0, at);
    size_t line_start = str_rfind_char(before, '\n');
    struct doc_place place = { .line = 1 };

    for (size_t i = 0; i < before.n; i++)
        place.line += before.p[i] == '\n';
    before = line_start == before.n ? before : str_skip(before, line_start + 1);
    place.column = (uint32_t)utf8_count(before) + 1;
    return place;
}

static bool is_mark(char c)
{
    return c == '[' || c == '{' || c == ',' || c == ':' || c == '?';
}

/* Refuses what would cost the scanner more than its size lets expect. */
static bool check_marks(struct loader *l)
{
    size_t marks = 0;

    for (size_t i = 0; i < l->text.n; i++) {
        marks += is_mark(l->text.p[i]);
        if (marks > MARKS_MAX) {
            problem(l, place_of_byte(l->text, i), NULL, "the document has too many values");
            return false;
        }
    }
    return true;
}

static bool check_bytes(struct loader *l, uint64_t max)
{
    struct doc_place start = { 1, 1 };
    size_t good;

    if (l->text.n > max) {
        problem(l, start, NULL, "the document has %zu bytes, at most %llu are allowed", l->text.n,
                (unsigned long long)max);
        return false;
    }
    good = utf8_good(l->text);
    if (good < l->text.n) {
        problem(l, place_of_byte(l->text, good), NULL, "the document is not UTF-8 here");
        return false;
    }
    good = str_find_char(l->text, '\0');
    if (good < l->text.n) {
        problem(l, place_of_byte(l->text, good), NULL, "a NUL character is not allowed");
        return false;
    }
    return check_marks(l);
}

/* ---- libfyaml -------------------------------------------------------------------------------- */

static void move_cursor(struct loader *l, struct fy_token *token)
{
    const struct fy_mark *end = token == NULL ? NULL : fy_token_end_mark(token);

    if (end != NULL && end->input_pos > l->cursor)
        l->cursor = end->input_pos;
}

static struct doc_place place_of_mark(struct loader *l, const struct fy_mark *mark)
{
    if (mark != NULL)
        l->last = (struct doc_place){ (uint32_t)mark->line + 1, (uint32_t)mark->column + 1 };
    return l->last;
}

static struct doc_place place_of_token(struct loader *l, struct fy_token *token)
{
    return place_of_mark(l, token == NULL ? NULL : fy_token_start_mark(token));
}

static struct str text_of_token(struct fy_token *token)
{
    size_t n = 0;
    const char *p = token == NULL ? NULL : fy_token_get_text(token, &n);

    return p == NULL ? STR("") : str_of(p, n);
}

static struct str line_at(struct str text, unsigned line)
{
    struct str rest = text;
    struct str piece = STR_NONE;

    while (line-- > 0 && str_next(&rest, '\n', &piece))
        ;
    return piece;
}

/* An expression that begins with ! and is not quoted is often not even a valid tag. */
static bool has_bare_exclamation(struct str line)
{
    struct str s = str_trim(line);

    while (str_starts(s, STR("- ")))
        s = str_trim(str_skip(s, 2));
    if (str_find(s, STR(": !")) < s.n)
        return true;
    return str_starts(s, STR("!"));
}

static const char quote_hint[] =
    "YAML takes an unquoted '!' for a tag; quote the expression: \"!...\"";

static void report_stream_error(struct loader *l)
{
    const struct fy_diag_error *error;
    struct doc_place at = l->last;
    void *state = NULL;

    error = fy_diag_errors_iterate(l->diag, &state);
    if (error == NULL) {
        problem(l, at, NULL, "the document cannot be parsed");
        return;
    }
    if (error->line > 0)
        at = (struct doc_place){ (uint32_t)error->line, (uint32_t)error->column };
    problem(l, at, has_bare_exclamation(line_at(l->text, at.line)) ? quote_hint : NULL, "%s",
            error->msg);
}

static int open_parser(struct loader *l)
{
    struct fy_diag_cfg quiet;
    struct fy_parse_cfg cfg = { .flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_JSON_NONE |
                                         FYPCF_DISABLE_MMAP_OPT | FYPCF_DEFAULT_VERSION_1_2 };

    fy_diag_cfg_default(&quiet);
    quiet.fp = NULL;
    l->diag = fy_diag_create(&quiet);
    if (l->diag == NULL)
        return -1;
    fy_diag_set_collect_errors(l->diag, true);
    cfg.diag = l->diag;
    l->parser = fy_parser_create(&cfg);
    if (l->parser == NULL)
        return -1;
    return fy_parser_set_string(l->parser, l->text.p, l->text.n);
}

static void close_parser(struct loader *l)
{
    if (l->parser != NULL)
        fy_parser_destroy(l->parser);
    if (l->diag != NULL)
        fy_diag_destroy(l->diag);
}

/* ---- the tree -------------------------------------------------------------------------------- */

static void stop(struct loader *l, struct doc_place at, const char *text)
{
    if (!l->stopped)
        problem(l, at, NULL, "%s", text);
    l->stopped = true;
}

static struct frame *top(struct loader *l)
{
    return l->depth == 0 ? NULL : &l->stack[l->depth - 1];
}

/* Counts nodes of something that takes its place in the frame above. */
static void count(struct loader *l, struct doc_place at, size_t nodes, unsigned height)
{
    struct frame *f = top(l);

    l->nodes += nodes;
    if (l->nodes > DOC_NODES_MAX)
        stop(l, at, "the document has too many values (with aliases written out)");
    if (l->depth + height > DOC_DEPTH_MAX)
        stop(l, at, "the document is nested too deeply");
    if (f != NULL) {
        f->nodes += nodes;
        f->height = height > f->height ? height : f->height;
    }
}

/* Puts a complete value where it belongs. */
static void place_value(struct loader *l, struct doc_node *n)
{
    struct frame *f = top(l);

    if (f == NULL) {
        l->document->root = n;
    } else if (f->node->kind == DOC_LIST) {
        doc_list_add(l->arena, f->node, n);
    } else if (f->key != NULL) {
        f->merges = f->merges || (f->key->plain && str_eq(f->key->text, STR("<<")));
        doc_map_add(l->arena, f->node, f->key, n);
        f->key = NULL;
    } else {
        if (n->kind != DOC_SCALAR) {
            problem(l, n->at, NULL, "a key must be a string, not %s", doc_kind_text(n));
            n = doc_new_scalar(l->arena, STR(""), false);
        }
        f->key = n;
    }
}

static void set_anchor(struct loader *l, struct str name, struct doc_node *n, size_t nodes,
                       unsigned height)
{
    struct anchor *a = NULL;

    if (name.p == NULL)
        return;
    HASH_FIND(hh, l->anchors, name.p, name.n, a);
    if (a == NULL) {
        if (HASH_COUNT(l->anchors) == ANCHORS_MAX)
            stop(l, n->at, "the document has too many anchors");
        a = arena_zalloc(l->arena, sizeof(*a));
        a->name = name;
        HASH_ADD_KEYPTR(hh, l->anchors, a->name.p, a->name.n, a);
    }
    a->node = n;
    a->nodes = nodes;
    a->height = height;
}

/* Tags of the core schema that say what is so anyway, or that a scalar is a string. */
static bool is_known_tag(struct str tag)
{
    static const char *const known[] = { "!",      "!!str", "!!int", "!!float", "!!bool",
                                         "!!null", "!!map", "!!seq", NULL };
    static const char prefix[] = "tag:yaml.org,2002:";

    for (size_t i = 0; known[i] != NULL; i++) {
        if (str_eq(tag, str_from(known[i])))
            return true;
        if (i > 0 && str_starts(tag, str_from(prefix)) &&
            str_eq(str_skip(tag, sizeof(prefix) - 1), str_from(known[i] + 2)))
            return true;
    }
    return false;
}

static void check_tag(struct loader *l, struct fy_token *token)
{
    struct str tag = text_of_token(token);

    if (token == NULL || is_known_tag(tag))
        return;
    problem(l, place_of_token(l, token), quote_hint, "the tag '%.*s' is not allowed",
            STR_ARG(str_slice(tag, 0, QUOTED_MAX_BYTES)));
}

static bool makes_string(struct fy_token *tag)
{
    struct str text = text_of_token(tag);

    return str_eq(text, STR("!")) || str_ends(text, STR(":str")) || str_eq(text, STR("!!str"));
}

static struct str anchor_name(struct loader *l, struct fy_token *token)
{
    struct str name = text_of_token(token);

    return token == NULL ? STR_NONE : arena_str(l->arena, name);
}

/* By how many spaces the list or mapping is indented that a block scalar stands in. */
static size_t parent_indent(struct loader *l)
{
    const struct frame *f = top(l);

    return f == NULL || f->node->at.column == 0 ? 0 : f->node->at.column - 1;
}

static struct str block_text(struct loader *l, size_t end)
{
    struct str source = str_slice(l->text, l->cursor, end);
    struct doc_block block = doc_block_read(&source, parent_indent(l));

    return doc_text_block(l->arena, &block, source);
}

static struct str double_quoted(struct loader *l, struct fy_token *token, struct str source)
{
    struct str text = STR("");

    if (!doc_text_double_quoted(l->arena, source, &text))
        problem(l, place_of_token(l, token), NULL, "an escape with '\\' in it is no character");
    return text;
}

static struct str scalar_text(struct loader *l, struct fy_token *token)
{
    const struct fy_mark *start = fy_token_start_mark(token);
    const struct fy_mark *end = fy_token_end_mark(token);
    struct str source;

    if (start == NULL || end == NULL)
        return STR("");
    source = str_slice(l->text, start->input_pos, end->input_pos);
    switch (fy_token_scalar_style(token)) {
    case FYSS_SINGLE_QUOTED:
        return doc_text_single_quoted(l->arena, source);
    case FYSS_LITERAL:
    case FYSS_FOLDED:
        return block_text(l, end->input_pos);
    case FYSS_DOUBLE_QUOTED:
        return double_quoted(l, token, source);
    case FYSS_PLAIN:
    case FYSS_ANY:
    case FYSS_MAX:
        break;
    }
    return doc_text_plain(l->arena, source);
}

/* True if the value's bytes stand in the document as they are, in one line. */
static bool is_verbatim(const struct loader *l, const struct fy_mark *mark, struct str value)
{
    if (mark == NULL || str_find_char(value, '\n') < value.n)
        return false;
    return str_starts(str_skip(l->text, mark->input_pos), value);
}

static void on_scalar(struct loader *l, const struct fy_event_scalar_data *s)
{
    const struct fy_mark *mark = fy_token_start_mark(s->value);
    bool plain = fy_token_scalar_style(s->value) == FYSS_PLAIN && !makes_string(s->tag);
    struct doc_node *n = doc_new_scalar(l->arena, STR(""), plain);

    move_cursor(l, s->tag);
    move_cursor(l, s->anchor);
    n->text = scalar_text(l, s->value);
    move_cursor(l, s->value);
    check_tag(l, s->tag);
    n->at = place_of_mark(l, mark);
    n->verbatim = is_verbatim(l, mark, n->text);
    count(l, n->at, 1, 0);
    set_anchor(l, anchor_name(l, s->anchor), n, 1, 0);
    place_value(l, n);
}

static void on_start(struct loader *l, struct doc_node *n, const struct fy_mark *mark,
                     struct fy_token *tag, struct fy_token *anchor)
{
    move_cursor(l, tag);
    move_cursor(l, anchor);
    check_tag(l, tag);
    n->at = place_of_mark(l, mark);
    if (l->depth == DOC_DEPTH_MAX) {
        stop(l, n->at, "the document is nested too deeply");
        return;
    }
    l->stack[l->depth++] =
        (struct frame){ .node = n, .anchor = anchor_name(l, anchor), .nodes = 0, .height = 0 };
    count(l, n->at, 1, 0);
}

static void on_alias(struct loader *l, struct fy_token *token)
{
    struct str name = text_of_token(token);
    struct doc_place at = place_of_token(l, token);
    struct anchor *a = NULL;

    move_cursor(l, token);
    HASH_FIND(hh, l->anchors, name.p, name.n, a);
    if (a == NULL) {
        problem(l, at, NULL, "the alias '*%.*s' names no anchor that is complete here",
                STR_ARG(str_slice(name, 0, QUOTED_MAX_BYTES)));
        place_value(l, doc_new_scalar(l->arena, STR(""), true));
        return;
    }
    count(l, at, a->nodes, a->height);
    place_value(l, a->node);
}

/* ---- the end of a mapping: merge keys and duplicates ----------------------------------------- */

struct entry {
    struct doc_node *key;
    struct doc_node *value;
    size_t order;
    bool merged; /* by <<: gives way to the mapping's own keys and to earlier merges */
    bool dropped;
};

static int compare_entries(const void *left, const void *right)
{
    const struct entry *a = *(struct entry *const *)left;
    const struct entry *b = *(struct entry *const *)right;
    size_t n = a->key->text.n < b->key->text.n ? a->key->text.n : b->key->text.n;
    int c = n == 0 ? 0 : memcmp(a->key->text.p, b->key->text.p, n);

    if (c != 0)
        return c;
    if (a->key->text.n != b->key->text.n)
        return a->key->text.n < b->key->text.n ? -1 : 1;
    return (a->order > b->order) - (a->order < b->order);
}

/* Of equal keys the first stays. Sorting finds them in n log n whatever the keys are; a table would
 * have to be keyed against chosen collisions. */
static void drop_duplicates(struct loader *l, struct entry *entries, size_t count_all)
{
    struct entry **sorted = mem_zalloc_array(count_all, sizeof(*sorted));

    for (size_t i = 0; i < count_all; i++)
        sorted[i] = &entries[i];
    qsort(sorted, count_all, sizeof(*sorted), compare_entries);
    for (size_t i = 1; i < count_all; i++) {
        struct entry *e = sorted[i];

        if (!str_eq(e->key->text, sorted[i - 1]->key->text))
            continue;
        e->dropped = true;
        if (!e->merged)
            problem(l, e->key->at, NULL, "the key '%.*s' is given twice",
                    STR_ARG(str_slice(e->key->text, 0, QUOTED_MAX_BYTES)));
    }
    mem_free(sorted);
}

static bool is_merge_key(const struct doc_node *key)
{
    return key->plain && str_eq(key->text, STR("<<"));
}

static size_t merge_one(struct loader *l, const struct doc_node *source, struct entry *out)
{
    if (source->kind != DOC_MAP) {
        if (out != NULL)
            return 0; /* said when they were counted */
        problem(l, source->at, NULL, "'<<' takes a mapping or a list of mappings, not %s",
                doc_kind_text(source));
        return 0;
    }
    for (size_t i = 0; out != NULL && i < source->count; i++)
        out[i] = (struct entry){ source->keys[i], source->items[i], .merged = true };
    return source->count;
}

/* The entries that the value of << brings; `out` may be NULL: then they are only counted. */
static size_t merge_all(struct loader *l, const struct doc_node *value, struct entry *out)
{
    size_t total = 0;

    if (value->kind != DOC_LIST)
        return merge_one(l, value, out);
    for (size_t i = 0; i < value->count; i++)
        total += merge_one(l, value->items[i], out == NULL ? NULL : out + total);
    return total;
}

/* The mapping's own entries first, so that they win, then what is merged. */
static size_t gather(struct loader *l, const struct doc_node *map, struct entry *entries)
{
    size_t total = 0;

    for (size_t i = 0; i < map->count; i++) {
        if (!is_merge_key(map->keys[i]))
            entries[total++] = (struct entry){ .key = map->keys[i], .value = map->items[i] };
    }
    for (size_t i = 0; i < map->count; i++) {
        if (is_merge_key(map->keys[i]) && map->items[i]->kind != DOC_SCALAR)
            total += merge_all(l, map->items[i], entries + total);
    }
    return total;
}

static void finish_map(struct loader *l, const struct frame *f)
{
    struct doc_node *map = f->node;
    size_t room = map->count;
    struct entry *entries;
    size_t total;

    for (size_t i = 0; f->merges && i < map->count; i++) {
        if (is_merge_key(map->keys[i]))
            room += merge_all(l, map->items[i], NULL);
    }
    if (map->count < 2 && !f->merges)
        return;
    entries = mem_zalloc_array(room, sizeof(*entries));
    total = gather(l, map, entries);
    for (size_t i = 0; i < total; i++)
        entries[i].order = i;
    drop_duplicates(l, entries, total);
    map->count = 0; /* the arrays are filled anew; they are as large as before, or grow */
    map->items = NULL;
    map->keys = NULL;
    for (size_t i = 0; i < total; i++) {
        if (!entries[i].dropped)
            doc_map_add(l->arena, map, entries[i].key, entries[i].value);
    }
    mem_free(entries);
}

static void on_end(struct loader *l)
{
    const struct frame f = l->stack[l->depth - 1];
    struct frame *above;

    if (f.node->kind == DOC_MAP)
        finish_map(l, &f);
    l->depth--;
    set_anchor(l, f.anchor, f.node, f.nodes, f.height + 1);
    above = top(l);
    if (above != NULL) {
        above->nodes += f.nodes;
        above->height = f.height + 1 > above->height ? f.height + 1 : above->height;
    }
    place_value(l, f.node);
}

/* ---- events ---------------------------------------------------------------------------------- */

static void on_document(struct loader *l, struct fy_event *e)
{
    struct doc_place at = place_of_mark(l, fy_event_start_mark(e));

    if (++l->documents > 1)
        stop(l, at, "only one document is allowed in a file");
}

static void on_event(struct loader *l, struct fy_event *e)
{
    switch (e->type) {
    case FYET_DOCUMENT_START:
        on_document(l, e);
        break;
    case FYET_MAPPING_START:
        on_start(l, doc_new_map(l->arena), fy_event_start_mark(e), e->mapping_start.tag,
                 e->mapping_start.anchor);
        break;
    case FYET_SEQUENCE_START:
        on_start(l, doc_new_list(l->arena), fy_event_start_mark(e), e->sequence_start.tag,
                 e->sequence_start.anchor);
        break;
    case FYET_MAPPING_END:
    case FYET_SEQUENCE_END:
        on_end(l);
        break;
    case FYET_SCALAR:
        on_scalar(l, &e->scalar);
        break;
    case FYET_ALIAS:
        on_alias(l, e->alias.anchor);
        break;
    case FYET_NONE:
    case FYET_STREAM_START:
    case FYET_STREAM_END:
    case FYET_DOCUMENT_END:
        break;
    }
}

static void read_events(struct loader *l)
{
    struct fy_event *e;

    if (open_parser(l) != 0)
        stop(l, l->last, "the document cannot be parsed");
    while (!l->stopped && (e = fy_parser_parse(l->parser)) != NULL) {
        on_event(l, e);
        fy_parser_event_free(l->parser, e);
    }
    if (!l->stopped && fy_parser_get_stream_error(l->parser))
        report_stream_error(l);
    close_parser(l);
}

struct policy_document *policy_document_parse(struct str name, struct str text,
                                              const struct policy_limits *limits,
                                              struct policy_problems *problems)
{
    size_t before = policy_problems_errors(problems);
    struct policy_document *d = policy_document_new(name);
    struct loader l = {
        .document = d, .arena = &d->arena, .problems = problems, .text = text, .last = { 1, 1 }
    };

    d->root = doc_new_scalar(&d->arena, STR(""), true); /* of an empty document */
    d->root->at = l.last;
    if (check_bytes(&l, limits->policy_document_max_bytes) && text.n > 0)
        read_events(&l);
    HASH_CLEAR(hh, l.anchors);
    if (policy_problems_errors(problems) == before)
        return d;
    policy_document_free(d);
    return NULL;
}
