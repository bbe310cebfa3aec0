/* The keys about TCP endpoints. */
#include "base/mem.h"
#include "gateway/config_reader.h"

static int parse_range(struct str text, struct config_ports *out)
{
    size_t dash = str_find_char(text, '-');
    uint64_t first;
    uint64_t last;

    if (dash == text.n ||
        str_to_u64(str_trim(str_slice(text, 0, dash)), UINT16_MAX, &first) == -1 ||
        str_to_u64(str_trim(str_skip(text, dash + 1)), UINT16_MAX, &last) == -1 || first == 0 ||
        first > last)
        return -1;
    *out = (struct config_ports){ .first = (uint16_t)first, .last = (uint16_t)last };
    return 0;
}

void config_read_ports(struct reader *r, const config_setting_t *s, const struct key *k, void *out)
{
    const char *text = reader_get_string(r, s, k, "a range of ports");

    if (text != NULL && parse_range(str_from(text), out) == -1)
        reader_problem(r, s, "%s%s: \"%s\" is no range of ports from 1 to 65535; write: %s",
                       r->group, k->name, text, k->example);
}

void config_read_addresses(struct reader *r, const config_setting_t *s, const struct key *k,
                           void *out)
{
    struct config_listen *list = out;
    unsigned n = reader_list_length(r, s, k, "a list of addresses");

    list->count = 0;
    for (unsigned i = 0; i < n; i++) {
        const config_setting_t *item = config_setting_get_elem(s, i);
        const char *text = reader_get_string(r, item, k, "a list of addresses");
        struct addr a;

        if (text == NULL)
            continue;
        if (addr_parse_ip(str_from(text), &a) == -1)
            reader_problem(r, item, "%s%s: \"%s\" is no IP address; write: %s", r->group, k->name,
                           text, k->example);
        else
            list->addrs[list->count++] = a;
    }
}

static bool overlap(const struct config_ports *a, const struct config_ports *b)
{
    return a->first != 0 && b->first != 0 && a->first <= b->last && b->first <= a->last;
}

void config_finish_tcp(struct reader *r, const config_setting_t *root)
{
    const config_setting_t *tcp = config_setting_get_member(root, "tcp");
    struct config_tcp *t = &r->c->tcp;

    if (t->host == NULL && r->c->domain != NULL)
        t->host = mem_strdup(r->c->domain);
    if (tcp == NULL || r->problem_count > 0)
        return; /* what follows may only come of what was reported */
    if (overlap(&t->ports, &t->fixed_ports))
        reader_problem(r, tcp,
                       "tcp.ports and tcp.fixed_ports have ports in common; a port that can be "
                       "chosen must not be given away as a random one");
    if (t->ports.first == 0 && t->fixed_ports.first == 0)
        reader_problem(r, tcp,
                       "tcp has neither ports nor fixed_ports; add: ports = \"30000-39999\";");
    if (t->listen.count == 0)
        reader_problem(r, tcp, "tcp.listen is empty; write: listen = [ \"0.0.0.0\" ];");
}
