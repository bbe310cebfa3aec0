#include "policy/password.h"

#include <crypt.h>
#include <string.h>

#include "base/mem.h"

enum { BCRYPT_COST_MAX = 14, ROUNDS_MAX = 1000000, ID_MAX_BYTES = 8 };

bool password_is_hash(struct str text)
{
    size_t n = 1;

    if (text.n == 0 || text.p[0] != '$')
        return false;
    while (n < text.n && n < ID_MAX_BYTES && (char_is_alpha(text.p[n]) || char_is_digit(text.p[n])))
        n++;
    return n > 1 && n < text.n && text.p[n] == '$';
}

/* "$2b$12$...": the logarithm of the rounds. */
static bool is_bcrypt_affordable(struct str hash)
{
    struct str cost = str_skip(hash, 4);
    uint64_t value;

    cost = str_slice(cost, 0, str_find_char(cost, '$'));
    return str_to_u64(cost, BCRYPT_COST_MAX, &value) == 0;
}

/* "$6$rounds=5000$...", or no rounds: the default of 5,000. */
static bool is_sha_affordable(struct str hash)
{
    struct str rest = str_skip(hash, 3);
    uint64_t value;

    if (!str_starts(rest, STR("rounds=")))
        return true;
    rest = str_skip(rest, sizeof("rounds=") - 1);
    return str_to_u64(str_slice(rest, 0, str_find_char(rest, '$')), ROUNDS_MAX, &value) == 0;
}

/* "$y$j9T$...": the flavour 'j', then the logarithm of the memory, '5' to 'B' for 1 to 64 MiB. */
static bool is_yescrypt_affordable(struct str hash)
{
    struct str params = str_skip(hash, 3);

    return params.n > 3 && params.p[0] == 'j' && params.p[2] == 'T' && params.p[3] == '$' &&
           (char_is_digit(params.p[1]) || params.p[1] == 'A' || params.p[1] == 'B');
}

static bool is_affordable(struct str hash)
{
    if (str_starts(hash, STR("$2a$")) || str_starts(hash, STR("$2b$")) ||
        str_starts(hash, STR("$2y$")))
        return is_bcrypt_affordable(hash);
    if (str_starts(hash, STR("$5$")) || str_starts(hash, STR("$6$")))
        return is_sha_affordable(hash);
    if (str_starts(hash, STR("$y$")))
        return is_yescrypt_affordable(hash);
    return false;
}

int password_check_hash(struct str hash, struct err *e)
{
    char *text;
    int checked;

    if (hash.n > PASSWORD_HASH_MAX_BYTES || !is_affordable(hash))
        return err_set(e, E_POLICY_FIELD,
                       "the password hash must be bcrypt ($2b$, cost up to %d), SHA-256 or SHA-512 "
                       "($5$, $6$, up to %d rounds) or yescrypt ($y$, up to jBT)",
                       BCRYPT_COST_MAX, ROUNDS_MAX);
    text = str_dup(hash);
    checked = crypt_checksalt(text);
    mem_free(text);
    /* Legacy methods are what htpasswd makes by default; a cheap one is its owner's choice. */
    if (checked == CRYPT_SALT_INVALID || checked == CRYPT_SALT_METHOD_DISABLED)
        return err_set(e, E_POLICY_FIELD, "the password hash is malformed");
    return 0;
}

bool password_verify(struct str password, struct str hash)
{
    struct crypt_data *data = mem_zalloc(sizeof(*data));
    char *phrase = str_dup(password);
    char *setting = str_dup(hash);
    const char *made = NULL;
    bool same = false;

    if (strlen(phrase) == password.n && password.n <= PASSWORD_MAX_BYTES)
        made = crypt_rn(phrase, setting, data, sizeof(*data));
    if (made != NULL)
        same = strlen(made) == hash.n && mem_equal_secret(made, setting, hash.n);
    mem_wipe(phrase, password.n);
    mem_wipe(data, sizeof(*data));
    mem_free(phrase);
    mem_free(setting);
    mem_free(data);
    return same;
}
