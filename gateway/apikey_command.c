#include "gateway/apikey_command.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <jansson.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "gateway/api_setup.h"
#include "gateway/config.h"
#include "gateway/http1.h"
#include "gateway/inputs.h"
#include "gateway/operator_socket.h"
#include "gateway/state_dir.h"
#include "tunnel/api/api.h"

enum { REQUEST_MAX_BYTES = 64 * 1024, ANSWER_MAX_BYTES = 1024 * 1024, ANSWER_TIMEOUT_S = 30 };

#define ADMIN_ACCOUNT "default"

struct wish {
    const char *config_path;
    const char *account; /* NULL: an administrator */
    const char *description;
};

/* ---- of a running gateway ------------------------------------------------------------------- */

static bool send_all(int fd, struct str data)
{
    while (data.n > 0) {
        ssize_t n = send(fd, data.p, data.n, MSG_NOSIGNAL);

        if (n == -1 && errno == EINTR)
            continue;
        if (n == -1)
            return false;
        data = str_skip(data, (size_t)n);
    }
    return true;
}

/* Reads until the peer closes. */
static bool read_all(int fd, struct buf *out)
{
    for (;;) {
        char piece[4096];
        ssize_t n = recv(fd, piece, sizeof(piece), 0);

        if (n == 0)
            return !buf_failed(out);
        if (n == -1 && errno != EINTR)
            return false;
        if (n > 0)
            buf_add(out, piece, (size_t)n);
    }
}

static void write_request(const struct wish *w, struct buf *out)
{
    json_t *body = json_pack("{s:s}", "description", w->description);
    char *text = json_dumps(body, JSON_COMPACT);

    http1_write_request_line(out, STR("POST"), STR("/api_keys"));
    http1_write_header(out, STR("host"), STR("localhost"));
    http1_write_header(out, STR("connection"), STR("close"));
    http1_write_header(out, STR("ngrok-version"), STR("2"));
    http1_write_header(out, STR("content-type"), STR("application/json"));
    if (w->account != NULL)
        http1_write_header(out, STR("sallyport-account"), str_from(w->account));
    buf_add_fmt(out, "content-length: %zu\r\n", strlen(text));
    http1_write_head_end(out);
    buf_add_str(out, str_from(text));
    free(text);
    json_decref(body);
}

/* Takes the token, or the message of the error, out of a response. */
static int read_response(struct str response, char token[API_TOKEN_BYTES], struct err *e)
{
    size_t head = str_find(response, STR("\r\n\r\n"));
    struct str body = str_skip(response, head + 4);
    json_t *answer = json_loadb(body.p != NULL ? body.p : "", body.n, 0, NULL);
    const char *text = json_string_value(json_object_get(answer, "token"));
    const char *msg = json_string_value(json_object_get(answer, "msg"));
    int rc = 0;

    if (text != NULL)
        (void)snprintf(token, API_TOKEN_BYTES, "%s", text);
    else
        rc = err_set(e, E_SYSTEM, "%s", msg != NULL ? msg : "the gateway gave no proper answer");
    json_decref(answer);
    return rc;
}

/* Returns 0 with the token, or -1 with e: E_NOT_FOUND when no gateway runs. */
static int ask_gateway(const struct config *config, const struct wish *w,
                       char token[API_TOKEN_BYTES], struct err *e)
{
    const struct timeval timeout = { .tv_sec = ANSWER_TIMEOUT_S };
    struct buf request;
    struct buf response;
    int fd = operator_socket_connect(config->state_dir, e);
    int rc;

    if (fd == -1)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout,
                     sizeof(timeout)); /* else it waits longer */
    buf_init(&request, REQUEST_MAX_BYTES);
    buf_init(&response, ANSWER_MAX_BYTES);
    write_request(w, &request);
    if (buf_failed(&request))
        rc = err_set(e, E_LIMIT, "the description is too long");
    else if (!send_all(fd, buf_str(&request)) || !read_all(fd, &response))
        rc = err_set_errno(e, errno, "the running gateway did not answer");
    else
        rc = read_response(buf_str(&response), token, e);
    buf_fini(&request);
    buf_fini(&response);
    (void)close(fd); /* all was read */
    return rc;
}

/* ---- without one ---------------------------------------------------------------------------- */

static int make_key(const struct api_setup *s, const struct wish *w, char token[API_TOKEN_BYTES],
                    struct err *e)
{
    struct api_caller who;
    struct api_error problem;
    struct str account = str_from(w->account != NULL ? w->account : ADMIN_ACCOUNT);

    api_caller_init(s->api, &who, account, w->account == NULL, API_SOURCE_REST);
    if (api_key_new(s->api, &who, str_from(w->description), token, &problem) == -1)
        return err_set(e, E_SYSTEM, "%s", problem.msg);
    return 0;
}

static int write_here(struct config *config, const struct wish *w, char token[API_TOKEN_BYTES],
                      struct err *e)
{
    struct api_setup s = { 0 };
    int lock = state_dir_open(config->state_dir, e);
    int rc;

    if (lock == -1)
        return -1;
    rc = api_setup_open(&s, config, e);
    if (rc == 0)
        rc = make_key(&s, w, token, e);
    api_setup_fini(&s);
    (void)close(lock); /* only held, never written */
    return rc;
}

/* ---- the command ---------------------------------------------------------------------------- */

static int create(struct config *config, const struct wish *w)
{
    char token[API_TOKEN_BYTES];
    struct err e = { 0 };
    int rc = ask_gateway(config, w, token, &e);

    if (rc == -1 && e.code == E_NOT_FOUND)
        rc = write_here(config, w, token, &e);
    if (rc == -1)
        (void)fprintf(stderr, "sallyport: %s\n", e.msg);
    else
        (void)printf("%s\n", token);
    mem_wipe(token, sizeof(token));
    return rc == -1 ? APIKEY_COMMAND_PROBLEM : APIKEY_COMMAND_OK;
}

/* Reads the options; false when one is unknown or lacks its value. */
static bool read_options(int argc, char *const *argv, struct wish *w)
{
    for (int i = 0; i < argc; i += 2) {
        const char **to = strcmp(argv[i], "-c") == 0              ? &w->config_path
                          : strcmp(argv[i], "--account") == 0     ? &w->account
                          : strcmp(argv[i], "--description") == 0 ? &w->description
                                                                  : NULL;

        if (to == NULL || i + 1 == argc)
            return false;
        *to = argv[i + 1];
    }
    return w->config_path != NULL;
}

int apikey_command(int argc, char *const *argv)
{
    struct wish w = { .description = "" };
    struct config *config;
    struct buf problems;
    int status;

    if (strcmp(argv[0], "create") != 0 || !read_options(argc - 1, argv + 1, &w))
        return APIKEY_COMMAND_USAGE;
    if (w.account != NULL && !api_account_is_valid(str_from(w.account))) {
        (void)fprintf(stderr, "sallyport: an account has 1 to %d letters, digits, '.', '_', '-'\n",
                      API_ACCOUNT_BYTES - 1);
        return APIKEY_COMMAND_PROBLEM;
    }
    buf_init(&problems, INPUTS_PROBLEMS_MAX_BYTES);
    config = config_load(w.config_path, &problems);
    if (config == NULL) {
        (void)fprintf(stderr, "%.*s", STR_ARG(buf_str(&problems)));
        status = APIKEY_COMMAND_PROBLEM;
    } else {
        status = create(config, &w);
    }
    buf_fini(&problems);
    config_unref(config);
    return status;
}
