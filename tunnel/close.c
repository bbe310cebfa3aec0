#include "tunnel/close.h"

static const struct {
    const char *name;
    enum err_code error;
    const char *text;
} close_rows[CLOSE_REASON_COUNT] = {
#define CLOSE(symbol, name, error, text) [symbol] = { name, error, text },
#include "tunnel/close.def"
#undef CLOSE
};

const char *close_name(enum close_reason why)
{
    return close_rows[why].name;
}

const char *close_text(enum close_reason why)
{
    return close_rows[why].text;
}

enum err_code close_error(enum close_reason why)
{
    return close_rows[why].error;
}
