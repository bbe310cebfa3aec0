#include "policy/cel/unicode.h"

#include <stddef.h>

/* Every step-th code point from first to last is mapped to itself plus delta. */
struct mapping {
    uint32_t first;
    uint32_t last;
    uint32_t step;
    int32_t delta;
};

static const struct mapping lower_mappings[] = {
#define LOWER(first, last, step, delta) { first, last, step, delta },
#define UPPER(first, last, step, delta)
#include "policy/cel/unicode_case.def"
#undef LOWER
#undef UPPER
};

static const struct mapping upper_mappings[] = {
#define LOWER(first, last, step, delta)
#define UPPER(first, last, step, delta) { first, last, step, delta },
#include "policy/cel/unicode_case.def"
#undef LOWER
#undef UPPER
};

static uint32_t map(uint32_t c, const struct mapping *mappings, size_t count)
{
    size_t low = 0;
    size_t high = count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct mapping *m = &mappings[middle];

        if (c < m->first)
            high = middle;
        else if (c > m->last)
            low = middle + 1;
        else
            return (c - m->first) % m->step == 0 ? (uint32_t)((int64_t)c + m->delta) : c;
    }
    return c;
}

uint32_t unicode_lower(uint32_t c)
{
    return map(c, lower_mappings, sizeof(lower_mappings) / sizeof(lower_mappings[0]));
}

uint32_t unicode_upper(uint32_t c)
{
    return map(c, upper_mappings, sizeof(upper_mappings) / sizeof(upper_mappings[0]));
}

bool unicode_is_space(uint32_t c)
{
    static const struct {
        uint32_t first;
        uint32_t last;
    } spaces[] = {
        { 0x9, 0xd },       { 0x20, 0x20 },     { 0x85, 0x85 },     { 0xa0, 0xa0 },
        { 0x1680, 0x1680 }, { 0x2000, 0x200a }, { 0x2028, 0x2029 }, { 0x202f, 0x202f },
        { 0x205f, 0x205f }, { 0x3000, 0x3000 },
    };

    for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++) {
        if (c >= spaces[i].first && c <= spaces[i].last)
            return true;
    }
    return false;
}
