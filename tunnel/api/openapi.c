/* /openapi.json: what the tables say, in the words of OpenAPI 3.0. */
#include <string.h>

#include "tunnel/api/api_int.h"

/* ---- schemas -------------------------------------------------------------------------------- */

static json_t *schema_ref(const char *name)
{
    return json_pack("{s:o}", "$ref", json_sprintf("#/components/schemas/%s", name));
}

/* The type of a field; of an answer, which may be nullable. */
static json_t *field_schema(const struct api_field *f, bool in_answer)
{
    static const char *const names[] = {
        [API_STRING] = "string", [API_BOOL] = "boolean", [API_INTEGER] = "integer",
        [API_STRINGS] = "array", [API_TIME] = "string",  [API_OBJECT] = "object",
        [API_OBJECTS] = "array", [API_REF] = "object",
    };
    json_t *s = json_pack("{s:s, s:s}", "type", names[f->type], "description", f->text);

    if (f->type == API_TIME)
        (void)json_object_set_new(s, "format", json_string("date-time"));
    if (f->type == API_STRINGS || f->type == API_OBJECTS)
        (void)json_object_set_new(
            s, "items", json_pack("{s:s}", "type", f->type == API_STRINGS ? "string" : "object"));
    if (f->type == API_REF)
        (void)json_object_set_new(
            s, "properties",
            json_pack("{s:{s:s}, s:{s:s}}", "id", "type", "string", "uri", "type", "string"));
    if (f->choices != NULL) {
        json_t *list = json_array();

        for (const char *const *word = f->choices; *word != NULL; word++)
            (void)json_array_append_new(list, json_string(*word));
        (void)json_object_set_new(s, "enum", list);
    }
    if (!in_answer && f->type == API_STRING && f->max_bytes > 0)
        (void)json_object_set_new(s, "maxLength", json_integer((json_int_t)f->max_bytes));
    if (in_answer && (f->type == API_REF || (f->where & (API_NULLABLE | API_ONCE)) != 0))
        (void)json_object_set_new(s, "nullable", json_true());
    return s;
}

/* The fields that stand in one of `where`. */
static json_t *object_schema(const struct api_resource *r, unsigned where)
{
    json_t *properties = json_object();
    json_t *required = json_array();
    json_t *s;
    bool in_answer = where == API_R;

    if (in_answer) {
        (void)json_object_set_new(properties, "id", json_pack("{s:s}", "type", "string"));
        if (!r->no_uri)
            (void)json_object_set_new(properties, "uri", json_pack("{s:s}", "type", "string"));
    }
    for (size_t i = 0; i < r->field_count; i++) {
        const struct api_field *f = &r->fields[i];

        if ((f->where & where) == 0)
            continue;
        (void)json_object_set_new(properties, f->name, field_schema(f, in_answer));
        if (where == API_C ? (f->where & API_REQUIRED) != 0
                           : in_answer && (f->where & API_OMITTED) == 0)
            (void)json_array_append_new(required, json_string(f->name));
    }
    s = json_pack("{s:s, s:o}", "type", "object", "properties", properties);
    if (json_array_size(required) > 0)
        (void)json_object_set(s, "required", required);
    json_decref(required);
    return s;
}

static json_t *list_schema(const struct api_resource *r)
{
    return json_pack("{s:s, s:{s:{s:s, s:o}, s:{s:s}, s:{s:s, s:b}}, s:[s, s, s]}", "type",
                     "object", "properties", r->list_key, "type", "array", "items",
                     schema_ref(r->kind), "uri", "type", "string", "next_page_uri", "type",
                     "string", "nullable", 1, "required", r->list_key, "uri", "next_page_uri");
}

static json_t *error_schema(void)
{
    return json_pack("{s:s, s:{s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s, s:{s:s}}}, s:[s, s, s]}", "type",
                     "object", "properties", "error_code", "type", "string", "status_code", "type",
                     "integer", "msg", "type", "string", "details", "type", "object",
                     "additionalProperties", "type", "string", "required", "status_code", "msg",
                     "details");
}

static void add_named(json_t *schemas, const char *kind, const char *suffix, json_t *schema)
{
    json_t *name = json_sprintf("%s%s", kind, suffix);

    (void)json_object_set_new(schemas, json_string_value(name), schema);
    json_decref(name);
}

static void add_schemas(json_t *schemas, const struct api_resource *r)
{
    add_named(schemas, r->kind, "", object_schema(r, API_R));
    if ((r->verbs & API_CAN_LIST) != 0)
        add_named(schemas, r->kind, "_list", list_schema(r));
    if ((r->verbs & API_CAN_CREATE) != 0)
        add_named(schemas, r->kind, "_create", object_schema(r, API_C));
    if ((r->verbs & API_CAN_UPDATE) != 0)
        add_named(schemas, r->kind, "_update", object_schema(r, API_U));
}

/* ---- operations ----------------------------------------------------------------------------- */

static json_t *json_content(json_t *schema)
{
    return json_pack("{s:{s:o}}", "application/json", "schema", schema);
}

static json_t *parameter(const char *name, const char *in, const char *type)
{
    return json_pack("{s:s, s:s, s:b, s:{s:s}}", "name", name, "in", in, "required",
                     strcmp(in, "path") == 0, "schema", "type", type);
}

