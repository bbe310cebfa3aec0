/*
 * Fuzz target of the filters of lists: the text up to a NUL is a filter, what follows is an object.
 * What parses must evaluate, on that object and on none, without a sanitizer's complaint.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tunnel/api/filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct api_filter_field fields[] = {
        { "id", API_FILTER_STRING, true },           { "name", API_FILTER_STRING, false },
        { "created_at", API_FILTER_TIME, false },    { "on", API_FILTER_BOOL, false },
        { "port", API_FILTER_NUMBER, false },        { "acl", API_FILTER_LIST, false },
        { "principal.id", API_FILTER_STRING, true },
    };
    static const struct api_filter_alias aliases[] = { { "name", "a", "b" }, { NULL, NULL, NULL } };
    const struct api_filter_params params = {
        .fields = fields,
        .field_count = sizeof(fields) / sizeof(fields[0]),
        .aliases = aliases,
        .now_ms = 1800000000000,
    };
    struct str text = str_of((const char *)data, size);
    size_t end = str_find_char(text, '\0');
    struct str rest = str_skip(text, end + 1);
    struct err e = { 0 };
    struct api_filter *f = api_filter_parse(str_slice(text, 0, end), &params, &e);
    json_t *object;

    if (f == NULL) {
        assert(e.code != E_OK && e.msg[0] != '\0');
        return 0;
    }
    object = json_loadb(rest.n > 0 ? rest.p : "", rest.n, 0, NULL);
    (void)api_filter_matches(f, object);
    (void)api_filter_matches(f, NULL);
    json_decref(object);
    api_filter_free(f);
    return 0;
}
