#include "lanes.h"

// Quotes are made one at a time; the second thread prepares and writes what surrounds them.
enum { QUICK_THREADS = 3, QUOTE_THREADS = 2, CERT_THREADS = 4, CERT_WAIT_MS = 60000 };

struct pool *lanes_new(struct event_base *base, const struct config *c)
{
	size_t waiting = (size_t)config_int(c, "default.core.quotes_waiting");
	size_t each = (size_t)config_int(c, "default.core.quotes_per_client");
	struct pool_lane lanes[LANES] = {
		[LANE_QUICK] = { .threads = QUICK_THREADS },
		[LANE_QUOTES] = { .threads = QUOTE_THREADS,
				  .waiting_max = waiting,
				  .per_client = each,
				  .wait_ms = (uint32_t)config_int(c, "default.core.quote_wait") * 1000 },
		[LANE_CERTS] = { .threads = CERT_THREADS,
				 .waiting_max = waiting,
				 .per_client = each,
				 .wait_ms = CERT_WAIT_MS },
	};

	return pool_new_lanes(base, lanes, LANES);
}

int lanes_rate(struct rpc_server *external, const struct config *c)
{
	const struct rate_limits l = {
		.per_s = (uint32_t)config_int(c, "external.rate"),
		.burst = (uint32_t)config_int(c, "external.burst"),
		.all_per_s = (uint32_t)config_int(c, "external.rate_all"),
		.all_burst = (uint32_t)config_int(c, "external.burst_all"),
	};

	return rpc_server_rate(external, &l);
}
