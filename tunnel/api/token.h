/*
 * token: the secret texts that API keys are: "<ksuid>_<digit and 20 base-62 characters>", where the
 * KSUID is that of the key's id. Only a keyed hash of the whole is stored.
 * Thread: any; pure but for the random bytes.
 */
#ifndef TUNNEL_API_TOKEN_H
#define TUNNEL_API_TOKEN_H

#include <stdbool.h>

#include "base/str.h"
#include "tunnel/api/api.h"

enum { API_TOKEN_HASH_BYTES = 65 }; /* HMAC-SHA256 in hexadecimal, and a NUL */

/* A new token for the object with this id. */
void api_token_new(const char *id, char out[API_TOKEN_BYTES]);
/* Has it the form of a token? Then writes the id it belongs to, with this prefix. */
bool api_token_parse(struct str token, const char *prefix, char id[ID_BYTES]);
void api_token_hash(const uint8_t secret[API_SECRET_BYTES], struct str token,
                    char out[API_TOKEN_HASH_BYTES]);

/*
 * The token in an Authorization field: Bearer, or Basic with it as user or password (spec 1.2).
 * Returns 0 with it in `out`, or -1 when the field cannot be parsed.
 */
enum { API_AUTHORIZATION_MAX_BYTES = 1024 };
int api_token_of_field(struct str field, char out[API_AUTHORIZATION_MAX_BYTES]);

#endif
