/*
 * Fuzz target of a whole call: lines "METHOD path?query", then the body. Whatever comes in, the answer
 * has a status, and a body that is JSON with what every error has.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <jansson.h>

#include "base/log.h"
#include "tunnel/api/api.h"
#include "tunnel/api/host.h"
#include "tunnel/store/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct api_host host = { .events = { .objects_max = 100, .queue_max = 10 } };

/* One for all inputs, so that calls meet what earlier ones left; anew when it gets large. */
static struct api *shared_api(void)
{
    static struct store *store;
    static struct api *api;
    static unsigned calls;

    if (calls++ % 1000 == 0) {
        struct api_params params = { .host = &host, .objects_max = 100 };

        log_configure(LOG_WARN, LOG_TEXT);
        api_free(api);
        store_free(store);
        params.store = store = store_memory_new();
        api = api_new(&params);
    }
    return api;
}

static void check_response(const struct api_response *r)
{
    json_t *body;

    assert(r->status >= 200 && r->status < 600);
    if (r->body == NULL) {
        assert(r->status == 204);
        return;
    }
    body = json_loadb(r->body, r->body_bytes, 0, NULL);
    assert(json_is_object(body));
    if (r->status >= 400) {
        assert(json_integer_value(json_object_get(body, "status_code")) == r->status);
        assert(json_is_string(json_object_get(body, "msg")));
        assert(json_is_object(json_object_get(body, "details")));
    }
    json_decref(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_of((const char *)data, size);
    size_t line = str_find_char(text, '\n');
    struct str head = str_slice(text, 0, line);
    size_t space = str_find_char(head, ' ');
    struct str target = str_skip(head, space + 1);
    size_t query = str_find_char(target, '?');
    struct api *api = shared_api();
    struct api_caller who;
    struct api_request request = {
        .method = str_slice(head, 0, space),
        .path = str_slice(target, 0, query),
        .query = str_skip(target, query + 1),
        .body = str_skip(text, line + 1),
        .content_type = STR("application/json"),
        .version = STR("2"),
        .base_url = STR("http://x"),
        .who = &who,
    };
    struct api_response response;

    api_caller_init(api, &who, STR("a"), false, API_SOURCE_REST);
    api_call(api, &request, &response);
    check_response(&response);
    api_response_fini(&response);
    return 0;
}
