/*
 * Unit tests of gateway/error_page.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/error_page.h"

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

static struct str header(const struct error_page *p, struct str name)
{
    const struct http_header *h = http_headers_find(&p->headers, name, 0);

    return h != NULL ? h->value : STR_NONE;
}

static bool contains(struct str text, const char *part)
{
    return str_find(text, str_from(part)) != text.n;
}

static void error_page_make_chooses_by_accept(void **state)
{
    static const struct {
        const char *accept;
        const char *type;
    } cases[] = {
        { "", "text/plain; charset=utf-8" },
        { "*/*", "text/plain; charset=utf-8" },
        { "text/*", "text/plain; charset=utf-8" },
        { "text/plain", "text/plain; charset=utf-8" },
        { "text/html", "text/html; charset=utf-8" },
        { "TEXT/HTML", "text/html; charset=utf-8" },
        { "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
          "text/html; charset=utf-8" },
        { "application/xml, text/html;q=0.1", "text/html; charset=utf-8" },
        { "text/html;level=1;q=0.000, */*", "text/plain; charset=utf-8" },
        { "text/html;q=0", "text/plain; charset=utf-8" },
        { "text/html; q=0.01", "text/html; charset=utf-8" },
        { "text/htmlx", "text/plain; charset=utf-8" },
        { "application/json", "application/json" },
        { "application/json, text/plain, */*", "application/json" },
        { "application/json, text/html", "application/json" },
        { " , Application/JSON ; q=1", "application/json" },
        { "text/html, application/json", "text/html; charset=utf-8" },
        { "text/plain, application/json", "text/plain; charset=utf-8" },
        { "application/json;q=0, text/html", "text/html; charset=utf-8" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct err e = { E_ENDPOINT_OFFLINE, "gone" };
        struct error_page page;
        struct arena a;

        arena_init(&a);
        error_page_make(&e, str_from(cases[i].accept), false, &a, &page);
        if (!str_eq(header(&page, STR("content-type")), str_from(cases[i].type)))
            fail_msg("'%s' gave %.*s", cases[i].accept,
                     STR_ARG(header(&page, STR("content-type"))));
        assert_int_equal(page.status, 404);
        arena_fini(&a);
    }
}

static void error_page_make_writes_text(void **state)
{
    struct err e = { E_ENDPOINT_OFFLINE, "the endpoint a.example.com is offline" };
    struct error_page page;
    struct arena a;

    (void)state;
    arena_init(&a);
    error_page_make(&e, STR(""), false, &a, &page);
    assert_true(
        str_eq(page.body, STR("ERR_SALLYPORT_3200\nthe endpoint a.example.com is offline\n")));
    assert_int_equal(page.headers.count, 3);
    assert_true(str_eq(header(&page, STR("cache-control")), STR("no-store")));
    assert_true(str_eq(header(&page, STR("sallyport-error-code")), STR("ERR_SALLYPORT_3200")));
    arena_fini(&a);
}

static void error_page_make_writes_json(void **state)
{
    struct err e = { E_BAD_REQUEST, "a \"quoted\" \\ <name>" };
    struct error_page page;
    struct arena a;

    (void)state;
    arena_init(&a);
    error_page_make(&e, STR("application/json"), false, &a, &page);
    assert_true(str_eq(page.body, STR("{\"error_code\":\"ERR_SALLYPORT_3007\",\"status_code\":400,"
                                      "\"msg\":\"a \\\"quoted\\\" \\\\ <name>\"}\n")));
    arena_fini(&a);
}

/* A rate limit has no number. */
static void error_page_make_without_a_number_shows_no_code(void **state)
{
    static const char *const accepts[] = { "", "application/json", "text/html" };
    struct err e = { E_RATE_LIMITED, "slow down" };
    struct error_page page;
    struct arena a;

    (void)state;
    arena_init(&a);
    for (size_t i = 0; i < sizeof(accepts) / sizeof(accepts[0]); i++) {
        error_page_make(&e, str_from(accepts[i]), true, &a, &page);
        assert_int_equal(page.status, 429);
        assert_true(contains(page.body, "slow down"));
        assert_false(contains(page.body, "ERR_"));
        assert_null(http_headers_find(&page.headers, STR("sallyport-error-code"), 0));
        assert_null(http_headers_find(&page.headers, STR("ngrok-error-code"), 0));
    }
    error_page_make(&e, STR("application/json"), false, &a, &page);
    assert_true(str_eq(page.body, STR("{\"status_code\":429,\"msg\":\"slow down\"}\n")));
    arena_fini(&a);
}

