/* Unit tests of tunnel/api/refusals, with the real log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "tunnel/api/refusals.h"

enum { TEXT_BYTES = 256 * 1024 };

static FILE *file;
static char text[TEXT_BYTES];
static struct api_refusals *refusals;

static int set_up(void **state)
{
    (void)state;
    file = tmpfile();
    assert_non_null(file);
    log_start(fileno(file), LOG_INFO, LOG_JSON);
    refusals = api_refusals_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    api_refusals_free(refusals);
    (void)fclose(file);
    return 0;
}

/* Ends the log; its text. */
static const char *logged(void)
{
    log_stop();
    rewind(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    return text;
}

static size_t count(const char *in, const char *what)
{
    size_t n = 0;

    for (const char *p = in; (p = strstr(p, what)) != NULL; p++)
        n++;
    return n;
}

static struct api_caller caller(const char *account)
{
    struct api_caller who = { .source = API_SOURCE_SSH,
                              .principal = "usr_1",
                              .credential = "sshcr_1" };

    (void)snprintf(who.account, sizeof(who.account), "%s", account);
    return who;
}

static void refuse(const struct api_caller *who, enum api_code code)
{
    const struct api_request request = {
        .method = STR("PATCH"),
        .path = STR("/vaults/vault_1"),
        .query = STR("token=hidden"),
        .body = STR("{\"value\":\"hidden\"}"),
        .who = who,
    };

    api_refusals_log(refusals, &request, code, "op_1");
}

static void log_has_who_and_what_and_no_content(void **state)
{
    const struct api_caller bob = caller("bob");
    const char *out;

    (void)state;
    refuse(&bob, API_SECRET_TAKEN);
    out = logged();
    assert_non_null(strstr(
        out, "\"event\":\"api.refused\",\"account\":\"bob\",\"principal\":\"usr_1\",\"credential\":"
             "\"sshcr_1\",\"source\":\"SSH\",\"method\":\"PATCH\",\"path\":\"/vaults/"
             "vault_1\",\"status\":400,"
             "\"code\":\"ERR_NGROK_24005\",\"operation\":\"op_1\",\"suppressed\":0}"));
    assert_null(strstr(out, "hidden"));
}

static void log_of_a_stranger_names_nobody(void **state)
{
    (void)state;
    refuse(NULL, API_TOKEN_UNKNOWN);
    assert_non_null(strstr(
        logged(), "\"account\":\"\",\"principal\":\"\",\"credential\":\"\",\"source\":\"API\""));
}

static void log_has_no_failures_of_the_gateway(void **state)
{
    const struct api_caller bob = caller("bob");

    (void)state;
    refuse(&bob, API_INTERNAL);
    refuse(&bob, API_STORE);
    assert_string_equal(logged(), "");
}

static void log_is_limited_for_each_account(void **state)
{
    const struct api_caller bob = caller("bob");
    const struct api_caller carol = caller("carol");
    const char *out;

    (void)state;
    for (int i = 0; i < 10 * API_REFUSALS_PER_SECOND; i++)
        refuse(&bob, API_NOT_FOUND);
    refuse(&carol, API_NOT_FOUND);
    refuse(NULL, API_TOKEN_UNKNOWN);
    out = logged();
    /* It may have gone over the end of a second. */
    assert_in_range(count(out, "\"bob\""), API_REFUSALS_PER_SECOND, 2 * API_REFUSALS_PER_SECOND);
    assert_int_equal(count(out, "\"carol\""), 1);
    assert_int_equal(count(out, "\"account\":\"\""), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(log_has_who_and_what_and_no_content, set_up, tear_down),
        cmocka_unit_test_setup_teardown(log_of_a_stranger_names_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(log_has_no_failures_of_the_gateway, set_up, tear_down),
        cmocka_unit_test_setup_teardown(log_is_limited_for_each_account, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("tunnel/api/refusals", tests, NULL, NULL);
}
