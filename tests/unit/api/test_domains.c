/*
 * Unit tests of the resources reserved_domains, reserved_addrs and tls_certificates: each field and error of
 * the spec's sections 3.4, 3.7 and 3.12. What the host knows of names is played here.
 * Links: tests/unit/api/api_scene
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/api/api_scene.h"
#include "tunnel/host.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct host_suffixes *suffixes;

/* What the host answers next, and what it was asked last. */
static enum api_name_answer answer;
static enum api_pair_fault fault;
static char last[API_ADDRESS_BYTES + 16];
static unsigned port;

static enum api_name_answer note(const char *what, struct str name)
{
    (void)snprintf(last, sizeof(last), "%s %.*s", what, STR_ARG(name));
    return answer;
}

static enum api_name_answer reserve(void *arg, struct str name, struct str account, struct err *e)
{
    (void)arg;
    assert_true(account.n > 0);
    (void)err_set(e, E_LIMIT, "played");
    return note("reserve", name);
}

static enum api_name_answer release(void *arg, struct str name, struct str account, struct err *e)
{
    (void)arg;
    assert_true(account.n > 0);
    (void)err_set(e, E_LIMIT, "played");
    return note("release", name);
}

static enum api_name_answer check_release(void *arg, struct str name, struct str account,
                                          struct err *e)
{
    (void)arg;
    assert_true(account.n > 0);
    (void)err_set(e, E_LIMIT, "played");
    return note("check", name);
}

static bool pick(void *arg, char out[API_ADDRESS_BYTES])
{
    (void)arg;
    (void)snprintf(out, API_ADDRESS_BYTES, "tcp.gw.example.com:%u", port);
    return port++ < 20010;
}

static bool is_own(void *arg, struct str host)
{
    (void)arg;
    return str_eq(host, STR("gw.example.com")) || str_eq(host, STR("api.gw.example.com"));
}

static json_t *read_pair(void *arg, struct str certificate, struct str key,
                         enum api_pair_fault *out, struct err *e)
{
    (void)arg;
    (void)key;
    assert_true(certificate.n > 0);
    *out = fault;
    if (fault != API_PAIR_FINE) {
        (void)err_set(e, E_CERTIFICATE_PEM, "played");
        return NULL;
    }
    return json_pack("{s:s, s:s}", "serial_number", "0a51", "private_key_type", "ecdsa");
}

/* The host of the scene is what is played. */
static void play_host(struct scene *s)
{
    s->host.suffixes = suffixes;
    s->host.name_reserve = reserve;
    s->host.name_release = release;
    s->host.name_check_release = check_release;
    s->host.address_pick = pick;
    s->host.is_own_host = is_own;
    s->host.certificate_read = read_pair;
    s->host.region = "home";
}

static int set_up(void **state)
{
    const struct str extra = STR("lan");
    struct scene *s = scene_new();

    suffixes = host_suffixes_new(STR("gw.example.com"), &extra, 1, NULL);
    assert_non_null(suffixes);
    play_host(s);
    answer = API_NAME_OK;
    fault = API_PAIR_FINE;
    port = 20000;
    last[0] = '\0';
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    scene_free(*state);
    host_suffixes_free(suffixes);
    return 0;
}

static const char *path_of(const char *path, const char *id)
{
    static char out[128];

    (void)snprintf(out, sizeof(out), "%s/%s", path, id);
    return out;
}

/* ---- reserved_domains ------------------------------------------------------------------------ */

