#include "policy/replacements.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "policy/action.h"
#include "policy/regex_replace.h"
#include "policy/result.h"

static void read_one(const struct field *f, enum replacements_kind kind, struct replacement *out)
{
    static const char *const of_body[] = { "from", "to", NULL };
    static const char *const of_stream[] = { "field", "from", "to", NULL };
    struct fields mapping = field_fields(f);
    struct field from = fields_need(&mapping, "from");
    struct field to = fields_find(&mapping, "to");
    struct field field = fields_find(&mapping, "field");
    struct str name;

    (void)fields_known(&mapping, kind == REPLACEMENTS_BODY ? of_body : of_stream);
    out->from = field_pattern(&from);
    out->to = field_template(&to);
    if (kind == REPLACEMENTS_BODY)
        return;
    out->field = field_template(&field);
    if (out->field != NULL && template_is_literal(out->field, &name) &&
        !str_eq(name, STR("data")) && !str_eq(name, STR("retry")))
        (void)field_problem(&field, E_POLICY_CHOICE, "it must be data or retry");
}

void replacements_read(const struct fields *c, enum replacements_kind kind,
                       struct replacements *out)
{
    struct field list = fields_need(c, "replacements");

    (void)field_list(&list, 1, REPLACEMENTS_MAX, &out->count);
    out->items = mem_zalloc_array(out->count, sizeof(*out->items));
    for (size_t i = 0; i < out->count; i++) {
        struct field item = field_item(&list, i);

        read_one(&item, kind, &out->items[i]);
    }
}

void replacements_fini(struct replacements *r)
{
    for (size_t i = 0; i < r->count; i++) {
        pattern_free(r->items[i].from);
        template_free(r->items[i].to);
        template_free(r->items[i].field);
    }
    mem_free(r->items);
}

int replacement_apply(const struct replacement *r, struct action_run *run, struct str text,
                      struct buf *out, struct str *matched, struct err *e)
{
    struct regex_replace replace = { .text = text,
                                     .out = out,
                                     .spent_ns = action_replaced_ns(run) };

    *matched = STR_NONE;
    if (template_text(r->to, run, &replace.to, e) == -1) {
        e->code = E_REPLACE_INTERPOLATION;
        return -1;
    }
    replace.regex = pattern_get(r->from, run, e);
    if (replace.regex == NULL) {
        e->code = e->code == E_POLICY_REGEX ? E_REPLACE_REGEX : E_REPLACE_INTERPOLATION;
        return -1;
    }
    if (regex_replace(&replace, e) == -1) {
        e->code = E_REPLACE_FAILED;
        return -1;
    }
    if (replace.count > 0)
        *matched = replace.groups[0].p != NULL ? replace.groups[0] : STR("");
    return 0;
}

struct cel_value replacement_result(struct action_run *run, size_t index, struct str matched)
{
    enum cel_kind kind = utf8_is_valid(matched) ? CEL_STRING : CEL_BYTES;
    const struct result_field result[] = {
        { "replacement_index", cel_int((int64_t)index) },
        { "matched_content", cel_copy(action_values(run), kind, matched) },
    };

    return result_map(run, result, 2);
}

void replacements_set_result(struct action_run *run, const struct cel_value *items, size_t count)
{
    const struct result_field result = { "replacements",
                                         cel_list_new(action_values(run), items, count) };

    result_set(run, &result, 1);
}
