/*
 * vault_name: what vaults and secrets may be called (spec 3.9).
 * Thread: any; pure.
 */
#ifndef TUNNEL_API_VAULT_NAME_H
#define TUNNEL_API_VAULT_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/str.h"

enum { API_VAULT_NAME_MAX_BYTES = 128 };

/* Letters, digits and _ / . - only. */
static inline bool api_vault_name_is_valid(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if (!char_is_alpha(c) && !char_is_digit(c) && (c == '\0' || strchr("_/.-", c) == NULL))
            return false;
    }
    return s.n > 0;
}

#endif