static void domains_life_of_one(void **state)
{
    static const char *const nulls[] = {
        "certificate",
        "certificate_management_policy",
        "certificate_management_status",
        "acme_challenge_cname_target",
        "resolves_to",
        "error_redirect_url",
    };
    struct scene *s = *state;
    char id[ID_BYTES];

    scene_create(s, &s->alice, "/reserved_domains",
                 "{\"domain\":\" App.Customer.com. \",\"region\":\"us\",\"metadata\":\"m\"}", id);
    assert_memory_equal(id, "rd_", 3);
    assert_string_equal(last, "reserve app.customer.com");
    assert_string_equal(s->event_type, "domain_created.v0");
    assert_string_equal(scene_text(s, "domain"), "app.customer.com");
    assert_string_equal(scene_text(s, "region"), "us");
    assert_string_equal(scene_text(s, "cname_target"), "gw.example.com");
    assert_true(json_is_false(scene_member(s, "is_dev")));
    for (size_t i = 0; i < COUNT(nulls); i++)
        assert_true(json_is_null(scene_member(s, nulls[i])));
    scene_expect(s, &s->alice, "GET", path_of("/reserved_domains", id), NULL, 200);
    scene_expect(
        s, &s->alice, "PATCH", path_of("/reserved_domains", id),
        "{\"description\":\"d\",\"resolves_to\":[{\"value\":\"home\"},{\"value\":\"global\"}]}",
        200);
    assert_string_equal(scene_text(s, "resolves_to.1.value"), "global");
    assert_string_equal(last, "reserve app.customer.com");
    scene_expect(s, &s->alice, "PATCH", path_of("/reserved_domains", id), "{\"resolves_to\":[]}",
                 200);
    assert_true(json_is_null(scene_member(s, "resolves_to")));
    scene_expect_error(s, &s->bob, "DELETE", path_of("/reserved_domains", id), NULL, 404, "");
    scene_expect(s, &s->alice, "DELETE", path_of("/reserved_domains", id), NULL, 204);
    assert_string_equal(last, "release app.customer.com");
    scene_expect(s, &s->bob, "POST", "/reserved_domains", "{\"domain\":\"app.customer.com\"}", 201);
}

static void domains_names_table(void **state)
{
    /* In order: a row sees what the rows before it reserved. */
    static const struct {
        const char *body;
        const char *code; /* "": it is fine */
        const char *domain;
    } rows[] = {
        { "{\"domain\":\"a.gw.example.com\"}", "", "a.gw.example.com" },
        { "{\"name\":\"b\"}", "", "b.gw.example.com" },
        { "{\"name\":\"x.other.com\"}", "", "x.other.com" },
        { "{\"domain\":\"*.Other.com\"}", "", "*.other.com" },
        { "{\"domain\":\"b\\u00fccher.de\"}", "", "xn--bcher-kva.de" },
        { "{\"domain\":\"printer.lan\"}", "", "printer.lan" },
        { "{\"domain\":\"c.com\",\"certificate_id\":\"\"}", "", "c.com" },
        { "{}", "ERR_NGROK_215", "" },
        { "{\"domain\":\"x.com\",\"name\":\"y\"}", "ERR_NGROK_449", "" },
        { "{\"domain\":\"x.*.com\"}", "ERR_NGROK_402", "" },
        { "{\"domain\":\"*x.com\"}", "ERR_NGROK_403", "" },
        { "{\"domain\":\"**.x.com\"}", "ERR_NGROK_403", "" },
        { "{\"domain\":\"api.gw.example.com\"}", "ERR_NGROK_404", "" },
        { "{\"domain\":\"gw.example.com\"}", "ERR_NGROK_404", "" },
        { "{\"domain\":\"x/y.com\"}", "ERR_NGROK_406", "" },
        { "{\"domain\":\"-x.com\"}", "ERR_NGROK_407", "" },
        { "{\"domain\":\"x-.com\"}", "ERR_NGROK_408", "" },
        { "{\"domain\":\"x..com\"}", "ERR_NGROK_409", "" },
        { "{\"domain\":\"ab--c.com\"}", "ERR_NGROK_410", "" },
        { "{\"domain\":\"x.internal\"}", "ERR_NGROK_411", "" },
        { "{\"domain\":\"x.local\"}", "ERR_NGROK_411", "" },
        { "{\"domain\":\"co.uk\"}", "ERR_NGROK_411", "" },
        { "{\"domain\":\"*.co.uk\"}", "ERR_NGROK_416", "" },
        { "{\"domain\":\"*.gw.example.com\"}", "ERR_NGROK_416", "" },
        { "{\"domain\":\"*.example.com\"}", "ERR_NGROK_416", "" },
        { "{\"domain\":\"example.com\"}", "ERR_NGROK_404", "" },
        { "{\"domain\":\"a.gw.example.com\"}", "ERR_NGROK_413", "" },
        { "{\"domain\":\"xn--0.com\"}", "ERR_NGROK_429", "" },
        { "{\"domain\":\"a_b.com\"}", "ERR_NGROK_438", "" },
        { "{\"domain\":\"localhost\"}", "ERR_NGROK_448", "" },
        { "{\"domain\":\"*\"}", "ERR_NGROK_448", "" },
        { "{\"domain\":"
          "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.com\"}",
          "ERR_NGROK_513", "" },
        { "{\"domain\":\"x.com\",\"resolves_to\":[{\"value\":\"mars\"}]}", "ERR_NGROK_215", "" },
        { "{\"domain\":\"x.com\",\"resolves_to\":[{\"value\":\"global\",\"y\":1}]}",
          "ERR_NGROK_215", "" },
        { "{\"domain\":\"x.com\",\"cname_target\":\"y\"}", "ERR_NGROK_214", "" },
    };
    struct scene *s = *state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        if (rows[i].code[0] != '\0') {
            scene_expect_error(s, &s->alice, "POST", "/reserved_domains", rows[i].body, 400,
                               rows[i].code);
            continue;
        }
        scene_expect(s, &s->alice, "POST", "/reserved_domains", rows[i].body, 201);
        assert_string_equal(scene_text(s, "domain"), rows[i].domain);
    }
    scene_expect_error(s, &s->bob, "POST", "/reserved_domains", "{\"domain\":\"a.gw.example.com\"}",
                       400, "ERR_NGROK_414");
}

