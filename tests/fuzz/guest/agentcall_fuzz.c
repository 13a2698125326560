// Any bytes as the request of any method of one of the guest agent's services, in each form and at each path,
// through the real server to the real method and back; what must hold of every answer is in agentcall.c.
// Here: a request in protobuf means the same in JSON (RB-05), to the byte where the answer depends on the
// request alone.
//   input: method, then form (bits 0-1) and path (bits 2-3), then the body; with bit 7 what follows is all
//   that is sent, head included
#include <stdlib.h>
#include <string.h>
#include "agentcall.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n);

enum { INPUT_MAX = 16384 };

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	agent_call_setup(SERVICE);
	return 0;
}

static bool is_function(const char *method)
{
	static const char *const names[] = { "GetKey",   "Sign",     "Verify",   "Version", "DeriveK256Key",
					     "TdxQuote", "RawQuote", "GetQuote", "Attest",  "EmitEvent" };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(method, names[i]))
			return true;
	return false;
}

// The same request and answer in JSON. An error differs in its words only where they name the encoding.
static void same_in_json(const struct rpc_method *m, struct span bytes, int status, struct span answer)
{
	auto_arena *a = arena_new(0);
	auto_sb text = { 0 }, want = { 0 }, in = { 0 };
	struct span body;
	struct err e = { 0 };
	const ProtobufCMessage *q = a ? pb_read(m->in, bytes, a, &e) : NULL;

	if (!q)
		return;
	pbjson_write(&text, q);
	if (text.bad || agent_call(m, 0, FORM_JSON, text.p, text.n, &in, &body) != status)
		abort();
	if (status != 200)
		return;
	const ProtobufCMessage *r = pb_read(m->out, answer, a, &e);
	if (!r)
		abort();
	pbjson_write(&want, r);
	if (want.bad || want.n != body.n || memcmp(want.p, body.p, body.n))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n)
{
	auto_sb in = { 0 };
	struct span body;

	if (n < 2 || n > INPUT_MAX)
		return 0;
	if (d[1] & 0x80) {
		agent_stream(d + 2, n - 2);
		return 0;
	}
	const struct rpc_method *m = agent_call_method(d[0] % agent_call_methods());
	enum agent_form form = d[1] & 3;
	int status = agent_call(m, d[1] >> 2, form, d + 2, n - 2, &in, &body);
	if (status && form == FORM_PROTOBUF && is_function(m->name))
		same_in_json(m, span_of(d + 2, n - 2), status, body);
	return 0;
}
