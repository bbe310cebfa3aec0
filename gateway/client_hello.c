#include "gateway/client_hello.h"

#include <string.h>

enum {
    RECORD_HANDSHAKE = 22,
    RECORD_MAX_BYTES = 16 * 1024, /* RFC 8446 section 5.1 */
    TLS_MAJOR_VERSION = 3,
    MESSAGE_CLIENT_HELLO = 1,
    RANDOM_BYTES = 32,
    SESSION_ID_MAX_BYTES = 32,
};

enum {
    EXTENSION_SERVER_NAME = 0,
    EXTENSION_SIGNATURE_ALGORITHMS = 13,
    EXTENSION_ALPN = 16,
    EXTENSION_SUPPORTED_VERSIONS = 43,
};

/* ---- fields --------------------------------------------------------------------------------- */

/* Takes a number of `bytes` bytes off *rest. Returns 0, or -1 when they are not there. */
static int take_number(struct str *rest, size_t bytes, size_t *out)
{
    if (rest->n < bytes)
        return -1;
    *out = 0;
    for (size_t i = 0; i < bytes; i++)
        *out = *out << 8 | (unsigned char)rest->p[i];
    *rest = str_skip(*rest, bytes);
    return 0;
}

static int take_bytes(struct str *rest, size_t n, struct str *out)
{
    if (rest->n < n)
        return -1;
    *out = str_slice(*rest, 0, n);
    *rest = str_skip(*rest, n);
    return 0;
}

/* Takes a length of `bytes` bytes and as many bytes as it says. */
static int take_vector(struct str *rest, size_t bytes, struct str *out)
{
    size_t n;

    return take_number(rest, bytes, &n) == 0 ? take_bytes(rest, n, out) : -1;
}

/* ---- records -------------------------------------------------------------------------------- */

/* The bytes of one record's head. Returns 0 with the record's length, or -1. */
static int read_record_head(struct str head, size_t *length)
{
    size_t type;
    size_t major;
    size_t minor;

    if (take_number(&head, 1, &type) == -1 || take_number(&head, 1, &major) == -1 ||
        take_number(&head, 1, &minor) == -1 || take_number(&head, 2, length) == -1)
        return -1;
    return type == RECORD_HANDSHAKE && major == TLS_MAJOR_VERSION && *length > 0 &&
                   *length <= RECORD_MAX_BYTES
               ? 0
               : -1;
}

/* What the first bytes of the connection already show. */
static bool can_be_handshake(const char *p, size_t n)
{
    return (n < 1 || p[0] == RECORD_HANDSHAKE) && (n < 2 || p[1] == TLS_MAJOR_VERSION);
}

/* The length of the message with its head, as far as `got` bytes of it tell. */
static enum client_hello_found message_length(struct str got, size_t *length)
{
    size_t type;

    *length = CLIENT_HELLO_HEAD_BYTES;
    if (got.n >= 1 && got.p[0] != MESSAGE_CLIENT_HELLO)
        return CLIENT_HELLO_NONE;
    if (got.n < CLIENT_HELLO_HEAD_BYTES)
        return CLIENT_HELLO_CUT;
    (void)take_number(&got, 1, &type); /* they are there */
    (void)take_number(&got, 3, length);
    if (*length > CLIENT_HELLO_MAX_BYTES)
        return CLIENT_HELLO_TOO_LARGE;
    *length += CLIENT_HELLO_HEAD_BYTES;
    return CLIENT_HELLO_WHOLE;
}

static enum client_hello_found cut(size_t at_least, size_t *wanted)
{
    *wanted = at_least;
    return at_least <= CLIENT_HELLO_RAW_MAX_BYTES ? CLIENT_HELLO_CUT : CLIENT_HELLO_TOO_LARGE;
}

/*
 * Record by record, the pieces move together at the front, behind the first record's head: what is
 * written over was read already.
 */
enum client_hello_found client_hello_find(char *p, size_t n, struct str *message, size_t *wanted)
{
    char *first = p + CLIENT_HELLO_RECORD_HEAD_BYTES;
    size_t gathered = 0;
    size_t at = 0;

