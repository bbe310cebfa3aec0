/*
 * Unit tests of policy/actions/jwt_validation, policy/token_place and policy/key_source: requests with
 * real tokens through the whole engine; key sets come from a script.
 * Links: tests/unit/policy/fake_host tests/unit/policy/fake_clock
 * Links: tests/unit/policy/fetch_scene tests/unit/policy/jwt_keys
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "policy/body_field.h"
#include "policy/coding.h"
#include "policy/compiled.h"
#include "policy/jwt.h"
#include "policy/key_source.h"
#include "policy/token_place.h"
#include "tests/unit/policy/fake_clock.h"
#include "tests/unit/policy/fetch_scene.h"
#include "tests/unit/policy/jwt_keys.h"

enum { TEXT_MAX_BYTES = 4 * 1024 * 1024, NOW_S = 1700000000 };

#define Q      POLICY_ON_HTTP_REQUEST
#define ISSUER "issuer: {allow_list: [{value: 'https://issuer/'}]}"
#define HEADER                                                                                     \
    "http: {tokens: [{type: jwt, method: header, name: Authorization, prefix: 'Bearer '}]}"
#define KEYS "keys: {sources: {additional_jkus: ['https://a/jwks']}}"
#define JWS  "jws: {allowed_algorithms: [RS256, ES256], " KEYS "}"
#define BODY "http: {tokens: [{type: jwt, method: body, name: id_token}]}"

static const char simple[] = "{" ISSUER ", " HEADER ", " JWS "}";
static const char in_body[] = "{" ISSUER ", " BODY ", " JWS "}";

static struct {
    EVP_PKEY *rsa;
    EVP_PKEY *ec;
    EVP_PKEY *stranger;
    struct buf set;   /* rsa "r", ec "e" */
    struct buf other; /* stranger "s" */
} keys;

static void make_set(struct buf *out, EVP_PKEY *first, const char *more, EVP_PKEY *second)
{
    buf_init(out, TEXT_MAX_BYTES);
    buf_add_str(out, STR("{\"keys\":["));
    jwt_keys_add_jwk(out, first, more);
    if (second != NULL) {
        buf_add_char(out, ',');
        jwt_keys_add_jwk(out, second, ",\"kid\":\"e\"");
    }
    buf_add_str(out, STR("]}"));
}

static int make_keys(void **state)
{
    (void)state;
    keys.rsa = jwt_keys_new("RSA");
    keys.ec = jwt_keys_new("P-256");
    keys.stranger = jwt_keys_new("P-256");
    make_set(&keys.set, keys.rsa, ",\"kid\":\"r\"", keys.ec);
    make_set(&keys.other, keys.stranger, ",\"kid\":\"s\"", NULL);
    return 0;
}

static int free_keys(void **state)
{
    (void)state;
    EVP_PKEY_free(keys.rsa);
    EVP_PKEY_free(keys.ec);
    EVP_PKEY_free(keys.stranger);
    buf_fini(&keys.set);
    buf_fini(&keys.other);
    return 0;
}

/* ---- scenes ---------------------------------------------------------------------------------- */

/* The pattern with the text in place of each '@'; lives in the arena. */
static const char *fill(struct fetch_scene *s, const char *pattern, const char *text)
{
    struct buf out;
    struct str filled;

    buf_init(&out, TEXT_MAX_BYTES);
    for (; *pattern != '\0'; pattern++) {
        if (*pattern == '@')
            buf_add_str(&out, str_from(text));
        else
            buf_add_char(&out, *pattern);
    }
    buf_add_char(&out, '\0');
    filled = arena_str(&s->h.arena, buf_str(&out));
    buf_fini(&out);
    return filled.p;
}

/* A token with these claims; lives in the arena. */
static const char *token(struct fetch_scene *s, EVP_PKEY *key, const char *alg, const char *header,
                         const char *payload)
{
    const char *text;
    struct buf out;

    buf_init(&out, TEXT_MAX_BYTES);
    jwt_keys_add_token(&out, key, alg, header, payload);
    buf_add_char(&out, '\0');
    text = arena_str(&s->h.arena, buf_str(&out)).p;
    buf_fini(&out);
    return text;
}

static const char *good_token(struct fetch_scene *s)
{
    return token(s, keys.ec, "ES256", "{\"alg\":\"ES256\",\"kid\":\"e\"}",
                 "{\"iss\":\"https://issuer/\",\"aud\":[\"me\",\"you\"],\"sub\":\"u 1\"}");
}

static void add_bearer(struct fetch_scene *s, const char *text)
{
    fake_host_add(&s->h, "authorization", fill(s, "Bearer @", text));
}

/* The key set of https://a/jwks comes once. */
static void answer_keys(struct fetch_scene *s)
{
    fetch_scene_answer(s, (struct fetch_answer){
                              .url = "https://a/jwks", .body = buf_str(&keys.set), .version = 1 });
}

static enum policy_verdict run(struct fetch_scene *s, const char *config)
{
    struct counted *policy = fake_host_compile_action(Q, "jwt-validation", config);
    enum policy_verdict verdict = fetch_scene_run(s, policy, Q);

    counted_unref(policy);
    return verdict;
}

static void expect_refused(struct fetch_scene *s, const char *config, enum err_code code)
{
    assert_int_equal(run(s, config), POLICY_RESPOND);
    if (s->h.response->error != code)
        fail_msg("%s: %u instead of %u", s->h.response->message, err_number(s->h.response->error),
                 err_number(code));
    assert_true(str_starts(str_from(s->h.response->message), STR("jwt-validation: ")));
    assert_false(s->h.response->runs_response_phase);
}

static void expect_eval(struct fetch_scene *s, const char *expression, const char *text)
{
    const char *is = fake_host_eval(&s->h, Q, expression);

    if (strcmp(is, text) != 0)
        fail_msg("%s: %s instead of %s", expression, is, text);
}

/* ---- tokens in headers ----------------------------------------------------------------------- */

static void good_token_passes(void **state)
{
    struct fetch_scene s;

    (void)state;
    fetch_scene_init(&s);
    answer_keys(&s);
    add_bearer(&s, good_token(&s));
    assert_int_equal(run(&s, simple), POLICY_CONTINUE);
    assert_int_equal(s.asked[0].shared.fresh_ms, 15 * 60 * 1000);
    assert_int_equal(s.asked[0].shared.stale_ms, 24 * 60 * 60 * 1000);
    assert_int_equal(s.asked[0].shared.refetch_ms, 60 * 1000);
    assert_int_equal(s.asked[0].shared.version, 0);
    assert_int_equal(s.h.suspended, 1);
    fetch_scene_fini(&s);
}

