/*
 * Time is linear in the text, but a pattern that makes RE2 give up its tables costs up to
 * regex_size() turns of 3 to 9 ns for each byte, and one that has to be compiled up to 4 us for each
 * unit of its weight (both measured). Both are charged as if they took the longest: usual patterns
 * are small, and an evaluation ends within an eighth of a second whatever the pattern is.
 */
#include "policy/cel/fn_regex.h"

#include "policy/cel/fn.h"

enum { STEPS_PER_WEIGHT = 20 };

struct cel_value cel_regex_matches(struct cel_run *run, const struct regex *regex, struct str text)
{
    if (!cel_charge_bytes(run, text.n) || !cel_charge(run, regex_steps(text.n, regex_size(regex))))
        return cel_spent(run);
    return cel_bool(regex_matches(regex, text));
}

/* RE2 quotes the pattern behind a colon; it may hold what the request or a secret says. */
static struct cel_value bad_pattern(struct cel_run *run, const char *message)
{
    struct str why = str_from(message);

    why = str_slice(why, 0, str_find_char(why, ':'));
    return cel_error(run, "bad regular expression: %.*s", STR_ARG(why));
}

static struct cel_value matches_once(struct cel_run *run, struct str text, struct str pattern)
{
    char message[REGEX_MESSAGE_BYTES];
    struct regex *regex = regex_new(pattern, message);
    struct cel_value result;

    if (regex == NULL)
        return bad_pattern(run, message);
    result = cel_regex_matches(run, regex, text);
    regex_free(regex);
    return result;
}

static struct cel_value matches(struct cel_run *run, const struct cel_value *args, size_t count)
{
    struct str text = cel_str(args[0]);
    struct str pattern = cel_str(args[1]);
    char message[REGEX_MESSAGE_BYTES];
    const struct regex *regex = NULL;

    (void)count;
    if (pattern.n > REGEX_RUNTIME_BYTES)
        return cel_error(run, "the regular expression has more than %d bytes", REGEX_RUNTIME_BYTES);
    if (run->regexes != NULL)
        regex = regex_cache_find(run->regexes, pattern);
    if (regex != NULL)
        return cel_regex_matches(run, regex, text);
    if (!cel_charge(run, regex_weight(pattern) * STEPS_PER_WEIGHT))
        return cel_spent(run);
    if (run->regexes == NULL)
        return matches_once(run, text, pattern);
    regex = regex_cache_get(run->regexes, pattern, message);
    return regex == NULL ? bad_pattern(run, message) : cel_regex_matches(run, regex, text);
}

static const struct cel_fn_row rows[] = {
    { "string.matches(string) -> bool", matches, CEL_FN_ARG_REGEX },
    { "matches(string, string) -> bool", matches, CEL_FN_ARG_REGEX },
};

const struct cel_library cel_regex_library = { rows, sizeof(rows) / sizeof(rows[0]) };
