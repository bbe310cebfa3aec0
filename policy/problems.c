/*
 * Errors and warnings are counted and bounded apart, so that a hundred warnings cannot hide the one
 * error. They are kept as they come and ordered when they are shown: by document in the order in which
 * documents were first complained about, then by place.
 */
#include "policy/problems.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

enum problem_kind { PROBLEM_ERROR, PROBLEM_WARNING };
enum { PROBLEM_KINDS = PROBLEM_WARNING + 1, PROBLEMS_START = 8 };

struct problem {
    enum problem_kind kind;
    size_t document; /* index in names */
    struct doc_place at;
    size_t order;       /* of being found: of two at one place the first comes first */
    enum err_code code; /* of an error */
    char *text;         /* owned */
    char *hint;         /* owned; NULL: none */
};

struct policy_problems {
    struct problem *items; /* owned */
    size_t count;
    size_t capacity;
    char **names; /* owned: of documents */
    size_t name_count;
    size_t found[PROBLEM_KINDS];
};

struct policy_problems *policy_problems_new(void)
{
    return mem_zalloc(sizeof(struct policy_problems));
}

void policy_problems_free(struct policy_problems *p)
{
    if (p == NULL)
        return;
    for (size_t i = 0; i < p->count; i++) {
        mem_free(p->items[i].text);
        mem_free(p->items[i].hint);
    }
    for (size_t i = 0; i < p->name_count; i++)
        mem_free(p->names[i]);
    mem_free(p->items);
    mem_free(p->names);
    mem_free(p);
}

size_t policy_problems_errors(const struct policy_problems *p)
{
    return p->found[PROBLEM_ERROR];
}

size_t policy_problems_warnings(const struct policy_problems *p)
{
    return p->found[PROBLEM_WARNING];
}

/* A problem is one line of a terminal or a log, whatever the document holds. */
static char *one_line(struct str s)
{
    struct str good = str_slice(s, 0, utf8_good(s)); /* a cut may have split the last character */
    char *text = str_dup(good.n + UTF8_MAX_BYTES > s.n ? good : s);

    for (char *p = text; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
    }
    return text;
}

static size_t find_name(struct policy_problems *p, struct str name)
{
    for (size_t i = 0; i < p->name_count; i++) {
        if (str_eq(str_from(p->names[i]), name))
            return i;
    }
    p->names = mem_realloc(p->names, (p->name_count + 1) * sizeof(*p->names));
    p->names[p->name_count] = one_line(name);
    return p->name_count++;
}

static struct problem *new_problem(struct policy_problems *p)
{
    if (p->count == p->capacity) {
        p->capacity = p->capacity == 0 ? PROBLEMS_START : 2 * p->capacity;
        p->items = mem_realloc(p->items, p->capacity * sizeof(*p->items));
    }
    return &p->items[p->count++];
}

__attribute__((format(printf, 5, 0))) static void add(struct policy_problems *p,
                                                      const struct problem *what,
                                                      struct str document, const char *hint,
                                                      const char *fmt, va_list ap)
{
    char text[PROBLEM_TEXT_BYTES];
    struct problem *problem;

    if (p->found[what->kind]++ >= PROBLEMS_MAX)
        return;
    (void)vsnprintf(text, sizeof(text), fmt, ap); /* a cut text still helps */
    problem = new_problem(p);
    *problem = *what;
    problem->order = p->count;
    problem->document = find_name(p, document);
    problem->text = one_line(str_from(text));
    problem->hint =
        hint == NULL ? NULL : one_line(str_slice(str_from(hint), 0, PROBLEM_HINT_BYTES));
}

int problems_add(struct policy_problems *p, struct str document, struct doc_place at,
                 enum err_code code, const char *hint, const char *fmt, ...)
{
    const struct problem what = { .kind = PROBLEM_ERROR, .at = at, .code = code };
    va_list ap;

    va_start(ap, fmt);
    add(p, &what, document, hint, fmt, ap);
    va_end(ap);
    return -1;
}

void problems_warn(struct policy_problems *p, struct str document, struct doc_place at,
                   const char *fmt, ...)
{
    const struct problem what = { .kind = PROBLEM_WARNING, .at = at };
    va_list ap;

    va_start(ap, fmt);
    add(p, &what, document, NULL, fmt, ap);
    va_end(ap);
}

static int compare_sizes(size_t a, size_t b)
{
    return (a > b) - (a < b);
}

static int compare(const void *left, const void *right)
{
    const struct problem *a = *(const struct problem *const *)left;
    const struct problem *b = *(const struct problem *const *)right;

    if (a->document != b->document)
        return compare_sizes(a->document, b->document);
    if (a->at.line != b->at.line)
        return compare_sizes(a->at.line, b->at.line);
    if (a->at.column != b->at.column)
        return compare_sizes(a->at.column, b->at.column);
    return compare_sizes(a->order, b->order);
}

static void format_problem(const struct policy_problems *p, const struct problem *problem,
                           struct buf *out)
{
    unsigned number = err_number(problem->code);

    buf_add_fmt(out, "%s:", p->names[problem->document]);
    if (problem->at.line > 0)
        buf_add_fmt(out, "%u:%u:", problem->at.line, problem->at.column);
    if (problem->kind == PROBLEM_WARNING)
        buf_add_str(out, STR(" warning: "));
    else if (number == 0)
        buf_add_str(out, STR(" error: "));
    else
        buf_add_fmt(out, " error[ERR_SALLYPORT_%u]: ", number);
    buf_add_str(out, str_from(problem->text));
    buf_add_char(out, '\n');
    if (problem->hint != NULL)
        buf_add_fmt(out, "    hint: %s\n", problem->hint);
}

static void format_rest(size_t found, const char *what, struct buf *out)
{
    if (found > PROBLEMS_MAX)
        buf_add_fmt(out, "... and %zu more %s\n", found - PROBLEMS_MAX, what);
}

void policy_problems_format(const struct policy_problems *p, struct buf *out)
{
    const struct problem **ordered = mem_zalloc_array(p->count + 1, sizeof(struct problem *));

    for (size_t i = 0; i < p->count; i++)
        ordered[i] = &p->items[i];
    qsort(ordered, p->count, sizeof(struct problem *), compare);
    for (size_t i = 0; i < p->count; i++)
        format_problem(p, ordered[i], out);
    mem_free(ordered);
    format_rest(p->found[PROBLEM_ERROR], "errors", out);
    format_rest(p->found[PROBLEM_WARNING], "warnings", out);
}

void policy_problems_first(const struct policy_problems *p, struct err *e)
{
    const struct problem *first = NULL;

    for (size_t i = 0; i < p->count; i++) {
        const struct problem *problem = &p->items[i];

        if (problem->kind == PROBLEM_ERROR && (first == NULL || compare(&problem, &first) < 0))
            first = problem;
    }
    if (first != NULL)
        (void)err_set(e, first->code, "%s", first->text);
}