    for (;;) {
        enum client_hello_found found;
        size_t length;
        size_t here;
        size_t total;

        if (n - at < CLIENT_HELLO_RECORD_HEAD_BYTES)
            return can_be_handshake(p + at, n - at)
                       ? cut(at + CLIENT_HELLO_RECORD_HEAD_BYTES, wanted)
                       : CLIENT_HELLO_NONE;
        if (read_record_head(str_of(p + at, CLIENT_HELLO_RECORD_HEAD_BYTES), &length) == -1)
            return CLIENT_HELLO_NONE;
        at += CLIENT_HELLO_RECORD_HEAD_BYTES;
        here = n - at < length ? n - at : length;
        memmove(first + gathered, p + at, here);
        gathered += here;
        at += here;

        found = message_length(str_of(first, gathered), &total);
        if (found == CLIENT_HELLO_NONE || found == CLIENT_HELLO_TOO_LARGE)
            return found;
        if (found == CLIENT_HELLO_WHOLE && gathered >= total) {
            *message = str_of(first + CLIENT_HELLO_HEAD_BYTES, total - CLIENT_HELLO_HEAD_BYTES);
            return CLIENT_HELLO_WHOLE;
        }
        /* The rest of this record, as far as the message needs it. */
        if (here < length) {
            size_t rest = length - here;

            return cut(at + (rest < total - gathered ? rest : total - gathered), wanted);
        }
    }
}

/* ---- the message ---------------------------------------------------------------------------- */

bool client_hello_next_extension(struct str *rest, unsigned *type, struct str *body)
{
    size_t number;

    if (take_number(rest, 2, &number) == -1 || take_vector(rest, 2, body) == -1)
        return false;
    *type = (unsigned)number;
    return true;
}

/* A list that fills its extension: a length of `bytes` bytes and items of `item` bytes. */
static int read_list(struct str body, size_t bytes, size_t item, struct str *out)
{
    if (out->p != NULL || take_vector(&body, bytes, out) == -1)
        return -1;
    return body.n == 0 && out->n > 0 && out->n % item == 0 ? 0 : -1;
}

static int read_extension(unsigned type, struct str body, struct client_hello *out)
{
    switch (type) {
    case EXTENSION_SERVER_NAME:
        if (out->server_name.p != NULL)
            return -1;
        out->server_name = body;
        return 0;
    case EXTENSION_SIGNATURE_ALGORITHMS:
        return read_list(body, 2, 2, &out->signature_algorithms);
    case EXTENSION_ALPN:
        return read_list(body, 2, 1, &out->alpn);
    case EXTENSION_SUPPORTED_VERSIONS:
        return read_list(body, 1, 2, &out->versions);
    default:
        return 0;
    }
}

static int read_extensions(struct client_hello *out)
{
    struct str rest = out->extensions;
    struct str body;
    unsigned type;

    while (rest.n > 0) {
        if (!client_hello_next_extension(&rest, &type, &body) ||
            read_extension(type, body, out) == -1)
            return -1;
    }
    return 0;
}

int client_hello_parse(struct str message, struct client_hello *out)
{
    struct str skipped;
    size_t version;

    *out = (struct client_hello){ .version = 0 };
    if (take_number(&message, 2, &version) == -1 ||
        take_bytes(&message, RANDOM_BYTES, &skipped) == -1 ||
        take_vector(&message, 1, &skipped) == -1 || skipped.n > SESSION_ID_MAX_BYTES ||
        take_vector(&message, 2, &out->cipher_suites) == -1 || out->cipher_suites.n == 0 ||
        out->cipher_suites.n % 2 != 0 || take_vector(&message, 1, &skipped) == -1 || skipped.n == 0)
        return -1;
    out->version = (unsigned)version;
    /* Before TLS 1.2 there need not be any extensions. */
    if (message.n == 0)
        return 0;
    if (take_vector(&message, 2, &out->extensions) == -1 || message.n != 0)
        return -1;
    return read_extensions(out);
}
