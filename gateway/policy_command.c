#include "gateway/policy_command.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "gateway/file_read.h"
#include "policy/policy.h"

enum { PROBLEMS_MAX_BYTES = 1024 * 1024 };

struct check {
    struct policy_engine *engine; /* owned */
    size_t files;
    size_t errors;
    size_t warnings;
};

/* Which IP policies there are, only the gateway knows: a check is about the document. */
static bool takes_ip_policy(void *arg, struct str name)
{
    (void)arg;
    return name.n > 0;
}

static void compile(const struct check *c, const struct policy_document *document,
                    struct policy_problems *problems)
{
    const struct policy_params params = {
        .engine = c->engine,
        .limits = &policy_default_limits,
        .documents = &document,
        .document_count = 1,
        .has_ip_policy = takes_ip_policy,
    };

    counted_unref(policy_compile(&params, problems));
}

static void print_problems(const struct policy_problems *problems)
{
    struct buf text;

    buf_init(&text, PROBLEMS_MAX_BYTES);
    policy_problems_format(problems, &text);
    (void)printf("%.*s", STR_ARG(buf_str(&text)));
    buf_fini(&text);
}

static void check_text(struct check *c, const char *name, struct str text)
{
    struct policy_problems *problems = policy_problems_new();
    struct policy_document *document =
        policy_document_parse(str_from(name), text, &policy_default_limits, problems);

    if (document != NULL)
        compile(c, document, problems);
    print_problems(problems);
    c->errors += policy_problems_errors(problems);
    c->warnings += policy_problems_warnings(problems);
    policy_document_free(document);
    policy_problems_free(problems);
}

static void check_file(struct check *c, const char *path)
{
    struct buf text;
    struct err e;

    c->files++;
    buf_init(&text, policy_default_limits.policy_document_max_bytes);
    if (file_read_or_stdin(path, &text, &e) == -1) {
        (void)printf("%s: error: %s\n", path, e.msg);
        c->errors++;
    } else {
        check_text(c, strcmp(path, "-") == 0 ? "<stdin>" : path, buf_str(&text));
    }
    buf_fini(&text);
}

static int policy_check(int count, char *const *paths)
{
    struct check c = { .engine = policy_engine_new() };

    for (int i = 0; i < count; i++)
        check_file(&c, paths[i]);
    policy_engine_free(c.engine);
    (void)fflush(stdout); /* the problems come first where both go to one place */
    (void)fprintf(stderr, "%zu file%s checked: %zu error%s, %zu warning%s\n", c.files,
                  c.files == 1 ? "" : "s", c.errors, c.errors == 1 ? "" : "s", c.warnings,
                  c.warnings == 1 ? "" : "s");
    return c.errors == 0 ? POLICY_COMMAND_OK : POLICY_COMMAND_PROBLEM;
}

int policy_command(int argc, char *const *argv)
{
    if (argc >= 2 && strcmp(argv[0], "check") == 0)
        return policy_check(argc - 1, argv + 1);
    if (argc == 2 && strcmp(argv[0], "eval") == 0)
        return policy_eval(argv[1], NULL);
    if (argc == 4 && strcmp(argv[0], "eval") == 0 && strcmp(argv[2], "--vars") == 0)
        return policy_eval(argv[1], argv[3]);
    return POLICY_COMMAND_USAGE;
}
