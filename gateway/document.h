/*
 * document: texts that commands of users need, fetched by the worker's fetcher (tunnel/document.h), under
 * the operator's rules for requests of policies.
 * Thread: that of its worker.
 */
#ifndef GATEWAY_DOCUMENT_H
#define GATEWAY_DOCUMENT_H

#include "tunnel/document.h"

/* Their ctx is the gateway of the worker. */
extern const struct document_ops gateway_document_ops;

#endif
