#include "tunnel/api/error.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "base/utf8.h"

enum code_space { NONE, NGROK, SALLYPORT };

static const struct {
    enum code_space space;
    unsigned number;
    unsigned status;
    const char *text;
} codes[API_CODE_COUNT] = {
#define CODE(symbol, space, number, status, text) [symbol] = { space, number, status, text },
#include "tunnel/api/codes.def"
#undef CODE
};

int api_error_vset(struct api_error *e, enum api_code code, const char *fmt, va_list ap)
{
    struct str msg;

    assert(code > API_OK && code < API_CODE_COUNT);
    e->code = code;
    (void)vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
    msg = str_from(e->msg);
    e->msg[utf8_good(msg)] = '\0'; /* JSON takes no half characters */
    return -1;
}

int api_error_set(struct api_error *e, enum api_code code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)api_error_vset(e, code, fmt, ap);
    va_end(ap);
    return -1;
}

unsigned api_code_status(enum api_code code)
{
    return codes[code].status;
}

const char *api_code_format(enum api_code code, char out[API_CODE_TEXT_BYTES])
{
    static const char *const spaces[] = { [NGROK] = "ERR_NGROK_", [SALLYPORT] = "ERR_SALLYPORT_" };

    out[0] = '\0';
    if (codes[code].space != NONE)
        (void)snprintf(out, API_CODE_TEXT_BYTES, "%s%u", spaces[codes[code].space],
                       codes[code].number);
    return out;
}

const char *api_code_text(enum api_code code)
{
    return codes[code].text;
}