static void error_page_make_writes_html(void **state)
{
    struct err e = { E_ENDPOINT_OFFLINE, "<script>alert(\"x\" & 'y')</script>" };
    struct error_page page;
    struct arena a;

    (void)state;
    arena_init(&a);
    error_page_make(&e, STR("text/html"), false, &a, &page);
    assert_true(contains(page.body, "<title>404 Not Found</title>"));
    assert_true(contains(page.body, "<meta name=\"robots\" content=\"noindex\">"));
    assert_true(contains(page.body, "ERR_SALLYPORT_3200"));
    assert_true(
        contains(page.body, "&lt;script&gt;alert(&quot;x&quot; &amp; &#39;y&#39;)&lt;/script&gt;"));
    assert_false(contains(page.body, "<script"));
    assert_false(contains(page.body, "http://"));
    assert_false(contains(page.body, "https://"));
    arena_fini(&a);
}

static void error_page_make_adds_the_ngrok_code_if_asked(void **state)
{
    struct err e = { E_UPSTREAM_REFUSED, "refused" };
    struct error_page page;
    struct arena a;

    (void)state;
    arena_init(&a);
    error_page_make(&e, STR(""), true, &a, &page);
    assert_true(str_eq(header(&page, STR("ngrok-error-code")), STR("ERR_NGROK_8012")));
    assert_true(str_eq(header(&page, STR("sallyport-error-code")), STR("ERR_SALLYPORT_8012")));
    arena_fini(&a);
}

static void error_page_make_replaces_what_is_not_printable(void **state)
{
    struct err e = { E_BAD_REQUEST, "a\r\nb\x1b\x7f\xc3\xa9" };
    struct error_page page;
    struct arena a;

    (void)state;
    arena_init(&a);
    error_page_make(&e, STR(""), false, &a, &page);
    assert_true(str_eq(page.body, STR("ERR_SALLYPORT_3007\na??b????\n")));
    arena_fini(&a);
}

static void error_page_make_without_message_uses_the_text_of_the_code(void **state)
{
    struct err e = { E_VERSION, "" };
    struct error_page page;
    struct arena a;

    (void)state;
    arena_init(&a);
    error_page_make(&e, STR(""), false, &a, &page);
    assert_int_equal(page.status, 505);
    assert_true(contains(page.body, err_text(E_VERSION)));
    arena_fini(&a);
}

static void error_page_make_of_a_code_without_status_is_a_gateway_error(void **state)
{
    struct err e = { E_SYSTEM, "out of luck" };
    struct error_page page;
    struct arena a;

    (void)state;
    arena_init(&a);
    error_page_make(&e, STR(""), false, &a, &page);
    assert_int_equal(page.status, 502);
    assert_false(contains(page.body, "out of luck"));
    assert_true(str_eq(header(&page, STR("sallyport-error-code")), STR("ERR_SALLYPORT_3007")));
    arena_fini(&a);
}

static void error_page_make_405_names_what_is_allowed(void **state)
{
    struct err e = { E_METHOD, "no" };
    struct error_page page;
    struct arena a;

    (void)state;
    arena_init(&a);
    error_page_make(&e, STR(""), false, &a, &page);
    assert_int_equal(page.status, 405);
    assert_true(header(&page, STR("allow")).n > 0);
    arena_fini(&a);
}

/* The longest message, all of it escaped, is still a whole page. */
static void error_page_make_holds_the_longest_message(void **state)
{
    struct err e = { E_BAD_REQUEST, "" };
    struct error_page page;
    struct arena a;

    (void)state;
    memset(e.msg, '"', sizeof(e.msg) - 1);
    arena_init(&a);
    error_page_make(&e, STR("text/html"), true, &a, &page);
    assert_true(str_ends(page.body, STR("</html>\n")));
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_page_make_chooses_by_accept),
        cmocka_unit_test(error_page_make_writes_text),
        cmocka_unit_test(error_page_make_writes_json),
        cmocka_unit_test(error_page_make_without_a_number_shows_no_code),
        cmocka_unit_test(error_page_make_writes_html),
        cmocka_unit_test(error_page_make_adds_the_ngrok_code_if_asked),
        cmocka_unit_test(error_page_make_replaces_what_is_not_printable),
        cmocka_unit_test(error_page_make_without_message_uses_the_text_of_the_code),
        cmocka_unit_test(error_page_make_of_a_code_without_status_is_a_gateway_error),
        cmocka_unit_test(error_page_make_405_names_what_is_allowed),
        cmocka_unit_test(error_page_make_holds_the_longest_message),
    };

    return cmocka_run_group_tests_name("gateway/error_page", tests, NULL, NULL);
}
