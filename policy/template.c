/*
 * The scanner of "${" follows the tokens of CEL (spec traffic-policy 3.4, D14), because strings,
 * comments and nested braces may hold a '}': a regular expression or a search for the next brace would
 * end too early.
 */
#include "policy/template.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "policy/cel/cel.h"
#include "policy/compiler.h"
#include "policy/run_int.h"
#include "policy/template_int.h"

enum {
    BRACKETS_MAX = 128, /* deeper than any expression may be */
    PROBLEMS_SHOWN = 5, /* of one text: each costs a walk to its place */
};

/* Literal text, then an expression, which only the last part may lack. */
struct part {
    struct str literal;          /* in template.text */
    struct cel_program *program; /* owned; NULL: none */
};

struct template
{
    char *field;        /* owned: its name, for messages; NULL: a literal */
    char *text;         /* owned: all literal text */
    struct part *parts; /* owned */
    size_t count;
};

struct template *template_literal(struct str text)
{
    struct template *t = mem_zalloc(sizeof(*t));

    t->text = mem_alloc(text.n + 1);
    if (text.n > 0)
        memcpy(t->text, text.p, text.n);
    t->parts = mem_zalloc_array(1, sizeof(*t->parts));
    t->parts[0].literal = str_of(t->text, text.n);
    t->count = 1;
    return t;
}

void template_free(struct template *t)
{
    if (t == NULL)
        return;
    for (size_t i = 0; i < t->count; i++)
        cel_program_free(t->parts[i].program);
    mem_free(t->field);
    mem_free(t->text);
    mem_free(t->parts);
    mem_free(t);
}

bool template_is_literal(const struct template *t, struct str *out)
{
    if (t == NULL) {
        *out = STR("");
        return true;
    }
    if (t->count > 1 || t->parts[0].program != NULL)
        return false;
    *out = t->parts[0].literal;
    return true;
}

bool template_is_single(const struct template *t)
{
    return t != NULL && t->count == 1 && t->parts[0].program != NULL && t->parts[0].literal.n == 0;
}

/* ---- scanning -------------------------------------------------------------------------------- */

/* Length of the string literal at the start of s, or 0 when there is none; s.n + 1 when its end is
 * missing. */
static size_t string_length(struct str s)
{
    size_t i = 0;
    bool raw = false;
    size_t quotes;
    char quote;

    if (i < s.n && (s.p[i] == 'b' || s.p[i] == 'B'))
        i++;
    if (i < s.n && (s.p[i] == 'r' || s.p[i] == 'R')) {
        raw = true;
        i++;
    }
    if (i == s.n || (s.p[i] != '"' && s.p[i] != '\''))
        return 0;
    quote = s.p[i];
    quotes = i + 2 < s.n && s.p[i + 1] == quote && s.p[i + 2] == quote ? 3 : 1;
    for (i += quotes; i < s.n; i++) {
        if (s.p[i] == '\\' && !raw)
            i++;
        else if (s.p[i] == quote &&
                 (quotes == 1 || (i + 2 < s.n && s.p[i + 1] == quote && s.p[i + 2] == quote)))
            return i + quotes;
    }
    return s.n + 1;
}

static bool is_word(char c)
{
    return char_is_alpha(c) || char_is_digit(c) || c == '_';
}

/* Length of the token at the start of s: a string, a comment, a quoted field, a word, or a byte. */
static size_t token_length(struct str s)
{
    size_t n = string_length(s);

    if (n > 0)
        return n;
    if (s.p[0] == '`') {
        n = str_find_char(str_skip(s, 1), '`') + 2;
    } else if (str_starts(s, STR("//"))) {
        n = str_find_char(s, '\n');
    } else {
        while (n < s.n && is_word(s.p[n]))
            n++;
    }
    return n == 0 ? 1 : n;
}

static char closes(char c)
{
    switch (c) {
    case '(':
        return ')';
    case '[':
        return ']';
    case '{':
        return '}';
    default:
        return '\0';
    }
}

/* Finds the '}' that ends the expression at the start of s. NULL and *length, or what is wrong. */
static const char *scan_expression(struct str s, size_t *length)
{
    char open[BRACKETS_MAX];
    size_t depth = 0;
    size_t i = 0;

    while (i < s.n) {
        char c = s.p[i];

        if (closes(c) != '\0') {
            if (depth == BRACKETS_MAX)
                return "the expression is nested too deeply";
            open[depth++] = closes(c);
        } else if (depth > 0 && c == open[depth - 1]) {
            depth--;
        } else if (c == '}' && depth == 0) {
            *length = i;
            return NULL;
        } else if (c == ')' || c == ']' || c == '}') {
            return "its parentheses do not balance";
        }
        i += token_length(str_skip(s, i));
    }
    return i > s.n ? "a string in it is not closed" : "it has no closing '}'";
}

size_t template_find_char(struct str text, char c)
{
    size_t i = 0;

    while (i < text.n) {
        size_t length = 0;

        if (str_starts(str_skip(text, i), STR("$${"))) {
            i += 3;
        } else if (str_starts(str_skip(text, i), STR("${"))) {
            if (scan_expression(str_skip(text, i + 2), &length) != NULL)
                return text.n;
            i += 2 + length + 1;
        } else if (text.p[i] == c) {
            return i;
        } else {
            i++;
        }
    }
    return text.n;
}

/* ---- compiling ------------------------------------------------------------------------------- */

struct scan {
    const struct field *field;
    struct template *template;
    enum err_code code;
    size_t text_n; /* literal text so far */
    size_t problems;
};

