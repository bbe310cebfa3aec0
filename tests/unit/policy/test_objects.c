/*
 * Unit tests of policy/objects: fields of host objects, and copies of values.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "policy/cel/run.h"
#include "policy/objects.h"

static struct arena arena;
static struct cel_limits limits;
static struct cel_run run;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena);
    limits = cel_default_limits;
    run = (struct cel_run){ .arena = &arena, .limits = &limits };
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

static struct cel_value field(const struct cel_object_type *type, const void *object,
                              const char *name, bool *has)
{
    for (size_t i = 0; i < type->field_count; i++) {
        if (strcmp(type->fields[i].name, name) == 0) {
            *has = type->has(object, i);
            return type->get(&run, object, i);
        }
    }
    fail_msg("no field %s", name);
    return cel_null();
}

static void cookie_of_a_request_has_empty_attributes(void **state)
{
    const struct policy_cookie c = { .object = { &policy_cookie_type },
                                     .name = STR("n"),
                                     .value = STR("v") };
    static const char *const absent[] = {
        "domain", "expires",   "http_only", "max_age",
        "path",   "same_site", "secure",    "unparsed_attributes"
    };
    bool has;

    (void)state;
    assert_true(str_eq(cel_str(field(&policy_cookie_type, &c, "name", &has)), STR("n")));
    assert_true(has);
    assert_true(str_eq(cel_str(field(&policy_cookie_type, &c, "value", &has)), STR("v")));
    assert_true(has);
    for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
        struct cel_value v = field(&policy_cookie_type, &c, absent[i], &has);

        assert_false(has);
        assert_int_equal(cel_is_error(v), strcmp(absent[i], "expires") == 0);
    }
    assert_int_equal(cel_map_size(field(&policy_cookie_type, &c, "unparsed_attributes", &has)), 0);
}

static void cookie_of_a_response_has_its_attributes(void **state)
{
    const struct policy_cookie c = { .object = { &policy_cookie_type },
                                     .domain = STR("d"),
                                     .path = STR("/"),
                                     .same_site = STR("Lax"),
                                     .expires = cel_timestamp(5, 0),
                                     .max_age = cel_duration(7),
                                     .http_only = true,
                                     .secure = true };
    static const char *const given[] = { "domain", "expires", "http_only", "max_age",
                                         "path",   "secure",  "same_site" };
    bool has;

    (void)state;
    for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++) {
        assert_false(cel_is_error(field(&policy_cookie_type, &c, given[i], &has)));
        assert_true(has);
    }
    assert_int_equal(field(&policy_cookie_type, &c, "max_age", &has).as.i, 7);
}

static void extension_fields_are_read(void **state)
{
    const struct policy_tls_extension x = { .object = { &policy_tls_extension_type },
                                            .id = STR("2.5.29.15"),
                                            .critical = true,
                                            .value = STR("\3\2") };
    bool has;

    (void)state;
    assert_true(
        str_eq(cel_str(field(&policy_tls_extension_type, &x, "id", &has)), STR("2.5.29.15")));
    assert_true(cel_is_true(field(&policy_tls_extension_type, &x, "critical", &has)));
    assert_int_equal(field(&policy_tls_extension_type, &x, "value", &has).kind, CEL_BYTES);
}

/* ---- copies ---------------------------------------------------------------------------------- */

static void expect_equal_copy(struct cel_value v)
{
    struct cel_value copy = policy_value_copy(&run, v);

    assert_int_equal(copy.kind, v.kind);
    assert_true(cel_is_true(cel_equal(&run, v, copy)));
}

