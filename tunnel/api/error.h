/*
 * error: the errors that the API answers: a row of codes.def, and a message for the caller.
 * Thread: any; pure.
 */
#ifndef TUNNEL_API_ERROR_H
#define TUNNEL_API_ERROR_H

#include <stdarg.h>

enum api_code {
    API_OK = 0,
#define CODE(symbol, space, number, status, text) symbol,
#include "tunnel/api/codes.def"
#undef CODE
    API_CODE_COUNT
};

enum { API_MSG_BYTES = 1024, API_CODE_TEXT_BYTES = 24 };

struct api_error {
    enum api_code code;
    char msg[API_MSG_BYTES]; /* for the caller; never has a credential of theirs */
};

/* Fills e and returns -1. Text that is too long is cut between characters. */
int api_error_set(struct api_error *e, enum api_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int api_error_vset(struct api_error *e, enum api_code code, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));

unsigned api_code_status(enum api_code code);
/* Writes "ERR_NGROK_<n>" or "ERR_SALLYPORT_<n>"; "" for a code that is not shown. Returns out. */
const char *api_code_format(enum api_code code, char out[API_CODE_TEXT_BYTES]);
const char *api_code_text(enum api_code code);

#endif
