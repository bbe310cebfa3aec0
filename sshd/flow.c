#include "sshd/flow.h"

void flow_update(struct flow *f, bool pending, const struct ssh_counter_struct *raw,
                 const struct ssh_counter_struct *sock)
{
    if (f->rekey_mark != 0 && raw->out_bytes >= f->rekey_mark)
        f->rekey_mark = 0;
    if (f->stall_mark != 0 && raw->in_packets >= f->stall_mark)
        f->stall_mark = 0;
    if (pending)
        return;
    f->written = 0;
    f->raw = *raw;
    f->sock = *sock;
}

bool flow_can_write(const struct flow *f)
{
    return f->rekey_mark == 0 && f->stall_mark == 0 && f->written < FLOW_CHANNEL_MAX_BYTES;
}

void flow_wrote(struct flow *f, size_t n, uint64_t before, uint64_t after)
{
    f->written += n;
    /* Taken but not sent nor buffered as packets: it waits in the queue behind our rekey. */
    if (after - before < n)
        f->rekey_mark = before + n;
}

void flow_stalled(struct flow *f, const struct ssh_counter_struct *raw)
{
    f->stall_mark = raw->in_packets + 1;
}

bool flow_is_choked(const struct flow *f, const struct ssh_counter_struct *raw,
                    const struct ssh_counter_struct *sock)
{
    uint64_t made = raw->out_bytes - f->raw.out_bytes +
                    FLOW_PACKET_OVERHEAD_BYTES * (raw->out_packets - f->raw.out_packets);
    uint64_t sent = sock->out_bytes - f->sock.out_bytes;

    return made > sent && made - sent > FLOW_PENDING_MAX_BYTES;
}
