/*
 * Fuzz target of the ssh command line: the first byte picks the version of the syntax. What was
 * accepted keeps its limits; what was refused says why.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/engine.h"
#include "sshd/command.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct policy_engine *engine;
    struct command c;
    struct err e = { .code = E_OK };
    struct str line;

    if (size == 0)
        return 0;
    if (engine == NULL)
        engine = policy_engine_new();
    line = str_of((const char *)data + 1, size - 1);
    if (command_parse(line, data[0] % 2 + 1, engine, &c, &e) == -1) {
        assert(e.code != E_OK && e.msg[0] != '\0');
        return 0;
    }
    assert(line.n <= COMMAND_LINE_MAX_BYTES && c.url_count <= COMMAND_URLS_MAX);
    for (size_t i = 0; i < c.url_count; i++)
        assert(c.urls[i].n <= line.n);
    assert(!c.has_upstream || (!c.upstream.https && c.upstream.port > 0));
    command_fini(&c);
    return 0;
}
