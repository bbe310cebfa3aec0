#include "policy/fields.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "policy/compiler.h"
#include "policy/engine.h"
#include "policy/pattern.h"
#include "policy/problems.h"
#include "policy/template.h"
#include "policy/template_int.h"

enum { NAMES_BYTES = 200, NEAR_DISTANCE = 3, QUOTED_MAX_BYTES = 48 };

enum policy_phase fields_phase(const struct fields *c)
{
    return c->compiler->phase;
}

const struct policy_limits *fields_limits(const struct fields *c)
{
    return c->compiler->params->limits;
}

const struct policy_params *fields_params(const struct fields *c)
{
    return c->compiler->params;
}

const struct policy_limits *field_limits(const struct field *f)
{
    return f->compiler->params->limits;
}

struct regex_budget *field_patterns(const struct field *f)
{
    return compiler_patterns(f->compiler);
}

const char *fields_place(const struct fields *c)
{
    struct policy_compiler *compiler = c->compiler;

    (void)snprintf(compiler->place, sizeof(compiler->place), "%s[%zu].actions[%zu]",
                   policy_phase_name(compiler->phase), compiler->rule, compiler->action);
    return compiler->place;
}

/* ---- problems -------------------------------------------------------------------------------- */

static struct doc_place place_of(const struct field *f)
{
    return f->node != NULL ? f->node->at : f->at;
}

int field_problem(const struct field *f, enum err_code code, const char *fmt, ...)
{
    char text[PROBLEM_TEXT_BYTES];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return compiler_problem(f->compiler, place_of(f), f->name, code, NULL, "%s", text);
}

int field_problem_hint(const struct field *f, enum err_code code, const char *hint, const char *fmt,
                       ...)
{
    char text[PROBLEM_TEXT_BYTES];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return compiler_problem(f->compiler, place_of(f), f->name, code, hint, "%s", text);
}

void field_warn(const struct field *f, const char *fmt, ...)
{
    char text[PROBLEM_TEXT_BYTES];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    compiler_warn(f->compiler, place_of(f), f->name, "%s", text);
}

static int wrong_kind(const struct field *f, const char *wanted)
{
    return field_problem(f, E_POLICY_CONFIG, "it must be %s, not %s", wanted,
                         doc_kind_text(f->node));
}

/* ---- finding --------------------------------------------------------------------------------- */

/* The name of what stands below `above`; a cut name still helps. */
static void set_name(char out[FIELD_NAME_BYTES], const char *above, struct str key)
{
    (void)snprintf(out, FIELD_NAME_BYTES, "%s%s%.*s", above, above[0] == '\0' ? "" : ".",
                   STR_ARG(str_slice(key, 0, FIELD_NAME_BYTES)));
}

struct field fields_find(const struct fields *c, const char *key)
{
    struct field f = { .node = doc_find(c->map, key), .compiler = c->compiler };

    if (f.node != NULL && doc_is_null(f.node))
        f.node = NULL;
    if (c->map != NULL)
        f.at = c->map->at;
    set_name(f.name, c->name, str_from(key));
    return f;
}

struct field fields_need(const struct fields *c, const char *key)
{
    struct field f = fields_find(c, key);

    if (f.node == NULL)
        (void)field_problem(&f, E_POLICY_MISSING, "it is required");
    return f;
}

static bool is_known(struct str key, const char *const *known)
{
    for (size_t i = 0; known[i] != NULL; i++) {
        if (str_eq(key, str_from(known[i])))
            return true;
    }
    return false;
}

/* "did you mean 'x'?", or all the names there are. */
static void suggest(struct str key, const char *const *known, char out[NAMES_BYTES])
{
    const char *nearest = NULL;
    size_t least = NEAR_DISTANCE;
    struct buf names;

    for (size_t i = 0; known[i] != NULL; i++) {
        size_t distance = str_distance(key, str_from(known[i]));

        if (distance < least) {
            least = distance;
            nearest = known[i];
        }
    }
    if (nearest != NULL) {
        (void)snprintf(out, NAMES_BYTES, "did you mean '%s'?", nearest);
        return;
    }
    buf_init(&names, NAMES_BYTES);
    for (size_t i = 0; known[i] != NULL; i++)
        buf_add_fmt(&names, "%s%s", i > 0 ? ", " : "", known[i]);
    (void)snprintf(out, NAMES_BYTES, "%s: %.*s", known[0] == NULL ? "there are none" : "known",
                   STR_ARG(buf_str(&names)));
    buf_fini(&names);
}

