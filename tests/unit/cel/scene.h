/*
 * scene: an environment with variables of each kind, and expressions that are compiled and
 * evaluated in it.
 *     i int = 7          u uint = 7u        d double = 2.5     s string = 'abc'    e string = ''
 *     by bytes = b'ab'   yes bool, no bool  t timestamp        dur duration
 *     l list(int) = [1, 2, 3]               m map(string, dyn) = {'a': 1, 'n': {'k': 'v'}}
 *     x dyn = 7, y dyn = 'abc', z dyn = null, w dyn = [1, 'a']
 *     bad int: an error  headers map(string, list(string)): {'a': ['1', '2']}, missing is empty
 *     c cookie: name = 'n', value = 'v', max_age (int) absent
 *     port int, absent   gone dyn: null, absent               big list(int) = 0 .. 1999
 *     cake dyn: an object of a type of its own, with the fields of a cookie
 * Functions beside operators, conversions, time and matches():
 *     none(), some(x): optionals    next(): 1, 2, ... impure     sum(int...)
 *     twice(int), twice(string)     fail(): an error             no_fn(int): not implemented
 *     cookie.taste()
 */
#ifndef TESTS_UNIT_CEL_SCENE_H
#define TESTS_UNIT_CEL_SCENE_H

#include "base/arena.h"
#include "policy/cel/cel.h"

struct scene {
    struct cel_env *env; /* owned */
    struct arena arena;
    struct cel_limits limits;
    struct cel_run run;
    int64_t next;       /* of next() */
    unsigned var_calls; /* how often variables were asked for */
};

void scene_init(struct scene *s);
void scene_fini(struct scene *s);

/* Compiles, or fails the test. Free it with cel_program_free(). */
struct cel_program *scene_compile(struct scene *s, const char *source, unsigned flags);
/* Evaluates from a fresh run. */
struct cel_value scene_run(struct scene *s, const struct cel_program *p);
/* Both: the text of the result. `flags` are CEL_CHECK_*. */
const char *scene_eval(struct scene *s, const char *source, unsigned flags);

/* Type and JSON of a value, "int 7", or "error". */
const char *scene_text(struct scene *s, struct cel_value v);

#endif