static void header_must_have_the_token(void **state)
{
    static const struct {
        const char *name;
        const char *value;
        enum err_code code;
    } cases[] = {
        { "x", "y", E_TOKEN_HEADER },
        { "authorization", "", E_TOKEN_PREFIX },
        { "authorization", "bearer e30.e30.e30", E_TOKEN_PREFIX },
        { "authorization", "Basic e30.e30.e30", E_TOKEN_PREFIX },
        { "authorization", "Bearer", E_TOKEN_PREFIX },
        { "authorization", "Bearer ",
          E_TOKEN_PREFIX }, /* blanks at the end are no part of a field */
        { "authorization", "Bearer x", E_TOKEN_MALFORMED },
        { "Authorization", "Bearer e30.e30.e30", E_TOKEN_MALFORMED },
        { "Authorization", "Bearer eyJhbGciOiJub25lIn0.e30.", E_CREDENTIALS },
        { "Authorization", "Bearer eyJhbGciOiJIUzI1NiJ9.e30.e30", E_CREDENTIALS },
        { "Authorization", "Bearer eyJhbGciOiJSUzUxMiJ9.e30.e30", E_CREDENTIALS }, /* not allowed */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fetch_scene s;

        fetch_scene_init(&s);
        fake_host_add(&s.h, cases[i].name, cases[i].value);
        expect_refused(&s, simple, cases[i].code);
        fetch_scene_fini(&s);
    }
}

static void header_that_is_there_twice_is_refused(void **state)
{
    struct fetch_scene s;

    (void)state;
    fetch_scene_init(&s);
    add_bearer(&s, good_token(&s));
    add_bearer(&s, good_token(&s));
    expect_refused(&s, simple, E_TOKEN_MALFORMED);
    fetch_scene_fini(&s);
}

static void header_name_and_prefix_may_be_interpolated(void **state)
{
    struct fetch_scene s;

    (void)state;
    fetch_scene_init(&s);
    answer_keys(&s);
    fake_host_add(&s.h, "x-get", fill(&s, "192.0.2.1 @", good_token(&s)));
    assert_int_equal(run(&s, "{issuer: {allow_list: [{value: '${\"https:\" + \"//issuer/\"}'}]},"
                             " http: {tokens: [{type: jwt, method: header, name: 'X-${req.method}',"
                             " prefix: '${conn.client_ip} '}]},"
                             " jws: {allowed_algorithms: [ES256], keys: {sources: {additional_jkus:"
                             " ['https://${\"a\"}/jwks']}}}}"),
                     POLICY_CONTINUE);
    fetch_scene_fini(&s);
}

static void failing_interpolation_is_an_error_of_the_policy(void **state)
{
    struct fetch_scene s;

    (void)state;
    fetch_scene_init(&s);
    add_bearer(&s, good_token(&s));
    expect_refused(&s,
                   "{" ISSUER ", " HEADER ", jws: {allowed_algorithms: [ES256], keys: {sources:"
                   " {additional_jkus: [\"${req.headers['x'][0]}\"]}}}}",
                   E_POLICY_FIELD_EVALUATION);
    fetch_scene_fini(&s);
    fetch_scene_init(&s);
    add_bearer(&s, good_token(&s));
    expect_refused(&s,
                   "{" ISSUER ", " HEADER ", jws: {allowed_algorithms: [ES256], keys: {sources:"
                   " {additional_jkus: ['${req.method}']}}}}",
                   E_POLICY_FIELD_EVALUATION);
    fetch_scene_fini(&s);
}

/* ---- claims ---------------------------------------------------------------------------------- */

static void claims_decide(void **state)
{
    static const char plain[] = "";
    static const char audience[] = ", audience: {allow_list: [{value: me}, {value: other}]}";
    static const struct {
        const char *more;
        const char *payload;
        enum err_code code;
    } cases[] = {
        { plain, "{\"iss\":\"https://issuer/\"}", E_OK },
        { plain, "{\"iss\":\"https://issuer\"}", E_TOKEN_FORBIDDEN },
        { plain, "{\"iss\":\"https://Issuer/\"}", E_TOKEN_FORBIDDEN },
        { plain, "{\"iss\":\"\"}", E_TOKEN_FORBIDDEN },
        { plain, "{}", E_TOKEN_FORBIDDEN },
        { plain, "{\"iss\":\"https://issuer/\\u0000\"}", E_TOKEN_FORBIDDEN },
        { plain, "{\"iss\":\"https://issuer/\",\"exp\":1699999941}", E_OK }, /* 59 s ago */
        { plain, "{\"iss\":\"https://issuer/\",\"exp\":1699999940}", E_CREDENTIALS },
        { plain, "{\"iss\":\"https://issuer/\",\"nbf\":1700000060}", E_OK },
        { plain, "{\"iss\":\"https://issuer/\",\"nbf\":1700000061}", E_CREDENTIALS },
        { plain, "{\"iss\":\"https://issuer/\",\"aud\":\"anybody\"}", E_OK },
        { audience, "{\"iss\":\"https://issuer/\",\"aud\":\"me\"}", E_OK },
        { audience, "{\"iss\":\"https://issuer/\",\"aud\":[\"x\",\"other\"]}", E_OK },
        { audience, "{\"iss\":\"https://issuer/\",\"aud\":[\"x\"]}", E_TOKEN_FORBIDDEN },
        { audience, "{\"iss\":\"https://issuer/\",\"aud\":\"Me\"}", E_TOKEN_FORBIDDEN },
        { audience, "{\"iss\":\"https://issuer/\",\"aud\":[]}", E_TOKEN_FORBIDDEN },
        { audience, "{\"iss\":\"https://issuer/\"}", E_TOKEN_FORBIDDEN },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fetch_scene s;
        const char *config;

        fetch_scene_init(&s);
        answer_keys(&s);
        config = fill(&s, "{" ISSUER ", " HEADER ", " JWS "@}", cases[i].more);
        add_bearer(
            &s, token(&s, keys.ec, "ES256", "{\"alg\":\"ES256\",\"kid\":\"e\"}", cases[i].payload));
        if (cases[i].code == E_OK)
            assert_int_equal(run(&s, config), POLICY_CONTINUE);
        else
            expect_refused(&s, config, cases[i].code);
        fetch_scene_fini(&s);
    }
}

