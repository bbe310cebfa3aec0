/*
 * fake_host: a policy_host over a message in memory, and short ways to compile and run.
 * Thread: that of the test.
 */
#ifndef TESTS_UNIT_POLICY_FAKE_HOST_H
#define TESTS_UNIT_POLICY_FAKE_HOST_H

#include "base/addr.h"
#include "base/arena.h"
#include "policy/policy.h"

enum { FAKE_HOST_FIELDS_MAX = 32 };

struct fake_host {
    struct addr client;
    struct policy_header fields[FAKE_HOST_FIELDS_MAX]; /* strs live in the arena */
    size_t count;
    struct arena arena;
    struct policy_result result;
};

void fake_host_init(struct fake_host *h, const char *client_ip);
void fake_host_fini(struct fake_host *h);
void fake_host_add(struct fake_host *h, const char *name, const char *value);
/* All values of a name joined with ",", or NULL when there is none; lives in the arena. */
const char *fake_host_values(struct fake_host *h, const char *name);
enum policy_verdict fake_host_run(struct fake_host *h, const struct counted *policy,
                                  enum policy_phase phase);

/* Compiles JSON text, in which ' stands for "; fails the test when it is refused. */
struct counted *fake_host_compile(const char *json);
/* Expects the text to be refused with that code and a message that holds `needle`. */
void fake_host_expect_refused(const char *json, enum err_code code, const char *needle);
/* The same for one action of a phase: "{'headers':...}" stands for its config. */
struct counted *fake_host_compile_action(enum policy_phase phase, const char *action,
                                         const char *config);
void fake_host_expect_config_refused(enum policy_phase phase, const char *action,
                                     const char *config, enum err_code code, const char *needle);

#endif
