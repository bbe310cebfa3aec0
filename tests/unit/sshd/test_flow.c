/*
 * How much may be written to one SSH connection.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sshd/flow.h"

static void flow_can_write_up_to_the_bound_while_output_is_pending(void **state)
{
    struct flow f = { 0 };
    struct ssh_counter_struct raw = { 0 };
    struct ssh_counter_struct sock = { 0 };

    (void)state;
    flow_wrote(&f, FLOW_CHANNEL_MAX_BYTES - 1, 0, FLOW_CHANNEL_MAX_BYTES);
    flow_update(&f, true, &raw, &sock);
    assert_true(flow_can_write(&f));
    flow_wrote(&f, 1, 0, 1);
    flow_update(&f, true, &raw, &sock);
    assert_false(flow_can_write(&f));
    flow_update(&f, false, &raw, &sock);
    assert_true(flow_can_write(&f));
}

static void flow_can_write_stops_behind_a_rekey_until_it_is_sent(void **state)
{
    struct flow f = { 0 };
    struct ssh_counter_struct raw = { .out_bytes = 1000 };
    struct ssh_counter_struct sock = { 0 };

    (void)state;
    /* 500 bytes were taken, but only 20 became packets. */
    flow_wrote(&f, 500, 980, 1000);
    flow_update(&f, false, &raw, &sock);
    assert_false(flow_can_write(&f));
    raw.out_bytes = 1479;
    flow_update(&f, false, &raw, &sock);
    assert_false(flow_can_write(&f));
    raw.out_bytes = 1480;
    flow_update(&f, false, &raw, &sock);
    assert_true(flow_can_write(&f));
}

static void flow_can_write_after_a_stall_when_a_packet_came(void **state)
{
    struct flow f = { 0 };
    struct ssh_counter_struct raw = { .in_packets = 7 };
    struct ssh_counter_struct sock = { 0 };

    (void)state;
    flow_stalled(&f, &raw);
    flow_update(&f, false, &raw, &sock);
    assert_false(flow_can_write(&f));
    raw.in_packets++;
    flow_update(&f, false, &raw, &sock);
    assert_true(flow_can_write(&f));
}

static void flow_is_choked_counts_from_the_last_empty_output(void **state)
{
    struct flow f = { 0 };
    struct ssh_counter_struct raw = { .out_bytes = 5 * FLOW_PENDING_MAX_BYTES };
    struct ssh_counter_struct sock = { 0 };

    (void)state;
    flow_update(&f, false, &raw, &sock);
    assert_false(flow_is_choked(&f, &raw, &sock));
    raw.out_bytes += FLOW_PENDING_MAX_BYTES;
    assert_false(flow_is_choked(&f, &raw, &sock));
    raw.out_packets += 1;
    assert_true(flow_is_choked(&f, &raw, &sock));
    sock.out_bytes += FLOW_PACKET_OVERHEAD_BYTES;
    assert_false(flow_is_choked(&f, &raw, &sock));
    /* More sent than made is padding, not an underflow. */
    sock.out_bytes += 2 * (uint64_t)FLOW_PENDING_MAX_BYTES;
    assert_false(flow_is_choked(&f, &raw, &sock));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flow_can_write_up_to_the_bound_while_output_is_pending),
        cmocka_unit_test(flow_can_write_stops_behind_a_rekey_until_it_is_sent),
        cmocka_unit_test(flow_can_write_after_a_stall_when_a_packet_came),
        cmocka_unit_test(flow_is_choked_counts_from_the_last_empty_output),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
