/*
 * policy_setup: from the configuration to the terms under which policies of endpoints are compiled
 * (policy/policy.h): limits, names of IP policies and secrets, and the operator's own documents.
 * Thread: main.
 */
#ifndef GATEWAY_POLICY_SETUP_H
#define GATEWAY_POLICY_SETUP_H

#include "base/buf.h"
#include "policy/policy.h"

struct config;
struct policy_data;

/*
 * New terms with one reference; they hold one of `data`. The engine must outlive them. Each document of
 * the config is parsed and compiled once, for its problems: NULL with all of them appended. Warnings
 * are appended too, and do no harm.
 */
struct policy_terms *policy_setup(const struct config *config, struct policy_engine *engine,
                                  struct policy_data *data, struct buf *problems);

#endif