static struct part *add_part(struct scan *s, size_t literal_from)
{
    struct template *t = s->template;
    struct part *part;

    t->parts = mem_realloc(t->parts, (t->count + 1) * sizeof(*t->parts));
    part = &t->parts[t->count++];
    *part = (struct part){ .literal = str_of(t->text + literal_from, s->text_n - literal_from) };
    return part;
}

static void problem(struct scan *s, size_t at, const char *why)
{
    const struct field *f = s->field;

    (void)compiler_problem(f->compiler, compiler_place(f->node, at), f->name, s->code, NULL,
                           "invalid ${}: %s", why);
    s->problems++;
}

/* The expression at `at`, behind "${". Returns its length with the '}'. */
static size_t add_expression(struct scan *s, struct part *part, size_t at)
{
    const struct field *f = s->field;
    struct compiler_expression x = { .node = f->node, .at = at, .field = f->name, .code = s->code };
    size_t length = 0;
    const char *why = scan_expression(str_skip(f->node->text, at), &length);

    if (why != NULL) {
        problem(s, at - 2, why);
        return f->node->text.n;
    }
    x.text = str_slice(f->node->text, at, at + length);
    part->program = compiler_program(f->compiler, &x);
    s->problems += part->program == NULL;
    return length + 1;
}

static void scan(struct scan *s, struct str text)
{
    size_t literal_from = 0;
    size_t i = 0;

    while (i < text.n && s->problems < PROBLEMS_SHOWN) {
        struct str rest = str_skip(text, i);

        if (str_starts(rest, STR("$${"))) { /* a literal "${" */
            s->template->text[s->text_n++] = '$';
            s->template->text[s->text_n++] = '{';
            i += 3;
        } else if (str_starts(rest, STR("${"))) {
            i += 2 + add_expression(s, add_part(s, literal_from), i + 2);
            literal_from = s->text_n;
        } else {
            s->template->text[s->text_n++] = text.p[i++];
        }
    }
    if (s->template->count == 0 || s->text_n > literal_from)
        (void)add_part(s, literal_from);
}

struct template *template_compile(const struct field *f, enum err_code code)
{
    struct str text = f->node->text;
    struct scan s = { .field = f, .code = code };

    s.template = mem_zalloc(sizeof(*s.template));
    s.template->field = mem_strdup(f->name);
    s.template->text =
        mem_alloc(text.n + 1); /* what is written is never longer than what is read */
    scan(&s, text);
    if (s.problems == 0)
        return s.template;
    template_free(s.template);
    return NULL;
}

/* ---- running --------------------------------------------------------------------------------- */

static int refuse(const struct template *t, struct cel_value error, struct err *e)
{
    return err_set(e, E_POLICY_FIELD_EVALUATION, "%s: %.*s", t->field, STR_ARG(cel_str(error)));
}

static int keep_text(struct action_run *run, struct str text, struct str *out, struct err *e)
{
    char *copy = cel_alloc(action_values(run), text.n);

    if (copy == NULL)
        return err_set(e, E_POLICY_MEMORY, "the values of the policy need too much memory");
    if (text.p != NULL)
        memcpy(copy, text.p, text.n);
    *out = str_of(copy, text.n);
    return 0;
}

/* Appends the text of a part; `joined` has the memory limit of the phase as its maximum. */
static int add_text(const struct template *t, const struct part *part, struct action_run *run,
                    struct buf *joined, struct err *e)
{
    struct cel_value text;

    buf_add_str(joined, part->literal);
    if (part->program == NULL)
        return 0;
    text = run_text(run->run, run_evaluate(run->run, part->program));
    if (cel_is_error(text))
        return refuse(t, text, e);
    buf_add_str(joined, cel_str(text));
    return 0;
}

static int join_text(const struct template *t, struct action_run *run, struct str *out,
                     struct err *e)
{
    struct buf joined;
    int rc = 0;

    buf_init(&joined, run->run->policy->limits.policy_memory_max_bytes);
    for (size_t i = 0; i < t->count && rc == 0; i++)
        rc = add_text(t, &t->parts[i], run, &joined, e);
    if (rc == 0 && buf_failed(&joined))
        rc = err_set(e, E_POLICY_MEMORY, "%s: the text is too large", t->field);
    if (rc == 0)
        rc = keep_text(run, buf_str(&joined), out, e);
    buf_fini(&joined);
    return rc;
}

int template_text(const struct template *t, struct action_run *run, struct str *out, struct err *e)
{
    struct cel_value text;

    if (template_is_literal(t, out))
        return 0;
    if (!template_is_single(t))
        return join_text(t, run, out, e);
    text = run_text(run->run, run_evaluate(run->run, t->parts[0].program));
    if (cel_is_error(text))
        return refuse(t, text, e);
    return keep_text(run, cel_str(text), out, e);
}

int template_value(const struct template *t, struct action_run *run, struct cel_value *out,
                   struct err *e)
{
    struct str text;

    if (!template_is_single(t)) {
        if (template_text(t, run, &text, e) == -1)
            return -1;
        *out = cel_string(text);
        return 0;
    }
    *out = run_evaluate(run->run, t->parts[0].program);
    if (cel_is_error(*out))
        return refuse(t, *out, e);
    *out = run_keep(run->run, *out);
    if (cel_is_error(*out))
        return err_set(e, E_POLICY_MEMORY, "%s: the value is too large or nested too deeply",
                       t->field);
    return 0;
}
