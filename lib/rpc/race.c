#include "rpc/race.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "rpc/client_impl.h"

enum { RACE_MAX = 32 };

struct rpc_race {
	CURLM *multi;
	struct rpc_client *running[RACE_MAX];
	size_t n;
	struct rpc_client *ended; // the last that rpc_race_next gave
	CURLcode rc;
};

struct rpc_race *rpc_race_new(struct err *e)
{
	struct rpc_race *r = rpc_client_setup() ? NULL : calloc(1, sizeof *r);

	if (r && (r->multi = curl_multi_init()))
		return r;
	free(r);
	err_set(e, ERR_SYSTEM, "start the HTTP client");
	return NULL;
}

void rpc_race_free(struct rpc_race *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n; i++)
		curl_multi_remove_handle(r->multi, r->running[i]->curl);
	curl_multi_cleanup(r->multi);
	free(r);
}

int rpc_race_add(struct rpc_race *r, struct rpc_client *c, const char *method, const ProtobufCMessage *in,
		 struct err *e)
{
	if (r->n == RACE_MAX)
		return err_set(e, ERR_INPUT, "call %s: more than %d at once", method, RACE_MAX);
	if (rpc_client_begin(c, method, in, e))
		return -1;
	if (curl_multi_add_handle(r->multi, c->curl) != CURLM_OK)
		return err_set(e, ERR_SYSTEM, "call %s: out of memory", method);
	r->running[r->n++] = c;
	return 0;
}

static struct rpc_client *take(struct rpc_race *r, const CURLMsg *m)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->running[i]->curl == m->easy_handle) {
			r->ended = r->running[i];
			r->rc = m->data.result;
			r->running[i] = r->running[--r->n];
			curl_multi_remove_handle(r->multi, r->ended->curl); // `m` is gone with this
			return r->ended;
		}
	return NULL;
}

struct rpc_client *rpc_race_next(struct rpc_race *r, int ms)
{
	uint64_t end = time_mono_ms() + (ms > 0 ? (uint64_t)ms : 0);

	while (r->n) {
		int left, busy;
		CURLMsg *m;

		if (curl_multi_perform(r->multi, &busy) != CURLM_OK)
			return NULL;
		while ((m = curl_multi_info_read(r->multi, &left)))
			if (m->msg == CURLMSG_DONE)
				return take(r, m);
		uint64_t now = time_mono_ms();
		if (now >= end || curl_multi_poll(r->multi, NULL, 0, (int)(end - now), NULL) != CURLM_OK)
			return NULL;
	}
	return NULL;
}

int rpc_race_result(struct rpc_race *r, const ProtobufCMessageDescriptor *d, struct arena *a, void **out,
		    struct err *e)
{
	if (!r->ended)
		return err_set(e, ERR_BUG, "no call has ended");
	return rpc_client_end(r->ended, r->rc, d, a, out, e);
}
