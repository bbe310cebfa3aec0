/*
 * err: the one error type.
 * A function that can fail on input, limits or the outside returns 0 or -1 (or NULL) and fills its
 * last argument, which may be NULL. `msg` is for the user: what was wrong with their input, lower
 * case, no full stop, no secrets. The codes, with public number and HTTP status, are in err.def.
 * Thread: any; pure.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

enum err_code {
    E_OK = 0,
#define ERR(symbol, number, status, text) symbol,
#include "base/err.def"
#undef ERR
    ERR_CODE_COUNT
};

enum { ERR_MSG_BYTES = 240 };

struct err {
    enum err_code code;
    char msg[ERR_MSG_BYTES];
};

/* Fills e (may be NULL) and returns -1, so that `return err_set(...)` reads well. */
int err_set(struct err *e, enum err_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "<context>: " in front of the message. Returns -1. */
int err_prefix(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* As err_set, with ": <strerror(errnum)>" behind the text; the code is E_SYSTEM. */
int err_set_errno(struct err *e, int errnum, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The number that users see in ERR_SALLYPORT_<n>; 0 when the code is never shown. */
unsigned err_number(enum err_code code);
/* The HTTP status an exchange answers with; 0 when the code never ends an exchange. */
unsigned err_status(enum err_code code);
/* The one-line general text of the code. */
const char *err_text(enum err_code code);

#endif
