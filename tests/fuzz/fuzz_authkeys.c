/*
 * Fuzz target of tunnel/authkeys: no text makes it crash or leak; a refusal comes with a reason, and
 * every key that was accepted is whole.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "tunnel/authkeys.h"
#include "tunnel/authkeys_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One line by itself, so that its key can be looked at. */
static void fuzz_line(struct str line)
{
    struct authkey key = { 0 };
    struct str rest = line;
    struct err e = { .code = E_OK };

    acl_init(&key.acl);
    if (authkey_options_parse(&rest, &key, &e) == 0) {
        assert(key.from_count <= AUTHKEY_FROM_MAX);
        assert(key.acl.bind.count <= ACL_RULES_MAX && key.acl.connect.count <= ACL_RULES_MAX);
        assert(rest.n < line.n);
    } else {
        assert(e.code != E_OK && e.msg[0] != '\0');
    }
    acl_fini(&key.acl);
    mem_free(key.account);
    mem_free(key.from);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_of((const char *)data, size);
    struct authkeys *set = authkeys_new();
    struct buf problems;

    buf_init(&problems, 64 * 1024);
    if (authkeys_parse(set, "f", text, &problems) == -1)
        assert(problems.len > 0 || buf_failed(&problems));
    else
        assert(problems.len == 0);
    buf_fini(&problems);
    authkeys_unref(set);
    if (size < AUTHKEYS_LINE_MAX_BYTES)
        fuzz_line(text);
    return 0;
}
