/*
 * api_audit: changes of objects by the management API become audit events (spec api 3.11.4).
 * Thread: any.
 */
#ifndef GATEWAY_API_AUDIT_H
#define GATEWAY_API_AUDIT_H

struct api_change_event;
struct event_sink;

/* Logs and publishes the change, if it has an event. */
void api_audit(struct event_sink *sink, const struct api_change_event *change);

#endif
