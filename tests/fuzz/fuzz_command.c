/*
 * Fuzz target of the ssh command line: the first byte picks the version of the syntax. What was
 * accepted keeps its limits, and names an address for a forward or says why it does not; what was refused
 * says why.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/engine.h"
#include "sshd/command.h"
#include "sshd/exec_address.h"
#include "sshd/forward.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Of `-R 0:...`, of which a command that names an address has to be right by itself. */
static void check_address(const struct command *c)
{
    static char no_name[] = "localhost";
    static struct host_suffixes *suffixes;
    const struct forward f = { .host = no_name };
    enum url_command serves;
    struct err e = { .code = E_OK };
    struct url u;

    if (suffixes == NULL)
        suffixes = host_suffixes_new(STR("example.com"), NULL, 0, NULL);
    if (c->help || !command_serves(c->kind, &serves))
        return;
    if (exec_address(c, &f, suffixes, &u, &e) == -1)
        assert(e.code != E_OK && e.msg[0] != '\0');
    else
        assert(u.binding != BINDING_UNSET && (u.port > 0 || u.host[0] == '\0'));
}

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
    assert(!c.has_upstream || c.upstream.port > 0);
    check_address(&c);
    command_fini(&c);
    return 0;
}