static void domains_texts_have_limits(void **state)
{
    struct scene *s = *state;
    char body[8192];

    (void)snprintf(body, sizeof(body), "{\"domain\":\"a%062d.a%062d.a%062d.a%062d.com\"}", 0, 0, 0,
                   0);
    scene_expect_error(s, &s->alice, "POST", "/reserved_domains", body, 400, "ERR_NGROK_514");
    (void)snprintf(body, sizeof(body), "{\"domain\":\"x.com\",\"description\":\"%0256d\"}", 0);
    scene_expect_error(s, &s->alice, "POST", "/reserved_domains", body, 400, "ERR_NGROK_420");
    (void)snprintf(body, sizeof(body), "{\"domain\":\"x.com\",\"metadata\":\"%04097d\"}", 0);
    scene_expect_error(s, &s->alice, "POST", "/reserved_domains", body, 400, "ERR_NGROK_421");
    (void)snprintf(body, sizeof(body), "{\"domain\":\"x.com\",\"description\":\"%0255d\"}", 0);
    scene_expect(s, &s->alice, "POST", "/reserved_domains", body, 201);
}

static void domains_host_refuses(void **state)
{
    static const struct {
        enum api_name_answer answer;
        unsigned status;
        const char *code;
    } rows[] = {
        { API_NAME_OWN, 400, "ERR_NGROK_413" },    { API_NAME_OTHER, 400, "ERR_NGROK_414" },
        { API_NAME_COVERS, 400, "ERR_NGROK_417" }, { API_NAME_ONLINE, 400, "ERR_NGROK_430" },
        { API_NAME_USED, 400, "ERR_NGROK_446" },   { API_NAME_FAILED, 500, "ERR_NGROK_741" },
    };
    struct scene *s = *state;
    char id[ID_BYTES];

    scene_create(s, &s->alice, "/reserved_domains", "{\"domain\":\"mine.com\"}", id);
    for (size_t i = 0; i < COUNT(rows); i++) {
        answer = rows[i].answer;
        scene_expect_error(s, &s->alice, "POST", "/reserved_domains", "{\"domain\":\"x.com\"}",
                           rows[i].status, rows[i].code);
        scene_expect_error(s, &s->alice, "DELETE", path_of("/reserved_domains", id), NULL,
                           rows[i].status, rows[i].code);
    }
    answer = API_NAME_OK;
    scene_expect(s, &s->alice, "GET", "/reserved_domains", NULL, 200);
    assert_int_equal(json_array_size(scene_member(s, "reserved_domains")), 1);
    s->host.name_reserve = NULL;
    scene_expect_error(s, &s->alice, "POST", "/reserved_domains", "{\"domain\":\"x.com\"}", 501,
                       "ERR_SALLYPORT_7");
}

