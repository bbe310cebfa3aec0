/*
 * policy: traffic policy, from documents to a compiled policy. The front door of policy/, and all
 * that sshd may include of it.
 * A policy is compiled once, is immutable, and is shared through its count. What runs it is
 * policy/run.h; what it may ask of the gateway is policy/host.h.
 * Owns:   a policy everything it was compiled to; nothing of the documents.
 * Thread: the engine and compiled policies on any; a document and a problem list belong to their
 *         maker.
 */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/ref.h"
#include "base/str.h"

struct policy_document;
struct policy_engine;
struct policy_problems;

/* When rules run (spec traffic-policy 2.1). */
enum policy_phase {
    POLICY_ON_TCP_CONNECT,
    POLICY_ON_HTTP_REQUEST,
    POLICY_ON_HTTP_RESPONSE,
    POLICY_ON_EVENT_STREAM_MESSAGE,
};
enum { POLICY_PHASE_COUNT = POLICY_ON_EVENT_STREAM_MESSAGE + 1 };

/* "on_http_request" and so on. */
const char *policy_phase_name(enum policy_phase phase);

/* What an endpoint speaks to its visitors, as bits: a policy may serve several endpoints. */
enum { POLICY_HTTP = 1, POLICY_HTTPS = 2, POLICY_TLS = 4, POLICY_TCP = 8 };

/* Sizes that documents and running policies may reach; each is a setting of the configuration. */
struct policy_limits {
#define LIMIT(name, unit, min, max, preset, text) uint64_t name;
#include "policy/limits.def"
#undef LIMIT
};

/* The defaults of limits.def. */
extern const struct policy_limits policy_default_limits;

/*
 * What is made once for the process: the names that expressions may use, and the counters that
 * rate limits and circuit breakers share among workers. Outlives every policy.
 */
struct policy_engine *policy_engine_new(void);
void policy_engine_free(struct policy_engine *engine);

/* ---- problems ------------------------------------------------------------------------------- */

/* A list of what is wrong with documents; a warning does not keep a policy from being compiled. */
struct policy_problems *policy_problems_new(void);
void policy_problems_free(struct policy_problems *p);
size_t policy_problems_errors(const struct policy_problems *p);
size_t policy_problems_warnings(const struct policy_problems *p);
/* Appends a line for each: "FILE:LINE:COLUMN: error[ERR_SALLYPORT_n]: text\n", where a hint follows
 * in a line of its own ("    hint: ..."); warnings say "warning:". In document order. */
void policy_problems_format(const struct policy_problems *p, struct buf *out);
/* The code and text of the first error. */
void policy_problems_first(const struct policy_problems *p, struct err *e);

/* ---- documents ------------------------------------------------------------------------------ */

/*
 * Reads a YAML or JSON document (spec traffic-policy 1.1, 1.5); `name` is shown in problems. NULL
 * when the text is none; every problem is in the list.
 */
struct policy_document *policy_document_parse(struct str name, struct str text,
                                              const struct policy_limits *limits,
                                              struct policy_problems *problems);
/* An empty document, for callers that build one from shorthand such as the flags of the ssh command
 * line; problems name it without line and column. */
struct policy_document *policy_document_new(struct str name);
/* Appends a rule with one action to a phase; `config` is taken over. */
void policy_document_add(struct policy_document *d, enum policy_phase phase, const char *action,
                         json_t *config);
/* NULL is fine. */
void policy_document_free(struct policy_document *d);

/* ---- compiling ------------------------------------------------------------------------------ */

/* What an expression of a rule that fails does (spec traffic-policy 3.6, D17). */
enum policy_expression_errors {
    POLICY_EXPRESSION_FAILS,    /* the exchange ends with an error */
    POLICY_EXPRESSION_NO_MATCH, /* the rule does not match; logged */
};

/* Data that the operator may have named no file for; variables made of it are empty then. */
enum { POLICY_LACKS_GEO = 1, POLICY_LACKS_IP_LISTS = 2 };

struct policy_params {
    struct policy_engine *engine;       /* borrowed: outlives the policy */
    const struct policy_limits *limits; /* copied */
    /* In this order the rules of each phase run. Borrowed for the call. */
    const struct policy_document *const *documents;
    size_t document_count;
    size_t default_count; /* so many in front are the operator's: for internal endpoints of http and
                             https, their on_tcp_connect is left out */
    unsigned protocols;   /* POLICY_HTTP and so on: of the endpoints; 0: not known, all are fine */
    bool is_internal;   /* only other endpoints reach them: there are no connections of their own */
    struct str account; /* whose counters and secrets it uses */
    enum policy_expression_errors expression_errors;
    unsigned lacks; /* POLICY_LACKS_*: a policy that reads such variables gets a warning */
    /* True if the name of an IP policy (restrict-ips) is known; NULL: none is. */
    bool (*has_ip_policy)(void *arg, struct str name);
    /* True if the account has this secret; NULL: not known, unknown ones show at run time. */
    bool (*has_secret)(void *arg, struct str vault, struct str name);
    void *arg;
};

