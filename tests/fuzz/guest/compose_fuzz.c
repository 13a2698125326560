// app-compose.json, .sys-config.json and .instance_info, as the host could write them.
#include <stdlib.h>

#include "compose.h"
#include "sysconf.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct compose c;
	const struct compose_machine m = { .platform = "dstack-tdx",
					   .os_version = "0.6.0",
					   .user_config = span_of(p, n) };
	struct sysconf s;
	struct instance in;
	struct err e;
	auto_arena *a = arena_new(64 << 20);

	if (!a)
		abort();
	if (!compose_parse(span_of(p, n), a, &c, &e))
		(void)!compose_check(&c, &m, &e);
	if (!sysconf_parse(span_of(p, n), a, &s, &e))
		(void)vm_config_is_lite(s.vm_config);
	(void)!instance_parse(span_of(p, n), a, &in, &e);
	return 0;
}
