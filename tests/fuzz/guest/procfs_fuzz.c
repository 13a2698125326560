// Any bytes as each of the files SysInfo and NetworkInfo read: what is taken is text and within its bounds.
#include <stdlib.h>
#include <string.h>
#include "base/strings.h"
#include "procfs.h"

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n);

static void is_text(const char *s, size_t cap)
{
	if (strnlen(s, cap) == cap || !str_is_utf8(s, strlen(s)))
		abort();
}

static void lists(struct span text)
{
	char name[PROC_NAME], address[64];
	struct proc_interface in;

	for (struct span rest = text; proc_next_interface(&rest, &in);)
		is_text(in.name, sizeof in.name);
	for (struct span rest = text; proc_next_gateway(&rest, name, address);)
		is_text(address, 46);
	for (struct span rest = text; proc_next_gateway6(&rest, name, address);)
		is_text(address, 46);
	for (struct span rest = text; proc_next_nameserver(&rest, address);)
		is_text(address, sizeof address);
}

int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n)
{
	struct span text = span_of(d, n);
	struct proc_memory m;
	uint32_t load[3], cpus;
	uint64_t up;
	char out[PROC_TEXT];

	if (!proc_meminfo(text, &m) && (m.available > m.total || m.swap_free > m.swap_total))
		abort();
	if (!proc_cpus(text, &cpus) && !cpus)
		abort();
	if (proc_loadavg(text, load) || proc_uptime(text, &up))
		load[0] = 0;
	proc_value(text, "NAME", '=', out, sizeof out);
	is_text(out, sizeof out);
	proc_value(text, "model name", ':', out, sizeof out);
	is_text(out, sizeof out);
	if (proc_mount(text, "/", out, sizeof out))
		is_text(out, sizeof out);
	lists(text);
	return 0;
}
