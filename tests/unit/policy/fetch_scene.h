/*
 * fetch_scene: a fake host whose fetches, shared or not, are answered in the order of a script. Each
 * answer is pending first; a question that is not repeated as it was fails the test, and so does one
 * that the script does not expect.
 * A test that uses it links tests/unit/policy/fake_clock in place of base/clock.
 * Thread: that of the test.
 */
#ifndef TESTS_UNIT_POLICY_FETCH_SCENE_H
#define TESTS_UNIT_POLICY_FETCH_SCENE_H

#include "tests/unit/policy/fake_host.h"

enum { FETCH_SCENE_ANSWERS_MAX = 32 };

struct fetch_answer {
    const char *url;     /* NULL: any */
    enum err_code error; /* E_OK: none */
    unsigned status;
    struct policy_header headers[4];
    size_t header_count;
    struct str body;
    uint64_t version; /* of fetch_shared() */
    uint64_t took_ms; /* by which the clock goes on */
};

struct fetch_asked {
    struct policy_fetch fetch; /* its own id is in `id` */
    struct policy_shared_fetch shared;
    char id[40];
};

struct fetch_scene {
    struct fake_host h; /* first: the host's calls get it */
    struct policy_host calls;
    struct fetch_answer script[FETCH_SCENE_ANSWERS_MAX];
    size_t scripted;
    struct fetch_asked asked[FETCH_SCENE_ANSWERS_MAX];
    size_t asked_count;
    bool waits;
};

void fetch_scene_init(struct fetch_scene *s);
void fetch_scene_fini(struct fetch_scene *s);
/* Adds an answer to the script. */
void fetch_scene_answer(struct fetch_scene *s, struct fetch_answer answer);
/* Runs a phase to its verdict, as fake_host_run() does. All of the script must have been asked for. */
enum policy_verdict fetch_scene_run(struct fetch_scene *s, const struct counted *policy,
                                    enum policy_phase phase);

#endif
