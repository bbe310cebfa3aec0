#include "tunnel/endpoint_event.h"

#include "base/json_text.h"
#include "tunnel/account_id.h"
#include "tunnel/endpoint.h"
#include "tunnel/event_sink.h"

enum { OBJECT_MAX_BYTES = 64 * 1024, TEXT_MAX_BYTES = 8192 };

struct writer {
    struct buf *out;
    struct json_text_object object;
};

static void add(struct writer *w, struct str name, struct str value)
{
    json_text_name(w->out, &w->object, name);
    json_text_string(w->out, value, TEXT_MAX_BYTES);
}

/* The fields of the API's object (spec api 3.1) that an endpoint of a session knows. */
static void add_endpoint(struct buf *out, const struct endpoint *ep)
{
    struct writer w = { .out = out };
    bool is_internal = ep->url.binding == BINDING_INTERNAL;
    char url[URL_TEXT_BYTES];
    struct str scheme = str_from(scheme_name(ep->url.scheme));

    (void)url_format(&ep->url, scheme_default_port(SCHEME_HTTP), scheme_default_port(SCHEME_HTTPS),
                     url);
    buf_add_char(out, '{');
    add(&w, STR("id"), str_from(ep->id));
    add(&w, STR("url"), str_from(url));
    add(&w, STR("public_url"), str_from(url));
    add(&w, STR("proto"), scheme);
    add(&w, STR("scheme"), scheme);
    add(&w, STR("host"), str_from(ep->url.host));
    json_text_name(out, &w.object, STR("port"));
    buf_add_fmt(out, "%u", (unsigned)ep->url.port);
    add(&w, STR("type"), STR("ephemeral"));
    json_text_name(out, &w.object, STR("bindings"));
    buf_add_str(out, is_internal ? STR("[\"internal\"]") : STR("[\"public\"]"));
    add(&w, STR("name"), str_from(ep->name));
    add(&w, STR("description"), str_from(ep->description));
    add(&w, STR("metadata"), str_from(ep->metadata));
    json_text_name(out, &w.object, STR("pooling_enabled"));
    buf_add_str(out, ep->pooling ? STR("true") : STR("false"));
    add(&w, STR("tunnel_session.id"), str_from(ep->session_id));
    json_text_close(out, &w.object);
    buf_add_char(out, '}');
}

void endpoint_event_publish(struct event_sink *sink, const struct endpoint *ep,
                            enum event_action action)
{
    enum event_type type = event_type_audit(EVENT_NOUN_ENDPOINT, action);
    struct str account = str_from(ep->account);
    struct event_audit audit = { .account = account };
    char id[ID_BYTES];
    struct buf object;

    if (!endpoint_has_agent(ep) || !event_sink_wants(sink, type))
        return;
    account_id(account, id);
    buf_init(&object, OBJECT_MAX_BYTES);
    add_endpoint(&object, ep);
    audit.object = buf_str(&object);
    audit.principal =
        (struct event_principal){ .id = str_from(id), .subject = account, .source = STR("SSH") };
    event_publish_object(sink, type, &audit);
    buf_fini(&object);
}