static void type_hint_is_compared(void **state)
{
    static const struct {
        const char *type;
        const char *header;
        enum err_code code;
    } cases[] = {
        { "at+jwt", "{\"alg\":\"ES256\",\"typ\":\"at+jwt\"}", E_OK },
        { "at+jwt", "{\"alg\":\"ES256\",\"typ\":\"application/AT+jwt\"}", E_OK },
        { "at+jwt", "{\"alg\":\"ES256\"}", E_OK },
        { "at+jwt", "{\"alg\":\"ES256\",\"typ\":\"JWT\"}", E_CREDENTIALS },
        { "it+jwt", "{\"alg\":\"ES256\",\"typ\":\"at+jwt\"}", E_CREDENTIALS },
        { "it+jwt", "{\"alg\":\"ES256\",\"typ\":\"it+jwt\"}", E_OK },
        { "jwt", "{\"alg\":\"ES256\",\"typ\":\"at+jwt\"}", E_OK },
        { "id_token", "{\"alg\":\"ES256\",\"typ\":\"x\"}", E_OK },
        { "access_token", "{\"alg\":\"ES256\",\"typ\":\"x\"}", E_OK },
        { "plain", "{\"alg\":\"ES256\",\"typ\":\"x\"}", E_OK },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fetch_scene s;
        const char *config;

        fetch_scene_init(&s);
        answer_keys(&s);
        config = fill(
            &s, "{" ISSUER ", http: {tokens: [{type: '@', method: header, name: t}]}, " JWS "}",
            cases[i].type);
        fake_host_add(
            &s.h, "t",
            token(&s, keys.ec, "ES256", cases[i].header, "{\"iss\":\"https://issuer/\"}"));
        if (cases[i].code == E_OK)
            assert_int_equal(run(&s, config), POLICY_CONTINUE);
        else
            expect_refused(&s, config, cases[i].code);
        fetch_scene_fini(&s);
    }
}

/* ---- tokens in bodies ------------------------------------------------------------------------ */

static void set_body(struct fetch_scene *s, const char *method, const char *type, struct str body)
{
    s->h.method = str_from(method);
    if (type != NULL)
        fake_host_add(&s->h, "content-type", type);
    s->h.messages[POLICY_REQUEST].body = body;
}

