#include "core/codec/fault.h"

int fault_set(struct fault *f, const char *code, const char *text, size_t at)
{
	*f = (struct fault){ code, text, at };
	return -1;
}
