/*
 * account_id: the id of an account ("ac_..."), computed from its name: the same name has the same id
 * on every gateway and after every start, though nothing is stored.
 * Thread: any; pure.
 */
#ifndef TUNNEL_ACCOUNT_ID_H
#define TUNNEL_ACCOUNT_ID_H

#include "base/str.h"
#include "tunnel/id.h"

void account_id(struct str account, char out[ID_BYTES]);

#endif
