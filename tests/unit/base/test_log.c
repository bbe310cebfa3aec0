/*
 * Unit tests of base/log.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"

enum { LINE_BYTES = 256 * 1024 };

/* One line of level info at the beginning of 1970, without its time and newline. */
static const char *line_of(enum log_format format, const struct log_field *fields, size_t count)
{
    static char line[LINE_BYTES];
    size_t n = log_format_line(format, 0, LOG_INFO, "ev", fields, count, line, sizeof(line) - 1);

    assert_true(n > 0 && n < sizeof(line));
    assert_int_equal(line[n - 1], '\n');
    line[n - 1] = '\0';
    assert_true(strchr(line, '\n') == NULL);
    return format == LOG_JSON ? line : line + sizeof("1970-01-01T00:00:00.000Z info ") - 1;
}

static void log_format_line_every_kind(void **state)
{
    struct addr a;
    const struct err e = { .msg = "it failed" };

    (void)state;
    assert_int_equal(addr_parse(STR("[2001:db8::1]:80"), &a, NULL), 0);
    {
        const struct log_field fields[] = {
            LSTR("s", STR("text")),
            LS("c", "a b"),
            LS("none", NULL),
            LU("u", UINT64_MAX),
            LI("i", INT64_MIN),
            LB("t", true),
            LB("f", false),
            LIP("ip", &a),
            LADDR("addr", &a),
            LTIME("at", 1500),
            LNONE,
            LERR(&e),
        };
        size_t count = sizeof(fields) / sizeof(fields[0]);

        assert_string_equal(line_of(LOG_TEXT, fields, count),
                            "ev s=text c=\"a b\" none=\"\" u=18446744073709551615 "
                            "i=-9223372036854775808 t=true f=false ip=2001:db8::1 "
                            "addr=[2001:db8::1]:80 at=1970-01-01T00:00:01.500Z "
                            "error=\"it failed\"");
        assert_string_equal(line_of(LOG_JSON, fields, count),
                            "{\"time\":\"1970-01-01T00:00:00.000Z\",\"level\":\"info\","
                            "\"event\":\"ev\",\"s\":\"text\",\"c\":\"a b\",\"none\":\"\","
                            "\"u\":18446744073709551615,\"i\":-9223372036854775808,\"t\":true,"
                            "\"f\":false,\"ip\":\"2001:db8::1\",\"addr\":\"[2001:db8::1]:80\","
                            "\"at\":\"1970-01-01T00:00:01.500Z\",\"error\":\"it failed\"}");
    }
}

static void log_format_line_without_fields(void **state)
{
    const struct log_field none = LNONE;

    (void)state;
    assert_string_equal(line_of(LOG_TEXT, NULL, 0), "ev");
    assert_string_equal(line_of(LOG_TEXT, &none, 1), "ev");
    assert_string_equal(line_of(LOG_JSON, &none, 1),
                        "{\"time\":\"1970-01-01T00:00:00.000Z\",\"level\":\"info\","
                        "\"event\":\"ev\"}");
}

static void log_format_line_json_nests_dotted_names(void **state)
{
    static const struct {
        const char *names[5];
        const char *json;
    } cases[] = {
        { { "a.b" }, "\"a\":{\"b\":1}" },
        { { "a.b", "a.c" }, "\"a\":{\"b\":1,\"c\":2}" },
        { { "a.b", "c" }, "\"a\":{\"b\":1},\"c\":2" },
        { { "a", "b.c", "d" }, "\"a\":1,\"b\":{\"c\":2},\"d\":3" },
        { { "a.b.c", "a.b.d", "a.e", "f.e" },
          "\"a\":{\"b\":{\"c\":1,\"d\":2},\"e\":3},\"f\":{\"e\":4}" },
        { { "a.b.c.d.e", "a.x.c.d.e" },
          "\"a\":{\"b\":{\"c\":{\"d\":{\"e\":1}}},\"x\":{\"c\":{\"d\":{\"e\":2}}}}" },
        { { "ab.c", "a.c" }, "\"ab\":{\"c\":1},\"a\":{\"c\":2}" },
        { { "a.b", "a.b.c" }, NULL }, /* our own mistake, but still balanced */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct log_field fields[5];
        size_t count = 0;
        char expected[256];

        for (; count < 5 && cases[i].names[count] != NULL; count++)
            fields[count] = LU(cases[i].names[count], count + 1);
        if (cases[i].json == NULL) {
            (void)line_of(LOG_JSON, fields, count);
            continue;
        }
        (void)snprintf(expected, sizeof(expected),
                       "{\"time\":\"1970-01-01T00:00:00.000Z\",\"level\":\"info\","
                       "\"event\":\"ev\",%s}",
                       cases[i].json);
        assert_string_equal(line_of(LOG_JSON, fields, count), expected);
    }
}

