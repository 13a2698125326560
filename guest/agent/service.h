// service - what the agent's services share: each service_*.c is one method table over the agent's parts.
#pragma once
#include "evidence.h"
#include "guest.pb-c.h"
#include "prpc.pb-c.h"
#include "rpc/server.h"

rpc_fn service_info;    // Info, nothing hidden
rpc_fn service_version; // Version

// Key and chain of GetKey's answer, in the call's arena.
int service_key(struct rpc_call *c, const Guest__GetKeyArgs *q, ProtobufCBinaryData *key,
		ProtobufCBinaryData **chain, size_t *n_chain, struct err *e);
// What GetQuote tells of a quote; all in the arena but vm_config.
int service_show_quote(struct agent *g, const struct evidence *v, struct arena *a, Guest__GetQuoteResponse *r,
		       struct err *e);
// A quote over `data`, padded with zeros on the right.
struct evidence *service_quote(struct rpc_call *c, ProtobufCBinaryData data, struct err *e);
