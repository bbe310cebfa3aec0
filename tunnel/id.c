#include "tunnel/id.h"

#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/rand.h"

/* KSUID counts seconds from 2014-05-13, which moves the end of 32 bits to the year 2150. */
enum { ID_TIME_BYTES = 4, ID_RANDOM_BYTES = ID_RAW_BYTES - ID_TIME_BYTES, ID_RADIX = 62 };
static const uint64_t id_epoch_s = 1400000000;

/* In ASCII order, so that ids sort as their numbers do. */
static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static_assert(sizeof(digits) == ID_RADIX + 1, "a digit is missing");

/* Divides the big-endian number by the radix in place and returns the remainder. */
static unsigned divide(uint8_t number[ID_RAW_BYTES])
{
    unsigned remainder = 0;

    for (size_t i = 0; i < ID_RAW_BYTES; i++) {
        unsigned value = remainder * 256 + number[i];

        number[i] = (uint8_t)(value / ID_RADIX);
        remainder = value % ID_RADIX;
    }
    return remainder;
}

static void put_seconds(uint64_t wall_ms, uint8_t raw[ID_RAW_BYTES])
{
    uint64_t s = wall_ms / 1000;

    s = s > id_epoch_s ? s - id_epoch_s : 0; /* a clock that was never set */
    for (size_t i = 0; i < ID_TIME_BYTES; i++)
        raw[i] = (uint8_t)(s >> (8 * (ID_TIME_BYTES - 1 - i)));
}

void id_from_bytes(const char *prefix, const uint8_t raw[ID_RAW_BYTES], char out[ID_BYTES])
{
    uint8_t number[ID_RAW_BYTES];
    char text[ID_DIGITS + 1];

    assert(strlen(prefix) + 1 + sizeof(text) <= ID_BYTES);
    memcpy(number, raw, sizeof(number));
    for (size_t i = ID_DIGITS; i > 0; i--)
        text[i - 1] = digits[divide(number)];
    text[ID_DIGITS] = '\0';
    (void)snprintf(out, ID_BYTES, "%s_%s", prefix, text);
}

void id_new(const char *prefix, uint64_t wall_ms, char out[ID_BYTES])
{
    uint8_t raw[ID_RAW_BYTES];

    put_seconds(wall_ms, raw);
    rand_bytes(raw + ID_TIME_BYTES, ID_RANDOM_BYTES);
    id_from_bytes(prefix, raw, out);
}

bool id_is_valid(struct str s, const char *prefix)
{
    /* 2^160 - 1, the last number there is. */
    static const char last[] = "aWgEPTl1tmebfsQzFP4bxwgy80V";
    size_t n = strlen(prefix);
    struct str number = str_skip(s, n + 1);

    static_assert(sizeof(last) == ID_DIGITS + 1, "the last id has another length");
    if (!str_starts(s, str_from(prefix)) || number.n != ID_DIGITS || s.p[n] != '_')
        return false;
    for (size_t i = 0; i < number.n; i++) {
        if (!char_is_digit(number.p[i]) && !char_is_alpha(number.p[i]))
            return false;
    }
    return memcmp(number.p, last, ID_DIGITS) <= 0;
}

/* ---- in order ----------------------------------------------------------------------------- */

enum { STEP_BYTES = 12 }; /* 2^31 steps of 96 bits fit into what a second has */

void id_source_init(struct id_source *s)
{
    int failed = pthread_mutex_init(&s->lock, NULL);

    assert(failed == 0);
    (void)failed;
    memset(s->last, 0, sizeof(s->last));
}

void id_source_fini(struct id_source *s)
{
    (void)pthread_mutex_destroy(&s->lock); /* fails only while it is locked */
}

/* The number of 27 digits, or -1 when it is none that an id has. */
static int parse_digits(struct str text, uint8_t raw[ID_RAW_BYTES])
{
    memset(raw, 0, ID_RAW_BYTES);
    for (size_t i = 0; i < text.n; i++) {
        const char *digit = memchr(digits, text.p[i], ID_RADIX);
        unsigned carry = digit != NULL ? (unsigned)(digit - digits) : 0;

        for (size_t k = ID_RAW_BYTES; k > 0; k--) {
            carry += raw[k - 1] * (unsigned)ID_RADIX;
            raw[k - 1] = (uint8_t)carry;
            carry >>= 8;
        }
        if (digit == NULL || carry != 0)
            return -1;
    }
    return text.n == ID_DIGITS ? 0 : -1;
}

void id_source_follow(struct id_source *s, struct str id)
{
    uint8_t raw[ID_RAW_BYTES];

    if (parse_digits(str_skip(id, str_find_char(id, '_') + 1), raw) == -1)
        return;
    (void)pthread_mutex_lock(&s->lock); /* fails only when misused, as does the unlock */
    if (memcmp(raw, s->last, sizeof(raw)) > 0)
        memcpy(s->last, raw, sizeof(raw));
    (void)pthread_mutex_unlock(&s->lock);
}

/* last += a random number of 96 bits that is not 0. */
static void step(uint8_t last[ID_RAW_BYTES])
{
    uint8_t add[STEP_BYTES];
    unsigned carry = 1;

    rand_bytes(add, sizeof(add));
    for (size_t i = ID_RAW_BYTES; i > 0; i--) {
        size_t from_end = ID_RAW_BYTES - i;

        carry += last[i - 1];
        if (from_end < STEP_BYTES)
            carry += add[STEP_BYTES - 1 - from_end];
        last[i - 1] = (uint8_t)carry;
        carry >>= 8;
    }
}

void id_source_next(struct id_source *s, const char *prefix, uint64_t wall_ms, char out[ID_BYTES])
{
    uint8_t raw[ID_RAW_BYTES];

    put_seconds(wall_ms, raw);
    rand_bytes(raw + ID_TIME_BYTES, ID_RANDOM_BYTES);
    raw[ID_TIME_BYTES] &= 0x7f;         /* room for the steps of this second */
    (void)pthread_mutex_lock(&s->lock); /* fails only when misused, as does the unlock */
    if (memcmp(raw, s->last, ID_TIME_BYTES) > 0)
        memcpy(s->last, raw, sizeof(raw));
    else
        step(s->last);
    memcpy(raw, s->last, sizeof(raw));
    (void)pthread_mutex_unlock(&s->lock);
    id_from_bytes(prefix, raw, out);
}
