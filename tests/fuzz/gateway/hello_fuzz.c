// A client's first bytes, and the name found in them.
#include <string.h>
#include "gateway/hello.h"
#include "gateway/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct err e = { 0 };
	char name[HELLO_NAME_MAX + 1];
	struct name want;

	int state = hello_name(data, n, name, &e);
	if (state == HELLO_DONE) {
		if (strlen(name) > HELLO_NAME_MAX)
			__builtin_trap();
		if (name_parse(&want, name, "app.test", &e) == 0 && want.port == 0)
			__builtin_trap();
	} else if (state != HELLO_MORE && !e.code[0]) {
		__builtin_trap();
	}
	return 0;
}
