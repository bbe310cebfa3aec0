#include "tests/unit/policy/fake_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"

enum { TEXT_MAX_BYTES = 1024 * 1024 };

static const struct addr *client_addr(void *ctx)
{
    struct fake_host *h = ctx;

    return &h->client;
}

static struct str header_find(void *ctx, struct str name, size_t index)
{
    struct fake_host *h = ctx;

    for (size_t i = 0; i < h->count; i++) {
        if (str_eq_nocase(h->fields[i].name, name) && index-- == 0)
            return h->fields[i].value;
    }
    return STR_NONE;
}

static void header_add(void *ctx, struct str name, struct str value)
{
    struct fake_host *h = ctx;

    assert_true(h->count < FAKE_HOST_FIELDS_MAX);
    h->fields[h->count++] =
        (struct policy_header){ arena_str(&h->arena, name), arena_str(&h->arena, value) };
}

static size_t header_remove(void *ctx, struct str name)
{
    struct fake_host *h = ctx;
    size_t kept = 0;
    size_t before = h->count;

    for (size_t i = 0; i < before; i++) {
        if (!str_eq_nocase(h->fields[i].name, name))
            h->fields[kept++] = h->fields[i];
    }
    h->count = kept;
    return before - kept;
}

static const struct policy_host host_calls = {
    .client_addr = client_addr,
    .header_find = header_find,
    .header_add = header_add,
    .header_remove = header_remove,
};

void fake_host_init(struct fake_host *h, const char *client_ip)
{
    memset(h, 0, sizeof(*h));
    arena_init(&h->arena);
    assert_int_equal(addr_parse_ip(str_from(client_ip), &h->client), 0);
}

void fake_host_fini(struct fake_host *h)
{
    arena_fini(&h->arena);
}

void fake_host_add(struct fake_host *h, const char *name, const char *value)
{
    header_add(h, str_from(name), str_from(value));
}

const char *fake_host_values(struct fake_host *h, const char *name)
{
    struct str all = header_find(h, str_from(name), 0);
    struct str next;

    if (all.p == NULL)
        return NULL;
    for (size_t i = 1; (next = header_find(h, str_from(name), i)).p != NULL; i++)
        all = arena_fmt(&h->arena, "%.*s,%.*s", STR_ARG(all), STR_ARG(next));
    return arena_fmt(&h->arena, "%.*s%c", STR_ARG(all), '\0').p;
}

enum policy_verdict fake_host_run(struct fake_host *h, const struct counted *policy,
                                  enum policy_phase phase)
{
    memset(&h->result, 0, sizeof(h->result));
    return policy_run(policy, phase, &host_calls, h, &h->arena, &h->result);
}

static json_t *parse(const char *json)
{
    char *text = mem_strdup(json);
    json_t *document;

    for (char *p = text; *p != '\0'; p++) {
        if (*p == '\'')
            *p = '"';
    }
    document = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    mem_free(text);
    assert_non_null(document);
    return document;
}

struct counted *fake_host_compile(const char *json)
{
    json_t *document = parse(json);
    struct err e = { .code = E_OK };
    struct counted *policy = policy_compile(document, &e);

    json_decref(document); /* a policy must not borrow from its document */
    assert_string_equal(e.msg, "");
    assert_non_null(policy);
    return policy;
}

void fake_host_expect_refused(const char *json, enum err_code code, const char *needle)
{
    json_t *document = parse(json);
    struct err e = { .code = E_OK };

    assert_null(policy_compile(document, &e));
    json_decref(document);
    if (strstr(e.msg, needle) == NULL)
        assert_string_equal(e.msg, needle); /* shows both */
    assert_int_equal(e.code, code);
}

static void wrap(struct buf *out, enum policy_phase phase, const char *action, const char *config)
{
    buf_init(out, TEXT_MAX_BYTES);
    buf_add_fmt(out, "{'%s': [{'actions': [{'type': '%s', 'config': %s}]}]}%c",
                policy_phase_name(phase), action, config, '\0');
    assert_false(buf_failed(out));
}

struct counted *fake_host_compile_action(enum policy_phase phase, const char *action,
                                         const char *config)
{
    struct counted *policy;
    struct buf text;

    wrap(&text, phase, action, config);
    policy = fake_host_compile(buf_str(&text).p);
    buf_fini(&text);
    return policy;
}

void fake_host_expect_config_refused(enum policy_phase phase, const char *action,
                                     const char *config, enum err_code code, const char *needle)
{
    struct buf text;

    wrap(&text, phase, action, config);
    fake_host_expect_refused(buf_str(&text).p, code, needle);
    buf_fini(&text);
}
