// The kernel's answers on a WireGuard device and on links, as one netlink message.
#include <stdlib.h>
#include <string.h>
#include "wg/backend.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct wg_peer out[4];
	struct wg_list l = { .out = out, .cap = 4 };
	enum link_kind kind;
	int index;
	char *copy = malloc(n ? n : 1); // aligned as the receive buffer is

	if (!copy)
		return 0;
	memcpy(copy, data, n);
	wg_kernel_parse(&l, copy, n);
	link_parse(&kind, &index, copy, n);
	for (size_t i = 0; i < l.n; i++)
		if (out[i].allowed_n > WG_ALLOWED_MAX)
			__builtin_trap();
	free(copy);
	return 0;
}
