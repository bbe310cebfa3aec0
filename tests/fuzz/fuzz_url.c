/*
 * Fuzz target of the readers of names and URLs. The first byte picks parser, command and binding.
 * What was accepted must be in normal form: writing and reading it again changes nothing.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tunnel/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const struct url *u, const struct url_context *ctx)
{
    char text[URL_TEXT_BYTES];
    char again[URL_TEXT_BYTES];
    struct url v;

    url_format(u, 80, 443, text);
    assert(url_parse(str_from(text), ctx, &v, NULL) == 0);
    assert(v.scheme == u->scheme && v.binding == u->binding && v.port == u->port);
    assert(strcmp(v.host, u->host) == 0);
    assert(strcmp(url_format(&v, 80, 443, again), text) == 0);
}

static void fuzz_parse(struct str s, const struct url_context *ctx)
{
    struct url u;
    struct err e = { 0 };

    if (url_parse(s, ctx, &u, &e) == 0)
        check_same(&u, ctx);
    else
        assert(e.code != E_OK && e.msg[0] != '\0');
}

/* A line with the bind address, two bytes of port, the --url. */
static void fuzz_forward(struct str s, const struct url_context *ctx)
{
    size_t end = str_find_char(s, '\n');
    struct str rest = str_skip(s, end + 1);
    struct url u;
    struct err e = { 0 };
    uint32_t port;

    if (rest.n < 2)
        return;
    port = ((uint32_t)(uint8_t)rest.p[0] << 8) | (uint8_t)rest.p[1];
    if (url_from_forward(str_slice(s, 0, end), port, str_skip(rest, 2), ctx, &u, &e) == 0) {
        check_same(&u, ctx);
        assert(port == 0 || port == u.port);
    } else {
        assert(e.code != E_OK && e.msg[0] != '\0');
    }
}

static void fuzz_hint(struct str s, enum url_command command)
{
    char text[URL_TEXT_BYTES];
    struct upstream_hint h;
    struct upstream_hint again;

    if (upstream_hint_parse(s, command, &h, NULL) == -1)
        return;
    upstream_hint_format(&h, text);
    assert(upstream_hint_parse(str_from(text), command, &again, NULL) == 0);
    assert(again.https == h.https && again.port == h.port && again.command == h.command);
    assert(strcmp(again.host, h.host) == 0);
}

static void fuzz_host(struct str s, const struct host_suffixes *suffixes)
{
    char host[HOST_MAX_BYTES + 1];
    char again[HOST_MAX_BYTES + 1];
    struct str suffix;

    if (host_fold(s, host) == 0)
        assert(host_fold(str_from(host), again) == 0 && strcmp(host, again) == 0);
    if (host_normalize(s, host, NULL) == -1)
        return;
    assert(host_normalize(str_from(host), again, NULL) == 0 && strcmp(host, again) == 0);
    if (host[0] != '*')
        assert(host_fold(str_from(host), again) == 0 && strcmp(host, again) == 0);
    if (!host_is_public(suffixes, str_from(host), &suffix))
        assert(suffix.n > 0 && str_ends(str_from(host), suffix));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct str extra[] = { STR_INIT("ngrok.io") };
    static struct host_suffixes *suffixes; /* made once; it lives as long as the process */
    struct url_context ctx;
    struct str s;

    if (suffixes == NULL)
        suffixes = host_suffixes_new(STR("ngrok.app"), extra, 1, NULL);
    if (size == 0)
        return 0;
    ctx.command = (enum url_command)(data[0] / 4 % 3);
    ctx.binding = (enum binding)(data[0] / 12 % 3);
    ctx.suffixes = suffixes;
    s = str_of((const char *)data + 1, size - 1);
    switch (data[0] % 4) {
    case 0:
        fuzz_parse(s, &ctx);
        break;
    case 1:
        fuzz_forward(s, &ctx);
        break;
    case 2:
        fuzz_hint(s, ctx.command);
        break;
    case 3:
        fuzz_host(s, suffixes);
        break;
    }
    return 0;
}
