/*
 * user_agent: what a User-Agent field says about the program, the system and the device (spec
 * traffic-policy 4.7, D61). Programs are rows of user_agents.def; what is not there goes by the
 * first product that it names.
 * Owns:   nothing; text is borrowed from the value, static, or in the struct itself: so it must not
 *         be copied. All of it is ASCII, whatever the value holds.
 * Thread: any; pure.
 * Limits: only the first USER_AGENT_MAX_BYTES of a value are looked at.
 */
#ifndef POLICY_USER_AGENT_H
#define POLICY_USER_AGENT_H

#include <stdbool.h>

#include "base/str.h"

enum { USER_AGENT_MAX_BYTES = 1024, USER_AGENT_OS_VERSION_BYTES = 32 };

struct user_agent {
    struct str name;       /* "Chrome", "Safari", "GPTBot", "curl" */
    struct str version;    /* "10.1.2" */
    struct str os;         /* "macOS", "Windows", "iOS", "Android", "Linux", "ChromeOS", ... */
    struct str os_version; /* "10.12.6"; in os_version_text */
    struct str device;     /* "iPhone", "SM-G991B" */
    struct str url;        /* where a bot explains itself */
    bool is_mobile;        /* at most one of these three */
    bool is_tablet;
    bool is_desktop;
    bool is_bot; /* it says so: known ones, "...bot", crawlers and spiders, or it names a URL */
    char os_version_text[USER_AGENT_OS_VERSION_BYTES];
};

/* Never fails: what is not found is empty or false. */
void user_agent_parse(struct str value, struct user_agent *out);

#endif
