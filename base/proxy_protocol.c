#include "base/proxy_protocol.h"

#include <assert.h>

/* ---- version 1: a line of text (section 2.1) ------------------------------------------------- */

static const struct str v1_start = STR_INIT("PROXY ");

static int bad(struct err *e, const char *what)
{
    return err_set(e, E_SYNTAX, "bad PROXY protocol header: %s", what);
}

/* An address in the notation that goes with the family, which both must be written in. */
static int read_v1_ip(struct str s, bool is_v6, struct addr *out)
{
    bool has_colon = str_find_char(s, ':') < s.n;

    return has_colon == is_v6 ? addr_parse_ip(s, out) : -1;
}

/* Section 2.1: decimal, without leading zeros. */
static int read_v1_port(struct str s, uint16_t *out)
{
    uint64_t port;

    if ((s.n > 1 && s.p[0] == '0') || str_to_u64(s, UINT16_MAX, &port) == -1)
        return -1;
    *out = (uint16_t)port;
    return 0;
}

/* What stands behind "PROXY ", without CRLF. */
static int parse_v1_line(struct str line, struct proxy_header *out, struct err *e)
{
    struct str words[5] = { 0 };
    size_t count = 0;
    bool is_v6;

    if (str_eq(line, STR("UNKNOWN")) || str_starts(line, STR("UNKNOWN "))) {
        out->local = true; /* the rest of such a line means nothing */
        return 0;
    }
    while (count < 5 && str_next(&line, ' ', &words[count]))
        count++;
    is_v6 = str_eq(words[0], STR("TCP6"));
    if (!is_v6 && !str_eq(words[0], STR("TCP4")))
        return bad(e, "unknown protocol");
    if (count < 5 || line.p != NULL)
        return bad(e, "it must name two addresses and two ports");
    if (read_v1_ip(words[1], is_v6, &out->source) == -1 ||
        read_v1_ip(words[2], is_v6, &out->destination) == -1)
        return bad(e, "invalid address");
    if (read_v1_port(words[3], &out->source.port) == -1 ||
        read_v1_port(words[4], &out->destination.port) == -1)
        return bad(e, "invalid port");
    return 0;
}

static ptrdiff_t parse_v1(struct str in, struct proxy_header *out, struct err *e)
{
    struct str line = str_slice(in, 0, PROXY_PROTOCOL_V1_MAX_BYTES);
    size_t end = str_find(line, STR("\r\n"));

    if (!str_starts(line, str_slice(v1_start, 0, line.n)))
        return bad(e, "it does not start as one");
    if (end == line.n) {
        if (line.n == PROXY_PROTOCOL_V1_MAX_BYTES)
            return bad(e, "the line is too long");
        return 0;
    }
    if (parse_v1_line(str_slice(line, v1_start.n, end), out, e) == -1)
        return -1;
    return (ptrdiff_t)end + 2;
}

static void format_v1(const struct proxy_header *h, struct buf *out)
{
    char source[ADDR_IP_TEXT_BYTES];
    char destination[ADDR_IP_TEXT_BYTES];
    bool is_v6 = h->source.family == 6 || h->destination.family == 6;

    if (h->local) {
        buf_add_str(out, STR("PROXY UNKNOWN\r\n"));
        return;
    }
    buf_add_fmt(out, "PROXY TCP%c %s%s %s%s %u %u\r\n", is_v6 ? '6' : '4',
                is_v6 && h->source.family == 4 ? "::ffff:" : "", addr_format_ip(&h->source, source),
                is_v6 && h->destination.family == 4 ? "::ffff:" : "",
                addr_format_ip(&h->destination, destination), (unsigned)h->source.port,
                (unsigned)h->destination.port);
}

/* ---- version 2: binary (section 2.2) --------------------------------------------------------- */

static const char v2_signature[12] = { '\r', '\n', '\r', '\n', '\0', '\r',
                                       '\n', 'Q',  'U',  'I',  'T',  '\n' };

enum { V2_LOCAL = 0x20, V2_PROXY = 0x21 };

/* Family and transport in one byte. */
enum {
    V2_UNSPEC = 0x00,
    V2_TCP4 = 0x11,
    V2_UDP4,
    V2_TCP6 = 0x21,
    V2_UDP6,
    V2_UNIX = 0x31,
    V2_UNIX_DGRAM
};

enum {
    V2_IP4_BYTES = 4,
    V2_IP6_BYTES = 16,
    V2_PORT_BYTES = 2,
    V2_UNIX_BYTES = 108,
    V2_TLV_HEAD_BYTES = 3
};

static unsigned byte_at(struct str s, size_t i)
{
    return (unsigned char)s.p[i];
}

static uint16_t u16_at(struct str s, size_t i)
{
    return (uint16_t)(byte_at(s, i) << 8 | byte_at(s, i + 1));
}

/* Returns how many bytes the addresses of a known family have, or -1. */
static ptrdiff_t v2_addresses_bytes(unsigned family)
{
    switch (family) {
    case V2_UNSPEC:
        return 0;
    case V2_TCP4:
    case V2_UDP4:
        return 2 * (V2_IP4_BYTES + V2_PORT_BYTES);
    case V2_TCP6:
    case V2_UDP6:
        return 2 * (V2_IP6_BYTES + V2_PORT_BYTES);
    case V2_UNIX:
    case V2_UNIX_DGRAM:
        return 2 * (ptrdiff_t)V2_UNIX_BYTES;
    default:
        return -1;
    }
}

