#include "tests/unit/gateway/hello_maker.h"

#include <stdint.h>
#include <string.h>

const struct hello_offer hello_plain = {
    .version = 0x0303,
    .ciphers = "1301,c02b",
    .extensions = "0000,002b,000d,0010",
    .algorithms = "0403",
    .versions = "0304,0303",
    .name = "a.test",
    .alpn = STR_INIT("\x02h2\x08http/1.1"),
};

static void put_number(struct buf *b, size_t bytes, size_t n)
{
    while (bytes-- > 0)
        buf_add_char(b, (char)(n >> (8 * bytes)));
}

/* Numbers of two bytes from "1301,c02b". */
static void put_numbers(struct buf *b, const char *list)
{
    for (const char *p = list; *p != '\0'; p += p[4] == ',' ? 5 : 4) {
        size_t number = 0;

        for (int i = 0; i < 4; i++)
            number = number << 4 | (size_t)char_hex_value(p[i]);
        put_number(b, 2, number);
    }
}

static void put_vector(struct buf *b, size_t bytes, const struct buf *content)
{
    put_number(b, bytes, content->len);
    buf_add_str(b, buf_str(content));
}

static void put_extension(struct buf *b, const struct hello_offer *o, size_t type)
{
    struct buf list;
    struct buf body;

    buf_init(&list, 4096);
    buf_init(&body, 4096);
    switch (type) {
    case 0:
        if (o->name == NULL)
            break;
        put_number(&list, 1, 0);
        put_number(&list, 2, strlen(o->name));
        buf_add_str(&list, str_from(o->name));
        put_vector(&body, 2, &list);
        break;
    case 13:
        put_numbers(&list, o->algorithms);
        put_vector(&body, 2, &list);
        break;
    case 16:
        buf_add_str(&list, o->alpn);
        put_vector(&body, 2, &list);
        break;
    case 43:
        put_numbers(&list, o->versions);
        put_vector(&body, 1, &list);
        break;
    default:
        break;
    }
    put_number(b, 2, type);
    put_vector(b, 2, &body);
    buf_fini(&list);
    buf_fini(&body);
}

/* The message without its head. */
void hello_build(struct buf *out, const struct hello_offer *o)
{
    struct buf ciphers;
    struct buf extensions;
    struct buf types;

    buf_init(&ciphers, 65536);
    buf_init(&extensions, 65536);
    buf_init(&types, 65536);
    put_number(out, 2, o->version);
    for (int i = 0; i < 32; i++)
        buf_add_char(out, (char)i);
    put_number(out, 1, 0); /* no session */
    put_numbers(&ciphers, o->ciphers);
    put_vector(out, 2, &ciphers);
    put_number(out, 2, 0x0100); /* no compression */
    if (o->extensions != NULL) {
        put_numbers(&types, o->extensions);
        for (size_t i = 0; i < types.len; i += 2)
            put_extension(&extensions, o,
                          (size_t)(uint8_t)buf_str(&types).p[i] << 8 |
                              (uint8_t)buf_str(&types).p[i + 1]);
        put_vector(out, 2, &extensions);
    }
    buf_fini(&ciphers);
    buf_fini(&extensions);
    buf_fini(&types);
}

/* The message in records of at most `piece` bytes. */
void hello_frame(struct buf *out, struct str body, size_t piece)
{
    struct buf message;
    struct str rest;

    buf_init(&message, (size_t)1 << 20);
    put_number(&message, 1, 1);
    put_number(&message, 3, body.n);
    buf_add_str(&message, body);
    for (rest = buf_str(&message); rest.n > 0; rest = str_skip(rest, piece)) {
        struct str part = str_slice(rest, 0, piece);

        put_number(out, 3, 0x160301);
        put_number(out, 2, part.n);
        buf_add_str(out, part);
    }
    buf_fini(&message);
}
