/*
 * The shim in front of RE2: the only C++ here. RE2 and not PCRE2 or POSIX, because it gives the
 * documented syntax exactly and takes time that is linear in the text whatever the pattern (spec cel
 * 9). Nothing is caught: memory that runs out ends the process, as it does in base/mem.c.
 */
#include "policy/regex.h"

#include <stdio.h>

#include <algorithm>

#include <re2/re2.h>

struct regex {
    RE2 re;

    regex(re2::StringPiece pattern, const RE2::Options &options) : re(pattern, options)
    {
    }
};

/* RE2 tells an empty group from an unmatched one by the pointer. */
static re2::StringPiece piece(struct str s)
{
    return re2::StringPiece(s.p != NULL ? s.p : "", s.n);
}

struct regex *regex_new(struct str pattern, char message[REGEX_MESSAGE_BYTES])
{
    RE2::Options options;
    struct regex *r;

    if (regex_weight(pattern) > REGEX_WEIGHT_MAX) {
        (void)snprintf(
            message, REGEX_MESSAGE_BYTES,
            "pattern too large: it comes to more than %d characters with its repetitions "
            "written out",
            REGEX_WEIGHT_MAX);
        return NULL;
    }
    options.set_log_errors(false);
    options.set_max_mem(REGEX_MEMORY_BYTES);
    r = new regex(piece(pattern), options);
    if (r->re.ok())
        return r;
    (void)snprintf(message, REGEX_MESSAGE_BYTES, "%s", r->re.error().c_str());
    delete r;
    return NULL;
}

void regex_free(struct regex *r)
{
    delete r;
}

size_t regex_size(const struct regex *r)
{
    return static_cast<size_t>(r->re.ProgramSize());
}

bool regex_matches(const struct regex *r, struct str text)
{
    return r->re.Match(piece(text), 0, text.n, RE2::UNANCHORED, NULL, 0);
}

size_t regex_group_count(const struct regex *r)
{
    return static_cast<size_t>(r->re.NumberOfCapturingGroups());
}

bool regex_find(const struct regex *r, struct str text, size_t from, struct str *groups,
                size_t count)
{
    re2::StringPiece found[REGEX_GROUPS_MAX];
    size_t wanted = std::min({ count, regex_group_count(r) + 1, size_t{ REGEX_GROUPS_MAX } });

    if (from > text.n ||
        !r->re.Match(piece(text), from, text.n, RE2::UNANCHORED, found, static_cast<int>(wanted)))
        return false;
    for (size_t i = 0; i < count; i++)
        groups[i] = i < wanted ? str_of(found[i].data(), found[i].size()) : str_of(NULL, 0);
    return true;
}
