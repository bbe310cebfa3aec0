#include "gateway/tls_ja4.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/sha.h>

#include "base/str.h"
#include "gateway/client_hello.h"

enum {
    EXTENSION_SERVER_NAME = 0,
    EXTENSION_ALPN = 16,
    COUNT_SHOWN_MAX = 99,
    HASH_DIGITS = 12,
    ITEM_BYTES = 5, /* four digits and what separates them */
    LISTS_TEXT_BYTES = 2 * JA4_LIST_MAX * ITEM_BYTES,
};

struct numbers {
    size_t count;
    uint16_t items[JA4_LIST_MAX];
};

struct text {
    size_t n;
    char bytes[LISTS_TEXT_BYTES];
};

/* RFC 8701: values that clients strew in, so that servers do not get used to a fixed set. */
static bool is_grease(unsigned number)
{
    return (number & 0x0f0f) == 0x0a0a && number >> 8 == (number & 0xff);
}

static unsigned number_at(struct str list, size_t i)
{
    return (unsigned)(unsigned char)list.p[i] << 8 | (unsigned char)list.p[i + 1];
}

/* Returns 0, or -1 when there are too many. */
static int add(struct numbers *to, unsigned number)
{
    if (is_grease(number))
        return 0;
    if (to->count == JA4_LIST_MAX)
        return -1;
    to->items[to->count++] = (uint16_t)number;
    return 0;
}

static int add_list(struct numbers *to, struct str list)
{
    for (size_t i = 0; i < list.n; i += 2) {
        if (add(to, number_at(list, i)) == -1)
            return -1;
    }
    return 0;
}

static int add_extensions(struct numbers *to, struct str extensions)
{
    struct str body;
    unsigned type;

    while (client_hello_next_extension(&extensions, &type, &body)) {
        if (add(to, type) == -1)
            return -1;
    }
    return 0;
}

static int compare(const void *a, const void *b)
{
    const uint16_t *x = a;
    const uint16_t *y = b;

    return *x - *y;
}

static void sort(struct numbers *n)
{
    qsort(n->items, n->count, sizeof(n->items[0]), compare);
}

/* What the first part of the fingerprint says already. */
static void leave_out_named(struct numbers *n)
{
    size_t kept = 0;

    for (size_t i = 0; i < n->count; i++) {
        if (n->items[i] != EXTENSION_SERVER_NAME && n->items[i] != EXTENSION_ALPN)
            n->items[kept++] = n->items[i];
    }
    n->count = kept;
}

static const char hex[] = "0123456789abcdef";

/* "separator" and then the numbers with commas between them. */
static void put_numbers(struct text *t, const char *separator, const struct numbers *n)
{
    for (size_t i = 0; i < n->count; i++) {
        const char *before = i == 0 ? separator : ",";

        if (*before != '\0')
            t->bytes[t->n++] = *before;
        for (int shift = 12; shift >= 0; shift -= 4)
            t->bytes[t->n++] = hex[n->items[i] >> shift & 0xf];
    }
    assert(t->n <= sizeof(t->bytes));
}

/* The first digits of SHA-256; zeros for nothing. */
static void hash(const struct text *t, char out[HASH_DIGITS + 1])
{
    unsigned char digest[SHA256_DIGEST_LENGTH] = { 0 };

    if (t->n > 0)
        (void)SHA256((const unsigned char *)t->bytes, t->n, digest);
    for (size_t i = 0; i < HASH_DIGITS; i++)
        out[i] = hex[digest[i / 2] >> (i % 2 == 0 ? 4 : 0) & 0xf];
    out[HASH_DIGITS] = '\0';
}

/* The highest of supported_versions; without that, the old field. */
static const char *version(const struct client_hello *h)
{
    static const struct {
        unsigned number;
        const char *text;
    } names[] = {
        { 0x0304, "13" }, { 0x0303, "12" }, { 0x0302, "11" }, { 0x0301, "10" }, { 0x0300, "s3" },
    };
    unsigned highest = h->versions.n > 0 ? 0 : h->version;

    for (size_t i = 0; i < h->versions.n; i += 2) {
        unsigned number = number_at(h->versions, i);

        if (!is_grease(number) && number > highest)
            highest = number;
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (names[i].number == highest)
            return names[i].text;
    }
    return "00";
}

/* The first and the last character of the first protocol, or of its hexadecimal form. */
static void alpn(const struct client_hello *h, char out[3])
{
    size_t n = h->alpn.n > 0 ? (unsigned char)h->alpn.p[0] : 0;
    char first;
    char last;

    (void)snprintf(out, 3, "00");
    if (n == 0 || n >= h->alpn.n)
        return;
    first = h->alpn.p[1];
    last = h->alpn.p[n];
    if ((char_is_alpha(first) || char_is_digit(first)) &&
        (char_is_alpha(last) || char_is_digit(last))) {
        out[0] = first;
        out[1] = last;
    } else {
        out[0] = hex[(unsigned char)first >> 4];
        out[1] = hex[(unsigned char)last & 0xf];
    }
}

static unsigned shown(const struct numbers *n)
{
    return n->count < COUNT_SHOWN_MAX ? (unsigned)n->count : COUNT_SHOWN_MAX;
}

void ja4_format(const struct client_hello *hello, char out[JA4_BYTES])
{
    struct numbers ciphers = { .count = 0 };
    struct numbers extensions = { .count = 0 };
    struct numbers algorithms = { .count = 0 };
    struct text text = { .n = 0 };
    char cipher_hash[HASH_DIGITS + 1];
    char extension_hash[HASH_DIGITS + 1];
    char protocol[3];
    unsigned extension_count;

    out[0] = '\0';
    if (add_list(&ciphers, hello->cipher_suites) == -1 ||
        add_extensions(&extensions, hello->extensions) == -1 ||
        add_list(&algorithms, hello->signature_algorithms) == -1)
        return;
    extension_count = shown(&extensions);
    alpn(hello, protocol);

    sort(&ciphers);
    put_numbers(&text, "", &ciphers);
    hash(&text, cipher_hash);

    leave_out_named(&extensions);
    sort(&extensions);
    text.n = 0;
    put_numbers(&text, "", &extensions);
    put_numbers(&text, "_", &algorithms);
    hash(&text, extension_hash);
    if (extensions.count == 0)
        (void)snprintf(extension_hash, sizeof(extension_hash), "000000000000");

    (void)snprintf(out, JA4_BYTES, "t%s%c%02u%02u%s_%s_%s", version(hello),
                   hello->server_name.p != NULL ? 'd' : 'i', shown(&ciphers), extension_count,
                   protocol, cipher_hash, extension_hash);
}
