// The answers of wireguard-go.
#include "wg/backend.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct err e = { 0 };
	struct wg_peer out[4];
	struct wg_list l = { .out = out, .cap = 4 };
	long code;

	if (wg_uapi_parse(&l, &code, (const char *)data, n, &e) == 0 && l.n > l.cap)
		__builtin_trap();
	for (size_t i = 0; i < l.n; i++)
		if (out[i].allowed_n > WG_ALLOWED_MAX)
			__builtin_trap();
	return 0;
}
