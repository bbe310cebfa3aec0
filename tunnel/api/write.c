/*
 * Create, get, update and delete of one object, the same for all resources. What is seen first is
 * also demanded by the commit, so a call that somebody overtook begins anew.
 */
#include <string.h>

#include "tunnel/api/api_int.h"

int api_fail_not_found(struct api_call *c, const struct api_resource *r, struct str id)
{
    if (!id_is_valid(id, r->prefix))
        return api_fail(c, API_ID_IN_PATH,
                        "The id in the path is not one of a resource of the kind %s.", r->kind);
    return api_fail(c, r->not_found != API_OK ? r->not_found : API_NOT_FOUND, "Resource not found");
}

/* The object of the path, or the 404. */
static int find_item(struct api_call *c, const struct api_resource *r, struct str id,
                     json_t **object)
{
    int rc = api_find(c, r, id, object);

    if (rc == 0)
        return api_fail_not_found(c, r, id);
    return rc == 1 ? 0 : -1;
}

int api_item_get(struct api_call *c, const struct api_resource *r, struct str id)
{
    json_t *object;
    json_t *shown;

    if (find_item(c, r, id, &object) == -1)
        return -1;
    shown = api_show(c, r, object);
    json_decref(object);
    if (shown == NULL)
        return -1;
    api_answer(c, 200, shown);
    return 0;
}

/* ---- telling -------------------------------------------------------------------------------- */

/* Tells the host of a change that is durable; `shown` is the object as answers have it. */
static void tell(struct api_call *c, const struct api_change *ch, const json_t *shown)
{
    static const char *const verbs[] = {
        [API_CREATE] = "created",
        [API_UPDATE] = "updated",
        [API_DELETE] = "deleted",
    };
    static const enum api_verb told[] = {
        [API_CREATE] = API_CREATED,
        [API_UPDATE] = API_UPDATED,
        [API_DELETE] = API_DELETED,
    };
    const struct api_host *host = api_call_host(c);
    const struct api_caller *who = api_call_who(c);
    struct api_change_event event = {
        .verb = told[ch->op],
        .kind = ch->resource->kind,
        .id = ch->id,
        .account = ch->account,
        .principal = who->principal,
        .credential = who->credential,
        .by_ssh = who->source == API_SOURCE_SSH,
        .wall_ms = c->wall_ms,
    };
    char *text;

    if (host->changed == NULL)
        return;
    if (ch->resource->event != NULL)
        event.event_type = arena_fmt(&c->arena, "%s_%s.v0", ch->resource->event, verbs[ch->op]).p;
    text = json_dumps(shown, JSON_COMPACT);
    event.object = str_from(text);
    host->changed(host->arg, &event);
    free(text);
}

/* The object without its one-time members. */
static json_t *show_for_others(struct api_call *c, const struct api_change *ch)
{
    json_t *once = c->once;
    json_t *shown;

    c->once = NULL;
    shown = api_show(c, ch->resource, ch->after != NULL ? ch->after : ch->before);
    c->once = once;
    return shown;
}

/* ---- writing -------------------------------------------------------------------------------- */

/* Writes a change and lets the data plane follow. Returns 1, 0 (begin anew) or -1. */
static int carry_out(struct api_call *c, const struct api_change *ch)
{
    const struct api_resource *r = ch->resource;
    json_t *shown;
    int rc;

    if (api_objects_write(c, ch) == -1)
        return -1;
    if (!api_try_store(c->api))
        return api_fail_unwritten(c);
    shown = show_for_others(c, ch);
    if (shown == NULL)
        return -1;
    rc = r->apply != NULL && r->apply(c, ch) == -1 ? -1 : 1;
    if (rc == 1) {
        rc = api_objects_commit(c);
        if (rc == 1 && r->settle != NULL)
            r->settle(c, ch);
        if (rc == 1)
            tell(c, ch, shown);
        else if (r->revert != NULL)
            r->revert(c, ch);
    }
    json_decref(shown);
    return rc;
}

