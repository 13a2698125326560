#include "agent.h"
#include "info.h"
#include "service.h"

static int info(struct rpc_call *c, const void *in, void *out, struct err *e)
{
	(void)in;
	return info_fill(rpc_arg(c), true, rpc_arena(c), out, e);
}

const struct rpc_method worker_methods[] = {
	{ "Info", &prpc__empty__descriptor, &guest__app_info__descriptor, info, .worker = true },
	{ "Version", &prpc__empty__descriptor, &guest__worker_version__descriptor, service_version },
};
const size_t worker_methods_n = sizeof worker_methods / sizeof *worker_methods;