static void log_format_line_escapes_values(void **state)
{
    static const struct {
        struct str value;
        const char *text;
    } cases[] = {
        { STR_INIT(""), "\"\"" },
        { STR_INIT("a=b"), "\"a=b\"" },
        { STR_INIT("a\"b\\c"), "\"a\\\"b\\\\c\"" },
        { STR_INIT("a\nb\rc\td"), "\"a\\nb\\rc\\td\"" },
        { STR_INIT("x\0y"), "\"x\\u0000y\"" },
        { STR_INIT("\x1b[2J\x7f"), "\"\\u001b[2J\\u007f\"" },
        { STR_INIT("\xc2\x9b"
                   "2J\xc2\x80\xc2\xa0"),
          "\"\\u009b2J\\u0080\xc2\xa0\"" },
        { STR_INIT("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"),
          "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"" },
        { STR_INIT("\xff\xc3"), "\"\\u00ff\\u00c3\"" },
        { STR_INIT("\xc0\x80"), "\"\\u00c0\\u0080\"" },                       /* overlong */
        { STR_INIT("\xe0\x80\x80"), "\"\\u00e0\\u0080\\u0080\"" },            /* overlong */
        { STR_INIT("\xed\xa0\x80"), "\"\\u00ed\\u00a0\\u0080\"" },            /* a surrogate */
        { STR_INIT("\xf4\x90\x80\x80"), "\"\\u00f4\\u0090\\u0080\\u0080\"" }, /* too large */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct log_field field = LSTR("f", cases[i].value);
        char expected[256];

        (void)snprintf(expected, sizeof(expected), "ev f=%s", cases[i].text);
        assert_string_equal(line_of(LOG_TEXT, &field, 1), expected);
        (void)snprintf(expected, sizeof(expected),
                       "{\"time\":\"1970-01-01T00:00:00.000Z\",\"level\":\"info\","
                       "\"event\":\"ev\",\"f\":%s}",
                       cases[i].text);
        assert_string_equal(line_of(LOG_JSON, &field, 1), expected);
    }
}

static void log_format_line_value_at_the_limit(void **state)
{
    static const struct {
        char c;
        bool cut;
        size_t in;
        size_t out; /* without quotes and "..." */
    } cases[] = {
        { 'x', false, LOG_VALUE_MAX_BYTES, LOG_VALUE_MAX_BYTES },
        { 'x', true, LOG_VALUE_MAX_BYTES + 1, LOG_VALUE_MAX_BYTES },
        { '"', false, LOG_VALUE_MAX_BYTES / 2, LOG_VALUE_MAX_BYTES },
        { '"', true, LOG_VALUE_MAX_BYTES / 2 + 1, LOG_VALUE_MAX_BYTES },
    };
    static char value[LOG_VALUE_MAX_BYTES + 1];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct log_field field = LSTR("f", str_of(value, cases[i].in));
        const char *line;

        memset(value, cases[i].c, sizeof(value));
        line = line_of(LOG_JSON, &field, 1);
        assert_int_equal(strlen(strstr(line, "\"f\":") + 4),
                         cases[i].out + 3 + (cases[i].cut ? 3 : 0));
        assert_int_equal(strstr(line, "...\"}") != NULL, cases[i].cut);
    }
}

