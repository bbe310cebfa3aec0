/*
 * Unit tests of policy/actions/compress_response: which coding is negotiated, what is left alone, what the
 * headers say, and that the body comes back.
 * Links: tests/unit/policy/fake_host
 * Links: tests/unit/policy/action_scene
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "policy/coding.h"
#include "policy/filter.h"
#include "tests/unit/policy/action_scene.h"

#define S POLICY_ON_HTTP_RESPONSE

static const char action[] = "compress-response";

/* ---- config ---------------------------------------------------------------------------------- */

static void compile_bad_configs_refuses_them(void **state)
{
    static const struct scene_refusal cases[] = {
        { "{algorithms: gzip}", E_POLICY_CONFIG, "config.algorithms: it must be a list" },
        { "{algorithms: []}", E_POLICY_MISSING, "it needs at least 1 entry" },
        { "{algorithms: [[gzip]]}", E_POLICY_CONFIG, "config.algorithms[0]: it must be a string" },
        { "{algorithms: [gzip, lzma]}", E_POLICY_COMPRESSION,
          "config.algorithms[1]: unknown algorithm 'lzma'" },
        { "{algorithms: [GZIP]}", E_POLICY_COMPRESSION, "unknown algorithm 'GZIP'" },
        { "{algorithms: [x-gzip]}", E_POLICY_COMPRESSION, "unknown algorithm 'x-gzip'" },
        { "{algorithms: ['${1}']}", E_POLICY_COMPRESSION, "unknown algorithm" },
        { "{algorithms: [br, gzip, br]}", E_POLICY_DUPLICATE,
          "config.algorithms[2]: 'br' is given" },
        { "{algorithms: [br, br, br, br, br, br]}", E_POLICY_LIST_LENGTH, "6 entries, at most 5" },
        { "{algorithm: gzip}", E_POLICY_CONFIG, "unknown field 'algorithm'" },
    };

    (void)state;
    scene_expect_refusals(S, action, cases, sizeof(cases) / sizeof(cases[0]));
    scene_expect_accepted(S, action, "{algorithms: [compress, zstd, deflate, br, gzip]}");
    scene_expect_accepted(S, action, "{algorithms: [compress]}");
    scene_expect_accepted(S, action, "null");
}

/* ---- negotiation ----------------------------------------------------------------------------- */

static void expect_algorithm(const char *name)
{
    const char *encoding = fake_host_response_values(&scene, "content-encoding");

    if (strcmp(encoding == NULL ? "" : encoding, name) != 0)
        fail_msg("'%s' instead of '%s'", encoding, name);
    assert_int_equal(scene.filter_count, name[0] != '\0');
    scene_expect_text(scene.outcome->compression_algorithm, name[0] != '\0' ? name : "none");
    scene_expect_eval(
        S, "actions.ngrok.compress",
        scene_fmt("{\"already_compressed\":false,\"negotiated_algorithm\":\"%s\"}", name));
}

