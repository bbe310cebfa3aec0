/*
 * flow: how much more may be written to one SSH connection.
 * libssh bounds neither its output buffer nor the packets it queues while a key exchange of ours is
 * under way; both show in its traffic counters only.
 * Thread: that of its session; pure.
 */
#ifndef SSHD_FLOW_H
#define SSHD_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libssh/libssh.h>

enum {
    FLOW_CHANNEL_MAX_BYTES = 256 * 1024,  /* channel data written while output is pending */
    FLOW_PENDING_MAX_BYTES = 1024 * 1024, /* all output pending, before reading stops */
    FLOW_PACKET_OVERHEAD_BYTES = 40,      /* length, padding and MAC of one packet, about */
};

struct flow {
    uint64_t written;    /* channel bytes since the output was last empty */
    uint64_t stall_mark; /* raw.in_packets + 1 when libssh took nothing; 0: it does */
    uint64_t rekey_mark; /* raw.out_bytes at which a queue behind a rekey is sent; 0: none */
    struct ssh_counter_struct raw; /* the counters when the output was last empty */
    struct ssh_counter_struct sock;
};

/* To be called before flow_can_write(); `pending` is libssh's SSH_WRITE_PENDING. */
void flow_update(struct flow *f, bool pending, const struct ssh_counter_struct *raw,
                 const struct ssh_counter_struct *sock);
bool flow_can_write(const struct flow *f);
/* n bytes of channel data were taken; raw.out_bytes was `before` ahead of it and is `after` now. */
void flow_wrote(struct flow *f, size_t n, uint64_t before, uint64_t after);
/* Nothing was taken, because the client exchanges keys; more is tried when a packet has come. */
void flow_stalled(struct flow *f, const struct ssh_counter_struct *raw);
/* True when so much output is pending that nothing more should be read from the peer. */
bool flow_is_choked(const struct flow *f, const struct ssh_counter_struct *raw,
                    const struct ssh_counter_struct *sock);

#endif
