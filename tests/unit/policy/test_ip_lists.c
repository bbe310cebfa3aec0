/*
 * Unit tests of policy/ip_lists.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "policy/ip_lists.h"

enum { FILES_MAX = 8, PATH_BYTES = 256 };

/* A folder with lists, which goes away at the end of the test. */
struct folder {
    char path[32];
    char files[FILES_MAX][PATH_BYTES];
    size_t count;
};

static int setup(void **state)
{
    static struct folder f;

    f = (struct folder){ .path = "/tmp/test_ip_lists.XXXXXX" };
    *state = &f;
    return mkdtemp(f.path) == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    struct folder *f = *state;

    for (size_t i = 0; i < f->count; i++)
        (void)remove(f->files[i]);
    return rmdir(f->path);
}

static const char *new_path(struct folder *f, const char *name)
{
    char path[PATH_BYTES];

    assert_true(f->count < FILES_MAX);
    assert_true(snprintf(path, PATH_BYTES, "%s/%s", f->path, name) < PATH_BYTES);
    return memcpy(f->files[f->count++], path, PATH_BYTES);
}

static void write_list_bytes(struct folder *f, const char *name, struct str content)
{
    FILE *file = fopen(new_path(f, name), "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(content.p, 1, content.n, file), content.n);
    assert_int_equal(fclose(file), 0);
}

static void write_list(struct folder *f, const char *name, const char *content)
{
    write_list_bytes(f, name, str_from(content));
}

static const struct ip_categories *lookup(const struct ip_lists *l, const char *ip)
{
    struct addr a;

    assert_int_equal(addr_parse_ip(str_from(ip), &a), 0);
    return ip_lists_lookup(l, &a);
}

static void assert_names(const struct ip_categories *c, const char *want)
{
    char text[512] = "";
    size_t n = 0;

    for (size_t i = 0; i < c->names.count; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%.*s", i > 0 ? " " : "",
                              STR_ARG(cel_str(c->names.items[i])));
    assert_string_equal(text, want);
}

static void lookup_expands_the_hierarchy(void **state)
{
    struct folder *f = *state;
    struct ip_lists *l;

    write_list(f, "com.github.hooks", "192.30.252.0/22\n2a0a:a440::/29\n");
    write_list(f, "com.github", "140.82.112.0/20 # all of it\n");
    write_list(f, "com.aws.sns", "  192.30.252.7\r\n\r\n; nothing\n# nothing\n\t10.0.0.1/8 ;x");
    write_list(f, "proxy.anonymous.tor", "192.0.2.1");
    write_list(f, "blocklist.blocklist_de.ssh", "192.0.2.0/24\n");
    write_list(f, "blocklistings", "198.51.100.1\n");
    write_list(f, ".hidden", "no address\n");
    assert_int_equal(mkdir(new_path(f, "folder"), 0700), 0);
    l = ip_lists_load(f->path, NULL);
    assert_non_null(l);
    assert_int_equal(ip_lists_count(l), 8);
    assert_names(lookup(l, "192.30.252.1"), "com com.github com.github.hooks");
    assert_names(lookup(l, "192.30.252.7"), "com com.aws com.aws.sns com.github com.github.hooks");
    assert_names(lookup(l, "140.82.112.1"), "com com.github");
    assert_names(lookup(l, "10.255.0.1"), "com com.aws com.aws.sns");
    assert_names(lookup(l, "2a0a:a440::1"), "com com.github com.github.hooks");
    assert_names(lookup(l, "192.0.2.2"),
                 "blocklist blocklist.blocklist_de blocklist.blocklist_de.ssh");
    assert_names(lookup(l, "11.0.0.0"), "");
    assert_true(lookup(l, "192.0.2.1")->is_on_blocklist);
    assert_true(lookup(l, "192.0.2.1")->is_tor_node);
    assert_true(lookup(l, "192.0.2.2")->is_on_blocklist);
    assert_false(lookup(l, "192.0.2.2")->is_tor_node);
    assert_false(lookup(l, "198.51.100.1")->is_on_blocklist);
    ip_lists_unref(l);
}

static void has_category_knows_lists_and_what_is_above(void **state)
{
    static const struct {
        struct str name;
        bool has;
    } cases[] = {
        { STR_INIT("com"), true },
        { STR_INIT("com.github"), true },
        { STR_INIT("com.github.hooks"), true },
        { STR_INIT("co"), false },
        { STR_INIT("com.git"), false },
        { STR_INIT("com.github.hooks.x"), false },
        { STR_INIT("github"), false },
        { STR_INIT(""), false },
    };
    struct folder *f = *state;
    struct ip_lists *l;

    write_list(f, "com.github.hooks", "");
    l = ip_lists_load(f->path, NULL);
    assert_non_null(l);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(ip_lists_has_category(l, cases[i].name), cases[i].has);
    ip_lists_unref(l);
}

static void load_of_an_empty_folder_knows_nothing(void **state)
{
    const struct addr none = { 0 };
    struct folder *f = *state;
    struct ip_lists *l = ip_lists_load(f->path, NULL);

    assert_non_null(l);
    assert_ptr_equal(ip_lists_ref(l), l);
    ip_lists_unref(l);
    assert_names(lookup(l, "10.0.0.1"), "");
    assert_names(ip_lists_lookup(l, &none), "");
    assert_names(ip_lists_lookup(NULL, &none), "");
    assert_int_equal(ip_lists_count(l), 0);
    ip_lists_unref(l);
    ip_lists_unref(NULL);
}

static void load_names_file_and_line_of_what_is_wrong(void **state)
{
    static const struct {
        struct str content;
        const char *message; /* behind the path */
    } cases[] = {
        { STR_INIT("10.0.0.1\n\n10.0.0.300\n"), ":3: '10.0.0.300' is not an IP address" },
        { STR_INIT("10.0.0.0/33"), ":1: '10.0.0.0/33' has no valid prefix length" },
        { STR_INIT("# x\n10.0.0.1 10.0.0.2\n"), ":2: '10.0.0.1 10.0.0.2' is not" },
        { STR_INIT("10.0.0.1\0\n"), ":1: " },
        { STR_INIT("a very long line that is no address and is not shown as a whole to anybody"),
          ":1: 'a very long line that is no address and is not shown as a whole ' is not" },
    };
    struct folder *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char want[PATH_BYTES * 2];
        struct err e;

        f->count = 0;
        write_list_bytes(f, "com.example", cases[i].content);
        assert_null(ip_lists_load(f->path, &e));
        assert_int_equal(e.code, E_CONFIG);
        (void)snprintf(want, sizeof(want), "%s/com.example%s", f->path, cases[i].message);
        if (strncmp(e.msg, want, strlen(want)) != 0)
            fail_msg("\"%s\" does not begin with \"%s\"", e.msg, want);
    }
}

