/*
 * Fuzz target of gateway/config: no text makes it crash, leak, or refuse without saying why.
 */
#include <assert.h>

#include "base/mem.h"
#include "gateway/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = mem_strndup((const char *)data, size);
    struct config *c;
    struct buf problems;

    buf_init(&problems, 64 * 1024);
    c = config_parse("fuzz.cfg", text, &problems);
    assert(c != NULL || problems.len > 0 || buf_failed(&problems));
    config_unref(c);
    buf_fini(&problems);
    mem_free(text);
    return 0;
}
