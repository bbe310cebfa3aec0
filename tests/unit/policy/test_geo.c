/*
 * Unit tests of policy/geo, on files that tests/e2e/lib/mmdb.py made.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "policy/geo.h"

#define CITY "tests/unit/policy/data/city.mmdb"
#define ASN  "tests/unit/policy/data/asn4.mmdb"

static struct arena arena;
static struct geo *geo;

static int setup(void **state)
{
    static const char *const paths[] = { CITY, ASN };

    (void)state;
    arena_init(&arena);
    geo = geo_open(paths, 2, NULL);
    return geo == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    geo_unref(geo);
    arena_fini(&arena);
    return 0;
}

static struct geo_record lookup(const struct geo *g, const char *ip)
{
    struct geo_record r;
    struct addr a;

    assert_int_equal(addr_parse_ip(str_from(ip), &a), 0);
    memset(&r, 0xff, sizeof(r));
    geo_lookup(g, &arena, &a, &r);
    return r;
}

static void assert_str(struct str got, const char *want)
{
    if (!str_eq(got, str_from(want)))
        fail_msg("\"%.*s\", not \"%s\"", STR_ARG(got), want);
}

static void assert_nothing(const struct geo_record *r)
{
    const struct geo_record none = { .as_number = 0 };

    /* All fields are empty strings, false and 0. */
    assert_memory_equal(r, &none, sizeof(none));
}

static void geo_lookup_finds_all_fields(void **state)
{
    struct geo_record r = lookup(geo, "192.0.2.77");

    (void)state;
    assert_str(r.location.city, "Strongsville");
    assert_str(r.location.continent, "North America");
    assert_str(r.location.country, "United States");
    assert_str(r.location.country_code, "US");
    assert_str(r.location.latitude, "41.31");
    assert_str(r.location.longitude, "-81.83");
    assert_str(r.location.metro_code, "510");
    assert_str(r.location.postal_code, "44136");
    assert_str(r.location.radius, "5");
    assert_str(r.location.subdivision, "Ohio");
    assert_str(r.location.timezone, "America/New_York");
    assert_false(r.location.is_eu);
    assert_str(r.registered.country, "Germany");
    assert_str(r.registered.country_code, "DE");
    assert_true(r.registered.is_eu);
    assert_str(r.registered.city, "");
    assert_int_equal(r.as_number, 7922);
    assert_str(r.as_organization, "COMCAST-7922");
}

static void geo_lookup_finds_what_there_is(void **state)
{
    struct geo_record r = lookup(geo, "198.51.100.7");

    (void)state;
    assert_str(r.location.country_code, "FR");
    assert_str(r.location.country, "");
    assert_true(r.location.is_eu);
    assert_true(r.as_number == UINT32_MAX);
    r = lookup(geo, "198.51.100.8");
    assert_str(r.location.country_code, "");
    assert_true(r.as_number == UINT32_MAX);
    /* The database of numbers has no IPv6. */
    r = lookup(geo, "2001:db8::1");
    assert_str(r.location.city, "Sechshausen");
    assert_str(r.location.latitude, "48");
    assert_str(r.location.longitude, "0.00001");
    assert_int_equal(r.as_number, 0);
}

static void geo_lookup_of_odd_values_is_valid_text(void **state)
{
    struct geo_record r = lookup(geo, "203.0.113.1");

    (void)state;
    assert_str(r.location.city, "Caf\xef\xbf\xbd");
    assert_str(r.location.latitude, "");
    assert_str(r.location.country, "");
    assert_str(r.location.postal_code, "");
}

static void geo_lookup_of_unknown_addresses_is_empty(void **state)
{
    static const char *const cases[] = { "192.0.3.0", "203.0.113.128", "::1",
                                         "2001:db9::", "255.255.255.255" };
    const struct addr none = { 0 };
    struct geo_record r;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        r = lookup(geo, cases[i]);
        assert_nothing(&r);
    }
    geo_lookup(geo, &arena, &none, &r);
    assert_nothing(&r);
    r = lookup(NULL, "192.0.2.77");
    assert_nothing(&r);
}

static void geo_lookup_text_outlives_the_files(void **state)
{
    static const char *const path = CITY;
    struct geo *g = geo_open(&path, 1, NULL);
    struct geo_record r;

    (void)state;
    assert_non_null(g);
    assert_ptr_equal(geo_ref(g), g);
    geo_unref(g);
    r = lookup(g, "192.0.2.77");
    geo_unref(g);
    assert_str(r.location.city, "Strongsville");
}

static void geo_open_refuses_what_is_no_database(void **state)
{
    static const char *const missing[] = { CITY, "tests/unit/policy/data/none.mmdb" };
    static const char *const text = "Makefile";
    const char *many[GEO_FILES_MAX + 1];
    struct geo *g;
    struct err e;

    (void)state;
    assert_null(geo_open(missing, 2, &e));
    assert_int_equal(e.code, E_CONFIG);
    assert_non_null(strstr(e.msg, "none.mmdb"));
    assert_null(geo_open(&text, 1, &e));
    assert_int_equal(e.code, E_CONFIG);
    for (size_t i = 0; i < GEO_FILES_MAX + 1; i++)
        many[i] = CITY;
    assert_null(geo_open(many, GEO_FILES_MAX + 1, &e));
    assert_int_equal(e.code, E_LIMIT);
    g = geo_open(many, GEO_FILES_MAX, &e);
    assert_non_null(g);
    geo_unref(g);
    geo_unref(NULL);
}

static char *read_sample(size_t *size)
{
    FILE *f = fopen(CITY, "rb");
    char *bytes = mem_alloc(4096);

    assert_non_null(f);
    *size = fread(bytes, 1, 4096, f);
    assert_true(*size > 0 && *size < 4096);
    (void)fclose(f);
    return bytes;
}

static void write_file(const char *path, const char *bytes, size_t size)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

/* Where the metadata begins, whose reader in libmaxminddb leaks when they are damaged. */
static size_t metadata_at(struct str file)
{
    size_t at = str_find(file, STR("\xab\xcd\xefMaxMind.com"));

    assert_true(at < file.n);
    return at;
}

/* Each byte of tree and data in turn is changed: the file knows less, and nothing else happens. */
static void geo_lookup_in_damaged_files_is_harmless(void **state)
{
    char path[] = "/tmp/test_geo.XXXXXX";
    const char *const opened = path;
    size_t size;
    char *bytes = read_sample(&size);
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd != -1);
    (void)close(fd);
    for (size_t i = 0; i < metadata_at(str_of(bytes, size)); i++) {
        struct geo *g;

        bytes[i] ^= (char)0xff;
        write_file(path, bytes, size);
        bytes[i] ^= (char)0xff;
        g = geo_open(&opened, 1, NULL);
        if (g == NULL)
            continue;
        (void)lookup(g, "192.0.2.77");
        (void)lookup(g, "2001:db8::1");
        geo_unref(g);
    }
    mem_free(bytes);
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(geo_lookup_finds_all_fields),
        cmocka_unit_test(geo_lookup_finds_what_there_is),
        cmocka_unit_test(geo_lookup_of_odd_values_is_valid_text),
        cmocka_unit_test(geo_lookup_of_unknown_addresses_is_empty),
        cmocka_unit_test(geo_lookup_text_outlives_the_files),
        cmocka_unit_test(geo_open_refuses_what_is_no_database),
        cmocka_unit_test(geo_lookup_in_damaged_files_is_harmless),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
