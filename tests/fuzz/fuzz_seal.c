/*
 * Fuzz target of tunnel/store/seal: no bytes make unseal() crash or open anything, and what seal() made
 * of them opens again.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "tunnel/store/seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct seal_key *new_key(void)
{
    char dir[] = "/tmp/fuzz_seal.XXXXXX";
    char path[] = "/tmp/fuzz_seal.XXXXXX/key";
    struct seal_key *k;

    if (mkdtemp(dir) == NULL)
        abort();
    memcpy(path, dir, sizeof(dir) - 1);
    k = seal_key_open(path, NULL);
    (void)unlink(path);
    (void)rmdir(dir);
    return k;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct seal_key *k;
    struct str bytes = str_of((const char *)data, size);
    struct err e = { .code = E_OK };
    size_t n = 0;
    char *sealed;
    char *opened;

    if (size > SEAL_SECRET_MAX_BYTES)
        return 0;
    if (k == NULL)
        k = new_key();
    opened = unseal(k, STR("k"), bytes, &n, &e);
    assert(opened == NULL && e.code == E_STORE);
    sealed = seal(k, STR("k"), bytes, &n, &e);
    assert(sealed != NULL);
    opened = unseal(k, STR("k"), str_of(sealed, n), &n, &e);
    assert(opened != NULL && n == size && (size == 0 || memcmp(opened, data, size) == 0));
    mem_free(opened);
    mem_free(sealed);
    return 0;
}