static void load_refuses_names_that_are_no_category(void **state)
{
    static const char *const cases[] = { "a..b", "a.", "a b", "a~", "caf\xc3\xa9" };
    struct folder *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err e;

        f->count = 0;
        write_list(f, cases[i], "");
        assert_null(ip_lists_load(f->path, &e));
        assert_int_equal(e.code, E_CONFIG);
        assert_non_null(strstr(e.msg, cases[i]));
        assert_int_equal(remove(f->files[0]), 0);
    }
    f->count = 0;
}

static void load_name_length_at_the_limit(void **state)
{
    char name[IP_LISTS_NAME_BYTES + 2];
    struct folder *f = *state;
    struct ip_lists *l;
    struct err e;

    memset(name, 'a', sizeof(name));
    name[IP_LISTS_NAME_BYTES] = '\0';
    write_list(f, name, "10.0.0.1");
    l = ip_lists_load(f->path, &e);
    assert_non_null(l);
    assert_int_equal(lookup(l, "10.0.0.1")->names.count, 1);
    ip_lists_unref(l);
    name[IP_LISTS_NAME_BYTES] = 'a';
    name[IP_LISTS_NAME_BYTES + 1] = '\0';
    write_list(f, name, "10.0.0.1");
    assert_null(ip_lists_load(f->path, &e));
    assert_int_equal(e.code, E_CONFIG);
}

static void load_of_what_cannot_be_read_is_refused(void **state)
{
    struct folder *f = *state;
    struct err e;

    assert_null(ip_lists_load("/tmp/test_ip_lists.none", &e));
    assert_int_equal(e.code, E_SYSTEM);
    assert_int_equal(symlink("nowhere", new_path(f, "com.broken")), 0);
    assert_null(ip_lists_load(f->path, &e));
    assert_int_equal(e.code, E_SYSTEM);
    assert_non_null(strstr(e.msg, "com.broken"));
}

static void load_of_many_addresses(void **state)
{
    enum { COUNT = 200000 };
    struct folder *f = *state;
    struct ip_lists *l;
    struct buf b;

    buf_init(&b, 16 * 1024 * 1024);
    for (unsigned i = 0; i < COUNT; i++) /* each second address */
        buf_add_fmt(&b, "10.%u.%u.%u\n", 2 * i >> 16, 2 * i >> 8 & 0xff, 2 * i & 0xff);
    write_list_bytes(f, "a.many", buf_str(&b));
    buf_fini(&b);
    l = ip_lists_load(f->path, NULL);
    assert_non_null(l);
    assert_int_equal(ip_lists_count(l), COUNT);
    assert_names(lookup(l, "10.1.2.4"), "a a.many");
    assert_names(lookup(l, "10.1.2.5"), "");
    ip_lists_unref(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lookup_expands_the_hierarchy, setup, teardown),
        cmocka_unit_test_setup_teardown(has_category_knows_lists_and_what_is_above, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(load_of_an_empty_folder_knows_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(load_names_file_and_line_of_what_is_wrong, setup, teardown),
        cmocka_unit_test_setup_teardown(load_refuses_names_that_are_no_category, setup, teardown),
        cmocka_unit_test_setup_teardown(load_name_length_at_the_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(load_of_what_cannot_be_read_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(load_of_many_addresses, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
