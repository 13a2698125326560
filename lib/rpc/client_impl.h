// client_impl - what an RPC client is made of; private to lib/rpc: client.c has one call, race.c several at
// once.
#pragma once
#include <curl/curl.h>
#include "base/sb.h"
#include "rpc/client.h"

struct rpc_client {
	CURL *curl;
	struct curl_slist *headers;
	struct rpc_client_opts o;
	char *base; // URL as curl takes it, without a final slash
	uint32_t cid, port;
	bool vsock;
	struct err hook; // why the TLS hook refused
	struct sb reply;
	int (*piece)(void *, const char *, size_t); // of a stream
	void *piece_arg;
	const char *method; // of the call that was begun, its URL and its body
	char *url;
	struct sb body;
};

// A call in two halves: what curl needs is set; curl has ended with `rc`, and this is the result.
int rpc_client_begin(struct rpc_client *c, const char *method, const ProtobufCMessage *in, struct err *e);
int rpc_client_end(struct rpc_client *c, CURLcode rc, const ProtobufCMessageDescriptor *d, struct arena *a,
		   void **out, struct err *e);