static void domains_certificates(void **state)
{
    struct scene *s = *state;
    char cert[ID_BYTES];
    char other[ID_BYTES];
    char domain[ID_BYTES];
    char body[256];
    char action[128];

    scene_create(s, &s->bob, "/tls_certificates",
                 "{\"certificate_pem\":\"c\",\"private_key_pem\":\"k\"}", other);
    scene_create(s, &s->alice, "/tls_certificates",
                 "{\"certificate_pem\":\"c\",\"private_key_pem\":\"k\"}", cert);
    (void)snprintf(body, sizeof(body), "{\"domain\":\"x.com\",\"certificate_id\":\"%s\"}", other);
    scene_expect_error(s, &s->alice, "POST", "/reserved_domains", body, 400, "ERR_NGROK_1965");
    (void)snprintf(body, sizeof(body), "{\"domain\":\"x.com\",\"certificate_id\":\"%s\"}", "nope");
    scene_expect_error(s, &s->alice, "POST", "/reserved_domains", body, 400, "ERR_NGROK_227");
    (void)snprintf(body, sizeof(body), "{\"name\":\"x\",\"certificate_id\":\"%s\"}", cert);
    scene_expect_error(s, &s->alice, "POST", "/reserved_domains", body, 400, "ERR_NGROK_440");
    (void)snprintf(body, sizeof(body), "{\"domain\":\"x.com\",\"certificate_id\":\"%s\"}", cert);
    scene_create(s, &s->alice, "/reserved_domains", body, domain);
    assert_string_equal(scene_text(s, "certificate.id"), cert);
    scene_expect(s, &s->alice, "GET", "/reserved_domains?filter=obj.certificate.id%20!%3D%20%22%22",
                 NULL, 200);
    scene_expect_error(s, &s->alice, "DELETE", path_of("/tls_certificates", cert), NULL, 400,
                       "ERR_SALLYPORT_2");
    (void)snprintf(body, sizeof(body),
                   "{\"certificate_id\":\"%s\",\"certificate_management_policy\":{}}", cert);
    scene_expect_error(s, &s->alice, "PATCH", path_of("/reserved_domains", domain), body, 400,
                       "ERR_SALLYPORT_5");
    (void)snprintf(action, sizeof(action), "/reserved_domains/%s/certificate", domain);
    scene_expect_error(s, &s->bob, "DELETE", action, NULL, 404, "");
    scene_expect(s, &s->alice, "DELETE", action, NULL, 204);
    assert_string_equal(s->event_type, "domain_updated.v0");
    scene_expect(s, &s->alice, "DELETE", action, NULL, 204);
    scene_expect(s, &s->alice, "GET", path_of("/reserved_domains", domain), NULL, 200);
    assert_true(json_is_null(scene_member(s, "certificate")));
    (void)snprintf(body, sizeof(body), "{\"certificate_id\":\"%s\"}", cert);
    scene_expect(s, &s->alice, "PATCH", path_of("/reserved_domains", domain), body, 200);
    scene_expect(s, &s->alice, "PATCH", path_of("/reserved_domains", domain),
                 "{\"certificate_id\":\"\"}", 200);
    assert_true(json_is_null(scene_member(s, "certificate")));
    scene_expect(s, &s->alice, "DELETE", path_of("/tls_certificates", cert), NULL, 204);
    (void)snprintf(action, sizeof(action), "/reserved_domains/%s/certificate_management_policy",
                   domain);
    scene_expect(s, &s->alice, "DELETE", action, NULL, 204);
}

static void domains_management_policies(void **state)
{
    static const struct {
        const char *body;
        const char *code;
    } rows[] = {
        { "{\"domain\":\"x.com\",\"certificate_management_policy\":{}}", "ERR_SALLYPORT_5" },
        { "{\"domain\":\"x.com\",\"certificate_management_policy\":{\"authority\":\"letsencrypt\","
          "\"private_key_type\":\"rsa\"}}",
          "ERR_SALLYPORT_5" },
        { "{\"domain\":\"x.com\",\"certificate_management_policy\":{\"authority\":\"x\"}}",
          "ERR_NGROK_435" },
        { "{\"domain\":\"x.com\",\"certificate_management_policy\":{\"private_key_type\":\"dsa\"}}",
          "ERR_NGROK_1909" },
        { "{\"name\":\"x\",\"certificate_management_policy\":{}}", "ERR_NGROK_439" },
        { "{\"domain\":\"x.com\",\"certificate_management_policy\":{},\"certificate_id\":\"cert_"
          "x\"}",
          "ERR_NGROK_434" },
        { "{\"domain\":\"x.com\",\"certificate_management_policy\":1}", "ERR_NGROK_215" },
    };
    struct scene *s = *state;
    char id[ID_BYTES];

    for (size_t i = 0; i < COUNT(rows); i++)
        scene_expect_error(s, &s->alice, "POST", "/reserved_domains", rows[i].body, 400,
                           rows[i].code);
    scene_create(s, &s->alice, "/reserved_domains",
                 "{\"domain\":\"x.com\",\"certificate_management_policy\":null}", id);
    scene_expect_error(s, &s->alice, "PATCH", path_of("/reserved_domains", id), "{}", 400,
                       "ERR_NGROK_422");
}

