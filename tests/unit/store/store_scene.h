/*
 * store_scene: a store of either backend in a folder of its own, and short ways to ask it.
 */
#ifndef TESTS_UNIT_STORE_STORE_SCENE_H
#define TESTS_UNIT_STORE_STORE_SCENE_H

#include "tunnel/store/store.h"

struct store_scene {
    struct store *store; /* owned */
    char dir[64];
    char path[80]; /* of the database in it */
};

/* cmocka's setup and teardown; *state is the scene. */
int store_scene_init_memory(void **state);
int store_scene_init_sqlite(void **state);
/* Only the folder; scene_open() opens the database in it. */
int store_scene_init_place(void **state);
int store_scene_fini(void **state);

/* Opens and closes the database; fails the test when it cannot. */
void scene_open(struct store_scene *sc);
void scene_close(struct store_scene *sc);

/* One operation in a transaction. Returns the revision; fails the test when it is not done. */
uint64_t scene_put(struct store_scene *sc, const char *key, const char *value);
uint64_t scene_put_leased(struct store_scene *sc, const char *key, const char *value,
                          uint64_t lease);
uint64_t scene_delete(struct store_scene *sc, const char *key);

/* Checks that the range has exactly these "key=value key=value ...", in this order. */
void scene_assert_range(struct store_scene *sc, const struct store_range *range, const char *want);
/* The same for all keys. */
void scene_assert_all(struct store_scene *sc, const char *want);

#endif