/* Checks, writes, and answers with the object. */
static int put_object(struct api_call *c, struct api_change *ch, unsigned status)
{
    json_t *shown;
    int rc;

    if (ch->resource->check != NULL && ch->resource->check(c, ch) == -1)
        return -1;
    ch->account = api_get_text(ch->after, "account"); /* check() may have given it to another */
    /* What the answer will be is known before anything is changed, so it cannot fail later. */
    shown = api_show(c, ch->resource, ch->after);
    if (shown == NULL)
        return -1;
    rc = carry_out(c, ch);
    if (rc == 1)
        api_answer(c, status, shown);
    else
        json_decref(shown);
    return rc;
}

/* Lays the members of the input that are stored by their names over the object. */
static void lay_over(const struct api_resource *r, json_t *object, const json_t *input)
{
    for (size_t i = 0; i < r->field_count; i++) {
        const struct api_field *f = &r->fields[i];
        json_t *v = json_object_get(input, f->name);

        if (v != NULL && (f->where & API_HIDDEN) == 0)
            (void)json_object_set(object, f->name, v);
    }
}

int api_item_create_from(struct api_call *c, const struct api_resource *r, json_t *input)
{
    char id[ID_BYTES];
    struct api_change ch = {
        .resource = r,
        .op = API_CREATE,
        .id = id,
        .account = api_call_who(c)->account,
        .input = input,
        .after = json_object(),
    };
    int rc;

    id_source_next(&c->api->ids, r->prefix, c->wall_ms, id);
    api_set(ch.after, "id", str_from(id));
    api_set(ch.after, "account", str_from(ch.account));
    api_set(ch.after, "created_at", str_from(c->now));
    if (r->has_updated)
        api_set(ch.after, "updated_at", str_from(c->now));
    lay_over(r, ch.after, input);
    rc = put_object(c, &ch, 201);
    json_decref(ch.after);
    return rc;
}

int api_item_create(struct api_call *c, const struct api_resource *r)
{
    json_t *input;
    int rc;

    if (api_body_read(c, r, NULL, &input) == -1)
        return -1;
    rc = api_item_create_from(c, r, input);
    json_decref(input);
    return rc;
}

int api_item_update(struct api_call *c, const struct api_resource *r, struct str id)
{
    struct api_change ch = { .resource = r, .op = API_UPDATE };
    json_t *object;
    json_t *input;
    int rc;

    if (find_item(c, r, id, &object) == -1)
        return -1;
    if (api_body_read(c, r, object, &input) == -1) {
        json_decref(object);
        return -1;
    }
    ch.id = api_get_text(object, "id");
    ch.account = api_get_text(object, "account");
    ch.before = object;
    ch.input = input;
    ch.after = json_deep_copy(object);
    lay_over(r, ch.after, input);
    if (r->has_updated)
        api_set(ch.after, "updated_at", str_from(c->now));
    rc = put_object(c, &ch, 200);
    json_decref(ch.after);
    json_decref(input);
    json_decref(object);
    return rc;
}

int api_change_object(struct api_call *c, const struct api_resource *r, const json_t *before,
                      json_t *after)
{
    struct api_change ch = {
        .resource = r,
        .op = API_UPDATE,
        .id = api_get_text(before, "id"),
        .account = api_get_text(before, "account"),
        .before = before,
        .after = after,
    };

    if (r->has_updated)
        api_set(after, "updated_at", str_from(c->now));
    return carry_out(c, &ch);
}

int api_item_delete(struct api_call *c, const struct api_resource *r, struct str id)
{
    struct api_change ch = { .resource = r, .op = API_DELETE };
    json_t *object;
    int rc;

    if (find_item(c, r, id, &object) == -1)
        return -1;
    ch.id = api_get_text(object, "id");
    ch.account = api_get_text(object, "account");
    ch.before = object;
    rc = r->before_delete != NULL ? r->before_delete(c, &ch) : 0;
    if (rc == 0)
        rc = carry_out(c, &ch);
    if (rc == 1)
        api_answer(c, 204, NULL);
    json_decref(object);
    return rc;
}
