/*
 * request_line: a finished exchange as one line for the user of the session.
 * Thread: any; pure.
 */
#ifndef SSHD_REQUEST_LINE_H
#define SSHD_REQUEST_LINE_H

#include "base/buf.h"
#include "base/log.h"

struct event;

enum { REQUEST_LINE_MAX_BYTES = 32 * 1024, REQUEST_LINE_TARGET_BYTES = 2048 };

/* "TIME METHOD PATH STATUS DURATION", or of a raw connection "TIME CLIENT in BYTES out BYTES REASON
 * DURATION", with an LF. What a visitor sent cannot steer the terminal, and
 * a target above REQUEST_LINE_TARGET_BYTES is cut. */
void request_line_text(const struct event *ev, struct buf *out);
/* How bad it was: LOG_ERROR from status 500, LOG_WARN from 400, else LOG_INFO. */
enum log_level request_line_level(const struct event *ev);
/* The fields of the event as the log has them, with an LF. */
void request_line_fields(const struct event *ev, enum log_format format, struct buf *out);

#endif
