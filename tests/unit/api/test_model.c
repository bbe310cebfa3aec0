/*
 * Property test: random sequences of calls by three callers against a model of what must come out.
 * The model knows vaults and secrets: names unique in their scope, accounts apart, vaults with secrets
 * stay, lists newest first. Status and code of each call, and all lists now and then, must agree.
 * The seed is printed when it fails; API_MODEL_SEED repeats it.
 * Links: tests/unit/api/api_scene
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rand.h"
#include "base/str.h"
#include "tests/unit/api/api_scene.h"

enum { STEPS = 6000, OBJECTS_MAX = 64, NAMES = 6, CHECK_EVERY = 50 };

struct object {
    bool used;
    bool is_secret;
    char id[ID_BYTES];
    const char *account;
    unsigned name;
    size_t vault;  /* of a secret: its place */
    unsigned made; /* when */
};

struct model {
    struct scene *s;
    uint64_t random;
    struct object objects[OBJECTS_MAX];
    unsigned clock;
};

/* xorshift64*: the same sequence for the same seed everywhere. */
static unsigned draw(struct model *m, unsigned below)
{
    m->random ^= m->random >> 12;
    m->random ^= m->random << 25;
    m->random ^= m->random >> 27;
    return (unsigned)((m->random * 2685821657736338717ULL) >> 33) % below;
}

static const struct api_caller *draw_caller(struct model *m)
{
    const struct api_caller *const all[] = { &m->s->alice, &m->s->bob, &m->s->admin };

    return all[draw(m, 3)];
}

static bool may_see(const struct api_caller *who, const struct object *o)
{
    return who->is_admin || strcmp(who->account, o->account) == 0;
}

static bool is_taken(const struct model *m, bool is_secret, const char *account, size_t vault,
                     unsigned name, const struct object *but)
{
    for (size_t i = 0; i < OBJECTS_MAX; i++) {
        const struct object *o = &m->objects[i];

        if (o->used && o != but && o->is_secret == is_secret && o->name == name &&
            (is_secret ? o->vault == vault : strcmp(o->account, account) == 0))
            return true;
    }
    return false;
}

static bool has_secrets(const struct model *m, size_t vault)
{
    for (size_t i = 0; i < OBJECTS_MAX; i++) {
        if (m->objects[i].used && m->objects[i].is_secret && m->objects[i].vault == vault)
            return true;
    }
    return false;
}

/* A free place; NULL: the model is full. */
static struct object *find_room(struct model *m)
{
    for (size_t i = 0; i < OBJECTS_MAX; i++) {
        if (!m->objects[i].used)
            return &m->objects[i];
    }
    return NULL;
}

/* Any place, used or not. */
static struct object *draw_object(struct model *m)
{
    return &m->objects[draw(m, OBJECTS_MAX)];
}

static void expect(const struct model *m, const char *what, unsigned status, const char *code)
{
    if (m->s->status != status || strcmp(scene_text(m->s, "error_code"), code) != 0)
        fail_msg("step %u, %s: %u %s, not %u %s", m->clock, what, m->s->status,
                 scene_text(m->s, "error_code"), status, code);
}

static void keep(struct model *m, struct object *o, bool is_secret, const char *account,
                 size_t vault, unsigned name)
{
    *o = (struct object){ .used = true,
                          .is_secret = is_secret,
                          .account = account,
                          .vault = vault,
                          .name = name,
                          .made = m->clock };
    (void)snprintf(o->id, sizeof(o->id), "%s", scene_text(m->s, "id"));
}

/* ---- steps ---------------------------------------------------------------------------------- */

static void create_vault(struct model *m)
{
    const struct api_caller *who = draw_caller(m);
    struct object *room = find_room(m);
    unsigned name = draw(m, NAMES);
    char body[64];

    if (room == NULL)
        return;
    (void)snprintf(body, sizeof(body), "{\"name\":\"n%u\"}", name);
    (void)scene_call(m->s, who, "POST", "/vaults", body);
    if (is_taken(m, false, who->account, 0, name, NULL)) {
        expect(m, "taken vault", 400, "ERR_NGROK_23004");
        return;
    }
    expect(m, "new vault", 201, "");
    keep(m, room, false, who->account, 0, name);
}

static void create_secret(struct model *m)
{
    const struct api_caller *who = draw_caller(m);
    struct object *room = find_room(m);
    struct object *vault = draw_object(m);
    size_t at = (size_t)(vault - m->objects);
    unsigned name = draw(m, NAMES);
    char body[160];

    if (room == NULL || vault->id[0] == '\0' || vault->is_secret)
        return;
    (void)snprintf(body, sizeof(body), "{\"name\":\"n%u\",\"value\":\"v\",\"vault_id\":\"%s\"}",
                   name, vault->id);
    (void)scene_call(m->s, who, "POST", "/vault_secrets", body);
    if (!vault->used || !may_see(who, vault)) {
        expect(m, "secret without vault", 400, "ERR_NGROK_24006");
    } else if (is_taken(m, true, NULL, at, name, NULL)) {
        expect(m, "taken secret", 400, "ERR_NGROK_24005");
    } else {
        expect(m, "new secret", 201, "");
        keep(m, room, true, vault->account, at, name);
    }
}