static void body_carries_tokens(void **state)
{
    static const struct {
        const char *method;
        const char *type;
        const char *body;
    } cases[] = {
        { "POST", "application/json", "{\"id_token\":\"@\",\"other\":[1,{\"id_token\":2}]}" },
        { "PUT", "Application/JSON; charset=utf-8", " {\"a\":\"\\u0000\",\"ID_Token\":\" @\"} " },
        { "PATCH", "application/x-www-form-urlencoded", "id_token=@" },
        { "POST", "application/x-www-form-urlencoded;charset=UTF-8", "a=b&&=&Id%5ftoken=@&c" },
        { "POST", "application/x-www-form-urlencoded", "id_token=%20@+&id_token2=x" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fetch_scene s;
        fetch_scene_init(&s);
        answer_keys(&s);
        set_body(&s, cases[i].method, cases[i].type,
                 str_from(fill(&s, cases[i].body, good_token(&s))));
        assert_int_equal(run(&s, in_body), POLICY_CONTINUE);
        assert_int_equal(s.h.suspended, 2);
        expect_eval(&s, "actions.ngrok.jwt_validation.tokens[0].location", "body");
        fetch_scene_fini(&s);
    }
}

static void body_must_have_the_token(void **state)
{
    static const char json[] = "application/json";
    static const char form[] = "application/x-www-form-urlencoded";
    static const struct {
        const char *method;
        const char *type;
        struct str body;
        enum err_code code;
    } cases[] = {
        { "GET", json, STR_INIT("{}"), E_TOKEN_METHOD },
        { "DELETE", form, STR_INIT("id_token=x"), E_TOKEN_METHOD },
        { "post", json, STR_INIT("{}"), E_TOKEN_METHOD },
        { "POST", NULL, STR_INIT("{}"), E_TOKEN_CONTENT_TYPE },
        { "POST", "text/plain", STR_INIT("{}"), E_TOKEN_CONTENT_TYPE },
        { "POST", "application/jsonx", STR_INIT("{}"), E_TOKEN_CONTENT_TYPE },
        { "POST", "multipart/form-data; boundary=x", STR_INIT("{}"), E_TOKEN_CONTENT_TYPE },
        { "POST", json, STR_INIT(""), E_TOKEN_JSON },
        { "POST", json, STR_INIT("[]"), E_TOKEN_JSON },
        { "POST", json, STR_INIT("{"), E_TOKEN_JSON },
        { "POST", json, STR_INIT("{}{}"), E_TOKEN_JSON },
        { "POST", json, STR_INIT("{}\0"), E_TOKEN_JSON },
        { "POST", json, STR_INIT("{\"id_token\":\"a\",\"id_token\":\"b\"}"), E_TOKEN_JSON },
        { "POST", json, STR_INIT("{\"id_token\":\"a\",\"ID_TOKEN\":\"b\"}"), E_TOKEN_JSON },
        { "POST", json, STR_INIT("{\"id_token\":\"\xff\"}"), E_TOKEN_JSON },
        { "POST", json, STR_INIT("{}"), E_TOKEN_FIELD },
        { "POST", json, STR_INIT("{\"x\":{\"id_token\":\"a\"}}"), E_TOKEN_FIELD },
        { "POST", json, STR_INIT("{\"id_token\":1}"), E_TOKEN_MALFORMED },
        { "POST", json, STR_INIT("{\"id_token\":null}"), E_TOKEN_MALFORMED },
        { "POST", json, STR_INIT("{\"id_token\":\"\"}"), E_TOKEN_MALFORMED },
        { "POST", form, STR_INIT(""), E_TOKEN_FIELD },
        { "POST", form, STR_INIT("id_toke=x&id_tokens=y"), E_TOKEN_FIELD },
        { "POST", form, STR_INIT("id_token=a&Id_Token=b"), E_TOKEN_FORM },
        { "POST", form, STR_INIT("id_token=%"), E_TOKEN_FORM },
        { "POST", form, STR_INIT("id_token=x&a=%4"), E_TOKEN_FORM },
        { "POST", form, STR_INIT("id_token=x&%4g=a"), E_TOKEN_FORM },
        { "POST", form, STR_INIT("id_token"), E_TOKEN_MALFORMED },
        { "POST", form, STR_INIT("id_token="), E_TOKEN_MALFORMED },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fetch_scene s;

        fetch_scene_init(&s);
        set_body(&s, cases[i].method, cases[i].type, cases[i].body);
        expect_refused(&s, in_body, cases[i].code);
        fetch_scene_fini(&s);
    }
}

static void body_that_cannot_be_had_is_refused(void **state)
{
    struct fetch_scene s;

    (void)state;
    fetch_scene_init(&s);
    set_body(&s, "POST", "application/json", STR("{}"));
    s.h.body_error = E_POLICY_BODY_TOO_LARGE;
    expect_refused(&s, in_body, E_POLICY_BODY_TOO_LARGE);
    assert_int_equal(err_status(E_POLICY_BODY_TOO_LARGE), 413);
    fetch_scene_fini(&s);
    fetch_scene_init(&s);
    set_body(&s, "POST", "application/json", STR("{}"));
    s.h.messages[POLICY_REQUEST].no_body = true;
    expect_refused(&s, in_body, E_TOKEN_JSON);
    fetch_scene_fini(&s);
}

/* A body of `n` bytes that passes through gzip. */
static void set_gzip_body(struct fetch_scene *s, struct str text)
{
    struct encoder *encoder = encoder_new(CODING_GZIP);
    struct buf out;

    buf_init(&out, TEXT_MAX_BYTES);
    assert_int_equal(encoder_push(encoder, text, CODING_FINISH, &out, NULL), 0);
    encoder_free(encoder);
    fake_host_add(&s->h, "content-encoding", "gzip");
    set_body(s, "POST", "application/json", arena_str(&s->h.arena, buf_str(&out)));
    buf_fini(&out);
}

static void body_is_decoded_first(void **state)
{
    struct fetch_scene s;
    struct buf large;

    (void)state;
    fetch_scene_init(&s);
    answer_keys(&s);
    set_gzip_body(&s, str_from(fill(&s, "{\"id_token\":\"@\"}", good_token(&s))));
    assert_int_equal(run(&s, in_body), POLICY_CONTINUE);
    fetch_scene_fini(&s);

    fetch_scene_init(&s);
    fake_host_add(&s.h, "content-encoding", "gzip");
    set_body(&s, "POST", "application/json", STR("{\"id_token\":\"x\"}"));
    expect_refused(&s, in_body, E_TOKEN_JSON);
    fetch_scene_fini(&s);

    buf_init(&large, TEXT_MAX_BYTES);
    buf_add_fmt(&large, "{\"a\":\"%0*d\"}", 1024 * 1024, 0);
    fetch_scene_init(&s);
    set_gzip_body(&s, buf_str(&large));
    expect_refused(&s, in_body, E_POLICY_BODY_TOO_LARGE);
    fetch_scene_fini(&s);
    buf_fini(&large);
}

static void json_of_too_many_values_is_refused(void **state)
{
    (void)state;
    for (int extra = 0; extra <= 1; extra++) {
        struct fetch_scene s;
        struct buf body;

        /* the object, the list, and a comma for each further value */
        buf_init(&body, TEXT_MAX_BYTES);
        buf_add_str(&body, STR("{\"a\":[0"));
        for (int i = 0; i < BODY_FIELD_VALUES_MAX - 4 + extra; i++)
            buf_add_str(&body, STR(",0"));
        buf_add_str(&body, STR("],\"b\":\",[{\\\",\"}"));
        fetch_scene_init(&s);
        set_body(&s, "POST", "application/json", buf_str(&body));
        expect_refused(&s, in_body, extra == 0 ? E_TOKEN_FIELD : E_TOKEN_JSON);
        buf_fini(&body);
        fetch_scene_fini(&s);
    }
}

/* ---- several tokens -------------------------------------------------------------------------- */

static void all_tokens_must_be_good(void **state)
{
    static const char config[] =
        "{" ISSUER ", http: {tokens: [{type: access_token, method: header, name: a},"
        " {type: it+jwt, method: body, name: b}, {type: jwt, method: header, name: c}]}, " JWS "}";
    struct fetch_scene s;
    struct fetch_answer again = { .url = "https://a/jwks",
                                  .body = buf_str(&keys.set),
                                  .version = 1 };

    (void)state;
    fetch_scene_init(&s);
    for (int i = 0; i < 3; i++)
        fetch_scene_answer(&s, again);
    fake_host_add(&s.h, "a", good_token(&s));
    fake_host_add(&s.h, "c", good_token(&s));
    set_body(&s, "POST", "application/json", str_from(fill(&s, "{\"b\":\"@\"}", good_token(&s))));
    assert_int_equal(run(&s, config), POLICY_CONTINUE);
    expect_eval(&s, "actions.ngrok.jwt_validation.tokens.map(t, t.location_property)",
                "[\"a\",\"b\",\"c\"]");
    expect_eval(&s, "actions.ngrok.jwt_validation.tokens.all(t, t.verified)", "true");
    fetch_scene_fini(&s);

    fetch_scene_init(&s);
    fake_host_add(&s.h, "a", good_token(&s));
    set_body(&s, "POST", "application/json", str_from(fill(&s, "{\"b\":\"@\"}", good_token(&s))));
    expect_refused(&s, config, E_TOKEN_HEADER);
    expect_eval(&s, "size(actions.ngrok.jwt_validation.tokens)", "0");
    fetch_scene_fini(&s);

    fetch_scene_init(&s);
    fetch_scene_answer(&s, again);
    fetch_scene_answer(&s, again);
    fake_host_add(&s.h, "a", good_token(&s));
    fake_host_add(&s.h, "c", good_token(&s));
    set_body(&s, "POST", "application/json",
             str_from(fill(&s, "{\"b\":\"@\"}",
                           token(&s, keys.ec, "ES256", "{\"alg\":\"ES256\"}", "{}"))));
    expect_refused(&s, config, E_TOKEN_FORBIDDEN);
    expect_eval(&s, "actions.ngrok.jwt_validation.tokens.map(t, t.verified)", "[true,false]");
    fetch_scene_fini(&s);
}

/* ---- results --------------------------------------------------------------------------------- */

#define RESULT "actions.ngrok.jwt_validation"

static void results_tell_of_the_token(void **state)
{
    struct fetch_scene s;
    const char *text;

    (void)state;
    fetch_scene_init(&s);
    answer_keys(&s);
    text = good_token(&s);
    add_bearer(&s, text);
    assert_int_equal(run(&s, simple), POLICY_CONTINUE);
    expect_eval(&s, "size(" RESULT ".tokens)", "1");
    expect_eval(&s, RESULT ".tokens[0].header", "{\"alg\":\"ES256\",\"kid\":\"e\"}");
    expect_eval(&s, RESULT ".tokens[0].payload.sub", "u 1");
    expect_eval(&s, "'you' in " RESULT ".tokens[0].payload.aud", "true");
    expect_eval(&s, RESULT ".tokens[0].signature", strrchr(text, '.') + 1);
    expect_eval(&s, RESULT ".tokens[0].location", "header");
    expect_eval(&s, RESULT ".tokens[0].location_property", "Authorization");
    expect_eval(&s, RESULT ".tokens[0].verified", "true");
    expect_eval(&s, RESULT ".error", "{\"code\":\"\",\"message\":\"\"}");
    fetch_scene_fini(&s);
}

static void results_tell_of_the_refusal(void **state)
{
    struct fetch_scene s;

    (void)state;
    fetch_scene_init(&s);
    answer_keys(&s);
    add_bearer(&s, token(&s, keys.stranger, "ES256", "{\"alg\":\"ES256\",\"kid\":\"e\"}", "{}"));
    expect_refused(&s, simple, E_CREDENTIALS);
    expect_eval(&s, RESULT ".error.code", "ERR_NGROK_3401");
    expect_eval(&s, RESULT ".error.message",
                "jwt-validation: http.tokens[0]: the signature of the token is wrong");
    expect_eval(&s, RESULT ".tokens[0].verified", "false");
    fetch_scene_fini(&s);
}

static void results_that_nobody_reads_are_not_made(void **state)
{
    struct counted *policy = fake_host_compile_action(Q, "jwt-validation", simple);
    struct fetch_scene s;

    (void)state;
    ((struct policy *)policy)->results_read = 0;
    fetch_scene_init(&s);
    answer_keys(&s);
    add_bearer(&s, good_token(&s));
    assert_int_equal(fetch_scene_run(&s, policy, Q), POLICY_CONTINUE);
    expect_eval(&s, RESULT " == null", "true");
    counted_unref(policy);
    fetch_scene_fini(&s);
}

/* ---- keys ------------------------------------------------------------------------------------ */

#define TWO_SOURCES                                                                                \
    "{" ISSUER ", " HEADER ", jws: {allowed_algorithms: [RS256, ES256], keys: {sources:"           \
    " {additional_jkus: ['https://a/jwks', 'https://b/jwks']}}}}"

struct answers {
    const char *url;
    struct buf *set; /* NULL: what no key set is */
    uint64_t version;
    enum err_code error;
    uint64_t asked_version; /* that the action must ask to be newer than */
};

static void answer_all(struct fetch_scene *s, const struct answers *a, size_t count)
{
    for (size_t i = 0; i < count; i++)
        fetch_scene_answer(s, (struct fetch_answer){
                                  .url = a[i].url,
                                  .error = a[i].error,
                                  .body = a[i].set != NULL ? buf_str(a[i].set) : STR("<html>"),
                                  .version = a[i].version,
                                  .took_ms = 100,
                              });
}

static void expect_versions(const struct fetch_scene *s, const struct answers *a, size_t first,
                            size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_int_equal(s->asked[first + i].shared.version, a[i].asked_version);
}

/* What the sources give, and what becomes of a token that the stranger signed. */
static void sources_are_searched_in_order(void **state)
{
    static const char by_kid[] = "{\"alg\":\"ES256\",\"kid\":\"s\"}";
    static const char no_kid[] = "{\"alg\":\"ES256\"}";
    static const char wrong_kid[] = "{\"alg\":\"ES256\",\"kid\":\"e\"}";
    const struct {
        const char *header;
        struct answers answers[6];
        size_t count;
        enum err_code code;
    } cases[] = {
        { by_kid,
          { { "https://a/jwks", &keys.set, 1, E_OK, 0 },
            { "https://b/jwks", &keys.other, 2, E_OK, 0 } },
          2,
          E_OK },
        { no_kid,
          { { "https://a/jwks", &keys.set, 1, E_OK, 0 },
            { "https://b/jwks", &keys.other, 2, E_OK, 0 } },
          2,
          E_OK },
        /* An unknown kid: newer ones are asked for, and one of them has it. */
        { by_kid,
          { { "https://a/jwks", &keys.set, 1, E_OK, 0 },
            { "https://b/jwks", &keys.set, 7, E_OK, 0 },
            { "https://a/jwks", &keys.set, 1, E_OK, 1 },
            { "https://b/jwks", &keys.other, 8, E_OK, 7 } },
          4,
          E_OK },
        /* It stays unknown. */
        { by_kid,
          { { "https://a/jwks", &keys.set, 1, E_OK, 0 },
            { "https://b/jwks", &keys.set, 7, E_OK, 0 },
            { "https://a/jwks", &keys.set, 2, E_OK, 1 },
            { "https://b/jwks", &keys.set, 7, E_OK, 7 } },
          4,
          E_CREDENTIALS },
        /* The key is there, but did not sign: no reason to fetch. */
        { wrong_kid,
          { { "https://a/jwks", &keys.set, 1, E_OK, 0 },
            { "https://b/jwks", &keys.set, 7, E_OK, 0 } },
          2,
          E_CREDENTIALS },
        { no_kid,
          { { "https://a/jwks", &keys.set, 1, E_OK, 0 },
            { "https://b/jwks", &keys.set, 7, E_OK, 0 } },
          2,
          E_CREDENTIALS },
        /* One source has failed: it is not asked again at once. */
        { by_kid,
          { { "https://a/jwks", NULL, 0, E_FETCH_TIMEOUT, 0 },
            { "https://b/jwks", &keys.other, 2, E_OK, 0 } },
          2,
          E_OK },
        { by_kid,
          { { "https://a/jwks", NULL, 0, E_FETCH_TIMEOUT, 0 },
            { "https://b/jwks", &keys.set, 2, E_OK, 0 },
            { "https://b/jwks", &keys.set, 2, E_OK, 2 } },
          3,
          E_TOKEN_KEYS },
        { wrong_kid,
          { { "https://a/jwks", &keys.set, 1, E_OK, 0 },
            { "https://b/jwks", NULL, 0, E_FETCH_FAILED, 0 } },
          2,
          E_CREDENTIALS },
        { no_kid, /* its key may be in the missing set */
          { { "https://a/jwks", &keys.set, 1, E_OK, 0 },
            { "https://b/jwks", NULL, 0, E_FETCH_FAILED, 0 } },
          2,
          E_TOKEN_KEYS },
        { by_kid,
          { { "https://a/jwks", NULL, 0, E_FETCH_FAILED, 0 },
            { "https://b/jwks", NULL, 0, E_FETCH_FAILED, 0 } },
          2,
          E_TOKEN_KEYS },
        /* What is no key set may be one the next time. */
        { by_kid,
          { { "https://a/jwks", NULL, 1, E_OK, 0 },
            { "https://b/jwks", NULL, 2, E_OK, 0 },
            { "https://a/jwks", &keys.other, 3, E_OK, 1 } },
          3,
          E_OK },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fetch_scene s;

        fetch_scene_init(&s);
        answer_all(&s, cases[i].answers, cases[i].count);
        add_bearer(&s, token(&s, keys.stranger, "ES256", cases[i].header,
                             "{\"iss\":\"https://issuer/\"}"));
        if (cases[i].code == E_OK)
            assert_int_equal(run(&s, TWO_SOURCES), POLICY_CONTINUE);
        else
            expect_refused(&s, TWO_SOURCES, cases[i].code);
        expect_versions(&s, cases[i].answers, 0, cases[i].count);
        fetch_scene_fini(&s);
    }
}

/* A source that gave a key set and then something else. */
static void old_keys_serve_when_the_new_document_is_bad(void **state)
{
    const struct answers first = { "https://a/jwks", &keys.set, 1, E_OK, 0 };
    const struct answers bad = { "https://a/jwks", NULL, 2, E_OK, 0 };
    const struct answers still_bad = { "https://a/jwks", NULL, 2, E_OK, 2 };
    struct fetch_scene s;

    (void)state;
    fetch_scene_init(&s);
    add_bearer(&s, good_token(&s));
    answer_all(&s, &first, 1);
    assert_int_equal(run(&s, simple), POLICY_CONTINUE);
    answer_all(&s, &bad, 1);
    assert_int_equal(run(&s, simple), POLICY_CONTINUE);
    fake_mono_ms += KEY_SOURCE_STALE_MS - 1000;
    answer_all(&s, &still_bad, 1);
    assert_int_equal(run(&s, simple), POLICY_CONTINUE);
    expect_versions(&s, &still_bad, 2, 1);
    fake_mono_ms += 2000; /* now they are a day old */
    answer_all(&s, &still_bad, 1);
    answer_all(&s, &still_bad, 1);
    expect_refused(&s, simple, E_TOKEN_KEYS);
    fetch_scene_fini(&s);
}

static void source_that_failed_is_left_alone_for_a_while(void **state)
{
    const struct answers failed = { "https://a/jwks", NULL, 0, E_FETCH_FAILED, 0 };
    const struct answers there = { "https://a/jwks", &keys.set, 1, E_OK, 0 };
    struct fetch_scene s;

    (void)state;
    fetch_scene_init(&s);
    add_bearer(&s, good_token(&s));
    answer_all(&s, &failed, 1);
    expect_refused(&s, simple, E_TOKEN_KEYS);
    fake_mono_ms += KEY_SOURCE_RETRY_MS - 200;
    expect_refused(&s, simple, E_TOKEN_KEYS);
    fake_mono_ms += 200;
    answer_all(&s, &there, 1);
    assert_int_equal(run(&s, simple), POLICY_CONTINUE);
    fetch_scene_fini(&s);
}

static void search_waits_for_a_bounded_time(void **state)
{
    struct fetch_scene s;

    (void)state;
    fetch_scene_init(&s);
    add_bearer(&s, good_token(&s));
    for (int i = 0; i < 2; i++)
        fetch_scene_answer(&s, (struct fetch_answer){ .error = E_FETCH_TIMEOUT,
                                                      .took_ms = KEY_SOURCE_TIMEOUT_MS });
    expect_refused(
        &s,
        "{" ISSUER ", " HEADER ", jws: {allowed_algorithms: [ES256], keys: {sources:"
        " {additional_jkus: ['https://a/', 'https://b/', 'https://c/', 'https://d/']}}}}",
        E_TOKEN_KEYS);
    fetch_scene_fini(&s);
}

/* Beyond this a key of the cache is a digest. */
static void long_urls_are_cached_too(void **state)
{
    struct fetch_scene s;
    struct buf url;
    const char *config;

    (void)state;
    fetch_scene_init(&s);
    buf_init(&url, TEXT_MAX_BYTES);
    buf_add_fmt(&url, "https://a/%0600d%c", 0, '\0');
    config = fill(&s,
                  "{" ISSUER ", " HEADER ", jws: {allowed_algorithms: [ES256],"
                  " keys: {sources: {additional_jkus: ['@']}}}}",
                  buf_str(&url).p);
    add_bearer(&s, good_token(&s));
    fetch_scene_answer(&s, (struct fetch_answer){ .body = buf_str(&keys.set), .version = 1 });
    assert_int_equal(run(&s, config), POLICY_CONTINUE);
    /* Of the same version: the text is not even looked at. */
    fetch_scene_answer(&s, (struct fetch_answer){ .body = STR("<html>"), .version = 1 });
    assert_int_equal(run(&s, config), POLICY_CONTINUE);
    buf_fini(&url);
    fetch_scene_fini(&s);
}

static void tries_of_a_token_are_bounded(void **state)
{
    struct fetch_scene s;
    struct buf many;

    (void)state;
    for (int before = KEY_SOURCE_TRIES_MAX - 1; before <= KEY_SOURCE_TRIES_MAX; before++) {
        buf_init(&many, TEXT_MAX_BYTES);
        buf_add_str(&many, STR("{\"keys\":["));
        for (int i = 0; i < before; i++) {
            jwt_keys_add_jwk(&many, keys.stranger, "");
            buf_add_char(&many, ',');
        }
        jwt_keys_add_jwk(&many, keys.ec, "");
        buf_add_str(&many, STR("]}"));
        fetch_scene_init(&s);
        fetch_scene_answer(&s, (struct fetch_answer){ .body = buf_str(&many), .version = 1 });
        add_bearer(&s, token(&s, keys.ec, "ES256", "{\"alg\":\"ES256\"}",
                             "{\"iss\":\"https://issuer/\"}"));
        if (before < KEY_SOURCE_TRIES_MAX)
            assert_int_equal(run(&s, simple), POLICY_CONTINUE);
        else
            expect_refused(&s, simple, E_CREDENTIALS);
        fetch_scene_fini(&s);
        buf_fini(&many);
    }
}

/* ---- config ---------------------------------------------------------------------------------- */

static void odd_shapes_are_accepted(void **state)
{
    static const char *const configs[] = {
        "{" ISSUER ", " HEADER ", jws: {allowed_algorithms: [RS256], keys: [{sources:"
        " [{additional_jkus: ['https://a/']}, {additional_jkus: ['https://b/']}]}]}}",
        "{" ISSUER ", " HEADER ", jws: {allowed_algorithms: [RS256], keys:"
        " [{identification: [{token_claims: [kid]}]}, {sources: {additional_jkus: "
        "['http://a/']}}]}}",
        "{" ISSUER ", " HEADER ", jws: {allowed_algorithms: [RS256, RS384, RS512, PS256, PS384,"
        " PS512, ES256, ES384, ES512, EdDSA], keys: {identification: {token_claims: [kid]},"
        " sources: {additional_jkus: ['https://a/']}}}}",
        "{issuer: {allow_list: [{value: 'https://<YOUR_TENANT>.<REGION>.auth0.com/'}]},"
        " audience: {allow_list: [{value: 'https://$YOUR_DOMAIN'}]}, " HEADER ","
        " jws: {allowed_algorithms: [RS256],"
        " keys: {sources: {additional_jkus: ['https://<YOUR_TENANT>/.well-known/jwks.json']}}}}",
        "{" ISSUER ", http: {tokens: [{type: jwt, method: header, name: t},"
        " {type: jwt, method: body, name: T}, {type: jwt, method: header, name: "
        "'${req.method}'}]}, " JWS "}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(configs) / sizeof(configs[0]); i++)
        counted_unref(fake_host_compile_action(Q, "jwt-validation", configs[i]));
    fake_host_expect_config_warning(
        Q, "jwt-validation",
        "{" ISSUER ", audience: {allow_list: [{value: '${req.host}'}]}, " HEADER ", " JWS "}",
        "an audience is plain text");
}

#define TOKENS(list) "{" ISSUER ", http: {tokens: " list "}, " JWS "}"
#define JWS_OF(jws)  "{" ISSUER ", " HEADER ", jws: {" jws "}}"

static void bad_configs_are_refused(void **state)
{
    static const struct {
        const char *config;
        enum err_code code;
        const char *needle;
    } cases[] = {
        { "{}", E_POLICY_MISSING, "config.issuer: it is required" },
        { "{}", E_POLICY_MISSING, "config.http: it is required" },
        { "{}", E_POLICY_MISSING, "config.jws: it is required" },
        { "{issuer: x}", E_POLICY_CONFIG, "config.issuer: it must be a mapping" },
        { "{issuer: {}}", E_POLICY_MISSING, "config.issuer.allow_list: it is required" },
        { "{issuer: {allow_list: []}}", E_POLICY_MISSING, "config.issuer.allow_list" },
        { "{issuer: {allow_list: ['https://a/']}}", E_POLICY_CONFIG,
          "config.issuer.allow_list[0]: it must be a mapping" },
        { "{issuer: {allow_list: [{}]}}", E_POLICY_MISSING, "config.issuer.allow_list[0].value" },
        { "{issuer: {allow_list: [{value: a}]}}", E_POLICY_ISSUER_URL, "the issuer must be a URL" },
        { "{issuer: {allow_list: [{value: ''}]}}", E_POLICY_ISSUER_URL,
          "the issuer must be a URL" },
        { "{issuer: {allow_list: [{value: 'https://a/'}, {value: 'https://a/'}]}}",
          E_POLICY_DUPLICATE, "config.issuer.allow_list[1].value" },
        { "{issuer: {allow_list: [{value: 'https://a/', x: 1}]}}", E_POLICY_CONFIG,
          "unknown field 'x'" },
        { "{issuer: {allow_list: [{value: 'https://${'}]}}", E_POLICY_TEMPLATE,
          "config.issuer.allow_list[0].value" },
        { "{audience: {}}", E_POLICY_MISSING, "config.audience.allow_list: it is required" },
        { "{audience: {allow_list: []}}", E_POLICY_MISSING, "config.audience.allow_list" },
        { "{audience: {allow_list: [{value: ''}]}}", E_POLICY_EMPTY, "config.audience" },
        { "{audience: {allow_list: [{value: a}, {value: a}]}}", E_POLICY_DUPLICATE,
          "config.audience.allow_list[1].value" },
        { "{http: []}", E_POLICY_CONFIG, "config.http: it must be a mapping" },
        { "{http: {}}", E_POLICY_MISSING, "config.http.tokens: it is required" },
        { TOKENS("[]"), E_POLICY_MISSING, "config.http.tokens" },
        { TOKENS("[{}]"), E_POLICY_MISSING, "config.http.tokens[0].type" },
        { TOKENS("[{}]"), E_POLICY_MISSING, "config.http.tokens[0].method" },
        { TOKENS("[{}]"), E_POLICY_MISSING, "config.http.tokens[0].name" },
        { TOKENS("[{type: jws, method: header, name: a}]"), E_POLICY_CHOICE,
          "config.http.tokens[0].type" },
        { TOKENS("[{type: jwt, method: query, name: a}]"), E_POLICY_CHOICE,
          "config.http.tokens[0].method" },
        { TOKENS("[{type: jwt, method: header, name: ''}]"), E_POLICY_EMPTY,
          "config.http.tokens[0].name" },
        { TOKENS("[{type: jwt, method: header, name: a}, {type: plain, method: header, name: A}]"),
          E_POLICY_DUPLICATE, "config.http.tokens[1]" },
        { TOKENS("[{type: jwt, method: header, name: a, suffix: x}]"), E_POLICY_CONFIG,
          "unknown field 'suffix'" },
        { JWS_OF(KEYS), E_POLICY_MISSING, "config.jws.allowed_algorithms: it is required" },
        { JWS_OF("allowed_algorithms: [], " KEYS), E_POLICY_MISSING,
          "config.jws.allowed_algorithms" },
        { JWS_OF("allowed_algorithms: [none], " KEYS), E_POLICY_CHOICE,
          "'none' cannot be checked with a public key" },
        { JWS_OF("allowed_algorithms: [RS256, None], " KEYS), E_POLICY_CHOICE,
          "config.jws.allowed_algorithms[1]" },
        { JWS_OF("allowed_algorithms: [HS256], " KEYS), E_POLICY_CHOICE,
          "'HS256' cannot be checked with a public key" },
        { JWS_OF("allowed_algorithms: [rs256], " KEYS), E_POLICY_CHOICE, "'rs256'" },
        { JWS_OF("allowed_algorithms: [RSA-OAEP], " KEYS), E_POLICY_CHOICE, "'RSA-OAEP'" },
        { JWS_OF("allowed_algorithms: [RS256, RS256], " KEYS), E_POLICY_DUPLICATE,
          "config.jws.allowed_algorithms[1]" },
        { JWS_OF("allowed_algorithms: [RS256]"), E_POLICY_MISSING, "config.jws.keys" },
        { JWS_OF("allowed_algorithms: [RS256], keys: {}"), E_POLICY_MISSING,
          "at least one URL in sources.additional_jkus" },
        { JWS_OF("allowed_algorithms: [RS256], keys: {sources: {}}"), E_POLICY_MISSING,
          "at least one URL in sources.additional_jkus" },
        { JWS_OF("allowed_algorithms: [RS256], keys: {sources: {additional_jkus: []}}"),
          E_POLICY_MISSING, "additional_jkus" },
        { JWS_OF("allowed_algorithms: [RS256], keys: {sources: {additional_jkus: ['a/jwks']}}"),
          E_POLICY_URL, "additional_jkus[0]" },
        { JWS_OF("allowed_algorithms: [RS256], keys: {sources: {additional_jkus: ['https://a/',"
                 " 'https://a/']}}"),
          E_POLICY_DUPLICATE, "additional_jkus[1]" },
        { JWS_OF("allowed_algorithms: [RS256], keys: {identification: {token_claims: [x5t]},"
                 " sources: {additional_jkus: ['https://a/']}}"),
          E_POLICY_CHOICE, "token_claims[0]" },
        { JWS_OF("allowed_algorithms: [RS256], keys: {jku: 'https://a/'}"), E_POLICY_CONFIG,
          "unknown field 'jku'" },
        { "{enforce: true}", E_POLICY_CONFIG, "unknown field 'enforce'" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        fake_host_expect_config_refused(Q, "jwt-validation", cases[i].config, cases[i].code,
                                        cases[i].needle);
}

/* Lists of exactly so many entries. */
static void limits_of_lists_hold(void **state)
{
    static const struct {
        const char *before;
        const char *entry; /* '@' is its number */
        const char *behind;
        int max;
    } cases[] = {
        { "{issuer: {allow_list: [", "{value: 'https://@/'},", "]}, " HEADER ", " JWS "}", 100 },
        { "{" ISSUER ", audience: {allow_list: [", "{value: 'a@'},", "]}, " HEADER ", " JWS "}",
          100 },
        { "{" ISSUER ", http: {tokens: [", "{type: jwt, method: header, name: 'a@'},",
          "]}, " JWS "}", TOKENS_MAX },
        { "{" ISSUER ", " HEADER ", jws: {allowed_algorithms: [RS256], keys: {sources:"
          " {additional_jkus: [",
          "'https://a/@',", "]}}}}", 100 },
        { "{" ISSUER ", " HEADER ", jws: {allowed_algorithms: [RS256], keys: {sources: [",
          "{additional_jkus: ['https://a/@']},", "]}}}", 100 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (int extra = 0; extra <= 1; extra++) {
            struct buf config;

            buf_init(&config, TEXT_MAX_BYTES);
            buf_add_str(&config, str_from(cases[i].before));
            for (int k = 0; k < cases[i].max + extra; k++) {
                size_t at = str_find_char(str_from(cases[i].entry), '@');

                buf_add_fmt(&config, "%.*s%d%s", (int)at, cases[i].entry, k,
                            cases[i].entry + at + 1);
            }
            buf_add_str(&config, str_from(cases[i].behind));
            buf_add_char(&config, '\0');
            if (extra == 0)
                counted_unref(fake_host_compile_action(Q, "jwt-validation", buf_str(&config).p));
            else
                fake_host_expect_config_refused(Q, "jwt-validation", buf_str(&config).p,
                                                E_POLICY_LIST_LENGTH, "");
            buf_fini(&config);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_token_passes),
        cmocka_unit_test(header_must_have_the_token),
        cmocka_unit_test(header_that_is_there_twice_is_refused),
        cmocka_unit_test(header_name_and_prefix_may_be_interpolated),
        cmocka_unit_test(failing_interpolation_is_an_error_of_the_policy),
        cmocka_unit_test(claims_decide),
        cmocka_unit_test(type_hint_is_compared),
        cmocka_unit_test(body_carries_tokens),
        cmocka_unit_test(body_must_have_the_token),
        cmocka_unit_test(body_that_cannot_be_had_is_refused),
        cmocka_unit_test(body_is_decoded_first),
        cmocka_unit_test(json_of_too_many_values_is_refused),
        cmocka_unit_test(all_tokens_must_be_good),
        cmocka_unit_test(results_tell_of_the_token),
        cmocka_unit_test(results_tell_of_the_refusal),
        cmocka_unit_test(results_that_nobody_reads_are_not_made),
        cmocka_unit_test(sources_are_searched_in_order),
        cmocka_unit_test(old_keys_serve_when_the_new_document_is_bad),
        cmocka_unit_test(source_that_failed_is_left_alone_for_a_while),
        cmocka_unit_test(search_waits_for_a_bounded_time),
        cmocka_unit_test(long_urls_are_cached_too),
        cmocka_unit_test(tries_of_a_token_are_bounded),
        cmocka_unit_test(odd_shapes_are_accepted),
        cmocka_unit_test(bad_configs_are_refused),
        cmocka_unit_test(limits_of_lists_hold),
    };

    fake_wall_ms = (uint64_t)NOW_S * 1000;
    return cmocka_run_group_tests_name("policy/jwt_validation", tests, make_keys, free_keys);
}
