/* command_kind: the commands of an SSH session, for those who need not know more of them. */
#ifndef SSHD_COMMAND_KIND_H
#define SSHD_COMMAND_KIND_H

enum command_kind {
    COMMAND_HTTP,
    COMMAND_TCP,
    COMMAND_TLS,
    COMMAND_POLICY_CHECK,
    COMMAND_API, /* and the short ones: ls, whoami, kill */
    COMMAND_HELP,
    COMMAND_VERSION,
};

#endif
