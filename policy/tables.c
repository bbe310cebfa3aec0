/* tables: what the .def files of this folder say, as constants: phases, limits, variables. */
#include "policy/policy.h"
#include "policy/vars.h"

const char *policy_phase_name(enum policy_phase phase)
{
    static const char *const names[POLICY_PHASE_COUNT] = {
        [POLICY_ON_TCP_CONNECT] = "on_tcp_connect",
        [POLICY_ON_HTTP_REQUEST] = "on_http_request",
        [POLICY_ON_HTTP_RESPONSE] = "on_http_response",
        [POLICY_ON_EVENT_STREAM_MESSAGE] = "on_event_stream_message",
    };

    return names[phase];
}

const struct policy_limits policy_default_limits = {
#define LIMIT(name, unit, min, max, preset, text) .name = (preset),
#include "policy/limits.def"
#undef LIMIT
};

const struct policy_var_row policy_vars[POLICY_VAR_COUNT] = {
#define VAR(symbol, name, type, phases) [symbol] = { (name), (type), (phases) },
#include "policy/vars.def"
#undef VAR
};
