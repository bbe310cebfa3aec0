/*
 * digest: what a piece of a document says, as a number, so that policies of different sessions can be
 * found to be the same. It tells apart what somebody wrote, and is no protection against somebody who
 * looks for two documents with one digest: both would be rules for their own endpoints.
 * Thread: any; pure.
 */
#ifndef POLICY_DIGEST_H
#define POLICY_DIGEST_H

#include <stdint.h>

struct doc_node;

/* Continues `digest` with what stands below n; where it stood does not matter. */
uint64_t digest_node(uint64_t digest, const struct doc_node *n);
uint64_t digest_number(uint64_t digest, uint64_t number);

#endif
