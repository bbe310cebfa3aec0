/*
 * action_scene: a fake host for each test of an action, and what such tests ask for again and again.
 * SCENE_TEST(f) in the table of tests gives the test the host `scene`, whose request has "Host:
 * app.example.com"; tables with a row for each case call scene_restart() between them.
 * Thread: that of the test.
 */
#ifndef TESTS_UNIT_POLICY_ACTION_SCENE_H
#define TESTS_UNIT_POLICY_ACTION_SCENE_H

#include "tests/unit/policy/fake_host.h"

extern struct fake_host scene;

/* clang-format off */
#define SCENE_TEST(f) cmocka_unit_test_setup_teardown(f, scene_set_up, scene_tear_down)
/* clang-format on */

int scene_set_up(void **state);
int scene_tear_down(void **state);
/* A host that nothing has happened to. */
void scene_restart(void);

/* A config that must be refused with an error of that code that holds `needle`. */
struct scene_refusal {
    const char *config;
    enum err_code code;
    const char *needle;
};
void scene_expect_refusals(enum policy_phase phase, const char *action,
                           const struct scene_refusal *cases, size_t count);
/* A config that must be taken. */
void scene_expect_accepted(enum policy_phase phase, const char *action, const char *config);

/* Runs one action; *text in messages. */
void scene_expect_verdict(enum policy_phase phase, const char *action, const char *config,
                          enum policy_verdict verdict);
/* It must end in an error page of that code, with a status, and with nothing of a half-made answer. */
void scene_expect_failure(enum policy_phase phase, const char *action, const char *config,
                          enum err_code code, const char *needle);
/* Runs it in a policy that reads no results, and expects that none are made. */
void scene_expect_no_result(enum policy_phase phase, const char *action, const char *config,
                            const char *result);

/* The text of an expression after the run. */
void scene_expect_eval(enum policy_phase phase, const char *expression, const char *text);
void scene_expect_text(struct str is, const char *text);

/* Formatted text in the arena of the host. */
const char *scene_fmt(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* n times the text, with `between`. */
const char *scene_repeat(size_t n, const char *text, const char *between);

#endif