static void add_list_parameters(const struct api_resource *r, json_t *parameters)
{
    (void)json_array_append_new(parameters, parameter("limit", "query", "integer"));
    (void)json_array_append_new(parameters, parameter("before_id", "query", "string"));
    if (!r->no_filter)
        (void)json_array_append_new(parameters, parameter("filter", "query", "string"));
    for (const char *const *name = r->list_query; name != NULL && *name != NULL; name++)
        (void)json_array_append_new(parameters, parameter(*name, "query", "string"));
}

/* `body` and `answer` end the names of schemas; NULL: there is none. */
static json_t *operation(const struct api_resource *r, const char *verb, const char *body,
                         const char *status, const char *answer)
{
    json_t *op = json_pack("{s:o, s:s, s:[s], s:{s:{s:s, s:o}}}", "operationId",
                           json_sprintf("%s_%s", r->kind, verb), "summary", r->text, "tags",
                           r->list_key, "responses", "default", "description", "an error",
                           "content", json_content(schema_ref("error")));
    json_t *done = json_pack("{s:s}", "description", "done");

    if (answer != NULL) {
        json_t *name = json_sprintf("%s%s", r->kind, answer);

        (void)json_object_set_new(done, "content",
                                  json_content(schema_ref(json_string_value(name))));
        json_decref(name);
    }
    (void)json_object_set_new(json_object_get(op, "responses"), status, done);
    if (body != NULL) {
        json_t *name = json_sprintf("%s%s", r->kind, body);

        (void)json_object_set_new(
            op, "requestBody",
            json_pack("{s:o}", "content", json_content(schema_ref(json_string_value(name)))));
        json_decref(name);
    }
    return op;
}

static void add_collection(json_t *paths, const struct api_resource *r)
{
    json_t *path = json_object();

    if ((r->verbs & API_CAN_CREATE) != 0)
        (void)json_object_set_new(path, "post", operation(r, "create", "_create", "201", ""));
    if ((r->verbs & API_CAN_LIST) != 0) {
        json_t *op = operation(r, "list", NULL, "200", "_list");
        json_t *parameters = json_array();

        add_list_parameters(r, parameters);
        (void)json_object_set_new(op, "parameters", parameters);
        (void)json_object_set_new(path, "get", op);
    }
    (void)json_object_set_new(paths, r->path, path);
}

static void add_item(json_t *paths, const struct api_resource *r)
{
    json_t *path = json_pack("{s:[o]}", "parameters", parameter("id", "path", "string"));
    json_t *name = json_sprintf("%s/{id}", r->path);

    if ((r->verbs & API_CAN_GET) != 0)
        (void)json_object_set_new(path, "get", operation(r, "get", NULL, "200", ""));
    if ((r->verbs & API_CAN_UPDATE) != 0)
        (void)json_object_set_new(path, "patch", operation(r, "update", "_update", "200", ""));
    if ((r->verbs & API_CAN_DELETE) != 0)
        (void)json_object_set_new(path, "delete", operation(r, "delete", NULL, "204", NULL));
    (void)json_object_set_new(paths, json_string_value(name), path);
    json_decref(name);
}

static void add_action(json_t *paths, const struct api_resource *r, const struct api_action *a)
{
    json_t *name = json_sprintf("%s/{id}/%s%s", r->path, a->name, a->has_item ? "/{item}" : "");
    json_t *path = json_object_get(paths, json_string_value(name));
    char method[8] = { 0 };
    json_t *op = operation(r, a->name, NULL, strcmp(a->method, "GET") == 0 ? "200" : "2XX", NULL);

    for (size_t i = 0; a->method[i] != '\0' && i < sizeof(method) - 1; i++)
        method[i] = char_lower(a->method[i]);
    (void)json_object_set_new(
        op, "operationId",
        json_sprintf("%s_%s_%s%s", r->kind, a->name, method, a->has_item ? "_item" : ""));
    (void)json_object_set_new(op, "summary", json_string(a->text));
    if (path == NULL) {
        path = json_pack("{s:[o]}", "parameters", parameter("id", "path", "string"));
        if (a->has_item)
            (void)json_array_append_new(json_object_get(path, "parameters"),
                                        parameter("item", "path", "string"));
        (void)json_object_set_new(paths, json_string_value(name), path);
    }
    (void)json_object_set_new(path, method, op);
    json_decref(name);
}

/* ---- the whole ------------------------------------------------------------------------------ */

json_t *api_openapi(const char *base_url)
{
    json_t *paths = json_object();
    json_t *schemas = json_pack("{s:o}", "error", error_schema());
    const struct api_resource *r;

    for (size_t i = 0; (r = api_resource_at(i)) != NULL; i++) {
        add_schemas(schemas, r);
        add_collection(paths, r);
        if ((r->verbs & (API_CAN_GET | API_CAN_UPDATE | API_CAN_DELETE)) != 0)
            add_item(paths, r);
        for (size_t n = 0; n < r->action_count; n++)
            add_action(paths, r, &r->actions[n]);
    }
    return json_pack("{s:s, s:{s:s, s:s}, s:[{s:s}], s:[{s:[]}], s:o,"
                     " s:{s:o, s:{s:{s:s, s:s}}}}",
                     "openapi", "3.0.3", "info", "title", "sallyport", "version", SALLYPORT_VERSION,
                     "servers", "url", base_url, "security", "key", "paths", paths, "components",
                     "schemas", schemas, "securitySchemes", "key", "type", "http", "scheme",
                     "bearer");
}
