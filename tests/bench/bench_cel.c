/*
 * What an expression costs: nanoseconds for one evaluation of each of ten typical ones, over a
 * request in memory. Prints a line a case; the figure is that of the fastest batch, so that a busy
 * machine changes it little.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/arena.h"
#include "policy/cel/cel.h"

enum { BATCHES = 40, ROUNDS = 50, EVALUATIONS = 40 };

/* ---- the request ------------------------------------------------------------------------------ */

enum slot { SLOT_METHOD, SLOT_PATH, SLOT_HEADERS, SLOT_CLIENT_IP, SLOT_STATUS, SLOT_NOW, SLOTS };

static const struct {
    const char *name;
    const char *type;
} declarations[SLOTS] = {
    [SLOT_METHOD] = { "req.method", "string" },
    [SLOT_PATH] = { "req.url.path", "string" },
    [SLOT_HEADERS] = { "req.headers", "map(string, list(string))" },
    [SLOT_CLIENT_IP] = { "conn.client_ip", "string" },
    [SLOT_STATUS] = { "res.status_code", "int" },
    [SLOT_NOW] = { "time.now", "string" },
};

struct field {
    const char *name;
    const char *text;
    struct cel_value value;
    struct cel_list list;
};

static struct field fields[] = {
    { .name = "host", .text = "app.example.com" },
    { .name = "user-agent", .text = "Mozilla/5.0 (X11; Linux x86_64) Chrome/124.0.0.0" },
    { .name = "accept", .text = "*/*" },
    { .name = "accept-encoding", .text = "gzip, deflate, br, zstd" },
    { .name = "cookie", .text = "session=0b8f5c6e4a1d4b7f9d2e3c4b5a697887; theme=dark" },
    { .name = "x-team", .text = "blue" },
    { .name = "x-forwarded-for", .text = "203.0.113.7" },
    { .name = "accept-language", .text = "en-GB,en;q=0.9" },
};
enum { FIELDS = sizeof(fields) / sizeof(fields[0]) };

static size_t headers_size(const struct cel_map *map)
{
    (void)map;
    return FIELDS;
}

static bool headers_find(struct cel_run *run, const struct cel_map *map,
                         const struct cel_value *key, struct cel_value *out)
{
    (void)run;
    (void)map;
    for (size_t i = 0; key->kind == CEL_STRING && i < FIELDS; i++) {
        if (str_eq_nocase(cel_str(*key), str_from(fields[i].name))) {
            *out = cel_list_of(&fields[i].list);
            return true;
        }
    }
    return false;
}

static void headers_entry(struct cel_run *run, const struct cel_map *map, size_t index,
                          struct cel_value *key, struct cel_value *value)
{
    (void)run;
    (void)map;
    *key = cel_string(str_from(fields[index].name));
    *value = cel_list_of(&fields[index].list);
}

static const struct cel_map_ops headers_ops = {
    .size = headers_size,
    .find = headers_find,
    .entry = headers_entry,
    .missing_is_empty = true,
};
static const struct cel_map headers = { .ops = &headers_ops };

static struct cel_value var(struct cel_run *run, unsigned slot)
{
    (void)run;
    switch ((enum slot)slot) {
    case SLOT_METHOD:
        return cel_string(STR("GET"));
    case SLOT_PATH:
        return cel_string(STR("/api/v1/users/42"));
    case SLOT_HEADERS:
        return cel_map_of(&headers);
    case SLOT_CLIENT_IP:
        return cel_string(STR("203.0.113.7"));
    case SLOT_STATUS:
        return cel_int(502);
    case SLOT_NOW:
        return cel_string(STR("2026-07-13T00:10:16Z"));
    case SLOTS:
        break;
    }
    return cel_null();
}

/* ---- cases ------------------------------------------------------------------------------------ */

/* All of them are true. */
static const char *const expressions[] = {
    "req.method == 'GET'",
    "req.method == 'GET' && req.url.path.startsWith('/api/')",
    "req.headers['x-team'].exists(v, v == 'blue')",
    "'x-missing' in req.headers || req.headers['user-agent'][0].contains('Linux')",
    "req.url.path.matches('^/api/v[0-9]+/')",
    "req.method in ['GET', 'HEAD', 'OPTIONS']",
    "res.status_code >= 500 && res.status_code < 600",
    "req.url.path.split('/')[2] == 'v1'",
    "timestamp(time.now) > timestamp('2024-01-01T00:00:00Z')",
    "cidr('203.0.113.0/24').containsIP(conn.client_ip)",
};
enum { EXPRESSIONS = sizeof(expressions) / sizeof(expressions[0]) };

static double now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* One round: what an exchange with many rules does in its arena. */
static bool evaluate(const struct cel_program *p)
{
    struct arena arena;
    bool ok = true;

    arena_init(&arena);
    for (int i = 0; i < EVALUATIONS; i++) {
        struct cel_run run = { .arena = &arena, .limits = &cel_default_limits, .var = var };

        ok = cel_is_true(cel_eval(p, &run)) && ok;
    }
    arena_fini(&arena);
    return ok;
}

static bool measure(const struct cel_env *env, const char *source)
{
    const struct cel_compile_params params = { .env = env };
    struct cel_issue issue;
    struct cel_program *p = cel_compile(&params, str_from(source), &issue);
    double best = 0.0;
    bool ok = p != NULL;

    for (int batch = 0; ok && batch < BATCHES; batch++) {
        double start = now_ns();
        double each;

        for (int i = 0; ok && i < ROUNDS; i++)
            ok = evaluate(p);
        each = (now_ns() - start) / (ROUNDS * EVALUATIONS);
        best = batch == 0 || each < best ? each : best;
    }
    cel_program_free(p);
    if (ok)
        (void)printf("%8.1f ns  %s\n", best, source);
    else
        (void)fprintf(stderr, "does not work: %s\n", source);
    return ok;
}

int main(void)
{
    const struct cel_env_params params = { .libraries = cel_standard_libraries };
    struct cel_env *env = cel_env_new(&params);
    bool ok = true;

    for (size_t i = 0; i < FIELDS; i++) {
        fields[i].value = cel_string(str_from(fields[i].text));
        fields[i].list = (struct cel_list){ .items = &fields[i].value, .count = 1 };
    }
    for (unsigned i = 0; i < SLOTS; i++)
        ok = cel_env_add_var(env, str_from(declarations[i].name), declarations[i].type, i) == 0 &&
             ok;
    (void)printf("one evaluation of an expression:\n");
    for (size_t i = 0; i < EXPRESSIONS; i++)
        ok = measure(env, expressions[i]) && ok;
    cel_env_free(env);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
