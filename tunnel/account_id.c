#include "tunnel/account_id.h"

#include <assert.h>

#include <openssl/sha.h>

void account_id(struct str account, char out[ID_BYTES])
{
    uint8_t digest[SHA256_DIGEST_LENGTH];

    static_assert(ID_RAW_BYTES <= SHA256_DIGEST_LENGTH, "an id has fewer bits than the digest");
    (void)SHA256((const unsigned char *)account.p, account.n, digest); /* cannot fail */
    id_from_bytes("ac", digest, out);
}
