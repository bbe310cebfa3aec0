/*
 * policy: traffic policy, from a document to verdicts. The front door of policy/, and all that sshd
 * may include of it.
 * A policy is compiled once, is immutable, and is shared through its count. Running it takes no
 * lock, does no I/O and never acts by itself: it returns a verdict, and reads or changes the
 * message through the policy_host that the gateway provides.
 * Owns:   a policy its compiled actions; results live in the arena of the exchange.
 * Thread: compile and run on any.
 */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/ref.h"
#include "base/str.h"

struct addr;
struct policy;

/* When rules run (spec traffic-policy 2.1). */
enum policy_phase { POLICY_ON_TCP_CONNECT, POLICY_ON_HTTP_REQUEST, POLICY_ON_HTTP_RESPONSE };
enum { POLICY_PHASE_COUNT = POLICY_ON_HTTP_RESPONSE + 1 };

/* "on_http_request" and so on. */
const char *policy_phase_name(enum policy_phase phase);

/* The size of a document. */
enum { POLICY_RULES_MAX = 200, POLICY_RULE_ACTIONS_MAX = 50 };

/*
 * Compiles a document: an object with a list of rules for each phase, each rule an object with
 * "actions" and maybe a "name" for people, each action {"type": NAME, "config": {...}}. Returns a
 * policy with one reference, or NULL with the code and the place of the first problem in front of
 * the message ("on_http_request[0].actions[1].config.headers.x-a: ..."). `document` is only read.
 * This is the only way to make a policy.
 */
struct counted *policy_compile(const json_t *document, struct err *e);

/*
 * Checks the config of one action as policy_compile() does, but the message has no place in front:
 * for callers that name a better one, such as the flag it came from.
 */
int policy_check_action(enum policy_phase phase, const char *action, const json_t *config,
                        struct err *e);

/*
 * Appends a rule with one action to a phase of a document; `config` is taken over. For callers that
 * build a document from shorthand, such as the flags of the ssh command line.
 */
void policy_document_add(json_t *document, enum policy_phase phase, const char *action,
                         json_t *config);

/* True if any rule exists for the phase; an exchange skips the phase otherwise. */
bool policy_has_phase(const struct counted *policy, enum policy_phase phase);

/*
 * What the gateway lends a running policy. `ctx` is the exchange. The header calls work on the
 * message of the phase: the request in on_http_request, the response in on_http_response. Strings
 * that come back are borrowed until the message changes; strings handed in are copied.
 */
struct policy_host {
    const struct addr *(*client_addr)(void *ctx);
    /* The index-th field of that name (any case), or an empty str with p == NULL. */
    struct str (*header_find)(void *ctx, struct str name, size_t index);
    void (*header_add)(void *ctx, struct str name, struct str value);
    /* Removes all fields of that name; returns how many there were. */
    size_t (*header_remove)(void *ctx, struct str name);
};

enum policy_verdict {
    POLICY_CONTINUE, /* go on with the exchange */
    POLICY_RESPOND,  /* answer with policy_result.response, nothing else of the policy runs */
    POLICY_CLOSE,    /* close the connection without an answer */
};

struct policy_header {
    struct str name;
    struct str value;
};

enum { POLICY_RESPONSE_HEADERS_MAX = 4 };

struct policy_response {
    enum err_code error; /* the gateway's error page for it; E_OK: the plain response below */
    char message[ERR_MSG_BYTES]; /* of the error page */
    unsigned status;
    struct policy_header headers[POLICY_RESPONSE_HEADERS_MAX];
    size_t header_count;
    struct str body;
};

/* What a run leaves behind, over all phases of one exchange; start it zeroed. */
struct policy_result {
    struct policy_response response; /* valid with POLICY_RESPOND */
    struct str basic_auth_decision;  /* "allow" or "block"; empty when it did not run */
    struct str basic_auth_username;
    struct str ip_policy_decision; /* "allow" or "block"; empty when it did not run */
};

/* Runs the rules of one phase in order until a verdict other than POLICY_CONTINUE. */
enum policy_verdict policy_run(const struct counted *policy, enum policy_phase phase,
                               const struct policy_host *host, void *ctx, struct arena *arena,
                               struct policy_result *result);

#endif