int fields_known(const struct fields *c, const char *const *known)
{
    int rc = 0;

    for (size_t i = 0; c->map != NULL && i < c->map->count; i++) {
        struct str key = c->map->keys[i]->text;
        char hint[NAMES_BYTES];

        if (is_known(key, known))
            continue;
        suggest(key, known, hint);
        rc = compiler_problem(c->compiler, c->map->keys[i]->at, c->name, E_POLICY_CONFIG, hint,
                              "unknown field '%.*s'", STR_ARG(str_slice(key, 0, QUOTED_MAX_BYTES)));
    }
    return rc;
}

struct fields field_fields(const struct field *f)
{
    struct fields c = { .compiler = f->compiler };

    if (f->node != NULL && f->node->kind != DOC_MAP)
        (void)wrong_kind(f, "a mapping");
    else
        c.map = f->node;
    memcpy(c.name, f->name, sizeof(c.name));
    return c;
}

/* ---- scalars --------------------------------------------------------------------------------- */

int field_bool(const struct field *f, bool *out)
{
    if (f->node == NULL || doc_to_bool(f->node, out))
        return 0;
    return wrong_kind(f, "true or false");
}

int field_int(const struct field *f, int64_t min, int64_t max, int64_t *out)
{
    int64_t value;

    if (f->node == NULL)
        return 0;
    if (!doc_to_int(f->node, &value))
        return wrong_kind(f, "a whole number");
    if (value < min || value > max)
        return field_problem(f, E_POLICY_RANGE, "%lld is outside of %lld to %lld", (long long)value,
                             (long long)min, (long long)max);
    *out = value;
    return 0;
}

int field_double(const struct field *f, double min, double max, double *out)
{
    double value;

    if (f->node == NULL)
        return 0;
    if (!doc_to_double(f->node, &value) || isnan(value))
        return wrong_kind(f, "a number");
    if (value < min || value > max)
        return field_problem(f, E_POLICY_RANGE, "%g is outside of %g to %g", value, min, max);
    *out = value;
    return 0;
}

int field_text(const struct field *f, struct str *out)
{
    if (f->node == NULL)
        return 0;
    if (f->node->kind != DOC_SCALAR)
        return wrong_kind(f, "a string");
    *out = f->node->text;
    return 0;
}

int field_choice(const struct field *f, const char *const *names, unsigned *out)
{
    char hint[NAMES_BYTES];
    struct str text = STR_NONE;

    if (field_text(f, &text) == -1)
        return -1;
    if (f->node == NULL)
        return 0;
    for (unsigned i = 0; names[i] != NULL; i++) {
        if (str_eq(text, str_from(names[i]))) {
            *out = i;
            return 0;
        }
    }
    suggest(text, names, hint);
    return field_problem_hint(f, E_POLICY_CHOICE, hint, "'%.*s' is not one of the allowed values",
                              STR_ARG(str_slice(text, 0, QUOTED_MAX_BYTES)));
}

/* ---- durations ------------------------------------------------------------------------------- */

static const struct {
    const char *unit;
    double ns;
} units[] = {
    { "ns", 1 },   { "us", 1e3 }, { "\xc2\xb5s", 1e3 }, { "\xce\xbcs", 1e3 },
    { "ms", 1e6 }, { "s", 1e9 },  { "m", 6e10 },        { "h", 3.6e12 },
};

/* Digits with at most one dot, as a whole number and what to divide it by: exact, unlike 1.005. */
static bool take_number(struct str *rest, double *out, double *scale)
{
    double value = 0;
    size_t digits = 0;
    bool dot = false;

    *scale = 1;
    for (; rest->n > 0; *rest = str_skip(*rest, 1)) {
        char c = rest->p[0];

        if (c == '.' && !dot) {
            dot = true;
        } else if (char_is_digit(c)) {
            value = value * 10 + (c - '0');
            *scale = dot ? *scale * 10 : *scale;
            digits++;
        } else {
            break;
        }
    }
    *out = value;
    return digits > 0 && isfinite(value) && isfinite(*scale);
}

static bool take_unit(struct str *rest, double *ns)
{
    size_t best = 0;

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        struct str unit = str_from(units[i].unit);

        if (str_starts(*rest, unit) && unit.n > best) { /* "ms" before "m" */
            best = unit.n;
            *ns = units[i].ns;
        }
    }
    *rest = str_skip(*rest, best);
    return best > 0;
}

/* Go's syntax: one or more numbers with units. Doubles are exact far beyond what fields allow. */
static bool parse_duration(struct str text, double *out_ns)
{
    bool negative = str_starts(text, STR("-"));
    double total = 0;
    double number = 0;
    double scale = 1;
    double ns = 0;

    if (negative || str_starts(text, STR("+")))
        text = str_skip(text, 1);
    if (text.n == 0)
        return false;
    while (text.n > 0) {
        if (!take_number(&text, &number, &scale) || !take_unit(&text, &ns))
            return false;
        total += number * ns / scale;
    }
    *out_ns = negative ? -total : total;
    return true;
}

enum { DURATION_BYTES = 32 };