static void run_negotiates(void **state)
{
    static const char all[] = "{}";
    static const struct {
        const char *config;
        const char *accept; /* NULL: none */
        const char *algorithm;
    } cases[] = {
        { all, NULL, "" },
        { all, "", "" },
        { all, "gzip", "gzip" },
        { all, "GZip", "gzip" },
        { all, "x-gzip", "gzip" },
        { all, "deflate", "deflate" },
        { all, "br", "br" },
        { all, "zstd", "zstd" },
        { all, "compress", "" }, /* LZW is never chosen */
        { all, "lzma", "" },
        { all, "gzip, deflate, br, zstd", "gzip" },
        { all, "br, gzip", "gzip" },
        { all, "br;q=1.0, gzip;q=0.8", "br" },
        { all, "gzip;q=0.8 ,\tbr ; q=0.9", "br" },
        { all, "gzip;q=0.001, br;q=0.002", "br" },
        { all, "gzip;Q=0.5, br;q=0.4", "gzip" },
        { all, "gzip;q=0", "" },
        { all, "gzip;q=0.000, br;q=0.0", "" },
        { all, "gzip;q=0, *", "deflate" },
        { all, "*", "gzip" },
        { all, "*;q=0.5, br;q=0.6", "br" },
        { all, "*;q=0.7, br;q=0.6", "gzip" },
        { all, "*;q=0", "" },
        { all, "br, *;q=0", "br" },
        { all, "identity", "" },
        { all, "identity, gzip", "gzip" }, /* a tie */
        { all, "identity;q=0.5, gzip;q=0.5", "gzip" },
        { all, "identity;q=0.6, gzip;q=0.5", "" },
        { all, "identity, gzip;q=0.9, br;q=0.9", "" },
        { all, "identity;q=0, gzip;q=0.1", "gzip" },
        { all, "identity;q=0", "" },
        { all, "gzip;q=1.1", "" }, /* no quality: not wanted */
        { all, "gzip;q=2", "" },
        { all, "gzip;q=-1", "" },
        { all, "gzip;q=0.1234", "" },
        { all, "gzip;q=x", "" },
        { all, "gzip;level=9", "" },
        { all, "gzip;q=1.000", "gzip" },
        { all, "gzip;q=1.", "gzip" },
        { all, ",, gzip ,", "gzip" },
        { all, "gzi p", "" },
        { "{algorithms: [br, gzip]}", "gzip, br", "br" },
        { "{algorithms: [br, gzip]}", "gzip, deflate", "gzip" },
        { "{algorithms: [br, gzip]}", "deflate, zstd", "" },
        { "{algorithms: [br, gzip]}", "*", "br" },
        { "{algorithms: [compress, zstd]}", "compress, zstd;q=0.1", "zstd" },
        { "{algorithms: [compress]}", "*", "" },
        { "{algorithms: [deflate]}", "gzip, *;q=0.3", "deflate" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        scene_restart();
        if (cases[i].accept != NULL)
            fake_host_add(&scene, "Accept-Encoding", cases[i].accept);
        scene_expect_verdict(S, action, cases[i].config, POLICY_CONTINUE);
        expect_algorithm(cases[i].algorithm);
    }
}

static void run_takes_several_fields_as_one_list(void **state)
{
    (void)state;
    fake_host_add(&scene, "Accept-Encoding", "gzip;q=0.5");
    fake_host_add(&scene, "Accept-Encoding", "br");
    scene_expect_verdict(S, action, "{}", POLICY_CONTINUE);
    expect_algorithm("br");
}

/* ---- what is left alone ----------------------------------------------------------------------- */

static void run_leaves_alone(void **state)
{
    static const struct {
        int status;
        const char *method;
        const char *name;
        const char *value;
        bool no_body;
        bool compresses;
    } cases[] = {
        { 200, "GET", NULL, NULL, false, true },
        { 404, "POST", NULL, NULL, false, true },
        { 200, "HEAD", NULL, NULL, false, false },
        { 101, "GET", NULL, NULL, false, false },
        { 199, "GET", NULL, NULL, false, false },
        { 203, "GET", NULL, NULL, false, true },
        { 204, "GET", NULL, NULL, false, false },
        { 205, "GET", NULL, NULL, false, false },
        { 206, "GET", NULL, NULL, false, false },
        { 304, "GET", NULL, NULL, false, false },
        { 200, "GET", NULL, NULL, true, false },
        { 200, "GET", "Content-Range", "bytes 0-1/2", false, false },
        { 200, "GET", "Cache-Control", "public, No-Transform", false, false },
        { 200, "GET", "Cache-Control", "max-age=1", false, true },
        { 200, "GET", "Cache-Control", "no-transforms", false, true },
        { 200, "GET", "Content-Type", "image/png", false, true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        scene_restart();
        fake_host_add(&scene, "Accept-Encoding", "br");
        scene.status = cases[i].status;
        scene.method = str_from(cases[i].method);
        scene.messages[POLICY_RESPONSE].no_body = cases[i].no_body;
        if (cases[i].name != NULL)
            fake_host_add_response(&scene, cases[i].name, cases[i].value);
        scene_expect_verdict(S, action, "{}", POLICY_CONTINUE);
        expect_algorithm(cases[i].compresses ? "br" : "");
        if (!cases[i].compresses)
            assert_null(fake_host_response_values(&scene, "vary"));
    }
}

static void run_looks_at_every_cache_control(void **state)
{
    (void)state;
    fake_host_add(&scene, "Accept-Encoding", "br");
    fake_host_add_response(&scene, "Cache-Control", "public");
    fake_host_add_response(&scene, "Cache-Control", "no-transform");
    scene_expect_verdict(S, action, "{}", POLICY_CONTINUE);
    expect_algorithm("");
}

static void run_with_an_encoded_response_leaves_it_alone(void **state)
{
    static const char *const encodings[] = { "gzip", "br", "x-unknown", "gzip, identity" };

    (void)state;
    for (size_t i = 0; i < sizeof(encodings) / sizeof(encodings[0]); i++) {
        scene_restart();
        fake_host_add(&scene, "Accept-Encoding", "br");
        fake_host_add_response(&scene, "Content-Encoding", encodings[i]);
        scene_expect_verdict(S, action, "{}", POLICY_CONTINUE);
        assert_int_equal(scene.filter_count, 0);
        assert_string_equal(fake_host_response_values(&scene, "content-encoding"), encodings[i]);
        scene_expect_text(scene.outcome->compression_algorithm, "none");
        scene_expect_eval(S, "actions.ngrok.compress",
                          "{\"already_compressed\":true,\"negotiated_algorithm\":\"\"}");
    }
    scene_restart();
    fake_host_add(&scene, "Accept-Encoding", "br");
    fake_host_add_response(&scene, "Content-Encoding", "Identity");
    scene_expect_verdict(S, action, "{}", POLICY_CONTINUE);
    assert_int_equal(scene.filter_count, 1);
}

static void run_of_a_second_action_does_nothing(void **state)
{
    (void)state;
    fake_host_add(&scene, "Accept-Encoding", "br, gzip");
    assert_int_equal(
        fake_run(&scene,
                 "on_http_response:\n"
                 "- actions: [{type: compress-response, config: {algorithms: [br]}},\n"
                 "            {type: compress-response, config: {algorithms: [gzip]}}]\n",
                 S),
        POLICY_CONTINUE);
    assert_int_equal(scene.filter_count, 1);
    assert_string_equal(fake_host_response_values(&scene, "content-encoding"), "br");
    scene_expect_text(scene.outcome->compression_algorithm, "br");
    scene_expect_eval(S, "actions.ngrok.compress.already_compressed", "true");
}

/* ---- headers ---------------------------------------------------------------------------------- */

static void run_tells_in_the_headers(void **state)
{
    (void)state;
    fake_host_add(&scene, "Accept-Encoding", "gzip");
    fake_host_add_response(&scene, "ETag", "\"abc\"");
    fake_host_add_response(&scene, "Vary", "Origin");
    fake_host_add_response(&scene, "Accept-Ranges", "bytes");
    fake_host_add_response(&scene, "Content-MD5", "x");
    fake_host_add_response(&scene, "Digest", "x");
    fake_host_add_response(&scene, "Content-Digest", "x");
    fake_host_add_response(&scene, "Repr-Digest", "x");
    fake_host_add_response(&scene, "Last-Modified", "y");
    scene_expect_no_result(S, action, "{}", "compress");
    assert_string_equal(fake_host_response_values(&scene, "content-encoding"), "gzip");
    assert_string_equal(fake_host_response_values(&scene, "vary"), "Origin,Accept-Encoding");
    assert_string_equal(fake_host_response_values(&scene, "etag"), "W/\"abc\"");
    assert_string_equal(fake_host_response_values(&scene, "last-modified"), "y");
    assert_null(fake_host_response_values(&scene, "accept-ranges"));
    assert_null(fake_host_response_values(&scene, "content-md5"));
    assert_null(fake_host_response_values(&scene, "digest"));
    assert_null(fake_host_response_values(&scene, "content-digest"));
    assert_null(fake_host_response_values(&scene, "repr-digest"));
}

static void run_keeps_headers_that_say_it_already(void **state)
{
    (void)state;
    fake_host_add(&scene, "Accept-Encoding", "gzip");
    fake_host_add_response(&scene, "ETag", "W/\"abc\"");
    fake_host_add_response(&scene, "Vary", "Origin");
    fake_host_add_response(&scene, "Vary", "accept-encoding, Cookie");
    scene_expect_verdict(S, action, "{}", POLICY_CONTINUE);
    assert_string_equal(fake_host_response_values(&scene, "etag"), "W/\"abc\"");
    assert_string_equal(fake_host_response_values(&scene, "vary"),
                        "Origin,accept-encoding, Cookie");
}

/* ---- bodies ----------------------------------------------------------------------------------- */

static void filter_gives_a_body_that_decodes_to_the_same(void **state)
{
    static const char *const algorithms[] = { "gzip", "deflate", "br", "zstd" };
    static const size_t pieces[] = { 1, 100, FILTER_INPUT_MAX_BYTES };

    (void)state;
    for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++) {
        for (size_t k = 0; k < sizeof(pieces) / sizeof(pieces[0]); k++) {
            const char *text;
            struct str coded;
            struct buf back;

            scene_restart();
            text = scene_repeat(k == 0 ? 100 : 10000, "all work and no play ", "");
            fake_host_add(&scene, "Accept-Encoding", algorithms[i]);
            scene_expect_verdict(S, action, "{}", POLICY_CONTINUE);
            coded = fake_host_filter(&scene, str_from(text), pieces[k]);
            buf_init(&back, 1024 * 1024);
            assert_int_equal(coding_decode_all(str_from(algorithms[i]), coded, &back, NULL), 0);
            assert_true(str_eq(buf_str(&back), str_from(text)));
            buf_fini(&back);
            if (pieces[k] > 1) /* each piece is flushed */
                assert_int_equal(scene.outcome->compression_saved_bytes, strlen(text) - coded.n);
        }
    }
}

static void filter_of_an_empty_body_gives_an_empty_coded_one(void **state)
{
    static const char *const algorithms[] = { "gzip", "deflate", "br", "zstd" };

    (void)state;
    for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++) {
        struct str coded;
        struct buf back;

        scene_restart();
        fake_host_add(&scene, "Accept-Encoding", algorithms[i]);
        scene_expect_verdict(S, action, "{}", POLICY_CONTINUE);
        coded = fake_host_filter(&scene, STR_NONE, 1);
        assert_true(coded.n > 0);
        buf_init(&back, 1);
        assert_int_equal(coding_decode_all(str_from(algorithms[i]), coded, &back, NULL), 0);
        assert_int_equal(back.len, 0);
        buf_fini(&back);
        /* It grew: nothing was saved. */
        assert_int_equal(scene.outcome->compression_saved_bytes, 0);
    }
}

