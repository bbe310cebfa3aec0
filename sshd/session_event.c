#include "sshd/session_event.h"

#include "base/clock.h"
#include "base/json_text.h"
#include "sshd/session_int.h"
#include "sshd/sshd_int.h"
#include "tunnel/account_id.h"
#include "tunnel/event_sink.h"

enum { OBJECT_MAX_BYTES = 16 * 1024, TEXT_MAX_BYTES = 1024 };

struct writer {
    struct buf *out;
    struct json_text_object object;
};

static void add(struct writer *w, struct str name, struct str value)
{
    json_text_name(w->out, &w->object, name);
    json_text_string(w->out, value, TEXT_MAX_BYTES);
}

static void add_time(struct writer *w, struct str name, uint64_t wall_ms)
{
    char text[CLOCK_RFC3339_BYTES];

    text[0] = '\0';
    if (wall_ms != 0)
        clock_format_rfc3339(wall_ms, text);
    add(w, name, str_from(text));
}

static void add_ip(struct writer *w, struct str name, const struct addr *a)
{
    char text[ADDR_TEXT_BYTES];

    add(w, name, a->family == 0 ? STR("") : str_from(addr_format_ip(a, text)));
}

/* What SSH does not tell is empty. */
static void add_session(struct buf *out, const struct session *s, enum event_type type)
{
    struct writer w = { .out = out };
    const char *version = s->ssh != NULL ? ssh_get_clientbanner(s->ssh) : NULL;
    bool is_stop = type == EVENT_SESSION_STOP;

    buf_add_char(out, '{');
    add(&w, STR("session.id"), str_from(s->id));
    add(&w, STR("session.uri"), STR(""));
    add_ip(&w, STR("agent_ip"), &s->client);
    add_ip(&w, STR("ingress_server_ip"), &s->server);
    add(&w, STR("ingress_hostname"), STR(""));
    add(&w, STR("region"), STR(""));
    add(&w, STR("user_agent"), str_from(version));
    add(&w, STR("metadata"), STR(""));
    add(&w, STR("os"), STR(""));
    add(&w, STR("arch"), STR(""));
    add(&w, STR("transport"), STR("ssh"));
    add_time(&w, STR("started_at"), s->login_wall_ms);
    add_time(&w, STR("expires_at"), s->auth.key->expires_wall_ms);
    add_time(&w, STR("stopped_at"), is_stop ? clock_wall_ms() : 0);
    add(&w, STR("error"), str_from(is_stop ? close_name(s->end_why) : ""));
    json_text_close(out, &w.object);
    buf_add_char(out, '}');
}

static void publish(struct session *s, enum event_type type)
{
    struct event_sink *sink = s->front->settings.events;
    struct str account = str_from(s->auth.key->account);
    char id[ID_BYTES];
    struct buf object;
    struct event_audit audit = { .account = account };

    if (!event_sink_wants(sink, type))
        return;
    account_id(account, id);
    buf_init(&object, OBJECT_MAX_BYTES);
    add_session(&object, s, type);
    audit.object = buf_str(&object);
    audit.principal = (struct event_principal){ .id = str_from(id),
                                                .subject = account,
                                                .source = STR("SSH"),
                                                .credential_id = str_from(s->auth.key->id) };
    event_publish_object(sink, type, &audit);
    buf_fini(&object);
}

void session_event_start(struct session *s)
{
    s->login_wall_ms = clock_wall_ms();
    s->server = addr_of_socket(s->fd);
    publish(s, EVENT_SESSION_START);
}

void session_event_stop(struct session *s)
{
    publish(s, EVENT_SESSION_STOP);
}