static bool are_tlvs_whole(struct str tlvs)
{
    while (tlvs.n > 0) {
        if (tlvs.n < V2_TLV_HEAD_BYTES || tlvs.n - V2_TLV_HEAD_BYTES < u16_at(tlvs, 1))
            return false;
        tlvs = str_skip(tlvs, V2_TLV_HEAD_BYTES + (size_t)u16_at(tlvs, 1));
    }
    return true;
}

static int parse_v2_payload(unsigned command, unsigned family, struct str payload,
                            struct proxy_header *out, struct err *e)
{
    ptrdiff_t bytes = v2_addresses_bytes(family);
    unsigned version = family == V2_TCP6 ? 6 : 4;
    size_t ip_bytes = version == 6 ? V2_IP6_BYTES : V2_IP4_BYTES;

    if (command == V2_LOCAL) { /* section 2.2: family and payload are skipped whatever they say */
        out->local = true;
        return 0;
    }
    if (bytes == -1)
        return bad(e, "unknown address family");
    if (payload.n < (size_t)bytes)
        return bad(e, "it is too short for its addresses");
    if (!are_tlvs_whole(str_skip(payload, (size_t)bytes)))
        return bad(e, "an extension is cut off");
    if (family != V2_TCP4 && family != V2_TCP6) {
        out->local = true;
        return 0;
    }
    out->source = addr_from_bytes(version, payload.p, u16_at(payload, 2 * ip_bytes));
    out->destination = addr_from_bytes(version, payload.p + ip_bytes,
                                       u16_at(payload, 2 * ip_bytes + V2_PORT_BYTES));
    return 0;
}

static ptrdiff_t parse_v2(struct str in, struct proxy_header *out, struct err *e)
{
    struct str signature = str_of(v2_signature, sizeof(v2_signature));
    unsigned command;
    size_t length;

    if (!str_starts(in, str_slice(signature, 0, in.n)))
        return bad(e, "it does not start as one");
    if (in.n <= signature.n)
        return 0;
    command = byte_at(in, signature.n);
    if (command != V2_LOCAL && command != V2_PROXY)
        return bad(e, "unknown version or command");
    if (in.n < PROXY_PROTOCOL_V2_FIXED_BYTES)
        return 0;
    length = u16_at(in, signature.n + 2);
    if (length > PROXY_PROTOCOL_V2_PAYLOAD_MAX_BYTES)
        return bad(e, "it is too long");
    if (in.n < PROXY_PROTOCOL_V2_FIXED_BYTES + length)
        return 0;
    if (parse_v2_payload(
            command, byte_at(in, signature.n + 1),
            str_slice(in, PROXY_PROTOCOL_V2_FIXED_BYTES, PROXY_PROTOCOL_V2_FIXED_BYTES + length),
            out, e) == -1)
        return -1;
    return PROXY_PROTOCOL_V2_FIXED_BYTES + (ptrdiff_t)length;
}

static void add_u16(struct buf *out, size_t value)
{
    buf_add_char(out, (char)(value >> 8));
    buf_add_char(out, (char)(value & 0xff));
}

static void add_ip(struct buf *out, const struct addr *a, bool is_v6)
{
    static const char mapped[V2_IP6_BYTES - V2_IP4_BYTES] = { [10] = '\xff', [11] = '\xff' };

    if (is_v6 && a->family == 4)
        buf_add(out, mapped, sizeof(mapped));
    buf_add(out, a->ip, a->family == 6 ? V2_IP6_BYTES : V2_IP4_BYTES);
}

static void format_v2(const struct proxy_header *h, struct buf *out)
{
    bool is_v6 = h->source.family == 6 || h->destination.family == 6;
    unsigned family = is_v6 ? V2_TCP6 : V2_TCP4;

    buf_add(out, v2_signature, sizeof(v2_signature));
    if (h->local) {
        buf_add_char(out, V2_LOCAL);
        buf_add_char(out, V2_UNSPEC);
        add_u16(out, 0);
        return;
    }
    buf_add_char(out, V2_PROXY);
    buf_add_char(out, (char)family);
    add_u16(out, (size_t)v2_addresses_bytes(family));
    add_ip(out, &h->source, is_v6);
    add_ip(out, &h->destination, is_v6);
    add_u16(out, h->source.port);
    add_u16(out, h->destination.port);
}

/* ---- both ---------------------------------------------------------------------------------------- */

ptrdiff_t proxy_protocol_parse(struct str in, struct proxy_header *out, struct err *e)
{
    struct proxy_header h = { 0 };
    ptrdiff_t used;

    if (in.n == 0)
        return 0;
    used = in.p[0] == v2_signature[0] ? parse_v2(in, &h, e) : parse_v1(in, &h, e);
    if (used > 0)
        *out = h;
    return used;
}

void proxy_protocol_format(unsigned version, const struct proxy_header *h, struct buf *out)
{
    struct proxy_header known = *h;

    assert(version == PROXY_PROTOCOL_V1 || version == PROXY_PROTOCOL_V2);
    if (h->source.family == 0 || h->destination.family == 0)
        known.local = true;
    if (version == PROXY_PROTOCOL_V1)
        format_v1(&known, out);
    else
        format_v2(&known, out);
}
