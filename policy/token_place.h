/*
 * token_place: where the tokens of a request stand: each in a header field or in a field of the body,
 * JSON or form (spec traffic-policy 6.11, D41). What is there twice is refused: the upstream could
 * take the other one.
 * Owns:   its templates; what is found lies in the arena of the exchange.
 * Thread: const once read.
 * Limits: TOKENS_MAX places; the body as any action's, and that of policy/body_field.h.
 */
#ifndef POLICY_TOKEN_PLACE_H
#define POLICY_TOKEN_PLACE_H

#include "base/err.h"
#include "base/str.h"
#include "policy/fields.h"
#include "policy/host.h"

struct action_run;
struct template;

enum { TOKENS_MAX = 10 };

/* What a token says it is; two of them can be checked. */
enum token_type {
    TOKEN_ID,
    TOKEN_ACCESS,
    TOKEN_AT_JWT,
    TOKEN_IT_JWT,
    TOKEN_PLAIN,
    TOKEN_JWT,
};

enum token_method { TOKEN_IN_HEADER, TOKEN_IN_BODY };

struct token_places {
    size_t count;
    struct token_place {
        enum token_type type;
        enum token_method method;
        struct template *name;   /* owned */
        struct template *prefix; /* owned; NULL: none */
    } places[TOKENS_MAX];
    size_t body_max_bytes;
};

/* Reads "http"; problems are reported to its fields. */
void token_places_read(const struct fields *config, struct token_places *out);
void token_places_fini(struct token_places *p);

/* A token of a request, at the index of its place. */
struct token_found {
    struct str name; /* of the field */
    struct str prefix;
    struct str text; /* without the prefix; p == NULL: not found yet */
};

/* Evaluates names and prefixes. -1 with E_POLICY_FIELD_EVALUATION or E_POLICY_MEMORY. */
int token_places_evaluate(const struct token_places *p, struct action_run *run,
                          struct token_found found[TOKENS_MAX], struct err *e);

/*
 * Finds all tokens. POLICY_FAILED with what the first missing one is told by: E_TOKEN_HEADER,
 * E_TOKEN_PREFIX, E_TOKEN_METHOD, E_TOKEN_CONTENT_TYPE, E_TOKEN_JSON, E_TOKEN_FORM, E_TOKEN_FIELD,
 * E_TOKEN_MALFORMED, or why there is no body.
 */
enum policy_ready token_places_find(const struct token_places *p, struct action_run *run,
                                    struct token_found found[TOKENS_MAX], struct err *e);

#endif
