#include "tunnel/event_sink.h"

#include "base/clock.h"
#include "base/log.h"

void event_publish_object(struct event_sink *s, enum event_type type, const struct event_audit *a)
{
    const struct event_principal *p = &a->principal;
    struct event *ev;

    if (!event_sink_wants(s, type))
        return;
    ev = event_new();
    ev->type = type;
    ev->wall_ms = clock_wall_ms();
    id_new("ev", ev->wall_ms, ev->id);
    ev->account = arena_str(&ev->arena, a->account);
    ev->object = arena_str(&ev->arena, a->object);
    ev->principal = (struct event_principal){
        .id = arena_str(&ev->arena, p->id),
        .subject = arena_str(&ev->arena, p->subject),
        .source = arena_str(&ev->arena, p->source),
        .credential_id = arena_str(&ev->arena, p->credential_id),
        .credential_uri = arena_str(&ev->arena, p->credential_uri),
    };
    s->ops->publish(s, ev);
}

void event_audit(struct event_sink *s, const struct event_audit *a)
{
    enum event_type type = event_type_audit(a->noun, a->action);

    log_info("audit", LS("type", event_type_name(type)), LSTR("account", a->account),
             LSTR("principal", a->principal.id), LSTR("subject", a->principal.subject),
             LSTR("source", a->principal.source));
    event_publish_object(s, type, a);
}
