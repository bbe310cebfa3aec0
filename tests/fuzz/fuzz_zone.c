/*
 * Fuzzes the reader of time zone files: 8 bytes of a moment, then the file.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "policy/cel/tzif.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* About the range of timestamps. */
static const int64_t far_away = INT64_C(1) << 38;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tz_rule rule;
    struct tzif zone;
    int64_t at;

    if (size < sizeof(at))
        return 0;
    memcpy(&at, data, sizeof(at));
    at %= far_away;
    (void)tz_rule_parse(str_of((const char *)data, size), &rule);
    if (tzif_parse(str_of((const char *)data + sizeof(at), size - sizeof(at)), &zone)) {
        int32_t offset = tzif_offset(&zone, at);

        assert(offset >= -86400 * 2 && offset <= 86400 * 2);
        for (size_t i = 0; i < 4; i++)
            (void)tzif_offset(&zone, (int64_t)i * far_away / 2 - far_away);
    }
    return 0;
}
