/*
 * Fuzz target of policy/regex_replace: the input is pattern, replacement and text, in lines. "$0"
 * changes nothing, groups lie in the text, and the output keeps its maximum.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/regex_replace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OUT_MAX = 4096 };

static void check_groups(const struct regex_replace *r)
{
    assert(r->group_count >= 1 && r->group_count <= REGEX_GROUPS_MAX && r->groups[0].p != NULL);
    for (size_t i = 0; i < r->group_count; i++) {
        struct str g = r->groups[i];

        assert(g.p == NULL || (g.p >= r->text.p && g.p + g.n <= r->text.p + r->text.n));
    }
}

static void replace(const struct regex *regex, struct str to, struct str text, size_t max)
{
    struct buf out;
    uint64_t spent_ns = 0;
    struct regex_replace r = {
        .regex = regex, .text = text, .to = to, .out = &out, .spent_ns = &spent_ns
    };
    struct err e = { .code = E_OK };

    buf_init(&out, max);
    if (regex_replace(&r, &e) == -1) {
        assert(e.code == E_LIMIT && e.msg[0] != '\0');
    } else if (r.count == 0) {
        assert(out.len == 0);
    } else {
        check_groups(&r);
        assert(out.len <= max);
        assert(!str_eq(to, STR("$0")) || str_eq(buf_str(&out), text));
    }
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = str_of((const char *)data, size);
    struct str pattern = STR_NONE;
    struct str to = STR_NONE;
    char message[REGEX_MESSAGE_BYTES] = "";
    struct regex *regex;

    (void)str_next(&rest, '\n', &pattern);
    (void)str_next(&rest, '\n', &to);
    regex = regex_new(pattern, message);
    if (regex == NULL) {
        assert(message[0] != '\0');
        return 0;
    }
    assert(regex_weight(pattern) <= REGEX_WEIGHT_MAX);
    replace(regex, to, rest, OUT_MAX);
    replace(regex, to, rest, rest.n);
    replace(regex, STR("$0"), rest, OUT_MAX);
    regex_free(regex);
    return 0;
}
