/*
 * fn_request: functions of policies that look at the run they are evaluated in; cel_run.ctx is a
 * struct policy_run.
 * Thread: that of the exchange; tables are const.
 */
#ifndef POLICY_FN_REQUEST_H
#define POLICY_FN_REQUEST_H

#include "policy/cel/fn.h"

extern const struct cel_library policy_request_library;  /* phases with req.* */
extern const struct cel_library policy_response_library; /* phases with res.* */
extern const struct cel_library policy_secrets_library;  /* all */

#endif