static void path_of(const struct object *o, char out[64])
{
    (void)snprintf(out, 64, "/%s/%s", o->is_secret ? "vault_secrets" : "vaults", o->id);
}

static void rename_object(struct model *m)
{
    const struct api_caller *who = draw_caller(m);
    struct object *o = draw_object(m);
    unsigned name = draw(m, NAMES);
    char path[64];
    char body[64];

    if (o->id[0] == '\0')
        return;
    path_of(o, path);
    (void)snprintf(body, sizeof(body), "{\"name\":\"n%u\"}", name);
    (void)scene_call(m->s, who, "PATCH", path, body);
    if (!o->used || !may_see(who, o)) {
        expect(m, "rename of nothing", 404, "");
    } else if (is_taken(m, o->is_secret, o->account, o->vault, name, o)) {
        expect(m, "taken name", 400, o->is_secret ? "ERR_NGROK_24005" : "ERR_NGROK_23004");
    } else {
        expect(m, "rename", 200, "");
        o->name = name;
    }
}

static void delete_object(struct model *m)
{
    const struct api_caller *who = draw_caller(m);
    struct object *o = draw_object(m);
    char path[64];

    if (o->id[0] == '\0')
        return;
    path_of(o, path);
    (void)scene_call(m->s, who, "DELETE", path, NULL);
    if (!o->used || !may_see(who, o)) {
        expect(m, "delete of nothing", 404, "");
    } else if (!o->is_secret && has_secrets(m, (size_t)(o - m->objects))) {
        expect(m, "delete of a vault in use", 400, "ERR_NGROK_23003");
    } else {
        expect(m, "delete", 204, "");
        o->used = false; /* its id stays, to be asked for again */
    }
}

static void get_object(struct model *m)
{
    const struct api_caller *who = draw_caller(m);
    const struct object *o = draw_object(m);
    char path[64];
    char name[16];

    if (o->id[0] == '\0')
        return;
    path_of(o, path);
    (void)scene_call(m->s, who, "GET", path, NULL);
    if (!o->used || !may_see(who, o)) {
        expect(m, "get of nothing", 404, "");
        return;
    }
    expect(m, "get", 200, "");
    (void)snprintf(name, sizeof(name), "n%u", o->name);
    assert_string_equal(scene_text(m->s, "name"), name);
}

/* ---- lists ---------------------------------------------------------------------------------- */

/* The newest object of this kind that the caller sees and that is older than `before`. */
static const struct object *newest(const struct model *m, const struct api_caller *who,
                                   bool is_secret, unsigned before)
{
    const struct object *found = NULL;

    for (size_t i = 0; i < OBJECTS_MAX; i++) {
        const struct object *o = &m->objects[i];

        if (o->used && o->is_secret == is_secret && may_see(who, o) && o->made < before &&
            (found == NULL || o->made > found->made))
            found = o;
    }
    return found;
}

static void check_list(struct model *m, const struct api_caller *who, bool is_secret)
{
    const char *key = is_secret ? "secrets" : "vaults";
    unsigned before = UINT32_MAX;
    char target[256];

    (void)snprintf(target, sizeof(target), "/%s?limit=%u", is_secret ? "vault_secrets" : "vaults",
                   1 + draw(m, 9));
    while (target[0] != '\0') {
        size_t i;
        json_t *item;

        assert_int_equal(scene_call(m->s, who, "GET", target, NULL), 200);
        json_array_foreach(scene_member(m->s, key), i, item)
        {
            const struct object *o = newest(m, who, is_secret, before);

            assert_non_null(o);
            assert_string_equal(json_string_value(json_object_get(item, "id")), o->id);
            before = o->made;
        }
        (void)snprintf(target, sizeof(target), "%s", scene_text(m->s, "next_page_uri"));
        if (target[0] != '\0')
            memmove(target, target + strlen(SCENE_BASE), strlen(target) - strlen(SCENE_BASE) + 1);
    }
    assert_null(newest(m, who, is_secret, before));
}

static void check_lists(struct model *m)
{
    const struct api_caller *const all[] = { &m->s->alice, &m->s->bob, &m->s->admin };

    for (size_t i = 0; i < 3; i++) {
        check_list(m, all[i], false);
        check_list(m, all[i], true);
    }
}

static void random_calls_agree_with_the_model(void **state)
{
    static void (*const steps[])(struct model * m) = {
        create_vault, create_secret, create_secret, rename_object, delete_object, get_object,
    };
    const char *fixed = getenv("API_MODEL_SEED");
    struct model m = { 0 };
    uint64_t seed;

    (void)state;
    rand_bytes(&seed, sizeof(seed));
    if (fixed != NULL)
        assert_int_equal(str_to_u64(str_from(fixed), UINT64_MAX, &seed), 0);
    seed |= 1;
    print_message("API_MODEL_SEED=%llu\n", (unsigned long long)seed);
    m.random = seed;
    m.s = scene_new();
    for (m.clock = 1; m.clock <= STEPS; m.clock++) {
        steps[draw(&m, sizeof(steps) / sizeof(steps[0]))](&m);
        if (m.clock % CHECK_EVERY == 0)
            check_lists(&m);
    }
    scene_free(m.s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_calls_agree_with_the_model),
    };

    return cmocka_run_group_tests_name("api/model", tests, NULL, NULL);
}
