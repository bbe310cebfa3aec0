/*
 * exec_policy: the traffic policy of a command: documents from the operator, from flags and from the
 * user, in the order they run, and what they compile to. A large document takes its time, so it is read
 * and compiled by jobs (base/job.h), and no loop waits for that.
 * Owns:   the documents, by a count: its command has a reference, and so has each job under way.
 * Thread: its worker's; jobs only read it.
 */
#ifndef SSHD_EXEC_POLICY_H
#define SSHD_EXEC_POLICY_H

#include "base/err.h"
#include "base/ref.h"
#include "base/str.h"
#include "sshd/flag_policy.h"

struct command;
struct exec_policy_work;
struct policy_document;
struct policy_problems;
struct shared_text;
struct sshd;
struct url;

struct exec_policy {
    struct ref ref;
    struct sshd *front;               /* borrowed; each job has a reference of its own */
    char *account;                    /* owned: whose policy it is */
    unsigned protocols;               /* POLICY_HTTP and so on: what its endpoints may speak */
    struct flag_documents flags;      /* owned; to be changed only while no job is under way */
    struct policy_document *document; /* owned; NULL: the user gave none */
    struct shared_text *text;         /* counted: what it was read from; NULL likewise */
};

/* What a job came to. */
struct exec_policy_result {
    int rc;                                 /* -1: the policy cannot be used */
    const struct policy_problems *problems; /* warnings too */
    struct counted *policy; /* the callee's; NULL: nothing is asked for, or it was read only */
};

typedef void exec_policy_fn(void *arg, const struct exec_policy_result *result);

/* With one reference; takes the flags' documents over. */
struct exec_policy *exec_policy_new(struct sshd *front, const char *account,
                                    struct command *command);
/* NULL is fine. */
void exec_policy_unref(struct exec_policy *p);

/* True if some document may ask for anything, so that endpoints need a policy compiled. */
bool exec_policy_asks(const struct exec_policy *p);

/*
 * Reads the user's document and compiles all once, to find what is wrong; only a good document is kept.
 * `name` is a literal; the text is copied. done(arg) runs later on the worker, unless the work is
 * abandoned before.
 */
struct exec_policy_work *exec_policy_read(struct exec_policy *p, struct str name, struct str text,
                                          exec_policy_fn *done, void *arg);
/* Compiles for the endpoint of an address (copied); done(arg) likewise. */
struct exec_policy_work *exec_policy_compile(struct exec_policy *p, const struct url *url,
                                             exec_policy_fn *done, void *arg);
/* Nobody waits for it any more; if it is not begun, it never is. NULL is fine. */
void exec_policy_abandon(struct exec_policy_work *work);

#endif
