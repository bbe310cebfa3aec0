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