/* ---- reserved_addrs -------------------------------------------------------------------------- */

static void addrs_life_of_one(void **state)
{
    struct scene *s = *state;
    char id[ID_BYTES];

    scene_create(s, &s->alice, "/reserved_addrs", "{\"description\":\"db\"}", id);
    assert_memory_equal(id, "ra_", 3);
    assert_string_equal(scene_text(s, "addr"), "tcp.gw.example.com:20000");
    assert_string_equal(scene_text(s, "region"), "us");
    assert_string_equal(last, "reserve tcp.gw.example.com:20000");
    assert_string_equal(s->event_type, "tcp_address_created.v0");
    scene_expect(s, &s->alice, "PATCH", path_of("/reserved_addrs", id), "{\"metadata\":\"m\"}",
                 200);
    answer = API_NAME_USED;
    scene_expect_error(s, &s->alice, "DELETE", path_of("/reserved_addrs", id), NULL, 400,
                       "ERR_SALLYPORT_2");
    answer = API_NAME_OK;
    scene_expect(s, &s->alice, "DELETE", path_of("/reserved_addrs", id), NULL, 204);
    assert_string_equal(last, "release tcp.gw.example.com:20000");
}

static void addrs_errors(void **state)
{
    struct scene *s = *state;
    char id[ID_BYTES];
    char body[8192];

    scene_create(s, &s->alice, "/reserved_addrs", "{\"region\":\"home\"}", id);
    scene_expect_error(s, &s->alice, "PATCH", path_of("/reserved_addrs", id), "{}", 400,
                       "ERR_NGROK_506");
    scene_expect_error(s, &s->alice, "POST", "/reserved_addrs", "{\"region\":\"mars\"}", 400,
                       "ERR_NGROK_500");
    scene_expect_error(s, &s->alice, "POST", "/reserved_addrs", "{\"addr\":\"x:1\"}", 400,
                       "ERR_NGROK_214");
    (void)snprintf(body, sizeof(body), "{\"description\":\"%0256d\"}", 0);
    scene_expect_error(s, &s->alice, "POST", "/reserved_addrs", body, 400, "ERR_NGROK_504");
    (void)snprintf(body, sizeof(body), "{\"metadata\":\"%04097d\"}", 0);
    scene_expect_error(s, &s->alice, "POST", "/reserved_addrs", body, 400, "ERR_NGROK_505");
    answer = API_NAME_ONLINE;
    scene_expect_error(s, &s->alice, "POST", "/reserved_addrs", "{}", 400, "ERR_NGROK_503");
    port = 20010;
    answer = API_NAME_OK;
    scene_expect_error(s, &s->alice, "POST", "/reserved_addrs", "{}", 400, "ERR_NGROK_503");
}

static void addrs_of_an_account_are_limited(void **state)
{
    struct scene *s = scene_new_limited(0, 1);

    (void)state;
    play_host(s);
    scene_expect(s, &s->alice, "POST", "/reserved_addrs", "{}", 201);
    scene_expect_error(s, &s->alice, "POST", "/reserved_addrs", "{}", 400, "ERR_NGROK_502");
    scene_expect(s, &s->bob, "POST", "/reserved_addrs", "{}", 201);
    scene_free(s);
}

/* ---- tls_certificates ------------------------------------------------------------------------ */

