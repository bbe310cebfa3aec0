/*
 * Unit tests of the functions that policies have beyond the language: policy/cel/fn_encoders,
 * fn_credentials, fn_hash, fn_json, fn_random, fn_ranges.
 * Links: tests/unit/cel/fn_scene
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "policy/cel/fn_policy.h"
#include "tests/unit/cel/fn_scene.h"

static void base64_is_of_bytes_or_strings(void **state)
{
    static const struct fn_row rows[] = {
        { "base64.encode(b'hello')", "'aGVsbG8='" },
        { "base64.encode(b'')", "''" },
        { "base64.encode(b'\\xfb\\xff')", "'+/8='" },
        { "base64.decode('aGVsbG8=')", "b'hello'" },
        { "base64.decode('aGVsbG8')", "b'hello'" },
        { "base64.decode('')", "b''" },
        { "base64.decode('+/8=')", "b'\\xfb\\xff'" },
        { "base64.decode('-_8=')", NULL },
        { "base64.decode('aGVsbG8==')", NULL },
        { "base64.decode('a')", NULL },
        { "base64.decode('z')", NULL },
        { "base64.decode('aGVs bG8=')", NULL },
        { "base64.decode('é')", NULL },
        { "'some:thing'.encodeBase64()", "'c29tZTp0aGluZw=='" },
        { "'é'.encodeBase64()", "'w6k='" },
        { "'c29tZTp0aGluZw=='.decodeBase64()", "'some:thing'" },
        { "'c29tZTp0aGluZw'.decodeBase64()", "'some:thing'" },
        { "'w6k='.decodeBase64()", "'é'" },
        { "'/w=='.decodeBase64()", NULL },
        { "'!'.decodeBase64()", NULL },
        { "basic_auth.encode('username', 'password1')", "'Basic dXNlcm5hbWU6cGFzc3dvcmQx'" },
        { "basic_auth.encode('', '')", "'Basic Og=='" },
        { "size(base64.decode(big))", "49152" },
    };

    (void)state;
    FN_CHECK(rows);
}

static void hash_algorithms_and_formats(void **state)
{
    static const struct fn_row rows[] = {
        { "hash.crc32('hello')", "'3610a686'" },
        { "hash.crc32('hello', 'base64')", "'NhCmhg=='" },
        { "hash.crc64('hello')", "'3c3eeee2d8100000'" },
        { "hash.crc64('hello', 'base64')", "'PD7u4tgQAAA='" },
        { "hash.md5('hello')", "'5d41402abc4b2a76b9719d911017c592'" },
        { "hash.md5('hello', 'base64')", "'XUFAKrxLKna5cZ2REBfFkg=='" },
        { "hash.sha1('hello')", "'aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d'" },
        { "hash.sha1('hello', 'base64')", "'qvTGHdzF6KLavt4PO0gs2a6pQ00='" },
        { "hash.sha256('hello')",
          "'2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824'" },
        { "hash.sha256('hello', 'base64')", "'LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ='" },
        { "hash.sha512('hello').startsWith('9b71d224bd62f378')", "true" },
        { "hash.sha512('hello').endsWith('bcdec043')", "true" },
        { "size(hash.sha512('hello'))", "128" },
        { "hash.sha512('hello', 'base64').startsWith('m3HSJL1i83hd')", "true" },
        { "hash.xxhash64('hello')", "'26c7827d889f6da3'" },
        { "hash.xxhash64('hello', 'base64')", "'JseCfYifbaM='" },
        { "hash.crc32('hello', 'hex')", "'3610a686'" },
        { "'hello'.crc32()", "'3610a686'" },
        { "'hello'.crc64('hex')", "'3c3eeee2d8100000'" },
        { "'hello'.md5('base64')", "'XUFAKrxLKna5cZ2REBfFkg=='" },
        { "'hello'.sha1() == hash.sha1('hello')", "true" },
        { "'hello'.sha256() == hash.sha256('hello')", "true" },
        { "'hello'.sha512('base64') == hash.sha512('hello', 'base64')", "true" },
        { "'hello'.xxhash64()", "'26c7827d889f6da3'" },
        { "''.crc32()", "'00000000'" },
        { "''.crc64()", "'0000000000000000'" },
        { "''.md5()", "'d41d8cd98f00b204e9800998ecf8427e'" },
        { "''.sha1()", "'da39a3ee5e6b4b0d3255bfef95601890afd80709'" },
        { "''.xxhash64()", "'ef46db3751d8e999'" },
        { "'123456789'.crc32()", "'cbf43926'" },
        { "'123456789'.crc64()", "'b90956c775a41001'" },
        { "hash.md5('hello', 'HEX')", NULL },
        { "'hello'.md5('')", NULL },
    };

    (void)state;
    FN_CHECK(rows);
}

static void json_goes_both_ways(void **state)
{
    static const struct fn_row rows[] = {
        { "json.decode('{\"a\":\"b\"}').a", "'b'" },
        { "json.decode('[1, 2.5, true, null]')", "[1.0, 2.5, true, null]" },
        { "json.decode('\"a\"')", "'a'" },
        { "json.decode('7') == 7", "true" },
        { "json.decode('{')", NULL },
        { "json.decode('')", NULL },
        { "json.encode(['a', 'b'])", "'[\"a\",\"b\"]'" },
        { "json.encode({'b': 1, 'a': [true, null]})", "'{\"a\":[true,null],\"b\":1}'" },
        { "json.encode('a')", "'\"a\"'" },
        { "json.encode(1)", "'1'" },
        { "['a', 'b'].encodeJson()", "'[\"a\",\"b\"]'" },
        { "{'c': 'd'}.encodeJson()", "'{\"c\":\"d\"}'" },
        { "{'z': 1, 'a': 2}.encodeJson()", "'{\"a\":2,\"z\":1}'" },
        { "[].encodeJson() + {}.encodeJson()", "'[]{}'" },
        { "'{\"a\":\"b\"}'.decodeJson()['a']", "'b'" },
        { "'{\"a\":\"b\"}'.isJson()", "true" },
        { "'1'.isJson()", "true" },
        { "'not json'.isJson()", "false" },
        { "''.isJson()", "false" },
        { "'[1,]'.isJson()", "false" },
    };

    (void)state;
    FN_CHECK(rows);
}

static void random_numbers_are_in_range(void **state)
{
    static const struct fn_row rows[] = {
        { "many.slice(0, 2000).all(i, [rand.double()].all(d, d >= 0.0 && d < 1.0))", "true" },
        { "many.slice(0, 2000).all(i, rand.int() in [0, 1])", "true" },
        { "many.slice(0, 200).exists(i, rand.int() == 0)", "true" },
        { "many.slice(0, 200).exists(i, rand.int() == 1)", "true" },
        { "many.slice(0, 1000).all(i, [rand.int(3, 5)].all(n, n >= 3 && n <= 5))", "true" },
        { "[3, 4, 5].all(n, many.slice(0, 1000).exists(i, rand.int(3, 5) == n))", "true" },
        { "rand.int(7, 7)", "7" },
        { "rand.int(0, 9223372036854775807) >= 0", "true" },
        { "rand.int(9223372036854775807, 9223372036854775807)", "9223372036854775807" },
        { "many.slice(0, 100).exists(i, rand.int(0, 9223372036854775807) > 4611686018427387904)",
          "true" },
        { "rand.double() == rand.double()", "false" },
        { "rand.int(5, 3)", NULL },
        { "rand.int(-1, 3)", NULL },
        { "rand.int(-5, -3)", NULL },
    };

    (void)state;
    FN_CHECK(rows);
}

static void cidr_ranges_are_false_for_what_is_none(void **state)
{
    static const struct fn_row rows[] = {
        { "inCidrRange('192.168.1.100', '192.168.1.0/24')", "true" },
        { "inCidrRange('192.168.2.100', '192.168.1.0/24')", "false" },
        { "inCidrRange('66.249.66.9', '66.249.66.1/24')", "true" },
        { "inCidrRange('2001:db8::1', '2001:db8::/32')", "true" },
        { "inCidrRange('2001:db9::1', '2001:db8::/32')", "false" },
        { "inCidrRange('::ffff:10.1.2.3', '10.0.0.0/8')", "true" },
        { "inCidrRange('10.1.2.3', '::/0')", "false" },
        { "inCidrRange('10.1.2.3', '0.0.0.0/0')", "true" },
        { "inCidrRange('10.1.2.3', '10.1.2.3')", "false" },
        { "inCidrRange('10.1.2.3', '10.0.0.0/33')", "false" },
        { "inCidrRange('10.1.2.3', 'nonsense')", "false" },
        { "inCidrRange('nonsense', '10.0.0.0/8')", "false" },
        { "inCidrRange('', '')", "false" },
        { "inCidrRanges('10.1.2.3', ['nonsense', '192.168.0.0/16', '10.0.0.0/8'])", "true" },
        { "inCidrRanges('11.1.2.3', ['nonsense', '192.168.0.0/16', '10.0.0.0/8'])", "false" },
        { "inCidrRanges('nonsense', ['0.0.0.0/0'])", "false" },
        { "inCidrRanges('10.1.2.3', [])", "false" },
        { "inCidrRanges('10.1.2.3', dyn([1, '10.0.0.0/8']))", "true" },
        { "['10.0.0.0', '10.255.255.255', '172.16.0.0', '172.31.255.255', '192.168.0.0',"
          " '192.168.255.255'].all(a, a.isPrivateIp())",
          "true" },
        { "['9.255.255.255', '11.0.0.0', '172.15.255.255', '172.32.0.0', '192.167.255.255',"
          " '192.169.0.0', '127.0.0.1', '169.254.0.1', '100.64.0.1', 'fc00::1', '::ffff:10.0.0.1',"
          " '10.0.0.0/8', '10.0.0', '', ' 10.0.0.1'].exists(a, a.isPrivateIp())",
          "false" },
        { "'192.168.1.1'.isPrivateIp()", "true" },
    };

    (void)state;
    FN_CHECK(rows);
}

static void policy_functions_wrong_types_are_refused_at_load(void **state)
{
    static const char *const sources[] = {
        "base64.encode('a')",     "base64.decode(b'a')",
        "b'a'.encodeBase64()",    "hash.md5(1)",
        "hash.md5('a', 1)",       "hash.blake3('a')",
        "'a'.encodeJson()",       "rand.int(1)",
        "rand.int(1.0, 2.0)",     "inCidrRange('a')",
        "inCidrRanges('a', 'b')", "basic_auth.encode('a')",
        "b64.encode(b'a')",       "http.header('a')",
        "utility.rand_int()",
    };

    (void)state;
    FN_CHECK_REFUSED(sources);
}

static void policy_functions_have_limits(void **state)
{
    static const char *const sources[] = {
        "big.encodeBase64()",
        "basic_auth.encode(big, '')",
        "many.all(i, big.sha512() != '')",
        "many.map(i, kilo).encodeJson()",
        "many.all(i, rand.int() >= 0 && rand.double() >= 0.0 && rand.int(0, 9) >= 0)",
        "many.all(i, !inCidrRanges('::1', [string(i), '1.0.0.0/8', 'fc00::/8', 'fe80::/8', '']))",
        "many.all(i, !(('[' + big.substring(0, 1000) + ']').isJson()))",
    };

    (void)state;
    FN_CHECK_SPENT(sources);
}

static void rand_rows_are_impure(void **state)
{
    (void)state;
    for (size_t i = 0; i < cel_random_library.count; i++)
        assert_int_equal(cel_random_library.rows[i].flags, CEL_FN_IMPURE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_is_of_bytes_or_strings),
        cmocka_unit_test(hash_algorithms_and_formats),
        cmocka_unit_test(json_goes_both_ways),
        cmocka_unit_test(random_numbers_are_in_range),
        cmocka_unit_test(cidr_ranges_are_false_for_what_is_none),
        cmocka_unit_test(policy_functions_wrong_types_are_refused_at_load),
        cmocka_unit_test(policy_functions_have_limits),
        cmocka_unit_test(rand_rows_are_impure),
    };

    return cmocka_run_group_tests_name("policy/cel/fn_policy", tests, NULL, NULL);
}