static void filter_that_is_flushed_shows_all_so_far(void **state)
{
    struct policy_filter *f;
    struct buf coded;
    struct buf back;
    struct decoder *d = decoder_new(CODING_BR);
    struct err e;

    (void)state;
    fake_host_add(&scene, "Accept-Encoding", "br");
    scene_expect_verdict(S, action, "{}", POLICY_CONTINUE);
    f = scene.filters[0];
    buf_init(&coded, FILTER_OUTPUT_MAX_BYTES);
    buf_init(&back, 1024);
    assert_int_equal(f->ops->push(f, STR("data: 1\n\n"), &coded, &e), 0);
    assert_int_equal(f->ops->flush(f, &coded, &e), 0);
    assert_int_equal(decoder_push(d, buf_str(&coded), &back, &e), 0);
    scene_expect_text(buf_str(&back), "data: 1\n\n");
    decoder_free(d);
    buf_fini(&coded);
    buf_fini(&back);
}

/* The body that a later action reads is not compressed yet, whatever its header says. */
static void run_in_front_of_a_replacement_compresses_what_it_made(void **state)
{
    struct buf back;
    struct str coded;

    (void)state;
    fake_host_add(&scene, "Accept-Encoding", "gzip");
    scene.messages[POLICY_RESPONSE].body = STR("token=abc");
    assert_int_equal(fake_run(&scene,
                              "on_http_response:\n"
                              "- actions:\n"
                              "  - {type: compress-response}\n"
                              "  - type: response-body-find-replace\n"
                              "    config: {replacements: [{from: abc, to: xyz}]}\n",
                              S),
                     POLICY_CONTINUE);
    assert_string_equal(fake_host_response_values(&scene, "content-encoding"), "gzip");
    scene_expect_text(scene.messages[POLICY_RESPONSE].body, "token=xyz");
    coded = fake_host_filter(&scene, scene.messages[POLICY_RESPONSE].body, 100);
    buf_init(&back, 1024);
    assert_int_equal(coding_decode_all(STR("gzip"), coded, &back, NULL), 0);
    scene_expect_text(buf_str(&back), "token=xyz");
    buf_fini(&back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(compile_bad_configs_refuses_them),
        SCENE_TEST(run_negotiates),
        SCENE_TEST(run_takes_several_fields_as_one_list),
        SCENE_TEST(run_leaves_alone),
        SCENE_TEST(run_looks_at_every_cache_control),
        SCENE_TEST(run_with_an_encoded_response_leaves_it_alone),
        SCENE_TEST(run_of_a_second_action_does_nothing),
        SCENE_TEST(run_tells_in_the_headers),
        SCENE_TEST(run_keeps_headers_that_say_it_already),
        SCENE_TEST(filter_gives_a_body_that_decodes_to_the_same),
        SCENE_TEST(filter_of_an_empty_body_gives_an_empty_coded_one),
        SCENE_TEST(filter_that_is_flushed_shows_all_so_far),
        SCENE_TEST(run_in_front_of_a_replacement_compresses_what_it_made),
    };

    return cmocka_run_group_tests_name("policy/compress_response", tests, NULL, NULL);
}
