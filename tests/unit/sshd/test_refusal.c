/*
 * Reading libssh's text about a refused channel.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sshd/refusal.h"

static void refusal_parse_reads_channel_and_code(void **state)
{
    struct refusal r = { 0, 0 };

    (void)state;
    assert_true(
        refusal_parse(STR("Channel opening failure: channel 47 error (2) Connection refused"), &r));
    assert_int_equal(r.channel, 47);
    assert_int_equal(r.code, 2);
    assert_true(refusal_parse(STR("Channel opening failure: channel 4294967295 error (1) "), &r));
    assert_true(r.channel == UINT32_MAX);
    assert_int_equal(r.code, 1);
}

static void refusal_parse_other_text_is_false(void **state)
{
    static const struct str texts[] = {
        STR_INIT(""),
        STR_INIT("Global request keepalive@openssh.com failed"),
        STR_INIT("Channel opening failure: channel "),
        STR_INIT("Channel opening failure: channel 1"),
        STR_INIT("Channel opening failure: channel x error (2) y"),
        STR_INIT("Channel opening failure: channel 1 error (2"),
        STR_INIT("Channel opening failure: channel 1 error () y"),
        STR_INIT("Channel opening failure: channel 1 error (-2) y"),
        STR_INIT("Channel opening failure: channel 4294967296 error (2) y"),
        STR_INIT("channel 1 error (2) y"),
    };
    struct refusal r;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_false(refusal_parse(texts[i], &r));
}

static void refusal_reason_maps_each_code(void **state)
{
    (void)state;
    assert_int_equal(refusal_reason(1), CLOSE_PROHIBITED);
    assert_int_equal(refusal_reason(2), CLOSE_REFUSED);
    assert_int_equal(refusal_reason(3), CLOSE_PROHIBITED);
    assert_int_equal(refusal_reason(4), CLOSE_BUSY);
    assert_int_equal(refusal_reason(0), CLOSE_REFUSED);
    assert_int_equal(refusal_reason(99), CLOSE_REFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusal_parse_reads_channel_and_code),
        cmocka_unit_test(refusal_parse_other_text_is_false),
        cmocka_unit_test(refusal_reason_maps_each_code),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
