/*
 * Unit tests of tunnel/endpoint.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tunnel/endpoint.h"

static int policies_freed;

static void on_policy_free(struct counted *self)
{
    policies_freed++;
    mem_free(self);
}

static struct counted *policy_new(void)
{
    struct counted *c = mem_zalloc(sizeof(*c));

    ref_init(&c->ref);
    c->free = on_policy_free;
    return c;
}

static void endpoint_new_has_empty_strings(void **state)
{
    struct endpoint *ep = endpoint_new();

    (void)state;
    assert_string_equal(ep->account, "");
    assert_string_equal(ep->name, "");
    assert_string_equal(ep->description, "");
    assert_string_equal(ep->metadata, "");
    assert_string_equal(ep->upstream_url, "");
    assert_string_equal(ep->url.host, "");
    assert_null(ep->policy);
    endpoint_unref(ep);
}

static void endpoint_set_replaces_a_string_by_a_copy(void **state)
{
    struct endpoint *ep = endpoint_new();

    (void)state;
    endpoint_set(&ep->name, STR("first"));
    endpoint_set(&ep->name, str_of(ep->name + 2, 2)); /* also a part of itself */
    assert_string_equal(ep->name, "rs");
    endpoint_set(&ep->name, STR_NONE);
    assert_string_equal(ep->name, "");
    endpoint_unref(ep);
}

static void endpoint_unref_last_drops_the_policy(void **state)
{
    struct endpoint *ep = endpoint_new();

    (void)state;
    ep->policy = policy_new();
    policies_freed = 0;
    endpoint_ref(ep);
    endpoint_unref(ep);
    assert_int_equal(policies_freed, 0);
    endpoint_unref(ep);
    assert_int_equal(policies_freed, 1);
    endpoint_unref(NULL);
}

static void endpoint_enter_counts_and_holds(void **state)
{
    struct endpoint *ep = endpoint_new();

    (void)state;
    ep->policy = policy_new();
    policies_freed = 0;
    endpoint_enter(ep);
    endpoint_enter(ep);
    assert_int_equal(endpoint_outstanding(ep), 2);
    endpoint_unref(ep);
    endpoint_leave(ep);
    assert_int_equal(endpoint_outstanding(ep), 1);
    assert_int_equal(policies_freed, 0);
    endpoint_leave(ep);
    assert_int_equal(policies_freed, 1);
    endpoint_leave(NULL);
}

static void endpoint_has_same_address_looks_at_all_of_it(void **state)
{
    struct endpoint *a = endpoint_new();
    struct endpoint *b = endpoint_new();

    (void)state;
    a->url = (struct url){ SCHEME_HTTPS, BINDING_PUBLIC, 443, "x.test" };
    b->url = a->url;
    endpoint_set(&b->account, STR("other"));
    assert_true(endpoint_has_same_address(a, b));
    a->url.binding = b->url.binding = BINDING_INTERNAL;
    assert_false(endpoint_has_same_address(a, b));
    endpoint_set(&a->account, STR("other"));
    assert_true(endpoint_has_same_address(a, b));
    b->url.port = 444;
    assert_false(endpoint_has_same_address(a, b));
    b->url = (struct url){ SCHEME_TLS, BINDING_INTERNAL, 443, "x.test" };
    assert_false(endpoint_has_same_address(a, b));
    b->url = (struct url){ SCHEME_HTTPS, BINDING_INTERNAL, 443, "y.test" };
    assert_false(endpoint_has_same_address(a, b));
    endpoint_unref(a);
    endpoint_unref(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(endpoint_new_has_empty_strings),
        cmocka_unit_test(endpoint_set_replaces_a_string_by_a_copy),
        cmocka_unit_test(endpoint_unref_last_drops_the_policy),
        cmocka_unit_test(endpoint_enter_counts_and_holds),
        cmocka_unit_test(endpoint_has_same_address_looks_at_all_of_it),
    };

    return cmocka_run_group_tests_name("tunnel/endpoint", tests, NULL, NULL);
}
