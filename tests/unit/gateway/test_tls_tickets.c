/*
 * Unit tests of gateway/tls_tickets: when keys change and how long they open tickets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "gateway/tls_tickets.h"

#define START_MS    ((uint64_t)1000)
#define ROTATE_MS   ((uint64_t)TLS_TICKETS_ROTATE_MS)
#define LIFETIME_MS ((uint64_t)TLS_TICKETS_LIFETIME_MS)

static void current_changes_after_its_time(void **state)
{
    struct tls_tickets *t = tls_tickets_new();
    struct tls_ticket_key a;
    struct tls_ticket_key b;

    (void)state;
    tls_tickets_current(t, START_MS, &a);
    tls_tickets_current(t, START_MS + ROTATE_MS - 1, &b);
    assert_memory_equal(&a, &b, sizeof(a));
    tls_tickets_current(t, START_MS + ROTATE_MS, &b);
    assert_memory_not_equal(a.name, b.name, sizeof(a.name));
    assert_memory_not_equal(a.aes, b.aes, sizeof(a.aes));
    assert_memory_not_equal(a.mac, b.mac, sizeof(a.mac));
    tls_tickets_unref(t);
}

static void find_opens_old_tickets_for_their_time(void **state)
{
    static const struct {
        uint64_t now;
        enum tls_tickets_found want;
    } cases[] = {
        { START_MS, TLS_TICKETS_CURRENT },
        { START_MS + ROTATE_MS - 1, TLS_TICKETS_CURRENT },
        { START_MS + ROTATE_MS, TLS_TICKETS_OLD },
        { START_MS + ROTATE_MS + LIFETIME_MS - 1, TLS_TICKETS_OLD },
        { START_MS + ROTATE_MS + LIFETIME_MS, TLS_TICKETS_NONE },
    };
    struct tls_ticket_key first;
    struct tls_ticket_key found;
    struct tls_ticket_key other;

    (void)state;
    for (unsigned rotated = 0; rotated < 2; rotated++) {
        struct tls_tickets *t = tls_tickets_new();

        tls_tickets_current(t, START_MS, &first);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            if (rotated) /* others ask for a current key meanwhile */
                tls_tickets_current(t, cases[i].now, &other);
            assert_int_equal(tls_tickets_find(t, first.name, cases[i].now, &found), cases[i].want);
            if (cases[i].want != TLS_TICKETS_NONE)
                assert_memory_equal(&found, &first, sizeof(found));
        }
        tls_tickets_unref(t);
    }
}

static void find_of_an_unknown_name_is_none(void **state)
{
    static const uint8_t zero[TLS_TICKETS_NAME_BYTES];
    struct tls_tickets *t = tls_tickets_new();
    struct tls_ticket_key key;

    (void)state;
    /* The places of keys that are not there have a name of zeros. */
    assert_int_equal(tls_tickets_find(t, zero, START_MS, &key), TLS_TICKETS_NONE);
    tls_tickets_current(t, START_MS, &key);
    assert_int_equal(tls_tickets_find(t, zero, START_MS, &key), TLS_TICKETS_NONE);
    tls_tickets_unref(t);
}

static void find_through_steady_rotation_keeps_enough_keys(void **state)
{
    struct tls_tickets *t = tls_tickets_new();
    struct tls_ticket_key keys[10];
    struct tls_ticket_key found;

    (void)state;
    for (size_t i = 0; i < 10; i++) {
        uint64_t now = START_MS + i * ROTATE_MS;

        tls_tickets_current(t, now, &keys[i]);
        /* The last ticket of key k was sealed just before k + 1 was made. */
        for (size_t k = 0; k <= i; k++) {
            bool alive = now < START_MS + (k + 1) * ROTATE_MS + LIFETIME_MS;

            assert_int_equal(tls_tickets_find(t, keys[k].name, now, &found) != TLS_TICKETS_NONE,
                             alive);
        }
    }
    tls_tickets_unref(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(current_changes_after_its_time),
        cmocka_unit_test(find_opens_old_tickets_for_their_time),
        cmocka_unit_test(find_of_an_unknown_name_is_none),
        cmocka_unit_test(find_through_steady_rotation_keeps_enough_keys),
    };

    return cmocka_run_group_tests_name("gateway/tls_tickets", tests, NULL, NULL);
}
