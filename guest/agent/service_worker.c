#include <stdio.h>
#include "base/version.h"
#include "outside.h"
#include "service.h"

static int info(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	const struct outside *o = rpc_arg(c);

	(void)in;
	return o->info(o, rpc_arena(c), out, e);
}

static int get_attestation_for_app_key(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	const Guest__GetAttestationForAppKeyRequest *q = in;
	const struct outside *o = rpc_arg(c);

	return o->app_quote(o, q->algorithm, rpc_arena(c), out, e);
}

const struct rpc_method worker_methods[] = {
	{ "Info", &prpc__empty__descriptor, &guest__app_info__descriptor, info, .worker = true },
	{ "GetAttestationForAppKey", &guest__get_attestation_for_app_key_request__descriptor,
	  &guest__get_quote_response__descriptor, get_attestation_for_app_key, .worker = true },
	{ "Version", &prpc__empty__descriptor, &guest__worker_version__descriptor, service_version },
};
const size_t worker_methods_n = sizeof worker_methods / sizeof *worker_methods;

int mount_external(struct rpc_server *s, const struct outside *o)
{
	char header[128];

	snprintf(header, sizeof header, "X-App-Version: v%s (%s)", version_text, version_rev);
	return rpc_server_mount(s, "/prpc", "Worker.", worker_methods, worker_methods_n,
				(void *)(uintptr_t)o) ||
			       rpc_server_header(s, header)
		       ? -1
		       : 0;
}