static void log_format_line_too_long_is_cut_before_its_newline(void **state)
{
    const struct log_field field = LS("f", "0123456789");
    char line[64];
    size_t whole = log_format_line(LOG_TEXT, 0, LOG_WARN, "ev", &field, 1, line, sizeof(line));

    (void)state;
    assert_int_equal(log_format_line(LOG_TEXT, 0, LOG_WARN, "ev", &field, 1, line, whole), whole);
    assert_memory_equal(line + whole - 3, "89\n", 3);
    assert_int_equal(log_format_line(LOG_TEXT, 0, LOG_WARN, "ev", &field, 1, line, whole - 1),
                     whole - 1);
    assert_memory_equal(line + whole - 4, "78\n", 3);
    assert_int_equal(log_format_line(LOG_TEXT, 0, LOG_WARN, "ev", &field, 1, line, 0), 0);
}

/* ---- the sink -------------------------------------------------------------------------- */

struct catcher {
    int fd[2];
    char *bytes; /* owned; what came, NUL-terminated */
    size_t n;
    pthread_t thread;
};

static void *catch_all(void *arg)
{
    struct catcher *c = arg;

    for (;;) {
        ssize_t n;

        c->bytes = mem_realloc(c->bytes, c->n + 65536 + 1);
        n = read(c->fd[0], c->bytes + c->n, 65536);
        if (n <= 0)
            break;
        c->n += (size_t)n;
    }
    c->bytes[c->n] = '\0';
    return NULL;
}

static void catcher_open(struct catcher *c)
{
    *c = (struct catcher){ 0 };
    assert_int_equal(pipe(c->fd), 0);
}

static void catcher_start(struct catcher *c)
{
    assert_int_equal(pthread_create(&c->thread, NULL, catch_all, c), 0);
}

/* Everything that was written, once the log is stopped. */
static const char *catcher_end(struct catcher *c)
{
    assert_int_equal(close(c->fd[1]), 0);
    assert_int_equal(pthread_join(c->thread, NULL), 0);
    assert_int_equal(close(c->fd[0]), 0);
    return c->bytes;
}

static size_t count_lines(const char *text, const char *containing)
{
    size_t found = 0;
    struct str rest = str_from(text);
    struct str line;

    while (str_next(&rest, '\n', &line)) {
        if (str_find(line, str_from(containing)) != line.n)
            found++;
    }
    return found;
}

enum { WRITERS = 4, LINES = 2000 };

static void *write_lines(void *arg)
{
    const char *name = arg;

    for (unsigned i = 0; i < LINES; i++) {
        log_info("line", LS("from", name), LU("i", i), LNONE);
        if (i % 16 == 0)
            log_flush();
    }
    log_flush();
    return NULL;
}

static void log_write_from_many_threads_keeps_lines_whole_and_in_order(void **state)
{
    static char names[WRITERS][2] = { "a", "b", "c", "d" };
    pthread_t threads[WRITERS];
    unsigned next[WRITERS] = { 0 };
    struct catcher c;
    struct str rest;
    struct str line;

    (void)state;
    catcher_open(&c);
    catcher_start(&c);
    log_start(c.fd[1], LOG_INFO, LOG_TEXT);
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, names[i]), 0);
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    log_stop();
    rest = str_from(catcher_end(&c));
    while (str_next(&rest, '\n', &line) && line.n > 0) {
        char expected[64];
        unsigned from = (unsigned)(line.p[str_find(line, STR("from=")) + 5] - 'a');

        assert_true(from < WRITERS);
        (void)snprintf(expected, sizeof(expected), "Z info line from=%s i=%u", names[from],
                       next[from]++);
        assert_true(str_ends(line, str_from(expected)));
    }
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(next[i], LINES);
    mem_free(c.bytes);
}

static void log_write_below_the_level_writes_nothing(void **state)
{
    struct catcher c;
    const char *text;

    (void)state;
    catcher_open(&c);
    catcher_start(&c);
    log_start(c.fd[1], LOG_WARN, LOG_TEXT);
    assert_false(log_enabled(LOG_INFO));
    assert_true(log_enabled(LOG_WARN));
    log_debug("one", LNONE);
    log_info("two", LNONE);
    log_warn("three", LNONE);
    log_configure(LOG_DEBUG, LOG_JSON);
    log_debug("four", LNONE);
    log_stop();
    text = catcher_end(&c);
    assert_int_equal(count_lines(text, "Z warn three"), 1);
    assert_int_equal(count_lines(text, "\"level\":\"debug\",\"event\":\"four\"}"), 1);
    assert_int_equal(count_lines(text, " "), 1);
    assert_int_equal(count_lines(text, "event"), 1);
    mem_free(c.bytes);
}