/*
 * Compiles; every problem of every document goes to the list. NULL if any is an error. The policy
 * has one reference. This is the only way to make one.
 */
struct counted *policy_compile(const struct policy_params *params,
                               struct policy_problems *problems);

/*
 * Checks the config of one action as policy_compile() does; for callers that name a better place,
 * such as the flag it came from. -1 with the first problem.
 */
int policy_check_action(const struct policy_engine *engine, enum policy_phase phase,
                        const char *action, const json_t *config, struct err *e);

/* ---- the operator's terms ------------------------------------------------------------------- */

/*
 * What the operator lends to, and lays upon, the policies of all endpoints: limits, named things that
 * policies may refer to, and documents of the operator's own. Immutable and counted; a reload makes
 * a new one, which endpoints of later commands get.
 */
struct policy_terms {
    struct ref ref;
    struct policy_engine *engine; /* borrowed: outlives everything */
    struct policy_limits limits;
    char *domain; /* owned: random names lie below it */
    enum policy_expression_errors expression_errors;
    unsigned lacks; /* POLICY_LACKS_* */
    /* NULL: there are none. */
    bool (*has_ip_policy)(void *arg, struct str account, struct str name);
    /* NULL: not known, unknown ones show at run time. */
    bool (*has_secret)(void *arg, struct str account, struct str vault, struct str name);
    void *arg;
    void (*free_arg)(void *arg);     /* at the end; may be NULL */
    struct policy_terms *base;       /* counted: whose defaults these are; NULL: our own */
    struct policy_default *defaults; /* owned, in the order they were added; or of base */
};

struct policy_terms *policy_terms_new(struct policy_engine *engine,
                                      const struct policy_limits *limits, struct str domain);
/*
 * The same terms over other named things: with another `arg`, which is taken over; `base` gets a
 * reference. No documents are added to either from then on.
 */
struct policy_terms *policy_terms_over(struct policy_terms *base, void *arg);
/* NULL is fine for both. */
void policy_terms_ref(struct policy_terms *t);
void policy_terms_unref(struct policy_terms *t);
/*
 * Adds a document (taken over) that runs in front of what users of an account give, for endpoints of
 * a domain: "app.example.com" or "*.example.com"; an empty account or domain fits all.
 */
void policy_terms_add_default(struct policy_terms *t, struct str account, struct str domain,
                              struct policy_document *document);

struct policy_request {
    struct str account;
    struct str host; /* of the endpoint; empty: it will get a random name */
    unsigned protocols;
    bool is_internal;
    const struct policy_document *const *documents; /* of the user, in the order they run */
    size_t count;
};

/*
 * Compiles the operator's documents that fit, then the user's. *out is NULL when no document asks
 * for anything. -1 with problems.
 */
int policy_terms_compile(const struct policy_terms *t, const struct policy_request *request,
                         struct counted **out, struct policy_problems *problems);

/* ---- looking at a policy -------------------------------------------------------------------- */

/* True if any rule exists for the phase; an exchange skips the phase otherwise. NULL is no policy. */
bool policy_has_phase(const struct counted *policy, enum policy_phase phase);

/*
 * True if it can be seen that each connection or request of an endpoint with one of `protocols` meets
 * an action that ends it, so that the endpoint needs no upstream (spec traffic-policy 1.6): some rule
 * without expressions has one. NULL is no policy.
 */
bool policy_handles_all(const struct counted *policy, unsigned protocols);

/* True if it may end TLS of a connection in its own way (terminate-tls), so on_tcp_connect has to run
 * before the handshake. NULL is no policy. */
bool policy_ends_tls(const struct counted *policy);

/*
 * What the rules of a phase were compiled from, as a number: equal for policies that do the same there,
 * and in all likelihood for no others (policy/digest.h). 0: there are none. NULL is no policy.
 */
uint64_t policy_phase_digest(const struct counted *policy, enum policy_phase phase);
/* The same of the whole policy; 0: NULL. */
uint64_t policy_digest(const struct counted *policy);

#endif
