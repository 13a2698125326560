// What a node answers: first byte chooses the batch, the rest is the reply, or the data a call returned.
#include <string.h>

#include "policy/abi.h"
#include "policy/ethereum_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_data(struct span s)
{
	char text[ABI_TEXT_MAX + 1];
	uint8_t address[20];
	uint64_t v;
	bool yes;

	if (!abi_read_verdict(s, &yes, text) && strlen(text) > s.n)
		__builtin_trap();
	if (!abi_read_text(s, text) && strlen(text) > s.n)
		__builtin_trap();
	(void)!abi_read_address(s, address);
	(void)!abi_read_u64(s, &v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct eth_slots slots = { 0, 1, 2, 3, 4, 5 };
	struct eth_block head, block, known = { 0 };
	struct policy_answer a = { .rc = -1 };
	struct err e = { 0 };

	if (!size)
		return 0;
	struct span s = span_of(data + 1, size - 1);
	if (data[0] % 3 == 0) {
		if (!eth_head_read(s, 1, 60, 1000, &head, &e) && head.time > 1060)
			__builtin_trap();
	} else if (data[0] % 3 == 1) {
		eth_verdict_read(&a, s, 6, &slots, &block, &known);
		if (a.rc && !*a.err.code)
			__builtin_trap();
	} else {
		read_data(s);
	}
	return 0;
}
