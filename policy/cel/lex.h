/*
 * lex: the tokens of an expression (spec cel 1). Also for who has to find the end of an expression
 * inside other text: a lexer reads no further than the token it returns.
 * Owns:   nothing; tokens borrow from the source.
 * Thread: any; pure.
 * Limits: none of its own; the source is at most UINT32_MAX bytes.
 */
#ifndef POLICY_CEL_LEX_H
#define POLICY_CEL_LEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct cel_issue;

enum cel_token_kind {
    CEL_TOKEN_END,
    CEL_TOKEN_ERROR, /* the issue says what is wrong */
    CEL_TOKEN_IDENT,
    CEL_TOKEN_RESERVED, /* a name behind a dot only */
    CEL_TOKEN_QUOTED,   /* `content-type` */
    CEL_TOKEN_INT,      /* without sign */
    CEL_TOKEN_UINT,
    CEL_TOKEN_DOUBLE,
    CEL_TOKEN_STRING,
    CEL_TOKEN_BYTES,
    CEL_TOKEN_TRUE,
    CEL_TOKEN_FALSE,
    CEL_TOKEN_NULL,
    CEL_TOKEN_IN,
    CEL_TOKEN_EQ,
    CEL_TOKEN_NE,
    CEL_TOKEN_LT,
    CEL_TOKEN_LE,
    CEL_TOKEN_GT,
    CEL_TOKEN_GE,
    CEL_TOKEN_AND,
    CEL_TOKEN_OR,
    CEL_TOKEN_NOT,
    CEL_TOKEN_PLUS,
    CEL_TOKEN_MINUS,
    CEL_TOKEN_STAR,
    CEL_TOKEN_SLASH,
    CEL_TOKEN_PERCENT,
    CEL_TOKEN_QUESTION,
    CEL_TOKEN_COLON,
    CEL_TOKEN_DOT,
    CEL_TOKEN_COMMA,
    CEL_TOKEN_LPAREN,
    CEL_TOKEN_RPAREN,
    CEL_TOKEN_LBRACKET,
    CEL_TOKEN_RBRACKET,
    CEL_TOKEN_LBRACE,
    CEL_TOKEN_RBRACE,
    CEL_TOKEN_COUNT
};

struct cel_token {
    enum cel_token_kind kind;
    uint32_t at;     /* byte offset in the source */
    bool raw;        /* STRING, BYTES: a backslash means itself */
    struct str text; /* borrowed: all of the token */
    struct str body; /* borrowed: STRING, BYTES, QUOTED: what stands between the quotes */
};

struct cel_lexer {
    struct str source;       /* borrowed */
    size_t at;               /* where the next token is looked for */
    struct cel_issue *issue; /* borrowed; NULL: nobody wants the text */
};

/* `source` is valid UTF-8, at least as far as it is read; `issue` may be NULL. */
void cel_lexer_init(struct cel_lexer *lexer, struct str source, struct cel_issue *issue);

/*
 * Reads the next token; END at the end of the source, as often as asked. Escapes in strings and the
 * ranges of numbers are not looked at. After ERROR, which has its place in at, stop.
 */
void cel_lexer_next(struct cel_lexer *lexer, struct cel_token *token);

/* Fills an issue of stage PARSE; `issue` may be NULL. */
void cel_syntax_issue(struct cel_issue *issue, size_t at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