static void certificates_life_of_one(void **state)
{
    struct scene *s = *state;
    char id[ID_BYTES];

    scene_create(s, &s->alice, "/tls_certificates",
                 "{\"certificate_pem\":\"the pem\\n\\n\",\"private_key_pem\":\"hush\"}", id);
    assert_memory_equal(id, "cert_", 5);
    assert_string_equal(scene_text(s, "certificate_pem"), "the pem\n\n");
    assert_string_equal(scene_text(s, "serial_number"), "0a51");
    assert_true(json_is_null(scene_member(s, "issued_at")));
    assert_null(scene_member(s, "private_key_pem"));
    assert_null(scene_member(s, "sealed"));
    assert_null(strstr(s->change_object, "hush"));
    assert_string_equal(s->event_type, "tls_certificate_created.v0");
    scene_expect(s, &s->alice, "PATCH", path_of("/tls_certificates", id), "{\"metadata\":\"m\"}",
                 200);
    assert_string_equal(scene_text(s, "serial_number"), "0a51");
    scene_expect_error(s, &s->alice, "PATCH", path_of("/tls_certificates", id), "{}", 400,
                       "ERR_NGROK_215");
    scene_expect_error(s, &s->alice, "PATCH", path_of("/tls_certificates", id),
                       "{\"private_key_pem\":\"x\"}", 400, "ERR_NGROK_214");
    scene_expect_error(s, &s->bob, "GET", path_of("/tls_certificates", id), NULL, 404, "");
    scene_expect(s, &s->alice, "DELETE", path_of("/tls_certificates", id), NULL, 204);
}

static void certificates_errors(void **state)
{
    static const struct {
        enum api_pair_fault fault;
        const char *code;
    } rows[] = {
        { API_PAIR_EMPTY, "ERR_NGROK_1919" },         { API_PAIR_NO_PEM, "ERR_NGROK_1920" },
        { API_PAIR_DAMAGED, "ERR_NGROK_1900" },       { API_PAIR_TOO_LONG, "ERR_NGROK_1900" },
        { API_PAIR_HEADERS, "ERR_NGROK_1910" },       { API_PAIR_TYPE, "ERR_NGROK_1911" },
        { API_PAIR_CERT_IS_KEY, "ERR_NGROK_1925" },   { API_PAIR_ORDER, "ERR_NGROK_1926" },
        { API_PAIR_KEY_ENCRYPTED, "ERR_NGROK_1902" }, { API_PAIR_KEY_TYPE, "ERR_NGROK_1903" },
        { API_PAIR_KEY_IS_CERT, "ERR_NGROK_1924" },   { API_PAIR_OTHER_KEY, "ERR_NGROK_1923" },
    };
    static char body[70000];
    struct scene *s = *state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        fault = rows[i].fault;
        scene_expect_error(s, &s->alice, "POST", "/tls_certificates",
                           "{\"certificate_pem\":\"c\",\"private_key_pem\":\"k\"}", 400,
                           rows[i].code);
    }
    fault = API_PAIR_FINE;
    scene_expect_error(s, &s->alice, "POST", "/tls_certificates", "{\"private_key_pem\":\"k\"}",
                       400, "ERR_NGROK_1922");
    scene_expect_error(s, &s->alice, "POST", "/tls_certificates", "{\"certificate_pem\":\"c\"}",
                       400, "ERR_NGROK_1901");
    scene_expect_error(s, &s->alice, "POST", "/tls_certificates",
                       "{\"certificate_pem\":\"c\",\"private_key_pem\":\" \"}", 400,
                       "ERR_NGROK_1901");
    (void)snprintf(body, sizeof(body),
                   "{\"certificate_pem\":\"%065537d\",\"private_key_pem\":\"k\"}", 0);
    scene_expect_error(s, &s->alice, "POST", "/tls_certificates", body, 400, "ERR_NGROK_1921");
    (void)snprintf(
        body, sizeof(body),
        "{\"certificate_pem\":\"c\",\"private_key_pem\":\"k\",\"description\":\"%0256d\"}", 0);
    scene_expect_error(s, &s->alice, "POST", "/tls_certificates", body, 400, "ERR_NGROK_1914");
    (void)snprintf(body, sizeof(body),
                   "{\"certificate_pem\":\"c\",\"private_key_pem\":\"k\",\"metadata\":\"%04097d\"}",
                   0);
    scene_expect_error(s, &s->alice, "POST", "/tls_certificates", body, 400, "ERR_NGROK_1915");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(domains_life_of_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(domains_names_table, set_up, tear_down),
        cmocka_unit_test_setup_teardown(domains_texts_have_limits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(domains_host_refuses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(domains_certificates, set_up, tear_down),
        cmocka_unit_test_setup_teardown(domains_management_policies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(addrs_life_of_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(addrs_errors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(addrs_of_an_account_are_limited, set_up, tear_down),
        cmocka_unit_test_setup_teardown(certificates_life_of_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(certificates_errors, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
