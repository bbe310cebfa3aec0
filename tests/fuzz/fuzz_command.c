/*
 * Fuzz target of the ssh command line: the first byte picks the version of the syntax. What was
 * accepted keeps its limits; what was refused says why.
 * Links: sshd/command sshd/command_scan sshd/flags sshd/flag_policy
 * Links: tunnel/url tunnel/upstream_hint tunnel/host
 * Links: policy/policy policy/fields policy/header_rule policy/actions/add_headers
 * Links: policy/actions/remove_headers policy/actions/basic_auth policy/actions/restrict_ips
 * Links: base/str base/mem base/err base/buf base/arena base/addr base/base64
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "sshd/command.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct command c;
    struct err e = { .code = E_OK };
    struct str line;

    if (size == 0)
        return 0;
    line = str_of((const char *)data + 1, size - 1);
    if (command_parse(line, data[0] % 2 + 1, &c, &e) == -1) {
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
