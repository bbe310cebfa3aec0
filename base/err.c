#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    unsigned number;
    unsigned status;
    const char *text;
} err_rows[ERR_CODE_COUNT] = {
    [E_OK] = { 0, 0, "no error" },
#define ERR(symbol, number, status, text) [symbol] = { number, status, text },
#include "base/err.def"
#undef ERR
};

int err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
    va_list ap;

    if (e == NULL)
        return -1;
    e->code = code;
    va_start(ap, fmt);
    (void)vsnprintf(e->msg, sizeof(e->msg), fmt, ap); /* a cut message is still a message */
    va_end(ap);
    return -1;
}

int err_prefix(struct err *e, const char *fmt, ...)
{
    char prefix[ERR_MSG_BYTES];
    char old[ERR_MSG_BYTES];
    va_list ap;

    if (e == NULL)
        return -1;
    va_start(ap, fmt);
    (void)vsnprintf(prefix, sizeof(prefix), fmt, ap);
    va_end(ap);
    memcpy(old, e->msg, sizeof(old));
    return err_set(e, e->code, "%s: %s", prefix, old);
}

int err_set_errno(struct err *e, int errnum, const char *fmt, ...)
{
    char text[ERR_MSG_BYTES];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return err_set(e, E_SYSTEM, "%s: %s", text, strerror(errnum));
}

unsigned err_number(enum err_code code)
{
    return err_rows[code].number;
}

unsigned err_status(enum err_code code)
{
    return err_rows[code].status;
}

const char *err_text(enum err_code code)
{
    return err_rows[code].text;
}
