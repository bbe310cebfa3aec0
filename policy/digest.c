#include "policy/digest.h"

#include <stddef.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "policy/doc.h"

uint64_t digest_number(uint64_t digest, uint64_t number)
{
    return XXH3_64bits_withSeed(&number, sizeof(number), digest);
}

static uint64_t digest_text(uint64_t digest, struct str text)
{
    return XXH3_64bits_withSeed(text.p, text.n, digest);
}

/* Nesting is bounded by DOC_DEPTH_MAX. */
uint64_t digest_node(uint64_t digest, const struct doc_node *n)
{
    /* What it is and how long, first: no two trees write the same row of numbers and texts. */
    digest = digest_number(digest, (uint64_t)n->kind << 1 | (n->plain ? 1 : 0));
    digest = digest_number(digest, n->count);
    if (n->kind == DOC_SCALAR)
        return digest_text(digest, n->text);
    for (size_t i = 0; i < n->count; i++) {
        if (n->kind == DOC_MAP)
            digest = digest_text(digest, n->keys[i]->text);
        digest = digest_node(digest, n->items[i]);
    }
    return digest;
}
