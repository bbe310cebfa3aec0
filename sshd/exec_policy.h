/*
 * exec_policy: the traffic policy of a command: documents from the operator, from flags and from the
 * user, in the order they run, and what they compile to.
 * Owns:   the user's document and its text.
 * Thread: its worker's; pure.
 */
#ifndef SSHD_EXEC_POLICY_H
#define SSHD_EXEC_POLICY_H

#include "base/err.h"
#include "base/ref.h"
#include "base/str.h"

struct command;
struct policy_document;
struct policy_problems;
struct shared_text;
struct sshd;
struct url;

/* Whose policy it is, and with what it is made. All borrowed. */
struct exec_policy_source {
    const struct sshd *front;
    const char *account;
    const struct command *command; /* its flags */
};

struct exec_policy {
    struct policy_document *document; /* owned; NULL: the user gave none */
    struct shared_text *text;         /* counted: what it was read from; NULL likewise */
};

/*
 * Reads the user's document and compiles all once, to find what is wrong; every problem and warning
 * is added to the list. -1 if the policy cannot be used; there is then no document.
 */
int exec_policy_read(struct exec_policy *p, const struct exec_policy_source *source,
                     struct str name, struct str text, struct policy_problems *problems);
void exec_policy_fini(struct exec_policy *p);

/*
 * The policy of an endpoint; *out is NULL when no document asks for anything. -1 with
 * E_POLICY_INVALID and the first problem.
 */
int exec_policy_compile(const struct exec_policy *p, const struct exec_policy_source *source,
                        const struct url *url, struct counted **out, struct err *e);

#endif