/* What a peer can make long in one line, several times over. */
static void log_write_longest_lines_stay_whole(void **state)
{
    enum { FIELDS = 50, ROUNDS = 20 };
    static char value[4 * LOG_VALUE_MAX_BYTES];
    struct log_field fields[FIELDS];
    struct catcher c;
    const char *text;

    (void)state;
    memset(value, 1, sizeof(value));
    for (size_t i = 0; i < FIELDS; i++)
        fields[i] = LSTR("http.request.field", str_of(value, sizeof(value)));
    catcher_open(&c);
    catcher_start(&c);
    log_start(c.fd[1], LOG_INFO, LOG_TEXT);
    for (size_t i = 0; i < ROUNDS; i++) {
        log_write(LOG_INFO, "long", fields, FIELDS);
        log_info("short", LNONE);
    }
    log_stop();
    text = catcher_end(&c);
    assert_int_equal(count_lines(text, "Z info long "), ROUNDS);
    assert_int_equal(count_lines(text, "...\" http"), ROUNDS);
    assert_int_equal(count_lines(text, "Z info short"), ROUNDS);
    assert_int_equal(count_lines(text, "Z"), 2 * ROUNDS);
    mem_free(c.bytes);
}

static void log_write_to_a_stalled_reader_drops_and_says_so(void **state)
{
    static char value[LOG_VALUE_MAX_BYTES];
    uint64_t before = log_dropped();
    struct catcher c;
    const char *text;
    size_t written = 0;

    (void)state;
    memset(value, 'x', sizeof(value));
    catcher_open(&c);
    log_start(c.fd[1], LOG_INFO, LOG_TEXT);
    /* Nobody reads: this returns at once all the same. */
    for (; log_dropped() == before && written < 100000; written++) {
        log_info("fill", LSTR("v", str_of(value, sizeof(value))));
        log_flush();
    }
    assert_true(written > LOG_QUEUE_MAX_BYTES / (LOG_VALUE_MAX_BYTES + 100));
    assert_true(written < 100000);
    catcher_start(&c);
    log_stop();
    text = catcher_end(&c);
    assert_int_equal(count_lines(text, "Z info fill "), written - (log_dropped() - before));
    assert_int_equal(count_lines(text, "Z warn log.dropped lines=1"), 1);
    mem_free(c.bytes);
}

static void log_limit_pass_at_the_limit(void **state)
{
    struct log_limit l = { 0 };
    uint64_t suppressed = 99;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_true(log_limit_pass(&l, 3, 5000 + i, &suppressed));
        assert_int_equal(suppressed, 0);
    }
    assert_false(log_limit_pass(&l, 3, 5999, &suppressed));
    assert_false(log_limit_pass(&l, 3, 5999, &suppressed));
    assert_true(log_limit_pass(&l, 3, 6000, &suppressed));
    assert_int_equal(suppressed, 2);
    assert_true(log_limit_pass(&l, 3, 6000, &suppressed));
    assert_int_equal(suppressed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_format_line_every_kind),
        cmocka_unit_test(log_format_line_without_fields),
        cmocka_unit_test(log_format_line_json_nests_dotted_names),
        cmocka_unit_test(log_format_line_escapes_values),
        cmocka_unit_test(log_format_line_value_at_the_limit),
        cmocka_unit_test(log_format_line_too_long_is_cut_before_its_newline),
        cmocka_unit_test(log_write_from_many_threads_keeps_lines_whole_and_in_order),
        cmocka_unit_test(log_write_below_the_level_writes_nothing),
        cmocka_unit_test(log_write_longest_lines_stay_whole),
        cmocka_unit_test(log_write_to_a_stalled_reader_drops_and_says_so),
        cmocka_unit_test(log_limit_pass_at_the_limit),
    };

    return cmocka_run_group_tests_name("base/log", tests, NULL, NULL);
}
