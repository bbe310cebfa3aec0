#include "gateway/api_audit.h"

#include "base/log.h"
#include "tunnel/api/host.h"
#include "tunnel/event_sink.h"

void api_audit(struct event_sink *sink, const struct api_change_event *change)
{
    struct str account = str_from(change->account);
    struct event_audit audit = {
        .account = account,
        .object = change->object,
        .principal = { .id = str_from(change->principal),
                       .subject = account,
                       .source = change->by_ssh ? STR("SSH") : STR("API"),
                       .credential_id = str_from(change->credential) },
    };
    enum event_type type;
    struct err e;

    if (change->event_type == NULL)
        return;
    if (event_type_find(str_from(change->event_type), &type, &e) == -1 ||
        type < EVENT_AUDIT_FIRST) {
        log_error("audit.unknown", LS("type", change->event_type));
        return;
    }
    audit.noun = (enum event_noun)((type - EVENT_AUDIT_FIRST) / EVENT_ACTIONS);
    audit.action = (enum event_action)((type - EVENT_AUDIT_FIRST) % EVENT_ACTIONS);
    event_audit(sink, &audit);
}
