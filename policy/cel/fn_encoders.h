/*
 * fn_encoders: base64 of values.
 * Thread: the one that evaluates.
 */
#ifndef POLICY_CEL_FN_ENCODERS_H
#define POLICY_CEL_FN_ENCODERS_H

#include "base/str.h"
#include "policy/cel/run.h"
#include "policy/cel/value.h"

/* The bytes as padded base64, a STRING. */
struct cel_value cel_base64_encode(struct cel_run *run, struct str bytes);
/* The bytes of base64 text with or without padding, BYTES; an error when it is malformed. */
struct cel_value cel_base64_decode(struct cel_run *run, struct str text);

#endif
