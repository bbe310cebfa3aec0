/*
 * names: whose names are whose while it changes: what the operator reserves for accounts, and under it
 * what the management API does. Control has a copy of the whole, and a change is done when control has it.
 * A name of the API that the operator reserves for somebody else counts for nothing as long as that is so.
 * Owns:   both sets of reservations.
 * Thread: new, add, start, stop and free on main, configure there too; reserve, release and pick on any that
 *         may block, never a worker's loop or the control thread, which is waited for.
 * Limits: DOMAINS_MAX names of both together.
 */
#ifndef TUNNEL_NAMES_H
#define TUNNEL_NAMES_H

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "tunnel/api/host.h"
#include "tunnel/registry.h"

struct control;
struct domains;
struct names;

/* `given` by the operator is taken. `fixed` are the ports of TCP addresses that can be reserved. */
struct names *names_new(struct domains *given, struct str tcp_host, struct registry_range fixed);
/* Before names_start(): a name that was reserved by the API, "host" or "host:port". Returns 0, or -1 as
 * domains_add(), and the name counts for nothing until names_configure(). */
int names_add(struct names *n, struct str name, struct str account, struct err *e);
/* What control shall start with, a copy for the caller. */
struct domains *names_domains(const struct names *n);
void names_start(struct names *n, struct control *control);
/* Whoever waits for control gets E_DRAINING, now and from now on. Before control_stop(). */
void names_stop(struct names *n);
/* After control_free(). NULL is fine. */
void names_free(struct names *n);

/* A reload: the operator reserves something else (taken); tells control, with the other limit of its. */
void names_configure(struct names *n, struct domains *given, uint64_t hold_ms);

/*
 * Reserves "host" or "host:port" (normal) for the account. API_NAME_OK when control has it; otherwise everything
 * is as it was: _OWN, _OTHER, _COVERS as of domains_find_clash(); _ONLINE: an endpoint of another account is
 * there, or was a moment ago and its name is held; _FAILED with e.
 */
enum api_name_answer names_reserve(struct names *n, struct str name, struct str account,
                                   struct err *e);
/*
 * Takes that back. API_NAME_USED: a cloud endpoint of the account is there that no other of its names covers;
 * _FAILED with e. Endpoints of sessions stay.
 */
enum api_name_answer names_release(struct names *n, struct str name, struct str account,
                                   struct err *e);
/* The port of a TCP address that nobody has reserved, uses or holds, by chance. 0: none is left. */
uint16_t names_pick_port(struct names *n);

#endif