/* The largest unit that divides it. */
static void format_ms(uint64_t ms, char out[DURATION_BYTES])
{
    static const struct {
        uint64_t ms;
        const char *unit;
    } sizes[] = { { 3600000, "h" }, { 60000, "m" }, { 1000, "s" }, { 1, "ms" } };
    size_t i = 0;

    while (ms % sizes[i].ms != 0)
        i++;
    (void)snprintf(out, DURATION_BYTES, "%llu%s", (unsigned long long)(ms / sizes[i].ms),
                   sizes[i].unit);
}

int field_duration(const struct field *f, uint64_t min_ms, uint64_t max_ms, uint64_t *out_ms)
{
    char bound[DURATION_BYTES];
    struct str text = STR_NONE;
    double ns = 0;
    double ms;

    if (field_text(f, &text) == -1)
        return -1;
    if (f->node == NULL)
        return 0;
    if (!parse_duration(text, &ns))
        return field_problem_hint(f, E_POLICY_CONFIG, "write a number with a unit: 90s, 1h30m",
                                  "it must be a duration");
    ms = floor(ns / 1e6);
    if (ms < (double)min_ms) {
        format_ms(min_ms, bound);
        return field_problem(f, E_POLICY_RANGE, "it must be at least %s", bound);
    }
    if (ms > (double)max_ms) {
        format_ms(max_ms, bound);
        return field_problem(f, E_POLICY_DURATION, "it must be at most %s", bound);
    }
    *out_ms = (uint64_t)ms;
    return 0;
}

/* ---- lists and mappings ---------------------------------------------------------------------- */

static int check_count(const struct field *f, size_t min, size_t max)
{
    if (f->node->count > max)
        return field_problem(f, E_POLICY_LIST_LENGTH, "%zu entries, at most %zu are allowed",
                             f->node->count, max);
    if (f->node->count < min)
        return field_problem(f, E_POLICY_MISSING, "it needs at least %zu entr%s", min,
                             min == 1 ? "y" : "ies");
    return 0;
}

int field_list(const struct field *f, size_t min, size_t max, size_t *count)
{
    *count = 0;
    if (f->node == NULL)
        return 0;
    if (f->node->kind != DOC_LIST)
        return wrong_kind(f, "a list");
    if (check_count(f, min, max) == -1)
        return -1;
    *count = f->node->count;
    return 0;
}

struct field field_item(const struct field *list, size_t index)
{
    struct field f = { .node = list->node->items[index],
                       .compiler = list->compiler,
                       .at = list->node->at };

    (void)snprintf(f.name, sizeof(f.name), "%.*s[%zu]", FIELD_NAME_BYTES - 24, list->name, index);
    return f;
}

int field_map(const struct field *f, size_t max, size_t *count)
{
    *count = 0;
    if (f->node == NULL)
        return 0;
    if (f->node->kind != DOC_MAP)
        return wrong_kind(f, "a mapping");
    if (check_count(f, 0, max) == -1)
        return -1;
    *count = f->node->count;
    return 0;
}

struct field field_entry(const struct field *map, size_t index, struct str *key)
{
    struct field f = { .node = map->node->items[index],
                       .compiler = map->compiler,
                       .at = map->node->keys[index]->at };

    *key = map->node->keys[index]->text;
    set_name(f.name, map->name, *key);
    return f;
}

/* ---- expressions ----------------------------------------------------------------------------- */

struct template *field_template_as(const struct field *f, enum err_code code)
{
    struct str text = STR_NONE;

    if (f->node == NULL)
        return NULL;
    if (doc_is_null(f->node)) {
        (void)wrong_kind(f, "a string");
        return NULL;
    }
    if (field_text(f, &text) == -1)
        return NULL;
    return template_compile(f, code);
}

struct template *field_template(const struct field *f)
{
    return field_template_as(f, E_POLICY_TEMPLATE);
}

static struct cel_program *compile(const struct field *f, const struct cel_type *want,
                                   const struct cel_env *env)
{
    struct compiler_expression x = {
        .node = f->node, .field = f->name, .code = E_POLICY_EXPRESSION, .env = env, .want = want
    };

    if (f->node == NULL || field_text(f, &x.text) == -1)
        return NULL;
    return compiler_program(f->compiler, &x);
}

struct cel_program *field_expression(const struct field *f, const struct cel_type *want)
{
    return compile(f, want, NULL);
}

struct cel_program *field_retry_condition(const struct field *f)
{
    const struct policy_engine *engine = f->compiler->params->engine;

    return compile(f, cel_type_basic(CEL_T_BOOL), engine->retry_envs[f->compiler->phase]);
}

struct pattern *field_pattern(const struct field *f)
{
    struct template *text = field_template(f);

    return text == NULL ? NULL : pattern_compile(f, text);
}