static void value_copy_borrows_nothing(void **state)
{
    char text[] = "text";
    struct addr ip;
    struct cel_cidr cidr = { .bits = 8 };
    struct cel_value items[4];
    struct cel_list list = { items, 4 };
    struct cel_value held = cel_string(str_of(text, 4));
    struct cel_map_builder *map = cel_map_new(&run, 2);
    struct cel_value copy;

    (void)state;
    assert_int_equal(addr_parse_ip(STR("10.0.0.1"), &ip), 0);
    cidr.base = ip;
    assert_true(cel_map_put(map, cel_string(STR("k")), cel_list_of(&list)));
    items[0] = cel_string(str_of(text, 4));
    items[1] = cel_optional(&held);
    items[2] = (struct cel_value){ .kind = CEL_IP, .as.ip = &ip };
    items[3] = (struct cel_value){ .kind = CEL_CIDR, .as.cidr = &cidr };
    expect_equal_copy(cel_map_value(map));
    expect_equal_copy(cel_null());
    expect_equal_copy(cel_int(3));
    expect_equal_copy(cel_timestamp(1, 2));
    expect_equal_copy(cel_type_value(STR("int")));
    expect_equal_copy(cel_bytes(STR("\0x")));
    expect_equal_copy(cel_optional(NULL));
    expect_equal_copy(policy_empty_map());

    copy = policy_value_copy(&run, cel_list_of(&list));
    text[0] = 'n';
    ip.ip[0] = 9;
    cidr.bits = 1;
    items[0] = cel_null();
    assert_true(str_eq(cel_str(copy.as.list->items[0]), STR("text")));
    assert_true(str_eq(cel_str(*copy.as.list->items[1].as.held), STR("text")));
    assert_int_equal(copy.as.list->items[2].as.ip->ip[0], 10);
    assert_int_equal(copy.as.list->items[3].as.cidr->bits, 8);
}

static void value_copy_of_objects_copies_their_text(void **state)
{
    char text[] = "abc";
    struct policy_cookie c = { .object = { &policy_cookie_type },
                               .name = str_of(text, 3),
                               .secure = true };
    struct policy_tls_extension x = { .object = { &policy_tls_extension_type },
                                      .id = str_of(text, 3) };
    struct cel_value cookie = policy_value_copy(&run, cel_object_of(&c.object));
    struct cel_value extension = policy_value_copy(&run, cel_object_of(&x.object));
    bool has;

    (void)state;
    text[0] = 'x';
    assert_true(
        str_eq(cel_str(field(&policy_cookie_type, cookie.as.object, "name", &has)), STR("abc")));
    assert_true(cel_is_true(field(&policy_cookie_type, cookie.as.object, "secure", &has)));
    assert_true(str_eq(cel_str(field(&policy_tls_extension_type, extension.as.object, "id", &has)),
                       STR("abc")));
}

static void value_copy_has_limits(void **state)
{
    struct cel_value nested[66];
    struct cel_list lists[66];
    struct cel_value wide[100];
    struct cel_list all = { wide, 100 };

    (void)state;
    nested[0] = cel_int(1);
    for (size_t i = 1; i < 66; i++) {
        lists[i] = (struct cel_list){ &nested[i - 1], 1 };
        nested[i] = cel_list_of(&lists[i]);
    }
    assert_false(cel_is_error(policy_value_copy(&run, nested[63])));
    assert_true(cel_is_error(policy_value_copy(&run, nested[64])));
    /* Lists that share their items are written out: three levels are a million. */
    run.bytes = 0;
    for (size_t i = 0; i < 100; i++)
        wide[i] = cel_int(1);
    lists[0] = all;
    for (size_t level = 1; level < 4; level++) {
        static struct cel_value rows[4][100];

        for (size_t i = 0; i < 100; i++)
            rows[level][i] = cel_list_of(&lists[level - 1]);
        lists[level] = (struct cel_list){ rows[level], 100 };
    }
    assert_true(cel_is_error(policy_value_copy(&run, cel_list_of(&lists[3]))));
    assert_true(arena_used(&arena) < 4 * 1024 * 1024);
    run.bytes = limits.arena_bytes;
    assert_true(cel_is_error(policy_value_copy(&run, cel_string(STR("x")))));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(cookie_of_a_request_has_empty_attributes),
        CASE(cookie_of_a_response_has_its_attributes),
        CASE(extension_fields_are_read),
        CASE(value_copy_borrows_nothing),
        CASE(value_copy_of_objects_copies_their_text),
        CASE(value_copy_has_limits),
    };

    return cmocka_run_group_tests_name("policy/objects", tests, NULL, NULL);
}
